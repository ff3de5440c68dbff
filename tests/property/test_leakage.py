"""Nothing that a table says of day D may depend on what happened after it.

Each test takes a random log, a random day D and two other futures: none at all, and random events, balances and users
in the place of those that there were. What is known at the end of day D must be the same three times. The window is
stated, so that it does not move.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning
from tests import oracle, oracle_over_time
from tests.oracle import Feature, UnusableError
from tests.property.test_over_time import plain, some_features
from tests.property.test_spells import profile
from tests.property.worlds import DAY, START, Maker, World
from tests.property.worlds_over_time import FEATURES, OverTime, after, ours, worlds_over_time

Rows = list[dict[str, Any]]
#: What only the end of a spell or a gap tells.
OUTCOME = ("churned", "duration", "last_activity", "end_date", "returned")


@dataclass(frozen=True)
class Futures:
    """A log, a day, and the same log with other futures after that day."""

    day: date
    log: OverTime
    without: OverTime
    other: OverTime

    def agree(self, known: Callable[[ch.ActivityLog], dict[str, Any]]) -> None:
        """What is known on the day is the same in all of them, table by table."""
        expected = known(self.log.log())
        for future in (self.without, self.other):
            found = known(future.log())
            for table, rows in expected.items():
                assert found[table] == rows, table


@st.composite
def futures(draw: st.DrawFn) -> Futures:
    log = draw(worlds_over_time(stated=True))
    since, until = log.world.observed_from, log.world.observed_until
    assert since is not None
    assert until is not None
    # One user of every world is active on the first day: no future leaves a table empty.
    day = START + draw(st.integers(0, max((until - START).days, 0))) * DAY
    rng = draw(st.randoms(use_true_random=True))
    past = up_to(log, day)
    return Futures(day, log, past, another_future(past, day, rng))


def up_to(log: OverTime, day: date) -> OverTime:
    """The log without the events, balances and users of later days; rows without a readable day stay."""
    world, balances = log.world, log.balances
    users = [row for row in world.users if not later(row["registered_at"], day, world)]
    events = [row for row in world.events if not later(row["event_at"], day, world)]
    if balances is not None:
        known = [row for row in balances if not later(row["date"], day, world)]
        # A table must have rows; this one can't be used.
        balances = known or [balances[0] | {"user_id": None}]
    return replace(log, world=world.but(users=users, events=events), balances=balances)


def later(moment: object, day: date, world: World) -> bool:
    try:
        return oracle.day_of(moment, "UTC", world.time_zone) > day
    except UnusableError:
        return False


def another_future(past: OverTime, day: date, rng: Random) -> OverTime:
    """Random events, balances and users on the days after."""
    world, n = past.world, (day - START).days
    maker = Maker(rng, world.idle_days, 60, world.clock, world.integer_ids)
    # Two days on, since a zone may turn the time of one day into another.
    new = [
        {"user_id": maker.user_id(500 + i), "registered_at": maker.moment(n + 2 + i), "channel": "late"}
        for i in range(rng.choice((0, 1, 4)))
    ]
    world = world.but(users=world.users + new)
    events = world.events + after(n, rng, world, rng.choice((1, 10, 60)))
    balances = past.balances
    if balances is not None:
        at = (maker.moment(n + 2, hour=12) if world.clock in ("time", "aware") else START + (n + 2) * DAY,)
        row = {"date": str(at[0]) if world.clock == "text" else at[0], "balance": 123_456.0}
        balances = balances + [row | {"user_id": user["user_id"]} for user in world.users]
    return replace(past, world=world.but(events=events), balances=balances)


def without(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


# --------------------------------------------------------------------------------------- what is known, by builder


def of_spells(spells: ch.Spells, day: date) -> Rows:
    """Churned spells as they are; of others what their day of entry knows."""
    rows = []
    for row in plain(spells.table):
        if row["churned"] and row["end_date"] <= day:
            rows.append(row)
        elif row["origin"] + row["entry"] * DAY <= day:
            rows.append(without(row, OUTCOME))
    return rows


def of_panel(panel: Any, day: date, horizon: int) -> Rows:
    """The states of landmarks up to the day, and the outcomes that are complete by then."""
    rows = [row for row in plain(panel.table) if row["date"] <= day]
    return [row if row["date"] + horizon * DAY <= day else without(row, OUTCOME) for row in rows]


def of_gaps(gaps: Any, day: date) -> Rows:
    """Gaps that are over as they are; of others their start."""
    rows = [row for row in plain(gaps.table) if row["start_date"] <= day]
    return [row if row["start_date"] + row["duration"] * DAY <= day else without(row, OUTCOME) for row in rows]


def of_history(history: Any, day: date) -> Rows:
    """The rows that lie behind."""
    return [row for row in plain(history.table) if row["origin"] + row["stop"] * DAY <= day]


def features_of_user_days(history: Any, day: date) -> dict[tuple[Any, ...], Any]:
    """The features of each user-day, behind or ahead, that are those of this day or of days before."""
    found = {}
    for row in plain(history.table):
        for start in range(row["start"], row["stop"]):
            as_of = row["origin"] + ((start if history.every is None else row["start"]) - history.lag) * DAY
            if as_of <= day:
                found[row["user_id"], row["origin"], start] = without(row, ("spell", "start", "stop", "churned"))
    return found


@profile(4)
@given(
    futures(),
    some_features(),
    st.sampled_from(("exclude", "assume_first_spell")),
    st.integers(0, 9),
    st.integers(1, 9),
    st.sampled_from((1, 5, 20)),
)
def test_no_table_looks_ahead(
    given_: Futures,
    features: list[str | Feature],
    left_truncated: str,
    baseline_day: int,
    every: int,
    horizon: int,
) -> None:
    asked, day = ours(features), given_.day

    def known(log: ch.ActivityLog) -> dict[str, Any]:
        baseline = {"features": asked, "baseline_day": baseline_day}
        snapshot = log.snapshot(day, features=asked)
        tables: dict[str, Any] = {
            "spells": of_spells(log.churn_spells(spells="all", left_truncated=left_truncated, **baseline), day),
            "gaps": of_gaps(log.gaps(features=asked), day),
            "snapshot": (plain(snapshot.table), dict(snapshot.counts)),
        }
        if oracle_over_time.landmarks(given_.log.oracle(), every, horizon):
            panel = log.landmark_panel(features=asked, every=every, horizon=horizon)
            tables["panel"] = of_panel(panel, day, horizon)
        return tables

    given_.agree(known)


@profile(4)
@given(futures(), some_features(), st.sampled_from((None, None, 1, 5)), st.sampled_from((1, 2)))
def test_no_history_looks_ahead(given_: Futures, features: list[str | Feature], every: int | None, times: int) -> None:
    lag = times * given_.log.world.idle_days

    def history(log: OverTime) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChurnsurvWarning)  # that the lag is short
            return log.log().history(features=ours(features), every=every, lag=lag)

    expected = history(given_.log)
    behind, of_days = of_history(expected, given_.day), features_of_user_days(expected, given_.day)
    for future in (given_.without, given_.other):
        found = history(future)
        assert of_history(found, given_.day) == behind
        # Whether a user-day of the future exists at all is the future's to say; what it knows of the past is not.
        days = features_of_user_days(found, given_.day)
        both = days.keys() & of_days.keys()
        assert {key: days[key] for key in both} == {key: of_days[key] for key in both}


@profile(2)
@given(futures(), some_features(), st.integers(0, 9))
def test_the_log_as_it_was_known(given_: Futures, features: list[str | Feature], baseline_day: int) -> None:
    """as_of(D) of any future is the log that ended on day D."""

    def tables(log: ch.ActivityLog) -> dict[str, Any]:
        asked = ours(features)
        results: dict[str, Any] = {
            "spells": log.churn_spells(spells="all", left_truncated="assume_first_spell"),
            "baseline": log.churn_spells(spells="all", features=asked, baseline_day=baseline_day),
            "history": log.history(features=asked),
            "gaps": log.gaps(features=asked),
            "snapshot": log.snapshot(log.observed_until, features=asked),
        }
        if (log.observed_until - log.observed_from).days >= 3:
            results["panel"] = log.landmark_panel(features=asked, every=2, horizon=3)
        return {name: (plain(result.table), dict(result.counts)) for name, result in results.items()}

    def known(log: ch.ActivityLog) -> dict[str, Any]:
        then = log.as_of(str(given_.day))
        assert (then.observed_from, then.observed_until) == (log.observed_from, given_.day)
        return tables(then)

    given_.agree(known)
    ended = replace(given_.log, world=given_.log.world.but(observed_until=given_.day))
    assert known(given_.log.log()) == tables(ended.log())


# ------------------------------------------------------------------------------------------------ is it a hard test

#: Older hypothesis writes down an example that it finds, and warns that it is long.
long_examples = pytest.mark.filterwarnings("ignore:Generating overly large repr")


@long_examples
def test_the_futures_differ() -> None:
    """There are futures that would show: one that changes who churns, features and balances."""

    def shows(given_: Futures) -> bool:
        told, other = given_.log.oracle(), given_.other.oracle()
        rows, changed = (
            [row for row in oracle_over_time.gaps(world, ["balance"]).rows if row["start_date"] <= given_.day]
            for world in (told, other)
        )
        later_on = oracle_over_time.history(told, ["balance"]).rows != oracle_over_time.history(other, ["balance"]).rows
        return rows != changed and later_on and len(rows) > 5

    find(futures(), shows, settings=settings(profile(2000), phases=[Phase.generate]))


@long_examples
def test_a_table_that_looked_ahead_would_be_caught() -> None:
    """The features of a snapshot taken from the whole log, as a careless join does, change with the future."""
    asked = [FEATURES[0]]

    def careless(log: OverTime, day: date) -> Rows:
        told = log.oracle()
        return [
            row | oracle_over_time.features_at(told, person, told.until, asked)
            for row in oracle_over_time.snapshot(told, day).rows
            for person in told.people
            if person.user_id == row["user_id"]
        ]

    def differs(given_: Futures) -> bool:
        return careless(given_.log, given_.day) != careless(given_.other, given_.day)

    find(futures(), differs, settings=settings(profile(500), phases=[Phase.generate]))
