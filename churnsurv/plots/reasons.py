"""Shares of reasons: as answered, weighted for who answers, and how far the truth may lie from both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.colours import GRID, INK, MUTED, PAPER, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, between, estimate, share
from churnsurv.plots.style import LINE_GAP, NARROW, SIZE, Frame, dress, inner_size, new_axes, side_room, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["reason_shares", "reason_shares_frame"]

_NEEDED = (
    "group", "reason", "share", "lower", "upper", "weighted_share", "weighted_lower", "weighted_upper", "bound_lower",
    "bound_upper",
)  # fmt: skip
_NAME = 16.0  # ems of a name before it is shortened
_ROW = 26.0
_NUMBERS = 112.0
_TICKS = (0.05, 0.1, 0.2, 0.25, 0.5)
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "not_estimated": WORDS["not_estimated"],
    "reasons": "Share of the churned, by reason, with {level} intervals",
    "reasons_of": "Share of the churned, by reason, with {level} intervals: {group}",
    "weighted": "weighted for who answers",
    "plain": "of those who answered",
    "bounds": "possible, whoever is silent",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One reason: share with limits, plain and weighted, and its bounds."""

    name: str
    plain: tuple[float, float, float]
    weighted: tuple[float, float, float]
    bounds: tuple[float, float]


def reason_shares(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the shares of reasons in one group, the most frequent one first, numbers at the side.

    Parameters
    ----------
    table : DataFrame
        Schema "churn_reasons".
    ax : Axes, optional
        Where to draw; leave room around it (`reason_shares_frame` says how much). Without it a pyplot figure is made.
    group : str, optional
        Which group; not needed where there is one.
    level : float
        The level of the table's intervals; only written.
    words : mapping, optional
        Words to replace: "reasons", "reasons_of", "weighted", "plain", "bounds".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no rows, or several groups and `group` names none of them.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "reason": ["price", "moved"], "share": [0.6, 0.4], "lower": [0.5, 0.3],
    ...     "upper": [0.7, 0.5], "weighted_share": [0.5, 0.5], "weighted_lower": [0.4, 0.4],
    ...     "weighted_upper": [0.6, 0.6], "bound_lower": [0.3, 0.2], "bound_upper": [0.8, 0.7]})
    >>> [text.get_text() for text in reason_shares(table, Figure().add_subplot()).texts][:2]
    ['price', '50.0% (40.0–60.0)']
    """
    said = chosen_words(words, _WORDS)
    one = _of_group(table, group)
    rows = _rows(one)
    if ax is None:
        ax = new_axes(_frame(rows, 640.0))
    left, right = side_room(ax)
    narrow = left < _names(rows) or right < _NUMBERS
    dress(ax, grid="x")
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    _axis(ax, rows)
    for place, row in enumerate(rows):
        _draw(ax, row, place, narrow=narrow)
        _texts(ax, row, place, said, names=0.0 if narrow else _names(rows))
    _mark(ax, rows, said, narrow=narrow)
    name = str(one["group"].iloc[0])
    text = said["reasons"] if name == "all" else said["reasons_of"]
    _heading(ax, text.format(level=f"{100 * level:g}%", group=shown(name, _NAME)), said)
    notice(ax, [name, *(row.name for row in rows)], said)
    return ax


def reason_shares_frame(table: pd.DataFrame, width: float = 640.0, *, group: str | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `reason_shares` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({name: [0.5] for name in ("share", "lower", "upper", "weighted_share", "weighted_lower",
    ...     "weighted_upper", "bound_lower", "bound_upper")} | {"group": ["all"], "reason": ["price"]})
    >>> reason_shares_frame(table, 350).width
    350
    """
    return _frame(_rows(_of_group(table, group)), width)


def _frame(rows: Sequence[_Row], width: float) -> Frame:
    names = _names(rows) + 6
    narrow = width - names - _NUMBERS - 12 < NARROW
    left, right = (14.0, 14.0) if narrow else (names, _NUMBERS + 12)
    height = len(rows) * (_ROW + (LINE_GAP if narrow else 0))
    top = 24.0 + LINE_GAP * (3 if narrow else 2)
    return Frame(width, height + top + 26, left, right, top, 26.0)


def _names(rows: Sequence[_Row]) -> float:
    return max(ems(shown(row.name, _NAME)) for row in rows) * SIZE + 12


def _of_group(table: pd.DataFrame, group: str | None) -> pd.DataFrame:
    require_columns("churn_reasons", _NEEDED, table.columns)
    if len(table) == 0:
        raise InputError("The table of reasons has no rows: there is nothing to draw.")
    groups = [str(name) for name in table["group"].unique()]
    name = groups[0] if group is None and len(groups) == 1 else str(group)
    if name not in groups:
        raise InputError(
            f"group: shares are drawn for one group, and the table has no group {group!r}.{did_you_mean(name, groups)} "
            f"Groups: {', '.join(groups[:20])}."
        )
    return table[table["group"].astype(str) == name]


def _rows(table: pd.DataFrame) -> list[_Row]:
    rows = []
    for record in table.to_dict("records"):
        plain = tuple(float(record[name]) for name in ("share", "lower", "upper"))
        weighted = tuple(float(record[f"weighted_{name}"]) for name in ("share", "lower", "upper"))
        bounds = float(record["bound_lower"]), float(record["bound_upper"])
        rows.append(_Row(str(record["reason"]), plain, weighted, bounds))  # type: ignore[arg-type]
    return sorted(rows, key=lambda row: -np.nan_to_num(row.weighted[0]))


