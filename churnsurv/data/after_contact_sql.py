"""What those who came back did from their return on, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churnsurv.data.assigned_sql import has_amounts
from churnsurv.data.events import is_activity
from churnsurv.data.sql import literal, name

if TYPE_CHECKING:
    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.sources import Source

__all__ = ["known_rows_sql", "money_sql", "returns_sql"]

_MILLION = literal(1_000_000.0)


def known_rows_sql(reading: Reading, source: Source, column: str) -> str:
    """SQL of the rows of a table but those of days after the log, which are not known yet."""
    kind = source.columns[column]
    day = reading.clock.day(name(column), kind, f"{source.table}: {column!r}")
    return f"SELECT * FROM {source.view} WHERE {day} IS NULL OR {day} <= {literal(reading.window.last)}"


def returns_sql(reading: Reading, kinds: Kinds, assigned: str, gaps: str, *, idle_days: int, local: str | None) -> str:
    """SQL of the assignments that were followed by activity within the horizon, with what came after the return.

    Columns: `place, _user_key, day, returned_on, last_activity, churned_on, reinvested_on, since`. `churned_on` is null
    where the user is not formally churned by the end of the log; `last_activity` is that before it, or the last so far.

    Parameters
    ----------
    assigned : str
        Table of `assigned_sql.assigned_sql`.
    gaps : str
        Table of `Reading.gaps`.
    local : str or None
        SQL of the time of an event `e`, where times of day count: on the day of assignment what comes after it.
    """
    last = literal(reading.window.last)
    later = "" if local is None else f" AND (e._day > r.day OR r.since IS NULL OR {local} IS NULL OR {local} > r.since)"
    invested = "CAST(NULL AS DATE) AS reinvested_on"
    wanted = is_activity(kinds)
    if "kind" in reading.sources["events"].columns:
        invested = "min(CASE WHEN e.kind = 'invest' THEN e._day END) AS reinvested_on"
        wanted = f"({wanted} OR e.kind = 'invest')"
    return f"""
        WITH active AS (
            SELECT r.place, min(CASE WHEN {is_activity(kinds)} AND e._day <= r.last THEN e._day END) AS returned_on
            FROM {reading.judged("events")} AS e JOIN {assigned} AS r ON e._user_key = r._user_key
            WHERE e._reason IS NULL AND {is_activity(kinds)} AND e._day BETWEEN r.day AND {last}{later}
            GROUP BY r.place
        ),
        returned AS (
            SELECT r.place, r._user_key, r.day, r.since, a.returned_on FROM active AS a
            JOIN {assigned} AS r ON a.place = r.place WHERE a.returned_on IS NOT NULL
        ),
        ends AS (
            SELECT r.place, min(g.day) AS last_activity FROM returned AS r JOIN {gaps} AS g ON g._user_key = r._user_key
            WHERE g.day >= r.returned_on AND (g.next_day IS NULL OR date_diff('day', g.day, g.next_day) > {idle_days})
            GROUP BY r.place
        ),
        invested AS (
            SELECT r.place, {invested} FROM {reading.judged("events")} AS e JOIN returned AS r
                ON e._user_key = r._user_key
            WHERE e._reason IS NULL AND {wanted} AND e._day BETWEEN r.returned_on AND {last}{later}
            GROUP BY r.place
        )
        SELECT r.place, r._user_key, r.day, r.returned_on, e.last_activity,
               CASE WHEN e.last_activity + {idle_days} <= {last} THEN e.last_activity + {idle_days} END AS churned_on,
               i.reinvested_on, r.since
        FROM returned AS r JOIN ends AS e ON r.place = e.place LEFT JOIN invested AS i ON r.place = i.place
    """


def money_sql(reading: Reading, returns: str, local: str | None) -> str:
    """SQL of what the returned invested and redeemed, before and after their return: one row an event.

    Columns: `place, day, kind, amount` (in millionths) and `before`: whether it was before the assignment.
    """
    if not has_amounts(reading):
        return (
            "SELECT place, day, CAST('' AS VARCHAR) AS kind, CAST(0 AS BIGINT) AS amount, FALSE AS before"
            f" FROM {returns} AS r WHERE FALSE"
        )
    first, last = literal(reading.window.first), literal(reading.window.last)
    before = "e._day < r.day"
    if local is not None:
        before = f"({before} OR (e._day = r.day AND r.since IS NOT NULL AND {local} <= r.since))"
    return f"""
        SELECT r.place, e._day AS day, e.kind, CAST(round(CAST(e.amount AS DOUBLE) * {_MILLION}) AS BIGINT) AS amount,
               {before} AS before
        FROM {reading.judged("events")} AS e JOIN {returns} AS r ON e._user_key = r._user_key
        WHERE e._reason IS NULL AND e.amount IS NOT NULL AND e.kind IN ('invest', 'redeem')
            AND e._day BETWEEN {first} AND {last}
    """
