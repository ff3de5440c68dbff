"""What changes inside gaps, as SQL: the days between two activities on which a variable moves to another cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from churnsurv.data.feature import Feature
from churnsurv.data.features_sql import answers_sql, changes_sql
from churnsurv.data.sql import literal

if TYPE_CHECKING:
    from churnsurv.data.reading import Reading
    from churnsurv.data.rule import ChurnRule, Stages

__all__ = ["Moving", "can_move", "changes_in_gaps_sql", "codes_sql", "distinct_sql", "numbered_sql", "steps_sql"]

#: The kinds of events that make the balance where there is no table of balances.
_NET = frozenset({"invest", "redeem"})


@dataclass(frozen=True, slots=True)
class Moving:
    """The variables that may change while a user is silent.

    Attributes
    ----------
    features : tuple of str or Feature
        Those of them that are features.
    tenure : tuple of int
        Whole days of tenure on which its cell changes.
    code : str
        SQL of the cells of all moving variables as one number, from the user `u`, the day `g.as_of` and the features
        `a`.
    """

    features: tuple[str | Feature, ...]
    tenure: tuple[int, ...]
    code: str


def can_move(feature: str | Feature, rule: ChurnRule, sources: Mapping[str, object]) -> bool:
    """Whether a feature can change on a day without activity.

    Examples
    --------
    >>> from churnsurv.data import ChurnRule
    >>> can_move(Feature("week", agg="count", last=7), ChurnRule(), {})
    True
    >>> can_move(Feature("invested", agg="sum", kind="invest", column="amount"), ChurnRule(), {})
    False
    """
    activity = None if rule.activity is None else frozenset(rule.activity)
    if isinstance(feature, Feature):
        if feature.last is not None:
            return True
        kinds = None if feature.kinds is None else frozenset(feature.kinds)
    elif feature != "balance":
        return False
    elif "balances" in sources:
        return True
    else:
        kinds = _NET
    # where every event is activity, none comes in silence
    return activity is not None and (kinds is None or not kinds <= activity)


def changes_in_gaps_sql(
    reading: Reading, rule: ChurnRule, stages: Stages, moving: Moving, *, gaps: str, first: date, limit: date
) -> str:
    """SQL of the days of gaps on which something may change, before churn: `_user_key, since` (the start)`, day`.

    The starts of these gaps are there too, as days of their own. A day on which a user is active begins a gap; what
    changes on it is known at its start.
    """
    parts = [f"SELECT _user_key, registered_at + {days} AS day FROM {reading.users}" for days in moving.tenure]
    if moving.features:
        parts.append(f"SELECT _user_key, day FROM ({changes_sql(reading, moving.features, stages)}) AS c")
    last = literal(reading.window.last)
    return f"""
        WITH timeline AS (
            SELECT _user_key, as_of AS day, as_of AS since, 0 AS moved FROM {gaps} AS g
            UNION ALL
            SELECT _user_key, day, CAST(NULL AS DATE) AS since, 1 AS moved FROM ({" UNION ALL ".join(parts)}) AS m
        ),
        placed AS (
            SELECT _user_key, day, moved, last_value(since IGNORE NULLS) OVER (
                PARTITION BY _user_key ORDER BY day, moved ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS since FROM timeline
        ),
        inside AS (
            SELECT DISTINCT _user_key, since, day FROM placed
            WHERE moved = 1 AND since < day AND day < since + {rule.idle_days} AND day <= {last}
            AND since BETWEEN {literal(first)} AND {literal(limit)}
        )
        SELECT _user_key, since, day FROM inside
        UNION ALL
        SELECT DISTINCT _user_key, since, since AS day FROM inside
    """


def codes_sql(
    reading: Reading, rule: ChurnRule, stages: Stages, moving: Moving, *, changes: str, users: str, limit: date
) -> str:
    """SQL of the days on which a cell does change: `_user_key, as_of` (the start of the gap)`, idle_day, code`."""
    asked = f"(SELECT DISTINCT _user_key, day AS as_of FROM {changes})"
    joins = ""
    if moving.features:
        until = min(limit + timedelta(days=rule.idle_days), reading.window.last)
        answers = answers_sql(reading, rule, moving.features, stages, asked, until=until)
        joins = f" LEFT JOIN ({answers}) AS a ON a._user_key = g._user_key AND a.as_of = g.as_of"
    return f"""
        WITH coded AS (
            SELECT g._user_key, g.since, CAST(date_diff('day', g.since, g.as_of) AS INTEGER) AS idle_day,
                   {moving.code} AS code
            FROM (SELECT _user_key, since, day AS as_of FROM {changes}) AS g
            JOIN {users} AS u ON g._user_key = u._user_key{joins}
        ),
        compared AS (
            SELECT _user_key, since, idle_day, code,
                   lag(code) OVER (PARTITION BY _user_key, since ORDER BY idle_day) AS before
            FROM coded
        )
        SELECT _user_key, since AS as_of, idle_day, code FROM compared WHERE idle_day > 0 AND code <> before
    """


def steps_sql(codes: str, idle_days: int) -> str:
    """SQL of the moving gaps, one row each: `_user_key, as_of, day_1, day_2, ...`: the new code, -1 for no change."""
    days = ", ".join(
        f"max(CASE WHEN idle_day = {day} THEN code ELSE -1 END) AS {column}" for day, column in _days(idle_days)
    )
    return f"SELECT _user_key, as_of, {days} FROM {codes} AS c GROUP BY _user_key, as_of"


def distinct_sql(steps: str, idle_days: int) -> str:
    """SQL of the different ways to move, numbered from 0: `path, day_1, day_2, ...`."""
    columns = ", ".join(column for _, column in _days(idle_days))
    return (
        f"SELECT CAST(row_number() OVER (ORDER BY {columns}) - 1 AS INTEGER) AS path, {columns}"
        f" FROM (SELECT DISTINCT {columns} FROM {steps}) AS d"
    )


def numbered_sql(steps: str, distinct: str, idle_days: int) -> str:
    """SQL of the moving gaps with the number of their way: `_user_key, as_of, path`."""
    same = " AND ".join(f"s.{column} = d.{column}" for _, column in _days(idle_days))
    return f"SELECT s._user_key, s.as_of, d.path FROM {steps} AS s JOIN {distinct} AS d ON {same}"


def _days(idle_days: int) -> Sequence[tuple[int, str]]:
    return [(day, f"day_{day}") for day in range(1, idle_days)]
