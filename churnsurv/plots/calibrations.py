"""Observed over predicted churn: groups with intervals, the smooth curve, and how often each was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import FAINT, INK, MUTED, SERIES
from churnsurv.plots.style import LINE_GAP, Frame, dress, inner_size, key, new_axes, write
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["calibration", "calibration_frame"]

_NEEDED = ("predicted", "observed", "lower", "upper")
_BARS = 0.14  # of the height of the axes, for the histogram
_LEFT = -34.0  # points from the axes to where their texts begin
_WORDS = {
    "calibration_observed": "Observed share churned, with {level} intervals",
    "calibration_predicted": "Predicted probability of churn; bars: how often it was predicted",
    "calibration_groups": "groups of predictions",
    "calibration_smooth": "smooth curve",
    "calibration_perfect": "perfect",
}


def calibration(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    curve: pd.DataFrame | None = None,
    histogram: pd.DataFrame | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw observed over predicted churn.

    Parameters
    ----------
    table : DataFrame
        Schema "calibration".
    ax : Axes, optional
        Where to draw; `calibration_frame` says how much room it needs. Without it a pyplot figure is made.
    curve : DataFrame, optional
        Schema "calibration_curve".
    histogram : DataFrame, optional
        Schema "histogram", drawn as bars at the foot.
    level : float
        The level of the table's intervals; only written.
    words : mapping, optional
        Words to replace those of `churnsurv.plots.words.WORDS`.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If no group has an observed share.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"predicted": [0.1, 0.4], "observed": [0.12, 0.38], "lower": [0.08, 0.3],
    ...     "upper": [0.17, 0.47]})
    >>> calibration(table, Figure().add_subplot()).texts[0].get_text()
    'perfect'
    """
    said = chosen_words(words, _WORDS)
    require_columns("calibration", _NEEDED, table.columns)
    rows = table[table["observed"].notna() & table["predicted"].notna()]
    if len(rows) == 0:
        raise InputError("The table of calibration has no group with an observed share: there is nothing to draw.")
    if ax is None:
        ax = new_axes(calibration_frame())
    smooth = curve if curve is not None and len(curve) else None
    top = _top(rows, smooth)
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    ax.plot([0, top], [0, top], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2.1)
    if histogram is not None and len(histogram):
        _bars(ax, histogram, top)
    entries = [(said["calibration_perfect"], MUTED)]
    if smooth is not None:
        ax.plot(smooth["predicted"], smooth["observed"], color=SERIES[1], linewidth=1.6, zorder=2.6)
        entries.append((said["calibration_smooth"], SERIES[1]))
    x, y, low, high = (rows[name].to_numpy(dtype=np.float64) for name in _NEEDED)
    ax.vlines(x, low, high, color=SERIES[0], linewidth=1.3, zorder=2.8)
    ax.plot(x, y, "o", color=SERIES[0], markersize=5, zorder=3)
    entries.append((said["calibration_groups"], SERIES[0]))
    dress(ax, grid="both")
    ax.set_yticks([tick for tick in ax.get_xticks() if 0 <= tick <= top])
    ax.set_xticks(ax.get_yticks())
    ax.set_xlim(0, top)
    ax.set_ylim(0, top)
    key(ax, entries, width=inner_size(ax)[0])
    height = 14 + LINE_GAP + 6
    observed = said["calibration_observed"].format(level=f"{100 * level:g}%")
    write(ax, observed, at=(0, 1), shift=(_LEFT, height), weight="bold", color=INK)
    write(ax, said["calibration_predicted"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    return ax


def calibration_frame(width: float = 400.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `calibration` has its room; axes are square.

    Examples
    --------
    >>> calibration_frame(400).height
    434.0
    """
    return Frame(width, width + 34.0, 44.0, 16.0, 54.0, 40.0)


def _top(rows: pd.DataFrame, smooth: pd.DataFrame | None) -> float:
    """A round upper end for both axes."""
    highest = float(np.nanmax([rows["predicted"].max(), rows["upper"].max(), rows["observed"].max()]))
    if smooth is not None:
        highest = max(highest, float(smooth["predicted"].max()), float(smooth["observed"].max()))
    return next((top for top in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8) if highest <= top), 1.0)


def _bars(ax: Axes, histogram: pd.DataFrame, top: float) -> None:
    """Bars at the foot, the highest a part of the axes; they have no scale of their own."""
    require_columns("histogram", ("lower", "upper", "n"), histogram.columns)
    seen = histogram[histogram["lower"] < top]
    n = seen["n"].to_numpy(dtype=np.float64)
    if n.max() <= 0:
        return
    width = (seen["upper"] - seen["lower"]).to_numpy()
    ax.bar(
        seen["lower"], n / n.max() * _BARS * top, width=0.86 * width, align="edge", color=FAINT, linewidth=0, zorder=1.8
    )
