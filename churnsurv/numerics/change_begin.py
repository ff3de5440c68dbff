"""When a drop of daily counts began, and how large it is: from the likelihood of every day that it may have begun on.

With Y_k returns and M_k expected from day k on, up to the last day, and phi the long-run variance over the mean, the
log likelihood ratio of a drop to r that began on day k is (Y_k log r + (1 - r) M_k) / phi, at most for r = Y_k / M_k
(Hinkley 1970 on the likelihood of the day; quasi-likelihood for phi). With every day and every log r in a range as
likely as any other beforehand, the weight of day k is its likelihood averaged over r (by Laplace), and the limits of
the day are the smallest set of days that holds `level` of the weight, filled up to an interval. The limits of r are
quantiles of the mixture of normal laws of log r over those days, with the error of the expectation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChangeBegin", "change_begin", "missing_limits", "ratio_limits"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ChangeBegin:
    """The day on which a drop began, as a position among the days, and its size.

    Attributes
    ----------
    day, earliest, latest : int
        The most likely position, and its limits.
    ratio, lower, upper : float
        Observed over expected from `day` on; limits that count that the day is not known.
    share : (n_days,) float64
        The weight of each position up to the last at which it may have begun.
    """

    day: int
    earliest: int
    latest: int
    ratio: float
    lower: float
    upper: float
    share: Floats


def change_begin(
    observed: NDArray[Any],
    mean: Floats,
    phi: Floats,
    *,
    level_error: float,
    level: float = 0.95,
    latest: int | None = None,
) -> ChangeBegin:
    """Estimate the day and the size of a drop that lasts to the last day given.

    Parameters
    ----------
    observed : (n_days,) number
    mean : (n_days,) float64
        Expected.
    phi : (n_days,) float64
        Variance over the mean, in the long run.
    level_error : float
        Variance of the log of the expected counts from their estimation.
    level : float
    latest : int, optional
        The last position at which it may have begun: that of the alarm.

    Examples
    --------
    >>> mean = np.full(20, 400.0)
    >>> found = change_begin(np.where(np.arange(20) < 12, 400, 320), mean, np.ones(20), level_error=0.0)
    >>> found.day, found.earliest, found.latest, round(found.ratio, 2)
    (12, 12, 12, 0.8)
    """
    y, m = ((values / phi)[::-1].cumsum()[::-1] for values in (np.asarray(observed, dtype=np.float64), mean))
    y, m = (values[: None if latest is None else latest + 1] for values in (y, m))
    safe = np.maximum(y, 0.5)
    log_ratio = np.minimum(np.log(safe / np.maximum(m, 1e-9)), 0.0)
    ratio = np.exp(log_ratio)
    weight = y * log_ratio + (1 - ratio) * m - 0.5 * np.log(safe)
    share = np.exp(weight - weight.max())
    share /= share.sum()
    day = int(np.argmax(share))
    order = np.argsort(-share, kind="stable")
    held = order[: int(np.searchsorted(share[order].cumsum(), level)) + 1]
    spread = np.sqrt(1 / safe + level_error)
    low, high = (float(np.exp(each)) for each in _mixture(share, log_ratio, spread, level))
    found = min(float(y[day] / max(float(m[day]), 1e-9)), 1.0)
    return ChangeBegin(day, int(held.min()), int(held.max()), found, low if found else 0.0, high, share)


def _mixture(share: Floats, centre: Floats, spread: Floats, level: float) -> tuple[float, float]:
    """Quantiles of a mixture of normal laws that hold `level` in the middle."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    def below(x: float, p: float) -> float:
        return float(share @ norm.cdf((x - centre) / spread)) - p

    low, high = float((centre - 9 * spread).min()), float((centre + 9 * spread).max())
    tail = (1 - level) / 2
    first, last = (float(brentq(below, low, high, args=(p,))) for p in (tail, 1 - tail))
    return first, last


def missing_limits(
    share: Floats, observed: NDArray[Any], mean: Floats, phi: Floats, *, level_error: float, level: float = 0.95
) -> tuple[float, float]:
    """Limits of expected less observed since a change began, up to the last day given.

    Of a change that began on day k, M_k exp(b) return on average, b normal with mean log(Y_k / M_k) and the variance of
    that; the days k have the weights that `change_begin` found, perhaps from fewer days.

    Parameters
    ----------
    share : (n_begins,) float64
        Weights of the first positions.
    observed, mean, phi : (n_days,)
        As of `change_begin`.
    level_error, level : float

    Examples
    --------
    >>> share, mean = np.array([0.0, 1.0]), np.full(5, 400.0)
    >>> low, high = missing_limits(share, np.full(5, 320), mean, np.ones(5), level_error=0.0)
    >>> round(low), round(high)
    (248, 388)
    """
    likely = share > 1e-6
    y, m, own = (
        values[::-1].cumsum()[::-1][: share.size][likely]
        for values in (np.asarray(observed, dtype=np.float64), mean, np.asarray(observed, dtype=np.float64) / phi)
    )
    m = np.maximum(m, 1e-9)
    centre, spread = np.log(np.maximum(y, 0.5) / m), np.sqrt(1 / np.maximum(own, 0.5) + level_error)
    return _missing_mixture(share[likely] / share[likely].sum(), m, centre, spread, level)


def _missing_mixture(share: Floats, m: Floats, centre: Floats, spread: Floats, level: float) -> tuple[float, float]:
    """Quantiles of m (1 - exp(b)), b normal, mixed."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    def below(x: float, p: float) -> float:
        left = np.log(np.maximum(1 - x / m, 1e-300))
        return float(share @ np.where(x < m, norm.sf((left - centre) / spread), 1.0)) - p

    low = float((m * (1 - np.exp(centre + 9 * spread))).min())
    tail = (1 - level) / 2
    first, last = (float(brentq(below, low, float(m.max()), args=(p,))) for p in (tail, 1 - tail))
    return first, last


def ratio_limits(
    observed: float, mean: float, *, phi: float, level_error: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Return observed over expected on days that were chosen beforehand, with limits (normal on the log scale).

    Of nothing observed the upper limit is that of half a count, and the lower one is 0.

    Examples
    --------
    >>> [round(each, 3) for each in ratio_limits(320.0, 400.0, phi=1.0, level_error=0.0)]
    [0.8, 0.717, 0.893]
    """
    from scipy.stats import norm

    y = max(observed, 0.5)
    width = float(norm.ppf((1 + level) / 2)) * np.sqrt(phi / y + level_error)
    ratio = observed / mean
    return ratio, float(ratio * np.exp(-width)), float(y / mean * np.exp(width))
