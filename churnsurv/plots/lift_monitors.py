"""A running campaign by calendar day: what the odds of return may be, and the power it has by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.colours import MUTED, SERIES
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.dates import date_axis, date_numbers, date_text
from churnsurv.plots.groups import Look
from churnsurv.plots.idle_lines import Line
from churnsurv.plots.lift_lines import DASHED, Head, draw_line, head_frame, is_narrow, lines_by, write_head
from churnsurv.plots.numbers import at, estimate, ratio
from churnsurv.plots.style import Frame, dress, new_axes, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["campaign_power", "campaign_power_frame", "lift_monitor", "lift_monitor_frame"]

Floats = NDArray[np.float64]

_ODDS = ("estimate", "lower", "upper")
_GO_ON = "go on"
_NAME = 18.0  # ems of the name of an arm before it is shortened
_LEAST, _MOST = 0.1, 10.0  # odds ratios that are drawn: before the first returns limits lie anywhere
_RATIOS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "monitor": "Odds of return on a day, arm against control; {level} limits that hold on all days",
    "decided": "{day}: {decision}",
    "open": "no decision yet; e-value {e_value}",
    "of_arm": "{arm}: {text}",
    "smallest": "dashed: the smallest lift worth having, {ratio}",
    "power": "Power by the end of each day of the campaign",
    "power_day": "Day of the campaign",
    "one_test": "one test",
    "monitored": "looked at every day",
    "of_lift": "{kind}, {lift}",
    "of_users": "{kind}, {users}",
    "e_value": "e-value {e_value}",
    "told": "odds ratio {value}",
    "decision.lift": "lift",
    "decision.no lift worth having": "no lift worth having",
    "decision.go on": "go on",
}


def lift_monitor(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    smallest_lift: float | None = None,
    arm: str | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the confidence sequence of the odds ratio of return over the days of a running campaign.

    Parameters
    ----------
    table : DataFrame
        Schema "lift_monitor".
    ax : Axes, optional
        Where to draw; `lift_monitor_frame` says how much room it needs. Without it a pyplot figure is made.
    smallest_lift : float, optional
        The smallest odds ratio worth having: a dashed line.
    arm : str, optional
        Only this arm. Else all, each with its own line.
    level : float
        The level of the table's limits; only written.
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
        If the table has no rows, or no such arm.

    Notes
    -----
    A log axis from a tenth to ten: limits beyond are not drawn. The line at 1 is no lift; a point marks the day of the
    decision, which is also written, with the e-value of the last day where there is none yet.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"arm": "sms", "day": pd.date_range("2024-05-01", periods=2), "e_value": [2.0, 30.0],
    ...     "estimate": [1.5, 1.6], "lower": [0.8, 1.1], "upper": [3.0, 2.2], "decision": ["go on", "lift"]})
    >>> [text.get_text() for text in lift_monitor(table, Figure().add_subplot()).texts][0]
    '2024-05-02: lift'
    """
    said = chosen_words(words, _WORDS)
    mine, lines, look = _arms(table, arm)
    head = _head(mine, lines, said, smallest_lift, level, named=arm is not None)
    if ax is None:
        ax = new_axes(head_frame(lines, look, 640.0, head))
    for place, line in enumerate(lines):
        drawn, alone = _within(line), len(lines) == 1  # of several arms limits are lines: shades would hide each other
        band = None if alone else drawn.rows[:, 2:]
        say = _odds_on(mine, line, said)
        draw_line(ax, drawn, look, step=True, dashed=place % 2 == 1, alone=alone, shade=alone, band=band, say=say)
        _decided(ax, mine, line, look)
    dress(ax)
    _odds_axis(ax, lines)
    first, last = float(lines[0].rows[0, 0]), float(lines[0].rows[-1, 0])
    ax.set_xlim(first, max(last, first + 1))
    date_axis(ax, first, last, said["months"])
    ax.axhline(1, color=MUTED, linewidth=1.0, zorder=1.6)
    if smallest_lift is not None:
        ax.axhline(smallest_lift, color=MUTED, linewidth=1.0, linestyle=DASHED, zorder=1.6)
    write_head(ax, [_within(line) for line in lines], look, head)
    notice(ax, [line.name for line in lines], said)
    return ax


