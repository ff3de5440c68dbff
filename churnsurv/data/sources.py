"""Any input table becomes one engine view with our column names."""

from __future__ import annotations

import csv
import difflib
import glob
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.data.engine import UnreadableDataError
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError, SchemaError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.engine import Engine

__all__ = ["COUNTED", "NEEDED", "RESERVED", "MissingColumnsError", "Source", "column_mapping", "open_source"]

#: The columns that a table must have. `kind` is needed too, unless every event counts.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "events": ("user_id", "event_at"),
    "users": ("user_id", "registered_at"),
    "balances": ("user_id", "date", "balance"),
    "feedback": ("user_id", "date", "reason"),
}
#: Tables that may have no rows: nobody has answered yet.
_MAY_BE_EMPTY = ("feedback",)
#: The position of a row where the engine reads the rows in their order.
COUNTED = "row_number() OVER () - 1"
#: Names that our own statements add to a source.
RESERVED = ("_row", "_at", "_day", "_reason", "_user_key", "_user_id", "_date", "_naive", "_utc", "_amount", "_bad")
_PARQUET = (".parquet", ".pq", ".parq")
_TEXT = (".csv", ".tsv", ".txt")
_ACCEPTED = "a pandas, polars or pyarrow table, the path or glob of Parquet or CSV files, or a relation of `engine`"


@dataclass(frozen=True, slots=True)
class Source:
    """One input table as the engine sees it.

    Attributes
    ----------
    table : str
        events, users, balances or feedback.
    view : str
        Quoted name of the view or temporary table with our column names.
    columns : Mapping of str to str
        DuckDB type of each column.
    from_csv : bool
        True where every type is only a guess from text.
    numbered : bool
        True where the view itself has the 0-based position of each row as `_row`.
    ordered : bool
        True where the source has an order, so that positions can be counted.
    orders : Mapping of str to tuple
        Category order of categorical columns that have one.
    picked : str
        SQL of our columns in those of the table as given.
    """

    table: str
    view: str
    columns: Mapping[str, str]
    from_csv: bool = False
    numbered: bool = False
    ordered: bool = False
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    picked: str = ""

    def with_row(self) -> str:
        """SQL that can stand in FROM: the source with the position of each row as `_row`, null where it has none."""
        if self.numbered:
            return self.view
        position = COUNTED if self.ordered else "CAST(NULL AS BIGINT)"
        return f"(SELECT *, {position} AS _row FROM {self.view})"


def column_mapping(
    columns: Mapping[str, Mapping[str, str]] | None, tables: Mapping[str, object]
) -> dict[str, dict[str, str]]:
    """Check the mapping of our column names to theirs, and return it as plain dictionaries.

    Parameters
    ----------
    columns : Mapping of str to Mapping, or None
        By table.
    tables : Mapping of str to object
        The tables that were given.

    Raises
    ------
    InputError
        If it maps names of a table that there is none of, or maps anything but text to text.
    """
    checked: dict[str, dict[str, str]] = {}
    for table, names in (columns or {}).items():
        if table not in NEEDED:
            raise InputError(f"columns: there is no table {table!r}.{did_you_mean(table, NEEDED)}")
        if table not in tables:
            raise InputError(f"columns maps names of {table!r}, but no such table was given.")
        if not isinstance(names, Mapping) or not all(isinstance(n, str) for pair in names.items() for n in pair):
            raise InputError(f"columns[{table!r}] maps our names to theirs, both text; it is {names!r}.")
        checked[table] = dict(names)
    return checked


def open_source(
    engine: Engine, table: str, data: object, mapping: Mapping[str, str], needed: tuple[str, ...]
) -> Source:
    """Make `data` readable by the engine under our names.

    Parameters
    ----------
    engine : Engine
    table : str
        events, users, balances or feedback.
    data : object
        A data frame, an Arrow table, a path or glob, or a relation.
    mapping : Mapping of str to str
        Our column name to theirs.
    needed : tuple of str
        Our names that must be there.

    Raises
    ------
    SchemaError
        If a column is missing or named twice.
    InputError
        If the file is missing or unreadable, the table is empty, or the type of `data` is not known.
    """
    import duckdb

    try:
        raw = _read(engine, table, data, text=tuple(mapping.get(ours, ours) for ours in needed))
        theirs = engine.describe(raw.sql)
        if raw.position:
            theirs.pop(raw.position, None)
        chosen = _renaming(table, tuple(theirs), mapping, needed)
        picked = [f"{_typed(wanted, theirs)} AS {name(ours)}" for ours, wanted in chosen.items()]
        position = [f"{raw.position} AS _row"] if raw.position else []
        view = engine.view(f"named_{table}", f"SELECT {', '.join(picked + position)} FROM {raw.sql}")
        empty = engine.rows(f"SELECT count(*) FROM (SELECT 1 FROM {view} LIMIT 1)") == [(0,)]
        if empty and table not in _MAY_BE_EMPTY:
            raise InputError(f"{table}: the table has no rows. Check the source and its filter.")
    except (duckdb.Error, UnreadableDataError) as error:
        raise InputError(f"{table}: the table cannot be read: {error}") from error
    columns = {ours: theirs[wanted] for ours, wanted in chosen.items()}
    orders = {ours: raw.orders[wanted] for ours, wanted in chosen.items() if wanted in raw.orders}
    return Source(table, view, columns, raw.from_csv, bool(raw.position), raw.ordered, orders, ", ".join(picked))


