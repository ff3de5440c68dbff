"""What the log-rank family needs of the rows: who is at risk and who churns, by group, on each day with churn.

One pass over the rows counts them by stratum, group and day. Everything else (tests with any weights, hazard ratios
between the groups, areas under their curves) follows from these few numbers, with late entry too: only clusters and
sampling weights need the rows again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import DayCounts, day_counts, read_only, time_index
from churnsurv.numerics.weighted_counts import Steps, running_in_segments

__all__ = ["EventSets", "GroupCounts", "GroupRows", "count_groups"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

# cells of (stratum, group, time) that are counted in one go; beyond it strata are taken one by one
_MOST_CELLS = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class GroupRows:
    """The rows of groups that are compared; arrays have the shape (n,).

    Attributes
    ----------
    duration, churned : at risk in (entry, duration]
    group : 0 ... n_groups - 1
    entry : or None: from before day 0
    stratum : 0 ... n_strata - 1, or None
    weights : float64 > 0, or None
    sampling : bool
        The weights are sampling weights; else a row stands for so many users.
    cluster : 0 ... n_clusters - 1, or None
    """

    duration: NDArray[Any]
    churned: NDArray[np.bool_]
    group: Codes
    n_groups: int
    entry: NDArray[Any] | None = None
    stratum: Codes | None = None
    n_strata: int = 1
    weights: Floats | None = None
    sampling: bool = False
    cluster: Codes | None = None
    n_clusters: int = 0

    @property
    def robust(self) -> bool:
        """Whether variances come from the rows: they depend on each other, or were drawn."""
        return self.cluster is not None or self.sampling

    @property
    def frequency(self) -> Floats | None:
        """The weights, where they are frequencies."""
        return None if self.sampling else self.weights

    def clusters(self) -> tuple[Codes, int]:
        """Return the clusters and their number; each row is its own where there are none."""
        if self.cluster is not None:
            return self.cluster, self.n_clusters
        return np.arange(self.duration.shape[0]), int(self.duration.shape[0])

    def take(self, rows: NDArray[Any]) -> GroupRows:
        """Return some rows.

        Examples
        --------
        >>> rows = GroupRows(np.array([1, 2]), np.array([True, False]), np.array([0, 1]), 2)
        >>> rows.take(np.array([1])).duration.tolist()
        [2]
        """
        picked = (
            None if column is None else column[rows]
            for column in (self.entry, self.stratum, self.weights, self.cluster)
        )
        entry, stratum, weights, cluster = picked
        return GroupRows(
            self.duration[rows], self.churned[rows], self.group[rows], self.n_groups, entry, stratum,
            self.n_strata, weights, self.sampling, cluster, self.n_clusters,
        )  # fmt: skip

    def of_groups(self, groups: Sequence[int]) -> GroupRows:
        """Return the rows of some groups, which are numbered anew in this order.

        Examples
        --------
        >>> rows = GroupRows(np.array([1, 2, 3]), np.ones(3, bool), np.array([0, 1, 2]), 3)
        >>> rows.of_groups([2, 0]).group.tolist()
        [1, 0]
        """
        number = np.full(self.n_groups, -1)
        number[list(groups)] = np.arange(len(groups))
        new = number[self.group]
        kept = np.flatnonzero(new >= 0)
        taken = self.take(kept)
        return GroupRows(
            taken.duration, taken.churned, new[kept], len(groups), taken.entry, taken.stratum,
            self.n_strata, taken.weights, self.sampling, taken.cluster, self.n_clusters,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class EventSets:
    """The risk sets of all days with churn, stratum by stratum in order of time.

    Attributes
    ----------
    time, stratum : (n_sets,)
    strata : (n_strata + 1,) int64
        Where the sets of each stratum begin.
    at_risk, churned : (n_sets, n_groups) float64
        Weights in them.
    n_at_risk, n_churned : (n_sets, n_groups) float64
        Rows, each as often as its frequency says; the same arrays but for sampling weights.
    """

    time: NDArray[Any]
    stratum: NDArray[np.int64]
    strata: NDArray[np.int64]
    at_risk: Floats
    churned: Floats
    n_at_risk: Floats
    n_churned: Floats

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.at_risk.shape[1])

    def of_groups(self, groups: Sequence[int]) -> EventSets:
        """Return the risk sets of some groups alone, those in which one of them churns.

        Examples
        --------
        >>> rows = GroupRows(np.array([1, 2, 3]), np.ones(3, bool), np.array([0, 1, 2]), 3)
        >>> count_groups(rows).sets.of_groups([0, 2]).at_risk.tolist()
        [[1.0, 1.0], [0.0, 1.0]]
        """
        chosen = list(groups)
        kept = self.n_churned[:, chosen].any(axis=1)
        begins = np.append(0, np.cumsum(kept))[self.strata]

        def cut(counts: Floats) -> Floats:
            return np.ascontiguousarray(counts[kept][:, chosen])

        at_risk, churned = cut(self.at_risk), cut(self.churned)
        rows = (at_risk, churned) if self.n_at_risk is self.at_risk else (cut(self.n_at_risk), cut(self.n_churned))
        return EventSets(self.time[kept], self.stratum[kept], begins, at_risk, churned, *rows)


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """What one pass over the rows finds.

    Attributes
    ----------
    sets : EventSets
    curves : tuple of Steps
        Of each group, over all strata: at risk and churned at the times at which rows of any group end, while
        somebody of the group is at risk; no times where nobody ever is.
    n : (n_groups,)
        Rows (users, where weights are frequencies), with those that are never at risk.
    """

    sets: EventSets
    curves: tuple[Steps, ...]
    n: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Counts of one or several strata at all times, (n_strata, n_groups, n_times)."""

    time: NDArray[Any]
    at_risk: Floats
    churned: Floats
    n_at_risk: Floats
    n_churned: Floats
    n: NDArray[np.int64]


