"""A model matrix that never expands categories: numeric columns side by side, categories as integer codes.

Products with such a matrix are weighted counts: the block of two categories in X' diag(v) X is a cross table, a
category against numeric columns is a sum by category. Numeric columns are centred, and scaled by a power of two (which
is exact), so that columns in the 1e9s and in the 1e-9s fit side by side; coefficients are turned back at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.sparse import csc_matrix

from churnsurv.errors import InputError
from churnsurv.numerics.threads import by_chunks

__all__ = ["Design", "Indicators", "count", "design", "not_finite", "weighted_gram"]

Floats: TypeAlias = NDArray[np.float64]

_BLOCK = 8192  # rows of a block of the Gram matrix: it stays in the second-level cache
# OpenBLAS multiplies up to this many numbers on the thread that asks, and more on threads of its own, one caller at a
# time. Small products also go through a faster kernel. From _WIDE columns on its own threads are the better ones.
_SMALL_PRODUCT, _WIDE = 1 << 18, 64
_SMALL_VECTOR = 8_192  # the same for a matrix and a vector
# Beyond 2^(+-400) the square of a scale, which variances are made of, is near the end of floating point.
_LARGEST_EXPONENT = 400


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """Columns 1{code = 1}, ..., 1{code = n_columns} of one categorical term, each times `values` where given.

    Attributes
    ----------
    codes : (n,) integer
        0 where no column is 1: the reference.
    names : tuple of str
        One name per column.
    reference : str or None
        What code 0 stands for; None where no row has it.
    values : (n,) float64, or None
        The numeric part of an interaction, scaled by a power of two but not centred.
    scale : float
        What the values were divided by.
    """

    codes: NDArray[np.integer[Any]]
    names: tuple[str, ...]
    reference: str | None = None
    values: Floats | None = None
    scale: float = 1.0

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.names)

    def sums(self, weights: Floats) -> Floats:
        """Sum weights by column, shape (n_columns,)."""
        return count(self.codes, self.weigh(weights), self.n_columns + 1)[1:]

    def weigh(self, weights: Floats) -> Floats:
        """Weights times values."""
        return weights if self.values is None else weights * self.values


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """n rows by p columns: the numeric columns first, then those of each `Indicators`.

    Attributes
    ----------
    dense : (n, p_numeric) float64
        ``(column - centre) / scale``.
    centre, scale : (p,) float64
        0 and the scale of the values for columns of categories.
    indicators : tuple of Indicators
    names : tuple of str
        Names of the p columns.
    """

    dense: Floats
    centre: Floats
    scale: Floats
    indicators: tuple[Indicators, ...]
    names: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.dense.shape[0])

    @property
    def n_columns(self) -> int:
        """Number of columns, p."""
        return len(self.names)

    def parts(self) -> list[slice]:
        """Return the columns of the numeric part and of each of the indicators."""
        ends = np.cumsum([0, self.dense.shape[1], *(part.n_columns for part in self.indicators)]).tolist()
        return [slice(first, after) for first, after in pairwise(ends)]

    def times(self, coefficients: Floats) -> Floats:
        """Return X b, shape (n,)."""
        numeric, *others = self.parts()
        total = np.empty(self.n_rows)
        effects = [np.concatenate([[0.0], coefficients[columns]]) for columns in others]

        def fill(rows: slice) -> None:
            _product(self.dense[rows], coefficients[numeric], total[rows])
            for part, effect in zip(self.indicators, effects, strict=True):
                own = effect[part.codes[rows]]
                total[rows] += own if part.values is None else own * part.values[rows]

        by_chunks(fill, self.n_rows)
        return total

    def transposed_times(self, weights: Floats) -> Floats:
        """Return X' w, shape (p,)."""
        numeric = np.zeros(self.dense.shape[1])
        for sums in by_chunks(lambda rows: _weighted_sums(self.dense[rows], weights[rows]), self.n_rows):
            numeric += sums
        return np.concatenate([numeric, *(part.sums(weights) for part in self.indicators)])

    def sums_by(self, codes: NDArray[np.integer[Any]], n_codes: int, weights: Floats) -> Floats:
        """Sum w x by code, shape (n_codes, p)."""
        out = np.empty((n_codes, self.n_columns))
        numeric, *others = self.parts()
        out[:, numeric] = _sums_by(codes, n_codes, weights, self.dense)
        for part, columns in zip(self.indicators, others, strict=True):
            width = part.n_columns + 1
            cell = codes * np.int64(width) + part.codes
            out[:, columns] = count(cell, part.weigh(weights), n_codes * width).reshape(n_codes, width)[:, 1:]
        return out

    def gram(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return X' diag(w) X, shape (p, p), and X' w, shape (p,), for weights >= 0."""
        out = np.zeros((self.n_columns, self.n_columns))
        sums = np.empty(self.n_columns)
        numeric, *others = self.parts()
        out[numeric, numeric], sums[numeric] = weighted_gram(self.dense, weights)
        for i, (part, columns) in enumerate(zip(self.indicators, others, strict=True)):
            weighted = part.weigh(weights)
            sums[columns] = part.sums(weights)
            squares = sums[columns] if part.values is None else part.sums(weighted)
            np.fill_diagonal(out[columns, columns], squares)
            with_numeric = _sums_by(part.codes, part.n_columns + 1, weighted, self.dense)[1:]
            out[columns, numeric] = with_numeric
            out[numeric, columns] = with_numeric.T
            for other, more in zip(self.indicators[i + 1 :], others[i + 1 :], strict=True):
                out[columns, more] = _cross_table(part, other, weighted)
                out[more, columns] = out[columns, more].T
        return out, sums

    def rows(self, which: NDArray[Any] | slice) -> Floats:
        """Return some rows as an ordinary matrix, shape (n_which, p)."""
        numeric, *others = self.parts()
        dense = self.dense[which]
        out = np.zeros((dense.shape[0], self.n_columns))
        out[:, numeric] = dense
        for part, columns in zip(self.indicators, others, strict=True):
            codes = part.codes[which]
            row = np.flatnonzero(codes)
            out[row, columns.start + codes[row] - 1] = 1.0 if part.values is None else part.values[which][row]
        return out


def design(
    numeric: Sequence[NDArray[Any]],
    numeric_names: Sequence[str],
    indicators: Sequence[Indicators] = (),
    *,
    n_rows: int,
) -> Design:
    """Put columns together.

    Parameters
    ----------
    numeric : sequence of (n,) arrays
        Numeric columns, in any layout; they are copied once.
    numeric_names : sequence of str
    indicators : sequence of Indicators
    n_rows : int

    Raises
    ------
    InputError
        If a numeric column has values that are not finite, or only one value; the column is named.

    Examples
    --------
    >>> made = design([np.array([1.0, 3.0, 5.0])], ["x"], n_rows=3)
    >>> made.dense.ravel().tolist(), made.centre.tolist(), made.scale.tolist()
    ([-1.0, 0.0, 1.0], [3.0], [2.0])
    """
    dense = np.empty((n_rows, len(numeric)))
    centre, scale = _fill(dense, numeric, numeric_names)
    scaled = tuple(_scaled(part) for part in indicators)
    return Design(
        dense=dense,
        centre=np.concatenate([centre, *(np.zeros(part.n_columns) for part in scaled)]),
        scale=np.concatenate([scale, *(np.full(part.n_columns, part.scale) for part in scaled)]),
        indicators=scaled,
        names=(*numeric_names, *(name for part in scaled for name in part.names)),
    )


def _blocks(after: int, first: int = 0) -> list[slice]:
    return [slice(begin, min(begin + _BLOCK, after)) for begin in range(first, after, _BLOCK)]


def _fill(dense: Floats, columns: Sequence[NDArray[Any]], names: Sequence[str]) -> tuple[Floats, Floats]:
    """Copy the columns, less their mean, divided by a power of two near the largest distance from it.

    By blocks of rows: columns that are views of one table share its cache lines, and would be fetched p times one after
    the other. A NaN shows in the extremes.
    """
    found = by_chunks(lambda rows: _copied(dense, columns, rows), dense.shape[0])
    low, high = np.min([part[0] for part in found], axis=0), np.max([part[1] for part in found], axis=0)
    for column, name, lowest, highest in zip(columns, names, low, high, strict=True):
        _check_values(column, name, float(lowest), float(highest))
    centre = np.sum([part[2] for part in found], axis=0) / dense.shape[0]
    scale = np.array([_power_of_two(size) for size in np.maximum(high - centre, centre - low)])
    if columns:
        by_chunks(lambda rows: _centred(dense[rows], centre, scale), dense.shape[0])
    return centre, scale


def _copied(dense: Floats, columns: Sequence[NDArray[Any]], rows: slice) -> Floats:
    """Copy some rows, and return lowest, highest and sum of each column, shape (3, p)."""
    found = np.array([[np.inf], [-np.inf], [0.0]]).repeat(len(columns), axis=1)
    buffer = np.empty((len(columns), min(_BLOCK, rows.stop - rows.start)))
    for block in _blocks(rows.stop, rows.start):
        part = buffer[:, : block.stop - block.start]
        for j, column in enumerate(columns):
            part[j] = column[block]
        dense[block] = part.T
        np.minimum(found[0], part.min(axis=1), out=found[0])
        np.maximum(found[1], part.max(axis=1), out=found[1])
        with np.errstate(over="ignore", invalid="ignore"):  # infinite and too large values are named afterwards
            found[2] += part.sum(axis=1)
    return found


def _centred(rows: Floats, centre: Floats, scale: Floats) -> None:
    """Centre and scale in place, many rows as one long one: short ones cost more to begin than to compute."""
    together = max(1, _BLOCK // rows.shape[1])
    whole = rows.shape[0] - rows.shape[0] % together
    for part, times in ((rows[:whole].reshape(-1, together * rows.shape[1]), together), (rows[whole:], 1)):
        part -= np.tile(centre, times)
        part *= np.tile(1 / scale, times)


def not_finite(name: str, values: NDArray[Any], rows: NDArray[np.int64] | None = None) -> InputError:
    """Return the error for a column with missing or infinite values: how many, and the first.

    `rows` says how many rows each value stands for, where these have no positions.

    Examples
    --------
    >>> print(not_finite("age", np.array([31.0, np.nan])))
    covariate 'age' has 1 missing or infinite values, first at row 1 (nan). Fill them in, or leave these rows out and \
say so. As a category, C(age), missing values are a category of their own.
    """
    bad = ~np.isfinite(values)
    row = int(np.argmax(bad))
    n = int(np.count_nonzero(bad) if rows is None else rows[bad].sum())
    where = f", first at row {row} ({values[row]})" if rows is None else f", such as {values[row]}"
    return InputError(
        f"covariate {name!r} has {n} missing or infinite values{where}. Fill them in, or leave these rows out and say "
        f"so. As a category, C({name}), missing values are a category of their own."
    )


def _check_values(column: NDArray[Any], name: str, lowest: float, highest: float) -> None:
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise not_finite(name, column)
    if lowest == highest:
        raise InputError(f"covariate {name!r} has no variance: every row is {lowest:g}. Leave it out of the formula.")
    furthest = max(abs(lowest), abs(highest))
    if not 2.0**-_LARGEST_EXPONENT < furthest < 2.0**_LARGEST_EXPONENT:
        raise InputError(
            f"covariate {name!r} goes from {lowest:g} to {highest:g}: the variance of its coefficient is beyond "
            "floating point. Give it another unit."
        )


def _power_of_two(size: float) -> float:
    """Return the power of two next below `size`: dividing by it is exact."""
    return float(2.0 ** np.floor(np.log2(size))) if size > 0 else 1.0


def _scaled(part: Indicators) -> Indicators:
    if part.values is None:
        return part
    scale = _power_of_two(float(np.abs(part.values).max()))
    return Indicators(part.codes, part.names, part.reference, part.values / scale, scale)


def count(codes: NDArray[np.integer[Any]], weights: Floats, n_codes: int) -> Floats:
    """Sum weights by code, shape (n_codes,).

    Examples
    --------
    >>> count(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, 0.0, 5.0]
    """
    return np.bincount(codes, weights, n_codes).astype(np.float64, copy=False)


def weighted_gram(dense: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return X' diag(w) X and X' w of an ordinary matrix, for weights >= 0.

    By blocks of rows: several times faster than one product, which would form the weighted matrix in memory.
    """
    n_rows, p = dense.shape
    total, sums = np.zeros((p, p)), np.zeros(p)
    if p == 0:
        return total, sums
    if p >= _WIDE:
        return _wide_gram(dense, weights)
    for gram, part in by_chunks(lambda rows: _narrow_gram(dense[rows], weights[rows]), n_rows):
        total += gram
        sums += part
    return np.triu(total) + np.triu(total, 1).T, sums


def _narrow_gram(dense: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Few columns: products of stacks of rows, each small enough for BLAS to do at once."""
    n_rows, p = dense.shape
    total = np.zeros((p, p))
    buffer = np.empty((min(_BLOCK, n_rows), p))
    for block in _blocks(n_rows):
        rows = dense[block]
        weighted = np.multiply(rows, weights[block, None], out=buffer[: rows.shape[0]])
        for left, right in zip(_stacks(weighted, p * p), _stacks(rows, p * p), strict=True):
            total += np.matmul(left.transpose(0, 2, 1), right).sum(axis=0)
    return total, _weighted_sums(dense, weights)


def _wide_gram(dense: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Many columns: rank-k updates, which BLAS itself does on several threads."""
    n_rows, p = dense.shape
    total, sums, root = np.zeros((p, p), order="F"), np.zeros(p), np.sqrt(weights)[:, None]
    buffer = np.empty((min(_BLOCK, n_rows), p))
    for block in _blocks(n_rows):
        rows = np.multiply(dense[block], root[block], out=buffer[: block.stop - block.start])
        total = dsyrk(1.0, rows.T, beta=1.0, c=total, overwrite_c=True)
        sums += weights[block] @ dense[block]
    return np.triu(total) + np.triu(total, 1).T, sums


def _stacks(rows: Floats, cost: int) -> list[Floats]:
    """Rows as stacks (n_stacks, height, p) whose products cost so many multiplications a row; the rest as one more."""
    n_rows, p = rows.shape
    height = max(1, min(n_rows, 512, _SMALL_PRODUCT // cost))
    whole = n_rows - n_rows % height
    stacks = [rows[:whole].reshape(-1, height, p)]
    return stacks if whole == n_rows else [*stacks, rows[None, whole:]]


def _product(dense: Floats, coefficients: Floats, out: Floats) -> None:
    """X b on the thread that asks."""
    if dense.shape[1] == 0:
        out[:] = 0.0
        return
    height = max(1, _SMALL_VECTOR // dense.shape[1])
    whole = dense.shape[0] - dense.shape[0] % height
    np.matmul(dense[:whole].reshape(-1, height, dense.shape[1]), coefficients, out=out[:whole].reshape(-1, height))
    np.matmul(dense[whole:], coefficients, out=out[whole:])


def _weighted_sums(dense: Floats, weights: Floats) -> Floats:
    """X' w on the thread that asks."""
    n_rows, p = dense.shape
    if p == 0:
        return np.empty(0)
    height = max(1, _SMALL_VECTOR // p)
    whole = n_rows - n_rows % height
    stacks = np.matmul(weights[:whole].reshape(-1, 1, height), dense[:whole].reshape(-1, height, p))
    sums: Floats = stacks.sum(axis=(0, 1)) + weights[whole:] @ dense[whole:]
    return sums


def _sums_by(codes: NDArray[np.integer[Any]], n_codes: int, weights: Floats, dense: Floats) -> Floats:
    """Sum w x by code: the product of a sparse matrix with one weight per row, and the dense one."""
    n_rows, p = dense.shape
    if p == 0:
        return np.empty((n_codes, 0))
    pointers = np.arange(n_rows + 1, dtype=np.int32 if n_rows < 2**31 - 1 else np.int64)
    sums: Floats = csc_matrix((weights, codes, pointers), shape=(n_codes, n_rows)) @ dense
    return sums


def _cross_table(left: Indicators, right: Indicators, weighted: Floats) -> Floats:
    width = right.n_columns + 1
    cell = left.codes * np.int64(width) + right.codes
    n_cells = (left.n_columns + 1) * width
    return count(cell, right.weigh(weighted), n_cells).reshape(-1, width)[1:, 1:]
