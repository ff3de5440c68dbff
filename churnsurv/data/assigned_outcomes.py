"""What the users of campaigns did before and after their assignment, fetched from the engine in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned_sql import after_sql, before_sql, rewards_sql
from churnsurv.data.assigned_sums import Cells, Days, Sums
from churnsurv.data.features_sql import answers_sql
from churnsurv.data.ids import user_ids
from churnsurv.data.sources import Source
from churnsurv.data.sql import name as quoted
from churnsurv.data.users import text_or_null
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data.assigned_reading import Assigned
    from churnsurv.data.log import ActivityLog

__all__ = ["Before", "Outcomes", "before", "outcomes", "rewards"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Rows whose days are fetched at a time.
_PIECE = 2_000_000
#: Longer silence says no more.
_MOST_IDLE = 365


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What was known of rows at their assignment.

    Attributes
    ----------
    last : (n,) int64
        Day u of the last activity before it, registration included; at most 1.
    pre : dict of str to (n,) float64
    """

    last: Ints
    pre: dict[str, Floats]


@dataclass(slots=True, eq=False)
class Outcomes:
    """What rows did from the assignment to the horizon.

    Attributes
    ----------
    time : (n,) int64
    returned : (n,) bool
    sums : dict of str to Sums
    """

    time: Ints
    returned: NDArray[np.bool_]
    sums: dict[str, Sums] = field(default_factory=dict)


def _whole(column: Any) -> Ints:
    days: Ints = column.to_numpy().astype(np.int64)
    return days


def before(log: ActivityLog, made: Assigned, day: NDArray[np.datetime64], registered: NDArray[np.datetime64]) -> Before:
    """Fetch what rows did before their assignment."""
    reading, engine, n = log._reading, log.engine, day.shape[0]
    kinds = log._kinds
    first = np.datetime64(reading.window.first, "D")
    # Of a user registered before the log the day before it stands in for a last activity that nobody saw.
    last_day = np.maximum(registered, first - 1)
    columns = {name: np.zeros(n) for name in ("days", "invested", "net")}
    found = engine.arrow(before_sql(reading, kinds, made.table, made.local))
    place = _whole(found["place"])
    for name, values in columns.items():
        values[place] = found[name].to_numpy()
    seen = found["last_active"].to_numpy().astype("datetime64[D]")
    known = ~np.isnat(seen)
    last_day[place[known]] = np.maximum(last_day[place[known]], seen[known])
    del found
    last = (last_day - day).astype(np.int64) + 1
    balance = _balances(log, made, n) if "balances" in reading.sources else columns["net"]
    pre = {
        "pre_active_days": columns["days"],
        "pre_invested": columns["invested"],
        "pre_balance": balance,
        "pre_idle_days": np.clip(1 - last, 0, _MOST_IDLE).astype(np.float64),
        "tenure": (day - registered).astype(np.float64),
    }
    return Before(last, pre)


def _balances(log: ActivityLog, made: Assigned, n: int) -> Floats:
    """The balance at the end of the day before the assignment; 0 where none is known."""
    questions = f"(SELECT DISTINCT _user_key, day - 1 AS as_of FROM {made.table})"
    answers = answers_sql(log._reading, log.rule, ("balance",), log.stages, questions)
    rows = log.engine.arrow(
        f"SELECT r.place, a.balance FROM ({answers}) AS a JOIN {made.table} AS r"
        " ON a._user_key = r._user_key AND a.as_of = r.day - 1 WHERE a.balance IS NOT NULL"
    )
    balance = np.zeros(n)
    balance[_whole(rows["place"])] = rows["balance"].to_numpy()
    return balance


def outcomes(log: ActivityLog, made: Assigned, cells: Cells, last: Ints) -> Outcomes:
    """Fetch what rows did from their assignment on, and add it up.

    Parameters
    ----------
    last : (n,) int64
        Day u of the last activity before the assignment.
    """
    n = last.shape[0]
    found = Outcomes(cells.end.astype(np.int64), np.zeros(n, dtype=np.bool_))
    found.sums = {name: Sums(cells) for name in ("active_days", "reinvested", "invested", "days_live")}
    with _days_table(log, made) as table:
        for low in range(0, n, _PIECE):
            rows = log.engine.arrow(
                f"SELECT place, u, active, invested, redeemed FROM {table}"
                f" WHERE place >= {low} AND place < {low + _PIECE} ORDER BY place, u"
            )
            _add(found, cells, rows, last, low=low, idle_days=log.rule.idle_days)
    return found


@contextmanager
def _days_table(log: ActivityLog, made: Assigned) -> Iterator[str]:
    table = log.engine.table("assigned_days", after_sql(log._reading, log._kinds, made.table, made.local))
    try:
        yield table
    finally:
        log.engine.drop(table)


def _add(found: Outcomes, cells: Cells, rows: Any, last: Ints, *, low: int, idle_days: int) -> None:
    """Add the days of the rows from `low` on, which come in the order of row and day."""
    days = Days(_whole(rows["place"]), _whole(rows["u"]))
    invested, redeemed = (rows[name].to_numpy() for name in ("invested", "redeemed"))
    paid = (invested != 0) | (redeemed != 0)
    found.sums["invested"].add(days[paid], invested[paid])
    found.sums["reinvested"].add(days[paid], (invested - redeemed)[paid])
    days = days[rows["active"].to_numpy() == 1]
    found.sums["active_days"].add(days)
    first = np.flatnonzero(np.diff(days.place, prepend=-1))
    found.time[days.place[first]] = days.u[first]
    found.returned[days.place[first]] = True
    # A live run begins with each activity, and at the assignment with the last one before it.
    high = min(low + _PIECE, last.shape[0])
    until = cells.end[low:high].astype(np.int64)
    until[days.place[first] - low] = days.u[first] - 1
    start = np.arange(low, high)
    found.sums["days_live"].add_runs(start, np.ones_like(start), np.minimum(until, last[low:high] + idle_days - 1))
    following = np.append(days.u[1:] - 1, 0)
    ends = np.append(days.place[1:] != days.place[:-1], True) if days.u.size else np.zeros(0, dtype=np.bool_)
    end = cells.end[days.place].astype(np.int64)
    until = np.minimum(np.where(ends, end, following[: days.u.size]), days.u + idle_days - 1)
    found.sums["days_live"].add_runs(days.place, days.u, until)


