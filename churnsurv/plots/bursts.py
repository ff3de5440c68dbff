"""Registrations by day with their expectation, bursts marked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, require_columns
from churnsurv.plots.colours import FAINT, INK, MUTED, SERIES
from churnsurv.plots.dates import date_axis, date_numbers, date_text
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, count, decimal, estimate
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, flow, inner_size, new_axes, stroke, write
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import chosen_words
from churnsurv.tables import is_missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["cohort_bursts", "cohort_bursts_frame"]

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "registrations": "Registrations a day",
        "usual": "other days",
        "burst": "bursts",
        "expected": "expected, with what {level} of the other days stay within",
        "unnamed": "{n} more bursts without a name here",
        "told": "{n} registrations; expected {expected}",
    }
)
_DAYS = ("date", "registrations", "expected", "lower", "upper", "burst")
_BURSTS = ("start", "end", "registrations", "expected", "event")
_NAME = 16.0  # ems of a name before it is shortened
_MOST = 8
_SPACE = 10.0  # points between two names in one line
_PAD = 8.0


@dataclass(frozen=True, slots=True)
class _Label:
    """The name of a burst: where its peak is, where the name stands."""

    text: str
    day: float
    peak: float
    row: int
    x: float  # points from the left of the axes


def cohort_bursts(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    bursts: pd.DataFrame | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw registrations by day, what was expected, and the bursts.

    Parameters
    ----------
    table : DataFrame
        Schema "registrations_by_day".
    ax : Axes, optional
        Where to draw; `cohort_bursts_frame` says how much room it needs. Without it a pyplot figure is made.
    bursts : DataFrame, optional
        Schema "cohort_bursts": the largest are named, by their event or else their first day.
    level : float
        The level of the limits of the table; only written.
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

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"date": pd.to_datetime(["2024-01-01", "2024-01-02"]), "registrations": [5, 40],
    ...     "expected": [6.0, 6.0], "lower": [2.0, 2.0], "upper": [11.0, 11.0], "burst": [False, True]})
    >>> len(cohort_bursts(table, Figure().add_subplot()).collections)  # other days, bursts, what is expected
    3
    """
    said = chosen_words(words, _WORDS)
    _check(table, bursts)
    if ax is None:
        ax = new_axes(cohort_bursts_frame(table, bursts=bursts, words=words))
    days = date_numbers(table["date"])
    _bars(ax, days, table)
    _expected(ax, days, table)
    _mark(ax, days, table, bursts, said)
    dress(ax)
    ax.set_xlim(days[0] - 0.5, days[-1] + 0.5)
    date_axis(ax, float(days[0]), float(days[-1]), said["months"])
    ax.set_ylim(0, float(max(table["registrations"].max(), table["upper"].max(), 1)) * 1.04)
    width, _ = inner_size(ax)
    labels = _labels(table, bursts, days, width)
    for label in labels:
        _name(ax, label)
    top = _PAD + LINE_GAP * (1 + max((label.row for label in labels), default=-1)) + (6.0 if labels else 0.0)
    entries = [(said["usual"], FAINT), (said["burst"], SERIES[1]), (_expectation(said, level), INK)]
    _key_above(ax, entries, top, width)
    left_out = 0 if bursts is None else len(bursts) - len(labels)
    title = said["registrations"]
    if left_out:
        title = said["bracketed"].format(text=title, more=said["unnamed"].format(n=left_out))
    rows = _key_rows(entries, width)
    write(ax, title, at=(0, 1), shift=(0, top + rows * LINE_GAP + 10), weight="bold")
    notice(ax, [label.text for label in labels], said)
    return ax


