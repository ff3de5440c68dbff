"""The activity log: one object that carries tables, rule, clock and window, so that nothing is said twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.data.clock import Clock
from churnsurv.data.engine import Engine
from churnsurv.data.feature import Feature, resolve
from churnsurv.data.reading import Reading
from churnsurv.data.rule import ChurnRule, Stages, calendar_day
from churnsurv.data.sources import column_mapping
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.check import Check
    from churnsurv.data.gaps import Gaps
    from churnsurv.data.history import History
    from churnsurv.data.lifecycle import Lifecycle
    from churnsurv.data.panel import Panel, Snapshot
    from churnsurv.data.relation import Relation
    from churnsurv.data.spells import Spells
    from churnsurv.data.story import Story

__all__ = ["ActivityLog"]

_RULE = ChurnRule()


@dataclass(frozen=True, slots=True, eq=False, repr=False, init=False)
class ActivityLog:
    """Raw tables read under one churn rule, one clock and one window.

    Frozen and lazy: nothing is read before a question is asked. It builds tables and estimates nothing.

    Parameters
    ----------
    events, users : table
        A pandas, polars or pyarrow table, the path or glob of Parquet or CSV files, or a relation of `engine`.
        Events have `user_id, event_at, kind` and perhaps `amount, product`; users have `user_id, registered_at`
        and any attributes.
    rule : ChurnRule
        What counts as churn.
    balances : table, optional
        `user_id, date, balance`.
    feedback : table, optional
        What users answered when asked why they left: `user_id, date, reason` and perhaps `route`; it may have no rows.
    features : sequence of str or Feature, optional
        The default list for builders that take features over time.
    stages : Stages, optional
        How the feature "stage" is cut.
    timestamps : str
        Zone of a time without zone.
    time_zone : str
        Zone whose midnight ends a day.
    observed_from, observed_until : date or ISO text, optional
        First and last day that the log covers in full. By default the day of the earliest registration, and the
        latest event day.
    columns : Mapping, optional
        ``{"events": {"event_at": "ts"}}`` maps our names to theirs.
    engine : Engine, optional
        Where the work is done; an embedded one in memory by default.

    Raises
    ------
    InputError
        If a setting is not understood. What is wrong with the tables is raised by the first question.

    Examples
    --------
    >>> import pandas as pd
    >>> users = pd.DataFrame({"user_id": [1, 2], "registered_at": ["2024-01-01", "2024-01-10"]})
    >>> events = pd.DataFrame({"user_id": [1, 2], "event_at": ["2024-01-05", "2024-03-01"], "kind": "login"})
    >>> log = ActivityLog(events, users)
    >>> log.churn_spells().table[["user_id", "duration", "churned"]]
       user_id  duration  churned
    0        1        34     True
    1        2        30     True
    """

    rule: ChurnRule
    features: tuple[str | Feature, ...]
    stages: Stages
    _reading: Reading

    def __init__(
        self,
        events: object,
        users: object,
        *,
        rule: ChurnRule = _RULE,
        balances: object = None,
        feedback: object = None,
        features: Sequence[str | Feature] | None = None,
        stages: Stages | None = None,
        timestamps: str = "UTC",
        time_zone: str = "UTC",
        observed_from: date | str | None = None,
        observed_until: date | str | None = None,
        columns: Mapping[str, Mapping[str, str]] | None = None,
        engine: Engine | None = None,
    ) -> None:
        tables = {"events": events, "users": users}
        tables |= {name: data for name, data in (("balances", balances), ("feedback", feedback)) if data is not None}
        for table, data in tables.items():
            if data is None:
                raise InputError(f"{table}: no table was given.")
        if engine is not None and not isinstance(engine, Engine):
            raise InputError(f"engine must come from churnsurv.connect(); it is a {type(engine).__name__}.")
        stages = Stages() if stages is None else stages
        if not isinstance(rule, ChurnRule):
            raise InputError(f"rule must be a ChurnRule, such as ChurnRule(idle_days=30); it is {rule!r}.")
        if not isinstance(stages, Stages):
            raise InputError(f"stages must be a Stages; it is {stages!r}.")
        first = None if observed_from is None else calendar_day(observed_from, "observed_from")
        last = None if observed_until is None else calendar_day(observed_until, "observed_until")
        if first is not None and last is not None and first > last:
            raise InputError(f"observed_from ({first}) is after observed_until ({last}): the log covers no day.")
        clock = Clock(timestamps, time_zone)
        reading = Reading(tables, column_mapping(columns, tables), clock, first, last, engine)
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "features", resolve(features or ()))
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "_reading", reading)

    @property
    def engine(self) -> Engine:
        """The engine that the tables are read with."""
        return self._reading.engine

    @property
    def observed_from(self) -> date:
        """First day that the log covers in full."""
        return self._reading.window.first

    @property
    def observed_until(self) -> date:
        """Last day that the log covers in full."""
        return self._reading.window.last

    @property
    def rejects(self) -> pd.DataFrame:
        """Every row of the tables that can't be used, with its reason; schema "rejects"."""
        from churnsurv.data.arrow import to_pandas

        return to_pandas(self._reading.rejects)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows were read, accepted and left out."""
        audit, reading = self._reading.audit, self._reading
        read = reading.users_read
        return MappingProxyType(
            {
                "users_read": read.n_read,
                "users": reading.n_users,
                "users_rejected": read.n_read - read.n_collapsed - reading.n_users,
                "events_read": audit.read,
                "events": audit.accepted,
                "events_rejected": audit.rejected,
                "outside_window": audit.outside_window,
                "other_kinds": audit.accepted - audit.activity(self._kinds),
                "equal_users_collapsed": read.n_collapsed,
                "equal_events": reading.equal_events,
                **reading.feedback_counts,
            }
        )

    def churn_spells(
        self,
        *,
        spells: str = "first",
        left_truncated: str = "exclude",
        features: Sequence[str | Feature] = (),
        baseline_day: int | None = None,
    ) -> Spells:
        """Return one row a spell: origin, entry, duration, churned or censored, and what was known at origin.

        Parameters
        ----------
        spells : {"first", "all"}
            Spell 1 of each user, or returns too.
        left_truncated : {"exclude", "assume_first_spell"}
            Whether first spells of users registered before the log begins are left out (an earlier churn may lie
            before the log, and then their origin is wrong), or taken at their word.
        features : sequence of str or Feature
            Behaviour as it stood at the end of day `origin + baseline_day`.
        baseline_day : int, optional
            Days after origin at whose end features are taken. `entry` is raised to `baseline_day + idle_days`.

        Returns
        -------
        Spells
            In the order of user and spell.

        Raises
        ------
        InputError
            If an argument is not understood, if features come without `baseline_day`, or if the tables can't be used.
        SchemaError
            If a table lacks a column or a column has the wrong type.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"], "channel": ["organic"]})
        >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-05", "2024-03-01"], "kind": "login"})
        >>> spells = ActivityLog(events, users).churn_spells(spells="all")
        >>> spells
        <Spells: 2 spells of 1 users, 1 churned; 30 days without login or invest; 2024-01-01 to 2024-03-01, days of UTC>
        >>> spells.table[["spell", "origin", "duration", "churned", "channel"]]
           spell     origin  duration  churned  channel
        0      1 2024-01-01        34     True  organic
        1      2 2024-03-01         0    False  organic
        """
        made: Spells = self._fetch(
            "spells", spells=spells, left_truncated=left_truncated, features=features, baseline_day=baseline_day
        )
        return made

    def history(
        self,
        *,
        features: Sequence[str | Feature] | None = None,
        every: int | str | None = None,
        lag: int | None = None,
        spells: str = "all",
        left_truncated: str = "exclude",
    ) -> History:
        """Return (start, stop] rows of each spell, with behaviour as it was known before it could act.

        Parameters
        ----------
        features : sequence of str or Feature, optional
            By default those of the log, else every built-in one that the tables can answer.
        every : int or text such as "7d", optional
            Split each spell at multiples of so many days, instead of where a feature changes.
        lag : int, optional
            Days from the end of the day that a feature is as of to `start`: by default twice the idle days, three times
            where a feature looks at the last days alone. Less is warned about, less than the idle days refused.
        spells : {"all", "first"}
            All spells, or spell 1 of each user.
        left_truncated : {"exclude", "assume_first_spell"}
            As in `churn_spells`.

        Returns
        -------
        History
            In the order of user, spell and start. In (start, stop] a feature is as of the end of day
            ``origin + start - lag``: what a user did last says how long the user has been idle, and churn is being idle
            for long; after the lag it has forgotten.

        Raises
        ------
        InputError
            If the lag is shorter than `idle_days`, or an argument is not understood.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
        >>> days = ["2024-01-11", "2024-01-31", "2024-02-20"]
        >>> events = pd.DataFrame({"user_id": "a", "event_at": days, "kind": "invest"})
        >>> history = ActivityLog(events, users, observed_until="2024-06-01").history(features=["n_investments"])
        >>> history.table[["start", "stop", "churned", "n_investments"]]
           start  stop  churned  n_investments
        0      0    70    False              0
        1     70    80     True              1
        """
        made: History = self._fetch(
            "history", features=features, every=every, lag=lag, spells=spells, left_truncated=left_truncated
        )
        return made

    def landmark_panel(
        self,
        *,
        features: Sequence[str | Feature] | None = None,
        every: int | str = 7,
        horizon: int | str | None = None,
    ) -> Panel:
        """Return the state of every living user on a grid of days, and what became of them within the horizon.

        Parameters
        ----------
        features : sequence of str or Feature, optional
            By default those of the log, else every built-in one that the tables can answer.
        every : int or text such as "7d"
            Days from one landmark to the next; the first is `observed_from`.
        horizon : int or text such as "30d", optional
            Days after a landmark in which churn counts; `idle_days` by default. Only landmarks that the log follows for
            so long are taken: every outcome is complete.

        Returns
        -------
        Panel
            In the order of date and user. The state is known at the end of the landmark day.

        Raises
        ------
        InputError
            If no landmark is followed for the whole horizon, or an argument is not understood.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-01-05"]})
        >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-10", "2024-02-20"], "kind": "login"})
        >>> panel = ActivityLog(events, users).landmark_panel(every=10, features=[])
        >>> panel.table[["user_id", "date", "idle_days", "churned", "duration"]]
          user_id       date  idle_days  churned  duration
        0       a 2024-01-01          0    False        30
        1       a 2024-01-11          1     True        29
        2       b 2024-01-11          6     True        24
        3       a 2024-01-21         11     True        19
        4       b 2024-01-21         16     True        14
        """
        made: Panel = self._fetch("landmark_panel", features=features, every=every, horizon=horizon)
        return made

    def snapshot(self, date: date | str, *, features: Sequence[str | Feature] | None = None) -> Snapshot:
        """Return the state of every living user at the end of a day: one landmark of the panel, without outcome.

        Parameters
        ----------
        date : date or ISO text
            From `observed_from` to `observed_until`.
        features : sequence of str or Feature, optional
            By default those of the log, else every built-in one that the tables can answer.

        Returns
        -------
        Snapshot
            In the order of users.

        Raises
        ------
        InputError
            If the log does not cover the day.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-01-05"]})
        >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-10", "2024-02-20"], "kind": "login"})
        >>> snapshot = ActivityLog(events, users).snapshot("2024-01-20", features=[])
        >>> snapshot.table[["user_id", "idle_days", "active_days"]]
          user_id  idle_days  active_days
        0       a         10            2
        1       b         15            1
        """
        made: Snapshot = self._fetch("snapshot", date=date, features=features)
        return made

    def gaps(self, *, features: Sequence[str | Feature] | None = None) -> Gaps:
        """Return one row for each gap between active days of a user, with the state at its start.

        Parameters
        ----------
        features : sequence of str or Feature, optional
            By default those of the log, else every built-in one that the tables can answer.

        Returns
        -------
        Gaps
            In the order of user and gap. A gap ends with the next active day (`returned`), or is censored when the log
            ends. The day of registration is an active day; the gap that it opens is marked.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-01-05"]})
        >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-10", "2024-02-20"], "kind": "login"})
        >>> gaps = ActivityLog(events, users).gaps(features=[])
        >>> gaps.table[["user_id", "gap", "start_date", "duration", "returned", "registration_gap"]]
          user_id  gap start_date  duration  returned  registration_gap
        0       a    1 2024-01-01         9      True              True
        1       a    2 2024-01-10        41      True             False
        2       a    3 2024-02-20         0     False             False
        3       b    1 2024-01-05        46     False              True
        """
        made: Gaps = self._fetch("gaps", features=features)
        return made

    def lifecycle(self, date: date | str | None = None) -> Lifecycle:
        """Count users by stage at the end of a day, living and churned, and how they moved until then.

        Parameters
        ----------
        date : date or ISO text, optional
            The last day of the log by default.

        Returns
        -------
        Lifecycle
            Stages are those of the log, cut from a user's whole life; `.transitions` counts the moves between them, to
            churn and back, `.users` has the stage of each user and since when.

        Raises
        ------
        InputError
            If the log does not cover the day.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01", "2024-01-05"]})
        >>> events = pd.DataFrame({"user_id": "a", "event_at": ["2024-01-09"] * 3 + ["2024-03-01"], "kind": "invest"})
        >>> ActivityLog(events, users).lifecycle("2024-02-06").table
            stage  living  churned  users
        0     new       0        1      1
        1  growth       1        0      1
        2  mature       0        0      0
        """
        made: Lifecycle = self._fetch("lifecycle", date=date)
        return made

    def as_of(self, date: date | str) -> ActivityLog:
        """Return the log as it was known at the end of a day; what is already read is shared.

        Raises
        ------
        InputError
            If the log does not cover the day.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
        >>> events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-03-01"], "kind": "login"})
        >>> log = ActivityLog(events, users)
        >>> log.as_of("2024-01-20").churn_spells().table[["duration", "churned"]]
           duration  churned
        0        19    False
        """
        return self._like(_reading=self._reading.until(calendar_day(date, "date")))

    def relation(self, table: str, **settings: Any) -> Relation:
        """Build a table inside the engine, without fetching it.

        `kaplan_meier`, `logrank`, `rmst`, `cumulative_incidence` and `cox` take it and fetch counts only.

        Parameters
        ----------
        table : {"spells", "history", "landmark_panel", "snapshot", "gaps"}
        **settings
            Those of the method that builds the table.

        Raises
        ------
        InputError
            If there is no such table or setting.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
        >>> events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-03-01"], "kind": "login"})
        >>> ActivityLog(events, users).relation("spells", spells="all").plan(["duration", "churned"])
        would fetch 2 rows (duration, churned) of 2
        """
        from churnsurv.data.builders import left_in_engine

        return left_in_engine(self, table, settings)

    def to_sql(
        self, table: str, *, dialect: str = "duckdb", sources: Mapping[str, str] | None = None, **settings: Any
    ) -> str:
        """Write the query of a table over the raw tables, from the first cleaning step on.

        Dates, zones and column types of this log are written into it.

        Parameters
        ----------
        table : {"spells", "history", "landmark_panel", "snapshot", "gaps"}
        dialect : {"duckdb", "spark"}
        sources : Mapping of str to str, optional
            What the raw tables are called there: ``{"events": "analytics.events"}``, or a SELECT in parentheses. By
            default events, users, balances and feedback.
        **settings
            Those of the method that builds the table.

        Raises
        ------
        InputError
            If there is no such table, dialect, source or setting.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
        >>> events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-03-01"], "kind": "login"})
        >>> ActivityLog(events, users).to_sql("spells", sources={"events": "app.events"}).count("app.events")
        1
        """
        from churnsurv.data.builders import question
        from churnsurv.data.script import to_sql

        with question(self, table, settings) as asked:
            return to_sql(self._reading, asked, dialect=dialect, sources=sources)

    def story(self, user_id: object) -> Story:
        """Tell one user's life day by day: activity, spell edges, why censored, late, left out or rejected.

        Raises
        ------
        InputError
            If there is no such user; the nearest ids are given.

        Examples
        --------
        >>> import pandas as pd
        >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
        >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": ["2024-01-05", "2024-03-01"], "kind": "login"})
        >>> ActivityLog(events, users).story("a").table[["date", "spell", "day", "what"]]
                date  spell  day        what
        0 2024-01-01      1    0  registered
        1 2024-01-05      1    4      active
        2 2024-02-04      1   34     churned
        3 2024-03-01      2    0    returned
        4 2024-03-01      2    0      active
        5 2024-03-01      2    0    censored
        """
        from churnsurv.data.story import tell

        return tell(self._reading, self.rule, user_id)

    def check(self) -> Check:
        """Look for every problem of the tables at once; nothing is raised, whatever the tables are.

        Returns
        -------
        Check
            One row a problem, with how many rows it concerns, an example and what to do. `.ok`: no error among them.
        """
        from churnsurv.data.checks import check_log

        return check_log(self._reading, self.rule)

    def with_rule(self, idle_days: int | None = None, activity: Sequence[str] | None = None) -> ActivityLog:
        """Return the same log under another rule; everything already read is shared.

        What is None stays as it is. For a rule that counts every event make a log with ``ChurnRule(activity=None)``.
        """
        rule = ChurnRule(
            self.rule.idle_days if idle_days is None else idle_days,
            self.rule.activity if activity is None else activity,
        )
        return self._like(rule=rule)

    def _like(self, **changed: Any) -> ActivityLog:
        """The same log but for some slots."""
        other = object.__new__(type(self))
        for slot in ("rule", "features", "stages", "_reading"):
            object.__setattr__(other, slot, changed.get(slot, getattr(self, slot)))
        return other

    def _fetch(self, table: str, **settings: Any) -> Any:
        from churnsurv.data.builders import question
        from churnsurv.data.query import fetch

        with question(self, table, settings) as asked:
            return fetch(self.engine, asked)

    @property
    def _kinds(self) -> tuple[str, ...] | None:
        return None if self.rule.activity is None else tuple(self.rule.activity)

    def __repr__(self) -> str:
        reading = self._reading
        from_, until = reading.first or "first day", reading.last or "last event"
        return f"<ActivityLog: {self.rule}; {from_} to {until}, {reading.clock}>"
