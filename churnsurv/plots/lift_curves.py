"""Who has returned by day: shares by arm, the difference that a campaign makes, and shares under two policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.plots.colours import MUTED
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.groups import Look
from churnsurv.plots.idle_lines import Line
from churnsurv.plots.lift_lines import (
    Head,
    at_risk_rows,
    draw_line,
    head_frame,
    is_narrow,
    lines_by,
    risk_frame,
    value_range,
    write_head,
)
from churnsurv.plots.numbers import between, estimate, on_day, share, short, signed
from churnsurv.plots.style import Frame, dress, inner_size, new_axes, write
from churnsurv.plots.text import drawn, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "escalation_curves",
    "escalation_curves_frame",
    "lift_over_time",
    "lift_over_time_frame",
    "return_curves",
    "return_curves_frame",
]

Floats = NDArray[np.float64]

_NAME = 12.0  # ems of the control in a title before it is shortened

_RETURNED = ("day", "returned", "lower", "upper")
_DIFFERENCE = ("day", "difference", "lower", "upper")
_BAND = ("band_lower", "band_upper")
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "returned": "Share returned, with {level} intervals",
    "day": "Day since the assignment, which is day 1",
    "first_day": "Day since the first contact, which is day 1",
    "at_risk": "Not returned",
    "difference": "More returned than in the control, per 1,000 users",
    "of_control": "More returned than in “{control}”, per 1,000 users",
    "pointwise": "{level} for each day",
    "band": "{level} for all days together",
    "dotted": "shaded: {level} for each day; dotted: for all days together",
    "many": "{n} lines, most of them in grey",
    "policies": "Share returned under each policy, with {level} intervals",
    "per_users": "{value} per 1,000 users",
    "all_days": "all days together {range}",
}


def return_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    campaign: str | None = None,
    control: str | None = None,
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the share returned by day and arm, with intervals and the users who have not returned yet.

    Parameters
    ----------
    table : DataFrame
        Schema "return_curves".
    ax : Axes, optional
        Where to draw; leave room around it (`return_curves_frame` says how much). Without it a pyplot figure is made.
    campaign : str, optional
        Which of several.
    control : str, optional
        The arm drawn in grey and dashed.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many arms, each has its own colour, interval and name; of more, most are grey.
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
        If the table has no rows, or several campaigns and `campaign` names none of them.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"campaign": "spring", "arm": ["none"] * 2 + ["sms"] * 2, "day": [1, 2] * 2,
    ...     "returned": [0.0, 0.1, 0.1, 0.3], "lower": [0.0, 0.0, 0.0, 0.1], "upper": [0.1, 0.3, 0.3, 0.5],
    ...     "at_risk": [9, 9, 10, 9]})
    >>> ax = return_curves(table, Figure().add_subplot(), control="none")
    >>> [float(y) for y in ax.lines[0].get_ydata()]
    [0.0, 0.0, 0.1, 0.1]
    """
    said = chosen_words(words, _WORDS)
    mine = of_campaign(table, campaign)
    lines, look = _arms(mine, control, max_groups)
    head = Head(said["returned"].format(level=f"{100 * level:g}%"), _many(lines, look, said))
    if ax is None:
        ax = new_axes(risk_frame(lines, look, 640.0, head, said["at_risk"]))
    narrow = is_narrow(ax, lines, look)
    for line in lines:
        draw_line(ax, line, look, step=True, dashed=line.name == control, say=_share_on(line, said), held=True)
    dress(ax)
    _shares(ax, lines, look)
    ticks = _days(ax, lines, said["day"], narrow=narrow)
    numbers = {name: _at_risk(mine, name, ticks) for line in lines if (name := line.name) in look.named}
    write_head(ax, lines, look, head)
    at_risk_rows(ax, numbers, look, said["at_risk"], narrow=narrow and len(lines) > 1)
    notice(ax, [line.name for line in lines], said)
    return ax


