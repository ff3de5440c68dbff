"""Layouts of the tables that come out of the logs."""

from __future__ import annotations

from churnsurv.tables.layout import layout

__all__ = ["LAYOUTS"]

_HABIT = (
    ("active_days", "integer", "days with activity so far in the log, that of registration included"),
    ("mean_interval", "number", "mean days from one active day to the next so far; null with fewer than two"),
    ("last_interval", "number", "days between the last two active days; null with fewer than two"),
    ("life_observed", "boolean", "false where the user registered before the log, so that all counts begin with it"),
)
_DAY = (
    ("user_id", "any", "the user, alive at the end of `date`"),
    ("date", "date", "the day at whose end everything is known that stands here, but the outcome"),
)
_STATE = (
    ("spell", "integer", "1 from registration, then one more for each return"),
    ("spell_day", "integer", "days since the origin of the spell"),
    ("tenure", "integer", "days since registration"),
    ("idle_days", "integer", "days since the last activity"),
    *_HABIT,
)

LAYOUTS = (
    layout(
        "spells",
        ("user_id", "any", "the user"),
        ("spell", "integer", "1 from registration, then one more for each return"),
        ("origin", "date", "day of registration or return: day 0 of the spell"),
        ("origin_known", "boolean", "false where the log may have missed an earlier churn"),
        (
            "entry",
            "integer",
            "days after origin at which the user came under observation; at risk after it",
        ),
        ("duration", "integer", "days from origin to churn or to the end of the log"),
        ("churned", "boolean", "true where the spell ended in churn, false where it is censored"),
        ("last_activity", "date", "last active day of the spell"),
        ("end_date", "date", "the day of churn, or the last day of the log"),
        open=True,
    ),
    layout(
        "history",
        ("user_id", "any", "the user"),
        ("spell", "integer", "1 from registration, then one more for each return"),
        ("origin", "date", "day of registration or return: day 0 of the spell"),
        ("start", "integer", "days since origin; at risk after it, with features as of `lag` days before"),
        ("stop", "integer", "days since origin up to which the row is at risk"),
        ("churned", "boolean", "true where the spell ended in churn on `stop`; only on its last row"),
        open=True,
    ),
    layout("snapshot", *_DAY, *_STATE, open=True),
    layout(
        "panel",
        *_DAY,
        ("churned", "boolean", "true where the spell ends in churn within `horizon` days after `date`"),
        ("duration", "integer", "days from `date` to that churn; `horizon` where there is none"),
        *_STATE,
        open=True,
    ),
    layout(
        "gaps",
        ("user_id", "any", "the user"),
        ("gap", "integer", "1, 2, ... for each user"),
        ("start_date", "date", "the active day on which the gap begins"),
        ("entry", "integer", "0: a gap is under observation from its beginning"),
        ("duration", "integer", "days to the next active day, or to the end of the log"),
        ("returned", "boolean", "true where an active day ends the gap, false where the log does"),
        ("registration_gap", "boolean", "true where the gap begins on the day of registration"),
        ("spell", "integer", "number of the spell that `start_date` belongs to"),
        ("tenure", "integer", "days from registration to `start_date`"),
        *_HABIT,
        open=True,
    ),
    layout(
        "lifecycle",
        ("stage", "text", "lifecycle stage, in the order of the log's stages"),
        ("living", "integer", "users alive at the end of the day who are in the stage"),
        ("churned", "integer", "users who have churned by then and not returned, by the stage they left in"),
        ("users", "integer", "living and churned"),
    ),
    layout(
        "stage_transitions",
        ("from_stage", "text", "the state left: a stage, '(registered)' before any, '(churned)' before a return"),
        ("to_stage", "text", "the state entered: a stage, or '(churned)' on the day of formal churn"),
        ("transitions", "integer", "how often, up to the day"),
        ("users", "integer", "users who did so at least once"),
    ),
    layout(
        "user_stages",
        ("user_id", "any", "the user"),
        ("stage", "text", "stage at the end of the day; of the churned the one they left in"),
        ("since", "date", "day on which the stage began; days between churn and return do not end it"),
        ("status", "text", "living or churned at the end of the day"),
        ("spell", "integer", "number of the last spell"),
        open=True,
    ),
    layout(
        "stage_episodes",
        ("user_id", "any", "the user"),
        ("spell", "integer", "number of the spell"),
        ("stage", "text", "lifecycle stage"),
        ("origin", "date", "day at whose end the stage is first known; registration or return for the first one"),
        ("entry", "integer", "0: a stage is under observation from its beginning"),
        ("duration", "integer", "days from origin to churn, to the next stage, or to the end of the log"),
        ("ended", "boolean", "true where churn or another stage ended it, false where the log did"),
        ("ended_by", "text", "churned or moved; null where the log ended it"),
        ("next_stage", "text", "the stage moved to; else null"),
    ),
    layout(
        "rejects",
        ("table", "text", "the input table: events, users, balances or feedback"),
        (
            "row",
            "integer",
            "0-based position of the row in its source, where the source has one; else null",
        ),
        ("user_id", "text", "the user id as found"),
        ("reason", "text", "why the row cannot be used"),
        ("value", "text", "the value at fault, as found"),
    ),
    layout(
        "check",
        ("table", "text", "the input table"),
        ("problem", "text", "short name of the problem"),
        ("severity", "text", "error, warning or note"),
        ("n_rows", "integer", "rows concerned"),
        ("example", "text", "a first example"),
        ("advice", "text", "what to do"),
    ),
    layout(
        "story",
        ("date", "date", "calendar day"),
        ("spell", "integer", "number of the spell the day belongs to; null between spells"),
        ("day", "integer", "days since the origin of the spell; null between spells"),
        ("what", "text", "registered, active, entered, churned, returned, censored ..."),
        ("detail", "text", "in words"),
    ),
)
