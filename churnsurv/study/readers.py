"""Readers of single values of the study file: each returns the checked value or says what it expected."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from churnsurv.data.feature import Feature, resolve
from churnsurv.data.rule import Stages
from churnsurv.errors import InputError, described, did_you_mean

__all__ = ["ManyRefusedError", "RefusedValueError", "WrongValueError"]

MARGINS = ("active_day", "invested_day")


class RefusedValueError(ValueError):
    """A value that cannot be used; the text says why."""


class WrongValueError(RefusedValueError):
    """A value that is not what its key expects; the text says both."""

    def __init__(self, expected: str, found: object, hint: str = "") -> None:
        super().__init__(f"expected {expected}, found {described(found)}.{hint}")


class ManyRefusedError(RefusedValueError):
    """A table with several things wrong; `problems` has the place of each within it, and what is wrong."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = problems


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise WrongValueError("a text in quotes", value)
    return value


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of texts."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
        raise WrongValueError('a list of texts such as ["channel", "cohort"]', value)
    return tuple(dict.fromkeys(items))


def whole(lowest: int) -> Callable[[Any], int]:
    """A whole number of at least `lowest`."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise WrongValueError(f"a whole number of at least {lowest}", value)
        return value

    return read


def wholes(lowest: int, *, least: int = 0) -> Callable[[Any], tuple[int, ...]]:
    """A list of whole numbers of at least `lowest`; sorted, each once. `least` of them are needed."""

    def read(value: Any) -> tuple[int, ...]:
        expected = f"a list of whole numbers of at least {lowest}, such as [14, 30, 60]"
        if not isinstance(value, list) or len(value) < least:
            raise WrongValueError(expected, value)
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int) or item < lowest:
                raise WrongValueError(expected, item)
        return tuple(sorted(set(value)))

    return read


def share(value: Any) -> float:
    """A number strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise WrongValueError("a number between 0 and 1", value)
    return float(value)


def number(value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise WrongValueError("a number", value)
    return float(value)


def number_from(low: float, high: float = math.inf) -> Callable[[Any], float]:
    """A number from `low` to `high`, both included."""

    def read(value: Any) -> float:
        found = number(value)
        if not low <= found <= high:
            reach = f"from {low:g} on" if high == math.inf else f"from {low:g} to {high:g}"
            raise WrongValueError(f"a number {reach}", value)
        return found

    return read


def yes_or_no(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise WrongValueError("true or false", value)
    return value


def margin(value: Any) -> dict[str, float]:
    """What a user brings for each active day, and for each unit held at the end of a day."""
    if not isinstance(value, Mapping) or not value:
        raise WrongValueError(f"{' or '.join(MARGINS)}, such as {{ active_day = 0.5 }}", value)
    for key in value:
        if key not in MARGINS:
            raise WrongValueError(" or ".join(MARGINS), key, did_you_mean(key, MARGINS))
    return {key: number(each) for key, each in value.items()}


def day(value: Any) -> date:
    """A date, with or without quotes."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise WrongValueError("a date such as 2024-05-01", value) from None


def time_zone(value: Any) -> str:
    """The name of a time zone."""
    from zoneinfo import ZoneInfo, available_timezones

    name = text(value)
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        hint = did_you_mean(name, available_timezones())
        raise WrongValueError('a time zone such as "UTC" or "Asia/Shanghai"', value, hint) from None
    return name


def choice(*options: str) -> Callable[[Any], str]:
    """One of the options."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in options:
            expected = " or ".join(f'"{option}"' for option in options)
            raise WrongValueError(expected, value, did_you_mean(str(value), options))
        return value

    return read


def choices(*options: str) -> Callable[[Any], tuple[str, ...]]:
    """A list of some of the options, at least one."""

    def read(value: Any) -> tuple[str, ...]:
        items = texts(value)
        one = choice(*options)
        if not items:
            raise WrongValueError(f'a list such as ["{options[0]}"]', value)
        return tuple(one(item) for item in items)

    return read


def kinds(value: Any) -> tuple[str, ...] | None:
    """Kinds of events that are activity; ``"all"`` is every event."""
    if value == "all":
        return None
    if isinstance(value, str) or not (items := texts(value)):
        raise WrongValueError('a list of kinds such as ["login", "invest"], or "all" for every event', value)
    return items


def columns(value: Any) -> dict[str, str]:
    """Our column names and theirs."""
    if not isinstance(value, Mapping) or not all(isinstance(item, str) and item for item in value.values()):
        raise WrongValueError('ours = "theirs", such as event_at = "created"', value)
    return dict(value)


def categories(value: Any) -> dict[str, Any]:
    """Variables and their reference category."""
    if not isinstance(value, Mapping) or any(isinstance(item, (list, Mapping)) for item in value.values()):
        raise WrongValueError('variable = "category", such as channel = "organic"', value)
    return dict(value)


def source(value: Any) -> Any:
    """A path, or a table with the key `sql`."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, Mapping) and set(value) == {"sql"} and isinstance(value["sql"], str) and value["sql"].strip():
        return dict(value)
    raise WrongValueError('a path such as "events.parquet", or { sql = "SELECT ..." }', value)


def features(value: Any) -> tuple[str | Feature, ...]:
    """Built-in names, or tables with the arguments of `churnsurv.Feature`."""
    if not isinstance(value, list):
        raise WrongValueError('a list such as ["n_investments", { name = "logins", agg = "count" }]', value)
    try:
        resolve([item if isinstance(item, str) else _feature(item) for item in value])
    except InputError as error:
        raise RefusedValueError(str(error)) from None
    return tuple(item if isinstance(item, str) else _feature(item) for item in value)


def _feature(item: Any) -> Feature:
    if not isinstance(item, Mapping) or not {"name", "agg"} <= set(item):
        raise WrongValueError('a feature such as { name = "logins", agg = "count", kind = "login" }', item)
    keys = tuple(each.name for each in dataclasses.fields(Feature))
    for key in item:
        if key not in keys:
            raise WrongValueError(f"a feature with keys among {', '.join(keys)}", key, did_you_mean(key, keys))
    return Feature(**item)


def stages(value: Any) -> Mapping[str, float]:
    """Stages and the value at which each starts."""
    if not isinstance(value, Mapping):
        raise WrongValueError("stages with their starts, such as { new = 0, growth = 3, mature = 10 }", value)
    try:
        return Stages(starts=value).starts
    except InputError as error:
        raise RefusedValueError(str(error)) from None


def section(named: str, value: Any, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """The keys of a section within a section; every problem in it is told at once.

    Examples
    --------
    >>> section("score.ready", {"weeks": 4}, {"weeks": whole(3)})
    {'weeks': 4}
    """
    if not isinstance(value, Mapping):
        raise WrongValueError(f"a section [{named}]", value)
    problems: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for key, each in value.items():
        if key not in readers:
            hint = did_you_mean(key, readers)
            problems.append((key, f"There is no such key.{hint} Keys of [{named}]: {', '.join(readers)}."))
            continue
        try:
            found[key] = readers[key](each)
        except RefusedValueError as wrong:
            problems.append((key, str(wrong)))
    if problems:
        raise ManyRefusedError(problems)
    return found
