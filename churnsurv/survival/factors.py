"""Groups of rows: the values of one or more columns as small integer codes, with their labels in order."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MISSING", "Factor", "factor", "group_columns", "joined", "not_simple"]

MISSING = "(missing)"
_CHUNK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """Groups of n rows.

    Attributes
    ----------
    codes : (n,) integer, or None
        Position in `labels`; None where there is one group.
    labels : tuple of str
        Groups that have rows; the values of several columns are joined by " | ".
    values : DataFrame
        One row per group, one column per grouping column.
    """

    codes: NDArray[np.integer[Any]] | None
    labels: tuple[str, ...]
    values: pd.DataFrame


def joined(frame: pd.DataFrame, names: Sequence[str]) -> Factor:
    """Group rows by the columns `names`; no columns make one group, "all".

    Groups stand in the order of the first column, then the second, and so on.

    Raises
    ------
    InputError
        If two groups would carry the same label.

    Examples
    --------
    >>> import pandas as pd
    >>> joined(pd.DataFrame({"a": ["y", "x", None], "b": [1, 2, 2]}), ["a", "b"]).labels
    ('x | 2', 'y | 1', '(missing) | 2')
    """
    import pandas as pd

    if not names:
        return Factor(None, ("all",), pd.DataFrame(index=range(1)))
    parts = [factor(frame[name]) for name in names]
    codes, levels = parts[0]
    columns: list[list[Any]] = [levels]
    for more, more_levels in parts[1:]:
        width = len(more_levels)
        codes, present = _compressed(codes.astype(np.int64) * width + more, len(columns[0]) * width)
        columns = [[column[i // width] for i in present] for column in columns]
        columns.append([more_levels[i % width] for i in present])
    labels = tuple(" | ".join(map(_text, row)) for row in zip(*columns, strict=True))
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(
            f"two groups of {', '.join(map(repr, names))} carry the same label {twice!r}. Rename a value, so that "
            "every group can be told from the others."
        )
    values = pd.DataFrame({name: _column(column) for name, column in zip(names, columns, strict=True)})
    return Factor(codes if len(labels) > 1 else None, labels, values)


def factor(column: pd.Series[Any]) -> tuple[NDArray[np.integer[Any]], list[Any]]:
    """Return codes and the values that occur: in categorical order, else sorted; missing values last.

    Examples
    --------
    >>> import pandas as pd
    >>> codes, levels = factor(pd.Series(pd.Categorical(["b", None, "b"], categories=["c", "b"])))
    >>> codes.tolist(), levels
    ([0, 1, 0], ['b', '(missing)'])
    """
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        codes: NDArray[np.integer[Any]] = np.asarray(column.cat.codes)
        levels = list(column.cat.categories)
    else:
        try:
            found, uniques = pd.factorize(column)
        except TypeError as error:
            raise not_simple(str(column.name), column) from error
        order = _order(list(uniques))
        rank = np.empty(len(order) + 1, dtype=np.int64)
        rank[order] = np.arange(len(order))
        rank[-1] = -1
        codes, levels = rank[found], [uniques[i] for i in order]
    if codes.size and codes.min() < 0:
        codes = np.where(codes < 0, len(levels), codes.astype(np.int64))
        levels.append(MISSING)
    present = _present(codes, len(levels))
    if present.all():
        return codes, levels
    return (np.cumsum(present) - 1)[codes], [level for level, there in zip(levels, present, strict=True) if there]


def not_simple(name: str, column: pd.Series[Any]) -> SchemaError:
    """Return the error for a column whose values cannot be told apart: lists, mappings and the like.

    Examples
    --------
    >>> import pandas as pd
    >>> print(not_simple("tags", pd.Series([["a"], ["b"]])))
    'tags' must hold text, numbers or dates to form groups; it holds values such as ['a'] (list). Turn them into text \
first.
    """
    first = next((value for value in column if getattr(type(value), "__hash__", None) is None), column.iloc[0])
    return SchemaError(
        f"{name!r} must hold text, numbers or dates to form groups; it holds values such as {str(first)[:40]} "
        f"({type(first).__name__}). Turn them into text first."
    )


def group_columns(values: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return the `by` columns that go into a result beside `group`; a sole column named "group" says the same.

    Raises
    ------
    InputError
        If a column has the name of one of the result's own.

    Examples
    --------
    >>> import pandas as pd
    >>> list(group_columns(pd.DataFrame({"channel": ["a", "b"]}), "curves"))
    ['channel']
    """
    if list(values.columns) == ["group"]:
        return values[[]]
    for name in values.columns:
        if name in schema(table).names:
            raise InputError(f"by: {name!r} is also the name of a column of the result. Rename it in the data.")
    return values


def _order(values: list[Any]) -> list[int]:
    """Sorted positions; values of types that don't compare are sorted by type, then as text."""
    try:
        return sorted(range(len(values)), key=values.__getitem__)
    except TypeError:
        return sorted(range(len(values)), key=lambda i: (type(values[i]).__name__, str(values[i])))


def _present(codes: NDArray[np.integer[Any]], n_levels: int) -> NDArray[np.bool_]:
    """Return which levels occur; stops at the rows where the last of them has been seen."""
    seen = np.zeros(n_levels, dtype=np.bool_)
    size = max(_CHUNK, n_levels)
    for start in range(0, codes.size, size):
        seen |= np.bincount(codes[start : start + size], minlength=n_levels) > 0
        if seen.all():
            break
    return seen


def _compressed(codes: NDArray[np.int64], n_levels: int) -> tuple[NDArray[np.int64], list[int]]:
    """Renumber codes to 0 ... m - 1 in order, m the number of codes that occur, and return these."""
    if n_levels > max(1_000_000, 2 * codes.size):
        found, inverse = np.unique(codes, return_inverse=True)
        return inverse.astype(np.int64), found.tolist()
    present = _present(codes, n_levels)
    return (np.cumsum(present) - 1)[codes], np.flatnonzero(present).tolist()


def _column(values: list[Any]) -> Any:
    """Values as a column that keeps its type, unless a missing one turned it into text."""
    import pandas as pd

    return pd.Series(values, dtype=object if MISSING in values else None)


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime) and value.time() == datetime.time.min:
        return value.date().isoformat()
    return str(value)
