"""Cumulative incidence: the causes of one group stacked up to all that churned, or one cause by group with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import FAINT, MUTED, PAPER, SERIES, ramp
from churnsurv.plots.groups import looks
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import estimate, on_day, share
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

__all__ = ["incidence_curves", "incidence_frame", "stacked_incidence"]

Floats = NDArray[np.float64]

_NAME = 16.0  # ems of a name before it is shortened
_HEIGHT = 250.0
_DAY_STEPS = (1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650)
_TOPS = ((0.05, 6), (0.1, 6), (0.2, 5), (0.25, 6), (0.4, 5), (0.5, 6), (0.6, 4), (0.8, 5))  # and ticks up to there
_UNKNOWN = "unknown"
_WORDS: Mapping[str, str] = {
    "time": WORDS["time"],
    "missing_glyphs": WORDS["missing_glyphs"],
    "stacked": "Share churned, by cause",
    "of_group": "Share churned, by cause: {group}",
    "incidence": "Share churned: {cause}, with {level} intervals",
    "many": "{n} groups, most of them in grey",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """One step curve."""

    name: str
    time: Floats
    incidence: Floats
    lower: Floats
    upper: Floats

    @property
    def last(self) -> float:
        return float(self.time[-1])

    def at(self, days: Floats) -> Floats:
        """Values on days; NaN beyond the last one."""
        places = np.searchsorted(self.time, days, side="right") - 1
        return np.where((days <= self.last) & (places >= 0), self.incidence[np.maximum(places, 0)], np.nan)


def stacked_incidence(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    horizon: float | None = None,
    unit: str = "days",
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the incidences of all causes of one group on top of each other: the upper edge is all that churned.

    Parameters
    ----------
    table : DataFrame
        Schema "cumulative_incidence".
    ax : Axes, optional
        Where to draw; leave room around it (`incidence_frame` says how much). Without it a pyplot figure is made.
    group : str, optional
        Which group; not needed where there is one.
    horizon : float, optional
        Last day shown.
    unit : str
        Unit of time, written at the axis.
    words : mapping, optional
        Words to replace: "stacked", "of_group", "time".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows or several groups and `group` names none of them.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "cause": ["price"] * 2 + ["moved"] * 2, "time": [0, 30] * 2,
    ...     "incidence": [0, 0.3, 0, 0.2], "lower": [0, 0.1, 0, 0.1], "upper": [0, 0.5, 0, 0.4]})
    >>> ax = stacked_incidence(table, Figure().add_subplot())
    >>> len(ax.collections)
    2
    """
    said = chosen_words(words, _WORDS)
    _check(table)
    one = _of_group(table, group)
    name = str(one["group"].iloc[0])
    lines = _lines(one, "cause", horizon)
    ends = [(line.name, _cause_colour(line.name, i, lines)) for i, line in enumerate(lines)]
    if ax is None:
        ax = new_axes(_frame([_cause(line.name, said) for line in lines], 640.0))
    time = np.unique(np.concatenate([line.time for line in lines]))
    base = np.zeros(time.shape)
    places = []
    for line, (_, colour) in zip(lines, ends, strict=True):
        top = base + line.at(time)
        ax.fill_between(time, base, top, step="post", color=colour, alpha=0.85, linewidth=0, zorder=2)
        # a thin gap in the colour of the paper keeps neighbours apart where their colours are alike
        ax.plot(time, top, drawstyle="steps-post", color=PAPER, linewidth=0.8, zorder=3)
        name_of = _cause(line.name, said)
        places.append((float(time[-1]), float(base[-1] + top[-1]) / 2, shown(name_of, _NAME), colour))
        _mark(ax, line, name_of, time, top, said)
        base = top
    _axes(ax, float(time[-1]) if horizon is None else float(horizon), float(base.max()), said, unit)
    title = said["stacked"] if name == "all" else said["of_group"].format(group=shown(name, _NAME))
    _names(ax, places, title)
    notice(ax, [line.name for line in lines], said)
    return ax


