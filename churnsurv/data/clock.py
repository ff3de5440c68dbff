"""The calendar day of a moment, as SQL: whose midnight ends a day is said once, here.

A zone is a few hundred constant offsets from UTC, one after another, so a local day is one comparison tree and one
addition. That is exact, the same on every engine, and ten times faster than asking for the zone row by row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from churnsurv.data.sql import literal
from churnsurv.errors import InputError, SchemaError, did_you_mean

__all__ = ["Clock", "Moment"]

# Year first; month and day may lack their leading zero.
_DATE = r"^\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}\s*$"
_TIME = r"^\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}[T ]\s*\d{1,2}:\d{2}"
# Without a zone nothing else may follow: of "09:30 08" nobody knows what the 08 is.
_LOCAL = _TIME + r"(:(\d{1,2}(\.\d*)?)?)?\s*$"
# A zone comes after the time: Z, UTC, +08:00, -0300, Europe/Paris.
_ZONE = r"^\s*\S{8,10}[T ].*[A-Za-z+-]"
# Offsets are looked up in these years; before and after them the nearest offset holds.
_YEARS = (1990, 2060)

# Times with a zone as UTC without one: their numbers are those of UTC, where a cast would ask for a zone row by row.
# Nanoseconds are cut off and not rounded: the last of a day must not become the next day.
_AWARE = {
    "TIMESTAMP WITH TIME ZONE": "make_timestamp(epoch_us({}))",
    "TIMESTAMPTZ_NS": "make_timestamp(epoch_ns({}) // 1000)",
}
_NAIVE = {"TIMESTAMP": "{}", "TIMESTAMP_NS": "make_timestamp(epoch_ns({}) // 1000)"}

#: A new offset from UTC, in seconds, from a second on; the first has no beginning.
Offsets = tuple[tuple[int | None, int], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """SQL of a day in two steps, so that a moment is read once and not at each comparison.

    Attributes
    ----------
    columns : Mapping of str to str
        Columns to compute first, by name; none for dates.
    day : str
        The calendar day from these columns, null where it can't be read.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    day: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """Which instant a time means, and whose midnight ends a day.

    A time that a zone has twice (clocks set back) is the first of the two; one that it never has (clocks set forward)
    is read with the offset before the change.

    Attributes
    ----------
    timestamps : str
        Zone that a time without zone is in.
    time_zone : str
        Zone whose calendar days are counted.

    Raises
    ------
    InputError
        If a zone is unknown.
    """

    timestamps: str
    time_zone: str

    def __post_init__(self) -> None:
        _require_zone("timestamps", self.timestamps)
        _require_zone("time_zone", self.time_zone)

    def moment(self, column: str, kind: str, where: str) -> Moment:
        """Return the SQL of the calendar day of `column`.

        Dates stand as they are; times with a zone are converted to `time_zone`; times without one are in `timestamps`
        and converted too; text is read row by row in the same three ways and is null where it can't be read.

        Parameters
        ----------
        column : str
            A quoted column.
        kind : str
            Its DuckDB type.
        where : str
            What it is, for the error: ``"events: 'event_at'"``.

        Raises
        ------
        SchemaError
            If the type is neither a date, a time nor text.
        """
        if kind == "DATE":
            return Moment(day=column)
        if kind in _AWARE:
            return Moment({"_utc": _AWARE[kind].format(column)}, self._aware("_utc"))
        if kind.startswith("TIMESTAMP"):
            return Moment({"_naive": _NAIVE.get(kind, "CAST({} AS TIMESTAMP)").format(column)}, self._naive("_naive"))
        if kind == "VARCHAR" or kind.startswith("ENUM"):
            return self._text(column if kind == "VARCHAR" else f"CAST({column} AS VARCHAR)")
        raise SchemaError(
            f"{where} has type {kind}; a date, a time or text such as '2024-05-01 09:30' is needed. "
            "Turn numbers of seconds into times first, for instance with pandas.to_datetime(..., unit='s')."
        )

    def day(self, column: str, kind: str, where: str) -> str:
        """Return the day as one expression; where zones change their clocks it is long."""
        moment = self.moment(column, kind, where)
        day = moment.day
        for part, sql in moment.columns.items():
            day = day.replace(part, f"({sql})")
        return day

    def _aware(self, utc: str) -> str:
        return _shifted_day(_offsets(self.time_zone), utc)

    def _naive(self, moment: str) -> str:
        if self.timestamps == self.time_zone:
            return f"CAST({moment} AS DATE)"
        return _shifted_day(_shifts(_offsets(self.timestamps), _offsets(self.time_zone)), moment)

    def _text(self, column: str) -> Moment:
        # DuckDB wants the offset right behind the time; many programs print a space between.
        joined = f"regexp_replace(trim({column}), '\\s+([+-])', '\\1')"
        # The usual forms, fast: no blank in front, one between.
        date = f"({column} LIKE '____-__-__' AND {column} >= '0')"
        time = f"({column} LIKE '____-__-__ __:__:__' AND {column} >= '0' AND {column} NOT LIKE '% % %')"
        is_time, is_local, is_aware = (f"regexp_matches({column}, {literal(form)})" for form in (_TIME, _LOCAL, _ZONE))
        columns = {
            "_date": f"CASE WHEN {date} THEN TRY_CAST({column} AS DATE) WHEN {time} THEN NULL"
            f" WHEN regexp_matches({column}, {literal(_DATE)}) THEN TRY_CAST(trim({column}) AS DATE) END",
            "_naive": f"CASE WHEN {time} THEN TRY_CAST({column} AS TIMESTAMP) WHEN {date} THEN NULL"
            f" WHEN {is_aware} THEN NULL WHEN {is_local} THEN TRY_CAST(trim({column}) AS TIMESTAMP) END",
            "_utc": f"CASE WHEN {time} OR {date} THEN NULL"
            f" WHEN {is_aware} AND {is_time} THEN make_timestamp(epoch_us(TRY_CAST({joined} AS TIMESTAMPTZ))) END",
        }
        return Moment(columns, f"coalesce(_date, {self._naive('_naive')}, {self._aware('_utc')})")

    def __str__(self) -> str:
        zone = f"days of {self.time_zone}"
        return zone if self.timestamps == self.time_zone else f"{zone}, times without zone in {self.timestamps}"


def _shifted_day(offsets: Offsets, moment: str) -> str:
    """The day of a moment, moved by the offset in force."""
    if [seconds for _, seconds in offsets] == [0]:
        return f"CAST({moment} AS DATE)"
    return f"CAST({moment} + {_tree(offsets, moment)} AS DATE)"


def _tree(offsets: Offsets, moment: str) -> str:
    """Nested comparisons that find the offset in force."""
    if len(offsets) == 1:
        return f"INTERVAL '{offsets[0][1]} seconds'"
    half = len(offsets) // 2
    since = datetime(1970, 1, 1) + timedelta(seconds=offsets[half][0] or 0)
    early, late = _tree(offsets[:half], moment), _tree(offsets[half:], moment)
    return f"CASE WHEN {moment} < TIMESTAMP '{since:%Y-%m-%d %H:%M:%S}' THEN {early} ELSE {late} END"


@cache
def _offsets(zone: str) -> Offsets:
    """The offsets of a zone by the UTC second from which each holds."""
    if zone == "UTC":  # also where no table of zones is installed
        return ((None, 0),)
    info = ZoneInfo(zone)

    def offset(second: int) -> int:
        passed = datetime.fromtimestamp(second, timezone.utc).astimezone(info).utcoffset()  # noqa: UP017
        return 0 if passed is None else int(passed.total_seconds())

    first, last = (int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()) for year in _YEARS)  # noqa: UP017
    found: list[tuple[int | None, int]] = [(None, offset(first))]
    for day in range(first, last, 86_400):
        low, high = day, day + 86_400
        if offset(high) == found[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == found[-1][1] else (low, middle)
        found.append((high, offset(high)))
    return tuple(found)


def _shifts(source: Offsets, target: Offsets) -> Offsets:
    """Seconds to add to a naive time of one zone for the local time of another, by the naive second they hold from."""
    own, other = [offset for _, offset in source], [offset for _, offset in target]
    # From the later of the two clock readings at a change on: of what a zone has twice, the first counts.
    changes = [
        since + max(pair) for (since, _), pair in zip(source[1:], pairwise(own), strict=True) if since is not None
    ]
    starts = [since for since, _ in target if since is not None]

    def shift(second: int) -> int:
        offset = own[bisect_right(changes, second)]
        return other[bisect_right(starts, second - offset)] - offset

    candidates = sorted({*changes, *(start + offset for start in starts for offset in set(own))})
    found: list[tuple[int | None, int]] = [(None, shift(candidates[0] - 1 if candidates else 0))]
    for second in candidates:
        if shift(second) != found[-1][1]:
            found.append((second, shift(second)))
    return tuple(found)


def _require_zone(what: str, zone: object) -> None:
    try:
        if zone == "UTC" or (isinstance(zone, str) and zone and ZoneInfo(zone)):
            return
    except (LookupError, OSError, ValueError):  # no such file, or a folder of zones: the error below says so
        zone = str(zone)
    hint = did_you_mean(str(zone), available_timezones())
    raise InputError(f"{what}: there is no time zone {zone!r}.{hint} Use a name such as 'UTC' or 'Asia/Shanghai'.")
