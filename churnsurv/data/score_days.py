"""A score that the user brings, looked up on the idle days of gaps inside the engine.

A row of the table is the score of a user as known at the end of a day. On a day without a row the last one before
holds. Scores and gaps are never joined: they stand in one timeline of each user, over which windows carry the gap and
the score along, so that the work grows with their sum.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.events import number
from churnsurv.data.gap_counts_sql import blocks_sql, day_gaps_sql
from churnsurv.data.ids import user_ids
from churnsurv.data.rule import calendar_day
from churnsurv.data.sources import MissingColumnsError, Source, open_source
from churnsurv.data.sql import literal
from churnsurv.data.users import dated
from churnsurv.errors import InputError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.engine import Engine
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Kinds, Reading

__all__ = ["ScoreDays", "score_days"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TABLE = "score"
_COLUMNS = ("user_id", "date", "score")
#: Why a row is left out, in the order in which it is asked.
_LEFT_OUT = ("missing_user_id", "unknown_user", "missing_date", "unparsable_date", "outside_log", "no_score")
_NO_NUMBER = "score_not_a_number"
_MADE = re.compile(r"churnsurv_\d+_\w+")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreDays:
    """Mature gaps with the days on which their score rises; made by `score_days`. Arrays are read-only.

    Attributes
    ----------
    block, duration : (n_gaps,) int64
        Random group of users; days to the return, idle_days + 1 where nobody returned within idle_days. In the order
        of users and days, as in ``log.gaps()``.
    registration_gap : (n_gaps,) bool
    start : (n_gaps,) int64
        First day of the gap, in days since 1970-01-01.
    gap, day : (n_records,) int64
        Of which gap, on which idle day (1 ... idle_days - 1, before the return); ordered by both.
    score : (n_records,) float64
        The score on that day.
    n_blocks : int
    first_start, last_start : date
        Days on which a gap could begin, from and to.
    rows : Mapping of str to int
        Rows of the table: `read`, `used`, and why others were left out: `unknown_user`, `outside_log`, `no_score`
        (null or NaN), `missing_user_id`, `missing_date`, `unparsable_date`; `repeated`, equal rows beyond the first.
    days : int
        Idle days from 1 on of all gaps, before return and churn: those on which an alert could come.
    days_carried, days_before : int
        Those of them that carry the score of an earlier day; those before a user's first score.
    longest_carry : int
        Days for which a score was carried at most.
    never : int
        Gaps with such days that have a score on none of them.
    """

    block: Ints
    duration: Ints
    registration_gap: NDArray[np.bool_]
    start: Ints
    gap: Ints
    day: Ints
    score: Floats
    n_blocks: int
    first_start: datetime.date
    last_start: datetime.date
    rows: Mapping[str, int]
    days: int
    days_carried: int
    days_before: int
    longest_carry: int
    never: int

    def __post_init__(self) -> None:
        arrays = (self.block, self.duration, self.registration_gap, self.start, self.gap, self.day, self.score)
        for array in arrays:
            array.setflags(write=False)
        object.__setattr__(self, "rows", MappingProxyType(dict(self.rows)))


def score_days(
    log: ActivityLog,
    table: object,
    *,
    blocks: int = 1000,
    rises: bool = True,
    starts: Literal["mature", "all"] = "mature",
    first_start: datetime.date | str | None = None,
    last_start: datetime.date | str | None = None,
) -> ScoreDays:
    """Look a score up on the idle days of mature gaps.

    Parameters
    ----------
    log : ActivityLog
    table : table
        `user_id, date, score`: what was known at the end of the date. A data frame, an Arrow table, the path of Parquet
        or CSV files, or a relation of the log's engine.
    blocks : int
        Random groups of users; with fewer users each is a group of its own.
    rises : bool
        Only days on which the score is higher than on all idle days before: those on which a first alert can come.
        Otherwise every day with a row of its own, and idle day 1.
    starts : {"mature", "all"}
        Gaps that began at least idle_days before the end of the log, or all. Of the others it is not known who returns:
        who had not by the end of the log counts as silent.
    first_start, last_start : date or ISO text, optional
        Only gaps that began on these days, from and to.

    Returns
    -------
    ScoreDays

    Raises
    ------
    SchemaError
        If a column is missing or has the wrong type.
    InputError
        If a score is infinite or no number, a user has two scores on one date, no row can be used, or the log is too
        short.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    >>> events = pd.DataFrame({"user_id": "a", "event_at": ["2024-01-05", "2024-03-20"], "kind": "login"})
    >>> days = ["2024-01-03", "2024-01-20", "2024-01-25", "2024-02-01"]
    >>> score = pd.DataFrame({"user_id": "a", "date": days, "score": [0.2, 0.5, 0.4, 0.7]})
    >>> found = score_days(ActivityLog(events, users, observed_until="2024-05-01"), score)
    >>> found.duration.tolist(), found.gap.tolist(), found.day.tolist(), found.score.tolist()
    ([4, 31, 31], [0, 1, 1, 1, 2], [2, 1, 15, 27, 1], [0.2, 0.2, 0.5, 0.7, 0.7])
    """
    reading, rule = log._reading, log.rule
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    reading.require_activity(kinds)
    window = _window(reading, rule.idle_days if starts == "mature" else 1, first_start, last_start)
    engine, n_blocks = reading.engine, min(blocks, reading.n_users)
    with _scored(reading, table) as (scores, rows):
        gaps = engine.table("score_gaps", _gaps_sql(reading, kinds, rule.idle_days))
        try:
            timeline = engine.table("score_timeline", _timeline_sql(scores, gaps, window))
            try:
                told = engine.rows(_told_sql(timeline))[0]
                users = blocks_sql(reading.users, blocks=n_blocks, n_users=reading.n_users)
                found = engine.arrow(_records_sql(timeline, gaps, users, window, rule.idle_days, rises=rises))
            finally:
                engine.drop(timeline)
        finally:
            engine.drop(gaps)
    return _days(found, n_blocks, window, rows, tuple(int(each or 0) for each in told))


def _days(
    found: pa.Table,
    n_blocks: int,
    window: tuple[datetime.date, datetime.date],
    rows: Mapping[str, int],
    told: tuple[int, ...],
) -> ScoreDays:
    """Take rows of gaps and records apart: the first row of a gap begins it, one without a day has no record."""
    first = found["first"].to_numpy().astype(np.bool_)
    gap = np.cumsum(first) - 1
    there = found["day"].is_valid().to_numpy(zero_copy_only=False)
    return ScoreDays(
        found["block"].to_numpy().astype(np.int64)[first],
        found["duration"].to_numpy().astype(np.int64)[first],
        found["registration_gap"].to_numpy().astype(np.bool_)[first],
        found["start"].to_numpy().astype(np.int64)[first],
        gap[there].astype(np.int64),
        found["day"].drop_null().to_numpy().astype(np.int64),
        found["score"].drop_null().to_numpy().astype(np.float64),
        n_blocks,
        *window,
        rows,
        *told,
    )


def _window(
    reading: Reading, idle_days: int, first: datetime.date | str | None, last: datetime.date | str | None
) -> tuple[datetime.date, datetime.date]:
    """The first and the last day on which a gap may begin."""
    earliest, latest = reading.window.first, reading.window.last - datetime.timedelta(days=idle_days)
    since = earliest if first is None else calendar_day(first, "first_start")
    to = latest if last is None else calendar_day(last, "last_start")
    if not earliest <= since <= to <= latest:
        raise InputError(
            f"The log covers {earliest} to {reading.window.last}: gaps that begin from {since} to {to} are not all "
            f"in it and followed for {idle_days} days. Take a longer log, or other days."
        )
    return since, to


# -------------------------------------------------------------------------------------------------- the table as given


@contextmanager
def _scored(reading: Reading, table: object, *, later: bool = False) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Table `_user_key, day, score` of the rows that can be used, one a user and day; and how the rows divide.

    With `later` all of them may be of days after the log, as on a day before the first score, and users who register
    after it are known.
    """
    if table is None:
        raise InputError("score: no table was given.")
    engine = reading.engine
    try:
        source = open_source(engine, _TABLE, table, {}, _COLUMNS)
    except MissingColumnsError as error:
        raise SchemaError(f"{str(error).partition(' Map names')[0]} Rename its columns.") from error
    read = engine.statement(source.view).rpartition(" FROM ")[2]
    made = [source.view, *([read] if _MADE.fullmatch(read) else [])]
    try:
        users = reading.known_users if later else reading.users
        judged = engine.view("score_judged", _judged_sql(reading, source, users))
        made.insert(0, judged)
        by_reason: dict[str | None, int] = dict(engine.rows(f"SELECT _reason, count(*) FROM {judged} GROUP BY _reason"))
        _check_reasons(reading, judged, by_reason, empty=later and by_reason.get("outside_log", 0) > 0)
        scores = engine.table(
            "score_rows",
            "SELECT _user_key, _day AS day, min(score) AS score, max(score) AS highest, count(*) AS n"
            f" FROM {judged} WHERE _reason IS NULL GROUP BY _user_key, _day",
        )
        made.insert(0, scores)
        _check_single(engine, judged, scores)
        used = int(engine.rows(f"SELECT count(*) FROM {scores}")[0][0])
        fine = by_reason.pop(None, 0)
        rows = {"read": fine + sum(by_reason.values()), "used": used, "repeated": fine - used}
        yield scores, rows | {reason: by_reason.get(reason, 0) for reason in _LEFT_OUT}
    finally:
        for each in made:
            engine.drop(each)


