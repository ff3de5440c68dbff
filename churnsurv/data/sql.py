"""Quoting: the one place where names and values become SQL text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from churnsurv.errors import InputError

__all__ = ["literal", "literals", "name"]


def name(identifier: str) -> str:
    """Quote a table or column name.

    Examples
    --------
    >>> print(name('the "best" one'))
    "the ""best"" one"
    """
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Write a value as SQL text.

    Raises
    ------
    InputError
        If the value is not text, a whole or finite number, a boolean, a date or None.

    Examples
    --------
    >>> print(literal("it's"), literal(date(2024, 5, 1)), literal(None))
    'it''s' DATE '2024-05-01' NULL
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        raise InputError(f"{value!r} is a time; a date is needed here.")
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value - value == 0.0:
        return f"CAST({value!r} AS DOUBLE)"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise InputError(f"{value!r} can't be written as SQL; use text, a finite number, a boolean or a date.")


def literals(values: Iterable[object]) -> str:
    """Write values as a comma-separated list.

    Examples
    --------
    >>> literals(["login", "invest"])
    "'login', 'invest'"
    """
    return ", ".join(literal(value) for value in values)
