"""The log-rank test worked by hand in fractions, by brute force, and its robust form by derivatives."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics import logrank as numerics
from churnsurv.numerics import logrank_counts as module
from churnsurv.numerics.logrank import LogRank
from churnsurv.numerics.logrank_counts import GroupRows, count_groups

EXACT = {"rtol": 1e-10, "atol": 1e-12}
ROWS = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.integers(0, 8),
        st.booleans(),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 5),
    ),
    min_size=2,
    max_size=40,
)


def logrank(duration, churned, group, *, n_groups, **columns) -> LogRank:
    return numerics.logrank(GroupRows(duration, churned, group, n_groups, **columns))


def columns(rows) -> dict[str, np.ndarray]:
    entry, stay, churned, group, stratum, cluster = (np.array(column) for column in zip(*rows, strict=True))
    names = {"entry": entry, "duration": entry + stay, "churned": churned}
    return {**names, "group": group, "stratum": stratum, "cluster": cluster}


def brute_force(data: dict[str, np.ndarray], n_groups: int, n_strata: int) -> tuple[np.ndarray, ...]:
    """Observed, expected, covariance and the influence of each row: the definitions, loop by loop."""
    observed, expected = np.zeros(n_groups), np.zeros(n_groups)
    covariance = np.zeros((n_groups, n_groups))
    influence = np.zeros((data["duration"].size, n_groups))
    own = np.eye(n_groups)[data["group"]]
    for s in range(n_strata):
        inside = data["stratum"] == s
        for t in np.unique(data["duration"]):
            at_risk = inside & (data["entry"] < t) & (data["duration"] >= t)
            ends = at_risk & (data["duration"] == t) & data["churned"]
            n, d = at_risk.sum(), ends.sum()
            if d == 0:
                continue
            share = own[at_risk].mean(axis=0)
            observed += own[ends].sum(axis=0)
            expected += d * share
            if n > 1:
                covariance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
            influence[ends] += own[ends] - share
            influence[at_risk] -= (own[at_risk] - share) * d / n
    return observed, expected, covariance, influence


def result_of(data: dict[str, np.ndarray], *, n_groups=3, n_strata=2, robust=False) -> LogRank:
    robust_by = {"cluster": data["cluster"], "n_clusters": 6} if robust else {}
    return logrank(
        data["duration"],
        data["churned"],
        data["group"],
        n_groups=n_groups,
        entry=data["entry"],
        stratum=data["stratum"],
        n_strata=n_strata,
        **robust_by,
    )


def test_two_groups_by_hand_with_ties_and_late_entry() -> None:
    # group 0 ends on 2*, 2*, 3, 5* (the last entered on day 2); group 1 on 2*, 4, 5*, 6*; * = churned
    duration = np.array([2, 2, 3, 5, 2, 4, 5, 6])
    churned = np.array([1, 1, 0, 1, 1, 0, 1, 1], dtype=bool)
    entry = np.array([0, 0, 0, 2, 0, 0, 0, 0])
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    # at risk (group 0, group 1), churned: day 2: (3, 4), 3; day 5: (1, 2), 2; day 6: (0, 1), 1
    expected, variance = Fraction(0), Fraction(0)
    for n0, n1, d in ((3, 4, 3), (1, 2, 2), (0, 1, 1)):
        n = n0 + n1
        expected += Fraction(d * n0, n)
        if n > 1:
            variance += Fraction(d * (n - d) * n0 * n1, (n - 1) * n * n)
    test = logrank(duration, churned, group, n_groups=2, entry=entry)
    np.testing.assert_allclose(test.observed, [3, 3], **EXACT)
    np.testing.assert_allclose(test.expected, [float(expected), float(6 - expected)], **EXACT)
    np.testing.assert_allclose(test.variance, float(variance) * np.array([[1, -1], [-1, 1]]), **EXACT)
    np.testing.assert_allclose(test.statistic, float((3 - expected) ** 2 / variance), **EXACT)
    assert test.df == 1
    assert count_groups(GroupRows(duration, churned, group, 2, entry)).n.tolist() == [4, 4]
    np.testing.assert_allclose(test.p_value, math.erfc(math.sqrt(test.statistic / 2)), **EXACT)


def test_three_groups_in_two_strata_by_hand() -> None:
    # stratum 0, one of each group: group 0 churns on day 1, group 1 on day 2, group 2 stays to day 3;
    # stratum 1, groups 0 and 1: group 1 churns on day 1
    duration = np.array([1, 2, 3, 2, 1])
    churned = np.array([1, 1, 0, 0, 1], dtype=bool)
    group, stratum = np.array([0, 1, 2, 0, 1]), np.array([0, 0, 0, 1, 1])
    third, half = Fraction(1, 3), Fraction(1, 2)
    expected = [third + half, third + half + half, third + half]
    v00 = third * (1 - third) + half * half
    v11 = third * (1 - third) + half * half + half * half
    v01 = -third * third - half * half
    u0, u1 = 1 - expected[0], 2 - expected[1]
    statistic = (u0 * u0 * v11 - 2 * u0 * u1 * v01 + u1 * u1 * v00) / (v00 * v11 - v01 * v01)
    test = logrank(duration, churned, group, n_groups=3, stratum=stratum, n_strata=2)
    np.testing.assert_allclose(test.observed, [1, 2, 0], **EXACT)
    np.testing.assert_allclose(test.expected, [float(e) for e in expected], **EXACT)
    np.testing.assert_allclose(test.statistic, float(statistic), **EXACT)
    assert test.df == 2
    np.testing.assert_allclose(test.p_value, math.exp(-test.statistic / 2), **EXACT)


@settings(max_examples=60)
@given(ROWS)
def test_equals_brute_force(rows) -> None:
    data = columns(rows)
    observed, expected, covariance, influence = brute_force(data, 3, 2)
    rank = int(np.linalg.matrix_rank(covariance, tol=1e-9, hermitian=True))
    assume(rank > 0)
    test = result_of(data)
    u = observed - expected
    np.testing.assert_allclose(test.observed, observed, **EXACT)
    np.testing.assert_allclose(test.expected, expected, **EXACT)
    np.testing.assert_allclose(test.variance, covariance, **EXACT)
    assert test.df == rank
    np.testing.assert_allclose(
        test.statistic, u @ np.linalg.pinv(covariance, hermitian=True) @ u, rtol=1e-8, atol=1e-10
    )

    by_cluster = np.zeros((6, 3))
    np.add.at(by_cluster, data["cluster"], influence)
    robust = by_cluster.T @ by_cluster
    assume(np.linalg.matrix_rank(robust, tol=1e-6, hermitian=True) == rank)
    test = result_of(data, robust=True)
    np.testing.assert_allclose(test.variance, robust, rtol=1e-9, atol=1e-11)
    robust_statistic = u @ np.linalg.pinv(robust, rcond=1e-9, hermitian=True) @ u
    np.testing.assert_allclose(test.statistic, robust_statistic, rtol=1e-5, atol=1e-10)


def test_the_influence_is_the_derivative_of_the_score_in_a_rows_weight() -> None:
    rng = np.random.default_rng(2)
    data = columns(
        zip(
            rng.integers(0, 5, 25),
            rng.integers(1, 9, 25),
            rng.random(25) < 0.6,
            rng.integers(0, 3, 25),
            rng.integers(0, 2, 25),
            range(25),
            strict=True,
        )
    )

    def score(weights: np.ndarray) -> np.ndarray:
        u = np.zeros(3)
        for s in range(2):
            for t in np.unique(data["duration"]):
                at_risk = (data["stratum"] == s) & (data["entry"] < t) & (data["duration"] >= t)
                ends = at_risk & (data["duration"] == t) & data["churned"]
                own = np.eye(3)[data["group"]] * weights[:, None]
                if ends.any():
                    u += own[ends].sum(axis=0) - weights[ends].sum() * own[at_risk].sum(axis=0) / weights[at_risk].sum()
        return u

    slopes = []
    for row in range(25):
        step = 1e-4 * (np.arange(25) == row)
        near, far = ((score(1 + k * step) - score(1 - k * step)) / (2e-4 * k) for k in (1, 2))
        slopes.append((4 * near - far) / 3)
    np.testing.assert_allclose(brute_force(data, 3, 2)[3], slopes, atol=1e-9)


@settings(max_examples=30)
@given(ROWS, st.booleans())
def test_strata_one_by_one_equal_all_at_once(rows, robust: bool) -> None:
    data = columns(rows)
    try:
        at_once = result_of(data, robust=robust)
    except InputError:
        assume(False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_CELLS", 0)
        one_by_one = result_of(data, robust=robust)
    for name in ("observed", "expected", "variance", "statistic", "df"):
        np.testing.assert_allclose(getattr(one_by_one, name), getattr(at_once, name), rtol=1e-8, atol=1e-10)


@settings(max_examples=30)
@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 12))
def test_shuffling_and_splitting_rows_change_nothing(rows, random, day: int) -> None:
    shuffled = [row for row in random.sample(rows, len(rows)) if row[1] > 0]
    parts = []
    for entry, stay, churned, *rest in shuffled:
        if entry < day < entry + stay:
            parts += [(entry, day - entry, False, *rest), (day, entry + stay - day, churned, *rest)]
        else:
            parts.append((entry, stay, churned, *rest))
    for robust in (False, True):
        try:
            whole = result_of(columns(rows), robust=robust)
        except InputError:
            assume(False)
        split = result_of(columns(parts), robust=robust)
        assert split.df == whole.df
        np.testing.assert_allclose(split.variance, whole.variance, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(split.statistic, whole.statistic, rtol=1e-5, atol=1e-9)


def test_no_entry_counts_churn_on_day_zero() -> None:
    duration, churned, group = np.array([0, 1, 0, 1]), np.ones(4, bool), np.array([0, 0, 1, 1])
    assert logrank(duration, churned, group, n_groups=2).observed.tolist() == [2, 2]
    late = logrank(duration, churned, group, n_groups=2, entry=np.array([0, 0, 0, 0]) - 1)
    assert late.expected.tolist() == [2, 2]


def test_a_group_that_meets_nobody_takes_no_degree_of_freedom() -> None:
    # group 2 enters after all others have left
    duration, churned = np.array([1, 2, 3, 4, 8, 9]), np.array([1, 1, 1, 0, 1, 0], dtype=bool)
    entry, group = np.array([0, 0, 0, 0, 5, 5]), np.array([0, 1, 0, 1, 2, 2])
    test = logrank(duration, churned, group, n_groups=3, entry=entry)
    alone = logrank(duration[:4], churned[:4], group[:4], n_groups=2, entry=entry[:4])
    assert test.df == 1
    np.testing.assert_allclose(test.statistic, alone.statistic, **EXACT)
    assert test.observed[2] == test.expected[2] == 1


def test_a_group_without_rows_at_risk_is_left_out() -> None:
    duration, churned, group = (
        np.array([1, 2, 3, 4, 5]),
        np.array([1, 1, 1, 0, 0], dtype=bool),
        np.array([0, 1, 0, 1, 2]),
    )
    test = logrank(duration, churned, group, n_groups=3, entry=np.array([0, 0, 0, 0, 5]))
    assert test.df == 1
    rows = GroupRows(duration, churned, group, 3, np.array([0, 0, 0, 0, 5]))
    assert count_groups(rows).n.tolist() == [2, 2, 1]
    assert test.observed.tolist() == [2, 1, 0]
    assert test.expected[2] == 0


def test_groups_that_are_alike_give_zero() -> None:
    duration, churned = np.tile([3, 5, 8], 2), np.tile([True, False, True], 2)
    test = logrank(duration, churned, np.repeat([0, 1], 3), n_groups=2)
    assert test.statistic == pytest.approx(0, abs=1e-12)
    assert test.p_value == pytest.approx(1)


def test_nobody_churned() -> None:
    with pytest.raises(InputError, match="nobody churned while at risk: there is nothing to compare"):
        logrank(np.array([1, 2]), np.array([False, False]), np.array([0, 1]), n_groups=2)


def test_groups_that_never_meet() -> None:
    with pytest.raises(InputError, match="no two groups are at risk together on any day of churn"):
        logrank(np.array([1, 9]), np.array([True, True]), np.array([0, 1]), n_groups=2, entry=np.array([0, 5]))


def test_too_few_clusters() -> None:
    duration, churned, group = np.arange(1, 10), np.ones(9, bool), np.tile([0, 1, 2], 3)
    with pytest.raises(InputError, match=r"too few clusters \(1\) to compare 3 groups"):
        logrank(duration, churned, group, n_groups=3, cluster=np.zeros(9, dtype=int), n_clusters=1)


def test_arrays_are_read_only() -> None:
    test = logrank(np.array([1, 2, 3, 4]), np.ones(4, bool), np.array([0, 1, 0, 1]), n_groups=2)
    with pytest.raises(ValueError, match="read-only"):
        test.expected[0] = 0
