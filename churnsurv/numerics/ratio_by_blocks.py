"""Shares and survival from counts by independent blocks of users, with standard errors that know the blocks.

With y_g of x_g in block g of G, the ratio R = sum y / sum x has the linearised variance

    G / (G - 1)  sum_g (y_g - R x_g)^2 / (sum x)^2

(Cochran 1977, section 6.4; blocks that are random groups of users: Wolter 2007, chapter 2). Survival of discrete days
is a product of such ratios: with r_t returns among n_t at risk, S(d) = prod_{t <= d} (1 - r_t / n_t), and block g moves
log S(d) by

    A_g(d) = - sum_{t <= d} (r_gt - n_gt r_t / n_t) / (n_t - r_t),

the sum over the block's rows of the infinitesimal jackknife of `numerics.cluster`. The variance of log S(d) is
G / (G - 1) sum_g A_g(d)^2, and that of log(S(t) / S(d)) the same of A_g(t) - A_g(d). Where nothing is censored, S(t) /
S(d) is the ratio of those who stay beyond t to those who stay beyond d, and both formulas agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only

__all__ = ["RatioByBlocks", "SurvivalByBlocks", "logit_limits", "ratio_by_blocks", "survival_by_blocks"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Fewer blocks say too little of how much blocks differ.
_FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class RatioByBlocks:
    """Ratios of sums over blocks; arrays of one shape.

    Attributes
    ----------
    estimate : float64
        NaN where the denominator is 0.
    std_error : float64
        NaN where fewer than two blocks have a denominator.
    n_blocks : int64
        Blocks with a denominator.
    """

    estimate: Floats
    std_error: Floats
    n_blocks: Ints


def ratio_by_blocks(numerator: NDArray[Any], denominator: NDArray[Any]) -> RatioByBlocks:
    """Estimate ratios of sums over independent blocks.

    Parameters
    ----------
    numerator, denominator : (n_blocks, ...)
        Sums of each block; along the other axes each ratio stands alone. Denominators are 0 or more.

    Examples
    --------
    >>> found = ratio_by_blocks(np.array([1, 0, 2]), np.array([2, 1, 3]))
    >>> float(found.estimate), float(found.std_error.round(4)), int(found.n_blocks)
    (0.5, 0.1443, 3)
    """
    y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    total, n_blocks = x.sum(axis=0), np.count_nonzero(x, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(total > 0, y.sum(axis=0) / total, np.nan)
        std_error = _spread(((y - ratio * x) / total), n_blocks)
    found = RatioByBlocks(np.asarray(ratio), np.asarray(std_error), np.asarray(n_blocks, dtype=np.int64))
    read_only(found.estimate, found.std_error, found.n_blocks)
    return found


def _spread(influence: Floats, n_blocks: Ints) -> Floats:
    """The standard error of a sum of independent influences with mean 0, one from each of so many blocks."""
    with np.errstate(invalid="ignore", divide="ignore"):
        correction = np.where(n_blocks > 1, n_blocks / (n_blocks - 1.0), np.nan)
        return np.asarray(np.sqrt(correction * (influence**2).sum(axis=0)))


def logit_limits(ratio: RatioByBlocks, *, level: float, fewest: int = _FEWEST) -> tuple[Floats, Floats]:
    """Return limits of shares, symmetric on the logit scale, by Student's t with n_blocks - 1 degrees of freedom.

    NaN where the share is 0 or 1, or fewer than `fewest` blocks have a denominator.

    Examples
    --------
    >>> half = RatioByBlocks(np.array([0.5, 1.0]), np.array([0.05, 0.0]), np.array([20, 20]))
    >>> [limit.round(3).tolist() for limit in logit_limits(half, level=0.95)]
    [[0.397, nan], [0.603, nan]]
    """
    from scipy.special import expit, logit, stdtrit

    share, n_blocks = ratio.estimate, ratio.n_blocks
    with np.errstate(invalid="ignore"):
        exists = (share > 0) & (share < 1) & (n_blocks >= max(fewest, 2)) & ~np.isnan(ratio.std_error)
    inside = np.where(exists, share, 0.5)
    half = stdtrit(np.maximum(n_blocks - 1.0, 1.0), 0.5 + level / 2) * ratio.std_error / (inside * (1 - inside))
    limits = [np.where(exists, expit(logit(inside) + sign * half), np.nan) for sign in (-1, 1)]
    return limits[0], limits[1]


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalByBlocks:
    """Survival on days 0 ... n_days, with what each block has to do with it.

    Attributes
    ----------
    survival : (n_days + 1,) float64
        P(T > d); 1 on day 0, NaN beyond the last day to which anybody was followed.
    influence : (n_blocks, n_days + 1) float64
        A_g(d), as above; NaN where survival is 0 or NaN.
    n_at_risk : (n_days + 1,) int64
        At risk on day d + 1: still there at the end of day d, and followed for longer. On the last day those who
        are left.
    n_blocks : (n_days + 1,) int64
        Blocks that have some of them.
    """

    survival: Floats
    influence: Floats
    n_at_risk: Ints
    n_blocks: Ints

    def staying(self, first: NDArray[np.int64], last: int) -> RatioByBlocks:
        """P(T > last | T > first) for days `first`, none after `last`."""
        given = self.survival[first]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(given > 0, self.survival[last] / given, np.nan)
            moved = share * (self.influence[:, [last]] - self.influence[:, first])
        # Nobody stays: the share is 0, and its log does not move.
        moved = np.where(share == 0, 0.0, moved)
        return RatioByBlocks(share, _spread(moved, self.n_blocks[first]), self.n_blocks[first])

    def ended(self, last: int) -> RatioByBlocks:
        """P(T <= d | T <= last) for d = 0 ... last."""
        some, never = 1 - self.survival[: last + 1], self.survival[last]
        by_then = 1 - never
        moved = -self.survival[: last + 1] * self.influence[:, : last + 1]
        of_all = 0.0 if never == 0 else never * self.influence[:, [last]]
        moved = np.where(self.survival[: last + 1] == 0, 0.0, moved)
        with np.errstate(invalid="ignore", divide="ignore"):
            influence = (moved * by_then + some * of_all) / by_then**2
            return RatioByBlocks(
                some / by_then, _spread(influence, self.n_blocks[:1]), np.broadcast_to(self.n_blocks[:1], some.shape)
            )


def survival_by_blocks(returned: NDArray[Any], at_risk: NDArray[Any]) -> SurvivalByBlocks:
    """Estimate survival (Kaplan and Meier) from counts by block and day.

    Parameters
    ----------
    returned, at_risk : (n_blocks, n_days)
        Of days 1 ... n_days.

    Examples
    --------
    >>> found = survival_by_blocks(np.array([[1, 0], [0, 1]]), np.array([[2, 1], [2, 2]]))
    >>> found.survival.round(4).tolist(), found.n_at_risk.tolist()
    ([1.0, 0.75, 0.5], [4, 3, 2])
    """
    r, n = np.asarray(returned, dtype=np.float64), np.asarray(at_risk, dtype=np.float64)
    d, m = r.sum(axis=0), n.sum(axis=0)
    # Where nobody is left, survival stays 0; where nobody was followed so far, it is not known.
    over = np.cumsum((m > 0) & (m == d)) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(over, 1.0, d / m)
        steps = -(r - n * share) / np.where(m > d, m - d, np.nan)
    survival = np.concatenate([[1.0], np.where(over, 0.0, np.cumprod(1 - share))])
    influence = np.concatenate([np.zeros((r.shape[0], 1)), np.cumsum(steps, axis=1)], axis=1)
    left = n[:, -1] - r[:, -1]
    counts = np.concatenate([n, left[:, None]], axis=1)
    found = SurvivalByBlocks(
        survival, influence, counts.sum(axis=0).astype(np.int64), np.count_nonzero(counts, axis=0).astype(np.int64)
    )
    read_only(found.survival, found.influence, found.n_at_risk, found.n_blocks)
    return found
