"""Net benefit of contacting users, over the threshold from which on they are contacted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import INK, MUTED, SERIES
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, key, new_axes, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["decision_curve", "decision_curve_frame"]

_NEEDED = ("model", "threshold", "net_benefit", "lower", "upper")
_LEFT = -42.0
_NAME = 18.0  # ems of a name before it is shortened
_ALL, _NOBODY = "treat all", "treat none"
_WORDS = {
    "decision_benefit": "Net churners contacted per user, with {level} intervals",
    "decision_threshold": "Threshold: contact from this probability of churn on",
    "decision_all": "contact everybody",
    "decision_none": "contact nobody",
}


def decision_curve(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    bands: bool = True,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw net benefit over the threshold, by model.

    Parameters
    ----------
    table : DataFrame
        Schema "decision_curve".
    ax : Axes, optional
        Where to draw; `decision_curve_frame` says how much room it needs. Without it a pyplot figure is made.
    level : float
        The level of the table's intervals; only written.
    bands : bool
        Draw the intervals.
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
        If there is no net benefit to draw.

    Notes
    -----
    Only thresholds are shown at which some line is above zero, and a little more: beyond them nothing is worth doing.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"model": ["treat all"] * 2 + ["treat none"] * 2 + ["risk"] * 2,
    ...     "threshold": [0.1, 0.3] * 3, "net_benefit": [0.2, 0.05, 0, 0, 0.22, 0.15],
    ...     "lower": [0.15, 0.0, 0, 0, 0.2, 0.1], "upper": [0.25, 0.1, 0, 0, 0.24, 0.2]})
    >>> [text.get_text() for text in decision_curve(table, Figure().add_subplot()).texts][:3]
    ['contact everybody', 'contact nobody', 'risk']
    """
    said = chosen_words(words, _WORDS)
    require_columns("decision_curve", _NEEDED, table.columns)
    known = table[table["net_benefit"].notna()]
    if len(known) == 0:
        raise InputError("The table of net benefit has no number in it: there is nothing to draw.")
    if ax is None:
        ax = new_axes(_frame(table, 480.0))
    models = [str(name) for name in dict.fromkeys(known["model"]) if name not in (_ALL, _NOBODY)]
    first, last = _range(known)
    colours = {_ALL: MUTED, _NOBODY: INK, **{name: SERIES[i % len(SERIES)] for i, name in enumerate(models)}}
    for name in (*(line for line in (_ALL, _NOBODY) if (known["model"] == line).any()), *models):
        _line(ax, known[known["model"].astype(str) == name], name, colours[name], bands=bands)
    dress(ax)
    ax.set_xlim(first, last)
    inside = known[(known["threshold"] <= last)]
    high = float(np.nanmax(inside[["net_benefit", "upper"]].to_numpy(dtype=np.float64)))
    ax.set_ylim(-0.18 * high if high > 0 else -0.05, 1.06 * high if high > 0 else 0.05)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    entries = [(said["decision_all"], colours[_ALL]), (said["decision_none"], colours[_NOBODY])]
    entries = [entry for entry, line in zip(entries, (_ALL, _NOBODY), strict=True) if (known["model"] == line).any()]
    entries += [(shown(name, _NAME), colours[name]) for name in models]
    width = inner_size(ax)[0]
    key(ax, entries, width=width)
    rows = max(row for row, _ in flow([text for text, _ in entries], width)) + 1
    benefit = said["decision_benefit"].format(level=f"{100 * level:g}%")
    write(ax, benefit, at=(0, 1), shift=(_LEFT, 20 + LINE_GAP * rows), weight="bold", color=INK)
    write(ax, said["decision_threshold"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    notice(ax, models, said)
    return ax


def decision_curve_frame(table: pd.DataFrame, width: float = 480.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `decision_curve` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> decision_curve_frame(pd.DataFrame({"model": ["treat all", "risk"]}), 400).width
    400
    """
    require_columns("decision_curve", ("model",), table.columns)
    return _frame(table, width)


def _frame(table: pd.DataFrame, width: float) -> Frame:
    names = [_WORDS["decision_all"], _WORDS["decision_none"]]
    names += [shown(name, _NAME) for name in dict.fromkeys(table["model"]) if name not in (_ALL, _NOBODY)]
    rows = max(row for row, _ in flow(names, width - 66)) + 1
    top = 26 + LINE_GAP * rows + SIZE
    return Frame(width, 236 + top, 50.0, 16.0, top, 40.0)


def _range(known: pd.DataFrame) -> tuple[float, float]:
    """Thresholds with something above zero, and a little more."""
    at = known["threshold"].to_numpy(dtype=np.float64)
    worth = at[known["net_benefit"].to_numpy(dtype=np.float64) > 1e-4]
    first, last = float(at.min()), float(at.max())
    if worth.size:
        last = min(last, float(worth.max()) + 0.05 * (last - first))
    if last <= first:
        return first - 0.01, first + 0.01
    return first, last


def _line(ax: Axes, rows: pd.DataFrame, name: str, colour: str, *, bands: bool) -> None:
    x, y, low, high = (rows[c].to_numpy(dtype=np.float64) for c in ("threshold", "net_benefit", "lower", "upper"))
    if bands and name != _NOBODY:
        ax.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0, zorder=2)
    marker = "o" if x.size == 1 else ""
    width = 1.0 if name == _NOBODY else 1.6
    style: Any = (0, (4, 3)) if name == _ALL else "-"
    ax.plot(x, y, color=colour, linewidth=width, linestyle=style, marker=marker, markersize=4, zorder=2.6)
