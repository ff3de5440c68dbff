"""Users in the tiers over dates: each date is what its snapshot says, and knows nothing of later days."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.tables import schema
from churnsurv.warning import Precision, Saving, TierScheme, Value, fit_tiers, tier_timeline
from churnsurv.warning import timeline as module
from tests.data.test_score_days import log_and_scores

WORTH = Value(saved_value=60, contact_cost=4, saving=Saving.plateau(top=0.3, middle=20, width=3))


@pytest.fixture(scope="module")
def log() -> ch.ActivityLog:
    return ch.simulate_app(400, seed=3).log


@pytest.fixture(scope="module")
def scheme(log: ch.ActivityLog) -> TierScheme:
    objective = {"high": WORTH, "low": Precision(target=0.3), "never": Precision(target=0.999)}
    return fit_tiers(
        log, objective=objective, tiers=("low", "high", "never"), variables=["balance"], missing={"balance": 0},
        bootstrap=0, until="2024-12-31",
    )  # fmt: skip


def test_each_date_is_what_its_snapshot_says(log: ch.ActivityLog, scheme: TierScheme) -> None:
    table = tier_timeline(log, scheme, every=35, first="2024-09-01")
    assert list(table) == list(schema("tier_timeline").names)
    dates = [stamp.date() for stamp in table["date"].drop_duplicates()]
    assert dates[-1] == log.observed_until
    assert {(b - a).days for a, b in itertools.pairwise(dates)} == {35}
    for date in dates:
        rows = table[table["date"] == pd.Timestamp(date)]
        assert rows["tier"].tolist() == ["never", "high", "low", None]
        # only what was known at its end: the same as if the log ended there
        found = scheme.assign(log.as_of(date).snapshot(date, features=scheme.features))
        assert dict(zip(rows["tier"], rows["n_users"], strict=True)) == {**found.in_tier, None: found.counts["no_tier"]}
        np.testing.assert_allclose(rows["share"], rows["n_users"] / found.counts["rows"])


def test_turns_change_nothing(log: ch.ActivityLog, scheme: TierScheme, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tier_timeline(log, scheme, every="90d")
    monkeypatch.setattr(module, "_ROWS", 801)
    pd.testing.assert_frame_equal(tier_timeline(log, scheme, every=90), whole)


def test_dates_begin_when_every_idle_day_can_be_there(log: ch.ActivityLog, scheme: TierScheme) -> None:
    dates = tier_timeline(log, scheme, every=60)["date"].drop_duplicates()
    start = pd.Timestamp(log.observed_from + datetime.timedelta(days=30))
    assert start <= dates.iloc[0] < start + pd.Timedelta(days=60)
    one = tier_timeline(log, scheme, first="2025-01-05", last="2025-01-05")
    assert one["date"].tolist() == [pd.Timestamp("2025-01-05")] * 4


def test_a_day_on_which_nobody_lives_has_no_share(scheme: TierScheme) -> None:
    users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-02"], "kind": ["login"]})
    balances = pd.DataFrame({"user_id": ["a"], "date": ["2024-01-01"], "balance": [5.0]})
    log = ch.ActivityLog(events, users, balances=balances, observed_until="2024-04-01")
    table = tier_timeline(log, scheme, every=60)
    last = table[table["date"] == table["date"].max()]
    assert last["n_users"].tolist() == [0, 0, 0, 0]
    assert last["share"].isna().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": "1999-01-01"}, "must lie between"),
        ({"first": "2025-01-02", "last": "2025-01-01"}, "in this order"),
        ({"every": 0}, "every"),
    ],
)
def test_wrong_days_are_told(log: ch.ActivityLog, scheme: TierScheme, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tier_timeline(log, scheme, **changes)


def test_too_many_dates_and_another_rule_are_refused(
    log: ch.ActivityLog, scheme: TierScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_MOST_DATES", 20)
        with pytest.raises(InputError, match="more than 20"):
            tier_timeline(log, scheme)
    app = ch.simulate_app(50, seed=3)
    other = ch.ActivityLog(app.events, app.users, rule=ch.ChurnRule(14))
    with pytest.raises(InputError, match="another churn rule"):
        tier_timeline(other, scheme)


def test_a_score_that_the_log_does_not_hold_is_asked_for_day_by_day() -> None:
    small, scores = log_and_scores(5, n_users=30)
    given = fit_tiers(small, objective={"high": Precision(target=0.1)}, family="score", score=scores, bootstrap=0)
    with pytest.raises(InputError, match=r"a score that was given.*log.snapshot\(date\).*scheme.assign"):
        tier_timeline(small, given)
