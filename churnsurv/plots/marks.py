"""What stands where in a figure: plots say it while they draw, so that a page can show values on hover."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.plots.text import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Collected", "Marks", "collecting", "mark", "placed"]

_SOME = 3  # points of a line without a name, of which there may be many
_NAME, _TEXT = 60.0, 150.0  # ems of a name and of a text before they are shortened


@dataclass(frozen=True, slots=True)
class Marks:
    """The values of one series of a drawing.

    Attributes
    ----------
    name : str
        What the series is; may be empty where there is one.
    points : tuple of (float, float, str)
        x and y in the units of the drawing's `viewBox`, and the finished text, such as "day 30: 41.2% (40.1–42.3%)".
    """

    name: str
    points: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """One series as a plot gave it: its places in the units of its axes, and who says the text of a point."""

    ax: Axes
    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    say: Callable[[int], str]
    few: bool


_OPEN: ContextVar[list[Collected] | None] = ContextVar("marks", default=None)


@contextmanager
def collecting() -> Iterator[list[Collected]]:
    """Collect what plots mark; outside of it `mark` does nothing."""
    found: list[Collected] = []
    token = _OPEN.set(found)
    try:
        yield found
    finally:
        _OPEN.reset(token)


def mark(
    ax: Axes,
    name: object,
    x: ArrayLike,
    y: ArrayLike,
    say: Callable[[int], str] | Sequence[str],
    *,
    few: bool = False,
) -> None:
    """Say what stands where: a series, its places in the units of the axes, and the texts of its points.

    `say` is asked for the text of the i-th point, of those that are kept alone, or has them all. `few`: a line among
    many, for which some points do.
    """
    found = _OPEN.get()
    if found is not None:
        across, up = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        tell = say if callable(say) else say.__getitem__
        found.append(Collected(ax, shown(name), np.atleast_1d(across), np.atleast_1d(up), tell, few))


def placed(found: Sequence[Collected], height: float, most: int) -> tuple[Marks, ...]:
    """Return the marks in points from the upper left of a figure of this height, about `most` of them.

    Of long series points at equal distances are kept, with both ends, the lowest and the highest one.
    """
    series = [(each, *_in_points(each, height)) for each in found]
    allowed = _shares([(len(x), each.few) for each, x, _, _ in series], most)
    done = []
    for (each, x, y, places), n in zip(series, allowed, strict=True):
        points = tuple((_short(x[i]), _short(y[i]), shown(each.say(int(places[i])), _TEXT)) for i in _kept(x, y, n))
        done += [Marks(shown(each.name, _NAME), points)] if points else []
    return tuple(done)


def _short(value: float) -> float:
    return round(float(value), 1)


def _in_points(each: Collected, height: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Where the points are drawn, none outside of the axes, and which ones of the series they are."""
    ax = each.ax
    ax.get_xlim(), ax.get_ylim()  # limits that wait for a drawing are made now
    figure: Any = ax.get_figure(root=True)
    known = np.flatnonzero(np.isfinite(each.x) & np.isfinite(each.y))
    with np.errstate(divide="ignore", invalid="ignore"):
        spots = ax.transData.transform(np.column_stack([each.x[known], each.y[known]]))
    box = ax.bbox
    there = np.isfinite(spots).all(axis=1)
    x = np.clip(spots[there, 0], box.x0, box.x1) * 72 / figure.dpi
    y = height - np.clip(spots[there, 1], box.y0, box.y1) * 72 / figure.dpi
    return x, y, known[there]


def _shares(sizes: Sequence[tuple[int, bool]], most: int) -> list[int]:
    """How many points each series keeps: lines among many keep some, and the others share the rest evenly."""
    some = min(_SOME, max(1, most // (2 * max(1, sum(few for _, few in sizes)))))
    wanted = [min(n, some) if few else n for n, few in sizes]
    allowed = [n if few else 0 for n, (_, few) in zip(wanted, sizes, strict=True)]
    rest = max(most - sum(allowed), 4 * sum(not few for _, few in sizes))
    waiting = sorted((n, place) for place, (n, (_, few)) in enumerate(zip(wanted, sizes, strict=True)) if not few)
    for done, (n, place) in enumerate(waiting):
        allowed[place] = min(n, rest // (len(waiting) - done))
        rest -= allowed[place]
    return allowed


def _kept(x: NDArray[np.float64], y: NDArray[np.float64], n: int) -> list[int]:
    """The points of a series that are kept, about so many at equal distances across, and the lowest and highest.

    Examples
    --------
    >>> _kept(np.arange(9.0), np.array([0, 0, 0, 0, 0, 5.0, 0, 0, 0]), 4)
    [0, 5, 8]
    """
    if len(x) <= n:
        return list(range(len(x)))
    rising = bool((np.diff(x) >= 0).all())
    along = x if rising and x[-1] > x[0] else np.arange(len(x), dtype=np.float64)
    middles = (along[1:] + along[:-1]) / 2
    if n <= _SOME:  # lines among many often begin at one place
        return sorted(set(np.searchsorted(middles, np.linspace(along[0], along[-1], n + 1)[1:]).tolist()))
    near = np.searchsorted(middles, np.linspace(along[0], along[-1], max(n - 2, 2)))
    return sorted({0, len(x) - 1, int(np.argmin(y)), int(np.argmax(y)), *near.tolist()})
