"""The file of the contact ledger: opened for one question or one transaction at a time, and made whole or not at all.

Only the files ``contact_store*.py`` know that it is a DuckDB file and speak its SQL. A connection is never held between
two operations, so that the file is free while nobody reads or writes. While somebody does, the engine's lock on the
file turns others away; inside this process they wait.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from churnsurv.data.engine_duckdb import _SpillFolder
from churnsurv.data.sql import literal
from churnsurv.errors import DataNotReadyError, InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["FORMAT", "TABLES", "ContactStore", "Opened", "make_user_tables"]

#: Values of a statement, in their order or by name.
Values: TypeAlias = Sequence[object] | Mapping[str, object]

#: Goes up when the tables below change; a file of another format is not touched.
FORMAT = 1
_KIND = "churnsurv contact ledger"

#: Columns of the tables that name users, but for the user; and the key that the database itself guards.
TABLES: Mapping[str, tuple[tuple[tuple[str, str], ...], str | None]] = MappingProxyType(
    {
        "enrolled": (
            (
                ("campaign", "VARCHAR NOT NULL"),
                ("arm", "VARCHAR NOT NULL"),
                ("assigned_on", "DATE NOT NULL"),
                ("contact_on", "DATE NOT NULL"),
                ("tier", "VARCHAR"),
                ("idle_days", "INTEGER"),
                ("risk", "DOUBLE"),
                ("share", "DOUBLE"),
            ),
            "user_id, campaign",
        ),
        "contacts": (
            (
                ("campaign", "VARCHAR NOT NULL"),
                ("arm", "VARCHAR NOT NULL"),
                ("step", "INTEGER NOT NULL"),
                ("place", "INTEGER"),
                ("date", "DATE NOT NULL"),
                ("contact_on", "DATE NOT NULL"),
                ("tier", "VARCHAR"),
                ("track", "VARCHAR"),
                ("channel", "VARCHAR NOT NULL"),
                ("offer", "VARCHAR"),
                ("message", "VARCHAR"),
                ("cost", "DOUBLE"),
                ("reward", "DOUBLE"),
                ("reward_condition", "DOUBLE"),
                ("promised_until", "DATE"),
            ),
            "user_id, campaign, step",
        ),
        "deliveries": (
            (
                ("campaign", "VARCHAR NOT NULL"),
                ("step", "INTEGER NOT NULL"),
                ("delivered_at", "DATE NOT NULL"),
                ("opened_at", "DATE"),
            ),
            None,  # an opening is told after its delivery, in a row of its own
        ),
    }
)
_FIXED = (
    "CREATE TABLE meta (name VARCHAR PRIMARY KEY, value VARCHAR)",
    f"INSERT INTO meta VALUES ('kind', {literal(_KIND)}), ('format', {literal(str(FORMAT))}), ('ids', NULL)",
    "CREATE TABLE campaigns (campaign VARCHAR PRIMARY KEY, draw VARCHAR NOT NULL, lots VARCHAR NOT NULL)",
    "CREATE TABLE days (campaign VARCHAR NOT NULL, date DATE NOT NULL, contact_on DATE NOT NULL,"
    " plan VARCHAR NOT NULL, policy VARCHAR NOT NULL, based_on VARCHAR NOT NULL, n_contacts BIGINT NOT NULL,"
    " n_enrolled BIGINT NOT NULL, PRIMARY KEY (campaign, date))",
)
_HOLDER = re.compile(r"lock is held in (.+?) \(PID (\d+)\)")
_HELD = ("set lock on file", "lock is held", "being used by another process")
_ELSEWHERE = ("different configuration", "already attached", "same database file")
_locks: dict[Path, threading.Lock] = {}


def make_user_tables(ids: str) -> list[str]:
    """SQL that makes the tables that name users, with ids of a type; what was in them is gone."""
    made = []
    for table, (columns, key) in TABLES.items():
        listed = ", ".join(f"{column} {kind}" for column, kind in (("user_id", f"{ids} NOT NULL"), *columns))
        unique = "" if key is None else f", PRIMARY KEY ({key})"
        made.append(f"CREATE OR REPLACE TABLE {table} ({listed}{unique})")
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A ledger that is open, for one question or one transaction.

    Attributes
    ----------
    ids : str or None
        Type of the user ids; None as long as there is none.
    """

    _connection: duckdb.DuckDBPyConnection
    ids: str | None

    def run(self, statement: str, values: Values = ()) -> None:
        """Run a statement that returns nothing."""
        self._connection.execute(statement, values).fetchall()

    def rows(self, query: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Fetch a small answer."""
        found: list[tuple[Any, ...]] = self._connection.execute(query, values).fetchall()
        return found

    def arrow(self, query: str, values: Values = ()) -> pa.Table:
        """Fetch an answer as an Arrow table."""
        return self._connection.sql(query, params=values).to_arrow_table()

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable by a name, for as long as the ledger is open."""
        self._connection.register(name, table)


@dataclass(frozen=True, slots=True)
class ContactStore:
    """The ledger's file by its path.

    Attributes
    ----------
    path : Path
        Absolute. A file that is not there is an empty ledger, made by the first `writing`.
    """

    path: Path

    @contextmanager
    def reading(self) -> Iterator[Opened | None]:
        """Open the ledger to read; None where there is none yet.

        Raises
        ------
        DataNotReadyError
            If another process has it open to write.
        InputError
            If it is no ledger, one of another format, or cannot be read.
        """
        if not self.there():
            yield None
            return
        with self._alone(), self._opened(read_only=True) as opened:
            yield opened

    @contextmanager
    def writing(self) -> Iterator[Opened]:
        """Open the ledger for one transaction, which an error undoes; it is made where it is not there.

        Raises
        ------
        DataNotReadyError
            If another process has it open.
        InputError
            As for `reading`, and if the file cannot be written.
        """
        with self._alone():
            if not self.there():
                self._make()
            self._clear()
            with self._opened(read_only=False) as opened:
                opened.run("BEGIN")
                try:
                    yield opened
                    opened.run("COMMIT")
                except BaseException:
                    # After an error of the disk there may be no transaction left to undo.
                    with contextlib.suppress(_duckdb_error()):
                        opened.run("ROLLBACK")
                    raise

    # -------------------------------------------------------------------------------------------- the file itself

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time inside this process: the lock of a file is a process's, not a thread's."""
        with _locks.setdefault(self.path, threading.Lock()):
            yield

    def there(self) -> bool:
        """Whether the ledger is there; raises where its folder is not, or only a part of it is."""
        if self.path.exists():
            return True
        if not self.path.parent.is_dir():
            raise InputError(
                f"There is no folder {str(self.path.parent)!r} for the ledger {self.path.name!r}. Check the path: an "
                "empty ledger knows of no contact, so that everybody would be contacted again."
            )
        log = self.path.with_name(f"{self.path.name}.wal")
        if log.exists():
            raise InputError(
                f"The ledger {str(self.path)!r} is gone, but {log.name!r}, its last changes, is there. Put both back "
                "into one folder: without the ledger everybody would be contacted again."
            )
        return False

    def _make(self) -> None:
        """Make an empty ledger under another name and let it take its place in one step: none is ever half made."""
        import duckdb

        new = self.path.with_name(f".{self.path.name}.new-{secrets.token_hex(4)}")
        try:
            with duckdb.connect(str(new), config=_settings()) as connection:
                for statement in (*_FIXED, *make_user_tables("BIGINT")):
                    connection.execute(statement).fetchall()
            self._take_the_place(new)
        except (OSError, duckdb.Error) as error:
            raise InputError(
                f"The ledger {str(self.path)!r} cannot be made: {getattr(error, 'strerror', None) or error}. Check "
                "that you may write in its folder and that the disk has room. Nothing was recorded."
            ) from error
        finally:
            for left in (new, new.with_name(f"{new.name}.wal")):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)

    def _take_the_place(self, new: Path) -> None:
        try:
            os.link(new, self.path)  # unlike a renaming it never replaces what another process has made meanwhile
        except (FileExistsError, FileNotFoundError):
            if not self.path.exists():
                raise
        except OSError:  # a file system without links
            if not self.path.exists():
                new.rename(self.path)
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(self.path.parent, os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _clear(self) -> None:
        """Remove what killed runs left beside the ledger while they made it; whoever still makes one comes too late."""
        ours = re.compile(rf"\.{re.escape(self.path.name)}\.new-[0-9a-f]{{8}}(\.wal)?")
        for path in self.path.parent.iterdir():
            if ours.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()

    # ----------------------------------------------------------------------------------------------- opening it

    @contextmanager
    def _opened(self, *, read_only: bool) -> Iterator[Opened]:
        import duckdb

        spill = _SpillFolder()
        try:
            with duckdb.connect(str(self.path), read_only=read_only, config=_settings()) as connection:
                connection.execute(f"SET temp_directory = {literal(str(spill.path))}").fetchall()
                connection.execute("SET enable_progress_bar = false").fetchall()
                yield Opened(connection, self._ids(connection))
        except (duckdb.ProgrammingError, duckdb.IntegrityError, duckdb.DataError):
            raise  # a statement of ours is wrong, or what it was given
        except duckdb.Error as error:
            raise self._told(str(error), read_only=read_only) from error
        finally:
            spill.remove()

    def _ids(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """The type of the ids, once it is sure that the file is a ledger of our format."""
        tables = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'meta'").fetchall()
        facts: dict[str, str | None] = {}
        if tables != [(0,)]:
            with contextlib.suppress(_duckdb_error()):
                facts = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        if facts.get("kind") != _KIND:
            raise InputError(
                f"{str(self.path)!r} is a DuckDB file, but no contact ledger. Name another file: the ledger has one of "
                "its own."
            )
        if facts.get("format") != str(FORMAT):
            raise InputError(
                f"The ledger {str(self.path)!r} has format {facts.get('format')}; this version of churnsurv reads and "
                f"writes format {FORMAT}. Use the version that wrote it, or a newer one. Nothing was changed."
            )
        return facts.get("ids")

    def _told(self, message: str, *, read_only: bool) -> Exception:
        """Say what the engine's message means."""
        where = f"The ledger {str(self.path)!r}"
        if any(part in message for part in _HELD):
            found = _HOLDER.search(message)
            who = f"process {found[2]} ({found[1]})" if found else "another process"
            undone = "" if read_only else " Nothing was recorded."
            return DataNotReadyError(f"{where} is held by {who}.{undone} Try again when that has finished.")
        if any(part in message for part in _ELSEWHERE):
            return DataNotReadyError(
                f"{where} is open elsewhere in this process, not through churnsurv. Close that and try again."
            )
        if "not a valid DuckDB database" in message or "Install it first" in message:
            return InputError(f"{str(self.path)!r} is no contact ledger: it is no DuckDB file. Name another file.")
        if read_only:
            return InputError(f"{where} cannot be read: {message}. Take it from a backup if it is damaged.")
        return InputError(
            f"{where} cannot be written: {message}. Check that you may write to the file and its folder and that the "
            "disk has room. Then record again: what is recorded already is not recorded twice."
        )


def _settings() -> dict[str, Any]:
    # A file of another kind must not make the engine fetch what reads it from the net.
    return {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def _duckdb_error() -> type[Exception]:
    import duckdb

    found: type[Exception] = duckdb.Error
    return found
