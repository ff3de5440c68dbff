"""Restricted mean survival times: how many days users stay up to a horizon, and how groups differ in that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.rmst import area_under_curve, clustered_area_influence
from churnsurv.survival.curve_data import GroupData, group_data, named_groups, refuse_beyond
from churnsurv.survival.factors import group_columns
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.multiplicity import adjusted, check_adjust
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["RMST", "RMSTDifference", "rmst", "rmst_difference"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RMST(Result):
    """Restricted means by group; made by `rmst`.

    Attributes
    ----------
    groups : tuple of str
    horizon : float
        Days.
    level : float
        Of the intervals.
    cluster : str or None
        The column by which standard errors are clustered.
    weights : str or None
    weights_kind : {"frequency", "sampling"}, or None

    Examples
    --------
    >>> import pandas as pd
    >>> rmst(pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]}), horizon=50).groups
    ('all',)
    """

    _schema: ClassVar[str] = "rmst"

    groups: tuple[str, ...]
    horizon: float
    level: float
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    _values: Mapping[str, NDArray[Any]]
    _by: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each group."""
        import pandas as pd

        return pd.DataFrame({"group": list(self.groups), **self._values}).join(self._by)

    def _headline(self) -> str:
        table = self.table
        shown = ", ".join(
            f"{row.group} {row.estimate:.4g} ({row.lower:.4g} to {row.upper:.4g})"
            for row in table.head(3).itertuples(index=False)
        )
        more = ", ..." if len(table) > 3 else ""
        return f"mean days until churn within {self.horizon:g}, {100 * self.level:g}% intervals: {shown}{more}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the means with their intervals."""
        from churnsurv.plots.differences import day_means

        axes: Axes = day_means(self.table, ax, level=self.level)
        return axes

    def _facts(self) -> dict[str, Any]:
        mine = {"horizon": self.horizon, "level": self.level, "cluster": self.cluster, "weights": self.weights}
        return {**mine, "weights_kind": self.weights_kind, **self._said}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RMSTDifference(Result):
    """Restricted means of groups against a reference; made by `rmst_difference`.

    Attributes
    ----------
    groups : tuple of str
        Without the reference.
    reference : str
    horizon : float
        Days.
    level : float
        Of the intervals, each of which holds alone; `adjust` concerns p-values.
    adjust : str
        How the p-values are adjusted for the number of comparisons.
    cluster : str or None
    weights : str or None
    weights_kind : {"frequency", "sampling"}, or None
    covariance : (n_groups, n_groups) float64
        Of the differences.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [30, 45, 45, 60] * 2, "churned": [True, True, False, False] * 2,
    ...     "channel": ["search"] * 4 + ["friend"] * 4})
    >>> rmst_difference(data, by="channel", horizon=40).reference
    'friend'
    """

    _schema: ClassVar[str] = "rmst_difference"

    groups: tuple[str, ...]
    reference: str
    horizon: float
    level: float
    adjust: str
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    covariance: Floats
    _values: Mapping[str, Floats]
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each group but the reference."""
        import pandas as pd

        front = {"group": list(self.groups), "reference": self.reference, "horizon": self.horizon}
        return pd.DataFrame({**front, **self._values})

    def _headline(self) -> str:
        values, k = self._values, len(self.groups)
        p = np.nan_to_num(values["p_adjusted"], nan=2.0)
        first = int(np.lexsort((-np.abs(values["estimate"]), p))[0])
        said = "no p-value" if p[first] > 1 else "p < 0.001" if p[first] < 0.001 else f"p = {p[first]:.3f}"
        count = f"{k} comparisons, {self.adjust}; clearest: " if k > 1 else ""
        estimate, low, high = (float(values[name][first]) for name in ("estimate", "lower", "upper"))
        return (
            f"{count}{self.groups[first]} - {self.reference}: {estimate:+.4g} days within {self.horizon:g}, "
            f"{100 * self.level:g}% interval {low:.4g} to {high:.4g}, {said}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the differences with their intervals."""
        from churnsurv.plots.differences import day_differences

        axes: Axes = day_differences(self.table, ax, level=self.level)
        return axes

    def _facts(self) -> dict[str, Any]:
        mine = {
            "horizon": self.horizon,
            "reference": self.reference,
            "level": self.level,
            "limits": "each alone",
            "adjust": self.adjust,
            "cluster": self.cluster,
            "weights": self.weights,
            "weights_kind": self.weights_kind,
        }
        return {**mine, **self._said}


