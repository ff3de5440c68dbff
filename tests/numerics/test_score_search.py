"""The search of a cut against trying every cut, one after the other."""

import numpy as np
import pytest

from churnsurv.numerics.precision_bound import lower_bounds
from churnsurv.numerics.score_search import (
    BlockCells,
    block_totals,
    crossings,
    cut_bounds,
    first_above,
    plainest,
    sweep,
)


def world(seed, *, ties, n_patterns=7, n_days=5, n_blocks=4):
    rng = np.random.default_rng(seed)
    scores = rng.random((n_patterns, n_days))
    if ties:
        scores = np.round(scores, 1)
    pattern, block = (each.ravel() for each in np.meshgrid(np.arange(n_patterns), np.arange(n_blocks), indexing="ij"))
    some = rng.random(pattern.size) < 0.7
    pattern, block = pattern[some], block[some]
    churned = np.repeat(rng.integers(0, 4, (pattern.size, 1)), n_days, axis=1).astype(float)
    alerts = churned + np.sort(rng.integers(0, 5, (pattern.size, n_days)), axis=1)[:, ::-1]
    # a higher tier takes some patterns over on a day
    until = rng.integers(1, n_days + 2, n_patterns)[pattern]
    there = np.arange(n_days) < until[:, None]
    return scores, BlockCells(pattern, block, alerts * there, churned * there, n_blocks)


def every_cut(scores):
    """Cuts from nobody down to everybody, each between two different scores or on the lower of them."""
    values = np.unique(scores)[::-1]
    return [values[0], *((values[1:] + values[:-1]) / 2), values[-1] - 1, *values]


def under(scores, cells, values, cut):
    """Totals by block of a cut, gap by gap."""
    day = first_above(scores, cut)[cells.pattern]
    padded = np.column_stack([values, np.zeros(len(values))])
    return np.bincount(cells.block, padded[np.arange(day.size), day], cells.n_blocks)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_all_cuts_at_once_equal_each_cut_alone(seed, ties):
    scores, cells = world(seed, ties=ties)
    found = crossings(scores)
    worth = cells.churned * np.array([5.0, 4.0, 3.0, 1.0, 0.5]) - cells.alerts
    weight = [BlockCells(cells.pattern, cells.block, worth, cells.churned, cells.n_blocks), cells]
    totals = [sweep(found, each.by_pattern(len(scores))[0]) for each in weight]
    bounds = cut_bounds(found, cells, level=0.9)
    everywhere = np.arange(found.cuts.size + 1)
    by_block = block_totals(found, cells, [cells.alerts, worth], everywhere)
    seen = set()
    for cut in every_cut(scores):
        k = int(np.count_nonzero(found.cuts > cut))
        seen.add(k)
        alerts, hits = under(scores, cells, cells.alerts, cut), under(scores, cells, cells.churned, cut)
        value = under(scores, cells, worth, cut)
        assert totals[0][k] == pytest.approx(value.sum(), abs=1e-9)
        assert totals[1][k] == alerts.sum()
        assert bounds[k] == pytest.approx(lower_bounds(hits[:, None], alerts[:, None], level=0.9)[0], abs=1e-10)
        np.testing.assert_allclose(by_block[0][:, k], alerts)
        np.testing.assert_allclose(by_block[1][:, k], value, atol=1e-9)
    assert seen == set(everywhere.tolist())


def test_some_cuts_are_columns_of_all_cuts():
    scores, cells = world(3, ties=False)
    found = crossings(scores)
    everything = block_totals(found, cells, [cells.alerts], np.arange(found.cuts.size + 1))[0]
    some = np.array([0, 2, 3, 7])
    np.testing.assert_array_equal(block_totals(found, cells, [cells.alerts], some)[0], everything[:, some])


def test_a_score_that_falls_warns_on_its_first_day_or_never():
    scores = np.array([[3.0, 2.0, 1.0]])
    found = crossings(scores)
    assert found.cuts.tolist() == [3.0]
    assert sweep(found, np.array([[7.0, 8.0, 9.0]])).tolist() == [0.0, 7.0]


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
