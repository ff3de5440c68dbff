"""Shares of categories: the closed form of one group, order of groups, and coverage where groups differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import beta

from churnsurv.numerics.category_shares import category_shares


def test_one_group_has_a_mixture_of_beta_laws() -> None:
    # Only the count that is spread evenly is there to borrow: for strength m it is worth 1 / (1 + 1 / m), half each.
    found = category_shares(np.array([[7, 3]]), np.array([0]), level=0.9)
    half = 0.5 / (1 + 1 / np.logspace(0, 4, 9))
    weight = np.exp(betaln(7 + half, 3 + half) - betaln(half, half))
    weight /= weight.sum()
    assert found.share[0, 0] == pytest.approx((weight * (7 + half) / (10 + 2 * half)).sum(), abs=1e-12)
    for limit, at in ((found.lower[0, 0], 0.05), (found.upper[0, 0], 0.95)):
        assert (weight * beta(7 + half, 3 + half).cdf(limit)).sum() == pytest.approx(at, abs=1e-8)
    assert found.worth[0] == pytest.approx((weight * 2 * half).sum())


def test_order_of_groups_and_of_categories_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    counts, parent = rng.poisson(8, (6, 3)), np.array([0, 0, 1, 1, 2, 2])
    found = category_shares(counts, parent, level=0.95)
    order, turned = np.array([3, 5, 0, 2, 1, 4]), np.array([2, 0, 1])
    again = category_shares(counts[order][:, turned], (2 - parent)[order], level=0.95)
    for name in ("share", "lower", "upper"):
        assert getattr(again, name) == pytest.approx(getattr(found, name)[order][:, turned], abs=1e-9)
    assert found.share.sum(axis=1) == pytest.approx(1.0)


def test_alike_groups_borrow_and_different_ones_do_not() -> None:
    alike = category_shares(np.array([[50, 50]] * 6 + [[1, 0]]), np.zeros(7, dtype=int), level=0.95)
    apart = category_shares(np.array([[90, 10], [10, 90]] * 3 + [[1, 0]]), np.zeros(7, dtype=int), level=0.95)
    assert alike.worth[-1] > 30
    assert apart.worth[-1] < 10
    assert alike.share[-1, 0] < 0.55 < apart.share[-1, 0]
    assert (alike.upper - alike.lower)[-1, 0] < (apart.upper - apart.lower)[-1, 0]


def test_one_category_is_certain_and_no_count_is_no_error() -> None:
    found = category_shares(np.array([[3], [0]]), np.array([0, 1]), level=0.95)
    assert found.share.ravel().tolist() == found.lower.ravel().tolist() == found.upper.ravel().tolist() == [1.0, 1.0]
    nothing = category_shares(np.zeros((2, 2), dtype=int), np.array([0, 1]), level=0.95)
    assert nothing.share.ravel().tolist() == [0.5] * 4


def test_limits_cover_where_parents_differ_and_groups_in_them_a_little() -> None:
    rng = np.random.default_rng(20)
    hits, parent = [], np.repeat(np.arange(4), 5)
    for _ in range(6):
        of_parents = rng.dirichlet(20 * np.array([0.4, 0.3, 0.2, 0.1]), 4)
        shares = np.stack([rng.dirichlet(100 * of_parents[p] + 0.01) for p in parent])
        counts = np.stack([rng.multinomial(n, p) for n, p in zip(rng.integers(5, 60, 20), shares, strict=True)])
        found = category_shares(counts, parent, level=0.9)
        hits.append(((found.lower <= shares) & (shares <= found.upper)).mean())
    assert np.mean(hits) == pytest.approx(0.9, abs=0.06)
