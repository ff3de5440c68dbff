"""What users do by day since their registration: active days, first investment, balance at the end of days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.events import is_activity
from churnsurv.data.features_sql import answers_sql, changes_sql, default_features
from churnsurv.data.sql import literal

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog

__all__ = ["UserDays", "user_days"]

Days: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class UserDays:
    """Users registered in the log, in the order of their ids, and their days since registration.

    Attributes
    ----------
    user_id : pyarrow.ChunkedArray
        (n,)
    registered : (n,) datetime64[D]
    followed : (n,) int64
        Days from registration to the last day of the log.
    active_user, active_day : (n_active_days,) int64
        Each active day of a user (a position in the arrays above) once, as days since registration; day 0 is always
        one.
    invested : (n,) float64, or None
        Days to the first investment, null where there is none; None where events have no kind.
    held_user, held_day : (n_changes,) int64, or None
        Days on which a balance may change; None where nothing tells the balance.
    held : (n_changes,) float64, or None
        By how much it rises on that day.
    """

    user_id: pa.ChunkedArray
    registered: NDArray[np.datetime64]
    followed: Days
    active_user: Days
    active_day: Days
    invested: NDArray[np.float64] | None
    held_user: Days | None
    held_day: Days | None
    held: NDArray[np.float64] | None


def user_days(log: ActivityLog, *, horizon: int, held: bool = False) -> UserDays:
    """Fetch the days of users who registered in the log.

    Parameters
    ----------
    log : ActivityLog
    horizon : int
        Days since registration that are asked about.
    held : bool
        Ask for balances too.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-01-05"]})
    >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-04", "2024-01-09"], "kind": "invest"})
    >>> days = user_days(ActivityLog(events, users), horizon=5)
    >>> days.followed.tolist(), days.active_day.tolist(), days.invested.tolist()
    ([8, 4], [0, 3, 0], [3.0, nan])
    """
    reading, engine = log._reading, log.engine
    first, last = reading.window.first, reading.window.last
    kinds = None if log.rule.activity is None else tuple(log.rule.activity)
    reading.require_activity(kinds)
    users = engine.table(
        "registered_users",
        "SELECT _user_key, user_id, registered_at, CAST(row_number() OVER (ORDER BY _user_key) - 1 AS INTEGER) AS place"
        f" FROM {reading.users} WHERE registered_at >= {literal(first)}",
    )
    try:
        found = engine.arrow(f"SELECT user_id, registered_at FROM {users} ORDER BY place")
        registered = found["registered_at"].to_numpy().astype("datetime64[D]")
        active = engine.arrow(f"{_active_sql(log, users, kinds, horizon)} ORDER BY place, day")
        invested = _first_investment(log, users, registered.size)
        balances = _balances(log, users, horizon) if held else (None, None, None)
    finally:
        engine.drop(users)
    followed = (np.datetime64(last, "D") - registered).astype(np.int64)
    return UserDays(
        found["user_id"], registered, followed, _whole(active["place"]), _whole(active["day"]), invested, *balances
    )


def _whole(column: Any) -> Days:
    days: Days = column.to_numpy().astype(np.int64)
    return days


def _since(day: str) -> str:
    return f"CAST(date_diff('day', u.registered_at, {day}) AS INTEGER)"


def _inside(log: ActivityLog) -> str:
    window = log._reading.window
    return f"e._reason IS NULL AND e._day BETWEEN {literal(window.first)} AND {literal(window.last)}"


def _active_sql(log: ActivityLog, users: str, kinds: tuple[str, ...] | None, horizon: int) -> str:
    """SQL of the distinct active days of users, the day of registration among them."""
    return (
        f"SELECT place, day FROM (SELECT u.place, {_since('e._day')} AS day"
        f" FROM {log._reading.judged('events')} AS e JOIN {users} AS u ON e._user_key = u._user_key"
        f" WHERE {_inside(log)} AND {is_activity(kinds)} AND {_since('e._day')} <= {horizon}"
        f" UNION SELECT place, 0 AS day FROM {users}) AS active"
    )


def _first_investment(log: ActivityLog, users: str, n: int) -> NDArray[np.float64] | None:
    if "kind" not in log._reading.sources["events"].columns:
        return None
    rows = log.engine.arrow(
        f"SELECT u.place, min({_since('e._day')}) AS day FROM {log._reading.judged('events')} AS e"
        f" JOIN {users} AS u ON e._user_key = u._user_key WHERE {_inside(log)} AND e.kind = 'invest' GROUP BY u.place"
    )
    invested = np.full(n, np.nan)
    invested[_whole(rows["place"])] = _whole(rows["day"])
    return invested


def _balances(
    log: ActivityLog, users: str, horizon: int
) -> tuple[Days | None, Days | None, NDArray[np.float64] | None]:
    """By how much the balance at the end of a day differs from that of the day before, by user and day."""
    reading = log._reading
    if "balance" not in default_features(reading, log.stages):
        return None, None, None
    changes = changes_sql(reading, ("balance",), log.stages)
    questions = (
        f"(SELECT c._user_key, c.day AS as_of FROM ({changes}) AS c JOIN {users} AS u ON c._user_key = u._user_key"
        f" WHERE c.day >= u.registered_at AND c.day <= {literal(reading.window.last)}"
        f" AND {_since('c.day')} <= {horizon})"
    )
    answers = answers_sql(reading, log.rule, ("balance",), log.stages, questions)
    rows = log.engine.arrow(
        f"SELECT u.place, {_since('a.as_of')} AS day, a.balance FROM ({answers}) AS a"
        f" JOIN {users} AS u ON a._user_key = u._user_key ORDER BY u.place, day"
    )
    place, day = _whole(rows["place"]), _whole(rows["day"])
    balance = np.nan_to_num(np.array(rows["balance"].to_pandas(), dtype=np.float64))
    before = np.where(np.diff(place, prepend=-1) == 0, np.concatenate([[0.0], balance[:-1]]), 0.0)
    return place, day, balance - before
