"""Rows of a day: every row of the tables is counted on its own day, in the zone whose midnight ends it."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data.day_counts import day_counts
from tests.data.spark import on_spark, spark  # noqa: F401

DAYS = {"first": date(2024, 3, 8), "last": date(2024, 3, 11)}
#: New York sets its clocks forward on 10 March 2024.
UTC = [
    "2024-03-09 04:59:00",
    "2024-03-09 05:00:00",
    "2024-03-10 04:50:00",
    "2024-03-11 03:59:00",
    "2024-03-11 04:10:00",
]
LOCAL = [("2024-03-08", 23), ("2024-03-09", 0), ("2024-03-09", 23), ("2024-03-10", 23), ("2024-03-11", 0)]


def log_of(event_at: Any, **further: Any) -> ch.ActivityLog:
    users = pd.DataFrame({"user_id": [1, 2], "registered_at": ["2024-03-01", "2024-03-10"]})
    events = pd.DataFrame({"user_id": 1, "event_at": event_at, "kind": "login"})
    return ch.ActivityLog(events, users, observed_from="2024-03-01", observed_until="2024-03-31", **further)


@pytest.mark.parametrize("form", ["naive", "aware", "text"])
def test_the_time_of_day_is_that_of_the_zone_whose_midnight_ends_the_day(form: str) -> None:
    moments = pd.to_datetime(pd.Series(UTC))
    given = {
        "naive": moments,
        "aware": moments.dt.tz_localize("UTC"),
        "text": pd.Series(UTC) + "+00:00",
    }[form]
    counts = day_counts(log_of(given, time_zone="America/New_York"), **DAYS)
    assert counts.parts is not None
    found = [
        (str(counts.days[day]), int(part) // 4)
        for day, part in zip(*np.nonzero(counts.parts), strict=True)
        for _ in range(counts.parts[day, part])
    ]
    assert found == LOCAL


def test_days_without_times_have_no_parts() -> None:
    counts = day_counts(log_of([date(2024, 3, 9)] * 2), **DAYS)
    assert counts.parts is None
    assert counts.all_events.tolist() == [0, 2, 0, 0]
    assert day_counts(log_of(["2024-03-09", "2024-03-10"]), **DAYS).parts is None


def every_count(**further: Any) -> dict[str, list[int]]:
    users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-03-01", "2024-03-10"]})
    rows = [
        ("a", "2024-03-09 10:00", "login"), ("a", "2024-03-09 11:00", "invest"), ("b", "2024-03-10 12:00", "login"),
        ("b", "2024-03-09 12:00", "login"), ("who", "2024-03-09 12:00", "login"), ("a", "2024-03-11 12:00", "view"),
        ("a", "2024-03-12 12:00", "login"), ("a", "soon", "login"),
    ]  # fmt: skip
    events = pd.DataFrame(rows, columns=["user_id", "event_at", "kind"])
    balances = pd.DataFrame({"user_id": ["a", "who"], "date": ["2024-03-09", "2024-03-11"], "balance": [5.0, 7.0]})
    log = ch.ActivityLog(
        events, users, balances=balances, observed_from="2024-03-01", observed_until="2024-03-31", **further
    )
    counts = day_counts(log, **DAYS)
    assert counts.balances is not None
    return {
        **{kind: values.tolist() for kind, values in counts.events.items()},
        "active": counts.active_users.tolist(),
        "registered": counts.registrations.tolist(),
        "balances": counts.balances.tolist(),
        **{f"bad {table}": values.tolist() for table, values in counts.rejected.items()},
    }


EXPECTED = {
    "invest": [0, 1, 0, 0],
    "login": [0, 1, 1, 0],
    "view": [0, 0, 0, 1],
    "active": [0, 1, 1, 0],
    "registered": [0, 0, 1, 0],
    "balances": [0, 1, 0, 0],
    "bad events": [0, 2, 0, 0],  # before registration, and of an unknown user
    "bad balances": [0, 0, 0, 1],
}


def test_every_row_with_a_day_is_counted_once() -> None:
    assert every_count() == EXPECTED


@on_spark
def test_spark_counts_the_same(spark: Any) -> None:  # noqa: F811
    assert every_count(engine=ch.connect(spark=spark)) == EXPECTED
