"""One user's life in words, for each way in which a life can go."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule
from churnsurv.errors import InputError
from churnsurv.tables import schema
from tests.data.small import events_of, log_of, users_of


def told(log: ActivityLog, user: Any) -> list[tuple[Any, ...]]:
    table = log.story(user).table
    assert tuple(table.columns) == schema("story").names
    return [
        (
            None if pd.isna(row.date) else str(row.date.date()),
            None if pd.isna(row.spell) else int(row.spell),
            None if pd.isna(row.day) else int(row.day),
            row.what,
            row.detail,
        )
        for row in table.itertuples()
    ]


def test_a_life_with_churn_return_and_an_open_end() -> None:
    users = users_of({"a": "2024-01-01"}).assign(channel="分銷", age=[30])
    events = [
        ("a", "2024-01-05 08:00"),
        ("a", "2024-01-05 09:00"),
        ("a", "2024-01-05", "invest", 1_000.0),
        ("a", "2024-01-06", "view"),
        ("a", "2024-03-01", "invest", 50.5),
        ("a", "2024-04-01", "login"),
    ]
    log = ActivityLog(events_of(events), users, observed_until="2024-03-13")
    assert told(log, "a") == [
        ("2024-01-01", 1, 0, "registered", "channel 分銷, age 30"),
        ("2024-01-05", 1, 4, "active", "invest for 1,000.00, login 2 times"),
        ("2024-01-06", 1, 5, "other event", "view"),
        ("2024-02-04", 1, 34, "churned", "30 days without login or invest since 2024-01-05"),
        ("2024-03-01", 2, 0, "returned", "opens spell 2"),
        ("2024-03-01", 2, 0, "active", "invest for 50.50"),
        ("2024-03-13", 2, 12, "censored", "idle 12 of 30 days when the log ends"),
        ("2024-04-01", None, None, "outside window", "login"),
    ]
    story = log.story("a")
    assert repr(story) == "<Story: user a: 2 spells, 1 churn, 2 active days; 30 days without login or invest>"
    assert '"user_id": "a"' in story.to_json()
    assert "<table" in story._repr_html_()


def test_a_life_that_began_before_the_log() -> None:
    log = log_of(
        {1: "2023-12-01", 2: "2023-12-01", 3: "2023-12-01"},
        [(1, "2024-01-05"), (2, "2024-01-20"), (1, "2023-12-20")],
        idle_days=10,
        observed_from="2024-01-01",
        observed_until="2024-01-25",
    )
    assert [row[:4] for row in told(log, 1)] == [
        ("2023-12-01", None, None, "registered"),
        ("2023-12-20", None, None, "outside window"),
        ("2024-01-05", 1, 35, "active"),
        ("2024-01-10", 1, 40, "entered"),
        ("2024-01-15", 1, 45, "churned"),
    ]
    assert "left_truncated='assume_first_spell'" in told(log, 1)[3][4]
    assert told(log, 1)[0][4] == "before the log begins on 2024-01-01"
    assert [row[:4] for row in told(log, 2)] == [
        ("2023-12-01", None, None, "registered"),
        ("2024-01-10", None, None, "unseen"),
        ("2024-01-20", 2, 0, "returned"),
        ("2024-01-20", 2, 0, "active"),
        ("2024-01-25", 2, 5, "censored"),
    ]
    assert [row[3] for row in told(log, 3)] == ["registered", "unseen"]
    assert "never active in it" in told(log, 3)[1][4]


def test_a_log_that_is_too_short_to_tell() -> None:
    log = log_of({1: "2023-12-01"}, [(1, "2024-01-05")], observed_from="2024-01-01", observed_until="2024-01-20")
    assert [row[:4] for row in told(log, 1)] == [
        ("2023-12-01", None, None, "registered"),
        ("2024-01-05", None, None, "active"),
        ("2024-01-20", None, None, "unseen"),
    ]
    assert "the log is shorter than 30 days" in told(log, 1)[2][4]


def test_rejected_rows_are_part_of_the_story() -> None:
    users = pd.DataFrame({"user_id": [1, 1, 2], "registered_at": ["2024-01-05", "2024-01-03", "2024-09-01"]})
    events = [(1, "2024-01-01"), (1, "2024-01-20", "login", float("inf")), (1, "someday"), (1, "2024-01-25")]
    balances = pd.DataFrame({"user_id": [1], "date": ["2024-01-04"], "balance": [float("nan")]})
    log = ActivityLog(events_of(events), users, balances=balances)
    assert [(row[0], row[3], row[4]) for row in told(log, 1) if row[3] == "rejected"] == [
        ("2024-01-01", "rejected", "events: before_registration (2024-01-01)"),
        ("2024-01-04", "rejected", "balances: balance_not_a_number"),
        ("2024-01-05", "rejected", "users: duplicate_user (2024-01-05)"),
        ("2024-01-20", "rejected", "events: amount_not_a_number (inf)"),
        (None, "rejected", "events: unparsable_date (someday)"),
    ]
    assert told(log, 2) == [("2024-09-01", None, None, "rejected", "users: registered_after_window (2024-09-01)")]


def test_the_story_ends_as_the_spells_do() -> None:
    users = {user: f"2024-01-{1 + user:02d}" for user in range(6)}
    events = [(user, f"2024-{month:02d}-{5 + 3 * user:02d}") for user in users for month in range(1, 7, user % 3 + 1)]
    log = log_of(users, events, idle_days=20)
    table = log.churn_spells(spells="all").table
    for user in users:
        own = table[table["user_id"] == user]
        ends = [row for row in told(log, user) if row[3] in {"churned", "censored"}]
        assert [(row[1], row[2], row[3] == "churned") for row in ends] == list(
            zip(own["spell"], own["duration"], own["churned"], strict=True)
        )


def test_every_event_counts() -> None:
    log = ActivityLog(
        events_of([(1, "2024-01-10")])[["user_id", "event_at"]], users_of({1: "2024-01-01"}), rule=ChurnRule(5, None)
    )
    assert told(log, 1)[-2:] == [
        ("2024-01-10", 2, 0, "active", "event"),
        ("2024-01-10", 2, 0, "censored", "idle 0 of 5 days when the log ends"),
    ]


def test_an_unknown_user_is_an_error_with_the_nearest_ids() -> None:
    log = log_of({"anna": "2024-01-01", "bert": "2024-01-01"}, [("anna", "2024-01-05")])
    with pytest.raises(InputError, match=r"There is no user 'ana' in the users. The nearest ids are 'anna', 'bert'"):
        log.story("ana")
    numbers = log_of({12: "2024-01-01"}, [(12, "2024-01-05")])
    assert numbers.story("12").days == numbers.story(12).days
    with pytest.raises(InputError, match=r"There is no user '13'"):
        numbers.story(13)
