"""Read a table of deliveries in the types of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.action.ledger_plan import columns_of
from churnsurv.errors import SchemaError
from churnsurv.survival.frames import as_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["deliveries_of"]

_NEEDED = ("user_id", "campaign", "step", "delivered_at")


def deliveries_of(table: Any) -> pa.Table:
    """Read `user_id, campaign, step, delivered_at` and perhaps `opened_at` of any table.

    Raises
    ------
    SchemaError
        If a column is missing, has holes, or cannot be read.
    """
    frame = as_frame(table, columns=list(_NEEDED), optional=["opened_at"], needed=list(_NEEDED), what="deliveries")
    frame = frame.assign(opened_at=frame["opened_at"] if "opened_at" in frame.columns else None)
    days = {name: _days(frame[name], name) for name in ("delivered_at", "opened_at")}
    return columns_of(frame.assign(**days), "ledger_deliveries", "deliveries", _NEEDED)


def _days(values: pd.Series[Any], name: str) -> pd.Series[Any]:
    """The calendar days of dates, local times, or text."""
    import pandas as pd

    if isinstance(values.dtype, pd.DatetimeTZDtype):
        raise SchemaError(
            f"deliveries: {name!r} has times with a zone, and whose midnight ends a day is not said. Give local days: "
            ".dt.tz_convert(zone).dt.tz_localize(None)."
        )
    if pd.api.types.is_numeric_dtype(values.dtype) and values.notna().any():
        raise SchemaError(f"deliveries: {name!r} holds numbers; days such as '2025-04-01' are needed.")
    if pd.api.types.is_datetime64_dtype(values.dtype):
        days: pd.Series[Any] = values.dt.floor("D")
        return days
    text = values.map(lambda value: None if pd.isna(value) else str(value)[:10])
    try:
        return pd.to_datetime(text, format="%Y-%m-%d")
    except ValueError as error:
        raise SchemaError(f"deliveries: {name!r} cannot be read as a day: {error}.") from None