def lift_monitor_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    smallest_lift: float | None = None,
    arm: str | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `lift_monitor` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"arm": "sms", "day": pd.date_range("2024-05-01", periods=1), "e_value": 2.0,
    ...     "estimate": 1.5, "lower": 0.8, "upper": 3.0, "decision": "go on"})
    >>> lift_monitor_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    mine, lines, look = _arms(table, arm)
    return head_frame(lines, look, width, _head(mine, lines, said, smallest_lift, 0.95, named=arm is not None))


def campaign_power(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    power: float | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the power that a planned campaign has by the end of each of its days.

    Parameters
    ----------
    table : DataFrame
        Schema "campaign_power_days".
    ax : Axes, optional
        Where to draw; `campaign_power_frame` says how much room it needs. Without it a pyplot figure is made.
    power : float, optional
        Asked for: a dotted line.
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
        If the table has no rows: a campaign without accrual has no days.

    Notes
    -----
    Solid: one test at the end of the day. Dashed: the chance that the e-value of a campaign that is looked at every
    day has crossed by then.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"lift": 0.02, "n_users": 900, "day": [1, 2], "n_assigned": [450, 900],
    ...     "n_followed": [0, 900], "power": [None, 0.8], "monitored_power": [0.1, 0.7]})
    >>> [line.get_linestyle() for line in campaign_power(table, Figure().add_subplot()).lines][:2]
    ['-', '--']
    """
    said = chosen_words(words, _WORDS)
    lines, look = _powers(table, said)
    head = Head(said["power"])
    if ax is None:
        ax = new_axes(head_frame(lines, look, 640.0, head))
    narrow = is_narrow(ax, lines, look)
    for line in lines:
        draw_line(ax, line, look, shade=False, dashed=line.registration_gap)
    dress(ax)
    end = max(float(line.rows[-1, 0]) for line in lines)
    ax.set_xlim(0, end)
    ticks = day_ticks(end, 5 if narrow else 8, "days")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    shares = np.linspace(0, 1, 5)
    ax.set_ylim(0, 1.01)
    ax.set_yticks(shares, labels=[f"{share:.0%}" for share in shares])
    if power is not None:
        ax.axhline(power, color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1.6)
    write(ax, said["power_day"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    write_head(ax, lines, look, head)
    return ax


def campaign_power_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `campaign_power` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"lift": 0.02, "n_users": 900, "day": [1], "power": 0.8, "monitored_power": None})
    >>> campaign_power_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    lines, look = _powers(table, said)
    return head_frame(lines, look, width, Head(said["power"]))


def _arms(table: pd.DataFrame, arm: str | None) -> tuple[pd.DataFrame, list[Line], Look]:
    require_columns("lift_monitor", ("arm", "day", "e_value", *_ODDS, "decision"), table.columns)
    arms = [str(name) for name in table["arm"].unique()]
    if arm is not None and arm not in arms:
        raise InputError(f"there is no arm {arm!r}.{did_you_mean(arm, arms)} Arms: {', '.join(arms)}.")
    mine = table if arm is None else table[table["arm"].astype(str) == arm]
    mine = mine.assign(place=date_numbers(mine["day"]))
    lines, look = lines_by(mine, "arm", ("place", *_ODDS), what="lift_monitor")
    return mine, lines, look


def _head(
    table: pd.DataFrame,
    lines: Sequence[Line],
    said: Mapping[str, str],
    smallest_lift: float | None,
    level: float,
    *,
    named: bool,
) -> Head:
    """The title, the state of each arm, and what the dashed line is."""
    notes = [_state(table, line.name, said, alone=len(lines) == 1 and not named) for line in lines]
    if smallest_lift is not None:
        notes.append(said["smallest"].format(ratio=f"{smallest_lift:g}"))
    return Head(said["monitor"].format(level=f"{100 * level:g}%"), tuple(notes))


def _within(line: Line) -> Line:
    """The line as it is drawn: limits that are not there, and those beyond the axis, lie at its ends."""
    rows = line.rows.copy()
    rows[:, 2] = np.clip(np.nan_to_num(rows[:, 2], nan=_LEAST), _LEAST, _MOST)
    rows[:, 3] = np.clip(np.nan_to_num(rows[:, 3], nan=_MOST), _LEAST, _MOST)
    rows[:, 1] = np.clip(rows[:, 1], _LEAST, _MOST)
    return Line(line.name, line.group, False, rows)


def _odds_on(table: pd.DataFrame, line: Line, said: Mapping[str, str]) -> Callable[[int], str]:
    """The odds ratio of a day with its limits, an e-value, and the decision where there is one."""
    rows = table[table["arm"].astype(str) == line.name].sort_values("place", kind="stable")
    e_values, decisions = rows["e_value"].to_numpy(np.float64), rows["decision"].astype(str).tolist()

    def say(i: int) -> str:
        day, value, lower, upper = line.rows[i]
        told = estimate(said, ratio, value, lower, np.inf if np.isnan(upper) else upper)
        told = said["told"].format(value=told)
        further = [said["e_value"].format(e_value=f"{e_values[i]:.3g}")]
        further += [] if decisions[i] == _GO_ON else [_decision_said(decisions[i], said)]
        return at(said, date_text(day), told, *further)

    return say


def _decision_said(decision: str, said: Mapping[str, str]) -> str:
    return said.get(f"decision.{decision}", decision)


def _odds_axis(ax: Axes, lines: Sequence[Line]) -> None:
    """A log axis of ratios that people know: what the last three quarters of the days need, at least a half to two."""
    late = np.concatenate([_within(line).rows[len(line.rows) // 4 :, 1:].ravel() for line in lines])
    late = late[np.isfinite(late)]
    low, high = min(0.5, float(late.min(initial=1.0))), max(2.0, float(late.max(initial=1.0)))
    ax.set_yscale("log")
    ax.set_ylim(low / 1.05, high * 1.05)
    ticks = [ratio for ratio in _RATIOS if low / 1.01 <= ratio <= high * 1.01]
    ax.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.set_yticks([], minor=True)


def _decision(table: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The first row with a decision; empty before."""
    mine = table[table["arm"].astype(str) == arm].sort_values("place")
    return mine[mine["decision"] != _GO_ON].head(1)