def _typed(column: str, theirs: dict[str, str]) -> str:
    """A column without one value has no type; as text it can be missing everywhere."""
    if theirs[column] != '"NULL"':
        return name(column)
    theirs[column] = "VARCHAR"
    return f"CAST({name(column)} AS VARCHAR)"


class MissingColumnsError(SchemaError):
    """A table lacks columns; `missing` has each with a sentence."""

    def __init__(self, table: str, missing: dict[str, str], there: tuple[str, ...]) -> None:
        self.missing = missing
        listed = ", ".join(map(repr, there)) or "no columns"
        what = " ".join(missing.values())
        super().__init__(f"{table}: {what} The table has {listed}. Map names with columns={{{table!r}: ...}}.")


@dataclass(frozen=True, slots=True)
class _Raw:
    """What can stand in FROM, before columns are renamed."""

    sql: str
    from_csv: bool = False
    position: str | None = None
    ordered: bool = False
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _read(engine: Engine, table: str, data: object, *, text: tuple[str, ...]) -> _Raw:
    if isinstance(data, (str, Path)):
        return _file(engine, table, str(data), text)
    module = type(data).__module__.partition(".")[0]
    if module in {"duckdb", "_duckdb", "pyspark"} and hasattr(data, "columns"):
        return _Raw(_relation(engine, table, data))
    arrow, orders = _to_arrow(table, data, module)
    return _Raw(engine.register(f"{table}_raw", arrow), False, engine.registered_row, True, orders)


def _file(engine: Engine, table: str, path: str, text: tuple[str, ...]) -> _Raw:
    remote = "://" in path
    files = [path] if remote else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - absolute patterns too
    if not files:
        raise InputError(f"{table}: there is no file {path!r}.{_near_file(path)}")
    if not remote and Path(files[0]).is_dir():
        raise InputError(
            f"{table}: {path!r} is a folder; give a file, or a glob such as '{path.rstrip('/')}/*.parquet'."
        )
    single = len(files) == 1 and not remote
    suffix = Path(files[0].removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    if suffix in _TEXT:
        loaded, row = _csv(engine, table, path, text, _header_line(files[0]))
        return _Raw(loaded, True, row if single else None, single)
    if suffix not in _PARQUET:
        raise InputError(f"{table}: {files[0]!r} is neither Parquet (.parquet) nor CSV (.csv, .tsv, .txt, also .gz).")
    readable, row = engine.parquet(f"{table}_parquet", path, [] if remote else files, numbered=single)
    return _Raw(readable, False, row, single)


def _csv(
    engine: Engine, table: str, path: str, text: tuple[str, ...], header_line: str | None
) -> tuple[str, str | None]:
    """Load CSV once. Ids, times and amounts stay text, so that one bad value is one reject and not the end."""
    # Nothing about the form is guessed from the rows: a guess could swallow a broken line in silence.
    options = "header = true, skip = 0, quote = '\"', escape = '\"', comment = ''"
    if header_line is not None:
        separator = _separator(header_line)
        options += f", delim = {literal(separator)}"
        # The engine would number the second of two equal names and go on with the first.
        names = next(csv.reader([header_line], delimiter=separator), [])
        _require_single(table, [column.strip() for column in names if column.strip()])
    header = f"read_csv({literal(path)}, {options}, all_varchar = true)"
    if table == "users":
        there = engine.csv_reader.describe(header)
        types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in text if column in there)
        # Whole-file type detection: an attribute is a number only where every row is one.
        header = f"read_csv({literal(path)}, {options}, sample_size = -1{f', types = {{{types}}}' if types else ''})"
    loaded = engine.csv_reader.table(f"{table}_csv", f"SELECT * FROM {header}")
    if engine.csv_reader is engine:
        return loaded, "rowid"
    rows = engine.csv_reader.arrow(f"SELECT * FROM {loaded} ORDER BY rowid")
    engine.csv_reader.drop(loaded)
    return engine.register(f"{table}_csv", rows), engine.registered_row


