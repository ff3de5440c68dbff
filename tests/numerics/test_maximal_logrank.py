"""Every cut equals a log-rank test of its own; the search changes with nothing that does not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from churnsurv.errors import InputError
from churnsurv.numerics import maximal_logrank
from churnsurv.numerics.cut_resampling import (
    chosen_cuts,
    cut_cells,
    fold_counts,
    held_out_sides,
    permutation_maxima,
    resampled_choices,
)
from churnsurv.numerics.logrank import logrank
from churnsurv.numerics.logrank_counts import GroupRows
from churnsurv.numerics.maximal_logrank import cut_rows, cut_steps, scan_cuts
from churnsurv.numerics.maximal_logrank_robust import MOST_CUTS, scan_cuts_robust

BOTH_SIDES = np.array([0.0, 1.0])


def world(n, rng, *, late=False, values="many", days=60):
    """Nobody before day 30 but for those who enter late; a spike on it, then ties on every day."""
    life = np.where(rng.random(n) < 0.2, 30, 30 + rng.integers(1, days, n))
    end = rng.integers(20, 30 + days, n)
    entry = rng.integers(0, 20, n) if late else None
    x = rng.normal(size=n) if values == "many" else rng.integers(0, 6, n).astype(float)
    return np.minimum(life, end), life <= end, entry, x


def by_hand(duration, churned, entry, x, frequency, cuts, **clusters):
    tests = [
        logrank(
            GroupRows(duration, churned, (x > cut).astype(int), 2, entry, weights=frequency, **clusters),
            scores=BOTH_SIDES,
        )
        for cut in cuts
    ]
    return np.array([test.z[0] for test in tests])


@pytest.fixture(params=["table", "blocks", "small blocks"])
def way(request, monkeypatch):
    """The three roads to the variance: n1_t of every cut; blocks; many blocks in many chunks."""
    if request.param != "table":
        monkeypatch.setattr(maximal_logrank, "_TABLE", 0)
    if request.param == "small blocks":
        monkeypatch.setattr(maximal_logrank, "_BLOCK", (4, 4))
        monkeypatch.setattr(maximal_logrank, "_CHUNK", 200)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("values", ["many", "few"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_every_cut_equals_a_log_rank_test(late, weighted, values):
    rng = np.random.default_rng([late, weighted])
    duration, churned, entry, x = world(150, rng, late=late, values=values)
    frequency = rng.integers(1, 4, 150).astype(float) if weighted else None
    found = scan_cuts(cut_rows(duration, churned, entry=entry, frequency=frequency), x)
    expected = by_hand(duration, churned, entry, x, frequency, found.cut)
    np.testing.assert_allclose(found.statistic, expected, rtol=1e-10, atol=1e-10)
    assert found.best == int(np.argmax(np.abs(expected)))
    assert found.cut.size == np.unique(x).size - 1


def test_times_without_ties_too():
    rng = np.random.default_rng(5)
    duration, churned, x = rng.exponential(size=120), rng.random(120) < 0.6, rng.normal(size=120)
    found = scan_cuts(cut_rows(duration, churned), x, min_share=0.1)
    np.testing.assert_allclose(
        found.statistic, by_hand(duration, churned, None, x, None, found.cut), rtol=1e-10, atol=1e-10
    )


def test_worked_by_hand():
    """Four users churn on days 1, 2, 2 and stay; x = 1, 2, 3, 4; the cut at 2.

    Day 1: 1 of 4 at risk, 2 of them below; day 2: 2 of 3 at risk, 1 below. Below: observed 2, expected 2/4 + 2/3.
    Variance: 1 (3) / (16 * 3) * 2 * 2 = 1/4, and 2 (1) / (9 * 2) * 1 * 2 = 2/9.
    """
    rows = cut_rows(np.array([1, 2, 2, 4]), np.array([True, True, True, False]))
    found = scan_cuts(rows, np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.score[1] == pytest.approx(-(2 - 7 / 6), abs=1e-12)
    assert found.variance[1] == pytest.approx(1 / 4 + 2 / 9, abs=1e-12)
    assert found.statistic[1] == pytest.approx(-(5 / 6) / np.sqrt(17 / 36), abs=1e-12)
    # the scores are 3/4, 1/12, 1/12 and -11/12: their sum is 0, their sum of squares 17/12
    permuted = scan_cuts(rows, np.array([1.0, 2.0, 3.0, 4.0]), standardise="permutation")
    assert permuted.variance[1] == pytest.approx(2 * 2 / (16 * 3) * 4 * 17 / 12, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), late=st.booleans())
def test_neither_order_nor_scale_matters(seed, late):
    rng = np.random.default_rng(seed)
    duration, churned, entry, x = world(60, rng, late=late, values="few")
    churned[0] = True
    if entry is not None:
        entry[0] = 0
    rows = cut_rows(duration, churned, entry=entry)
    found = scan_cuts(rows, x)
    order = rng.permutation(60)
    moved = cut_rows(duration[order], churned[order], entry=None if entry is None else entry[order])
    for other in (scan_cuts(moved, x[order]), scan_cuts(rows, np.exp(x) * 7 - 3)):
        np.testing.assert_allclose(other.statistic, found.statistic, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(other.n_below, found.n_below)
    turned = scan_cuts(rows, -x)
    np.testing.assert_allclose(turned.statistic[::-1], -found.statistic, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("standardise", ["log-rank", "permutation"])
@pytest.mark.parametrize("late", [False, True])
def test_a_frequency_stands_for_so_many_users(late, standardise):
    rng = np.random.default_rng(8)
    duration, churned, entry, x = world(60, rng, late=late)
    times = rng.integers(1, 4, 60)
    once = scan_cuts(
        cut_rows(duration, churned, entry=entry, frequency=times.astype(float)),
        x, min_share=0.1, standardise=standardise,
    )  # fmt: skip
    repeated = [None if part is None else np.repeat(part, times) for part in (duration, churned, entry, x)]
    twice = scan_cuts(
        cut_rows(repeated[0], repeated[1], entry=repeated[2]), repeated[3], min_share=0.1, standardise=standardise
    )
    np.testing.assert_allclose(once.statistic, twice.statistic, rtol=1e-9)
    np.testing.assert_array_equal(once.n_below, twice.n_below)


def test_cuts_leave_the_share_asked_for_on_either_side():
    rows = cut_rows(np.arange(1, 21), np.ones(20, dtype=bool))
    found = scan_cuts(rows, np.arange(20.0), min_share=0.1)
    assert (found.n_below[0], found.n_below[-1]) == (2, 18)
    assert scan_cuts(rows, np.repeat([0.0, 1.0], [19, 1]), min_share=0.1).best is None


def test_sides_that_never_meet_have_no_statistic():
    rows = cut_rows(np.array([1, 1, 5, 6]), np.ones(4, dtype=bool), entry=np.array([0, 0, 3, 3]))
    found = scan_cuts(rows, np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isnan(found.statistic).all()
    assert found.best is None


def test_no_churn_is_an_error():
    with pytest.raises(InputError, match="nobody churned"):
        cut_rows(np.array([1, 2]), np.zeros(2, dtype=bool))


@pytest.mark.parametrize("late", [False, True])
def test_correlations_are_those_of_the_hypergeometric_covariances(late):
    duration, churned, entry, x = world(150, np.random.default_rng(3), late=late, values="few")
    rows = cut_rows(duration, churned, entry=entry)
    found = scan_cuts(rows, x)
    # three groups: below both cuts, between, above; Cov(U(a), U(b)) from their covariance matrix
    for j, (a, b) in enumerate(zip(found.cut[:-1], found.cut[1:], strict=True)):
        group = (x > a).astype(int) + (x > b)
        v = logrank(GroupRows(duration, churned, group, 3, entry)).variance
        scores = np.array([[0, 1, 1], [0, 0, 1]])
        c = scores @ v @ scores.T
        assert cut_steps(rows, x, found).correlation[j] == pytest.approx(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]), rel=1e-9)


def test_skewness_is_that_of_hypergeometric_churns():
    """Against the third central moments of scipy's law, day by day; the sign is that of those above."""
    duration, churned, _, x = world(150, np.random.default_rng(3), values="few")
    rows = cut_rows(duration, churned)
    found = scan_cuts(rows, x)
    for j, cut in enumerate(found.cut):
        third = 0.0
        for day in np.unique(duration[churned]):
            n, n1 = np.count_nonzero(duration >= day), np.count_nonzero((duration >= day) & (x <= cut))
            number = np.arange(n1 + 1)
            chance = hypergeom(n, n1, np.count_nonzero(churned & (duration == day))).pmf(number)
            third += float(chance @ (number - chance @ number) ** 3)
        assert cut_steps(rows, x, found).skewness[j] == pytest.approx(-third / found.variance[j] ** 1.5, rel=1e-8)
    permuted = scan_cuts(rows, x, standardise="permutation")
    assert not cut_steps(rows, x, permuted, standardise="permutation").skewness.any()


