"""Everything that is read from the tables, once, and shared by every rule that is tried on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from churnsurv.data.engine import Engine, connect
from churnsurv.data.events import Audit, audit_events, judge, last_day, rejects_sql
from churnsurv.data.feedback_sql import count_feedback, feedback_rejects_sql
from churnsurv.data.ids import user_ids
from churnsurv.data.sources import NEEDED, Source, open_source
from churnsurv.data.spells_sql import Window, long_gaps_sql
from churnsurv.data.sql import literal, name
from churnsurv.data.users import Users, known_users, read_users, user_rejects_sql
from churnsurv.errors import InputError, SchemaError, did_you_mean
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.clock import Clock

__all__ = ["EmptyWindowError", "Gaps", "Reading"]

Kinds = tuple[str, ...] | None
#: Gaps of a week or less are rarely asked about: a rule with fewer idle days reads the events again.
_SHORT = 7


class EmptyWindowError(InputError):
    """The log was asked to begin after its end."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """The table of long gaps, and how long the shortest of them may be."""

    table: str
    longer_than: int


@dataclass(eq=False)
class Reading:
    """The tables in the engine. Lazy: each attribute is computed at its first use and kept.

    Attributes
    ----------
    data : Mapping of str to object
        The tables as given; balances and feedback only where there are some.
    columns : Mapping of str to Mapping
        Our column names to theirs.
    clock : Clock
    first, last : date or None
        The window as asked for.
    given_engine : Engine or None
    """

    data: Mapping[str, object]
    columns: Mapping[str, Mapping[str, str]]
    clock: Clock
    first: date | None
    last: date | None
    given_engine: Engine | None = None
    _views: dict[tuple[str, bool], str] = field(default_factory=dict)
    _gaps: dict[Kinds, Gaps] = field(default_factory=dict)

    @cached_property
    def engine(self) -> Engine:
        """The engine: the one given, or one of our own in memory."""
        return self.given_engine or connect()

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """The tables as engine views under our column names."""
        return {table: self.open(table) for table in self.data}

    def open(self, table: str) -> Source:
        """Open one table; raises what is wrong with it."""
        return open_source(self.engine, table, self.data[table], self.columns.get(table, {}), NEEDED[table])

    @cached_property
    def ids(self) -> Mapping[str, str]:
        """SQL of the user id of each table, all of one type."""
        return user_ids(self.engine, self.sources)

    @cached_property
    def users_read(self) -> Users:
        """The users with a verdict on each row, before the window is known."""
        read = read_users(self.engine, self.sources["users"], self.ids["users"], self.clock)
        if read.first_day is None:
            raise InputError(_no_days(self, "users", "registered_at"))
        return read

    @cached_property
    def window(self) -> Window:
        """First and last day of the log: as asked for, else those of the earliest registration and the latest event."""
        registered = self.users_read.first_day
        first, last = self.first, self.last
        if first is None or last is None:
            latest = last_day(self.engine, self.sources["events"], self.clock)
            if latest is None or registered is None:
                raise InputError(_no_days(self, "events", "event_at"))
            first = first or registered  # an event before it is no user's: such rows are rejected
            last = last or latest
        if first > last:
            raise EmptyWindowError(f"observed_from ({first}) is after observed_until ({last}): the log covers no day.")
        return Window(first, last)

    def require_day(self, day: date) -> None:
        """Raise where the log does not cover a day.

        Raises
        ------
        InputError
            That names the first and the last day.
        """
        first, last = self.window.first, self.window.last
        if not first <= day <= last:
            raise InputError(f"{day} lies outside the log, which covers {first} to {last}. Choose a day of it.")

    def until(self, day: date) -> Reading:
        """Return the tables as they were known at the end of a day; what does not depend on the window is shared.

        The first day stays that of the whole log. Later events and users stay in the sources and are left out by
        every question, as those outside the window always are.

        Raises
        ------
        InputError
            If the log does not cover the day.
        """
        self.require_day(day)
        other = replace(self, first=self.window.first, last=day, given_engine=self.engine, _gaps={})
        # Sources are opened, users read and rows judged without regard to the window.
        for shared in ("sources", "ids", "users_read", "known_users"):
            vars(other)[shared] = getattr(self, shared)
        return other

    def refuse_attributes(self, table: str) -> None:
        """Raise where an attribute of the users has the name of a column of a public table.

        Raises
        ------
        SchemaError
            That names the attribute and how to map it.
        """
        for column in self.users_read.attributes:
            if column.lower() in schema(table).names:
                raise SchemaError(
                    f"users: {column!r} would collide with a column of the {table}. Rename it, or map it: "
                    f"columns={{'users': {{'user_{column}': {column!r}}}}}."
                )

    @cached_property
    def known_users(self) -> str:
        """Table of all usable users: `_user_key, user_id, registered_at` and the attributes."""
        return known_users(self.engine, self.users_read)

    @cached_property
    def users(self) -> str:
        """The accepted users among them: those who registered before the log ends."""
        late = f"registered_at > {literal(self.window.last)}"
        return self.engine.view("users", f"SELECT * FROM {self.known_users} WHERE NOT {late}")

    @cached_property
    def n_users(self) -> int:
        """Accepted users."""
        return int(self.engine.rows(f"SELECT count(*) FROM {self.users}")[0][0])

    def judged(self, table: str, *, with_row: bool = False) -> str:
        """View of the events, balances or feedback with a verdict on each row."""
        key = (table, with_row)
        if key not in self._views:
            source, user_id = self.sources[table], self.ids[table]
            self._views[key] = judge(self.engine, source, user_id, self.clock, self.known_users, with_row=with_row)
        return self._views[key]

    @cached_property
    def audit(self) -> Audit:
        """How the event rows divide."""
        with_kind = "kind" in self.sources["events"].columns
        return audit_events(
            self.engine, self.judged("events"), self.window.first, self.window.last, with_kind=with_kind
        )

    def require_activity(self, kinds: Kinds) -> None:
        """Raise where these kinds cannot be told, or none of them ever occurs."""
        columns = self.sources["events"].columns
        if kinds is None:
            return
        if "kind" not in columns:
            raise SchemaError(
                f"events: 'kind' is missing.{did_you_mean('kind', columns)} The table has "
                f"{', '.join(map(repr, columns))}. Map it with columns={{'events': {{'kind': ...}}}}, or let every "
                "event count: ChurnRule(activity=None)."
            )
        there = self.audit.kinds
        if there.keys().isdisjoint(kinds):
            hint = next((hint for kind in kinds if (hint := did_you_mean(kind, there))), "")
            listed = ", ".join(map(repr, list(there)[:10])) or "none"
            raise InputError(
                f"events: no event is {' or '.join(map(repr, kinds))}, so that nobody is ever active.{hint} "
                f"Kinds there are: {listed}. Set ChurnRule(activity=...)."
            )

    def gaps(self, kinds: Kinds, idle_days: int) -> str:
        """Table of the gaps longer than `idle_days` (and some shorter ones)."""
        known = self._gaps.get(kinds)
        if known is None or known.longer_than > idle_days:
            self.require_activity(kinds)
            shortest = min(idle_days, _SHORT)
            query = long_gaps_sql(self.judged("events"), self.users, kinds, self.window, longer_than=shortest)
            table = self.engine.table("long_gaps", query)
            if known is not None:
                self.engine.drop(known.table)
            self._gaps[kinds] = Gaps(table, shortest)
        return self._gaps[kinds].table

    @cached_property
    def rejects(self) -> pa.Table:
        """Every row that could not be used: users, events, balances, feedback, each in the order of the source."""
        parts = [user_rejects_sql(self.users_read, self.window.last)]
        if self.audit.rejected:
            parts.append(rejects_sql(self.judged("events", with_row=True), "events"))
        if "balances" in self.sources:
            parts.append(rejects_sql(self.judged("balances", with_row=True), "balances"))
        if "feedback" in self.sources:
            parts.append(feedback_rejects_sql(self.judged("feedback", with_row=True), self.window))
        union = " UNION ALL ".join(parts)
        return self.engine.arrow(
            f'SELECT "table", row, user_id, reason, value FROM ({union})'
            " ORDER BY CASE \"table\" WHEN 'users' THEN 0 WHEN 'events' THEN 1 WHEN 'balances' THEN 2 ELSE 3 END,"
            " row, user_id, reason, value"
        )

    @cached_property
    def feedback_counts(self) -> Mapping[str, int]:
        """Answers read, accepted and rejected; empty where the log has no feedback."""
        if "feedback" not in self.sources:
            return {}
        return count_feedback(self.engine, self.judged("feedback"), self.window)

    @cached_property
    def equal_events(self) -> int:
        """Accepted events inside the window that equal another one in all columns."""
        first, last = literal(self.window.first), literal(self.window.last)
        others = [column for column in self.sources["events"].columns if column not in {"user_id", "event_at"}]
        # Rows of one user at one time are few: only they are compared in full.
        query = f"""
            WITH fine AS (
                SELECT * FROM {self.judged("events")} WHERE _reason IS NULL AND _day BETWEEN {first} AND {last}
            ),
            together AS (SELECT _user_key, _at FROM fine GROUP BY _user_key, _at HAVING count(*) > 1)
            SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM (
                SELECT count(*) AS n FROM fine JOIN together USING (_user_key, _at)
                GROUP BY _user_key, _at, _amount{"".join(f", {name(column)}" for column in others)}
                HAVING count(*) > 1
            )
        """
        return int(self.engine.rows(query)[0][0])


def _no_days(reading: Reading, table: str, column: str) -> str:
    source = reading.sources[table]
    example = reading.engine.rows(f"SELECT min(CAST({name(column)} AS VARCHAR)) FROM {source.view}")[0][0]
    found = "every one is missing" if example is None else f"they look like {example!r}"
    return (
        f"{table}: not one value of {column!r} can be read as a day; {found}. Use dates such as '2024-05-01' or times "
        "such as '2024-05-01 09:30', and check that columns= names the right column."
    )
