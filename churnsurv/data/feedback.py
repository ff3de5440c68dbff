"""Why users left, as far as they said so: answers joined to the spells that they are about, and spells to be explained.

Whether a churn has an answer is known only when the days in which one counts are over. So churns of the last `within`
days of the log are not asked about: spells are followed to the day `within` days before the end, answers to the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from churnsurv.data.arrow import tidy
from churnsurv.data.build import LEFT_OUT, Choice, category_orders, made_spells, refuse_collisions, user_columns
from churnsurv.data.feature import Feature, resolve
from churnsurv.data.features_sql import answers_sql, default_features
from churnsurv.data.feedback_sql import Answers, about_spells_sql, answers_of, count_feedback
from churnsurv.data.ids import user_ids
from churnsurv.data.sources import NEEDED, open_source
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading

__all__ = ["AskedChurns", "asked_churns", "judged_feedback"]

#: Columns of the spells beside those of schema "spells".
_OURS = ("reason", "tenure", "place")


@dataclass(frozen=True, slots=True, eq=False)
class AskedChurns:
    """Spells followed to a day, and every usable answer.

    Attributes
    ----------
    spells : pyarrow.Table
        One row a spell in the order of user and spell: `place` (0, 1, ...), `user_id, spell, origin, entry, duration,
        churned, last_activity, end_date, tenure` (days from registration to the last activity), attributes of the user,
        and the features as of the day of churn (null where the spell is censored).
    answers : pyarrow.Table
        One row an answer, by user and time: `user_id, answered_on, moment` (midnight where only the day is known),
        `code, route, spell, place` (of its spell; null where it is about none of them) and `status`: "counts", or why
        it is kept apart: "not_churned", "too_late" (more than `within` days after the churn), "window_open" (of a churn
        after `until`), "left_out" (of a spell left out). Equal rows (user, time, code and route) are one answer.
    counts : Mapping of str to int
        Of the feedback (`equal_feedback`: rows that are equal to another), and of spells left out by reason.
    until : date
        The last day that spells are followed to.
    features : tuple of str
        What was taken as of the day of churn.
    """

    spells: pa.Table
    answers: pa.Table
    counts: Mapping[str, int]
    until: date
    features: tuple[str, ...]


def judged_feedback(reading: Reading, given: object = None) -> Answers:
    """Judge each answer: of the table given, else of the log's own.

    Returns
    -------
    Answers
        Of the view `_user_key, user_id, _at, _day, _reason, reason, ...`. Days outside the window carry no verdict:
        what the window is can change.

    Raises
    ------
    InputError
        If neither is there.
    SchemaError
        If a column is missing, or ids cannot be those of the users.
    """
    from churnsurv.data.events import judge

    if given is None:
        if "feedback" not in reading.sources:
            raise InputError(
                "The log has no feedback: give feedback= a table user_id, date, reason, or make the log with it: "
                "ActivityLog(..., feedback=table)."
            )
        return answers_of(reading.judged("feedback"), reading.sources["feedback"], reading.clock)
    engine = reading.engine
    source = open_source(engine, "feedback", given, {}, NEEDED["feedback"])
    ids = user_ids(engine, {"users": reading.sources["users"], "feedback": source})
    # Ids of the users were made without regard to this table: bring both to what the two have in common.
    known = f"(SELECT _user_key, registered_at, {ids['users']} AS user_id FROM {reading.known_users})"
    return answers_of(judge(engine, source, ids["feedback"], reading.clock, known), source, reading.clock)


def asked_churns(
    log: ActivityLog,
    *,
    feedback: object = None,
    within: int,
    spells: str = "first",
    features: Sequence[str | Feature] | None = None,
) -> AskedChurns:
    """Fetch spells, and the answers with the spells that they are about.

    Parameters
    ----------
    log : ActivityLog
    feedback : table, optional
        `user_id, date, reason` and perhaps `route`; the log's own by default.
    within : int
        Days after the churn in which an answer counts; those from the day of the last activity to the churn always do.
    spells : {"first", "all"}
    features : sequence of str or Feature, optional
        Taken as of the day of churn; of stage and n_investments those that the tables can answer by default.

    Raises
    ------
    InputError
        If the log is too short, there is no feedback, or a feature has the name of a column.
    SchemaError
        If an attribute of the users has the name of a column of ours: how to map it.
    """
    reading = log._reading
    window = reading.window
    until = window.last - timedelta(days=within)
    if until <= window.first:
        raise InputError(
            f"The log covers {window.first} to {window.last}: no churn has had {within} days for an answer. Take a "
            "longer log, or a smaller within=."
        )
    asked = _features(log, features)
    names = tuple(each if isinstance(each, str) else each.name for each in asked)
    _refuse_taken(reading, names)
    choice = Choice(spells, "exclude", None, (), log.stages, at_risk=True)
    given = judged_feedback(reading, feedback)
    with made_spells(reading, log.rule, choice) as made:
        counts = dict(count_feedback(reading.engine, given.view, window))
        followed = reading.engine.table("followed", _followed_sql(made.table, until))
        try:
            found = _spells(log, followed, asked)
            about = about_spells_sql(given, made.table, window)
            answers = _answers(reading, about, followed, until, within)
        finally:
            reading.engine.drop(followed)
        counts["equal_feedback"] = sum(answers["n_rows"].to_pylist()) - answers.num_rows
        counts |= {reason: made.counts[reason] for reason in LEFT_OUT}
        counts["began_later"] = made.kept.rows - found.num_rows
    orders = category_orders(reading, ("stage",), log.stages)
    answers = tidy(answers.drop_columns(["n_rows"]), {}, keep=("user_id", "code", "route", "status"))
    return AskedChurns(tidy(found, orders, keep=("user_id",)), answers, counts, until, names)


def _features(log: ActivityLog, features: Sequence[str | Feature] | None) -> tuple[str | Feature, ...]:
    if features is not None:
        return resolve(features)
    default = default_features(log._reading, log.stages)
    there = {each if isinstance(each, str) else each.name: each for each in default}
    taken = {each.lower() for each in log._reading.users_read.attributes}
    return tuple(there[each] for each in ("stage", "n_investments") if each in there and each not in taken)


def _refuse_taken(reading: Reading, features: Sequence[str]) -> None:
    for column in reading.users_read.attributes:
        if column.lower() in _OURS:
            raise SchemaError(
                f"users: {column!r} would collide with a column of the churns to be explained. Rename it, or map it: "
                f"columns={{'users': {{'user_{column}': {column!r}}}}}."
            )
    refuse_collisions(reading, "spells", features)
    for feature in features:
        if feature.lower() in _OURS:
            raise InputError(f"A feature cannot be called {feature!r}: the churns have such a column already.")


def _followed_sql(spells: str, until: date) -> str:
    """SQL of the spells asked for as they stood at the end of a day, numbered by user and spell."""
    last = literal(until)
    return f"""
        SELECT CAST(row_number() OVER (ORDER BY _user_key, spell) - 1 AS INTEGER) AS place, _user_key, spell, origin,
               entry, CAST(date_diff('day', origin, least(end_date, {last})) AS INTEGER) AS duration,
               churned AND end_date <= {last} AS churned, least(last_activity, {last}) AS last_activity,
               least(end_date, {last}) AS end_date
        FROM {spells} WHERE fate IS NULL AND date_diff('day', origin, least(end_date, {last})) > entry
    """


def _spells(log: ActivityLog, followed: str, asked: Sequence[str | Feature]) -> pa.Table:
    reading = log._reading
    columns, join = user_columns(reading), ""
    if asked:
        questions = f"(SELECT DISTINCT _user_key, end_date AS as_of FROM {followed} WHERE churned)"
        answers = answers_sql(reading, log.rule, asked, log.stages, questions)
        columns += [f"a.{name(each if isinstance(each, str) else each.name)}" for each in asked]
        join = f" LEFT JOIN ({answers}) AS a ON s.churned AND a._user_key = s._user_key AND a.as_of = s.end_date"
    return reading.engine.arrow(
        "SELECT s.place, u.user_id, s.spell, s.origin, CAST(s.entry AS INTEGER) AS entry, s.duration, s.churned,"
        " s.last_activity, s.end_date, CAST(date_diff('day', u.registered_at, s.last_activity) AS INTEGER) AS tenure,"
        f" {', '.join(columns)} FROM {followed} AS s JOIN {reading.users} AS u ON s._user_key = u._user_key{join}"
        " ORDER BY s.place"
    )


def _answers(reading: Reading, about: str, followed: str, until: date, within: int) -> pa.Table:
    last = literal(until)
    # every name says whose it is: users may have attributes of any name
    return reading.engine.arrow(f"""
        SELECT u.user_id, a.answered_on, a.moment, a.code, a.route, a.n_rows, a.spell,
               CASE WHEN a.status = 'counts' THEN s.place END AS place, a.status
        FROM (
            SELECT about.*, CASE
                WHEN about.churned IS NOT TRUE THEN 'not_churned'
                WHEN about.answered_on > about.end_date + {within} THEN 'too_late'
                WHEN about.fate IS NOT NULL THEN 'left_out'
                WHEN about.end_date > {last} THEN 'window_open'
                ELSE 'counts' END AS status
            FROM ({about}) AS about
        ) AS a
        JOIN (SELECT _user_key, user_id FROM {reading.known_users}) AS u ON a._user_key = u._user_key
        LEFT JOIN {followed} AS s ON a._user_key = s._user_key AND a.spell = s.spell
        ORDER BY a._user_key, a.answered_on, a.moment, a.code, a.route
    """)
