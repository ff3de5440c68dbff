"""The oracle of tables over time itself, on cases small enough to work by hand."""

from datetime import date, datetime, timedelta

import pytest

from tests import oracle_over_time as oracle
from tests.oracle import Feature

START = date(2024, 1, 1)


def day(n):
    return START + timedelta(days=n)


def user(user_id, registered, **attributes):
    return {"user_id": user_id, "registered_at": day(registered), **attributes}


def event(user_id, n, kind="login", amount=None, product=None):
    return {"user_id": user_id, "event_at": day(n), "kind": kind, "amount": amount, "product": product}


def world(users, events, *, idle_days=10, until=25, since=0, **how):
    return oracle.world(users, events, idle_days=idle_days, observed_from=day(since), observed_until=day(until), **how)


# Registered on day 0, churns on day 19.
INVESTOR = [event(1, 3, "invest", 10, "boosted"), event(1, 9, "invest", 20, "plain")]


def intervals(table, *names):
    return [(row["start"], row["stop"], row["churned"], *(row[name] for name in names)) for row in table.rows]


def test_a_history_splits_where_a_feature_changes_ten_days_later():
    table = oracle.history(world([user(1, 0)], INVESTOR), ["n_investments", "total_amount"], lag=10)
    # The second investment, on day 9, would be known from day 19 on: the day of churn is over by then.
    assert intervals(table, "n_investments", "total_amount") == [(0, 13, False, 0, 0.0), (13, 19, True, 1, 10.0)]
    assert (table.counts["rows"], table.counts["spells"], table.counts["person_days"]) == (2, 1, 19)


def test_balance_and_stage_are_unknown_before_registration():
    table = oracle.history(world([user(1, 0)], INVESTOR, stages={"new": 0, "growth": 1}), ["balance", "stage"], lag=10)
    assert intervals(table, "balance", "stage") == [
        (0, 10, False, None, None), (10, 13, False, 0.0, "new"), (13, 19, True, 10.0, "growth"),
    ]  # fmt: skip


def test_a_window_of_days_opens_and_closes():
    recent = Feature("recent", "count", kind="invest", last=2)
    table = oracle.history(world([user(1, 0)], INVESTOR), [recent], lag=10)
    assert intervals(table, "recent") == [(0, 13, False, 0), (13, 15, False, 1), (15, 19, True, 0)]


def test_a_grid_keeps_its_own_rows_and_a_longer_lag_moves_on():
    asked = world([user(1, 0)], INVESTOR)
    grid = oracle.history(asked, ["n_investments"], every=7, lag=10)
    assert intervals(grid, "n_investments") == [(0, 7, False, 0), (7, 14, False, 0), (14, 19, True, 1)]
    later = oracle.history(asked, ["n_investments"], lag=15)
    assert intervals(later, "n_investments") == [(0, 18, False, 0), (18, 19, True, 1)]
    assert intervals(oracle.history(asked)) == [(0, 19, True)]
    # By default twice the idle days: here the spell is over before anything is known.
    assert intervals(oracle.history(asked, ["n_investments"]), "n_investments") == [(0, 19, True, 0)]
    recent = Feature("recent", "count", last=2)
    assert (oracle.default_lag(asked, ["balance"]), oracle.default_lag(asked, ["balance", recent])) == (20, 30)


def test_a_return_keeps_the_features_of_the_life():
    events = [*INVESTOR, event(1, 22), event(1, 30, "invest", 5)]
    table = oracle.history(world([user(1, 0)], events, until=36), ["n_investments"], lag=10)
    # Spell 2 begins on day 22; day 32 is what its last four days know of: investments of days 3, 9; that of 30 later.
    assert [(row["spell"], *rest) for row, rest in zip(table.rows, intervals(table, "n_investments"), strict=True)] == [
        (1, 0, 13, False, 0), (1, 13, 19, True, 1), (2, 0, 14, False, 2),
    ]  # fmt: skip
    assert table.counts["returned"] == 1
    assert oracle.history(world([user(1, 0)], events, until=36), spells="first").counts["spells"] == 1


def test_who_has_no_row_in_a_history_is_counted():
    users = [user(1, 0), user(2, -5), user(3, -5), user(4, 25), user(5, -5)]
    events = [event(1, 3), event(2, 4), event(5, 16)]
    table = oracle.history(world(users, events), ["n_investments"])
    assert {row["user_id"] for row in table.rows} == {1}
    counts = table.counts
    # 2: alive, but its first churn may lie before the log. 3: never seen. 4: no risk. 5: a return of an unknown life.
    assert (counts["left_truncated_excluded"], counts["not_seen"], counts["no_risk"]) == (1, 1, 1)
    assert (counts["life_not_observed"], counts["first_spell_unseen"], counts["spells"]) == (1, 1, 1)
    assumed = oracle.history(world(users, events), left_truncated="assume_first_spell")
    assert [(row["user_id"], row["start"], row["stop"]) for row in assumed.rows] == [(1, 0, 13), (2, 14, 19), (5, 0, 9)]


