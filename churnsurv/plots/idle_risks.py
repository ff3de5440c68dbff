"""The risk of churn over idle days, with its intervals and the days on which it crosses stated risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import require_columns
from churnsurv.plots.colours import MUTED
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.groups import Look
from churnsurv.plots.idle_lines import Line, heading, line_frame, lines_of, look_of, names_room
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, decimal, estimate, share
from churnsurv.plots.style import Frame, dress, inner_size, new_axes, side_room, write
from churnsurv.plots.text import notice
from churnsurv.plots.tier_lanes import LANE, Lane, draw_lanes, lanes_of
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["idle_risk", "idle_risk_frame"]

_CURVE = ("idle_days", "churn", "lower", "upper")
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
    "bands": "below: warning tiers; a thin bar: some of the users",
    "reached": "day on which a risk is reached",
    "lane_all": "all users on idle days {days}",
    "lane_some": "some of the users on idle days {days}",
}


def idle_risk(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    crossings: pd.DataFrame | None = None,
    bands: pd.DataFrame | None = None,
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
    bands : DataFrame, optional
        Schema "tier_bands": below the curve, the idle days on which each warning tier holds. A thick bar: for all
        users; a thin one: for some, by the variables that rules look at.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many groups, each has its own colour, interval and name; of more, most are grey.
    words : mapping, optional
        Words to replace: "title", "axis", "crossings", "later", "registration", "only_later", "many", "bands".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows, or the tiers reach beyond its days.

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
    look, lanes = look_of(lines, max_groups), _lanes(lines, bands)
    notes = _notes(table, lines, crossings, look, lanes, said)
    if ax is None:
        ax = new_axes(_frame(lines, look, 640.0, notes, lanes))
    narrow = side_room(ax)[1] < names_room(lines, look) - 1
    for line in lines:
        _draw(ax, line, look)
        _mark(ax, line, look, said)
    dress(ax)
    _axes(ax, _end(lines), lanes, said, narrow=narrow)
    write(ax, said["axis"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    if crossings is not None:
        _points(ax, crossings, lines, look, said)
    heading(ax, lines, look, [*notes, said["title"].format(level=f"{100 * level:g}%")], narrow=narrow)
    names = [*(line.name for line in lines), *(lane.name for lane in lanes)]
    notice(ax, names, said)
    return ax


def idle_risk_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    crossings: pd.DataFrame | None = None,
    bands: pd.DataFrame | None = None,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
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
    said = chosen_words(words, _WORDS)
    lines = _lines(table, said)
    look, lanes = look_of(lines, max_groups), _lanes(lines, bands)
    return _frame(lines, look, width, _notes(table, lines, crossings, look, lanes, said), lanes)


def _frame(lines: Sequence[Line], look: Look, width: float, notes: Sequence[str], lanes: Sequence[Lane]) -> Frame:
    frame = line_frame(lines, look, width, len(notes))
    return replace(frame, height=frame.height + LANE * (len(lanes) + 0.25)) if lanes else frame


def _end(lines: Sequence[Line]) -> float:
    return float(max(line.rows[-1, 0] for line in lines)) + 1


def _lanes(lines: Sequence[Line], bands: pd.DataFrame | None) -> list[Lane]:
    return [] if bands is None else lanes_of(bands, int(_end(lines)))


def _lines(table: pd.DataFrame, said: Mapping[str, str]) -> list[Line]:
    require_columns("idle_risk", ("group", "registration_gap", *_CURVE), table.columns)
    return lines_of(table, _CURVE, said)


def _notes(
    table: pd.DataFrame,
    lines: Sequence[Line],
    crossings: pd.DataFrame | None,
    look: Look,
    lanes: Sequence[Lane],
    said: Mapping[str, str],
) -> list[str]:
    """What is said in small above the figure, from below."""
    notes = [said["bands"]] if lanes else []
    if crossings is not None and crossings["idle_day"].notna().any():
        risks = [f"{100 * p:g}%" for p in sorted(set(crossings["probability"]))]
        notes.append(said["crossings"].format(risks=said["comma"].join(risks)))
    if table["registration_gap"].any() and not any(line.registration_gap for line in lines):
        notes.append(said["only_later"])
    if look.kind == "grey":
        notes.append(said["many"].format(n=len(lines)))
    return notes


def _draw(ax: Axes, line: Line, look: Look) -> None:
    named, colour = line.name in look.named, look.colours[line.name]
    day, churn, lower, upper = line.rows.T
    if named:
        ax.fill_between(day, lower, upper, color=colour, alpha=0.16, linewidth=0, zorder=1.5)
    ax.plot(day, churn, color=colour, linewidth=1.8 if named else 0.9, zorder=3 if named else 2)


def _mark(ax: Axes, line: Line, look: Look, said: Mapping[str, str]) -> None:
    def say(i: int) -> str:
        day, *churn = line.rows[i]
        return at(said, said["mark.idle_day"].format(day=f"{day:g}"), estimate(said, share, *churn))

    mark(ax, line.name, line.rows[:, 0], line.rows[:, 1], say, few=line.name not in look.named)


def _points(ax: Axes, crossings: pd.DataFrame, lines: Sequence[Line], look: Look, said: Mapping[str, str]) -> None:
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

        def say(i: int, rows: Any = rows) -> str:
            p, *days = rows[i]
            return at(said, f"{100 * p:g}%", said["mark.idle_day"].format(day=estimate(said, decimal, *days)))

        mark(ax, said["mark.of"].format(one=line.name, other=said["reached"]), rows[:, 1], rows[:, 0], say)


def _axes(ax: Axes, end: float, lanes: Sequence[Lane], said: Mapping[str, str], *, narrow: bool) -> None:
    deep = LANE * (len(lanes) + 0.25) if lanes else 0.0
    unit = 1.0 / max(inner_size(ax)[1] - deep, 1.0)  # a point, in shares
    ax.set_xlim(0, end)
    ax.set_ylim(-deep * unit, 1.0)
    ticks = day_ticks(end, 5 if narrow else 8, "days")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1], labels=["0%", "25%", "50%", "75%", "100%"])
    if lanes:
        draw_lanes(ax, lanes, said, unit=unit)
