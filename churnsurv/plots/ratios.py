"""Hazard ratios with their intervals on a log axis, the reference categories beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import GRID, INK, MUTED, PAPER, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, ratio
from churnsurv.plots.style import NARROW, SIZE, Frame, dress, inner_size, new_axes, side_room, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import chosen_words
from churnsurv.tables import is_missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["forest", "forest_frame"]

_NEEDED = ("term", "variable", "category", "reference", "hazard_ratio", "hr_lower", "hr_upper")
_NAME = 17.0  # ems of a name before it is shortened
_ROW = 17.0
_NARROW_ROW = 27.0
_NUMBERS = 104.0
_BEYOND = 4.0  # an interval is drawn up to so many times the outermost estimate, then an arrow
_PLATE = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}  # below texts that a line may pass
_RATIOS = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 10, 20, 50, 100])


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the figure."""

    name: str
    kind: str  # heading, reference, estimate (of a category), alone (a numeric term)
    variable: str = ""
    ratio: float = np.nan
    lower: float = np.nan
    upper: float = np.nan


def forest(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw hazard ratios with intervals, one line for each term, numbers at the side.

    Parameters
    ----------
    table : DataFrame
        Schema "cox".
    ax : Axes, optional
        Where to draw; leave room around it (`forest_frame` says how much). Without it a pyplot figure is made.
    level : float
        The level of the table's intervals; only written.
    words : mapping, optional
        Words to replace those of `churnsurv.plots.words.WORDS`.

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
    Intervals that leave out 1 are blue, the others grey. An interval that reaches far beyond all estimates ends in
    an arrow; its number stands at the side.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"term": ["channel: paid"], "variable": ["channel"], "category": ["paid"],
    ...     "reference": ["organic"], "hazard_ratio": [1.8], "hr_lower": [1.6], "hr_upper": [2.0]})
    >>> [text.get_text() for text in forest(table, Figure().add_subplot()).texts][:2]
    ['channel', 'organic']
    """
    said = chosen_words(words)
    rows = _rows(table, said)
    if ax is None:
        ax = new_axes(_frame(rows, 640.0))
    left, right = side_room(ax)
    narrow = left < _names(rows) or right < _NUMBERS
    dress(ax, grid="x")
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    low, high = _limits(rows)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = _ticks(low, high, 5 if narrow else 8)
    ax.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.axvline(1.0, color=MUTED, linewidth=0.9, zorder=1.5)
    for place, row in enumerate(rows):
        _draw(ax, row, place, low, high)
        _texts(ax, row, place, said, names=0.0 if narrow else _names(rows))
        if row.kind != "heading":
            name = at(said, row.variable, row.name) if row.variable else row.name
            known = row.kind != "reference" and np.isfinite(row.ratio)
            told = said["told_ratio"] if known else "{value}"
            mark(ax, name, row.ratio, place, [told.format(value=_number(row, said))])
    _heading(ax, low, high, said, level)
    notice(ax, [row.name for row in rows], said)
    return ax


def forest_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `forest` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"term": ["age"], "variable": ["age"], "category": [None], "reference": [None],
    ...     "hazard_ratio": [1.1], "hr_lower": [1.0], "hr_upper": [1.2]})
    >>> forest_frame(table, 350).width
    350
    """
    return _frame(_rows(table, chosen_words(words)), width)


def _frame(rows: Sequence[_Row], width: float) -> Frame:
    names = _names(rows) + 6
    narrow = width - names - _NUMBERS - 12 < NARROW
    left, right = (14.0, 14.0) if narrow else (names, _NUMBERS + 12)
    height = len(rows) * (_NARROW_ROW if narrow else _ROW)
    return Frame(width, height + 44 + 26, left, right, 44.0, 26.0)


def _names(rows: Sequence[_Row]) -> float:
    """Points that the column of names takes."""
    return max(ems(shown(row.name, _NAME)) for row in rows) * SIZE + 20


def _rows(table: pd.DataFrame, said: Mapping[str, str]) -> list[_Row]:
    require_columns("cox", _NEEDED, table.columns)
    if len(table) == 0:
        raise InputError("The table of hazard ratios has no rows: there is nothing to draw.")
    rows: list[_Row] = []
    before: str | None = None
    for record in table[list(_NEEDED)].to_dict("records"):
        numbers = [float("nan") if is_missing(record[n]) else float(record[n]) for n in _NEEDED[4:]]
        variable, category, reference = (
            group_said(said, str(record[name])) for name in ("variable", "category", "reference")
        )
        if is_missing(record["category"]):
            rows.append(_Row(group_said(said, str(record["term"])), "alone", "", *numbers))
            before = None
            continue
        if variable != before:
            rows.append(_Row(variable, "heading"))
            if not is_missing(record["reference"]):
                rows.append(_Row(reference, "reference", variable, 1.0))
        rows.append(_Row(category, "estimate", variable, *numbers))
        before = variable
    return rows


