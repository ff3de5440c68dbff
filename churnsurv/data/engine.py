"""The engine that a log is read with.

Statements are written in DuckDB's dialect. An engine makes views and tables from them, reads small answers, and
remembers what it made, so that everything behind an answer can be printed as one query.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Engine", "UnreadableDataError", "connect"]

_OURS = re.compile(r"churnsurv_\d+_\w+")


class UnreadableDataError(InputError):
    """The engine met data that it cannot read, or more than it has room for."""


class Engine(ABC):
    """What `ActivityLog` computes on; made by `connect`.

    Statements come in DuckDB's dialect. Views and tables are temporary and have names that nothing else has.

    Examples
    --------
    >>> with connect() as engine:
    ...     engine.sql("SELECT 1 AS one").fetchall()
    [(1,)]
    """

    __slots__ = ("__weakref__", "_made", "_numbers")

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._made: dict[str, str] = {}

    @abstractmethod
    def sql(self, query: str) -> Any:
        """Return a lazy relation of this engine, to look at or to hand to `ActivityLog`.

        Parameters
        ----------
        query : str
            A SELECT in the engine's own dialect; it may name the engine's tables.

        Raises
        ------
        InputError
            If the engine cannot read the query; its own message is given.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything that was made."""

    @abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch a small answer as Python rows."""

    @abstractmethod
    def arrow(self, query: str) -> pa.Table:
        """Fetch an answer as an Arrow table."""

    @abstractmethod
    def describe(self, relation: str) -> dict[str, str]:
        """Return the columns of a table or view and their types, by DuckDB's names."""

    @abstractmethod
    def register(self, what: str, table: pa.Table) -> str:
        """Make an Arrow table readable, and return the name it got."""

    @abstractmethod
    def drop(self, table: str) -> None:
        """Let go of a table or view made before."""

    @abstractmethod
    def _make(self, name: str, query: str, *, kept: bool) -> None:
        """Make a view, or a table that is computed once."""

    def view(self, what: str, query: str) -> str:
        """Make a view and return its name."""
        return self._remembered(what, query, kept=False)

    def table(self, what: str, query: str) -> str:
        """Compute a table once and return its name."""
        return self._remembered(what, query, kept=True)

    def script(self, query: str, sources: Mapping[str, str] = MappingProxyType({})) -> str:
        """Write a query together with everything behind it, as one statement that stands alone.

        Parameters
        ----------
        query : str
            May name views and tables of this engine.
        sources : Mapping of str to str
            For a view or table of this engine: the SQL that stands in its place.

        Examples
        --------
        >>> with connect() as engine:
        ...     one = engine.view("one", "SELECT 1 AS x")
        ...     print(engine.script(f"SELECT * FROM {one}"))
        WITH one AS (
        SELECT 1 AS x
        )
        SELECT * FROM one
        """
        queries = self._made | dict(sources)
        behind, waiting = set[str](), [query]
        while waiting:
            named = {name for name in _OURS.findall(waiting.pop()) if name in queries} - behind
            behind |= named
            waiting += [queries[name] for name in named]
        # In the order in which they were made: each names only what was there before it.
        steps = sorted(behind, key=lambda name: int(name.split("_")[1]))
        short: dict[str, str] = {}
        for name in steps:
            word = name.split("_", 2)[2]
            short[name] = word if word not in short.values() else f"{word}_{name.split('_')[1]}"
        written = [f"{name} AS (\n{queries[name].strip()}\n)" for name in steps]
        whole = f"WITH {', '.join(written)}\n{query.strip()}" if steps else query.strip()
        return _OURS.sub(lambda found: short.get(found.group(), found.group()), whole)

    def fresh(self, what: str) -> str:
        """Return a name that is not taken."""
        return f"churnsurv_{next(self._numbers)}_{what}"

    def _remembered(self, what: str, query: str, *, kept: bool) -> str:
        name = self.fresh(what)
        self._make(name, query, kept=kept)
        self._made[name] = query
        return name

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(database: str | None = None, *, memory_limit: str | None = None, threads: int | None = None) -> Engine:
    """Open an embedded DuckDB engine.

    Parameters
    ----------
    database : str, optional
        Path of a DuckDB file, also as ``duckdb:///file.db``; in memory by default.
    memory_limit : str, optional
        Such as ``"2GB"``; beyond it DuckDB spills to a temporary directory.
    threads : int, optional
        Threads of DuckDB; all cores by default.

    Returns
    -------
    Engine
        With a session in UTC. Close it, or use it in a ``with`` block.

    Raises
    ------
    InputError
        If the database cannot be opened or a setting is not understood.

    Examples
    --------
    >>> connect(memory_limit="1GB", threads=1)
    <Engine: DuckDB, in memory>
    """
    from churnsurv.data.engine_duckdb import open_duckdb

    return open_duckdb(database, memory_limit=memory_limit, threads=threads)
