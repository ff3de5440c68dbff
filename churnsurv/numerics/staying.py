"""Rows that ended with another cause and stay in the risk sets of one cause, with the weights that they have there.

The weight of such a row on day t is K(t) / K(T), K = G(t-) H(t-): G the product-limit estimate of not being censored,
H that of having entered (Geskus 2011). So K moves, at each time u from T on and before t, by the factor

    (1 - c / Y_c) / (1 - e / Y_e),

c censored on u of Y_c at risk of it, e entering on u of Y_e in the log just after it. By default events on u leave
before those censored on u (survival::finegray); with ``events_first=False`` they are at risk of it still (cmprsk::crr).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.risk_sets import RiskSets, running_sums

__all__ = ["Grid", "Staying", "staying"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The times at which rows of a stratum end or enter, called cells, by stratum and time.

    Attributes
    ----------
    end : (n,) int64
        Cell in which each row ends.
    held, is_censored : (n,) bool
        Rows ever at risk, and those of them that are censored.
    censored, risk : (n_cells,) float64
        Weight of the rows censored, and of those at risk of it.
    from_slot : (n_cells,) int64
        First slot on or after each cell within its stratum; n_slots where there is none.
    """

    end: Ints
    held: NDArray[np.bool_]
    is_censored: NDArray[np.bool_]
    censored: Floats
    risk: Floats
    from_slot: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Staying:
    """Rows that stay in the risk sets after their end.

    Attributes
    ----------
    rows : (m,) int64
        Their positions, ascending; only those with a day with events after their end, and a weight there.
    place : (m,) int32
        First slot on which each stays.
    inverse : (m,) float64
        1 / K(T), K counted from the start of the segment.
    K : (n_slots,) float64
    segments : (n_segments + 1,) int64
        Runs of slots within which weights are not zero: strata, cut where all that were at risk are censored.
    grid : Grid
    """

    rows: Ints
    place: NDArray[np.int32]
    inverse: Floats
    K: Floats
    segments: Ints
    grid: Grid

    def through(self, by_place: Floats) -> Floats:
        """Turn sums by first slot, (n_slots, ...), into sums over all that stay on each slot, with their weights."""
        total = running_sums(by_place, self.segments)
        return np.asarray(total * (self.K if total.ndim == 1 else self.K[:, None]))

    def later(self, values: Floats) -> Floats:
        """Sum K times values of each slot, (n_slots, ...), from each slot to the end of its segment."""
        return running_sums(values * (self.K if values.ndim == 1 else self.K[:, None]), self.segments, backwards=True)


