"""Tables over time told a second time: one day at a time, looking at every event up to that day and at nothing else.

It stands on the walk of `tests.oracle` and shares nothing with the package. Each answer about day D is made by a
function that is given the events up to D alone; a row of a history is made of one question a day, and equal days are
put together afterwards. Its readings of the specification, where words leave room:

* A spell without risk has no row in a history, so that it is counted as `no_risk` and not among `spells`, `churned`,
  `censored` or `returned`. Users registered before the log are left out in the order of `oracle.churn_spells`.
* A spell number is what the end of that day can tell: a user registered before the log and active in its first
  `idle_days` days is in spell 1 (origin: the registration), also where the log is too short for a spell.
* A gap of a user registered before the log that shows no activity is `not_seen`, however short the log is.
* `life_not_observed` of a panel or snapshot counts rows with `life_observed` false: these users are not left out.
* Balances of their own table have no window: what was known before the log is known in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

from tests import oracle
from tests.oracle import DAY, Feature, Life, Person, Row, UnusableError

#: The built-in features, with the one that is a share.
BUILT_IN = {**oracle.BUILT_IN, "boosted_share": Feature("boosted_share", "share", "product", "invest", "boosted")}
STAGES = {"new": 0, "growth": 3, "mature": 10}


@dataclass(frozen=True)
class Table:
    """Rows in order, and the counts beside them."""

    rows: list[Row]
    counts: dict[str, int]


@dataclass(frozen=True)
class Balance:
    day: date
    moment: Any
    value: float


@dataclass(frozen=True)
class World:
    """What the raw tables come to, and the rule: everything that a question over time needs."""

    people: list[Person]
    idle_days: int
    activity: Sequence[str] | None
    since: date
    until: date
    balances: Mapping[Any, list[Balance]] | None = None
    stage_by: str = "n_investments"
    stages: Mapping[str, float] = field(default_factory=lambda: STAGES)

    def observed(self, person: Person) -> bool:
        """Whether the log covers the whole life."""
        return person.registered >= self.since

    def active_days(self, person: Person, day: date) -> list[date]:
        """Days with activity up to the end of this day, that of registration among them where the log covers it."""
        days = person.active_days(self.activity) | ({person.registered} if self.observed(person) else set())
        return sorted(each for each in days if each <= day)

    def life(self, person: Person, day: date) -> Life:
        """The spells as the end of this day knows them."""
        return oracle.walk(person.registered, set(self.active_days(person, day)), self.idle_days, self.since, day)


def world(
    users: Iterable[Row],
    events: Iterable[Row],
    *,
    idle_days: int = 30,
    activity: Sequence[str] | None = ("login", "invest"),
    observed_from: date | None = None,
    observed_until: date | None = None,
    timestamps: str = "UTC",
    time_zone: str = "UTC",
    balances: Iterable[Row] | None = None,
    stage_by: str = "n_investments",
    stages: Mapping[str, float] | None = None,
) -> World:
    """Read the raw tables; the oracle's `read` says which rows can be used."""
    log = oracle.read(
        users, events, activity=activity, observed_from=observed_from, observed_until=observed_until,
        timestamps=timestamps, time_zone=time_zone,
    )  # fmt: skip
    known = None if balances is None else read_balances(balances, log.people, (timestamps, time_zone))
    return World(
        log.people, idle_days, activity, log.observed_from, log.observed_until, known, stage_by, stages or STAGES
    )


def read_balances(rows: Iterable[Row], people: list[Person], clock: tuple[str, str]) -> dict[Any, list[Balance]]:
    """The balances that can be used, by user."""
    found: dict[Any, list[Balance]] = {person.user_id: [] for person in people}
    for row in rows:
        try:
            day, value = oracle.day_of(row["date"], *clock), oracle.amount_of(row["balance"])
        except UnusableError:
            continue
        if value is not None and row["user_id"] in found:
            found[row["user_id"]].append(Balance(day, row["date"], float(value)))
    return found


def attributes_of(person: Person) -> Row:
    """What does not change: as given, then the day and month of registration."""
    return {**person.attributes, **oracle.attributes_of(person)}


# ------------------------------------------------------------------------------------------------ features of a day


def features_at(world: World, person: Person, day: date, features: Sequence[str | Feature]) -> Row:
    """The features at the end of this day, from the events up to it."""
    return {each if isinstance(each, str) else each.name: feature_at(world, person, day, each) for each in features}


