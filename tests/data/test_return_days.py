"""Who could return on each day, and who did: held against a walk over users and days, on DuckDB and on Spark."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from churnsurv.data import ActivityLog, connect
from churnsurv.data.return_days import ReturnDays, return_days
from churnsurv.errors import InputError
from churnsurv.simulation import simulate_app
from tests.data.lives import IDLE, LAST, Lives, active_days, date_of, lives
from tests.data.small import log_of
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.property.worlds_over_time import OverTime, worlds_over_time

Counts = Counter[tuple[Any, ...]]


def counted(found: ReturnDays) -> tuple[Counts, Counts]:
    """At risk and returned by (values of the group, day, idle day)."""
    at_risk: Counts = Counter()
    returned: Counts = Counter()
    table = found.table()
    for row in table.astype(object).itertuples(index=False):
        *values, day, idle, n, back = row
        key = (*(None if pd.isna(value) else value for value in values), day.date(), idle)
        at_risk[key] += n
        returned[key] += back
    assert not (at_risk.total() == 0 and returned.total())
    return at_risk, +returned


def walked(active: dict[Any, list[date]], group: Any, first: date, last: date, longest: int) -> tuple[Counts, Counts]:
    """The same, user by user and day by day. `group` is asked for (user, last active day)."""
    at_risk: Counts = Counter()
    returned: Counts = Counter()
    for user, days in active.items():
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            before = [each for each in days if each < day]
            if not before:
                continue
            idle = (day - before[-1]).days - 1
            if idle > longest:
                continue
            key = (*group(user, before[-1]), day, idle)
            at_risk[key] += 1
            returned[key] += day in days
    return at_risk, +returned


def of_lives(some: Lives) -> dict[int, list[date]]:
    return {user: [date_of(day).date() for day in active_days(some, user, LAST)] for user in some.registered}


def test_days_by_hand() -> None:
    """Ten idle days. User 2 was there before the log and is seen from 5 January on."""
    users = {1: "2024-01-01", 2: "2023-12-20", 3: "2024-01-20"}
    events = [(1, "2024-01-01 20:00"), (1, "2024-01-11"), (2, "2024-01-05"), (1, "2024-01-12"), (1, "2024-01-12")]
    log = log_of(users, events, idle_days=10, observed_from="2024-01-01", observed_until="2024-01-20")
    found = return_days(log)
    assert found.at_risk.shape == (1, 19, 10)
    assert (found.by, found.n_groups, found.longest, found.idle_days) == ((), 1, 9, 10)
    assert str(found.complete_from) == "2024-01-11"
    day = {str(each): place for place, each in enumerate(found.days)}
    # User 1 is saved on the tenth day, on which activity is still a return of the living.
    assert found.at_risk[0, day["2024-01-11"]].nonzero()[0].tolist() == [5, 9]
    assert found.returned[0, day["2024-01-11"]].nonzero()[0].tolist() == [9]
    assert found.returned[0, day["2024-01-12"]].nonzero()[0].tolist() == [0]
    assert found.returned.sum() == 2
    # User 2 churned on the 15th, and is at risk for the last time on that day.
    assert [int(found.at_risk[0, day[f"2024-01-{d}"], 9]) for d in (14, 15, 16)] == [0, 1, 0]
    churned = return_days(log, longest=12, first="2024-01-16", last="2024-01-17")
    assert churned.at_risk[0].sum(axis=0)[10:].tolist() == [1, 1, 0]
    since = return_days(log, registration=True)
    assert since.groups["registration_gap"].tolist() == [False, True]
    assert since.at_risk.sum(axis=(1, 2)).tolist() == [1 + 8 + 10, 10]
    np.testing.assert_array_equal(since.at_risk.sum(axis=0), found.at_risk[0])
    with pytest.raises(ValueError, match="read-only"):
        found.at_risk[0, 0, 0] = 1


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_a_walk(seed: int) -> None:
    some = lives(seed)
    log, active = some.log(), of_lives(some)
    channel = lambda user, _: ("ab"[user % 2],)  # noqa: E731
    first, last = log.observed_from + timedelta(days=1), log.observed_until
    assert counted(return_days(log, "channel")) == walked(active, channel, first, last, IDLE - 1)
    part = (first + timedelta(days=20), last - timedelta(days=15))
    asked = {"first": part[0], "last": part[1], "longest": 11}
    assert counted(return_days(log, **asked)) == walked(active, lambda *_: (), *part, 11)
    since = lambda user, day: ("ab"[user % 2], day == date_of(some.registered[user]).date())  # noqa: E731
    assert counted(return_days(log, ["channel"], registration=True)) == walked(active, since, first, last, IDLE - 1)


def test_the_stage_is_that_of_the_last_active_day() -> None:
    log = simulate_app(60, seed=3, campaigns=()).log
    events = log.gaps(features=["stage"]).table
    stage = {(row.user_id, row.start_date.date()): row.stage for row in events.itertuples()}
    active: dict[Any, list[date]] = {}
    for user, day in stage:
        active.setdefault(user, []).append(day)
    first, last = date(2024, 3, 1), date(2024, 4, 15)
    found = return_days(log, "stage", first=first, last=last)
    expected = walked({u: sorted(days) for u, days in active.items()}, lambda u, d: (stage[u, d],), first, last, 29)
    assert counted(found) == expected
    assert expected[0].total() > 250


@settings(max_examples=7)
@given(worlds_over_time())
def test_counts_are_those_of_the_gaps_in_any_world(some: OverTime) -> None:
    log = some.log()
    if (log.observed_until - log.observed_from).days < 1:
        with pytest.raises(InputError, match="must lie between"):
            return_days(log, "channel")
        return
    found, gaps = return_days(log, "channel", longest=400), log.gaps().table
    assert found.returned.sum() == gaps["returned"].sum()
    assert found.at_risk.sum() == gaps["duration"].clip(upper=401).sum()


def test_nothing_after_the_last_day_counts() -> None:
    """Counts of a day are the same in the log as it was known on that day: nothing looks ahead."""
    log = lives(5).log()
    day = date_of(40).date()
    early, late = return_days(log.as_of(day), "channel"), return_days(log, "channel", last=day)
    np.testing.assert_array_equal(early.at_risk, late.at_risk)
    np.testing.assert_array_equal(early.returned, late.returned)


def test_wrong_questions() -> None:
    log: ActivityLog = lives(1).log()
    with pytest.raises(InputError, match=r"there is no variable 'chanel'\. Did you mean 'channel'"):
        return_days(log, "chanel")
    outside: list[dict[str, Any]] = [{"first": date_of(0).date()}, {"last": date_of(LAST + 1).date()}]
    for asked in (*outside, {"first": "2024-02-02", "last": "2024-02-01"}):
        with pytest.raises(InputError, match="in this order"):
            return_days(log, **asked)
    with pytest.raises(InputError, match="longest must be a whole number"):
        return_days(log, longest=-1)


@on_spark
def test_spark_gives_the_same(spark: Any) -> None:  # noqa: F811
    some = lives(2)
    log = some.log()
    with connect(spark=spark) as engine:
        other = some.log(engine=engine)
        for asked in ({"by": ("channel", "stage"), "registration": True}, {"by": "channel", "longest": 20}):
            ours, theirs = return_days(log, **asked), return_days(other, **asked)
            np.testing.assert_array_equal(ours.at_risk, theirs.at_risk)
            np.testing.assert_array_equal(ours.returned, theirs.returned)
            pd.testing.assert_frame_equal(ours.groups, theirs.groups)
