"""Clustered standard errors of survival against the influence of every row at every time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.cluster import (
    clustered_hazard_error,
    clustered_rows,
    clustered_std_error,
    clustered_survival_error,
)
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.kaplan_meier import kaplan_meier
from churnsurv.numerics.weighted_counts import weighted_steps

ROWS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 10), st.booleans(), st.integers(0, 6)),
    min_size=1,
    max_size=40,
)


def weighted_survival(weights, duration, churned, entry, times) -> list:
    """Kaplan and Meier with weights, as plainly as can be."""
    s, out = 1, []
    for t in times:
        n = sum(w for w, d, e in zip(weights, duration, entry, strict=True) if e < t <= d)
        d = sum(w for w, u, c in zip(weights, duration, churned, strict=True) if c and u == t)
        s = s * (1 - Fraction(d) / n)
        out.append(s)
    return out


def jackknife(duration, churned, entry, cluster) -> tuple[np.ndarray, np.ndarray]:
    """Times and variance: the sum of squares of the derivatives in the clusters' weights, each of them exact.

    S is a rational function of the weight of a cluster; its derivative is read off in exact fractions by Richardson's
    extrapolation of central differences, good to 1e-20 of a step of 1e-6.
    """
    times = sorted(set(duration))
    variance = np.zeros(len(times))
    for c in sorted(set(cluster)):
        slopes = []
        for h in (Fraction(1, 10**6), Fraction(2, 10**6)):
            ends = [
                weighted_survival([1 + s * h * (k == c) for k in cluster], duration, churned, entry, times)
                for s in (1, -1)
            ]
            slopes.append([(up - down) / (2 * h) for up, down in zip(*ends, strict=True)])
        variance += np.array([float((4 * near - far) / 3) ** 2 for near, far in zip(*slopes, strict=True)])
    return np.array(times), variance


def influence_matrix(duration, churned, entry, cluster) -> np.ndarray:
    """The variance by the formula of the module, row by row and time by time."""
    counts = day_counts(duration, churned, entry=entry)
    n, d = counts.n_at_risk[0].astype(float), counts.n_events[0].astype(float)
    survival = np.cumprod(1 - d / n)
    live = survival > 0
    a, b = 1 / (n - d)[live], (d / (n * (n - d + ~live)))[live]
    total = np.zeros((int(cluster.max()) + 1, live.sum()))
    for row in range(duration.size):
        for k, t in enumerate(counts.time[live]):
            if duration[row] <= t and churned[row]:
                total[cluster[row], k] += a[counts.time[live] == duration[row]].sum()
            at_risk = (entry[row] < counts.time[live]) & (counts.time[live] <= min(t, duration[row]))
            total[cluster[row], k] -= b[at_risk].sum()
    return np.concatenate([survival[live] * np.sqrt((total**2).sum(axis=0)), np.full((~live).sum(), np.nan)])


def test_by_hand() -> None:
    # two clusters of two: on day 1 one of 4 churns. Weights w0, w1 of the clusters: S(1) = 1 - w0 / (2 w0 + 2 w1), and
    # dS/dw0 = -1/8, dS/dw1 = 1/8, so that the variance is 1/32
    duration, churned = np.array([1, 2, 2, 4]), np.array([True, False, False, False])
    found = clustered_std_error(day_counts(duration, churned), duration, churned, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found**2, [1 / 32] * 3, rtol=1e-10)


def test_one_row_each_and_no_censoring_is_the_binomial() -> None:
    days = np.array([1, 2, 2, 3, 5, 5, 5, 9])
    churned = np.ones(8, bool)
    found = clustered_std_error(day_counts(days, churned), days, churned, np.arange(8))
    share = np.array([(days > t).mean() for t in np.unique(days)])
    assert np.isnan(found[-1]), "everybody has churned: nothing is left to vary"
    np.testing.assert_allclose(found[:-1], np.sqrt(share * (1 - share) / 8)[:-1], rtol=1e-10, atol=1e-12)


def test_is_the_derivative_of_the_curve_in_the_weights() -> None:
    rng = np.random.default_rng(11)
    entry = rng.integers(0, 6, 30)
    duration = entry + rng.integers(1, 8, 30)
    churned, cluster = rng.random(30) < 0.5, rng.integers(0, 8, 30)
    times, variance = jackknife(duration.tolist(), churned.tolist(), entry.tolist(), cluster.tolist())
    counts = day_counts(duration, churned, entry=entry)
    assert counts.time.tolist() == times.tolist()
    found = clustered_std_error(counts, duration, churned, cluster, entry=entry)
    left = kaplan_meier(counts).survival > 0
    assert np.isnan(found[~left]).all()
    np.testing.assert_allclose(found[left], np.sqrt(variance)[left], rtol=1e-10, atol=1e-12)


@settings(max_examples=60)
@given(ROWS)
def test_equals_the_full_matrix_of_influences(rows: list[tuple[int, int, bool, int]]) -> None:
    entry, stay, churned, cluster = (np.array(column) for column in zip(*rows, strict=True))
    duration = entry + stay
    found = clustered_std_error(day_counts(duration, churned, entry=entry), duration, churned, cluster, entry=entry)
    # variances: one single cluster has none, and the root of what rounding leaves of it is not small
    full = influence_matrix(duration, churned, entry, cluster)
    np.testing.assert_allclose(found**2, full**2, rtol=1e-9, atol=1e-15)


@settings(max_examples=60)
@given(ROWS, st.integers(0, 12))
def test_splitting_a_row_within_its_cluster_changes_nothing(rows: list[tuple[int, int, bool, int]], day: int) -> None:
    entry, stay, churned, cluster = (np.array(column) for column in zip(*rows, strict=True))
    duration = entry + stay
    cut = (entry < day) & (day < duration)
    times = day_counts(duration, churned, entry=entry).time
    parts = (
        np.concatenate([np.where(cut, day, duration), duration[cut]]),
        np.concatenate([churned & ~cut, churned[cut]]),
        np.concatenate([cluster, cluster[cut]]),
    )
    late = np.concatenate([entry, np.full(int(cut.sum()), day)])
    split = day_counts(parts[0], parts[1], entry=late)
    whole = clustered_std_error(day_counts(duration, churned, entry=entry), duration, churned, cluster, entry=entry)
    found = clustered_std_error(split, *parts, entry=late)[np.isin(split.time, times)]
    np.testing.assert_allclose(found, whole, rtol=1e-9, atol=1e-12)


def test_everybody_twice_in_one_cluster_has_the_error_of_once() -> None:
    rng = np.random.default_rng(5)
    duration, churned = rng.integers(1, 30, 400), rng.random(400) < 0.6
    once = clustered_std_error(day_counts(duration, churned), duration, churned, np.arange(400))
    twice = np.tile(duration, 2), np.tile(churned, 2)
    found = clustered_std_error(day_counts(*twice), *twice, np.tile(np.arange(400), 2))
    np.testing.assert_allclose(found, once, rtol=1e-10, atol=1e-14)
    greenwood = kaplan_meier(day_counts(*twice)).std_error
    inside = once > 0
    np.testing.assert_allclose(greenwood[inside], once[inside] / np.sqrt(2), rtol=0.05)


def test_hard_numbers_lose_no_digits() -> None:
    """Two early rows move the curve a great deal; then a hundred thousand enter, and move it very little."""
    late = 100_000
    entry = np.concatenate([[0, 0], np.full(late, 5)])
    duration = np.concatenate([[1, 2], np.tile([8, 9, 10, 11], late // 4)])
    churned = np.concatenate([[True, False], np.arange(late) % 5 == 0])
    cluster = np.concatenate([[0, 1], 2 + np.arange(late) // 2])
    found = clustered_std_error(day_counts(duration, churned, entry=entry), duration, churned, cluster, entry=entry)
    # on day 1 one of two churns: S = 1/2, variance 1/8. After it S = 1/2 S', S' of the late rows alone and independent:
    # var = S'^2 / 8 + var(S') / 4
    rows = slice(2, None)
    alone = day_counts(duration[rows], churned[rows], entry=entry[rows])
    share = kaplan_meier(alone).survival
    error = clustered_std_error(alone, duration[rows], churned[rows], cluster[rows], entry=entry[rows])
    np.testing.assert_allclose(found[2:], np.sqrt(share**2 / 8 + error**2 / 4), rtol=1e-12)


@pytest.mark.parametrize("entry", [None, np.zeros(3, dtype=int)])
def test_rows_without_risk_and_a_curve_of_zeros(entry: np.ndarray | None) -> None:
    duration, churned = np.array([2, 2, 2]), np.array([True, True, True])
    counts = day_counts(duration, churned, entry=entry)
    (found,) = clustered_std_error(counts, duration, churned, np.array([0, 1, 1]), entry=entry)
    assert np.isnan(found)
    none = np.array([2, 2, 2])
    empty = day_counts(duration, churned, entry=none)
    assert clustered_std_error(empty, duration, churned, np.array([0, 1, 1]), entry=none).size == 0


def placed(duration, churned, entry, cluster, weights):
    counts = day_counts(duration, churned, entry=entry)
    steps = weighted_steps(counts, duration, churned, weights, entry=entry)
    return steps, clustered_rows(steps.time, duration, churned, cluster, entry=entry, weights=weights)


@settings(max_examples=25)
@given(ROWS.filter(lambda rows: len(rows) <= 12), st.lists(st.sampled_from([1, 3, 7, 20]), min_size=12, max_size=12))
def test_with_weights_it_is_the_derivative_in_the_weight_of_the_cluster(rows, drawn) -> None:
    entry = [r[0] for r in rows]
    duration = [r[0] + r[1] for r in rows]
    churned, cluster = [r[2] for r in rows], [r[3] for r in rows]
    weights = [Fraction(w, 10) for w in drawn[: len(rows)]]
    times = sorted(set(duration))
    variance = np.zeros(len(times))
    for c in set(cluster):
        slopes = []
        for h in (Fraction(1, 10**6), Fraction(2, 10**6)):
            ends = [
                weighted_survival(
                    [w * (1 + s * h * (k == c)) for w, k in zip(weights, cluster, strict=True)],
                    duration, churned, entry, times,
                )
                for s in (1, -1)
            ]  # fmt: skip
            slopes.append([(up - down) / (2 * h) for up, down in zip(*ends, strict=True)])
        variance += np.array([float((4 * near - far) / 3) ** 2 for near, far in zip(*slopes, strict=True)])
    steps, placed_rows = placed(
        np.array(duration), np.array(churned), np.array(entry), np.array(cluster), np.array(weights, dtype=float)
    )
    found = clustered_survival_error(steps, placed_rows)
    known = ~np.isnan(found)
    np.testing.assert_allclose(found[known] ** 2, variance[known], rtol=1e-9, atol=1e-14)


def test_cumulative_hazard_by_hand_with_weights() -> None:
    # weights 1, 2 in cluster 0 and 3 in cluster 1; the first churns on day 1: H = 1/6. In v0, v1, multipliers of the
    # clusters, H = v0 / (3 v0 + 3 v1): both derivatives are 1/12 in size, and the variance is 2/144
    duration, churned = np.array([1, 2, 2]), np.array([True, False, False])
    found = clustered_hazard_error(*placed(duration, churned, None, np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(found**2, [2 / 144] * 2, rtol=1e-12)


def test_the_mean_of_recurrent_churns_by_hand() -> None:
    """Lawless and Nadeau: three users, one of whom churns twice and one once; all seen to day 4."""
    user = np.array([0, 0, 0, 1, 1, 2])
    entry, duration = np.array([0, 1, 3, 0, 3, 0]), np.array([1, 3, 4, 3, 4, 4])
    churned = np.array([True, True, False, True, False, False])
    counts = day_counts(duration, churned, entry=entry)
    assert counts.n_at_risk.tolist() == [[3, 3, 3]]
    found = clustered_hazard_error(*placed(duration, churned, entry, user, np.ones(6)))
    # day 1: user 0 is (1 - 1/3)/3 above the mean, the others (1/3)/3 below; day 3: users 0 and 1 churn, 2 does not
    first = [Fraction(2, 9), Fraction(-1, 9), Fraction(-1, 9)]
    third = [Fraction(2, 9) + Fraction(1, 9), Fraction(-1, 9) + Fraction(1, 9), Fraction(-1, 9) - Fraction(2, 9)]
    variances = [float(sum(x * x for x in values)) for values in (first, third, third)]
    np.testing.assert_allclose(found**2, variances, rtol=1e-12)
