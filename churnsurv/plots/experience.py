"""What to fix first: the share of churn attributable to each kind of problem, with reach and effect beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import INK, MUTED, PAPER, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import between
from churnsurv.plots.style import LINE_GAP, NARROW, SIZE, Frame, dress, inner_size, new_axes, side_room, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["experience", "experience_frame"]

_NEEDED = ("kind", "reach_users", "hazard_ratio", "share", "share_lower", "share_upper")
_ALL = "(all)"
_NAME = 16.0  # ems of a name before it is shortened
_ROW = 34.0
_NUMBERS = 122.0
_TICKS = (1e-6, 1e-5, 1e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "experience": "Share of churn attributable to problems, with {level} intervals (observational)",
    "experience_narrow": "Churn attributable to problems",
    "observational": "with {level} intervals, observational",
    "all_kinds": "all together",
    "reached": "{share} of users",
    "effect": "hazard × {ratio}",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One kind: share with limits, and what is written below its name."""

    name: str
    share: tuple[float, float, float]
    reach: float
    ratio: float

    def below(self, said: Mapping[str, str]) -> str:
        """Reach and effect."""
        reached = said["reached"].format(share=f"{100 * self.reach:.1f}%")
        if not np.isfinite(self.ratio):
            return reached
        return said["mark.of"].format(one=said["effect"].format(ratio=f"{self.ratio:.2f}"), other=reached)

    def told(self, said: Mapping[str, str]) -> str:
        """All of its numbers."""
        return said["mark.next"].join([_numbers(self.share, said), self.below(said)])


