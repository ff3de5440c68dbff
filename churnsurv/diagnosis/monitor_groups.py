"""Whom the monitor watches: groups with their cells, small ones pooled, and the terms of the calendar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.return_days import REGISTRATION_GAP, ReturnDays

if TYPE_CHECKING:
    from churnsurv.diagnosis.calendar import Event

__all__ = ["ALL", "NONE", "OTHER", "CalendarTerms", "WatchedGroup", "calendar_terms", "watched_groups"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: All groups together, groups too small to be watched alone, and users without a value.
ALL, OTHER, NONE = "(all)", "other", "(none)"


@dataclass(frozen=True, slots=True, eq=False)
class WatchedGroup:
    """Counts of a group by day and cell.

    Attributes
    ----------
    name : str
    at_risk, returned : (n_days, n_cells) int64
    stage : (n_cells,) object
        Stage of each cell; "" where stages are not told apart.
    pooled : tuple of str
        The values that it is made of, where it is made of several small ones; empty otherwise.
    alone : bool
        Whether it has a chart of its own.
    """

    name: str
    at_risk: Ints
    returned: Ints
    stage: NDArray[np.object_]
    pooled: tuple[str, ...]
    alone: bool


def watched_groups(
    counts: ReturnDays, by: str | None, stage: str | None, *, min_users: int, sized: slice
) -> tuple[WatchedGroup, ...]:
    """Split the counts by group, the small ones pooled.

    Parameters
    ----------
    counts : ReturnDays
        Split by `by`, `stage` and whether users are idle since they registered.
    by, stage : str or None
        Columns of the groups.
    min_users : int
        Users at risk on a mean day that a group must have to be watched alone.
    sized : slice
        The days of that mean.

    Returns
    -------
    tuple of WatchedGroup
        By size, the largest first; the pooled one is last.
    """
    frame = counts.groups
    values = _texts(frame[by]) if by is not None else [ALL] * len(frame)
    stages = _texts(frame[stage]) if stage is not None else [""] * len(frame)
    assert frame.columns[-1] == REGISTRATION_GAP  # noqa: S101
    users = counts.at_risk[:, sized].sum(axis=(1, 2)) / max(counts.at_risk[:, sized].shape[1], 1)
    sizes = {value: float(users[[v == value for v in values]].sum()) for value in dict.fromkeys(values)}
    order = sorted(sizes, key=lambda value: (-sizes[value], value))
    small = {value for value in order if sizes[value] < min_users and by is not None}
    names = [OTHER if value in small else value for value in values]
    found = []
    for name in dict.fromkeys(OTHER if value in small else value for value in order):
        rows = [row for row, each in enumerate(names) if each == name]
        pooled = tuple(value for value in order if value in small) if name == OTHER and small else ()
        size = float(users[rows].sum())
        found.append(_group(name, counts, rows, stages, pooled, alone=size >= min_users or by is None))
    return tuple(sorted(found, key=lambda group: bool(group.pooled)))


def _group(
    name: str, counts: ReturnDays, rows: Sequence[int], stages: Sequence[str], pooled: tuple[str, ...], *, alone: bool
) -> WatchedGroup:
    """The cells of some rows of the counts, those that nobody is ever in left out."""
    n_days = counts.days.size
    at_risk, returned = (
        np.moveaxis(values[list(rows)], 1, 0).reshape(n_days, -1) for values in (counts.at_risk, counts.returned)
    )
    stage = np.repeat(np.array([stages[row] for row in rows], dtype=object), counts.longest + 1)
    used = at_risk.any(axis=0)
    return WatchedGroup(name, at_risk[:, used], returned[:, used], stage[used], pooled, alone)


def _texts(column: Iterable[object]) -> list[str]:
    missing = {"NAType", "NaTType"}
    return [
        NONE if value is None or value != value or type(value).__name__ in missing else str(value)
        for value in list(column)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class CalendarTerms:
    """What the calendar says of each day.

    Attributes
    ----------
    weekday : (n_days, 6) float64
        Monday to Saturday against Sunday, as differences from the mean of the week.
    holiday : (n_days, n_kinds) float64
        1 on days of the calendar of that kind.
    kinds : tuple of str
    """

    weekday: Floats
    holiday: Floats
    kinds: tuple[str, ...]

    def terms(self, days: NDArray[np.int64], middle: float) -> Floats:
        """Terms of some days, with a straight trend counted in years from the middle: (n, n_terms)."""
        trend = (days - middle) / 365.0
        found: Floats = np.column_stack([self.weekday[days], self.holiday[days], trend])
        return found


def calendar_terms(days: NDArray[np.datetime64], events: Sequence[Event]) -> CalendarTerms:
    """Say which weekday a day is, and which kinds of events of a calendar it belongs to.

    Examples
    --------
    >>> from datetime import date
    >>> from churnsurv.diagnosis.calendar import Event
    >>> new_year = Event(date(2024, 1, 1), date(2024, 1, 1), "New Year")
    >>> found = calendar_terms(np.arange("2024-01-01", "2024-01-04", dtype="datetime64[D]"), [new_year])
    >>> found.kinds, found.holiday.ravel().tolist(), found.weekday[0].tolist()
    (('New Year',), [1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """
    number = days.astype("datetime64[D]").astype(np.int64)
    indicator = np.eye(7)[(number + 3) % 7]  # 1970-01-01 was a Thursday
    kinds = tuple(dict.fromkeys(event.kind or event.name for event in events))
    holiday = np.zeros((days.size, len(kinds)))
    for event in events:
        first, last = (np.datetime64(day, "D").astype(np.int64) for day in (event.start, event.end))
        holiday[(number >= first) & (number <= last), kinds.index(event.kind or event.name)] = 1.0
    return CalendarTerms(indicator[:, :6] - indicator[:, 6:], holiday, kinds)
