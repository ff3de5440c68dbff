"""Returns of a group by day against what was expected, alarms marked, and below them the chart that raises them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import FAINT, INK, MUTED, SERIES
from churnsurv.plots.dates import date_axis, date_numbers, date_text
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, count, decimal, estimate
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, new_axes, stroke, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["churn_monitor", "churn_monitor_frame"]

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "returns": "Users who return a day: {group}",
        "observed": "observed",
        "expected": "expected, with what {level} of ordinary days stay within",
        "alarm": "alarm",
        "begun": "began, most likely",
        "not_judged": "not judged",
        "chart": "Evidence of a drop; at the line it is an alarm",
        "told": "{n} returned; expected {expected}",
        "evidence": "evidence {score}, alarm at {limit}",
    }
)
_NEEDED = ("date", "group", "expected", "observed", "lower", "upper", "cusum", "limit", "alarm")
_ALARMS = ("group", "alarm_on", "ended_on", "begun", "begun_lower", "begun_upper")
_NAME = 16.0  # ems of a name before it is shortened
_STRIP = 46.0  # points of the chart below the days
_BETWEEN = 40.0
_BOTTOM = 10.0


def churn_monitor(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    alarms: pd.DataFrame | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the days of one group: returns, what was expected, alarms, and the chart below.

    Parameters
    ----------
    table : DataFrame
        Schema "churn_monitor".
    ax : Axes, optional
        Where to draw; `churn_monitor_frame` says how much room it needs. Without it a pyplot figure is made.
    group : str, optional
        The chart to draw; the first one of the table by default.
    alarms : DataFrame, optional
        Schema "churn_monitor_alarms": the day on which each change began is marked, with its limits.
    level : float
        The level of the limits of the table; only written.
    words : mapping, optional
        Words to replace those of `churnsurv.plots.words.WORDS`.

    Returns
    -------
    Axes
        The upper ones; the chart is in an inset below.

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows, or none of the group.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"date": pd.to_datetime(["2024-01-01", "2024-01-02"]), "group": "app", "expected": 10.0,
    ...     "observed": [9, 2], "lower": 4.0, "upper": 17.0, "cusum": [0.0, 4.0], "limit": 3.0, "alarm": [False, True]})
    >>> ax = churn_monitor(table, Figure().add_subplot())
    >>> len(ax.child_axes)
    1
    """
    said = chosen_words(words, _WORDS)
    rows = _rows_of(table, group, alarms)
    if ax is None:
        ax = new_axes(churn_monitor_frame(table, group=group, words=words))
    days = date_numbers(rows["date"])
    dress(ax)
    ax.set_xlim(days[0] - 0.5, days[-1] + 0.5)
    ax.set_ylim(0, 1.05 * float(max(rows["observed"].max(), rows["upper"].max(), 1)))
    _returns(ax, days, rows)
    marked = _marks(ax, rows["group"].iloc[0], alarms, said)
    _mark(ax, days, rows, said)
    _strip(ax, days, rows, said)
    date_axis(ax, float(days[0]), float(days[-1]), said["months"])
    entries = _entries(said, level, rows, marked=marked)
    width, _ = inner_size(ax)
    n_rows = _key(ax, entries, width)
    title = said["returns"].format(group=shown(group_said(said, str(rows["group"].iloc[0])), _NAME))
    write(ax, title, at=(0, 1), shift=(0, 14 + n_rows * LINE_GAP), weight="bold")
    notice(ax, [title], said)
    return ax


def churn_monitor_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    group: str | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `churn_monitor` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"date": pd.to_datetime(["2024-01-01"]), "group": "app", "expected": 10.0, "observed": 9,
    ...     "lower": 4.0, "upper": 17.0, "cusum": 0.0, "limit": 3.0, "alarm": False})
    >>> churn_monitor_frame(table, 350).width
    350
    """
    rows = _rows_of(table, group, None)
    left = 14.0 + ems(f"{int(max(rows['observed'].max(), rows['upper'].max()))}") * SIZE
    said = chosen_words(words, _WORDS)
    n_rows = 1 + max(
        row for row, _ in flow([text for text, *_ in _entries(said, 0.95, rows, marked=True)], width - left - 14)
    )
    top = 14 + n_rows * LINE_GAP + LINE_GAP
    bottom = _BOTTOM + _STRIP + _BETWEEN
    return Frame(width, 170.0 + top + bottom, left, 14.0, top, bottom)


def _rows_of(table: pd.DataFrame, group: str | None, alarms: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of the group; raises what is wrong."""
    require_columns("churn_monitor", _NEEDED, table.columns)
    if alarms is not None:
        require_columns("churn_monitor_alarms", _ALARMS, alarms.columns)
    if len(table) == 0:
        raise InputError("The table of the monitor has no rows: there is nothing to draw.")
    names = list(dict.fromkeys(table["group"]))
    group = names[0] if group is None else str(group)
    if group not in names:
        raise InputError(f"There is no chart of {group!r}.{did_you_mean(group, names)}")
    return table[table["group"] == group]


def _returns(ax: Axes, days: NDArray[np.float64], rows: pd.DataFrame) -> None:
    lower, expected, upper, observed = (
        rows[name].to_numpy(dtype=np.float64) for name in ("lower", "expected", "upper", "observed")
    )
    ax.fill_between(days, lower, upper, color=INK, alpha=0.12, linewidth=0, step="mid", zorder=1.8)
    ax.plot(days, expected, color=MUTED, linewidth=1.0, zorder=2.4)
    ax.plot(days, observed, color=SERIES[0], linewidth=1.1, zorder=2.6)
    judged = _judged(rows)
    if not judged.all():
        ax.plot(days[~judged], observed[~judged], "o", color=FAINT, markersize=4, zorder=2.7)
    alarm = rows["alarm"].to_numpy(dtype=bool)
    _spans(ax, days, alarm)


