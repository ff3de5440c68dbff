"""Mean days until churn by group, and their differences, as intervals on an axis of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import MUTED, PAPER, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.style import NARROW, SIZE, Frame, dress, inner_size, new_axes, side_room, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["day_differences", "day_differences_frame", "day_means"]

_NAME = 17.0  # ems of a name before it is shortened
_ROW = 17.0
_NARROW_ROW = 27.0
_NUMBERS = 124.0
_PLATE = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}  # below texts that a line may pass
_BEYOND = 3.0  # an interval is drawn up to so many times the width of all estimates beyond them, then an arrow
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "difference": "Days until churn within {horizon} against {reference}, {level} intervals",
    "means": "Mean days until churn within {horizon}, {level} intervals",
    "earlier": "churns earlier",
    "later": "churns later",
    "told": "{value} days",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the figure."""

    name: str
    estimate: float
    lower: float
    upper: float


def day_differences(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw differences of mean days until churn with their intervals, one line for each group.

    Parameters
    ----------
    table : DataFrame
        Schema "rmst_difference".
    ax : Axes, optional
        Where to draw; leave room around it (`day_differences_frame` says how much). Without it a pyplot figure is made.
    level : float
        The level of the table's intervals; only written.
    words : mapping, optional
        Words to replace: "difference", "means", "earlier", "later".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows.

    Notes
    -----
    Intervals that leave out 0 are blue, the others grey. One that reaches far beyond all estimates ends in an arrow;
    its numbers stand at the side.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": ["paid"], "reference": "organic", "horizon": 90.0, "estimate": [-9.5],
    ...     "lower": [-12.0], "upper": [-7.0]})
    >>> [text.get_text() for text in day_differences(table, Figure().add_subplot()).texts][:2]
    ['paid', '-9.5 (-12.0 to -7.0)']
    """
    said = chosen_words(words, _WORDS)
    require_columns("rmst_difference", ("reference", "horizon"), table.columns)
    rows = _rows(table)
    if ax is None:
        ax = new_axes(_frame(rows, 640.0))
    told = {"horizon": f"{table['horizon'].iloc[0]:g}", "level": f"{100 * level:g}%"}
    room = inner_size(ax)[0] / SIZE - ems(said["difference"].format(reference="", **told))
    reference = shown(table["reference"].iloc[0], min(max(room, 4.0), _NAME))
    ax = _forest(rows, ax, said["difference"].format(reference=reference, **told), said, sign=True)
    low, high = ax.get_xlim()
    width, _ = inner_size(ax)
    for word, arrow, side, room in (
        ("earlier", "← {}", "right", -low / (high - low)),
        ("later", "{} →", "left", high / (high - low)),
    ):
        text = arrow.format(said[word])
        if ems(text) * SIZE < room * width - 8:
            shift = (-6.0 if side == "right" else 6.0, 12.0)
            write(ax, text, at=(-low / (high - low), 1), shift=shift, ha=side, color=MUTED)
    notice(ax, [*(row.name for row in rows), reference], said)
    return ax


def day_means(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw mean days until churn with their intervals, one line for each group.

    Parameters
    ----------
    table : DataFrame
        Schema "rmst".
    ax, level, words
        As in `day_differences`.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": ["paid"], "horizon": 90.0, "estimate": [60.0], "lower": [55.0], "upper": [65.0]})
    >>> [text.get_text() for text in day_means(table, Figure().add_subplot()).texts][:2]
    ['paid', '60.0 (55.0 to 65.0)']
    """
    said = chosen_words(words, _WORDS)
    require_columns("rmst", ("horizon",), table.columns)
    rows = _rows(table)
    title = said["means"].format(horizon=f"{table['horizon'].iloc[0]:g}", level=f"{100 * level:g}%")
    ax = _forest(rows, ax, title, said, sign=False)
    notice(ax, [row.name for row in rows], said)
    return ax


