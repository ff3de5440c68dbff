"""The log-rank statistic at every cut of a variable, beside what a search alone makes of nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import FAINT, MUTED, SERIES
from churnsurv.plots.style import LINE_GAP, Frame, dress, new_axes, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["cutpoint", "cutpoint_frame"]

Floats = NDArray[np.float64]

_NAME = 30.0  # ems of a name before it is shortened
_MOST = 600  # places along the axis at which a statistic is drawn
_WIDE = 50.0  # values spread over more than this, in multiples of the lowest, are drawn on a log scale
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "title": "z of the log-rank test at each cut: above 0, users above the cut have their event sooner",
    "critical": "dashed: beyond it, p < {p} after the search",
    "chosen": "best cut {cut}; shaded: cuts as good, {level}",
    "log": "{name}, log scale",
}


def cutpoint(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    chosen: pd.DataFrame | None = None,
    critical: float | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw z over the cuts of one variable.

    Parameters
    ----------
    table : DataFrame
        Schema "cutpoint_scan", of one variable.
    ax : Axes, optional
        Where to draw; `cutpoint_frame` says how much room it needs. Without it a pyplot figure is made.
    chosen : DataFrame, optional
        Schema "cutpoint", the row of the variable: the best cut, and the range of cuts as good.
    critical : float, optional
        Absolute z that the largest of all cuts exceeds with probability 1 - level if nothing differs.
    level : float
    words : mapping, optional
        Words to replace: "title", "critical", "chosen", "log".

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If there is no cut to draw, or more than one variable.

    Notes
    -----
    Of thousands of cuts the largest and the smallest z are drawn at each place of the axis.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"variable": "balance", "cut": [10.0, 20.0, 30.0], "statistic": [1.0, 3.0, 2.0]})
    >>> len(cutpoint(table, Figure().add_subplot(), critical=2.5).lines)
    4
    """
    said = chosen_words(words, _WORDS)
    name, cut, z = _values(table)
    log = cut.min() > 0 and cut.max() / cut.min() > _WIDE
    at = np.log10(cut) if log else cut
    if ax is None:
        ax = new_axes(cutpoint_frame(table))
    if chosen is not None and len(chosen):
        _mark(ax, chosen, log=log)
    keep = _thinned(at, z)
    few = keep.size < 60
    ax.plot(
        cut[keep], z[keep], color=SERIES[0], linewidth=1.2, marker="o" if few else None, markersize=3.5, zorder=3,
    )  # fmt: skip
    for height in () if critical is None else (-critical, critical):
        ax.axhline(height, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    ax.axhline(0.0, color=FAINT, linewidth=0.8, zorder=1.5)
    dress(ax)
    _axes(ax, cut, z, critical, log=log)
    axis = said["log"].format(name=shown(name, _NAME)) if log else shown(name, _NAME)
    write(ax, axis, at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    _heading(ax, said, chosen, critical, level)
    notice(ax, [name], said)
    return ax


def cutpoint_frame(table: pd.DataFrame, width: float = 640.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `cutpoint` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> cutpoint_frame(pd.DataFrame({"variable": ["x"], "cut": [1.0], "statistic": [2.0]}), 350).width
    350
    """
    _values(table)
    return Frame(width, 290.0, 40.0, 16.0, 22.0 + 2 * LINE_GAP, 36.0)


def _values(table: pd.DataFrame) -> tuple[str, Floats, Floats]:
    require_columns("cutpoint_scan", ("variable", "cut", "statistic"), table.columns)
    names = table["variable"].unique()
    if len(names) > 1:
        raise InputError(f"one variable a figure; the table has {len(names)}. Choose its rows first.")
    there = table[table["statistic"].notna()].sort_values("cut", kind="stable")
    if there.empty:
        raise InputError("The table has no cut with a statistic: there is nothing to draw.")
    return str(names[0]), there["cut"].to_numpy(dtype=np.float64), there["statistic"].to_numpy(dtype=np.float64)


def _thinned(at: Floats, z: Floats) -> NDArray[np.intp]:
    """Positions of the first, last, lowest and highest z at each place of the axis."""
    if at.size <= _MOST or at[-1] == at[0]:
        return np.arange(at.size)
    place = np.minimum(((at - at[0]) / (at[-1] - at[0]) * _MOST).astype(np.int64), _MOST - 1)
    begins = np.flatnonzero(np.diff(place, prepend=-1))
    ends = np.append(begins[1:], at.size)
    kept = [
        (a, b - 1, a + int(np.argmin(z[a:b])), a + int(np.argmax(z[a:b]))) for a, b in zip(begins, ends, strict=True)
    ]
    return np.unique(np.array(kept).ravel())


def _mark(ax: Axes, chosen: pd.DataFrame, *, log: bool) -> None:
    row = chosen.iloc[0]
    low, high, cut = (float(row[name]) for name in ("range_lower", "range_upper", "cut"))
    if not log or low > 0:
        ax.axvspan(low, high, color=SERIES[1], alpha=0.16, linewidth=0, zorder=1)
    ax.axvline(cut, color=SERIES[1], linewidth=1.2, zorder=2.5)


def _axes(ax: Axes, cut: Floats, z: Floats, critical: float | None, *, log: bool) -> None:
    reach = 0.0 if critical is None else critical
    low, high = min(float(z.min()), -reach, 0.0), max(float(z.max()), reach, 0.0)
    margin = 0.06 * max(high - low, 1.0)
    ax.set_ylim(low - margin, high + margin)
    ticks = _steps(low, high)
    ax.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    if log:
        ax.set_xscale("log")
        powers = np.arange(np.floor(np.log10(cut[0])), np.ceil(np.log10(cut[-1])) + 1)
        few = powers.size > 5
        places = np.array([10.0**power * part for power in powers for part in ((1,) if few else (1, 3))])
        ticks = places[(places >= cut[0]) & (places <= cut[-1])]
    else:
        ticks = _steps(float(cut[0]), float(cut[-1]))
        ticks = ticks[(ticks >= cut[0]) & (ticks <= cut[-1])]
    ax.set_xticks(ticks, labels=[f"{tick:,.10g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    spread = 0.5 if cut[0] == cut[-1] else 0.0
    ax.set_xlim(cut[0] - spread, cut[-1] + spread)


def _steps(low: float, high: float) -> Floats:
    wide = high - low if high > low else max(abs(high), 1.0)
    power = 10.0 ** np.floor(np.log10(wide / 6))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if wide / (power * part) <= 6)
    ticks: Floats = np.round(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step, 12)
    return ticks + 0.0  # no minus zero


def _heading(
    ax: Axes, said: Mapping[str, str], chosen: pd.DataFrame | None, critical: float | None, level: float
) -> None:
    lines = [said["title"]]
    if chosen is not None and len(chosen):
        cut = f"{float(chosen['cut'].iloc[0]):,.6g}"
        lines.append(said["chosen"].format(cut=cut, level=f"{100 * level:g}%"))
    if critical is not None:
        lines.append(said["critical"].format(p=f"{1 - level:.3g}"))
    for i, text in enumerate(reversed(lines)):
        colour = {} if text is lines[0] else {"color": MUTED}
        write(ax, text, at=(0, 1), shift=(0, 10 + LINE_GAP * i), **colour)
