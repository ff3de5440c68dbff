"""Counts by group and day: the few numbers that curves and log-rank tests need of the rows.

A row is at risk on time t where ``entry < t <= duration``. Whole days are counted in one pass over the rows, group,
day and outcome fused into one cell; other times are sorted first. Times are compared exactly: round them before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DayCounts", "counts_by_group", "day_counts", "read_only", "time_index"]

Days: TypeAlias = NDArray[Any]
Codes: TypeAlias = NDArray[np.integer[Any]]
Counts: TypeAlias = NDArray[np.int64]

# rows of this many fit the first-level caches with their cells; larger grids of cells take larger chunks
_CHUNK = 65_536
_SMALL_GRID = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class DayCounts:
    """Rows at risk, churned and censored by group and time.

    Attributes
    ----------
    time : (n_times,)
        Distinct times, ascending, at which a row of any group ends; integer where durations are.
    n_at_risk : (n_groups, n_times)
        Rows with ``entry < time <= duration``.
    n_events, n_censored : (n_groups, n_times)
        Rows at risk that end at the time, with and without the event.
    entry_time : (n_entries,)
        Distinct entry times, ascending; empty where everybody is at risk from before day 0.
    n_entered : (n_groups, n_entries)
        Rows that enter at each of them.
    n_rows : (n_groups,)
        Rows that are ever at risk.
    n_no_risk : (n_groups,)
        Rows with ``duration <= entry``, which are counted nowhere else.
    """

    time: Days
    n_at_risk: Counts
    n_events: Counts
    n_censored: Counts
    entry_time: Days
    n_entered: Counts
    n_rows: Counts
    n_no_risk: Counts

    def of(self, group: int) -> DayCounts:
        """Return the counts of one group, at the times at which its own rows end or enter.

        Examples
        --------
        >>> both = day_counts(np.array([2, 3]), np.array([True, True]), group=np.array([0, 1]), n_groups=2)
        >>> both.of(1).time.tolist()
        [3]
        """
        ends = (self.n_events[group] + self.n_censored[group]) > 0
        enters = self.n_entered[group] > 0
        one = slice(group, group + 1)
        return _frozen(
            time=self.time[ends],
            n_at_risk=self.n_at_risk[one, ends],
            n_events=self.n_events[one, ends],
            n_censored=self.n_censored[one, ends],
            entry_time=self.entry_time[enters],
            n_entered=self.n_entered[one, enters],
            n_rows=self.n_rows[one],
            n_no_risk=self.n_no_risk[one],
        )

    def at_risk(self, times: NDArray[Any]) -> Counts:
        """Count rows at risk at any times, shape (n_groups, len(times)).

        At time 0 the rows that enter on day 0 count as at risk, although their risk begins just after it: the curve
        starts with them.

        Examples
        --------
        >>> counts = day_counts(np.array([2, 3]), np.array([True, True]), entry=np.array([0, 1]))
        >>> counts.at_risk(np.array([0, 1, 2, 3, 4])).tolist()
        [[1, 1, 2, 1, 0]]
        """
        ended = _running(self.n_events + self.n_censored)[:, np.searchsorted(self.time, times, side="left")]
        if self.entry_time.size == 0:
            return self.n_rows[:, None] - ended
        entered = np.searchsorted(self.entry_time, times, side="left")
        entered[times == 0] = np.searchsorted(self.entry_time, 0, side="right")
        return _running(self.n_entered)[:, entered] - ended


def day_counts(
    duration: Days,
    churned: NDArray[np.bool_],
    *,
    entry: Days | None = None,
    group: Codes | None = None,
    n_groups: int = 1,
) -> DayCounts:
    """Count rows by group and time.

    Parameters
    ----------
    duration : (n,) integer or float
        Finite and >= 0.
    churned : (n,) bool
    entry : (n,) integer or float, optional
        At risk in (entry, duration]. None: from before day 0, so that events at time 0 count.
    group : (n,) integer, optional
        0 ... n_groups - 1; None for one group.
    n_groups : int

    Returns
    -------
    DayCounts
        O(n) for whole days, O(n log n) otherwise.

    Examples
    --------
    >>> counts = day_counts(np.array([2, 5, 5, 7]), np.array([True, True, False, False]))
    >>> counts.time.tolist(), counts.n_at_risk.tolist(), counts.n_events.tolist()
    ([2, 5, 7], [[4, 3, 1]], [[1, 1, 0]])
    """
    span = _grid(duration, entry, n_groups)
    if span is None:
        return _by_sorting(duration, churned, entry, group, n_groups)
    return _by_grid(duration, churned, entry, group, n_groups, *span)


def counts_by_group(
    duration: Days,
    churned: NDArray[np.bool_],
    *,
    entry: Days | None = None,
    group: Codes | None = None,
    n_groups: int = 1,
) -> list[DayCounts]:
    """Return `day_counts` of each group alone, at its own times; memory stays O(n) for any times.

    Examples
    --------
    >>> counts = counts_by_group(
    ...     np.array([0.5, 2.5, 1.5]), np.array([True, True, True]), group=np.array([0, 1, 0]), n_groups=2
    ... )
    >>> [c.time.tolist() for c in counts]
    [[0.5, 1.5], [2.5]]
    """
    if group is None or _grid(duration, entry, n_groups) is not None:
        counts = day_counts(duration, churned, entry=entry, group=group, n_groups=n_groups)
        return [counts.of(g) for g in range(n_groups)]
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group, minlength=n_groups))[:-1])
    return [
        _by_sorting(duration[rows], churned[rows], None if entry is None else entry[rows], None, 1) for rows in parts
    ]


def time_index(times: Days, values: Days, side: Literal["left", "right"] = "left") -> NDArray[np.intp]:
    """Return ``searchsorted(times, values, side)``, by a table of days where both are integers.

    Examples
    --------
    >>> time_index(np.array([2, 5]), np.array([0, 2, 3, 9])).tolist()
    [0, 0, 1, 2]
    """
    table: Days = values
    if values.size and times.dtype.kind in "iu" and values.dtype.kind in "iu":
        lowest, highest = int(values.min()), int(values.max())
        if highest - lowest <= max(_SMALL_GRID, values.size):
            table = np.arange(lowest, highest + 1)
    at = np.asarray(np.searchsorted(times, table, side=side))
    return at if table is values else at[values - lowest]


def read_only(*arrays: NDArray[Any]) -> None:
    """Make arrays read-only: results don't change.

    Examples
    --------
    >>> days = np.array([1, 2])
    >>> read_only(days)
    >>> days.flags.writeable
    False
    """
    for array in arrays:
        array.setflags(write=False)


def _frozen(**arrays: NDArray[Any]) -> DayCounts:
    read_only(*arrays.values())
    return DayCounts(**arrays)


def _running(counts: Counts) -> Counts:
    """Cumulative sums along the last axis with a zero in front."""
    return np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))


def _chunks(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _whole(values: Days) -> bool:
    if values.dtype.kind in "iu":
        return True
    return all(bool((values[c] == np.rint(values[c])).all()) for c in _chunks(values.size, _CHUNK))


def _grid(duration: Days, entry: Days | None, n_groups: int) -> tuple[int, int] | None:
    """First day and number of days of a grid that holds every time, if there is one of reasonable size."""
    if duration.size == 0:
        return None
    lowest, highest = duration.min(), duration.max()
    if entry is not None:
        lowest, highest = min(lowest, entry.min()), max(highest, entry.max())
    width = float(highest) - float(lowest) + 1
    if 2 * n_groups * width > max(_SMALL_GRID, 4 * duration.size):
        return None
    if not (_whole(duration) and (entry is None or _whole(entry))):
        return None
    return int(lowest), int(width)


def _by_grid(
    duration: Days,
    churned: NDArray[np.bool_],
    entry: Days | None,
    group: Codes | None,
    n_groups: int,
    lowest: int,
    width: int,
) -> DayCounts:
    """One pass in chunks that stay in the cache: cell = (group * width + day) * 2 + event."""
    n_cells = n_groups * width
    ended = np.zeros(2 * n_cells, dtype=np.int64)
    entered = np.zeros(n_cells if entry is not None else 0, dtype=np.int64)
    no_risk = np.zeros(n_groups, dtype=np.int64)
    for rows in _chunks(duration.size, max(_CHUNK, 2 * n_cells)):
        offset = _offsets(group, rows, width, lowest)
        cell = _add(offset, duration[rows])
        cell *= 2
        cell += churned[rows]
        if entry is not None:
            start = _add(offset, entry[rows])
            never = entry[rows] >= duration[rows]
            if never.any():
                which = np.zeros(int(never.sum()), dtype=np.int64) if group is None else group[rows][never]
                no_risk += np.bincount(which, minlength=n_groups)
                cell, start = cell[~never], start[~never]
            entered += np.bincount(start, minlength=n_cells)
        ended += np.bincount(cell, minlength=2 * n_cells)
    days: Days = np.arange(lowest, lowest + width).astype(_time_type(duration))
    return _assembled(days, ended.reshape(n_groups, width, 2), entered.reshape(n_groups, -1), days, no_risk)


def _offsets(group: Codes | None, rows: slice, width: int, lowest: int) -> NDArray[np.int64] | int:
    if group is None:
        return -lowest
    offset = np.multiply(group[rows], width, dtype=np.int64, casting="unsafe")
    if lowest:
        offset -= lowest
    return offset


def _add(offset: NDArray[np.int64] | int, days: Days) -> NDArray[np.int64]:
    out = np.empty(days.shape, dtype=np.int64)
    np.add(days, offset, out=out, casting="unsafe")
    return out


def _by_sorting(
    duration: Days, churned: NDArray[np.bool_], entry: Days | None, group: Codes | None, n_groups: int
) -> DayCounts:
    codes = np.zeros(duration.size, dtype=np.int64) if group is None else group.astype(np.int64)
    no_risk = np.zeros(n_groups, dtype=np.int64)
    if entry is not None:
        never = entry >= duration
        no_risk = np.bincount(codes[never], minlength=n_groups)
        duration, churned, entry, codes = duration[~never], churned[~never], entry[~never], codes[~never]
    times, day = np.unique(duration, return_inverse=True)
    cells = (codes * times.size + day) * 2 + churned
    ended = np.bincount(cells, minlength=2 * n_groups * times.size).reshape(n_groups, times.size, 2)
    if entry is None:
        nobody = np.zeros((n_groups, 0), dtype=np.int64)
        return _assembled(times.astype(_time_type(duration)), ended, nobody, times[:0], no_risk)
    entries, first = np.unique(entry, return_inverse=True)
    entered = np.bincount(codes * entries.size + first, minlength=n_groups * entries.size)
    return _assembled(
        times.astype(_time_type(duration)), ended, entered.reshape(n_groups, entries.size), entries, no_risk
    )


def _time_type(duration: Days) -> type:
    return np.float64 if duration.dtype.kind == "f" else np.int64


def _assembled(times: Days, ended: Counts, entered: Counts, entry_times: Days, no_risk: Counts) -> DayCounts:
    """Cut the grid to the times where something happens, and sum the counts to risk sets."""
    keep = ended.any(axis=(0, 2))
    time, ended = times[keep], ended[:, keep]
    ends = ended.sum(axis=2)
    before = _running(ends)[:, :-1]
    if entered.shape[1] == 0:
        n_rows = ends.sum(axis=1)
        at_risk, entry_time = n_rows[:, None] - before, times[:0]
    else:
        some = entered.any(axis=0)
        entry_time, entered = entry_times[some], entered[:, some]
        n_rows = entered.sum(axis=1)
        at_risk = _running(entered)[:, np.searchsorted(entry_time, time, side="left")] - before
    return _frozen(
        time=time,
        n_at_risk=at_risk,
        n_events=np.ascontiguousarray(ended[:, :, 1]),
        n_censored=np.ascontiguousarray(ended[:, :, 0]),
        entry_time=entry_time,
        n_entered=entered,
        n_rows=n_rows,
        n_no_risk=no_risk,
    )
