"""The activity log: one object that carries tables, rule, clock and window, so that nothing is said twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from churnsurv.data.build import Choice, build_spells
from churnsurv.data.clock import Clock
from churnsurv.data.engine import Engine
from churnsurv.data.feature import Feature, resolve
from churnsurv.data.reading import Reading
from churnsurv.data.rule import ChurnRule, Stages, whole_days
from churnsurv.data.sources import NEEDED
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.check import Check
    from churnsurv.data.spells import Spells
    from churnsurv.data.story import Story

__all__ = ["ActivityLog"]

_RULE = ChurnRule()
_LOOK_AHEAD = (
    "features need baseline_day. Taken over the whole spell, a count or an amount grows with the spell: long spells "
    "would look protected by what they merely had time for, also where there is no effect at all. State the day at "
    "whose end the features are taken, such as baseline_day=30; users then enter at baseline_day + idle_days."
)


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
    features : sequence of str or Feature, optional
        The default list for builders that take features over time.
    stages : Stages, optional
        How the feature "stage" is cut.
    timestamps : str
        Zone of a time without zone.
    time_zone : str
        Zone whose midnight ends a day.
    observed_from, observed_until : date or ISO text, optional
        First and last day that the log covers in full. By default the earliest registration or event day, and the
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
        features: Sequence[str | Feature] | None = None,
        stages: Stages | None = None,
        timestamps: str = "UTC",
        time_zone: str = "UTC",
        observed_from: date | str | None = None,
        observed_until: date | str | None = None,
        columns: Mapping[str, Mapping[str, str]] | None = None,
        engine: Engine | None = None,
    ) -> None:
        tables = {"events": events, "users": users} | ({} if balances is None else {"balances": balances})
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
        first, last = _day("observed_from", observed_from), _day("observed_until", observed_until)
        if first is not None and last is not None and first > last:
            raise InputError(f"observed_from ({first}) is after observed_until ({last}): the log covers no day.")
        clock = Clock(timestamps, time_zone)
        reading = Reading(tables, _mapping(columns, tables), clock, first, last, engine)
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
        if spells not in {"first", "all"}:
            raise InputError(f"spells is 'first' or 'all'; it is {spells!r}.")
        if left_truncated not in {"exclude", "assume_first_spell"}:
            raise InputError(f"left_truncated is 'exclude' or 'assume_first_spell'; it is {left_truncated!r}.")
        asked = resolve(features)
        if baseline_day is not None:
            baseline_day = whole_days(baseline_day, "baseline_day", least=0)
        elif asked:
            raise InputError(_LOOK_AHEAD)
        choice = Choice(spells, left_truncated, baseline_day, asked, self.stages)
        return build_spells(self._reading, self.rule, choice)

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
        other = object.__new__(type(self))
        for slot, value in (
            ("rule", rule),
            ("features", self.features),
            ("stages", self.stages),
            ("_reading", self._reading),
        ):
            object.__setattr__(other, slot, value)
        return other

    @property
    def _kinds(self) -> tuple[str, ...] | None:
        return None if self.rule.activity is None else tuple(self.rule.activity)

    def __repr__(self) -> str:
        reading = self._reading
        from_, until = reading.first or "first day", reading.last or "last event"
        return f"<ActivityLog: {self.rule}; {from_} to {until}, {reading.clock}>"


def _day(what: str, value: date | str | None) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, datetime):
        if value.time() == datetime.min.time() and value.tzinfo is None:
            return value.date()
        raise InputError(f"{what} is a day; {value.isoformat()} has a time of day. Pass .date().")
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a date or text such as '2024-05-01'; it is {value!r}.") from None


def _mapping(
    columns: Mapping[str, Mapping[str, str]] | None, tables: Mapping[str, object]
) -> dict[str, dict[str, str]]:
    checked: dict[str, dict[str, str]] = {}
    for table, names in (columns or {}).items():
        if table not in NEEDED:
            raise InputError(f"columns: there is no table {table!r}.{did_you_mean(table, NEEDED)}")
        if table not in tables:
            raise InputError(f"columns maps names of {table!r}, but no such table was given.")
        if not isinstance(names, Mapping) or not all(isinstance(n, str) for pair in names.items() for n in pair):
            raise InputError(f"columns[{table!r}] maps our names to theirs, both text; it is {names!r}.")
        checked[table] = dict(names)
    return checked
