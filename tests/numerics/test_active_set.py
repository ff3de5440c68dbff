"""Quadratics with absolute values: against all patterns of signs, and where the matrix is nearly singular."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.active_set import minimum_with_zeros


def random_problem(seed: int, p: int):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(p + 2, p))
    lasso = rng.uniform(0.2, 2.0, p)
    lasso[rng.random(p) < 0.3] = 0.0
    return root.T @ root, rng.normal(size=p) * 3, lasso


def by_enumeration(Q, c, lasso):
    """The one pattern of signs whose linear system gives these signs and whose zeros have slopes below the corner."""
    p = len(c)
    for signs in itertools.product(*[(-1, 0, 1) if weight > 0 else (1,) for weight in lasso]):
        inside = [j for j in range(p) if signs[j] != 0]
        z = np.zeros(p)
        z[inside] = np.linalg.solve(Q[np.ix_(inside, inside)], c[inside] - lasso[inside] * np.array(signs)[inside])
        fits = all(lasso[j] == 0 or np.sign(z[j]) == signs[j] for j in inside)
        if fits and all(abs(c[j] - Q[j] @ z) <= lasso[j] + 1e-12 for j in range(p) if signs[j] == 0):
            return z
    raise AssertionError("some pattern must be the minimum")


@pytest.mark.parametrize("seed", range(40))
def test_the_minimum_is_that_of_all_patterns(seed: int) -> None:
    Q, c, lasso = random_problem(seed, 2 + seed % 4)
    expected = by_enumeration(Q, c, lasso)
    for start in (np.zeros(len(c)), expected, -expected, np.random.default_rng(seed).normal(size=len(c))):
        found = minimum_with_zeros(Q, c, lasso, start)
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert ((found == 0) == (expected == 0)).all()


def test_the_conditions_hold_with_many_columns() -> None:
    Q, c, lasso = random_problem(1, 120)
    found = minimum_with_zeros(Q, c, lasso, np.zeros(120))
    slope = c - Q @ found
    zero = found == 0
    assert 10 < zero.sum() < 110
    assert (np.abs(slope[zero]) <= lasso[zero] * (1 + 1e-12)).all()
    np.testing.assert_allclose(slope[~zero], (lasso * np.sign(found))[~zero], atol=1e-9)


def test_two_equal_columns() -> None:
    Q = np.array([[2.0, 2.0], [2.0, 2.0]])
    found = minimum_with_zeros(Q, np.array([3.0, 3.0]), np.ones(2), np.array([0.3, 0.4]))
    assert found.sum() == pytest.approx(1.0, abs=1e-10)


def test_no_curvature_at_all_is_an_error() -> None:
    with pytest.raises(ConvergenceError, match="curvature"):
        minimum_with_zeros(np.zeros((1, 1)), np.ones(1), np.zeros(1), np.zeros(1))