def incidence_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    cause: str | None = None,
    level: float = 0.95,
    max_groups: int = 8,
    horizon: float | None = None,
    unit: str = "days",
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the incidence of one cause by group, as steps with bands.

    Parameters
    ----------
    table : DataFrame
        Schema "cumulative_incidence".
    ax : Axes, optional
        Where to draw; leave room around it (`incidence_frame` says how much). Without it a pyplot figure is made.
    cause : str, optional
        Which cause; not needed where there is one.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many groups, each has its own colour, band and name; of more, the lowest and highest three.
    horizon : float, optional
        Last day shown; no curve goes beyond its own last day.
    unit : str
        Unit of time, written at the axis.
    words : mapping, optional
        Words to replace: "incidence", "many", "time".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows, or several causes and `cause` names none of them.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": ["a"] * 2 + ["b"] * 2, "cause": "price", "time": [0, 30] * 2,
    ...     "incidence": [0, 0.3, 0, 0.2], "lower": [0, 0.1, 0, 0.1], "upper": [0, 0.5, 0, 0.4]})
    >>> len(incidence_curves(table, Figure().add_subplot()).lines) >= 2
    True
    """
    said = chosen_words(words, _WORDS)
    _check(table)
    causes = [str(name) for name in table["cause"].unique()]
    name = causes[0] if cause is None and len(causes) == 1 else str(cause)
    if name not in causes:
        raise InputError(
            f"cause: the table has no cause {cause!r}.{did_you_mean(name, causes)} Causes: {', '.join(causes)}."
        )
    lines = _lines(table[table["cause"].astype(str) == name], "group", horizon)
    look = looks([line.name for line in lines], {line.name: float(line.incidence[-1]) for line in lines}, max_groups)
    if ax is None:
        ax = new_axes(_frame(list(look.named) if len(lines) > 1 else [], 640.0))
    for line in lines:
        named, colour = line.name in look.named, look.colours[line.name]
        if named:
            ax.fill_between(line.time, line.lower, line.upper, step="post", color=colour, alpha=0.16, linewidth=0)
        width = 1.8 if named else 0.9
        ax.plot(
            line.time, line.incidence, drawstyle="steps-post", color=colour, linewidth=width, zorder=3 if named else 2
        )
    highest = max(float(np.nanmax(np.append(line.upper, line.incidence))) for line in lines if line.name in look.named)
    end = max(line.last for line in lines) if horizon is None else float(horizon)
    _axes(ax, end, highest, said, unit)
    places = [
        (line.last, float(line.incidence[-1]), shown(line.name, _NAME), look.colours[line.name])
        for line in lines
        if line.name in look.named and len(lines) > 1
    ]
    title = said["incidence"].format(cause=shown(name, _NAME), level=f"{100 * level:g}%")
    _names(ax, places, title, "" if look.kind == "all" else said["many"].format(n=len(lines)))
    notice(ax, [name, *(line.name for line in lines)], said)
    return ax


def incidence_frame(names: Sequence[str], width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) with room for the names of its causes or groups.

    Examples
    --------
    >>> incidence_frame(["price", "moved"], 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    return _frame([_cause(name, said) for name in names], width)


def _frame(names: list[str], width: float) -> Frame:
    right = max((ems(shown(name, _NAME)) for name in names), default=0.0) * SIZE + 30 if names else 14.0
    left, top = 46.0, 22.0 + LINE_GAP
    if width - left - right < NARROW:
        left, right = 40.0, 14.0
        rows = [row for row, _ in flow([shown(name, _NAME) for name in names], width - left - right)]
        top += LINE_GAP * (1 + max(rows, default=0))
    return Frame(width, _HEIGHT + top + 36.0, left, right, top, 36.0)


def _check(table: pd.DataFrame) -> None:
    needed = ("group", "cause", "time", "incidence", "lower", "upper")
    require_columns("cumulative_incidence", needed, table.columns)
    if len(table) == 0:
        raise InputError("The table of incidences has no rows: there is nothing to draw.")


def _of_group(table: pd.DataFrame, group: str | None) -> pd.DataFrame:
    groups = [str(name) for name in table["group"].unique()]
    name = groups[0] if group is None and len(groups) == 1 else str(group)
    if name not in groups:
        raise InputError(
            f"group: causes are stacked for one group, and the table has no group {group!r}."
            f"{did_you_mean(name, groups)} Groups: {', '.join(groups[:20])}."
        )
    return table[table["group"].astype(str) == name]


def _lines(table: pd.DataFrame, by: str, horizon: float | None) -> list[_Line]:
    found = []
    for name, rows in table.groupby(by, sort=False, observed=True):
        ordered = rows.sort_values("time", kind="stable")
        columns = (
            ordered[column].to_numpy(dtype=np.float64, na_value=np.nan)
            for column in ("time", "incidence", "lower", "upper")
        )
        time, *values = columns
        kept = time <= (np.inf if horizon is None else float(horizon))
        if not kept.any():
            raise InputError(f"horizon: the table begins on day {time[0]:g}, after day {horizon:g}.")
        # a curve whose next step lies beyond the horizon goes on to it
        more = [] if horizon is None or time[-1] <= horizon else [float(horizon)]
        steps = (np.append(x[kept], x[kept][-1:] if more else []) for x in values)
        found.append(_Line(str(name), np.append(time[kept], more), *steps))
    return found


def _cause(name: str, said: Mapping[str, str]) -> str:
    return said["unknown"] if name == _UNKNOWN else group_said(said, name)


def _mark(ax: Axes, line: _Line, name: str, time: Floats, top: Floats, said: Mapping[str, str]) -> None:
    """The share of one cause, at the upper edge of its area."""

    def say(i: int) -> str:
        place = max(int(np.searchsorted(line.time, time[i], side="right")) - 1, 0)
        told = estimate(said, share, line.incidence[place], line.lower[place], line.upper[place])
        return on_day(said, float(time[i]), told)

    mark(ax, name, time, top, say)


def _cause_colour(name: str, place: int, lines: Sequence[_Line]) -> str:
    """A colour of its own for each cause, and grey for what is not known."""
    if name == _UNKNOWN:
        return FAINT
    return [*SERIES, *ramp(max(0, len(lines) - len(SERIES)))][place]


def _axes(ax: Axes, end: float, highest: float, said: Mapping[str, str], unit: str) -> None:
    end = end if end > 0 else 1.0
    top, parts = next((choice for choice in _TOPS if highest <= choice[0]), (1.0, 5))
    ax.set_xlim(0, end)
    ax.set_ylim(0, top * 1.01)  # the line at the top is not cut
    n_most = 5 if inner_size(ax)[0] < NARROW else 8
    known = _DAY_STEPS if unit == "days" else ()
    step = next((float(step) for step in known if end / step <= n_most), None)
    if step is None:
        power = 10.0 ** np.floor(np.log10(end / n_most))
        step = next(power * part for part in (1, 2, 5, 10) if end / (power * part) <= n_most)
    ticks = np.arange(0, end + step * 1e-9, step)
    dress(ax)
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    shares = np.linspace(0, top, parts)
    ax.set_yticks(shares, labels=[f"{100 * each:.3g}%" for each in shares])
    axis = said["time"].format(unit=said.get(f"unit.{unit}", unit.capitalize()))
    write(ax, axis, at=(1, 0), shift=(0, -26), ha="right", color=MUTED)


def _names(ax: Axes, places: list[tuple[float, float, str, str]], title: str, note: str = "") -> None:
    """The names at the ends of lines, or as a key where there is no room for them, and the title above."""
    width, _ = inner_size(ax)
    y = 10.0
    widest = max((ems(text) * SIZE for _, _, text, _ in places), default=0.0)
    if places and side_room(ax)[1] < widest + 29:
        key(ax, [(text, colour) for _, _, text, colour in places], width=width)
        y += LINE_GAP * (1 + max(row for row, _ in flow([text for _, _, text, _ in places], width)))
    else:
        label_ends(ax, places)
    if note:
        write(ax, note, at=(0, 1), shift=(0, y), color=MUTED)
        y += LINE_GAP
    write(ax, title, at=(0, 1), shift=(0, y))
