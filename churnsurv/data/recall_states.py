"""The churned of a day: when they churned, what they answered, what they had done, and all churns before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.arrow import tidy
from churnsurv.data.build import Choice, category_orders, made_spells
from churnsurv.data.feature import Feature, resolve
from churnsurv.data.features_sql import answers_sql, default_features
from churnsurv.data.feedback import judged_feedback
from churnsurv.data.recall_sql import answers_of_churns_sql, churns_sql, known_feedback_sql, preferred_sql
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.engine import Engine
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading

__all__ = ["ChurnedStates", "churned_states"]

#: What is told of each churned user where the tables can answer it.
_TOLD = ("stage", "n_investments", "total_amount", "max_amount", "ever_boosted", "balance")
_KINDS = {"stage": "VARCHAR", "n_investments": "INTEGER", "ever_boosted": "INTEGER"}
_CHANNEL = "channel"


@dataclass(frozen=True, slots=True, eq=False)
class ChurnedStates:
    """The churned at the end of a day, and every churn up to it.

    Attributes
    ----------
    listed : pyarrow.Table
        One row a user in the churned state, in the order of users: `user_id, place, spell, last_activity, churned_on,
        answered_on, reason, channel, stage, ..., preferred_product`, and the features asked for.
    churns : pyarrow.Table
        Every churn up to the day, those before a return too: `spell, churned_on, returned, tenure` (days from
        registration to the last activity), `answered, reason, channel, stage`.
    counts : Mapping of str to int
        `not_seen`: users registered before the log and never seen in it, of whom nobody can say when they churned;
        `life_not_observed`: listed users registered before the log, whose counts begin with it; `feedback` and rows
        of it that are left out, by reason.
    absent : tuple of str
        Columns that the tables cannot answer.
    """

    listed: pa.Table
    churns: pa.Table
    counts: Mapping[str, int]
    absent: tuple[str, ...]


def churned_states(
    log: ActivityLog, *, as_of: date, feedback: object = None, features: Sequence[str | Feature] = ()
) -> ChurnedStates:
    """Fetch who is churned at the end of a day, as it was known then.

    Parameters
    ----------
    log : ActivityLog
    as_of : date
        A day of the log; nothing after it is read.
    feedback : table, optional
        `user_id, date, reason`; the log's own by default.
    features : sequence of str or Feature
        Further columns, as of the end of the day.

    Raises
    ------
    InputError
        If the log does not cover the day, or a feature has the name of a column.
    SchemaError
        If a table lacks a column.
    """
    log._reading.require_day(as_of)
    reading, rule, engine = log._reading.until(as_of), log.rule, log.engine
    asked = resolve(features) if features else ()
    _refuse_taken(asked)
    default = default_features(reading, log.stages)
    there = {each if isinstance(each, str) else each.name: each for each in default}
    told = tuple(there[each] for each in _TOLD if each in there)
    # Who is churned does not depend on whether the origin of the spell is known.
    choice = Choice("all", "assume_first_spell", None, (), log.stages)
    with made_spells(reading, rule, choice) as made, ExitStack() as tables:
        answers, counts = None, {}
        if feedback is not None or "feedback" in reading.sources:
            judged = tables.enter_context(_known_feedback(reading, feedback))
            counts = _feedback_counts(engine, judged)
            answers = answers_of_churns_sql(made.table, judged)
        churns = engine.table("churns", churns_sql(made.table, answers))
        tables.callback(engine.drop, churns)
        every = _every_churn(log, reading, churns, staged="stage" in there)
        listed = _listed(log, reading, churns, as_of, told, asked)
        counts |= _users_left_out(engine, reading, made.table, churns)
    absent = [each for each in _TOLD if each not in there]
    absent += [] if _has_channel(reading) else [_CHANNEL]
    absent += [] if "product" in reading.sources["events"].columns else ["preferred_product"]
    orders = category_orders(reading, ("stage",), log.stages)
    return ChurnedStates(
        tidy(listed, orders, keep=("user_id", "reason")), tidy(every, orders, keep=("reason",)), counts, tuple(absent)
    )


def _refuse_taken(asked: Sequence[str | Feature]) -> None:
    taken = {*schema("recall_list").names, "place", "spell", "last_activity", "answered_on"}
    for each in asked:
        feature = each if isinstance(each, str) else each.name
        if feature.lower() in taken:
            raise InputError(
                f"A feature cannot be called {feature!r}: the recall list has such a column already. Leave it out of "
                "features=, or give it another name."
            )


@contextmanager
def _known_feedback(reading: Reading, feedback: object) -> Iterator[str]:
    """Table of the answers that are known: of the table given, else of the log's own."""
    answers = judged_feedback(reading, feedback)
    known = reading.engine.table("feedback_known", known_feedback_sql(answers, reading.window.last))
    try:
        yield known
    finally:
        reading.engine.drop(known)


