"""Uno's C against all pairs with their weights, and its derivative in the weight of each row."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.censoring import Drawn, followed
from churnsurv.numerics.concordance import concordance
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.uno import uno

from .jackknife import Rows, derivatives, table


def found(of: Rows, score, weights=None, until=10, **keywords):
    rows = followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights, **keywords))
    return uno(risk_sets(of.duration, of.churned & (of.duration <= until), entry=of.entry), score, rows)


def by_pairs(of: Rows, score, weights, until=10):
    rows = followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights))
    entry = np.full(of.duration.size, -1) if of.entry is None else of.entry
    sums = np.zeros(2)
    for i in np.flatnonzero(of.churned & (of.duration <= until) & (entry < of.duration)):
        t = of.duration[i]
        others = (entry < t) & ((of.duration > t) | ((of.duration == t) & ~of.churned))
        w = weights[i] * weights[others] * rows.at(t).weight[i] ** 2
        sums += w @ ((score[i] > score[others]) + (score[i] == score[others]) / 2), w.sum()
    return sums[0] / sums[1]


def test_by_hand() -> None:
    # one of two left is censored on day 3, of three on day 2: K is 1 until then, then 2/3, then 1/3
    duration, churned = np.array([1, 2, 3, 4, 5]), np.array([True, False, False, True, False])
    of = Rows(duration, churned, None, np.ones(5))
    # day 1: higher than two of four, equal to one; day 4: K = 3/4 * 2/3, so that its lost pair counts four times
    got = found(of, np.array([3, 1, 3, 2, 4]))
    assert (got.concordant, got.tied_score) == (2, 1)
    np.testing.assert_allclose([got.discordant, got.estimate], [1 + 4, 2.5 / 8], rtol=1e-14)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_all_pairs_and_the_influence_is_the_derivative(seed: int, late: bool) -> None:
    of = table(seed, late=late)
    score = np.random.default_rng(seed).integers(0, 6, of.duration.size)
    got = found(of, score, of.weights)
    np.testing.assert_allclose(got.estimate, by_pairs(of, score, of.weights), rtol=1e-12)
    expected = derivatives(lambda w: found(of, score, w).estimate, of.weights)
    np.testing.assert_allclose(got.influence, expected, atol=1e-8)


def test_without_censoring_it_is_harrells() -> None:
    of = table(7)._replace(churned=np.ones(40, dtype=bool))
    score = np.random.default_rng(0).integers(0, 6, 40)
    harrell = concordance(risk_sets(of.duration, of.churned), score)
    got = found(of, score, until=99)
    np.testing.assert_allclose([got.estimate, got.std_error], [harrell.estimate, harrell.std_error], rtol=1e-12)
    assert (got.concordant, got.discordant) == (harrell.concordant, harrell.discordant)


def test_frequencies_are_repeated_rows() -> None:
    of = table(9, late=True)
    times = np.random.default_rng(1).integers(1, 4, of.duration.size)
    again = np.repeat(np.arange(times.size), times)
    score = np.random.default_rng(2).integers(0, 6, times.size)
    assert of.entry is not None
    many = found(Rows(of.duration[again], of.churned[again], of.entry[again], np.ones(again.size)), score[again])
    few = found(of, score, times.astype(float), frequency=True)
    np.testing.assert_allclose([few.estimate, few.std_error], [many.estimate, many.std_error], rtol=1e-12)


def test_a_gap_before_a_churn_is_refused() -> None:
    of = Rows(
        np.array([3, 5, 5, 12, 14]), np.array([True, False, False, True, True]), np.array([0, 0, 1, 9, 9]), np.ones(5)
    )
    with pytest.raises(InputError, match="by day 5 had left"):
        found(of, np.arange(5), until=99)
    assert found(of, np.arange(5), until=5).estimate == 0


def test_it_does_not_depend_on_who_is_censored_when() -> None:
    rng = np.random.default_rng(8)
    n = 20_000
    x = rng.normal(size=n)
    # the score says much early and nothing later, so that censoring moves Harrell's C
    early = rng.exponential(30 * np.exp(-1.5 * x))
    life = np.ceil(np.where(early < 15, early, 15 + rng.exponential(30, n))).astype(int)
    everybody = concordance(risk_sets(life, life <= 50), x)
    end = np.minimum(rng.integers(1, 60, n), 51)
    of = Rows(np.minimum(life, end), life <= end, None, np.ones(n))
    got = found(of, x, until=50)
    harrell = concordance(risk_sets(of.duration, of.churned & (of.duration <= 50)), x)
    assert abs(got.estimate - everybody.estimate) < 4 * got.std_error
    assert abs(harrell.estimate - everybody.estimate) > 4 * harrell.std_error
