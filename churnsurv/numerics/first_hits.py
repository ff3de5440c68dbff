"""First alerts of gaps whose state moves while the user is silent.

A rule's side is a region R of states and a first day a: a gap is alerted by it on h(R, a), the first idle day from a on
on which the gap's state lies in R. With L(t) the last day up to t in R, or 0,

    h(R, a) <= t   if and only if   L(t) >= a.

So with v(t) what an alert on day t is worth (nothing after the last day) and w(t) = v(t) - v(t + 1), the worth over all
gaps p is a histogram of L, summed from the end,

    sum_p v(h(R, a)) = sum_p sum_t w(t) 1{L(t) >= a},

for all days a at once. A rule of two sides alerts a gap on the earlier of two days, which is worth v(min(h1, h2)) =
v(h1) + v(h2) - v(max(h1, h2)); the last term is a histogram of the pairs (L1(t), L2(t)), summed from both ends. It is
zero but for gaps that have been on both sides of the split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.rule_search import RuleFamily, alert_counts, one_sided

__all__ = ["Movers", "double_hits", "first_hit_days", "first_hits", "last_days", "movers_of", "next_days"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Sides of a split that a gap may be on.
_LOW, _HIGH, _NEITHER = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Movers:
    """Gaps whose cells of two variables move, equal ones counted together.

    Attributes
    ----------
    first, second : (n_paths, n_days) int64
        Cells of the two variables on idle days 1 ... n_days.
    alerts, churned : (n_paths, n_days) float64
        Gaps still silent on these days and not yet in a higher tier; those of them that end in churn.
    block, path : (n_rows,) int64
        The combinations of block and path that occur.
    row_alerts, row_churned : (n_rows, n_days) float64
        The same numbers by combination.
    """

    first: Ints
    second: Ints
    alerts: Floats
    churned: Floats
    block: Ints
    path: Ints
    row_alerts: Floats
    row_churned: Floats


def movers_of(
    block: Ints, path: Ints, duration: Ints, n: Ints, *, first: Ints, second: Ints, idle_days: int, until: Ints
) -> Movers:
    """Count moving gaps by path and block.

    Parameters
    ----------
    block, duration, n, until : (n_rows,) int64
        As for `rule_search.alert_counts`.
    path : (n_rows,) int64
        Row of `first` and `second`.
    first, second : (n_ways, idle_days - 1) int64
        Cells of the two variables on idle days 1, 2, ... Equal ways are taken together.
    idle_days : int

    Examples
    --------
    >>> cells = np.array([[0, 1], [0, 1]])
    >>> found = movers_of(
    ...     np.array([0, 1]), np.array([0, 1]), np.array([2, 4]), np.array([5, 1]),
    ...     first=cells, second=0 * cells, idle_days=3, until=np.array([3, 3]),
    ... )
    >>> found.alerts.tolist(), found.row_alerts.tolist()
    ([[6.0, 1.0]], [[5.0, 0.0], [1.0, 1.0]])
    """
    days = idle_days - 1
    distinct, place = _distinct(np.hstack([first, second]))
    width = max(len(distinct), 1)
    rows, row = np.unique(block * width + place[path], return_inverse=True)
    zero = np.zeros(row.size, dtype=np.int64)
    counts = alert_counts(
        row.reshape(-1).astype(np.int64),
        zero,
        zero,
        duration,
        n,
        shape=(max(rows.size, 1), 1, 1),
        idle_days=idle_days,
        until=until,
    )
    by_row = [each.reshape(-1, days)[: rows.size] for each in (counts.alerts, counts.churned)]
    alerts, churned = (_added(each, rows % width, len(distinct)) for each in by_row)
    found = Movers(
        distinct[:, :days],
        distinct[:, days:],
        alerts,
        churned,
        rows // width,
        rows % width,
        by_row[0],
        by_row[1],
    )
    read_only(*(getattr(found, each) for each in Movers.__slots__))
    return found


def last_days(inside: Flags) -> Ints:
    """The last day 1, 2, ... up to each day that is inside, 0 for none; shape (n, n_days).

    Examples
    --------
    >>> last_days(np.array([[False, True, False, True]])).tolist()
    [[0, 2, 2, 4]]
    """
    days = np.arange(1, inside.shape[-1] + 1)
    return np.maximum.accumulate(np.where(inside, days, 0), axis=-1)


def next_days(inside: Flags) -> Ints:
    """The first day from each day 1, 2, ... on that is inside, n_days + 1 for none; shape (n, n_days).

    Examples
    --------
    >>> next_days(np.array([[False, True, False, False]])).tolist()
    [[2, 2, 5, 5]]
    """
    n = inside.shape[-1]
    days = np.where(inside, np.arange(1, n + 1), n + 1)
    return np.minimum.accumulate(days[..., ::-1], axis=-1)[..., ::-1]


def first_hits(values: Floats, movers: Movers, family: RuleFamily) -> Floats:
    """Total worth of every one-sided pair of sets and first day, over all moving gaps.

    Parameters
    ----------
    values : (q, n_paths, n_days) float64
        What an alert on a day is worth, of q benefits.
    movers : Movers
    family : RuleFamily

    Returns
    -------
    (q, 2 n_splits + 1, n_conditions, n_days) float64
        As `rule_search.region_sums` of gaps that do not move.
    """
    d, weights = family.n_days, _steps(values)
    along, across = (one_sided(np.eye(n + 2), axis=0) > 0 for n in (family.n_splits, family.n_cuts))
    found = np.zeros((len(values), len(along), len(across), d))
    stays = [(each == each[:, :1]).all(axis=1) for each in (movers.first, movers.second)]
    # of two variables mostly one moves: the cell of the other only tells gaps apart
    rows = np.flatnonzero(stays[1])
    mine, moving, cell = np.take(weights, rows, axis=1), movers.first[rows], movers.second[rows, 0]
    for place, cells in enumerate(along):
        found[:, place] += one_sided(_by_cell(last_days(cells[moving]), cell, mine, len(across[0])), axis=1)
    rows = np.flatnonzero(stays[0] & ~stays[1])
    mine, moving, cell = np.take(weights, rows, axis=1), movers.second[rows], movers.first[rows, 0]
    for condition, cells in enumerate(across):
        found[:, :, condition] += one_sided(_by_cell(last_days(cells[moving]), cell, mine, len(along[0])), axis=1)
    rows = np.flatnonzero(~stays[0] & ~stays[1])
    mine, zero = np.take(weights, rows, axis=1), np.zeros(rows.size, dtype=np.int64)
    for place, condition in np.ndindex(len(along), len(across)) if rows.size else ():
        inside = along[place][movers.first[rows]] & across[condition][movers.second[rows]]
        found[:, place, condition] += _by_cell(last_days(inside), zero, mine, 1)[:, 0]
    return found


def _by_cell(last: Ints, cell: Ints, weights: Floats, n_cells: int) -> Floats:
    """Worth of each first day, by a cell that gaps stay in; shape (q, n_cells, n_days)."""
    d = last.shape[1]
    where = (cell[:, None] * (d + 1) + last).ravel()
    counted = [np.bincount(where, each.ravel(), n_cells * (d + 1)).reshape(n_cells, d + 1) for each in weights]
    return np.stack(counted)[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]


def double_hits(values: Floats, movers: Movers, split: int, family: RuleFamily) -> Floats:
    """Total worth of the later of the two days on which both sides of a split alert the same gap.

    Parameters
    ----------
    values : (q, n_paths, n_days) float64
    movers : Movers
    split : int
        1 ... n_splits.
    family : RuleFamily

    Returns
    -------
    (q, 1 + n_options, 1 + n_options) float64
        By option of the first and of the second side: never, then condition by day.
    """
    d, c = family.n_days, family.n_conditions
    found = np.zeros((len(values), c * d + 1, c * d + 1))
    side = _sides(movers.first, split, family.n_splits)
    both = (side == _LOW).any(axis=1) & (side == _HIGH).any(axis=1)
    if not both.any():
        return found
    side, second, merged = _merged(side[both], movers.second[both], values[:, both])
    across = one_sided(np.eye(family.n_cuts + 2), axis=0) > 0
    stays = (second == second[:, :1]).all(axis=1)
    low, high = (last_days(side[stays] == each) for each in (_LOW, _HIGH))
    by_cell = _by_pairs(low, high, second[stays, 0], _steps(merged[:, stays]), len(across[0]))
    together = (across[:, None] & across[None]).astype(np.float64)
    options = np.einsum("ijc,qcab->qiajb", together, by_cell, optimize=True)
    if not stays.all():
        side, second, weights = side[~stays], second[~stays], _steps(merged[:, ~stays])
        met, zero = across[:, second], np.zeros(len(second), dtype=np.int64)
        lows, highs = (last_days((side == each) & met) for each in (_LOW, _HIGH))
        for i, j in np.ndindex(c, c):
            options[:, i, :, j, :] += _by_pairs(lows[i], highs[j], zero, weights, 1)[:, 0]
    found[:, 1:, 1:] = options.reshape(len(values), c * d, c * d)
    return found


def _by_pairs(low: Ints, high: Ints, cell: Ints, weights: Floats, n_cells: int) -> Floats:
    """Worth of each pair of first days on both sides, by a cell that gaps stay in; (q, n_cells, n_days, n_days)."""
    d = low.shape[1]
    # only from the day on that both sides have been visited
    row, day = np.nonzero((low > 0) & (high > 0))
    where = (cell[row] * (d + 1) + low[row, day]) * (d + 1) + high[row, day]
    shape = (n_cells, d + 1, d + 1)
    counted = [np.bincount(where, each[row, day], n_cells * (d + 1) ** 2).reshape(shape) for each in weights]
    summed = np.stack(counted)[..., ::-1, ::-1].cumsum(axis=-1).cumsum(axis=-2)[..., ::-1, ::-1]
    return np.asarray(summed[..., 1:, 1:])


def first_hit_days(rules: NDArray[np.integer[Any]], movers: Movers, family: RuleFamily) -> Ints:
    """The day on which each rule alerts each path, n_days + 1 for never; shape (n_rules, n_paths).

    Examples
    --------
    Below the cut until day 2, then above it: alerted below it from day 2 on, above it from day 1 on, or on either side.

    >>> one, cells = np.ones(1, int), np.array([[0, 0, 1]])
    >>> movers = movers_of(0 * one, 0 * one, 5 * one, one, first=cells, second=0 * cells, idle_days=4, until=4 * one)
    >>> rules = np.array([[1, 0, 2, 0, 0], [1, 0, 0, 0, 1], [1, 0, 2, 0, 1], [1, 0, 3, 0, 0]])
    >>> first_hit_days(rules, movers, RuleFamily(n_splits=1, n_cuts=0, n_days=3)).ravel().tolist()
    [2, 3, 2, 4]
    """
    along = one_sided(np.eye(family.n_splits + 2), axis=0) > 0
    across = one_sided(np.eye(family.n_cuts + 2), axis=0) > 0
    never, known = family.n_days + 1, dict[tuple[int, int], Ints]()
    found = np.full((len(rules), len(movers.first)), never, dtype=np.int64)
    for row, (split, *sides) in enumerate(np.asarray(rules).tolist()):
        for place, (condition, day) in zip((split, family.n_splits + split), (sides[:2], sides[2:]), strict=True):
            if day == 0:
                continue
            key = (place, condition)
            if key not in known:
                known[key] = next_days(along[place][movers.first] & across[condition][movers.second])
            np.minimum(found[row], known[key][:, day - 1], out=found[row])
    return found


def _steps(values: Floats) -> Floats:
    """What is lost by an alert a day later: v(t) - v(t + 1)."""
    return np.asarray(values - np.concatenate([values[..., 1:], np.zeros_like(values[..., :1])], axis=-1))


def _sides(cells: Ints, split: int, n_splits: int) -> NDArray[np.int8]:
    side = np.where(cells < split, _LOW, np.where(cells <= n_splits, _HIGH, _NEITHER))
    return side.astype(np.int8)


def _merged(side: NDArray[np.int8], second: Ints, values: Floats) -> tuple[NDArray[np.int8], Ints, Floats]:
    """Paths that are alike in what a split tells apart, as one."""
    days = side.shape[1]
    distinct, place = _distinct(np.hstack([side.astype(np.int64), second]))
    summed = np.stack([_added(each, place, len(distinct)) for each in values])
    return distinct[:, :days].astype(np.int8), distinct[:, days:], summed


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """The different rows of small numbers, and which of them each row is."""
    small = np.ascontiguousarray(rows, dtype=np.uint8 if rows.max(initial=0) < 256 else np.uint16)
    # as bytes they sort many times faster than as numbers
    as_bytes = small.view(np.dtype((np.void, small.dtype.itemsize * small.shape[1]))).ravel()
    _, first, place = np.unique(as_bytes, return_index=True, return_inverse=True)
    return rows[first].astype(np.int64), place.reshape(-1).astype(np.int64)


def _added(values: Floats, place: Ints, n: int) -> Floats:
    """Sum of the rows of each place; shape (n, n_days)."""
    found = np.zeros((n, values.shape[1]))
    np.add.at(found, place, values)
    return found
