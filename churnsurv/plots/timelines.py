"""How many users were in which warning tier, day by day."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.colours import INK, MUTED, PAPER, TIER
from churnsurv.plots.dates import date_axis, date_numbers, date_text
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, count, share, short
from churnsurv.plots.shades import tier_shade
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, new_axes, swatch, write
from churnsurv.plots.text import drawn, notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["tier_timeline", "tier_timeline_frame"]

Floats = NDArray[np.float64]

_LEFT, _RIGHT, _HEIGHT = 54.0, 18.0, 200.0
_NAME = 24.0  # ems of a name before it is shortened
_QUANTITIES = ("n_users", "share")
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "n_users": "Users in each warning tier",
    "share": "Living users in each warning tier",
    "fitted": "left of the line: days that the tiers were fitted to",
}


def tier_timeline(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    quantity: str = "n_users",
    known_until: datetime.date | str | None = None,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the users in each tier as stacked areas over dates, the highest tier at the bottom and darkest.

    Parameters
    ----------
    table : DataFrame
        Schema "tier_timeline".
    ax : Axes, optional
        Where to draw; `tier_timeline_frame` says how much room it needs. Without it a pyplot figure is made.
    quantity : {"n_users", "share"}
    known_until : date or ISO text, optional
        The last day that the tiers were fitted to: marked, where it is among the dates.
    words : mapping, optional
        Words to replace.

    Returns
    -------
    Axes

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If there is no such quantity, no tier, or fewer than two dates.

    Notes
    -----
    Users in no tier are not drawn: they are most of them, and would take the room of the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> dates = pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-08", "2024-01-08"])
    >>> table = pd.DataFrame({"date": dates, "tier": ["high", None] * 2, "n_users": [3, 9, 4, 9],
    ...     "share": [0.25, 0.75, 0.3, 0.7]})
    >>> [text.get_text() for text in tier_timeline(table, Figure().add_subplot()).texts]
    ['high', 'Users in each warning tier']
    """
    said = chosen_words(words, _WORDS)
    dates, heights = _heights(table, quantity)
    fitted = _within(dates, known_until)
    if ax is None:
        ax = new_axes(tier_timeline_frame(table, quantity=quantity, known_until=known_until))
    below = np.zeros(dates.size)
    for place, (name, values) in enumerate(heights.items()):
        for colour, alpha in ((PAPER, 1.0), (TIER, tier_shade(place, len(heights)))):
            area = ax.fill_between(dates, below, below + values, facecolor=colour, alpha=alpha, linewidth=0, zorder=1.5)
            area.set_gid(f"churnsurv-stack-{place}" if colour != PAPER else None)
        below = below + values
        _mark(ax, name, dates, below, values, quantity, said)
        ax.plot(dates, below, color=PAPER, linewidth=1.0, zorder=1.8)
    ax.plot(dates, below, color=INK, linewidth=0.9, zorder=2)
    dress(ax)
    ax.set_xlim(dates[0], dates[-1])
    ax.set_ylim(0, 1.06 * float(below.max()) or 1.0)
    date_axis(ax, float(dates[0]), float(dates[-1]), said["months"])
    if quantity == "share":
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    else:
        ax.yaxis.set_major_formatter(lambda value, _: drawn(short(said, value)))
    if fitted is not None:
        ax.axvline(fitted, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=3)
    _heading(ax, list(heights), [said["fitted"]] if fitted is not None else [], said[quantity])
    notice(ax, list(heights), said)
    return ax


def tier_timeline_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    quantity: str = "n_users",
    known_until: datetime.date | str | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `tier_timeline` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"date": pd.to_datetime(["2024-01-01", "2024-01-08"]), "tier": "high", "n_users": [3, 4],
    ...     "share": [0.2, 0.3]})
    >>> tier_timeline_frame(table, 350).width
    350
    """
    dates, heights = _heights(table, quantity)
    rows = 1 + max(row for row, _ in flow([shown(name, _NAME) for name in heights], width - _LEFT - _RIGHT))
    notes = 0 if _within(dates, known_until) is None else 1
    top = 16.0 + LINE_GAP * (rows + notes) + SIZE
    return Frame(width, _HEIGHT + top + 26.0, _LEFT, _RIGHT, top, 26.0)


def _mark(
    ax: Axes, tier: str, dates: Floats, top: Floats, values: Floats, quantity: str, said: Mapping[str, str]
) -> None:
    """The users of one tier, at the upper edge of its area."""

    def say(i: int) -> str:
        told = share(values[i]) if quantity == "share" else said["mark.users"].format(n=count(values[i]))
        return at(said, date_text(dates[i]), told)

    mark(ax, tier, dates, top, say)


def _heights(table: pd.DataFrame, quantity: str) -> tuple[Floats, dict[str, Floats]]:
    """The dates, and of each tier, highest first, how many users or what share on each."""
    if quantity not in _QUANTITIES:
        raise InputError(f"There is no figure of {quantity!r}.{did_you_mean(str(quantity), _QUANTITIES)}")
    require_columns("tier_timeline", ("date", "tier", quantity), table.columns)
    rows = table[table["tier"].notna()]
    if rows.empty:
        raise InputError("The table has no tier to draw.")
    dates = np.unique(date_numbers(rows["date"].to_numpy()))
    if dates.size < 2:
        raise InputError("A timeline takes two dates or more; the table has one.")
    found = {}
    for tier in dict.fromkeys(rows["tier"]):
        mine = rows[rows["tier"] == tier]
        values = np.zeros(dates.size)
        values[np.searchsorted(dates, date_numbers(mine["date"].to_numpy()))] = np.nan_to_num(
            mine[quantity].to_numpy(np.float64, na_value=np.nan)
        )
        found[str(tier)] = values
    return dates, found


def _within(dates: Floats, day: datetime.date | str | None) -> float | None:
    """The day as a number, where dates lie on both of its sides."""
    if day is None:
        return None
    number = float(date_numbers([np.datetime64(str(day)[:10], "D")])[0])
    return number if dates[0] < number < dates[-1] else None


def _heading(ax: Axes, names: list[str], notes: list[str], title: str) -> None:
    width, _ = inner_size(ax)
    texts = [shown(name, _NAME) for name in names]
    places = flow(texts, width)
    rows = 1 + max(row for row, _ in places)
    for place, (text, (row, x)) in enumerate(zip(texts, places, strict=True)):
        y = 10 + (rows - 1 - row) * LINE_GAP
        swatch(ax, TIER, tier_shade(place, len(names)), shift=(x, y - 4.5))
        write(ax, text, at=(0, 1), shift=(x + 19, y))
    y = 10 + rows * LINE_GAP
    for note in notes:
        write(ax, note, at=(0, 1), shift=(0, y), color=MUTED)
        y += LINE_GAP
    write(ax, title, at=(0, 1), shift=(0, y))
