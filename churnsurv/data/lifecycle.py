"""The lifecycle: in which stage users are at the end of a day, and how they came there."""

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
from churnsurv.data.features_sql import answers_sql, changes_sql, default_features
from churnsurv.data.lifecycle_sql import (
    CHURNED,
    NO_STAGE,
    REGISTERED,
    last_stages_sql,
    stage_days_sql,
    stage_episodes_sql,
    stage_path_sql,
    transitions_sql,
)
from churnsurv.data.query import Query, fetch
from churnsurv.data.sql import literal
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.axes import Axes

    from churnsurv.data.clock import Clock
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading
    from churnsurv.data.rule import ChurnRule, Stages
    from churnsurv.data.spells_sql import Window

__all__ = ["Lifecycle", "has_stages", "lifecycle_query", "stage_episodes", "stage_episodes_query"]

Flow = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lifecycle(Result):
    """Users by stage at the end of a day, and the transitions up to it; made by `ActivityLog.lifecycle`.

    Attributes
    ----------
    date : datetime.date
    stages : Stages
        The rule that cuts a feature, as of the end of a day and over the whole life, into stages.
    rule : ChurnRule
    counts : Mapping of str to int
        `users`, `living`, `churned`, `transitions`, and `life_not_observed`: users registered before the log, whose
        counts do not begin with their life; they are left out.
    known_at : Mapping of str to str
        When each column of `users` beside `user_id` is known.
    notes : tuple of str
        What a reader must know.
    window : Window
        First day of the log, and `date`.
    clock : Clock
        What a time means and whose midnight ends a day.
    """

    _schema: ClassVar[str] = "lifecycle"

    date: datetime.date
    stages: Stages
    rule: ChurnRule
    counts: Mapping[str, int]
    known_at: Mapping[str, str]
    notes: tuple[str, ...]
    window: Window
    clock: Clock
    _rows: tuple[tuple[str, int, int], ...]
    _flows: tuple[Flow, ...]
    _users: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        object.__setattr__(self, "known_at", MappingProxyType(dict(self.known_at)))

    @property
    def table(self) -> pd.DataFrame:
        """One row a stage, in the order of the stages: how many are living in it, and how many left from it."""
        import pandas as pd

        frame = pd.DataFrame(self._rows, columns=["stage", "living", "churned"])
        return frame.assign(users=frame["living"] + frame["churned"])

    @property
    def transitions(self) -> pd.DataFrame:
        """How often users went from one stage to another up to the day; schema "stage_transitions"."""
        import pandas as pd

        return pd.DataFrame(self._flows, columns=list(schema("stage_transitions").names))

    @property
    def users(self) -> pd.DataFrame:
        """Every user with stage and status, in the order of users; schema "user_stages"."""
        return to_pandas(self._users)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the living and the churned by stage; see `churnsurv.plots.structure.lifecycle`."""
        from churnsurv.plots.structure import lifecycle as draw

        axes: Axes = draw(self.table, ax, date=str(self.date))
        return axes

    def _headline(self) -> str:
        each = ", ".join(f"{stage} {living:,} living + {churned:,} churned" for stage, living, churned in self._rows)
        left_out = self.counts["life_not_observed"]
        beside = f" ({left_out:,} registered before the log left out)" if left_out else ""
        return (
            f"{self.counts['users']:,} users at the end of {self.date}{beside}: {each}; stages by {self.stages.by}; "
            f"{self.rule}; {self.clock}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "stages": {"by": self.stages.by, "starts": dict(self.stages.starts)},
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "counts": dict(self.counts),
            "transitions": [dict(zip(schema("stage_transitions").names, flow, strict=True)) for flow in self._flows],
            "notes": list(self.notes),
            "observed_from": self.window.first,
            "observed_until": self.window.last,
            "timestamps": self.clock.timestamps,
            "time_zone": self.clock.time_zone,
        }


@contextmanager
def lifecycle_query(
    reading: Reading, rule: ChurnRule, stages: Stages, *, date: datetime.date | None = None
) -> Iterator[Query[Lifecycle]]:
    """Make the query of the users by stage; the tables that it reads are there until the context ends.

    Parameters
    ----------
    date : date, optional
        The day at whose end everything is told, as the log was known then; the last day of the log by default.

    Raises
    ------
    InputError
        If the log does not cover the day, or a stage has a name that is kept for registration, churn or no stage.
    SchemaError
        If an attribute of the users has the name of a column, or the events lack a column that the stages need.
    """
    _refuse_kept_names(stages)
    known_until = reading if date is None or date == reading.window.last else reading.until(date)
    refuse_collisions(known_until, "user_stages", ())
    with _stage_path(known_until, rule, stages, "all") as (path, spells):
        flows = _in_order(known_until.engine.rows(transitions_sql(path, spells)), stages)
        known = dict.fromkeys(("stage", "since", "status", "spell"), "date") | user_known_at(known_until)
        yield Query(
            sql=last_stages_sql(path, spells, known_until.users, user_columns(known_until)),
            order="l._user_key",
            schema="user_stages",
            known_at=known,
            finish=_finish(known_until, rule, stages, flows, known),
        )


def has_stages(log: ActivityLog) -> bool:
    """Tell whether the tables hold what the stages are cut from, and no attribute of the users has their name."""
    return "stage" in default_features(log._reading, log.stages)


def stage_episodes(log: ActivityLog, *, spells: str = "first") -> pd.DataFrame:
    """Return how long users spent in each stage and how that ended; schema "stage_episodes".

    The origin is the day on which the stage begins, the registration for the first one; it ends by churn, by moving
    to another stage, or is censored with the log. For `churnsurv.cumulative_incidence`.

    Parameters
    ----------
    spells : {"first", "all"}
        Stages of spell 1 alone, or of returns too, which begin with the stage of the counts so far.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    >>> days = ["2024-01-05", "2024-01-05", "2024-01-09", "2024-01-20"]
    >>> events = pd.DataFrame({"user_id": "a", "event_at": days, "kind": "invest"})
    >>> log = ActivityLog(events, users, observed_until="2024-03-01")
    >>> stage_episodes(log)[["stage", "origin", "duration", "ended_by"]]
        stage     origin  duration ended_by
    0     new 2024-01-01         8    moved
    1  growth 2024-01-09        41  churned
    """
    with stage_episodes_query(log._reading, log.rule, log.stages, spells=spells) as query:
        return to_pandas(fetch(log.engine, query))


@contextmanager
def stage_episodes_query(
    reading: Reading, rule: ChurnRule, stages: Stages, *, spells: str = "first"
) -> Iterator[Query[pa.Table]]:
    """Make the query of the stage episodes; the tables that it reads are there until the context ends.

    Nothing looks ahead: a stage is cut from what is known at the end of its first day, and the user is at risk from
    the day after. Users registered before the log have no rows: their counts do not begin with their life.

    Raises
    ------
    InputError
        If a stage has a name that is kept for registration, churn or no stage.
    SchemaError
        If an attribute of the users has the name of a column, or the events lack a column that the stages need.
    """
    _refuse_kept_names(stages)
    reading.refuse_attributes("stage_episodes")
    orders = category_orders(reading, ("stage",), stages)
    orders["next_stage"] = orders["stage"]
    with _stage_path(reading, rule, stages, spells) as (path, made):
        yield Query(
            sql=stage_episodes_sql(path, made, reading.users),
            order="p._user_key, p.day",
            schema="stage_episodes",
            known_at={"stage": "origin"},
            finish=lambda table: tidy(table, orders, keep=("user_id",)),
        )


@contextmanager
def _stage_path(reading: Reading, rule: ChurnRule, stages: Stages, spells: str) -> Iterator[tuple[str, str]]:
    """Tables of the stages that users go through and of their spells, while the context is open."""
    engine, made_tables = reading.engine, list[str]()
    # Asking for the stage leaves out the users whose counts the log does not know from their beginning.
    choice = Choice(spells, "exclude", None, ("stage",), stages)
    with made_spells(reading, rule, choice) as made:
        try:
            changes = f"({changes_sql(reading, ('stage',), stages)})"
            days = engine.table("stage_days", stage_days_sql(made.table, changes))
            made_tables.append(days)
            answers = answers_sql(reading, rule, ("stage",), stages, f"(SELECT _user_key, as_of FROM {days})")
            path = engine.table("stage_path", stage_path_sql(days, answers))
            made_tables.append(path)
            yield path, made.table
        finally:
            for table in made_tables:
                engine.drop(table)


def _refuse_kept_names(stages: Stages) -> None:
    for name in stages.names:
        if name in (REGISTERED, CHURNED, NO_STAGE):
            raise InputError(f"Stages.starts: the name {name!r} is kept for what is no stage. Choose another one.")


def _in_order(rows: Sequence[tuple[Any, ...]], stages: Stages) -> tuple[Flow, ...]:
    """The transitions in the order of the stages they come from, then of those they lead to."""
    place = {name: number for number, name in enumerate((REGISTERED, *stages.names, NO_STAGE, CHURNED))}
    flows = [(str(source), str(target), int(times), int(users)) for source, target, times, users in rows]
    return tuple(sorted(flows, key=lambda flow: (place[flow[0]], place[flow[1]])))


def _finish(
    reading: Reading, rule: ChurnRule, stages: Stages, flows: tuple[Flow, ...], known: Mapping[str, str]
) -> Callable[[pa.Table], Lifecycle]:
    early = literal(reading.window.first)
    before = reading.engine.rows(f"SELECT count(*) FROM {reading.users} WHERE registered_at < {early}")[0][0]

    def finish(table: pa.Table) -> Lifecycle:
        users = tidy(table, category_orders(reading, ("stage",), stages), keep=("user_id",))
        rows = _by_stage(users, stages)
        living, churned = sum(row[1] for row in rows), sum(row[2] for row in rows)
        counts = {
            "users": users.num_rows,
            "living": living,
            "churned": churned,
            "transitions": sum(flow[2] for flow in flows),
            "life_not_observed": int(before),
        }
        _assert_conserved(reading.n_users, counts, rows, flows)
        return Lifecycle(
            date=reading.window.last,
            stages=stages,
            rule=rule,
            counts=counts,
            known_at=known,
            notes=_notes(counts, rows, stages),
            window=reading.window,
            clock=reading.clock,
            _rows=rows,
            _flows=flows,
            _users=users,
        )

    return finish


def _by_stage(users: pa.Table, stages: Stages) -> tuple[tuple[str, int, int], ...]:
    """Living and churned users of each stage; a row for users without stage only where there are some."""
    counted = to_pandas(users.select(["stage", "status"])).value_counts().to_dict()
    rows = [(name, counted.get((name, "living"), 0), counted.get((name, "churned"), 0)) for name in stages.names]
    none = (NO_STAGE, counted.get((NO_STAGE, "living"), 0), counted.get((NO_STAGE, "churned"), 0))
    return (*rows, none) if none[1] + none[2] else tuple(rows)


def _notes(counts: Mapping[str, int], rows: Sequence[tuple[str, int, int]], stages: Stages) -> tuple[str, ...]:
    notes: list[str] = []
    if left_out := counts["life_not_observed"]:
        notes.append(
            note(
                "{n} users registered before the log: their counts begin with it and not with their life, so that they "
                "are left out.",
                n=f"{left_out:,}",
            )
        )
    if without := sum(row[1] + row[2] for row in rows if row[0] == NO_STAGE):
        notes.append(
            note(
                "{n} users have no stage: their {variable} is null, or below 0, where the first stage begins.",
                n=f"{without:,}",
                variable=stages.by,
            )
        )
    return tuple(notes)


def _assert_conserved(
    n_users: int, counts: Mapping[str, int], rows: Sequence[tuple[str, int, int]], flows: Sequence[Flow]
) -> None:
    """Whoever entered a stage has left it or is in it, and everybody registered once; or it is our fault."""
    balance: dict[str, int] = {}
    for source, target, times, _ in flows:
        balance[source] = balance.get(source, 0) - times
        balance[target] = balance.get(target, 0) + times
    facts = {
        "users": (counts["users"] + counts["life_not_observed"], n_users),
        "registrations": (-balance.pop(REGISTERED, 0), counts["users"]),
        "churned users": (balance.pop(CHURNED, 0), counts["churned"]),
        **{f"users living in {stage!r}": (balance.pop(stage, 0), living) for stage, living, _ in rows},
        "users in passing stages": (sum(map(abs, balance.values())), 0),
    }
    broken = {what: pair for what, pair in facts.items() if pair[0] != pair[1]}
    if broken:
        raise AssertionError(f"churnsurv lost somebody on the way from events to stages; please report this: {broken}")
