"""Power of a lift: statsmodels, standard errors of curves and fits that have just these counts, and inverses."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import normal_power_het
from statsmodels.stats.proportion import power_proportions_2indep

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.numerics.campaign_power import followed_users, size_for, smallest_lift, two_curves, wald_power

CONTROL = 1 - 0.15 * (1 - np.exp(-np.arange(1, 31) / 8))
MEASURES = {"return_probability": 0.02, "hazard_ratio": 1.3, "days_to_return": -0.4}


@pytest.mark.parametrize("holdout", [0.1, 0.5])
@pytest.mark.parametrize("lift", [0.03, -0.02])
def test_agrees_with_statsmodels_on_proportions(holdout, lift):
    n, p0 = 4_000.0, 0.1
    curves = two_curves(1 - np.linspace(0.01, p0, 30), measure="return_probability", lift=lift)
    found = wald_power(curves, "return_probability", np.full(30, n), holdout=holdout, alpha=0.05)
    p1 = p0 + lift
    sd = np.sqrt(p1 * (1 - p1) + p0 * (1 - p0) * (1 - holdout) / holdout)
    theirs = normal_power_het(lift, n * (1 - holdout), 0.05, std_null=sd, std_alternative=sd)
    assert found == pytest.approx(theirs, rel=1e-10)
    if holdout == 0.5:
        # theirs takes the pooled variance where nothing differs, ours the one that the test has; equal arms hardly care
        pooled = power_proportions_2indep(lift, p0, n / 2, ratio=1, alpha=0.05, return_results=False)
        assert found == pytest.approx(pooled, abs=0.002)


def rows_of(survival, followed, n):
    """A table with these very returns: n users, of whom `followed` shares are followed to each day."""
    size = n * followed
    before = np.append(1.0, survival[:-1])
    at_risk = size * before
    returned = at_risk * (1 - survival / before)
    censored = at_risk - returned - np.append(at_risk[1:], 0.0)
    day = np.arange(1, survival.size + 1)
    parts = [(day, True, returned), (day, False, censored)]
    table = pd.concat([pd.DataFrame({"duration": d, "churned": c, "n": k}) for d, c, k in parts])
    table["n"] = table["n"].round(6)
    return table[table["n"] > 0].astype({"n": "int64"})


def test_standard_errors_are_those_of_curves_and_fits_with_the_same_counts():
    """Half of the users return on each day, half of those followed to day 1 are followed to day 3, and so on."""
    control, arm = np.array([0.5, 0.25, 0.125]), np.array([0.25, 0.0625, 0.015625])
    curves = two_curves(control, measure="hazard_ratio", lift=2.0)
    np.testing.assert_allclose(curves.arm, arm)
    followed, holdout, n = np.array([1.0, 1.0, 0.5]), 0.25, 2**14
    arms = [rows_of(control, followed, n * holdout), rows_of(arm, followed, n * (1 - holdout))]
    data = pd.concat([rows.assign(arm=str(i)) for i, rows in enumerate(arms)], ignore_index=True)
    with_n = {"weights": "n", "weights_kind": "frequency"}
    km = ch.kaplan_meier(data, by="arm", **with_n).at([3])["std_error"]
    risk = curves.std_error("return_probability", n * followed, holdout)
    assert risk == pytest.approx(np.sqrt((km**2).sum()), rel=1e-10)
    mean = ch.rmst_difference(data, by="arm", horizon=3, **with_n).table.iloc[0]
    days = curves.std_error("days_to_return", n * followed, holdout)
    assert days == pytest.approx(mean["std_error"], rel=1e-10)
    assert curves.lift("days_to_return") == pytest.approx(mean["estimate"], rel=1e-10)
    fit = ch.cox("arm", data, ties="grouped", **with_n).table.iloc[0]
    assert curves.std_error("hazard_ratio", n * followed, holdout) == pytest.approx(fit["std_error"], rel=1e-7)
    assert fit["estimate"] == pytest.approx(np.log(2.0), rel=1e-7)


def test_rare_returns_know_as_much_as_schoenfeld_says():
    control = np.exp(-1e-5 * np.arange(1, 31))
    curves = two_curves(control, measure="hazard_ratio", lift=1.0001)
    events = 1e9 * (1 - control[-1])
    found = curves.std_error("hazard_ratio", np.full(30, 1e9), 0.1)
    assert found == pytest.approx(1 / np.sqrt(events * 0.1 * 0.9), rel=1e-3)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("holdout", [0.1, 0.5])
def test_users_power_and_lift_are_inverse_to_each_other(measure, holdout):
    curves = two_curves(CONTROL, measure=measure, lift=MEASURES[measure])
    assert curves.lift(measure) == pytest.approx(MEASURES[measure], rel=1e-9)
    n = size_for(0.8, curves, measure, holdout=holdout, alpha=0.05)
    assert wald_power(curves, measure, np.full(30, n), holdout=holdout, alpha=0.05) == pytest.approx(0.8, abs=1e-9)
    back = smallest_lift(0.8, CONTROL, measure, n_users=n, holdout=holdout, alpha=0.05)
    assert back.lift(measure) == pytest.approx(MEASURES[measure], rel=1e-6)


def test_users_followed_by_calendar_day():
    expected = [
        [sum(min(10, 25 - 10 * (a - 1)) for a in (1, 2, 3) if day - a + 1 >= u) for u in range(1, 5)]
        for day in (1, 2, 3, 6)
    ]
    found = [followed_users(4, n_users=25.0, per_day=10.0, day=day).tolist() for day in (1, 2, 3, 6)]
    # the last day takes what is left: 5 users
    assert found == expected


def test_nobody_followed_to_the_horizon_has_no_power():
    curves = two_curves(CONTROL, measure="hazard_ratio", lift=1.3)
    followed = followed_users(30, n_users=100.0, per_day=10.0, day=29)
    assert np.isnan(wald_power(curves, "hazard_ratio", followed, holdout=0.5, alpha=0.05))


@pytest.mark.parametrize(
    ("measure", "lift", "words"),
    [
        ("return_probability", 0.9, "20 per 1,000"),
        ("days_to_return", -29.0, "days sooner"),
        ("days_to_return", 5.0, "later"),
    ],
)
def test_a_lift_that_cannot_be_is_refused(measure, lift, words):
    with pytest.raises(InputError, match=words):
        two_curves(CONTROL, measure=measure, lift=lift)


def test_no_lift_at_all_shows_with_a_handful_of_users():
    with pytest.raises(InputError, match="however large"):
        smallest_lift(0.8, CONTROL, "return_probability", n_users=2.0, holdout=0.5, alpha=1e-9)