def _feedback_counts(engine: Engine, judged: str) -> dict[str, int]:
    rows = engine.rows(f"SELECT _reason, count(*) FROM {judged} GROUP BY _reason ORDER BY _reason")
    left = {f"feedback_{reason}": int(n) for reason, n in rows if reason is not None}
    return {"feedback": sum(int(n) for _, n in rows)} | left


def _has_channel(reading: Reading) -> bool:
    return _CHANNEL in reading.users_read.attributes


def _channel(reading: Reading) -> str:
    return f"CAST(u.{name(_CHANNEL)} AS VARCHAR)" if _has_channel(reading) else "CAST(NULL AS VARCHAR)"


def _every_churn(log: ActivityLog, reading: Reading, churns: str, *, staged: bool) -> pa.Table:
    """All churns with what answers are compared by; the stage is that of the day of churn."""
    stage, join = "CAST(NULL AS VARCHAR)", ""
    if staged:
        questions = f"(SELECT DISTINCT _user_key, churned_on AS as_of FROM {churns})"
        answers = answers_sql(reading, log.rule, ("stage",), log.stages, questions)
        stage = "a.stage"
        join = f" LEFT JOIN ({answers}) AS a ON a._user_key = c._user_key AND a.as_of = c.churned_on"
    return reading.engine.arrow(
        "SELECT c.spell, c.churned_on, c.returned,"
        " CAST(date_diff('day', u.registered_at, c.last_activity) AS INTEGER) AS tenure,"
        f" c.answered_on IS NOT NULL AS answered, c.reason, {_channel(reading)} AS channel, {stage} AS stage"
        f" FROM {churns} AS c JOIN {reading.users} AS u ON c._user_key = u._user_key{join}"
        " ORDER BY c._user_key, c.spell"
    )


def _listed(
    log: ActivityLog,
    reading: Reading,
    churns: str,
    as_of: date,
    told: Sequence[str | Feature],
    asked: Sequence[str | Feature],
) -> pa.Table:
    names = [each if isinstance(each, str) else each.name for each in (*told, *asked)]
    columns = [f"a.{name(each)}" for each in names]
    missing = [each for each in _TOLD if each not in names]
    columns += [f"CAST(NULL AS {_KINDS.get(each, 'DOUBLE')}) AS {each}" for each in missing]
    away = f"(SELECT _user_key, {literal(as_of)} AS as_of FROM {churns} WHERE NOT returned)"
    answers = answers_sql(reading, log.rule, (*told, *asked), log.stages, away)
    preferred, join = "CAST(NULL AS VARCHAR) AS preferred_product", ""
    if "product" in reading.sources["events"].columns:
        preferred = "p.preferred_product"
        join = f" LEFT JOIN ({preferred_sql(reading, away, as_of)}) AS p ON p._user_key = c._user_key"
    return reading.engine.arrow(
        "SELECT u.user_id, CAST(row_number() OVER (ORDER BY c._user_key) - 1 AS INTEGER) AS place, c.spell,"
        f" c.last_activity, c.churned_on, c.answered_on, c.reason, {_channel(reading)} AS channel,"
        f" {', '.join(columns)}, {preferred}"
        f" FROM {churns} AS c JOIN {reading.users} AS u ON c._user_key = u._user_key"
        f" LEFT JOIN ({answers}) AS a ON a._user_key = c._user_key{join}"
        " WHERE NOT c.returned ORDER BY c._user_key"
    )


def _users_left_out(engine: Engine, reading: Reading, spells: str, churns: str) -> dict[str, int]:
    first = literal(reading.window.first)
    not_seen = engine.rows(f"SELECT count(*) FROM {spells} WHERE fate = 'not_seen'")[0][0]
    unobserved = engine.rows(
        f"SELECT count(*) FROM {churns} AS c JOIN {reading.users} AS u ON c._user_key = u._user_key"
        f" WHERE NOT c.returned AND u.registered_at < {first}"
    )[0][0]
    return {"not_seen": int(not_seen), "life_not_observed": int(unobserved)}
