"""Gaps between activities: how long users stay away, and the state in which they left off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.build import category_orders, refuse_collisions, user_columns, user_known_at
from churnsurv.data.features_sql import answers_sql
from churnsurv.data.gaps_sql import active_gaps_sql
from churnsurv.data.query import Query
from churnsurv.data.sql import literal, name
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.clock import Clock
    from churnsurv.data.feature import Feature
    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.rule import ChurnRule, Stages
    from churnsurv.data.spells_sql import Window

__all__ = ["Gaps", "gaps_query"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gaps(Result):
    """The gaps between the active days of users; made by `ActivityLog.gaps`.

    Raw material of the idle risk: with S the survival of "not yet returned" over `duration`, a user who is idle for d
    days churns with probability S(idle_days) / S(d).

    Attributes
    ----------
    counts : Mapping of str to int
        `users`, `gaps`, `returned`, `censored`, `registration_gaps`, `not_seen` (users registered before the log and
        never active in it: no row), `no_risk` (gaps that begin on the last day of the log), `person_days`.
    rule : ChurnRule
        Its kinds are activity; its idle days number the spells.
    known_at : Mapping of str to str
        When each column is known: "start_date" (its end), origin or given.
    window : Window
        First and last day that the log covers.
    clock : Clock
        What a time means and whose midnight ends a day.
    """

    _schema: ClassVar[str] = "gaps"

    counts: Mapping[str, int]
    rule: ChurnRule
    known_at: Mapping[str, str]
    window: Window
    clock: Clock
    _table: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        object.__setattr__(self, "known_at", MappingProxyType(dict(self.known_at)))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table in the order of user and gap; dates are ``datetime64[s]``, text of few values categorical."""
        return to_pandas(self._table)

    def _headline(self) -> str:
        counts = self.counts
        return (
            f"{counts['gaps']:,} gaps of {counts['users']:,} users, {counts['returned']:,} ended by a return; "
            f"{self.rule}; {self.window.first} to {self.window.last}, {self.clock}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "known_at": dict(self.known_at),
            "observed_from": self.window.first,
            "observed_until": self.window.last,
            "timestamps": self.clock.timestamps,
            "time_zone": self.clock.time_zone,
        }


@contextmanager
def gaps_query(
    reading: Reading, rule: ChurnRule, stages: Stages, *, features: Sequence[str | Feature]
) -> Iterator[Query[Gaps]]:
    """Make the query of the gaps; the table that it reads is there until the context ends.

    Parameters
    ----------
    features : sequence of str or Feature
        As `feature.resolve` returns them.
    """
    names = [each if isinstance(each, str) else each.name for each in features]
    refuse_collisions(reading, "gaps", names)
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    reading.require_activity(kinds)
    engine, users, window = reading.engine, reading.users, reading.window
    made = engine.table("active_gaps", active_gaps_sql(reading.judged("events"), users, kinds, window, rule.idle_days))
    try:
        counts = _counts(reading, made)
        _assert_conserved(reading, kinds, rule.idle_days, made, counts)
        known = _known_at(reading, names)
        orders = category_orders(reading, features, stages)

        def finish(table: pa.Table) -> Gaps:
            return Gaps(counts, rule, known, window, reading.clock, tidy(table, orders, keep=("user_id",)))

        yield Query(
            sql=_table_sql(reading, rule, stages, features, names, made),
            order="g._user_key, g.gap",
            schema="gaps",
            known_at=known,
            finish=finish,
        )
    finally:
        engine.drop(made)


def _known_at(reading: Reading, features: Sequence[str]) -> dict[str, str]:
    outcome = {"user_id", "start_date", "entry", "duration", "returned"}
    state = [column for column in schema("gaps").names if column not in outcome]
    return dict.fromkeys(state, "start_date") | user_known_at(reading) | dict.fromkeys(features, "start_date")


