"""Every reason for a reject, its value and its place, and the order in which reasons apply."""

from __future__ import annotations

import math
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule
from churnsurv.tables import schema
from tests.data.small import events_of, log_of, spells_of, users_of

GOOD = (1, "2024-01-10")


def rejects_of(log: ActivityLog) -> list[tuple[Any, ...]]:
    table = log.rejects
    assert tuple(table.columns) == schema("rejects").names
    return [tuple(None if pd.isna(value) else value for value in row) for row in table.itertuples(index=False)]


@cache
def spells_without_the_event(until: date) -> list[tuple[Any, ...]]:
    return spells_of(log_of({1: "2024-01-01"}, [GOOD], observed_until=until))


@pytest.mark.parametrize(
    ("event", "reason", "value"),
    [
        ((None, "2024-01-10"), "missing_user_id", None),
        ((7, "2024-01-10"), "unknown_user", "7"),
        ((1, None), "missing_date", None),
        ((1, " "), "missing_date", None),
        ((1, "10.01.2024"), "unparsable_date", "10.01.2024"),
        ((1, "2024-02-30"), "unparsable_date", "2024-02-30"),
        ((1, "infinity"), "unparsable_date", "infinity"),
        ((1, "2024-01-10", None), "missing_kind", None),
        ((1, "2024-01-10", ""), "missing_kind", None),
        ((1, "2023-12-31 23:59"), "before_registration", "2023-12-31 23:59"),
        ((1, "2024-01-10", "login", math.inf), "amount_not_a_number", "inf"),
        ((1, "2024-01-10", "login", "1,5"), "amount_not_a_number", "1,5"),
        ((1, "2024-01-10", "view", -math.inf), "amount_not_a_number", "-inf"),
    ],
)
def test_event_rejects(event: tuple[Any, ...], reason: str, value: str | None) -> None:
    log = log_of({1: "2024-01-01"}, [GOOD, event])
    user = None if event[0] is None else str(event[0])
    assert rejects_of(log) == [("events", 1, user, reason, value)]
    assert log.counts["events_rejected"] == 1
    assert log.counts["events"] == 1
    assert log.churn_spells().rejects.equals(log.rejects)
    assert spells_of(log) == spells_without_the_event(log.observed_until)


def test_the_first_reason_in_order_is_given() -> None:
    bad: list[tuple[Any, ...]] = [
        (None, "x", None, math.inf),
        (7, "x", None, math.inf),
        (1, None, None, math.inf),
        (1, "x", None, math.inf),
        (1, "2023-01-01", None, math.inf),
        (1, "2023-01-01", "login", math.inf),
        (1, "2024-01-10", "login", math.inf),
    ]
    log = log_of({1: "2024-01-01"}, [GOOD, *bad], observed_from="2024-01-01")
    assert [row[3] for row in rejects_of(log)] == [
        "missing_user_id",
        "unknown_user",
        "missing_date",
        "unparsable_date",
        "missing_kind",
        "before_registration",
        "amount_not_a_number",
    ]


def test_missing_amounts_are_no_rejects() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-10", "login", math.nan), (1, "2024-01-11", "login", None)])
    assert rejects_of(log) == []
    assert log.counts["events"] == 2


def test_a_reject_is_a_matter_of_the_row_and_not_of_the_rule() -> None:
    log = log_of({1: "2024-01-01"}, [GOOD, (1, "2024-01-12", None)])
    every = log_of({1: "2024-01-01"}, [GOOD, (1, "2024-01-12", None)], rule=ChurnRule(activity=None))
    assert rejects_of(every) == rejects_of(log) == [("events", 1, "1", "missing_kind", None)]


def test_user_rejects() -> None:
    users = pd.DataFrame(
        {
            "user_id": ["a", None, "c", "d", "e", "a"],
            "registered_at": ["2024-01-02", "2024-01-01", None, "soon", "2024-02-01", "2024-01-04"],
        }
    )
    log = ActivityLog(events_of([("a", "2024-01-10"), ("e", "2024-01-09"), ("d", "2024-01-09")]), users)
    assert rejects_of(log) == [
        ("users", 1, None, "missing_user_id", None),
        ("users", 2, "c", "missing_date", None),
        ("users", 3, "d", "unparsable_date", "soon"),
        ("users", 4, "e", "registered_after_window", "2024-02-01"),
        ("users", 5, "a", "duplicate_user", "2024-01-04"),
        ("events", 1, "e", "before_registration", "2024-01-09"),
        ("events", 2, "d", "unknown_user", "d"),
    ]
    assert log.counts["users_read"] == 6
    assert log.counts["users"] == 1
    assert log.counts["users_rejected"] == 5


