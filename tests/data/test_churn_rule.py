"""The churn rule, sentence by sentence, on logs that are worked by hand."""

from __future__ import annotations

import pytest

from churnsurv.data import ActivityLog, ChurnRule
from churnsurv.data.events import Audit
from churnsurv.errors import InputError
from tests.data.small import events_of, log_of, spells_of, users_of


def test_registration_counts_as_activity() -> None:
    log = log_of({1: "2024-01-01", 2: "2024-01-01"}, [(2, "2024-03-01")])
    assert spells_of(log) == [
        (1, 1, "2024-01-01", True, 0, 30, True, "2024-01-01", "2024-01-31"),
        (2, 1, "2024-01-01", True, 0, 30, True, "2024-01-01", "2024-01-31"),
        (2, 2, "2024-03-01", True, 0, 0, False, "2024-03-01", "2024-03-01"),
    ]


def test_activity_exactly_on_the_last_idle_day_saves_the_user() -> None:
    # 31 January is day 30 after registration.
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-31")], observed_until="2024-02-10")
    assert spells_of(log) == [(1, 1, "2024-01-01", True, 0, 40, False, "2024-01-31", "2024-02-10")]


def test_activity_one_day_later_is_a_return() -> None:
    # Churn on 31 January, return on 1 February: the churn day and the return are neighbours, and never overlap.
    log = log_of({1: "2024-01-01"}, [(1, "2024-02-01")], observed_until="2024-02-10")
    assert spells_of(log) == [
        (1, 1, "2024-01-01", True, 0, 30, True, "2024-01-01", "2024-01-31"),
        (1, 2, "2024-02-01", True, 0, 9, False, "2024-02-01", "2024-02-10"),
    ]


def test_churn_needs_the_last_idle_day_inside_the_log() -> None:
    one_day_short = log_of({1: "2024-01-01"}, [(1, "2024-01-01")], observed_until="2024-01-30")
    assert spells_of(one_day_short) == [(1, 1, "2024-01-01", True, 0, 29, False, "2024-01-01", "2024-01-30")]
    just_enough = log_of({1: "2024-01-01"}, [(1, "2024-01-01")], observed_until="2024-01-31")
    assert spells_of(just_enough) == [(1, 1, "2024-01-01", True, 0, 30, True, "2024-01-01", "2024-01-31")]


def test_days_between_churn_and_return_belong_to_no_spell() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-02"), (1, "2024-01-20"), (1, "2024-01-22")], idle_days=5)
    spells = log.churn_spells(spells="all")
    assert spells_of(log) == [
        (1, 1, "2024-01-01", True, 0, 6, True, "2024-01-02", "2024-01-07"),
        (1, 2, "2024-01-20", True, 0, 2, False, "2024-01-22", "2024-01-22"),
    ]
    assert spells.counts["person_days"] == 8
    assert spells.counts["activity_days"] == 4


def test_several_events_a_day_are_one_active_day() -> None:
    once = log_of({1: "2024-01-01"}, [(1, "2024-01-03"), (1, "2024-03-03")])
    often = log_of(
        {1: "2024-01-01"},
        [(1, "2024-01-03 08:00"), (1, "2024-03-03"), (1, "2024-01-03 23:59:59"), (1, "2024-01-03 08:00", "invest", 5)],
    )
    assert spells_of(often) == spells_of(once)
    assert often.churn_spells(spells="all").counts["activity_days"] == 3


def test_only_the_kinds_of_the_rule_are_activity() -> None:
    events = [(1, "2024-01-10", "login"), (1, "2024-01-25", "view"), (1, "2024-03-01", "view")]
    log = log_of({1: "2024-01-01"}, events)
    assert spells_of(log) == [(1, 1, "2024-01-01", True, 0, 39, True, "2024-01-10", "2024-02-09")]
    assert log.counts["other_kinds"] == 2
    every = log_of({1: "2024-01-01"}, events, rule=ChurnRule(activity=None))
    assert [row[1:6] for row in spells_of(every)] == [
        (1, "2024-01-01", True, 0, 54),
        (2, "2024-03-01", True, 0, 0),
    ]
    assert every.counts["other_kinds"] == 0


def test_every_event_counts_without_a_kind_column() -> None:
    log = ActivityLog(
        events_of([(1, "2024-01-10")]).drop(columns="kind"),
        users_of({1: "2024-01-01"}),
        rule=ChurnRule(activity=None),
        observed_until="2024-03-01",
    )
    assert spells_of(log) == [(1, 1, "2024-01-01", True, 0, 39, True, "2024-01-10", "2024-02-09")]


def test_one_idle_day_is_the_shortest_rule() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-02"), (1, "2024-01-04")], idle_days=1)
    assert spells_of(log) == [
        (1, 1, "2024-01-01", True, 0, 2, True, "2024-01-02", "2024-01-03"),
        (1, 2, "2024-01-04", True, 0, 0, False, "2024-01-04", "2024-01-04"),
    ]


def test_users_without_events_are_spells_too() -> None:
    log = log_of({1: "2024-01-01", 2: "2024-02-15"}, [(1, "2024-03-01")])
    assert spells_of(log, spells="first") == [
        (1, 1, "2024-01-01", True, 0, 30, True, "2024-01-01", "2024-01-31"),
        (2, 1, "2024-02-15", True, 0, 15, False, "2024-02-15", "2024-03-01"),
    ]


