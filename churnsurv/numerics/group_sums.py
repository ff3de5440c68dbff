"""Sums over the rows of groups, which an engine computes, and what a regression makes of them.

Groups may be split by categories. These are then no columns of the sums: within a group they are constant, so that
their effects multiply its sums, and their columns are picked out of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.design import count

__all__ = ["ONE", "Block", "Columns", "DaySums", "GroupSums", "with_categories"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.integer[Any]]

ONE = -1  # the number one, where a column is a category alone

# exp() of numbers this far below the guess of the largest has lost its digits ...
_LOST = 600.0
# ... which shows where the effect of a category brings it back to so near the largest.
_SEEN = 100.0


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of the design that belong together.

    Attributes
    ----------
    numbers : tuple of int
        Which of the summed numbers the columns are; `ONE` for the number one. Without `part`, one column each.
    part : int or None
        The coded part whose categories the columns are: the only number, in the column of the row's category.
    width : int
        Number of columns.
    """

    numbers: tuple[int, ...]
    part: int | None
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The p columns of a design, by blocks.

    Attributes
    ----------
    blocks : tuple of Block
        In the order of the design.
    names : tuple of str
    centre, scale : (p,) float64
        A column is (x - centre) / scale.
    n_numbers : int
        m, how many numbers of a row are summed.
    """

    blocks: tuple[Block, ...]
    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    n_numbers: int

    @property
    def n_columns(self) -> int:
        """Number of columns, p."""
        return len(self.names)

    def placed(self) -> list[tuple[Block, slice]]:
        """Return each block with the columns that it takes."""
        ends = np.cumsum([0, *(block.width for block in self.blocks)]).tolist()
        return [(block, slice(a, b)) for block, (a, b) in zip(self.blocks, pairwise(ends), strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class GroupSums:
    """Sums over the rows of G groups; m numbers a row.

    Attributes
    ----------
    place : (G,) integer
        Of rows that end: ``2 * slot + event``, as in `RiskSets`. Of rows that enter late: the slot before.
    codes : tuple of (G,) integer
        Category of the group in each coded part: 0 for the reference.
    largest : (G,) float64
        Largest linear predictor.
    S0 : (G,) float64
        Sum of theta, times the weight of the row where there are weights.
    S1 : (G, m) float64
    S2 : (G, m (m + 1) / 2) float64
        Products of numbers 00, 01, ..., 0m, 11, ...
    """

    place: Ints
    codes: tuple[Ints, ...]
    largest: Floats
    S0: Floats
    S1: Floats
    S2: Floats

    def moment(self, left: int, right: int = ONE) -> Floats:
        """Return the sums of theta times two numbers, shape (G,)."""
        left, right = min(left, right), max(left, right)
        if left != ONE:
            m = self.S1.shape[1]
            return self.S2[:, left * m - left * (left - 1) // 2 + right - left]
        return self.S0 if right == ONE else self.S1[:, right]

    def by_place(self, columns: Columns, n_places: int) -> Floats:
        """Return the sums of theta x by place, shape (n_places, p)."""
        out = np.empty((n_places, columns.n_columns))
        for block, where in columns.placed():
            if block.part is None:
                for j, number in enumerate(block.numbers, start=where.start):
                    out[:, j] = count(self.place, self.moment(number), n_places)
            else:
                width = block.width + 1
                cell = self.place.astype(np.int64) * width + self.codes[block.part]
                sums = count(cell, self.moment(block.numbers[0]), n_places * width)
                out[:, where] = sums.reshape(n_places, width)[:, 1:]
        return out

    def gram(self, columns: Columns, weights: Floats) -> Floats:
        """Return the sum over groups of weight times sum of theta x x', shape (p, p).

        Examples
        --------
        Two groups of one number, whose sums of theta x^2 are 2 and 5:

        >>> one = np.ones(2)
        >>> sums = GroupSums(np.array([0, 2]), (), one, one, one[:, None], np.array([[2.0], [5.0]]))
        >>> sums.gram(Columns((Block((0,), None, 1),), ("x",), np.zeros(1), np.ones(1), 1), np.array([1.0, 10.0]))
        array([[52.]])
        """
        out = np.empty((columns.n_columns, columns.n_columns))
        totals = self._totals(weights)
        blocks = columns.placed()
        for i, (block, where) in enumerate(blocks):
            for other, there in blocks[i:]:
                out[where, there] = self._block(block, other, weights, totals)
                out[there, where] = out[where, there].T
        return out

    def _totals(self, weights: Floats) -> Floats:
        """Weighted sums over all groups of every product of two numbers; the last number is one."""
        m = self.S1.shape[1]
        totals = np.empty((m + 1, m + 1))
        upper = np.triu_indices(m)
        totals[upper] = weights @ self.S2
        totals.T[upper] = totals[upper]
        totals[ONE, :m] = totals[:m, ONE] = weights @ self.S1
        totals[ONE, ONE] = weights @ self.S0
        return totals

    def _block(self, left: Block, right: Block, weights: Floats, totals: Floats) -> Floats:
        if left.part is None and right.part is None:
            return totals[np.ix_(left.numbers, right.numbers)]
        if left.part is None:
            return self._block(right, left, weights, totals).T
        codes, number = self.codes[left.part], left.numbers[0]
        width = left.width + 1
        if right.part is None:
            columns = [count(codes, weights * self.moment(number, other), width)[1:] for other in right.numbers]
            return np.column_stack(columns) if columns else np.empty((left.width, 0))
        products = weights * self.moment(number, right.numbers[0])
        if left.part == right.part:
            return np.diag(count(codes, products, width)[1:])
        wide = right.width + 1
        table = count(codes.astype(np.int64) * wide + self.codes[right.part], products, width * wide)
        return table.reshape(width, wide)[1:, 1:]


@dataclass(frozen=True, slots=True, eq=False)
class DaySums:
    """The sums at one set of coefficients.

    Attributes
    ----------
    shift : float
        theta = exp(x'b - shift).
    ends : GroupSums
        Rows at risk on some day with events, by the last such day.
    starts : GroupSums or None
        Those of them that enter after their segment begins, by the last day with events before.
    """

    shift: float
    ends: GroupSums
    starts: GroupSums | None

    def sides(self) -> tuple[GroupSums, ...]:
        """Return the one or two of them."""
        return (self.ends,) if self.starts is None else (self.ends, self.starts)

    def times(self, factor: float) -> DaySums:
        """Return the sums of rows whose weights are `factor` times as large."""
        ends, *starts = (
            replace(side, S0=side.S0 * factor, S1=side.S1 * factor, S2=side.S2 * factor) for side in self.sides()
        )
        return DaySums(self.shift, ends, starts[0] if starts else None)


def with_categories(columns: Columns, sums: DaySums, coefficients: Floats) -> DaySums:
    """Multiply sums of numbers alone by the effects of the categories of their groups, and take the shift to the top.

    Parameters
    ----------
    columns : Columns
    sums : DaySums
        Of the numeric part of the linear predictor.
    coefficients : (p,) float64
        On the scale of the design.

    Returns
    -------
    DaySums
        Where a group lost its digits that count, its S0 is NaN.

    Examples
    --------
    A category with the effect log 3, in the second of two groups:

    >>> two, none = np.array([2.0, 2.0]), np.zeros((2, 0))
    >>> groups = GroupSums(np.array([0, 0]), (np.array([0, 1]),), np.zeros(2), two, none, none)
    >>> columns = Columns((Block((ONE,), 0, 1),), ("g",), np.zeros(1), np.ones(1), 0)
    >>> found = with_categories(columns, DaySums(0.0, groups, None), np.log([3.0]))
    >>> (found.ends.S0 * np.exp(found.shift)).round(12).tolist()
    [2.0, 6.0]
    """
    effects = [_effects(columns, side, coefficients) for side in sums.sides()]
    shift = float((sums.ends.largest + effects[0]).max(initial=-np.inf))
    moved = [_multiplied(side, effect, sums.shift, shift) for side, effect in zip(sums.sides(), effects, strict=True)]
    return DaySums(shift, moved[0], moved[1] if len(moved) > 1 else None)


def _effects(columns: Columns, side: GroupSums, coefficients: Floats) -> Floats:
    """Sum the effects of the categories of each group."""
    effect = np.zeros(side.S0.shape[0])
    for block, where in columns.placed():
        if block.part is not None and block.numbers[0] == ONE:
            effect += np.concatenate([[0.0], coefficients[where]])[side.codes[block.part]]
    return effect


def _multiplied(side: GroupSums, effect: Floats, guess: float, shift: float) -> GroupSums:
    largest = side.largest + effect
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        factor = np.exp(guess + effect - shift)
        S0, S1, S2 = side.S0 * factor, side.S1 * factor[:, None], side.S2 * factor[:, None]
    lost = (side.largest < guess - _LOST) & (largest > shift - _SEEN)
    if lost.any():
        S0 = np.where(lost, np.nan, S0)
    return replace(side, largest=largest, S0=S0, S1=S1, S2=S2)
