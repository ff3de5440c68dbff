"""Histories: spells cut into (start, stop] rows, each with behaviour as it was known before it could act."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.build import (
    Choice,
    MadeSpells,
    category_orders,
    made_spells,
    refuse_collisions,
    user_columns,
    user_known_at,
)
from churnsurv.data.feature import Feature
from churnsurv.data.features_sql import answers_sql, changes_sql
from churnsurv.data.history_sql import answered_sql, grid_splits_sql, history_sql, splits_sql, starts_sql
from churnsurv.data.query import Query, fetch
from churnsurv.data.rule import ChurnRule, Stages
from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.notes import note
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.clock import Clock
    from churnsurv.data.reading import Reading
    from churnsurv.data.spells_sql import Window

__all__ = ["History", "build_history", "history_query"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class History(Result):
    """Spells as (start, stop] rows with features over time; made by `ActivityLog.history`.

    A row is at risk on the days `start + 1 ... stop` of its spell, with the features as of the end of day
    `origin + start - lag`. For models over time name the columns: ``duration="stop", entry="start"``.

    Attributes
    ----------
    counts : Mapping of str to int
        Rows, their users and spells, spells left out by reason, and days at risk (`person_days`).
    rule : ChurnRule
    every : int or None
        Days between splits; None: wherever a feature changes.
    lag : int
        Days by which features lag; at least the rule's idle days.
    spells : {"first", "all"}
        Whether returns are among the rows.
    left_truncated : {"exclude", "assume_first_spell"}
        What became of first spells whose origin the log cannot vouch for.
    known_at : Mapping of str to str
        When each column beside the schema is known: "lag N" for features, origin or given for the others.
    window : Window
        First and last day that the log covers.
    clock : Clock
        What a time means and whose midnight ends a day.

    Examples
    --------
    >>> import churnsurv as ch
    >>> history = ch.simulate_app(n_users=50, seed=1).log.history(features=["n_investments"])
    >>> history.lag, history.known_at["n_investments"]
    (60, 'lag 60')
    >>> rows = history.table
    >>> int((rows["stop"] - rows["start"]).sum()) == history.counts["person_days"]
    True
    """

    _schema: ClassVar[str] = "history"

    counts: Mapping[str, int]
    rule: ChurnRule
    every: int | None
    lag: int
    spells: str
    left_truncated: str
    known_at: Mapping[str, str]
    window: Window
    clock: Clock
    _table: pa.Table
    _rejects: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        object.__setattr__(self, "known_at", MappingProxyType(dict(self.known_at)))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table in the order of user, spell and start; dates are ``datetime64[s]``, text categorical."""
        return to_pandas(self._table)

    @property
    def rejects(self) -> pd.DataFrame:
        """Every row of the input that could not be used, with its reason; schema "rejects"."""
        return to_pandas(self._rejects)

    def _headline(self) -> str:
        counts = self.counts
        which = "first spells" if self.spells == "first" else "spells"
        grid = "" if self.every is None else f", a row every {self.every} days"
        return (
            f"{counts['rows']:,} rows of {counts['spells']:,} {which} of {counts['users']:,} users, "
            f"{counts['churned']:,} churned; features as of {self.lag} days before{grid}; {self.rule}; "
            f"{self.window.first} to {self.window.last}, {self.clock}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "every": self.every,
            "lag": self.lag,
            "spells": self.spells,
            "left_truncated": self.left_truncated,
            "known_at": dict(self.known_at),
            "observed_from": self.window.first,
            "observed_until": self.window.last,
            "timestamps": self.clock.timestamps,
            "time_zone": self.clock.time_zone,
        }


def build_history(
    reading: Reading,
    rule: ChurnRule,
    stages: Stages,
    *,
    features: Sequence[str | Feature],
    every: int | None = None,
    lag: int | None = None,
    spells: str = "all",
    left_truncated: str = "exclude",
) -> History:
    """Compute the history of a log; see `history_query`."""
    with history_query(
        reading, rule, stages, features=features, every=every, lag=lag, spells=spells, left_truncated=left_truncated
    ) as query:
        return fetch(reading.engine, query)


@contextmanager
def history_query(
    reading: Reading,
    rule: ChurnRule,
    stages: Stages,
    *,
    features: Sequence[str | Feature],
    every: int | None = None,
    lag: int | None = None,
    spells: str = "all",
    left_truncated: str = "exclude",
) -> Iterator[Query[History]]:
    """Make the query of a history; the tables that it reads are there until the context ends.

    Parameters
    ----------
    features : sequence of Feature, "balance" or "stage"
        As `resolve` returns them; empty: one row a spell, or a step of `every`.
    every : int, optional
        Split at day 0, every, 2 every, ... of a spell instead of where features change.
    lag : int, optional
        Features act so many days after the day that they are as of; by default twice the idle days of the rule, and
        three times where a feature looks at the last days alone (``last=``). Less is warned about, as the features then
        still tell when the user was last active; less than the idle days is refused.

    Raises
    ------
    InputError
        If the lag is shorter than the rule, `every` is less than a day, or a feature has the name of a column.
    SchemaError
        If an attribute of the users has the name of a column, or the events lack a column that a feature needs.
    """
    lag = _long_enough(lag, rule, features)
    if every is not None and every < 1:
        raise InputError(f"every must be a whole number of days, 1 or more; it is {every!r}.")
    choice = Choice(spells, left_truncated, None, features, stages, at_risk=True)
    refuse_collisions(reading, "history", choice.feature_names)
    known = user_known_at(reading) | dict.fromkeys(choice.feature_names, f"lag {lag}")
    with made_spells(reading, rule, choice) as made, _rows(reading, rule, choice, made, every, lag) as rows:

        def finish(table: pa.Table) -> History:
            _assert_conserved(table, made)
            return History(
                counts=_counts(made, table.num_rows),
                rule=rule,
                every=every,
                lag=lag,
                spells=spells,
                left_truncated=left_truncated,
                known_at=known,
                window=reading.window,
                clock=reading.clock,
                _table=tidy(table, category_orders(reading, features, stages), keep=("user_id",)),
                _rejects=reading.rejects,
            )

        sql = history_sql(
            made.table,
            rows,
            reading.users,
            features=choice.feature_names,
            user_columns=user_columns(reading),
            merged=every is None,
        )
        yield Query(sql=sql, order="r._user_key, r.spell, r.start", schema="history", known_at=known, finish=finish)


