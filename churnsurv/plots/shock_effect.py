"""The effect of a shock around its date: hazard of return over the expected one, by day and window, with placebos."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import FAINT, GRID, INK, MUTED, SERIES
from churnsurv.plots.dates import date_axis, date_numbers, date_text
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, between, estimate
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, new_axes, stroke, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["shock_effect", "shock_effect_frame"]

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "title": "{name}, {group}",
        "ratio": "Hazard of return over that expected, log scale",
        "day": "days",
        "weekend": "weekends",
        "unused": "days that do not count",
        "window": "since the date, by window, with {level} limits",
        "placebo": "same windows on placebo dates, 9 in 10",
        "told": "{ratio} of the expected hazard",
        "span": "{first} to {last}",
    }
)
_DAYS = ("name", "group", "date", "since", "hazard_ratio", "weekend", "used")
_WINDOWS = ("name", "group", "users", "window", "first", "last", "hazard_ratio", "lower", "upper")
_PLACEBO = ("name", "group", "window", "hazard_ratio")
_TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
_NAME = 22.0
_PAD = 8.0


def shock_effect(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    name: str | None = None,
    group: str | None = None,
    windows: pd.DataFrame | None = None,
    placebo: pd.DataFrame | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw what one shock did to one group: days before and after, windows with limits, and placebo dates behind them.

    Parameters
    ----------
    table : DataFrame
        Schema "shock_days".
    ax : Axes, optional
        Where to draw; `shock_effect_frame` says how much room it needs. Without it a pyplot figure is made.
    name, group : str, optional
        By default the first of the table.
    windows : DataFrame, optional
        Schema "shock_effect".
    placebo : DataFrame, optional
        Schema "shock_placebo": of nine in ten dates the hazard ratios of each window lie in the shade.
    level : float
        The level of the limits of the table; only written.
    words : mapping, optional
        Words to replace those of `churnsurv.plots.words.WORDS`.

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If there is no such shock or group.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"name": "news", "group": "(all)", "date": pd.date_range("2024-01-01", periods=4),
    ...     "since": [-2, -1, 0, 1], "hazard_ratio": [1.0, 1.1, 0.7, 0.8], "weekend": False, "used": True})
    >>> shock_effect(table, Figure().add_subplot()).get_yscale()
    'log'
    """
    said = chosen_words(words, _WORDS)
    days = _chosen(table, name, group)
    name, group = str(days["name"].iloc[0]), str(days["group"].iloc[0])
    rows, behind = (
        _of(windows, _WINDOWS, "shock_effect", name, group),
        _of(placebo, _PLACEBO, "shock_placebo", name, group),
    )
    if rows is not None:
        rows = rows[(rows["users"] == "living") & (rows["window"] != "all days") & rows["hazard_ratio"].notna()]
    if ax is None:
        ax = new_axes(shock_effect_frame(table, words=words))
    number = date_numbers(days["date"])
    ax.set_yscale("log")
    shaded = _shades(ax, rows, behind, said)
    _points(ax, number, days, said)
    _marks(ax, rows, said, level)
    dress(ax)
    _scale(ax, days, rows)
    ax.axhline(1.0, color=INK, linewidth=0.9, zorder=1.5)
    ax.axvline(
        number[days["since"].to_numpy() >= 0][0] - 0.5, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1.6
    )
    ax.set_xlim(number[0] - 1, number[-1] + 1)
    date_axis(ax, float(number[0]), float(number[-1]), said["months"])
    _key(ax, _entries(said, days, rows, shaded=shaded, level=level))
    title = said["title"].format(name=shown(name, _NAME), group=shown(group_said(said, group), _NAME / 2))
    above = _above(_entries(said, days, rows, shaded=shaded, level=level), inner_size(ax)[0])
    write(ax, said["ratio"], at=(0, 1), shift=(0, above))
    write(ax, title, at=(0, 1), shift=(0, above + LINE_GAP), weight="bold")
    notice(ax, [name, group], said)
    return ax


