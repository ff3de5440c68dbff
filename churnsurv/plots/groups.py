"""Which groups of a figure get a name and a colour when there are too many to tell apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from churnsurv.plots.colours import FAINT, INK, SERIES, ramp

__all__ = ["Look", "in_order", "looks"]

_ORDERED = re.compile(r"-?\d+(\.\d+)?|\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{4}[- ]?[QWHqwh]\d{1,2}")
_NAMED_GREY = 6


@dataclass(frozen=True, slots=True)
class Look:
    """How groups are drawn.

    Attributes
    ----------
    colours : mapping
        Group to colour, in the order of the groups.
    named : tuple of str
        Groups with a name, a band and a row of numbers; the others are drawn thin.
    kind : {"all", "ordered", "grey"}
        All named; a ramp of colours over ordered groups; most in grey.
    """

    colours: Mapping[str, str]
    named: tuple[str, ...]
    kind: str


def in_order(groups: Sequence[str]) -> bool:
    """Tell whether the names are dates, periods or numbers in rising order, as registration cohorts are.

    Examples
    --------
    >>> in_order(["2024-05", "2024-06"]), in_order(["organic", "paid"])
    (True, False)
    """
    if any(_ORDERED.fullmatch(group) is None for group in groups):
        return False
    keys = [[int(part) for part in re.findall(r"\d+", group)] for group in groups]
    return keys == sorted(keys) or all("." in g or g.lstrip("-").isdigit() for g in groups)


def looks(groups: Sequence[str], heights: Mapping[str, float], max_groups: int, *, ramps: bool = True) -> Look:
    """Choose colours and names for groups.

    Parameters
    ----------
    groups : sequence of str
        In the order of the table. The group "all" is drawn in ink.
    heights : mapping
        What orders the groups from low to high, for those that have it: the lowest and highest are named.
    max_groups : int
        Up to so many groups all are named, each in a colour of its own.
    ramps : bool
        More groups whose names are in order get a ramp of colours.

    Examples
    --------
    >>> looks(["a", "b", "c"], {"a": 0.2, "b": 0.5, "c": 0.4}, 2).kind
    'grey'
    """
    ranked = sorted((group for group in groups if group in heights), key=lambda group: heights[group])
    if len(groups) <= max_groups:
        others = [group for group in groups if group != "all"]
        pool = [*SERIES, *ramp(max(0, len(others) - len(SERIES)))]
        colours = dict(zip(others, pool, strict=False))
        return Look({group: colours.get(group, INK) for group in groups}, tuple(groups), "all")
    if ramps and in_order(groups):
        wanted = {groups[0], groups[-1], *ranked[:1], *ranked[-1:]}
        return Look(
            dict(zip(groups, ramp(len(groups)), strict=True)), tuple(g for g in groups if g in wanted), "ordered"
        )
    half = min(max_groups, _NAMED_GREY) // 2
    wanted = {*ranked[:half], *ranked[max(half, len(ranked) - half) :]} or {groups[0], groups[-1]}
    named = tuple(group for group in groups if group in wanted)
    strong = dict(zip(named, SERIES, strict=False))
    return Look({group: strong.get(group, FAINT) for group in groups}, named, "grey")
