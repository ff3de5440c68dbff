"""A randomised e-mail test without censoring: the lift is the plain difference, as statsmodels has it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats import proportion
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from churnsurv.recall.lift import lift_of_rows
from churnsurv.recall.lift_request import Asked
from tests.recall.campaign import made_rows

from .conftest import folder

ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
HORIZON = 2
OUTCOMES = ("return_probability", "risk_ratio", "hazard_ratio", "active_days", "reinvested")


@pytest.fixture(scope="module")
def hillstrom():
    return pd.read_csv(folder("hillstrom") / "hillstrom_half.csv.gz")


@pytest.fixture(scope="module")
def lift(hillstrom):
    """The table has no days: a visit and what it brought are put on the last of two days; all are followed to it."""
    n = len(hillstrom)
    daily = np.zeros((n, HORIZON))
    spent = daily.copy()
    daily[:, -1], spent[:, -1] = hillstrom["visit"], hillstrom["spend"]
    rows = made_rows(
        time=np.full(n, HORIZON), returned=hillstrom["visit"] == 1, followed=np.full(n, HORIZON),
        arm=hillstrom["segment"].map(ARMS.index), arms=ARMS, horizon=HORIZON,
        daily={"active_days": daily, "reinvested": spent},
        pre={name: hillstrom[name] for name in ("recency", "history", "mens", "womens", "newbie")},
        given={"amount"},
    )  # fmt: skip
    asked = Asked.of(OUTCOMES, level=0.95, adjust="none", seed=1, margin=1.0)
    return lift_of_rows(rows, asked, control=ARMS[0], covariates=["recency", "history", "mens", "womens", "newbie"])


def row(lift, arm, outcome, *, adjusted=False):
    table = lift.table
    return table[(table["arm"] == arm) & (table["outcome"] == outcome) & (table["adjusted"] == adjusted)].iloc[0]


@pytest.mark.parametrize("arm", ARMS[1:])
def test_the_difference_of_returns_is_the_unpooled_wald_of_statsmodels(hillstrom, lift, arm):
    counts = hillstrom.groupby("segment")["visit"].agg(["sum", "count"])
    (a, n), (b, m) = counts.loc[arm], counts.loc[ARMS[0]]
    found = row(lift, arm, "return_probability")
    limits = proportion.confint_proportions_2indep(a, n, b, m, method="wald")
    np.testing.assert_allclose(found["estimate"] / 1000, a / n - b / m, rtol=1e-10)
    np.testing.assert_allclose([found["lower"] / 1000, found["upper"] / 1000], limits, rtol=1e-10)
    theirs = proportion.test_proportions_2indep(a, n, b, m, method="wald")
    assert found["p_value"] == pytest.approx(theirs.pvalue, rel=1e-8)
    assert (found["n_arm"], found["n_control"]) == (n, m)


@pytest.mark.parametrize("arm", ARMS[1:])
def test_money_is_the_difference_of_means(hillstrom, lift, arm):
    """statsmodels divides by n - 1; limits are bootstrap-t, a little to the right of the normal ones."""
    one, two = (DescrStatsW(hillstrom.loc[hillstrom["segment"] == name, "spend"]) for name in (arm, ARMS[0]))
    found = row(lift, arm, "reinvested")
    np.testing.assert_allclose(found["estimate"] / 1000, one.mean - two.mean, rtol=1e-10)
    variance = one.var / one.nobs + two.var / two.nobs
    np.testing.assert_allclose(found["std_error"] / 1000, np.sqrt(variance), rtol=1e-10)
    low, high = CompareMeans(one, two).zconfint_diff(usevar="unequal")
    assert (found["lower"] / 1000, found["upper"] / 1000) == pytest.approx((low, high), abs=0.25 * np.sqrt(variance))
    assert found["lower"] / 1000 > low
    assert found["upper"] / 1000 > high


def test_covariates_agree_with_regression_and_sharpen(hillstrom, lift):
    """Least squares with all interactions with the arm, covariates centred: the same estimator (Lin 2013)."""
    import statsmodels.api as sm

    names = ["recency", "history", "mens", "womens", "newbie"]
    part = hillstrom[hillstrom["segment"].isin(ARMS[:2])]
    x = part[names] - hillstrom[names].mean()
    arm = (part["segment"] == ARMS[1]).astype(float)
    design = np.column_stack([np.ones(len(part)), arm, x, x.mul(arm, axis=0)])
    fit = sm.OLS(part["visit"].to_numpy(float), design).fit(cov_type="HC2")
    found = row(lift, ARMS[1], "return_probability", adjusted=True)
    assert found["estimate"] / 1000 == pytest.approx(fit.params[1], rel=2e-3)
    assert found["std_error"] / 1000 == pytest.approx(fit.bse[1], rel=5e-3)
    assert (lift.gain["variance_ratio"] < 1.001).all()
