"""Survival curves as steps with bands, and the numbers at risk under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import MUTED
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import count, estimate, on_day, share
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
    stroke,
    write,
)
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import chosen_words
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["day_ticks", "survival_curves", "survival_curves_frame"]

_DAY_STEPS = (1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650)
_NAME = 16.0  # ems of a group name before it is shortened
_COLUMNS = 900  # at most so many steps drawn for each curve: finer than a pixel of the page
_ROWS = 2500  # a step lower than a 2500th of the axis is not drawn
_MOST_DRAWN = 60  # of more groups, the named ones and some evenly spaced from low to high are drawn
_MARKS = 150  # up to so many users in all, censorings are marked
_HEIGHT = 250.0
_BANDS = "; dashed: whole curve"
_RISK_ROWS = -46.0  # first line under the axis, below the name of the axis


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """One group: the table's rows, and the steps to draw up to the horizon."""

    group: str
    time: NDArray[np.float64]
    survival: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    rows: NDArray[np.float64]  # (n_rows,) days of the table
    n_at_risk: NDArray[np.float64]
    n_left: float
    censored: NDArray[np.float64]  # days with censorings
    last: float

    def at(self, day: float) -> float:
        """Survival on a day."""
        return float(self.survival[np.searchsorted(self.time, day, side="right") - 1])

    def at_risk(self, day: float) -> float:
        """Users at risk just before a day: nobody enters or leaves between two rows of the table."""
        row = int(np.searchsorted(self.rows, day, side="left"))
        return float(self.n_at_risk[row]) if row < len(self.rows) else self.n_left


def survival_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    at_risk: bool = True,
    level: float = 0.95,
    max_groups: int = 8,
    horizon: float | None = None,
    unit: str = "days",
    bands: pd.DataFrame | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw survival curves with their intervals and the numbers at risk.

    Parameters
    ----------
    table : DataFrame
        Schema "curves".
    ax : Axes, optional
        Where to draw; leave room around it (`survival_curves_frame` says how much). Without it a pyplot figure is made.
    at_risk : bool
        Write the users at risk under the axis, for the named groups.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many groups, each has its own colour, band and name. With more: groups whose names are dates or
        numbers are coloured in order from blue to amber, and the first, the last, the lowest and the highest are
        named; other groups are grey, and the lowest and highest three are named. Of more than 60, some evenly spaced
        from low to high are drawn beside the named ones. A line over the figure says so.
        Lowest and highest are those on the last day to which at least half of the groups were followed.
    horizon : float, optional
        Last day shown; the default is the last day of the table. No curve goes beyond its own last day.
    unit : str
        Unit of time, written at the axis.
    bands : DataFrame, optional
        Schema "bands": simultaneous bands, drawn as dashed lines around the curves of the named groups.
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
    Censorings are marked only where there are no more than 150 users. Steps too small to be seen (a nine-hundredth of
    the axis wide, a 2500th high) are left out of the drawing.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": ["all"] * 2, "time": [30, 45], "survival": [0.5, 0.25], "std_error": [0.2, 0.2],
    ...     "lower": [0.1, 0.0], "upper": [0.8, 0.7], "n_at_risk": [4, 2], "n_events": [2, 1], "n_censored": [0, 1]})
    >>> float(survival_curves(table, Figure().add_subplot()).get_xlim()[1])
    45.0
    """
    said = chosen_words(words)
    curves = _curves(table, horizon, said)
    end = _end(curves, horizon)
    if ax is None:
        ax = new_axes(_frame(curves, 640.0, said["at_risk"] if at_risk else None, max_groups=max_groups))
    day, look = _look(curves, max_groups)
    needed = _sides(curves, look, said["at_risk"] if at_risk else None)
    narrow = any(room < need - 1 for room, need in zip(side_room(ax), needed, strict=True))
    ax.set_xlim(0, end)
    ax.set_ylim(0, 1.01)  # the line at 100 % is not cut
    drawn = _drawn(curves, look, day)
    for curve in drawn:
        _draw(ax, curve, look, end)
        _mark(ax, curve, look, said)
    if bands is not None:
        _draw_bands(ax, bands, look, {curve.group: curve for curve in curves}, said)
    _censorings(ax, curves, look)
    ticks = day_ticks(end, 5 if narrow else 8, unit)
    dress(ax)
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    shares = np.linspace(0, 1, 5)
    ax.set_yticks(shares, labels=[f"{share:.0%}" for share in shares])
    axis = said["time"].format(unit=said.get(f"unit.{unit}", unit.capitalize()))
    write(ax, axis, at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    title = said["survival"].format(level=f"{100 * level:g}%")
    if bands is not None:
        title += said.get("bands", _BANDS)
    _heading(ax, curves, look, said, title=title, day=day, n_drawn=len(drawn), narrow=narrow)
    if at_risk:
        rows = [curve for curve in curves if curve.group in look.named]
        _at_risk_rows(ax, rows, look, ticks, said["at_risk"], narrow=narrow)
    notice(ax, [curve.group for curve in curves], said)
    return ax


def survival_curves_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    at_risk: bool = True,
    max_groups: int = 8,
    horizon: float | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `survival_curves` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> columns = ["group", "time", "survival", "std_error", "lower", "upper", "n_at_risk", "n_events", "n_censored"]
    >>> survival_curves_frame(pd.DataFrame([["all", 30, 0.5, 0.2, 0.1, 0.8, 4, 2, 2]], columns=columns), 350).width
    350
    """
    said = chosen_words(words)
    word = said["at_risk"] if at_risk else None
    return _frame(_curves(table, horizon, said), width, word, max_groups=max_groups)


