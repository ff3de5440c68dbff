"""Where the tiers of a scheme lie: idle days by bands of one variable, told apart by the others that rules look at."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from churnsurv.errors import InputError, did_you_mean
from churnsurv.warning.assign import places
from churnsurv.warning.idle_groups import band_labels
from churnsurv.warning.rules import IDLE_DAYS

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.warning.scheme import TierScheme

__all__ = ["bands"]

_COLUMNS = (
    *("variable", "band", "band_lower", "band_upper", "others"),
    *("rank", "tier", "rule", "first_day", "last_day"),
)
Band: TypeAlias = tuple[str, float | None, float | None]


def bands(scheme: TierScheme, variable: str | None = None) -> pd.DataFrame:
    """Say for each band of a variable which tier users are in on which idle days; see `TierScheme.bands`.

    Raises
    ------
    InputError
        If the scheme has no such variable.
    """
    import pandas as pd

    name = _chosen(scheme, variable)
    used = _used(scheme)
    others = [each for each in used if each != name]
    cuts = {*used.get(name or "", ()), *(() if others else map(float, scheme.grids.get(name or "", ())))}
    rows = list[tuple[Any, ...]]()
    for classes in itertools.product(*(_bands(used[each]) for each in others)):
        told = ", ".join(f"{each} {label}" for each, (label, *_) in zip(others, classes, strict=True)) or None
        inside = {each: _inside(*ends) for each, (_, *ends) in zip(others, classes, strict=True)}
        for label, low, high in _bands(sorted(cuts)):
            here = inside if name is None else inside | {name: _inside(low, high)}
            rows += [(name, label, low, high, told, *run) for run in _runs(scheme, here)]
    seen = {row[5] for row in rows}
    rows += [
        (name, None, None, None, None, rank, tier.name, str(tier.rule), None, None)
        for rank, tier in enumerate(scheme.tiers, start=1)
        if rank not in seen
    ]
    kinds = dict.fromkeys(("band_lower", "band_upper"), "float64") | dict.fromkeys(
        ("rank", "first_day", "last_day"), "Int64"
    )
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(kinds)


def _chosen(scheme: TierScheme, variable: str | None) -> str | None:
    """The variable asked for; else the balance, where the rules look at it, else the first that they look at."""
    known = [each if isinstance(each, str) else each.name for each in scheme.variables]
    if variable is not None:
        if variable not in known:
            raise InputError(
                f"variable: the scheme has no {variable!r}.{did_you_mean(str(variable), known)} It has "
                f"{', '.join(map(repr, known)) or 'none'}."
            )
        return variable
    used = [name for name in known if name in _used(scheme)]
    return "balance" if "balance" in used else next(iter(used), None)


def _used(scheme: TierScheme) -> Mapping[str, list[float]]:
    """The thresholds that the rules have, by variable."""
    found = dict[str, set[float]]()
    for tier in scheme.tiers:
        for condition in itertools.chain.from_iterable(tier.rule.alternatives):
            if condition.variable != IDLE_DAYS:
                found.setdefault(condition.variable, set()).add(condition.threshold)
    return {name: sorted(cuts) for name, cuts in found.items()}


def _bands(cuts: Sequence[float]) -> list[Band]:
    labels = band_labels(cuts) if cuts else ["all users"]
    return list(zip(labels, [None, *cuts], [*cuts, None], strict=True))


def _inside(low: float | None, high: float | None) -> float:
    """A value within the band: all of them fulfil the same conditions, whose thresholds are the ends of bands."""
    if low is None:
        return 0.0 if high is None else high - max(1.0, abs(high))
    return low + max(1.0, abs(low)) if high is None else (low + high) / 2


def _runs(scheme: TierScheme, values: Mapping[str, float]) -> list[tuple[Any, ...]]:
    """Rank, tier, rule, first and last day of each run of idle days on which users of these values are in one tier."""
    days = np.arange(scheme.idle_days, dtype=np.float64)
    place = places(scheme, {IDLE_DAYS: days, **{name: np.full(days.size, each) for name, each in values.items()}})
    starts = np.flatnonzero(np.diff(place, prepend=-2))
    runs = list[tuple[Any, ...]]()
    for first, end in zip(starts, [*starts[1:], days.size], strict=True):
        if place[first] >= 0:
            tier = scheme.tiers[place[first]]
            runs.append((int(place[first]) + 1, tier.name, str(tier.rule), int(first), int(end) - 1))
    return runs or [(None, None, None, None, None)]
