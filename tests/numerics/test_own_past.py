"""Amounts against the own past: the formula by hand, the floor, the number of amounts, and its size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from churnsurv.numerics.own_past import own_past


def test_the_formula_by_hand() -> None:
    # Logarithms -2, -1, 0, 1, 2: median 0, MAD 1; two later ones, 5 and 0.
    found = own_past(np.zeros(5, int), np.exp([-2, -1, 0, 1, 2.0]), np.zeros(2, int), np.exp([0.0, 5.0]))
    statistic = 5 / (1.4826 * np.sqrt(1 + np.pi / 10))
    assert found.place.tolist() == [1]
    assert found.usual == pytest.approx([1.0])
    assert found.statistic == pytest.approx([statistic], abs=1e-12)
    assert found.p_value == pytest.approx([2 * 2 * t.sf(statistic, 4)], abs=1e-12)


def test_a_user_who_never_varies_has_the_scale_of_the_others() -> None:
    past = np.concatenate([np.full(5, 100.0), np.exp([-2, -1, 0, 1, 2.0]), np.exp([-4, -2, 0, 2, 4.0])])
    who = np.repeat([0, 1, 2], 5)
    found = own_past(who, past, np.array([0, 1, 2]), np.array([100 * np.e, np.e, np.e]))
    wide = np.sqrt(1 + np.pi / 10) * 1.4826
    assert found.statistic == pytest.approx([1 / wide, 1 / wide, 1 / (2 * wide)])  # median scale 1.4826: the floor
    alone = own_past(np.zeros(5, int), np.full(5, 7.0), np.array([0]), np.array([7.0]))
    assert alone.p_value.tolist() == [1.0]


def test_who_is_not_judged() -> None:
    past = np.array([1.0, 2, 3, 4, 0, 5, 6, 7, 8, 9])
    who = np.array([0] * 5 + [1] * 5)
    found = own_past(who, past, np.array([0, 1, 2, 1]), np.array([5.0, 6.0, 7.0, 0.0]))
    assert found.user.tolist() == [1]  # 0 has four amounts above 0, 2 has none before
    assert found.place.tolist() == [1]
    empty = own_past(np.zeros(0, int), np.zeros(0), np.array([1]), np.array([2.0]))
    assert empty.user.size == 0


def test_the_size_is_at_most_the_one_stated() -> None:
    rng = np.random.default_rng(5)
    n, k = 4_000, 3
    before, after = rng.integers(5, 15, n), np.full(n, k)
    amounts = np.exp(9 + 0.6 * rng.standard_normal(before.sum()))
    later = np.exp(9 + 0.6 * rng.standard_normal(n * k))
    found = own_past(np.repeat(np.arange(n), before), amounts, np.repeat(np.arange(n), after), later)
    assert found.user.size == n
    for level in (0.05, 0.01):
        assert (found.p_value <= level).mean() <= level
