"""Gaps between active days: worked by hand, held against a walk over days, the spells and the panel."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data import ActivityLog, ChurnRule, Feature
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema
from tests.data.lives import (
    FEATURES,
    IDLE,
    LAST,
    STATE,
    active_days,
    date_of,
    lives,
    plain,
    rows_of,
    state_of,
)
from tests.data.small import log_of, users_of
from tests.data.test_null_world import FEATURES as NULL_FEATURES
from tests.data.test_null_world import score_z, world

GAP = ["user_id", "gap", "start_date", "entry", "duration", "returned", "registration_gap"]
HABIT = [column for column in STATE if column not in {"spell_day", "idle_days"}]


def hand_log(**settings: Any) -> ActivityLog:
    users = {1: "2023-12-01", 2: "2024-01-15", 3: "2023-12-20", 4: "2023-11-11", 5: "2024-02-29"}
    events = [
        (1, "2024-01-05"), (1, "2024-01-05 23:00", "invest", 3.0), (1, "2024-01-20"), (1, "2024-01-25", "view"),
        (2, "2024-01-15"), (2, "2024-01-18", "invest", 5.0), (2, "2024-01-20", "invest", 7.5), (2, "2024-02-29"),
        (3, "2024-01-11"),
    ]  # fmt: skip
    log_settings = {"observed_from": "2024-01-01", "observed_until": "2024-02-29"}
    return log_of(users, events, idle_days=10, **{**log_settings, **settings})


def test_gaps_by_hand() -> None:
    gaps = hand_log().gaps(features=["n_investments", "total_amount"])
    rows = rows_of(gaps.table, [*GAP, *HABIT, "n_investments", "total_amount"])
    assert [tuple(row.values()) for row in rows] == [
        # Registered before the log: the first gap begins with the first activity in it. After 15 days comes spell 2.
        (1, 1, 4, 0, 15, True, False, 1, 35, 1, None, None, False, 1, 3.0),
        (1, 2, 19, 0, 40, False, False, 2, 50, 2, 15.0, 15.0, False, 1, 3.0),
        (2, 1, 14, 0, 3, True, True, 1, 0, 1, None, None, True, 0, 0.0),
        (2, 2, 17, 0, 2, True, False, 1, 3, 2, 3.0, 3.0, True, 1, 5.0),
        (2, 3, 19, 0, 40, True, False, 1, 5, 3, 2.5, 2.0, True, 2, 12.5),
        # The last day of the log begins a gap of which nothing is seen.
        (2, 4, 59, 0, 0, False, False, 2, 45, 4, 15.0, 40.0, True, 2, 12.5),
        # Not seen in the first ten days of the log: churned before, and this is the return.
        (3, 1, 10, 0, 49, False, False, 2, 22, 1, None, None, False, 0, 0.0),
        (5, 1, 59, 0, 0, False, True, 1, 0, 1, None, None, True, 0, 0.0),
    ]
    assert dict(gaps.counts) == {
        "users": 4, "gaps": 8, "returned": 4, "censored": 4, "registration_gaps": 2, "not_seen": 1, "no_risk": 2,
        "person_days": 149,
    }  # fmt: skip


def test_the_last_of_the_first_days_and_the_one_after_it() -> None:
    users = {1: "2023-12-01", 2: "2023-12-01"}
    log = log_of(users, [(1, "2024-01-10"), (2, "2024-01-11")], idle_days=10, observed_from="2024-01-01")
    assert log.gaps().table["spell"].tolist() == [1, 2]
    spells = log.churn_spells(spells="all", left_truncated="assume_first_spell")
    assert spells.table["spell"].tolist() == [1, 2]


def test_layout_and_what_is_known_when() -> None:
    gaps = hand_log().gaps()
    features = ["n_investments", "total_amount", "max_amount", "balance", "stage"]
    assert gaps.table.columns.tolist() == [*schema("gaps").names, "registered_at", "cohort", *features]
    known = dict(gaps.known_at)
    assert {known[column] for column in [*HABIT, "gap", "registration_gap", *features]} == {"start_date"}
    assert {"user_id", "entry", "duration", "returned"}.isdisjoint(known)
    assert known["cohort"] == "origin"
    assert repr(gaps) == (
        "<Gaps: 8 gaps of 4 users, 4 ended by a return; 10 days without login or invest; 2024-01-01 to 2024-02-29, "
        "days of UTC>"
    )
    assert '"person_days": 149' in gaps.to_json()
    types = {column: str(kind) for column, kind in gaps.table.dtypes.items()}
    assert {types[column] for column in ("gap", "entry", "duration", "spell", "tenure", "active_days")} == {"int32"}
    assert types["start_date"] == "datetime64[s]"
    assert types["returned"] == types["registration_gap"] == types["life_observed"] == "bool"
    assert types["last_interval"] == "float64"


@pytest.mark.parametrize("seed", range(4))
def test_gaps_are_those_of_a_walk_over_days(seed: int) -> None:
    some = lives(seed, balances=seed % 2 == 1)
    gaps = some.log().gaps(features=FEATURES)
    expected = []
    for user, registered in sorted(some.registered.items()):
        days = active_days(some, user, LAST)
        for number, (start, until) in enumerate(pairwise([*days, None]), start=1):
            assert start is not None
            state = state_of(some, user, start)
            assert state is not None
            gap = {
                "user_id": user, "gap": number, "start_date": start, "entry": 0,
                "duration": (LAST if until is None else until) - start, "returned": until is not None,
                "registration_gap": start == registered,
            }  # fmt: skip
            expected.append(gap | {name: value for name, value in state.items() if name in {*HABIT, *FEATURES}})
    assert rows_of(gaps.table, list(expected[0])) == expected
    assert len(expected) > 100
    assert gaps.counts["not_seen"] == len(some.registered) - gaps.counts["users"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_long_gaps_are_the_churns_of_the_spells(seed: int) -> None:
    log = lives(seed).log()
    gaps = log.gaps(features=[]).table
    spells = log.churn_spells(spells="all", left_truncated="assume_first_spell").table
    # A gap of just `idle_days` days that ends in activity is no churn; one that the log ends is.
    churned = (gaps["duration"] > IDLE) | ((gaps["duration"] == IDLE) & ~gaps["returned"])
    assert churned.sum() == spells["churned"].sum() > 20
    both = gaps.merge(spells, on=["user_id", "spell"], validate="many_to_one")
    assert len(both) == len(gaps)
    assert both["start_date"].between(both["origin"], both["last_activity"]).all()
    assert ((both["start_date"] == both["last_activity"]) & both["churned"])[churned].all()


@pytest.mark.parametrize("seed", range(3))
def test_gaps_of_a_user_abut_and_reach_the_end(seed: int) -> None:
    gaps = lives(seed).log().gaps(features=[])
    table = gaps.table
    ends = table["start_date"] + pd.to_timedelta(table["duration"], unit="D")
    for _, mine in table.assign(end=ends).groupby("user_id"):
        assert (mine["start_date"].to_numpy()[1:] == mine["end"].to_numpy()[:-1]).all()
        assert mine["end"].iloc[-1] == date_of(LAST)
        assert mine["returned"].tolist() == [True] * (len(mine) - 1) + [False]
        assert mine["gap"].tolist() == mine["active_days"].tolist() == list(range(1, len(mine) + 1))
    assert gaps.counts["person_days"] == table["duration"].sum()


@pytest.mark.parametrize("seed", range(3))
def test_gaps_that_began_by_a_day_are_known_on_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some, day = lives(seed, balances=seed == 0), int(rng.integers(5, LAST))
    whole, other = (each.log().gaps(features=FEATURES).table for each in (some, some.otherwise(day, rng)))
    known = some.log().as_of(date_of(day).date()).gaps(features=FEATURES).table
    outcome = ["duration", "returned"]
    early = [plain(table[table["start_date"] <= date_of(day)]) for table in (whole, other)]
    for table in early:
        pd.testing.assert_frame_equal(table.drop(columns=outcome), plain(known).drop(columns=outcome), check_exact=True)
        # What has ended by the day is known to have ended; the rest is censored on it.
        ended = table["returned"] & (table["start_date"] + pd.to_timedelta(table["duration"], "D") <= date_of(day))
        assert (known["returned"] == ended).all()
        so_far = (date_of(day) - table["start_date"]).dt.days
        assert (known["duration"] == table["duration"].where(ended, so_far)).all()


def test_churn_given_idle_days_is_the_share_of_the_panel() -> None:
    """P(churn | idle d) = S(idle_days) / S(d), with S of not yet having returned."""
    log = lives(11, n_users=150).log()
    panel, gaps = log.landmark_panel(every=1, features=[]).table, log.gaps(features=[]).table
    for idle in range(IDLE):
        # The gaps that make the rows of the panel with so many idle days: those whose landmark has a whole horizon.
        mature = gaps[gaps["start_date"] + pd.Timedelta(days=idle) <= date_of(LAST - IDLE)]
        survival = ch.kaplan_meier(mature, event="returned").at([idle, IDLE])["survival"].tolist()
        rows = panel[panel["idle_days"] == idle]
        assert len(rows) > 100
        assert rows["churned"].mean() == pytest.approx(survival[1] / survival[0], abs=1e-12)


def test_a_rule_of_one_day_and_every_event() -> None:
    log = hand_log(rule=ChurnRule(idle_days=1, activity=None))
    mine = log.gaps(features=[]).table.query("user_id == 1")
    assert mine["duration"].tolist() == [15, 5, 35]
    assert mine["spell"].tolist() == [2, 3, 4]


def test_events_may_have_no_kind() -> None:
    log = hand_log()
    events = log._reading.data["events"]
    assert isinstance(events, pd.DataFrame)
    bare = ActivityLog(
        events.drop(columns=["kind", "amount"]), users_of({1: "2024-01-01"}), rule=ChurnRule(activity=None)
    )
    gaps = bare.gaps()
    assert gaps.table["duration"].tolist() == [4, 15, 5, 35]
    assert gaps.table.columns.tolist()[-2:] == ["registered_at", "cohort"]
    with pytest.raises(SchemaError, match=r"'kind' is missing"):
        ActivityLog(events.drop(columns="kind"), users_of({1: "2024-01-01"})).gaps()


@pytest.mark.parametrize("column", ["duration", "Gap", "returned"])
def test_features_cannot_have_the_name_of_a_column(column: str) -> None:
    with pytest.raises(InputError, match=rf"cannot be called '{column}'.*gaps"):
        hand_log().gaps(features=[Feature(column, agg="count")])


def test_behaviour_at_the_start_of_a_gap_shows_no_effect_on_its_length() -> None:
    gaps = ActivityLog(*world()).gaps(features=NULL_FEATURES).table
    at_risk = gaps[gaps["duration"] > 0]
    some = at_risk[at_risk["user_id"] % 4 == 0]
    assert some["returned"].sum() > 20_000
    for column in [*NULL_FEATURES, "mean_interval", "last_interval"]:
        there = some[some[column].notna()]
        z = score_z(there[column], there["entry"], there["duration"], there["returned"])
        assert abs(z) < 3, (column, z)
