"""Arrow columns of the simulated tables: days, times, exact money, words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnsurv.simulation.model import Model

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dates", "frame", "money", "times", "words"]

#: Money has two digits after the point, exactly: sums of it do not depend on their order.
MONEY = pa.decimal128(14, 2)


def dates(model: Model, day: NDArray[np.integer], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Days of the window as dates."""
    numbers = (np.datetime64(model.first_day, "D").astype(np.int64) + day).astype(np.int32)
    return pa.array(numbers, mask=missing).cast(pa.date32())


def times(model: Model, second: NDArray[np.integer]) -> pa.Array:
    """Seconds since the first midnight of the window as times without zone."""
    start = np.datetime64(model.first_day, "us").astype(np.int64)
    return pa.array(start + second * 1_000_000, type=pa.int64()).cast(pa.timestamp("us"))


def money(cents: NDArray[np.int64], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Cents as decimals with two digits.

    Examples
    --------
    >>> money(np.array([1_05, -20]), missing=np.array([False, True])).to_pylist()
    [Decimal('1.05'), None]
    """
    both = np.empty((cents.size, 2), dtype="<i8")  # a decimal of 128 bits: low word, then sign
    both[:, 0] = cents
    both[:, 1] = cents >> 63
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(MONEY, cents.size, [valid, pa.py_buffer(both)])


def words(
    codes: NDArray[np.integer] | NDArray[np.bool_], names: tuple[str, ...], *, missing: NDArray[np.bool_] | None = None
) -> pa.DictionaryArray:
    """Codes as words."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8), mask=missing), pa.array(names, pa.string()))


def frame(table: pa.Table) -> pd.DataFrame:
    """A data frame: money as floats, dates as datetimes, words as text."""
    for i, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.float64()))
        elif pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
    made: pd.DataFrame = table.to_pandas(date_as_object=False)
    return made
