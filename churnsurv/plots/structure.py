"""Where churn sits: stage by channel as areas, and the users of each lifecycle stage as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import FAINT, MUTED, PAPER, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, count, estimate, share
from churnsurv.plots.shades import churn_shade
from churnsurv.plots.style import LINE_GAP, NARROW, SIZE, Frame, flow, inner_size, key, new_axes, swatch, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["churn_structure", "churn_structure_frame", "lifecycle", "lifecycle_frame"]

_NAME = 11.0  # ems of a stage's name before it is shortened
_HEIGHT = 270.0
_BAR = 30.0
_SHADES = (0.0, 0.25, 0.5, 0.75, 1.0)
_CELL = "churnsurv-cell"
_LIVING, _CHURNED = SERIES[2], SERIES[1]
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "area": "Area: share of all churned users",
    "shade": "Shade: churned out of the stage within {horizon} days",
    "no_shade": "no estimate",
    "of_churned": "{share} of all churned users",
    "of_cell": "{share} churn out of it within {horizon} days",
    "users": "Users by stage",
    "users_on": "Users by stage at the end of {date}",
    "living": "living",
    "churned": "churned",
}


def churn_structure(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    horizon: int | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw where churned users are: one band a stage, cut by channel.

    The area of a cell is its share of all churned users; the darker it is, the more users of the cell churn within the
    horizon. Both numbers are written where there is room for them. Cells without churned users have no area.

    Parameters
    ----------
    table : DataFrame
        Schema "stage_channel".
    ax : Axes, optional
        Where to draw; leave room around it (`churn_structure_frame` says how much). Without it a pyplot figure is made.
    horizon : int, optional
        Days of the probabilities; only written. Without it there is no shade.
    words : mapping, optional
        Words to replace: "area", "shade", "no_shade".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If no cell has churned users.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"stage": ["new", "new", "growth"], "channel": ["paid", "free", "paid"],
    ...     "share": [0.5, 0.3, 0.2], "churned": [0.6, 0.4, 0.3]})
    >>> ax = churn_structure(table, Figure().add_subplot(), horizon=90)
    >>> [text.get_text() for text in ax.texts][:2]
    ['paid', '50.0% · 60%']
    """
    said = chosen_words(words, _WORDS)
    require_columns("stage_channel", ("stage", "channel", "share", "churned"), table.columns)
    cells = table[table["share"] > 0]
    if cells.empty:
        raise InputError("No cell of the table has churned users: there is nothing to draw.")
    if ax is None:
        ax = new_axes(churn_structure_frame(table, words=words))
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    top = 1.0
    bands = [(str(stage), band) for stage, band in cells.groupby("stage", sort=False, observed=True)]
    total = float(cells["share"].sum())
    for stage, band in bands:
        height = float(band["share"].sum()) / total
        _band(ax, band, top, height, said, shaded=horizon is not None)
        _mark(ax, stage, band, top - height / 2, horizon, said)
        name = shown(group_said(said, stage), _NAME)
        write(ax, name, at=(0, top - height / 2), shift=(-10, LINE_GAP / 2), ha="right")
        whole = _percent(float(band["share"].sum()))
        write(ax, whole, at=(0, top - height / 2), shift=(-10, -LINE_GAP / 2), ha="right", color=MUTED)
        top -= height
    _legend(ax, said, horizon, unknown=bool(cells["churned"].isna().any()))
    notice(ax, [*(stage for stage, _ in bands), *map(str, cells["channel"])], said)
    return ax


def churn_structure_frame(
    table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None
) -> Frame:
    """Return the size of a figure of this width (in points) with room for the names of the stages.

    Examples
    --------
    >>> import pandas as pd
    >>> churn_structure_frame(pd.DataFrame({"stage": ["new"]}), 350).width
    350
    """
    left = _names(table, chosen_words(words, _WORDS))
    top = 26.0 + 2 * LINE_GAP
    return Frame(width, _HEIGHT + top + 14.0, max(left, 56.0), 14.0, top, 14.0)


