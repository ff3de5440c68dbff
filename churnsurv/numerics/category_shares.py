"""Shares of categories in groups of two levels, each drawn to its neighbours as far as the data say they are alike.

Groups lie in parents (channels in stages). Counts of a parent are multinomial with shares that come from a Dirichlet
law of strength M about the shares of all, those of a group from one of strength m about the shares of its parent: the
larger the strength, the more alike. What the others say of a group is a Dirichlet law again, of the counts that they
are worth: n counts in all of others, of which a part q_j comes from the j-th, have of their common share the variance
of n counts and that of their own spread, so that they are worth

    1 / (1 / n + sum q_j^2 / s)

counts about the common share, s the strength at their level, and b such counts are worth 1 / (1 / b + 1 / s) counts
about one more of them. First other parents are worth something to a parent, one count that is spread evenly over the
categories is added, then the other groups of the parent; all of it is what a group adds to its own counts. For given M
and m its shares are then Dirichlet distributed, each of them Beta.

M and m are not known: each pair of 1, 3.2, 10 ... 10,000 is as likely before, and has after the weight of how well the
others foretell each group, the product over groups of the Dirichlet-multinomial probability (Mosimann 1962) of its
counts given those of the others (a pseudolikelihood: Besag 1975). Means and quantiles are those of the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["CategoryShares", "category_shares"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_STRENGTHS = np.logspace(0.0, 4.0, 9)
#: Pairs of strengths with less weight change nothing that could be seen.
_NO_WEIGHT = 1e-3
#: Halvings of the interval in which a quantile is looked for.
_HALVINGS = 34


@dataclass(frozen=True, slots=True, eq=False)
class CategoryShares:
    """Shares by group and category.

    Attributes
    ----------
    share : (n_groups, n_categories) float64
        Posterior means; the rows sum to one.
    lower, upper : (n_groups, n_categories) float64
        Posterior quantiles of each share alone.
    worth : (n_groups,) float64
        Number of counts that other groups are worth to each, on average.
    """

    share: Floats
    lower: Floats
    upper: Floats
    worth: Floats


def category_shares(counts: NDArray[np.int64], parent: Ints, *, level: float) -> CategoryShares:
    """Estimate the shares of categories in each group.

    Parameters
    ----------
    counts : (n_groups, n_categories) int64
        At least one category; groups may be empty.
    parent : (n_groups,) int64
        0, 1, ...: the parent of each group.
    level : float
        Of the limits, equal-tailed.

    Examples
    --------
    Two groups that are alike say much of a third without counts.

    >>> found = category_shares(np.array([[30, 10], [28, 12], [0, 0]]), np.array([0, 0, 0]), level=0.95)
    >>> found.share[2].round(2).tolist(), found.lower[2].round(2).tolist(), found.worth.round(1).tolist()
    ([0.72, 0.28], [0.56, 0.14], [31.4, 31.4, 58.4])
    """
    from scipy.special import softmax

    own = counts.astype(np.float64)
    pairs = [_borrowed(own, parent, between, within) for between in _STRENGTHS for within in _STRENGTHS]
    weights = softmax([_log_probability(own, borrowed) for borrowed in pairs])
    kept = np.flatnonzero(weights > _NO_WEIGHT)
    weight = weights[kept] / weights[kept].sum()
    borrowed = np.stack([pairs[place] for place in kept])
    alpha = own + borrowed
    whole = alpha.sum(axis=2, keepdims=True)
    tail = (1 - level) / 2
    lower, upper = (_quantile(alpha, whole - alpha, weight, at) for at in (tail, 1 - tail))
    share, worth = np.tensordot(weight, alpha / whole, 1), np.tensordot(weight, borrowed.sum(axis=2), 1)
    return CategoryShares(share, lower, upper, worth)


def _borrowed(own: Floats, parent: Ints, between: float, within: float) -> Floats:
    """What others are worth to each group: counts by category."""
    k = own.shape[1]
    parents = np.zeros((int(parent.max()) + 1, k))
    np.add.at(parents, parent, own)
    everybody = np.zeros(parents.shape[0], dtype=np.int64)
    from_parents = _of_one_more(_of_others(parents, everybody, between), between) + 1 / k
    return _of_one_more(_of_others(own, parent, within) + from_parents[parent], within)


def _of_others(counts: Floats, kin: Ints, strength: float) -> Floats:
    """What the others of its kin are worth to each about the share that they have in common."""
    n = counts.sum(axis=1)
    total, squares = np.bincount(kin, n)[kin] - n, np.bincount(kin, n**2)[kin] - n**2
    sums = np.zeros((int(kin.max()) + 1, counts.shape[1]))
    np.add.at(sums, kin, counts)
    spread = np.divide(squares, total, out=np.zeros_like(total), where=total > 0)  # n sum q^2
    worth: Floats = (sums[kin] - counts) / (1 + spread / strength)[:, None]
    return worth


def _of_one_more(counts: Floats, strength: float) -> Floats:
    """What counts about a common share are worth to one that spreads about it."""
    worth: Floats = counts / (1 + counts.sum(axis=1, keepdims=True) / strength)
    return worth


def _log_probability(counts: Floats, alpha: Floats) -> float:
    """Log probability of the counts of all groups, each given what the others say of it; but for a constant."""
    from scipy.special import gammaln

    n, a = counts.sum(axis=1), alpha.sum(axis=1)
    of_groups = gammaln(a) - gammaln(a + n) + (gammaln(alpha + counts) - gammaln(alpha)).sum(axis=1)
    return float(of_groups.sum())


def _quantile(a: Floats, b: Floats, weight: Floats, at: float) -> Floats:
    """Quantile of mixtures of Beta laws, (n_parts, ...), by halving; 1 where there is but one category."""
    from scipy.special import betainc

    low, high = np.zeros(a.shape[1:]), np.ones(a.shape[1:])
    if not b.any():
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = np.tensordot(weight, betainc(a, b, middle), 1) < at
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high
