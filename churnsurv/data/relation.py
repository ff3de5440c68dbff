"""A table inside an engine that is not fetched: what estimators ask of it are counts of equal rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from churnsurv.data.sql import name
from churnsurv.errors import InputError, SchemaError, require_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.engine import Engine

__all__ = ["Counted", "Plan", "Relation", "relation_of"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """How many rows a question to a relation would fetch.

    Attributes
    ----------
    columns : tuple of str
        What is asked for: equal rows of these columns come as one.
    fetched_rows : int
        Rows that would come.
    rows : int
        Rows of the relation.
    """

    columns: tuple[str, ...]
    fetched_rows: int
    rows: int

    def __repr__(self) -> str:
        return f"would fetch {self.fetched_rows:,} rows ({', '.join(self.columns)}) of {self.rows:,}"


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Rows of a relation, equal ones as one.

    Attributes
    ----------
    table : pyarrow.Table
        The columns asked for, in the order of their values; text of few values is categorical, decimals are numbers.
    n : pyarrow.ChunkedArray of int64
        How many rows of the relation each row stands for.
    total : pyarrow.ChunkedArray of float64, or None
        Their sum of the column that was to be added up.
    """

    table: pa.Table
    n: pa.ChunkedArray
    total: pa.ChunkedArray | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Relation:
    """A table inside an engine; made by `ActivityLog.relation`, or of a relation of DuckDB or a table of Spark.

    Every estimator takes it where it takes a table, and fetches only counts.

    Attributes
    ----------
    name : str
        Can stand in FROM.
    columns : Mapping of str to str
        The columns and their types, by DuckDB's names.
    dialect_engine : {"duckdb", "spark"}
    schema : str or None
        The layout of our own table, see `churnsurv.schema`.
    known_at : Mapping of str to str
        When each column of our own table is known.
    facts : Mapping
        What our own table says of itself: rule, window, choices.
    orders : Mapping of str to tuple of str
        Category order of columns that have one.

    Examples
    --------
    >>> from churnsurv.data.engine import connect
    >>> with connect() as engine:
    ...     table = relation_of(engine.sql("SELECT range % 2 AS churned, range % 3 AS duration FROM range(1000)"))
    ...     table, table.plan(["duration", "churned"])
    (<Relation: 2 columns in duckdb: churned, duration>, would fetch 6 rows (duration, churned) of 1,000)
    """

    name: str
    columns: Mapping[str, str]
    dialect_engine: str
    _ask: Callable[[str], pa.Table]
    schema: str | None = None
    known_at: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    facts: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)

    @classmethod
    def of_engine(
        cls,
        engine: Engine,
        table: str,
        *,
        schema: str | None = None,
        known_at: Mapping[str, str] = _NOTHING,
        facts: Mapping[str, Any] = _NOTHING,
        orders: Mapping[str, tuple[str, ...]] = _NOTHING,
    ) -> Relation:
        """Return a table or view of one of our engines as a relation.

        Parameters
        ----------
        engine : Engine
            The relation keeps it open.
        table : str
            Name that the engine gave.
        schema, known_at, facts, orders
            As the attributes.
        """
        return cls(
            table,
            MappingProxyType(engine.describe(table)),
            "spark" if type(engine).__name__ == "SparkEngine" else "duckdb",
            engine.arrow,
            schema,
            *(MappingProxyType(dict(mapping)) for mapping in (known_at, facts, orders)),
        )

    def arrow(self, query: str) -> pa.Table:
        """Run a SELECT in DuckDB's dialect, which may name the relation, and fetch its answer."""
        return self._ask(query)

    def plan(self, columns: str | Sequence[str] | None = None) -> Plan:
        """Count what would be fetched to answer a question about some columns: one row for all equal ones.

        Parameters
        ----------
        columns : str or sequence of str, optional
            Those that an estimator needs: groups, strata, duration, event, entry, the columns of a formula, a cluster.
            By default all columns.

        Raises
        ------
        SchemaError
            If there is no such column; the nearest name is given.
        """
        asked = self._asked([columns] if isinstance(columns, str) else columns)
        found = self.arrow(
            f"SELECT count(*) AS fetched, CAST(coalesce(sum(n), 0) AS BIGINT) AS n FROM"
            f" (SELECT count(*) AS n FROM {self.name} GROUP BY {_listed(asked)}) AS counted"
        )
        fetched, rows = (column[0].as_py() for column in found.columns)
        return Plan(asked, int(fetched), int(rows))

    def counted(self, columns: Sequence[str], *, total: str | None = None) -> Counted:
        """Fetch the distinct rows of some columns with how often each is there.

        Parameters
        ----------
        columns : sequence of str
        total : str, optional
            A column of numbers that is added up over equal rows.
        """
        import pyarrow as pa

        asked = self._asked(columns)
        mine = [_free("n", self.columns), _free("total", self.columns)]
        added = "" if total is None else f", CAST(sum({name(total)}) AS DOUBLE) AS {name(mine[1])}"
        order = ", ".join(f"{name(column)} NULLS LAST" for column in asked)
        found = self.arrow(
            f"SELECT {_listed(asked)}, count(*) AS {name(mine[0])}{added} FROM {self.name}"
            f" GROUP BY {_listed(asked)} ORDER BY {order}"
        )
        return Counted(
            self._tidied(found.select(list(asked))),
            found[mine[0]].cast(pa.int64()),
            None if total is None else found[mine[1]],
        )

    def refused(self, column: str, allowed: str) -> pa.Table:
        """Count the values of a column that are not allowed, `allowed` being SQL of a condition on it, written `{}`.

        Returns
        -------
        pyarrow.Table
            The values and `n`, at most 100.
        """
        quoted = name(column)
        return self.arrow(
            f"SELECT {quoted} AS value, count(*) AS n FROM {self.name} WHERE {quoted} IS NULL OR NOT"
            f" ({allowed.format(quoted)}) GROUP BY {quoted} ORDER BY n DESC, {quoted} NULLS LAST LIMIT 100"
        )

    def rows(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Fetch the rows themselves, in the order in which the engine gives them."""
        asked = self._asked(columns)
        return self._tidied(self.arrow(f"SELECT {_listed(asked)} FROM {self.name}"))

    def _asked(self, columns: Sequence[str] | None) -> tuple[str, ...]:
        asked = tuple(dict.fromkeys(self.columns if columns is None else columns))
        require_columns("data", asked, self.columns)
        if not asked:
            raise InputError("no column was asked for. Name one or more.")
        return asked

    def _tidied(self, table: pa.Table) -> pa.Table:
        from churnsurv.data.arrow import tidy

        return tidy(table, self.orders, keep=("user_id",))

    def __repr__(self) -> str:
        listed = list(self.columns)
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        what = f"{self.schema}, " if self.schema else ""
        columns = "1 column" if len(listed) == 1 else f"{len(listed)} columns"
        return f"<Relation: {what}{columns} in {self.dialect_engine}: {', '.join(listed[:8])}{more}>"


def relation_of(data: object) -> Relation | None:
    """Return what stays inside its engine as a relation; None for a table in memory, a path, or anything else.

    Parameters
    ----------
    data : object
        A `Relation`, a relation of any connection of DuckDB, or a table of Spark. Statements run on the connection, or
        in the session, that it belongs to.

    Raises
    ------
    SchemaError
        If two columns have the same name.

    Examples
    --------
    >>> import pandas as pd
    >>> relation_of(pd.DataFrame({"duration": [3]})) is None
    True
    """
    if isinstance(data, Relation):
        return data
    module = type(data).__module__
    root = module.partition(".")[0]
    if root in {"duckdb", "_duckdb"} and hasattr(data, "query") and hasattr(data, "types"):
        return _of_duckdb(data)
    if module.startswith("pyspark.sql") and hasattr(data, "createOrReplaceTempView"):
        return _of_spark(data)
    return None


def _of_duckdb(data: Any) -> Relation:
    with _duckdb_errors():
        columns = {str(column): str(kind) for column, kind in zip(data.columns, data.types, strict=True)}
        _require_single(data.columns)
    view = f"churnsurv_{uuid4().hex}"

    def ask(query: str) -> pa.Table:
        with _duckdb_errors():
            # The name stands for the relation within this statement only, on the connection that it belongs to.
            return data.query(view, query).to_arrow_table()

    return Relation(view, MappingProxyType(columns), "duckdb", ask)


def _of_spark(data: Any) -> Relation:
    from churnsurv.data.engine_spark import SparkEngine

    _require_single(data.columns)
    engine = SparkEngine(data.sparkSession)
    return Relation.of_engine(engine, engine.adopt("data", data))


def _require_single(columns: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for column in columns:
        if column.lower() in seen:
            raise SchemaError(
                f"data: two columns have the same name ({seen[column.lower()]!r} and {column!r}; case does not count "
                "in an engine). Rename one."
            )
        seen[column.lower()] = column


@contextmanager
def _duckdb_errors() -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise InputError(f"data: the relation cannot be read: {error}") from error
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # how the engine tells of Ctrl-C
            raise KeyboardInterrupt from error
        raise


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(name(column) for column in columns)


def _free(word: str, taken: Mapping[str, str]) -> str:
    """A column name that the relation does not have."""
    lower = {column.lower() for column in taken}
    while word in lower:
        word += "_"
    return word
