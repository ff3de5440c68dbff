"""Who is at risk when: rows mapped to the days with events of their stratum, called slots.

A row is at risk on day t where ``entry < t <= duration``. Only days with events matter to Cox's likelihood, so each
(stratum, day with events) is a slot, in order of stratum and day. A row then covers the slots after one and up to
another, and any risk-set sum is a difference of running sums: one pass over the rows, one over the slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import time_index
from churnsurv.numerics.threads import by_chunks

__all__ = ["RiskSets", "risk_sets", "running_sums"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_SMALL_GRID = 1 << 20
_CHUNK = 65_536
_LARGEST_GRID = 1 << 29  # two cells a day, numbered in 32 bits
_ROWS = 16
_LOWER = np.tril(np.ones((_ROWS, _ROWS)))
_UPPER = np.triu(np.ones((_ROWS, _ROWS)))


@dataclass(frozen=True, slots=True, eq=False)
class RiskSets:
    """The rows' places among `n_slots` slots.

    Attributes
    ----------
    place : (n,) int32
        ``2 * slot + event``, slot the last one at which the row is at risk; ``2 * n_slots`` where there is none.
    start : (n,) int32, or None
        Last slot before the row came under observation, within its segment; `n_slots` where it was there from the
        first. None where that is true of all rows.
    event : (n,) bool
        Events of rows at risk.
    time, stratum : (n_slots,)
    n_events, n_at_risk : (n_slots,) int64
        Counts, rows weighted by their frequency.
    strata : (n_strata + 1,) int64
        Where the slots of each stratum begin.
    segments : (n_segments + 1,) int64
        Where runs of slots begin that share rows at risk: strata, cut again where a risk set runs empty. Risk-set
        sums are taken within segments, so that an empty risk set leaves no rounding error behind.
    n_no_risk : int
        Rows with duration equal to entry, weighted by their frequency.
    """

    place: NDArray[np.int32]
    start: NDArray[np.int32] | None
    event: NDArray[np.bool_]
    time: NDArray[Any]
    stratum: Ints
    n_events: Ints
    n_at_risk: Ints
    strata: Ints
    segments: Ints
    n_no_risk: int

    @property
    def n_slots(self) -> int:
        """Number of (stratum, day with events)."""
        return int(self.time.shape[0])

    def at_risk(self) -> NDArray[np.bool_]:
        """Mark the rows that are at risk on some day with events."""
        marked: NDArray[np.bool_] = self.place < 2 * self.n_slots
        return marked

    def sums(self, by_place: Floats, by_start: Floats | None) -> tuple[Floats, Floats]:
        """Turn sums over rows by place (and by start) into sums over risk sets and over tied events.

        Parameters
        ----------
        by_place : (2 * n_slots + 1, ...) float64
        by_start : (n_slots + 1, ...) float64, or None

        Returns
        -------
        (n_slots, ...) float64, twice
            Sums over the rows at risk, and over those with the event.
        """
        pairs = by_place[:-1].reshape(self.n_slots, 2, *by_place.shape[1:])
        tied = np.ascontiguousarray(pairs[:, 1])
        change = pairs[:, 0] + tied
        if by_start is not None:
            change -= by_start[:-1]
        total = running_sums(change, self.segments, backwards=True)
        # exact where everybody at risk has the event: no rounding may put S0 below D0
        all_tied = self.n_events == self.n_at_risk
        total[all_tied] = tied[all_tied]
        return total, tied


def risk_sets(
    duration: NDArray[Any],
    event: NDArray[np.bool_],
    *,
    entry: NDArray[Any] | None = None,
    stratum: NDArray[np.integer[Any]] | None = None,
    n_strata: int = 1,
    frequency: NDArray[np.integer[Any]] | None = None,
) -> RiskSets:
    """Map rows to slots.

    Parameters
    ----------
    duration : (n,) integer or float
        Finite and >= 0. Whole days are counted in O(n); other times are sorted.
    event : (n,) bool
    entry : (n,) integer or float, optional
        At risk in (entry, duration]. None: from before day 0, so that events at time 0 count.
    stratum : (n,) integer, optional
        0 ... n_strata - 1.
    n_strata : int
    frequency : (n,) integer, optional
        A row stands for so many equal rows.

    Examples
    --------
    Two events on day 5 and one on day 9; the fourth user enters after day 5.

    >>> sets = risk_sets(np.array([5, 5, 9, 12]), np.array([True, True, True, False]), entry=np.array([0, 0, 0, 6]))
    >>> sets.time.tolist(), sets.n_events.tolist(), sets.n_at_risk.tolist()
    ([5, 9], [2, 1], [3, 2])
    """
    if entry is None and (days := _whole_days([duration], n_strata)) is not None:
        return _by_table(duration, event, stratum, n_strata, frequency, *days)
    no_risk = None if entry is None else entry >= duration
    if no_risk is not None and no_risk.any():
        event = event & ~no_risk
    codes = np.zeros(1, dtype=np.int64) if stratum is None else stratum.astype(np.int64)
    day, entry_day, times = _days(duration, entry, event)
    width = times.shape[0]
    slot_cells, last = _slots(codes * width + day, event, n_strata * width)
    n_slots = slot_cells.shape[0]
    strata = np.searchsorted(slot_cells, np.arange(n_strata + 1) * width).astype(np.int64)
    last = np.where(last < strata[codes], n_slots, last)
    before = None
    if entry_day is not None:
        before = time_index(slot_cells, codes * width + entry_day, side="right") - 1
        last[last <= before] = n_slots
    leaving = _count(last, frequency, n_slots + 1)[:-1]
    start, segments, n_at_risk = _starts(last, before, strata, leaving, frequency)
    return RiskSets(
        place=(2 * last + event).astype(np.int32),
        start=start,
        event=event,
        time=times[slot_cells % width],
        stratum=slot_cells // width,
        n_events=_count(last[event], None if frequency is None else frequency[event], n_slots),
        n_at_risk=n_at_risk,
        strata=strata,
        segments=segments,
        n_no_risk=_how_many(no_risk, frequency),
    )


def running_sums(values: Floats, offsets: Ints, *, backwards: bool = False) -> Floats:
    """Cumulative sums along the first axis that start afresh at each of `offsets`.

    Parameters
    ----------
    values : (n, ...) float64
    offsets : (n_segments + 1,) int64
        Where segments begin; the last one is n.
    backwards : bool
        Sum from the end of each segment to its beginning.

    Examples
    --------
    >>> running_sums(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 3, 4])).tolist()
    [1.0, 3.0, 6.0, 4.0]
    """
    n_segments = offsets.shape[0] - 1
    if values.shape[0] < 32 * n_segments and n_segments > 1:
        turned = slice(None, None, -1 if backwards else 1)
        return _doubled(values[turned], values.shape[0] - offsets[turned] if backwards else offsets)[turned]
    out = np.empty(values.shape)
    for first, after in pairwise(offsets.tolist()):
        _cumulate(values[first:after], out[first:after], backwards=backwards)
    return out


def _cumulate(values: Floats, out: Floats, *, backwards: bool) -> None:
    """Cumulative sums of one segment; of a matrix in blocks of rows, which the machine adds several times faster."""
    n_blocks = values.shape[0] // _ROWS
    if values.ndim == 1 or n_blocks < 4:
        step = -1 if backwards else 1
        np.cumsum(values[::step], axis=0, out=out[::step])
        return
    within, last, rest = (
        (_UPPER, 0, slice(0, -n_blocks * _ROWS)) if backwards else (_LOWER, -1, slice(n_blocks * _ROWS, None))
    )
    body = slice(rest.stop, None) if backwards else slice(0, rest.start)
    blocks = np.matmul(within, values[body].reshape(n_blocks, _ROWS, -1))
    carried = running_sums(blocks[:, last], np.array([0, n_blocks]), backwards=backwards)
    if backwards:
        blocks[:-1] += carried[1:, None]
    else:
        blocks[1:] += carried[:-1, None]
    out[body] = blocks.reshape(-1, values.shape[1])
    if values.shape[0] > n_blocks * _ROWS:
        _cumulate(values[rest], out[rest], backwards=backwards)
        out[rest] += carried[last]


def _doubled(values: Floats, offsets: Ints) -> Floats:
    """Add in steps of 1, 2, 4 ...: few passes over everything instead of one small sum per segment."""
    lengths = np.diff(offsets)
    position = np.arange(values.shape[0]) - np.repeat(offsets[:-1], lengths)
    out, step = values.copy(), 1
    while step < lengths.max(initial=0):
        rows = np.flatnonzero(position >= step)
        out[rows] = out[rows] + out[rows - step]
        step *= 2
    return out


def _by_table(
    duration: NDArray[Any],
    event: NDArray[np.bool_],
    stratum: NDArray[np.integer[Any]] | None,
    n_strata: int,
    frequency: NDArray[np.integer[Any]] | None,
    lowest: int,
    width: int,
) -> RiskSets:
    """Whole days without late entry: count the rows by (stratum, day, event), and look their places up."""
    n_cells = n_strata * width
    place = np.empty(duration.shape[0], dtype=np.int32)

    def number(rows: slice) -> None:
        cell = place[rows]
        np.subtract(duration[rows], lowest, out=cell, casting="unsafe")
        if stratum is not None:
            cell += np.multiply(stratum[rows], width, dtype=np.int32, casting="unsafe")
        cell *= 2
        cell += event[rows]

    by_chunks(number, place.shape[0])
    counts = _count(place, frequency, 2 * n_cells).reshape(n_cells, 2)
    slot_cells = np.flatnonzero(counts[:, 1])
    strata = np.searchsorted(slot_cells, np.arange(n_strata + 1) * width).astype(np.int64)
    n_slots = slot_cells.shape[0]
    last = np.cumsum(counts[:, 1] > 0) - 1
    last = np.where(last < np.repeat(strata[:-1], width), n_slots, last)
    leaving = np.zeros(n_slots + 1, dtype=np.int64)
    np.add.at(leaving, last, counts.sum(axis=1))
    table = (2 * last[:, None] + np.array([0, 1])).ravel().astype(np.int32)

    def look_up(rows: slice) -> None:
        place[rows] = table[place[rows]]

    by_chunks(look_up, place.shape[0])
    return RiskSets(
        place=place,
        start=None,
        event=event,
        time=(slot_cells % width) + lowest,
        stratum=slot_cells // width,
        n_events=counts[slot_cells, 1],
        n_at_risk=_whole_sums(leaving[:-1], strata),
        strata=strata,
        segments=strata,
        n_no_risk=0,
    )


def _whole_days(columns: list[NDArray[Any]], n_strata: int = 1) -> tuple[int, int] | None:
    """First day and number of days of a grid that holds every time, if there is one of reasonable size."""
    lowest = min(float(column.min()) for column in columns)
    width = max(float(column.max()) for column in columns) - lowest + 1
    if n_strata * width > min(max(_SMALL_GRID, 4 * columns[0].shape[0]), _LARGEST_GRID) or not all(
        column.dtype.kind in "iu" or bool((column == np.rint(column)).all()) for column in columns
    ):
        return None
    return int(lowest), int(width)


def _days(
    duration: NDArray[Any], entry: NDArray[Any] | None, event: NDArray[np.bool_]
) -> tuple[Ints, Ints | None, NDArray[Any]]:
    """Days counted from the first one or, for other times, positions among the distinct times of events."""
    columns = [duration] if entry is None else [duration, entry]
    if (grid := _whole_days(columns)) is not None:
        base, width = grid
        days = [column.astype(np.int64) - base for column in columns]
        times = np.arange(base, base + width)
    else:
        # one place in front for what lies before the first event
        distinct = np.unique(duration[event])
        days = [_count_up_to(distinct, column) for column in columns]
        times = np.concatenate([np.zeros(1, dtype=distinct.dtype), distinct])
    return days[0], (None if entry is None else days[1]), times


def _count_up_to(times: NDArray[Any], values: NDArray[Any]) -> Ints:
    """How many of the times are <= each value; a search in order is many times faster than one back and forth."""
    order = np.argsort(values)
    counts = np.empty(values.shape[0], dtype=np.int64)
    counts[order] = np.searchsorted(times, values[order], side="right")
    return counts


def _slots(cell: Ints, event: NDArray[np.bool_], n_cells: int) -> tuple[Ints, Ints]:
    """Cells with events, and for each row the last of them that is not after its own cell."""
    if n_cells <= max(_SMALL_GRID, 4 * cell.shape[0]):
        with_events = np.bincount(cell[event], minlength=n_cells) > 0
        return np.flatnonzero(with_events), (np.cumsum(with_events) - 1)[cell]
    slot_cells = np.unique(cell[event])
    return slot_cells, np.searchsorted(slot_cells, cell, side="right") - 1


def _count(slot: NDArray[Any], frequency: NDArray[np.integer[Any]] | None, n: int) -> Ints:
    """Count rows, or sum frequencies, by slot; in chunks, of which the copies that are made stay in the cache."""
    counts = np.zeros(n, dtype=np.int64)
    size = max(_CHUNK, n)
    for first in range(0, slot.shape[0], size):
        part = slice(first, first + size)
        if frequency is None:
            counts += np.bincount(slot[part], minlength=n)
        else:
            counts += np.rint(np.bincount(slot[part], weights=frequency[part], minlength=n)).astype(np.int64)
    return counts


def _how_many(rows: NDArray[np.bool_] | None, frequency: NDArray[np.integer[Any]] | None) -> int:
    if rows is None:
        return 0
    return int(np.count_nonzero(rows)) if frequency is None else round(float(frequency[rows].sum()))


def _starts(
    last: Ints,
    before: Ints | None,
    strata: Ints,
    leaving: Ints,
    frequency: NDArray[np.integer[Any]] | None,
) -> tuple[NDArray[np.int32] | None, Ints, Ints]:
    """The slot before entry of rows that enter after their segment began, the segments, and rows at risk by slot."""
    n_slots = int(strata[-1])
    late = np.zeros(0, dtype=np.intp)
    if before is not None:
        late = np.flatnonzero((last < n_slots) & (before >= np.append(_first_of(strata), 0)[last]))
    if before is None or late.size == 0:
        return None, strata, _whole_sums(leaving, strata)
    slots = before[late]
    entering = _count(slots, None if frequency is None else frequency[late], n_slots)
    n_at_risk = _whole_sums(leaving - entering, strata)
    # nobody goes on from a slot to the next one: a new segment begins
    segments = np.unique(np.concatenate([strata, np.flatnonzero(n_at_risk == leaving) + 1]))
    within = slots >= _first_of(segments)[last[late]]
    start = np.full(last.shape[0], n_slots, dtype=np.int32)
    start[late[within]] = slots[within]
    return start, segments, n_at_risk


def _first_of(offsets: Ints) -> Ints:
    """First slot of the segment that each slot belongs to."""
    return np.repeat(offsets[:-1], np.diff(offsets))


def _whole_sums(change: Ints, strata: Ints) -> Ints:
    return np.rint(running_sums(change.astype(np.float64), strata, backwards=True)).astype(np.int64)