def _long_enough(lag: int | None, rule: ChurnRule, features: Sequence[str | Feature]) -> int:
    """The lag asked for, or that by which features have forgotten how long the user had been idle.

    Who is at risk on a day has broken every silence that ran on the day of the features; how soon that was depends on
    how long it had run, and so does the hazard until the clock that the break has set has run out in turn.
    """
    windowed = any(isinstance(each, Feature) and each.last is not None for each in features)
    safe = (3 if windowed else 2) * rule.idle_days
    if lag is None:
        return safe
    if rule.idle_days <= lag < safe and features:
        what = note("features of the last days alone") if windowed else note("features")
        warnings.warn(
            note(
                "lag is {lag}: {what} forget how long a user had been idle only after {safe} days, {times} times the "
                "idle days. Before, they may show effects where there are none: as of 31 days ago the number of "
                "investments has z = -17 among 300,000 users on whom it has no effect, as of 61 days ago -0.5. Leave "
                "lag as it is, or read small effects with care.",
                lag=lag,
                what=what,
                safe=safe,
                times=safe // rule.idle_days,
            ),
            ChurnsurvWarning,
            stacklevel=6,
        )
    if lag < rule.idle_days:
        raise InputError(
            f"lag is {lag}, less than the {rule.idle_days} idle days of the rule. Behaviour that is updated at each "
            "activity tells when the user was last active, and churn is nothing but a long time since then: where "
            "investments have no effect at all, their number as of yesterday has z = -20. Leave lag as it is; or model "
            "the return instead of the churn with what is known now, log.gaps(); or predict churn by a horizon from "
            "log.landmark_panel() with a binary model."
        )
    return lag


@contextmanager
def _rows(
    reading: Reading, rule: ChurnRule, choice: Choice, made: MadeSpells, every: int | None, lag: int
) -> Iterator[str]:
    """SQL of every row that may be needed, with its features, while the table of the splits is there."""
    engine, features = reading.engine, choice.features
    if every is not None:
        longest = max(made.kept.longest, (reading.window.last - reading.window.first).days)
        splits = grid_splits_sql(made.table, every, longest, lag)
    elif features:
        splits = splits_sql(made.table, f"({changes_sql(reading, features, choice.stages)})", lag)
    else:
        splits = starts_sql(made.table, lag)
    if not features:
        yield splits
        return
    table = engine.table("splits", splits)
    try:
        questions = f"(SELECT _user_key, as_of FROM {table})"
        answers = answers_sql(reading, rule, features, choice.stages, questions)
        yield answered_sql(table, answers, choice.feature_names)
    finally:
        engine.drop(table)


def _counts(made: MadeSpells, n_rows: int) -> dict[str, int]:
    counts = made.counts
    del counts["ended_before_entry"]  # no baseline day, no such spell
    named = {name: counts.pop(name) for name in ("users", "spells")}
    return {**named, "rows": n_rows, **counts}


def _assert_conserved(table: pa.Table, made: MadeSpells) -> None:
    """The rows of each spell cover its days at risk once, and end as it ended; or it is our fault."""
    import numpy as np
    import pyarrow.compute as pc

    start, stop, churned = (table[column].to_numpy() for column in ("start", "stop", "churned"))
    first = np.ones(len(start), bool)
    for column in ("user_id", "spell"):
        values = table[column]
        moved = pc.not_equal(values.slice(1), values.slice(0, max(len(values) - 1, 0))).to_numpy()
        first[1:] = moved if column == "user_id" else first[1:] | moved
    last = np.roll(first, -1)
    kept = made.kept
    facts = {
        "spells": (int(first.sum()), kept.rows),
        "churns": (int(churned.sum()), kept.churned),
        "churns before the end of a spell": (int((churned & ~last).sum()), 0),
        "person-days": (int((stop - start).sum()), kept.person_days),
        "days from origin to entry": (int(start[first].sum()), kept.entry_days),
        "rows that do not abut": (int((start[1:] != stop[:-1])[~first[1:]].sum()), 0),
        "rows without a day": (int((stop <= start).sum()), 0),
    }
    broken = {what: pair for what, pair in facts.items() if pair[0] != pair[1]}
    if broken:
        raise AssertionError(
            f"churnsurv lost something on the way from spells to history; please report this: {broken}"
        )
