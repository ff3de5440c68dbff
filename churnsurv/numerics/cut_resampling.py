"""How far a chosen cut can be trusted: other samples, users held out, and permutations.

Resamples and folds look at a limited number of cuts. Rows between the same two cuts with the same days and outcome are
one cell with a count, so that a resample is a few thousand counts, however many users there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.maximal_logrank import CutRows, below_at_risk, scan_cuts

__all__ = [
    "CutCells",
    "chosen_cuts",
    "cut_cells",
    "fold_counts",
    "held_out_sides",
    "permutation_maxima",
    "resampled_choices",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CutCells:
    """Rows that no cut tells apart, as one.

    Attributes
    ----------
    interval : (n_cells,) int64
        How many cuts lie below the cell: 0 ... n_cuts.
    end, start : (n_cells,) intp
        As in `CutRows`; `start` may be None.
    event : (n_cells,) bool
    count : (n_cells,) float64
        Users.
    of_row : (n,) int64
        The cell of each row.
    n_cuts, n_days : int
    """

    interval: Ints
    end: NDArray[np.intp]
    start: NDArray[np.intp] | None
    event: NDArray[np.bool_]
    count: Floats
    of_row: Ints
    n_cuts: int
    n_days: int

    def statistics(self, count: Floats) -> Floats:
        """Return z of every cut with other counts of the cells, (n_cuts,); NaN where the sides never meet.

        Examples
        --------
        >>> from churnsurv.numerics.maximal_logrank import cut_rows
        >>> rows = cut_rows(np.array([1, 2, 3, 4]), np.array([True, True, True, False]))
        >>> cells = cut_cells(rows, np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0]))
        >>> cells.statistics(cells.count).round(4).tolist()
        [-1.7321, -1.6977]
        """
        everybody = np.zeros(self.end.size, dtype=np.int64)
        n = below_at_risk(self.end, self.start, count, self.n_days, everybody, 1)[0]
        d = np.bincount(self.end[self.event] - 1, count[self.event], self.n_days).astype(np.float64)
        hazard = np.divide(d, n, out=np.zeros_like(n), where=d > 0)
        expected = np.append(0.0, np.cumsum(hazard))
        score = self.event - expected[self.end]
        if self.start is not None:
            score += expected[self.start]
        excess = np.cumsum(np.bincount(self.interval, count * score, self.n_cuts + 1))[:-1]
        below = below_at_risk(self.end, self.start, count, self.n_days, self.interval, self.n_cuts)
        weight = np.divide(d * (n - d), np.square(n) * (n - 1), out=np.zeros_like(n), where=(n > 1) & (d > 0))
        variance = (below * (n - below)) @ weight
        z = np.full(self.n_cuts, np.nan)
        there = variance > 1e-12 * np.max(d, initial=0.0)
        z[there] = -excess[there] / np.sqrt(variance[there])
        return z


def chosen_cuts(cut: Floats, n_below: Floats, most: int, *, including: int | None = None) -> NDArray[np.intp]:
    """Return positions of at most so many cuts, evenly spaced in users; of one that must be among them, too.

    Examples
    --------
    >>> chosen_cuts(np.arange(5.0), np.array([10.0, 11, 12, 20, 30]), 3).tolist()
    [0, 3, 4]
    """
    if cut.size <= most:
        return np.arange(cut.size)
    wanted = np.linspace(n_below[0], n_below[-1], most)
    at = np.searchsorted(n_below, wanted).clip(0, cut.size - 1)
    return np.unique(at if including is None else np.append(at, including))


def cut_cells(rows: CutRows, values: Floats, cuts: Floats) -> CutCells:
    """Join the rows that these cuts do not tell apart.

    Examples
    --------
    >>> from churnsurv.numerics.maximal_logrank import cut_rows
    >>> rows = cut_rows(np.array([1, 2, 2, 4]), np.array([True, True, True, False]))
    >>> cut_cells(rows, np.array([1.0, 2.0, 2.0, 9.0]), np.array([1.0])).count.tolist()
    [1.0, 1.0, 2.0]
    """
    interval = np.searchsorted(cuts, values, side="left").astype(np.int64)
    days = rows.at_risk.size
    key = (interval * (days + 1) + rows.end) * 2 + rows.event
    if rows.start is not None:
        key = key * (days + 1) + rows.start
    found, first, of_row = _distinct(key)
    count = np.bincount(of_row, rows.frequency, found).astype(np.float64)
    start = None if rows.start is None else rows.start[first]
    return CutCells(interval[first], rows.end[first], start, rows.event[first], count, of_row, cuts.size, days)


def _distinct(key: Ints) -> tuple[int, Ints, Ints]:
    """How many different keys there are, a row of each, and which one each row has; in the order of the keys."""
    top = int(key.max()) + 1
    if top > 8 * key.size + 1_000_000:
        keys, first, of_row = np.unique(key, return_index=True, return_inverse=True)
        return keys.size, first, of_row
    row = np.full(top, -1, dtype=np.int64)
    row[key] = np.arange(key.size)
    there = np.flatnonzero(row >= 0)
    number = np.empty(top, dtype=np.int64)
    number[there] = np.arange(there.size)
    return there.size, row[there], number[key]


def resampled_choices(
    cells: CutCells,
    n_resamples: int,
    rng: np.random.Generator,
    *,
    cluster: NDArray[np.integer[Any]] | None = None,
    n_clusters: int = 0,
    frequency: Floats | None = None,
) -> Ints:
    """Choose the cut anew in each of so many resamples of users, (n_resamples,); -1 where there is none.

    Parameters
    ----------
    cells : CutCells
    n_resamples : int
    rng : numpy Generator
    cluster : (n,) integer, optional
        Rows of one cluster are drawn together.
    n_clusters : int
    frequency : (n,) float64, optional
        Of the rows, where clusters are drawn.

    Examples
    --------
    >>> from churnsurv.numerics.maximal_logrank import cut_rows
    >>> rows = cut_rows(np.array([1, 2, 8, 9]), np.ones(4, dtype=bool))
    >>> cells = cut_cells(rows, np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0]))
    >>> resampled_choices(cells, 3, np.random.default_rng(0)).shape
    (3,)
    """
    found = np.empty(n_resamples, dtype=np.int64)
    n_users = round(float(cells.count.sum()))
    for i in range(n_resamples):
        if cluster is None:
            count = rng.multinomial(n_users, cells.count / cells.count.sum()).astype(np.float64)
        else:
            times = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters))[cluster].astype(np.float64)
            weight = times if frequency is None else times * frequency
            count = np.bincount(cells.of_row, weight, cells.count.size).astype(np.float64)
        found[i] = _largest(cells.statistics(count))
    return found


def fold_counts(
    cells: CutCells,
    n_folds: int,
    rng: np.random.Generator,
    *,
    cluster: NDArray[np.integer[Any]] | None = None,
    n_clusters: int = 0,
    frequency: Floats | None = None,
) -> Floats:
    """Deal users, or clusters of rows, into folds of nearly one size: users by cell and fold, (n_cells, n_folds).

    Examples
    --------
    >>> from churnsurv.numerics.maximal_logrank import cut_rows
    >>> rows = cut_rows(np.array([1, 2, 8, 9]), np.ones(4, dtype=bool))
    >>> cells = cut_cells(rows, np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    >>> fold_counts(cells, 2, np.random.default_rng(0)).sum(axis=0).tolist()
    [2.0, 2.0]
    """
    if cluster is None and frequency is not None:
        dealt = rng.multinomial(np.rint(cells.count).astype(np.int64), np.full(n_folds, 1 / n_folds))
        return np.asarray(dealt, dtype=np.float64)
    n = cells.of_row.size if cluster is None else n_clusters
    fold = rng.permutation(n) % n_folds
    if cluster is not None:
        fold = fold[cluster]
    place = cells.of_row * n_folds + fold
    counted = np.bincount(place, frequency, cells.count.size * n_folds)
    return np.asarray(counted.reshape(-1, n_folds), dtype=np.float64)


def held_out_sides(cells: CutCells, dealt: Floats) -> Floats:
    """Count who lies below and above the cut that is chosen without their fold, (2, n_cells) (Faraggi and Simon 1996).

    Parameters
    ----------
    cells : CutCells
    dealt : (n_cells, n_folds) float64
        As `fold_counts` returns it.

    Examples
    --------
    >>> from churnsurv.numerics.maximal_logrank import cut_rows
    >>> rows = cut_rows(np.array([1, 2, 8, 9]), np.ones(4, dtype=bool))
    >>> cells = cut_cells(rows, np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0]))
    >>> held_out_sides(cells, np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])).tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    """
    total = dealt.sum(axis=1)
    above = np.zeros(total.size)
    for fold in dealt.T:
        best = _largest(cells.statistics(total - fold))
        if best >= 0:
            above += np.where(cells.interval > best, fold, 0.0)
    return np.stack([total - above, above])


def permutation_maxima(
    rows: CutRows,
    variables: Sequence[Floats],
    n_permutations: int,
    rng: np.random.Generator,
    *,
    min_share: float,
) -> Floats:
    """Return the largest |z| of each variable in permutations of the users' scores, (n_permutations, n_variables).

    z is standardised by its variance over permutations; each permutation is the same for all variables, which keeps
    how they hang together. Rows stand for one user each.

    Examples
    --------
    >>> from churnsurv.numerics.maximal_logrank import cut_rows
    >>> rows = cut_rows(np.array([1, 2, 3, 4]), np.ones(4, dtype=bool))
    >>> permutation_maxima(rows, [np.arange(4.0)], 2, np.random.default_rng(0), min_share=0.1).shape
    (2, 1)
    """
    n = rows.score.size
    ways = []
    for values in variables:
        cuts = scan_cuts(rows, values, min_share=min_share, standardise="permutation")
        k = cuts.n_below
        scale = np.sqrt(k * (n - k) / n * rows.variance_of_score())
        ways.append((np.argsort(values), k.astype(np.int64) - 1, scale))
    centred = rows.score - rows.score.mean()
    found = np.empty((n_permutations, len(ways)))
    for i in range(n_permutations):
        score = rng.permutation(centred)
        for j, (order, last, scale) in enumerate(ways):
            total = np.cumsum(score if len(ways) == 1 else score[order])
            found[i, j] = np.max(np.abs(total[last]) / scale)
    return found


def _largest(z: Floats) -> int:
    size = np.abs(z)
    return -1 if np.isnan(size).all() else int(np.nanargmax(size))
