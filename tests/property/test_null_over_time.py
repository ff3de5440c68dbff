"""A world without effects, at scale, for every table over time: nothing may look like one, and the traps must be real.

It is the world of `tests.data.test_null_world`, which asks the same of spells: each user is active on each day with
one probability, whatever happened before, and amounts and products mean nothing. Beside every test stands its twin:
the same question with the mistake that the builder keeps from being made. If the twin did not fail, the test would
prove nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, ConvergenceError
from tests.data.test_null_world import N_DAYS, N_USERS, world

FEATURES = ["n_investments", "total_amount", "max_amount", "ever_boosted", "boosted_share", "balance"]
RECENT = ch.Feature("recent", agg="count", last=14)
START = pd.Timestamp("2024-01-01")


@cache
def log() -> ch.ActivityLog:
    return ch.ActivityLog(
        *world(), observed_from=START.date(), observed_until=START.date() + pd.Timedelta(days=N_DAYS - 1)
    )


def robust_z(x: NDArray[Any], outcome: NDArray[Any], user: NDArray[Any], within: NDArray[Any] | None = None) -> float:
    """Z of the score of a binary outcome on x at no effect, by user; both are centred `within` groups."""
    x, outcome = np.asarray(x, float), np.asarray(outcome, float)
    _, group = np.unique(np.zeros(len(x)) if within is None else within, return_inverse=True)
    n = np.bincount(group)
    x = x - (np.bincount(group, x) / n)[group]
    outcome = outcome - (np.bincount(group, outcome) / n)[group]
    by_user = np.bincount(np.unique(user, return_inverse=True)[1], x * outcome)
    return float(by_user.sum() / np.sqrt((by_user**2).sum()))


def cox_z(term: str, table: pd.DataFrame, **columns: str) -> float:
    """Robust z of one term, clustered by user."""
    fit = ch.cox(term, table, cluster="user_id", **columns).table
    return float((fit["estimate"] / fit["std_error"]).iloc[0])


def so_far(day: NDArray[Any], user: NDArray[Any], of: str = "invest") -> NDArray[Any]:
    """Number of events up to the end of a day of the window, straight from the events."""
    counted = counts_by_day(of)
    return counted[user, np.clip(day, 0, N_DAYS - 1)] * (np.asarray(day) >= 0)


@cache
def counts_by_day(of: str) -> NDArray[Any]:
    events, _ = world()
    kept = events[events["kind"] == of]
    day = (kept["event_at"] - START).dt.days.to_numpy()
    counted = np.zeros((N_USERS, N_DAYS), np.int32)
    np.add.at(counted, (kept["user_id"].to_numpy(), day), 1)
    return counted.cumsum(axis=1)


# -------------------------------------------------------------------------------------------------------- history

INTERVAL = {"entry": "start", "duration": "stop", "event": "churned"}


@cache
def history(every: int | None = 7) -> pd.DataFrame:
    """What users did so far; by default two times the idle days ago."""
    return log().history(features=FEATURES, every=every).table.fillna(dict.fromkeys(FEATURES, 0.0))


@pytest.mark.parametrize("feature", FEATURES)
def test_a_history_shows_no_effect(feature: str) -> None:
    table = history()
    assert table["churned"].sum() > 2_000
    assert table[feature].std() > 0
    z = cox_z(feature, table, **INTERVAL)
    assert abs(z) < 3, z


def test_a_history_that_splits_where_features_change_shows_no_effect() -> None:
    table = history(every=None)
    assert table["churned"].sum() == history()["churned"].sum()
    z = cox_z("n_investments", table, **INTERVAL)
    assert abs(z) < 3, z


@pytest.mark.parametrize("last", [7, 14, 30])
def test_a_window_of_days_shows_no_effect(last: int) -> None:
    """By default three times the idle days ago: a window measures how long a user had been idle by then."""
    recent = ch.Feature("recent", agg="count", last=last)
    table = log().history(features=[recent], every=7).table
    assert table["recent"].std() > 0
    z = cox_z("recent", table, **INTERVAL)
    assert abs(z) < 3, z


def test_a_history_with_the_lag_of_the_idle_days_would_show_one() -> None:
    """Who was idle for k days back then is at risk today only after an activity in the 30 - k days that followed.

    Its silence ends in churn within 60 days of then, so that up to there the hazard knows k; and a window measures k.
    """
    with pytest.warns(ChurnsurvWarning, match="lag is 30"):
        table = log().history(features=[RECENT], every=7, lag=30).table
    assert cox_z("recent", table, **INTERVAL) < -5


def days_and_users(table: pd.DataFrame, since_origin: str) -> tuple[NDArray[Any], NDArray[Any]]:
    day = (table["origin"] - START).dt.days.to_numpy() + table[since_origin].to_numpy()
    return day, table["user_id"].to_numpy()


def test_a_history_without_the_lag_would_show_one() -> None:
    """The number of investments as of the start of each row: it knows of a sign of life in the last days."""
    table = history()
    day, user = days_and_users(table, "start")
    np.testing.assert_array_equal(so_far(day - 60, user), table["n_investments"])
    assert cox_z("unlagged", table.assign(unlagged=so_far(day, user)), **INTERVAL) < -8
    within_two_weeks = so_far(day, user) - so_far(day - 14, user)
    with pytest.raises(ConvergenceError, match="separation"):
        # Nobody who churns this week was there in the last 14 days: the covariate is the outcome itself.
        cox_z("unlagged", table.assign(unlagged=within_two_weeks), **INTERVAL)


# ----------------------------------------------------------------------------------------------------------- gaps

GAP = {"entry": "entry", "duration": "duration", "event": "returned"}
STATE = ["tenure", "active_days", "mean_interval", "last_interval"]


@cache
def gaps() -> pd.DataFrame:
    table = log().gaps(features=[*FEATURES, RECENT]).table
    return table[table["duration"] > 0]


@pytest.mark.parametrize("feature", [*FEATURES, "recent", *STATE])
def test_gaps_show_no_effect(feature: str) -> None:
    table = gaps().dropna(subset=[feature])
    assert table["returned"].sum() > 50_000
    assert table[feature].std() > 0
    z = cox_z(feature, table, **GAP)
    assert abs(z) < 3, z


def test_gaps_with_the_totals_of_the_user_would_show_one() -> None:
    table = gaps()
    total = table.groupby("user_id")["active_days"].transform("max")
    assert cox_z("total", table.assign(total=total), **GAP) > 15


# -------------------------------------------------------------------------------------------- panel and snapshot


@cache
def panel() -> pd.DataFrame:
    return log().landmark_panel(features=[*FEATURES, RECENT], every=21, horizon=30).table


@pytest.mark.parametrize("feature", [*FEATURES, "recent", "active_days", "mean_interval", "last_interval", "spell_day"])
def test_a_panel_shows_no_effect_on_the_same_idle_day(feature: str) -> None:
    table = panel().dropna(subset=[feature])
    assert table["churned"].sum() > 2_000
    z = robust_z(table[feature], table["churned"], table["user_id"], within=table["idle_days"])
    assert abs(z) < 3, z


def test_a_panel_without_the_idle_day_would_show_one() -> None:
    table = panel()
    assert robust_z(table["recent"], table["churned"], table["user_id"]) < -15


def churned_within(snapshot: pd.DataFrame, horizon: int) -> NDArray[Any]:
    """The outcome of a snapshot's users, from the spells: a snapshot has none."""
    spells = log().churn_spells(spells="all").table[["user_id", "spell", "churned", "end_date"]]
    joined = snapshot.merge(spells, on=["user_id", "spell"], how="left", validate="one_to_one")
    assert joined["end_date"].notna().all()
    within = joined["end_date"] <= joined["date"] + pd.Timedelta(days=horizon)
    return (joined["churned"] & within).to_numpy()


