"""Who gets which contact under a budget, and what that is worth: cost curves of several arms.

Each of n users may get one of k contacts, or none. Contact a costs c_a(i) and is expected to bring s_a(i) more than
none. Under a budget the sum of s is highest (but for one user) if the contacts of each user are taken along the upper
hull of their points (c, s), and steps along all hulls in the order of falling slope, s more per unit of cost, while the
budget lasts and s still rises (Sinha and Zoltners 1979). Steps of equal slope are taken together, each for the same
part of its user, so that the order of rows says nothing.

The expectations s only choose. What the choice brings is the mean of the effect values Y_a(i) of those chosen (doubly
robust values that s was not learnt from): with w_t(b) the part of step t that is taken under a budget of b a user,

    gain(b)  = (1/n) sum over steps of w_t(b) (Y_to - Y_from),
    psi_i(b) = sum of user i's terms - gain(b) - slope(b) (spent_i - b),

slope(b) being what a unit more of budget brings: where the limit lies is an estimate too (Sverdrup, Wu, Athey and Wager
2025). With one contact of one price this is the gain curve of `rank_effects`, with b over the price as the share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.rank_effects import cells_between, explained

__all__ = ["Allocation", "AllocationCurve", "allocation", "allocation_curve", "stacked_covariance"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_WINDOW = (0.02, 0.25)  # least and largest half-width, as a share of all that can be spent
_CHUNK = 1 << 18  # numbers in a block of rows by budgets


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """Steps along the hulls, in the order of rows; all arrays have shape (n_steps,).

    Attributes
    ----------
    row : int64
    start, to : int64
        Contact before and after the step: 0 for none, else 1 ... k.
    cost : float64
        What the step adds to the cost of the row.
    block : int64
        Steps of equal slope; 0 has the highest.
    n_rows : int
    """

    row: Ints
    start: Ints
    to: Ints
    cost: Floats
    block: Ints
    n_rows: int

    @property
    def most(self) -> float:
        """Cost a row where every step is taken."""
        return float(self.cost.sum()) / self.n_rows


def allocation(expected: Floats, cost: Floats) -> Allocation:
    """Find the steps along the hull of every row.

    Parameters
    ----------
    expected : (n, k) float64
        s: what each contact is expected to bring.
    cost : (n, k) float64
        c >= 0.

    Examples
    --------
    For the first user the dear contact brings more, though less for the money; for the second it brings nothing more:

    >>> found = allocation(np.array([[2.0, 3.0], [1.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 3.0]]))
    >>> list(zip(found.row.tolist(), found.start.tolist(), found.to.tolist(), found.block.tolist()))
    [(0, 0, 1, 0), (0, 1, 2, 2), (1, 0, 1, 1)]
    """
    n, k = expected.shape
    s, c = np.column_stack([np.zeros(n), expected]), np.column_stack([np.zeros(n), cost])
    at, rows, latest = np.zeros(n, dtype=np.int64), np.arange(n), np.full(n, np.inf)
    steps: list[tuple[Any, ...]] = []
    for _ in range(k):
        more, dearer = s[rows] - s[rows, at][:, None], c[rows] - c[rows, at][:, None]
        # what brings more for no more money comes first of all; the best of these
        slope = np.divide(more, dearer, out=np.where(dearer <= 0, np.inf, 0.0), where=dearer > 0)
        slope[more <= 0] = -np.inf
        best = slope.max(axis=1)
        to = np.where(slope == best[:, None], more, -np.inf).argmax(axis=1)
        extra = dearer[np.arange(rows.size), to]
        going = best > 0
        # slopes of a hull fall; rounding must not turn two of its steps round
        latest = np.minimum(best, latest)[going]
        steps.append((rows[going], at[going], to[going], extra[going], latest))
        rows, at = rows[going], to[going]
    row, start, to, extra, slope = (np.concatenate(each) for each in zip(*steps, strict=True))
    order = np.argsort(row, kind="stable")
    block = np.unique(-slope, return_inverse=True)[1].astype(np.int64)
    found = (row[order], start[order], to[order], extra[order], block[order])
    read_only(*found)
    return Allocation(*found, n_rows=n)


@dataclass(frozen=True, slots=True, eq=False)
class AllocationCurve:
    """What an allocation brings at some budgets.

    Attributes
    ----------
    budget, gain, spent, slope : (n_budgets,) float64
        A user of the population. `spent` is the budget, or all that there is to spend; `slope` what one unit more would
        bring, 0 where nothing is left to buy.
    share : (n_budgets, k) float64
        Share of users who get each contact.
    """

    budget: Floats
    gain: Floats
    spent: Floats
    slope: Floats
    share: Floats
    _steps: Allocation
    _value: Floats
    _cell: Ints
    _taken: Floats
    _first: Ints

    def influence(self, rows: slice) -> Floats:
        """Return psi of consecutive rows, (n_rows, n_budgets)."""
        steps = slice(self._first[rows.start], self._first[rows.stop])
        here = self._first[rows.start : rows.stop]
        psi = np.zeros((here.size, self.budget.shape[0]))
        taken = self._taken[self._cell[steps]]
        brought = taken * (self._value[steps, None] - self._steps.cost[steps, None] * self.slope)
        some = self._first[rows.start + 1 : rows.stop + 1] > here
        if some.any():
            psi[some] = np.add.reduceat(brought, here[some] - steps.start, axis=0)
        return np.asarray(psi - (self.gain - self.slope * self.spent))


def allocation_curve(steps: Allocation, value: Floats, budget: Floats) -> AllocationCurve:
    """Value an allocation at some budgets.

    Parameters
    ----------
    steps : Allocation
    value : (n, k) float64
        Y: doubly robust values of what each contact does to each row, against none.
    budget : (n_budgets,) float64
        A user of the population; ascending, >= 0.

    Examples
    --------
    Two users, one contact that costs 1 and brings 2 and 1, expected in this order; the third budget buys both:

    >>> steps = allocation(np.array([[2.0], [1.0]]), np.ones((2, 1)))
    >>> found = allocation_curve(steps, np.array([[2.0], [1.0]]), np.array([0.25, 0.5, 1.0]))
    >>> found.gain.tolist(), found.share.ravel().tolist()
    ([0.5, 1.0, 1.5], [0.25, 0.5, 1.0])
    """
    n, k = value.shape
    padded = np.column_stack([np.zeros(n), value])
    brings = padded[steps.row, steps.to] - padded[steps.row, steps.start]
    n_blocks = int(steps.block.max(initial=-1)) + 1
    costs = np.bincount(steps.block, steps.cost, minlength=n_blocks) / n
    places = np.append(0.0, np.cumsum(costs))
    cell_of_block, taken = cells_between(places, budget)
    cell = cell_of_block[steps.block]
    gain = taken @ np.bincount(cell, brings, minlength=taken.shape[1]) / n
    slope = _slope(places, np.bincount(steps.block, brings, minlength=n_blocks) / n, budget, n)
    share = np.zeros((budget.shape[0], k))
    for a in range(k):
        turned = (steps.to == a + 1).astype(np.float64) - (steps.start == a + 1)
        share[:, a] = taken @ np.bincount(cell, turned, minlength=taken.shape[1]) / n
    first = np.append(0, np.cumsum(np.bincount(steps.row, minlength=n)))
    spent = np.minimum(budget, places[-1])
    by_cell = np.ascontiguousarray(taken.T)
    read_only(gain, spent, slope, share, brings, cell, by_cell, first)
    return AllocationCurve(budget, gain, spent, slope, share, steps, brings, cell, by_cell, first)


def _slope(places: Floats, brings: Floats, budget: Floats, n: int) -> Floats:
    """What one unit more of budget brings, over a window around each; 0 where all is bought."""
    most = places[-1]
    if most <= 0:
        return np.zeros(budget.shape[0])
    free = places[1:] <= 0  # what costs nothing comes with any budget
    curve = np.append(brings[free].sum(), brings[free].sum() + np.cumsum(brings[~free]))
    at = np.append(0.0, places[1:][~free])
    half = most * min(max(n ** (-1 / 3), _WINDOW[0]), _WINDOW[1])
    lowest, highest = np.maximum(budget - half, 0.0), np.minimum(budget + half, most)
    rise = np.interp(highest, at, curve) - np.interp(lowest, at, curve)
    found: Floats = np.divide(rise, highest - lowest, out=np.zeros(budget.shape[0]), where=budget < most)
    return found


def stacked_covariance(
    curves: Sequence[AllocationCurve],
    n: int,
    cluster: NDArray[Any] | None = None,
    *,
    terms: Floats | None = None,
    part: float = 1.0,
) -> Floats:
    """Return the covariance of the gains of several curves over the same rows, one behind the other.

    Parameters
    ----------
    curves : sequence of AllocationCurve
    n : int
        Rows.
    cluster : (n,) integer, optional
        Ascending: rows that may depend on each other stand together.
    terms : (n, p) float64, optional
        Functions of follow-up, taken out of the covariance, as in `rank_effects.curve_effects`.
    part : float
        Share of these rows among all that follow-up was estimated from.

    Examples
    --------
    >>> steps = allocation(np.array([[2.0], [1.0]]), np.ones((2, 1)))
    >>> curve = allocation_curve(steps, np.array([[2.0], [1.0]]), np.array([1.0]))
    >>> stacked_covariance([curve], 2).tolist()
    [[0.125]]
    """
    width = sum(curve.budget.shape[0] for curve in curves)
    start = np.arange(n) if cluster is None else np.flatnonzero(np.append(True, np.diff(cluster) != 0))
    ends = np.append(start, n)
    per = max(_CHUNK // max(width, 1), 1)
    cuts = np.unique(np.append(np.searchsorted(start, np.arange(0, n, per)), start.size))
    terms = np.zeros((n, 0)) if terms is None else terms
    total = np.zeros((width + terms.shape[1],) * 2)
    P = np.zeros((width, terms.shape[1]))
    for low, high in pairwise(cuts):
        rows = slice(int(ends[low]), int(ends[high]))
        psi = np.column_stack([*(curve.influence(rows) for curve in curves), terms[rows]])
        P += psi[:, :width].T @ terms[rows]
        if cluster is not None:
            psi = np.add.reduceat(psi, start[low:high] - rows.start, axis=0)
        total += psi.T @ psi
    taken = explained(P, terms.T @ terms, total[:width, width:], total[width:, width:]) if terms.any() else 0.0
    return np.asarray((total[:width, :width] - part * taken) / n**2)
