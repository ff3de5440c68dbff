"""Tables beside the log: reasons of answers, satisfaction, costs, the calendar, campaigns, what the daily run takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError, require_columns

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.engine import Engine
    from churnsurv.study.config import StudyConfig

__all__ = [
    "answers_of",
    "assignments_of",
    "calendar_of",
    "costs_of",
    "numbers_of_decimals",
    "people_of",
    "reasons_of",
    "rewards_of",
    "table_of",
]


def costs_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return what channels cost, as `churnsurv.channel_value` takes it; None where the study has no costs.

    Raises
    ------
    InputError
        If the file or query cannot be read.
    """
    return _read("costs", config, base, engine)


def reasons_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return which answer is which reason, as `churnsurv.churn_reasons` takes it; None where the study does not say.

    Raises
    ------
    InputError
        If the file or query cannot be read, or gives a code two reasons.
    """
    from churnsurv.diagnosis.reasons_answers import read_mapping

    table = _read("reasons", config, base, engine)
    read_mapping(table)
    return table


def answers_of(config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return how satisfied users were, as `churnsurv.experience_hazard` takes it; None where the study has no answers.

    Raises
    ------
    InputError
        If the file or query cannot be read.
    """
    return _read("answers", config, base, engine)


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


def table_of(name: str, config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return a table of the daily run, margins or scores; None where the study has none.

    Raises
    ------
    InputError
        If the file or query cannot be read.
    """
    return _read(name, config, base, engine)


def people_of(name: str, config: StudyConfig, base: Path, engine: Engine) -> pd.DataFrame | None:
    """Return opt-outs or responses; None where the study has none.

    Ids of a CSV file stay text, so that none of them loses its leading zeros and is then nobody's.

    Raises
    ------
    InputError
        If the file or query cannot be read, or has no column of users.
    """
    import pandas as pd

    source = config.sources.get(name)
    if source is None or source.sql is not None or not str(source.path).lower().endswith(".csv"):
        found = _read(name, config, base, engine)
    else:
        file = base / str(source.path)
        if not file.is_file():
            raise InputError(f"sources.{name}: there is no file {source.path!r}. Check the path.")
        theirs = config.columns.get(name, {})
        try:
            # a user may be called NA; an empty cell alone is none
            ids = {theirs.get("user_id", "user_id"): str}
            found = pd.read_csv(file, dtype=ids, keep_default_na=False, na_values=[""])
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(f"sources.{name}: {source.path!r} cannot be read as CSV: {error}") from error
        found = _renamed(found, theirs, name)
    if found is not None:
        require_columns(f"sources.{name}", ["user_id"], found.columns)
    return found


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
    return _renamed(frame, config.columns.get(name, {}), name)


def _renamed(frame: pd.DataFrame, theirs: Mapping[str, str], name: str) -> pd.DataFrame:
    require_columns(name, list(theirs.values()), frame.columns)
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