def feature_at(world: World, person: Person, day: date, feature: str | Feature) -> Any:
    if feature == "stage":
        return stage_at(world, person, day)
    if feature == "balance":
        return balance_at(world, person, day)
    asked = BUILT_IN[feature] if isinstance(feature, str) else feature
    if asked.agg == "share":
        assert asked.column is not None
        everything = Feature(asked.name, "count", kind=asked.kind, last=asked.last)
        values = [getattr(event, asked.column) for event in oracle.matching(everything, person.events, day)]
        return sum(value == asked.equals for value in values) / len(values) if values else asked.empty
    return oracle.aggregate(asked, oracle.matching(asked, person.events, day))


def stage_at(world: World, person: Person, day: date) -> str | None:
    """The last stage whose start has been reached; none before registration."""
    if day < person.registered:
        return None
    value = feature_at(world, person, day, world.stage_by)
    return [name for name, start in world.stages.items() if value >= start][-1]


def balance_at(world: World, person: Person, day: date) -> float | None:
    """The last balance known (latest day, latest time, of equal times the highest), else paid in less taken out."""
    if day < person.registered:
        return None
    if world.balances is not None:
        known = [each for each in world.balances[person.user_id] if each.day <= day]
        return max(known, key=lambda each: (each.day, each.moment, each.value)).value if known else None
    moved = [event for event in person.events if event.day <= day and event.amount is not None]
    paid_in = sum(event.amount for event in moved if event.amount is not None and event.kind == "invest")
    taken_out = sum(event.amount for event in moved if event.amount is not None and event.kind == "redeem")
    return float(paid_in - taken_out)


# ---------------------------------------------------------------------------------------------------- history


def history(
    world: World,
    features: Sequence[str | Feature] = (),
    *,
    every: int | None = None,
    lag: int | None = None,
    spells: str = "all",
    left_truncated: str = "exclude",
) -> Table:
    """Rows (start, stop] of every spell: one day at a time, each with the features of `lag` days before."""
    lag = default_lag(world, features) if lag is None else lag
    rows: list[Row] = []
    kept: list[Row] = []
    left_out: Counter[str] = Counter()
    for person in world.people:
        life = world.life(person, world.until)
        left_out["undetermined"] += life.undetermined
        left_out["not_seen"] += life.not_seen
        left_out["first_spell_unseen"] += bool(life.spells) and life.spells[0]["spell"] > 1
        for spell in life.spells:
            if spells == "first" and spell["spell"] > 1:
                continue
            if left_truncated == "exclude" and not spell["origin_known"]:
                left_out["left_truncated_excluded"] += 1
            elif features and not world.observed(person):
                left_out["life_not_observed"] += 1
            elif spell["duration"] == spell["entry"]:
                left_out["no_risk"] += 1
            else:
                kept.append(spell | {"user_id": person.user_id})
                rows += spell_rows(world, person, spell, features, every=every, lag=lag)
    names = (
        "left_truncated_excluded", "undetermined", "not_seen", "first_spell_unseen", "life_not_observed", "no_risk",
    )  # fmt: skip
    counts = {
        "users": len({row["user_id"] for row in kept}),
        "spells": len(kept),
        "rows": len(rows),
        "churned": sum(row["churned"] for row in kept),
        "censored": sum(not row["churned"] for row in kept),
        "returned": sum(row["spell"] > 1 for row in kept),
        **{name: left_out[name] for name in names},
        "person_days": sum(row["duration"] - row["entry"] for row in kept),
    }
    return Table(rows, counts)


def default_lag(world: World, features: Sequence[str | Feature]) -> int:
    """Twice the idle days, and three times where a feature looks at the last days alone."""
    looks_at_last_days = any(isinstance(each, Feature) and each.last is not None for each in features)
    return (3 if looks_at_last_days else 2) * world.idle_days


def spell_rows(
    world: World, person: Person, spell: Row, features: Sequence[str | Feature], *, every: int | None, lag: int
) -> list[Row]:
    rows: list[Row] = []
    known: Row = {}
    for start in range(spell["entry"], spell["duration"]):
        on_grid = every is not None and start % every == 0
        if every is None or on_grid or not rows:
            new = features_at(world, person, spell["origin"] + (start - lag) * DAY, features)
        if rows and not on_grid and (every is not None or new == known):
            rows[-1]["stop"] = start + 1
            continue
        known = new
        rows.append({
            "user_id": person.user_id,
            "spell": spell["spell"],
            "origin": spell["origin"],
            "start": start,
            "stop": start + 1,
            "churned": False,
            **attributes_of(person),
            **known,
        })  # fmt: skip
    rows[-1]["churned"] = spell["churned"]
    return rows


