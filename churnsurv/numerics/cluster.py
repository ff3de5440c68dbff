"""Standard errors where rows of one cluster depend on each other, or were drawn with unequal probabilities.

The influence of row i on an estimate is its derivative in the weight of the row. For log S(t) it is

    -[ 1{T_i <= t, churned} a(T_i) - (B(min(T_i, t)) - B(min(entry_i, t))) ],
    a(t) = 1 / (n - d),   B(t) = sum of b = d / (n (n - d)) over the times up to t,

and for minus the cumulative hazard the same with a = 1 / n, b = d / n^2. The infinitesimal-jackknife variance is the
sum over clusters of U_c(t)^2, U_c the sum of weight times influence of its rows; that of S(t) is S(t)^2 times it
(Jaeckel 1972, Efron 1981; the robust variance of survfit in R's survival package). With weights n and d are sums of
weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import DayCounts, read_only, time_index
from churnsurv.numerics.weighted_counts import Steps, running_in_segments, steps_of

__all__ = [
    "ClusteredRows",
    "cluster_sums",
    "clustered_hazard_error",
    "clustered_rows",
    "clustered_std_error",
    "clustered_survival_error",
]

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredRows:
    """Rows at risk of one group, placed among the times of its curve; arrays of its own, shape (n,).

    Attributes
    ----------
    start
        How many times of the curve a row enters after: it is at risk at the times ``start ... end``.
    end
        Position of the time at which the row ends.
    churned : bool
    cluster
        0 ... n_clusters - 1; several groups may share clusters.
    weights : float64, or None
    n_clusters : int
    """

    start: NDArray[np.intp]
    end: NDArray[np.intp]
    churned: NDArray[np.bool_]
    cluster: NDArray[np.integer[Any]]
    weights: Floats | None
    n_clusters: int

    def after(self, first: int) -> ClusteredRows:
        """Return the rows that are at risk at the time in position `first` or later, which becomes position 0.

        Examples
        --------
        >>> t, e = np.array([1, 2, 2]), np.array([True, True, False])
        >>> clustered_rows(np.array([1, 2]), t, e, np.arange(3)).after(1).cluster.tolist()
        [1, 2]
        """
        left = self.end >= first
        weights = None if self.weights is None else self.weights[left]
        start = np.maximum(self.start[left] - first, 0)
        return ClusteredRows(
            start, self.end[left] - first, self.churned[left], self.cluster[left], weights, self.n_clusters
        )


def clustered_rows(
    time: NDArray[Any],
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    cluster: NDArray[np.integer[Any]],
    *,
    entry: NDArray[Any] | None = None,
    weights: Floats | None = None,
    n_clusters: int | None = None,
) -> ClusteredRows:
    """Place the rows of one group among the times of its curve; rows that are never at risk are left out.

    Parameters
    ----------
    time : (n_times,)
        The times at which rows of the group end, ascending.
    duration, churned, cluster, entry, weights : (n,)
        The rows; clusters are any integers >= 0.
    n_clusters : int, optional
        By default the largest cluster + 1.

    Examples
    --------
    >>> rows = clustered_rows(np.array([2, 5]), np.array([5, 2]), np.array([True, False]), np.array([0, 1]))
    >>> rows.start.tolist(), rows.end.tolist()
    ([0, 0], [1, 0])
    """
    if n_clusters is None:
        n_clusters = int(cluster.max(initial=-1)) + 1
    if entry is not None:
        held = entry < duration
        duration, churned, cluster, entry = duration[held], churned[held], cluster[held], entry[held]
        weights = None if weights is None else weights[held]
        start = time_index(time, entry, side="right")
    else:
        start = np.zeros(duration.size, dtype=np.intp)
    end = time_index(time, duration)
    copies = [np.array(values) for values in (churned, cluster)]
    weights = None if weights is None else np.array(weights)
    read_only(start, end, *copies, *([] if weights is None else [weights]))
    return ClusteredRows(start, end, copies[0], copies[1], weights, n_clusters)


def clustered_std_error(
    counts: DayCounts,
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    cluster: NDArray[np.integer[Any]],
    *,
    entry: NDArray[Any] | None = None,
) -> Floats:
    """Return the infinitesimal-jackknife standard error of Kaplan and Meier's survival, without weights.

    Parameters
    ----------
    counts : DayCounts
        Of these rows, as one group.
    duration, churned, cluster, entry : (n,)
        The rows; clusters are any integers >= 0.

    Returns
    -------
    (n_times,) float64
        See `clustered_survival_error`.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> t, e = np.array([1, 2, 2, 4]), np.array([True, True, False, False])
    >>> clustered_std_error(day_counts(t, e), t, e, np.array([0, 0, 1, 1])).round(4).tolist()
    [0.1768, 0.3536, 0.3536]
    """
    rows = clustered_rows(counts.time, duration, churned, cluster, entry=entry)
    return clustered_survival_error(steps_of(counts), rows)


def clustered_survival_error(steps: Steps, rows: ClusteredRows) -> Floats:
    """Return the infinitesimal-jackknife standard error of Kaplan and Meier's survival.

    Parameters
    ----------
    steps : Steps
        Of these rows, the weights in them.
    rows : ClusteredRows

    Returns
    -------
    (n_times,) float64
        0 where survival is 1, NaN where it is 0: as with Greenwood's there is nothing left to vary.

    Notes
    -----
    Between two of its own entries and ends a cluster with m at risk changes at each time u by ``-m b(u)``, the same b
    for all clusters. So the sum of squares over all clusters moves by ``-2 b sum m U + b^2 sum m^2``, and ``sum m U``
    by ``-b sum m^2``: three running sums, and one correction at each entry and end. That is O(n log n) for the sort
    and O(n) in memory, whatever the number of clusters and times; no matrix of clusters by times exists.

    Examples
    --------
    Each row its own cluster, and nobody censored before: the binomial standard error, sqrt(.25 * .75 / 4).

    >>> t, e = np.array([1, 2, 2, 4]), np.array([True, False, False, False])
    >>> steps = Steps(np.array([1, 2, 4]), np.array([4.0, 3, 1]), np.array([1.0, 0, 0]))
    >>> clustered_survival_error(steps, clustered_rows(steps.time, t, e, np.arange(4))).round(4).tolist()
    [0.2165, 0.2165, 0.2165]
    """
    n, d = steps.n_at_risk, steps.n_events
    survival = np.cumprod((n - d) / n)
    # where survival reaches 0 it has no influence left; the times before it are all that count
    n_times = int(np.searchsorted(-survival, 0.0, side="left"))
    n, d = n[:n_times], d[:n_times]
    squares = _squares(rows, 1 / (n - d), d / (n * (n - d)))
    std_error = np.full(survival.size, np.nan)
    std_error[:n_times] = np.where(survival[:n_times] < 1, survival[:n_times] * np.sqrt(squares), 0.0)
    return std_error


def clustered_hazard_error(steps: Steps, rows: ClusteredRows) -> Floats:
    """Return the infinitesimal-jackknife standard error of Nelson and Aalen's cumulative hazard, shape (n_times,).

    Where the rows of a cluster are the times between the churns of one user, this is the robust standard error of the
    mean cumulative number of churns (Lawless and Nadeau 1995).

    Examples
    --------
    >>> t, e = np.array([1, 2, 2, 4]), np.array([True, True, False, False])
    >>> steps = Steps(np.array([1, 2, 4]), np.array([4.0, 3, 1]), np.array([1.0, 1, 0]))
    >>> clustered_hazard_error(steps, clustered_rows(steps.time, t, e, np.arange(4))).round(4).tolist()
    [0.2165, 0.3478, 0.3478]
    """
    n, d = steps.n_at_risk, steps.n_events
    changed = np.cumsum(d) > 0
    return np.where(changed, np.sqrt(_squares(rows, 1 / n, d / n**2)), 0.0)


def cluster_sums(rows: ClusteredRows, jump: Floats, drift: Floats) -> Floats:
    """Return the sum over the rows of each cluster of weight times influence, shape (n_clusters,).

    Parameters
    ----------
    rows : ClusteredRows
    jump : (n_times,)
        What a churn at each time adds.
    drift : (n_times,)
        What being at risk at each time takes away.

    Examples
    --------
    >>> rows = clustered_rows(np.array([1, 2]), np.array([1, 2]), np.array([True, False]), np.array([0, 1]))
    >>> cluster_sums(rows, np.array([0.5, 0.0]), np.array([0.25, 0.0])).tolist()
    [0.25, -0.25]
    """
    total = np.append(0.0, np.cumsum(drift))
    influence = np.where(rows.churned, jump[rows.end], 0.0)
    influence -= total[rows.end + 1] - total[rows.start]
    if rows.weights is not None:
        influence *= rows.weights
    return np.asarray(np.bincount(rows.cluster, influence, minlength=rows.n_clusters), dtype=np.float64)


def _squares(rows: ClusteredRows, a: Floats, b: Floats) -> Floats:
    """Return the sum over clusters of U_c(t)^2 at each of the first times, as many as a and b have."""
    n_times = b.size
    begins = rows.start == 0
    enters, ends = (rows.start > 0) & (rows.start <= n_times), rows.end < n_times
    if rows.weights is None:
        steps = np.repeat([1, -1], [int(enters.sum()), int(ends.sum())])
        from_start = np.bincount(rows.cluster[begins], minlength=rows.n_clusters)
    else:
        steps = np.concatenate([rows.weights[enters], -rows.weights[ends]])
        from_start = np.bincount(rows.cluster[begins], rows.weights[begins], minlength=rows.n_clusters)
    jump = np.where(rows.churned[ends], a[rows.end[ends]], 0.0)
    if rows.weights is not None:
        jump *= rows.weights[ends]
    return _sum_of_squares(
        cluster=np.concatenate([rows.cluster[enters], rows.cluster[ends]]),
        at=np.concatenate([rows.start[enters] - 1, rows.end[ends]]),
        step=steps,
        jump=np.concatenate([np.zeros(int(enters.sum())), jump]),
        from_start=from_start,
        b=b,
    )


def _sum_of_squares(
    *, cluster: Indices, at: Indices, step: NDArray[Any], jump: Floats, from_start: NDArray[Any], b: Floats
) -> Floats:
    """Return the sum over clusters of U_c(t)^2 at each time.

    A change takes place just after time `at`: what the cluster has at risk goes up by `step`, its U by `jump`. Each
    cluster begins with `from_start` at risk and U = 0.
    """
    order = np.argsort(cluster * np.int64(b.size) + at, kind="stable")
    cluster, at, step, jump = cluster[order], at[order], step[order], jump[order]
    first = np.flatnonzero(np.diff(cluster, prepend=-1))
    total = np.cumsum(b)
    m_after = running_in_segments(step, first) + from_start[cluster]
    m_before = m_after - step
    since = np.diff(total[at], prepend=0.0)
    since[first] = total[at[first]]
    drift = -m_before * since
    u_after = running_in_segments(drift + jump, first)
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
