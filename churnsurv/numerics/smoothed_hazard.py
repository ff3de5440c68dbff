"""The hazard as a smooth function of the day: the steps of the cumulative hazard under a moving kernel.

With b the bandwidth, K the kernel of Epanechnikov and dH = d/n the steps of Nelson and Aalen's cumulative hazard,

    h(t) = 1/b sum of K((t - t_j) / b) dH(t_j),      variance = 1/b^2 sum of K((t - t_j) / b)^2 d/n^2

(Ramlau-Hansen 1983; Klein and Moeschberger 2003, section 6.2). Within b of either end of follow-up the kernel is that
of Gasser and Mueller (1979), which keeps the mass 1 and the mean 0 that Epanechnikov's has inside: with q the distance
to the end over b,

    K_q(x) = 3/4 (1 - x^2) (alpha + beta x)   for -1 <= x <= q,
    alpha = 64 (2 - 4 q + 6 q^2 - 3 q^3) / [(1 + q)^4 (19 - 18 q + 3 q^2)],
    beta = 240 (1 - q)^2 / [(1 + q)^4 (19 - 18 q + 3 q^2)].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.cluster import ClusteredRows, cluster_sums
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.weighted_counts import Steps

__all__ = ["SmoothedHazard", "boundary_kernel", "smoothed_hazard", "usual_bandwidth"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedHazard:
    """The hazard at the times asked for, shape (n,) each; per unit of time.

    Attributes
    ----------
    hazard
        0 where a boundary kernel, which has a negative side, would go below it.
    std_error
    """

    hazard: Floats
    std_error: Floats


def usual_bandwidth(n_events: float, first: float, last: float, *, whole_days: bool = True) -> float:
    """Return an eighth of follow-up over the fifth root of the number of churns.

    The best bandwidth falls with that root; the factor is the pilot bandwidth of Mueller and Wang (1994). Where days
    are whole it is at least a week: that levels out the days of the week, and the sum of the kernel over the days,
    1 - 1/(4 b^2), is 1 to half a percent. Never above half of follow-up, so that the two ends stay apart.

    Examples
    --------
    >>> usual_bandwidth(1024, 0, 320), usual_bandwidth(1024, 0, 160)
    (10.0, 7.0)
    """
    length = last - first
    return float(min(max(length / (8 * max(n_events, 1.0) ** 0.2), 7.0 if whole_days else 0.0), length / 2))


def boundary_kernel(x: Floats, q: float) -> Floats:
    """Return K_q(x), Epanechnikov's kernel where q >= 1.

    Parameters
    ----------
    x : (n,)
        Distances (t - t_j) / b; positive towards the end.
    q : float
        Distance of t to the end over b.

    Examples
    --------
    >>> boundary_kernel(np.array([-0.5, 0.0, 1.5]), 1.0).tolist()
    [0.5625, 0.75, 0.0]
    """
    q = min(q, 1.0)
    scale = (1 + q) ** 4 * (19 - 18 * q + 3 * q**2)
    alpha = 64 * (2 - 4 * q + 6 * q**2 - 3 * q**3) / scale
    beta = 240 * (1 - q) ** 2 / scale
    inside = (x >= -1) & (x <= q)
    return np.where(inside, 0.75 * (1 - x**2) * (alpha + beta * x), 0.0)


def smoothed_hazard(
    steps: Steps,
    times: NDArray[Any],
    *,
    bandwidth: float,
    first: float,
    last: float,
    rows: ClusteredRows | None = None,
) -> SmoothedHazard:
    """Smooth the hazard of one group.

    Parameters
    ----------
    steps : Steps
    times : (n,)
        Within first ... last.
    bandwidth : float
        > 0 and at most half of the way from first to last.
    first, last : float
        The days between which anybody was at risk.
    rows : ClusteredRows, optional
        The rows, where they depend on each other or have sampling weights: the standard error is then the infinitesimal
        jackknife's.

    Examples
    --------
    One churn of ten on day 10, ten days around it: in its middle the kernel is 3/4.

    >>> steps = Steps(np.array([10, 40]), np.array([10.0, 9.0]), np.array([1.0, 0.0]))
    >>> found = smoothed_hazard(steps, np.array([10, 15, 25]), bandwidth=10, first=0, last=40)
    >>> found.hazard.round(6).tolist()
    [0.0075, 0.005625, 0.0]
    """
    n, d = steps.n_at_risk, steps.n_events
    hazard, squares = np.zeros(times.shape), np.zeros(times.shape)
    for place, day in enumerate(times.tolist()):
        low = int(np.searchsorted(steps.time, day - bandwidth, side="left"))
        high = int(np.searchsorted(steps.time, day + bandwidth, side="right"))
        near = slice(low, high)
        away = (day - steps.time[near]) / bandwidth
        if day - first < bandwidth:
            kernel = boundary_kernel(away, (day - first) / bandwidth)
        else:
            kernel = boundary_kernel(-away, (last - day) / bandwidth)
        kernel = kernel / bandwidth
        hazard[place] = kernel @ (d[near] / n[near])
        if rows is None:
            squares[place] = kernel**2 @ (d[near] / n[near] ** 2)
        elif d[near].any():
            jump, drift = np.zeros((2, n.size))
            jump[near], drift[near] = kernel / n[near], kernel * d[near] / n[near] ** 2
            sums = cluster_sums(rows, jump, drift)
            squares[place] = sums @ sums
    hazard, std_error = np.maximum(hazard, 0.0), np.sqrt(squares)
    read_only(hazard, std_error)
    return SmoothedHazard(hazard, std_error)
