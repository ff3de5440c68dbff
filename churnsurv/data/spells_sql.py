"""The churn rule as SQL: active days -> long gaps -> spells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from churnsurv.data.events import is_activity
from churnsurv.data.sql import literal

__all__ = ["Window", "long_gaps_sql", "spells_sql"]


@dataclass(frozen=True, slots=True)
class Window:
    """The days that the log covers in full, both included."""

    first: date
    last: date


def long_gaps_sql(judged: str, users: str, kinds: tuple[str, ...] | None, window: Window, *, longer_than: int) -> str:
    """SQL of the active days after which a user was idle for more than `longer_than` days, or was never seen again.

    Registration counts as activity. A user registered before the window stands in with the day before it: whoever is
    then active within `idle_days` days is alive, whoever is not has churned unseen, by the same comparison as everybody
    else. Equal days need no removal: a gap of 0 days is never long.

    Columns: `_user_key, day, next_day, active_days, n_rows`; the last two count the user's distinct active days and
    rows up to this day, the stand-in included.
    """
    first, last = literal(window.first), literal(window.last)
    return f"""
        WITH active AS (
            SELECT _user_key, _day AS day FROM {judged}
            WHERE _reason IS NULL AND _day BETWEEN {first} AND {last} AND {is_activity(kinds)}
            UNION ALL
            SELECT _user_key, greatest(registered_at, {first} - 1) AS day FROM {users}
        ),
        gaps AS (
            SELECT _user_key, day, lead(day) OVER user_days AS next_day,
                   dense_rank() OVER user_days AS active_days, row_number() OVER user_days AS n_rows
            FROM active WINDOW user_days AS (PARTITION BY _user_key ORDER BY day)
        )
        SELECT _user_key, day, next_day, CAST(active_days AS INTEGER) AS active_days, CAST(n_rows AS INTEGER) AS n_rows
        FROM gaps WHERE next_day IS NULL OR date_diff('day', day, next_day) > {longer_than}
    """


def spells_sql(gaps: str, users: str, window: Window, idle_days: int) -> str:
    """SQL of all spells, and of what the log cannot show.

    A gap of more than `idle_days` days ends a spell at its first day and opens the next at its last. One row a spell:
    `_user_key, spell, origin, origin_known, registered_at, entry, duration, churned, last_activity, end_date, next_day,
    active_days, fate`. `next_day` is the day of the return, null where there is none.
    `fate` is null, or why the row is no spell: `undetermined` (the log is shorter than the rule), `not_seen`,
    `first_spell_unseen` (churned before the log could show it; a later activity opens spell 2).
    """
    first, last = literal(window.first), literal(window.last)
    return f"""
        WITH ends AS (
            SELECT * FROM {gaps} WHERE next_day IS NULL OR date_diff('day', day, next_day) > {idle_days}
        ),
        numbered AS (
            SELECT _user_key, CAST(row_number() OVER user_ends AS INTEGER) AS spell,
                   lag(next_day) OVER user_ends AS returned_on, day AS last_activity, next_day,
                   active_days - coalesce(lag(active_days) OVER user_ends, 0) AS active_days
            FROM ends WINDOW user_ends AS (PARTITION BY _user_key ORDER BY day)
        ),
        placed AS (
            SELECT n._user_key, n.spell, coalesce(n.returned_on, u.registered_at) AS origin, u.registered_at,
                   n.spell = 1 AND u.registered_at < {first} AS late, n.last_activity, n.next_day, n.active_days,
                   least(n.last_activity + {idle_days}, {last}) AS end_date
            FROM numbered AS n JOIN {users} AS u ON n._user_key = u._user_key
        )
        SELECT _user_key, spell, origin, NOT late AS origin_known, registered_at,
               CASE WHEN late THEN date_diff('day', origin, {first} + {idle_days - 1}) ELSE 0 END AS entry,
               date_diff('day', origin, end_date) AS duration, last_activity + {idle_days} <= {last} AS churned,
               last_activity, end_date, next_day, active_days - CASE WHEN late THEN 1 ELSE 0 END AS active_days,
               CASE WHEN late AND {first} + {idle_days - 1} > {last} THEN 'undetermined'
                   WHEN late AND last_activity < {first} AND next_day IS NULL THEN 'not_seen'
                   WHEN late AND last_activity < {first} THEN 'first_spell_unseen'
               END AS fate
        FROM placed
    """