def test_many_cuts_are_thinned_and_counted():
    duration, churned, _, x = world(500, np.random.default_rng(4))
    rows = cut_rows(duration, churned)
    found = scan_cuts(rows, x, min_share=0.1)
    for standardise in ("log-rank", "permutation"):
        steps = cut_steps(rows, x, found, standardise=standardise)
        assert steps.correlation.size < 60
        assert steps.between.sum() == found.cut.size - 1
        assert ((steps.correlation > 0.8) & (steps.correlation < 1)).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_robust_cuts_equal_robust_log_rank_tests(late, weighted):
    rng = np.random.default_rng([9, late])
    duration, churned, entry, x = world(200, rng, late=late, values="few")
    cluster = rng.integers(0, 50, 200)
    frequency = rng.integers(1, 3, 200).astype(float) if weighted else None
    rows = cut_rows(duration, churned, entry=entry, frequency=frequency)
    found, steps = scan_cuts_robust(rows, x, cluster, 50)
    expected = by_hand(duration, churned, entry, x, frequency, found.cut, cluster=cluster, n_clusters=50)
    np.testing.assert_allclose(found.statistic, expected, rtol=1e-10, atol=1e-10)
    assert steps.correlation.size == found.cut.size - 1


def test_robust_cuts_are_evenly_spaced_in_users():
    duration, churned, _, x = world(1000, np.random.default_rng(1))
    found, _ = scan_cuts_robust(cut_rows(duration, churned), x, np.arange(1000), 1000, min_share=0.1)
    assert found.cut.size == MOST_CUTS
    assert np.ptp(np.diff(found.n_below)) <= 1
    plain = scan_cuts(cut_rows(duration, churned), x, min_share=0.1)
    at = np.searchsorted(plain.cut, found.cut)
    assert np.abs(found.statistic / plain.statistic[at] - 1).max() < 0.15


