"""Which days a shock is judged on, which it is compared with, and which dates before it stand in for it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.rule import calendar_day
from churnsurv.diagnosis.calendar import Event, read_calendar
from churnsurv.diagnosis.naming import quoted
from churnsurv.errors import FollowUpError, InputError
from churnsurv.notes import note
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["FEWEST_BEFORE", "Plan", "Window", "plan_at", "plans_of", "shocks_of", "span_of"]

Ints: TypeAlias = NDArray[np.int64]

FEWEST_BEFORE = 28
_ONE_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Days since the date, both included, counted from the first day of the shock."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The days of one shock, as numbers of days since 1970.

    Attributes
    ----------
    event : Event
    date : int
        The first day of the shock, or of a placebo.
    reference : (n,) int64
        Days to learn from, ascending.
    windows : tuple of Window
    ends : int
        Days judged, from `date` on.
    """

    event: Event
    date: int
    reference: Ints
    windows: tuple[Window, ...]
    ends: int

    @property
    def judged(self) -> Ints:
        """The days judged."""
        return np.arange(self.date, self.date + self.ends)


def number(day: datetime.date) -> int:
    """Days since 1970."""
    return (day - datetime.date(1970, 1, 1)).days


def shocks_of(when: Any, log: ActivityLog) -> tuple[list[Event], list[Event], list[str]]:
    """Read a date or a calendar: shocks to judge, those that cannot be but may show on days of the log, and notes.

    Raises
    ------
    FollowUpError
        If nobody was followed after the date, or before it; of a calendar, after all dates.
    """
    if isinstance(when, (str, datetime.date, np.datetime64)):
        day = calendar_day(str(when)[:10] if isinstance(when, (datetime.datetime, np.datetime64)) else when, "when")
        reason = _not_followed(Event(day, day, str(day)), log)
        if reason:
            raise FollowUpError(reason)
        return [Event(day, day, str(day))], [], []
    events = read_calendar(when)
    if not events:
        raise InputError("when has no dates: give a date, or a calendar with 'name' and 'date' (or 'start' and 'end').")
    reasons = [_not_followed(event, log) for event in events]
    kept = [event for event, reason in zip(events, reasons, strict=True) if not reason]
    notes = [reason for reason in reasons if reason]
    if not kept:
        raise FollowUpError(" ".join(notes))
    aside = [e for e, reason in zip(events, reasons, strict=True) if reason and e.start <= log.observed_until]
    if aside:
        names = said_list([quoted(event.name) for event in aside])
        notes.append(note("Days on which {names} may still show are not compared with.", names=names))
    return _told_apart(_joined(kept, notes)), aside, notes


def _not_followed(event: Event, log: ActivityLog) -> str | None:
    first, last = log.observed_from, log.observed_until
    named = quoted(event.name)
    if event.name != str(event.start):
        named = note("{name} ({day})", name=named, day=event.start)
    if event.start > last or event.end < first:
        return note("{name} lies outside the log, {first} to {last}.", name=named, first=first, last=last)
    if event.start == last:
        return note(
            "{name} is the last day of the log: nobody was followed after it. Wait for some days, or load them.",
            name=named,
        )
    if event.start < first + (log.rule.idle_days + FEWEST_BEFORE) * _ONE_DAY:
        return note(
            "{name} has too short a time before it: the log begins on {first}, and {idle} idle days and {before} days "
            "to compare with are needed.",
            name=named,
            first=first,
            idle=log.rule.idle_days,
            before=FEWEST_BEFORE,
        )
    return None


def _joined(events: Sequence[Event], notes: list[str]) -> list[Event]:
    """Events that begin on one day cannot be told apart."""
    found: list[Event] = []
    for event in events:
        if found and found[-1].start == event.start:
            old = found.pop()
            kinds = list(dict.fromkeys(kind for kind in (old.kind, event.kind) if kind is not None))
            name = f"{old.name} + {event.name}"
            notes.append(
                note(
                    "{first} and {second} begin on one day, {day}, and cannot be told apart.",
                    first=quoted(old.name),
                    second=quoted(event.name),
                    day=event.start,
                )
            )
            event = Event(event.start, max(old.end, event.end), name, "; ".join(kinds) or None)
        found.append(event)
    return found


