"""Curves over idle days, one a group and kind of gap: what figures of them have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import MUTED
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.style import LINE_GAP, NARROW, SIZE, Frame, flow, inner_size, key, label_ends, write
from churnsurv.plots.text import ems, shown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Line", "heading", "line_frame", "lines_of", "look_of", "names_room"]

Floats = NDArray[np.float64]

_NAME = 18.0  # ems of a name before it is shortened
_HEIGHT = 230.0


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One curve: its name and rows of (idle day, estimate, lower, upper)."""

    name: str
    group: str
    registration_gap: bool
    rows: Floats


def lines_of(table: pd.DataFrame, columns: Sequence[str], said: Mapping[str, str]) -> list[Line]:
    """The curves of a table with `group, registration_gap` and these columns: idle day, estimate, lower, upper.

    One group has two: of the gaps that began at registration, and of all others. Of several groups only the latter are
    taken, as far as they have any.

    Raises
    ------
    InputError
        If the table has no rows.
    """
    if len(table) == 0:
        raise InputError("The table has no rows to draw.")
    parts = [
        (str(group), bool(late), rows.sort_values(columns[0])[list(columns)].to_numpy(np.float64, na_value=np.nan))
        for (group, late), rows in table.groupby(["group", "registration_gap"], sort=False, observed=True)
    ]
    if len({group for group, *_ in parts}) == 1:
        names = {late: said["registration" if late else "later"] for _, late, _ in parts}
        return [Line(names[late], group, late, rows) for group, late, rows in parts]
    later = [part for part in parts if not part[1]] or parts
    return [Line(group_said(said, group), group, late, rows) for group, late, rows in later]


def look_of(lines: Sequence[Line], max_groups: int) -> Look:
    """Colours and names, by the heights half way."""
    heights = {line.name: float(line.rows[len(line.rows) // 2, 1]) for line in lines}
    return looks([line.name for line in lines], heights, max_groups, ramps=False)


def names_room(lines: Sequence[Line], look: Look) -> float:
    """Points that names need at the right."""
    return max(ems(shown(name, _NAME)) for name in look.named) * SIZE + 30 if len(lines) > 1 else 14.0


def line_frame(lines: Sequence[Line], look: Look, width: float, notes: int, *, left: float = 46.0) -> Frame:
    """A figure of this width with room for the names, so many lines above, and numbers at the left."""
    right, top = names_room(lines, look), 22.0 + LINE_GAP * notes
    if width - left - right < NARROW:
        left, right = left - 6.0, 14.0
        if len(lines) > 1:
            names = [shown(name, _NAME) for name in look.named]
            top += LINE_GAP * (1 + max(row for row, _ in flow(names, width - left - right)))
    return Frame(width, _HEIGHT + top + 36.0, left, right, top, 36.0)


def heading(ax: Axes, lines: Sequence[Line], look: Look, texts: Sequence[str], *, narrow: bool) -> None:
    """The title, the last of the texts, with the others below it, and the names of the lines."""
    y = 10.0
    names = [name for name in look.named if len(lines) > 1]
    if narrow and names:
        entries = [(shown(name, _NAME), look.colours[name]) for name in names]
        width, _ = inner_size(ax)
        key(ax, entries, width=width)
        y += LINE_GAP * (1 + max(row for row, _ in flow([text for text, _ in entries], width)))
    elif names:
        last = {line.name: line.rows[-1] for line in lines}
        label_ends(ax, [(float(last[n][0]), float(last[n][1]), shown(n, _NAME), look.colours[n]) for n in names])
    for text in texts[:-1]:
        write(ax, text, at=(0, 1), shift=(0, y), color=MUTED)
        y += LINE_GAP
    write(ax, texts[-1], at=(0, 1), shift=(0, y))
