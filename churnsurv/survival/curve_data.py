"""What curves and areas under them need of each group, from checked rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError
from churnsurv.notes import note
from churnsurv.numerics.cluster import ClusteredRows, clustered_rows, clustered_survival_error
from churnsurv.numerics.day_counts import DayCounts, counts_by_group
from churnsurv.numerics.kaplan_meier import CurveCiType, KaplanMeier
from churnsurv.numerics.weighted_counts import Steps, frequency_counts, steps_of, weighted_steps
from churnsurv.survival.inputs import SurvivalData

__all__ = ["GroupData", "at_times", "days_asked", "group_data", "named_groups", "refuse_beyond", "row_times"]

Floats: TypeAlias = NDArray[np.float64]

_NAMED = 12  # groups that an error names before it says "and n more"


@dataclass(frozen=True, slots=True, eq=False)
class GroupData:
    """One group with somebody at risk.

    Attributes
    ----------
    label : str
    position : int
        Of the group among all groups of the data.
    counts : DayCounts
        Rows; users, where weights are frequencies.
    steps : Steps
        At risk and churned, weights of either kind in them.
    rows : ClusteredRows or None
        The rows, where standard errors need them: clusters, sampling weights.
    """

    label: str
    position: int
    counts: DayCounts
    steps: Steps
    rows: ClusteredRows | None

    @property
    def last_day(self) -> int | float:
        """The last day to which anybody was followed."""
        day: int | float = self.counts.time[-1].item()
        return day

    @property
    def first_day(self) -> int | float:
        """The day after which anybody was at risk first."""
        entries = self.counts.entry_time
        day: int | float = entries[0].item() if entries.size else 0
        return day

    @property
    def n(self) -> int:
        """Rows or users, also those who were never at risk."""
        return int(self.counts.n_rows[0] + self.counts.n_no_risk[0])

    @property
    def n_events(self) -> int:
        """Churns."""
        return int(self.counts.n_events.sum())

    @property
    def runs_out(self) -> bool:
        """Whether survival reaches 0: nobody can be left after that."""
        return bool((self.steps.n_events == self.steps.n_at_risk).any())

    def std_error(self) -> Floats | None:
        """The standard error of survival where Greenwood's does not hold."""
        return None if self.rows is None else clustered_survival_error(self.steps, self.rows)


def group_data(checked: SurvivalData) -> list[GroupData]:
    """Return the groups with anybody at risk; the others are named in a warning.

    Parameters
    ----------
    checked : SurvivalData

    Raises
    ------
    InputError
        If nobody is at risk.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival.inputs import survival_data
    >>> checked = survival_data(pd.DataFrame({"duration": [3, 4], "churned": [True, False], "g": ["b", "a"]}), by="g")
    >>> [(group.label, group.last_day) for group in group_data(checked)]
    [('a', 4), ('b', 3)]
    """
    n_groups = len(checked.group_labels)
    counts = counts_by_group(
        checked.duration, checked.churned, entry=checked.entry, group=checked.group_codes, n_groups=n_groups
    )
    kept = [g for g, one in enumerate(counts) if one.n_rows[0] > 0]
    _warn_without(checked, kept)
    if checked.weights is None and checked.cluster_codes is None:
        return [GroupData(checked.group_labels[g], g, counts[g], steps_of(counts[g]), None) for g in kept]
    parts = _rows_by_group(checked.group_codes, n_groups)
    return [_with_rows(checked, g, counts[g], parts[g]) for g in kept]


def _warn_without(checked: SurvivalData, kept: Sequence[int]) -> None:
    """Name the groups without a curve; nobody at risk at all is an error."""
    duration, entry = checked.names.duration, checked.names.entry or "entry"
    without = [label for g, label in enumerate(checked.group_labels) if g not in set(kept)]
    if not kept:
        raise InputError(
            f"nobody is at risk: in all {checked.n_rows} rows {duration} equals {entry}. There is no time to "
            "estimate anything from; take a longer log."
        )
    if without:
        warnings.warn(
            note(
                "no curve for {groups}: nobody of the group is ever at risk ({duration} equals {entry}).",
                groups=named_groups(list(map(repr, without))),
                duration=duration,
                entry=entry,
            ),
            ChurnsurvWarning,
            stacklevel=4,
        )


def named_groups(texts: Sequence[str]) -> str:
    """List a few, and say how many more there are.

    Examples
    --------
    >>> named_groups(["'a'", "'b'"])
    "'a', 'b'"
    """
    some, n_more = ", ".join(texts[:_NAMED]), len(texts) - _NAMED
    return note("{some} and {n} more", some=some, n=n_more) if n_more > 0 else some


