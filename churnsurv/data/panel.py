"""The living on a day, as far as the end of that day can tell; and panels of such days with what came after them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.build import (
    Choice,
    category_orders,
    made_spells,
    refuse_collisions,
    user_columns,
    user_known_at,
)
from churnsurv.data.features_sql import answers_sql
from churnsurv.data.panel_sql import living_sql, states_sql
from churnsurv.data.query import Query
from churnsurv.data.sql import name
from churnsurv.errors import InputError
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.clock import Clock
    from churnsurv.data.feature import Feature
    from churnsurv.data.reading import Reading
    from churnsurv.data.rule import ChurnRule, Stages
    from churnsurv.data.spells_sql import Window

__all__ = ["Panel", "Snapshot", "landmarks", "states_query"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Snapshot(Result):
    """The state of every living user at the end of one day; made by `ActivityLog.snapshot`.

    Attributes
    ----------
    counts : Mapping of str to int
        `rows` and `users` (the same), `landmarks` (1), and `life_not_observed`: rows of users registered before the
        log, whose counts and sums begin with it.
    rule : ChurnRule
    date : datetime.date
    known_at : Mapping of str to str
        When each column is known: "date" (its end), origin or given.
    window : Window
        First and last day that the log covers.
    clock : Clock
        What a time means and whose midnight ends a day.
    """

    _schema: ClassVar[str] = "snapshot"

    counts: Mapping[str, int]
    rule: ChurnRule
    date: datetime.date
    known_at: Mapping[str, str]
    window: Window
    clock: Clock
    _table: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        object.__setattr__(self, "known_at", MappingProxyType(dict(self.known_at)))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table in the order of users; dates are ``datetime64[s]``, text of few values categorical."""
        return to_pandas(self._table)

    def _headline(self) -> str:
        return (
            f"{self.counts['rows']:,} living users at the end of {self.date}{_partly(self.counts)}; {self.rule}; "
            f"{self.window.first} to {self.window.last}, {self.clock}"
        )

    def _facts(self) -> dict[str, Any]:
        return {"date": self.date, **_facts(self)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Panel(Result):
    """The state of the living on many days, and whether they churned after them; made by `ActivityLog.landmark_panel`.

    With `horizon` = the rule's idle days, churn within the horizon is the same event as no activity on the next
    idle_days - d days, d the idle days of the row, and its day is fixed by d. So a panel is for binary models of churn
    by the horizon, and never for models of time.

    Attributes
    ----------
    counts : Mapping of str to int
        `rows`, `users`, `landmarks`, `life_not_observed` (rows of users registered before the log, whose counts and
        sums begin with it), `churned`.
    rule : ChurnRule
    every : int or None
        Days from one landmark to the next.
    horizon : int
        Days after a landmark that its outcome is of.
    known_at : Mapping of str to str
        When each column is known: "date" (its end), origin or given.
    window : Window
        First and last day that the log covers.
    clock : Clock
        What a time means and whose midnight ends a day.
    """

    _schema: ClassVar[str] = "panel"

    counts: Mapping[str, int]
    rule: ChurnRule
    every: int | None
    horizon: int
    known_at: Mapping[str, str]
    window: Window
    clock: Clock
    _table: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        object.__setattr__(self, "known_at", MappingProxyType(dict(self.known_at)))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table in the order of date and user; dates are ``datetime64[s]``, text of few values categorical."""
        return to_pandas(self._table)

    def _headline(self) -> str:
        counts = self.counts
        days = "1 day" if counts["landmarks"] == 1 else f"{counts['landmarks']:,} days"
        apart = "" if self.every is None else f", {self.every} apart"
        return (
            f"{counts['rows']:,} rows of {counts['users']:,} users on {days}{apart}, {counts['churned']:,} followed by "
            f"churn within {self.horizon} days{_partly(counts)}; {self.rule}; {self.window.first} to "
            f"{self.window.last}, {self.clock}"
        )

    def _facts(self) -> dict[str, Any]:
        return {"every": self.every, "horizon": self.horizon, **_facts(self)}


def _partly(counts: Mapping[str, int]) -> str:
    """What a reader must know of counts and sums in the table."""
    unseen = counts["life_not_observed"]
    return f", {unseen:,} of them registered before the log" if unseen else ""


def _facts(result: Snapshot | Panel) -> dict[str, Any]:
    return {
        "counts": dict(result.counts),
        "rule": {"idle_days": result.rule.idle_days, "activity": result.rule.activity},
        "known_at": dict(result.known_at),
        "observed_from": result.window.first,
        "observed_until": result.window.last,
        "timestamps": result.clock.timestamps,
        "time_zone": result.clock.time_zone,
    }


def landmarks(reading: Reading, *, every: int, horizon: int) -> tuple[datetime.date, ...]:
    """Return the days `observed_from + k * every` whose outcomes are complete: not after `observed_until - horizon`.

    Later days are left out with all their users: of them only those who churn early would be known.

    Raises
    ------
    InputError
        If there is no such day; it says which days the log covers.
    """
    first, last = reading.window.first, reading.window.last
    room = (last - first).days - horizon
    if room < 0:
        longest = (last - first).days
        advice = f"Choose a horizon of at most {longest} days." if longest else "One day has none after it."
        raise InputError(
            f"No landmark fits: the log covers {first} to {last}, and a landmark needs {horizon} days of it after "
            f"itself. {advice}"
        )
    return tuple(first + datetime.timedelta(days=k) for k in range(0, room + 1, every))


@contextmanager
def states_query(
    reading: Reading,
    rule: ChurnRule,
    stages: Stages,
    *,
    features: Sequence[str | Feature],
    days: Sequence[datetime.date],
    every: int | None = None,
    horizon: int | None = None,
) -> Iterator[Query[Snapshot | Panel]]:
    """Make the query of a snapshot, or with a horizon of a panel; its tables are there until the context ends.

    Parameters
    ----------
    features : sequence of str or Feature
        As `feature.resolve` returns them.
    days : sequence of date
        Days of the log, each once and, with a horizon, followed by so many days of it; a snapshot has one.
    every : int, optional
        What the panel says of its landmarks.
    horizon : int, optional
        Days of the outcome.
    """
    layout = "snapshot" if horizon is None else "panel"
    names = [each if isinstance(each, str) else each.name for each in features]
    refuse_collisions(reading, layout, names)
    # Who is alive on a day does not depend on whether the origin of the spell is known.
    every_spell = Choice("all", "assume_first_spell", None, (), stages)
    engine = reading.engine
    with made_spells(reading, rule, every_spell) as made:
        living = engine.table("living", living_sql(made.table, days, rule.idle_days))
        try:
            questions = f"(SELECT _user_key, as_of FROM {living})"
            known = _known_at(reading, layout, names)
            yield Query(
                sql=states_sql(
                    living,
                    answers_sql(reading, rule, features, stages, questions, state=True, until=max(days)),
                    reading.users,
                    window=reading.window,
                    about_user=user_columns(reading),
                    features=[name(each) for each in names],
                    horizon=horizon,
                ),
                order="q.as_of, q._user_key",
                schema=layout,
                known_at=known,
                finish=_finish(reading, rule, category_orders(reading, features, stages), known, days, every, horizon),
            )
        finally:
            engine.drop(living)


def _known_at(reading: Reading, layout: str, features: Sequence[str]) -> dict[str, str]:
    state = [column for column in schema(layout).names if column not in {"user_id", "date", "churned", "duration"}]
    return dict.fromkeys(state, "date") | user_known_at(reading) | dict.fromkeys(features, "date")


def _finish(
    reading: Reading,
    rule: ChurnRule,
    orders: Mapping[str, tuple[str, ...]],
    known: Mapping[str, str],
    days: Sequence[datetime.date],
    every: int | None,
    horizon: int | None,
) -> Callable[[pa.Table], Snapshot | Panel]:
    def finish(table: pa.Table) -> Snapshot | Panel:
        _assert_alive(table, rule.idle_days)
        counts, window, clock = _counts(table, len(days)), reading.window, reading.clock
        tidied = tidy(table, orders, keep=("user_id",))
        if horizon is None:
            return Snapshot(counts, rule, days[0], known, window, clock, tidied)
        return Panel(counts, rule, every, horizon, known, window, clock, tidied)

    return finish


def _counts(table: pa.Table, landmarks: int) -> dict[str, int]:
    import pyarrow.compute as pc

    observed = pc.sum(table["life_observed"]).as_py() or 0
    counts = {
        "rows": table.num_rows,
        "users": pc.count_distinct(table["user_id"]).as_py(),
        "landmarks": landmarks,
        "life_not_observed": table.num_rows - observed,
    }
    if "churned" in table.column_names:
        counts["churned"] = pc.sum(table["churned"]).as_py() or 0
    return counts


def _assert_alive(table: pa.Table, idle_days: int) -> None:
    """Spells and states come by different roads: by both of them every row is of a living user, or it is our fault."""
    import pyarrow.compute as pc

    idle, active = table["idle_days"], table["active_days"]
    alive = pc.and_(pc.and_(pc.greater_equal(idle, 0), pc.less(idle, idle_days)), pc.greater_equal(active, 1))
    if "churned" in table.column_names:
        # Churn is `idle_days` after the last activity, and so exactly that many less the idle days after the landmark,
        # unless an activity puts it off.
        left = pc.subtract(idle_days, idle)
        later = pc.greater_equal(table["duration"], left)
        alive = pc.and_(alive, pc.or_(pc.invert(table["churned"]), later))
    if not pc.all(alive, min_count=0).as_py():
        raise AssertionError("churnsurv found a churned user among the living; please report this with the log's rule.")
