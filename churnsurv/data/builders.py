"""The tables that a log can build, and what each of them may be asked."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.data.build import Choice, spells_query
from churnsurv.data.feature import Feature, resolve
from churnsurv.data.features_sql import default_features
from churnsurv.data.gaps import gaps_query
from churnsurv.data.history import history_query
from churnsurv.data.lifecycle import lifecycle_query
from churnsurv.data.panel import landmarks, states_query
from churnsurv.data.relation import Relation
from churnsurv.data.rule import calendar_day, days_of, whole_days
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.query import Query

__all__ = ["BUILDERS", "left_in_engine", "question"]

Features = Sequence[str | Feature] | None
Question = AbstractContextManager["Query[Any]"]

_LOOK_AHEAD = (
    "features need baseline_day. Taken over the whole spell, a count or an amount grows with the spell: long spells "
    "would look protected by what they merely had time for, also where there is no effect at all. State the day at "
    "whose end the features are taken, such as baseline_day=30; users then enter at baseline_day + idle_days. "
    "log.history() has behaviour over time."
)


def _one_of(what: str, value: object, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise InputError(f"{what} is {' or '.join(map(repr, allowed))}; it is {value!r}.")
    return str(value)


def _asked(log: ActivityLog, features: Features) -> tuple[str | Feature, ...]:
    """The features of a builder over time: those asked for, else the log's, else all that the tables can answer."""
    if features is None:
        return log.features or default_features(log._reading, log.stages)
    return resolve(features)


def _spells(
    log: ActivityLog,
    *,
    spells: str = "first",
    left_truncated: str = "exclude",
    features: Sequence[str | Feature] = (),
    baseline_day: int | None = None,
) -> Question:
    _one_of("spells", spells, ("first", "all"))
    _one_of("left_truncated", left_truncated, ("exclude", "assume_first_spell"))
    asked = resolve(features)
    if baseline_day is not None:
        baseline_day = whole_days(baseline_day, "baseline_day", least=0)
    elif asked:
        raise InputError(_LOOK_AHEAD)
    return spells_query(log._reading, log.rule, Choice(spells, left_truncated, baseline_day, asked, log.stages))


def _history(
    log: ActivityLog,
    *,
    features: Features = None,
    every: int | str | None = None,
    lag: int | None = None,
    spells: str = "all",
    left_truncated: str = "exclude",
) -> Question:
    return history_query(
        log._reading,
        log.rule,
        log.stages,
        features=_asked(log, features),
        every=None if every is None else days_of(every, "every", least=1),
        lag=None if lag is None else days_of(lag, "lag", least=0),
        spells=_one_of("spells", spells, ("first", "all")),
        left_truncated=_one_of("left_truncated", left_truncated, ("exclude", "assume_first_spell")),
    )


def _landmark_panel(
    log: ActivityLog, *, features: Features = None, every: int | str = 7, horizon: int | str | None = None
) -> Question:
    step = days_of(every, "every", least=1)
    ahead = log.rule.idle_days if horizon is None else days_of(horizon, "horizon", least=1)
    days = landmarks(log._reading, every=step, horizon=ahead)
    asked = _asked(log, features)
    return states_query(log._reading, log.rule, log.stages, features=asked, days=days, every=step, horizon=ahead)


def _snapshot(log: ActivityLog, *, date: datetime.date | str, features: Features = None) -> Question:
    day = calendar_day(date, "date")
    log._reading.require_day(day)
    return states_query(log._reading, log.rule, log.stages, features=_asked(log, features), days=(day,))


def _gaps(log: ActivityLog, *, features: Features = None) -> Question:
    return gaps_query(log._reading, log.rule, log.stages, features=_asked(log, features))


def _lifecycle(log: ActivityLog, *, date: datetime.date | str | None = None) -> Question:
    day = None if date is None else calendar_day(date, "date")
    return lifecycle_query(log._reading, log.rule, log.stages, date=day)


#: Every table by name.
BUILDERS: Mapping[str, Callable[..., Question]] = MappingProxyType(
    {
        "spells": _spells,
        "history": _history,
        "landmark_panel": _landmark_panel,
        "snapshot": _snapshot,
        "gaps": _gaps,
        "lifecycle": _lifecycle,
    }
)


def question(log: ActivityLog, table: str, settings: Mapping[str, Any]) -> Question:
    """Return the query of one table, as a context in which it can be run.

    Raises
    ------
    InputError
        If there is no such table, or it has no such setting; the nearest name is given.
    """
    if table not in BUILDERS:
        hint = did_you_mean(str(table), BUILDERS)
        raise InputError(f"a log has no table {table!r}.{hint} There are {', '.join(BUILDERS)}.")
    takes = [name for name in inspect.signature(BUILDERS[table]).parameters if name != "log"]
    listed = ", ".join(takes)
    for name in settings:
        if name not in takes:
            raise InputError(f"{table} has no setting {name!r}.{did_you_mean(name, takes)} It takes {listed}.")
    if table == "snapshot" and "date" not in settings:
        raise InputError("a snapshot needs its day: date='2024-05-01'.")
    return BUILDERS[table](log, **settings)


def left_in_engine(log: ActivityLog, table: str, settings: Mapping[str, Any]) -> Relation:
    """Build a table as a temporary table of the log's engine, and return it with what it says of itself."""
    with question(log, table, settings) as asked:
        made = log.engine.table(table, asked.sql)
        schema, known_at = asked.schema, asked.known_at
    takes = inspect.signature(BUILDERS[table]).parameters
    chosen = {name: settings.get(name, each.default) for name, each in takes.items() if name != "log"}
    if "features" in chosen:
        asked_for = _asked(log, chosen["features"])
        chosen["features"] = [each if isinstance(each, str) else each.name for each in asked_for]
    window, clock = log._reading.window, log._reading.clock
    facts = {
        **chosen,
        "rule": {"idle_days": log.rule.idle_days, "activity": log.rule.activity},
        "observed_from": window.first,
        "observed_until": window.last,
        "timestamps": clock.timestamps,
        "time_zone": clock.time_zone,
    }
    orders = {**log._reading.sources["users"].orders, "stage": log.stages.names}
    return Relation.of_engine(log.engine, made, schema=schema, known_at=known_at, facts=facts, orders=orders)
