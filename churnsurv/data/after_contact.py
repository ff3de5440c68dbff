"""Users of campaigns who came back, and what they did from then on: one row for each assignment with a return."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.after_contact_sql import known_rows_sql, money_sql, returns_sql
from churnsurv.data.assigned_reading import Assigned, assigned, open_table
from churnsurv.data.assigned_sql import has_amounts, rewards_sql
from churnsurv.data.ids import user_ids
from churnsurv.data.sources import Source
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog

__all__ = ["AfterContact", "Money", "after_contact"]

Ints: TypeAlias = NDArray[np.int64]
Days: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Money:
    """What the returned invested and redeemed in their life, in the order of row, day, kind and amount.

    Attributes
    ----------
    row : (m,) int64
        Position of the return.
    day : (m,) datetime64[D]
    invests : (m,) bool
        Otherwise it was redeemed.
    amount : (m,) float64
    before : (m,) bool
        Before the assignment.
    """

    row: Ints
    day: Days
    invests: NDArray[np.bool_]
    amount: NDArray[np.float64]
    before: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AfterContact:
    """Assignments that were followed by activity within the horizon.

    Attributes
    ----------
    returns : pyarrow.Table
        In the order of campaign and user: `user_id, campaign, arm, day` (of assignment), `returned_on, last_activity,
        churned_on, reinvested_on`.
    rewards : pyarrow.Table
        `row` (position of the return), `amount, released_on` (null: not by the end of the log), `until` (null: for
        ever), in the order of row, days and amount.
    money : Money
    has_amounts : bool
        Whether events say what was invested.
    counts : Mapping of str to int
        `assigned, users, users_in_several` (of them in more than one campaign), `returned, not_returned` (followed to
        the horizon), `waiting` (not yet); what is left out, by reason; `rewards` of assignments, and those of none.
    """

    returns: pa.Table
    rewards: pa.Table
    money: Money
    has_amounts: bool
    counts: Mapping[str, int]


def after_contact(log: ActivityLog, assignments: object, *, rewards: object, horizon: int) -> AfterContact | None:
    """Fetch the returns of users of campaigns; None where no assignment is known by the end of the log.

    Parameters
    ----------
    log : ActivityLog
    assignments : table
        `user_id, campaign, arm, assigned_at`.
    rewards : table or None
        `user_id, campaign, amount`, and perhaps `promised_until, released_at`.
    horizon : int
        Days in which a return counts, the day of assignment being the first.

    Raises
    ------
    InputError
        If a table can't be used, a user is in two arms of a campaign, or a reward is negative.
    SchemaError
        If a column is missing or has the wrong type.
    """
    reading, engine = log._reading, log.engine
    reading.require_activity(log._kinds)
    source = open_table(engine, "assignments", assignments, {})
    known = engine.view("assignments_known", known_rows_sql(reading, source, "assigned_at"))
    if not engine.rows(f"SELECT count(*) FROM (SELECT 1 FROM {known} LIMIT 1) AS one")[0][0]:
        return None
    source = replace(source, view=known)
    gaps = reading.gaps(log._kinds, log.rule.idle_days)
    with (
        assigned(log, source, horizon=horizon, covariates=(), campaigns=None, exclude_conflicts=False) as made,
        ExitStack() as tables,
    ):
        query = returns_sql(reading, log._kinds, made.table, gaps, idle_days=log.rule.idle_days, local=made.local)
        returns = engine.table("returns", query)
        tables.callback(engine.drop, returns)
        found = engine.arrow(
            "SELECT r.place, a.user_id, a.campaign, a.arm, r.day, r.returned_on, r.last_activity, r.churned_on,"
            f" r.reinvested_on FROM {returns} AS r JOIN {made.table} AS a ON r.place = a.place ORDER BY r.place"
        )
        place = _whole(found["place"])
        promised, counted = _rewards(log, made, rewards, place)
        money = _money(log, returns, made.local, place)
        counts = _counts(log, made, returns, horizon) | counted
    return AfterContact(found.drop_columns(["place"]), promised, money, has_amounts(reading), counts)


def _whole(column: Any) -> Ints:
    values: Ints = column.to_numpy().astype(np.int64)
    return values


def _counts(log: ActivityLog, made: Assigned, returns: str, horizon: int) -> dict[str, int]:
    engine = log.engine
    n, returned, waiting, users, several = engine.rows(
        "SELECT CAST(coalesce(sum(n), 0) AS BIGINT), CAST(coalesce(sum(back), 0) AS BIGINT),"
        " CAST(coalesce(sum(young), 0) AS BIGINT), count(*), count(CASE WHEN n > 1 THEN 1 END) FROM ("
        "SELECT count(*) AS n, count(r.place) AS back,"
        f" count(CASE WHEN r.place IS NULL AND a.followed < {horizon} THEN 1 END) AS young"
        f" FROM {made.table} AS a LEFT JOIN {returns} AS r ON a.place = r.place GROUP BY a._user_key) AS u"
    )[0]
    left = engine.rows(
        f"SELECT reason, count(*) FROM ({' UNION ALL '.join(made.problems)}) AS p GROUP BY reason ORDER BY reason"
    )
    return {
        "assigned": int(n),
        "returned": int(returned),
        "not_returned": int(n - returned - waiting),
        "waiting": int(waiting),
        "users": int(users),
        "users_in_several": int(several),
        **made.counts,
        **{str(reason): int(count) for reason, count in left},
    }


def _rewards(log: ActivityLog, made: Assigned, rewards: object, place: Ints) -> tuple[pa.Table, dict[str, int]]:
    """The rewards of the returned, and how many there are; releases after the log have not happened yet."""
    import pyarrow as pa

    if rewards is None:
        empty = {"row": pa.int64(), "amount": pa.float64(), "released_on": pa.date32(), "until": pa.date32()}
        return pa.table({name: pa.array([], kind) for name, kind in empty.items()}), {}
    reading, engine = log._reading, log.engine
    source = open_table(engine, "rewards", rewards, {})
    users = Source("users", reading.users, engine.describe(reading.users))
    ids = user_ids(engine, {"users": users, "rewards": source})
    judged = engine.view("rewards_of_returns", rewards_sql(reading, source, ids, made.table))
    bad, example = engine.rows(
        f"SELECT count(*), min(CAST(_user_id AS VARCHAR)) FROM {judged} WHERE _reason IS NULL AND amount < 0"
    )[0]
    if bad:
        raise InputError(
            f"rewards: 'amount' is negative in {bad:,} rows, such as one of user {example}. A reward is what the user "
            "got, 0 or more; leave taken-back rewards out."
        )
    reasons = engine.rows(f"SELECT _reason, count(*) FROM {judged} GROUP BY _reason ORDER BY _reason")
    found = engine.arrow(
        "SELECT w.place, w.amount, CASE WHEN w.released <= a.followed THEN w.released_day END AS released_on,"
        f" w.until_day AS until FROM {judged} AS w JOIN {made.table} AS a ON w.place = a.place"
        " WHERE w._reason IS NULL ORDER BY w.place, released_on, until, w.amount"
    )
    of_return = np.searchsorted(place, _whole(found["place"]))
    mine = np.zeros(of_return.size, dtype=np.bool_)
    if place.size:
        mine = place[np.minimum(of_return, place.size - 1)] == _whole(found["place"])
    table = found.drop_columns(["place"]).filter(pa.array(mine))
    counts = {f"rewards_{'used' if reason is None else reason}": int(n) for reason, n in reasons}
    return table.add_column(0, "row", pa.array(of_return[mine])), counts


def _money(log: ActivityLog, returns: str, local: str | None, place: Ints) -> Money:
    rows = log.engine.arrow(
        "SELECT place, day, kind, amount, before FROM"
        f" ({money_sql(log._reading, returns, local)}) AS m ORDER BY place, day, kind, amount, before"
    )
    import pyarrow.compute as pc

    return Money(
        row=np.searchsorted(place, _whole(rows["place"])),
        day=rows["day"].to_numpy().astype("datetime64[D]"),
        invests=pc.equal(rows["kind"], "invest").to_numpy().astype(np.bool_),
        amount=_whole(rows["amount"]) / 1_000_000.0,
        before=rows["before"].to_numpy().astype(np.bool_),
    )
