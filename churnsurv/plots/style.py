"""One look for every figure: sizes, axes, keys and labels. Nothing here touches matplotlib's global settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.plots.colours import FAINT, GRID, INK, MUTED
from churnsurv.plots.text import drawn, ems, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "LINE_GAP",
    "NARROW",
    "SIZE",
    "Frame",
    "dress",
    "flow",
    "inner_size",
    "key",
    "label_ends",
    "new_axes",
    "side_room",
    "spread",
    "stroke",
    "swatch",
    "wrapped",
    "write",
]

SIZE = 9.5  # points of the small text; labels of series have the same
NARROW = 280.0  # where names at the sides would leave less (in points) for the axes, they go above: a phone
LINE_GAP = 12.5
# What stays together on a line: a Chinese character with the marks around it, or a run of anything else.
_WIDE = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_OPENING, _CLOSING = "（「『《〈", "，、。：；？！）」』》〉％"
_PIECES = re.compile(rf"[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)[{_CLOSING}]*\s*|\S\s*")


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a figure and the room around its axes, in points (1/72 inch; one pixel in the SVG of a page)."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float

    def place(self, figure: Figure) -> Axes:
        """Return the axes of this frame on a figure, which takes the size of the frame."""
        figure.set_size_inches(self.width / 72, self.height / 72)
        return figure.add_axes(
            (
                self.left / self.width,
                self.bottom / self.height,
                (self.width - self.left - self.right) / self.width,
                (self.height - self.top - self.bottom) / self.height,
            )
        )


def new_axes(frame: Frame) -> Axes:
    """Return new axes on a pyplot figure, for notebooks; the only place that touches pyplot."""
    from matplotlib import pyplot

    return frame.place(pyplot.figure())


def inner_size(ax: Axes) -> tuple[float, float]:
    """Return the width and height of axes in points."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101  # axes without a figure cannot be drawn on
    inner = ax.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    return float(inner.width * 72), float(inner.height * 72)


