"""Users who are silent at the end of a day, or were at the end of the day before, and their states on the way there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.alert_sql import GAP_COLUMNS, drawn_sql, questions_sql, recent_sql, silent_sql, states_sql
from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.build import category_orders
from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature
from churnsurv.data.features_sql import answers_sql
from churnsurv.data.gap_counts_sql import user_column
from churnsurv.data.gap_paths_sql import can_move
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading

__all__ = ["SilentStates", "SilentUsers", "known_columns", "silent_users", "some_users"]

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Columns of judged events that say what was found, for rejects alone.
_NOT_ASKED = ("user_id", "_at", "_amount", "_bad")


@dataclass(frozen=True, slots=True, eq=False)
class SilentStates:
    """States in the order of user and day, m rows of n users.

    Attributes
    ----------
    user_id : Series
        (n,), in their order.
    since : (n,) int64
        Last active day before the last day of the log, in days since 1970.
    active : (n,) bool
        Whether the user is active on the last day.
    registered : (n,) int64
        Day of registration.
    user, day : (m,) int64
        Position of the user; the day at whose end the state is known. The last row of each user is of the last day.
    table : DataFrame
        The columns asked for.
    """

    user_id: pd.Series
    since: Ints
    active: Flags
    registered: Ints
    user: Ints
    day: Ints
    table: pd.DataFrame

    @property
    def last(self) -> Ints:
        """The last row of each user; shape (n,)."""
        return np.flatnonzero(np.append(self.user[1:] != self.user[:-1], True))[: self.since.size].astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class SilentUsers:
    """Users with a silence that lasts up to the last day of a log, or did up to the day before; made by `silent_users`.

    Attributes
    ----------
    log : ActivityLog
        Of these users alone.
    table : str
        Table of the engine, `_user_key, since, active`; see `alert_sql.silent_sql`.
    n : int
    living : int
        Users living at the end of the last day, those active on it included.
    """

    log: ActivityLog
    table: str
    n: int
    living: int

    def states(self, named: Sequence[str], *, replayed: Sequence[str], own: Sequence[Feature] = ()) -> SilentStates:
        """Look up states: on the last day, and on every day of the silence before on which something may change.

        Parameters
        ----------
        named : sequence of str
            Columns: attributes of the users, features, `tenure, active_days, mean_interval, last_interval, spell`.
        replayed : sequence of str
            Those of them that are needed on each day of the silence.
        own : sequence of Feature
            Features of the caller's own among them.

        Raises
        ------
        InputError
            If there is no such column; the nearest is given.
        """
        log, reading, rule = self.log, self.log._reading, self.log.rule
        engine, stages, columns = log.engine, log.stages, known_columns(log, own)
        for each in named:
            if each not in columns:
                raise InputError(f"there is no {each!r}.{did_you_mean(each, columns)} There are {', '.join(columns)}.")
        features = _features(log, named, own)
        moving = [features[each] for each in replayed if each in features]
        moving = [each for each in moving if can_move(each, rule, reading.sources)]
        questions = engine.table("alert_days", questions_sql(reading, stages, self.table, moving))
        try:
            answers = answers_sql(reading, rule, tuple(features.values()), stages, questions, until=reading.window.last)
            # names of the caller's own could be those of ours
            chosen = {f"x{place}": columns[each] for place, each in enumerate(named)}
            activity = any(each in GAP_COLUMNS and each not in features for each in named)
            found = engine.arrow(states_sql(reading, rule, self.table, questions, answers, chosen, activity=activity))
        finally:
            engine.drop(questions)
        known = category_orders(reading, tuple(features.values()), stages)
        orders = {column: known[each] for column, each in zip(chosen, named, strict=True) if each in known}
        table = to_pandas(tidy(found, orders, keep=("user_id",)))
        return _states(table, dict(zip(chosen, named, strict=True)))


def _states(table: pd.DataFrame, names: Mapping[str, str]) -> SilentStates:
    """Take rows apart: what is of the user, and what is of the day."""
    ids = table["user_id"]
    first = (ids != ids.shift()).to_numpy(dtype=np.bool_)
    whole = {each: table[f"_{each}"].to_numpy(dtype=np.int64) for each in ("since", "day", "registered")}
    return SilentStates(
        user_id=ids[first].reset_index(drop=True),
        since=whole["since"][first],
        active=table["_active"].to_numpy(dtype=np.bool_)[first],
        registered=whole["registered"][first],
        user=np.cumsum(first) - 1,
        day=whole["day"],
        table=table[list(names)].rename(columns=dict(names)),
    )


def known_columns(log: ActivityLog, own: Sequence[Feature] = ()) -> dict[str, str]:
    """What a user is known by, and its SQL: an attribute goes before a built-in feature of its name.

    Parameters
    ----------
    log : ActivityLog
    own : sequence of Feature
        Of the caller's own.
    """
    attributes = log._reading.users_read.attributes
    found = {each: user_column(each) for each in (*attributes, "cohort", "registered_at")}
    found |= {each.name: f"a.{name(each.name)}" for each in own}
    state = {"tenure": "CAST(date_diff('day', u.registered_at, q.as_of) AS INTEGER)", **GAP_COLUMNS}
    known = {**{each: f"a.{name(each)}" for each in (*BUILT_IN, *SPECIAL)}, **state}
    return found | {each: sql for each, sql in known.items() if each not in found}


def _features(log: ActivityLog, named: Sequence[str], own: Sequence[Feature]) -> dict[str, str | Feature]:
    """Those of some names that are features."""
    mine = {each.name: each for each in own}
    attributes = (*log._reading.users_read.attributes, "cohort", "registered_at")
    found = dict[str, str | Feature]()
    for each in named:
        if each in mine:
            found[each] = mine[each]
        elif each not in attributes and (each in BUILT_IN or each in SPECIAL):
            found[each] = BUILT_IN.get(each, each)
    return found


# ------------------------------------------------------------------------------------------------------------ the users


@contextmanager
def silent_users(log: ActivityLog) -> Iterator[SilentUsers]:
    """Find who is silent at the end of the last day of a log, or was at the end of the day before.

    Living users idle for 1 ... idle_days - 1 days on the last day; users active on it after a silence of a day or more;
    and those who churn on it. Their tables are there until the context ends.

    Parameters
    ----------
    log : ActivityLog
        That ends on the day: ``log.as_of(day)``.
    """
    reading, rule, engine = log._reading, log.rule, log.engine
    last = reading.window.last
    with ExitStack() as made:

        def table(what: str, sql: str) -> str:
            built = engine.table(what, sql)
            made.callback(engine.drop, built)
            return built

        recent = table("alert_recent", recent_sql(reading, rule))
        silent = table("alert_silent", silent_sql(recent, last))
        n = int(engine.rows(f"SELECT count(*) FROM {silent}")[0][0])
        alive = f"active OR date_diff('day', since, {literal(last)}) < {rule.idle_days}"
        living = int(engine.rows(f"SELECT count(*) FROM {recent} WHERE {alive}")[0][0])
        theirs = f"SELECT * FROM {reading.known_users} WHERE _user_key IN (SELECT _user_key FROM {silent})"
        users = table("alert_users", theirs)
        yield SilentUsers(_of_users(log, users, made.callback), silent, n, living)


@contextmanager
def some_users(log: ActivityLog, most: int) -> Iterator[ActivityLog]:
    """The log of some of its users, drawn by their ids, where it has more than `most`; else the log itself."""
    reading, engine = log._reading, log.engine
    if reading.n_users <= most:
        yield log
        return
    with ExitStack() as made:
        users = engine.table("drawn_users", drawn_sql(reading.known_users, most / reading.n_users))
        made.callback(engine.drop, users)
        fewer = _of_users(log, users, made.callback)
        _keep_events(fewer._reading, made.callback)
        yield fewer


def _keep_events(reading: Reading, afterwards: Callable[..., object]) -> None:
    """Copy the usable events of some users out of all events, which are then read once however much is asked."""
    engine, judged = reading.engine, reading.judged("events")
    columns = ", ".join(name(each) for each in engine.describe(judged) if each not in _NOT_ASKED)
    usable = f"_reason IS NULL AND _day <= {literal(reading.window.last)}"
    kept = engine.table("drawn_events", f"SELECT {columns} FROM {judged} WHERE {usable}")
    reading._views[("events", False)] = kept
    afterwards(engine.drop, judged)


def _of_users(log: ActivityLog, users: str, afterwards: Callable[..., object]) -> ActivityLog:
    """The same log of some users: what does not depend on them is shared, and the others are unknown to it."""
    reading = log._reading
    window = reading.window
    fewer = replace(reading, first=window.first, last=window.last, given_engine=reading.engine, _views={}, _gaps={})
    for shared in ("sources", "ids", "users_read", "audit"):
        vars(fewer)[shared] = getattr(reading, shared)
    vars(fewer)["known_users"] = users
    afterwards(_drop_all, fewer)
    return log._like(_reading=fewer)


def _drop_all(reading: Reading) -> None:
    """Let go of what a reading of some users has made."""
    made = [*reading._views.values(), *(gaps.table for gaps in reading._gaps.values())]
    for each in (*made, *([vars(reading)["users"]] if "users" in vars(reading) else [])):
        reading.engine.drop(each)
