"""Tables beside the log: what channels cost, the calendar of campaigns and holidays, and who was in which campaign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.engine import Engine
    from churnsurv.study.config import StudyConfig

__all__ = ["assignments_of", "calendar_of", "costs_of", "numbers_of_decimals", "rewards_of"]


def costs_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return what channels cost, as `churnsurv.channel_value` takes it; None where the study has no costs.

    Raises
    ------
    InputError
        If the file or query cannot be read.
    """
    return _read("costs", config, base, engine)


def assignments_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame:
    """Return who was in which arm of which campaign, as `churnsurv.campaign_lift` takes it.

    Raises
    ------
    InputError
        If the study has no such table, or it cannot be read.
    """
    table = _read("assignments", config, base, engine)
    if table is None:
        raise InputError('sources.assignments is missing: assignments = "assignments.parquet".')
    return table


def rewards_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return the rewards of campaigns; None where the study has none.

    Raises
    ------
    InputError
        If the file or query cannot be read.
    """
    return _read("rewards", config, base, engine)


def calendar_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return campaigns and holidays, as `churnsurv.cohort_bursts` takes them; None where the study has none.

    Raises
    ------
    InputError
        If the file or query cannot be read, or is no calendar.
    """
    import pandas as pd

    from churnsurv.diagnosis.calendar import read_calendar

    if config.calendar:
        rows = [(each.name, each.kind, each.first, each.last) for each in config.calendar]
        return pd.DataFrame(rows, columns=["name", "kind", "first", "last"])
    table = _read("calendar", config, base, engine)
    read_calendar(table)
    return table


def _read(name: str, config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    from churnsurv.data.propose import require_one_file
    from churnsurv.survival.frames import as_frame

    if name not in config.sources:
        return None
    source = config.sources[name]
    given: Any = base / str(source.path)
    if source.sql is not None:
        require_one_file(source.sql, base)
        given = engine.sql(source.sql)
    frame = as_frame(given, what=name)
    theirs = config.columns.get(name, {})
    frame = as_frame(frame, needed=list(theirs.values()), what=name)
    return numbers_of_decimals(frame.rename(columns={each: ours for ours, each in theirs.items()}))


def numbers_of_decimals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose decimals, as money comes from Parquet files and databases, are numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from decimal import Decimal
    >>> numbers_of_decimals(pd.DataFrame({"channel": ["paid"], "amount": [Decimal("2.50")]})).dtypes.tolist()
    [dtype('O'), dtype('float64')]
    """
    from decimal import Decimal

    kinds = {}
    for name, column in frame.items():
        known = column.dropna() if column.dtype == object else column.iloc[:0]
        if len(known) and all(isinstance(value, Decimal) for value in known):
            kinds[name] = "float64"
    return frame.astype(kinds)