def side_room(ax: Axes) -> tuple[float, float]:
    """Return the points left and right of the axes, up to the edges of the figure."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101
    extent = ax.get_window_extent()
    return float(extent.x0 / figure.dpi * 72), float((figure.bbox.width - extent.x1) / figure.dpi * 72)


def dress(ax: Axes, *, grid: str = "y") -> None:
    """Give axes the house look: no box, a light grid behind, small muted tick labels."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)
    ax.spines["bottom"].set_linewidth(0.8)
    ax.tick_params(which="both", length=0, pad=4, labelsize=SIZE, labelcolor=MUTED, labelfontfamily=families([]))
    ax.set_axisbelow(True)
    ax.grid(visible=False, which="both")
    ax.grid(visible=True, which="major", axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


def write(
    ax: Axes,
    text: str,
    *,
    at: tuple[float, float],
    shift: tuple[float, float] = (0.0, 0.0),
    within: Any = "axes fraction",
    **keywords: Any,
) -> None:
    """Write literal text, centred in height at a place of the axes moved by points. Mathematics in it is not read."""
    settings: dict[str, Any] = {"color": INK, "fontsize": SIZE, "ha": "left", **keywords}
    ax.annotate(
        drawn(text),
        xy=at,
        xycoords=within,
        # Centred by the baseline: heights measured in a font would differ from machine to machine.
        xytext=(shift[0], shift[1] - 0.35 * SIZE),
        va="baseline",
        textcoords="offset points",
        annotation_clip=False,
        parse_math=False,
        family=families([text]),
        **settings,
    )


def wrapped(text: str, room: float) -> list[str]:
    """Return a text in lines of at most so many points, broken between words, or between Chinese characters.

    No line begins with a mark that closes, such as "，", or ends with one that opens.

    Examples
    --------
    >>> wrapped("Gain, per 1,000 of the population", 100), wrapped("回流比例，每千名用戶", 50)
    (['Gain, per 1,000 of', 'the population'], ['回流比例，', '每千名用戶'])
    """
    rows: list[str] = []
    for piece in _PIECES.findall(text):
        if rows and ems(rows[-1] + piece.rstrip()) * SIZE <= room:
            rows[-1] += piece
        else:
            rows.append(piece)
    return [row.rstrip() for row in rows] or [text]


def flow(texts: Sequence[str], width: float) -> list[tuple[int, float]]:
    """Return row and x (in points) of each entry of a key that wraps at `width`.

    Examples
    --------
    >>> [row for row, x in flow(["organic", "invitation", "wealth supermarket"], 180)]
    [0, 0, 1]
    """
    places, row, x = [], 0, 0.0
    for text in texts:
        need = 20 + ems(text) * SIZE + 12
        if x > 0 and x + need > width:
            row, x = row + 1, 0.0
        places.append((row, x))
        x += need
    return places


def stroke(ax: Axes, colour: str, *, at: tuple[float, float], shift: tuple[float, float], length: float = 14.0) -> None:
    """Draw a short line in the colour of a series, from a place in axes fractions moved by points."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101
    width, _ = inner_size(ax)
    moved = ax.transAxes + ScaledTranslation(shift[0] / 72, shift[1] / 72, figure.dpi_scale_trans)
    ends = [at[0], at[0] + length / width], [at[1], at[1]]
    ax.add_artist(Line2D(*ends, color=colour, linewidth=2.2, transform=moved, clip_on=False))


def swatch(ax: Axes, colour: str, shade: float, *, shift: tuple[float, float]) -> None:
    """Draw a small box of a shaded colour above the axes, its lower left corner moved by points."""
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None  # noqa: S101
    width, height = inner_size(ax)
    moved = ax.transAxes + ScaledTranslation(shift[0] / 72, shift[1] / 72, figure.dpi_scale_trans)
    box = (0.0, 1.0), 13 / width, 9 / height
    look: dict[str, Any] = {"transform": moved, "clip_on": False}
    ax.add_artist(Rectangle(*box, linewidth=0, facecolor=colour, alpha=shade, **look))
    ax.add_artist(Rectangle(*box, linewidth=0.8, fill=False, edgecolor=FAINT, **look))


def key(ax: Axes, entries: Sequence[tuple[str, str]], *, width: float) -> None:
    """Write a key above the axes: `entries` are (text, colour), and it wraps at `width` points."""
    places = flow([text for text, _ in entries], width)
    rows = max((row for row, _ in places), default=0)
    for (text, colour), (row, x) in zip(entries, places, strict=True):
        y = 10 + (rows - row) * LINE_GAP
        stroke(ax, colour, at=(0, 1), shift=(x, y))
        write(ax, text, at=(0, 1), shift=(x + 19, y))


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], *, gap: float = LINE_GAP) -> None:
    """Name series in the right margin, none over another, each tied to the end of its line.

    `ends` are (x, y, text, colour) in the units of the axes.
    """
    from matplotlib.lines import Line2D

    if not ends:
        return
    width, height = inner_size(ax)
    points = ax.transAxes.inverted().transform(ax.transData.transform([(x, y) for x, y, _, _ in ends]))
    placed = spread(points[:, 1] * height, gap, -6.0, height + 6.0) / height
    start = 1 + 4 / width
    for (_, _, text, colour), (x, y), spot in zip(ends, points, placed, strict=True):
        leader = Line2D([x, max(x, 1.0), start + 6 / width], [y, y, spot], color=colour, linewidth=0.8)
        leader.set(linestyle=(0, (1, 2)) if x < 0.985 else "-", transform=ax.transAxes, clip_on=False)
        ax.add_artist(leader)
        stroke(ax, colour, at=(1, spot), shift=(10, 0), length=8)
        write(ax, text, at=(1, spot), shift=(22, 0))


def spread(places: NDArray[np.float64], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Move places apart to at least `gap`, keeping their order, as near as can be and within low ... high.

    Examples
    --------
    >>> spread(np.array([10.0, 11.0, 40.0]), 6, 0, 50).tolist()
    [7.5, 13.5, 40.0]
    """
    order = np.argsort(places, kind="stable")
    groups: list[list[float]] = []  # [sum of wished starts, count]: pools of neighbours that touch
    for rank, wish in enumerate(places[order]):
        groups.append([float(wish) - rank * gap, 1.0])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            last = groups.pop()
            groups[-1] = [groups[-1][0] + last[0], groups[-1][1] + last[1]]
    starts = np.concatenate([np.full(int(count), total / count) for total, count in groups])
    starts = np.clip(starts, low, max(low, high - (len(places) - 1) * gap))
    spots = np.empty(len(places))
    spots[order] = starts + gap * np.arange(len(places))
    return spots
