"""Spark as an engine, through a session of the user: the same statements, translated, and the same tables.

Statements run in a session of our own beside the user's (`newSession`): it shares the cluster, and its settings, on
which results would depend, are ours. What the user hands over - tables of Spark - crosses from one to the other.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from churnsurv.data.engine import Engine, UnreadableDataError
from churnsurv.data.spark_sql import to_spark
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SparkEngine"]

#: What a result could depend on. A day is one of UTC; ANSI mode prints decimals in full and fails where DuckDB does;
#: damaged and missing files are errors; names ignore case, as in DuckDB.
_SETTINGS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
_INSTALL = "pip install 'churnsurv[spark]'"
#: A column of a registered table has its Arrow type here, where Spark has another.
_ARROW_TYPE = "churnsurv_arrow"
_ROW = "_churnsurv_row"
_JAVA = re.compile(r"^:?\s*(?:[\w.$]+(?:Exception|Error):\s+)*")
_REASON = re.compile(r"\[[A-Z][A-Z_.]+\][^\n]*")


class SparkEngine(Engine):
    """A session of Spark 4; made by ``churnsurv.connect(spark=session)``. The session itself stays as it is.

    Views are temporary; a table that is used again and again is computed at its first use and kept in memory, or on
    the disks of the cluster where that is short. Nanoseconds are cut to microseconds: Spark has no others.
    """

    __slots__ = ("_close", "_csv", "_held", "_own", "session")

    user_key: ClassVar[str] = "user_id"  # numbering all users would bring them to one machine
    registered_row: ClassVar[str | None] = _ROW

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session
        self._own = _own_session(session)
        self._held: dict[str, Any] = {}
        self._csv: Engine | None = None
        self._close = weakref.finalize(self, _release, self._own, self._held)
        self._close.atexit = False  # Spark ends with the process, and is perhaps gone before us

    def sql(self, query: str) -> Any:
        """Return the DataFrame of a query in Spark's dialect; it runs in the user's session and sees its tables."""
        from pyspark.errors import PySparkException

        try:
            return self.session.sql(query)
        except PySparkException as error:
            raise InputError(f"The engine cannot read this query: {_first_line(error)}") from error

    def close(self) -> None:
        """Drop everything that was made. The session goes on."""
        self._close()
        if self._csv is not None:
            self._csv.close()

    def __repr__(self) -> str:
        state = "" if self._close.alive else ", closed"
        return f"<Engine: Spark {self.session.version}{state}>"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch a small answer as Python rows."""
        return list(zip(*(column.to_pylist() for column in self.arrow(query).columns), strict=True))

    def arrow(self, query: str) -> pa.Table:
        """Fetch an answer as an Arrow table, with the types that DuckDB would give."""
        with _data_errors():
            frame = self._run(query)
            return _as_duckdb(frame.toArrow(), frame.schema)

    def describe(self, relation: str) -> dict[str, str]:
        """Return the columns of a table or view and their types, by DuckDB's names."""
        with _data_errors():
            return {field.name: _duckdb_type(field) for field in self._run(f"SELECT * FROM {relation}").schema}

    def register(self, what: str, table: pa.Table) -> str:
        """Make an Arrow table readable, with the position of each row, and return the name it got."""
        plain, schema = _for_spark(table)
        with _data_errors():
            return self.adopt(what, self.session.createDataFrame(plain, schema))

    def adopt(self, what: str, relation: Any) -> str:
        """Make a DataFrame readable by our statements, and return the name it got.

        It is not copied: each question runs it again. One that is costly is worth a ``.cache()``.
        """
        if not hasattr(relation, "createGlobalTempView"):
            raise UnreadableDataError(
                f"a {type(relation).__name__} is no DataFrame of Spark. Make one, or give a table that Spark can load."
            )
        with _data_errors():
            shared = f"churnsurv_{uuid4().hex}"
            folder = self._own.conf.get("spark.sql.globalTempDatabase", "global_temp")
            _plain_text(relation).createGlobalTempView(shared)
            try:
                frame = self._own.table(f"{folder}.{shared}")
            finally:
                self._own.catalog.dropGlobalTempView(shared)  # the plan is known by now
            return self._named(self.fresh(what), frame)

    def parquet(self, what: str, path: str, files: Sequence[str], *, numbered: bool) -> tuple[str, str | None]:
        """Make Parquet files readable; return what can stand in FROM, and the column with a row's position in it."""
        _require_columns(files)
        with _data_errors(statements=True):
            reader = self._own.read
            if files:  # as in DuckDB, the first file says which columns there are
                reader = reader.schema(reader.parquet(files[0]).schema)
            frame = reader.parquet(*(files or (path,)))
            if numbered:
                frame = frame.select("*", "_metadata.row_index").withColumnRenamed("row_index", "file_row_number")
            return self._named(self.fresh(what), frame), "file_row_number" if numbered else None

    @property
    def csv_reader(self) -> Engine:
        """An embedded DuckDB reads CSV: one set of rules for all engines."""
        if self._csv is None:
            from churnsurv.data.engine_duckdb import open_duckdb

            self._csv = open_duckdb()
        return self._csv

    def drop(self, table: str) -> None:
        """Let go of a table or view made before."""
        _let_go(self._own, table, self._held.pop(table))

    def _make(self, name: str, query: str, *, kept: bool) -> None:
        from pyspark import StorageLevel

        with _data_errors():
            frame = self._run(query)
            # Lazily: the first question to the table computes it, and a job of its own is spared.
            self._named(name, frame.persist(StorageLevel.MEMORY_AND_DISK) if kept else frame)

    def _run(self, query: str) -> Any:
        if not self._close.alive:
            raise InputError("This engine is closed. Connect again: churnsurv.connect(spark=session).")
        return self._own.sql(to_spark(query))

    def _named(self, name: str, frame: Any) -> str:
        frame.createOrReplaceTempView(name)
        self._held[name] = frame
        return name