def _band(ax: Axes, band: pd.DataFrame, top: float, height: float, said: Mapping[str, str], *, shaded: bool) -> None:
    """One stage: its cells side by side, each as wide as its part of the stage."""
    from matplotlib.patches import Rectangle

    width, tall = inner_size(ax)
    x, whole = 0.0, float(band["share"].sum())
    rows = zip(band["channel"].astype(str), band["share"], band["churned"], strict=True)
    for channel, own, churned in rows:
        part = float(own) / whole
        known = shaded and not np.isnan(churned)
        # Colour over paper, so that a dark page has the same shades of its own.
        look = {"facecolor": SERIES[0], "alpha": churn_shade(float(churned))} if known else {"facecolor": PAPER}
        name = f"{_CELL}-{len(ax.patches)}"  # an id of the SVG, so that no two are the same
        ax.add_patch(Rectangle((x, top - height), part, height, linewidth=0, gid=name, **look))
        ax.plot(
            [x, x + part, x + part, x, x],
            [top, top, top - height, top - height, top],
            color=PAPER if known else FAINT,
            linewidth=1.6 if known else 0.8,
            solid_joinstyle="miter",
            clip_on=False,
        )
        of_cell = f"{100 * float(churned):.0f}%" if known else ""
        lines = _fitting(group_said(said, channel), _percent(float(own)), of_cell, part * width - 10, height * tall - 4)
        for place, line in enumerate(lines):
            write(ax, line, at=(x, top), shift=(5, -4 - LINE_GAP * (place + 0.5)))
        x += part


def _mark(ax: Axes, stage: str, band: pd.DataFrame, y: float, horizon: int | None, said: Mapping[str, str]) -> None:
    parts, rows = band["share"].to_numpy(np.float64), band.to_dict("records")

    def say(i: int) -> str:
        texts = [said["of_churned"].format(share=_interval(rows[i], "share", ("share_lower", "share_upper"), said))]
        if horizon is not None:
            churned = _interval(rows[i], "churned", ("lower", "upper"), said)
            known = not np.isnan(rows[i]["churned"])
            texts.append(said["of_cell"].format(share=churned, horizon=horizon) if known else said["no_shade"])
        return at(said, group_said(said, str(rows[i]["channel"])), *texts)

    mark(ax, group_said(said, stage), (np.cumsum(parts) - parts / 2) / parts.sum(), y, say)