def _rows_by_group(codes: NDArray[np.integer[Any]] | None, n_groups: int) -> list[Any]:
    """Positions of the rows of each group."""
    if codes is None:
        return [slice(None)]
    ends = np.cumsum(np.bincount(codes, minlength=n_groups))
    return np.split(np.argsort(codes, kind="stable"), ends[:-1])


def _with_rows(checked: SurvivalData, group: int, counts: DayCounts, at: Any) -> GroupData:
    """One group with weights, clusters, or both."""
    duration, churned = checked.duration[at], checked.churned[at]
    entry = None if checked.entry is None else checked.entry[at]
    weights = None if checked.weights is None else checked.weights[at]
    steps = steps_of(counts)
    if weights is not None and checked.weights_kind == "frequency":
        counts = frequency_counts(counts, duration, churned, weights, entry=entry)
        steps = steps_of(counts)
    elif weights is not None:
        steps = weighted_steps(counts, duration, churned, weights, entry=entry)
    rows = None
    if checked.cluster_codes is not None or checked.sampling is not None:
        own = checked.cluster_codes is None
        cluster = np.arange(duration.size) if own else np.asarray(checked.cluster_codes)[at]
        n_clusters = duration.size if own else checked.n_clusters
        rows = clustered_rows(
            counts.time, duration, churned, cluster, entry=entry, weights=weights, n_clusters=n_clusters
        )
    return GroupData(checked.group_labels[group], group, counts, steps, rows)


def days_asked(times: ArrayLike, what: str = "times") -> NDArray[Any]:
    """Return days as an array, or say why they are none.

    Examples
    --------
    >>> days_asked(30).tolist()
    [30]
    """
    days = np.atleast_1d(np.asarray(times))
    if days.ndim != 1 or days.dtype.kind not in "iuf" or not (np.isfinite(days) & (days >= 0)).all():
        raise InputError(f"{what} must be finite numbers of days >= 0; got {times!r}.")
    return days


def refuse_beyond(groups: Sequence[GroupData], day: float) -> None:
    """Raise `FollowUpError` where a day lies beyond the last one of a group of whom some may be left.

    Examples
    --------
    >>> refuse_beyond([], 100)
    """
    beyond = [group for group in groups if day > group.last_day and not group.runs_out]
    if not beyond:
        return
    listed = named_groups([f"{group.label!r} day {group.last_day}" for group in beyond])
    raise FollowUpError(
        f"nobody was followed to day {day}; last days: {listed}. Ask for days up to "
        f"{min(group.last_day for group in beyond)}, or leave these groups out."
    )


def _at_own_times(curve: KaplanMeier, counts: DayCounts) -> dict[str, NDArray[Any]]:
    """The steps of one group at its own times, with one at time 0 in front where there is none."""
    columns: dict[str, NDArray[Any]] = {
        "time": curve.time,
        "survival": curve.survival,
        "std_error": curve.std_error,
        "lower": curve.lower,
        "upper": curve.upper,
        "n_events": counts.n_events[0],
        "n_censored": counts.n_censored[0],
    }
    if curve.time[0] == 0:
        return columns
    start = {"survival": 1.0, "lower": 1.0, "upper": 1.0}
    return {name: np.insert(values, 0, start.get(name, 0)) for name, values in columns.items()}


def row_times(counts: DayCounts) -> NDArray[Any]:
    """Return the times of a group's rows in a table; with the entries among them the next row tells who is at risk.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> row_times(day_counts(np.array([2, 5]), np.array([True, False]))).tolist()
    [0, 2, 5]
    """
    return np.union1d(np.append(counts.time, np.zeros(1, counts.time.dtype)), counts.entry_time)


def at_times(curve: KaplanMeier, counts: DayCounts, days: NDArray[Any], ci: CurveCiType) -> dict[str, NDArray[Any]]:
    """Read a curve and its counts on given days; columns of the schema "curves".

    Examples
    --------
    >>> from churnsurv.numerics.kaplan_meier import kaplan_meier
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> counts = day_counts(np.array([2, 5]), np.array([True, False]))
    >>> at_times(kaplan_meier(counts), counts, np.array([1, 3]), "log-log")["survival"].tolist()
    [1.0, 0.5]
    """
    own = _at_own_times(curve, counts)
    at = np.searchsorted(own["time"], days, side="right") - 1
    exact = own["time"][at] == days
    columns = {name: own[name][at] for name in ("survival", "std_error", "lower", "upper")}
    if ci in ("log-log", "arcsine"):
        # the limits of the row at time 0 are certain there, and only there
        without = (days > 0) & (columns["survival"] == 1)
        columns |= {name: np.where(without, np.nan, columns[name]) for name in ("lower", "upper")}
    return {
        "time": days,
        **columns,
        "n_at_risk": counts.at_risk(days)[0],
        "n_events": np.where(exact, own["n_events"][at], 0),
        "n_censored": np.where(exact, own["n_censored"][at], 0),
    }
