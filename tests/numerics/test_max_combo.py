"""The tail of the largest of a few normal deviates: closed forms, SciPy's integral, simulation, and far out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from churnsurv.numerics.max_combo import largest_normal_tail


def correlation_of(rng: np.random.Generator) -> np.ndarray:
    """Four deviates, the first the sum of the next two, as in the test."""
    lines = rng.normal(size=(4, 3))
    lines[0] = lines[1] + lines[2]
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    return lines @ lines.T


@pytest.mark.parametrize("z", [0.0, 0.3, 1.0, 2.5, 5.0, 20.0])
def test_independent_deviates(z: float) -> None:
    one = 2 * ndtr(-z)
    np.testing.assert_allclose(largest_normal_tail(z, np.eye(1)), one, rtol=1e-12)
    np.testing.assert_allclose(largest_normal_tail(z, np.eye(2)), one * (2 - one), rtol=1e-6)
    np.testing.assert_allclose(largest_normal_tail(z, np.eye(3)), one * (3 - 3 * one + one**2), rtol=1e-6)


def test_equal_and_opposite_deviates_are_one() -> None:
    same = np.array([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    assert largest_normal_tail(1.7, same) == pytest.approx(2 * ndtr(-1.7), rel=1e-12)
    nearly = np.array([[1.0, 1 - 1e-8], [1 - 1e-8, 1.0]])
    assert largest_normal_tail(1.7, nearly) == pytest.approx(2 * ndtr(-1.7), rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_integral_over_the_box(seed: int) -> None:
    correlation = correlation_of(np.random.default_rng(seed))
    box = multivariate_normal(np.zeros(4), correlation, allow_singular=True, seed=1)
    box.maxpts = 400_000
    for z in (0.5, 1.5, 2.2, 3.0):
        inside = box.cdf(np.full(4, z), lower_limit=np.full(4, -z))
        # SciPy's is drawn at random points; where deviates are nearly equal it is off by 1e-4
        assert largest_normal_tail(z, correlation) == pytest.approx(1 - inside, abs=3e-4)


@pytest.mark.parametrize("seed", [1, 3])
def test_equals_a_grid_over_three_independent_normals(seed: int) -> None:
    """Two of them on a grid, the third between the sides of the box."""
    correlation, z = correlation_of(np.random.default_rng(seed)), 1.5
    values, vectors = np.linalg.eigh(correlation)
    lines = (vectors * np.sqrt(np.maximum(values, 0)))[:, -3:]
    x = np.linspace(-8, 8, 801)
    first, second = np.meshgrid(x, x, indexing="ij")
    low, high = np.full(first.shape, -np.inf), np.full(first.shape, np.inf)
    for line in lines:
        sides = (np.array([-z, z])[:, None, None] - line[0] * first - line[1] * second) / line[2]
        low, high = np.maximum(low, sides.min(axis=0)), np.minimum(high, sides.max(axis=0))
    density = np.exp(-(first**2 + second**2) / 2) / (2 * np.pi)
    inside = (density * np.maximum(ndtr(high) - ndtr(low), 0)).sum() * (x[1] - x[0]) ** 2
    assert largest_normal_tail(z, correlation) == pytest.approx(1 - inside, abs=3e-6)


def test_equals_simulation() -> None:
    rng = np.random.default_rng(11)
    correlation = correlation_of(rng)
    drawn = rng.multivariate_normal(np.zeros(4), correlation, size=200_000, method="svd")
    largest = np.abs(drawn).max(axis=1)
    for z in (1.0, 2.0, 2.5):
        p = largest_normal_tail(z, correlation)
        assert abs(np.mean(largest > z) - p) < 4 * np.sqrt(p * (1 - p) / 200_000)


def test_small_p_values_keep_their_digits() -> None:
    apart = np.array([[1.0, 0.7, 0.7, 0.3], [0.7, 1.0, -0.02, 0.3], [0.7, -0.02, 1.0, 0.1], [0.3, 0.3, 0.1, 1.0]])
    values, vectors = np.linalg.eigh(apart)
    lines = (vectors * np.sqrt(np.maximum(values, 0)))[:, -3:]
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    correlation = lines @ lines.T
    for z in (8.0, 15.0, 30.0):
        # far out the tails hardly overlap
        assert 8 * ndtr(-z) * (1 - 1e-3) < largest_normal_tail(z, correlation) <= 8 * ndtr(-z) * (1 + 1e-9)
    assert largest_normal_tail(0.0, correlation) == pytest.approx(1.0, abs=1e-6)
    assert largest_normal_tail(60.0, correlation) == 0.0
