"""All pairs of groups: a test of each, adjusted for their number, and how far the two lie from each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import FollowUpError, InputError
from churnsurv.numerics import group_effects
from churnsurv.numerics.group_effects import Areas
from churnsurv.numerics.logrank import logrank_of_sets
from churnsurv.numerics.logrank_counts import GroupCounts, GroupRows, count_groups
from churnsurv.numerics.logrank_weights import Weighting, weighting_of
from churnsurv.survival.inputs import SurvivalData, check_level
from churnsurv.survival.multiplicity import adjusted, check_adjust, holds_together
from churnsurv.survival.tests_ import (
    WeightingName,
    groups_compared,
    limits,
    method_name,
    note_text,
    rows_of,
    said_of,
)
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PairwiseTests", "pairwise_logrank"]

Floats: TypeAlias = NDArray[np.float64]

# What the methods hold down: the chance of any false finding (then limits can hold together), or the share of them.
_MOST_GROUPS = 100  # 4,950 pairs
_NAMED = 12


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PairwiseTests(Result):
    """Tests of all pairs of groups; made by `pairwise_logrank`.

    Attributes
    ----------
    method : str
        Which test, in words.
    groups : tuple of str
    level : float
        Of the limits.
    adjust : str
        How the p-values are adjusted.
    limits : str
        "simultaneous" (Bonferroni: all intervals hold together at `level`) or "each alone".
    cluster : str or None
    """

    _schema: ClassVar[str] = "pairwise"

    method: str
    groups: tuple[str, ...]
    level: float
    adjust: str
    limits: str
    cluster: str | None
    _pairs: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each pair; the group that stands first is the reference."""
        return self._pairs.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios of the pairs with their intervals."""
        from churnsurv.plots import forest

        table = self._pairs[self._pairs["hazard_ratio"].notna()]
        drawn = table.assign(
            term=table["group"] + " - " + table["reference"], variable="", category=None, reference=None
        )
        axes: Axes = forest(drawn, ax, level=self.level)
        return axes

    def _headline(self) -> str:
        known = self._pairs.dropna(subset="p_value").sort_values(["p_adjusted", "p_value"], kind="stable")
        first, n = known.iloc[0], len(self._pairs)
        p = f"{first['p_adjusted']:.3f}" if first["p_adjusted"] >= 0.001 else "< 0.001"
        return (
            f"{self.method}, {n} pair{'s' if n > 1 else ''} of {len(self.groups)} groups; clearest: {first['group']} "
            f"against {first['reference']}, hazard ratio {first['hazard_ratio']:.3g}, adjusted p ({self.adjust}) {p}"
        )

    def _facts(self) -> dict[str, Any]:
        mine = {"method": self.method, "groups": list(self.groups), "adjust": self.adjust, "limits": self.limits}
        return {**mine, **self._said}


def pairwise_logrank(
    data: Any,
    *,
    by: str | Sequence[str],
    adjust: str = "holm",
    strata: str | Sequence[str] | None = None,
    weighting: WeightingName = "log-rank",
    horizon: float | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> PairwiseTests:
    """Test each pair of groups, and say how far the two differ.

    Parameters
    ----------
    data : Spells, or any table
    by : str or sequence of str
        Columns whose values make the groups; missing values form the category "(missing)".
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        Adjustment of the p-values for the number of pairs. With the first three the limits are Bonferroni's, so that
        all intervals of a kind hold together; else each interval holds alone.
    strata, weighting, cluster, weights, weights_kind, duration, event, entry
        As in `logrank`; a pair is tested as if there were no other groups.
    horizon : float, optional
        Days: the difference of mean days until churn before it stands beside each test.
    level : float
        Of the limits.

    Returns
    -------
    PairwiseTests
        ``.table`` has a row a pair: statistic and p-values, the hazard ratio of Cox's model of the two groups (same
        strata and clusters) and the difference of restricted means. A pair that cannot be tested has nulls and a note.

    Raises
    ------
    InputError
        If there is one group only or no pair can be tested, or an argument is not known.
    FollowUpError
        If the horizon lies beyond the last day of a group.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5, 7, 9, 4, 8, 9], "churned": 1, "plan": list("abacbaccb")})
    >>> tests = pairwise_logrank(data, by="plan")
    >>> tests.table[["group", "reference", "statistic", "p_value", "p_adjusted", "hazard_ratio"]].round(3)
      group reference  statistic  p_value  p_adjusted  hazard_ratio
    0     b         a      0.074    0.786         1.0         0.834
    1     c         a      0.016    0.898         1.0         1.096
    2     c         b      0.265    0.607         1.0         1.605
    """
    level, chosen = check_level(level), weighting_of(weighting)
    check_adjust(adjust)
    checked = groups_compared(
        "pairwise_logrank", data, by=by, strata=strata, cluster=cluster, weights=weights, weights_kind=weights_kind,
        duration=duration, event=event, entry=entry,
    )  # fmt: skip
    labels = checked.group_labels
    if len(labels) > _MOST_GROUPS:
        raise InputError(
            f"{len(labels)} groups make {len(labels) * (len(labels) - 1) // 2:,} pairs, too many to compare "
            f"({_MOST_GROUPS} groups are the most). Join groups, or test all of them together with logrank."
        )
    rows = rows_of(checked)
    counts = count_groups(rows)
    areas = None if horizon is None else _areas(counts, rows, labels, horizon)
    pairs = _tested(counts, rows, checked, chosen)
    if np.isnan(pairs.p_value).all():
        raise InputError(f"no pair of groups can be tested: {pairs.notes[0]}. Check the groups and the event column.")
    together = holds_together(adjust)
    return PairwiseTests(
        method=method_name(chosen, checked),
        groups=labels,
        level=level,
        adjust=adjust,
        limits="simultaneous" if together else "each alone",
        cluster=checked.cluster_name,
        _pairs=_table(pairs, areas, horizon, labels, adjust=adjust, alpha=(1 - level) / (pairs.n if together else 1)),
        _said={**said_of(checked, by, strata, chosen, level), "horizon": horizon, **checked.source},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """One value a pair, (n_pairs,)."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    statistic: Floats
    p_value: Floats
    log_ratio: Floats
    std_error: Floats
    notes: tuple[str | None, ...]

    @property
    def n(self) -> int:
        return int(self.first.size)


