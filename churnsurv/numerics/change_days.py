"""Rows on a run of whole days: who is at risk and ends on each, how much users differ, and other samples of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only

__all__ = ["DayRows", "DayTable", "day_rows", "dispersions", "resampled_tables"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class DayTable:
    """Users at risk and events by day, (n_days,) float64."""

    at_risk: Floats
    events: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DayRows:
    """Rows at risk on days numbered from 0, arrays (n,).

    Attributes
    ----------
    start, end : int64
        First and last day at risk.
    event : bool
        On the last day.
    frequency : float64, or None
    cluster : integer, or None
    n_clusters, n_days : int
    """

    start: Ints
    end: Ints
    event: NDArray[np.bool_]
    frequency: Floats | None
    cluster: NDArray[np.integer[Any]] | None
    n_clusters: int
    n_days: int

    def table(self, weights: Floats | None = None) -> DayTable:
        """Count by day; `weights` (n,) in place of the frequencies.

        Examples
        --------
        >>> rows = day_rows(np.array([2, 3]), np.array([True, False]), None, first=1, last=3)
        >>> rows.table().at_risk.tolist(), rows.table().events.tolist()
        ([2.0, 2.0, 1.0], [0.0, 1.0, 0.0])
        """
        w = self.frequency if weights is None else weights
        change = np.bincount(self.start, w, self.n_days + 1) - np.bincount(self.end + 1, w, self.n_days + 1)
        ended = np.bincount(self.end[self.event], None if w is None else w[self.event], self.n_days)
        at_risk, events = np.cumsum(change)[:-1].astype(np.float64), ended.astype(np.float64)
        read_only(at_risk, events)
        return DayTable(at_risk, events)


def day_rows(
    duration: NDArray[Any],
    event: NDArray[np.bool_],
    entry: NDArray[Any] | None,
    *,
    first: int,
    last: int,
    frequency: Floats | None = None,
    cluster: NDArray[np.integer[Any]] | None = None,
    n_clusters: int = 0,
) -> DayRows:
    """Keep what happens on the days first ... last; later ends are censored there.

    Parameters
    ----------
    duration : (n,) whole numbers
    event : (n,) bool
    entry : (n,) whole numbers, or None
        At risk in (entry, duration].
    first, last : int
    frequency, cluster : (n,), or None
    n_clusters : int

    Examples
    --------
    >>> day_rows(np.array([2, 9]), np.array([True, True]), None, first=3, last=5).event.tolist()
    [False]
    """
    end = np.minimum(duration.astype(np.int64), last)
    begin = np.full(end.shape, first) if entry is None else np.maximum(entry.astype(np.int64) + 1, first)
    kept = np.flatnonzero(begin <= end)
    there = event[kept] & (duration[kept] <= last)
    return DayRows(
        begin[kept] - first, end[kept] - first, there,
        None if frequency is None else frequency[kept], None if cluster is None else cluster[kept],
        n_clusters, last - first + 1,
    )  # fmt: skip


def dispersions(rows: DayRows, starts: Ints, hazards: Floats) -> Floats:
    """Variance between clusters over the binomial one, by segment, (n_segments,).

    With r_c the events of a cluster on the days of a segment less the hazard times its days at risk, this is the sum of
    r_c^2 over N p (1 - p). 1 without clusters, and where nothing or everything ends.

    Examples
    --------
    >>> one = day_rows(np.array([1, 2]), np.array([True, True]), None, first=1, last=2)
    >>> dispersions(one, np.array([0]), np.array([2 / 3])).tolist()
    [1.0]
    """
    found = np.ones(starts.size)
    if rows.cluster is None:
        return found
    for k, (a, b) in enumerate(pairwise((*starts.tolist(), rows.n_days))):
        p = float(hazards[k])
        exposed = np.minimum(rows.end, b - 1) - np.maximum(rows.start, a) + 1.0
        np.maximum(exposed, 0.0, out=exposed)
        residual = (rows.event & (rows.end >= a) & (rows.end < b)) - p * exposed
        if rows.frequency is not None:
            residual, exposed = residual * rows.frequency, exposed * rows.frequency
        by_cluster = np.bincount(rows.cluster, residual, rows.n_clusters)
        binomial = exposed.sum() * p * (1 - p)
        if binomial > 0:
            found[k] = float(by_cluster @ by_cluster) / binomial
    return found


def resampled_tables(rows: DayRows, n_resamples: int, rng: np.random.Generator) -> list[DayTable]:
    """Count resamples of users, or of clusters of rows.

    Examples
    --------
    >>> rows = day_rows(np.array([1, 2, 2]), np.array([True, True, False]), None, first=1, last=2)
    >>> [each.at_risk[0] for each in resampled_tables(rows, 2, np.random.default_rng(0))]
    [np.float64(3.0), np.float64(3.0)]
    """
    if rows.cluster is not None:
        tables = []
        for _ in range(n_resamples):
            times = rng.multinomial(rows.n_clusters, np.full(rows.n_clusters, 1 / rows.n_clusters))[rows.cluster]
            tables.append(rows.table(times if rows.frequency is None else times * rows.frequency))
        return tables
    key = (rows.start * rows.n_days + rows.end) * 2 + rows.event
    cells, place = np.unique(key, return_inverse=True)
    count = np.bincount(place, rows.frequency, cells.size)
    joined = DayRows(cells // 2 // rows.n_days, cells // 2 % rows.n_days, cells % 2 == 1, None, None, 0, rows.n_days)
    n = round(float(count.sum()))
    return [joined.table(rng.multinomial(n, count / count.sum()).astype(np.float64)) for _ in range(n_resamples)]
