"""Numbers that figures write at a point, with their intervals and in the words of the figure's language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

__all__ = [
    *("amount", "at", "between", "count", "decimal", "estimate", "number", "on_day", "ratio", "share"),
    *("short", "signed"),
]


def share(value: float) -> str:
    """Return a share in percent, with one decimal, more near the ends.

    Examples
    --------
    >>> share(0.4137), share(0.00052), share(0.99999), share(1.0)
    ('41.4%', '0.05%', '> 99.99%', '100%')
    """
    percent = 100 * value
    if percent in (0.0, 100.0):
        return f"{percent:.0f}%"
    edge = min(abs(percent), abs(100 - percent))
    if edge < 0.005:
        return "< 0.01%" if percent < 50 else "> 99.99%"
    return f"{percent:.1f}%" if edge >= 0.995 else f"{percent:.2f}%"


def ratio(value: float) -> str:
    """Return a ratio as `plots.ratios` writes it at the side.

    Examples
    --------
    >>> ratio(1.8042), ratio(12.34), ratio(float("inf")), ratio(0.004)
    ('1.80', '12.3', '∞', '4.0e-03')
    """
    if not np.isfinite(value):
        return "∞" if value > 0 else "?"
    if value >= 1000 or 0 < value < 0.01:
        return f"{value:.1e}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def count(value: float) -> str:
    """Return a whole number with separators."""
    return f"{value:,.0f}"


def decimal(value: float) -> str:
    """Return a mean or an expectation: one decimal below a hundred, else whole."""
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def number(value: float) -> str:
    """Return a value of a user's own column to as many digits as it has, at most six."""
    return f"{value:,.6g}"


def signed(value: float) -> str:
    """Return a difference with its sign, to one decimal, or whole where large."""
    return f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+,.1f}"


def amount(said: Mapping[str, str], *, sign: bool = False) -> Callable[[float], str]:
    """Return how amounts are written: large ones in the units of the language.

    Examples
    --------
    >>> from churnsurv.plots.words import WORDS
    >>> amount(WORDS)(4_303_379.0), amount(WORDS, sign=True)(345.4), amount({"units": "1e4 1e4 2 萬"})(-33_875.6)
    ('4.30M', '+345', '-3.39萬')
    """
    plus = "+" if sign else ""

    def written(value: float) -> str:
        for least, unit, decimals, letter in _units(said):
            if abs(value) >= least:
                return f"{value / unit:{plus},.{decimals}f}{letter}"
        return f"{value:{plus if value else ''},.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"

    return written


def short(said: Mapping[str, str], value: float, *, sign: bool = False, least: float = 0.0) -> str:
    """Return a number as short as its digits allow, for an axis; units stand for numbers from `least` on.

    Examples
    --------
    >>> from churnsurv.plots.words import WORDS
    >>> short(WORDS, 1500), short(WORDS, -2.5e6, sign=True), short(WORDS, 0, sign=True), short(WORDS, 0.25, sign=True)
    ('1,500', '-2.5M', '0', '+0.25')
    >>> short({"units": "1e8 1e8 2 億; 1e4 1e4 2 萬"}, 350_000)
    '35萬'
    """
    plus = "+" if sign and value else ""
    for limit, unit, _, letter in _units(said):
        if abs(value) >= max(limit, least):
            return f"{value / unit:{plus},.{4 if abs(value) < 1e4 * unit else 12}g}{letter}"
    return f"{value:{plus},.6g}"


def _units(said: Mapping[str, str]) -> Iterator[tuple[float, float, str, str]]:
    """From which size on, in which unit, with how many decimals, and its letter; the largest first."""
    for line in said["units"].split("; "):
        least, unit, decimals, letter = line.split()
        yield float(least), float(unit), decimals, letter


def between(said: Mapping[str, str], low: str, high: str) -> str:
    """Return an interval of two finished numbers.

    Examples
    --------
    >>> from churnsurv.plots.words import WORDS
    >>> between(WORDS, "41.2%", "43.0%"), between(WORDS, "-1", "2")
    ('41.2–43.0%', '-1 to 2')
    """
    if low[:1] in "+-<>" or high[:1] in "+-<>":
        return said["mark.to"].format(low=low, high=high)
    if low.endswith("%") and high.endswith("%"):
        low = low[:-1]
    return f"{low}–{high}"


def estimate(
    said: Mapping[str, str], form: Callable[[float], str], value: float, lower: float = np.nan, upper: float = np.nan
) -> str:
    """Return an estimate with its limits in brackets, where it has both and they say something.

    Examples
    --------
    >>> from churnsurv.plots.words import WORDS
    >>> estimate(WORDS, share, 0.412, 0.401, 0.423), estimate(WORDS, ratio, 1.5)
    ('41.2% (40.1–42.3%)', '1.50')
    """
    if np.isnan(value):
        return said["not_estimated"]
    told = [form(each) if np.isfinite(each) else "∞" if each > 0 else "-∞" for each in (value, lower, upper)]
    if np.isnan(lower) or np.isnan(upper) or len(set(told)) == 1:
        return told[0]
    return said["bracketed"].format(text=told[0], more=between(said, *told[1:]))


def at(said: Mapping[str, str], where: str, *texts: str) -> str:
    """Return what stands at a place: "day 30: 41.2%"; several texts one after the other."""
    return said["mark.at"].format(where=where, text=said["mark.next"].join(texts))


def on_day(said: Mapping[str, str], day: float, *texts: str) -> str:
    """Return what stands on a day that is counted."""
    return at(said, said["mark.day"].format(day=f"{day:,g}"), *texts)
