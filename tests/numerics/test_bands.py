"""Critical values of simultaneous bands against published ones, asymptotics and simulated bridges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import kolmogi, ndtri
from scipy.stats import norm

from churnsurv.numerics.bands import equal_precision_critical, hall_wellner_critical


@pytest.mark.parametrize(("level", "published"), [(0.90, 1.2238), (0.95, 1.3581), (0.99, 1.6276)])
def test_over_the_whole_bridge_it_is_kolmogorovs(level: float, published: float) -> None:
    found = hall_wellner_critical(0.0, 1 - 1e-12, level)
    assert found == pytest.approx(published, abs=5e-5)
    assert found == pytest.approx(kolmogi(1 - level), abs=1e-9)


@pytest.mark.parametrize("u", [1e-9, 0.02, 0.5, 0.93])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_at_one_time_they_are_the_normal_quantile(u: float, level: float) -> None:
    z = ndtri(0.5 + level / 2)
    assert hall_wellner_critical(u, u, level) == pytest.approx(z * np.sqrt(u * (1 - u)), rel=1e-12)
    assert equal_precision_critical(u, u, level) == pytest.approx(z, rel=1e-9)


@pytest.mark.parametrize(("first", "last"), [(0.05, 0.95), (0.1, 0.6), (0.001, 0.999)])
def test_equal_precision_meets_the_asymptotic_tail(first: float, last: float) -> None:
    """Miller and Siegmund (1982): P(sup > c) ~ 4 phi(c) / c + phi(c) (c - 1 / c) log odds ratio, good for large c."""
    for level, within in ((0.95, 0.04), (0.999, 0.008)):
        c = equal_precision_critical(first, last, level)
        length = np.log(last * (1 - first) / (first * (1 - last)))
        tail = 4 * norm.pdf(c) / c + norm.pdf(c) * (c - 1 / c) * length
        assert tail == pytest.approx(1 - level, rel=within)


def test_over_a_short_stretch_the_two_bands_are_one() -> None:
    for last in (0.50004, 0.5002, 0.5005):
        k, c = hall_wellner_critical(0.5, last, 0.95), equal_precision_critical(0.5, last, 0.95)
        assert c == pytest.approx(2 * k, rel=3e-5)
        assert c > ndtri(0.975)


def test_only_the_odds_ratio_matters_for_equal_precision() -> None:
    odds = np.array([0.1, 4.0])
    for scale in (1.0, 1e-6, 50.0):
        first, last = odds * scale / (1 + odds * scale)
        assert equal_precision_critical(float(first), float(last), 0.9) == pytest.approx(
            equal_precision_critical(1 / 11, 0.8, 0.9), rel=1e-9
        )


def test_longer_stretches_and_higher_levels_are_wider() -> None:
    for critical in (hall_wellner_critical, equal_precision_critical):
        widths = [critical(0.1, last, 0.95) for last in (0.1, 0.2, 0.5, 0.9)]
        assert all(np.diff(widths) > 0)
        assert critical(0.1, 0.5, 0.9) < critical(0.1, 0.5, 0.99)


@pytest.mark.parametrize(("first", "last"), [(0.0, 0.4), (0.05, 0.9), (0.3, 0.7)])
def test_against_simulated_bridges(first: float, last: float) -> None:
    """Bridges at 400 times, with the exact chance of a way out between two of them."""
    rng = np.random.default_rng(5)
    u = np.linspace(first, last, 401)
    start = rng.normal(scale=np.sqrt(first * (1 - first)), size=10_000)
    paths = [start]
    for now, then in itertools.pairwise(u):
        left = (1 - then) / (1 - now)
        paths.append(paths[-1] * left + rng.normal(scale=np.sqrt((then - now) * left), size=start.size))
    w, step = np.stack(paths), u[1] - u[0]
    bounds = {"hall-wellner": np.full(u.size, hall_wellner_critical(first, last, 0.95))}
    if first > 0:
        bounds["equal-precision"] = equal_precision_critical(first, last, 0.95) * np.sqrt(u * (1 - u))
    for bound in bounds.values():
        stays = np.ones(start.size)
        for side in (1, -1):
            room = np.maximum(bound[:, None] - side * w, 0.0)
            stays *= np.prod(1 - np.exp(-2 * room[:-1] * room[1:] / step), axis=0)
        assert stays.mean() == pytest.approx(0.95, abs=0.006)
