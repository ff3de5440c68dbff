"""The engine: one embedded DuckDB connection in UTC that reads tables and spills to disk when memory is short."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.data.sql import literal
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["Engine", "UnreadableDataError", "connect"]


class UnreadableDataError(InputError):
    """The engine met data that it cannot read, or more than it has room for."""


class Engine:
    """A DuckDB connection that `ActivityLog` computes on; made by `connect`.

    Examples
    --------
    >>> with connect() as engine:
    ...     engine.sql("SELECT 1 AS one").fetchall()
    [(1,)]
    """

    __slots__ = ("__weakref__", "_close", "_connection", "_numbers", "database")

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str, spill: str | None) -> None:
        self.database = database
        self._connection = connection
        self._numbers = itertools.count(1)
        self._close = weakref.finalize(self, _close, connection, spill)

    def sql(self, query: str) -> Any:
        """Return a lazy relation of this engine, to look at or to hand to `ActivityLog`.

        Parameters
        ----------
        query : str
            A SELECT in DuckDB's dialect; paths such as 'events/*.parquet' can stand in FROM.

        Raises
        ------
        InputError
            If DuckDB cannot read the query; its own message is given.
        """
        import duckdb

        try:
            return self._connection.sql(query)
        except duckdb.Error as error:
            raise InputError(f"The engine cannot read this query: {error}") from error

    def close(self) -> None:
        """Close the connection; its temporary tables and files go."""
        self._close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._close.alive else ", closed"
        return f"<Engine: DuckDB, {self.database}{state}>"

    def run(self, statement: str) -> None:
        """Run a statement that returns nothing."""
        with _data_errors():
            self._connection.execute(statement).fetchall()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch a small answer as Python rows."""
        with _data_errors():
            rows: list[tuple[Any, ...]] = self._connection.sql(query).fetchall()
        return rows

    def arrow(self, query: str) -> pa.Table:
        """Fetch an answer as an Arrow table."""
        with _data_errors():
            return self._connection.sql(query).to_arrow_table()

    def register(self, view: str, table: object) -> None:
        """Make an Arrow table readable under a name, without a copy."""
        self._connection.register(view, table)

    def describe(self, relation: str) -> dict[str, str]:
        """Return the columns of a table or view and their types."""
        return {str(row[0]): str(row[1]) for row in self.rows(f"DESCRIBE SELECT * FROM {relation}")}

    def fresh(self, what: str) -> str:
        """Return a name for a temporary table that is not taken."""
        return f"churnsurv_{next(self._numbers)}_{what}"


@contextmanager
def _data_errors() -> Iterator[None]:
    """Data that cannot be read is the input's fault; a statement that cannot be is ours, and shows itself."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UnreadableDataError(f"The engine is out of memory: {error}. Give connect() a larger limit.") from error
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.DataError) as error:
        raise UnreadableDataError(f"The engine cannot read the data: {error}") from error
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # how the engine tells of Ctrl-C
            raise KeyboardInterrupt from error
        raise


def _close(connection: duckdb.DuckDBPyConnection, spill: str | None) -> None:
    connection.close()
    if spill is not None:
        shutil.rmtree(spill, ignore_errors=True)


def connect(database: str | None = None, *, memory_limit: str | None = None, threads: int | None = None) -> Engine:
    """Open an embedded DuckDB engine.

    Parameters
    ----------
    database : str, optional
        Path of a DuckDB file, also as ``duckdb:///file.db``; in memory by default.
    memory_limit : str, optional
        Such as ``"2GB"``; beyond it the engine spills to a temporary directory.
    threads : int, optional
        Number of threads; all cores by default.

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
    import duckdb

    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads must be 1 or more; it is {threads!r}.")
    path = (database or ":memory:").removeprefix("duckdb:///")
    if path != ":memory:" and not Path(path).parent.is_dir():
        raise InputError(f"There is no folder {str(Path(path).parent)!r} for the database {path!r}.")
    spill = tempfile.mkdtemp(prefix="churnsurv-")
    settings: dict[str, str | int | None] = {"memory_limit": memory_limit, "threads": threads}
    try:
        connection = duckdb.connect(path)
        for setting, value in {**settings, "TimeZone": "UTC", "temp_directory": spill}.items():
            if value is not None:
                connection.execute(f"SET {setting} = {literal(value)}").fetchall()
        connection.execute("SET enable_progress_bar = false").fetchall()
    except duckdb.Error as error:
        shutil.rmtree(spill, ignore_errors=True)
        raise InputError(f"DuckDB cannot open {path!r} like this: {error}") from error
    except BaseException:  # stopped half-way: nobody else knows of the folder yet
        shutil.rmtree(spill, ignore_errors=True)
        raise
    return Engine(connection, "in memory" if path == ":memory:" else path, spill)
