"""Tables as CSV that a spreadsheet shows and never runs."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_text", "escaped", "unescaped"]

#: A spreadsheet takes text that begins like this for a formula; also after spaces, and in full width, as typed in
#: Chinese. Text that begins with apostrophes before it is escaped too, so that every escape can be undone.
#: Spaces are also those that nobody sees: control characters, marks of direction, joiners.
_UNSEEN = r"[\s\x00-\x1f\u200b-\u200f\u202a-\u202e\u2060-\u2069\u061c\ufeff]*"
_FORMULA = re.compile(rf"'*{_UNSEEN}[=+\-@\t\r\n＝＋－＠]")
_ESCAPED = re.compile(rf"'+{_UNSEEN}[=+\-@\t\r\n＝＋－＠]")


def escaped(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula.

    Examples
    --------
    >>> escaped("=HYPERLINK(A1)"), escaped("-"), escaped("sms"), escaped("it's")
    ("'=HYPERLINK(A1)", "'-", 'sms', "it's")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(text: str) -> str:
    """Undo `escaped`.

    Examples
    --------
    >>> unescaped("'=1+1"), unescaped("''=1+1"), unescaped("'tis")
    ('=1+1', "'=1+1", "'tis")
    """
    return text[1:] if _ESCAPED.match(text) else text


def csv_text(table: pd.DataFrame) -> str:
    """Write a table as CSV: a header row, lines that end with a line feed, empty cells where null.

    Text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break (also after spaces, and in full width) gets
    a leading apostrophe, in cells and in column names. Numbers stay numbers, negative ones too, with 9 significant
    digits where they are not whole; dates are ISO days, times ISO times, booleans ``true`` and ``false``. Equal tables
    give equal bytes.

    Parameters
    ----------
    table : DataFrame
        Its index is left out.

    Returns
    -------
    str
        `unescaped` of a cell is the text that it had, but that every line break is a line feed; an empty text comes
        back as a missing one.

    Examples
    --------
    >>> import pandas as pd
    >>> print(csv_text(pd.DataFrame({"user_id": ["=1+1", "b"], "balance": [-0.5, None]})), end="")
    user_id,balance
    '=1+1,-0.5
    b,
    """
    import pandas as pd

    columns = [_column(table.iloc[:, place]) for place in range(table.shape[1])]
    names = [_cell(str(name)) for name in table.columns]
    plain = pd.concat(columns, axis=1, keys=range(len(columns))) if columns else table
    return str(plain.to_csv(index=False, header=names, lineterminator="\n"))


def _column(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column as text and whole numbers, null where null."""
    import pandas as pd

    kind, values = values.dtype, values.reset_index(drop=True)
    if isinstance(kind, pd.CategoricalDtype):
        written = [*_column(pd.Series(kind.categories)), None]  # the code of a missing value is -1
        return pd.Series(np.array(written, dtype=object)[values.cat.codes.to_numpy()], dtype=object)
    if pd.api.types.is_datetime64_dtype(kind):
        days = values.to_numpy().astype("datetime64[D]")
        if (values.isna() | (values == days)).all():
            return pd.Series(np.datetime_as_string(days), dtype=object).where(values.notna(), None)
    if pd.api.types.is_integer_dtype(kind):
        return values
    return values.astype(object).map(_cell, na_action="ignore")


def _cell(value: Any) -> Any:
    """One value that is not null."""
    if isinstance(value, str):
        # A bare carriage return would end the row for some readers.
        return escaped(value.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n"))
    if isinstance(value, datetime):
        whole = value.time() == time() and value.tzinfo is None
        return value.date().isoformat() if whole else value.isoformat()
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value + 0.0:.9g}"  # minus nothing is nothing
    if isinstance(value, (Number, date)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return _cell("; ".join(map(str, value)))
    return _cell(str(value))
