"""Panels and snapshots: worked by hand, held against a walk over days, and blind to what comes after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule, Feature
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema
from tests.data.lives import (
    FEATURES,
    IDLE,
    LAST,
    START,
    STATE,
    churn_day,
    date_of,
    lives,
    plain,
    rows_of,
    state_of,
)
from tests.data.small import log_of, users_of

OUTCOME = ["churned", "duration"]
BEGIN, END = "2024-01-01", "2024-02-29"


def hand_log(**settings: Any) -> ActivityLog:
    """User 1 was active before the log, user 2 is new in it, user 3 comes back, user 4 is never seen."""
    users = {1: "2023-12-01", 2: "2024-01-15", 3: "2023-12-20", 4: "2023-11-11"}
    events = [
        (1, "2024-01-05"), (1, "2024-01-20"), (1, "2024-01-21", "view"),
        (2, "2024-01-18", "invest", 5.0), (2, "2024-01-20", "invest", 7.5), (2, "2024-01-23"),
        (3, "2024-01-14"),
    ]  # fmt: skip
    return log_of(users, events, idle_days=10, **{"observed_from": BEGIN, "observed_until": END, **settings})


def state_on(day: str, log: ActivityLog | None = None) -> dict[int, tuple[Any, ...]]:
    table = (log or hand_log()).snapshot(day, features=["n_investments", "total_amount"]).table
    columns = [*STATE, "n_investments", "total_amount"]
    return {row["user_id"]: tuple(row[c] for c in columns) for row in rows_of(table, ["user_id", *columns])}


def test_the_state_of_a_day_by_hand() -> None:
    # spell, spell day, tenure, idle, active days, mean and last interval, life observed, investments, amount
    assert state_on("2024-01-22") == {
        1: (2, 2, 52, 2, 2, 15.0, 15.0, False, 0, 0.0),
        2: (1, 7, 7, 2, 3, 2.5, 2.0, True, 2, 12.5),
        3: (2, 8, 33, 8, 1, None, None, False, 0, 0.0),
    }


def test_users_registered_before_the_log_are_there_from_their_first_activity_in_it() -> None:
    assert 1 not in state_on("2024-01-04")
    # What the first ten days show: alive in the spell of the registration. User 3, unseen in them, had churned.
    assert state_on("2024-01-05") == {1: (1, 35, 35, 0, 1, None, None, False, 0, 0.0)}
    assert state_on("2024-01-14")[3][:5] == (2, 0, 25, 0, 1)


def test_the_day_of_churn_and_the_days_between_spells_have_no_row() -> None:
    # User 1 was last active on the 5th. The 14th is the ninth idle day, the 15th that of churn, the 20th of the return.
    assert [1 in state_on(f"2024-01-{day}") for day in (14, 15, 19, 20)] == [True, False, False, True]


def test_registration_is_known_on_its_day_and_not_before() -> None:
    assert 2 not in state_on("2024-01-14")
    assert state_on("2024-01-15")[2] == (1, 0, 0, 0, 1, None, None, True, 0, 0.0)


def test_the_panel_by_hand() -> None:
    panel = hand_log().landmark_panel(features=[], every=7, horizon=5)
    rows = rows_of(panel.table, ["date", "user_id", *OUTCOME, "idle_days"])
    # Landmarks are the 1st, 8th, 15th, 22nd, 29th, ... User 1 churns on the 15th and 30th of January, user 2 on
    # 2 February (day 32), user 3 on the 24th.
    assert [tuple(row.values()) for row in rows] == [
        (7, 1, False, 5, 3),
        (14, 2, False, 5, 0), (14, 3, False, 5, 1),
        (21, 1, False, 5, 2), (21, 2, False, 5, 2), (21, 3, True, 2, 8),
        (28, 1, True, 1, 9), (28, 2, True, 4, 6),
    ]  # fmt: skip
    assert dict(panel.counts) == {"rows": 8, "users": 3, "landmarks": 8, "life_not_observed": 5, "churned": 3}
    assert rows_of(hand_log().landmark_panel(every=7).table, OUTCOME)[0] == {"churned": True, "duration": 7}


def test_layout_names_and_what_is_known_when() -> None:
    log = hand_log()
    snapshot, panel = log.snapshot("2024-01-22"), log.landmark_panel(every="14d", horizon="10d")
    told = ["registered_at", "cohort", "n_investments", "total_amount", "max_amount", "balance", "stage"]
    assert snapshot.table.columns.tolist() == [*schema("snapshot").names, *told]
    assert panel.table.columns.tolist() == [*schema("panel").names, *told]
    assert dict(snapshot.known_at) == dict(panel.known_at)
    assert set(snapshot.known_at) == {*schema("snapshot").names, *told} - {"user_id", "date"}
    assert {snapshot.known_at[column] for column in [*STATE, *told[2:]]} == {"date"}
    assert snapshot.known_at["registered_at"] == snapshot.known_at["cohort"] == "origin"
    assert str(snapshot.date) == "2024-01-22"
    assert (panel.every, panel.horizon) == (14, 10)
    assert repr(snapshot) == (
        "<Snapshot: 3 living users at the end of 2024-01-22, 2 of them registered before the log; 10 days without "
        "login or invest; 2024-01-01 to 2024-02-29, days of UTC>"
    )
    assert repr(panel) == (
        "<Panel: 4 rows of 3 users on 4 days, 14 apart, 3 followed by churn within 10 days, 2 of them registered "
        "before the log; 10 days without login or invest; 2024-01-01 to 2024-02-29, days of UTC>"
    )
    assert '"date": "2024-01-22"' in snapshot.to_json()
    assert '"horizon": 10' in panel.to_json()
    types = {column: str(kind) for column, kind in panel.table.dtypes.items()}
    assert {types[column] for column in ("duration", "spell", "spell_day", "tenure", "idle_days")} == {"int32"}
    assert (types["date"], types["churned"], types["life_observed"]) == ("datetime64[s]", "bool", "bool")
    # The type of a column does not hang on whether a value is missing.
    assert types["last_interval"] == types["mean_interval"] == "float64"
    with pytest.raises(TypeError):
        snapshot.counts["rows"] = 0


@pytest.mark.parametrize("seed", range(6))
def test_snapshots_and_panels_are_those_of_a_walk_over_days(seed: int) -> None:
    some = lives(seed, balances=seed % 2 == 1)
    log, every, horizon = some.log(), (1, 3, 7)[seed % 3], (IDLE, 2, 15)[seed % 3]
    panel = log.landmark_panel(features=FEATURES, every=every, horizon=horizon)
    expected = []
    for day in range(0, LAST - horizon + 1, every):
        for user in sorted(some.registered):
            if (state := state_of(some, user, day)) is not None:
                ahead = churn_day(some, user, day) - day
                outcome = {"churned": ahead <= horizon, "duration": min(ahead, horizon)}
                expected.append({"user_id": user, "date": day} | outcome | state)
    assert rows_of(panel.table, list(expected[0])) == expected
    assert len(expected) > 40
    assert panel.counts["churned"] == sum(row["churned"] for row in expected) > 10
    assert panel.counts["life_not_observed"] == sum(not row["life_observed"] for row in expected) > 10
    assert panel.counts["users"] == len({row["user_id"] for row in expected})


@pytest.mark.parametrize("seed", range(3))
def test_a_snapshot_a_row_of_the_panel_and_a_log_that_ends_on_the_day_are_the_same(seed: int) -> None:
    some = lives(seed, balances=seed == 1)
    log = some.log()
    panel = log.landmark_panel(features=FEATURES, every=3, horizon=20).table
    for day in (0, 5, 18, 39):
        snapshot = log.snapshot(date_of(day).date(), features=FEATURES)
        table = plain(snapshot.table)
        assert len(table) == snapshot.counts["rows"] > 0
        known = log.as_of(date_of(day).date()).snapshot(date_of(day).date(), features=FEATURES).table
        pd.testing.assert_frame_equal(plain(known), table, check_exact=True)
        if day % 3 == 0:
            row = panel[panel["date"] == date_of(day)].drop(columns=OUTCOME)
            pd.testing.assert_frame_equal(plain(row), table, check_exact=True)


@pytest.mark.parametrize("seed", range(4))
def test_what_happens_after_a_day_changes_nothing_that_is_known_on_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some, day = lives(seed, balances=seed % 2 == 0), int(rng.integers(5, LAST))
    own = [*FEATURES, Feature("mean", agg="mean", column="amount", last=9), Feature("views", agg="days", kind="view")]
    logs = [each.log() for each in (some, some.until(day), some.otherwise(day, rng))]
    known = [plain(log.snapshot(date_of(day).date(), features=own).table) for log in logs]
    for other in known[1:]:
        pd.testing.assert_frame_equal(other, known[0], check_exact=True)
    panels = [log.landmark_panel(features=own, every=1, horizon=1).table for log in logs]
    for other in panels[1:]:
        # The outcome too, where its horizon has passed by then.
        for until, left_out in ((day - 1, []), (day, OUTCOME)):
            early = [table[table["date"] <= date_of(until)].drop(columns=left_out) for table in (panels[0], other)]
            pd.testing.assert_frame_equal(plain(early[1]), plain(early[0]), check_exact=True)


@pytest.mark.parametrize("seed", range(3))
def test_churn_within_the_rules_days_is_no_activity_on_the_days_that_are_left(seed: int) -> None:
    """The third way to look ahead: with horizon = idle_days the outcome is arithmetic once idle days are given."""
    some = lives(seed)
    table = some.log().landmark_panel(features=[], every=1).table
    assert table["churned"].sum() > 20
    for row in rows_of(table, ["user_id", "date", "idle_days", *OUTCOME]):
        left = IDLE - row["idle_days"]
        after = [d for u, d, kind, *_ in some.events if u == row["user_id"] and kind in {"login", "invest"}]
        assert row["churned"] == (not any(row["date"] < d <= row["date"] + left for d in after))
        assert row["duration"] == (left if row["churned"] else IDLE)


@pytest.mark.parametrize("seed", range(3))
def test_churns_are_those_of_the_spells(seed: int) -> None:
    log, horizon = lives(seed).log(), 9
    panel = log.landmark_panel(features=[], every=2, horizon=horizon).table
    spells = log.churn_spells(spells="all", left_truncated="assume_first_spell").table
    both = panel.merge(spells, on=["user_id", "spell"], suffixes=("", "_of_spell"), validate="many_to_one")
    assert len(both) == len(panel)
    ahead = (both["end_date"] - both["date"]).dt.days
    assert (both["churned"] == (both["churned_of_spell"] & (ahead <= horizon))).all()
    assert (both["duration"] == np.minimum(ahead, horizon).where(both["churned"], horizon)).all()
    assert (both["spell_day"] == (both["date"] - both["origin"]).dt.days).all()
    # Nobody is lost: every spell is met on each of the landmarks that it holds, from the first activity in the log on.
    observed = spells[spells["origin_known"]]
    landmarks = pd.DataFrame({"date": panel["date"].unique()})
    met = observed.merge(landmarks, how="cross")
    held = met["date"].between(met["origin"], met["end_date"]) & ~(met["churned"] & (met["date"] == met["end_date"]))
    assert held.sum() == (both["origin_known"]).sum() > 50


def test_every_event_counts_where_the_rule_says_so() -> None:
    rule = ChurnRule(idle_days=10, activity=None)
    assert state_on("2024-01-22", hand_log(rule=rule))[1][3:7] == (1, 3, 8.0, 1.0)


def test_a_user_who_registers_and_churns_between_landmarks_is_not_there() -> None:
    log = log_of({1: "2024-01-02", 2: "2024-01-01"}, [(2, "2024-01-20")], idle_days=5, observed_until="2024-03-01")
    assert set(log.landmark_panel(every=7).table["user_id"]) == {2}


def test_nobody_may_be_alive() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-02-20")], idle_days=5)
    snapshot = log.snapshot("2024-02-10")
    assert snapshot.table.empty
    assert list(snapshot.table.columns) == list(log.snapshot("2024-02-20").table.columns)
    assert dict(snapshot.counts) == {"rows": 0, "users": 0, "landmarks": 1, "life_not_observed": 0}


def test_a_panel_of_many_days() -> None:
    log = log_of({1: "2000-01-01"}, [(1, "2000-01-03"), (1, "2020-01-01")], idle_days=30)
    panel = log.landmark_panel(every=1, features=[])
    assert panel.counts["landmarks"] == 7_276
    assert panel.counts["rows"] == 32
    assert panel.table["churned"].sum() == 30


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda log: log.snapshot("2023-12-31"),
            r"2023-12-31 lies outside the log, which covers 2024-01-01 to 2024-02-29",
        ),
        (lambda log: log.snapshot("2024-03-01"), r"which covers 2024-01-01 to 2024-02-29"),
        (lambda log: log.snapshot("someday"), r"date must be a date or text such as '2024-05-01'; it is 'someday'"),
        (
            lambda log: log.landmark_panel(horizon=60),
            r"No landmark fits: the log covers 2024-01-01 to 2024-02-29.*needs 60 days.*at most 59 days",
        ),
        (lambda log: log.landmark_panel(every=0), r"every must be a whole number of days, 1 or more"),
        (lambda log: log.landmark_panel(horizon="soon"), r"horizon must be whole days"),
        (lambda log: log.snapshot(END, features=["idle_days"]), r"'idle_days' is no feature"),
        (
            lambda log: log.snapshot(END, features=[Feature("Tenure", agg="count")]),
            r"cannot be called 'Tenure'.*snapshot",
        ),
        (lambda log: log.landmark_panel(features=[Feature("cohort", agg="count")]), r"cannot be called 'cohort'"),
    ],
)
def test_questions_that_cannot_be_answered(ask: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(hand_log())


def test_a_panel_whose_last_landmark_is_its_first() -> None:
    assert hand_log().landmark_panel(horizon=59).counts["landmarks"] == 1


def test_an_attribute_with_the_name_of_a_column_is_refused() -> None:
    log = hand_log()
    users = users_of({1: "2024-01-01"}).assign(tenure=3)
    with pytest.raises(SchemaError, match=r"users: 'tenure' would collide with a column of the snapshot"):
        ActivityLog(log._reading.data["events"], users).snapshot("2024-01-22")


# ------------------------------------------------------------------------------------------- a world without effects


def stratified_z(x: Any, churned: Any, idle: Any, user: Any) -> float:
    """Z of the score of x in a logistic model with a level for each idle day, robust by user, at no effect."""
    frame = pd.DataFrame({"x": np.asarray(x, float), "y": np.asarray(churned, float), "d": idle, "user": user})
    means = frame.groupby("d")[["x", "y"]].transform("mean")
    scores = ((frame["x"] - means["x"]) * (frame["y"] - means["y"])).groupby(frame["user"]).sum()
    return float(scores.sum() / np.sqrt((scores**2).sum()))


NULL_FEATURES = ["n_investments", "total_amount", "max_amount", "ever_boosted", "balance"]
NULL_STATE = ["active_days", "mean_interval", "last_interval"]


def test_behaviour_shows_no_effect_within_idle_days_and_a_large_one_across_them() -> None:
    from tests.data.test_null_world import world

    recent = Feature("recent", agg="count", last=14)
    panel = ActivityLog(*world()).landmark_panel(features=[*NULL_FEATURES, recent], every=14).table
    assert panel["churned"].sum() > 2_000
    for column in [*NULL_FEATURES, *NULL_STATE, "recent"]:
        there = panel[panel[column].notna()]
        z = stratified_z(there[column], there["churned"], there["idle_days"], there["user_id"])
        assert abs(z) < 3, (column, z)
    for column in ("n_investments", "total_amount", "active_days"):
        # Within days since registration, so that the length of life is not what shows.
        z = stratified_z(panel[column], panel["churned"], panel["tenure"], panel["user_id"])
        assert z < -5, (column, z)


def test_a_snapshot_shows_no_effect_within_idle_days_either() -> None:
    from tests.data.test_null_world import world

    log = ActivityLog(*world())
    day = START + pd.Timedelta(days=200)
    snapshot = log.snapshot(day.date(), features=NULL_FEATURES).table
    spells = log.churn_spells(spells="all").table
    both = snapshot.merge(spells[["user_id", "spell", "churned", "end_date"]], on=["user_id", "spell"])
    assert len(both) == len(snapshot) > 1_000
    churned = both["churned"] & (both["end_date"] <= day + pd.Timedelta(days=30))
    assert churned.sum() > 100
    for column in NULL_FEATURES:
        z = stratified_z(both[column], churned, both["idle_days"], both["user_id"])
        assert abs(z) < 3, (column, z)