def staying(
    sets: RiskSets,
    duration: NDArray[Any],
    outcome: NDArray[np.integer[Any]],
    *,
    entry: NDArray[Any] | None = None,
    stratum: NDArray[np.integer[Any]] | None = None,
    weights: Floats | None = None,
    events_first: bool = True,
) -> Staying:
    """Find who stays, and with which weights.

    Parameters
    ----------
    sets : RiskSets
        Of the same rows, with the cause of interest as the event.
    duration : (n,) integer or float
    outcome : (n,) integer
        0 censored, 1 the cause of interest, 2 or more another one.
    entry : (n,) integer or float, optional
        At risk in (entry, duration].
    stratum : (n,) integer, optional
        G and H are estimated within strata.
    weights : (n,) float64, optional
        Of the rows in the estimates of G and H.
    events_first : bool
        Whether events leave before those censored on the same day.

    Raises
    ------
    ConvergenceError
        If nobody is left in the log for a while: no weight carries over such a gap.

    Examples
    --------
    The first user leaves on day 1 for another reason; one of three then left is censored on day 2, before day 3.

    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> day, outcome = np.array([1, 2, 3, 4]), np.array([2, 0, 1, 0])
    >>> found = staying(risk_sets(day, outcome == 1), day, outcome)
    >>> found.rows.tolist(), (found.K[0] * found.inverse).round(4).tolist()
    ([0], [0.6667])
    """
    held = np.ones(duration.shape[0], dtype=np.bool_) if entry is None else entry < duration
    cells = _Cells.of(sets, duration, entry, stratum, held)
    kinds = outcome > 0

    def by_cell(values: Floats | None) -> tuple[Floats, Floats, Floats]:
        def total(cell: Ints, which: NDArray[np.bool_]) -> Floats:
            each = None if values is None else values[which]
            return np.bincount(cell[which], each, cells.n).astype(np.float64, copy=False)

        late = np.zeros(cells.n) if cells.start is None else total(cells.start, held)
        return total(cells.end, held & kinds), total(cells.end, held & ~kinds), late

    events, censored, entered = by_cell(weights)
    numbers = (events, censored, entered) if weights is None else by_cell(None)
    risk = _at_risk(events, censored, entered, cells.strata)
    n_risk = np.rint(_at_risk(*numbers, cells.strata))
    # whole numbers say what is empty: sums of weights by subtraction do not
    left = n_risk - numbers[0] - numbers[1]
    of = risk - events if events_first else risk
    G = np.where(censored > 0, 1 - np.divide(censored, of, out=np.ones(cells.n), where=of > 0), 1.0)
    remaining = n_risk - numbers[1] - (numbers[0] if events_first else 0)
    G[(censored > 0) & (remaining == 0)] = 0.0
    rest = np.maximum(risk - events - censored, 0.0)
    H = np.where(entered > 0, np.divide(rest, rest + entered, out=np.ones(cells.n), where=rest + entered > 0), 1.0)
    H[(entered > 0) & (left == 0)] = 0.0
    other = np.flatnonzero(held & (outcome > 1))
    _refuse_gaps(cells, other, H)
    grid = Grid(cells.end, held, held & (outcome == 0), censored, of, cells.from_slot)
    return _weighted(cells, other, np.divide(G, H, out=np.zeros(cells.n), where=H > 0), grid)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Where rows end and enter among the n cells, where strata begin, and where the slots are."""

    n: int
    end: Ints
    start: Ints | None
    strata: Ints
    slot: Ints
    from_slot: Ints
    next_slot: Ints
    time: NDArray[Any]

    @classmethod
    def of(
        cls,
        sets: RiskSets,
        duration: NDArray[Any],
        entry: NDArray[Any] | None,
        stratum: NDArray[np.integer[Any]] | None,
        held: NDArray[np.bool_],
    ) -> _Cells:
        columns = [duration] if entry is None else [duration, entry]
        times = _distinct(columns)
        width, n_strata = times.shape[0], sets.strata.shape[0] - 1
        base = 0 if stratum is None else stratum.astype(np.int64) * width
        keys = [base + _position(times, column) for column in columns]
        present = np.unique(np.concatenate([key[held] for key in keys])) if n_strata > 1 else np.arange(width)
        slot = np.searchsorted(present, sets.stratum * width + np.searchsorted(times, sets.time))
        strata = np.searchsorted(present, np.arange(n_strata + 1) * width).astype(np.int64)
        n = present.shape[0]
        found = [key if n_strata == 1 else np.minimum(np.searchsorted(present, key), n - 1) for key in keys]
        # a slot of the next stratum is none
        stop = np.repeat(sets.strata[1:], np.diff(strata))
        at, after = (np.searchsorted(slot, np.arange(n), side=side) for side in ("left", "right"))
        at, after = (np.where(which < stop, which, sets.n_slots) for which in (at, after))
        start = None if entry is None else found[1]
        return cls(n, found[0], start, strata, slot, at, after, times[present % max(width, 1)])


def _distinct(columns: list[NDArray[Any]]) -> NDArray[Any]:
    """Distinct times, or all days of a range that is not much longer than the data."""
    if all(column.dtype.kind in "iu" for column in columns) and columns[0].size:
        lowest, highest = min(int(c.min()) for c in columns), max(int(c.max()) for c in columns)
        if highest - lowest <= max(1 << 16, columns[0].size):
            return np.arange(lowest, highest + 1)
    return np.unique(np.concatenate(columns))


def _position(times: NDArray[Any], values: NDArray[Any]) -> Ints:
    if times.dtype.kind in "iu" and times.size and times[-1] - times[0] + 1 == times.size:
        return values.astype(np.int64) - int(times[0])
    return np.searchsorted(times, values).astype(np.int64)


def _at_risk(events: Floats, censored: Floats, entered: Floats, strata: Ints) -> Floats:
    """Weight of the rows that entered before each cell and end in it or later."""
    return running_sums(events + censored - entered, strata, backwards=True)


def _refuse_gaps(cells: _Cells, other: Ints, H: Floats) -> None:
    """Raise where all in the log entered after a row had ended that should stay until a later day with events."""
    empty = np.flatnonzero(H == 0)
    if empty.size == 0 or other.size == 0:
        return
    n_slots = cells.slot.shape[0]
    end = cells.end[other]
    gap = np.append(empty, cells.n)[np.searchsorted(empty, end)]
    # the gap lies in the stratum of the row, and days with events of that stratum come after it
    last_cell = np.repeat(cells.strata[1:], np.diff(cells.strata))[end]
    crossed = gap < last_cell
    crossed[crossed] = cells.next_slot[gap[crossed]] < n_slots
    if crossed.any():
        day = cells.time[gap[crossed]].max()
        raise ConvergenceError(
            f"nobody who was in the log before day {day:g} is still there on it, in a stratum at least: those who left "
            f"before for other reasons cannot stay at risk with a known weight. Begin all follow-up on day {day:g} "
            "(entry at least that), or leave entry out."
        )


def _weighted(cells: _Cells, other: Ints, factor: Floats, grid: Grid) -> Staying:
    """K at slots, and 1 / K of those who stay, counted from the last cell with factor 0 in the stratum."""
    n_slots = cells.slot.shape[0]
    zero = factor == 0
    begins = np.unique(np.concatenate([cells.strata, np.flatnonzero(zero) + 1]))
    begins = begins[begins <= cells.n]
    logs = np.log(np.where(zero, 1.0, factor))
    up_to = running_sums(logs, begins)
    before = up_to - logs  # the product over the cells of the segment before this one
    segment = np.repeat(np.arange(begins.size - 1), np.diff(begins))
    slot_segment = segment[cells.slot]
    place = cells.next_slot[cells.end[other]]
    kept = place < n_slots
    other, place = other[kept], place[kept]
    kept = slot_segment[place] == segment[cells.end[other]]
    other, place = other[kept], place[kept]
    return Staying(
        rows=other,
        place=place.astype(np.int32),
        inverse=np.exp(-before[cells.end[other]]),
        K=np.exp(before[cells.slot]),
        segments=np.append(np.flatnonzero(np.diff(slot_segment, prepend=-1)), n_slots).astype(np.int64),
        grid=grid,
    )
