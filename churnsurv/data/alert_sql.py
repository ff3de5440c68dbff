"""Who has been silent up to a day, and what is known of them on the way there, as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from churnsurv.data.events import is_activity
from churnsurv.data.features_sql import changes_sql
from churnsurv.data.gap_counts_sql import STATE
from churnsurv.data.gaps_sql import active_gaps_sql
from churnsurv.data.sql import literal

if TYPE_CHECKING:
    from churnsurv.data.feature import Feature
    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.rule import ChurnRule, Stages

__all__ = ["DAY_0", "GAP_COLUMNS", "drawn_sql", "questions_sql", "recent_sql", "scores_sql", "silent_sql", "states_sql"]

DAY_0 = "DATE '1970-01-01'"
#: What is known of a user's active days when a silence begins, from the gap `g` that it is.
GAP_COLUMNS: Mapping[str, str] = {
    **{each: column for each, column in STATE.items() if column.startswith("g.")},
    "spell": "g.spell",
}
_DIGITS = range(12, 18)  # of the hash; blocks of users take the first ones


def recent_sql(reading: Reading, rule: ChurnRule) -> str:
    """SQL of the users active on the last day of the window or less than `idle_days` days before the day before it.

    Columns: `_user_key`; `since`, the last active day before the last day, null where there is none; `active`, whether
    the user is active on the last day. Registration counts as activity.
    """
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    reading.require_activity(kinds)
    first = literal(max(reading.window.first, reading.window.last - timedelta(days=rule.idle_days)))
    last = literal(reading.window.last)
    return f"""
        WITH active AS (
            SELECT _user_key, _day AS day FROM {reading.judged("events")}
            WHERE _reason IS NULL AND _day BETWEEN {first} AND {last} AND {is_activity(kinds)}
            UNION ALL
            SELECT _user_key, registered_at AS day FROM {reading.users} WHERE registered_at >= {first}
        )
        SELECT _user_key, max(CASE WHEN day < {last} THEN day END) AS since, max(day) = {last} AS active
        FROM active GROUP BY _user_key
    """


def silent_sql(recent: str, last: date) -> str:
    """SQL of those who have been silent since before `last`, or were until the day before it; columns as `recent`."""
    return (
        f"SELECT _user_key, since, active FROM {recent}"
        f" WHERE since IS NOT NULL AND (NOT active OR since < {literal(last - timedelta(days=1))})"
    )


def drawn_sql(users: str, share: float) -> str:
    """SQL of the rows of some users, drawn by the hash of their id: neither engine nor order nor other users matter."""
    digits = " + ".join(
        f"{16**i} * (strpos('0123456789abcdef', substr(_hash, {place + 1}, 1)) - 1)" for i, place in enumerate(_DIGITS)
    )
    limit = int(share * 16 ** len(_DIGITS))
    hashed = f"SELECT _user_key, md5(CAST(user_id AS VARCHAR)) AS _hash FROM {users}"
    drawn = f"SELECT _user_key FROM ({hashed}) AS hashed WHERE {digits} < {limit}"
    return f"SELECT * FROM {users} WHERE _user_key IN ({drawn})"


def questions_sql(reading: Reading, stages: Stages, silent: str, moving: Sequence[str | Feature]) -> str:
    """SQL of the days on which states are asked for: `_user_key, as_of`.

    These are the last day; where the user is active on it, or something may change in silence, the day on which the
    silence began; and the days of it on which something may change.
    """
    last = literal(reading.window.last)
    began = f"SELECT _user_key, since AS as_of FROM {silent}"
    parts = [f"SELECT _user_key, {last} AS as_of FROM {silent}", f"{began} WHERE active"]
    if moving:
        changes = (
            f"SELECT s._user_key, c.day AS as_of FROM {silent} AS s"
            f" JOIN ({changes_sql(reading, moving, stages)}) AS c ON c._user_key = s._user_key"
            f" WHERE c.day > s.since AND (c.day < {last} OR (c.day = {last} AND NOT s.active))"
        )
        parts += [changes, f"{began} WHERE _user_key IN (SELECT _user_key FROM ({changes}) AS moved)"]
    return " UNION ".join(parts)


def states_sql(
    reading: Reading,
    rule: ChurnRule,
    silent: str,
    questions: str,
    answers: str,
    columns: Mapping[str, str],
    *,
    activity: bool,
) -> str:
    """SQL of the states of silent users on the days asked for, in the order of user and day.

    Columns: `user_id`; `_since, _day, _registered` in days since 1970; `_active`; then `columns`.

    Parameters
    ----------
    silent, questions : str
        Tables made by `silent_sql` and `questions_sql`.
    answers : str
        SQL of the features on these days.
    columns : Mapping of str to str
        Names, and SQL from the user `u`, the question `q`, the answer `a` and, with `activity`, the gap `g` that
        the silence is.
    activity : bool
        Whether something is asked that the active days tell.
    """
    last = literal(reading.window.last)
    gaps = ""
    if activity:
        kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
        every = active_gaps_sql(reading.judged("events"), reading.users, kinds, reading.window, rule.idle_days)
        began = f"CASE WHEN s.active AND q.as_of = {last} THEN q.as_of ELSE s.since END"
        gaps = f" LEFT JOIN ({every}) AS g ON g._user_key = q._user_key AND g.as_of = {began}"
    days = ", ".join(
        f"date_diff('day', {DAY_0}, {day}) AS {column}"
        for column, day in (("_since", "s.since"), ("_day", "q.as_of"), ("_registered", "u.registered_at"))
    )
    chosen = "".join(f", {sql} AS {column}" for column, sql in columns.items())
    return (
        f"SELECT u.user_id, {days}, s.active AS _active{chosen} FROM {questions} AS q"
        f" JOIN {silent} AS s ON s._user_key = q._user_key JOIN {reading.users} AS u ON u._user_key = q._user_key"
        f" JOIN ({answers}) AS a ON a._user_key = q._user_key AND a.as_of = q.as_of{gaps}"
        " ORDER BY q._user_key, q.as_of"
    )


def scores_sql(scores: str, silent: str, last: date) -> str:
    """SQL of the scores of silent users in the order of user and day: `first, since, day, score`.

    These are the scores of the days of the silence, and the last one before it; null for a user who has none.

    Parameters
    ----------
    scores : str
        Table `_user_key, day, score`, one row a user and day.
    silent : str
        Table made by `silent_sql`.
    last : date
    """
    days = ", ".join(f"date_diff('day', {DAY_0}, {each}) AS {each}" for each in ("since", "day"))
    return f"""
        WITH known AS (
            SELECT s._user_key, r.day, r.score, s.since,
                   max(CASE WHEN r.day <= s.since THEN r.day END) OVER (PARTITION BY s._user_key) AS before
            FROM {silent} AS s JOIN {scores} AS r ON r._user_key = s._user_key
            WHERE r.day < {literal(last)} OR (r.day = {literal(last)} AND NOT s.active)
        ),
        rows_of_all AS (
            SELECT s._user_key, s.since, k.day, k.score FROM {silent} AS s
            LEFT JOIN (SELECT * FROM known WHERE day > since OR day = before) AS k ON k._user_key = s._user_key
        )
        SELECT row_number() OVER (PARTITION BY _user_key ORDER BY day) = 1 AS first, {days}, score
        FROM rows_of_all ORDER BY _user_key, rows_of_all.day
    """
