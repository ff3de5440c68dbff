"""Tables as lists of plain rows, so that they can be compared with what plain Python says."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pandas as pd


def cell(value: Any) -> Any:
    """One cell as plain Python: dates as dates, missing as None."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (pd.Timestamp, datetime)):
        assert value == pd.Timestamp(value).normalize(), value
        return value.date()
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def rows_of(table: pd.DataFrame, columns: list[str] | None = None) -> list[dict[str, Any]]:
    names = columns or [str(name) for name in table.columns]
    return [dict(zip(names, map(cell, row), strict=True)) for row in table[names].itertuples(index=False, name=None)]


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (str(row["user_id"]), row["spell"]))


def rejects_of(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    found = [tuple(row.values()) for row in rows_of(table, ["table", "row", "user_id", "reason"])]
    return sorted(found, key=str)