def _table_sql(
    reading: Reading,
    rule: ChurnRule,
    stages: Stages,
    features: Sequence[str | Feature],
    names: Sequence[str],
    made: str,
) -> str:
    first, last = literal(reading.window.first), literal(reading.window.last)
    joins = ""
    if features:
        answers = answers_sql(reading, rule, features, stages, f"(SELECT _user_key, as_of FROM {made})")
        joins = f" LEFT JOIN ({answers}) AS a ON a._user_key = g._user_key AND a.as_of = g.as_of"
    columns = ", ".join([*user_columns(reading), *(f"a.{name(each)}" for each in names)])
    return (
        "SELECT u.user_id, g.gap, g.as_of AS start_date, CAST(0 AS INTEGER) AS entry,"
        f" CAST(date_diff('day', g.as_of, coalesce(g.next_day, {last})) AS INTEGER) AS duration,"
        " g.next_day IS NOT NULL AS returned, g.as_of = u.registered_at AS registration_gap, g.spell,"
        " CAST(date_diff('day', u.registered_at, g.as_of) AS INTEGER) AS tenure,"
        f" g.active_days, g.mean_interval, g.last_interval, u.registered_at >= {first} AS life_observed, {columns}"
        f" FROM {made} AS g JOIN {reading.users} AS u ON g._user_key = u._user_key{joins}"
    )


def _counts(reading: Reading, made: str) -> dict[str, int]:
    last = literal(reading.window.last)
    users, gaps, returned, no_risk, days = reading.engine.rows(
        "SELECT count(DISTINCT _user_key), count(*), count(next_day),"
        f" count(*) FILTER (WHERE next_day IS NULL AND as_of = {last}),"
        f" CAST(coalesce(sum(date_diff('day', as_of, coalesce(next_day, {last}))), 0) AS BIGINT) FROM {made}"
    )[0]
    registered = reading.engine.rows(
        f"SELECT count(*) FROM {made} AS g JOIN {reading.users} AS u ON g._user_key = u._user_key"
        " WHERE g.as_of = u.registered_at"
    )[0][0]
    return {
        "users": users,
        "gaps": gaps,
        "returned": returned,
        "censored": gaps - returned,
        "registration_gaps": registered,
        "not_seen": reading.n_users - users,
        "no_risk": no_risk,
        "person_days": days,
    }


def _assert_conserved(reading: Reading, kinds: Kinds, idle_days: int, made: str, counts: Mapping[str, int]) -> None:
    """Gaps begin on all active days and abut, and the long ones are those of the spells; or it is our fault."""
    first, last = literal(reading.window.first), literal(reading.window.last)
    rows, long = reading.engine.rows, reading.gaps(kinds, idle_days)
    days_followed, last_gaps, spells_opened = rows(
        f"SELECT CAST(coalesce(sum(date_diff('day', since, {last})), 0) AS BIGINT), coalesce(sum(open), 0),"
        " coalesce(sum(spell), 0) FROM ("
        "SELECT min(as_of) AS since, count(*) FILTER (WHERE next_day IS NULL) AS open, max(spell) AS spell"
        f" FROM {made} GROUP BY _user_key) AS users_gaps"
    )[0]
    active_days = rows(f"SELECT coalesce(sum(active_days), 0) FROM {long} WHERE next_day IS NULL")[0][0]
    early, seen_registered = rows(
        f"SELECT count(*) FILTER (WHERE registered_at < {first}),"
        f" count(*) FILTER (WHERE registered_at >= {first}) FROM {reading.users}"
    )[0]
    returns = rows(f"SELECT count(*) FROM {long} WHERE date_diff('day', day, next_day) > {idle_days}")[0][0]
    facts = {
        "days from the first gap to the end": (counts["person_days"], days_followed),
        "open gaps": (last_gaps, counts["users"]),
        "active days": (counts["gaps"], active_days - early),
        "registrations": (counts["registration_gaps"], seen_registered),
        "returns after churn": (spells_opened - counts["users"], returns),
    }
    broken = {what: pair for what, pair in facts.items() if pair[0] != pair[1]}
    if broken:
        raise AssertionError(f"churnsurv lost something on the way from events to gaps; please report this: {broken}")
