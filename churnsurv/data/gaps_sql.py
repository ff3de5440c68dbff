"""The days between activities, as SQL."""

from __future__ import annotations

from churnsurv.data.events import is_activity
from churnsurv.data.spells_sql import Window
from churnsurv.data.sql import literal

__all__ = ["active_gaps_sql"]


def active_gaps_sql(judged: str, users: str, kinds: tuple[str, ...] | None, window: Window, idle_days: int) -> str:
    """SQL of one row for each active day of a user: the gap that begins on it, and what the user had done by then.

    Days of registration inside the window are active days. Of a user registered before it the first activity in the
    window begins the first gap: where an earlier one began is unknown.

    The number of the spell counts the gaps of more than `idle_days` days so far. A user registered before the window
    who is first active after more than `idle_days` - 1 days of it has churned unseen, so that this day opens spell 2:
    the day before the window stands in as the last active one, as it does for the spells.

    Columns: `_user_key, as_of` (the active day)`, gap, next_day` (null for the last one)`, spell, active_days,
    mean_interval, last_interval`.
    """
    first, last = literal(window.first), literal(window.last)
    return f"""
        WITH active AS (
            SELECT _user_key, _day AS day FROM {judged}
            WHERE _reason IS NULL AND _day BETWEEN {first} AND {last} AND {is_activity(kinds)}
            UNION
            SELECT _user_key, registered_at AS day FROM {users} WHERE registered_at >= {first}
        ),
        in_order AS (
            SELECT _user_key, day, lead(day) OVER user_days AS next_day, lag(day) OVER user_days AS day_before,
                   CAST(row_number() OVER user_days AS INTEGER) AS gap, first_value(day) OVER user_days AS first_day
            FROM active WINDOW user_days AS (PARTITION BY _user_key ORDER BY day)
        ),
        measured AS (
            SELECT a._user_key, a.day, a.next_day, a.gap,
                   CAST(date_diff('day', a.first_day, a.day) AS INTEGER) AS days_active,
                   CAST(date_diff('day', a.day_before, a.day) AS DOUBLE) AS last_interval,
                   CASE WHEN a.day_before IS NULL AND u.registered_at < {first} THEN {first} - 1
                       ELSE a.day_before END AS idle_since
            FROM in_order AS a JOIN {users} AS u ON a._user_key = u._user_key
        )
        SELECT _user_key, day AS as_of, gap, next_day,
               CAST(1 + sum(CASE WHEN date_diff('day', idle_since, day) > {idle_days} THEN 1 ELSE 0 END) OVER (
                   PARTITION BY _user_key ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
               ) AS INTEGER) AS spell,
               gap AS active_days, CAST(days_active AS DOUBLE) / nullif(gap - 1, 0) AS mean_interval, last_interval
        FROM measured
    """
