"""Whom to contact: effects by the share targeted in the order of a score, and gains by budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.colours import MUTED
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.idle_lines import Line
from churnsurv.plots.lift_lines import Head, draw_line, head_frame, lines_by, value_range, write_head
from churnsurv.plots.numbers import short
from churnsurv.plots.style import Frame, dress, new_axes, write
from churnsurv.plots.text import drawn, notice
from churnsurv.plots.words import WORDS, chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["budget_curve", "budget_curve_frame", "targeting_curve", "targeting_curve_frame"]

Floats = NDArray[np.float64]

_LEFT = 56.0
_QUANTITIES = ("toc", "qini", "effect", "gain")
_LIMITS = ("estimate", "lower", "upper")
_BAND = ("band_lower", "band_upper")
_ANY = ", in any order"
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "effect": "Effect on those targeted, {unit}",
    "toc": "Effect on those targeted, above that on all, {unit}",
    "gain": "Gain, {unit}",
    "qini": "Gain above that of the same share at random, {unit}",
    "of_outcome": "{outcome}: {title}",
    "share": "Share targeted, highest score first",
    "budget": "Budget per 1,000 of the population",
    "budget_gain": "Gain against no contact, per 1,000 of the population",
    "pointwise": "{level} at each point",
    "band": "{level} at all together",
    "dotted": "shaded: {level} at each point; dotted: at all together",
    "many": "{n} lines, most of them in grey",
}


def targeting_curve(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    quantity: str = "toc",
    arm: str | None = None,
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw what targeting the users with the highest scores brings, by the share targeted.

    Parameters
    ----------
    table : DataFrame
        Schema "targeting_curve".
    ax : Axes, optional
        Where to draw; `targeting_curve_frame` says how much room it needs. Without it a pyplot figure is made.
    quantity : {"toc", "qini", "effect", "gain"}
        As in the column `measure`.
    arm : str, optional
        Only this arm. Else all, each with its own lines.
    level : float
        The level of the table's limits; only written.
    max_groups : int
        Up to so many lines, each has its own colour, limits and name; of more, most are grey.
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
        If the table has no such quantity or arm.

    Notes
    -----
    Of one line the band is a lighter shade; of several, dotted lines.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"score": "model", "arm": "sms", "measure": "toc", "unit": "per 1,000 targeted",
    ...     "share": [0.05, 1.0], "estimate": [40.0, 0.0], "lower": [20.0, 0.0], "upper": [60.0, 0.0],
    ...     "band_lower": [10.0, 0.0], "band_upper": [70.0, 0.0]})
    >>> [text.get_text() for text in targeting_curve(table, Figure().add_subplot()).texts][-1]
    'Effect on those targeted, above that on all, per 1,000 targeted'
    """
    said = chosen_words(words, _WORDS)
    mine, lines, look, bands = _targeted(table, quantity, arm, max_groups)
    head = _head(lines, look, said[quantity].format(unit=str(mine["unit"].iloc[0])), said, level, keyed=True)
    if ax is None:
        ax = new_axes(head_frame(lines, look, 640.0, head, left=_LEFT))
    alone = len(lines) == 1
    for place, line in enumerate(lines):
        draw_line(ax, line, look, band=bands[line.name], alone=alone, dashed=place % 2 == 1)
    _values(ax, lines, look, bands, said)
    ax.set_xlim(0, 1)
    ticks = np.linspace(0, 1, 6)
    ax.set_xticks(ticks, labels=[f"{100 * tick:.0f}%" for tick in ticks])
    write(ax, said["share"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    write_head(ax, lines, look, head)
    notice(ax, [line.name for line in lines], said)
    return ax


def targeting_curve_frame(
    table: pd.DataFrame, width: float = 640.0, *, quantity: str = "toc", arm: str | None = None, max_groups: int = 8
) -> Frame:
    """Return the size of a figure of this width (in points) in which `targeting_curve` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"score": "model", "arm": "sms", "measure": "toc", "unit": "per 1,000 targeted",
    ...     "share": [1.0], "estimate": 0.0, "lower": 0.0, "upper": 0.0, "band_lower": 0.0, "band_upper": 0.0})
    >>> targeting_curve_frame(table, 350).width
    350
    """
    mine, lines, look, _ = _targeted(table, quantity, arm, max_groups)
    head = _head(lines, look, _WORDS[quantity].format(unit=str(mine["unit"].iloc[0])), _WORDS, 0.95, keyed=True)
    return head_frame(lines, look, width, head, left=_LEFT)


def budget_curve(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    max_groups: int = 8,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw what contacts bring by budget, for each policy.

    Parameters
    ----------
    table : DataFrame
        Schema "budget_curve".
    ax : Axes, optional
        Where to draw; `budget_curve_frame` says how much room it needs. Without it a pyplot figure is made.
    level : float
        The level of the table's limits; only written.
    max_groups : int
        Up to so many policies, each has its own colour and name; of more, most are grey.
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

    Notes
    -----
    Limits and band are those of the first policy; the others are there to be compared with it. Arms in any order are
    dashed, in the colour of the arm.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"policy": "all arms", "budget": [0.0, 10.0], "gain": [0.0, 40.0], "lower": [0.0, 20.0],
    ...     "upper": [0.0, 60.0], "band_lower": [0.0, 10.0], "band_upper": [0.0, 70.0]})
    >>> len(budget_curve(table, Figure().add_subplot()).collections)
    2
    """
    said = chosen_words(words, _WORDS)
    lines, look, bands = _budgeted(table, max_groups)
    head = _head(lines, look, said["budget_gain"], said, level, shades=True)
    if ax is None:
        ax = new_axes(head_frame(lines, look, 640.0, head, left=_LEFT))
    for place, line in enumerate(lines):
        band = None if place else bands[line.name]
        draw_line(ax, line, look, band=band, alone=not place, shade=not place, dashed=line.name.endswith(_ANY))
    _values(ax, lines[:1], look, bands, said, more=lines[1:])
    ax.set_xlim(0, max(float(line.rows[-1, 0]) for line in lines))
    ax.xaxis.set_major_formatter(lambda value, _: drawn(short(said, value)))
    write(ax, said["budget"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)
    write_head(ax, lines, look, head)
    notice(ax, [line.name for line in lines], said)
    return ax


def budget_curve_frame(table: pd.DataFrame, width: float = 640.0, *, max_groups: int = 8) -> Frame:
    """Return the size of a figure of this width (in points) in which `budget_curve` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"policy": "all arms", "budget": [0.0], "gain": 0.0, "lower": 0.0, "upper": 0.0,
    ...     "band_lower": 0.0, "band_upper": 0.0})
    >>> budget_curve_frame(table, 350).width
    350
    """
    lines, look, _ = _budgeted(table, max_groups)
    head = _head(lines, look, _WORDS["budget_gain"], _WORDS, 0.95, shades=True)
    return head_frame(lines, look, width, head, left=_LEFT)


def _targeted(
    table: pd.DataFrame, quantity: str, arm: str | None, max_groups: int
) -> tuple[pd.DataFrame, list[Line], Look, dict[str, Floats]]:
    require_columns("targeting_curve", ("score", "arm", "measure", "unit", "share"), table.columns)
    if quantity not in _QUANTITIES:
        hint = did_you_mean(quantity, _QUANTITIES)
        raise InputError(f"quantity must be one of {', '.join(_QUANTITIES)}; {quantity!r} is none.{hint}")
    arms = [str(name) for name in table["arm"].unique()]
    if arm is not None and arm not in arms:
        raise InputError(f"there is no arm {arm!r}.{did_you_mean(arm, arms)} Arms: {', '.join(arms)}.")
    mine = table[(table["measure"] == quantity) & (True if arm is None else table["arm"].astype(str) == arm)]
    names = mine["score"].astype(str)
    if len(mine["arm"].drop_duplicates()) > 1:
        alone = len(names.drop_duplicates()) == 1
        names = mine["arm"].astype(str) if alone else mine["arm"].astype(str) + ", " + names
    found, look, bands = _split(mine.assign(line=names), "line", ("share", *_LIMITS), "targeting_curve", max_groups)
    return mine, found, look, bands


def _budgeted(table: pd.DataFrame, max_groups: int) -> tuple[list[Line], Look, dict[str, Floats]]:
    columns = ("budget", "gain", "lower", "upper")
    lines, every, bands = _split(table, "policy", columns, "budget_curve", 2 * max_groups)
    first = [line.name for line in lines if not line.name.endswith(_ANY)]
    if every.kind != "all" or len(first) > max_groups:
        return lines, every, bands
    look = looks(first, {}, max_groups)
    # an arm has one colour, whether users are ranked or not
    colours = {name: look.colours.get(name.removesuffix(_ANY), every.colours[name]) for name in every.colours}
    return lines, Look(colours, every.named, every.kind), bands


def _split(
    table: pd.DataFrame, by: str, columns: Sequence[str], what: str, max_groups: int
) -> tuple[list[Line], Look, dict[str, Floats]]:
    whole, look = lines_by(table, by, (*columns, *_BAND), what=what, max_groups=max_groups)
    lines = [Line(line.name, line.group, False, line.rows[:, :4]) for line in whole]
    return lines, look, {line.name: line.rows[:, 4:] for line in whole}


def _values(
    ax: Axes,
    lines: Sequence[Line],
    look: Look,
    bands: Mapping[str, Floats],
    said: Mapping[str, str],
    *,
    more: Sequence[Line] = (),
) -> None:
    """An axis that holds all lines and the limits of those that have them; a few wild limits at its end are cut."""
    dress(ax)
    ax.axhline(0, color=MUTED, linewidth=1.0, zorder=1.6)
    named = [line for line in lines if line.name in look.named]
    estimates = np.concatenate([line.rows[:, 1] for line in (*lines, *more)])
    limits = np.concatenate([*(line.rows[:, 2:].ravel() for line in named), *(bands[n.name].ravel() for n in named)])
    most = 4 * max(float(np.nanmax(np.abs(estimates), initial=0.0)), float(np.nanmedian(np.abs(limits))), 1e-9)
    ax.set_ylim(*value_range(np.concatenate([estimates, limits]), most=most))
    ax.yaxis.set_major_formatter(lambda value, _: drawn(short(said, value, sign=True)))


def _head(
    lines: Sequence[Line],
    look: Look,
    title: str,
    said: Mapping[str, str],
    level: float,
    *,
    shades: bool = False,
    keyed: bool = False,
) -> Head:
    """The title, and below it what shades and dots are."""
    told = {"level": f"{100 * level:g}%"}
    notes = () if look.kind == "all" else (said["many"].format(n=len(lines)),)
    if shades or len(lines) == 1:
        return Head(title, notes, (said["pointwise"].format(**told), said["band"].format(**told)), keyed)
    return Head(title, (*notes, said["dotted"].format(**told)), keyed=keyed)
