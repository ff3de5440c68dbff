"""Planning a campaign: every form of the base, every direction of the question, and campaigns that are drawn."""

import json

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.recall.power import campaign_power

BASE = 0.15 * (1 - np.exp(-np.arange(1, 31) / 8))
LIFTS = {"return_probability": 0.03, "hazard_ratio": 1.3, "days_to_return": -0.6}


def test_the_table_and_the_line():
    found = campaign_power(base=BASE, lift=[0.02, 0.03], accrual_per_day=500, holdout=0.2)
    table = found.table
    assert list(table.columns) == list(ch.schema("campaign_power").names)
    assert (table["n_arm"] + table["n_control"] == table["n_users"]).all()
    np.testing.assert_allclose(table["n_control"] / table["n_users"], 0.2, atol=1e-3)
    np.testing.assert_allclose(table["arm_return"] - table["control_return"], table["lift"])
    np.testing.assert_array_equal(table["days"], np.ceil(table["n_users"] / 500) + 29)
    assert table["power"].between(0.8, 0.801).all()
    assert table["monitored_users"].isna().all()
    assert repr(found).startswith("<CampaignPower: ")
    assert "in 68 days" in repr(campaign_power(base=0.1, lift=0.02, holdout=0.5, accrual_per_day=200))
    assert json.loads(found.to_json())["facts"]["asked"] == "users"


@pytest.mark.parametrize("measure", LIFTS)
def test_each_direction_leads_back(measure):
    users = campaign_power(base=BASE, lift=LIFTS[measure], measure=measure).table.iloc[0]
    n = int(users["n_users"])
    power = campaign_power(base=BASE, lift=LIFTS[measure], measure=measure, n_users=[n, n - 50]).table["power"]
    assert power[0] == users["power"] >= 0.8 > power[1]
    lift = campaign_power(base=BASE, measure=measure, n_users=n)
    assert lift.asked == "lift"
    assert lift.table["lift"].iloc[0] == pytest.approx(LIFTS[measure], rel=1e-3)


def test_every_form_of_a_base_says_the_same():
    """Ten thousand users of whom the same return on each of four days."""
    back = [1000, 600, 300, 100]
    users = pd.DataFrame({"time": np.repeat([1, 2, 3, 4, 5], [*back, 8000]), "back": True})
    users["back"] = users["time"] < 5
    curves = ch.kaplan_meier(users, duration="time", event="back")
    shares = np.cumsum(back) / 10_000
    table = pd.DataFrame({"arm": "holdout", "day": [1, 2, 3, 4], "returned": shares})
    forms = [shares, shares.tolist(), curves, curves.table, table, table.sample(frac=1, random_state=0)]
    found = {campaign_power(base=form, lift=0.03, horizon=4).table["n_users"].iloc[0] for form in forms}
    assert len(found) == 1
    conditional = curves.conditional(1, [1, 2, 3])
    later = campaign_power(base=conditional, lift=0.03, horizon=3).table
    assert later["control_return"].iloc[0] == pytest.approx(1 - 0.8 / 0.9)
    assert campaign_power(base=0.2, lift=0.03, horizon=4).notes[0].startswith("Without a curve")


def test_the_probability_alone_is_enough_for_probabilities():
    known, flat = (campaign_power(base=base, lift=0.03).table["n_users"].iloc[0] for base in (BASE, BASE[-1]))
    assert known == flat


def test_power_by_day_counts_who_is_followed():
    found = campaign_power(base=BASE, lift=0.03, n_users=5000, accrual_per_day=250)
    days = found.by_day
    assert list(days.columns) == list(ch.schema("campaign_power_days").names)
    assert days["day"].tolist() == list(range(1, 20 + 29 + 1))
    assert days["n_assigned"].iloc[[0, 9, 19, 48]].tolist() == [250, 2500, 5000, 5000]
    assert days["n_followed"].iloc[[28, 29, 48]].tolist() == [0, 250, 5000]
    assert days["power"].isna().tolist() == [True] * 29 + [False] * 20
    assert days["power"].dropna().is_monotonic_increasing
    assert days["power"].iloc[-1] == found.table["power"].iloc[0]
    assert campaign_power(base=BASE, lift=0.03).by_day.empty


