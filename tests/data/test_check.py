"""The check finds each problem, counts it, and stops at none."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule
from churnsurv.data.check import Check, Problem
from churnsurv.tables import schema
from tests.data.small import events_of, log_of, users_of


def found(log: ActivityLog) -> dict[tuple[str, str], Problem]:
    return {(problem.table, problem.problem): problem for problem in log.check().problems}


def busy(days: int = 60, per_day: int = 40, skip: tuple[int, ...] = (), last: int | None = None) -> ActivityLog:
    """A log of `days` full days from 1 January 2024, the last of them with `last` events."""
    counts = {day: per_day for day in range(days) if day not in skip}
    counts[days - 1] = per_day if last is None else last
    rows = [(user % 50, str(date(2024, 1, 1) + timedelta(days=day))) for day, n in counts.items() for user in range(n)]
    return log_of(dict.fromkeys(range(50), "2024-01-01"), rows)


def test_a_clean_log_has_no_errors_and_few_words() -> None:
    check = busy().check()
    assert check.ok
    expected = {"kind_never_occurs", "undecided", "users_without_activity"}
    assert {problem.problem for problem in check.problems} == expected
    assert tuple(check.table.columns) == schema("check").names


def test_rejects_are_counted_by_reason_with_an_example() -> None:
    log = log_of(
        {1: "2024-01-01"},
        [(1, "2024-01-05"), (1, "2024-03-05"), (1, "soon"), (1, "later"), (9, "2024-01-05"), (1, "2024-01-06", None)],
    )
    problems = found(log)
    assert problems["events", "unparsable_date"].n_rows == 2
    assert problems["events", "unparsable_date"].example == "soon"
    assert problems["events", "unknown_user"].example == "9"
    assert problems["events", "missing_kind"].n_rows == 1
    assert log.check().ok


def test_a_table_of_which_nothing_is_left_is_an_error() -> None:
    problems = found(log_of({1: "2024-01-01"}, [(8, "2024-01-05"), (9, "2024-01-05")]))
    assert problems["events", "unknown_user"].severity == "error"


def test_missing_columns_in_both_tables_are_named_together() -> None:
    log = ActivityLog(
        events_of([(1, "2024-01-05")]).rename(columns={"event_at": "event_ta"}),
        users_of({1: "2024-01-01"}).rename(columns={"registered_at": "registered", "user_id": "userid"}),
    )
    check = log.check()
    missing = [(problem.table, problem.example) for problem in check.problems]
    assert missing == [("events", "event_at"), ("users", "user_id"), ("users", "registered_at")]
    assert not check.ok
    assert "Did you mean 'event_ta'?" in check.problems[0].advice


def test_one_bad_table_does_not_hide_the_problems_of_the_other() -> None:
    bad_users = pd.DataFrame({"user_id": [1, None, 2], "registered_at": ["2024-01-01", "2024-01-01", "?"]})
    problems = found(ActivityLog("no-such-file.parquet", bad_users))
    assert problems["events", "cannot_be_read"].severity == "error"
    assert "there is no file" in problems["events", "cannot_be_read"].advice
    assert problems["users", "missing_user_id"].n_rows == 1
    assert problems["users", "unparsable_date"].n_rows == 1
    events = events_of([(1, "2024-01-05"), (None, "2024-01-05"), (1, "?"), (1, "2024-01-05", "login", np.inf)])
    problems = found(ActivityLog(events, bad_users.drop(columns="user_id")))
    assert problems["users", "missing_column"].severity == "error"
    assert {reason for table, reason in problems if table == "events"} == {
        "missing_user_id",
        "unparsable_date",
        "amount_not_a_number",
    }


def test_a_missing_kind_column_does_not_stop_the_rest() -> None:
    events = events_of([(1, "2024-01-05"), (1, "?")]).rename(columns={"kind": "kinds"})
    problems = found(ActivityLog(events, users_of({1: "2024-01-01"})))
    assert problems["events", "missing_column"].example == "kind"
    assert "Did you mean 'kinds'?" in problems["events", "missing_column"].advice
    assert problems["events", "unparsable_date"].n_rows == 1


@pytest.mark.parametrize(
    ("events", "users", "problem"),
    [
        ({"event_at": 5}, {}, ("events", "wrong_type")),
        ({"event_at": "?"}, {}, ("events", "no_readable_dates")),
        ({}, {"registered_at": 5}, ("users", "wrong_type")),
        ({}, {"duration": 5}, ("users", "name_taken")),
        ({"user_id": "x"}, {}, ("users", "mismatched_ids")),
        ({"amount": True}, {}, ("events", "wrong_type")),
        ({"kind": "Login"}, {}, ("events", "no_activity")),
    ],
)
def test_tables_that_cannot_be_used_are_errors_and_not_exceptions(
    events: dict[str, Any], users: dict[str, Any], problem: tuple[str, str]
) -> None:
    log = ActivityLog(events_of([(1, "2024-01-05")]).assign(**events), users_of({1: "2024-01-01"}).assign(**users))
    assert found(log)[problem].severity == "error"
    assert not log.check().ok
    advice = [each.advice for each in log.check().problems]
    assert len(set(advice)) == len(advice)


def test_a_window_that_ends_before_it_begins_is_called_so() -> None:
    events = [(1, "2024-01-05")]
    log = log_of({1: "2024-01-01"}, events, observed_from="2024-03-01")
    assert found(log)["events", "empty_window"].severity == "error"


def test_a_share_is_not_rounded_to_nobody_or_everybody() -> None:
    users = users_of(dict.fromkeys(range(300), "2024-01-01")).assign(channel=[None] + ["a", "b"] * 149 + ["a"])
    problems = found(ActivityLog(events_of([(1, "2024-06-05")]), users))
    assert "for under 1% of the users" in problems["users", "missing_values"].advice
    assert problems["users", "users_without_activity"].advice.startswith("over 99% of the users")


def test_kinds_that_never_occur_and_kinds_that_do_not_count() -> None:
    events = [(1, "2024-01-05"), (1, "2024-01-06", "Invest"), (1, "2024-01-06", "view"), (1, "2024-01-07", "view")]
    problems = found(log_of({1: "2024-01-01"}, events))
    never = problems["events", "kind_never_occurs"]
    assert (never.severity, never.example) == ("warning", "invest")
    assert "Did you mean 'Invest'?" in never.advice
    assert problems["events", "other_kinds"].n_rows == 3


def test_windows_that_are_too_short() -> None:
    assert ("events", "one_day_log") in found(log_of({1: "2024-01-01"}, [(1, "2024-01-01")]))
    assert ("events", "log_shorter_than_rule") in found(log_of({1: "2024-01-01"}, [(1, "2024-01-30")]))
    assert ("events", "log_shorter_than_rule") not in found(log_of({1: "2024-01-01"}, [(1, "2024-01-31")]))


def test_a_late_start_of_the_events() -> None:
    users = {1: "2023-01-01", 2: "2023-06-01", 3: "2024-01-20"}
    events = [(user, f"2024-0{month}-25") for user in users for month in (1, 2, 3)]
    late = found(log_of(users, events))["events", "events_start_late"]
    assert late.n_rows == 3
    assert "observed_from='2024-01-25'" in late.advice
    set_by_hand = found(log_of(users, events, observed_from="2024-01-25"))
    assert ("events", "events_start_late") not in set_by_hand
    assert set_by_hand["users", "registered_before_window"].n_rows == 3


def test_events_outside_the_window() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-05"), (1, "2024-03-05")], observed_until="2024-02-15")
    assert found(log)["events", "outside_window"].n_rows == 1


def test_a_thin_last_day() -> None:
    thin = found(busy(last=9))["events", "thin_last_day"]
    assert (thin.n_rows, thin.example) == (9, "2024-02-29")
    assert ("events", "thin_last_day") not in found(busy(last=30))


def test_days_without_any_event() -> None:
    empty = found(busy(skip=(20, 21)))["events", "empty_days"]
    assert (empty.n_rows, empty.example) == (2, "2024-01-21")


def test_stray_events_long_after_the_others() -> None:
    rows = [(1, str(date(2024, 1, 1) + timedelta(days=day))) for day in range(100) for _ in range(20)]
    log = log_of({1: "2024-01-01"}, [*rows, (1, "2031-01-01")])
    stray = found(log)["events", "stray_late_events"]
    assert (stray.n_rows, stray.severity) == (1, "error")
    assert "perhaps '2024-04-09'" in stray.advice
    assert ("events", "stray_late_events") not in found(log_of({1: "2024-01-01"}, rows))


def test_users_without_activity_and_undecided_users() -> None:
    users = {1: "2024-01-01", 2: "2024-01-01", 3: "2024-03-01", 4: "2024-03-05"}
    problems = found(log_of(users, [(1, "2024-01-05"), (3, "2024-03-10")]))
    assert problems["users", "users_without_activity"].n_rows == 2
    assert problems["users", "undecided"].n_rows == 2
    assert problems["users", "undecided"].advice.startswith("50%")


def test_attributes_that_are_missing_or_the_same_for_everybody() -> None:
    users = users_of(dict.fromkeys(range(4), "2024-01-01"))
    users = users.assign(channel=pd.Series(["a", None, "b", "a"]), country="CN", nothing=None)
    problems = log_of({1: "2024-01-01"}, [(1, "2024-03-05")]).check().problems
    assert not [problem for problem in problems if problem.problem == "missing_values"]
    check = ActivityLog(events_of([(1, "2024-03-05")]), users).check()
    by_column = {(problem.problem, problem.example): problem for problem in check.problems if problem.table == "users"}
    assert by_column["missing_values", "channel"].n_rows == 1
    assert by_column["missing_values", "nothing"].severity == "warning"
    assert by_column["constant_attribute", "country"].n_rows == 4
    assert ("constant_attribute", "channel") not in by_column


def test_equal_rows_and_several_balances() -> None:
    events = [(1, "2024-01-05"), (1, "2024-01-05"), (1, "2024-03-05")]
    balances = pd.DataFrame({"user_id": [1, 1, 1], "date": "2024-01-06", "balance": [1.0, 2.0, 2.0]})
    users = pd.concat([users_of({1: "2024-01-01"})] * 3)
    problems = found(ActivityLog(events_of(events), users, balances=balances))
    assert problems["events", "equal_rows"].n_rows == 2
    assert problems["users", "equal_rows"].n_rows == 2
    assert problems["balances", "several_on_one_day"].n_rows == 3


def test_a_check_is_a_result_with_errors_first() -> None:
    check = Check(
        (
            Problem("users", "a", "note", 1, None, ""),
            Problem("events", "b", "error", None, "x", "<do>"),
            Problem("users", "c", "warning", 2, None, ""),
        )
    )
    assert [problem.severity for problem in check.problems] == ["error", "warning", "note"]
    assert repr(check) == "<Check: 1 error, 1 warning, 1 note>"
    assert check.table["n_rows"].isna().tolist() == [True, False, False]
    assert '"n_rows": [null, 2, 1]' in check.to_json()
    assert "&lt;do&gt;" in check._repr_html_()
    assert repr(Check(())) == "<Check: no problems>"
    assert Check(()).ok
    assert Check(()).table.empty


def test_checking_changes_nothing() -> None:
    log = busy()
    before = log.churn_spells().table
    log.check()
    pd.testing.assert_frame_equal(log.churn_spells().table, before)
    assert log.rule == ChurnRule()


def test_negative_amounts_of_investments_and_redemptions() -> None:
    kinds = ["invest", "invest", "redeem", "login", "invest"]
    days = ["2024-01-05", "2024-01-06", "2024-01-07", "2024-01-08", "soon"]
    events = pd.DataFrame({"user_id": 1, "event_at": days, "kind": kinds, "amount": [5.0, -5.0, -1.0, -9.0, -7.0]})
    problem = found(ActivityLog(events, users_of({1: "2024-01-01"})))["events", "negative_amount"]
    assert (problem.n_rows, problem.severity, problem.example) == (2, "warning", "amount")
    fine = ActivityLog(events.assign(amount=events["amount"].abs()), users_of({1: "2024-01-01"}))
    assert ("events", "negative_amount") not in found(fine)
