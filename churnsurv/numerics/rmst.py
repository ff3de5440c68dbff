"""The restricted mean survival time: the area under a survival curve up to a horizon.

With A(t) the area under S from t to the horizon, and d churns among n at risk at each time t,

    rmst = A(0),        variance = sum of A(t)^2 d / (n (n - d)) over the times up to the horizon,

Greenwood's variance carried through the integral (Klein and Moeschberger 2003, section 4.5; ``print(survfit, rmean=)``
of R's survival package). Where all that are at risk churn, A is 0 from there on, and so is the term.

The influence of row i, for rows that depend on each other or were drawn with unequal probabilities, is

    -[ 1{churned, T_i <= horizon} A(T_i) / (n - d) - (sum of A d / (n (n - d)) over the times in (entry_i, T_i]) ].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.cluster import ClusteredRows, cluster_sums
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.weighted_counts import Steps

__all__ = ["AreaUnderCurve", "area_under_curve", "clustered_area_influence"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AreaUnderCurve:
    """The area and its standard error.

    Attributes
    ----------
    area : float
        Days.
    std_error : float
        Greenwood's.
    remaining : (n_times,) float64
        A(t) at each time of the curve; 0 beyond the horizon.
    """

    area: float
    std_error: float
    remaining: Floats


def area_under_curve(steps: Steps, *, horizon: float) -> AreaUnderCurve:
    """Integrate Kaplan and Meier's curve from 0 to the horizon.

    Parameters
    ----------
    steps : Steps
        Times >= 0; weights may be in the numbers.
    horizon : float
        Days > 0, within follow-up.

    Examples
    --------
    Churn on day 1 of four users and on day 2 of three: 1 + 3/4 + 1/2.

    >>> found = area_under_curve(Steps(np.array([1, 2, 4]), np.array([4.0, 3, 1]), np.array([1.0, 1, 0])), horizon=3)
    >>> found.area, round(found.std_error, 6)
    (2.25, 0.414578)
    """
    before = int(np.searchsorted(steps.time, horizon, side="left"))
    corners = np.concatenate([[0.0], steps.time[:before].astype(np.float64), [float(horizon)]])
    n, d = steps.n_at_risk[:before], steps.n_events[:before]
    survival = np.concatenate([[1.0], np.cumprod((n - d) / n)])
    areas = survival * np.diff(corners)
    beyond = np.cumsum(areas[::-1])[::-1]
    remaining = np.zeros(steps.time.shape[0])
    remaining[:before] = beyond[1:]
    variance = float(beyond[1:] ** 2 @ _greenwood(n, d))
    read_only(remaining)
    return AreaUnderCurve(float(beyond[0]), float(np.sqrt(variance)), remaining)


def _greenwood(n: Floats, d: Floats) -> Floats:
    return np.divide(d, n * (n - d), out=np.zeros(n.shape), where=n > d)


def clustered_area_influence(steps: Steps, remaining: Floats, rows: ClusteredRows) -> Floats:
    """Return the sum over the rows of each cluster of weight times influence on the area, shape (n_clusters,).

    The variance of the area is the sum of squares; the covariance of the areas of two groups that share clusters is
    the sum of products.

    Parameters
    ----------
    steps : Steps
        Of these rows.
    remaining : (n_times,)
        `AreaUnderCurve.remaining`.
    rows : ClusteredRows

    Examples
    --------
    >>> from churnsurv.numerics.cluster import clustered_rows
    >>> steps = Steps(np.array([1, 2, 4]), np.array([4.0, 3, 1]), np.array([1.0, 1, 0]))
    >>> rows = clustered_rows(steps.time, np.array([1, 2, 2, 4]), np.array([True, True, False, False]), np.arange(4))
    >>> influence = clustered_area_influence(steps, area_under_curve(steps, horizon=3).remaining, rows)
    >>> influence.tolist(), round(float(np.sqrt(influence @ influence)), 6)
    ([-0.3125, -0.0625, 0.1875, 0.1875], 0.414578)
    """
    n, d = steps.n_at_risk, steps.n_events
    jump = np.divide(remaining, n - d, out=np.zeros_like(remaining), where=n > d)
    return -cluster_sums(rows, jump, remaining * _greenwood(n, d))