def return_curves_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    campaign: str | None = None,
    control: str | None = None,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `return_curves` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"campaign": "spring", "arm": "sms", "day": [1], "returned": 0.1, "lower": 0.0,
    ...     "upper": 0.3, "at_risk": 9})
    >>> return_curves_frame(table, 350).width
    350
    """
    lines, look = _arms(of_campaign(table, campaign), control, max_groups)
    said = chosen_words(words, _WORDS)
    return risk_frame(lines, look, width, Head(said["returned"], _many(lines, look, said)), said["at_risk"])


def lift_over_time(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    campaign: str | None = None,
    control: str | None = None,
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw how many more have returned than in the control, by day, with limits of each day and a band of all days.

    Parameters
    ----------
    table : DataFrame
        Schema "lift_over_time".
    ax : Axes, optional
        Where to draw; `lift_over_time_frame` says how much room it needs. Without it a pyplot figure is made.
    campaign : str, optional
        Which of several.
    control : str, optional
        Only written.
    level : float
        The level of the table's limits; only written.
    max_groups : int
        Up to so many arms, each has its own colour, limits and name; of more, most are grey.
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
        If the table has no rows, or several campaigns and `campaign` names none of them.

    Notes
    -----
    Of one arm the band is a lighter shade; of several, dotted lines.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"campaign": "spring", "arm": "sms", "day": [1, 2], "difference": [10.0, 20.0],
    ...     "lower": [0.0, 5.0], "upper": [20.0, 35.0], "band_lower": [-5.0, 0.0], "band_upper": [25.0, 40.0]})
    >>> len(lift_over_time(table, Figure().add_subplot()).collections)
    2
    """
    said = chosen_words(words, _WORDS)
    mine = of_campaign(table, campaign)
    lines, look, bands = _differences(mine, max_groups)
    head = _over_time_head(lines, look, said, control, level)
    if ax is None:
        ax = new_axes(head_frame(lines, look, 640.0, head))
    narrow = is_narrow(ax, lines, look)
    for line in lines:
        band = bands[line.name]
        say = _difference_on(line, band, said)
        draw_line(ax, line, look, step=True, band=band, alone=len(lines) == 1, say=say, held=True)
    dress(ax)
    ax.axhline(0, color=MUTED, linewidth=1.0, zorder=1.6)
    ax.set_ylim(*value_range(_seen(lines, look, bands)))
    ax.yaxis.set_major_formatter(lambda value, _: drawn(short(said, value, sign=True)))
    _days(ax, lines, said["day"], narrow=narrow)
    write_head(ax, lines, look, head)
    notice(ax, [line.name for line in lines], said)
    return ax


def lift_over_time_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    campaign: str | None = None,
    control: str | None = None,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `lift_over_time` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"campaign": "spring", "arm": "sms", "day": [1], "difference": 10.0, "lower": 0.0,
    ...     "upper": 20.0, "band_lower": -5.0, "band_upper": 25.0})
    >>> lift_over_time_frame(table, 350).width
    350
    """
    lines, look, _ = _differences(of_campaign(table, campaign), max_groups)
    return head_frame(lines, look, width, _over_time_head(lines, look, chosen_words(words, _WORDS), control, 0.95))


def escalation_curves(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    day: int | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the share returned by day under each policy.

    Parameters
    ----------
    table : DataFrame
        Schema "escalation_curves".
    ax : Axes, optional
        Where to draw; `escalation_curves_frame` says how much room it needs. Without it a pyplot figure is made.
    day : int, optional
        Of the second contact: an upright line.
    level : float
        The level of the table's intervals; only written.
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
        If the table has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"policy": ["push"] * 2 + ["push, then sms"] * 2, "day": [1, 2] * 2,
    ...     "returned": [0.0, 0.1, 0.0, 0.3], "lower": 0.0, "upper": 0.4})
    >>> len(escalation_curves(table, Figure().add_subplot()).collections)
    2
    """
    said = chosen_words(words, _WORDS)
    lines, look = _policies(table)
    head = Head(said["policies"].format(level=f"{100 * level:g}%"))
    if ax is None:
        ax = new_axes(head_frame(lines, look, 640.0, head))
    narrow = is_narrow(ax, lines, look)
    for place, line in enumerate(lines):
        draw_line(ax, line, look, step=True, dashed=place == 0, say=_share_on(line, said), held=True)
    dress(ax)
    _shares(ax, lines, look)
    _days(ax, lines, said["first_day"], narrow=narrow)
    if day is not None:
        ax.axvline(day, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.6)
    write_head(ax, lines, look, head)
    notice(ax, [line.name for line in lines], said)
    return ax


def escalation_curves_frame(
    table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None
) -> Frame:
    """Return the size of a figure of this width (in points) in which `escalation_curves` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"policy": "push", "day": [1], "returned": 0.1, "lower": 0.0, "upper": 0.3})
    >>> escalation_curves_frame(table, 350).width
    350
    """
    lines, look = _policies(table)
    return head_frame(lines, look, width, Head(chosen_words(words, _WORDS)["policies"]))


def of_campaign(table: pd.DataFrame, campaign: str | None) -> pd.DataFrame:
    """The rows of one campaign, which need not be named where there is one.

    Raises
    ------
    InputError
        If there are several and none is named, or it is not one of them.
    """
    if "campaign" not in table.columns:
        return table
    names = [str(name) for name in table["campaign"].unique()]
    if campaign is None and len(names) <= 1:
        return table
    if campaign is None:
        raise InputError(f"there are {len(names)} campaigns; choose one with campaign=: {', '.join(names)}.")
    if campaign not in names:
        hint = did_you_mean(campaign, names)
        raise InputError(f"there is no campaign {campaign!r}.{hint} Campaigns: {', '.join(names)}.")
    return table[table["campaign"].astype(str) == campaign]


