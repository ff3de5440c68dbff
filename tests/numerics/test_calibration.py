"""Pieces of calibration: the regression on the complementary log-log scale, splines, groups and bins."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.calibration import (
    cloglog,
    cloglog_fit,
    d_calibration,
    equal_groups,
    quantile_of,
    restricted_cubic,
    spline_knots,
)
from churnsurv.numerics.censoring import Drawn, followed

from .jackknife import derivatives, table


def test_the_intercept_of_one_prediction_by_hand() -> None:
    # six of ten churn by day 4, where a hazard of log 2 was predicted
    rows = followed(np.arange(1, 11), np.arange(1, 11) <= 6)
    found = cloglog_fit(rows, rows.at(6), np.full(10, 0.5))
    np.testing.assert_allclose(found.intercept, np.log(np.log(10 / 4) / np.log(2)), rtol=1e-12)
    # the binomial variance through d/dp of log(-log(1 - p)): 1 / (0.4 log 0.4)
    np.testing.assert_allclose(found.intercept_std_error, np.sqrt(0.6 * 0.4 / 10) / (-0.4 * np.log(0.4)), rtol=1e-12)
    assert np.isnan(found.slope)


def test_two_predictions_are_met_exactly() -> None:
    # 2 of 5 and 4 of 5 churn: the line through log(-log(3/5)) and log(-log(1/5))
    p = np.repeat([0.3, 0.7], 5)
    duration = np.array([1, 2, 9, 9, 9, 1, 2, 3, 4, 9])
    rows = followed(duration, duration < 9)
    found = cloglog_fit(rows, rows.at(5), p)
    y, z = cloglog(np.array([0.4, 0.8])), cloglog(np.array([0.3, 0.7]))
    np.testing.assert_allclose(found.slope, (y[1] - y[0]) / (z[1] - z[0]), rtol=1e-10)


@pytest.mark.parametrize("late", [False, True])
def test_standard_errors_are_those_of_the_derivatives(late: bool) -> None:
    of = table(41, n=60, late=late)
    p = np.random.default_rng(0).uniform(0.1, 0.9, 60)

    def fit(weights):
        rows = followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights))
        return cloglog_fit(rows, rows.at(8), p)

    slopes = derivatives(lambda w: np.array([fit(w).intercept, fit(w).slope]), of.weights, 1e-5)
    expected = np.sqrt(np.square(slopes * of.weights[:, None]).sum(axis=0))
    found = fit(of.weights)
    np.testing.assert_allclose([found.intercept_std_error, found.slope_std_error], expected, rtol=1e-5)
    # the unit of sampling weights does not matter
    small = fit(of.weights * 1e-8)
    np.testing.assert_allclose([small.slope, small.slope_std_error], [found.slope, found.slope_std_error], rtol=1e-9)


def test_right_predictions_have_slope_one() -> None:
    rng = np.random.default_rng(5)
    n = 30_000
    hazard = np.exp(rng.normal(size=n) / 3) / 60
    life, end = rng.exponential(1 / hazard), rng.uniform(0, 120, n)
    rows = followed(np.minimum(life, end), life <= end)
    p = -np.expm1(-hazard * 50)
    found = cloglog_fit(rows, rows.at(50), p)
    assert abs(found.slope - 1) < 3.5 * found.slope_std_error < 0.15
    assert abs(found.intercept) < 3.5 * found.intercept_std_error < 0.1
    # twice the hazard was predicted, and then its square
    twice = cloglog_fit(rows, rows.at(50), -np.expm1(-hazard * 100))
    np.testing.assert_allclose([twice.intercept, twice.slope], [found.intercept - np.log(2), found.slope], rtol=1e-8)
    square = cloglog_fit(rows, rows.at(50), -np.expm1(-((hazard * 50) ** 2)))
    np.testing.assert_allclose(square.slope, found.slope / 2, rtol=1e-8)


@pytest.mark.parametrize("p", [[0.9, 0.8, 0.7, 0.2, 0.1, 0.3], [0.9, 0.9, 0.9, 0.2, 0.2, 0.2]])
def test_predictions_that_separate_have_no_slope(p: list[float]) -> None:
    rows = followed(np.array([1, 2, 3, 9, 9, 9]), np.array([1, 1, 1, 0, 0, 0], dtype=bool))
    with pytest.raises(ConvergenceError, match="no finite estimate"):
        cloglog_fit(rows, rows.at(5), np.array(p))


def test_a_restricted_cubic_is_smooth_and_linear_at_its_ends() -> None:
    x = np.linspace(-3, 4, 7001)
    knots = spline_knots(x, 5)
    basis = restricted_cubic(x, knots)
    assert basis.shape == (7001, 4)
    curve = np.gradient(np.gradient(basis, x, axis=0), x, axis=0)
    outside = (x < knots[0] - 0.01) | (x > knots[-1] + 0.01)
    np.testing.assert_allclose(curve[outside][5:-5], 0, atol=1e-6)
    assert np.abs(np.diff(curve[5:-5], axis=0)).max() < 0.01
    assert np.linalg.matrix_rank(basis) == 4
    few = np.repeat([0.1, 0.2], 50)
    assert restricted_cubic(few, spline_knots(few)).shape == (100, 1)


def test_weighted_quantiles_are_those_of_repeated_values() -> None:
    rng = np.random.default_rng(0)
    x, times = rng.normal(size=50), rng.integers(1, 5, 50)
    p = np.array([0.05, 0.35, 0.5, 0.9, 1.0])
    expected = np.quantile(np.repeat(x, times), p, method="inverted_cdf")
    assert quantile_of(x, p, times.astype(float)).tolist() == expected.tolist()


def test_groups_are_equal_and_keep_equal_values_together() -> None:
    x = np.random.default_rng(1).permutation(1000) / 1000
    code, n = equal_groups(x, 10)
    assert n == 10
    assert np.bincount(code).tolist() == [100] * 10
    assert (np.diff(code[np.argsort(x)]) >= 0).all()
    code, n = equal_groups(np.repeat([0.1, 0.2, 0.3], [90, 5, 5]), 10)
    assert n == 2
    assert np.bincount(code).tolist() == [90, 10]
    assert equal_groups(np.full(5, 0.2), 10)[1] == 1
    weighted, _ = equal_groups(np.array([0.1, 0.2, 0.3]), 2, np.array([1.0, 1.0, 8.0]))
    assert weighted.tolist() == [0, 0, 1]


def test_bins_of_d_calibration_by_hand() -> None:
    s, churned = np.array([0.05, 0.95, 1.0, 0.25, 0.0]), np.array([True, True, True, False, False])
    found = d_calibration(s, churned, 10, None)
    # 0.25 censored: 0.4 in each of the two lowest bins, 0.2 in the third; survival 0 has nowhere to go but the lowest
    np.testing.assert_allclose(found, [1 + 0.4 + 1, 0.4, 0.2, 0, 0, 0, 0, 0, 0, 2], atol=1e-14)
    np.testing.assert_allclose(d_calibration(s, churned, 10, np.full(5, 2.0)), 2 * found, rtol=1e-14)


def test_d_calibration_of_right_predictions_is_even() -> None:
    rng = np.random.default_rng(2)
    life, end = rng.exponential(1.0, 50_000), rng.uniform(0, 3, 50_000)
    found = d_calibration(np.exp(-np.minimum(life, end)), life <= end, 10, None)
    np.testing.assert_allclose(found, 5000, atol=300)
    np.testing.assert_allclose(found.sum(), 50_000, rtol=1e-12)
