"""The kernel has mass 1 and mean 0 everywhere, and its sums are what the formula says."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.cluster import clustered_rows
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.smoothed_hazard import boundary_kernel, smoothed_hazard, usual_bandwidth
from churnsurv.numerics.weighted_counts import Steps, steps_of


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_kernel_keeps_mass_and_mean(q: float) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x, w = (nodes + 1) / 2 * (1 + q) - 1, weights * (1 + q) / 2
    values = boundary_kernel(x, q)
    assert w @ values == pytest.approx(1.0, rel=1e-13)
    assert w @ (x * values) == pytest.approx(0.0, abs=1e-13)
    assert boundary_kernel(np.array([q + 0.01, -1.01]), q).tolist() == [0.0, 0.0]


def test_inside_it_is_epanechnikovs() -> None:
    x = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(boundary_kernel(x, 1.0), 0.75 * (1 - x**2), rtol=1e-15)
    np.testing.assert_array_equal(boundary_kernel(x, 3.0), boundary_kernel(x, 1.0))


def test_by_hand() -> None:
    # days 10 and 12: 2 of 20, 3 of 15; at day 11 with b = 4 both have K(1/4) = 3/4 * 15/16 = 45/64
    steps = Steps(np.array([10, 12, 40]), np.array([20.0, 15.0, 5.0]), np.array([2.0, 3.0, 0.0]))
    found = smoothed_hazard(steps, np.array([11]), bandwidth=4, first=0, last=40)
    assert found.hazard[0] == pytest.approx(45 / 64 / 4 * (0.1 + 0.2), rel=1e-14)
    assert found.std_error[0] == pytest.approx(45 / 64 / 4 * np.sqrt(2 / 400 + 3 / 225), rel=1e-14)


def test_a_constant_hazard_is_found_up_to_both_ends() -> None:
    days = np.arange(1, 2001) / 20
    steps = Steps(days, np.full(2000, 1e6), np.full(2000, 1e6 * 0.02 / 20))
    asked = np.array([0.0, 1.0, 5.0, 50.0, 97.0, 100.0])
    found = smoothed_hazard(steps, asked, bandwidth=10, first=0, last=100)
    np.testing.assert_allclose(found.hazard, 0.02, rtol=0.015)
    np.testing.assert_allclose(found.hazard[3], 0.02, rtol=1e-3)


def test_it_is_never_negative() -> None:
    # right of a boundary kernel's root one churn would count below zero
    steps = Steps(np.array([9, 20]), np.array([5.0, 4.0]), np.array([1.0, 0.0]))
    found = smoothed_hazard(steps, np.array([0.0]), bandwidth=10, first=0, last=20)
    assert found.hazard[0] == 0
    assert found.std_error[0] > 0


def test_rows_of_their_own_give_nearly_the_same_error_and_clusters_another() -> None:
    rng = np.random.default_rng(1)
    duration, churned = rng.integers(1, 60, 400), rng.random(400) < 0.6
    steps = steps_of(day_counts(duration, churned))
    asked = np.array([3, 20, 40])
    plain = smoothed_hazard(steps, asked, bandwidth=8, first=0, last=59)
    own = clustered_rows(steps.time, duration, churned, np.arange(400))
    np.testing.assert_allclose(
        smoothed_hazard(steps, asked, bandwidth=8, first=0, last=59, rows=own).std_error, plain.std_error, rtol=0.1
    )
    # every row there twice is half the information: the errors of pairs are those of one half
    twice = np.repeat(np.arange(400), 2)
    double = steps_of(day_counts(duration[twice], churned[twice]))
    pairs = clustered_rows(double.time, duration[twice], churned[twice], twice)
    np.testing.assert_allclose(
        smoothed_hazard(double, asked, bandwidth=8, first=0, last=59, rows=pairs).std_error,
        smoothed_hazard(steps, asked, bandwidth=8, first=0, last=59, rows=own).std_error,
        rtol=1e-12,
    )


def test_the_usual_bandwidth_stays_between_a_week_and_half_of_follow_up() -> None:
    assert usual_bandwidth(32, 0, 160) == pytest.approx(10)
    assert usual_bandwidth(1e9, 0, 365) == 7
    assert usual_bandwidth(0, 0, 3) == 1.5
    assert usual_bandwidth(32, 0, 0.16, whole_days=False) == pytest.approx(0.01)


def test_whole_days_are_summed_to_a_quarter_over_the_square_of_the_bandwidth() -> None:
    steps = Steps(np.arange(1, 101), np.full(100, 1e4), np.full(100, 50.0))
    for width in (2, 7, 20):
        found = smoothed_hazard(steps, np.array([50]), bandwidth=width, first=0, last=100)
        assert found.hazard[0] == pytest.approx(0.005 * (1 - 1 / (4 * width**2)), rel=1e-12)