def test_a_one_day_log_has_spells_without_risk() -> None:
    spells = log_of({1: "2024-01-01", 2: "2024-01-01"}, [(1, "2024-01-01")]).churn_spells()
    assert spells.table["duration"].tolist() == [0, 0]
    assert spells.counts["no_risk"] == 2
    assert spells.counts["censored"] == 2
    assert spells.counts["person_days"] == 0


def test_the_window_defaults_to_the_days_of_the_tables() -> None:
    log = log_of({1: "2024-01-05", 2: "2024-01-03"}, [(1, "2024-02-01"), (2, "2024-01-04")])
    assert str(log.observed_from) == "2024-01-03"
    assert str(log.observed_until) == "2024-02-01"


def test_events_before_every_registration_do_not_begin_the_window() -> None:
    """They are no user's: a year typed wrongly in one row would move the first day of all charts."""
    log = log_of({1: "2024-01-05"}, [(1, "2014-01-07"), (1, "2024-02-01")])
    assert str(log.observed_from) == "2024-01-05"
    assert log.counts["events_rejected"] == 1


def test_events_outside_the_window_are_counted_and_not_used() -> None:
    log = log_of(
        {1: "2024-01-01", 2: "2023-12-01"},
        [(1, "2024-01-10"), (1, "2024-02-20"), (2, "2023-12-31"), (2, "2024-01-03")],
        observed_from="2024-01-01",
        observed_until="2024-02-15",
    )
    assert log.counts["outside_window"] == 2
    assert log.counts["events"] == 2
    assert spells_of(log, left_truncated="assume_first_spell") == [
        (1, 1, "2024-01-01", True, 0, 39, True, "2024-01-10", "2024-02-09"),
        (2, 1, "2023-12-01", False, 60, 63, True, "2024-01-03", "2024-02-02"),
    ]


def test_rows_in_any_order_give_the_same_spells() -> None:
    events = [(user, f"2024-0{month}-{day:02d}") for user in (1, 2) for month in (1, 2, 3, 4) for day in (3, 9, 27)]
    users = {1: "2024-01-01", 2: "2024-01-03"}
    assert spells_of(log_of(users, events[::-1], idle_days=7)) == spells_of(log_of(users, events, idle_days=7))


def test_spells_are_in_the_order_of_user_and_spell() -> None:
    users = {"b": "2024-01-01", "a": "2024-01-01", "B": "2024-01-02"}
    table = log_of(users, [("a", "2024-06-01"), ("b", "2024-03-01")]).churn_spells(spells="all").table
    assert list(zip(table["user_id"], table["spell"], strict=True)) == [
        ("B", 1),
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]


def test_rules_share_what_was_read_and_give_what_a_fresh_log_gives() -> None:
    users = {user: f"2024-01-{user:02d}" for user in range(1, 8)}
    events = [(user, f"2024-{month:02d}-{3 * user:02d}") for user in users for month in range(2, 9, user % 3 + 1)]
    log = log_of(users, events)
    for idle_days in (45, 14, 3, 60, 1):
        fresh = log_of(users, events, idle_days=idle_days)
        assert spells_of(log.with_rule(idle_days)) == spells_of(fresh)
    assert log.with_rule(idle_days=45).engine is log.engine
    assert log.with_rule(activity=["invest"]).rule == ChurnRule(30, ("invest",))
    assert log.rule == ChurnRule()


def test_counts_divide_the_rows_and_add_up() -> None:
    log = log_of(
        {1: "2024-01-01", 2: "2024-01-05", 3: "2024-01-01"},
        [(1, "2024-02-20"), (1, "2024-03-30"), (2, "2024-01-06"), (9, "2024-01-06"), (2, "2024-02-06", "view")],
    )
    counts, spells = log.counts, log.churn_spells(spells="all")
    assert counts["events_read"] == 5 == counts["events"] + counts["events_rejected"] + counts["outside_window"]
    assert counts["users_read"] == 3 == counts["users"] + counts["users_rejected"] + counts["equal_users_collapsed"]
    table = spells.table
    assert spells.counts["spells"] == len(table) == spells.counts["churned"] + spells.counts["censored"]
    assert spells.counts["users"] == 3
    assert spells.counts["returned"] == int((table["spell"] > 1).sum()) == 2
    assert spells.counts["person_days"] == int((table["duration"] - table["entry"]).sum())
    with pytest.raises(TypeError):
        spells.counts["users"] = 0


def test_no_event_of_the_rules_kinds_is_an_error_that_names_those_there() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-10", "Login"), (1, "2024-01-11", "order")])
    with pytest.raises(InputError, match=r"no event is 'login' or 'invest'.*Did you mean 'Login'.*'Login', 'order'"):
        log.churn_spells()


def test_the_table_is_fresh_and_typed() -> None:
    spells = log_of({1: "2024-01-01"}, [(1, "2024-01-10")]).churn_spells()
    table = spells.table
    table.loc[0, "duration"] = 999
    assert spells.table["duration"].tolist() == [9]
    kinds = {column: str(kind) for column, kind in spells.table.dtypes.items()}
    assert kinds["origin"] == kinds["last_activity"] == kinds["end_date"] == kinds["registered_at"] == "datetime64[s]"
    assert kinds["churned"] == kinds["origin_known"] == "bool"
    assert kinds["entry"] == kinds["duration"] == kinds["spell"] == "int32"
    assert kinds["cohort"] == "category"


def test_a_loss_on_the_way_is_our_fault_and_says_so() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-10")])
    reading = log._reading
    reading.__dict__["audit"] = Audit((*reading.audit.rows, (None, True, "login", 1)))
    with pytest.raises(AssertionError, match=r"lost something.*'activity events': \(1, 2\)"):
        log.churn_spells()
