"""Hazard ratios by window of follow-up, beside those of all days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import MUTED, SERIES
from churnsurv.plots.ratios import forest, forest_frame
from churnsurv.plots.style import Frame, new_axes, side_room, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["hazard_ratio_windows", "hazard_ratio_windows_frame"]

_NEEDED = ("window", "window_from", "window_to", "term", "reference", "hazard_ratio", "hr_lower", "hr_upper")
_NUMBERS = 104.0  # points at the right that `forest` keeps for numbers
_REFERENCE = 9.0  # ems of a reference before it is shortened
_KEY = 16.0
_WORDS = {"window": "days {window}", "overall": "all days together"}


def hazard_ratio_windows(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    overall: pd.DataFrame | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the hazard ratio of each term in each window of follow-up, with intervals, under the name of the term.

    Parameters
    ----------
    table : DataFrame
        Schema "ph_windows".
    ax : Axes, optional
        Where to draw; `hazard_ratio_windows_frame` says how much room it needs. Without it a pyplot figure is made.
    overall : DataFrame, optional
        Schema "cox", of the same terms: an upright line marks the hazard ratio of all days together.
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
        If the table has no rows.

    Notes
    -----
    Intervals that leave out 1 are blue, the others grey, as in `forest`. Where hazards are proportional the upright
    line crosses nearly all intervals of its term.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"window": ["0-30", "30-90"], "window_from": [0, 30], "window_to": [30, 90],
    ...     "term": "channel: paid", "reference": "organic", "hazard_ratio": [1.8, 1.1], "hr_lower": [1.6, 0.9],
    ...     "hr_upper": [2.0, 1.3]})
    >>> [text.get_text() for text in hazard_ratio_windows(table, Figure().add_subplot()).texts][::2][:2]
    ['channel: paid', '1.80 (1.60–2.00)']
    """
    said = chosen_words(words, _WORDS)
    lines = _lines(table, said)
    shared = {name: text for name, text in (words or {}).items() if name not in _WORDS}
    axes: Axes = forest(lines, new_axes(_frame(lines, 640.0)) if ax is None else ax, level=level, words=shared)
    marked = {} if overall is None else dict(zip(overall["term"], overall["hazard_ratio"], strict=True))
    place = 0
    for term, rows in lines.groupby("term", sort=False):
        _mark(axes, marked.get(term), place + 1, len(rows))
        _against(axes, rows["stood_against"].iloc[0], place)
        place += 1 + len(rows)
    if marked:
        write(axes, "|", at=(0, 1), shift=(0, 30 + _KEY), color=SERIES[1], weight="bold")
        write(axes, said["overall"], at=(0, 1), shift=(8, 30 + _KEY), color=MUTED)
    notice(axes, [str(name) for name in lines["stood_against"]], said)
    return axes


def hazard_ratio_windows_frame(table: pd.DataFrame, width: float = 640.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `hazard_ratio_windows` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"window": ["0-30"], "window_from": [0], "window_to": [30], "term": ["age"],
    ...     "reference": [None], "hazard_ratio": [1.1], "hr_lower": [1.0], "hr_upper": [1.2]})
    >>> hazard_ratio_windows_frame(table, 350).width
    350
    """
    return _frame(_lines(table, chosen_words(None, _WORDS)), width)


def _frame(lines: pd.DataFrame, width: float) -> Frame:
    """That of `forest`, with a line more above it."""
    plain = forest_frame(lines, width)
    return replace(plain, height=plain.height + _KEY, top=plain.top + _KEY)


def _lines(table: pd.DataFrame, said: Mapping[str, str]) -> pd.DataFrame:
    """The table as `forest` takes it: terms as headings, their windows as lines, terms in their order."""
    require_columns("ph_windows", _NEEDED, table.columns)
    if len(table) == 0:
        raise InputError("The table of hazard ratios by window has no rows: there is nothing to draw.")
    order = {term: place for place, term in enumerate(dict.fromkeys(table["term"]))}
    places = np.lexsort((table["window_from"].to_numpy(), table["term"].map(order).to_numpy()))
    lines = table.iloc[places].reset_index(drop=True)
    label = said["window"]
    return lines.assign(
        variable=lines["term"].astype(str),
        category=[label.format(window=str(window).replace("-", "–")) for window in lines["window"]],
        stood_against=lines["reference"],
        reference=None,
    )


def _mark(ax: Axes, ratio: float | None, first: int, n: int) -> None:
    """Draw the hazard ratio of all days as an upright line across the windows of its term."""
    low, high = ax.get_xlim()
    if ratio is not None and low <= ratio <= high:
        ax.plot([ratio, ratio], [first - 0.45, first + n - 0.55], color=SERIES[1], linewidth=1.3, zorder=2.2)


def _against(ax: Axes, reference: object, place: int) -> None:
    """Say beside the name of the term what a ratio of 1 stands for."""
    if reference is None or reference != reference or side_room(ax)[1] < _NUMBERS:
        return
    text = f"1 = {shown(reference, _REFERENCE)}"
    write(ax, text, at=(1.0, float(place)), within=("axes fraction", "data"), shift=(_NUMBERS + 4, 0), ha="right",
          color=MUTED)  # fmt: skip