def _frame(curves: Sequence[_Curve], width: float, at_risk: str | None, *, max_groups: int) -> Frame:
    """The frame; `at_risk` is the word before the numbers at risk, None without them."""
    look = _look(curves, max_groups)[1]
    named = look.named
    left, right = _sides(curves, look, at_risk)
    lines = len(named) if len(curves) > 1 else 1
    narrow = width - left - right < NARROW
    top = 22.0 + (LINE_GAP if len(curves) > max_groups else 0.0)
    if narrow:
        left, right = 40.0, 14.0
        if len(curves) > 1:
            top += LINE_GAP * (1 + max(row for row, _ in flow([shown(n, _NAME) for n in named], width - left - right)))
    bottom = 36.0
    if at_risk is not None:
        each = 2 * LINE_GAP if narrow and len(curves) > 1 else LINE_GAP
        bottom += 22 + lines * each
    return Frame(width, _HEIGHT + top + bottom, left, right, top, bottom)


def _sides(curves: Sequence[_Curve], look: Look, at_risk: str | None) -> tuple[float, float]:
    """Points that names need at the left and right of the axes."""
    widest = max(ems(shown(name, _NAME)) for name in look.named) * SIZE if len(curves) > 1 else 0.0
    left = max(46.0, max(widest, max(4.0, ems(at_risk)) * SIZE) + 48 if at_risk is not None else 0.0)
    return left, widest + 30 if len(curves) > 1 else 14.0


def _curves(table: pd.DataFrame, horizon: float | None, said: Mapping[str, str]) -> list[_Curve]:
    require_columns("curves", [n for n in schema("curves").names if n != "std_error"], table.columns)
    if len(table) == 0:
        raise InputError("The table of curves has no rows: there is nothing to draw.")
    curves = []
    for group, rows in table.groupby("group", sort=False, observed=True):
        ordered = rows.sort_values("time", kind="stable")
        numbers = {
            name: ordered[name].to_numpy(dtype=np.float64, na_value=np.nan)
            for name in ("time", "survival", "lower", "upper", "n_at_risk", "n_events", "n_censored")
        }
        curves.append(_curve(group_said(said, str(group)), numbers, np.inf if horizon is None else float(horizon)))
    return curves


