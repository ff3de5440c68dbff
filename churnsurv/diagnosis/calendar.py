"""A calendar of campaigns and holidays, as the user gives it, and which of its events lie near some days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from churnsurv.diagnosis.naming import quoted
from churnsurv.errors import InputError, SchemaError, require_columns
from churnsurv.notes import note
from churnsurv.survival.frames import as_frame
from churnsurv.tables import is_missing
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Event", "match_note", "matching", "read_calendar"]

_SPANS = (("date", "date"), ("start", "end"), ("first", "last"))


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """Something dated: from `start` to `end`, both included."""

    start: date
    end: date
    name: str
    kind: str | None = None

    def near(self, start: date, end: date, tolerance: int) -> bool:
        """Say whether it overlaps these days, or misses them by at most so many.

        Examples
        --------
        >>> spring = Event(date(2024, 5, 20), date(2024, 5, 26), "spring")
        >>> [spring.near(date(2024, 5, day), date(2024, 5, day), 2) for day in (17, 18, 28, 29)]
        [False, True, True, False]
        """
        margin = timedelta(days=tolerance)
        return self.start - margin <= end and start <= self.end + margin


def read_calendar(calendar: Any) -> tuple[Event, ...]:
    """Read the events of a calendar, in the order of days.

    Parameters
    ----------
    calendar : table or None
        `name`; `date`, or `start` and `end`, or `first` and `last`; and perhaps `kind`.

    Raises
    ------
    SchemaError
        If there is no name or no day among the columns.
    InputError
        If a name or day is missing or cannot be read, or an event ends before it starts.

    Examples
    --------
    >>> import pandas as pd
    >>> read_calendar(pd.DataFrame({"name": ["New Year"], "date": ["2024-01-01"], "kind": ["holiday"]}))[0].kind
    'holiday'
    """
    if calendar is None:
        return ()
    frame = as_frame(calendar, needed=["name"], what="calendar")
    span = next((pair for pair in _SPANS if set(pair) <= set(frame.columns)), None)
    if span is None:
        require_columns("calendar", ["start", "end"] if {"start", "end"} & set(frame.columns) else ["date"], frame)
        raise SchemaError("calendar: its days stand in 'date', or in 'start' and 'end'.")
    starts, ends = (_days(frame[column], column) for column in span)
    kinds = frame["kind"] if "kind" in frame.columns else [None] * len(frame)
    events = []
    for row, (start, end, name, kind) in enumerate(zip(starts, ends, frame["name"], kinds, strict=True)):
        if _missing(name):
            raise InputError(f"calendar: 'name' is missing at row {row}. Name every event.")
        if end < start:
            raise InputError(f"calendar: {str(name)!r} (row {row}) ends on {end}, before it starts on {start}.")
        events.append(Event(start, end, str(name), None if _missing(kind) else str(kind)))
    return tuple(sorted(events, key=lambda event: (event.start, event.end, event.name, event.kind or "")))


def _missing(value: object) -> bool:
    return is_missing(value) or not str(value).strip()


def _days(column: pd.Series[Any], name: str) -> list[date]:
    """The calendar days of a column; a time of day, or a zone, is left aside."""
    import pandas as pd

    found: list[date] = []
    for row, value in enumerate(column):
        try:
            moment = pd.NaT if _missing(value) or isinstance(value, (int, float)) else pd.Timestamp(value)
        except (ValueError, TypeError):
            moment = pd.NaT
        if not isinstance(moment, pd.Timestamp):
            raise InputError(f"calendar: {name!r} is {value!r} at row {row}; a day such as '2024-05-20' is needed.")
        found.append(moment.date())
    return found


def matching(start: date, end: date, events: Iterable[Event], tolerance: int) -> dict[str, str | None]:
    """Name the events near some days: all of them, joined by "; ", in the order of days.

    Examples
    --------
    >>> may = Event(date(2024, 5, 1), date(2024, 5, 5), "May", "holiday")
    >>> matching(date(2024, 5, 6), date(2024, 5, 7), [may], 2)
    {'event': 'May', 'event_kind': 'holiday'}
    """
    near = [event for event in events if event.near(start, end, tolerance)]
    names = dict.fromkeys(event.name for event in near)
    kinds = dict.fromkeys(event.kind for event in near if event.kind is not None)
    return {"event": "; ".join(names) or None, "event_kind": "; ".join(kinds) or None}


def match_note(
    events: Sequence[Event], bursts: Sequence[Mapping[str, Any]], tolerance: int, first: date, n_days: int
) -> Iterator[str]:
    """Say how many bursts have an event, how many events have none, and how often that happens by chance."""
    if not events:
        return
    days = [first + timedelta(days=day) for day in range(n_days)]
    near = sum(any(event.near(day, day, tolerance) for event in events) for day in days)
    matched = sum(burst["event"] is not None for burst in bursts)
    yield note(
        "{matched} of {n} bursts lie within {days} days of an event of the calendar; so do {share} % of all days. A "
        "match of days is no proof that the event brought the users.",
        matched=matched,
        n=len(bursts),
        days=tolerance,
        share=f"{100 * near / n_days:.0f}",
    )
    inside = [event for event in events if event.near(days[0], days[-1], 0)]
    alone = [e.name for e in inside if not any(e.near(b["start"], b["end"], tolerance) for b in bursts)]
    if alone:
        named = said_list([quoted(name) for name in alone[:10]])
        yield note(
            "No burst near {alone} of {n} events in these days: {names}.",
            alone=len(alone),
            n=len(inside),
            names=note("{names}, ...", names=named) if len(alone) > 10 else named,
        )
    if len(inside) < len(events):
        yield note(
            "{n} events of the calendar lie outside {first} to {last}.",
            n=len(events) - len(inside),
            first=days[0],
            last=days[-1],
        )
