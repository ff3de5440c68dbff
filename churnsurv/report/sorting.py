"""What finished texts of a table are worth as numbers, so that a page can sort its columns."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping, Sequence

__all__ = ["sort_keys", "value_of"]

_NUMBER = re.compile(r"([<>≤≥]?)\s?([-+−]?)(∞|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)([^\W\d_](?![a-z]))?")
_MISSING = {"", "–", "-"}
_JUST = 1e-9  # "< 0.001" stands before 0.001, "> 99.99%" behind 99.99%


def sort_keys(texts: Sequence[str], messages: Mapping[str, str], *, numeric: bool) -> list[float | None] | None:
    """Return a number for each cell of a column, null where the cell says nothing, or None where texts are sorted.

    Parameters
    ----------
    texts : sequence of str
        The cells, as printed in the language of `messages`.
    messages : mapping
        The words of the language: how it writes days and large amounts.
    numeric : bool
        Whether the column holds numbers. Of another column only days have keys, if it holds nothing else.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> messages = catalogue("en").messages
    >>> sort_keys(["41.2% (40.1–42.3%)", "–", "< 0.01%"], messages, numeric=True)
    [41.2, None, 0.00999999999]
    >>> sort_keys(["4 Jun 2024", "10 Feb 2024 to 17 Feb 2024"], messages, numeric=False)
    [20240604.0, 20240210.0]
    >>> sort_keys(["10 Feb 2024", "android"], messages, numeric=False) is None
    True
    """
    said = [text.strip() for text in texts]
    full = [text for text in said if text not in _MISSING]
    days = [_day(text, messages) for text in full]
    if full and None not in days:
        return [None if text in _MISSING else _day(text, messages) for text in said]
    if not numeric:
        return None
    keys = [None if text in _MISSING else value_of(text, messages) for text in said]
    # A column of words that stands flush right is no column of numbers; "not reached" among numbers says nothing.
    return keys if 2 * sum(key is not None for key in keys) >= max(len(full), 1) else None


def value_of(text: str, messages: Mapping[str, str]) -> float | None:
    """Return the first number of a text: of "41% (40–42%)" the estimate, of "15–20" the lower limit.

    Examples
    --------
    >>> value_of("-10.3k (-24.8k to 834)", {"units": "1e6 1e6 2 M; 1e4 1e3 1 k"})
    -10300.0
    >>> value_of("1.03萬", {"units": "1e4 1e4 2 萬"}), value_of("nobody", {"units": ""})
    (10300.0, None)
    """
    found = _NUMBER.search(text)
    if found is None:
        return None
    edge, sign, digits, letter = found.groups()
    unit = _units(messages["units"]).get(letter or "", 1.0)
    size = math.inf if digits == "∞" else float(digits.replace(",", "")) * unit
    value = -size if sign in {"-", "−"} else size
    if not edge or not math.isfinite(value):
        return value
    return float(f"{value - math.copysign(_JUST, 1 if edge in '<≤' else -1) * abs(value):.9g}")


def _units(line: str) -> dict[str, float]:
    """The letters behind large amounts: of "1e4 1e3 1 k" that k is a thousand."""
    each = (unit.split() for unit in line.split("; ") if unit)
    return {letter: float(size) for _, size, _, letter in each}


def _day(text: str, messages: Mapping[str, str]) -> float | None:
    """The day that a text begins with, as a number of eight digits."""
    months = messages["months"].split()
    spelled = re.escape(messages["date"]).replace(r"\{", "{").replace(r"\}", "}")
    month = "|".join(sorted(map(re.escape, months), key=len, reverse=True))
    written = spelled.format(day=r"(?P<day>\d{1,2})", month=f"(?P<month>{month})", year=r"(?P<year>\d{4})")
    found = re.match(f"{written}|(?P<whole>\\d{{4}}-\\d\\d-\\d\\d)", text)
    if found is None:
        return None
    if found["whole"]:
        return float(found["whole"].replace("-", ""))
    number = months.index(found["month"]) + 1
    if not 1 <= int(found["day"]) <= calendar.monthrange(2024, number)[1]:
        return None
    return float(int(found["year"]) * 10_000 + number * 100 + int(found["day"]))
