"""Weights for rows that were not seen to the end: by hand, by Kaplan-Meier's estimate, and their derivative."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from churnsurv.errors import FollowUpError, InputError
from churnsurv.numerics.censoring import Drawn, followed, weighted_mean
from churnsurv.numerics.cluster import clustered_std_error
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.kaplan_meier import kaplan_meier
from churnsurv.numerics.weighted_counts import weighted_steps

from .jackknife import Rows, derivatives, table


def rows_of(of: Rows, weights: np.ndarray | None = None, **keywords):
    return followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights, **keywords))


def test_ten_rows_by_hand() -> None:
    # censored on day 2: one of the 8 left after its churn; on day 4: one of the 5 left after that day's churn
    duration = np.array([1, 2, 2, 3, 4, 4, 5, 6, 6, 6])
    churned = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 0], dtype=bool)
    rows = followed(duration, churned)
    K = {day: Fraction(1) for day in (1, 2)} | {day: Fraction(7, 8) for day in (3, 4)}
    K |= {day: Fraction(7, 8) * Fraction(4, 5) for day in (5, 6)}
    np.testing.assert_allclose(rows.K[:-1], [float(K[day]) for day in range(1, 7)], rtol=1e-15)
    seen = rows.at(6)
    expected = [1 / K[1], 1 / K[2], 0, 1 / K[3], 1 / K[4], 0, 1 / K[5], 1 / K[6], 1 / K[6], 1 / K[6]]
    np.testing.assert_allclose(seen.weight, [float(w) for w in expected], rtol=1e-14)
    assert sum(expected) == 10
    # on day 4 the row censored on it is known to have survived it
    np.testing.assert_allclose(rows.at(4).weight, [1, 1, 0, *[8 / 7] * 7], rtol=1e-14)
    # after it and before day 5 it is not
    np.testing.assert_allclose(rows.at(4.5).weight, [1, 1, 0, 8 / 7, 8 / 7, 0, *[10 / 7] * 4], rtol=1e-14)


def test_late_entry_by_hand() -> None:
    # three from the first; one enters on day 2 beside the two then left: who churned on day 1 was seen with 2/3
    duration, churned = np.array([1, 4, 5, 6]), np.array([True, True, False, True])
    rows = followed(duration, churned, entry=np.array([0, 0, 0, 2]))
    first = rows.at(1)
    # on day 1 all who were there are known; the one that is not there yet is not
    assert first.weight.tolist() == [1, 1, 1, 0]
    found = rows.at(4).weight
    np.testing.assert_allclose(found / found.sum(), [3 / 9, 2 / 9, 2 / 9, 2 / 9], rtol=1e-14)


def test_everybody_censored_on_one_last_day() -> None:
    duration, churned = np.array([5, 7, 9, 9, 9]), np.array([True, True, True, False, False])
    rows = followed(duration, churned)
    assert rows.at(9).weight.tolist() == [1.0] * 5
    with pytest.raises(FollowUpError, match="last day is 9"):
        rows.at(9.5)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_weighted_share_is_kaplan_meiers_and_its_error_greenwoods(seed: int, late: bool) -> None:
    of = table(seed, late=late)
    counts = day_counts(of.duration, of.churned, entry=of.entry)
    plain = kaplan_meier(counts)
    weighted = kaplan_meier(weighted_steps(counts, of.duration, of.churned, of.weights, entry=of.entry))
    for weights, curve in ((None, plain), (of.weights, weighted)):
        rows = rows_of(of, weights)
        for day in (0.5, 3, 7, 8.25):
            seen = rows.at(day)
            found = weighted_mean(rows, seen, 1.0 - seen.churned)
            at = int(np.searchsorted(curve.time, day, side="right")) - 1
            np.testing.assert_allclose(found.estimate, curve.survival[at] if at >= 0 else 1.0, rtol=1e-12)
            if weights is None and at >= 0:
                # with late entry Greenwood's sum and the jackknife differ in the second digit of such few rows
                own = np.arange(of.duration.size)
                jackknife = clustered_std_error(counts, of.duration, of.churned, own, entry=of.entry)
                error = rows.drawn.std_error(found.influence)
                np.testing.assert_allclose(error, (jackknife if late else curve.std_error)[at], rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("day", [3, 7, 9.5])
def test_the_influence_is_the_derivative(day: float, late: bool) -> None:
    of = table(11, late=late)
    x = np.random.default_rng(1).random(of.duration.size)

    def mean(weights: np.ndarray):
        rows = rows_of(of, weights)
        seen = rows.at(day)
        return weighted_mean(rows, seen, x * (1.0 - seen.churned))

    expected = derivatives(lambda w: mean(w).estimate, of.weights)
    np.testing.assert_allclose(mean(of.weights).influence, expected, atol=1e-8)
    ones = derivatives(lambda w: mean(w).estimate, np.ones(x.size))
    rows = rows_of(of)
    seen = rows.at(day)
    known = seen.weight.copy()
    np.testing.assert_allclose(weighted_mean(rows, seen, x * (1.0 - seen.churned)).influence, ones, atol=1e-8)
    assert (seen.weight == known).all()  # asking changes nothing


def test_frequencies_are_repeated_rows_and_clusters_are_sums() -> None:
    of = table(5, late=True)
    times = np.random.default_rng(2).integers(1, 4, of.duration.size)
    again = np.repeat(np.arange(times.size), times)
    assert of.entry is not None
    many = followed(of.duration[again], of.churned[again], entry=of.entry[again])
    few = rows_of(of, times.astype(float), frequency=True)
    x = np.random.default_rng(3).random(times.size)
    one, other = weighted_mean(few, few.at(7), x), weighted_mean(many, many.at(7), x[again])
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-13)
    np.testing.assert_allclose(few.drawn.std_error(one.influence), many.drawn.std_error(other.influence), rtol=1e-12)
    code = np.arange(times.size) % 7
    clustered = Drawn(times.astype(float), True, code, 7), Drawn(None, False, code[again], 7)
    errors = [drawn.std_error(mean.influence) for drawn, mean in zip(clustered, (one, other), strict=True)]
    np.testing.assert_allclose(*errors, rtol=1e-12)


def test_a_different_order_of_rows() -> None:
    of = table(8, late=True)
    rows, order = rows_of(of, of.weights), np.random.default_rng(0).permutation(of.duration.size)
    turned = rows.take(order)
    assert (turned.at(7).weight == rows.at(7).weight[order]).all()
    one, other = (weighted_mean(r, s, s.churned * 1.0) for r, s in ((rows, rows.at(7)), (turned, turned.at(7))))
    np.testing.assert_allclose(one.influence[order], other.influence, atol=1e-15)


def test_one_entry_for_all_is_a_new_beginning() -> None:
    of = table(4)
    plain, shifted = rows_of(of), followed(of.duration + 60, of.churned, entry=np.full(of.duration.size, 60))
    assert shifted.start is None
    assert (plain.at(7).weight == shifted.at(67).weight).all()


def test_a_gap_is_named_and_only_matters_after_it() -> None:
    duration, churned = np.array([3, 5, 5, 12, 14]), np.array([True, False, False, True, True])
    rows = followed(duration, churned, entry=np.array([0, 0, 1, 9, 9]))
    # on the scale of the two that were there from the first
    assert rows.at(5).weight.sum() == pytest.approx(2)
    with pytest.raises(InputError, match="by day 5 had left it by then"):
        rows.at(12)


def test_nobody_at_risk_is_an_error_and_before_the_first_entry_nothing_is_known() -> None:
    with pytest.raises(InputError, match="nobody is at risk"):
        followed(np.array([3, 4]), np.array([True, False]), entry=np.array([3, 4]))
    rows = followed(np.array([8, 9, 12]), np.array([True, True, False]), entry=np.array([4, 5, 9]))
    seen = rows.at(3)
    with pytest.raises(InputError, match="nobody was in the log before day 3"):
        weighted_mean(rows, seen, np.ones(3))


def test_weights_undo_censoring_that_has_nothing_to_do_with_churn() -> None:
    rng = np.random.default_rng(6)
    n = 40_000
    x = rng.random(n)
    life = np.ceil(rng.exponential(40 / (0.2 + x)))
    end = rng.integers(1, 80, n)
    rows = followed(np.minimum(life, end).astype(int), life <= end)
    seen = rows.at(60)
    truth = x[life > 60].sum() / n
    found = weighted_mean(rows, seen, x * (1.0 - seen.churned))
    assert abs(found.estimate - truth) < 4 * rows.drawn.std_error(found.influence)
    naive = (x * (np.minimum(life, end) > 60)).mean()
    assert abs(naive - truth) > 10 * rows.drawn.std_error(found.influence)
