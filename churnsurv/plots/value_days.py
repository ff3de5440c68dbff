"""What a contact is worth by the idle day on which it is made, with its interval, the best day, and other savings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import MUTED
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.groups import Look
from churnsurv.plots.idle_lines import Line, heading, line_frame, lines_of, look_of, names_room
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import amount, at, estimate, short
from churnsurv.plots.style import Frame, dress, new_axes, side_room, write
from churnsurv.plots.text import drawn, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["value_by_day", "value_by_day_frame"]

_CURVE = ("idle_day", "value", "value_lower", "value_upper")
_STATED = "as stated"
_LEFT = 58.0
_NAME = 12.0  # ems of a name before it is shortened
_APART = 2  # more best days than that would be written over each other, and stand beside the names
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "title": "Net benefit per 1,000 gaps, {level} intervals",
    "axis": "Idle day on which everybody still silent is contacted",
    "best": "points: the best day",
    "nobody": "below 0 on every day: contacting nobody is best",
    "thin": "thin: if contacts save more, less, earlier or later",
    "cut": "values far below 0 are cut off",
    "later": "later gaps",
    "registration": "since registration",
    "only_later": "without the gaps that began at registration",
    "many": "{n} groups, most of them in grey",
    "day": "day {day}",
    "name": "{name}: day {day}",
    "name_nobody": "{name}: nobody",
    "per_gaps": "{value} per 1,000 gaps",
    "best_day": "the best day",
    "saving.top": "highest share saved {value}",
    "saving.middle": "half of it saved on idle day {value}",
    "saving.idle_days": "day {value}",
    "saving.s times": "share saved times {value}",
    "saving.lower limits": "lower limits of the share saved",
    "saving.upper limits": "upper limits of the share saved",
}


def value_by_day(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the net benefit of contacting everybody who is still silent on a day, against that day.

    Parameters
    ----------
    table : DataFrame
        Schema "value_by_day". Rows whose `saving` is not "as stated" are thin lines without intervals.
    ax : Axes, optional
        Where to draw; leave room around it (`value_by_day_frame` says how much). Without it a pyplot figure is made.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many groups, each has its own colour, interval and name; of more, most are grey.
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
        If the table has no rows of the saving curve as stated.

    Notes
    -----
    The line at 0 is contacting nobody. Contacting everybody on the first days costs far more than it brings, so that
    the axis ends where the losses are as large as the highest gain. Groups are drawn as in `idle_risks.idle_risk`.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "registration_gap": False, "saving": "as stated", "idle_day": [1, 2, 3],
    ...     "value": [-50.0, 80.0, 20.0], "value_lower": [-60.0, 70.0, 10.0], "value_upper": [-40.0, 90.0, 30.0],
    ...     "best": [False, True, False]})
    >>> [text.get_text() for text in value_by_day(table, Figure().add_subplot()).texts][0]
    'day 2'
    """
    said = chosen_words(words, _WORDS)
    lines, look = _lines(table, said, max_groups)
    notes, thin = _notes(table, lines, look, said), _thin(table, lines)
    if ax is None:
        ax = new_axes(line_frame(lines, look, 640.0, len(notes), left=_LEFT))
    narrow = side_room(ax)[1] < names_room(lines, look) - 1
    for line in lines:
        _draw(ax, line, look, thin.get((line.group, line.registration_gap), []))
    dress(ax)
    _axes(ax, lines, [rows for each in thin.values() for rows in each], said, narrow=narrow)
    for line in lines:
        _mark(ax, line, look, _best_day(table, line), thin.get((line.group, line.registration_gap), []), said)
        _best(ax, line, look, _best_day(table, line), "" if len(lines) > _APART else said["day"])
    write(ax, said["axis"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    heading(ax, _clipped(lines, ax.get_ylim()), look, [*notes, said["title"].format(level=f"{100 * level:g}%")],
            narrow=narrow)  # fmt: skip
    notice(ax, [line.name for line in lines], said)
    return ax


def value_by_day_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `value_by_day` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": "all", "registration_gap": False, "saving": "as stated", "idle_day": [1],
    ...     "value": 5.0, "value_lower": 4.0, "value_upper": 6.0, "best": True})
    >>> value_by_day_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    lines, look = _lines(table, said, max_groups)
    return line_frame(lines, look, width, len(_notes(table, lines, look, said)), left=_LEFT)


def _lines(table: pd.DataFrame, said: Mapping[str, str], max_groups: int) -> tuple[list[Line], Look]:
    require_columns("value_by_day", ("group", "registration_gap", "saving", *_CURVE, "best"), table.columns)
    stated = table[table["saving"] == _STATED]
    if stated.empty:
        raise InputError("The table has no rows to draw: none of the saving curve as stated.")
    lines = lines_of(stated, _CURVE, said)
    if len(lines) > _APART:
        lines = [_named(line, _best_day(table, line), said) for line in lines]
    return lines, look_of(lines, max_groups)


def _best_day(table: pd.DataFrame, line: Line) -> int | None:
    """The day that is worth most; None where contacting nobody is best."""
    mine = (table["group"].astype(str) == line.group) & (table["registration_gap"] == line.registration_gap)
    days = table.loc[mine & (table["saving"] == _STATED) & table["best"].astype(bool), "idle_day"]
    return int(days.iloc[0]) if len(days) else None


def _named(line: Line, day: int | None, said: Mapping[str, str]) -> Line:
    text = said["name_nobody"] if day is None else said["name"]
    return replace(line, name=text.format(name=shown(line.name, _NAME), day=day))


