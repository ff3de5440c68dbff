"""The stages of a life as SQL: which stage a user is in on each day, and how each stage ends.

At the end of a day a user is in one state: a stage while a spell is alive, churned from the day of churn to the day
before the return. The stage is cut from everything up to the end of that very day, without lag: this describes lives,
and is no covariate of a model of churn.
"""

from __future__ import annotations

from collections.abc import Sequence

from churnsurv.data.sql import literal

__all__ = [
    "CHURNED",
    "NO_STAGE",
    "REGISTERED",
    "last_stages_sql",
    "stage_days_sql",
    "stage_episodes_sql",
    "stage_path_sql",
    "transitions_sql",
]

#: What a user comes from before the first stage, and what follows formal churn.
REGISTERED, CHURNED = "(registered)", "(churned)"
#: Where the feature that is cut into stages is null or below the first one.
NO_STAGE = "(none)"


def stage_days_sql(spells: str, changes: str) -> str:
    """SQL of the days on which a stage may begin: `_user_key, spell, as_of`.

    These are the first day of each spell and the days inside it that `changes` (distinct `_user_key, day`) names. What
    changes on the day of churn finds nobody: at its end the user has churned.
    """
    return f"""
        SELECT _user_key, spell, origin AS as_of FROM {spells} WHERE fate IS NULL
        UNION ALL
        SELECT c._user_key, s.spell, c.day AS as_of FROM {changes} AS c JOIN (
            SELECT _user_key, spell, origin, CASE WHEN churned THEN end_date - 1 ELSE end_date END AS last_alive
            FROM {spells} WHERE fate IS NULL
        ) AS s ON c._user_key = s._user_key AND s.origin < c.day AND c.day <= s.last_alive
    """


def stage_path_sql(days: str, answers: str) -> str:
    """SQL of the stages that users go through, one row each time a user enters one.

    A return enters the stage of the counts so far. Columns: `_user_key, spell, day, stage, from_stage, begins,
    next_day, next_stage`; the last two are of the same spell, and null for its last stage. `begins` is false where a
    return finds the stage that churn had left.
    """
    return f"""
        WITH answered AS (
            SELECT d._user_key, d.spell, d.as_of AS day, coalesce(a.stage, {literal(NO_STAGE)}) AS stage
            FROM {days} AS d JOIN ({answers}) AS a ON d._user_key = a._user_key AND d.as_of = a.as_of
        ),
        compared AS (
            SELECT _user_key, spell, day, stage,
                   lag(stage) OVER (PARTITION BY _user_key, spell ORDER BY day) AS stage_before,
                   lag(stage) OVER (PARTITION BY _user_key ORDER BY day) AS stage_in_life
            FROM answered
        ),
        entered AS (
            SELECT _user_key, spell, day, stage, stage IS DISTINCT FROM stage_in_life AS begins,
                   CASE WHEN stage_before IS NOT NULL THEN stage_before WHEN spell = 1 THEN {literal(REGISTERED)}
                       ELSE {literal(CHURNED)} END AS from_stage
            FROM compared WHERE stage IS DISTINCT FROM stage_before
        )
        SELECT _user_key, spell, day, stage, from_stage, begins, lead(day) OVER in_spell AS next_day,
               lead(stage) OVER in_spell AS next_stage
        FROM entered WINDOW in_spell AS (PARTITION BY _user_key, spell ORDER BY day)
    """


def transitions_sql(path: str, spells: str) -> str:
    """SQL of how often users go from one state to another: `from_stage, to_stage, transitions, users`."""
    return f"""
        SELECT from_stage, stage AS to_stage, count(*) AS transitions, count(DISTINCT _user_key) AS users
        FROM {path} AS entered GROUP BY from_stage, stage
        UNION ALL
        SELECT p.stage AS from_stage, {literal(CHURNED)} AS to_stage, count(*) AS transitions,
               count(DISTINCT p._user_key) AS users
        FROM {path} AS p JOIN {spells} AS s ON p._user_key = s._user_key AND p.spell = s.spell
        WHERE p.next_day IS NULL AND s.churned GROUP BY p.stage
    """


def last_stages_sql(path: str, spells: str, users: str, user_columns: Sequence[str]) -> str:
    """SQL of where each user is at the end of the log, in the layout of "user_stages"."""
    return f"""
        SELECT u.user_id, l.stage, l.since, CASE WHEN s.churned THEN 'churned' ELSE 'living' END AS status, l.spell,
               {", ".join(user_columns)}
        FROM (
            SELECT _user_key, spell, stage, row_number() OVER (PARTITION BY _user_key ORDER BY day DESC) AS recency,
                   max(CASE WHEN begins THEN day END) OVER (PARTITION BY _user_key) AS since
            FROM {path} AS entered
        ) AS l
        JOIN {spells} AS s ON l._user_key = s._user_key AND l.spell = s.spell
        JOIN {users} AS u ON l._user_key = u._user_key
        WHERE l.recency = 1
    """


def stage_episodes_sql(path: str, spells: str, users: str) -> str:
    """SQL of the time that users spend in each stage, in the layout of "stage_episodes"."""
    return f"""
        SELECT u.user_id, p.spell, p.stage, p.day AS origin, CAST(0 AS INTEGER) AS entry,
               CAST(date_diff('day', p.day, coalesce(p.next_day, s.end_date)) AS INTEGER) AS duration,
               p.next_day IS NOT NULL OR s.churned AS ended,
               CASE WHEN p.next_day IS NOT NULL THEN 'moved' WHEN s.churned THEN 'churned' END AS ended_by, p.next_stage
        FROM {path} AS p
        JOIN {spells} AS s ON p._user_key = s._user_key AND p.spell = s.spell
        JOIN {users} AS u ON p._user_key = u._user_key
    """