def cohort_bursts_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    bursts: pd.DataFrame | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `cohort_bursts` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"date": pd.to_datetime(["2024-01-01"]), "registrations": [5], "expected": [6.0],
    ...     "lower": [2.0], "upper": [11.0], "burst": [False]})
    >>> cohort_bursts_frame(table, 350).width
    350
    """
    _check(table, bursts)
    left = 14.0 + ems(f"{int(table['registrations'].max())}") * SIZE
    inner = width - left - 14.0
    labels = _labels(table, bursts, date_numbers(table["date"]), inner)
    above = _PAD + LINE_GAP * (1 + max((label.row for label in labels), default=-1)) + (6.0 if labels else 0.0)
    said = chosen_words(words, _WORDS)
    rows = _key_rows([(said["usual"], ""), (said["burst"], ""), (_expectation(said, 0.95), "")], inner)
    top = above + rows * LINE_GAP + 10 + LINE_GAP
    return Frame(width, 190.0 + top + 26.0, left, 14.0, top, 26.0)


def _check(table: pd.DataFrame, bursts: pd.DataFrame | None) -> None:
    require_columns("registrations_by_day", _DAYS, table.columns)
    if bursts is not None:
        require_columns("cohort_bursts", _BURSTS, bursts.columns)
    if len(table) == 0:
        raise InputError("The table of registrations by day has no rows: there is nothing to draw.")


def _bars(ax: Axes, days: NDArray[np.float64], table: pd.DataFrame) -> None:
    """One outline for the bursts and one for the other days: of bars thinner than a pixel some are not drawn."""
    burst, counts = table["burst"].to_numpy(dtype=bool), table["registrations"].to_numpy(dtype=np.float64)
    edges = np.column_stack([days - 0.5, days + 0.5]).ravel()
    for chosen, colour in ((~burst, FAINT), (burst, SERIES[1])):
        if chosen.any():
            heights = np.repeat(np.where(chosen, counts, 0.0), 2)
            ax.fill_between(edges, 0.0, heights, color=colour, linewidth=0, zorder=2)


def _expected(ax: Axes, days: NDArray[np.float64], table: pd.DataFrame) -> None:
    lower, expected, upper = (table[name].to_numpy(dtype=np.float64) for name in ("lower", "expected", "upper"))
    ax.fill_between(days, lower, upper, color=INK, alpha=0.12, linewidth=0, step="mid", zorder=1.8)
    ax.plot(days, expected, color=INK, linewidth=1.1, zorder=2.5)


def _mark(
    ax: Axes, days: NDArray[np.float64], table: pd.DataFrame, bursts: pd.DataFrame | None, said: Mapping[str, str]
) -> None:
    """The days of bursts and the other days, each with what was expected."""
    numbers = table[["registrations", "expected", "lower", "upper"]].to_numpy(dtype=np.float64)
    events: dict[float, str] = {}
    for record in [] if bursts is None else bursts.to_dict("records"):
        if not is_missing(record["event"]):
            span = np.arange(_day(record["start"]), _day(record["end"]) + 1)
            events |= dict.fromkeys(span.tolist(), str(record["event"]))
    for burst, word in ((True, "burst"), (False, "usual")):
        places = np.flatnonzero(table["burst"].to_numpy(dtype=bool) == burst)

        def say(i: int, places: Any = places) -> str:
            n, *expected = numbers[places[i]]
            told = said["told"].format(n=count(n), expected=estimate(said, decimal, *expected))
            day = float(days[places[i]])
            return at(said, date_text(day), *filter(None, (events.get(day), told)))

        mark(ax, said[word], days[places], numbers[places, 0], say)


def _labels(table: pd.DataFrame, bursts: pd.DataFrame | None, days: NDArray[np.float64], width: float) -> list[_Label]:
    """Names of the largest bursts, in lines above the axes so that none covers another."""
    if bursts is None or len(bursts) == 0:
        return []
    largest = (bursts["registrations"] - bursts["expected"]).nlargest(_MOST).index
    counts = table["registrations"].to_numpy(dtype=np.float64)
    ends: list[float] = []
    labels = []
    for record in bursts.loc[sorted(largest)].to_dict("records"):
        inside = (days >= _day(record["start"])) & (days <= _day(record["end"]))
        if not inside.any():
            continue
        peak = int(np.argmax(np.where(inside, counts, -1)))
        text = shown(_title(record), _NAME)
        need = ems(text) * SIZE
        middle = (days[peak] - days[0] + 0.5) / (days[-1] - days[0] + 1) * width
        x = float(np.clip(middle - need / 2, 0, max(0.0, width - need)))
        row = next((place for place, end in enumerate(ends) if end + _SPACE <= x), len(ends))
        ends[row : row + 1] = [x + need]
        labels.append(_Label(text, float(days[peak]), float(counts[peak]), row, x))
    return labels


def _day(value: object) -> float:
    return float(np.datetime64(str(value)[:10], "D").astype(np.int64))


def _title(record: Mapping[Hashable, Any]) -> str:
    event = record["event"]
    return str(record["start"])[:10] if is_missing(event) else str(event)


def _name(ax: Axes, label: _Label) -> None:
    """The name above the axes, and a thin line from it to the peak."""
    height = _PAD + label.row * LINE_GAP
    write(ax, label.text, at=(0, 1), shift=(label.x, height + 3))
    ax.annotate(
        "", xy=(label.day, label.peak), xycoords="data", xytext=(label.day, 1.0),
        textcoords=("data", "axes fraction"), annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "linestyle": (0, (1, 2)), "shrinkB": 2},
    )  # fmt: skip


def _expectation(said: Mapping[str, str], level: float) -> str:
    return said["expected"].format(level=f"{100 * level:g}%")


def _key_rows(entries: list[tuple[str, str]], width: float) -> int:
    return 1 + max(row for row, _ in flow([text for text, _ in entries], width))


def _key_above(ax: Axes, entries: list[tuple[str, str]], top: float, width: float) -> None:
    """The key of the colours, above the names of bursts."""
    places = flow([text for text, _ in entries], width)
    rows = max(row for row, _ in places)
    for (text, colour), (row, x) in zip(entries, places, strict=True):
        y = top + (rows - row) * LINE_GAP
        stroke(ax, colour, at=(0, 1), shift=(x, y))
        write(ax, text, at=(0, 1), shift=(x + 19, y))