def _told_apart(events: Sequence[Event]) -> list[Event]:
    """A name that several events have is written with its day."""
    names = [event.name for event in events]
    return [
        replace(event, name=f"{event.name} ({event.start})") if names.count(event.name) > 1 else event
        for event in events
    ]


def plans_of(
    events: Sequence[Event],
    log: ActivityLog,
    *,
    before: int,
    after: int,
    cuts: Sequence[int],
    notes: list[str],
    aside: Sequence[Event] = (),
) -> list[Plan]:
    """Say which days each shock is judged on and compared with.

    A shock is followed until the day before the next one begins, or the end of the log; days on which another one may
    show are not compared with, be it judged itself or set `aside`.
    """
    first, last = number(log.observed_from) + log.rule.idle_days, number(log.observed_until)
    plans = []
    for event in events:
        rest = [each for each in (*events, *aside) if each is not event]
        others = [span_of(each, after) for each in rest]
        ends = span_of(event, after)[1]
        coming = [each for each in rest if number(event.start) < number(each.start) <= ends]
        if coming:
            following = min(coming, key=lambda each: each.start)
            ends = number(following.start) - 1
            notes.append(
                note(
                    "{name} overlaps with {next}: it is judged up to the day before, {day}. What it still does "
                    "afterwards cannot be told from that one."
                    if any(following is each for each in aside)
                    else "{name} overlaps with {next}: it is judged up to the day before, {day}. What it still does "
                    "afterwards counts as done by {next}.",
                    name=quoted(event.name),
                    next=quoted(following.name),
                    day=following.start - _ONE_DAY,
                )
            )
        if ends > last:
            days = last - number(event.start) + 1
            notes.append(
                note("{name} is followed for {days} days only: the log ends.", name=quoted(event.name), days=days)
            )
            ends = last
        plan = plan_at(number(event.start), event, ends, others, first=first, before=before, cuts=cuts)
        if plan is None:
            notes.append(
                note(
                    "{name} ({day}) has fewer than {least} days before it that belong to no other shock: left out.",
                    name=quoted(event.name),
                    day=event.start,
                    least=FEWEST_BEFORE,
                )
            )
        else:
            plans.append(plan)
    if not plans:
        raise InputError(" ".join(notes))
    return plans


def plan_at(
    date: int,
    event: Event,
    ends: int,
    others: Sequence[tuple[int, int]],
    *,
    first: int,
    before: int,
    cuts: Sequence[int],
) -> Plan | None:
    """Plan a shock on a day; None where too few days before it are left.

    Parameters
    ----------
    date : int
    event : Event
    ends : int
        Last day judged.
    others : sequence of (int, int)
        First and last days of other shocks, which are not compared with.
    first : int
        The first day that may be compared with.
    before : int
        How many days to compare with.
    cuts : sequence of int
        Days since the shock at which a new window begins.
    """
    days = np.arange(max(first, date - 2 * before), date)
    for start, stop in others:
        days = days[(days < start) | (days > stop)]
    reference = days[-before:]
    if reference.size < FEWEST_BEFORE:
        return None
    lasted = (event.end - event.start).days + 1
    return Plan(event, date, reference, tuple(_windows(lasted, ends - date + 1, cuts)), ends - date + 1)


def span_of(event: Event, after: int) -> tuple[int, int]:
    """First and last day on which a shock is judged if nothing cuts it short."""
    return number(event.start), number(event.end) + after - 1 + (event.end > event.start)


def _windows(lasted: int, ends: int, cuts: Sequence[int]) -> Iterator[Window]:
    """Windows since a single day, or those of a span of days and since its end."""
    edges = [0, *cuts] if lasted == 1 else [0, *(lasted - 1 + each for each in (1, *cuts))]
    for place, first in enumerate(edges):
        last = min(edges[place + 1] if place + 1 < len(edges) else ends, ends) - 1
        if first > last:
            continue
        if lasted > 1 and place == 0:
            yield Window(note("during"), first, last)
            continue
        shift = lasted - 1 if lasted > 1 else 0
        days = f"{first - shift}" if first == last else f"{first - shift}-{last - shift}"
        yield Window(note("day {days} after" if lasted > 1 else "day {days}", days=days), first, last)
