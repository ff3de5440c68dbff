"""Look at two files of a log and propose how to read them: columns, clock, window and activity, each with evidence.

A proposal is a first guess to be checked by a person, so every choice comes with the sentence that led to it. Columns
are found by name and by content: types, uniqueness, and how many ids of the events are among those of the users.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from churnsurv.data.clock import Clock
from churnsurv.data.engine import Engine, connect
from churnsurv.data.engine_duckdb import open_duckdb
from churnsurv.data.sources import open_source
from churnsurv.data.sql import literal, literals
from churnsurv.data.sql import name as quoted
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Proposal", "engine_in", "propose_study", "require_one_file"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names under which a column is known elsewhere, the most telling first; compared in lower case without separators.
KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "user_id": _words(
        "userid uid customerid clientid memberid accountid sellerid buyerid playerid customer client member account "
        "seller user uuid id 用户id 用戶id"
    ),
    "registered_at": _words(
        "registeredat registrationdate registrationtime registered registration signupdate signupat signedupat signup "
        "joinedat joindate joined createdat creationdate created wondate firstseen startdate 注册时间 註冊時間"
    ),
    "event_at": _words(
        "eventat eventtime eventdate eventtimestamp occurredat timestamp ts time datetime date day createdat "
        "orderdate purchasedate paidat shippinglimitdate"
    ),
    "kind": _words("kind eventkind eventtype eventname event type action activity category"),
    "amount": _words("amount value price total revenue sum gmv payment 金额 金額"),
    "product": _words("product producttype productname productid sku item plan"),
}
ACTIVE_WORDS = (
    *("login", "logon", "signin", "visit", "session", "open", "view", "click", "search", "play", "order", "purchase"),
    *("buy", "invest", "deposit", "pay", "subscribe", "trade", "transfer", "登錄", "登录", "投資", "投资"),
)
CHANNEL_WORDS = ("channel", "origin", "source", "campaign", "medium", "渠道")
MAX_CATEGORIES = 12
_MAX_KINDS = 200
_FIRST_ROWS = 100_000
_CLOCK = Clock("UTC", "UTC")


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """How two files can be read.

    Attributes
    ----------
    columns : mapping
        For each table, our column names and theirs where they differ.
    kinds : tuple of str or None
        Kinds that count as activity; None: every event.
    observed_from : date or None
        Where the log begins after users registered; None: nobody is left-truncated.
    observed_until : date
        The last day that the log covers in full.
    groups : tuple of str
        Attributes of users with few values, those that name a channel first.
    evidence : tuple of (str, str)
        What was decided, and why.
    gaps : DataFrame
        `duration` (days between two active days, or from the last one to the end of the log), `returned`, `n`.
    """

    columns: Mapping[str, Mapping[str, str]]
    kinds: tuple[str, ...] | None
    observed_from: date | None
    observed_until: date
    groups: tuple[str, ...]
    evidence: tuple[tuple[str, str], ...]
    gaps: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column looks like: rows filled, distinct values (about), share of filled cells that are times, numbers."""

    name: str
    type: str
    filled: int
    distinct: int
    as_time: float
    as_number: float

    @property
    def is_time(self) -> bool:
        return self.as_time >= 0.9

    @property
    def is_number(self) -> bool:
        return self.as_number >= 0.99 and not self.is_time

    @property
    def is_word(self) -> bool:
        return self.type.startswith(("VARCHAR", "ENUM", "BOOLEAN")) and not self.is_time and not self.is_number


@dataclass(frozen=True, slots=True)
class _Table:
    """One input file: the view that reads it, its name for messages, its rows and columns."""

    view: str
    label: str
    n_rows: int
    columns: tuple[_Column, ...]

    def __getitem__(self, name: str) -> _Column:
        return next(column for column in self.columns if column.name == name)


Found = dict[str, dict[str, str]]
Evidence = list[tuple[str, str]]


def engine_in(folder: str | Path) -> Engine:
    """Connect an engine that looks for the files named in a query in the working folder, then in this one.

    Parameters
    ----------
    folder : str or Path

    Examples
    --------
    >>> with engine_in(".") as engine:
    ...     engine.sql("SELECT 1 AS one").fetchall()
    [(1,)]
    """
    engine = open_duckdb()
    engine.run(f"SET file_search_path = {literal(str(Path(folder).resolve()))}")
    return engine