def day_differences_frame(table: pd.DataFrame, width: float = 640.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `day_differences` or `day_means` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": ["paid"], "estimate": [60.0], "lower": [55.0], "upper": [65.0]})
    >>> day_differences_frame(table, 350).width
    350
    """
    return _frame(_rows(table), width)


def _rows(table: pd.DataFrame) -> list[_Row]:
    needed = ["group", "estimate", "lower", "upper"]
    require_columns("rmst", needed, table.columns)
    if len(table) == 0:
        raise InputError("The table of mean days has no rows: there is nothing to draw.")
    return [
        _Row(str(group), *(float(number) for number in numbers))
        for group, *numbers in table[needed].itertuples(index=False)
    ]


def _frame(rows: Sequence[_Row], width: float) -> Frame:
    names = _names(rows) + 6
    narrow = width - names - _NUMBERS - 12 < NARROW
    left, right = (14.0, 14.0) if narrow else (names, _NUMBERS + 12)
    height = len(rows) * (_NARROW_ROW if narrow else _ROW)
    return Frame(width, height + 44 + 26, left, right, 44.0, 26.0)


def _names(rows: Sequence[_Row]) -> float:
    """Points that the column of names takes."""
    return max(ems(shown(row.name, _NAME)) for row in rows) * SIZE + 14


def _forest(rows: Sequence[_Row], ax: Axes | None, title: str, said: Mapping[str, str], *, sign: bool) -> Axes:
    """The lines, their names at the left and their numbers at the right; with `sign` around 0."""
    if ax is None:
        ax = new_axes(_frame(rows, 640.0))
    left, right = side_room(ax)
    narrow = left < _names(rows) or right < _NUMBERS
    dress(ax, grid="x")
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    low, high = _limits(rows, sign=sign)
    ax.set_xlim(low, high)
    step = _step(high - low, 4 if narrow else 7)
    ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    ax.set_xticks(ticks, labels=[f"{tick:+,g}" if sign and tick else f"{tick:,g}" for tick in np.round(ticks, 9) + 0.0])
    if sign:
        ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1.5)
    for place, row in enumerate(rows):
        _draw(ax, row, place, sign=sign)
        number = _number(row, said, _digits(rows), sign=sign)
        _texts(ax, row, place, number, narrow=narrow, names=_names(rows))
        mark(ax, row.name, row.estimate, place, [said["told"].format(value=number)])
    write(ax, title, at=(0, 1), shift=(0 if narrow else -_names(rows), 30))
    return ax


def _limits(rows: Sequence[_Row], *, sign: bool) -> tuple[float, float]:
    """The ends of the axis: every estimate, 0 for differences, and intervals that don't go far beyond."""
    estimates = [row.estimate for row in rows if np.isfinite(row.estimate)] + ([0.0] if sign else [])
    low, high = min(estimates, default=0.0), max(estimates, default=1.0)
    widths = [row.upper - row.lower for row in rows if np.isfinite(row.upper - row.lower)]
    reach = _BEYOND * max(high - low, float(np.median(widths)) if widths else 0.0, 1e-9)
    low = min([low, *(max(row.lower, low - reach) for row in rows if np.isfinite(row.lower))])
    high = max([high, *(min(row.upper, high + reach) for row in rows if np.isfinite(row.upper))])
    space = 0.04 * (high - low) or 1.0
    return low - space, high + space


def _step(length: float, n_most: int) -> float:
    power = 10.0 ** np.floor(np.log10(length / n_most))
    return float(next(power * part for part in (1, 2, 5, 10) if length / (power * part) <= n_most))


def _draw(ax: Axes, row: _Row, place: int, *, sign: bool) -> None:
    if not np.isfinite(row.estimate):
        return
    low, high = ax.get_xlim()
    colour = SERIES[0] if not sign or row.lower > 0 or row.upper < 0 else MUTED
    ax.plot(
        [max(row.lower, low), min(row.upper, high)],
        [place, place],
        color=colour,
        linewidth=1.8,
        solid_capstyle="butt",
        zorder=2.5,
    )
    for cut, end, marker in ((row.lower < low, low, "<"), (row.upper > high, high, ">")):
        if cut:
            ax.plot([end], [place], marker, color=colour, markersize=4.5, clip_on=False, zorder=3)
    ax.plot([row.estimate], [place], "s", color=colour, markersize=5.5, zorder=3)


def _digits(rows: Sequence[_Row]) -> int:
    """Decimals that tell the limits apart: one from ten days on, two below."""
    largest = max((abs(x) for row in rows for x in (row.lower, row.upper) if np.isfinite(x)), default=1.0)
    return 0 if largest >= 1000 else 1 if largest >= 10 else 2


def _number(row: _Row, said: Mapping[str, str], digits: int, *, sign: bool) -> str:
    if not np.isfinite(row.estimate):
        return "–"
    value, lower, upper = (f"{each:{'+' if sign else ''},.{digits}f}" for each in (row.estimate, row.lower, row.upper))
    return said["bracketed"].format(text=value, more=said["mark.to"].format(low=lower, high=upper))


def _texts(ax: Axes, row: _Row, place: int, number: str, *, narrow: bool, names: float) -> None:
    """Name and numbers beside the axes; over the line where there is no room at the sides."""
    spot, blend = (0.0, float(place)), ("axes fraction", "data")
    if narrow:
        width, _ = inner_size(ax)
        name = shown(row.name, (width - _NUMBERS) / SIZE)
        write(ax, name, at=spot, within=blend, shift=(-6, 11), bbox=_PLATE)
    else:
        write(ax, shown(row.name, _NAME), at=spot, within=blend, shift=(-names, 0))
    shift = (6.0, 11.0) if narrow else (_NUMBERS + 4, 0.0)
    write(ax, number, at=(1.0, float(place)), within=blend, shift=shift, ha="right",
          bbox=_PLATE if narrow else None)  # fmt: skip