def shock_effect_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `shock_effect` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"name": ["news"], "group": "(all)", "date": pd.to_datetime(["2024-01-01"]), "since": [0],
    ...     "hazard_ratio": [0.7], "weekend": False, "used": True})
    >>> shock_effect_frame(table, 350).width
    350
    """
    require_columns("shock_days", _DAYS, table.columns)
    left = 14.0 + 4 * 0.62 * SIZE
    said = chosen_words(words, _WORDS)
    texts = [said[each] for each in ("day", "weekend", "unused", "window", "placebo")]
    top = _above([(text, "") for text in texts], width - left - 14.0) + 2 * LINE_GAP
    return Frame(width, 210.0 + top + 26.0, left, 14.0, top, 26.0)


def _chosen(table: pd.DataFrame, name: str | None, group: str | None) -> pd.DataFrame:
    require_columns("shock_days", _DAYS, table.columns)
    if len(table) == 0:
        raise InputError("The table of days has no rows: there is nothing to draw.")
    for column, value in (("name", name), ("group", group)):
        wanted = table[column].iloc[0] if value is None else value
        chosen = table[table[column] == wanted]
        if chosen.empty:
            known = sorted(set(table[column]))
            raise InputError(f"There is no {column} {wanted!r}.{did_you_mean(str(wanted), known)} There are {known}.")
        table = chosen
    return table


def _of(table: pd.DataFrame | None, columns: tuple[str, ...], what: str, name: str, group: str) -> pd.DataFrame | None:
    if table is None:
        return None
    require_columns(what, columns, table.columns)
    return table[(table["name"] == name) & (table["group"] == group)]


def _points(ax: Axes, number: NDArray[np.float64], days: pd.DataFrame, said: Mapping[str, str]) -> None:
    """Days as dots: weekends hollow, days that do not count as crosses."""
    ratio = _held(days["hazard_ratio"].to_numpy(dtype=np.float64))
    weekend, used = (days[each].to_numpy(dtype=bool) for each in ("weekend", "used"))
    look: dict[str, Any] = {"s": 13, "linewidths": 0.9, "zorder": 2.5}
    for chosen, face in ((used & ~weekend, MUTED), (used & weekend, "none")):
        ax.scatter(number[chosen], ratio[chosen], facecolors=face, edgecolors=MUTED, **look)
    if (~used).any():
        ax.scatter(number[~used], ratio[~used], marker="x", color=FAINT, **look)
    columns = [each for each in ("hazard_ratio", "lower", "upper") if each in days.columns]
    true = days[columns].to_numpy(dtype=np.float64)
    for chosen, word in ((used & ~weekend, "day"), (used & weekend, "weekend"), (~used, "unused")):
        there = np.flatnonzero(chosen)

        def say(i: int, there: Any = there) -> str:
            told = estimate(said, _percent, *true[there[i]])
            return at(said, date_text(number[there[i]]), said["told"].format(ratio=told))

        mark(ax, said[word], number[there], ratio[there], say)


def _percent(ratio: float) -> str:
    return f"{100 * ratio:,.0f}%"


def _span(row: pd.Series, said: Mapping[str, str]) -> str:
    first, last = _ends(row)
    return said["span"].format(first=date_text(first + 0.5), last=date_text(last - 0.5))


def _ends(row: pd.Series) -> tuple[float, float]:
    first, last = date_numbers(np.array([row["first"], row["last"]], dtype="datetime64[s]"))
    return float(first) - 0.5, float(last) + 0.5


def _shades(ax: Axes, rows: pd.DataFrame | None, placebo: pd.DataFrame | None, said: Mapping[str, str]) -> bool:
    """What the same windows look like on placebo dates; says whether there is any."""
    if rows is None or placebo is None or len(placebo) == 0:
        return False
    spots: list[tuple[float, float, str]] = []
    for _, row in rows.iterrows():
        ratios = placebo.loc[placebo["window"] == row["window"], "hazard_ratio"].dropna()
        if len(ratios):
            low, high = np.quantile(ratios, (0.05, 0.95))
            ax.fill_between(_ends(row), low, high, color=GRID, linewidth=0, zorder=1.2)
            told = at(said, _span(row, said), between(said, _percent(low), _percent(high)))
            spots.append((_ends(row)[1], float(high), told))
    mark(ax, said["placebo"], [x for x, _, _ in spots], [y for _, y, _ in spots], lambda i: spots[i][2])
    return True


def _marks(ax: Axes, rows: pd.DataFrame | None, said: Mapping[str, str], level: float) -> None:
    """Each window as a line with its limits."""
    if rows is None:
        return
    spots: list[tuple[float, float, str]] = []
    for _, row in rows.iterrows():
        ends = _ends(row)
        lower, upper, ratio = _held(row[["lower", "upper", "hazard_ratio"]].to_numpy(dtype=np.float64))
        ax.fill_between(ends, lower, upper, color=SERIES[1], alpha=0.25, linewidth=0, zorder=2.0)
        ax.plot(ends, [ratio] * 2, color=SERIES[1], linewidth=2.2, solid_capstyle="butt", zorder=3)
        told = estimate(said, _percent, *(float(row[name]) for name in ("hazard_ratio", "lower", "upper")))
        text = at(said, _span(row, said), said["told"].format(ratio=told))
        spots.append((sum(ends) / 2, float(ratio), text))
    name = said["window"].format(level=f"{100 * level:g}%")
    mark(ax, name, [x for x, _, _ in spots], [y for _, y, _ in spots], lambda i: spots[i][2])


def _held(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratios beyond the axis stand at its ends: an outage, after which nobody returned, must be in sight."""
    return np.clip(ratios, _TICKS[0], _TICKS[-1])