def _refuse_strangers(log: ActivityLog, made: Assigned, view: str, id_of_users: str) -> None:
    """Refuse rewards most of which match nothing: names or ids are spelt in two ways, and money would go missing.

    One of a user who was not assigned, or of a campaign that was not asked for, is no such case.
    """
    engine = log.engine
    column = text_or_null(quoted("campaign"), made.source.columns["campaign"], always=True)
    of_campaigns = f"SELECT DISTINCT {column} AS campaign FROM {made.source.view}"
    n, strangers, nowhere, user, campaign = engine.rows(
        "SELECT count(*), count(CASE WHEN lost THEN 1 END), count(CASE WHEN lost AND elsewhere THEN 1 END),"
        " min(CASE WHEN lost THEN CAST(_user_id AS VARCHAR) END), min(CASE WHEN lost AND elsewhere THEN campaign END)"
        " FROM (SELECT w._user_id, w.campaign, c.campaign IS NULL AS elsewhere,"
        " w._reason IS NOT NULL AND w._reason = 'no_assignment' AND (c.campaign IS NULL OR u._user_id IS NULL) AS lost"
        f" FROM {view} AS w LEFT JOIN ({of_campaigns}) AS c ON w.campaign = c.campaign"
        f" LEFT JOIN (SELECT {id_of_users} AS _user_id FROM {log._reading.users}) AS u"
        " ON w._user_id = u._user_id) AS judged"
    )[0]
    if 2 * strangers <= n:
        return
    there = [str(row[0]) for row in engine.rows(f"{of_campaigns} ORDER BY campaign LIMIT 20") if row[0] is not None]
    if 2 * nowhere > strangers:
        what = f"their 'campaign', such as {campaign!r}, is none of the assignments' ({', '.join(map(repr, there))})"
        what += "." + did_you_mean(str(campaign), there)
    else:
        what = f"their 'user_id', such as {user}, is none of the users'."
    raise InputError(
        f"rewards: {strangers:,} of {n:,} rows match no assignment: {what} Spell both tables alike (a column of whole "
        "numbers with a missing one holds 7.0 for 7), or keep the rewards of these campaigns and users alone."
    )


def rewards(
    log: ActivityLog, made: Assigned, source: Source, cells: Cells, horizon: int
) -> tuple[dict[str, Sums], str, dict[str, int]]:
    """Fetch the rewards of rows: what was released by the horizon, and what may be released after it.

    Returns
    -------
    sums : dict of str to Sums
        `rewards` and `liability`.
    problems : str
        SQL of the rows of rewards that are left out.
    counts : dict of str to int
    """
    reading, engine = log._reading, log.engine
    users = Source("users", reading.users, engine.describe(reading.users))
    # The users have the type of id that they had for the assignments.
    ids = user_ids(engine, {"users": users, "rewards": source})
    view = engine.view("rewards_judged", rewards_sql(reading, source, ids, made.table))
    _refuse_strangers(log, made, view, ids["users"])
    negative, example = engine.rows(
        f"SELECT count(*), min(CAST(_user_id AS VARCHAR)) FROM {view} WHERE _reason IS NULL AND amount < 0"
    )[0]
    if negative:
        raise InputError(
            f"rewards: 'amount' is negative in {negative:,} rows, such as one of user {example}. A reward is what the "
            "user got, 0 or more; leave taken-back rewards out."
        )
    found = engine.arrow(
        f"SELECT place, released, expires, amount FROM {view} WHERE _reason IS NULL"
        " ORDER BY place, released, expires, amount"
    )
    place = _whole(found["place"])
    amount = found["amount"].to_numpy()
    released, expires = (np.array(found[name].to_pandas(), dtype=np.float64) for name in ("released", "expires"))
    sums = {name: Sums(cells) for name in ("rewards", "liability")}
    in_time = released <= horizon  # null never is
    sums["rewards"].add(Days(place[in_time], released[in_time].astype(np.int64)), amount[in_time])
    open_ = ~in_time & ~(expires <= horizon)
    at_end = np.full(int(open_.sum()), horizon, dtype=np.int64)
    sums["liability"].add(Days(place[open_], at_end), amount[open_])
    problems = (
        "SELECT 'rewards' AS \"table\", CAST(_user_id AS VARCHAR) AS user_id, campaign, CAST(NULL AS VARCHAR) AS arm,"
        " _reason AS reason, CASE WHEN _reason = 'amount_not_a_number' THEN amount_found"
        " WHEN _reason = 'unparsable_date' THEN coalesce(CASE WHEN released_day IS NULL THEN released_at END,"
        " promised_until) WHEN _reason = 'released_before_assignment' THEN released_at END AS value"
        f" FROM {view} WHERE _reason IS NOT NULL"
    )
    return sums, problems, {"rewards": int(place.shape[0]), "rewards_released": int(in_time.sum())}
