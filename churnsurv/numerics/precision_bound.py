"""How precise a warning is at least: one-sided confidence bounds of shares of alerts that were right."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, stdtrit

from churnsurv.numerics.ratio_by_blocks import ratio_by_blocks

__all__ = ["bounds_of", "lower_bounds", "wilson_lower"]

Floats: TypeAlias = NDArray[np.float64]


def wilson_lower(share: Floats, n: Floats, z: float) -> Floats:
    """Wilson's (1927) lower limit of shares of n independent trials, z standard errors down; 0 for no trials.

    Examples
    --------
    >>> wilson_lower(np.array([1.0, 0.5]), np.array([10.0, 0.0]), 1.645).round(3).tolist()
    [0.787, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = share + z * z / (2 * n)
        spread = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
        found = (middle - spread) / (1 + z * z / n)
    return np.asarray(np.where(n > 0, found, 0.0))


def lower_bounds(hits: NDArray[Any], trials: NDArray[Any], *, level: float) -> Floats:
    """One-sided lower confidence bounds of shares whose trials come in independent blocks of users.

    The lower of two: the linearised variance over blocks on the logit scale with Student's t (`ratio_by_blocks`), and
    Wilson's bound for independent trials. With few alerts the former is hardly known, and where every alert was right
    it vanishes.

    Parameters
    ----------
    hits, trials : (n_blocks, n)
    level : float

    Returns
    -------
    (n,) float64
        0 where there are no trials or no hits.

    Examples
    --------
    >>> lower_bounds(np.array([[3], [1], [2], [2]]), np.full((4, 1), 4), level=0.95).round(3).tolist()
    [0.277]
    """
    ratio = ratio_by_blocks(hits, trials)
    total = np.asarray(trials.sum(axis=0), dtype=np.float64)
    return bounds_of(np.nan_to_num(ratio.estimate), total, ratio.std_error, ratio.n_blocks, level=level)


def bounds_of(share: Floats, total: Floats, std_error: Floats, n_blocks: NDArray[Any], *, level: float) -> Floats:
    """The bounds of `lower_bounds` from shares, their trials, and standard errors over so many blocks; shape (n,)."""
    wilson = wilson_lower(share, total, float(ndtri(level)))
    inside = (share > 0) & (share < 1) & (n_blocks > 1)
    safe = np.where(inside, share, 0.5)
    step = stdtrit(np.maximum(n_blocks - 1.0, 1.0), level) * std_error / (safe * (1 - safe))
    clustered = np.where(inside, expit(logit(safe) - step), wilson)
    return np.asarray(np.where(share > 0, np.minimum(clustered, wilson), 0.0))