@pytest.mark.parametrize("day", [150, 300, 450])
def test_a_snapshot_shows_no_effect_on_the_same_idle_day(day: int) -> None:
    table = log().snapshot((START + pd.Timedelta(days=day)).date(), features=[*FEATURES, RECENT]).table
    churned = churned_within(table, 30)
    assert churned.sum() > 80
    for feature in (*FEATURES, "recent", "active_days", "last_interval"):
        known = table[feature].notna().to_numpy()
        user, idle = table["user_id"].to_numpy()[known], table["idle_days"].to_numpy()[known]
        z = robust_z(table[feature].to_numpy()[known], churned[known], user, within=idle)
        assert abs(z) < 3, (feature, z)
    assert robust_z(table["recent"], churned, table["user_id"]) < -4


def test_a_snapshot_with_the_events_of_the_whole_log_would_show_one() -> None:
    table = log().snapshot("2024-10-27", features=()).table
    day = np.full(len(table), N_DAYS - 1)
    whole = so_far(day, table["user_id"].to_numpy())
    z = robust_z(whole, churned_within(table, 30), table["user_id"], within=table["idle_days"])
    assert z < -5


def test_the_log_as_it_was_known_shows_no_effect() -> None:
    then = log().as_of("2024-10-27")
    table = then.history(features=["n_investments"], every=7).table
    assert table["churned"].sum() > 500
    z = cox_z("n_investments", table, **INTERVAL)
    assert abs(z) < 3, z
