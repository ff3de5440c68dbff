"""Limits and p-values of estimates whose standard errors are estimates too, alone and together."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.two_groups import simultaneous_critical

__all__ = ["band_critical", "t_quantile", "two_sided"]

Floats: TypeAlias = NDArray[np.float64]

_DRAWS = 20_000


def band_critical(covariance: Floats, error: Floats, wanted: NDArray[np.bool_], level: float) -> float:
    """Standard errors that all points wanted lie within together, with probability `level`; NaN where there are none.

    Examples
    --------
    >>> round(band_critical(np.eye(2), np.ones(2), np.array([True, False]), 0.95), 2)
    1.96
    """
    some = np.flatnonzero(wanted & (error > 0))
    if some.size == 0:
        return float("nan")
    correlation = covariance[np.ix_(some, some)] / np.outer(error[some], error[some])
    return simultaneous_critical([correlation], level, draws=_DRAWS)


def t_quantile(df: Floats | float, level: float) -> Floats:
    """Half-width of a two-sided interval in standard errors: Student's, normal where df is infinite.

    Examples
    --------
    >>> t_quantile(np.array([10.0, np.inf]), 0.95).round(3).tolist()
    [2.228, 1.96]
    """
    from scipy.special import ndtri, stdtrit

    df = np.asarray(df, dtype=np.float64)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(np.where(np.isfinite(df), stdtrit(finite, 0.5 + level / 2), ndtri(0.5 + level / 2)))


def two_sided(estimate: Floats, error: Floats, df: Floats) -> Floats:
    """P-values of no effect; NaN where nothing varies.

    Examples
    --------
    >>> two_sided(np.array([1.96, 0.0]), np.array([1.0, 0.0]), np.array([np.inf, np.inf])).round(3).tolist()
    [0.05, nan]
    """
    from scipy.special import ndtr, stdtr

    z = np.divide(-np.abs(estimate), error, out=np.full(estimate.shape[0], np.nan), where=error > 0)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(2 * np.where(np.isfinite(df), stdtr(finite, z), ndtr(z)))
