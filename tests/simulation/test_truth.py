"""The rest of the truth: what was hidden, the best days to contact users, and the two scenarios."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from churnsurv.errors import InputError
from churnsurv.simulation import SimulatedApp, simulate_app
from churnsurv.simulation.effects import Risk, contact_rules


def test_probabilities_are_consistent(app: SimulatedApp) -> None:
    gaps, survival = app.truth.gaps, app.truth.gap_survival()
    weights = gaps[[column for column in gaps if column.startswith("type_")]].to_numpy()
    assert np.allclose(weights.sum(axis=1), 1)
    assert (survival[:, 0] == 1).all() or np.allclose(survival[:, 0], 1)
    assert (np.diff(survival, axis=1) <= 1e-12).all()
    assert (survival[:, 30] >= 0.97 * gaps["left_probability"]).all()
    first = gaps[gaps["gap"] == 1]
    assert np.allclose(first[["type_1", "type_3"]], [0.08, 0.38])
    # On the average the evidence of the day leaves the probability of leaving what it was.
    for rows in (gaps["gap"] == 1, gaps["gap"] > 1):
        mean = gaps.loc[rows, ["leaving_probability", "left_probability"]].mean()
        assert abs(mean.iloc[0] - mean.iloc[1]) < 0.005
        assert abs(gaps.loc[rows, "left"].mean() - mean.iloc[0]) < 0.005


def test_the_filter_learns_the_hidden_type(app: SimulatedApp) -> None:
    gaps = app.truth.gaps.merge(app.truth.users, on="user_id")
    late = gaps[gaps["gap"] > 15]
    given = late[[f"type_{k}" for k in range(1, 6)]].to_numpy()[np.arange(len(late)), late["interval_type"] - 1]
    prior = np.array(app.truth.parameters["gap_shares"])[late["interval_type"] - 1]
    assert np.log(given).mean() > np.log(prior).mean() + 0.2


def test_reasons_are_those_of_leaving(app: SimulatedApp) -> None:
    reasons = app.truth.reasons
    assert len(reasons) == app.truth.gaps["left"].sum()
    gaps = app.truth.gaps
    early = gaps[gaps["left"] & (gaps["gap"] == 1)]["reason"].value_counts(normalize=True)
    shares = dict(
        zip(("rigid", "frustrated", "policy", "natural"), app.truth.parameters["reasons"]["new"], strict=True)
    )
    assert all(abs(early[name] - share) < 0.03 for name, share in shares.items())
    # Reasons have to do with the stage alone: those of later leaving, channel by channel.
    before = gaps.groupby("user_id")["n_investments"].shift(fill_value=0)
    later = gaps[gaps["left"] & (gaps["gap"] > 1) & (before > 2)]["reason"].value_counts()
    expected = pd.Series(dict(zip(shares, app.truth.parameters["reasons"]["later"], strict=True))) * later.sum()
    assert stats.chisquare(later[expected.index], expected).pvalue > 1e-3


def test_the_best_day_of_a_rule_is_the_best_of_all_days() -> None:
    """Ten gaps by hand: net benefit is value s(d) S(30) - cost S(d), and never for nothing."""
    rng = np.random.default_rng(0)
    drops = rng.random((10, 30))
    survival = np.column_stack([np.ones(10), 1 - 0.9 * np.cumsum(drops, axis=1) / drops.sum(axis=1, keepdims=True)])
    risk = Risk(survival, np.repeat([0, 1], 5), np.tile([True, False], 5))
    saving = np.linspace(0.3, 0.1, 30)
    found = {(each.rule, each.group): each for each in contact_rules(risk, value=10.0, cost=1.0, saving=saving)}
    benefit = np.array([[10 * saving[d] * s[30] - s[d] for d in range(1, 30)] for s in survival])
    for (rule, group), rows in {
        ("one day", "all"): np.arange(10),
        ("by stage", "growth"): np.arange(5, 10),
        ("by balance", "below 100"): np.arange(0, 10, 2),
        ("by stage and balance", "new | 100 or more"): np.array([1, 3]),
    }.items():
        mean, answer = benefit[rows].mean(axis=0), found[rule, group]
        best = mean.max()
        assert answer.idle_day == (1 + int(mean.argmax()) if best > 0 else None)
        assert np.isclose(answer.net_benefit, max(best, 0))
        assert np.isclose(answer.share_of_gaps, rows.size / 10)
    assert ("by stage", "mature") not in found
    oracle = found["each gap's own day", "all"].net_benefit
    assert np.isclose(oracle, np.maximum(benefit.max(axis=1), 0).mean())
    costly = contact_rules(risk, value=10.0, cost=100.0, saving=saving)
    assert {each.idle_day for each in costly} == {None}
    assert {each.net_benefit for each in costly} == {0.0}


def test_rules_that_see_more_are_worth_more(app: SimulatedApp) -> None:
    table = app.truth.contact_rules(value=100.0, cost=1.0, n_users=4_000)
    worth = (table["net_benefit"] * table["share_of_gaps"]).groupby(table["rule"]).sum()
    order = ["one day", "by balance", "by stage and balance", "each gap's own day"]
    assert (np.diff(worth[order]) >= 0).all()
    assert worth["by balance"] > 1.01 * worth["one day"]
    days = table.set_index(["rule", "group"])["idle_day"]
    # Idle longer than about two weeks; sooner where the balance is low.
    assert 12 <= days["one day", "all"] <= 18
    assert days["by balance", "below 100"] < days["by balance", "100 or more"]
    again = app.truth.contact_rules(value=100.0, cost=1.0, n_users=4_000)
    pd.testing.assert_frame_equal(table, again)


def test_the_stated_benefit_is_what_gaps_bring(quiet: SimulatedApp) -> None:
    """Every idle day's benefit, from what happened instead of from probabilities; and the rules from other users."""
    value, cost = 100.0, 1.0
    gaps, survival = quiet.truth.gaps, quiet.truth.gap_survival()
    start = gaps["start_date"]
    seen = (start <= pd.Timestamp(quiet.observed_until) - pd.Timedelta(days=31)).to_numpy()
    late = seen & (start >= pd.Timestamp(quiet.balanced_from)).to_numpy()
    longer = gaps["duration"].to_numpy()[late, None] > np.arange(31)
    from churnsurv.simulation.model import ARMS, MODEL

    saving = {arm.name: arm.saves for arm in ARMS}["sms"] * MODEL.saving(np.arange(30))
    happened = value * saving * longer[:, 30:] - cost * longer[:, :30]
    stated = value * saving * survival[late, 30:] - cost * survival[late, :30]
    users = gaps["user_id"].to_numpy()[late]
    for d in (1, 7, 15, 22, 29):
        of_user = pd.Series(happened[:, d] - stated[:, d]).groupby(users).sum()
        assert abs(of_user.sum()) < 4 * np.sqrt((of_user**2).sum()), d
    rule = quiet.truth.contact_rules(value=value, cost=cost, n_users=8_000).iloc[0]
    assert (rule["rule"], rule["group"]) == ("one day", "all")
    realised = happened.mean(axis=0)
    # Learnt from other users: within a few per cent of the best day in hindsight.
    assert realised[rule["idle_day"]] > 0.97 * realised[1:].max()
    assert abs(rule["net_benefit"] - realised[rule["idle_day"]]) < 0.08


