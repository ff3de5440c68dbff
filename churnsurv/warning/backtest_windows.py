"""On which days a backtest stops to learn, and which gaps it judges then."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.data.rule import calendar_day
from churnsurv.errors import InputError

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["Window", "windows"]

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Gaps that begin from `first` to `last` are judged by what was known at the end of `origin`."""

    origin: datetime.date
    first: datetime.date
    last: datetime.date

    @property
    def n_days(self) -> int:
        """How many days these are."""
        return (self.last - self.first).days + 1


def windows(
    log: ActivityLog,
    origins: int | datetime.date | str | Sequence[datetime.date | str],
    test_days: int,
    *,
    known_until: datetime.date | None,
) -> tuple[Window, ...]:
    """The windows of the origins, in order.

    Parameters
    ----------
    log : ActivityLog
    origins : int, date, or sequence of dates
        A number: the last windows that fit, one behind the other.
    test_days : int
    known_until : date or None
        The last day that a ready scheme has seen; None where rules are fitted at each origin.

    Raises
    ------
    InputError
        If the outcomes of a window are not complete, an origin is too early, or an argument is not understood.
    """
    days = _whole(test_days, "test_days")
    idle, end = log.rule.idle_days, log.observed_until
    last = end - datetime.timedelta(days=idle + days)
    first = _first_origin(log, known_until)
    if isinstance(origins, (int, np.integer)):
        found = _spaced(_whole(origins, "origins"), first, last, days)
    else:
        found = _dates(origins)
    for origin in found:
        _check(origin, first, last, days, idle=idle, end=end, known_until=known_until)
    return tuple(Window(origin, origin + _DAY, origin + datetime.timedelta(days=days)) for origin in found)


def _first_origin(log: ActivityLog, known_until: datetime.date | None) -> datetime.date:
    """The first day on which there is something to learn from, or after which a ready scheme has seen nothing."""
    begin: datetime.date = log.observed_from
    if known_until is not None:
        return max(known_until, begin - _DAY)
    idle_days: int = log.rule.idle_days
    return begin + datetime.timedelta(days=idle_days)


def _spaced(n: int, first: datetime.date, last: datetime.date, days: int) -> list[datetime.date]:
    room = (last - first).days
    fit = room // days + 1 if room >= 0 else 0
    if fit < n:
        instead = f"Ask for {fit}, or for fewer" if fit else "Take a longer log, or fewer"
        raise InputError(
            f"origins: {n} windows of {days} test days do not fit between {first}, before which there is nothing to "
            f"judge by, and {last}, after which outcomes are incomplete. {instead} test_days."
        )
    return [last - datetime.timedelta(days=days * back) for back in reversed(range(n))]


def _dates(origins: datetime.date | str | Sequence[datetime.date | str]) -> list[datetime.date]:
    alone = isinstance(origins, (str, datetime.date))
    try:
        given = [origins] if alone else list(origins)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"origins is a number or a list of dates; it is {origins!r}.") from None
    found = sorted({calendar_day(each, "origins") for each in given})
    if not found:
        raise InputError("origins: there is none. Give dates, or how many.")
    return found


def _check(
    origin: datetime.date,
    first: datetime.date,
    last: datetime.date,
    days: int,
    *,
    idle: int,
    end: datetime.date,
    known_until: datetime.date | None,
) -> None:
    if origin > last:
        raise InputError(
            f"origins: {origin} is too late. Gaps that begin up to {days} days after it must be followed for {idle} "
            f"days, and the log ends on {end}: the last possible origin is {last}. Or take fewer test_days."
        )
    if origin < first:
        why = (
            f"the scheme has seen days through {known_until}, and is judged on what came after them"
            if known_until == first
            else f"there is no gap yet that was followed for {idle} days"
            if known_until is None
            else "the log begins later"
        )
        raise InputError(f"origins: {origin} is too early: {why}. The first possible origin is {first}.")


def _whole(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{what} is a whole number, 1 or more; it is {value!r}.")
    return int(value)
