"""Standard errors of survival where rows of one cluster depend on each other.

The influence of row i on log S(t), its derivative in the weight of the row, is

    -[ 1{T_i <= t, churned} a(T_i) - (B(min(T_i, t)) - B(min(entry_i, t))) ],
    a(t) = 1 / (n - d),   B(t) = sum of b = d / (n (n - d)) over the times up to t,

and the infinitesimal-jackknife variance of S(t) is S(t)^2 times the sum over clusters of U_c(t)^2, U_c the sum of the
influences of its rows (Efron 1981; the robust variance of survfit in R's survival package).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import DayCounts, time_index

__all__ = ["clustered_std_error"]

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]


def clustered_std_error(
    counts: DayCounts,
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    cluster: NDArray[np.integer[Any]],
    *,
    entry: NDArray[Any] | None = None,
) -> Floats:
    """Return the infinitesimal-jackknife standard error of Kaplan and Meier's survival.

    Parameters
    ----------
    counts : DayCounts
        Of these rows, as one group.
    duration, churned, cluster, entry : (n,)
        The rows; clusters are any integers >= 0.

    Returns
    -------
    (n_times,) float64
        0 where survival is 1, NaN where it is 0: as with Greenwood's there is nothing left to vary.

    Notes
    -----
    Between two of its own entries and ends a cluster with m rows at risk changes at each time u by ``-m b(u)``, the
    same b for all clusters. So the sum of squares over all clusters moves by ``-2 b sum m U + b^2 sum m^2``, and ``sum
    m U`` by ``-b sum m^2``: three running sums, and one correction at each entry and end. That is O(n log n) for the
    sort and O(n) in memory, whatever the number of clusters and times; no matrix of clusters by times exists.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> t, e = np.array([1, 2, 2, 4]), np.array([True, True, False, False])
    >>> clustered_std_error(day_counts(t, e), t, e, np.array([0, 0, 1, 1])).round(4).tolist()
    [0.1768, 0.3536, 0.3536]
    """
    n, d = counts.n_at_risk[0].astype(np.float64), counts.n_events[0].astype(np.float64)
    survival = np.cumprod((n - d) / n)
    # where survival reaches 0 it has no influence left; the times before it are all that count
    n_times = int(np.searchsorted(-survival, 0.0, side="left"))
    n, d = n[:n_times], d[:n_times]
    a, b = 1 / (n - d), d / (n * (n - d))
    if entry is not None:
        held = entry < duration
        duration, churned, cluster, entry = duration[held], churned[held], cluster[held], entry[held]
    end = time_index(counts.time, duration)
    start = np.full(end.size, -1) if entry is None else time_index(counts.time, entry, side="right") - 1
    from_start = np.bincount(cluster[start < 0], minlength=int(cluster.max(initial=-1)) + 1)
    enters, ends = (start >= 0) & (start < n_times), end < n_times
    jump = np.where(churned[ends], a[end[ends]], 0.0)
    squares = _sum_of_squares(
        cluster=np.concatenate([cluster[enters], cluster[ends]]),
        at=np.concatenate([start[enters], end[ends]]),
        step=np.repeat([1, -1], [int(enters.sum()), int(ends.sum())]),
        jump=np.concatenate([np.zeros(int(enters.sum())), jump]),
        from_start=from_start,
        b=b,
    )
    std_error = np.full(survival.size, np.nan)
    std_error[:n_times] = np.where(survival[:n_times] < 1, survival[:n_times] * np.sqrt(squares), 0.0)
    return std_error


def _sum_of_squares(
    *, cluster: Indices, at: Indices, step: Indices, jump: Floats, from_start: Indices, b: Floats
) -> Floats:
    """Return the sum over clusters of U_c(t)^2 at each time.

    A change takes place just after time `at`: the cluster's rows at risk go up by `step`, its U by `jump`. Each
    cluster begins with `from_start` rows at risk and U = 0.
    """
    order = np.argsort(cluster * np.int64(b.size) + at, kind="stable")
    cluster, at, step, jump = cluster[order], at[order], step[order], jump[order]
    first = np.flatnonzero(np.diff(cluster, prepend=-1))
    total = np.cumsum(b)
    m_after = _running_in_segments(step, first) + from_start[cluster]
    m_before = m_after - step
    since = np.diff(total[at], prepend=0.0)
    since[first] = total[at[first]]
    drift = -m_before * since
    u_after = _running_in_segments(drift + jump, first)
    u_before = np.roll(u_after, 1)
    u_before[first] = 0.0
    u_before += drift

    def by_time(change: Floats) -> Floats:
        return np.asarray(np.bincount(at, weights=change, minlength=b.size), dtype=np.float64)

    m_squared = np.sum(from_start.astype(np.float64) ** 2) + _before(np.cumsum(by_time(m_after**2 - m_before**2)))
    m_times_u = _before(np.cumsum(by_time(m_after * u_after - m_before * u_before) - b * m_squared))
    moved = by_time(u_after**2 - u_before**2) - 2 * b * m_times_u + b**2 * m_squared
    return np.maximum(np.cumsum(moved), 0.0)


def _before(sums: Floats) -> Floats:
    """Shift running sums by one time: the value just before each time."""
    return np.concatenate([[0.0], sums[:-1]]) if sums.size else sums


def _running_in_segments(values: NDArray[Any], first: Indices) -> NDArray[Any]:
    """Cumulative sums that begin anew at the positions `first`.

    Each segment first takes back the total of the one before, so that the running sum stays as small as the segments
    are and rounding does not pile up over millions of them.
    """
    if values.size == 0:
        return values
    anew = values.copy()
    anew[first[1:]] -= np.add.reduceat(values, first)[:-1]
    return np.cumsum(anew)