def _axis(ax: Axes, rows: Sequence[_Row]) -> None:
    highest = max(float(np.nanmax([row.plain[2], row.weighted[2], row.bounds[1]])) for row in rows)
    end = min(1.0, highest * 1.04)
    most = 5 if inner_size(ax)[0] < NARROW else 8
    step = next(step for step in _TICKS if end / step <= most)
    ticks = np.arange(0, end + 1e-9, step)
    ax.set_xlim(0, end)
    ax.set_xticks(ticks, labels=[f"{100 * tick:.3g}%" for tick in ticks])


def _draw(ax: Axes, row: _Row, place: float, *, narrow: bool) -> None:
    low, high = row.bounds
    place, height, below, above = _heights(place, narrow=narrow)
    ax.barh(place, high - low, left=low, height=height, color=GRID, alpha=0.75, linewidth=0, zorder=1.5)
    value, lower, upper = row.plain
    ax.plot([lower, upper], [below] * 2, color=MUTED, linewidth=1.2, solid_capstyle="butt", zorder=2.5)
    ax.plot([value], [below], "o", markersize=5, markerfacecolor=PAPER, markeredgecolor=MUTED, zorder=3)
    value, lower, upper = row.weighted
    ax.plot([lower, upper], [above] * 2, color=SERIES[0], linewidth=2.0, solid_capstyle="butt", zorder=2.6)
    ax.plot([value], [above], "s", markersize=5.5, color=SERIES[0], zorder=3.1)


def _heights(place: float, *, narrow: bool) -> tuple[float, float, float, float]:
    """The middle of a row, how tall it is, and where its plain and its weighted share stand."""
    place += 0.12 if narrow else 0.0  # the name stands above
    height = 0.5 if narrow else 0.72
    return place, height, place + 0.24 * height, place - 0.18 * height


def _mark(ax: Axes, rows: Sequence[_Row], said: Mapping[str, str], *, narrow: bool) -> None:
    """Each kind of share, reason by reason."""
    spots = [_heights(place, narrow=narrow) for place in range(len(rows))]

    def shares(i: int, which: str) -> str:
        return at(said, rows[i].name, estimate(said, share, *getattr(rows[i], which)))

    def bounds(i: int) -> str:
        return at(said, rows[i].name, between(said, *(share(end) for end in rows[i].bounds)))

    middle, _, below, above = (np.array(each) for each in zip(*spots, strict=True))
    mark(ax, said["weighted"], [row.weighted[0] for row in rows], above, lambda i: shares(i, "weighted"))
    mark(ax, said["plain"], [row.plain[0] for row in rows], below, lambda i: shares(i, "plain"))
    mark(ax, said["bounds"], [row.bounds[1] for row in rows], middle, bounds)


def _texts(ax: Axes, row: _Row, place: int, said: Mapping[str, str], *, names: float) -> None:
    spot, blend = (0.0, float(place)), ("axes fraction", "data")
    narrow = names == 0
    value, lower, upper = row.weighted
    number = said["not_estimated"]
    if np.isfinite(value):
        number = f"{100 * value:.1f}% ({100 * lower:.1f}–{100 * upper:.1f})"
    if narrow:
        name = shown(row.name, (inner_size(ax)[0] - _NUMBERS) / SIZE)
        look: dict[str, Any] = {"bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}}
        write(ax, name, at=spot, within=blend, shift=(0, 17), color=INK, **look)
        write(ax, number, at=(1.0, float(place)), within=blend, shift=(6, 17), ha="right", **look)
        return
    write(ax, shown(row.name, _NAME), at=spot, within=blend, shift=(-names, 0))
    write(ax, number, at=(1.0, float(place)), within=blend, shift=(_NUMBERS + 4, 0), ha="right")


def _heading(ax: Axes, title: str, said: Mapping[str, str]) -> None:
    """The title, and a key of the three marks in one or more lines."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101  # axes without a figure cannot be drawn on
    width, height = inner_size(ax)
    texts = [said["weighted"], said["plain"], said["bounds"]]
    places, row, x = [], 0, 0.0
    for text in texts:
        need = 22 + ems(text) * SIZE + 14
        if x > 0 and x + need > width + side_room(ax)[1]:
            row, x = row + 1, 0.0
        places.append((row, x))
        x += need
    for i, ((line, left), text) in enumerate(zip(places, texts, strict=True)):
        y = 10 + (places[-1][0] - line) * LINE_GAP
        moved = ax.transAxes + ScaledTranslation(left / 72, y / 72, figure.dpi_scale_trans)
        look: dict[str, Any] = {"transform": moved, "clip_on": False}
        if i == 2:
            box = Rectangle((0, 1 - 4.5 / height), 16 / width, 9 / height, facecolor=GRID, linewidth=0, **look)
            ax.add_artist(box)
        else:
            colour, marker = ((SERIES[0], "s"), (MUTED, "o"))[i]
            face = colour if i == 0 else PAPER
            ends = [0, 8 / width, 16 / width], [1, 1, 1]
            ax.add_artist(
                Line2D(*ends, color=colour, linewidth=1.8, marker=marker, markevery=[1], markersize=5,
                       markerfacecolor=face, markeredgecolor=colour, **look)
            )  # fmt: skip
        write(ax, text, at=(0, 1), shift=(left + 21, y), color=MUTED)
    write(ax, title, at=(0, 1), shift=(0, 10 + (places[-1][0] + 1) * LINE_GAP + 2))
