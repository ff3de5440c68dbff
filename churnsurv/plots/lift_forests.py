"""What a campaign brought, one line for each arm or group: an outcome, its interval, and the line of no effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.plots.bands import group_said
from churnsurv.plots.colours import MUTED, SERIES
from churnsurv.plots.differences import day_differences, day_differences_frame
from churnsurv.plots.numbers import at
from churnsurv.plots.ratios import forest, forest_frame
from churnsurv.plots.style import Frame, new_axes, side_room, write
from churnsurv.plots.text import notice, shown
from churnsurv.plots.words import WORDS, chosen_words
from churnsurv.plots.words import shared as shared_words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["lift_forest", "lift_forest_frame"]

_NEEDED = ("arm", "outcome", "unit", "adjusted", "estimate", "lower", "upper")
_RATIO = "ratio"
_NAME = 12.0  # ems of the control before it is shortened
_NOTE = 14.0  # points that a line below the title needs
_WORDS: Mapping[str, str] = {
    "missing_glyphs": WORDS["missing_glyphs"],
    "return_probability": "Returned, per 1,000 users",
    "risk_ratio": "Share returned, ratio",
    "users_per_return": "Users to contact for one more return",
    "days_to_return": "Days without return",
    "hazard_ratio": "Hazard of return, ratio",
    "active_days": "Active days, per 1,000 users",
    "reinvested": "Re-invested, per 1,000 users",
    "net_value": "Net value, per 1,000 users",
    "days_live": "Days alive, per 1,000 users",
    "scales": "1e6 1e6 millions; 1e4 1e3 thousands",
    "thousands": "{outcome}, in thousands",
    "millions": "{outcome}, in millions",
    "told.thousands": "{value} thousand",
    "told.millions": "{value} million",
    "intervals": "{level} intervals",
    "against": "against “{control}”, {level} intervals",
    "and": "{one}; {other}",
    "of_arm": "{arm}: {outcome}",
    "less": "less",
    "more": "more",
    "sooner": "sooner",
    "later": "later",
    "overall": "all users",
    "group": "{arm}, {group}",
    "same": "the same in all groups: p = {p}",
    "same_small": "the same in all groups: p < 0.001",
}


def lift_forest(
    table: pd.DataFrame,
    ax: Axes | None = None,
    *,
    outcome: str = "return_probability",
    overall: pd.DataFrame | None = None,
    adjusted: bool | None = None,
    control: str | None = None,
    level: float = 0.95,
    words: Mapping[str, str] | None = None,
) -> Axes:
    """Draw one outcome of a campaign with its interval: a line for each arm, or for each group of users.

    Parameters
    ----------
    table : DataFrame
        Schema "lift", or "lift_subgroups" of one column of groups.
    ax : Axes, optional
        Where to draw; `lift_forest_frame` says how much room it needs. Without it a pyplot figure is made.
    outcome : str
        Which one.
    overall : DataFrame, optional
        Schema "lift": beside groups, what all users together show, as diamonds.
    adjusted : bool, optional
        Rows with covariates adjusted for, or without; with them where there are some.
    control : str, optional
        Only written.
    level : float
        The level of the table's intervals; only written.
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
        If there is no such outcome, or several columns of groups.

    Notes
    -----
    Intervals that leave out no effect are blue, the others grey. Of groups the p-value that the effect is the same in
    all of them stands above (the smallest of several arms is not it: then each arm is told by the table alone).

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"campaign": "spring", "arm": ["sms"], "outcome": "return_probability",
    ...     "unit": "per 1,000 users", "adjusted": False, "estimate": 21.0, "lower": 9.0, "upper": 33.0})
    >>> [text.get_text() for text in lift_forest(table, Figure().add_subplot()).texts][:2]
    ['sms', '+21.0 (+9.0 to +33.0)']
    """
    said = chosen_words(words, _WORDS)
    rows = _rows(table, outcome, overall, adjusted, said)
    if ax is None:
        ax = new_axes(_frame(rows, 640.0, said))
    draw = _ratios if _is_ratio(rows) else _differences
    note = _note(_heterogeneity(table, outcome, said), said, control, level)
    draw(rows, ax, note, said, sooner=outcome == "days_to_return")  # the title goes above what they take for it
    write(ax, _title(rows, outcome, said), at=(0, 1), shift=(_title_start(ax, rows), 30 + _NOTE))
    _overall(ax, rows, said)
    notice(ax, [*rows["arm"].astype(str), *rows["name"].astype(str)], said)
    return ax


def lift_forest_frame(
    table: pd.DataFrame,
    width: float = 640.0,
    *,
    outcome: str = "return_probability",
    overall: pd.DataFrame | None = None,
    adjusted: bool | None = None,
    words: Mapping[str, str] | None = None,
) -> Frame:
    """Return the size of a figure of this width (in points) in which `lift_forest` has its room.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"campaign": "spring", "arm": ["sms"], "outcome": "return_probability",
    ...     "unit": "per 1,000 users", "adjusted": False, "estimate": 21.0, "lower": 9.0, "upper": 33.0})
    >>> lift_forest_frame(table, 350).width
    350
    """
    said = chosen_words(words, _WORDS)
    return _frame(_rows(table, outcome, overall, adjusted, said), width, said)


def _frame(rows: pd.DataFrame, width: float, said: Mapping[str, str]) -> Frame:
    if _is_ratio(rows):
        plain = forest_frame(_as_ratios(rows), width)
    else:
        plain = day_differences_frame(_scaled(rows, said)[0], width)
    return replace(plain, height=plain.height + _NOTE, top=plain.top + _NOTE)


def _is_ratio(rows: pd.DataFrame) -> bool:
    return bool((rows["unit"] == _RATIO).all())


def _rows(
    table: pd.DataFrame,
    outcome: str,
    overall: pd.DataFrame | None,
    adjusted: bool | None,
    said: Mapping[str, str],
) -> pd.DataFrame:
    """The rows to draw with their `name`; `all` says which are of all users."""
    import pandas as pd

    grouped = "group" in table.columns
    mine = _of_outcome(table, outcome, adjusted, "lift_subgroups" if grouped else "lift")
    if not grouped:
        return _named(mine, said).assign(all=False)
    if len(mine["by"].drop_duplicates()) > 1:
        raise InputError(f"groups of one column are drawn at a time; the table has {sorted(mine['by'].unique())}.")
    rows = _named(mine, said).assign(all=False)
    if overall is None:
        return rows
    same = bool(mine["adjusted"].any())  # groups are compared with what was estimated in the same way
    one = _of_outcome(overall, outcome, same, "lift").assign(group=said["overall"])
    one = one[one["arm"].isin(rows["arm"]) & one["campaign"].isin(rows["campaign"])]
    both = pd.concat([rows, _named(one, said).assign(all=True)])
    order = {arm: place for place, arm in enumerate(dict.fromkeys(rows["arm"]))}
    return both.sort_values("arm", key=lambda arms: arms.map(order), kind="stable").reset_index(drop=True)


def _of_outcome(table: pd.DataFrame, outcome: str, adjusted: bool | None, what: str) -> pd.DataFrame:
    require_columns(what, ("campaign", *_NEEDED), table.columns)
    mine = table[table["outcome"] == outcome]
    if mine.empty:
        known = [str(name) for name in table["outcome"].unique()]
        raise InputError(
            f"The table {what} has no outcome {outcome!r}.{did_you_mean(outcome, known)} "
            f"Outcomes: {', '.join(known) or 'none'}."
        )
    wanted = bool(mine["adjusted"].any()) if adjusted is None else adjusted
    return mine[mine["adjusted"].astype(bool) == wanted]


def _named(rows: pd.DataFrame, said: Mapping[str, str]) -> pd.DataFrame:
    """What tells the rows apart: the group, the arm where there are several, the campaign likewise."""
    names = rows["arm"].astype(str).tolist()
    if "group" in rows.columns:
        groups = [group_said(said, str(group)) for group in rows["group"]]
        several = len(set(names)) > 1
        names = [
            said["group"].format(arm=arm, group=group) if several else group
            for arm, group in zip(names, groups, strict=True)
        ]
    if len(rows["campaign"].drop_duplicates()) > 1:
        names = [at(said, str(campaign), name) for campaign, name in zip(rows["campaign"], names, strict=True)]
    return rows.assign(name=names)


def _heterogeneity(table: pd.DataFrame, outcome: str, said: Mapping[str, str]) -> str:
    """Whether the effect is the same in all groups, where that is one p-value: of one arm."""
    if "heterogeneity_p_value" not in table.columns:
        return ""
    mine = _of_outcome(table, outcome, None, "lift_subgroups")
    found = mine["heterogeneity_p_value"].dropna().unique()
    if len(found) != 1:
        return ""
    p = float(found[0])
    return said["same_small"] if p < 0.001 else said["same"].format(p=f"{p:.3f}" if p < 0.0995 else f"{p:.2f}")


def _title(rows: pd.DataFrame, outcome: str, said: Mapping[str, str]) -> str:
    told = said.get(outcome, outcome)
    arms = rows["arm"].astype(str).drop_duplicates().tolist()
    if "group" in rows.columns and len(arms) == 1:
        told = said["of_arm"].format(arm=shown(arms[0], _NAME), outcome=told)
    scale = "" if _is_ratio(rows) else _scaled(rows, said)[1]
    return said[scale].format(outcome=told) if scale else told


def _note(heterogeneity: str, said: Mapping[str, str], control: str | None, level: float) -> str:
    told = {"level": f"{100 * level:g}%"}
    note = said["intervals"].format(**told)
    if control is not None:
        note = said["against"].format(control=shown(control, _NAME), **told)
    return said["and"].format(one=note, other=heterogeneity) if heterogeneity else note


def _scaled(rows: pd.DataFrame, said: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Rows as differences are drawn, large amounts in thousands or millions, and in which of the two.

    The word "scales" says from which size on, in which unit, and which of the two words that is: 萬 and 億 in Chinese.
    """
    columns = ["estimate", "lower", "upper"]
    limits = np.abs(rows[["lower", "upper"]].to_numpy(np.float64))
    largest = float(np.median(limits[np.isfinite(limits)])) if np.isfinite(limits).any() else 0.0
    scales = (each.split(" ", 2) for each in said["scales"].split("; "))
    factor, scale = next(((float(unit), name) for least, unit, name in scales if largest >= float(least)), (1.0, ""))
    plain = {name: rows[name].astype("float64") / factor for name in columns}
    return rows.assign(group=rows["name"], reference="", horizon=0.0, **plain), scale


