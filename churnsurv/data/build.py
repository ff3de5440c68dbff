"""Which spells are returned, which are left out and why, and the proof that none is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.arrow import tidy
from churnsurv.data.feature import Feature
from churnsurv.data.features_sql import answers_sql
from churnsurv.data.query import Query, fetch
from churnsurv.data.rule import ChurnRule, Stages
from churnsurv.data.spells import Spells
from churnsurv.data.spells_sql import spells_sql
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.engine import Engine
    from churnsurv.data.reading import Kinds, Reading

__all__ = [
    "Choice",
    "MadeSpells",
    "build_spells",
    "category_orders",
    "made_spells",
    "refuse_collisions",
    "spells_query",
    "user_columns",
    "user_known_at",
]

#: Why a spell is left out; `later_spell` is no reason but what `spells="first"` asks for.
LEFT_OUT = (
    "left_truncated_excluded",
    "undetermined",
    "not_seen",
    "first_spell_unseen",
    "ended_before_entry",
    "life_not_observed",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which spells are asked for.

    `at_risk`: only those with a day at risk; the others are left out as `no_risk`.
    """

    spells: str
    left_truncated: str
    baseline_day: int | None
    features: Sequence[str | Feature]
    stages: Stages
    at_risk: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the feature columns, in order."""
        return tuple(feature if isinstance(feature, str) else feature.name for feature in self.features)


def build_spells(reading: Reading, rule: ChurnRule, choice: Choice) -> Spells:
    """Compute the spells of a rule and hand back those asked for, with everything else counted."""
    with spells_query(reading, rule, choice) as query:
        return fetch(reading.engine, query)


@contextmanager
def spells_query(reading: Reading, rule: ChurnRule, choice: Choice) -> Iterator[Query[Spells]]:
    """Make the query of the spells asked for; the tables that it reads are there until the context ends."""
    refuse_collisions(reading, "spells", choice.feature_names)
    with made_spells(reading, rule, choice) as made:
        known = user_known_at(reading) | dict.fromkeys(choice.feature_names, f"day {choice.baseline_day}")

        def finish(table: pa.Table) -> Spells:
            return Spells(
                counts=made.counts | {"activity_days": made.kept.active_days},
                rule=rule,
                spells=choice.spells,
                left_truncated=choice.left_truncated,
                baseline_day=choice.baseline_day,
                known_at=known,
                window=reading.window,
                clock=reading.clock,
                _table=tidy(table, category_orders(reading, choice.features, choice.stages), keep=("user_id",)),
                _rejects=reading.rejects,
            )

        yield Query(
            sql=_table_sql(reading, rule, choice, made.table),
            order="s._user_key, s.spell",
            schema="spells",
            known_at=known,
            finish=finish,
        )


@dataclass(frozen=True, slots=True)
class Fate:
    """How many spells share a fate, and what they hold."""

    rows: int = 0
    users: int = 0
    churned: int = 0
    returned: int = 0
    no_risk: int = 0
    person_days: int = 0
    active_days: int = 0
    entry_days: int = 0
    longest: int = 0


@dataclass(frozen=True, slots=True)
class MadeSpells:
    """Every spell of the log in a table of the engine, each with its fate: null, or why it is left out.

    Attributes
    ----------
    table : str
        `_user_key, spell, origin, origin_known, entry, duration, churned, last_activity, end_date, next_day,
        active_days, fate`.
    fates : Mapping of str or None to Fate
        By reason; None: the spells asked for.
    """

    table: str
    fates: Mapping[str | None, Fate]

    @property
    def kept(self) -> Fate:
        """The spells asked for."""
        return self.fates.get(None, Fate())

    @property
    def counts(self) -> dict[str, int]:
        """Spells asked for and spells left out, by reason."""
        kept = self.kept
        return {
            "users": kept.users,
            "spells": kept.rows,
            "churned": kept.churned,
            "censored": kept.rows - kept.churned,
            "returned": kept.returned,
            **{reason: self.fates.get(reason, Fate()).rows for reason in LEFT_OUT},
            "no_risk": kept.no_risk + self.fates.get("no_risk", Fate()).rows,
            "person_days": kept.person_days,
        }


@contextmanager
def made_spells(reading: Reading, rule: ChurnRule, choice: Choice) -> Iterator[MadeSpells]:
    """Make the table of every spell, counted and checked; it is there until the context ends."""
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    engine, users, window = reading.engine, reading.users, reading.window
    gaps = reading.gaps(kinds, rule.idle_days)
    every = spells_sql(gaps, users, window, rule.idle_days)
    table = engine.table("spells", _choose_sql(every, rule, choice, window.first))
    try:
        fates = _fates(engine, table)
        _assert_conserved(reading, kinds, gaps, table, fates)
        yield MadeSpells(table, fates)
    finally:
        engine.drop(table)


def _choose_sql(every: str, rule: ChurnRule, choice: Choice, first_day: date) -> str:
    entry = "entry"
    if choice.baseline_day is not None:
        entry = f"greatest(entry, {choice.baseline_day + rule.idle_days})"
    cases = ["WHEN fate IS NOT NULL THEN fate"]
    if choice.spells == "first":
        cases.append("WHEN spell > 1 THEN 'later_spell'")
    if choice.left_truncated == "exclude":
        cases.append("WHEN NOT origin_known THEN 'left_truncated_excluded'")
    if choice.features:
        cases.append(f"WHEN registered_at < {literal(first_day)} THEN 'life_not_observed'")
    if choice.baseline_day is not None:
        cases.append(f"WHEN duration < {entry} THEN 'ended_before_entry'")
    if choice.at_risk:
        cases.append(f"WHEN duration = {entry} THEN 'no_risk'")
    return (
        f"SELECT _user_key, spell, origin, origin_known, {entry} AS entry, duration, churned, last_activity, end_date,"
        f" next_day, active_days, CASE {' '.join(cases)} END AS fate FROM ({every}) AS every_spell"
    )


def _fates(engine: Engine, made: str) -> Mapping[str | None, Fate]:
    rows = engine.rows(
        "SELECT fate, count(*), count(DISTINCT _user_key), count(*) FILTER (WHERE churned),"
        " count(*) FILTER (WHERE spell > 1), count(*) FILTER (WHERE duration = entry),"
        " CAST(sum(duration - entry) AS BIGINT), CAST(sum(active_days) AS BIGINT),"
        " CAST(sum(entry) AS BIGINT), CAST(max(duration) AS INTEGER)"
        f" FROM {made} GROUP BY fate"
    )
    return {row[0]: Fate(*row[1:]) for row in rows}


def _assert_conserved(reading: Reading, kinds: Kinds, gaps: str, made: str, fates: Mapping[str | None, Fate]) -> None:
    """Nothing is lost on the way: users, events, active days and the order of days add up, or it is our fault."""
    engine = reading.engine
    last_rows = (
        f"SELECT count(*), coalesce(sum(n_rows), 0), coalesce(sum(active_days), 0) FROM {gaps} WHERE next_day IS NULL"
    )
    n_users, n_rows, n_days = engine.rows(last_rows)[0]
    stand_ins = engine.rows(
        f"SELECT count(*) FROM {reading.users} WHERE registered_at < {literal(reading.window.first)}"
    )[0][0]
    wrong_order, first_spells = engine.rows(
        "SELECT count(*) FILTER (WHERE fate IS NULL AND NOT (0 <= entry AND entry <= duration"
        " AND origin <= last_activity AND last_activity <= end_date AND date_diff('day', origin, end_date) = duration"
        " AND (next_day IS NULL OR (churned AND end_date < next_day)))),"
        f" count(*) FILTER (WHERE spell = 1) FROM {made}"
    )[0]
    facts = {
        "users": (n_users, reading.n_users),
        "users with a first spell": (first_spells, reading.n_users),
        "activity events": (n_rows - n_users, reading.audit.activity(kinds)),
        "active days": (sum(fate.active_days for fate in fates.values()), n_days - stand_ins),
        "spells out of order": (wrong_order, 0),
    }
    broken = {what: pair for what, pair in facts.items() if pair[0] != pair[1]}
    if broken:
        raise AssertionError(f"churnsurv lost something on the way from events to spells; please report this: {broken}")


def _table_sql(reading: Reading, rule: ChurnRule, choice: Choice, made: str) -> str:
    columns = user_columns(reading)
    joins = ""
    if choice.features:
        as_of = f"origin + {choice.baseline_day}"
        questions = f"(SELECT _user_key, {as_of} AS as_of FROM {made} WHERE fate IS NULL)"
        answers = answers_sql(reading, rule, choice.features, choice.stages, questions)
        columns += [f"f.{name(feature)}" for feature in choice.feature_names]
        joins = f" JOIN ({answers}) AS f ON f._user_key = s._user_key AND f.as_of = s.{as_of}"
    return (
        "SELECT u.user_id, s.spell, s.origin, s.origin_known, CAST(s.entry AS INTEGER) AS entry,"
        " CAST(s.duration AS INTEGER) AS duration, s.churned, s.last_activity, s.end_date,"
        f" {', '.join(columns)} FROM {made} AS s JOIN {reading.users} AS u ON s._user_key = u._user_key{joins}"
        " WHERE s.fate IS NULL"
    )


def user_columns(reading: Reading) -> list[str]:
    """SQL of what is told of the user `u`: the attributes, `registered_at` and `cohort`."""
    attributes = reading.users_read.attributes
    columns = [f"u.{name(column)}" for column in attributes]
    columns.append("u.registered_at")
    if "cohort" not in attributes:
        columns.append("strftime(u.registered_at, '%Y-%m') AS cohort")
    return columns


def user_known_at(reading: Reading) -> dict[str, str]:
    """When these columns are known."""
    known = dict.fromkeys(reading.users_read.attributes, "given")
    known["registered_at"] = "origin"
    known.setdefault("cohort", "origin")
    return known


def category_orders(reading: Reading, features: Sequence[str | Feature], stages: Stages) -> dict[str, tuple[str, ...]]:
    """The order of categories that have one: those of the users' table, and the stages."""
    orders = dict(reading.sources["users"].orders)
    if "stage" in features:
        orders["stage"] = stages.names
    return orders


def refuse_collisions(reading: Reading, table: str, features: Sequence[str]) -> None:
    """Raise where an attribute has the name of a column of a public table, or a feature that of either.

    Raises
    ------
    SchemaError
        Naming the attribute, and how to map it.
    InputError
        Naming the feature.
    """
    reading.refuse_attributes(table)
    taken = {*schema(table).names, "registered_at", "cohort", *map(str.lower, reading.users_read.attributes)}
    for feature in features:
        if feature.lower() in taken:
            raise InputError(f"A feature cannot be called {feature!r}: the table of {table} has such a column already.")
