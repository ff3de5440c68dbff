"""What rewards will cost, and how many more users must invest again to pay for them, before anything is sent."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.recall_rewards import Holdings, holdings
from churnsurv.data.rule import calendar_day
from churnsurv.errors import InputError
from churnsurv.numerics.precision_bound import wilson_lower
from churnsurv.survival.frames import as_frame, counted, first_of, numeric_column
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.rewards import RewardRule
    from churnsurv.data.log import ActivityLog

__all__ = ["RewardForecast", "forecast"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RewardForecast(Result):
    """Expected cost and break-even lift of a reward; made by `RewardRule.forecast`.

    What is paid lies between `cost_anyway`, where rewards change nothing, and `promised`, where all are released. Users
    who invest enough again without any reward take it all the same: that is what has to be earned back.

    Attributes
    ----------
    rule : RewardRule
    as_of : datetime.date
        The day at whose end everything was known.
    before : datetime.date
        `within` days earlier: users who met the condition then were followed up to `as_of`.
    level : float
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "reward_forecast"

    rule: RewardRule
    as_of: datetime.date
    before: datetime.date
    level: float
    notes: tuple[str, ...]
    _table: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for all users, the living and the churned; schema "reward_forecast"."""
        return self._table.copy()

    def _headline(self) -> str:
        return str(self._table["words"].iloc[0])

    def _facts(self) -> dict[str, Any]:
        return {
            "rule": self.rule.to_plain(),
            "as_of": self.as_of,
            "before": self.before,
            "level": self.level,
            "notes": list(self.notes),
        }


def forecast(
    rule: RewardRule, log: ActivityLog, *, as_of: datetime.date | str, margin: Any = None, level: float = 0.95
) -> RewardForecast:
    """Forecast the cost of a rule; see `RewardRule.forecast`.

    With r the rewards of those who met the condition before and x whether they then invested enough, the part of the
    money that is released anyway is sum r x / sum r. Its limits are the wider ones of those of the ratio (linearised)
    and of Wilson's of the share of users: with few releases the former know too little.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.action.rewards import RewardRule
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": [1, 2], "registered_at": "2024-01-01"})
    >>> events = pd.DataFrame({"user_id": [1, 1, 2, 2], "kind": ["invest", "redeem"] * 2, "amount": 100_000.0,
    ...     "event_at": ["2024-01-03", "2024-01-20"] * 2})
    >>> log = ActivityLog(events, users, observed_until="2024-03-20")
    >>> found = RewardRule().forecast(log, as_of="2024-03-15", margin=3_000)
    >>> found.table[["state", "n_before", "n_reinvested", "n_users", "promised", "cost_anyway"]].head(1)
      state  n_before  n_reinvested  n_users  promised  cost_anyway
    0   all         2             0        2    2000.0          0.0
    """
    day, level = calendar_day(as_of, "as_of"), check_level(level)
    earlier = day - datetime.timedelta(days=rule.within)
    log._reading.require_day(day)
    if earlier < log.observed_from:
        raise InputError(
            f"The log begins on {log.observed_from}: nobody was followed for {rule.within} days up to {day}. Choose a "
            "later day, or a rule with less time."
        )
    column = margin if isinstance(margin, str) and not margin.lower().endswith((".parquet", ".csv")) else None
    then, now = holdings(log, (earlier, day), attribute=column)
    past, present = _promised(rule, then), _promised(rule, now)
    enough = _reinvested(then, now) >= past.condition
    worth, said = _worth(margin, now, present.granted)
    rows = []
    for state, mine, ours in (
        ("all", np.ones_like(then.living), np.ones_like(now.living)),
        ("living", then.living, now.living),
        ("churned", ~then.living, ~now.living),
    ):
        before, after = past.granted & mine, present.granted & ours
        rows.append(
            _row(state, rule, past.reward[before], enough[before], present.reward[after], _mean(worth, after), level)
        )
    import pandas as pd

    return RewardForecast(
        rule=rule,
        as_of=day,
        before=earlier,
        level=level,
        notes=tuple(_notes(rule, earlier, day, said)),
        _table=pd.DataFrame(rows)[list(schema("reward_forecast").names)],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Promised:
    """Whether each user meets the condition, the reward, and what must be invested for it (0 for the others)."""

    granted: Flags
    reward: Floats
    condition: Floats


def _promised(rule: RewardRule, held: Holdings) -> _Promised:
    import pandas as pd

    found = rule.amounts(pd.DataFrame({"total_amount": held.total, "balance": held.balance}))
    granted = found["reason"].isna().to_numpy()
    return _Promised(granted, *(np.nan_to_num(found[each].to_numpy()) for each in ("reward", "reward_condition")))


def _reinvested(then: Holdings, now: Holdings) -> Floats:
    """What the users of the earlier day invested after it, to a millionth."""
    import pandas as pd

    place = pd.Index(now.user_id.to_pandas()).get_indexer(pd.Index(then.user_id.to_pandas()))
    more: Floats = np.round(now.total[place] - then.total, 6)
    return more


def _worth(margin: Any, now: Holdings, granted: Flags) -> tuple[Floats | None, list[str]]:
    """What each user is worth who invests enough again, and what to say of it."""
    if margin is None:
        return None, ["No margin was given: there is no break-even lift."]
    if isinstance(margin, (int, float, np.integer, np.floating)) and not isinstance(margin, bool):
        worth = np.full(now.total.size, float(margin))
    elif now.attribute is not None:
        worth = now.attribute
    else:
        worth = _from_table(margin, now)
    bad = (worth < 0) | np.isinf(worth)
    if bad.any() or (np.isscalar(margin) and np.isnan(worth).all()):
        raise InputError(
            f"margin must be a finite number of at least 0; {first_of(bad, worth) if bad.any() else margin}."
        )
    without = int((np.isnan(worth) & granted).sum())
    return worth, [f"{counted(without, 'user')} without a margin: not in its mean."] if without else []


def _from_table(margin: Any, now: Holdings) -> Floats:
    import pandas as pd

    frame = as_frame(margin, needed=["user_id", "margin"], what="margin")
    values = numeric_column(frame, "margin", "what users are worth").astype(np.float64)
    given = pd.Series(values, index=pd.Index(frame["user_id"]))
    if given.index.has_duplicates:
        twice = given.index[given.index.duplicated()][0]
        raise InputError(f"margin: user {twice!r} is there twice. Keep one row a user.")
    ids = pd.Index(now.user_id.to_pandas())
    place = given.index.get_indexer(ids)
    if len(given) and (place < 0).all():
        raise InputError(
            f"margin: no row is of a user of the log; the first is {given.index[0]!r}, the log has {ids[0]!r}."
        )
    return np.where(place < 0, np.nan, given.to_numpy()[place]) if len(given) else np.full(len(ids), np.nan)


def _mean(worth: Floats | None, which: Flags) -> float:
    known = np.zeros(0) if worth is None else worth[which & ~np.isnan(worth)]
    return float(known.mean()) if known.size else np.nan


def _row(
    state: str, rule: RewardRule, reward: Floats, enough: Flags, ours: Floats, margin: float, level: float
) -> Mapping[str, Any]:
    from scipy.special import ndtri

    n, hits, z = reward.size, int(enough.sum()), float(ndtri(1 - (1 - level) / 2))
    share = hits / n if n else np.nan
    base = np.array([share, *_wilson(hits, n, z)])
    promised = float(np.round(ours.sum(), 6)) if rule.budget is None else min(float(ours.sum()), rule.budget)
    released = _money_released(reward, enough, base, z)
    anyway, by_user = promised * released, ours.sum() / ours.size if ours.size else np.nan
    # What is paid anyway, by user, is earned by the margin less the reward of those who invest again because of it.
    gain = margin - by_user
    even = 1000 * by_user * released / gain if gain > 0 else np.full(3, np.nan)
    facts: dict[str, Any] = {
        "state": state,
        "n_before": n,
        "n_reinvested": hits,
        **dict(zip(("base_share", "base_lower", "base_upper"), base.tolist(), strict=True)),
        "n_users": int(ours.size),
        "promised": promised,
        **dict(zip(("cost_anyway", "cost_lower", "cost_upper"), anyway.tolist(), strict=True)),
        "mean_reward": by_user,
        "margin": margin,
        **dict(zip(("break_even", "break_even_lower", "break_even_upper"), even.tolist(), strict=True)),
    }
    return MappingProxyType(facts | {"words": _words(facts, rule, level)})


def _wilson(hits: int, n: int, z: float) -> tuple[float, float]:
    size = np.array([float(n)])
    share = np.array([hits / n if n else 0.0])
    return float(wilson_lower(share, size, z)[0]), float(1 - wilson_lower(1 - share, size, z)[0])


def _money_released(reward: Floats, enough: Flags, base: Floats, z: float) -> Floats:
    """Part of the promised money that is released anyway, with limits."""
    if not reward.size or reward.sum() == 0:
        return np.array([np.nan, 0.0, 1.0])
    total, n = reward.sum(), reward.size
    part = float((reward * enough).sum() / total)
    spread = np.sqrt(n / max(n - 1, 1) * ((reward * (enough - part)) ** 2).sum()) / total
    return np.array([part, max(min(part - z * spread, base[1]), 0.0), min(max(part + z * spread, base[2]), 1.0)])


def _words(facts: Mapping[str, Any], rule: RewardRule, level: float) -> str:
    who = {"all": "users", "living": "living users", "churned": "churned users"}[facts["state"]]
    if not facts["n_users"]:
        return f"no {who} meet the condition"
    said = f"{facts['n_users']:,} {who} meet the condition, with {facts['promised']:,.2f} to promise"
    if facts["n_before"]:
        said += (
            f"; {facts['base_share']:.1%} ({facts['base_lower']:.1%} to {facts['base_upper']:.1%}, {level:.0%}) of "
            f"those like them {rule.within} days before invested enough anyway, so that about "
            f"{facts['cost_anyway']:,.2f} ({facts['cost_lower']:,.2f} to {facts['cost_upper']:,.2f}) is paid for "
            "nothing"
        )
    else:
        said += "; nobody met the condition before, so that nothing is known of who invests anyway"
    if np.isnan(facts["margin"]):
        return said
    if facts["margin"] <= facts["mean_reward"]:
        return f"{said}; the margin of {facts['margin']:,.2f} is not above the reward: no lift pays for it"
    if np.isnan(facts["break_even"]):
        return said
    even = f"{facts['break_even']:,.1f} ({facts['break_even_lower']:,.1f} to {facts['break_even_upper']:,.1f})"
    beyond = facts["break_even"] > 1000 * (1 - facts["base_share"])
    more = ", which is more than there are: no lift pays for it" if beyond else ""
    return f"{said}; it pays from {even} more of 1,000 on who invest enough because of it{more}"


def _notes(rule: RewardRule, earlier: datetime.date, day: datetime.date, said: list[str]) -> list[str]:
    notes = [
        f"What is paid anyway is that of users who met the condition on {earlier}, up to {day}; contacts that they got "
        "in these days are part of it. It holds as long as these weeks are like the next.",
        "The cost of contacts is not in it. Whether it paid is told by campaign_lift with a hold-out, not by this.",
    ]
    if rule.budget is not None:
        notes.append(f"The budget of {rule.budget:,.2f} is the most that is promised.")
    return notes + said
