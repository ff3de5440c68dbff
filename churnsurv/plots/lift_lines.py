"""Lines of arms, scores or policies with intervals and bands: what the figures of campaigns have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import INK, MUTED
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.idle_lines import Line, line_frame, names_room
from churnsurv.plots.marks import mark
from churnsurv.plots.style import (
    LINE_GAP,
    SIZE,
    Frame,
    flow,
    inner_size,
    key,
    label_ends,
    side_room,
    stroke,
    swatch,
    wrapped,
    write,
)
from churnsurv.plots.text import ems, shown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "DASHED",
    "Head",
    "at_risk_rows",
    "draw_line",
    "head_frame",
    "is_narrow",
    "lines_by",
    "risk_frame",
    "value_range",
    "write_head",
]

Floats = NDArray[np.float64]

DASHED = (0, (5, 2))
POINTWISE, BAND = 0.26, 0.12  # shades of intervals of one value alone, and of bands
_NAME = 18.0  # ems of a name before it is shortened: that of `idle_lines`
_SWATCH, _APART = 18.0, 14.0  # points that a box of a shade takes, and between two of them
_BARE = 14.0  # points at the right of axes without names
_EDGE = 4.0  # points that texts keep from the edge of the figure
_RISK_ROWS = -46.0  # first line under the axis, below its name


def lines_by(
    table: pd.DataFrame,
    by: str,
    columns: Sequence[str],
    *,
    what: str,
    control: str | None = None,
    max_groups: int = 8,
) -> tuple[list[Line], Look]:
    """Lines of (x, estimate, lower, upper), one for each value of a column, and how they look.

    The control is grey and takes no colour from the others, so that an arm has the same one with and without it.

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows.
    """
    require_columns(what, (by, *columns), table.columns)
    if len(table) == 0:
        raise InputError(f"The table {what} has no rows: there is nothing to draw.")
    lines = []
    for name, rows in table.groupby(by, sort=False, observed=True):
        numbers = rows.sort_values(columns[0], kind="stable")[list(columns)]
        lines.append(Line(str(name), str(name), False, numbers.to_numpy(np.float64, na_value=np.nan)))
    heights = {line.name: float(line.rows[-1, 1]) for line in lines if line.name != control}
    look = looks([name for line in lines if (name := line.name) != control], heights, max_groups, ramps=False)
    if len(heights) == len(lines):
        return lines, look
    named = tuple(line.name for line in lines if line.name == control or line.name in look.named)
    return lines, Look({**look.colours, str(control): MUTED}, named, look.kind)


def value_range(values: Floats, *, zero: bool = True, most: float = np.inf) -> tuple[float, float]:
    """Ends of an axis that holds the values, and 0 where it is a reference; no further out than `most`.

    Examples
    --------
    >>> value_range(np.array([0.0, 10.0]))
    (-0.4, 10.4)
    """
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = max(low, -most), min(high, most)
    space = 0.04 * (high - low) or 1.0
    return low - space, high + space


def draw_line(
    ax: Axes,
    line: Line,
    look: Look,
    *,
    step: bool = False,
    dashed: bool = False,
    shade: bool = True,
    band: Floats | None = None,
    alone: bool = False,
    say: Callable[[int], str] | None = None,
    held: bool = False,
) -> None:
    """Draw a line with the interval of each point, and its band: a second shade where it is alone, else thin lines.

    `say` is the text of its i-th point. `held`: the first and the last point are no values of the table, the start at
    zero and the end of the last day, and are not marked.
    """
    named, colour = line.name in look.named, look.colours[line.name]
    x, estimate, lower, upper = line.rows.T
    fill: Literal["post"] | None = "post" if step else None
    drawn = "steps-post" if step else "default"
    if named and shade:
        ax.fill_between(
            x, lower, upper, color=colour, alpha=POINTWISE if alone else 0.16, linewidth=0, zorder=1.5, step=fill
        )
    if named and band is not None and alone:
        ax.fill_between(x, band[:, 0], band[:, 1], color=colour, alpha=BAND, linewidth=0, zorder=1.4, step=fill)
    elif named and band is not None:
        for edge in band.T:
            ax.plot(x, edge, drawstyle=drawn, color=colour, linewidth=0.8, linestyle=(0, (1, 2)), zorder=2.4)
    width = 1.8 if named else 0.9
    style = DASHED if dashed else "-"
    ax.plot(x, estimate, drawstyle=drawn, color=colour, linewidth=width, linestyle=style, zorder=3 if named else 2)
    if say is not None:
        first, last = (1, len(x) - 1) if held else (0, len(x))
        mark(ax, line.name, x[first:last], estimate[first:last], lambda i: say(i + first), few=not named)


def is_narrow(ax: Axes, lines: Sequence[Line], look: Look) -> bool:
    """Tell whether names find no room at the right, and stand above as a key."""
    return side_room(ax)[1] < names_room(lines, look) - 1


@dataclass(frozen=True, slots=True)
class Head:
    """What is said above a figure: its title, notes below it, and what the two shades are, the inner one first.

    `keyed`: lines are named in a key even where there is room beside them, since they all end at one place.
    """

    title: str
    notes: tuple[str, ...] = ()
    shades: tuple[str, ...] = ()
    keyed: bool = False

    def rows(self, room: float) -> list[str | tuple[str, ...]]:
        """Lines of text from above, wrapped at so many points; tuples are keys of shades."""
        texts: list[str | tuple[str, ...]] = [row for text in (self.title, *self.notes) for row in wrapped(text, room)]
        if not self.shades:
            return texts
        beside = sum(_SWATCH + ems(text) * SIZE + _APART for text in self.shades) - _APART <= room
        return [*texts, *([self.shades] if beside else [(text,) for text in self.shades])]


def head_frame(lines: Sequence[Line], look: Look, width: float, head: Head, *, left: float = 46.0) -> Frame:
    """A figure of this width with room for the names of lines and for what is said above."""
    plain = line_frame(lines, look, width, 0, left=left)
    frame = line_frame(lines, look, width, len(head.rows(width - plain.left - _EDGE)) - 1, left=left)
    if not head.keyed or frame.right <= _BARE:
        return frame
    rows = _key_rows(look, width - frame.left - _BARE)
    return replace(frame, height=frame.height + rows * LINE_GAP, top=frame.top + rows * LINE_GAP, right=_BARE)


def _key_rows(look: Look, room: float) -> int:
    """Rows of a key that names the lines."""
    return 1 + max(row for row, _ in flow([shown(name, _NAME) for name in look.named], room))


def write_head(ax: Axes, lines: Sequence[Line], look: Look, head: Head) -> None:
    """Name the lines, at their ends or in a key, and write title, notes and shades above."""
    names = [name for name in look.named if len(lines) > 1]
    y, inner = 10.0, inner_size(ax)[0]
    if names and (head.keyed or is_narrow(ax, lines, look)):
        key(ax, [(shown(name, _NAME), look.colours[name]) for name in names], width=inner)
        y += LINE_GAP * _key_rows(look, inner)
    elif names:
        last = {line.name: line.rows[-1] for line in lines}
        label_ends(ax, [(float(last[n][0]), float(last[n][1]), shown(n, _NAME), look.colours[n]) for n in names])
    rows = head.rows(inner + side_room(ax)[1] - _EDGE)
    n_title = len(wrapped(head.title, inner + side_room(ax)[1] - _EDGE))
    for place, row in reversed(list(enumerate(rows))):
        if isinstance(row, str):
            write(ax, row, at=(0, 1), shift=(0, y), color=INK if place < n_title else MUTED)
        else:
            _shade_row(ax, look.colours[lines[0].name], row, head.shades, y)
        y += LINE_GAP


def _shade_row(ax: Axes, colour: str, row: Sequence[str], shades: Sequence[str], y: float) -> None:
    x = 0.0
    for text in row:
        shade = POINTWISE + BAND if text == shades[0] else BAND
        swatch(ax, colour, shade, shift=(x, y - 4.5))
        write(ax, text, at=(0, 1), shift=(x + _SWATCH, y), color=MUTED)
        x += _SWATCH + ems(text) * SIZE + _APART


def risk_frame(lines: Sequence[Line], look: Look, width: float, head: Head, word: str) -> Frame:
    """A figure with room for the names of lines, and for their numbers at risk under the axis."""
    widest = max(ems(text) * SIZE for text in (word, *(shown(name, _NAME) for name in look.named)))
    frame = head_frame(lines, look, width, head, left=widest + 48)
    narrow = frame.right <= _BARE and len(lines) > 1
    if narrow:  # names are a key above: no need of room at the left either
        frame = head_frame(lines, look, width, head)
    more = 22 + len(look.named) * (2 * LINE_GAP if narrow else LINE_GAP)
    return replace(frame, height=frame.height + more, bottom=frame.bottom + more)


def at_risk_rows(
    ax: Axes,
    numbers: Mapping[str, Mapping[float, float]],
    look: Look,
    word: str,
    *,
    narrow: bool,
) -> None:
    """Write the users at risk on the days of the ticks under the axis, a row for each named line."""
    width, _ = inner_size(ax)
    left, side = (-26.0, "left") if narrow else (-42.0, "right")
    y = _RISK_ROWS
    write(ax, word, at=(0, 0), shift=(left, y), ha=side, color=MUTED)
    for name, of_day in numbers.items():
        start = -26.0 if narrow else -36.0
        y -= LINE_GAP
        stroke(ax, look.colours[name], at=(0, 0), shift=(start, y), length=8)
        text = shown(name, (width + 16) / SIZE if narrow else _NAME)
        write(ax, text, at=(0, 0), shift=(start + 12 if narrow else left, y), ha=side)
        y -= LINE_GAP if narrow else 0.0
        for day, number in of_day.items():
            spot = (day, 0.0)
            write(ax, f"{number:,.0f}", at=spot, within=("data", "axes fraction"), shift=(0, y), ha="center")
