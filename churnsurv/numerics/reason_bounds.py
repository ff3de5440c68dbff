"""What is known of a share without any assumption on who is silent.

Of n units k gave this answer and m are silent: the share lies between k / n (no silent one would give it) and
(k + m) / n (all would). Limits of the share in a population (Imbens and Manski 2004; Stoye 2009): it is one number
between the two ends, so that each end needs less than a two-sided quantile; with D the distance of the ends and s the
larger of their standard errors, c solves

    Phi(c + D / s) - Phi(-c) = level,

which goes from the two-sided quantile at D = 0 to the one-sided one. The limits are Wilson's at c: the lower one of the
lower end, the upper one of the upper end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.nonresponse import effective_number, wilson

__all__ = ["ShareBounds", "imbens_manski", "share_bounds"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ShareBounds:
    """Bounds of k shares, and the limits of the shares of a population; (k,) each."""

    lowest: Floats
    highest: Floats
    lower: Floats
    upper: Floats


def imbens_manski(distance: Floats, std_error: Floats, *, level: float) -> Floats:
    """Return the quantile c for ends so far apart.

    Examples
    --------
    >>> imbens_manski(np.array([0.0, 1.0]), np.array([0.05, 0.05]), level=0.95).round(3).tolist()
    [1.96, 1.645]
    """
    # ends that are one are no distance apart, also where their standard error is 0: at shares of 0 and 1
    far = np.where(distance > 0, np.inf, 0.0)
    apart = np.divide(distance, std_error, out=far, where=std_error > 0)
    low = np.full(apart.shape, float(ndtri(level)))
    high = np.full(apart.shape, float(ndtri(0.5 + level / 2)))
    for _ in range(60):  # the difference falls by half each time: to the last digit
        middle = (low + high) / 2
        enough = ndtr(middle + apart) - ndtr(-middle) >= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray((low + high) / 2)


def share_bounds(
    answer: Ints, answered: NDArray[np.bool_], n_kinds: int, *, level: float, cluster: Ints | None = None
) -> ShareBounds:
    """Return the bounds of the share of each kind of answer, and limits at `level`.

    Parameters
    ----------
    answer : (n,) int64
        Kind 0 ... n_kinds - 1; looked at only where one was given.
    answered : (n,) bool
    n_kinds : int
    level : float
    cluster : (n,) int64, optional
        Codes of units that may depend on each other.

    Examples
    --------
    >>> answered = np.array([True] * 4 + [False] * 6)
    >>> found = share_bounds(np.array([0, 0, 0, 1] + [0] * 6), answered, 2, level=0.95)
    >>> found.lowest.tolist(), found.highest.tolist()
    ([0.3, 0.1], [0.9, 0.7])
    >>> found.lower.round(3).tolist(), found.upper.round(3).tolist()
    ([0.127, 0.023], [0.977, 0.873])
    """
    n = answered.size
    mine = (answer[:, None] == np.arange(n_kinds)) & answered[:, None]
    ends = [mine, mine | ~answered[:, None]]
    shares = [each.mean(axis=0) for each in ends]
    errors = [_std_error(each, share, cluster) for each, share in zip(ends, shares, strict=True)]
    c = imbens_manski(shares[1] - shares[0], np.maximum(*errors), level=level)
    n_units = float(n if cluster is None else np.unique(cluster).size)
    lower, upper = (
        wilson(share, effective_number(share, error, n_units), c) for share, error in zip(shares, errors, strict=True)
    )
    found = ShareBounds(shares[0], shares[1], np.minimum(lower[0], shares[0]), np.maximum(upper[1], shares[1]))
    read_only(found.lowest, found.highest, found.lower, found.upper)
    return found


def _std_error(mine: NDArray[np.bool_], share: Floats, cluster: Ints | None) -> Floats:
    away = (mine - share) / mine.shape[0]
    if cluster is not None:
        size = int(cluster.max(initial=-1)) + 1
        away = np.stack([np.bincount(cluster, column, size) for column in away.T], axis=1)
    return np.asarray(np.sqrt((away**2).sum(axis=0)))
