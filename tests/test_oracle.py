"""The oracle itself, on cases small enough to work by hand."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tests.oracle import churn_spells, day_of, read, walk

START = date(2024, 1, 1)


def day(n):
    return START + timedelta(days=n)


def lives(registered, active, *, idle_days=30, since=0, until=100):
    """Spells of one user as (spell, origin, origin_known, entry, duration, churned, last_activity) in day numbers."""
    life = walk(day(registered), {day(n) for n in active}, idle_days, day(since), day(until))
    return [
        (
            s["spell"],
            (s["origin"] - START).days,
            s["origin_known"],
            s["entry"],
            s["duration"],
            s["churned"],
            (s["last_activity"] - START).days,
        )
        for s in life.spells
    ]


def test_silence_after_registration_churns_on_day_30():
    assert lives(0, [], until=30) == [(1, 0, True, 0, 30, True, 0)]


def test_silence_is_undecided_the_day_before():
    assert lives(0, [], until=29) == [(1, 0, True, 0, 29, False, 0)]


def test_activity_exactly_on_day_30_saves():
    assert lives(0, [30], until=59) == [(1, 0, True, 0, 59, False, 30)]


def test_activity_on_day_31_returns():
    assert lives(0, [31], until=60) == [(1, 0, True, 0, 30, True, 0), (2, 31, True, 0, 29, False, 31)]


def test_activity_on_the_day_of_registration_changes_nothing():
    assert lives(4, [4]) == lives(4, [])


def test_clock_starts_again_at_each_activity():
    assert lives(0, [10, 20, 25]) == [(1, 0, True, 0, 55, True, 25)]


def test_idle_days_one_needs_activity_every_day():
    expected = [(1, 0, True, 0, 3, True, 2), (2, 5, True, 0, 1, True, 5)]
    assert lives(0, [1, 2, 5], idle_days=1, until=9) == expected


def test_registration_on_the_last_day_carries_no_risk():
    assert lives(100, []) == [(1, 100, True, 0, 0, False, 100)]


def test_return_on_the_last_day_opens_a_spell():
    assert lives(0, [100]) == [(1, 0, True, 0, 30, True, 0), (2, 100, True, 0, 0, False, 100)]


def test_three_spells():
    assert [s[:2] for s in lives(0, [40, 80])] == [(1, 0), (2, 40), (3, 80)]


def test_registered_on_the_first_day_of_the_log_is_not_truncated():
    assert lives(10, [], since=10) == [(1, 10, True, 0, 30, True, 10)]


def test_registered_before_the_log_and_seen_enters_late():
    # Seen on day 12 of a log from day 10: alive at the end of day 10 + 30 - 1 = 39, churns on 12 + 30 = 42.
    assert lives(4, [12], since=10) == [(1, 4, False, 35, 38, True, 12)]


def test_last_day_that_shows_life_is_idle_days_minus_one():
    assert lives(4, [39], since=10, until=69) == [(1, 4, False, 35, 65, True, 39)]
    assert lives(4, [40], since=10, until=69) == [(2, 40, True, 0, 29, False, 40)]


def test_registered_before_the_log_and_never_seen():
    life = walk(day(0), set(), 30, day(10), day(100))
    assert (life.spells, life.not_seen, life.undetermined) == ([], True, False)


def test_log_too_short_to_tell():
    life = walk(day(0), {day(12)}, 30, day(10), day(38))
    assert (life.spells, life.not_seen, life.undetermined) == ([], False, True)
    assert lives(0, [12], since=10, until=39) == [(1, 0, False, 39, 39, False, 12)]


def test_activity_before_the_log_is_not_used():
    users = [{"user_id": 1, "registered_at": day(0)}]
    events = [{"user_id": 1, "event_at": day(9), "kind": "login"}]
    answer = churn_spells(
        users, events, observed_from=day(10), observed_until=day(100), left_truncated="assume_first_spell"
    )
    assert (answer.spells, answer.counts["not_seen"], answer.log_counts["outside_window"]) == ([], 1, 1)


def user(user_id, registered, **attributes):
    return {"user_id": user_id, "registered_at": None if registered is None else day(registered), **attributes}


def event(user_id, n, kind="login", amount=None, product=None):
    return {"user_id": user_id, "event_at": day(n), "kind": kind, "amount": amount, "product": product}


def ask(users, events, **how):
    return churn_spells(users, events, observed_from=START, observed_until=day(100), **how)


def test_first_and_all_spells():
    users, events = [user(1, 0)], [event(1, 50)]
    assert [row["spell"] for row in ask(users, events).spells] == [1]
    everything = ask(users, events, spells="all")
    assert [row["spell"] for row in everything.spells] == [1, 2]
    assert everything.counts["person_days"] == 30 + 30
    assert everything.counts["activity_days"] == 2
    assert everything.counts["returned"] == 1


def test_left_truncated_rows_stay_out_unless_asked_for():
    users, events = [user(1, -5)], [event(1, 3), event(1, 60)]
    out = ask(users, events, spells="all")
    assert ([row["spell"] for row in out.spells], out.counts["left_truncated_excluded"]) == ([2], 1)
    kept = ask(users, events, left_truncated="assume_first_spell")
    assert [(row["entry"], row["duration"]) for row in kept.spells] == [(34, 38)]


def test_a_kind_outside_the_rule_saves_nobody():
    users, events = [user(1, 0)], [event(1, 20, "page_view")]
    assert ask(users, events).spells[0]["duration"] == 30
    assert ask(users, events).log_counts["other_kinds"] == 1
    assert ask(users, events, activity=None).spells[0]["duration"] == 50


def test_baseline_day_raises_entry_and_counts_who_ended_before():
    users = [user(1, 0), user(2, 0)]
    events = [event(1, 5, "invest", 10), event(1, 31, "invest", 99), event(1, 59)]
    answer = ask(users, events, baseline_day=30, features=("n_investments", "max_amount", "ever_boosted"))
    (row,) = answer.spells
    assert (row["entry"], row["duration"], answer.counts["ended_before_entry"]) == (60, 89, 1)
    assert (row["n_investments"], row["max_amount"], row["ever_boosted"]) == (1, 10.0, False)


def test_baseline_feature_includes_its_own_day_and_every_copy_of_an_event():
    bought = event(1, 30, "invest", "2.50", "boosted")
    answer = ask(
        [user(1, 0)], [bought, bought, event(1, 58)], baseline_day=30, features=("total_amount", "ever_boosted")
    )
    assert (answer.spells[0]["total_amount"], answer.spells[0]["ever_boosted"]) == (5.0, True)


def test_a_spell_that_ends_on_its_day_of_entry_is_kept_without_risk():
    (row,) = ask([user(1, 0)], [event(1, 30)], baseline_day=30).spells
    assert (row["entry"], row["duration"], row["churned"]) == (60, 60, True)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"user_id": None}, "missing_user_id"),
        ({"user_id": 9, "event_at": None}, "unknown_user"),
        ({"event_at": None, "kind": None}, "missing_date"),
        ({"event_at": "soon"}, "unparsable_date"),
        ({"event_at": day(4), "kind": None}, "missing_kind"),
        ({"event_at": day(4), "amount": "lots"}, "before_registration"),
        ({"amount": "lots"}, "amount_not_a_number"),
    ],
)
def test_event_rejects_have_the_first_reason_that_applies(row, reason):
    reading = read([user(1, 5)], [event(1, 6) | row], observed_from=START, observed_until=day(100))
    assert [(r.table, r.row, r.reason) for r in reading.rejects] == [("events", 0, reason)]
    assert reading.counts["events"] == 0


def test_user_rejects():
    users = [
        user(None, 0),
        user(1, None),
        user(2, 0) | {"registered_at": "2024-02-31"},
        user(3, 8),
        user(3, 8),
        user(3, 7),
        user(4, 101),
    ]
    reading = read(users, [], observed_from=START, observed_until=day(100))
    assert [(r.row, r.reason) for r in sorted(reading.rejects, key=lambda r: r.row)] == [
        (0, "missing_user_id"),
        (1, "missing_date"),
        (2, "unparsable_date"),
        (3, "duplicate_user"),
        (6, "registered_after_window"),
    ]
    assert reading.counts["equal_users_collapsed"] == 1
    assert [(p.user_id, p.registered) for p in reading.people] == [(3, day(7))]


def test_a_window_not_given_is_taken_from_the_rows():
    reading = read([user(1, 3), user(2, 41)], [event(1, 5), event(1, 40)])
    assert (reading.observed_from, reading.observed_until) == (day(3), day(40))
    assert [r.reason for r in reading.rejects] == ["registered_after_window"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2024, 5, 1), 1),
        ("2024-05-01", 1),
        (datetime(2024, 5, 1, 15, 59), 1),
        (datetime(2024, 5, 1, 16, 0), 2),
        (datetime(2024, 5, 1, 16, 0, tzinfo=UTC), 2),
        (datetime(2024, 5, 1, 23, 0, tzinfo=timezone(timedelta(hours=8))), 1),
        ("2024-05-01T16:00:00+00:00", 2),
    ],
)
def test_whose_midnight_ends_a_day(value, expected):
    assert day_of(value, "UTC", "Asia/Shanghai") == date(2024, 5, expected)
