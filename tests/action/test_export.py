"""CSV that a spreadsheet never runs, and that reads back as it was."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.action.export import csv_text, escaped, unescaped

DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "－1", "'=1", "''-"]
DANGEROUS += ["\ufeff=1+1", "\u200b=1+1", "\u061c=1", "\x01=1+1", "\ufeff@x", " \u2066-1"]
HARMLESS = ["sms", "it's", "'tis", "a=b", "1-2", "a,b", 'say "hi"', "two\nlines", "two\rlines", "賬", "3"]


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", DANGEROUS)
def test_text_that_would_be_a_formula_gets_an_apostrophe(text: str) -> None:
    assert escaped(text) == f"'{text}"
    assert unescaped(escaped(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(text: str) -> None:
    assert escaped(text) == text == unescaped(text)


@given(st.text(alphabet="'=+-@ \t\r\n＝a1\ufeff\u200b\x01"))
def test_every_escape_can_be_undone(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert escaped(text).lstrip(" \t\r\n\ufeff\u200b\x01")[:1] not in {"=", "+", "-", "@", "＝"}


def test_numbers_stay_numbers_whatever_their_column() -> None:
    table = pd.DataFrame(
        {
            "whole": [-5, 3],
            "share": [-0.5, 1 / 3],
            "mixed": pd.Series([-2, np.int64(-4)], dtype=object),
            "floats": pd.Series([np.float64(-3), Decimal("-1.5")], dtype=object),
            "nullable": pd.array([-7, None], dtype="Int64"),
            "category": pd.Categorical([-1, -1]),
            "text": ["-5", "5"],
            "none": [-0.0, np.nan],
        }
    )
    assert rows(csv_text(table))[1:] == [
        ["-5", "-0.5", "-2", "-3", "-7", "-1", "'-5", "0"],
        ["3", "0.333333333", "-4", "-1.5", "", "-1", "5", ""],
    ]


def test_days_times_booleans_lists_and_missing_values() -> None:
    table = pd.DataFrame(
        {
            "day": pd.Series(["2025-04-01", pd.NaT], dtype="datetime64[s]"),
            "moment": pd.Series(["2025-04-01 09:30", pd.NaT], dtype="datetime64[s]"),
            "date": pd.Series([date(2025, 4, 1), pd.NaT], dtype=object),
            "fine": [True, False],
            "many": [["=a", "b"], []],
            "tier": pd.Categorical(["=high", None]),
        }
    )
    assert rows(csv_text(table))[1:] == [
        ["2025-04-01", "2025-04-01T09:30:00", "2025-04-01", "true", "'=a; b", "'=high"],
        ["", "", "", "false", "", ""],
    ]


def test_column_names_are_escaped_and_may_be_equal() -> None:
    table = pd.DataFrame([[1, 2]], columns=["=x", "=x"])
    assert csv_text(table) == "'=x,'=x\n1,2\n"


def test_a_table_without_rows_has_its_header() -> None:
    assert (
        csv_text(pd.DataFrame({"user_id": pd.Series([], dtype="int64"), "day": pd.to_datetime([])})) == "user_id,day\n"
    )


def test_the_text_reads_back_as_it_was() -> None:
    texts = [*DANGEROUS, *HARMLESS]
    values = np.linspace(-1, 1, len(texts)).round(6)
    table = pd.DataFrame({"text": texts, "value": values, "n": range(-5, len(texts) - 5)})
    text = csv_text(table)
    read = rows(text)
    assert [unescaped(row[0]) for row in read[1:]] == [each.replace("\r", "\n") for each in texts]
    back = pd.read_csv(io.StringIO(text, newline=""), keep_default_na=False, na_values=[""])
    assert back["value"].to_numpy().tolist() == pytest.approx(values.tolist(), rel=1e-8, abs=1e-12)
    assert back["n"].tolist() == table["n"].tolist()
    assert csv_text(table.set_index(pd.Index(range(9, 9 + len(texts))))) == text