class TestResampling:
    @pytest.mark.parametrize("late", [False, True])
    def test_cells_have_the_statistics_of_their_rows(self, late):
        duration, churned, entry, x = world(200, np.random.default_rng(2), late=late)
        rows = cut_rows(duration, churned, entry=entry)
        scan = scan_cuts(rows, x)
        cells = cut_cells(rows, x, scan.cut)
        np.testing.assert_allclose(cells.statistics(cells.count), scan.statistic, rtol=1e-9, atol=1e-12)

    def test_a_resample_is_the_table_with_rows_repeated(self):
        rng = np.random.default_rng(3)
        duration, churned, entry, x = world(120, rng, late=True, values="few")
        times = rng.multinomial(120, np.full(120, 1 / 120))
        rows = cut_rows(duration, churned, entry=entry)
        cuts = scan_cuts(rows, x).cut
        cells = cut_cells(rows, x, cuts)
        ours = cells.statistics(np.bincount(cells.of_row, times, cells.count.size))
        again = [np.repeat(part, times) for part in (duration, churned, entry, x)]
        theirs = by_hand(again[0], again[1], again[2], again[3], None, cuts)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)

    def test_resamples_find_a_strong_cut_again(self):
        rng = np.random.default_rng(4)
        x = rng.random(400)
        duration = 30 + np.ceil(rng.exponential(np.where(x > 0.5, 20, 100))).astype(int)
        rows = cut_rows(duration, np.ones(400, dtype=bool))
        scan = scan_cuts(rows, x, min_share=0.1)
        at = chosen_cuts(scan.cut, scan.n_below, 50, including=scan.best)
        assert scan.best in at
        cells = cut_cells(rows, x, scan.cut[at])
        chosen = scan.cut[at][resampled_choices(cells, 40, rng)]
        assert np.mean(np.abs(chosen - 0.5) < 0.1) > 0.9
        clusters = np.arange(400) // 2
        drawn = scan.cut[at][resampled_choices(cells, 40, rng, cluster=clusters, n_clusters=200)]
        assert np.mean(np.abs(drawn - 0.5) < 0.1) > 0.9

    def test_folds_hold_everybody_once_and_clusters_together(self):
        rng = np.random.default_rng(6)
        duration, churned, _, x = world(103, rng, values="few")
        rows = cut_rows(duration, churned)
        cells = cut_cells(rows, x, scan_cuts(rows, x).cut)
        dealt = fold_counts(cells, 10, rng)
        np.testing.assert_array_equal(dealt.sum(axis=1), cells.count)
        assert set(dealt.sum(axis=0)) == {10.0, 11.0}
        together = fold_counts(cells, 2, rng, cluster=np.zeros(103, dtype=int), n_clusters=1)
        assert sorted(together.sum(axis=0)) == [0.0, 103.0]
        often = fold_counts(cells, 10, rng, frequency=np.ones(103))
        np.testing.assert_array_equal(often.sum(axis=1), cells.count)

    def test_held_out_users_are_sorted_by_the_others(self):
        rng = np.random.default_rng(7)
        duration, churned, _, x = world(80, rng, values="few")
        rows = cut_rows(duration, churned)
        cuts = scan_cuts(rows, x).cut
        cells = cut_cells(rows, x, cuts)
        fold = np.arange(80) % 4
        dealt = np.stack([np.bincount(cells.of_row[fold == k], minlength=cells.count.size) for k in range(4)], axis=1)
        _, above = held_out_sides(cells, dealt.astype(float))
        expected = 0
        for k in range(4):
            rest = fold != k
            z = scan_cuts(cut_rows(duration[rest], churned[rest]), x[rest])
            expected += np.count_nonzero(x[~rest] > z.cut[z.best])
        assert above.sum() == expected

    def test_permutations_have_the_law_of_all_of_them(self):
        """Five users: all 120 permutations against drawn ones."""
        from itertools import permutations

        duration, churned, x = np.array([1, 2, 3, 4, 5]), np.array([1, 0, 1, 1, 0], dtype=bool), np.arange(5.0)
        rows = cut_rows(duration, churned)
        every = []
        for order in map(list, permutations(range(5))):
            moved = cut_rows(duration[order], churned[order])
            every.append(np.abs(scan_cuts(moved, x, standardise="permutation").statistic).max())
        drawn = permutation_maxima(rows, [x], 4000, np.random.default_rng(0), min_share=0.0)[:, 0]
        for q in (0.3, 0.5, 0.8):
            value = np.quantile(every, q) + 1e-9
            assert np.mean(drawn <= value) == pytest.approx(np.mean(np.array(every) <= value), abs=0.03)

    def test_one_permutation_serves_all_variables(self):
        duration, churned, _, x = world(100, np.random.default_rng(1))
        rows = cut_rows(duration, churned)
        found = permutation_maxima(rows, [x, 2 * x, -x], 20, np.random.default_rng(0), min_share=0.1)
        np.testing.assert_allclose(found[:, 0], found[:, 1])
        np.testing.assert_allclose(found[:, 0], found[:, 2])
