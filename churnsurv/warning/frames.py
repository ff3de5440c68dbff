"""Rows of results as tables of a layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_of"]

_DTYPES = {"integer": "Int64", "number": "float64", "date": "datetime64[s]", "text": "object"}


def frame_of(rows: Sequence[Mapping[str, Any]], layout: str) -> pd.DataFrame:
    """Rows as a table of this layout; whole numbers are nullable only where one is missing.

    Examples
    --------
    >>> frame_of([{"tier": "high", "alerts": 3}], "tier_rules")["alerts"].dtype
    dtype('int64')
    """
    import pandas as pd

    columns = schema(layout).columns
    frame = pd.DataFrame(list(rows), columns=[column.name for column in columns])
    frame = frame.astype({column.name: _DTYPES[column.kind] for column in columns})
    whole = [column.name for column in columns if column.kind == "integer" and not frame[column.name].isna().any()]
    return frame.astype(dict.fromkeys(whole, "int64"))
