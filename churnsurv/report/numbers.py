"""Numbers as people read them: shares, ratios, days, p-values, intervals. One set of rules for all of a report."""

from __future__ import annotations

import math
from typing import Any

from churnsurv.tables import is_missing

__all__ = ["NOTHING", "between", "count", "day", "exists", "number", "p_value", "quantity", "ratio", "share"]

NOTHING = "–"


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
    >>> number(812.3456), number(0.5), number(12345.6)
    ('812.3', '0.5', '12,346')
    """
    if not exists(value) or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def quantity(value: Any) -> str:
    """Return money, days or another measure: to two decimals where they say something, else whole.

    Examples
    --------
    >>> quantity(10652.7), quantity(-23.704), quantity(12.0), quantity(0.0)
    ('10,653', '-23.70', '12.00', '0.00')
    """
    if not exists(value) or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


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
    """Return an interval of two finished numbers.

    Examples
    --------
    >>> between("41.2%", "43.0%"), between("71", "77"), between("-1", "2")
    ('41.2–43.0%', '71–77', '-1 to 2')
    """
    if low.startswith("-") or high.startswith("-") or low[:1] in "<>" or high[:1] in "<>":
        return f"{low} to {high}"
    if low.endswith("%") and high.endswith("%"):
        low = low[:-1]
    return f"{low}–{high}"
