"""Hazards by day, cumulative hazards and mean cumulative numbers of churns, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, SchemaError, require_columns
from churnsurv.plots.colours import MUTED
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.style import (
    LINE_GAP,
    NARROW,
    SIZE,
    Frame,
    dress,
    flow,
    inner_size,
    key,
    label_ends,
    new_axes,
    side_room,
    write,
)
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["hazard_curves", "hazard_curves_frame"]

Floats = NDArray[np.float64]

_NAME = 16.0  # ems of a name before it is shortened
_HEIGHT = 230.0
_BEYOND = 1.6  # limits are drawn up to so many times the highest point of the curves
_QUANTITIES = ("hazard", "cumulative_hazard", "mean")
_WORDS: Mapping[str, str] = {
    "time": WORDS["time"],
    "missing_glyphs": WORDS["missing_glyphs"],
    "since_registration": "{unit} since registration",
    "many": "{n} groups, most of them in grey",
    "hazard": "Share of active users that churns a day, {level} intervals",
    "smoothed": "averaged over {bandwidth} days on either side",
    "cumulative_hazard": "Cumulative hazard, with {level} intervals",
    "mean": "Churns per user so far, with {level} intervals",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """One group."""

    group: str
    time: Floats
    value: Floats
    lower: Floats
    upper: Floats


def hazard_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    max_groups: int = 8,
    horizon: float | None = None,
    unit: str = "days",
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the hazard, the cumulative hazard or the mean cumulative number of churns by group.

    Parameters
    ----------
    table : DataFrame
        Schema "smoothed_hazard", "cumulative_hazard" or "mean_cumulative".
    ax : Axes, optional
        Where to draw; leave room around it (`hazard_curves_frame` says how much). Without it a pyplot figure is made.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many groups, each has its own colour, interval and name; of more, most are grey.
    horizon : float, optional
        Last day shown.
    unit : str
        Unit of time, written at the axis.
    words : mapping, optional
        Words to replace: "hazard", "smoothed", "cumulative_hazard", "mean", "time", "since_registration", "many".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows up to the horizon.

    Notes
    -----
    Limits that reach far beyond all curves, as they do where few are left, are cut at the upper edge.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "time": [0, 30, 60], "cumulative_hazard": [0.0, 0.2, 0.5],
    ...     "std_error": [0.0, 0.1, 0.2], "lower": [0.0, 0.1, 0.2], "upper": [0.0, 0.5, 1.1]})
    >>> float(hazard_curves(table, Figure().add_subplot()).get_xlim()[1])
    60.0
    """
    said = chosen_words(words, _WORDS)
    quantity = _quantity(table)
    lines = _lines(table, quantity, horizon)
    look = _look(lines, max_groups)
    if ax is None:
        ax = new_axes(_frame(lines, 640.0, max_groups, quantity))
    narrow = side_room(ax)[1] < _names_room(lines, look) - 1
    end = max(float(line.time[-1]) for line in lines) if horizon is None else float(horizon)
    top = _top(lines)
    for line in lines:
        _draw(ax, line, look, steps=quantity != "hazard")
    dress(ax)
    _axes(ax, end if end > 0 else 1.0, top, narrow=narrow, share=quantity == "hazard", unit=unit)
    axis = said["since_registration" if quantity == "mean" else "time"]
    axis = axis.format(unit=said.get(f"unit.{unit}", unit.capitalize()))
    write(ax, axis, at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    _heading(ax, lines, look, _titles(table, quantity, said, level), said, narrow=narrow)
    notice(ax, [line.group for line in lines], said)
    return ax


def hazard_curves_frame(table: pd.DataFrame, width: float = 640.0, *, max_groups: int = 8) -> Frame:
    """Return the size of a figure of this width (in points) in which `hazard_curves` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": "all", "time": [0], "mean": [0.0], "lower": [0.0], "upper": [0.0]})
    >>> hazard_curves_frame(table, 350).width
    350
    """
    quantity = _quantity(table)
    return _frame(_lines(table, quantity, None), width, max_groups, quantity)


def _quantity(table: pd.DataFrame) -> str:
    for name in _QUANTITIES:
        if name in table.columns:
            return name
    raise SchemaError(
        f"The table has none of the columns {', '.join(map(repr, _QUANTITIES))}. Take .cumulative_hazard or "
        ".smoothed_hazard() of curves, or the table of mean_cumulative_churns."
    )


def _lines(table: pd.DataFrame, quantity: str, horizon: float | None) -> list[_Line]:
    require_columns(quantity, ("group", "time", quantity, "lower", "upper"), table.columns)
    shown_rows = table if horizon is None else table[table["time"] <= horizon]
    if len(shown_rows) == 0:
        raise InputError("The table has no rows to draw.")
    lines = []
    for group, rows in shown_rows.groupby("group", sort=False, observed=True):
        ordered = rows.sort_values("time", kind="stable")
        numbers = [
            ordered[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("time", quantity, "lower", "upper")
        ]
        lines.append(_Line(str(group), *numbers))
    return lines


def _look(lines: Sequence[_Line], max_groups: int) -> Look:
    heights = {line.group: float(line.value[-1]) for line in lines}
    return looks([line.group for line in lines], heights, max_groups, ramps=False)


def _names_room(lines: Sequence[_Line], look: Look) -> float:
    """Points that names need at the right."""
    return max(ems(shown(name, _NAME)) for name in look.named) * SIZE + 30 if len(lines) > 1 else 14.0


def _frame(lines: Sequence[_Line], width: float, max_groups: int, quantity: str) -> Frame:
    look = _look(lines, max_groups)
    left, right = 46.0, _names_room(lines, look)
    top = 22.0 + LINE_GAP * ((quantity == "hazard") + (len(lines) > max_groups))
    if width - left - right < NARROW:
        left, right = 40.0, 14.0
        if len(lines) > 1:
            names = [shown(name, _NAME) for name in look.named]
            top += LINE_GAP * (1 + max(row for row, _ in flow(names, width - left - right)))
    return Frame(width, _HEIGHT + top + 36.0, left, right, top, 36.0)


def _top(lines: Sequence[_Line]) -> float:
    """The upper edge: above all curves, and above their limits as far as these are near."""
    highest = max(float(np.nanmax(line.value)) for line in lines)
    if highest <= 0:
        return 1.0
    limits = [float(np.nanmax(line.upper)) for line in lines if np.isfinite(line.upper).any()]
    return min(max([highest, *limits]), _BEYOND * highest) * 1.03


def _draw(ax: Axes, line: _Line, look: Look, *, steps: bool) -> None:
    named, colour = line.group in look.named, look.colours[line.group]
    if named:
        ax.fill_between(
            line.time,
            line.lower,
            line.upper,
            step="post" if steps else None,
            color=colour,
            alpha=0.16,
            linewidth=0,
            zorder=1.5,
        )
    ax.plot(
        line.time,
        line.value,
        drawstyle="steps-post" if steps else "default",
        color=colour,
        linewidth=1.8 if named else 0.9,
        zorder=3 if named else 2,
        solid_joinstyle="miter" if steps else "round",
    )


def _axes(ax: Axes, end: float, top: float, *, narrow: bool, share: bool, unit: str) -> None:
    ax.set_xlim(0, end)
    ax.set_ylim(0, top)
    ticks = day_ticks(end, 5 if narrow else 8, unit)
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    power = 10.0 ** np.floor(np.log10(top / 5))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if top / (power * part) <= 5)
    heights = np.arange(0, top, step)
    labels = [f"{100 * height:g}%" for height in np.round(heights, 12)] if share else [f"{h:g}" for h in heights]
    ax.set_yticks(heights, labels=labels)


def _titles(table: pd.DataFrame, quantity: str, said: Mapping[str, str], level: float) -> list[str]:
    """The lines over the figure, from below."""
    title = said[quantity].format(level=f"{100 * level:g}%")
    if quantity != "hazard" or "bandwidth" not in table.columns:
        return [title]
    widths = sorted({float(width) for width in table["bandwidth"]})
    told = f"{widths[0]:.3g}" if len(widths) == 1 else f"{widths[0]:.3g}–{widths[-1]:.3g}"
    return [said["smoothed"].format(bandwidth=told), title]


def _heading(
    ax: Axes, lines: Sequence[_Line], look: Look, titles: Sequence[str], said: Mapping[str, str], *, narrow: bool
) -> None:
    y = 10.0
    names = [name for name in look.named if len(lines) > 1]
    by_name = {line.group: line for line in lines}
    if narrow and names:
        entries = [(shown(name, _NAME), look.colours[name]) for name in names]
        width, _ = inner_size(ax)
        key(ax, entries, width=width)
        y += LINE_GAP * (1 + max(row for row, _ in flow([text for text, _ in entries], width)))
    elif names:
        top = ax.get_ylim()[1]
        ends = [
            (float(by_name[n].time[-1]), min(float(by_name[n].value[-1]), top), shown(n, _NAME), look.colours[n])
            for n in names
        ]
        label_ends(ax, ends)
    many = [said["many"].format(n=len(lines))] if look.kind == "grey" else []
    for text in [*many, *titles[:-1]]:
        write(ax, text, at=(0, 1), shift=(0, y), color=MUTED)
        y += LINE_GAP
    write(ax, titles[-1], at=(0, 1), shift=(0, y))