def test_a_monitored_campaign_costs_users_at_most_and_saves_days_on_average():
    row = campaign_power(base=BASE, lift=1.4, measure="hazard_ratio", accrual_per_day=200, monitor=True).table.iloc[0]
    assert 1.2 < row["cost_factor"] == row["monitored_users"] / row["n_users"] < 2.5
    assert row["monitored_power"] == pytest.approx(0.8, abs=0.01)
    assert row["expected_days"] < row["days"] < row["monitored_days"]
    fixed = campaign_power(
        base=BASE, lift=1.4, measure="hazard_ratio", accrual_per_day=200, monitor=True, n_users=int(row["n_users"])
    )  # fmt: skip
    assert fixed.table["monitored_power"].iloc[0] < 0.75
    assert fixed.by_day["monitored_power"].is_monotonic_increasing


@pytest.mark.parametrize("measure", LIFTS)
def test_campaigns_that_are_drawn_have_this_power(measure):
    """Wald tests of drawn campaigns of the planned size; the slow suite has Cox fits."""
    row = campaign_power(base=BASE, lift=LIFTS[measure], measure=measure, holdout=0.3).table.iloc[0]
    rng, control = np.random.default_rng(11), 1 - BASE
    means, variances = [], []
    for survival, n in (
        (control, int(row["n_control"])),
        (control ** row["hazard_ratio"], int(row["n_arm"])),
    ):
        # the first day on which a user is back, or 31
        day = rng.multinomial(n, -np.diff(np.concatenate([[1.0], survival, [0.0]])), 3000)
        value = (np.arange(1, 32) <= 30) * 1.0
        if measure == "days_to_return":
            value = np.minimum(np.arange(1, 32), 30) * 1.0
        elif measure == "hazard_ratio":
            # log(-log S) has the hazard ratio as its difference: the test of those who are all followed to the end
            share = day[:, :30].sum(axis=1) / n
            means.append(np.log(-np.log1p(-share)))
            variances.append(share / (n * (1 - share) * np.log1p(-share) ** 2))
            continue
        mean = day @ value / n
        means.append(mean)
        variances.append((day @ value**2 / n - mean**2) / n)
    rejected = np.abs(means[1] - means[0]) > 1.959964 * np.sqrt(variances[0] + variances[1])
    # three simulation errors, and what is lost in large samples
    assert rejected.mean() == pytest.approx(row["power"], abs=3 * 0.4 / np.sqrt(3000) + 0.01)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"lift": None}, InputError, "give lift, n_users, or both"),
        ({"measure": "return_probabilty"}, InputError, "Did you mean 'return_probability'"),
        ({"holdout": 1.0}, InputError, "holdout must lie between 0 and 1"),
        ({"power": 0.04}, InputError, "power must lie between 0.05 and 1"),
        ({"lift": 0.0}, InputError, "a number other than 0"),
        ({"lift": 1.0, "measure": "hazard_ratio"}, InputError, "not 1"),
        ({"lift": 1e-9}, InputError, "larger one"),
        ({"n_users": 2.5}, InputError, "whole number of users"),
        ({"monitor": True}, InputError, "needs accrual_per_day"),
        ({"accrual_per_day": 0}, InputError, "above 0"),
        ({"accrual_per_day": 0.01}, InputError, "more users a day"),
        ({"prior_scale": 0}, InputError, "prior_scale"),
        ({"horizon": 1, "measure": "days_to_return"}, InputError, "2 days or more"),
        ({"horizon": 60}, FollowUpError, "30 days and the horizon 60"),
        ({"base": 1.5}, InputError, "between 0 and 1"),
        ({"base": np.diff(BASE, append=0)}, InputError, "cumulative sum"),
        ({"base": np.zeros(30)}, InputError, "nobody returns"),
        ({"base": pd.DataFrame({"day": [1, 2], "returned": [0.1, 0.2]})}, FollowUpError, "ends on day 2"),
        ({"base": pd.DataFrame({"day": [1], "back": [0.1]})}, SchemaError, "'day' and 'returned'"),
        (
            {"base": pd.DataFrame({"arm": ["a", "b"], "day": [30, 30], "returned": [0.1, 0.2]})},
            InputError,
            "one group",
        ),
    ],
)
def test_bad_arguments(change, error, words):
    with pytest.raises(error, match=words):
        campaign_power(**{"base": BASE, "lift": 0.02, **change})
