"""The rows of a profile: cumulative shares of both groups of users and, over a common window, their tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.profile_cuts import Variable
from churnsurv.diagnosis.profile_users import ProfileUsers
from churnsurv.numerics.two_groups import (
    cut_tests,
    difference_limits,
    ratio_correlation,
    ratio_limits,
    share_limits,
    simultaneous_critical,
)
from churnsurv.survival.multiplicity import adjusted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Groups", "compared", "described"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of users by `by`.

    Attributes
    ----------
    codes : (n_users,) int64
    labels : tuple of str
    columns : DataFrame
        The columns of `by` for each group.
    small : tuple of str
        Groups that were pooled as "other".
    """

    codes: Ints
    labels: tuple[str, ...]
    columns: pd.DataFrame
    small: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Users of a group who have a value of a variable, and those at or below each cut."""

    group: str
    variable: str
    cuts: Floats
    numbers: Floats
    churned: NDArray[np.bool_]
    n_churned: int
    n_retained: int
    churned_below: Ints
    retained_below: Ints

    @property
    def below(self) -> Ints:
        return self.churned_below + self.retained_below

    @property
    def n(self) -> int:
        return self.n_churned + self.n_retained


def described(
    groups: Groups,
    users: ProfileUsers,
    variables: Sequence[Variable],
    cuts: Mapping[str, Floats],
    *,
    given: Collection[str],
    level: float,
) -> list[Row]:
    """Return the rows of the whole spell: counts and shares, and no comparison."""
    return [row for counts in _counted(groups, users, variables, cuts, given) for row in _shares(counts, level)]


def compared(
    groups: Groups,
    users: ProfileUsers,
    variables: Sequence[Variable],
    cuts: Mapping[str, Floats],
    *,
    given: Collection[str],
    adjust: str,
    together: bool,
    level: float,
) -> list[Row]:
    """Return the rows of the early window: shares, risk ratios, tests, and the suggested cut of each variable.

    Cuts of variables that are not `given` are left out where they leave all users of a group on one side.
    """
    every = list(_counted(groups, users, variables, cuts, given))
    tests = [cut_tests(counts.n, counts.n_churned, counts.below, counts.churned_below) for counts in every]
    tested = [~np.isnan(each.statistic) for each in tests]
    critical = _critical(groups.labels, every, tested, level, together=together)
    best = np.array(
        [np.nan if each.best is None else each.search_p_value[each.best] for each in tests], dtype=np.float64
    )
    rows: list[Row] = []
    for counts, test, shown, p in zip(every, tests, tested, adjusted(best, adjust), strict=True):
        ratios = _ratios(counts, shown, critical)
        for place, row in enumerate(_shares(counts, level)):
            suggested = place == test.best
            rows.append(
                row
                | {name: float(values[place]) for name, values in ratios.items()}
                | {
                    "statistic": float(test.statistic[place]),
                    "p_value": float(test.p_value[place]),
                    "search_p_value": float(test.search_p_value[place]),
                    "adjusted_p_value": float(p) if suggested else np.nan,
                    "suggested": suggested,
                }
            )
    return rows


def _counted(
    groups: Groups,
    users: ProfileUsers,
    variables: Sequence[Variable],
    cuts: Mapping[str, Floats],
    given: Collection[str],
) -> Iterator[_Counts]:
    for code, label in enumerate(groups.labels):
        mine = groups.codes == code
        churned = users.churned[mine]
        for variable in variables:
            x = users.numbers[variable.name][mine]
            there = ~np.isnan(x)
            gone, stayed = np.sort(x[there & churned]), np.sort(x[there & ~churned])
            cut = cuts[variable.name]
            below = [np.searchsorted(side, cut, side="right").astype(np.int64) for side in (gone, stayed)]
            if variable.name not in given:
                parting = (below[0] + below[1] > 0) & (below[0] + below[1] < gone.size + stayed.size)
                cut, below = cut[parting], [each[parting] for each in below]
            yield _Counts(label, variable.name, cut, x, churned, gone.size, stayed.size, below[0], below[1])


def _critical(
    labels: Sequence[str],
    every: Sequence[_Counts],
    tested: Sequence[NDArray[np.bool_]],
    level: float,
    *,
    together: bool,
) -> float:
    """The quantile that all limits share; users of different groups are independent."""
    blocks: list[Floats] = [np.ones((1, 1))]
    if together:
        blocks = []
        for label in labels:
            mine = [(each, shown) for each, shown in zip(every, tested, strict=True) if each.group == label]
            mine = [(each, shown) for each, shown in mine if shown.any()]
            if mine:
                cuts = [each.cuts[shown] for each, shown in mine]
                blocks.append(ratio_correlation([each.numbers for each, _ in mine], cuts, mine[0][0].churned))
    return simultaneous_critical(blocks, level)


def _shares(counts: _Counts, level: float) -> list[Row]:
    churned, retained = _share(counts.churned_below, counts.n_churned), _share(counts.retained_below, counts.n_retained)
    limits = [
        share_limits(below, np.full(len(below), n), level)
        for below, n in ((counts.churned_below, counts.n_churned), (counts.retained_below, counts.n_retained))
    ]
    return [
        {
            "group": counts.group,
            "variable": counts.variable,
            "cut": float(cut),
            "n_churned": counts.n_churned,
            "n_retained": counts.n_retained,
            "share_churned": float(churned[place]),
            "churned_lower": float(limits[0].lower[place]),
            "churned_upper": float(limits[0].upper[place]),
            "share_retained": float(retained[place]),
            "retained_lower": float(limits[1].lower[place]),
            "retained_upper": float(limits[1].upper[place]),
            "difference": float(churned[place] - retained[place]),
        }
        for place, cut in enumerate(counts.cuts)
    ]


def _ratios(counts: _Counts, shown: NDArray[np.bool_], critical: float) -> dict[str, Floats]:
    """Differences of shares and ratios of risks with their limits; null where a cut is not tested."""
    above, churned_above = counts.n - counts.below, counts.n_churned - counts.churned_below
    low, high = _share(counts.churned_below, counts.below), _share(churned_above, above)
    out = {name: np.full(len(counts.cuts), np.nan) for name in _RATIOS} | {"risk_below": low, "risk_above": high}
    sides = (counts.churned_below, np.full(len(low), counts.n_churned), counts.retained_below)
    differences = difference_limits(*sides, np.full(len(low), counts.n_retained), critical)
    ratios = ratio_limits(
        counts.churned_below[shown], counts.below[shown], churned_above[shown], above[shown], critical
    )
    with np.errstate(divide="ignore"):
        out["risk_ratio"][shown] = low[shown] / high[shown]
    out["lower"][shown], out["upper"][shown] = ratios.lower, ratios.upper
    out["difference_lower"][shown] = differences.lower[shown]
    out["difference_upper"][shown] = differences.upper[shown]
    return out


_RATIOS = ("difference_lower", "difference_upper", "risk_below", "risk_above", "risk_ratio", "lower", "upper")


def _share(part: Ints, whole: Ints | int) -> Floats:
    size = np.broadcast_to(np.asarray(whole, dtype=np.float64), part.shape)
    shares = np.full(part.shape, np.nan)
    np.divide(part, size, out=shares, where=size > 0)
    return shares