def _arms(table: pd.DataFrame, control: str | None, max_groups: int) -> tuple[list[Line], Look]:
    columns = (*_RETURNED, "at_risk")
    lines, look = lines_by(table, "arm", columns, what="return_curves", control=control, max_groups=max_groups)
    return [_from_zero(line) for line in lines], look


def _policies(table: pd.DataFrame) -> tuple[list[Line], Look]:
    lines, look = lines_by(table, "policy", _RETURNED, what="escalation_curves")
    return [_from_zero(line) for line in lines], look


def _share_on(line: Line, said: Mapping[str, str]) -> Callable[[int], str]:
    return lambda i: on_day(said, line.rows[i, 0], estimate(said, share, *line.rows[i, 1:]))


def _difference_on(line: Line, band: Floats, said: Mapping[str, str]) -> Callable[[int], str]:
    def say(i: int) -> str:
        told = said["per_users"].format(value=estimate(said, signed, *line.rows[i, 1:]))
        ends = said["all_days"].format(range=between(said, *(signed(end) for end in band[i])))
        return on_day(said, line.rows[i, 0], told, *([ends] if band[i, 0] < band[i, 1] else []))

    return say


def _from_zero(line: Line) -> Line:
    """The curve from day 0 on, when nobody has returned, to the end of the last day."""
    return Line(line.name, line.group, False, _whole_days(line.rows)[:, :4])


def _whole_days(rows: Floats) -> Floats:
    """Rows that begin with zeros on day 0, and whose last one is held for its day."""
    after = rows[-1:].copy()
    after[:, 0] += 1
    return np.concatenate([np.zeros((1, rows.shape[1])), rows, after])


def _differences(table: pd.DataFrame, max_groups: int) -> tuple[list[Line], Look, dict[str, Floats]]:
    columns = (*_DIFFERENCE, *_BAND)
    lines, look = lines_by(table, "arm", columns, what="lift_over_time", max_groups=max_groups)
    whole = {line.name: _whole_days(line.rows) for line in lines}
    return [Line(n, n, False, rows[:, :4]) for n, rows in whole.items()], look, {n: r[:, 4:] for n, r in whole.items()}


def _over_time_head(
    lines: Sequence[Line], look: Look, said: Mapping[str, str], control: str | None, level: float
) -> Head:
    told = {"level": f"{100 * level:g}%"}
    title = said["difference"] if control is None else said["of_control"].format(control=shown(control, _NAME))
    if len(lines) == 1:
        return Head(title, shades=(said["pointwise"].format(**told), said["band"].format(**told)))
    return Head(title, (*_many(lines, look, said), said["dotted"].format(**told)))


def _many(lines: Sequence[Line], look: Look, said: Mapping[str, str]) -> tuple[str, ...]:
    return () if look.kind == "all" else (said["many"].format(n=len(lines)),)


def _seen(lines: Sequence[Line], look: Look, bands: Mapping[str, Floats]) -> Floats:
    """What the axis must hold: estimates, and the limits of lines that have a name."""
    parts = [line.rows[:, 1] for line in lines]
    parts += [bands[line.name].ravel() for line in lines if line.name in look.named]
    return np.concatenate(parts)


def _shares(ax: Axes, lines: Sequence[Line], look: Look) -> None:
    """An axis of shares from 0 to what the intervals need."""
    highest = max(float(np.nanmax(line.rows[:, 1])) for line in lines)
    highest = max([highest, *(float(np.nanmax(line.rows[:, 3])) for line in lines if line.name in look.named)])
    ax.set_ylim(0, min(max(highest, 0.01) * 1.04, 1.01))
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")


def _days(ax: Axes, lines: Sequence[Line], said: str, *, narrow: bool) -> Floats:
    """An axis of days, and its ticks."""
    end = max(float(line.rows[-1, 0]) for line in lines)
    ax.set_xlim(0, end)
    ticks = day_ticks(end - 1, 5 if narrow or inner_size(ax)[0] < 300 else 8, "days")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    write(ax, said, at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    return ticks


def _at_risk(table: pd.DataFrame, arm: str, ticks: Floats) -> dict[float, float]:
    """Users of an arm not returned before the days of the ticks and followed to them; on day 0 all."""
    mine = table[table["arm"].astype(str) == arm].sort_values("day", kind="stable")
    days, numbers = mine["day"].to_numpy(np.float64), mine["at_risk"].to_numpy(np.float64)
    places = np.searchsorted(days, ticks)
    return {float(t): float(numbers[p]) for t, p in zip(ticks, places, strict=True) if p < len(days)}
