"""Whom the monitor watches: rows of the counts, groups of them, small ones pooled, and the terms of the calendar."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.return_days import REGISTRATION_GAP, ReturnDays
from churnsurv.errors import InputError
from churnsurv.tables import is_missing

if TYPE_CHECKING:
    from churnsurv.diagnosis.calendar import Event

__all__ = [
    "ALL", "NONE", "SMALL", "CalendarTerms", "Cells", "CountRows", "WatchedGroup", "calendar_terms", "count_rows",
    "watched_groups",
]  # fmt: skip

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Names that no value may have: all groups together, groups too small to be watched alone, users without a value.
ALL, SMALL, NONE = "(all)", "(small)", "(none)"


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Counts of some rows by day and cell: row and idle day, those that nobody is ever in left out.

    Attributes
    ----------
    at_risk, returned : (n_days, n_cells) int64
    row : (n_cells,) int64
        The row of each cell.
    """

    at_risk: Ints
    returned: Ints
    row: Ints


@dataclass(frozen=True, slots=True, eq=False)
class CountRows:
    """The rows of the counts: a value of the groups, a stage, and whether users are idle since they registered.

    Attributes
    ----------
    value, stage : (n_rows,) object
        As text; the value is "(all)" and the stage "" where they are not told apart.
    users, returns : (n_rows, n_days) int64
        At risk, and returned.
    by_value : bool
        Whether values are told apart.
    places : mapping
        The rows of each value.
    """

    value: NDArray[np.object_]
    stage: NDArray[np.object_]
    users: Ints
    returns: Ints
    by_value: bool
    places: Mapping[str, Ints]
    _counts: ReturnDays

    def of(self, values: Collection[str]) -> Ints:
        """The rows of some values, in the order of the values."""
        return np.concatenate([self.places[each] for each in values])

    def cells(self, rows: Ints) -> Cells:
        """The cells of some rows."""
        at_risk, returned = self._counts.at_risk[rows], self._counts.returned[rows]
        used = at_risk.any(axis=1)
        return Cells(
            np.moveaxis(at_risk, 1, 0)[:, used], np.moveaxis(returned, 1, 0)[:, used], np.repeat(rows, used.sum(axis=1))
        )


def count_rows(counts: ReturnDays, by: str | None, stage: str | None) -> CountRows:
    """Read the rows of the counts.

    Parameters
    ----------
    counts : ReturnDays
        Split by `by`, `stage` and whether users are idle since they registered.
    by, stage : str or None
        Columns of the groups.

    Raises
    ------
    InputError
        If a value has the name of groups together.
    """
    frame = counts.groups
    assert frame.columns[-1] == REGISTRATION_GAP  # noqa: S101
    values = _texts(frame[by]) if by is not None else [ALL] * len(frame)
    if by is not None:
        missing = any(map(is_missing, list(frame[by])))
        for name in (ALL, SMALL, *([NONE] if missing else [])):
            if name in {str(each) for each in frame[by] if not is_missing(each)}:
                raise InputError(
                    f"{by!r} has the value {name!r}, which here is the name of groups together or of users without a "
                    "value. Rename it, so that every chart can be told from the others."
                )
    stages = _texts(frame[stage]) if stage is not None else [""] * len(frame)
    places = {name: np.flatnonzero([each == name for each in values]) for name in dict.fromkeys(values)}
    return CountRows(
        np.array(values, dtype=object), np.array(stages, dtype=object), counts.at_risk.sum(axis=2),
        counts.returned.sum(axis=2), by is not None, places, counts,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class WatchedGroup:
    """Values that are watched together.

    Attributes
    ----------
    name : str
    values : tuple of str
        The largest first.
    alone : bool
        Whether it has a chart of its own.
    """

    name: str
    values: tuple[str, ...]
    alone: bool

    @property
    def pooled(self) -> tuple[str, ...]:
        """The values that it is made of, where they are small; empty otherwise."""
        return self.values if self.name == SMALL else ()


def watched_groups(
    sizes: Mapping[str, float],
    *,
    min_users: int,
    by_value: bool = True,
    before: Sequence[WatchedGroup] = (),
    held: Collection[str] = (),
) -> tuple[WatchedGroup, ...]:
    """Split values into groups, the small ones pooled.

    Parameters
    ----------
    sizes : mapping
        Users at risk on a mean day of each value.
    min_users : int
        Users that a group must have to be watched alone.
    by_value : bool
        False where values are not told apart.
    before : sequence of WatchedGroup
        The groups so far.
    held : collection of str
        Names of those of them that have an alarm: they stay as they are until it is over.

    Returns
    -------
    tuple of WatchedGroup
        By size, the largest first; the pooled one is last.

    Examples
    --------
    >>> found = watched_groups({"tv": 900.0, "app": 40.0, "web": 30.0}, min_users=60)
    >>> [(group.name, group.values, group.alone) for group in found]
    [('tv', ('tv',), True), ('(small)', ('app', 'web'), True)]
    """
    order = sorted(sizes, key=lambda value: (-sizes[value], value))
    if not by_value:
        return tuple(WatchedGroup(value, (value,), alone=True) for value in order)
    stays = {value: group for group in before for value in group.values if group.name in held}
    pool_held = SMALL in held
    alone: list[str] = []
    small: list[str] = []
    for value in order:
        pooled = stays[value].name == SMALL if value in stays else sizes[value] < min_users and not pool_held
        (small if pooled else alone).append(value)
    found = [WatchedGroup(value, (value,), alone=True) for value in alone]
    if small:
        enough = sum(sizes[value] for value in small) >= min_users
        found.append(WatchedGroup(SMALL, tuple(small), alone=pool_held or enough))
    return tuple(found)


def _texts(column: Iterable[object]) -> list[str]:
    return [NONE if is_missing(value) else str(value) for value in list(column)]


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
