"""Allocations under a budget against all of them, and cost curves against targeting curves."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.numerics.allocation import allocation, allocation_curve, stacked_covariance
from churnsurv.numerics.rank_effects import curve_effects, ranking


def best(expected, cost, budget):
    """The most that any choice of one contact or none for each user is expected to bring within the budget."""
    n, k = expected.shape
    s, c = np.column_stack([np.zeros(n), expected]), np.column_stack([np.zeros(n), cost])
    rows = np.arange(n)
    choices = (np.array(each) for each in product(range(k + 1), repeat=n))
    return max(s[rows, each].sum() for each in choices if c[rows, each].sum() <= budget + 1e-9)


@given(st.lists(st.tuples(*[st.integers(-2, 6)] * 2, *[st.integers(1, 4)] * 2), min_size=1, max_size=4))
def test_no_choice_beats_the_allocation_where_it_splits_nobody_and_none_by_more_than_one_user(rows):
    table = np.array(rows, dtype=float)
    expected, cost = table[:, :2], table[:, 2:]
    steps = allocation(expected, cost)
    n = len(rows)
    ends = np.append(0.0, np.cumsum(np.bincount(steps.block, steps.cost)))
    found = allocation_curve(steps, expected, ends / n)
    for budget, gain in zip(ends, found.gain * n, strict=True):
        assert gain == pytest.approx(best(expected, cost, budget), abs=1e-9)
    between = (ends[:-1] + ends[1:]) / 2
    within = allocation_curve(steps, expected, between / n).gain * n
    for budget, gain in zip(between, within, strict=True):
        assert best(expected, cost, budget) - 1e-9 <= gain <= best(expected, cost, budget) + max(expected.max(), 0)


def test_one_contact_of_one_price_is_the_gain_curve():
    rng = np.random.default_rng(1)
    n = 500
    score, value = rng.integers(1, 60, n).astype(float), rng.normal(size=n)
    at = np.array([0.1, 0.35, 0.8])
    steps = allocation(score[:, None], np.full((n, 1), 3.0))
    found = allocation_curve(steps, value[:, None], 3 * at)
    curve = curve_effects(value, ranking(score), at)
    np.testing.assert_allclose(found.gain, curve.effect * at, atol=1e-12)
    np.testing.assert_allclose(found.share.ravel(), at, atol=1e-12)
    np.testing.assert_allclose(stacked_covariance([found], n), curve.effect_covariance * np.outer(at, at), atol=1e-12)


def test_three_users_by_hand():
    """Slopes: user 0: 4 (1 for 4), then 1 (2 more for 2); user 1: 2 (2 for 4); user 2 never."""
    expected = np.array([[4.0, 6.0], [1.0, 4.0], [-1.0, 0.0]])
    cost = np.array([[1.0, 3.0], [1.0, 2.0], [1.0, 2.0]])
    value = np.array([[10.0, 20.0], [30.0, 50.0], [7.0, 9.0]])
    found = allocation_curve(allocation(expected, cost), value, np.array([0.5, 1.0, 2.0, 3.0, 5.0, 9.0]) / 3)
    np.testing.assert_allclose(3 * found.gain, [5, 10, 10 + 25, 10 + 50, 20 + 50, 70], atol=1e-12)
    np.testing.assert_allclose(3 * found.spent, [0.5, 1, 2, 3, 5, 5], atol=1e-12)
    np.testing.assert_allclose(3 * found.share, [[0.5, 0], [1, 0], [1, 0.5], [1, 1], [0, 2], [0, 2]], atol=1e-12)
    assert found.slope[-1] == 0


def test_what_costs_nothing_comes_with_any_budget_and_equal_slopes_are_shared():
    steps = allocation(np.array([[5.0, 6.0], [2.0, 4.0]]), np.array([[0.0, 2.0], [1.0, 2.0]]))
    found = allocation_curve(steps, np.array([[5.0, 6.0], [2.0, 4.0]]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(2 * found.gain, [5, 7, 9], atol=1e-12)
    # of two contacts that bring 2 for 1 and 4 for 2, the whole is one step
    assert (steps.row == 1).sum() == 1


def test_nobody_worth_a_contact():
    found = allocation_curve(allocation(-np.ones((4, 2)), np.ones((4, 2))), np.ones((4, 2)), np.array([0.5, 1.0]))
    assert found.gain.tolist() == [0.0, 0.0]
    assert found.spent.tolist() == [0.0, 0.0]
    assert stacked_covariance([found], 4).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_clusters_are_summed_and_curves_are_paired():
    rng = np.random.default_rng(3)
    n = 90
    expected, value, cost = rng.random((n, 2)), rng.normal(size=(n, 2)), np.tile([1.0, 2.0], (n, 1))
    at = np.array([0.2, 0.6])
    both = [
        allocation_curve(allocation(expected, cost), value, at),
        allocation_curve(allocation(expected[:, :1], cost[:, :1]), value[:, :1], at),
    ]
    psi = np.column_stack([each.influence(slice(0, n)) for each in both])
    np.testing.assert_allclose(psi.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(stacked_covariance(both, n), psi.T @ psi / n**2, atol=1e-14)
    terms = rng.normal(size=(n, 2))
    rest = psi - terms @ np.linalg.lstsq(terms, psi, rcond=None)[0]
    np.testing.assert_allclose(stacked_covariance(both, n, terms=terms), rest.T @ rest / n**2, atol=1e-14)
    by_cluster = rest.reshape(n // 3, 3, 4).sum(axis=1)
    found = stacked_covariance(both, n, np.arange(n) // 3, terms=terms)
    np.testing.assert_allclose(found, by_cluster.T @ by_cluster / n**2, atol=1e-14)
    summed = psi.reshape(n // 3, 3, 4).sum(axis=1)
    found = stacked_covariance(both, n, np.arange(n) // 3)
    np.testing.assert_allclose(found, summed.T @ summed / n**2, atol=1e-14)
