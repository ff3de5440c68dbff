"""The cells of moving gaps on each idle day: found inside the engine, numbered, and told as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.gap_paths_sql import (
    Moving,
    can_move,
    changes_in_gaps_sql,
    codes_sql,
    distinct_sql,
    numbered_sql,
    steps_sql,
)

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data.feature import Feature
    from churnsurv.data.reading import Reading
    from churnsurv.data.rule import ChurnRule, Stages

__all__ = ["Steps", "cells_by_day", "moving_of", "steps_of"]

Ints = NDArray[np.int64]

#: No tenure is of so many days, and no engine has the days on which it would be.
_NO_TENURE = 1_000_000


@dataclass(frozen=True, slots=True)
class Steps:
    """How gaps move.

    Attributes
    ----------
    numbered : str
        Table of the moving gaps, `_user_key, as_of, path`.
    codes : (n_paths, idle_days - 1) int64
        The cells of all moving variables as one number from idle day 1, 2, ... on; -1 where nothing changes.
    """

    numbered: str
    codes: Ints


def moving_of(
    variables: Sequence[str],
    cuts: Mapping[str, Sequence[float]],
    cells: Mapping[str, str],
    features: Mapping[str, str | Feature],
    rule: ChurnRule,
    sources: Mapping[str, object],
) -> tuple[tuple[str, ...], Moving | None]:
    """Which variables may move in silence, and how they are asked for.

    Parameters
    ----------
    variables : sequence of str
        Those that are cut.
    cuts, cells : Mapping
        Of each: its cuts, and SQL of its cell.
    features : Mapping of str to str or Feature
        Those of them that are features.
    rule : ChurnRule
    sources : Mapping
        Tables of the log, by name.
    """
    # a churn after one day leaves no day of silence on which anything could move
    silent = rule.idle_days > 1
    own = "tenure" in features or "tenure" not in variables
    tenure = () if own else tuple(math.ceil(cut) for cut in cuts["tenure"] if abs(cut) < _NO_TENURE)
    names = tuple(
        each
        for each in variables
        if silent and (can_move(features[each], rule, sources) if each in features else each == "tenure" and tenure)
    )
    if not names:
        return (), None
    sizes = [len(cuts[each]) + 2 for each in names]
    code = " + ".join(f"{radix} * ({cells[each]})" for each, radix in zip(names, _radices(sizes).tolist(), strict=True))
    asked = tuple(features[each] for each in names if each in features)
    return names, Moving(asked, tenure, f"CAST({code} AS BIGINT)")


@contextmanager
def steps_of(
    reading: Reading,
    rule: ChurnRule,
    stages: Stages,
    moving: Moving,
    *,
    gaps: str,
    users: str,
    first: date,
    limit: date,
) -> Iterator[Steps]:
    """Find the moving gaps that begin from `first` to `limit`; their table is there until the context ends.

    Parameters
    ----------
    gaps, users : str
        As for `gap_counts_sql.counts_sql`.
    """
    engine, idle, made = reading.engine, rule.idle_days, list[str]()

    def table(what: str, query: str) -> str:
        made.append(engine.table(what, query))
        return made[-1]

    try:
        inside = changes_in_gaps_sql(reading, rule, stages, moving, gaps=gaps, first=first, limit=limit)
        changes = table("gap_changes", inside)
        coded = codes_sql(reading, rule, stages, moving, changes=changes, users=users, limit=limit)
        steps = table("gap_steps", steps_sql(f"({coded})", idle))
        distinct = table("gap_ways", distinct_sql(steps, idle))
        found = engine.arrow(f"SELECT * FROM {distinct} ORDER BY path")
        columns = [found[f"day_{day}"].to_numpy().astype(np.int64) for day in range(1, idle)]
        codes = np.column_stack(columns) if columns else np.zeros((found.num_rows, 0), dtype=np.int64)
        yield Steps(table("gap_paths", numbered_sql(steps, distinct, idle)), codes)
    finally:
        for each in reversed(made):
            engine.drop(each)


def cells_by_day(
    way: Ints, codes: Ints, cells: Mapping[str, Ints], grids: Mapping[str, Sequence[float]], moving: Sequence[str]
) -> tuple[Ints, dict[str, Ints]]:
    """Give the path of each row and the cells of each variable along the paths.

    Parameters
    ----------
    way : (n_rows,) int64
        Row of `codes`, or -1 for gaps that do not move.
    codes : (n, idle_days - 1) int64
        See `Steps`.
    cells : Mapping of str to (n_rows,) int64
        At the end of the first day.
    grids : Mapping of str to sequence of float
    moving : sequence of str
        The variables in `codes`, in order.

    Returns
    -------
    (n_rows,) int64
        The path, or -1.
    Mapping of str to (n_paths, idle_days) int64

    Examples
    --------
    A gap that moves from cell 0 to cell 2 on idle day 2, and one that stays:

    >>> path, along = cells_by_day(
    ...     np.array([0, -1]), np.array([[-1, 2, -1]]), {"x": np.array([0, 1])}, {"x": (1.0, 2.0)}, ["x"]
    ... )
    >>> path.tolist(), along["x"].tolist()
    ([0, -1], [[0, 0, 2, 2]])
    """
    path = np.full(way.size, -1, dtype=np.int64)
    rows = np.flatnonzero(way >= 0)
    keys = np.column_stack([way[rows], *(cells[name][rows] for name in cells)])
    distinct, found = np.unique(keys, axis=0, return_inverse=True)
    path[rows] = found.reshape(-1)
    start = {name: distinct[:, place] for place, name in enumerate(cells, start=1)}
    days = codes.shape[1] + 1
    along = {name: np.repeat(start[name][:, None], days, axis=1) for name in cells}
    if moving and distinct.size:
        sizes = [len(grids[name]) + 2 for name in moving]
        radices = _radices(sizes)
        first = sum(start[name] * radix for name, radix in zip(moving, radices, strict=True))
        by_day = np.column_stack([first, codes[distinct[:, 0]]])
        last = np.maximum.accumulate(np.where(by_day >= 0, np.arange(days), 0), axis=1)
        by_day = np.take_along_axis(by_day, last, axis=1)
        along |= {
            name: by_day // radix % size for name, radix, size in zip(moving, radices.tolist(), sizes, strict=True)
        }
    return path, {name: np.ascontiguousarray(each, dtype=np.int64) for name, each in along.items()}


def _radices(sizes: Sequence[int]) -> Ints:
    """What a cell of each variable counts in the one number of all of them."""
    return np.cumprod([1, *sizes[:-1]], dtype=np.int64)
