"""Weights of days worked by hand in fractions, trend, weights of rows, and how the tests relate to each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics.logrank import logrank
from churnsurv.numerics.logrank_counts import GroupRows, count_groups
from churnsurv.numerics.logrank_weights import COMBINED, Weighting, day_weights, weighting_of

EXACT = {"rtol": 1e-10, "atol": 1e-12}
NAMES = ("log-rank", "gehan-wilcoxon", "tarone-ware", "peto-peto")
FAMILY = [*(Weighting(name) for name in NAMES), *COMBINED[1:], Weighting("fleming-harrington", 0.5, 2.0)]


def ten_rows() -> GroupRows:
    """Groups a and b of five; * churned: a 1*, 3*, 3, 6*, 8; b 2*, 3*, 5*, 8*, 9 (the last enters on day 2)."""
    return GroupRows(
        np.array([1, 3, 3, 6, 8, 2, 3, 5, 8, 9]),
        np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0], dtype=bool),
        np.repeat([0, 1], 5),
        2,
        np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
    )


# day: at risk in a, in b, churned in a, in b; b's last row is at risk from day 3
DAYS = [(5, 4, 1, 0), (4, 4, 0, 1), (4, 4, 1, 1), (2, 3, 0, 1), (2, 2, 1, 0), (1, 2, 0, 1)]


def hand_weights() -> dict[str, list[Fraction]]:
    n = [Fraction(a + b) for a, b, _, _ in DAYS]
    d = [Fraction(x + y) for _, _, x, y in DAYS]
    before, peto = [Fraction(1)], []
    for at_risk, churned in zip(n, d, strict=True):
        peto.append((peto[-1] if peto else 1) * (1 - churned / (at_risk + 1)))
        before.append(before[-1] * (1 - churned / at_risk))
    s = before[:-1]
    return {
        "log-rank": [Fraction(1)] * 6,
        "gehan-wilcoxon": n,
        "peto-peto": peto,
        "Fleming-Harrington(1, 0)": s,
        "Fleming-Harrington(0, 1)": [1 - x for x in s],
        "Fleming-Harrington(1, 1)": [x * (1 - x) for x in s],
    }


def hand_statistic(squared: list[Fraction], weights: list[float | Fraction]) -> float | Fraction:
    """(sum w (d_b - d n_b / n))^2 / sum w^2 d (n - d) n_a n_b / ((n - 1) n^2)."""
    u = sum(w * (y - Fraction((x + y) * b, a + b)) for w, (a, b, x, y) in zip(weights, DAYS, strict=True))
    v = sum(
        w2 * Fraction((x + y) * (a + b - x - y) * a * b, (a + b - 1) * (a + b) ** 2)
        for w2, (a, b, x, y) in zip(squared, DAYS, strict=True)
    )
    return u**2 / v


@pytest.mark.parametrize("name", list(hand_weights()))
def test_ten_rows_by_hand(name: str) -> None:
    weights = hand_weights()[name]
    one = next((w for w in COMBINED if w.title == name), None) or Weighting(name)
    sets = count_groups(ten_rows()).sets
    assert sets.time.tolist() == [1, 2, 3, 5, 6, 8]
    np.testing.assert_allclose(day_weights(one, sets), [float(w) for w in weights], **EXACT)
    test = logrank(ten_rows(), weighting=one)
    np.testing.assert_allclose(test.statistic, float(hand_statistic([w * w for w in weights], weights)), **EXACT)
    np.testing.assert_allclose(test.p_value, math.erfc(math.sqrt(test.statistic / 2)), **EXACT)
    assert test.df == 1


def test_tarone_ware_by_hand() -> None:
    # squared weights are fractions, the weights are not
    n = [Fraction(a + b) for a, b, _, _ in DAYS]
    expected = hand_statistic(n, [math.sqrt(x) for x in n])
    np.testing.assert_allclose(logrank(ten_rows(), weighting=Weighting("tarone-ware")).statistic, expected, **EXACT)


def test_trend_of_three_groups_by_hand() -> None:
    # groups 0, 1, 2 of two: 0 on days 2*, 5; 1 on 1*, 4*; 2 on 1*, 3*
    rows = GroupRows(
        np.array([2, 5, 1, 4, 1, 3]), np.array([1, 0, 1, 1, 1, 1], dtype=bool), np.array([0, 0, 1, 1, 2, 2]), 3
    )
    scores = (0, 1, 3)
    u, v = Fraction(0), Fraction(0)
    for at_risk, churned in (
        ([2, 2, 2], [0, 1, 1]),
        ([2, 1, 1], [1, 0, 0]),
        ([1, 1, 1], [0, 0, 1]),
        ([1, 1, 0], [0, 1, 0]),
    ):
        n, d = sum(at_risk), sum(churned)
        mean = Fraction(sum(a * x for a, x in zip(at_risk, scores, strict=True)), n)
        square = Fraction(sum(a * x * x for a, x in zip(at_risk, scores, strict=True)), n)
        u += sum(c * x for c, x in zip(churned, scores, strict=True)) - d * mean
        v += Fraction(d * (n - d), n - 1) * (square - mean**2)
    test = logrank(rows, scores=np.array(scores, dtype=float))
    np.testing.assert_allclose(test.statistic, float(u**2 / v), **EXACT)
    np.testing.assert_allclose(test.z, [float(u) / math.sqrt(v)], **EXACT)
    assert test.df == 1
    moved = logrank(rows, scores=10 - 7.0 * np.array(scores))
    np.testing.assert_allclose(moved.z, -test.z, **EXACT)


def random_rows(rng: np.random.Generator, n: int, *, groups: int = 2, clusters: int = 0, **more) -> GroupRows:
    entry = rng.integers(0, 4, n)
    return GroupRows(
        entry + rng.integers(0, 9, n),
        rng.random(n) < 0.7,
        rng.integers(0, groups, n),
        groups,
        entry,
        rng.integers(0, 2, n),
        2,
        cluster=rng.integers(0, clusters, n) if clusters else None,
        n_clusters=clusters,
        **more,
    )


@pytest.mark.parametrize("weighting", FAMILY, ids=lambda w: w.title)
@pytest.mark.parametrize("robust", [False, True])
def test_two_groups_are_a_trend_and_the_order_of_groups_does_not_matter(weighting: Weighting, robust: bool) -> None:
    rows = random_rows(np.random.default_rng(4), 80, clusters=25 if robust else 0)
    whole = logrank(rows, weighting=weighting)
    along = logrank(rows, weighting=weighting, scores=np.array([0.0, 1.0]))
    np.testing.assert_allclose(along.statistic, whole.statistic, rtol=1e-9)
    np.testing.assert_allclose(
        logrank(rows.of_groups([1, 0]), weighting=weighting).statistic, whole.statistic, rtol=1e-9
    )


@pytest.mark.parametrize("weighting", FAMILY, ids=lambda w: w.title)
def test_the_influence_is_the_derivative_of_the_score_with_the_weights_of_days_held(weighting: Weighting) -> None:
    """Each row its own cluster; the sum of squares of numerical derivatives is the robust variance."""
    rows = random_rows(np.random.default_rng(7), 30, groups=3)
    sets = count_groups(rows).sets
    w, place = (
        day_weights(weighting, sets),
        {(s, t): i for i, (s, t) in enumerate(zip(sets.stratum, sets.time, strict=True))},
    )

    def score(case: np.ndarray) -> np.ndarray:
        u = np.zeros(3)
        own = np.eye(3)[rows.group] * case[:, None]
        for (s, t), i in place.items():
            at_risk = (rows.stratum == s) & (rows.entry < t) & (rows.duration >= t)
            ends = at_risk & (rows.duration == t) & rows.churned
            u += w[i] * (own[ends].sum(axis=0) - case[ends].sum() * own[at_risk].sum(axis=0) / case[at_risk].sum())
        return u

    slopes = []
    for row in range(30):
        step = 1e-4 * (np.arange(30) == row)
        near, far = ((score(1 + k * step) - score(1 - k * step)) / (2e-4 * k) for k in (1, 2))
        slopes.append((4 * near - far) / 3)
    by_row = GroupRows(
        rows.duration, rows.churned, rows.group, 3, rows.entry, rows.stratum, 2, cluster=np.arange(30), n_clusters=30
    )
    test = logrank(by_row, weighting=weighting)
    np.testing.assert_allclose(test.variance, np.transpose(slopes) @ slopes, rtol=1e-6, atol=1e-8 * w.max() ** 2)


ROWS = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(1, 7), st.booleans(), st.integers(0, 2), st.integers(0, 1), st.integers(0, 6),
        st.integers(1, 3),
    ),
    min_size=6,
    max_size=30,
)  # fmt: skip


def of(rows, *, weights=None, sampling=False, robust=False) -> GroupRows:
    entry, stay, churned, group, stratum, cluster, _ = (np.array(column) for column in zip(*rows, strict=True))
    return GroupRows(
        entry + stay, churned, group, 3, entry, stratum, 2, weights, sampling, cluster if robust else None, 7
    )


@settings(max_examples=30)
@given(ROWS, st.sampled_from(FAMILY), st.booleans(), st.booleans())
def test_a_frequency_is_a_row_repeated(rows, weighting: Weighting, robust: bool, trend: bool) -> None:
    frequency = np.array([row[-1] for row in rows], dtype=float)
    scores = np.array([0.0, 1.0, 5.0]) if trend else None
    try:
        repeated = logrank(
            of([r for r in rows for _ in range(r[-1])], robust=robust), weighting=weighting, scores=scores
        )
    except InputError:
        assume(False)
    weighted = logrank(of(rows, weights=frequency, robust=robust), weighting=weighting, scores=scores)
    np.testing.assert_allclose(weighted.variance, repeated.variance, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(weighted.score, repeated.score, rtol=1e-8, atol=1e-9)
    assert weighted.df == repeated.df


@pytest.mark.parametrize("weighting", FAMILY, ids=lambda w: w.title)
def test_the_unit_of_sampling_weights_does_not_matter(weighting: Weighting) -> None:
    rng = np.random.default_rng(2)
    rows = random_rows(rng, 60, groups=3)
    drawn = rng.uniform(0.1, 3, 60)

    def tested(weights):
        columns = (rows.duration, rows.churned, rows.group, 3, rows.entry, rows.stratum, 2)
        return logrank(GroupRows(*columns, weights, sampling=True), weighting=weighting)

    one = tested(drawn)
    np.testing.assert_allclose(tested(drawn * 1e-9).statistic, one.statistic, rtol=1e-8)
    # equal weights: the robust test by row
    by_row = GroupRows(
        rows.duration, rows.churned, rows.group, 3, rows.entry, rows.stratum, 2, cluster=np.arange(60), n_clusters=60
    )
    np.testing.assert_allclose(
        tested(np.full(60, 2.5)).statistic, logrank(by_row, weighting=weighting).statistic, rtol=1e-8
    )


def test_scaling_time_changes_nothing() -> None:
    rows = random_rows(np.random.default_rng(9), 70, groups=3)
    slow = GroupRows(rows.duration * 0.5, rows.churned, rows.group, 3, rows.entry * 0.5, rows.stratum, 2)
    for weighting in FAMILY:
        assert logrank(slow, weighting=weighting).statistic == pytest.approx(
            logrank(rows, weighting=weighting).statistic, rel=1e-10
        )


def test_weights_of_strata_are_their_own() -> None:
    rows = random_rows(np.random.default_rng(3), 70)
    sets = count_groups(rows).sets
    for weighting in FAMILY:
        together = day_weights(weighting, sets)
        alone = [
            day_weights(weighting, count_groups(rows.take(np.flatnonzero(rows.stratum == s))).sets) for s in (0, 1)
        ]
        np.testing.assert_allclose(together, np.concatenate(alone), **EXACT)


def test_survival_that_reaches_zero_gives_no_weight_from_there_on() -> None:
    # all at risk churn on day 2, then others enter
    rows = GroupRows(
        np.array([2, 2, 6, 7, 8]), np.ones(5, bool), np.array([0, 1, 0, 1, 0]), 2, np.array([0, 0, 4, 4, 4])
    )
    sets = count_groups(rows).sets
    assert day_weights(Weighting("fleming-harrington", 1, 0), sets).tolist() == [1, 0, 0, 0]
    assert day_weights(Weighting("fleming-harrington", 0, 1), sets).tolist() == [0, 1, 1, 1]


def test_a_weighting_without_weight_says_so() -> None:
    rows = GroupRows(np.array([3, 3, 5]), np.array([True, False, False]), np.array([0, 1, 1]), 2)
    with pytest.raises(InputError, match="this weighting gives no weight to the days on which groups are at risk"):
        logrank(rows, weighting=Weighting("fleming-harrington", 0, 1))
    with pytest.raises(InputError, match="this weighting gives no weight"):
        logrank(rows, weighting=Weighting("fleming-harrington", 0, 1), scores=np.array([0.0, 1.0]))
    assert logrank(rows).df == 1


def test_max_combo_is_for_two_groups_or_trend() -> None:
    rows = random_rows(np.random.default_rng(5), 60, groups=3)
    with pytest.raises(InputError, match=r"compares two groups, not 3: pass trend=True"):
        logrank(rows, weighting=Weighting("max-combo"))
    test = logrank(rows, weighting=Weighting("max-combo"), scores=np.arange(3.0))
    single = [logrank(rows, weighting=w, scores=np.arange(3.0)) for w in COMBINED]
    np.testing.assert_allclose(test.z, [one.z[0] for one in single], **EXACT)
    smallest = min(one.p_value for one in single)
    assert smallest < test.p_value < 4 * smallest
    assert test.statistic == pytest.approx(np.abs(test.z).max())
    assert test.df == 4


def test_max_combo_without_late_days_is_what_is_left_of_it() -> None:
    # one day with churn: survival before it is 1, and two of the four weightings have no weight
    rows = GroupRows(np.array([3, 3, 5, 3]), np.array([True, False, False, True]), np.array([0, 1, 1, 0]), 2)
    test, plain = logrank(rows, weighting=Weighting("max-combo")), logrank(rows)
    assert test.df == 2
    assert test.p_value == pytest.approx(plain.p_value, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tarone-were", r"Did you mean 'tarone-ware'\?"),
        ("fleming-harrington", r"takes two powers >= 0, such as \('fleming-harrington', 0, 1\)"),
        (("fleming-harrington", 1), "takes two powers"),
        (("fleming-harrington", -1, 0), "takes two powers"),
        (("fleming-harrington", float("nan"), 0), "takes two powers"),
        (("gehan-wilcoxon", 1, 0), "weighting must be one of"),
        (3, "weighting must be one of"),
        ((), "weighting must be one of"),
    ],
)
def test_unknown_weightings(given, said: str) -> None:
    with pytest.raises(InputError, match=said):
        weighting_of(given)
