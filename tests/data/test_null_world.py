"""A world without effects: behaviour at a stated day must not look like one, and the traps must be real.

Every user is active on each day with the same probability, whatever happened before, and invests at random amounts.
Nothing that users do has any bearing on whether they churn.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog

N_USERS, N_DAYS = 4_000, 500


@cache
def world() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(7)
    start = np.datetime64("2024-01-01")
    registered = rng.integers(0, 100, N_USERS)
    user, day = np.nonzero(rng.random((N_USERS, N_DAYS)) < 0.08)
    kept = day > registered[user]
    user, day = user[kept], day[kept]
    invests = rng.random(user.size) < 0.4
    events = pd.DataFrame(
        {
            "user_id": user,
            "event_at": start + day.astype("timedelta64[D]"),
            "kind": np.where(invests, "invest", "login"),
            "amount": np.where(invests, rng.lognormal(6, 1, user.size), np.nan),
            "product": np.where(rng.random(user.size) < 0.2, "boosted", "plain"),
        }
    )
    users = pd.DataFrame({"user_id": np.arange(N_USERS), "registered_at": start + registered.astype("timedelta64[D]")})
    return events, users


def score_z(x: Any, entry: Any, duration: Any, churned: Any) -> float:
    """Z of the score test of Cox's model with one covariate, at no effect, in (entry, duration]."""
    x, entry, duration, churned = (np.asarray(values, float) for values in (x, entry, duration, churned))
    score = variance = 0.0
    for day in np.unique(duration[(churned == 1) & (duration > entry)]):
        at_risk = (entry < day) & (day <= duration)
        dying = at_risk & (duration == day) & (churned == 1)
        n, d = at_risk.sum(), dying.sum()
        score += x[dying].sum() - d * x[at_risk].mean()
        variance += d * x[at_risk].var() * (n - d) / max(n - 1, 1)
    return float(score / np.sqrt(variance))


FEATURES = ["n_investments", "total_amount", "max_amount", "ever_boosted", "balance"]


@pytest.mark.parametrize("baseline_day", [10, 30, 60])
def test_features_at_a_baseline_day_show_no_effect(baseline_day: int) -> None:
    table = ActivityLog(*world()).churn_spells(features=FEATURES, baseline_day=baseline_day).table
    assert table["churned"].sum() > 500
    for feature in FEATURES:
        assert table[feature].std() > 0
        z = score_z(table[feature], table["entry"], table["duration"], table["churned"])
        assert abs(z) < 3, (feature, z)


def test_totals_of_the_whole_spell_would_show_one() -> None:
    events, users = world()
    table = ActivityLog(events, users).churn_spells().table.set_index("user_id")
    inside = events["event_at"] <= events["user_id"].map(table["end_date"])
    invested = events[inside & (events["kind"] == "invest")].groupby("user_id")["amount"]
    for totals in (invested.sum(), invested.count(), invested.max()):
        x = totals.reindex(table.index).fillna(0)
        assert score_z(x, table["entry"], table["duration"], table["churned"]) < -10


def test_the_same_features_would_show_one_if_users_entered_on_the_baseline_day() -> None:
    events, users = world()
    table = ActivityLog(events, users).churn_spells().table.set_index("user_id")
    known = events["event_at"] <= events["user_id"].map(table["origin"]) + pd.Timedelta(days=30)
    active_days = events[known].groupby("user_id").size().reindex(table.index).fillna(0)
    later = table["duration"] > 30
    z = score_z(active_days[later], np.full(later.sum(), 30), table.loc[later, "duration"], table.loc[later, "churned"])
    assert z < -5