def _own_session(session: Any) -> Any:
    """A second session on the same cluster: the user's settings, but for those that results depend on."""
    try:
        from pyspark.errors import PySparkException
    except ImportError as error:
        raise InputError(f"Spark needs pyspark 4.0 or later, which is not installed: {_INSTALL}.") from error
    if not all(hasattr(session, name) for name in ("newSession", "createDataFrame", "conf")):
        raise InputError(f"spark must be a SparkSession; it is a {type(session).__name__}.")
    if type(session).__module__.startswith("pyspark.sql.connect"):
        raise InputError("Spark Connect is not supported: give a session that runs beside this process.")
    to_spark("SELECT 1")  # says at once what is missing
    try:
        if int(str(session.version).split(".")[0]) < 4:
            raise InputError(f"Spark 4.0 or later is needed; this session runs {session.version}.")
        own = session.newSession()
        settings = {**session.conf.getAll, **_SETTINGS}
        for setting, value in settings.items():
            if setting in _SETTINGS or own.conf.isModifiable(setting):
                own.conf.set(setting, value)
    except PySparkException as error:
        raise InputError(f"The Spark session cannot be used: {_first_line(error)}") from error
    return own


def _require_columns(files: Sequence[str]) -> None:
    """Raise where a file lacks a column of the first one: Spark would take it for missing values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names: set[str] | None = None
    for file in files:
        try:
            there = {column.lower() for column in pq.read_schema(file).names}
        except (pa.ArrowException, OSError):
            continue  # Spark says what is wrong with it
        names = there if names is None else names
        if lacking := sorted(names - there):
            raise UnreadableDataError(
                f"the file {file!r} lacks {', '.join(map(repr, lacking))}, which {files[0]!r} has. "
                "Write it again with all columns, or leave it out."
            )


@contextmanager
def _data_errors(*, statements: bool = False) -> Iterator[None]:
    """Data that cannot be read is the input's fault; a statement that cannot be is ours, and shows itself.

    `statements`: those too are the input's fault, as where a file has no schema.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except AnalysisException as error:
        if not statements:
            raise
        raise UnreadableDataError(f"Spark cannot read the data: {_first_line(error)}") from error
    except (PySparkException, Py4JError) as error:
        raise UnreadableDataError(f"Spark cannot read the data: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Spark's own first line, without what Java and the bridge to it put around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("An error occurred while calling", "JVM stacktrace"))]
    first = _JAVA.sub("", (told or [type(error).__name__])[0])
    # Before 4.1 a failed job says so first, and its reason, which has a class in brackets, further down.
    reason = _REASON.search(str(error))
    return first if reason is None or first.startswith("[") else reason.group()


def _release(own: Any, held: dict[str, Any]) -> None:
    if own.sparkContext._jsc is None:  # stopped: everything is gone already
        held.clear()
        return
    while held:
        name, frame = held.popitem()
        _let_go(own, name, frame)


def _let_go(own: Any, name: str, frame: Any) -> None:
    own.catalog.dropTempView(name)
    if frame.storageLevel.useMemory:
        frame.unpersist()


def _plain_text(frame: Any) -> Any:
    """Text compares byte by byte, as in DuckDB, also where a column has another collation."""
    from pyspark.sql import functions
    from pyspark.sql.types import StringType

    other = [
        field.name
        for field in frame.schema
        if isinstance(field.dataType, StringType)
        and getattr(field.dataType, "collation", "UTF8_BINARY") != "UTF8_BINARY"
    ]
    if not other:
        return frame
    return frame.withColumns({name: functions.collate(frame[name], "UTF8_BINARY") for name in other})


def _for_spark(table: pa.Table) -> tuple[pa.Table, Any]:
    """Give a table the types that Spark has, the position of each row, and a schema that remembers the others."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import LongType, StructType

    schema, columns = StructType(), {}
    for field, values in zip(table.schema, table.columns, strict=True):
        kind = _spark_arrow(field.type)
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            values = pc.floor_temporal(values, unit="microsecond")  # the last of a day must not become the next
        columns[field.name] = values if kind == field.type else values.cast(kind)
        known = {} if kind == field.type or not _restored(field.type) else {_ARROW_TYPE: str(field.type)}
        schema.add(field.name, from_arrow_type(kind, prefer_timestamp_ntz=True), True, known)
    columns[_ROW] = pa.array(np.arange(table.num_rows, dtype=np.int64))
    schema.add(_ROW, LongType())
    return pa.table(columns), schema


def _spark_arrow(kind: pa.DataType) -> pa.DataType:
    """The Arrow type of what Spark has in place of a type."""
    import pyarrow as pa

    types = pa.types
    wider = {"uint8": pa.int16(), "uint16": pa.int32(), "uint32": pa.int64(), "uint64": pa.decimal128(20, 0)}
    if str(kind) in wider:
        return wider[str(kind)]
    if types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if types.is_dictionary(kind):
        return _spark_arrow(kind.value_type)
    if types.is_date64(kind):
        return pa.date32()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return pa.binary()
    plain = (types.is_boolean, types.is_signed_integer, types.is_floating, types.is_date32, types.is_null)
    if any(test(kind) for test in plain) or types.is_decimal128(kind) or types.is_binary(kind):
        return kind
    return pa.string()


def _restored(kind: pa.DataType) -> bool:
    """Whether DuckDB would give this type back."""
    import pyarrow as pa

    return pa.types.is_unsigned_integer(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)


def _as_duckdb(table: pa.Table, schema: Any) -> pa.Table:
    """Give an answer of Spark the types of DuckDB: those that its columns were registered with."""
    import pyarrow as pa

    plain = {"uint8": pa.uint8(), "uint16": pa.uint16(), "uint32": pa.uint32(), "uint64": pa.uint64()}
    times = {f"timestamp[{unit}]": pa.timestamp(unit) for unit in ("s", "ms", "ns")}
    fields, columns = [], []
    for field, values, known in zip(table.schema, table.columns, schema, strict=True):
        kind = (plain | times).get((known.metadata or {}).get(_ARROW_TYPE, ""), field.type)
        fields.append(pa.field(field.name, kind))
        columns.append(values if kind == field.type else values.cast(kind))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


_DUCKDB_TYPES: Mapping[str, str] = {
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
    "binary": "BLOB",
    "void": '"NULL"',
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "timestamp[s]": "TIMESTAMP_S",
    "timestamp[ms]": "TIMESTAMP_MS",
    "timestamp[ns]": "TIMESTAMP",
}


def _duckdb_type(field: Any) -> str:
    kind = field.dataType.simpleString()
    kind = (field.metadata or {}).get(_ARROW_TYPE, kind)
    return _DUCKDB_TYPES.get(kind.partition(" collate")[0], kind.upper())
