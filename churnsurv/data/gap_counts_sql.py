"""Gaps counted inside the engine, as SQL: one row for all gaps that are equal in what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churnsurv.data.events import is_activity
from churnsurv.data.features_sql import answers_sql, changes_sql
from churnsurv.data.sql import literal, name

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data.feature import Feature
    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.rule import ChurnRule, Stages
    from churnsurv.data.spells_sql import Window

__all__ = ["DAYS", "STATE", "Asked", "balance_moves_sql", "blocks_sql", "counts_sql", "day_gaps_sql", "user_column"]

#: What a gap knows of its user's activity; all but the tenure are columns of `gaps_sql.active_gaps_sql` alone.
STATE: Mapping[str, str] = {
    "tenure": "date_diff('day', u.registered_at, g.as_of)",
    "active_days": "g.active_days",
    "mean_interval": "g.mean_interval",
    "last_interval": "g.last_interval",
}
#: Stands for a day where a number of months is asked for.
DAYS = -1
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """What gaps are split by.

    Attributes
    ----------
    first, limit : date
        The first and the last day on which a gap may begin.
    cells : tuple of (str, tuple of float)
        SQL of each variable that is cut, and where.
    by : tuple of str
        SQL of each variable whose values are told apart.
    months : int
        Months of a period; 0: none; `DAYS`: a period is a day.
    """

    first: date
    limit: date
    cells: tuple[tuple[str, tuple[float, ...]], ...]
    by: tuple[str, ...]
    months: int

    @property
    def columns(self) -> Mapping[str, str]:
        """SQL of each column of the answer that gaps are split by."""
        cells = {f"cell_{place}": _cell(value, cuts) for place, (value, cuts) in enumerate(self.cells)}
        by = {f"by_{place}": value for place, value in enumerate(self.by)}
        return cells | by | ({"month": _month(self.months)} if self.months else {})


def day_gaps_sql(judged: str, users: str, kinds: Kinds, window: Window, *, since: date | None = None) -> str:
    """SQL of the days on which gaps begin, and no more than that: `_user_key, as_of, next_day` (null for the last one).

    Gaps that begin before `since` are left out, with all that happened before it. The others are those of
    `gaps_sql.active_gaps_sql`. Equal days need no removal: of several rows of a day the last one has the next day
    behind it, and the others a gap of 0 days.
    """
    first, last = literal(max(window.first, since or window.first)), literal(window.last)
    return f"""
        WITH active AS (
            SELECT _user_key, _day AS day FROM {judged}
            WHERE _reason IS NULL AND _day BETWEEN {first} AND {last} AND {is_activity(kinds)}
            UNION ALL
            SELECT _user_key, registered_at AS day FROM {users} WHERE registered_at >= {first}
        ),
        in_order AS (
            SELECT _user_key, day, lead(day) OVER (PARTITION BY _user_key ORDER BY day) AS next_day FROM active
        )
        SELECT _user_key, day AS as_of, next_day FROM in_order WHERE next_day IS NULL OR next_day > day
    """


def blocks_sql(users: str, *, blocks: int, n_users: int) -> str:
    """SQL of the users with their block, 0 ... `blocks` - 1: `block` and all columns of the users.

    Blocks are random groups of users: by digits of the hash of the id, so that engines agree and later users change
    nothing. Where there are no more users than blocks, each is a block of its own.
    """
    if n_users <= blocks:
        return f"SELECT *, CAST(row_number() OVER (ORDER BY user_id) - 1 AS INTEGER) AS block FROM {users}"
    # Engines turn hexadecimal digits into numbers each in a way of their own; where a digit stands they agree on.
    digits = " + ".join(
        f"{16**place} * (strpos('0123456789abcdef', substr(_hash, {place + 1}, 1)) - 1)" for place in range(_DIGITS)
    )
    return (
        f"SELECT *, CAST(({digits}) % {blocks} AS INTEGER) AS block"
        f" FROM (SELECT *, md5(CAST(user_id AS VARCHAR)) AS _hash FROM {users}) AS hashed"
    )


def counts_sql(
    reading: Reading,
    rule: ChurnRule,
    stages: Stages,
    *,
    gaps: str,
    users: str,
    asked: Asked,
    features: Sequence[str | Feature],
    paths: str | None = None,
) -> str:
    """SQL of the counts, in total order.

    Parameters
    ----------
    gaps : str
        What can stand in FROM: `day_gaps_sql`, or `gaps_sql.active_gaps_sql` where the state of activity is asked for.
    users : str
        What can stand in FROM: `blocks_sql`.
    asked : Asked
    features : sequence of str or Feature
        Those that `asked` speaks of, as columns of `a`.
    paths : str, optional
        Table of the gaps that move in silence, see `gap_paths.Steps`: gaps are counted by `path`, too, -1 for no move.
    """
    last, idle = literal(reading.window.last), rule.idle_days
    inside = f"g.as_of BETWEEN {literal(asked.first)} AND {literal(asked.limit)}"
    joins = ""
    if features:
        questions = f"(SELECT g._user_key, g.as_of FROM {gaps} AS g WHERE {inside})"
        answers = answers_sql(reading, rule, features, stages, questions, until=asked.limit)
        joins = f" LEFT JOIN ({answers}) AS a ON a._user_key = g._user_key AND a.as_of = g.as_of"
    split = dict(asked.columns)
    if paths is not None:
        joins += f" LEFT JOIN {paths} AS p ON p._user_key = g._user_key AND p.as_of = g.as_of"
        split["path"] = "coalesce(p.path, -1)"
    days = f"date_diff('day', g.as_of, coalesce(g.next_day, {last}))"
    # Known to be silent through day `idle`: the return, if there was one, came after churn.
    churned = f"({days} > {idle} OR (g.next_day IS NULL AND {days} >= {idle}))"
    rows = (
        "SELECT u.block, g.as_of = u.registered_at AS registration_gap,"
        f" {''.join(f'{value} AS {column}, ' for column, value in split.items())}"
        f" CAST(CASE WHEN {churned} THEN {idle + 1} ELSE {days} END AS INTEGER) AS duration,"
        f" g.next_day IS NOT NULL AND NOT {churned} AS returned"
        f" FROM {gaps} AS g JOIN {users} AS u ON g._user_key = u._user_key{joins} WHERE {inside}"
    )
    columns = ", ".join(["block", "registration_gap", *split, "duration", "returned"])
    order = ", ".join(f"{column} NULLS LAST" for column in columns.split(", "))
    return f"SELECT {columns}, count(*) AS n FROM ({rows}) AS gaps GROUP BY {columns} ORDER BY {order}"


def balance_moves_sql(reading: Reading, rule: ChurnRule, stages: Stages, *, gaps: str, first: date, limit: date) -> str:
    """SQL of the number of gaps in whose idle days, before churn, the balance changes.

    A day on which a user is active begins a gap; what changes on it is known at its start.
    """
    changes = changes_sql(reading, ("balance",), stages)
    questions = f"(SELECT _user_key, day AS as_of FROM ({changes}) AS c WHERE day <= {literal(reading.window.last)})"
    answers = answers_sql(reading, rule, ("balance",), stages, questions)
    return f"""
        WITH known AS (
            SELECT _user_key, as_of, balance, lag(balance) OVER (PARTITION BY _user_key ORDER BY as_of) AS before
            FROM ({answers}) AS a
        ),
        timeline AS (
            SELECT _user_key, as_of AS day, as_of AS since, 0 AS moved FROM {gaps} AS g
            UNION ALL
            SELECT _user_key, as_of AS day, CAST(NULL AS DATE) AS since, 1 AS moved FROM known
            WHERE balance IS DISTINCT FROM before
        ),
        placed AS (
            SELECT _user_key, day, moved, last_value(since IGNORE NULLS) OVER (
                PARTITION BY _user_key ORDER BY day, moved ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS since FROM timeline
        )
        SELECT count(*) FROM (
            SELECT DISTINCT _user_key, since FROM placed
            WHERE moved = 1 AND since < day AND day < since + {rule.idle_days}
            AND since BETWEEN {literal(first)} AND {literal(limit)}
        ) AS moving
    """


def user_column(column: str) -> str:
    """SQL of an attribute of the users, or of their `cohort`."""
    return "strftime(u.registered_at, '%Y-%m')" if column == "cohort" else f"u.{name(column)}"


def _cell(value: str, cuts: tuple[float, ...]) -> str:
    """SQL of how many cuts a value has reached; one more than there are for a missing value."""
    steps = " ".join(f"WHEN {value} < {literal(cut)} THEN {place}" for place, cut in enumerate(cuts))
    return f"CASE WHEN {value} IS NULL THEN {len(cuts) + 1} {steps} ELSE {len(cuts)} END"


def _month(months: int) -> str:
    """SQL of the first month of a period, counted from the year 0; or of the day, counted from 1970."""
    if months == DAYS:
        return "CAST(date_diff('day', DATE '1970-01-01', g.as_of) AS INTEGER)"
    month = "(12 * year(g.as_of) + month(g.as_of) - 1)"
    return f"CAST({month} - {month} % {months} AS INTEGER)"
