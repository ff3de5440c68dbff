"""The rows of a history as SQL: where a spell is split, what is known on each row, and which rows are one.

A feature acts `lag` days after the day that it is of: the row that begins at day `start` of a spell shows the end of
day `origin + start - lag`, its `as_of`. All spells of a user move by the same lag, so that they never overlap on the
scale of `as_of` either, and a day has one spell at most.
"""

from __future__ import annotations

from collections.abc import Sequence

from churnsurv.data.sql import name

__all__ = ["answered_sql", "grid_splits_sql", "history_sql", "splits_sql", "starts_sql"]


def starts_sql(spells: str, lag: int) -> str:
    """SQL of the first row of each spell: `_user_key, spell, start, as_of`."""
    return (
        "SELECT _user_key, spell, CAST(entry AS INTEGER) AS start,"
        f" origin + CAST(entry AS INTEGER) - {lag} AS as_of FROM {spells} WHERE fate IS NULL"
    )


def splits_sql(spells: str, changes: str, lag: int) -> str:
    """SQL of the first row of each spell and of one row for each change inside it: `_user_key, spell, start, as_of`.

    `changes` is a table of distinct `_user_key, day`. A day of a user meets each spell of that user: at most one in
    `idle_days + 1` days opens a spell, so that a life of many spells has few changes in each.
    """
    return f"""
        {starts_sql(spells, lag)}
        UNION ALL
        SELECT c._user_key, s.spell, CAST(date_diff('day', s.opens, c.day) AS INTEGER) AS start, c.day AS as_of
        FROM {changes} AS c JOIN (
            SELECT _user_key, spell, origin - {lag} AS opens, origin + CAST(entry AS INTEGER) - {lag} AS enters,
                   origin + CAST(duration AS INTEGER) - {lag} AS closes
            FROM {spells} WHERE fate IS NULL
        ) AS s ON c._user_key = s._user_key AND s.enters < c.day AND c.day < s.closes
    """


def grid_splits_sql(spells: str, every: int, longest: int, lag: int) -> str:
    """SQL of the first row of each spell and of one row for each multiple of `every` inside it.

    `longest` is no less than any duration: it bounds how many multiples there are.
    """
    return f"""
        WITH steps AS ({_numbers_sql(longest // every)})
        {starts_sql(spells, lag)}
        UNION ALL
        SELECT s._user_key, s.spell, CAST(steps.n * {every} AS INTEGER) AS start,
               s.origin + CAST(steps.n * {every} AS INTEGER) - {lag} AS as_of
        FROM {spells} AS s JOIN steps ON s.entry < steps.n * {every} AND steps.n * {every} < s.duration
        WHERE s.fate IS NULL
    """


def _numbers_sql(most: int) -> str:
    """SQL of the whole numbers from 0 to `most` or more as `n`: sums of digits, which every engine can add."""
    digits = f"(SELECT {' AS n UNION ALL SELECT '.join(map(str, range(10)))} AS n)"
    places = range(len(str(most)))
    tables = ", ".join(f"{digits} AS d{place}" for place in places)
    return f"SELECT {' + '.join(f'd{place}.n * {10**place}' for place in places)} AS n FROM {tables}"


def answered_sql(splits: str, answers: str, features: Sequence[str]) -> str:
    """SQL of the splits with their features: `_user_key, spell, start, features ...`."""
    columns = "".join(f", a.{name(feature)}" for feature in features)
    return (
        f"SELECT c._user_key, c.spell, c.start{columns} FROM {splits} AS c"
        f" JOIN ({answers}) AS a ON c._user_key = a._user_key AND c.as_of = a.as_of"
    )


def _changed_sql(rows: str, features: Sequence[str]) -> str:
    """SQL of the rows that differ in some feature from the row before them in their spell."""
    differs = " OR ".join(
        f"{name(feature)} IS DISTINCT FROM lag({name(feature)}) OVER in_spell" for feature in features
    )
    columns = "".join(f", {name(feature)}" for feature in features)
    # The row before the first one has no values, which may well be those of the first one.
    return f"""
        SELECT _user_key, spell, start{columns} FROM (
            SELECT _user_key, spell, start{columns}, lag(start) OVER in_spell IS NULL OR {differs} AS _changed
            FROM ({rows}) AS answered WINDOW in_spell AS (PARTITION BY _user_key, spell ORDER BY start)
        ) AS compared WHERE _changed
    """


def history_sql(
    spells: str, rows: str, users: str, *, features: Sequence[str], user_columns: Sequence[str], merged: bool
) -> str:
    """SQL of the history: each row lasts until the next one of its spell, the last one until the spell ends.

    `rows` is SQL of `_user_key, spell, start, features ...`; with `merged` neighbours that are equal become one row.
    """
    if merged and features:
        rows = _changed_sql(rows, features)
    columns = "".join(f", {column}" for column in [*user_columns, *(f"r.{name(feature)}" for feature in features)])
    return f"""
        SELECT u.user_id, r.spell, s.origin, r.start, coalesce(r.next_start, CAST(s.duration AS INTEGER)) AS stop,
               s.churned AND r.next_start IS NULL AS churned{columns}
        FROM (
            SELECT *, lead(start) OVER (PARTITION BY _user_key, spell ORDER BY start) AS next_start
            FROM ({rows}) AS every_row
        ) AS r
        JOIN {spells} AS s ON r._user_key = s._user_key AND r.spell = s.spell
        JOIN {users} AS u ON r._user_key = u._user_key
    """
