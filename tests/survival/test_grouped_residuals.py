"""Residuals of fits of grouped days through the door: layout, units, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, InputError


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    n = 120
    channel = rng.choice(["ads", "friend", "shop"], n)
    age = np.round(rng.normal(40, 12, n))
    time = rng.exponential(4, n) * np.exp(0.6 * (channel == "friend") - 0.02 * (age - 40))
    return pd.DataFrame({
        "user_id": [f"u{i}" for i in range(n)],
        "duration": np.minimum(np.ceil(time), 6).astype(int) + 29,
        "churned": time < 6,
        "channel": channel,
        "age": age,
        "drawn": rng.integers(1, 4, n) / 2,
    })  # fmt: skip


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> ch.CoxFit:
    return ch.cox("channel + age", data, ties="grouped")


def test_residuals_by_row(fit: ch.CoxFit, data: pd.DataFrame) -> None:
    martingale, deviance = fit.residuals("martingale"), fit.residuals("deviance")
    assert list(martingale.columns) == ["row", "user_id", "residual"]
    assert martingale["user_id"].tolist() == data["user_id"].tolist()
    # event less the sum of p = 1 - exp(-h) over the days at risk
    hazard = np.diff(fit.baseline["cumulative_hazard"], prepend=0)
    theta = np.exp(fit.risk(data).values)
    there = data["duration"].to_numpy()[:, None] >= fit.baseline["time"].to_numpy()
    expected = -(np.expm1(-theta[:, None] * hazard) * there).sum(axis=1)
    np.testing.assert_allclose(martingale["residual"], data["churned"] - expected, atol=1e-10)
    assert (np.sign(deviance["residual"]) == np.sign(martingale["residual"])).all()
    # Efron's partial likelihood expects others, with a warning of such days
    with pytest.warns(ChurnsurvWarning, match="ties='grouped'"):
        efron = ch.cox("channel + age", data)
    assert np.abs(efron.residuals()["residual"] - martingale["residual"]).max() > 0.01


def test_score_residuals_are_in_the_units_of_the_covariates_and_sum_to_zero(fit: ch.CoxFit) -> None:
    score, dfbeta = fit.residuals("score"), fit.residuals("dfbeta")
    assert list(score.columns) == ["row", "user_id", *fit.table["term"]]
    np.testing.assert_allclose(score.iloc[:, 2:].sum(), 0, atol=1e-8)
    np.testing.assert_allclose(dfbeta.iloc[:, 2:], score.iloc[:, 2:] @ fit.covariance, atol=1e-12)


def test_dfbeta_is_near_what_a_user_moves(fit: ch.CoxFit, data: pd.DataFrame) -> None:
    dfbeta = fit.residuals("dfbeta").iloc[:, 2:].to_numpy()
    for row in range(0, 120, 17):
        without = ch.cox("channel + age", data.drop(index=row), ties="grouped")
        moved = fit.table["estimate"] - without.table["estimate"]
        assert np.abs(moved - dfbeta[row]).max() < 0.15 * np.abs(dfbeta[row]).max() + 2e-3


def test_other_units_of_a_covariate(fit: ch.CoxFit, data: pd.DataFrame) -> None:
    other = ch.cox("channel + age", data.assign(age=data["age"] * 1000 - 7), ties="grouped")
    score, again = fit.residuals("score"), other.residuals("score")
    np.testing.assert_allclose(again["age"], 1000 * score["age"], atol=1e-5)
    np.testing.assert_allclose(other.residuals()["residual"], fit.residuals()["residual"], atol=1e-9)


def test_dfbeta_is_multiplied_by_sampling_weights(data: pd.DataFrame) -> None:
    fit = ch.cox("channel + age", data, ties="grouped", weights="drawn", weights_kind="sampling")
    score, dfbeta = fit.residuals("score").iloc[:, 2:], fit.residuals("dfbeta").iloc[:, 2:]
    weighted = score.mul(data["drawn"], axis=0)
    np.testing.assert_allclose(weighted.sum(), 0, atol=1e-8)
    np.testing.assert_allclose(dfbeta, weighted @ fit._model_covariance, atol=1e-12)
    # the robust covariance is made of them
    np.testing.assert_allclose(dfbeta.T.to_numpy() @ dfbeta.to_numpy(), fit.covariance, rtol=1e-9)


@pytest.mark.parametrize("kind", ["schoenfeld", "scaled_schoenfeld"])
def test_schoenfeld_residuals_are_refused_with_a_way_out(fit: ch.CoxFit, kind: str) -> None:
    with pytest.raises(InputError, match=f"kind='{kind}' compares .* partial likelihood.*'score'.*ties='efron'"):
        fit.residuals(kind)
