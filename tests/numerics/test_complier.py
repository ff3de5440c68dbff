"""The confidence set of a ratio of two effects: against a grid of tests, and its level where few are reached."""

import numpy as np
import pytest
from scipy.stats import binom

from churnsurv.numerics.complier import complier_effect_of

Z = 1.959963984540054


@pytest.mark.parametrize("seed", range(20))
def test_the_set_is_what_no_test_rejects(seed):
    rng = np.random.default_rng(seed)
    y, d = rng.normal(scale=0.1), rng.uniform(0.05, 0.9)
    root = rng.normal(scale=0.04, size=(2, 3))
    V = root @ root.T
    found = complier_effect_of(y, d, variance_y=V[0, 0], variance_d=V[1, 1], covariance=V[0, 1], critical=Z)
    theta = np.linspace(-60, 60, 1_200_001)
    kept = (y - theta * d) ** 2 <= Z**2 * (V[0, 0] - 2 * theta * V[0, 1] + theta**2 * V[1, 1])
    if np.isfinite(found.lower):
        np.testing.assert_allclose(theta[kept][[0, -1]], [found.lower, found.upper], atol=1.1e-4)
        assert found.lower <= found.estimate <= found.upper
    else:
        assert d**2 <= Z**2 * V[1, 1]
        assert kept[0] or kept[-1]


def test_it_covers_however_few_are_reached():
    """One in twelve of the treated is reached: 2,000 worlds, a true effect of 0.3 among those."""
    rng, n, share, inside = np.random.default_rng(7), 400, 1 / 12, 0
    for _ in range(2_000):
        reached = rng.random(n) < share
        d, v_d = reached.mean(), reached.var() / n
        treated = rng.random(n) < np.where(reached, 0.5, 0.2)
        control = rng.random(n) < 0.2
        y, v_y = treated.mean() - control.mean(), treated.var() / n + control.var() / n
        c = np.mean((treated - treated.mean()) * (reached - d)) / n
        found = complier_effect_of(y, d, variance_y=v_y, variance_d=v_d, covariance=c, critical=Z)
        inside += found.lower <= 0.3 <= found.upper
    assert binom.ppf(1e-6, 2_000, 0.95) <= inside <= binom.ppf(1 - 1e-6, 2_000, 0.95)


def test_nobody_is_reached():
    found = complier_effect_of(0.1, 0.0, variance_y=0.01, variance_d=0.0, covariance=0.0, critical=Z)
    assert np.isnan(found.estimate)
    assert (found.lower, found.upper) == (-np.inf, np.inf)