def _judged_sql(reading: Reading, source: Source, known: str) -> str:
    """SQL of the rows with their user's key and the reason why a row is left out (null: it is not)."""
    users = Source("users", known, {"user_id": reading.engine.describe(known)["user_id"]})
    ids = user_ids(reading.engine, {"users": users, _TABLE: source})
    rows, day = dated(source, reading.clock, ids[_TABLE])
    score = number(source, "score")
    first, last = literal(reading.window.first), literal(reading.window.last)
    reasons = (
        "WHEN s.user_id IS NULL THEN 'missing_user_id' WHEN u.user_id IS NULL THEN 'unknown_user'"
        " WHEN s._at IS NULL THEN 'missing_date' WHEN s._day IS NULL THEN 'unparsable_date'"
        f" WHEN s._day < {first} OR s._day > {last} THEN 'outside_log' WHEN s._bad THEN '{_NO_NUMBER}'"
        " WHEN s.given IS NULL THEN 'no_score'"
    )
    return (
        "SELECT u._user_key, u.user_id, s._day, CAST(s.given AS DOUBLE) AS score, s.shown,"
        f" CASE {reasons} END AS _reason"
        f" FROM (SELECT _user_id AS user_id, _at, {day} AS _day, {score.value} AS given, {score.bad} AS _bad,"
        f' CAST("score" AS VARCHAR) AS shown FROM {rows}) AS s'
        f" LEFT JOIN (SELECT _user_key, {ids['users']} AS user_id FROM {known}) AS u ON s.user_id = u.user_id"
    )


