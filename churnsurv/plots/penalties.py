"""How well penalised models predict rows that were left out, over the penalty, and the two choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import INK, MUTED, SERIES
from churnsurv.plots.style import LINE_GAP, Frame, dress, new_axes, stroke, write
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["penalty_path", "penalty_path_frame"]

_NEEDED = ("penalty", "n_nonzero", "effective_df", "cv_deviance", "cv_std_error")
_LEFT = -34.0  # points from the axes to where their texts begin


_WORDS = {
    "penalty": "Penalty, log scale",
    "cv_deviance": "Deviance of left-out folds, ± 1 standard error",
    "penalty_best": "lowest: {penalty}, {size}",
    "penalty_sparse": "within 1 standard error: {penalty}, {size}",
    "penalty_terms": "{n} coefficients",
    "penalty_term": "1 coefficient",
    "penalty_df": "{n} degrees of freedom",
}


def penalty_path(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    best: float | None = None,
    sparse: float | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the cross-validated deviance over the penalty.

    Parameters
    ----------
    table : DataFrame
        Schema "cox_path".
    ax : Axes, optional
        Where to draw; `penalty_path_frame` says how much room it needs. Without it a pyplot figure is made.
    best, sparse : float, optional
        Penalties to mark: that of the lowest deviance, and the largest within one standard error of it.
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
        If the table has no rows, or a penalty to mark is not in it.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"penalty": [0.1, 0.01], "n_nonzero": [0, 3], "effective_df": [0.0, 3.0],
    ...     "cv_deviance": [12.3, 12.1], "cv_std_error": [0.1, 0.1]})
    >>> penalty_path(table, Figure().add_subplot(), best=0.01).texts[0].get_text()
    'lowest: 0.01, 3 coefficients'
    """
    said = chosen_words(words, _WORDS)
    rows = _rows(table)
    marks = [(what, _row_of(rows, value)) for what, value in (("best", best), ("sparse", sparse)) if value is not None]
    if ax is None:
        ax = new_axes(penalty_path_frame())
    x, y, error = (rows[name].to_numpy(dtype=np.float64) for name in ("penalty", "cv_deviance", "cv_std_error"))
    ax.set_xscale("log")
    room = max(float(x[-1] / x[0]) ** 0.02, 1.02)
    ax.set_xlim(x[0] / room, x[-1] * room)
    ax.fill_between(x, y - error, y + error, color=SERIES[0], alpha=0.16, linewidth=0, zorder=2)
    ax.plot(x, y, color=SERIES[0], linewidth=1.6, zorder=2.5)
    dress(ax)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.tick_params(axis="x", which="minor", labelbottom=False)
    ax.set_ylim(ax.get_ylim())
    _mark(ax, marks, said)
    write(ax, said["cv_deviance"], at=(0, 1), shift=(_LEFT, 14 + LINE_GAP * len(marks)), weight="bold")
    write(ax, said["penalty"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    return ax


def penalty_path_frame(width: float = 480.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `penalty_path` has its room.

    Examples
    --------
    >>> penalty_path_frame(400).width
    400
    """
    return Frame(width, 270.0, 48.0, 16.0, 58.0, 36.0)


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    require_columns("cox_path", _NEEDED, table.columns)
    if len(table) == 0:
        raise InputError("The table of penalties has no rows: there is nothing to draw.")
    return table.sort_values("penalty")


def _row_of(rows: pd.DataFrame, penalty: float) -> pd.Series[float]:
    found = rows[rows["penalty"] == penalty]
    if len(found) == 0:
        raise InputError(f"penalty_path: there is no penalty {penalty!r} in the table. Mark one of its penalties.")
    return found.iloc[0]


def _mark(ax: Axes, marks: list[tuple[str, pd.Series[float]]], said: Mapping[str, str]) -> None:
    """An upright line at each choice, its name above, and the level that the second one was chosen by."""
    for place, (what, row) in enumerate(marks):
        penalty, deviance = float(row["penalty"]), float(row["cv_deviance"])
        colour = INK if what == "best" else SERIES[1]
        ax.axvline(penalty, color=colour, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2.2)
        ax.plot([penalty], [deviance], "o", color=colour, markersize=5, zorder=3)
        text = said[f"penalty_{what}"].format(penalty=f"{penalty:.3g}", size=_size(row, said))
        height = 10 + (len(marks) - 1 - place) * LINE_GAP
        stroke(ax, colour, at=(0, 1), shift=(_LEFT, height), length=8)
        write(ax, text, at=(0, 1), shift=(_LEFT + 13, height))
    if len(marks) == 2:
        best, sparse = (row for _, row in marks)
        level = float(best["cv_deviance"] + best["cv_std_error"])
        ax.plot([best["penalty"], sparse["penalty"]], [level, level], color=MUTED, linewidth=0.9, zorder=2.2)


def _size(row: pd.Series[float], said: Mapping[str, str]) -> str:
    if row["effective_df"] != row["n_nonzero"]:
        return said["penalty_df"].format(n=f"{row['effective_df']:.3g}")
    n = int(row["n_nonzero"])
    return said["penalty_term"] if n == 1 else said["penalty_terms"].format(n=n)