# -------------------------------------------------------------------------------------------------- states of a day


def state_at(world: World, person: Person, day: date) -> Row | None:
    """What the end of this day knows of a living user; None for others."""
    days = world.active_days(person, day)
    if person.registered > day or not days or (day - days[-1]).days >= world.idle_days:
        return None
    known = world.life(person, day)
    last = known.spells[-1] if known.spells else {"spell": 1, "origin": person.registered, "churned": False}
    assert not last["churned"]
    assert known.spells or known.undetermined
    between = [(later - sooner).days for sooner, later in pairwise(days)]
    return {
        "spell": last["spell"],
        "spell_day": (day - last["origin"]).days,
        "tenure": (day - person.registered).days,
        "idle_days": (day - days[-1]).days,
        "active_days": len(days),
        "mean_interval": sum(between) / len(between) if between else None,
        "last_interval": between[-1] if between else None,
        "life_observed": world.observed(person),
    }


def outcome(world: World, person: Person, day: date, horizon: int) -> Row:
    """Whether the spell alive on this day ends in churn within the horizon, and after how many days."""
    alive = state_at(world, person, day)
    assert alive is not None
    for spell in world.life(person, day + horizon * DAY).spells:
        if spell["spell"] == alive["spell"] and spell["churned"]:
            return {"churned": True, "duration": (spell["end_date"] - day).days}
    return {"churned": False, "duration": horizon}


def states(world: World, days: Sequence[date], features: Sequence[str | Feature], horizon: int | None = None) -> Table:
    """Every living user on every day, in the order of day and user; with a horizon also what came of it."""
    rows = []
    for day in days:
        for person in sorted(world.people, key=lambda each: each.user_id):
            state = state_at(world, person, day)
            if state is not None:
                after = {} if horizon is None else outcome(world, person, day, horizon)
                known = features_at(world, person, day, features)
                row = {"user_id": person.user_id, "date": day, **after, **state}
                rows.append(row | attributes_of(person) | known)
    counts = {
        "rows": len(rows),
        "users": len({row["user_id"] for row in rows}),
        "landmarks": len(days),
        "life_not_observed": sum(not row["life_observed"] for row in rows),
    }
    return Table(rows, counts if horizon is None else {**counts, "churned": sum(row["churned"] for row in rows)})


def landmarks(world: World, every: int, horizon: int) -> list[date]:
    """Every `every` days from the first day, as long as the outcome is complete."""
    found = []
    day = world.since
    while day + horizon * DAY <= world.until:
        found.append(day)
        day += every * DAY
    return found


def landmark_panel(
    world: World, features: Sequence[str | Feature] = (), *, every: int = 7, horizon: int | None = None
) -> Table:
    horizon = world.idle_days if horizon is None else horizon
    return states(world, landmarks(world, every, horizon), features, horizon)


def snapshot(world: World, day: date, features: Sequence[str | Feature] = ()) -> Table:
    return states(world, [day], features)


# ---------------------------------------------------------------------------------------------------------- gaps


def gaps(world: World, features: Sequence[str | Feature] = ()) -> Table:
    """From each active day to the next, or to the end of the log."""
    rows: list[Row] = []
    not_seen = 0
    for person in sorted(world.people, key=lambda each: each.user_id):
        days = world.active_days(person, world.until)
        not_seen += not days
        for number, start in enumerate(days, start=1):
            returns = number < len(days)
            until = days[number] if returns else world.until
            state = state_at(world, person, start)
            assert state is not None
            assert state["idle_days"] == 0
            rows.append({
                "user_id": person.user_id,
                "gap": number,
                "start_date": start,
                "entry": 0,
                "duration": (until - start).days,
                "returned": returns,
                "registration_gap": start == person.registered,
                **{name: value for name, value in state.items() if name not in ("spell_day", "idle_days")},
                **attributes_of(person),
                **features_at(world, person, start, features),
            })  # fmt: skip
    counts = {
        "users": len({row["user_id"] for row in rows}),
        "gaps": len(rows),
        "returned": sum(row["returned"] for row in rows),
        "censored": sum(not row["returned"] for row in rows),
        "registration_gaps": sum(row["registration_gap"] for row in rows),
        "not_seen": not_seen,
        "no_risk": sum(row["duration"] == 0 for row in rows),
        "person_days": sum(row["duration"] for row in rows),
    }
    return Table(rows, counts)
