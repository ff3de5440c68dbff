"""Feedback as SQL: which answers can be used, which lie outside the log, and which spell an answer is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from churnsurv.data.sql import literal

if TYPE_CHECKING:
    from churnsurv.data.clock import Clock
    from churnsurv.data.engine import Engine
    from churnsurv.data.sources import Source
    from churnsurv.data.spells_sql import Window

__all__ = ["ABOUT", "Answers", "about_spells_sql", "answers_of", "count_feedback", "feedback_rejects_sql"]

OUTSIDE = "outside_window"
#: Which spell `s` an answer of a day is about: see `about_spells_sql`.
ABOUT = (
    "s.last_activity <= {day} AND (s.next_day IS NULL OR {day} <= s.next_day)"
    " AND NOT (s.spell > 1 AND s.origin = {day})"
)


@dataclass(frozen=True, slots=True)
class Answers:
    """A view of judged answers, and SQL of what they hold.

    Attributes
    ----------
    view : str
    moment : str
        When they were given: a timestamp; midnight where only the day is known.
    code : str
        Text; whole numbers without decimals, whatever type they were read as.
    route : str
        Text, null where the table has none.
    """

    view: str
    moment: str
    code: str
    route: str


def answers_of(view: str, source: Source, clock: Clock) -> Answers:
    """Say how to read the answers of a judged view, by the types of the table that it is made from."""
    kind = source.columns["date"]
    read = clock.moment("_at", "VARCHAR" if kind.startswith("ENUM") else kind, "feedback: 'date'").columns
    parts = [f"CAST({sql} AS TIMESTAMP)" for sql in read.values()] or ["CAST(_at AS TIMESTAMP)"]
    code = "reason"
    if source.columns["reason"] in {"DOUBLE", "FLOAT"}:
        # codes that are whole numbers, read as floating-point ones because some are missing
        code = "CASE WHEN reason LIKE '%.0' THEN substr(reason, 1, length(reason) - 2) ELSE reason END"
    route = "route" if "route" in source.columns else "CAST(NULL AS VARCHAR)"
    return Answers(view, parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})", code, route)


def _verdict(window: Window) -> str:
    """SQL of why an answer can't be used in a window; null: it can."""
    inside = f"_day BETWEEN {literal(window.first)} AND {literal(window.last)}"
    return f"CASE WHEN _reason IS NOT NULL THEN _reason WHEN NOT ({inside}) THEN '{OUTSIDE}' END"


def count_feedback(engine: Engine, judged: str, window: Window) -> dict[str, int]:
    """Count answers: `feedback_read`, `feedback` (accepted), `feedback_rejected`."""
    # no aliases: the table may have columns of any name
    read, bad = engine.rows(f"SELECT count(*), count({_verdict(window)}) FROM {judged}")[0]
    return {"feedback_read": int(read), "feedback": int(read) - int(bad), "feedback_rejected": int(bad)}


def feedback_rejects_sql(judged: str, window: Window) -> str:
    """SQL of the answers that can't be used (of a judged view with positions) in the layout of the rejects.

    Days outside the log are a reason: such an answer cannot be joined to a spell, and what becomes known later than the
    last day of the log changes nothing.
    """
    return (
        "SELECT 'feedback' AS \"table\", _row AS row, CAST(user_id AS VARCHAR) AS user_id, verdict AS reason,"
        " CASE WHEN verdict = 'unknown_user' THEN CAST(user_id AS VARCHAR)"
        f" WHEN verdict IN ('unparsable_date', '{OUTSIDE}') THEN CAST(_at AS VARCHAR) END AS value"
        f" FROM (SELECT _row, user_id, _at, {_verdict(window)} AS verdict FROM {judged}) AS judged"
        " WHERE verdict IS NOT NULL"
    )


def about_spells_sql(answers: Answers, spells: str, window: Window) -> str:
    """SQL of every usable answer with the spell that it is about; rows given twice are one answer.

    That is the spell whose last activity is on the day of the answer or before it, unless the user has returned on an
    earlier day than the answer: what is said in the app on its last day tells why users leave, and what is said on the
    day of a return is about the time away (also where that day is the only one of the next spell). Null where the user
    was active later in the same spell.

    Columns: `_user_key, answered_on, moment, code, route, n_rows, spell, churned, end_date, fate`.
    """
    return f"""
        SELECT f._user_key, f.answered_on, f.moment, f.code, f.route, f.n_rows, s.spell, s.churned, s.end_date, s.fate
        FROM (
            SELECT _user_key, answered_on, moment, code, route, CAST(count(*) AS INTEGER) AS n_rows
            FROM (
                SELECT _user_key, _day AS answered_on, {answers.moment} AS moment, {answers.code} AS code,
                       {answers.route} AS route
                FROM {answers.view} WHERE {_verdict(window)} IS NULL
            ) AS given
            GROUP BY _user_key, answered_on, moment, code, route
        ) AS f
        LEFT JOIN {spells} AS s ON f._user_key = s._user_key AND {ABOUT.format(day="f.answered_on")}
    """
