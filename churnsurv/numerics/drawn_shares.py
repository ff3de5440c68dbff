"""Shares of small cells, drawn to the share of all cells, with standard errors that know blocks of users.

A cell with x members in blocks g = 1 ... G, y of whom have the outcome, is drawn to the share p of all cells as if k
more members, each in a block of its own, had that share:

    R = (y + k p) / (x + k),      var R = B / (B - 1)  [sum_g (y_g - R x_g)^2 + k (p (1 - p) + (R - p)^2)] / (x + k)^2

with B = G + k blocks: the linearised variance of a ratio (Cochran 1977, section 6.4) over the blocks that are there and
the k that are thought, whose residuals have the mean square p (1 - R)^2 + (1 - p) R^2 = p (1 - p) + (R - p)^2. Where
nothing was seen R = p, as uncertain as k members make it; where the cell differs from the whole, the difference widens
its limits until it has members of its own; with many of them the formula is that of `ratio_by_blocks`, as it is with
k = 0. p is taken as known.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.ratio_by_blocks import RatioByBlocks

__all__ = ["drawn_shares"]

Floats: TypeAlias = NDArray[np.float64]


def drawn_shares(numerator: NDArray[Any], denominator: NDArray[Any], overall: Floats, *, prior: int) -> RatioByBlocks:
    """Estimate shares of cells over independent blocks, drawn to those of all cells.

    Parameters
    ----------
    numerator, denominator : (n_blocks, ...)
        Sums of each block; along the other axes each share stands alone.
    overall : (...) float64
        The share of all cells that each is drawn to; NaN where there is none: the share is NaN, too.
    prior : int
        Members more, 0 or more.

    Returns
    -------
    RatioByBlocks
        `n_blocks` counts blocks with members and those that are thought.

    Raises
    ------
    InputError
        If `prior` is below 0.

    Examples
    --------
    Three of ten have the outcome, and nobody is in the second cell:

    >>> seen, of = np.array([[1, 0], [2, 0]]), np.array([[5, 0], [5, 0]])
    >>> found = drawn_shares(seen, of, np.array([0.5, 0.5]), prior=10)
    >>> found.estimate.tolist(), found.std_error.round(4).tolist(), found.n_blocks.tolist()
    ([0.4, 0.5], [0.0991, 0.1667], [12, 10])
    """
    if prior < 0:
        raise InputError(f"prior is a number of members, 0 or more; it is {prior!r}.")
    y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    p = np.asarray(overall, dtype=np.float64)
    total, n_blocks = x.sum(axis=0) + prior, np.count_nonzero(x, axis=0) + prior
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(total > 0, (y.sum(axis=0) + (prior * p if prior else 0.0)) / total, np.nan)
        squares = ((y - share * x) ** 2).sum(axis=0)
        if prior:
            squares += prior * (p * (1 - p) + (share - p) ** 2)
        correction = np.where(n_blocks > 1, n_blocks / (n_blocks - 1.0), np.nan)
        std_error = np.sqrt(correction * squares) / total
    found = RatioByBlocks(np.asarray(share), np.asarray(std_error), np.asarray(n_blocks, dtype=np.int64))
    read_only(found.estimate, found.std_error, found.n_blocks)
    return found
