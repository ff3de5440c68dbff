"""The few errors that churnsurv raises on purpose: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time

__all__ = [
    "ChurnsurvError",
    "ChurnsurvWarning",
    "ConvergenceError",
    "DataNotReadyError",
    "FollowUpError",
    "InputError",
    "SchemaError",
    "described",
    "did_you_mean",
    "require_columns",
]


class ChurnsurvError(Exception):
    """Base of every error raised on purpose; the command line turns it into its exit code."""

    exit_code: int = 2


class InputError(ChurnsurvError, ValueError):
    """The data or the arguments are at fault."""


class SchemaError(InputError):
    """A table lacks a column, or a column has the wrong type."""


class FollowUpError(InputError):
    """A question about days that nobody was followed to."""


class ConvergenceError(ChurnsurvError):
    """An estimate does not exist or was not reached: separation, collinearity, no convergence."""


class DataNotReadyError(ChurnsurvError):
    """The data of the day asked for is not there in full yet."""

    exit_code = 3


class ChurnsurvWarning(UserWarning):
    """Something that a reader of the result must know."""


def did_you_mean(name: str, options: Iterable[object]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest option, or an empty string.

    Examples
    --------
    >>> did_you_mean("chanel", ["channel", "cohort"])
    " Did you mean 'channel'?"
    """
    names = [str(option) for option in options]
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not nearest:
        folded = {option.lower(): option for option in reversed(names)}
        nearest = [folded[key] for key in difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)]
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def described(value: object) -> str:
    """Say what a value of a settings file is, for an error message.

    Examples
    --------
    >>> described("30"), described(2.5), described(True)
    ("the text '30'", 'the number 2.5', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, (date, time)):
        return f"the date or time {value}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a table" if isinstance(value, Mapping) else repr(value)


def require_columns(table: str, needed: Sequence[str], present: Iterable[object]) -> None:
    """Raise `SchemaError` that names every missing column, the nearest name and the columns there are."""
    there = [str(name) for name in present]
    missing = [name for name in needed if name not in there]
    if not missing:
        return
    lines = [f"{name!r} is missing.{did_you_mean(name, there)}" for name in missing]
    raise SchemaError(f"{table}: {' '.join(lines)} The table has {', '.join(map(repr, there)) or 'no columns'}.")
