"""The embedded engine: one DuckDB connection in UTC that reads tables and spills to disk when memory is short."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.data.engine import Engine, UnreadableDataError
from churnsurv.data.sql import literal
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["DuckDBEngine", "open_duckdb"]

_OTHER = "Make it with engine.sql(...), pass engine=engine."


class DuckDBEngine(Engine):
    """A DuckDB connection; made by `churnsurv.connect`."""

    __slots__ = ("_close", "_connection", "database")

    #: Short whole numbers sort and join faster than ids.
    user_key: ClassVar[str] = "CAST(row_number() OVER (ORDER BY user_id) AS INTEGER)"

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str, spill: _SpillFolder) -> None:
        super().__init__()
        self.database = database
        self._connection = connection
        self._close = weakref.finalize(self, _close, connection, spill)

    def sql(self, query: str) -> Any:
        """Return a lazy relation of this connection; paths such as 'events/*.parquet' can stand in FROM."""
        import duckdb

        try:
            return self._connection.sql(query)
        except duckdb.Error as error:
            raise InputError(f"The engine cannot read this query: {error}") from error

    def close(self) -> None:
        """Close the connection; its temporary tables and files go."""
        self._close()

    def __repr__(self) -> str:
        state = "" if self._close.alive else ", closed"
        return f"<Engine: DuckDB, {self.database}{state}>"

    def run(self, statement: str) -> None:
        """Run a statement that returns nothing."""
        with self._data_errors():
            self._connection.execute(statement).fetchall()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch a small answer as Python rows."""
        with self._data_errors():
            rows: list[tuple[Any, ...]] = self._connection.sql(query).fetchall()
        return rows

    def arrow(self, query: str) -> pa.Table:
        """Fetch an answer as an Arrow table."""
        with self._data_errors():
            return self._connection.sql(query).to_arrow_table()

    def describe(self, relation: str) -> dict[str, str]:
        """Return the columns of a table or view and their types."""
        return {str(row[0]): str(row[1]) for row in self.rows(f"DESCRIBE SELECT * FROM {relation}")}

    def register(self, what: str, table: pa.Table) -> str:
        """Make an Arrow table readable, without a copy, and return the name it got."""
        name = self.fresh(what)
        self._connection.register(name, table)
        return name

    def adopt(self, what: str, relation: Any) -> str:
        """Copy a relation into a table of this connection, and return the name it got."""
        import duckdb

        if not hasattr(relation, "query"):
            raise UnreadableDataError(f"a {type(relation).__name__} belongs to another engine than DuckDB. {_OTHER}")
        table = self.fresh(what)
        try:
            # Runs on the connection that the relation belongs to: only its own engine sees the table afterwards.
            made = relation.query(f"{table}_source", f"CREATE TEMP TABLE {table} AS SELECT * FROM {table}_source")
            if made is not None:
                made.fetchall()
        except duckdb.Error as error:
            raise UnreadableDataError(f"the relation cannot be read: {error}") from error
        try:
            self.describe(table)
        except duckdb.Error as error:
            raise UnreadableDataError(f"the relation belongs to another connection. {_OTHER}") from error
        return table

    def parquet(self, what: str, path: str, files: Sequence[str], *, numbered: bool) -> tuple[str, str | None]:  # noqa: ARG002
        """Return the SQL that reads Parquet files where they are, and the column with a row's position in its file."""
        self.remember_files(files)
        if numbered:
            return f"read_parquet({literal(path)}, file_row_number = true)", "file_row_number"
        return f"read_parquet({literal(path)})", None

    @property
    def csv_reader(self) -> Engine:
        """DuckDB itself."""
        return self

    def drop(self, table: str) -> None:
        """Let go of a table or view made before."""
        if self.rows(f"SELECT 1 FROM duckdb_views() WHERE view_name = {literal(table)}"):
            self._connection.unregister(table)  # does nothing where it is no registered table
            self.run(f"DROP VIEW IF EXISTS {table}")
        else:
            self.run(f"DROP TABLE {table}")

    def _make(self, name: str, query: str, *, kept: bool) -> None:
        self.run(f"CREATE TEMP {'TABLE' if kept else 'VIEW'} {name} AS {query}")

    @contextmanager
    def _data_errors(self) -> Iterator[None]:
        """Data that cannot be read is the input's fault; a statement that cannot be is ours, and shows itself."""
        import duckdb

        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise UnreadableDataError(
                f"The engine is out of memory: {error}. Give connect() a larger limit."
            ) from error
        except duckdb.Error as error:
            # Damaged pages are reported as the bare error.
            of_data = (duckdb.IOException, duckdb.InvalidInputException, duckdb.DataError)
            if not isinstance(error, of_data) and type(error) is not duckdb.Error:
                raise
            raise UnreadableDataError(f"The engine cannot read the data: {error}{self._damaged(str(error))}") from error
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # how the engine tells of Ctrl-C
                raise KeyboardInterrupt from error
            raise

    def _damaged(self, message: str) -> str:
        """Name the files that cannot be read in full, where the message names none."""
        import duckdb

        if any(file in message for file in self._files):
            return ""
        damaged = []
        for file in self._files:
            try:
                self._connection.execute(f"SELECT sum(hash(COLUMNS(*))) FROM read_parquet({literal(file)})").fetchall()
            except duckdb.Error:
                damaged.append(file)
        listed = ", ".join(map(repr, damaged[:5])) + (f" and {len(damaged) - 5} more" if len(damaged) > 5 else "")
        return f". Damaged: {listed}. Write it again, or leave it out." if damaged else ""


class _SpillFolder:
    """A folder that goes with its owner, or with the run.

    Its removal is arranged before it is there: a run may be stopped at any moment, also in the middle of making it.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir()) / f"churnsurv-{secrets.token_hex(8)}"
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)


def _close(connection: duckdb.DuckDBPyConnection, spill: _SpillFolder) -> None:
    connection.close()
    spill.remove()


def open_duckdb(
    database: str | None = None, *, memory_limit: str | None = None, threads: int | None = None
) -> DuckDBEngine:
    """Open a connection with a spill folder of its own; see `churnsurv.connect`."""
    import duckdb

    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads must be 1 or more; it is {threads!r}.")
    path = (database or ":memory:").removeprefix("duckdb:///")
    if path != ":memory:" and not Path(path).parent.is_dir():
        raise InputError(f"There is no folder {str(Path(path).parent)!r} for the database {path!r}.")
    spill = _SpillFolder()
    settings: dict[str, str | int | None] = {"memory_limit": memory_limit, "threads": threads}
    try:
        connection = duckdb.connect(path)
        for setting, value in {**settings, "TimeZone": "UTC", "temp_directory": str(spill.path)}.items():
            if value is not None:
                connection.execute(f"SET {setting} = {literal(value)}").fetchall()
        connection.execute("SET enable_progress_bar = false").fetchall()
    except duckdb.Error as error:
        spill.remove()
        raise InputError(f"DuckDB cannot open {path!r} like this: {error}") from error
    return DuckDBEngine(connection, "in memory" if path == ":memory:" else path, spill)
