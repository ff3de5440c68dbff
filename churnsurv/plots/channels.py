"""What channels are worth: the value of a user by channel with its interval, coloured by verdict."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import MUTED, PAPER, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.style import SIZE, Frame, dress, inner_size, new_axes, side_room, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import chosen_words
from churnsurv.tables import is_missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["channel_value", "channel_value_frame"]

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "value": "Value of a user (margin less cost), with {level} intervals",
        "days_until_churn": "Days until churn, with {level} intervals",
        "keep": "keep",
        "watch": "watch",
        "drop": "drop",
        "unknown": "no verdict",
        "not_known": "not known",
        "judged": "{value} {verdict}",
        "told.value": "value of a user: {value}",
        "told.days_until_churn": "days until churn: {value}",
    }
)
_COLOURS = {"keep": SERIES[2], "watch": MUTED, "drop": SERIES[1]}
_NEEDED = ("channel", "value", "value_lower", "value_upper", "verdict", "sure",
           "days_until_churn", "days_until_churn_lower", "days_until_churn_upper")  # fmt: skip
_NAME = 17.0  # ems of a name before it is shortened
_ROW, _NARROW_ROW = 24.0, 36.0
_NUMBERS = 168.0
_NARROW = 240.0
_PLATE = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}


def channel_value(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    keep: float = 0.0,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the value of a user by channel; where no channel has a value, the days until churn.

    Parameters
    ----------
    table : DataFrame
        Schema "channel_value".
    ax : Axes, optional
        Where to draw; `channel_value_frame` says how much room it needs. Without it a pyplot figure is made.
    keep : float
        The value from which on a channel is kept: an upright line.
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
        If the table has no figure to draw.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"channel": ["paid"], "value": [2.0], "value_lower": [1.0], "value_upper": [3.0],
    ...     "verdict": ["keep"], "sure": [0.99], "days_until_churn": [60.0], "days_until_churn_lower": [55.0],
    ...     "days_until_churn_upper": [65.0]})
    >>> [text.get_text() for text in channel_value(table, Figure().add_subplot()).texts][:1]
    ['paid']
    """
    said = chosen_words(words, _WORDS)
    quantity = _quantity(table)
    if ax is None:
        ax = new_axes(channel_value_frame(table, words=words))
    left, right = side_room(ax)
    narrow = left < _names(table, said) or right < _NUMBERS
    dress(ax, grid="x")
    ax.set_yticks([])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(*_ends(table, quantity, keep))
    if quantity == "value":
        ax.axvline(keep, color=MUTED, linewidth=0.9, zorder=1.5)
    for place, record in enumerate(table.to_dict("records")):
        _draw(ax, record, quantity, place)
        _texts(ax, record, quantity, place, said, names=0.0 if narrow else _names(table, said))
        name, value = group_said(said, str(record["channel"])), _number(record[quantity])
        told = _said(record, quantity, said)
        mark(ax, name, value, place, [said[f"told.{quantity}"].format(value=told)])
    write(ax, said[quantity].format(level=f"{100 * level:g}%"), at=(0, 1), shift=(0, 14), weight="bold")
    notice(ax, [str(name) for name in table["channel"]], said)
    return ax


def channel_value_frame(table: pd.DataFrame, width: float = 640.0, *, words: Mapping[str, str] | None = None) -> Frame:
    """Return the size of a figure of this width (in points) in which `channel_value` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"channel": ["paid"], "value": [None], "value_lower": [None], "value_upper": [None],
    ...     "verdict": [None], "sure": [None], "days_until_churn": [60.0], "days_until_churn_lower": [55.0],
    ...     "days_until_churn_upper": [65.0]})
    >>> channel_value_frame(table, 350).width
    350
    """
    _quantity(table)
    names = _names(table, chosen_words(words, _WORDS)) + 6
    narrow = width - names - _NUMBERS - 12 < _NARROW
    left, right = (16.0, 16.0) if narrow else (names, _NUMBERS + 12)
    return Frame(width, len(table) * (_NARROW_ROW if narrow else _ROW) + 30 + 28, left, right, 30.0, 28.0)


def _quantity(table: pd.DataFrame) -> str:
    require_columns("channel_value", _NEEDED, table.columns)
    for quantity in ("value", "days_until_churn"):
        if table[quantity].notna().any():
            return quantity
    raise InputError("The table of channels has neither a value nor days until churn: there is nothing to draw.")


def _names(table: pd.DataFrame, said: Mapping[str, str]) -> float:
    """Points that the column of names takes."""
    return max(ems(shown(group_said(said, str(name)), _NAME)) for name in table["channel"]) * SIZE + 14


def _ends(table: pd.DataFrame, quantity: str, keep: float) -> tuple[float, float]:
    columns = [quantity, f"{quantity}_lower", f"{quantity}_upper"]
    values = table[columns].to_numpy(dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (min(known.min(), keep), max(known.max(), keep)) if quantity == "value" else (0.0, known.max())
    room = 0.06 * (high - low or 1.0)
    return float(low - (room if quantity == "value" else 0.0)), float(high + room)


def _draw(ax: Axes, record: Mapping[Hashable, Any], quantity: str, place: int) -> None:
    value, lower, upper = (_number(record[f"{quantity}{end}"]) for end in ("", "_lower", "_upper"))
    if not np.isfinite(value):
        return
    colour = _COLOURS.get(str(record["verdict"]), SERIES[0])
    if np.isfinite(lower) and np.isfinite(upper):
        ax.plot([lower, upper], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=2.5)
    ax.plot([value], [place], "s", color=colour, markersize=6, zorder=3)


def _texts(
    ax: Axes, record: Mapping[Hashable, Any], quantity: str, place: int, said: Mapping[str, str], *, names: float
) -> None:
    """Name and number beside the axes; over the line where there is no room at the sides."""
    spot, blend = (0.0, float(place)), ("axes fraction", "data")
    width, _ = inner_size(ax)
    name = group_said(said, str(record["channel"]))
    if names:
        write(ax, shown(name, _NAME), at=spot, within=blend, shift=(6 - names, 0))
    else:
        room = max(4.0, (width - _NUMBERS) / SIZE)
        write(ax, shown(name, room), at=spot, within=blend, shift=(-8, 13), bbox=_PLATE)
    shift = (_NUMBERS + 4, 0.0) if names else (8.0, 13.0)
    write(ax, _said(record, quantity, said), at=(1.0, float(place)), within=blend, shift=shift, ha="right",
          bbox=None if names else _PLATE)  # fmt: skip


def _said(record: Mapping[Hashable, Any], quantity: str, said: Mapping[str, str]) -> str:
    value, lower, upper = (_number(record[f"{quantity}{end}"]) for end in ("", "_lower", "_upper"))
    if not np.isfinite(value):
        return said["not_known"]
    digits = _digits([each for each in (value, lower, upper) if np.isfinite(each)])
    told, low, high = (f"{each:,.{digits}f}" for each in (value, lower, upper))
    if np.isfinite(lower) and np.isfinite(upper):
        told = said["bracketed"].format(text=told, more=said["mark.to"].format(low=low, high=high))
    if quantity != "value":
        return told
    verdict = str(record["verdict"])
    return said["judged"].format(value=told, verdict=said[verdict] if verdict in _COLOURS else said["unknown"])


def _digits(values: list[float]) -> int:
    """Decimals that leave three significant digits to the largest of these numbers."""
    largest = max(map(abs, values))
    return int(np.clip(2 - np.floor(np.log10(largest)), 0, 6)) if largest > 0 else 0


def _number(value: object) -> float:
    return np.nan if is_missing(value) else float(str(value))