def require_one_file(query: str, folder: str | Path) -> None:
    """Raise where a file named in a query is in the folder and in the working folder too: DuckDB takes the latter.

    Parameters
    ----------
    query : str
    folder : str or Path
        That of `engine_in`.

    Raises
    ------
    InputError
        If two different files go by one name.
    """
    for named in re.findall(r"'((?:[^']|'')+)'", query):
        path = Path(named.replace("''", "'"))
        here, there = Path.cwd() / path, Path(folder) / path
        if here.is_file() and there.is_file() and not here.samefile(there):
            raise InputError(
                f"The query reads {named!r}, which is in the folder of the study and, another file, in the working "
                "folder. Run from another folder, or write the whole path in the query."
            )


def propose_study(events: str | Path, users: str | Path) -> Proposal:
    """Look at two files and propose how to read them as a log.

    Parameters
    ----------
    events, users : str or Path
        Parquet or CSV files, or globs of them.

    Returns
    -------
    Proposal

    Raises
    ------
    InputError
        If a file cannot be read or is empty, or no columns of ids and times are found in it.
    """
    with connect() as engine:
        tables = {"events": _look(engine, "events", str(events)), "users": _look(engine, "users", str(users))}
        evidence: Evidence = [(name, f"{table.n_rows:,} rows in {table.label}") for name, table in tables.items()]
        found = _find_ids(engine, tables, evidence)
        found["events"]["event_at"] = _find_time(tables["events"], "events", "event_at", found, evidence)
        found["users"]["registered_at"] = _find_time(tables["users"], "users", "registered_at", found, evidence)
        _find_rest(tables["events"], found["events"], evidence)
        kinds = _find_kinds(engine, tables["events"], found["events"].get("kind"), evidence)
        window = _find_window(engine, tables, found, evidence)
        groups = _find_groups(engine, tables["users"], found["users"], evidence)
        return Proposal(
            columns={name: {o: t for o, t in pairs.items() if o != t} for name, pairs in found.items()},
            kinds=kinds,
            observed_from=window[0],
            observed_until=window[1],
            groups=groups,
            evidence=tuple(evidence),
            gaps=_gaps(engine, tables, found, kinds, window[1]),
        )


def _look(engine: Engine, table: str, path: str) -> _Table:
    """Open a file and describe its columns; text is tried as times and numbers on its first rows."""
    source = open_source(engine, table, path, {}, ())
    asked = ["count(*)"]
    tried = ["1"]
    for column, kind in source.columns.items():
        here = quoted(column)
        asked += [f"count({here})", f"approx_count_distinct({here})"]
        filled = f"nullif(count({here}), 0)"
        tried += [f"count({_as_day(column, kind)}) / {filled}", f"count({_as_number(here, kind)}) / {filled}"]
    full = engine.rows(f"SELECT {', '.join(asked)} FROM {source.view}")[0]
    part = engine.rows(f"SELECT {', '.join(tried)} FROM (SELECT * FROM {source.view} LIMIT {_FIRST_ROWS})")[0]
    columns = tuple(
        _Column(name, kind, full[1 + 2 * i], full[2 + 2 * i], part[1 + 2 * i] or 0.0, part[2 + 2 * i] or 0.0)
        for i, (name, kind) in enumerate(source.columns.items())
    )
    return _Table(source.view, Path(path).name, full[0], columns)


def _as_day(column: str, kind: str) -> str:
    readable = kind.startswith(("DATE", "TIMESTAMP", "VARCHAR", "ENUM"))
    return _CLOCK.day(quoted(column), kind, column) if readable else "NULL"


def _as_number(here: str, kind: str) -> str:
    if kind.startswith("VARCHAR"):
        return f"TRY_CAST({here} AS DOUBLE)"
    return here if "INT" in kind or kind.startswith(("DOUBLE", "FLOAT", "DECIMAL")) else "NULL"