def _differences(rows: pd.DataFrame, ax: Axes, title: str, said: Mapping[str, str], *, sooner: bool) -> None:
    arrows = ("sooner", "later") if sooner else ("less", "more")
    drawn, scale = _scaled(rows, said)
    outcome = str(rows["outcome"].iloc[0])
    told = at(said, _literal(said.get(outcome, outcome)), said[f"told.{scale}"] if scale else "{value}")
    own = {"difference": _literal(title), "earlier": said[arrows[0]], "later": said[arrows[1]], "told": told}
    day_differences(drawn, ax, words={**shared_words(said), **own})


def _ratios(rows: pd.DataFrame, ax: Axes, title: str, said: Mapping[str, str], *, sooner: bool) -> None:
    outcome = str(rows["outcome"].iloc[0])
    told = at(said, _literal(said.get(outcome, outcome)), "{value}")
    words = {
        "told_ratio": told,
        "hazard_ratio": _literal(title),
        "slower": said["less"],
        "faster": said["sooner" if sooner else "more"],
    }
    forest(_as_ratios(rows), ax, words={**shared_words(said), **words})


def _as_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as hazard ratios of a model are drawn: without headings and reference."""
    limits = {"hazard_ratio": rows["estimate"], "hr_lower": rows["lower"], "hr_upper": rows["upper"]}
    numbers = {name: values.astype("float64") for name, values in limits.items()}
    return rows.assign(term=rows["name"], variable=rows["name"], category=None, reference=None, **numbers)


def _literal(text: str) -> str:
    """A text that is no template."""
    return text.replace("{", "{{").replace("}", "}}")


def _title_start(ax: Axes, rows: pd.DataFrame) -> float:
    """Where the functions that draw the lines begin their title."""
    left = side_room(ax)[0]
    return 0.0 if _is_ratio(rows) or left < 20 else 6.0 - left


def _overall(ax: Axes, rows: pd.DataFrame, said: Mapping[str, str]) -> None:
    """Diamonds for what all users together show."""
    ratio = _is_ratio(rows)
    drawn = rows if ratio else _scaled(rows, said)[0]
    for place in np.flatnonzero(rows["all"].to_numpy(bool)):
        value, lower, upper = (float(drawn[name].iloc[place]) for name in ("estimate", "lower", "upper"))
        if np.isfinite(value):
            colour = MUTED if lower <= float(ratio) <= upper else SERIES[0]
            ax.plot([value], [place], "D", markersize=7.5, color=colour, zorder=4)
