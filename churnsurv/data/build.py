"""Which spells are returned, which are left out and why, and the proof that none is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.arrow import tidy
from churnsurv.data.feature import Feature
from churnsurv.data.features_sql import feature_columns
from churnsurv.data.rule import ChurnRule, Stages
from churnsurv.data.spells import Spells
from churnsurv.data.spells_sql import spells_sql
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError
from churnsurv.tables import schema

if TYPE_CHECKING:
    from churnsurv.data.engine import Engine
    from churnsurv.data.reading import Kinds, Reading

__all__ = ["Choice", "build_spells"]

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
    """Which spells are asked for."""

    spells: str
    left_truncated: str
    baseline_day: int | None
    features: Sequence[str | Feature]
    stages: Stages

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the feature columns, in order."""
        return tuple(feature if isinstance(feature, str) else feature.name for feature in self.features)


def build_spells(reading: Reading, rule: ChurnRule, choice: Choice) -> Spells:
    """Compute the spells of a rule and hand back those asked for, with everything else counted."""
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    engine, users, window = reading.engine, reading.users, reading.window
    _refuse_collisions(reading, choice)
    gaps = reading.gaps(kinds, rule.idle_days)
    every = spells_sql(gaps, users, window, rule.idle_days)
    made = engine.table("spells", _choose_sql(every, rule, choice, window.first))
    try:
        fates = _fates(engine, made)
        _assert_conserved(reading, kinds, gaps, made, fates)
        table = engine.arrow(_table_sql(reading, choice, made))
    finally:
        engine.drop(made)
    orders = dict(reading.sources["users"].orders)
    if "stage" in choice.features:
        orders["stage"] = choice.stages.names
    return Spells(
        counts=_counts(fates),
        rule=rule,
        spells=choice.spells,
        left_truncated=choice.left_truncated,
        baseline_day=choice.baseline_day,
        known_at=_known_at(reading, choice),
        window=window,
        clock=reading.clock,
        _table=tidy(table, orders, keep=("user_id",)),
        _rejects=reading.rejects,
    )


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
    return (
        f"SELECT _user_key, spell, origin, origin_known, {entry} AS entry, duration, churned, last_activity, end_date,"
        f" next_day, active_days, CASE {' '.join(cases)} END AS fate FROM ({every}) AS every_spell"
    )


@dataclass(frozen=True, slots=True)
class _Fate:
    rows: int
    users: int
    churned: int
    returned: int
    no_risk: int
    person_days: int
    active_days: int


def _fates(engine: Engine, made: str) -> Mapping[str | None, _Fate]:
    rows = engine.rows(
        "SELECT fate, count(*), count(DISTINCT _user_key), count(*) FILTER (WHERE churned),"
        " count(*) FILTER (WHERE spell > 1), count(*) FILTER (WHERE duration = entry),"
        f" CAST(sum(duration - entry) AS BIGINT), CAST(sum(active_days) AS BIGINT) FROM {made} GROUP BY fate"
    )
    return {row[0]: _Fate(*row[1:]) for row in rows}


def _counts(fates: Mapping[str | None, _Fate]) -> dict[str, int]:
    kept = fates.get(None, _Fate(0, 0, 0, 0, 0, 0, 0))
    left_out = {reason: fates[reason].rows if reason in fates else 0 for reason in LEFT_OUT}
    return {
        "users": kept.users,
        "spells": kept.rows,
        "churned": kept.churned,
        "censored": kept.rows - kept.churned,
        "returned": kept.returned,
        **left_out,
        "no_risk": kept.no_risk,
        "person_days": kept.person_days,
        "activity_days": kept.active_days,
    }


def _assert_conserved(reading: Reading, kinds: Kinds, gaps: str, made: str, fates: Mapping[str | None, _Fate]) -> None:
    """Nothing is lost on the way: users, events, active days and the order of days add up, or it is our fault."""
    engine = reading.engine
    last_rows = (
        f"SELECT count(*), coalesce(sum(n_rows), 0), coalesce(sum(active_days), 0) FROM {gaps} WHERE next_day IS NULL"
    )
    n_users, n_rows, n_days = engine.rows(last_rows)[0]
    stand_ins = engine.rows(
        f"SELECT count(*) FROM {reading.users} WHERE registered_at < {literal(reading.window.first)}"
    )[0][0]
    wrong_order = engine.rows(
        f"SELECT count(*) FROM {made} WHERE fate IS NULL AND NOT (0 <= entry AND entry <= duration"
        " AND origin <= last_activity AND last_activity <= end_date AND end_date - origin = duration"
        " AND (next_day IS NULL OR (churned AND end_date < next_day)))"
    )[0][0]
    first_spells = engine.rows(f"SELECT count(*) FROM {made} WHERE spell = 1")[0][0]
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


def _table_sql(reading: Reading, choice: Choice, made: str) -> str:
    attributes = reading.users_read.attributes
    columns = [f"u.{name(column)}" for column in attributes]
    columns.append("u.registered_at")
    if "cohort" not in attributes:
        columns.append("strftime(u.registered_at, '%Y-%m') AS cohort")
    joins = ""
    if choice.features:
        questions = f"(SELECT _user_key, spell, origin + {choice.baseline_day} AS as_of FROM {made} WHERE fate IS NULL)"
        features = feature_columns(reading, choice.features, choice.stages, questions)
        columns += features.columns
        joins = features.joins
    return (
        "SELECT u.user_id, s.spell, s.origin, s.origin_known, CAST(s.entry AS INTEGER) AS entry,"
        " CAST(s.duration AS INTEGER) AS duration, s.churned, s.last_activity, s.end_date,"
        f" {', '.join(columns)} FROM {made} AS s JOIN {reading.users} AS u ON s._user_key = u._user_key {joins}"
        " WHERE s.fate IS NULL ORDER BY s._user_key, s.spell"
    )


def _refuse_collisions(reading: Reading, choice: Choice) -> None:
    taken = {*schema("spells").names, "registered_at", "cohort", *map(str.lower, reading.users_read.attributes)}
    for feature in choice.feature_names:
        if feature.lower() in taken:
            raise InputError(f"A feature cannot be called {feature!r}: the spells have a column of that name already.")


def _known_at(reading: Reading, choice: Choice) -> dict[str, str]:
    known = dict.fromkeys(reading.users_read.attributes, "given")
    known["registered_at"] = "origin"
    known.setdefault("cohort", "origin")
    return known | dict.fromkeys(choice.feature_names, f"day {choice.baseline_day}")
