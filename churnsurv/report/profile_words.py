"""What users did, in words: the side of a cut, the names of variables and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue
from churnsurv.report.group_names import with_variable
from churnsurv.report.material import Point
from churnsurv.report.numbers import number
from churnsurv.report.pieces import point_of

__all__ = ["SHARES", "Side", "notes_of", "number_of", "side_of", "variable_of", "variable_words"]

Row = dict[Any, Any]

SHARES = frozenset({"boosted_share"})


@dataclass(frozen=True, slots=True)
class Side:
    """The side of a cut on which the churned are the more frequent: its words, and both shares with limits there."""

    words: str
    churned: Point
    retained: Point
    inside: float
    outside: float
    ratio: Point


def side_of(words: Catalogue, row: Row) -> Side:
    """Return the telling side of a cut, of a row of schema "churn_profile" or "churn_profile_spell"."""
    below = row["difference"] >= 0
    sides = [point_of(row, f"share_{each}", f"{each}_lower", f"{each}_upper") for each in ("churned", "retained")]
    risks = [float(row.get(each, np.nan)) for each in ("risk_below", "risk_above")]
    rate = point_of(row, "risk_ratio") if "risk_ratio" in row else Point(np.nan, np.nan, np.nan)
    if not below:
        sides, risks = [Point(1 - p.estimate, 1 - p.upper, 1 - p.lower) for p in sides], risks[::-1]
        rate = Point(*(1 / each if each else float("inf") for each in (rate.estimate, rate.upper, rate.lower)))
    text = _phrase(words, str(row["variable"]), float(row["cut"]), below=below)
    return Side(text, sides[0], sides[1], risks[0], risks[1], rate)


def _phrase(words: Catalogue, variable: str, cut: float, *, below: bool) -> str:
    """Who is at or below a cut, or above it, in words."""
    side = "below" if below else "above"
    special = f"said.{variable}.{side}.{cut:g}"
    if words.has(special):
        return words.text(special)
    key = f"said.{variable}.{side}"
    if not words.has(key):
        key = f"said.other.{side}"
    return words.text(key, cut=number_of(variable, cut), variable=shown(variable))


def variable_words(words: Catalogue, variables: Sequence[str]) -> dict[str, str]:
    """Return what figures call the variables, as far as the catalogue has a name for them."""
    keys = (f"variable.{each}" for each in variables)
    return {key: words.messages[key] for key in keys if words.has(key)}


def variable_of(words: Catalogue, variable: str) -> str:
    """Return the name of a variable: the user's own where the catalogue has none."""
    return words.text(f"variable.{variable}") if words.has(f"variable.{variable}") else shown(variable)


def number_of(variable: str, cut: float) -> str:
    """Return a value of a variable, such as a cut, without more digits than it needs.

    Examples
    --------
    >>> number_of("balance", 23_000.0), number_of("boosted_share", 2 / 3), number_of("login_interval", 9.3333)
    ('23,000', '66.7%', '9.33')
    """
    if variable in SHARES:
        return f"{round(100 * cut, 1):g}%"
    if float(cut).is_integer() or abs(cut) >= 1000:
        return f"{cut:,.0f}"
    return f"{round(cut, 2):g}" if abs(cut) >= 1 else number(cut)


def notes_of(words: Catalogue, profile: Any) -> list[str]:
    """Return the notes of a profile; a variable that one begins with is called as in the tables."""
    names = {key.removeprefix("variable."): text for key, text in words.messages.items() if key.startswith("variable.")}
    return [with_variable(words, each, names) for each in profile.notes]
