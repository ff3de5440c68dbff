"""Rows as a table of a schema, each column of its kind, also where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_of"]

_KINDS = {"date": "datetime64[s]", "integer": "int64", "number": "float64", "boolean": "bool"}


def frame_of(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as the table of a schema.

    Parameters
    ----------
    name : str
        Of the schema.
    rows : sequence of mapping
        A column that a row lacks is null in it.

    Examples
    --------
    >>> frame_of("quantiles", [{"group": "all", "probability": 0.5, "time": 60}])
      group  probability  time  lower  upper
    0   all          0.5  60.0    NaN    NaN
    """
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(schema(name).names))
    kinds = {column.name: _KINDS[column.kind] for column in schema(name).columns if column.kind in _KINDS}
    typed: pd.DataFrame = frame.astype(kinds)
    return typed