def count_groups(rows: GroupRows) -> GroupCounts:
    """Count rows by stratum, group and time.

    Examples
    --------
    >>> rows = GroupRows(np.array([1, 2, 2, 4]), np.array([True, True, False, False]), np.array([0, 1, 0, 1]), 2)
    >>> counts = count_groups(rows)
    >>> counts.sets.at_risk.tolist(), counts.sets.churned.tolist()
    ([[2.0, 2.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    found: list[EventSets] = []
    n = np.zeros(rows.n_groups, dtype=np.int64)
    grid = None
    for first, part in _parts(rows):
        grid = _counted(part)
        found.append(_event_sets(grid, first))
        n += grid.n
    if grid is None or grid.at_risk.shape[0] != rows.n_strata:
        grid = _counted(_without_strata(rows))
    sets = found[0] if len(found) == 1 else _joined(found)
    strata = np.searchsorted(sets.stratum, np.arange(rows.n_strata + 1))
    sets = EventSets(
        sets.time, sets.stratum, strata, sets.at_risk, sets.churned, sets.n_at_risk, sets.n_churned
    )  # fmt: skip
    read_only(*(getattr(sets, name) for name in EventSets.__slots__), n)
    return GroupCounts(sets, _curves(grid), n)


def _parts(rows: GroupRows) -> Iterator[tuple[int, GroupRows]]:
    """All strata at once while their grid of counts is of reasonable size, else one by one; with the first stratum."""
    n_times = rows.duration.size
    if rows.duration.dtype.kind in "iu" and n_times:
        n_times = min(n_times, int(rows.duration.max()) - int(rows.duration.min()) + 1)
    if rows.stratum is None or rows.n_strata == 1 or rows.n_strata * rows.n_groups * n_times <= _MOST_CELLS:
        yield 0, rows
        return
    order = np.argsort(rows.stratum, kind="stable")
    ends = np.cumsum(np.bincount(rows.stratum, minlength=rows.n_strata))
    for stratum, taken in enumerate(np.split(order, ends[:-1])):
        if taken.size:
            yield stratum, _without_strata(rows.take(taken))


def _without_strata(rows: GroupRows) -> GroupRows:
    return GroupRows(
        rows.duration, rows.churned, rows.group, rows.n_groups, rows.entry, weights=rows.weights, sampling=rows.sampling
    )


def _counted(rows: GroupRows) -> _Grid:
    cell = rows.group
    if rows.stratum is not None:
        cell = rows.stratum.astype(np.int64) * rows.n_groups + rows.group
    counts = day_counts(
        rows.duration, rows.churned, entry=rows.entry, group=cell, n_groups=rows.n_strata * rows.n_groups
    )
    shape = (rows.n_strata, rows.n_groups, counts.time.size)
    n_at_risk, n_churned = (c.astype(np.float64).reshape(shape) for c in (counts.n_at_risk, counts.n_events))
    n = (counts.n_rows + counts.n_no_risk).reshape(-1, rows.n_groups).sum(axis=0)
    if rows.weights is None:
        return _Grid(counts.time, n_at_risk, n_churned, n_at_risk, n_churned, n)
    at_risk, churned = (sums.reshape(shape) for sums in _weighted(rows, rows.weights, cell, counts))
    if rows.sampling:
        return _Grid(counts.time, at_risk, churned, n_at_risk, n_churned, n)
    users = np.rint(np.bincount(rows.group, rows.weights, rows.n_groups)).astype(np.int64)
    return _Grid(counts.time, at_risk, churned, at_risk, churned, users)


def _weighted(rows: GroupRows, weights: Floats, cell: Codes, counts: DayCounts) -> tuple[Floats, Floats]:
    """Sums of weights at risk and churned, (n_cells, n_times)."""
    duration, churned, entry = rows.duration, rows.churned, rows.entry
    if entry is not None:
        held = entry < duration
        duration, churned, entry, cell, weights = duration[held], churned[held], entry[held], cell[held], weights[held]
    n_cells, n_times = counts.n_at_risk.shape
    first = cell.astype(np.int64) * n_times
    place = first + time_index(counts.time, duration)
    size = n_cells * n_times
    ended: Floats = np.bincount(place, weights, size).astype(np.float64)
    events: Floats = np.bincount(place[churned], weights[churned], size).astype(np.float64)
    rows_left = (counts.n_at_risk - counts.n_events - counts.n_censored).ravel()
    at_risk: Floats
    if entry is None:
        at_risk = np.cumsum(ended.reshape(n_cells, n_times)[:, ::-1], axis=1)[:, ::-1].ravel()
    else:
        change = np.bincount(first + time_index(counts.time, entry, side="right"), weights, size).astype(np.float64)
        change[1:] -= np.where(rows_left == 0, 0.0, ended)[:-1]
        # a risk set that all have left begins anew, from nothing; so does each cell, whose last time all have left
        begins = np.append(True, rows_left[:-1] == 0)[:size]
        at_risk = running_in_segments(change, np.flatnonzero(begins))
    at_risk = np.where(rows_left == 0, ended, np.maximum(at_risk, ended))
    return at_risk.reshape(n_cells, n_times), events.reshape(n_cells, n_times)


def _event_sets(grid: _Grid, first_stratum: int) -> EventSets:
    with_churn = grid.n_churned.any(axis=1)
    stratum, place = np.nonzero(with_churn)

    def cut(counts: Floats) -> Floats:
        return np.ascontiguousarray(counts.transpose(0, 2, 1)[with_churn])

    at_risk, churned = cut(grid.at_risk), cut(grid.churned)
    rows = (at_risk, churned) if grid.n_at_risk is grid.at_risk else (cut(grid.n_at_risk), cut(grid.n_churned))
    none = np.zeros(0, dtype=np.int64)
    return EventSets(grid.time[place], stratum + first_stratum, none, at_risk, churned, *rows)


def _joined(found: Sequence[EventSets]) -> EventSets:
    def together(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(sets, name) for sets in found])

    at_risk, churned = together("at_risk"), together("churned")
    rows = (at_risk, churned)
    if found[0].n_at_risk is not found[0].at_risk:
        rows = (together("n_at_risk"), together("n_churned"))
    return EventSets(together("time"), together("stratum"), found[0].strata, at_risk, churned, *rows)


def _curves(grid: _Grid) -> tuple[Steps, ...]:
    at_risk, churned = grid.at_risk.sum(axis=0), grid.churned.sum(axis=0)
    somebody = grid.n_at_risk.sum(axis=0) > 0
    curves = []
    for there, n, d in zip(somebody, at_risk, churned, strict=True):
        steps = Steps(grid.time[there], n[there], d[there])
        read_only(steps.time, steps.n_at_risk, steps.n_events)
        curves.append(steps)
    return tuple(curves)
