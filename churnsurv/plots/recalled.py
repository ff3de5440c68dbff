"""Users who came back: the share that invested or churned again by day, and what is odd against what chance brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.colours import MUTED, PAPER, SERIES
from churnsurv.plots.curves import day_ticks
from churnsurv.plots.groups import Look
from churnsurv.plots.idle_lines import Line
from churnsurv.plots.lift_lines import (
    Head,
    at_risk_rows,
    draw_line,
    is_narrow,
    lines_by,
    risk_frame,
    write_head,
)
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, inner_size, new_axes, side_room, wrapped, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["recalled_shares", "recalled_shares_frame", "recalled_watch", "recalled_watch_frame"]

Floats = NDArray[np.float64]

_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "reinvested": "Share of the returned who invested again, with {level} intervals",
    "rechurned": "Share of the returned who churned again, with {level} intervals",
    "described": "those who returned, by arm: a description, no effect of the arm",
    "days": "Days since the return",
    "followed": "Not yet",
    "many": "{n} arms, most of them in grey",
    "watch": "Share of returns that are odd, of those that could be judged",
    "listed": "{n} of {judged}",
    "expected": "{n} of {judged}, {usual} expected",
    "not_judged": "none could be judged",
    "tick": "mark: expected if all are as before (of amounts: at most)",
    "reason.reward_withdrawn": "reward taken and withdrawn",
    "reason.reward_late": "reward released late",
    "reason.rewards_again": "rewards of several campaigns",
    "reason.amount_far": "amount far from own past",
    "reason.many_in_a_day": "many investments on one day",
}
_OF = ("reinvested", "rechurned")
_COLUMNS = ("time", "survival", "lower", "upper", "n_at_risk")
_NAME = 22.0  # ems of a reason before it is shortened
_ROW = 34.0
_PLATE = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
_LEAST = 0.01  # the axis of shares shows at least so much


def recalled_shares(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    of: str = "reinvested",
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw the share of the returned who have invested, or churned, again by each day since their return.

    Parameters
    ----------
    table : DataFrame
        Schema "curves": `survival` is the share who have not, by `group`.
    ax : Axes, optional
        Where to draw; leave room around it (`recalled_shares_frame` says how much). Without it a pyplot figure is made.
    of : {"reinvested", "rechurned"}
        What the shares are of.
    level : float
        The level of the table's intervals; only written.
    max_groups : int
        Up to so many arms, each has its own colour, interval and name; of more, most are grey.
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
        If the table has no rows, or there is nothing of this name to draw.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "sms", "time": [0, 3], "survival": [0.75, 0.5], "lower": [0.5, 0.25],
    ...     "upper": [1.0, 0.75], "n_at_risk": [4, 3]})
    >>> [float(y) for y in recalled_shares(table, Figure().add_subplot()).lines[0].get_ydata()]
    [0.0, 0.25, 0.5, 0.5]
    """
    said = chosen_words(words, _WORDS)
    lines, look = _lines(table, max_groups)
    head = _head(lines, look, said, of, level)
    if ax is None:
        ax = new_axes(risk_frame(lines, look, 640.0, head, said["followed"]))
    narrow = is_narrow(ax, lines, look)
    for line in lines:
        draw_line(ax, line, look, step=True)
    dress(ax)
    seen = np.concatenate([line.rows[:, 3] if line.name in look.named else line.rows[:, 1] for line in lines])
    ax.set_ylim(0, min(max(float(np.nanmax(seen)), _LEAST) * 1.04, 1.01))
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    end = max(float(line.rows[-1, 0]) for line in lines)
    ax.set_xlim(0, end)
    ticks = day_ticks(end, 5 if narrow or inner_size(ax)[0] < 300 else 8, "days")
    ax.set_xticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    write(ax, said["days"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    numbers = {line.name: _followed(table, line.name, ticks) for line in lines if line.name in look.named}
    write_head(ax, lines, look, head)
    at_risk_rows(ax, numbers, look, said["followed"], narrow=narrow and len(lines) > 1)
    notice(ax, [line.name for line in lines], said)
    return ax


def recalled_shares_frame(
    table: pd.DataFrame, width: float = 640.0, *, of: str = "reinvested", max_groups: int = 8
) -> Frame:
    """Return the size of a figure of this width (in points) in which `recalled_shares` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": "sms", "time": [0, 3], "survival": [0.75, 0.5], "lower": [0.5, 0.25],
    ...     "upper": [1.0, 0.75], "n_at_risk": [4, 3]})
    >>> recalled_shares_frame(table, 350).width
    350
    """
    lines, look = _lines(table, max_groups)
    return risk_frame(lines, look, width, _head(lines, look, _WORDS, of, 0.95), _WORDS["followed"])


def _lines(table: pd.DataFrame, max_groups: int) -> tuple[list[Line], Look]:
    """One minus survival by group, from day 0 on, when nobody had invested or churned again yet."""
    lines, look = lines_by(table, "group", _COLUMNS, what="curves", max_groups=max_groups)
    return [Line(line.name, line.group, False, _risen(line.rows)) for line in lines], look


def _risen(rows: Floats) -> Floats:
    risen = np.column_stack([rows[:, 0], 1 - rows[:, 1], 1 - rows[:, 3], 1 - rows[:, 2]])
    end = risen[-1:].copy()
    # A curve of a single day has no length: it is held for one.
    end[:, 0] += 0 if len(rows) > 1 and rows[-1, 0] > 0 else 1
    return np.concatenate([np.zeros((1, 4)), risen, end])


def _head(lines: Sequence[Line], look: Look, said: Mapping[str, str], of: str, level: float) -> Head:
    if of not in _OF:
        raise InputError(f"of must be one of {', '.join(map(repr, _OF))}, not {of!r}.{did_you_mean(str(of), _OF)}")
    many = () if look.kind == "all" else (said["many"].format(n=len(lines)),)
    return Head(said[of].format(level=f"{100 * level:g}%"), (*many, *((said["described"],) if len(lines) > 1 else ())))


def _followed(table: pd.DataFrame, group: str, ticks: Floats) -> dict[float, float]:
    """Users of an arm who were followed to the days of the ticks and had not invested or churned again before them."""
    mine = table[table["group"].astype(str) == group].sort_values("time", kind="stable")
    days, numbers = mine["time"].to_numpy(np.float64), mine["n_at_risk"].to_numpy(np.float64)
    places = np.searchsorted(days, ticks)
    return {float(t): float(numbers[p]) for t, p in zip(ticks, places, strict=True) if p < len(days)}


# -------------------------------------------------------------------------------------------------- what is odd


def recalled_watch(table: pd.DataFrame, ax: Axes | None = None, *, words: Mapping[str, str] | None = None) -> Axes:
    """Draw how many of the returned are odd, by reason, with a mark where chance alone would bring them.

    Parameters
    ----------
    table : DataFrame
        Schema "recalled_watch".
    ax : Axes, optional
        Where to draw; `recalled_watch_frame` says how much room it needs. Without it a pyplot figure is made.
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
        If the table has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"reason": ["amount_far"], "n_judged": [200], "n_listed": [4], "expected_false": [2.0]})
    >>> [float(bar.get_width()) for bar in recalled_watch(table, Figure().add_subplot()).patches]
    [0.02]
    """
    said = chosen_words(words, _WORDS)
    _check_watch(table)
    if ax is None:
        ax = new_axes(recalled_watch_frame(table))
    dress(ax, grid="x")
    shares, expected = _watch_shares(table)
    ax.set_yticks([])
    ax.set_ylim(len(table) - 0.35, -0.65)
    ax.set_xlim(0, max(float(np.nanmax([*shares, *expected, 0.0])), _LEAST) * 1.06)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    width = inner_size(ax)[0] + side_room(ax)[1] - 4
    for place, record in enumerate(table.to_dict("records")):
        if record["n_judged"]:
            ax.barh(place + 0.22, shares[place], height=0.3, color=SERIES[0], zorder=2)
        if np.isfinite(expected[place]):
            ends = [place + 0.02, place + 0.42]
            ax.plot([expected[place]] * 2, ends, color=SERIES[1], linewidth=2.0, zorder=3, clip_on=False)
        text = f"{_reason(record['reason'], said)}: {_number(record, expected[place], said)}"
        write(ax, shown(text, width / SIZE), at=(0.0, place - 0.18), within=("axes fraction", "data"), bbox=_PLATE)
    y = 10.0
    rows = [*wrapped(said["watch"], width), *(wrapped(said["tick"], width) if np.isfinite(expected).any() else [])]
    for place, row in reversed(list(enumerate(rows))):
        write(ax, row, at=(0, 1), shift=(0, y), **({"color": MUTED} if place else {}))
        y += LINE_GAP
    notice(ax, [_reason(each, said) for each in table["reason"]], said)
    return ax


def recalled_watch_frame(table: pd.DataFrame, width: float = 640.0) -> Frame:
    """Return the size of a figure of this width (in points) in which `recalled_watch` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"reason": ["amount_far"], "n_judged": [200], "n_listed": [4], "expected_false": [2.0]})
    >>> recalled_watch_frame(table, 350).width
    350
    """
    _check_watch(table)
    room = width - 32
    rows = len(wrapped(_WORDS["watch"], room)) + len(wrapped(_WORDS["tick"], room))
    top = 10 + rows * LINE_GAP + 4
    return Frame(width, len(table) * _ROW + top + 28, 16.0, 16.0, top, 28.0)


def _check_watch(table: pd.DataFrame) -> None:
    require_columns("recalled_watch", ("reason", "n_judged", "n_listed", "expected_false"), table.columns)
    if len(table) == 0:
        raise InputError("The table recalled_watch has no rows: there is nothing to draw.")


def _watch_shares(table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Shares listed, and expected, of those judged."""
    judged = table["n_judged"].to_numpy(np.float64)
    parts = (table[name].to_numpy(np.float64, na_value=np.nan) for name in ("n_listed", "expected_false"))
    listed, expected = (np.divide(part, judged, out=np.full(judged.size, np.nan), where=judged > 0) for part in parts)
    return listed, expected


def _reason(reason: object, said: Mapping[str, str]) -> str:
    return shown(said.get(f"reason.{reason}", str(reason)), _NAME)


def _number(record: Mapping[Any, Any], expected: float, said: Mapping[str, str]) -> str:
    if not record["n_judged"]:
        return said["not_judged"]
    told = {"n": f"{record['n_listed']:,}", "judged": f"{record['n_judged']:,}"}
    if not np.isfinite(expected):
        return said["listed"].format(**told)
    return said["expected"].format(**told, usual=f"{record['expected_false']:,.3g}")
