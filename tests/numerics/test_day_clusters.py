"""The variance of effects of a date against derivatives by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.day_clusters import (
    DayStatistics,
    limits_of,
    missed_returns,
    noise_of_days,
    reference_noise,
    shift_statistics,
    variance_of,
)
from churnsurv.numerics.day_noise import DayNoise, noise_likelihood
from churnsurv.numerics.return_hazard import common_shift, fit_return_hazard

N_BEFORE, N_AFTER = 12, 5
LABEL = np.array([0, 0, 1, 1, -1])
CELLS = np.array([0, 0, 1])


def world() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts as expected on each day (not whole numbers), so that derivatives are those at the truth."""
    rng = np.random.default_rng(3)
    n = rng.integers(100, 300, (N_BEFORE + N_AFTER, 3)).astype(np.float64)
    terms = np.column_stack([np.arange(n.shape[0]) % 2, np.arange(n.shape[0]) / 10]).astype(np.float64)
    mean = np.exp(np.array([-1.0, -1.0, -2.0])[None, :] + (terms @ np.array([0.2, -0.1]))[:, None])
    mean[N_BEFORE:] *= np.exp(np.where(LABEL >= 0, np.array([-0.3, 0.2])[LABEL], 0.0))[:, None]
    return n, n * -np.expm1(-mean), mean, terms


def estimates(
    n: np.ndarray, y: np.ndarray, terms: np.ndarray, values: np.ndarray
) -> tuple[DayStatistics, DayStatistics]:
    before = [np.stack([np.bincount(CELLS, weights=row) for row in each[:N_BEFORE]]) for each in (n, y)]
    fit = fit_return_hazard(*before, terms[:N_BEFORE])
    x, at_risk, returned = terms[N_BEFORE:], n[N_BEFORE:], y[N_BEFORE:]
    predictor = fit.predictor(x)[:, CELLS]
    shift = common_shift(predictor, at_risk, returned, LABEL, 2)
    shifts = shift_statistics(fit, predictor, CELLS, x, LABEL, shift, at_risk)
    by_day = np.where(LABEL >= 0, shift[LABEL], 0.0)
    return shifts, missed_returns(fit, predictor, CELLS, x, by_day, at_risk, returned, values)


def test_chance_and_exposure_are_the_derivatives_of_the_estimates() -> None:
    n, y, mean, terms = world()
    values = np.random.default_rng(4).uniform(0, 1, (2, N_AFTER, 3))
    found = estimates(n, y, terms, values)
    chance = -np.expm1(-mean)
    slopes = np.zeros((2, 2, *n.shape))
    for t, c in np.ndindex(*n.shape):
        step = np.zeros_like(y)
        step[t, c] = 1e-3
        for side, (up, down) in enumerate(
            zip(estimates(n, y + step, terms, values), estimates(n, y - step, terms, values), strict=True)
        ):
            slopes[side, :, t, c] = (up.estimate - down.estimate) / 2e-3
    for side, each in enumerate(found):
        by_chance = np.einsum("ktc,ltc,tc->kl", slopes[side], slopes[side], n * chance * (1 - chance))
        np.testing.assert_allclose(each.chance, by_chance, rtol=1e-4, atol=1e-9)
        moved = (slopes[side] * n * mean * np.exp(-mean)).sum(axis=2)
        np.testing.assert_allclose(each.exposure, moved, rtol=1e-4, atol=1e-7)


def test_the_estimates_are_those_that_the_counts_were_made_with() -> None:
    n, y, mean, terms = world()
    shifts, missed = estimates(n, y, terms, np.ones((1, N_AFTER, 3)))
    np.testing.assert_allclose(shifts.estimate, [-0.3, 0.2], atol=1e-9)
    usual = mean[N_BEFORE:] / np.exp(np.where(LABEL >= 0, np.array([-0.3, 0.2])[LABEL], 0.0))[:, None]
    assert missed.estimate[0] == pytest.approx((n[N_BEFORE:] * (np.exp(-mean[N_BEFORE:]) - np.exp(-usual))).sum())


def test_days_of_their_own_add_their_variance_and_lasting_ones_more() -> None:
    found = DayStatistics(np.zeros(1), np.array([[0.01]]), np.array([[0.5, 0.5, -1.0]]))
    day = np.array([1, 2, 4])
    assert variance_of(found, DayNoise(0.04, 0.0, 0.0), day)[0, 0] == pytest.approx(0.01 + 0.04 * 1.5)
    lasting = variance_of(found, DayNoise(0.0, 0.04, 0.5), day)[0, 0]
    by_hand = 0.04 * (0.25 + 0.25 + 1 + 2 * (0.25 * 0.5 - 0.5 * 0.5**3 - 0.5 * 0.5**2))
    assert lasting == pytest.approx(0.01 + by_hand)


