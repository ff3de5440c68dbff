"""Clean users: one row a user with the day of registration and the attributes; the rest are rejects with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.sql import literal, name
from churnsurv.errors import SchemaError
from churnsurv.tables import schema

if TYPE_CHECKING:
    from churnsurv.data.clock import Clock
    from churnsurv.data.engine import Engine
    from churnsurv.data.sources import Source

__all__ = [
    "MOMENTS",
    "TakenNameError",
    "Users",
    "dated",
    "known_users",
    "read_users",
    "text_or_null",
    "user_rejects_sql",
]


#: The column with the time or date of a row.
MOMENTS: Mapping[str, str] = {
    "events": "event_at",
    "users": "registered_at",
    "balances": "date",
    "feedback": "date",
    "score": "date",
}


class TakenNameError(SchemaError):
    """A column of the users has the name of a column of the spells."""


@dataclass(frozen=True, slots=True)
class Users:
    """The users as read, before the window is known; one temporary table with a reason for each row that can't be used.

    Attributes
    ----------
    judged : str
        Table `_row, user_id, _at, _day, attributes ..., _reason`, equal rows collapsed.
    attributes : tuple of str
    n_read, n_collapsed : int
    first_day : date or None
        First registration that can be read.
    """

    judged: str
    attributes: tuple[str, ...]
    n_read: int
    n_collapsed: int
    first_day: date | None


def text_or_null(column: str, kind: str, *, always: bool = False) -> str:
    """SQL of a column with empty text as missing; other types become text only if `always` is set."""
    if always or kind == "VARCHAR" or kind.startswith("ENUM"):
        return f"NULLIF(trim(CAST({column} AS VARCHAR)), '')"
    return column


def read_users(engine: Engine, source: Source, user_id: str, clock: Clock) -> Users:
    """Read the users once, collapse equal rows and judge the others."""
    attributes = tuple(column for column in source.columns if column not in {"user_id", "registered_at"})
    _refuse_collisions(attributes)
    columns = "".join(f", {name(column)}" for column in attributes)
    rows, day = dated(source, clock, user_id, with_row=True)
    read = engine.table("users_read", f"SELECT _row, _user_id AS user_id, _at, {day} AS _day{columns} FROM {rows}")
    # Equal rows collapse to the first of them; of the rest of a user's rows the earliest registration stays, and of
    # equal days the one whose values come first: the order of the rows in the source plays no part.
    judged = engine.table(
        "users_judged",
        f"""
        WITH distinct_rows AS (
            SELECT min(_row) AS _row, user_id, _at, _day{columns}
            FROM {_duplicated(read, repeated=True)} GROUP BY user_id, _at, _day{columns}
            UNION ALL
            SELECT _row, user_id, _at, _day{columns} FROM {_duplicated(read, repeated=False)}
        )
        SELECT *, CASE
            WHEN user_id IS NULL THEN 'missing_user_id'
            WHEN _at IS NULL THEN 'missing_date'
            WHEN _day IS NULL THEN 'unparsable_date'
            WHEN row_number() OVER (
                PARTITION BY user_id, _day IS NULL ORDER BY _day, _at{columns}, _row
            ) > 1 THEN 'duplicate_user'
        END AS _reason
        FROM distinct_rows
        """,
    )
    n_read = engine.rows(f"SELECT count(*) FROM {read}")[0][0]
    n_kept = engine.rows(f"SELECT count(*) FROM {judged}")[0][0]
    first = engine.rows(f"SELECT min(_day) FROM {judged} WHERE _reason IS NULL")[0][0]
    engine.drop(read)
    return Users(judged, attributes, n_read, n_read - n_kept, first)


def dated(source: Source, clock: Clock, user_id: str, *, with_row: bool = False) -> tuple[str, str]:
    """SQL of a source with `_user_id`, its time as found (`_at`) and what its day is made of; and SQL of the day."""
    moment = MOMENTS[source.table]
    at = text_or_null(name(moment), source.columns[moment])
    steps = clock.moment("_at", source.columns[moment], f"{source.table}: {moment!r}")
    rows = f"(SELECT *, {user_id} AS _user_id, {at} AS _at FROM {source.with_row() if with_row else source.view})"
    if steps.columns:
        extra = ", ".join(f"{sql} AS {column}" for column, sql in steps.columns.items())
        rows = f"(SELECT *, {extra} FROM {rows})"
    return rows, steps.day


def _refuse_collisions(attributes: tuple[str, ...]) -> None:
    taken = [column for column in attributes if column.lower() in schema("spells").names]
    if taken:
        raise TakenNameError(
            f"users: {', '.join(map(repr, taken))} would collide with a column of the spells. Rename it, or map it: "
            f"columns={{'users': {{'user_{taken[0]}': {taken[0]!r}}}}}."
        )


def _duplicated(read: str, *, repeated: bool) -> str:
    """Rows of users with several readable rows, or all the others: only the former need the costly comparison."""
    readable = "user_id IS NOT NULL AND _day IS NOT NULL"
    several = f"SELECT user_id FROM {read} WHERE {readable} GROUP BY user_id HAVING count(*) > 1"
    inside = f"user_id IN ({several}) AND _day IS NOT NULL"
    return f"(SELECT * FROM {read} WHERE {inside if repeated else f'({inside}) IS NOT TRUE'})"


def known_users(engine: Engine, users: Users) -> str:
    """Make the table of usable users with a key in the order of their ids.

    Returns
    -------
    str
        Table `_user_key, user_id, registered_at, attributes ...`.
    """
    columns = "".join(f", {name(column)}" for column in users.attributes)
    return engine.table(
        "known_users",
        f"SELECT {engine.user_key} AS _user_key, user_id, _day AS registered_at{columns}"
        f" FROM {users.judged} WHERE _reason IS NULL",
    )


def user_rejects_sql(users: Users, last_day: date) -> str:
    """SQL of the rejected user rows in the layout of the rejects."""
    return (
        "SELECT 'users' AS \"table\", _row AS row, CAST(user_id AS VARCHAR) AS user_id,"
        " coalesce(_reason, 'registered_after_window') AS reason,"
        " CASE WHEN _reason = 'missing_user_id' THEN NULL ELSE CAST(_at AS VARCHAR) END AS value"
        f" FROM {users.judged} WHERE _reason IS NOT NULL OR _day > {literal(last_day)}"
    )
