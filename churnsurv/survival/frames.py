"""Tables of any kind as pandas, their columns as arrays, and how errors speak of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.relation import relation_of
from churnsurv.errors import InputError, SchemaError, require_columns
from churnsurv.notes import Note, note
from churnsurv.survival.patterns import fetch_rows
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_frame", "counted", "first_of", "numeric_column"]


def as_frame(
    data: Any,
    *,
    columns: Sequence[str] | None = None,
    needed: Sequence[str] = (),
    optional: Sequence[str] = (),
    what: str = "data",
) -> pd.DataFrame:
    """Return a table as pandas.

    Parameters
    ----------
    data : Spells or another result of ours, pandas, polars, pyarrow, an engine relation, or a path
        A path names a Parquet or CSV file. A pandas table is returned as it is, without a copy. Of a relation all rows
        are fetched.
    columns : sequence of str, optional
        Read or convert only these, where that saves work.
    needed : sequence of str
        Columns that must be there, each once.
    optional : sequence of str
        Columns that are read or converted too, where they are there.
    what : str
        What the errors call the table: the name of the argument.

    Raises
    ------
    SchemaError
        If a needed column is missing; the nearest name is given.
    InputError
        If `data` is no table, or the file cannot be found or read.

    Examples
    --------
    >>> import pyarrow as pa
    >>> as_frame(pa.table({"duration": [3]}), needed=["duration"]).shape
    (1, 1)
    """
    import pandas as pd

    if isinstance(data, Result):
        data = data.table
    wanted = None if columns is None else [*columns, *needed]
    relation = relation_of(data)
    if relation is not None:
        require_columns(what, needed, relation.columns)
        return fetch_rows(relation, wanted, optional, what)
    if isinstance(data, (str, Path)):
        data = _read(Path(data), wanted, optional, what)
    frame: pd.DataFrame = data if isinstance(data, pd.DataFrame) else _converted(data, wanted, optional, what)
    require_columns(what, needed, frame.columns)
    present = list(frame.columns)
    for name in needed:
        if present.count(name) > 1:
            raise SchemaError(f"{what} has several columns named {name!r}. Rename all but one.")
        if name not in present:
            raise SchemaError(
                f"{what}: {name!r} is there as {type(next(x for x in present if str(x) == name)).__name__}, and "
                "columns are named by text. Rename the columns first: table.rename(columns=str)."
            )
    return frame


def _read(path: Path, columns: list[str] | None, optional: Sequence[str], what: str) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise InputError(f"{what}: there is no file {str(path)!r}. Check the path.")
    if path.suffix.lower() not in (".csv", ".parquet") or not path.is_file():
        raise InputError(
            f"{what}: {str(path)!r} is neither a .parquet nor a .csv file. Read it first, and pass the table."
        )
    try:
        if path.suffix.lower() == ".csv":
            return pd.read_csv(path)
        names = pq.read_schema(path).names
    except (pa.ArrowInvalid, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(
            f"{what}: {str(path)!r} cannot be read as {path.suffix[1:].lower()} ({str(error).strip()}). Check how it "
            "was written; a CSV file must be UTF-8 text with a first line of column names."
        ) from error
    return pd.read_parquet(path, columns=None if columns is None else _chosen(str(path), columns, optional, names))


def _chosen(table: str, columns: list[str], optional: Sequence[str], present: Sequence[str]) -> list[str]:
    require_columns(table, columns, present)
    return list(dict.fromkeys([*columns, *(name for name in optional if name in present)]))


def _converted(data: Any, columns: list[str] | None, optional: Sequence[str], what: str) -> Any:
    """A polars or pyarrow table as pandas; the wanted columns are taken before they are converted."""
    if hasattr(data, "collect") and hasattr(data, "lazy"):
        data = data.collect()
    names = getattr(data, "column_names", None) or getattr(data, "columns", None)
    to_pandas = next((getattr(data, name) for name in ("to_pandas", "df") if hasattr(data, name)), None)
    if names is None or to_pandas is None:
        raise InputError(
            f"{what} must be Spells or a table (pandas, polars, pyarrow, a Parquet or CSV path), not "
            f"{type(data).__name__}."
        )
    if columns is not None and hasattr(data, "select") and hasattr(data, "to_pandas"):
        return data.select(_chosen(what, columns, optional, names)).to_pandas()
    return to_pandas()


def numeric_column(frame: pd.DataFrame, name: str, what: str) -> NDArray[Any]:
    """A column as a numeric or boolean array; missing values of any type become NaN, decimals floats."""
    import pandas as pd

    column = frame[name]
    if column.dtype == object:
        column = column.infer_objects()
        if pd.api.types.infer_dtype(column, skipna=True) == "decimal":  # amounts of money in Parquet and databases
            column = column.astype(np.float64)
        elif column.dtype == object and column.isna().any():
            column = column.convert_dtypes()
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype)
    if not (numeric or pd.api.types.is_bool_dtype(column.dtype)):
        raise SchemaError(f"{name!r} must hold {what}; it has the type {frame[name].dtype}. Convert it first.")
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if column.isna().any():
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy(dtype=np.dtype(getattr(column.dtype, "numpy_dtype", np.float64)))


def counted(n: int, one: str, more: str | None = None) -> Note:
    """Say how many, in words that agree.

    Examples
    --------
    >>> counted(1, "row"), counted(2_000, "row"), counted(3, "category", "categories")
    ('1 row', '2,000 rows', '3 categories')
    """
    return note(f"{{n}} {one if n == 1 else more or one + 's'}", n=f"{n:,}")


def first_of(bad: NDArray[np.bool_], values: Any = None, rows: NDArray[np.int64] | None = None) -> str:
    """How many values are bad, and the first of them, for an error.

    Parameters
    ----------
    bad : (n,) bool
    values : (n,) array, optional
    rows : (n,) int64, optional
        How many rows of an engine's table each stands for; these have no positions.

    Examples
    --------
    >>> first_of(np.array([False, True]), np.array([3, -1]))
    '1 such row, first at row 1 (-1)'
    >>> first_of(np.array([False, True]), np.array([3, -1]), np.array([20, 1_000]))
    '1,000 such rows, such as -1'
    """
    row = int(np.argmax(bad))
    if rows is not None:
        return counted(int(rows[bad].sum()), "such row") + ("" if values is None else f", such as {values[row]}")
    shown = "" if values is None else f" ({values[row]})"
    return f"{counted(int(np.count_nonzero(bad)), 'such row')}, first at row {row}{shown}"
