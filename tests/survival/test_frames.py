from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import SchemaError
from churnsurv.survival.frames import numeric_column

AMOUNTS = [Decimal("1.50"), None, Decimal("20.25")]


def test_decimals_are_numbers() -> None:
    column = numeric_column(pd.DataFrame({"amount": pd.Series(AMOUNTS, dtype=object)}), "amount", "numbers")
    assert column.dtype == np.float64
    np.testing.assert_array_equal(column, [1.5, np.nan, 20.25])


def test_decimals_of_parquet_enter_a_cox_model() -> None:
    amounts = np.tile([1.25, 2.5, 5.0, 7.75], 30)
    days = np.arange(1, 121)
    table = pd.DataFrame({"duration": days, "churned": days % 3 != 0, "amount": amounts})
    exact = table.assign(amount=[Decimal(str(value)) for value in amounts])
    np.testing.assert_array_equal(ch.cox("amount", exact).table["estimate"], ch.cox("amount", table).table["estimate"])
    wanted = ch.cox(
        "channel", table.assign(channel=np.where(days % 2, "a", "b")), weights="amount", weights_kind="sampling"
    )
    found = ch.cox(
        "channel", exact.assign(channel=np.where(days % 2, "a", "b")), weights="amount", weights_kind="sampling"
    )
    np.testing.assert_array_equal(found.table["std_error"], wanted.table["std_error"])


def test_text_is_no_number() -> None:
    with pytest.raises(SchemaError, match="must hold numbers; it has the type object"):
        numeric_column(pd.DataFrame({"amount": ["1", "2"]}, dtype=object), "amount", "numbers")
