"""Equal rows as one row with a frequency: with categories alone there are few patterns, however many users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from churnsurv.numerics.cox import CoxData

__all__ = ["collapse"]


def collapse(data: CoxData) -> CoxData:
    """Collapse rows that are equal in covariates, entry, end and event; the likelihood stays what it is.

    Frequencies and sampling weights of equal rows add up; the number of events of a day, which is what Efron's ties
    share, stands in the risk sets and stays. Returns `data` itself where there are numeric columns or an offset, or
    where there could be more patterns than rows: that count decides, and costs nothing.

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
    if design.dense.shape[1] or data.offset is not None or any(part.values is not None for part in design.indicators):
        return data
    columns = [
        (sets.place, 2 * sets.n_slots + 1),
        *((part.codes, part.n_columns + 1) for part in design.indicators),
    ]
    if sets.start is not None:
        columns.append((sets.start, sets.n_slots + 1))
    widths = [width for _, width in columns]
    if np.prod(widths, dtype=np.float64) > design.n_rows:
        return data
    cell = columns[0][0].astype(np.int64)
    for column, width in columns[1:]:
        cell *= width
        cell += column
    total = np.bincount(cell, data.weights, int(np.prod(widths)))
    found = np.flatnonzero(total)
    weights = total[found].astype(np.float64)
    place, *codes = (part.astype(np.int32) for part in np.unravel_index(found, widths))
    start = None if sets.start is None else codes.pop()
    indicators = tuple(replace(part, codes=code) for part, code in zip(design.indicators, codes, strict=True))
    return replace(
        data,
        design=replace(design, dense=np.empty((found.shape[0], 0)), indicators=indicators),
        sets=replace(sets, place=place, start=start, event=(place % 2 == 1)),
        frequency=weights if data.sampling is None else None,
        sampling=None if data.sampling is None else weights,
    )
