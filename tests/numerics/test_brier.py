"""Brier's score by hand, by its properties, and its derivative in the weight of each row."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.brier import brier
from churnsurv.numerics.censoring import Drawn, followed

from .jackknife import derivatives, table

DAYS = np.array([3, 5, 8])


def test_ten_rows_by_hand() -> None:
    duration = np.array([1, 2, 2, 3, 4, 4, 5, 6, 6, 6])
    churned = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 0], dtype=bool)
    survival = np.array([2, 1, 5, 4, 3, 5, 6, 7, 8, 9]) / 10
    rows = followed(duration, churned)
    found = brier(rows, np.array([4]), lambda _: survival)
    # weights 1, 1, 0, and 8/7 for the others; churned by day 4: rows 0, 1, 3, 4
    terms = [0.04, 0.01, 0, *(8 / 7 * x for x in (0.16, 0.09, 0.25, 0.16, 0.09, 0.04, 0.01))]
    np.testing.assert_allclose(found.estimate, [sum(terms) / 10], rtol=1e-14)
    # S(4) = 9/10 * 8/9 * 6/7 * 5/6
    left = 9 / 10 * 8 / 9 * 6 / 7 * 5 / 6
    np.testing.assert_allclose(found.reference, [left * (1 - left)], rtol=1e-13)
    np.testing.assert_allclose(found.scaled, 1 - found.estimate / found.reference, rtol=1e-14)
    assert np.isnan(found.integrated)


@pytest.mark.parametrize("late", [False, True])
def test_the_influence_is_the_derivative(late: bool) -> None:
    of = table(21, late=late)
    survival = np.random.default_rng(0).random((of.duration.size, 3))

    def found(weights):
        rows = followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights))
        return brier(rows, DAYS, lambda j: survival[:, j])

    def figures(weights):
        f = found(weights)
        return np.concatenate([f.estimate, f.scaled, [f.integrated, f.integrated_scaled]])

    slopes = derivatives(figures, of.weights)
    expected = np.sqrt(np.square(slopes * of.weights[:, None]).sum(axis=0))
    f = found(of.weights)
    ours = [*f.std_error, *f.scaled_std_error, f.integrated_std_error, f.integrated_scaled_std_error]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_perfect_prediction_scores_zero_and_the_marginal_one_is_the_reference() -> None:
    of = table(3)
    rows = followed(of.duration, np.ones(of.duration.size, dtype=bool))
    perfect = brier(rows, DAYS, lambda j: (of.duration > DAYS[j]).astype(float))
    assert perfect.estimate.tolist() == [0.0] * 3
    assert perfect.scaled.tolist() == [1.0] * 3
    assert perfect.integrated == 0
    censored = followed(of.duration, of.churned)
    marginal = [1 - censored.at(day).weight @ censored.at(day).churned / of.duration.size for day in DAYS]
    found = brier(censored, DAYS, lambda j: np.full(of.duration.size, marginal[j]))
    np.testing.assert_allclose(found.estimate, found.reference, rtol=1e-12)
    np.testing.assert_allclose(found.scaled, 0, atol=1e-12)
    np.testing.assert_allclose([found.integrated, found.integrated_scaled], [found.integrated_reference, 0], atol=1e-12)


def test_the_integral_is_the_trapezoid_over_the_range() -> None:
    of = table(9)
    survival = np.random.default_rng(4).random((of.duration.size, 3))
    found = brier(followed(of.duration, of.churned), DAYS, lambda j: survival[:, j])
    np.testing.assert_allclose(found.integrated, np.trapezoid(found.estimate, DAYS) / 5, rtol=1e-14)
    np.testing.assert_allclose(found.integrated_reference, np.trapezoid(found.reference, DAYS) / 5, rtol=1e-14)


def test_before_anybody_churns_there_is_nothing_to_scale() -> None:
    rows = followed(np.array([4, 5, 6]), np.array([True, False, True]))
    found = brier(rows, np.array([2]), lambda _: np.full(3, 0.9))
    np.testing.assert_allclose(found.estimate, [0.01], rtol=1e-12)
    assert found.reference.tolist() == [0.0]
    assert np.isnan(found.scaled).all()