def _scale(ax: Axes, days: pd.DataFrame, rows: pd.DataFrame | None) -> None:
    """An axis on which 1 is in sight, with ticks that are read at a glance."""
    parts = [days["hazard_ratio"].to_numpy(dtype=np.float64)]
    if rows is not None:
        parts += [rows[each].to_numpy(dtype=np.float64) for each in ("lower", "upper")]
    values = np.concatenate(parts)
    values = values[np.isfinite(values) & (values > 0)]
    beyond = {
        _TICKS[0]: "\u2264" * bool((values < _TICKS[0]).any()),
        _TICKS[-1]: "\u2265" * bool((values > _TICKS[-1]).any()),
    }
    values = _held(values)
    low, high = (float(each) for each in (min([0.8, *values]) / 1.06, max([1.25, *values]) * 1.06))
    ax.set_ylim(low, high)
    ticks = [each for each in _TICKS if low <= each <= high]
    if len(ticks) > 8:
        ticks = [each for each in ticks if each not in (0.3, 0.8, 0.9, 1.1, 1.25, 3.0)]
    ax.set_yticks(ticks, labels=[f"{beyond.get(each, '')}{each:g}" for each in ticks])
    ax.set_yticks([], minor=True)


def _entries(
    said: Mapping[str, str], days: pd.DataFrame, rows: pd.DataFrame | None, *, shaded: bool, level: float
) -> list[tuple[str, str]]:
    found = [(said["day"], "dot"), (said["weekend"], "ring")]
    if (~days["used"].astype(bool) & days["hazard_ratio"].notna()).any():
        found.append((said["unused"], "cross"))
    if rows is not None and len(rows):
        found.append((said["window"].format(level=f"{100 * level:g}%"), "line"))
    if shaded:
        found.append((said["placebo"], "shade"))
    return found


def _above(entries: list[tuple[str, str]], width: float) -> float:
    """Points between the axes and the title."""
    rows = 1 + max(row for row, _ in flow([text for text, _ in entries], width))
    return _PAD + rows * LINE_GAP + 10


def _key(ax: Axes, entries: list[tuple[str, str]]) -> None:
    """The key above the axes, each entry with the mark that it stands for."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101
    places = flow([text for text, _ in entries], inner_size(ax)[0])
    rows = max(row for row, _ in places)
    for (text, kind), (row, x) in zip(entries, places, strict=True):
        y = _PAD + (rows - row) * LINE_GAP + 4
        if kind in ("line", "shade"):
            stroke(ax, SERIES[1] if kind == "line" else FAINT, at=(0, 1), shift=(x, y))
        else:
            moved = ax.transAxes + ScaledTranslation((x + 7) / 72, y / 72, figure.dpi_scale_trans)
            marker, colour = ("x", FAINT) if kind == "cross" else ("o", MUTED)
            dot = Line2D(
                [0], [1], marker=marker, markersize=4, color=colour, linewidth=0, transform=moved, clip_on=False
            )
            dot.set_markerfacecolor("none" if kind == "ring" else colour)
            ax.add_artist(dot)
        write(ax, text, at=(0, 1), shift=(x + 19, y))
