"""Numbers as people read them: shares, ratios, days, p-values, intervals. One set of rules for all of a report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from churnsurv.tables import is_missing

__all__ = [
    *("NOTHING", "between", "bracketed", "count", "day", "exists", "in_words_of", "money", "number", "p_value"),
    *("quantity", "ratio", "returns", "share"),
]

NOTHING = "–"

# The words among numbers. `units`: from which size on, in which unit, with how many decimals, and its letter.
_ENGLISH = MappingProxyType(
    {
        "range": "{low} to {high}",
        "range.from": "{low} or more",
        "range.up_to": "{high} or less",
        "bracketed": " ({text})",
        "units": "1e6 1e6 2 M; 1e4 1e3 1 k",
    }
)
_WORDS: ContextVar[Mapping[str, str]] = ContextVar("words_of_numbers", default=_ENGLISH)


@contextmanager
def in_words_of(messages: Mapping[str, str]) -> Iterator[None]:
    """Say the words among numbers in the language of these messages: "-1 to 2", "4.30M".

    Examples
    --------
    >>> with in_words_of({"range": "{low} 至 {high}", "units": "1e4 1e4 2 萬"}):
    ...     between("-1", "2"), money(-10_300.0)
    ('-1 至 2', '-1.03萬')
    """
    token = _WORDS.set(messages)
    try:
        yield
    finally:
        _WORDS.reset(token)


def exists(value: Any) -> bool:
    """Tell whether a value of a table is there: not null, not NaN.

    Examples
    --------
    >>> exists(0.0), exists(float("nan")), exists(None)
    (True, False, False)
    """
    return not is_missing(value)


def count(value: Any) -> str:
    """Return a whole number with separators.

    Examples
    --------
    >>> count(1234567)
    '1,234,567'
    """
    return f"{round(float(value)):,}" if exists(value) and math.isfinite(value) else NOTHING


def day(value: Any) -> str:
    """Return a day; whole where it is whole.

    Examples
    --------
    >>> day(74.0), day(7.25)
    ('74', '7.2')
    """
    if not exists(value) or not math.isfinite(value):
        return NOTHING
    return f"{float(value):,.0f}" if float(value).is_integer() else f"{float(value):,.1f}"


def share(value: Any) -> str:
    """Return a share in percent, with one decimal where that says something.

    Examples
    --------
    >>> share(0.4137), share(0.00052), share(0.9999), share(1.0)
    ('41.4%', '0.05%', '99.99%', '100%')
    """
    if not exists(value) or not math.isfinite(value):
        return NOTHING
    percent = 100 * float(value)
    if percent in (0.0, 100.0):
        return f"{percent:.0f}%"
    edge = min(percent, 100 - percent)
    if edge >= 0.995:
        return f"{percent:.1f}%"
    if edge < 0.005:
        return "< 0.01%" if percent < 50 else "> 99.99%"
    return f"{percent:.2f}%"


def ratio(value: Any) -> str:
    """Return a ratio to two decimals, fewer where large, more digits where tiny.

    Examples
    --------
    >>> ratio(1.8042), ratio(12.34), ratio(0.0123), ratio(123456.0), ratio(float("inf"))
    ('1.80', '12.3', '0.012', '1.2e+05', '∞')
    """
    if not exists(value):
        return NOTHING
    if not math.isfinite(value):
        return "∞"
    if value >= 1000 or 0 < value < 0.001:
        return f"{value:.1e}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def number(value: Any) -> str:
    """Return any other number to four significant digits.

    Examples
    --------
    >>> number(812.3456), number(0.5), number(12345.6), number(9999.6)
    ('812.3', '0.5', '12,346', '10,000')
    """
    if not exists(value) or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if abs(float(f"{value:.4g}")) >= 10_000 else f"{value:.4g}"


def quantity(value: Any) -> str:
    """Return money, days or another measure: to two decimals where they say something, else whole.

    Examples
    --------
    >>> quantity(10652.7), quantity(-23.704), quantity(12.0), quantity(0.0)
    ('10,653', '-23.70', '12.00', '0.00')
    """
    if not exists(value) or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if round(abs(value), 2) >= 1000 else f"{value:.2f}"


def returns(value: Any) -> str:
    """Return how many of 1,000 users, or a difference of two such numbers.

    Examples
    --------
    >>> returns(88.6), returns(4.34), returns(-0.5)
    ('89', '4.3', '-0.5')
    """
    if not exists(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"


def money(value: Any) -> str:
    """Return an amount or days per thousand users: large ones in thousands (k) and millions (M).

    Examples
    --------
    >>> money(4_303_379.0), money(-33_875.6), money(345.4), money(float("nan")), money(999_950.0)
    ('4.30M', '-33.9k', '345', '–', '1.00M')
    """
    if not exists(value):
        return NOTHING
    units = [line.split() for line in _WORDS.get()["units"].split("; ")]
    finer = [float(unit) / 10 ** int(decimals) for _, unit, decimals, _ in units[1:]] + [1.0]
    for (least, unit, decimals, letter), step in zip(units, finer, strict=True):
        if abs(value) >= float(least) - step / 2:  # the smaller unit would round to this one
            return f"{value / float(unit):,.{decimals}f}{letter}"
    return returns(value) if abs(value) >= 10 else quantity(value)


def p_value(value: Any) -> str:
    """Return a p-value that claims no more than it can.

    Examples
    --------
    >>> p_value(1e-300), p_value(0.0123), p_value(0.34), p_value(1.0)
    ('< 0.001', '0.012', '0.34', '1.00')
    """
    if not exists(value):
        return NOTHING
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def between(low: str, high: str) -> str:
    """Return an interval of two finished numbers; of one number where the interval is open.

    Examples
    --------
    >>> between("41.2%", "43.0%"), between("71", "77"), between("-1", "2")
    ('41.2–43.0%', '71–77', '-1 to 2')
    >>> between("0.5", NOTHING), between("13.5", "∞"), between(NOTHING, "0.5")
    ('0.5 or more', '13.5 or more', '0.5 or less')
    """
    no_low, no_high = low in {NOTHING, "-∞"}, high in {NOTHING, "∞"}
    if no_low or no_high:
        words = _WORDS.get()
        if no_low and no_high:
            return NOTHING
        return words["range.up_to"].format(high=high) if no_low else words["range.from"].format(low=low)
    if "-" in (low[:1], high[:1]) or low[:1] in "<>" or high[:1] in "<>":
        return _WORDS.get()["range"].format(low=low, high=high)
    if low.endswith("%") and high.endswith("%"):
        low = low[:-1]
    return f"{low}–{high}"


def bracketed(text: str) -> str:
    """Return a finished number in brackets, to stand behind another.

    Examples
    --------
    >>> "41.2%" + bracketed("40.1–42.3%")
    '41.2% (40.1–42.3%)'
    """
    return _WORDS.get()["bracketed"].format(text=text)