def _limits(rows: Sequence[_Row]) -> tuple[float, float]:
    """The ends of the axis: every estimate, and intervals up to `_BEYOND` times the outermost estimate."""
    ratios = [row.ratio for row in rows if np.isfinite(row.ratio) and row.ratio > 0]
    low, high = min([*ratios, 1.0]), max([*ratios, 1.0])
    lowers = [max(row.lower, low / _BEYOND) for row in rows if np.isfinite(row.lower)]
    uppers = [min(row.upper, high * _BEYOND) for row in rows if np.isfinite(row.upper)]
    return min([*lowers, low, 0.9]) / 1.08, max([*uppers, high, 1.12]) * 1.08


def _ticks(low: float, high: float, n_most: int) -> list[float]:
    """Ratios that people know, 1 among them, spaced by at least a share of the axis."""
    if high / low > 10_000:
        powers = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
        step = int(np.ceil(len(powers) / n_most))
        return [float(10.0**power) for power in powers if power % step == 0]
    gap = np.log(high / low) / n_most
    inside = [float(each) for each in _RATIOS if low <= each <= high]
    chosen = [1.0]
    for each in sorted(inside, key=lambda r: (r not in {0.5, 2.0, 0.1, 10.0}, abs(np.log(r)))):
        if all(abs(np.log(each / other)) >= gap * 0.999 for other in chosen):
            chosen.append(each)
    return sorted(chosen)


def _draw(ax: Axes, row: _Row, place: int, low: float, high: float) -> None:
    if row.kind == "heading" or not np.isfinite(row.ratio):
        return
    if row.kind == "reference":
        ax.plot([1.0], [place], "o", markersize=5.5, markerfacecolor=GRID, markeredgecolor=MUTED, zorder=3)
        return
    clear = row.lower > 1 or row.upper < 1
    colour = SERIES[0] if clear else MUTED
    start = low if not np.isfinite(row.lower) else max(row.lower, low)
    stop = high if not np.isfinite(row.upper) else min(row.upper, high)
    ax.plot([start, stop], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2.5)
    for cut, end, marker in ((not start <= row.lower, start, "<"), (not stop >= row.upper, stop, ">")):
        if cut:
            ax.plot([end], [place], marker, color=colour, markersize=4.5, clip_on=False, zorder=3)
    ax.plot([row.ratio], [place], "s", color=colour, markersize=5.5, zorder=3)


def _texts(ax: Axes, row: _Row, place: int, said: Mapping[str, str], *, names: float) -> None:
    """Name and number beside the axes; over the line where there is no room for names at the left."""
    narrow = names == 0
    inset = 0.0 if row.kind in {"heading", "alone"} else 10.0
    look = {
        "color": INK if row.kind != "reference" else MUTED,
        "weight": "bold" if row.kind == "heading" else "normal",
    }
    spot, blend = (0.0, float(place)), ("axes fraction", "data")
    if narrow:
        width, _ = inner_size(ax)
        name = shown(row.name, (width - _NUMBERS) / SIZE)
        write(ax, name, at=spot, within=blend, shift=(inset - 6, 11 if row.kind != "heading" else 0),
              bbox=_PLATE, **look)  # fmt: skip
    else:
        name = shown(row.name, _NAME)
        write(ax, name, at=spot, within=blend, shift=(inset - names, 0), **look)
    if row.kind == "heading":
        return
    number = _number(row, said)
    shift = (6.0, 11.0) if narrow else (_NUMBERS + 4, 0.0)
    write(ax, number, at=(1.0, float(place)), within=blend, shift=shift, ha="right", color=look["color"],
          bbox=_PLATE if narrow else None)  # fmt: skip


def _number(row: _Row, said: Mapping[str, str]) -> str:
    if row.kind == "reference":
        return said["reference"]
    if not np.isfinite(row.ratio):
        return said["not_estimated"]
    limits = f"{ratio(row.lower)}–{ratio(row.upper)}"
    return said["bracketed"].format(text=ratio(row.ratio), more=limits)


def _heading(ax: Axes, low: float, high: float, said: Mapping[str, str], level: float) -> None:
    width, _ = inner_size(ax)
    write(ax, said["hazard_ratio"].format(level=f"{100 * level:g}%"), at=(0, 1), shift=(0, 30))
    one = float(np.log(1 / low) / np.log(high / low))
    for word, side, room in (("slower", "right", one), ("faster", "left", 1 - one)):
        arrow = f"← {said[word]}" if word == "slower" else f"{said[word]} →"
        if ems(arrow) * SIZE < room * width - 8:
            shift = (-6.0 if side == "right" else 6.0, 12.0)
            write(ax, arrow, at=(one, 1), shift=shift, ha=side, color=MUTED)
