"""Whether a value of a table is there, whatever library made the table."""

from __future__ import annotations

__all__ = ["is_missing"]


def is_missing(value: object) -> bool:
    """Tell whether a value is None, NaN, NaT or the NA of pandas.

    Examples
    --------
    >>> import pandas as pd
    >>> [is_missing(each) for each in (None, float("nan"), pd.NaT, pd.NA, 0.0, "")]
    [True, True, True, True, False, False]
    """
    # NaN and NaT are no equals of themselves; NA has no truth, so that it cannot be asked
    return value is None or type(value).__name__ == "NAType" or bool(value != value)