def _by_name(columns: Iterable[_Column], ours: str) -> list[tuple[int, _Column]]:
    """Columns with a score for their name: highest for our own name, 0 for a name that tells nothing."""
    known = (ours, *KNOWN_AS[ours])
    scored = []
    for column in columns:
        plain = _plain(column.name)
        scores = [2 * (len(known) - i) for i, name in enumerate(known) if _plain(name) == plain]
        scores += [1 for name in known[:4] if _plain(name) in plain]
        scored.append((max(scores, default=0), column))
    return sorted(scored, key=lambda pair: -pair[0])


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _find_ids(engine: Engine, tables: Mapping[str, _Table], evidence: Evidence) -> Found:
    """The pair of columns whose ids meet: name and overlap both count, and each user should have one row."""
    best: tuple[float, str, str, float, float] | None = None
    candidates = {
        name: [pair for pair in _by_name(table.columns, "user_id") if not pair[1].is_time and pair[1].distinct > 1]
        for name, table in tables.items()
    }
    for user_score, theirs in candidates["users"][:4]:
        unique = min(theirs.distinct / max(tables["users"].n_rows, 1), 1.0)
        for event_score, other in candidates["events"][:6] if unique > 0.5 else []:
            shared = _overlap(engine, tables, other.name, theirs.name)
            score = shared * 100 + unique * 10 + user_score / 10 + event_score / 10
            if shared > 0.01 and (best is None or score > best[0]):
                best = (score, other.name, theirs.name, shared, unique)
    if best is None:
        names = {name: ", ".join(repr(c.name) for c in table.columns) for name, table in tables.items()}
        raise InputError(
            "No column of the events shares its values with a column of unique ids of the users. "
            f"Events have {names['events']}; users have {names['users']}. Check that the two files belong together "
            "and stand in this order: EVENTS USERS."
        )
    _, in_events, in_users, shared, _ = best
    why = f"{shared:.1%} of the ids in the events are among the users"
    evidence.append(("user_id", f"{in_events!r} in events, {in_users!r} in users: {why}"))
    return {"events": {"user_id": in_events}, "users": {"user_id": in_users}}


def _overlap(engine: Engine, tables: Mapping[str, _Table], in_events: str, in_users: str) -> float:
    """Share of the distinct ids of the events that the users have."""
    ids = {
        name: f"(SELECT DISTINCT CAST({quoted(column)} AS VARCHAR) AS id FROM {tables[name].view})"
        for name, column in (("events", in_events), ("users", in_users))
    }
    query = f"SELECT count(u.id) / count(e.id) FROM {ids['events']} AS e LEFT JOIN {ids['users']} AS u ON e.id = u.id"
    return float(engine.rows(query)[0][0] or 0.0)


def _find_time(table: _Table, name: str, ours: str, found: Found, evidence: Evidence) -> str:
    taken = set(found[name].values())
    times = [
        (score, column)
        for score, column in _by_name(table.columns, ours)
        if column.is_time and column.name not in taken
    ]
    if not times:
        numbers = [column.name for column in table.columns if column.is_number and column.name not in taken]
        hint = (
            f" Are seconds or milliseconds in {', '.join(map(repr, numbers))}? Turn them into times first."
            if numbers
            else ""
        )
        raise InputError(
            f"{name}: no column of {table.label} holds dates or times such as '2024-05-01 09:30' for {ours}.{hint}"
        )
    column = times[0][1]
    others = ", ".join(repr(other.name) for _, other in times[1:])
    zone = _zone_words(column)
    rest = f"; other columns of times: {others}" if others else ""
    evidence.append((ours, f"{column.name!r} in {name} ({column.filled / table.n_rows:.1%} filled, {zone}{rest})"))
    return column.name


def _zone_words(column: _Column) -> str:
    if column.type == "DATE":
        return "dates, taken as they stand"
    if column.type in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"):
        return "times with a zone"
    if column.type.startswith("TIMESTAMP"):
        return "times without a zone, taken as UTC"
    return "text; times without a zone are taken as UTC"


def _find_rest(table: _Table, found: dict[str, str], evidence: Evidence) -> None:
    """The optional columns of events: kind and product are words, an amount is a number."""
    for ours in ("kind", "amount", "product"):
        for score, column in _by_name(table.columns, ours):
            fits = column.is_number if ours == "amount" else column.is_word
            few = ours != "kind" or column.distinct <= _MAX_KINDS
            if score and fits and few and column.name not in found.values():
                found[ours] = column.name
                evidence.append((ours, f"{column.name!r} in events"))
                break