def _tested(counts: GroupCounts, rows: GroupRows, checked: SurvivalData, weighting: Weighting) -> _Pairs:
    labels = checked.group_labels
    pairs = list(combinations(range(len(labels)), 2))
    values = np.full((len(pairs), 4), np.nan)
    notes: list[str | None] = []
    for row, (a, b) in zip(values, pairs, strict=True):
        sets = counts.sets.of_groups((a, b))
        own = rows.of_groups((a, b)) if rows.robust else None
        ratio = group_effects.log_ratios(sets, own)
        row[2:] = ratio.estimate[1], ratio.std_error[1]
        note = note_text(ratio.note[1], labels[b], labels[a])
        try:
            test = logrank_of_sets(sets, own, weighting=weighting)
            row[:2] = test.statistic, test.p_value
        except InputError as error:
            note = str(error).split(":")[0]
        notes.append(note)
    first, second = np.array(pairs).T
    statistic, p_value, log_ratio, std_error = values.T
    return _Pairs(first, second, statistic, p_value, log_ratio, std_error, tuple(notes))


def _areas(counts: GroupCounts, rows: GroupRows, labels: tuple[str, ...], horizon: float) -> Areas:
    if not isinstance(horizon, (int, float, np.integer, np.floating)) or not (np.isfinite(horizon) and horizon > 0):
        raise InputError(f"horizon must be a number of days > 0, such as 90; got {horizon!r}.")
    short = {
        label: steps.time[-1].item()
        for label, steps in zip(labels, counts.curves, strict=True)
        if steps.time.size and steps.time[-1] < horizon
    }
    if short:
        named = ", ".join(f"{label!r} day {day}" for label, day in list(short.items())[:_NAMED])
        more = f" and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
        raise FollowUpError(
            f"nobody was followed to day {horizon}; last days: {named}{more}. Take a horizon of "
            f"{min(short.values())} at most, or leave these groups out."
        )
    return group_effects.areas(counts, float(horizon), rows)


def _table(
    pairs: _Pairs,
    areas: Areas | None,
    horizon: float | None,
    labels: tuple[str, ...],
    *,
    adjust: str,
    alpha: float,
) -> pd.DataFrame:
    import pandas as pd
    from scipy.special import ndtri

    reach = -float(ndtri(alpha / 2))
    names = np.array(labels, dtype=object)
    low, high = limits(pairs.log_ratio, pairs.std_error, reach)
    with np.errstate(over="ignore", under="ignore"):
        ratio, hr_lower, hr_upper = (np.exp(values) for values in (pairs.log_ratio, low, high))
    difference = np.full((2, pairs.n), np.nan)
    if areas is not None:
        difference = np.array([areas.difference(b, a) for a, b in zip(pairs.first, pairs.second, strict=True)]).T
    lower, upper = limits(difference[0], difference[1], reach)
    return pd.DataFrame(
        {
            "group": names[pairs.second],
            "reference": names[pairs.first],
            "statistic": pairs.statistic,
            "p_value": pairs.p_value,
            "p_adjusted": adjusted(pairs.p_value, adjust),
            "hazard_ratio": ratio,
            "hr_lower": hr_lower,
            "hr_upper": hr_upper,
            "rmst_difference": difference[0],
            "rmst_lower": lower,
            "rmst_upper": upper,
            "horizon": np.nan if horizon is None else float(horizon),
            "note": pd.Series(pairs.notes, dtype=object),
        }
    )