def _interval(row: Mapping[Any, Any], value: str, limits: tuple[str, str], said: Mapping[str, str]) -> str:
    return estimate(said, share, *(float(row.get(name, np.nan)) for name in (value, *limits)))


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _fitting(name: str, own: str, churned: str, width: float, height: float) -> list[str]:
    """What can be written in a cell of this size, in points: name and both numbers, numbers, the share, or nothing."""
    room, lines = width / SIZE, int(height // LINE_GAP)
    numbers = " · ".join(filter(None, (own, churned)))
    choices = (
        (2, [name, numbers], ems(numbers)),
        (3, list(filter(None, (name, own, churned))), ems(own)),
        (1, [f"{shown(name)}  {numbers}"], ems(f"{shown(name)}  {numbers}")),
        (1, [numbers], ems(numbers)),
        (1, [own], ems(own)),
    )
    found = next((texts for needed, texts, widest in choices if lines >= needed and widest <= room), [])
    return [shown(text, room) for text in found]


def _legend(ax: Axes, said: Mapping[str, str], horizon: int | None, *, unknown: bool) -> None:
    """The meaning of area and shade, above the cells."""
    write(ax, said["area"], at=(0, 1), shift=(0, 12 + 2 * LINE_GAP))
    if horizon is None:
        return
    write(ax, said["shade"].format(horizon=horizon), at=(0, 1), shift=(0, 12 + LINE_GAP))
    width, _ = inner_size(ax)
    steps = _SHADES if width >= NARROW + 60 else _SHADES[::2]
    entries = [(f"{100 * value:.0f}%", value) for value in steps]
    entries += [(said["no_shade"], float("nan"))] if unknown else []
    for (text, value), (_, x) in zip(entries, flow([text for text, _ in entries], 1e6), strict=True):
        known = not np.isnan(value)
        colour, shade = (SERIES[0], churn_shade(value)) if known else (PAPER, 1.0)
        swatch(ax, colour, shade, shift=(x, 5))
        write(ax, text, at=(0, 1), shift=(x + 18, 9.5))


def lifecycle(
    table: pd.DataFrame, ax: Axes | None = None, *, date: str | None = None, words: Mapping[str, str] | None = None
) -> Axes:
    """Draw the living and the churned users of each stage as one bar.

    Parameters
    ----------
    table : DataFrame
        Schema "lifecycle".
    ax : Axes, optional
        Where to draw; leave room around it (`lifecycle_frame` says how much). Without it a pyplot figure is made.
    date : str, optional
        The day; only written.
    words : mapping, optional
        Words to replace: "users", "users_on", "living", "churned".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If there are no users.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"stage": ["new", "growth"], "living": [10, 5], "churned": [40, 2], "users": [50, 7]})
    >>> len(lifecycle(table, Figure().add_subplot()).patches)
    4
    """
    said = chosen_words(words, _WORDS)
    require_columns("lifecycle", ("stage", "living", "churned"), table.columns)
    most = int((table["living"] + table["churned"]).max()) if len(table) else 0
    if most == 0:
        raise InputError("The table has no users: there is nothing to draw.")
    if ax is None:
        ax = new_axes(lifecycle_frame(table, words=words))
    ax.set_axis_off()
    ax.set_xlim(0, most)
    ax.set_ylim(len(table), 0)
    width, _ = inner_size(ax)
    for place, (stage, *counts) in enumerate(_bars(table)):
        write(ax, shown(group_said(said, stage), _NAME), at=(0, place + 0.5), shift=(-10, 0), within="data", ha="right")
        left = 0
        for users, colour in zip(counts, (_LIVING, _CHURNED), strict=True):
            ax.barh(place + 0.5, users, left=left, height=0.66, color=colour, alpha=0.45, linewidth=0)
            text = f"{users:,}"
            if ems(text) * SIZE + 8 <= width * users / most:
                write(ax, text, at=(left, place + 0.5), shift=(6, 0), within="data")
            left += users
        write(ax, f"{left:,}", at=(left, place + 0.5), shift=(6, 0), within="data", color=MUTED)
    _mark_bars(ax, _bars(table), said)
    key(ax, [(said["living"], _LIVING), (said["churned"], _CHURNED)], width=width)
    title = said["users"] if date is None else said["users_on"].format(date=date)
    write(ax, title, at=(0, 1), shift=(0, 14 + LINE_GAP))
    notice(ax, [stage for stage, *_ in _bars(table)], said)
    return ax


def _mark_bars(ax: Axes, bars: Sequence[tuple[str, int, int]], said: Mapping[str, str]) -> None:
    """The users of a stage, in the middle of their part of the bar."""
    left = np.zeros(len(bars))
    for column, word in ((1, "living"), (2, "churned")):
        users = np.array([bar[column] for bar in bars], dtype=np.float64)

        def say(i: int, users: Any = users) -> str:
            return at(said, group_said(said, bars[i][0]), said["mark.users"].format(n=count(users[i])))

        mark(ax, said[word], left + users / 2, np.arange(len(bars)) + 0.5, say)
        left = left + users


def _names(table: pd.DataFrame, said: Mapping[str, str]) -> float:
    """Points that the names of stages take at the left."""
    stages = (group_said(said, str(stage)) for stage in set(table["stage"]))
    return max((ems(shown(stage, _NAME)) for stage in stages), default=0.0) * SIZE + 20


def _bars(table: pd.DataFrame) -> Sequence[tuple[str, int, int]]:
    columns = (table["stage"].astype(str), table["living"].astype(int), table["churned"].astype(int))
    return list(zip(*columns, strict=True))


def lifecycle_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) with a bar for each stage.

    Examples
    --------
    >>> import pandas as pd
    >>> lifecycle_frame(pd.DataFrame({"stage": ["new"]}), 350).width
    350
    """
    left = _names(table, chosen_words(words, _WORDS))
    top = 24.0 + 2 * LINE_GAP
    return Frame(width, _BAR * max(len(table), 1) + top + 14.0, max(left, 40.0), 64.0, top, 14.0)
