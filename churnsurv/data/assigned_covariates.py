"""Columns of any type as numbers that means can be compared of and adjusted for, and attributes as groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.ids import user_ids
from churnsurv.data.sources import Source, open_source
from churnsurv.data.sql import name as quoted
from churnsurv.data.users import text_or_null
from churnsurv.errors import InputError, SchemaError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog

__all__ = ["attribute_names", "attribute_of", "covariate_columns"]

Floats: TypeAlias = NDArray[np.float64]

_MOST_CATEGORIES = 50


def covariate_columns(name: str, column: Any, kind: str, *, from_csv: bool = False) -> dict[str, Floats]:
    """Turn a column into one of numbers, or into one for each category but the first.

    Missing numbers become the mean of the others, with a column more that says where; missing text is a category.

    Parameters
    ----------
    name : str
    column : pyarrow.ChunkedArray
    kind : str
        Its DuckDB type.
    from_csv : bool
        Whether text that reads as numbers is meant as such.

    Raises
    ------
    SchemaError
        If the type is neither number, boolean nor text.
    InputError
        If there are more than 50 categories.

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = covariate_columns("device", pa.chunked_array([["ios", None, "web"]]), "VARCHAR")
    >>> {each: values.tolist() for each, values in made.items()}
    {'device: missing': [0.0, 1.0, 0.0], 'device: web': [0.0, 0.0, 1.0]}
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind.startswith(("VARCHAR", "ENUM")):
        text = column.cast(pa.string())
        if from_csv:
            try:
                return covariate_columns(name, text.cast(pa.float64()), "DOUBLE")
            except pa.ArrowInvalid:
                pass  # words, then
        return _categories(name, pc.fill_null(text, "missing"))
    if kind.startswith(("DATE", "TIME")) or not _is_number(column.type):
        raise SchemaError(
            f"covariates: {name!r} has type {kind}; a number, a boolean or text of few values is needed. Turn dates "
            "into days before the assignment."
        )
    # an empty column has no mean; zero adjusts for nothing
    values = np.array(column.cast(pa.float64()).to_pandas(), dtype=np.float64)
    missing = ~np.isfinite(values)
    if not missing.any():
        return {name: values}
    values[missing] = values[~missing].mean() if not missing.all() else 0.0
    return {name: values, f"{name}: missing": missing.astype(np.float64)}


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _categories(name: str, text: Any) -> dict[str, Floats]:
    import pyarrow.compute as pc

    there = sorted(pc.unique(text).to_pylist())
    if len(there) > _MOST_CATEGORIES:
        raise InputError(
            f"covariates: {name!r} has {len(there):,} categories; {_MOST_CATEGORIES} at most can be adjusted for. "
            "Group them, or leave the column out."
        )
    return {f"{name}: {each}": np.array(pc.equal(text, each).to_numpy(), dtype=np.float64) for each in there[1:]}


def attribute_names(log: ActivityLog) -> list[str]:
    """Columns of the users, as given, but for id and registration: nothing that the log tells of them later."""
    columns = log.engine.describe(log._reading.users)
    return [each for each in columns if not each.startswith("_") and each not in ("user_id", "registered_at")]


def attribute_of(log: ActivityLog, user_id: pd.Series[Any], column: str) -> list[str | None]:
    """An attribute of users as text, id by id; None for who is no user of the log.

    Ids are matched as those of assignments are: 7 is 7.0 is "7".

    Parameters
    ----------
    log : ActivityLog
    user_id : Series
        Any number of times each.
    column : str
        One of `attribute_names`.

    Raises
    ------
    SchemaError
        If ids are text that is no whole number, and those of the users are whole numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": [1, 2], "registered_at": "2024-01-01", "device": ["ios", "web"]})
    >>> events = pd.DataFrame({"user_id": [1], "event_at": ["2024-01-05"], "kind": ["login"]})
    >>> attribute_of(ActivityLog(events, users), pd.Series([2.0, 1.0, None, 9.0]), "device")
    ['web', 'ios', None, None]
    """
    import pandas as pd

    reading, engine = log._reading, log.engine
    users = Source("users", reading.users, engine.describe(reading.users))
    asked = pd.DataFrame({"user_id": user_id.to_numpy(), "place": np.arange(len(user_id))})
    source = open_source(engine, "assignments", asked, {}, ("user_id",))
    ids = user_ids(engine, {"users": users, "assignments": source})
    value = text_or_null(quoted(column), users.columns[column], always=True)
    found = engine.arrow(
        f"SELECT u.found FROM (SELECT {ids['assignments']} AS _user_id, place FROM {source.view}) AS a"
        f" LEFT JOIN (SELECT {ids['users']} AS _user_id, {value} AS found FROM {reading.users}) AS u"
        " ON a._user_id = u._user_id ORDER BY a.place"
    )
    texts: list[str | None] = found["found"].to_pylist()
    return texts
