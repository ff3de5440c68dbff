"""Hazards by day and the segments that they are cut into, with the days on which each change may lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import MUTED
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.style import LINE_GAP, Frame, dress, flow, inner_size, key, new_axes, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["change_points", "change_points_frame"]

Floats = NDArray[np.float64]

_NAME = 16.0  # ems of a name before it is shortened
_LEFT, _RIGHT = 46.0, 16.0
_BELOW = 0.5  # how far below the lowest segment the axis reaches, as a factor
_TICKS = tuple(part * 10.0**power for power in range(-7, 1) for part in (1, 2, 5))
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "tenure": "Share of those at risk that churns a day, log scale",
    "idle": "Share of those still silent that returns a day, log scale",
    "days": "points: single days; shaded: days on which a change may lie, {level}",
    "bars": "bars: days on which a change may lie, {level}",
    "axis_tenure": "Days since origin",
    "axis_idle": "Idle days",
    "many": "{n} groups, most of them in grey",
}


def change_points(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    days: pd.DataFrame | None = None,
    scale: str = "tenure",
    level: float = 0.95,
    max_groups: int = 6,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw segments of constant hazard by group.

    Parameters
    ----------
    table : DataFrame
        Schema "change_points".
    ax : Axes, optional
        Where to draw; `change_points_frame` says how much room it needs. Without it a pyplot figure is made.
    days : DataFrame, optional
        Schema "change_points_days": the hazard of each day, drawn where there is one group.
    scale : {"tenure", "idle"}
    level : float
        Of the sets of change days; only written.
    max_groups : int
        Up to so many groups, each has its own colour and name.
    words : mapping, optional
        Words to replace.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If no segment has an event.

    Notes
    -----
    The axis is logarithmic: a segment is as far above the next one as its hazard is larger, in proportion. Days and
    segments without an event lie on its lower edge. Single days are drawn where there is one group.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "first_day": [30, 90], "last_day": [89, 150], "hazard": [0.03, 0.01],
    ...     "change_lower": [None, 87], "change_upper": [None, 91]})
    >>> change_points(table, Figure().add_subplot()).get_yscale()
    'log'
    """
    said = chosen_words(words, _WORDS)
    require_columns("change_points", ("group", "first_day", "last_day", "hazard"), table.columns)
    low, high = _limits(table)
    look = _look(table, max_groups)
    if ax is None:
        ax = new_axes(change_points_frame(table, max_groups=max_groups))
    ax.set_yscale("log")
    for group, rows in table.groupby("group", sort=False, observed=True):
        colour, named = look.colours[str(group)], str(group) in look.named
        _draw(ax, rows, colour, named=named, low=low)
        if len(look.colours) == 1:
            _shade(ax, rows, None if days is None else days[days["group"] == group], colour, low)
        elif named:
            _bars(ax, rows, colour, low)
    dress(ax)
    _axes(ax, table, low, high)
    write(ax, said[f"axis_{scale}"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    _heading(ax, look, said, scale, level)
    notice(ax, [str(group) for group in table["group"].unique()], said)
    return ax


def change_points_frame(table: pd.DataFrame, width: float = 640.0, *, max_groups: int = 6) -> Frame:
    """Return the size of a figure of this width (in points) in which `change_points` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> change_points_frame(pd.DataFrame({"group": ["all"], "hazard": [0.1]}), 350).width
    350
    """
    look = _look(table, max_groups)
    lines = 1 + (look.kind == "grey")
    if len(look.colours) > 1:
        rows = flow([shown(name, _NAME) for name in look.named], width - _LEFT - _RIGHT)
        lines += 1 + max(row for row, _ in rows)
    top = 22.0 + LINE_GAP * lines
    return Frame(width, 230.0 + top + 36.0, _LEFT, _RIGHT, top, 36.0)


def _look(table: pd.DataFrame, max_groups: int) -> Look:
    heights = table.groupby("group", sort=False, observed=True)["hazard"].first()
    groups = [str(group) for group in heights.index]
    return looks(groups, dict(zip(groups, heights.astype(float), strict=True)), max_groups, ramps=False)


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    hazards = table["hazard"].to_numpy(dtype=np.float64)
    hazards = hazards[hazards > 0]
    if hazards.size == 0:
        raise InputError("The table has no segment with an event: there is nothing to draw.")
    return float(hazards.min()) * _BELOW, min(float(hazards.max()) / _BELOW, 1.2)


def _draw(ax: Axes, rows: pd.DataFrame, colour: str, *, named: bool, low: float) -> None:
    edges = np.append(rows["first_day"].to_numpy(dtype=np.float64) - 0.5, float(rows["last_day"].iloc[-1]) + 0.5)
    heights = _heights(rows, low)
    ax.step(
        edges, np.append(heights, heights[-1]), where="post", color=colour, linewidth=1.8 if named else 0.9, zorder=3,
        solid_joinstyle="miter",
    )  # fmt: skip


def _shade(ax: Axes, rows: pd.DataFrame, days: pd.DataFrame | None, colour: str, low: float) -> None:
    """The days of change as areas, and single days as points."""
    if days is not None:
        ax.plot(
            days["day"].to_numpy(), _heights(days, low), linestyle="none", marker="o", markersize=2.4, alpha=0.45,
            markeredgewidth=0, color=colour, zorder=2,
        )  # fmt: skip
    for lower, upper, _ in _changes(rows, low):
        # the hazard steps half a day before the first day of a segment
        ax.axvspan(lower - 1.0, upper, color=colour, alpha=0.14, linewidth=0, zorder=1)


def _bars(ax: Axes, rows: pd.DataFrame, colour: str, low: float) -> None:
    """The days of change as bars across the steps, which several groups leave room for."""
    for lower, upper, height in _changes(rows, low):
        ax.plot([lower - 1.0, upper], [height, height], color=colour, linewidth=4.0, alpha=0.35, zorder=2)


def _changes(rows: pd.DataFrame, low: float) -> list[tuple[float, float, float]]:
    """First and last day on which each change may lie, and the height of its step."""
    if "change_lower" not in rows:
        return []
    heights = _heights(rows, low)
    middle = np.sqrt(heights[1:] * heights[:-1])
    later = rows.iloc[1:]
    return [
        (float(lower), float(upper), float(height))
        for lower, upper, height in zip(later["change_lower"], later["change_upper"], middle, strict=True)
    ]


def _heights(rows: pd.DataFrame, low: float) -> Floats:
    heights: Floats = np.maximum(rows["hazard"].to_numpy(dtype=np.float64), low)
    return heights


def _axes(ax: Axes, table: pd.DataFrame, low: float, high: float) -> None:
    first, last = float(table["first_day"].min()), float(table["last_day"].max())
    ax.set_ylim(low, high)
    inside = [tick for tick in _TICKS if low <= tick <= high]
    ticks = inside if len(inside) <= 8 else [tick for tick in inside if f"{tick:.0e}".startswith("1")]
    ax.set_yticks(ticks, labels=[f"{100 * tick:g}%" for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.set_xlim(first - 0.5, last + 0.5)
    wide = last - first
    steps = (1, 2, 5, 7, 10, 15, 30, 60, 90, 180, 365, 730)
    step = next((step for step in steps if wide / step <= 8), 1825)
    days = np.arange(np.ceil(first / step) * step, last + 0.5, step)
    ax.set_xticks(days, labels=[f"{day:,g}" for day in days])


def _heading(ax: Axes, look: Look, said: Mapping[str, str], scale: str, level: float) -> None:
    y = 10.0
    if len(look.colours) > 1:
        entries = [(shown(name, _NAME), look.colours[name]) for name in look.named]
        width, _ = inner_size(ax)
        key(ax, entries, width=width)
        y += LINE_GAP * (1 + max(row for row, _ in flow([text for text, _ in entries], width)))
    many = [said["many"].format(n=len(look.colours))] if look.kind == "grey" else []
    for text in (*many, said["days" if len(look.colours) == 1 else "bars"].format(level=f"{100 * level:g}%")):
        write(ax, text, at=(0, 1), shift=(0, y), color=MUTED)
        y += LINE_GAP
    write(ax, said[scale], at=(0, 1), shift=(0, y))
