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

__all__ = ["ChangeBegin", "change_begin", "ratio_limits"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChangeBegin:
    """The day on which a drop began, as a position among the days, and its size.

    Attributes
    ----------
    day, earliest, latest : int
        The most likely position, and its limits.
    ratio, lower, upper : float
        Observed over expected from `day` on; limits that count that the day is not known.
    """

    day: int
    earliest: int
    latest: int
    ratio: float
    lower: float
    upper: float


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
    from scipy.optimize import brentq
    from scipy.stats import norm

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

    def below(x: float) -> float:
        return float(share @ norm.cdf((x - log_ratio) / spread))

    tail = (1 - level) / 2
    low, high = float((log_ratio - 9 * spread).min()), float((log_ratio + 9 * spread).max())
    limits = [float(np.exp(brentq(lambda x, p=p: below(x) - p, low, high))) for p in (tail, 1 - tail)]
    return ChangeBegin(day, int(held.min()), int(held.max()), float(ratio[day]), *limits)


def ratio_limits(
    observed: float, mean: float, *, phi: float, level_error: float, level: float = 0.95
) -> tuple[float, float, float]:
    """Return observed over expected on days that were chosen beforehand, with limits (normal on the log scale).

    Examples
    --------
    >>> [round(each, 3) for each in ratio_limits(320.0, 400.0, phi=1.0, level_error=0.0)]
    [0.8, 0.717, 0.893]
    """
    from scipy.stats import norm

    y = max(observed, 0.5)
    width = float(norm.ppf((1 + level) / 2)) * np.sqrt(phi / y + level_error)
    ratio = y / mean
    return ratio, float(ratio * np.exp(-width)), float(ratio * np.exp(width))