def test_less_than_chance_is_believed_but_not_far() -> None:
    rng = np.random.default_rng(0)
    calm = noise_of_days(rng.normal(0, 0.08, 2000), np.full(2000, 0.01), n_terms=1)
    assert -0.0045 < calm.white < -0.0027  # .0064 - .01
    assert noise_of_days(np.full(50, 1e-6), np.full(50, 0.01), n_terms=1).white == pytest.approx(-0.0075)
    found = DayStatistics(np.zeros(1), np.array([[0.01]]), np.array([[1.0]]))
    assert variance_of(found, DayNoise(-0.02, 0.0, 0.0), np.array([0]))[0, 0] == pytest.approx(0.0025)


def test_days_of_few_users_say_little_of_what_days_have_of_their_own() -> None:
    rng = np.random.default_rng(8)
    own = np.where(np.arange(60) < 6, 10.0, 0.01)
    theta = rng.normal(0, 0.2, 60) + rng.normal(0, 0.1, 60)
    theta[:6] = -1.0  # nobody of a handful returned
    alone = noise_of_days(theta[6:], own[6:], n_terms=1).white
    assert noise_of_days(theta, own, n_terms=1).white == pytest.approx(alone, rel=0.15)


def test_limits_of_half_a_return_are_about_the_exact_ones_of_none() -> None:
    """Garwood's upper limit of a Poisson mean where nothing was seen: -log .025 = 3.69."""
    n, y, _, terms = world()
    fit = fit_return_hazard(
        *(np.stack([np.bincount(CELLS, weights=r) for r in e[:N_BEFORE]]) for e in (n, y)), terms[:N_BEFORE]
    )
    x, at_risk, label = terms[N_BEFORE:], n[N_BEFORE:], np.zeros(N_AFTER, dtype=int)
    predictor = fit.predictor(x)[:, CELLS]
    shift = common_shift(predictor, at_risk, np.zeros_like(at_risk), label, 1, fewest=5)
    found = shift_statistics(fit, predictor, CELLS, x, label, shift, at_risk, halved=np.array([True]))
    hazards, error = (at_risk * np.exp(predictor)).sum(), np.sqrt(found.chance[0, 0])
    assert hazards * np.exp(shift[0] + 1.96 * error) == pytest.approx(3.69, rel=0.15)


def test_noise_of_reference_days_knows_gaps_between_them() -> None:
    rng = np.random.default_rng(5)
    own = rng.normal(0, 0.2, 400)
    n = np.full((400, 2), 2000)
    y = rng.binomial(n, -np.expm1(-np.exp(np.array([-1.5, -2.5])[None, :] + own[:, None])))
    place = np.sort(rng.choice(500, 400, replace=False))
    noise = reference_noise(fit_return_hazard(n, y, np.zeros((400, 1))), place)
    assert noise.white == pytest.approx(0.04, rel=0.2)


def test_limits_are_students() -> None:
    from scipy.stats import t

    low, high = limits_of(np.array([1.0]), np.array([2.0]), level=0.9, df=7)
    assert (high - low)[0] == pytest.approx(4 * t.ppf(0.95, 7))


def test_the_likelihood_of_lasting_noise_is_that_of_the_normal_law() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(6)
    z, own = rng.normal(0, 0.2, 9), rng.uniform(0.01, 0.03, 9)
    z[4] = np.nan
    laws = np.array([(0.02, 0.03, 0.7), (0.0, 0.01, 0.5), (0.04, 0.0, 0.0)])
    seen = np.flatnonzero(~np.isnan(z))
    apart = np.abs(seen[:, None] - seen[None, :])
    for (white, slow, rho), found in zip(laws, noise_likelihood(z, own, laws), strict=True):
        total = np.diag(own[seen] + white) + slow * rho ** apart.astype(float)
        theirs = multivariate_normal(np.zeros(8), total).logpdf(z[seen]) + 4 * np.log(2 * np.pi)
        assert found == pytest.approx(theirs, abs=1e-10)


def test_noise_that_lasts_is_found() -> None:
    rng = np.random.default_rng(7)
    slow = np.zeros(400)
    for t in range(1, 400):
        slow[t] = 0.6 * slow[t - 1] + 0.8 * 0.2 * rng.normal()
    noise = noise_of_days(slow + rng.normal(0, 0.1, 400), np.full(400, 0.01), n_terms=1)
    assert noise.rho in (0.5, 0.7)
    assert noise.in_the_long_run() == pytest.approx(0.16, rel=0.6)