def rmst(
    data: Any,
    *,
    horizon: float,
    by: str | Sequence[str] | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    weights: str | None = None,
    weights_kind: str | None = None,
    cluster: str | None = "auto",
    level: float = 0.95,
) -> RMST:
    """Estimate the mean number of days until churn within a horizon: the area under the survival curve.

    Parameters
    ----------
    data : Spells, or any table
    horizon : number
        Days > 0.
    by : str or sequence of str, optional
        Columns that split the result; missing values form the category "(missing)".
    duration, event, entry, weights, weights_kind, cluster
        As in `kaplan_meier`.
    level : float
        Confidence level.

    Returns
    -------
    RMST
        Standard errors of Greenwood's type (Klein and Moeschberger 2003, section 4.5), or by the infinitesimal
        jackknife where there are clusters or sampling weights. The interval is symmetric, cut to 0 and the horizon.
        Days until formal churn: a spell of one login counts the days of the churn rule.

    Raises
    ------
    FollowUpError
        If nobody of a group was followed to the horizon, and some of it may be left.
    InputError
        If nobody is at risk, or the horizon is no number of days.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [30, 45, 45, 60], "churned": [True, True, False, False]})
    >>> found = rmst(data, horizon=50)
    >>> found.table[["horizon", "estimate", "std_error", "n", "n_events"]].round(3)
       horizon  estimate  std_error  n  n_events
    0     50.0     43.75      4.098  4         2
    """
    horizon, level = _checked_horizon(horizon), check_level(level)
    checked = survival_data(
        data, by=by, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind,
    )  # fmt: skip
    beside = group_columns(checked.by, "rmst")
    groups = group_data(checked)
    refuse_beyond(groups, horizon)
    area, covariance = _areas(groups, horizon, shared=checked.cluster_codes is not None)
    error = np.sqrt(np.diag(covariance))
    reach = _reach(level) * error
    values: dict[str, NDArray[Any]] = {
        "horizon": np.full(len(groups), horizon),
        "estimate": area,
        "std_error": error,
        "lower": np.maximum(area - reach, 0.0),
        "upper": np.minimum(area + reach, horizon),
        "n": np.array([group.n for group in groups]),
        "n_events": np.array([_events_before(group, horizon) for group in groups]),
    }
    return RMST(
        groups=tuple(group.label for group in groups),
        horizon=horizon,
        level=level,
        cluster=checked.cluster_name,
        weights=weights,
        weights_kind=weights_kind,
        _values=_frozen(values),
        _by=beside.take([group.position for group in groups]).reset_index(drop=True),
        _said=_said(checked, groups),
    )


def rmst_difference(
    data: Any,
    *,
    by: str | Sequence[str],
    horizon: float,
    reference: str | Mapping[str, object] | None = None,
    adjust: str = "holm",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    weights: str | None = None,
    weights_kind: str | None = None,
    cluster: str | None = "auto",
    level: float = 0.95,
) -> RMSTDifference:
    """Compare the mean number of days until churn within a horizon between groups.

    Parameters
    ----------
    data : Spells, or any table
    by : str or sequence of str
        Columns whose values make the groups; missing values form the category "(missing)".
    horizon : number
        Days > 0.
    reference : str or mapping, optional
        The group that the others are compared with: its label, or its value of each `by` column, as in
        ``{"channel": "organic"}``. The default is the first.
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        Adjustment of the p-values for the number of comparisons. Limits hold at `level` each alone.
    duration, event, entry, weights, weights_kind, cluster
        As in `kaplan_meier`. Clusters that have rows in several groups make these depend on each other, which is taken
        into account.
    level : float
        Confidence level.

    Returns
    -------
    RMSTDifference
        Differences in days (Wald), and ratios with limits that are symmetric on the log scale. Where nobody of either
        group churned before the horizon, there is no standard error to test with, and the p-value is null.

    Raises
    ------
    FollowUpError
        If nobody of a group was followed to the horizon, and some of it may be left.
    InputError
        If there is one group only, or no group is the reference named.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120],
    ...     "churned": [True, True, True, False, True, True, True, False],
    ...     "channel": ["search"] * 4 + ["friend"] * 4,
    ... })
    >>> found = rmst_difference(data, by="channel", horizon=60, reference="search")
    >>> found.table[["group", "reference", "estimate", "std_error", "p_adjusted", "ratio"]].round(3)
        group reference  estimate  std_error  p_adjusted  ratio
    0  friend    search       7.0      9.067        0.44  1.151
    """
    horizon, level = _checked_horizon(horizon), check_level(level)
    names = column_list("by", by)
    check_adjust(adjust)
    if not names:
        raise InputError("rmst_difference needs `by`: the column whose groups are compared.")
    checked = survival_data(
        data, by=names, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind,
    )  # fmt: skip
    groups = group_data(checked)
    against = _reference(groups, checked, names, reference)
    refuse_beyond(groups, horizon)
    area, covariance = _areas(groups, horizon, shared=checked.cluster_codes is not None)
    others = [g for g in range(len(groups)) if g != against]
    contrast = np.eye(len(groups))[others]
    contrast[:, against] = -1.0
    differences = contrast @ covariance @ contrast.T
    values = _compared(area, covariance, others, against, adjust=adjust, level=level)
    differences.setflags(write=False)
    return RMSTDifference(
        groups=tuple(groups[g].label for g in others),
        reference=groups[against].label,
        horizon=horizon,
        level=level,
        adjust=adjust,
        cluster=checked.cluster_name,
        weights=weights,
        weights_kind=weights_kind,
        covariance=differences,
        _values=_frozen(values),
        _said=_said(checked, groups),
    )