def experience(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the attributable share of each kind of problem in the order of the table, all together last.

    Parameters
    ----------
    table : DataFrame
        Schema "experience_ranking".
    ax : Axes, optional
        Where to draw; leave room around it (`experience_frame` says how much). Without it a pyplot figure is made.
    level : float
        The level of the table's intervals; only written.
    words : mapping, optional
        Words to replace: "experience", "experience_narrow", "observational", "all_kinds", "reached", "effect".

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
    Intervals that leave out 0 are blue, the others grey.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"kind": ["crash"], "reach_users": [0.2], "hazard_ratio": [1.8], "share": [0.02],
    ...     "share_lower": [0.01], "share_upper": [0.03]})
    >>> [text.get_text() for text in experience(table, Figure().add_subplot()).texts][:3]
    ['crash', 'hazard × 1.80, 20.0% of users', '2.0% (1.0–3.0)']
    """
    said = chosen_words(words, _WORDS)
    rows = _rows(table, said)
    if ax is None:
        ax = new_axes(_frame(rows, said, 640.0))
    left, right = side_room(ax)
    narrow = left < _names(rows, said) or right < _NUMBERS
    dress(ax, grid="x")
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    _axis(ax, rows)
    drawn = _told_apart([row.name for row in rows], (inner_size(ax)[0] - _NUMBERS) / SIZE if narrow else _NAME)
    for place, (row, name) in enumerate(zip(rows, drawn, strict=True)):
        _draw(ax, row, place + (0.22 if narrow else 0.0))
        _texts(ax, row, name, place, said, names=0.0 if narrow else _names(rows, said))
        mark(ax, row.name, row.share[0], place + (0.22 if narrow else 0.0), [row.told(said)])
    _heading(ax, said, level)
    notice(ax, [row.name for row in rows], said)
    return ax


def experience_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `experience` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({name: [0.5] for name in ("reach_users", "hazard_ratio", "share", "share_lower",
    ...     "share_upper")} | {"kind": ["crash"]})
    >>> experience_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    return _frame(_rows(table, said), said, width)


def _frame(rows: Sequence[_Row], said: Mapping[str, str], width: float) -> Frame:
    names = _names(rows, said) + 6
    narrow = width - names - _NUMBERS - 12 < NARROW
    left, right = (14.0, 14.0) if narrow else (names, _NUMBERS + 12)
    height = len(rows) * (_ROW + (LINE_GAP if narrow else 0))
    return Frame(width, height + 40 + 26, left, right, 40.0, 26.0)


def _names(rows: Sequence[_Row], said: Mapping[str, str]) -> float:
    """Points that the names and what stands below them take."""
    return max(max(ems(shown(row.name, _NAME)), ems(row.below(said))) for row in rows) * SIZE + 12


def _rows(table: pd.DataFrame, said: Mapping[str, str]) -> list[_Row]:
    require_columns("experience_ranking", _NEEDED, table.columns)
    if len(table) == 0:
        raise InputError("The ranking of problems has no rows: there is nothing to draw.")
    rows = []
    for record in table[list(_NEEDED)].to_dict("records"):
        share, lower, upper = (float(record[name]) for name in ("share", "share_lower", "share_upper"))
        name = said["all_kinds"] if record["kind"] == _ALL else group_said(said, str(record["kind"]))
        rows.append(_Row(name, (share, lower, upper), float(record["reach_users"]), float(record["hazard_ratio"])))
    return rows


def _told_apart(names: Sequence[str], width: float) -> list[str]:
    """Names as they are drawn: those that begin alike lose their middle, and have a number if that is not enough."""
    drawn = [shown(name, width) for name in names]
    again = [shown(name, width * 0.55) + _end(name, width * 0.4) if drawn.count(text) > 1 else text
             for name, text in zip(names, drawn, strict=True)]  # fmt: skip
    return [
        f"{shown(text, width - 2)} {again[:place].count(text) + 1}" if again.count(text) > 1 else text
        for place, text in enumerate(again)
    ]


def _end(name: str, width: float) -> str:
    """The last letters of a name."""
    text, first = shown(name), 0
    while ems(text[first:]) > width:
        first += 1
    return text[first:]


def _numbers(share: tuple[float, float, float], said: Mapping[str, str]) -> str:
    """Share and limits in percent, with as many digits as small ones need."""
    if not np.isfinite(share).all():
        return "–"
    size = 100 * max(abs(each) for each in share)
    digits = 1 if size >= 0.5 or size == 0 else min(1 - int(np.floor(np.log10(size))), 4)
    point, lower, upper = (f"{100 * each:.{digits}f}" for each in share)
    point, lower, upper = (each.removeprefix("-") if float(each) == 0 else each for each in (point, lower, upper))
    return f"{point}% ({between(said, lower, upper)})"


def _axis(ax: Axes, rows: Sequence[_Row]) -> None:
    known = [each for row in rows for each in row.share if np.isfinite(each)]
    low, high = min(0.0, *known, 0.0), max(known, default=0.0)
    high = high if high - low > 0 else 1e-3
    room = 0.04 * (high - low)
    low, high = low - room if low < 0 else 0.0, high + room
    most = 5 if inner_size(ax)[0] < NARROW else 8
    step = next((step for step in _TICKS if (high - low) / step <= most), 1.0)
    ticks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step + 0.0  # no -0
    ax.set_xlim(low, high)
    ax.set_xticks(ticks, labels=[f"{100 * tick:.3g}%" for tick in ticks])
    ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1.5)


def _draw(ax: Axes, row: _Row, place: float) -> None:
    share, lower, upper = row.share
    colour = SERIES[0] if lower > 0 or upper < 0 else MUTED
    ax.plot([lower, upper], [place, place], color=colour, linewidth=2.0, solid_capstyle="butt", zorder=2.5)
    ax.plot([share], [place], "s", color=colour, markersize=5.5, zorder=3)


def _texts(ax: Axes, row: _Row, name: str, place: int, said: Mapping[str, str], *, names: float) -> None:
    spot, blend = (0.0, float(place)), ("axes fraction", "data")
    number = _numbers(row.share, said)
    below = row.below(said)
    look: dict[str, Any] = {"bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}}
    if names == 0:
        write(ax, name, at=spot, within=blend, shift=(0, 18), color=INK, **look)
        write(ax, below, at=spot, within=blend, shift=(0, 5), color=MUTED, **look)
        write(ax, number, at=(1.0, float(place)), within=blend, shift=(6, 18), ha="right", **look)
        return
    write(ax, name, at=spot, within=blend, shift=(-names, 6))
    write(ax, below, at=spot, within=blend, shift=(-names, -6), color=MUTED)
    write(ax, number, at=(1.0, float(place)), within=blend, shift=(_NUMBERS + 4, 0), ha="right")


def _heading(ax: Axes, said: Mapping[str, str], level: float) -> None:
    """One line, or two where it is too long."""
    percent = f"{100 * level:g}%"
    whole = said["experience"].format(level=percent)
    if ems(whole) * SIZE < inner_size(ax)[0] + side_room(ax)[1]:
        write(ax, whole, at=(0, 1), shift=(0, 14))
        return
    write(ax, said["experience_narrow"], at=(0, 1), shift=(0, 14 + LINE_GAP))
    write(ax, said["observational"].format(level=percent), at=(0, 1), shift=(0, 14), color=MUTED)
