"""The search of a cut against trying every cut, one after the other."""

import numpy as np
import pytest

from churnsurv.numerics.precision_bound import lower_bounds
from churnsurv.numerics.score_search import (
    BlockCells,
    Gain,
    block_totals,
    crossings,
    cut_bounds,
    cut_totals,
    first_days,
    listed,
    plainest,
)

WORTH = Gain(np.full(5, -1.0), np.array([5.0, 4.0, 3.0, 1.0, 0.5]))
ALERTS = Gain(np.ones(5), np.zeros(5))


def world(seed, *, ties, n_patterns=7, n_days=5, n_blocks=4):
    rng = np.random.default_rng(seed)
    scores = rng.random((n_patterns, n_days))
    if ties:
        scores = np.round(scores, 1)
    n = 60
    cells = BlockCells(
        rng.integers(0, n_patterns, n),
        rng.integers(0, n_blocks, n),
        rng.integers(0, n_days + 1, n),  # also those who return at once, or whom a higher tier warns
        rng.random(n) < 0.4,
        rng.integers(1, 5, n).astype(float),
        n_blocks,
    )
    return scores, cells


def every_cut(scores):
    """Cuts from nobody down to everybody, each between two different scores or on the lower of them."""
    values = np.unique(scores)[::-1]
    return [values[0], *((values[1:] + values[:-1]) / 2), values[-1] - 1, *values]


def first_above(scores, cut):
    above = scores > cut
    return np.where(above.any(axis=1), above.argmax(axis=1), scores.shape[1])


def under(scores, cells, gain, cut):
    """Totals by block of a cut, gap by gap."""
    total = np.zeros(cells.n_blocks)
    for pattern, block, silent, churned, n in zip(
        cells.pattern, cells.block, cells.silent, cells.churned, cells.n, strict=True
    ):
        day = first_above(scores[[pattern]], cut)[0]
        if day < silent:
            total[block] += n * (gain.alert[day] + churned * gain.churned[day])
    return total


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_all_cuts_at_once_equal_each_cut_alone(seed, ties):
    scores, cells = world(seed, ties=ties)
    found = crossings(scores)
    totals = cut_totals(found, cells, [WORTH, ALERTS])
    bounds = cut_bounds(found, cells, level=0.9)
    everywhere = np.arange(found.cuts.size + 1)
    by_block = block_totals(found, cells, [ALERTS, WORTH], everywhere)
    seen = set()
    for cut in every_cut(scores):
        k = int(np.count_nonzero(found.cuts > cut))
        seen.add(k)
        alerts, value = under(scores, cells, ALERTS, cut), under(scores, cells, WORTH, cut)
        hits = under(scores, cells, Gain(np.zeros(5), np.ones(5)), cut)
        assert first_days(found, cut).tolist() == first_above(scores, cut).tolist()
        assert totals[0][k] == pytest.approx(value.sum(), abs=1e-9)
        assert totals[1][k] == alerts.sum()
        assert bounds[k] == pytest.approx(lower_bounds(hits[:, None], alerts[:, None], level=0.9)[0], abs=1e-10)
        np.testing.assert_allclose(by_block[0][:, k], alerts)
        np.testing.assert_allclose(by_block[1][:, k], value, atol=1e-9)
    assert seen == set(everywhere.tolist())


@pytest.mark.parametrize("seed", range(6))
def test_a_list_of_records_is_the_table_that_it_comes_from(seed):
    """Patterns without a score are those that are below every cut."""
    scores, cells = world(seed, ties=True)
    scores[seed % 7] = -1.0
    whole = crossings(scores)
    kept = whole.pattern != seed % 7
    values = whole.cuts[whole.place][kept]
    found = listed(whole.pattern[kept], whole.day[kept], values, n_patterns=7, n_days=5)
    assert found.cuts.tolist() == whole.cuts[:-1].tolist()
    for ours, theirs in zip(*(cut_totals(each, cells, [WORTH, ALERTS]) for each in (found, whole)), strict=True):
        np.testing.assert_allclose(ours, theirs[:-1], atol=1e-9)
    np.testing.assert_array_equal(cut_bounds(found, cells, level=0.9), cut_bounds(whole, cells, level=0.9)[:-1])
    for cut in [*found.cuts, found.cuts[-1] - 0.05]:
        assert first_days(found, cut).tolist() == first_days(whole, cut).tolist()


def test_some_cuts_are_columns_of_all_cuts():
    scores, cells = world(3, ties=False)
    found = crossings(scores)
    everything = block_totals(found, cells, [ALERTS], np.arange(found.cuts.size + 1))[0]
    some = np.array([0, 2, 3, 7])
    np.testing.assert_array_equal(block_totals(found, cells, [ALERTS], some)[0], everything[:, some])


def test_a_score_that_falls_warns_on_its_first_day_or_never():
    found = crossings(np.array([[3.0, 2.0, 1.0]]))
    assert found.cuts.tolist() == [3.0]
    one = BlockCells(np.array([0]), np.array([0]), np.array([3]), np.array([True]), np.array([7.0]), 1)
    worth = Gain(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    assert cut_totals(found, one, [worth])[0].tolist() == [0.0, 7.0]


def test_gaps_that_nobody_can_be_warned_in_count_for_nothing():
    found = crossings(np.array([[3.0, 2.0, 1.0]]))
    none = BlockCells(np.array([0]), np.array([0]), np.array([0]), np.array([True]), np.array([7.0]), 1)
    assert cut_totals(found, none, [ALERTS])[0].tolist() == [0.0, 0.0]
    assert cut_bounds(found, none, level=0.9).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(20))
def test_the_plainest_number_stands_for_an_allowed_cut(seed):
    rng = np.random.default_rng(seed)
    found = crossings(rng.normal(size=(30, 4)) * 10.0 ** rng.integers(-3, 4))
    merit = np.append(0.0, rng.random(found.cuts.size))
    best = int(merit.argmax())
    exact = plainest(found, merit, np.arange(merit.size) == best, best, least=-np.inf)
    assert np.count_nonzero(found.cuts > exact) == best
    loose = plainest(found, merit, merit >= 0.9 * merit[best], best, least=-np.inf)
    assert merit[np.count_nonzero(found.cuts > loose)] >= 0.9 * merit[best]
    assert len(f"{loose:.12g}") <= len(f"{exact:.12g}") + 1