def _curve(group: str, numbers: Mapping[str, NDArray[np.float64]], horizon: float) -> _Curve:
    days = numbers["time"]
    last = min(float(days[-1]), horizon)
    kept = days <= horizon
    start = [] if days[0] <= 0 else [0.0]
    steps = {name: np.concatenate([[1.0] * len(start), numbers[name][kept]]) for name in ("survival", "lower", "upper")}
    time = np.concatenate([start, days[kept]])
    if time[-1] < last:
        time = np.append(time, last)
        steps = {name: np.append(values, values[-1]) for name, values in steps.items()}
    final = {name: numbers[name][-1] for name in ("n_at_risk", "n_events", "n_censored")}
    return _Curve(
        group=group,
        time=time,
        **steps,
        rows=days,
        n_at_risk=numbers["n_at_risk"],
        n_left=max(0.0, float(final["n_at_risk"] - final["n_events"] - final["n_censored"])),
        censored=days[kept & (numbers["n_censored"] > 0)],
        last=last,
    )


def _end(curves: Sequence[_Curve], horizon: float | None) -> float:
    end = max(curve.last for curve in curves) if horizon is None else float(horizon)
    return end if end > 0 else 1.0


def _look(curves: Sequence[_Curve], max_groups: int) -> tuple[float, Look]:
    """The day on which lowest and highest are judged, and the look."""
    day = float(np.sort([curve.last for curve in curves])[::-1][(len(curves) - 1) // 2])
    heights = {curve.group: curve.at(day) for curve in curves if curve.last >= day}
    return day, looks([curve.group for curve in curves], heights, max_groups)


def _drawn(curves: Sequence[_Curve], look: Look, day: float) -> list[_Curve]:
    """The curves to draw: all, or the named ones and others evenly spaced from low to high."""
    if len(curves) <= _MOST_DRAWN:
        return list(curves)
    ranked = sorted(curves, key=lambda curve: curve.at(min(day, curve.last)))
    some = {ranked[int(place)].group for place in np.linspace(0, len(ranked) - 1, _MOST_DRAWN)} | set(look.named)
    return [curve for curve in curves if curve.group in some]


def _draw(ax: Axes, curve: _Curve, look: Look, end: float) -> None:
    named = curve.group in look.named
    colour = look.colours[curve.group]
    kept = _thinned(curve, end)
    time = curve.time[kept]
    if named:
        ax.fill_between(
            time,
            curve.lower[kept],
            curve.upper[kept],
            step="post",
            color=colour,
            alpha=0.16,
            linewidth=0,
            zorder=1.5,
        )
    ax.plot(
        time,
        curve.survival[kept],
        drawstyle="steps-post",
        color=colour,
        linewidth=1.8 if named else 0.9,
        alpha=1.0 if named or look.kind == "grey" else 0.75,
        zorder=3 if named else 2,
        solid_joinstyle="miter",
    )


def _draw_bands(
    ax: Axes, bands: pd.DataFrame, look: Look, curves: Mapping[str, _Curve], said: Mapping[str, str]
) -> None:
    """Both edges of the band of each named group, up to the end of its curve."""
    require_columns("bands", ("group", "time", "lower", "upper"), bands.columns)
    for group, rows in bands.groupby("group", sort=False, observed=True):
        name = group_said(said, str(group))
        if name not in look.named:
            continue
        kept = rows[rows["time"] <= curves[name].last].sort_values("time", kind="stable")
        for side in ("lower", "upper"):
            ax.plot(
                kept["time"].to_numpy(dtype=np.float64),
                kept[side].to_numpy(dtype=np.float64),
                drawstyle="steps-post",
                color=look.colours[name],
                linewidth=1.0,
                linestyle=(0, (4, 2)),
                zorder=2.4,
            )


def _thinned(curve: _Curve, end: float) -> NDArray[np.intp]:
    """The steps that can be seen: the last of each column of the axis, where the curve or its band moves."""
    n = len(curve.time)
    column = np.floor(curve.time / end * _COLUMNS)
    seen = np.flatnonzero(np.append(np.diff(column) > 0, True))
    heights = np.nan_to_num(np.stack([curve.survival, curve.lower, curve.upper])[:, seen], nan=-1.0)
    moves = np.any(np.diff(np.round(heights * _ROWS), axis=1) != 0, axis=0)
    return np.unique(np.concatenate([[0], seen[1:][moves], [n - 1]]))


def _mark(ax: Axes, curve: _Curve, look: Look, said: Mapping[str, str]) -> None:
    name = said["mark.all"] if curve.group == "all" else curve.group

    def say(i: int) -> str:
        alive = estimate(said, share, curve.survival[i], curve.lower[i], curve.upper[i])
        return on_day(said, curve.time[i], alive, said["mark.at_risk"].format(n=count(curve.at_risk(curve.time[i]))))

    mark(ax, name, curve.time, curve.survival, say, few=curve.group not in look.named)


def _censorings(ax: Axes, curves: Sequence[_Curve], look: Look) -> None:
    if sum(float(np.nanmax(curve.n_at_risk)) for curve in curves) > _MARKS:
        return
    for curve in curves:
        heights = [curve.at(day) for day in curve.censored]
        colour = look.colours[curve.group]
        ax.plot(curve.censored, heights, linestyle="", marker="|", markersize=6, color=colour, zorder=4, clip_on=False)


def day_ticks(end: float, n_most: int, unit: str) -> NDArray[np.float64]:
    """Return at most about `n_most` ticks from 0 to `end`, at days that people count in.

    Examples
    --------
    >>> day_ticks(180, 6, "days").tolist()
    [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0]
    """
    known = _DAY_STEPS if unit == "days" else ()
    step = next((float(step) for step in known if end / step <= n_most), None)
    if step is None:
        power = 10.0 ** np.floor(np.log10(end / n_most))
        step = next(power * part for part in (1, 2, 5, 10) if end / (power * part) <= n_most)
    return np.arange(0, end + step * 1e-9, step)


def _heading(
    ax: Axes,
    curves: Sequence[_Curve],
    look: Look,
    said: Mapping[str, str],
    *,
    title: str,
    day: float,
    n_drawn: int,
    narrow: bool,
) -> None:
    """What is shown, the note on many groups, and the names: at the ends of the lines, or as a key where narrow."""
    by_name = {curve.group: curve for curve in curves}
    names = [name for name in look.named if len(curves) > 1]
    y = 10.0
    if narrow and names:
        width, _ = inner_size(ax)
        entries = [(shown(name, _NAME), look.colours[name]) for name in names]
        key(ax, entries, width=width)
        y += LINE_GAP * (1 + max(row for row, _ in flow([text for text, _ in entries], width)))
    elif names:
        label_ends(
            ax,
            [(by_name[n].last, by_name[n].at(by_name[n].last), shown(n, _NAME), look.colours[n]) for n in names],
        )
    if look.kind != "all":
        many = "many_ordered" if look.kind == "ordered" else "many_grey"
        note = said["many_drawn" if n_drawn < len(curves) else many].format(n=len(curves), m=n_drawn)
        ends = [said["first"], said["last"]] if look.kind == "ordered" else []
        which = said["named"].format(names=said["comma"].join([*ends, said["lowest"].format(day=f"{day:,g}")]))
        both = said["mark.next"].join([note, which])
        if ems(both) * SIZE < inner_size(ax)[0] + side_room(ax)[1]:
            note = both
        write(ax, note, at=(0, 1), shift=(0, y), color=MUTED)
        y += LINE_GAP
    write(ax, title, at=(0, 1), shift=(0, y))


def _at_risk_rows(
    ax: Axes,
    curves: Sequence[_Curve],
    look: Look,
    ticks: NDArray[np.float64],
    word: str,
    *,
    narrow: bool,
) -> None:
    width, _ = inner_size(ax)
    alone = len(curves) == 1 and look.kind == "all"
    left, side = (-26.0, "left") if narrow else (-42.0, "right")
    y = _RISK_ROWS
    write(ax, word, at=(0, 0), shift=(left, y), ha=side, color=MUTED)
    y += LINE_GAP if alone and not narrow else 0.0
    for curve in curves:
        if not alone:
            name = shown(curve.group, (width + 16) / SIZE if narrow else _NAME)
            start = -26.0 if narrow else -36.0
            y -= LINE_GAP
            stroke(ax, look.colours[curve.group], at=(0, 0), shift=(start, y), length=8)
            write(ax, name, at=(0, 0), shift=(start + 12 if narrow else left, y), ha=side)
        y -= LINE_GAP if alone or narrow else 0.0
        for tick in ticks[ticks <= curve.last]:
            number = f"{curve.at_risk(tick):,.0f}"
            write(ax, number, at=(tick, 0), within=("data", "axes fraction"), shift=(0, y), ha="center")
