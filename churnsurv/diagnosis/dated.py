"""Dates and amounts of tables that users hand over beside the log, read as the log reads its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.survival.frames import first_of, numeric_column

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.clock import Clock

__all__ = ["amounts_of", "days_of_dates"]

Floats: TypeAlias = NDArray[np.float64]

_ZONE = re.compile(r"\d{2}:\d{2}.*?(Z|UTC|[+-]\d{2}:?(\d{2})?)\s*$")


def amounts_of(frame: pd.DataFrame, column: str, what: str, *, least: float | None = None) -> Floats:
    """Read amounts of money, also decimals.

    Raises
    ------
    InputError
        If one is missing, no finite number, or below `least`.

    Examples
    --------
    >>> import pandas as pd
    >>> from decimal import Decimal
    >>> amounts_of(pd.DataFrame({"amount": [Decimal("1.50"), Decimal("2")]}), "amount", "costs").tolist()
    [1.5, 2.0]
    """
    values = numeric_column(frame, column, "numbers").astype(np.float64)
    bad = ~np.isfinite(values) | (np.zeros(values.size, bool) if least is None else values < least)
    if bad.any():
        asked = "a finite number" if least is None else f"a number of at least {least:g}"
        raise InputError(f"{what}: {column!r} must be {asked}; {first_of(bad, values)}.")
    return values


def days_of_dates(column: pd.Series[Any], clock: Clock, what: str) -> NDArray[np.datetime64]:
    """Read dates as calendar days of the log.

    Parameters
    ----------
    column : (n,) Series
        Dates stand as they are; so do times without a zone if all of them are at midnight. Other times are converted,
        those without a zone as being in the zone of the log's timestamps.
    clock : Clock
    what : str
        What errors call the table.

    Returns
    -------
    (n,) datetime64[D]

    Raises
    ------
    InputError
        If one is missing or cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data.clock import Clock
    >>> evening = pd.Series(["2024-05-20 22:00"], name="date")
    >>> days_of_dates(evening, Clock("UTC", "Asia/Shanghai"), "costs").tolist()
    [datetime.date(2024, 5, 21)]
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        with_zone = np.full(len(column), getattr(column.dt, "tz", None) is not None)
    else:
        with_zone = np.array([_has_zone(each) for each in column], dtype=bool)
    days = np.full(len(column), np.datetime64("NaT", "D"))
    if not pd.api.types.is_numeric_dtype(column.dtype):
        days[with_zone] = _local(_read(column[with_zone], utc=True), clock)
        naive = _read(column[~with_zone], utc=False)
        if (naive != naive.dt.normalize()).any():
            # Of what a zone has twice the first counts, as in the log.
            twice = np.ones(len(naive), dtype=bool)
            naive = naive.dt.tz_localize(clock.timestamps, ambiguous=twice, nonexistent="shift_forward")
        days[~with_zone] = _local(naive, clock)
    bad = np.isnat(days)
    if bad.any():
        raise InputError(f"{what}: {column.name!r} must be a day; {first_of(bad, column.to_numpy())}.")
    return days


def _has_zone(value: object) -> bool:
    if isinstance(value, str):
        return _ZONE.search(value) is not None
    return getattr(value, "tzinfo", None) is not None


def _read(column: pd.Series[Any], *, utc: bool) -> pd.Series[Any]:
    import pandas as pd

    known = pd.api.types.is_datetime64_any_dtype(column.dtype)
    moments = pd.to_datetime(column, errors="coerce", utc=utc, format=None if known else "ISO8601")
    return pd.Series(moments.dt.as_unit("us"))


def _local(moments: pd.Series[Any], clock: Clock) -> NDArray[np.datetime64]:
    """The calendar days of moments; those without a zone stand as they are."""
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert(clock.time_zone).dt.tz_localize(None)
    days: NDArray[np.datetime64] = moments.to_numpy().astype("datetime64[D]")
    return days
