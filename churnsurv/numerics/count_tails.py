"""Tails of counts that vary more than Poisson's: the negative binomial with mean m and variance m + a m^2.

Size 1/a and success probability 1/(1 + a m) in scipy's terms; a = 0 is Poisson's law.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["estimated_tail", "lower_tail", "tail_quantile", "upper_tail"]

Floats: TypeAlias = NDArray[np.float64]


def upper_tail(count: Floats, mean: Floats, extra: Floats) -> Floats:
    """P(Y >= count) of a negative binomial with this mean and variance mean + extra mean^2; Poisson where extra is 0.

    Examples
    --------
    >>> upper_tail(np.array([2.0]), np.array([1.0]), np.array([0.0])).round(4).tolist()
    [0.2642]
    """
    from scipy import stats

    size, share = _shape(mean, extra)
    poisson = stats.poisson.sf(count - 1, mean)
    tail: Floats = np.where(extra > 0, stats.nbinom.sf(count - 1, size, share), poisson)
    return tail


def estimated_tail(tail: Floats, df: int) -> Floats:
    """Carry a tail from the normal law to Student's t, for a variance estimated with `df` degrees of freedom.

    Examples
    --------
    >>> estimated_tail(np.array([0.001, 0.5]), 20).round(4).tolist()
    [0.0029, 0.5]
    """
    from scipy import stats

    moved: Floats = stats.t.sf(stats.norm.isf(tail), max(df, 1))
    return moved


def lower_tail(count: Floats, mean: Floats, extra: Floats) -> Floats:
    """P(Y <= count) of the same distribution.

    Examples
    --------
    >>> lower_tail(np.array([0.0]), np.array([1.0]), np.array([1.0])).round(4).tolist()
    [0.5]
    """
    from scipy import stats

    size, share = _shape(mean, extra)
    tail: Floats = np.where(extra > 0, stats.nbinom.cdf(count, size, share), stats.poisson.cdf(count, mean))
    return tail


def tail_quantile(probability: float, mean: Floats, extra: Floats) -> Floats:
    """Return the smallest count that is not exceeded with at least this probability.

    Examples
    --------
    >>> tail_quantile(0.975, np.array([100.0, 100.0]), np.array([0.0, 0.04])).tolist()
    [120.0, 148.0]
    """
    from scipy import stats

    size, share = _shape(mean, extra)
    poisson = stats.poisson.ppf(probability, mean)
    quantile: Floats = np.where(extra > 0, stats.nbinom.ppf(probability, size, share), poisson)
    return quantile


def _shape(mean: Floats, extra: Floats) -> tuple[Floats, Floats]:
    """Size and success probability; of no use where extra is 0."""
    held = np.where(extra > 0, extra, 1.0)
    return 1 / held, 1 / (1 + held * mean)
