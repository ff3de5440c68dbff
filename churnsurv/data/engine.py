"""The engine that a log is read with: an embedded DuckDB by default, or Spark where one machine is outgrown.

Statements are written once, in DuckDB's dialect. An engine makes views and tables from them, reads small answers, and
remembers what it made, so that everything behind an answer can be printed as one query.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.relation import Relation

__all__ = ["Engine", "UnreadableDataError", "connect"]

_OURS = re.compile(r"churnsurv_\d+_\w+")
#: Names of steps inside a statement.
_INSIDE = re.compile(r"(\w+) AS \(")


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

    __slots__ = ("__weakref__", "_files", "_made", "_numbers")

    #: SQL of the key of a user in a table of one row a user; keys are in the order of the ids.
    user_key: ClassVar[str]
    #: The column with the 0-based position of each row in a registered table; None where rows are counted if need be.
    registered_row: ClassVar[str | None] = None

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._made: dict[str, str] = {}
        self._files: list[str] = []

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
    def adopt(self, what: str, relation: Any) -> str:
        """Make a relation of this engine readable by name, and return the name it got.

        Raises
        ------
        UnreadableDataError
            If it cannot be read, or is none of this engine's.
        """

    @abstractmethod
    def parquet(self, what: str, path: str, files: Sequence[str], *, numbered: bool) -> tuple[str, str | None]:
        """Make Parquet files readable.

        Parameters
        ----------
        what : str
        path : str
            The path or glob as given.
        files : sequence of str
            The files that it stands for; none for those that only the engine can list.
        numbered : bool
            Whether a column with the 0-based position of each row is wanted.

        Returns
        -------
        tuple of str and (str or None)
            What can stand in FROM, and the column with the position.
        """

    @property
    @abstractmethod
    def csv_reader(self) -> Engine:
        """The engine that reads CSV files, whose answers can be registered here."""

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

    def relation(self, query: str) -> Relation:
        """Return a query of this engine as a relation, which estimators take and which says how much they would fetch.

        Parameters
        ----------
        query : str
            A SELECT in DuckDB's dialect, whatever the engine.

        Examples
        --------
        >>> with connect() as engine:
        ...     engine.relation("SELECT range % 3 AS duration, TRUE AS churned FROM range(1000)").plan()
        would fetch 3 rows (duration, churned) of 1,000
        """
        from churnsurv.data.relation import Relation

        return Relation.of_engine(self, self.view("relation", query))

    def statement(self, name: str) -> str:
        """Return the statement that a view or table was made with."""
        return self._made[name]

    def remember_files(self, files: Iterable[str]) -> None:
        """Keep in mind which Parquet files are read, so that an error can name the damaged one."""
        self._files += [file for file in files if file not in self._files]

    def script(self, query: str, sources: Mapping[str, str] = MappingProxyType({}), avoid: Collection[str] = ()) -> str:
        """Write a query together with everything behind it, as one statement that stands alone.

        Parameters
        ----------
        query : str
            May name views and tables of this engine.
        sources : Mapping of str to str
            For a view or table of this engine: the SQL that stands in its place.
        avoid : collection of str
            Names that no step may have.

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
        # A step must not be called like a step inside another one, nor like a table that is read.
        taken = {word for text in (query, *queries.values()) for word in _INSIDE.findall(text)} | set(avoid)
        short: dict[str, str] = {}
        for name in steps:
            _, number, word = name.split("_", 2)
            short[name] = word if word not in taken else f"{word}_{number}"
            taken.add(short[name])
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


def connect(
    database: str | None = None, *, memory_limit: str | None = None, threads: int | None = None, spark: Any = None
) -> Engine:
    """Open an engine: an embedded DuckDB, or the Spark of a session.

    Parameters
    ----------
    database : str, optional
        Path of a DuckDB file, also as ``duckdb:///file.db``; in memory by default.
    memory_limit : str, optional
        Such as ``"2GB"``; beyond it DuckDB spills to a temporary directory.
    threads : int, optional
        Threads of DuckDB; all cores by default.
    spark : pyspark.sql.SparkSession, optional
        Use this session, which stays the caller's; the other settings are then left out.

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
    if spark is not None:
        from churnsurv.data.engine_spark import SparkEngine

        if database is not None or memory_limit is not None or threads is not None:
            raise InputError("connect(spark=...) takes no other setting: they are those of the session.")
        return SparkEngine(spark)
    from churnsurv.data.engine_duckdb import open_duckdb

    return open_duckdb(database, memory_limit=memory_limit, threads=threads)