def _checked_horizon(horizon: Any) -> float:
    number = isinstance(horizon, (int, float, np.integer, np.floating)) and not isinstance(horizon, bool)
    if not (number and np.isfinite(horizon) and horizon > 0):
        raise InputError(f"horizon must be a number of days > 0, such as 365; got {horizon!r}.")
    return float(horizon)


def _areas(groups: Sequence[GroupData], horizon: float, *, shared: bool) -> tuple[Floats, Floats]:
    """The restricted means and their covariance; groups depend on each other where clusters are `shared` by them."""
    found = [area_under_curve(group.steps, horizon=horizon) for group in groups]
    area = np.array([one.area for one in found])
    covariance = np.diag(np.array([one.std_error for one in found]) ** 2)
    if groups[0].rows is None:
        return area, covariance
    influence = [
        clustered_area_influence(group.steps, one.remaining, group.rows)
        for group, one in zip(groups, found, strict=True)
        if group.rows is not None
    ]
    if shared:
        stacked = np.stack(influence)
        return area, np.asarray(stacked @ stacked.T)
    return area, np.diag([part @ part for part in influence])


def _compared(
    area: Floats, covariance: Floats, others: Sequence[int], against: int, *, adjust: str, level: float
) -> dict[str, Floats]:
    from scipy.special import ndtr

    variance = np.diag(covariance)
    shared = covariance[others, against]
    estimate = area[others] - area[against]
    error = np.sqrt(np.maximum(variance[others] + variance[against] - 2 * shared, 0.0))
    statistic = np.divide(estimate, error, out=np.full(error.shape, np.nan), where=error > 0)
    p_value = 2 * ndtr(-np.abs(statistic))
    exists = (area[others] > 0) & (area[against] > 0)
    above, below = np.where(exists, area[others], np.nan), np.where(exists, area[against], np.nan)
    log_variance = variance[others] / above**2 + variance[against] / below**2 - 2 * shared / (above * below)
    reach = _reach(level)
    factor = np.exp(reach * np.sqrt(np.maximum(log_variance, 0.0)))
    return {
        "estimate": estimate,
        "std_error": error,
        "statistic": statistic,
        "p_value": p_value,
        "p_adjusted": adjusted(p_value, adjust),
        "lower": estimate - reach * error,
        "upper": estimate + reach * error,
        "ratio": above / below,
        "ratio_lower": above / below / factor,
        "ratio_upper": above / below * factor,
    }


def _reach(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _reference(
    groups: Sequence[GroupData],
    checked: SurvivalData,
    names: Sequence[str],
    reference: str | Mapping[str, object] | None,
) -> int:
    """Position of the reference among the groups."""
    labels = [group.label for group in groups]
    if len(groups) < 2:
        raise InputError(
            f"there is one group only of {', '.join(map(repr, names))} with anybody at risk ({labels[0]!r}): a "
            "difference needs two or more. Check the filters that made the table."
        )
    if reference is None:
        return 0
    if isinstance(reference, Mapping):
        if sorted(map(str, reference)) != sorted(names):
            raise InputError(
                f"reference names {', '.join(map(repr, reference)) or 'no column'}, but the groups are made by "
                f"{', '.join(map(repr, names))}. Give one value of each."
            )
        for place, group in enumerate(groups):
            values = checked.by.iloc[group.position]
            if all(values[name] == reference[name] for name in names):
                return place
        wanted = " | ".join(str(reference[name]) for name in names)
    else:
        wanted = str(reference)
    if wanted not in labels:
        raise InputError(
            f"no group is called {wanted!r}.{did_you_mean(wanted, labels)} Groups: "
            f"{named_groups(list(map(repr, labels)))}."
        )
    return labels.index(wanted)


def _events_before(group: GroupData, horizon: float) -> int:
    before = int(np.searchsorted(group.counts.time, horizon, side="left"))
    return int(group.counts.n_events[0, :before].sum())


def _said(checked: SurvivalData, groups: Sequence[GroupData]) -> dict[str, Any]:
    return {
        "by": list(checked.by.columns),
        "n_clusters": checked.n_clusters,
        "n_no_risk": checked.n_no_risk,
        "last_day": {group.label: group.last_day for group in groups},
        **checked.source,
    }


def _frozen(values: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for array in values.values():
        array.setflags(write=False)
    return values