def _check_reasons(reading: Reading, judged: str, by_reason: Mapping[str | None, int], *, empty: bool) -> None:
    if bad := by_reason.get(_NO_NUMBER):
        example = reading.engine.rows(f"SELECT min(shown) FROM {judged} WHERE _reason = '{_NO_NUMBER}'")[0][0]
        raise InputError(
            f"score: {bad:,} values are infinite or no numbers, such as {example!r}. A score is a finite number; "
            "leave it empty where there is none."
        )
    if not by_reason.get(None) and not empty:
        listed = ", ".join(f"{n:,} {str(reason).replace('_', ' ')}" for reason, n in sorted(by_reason.items(), key=str))
        raise InputError(
            f"score: no row can be used ({listed}). The table has the ids of the log's users, and dates from "
            f"{reading.window.first} to {reading.window.last}."
        )


def _check_single(engine: Engine, judged: str, scores: str) -> None:
    twice = engine.rows(f"SELECT count(*), min(_user_key) FROM {scores} WHERE score <> highest")[0]
    if not twice[0]:
        return
    key = literal(twice[1])
    user, day, low, high = engine.rows(
        f"SELECT j.user_id, s.day, s.score, s.highest FROM {scores} AS s"
        f" JOIN {judged} AS j ON j._user_key = s._user_key"
        f" WHERE s.score <> s.highest AND s._user_key = {key} ORDER BY s.day LIMIT 1"
    )[0]
    raise InputError(
        f"score: {twice[0]:,} users and dates have several scores, such as user {user!r} on {day}: {low:.12g} and "
        f"{high:.12g}. Keep the one that was known at the end of the day."
    )


# ------------------------------------------------------------------------------------------------------- the timeline


def _gaps_sql(reading: Reading, kinds: Kinds, idle_days: int) -> str:
    """SQL of all gaps: `_user_key, as_of, next_day`, and `until`, the day of the return or of churn."""
    gaps = day_gaps_sql(reading.judged("events"), reading.users, kinds, reading.window)
    churn = f"as_of + {idle_days}"
    until = f"CASE WHEN next_day < {churn} THEN next_day ELSE {churn} END"
    return f"SELECT _user_key, as_of, next_day, {until} AS until FROM ({gaps}) AS g"