def _state(table: pd.DataFrame, arm: str, said: Mapping[str, str], *, alone: bool) -> str:
    found = _decision(table, arm)
    if len(found):
        day = str(found["day"].iloc[0])[:10]
        text = said["decided"].format(day=day, decision=_decision_said(str(found["decision"].iloc[0]), said))
    else:
        last = table[table["arm"].astype(str) == arm].sort_values("place")["e_value"].iloc[-1]
        text = said["open"].format(e_value=f"{last:.3g}")
    return text if alone else said["of_arm"].format(arm=shown(arm, _NAME), text=text)


def _decided(ax: Axes, table: pd.DataFrame, line: Line, look: Look) -> None:
    found = _decision(table, line.name)
    if len(found) and np.isfinite(found["estimate"].iloc[0]):
        spot = float(found["place"].iloc[0]), float(found["estimate"].iloc[0])
        ax.plot(*([value] for value in spot), "o", markersize=6.5, color=look.colours[line.name], zorder=4)


def _powers(table: pd.DataFrame, said: Mapping[str, str]) -> tuple[list[Line], Look]:
    """Two lines for each lift and number of users; of the monitored ones `registration_gap` is set, for dashes."""
    require_columns("campaign_power_days", ("lift", "n_users", "day", "power", "monitored_power"), table.columns)
    if len(table) == 0:
        raise InputError("There are no days to draw: give accrual_per_day, the users that are assigned each day.")
    lines: list[Line] = []
    colours: dict[str, str] = {}
    sizes = list(table.groupby(["lift", "n_users"], sort=False))
    told = "of_users" if len({lift for (lift, _), _ in sizes}) == 1 else "of_lift"
    for place, ((lift, users), rows) in enumerate(sizes):
        for column, kind in (("power", "one_test"), ("monitored_power", "monitored")):
            values = rows[column].to_numpy(np.float64, na_value=np.nan)
            known = np.isfinite(values)
            if not known.any():
                continue
            fields = {"kind": said[kind], "lift": f"{lift:.3g}", "users": f"{users:,.0f}"}
            name = said[kind] if len(sizes) == 1 else said[told].format(**fields)
            day = rows["day"].to_numpy(np.float64)[known]
            lines.append(Line(name, name, kind == "monitored", np.stack([day, *[values[known]] * 3], axis=1)))
            colours[name] = SERIES[place % len(SERIES)] if len(sizes) > 1 else SERIES[int(kind == "monitored")]
    return lines, Look(colours, tuple(colours), "all")