def _thin(table: pd.DataFrame, lines: Sequence[Line]) -> dict[tuple[str, bool], list[pd.DataFrame]]:
    """The other saving curves of each line."""
    others = table[table["saving"] != _STATED]
    drawn = {(line.group, line.registration_gap) for line in lines}
    found: dict[tuple[str, bool], list[pd.DataFrame]] = {}
    for (group, late, _), rows in others.groupby(["group", "registration_gap", "saving"], sort=False, observed=True):
        if (str(group), bool(late)) in drawn:
            found.setdefault((str(group), bool(late)), []).append(rows.sort_values("idle_day"))
    return found


def _notes(table: pd.DataFrame, lines: Sequence[Line], look: Look, said: Mapping[str, str]) -> list[str]:
    """What is said in small above the figure, from below."""
    notes = [said["cut"]] if _floor(lines) > min(np.nanmin(line.rows[:, 1]) for line in lines) else []
    if (table["saving"] != _STATED).any():
        notes.append(said["thin"])
    best = [_best_day(table, line) for line in lines if line.name in look.named]
    notes.append(said["nobody" if all(day is None for day in best) else "best"])
    if table["registration_gap"].any() and not any(line.registration_gap for line in lines):
        notes.append(said["only_later"])
    if look.kind == "grey":
        notes.append(said["many"].format(n=len(lines)))
    return notes


def _floor(lines: Sequence[Line]) -> float:
    """The lower end of the axis: the lowest value, but no loss larger than the highest gain."""
    lowest = min(float(np.nanmin(line.rows[:, [1, 2]])) for line in lines)
    highest = max(float(np.nanmax(line.rows[:, [1, 3]])) for line in lines)
    return max(lowest, -highest) if highest > 0 else lowest


def _clipped(lines: Sequence[Line], limits: tuple[float, float]) -> list[Line]:
    """The lines within the axes, so that names stand beside them."""
    return [
        Line(line.name, line.group, line.registration_gap, np.clip(line.rows, [-np.inf, limits[0], -np.inf, -np.inf],
             [np.inf, limits[1], np.inf, np.inf]))
        for line in lines
    ]  # fmt: skip


def _draw(ax: Axes, line: Line, look: Look, others: Sequence[pd.DataFrame]) -> None:
    named, colour = line.name in look.named, look.colours[line.name]
    day, value, lower, upper = line.rows.T
    if named:
        ax.fill_between(day, lower, upper, color=colour, alpha=0.2, linewidth=0, zorder=1.5)
        for rows in others:
            ax.plot(rows["idle_day"], rows["value"], color=colour, linewidth=0.7, alpha=0.75, zorder=1.8)
    ax.plot(day, value, color=colour, linewidth=1.8 if named else 0.9, zorder=3 if named else 2)


def _mark(
    ax: Axes, line: Line, look: Look, best: int | None, others: Sequence[pd.DataFrame], said: Mapping[str, str]
) -> None:
    """The line as stated with its limits, and those of other savings at some of their days."""
    form, days = amount(said), line.rows[:, 0]

    def say(i: int) -> str:
        told = said["per_gaps"].format(value=estimate(said, form, *line.rows[i, 1:]))
        where = said["mark.idle_day"].format(day=f"{days[i]:g}")
        return at(said, where, told, *([said["best_day"]] if days[i] == best else []))

    low, _ = ax.get_ylim()
    seen = np.flatnonzero(line.rows[:, 1] >= low)
    mark(ax, line.name, days[seen], line.rows[seen, 1], lambda i: say(int(seen[i])), few=line.name not in look.named)
    for rows in others if line.name in look.named else []:
        own = rows[rows["value"] >= low][["idle_day", "value"]].to_numpy(np.float64)

        def tell(i: int, own: Any = own) -> str:
            where = said["mark.idle_day"].format(day=f"{own[i, 0]:g}")
            return at(said, where, said["per_gaps"].format(value=form(own[i, 1])))

        name = said["mark.of"].format(one=line.name, other=_saving(str(rows["saving"].iloc[0]), said))
        mark(ax, name, own[:, 0], own[:, 1], tell, few=True)


def _saving(name: str, said: Mapping[str, str]) -> str:
    """What is said of another saving curve: the words for its name, or for its name before a number."""
    kind, _, value = name.rpartition(" ")
    told = said.get(f"saving.{name}") or said.get(f"saving.{kind}")
    return name if told is None else told.format(value=value)


def _best(ax: Axes, line: Line, look: Look, day: int | None, text: str) -> None:
    """A point on the best day, with its name; none where contacting nobody is best."""
    if line.name not in look.named or day is None:
        return
    value = float(line.rows[line.rows[:, 0] == day, 1][0])
    ax.plot([day], [value], marker="o", markersize=5.5, color=look.colours[line.name], zorder=4)
    if text:
        write(ax, text.format(day=day), at=(day, value), shift=(0, 11), within="data", ha="center", zorder=5)


def _axes(
    ax: Axes, lines: Sequence[Line], thin: Sequence[pd.DataFrame], said: Mapping[str, str], *, narrow: bool
) -> None:
    end = float(max(line.rows[-1, 0] for line in lines)) + 1
    ax.set_xlim(0, end)
    low, high = _floor(lines), max(float(np.nanmax(line.rows[:, [1, 3]])) for line in lines)
    high = max([high, *(float(rows["value"].max()) for rows in thin)])
    room = max(high, 0.0) - min(low, 0.0) or 1.0
    ax.set_ylim(min(low, 0.0) - 0.02 * room, max(high, 0.0) + 0.11 * room)
    ticks = day_ticks(end, 5 if narrow else 8, "days")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    ax.yaxis.set_major_formatter(lambda value, _: drawn(short(said, value)))
    ax.axhline(0, color=MUTED, linewidth=1.0, zorder=1.6)