def _header_line(path: str) -> str | None:
    """The first line of a CSV file; None where only the engine can read it."""
    if "://" in path or path.endswith(".zst"):
        return None
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else Path(path).open("rb") as file:
            return file.readline(1_000_000).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"The file {path!r} cannot be read: {error}") from error


def _separator(header_line: str) -> str:
    """The separator that the header line has most of."""
    return max(",;\t|", key=header_line.count)


def _near_file(path: str) -> str:
    folder = Path(path).parent
    if not folder.is_dir():
        return f" Nor is there a folder {str(folder)!r}."
    near = difflib.get_close_matches(Path(path).name, [file.name for file in folder.iterdir()], n=1)
    return f" Did you mean {str(folder / near[0])!r}?" if near else f" The folder {str(folder)!r} is there."


def _relation(engine: Engine, table: str, relation: Any) -> str:
    try:
        return engine.adopt(f"{table}_relation", relation)
    except UnreadableDataError as error:
        raise InputError(f"{table}: {error}") from error


def _to_arrow(table: str, data: Any, module: str) -> tuple[pa.Table, Mapping[str, tuple[str, ...]]]:
    import pyarrow as pa

    if module == "polars" and hasattr(data, "collect"):
        data = data.collect()
    if module == "pandas" and hasattr(data, "columns"):
        _require_single(table, [str(column) for column in data.columns])
        return _from_pandas(table, data)
    if module == "polars" and hasattr(data, "to_arrow"):
        return data.to_arrow(), _polars_orders(data)
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        arrow = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        _require_single(table, arrow.column_names)
        return arrow, {}
    raise InputError(f"{table}: a {type(data).__name__} cannot be read. Give {_ACCEPTED}.")


def _from_pandas(table: str, frame: pd.DataFrame) -> tuple[pa.Table, Mapping[str, tuple[str, ...]]]:
    import pandas as pd
    import pyarrow as pa

    orders = {
        str(column): tuple(str(value) for value in frame[column].cat.categories)
        for column in frame.columns
        if isinstance(frame[column].dtype, pd.CategoricalDtype)
    }
    arrays = {}
    for column in frame.columns:
        values = _of_one_sort(frame[column])
        try:
            arrays[str(column)] = pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            if values.dtype != object:
                raise SchemaError(f"{table}: {str(column)!r} has dtype {values.dtype}, which cannot be read.") from None
            arrays[str(column)] = pa.array([None if pd.isna(value) else str(value) for value in values], pa.string())
    return pa.table(arrays), orders


def _of_one_sort(values: pd.Series[Any]) -> pd.Series[Any]:
    """Turn an object column of dates, naive and aware times into text, which is read value by value.

    As an array it would take the type of its first value, and lose the zones or the hours of the others.
    """
    import pandas as pd

    if values.dtype != object or pd.api.types.infer_dtype(values, skipna=True) not in ("date", "datetime", "mixed"):
        return values
    sorts = {
        (isinstance(value, datetime), getattr(value, "tzinfo", None) is not None)
        for value in values
        if isinstance(value, date) and not pd.isna(value)
    }
    return values.map(str, na_action="ignore") if len(sorts) > 1 else values


def _polars_orders(frame: Any) -> dict[str, tuple[str, ...]]:
    """Only Enum has an order that was stated; Categorical is in order of appearance."""
    return {
        column: tuple(kind.categories.to_list())
        for column, kind in frame.schema.items()
        if type(kind).__name__ == "Enum" or str(kind).startswith("Enum")
    }


def _require_single(table: str, columns: list[str]) -> None:
    seen: dict[str, str] = {}
    for column in columns:
        if column.lower() in seen:
            twice = f"{seen[column.lower()]!r} and {column!r}" if seen[column.lower()] != column else repr(column)
            raise SchemaError(f"{table}: two columns have the same name ({twice}; case does not count). Rename one.")
        seen[column.lower()] = column


def _renaming(
    table: str, theirs: tuple[str, ...], mapping: Mapping[str, str], needed: tuple[str, ...]
) -> dict[str, str]:
    """Our name to theirs for every column of the source, or an error that names each missing one."""
    missing = {}
    for ours in dict.fromkeys((*needed, *mapping)):
        wanted = mapping.get(ours, ours)
        if wanted not in theirs:
            via = f" (columns maps {ours!r} to it)" if wanted != ours else ""
            missing[ours] = f"{wanted!r} is missing{via}.{did_you_mean(wanted, theirs)}"
    if missing:
        raise MissingColumnsError(table, missing, theirs)
    taken = set(mapping.values())
    chosen = dict(mapping)
    chosen |= {column: column for column in theirs if column not in taken and column not in mapping}
    _require_single(table, list(chosen))
    for column in chosen:
        if column.lower() in RESERVED:
            raise SchemaError(f"{table}: {column!r} is a name that churnsurv keeps for itself. Rename the column.")
    return chosen
