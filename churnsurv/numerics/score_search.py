"""The best cut of a score by which silent users are warned: exactly, over all values at which anything changes.

A gap of pattern x is warned on the first day d = 1 ... n_days on which z[x, d] > t. With the running maximum M[x, d] of
its scores that is day d for every t in [M[x, d - 1], M[x, d)), so that what a cut is worth is a step function of t,

    G(t) = sum_x g[x, d]  where  M[x, d - 1] <= t < M[x, d],

whose steps are the records of the scores. Sorted from the highest down, one running sum knows G at every cut, in
O(E log E) for E records. Sums over blocks of users go the same way: a record changes the alerts a and the hits h of one
block, hence sum a^2, sum a h and sum h^2 by what they change there, and these three are all that the linearised
variance of a precision needs.

Only records are held, whether they come from a table of all days (`crossings`) or from a list (`listed`), and what is
left of a gap on a day follows from its length: the work grows with the records, not with gaps times days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.precision_bound import bounds_of

__all__ = [
    "BlockCells",
    "Crossings",
    "Gain",
    "block_totals",
    "crossings",
    "cut_bounds",
    "cut_totals",
    "first_days",
    "listed",
    "plainest",
]

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
    n_days : int
    """

    cuts: Floats
    pattern: Ints
    day: Ints
    later: Ints
    place: Ints
    starts: Ints
    n_days: int

    @property
    def n_patterns(self) -> int:
        """How many patterns there are, those without a score among them."""
        return int(self.starts.size) - 1


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
    return listed(pattern, day, highest[pattern, day], n_patterns=n_patterns, n_days=n_days)


def listed(pattern: Ints, day: Ints, score: Floats, *, n_patterns: int, n_days: int) -> Crossings:
    """Take the records of patterns from a list, as a table of all days would be too large.

    Parameters
    ----------
    pattern, day : (n,) int64
        Ordered by pattern, then by day. Patterns without a record are never warned.
    score : (n,) float64
        Finite; rising within a pattern.
    n_patterns, n_days : int

    Examples
    --------
    >>> found = listed(np.array([0, 0, 2]), np.array([0, 2, 1]), np.array([0.1, 0.4, 0.2]), n_patterns=3, n_days=5)
    >>> found.cuts.tolist(), found.later.tolist(), first_days(found, 0.15).tolist()
    ([0.4, 0.2, 0.1], [2, 5, 5], [2, 5, 1])
    """
    later = np.full(day.size, n_days, dtype=np.int64)
    same = pattern[1:] == pattern[:-1]
    later[:-1][same] = day[1:][same]
    rising, place = np.unique(score, return_inverse=True)
    starts = np.searchsorted(pattern, np.arange(n_patterns + 1)).astype(np.int64)
    return Crossings(rising[::-1].copy(), pattern, day, later, rising.size - 1 - place.reshape(-1), starts, n_days)


def first_days(found: Crossings, cut: float) -> Ints:
    """Position of the first day on which scores are above a cut, the number of days for never; shape (n_patterns,).

    Examples
    --------
    >>> first_days(crossings(np.array([[0.1, 0.4, 0.3], [0.1, 0.2, 0.2]])), 0.2).tolist()
    [1, 3]
    """
    # the records of a pattern rise: those at most as high as the cut come first
    below = np.append(0, np.cumsum(found.cuts[found.place] <= cut))
    first = found.starts[:-1] + below[found.starts[1:]] - below[found.starts[:-1]]
    days = np.append(found.day, found.n_days)
    return np.asarray(np.where(first < found.starts[1:], days[first], found.n_days), dtype=np.int64)


# ---------------------------------------------------------------------------------------------------------- blocks


