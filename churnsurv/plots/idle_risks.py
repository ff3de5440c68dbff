"""The risk of churn over idle days, with its intervals and the days on which it crosses stated risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
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

__all__ = ["idle_risk", "idle_risk_frame"]

Floats = NDArray[np.float64]

_NAME = 16.0  # ems of a name before it is shortened
_HEIGHT = 230.0
_CROSSINGS = ("group", "registration_gap", "probability", "idle_day", "lower", "upper")
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "title": "Risk of churn by idle day, {level} intervals",
    "axis": "Idle days",
    "crossings": "points: where it reaches {risks}",
    "later": "later gaps",
    "registration": "since registration",
    "only_later": "without the gaps that began at registration",
    "many": "{n} groups, most of them in grey",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """One curve: its name and rows of (idle day, churn, lower, upper)."""

    name: str
    group: str
    registration_gap: bool
    rows: Floats


def idle_risk(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    crossings: pd.DataFrame | None = None,
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw P(churn | idle for d days) by group.

    Parameters
    ----------
    table : DataFrame
        Schema "idle_risk".
    ax : Axes, optional
        Where to draw; leave room around it (`idle_risk_frame` says how much). Without it a pyplot figure is made.
    crossings : DataFrame, optional
        Schema "idle_risk_crossings": drawn as points with their intervals.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many groups, each has its own colour, interval and name; of more, most are grey.
    words : mapping, optional
        Words to replace: "title", "axis", "crossings", "later", "registration", "only_later", "many".

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
    One group has two curves: of the gaps that began at registration, and of all others. Of several groups only the
    latter are drawn, as far as they have any.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "registration_gap": False, "idle_days": [0, 1, 2],
    ...     "churn": [0.1, 0.4, 0.9], "lower": [0.05, 0.3, 0.8], "upper": [0.2, 0.5, 0.95]})
    >>> float(idle_risk(table, Figure().add_subplot()).get_xlim()[1])
    3.0
    """
    said = chosen_words(words, _WORDS)
    if crossings is not None:
        require_columns("idle_risk_crossings", _CROSSINGS, crossings.columns)
    lines = _lines(table, said)
    look = _look(lines, max_groups)
    if ax is None:
        ax = new_axes(_frame(lines, look, 640.0, _notes(table, lines, crossings, look, said)))
    narrow = side_room(ax)[1] < _names_room(lines, look) - 1
    for line in lines:
        _draw(ax, line, look)
    dress(ax)
    end = float(max(line.rows[-1, 0] for line in lines)) + 1
    _axes(ax, end, narrow=narrow)
    write(ax, said["axis"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    if crossings is not None:
        _points(ax, crossings, lines, look)
    notes = _notes(table, lines, crossings, look, said)
    _heading(ax, lines, look, [*notes, said["title"].format(level=f"{100 * level:g}%")], narrow=narrow)
    notice(ax, [line.name for line in lines], said["missing_glyphs"])
    return ax


def idle_risk_frame(
    table: pd.DataFrame, width: float = 640.0, *, crossings: pd.DataFrame | None = None, max_groups: int = 8
) -> Frame:
    """Return the size of a figure of this width (in points) in which `idle_risk` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": "all", "registration_gap": False, "idle_days": [0], "churn": 0.1,
    ...     "lower": 0.05, "upper": 0.2})
    >>> idle_risk_frame(table, 350).width
    350
    """
    lines = _lines(table, _WORDS)
    look = _look(lines, max_groups)
    return _frame(lines, look, width, _notes(table, lines, crossings, look, _WORDS))


def _lines(table: pd.DataFrame, said: Mapping[str, str]) -> list[_Line]:
    columns = ("idle_days", "churn", "lower", "upper")
    require_columns("idle_risk", ("group", "registration_gap", *columns), table.columns)
    if len(table) == 0:
        raise InputError("The table has no rows to draw.")
    parts = [
        (str(group), bool(late), rows.sort_values("idle_days")[list(columns)].to_numpy(np.float64, na_value=np.nan))
        for (group, late), rows in table.groupby(["group", "registration_gap"], sort=False, observed=True)
    ]
    if len({group for group, *_ in parts}) == 1:
        names = {late: said["registration" if late else "later"] for _, late, _ in parts}
        return [_Line(names[late], group, late, rows) for group, late, rows in parts]
    later = [part for part in parts if not part[1]] or parts
    return [_Line(group, group, late, rows) for group, late, rows in later]


def _look(lines: Sequence[_Line], max_groups: int) -> Look:
    heights = {line.name: float(line.rows[len(line.rows) // 2, 1]) for line in lines}
    return looks([line.name for line in lines], heights, max_groups, ramps=False)


def _notes(
    table: pd.DataFrame, lines: Sequence[_Line], crossings: pd.DataFrame | None, look: Look, said: Mapping[str, str]
) -> list[str]:
    """What is said in small above the figure, from below."""
    notes = []
    if crossings is not None and crossings["idle_day"].notna().any():
        risks = [f"{100 * p:g}%" for p in sorted(set(crossings["probability"]))]
        notes.append(said["crossings"].format(risks=", ".join(risks)))
    if table["registration_gap"].any() and not any(line.registration_gap for line in lines):
        notes.append(said["only_later"])
    if look.kind == "grey":
        notes.append(said["many"].format(n=len(lines)))
    return notes


def _names_room(lines: Sequence[_Line], look: Look) -> float:
    """Points that names need at the right."""
    return max(ems(shown(name, _NAME)) for name in look.named) * SIZE + 30 if len(lines) > 1 else 14.0


def _frame(lines: Sequence[_Line], look: Look, width: float, notes: Sequence[str]) -> Frame:
    left, right = 46.0, _names_room(lines, look)
    top = 22.0 + LINE_GAP * len(notes)
    if width - left - right < NARROW:
        left, right = 40.0, 14.0
        if len(lines) > 1:
            names = [shown(name, _NAME) for name in look.named]
            top += LINE_GAP * (1 + max(row for row, _ in flow(names, width - left - right)))
    return Frame(width, _HEIGHT + top + 36.0, left, right, top, 36.0)


def _draw(ax: Axes, line: _Line, look: Look) -> None:
    named, colour = line.name in look.named, look.colours[line.name]
    day, churn, lower, upper = line.rows.T
    if named:
        ax.fill_between(day, lower, upper, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
    ax.plot(day, churn, color=colour, linewidth=1.8 if named else 0.9, zorder=3 if named else 2)


def _points(ax: Axes, crossings: pd.DataFrame, lines: Sequence[_Line], look: Look) -> None:
    for line in lines:
        if line.name not in look.named:
            continue
        colour = look.colours[line.name]
        mine = (crossings["group"].astype(str) == line.group) & (crossings["registration_gap"] == line.registration_gap)
        rows = crossings.loc[mine & crossings["idle_day"].notna(), list(_CROSSINGS[2:])].to_numpy(np.float64)
        for p, day, lower, upper in rows:
            if not np.isnan(lower):
                ax.plot([lower, ax.get_xlim()[1] if np.isnan(upper) else upper], [p, p], color=colour, linewidth=3.0,
                        alpha=0.5, solid_capstyle="butt", zorder=3.5)  # fmt: skip
            ax.plot([day], [p], marker="o", markersize=4.5, color=colour, zorder=4)


def _axes(ax: Axes, end: float, *, narrow: bool) -> None:
    ax.set_xlim(0, end)
    ax.set_ylim(0, 1.0)
    ticks = day_ticks(end, 5 if narrow else 8, "days")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0%", "25%", "50%", "75%", "100%"])


def _heading(ax: Axes, lines: Sequence[_Line], look: Look, texts: Sequence[str], *, narrow: bool) -> None:
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
