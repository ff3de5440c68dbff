"""The best cut of a score by which silent users are warned: exactly, over all values at which anything changes.

A gap of pattern x is warned on the first day d = 1 ... n_days on which z[x, d] > t. With the running maximum M[x, d] of
its scores that is day d for every t in [M[x, d - 1], M[x, d)), so that what a cut is worth is a step function of t,

    G(t) = sum_x g[x, d]  where  M[x, d - 1] <= t < M[x, d],

whose steps are the records of the scores. Sorted from the highest down, one running sum knows G at every cut, in
O(E log E) for E records. Sums over blocks of users go the same way: a record changes the alerts a and the hits h of one
block, hence sum a^2, sum a h and sum h^2 by what they change there, and these three are all that the linearised
variance of a precision needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.precision_bound import bounds_of

__all__ = ["BlockCells", "Crossings", "block_totals", "crossings", "cut_bounds", "first_above", "plainest", "sweep"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_CELLS = 1 << 16  # cells that are looked at together
_NEAR = 50  # round numbers to either side of a cut that are tried
_DIGITS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """The records of scores: a cut just below `cuts[place]` warns `pattern` on `day` instead of `later`.

    Attributes
    ----------
    cuts : (n_cuts,) float64
        The different values, from the highest down. Cut k of n_cuts + 1 warns where scores are above every t with
        `cuts[k]` <= t < `cuts[k - 1]`; cut 0 warns nobody.
    pattern, day, later, place : (n,) int64
        Ordered by pattern and day. Days are positions; the number of days stands for never.
    starts : (n_patterns + 1,) int64
        Where the records of each pattern begin.
    """

    cuts: Floats
    pattern: Ints
    day: Ints
    later: Ints
    place: Ints
    starts: Ints


def first_above(scores: Floats, cut: float) -> Ints:
    """Position of the first day on which scores are above a cut, the number of days for never; shape (n_patterns,).

    Examples
    --------
    >>> first_above(np.array([[0.1, 0.4, 0.3], [0.1, 0.2, 0.2]]), 0.2).tolist()
    [1, 3]
    """
    above = scores > cut
    first = np.where(above.any(axis=1), above.argmax(axis=1), scores.shape[1])
    return np.asarray(first, dtype=np.int64)


def crossings(scores: Floats) -> Crossings:
    """Find the values of a cut at which any pattern is warned on another day.

    Parameters
    ----------
    scores : (n_patterns, n_days) float64
        Finite.

    Examples
    --------
    >>> found = crossings(np.array([[0.1, 0.4, 0.3], [0.1, 0.2, 0.2]]))
    >>> found.cuts.tolist(), found.day.tolist(), found.later.tolist()
    ([0.4, 0.2, 0.1], [0, 1, 0, 1], [1, 3, 1, 3])
    """
    n_patterns, n_days = scores.shape
    highest = np.maximum.accumulate(scores, axis=1)
    record = np.ones(scores.shape, dtype=np.bool_)
    record[:, 1:] = highest[:, 1:] > highest[:, :-1]
    pattern, day = (each.astype(np.int64) for each in np.nonzero(record))
    later = np.full(day.size, n_days, dtype=np.int64)
    same = pattern[1:] == pattern[:-1]
    later[:-1][same] = day[1:][same]
    rising, place = np.unique(highest[pattern, day], return_inverse=True)
    starts = np.searchsorted(pattern, np.arange(n_patterns + 1)).astype(np.int64)
    return Crossings(rising[::-1].copy(), pattern, day, later, rising.size - 1 - place.reshape(-1), starts)


def sweep(found: Crossings, gain: Floats) -> Floats:
    """What each cut gains in all, from warning nobody to warning everybody on the first day; shape (n_cuts + 1,).

    Parameters
    ----------
    found : Crossings
    gain : (n_patterns, n_days) float64
        What warning all of a pattern for the first time on a day adds.

    Examples
    --------
    >>> found = crossings(np.array([[0.1, 0.4, 0.3], [0.1, 0.2, 0.2]]))
    >>> sweep(found, np.array([[5.0, 3.0, 1.0], [4.0, 2.0, 1.0]])).tolist()
    [0.0, 3.0, 5.0, 9.0]
    """
    padded = np.column_stack([gain, np.zeros(gain.shape[0])])
    change = padded[found.pattern, found.day] - padded[found.pattern, found.later]
    return np.append(0.0, np.cumsum(np.bincount(found.place, change, found.cuts.size)))


# ---------------------------------------------------------------------------------------------------------- blocks


@dataclass(frozen=True, slots=True, eq=False)
class BlockCells:
    """Gaps by pattern and block of users.

    Attributes
    ----------
    pattern, block : (n_cells,) int64
    alerts, churned : (n_cells, n_days) float64
        Gaps that a first alert on a day would reach, and those of them that end in churn.
    n_blocks : int
    """

    pattern: Ints
    block: Ints
    alerts: Floats
    churned: Floats
    n_blocks: int

    def by_pattern(self, n_patterns: int) -> tuple[Floats, Floats]:
        """Alerts and churned of each pattern, over all blocks; shape (n_patterns, n_days)."""
        sums = []
        for each in (self.alerts, self.churned):
            days = [np.bincount(self.pattern, day, n_patterns) for day in each.T]
            sums.append(np.column_stack(days).astype(np.float64))
        return sums[0], sums[1]


def _events(found: Crossings, cells: BlockCells) -> Iterator[tuple[Ints, Ints]]:
    """Each cell with each record of its pattern, some cells at a time."""
    n = (found.starts[1:] - found.starts[:-1])[cells.pattern]
    for first in range(0, cells.pattern.size, _CELLS):
        here = n[first : first + _CELLS]
        cell = np.repeat(np.arange(first, first + here.size), here)
        within = np.arange(cell.size) - np.repeat(np.cumsum(here) - here, here)
        yield cell, found.starts[cells.pattern[cell]] + within


def _changes(values: Floats, found: Crossings, cell: Ints, record: Ints) -> Floats:
    n_days, later = values.shape[1], found.later[record]
    then = np.where(later < n_days, values[cell, np.minimum(later, n_days - 1)], 0.0)
    return np.asarray(values[cell, found.day[record]] - then)


def block_totals(found: Crossings, cells: BlockCells, values: Sequence[Floats], at: Ints) -> list[Floats]:
    """Sums by block under some of the cuts: one array of shape (n_blocks, n_at) for each of `values`.

    Parameters
    ----------
    found : Crossings
    cells : BlockCells
    values : sequence of (n_cells, n_days) float64
        What warning a cell for the first time on a day adds.
    at : (n_at,) int64
        Rising numbers of cuts, as in `Crossings.cuts`.
    """
    size = at.size + 1
    made = [np.zeros(cells.n_blocks * size) for _ in values]
    for cell, record in _events(found, cells):
        # cut k has the records of places 0 ... k - 1
        slot = cells.block[cell] * size + np.searchsorted(at, found.place[record] + 1)
        for total, each in zip(made, values, strict=True):
            total += np.bincount(slot, _changes(each, found, cell, record), total.size)
    return [np.cumsum(total.reshape(cells.n_blocks, size)[:, :-1], axis=1) for total in made]


def cut_bounds(found: Crossings, cells: BlockCells, *, level: float) -> Floats:
    """Lower confidence bounds of the precision of every cut, as `precision_bound.lower_bounds`; shape (n_cuts + 1,)."""
    parts = []
    for cell, record in _events(found, cells):
        alerts, hits = (_changes(each, found, cell, record) for each in (cells.alerts, cells.churned))
        moved = (alerts != 0) | (hits != 0)
        parts.append((cells.block[cell[moved]], found.place[record[moved]], alerts[moved], hits[moved]))
    block, place, alerts, hits = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.lexsort((place, block))
    block, place = block[order], place[order]
    a, h = (_running(each[order], block) for each in (alerts, hits))
    before = [np.append(0.0, each[:-1]) * np.append(False, block[1:] == block[:-1]) for each in (a, h)]
    n_cuts = found.cuts.size

    def total(change: Floats) -> Floats:
        return np.append(0.0, np.cumsum(np.bincount(place, change, n_cuts)))

    n, right = total(a - before[0]), total(h - before[1])
    squares = [total(x * y - u * v) for x, y, u, v in _products(a, h, before)]
    n_blocks = total((a > 0).astype(np.float64) - (before[0] > 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(n > 0, right / n, 0.0)
        spread = np.maximum(squares[2] - 2 * share * squares[1] + share**2 * squares[0], 0.0)
        error = np.where(n_blocks > 1, np.sqrt(n_blocks / (n_blocks - 1) * spread) / n, np.nan)
    return bounds_of(share, n, error, n_blocks, level=level)


def _running(values: Floats, block: Ints) -> Floats:
    """Running sums within each block."""
    total = np.cumsum(values)
    first = np.append(True, block[1:] != block[:-1])
    base = np.where(first, total - values, 0.0)[first] if block.size else total
    return np.asarray(total - np.repeat(base, np.diff(np.append(np.flatnonzero(first), block.size))))


def _products(a: Floats, h: Floats, before: list[Floats]) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
    yield a, a, before[0], before[0]
    yield a, h, before[0], before[1]
    yield h, h, before[1], before[1]


# ------------------------------------------------------------------------------------------------------ round cuts


def plainest(found: Crossings, merit: Floats, allowed: Flags, best: int, *, least: float) -> float:
    """The number with the fewest digits that stands for an allowed cut; among equally plain ones the best.

    Parameters
    ----------
    found : Crossings
    merit : (n_cuts + 1,) float64
    allowed : (n_cuts + 1,) bool
        True for `best` at least.
    best : int
        The cut near which numbers are sought, 1 or more.
    least : float
        No number below it.

    Examples
    --------
    >>> found = crossings(np.array([[0.1234, 0.4567], [0.1, 0.2]]))
    >>> plainest(found, np.array([0.0, 2.0, 1.0, 0.0, 0.0]), np.arange(5) == 1, 1, least=0.0)
    0.3
    """
    high = float(found.cuts[best - 1])
    low = float(found.cuts[best]) if best < found.cuts.size else max(least, high - max(abs(high), 1.0))
    middle = (low + high) / 2
    scale = int(np.floor(np.log10(max(abs(low), abs(high), 1e-300))))
    for exponent in range(scale, scale - _DIGITS, -1):
        step = 10.0**exponent
        tried = (np.round(middle / step) + np.arange(-_NEAR, _NEAR + 1)) * step
        tried = tried[tried >= least]
        cut = np.searchsorted(-found.cuts, -tried)
        fine = allowed[cut] & (cut > 0)
        if fine.any():
            # of numbers for one cut the one nearest to the middle
            order = np.lexsort((np.abs(tried - middle), -merit[cut], ~fine))
            return float(np.round(tried[order[0]], max(-exponent, 0)))
    return middle