@dataclass(frozen=True, slots=True, eq=False)
class BlockCells:
    """Gaps by pattern, block of users, length and what became of them.

    Attributes
    ----------
    pattern, block : (n_cells,) int64
    silent : (n_cells,) int64
        Days, from position 0 on, on which a first alert reaches the gaps: until the return, or until others warn them.
    churned : (n_cells,) bool
    n : (n_cells,) float64
        Gaps in all.
    n_blocks : int
    """

    pattern: Ints
    block: Ints
    silent: Ints
    churned: Flags
    n: Floats
    n_blocks: int


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """What a first alert adds, by day: so much for each alert, and so much more where the gap ends in churn.

    Attributes
    ----------
    alert, churned : (n_days,) float64
    """

    alert: Floats
    churned: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """Gaps whose first alert moves: at the cut of `place` from `later` to `day`, where the last day stands for none."""

    block: Ints
    place: Ints
    day: Ints
    later: Ints
    n: Floats
    hits: Floats

    def change(self, gain: Gain) -> Floats:
        """What is gained by each move."""
        alert, churned = (np.append(each, 0.0) for each in (gain.alert, gain.churned))
        per_alert, per_hit = (each[self.day] - each[self.later] for each in (alert, churned))
        return np.asarray(self.n * per_alert + self.hits * per_hit)


def _moves(found: Crossings, cells: BlockCells) -> Iterator[_Moves]:
    """Each cell with each record of its pattern that comes in time, some cells at a time."""
    reached = np.flatnonzero(cells.silent > 0)
    n = (found.starts[1:] - found.starts[:-1])[cells.pattern[reached]]
    for first in range(0, reached.size, _CELLS):
        here = n[first : first + _CELLS]
        cell = np.repeat(reached[first : first + _CELLS], here)
        within = np.arange(cell.size) - np.repeat(np.cumsum(here) - here, here)
        record = found.starts[cells.pattern[cell]] + within
        silent = cells.silent[cell]
        in_time = found.day[record] < silent
        cell, record, silent = cell[in_time], record[in_time], silent[in_time]
        later = found.later[record]
        weight = cells.n[cell]
        yield _Moves(
            cells.block[cell],
            found.place[record],
            found.day[record],
            np.where(later < silent, later, found.n_days),
            weight,
            weight * cells.churned[cell],
        )


def cut_totals(found: Crossings, cells: BlockCells, gains: Sequence[Gain]) -> list[Floats]:
    """What each cut gains in all, from warning nobody to warning everybody on the first day.

    Returns
    -------
    list of (n_cuts + 1,) float64
        One for each gain.

    Examples
    --------
    >>> found = crossings(np.array([[0.1, 0.4, 0.3], [0.1, 0.2, 0.2]]))
    >>> gaps = BlockCells(
    ...     np.array([0, 1]), np.array([0, 0]), np.array([3, 1]), np.array([True, False]), np.array([1.0, 5.0]), 1
    ... )
    >>> alerts = Gain(np.ones(3), np.zeros(3))
    >>> cut_totals(found, gaps, [alerts])[0].tolist()
    [0.0, 1.0, 1.0, 6.0]
    """
    steps = [np.zeros(found.cuts.size) for _ in gains]
    for moves in _moves(found, cells):
        for step, gain in zip(steps, gains, strict=True):
            step += np.bincount(moves.place, moves.change(gain), step.size)
    return [np.append(0.0, np.cumsum(step)) for step in steps]


def block_totals(found: Crossings, cells: BlockCells, gains: Sequence[Gain], at: Ints) -> list[Floats]:
    """Sums by block under some of the cuts: one array of shape (n_blocks, n_at) for each gain.

    Parameters
    ----------
    found : Crossings
    cells : BlockCells
    gains : sequence of Gain
    at : (n_at,) int64
        Rising numbers of cuts, as in `Crossings.cuts`.
    """
    size = at.size + 1
    made = [np.zeros(cells.n_blocks * size) for _ in gains]
    for moves in _moves(found, cells):
        # cut k has the records of places 0 ... k - 1
        slot = moves.block * size + np.searchsorted(at, moves.place + 1)
        for total, gain in zip(made, gains, strict=True):
            total += np.bincount(slot, moves.change(gain), total.size)
    return [np.cumsum(total.reshape(cells.n_blocks, size)[:, :-1], axis=1) for total in made]


def cut_bounds(found: Crossings, cells: BlockCells, *, level: float) -> Floats:
    """Lower confidence bounds of the precision of every cut, as `precision_bound.lower_bounds`; shape (n_cuts + 1,)."""
    parts = []
    for moves in _moves(found, cells):
        # an alert that only comes earlier is no other alert
        new = moves.later == found.n_days
        parts.append((moves.block[new], moves.place[new], moves.n[new], moves.hits[new]))
    if not parts:
        return np.zeros(found.cuts.size + 1)
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