def test_events_of_users_registered_after_the_window_are_outside_it() -> None:
    log = log_of({1: "2024-01-01", 2: "2024-02-02"}, [GOOD, (2, "2024-02-03")], observed_until="2024-02-01")
    assert [row[3] for row in rejects_of(log)] == ["registered_after_window"]
    assert log.counts["outside_window"] == 1


def test_equal_user_rows_collapse_and_conflicting_ones_keep_the_earliest() -> None:
    users = pd.DataFrame(
        {
            "user_id": [1, 2, 1, 2, 2, 3, 3],
            "registered_at": [f"2024-01-0{day}" for day in (5, 2, 5, 1, 2, 3, 3)],
            "channel": ["x", "x", "x", "y", "x", "p", "q"],
        }
    )
    log = ActivityLog(events_of([(1, "2024-01-10")]), users)
    table = log.churn_spells().table
    assert table["channel"].tolist() == ["x", "y", "p"]
    assert table["origin"].dt.day.tolist() == [5, 1, 3]
    assert log.counts["equal_users_collapsed"] == 2
    assert [row[:4] for row in rejects_of(log)] == [
        ("users", 1, "2", "duplicate_user"),
        ("users", 6, "3", "duplicate_user"),
    ]
    assert log.counts["users_read"] == 7 == log.counts["users"] + log.counts["users_rejected"] + 2


def test_equal_event_rows_are_kept_and_counted() -> None:
    log = log_of({1: "2024-01-01"}, [GOOD, GOOD, (1, "2024-01-10", "login", 2.0), (1, "2024-01-11"), GOOD])
    assert log.counts["equal_events"] == 3
    assert log.counts["events"] == 5


def test_rejects_of_a_csv_have_the_value_as_found_and_the_row(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "user_id,event_at,kind,amount\n1,2024-01-10,login,\n1,yesterday,login,\n1,2024-01-11,login,12 EUR\n"
        "2,2024-01-12T25:00,login,\n,2024-01-13,login,3\n"
    )
    (tmp_path / "users.csv").write_text("user_id,registered_at,age\n1,2024-01-01,30\n2,2024-01-02,x\n3,never,5\n")
    log = ActivityLog(tmp_path / "events.csv", tmp_path / "users.csv")
    assert rejects_of(log) == [
        ("users", 2, "3", "unparsable_date", "never"),
        ("events", 1, "1", "unparsable_date", "yesterday"),
        ("events", 2, "1", "amount_not_a_number", "12 EUR"),
        ("events", 3, "2", "unparsable_date", "2024-01-12T25:00"),
        ("events", 4, None, "missing_user_id", None),
    ]


def test_balance_rejects() -> None:
    balances = pd.DataFrame(
        {
            "user_id": [1, None, 8, 1, 1, 1, 1, 1],
            "date": ["2024-01-02", "2024-01-02", "2024-01-02", None, "often", "2024-01-03", "2024-01-03", "2024-01-04"],
            "balance": [5.0, 5.0, 5.0, 5.0, 5.0, math.inf, math.nan, 7.0],
        }
    )
    log = ActivityLog(events_of([GOOD]), users_of({1: "2024-01-01"}), balances=balances)
    assert [row[1:4] for row in rejects_of(log)] == [
        (1, None, "missing_user_id"),
        (2, "8", "unknown_user"),
        (3, "1", "missing_date"),
        (4, "1", "unparsable_date"),
        (5, "1", "balance_not_a_number"),
        (6, "1", "balance_not_a_number"),
    ]
    assert {row[0] for row in rejects_of(log)} == {"balances"}


def test_positions_are_those_of_a_long_source() -> None:
    events = pd.DataFrame({"user_id": 1, "event_at": pd.Timestamp("2024-01-10"), "kind": "login"}, index=range(300_000))
    events.loc[[5, 123_456, 299_999], "kind"] = None
    log = ActivityLog(events, users_of({1: "2024-01-01"}))
    assert [row[1] for row in rejects_of(log)] == [5, 123_456, 299_999]
