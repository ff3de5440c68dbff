"""Alerts of a day worked out user by user and day by day in plain Python: slow, and with nothing of the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from churnsurv.warning import TierScheme

__all__ = ["World", "expected_alerts"]


@dataclass
class World:
    """Raw tables by user; days are ordinals."""

    registered: dict[Any, int]
    active: dict[Any, list[int]]
    invested: dict[Any, list[int]]
    balances: dict[Any, list[tuple[int, float]]]
    scores: dict[Any, list[tuple[int, float]]]

    @classmethod
    def of(
        cls,
        events: pd.DataFrame,
        users: pd.DataFrame,
        balances: pd.DataFrame | None,
        first: str,
        scores: pd.DataFrame | None = None,
    ) -> World:
        """Sort the tables by user; balances and scores by day."""
        registered = {row.user_id: _day(row.registered_at) for row in users.itertuples()}
        active: dict[Any, list[int]] = {user: [] for user in registered}
        invested: dict[Any, list[int]] = {user: [] for user in registered}
        for row in events.itertuples():
            day = _day(row.event_at)
            if day < _day(first):
                continue
            if row.kind in ("login", "invest"):
                active[row.user_id].append(day)
            if row.kind == "invest":
                invested[row.user_id].append(day)
        start = _day(first)
        for user, day in registered.items():
            active[user] = sorted({*active[user], *([day] if day >= start else [])})
        known = [_by_user(each, column, registered) for each, column in ((balances, "balance"), (scores, "score"))]
        return cls(registered, active, invested, *known)

    def state(self, user: Any, day: int) -> dict[str, float | None]:
        """What the end of a day knows of a user."""
        return {
            "balance": _last(self.balances[user], day),
            "score": _last(self.scores[user], day),
            "n_investments": sum(each <= day for each in self.invested[user]),
            "tenure": day - self.registered[user],
            "week": sum(day - 6 <= each <= day for each in self.active[user]),
        }


def _day(when: Any) -> int:
    return pd.Timestamp(when).toordinal()


def _by_user(table: pd.DataFrame | None, column: str, users: Any) -> dict[Any, list[tuple[int, float]]]:
    found: dict[Any, list[tuple[int, float]]] = {user: [] for user in users}
    if table is not None:
        for row in table.sort_values("date").itertuples():
            found[row.user_id].append((_day(row.date), float(getattr(row, column))))
    return found


def _last(known: list[tuple[int, float]], day: int) -> float | None:
    before = [value for when, value in known if when <= day]
    return before[-1] if before else None


def _holds(conditions: Any, state: dict[str, float | None], widths: dict[str, float]) -> bool:
    for each in conditions:
        value, bound = state[each.variable], each.threshold
        by = widths.get(each.variable, 0.0) * abs(bound)
        if value is None:
            return False
        compare = {
            "<": value < bound + by,
            "<=": value <= bound + by,
            ">": value > bound - by,
            ">=": value >= bound - by,
        }
        if not compare[each.sign]:
            return False
    return True


def _in_rule(rule: Any, state: dict[str, float | None], widths: dict[str, float] | None = None) -> bool:
    return any(_holds(conditions, state, widths or {}) for conditions in rule.alternatives)


def _walk(
    world: World, scheme: TierScheme, widths: dict[str, float], user: Any, day: int
) -> tuple[str | None, int | None, Any, Any, bool]:
    """The tier at the end of a day, the idle days, since when any tier and this one, and whether it is held."""
    past = [each for each in world.active[user] if each <= day]
    if not past or world.registered[user] > day:
        return None, None, None, None, False
    idle = day - past[-1]
    names, tier, since, tier_since, held = [each.name for each in scheme.tiers], None, None, None, False
    for number in range(1, idle + 1):
        today = past[-1] + number
        state = world.state(user, today) | {"idle_days": float(number)}
        state = {name: scheme.missing.get(name) if value is None else value for name, value in state.items()}
        own = next((each.name for each in scheme.tiers if _in_rule(each.rule, state)), None)
        now, held = own, False
        if tier is not None and (own is None or names.index(own) > names.index(tier)):
            rule = scheme.tiers[names.index(tier)].rule
            if _in_rule(rule, state, widths):
                now, held = tier, True
        if number >= scheme.idle_days:
            now, held = None, False
        since = None if now is None else since or today
        tier_since = None if now is None else tier_since if now == tier else today
        tier = now
    return tier, idle, since, tier_since, held


def expected_alerts(
    world: World, scheme: TierScheme, day: str, widths: dict[str, float] | None = None
) -> dict[Any, tuple[Any, ...]]:
    """By user: status, resolved_by, tier, previous tier, since, tier_since, idle days and held."""
    date, names = _day(day), [each.name for each in scheme.tiers]
    found = {}
    for user in world.registered:
        tier, idle, since, tier_since, held = _walk(world, scheme, widths or {}, user, date)
        before, _, was_since, was_tier_since, _ = _walk(world, scheme, widths or {}, user, date - 1)
        if tier is None and before is None:
            continue
        if tier is None:
            by = "activity" if idle == 0 else "churn" if idle == scheme.idle_days else "state"
            found[user] = ("resolved", by, None, before, _date(was_since), _date(was_tier_since), idle, False)
            continue
        if before is None:
            status = "new"
        else:
            rise = names.index(before) - names.index(tier)
            status = "continued" if rise == 0 else "upgraded" if rise > 0 else "lowered"
        found[user] = (status, None, tier, before, _date(since), _date(tier_since), idle, held)
    return found


def _date(day: int | None) -> pd.Timestamp | None:
    return None if day is None else pd.Timestamp.fromordinal(day)