def _mark(ax: Axes, days: NDArray[np.float64], rows: pd.DataFrame, said: Mapping[str, str]) -> None:
    numbers = rows[["observed", "expected", "lower", "upper"]].to_numpy(dtype=np.float64)
    alarm, judged = rows["alarm"].to_numpy(dtype=bool), _judged(rows)

    def say(i: int) -> str:
        told = [said["told"].format(n=count(numbers[i, 0]), expected=estimate(said, decimal, *numbers[i, 1:]))]
        told += [said["alarm"]] if alarm[i] else []
        return at(said, date_text(days[i]), *told, *([] if judged[i] else [said["not_judged"]]))

    mark(ax, said["observed"], days, numbers[:, 0], say)


def _judged(rows: pd.DataFrame) -> NDArray[np.bool_]:
    return rows["judged"].to_numpy(dtype=bool) if "judged" in rows.columns else np.ones(len(rows), dtype=bool)


def _spans(ax: Axes, days: NDArray[np.float64], alarm: NDArray[np.bool_]) -> None:
    """Shade the days of alarms."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], alarm, [False]]).astype(np.int64)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        ax.axvspan(float(days[first]) - 0.5, float(days[stop - 1]) + 0.5, color=SERIES[1], alpha=0.25, linewidth=0)


def _marks(ax: Axes, group: Any, alarms: pd.DataFrame | None, said: Mapping[str, str]) -> bool:
    """Mark the day on which each change began, with its limits, at the foot of the axes; says whether there is any.

    What began before the days drawn is not marked.
    """
    if alarms is None:
        return False
    mine = alarms[alarms["group"] == group]
    mine = mine[mine["begun"] >= np.datetime64(int(np.ceil(ax.get_xlim()[0])), "D")]
    marks = ax.get_xaxis_transform()
    for begun, lower, upper in zip(mine["begun"], mine["begun_lower"], mine["begun_upper"], strict=True):
        day, low, high = (float(date_numbers(np.datetime64(each, "D"))) for each in (begun, lower, upper))
        ax.plot([low - 0.5, high + 0.5], [0.03, 0.03], color=INK, linewidth=1.6, transform=marks, zorder=3)
        ax.plot([day], [0.03], "^", color=INK, markersize=6, transform=marks, zorder=3, clip_on=False)
        told = said["bracketed"].format(
            text=date_text(day), more=said["mark.to"].format(low=date_text(low), high=date_text(high))
        )
        mark(ax, said["begun"], day, 0.03 * ax.get_ylim()[1], [told])
    return len(mine) > 0


def _strip(ax: Axes, days: NDArray[np.float64], rows: pd.DataFrame, said: Mapping[str, str]) -> None:
    """The chart, in an inset below the days; it shares their axis."""
    _, height = inner_size(ax)
    below = ax.inset_axes((0.0, -(_BETWEEN + _STRIP) / height, 1.0, _STRIP / height))
    dress(below, grid="x")
    below.grid(visible=False)
    score, limit = (rows[name].to_numpy(dtype=np.float64) for name in ("cusum", "limit"))
    below.fill_between(days, 0.0, score, color=SERIES[1], alpha=0.35, linewidth=0, step="mid")
    below.step(days, limit, where="mid", color=INK, linewidth=0.9)
    below.set_xlim(*ax.get_xlim())
    below.set_ylim(0, 1.08 * float(max(score.max(), limit.max())))
    below.set_xticks([])
    below.set_yticks([])
    write(below, said["chart"], at=(0, 1), shift=(0, 8), color=MUTED)

    def say(i: int) -> str:
        return at(said, date_text(days[i]), said["evidence"].format(score=f"{score[i]:.1f}", limit=f"{limit[i]:.1f}"))

    mark(below, said["chart"], days, score, say)


def _entries(said: Mapping[str, str], level: float, rows: pd.DataFrame, *, marked: bool) -> list[tuple[str, str, str]]:
    """The key: text, colour and how it is drawn."""
    found = [
        (said["observed"], SERIES[0], "line"),
        (said["expected"].format(level=f"{100 * level:g}%"), MUTED, "line"),
    ]
    if rows["alarm"].any():
        found.append((said["alarm"], SERIES[1], "box"))
    if marked:
        found.append((said["begun"], INK, "mark"))
    if not _judged(rows).all():
        found.append((said["not_judged"], FAINT, "dot"))
    return found


def _key(ax: Axes, entries: list[tuple[str, str, str]], width: float) -> int:
    """Write the key above the axes; returns its rows."""
    places = flow([text for text, *_ in entries], width)
    n_rows = 1 + max(row for row, _ in places)
    for (text, colour, way), (row, x) in zip(entries, places, strict=True):
        y = 10 + (n_rows - 1 - row) * LINE_GAP
        if way == "line":
            stroke(ax, colour, at=(0, 1), shift=(x, y))
        else:
            _symbol(ax, colour, way, x, y)
        write(ax, text, at=(0, 1), shift=(x + 19, y))
    return n_rows


def _symbol(ax: Axes, colour: str, way: str, x: float, y: float) -> None:
    look: dict[str, Any] = {
        "box": {"marker": "s", "alpha": 0.4, "markersize": 9},
        "mark": {"marker": "^", "markersize": 6},
    }
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101
    moved = ax.transAxes + ScaledTranslation((x + 7) / 72, y / 72, figure.dpi_scale_trans)
    settings = look.get(way, {"marker": "o", "markersize": 4})
    ax.add_artist(Line2D([0], [1], color=colour, linestyle="none", transform=moved, clip_on=False, **settings))
