"""How the answers move with the churn rule: one small figure for each quantity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import MUTED
from churnsurv.plots.groups import Look, looks
from churnsurv.plots.marks import mark
from churnsurv.plots.numbers import at, count, estimate, ratio, share
from churnsurv.plots.style import (
    LINE_GAP,
    SIZE,
    Frame,
    dress,
    flow,
    inner_size,
    key,
    label_ends,
    new_axes,
    side_room,
    write,
)
from churnsurv.plots.text import ems, notice, shown
from churnsurv.plots.words import chosen_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["rule_sweep", "rule_sweep_frame", "rule_sweep_quantities"]

_ORDER = ("survival", "median", "hazard_ratio", "return_share", "churned", "n_spells")
_SHARES = {"survival", "return_share", "churned"}
_NAME = 13.0
_MOST = 8
_HEIGHT = 165.0
_RATIOS = (
    (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
    (0.1, 0.2, 0.33, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10),
    (0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.4),
    (0.9, 0.95, 1, 1.05, 1.1),
)
_NEEDED = ("idle_days", "quantity", "group", "estimate", "lower", "upper")


def rule_sweep_quantities(table: pd.DataFrame) -> list[str]:
    """Return the quantities of a sweep that can be drawn, in the order of the figures.

    Hazard ratios of several variables are one quantity each: "hazard_ratio: channel", "hazard_ratio: cohort".

    Examples
    --------
    >>> import pandas as pd
    >>> rule_sweep_quantities(pd.DataFrame({"idle_days": [30], "quantity": ["median"], "group": ["all"],
    ...     "estimate": [60.0], "lower": [58.0], "upper": [62.0]}))
    ['median']
    """
    return list(_panels(table))


def _panels(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each quantity; hazard ratios by variable, as the first part of "channel: paid" says it."""
    require_columns("rule_sweep", _NEEDED, table.columns)
    known = table[table["quantity"].isin(table.loc[table["estimate"].notna(), "quantity"])]
    names = known["quantity"].astype(str)
    ratios = names == "hazard_ratio"
    variables = known["group"].astype(str).str.split(": ", n=1).str[0]
    if ratios.any() and len(set(variables[ratios])) > 1:
        names = names.where(~ratios, "hazard_ratio: " + variables)
    first = {name: place for place, name in enumerate(dict.fromkeys(names))}

    def rank(name: str) -> tuple[int, int]:
        kind = _kind(name)
        return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), first[name])

    return {name: known[names == name] for name in sorted(first, key=rank)}


def _kind(name: str) -> str:
    return name.split(": ", 1)[0]


def rule_sweep(
    table: pd.DataFrame,
    ax: Axes | Iterable[Axes] | None = None,
    *,
    quantity: str | None = None,
    chosen: float | None = None,
    words: Mapping[str, str] | None = None,
) -> Any:
    """Draw how quantities move with the idle days that count as churn, with intervals.

    Parameters
    ----------
    table : DataFrame
        Schema "rule_sweep".
    ax : Axes or sequence of Axes, optional
        One Axes for each quantity of the table (`rule_sweep_quantities`), or one Axes where one quantity is drawn.
        Without it a pyplot figure is made.
    quantity : str, optional
        Draw this quantity alone.
    chosen : float, optional
        The rule of the study: a line is drawn there.
    words : mapping, optional
        Words to replace those of `churnsurv.plots.words.WORDS`.

    Returns
    -------
    Axes, or ndarray of Axes
        An Axes where `quantity` is given or `ax` is one Axes, else an array with one Axes for each quantity.

    Raises
    ------
    SchemaError
        If a column is missing.
    InputError
        If the table has no such quantity, or the Axes don't fit the quantities.

    Notes
    -----
    Groups keep their colour from figure to figure: "channel: paid" has that of "paid". Where there are more than
    eight, the lowest and highest three are named and the others grey.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"idle_days": [14, 30], "quantity": ["median"] * 2, "group": ["all"] * 2,
    ...     "estimate": [40.0, 60.0], "lower": [38.0, 57.0], "upper": [42.0, 63.0]})
    >>> float(rule_sweep(table, Figure().add_subplot(), quantity="median", chosen=30).get_ylim()[0])
    0.0
    """
    said = chosen_words(words)
    panels = _chosen_panels(table, quantity)
    single = quantity is not None
    if ax is None:
        axes = _new_axes(rule_sweep_frame(table, 320.0, quantity=quantity, words=words), len(panels))
    elif isinstance(ax, Iterable):
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
    else:
        axes, single = [ax], True
    if len(axes) != len(panels):
        raise InputError(
            f"rule_sweep: {len(panels)} quantities ({', '.join(panels)}) don't fit {len(axes)} Axes. Pass one Axes for "
            "each, or name one with quantity=."
        )
    colours = _colours(table)
    for each, (name, rows) in zip(axes, panels.items(), strict=True):
        _panel(each, rows, name, colours, said, chosen)
    return axes[0] if single else np.array(axes, dtype=object)


