"""Who is living on a day, and the state of each of them, as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from churnsurv.data.spells_sql import Window
from churnsurv.data.sql import literal

__all__ = ["living_sql", "states_sql"]


def living_sql(spells: str, days: Sequence[date], idle_days: int) -> str:
    """SQL of the spells that are alive at the end of each of these days: origin <= day < churn day.

    Columns: `_user_key, as_of, spell, origin, churn_day`, one row at most for each user and day. `churn_day` lies
    beyond the log where the spell is censored. Nothing of a spell but its churn day depends on what comes after the
    day: its number and its origin were fixed when it began.

    A spell is `undetermined` where the log is too short to vouch for a user registered before it. Who is seen in it
    is alive all the same, so that these rows stand here, as they do once more of the log is known.
    """
    listed = ", ".join(f"({literal(day)})" for day in days)
    return f"""
        WITH days AS (SELECT day FROM (VALUES {listed}) AS listed(day))
        SELECT s._user_key, d.day AS as_of, s.spell, s.origin, s.last_activity + {idle_days} AS churn_day
        FROM {spells} AS s JOIN days AS d ON s.origin <= d.day AND d.day < s.last_activity + {idle_days}
        WHERE s.fate IS NULL OR s.fate = 'undetermined'
    """


def states_sql(
    living: str,
    answers: str,
    users: str,
    *,
    window: Window,
    about_user: Sequence[str],
    features: Sequence[str],
    horizon: int | None,
) -> str:
    """SQL of the state of the living on their days, and of what came of them within `horizon` days where it is given.

    A user registered before the log is known from the first activity in it: before that nothing tells whether the
    user is still alive (`last_active` is null), and whoever knew would have looked ahead.

    Parameters
    ----------
    living : str
        Table made by `living_sql`.
    answers : str
        SQL of the features and the state of activity for each `_user_key, as_of` of it.
    users : str
    window : Window
    about_user : sequence of str
        SQL of columns of the user `u`.
    features : sequence of str
        Quoted names of the feature columns of `answers`.
    horizon : int, optional
        Days of the outcome; the log must cover them.
    """
    outcome = ""
    if horizon is not None:
        outcome = (
            f" q.churn_day <= q.as_of + {horizon} AS churned,"
            f" CAST(least(date_diff('day', q.as_of, q.churn_day), {horizon}) AS INTEGER) AS duration,"
        )
    columns = ", ".join([*about_user, *(f"a.{feature}" for feature in features)])
    return (
        f"SELECT u.user_id, q.as_of AS date,{outcome} q.spell,"
        " CAST(date_diff('day', q.origin, q.as_of) AS INTEGER) AS spell_day,"
        " CAST(date_diff('day', u.registered_at, q.as_of) AS INTEGER) AS tenure,"
        " a.idle_days, a.active_days, a.mean_interval, CAST(a.last_interval AS DOUBLE) AS last_interval,"
        f" u.registered_at >= {literal(window.first)} AS life_observed, {columns}"
        f" FROM {living} AS q JOIN {users} AS u ON q._user_key = u._user_key"
        f" LEFT JOIN ({answers}) AS a ON a._user_key = q._user_key AND a.as_of = q.as_of"
        " WHERE a.last_active IS NOT NULL"
    )
