"""The layouts by name, and the mixin that makes a dataclass a result.

This room knows no result class: a result names its schema, and `Result` does the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.errors import InputError, did_you_mean
from churnsurv.tables.html import as_html
from churnsurv.tables.layout import Schema
from churnsurv.tables.of_action import LAYOUTS as ACTION
from churnsurv.tables.of_data import LAYOUTS as DATA
from churnsurv.tables.of_diagnosis import LAYOUTS as DIAGNOSIS
from churnsurv.tables.of_reasons import LAYOUTS as REASONS
from churnsurv.tables.of_recall import LAYOUTS as RECALL
from churnsurv.tables.of_survival import LAYOUTS as SURVIVAL
from churnsurv.tables.of_warning import LAYOUTS as WARNING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SCHEMAS", "Result", "plain", "schema"]

SCHEMAS: Mapping[str, Schema] = {
    layout.name: layout for layout in (*DATA, *SURVIVAL, *DIAGNOSIS, *REASONS, *WARNING, *RECALL, *ACTION)
}


def schema(name: str) -> Schema:
    """Return the layout of a public table.

    Parameters
    ----------
    name : str
        One of the keys of `churnsurv.tables.SCHEMAS`.

    Raises
    ------
    InputError
        If there is no such table; the nearest name is given.

    Examples
    --------
    >>> schema("quantiles").names
    ('group', 'probability', 'time', 'lower', 'upper')
    """
    if name not in SCHEMAS:
        raise InputError(f"There is no table {name!r}.{did_you_mean(name, SCHEMAS)} Tables: {', '.join(SCHEMAS)}.")
    return SCHEMAS[name]


def plain(value: Any) -> Any:
    """Turn numpy scalars, dates and missing values into what JSON can hold; floats keep 9 significant digits.

    Examples
    --------
    >>> plain({"a": float("nan"), "b": 1 / 3})
    {'a': None, 'b': 0.333333333}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist") and not isinstance(value, (str, bytes)):
        return plain(value.tolist())
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class Result:
    """What every public result can do, given `table`, `_schema` and `_headline`.

    A result is a frozen dataclass with this mixin. It never changes, and showing it computes nothing new.
    """

    __slots__ = ()

    _schema: ClassVar[str]

    @property
    def table(self) -> pd.DataFrame:
        """A fresh tidy table; changing it changes nothing here."""
        raise TypeError(f"{type(self).__name__} must define table")

    def _headline(self) -> str:
        """One line with the numbers that matter, without the class name."""
        raise TypeError(f"{type(self).__name__} must define _headline")

    def _facts(self) -> dict[str, Any]:
        """What stands beside the table in JSON: rule, counts, level, method."""
        return {}

    def plot(self, ax: Axes | None = None) -> Axes:  # noqa: ARG002 - the signature that every plot has
        """Draw the table; see `churnsurv.plots`."""
        raise InputError(f"{type(self).__name__} has no plot; use its .table.")

    def to_json(self) -> str:
        """The result as JSON text: kind, schema version, facts, and the table by columns."""
        return json.dumps(self._to_plain(), ensure_ascii=False, allow_nan=False)

    def _to_plain(self) -> dict[str, Any]:
        table = self.table
        return {
            "kind": type(self).__name__,
            "schema": {"name": self._schema, "version": schema(self._schema).version},
            "facts": plain(self._facts()),
            "table": {str(name): plain(table[name].tolist()) for name in table.columns},
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._headline()}>"

    def _repr_html_(self) -> str:
        return as_html(self._headline(), self.table, notes=self._facts().get("notes") or ())