def rule_sweep_frame(
    table: pd.DataFrame,
    width: float = 320.0,
    *,
    quantity: str | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of the figure of one quantity, or of the widest of all, of this width in points.

    Examples
    --------
    >>> import pandas as pd
    >>> rule_sweep_frame(pd.DataFrame({"idle_days": [30], "quantity": ["median"], "group": ["all"],
    ...     "estimate": [60.0], "lower": [58.0], "upper": [62.0]}), quantity="median").right
    14.0
    """
    said = chosen_words(words)
    shapes = [_look(rows) for rows in _chosen_panels(table, quantity).values()]
    names = [_shown(group, said) for look in shapes if len(look.colours) > 1 for group in look.named]
    right = max((ems(name) * SIZE + 30 for name in names), default=14.0)
    return Frame(width, _HEIGHT + 58, 48.0, right, 22.0, 36.0)


def _chosen_panels(table: pd.DataFrame, quantity: str | None) -> dict[str, pd.DataFrame]:
    panels = _panels(table)
    if not panels:
        raise InputError("The table of the rule sweep has no estimates: there is nothing to draw.")
    if quantity is None:
        return panels
    if quantity not in panels:
        raise InputError(
            f"rule_sweep: no quantity {quantity!r}.{did_you_mean(quantity, panels)} The table has {', '.join(panels)}."
        )
    return {quantity: panels[quantity]}


def _new_axes(frame: Frame, n: int) -> list[Axes]:
    """One pyplot figure with two columns of axes, each in a frame of its own."""
    if n == 1:
        return [new_axes(frame)]
    from matplotlib import pyplot

    rows = (n + 1) // 2
    width, height = 2 * frame.width, rows * frame.height
    figure = pyplot.figure(figsize=(width / 72, height / 72))
    inner = (frame.width - frame.left - frame.right) / width, (frame.height - frame.top - frame.bottom) / height
    axes = []
    for place in range(n):
        left = (place % 2 * frame.width + frame.left) / width
        bottom = ((rows - 1 - place // 2) * frame.height + frame.bottom) / height
        axes.append(figure.add_axes((left, bottom, *inner)))
    return axes


def _shown(group: str, said: Mapping[str, str]) -> str:
    """The name of a group as it is drawn."""
    return said["mark.all"] if group == "all" else shown(group_said(said, _category(group)), _NAME)


def _category(group: str) -> str:
    """The category of a term such as "channel: paid", so that its colour is that of the group "paid"."""
    return group.split(": ", 1)[1] if ": " in group else group


def _colours(table: pd.DataFrame) -> Mapping[str, str]:
    """The colours of the groups, which hazard ratios of the same categories take as well."""
    groups = dict.fromkeys(
        str(group) for name, rows in _panels(table).items() if _kind(name) != "hazard_ratio" for group in rows["group"]
    )
    return looks(list(groups), {}, _MOST).colours if len(groups) <= _MOST else {}


def _look(rows: pd.DataFrame) -> Look:
    groups = [str(group) for group in dict.fromkeys(rows["group"])]
    means = rows.groupby(rows["group"].astype(str), sort=False)["estimate"].mean().dropna()
    return looks(groups, {str(group): float(mean) for group, mean in means.items()}, _MOST, ramps=False)


def _panel(
    ax: Axes,
    rows: pd.DataFrame,
    quantity: str,
    colours: Mapping[str, str],
    said: Mapping[str, str],
    chosen: float | None,
) -> None:
    look = _look(rows)
    same = look.kind == "all" and all(_category(group) in colours for group in look.colours)
    rules = np.sort(rows["idle_days"].unique().astype(float))
    span = float(rules[-1] - rules[0]) or 1.0
    ax.set_xlim(rules[0] - 0.05 * span, rules[-1] + 0.05 * span)
    if _kind(quantity) == "hazard_ratio":
        ax.set_yscale("log")
    ends = []
    for place, group in enumerate(dict.fromkeys(rows["group"])):
        name = str(group)
        colour = colours[_category(name)] if same else look.colours[name]
        offset = (place - (rows["group"].nunique() - 1) / 2) * min(0.012, 0.06 / rows["group"].nunique()) * span
        one = rows[rows["group"] == group].sort_values("idle_days")
        end = _series(ax, one, offset, colour, named=name in look.named)
        _mark(ax, one, offset, quantity, said, few=name not in look.named)
        if name in look.named and end is not None and len(look.colours) > 1:
            ends.append((*end, _shown(name, said), colour))
    _finish(ax, rules, quantity, said, chosen)
    top = 12.0
    if all(side_room(ax)[1] >= ems(text) * SIZE + 22 for _, _, text, _ in ends):
        label_ends(ax, ends)
    else:
        entries, width = [(text, colour) for _, _, text, colour in ends], inner_size(ax)[0]
        key(ax, entries, width=width)
        top += LINE_GAP * (1 + max(row for row, _ in flow([text for text, _ in entries], width)))
    _title(ax, quantity, said, top)
    notice(ax, [str(group) for group in rows["group"]], said)


def _series(ax: Axes, rows: pd.DataFrame, offset: float, colour: str, *, named: bool) -> tuple[float, float] | None:
    """Points joined by a line, each with its interval; returns the last point."""
    x = rows["idle_days"].to_numpy(dtype=np.float64) + offset
    y, lower, upper = (
        rows[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("estimate", "lower", "upper")
    )
    known = np.isfinite(y)
    if not known.any():
        return None
    x, y, lower, upper = x[known], y[known], lower[known], upper[known]
    ax.plot(x, y, color=colour, linewidth=1.4 if named else 0.8, zorder=2.5 if named else 2)
    if named:
        ax.vlines(x, np.where(np.isfinite(lower), lower, y), np.where(np.isfinite(upper), upper, y), color=colour,
                  linewidth=1.4, zorder=2.5)  # fmt: skip
        ax.plot(x, y, "o", color=colour, markersize=4, zorder=3)
    return float(x[-1]), float(y[-1])


def _mark(ax: Axes, rows: pd.DataFrame, offset: float, quantity: str, said: Mapping[str, str], *, few: bool) -> None:
    day, value, lower, upper = (
        rows[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("idle_days", "estimate", "lower", "upper")
    )
    kind = _kind(quantity)
    form = share if kind in _SHARES else ratio if kind == "hazard_ratio" else count

    def say(i: int) -> str:
        told = estimate(said, form, value[i], lower[i], upper[i])
        where = said["mark.idle_days"].format(day=f"{day[i]:g}")
        return at(said, where, said["mark.days"].format(n=told) if kind == "median" else told)

    mark(ax, _shown(str(rows["group"].iloc[0]), said), day + offset, value, say, few=few)


def _finish(
    ax: Axes, rules: np.ndarray[Any, Any], quantity: str, said: Mapping[str, str], chosen: float | None
) -> None:
    dress(ax)
    if _kind(quantity) == "hazard_ratio":
        low, high = ax.get_ylim()
        low, high = min(low, 0.9), max(high, 1.12)
        ax.set_ylim(low, high)
        inside = [[each for each in ratios if low <= each <= high] for ratios in _RATIOS]
        ticks = next((ratios for ratios in inside if len(ratios) >= 3), inside[-1])
        ax.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.axhline(1, color=MUTED, linewidth=0.9, zorder=1.5)
    else:
        ax.set_ylim(0, max(1e-9, 1.04 * ax.get_ylim()[1]))
        ax.yaxis.set_major_locator(_locator())
        shares = quantity in _SHARES
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if shares else f"{value:,.0f}")
    ax.set_xticks(rules, labels=[f"{day:g}" for day in rules])
    if chosen is not None and rules[0] <= chosen <= rules[-1]:
        ax.axvline(chosen, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
    write(ax, said["idle_days"], at=(1, 0), shift=(0, -26), ha="right", color=MUTED)


def _title(ax: Axes, quantity: str, said: Mapping[str, str], top: float) -> None:
    name = said.get(f"quantity.{_kind(quantity)}", quantity)
    if ": " in quantity:
        name = said["bracketed"].format(text=name, more=shown(group_said(said, quantity.split(": ", 1)[1]), _NAME))
    write(ax, name, at=(0, 1), shift=(-30, top), weight="bold")


def _locator() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])