def _timeline_sql(scores: str, gaps: str, window: tuple[datetime.date, datetime.date]) -> str:
    """SQL of idle day 1 of each gap and its later days with a row: `_user_key, since, until, day, score, scored`.

    `score` is the last one known on that day, `scored` its own day; both null before a user's first score.
    """
    none = "CAST(NULL AS DATE)"
    # On one day: activity, then the score at its end, then what is asked.
    order = "PARTITION BY _user_key ORDER BY day, step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    held = ", ".join(
        f"last_value({column} IGNORE NULLS) OVER ({order}) AS {column}"
        for column in ("since", "until", "score", "scored")
    )
    return f"""
        WITH timeline AS (
            SELECT _user_key, as_of AS day, 0 AS step, as_of AS since, until, CAST(NULL AS DOUBLE) AS score,
                   {none} AS scored
            FROM {gaps} AS g
            UNION ALL
            SELECT _user_key, day, 1 AS step, {none} AS since, {none} AS until, score, day AS scored FROM {scores} AS s
            UNION ALL
            SELECT _user_key, as_of + 1 AS day, 2 AS step, {none} AS since, {none} AS until,
                   CAST(NULL AS DOUBLE) AS score, {none} AS scored
            FROM {gaps} AS g WHERE until > as_of + 1
        ),
        held AS (SELECT _user_key, day, step, {held} FROM timeline)
        SELECT _user_key, since, until, day, score, scored FROM held
        WHERE since BETWEEN {literal(window[0])} AND {literal(window[1])} AND day < until
        AND (step = 2 OR (step = 1 AND day > since + 1))
    """


def _told_sql(timeline: str) -> str:
    """SQL of one row: idle days, those with a score carried, those before the first, the longest carry, gaps without.

    Each row of the timeline stands for the days to the next one of its gap.
    """
    days = "date_diff('day', day, coalesce(next, until))"
    carried = f"{days} - CASE WHEN scored = day THEN 1 ELSE 0 END"
    return f"""
        WITH in_order AS (
            SELECT _user_key, since, until, day, scored,
                   lead(day) OVER (PARTITION BY _user_key, since ORDER BY day) AS next
            FROM {timeline} AS t
        )
        SELECT CAST(sum(days) AS BIGINT), CAST(sum(carried) AS BIGINT), CAST(sum(before) AS BIGINT), max(age),
               CAST(sum(CASE WHEN before = days THEN 1 ELSE 0 END) AS BIGINT)
        FROM (
            SELECT _user_key, since, sum({days}) AS days,
                   sum(CASE WHEN scored IS NULL THEN 0 ELSE {carried} END) AS carried,
                   sum(CASE WHEN scored IS NULL THEN {days} ELSE 0 END) AS before,
                   max(date_diff('day', scored, coalesce(next, until)) - 1) AS age
            FROM in_order GROUP BY _user_key, since
        ) AS gaps
    """


def _records_sql(
    timeline: str,
    gaps: str,
    users: str,
    window: tuple[datetime.date, datetime.date],
    idle_days: int,
    *,
    rises: bool,
) -> str:
    """SQL of the gaps with their records, one row each; a gap without one has a row without day and score."""
    before = "PARTITION BY _user_key, since ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    returned = f"g.next_day <= g.as_of + {idle_days}"
    days = f"CASE WHEN {returned} THEN date_diff('day', g.as_of, g.next_day) ELSE {idle_days + 1} END"
    higher = " WHERE highest IS NULL OR score > highest" if rises else ""
    return f"""
        WITH known AS (
            SELECT _user_key, since, date_diff('day', since, day) AS day, score, max(score) OVER ({before}) AS highest
            FROM {timeline} AS t WHERE score IS NOT NULL
        )
        SELECT u.block, g.as_of = u.registered_at AS registration_gap, CAST({days} AS INTEGER) AS duration,
               date_diff('day', DATE '1970-01-01', g.as_of) AS start,
               CAST(r.day AS INTEGER) AS day, r.score, r.highest IS NULL AS first
        FROM {gaps} AS g JOIN ({users}) AS u ON g._user_key = u._user_key
        LEFT JOIN (SELECT * FROM known{higher}) AS r ON r._user_key = g._user_key AND r.since = g.as_of
        WHERE g.as_of BETWEEN {literal(window[0])} AND {literal(window[1])}
        ORDER BY g._user_key, g.as_of, r.day
    """