def test_the_state_of_a_living_user():
    asked = world([user(1, 0)], [*INVESTOR, event(1, 22)])
    state = oracle.state_at(asked, asked.people[0], day(12))
    assert state == {
        "spell": 1, "spell_day": 12, "tenure": 12, "idle_days": 3, "active_days": 3,
        "mean_interval": 4.5, "last_interval": 6, "life_observed": True,
    }  # fmt: skip
    assert oracle.state_at(asked, asked.people[0], day(18))["idle_days"] == 9
    assert oracle.state_at(asked, asked.people[0], day(19)) is None
    back = oracle.state_at(asked, asked.people[0], day(23))
    assert (back["spell"], back["spell_day"], back["tenure"], back["last_interval"]) == (2, 1, 23, 13)


def test_a_user_of_before_the_log_is_there_from_the_first_sign_of_life():
    asked = world([user(1, -30), user(2, -30)], [event(1, 4), event(2, 10)], until=40)
    first, second = asked.people
    assert oracle.state_at(asked, first, day(3)) is None
    state = oracle.state_at(asked, first, day(4))
    assert (state["spell"], state["spell_day"], state["active_days"], state["mean_interval"]) == (1, 34, 1, None)
    assert state["life_observed"] is False
    # Nobody saw user 2 in the first ten days: whoever it was had churned, and day 10 is a return.
    assert (oracle.state_at(asked, second, day(10))["spell"], oracle.state_at(asked, second, day(12))["spell_day"]) == (
        2,
        2,
    )


def test_a_panel_has_complete_outcomes_only():
    asked = world([user(1, 0)], INVESTOR, until=25)
    table = oracle.landmark_panel(asked, every=4, horizon=7)
    # Churn is on day 19: from day 12 exactly at the horizon, from day 16 after 3 days; day 20 would need day 27.
    assert [((row["date"] - START).days, row["churned"], row["duration"]) for row in table.rows] == [
        (0, False, 7), (4, False, 7), (8, False, 7), (12, True, 7), (16, True, 3),
    ]  # fmt: skip
    assert table.counts == {"rows": 5, "users": 1, "landmarks": 5, "life_not_observed": 0, "churned": 2}
    assert len(oracle.landmarks(asked, 7, 10)) == 3


def test_churn_of_a_later_spell_is_no_outcome():
    asked = world([user(1, 0)], [event(1, 2), event(1, 9)], idle_days=3, until=25)
    # Churns on day 5, returns on day 9, churns again on day 12.
    assert oracle.outcome(asked, asked.people[0], day(4), 20) == {"churned": True, "duration": 1}
    assert oracle.outcome(asked, asked.people[0], day(9), 2) == {"churned": False, "duration": 2}
    assert oracle.outcome(asked, asked.people[0], day(9), 3) == {"churned": True, "duration": 3}


def test_gaps_abut_from_registration_to_the_end_of_the_log():
    asked = world([user(1, 0)], [*INVESTOR, event(1, 9), event(1, 25)])
    table = oracle.gaps(asked, ["n_investments"])
    found = [
        ((row["start_date"] - START).days, row["duration"], row["returned"], row["spell"], row["n_investments"])
        for row in table.rows
    ]
    assert found == [(0, 3, True, 1, 0), (3, 6, True, 1, 1), (9, 16, True, 1, 2), (25, 0, False, 2, 2)]
    assert [row["registration_gap"] for row in table.rows] == [True, False, False, False]
    assert [row["last_interval"] for row in table.rows] == [None, 3, 6, 16]
    assert table.counts == {
        "users": 1, "gaps": 4, "returned": 3, "censored": 1, "registration_gaps": 1, "not_seen": 0, "no_risk": 1,
        "person_days": 25,
    }  # fmt: skip


def test_gaps_of_a_user_of_before_the_log_begin_at_the_first_activity():
    table = oracle.gaps(world([user(1, -3), user(2, -3)], [event(1, 4), event(1, 6)]))
    assert [((row["start_date"] - START).days, row["registration_gap"]) for row in table.rows] == [
        (4, False), (6, False),
    ]  # fmt: skip
    assert (table.counts["not_seen"], table.counts["users"]) == (1, 1)


@pytest.mark.parametrize(
    ("n", "expected"), [(-1, None), (0, 5.0), (2, 5.0), (3, 8.0), (4, 8.0), (5, 1.0), (6, 1.0), (-30, None)]
)
def test_the_last_balance_known(n, expected):
    def balance(user_id, n, hour, value):
        at = None if n is None else datetime(2024, 1, 1) + timedelta(days=n, hours=hour)
        return {"user_id": user_id, "date": at, "balance": value}

    rows = [
        balance(1, -20, 0, 5), balance(1, 3, 9, 7), balance(1, 3, 18, 6), balance(1, 3, 18, 8), balance(1, 5, 0, 1),
        balance(1, 6, 0, None), balance(9, 0, 0, 3), balance(None, 0, 0, 3), balance(1, None, 0, 3),
    ]  # fmt: skip
    asked = world([user(1, 0)], INVESTOR, balances=rows)
    assert oracle.balance_at(asked, asked.people[0], day(n)) == expected


def test_shares_and_balances_from_events():
    events = [*INVESTOR, event(1, 10, "redeem", 12), event(1, 11, "invest", None, "boosted")]
    asked = world([user(1, 0)], events)
    found = [
        tuple(oracle.features_at(asked, asked.people[0], day(n), ["boosted_share", "balance"]).values())
        for n in (2, 3, 9, 10, 11)
    ]
    assert found == [(None, 0.0), (1.0, 10.0), (0.5, 30.0), (0.5, 18.0), (2 / 3, 18.0)]
