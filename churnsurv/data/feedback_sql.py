"""Feedback as SQL: which answers can be used, which lie outside the log, and which spell an answer is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churnsurv.data.sql import literal

if TYPE_CHECKING:
    from churnsurv.data.engine import Engine
    from churnsurv.data.spells_sql import Window

__all__ = ["about_spells_sql", "count_feedback", "feedback_rejects_sql"]

OUTSIDE = "outside_window"


def _verdict(window: Window) -> str:
    """SQL of why an answer can't be used in a window; null: it can."""
    inside = f"_day BETWEEN {literal(window.first)} AND {literal(window.last)}"
    return f"CASE WHEN _reason IS NOT NULL THEN _reason WHEN NOT ({inside}) THEN '{OUTSIDE}' END"


def count_feedback(engine: Engine, judged: str, window: Window) -> dict[str, int]:
    """Count answers: `feedback_read`, `feedback` (accepted), `feedback_rejected`."""
    rows = dict(engine.rows(f"SELECT {_verdict(window)} IS NULL AS fine, count(*) FROM {judged} GROUP BY fine"))
    fine, bad = int(rows.get(True, 0)), int(rows.get(False, 0))
    return {"feedback_read": fine + bad, "feedback": fine, "feedback_rejected": bad}


def feedback_rejects_sql(judged: str, window: Window) -> str:
    """SQL of the answers that can't be used (of a judged view with positions) in the layout of the rejects.

    Days outside the log are a reason: such an answer cannot be joined to a spell, and what becomes known later than the
    last day of the log changes nothing.
    """
    return (
        "SELECT 'feedback' AS \"table\", _row AS row, CAST(user_id AS VARCHAR) AS user_id, verdict AS reason,"
        " CASE WHEN verdict = 'unknown_user' THEN CAST(user_id AS VARCHAR)"
        f" WHEN verdict IN ('unparsable_date', '{OUTSIDE}') THEN CAST(_at AS VARCHAR) END AS value"
        f" FROM (SELECT *, {_verdict(window)} AS verdict FROM {judged}) AS judged WHERE verdict IS NOT NULL"
    )


def about_spells_sql(judged: str, spells: str, window: Window, *, route: bool) -> str:
    """SQL of every usable answer with the spell that it is about.

    That is the spell with the last activity before the day of the answer, unless the user has returned on an earlier
    day than the answer; null where the user was active on the day of the answer or later in the same spell.

    Columns: `_user_key, answered_on, code, route, spell, churned, end_date, fate`.
    """
    given = "route" if route else "CAST(NULL AS VARCHAR)"
    return f"""
        SELECT f._user_key, f.answered_on, f.code, f.route, s.spell, s.churned, s.end_date, s.fate
        FROM (
            SELECT _user_key, _day AS answered_on, reason AS code, {given} AS route
            FROM {judged} WHERE {_verdict(window)} IS NULL
        ) AS f
        LEFT JOIN {spells} AS s ON f._user_key = s._user_key AND s.last_activity < f.answered_on
            AND (s.next_day IS NULL OR f.answered_on <= s.next_day)
    """
