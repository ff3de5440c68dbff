"""Time-dependent AUC against comparing all pairs, by hand, and its derivative in the weight of each row."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.auc import auc
from churnsurv.numerics.censoring import Drawn, followed

from .jackknife import derivatives, table

DAYS = np.array([3, 5, 8])


def by_pairs(rows, day, score):
    seen = rows.at(day)
    w = rows.drawn.times(seen.weight)
    case, control = w * seen.churned, w * ~seen.churned
    wins = (score[:, None] > score) + (score[:, None] == score) / 2
    return case @ wins @ control / (case.sum() * control.sum())


def test_ten_rows_by_hand() -> None:
    duration = np.array([1, 2, 2, 3, 4, 4, 5, 6, 6, 6])
    churned = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 0], dtype=bool)
    score = np.array([9, 7, 1, 4, 4, 4, 2, 5, 3, 1])
    found = auc(followed(duration, churned), np.array([4]), score)
    # churned 9, 7 (weight 1), 4, 4 (8/7); the others 4, 2, 5, 3, 1: 9 and 7 beat 5, each 4 beats 3 and half of 4
    np.testing.assert_allclose(found.estimate, [(2 * 5 + 8 / 7 * 2 * 3.5) / ((2 + 16 / 7) * 5)], rtol=1e-14)
    assert (found.n_churned.tolist(), found.n_left.tolist()) == ([4], [5])
    np.testing.assert_allclose(found.mean, found.estimate[0], rtol=1e-14)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("distinct", [3, 1000])
def test_equals_all_pairs_and_the_influence_is_the_derivative(late: bool, distinct: int) -> None:
    of = table(31, late=late)
    rng = np.random.default_rng(distinct)
    score, by_day = rng.integers(0, distinct, of.duration.size), rng.random((of.duration.size, 3))

    def rows(weights):
        return followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights))

    def figures(weights):
        one, other = auc(rows(weights), DAYS, score), auc(rows(weights), DAYS, lambda j: by_day[:, j])
        return np.array([*one.estimate, one.mean, *other.estimate, other.mean])

    slopes = derivatives(figures, of.weights)
    expected = np.sqrt(np.square(slopes * of.weights[:, None]).sum(axis=0))
    one, other = auc(rows(of.weights), DAYS, score), auc(rows(of.weights), DAYS, lambda j: by_day[:, j])
    np.testing.assert_allclose(one.estimate, [by_pairs(rows(of.weights), day, score) for day in DAYS], rtol=1e-12)
    ours = [*one.std_error, one.mean_std_error, *other.std_error, other.mean_std_error]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_score_that_says_nothing_and_one_turned_round() -> None:
    of = table(2)
    rows = followed(of.duration, of.churned)
    nothing = auc(rows, DAYS, np.zeros(of.duration.size))
    assert nothing.estimate.tolist() == [0.5] * 3
    assert nothing.std_error.tolist() == [0.0] * 3
    score = np.random.default_rng(1).integers(0, 9, of.duration.size)
    np.testing.assert_allclose(auc(rows, DAYS, score).estimate + auc(rows, DAYS, -score).estimate, 1, rtol=1e-13)
    order = np.random.default_rng(2).permutation(score.size)
    turned = auc(followed(of.duration[order], of.churned[order]), DAYS, score[order])
    np.testing.assert_allclose(turned.estimate, auc(rows, DAYS, score).estimate, rtol=1e-13)
    np.testing.assert_allclose(turned.std_error, auc(rows, DAYS, score).std_error, rtol=1e-12)


def test_the_mean_gives_each_day_the_churn_since_the_day_before() -> None:
    of = table(12)
    found = auc(followed(of.duration, of.churned), DAYS, np.arange(of.duration.size) % 7)
    steps = np.diff(found.churned_share, prepend=0)
    np.testing.assert_allclose(found.mean, steps @ found.estimate / found.churned_share[-1], rtol=1e-13)


def test_nobody_churned_or_nobody_left_has_no_area() -> None:
    rows = followed(np.array([4, 5, 6, 6]), np.array([True, True, True, True]))
    found = auc(rows, np.array([2, 5, 6]), np.arange(4))
    assert np.isnan(found.estimate).tolist() == [True, False, True]
    assert found.mean == found.estimate[1]
    assert np.isnan(auc(rows, np.array([2]), np.arange(4)).mean)


def test_all_censored_on_the_last_day() -> None:
    rows = followed(np.array([4, 5, 6, 6]), np.array([True, True, False, False]))
    assert auc(rows, np.array([6]), np.array([3, 1, 2, 0])).estimate.tolist() == [0.75]
