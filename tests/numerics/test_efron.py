"""Efron's sums against their definition in 50 digits."""

from __future__ import annotations

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from churnsurv.numerics.efron import breslow_sums, efron_sums

RATIOS = [1.0001, 1.001, 1.1, 1.5, 2.0, 3.0, 3.33, 3.34, 5.0, 9.99, 10.01, 30.0, 1e3, 1e5, 1e8]
TIES = [1, 2, 3, 10, 31, 32, 33, 34, 60, 1_000, 10_000, 100_000]


def by_definition(S0: float, D0: float, d: int) -> list[mp.mpf]:
    S0, D0 = mp.mpf(S0), mp.mpf(D0)
    sums = [mp.mpf(0)] * 6
    for tie in range(d):
        c = mp.mpf(tie) / d
        u = S0 - c * D0
        for i, term in enumerate((1 / u, c / u, 1 / u**2, c / u**2, (c / u) ** 2, mp.log(u))):
            sums[i] += term
    return sums


def by_polygamma(S0: float, D0: float, d: int) -> list[mp.mpf]:
    """The same sums where a hundred thousand terms would take long; 120 digits outlast the cancellation."""
    with mp.workdps(120):
        S0, D0 = mp.mpf(S0), mp.mpf(D0)
        k, c = d / D0, d * S0 / D0
        h1 = mp.digamma(c + 1) - mp.digamma(c - d + 1)
        h2 = mp.polygamma(1, c - d + 1) - mp.polygamma(1, c + 1)
        logs = mp.loggamma(c + 1) - mp.loggamma(c - d + 1) - d * mp.log(k)
        return [k * h1, k * (c * h1 - d) / d, k**2 * h2, k**2 * (c * h2 - h1) / d,
                k**2 * (c * c * h2 - 2 * c * h1 + d) / d**2, logs]  # fmt: skip


def ours(S0: float, D0: float, d: int) -> list[float]:
    sums = efron_sums(np.array([S0]), np.array([D0]), np.array([float(d)]))
    return [float(x[0]) for x in (sums.A, sums.B, sums.A2, sums.B2, sums.C2, sums.log_sum)]


def test_the_two_references_agree() -> None:
    with mp.workdps(50):
        for ratio in (1.0001, 7.0, 1e8):
            for found, expected in zip(
                by_polygamma(ratio * 20, 20.0, 50), by_definition(ratio * 20, 20.0, 50), strict=True
            ):
                assert abs(found - expected) <= mp.mpf(10) ** -40 * abs(expected)


@pytest.mark.parametrize("d", TIES)
def test_every_sum_has_twelve_digits(d: int) -> None:
    with mp.workdps(50):
        for ratio in RATIOS:
            D0 = 0.37 * d
            S0 = D0 * ratio
            expected = (by_definition if d <= 60 else by_polygamma)(S0, D0, d)
            for found, exact in zip(ours(S0, D0, d)[:5], expected[:5], strict=True):
                assert abs(found - exact) <= 1e-12 * abs(exact), (ratio, d)
            # a sum of logarithms may vanish: its error is counted per term
            assert abs(ours(S0, D0, d)[5] - expected[5]) <= 1e-13 * (abs(expected[5]) + d)


def test_every_sum_has_twelve_digits_between_the_grid_too() -> None:
    """S0 / D0 from 1.0001 to 1e8 and d from 1 to 1e5, log-uniform, on sums of any size."""
    rng = np.random.default_rng(1)
    d = np.unique(np.rint(10 ** rng.uniform(0, 5, 120)))
    ratio = 1 + 10 ** rng.uniform(-4, 8, d.size)
    D0 = d * 10 ** rng.uniform(-60, 60, d.size)
    found = efron_sums(D0 * ratio, D0, d)
    with mp.workdps(50):
        for i in range(d.size):
            exact = (by_definition if d[i] <= 60 else by_polygamma)(D0[i] * ratio[i], D0[i], int(d[i]))
            for name, value in zip(("A", "B", "A2", "B2", "C2"), exact, strict=False):
                assert abs(getattr(found, name)[i] - value) <= 1e-12 * abs(value), (name, ratio[i], d[i])
            size = abs(exact[5]) + d[i] * (1 + abs(mp.log(D0[i])))
            assert abs(found.log_sum[i] - exact[5]) <= 1e-13 * size, (ratio[i], d[i])


def test_many_events_that_are_everybody_at_risk() -> None:
    d = 100_000.0
    sums = efron_sums(np.array([d]), np.array([d]), np.array([d]))
    with mp.workdps(50):
        for ours, exact in (
            (sums.A, mp.harmonic(d)),
            (sums.A2, mp.zeta(2) - mp.zeta(2, d + 1)),
            (sums.log_sum, mp.loggamma(d + 1)),
        ):
            assert abs(ours[0] - exact) <= 1e-14 * exact


def test_most_sums_have_fourteen_digits() -> None:
    worst = []
    with mp.workdps(50):
        for d in (5, 200, 5_000):
            for ratio in (1.01, 2.0, 20.0, 1e4):
                expected = by_polygamma(ratio * d, float(d), d)[:5]
                worst += [
                    float(abs(f - e) / abs(e)) for f, e in zip(ours(ratio * d, float(d), d), expected, strict=False)
                ]
    assert np.quantile(worst, 0.8) < 1e-14


def test_everybody_at_risk_has_the_event() -> None:
    # theta = 1 for all five: 1/5 + 1/4 + 1/3 + 1/2 + 1
    sums = efron_sums(np.array([5.0]), np.array([5.0]), np.array([5.0]))
    assert sums.A[0] == pytest.approx(float(sum(Fraction(1, k) for k in range(1, 6))), rel=1e-15)
    assert sums.A2[0] == pytest.approx(float(sum(Fraction(1, k * k) for k in range(1, 6))), rel=1e-15)
    assert sums.log_sum[0] == pytest.approx(np.log(120), rel=1e-15)
    many = efron_sums(np.array([400.0]), np.array([400.0]), np.array([400.0]))
    assert many.A[0] == pytest.approx(float(sum(Fraction(1, k) for k in range(1, 401))), rel=1e-14)


def test_without_ties_both_conventions_are_the_same() -> None:
    S0 = np.array([3.0, 0.2, 1e-9])
    efron, breslow = efron_sums(S0, S0 / 3, np.ones(3)), breslow_sums(S0, np.ones(3))
    for name in ("A", "B", "A2", "B2", "C2", "log_sum"):
        np.testing.assert_array_equal(getattr(efron, name), getattr(breslow, name))


def test_days_of_all_kinds_in_one_call_are_as_alone() -> None:
    S0, D0, d = (
        np.array([9.0, 50.0, 600.0, 45.0]),
        np.array([2.0, 2.0, 60.0, 40.0]),
        np.array([2.0, 40.0, 80.0, 50.0]),
    )
    together = efron_sums(S0, D0, d)
    for i in range(4):
        alone = efron_sums(S0[i : i + 1], D0[i : i + 1], d[i : i + 1])
        for name in ("A", "B", "A2", "B2", "C2", "log_sum"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name)[0], rel=1e-14)


def test_breslow_is_its_definition() -> None:
    sums = breslow_sums(np.array([4.0]), np.array([3.0]))
    assert (sums.A[0], sums.A2[0], sums.log_sum[0]) == (0.75, 3 / 16, 3 * np.log(4.0))
    for nothing in (sums.B, sums.B2, sums.C2):
        assert not nothing.any()
