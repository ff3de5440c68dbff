"""On which idle days a tier holds, for all users or for some: spans below a curve over idle days, and outlines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import FAINT, INK, MUTED, PAPER, SERIES, TIER
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import between
from churnsurv.plots.shades import tier_shade
from churnsurv.plots.style import SIZE, inner_size, write
from churnsurv.plots.text import ems, shown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LANE", "Kind", "Lane", "draw_lanes", "kinds_of", "lanes_of", "runs"]

Flags = NDArray[np.bool_]

LANE = 17.0  # points
_NEEDED = ("variable", "band_lower", "band_upper", "others", "rank", "tier", "first_day", "last_day", "band")
_SPAN = "churnsurv-span"


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Users of one band and one kind, and the place of their tier (0 the highest, -1 none) on each idle day."""

    band: tuple[float | None, float | None]
    others: str | None
    tier: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """A tier, and on which idle days all users are in it, and some: (idle_days,) each."""

    name: str
    everybody: Flags
    somebody: Flags


def kinds_of(table: pd.DataFrame, idle_days: int) -> tuple[tuple[str, ...], list[Kind]]:
    """The tiers of a table of schema "tier_bands", highest first, and who is in which of them when.

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no bands, or its tiers reach `idle_days`.
    """
    require_columns("tier_bands", _NEEDED, table.columns)
    rows = table[list(_NEEDED)].astype(object).where(table[list(_NEEDED)].notna(), None)
    named = rows[rows["rank"].notna()]
    ranks = sorted({(int(rank), str(tier)) for rank, tier in zip(named["rank"], named["tier"], strict=True)})
    places = {rank: place for place, (rank, _) in enumerate(ranks)}
    found: dict[tuple[float | None, float | None, str | None], NDArray[np.int64]] = {}
    for row in rows[rows["band"].notna()].to_dict("records"):
        who = (row["band_lower"], row["band_upper"], row["others"])
        tier = found.setdefault(who, np.full(idle_days, -1, dtype=np.int64))
        if row["rank"] is None:
            continue
        if int(row["last_day"]) >= idle_days:
            raise InputError(f"The tiers reach idle day {row['last_day']}, and the figure ends before {idle_days}.")
        tier[int(row["first_day"]) : int(row["last_day"]) + 1] = places[int(row["rank"])]
    if not found:
        raise InputError("The table of tiers has no bands to draw.")
    return tuple(tier for _, tier in ranks), [Kind((low, high), others, t) for (low, high, others), t in found.items()]


def lanes_of(table: pd.DataFrame, idle_days: int) -> list[Lane]:
    """One lane a tier that anybody is in, highest first."""
    names, kinds = kinds_of(table, idle_days)
    held = np.stack([kind.tier for kind in kinds])
    lanes = [Lane(name, (held == place).all(axis=0), (held == place).any(axis=0)) for place, name in enumerate(names)]
    return [lane for lane in lanes if lane.somebody.any()]


def runs(held: Flags) -> Iterator[tuple[int, int]]:
    """First and last day of each run of days.

    Examples
    --------
    >>> list(runs(np.array([True, True, False, True])))
    [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]).astype(np.int8)))
    yield from ((int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True))


def draw_lanes(ax: Axes, lanes: Sequence[Lane], said: Mapping[str, str], *, unit: float) -> None:
    """Draw lanes below 0, the highest tier on top; `unit` is what a point is on the axis that goes up."""
    from matplotlib.patches import Rectangle

    for place, lane in enumerate(lanes):
        top = -LANE * unit * (place + 0.25)
        shade = tier_shade(place, len(lanes))
        for held, tall in ((lane.somebody, 0.22), (lane.everybody, 0.86)):
            for first, last in runs(held):
                left, width = max(first - 0.5, 0.0), last + 0.5 - max(first - 0.5, 0.0)
                height = tall * LANE * unit
                bottom = top - 0.86 * LANE * unit
                for colour, alpha in ((PAPER, 1.0), (TIER, shade)):
                    box = Rectangle((left, bottom), width, height, facecolor=colour, alpha=alpha, linewidth=0, zorder=2)
                    box.set_gid(f"{_SPAN}-{place}-{len(ax.patches)}")
                    ax.add_patch(box)
                # A light shade, or a thin bar of it, is not seen on its paper: its edge is.
                edge: dict[str, Any] = {"edgecolor": SERIES[1], "linewidth": 0.8, "fill": False, "zorder": 2.1}
                ax.add_patch(Rectangle((left, bottom), width, height, **edge))
        start = next(runs(lane.somebody))[0]
        ax.plot([start, start], [top, 1.0], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2.5)), zorder=1.4)
        _name(ax, lane, start, top - 0.32 * LANE * unit)
        _mark(ax, lane, top - 0.43 * LANE * unit, said)
    ax.axhline(0, color=FAINT, linewidth=0.8, zorder=1.6)


def _mark(ax: Axes, lane: Lane, y: float, said: Mapping[str, str]) -> None:
    """Where all users are in the tier, and where some are."""
    spans = [("lane_all", *days) for days in runs(lane.everybody)]
    spans += [("lane_some", *days) for days in runs(lane.somebody & ~lane.everybody)]

    def say(i: int) -> str:
        word, first, last = spans[i]
        return said[word].format(days=between(said, f"{first}", f"{last}") if last > first else f"{first}")

    mark(ax, lane.name, [(first + last) / 2 for _, first, last in spans], y, say)


def _name(ax: Axes, lane: Lane, start: int, middle: float) -> None:
    """The name before its span, where there is room, else on it."""
    width, _ = inner_size(ax)
    text = shown(lane.name, 16)
    left = (start - 0.5) * width / float(ax.get_xlim()[1])
    before = left > ems(text) * SIZE + 8
    at = (max(start - 0.5, 0.0), middle)
    write(ax, text, at=at, shift=(-5 if before else 5, 0), within="data", ha="right" if before else "left", color=INK,
          zorder=4)  # fmt: skip