def test_a_super_population_is_never_the_app_itself() -> None:
    """Seed 1 of the app, seed 1 of the others."""
    truth = simulate_app(2_000, seed=1, campaigns=()).truth
    late = (truth.gaps["start_date"] >= "2024-01-01").to_numpy()
    mean = truth.gap_survival()[late].mean(axis=0)
    own = (15 * mean[30] - mean[1:30]).max()
    curve = [0.15] * 30
    other = truth.contact_rules(value=100.0, cost=1.0, saving=curve, n_users=2_000, seed=1).iloc[0]
    again = truth.contact_rules(value=100.0, cost=1.0, saving=curve, n_users=2_000, seed=2).iloc[0]
    assert len({round(own, 9), round(other["net_benefit"], 9), round(again["net_benefit"], 9)}) == 3
    assert truth.contact_rules(value=100.0, cost=1.0, n_users=500).iloc[0]["idle_day"] > 5  # default arms are known


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value": float("nan")}, "value must be a finite number"),
        ({"cost": "1"}, "cost must be a finite number"),
        ({"n_users": 0}, "n_users must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_rules_for_nothing_are_refused(app: SimulatedApp, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        app.truth.contact_rules(**{"value": 100.0, "cost": 1.0, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("saving", "message"), [("smss", "Did you mean 'sms'"), ([0.1] * 29, "one number for each idle day")]
)
def test_savings_that_make_no_sense_are_refused(app: SimulatedApp, saving: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        app.truth.contact_rules(value=100.0, cost=1.0, saving=saving, n_users=50)  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [[-1], [0.5], [[1, 2]], [100_000]])
def test_days_that_are_none_are_refused(app: SimulatedApp, days: object) -> None:
    with pytest.raises(InputError, match="whole days"):
        app.truth.gap_survival(days)  # type: ignore[arg-type]


def test_in_the_steady_world_the_risk_of_gaps_stays_and_in_the_drifting_one_it_falls(quiet: SimulatedApp) -> None:
    def by_quarter(app: SimulatedApp) -> tuple[pd.Series, pd.Series]:
        gaps = app.truth.gaps
        risk = pd.Series(app.truth.gap_survival([30])[:, 0])
        start = gaps["start_date"]
        # The bursts of 2024 bring many new users at once; they are left out.
        keep = ((start >= "2023-07-01") & (start < "2024-02-01")) | (start >= "2024-10-01")
        quarter = start.dt.to_period("Q")[keep]
        return risk[keep].groupby(quarter).mean(), (gaps["n_investments"] <= 2)[keep].groupby(quarter).mean()

    risk, new = by_quarter(quiet)
    assert risk.max() - risk.min() < 0.01
    assert new.iloc[-1] > 0.2
    drift = simulate_app(8_000, seed=12, scenario="drift", campaigns=())
    risk, new = by_quarter(drift)
    assert risk.iloc[0] - risk.iloc[-1] > 0.015
    assert new.iloc[-1] < 0.12
    assert drift.users["registered_at"].max() < pd.Timestamp("2024-07-01")