def _find_kinds(engine: Engine, table: _Table, column: str | None, evidence: Evidence) -> tuple[str, ...] | None:
    """Kinds whose names speak of the user doing something; where none does, or there are no kinds, every event."""
    if column is None:
        evidence.append(("activity", "there is no column of kinds: every event counts as activity"))
        return None
    here = quoted(column)
    rows = engine.rows(
        f"SELECT {here}, count(*) FROM {table.view} WHERE {here} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    counts = ", ".join(f"{kind} {n / table.n_rows:.1%}" for kind, n in rows)
    active = tuple(kind for kind, _ in rows if any(word in _plain(kind) for word in ACTIVE_WORDS))
    if not active:
        evidence.append(("activity", f"every event; no kind is named like a login or an order (kinds: {counts})"))
        return None
    evidence.append(("activity", f"{', '.join(active)} (kinds in {column!r}: {counts})"))
    return active


def _find_window(
    engine: Engine, tables: Mapping[str, _Table], found: Found, evidence: Evidence
) -> tuple[date | None, date]:
    """The first day with events, where users are older; the last one with a quarter of the median day's events."""
    event_day = _day_of(tables["events"], found["events"]["event_at"])
    user_day = _day_of(tables["users"], found["users"]["registered_at"])
    days = f"(SELECT {event_day} AS day, count(*) AS n FROM {tables['events'].view} GROUP BY 1)"
    first, last, median = engine.rows(f"SELECT min(day), max(day), median(n) FROM {days} WHERE day IS NOT NULL")[0]
    full = engine.rows(f"SELECT max(day) FROM {days} WHERE n >= {literal(float(median) / 4)}")[0][0]
    later = engine.rows(f"SELECT coalesce(sum(n), 0)::BIGINT FROM {days} WHERE day > {literal(full)}")[0][0]
    thin = f"; the days after it, to {last}, have only {later:,} events in all" if later else ""
    evidence.append(("observed_until", f"{full}, the last day with a usual number of events{thin}"))
    older = f"SELECT avg(CAST({user_day} < {literal(first)} AS INT)), min({user_day}) FROM {tables['users'].view}"
    share, earliest = engine.rows(older)[0]
    if share is None or share < 0.01:
        evidence.append(("observed_from", "the earliest registration: users are seen from it on"))
        return None, full
    evidence.append(
        (
            "observed_from",
            f"{first}, the first event; {share:.1%} of users registered before (from {earliest}) enter late",
        )
    )
    return first, full


def _day_of(table: _Table, column: str) -> str:
    return _CLOCK.day(quoted(column), table[column].type, column)


def _find_groups(engine: Engine, table: _Table, found: dict[str, str], evidence: Evidence) -> tuple[str, ...]:
    """Attributes with two to twelve values, those that name a channel first."""
    words = [c for c in table.columns if c.is_word and c.name not in found.values() and c.distinct >= 2]
    kept = []
    for column in words:
        here = quoted(column.name)
        distinct = engine.rows(f"SELECT count(DISTINCT {here}) FROM {table.view}")[0][0]
        if 2 <= distinct <= MAX_CATEGORIES:
            kept.append((not any(word in column.name.lower() for word in CHANNEL_WORDS), column.name, distinct))
    kept.sort(key=lambda item: item[0])
    text = ", ".join(f"{name!r} ({distinct} values)" for _, name, distinct in kept) or "no column with 2 to 12 values"
    evidence.append(("groups", f"{text}; and the month of registration"))
    return tuple(name for _, name, _ in kept)


def _gaps(
    engine: Engine, tables: Mapping[str, _Table], found: Found, kinds: tuple[str, ...] | None, until: date
) -> pd.DataFrame:
    """Gaps between active days of a user; the last one runs to the end of the log without a return."""
    events, users = tables["events"], tables["users"]
    days = _day_of(events, found["events"]["event_at"])
    active = "" if kinds is None else f" AND {quoted(found['events']['kind'])} IN ({literals(kinds)})"
    query = f"""
        WITH registered AS (
            SELECT CAST({quoted(found["users"]["user_id"])} AS VARCHAR) AS id,
                min({_day_of(users, found["users"]["registered_at"])}) AS day
            FROM {users.view} GROUP BY 1
        ), active AS (
            SELECT id, day FROM registered
            UNION
            SELECT CAST({quoted(found["events"]["user_id"])} AS VARCHAR), {days} FROM {events.view} WHERE TRUE{active}
        ), gaps AS (
            SELECT active.day, lead(active.day) OVER (PARTITION BY id ORDER BY active.day) AS next
            FROM active JOIN registered USING (id)
            WHERE active.day BETWEEN registered.day AND {literal(until)}
        )
        SELECT coalesce(next, {literal(until)}) - day AS duration, next IS NOT NULL AS returned, count(*) AS n
        FROM gaps GROUP BY 1, 2 ORDER BY 1, 2
    """
    gaps: pd.DataFrame = engine.arrow(query).to_pandas()
    return gaps
