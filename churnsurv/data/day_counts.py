"""How many rows the tables have of each day: what tells whether a day is there in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.events import is_activity
from churnsurv.data.sql import literal

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog

__all__ = ["PARTS_OF_A_DAY", "DayCounts", "day_counts"]

Counts: TypeAlias = NDArray[np.int64]

#: Times are counted by quarters of an hour.
PARTS_OF_A_DAY = 96


@dataclass(frozen=True, slots=True, eq=False)
class DayCounts:
    """Rows of the tables by day, oldest first.

    Attributes
    ----------
    days : tuple of date
    events : Mapping of str to (n_days,) int64
        Accepted events by kind, kinds in order; one entry "event" where events have no kind.
    active_users : (n_days,) int64
        Users with an activity.
    registrations : (n_days,) int64
    balances : (n_days,) int64 or None
        Accepted rows of balances; None without such a table.
    rejected : Mapping of str to (n_days,) int64
        Rows of events, and of balances, that cannot be used, by table. Rows without a day that can be read are nowhere.
    parts : (n_days, 96) int64 or None
        Accepted events by quarter of an hour, from midnight on; None where the table has days and no times.
    """

    days: tuple[date, ...]
    events: Mapping[str, Counts]
    active_users: Counts
    registrations: Counts
    balances: Counts | None
    rejected: Mapping[str, Counts]
    parts: Counts | None

    @property
    def all_events(self) -> Counts:
        """Accepted events of every kind: (n_days,) int64."""
        nothing: Counts = np.zeros(len(self.days), dtype=np.int64)
        return sum(self.events.values(), nothing)


def day_counts(log: ActivityLog, *, first: date, last: date) -> DayCounts:
    """Count the rows of each day, in one pass over each table.

    Parameters
    ----------
    log : ActivityLog
    first, last : date
        Both included. Rows of these days are counted whether or not the log is said to cover them.

    Raises
    ------
    ChurnsurvError
        If a table cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": [1, 2], "registered_at": ["2024-01-01", "2024-01-02"]})
    >>> events = pd.DataFrame({"user_id": [1, 1, 3], "event_at": ["2024-01-02 23:50"] * 3, "kind": "login"})
    >>> found = day_counts(ActivityLog(events, users), first=date(2024, 1, 1), last=date(2024, 1, 2))
    >>> found.all_events.tolist(), found.registrations.tolist(), found.rejected["events"].tolist()
    ([0, 2], [1, 1], [0, 1])
    >>> found.parts[1].nonzero()[0].tolist()
    [95]
    """
    reading, engine = log._reading, log.engine
    days = tuple(first + timedelta(days=n) for n in range((last - first).days + 1))
    inside = f"BETWEEN {literal(first)} AND {literal(last)}"
    kinds = None if log.rule.activity is None else tuple(log.rule.activity)
    events, bad_events, parts = _events(log, kinds, inside, days)
    active = engine.arrow(
        f"SELECT _day, count(DISTINCT _user_key) AS n FROM {reading.judged('events')}"
        f" WHERE _day {inside} AND _reason IS NULL AND {is_activity(kinds)} GROUP BY _day"
    )
    registered = engine.arrow(
        f"SELECT registered_at AS _day, count(*) AS n FROM {reading.known_users} WHERE registered_at {inside}"
        " GROUP BY registered_at"
    )
    balances, rejected = None, {"events": bad_events}
    if "balances" in reading.sources:
        balances, rejected["balances"] = _balances(log, inside, days)
    return DayCounts(
        days=days,
        events=events,
        active_users=_by_day(_place(active["_day"], first), _whole(active["n"]), len(days)),
        registrations=_by_day(_place(registered["_day"], first), _whole(registered["n"]), len(days)),
        balances=balances,
        rejected=rejected,
        parts=parts,
    )


def _events(
    log: ActivityLog, kinds: tuple[str, ...] | None, inside: str, days: tuple[date, ...]
) -> tuple[dict[str, Counts], Counts, Counts | None]:
    """Accepted events by kind, rejected ones, and accepted ones by part of the day."""
    reading, n_days = log._reading, len(days)
    reading.require_activity(kinds)
    kind = "kind" if "kind" in reading.sources["events"].columns else "'event'"
    found = log.engine.arrow(
        f"SELECT _day, kind, fine, part, count(*) AS n FROM (SELECT _day, {kind} AS kind, _reason IS NULL AS fine,"
        f" {_part_sql(log)} AS part FROM {_timed(log)} WHERE _day {inside}) AS timed GROUP BY _day, kind, fine, part"
    )
    day, n, part = _place(found["_day"], days[0]), _whole(found["n"]), _whole(found["part"])
    fine, names = found["fine"].to_numpy().astype(bool), found["kind"].to_numpy()
    by_kind = {
        str(each): _by_day(day[chosen], n[chosen], n_days)
        for each in sorted(set(names[fine].tolist()))
        if (chosen := fine & (names == each)).any()
    }
    cell = day[fine] * PARTS_OF_A_DAY + part[fine]
    parts = _by_day(cell, n[fine], n_days * PARTS_OF_A_DAY).reshape(n_days, PARTS_OF_A_DAY)
    return by_kind, _by_day(day[~fine], n[~fine], n_days), parts if part[fine].any() else None


def _balances(log: ActivityLog, inside: str, days: tuple[date, ...]) -> tuple[Counts, Counts]:
    """Accepted and rejected rows of balances."""
    rows = log.engine.arrow(
        f"SELECT _day, fine, count(*) AS n FROM (SELECT _day, _reason IS NULL AS fine"
        f" FROM {log._reading.judged('balances')} WHERE _day {inside}) AS judged GROUP BY _day, fine"
    )
    fine, day, n = rows["fine"].to_numpy().astype(bool), _place(rows["_day"], days[0]), _whole(rows["n"])
    return _by_day(day[fine], n[fine], len(days)), _by_day(day[~fine], n[~fine], len(days))


def _timed(log: ActivityLog) -> str:
    """SQL of the events with what their time of day is made of."""
    extra = "".join(f", {sql} AS {column}" for column, sql in _moment(log)[0].items())
    return f"(SELECT *{extra} FROM {log._reading.judged('events')}) AS e"


def _part_sql(log: ActivityLog) -> str:
    """SQL of the quarter of an hour of the day's own zone; 0 for days without a time."""
    moment = _moment(log)[1]
    if moment is None:
        return "0"
    return f"coalesce(4 * extract(hour FROM {moment}) + CAST(floor(extract(minute FROM {moment}) / 15) AS INTEGER), 0)"


def _moment(log: ActivityLog) -> tuple[Mapping[str, str], str | None]:
    """SQL of the local time of an event: columns to compute first, and the time from them; None where there are days.

    A day is the cast of the local time to a date (see `Clock`), so that the time is the same expression cast to a time.
    """
    reading = log._reading
    kind = reading.sources["events"].columns["event_at"]
    if kind == "DATE":
        return {}, None
    steps = reading.clock.moment("_at", kind, "events: 'event_at'")
    return steps.columns, steps.day.replace(" AS DATE)", " AS TIMESTAMP)")


def _whole(column: pa.ChunkedArray) -> Counts:
    values: Counts = column.to_numpy().astype(np.int64)
    return values


def _place(column: pa.ChunkedArray, first: date) -> Counts:
    days = column.to_numpy().astype("datetime64[D]") - np.datetime64(first, "D")
    place: Counts = days.astype(np.int64)
    return place


def _by_day(place: Counts, n: Counts, n_days: int) -> Counts:
    return np.bincount(place, weights=n, minlength=n_days).astype(np.int64)
