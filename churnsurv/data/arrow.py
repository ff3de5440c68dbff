"""From an Arrow answer to the pandas table that a reader expects: categories, dates in seconds, plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["tidy", "to_pandas"]

#: Text with more values than this stays text.
_MOST_CATEGORIES = 1_000


def tidy(table: pa.Table, orders: Mapping[str, tuple[str, ...]], keep: tuple[str, ...] = ()) -> pa.Table:
    """Encode text of few values as categories and decimals as numbers.

    Parameters
    ----------
    table : pyarrow.Table
    orders : Mapping of str to tuple
        Category order of columns that have one; the others are sorted. Categories that do not occur are left out.
    keep : tuple of str
        Columns that stay as they are.
    """
    import pyarrow as pa

    columns = {}
    for column in table.column_names:
        values = table[column]
        if column in keep:
            columns[column] = _plain_id(values)
        elif pa.types.is_decimal(values.type):
            columns[column] = values.cast(pa.float64())
        elif pa.types.is_dictionary(values.type):
            stated = orders.get(column) or tuple(values.chunk(0).dictionary.to_pylist() if values.num_chunks else ())
            columns[column] = _encoded(values.cast(pa.string()), stated)
        elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            columns[column] = _encoded(values, orders.get(column))
        else:
            columns[column] = values
    return pa.table(columns)


def _encoded(values: Any, stated: tuple[str, ...] | None) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(values.cast(pa.string())).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        if encoded.num_chunks == 0:
            return values
        encoded = encoded.chunk(0)
    if stated is None and len(encoded.dictionary) > _MOST_CATEGORIES:
        return values
    found = encoded.dictionary.to_pylist()
    there = set(found)
    ordered = [value for value in stated or () if value in there]
    ordered += sorted(there.difference(ordered, [None]))
    place = {value: index for index, value in enumerate(ordered)}
    moved = pa.array([place[value] for value in found], pa.int32())
    return pa.DictionaryArray.from_arrays(moved.take(encoded.indices), pa.array(ordered, pa.string()))


def _plain_id(values: Any) -> Any:
    """Whole numbers in the smallest type that holds them; those that no type of 64 bits holds are text."""
    import pyarrow as pa

    if not pa.types.is_decimal(values.type):
        return values
    for kind in (pa.int64(), pa.uint64()):
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return values.cast(pa.string())


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a fresh data frame; dates are ``datetime64[s]``, text of few values is categorical."""
    import pyarrow as pa

    fields = [pa.field(field.name, _signed(field.type)) for field in table.schema]
    frame: pd.DataFrame = table.cast(pa.schema(fields)).to_pandas()
    return frame


def _signed(kind: pa.DataType) -> pa.DataType:
    """Seconds for days; signed codes for categories, which older versions of pyarrow need."""
    import pyarrow as pa

    if pa.types.is_date32(kind):
        return pa.timestamp("s")
    if pa.types.is_dictionary(kind) and pa.types.is_unsigned_integer(kind.index_type):
        return pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
    return kind
