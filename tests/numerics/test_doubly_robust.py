"""Means of arms that were not drawn at random: by hand, influences against repeated fits, truth under wrong models."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom

from churnsurv.numerics.doubly_robust import by_regression_and_weights, by_weights, e_value

ESTIMATORS = [by_weights, by_regression_and_weights]


def world(n, rng):
    """x drives both; the truth is an effect of 0.5 whatever the model."""
    x = rng.normal(size=n)
    treated = rng.random(n) < 1 / (1 + np.exp(-(0.8 * x - 0.3)))
    return x, treated, 1 + x + 0.5 * treated + rng.normal(size=n)


def fitted(x, treated):
    matrix = np.column_stack([np.ones_like(x), x])
    return matrix, sm.GLM(treated.astype(float), matrix, family=sm.families.Binomial()).fit().predict(matrix)


def test_weights_by_hand():
    """Of four with x = 0 one is treated, of four with x = 1 three are."""
    x = np.repeat([0.0, 1.0], 4)
    treated = np.array([1, 0, 0, 0, 1, 1, 1, 0]) > 0
    y = np.array([4.0, 1, 2, 3, 7, 8, 9, 5])[:, None]
    for estimate in ESTIMATORS:
        # standardised over x: treated (4 + 8) / 2, controls (2 + 5) / 2
        np.testing.assert_allclose(estimate(y, treated, *fitted(x, treated)).mean.ravel(), [3.5, 6.0], rtol=1e-8)


@pytest.mark.parametrize("estimate", ESTIMATORS)
def test_influences_are_what_leaving_users_out_does(estimate):
    """The infinitesimal jackknife: a little more weight on one user, and all is fitted anew."""
    x, treated, y = world(60, np.random.default_rng(3))
    whole = estimate(y[:, None], treated, *fitted(x, treated))
    moved = np.empty((60, 2))
    for i in range(60):
        # 200 copies of everybody, and one more of user i
        rows = np.append(np.tile(np.arange(60), 200), i)
        moved[i] = estimate(y[rows, None], treated[rows], *fitted(x[rows], treated[rows])).mean[:, 0]
    change = (moved - whole.mean[:, 0]) * 200
    np.testing.assert_allclose(change, whole.influence[..., 0], atol=3e-3 * np.abs(whole.influence).max() + 1e-4)


@pytest.mark.parametrize("wrong", ["chance", "regression"])
def test_either_model_may_be_wrong(wrong):
    """Coverage of 300 worlds within simulation error, where a comparison of means is far off."""
    inside, naive = 0, []
    for seed in range(300):
        x, treated, y = world(600, np.random.default_rng(seed))
        right = np.column_stack([np.ones_like(x), x])
        if wrong == "chance":
            truth, given = 0.5, (*fitted(np.cos(3 * x), treated), right)
        else:
            y += x**2 * np.where(treated, 1.0, 0.5)
            truth, given = 1.0, (*fitted(x, treated), np.column_stack([np.ones_like(x), np.cos(3 * x)]))
        naive.append(y[treated].mean() - y[~treated].mean())
        found = by_regression_and_weights(y[:, None], treated, *given)
        difference = found.mean[1, 0] - found.mean[0, 0]
        error = np.sqrt(((found.influence[:, 1, 0] - found.influence[:, 0, 0]) ** 2).sum())
        inside += abs(difference - truth) < 1.96 * error
    assert binom.ppf(1e-6, 300, 0.95) <= inside <= binom.ppf(1 - 1e-6, 300, 0.95)
    assert abs(np.mean(naive) - truth) > 0.3


def test_e_values():
    assert e_value(3.9) == pytest.approx(7.263, abs=1e-3)  # VanderWeele and Ding (2017): 7.26
    assert e_value(1 / 3.9) == pytest.approx(e_value(3.9))
    assert e_value(0) == float("inf")
