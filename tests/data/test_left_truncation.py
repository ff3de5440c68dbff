"""Users who registered before the log begins, worked by hand. The log begins on 1 January 2024; 10 idle days."""

from __future__ import annotations

import pytest

from churnsurv.data import ActivityLog
from tests.data.small import log_of, spells_of

BEGIN, END = "2024-01-01", "2024-02-29"


def late(*days: str, end: str = END, registered: str = "2023-12-01") -> ActivityLog:
    return log_of(
        {1: registered, 2: "2024-01-15"},
        [*((1, day) for day in days), (2, "2024-01-15")],
        idle_days=10,
        observed_from=BEGIN,
        observed_until=end,
    )


@pytest.mark.parametrize("day", ["2024-01-01", "2024-01-10"])
def test_active_in_the_first_idle_days_enters_when_they_are_over(day: str) -> None:
    # F + idle_days - 1 = 10 January, 40 days after 1 December.
    spells = spells_of(late(day), left_truncated="assume_first_spell")
    ends = {"2024-01-01": ("2024-01-11", 41), "2024-01-10": ("2024-01-20", 50)}
    end, duration = ends[day]
    assert spells[0] == (1, 1, "2023-12-01", False, 40, duration, True, day, end)


def test_the_first_spell_of_a_late_user_is_left_out_by_default_and_counted() -> None:
    log = late("2024-01-05", "2024-02-01")
    spells = log.churn_spells(spells="all")
    assert [row[:2] for row in spells_of(log)] == [(1, 2), (2, 1)]
    assert spells.counts["left_truncated_excluded"] == 1
    assert spells.table["origin_known"].all()
    first = log.churn_spells()
    assert first.table["user_id"].tolist() == [2]
    assert first.counts["left_truncated_excluded"] == 1


def test_not_active_in_the_first_idle_days_means_churned_unseen() -> None:
    log = late("2024-01-11", "2024-01-12")
    assert spells_of(log, left_truncated="assume_first_spell")[0] == (
        1, 2, "2024-01-11", True, 0, 11, True, "2024-01-12", "2024-01-22",
    )  # fmt: skip
    first = log.churn_spells(left_truncated="assume_first_spell")
    assert first.table["user_id"].tolist() == [2]
    assert first.counts["first_spell_unseen"] == 1


def test_never_active_in_the_log_is_counted_as_not_seen() -> None:
    spells = late().churn_spells(spells="all", left_truncated="assume_first_spell")
    assert spells.table["user_id"].tolist() == [2]
    assert spells.counts["not_seen"] == 1
    assert spells.counts["undetermined"] == 0


def test_events_before_the_log_begins_do_not_count() -> None:
    assert spells_of(late("2023-12-31"), left_truncated="assume_first_spell") == spells_of(late())


def test_a_log_shorter_than_the_rule_leaves_them_undetermined() -> None:
    short = late("2024-01-03", end="2024-01-09").churn_spells(spells="all", left_truncated="assume_first_spell")
    assert short.table.empty
    assert short.counts["undetermined"] == 1
    enough = late("2024-01-03", end="2024-01-10").churn_spells(spells="all", left_truncated="assume_first_spell")
    assert enough.counts["undetermined"] == 0
    assert enough.counts["no_risk"] == 1
    assert enough.table[["entry", "duration"]].to_numpy().tolist() == [[40, 40]]


def test_registered_on_the_first_day_is_not_late() -> None:
    assert spells_of(late(registered=BEGIN))[0] == (1, 1, BEGIN, True, 0, 10, True, BEGIN, "2024-01-11")


def test_registered_the_day_before_is_late() -> None:
    assert spells_of(late("2024-01-04", registered="2023-12-31"), left_truncated="assume_first_spell")[0] == (
        1, 1, "2023-12-31", False, 10, 14, True, "2024-01-04", "2024-01-14",
    )  # fmt: skip


def test_every_user_is_in_the_spells_or_counted() -> None:
    users = dict.fromkeys(range(6), "2023-12-01") | {6: "2024-01-01", 7: "2024-02-01"}
    events = [(0, "2024-01-04"), (1, "2024-01-20"), (2, "2024-01-08"), (2, "2024-02-20"), (6, "2024-02-20")]
    log = log_of(users, events, idle_days=10, observed_from=BEGIN, observed_until=END)
    counts = log.churn_spells().counts
    left_out = ("left_truncated_excluded", "undetermined", "not_seen", "first_spell_unseen")
    assert counts["spells"] == 2
    assert [counts[reason] for reason in left_out] == [2, 0, 3, 1]
    assert counts["spells"] + sum(counts[reason] for reason in left_out) == log.counts["users"] == 8


def test_features_need_a_life_that_was_observed() -> None:
    log = late("2024-01-05", "2024-02-01", "2024-02-28")
    spells = log.churn_spells(
        spells="all", left_truncated="assume_first_spell", features=["n_investments"], baseline_day=0
    )
    assert spells.table["user_id"].tolist() == [2]
    assert spells.counts["life_not_observed"] == 3
