"""Churned beside retained users: the share of each at or below every cut, one small figure a variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import FAINT, MUTED, SERIES
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, estimate, share, short
from churnsurv.plots.style import LINE_GAP, SIZE, Frame, dress, inner_size, key, new_axes, write
from churnsurv.plots.text import drawn, ems, notice, shown
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["churn_profile", "churn_profile_frame"]

_NEEDED = ("group", "variable", "cut", "share_churned", "churned_lower", "churned_upper", "share_retained",
           "retained_lower", "retained_upper")  # fmt: skip
_SIDES = (("churned", SERIES[1], -1.5), ("retained", SERIES[0], 1.5))  # word, colour, points to the side
_HEIGHT = 150.0
_WORDS = {
    "churned": "churned",
    "retained": "retained",
    "at_most": "share of users at or below, with intervals",
    "below": "at most {cut}",
    "suggested": "cut {cut}: {churned} of churned, {retained} of retained",
    "variable.n_investments": "Investments",
    "variable.total_amount": "Amount invested in total",
    "variable.max_amount": "Highest amount invested at once",
    "variable.ever_boosted": "Boosted product (0: none)",
    "variable.boosted_share": "Boosted share of investments",
    "variable.login_interval": "Mean days between active days",
    "variable.balance": "Balance",
}


def churn_profile(
    table: pd.DataFrame,
    ax: Axes | Iterable[Axes] | None = None,
    *,
    group: str | None = None,
    variable: str | None = None,
    words: Mapping[str, str] | None = None,
) -> Any:
    """Draw the cumulative shares of churned and of retained users over the cuts of each variable.

    Parameters
    ----------
    table : DataFrame
        Schema "churn_profile" or "churn_profile_spell".
    ax : Axes or sequence of Axes, optional
        One Axes for each variable, or one Axes where one variable is drawn; `churn_profile_frame` says how much room
        it needs. Without it a pyplot figure is made.
    group : str, optional
        Which group to draw; the first one by default.
    variable : str, optional
        Draw this variable alone.
    words : mapping, optional
        Words to replace those of the figure.

    Returns
    -------
    Axes, or ndarray of Axes
        An Axes where `variable` is given or `ax` is one Axes, else an array.

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no such group or variable, or the Axes don't fit.

    Notes
    -----
    Cuts stand at equal distances. The suggested cut, where the table has one, is marked and said in numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"group": "all", "variable": "n_investments", "cut": [0, 2], "share_churned": [0.5, 0.9],
    ...     "churned_lower": [0.4, 0.8], "churned_upper": [0.6, 0.95], "share_retained": [0.1, 0.3],
    ...     "retained_lower": [0.05, 0.2], "retained_upper": [0.2, 0.4], "suggested": [False, True]})
    >>> axes = churn_profile(table, Figure().add_subplot())
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['0', '2']
    """
    said = chosen_words(words, _WORDS)
    panels = _panels(table, group, variable)
    single = variable is not None
    if ax is None:
        axes = _new_axes(churn_profile_frame(table), len(panels))
    elif isinstance(ax, Iterable):
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
    else:
        axes, single = [ax], True
    if len(axes) != len(panels):
        raise InputError(
            f"churn_profile: {len(panels)} variables ({', '.join(panels)}) don't fit {len(axes)} Axes. Pass one Axes "
            "for each, or name one with variable=."
        )
    several = len(set(table["group"])) > 1
    for each, (name, rows) in zip(axes, panels.items(), strict=True):
        _panel(each, name, rows, said, several=several)
    return axes[0] if single else np.array(axes, dtype=object)


def churn_profile_frame(table: pd.DataFrame, width: float = 320.0) -> Frame:
    """Return the size of the figure of one variable, of this width in points.

    Examples
    --------
    >>> import pandas as pd
    >>> churn_profile_frame(pd.DataFrame({"group": []}), 350).width
    350
    """
    require_columns("churn_profile", ("group",), table.columns)
    return Frame(width, _HEIGHT + 96, 40.0, 14.0, 58.0, 38.0)


def _panels(table: pd.DataFrame, group: str | None, variable: str | None) -> dict[str, pd.DataFrame]:
    require_columns("churn_profile", _NEEDED, table.columns)
    if len(table) == 0:
        raise InputError("The table of the profile has no cuts: there is nothing to draw.")
    groups = [str(each) for each in dict.fromkeys(table["group"])]
    chosen = groups[0] if group is None else group
    if chosen not in groups:
        raise InputError(f"churn_profile: no group {chosen!r}.{did_you_mean(chosen, groups)} There are {groups}.")
    rows = table[table["group"].astype(str) == chosen]
    panels = {str(name): part for name, part in rows.groupby("variable", sort=False)}
    if variable is None:
        return panels
    if variable not in panels:
        hint = did_you_mean(variable, panels)
        raise InputError(f"churn_profile: no variable {variable!r}.{hint} The table has {', '.join(panels)}.")
    return {variable: panels[variable]}


def _new_axes(frame: Frame, n: int) -> list[Axes]:
    """One pyplot figure with two columns of axes, each in a frame of its own."""
    if n == 1:
        return [new_axes(frame)]
    from matplotlib import pyplot

    rows = (n + 1) // 2
    width, height = 2 * frame.width, rows * frame.height
    figure = pyplot.figure(figsize=(width / 72, height / 72))
    inner = (frame.width - frame.left - frame.right) / width, (frame.height - frame.top - frame.bottom) / height
    return [
        figure.add_axes(
            (
                (place % 2 * frame.width + frame.left) / width,
                ((rows - 1 - place // 2) * frame.height + frame.bottom) / height,
                *inner,
            )
        )
        for place in range(n)
    ]


def _panel(ax: Axes, name: str, rows: pd.DataFrame, said: Mapping[str, str], *, several: bool) -> None:
    rows = rows.sort_values("cut")
    places = np.arange(len(rows), dtype=np.float64)
    ax.set_xlim(-0.5, len(rows) - 0.5)
    ax.set_ylim(0, 1.03)
    dress(ax)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    shift = 0.006 * len(rows)
    for side, colour, points in _SIDES:
        height, lower, upper = (
            rows[column].to_numpy(dtype=np.float64) for column in (f"share_{side}", f"{side}_lower", f"{side}_upper")
        )
        x = places + points * shift
        ax.plot(x, height, color=colour, linewidth=1.4, marker="o", markersize=4, zorder=2.5)
        ax.vlines(x, lower, upper, color=colour, linewidth=1.4, zorder=2.5)
    cuts = [_cut(said, cut) for cut in rows["cut"]]
    _mark(ax, rows, cuts, said)
    step = max(1, int(np.ceil(len(cuts) * (max(map(ems, cuts)) * SIZE + 8) / max(inner_size(ax)[0], 1.0))))
    ax.set_xticks(places[::step], labels=[drawn(cut) for cut in cuts[::step]])
    title = said.get(f"variable.{name}", shown(name, 26))
    if several:
        title = said["bracketed"].format(text=title, more=shown(group_said(said, str(rows["group"].iloc[0])), 18))
    write(ax, title, at=(0, 1), shift=(-26, 20 + 2 * LINE_GAP), weight="bold")
    _suggest(ax, rows, places, said)
    key(ax, [(said["churned"], _SIDES[0][1]), (said["retained"], _SIDES[1][1])], width=inner_size(ax)[0])
    write(ax, said["at_most"], at=(1, 0), shift=(0, -28), ha="right", color=MUTED)
    notice(ax, [name, *map(str, rows["group"])], said)


def _suggest(ax: Axes, rows: pd.DataFrame, places: Any, said: Mapping[str, str]) -> None:
    """Mark the suggested cut, and say its shares."""
    if "suggested" not in rows.columns or not rows["suggested"].any():
        return
    place = int(np.argmax(rows["suggested"].to_numpy(dtype=bool)))
    row = rows.iloc[place]
    ax.axvline(places[place], color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    text = said["suggested"].format(
        cut=_cut(said, row["cut"]), churned=f"{row['share_churned']:.0%}", retained=f"{row['share_retained']:.0%}"
    )
    write(ax, text, at=(0, 1), shift=(-26, 14 + LINE_GAP), color=MUTED)


def _mark(ax: Axes, rows: pd.DataFrame, cuts: Sequence[str], said: Mapping[str, str]) -> None:
    places = np.arange(len(rows), dtype=np.float64)
    for side, _, points in _SIDES:
        numbers = rows[[f"share_{side}", f"{side}_lower", f"{side}_upper"]].to_numpy(dtype=np.float64)

        def say(i: int, numbers: Any = numbers) -> str:
            return at(said, said["below"].format(cut=cuts[i]), estimate(said, share, *numbers[i]))

        mark(ax, said[side], places + points * 0.006 * len(rows), numbers[:, 0], say)


def _cut(said: Mapping[str, str], value: float) -> str:
    """A cut as short as its digits allow: 1.2M, 350k, 0.25."""
    return short(said, float(value), least=1e5)
