"""Equal rows as one row with a frequency: with categories and small counts there are few patterns of many users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.threads import by_chunks

__all__ = ["collapse"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

_SAMPLE = 4096  # rows on which a collapse is thought over
_PIECE = 65_536  # rows numbered at once


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """A numeric column of whole numbers: ``values[codes]``, exactly."""

    codes: Codes
    values: Floats


def collapse(data: CoxData) -> CoxData:
    """Collapse rows that are equal in covariates, entry, end and event; the likelihood stays what it is.

    Frequencies and sampling weights of equal rows add up; the number of events of a day, which is what Efron's ties
    share, stands in the risk sets and stays. Returns `data` itself where there is an offset, a numeric column that does
    not hold whole numbers or a product with one, or where there could be more patterns than rows: that count decides,
    and is made on the first rows before it is made on all.

    Examples
    --------
    >>> from churnsurv.numerics.design import Indicators, design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.repeat([1, 2], 40), np.tile([True, False], 40))
    >>> made = design([], [], [Indicators(np.tile([0, 1], 40).astype(np.int32), ("a",), "b")], n_rows=80)
    >>> collapse(CoxData(made, sets)).design.n_rows
    4
    """
    design, sets = data.design, data.sets
    if data.offset is not None or any(part.values is not None for part in design.indicators):
        return data
    columns: list[tuple[NDArray[np.integer[Any]], int]] = [(sets.place, 2 * sets.n_slots + 1)]
    if sets.start is not None:
        columns.append((sets.start, sets.n_slots + 1))
    columns += [(part.codes, part.n_columns + 1) for part in design.indicators]
    n_patterns = float(np.prod([width for _, width in columns], dtype=np.float64))
    n_numeric = design.dense.shape[1]
    if n_patterns * 2.0**n_numeric > design.n_rows or _levels(data, n_patterns, design.dense[:_SAMPLE]) is None:
        return data
    levels = _levels(data, n_patterns, design.dense)
    if levels is None:
        return data
    return _collapsed(data, columns + [(part.codes, part.values.shape[0]) for part in levels], levels)


def _collapsed(data: CoxData, columns: list[tuple[Codes, int]], levels: list[_Levels]) -> CoxData:
    design, sets, widths = data.design, data.sets, [width for _, width in columns]
    total = _totals(columns, int(np.prod(widths)), data.weights)
    found = np.flatnonzero(total)
    weights = total[found].astype(np.float64)
    place, *codes = (part.astype(np.int32) for part in np.unravel_index(found, widths))
    start = None if sets.start is None else codes.pop(0)
    n_parts = len(design.indicators)
    dense = np.empty((found.shape[0], len(levels)))
    for j, (level, code) in enumerate(zip(levels, codes[n_parts:], strict=True)):
        dense[:, j] = level.values[code]
    indicators = tuple(replace(part, codes=code) for part, code in zip(design.indicators, codes[:n_parts], strict=True))
    return replace(
        data,
        design=replace(design, dense=dense, indicators=indicators),
        sets=replace(sets, place=place, start=start, event=(place % 2 == 1)),
        frequency=weights if data.sampling is None else None,
        sampling=None if data.sampling is None else weights,
    )


def _levels(data: CoxData, n_patterns: float, dense: Floats) -> list[_Levels] | None:
    """Codes of the numeric columns; None where one has no whole numbers, or there could be more patterns than rows."""
    found: list[_Levels] = []
    for column, scale in zip(dense.T, data.design.scale, strict=False):  # those of the categories come after
        lowest = float(column.min())
        width = np.rint((float(column.max()) - lowest) * float(scale)) + 1
        n_patterns *= width
        if n_patterns > data.design.n_rows:
            return None
        codes = np.empty(column.shape[0], dtype=np.int32)
        by_chunks(partial(_code, column, lowest, float(scale), codes), column.shape[0])
        values = np.zeros(int(width))
        values[codes] = column
        # equal values of a column are equal in the design to the last bit, and no others may share their code
        if not all(by_chunks(partial(_exact, column, codes, values), column.shape[0])):
            return None
        found.append(_Levels(codes, values))
    return found


def _code(column: Floats, lowest: float, scale: float, codes: Codes, rows: slice) -> None:
    codes[rows] = np.rint((column[rows] - lowest) * scale)


def _exact(column: Floats, codes: Codes, values: Floats, rows: slice) -> bool:
    return bool((values[codes[rows]] == column[rows]).all())


def _totals(columns: list[tuple[Codes, int]], n_cells: int, weights: Floats | None) -> Floats:
    """Sum of weights of each pattern, shape (n_cells,); in pieces, so that no second table of the rows is held."""
    total, n_rows = np.zeros(n_cells), columns[0][0].shape[0]
    size = max(_PIECE, n_cells)
    for first in range(0, n_rows, size):
        rows = slice(first, first + size)
        cell = columns[0][0][rows].astype(np.int64)
        for column, width in columns[1:]:
            cell *= width
            cell += column[rows]
        total += np.bincount(cell, None if weights is None else weights[rows], n_cells)
    return total
