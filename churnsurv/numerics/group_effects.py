"""How far groups differ: hazard ratios and differences of mean time to churn, from the counts of a log-rank test.

Cox's likelihood with a group factor alone depends on the rows only through who is at risk and who churns, by group,
on each day with churn: each risk set is a stratum of its own, with a weighted row for each group and outcome. So the
fit costs the same for a thousand rows as for a hundred million, and late entry is in it. Robust errors, where rows
depend on each other or were drawn, take one pass over the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cluster import clustered_rows
from churnsurv.numerics.cox import CoxData, fit_cox, state_at
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.design import Design, Indicators, design
from churnsurv.numerics.logrank_counts import EventSets, GroupCounts, GroupRows
from churnsurv.numerics.residuals import cluster_covariance
from churnsurv.numerics.risk_sets import risk_sets
from churnsurv.numerics.rmst import area_under_curve, clustered_area_influence

__all__ = ["Areas", "LogRatios", "areas", "common_day", "log_ratios"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LogRatios:
    """Log hazard ratios of each group against the first one, shape (n_groups,).

    Attributes
    ----------
    estimate, std_error : float64
        0 for the first group; NaN where there is no finite estimate.
    note : tuple of str or None
        Why there is none: "no churn", "no churn in the reference", "never at risk with the reference", "separation",
        "too few clusters".
    """

    estimate: Floats
    std_error: Floats
    note: tuple[str | None, ...]


def log_ratios(sets: EventSets, rows: GroupRows | None = None) -> LogRatios:
    """Fit Cox's model, with Efron's ties and the strata of the risk sets, to the group factor alone.

    Parameters
    ----------
    sets : EventSets
    rows : GroupRows, optional
        Read where they are clustered or drawn.

    Examples
    --------
    >>> from churnsurv.numerics.logrank_counts import count_groups
    >>> rows = GroupRows(np.array([1, 2, 3]), np.array([True, True, True]), np.array([0, 1, 0]), 2)
    >>> bool(np.isclose(log_ratios(count_groups(rows).sets).estimate[1], np.log(np.sqrt(2))))
    True
    """
    k = sets.n_groups
    estimate, error = np.full(k, np.nan), np.full(k, np.nan)
    churned = sets.n_churned.sum(axis=0) > 0
    note: list[str | None] = [None if one else "no churn" for one in churned]
    if not churned[0]:
        return LogRatios(estimate, error, tuple(note[:1] + ["no churn in the reference"] * (k - 1)))
    estimate[0] = error[0] = 0.0
    met = _met(sets, np.flatnonzero(churned))
    for g in np.flatnonzero(churned).tolist():
        if g not in met:
            note[g] = "never at risk with the reference"
    if len(met) > 1:
        try:
            estimate[met], error[met] = _fitted(sets.of_groups(met), rows, met)
        except ConvergenceError:
            for g in met[1:]:
                note[g] = "separation"
    if rows is not None and rows.robust and rows.clusters()[1] < len(met):
        for g in met[1:]:
            error[g], note[g] = np.nan, note[g] or "too few clusters"
    read_only(estimate, error)
    return LogRatios(estimate, error, tuple(note))


def _met(sets: EventSets, groups: NDArray[np.intp]) -> list[int]:
    """Groups with churn that meet the first one in a risk set, or meet one that does."""
    there = (sets.n_at_risk[:, groups] > 0).astype(np.float64)
    together = there.T @ there > 0
    reached = np.zeros(groups.size, dtype=np.bool_)
    reached[0] = True
    while True:
        more = together[reached].any(axis=0) | reached
        if (more == reached).all():
            return [int(g) for g in groups[reached]]
        reached = more


def _fitted(sets: EventSets, rows: GroupRows | None, groups: Sequence[int]) -> tuple[Floats, Floats]:
    data = _patterns(sets, sampling=rows is not None and rows.sampling)
    fit = fit_cox(data)
    covariance = fit.inverse_information
    if rows is not None and rows.robust:
        covariance = _robust(rows.of_groups(groups), fit.coefficients, covariance)
    error = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    return np.append(0.0, fit.coefficients), np.append(0.0, error)


def _patterns(sets: EventSets, *, sampling: bool) -> CoxData:
    """A row for each risk set, group and outcome that occurs; each risk set is a stratum."""
    shape = sets.n_at_risk.shape
    index, group = (part.ravel() for part in np.indices(shape))
    stayed = (sets.n_at_risk - sets.n_churned).ravel()
    number = np.concatenate([sets.n_churned.ravel(), stayed])
    kept = np.flatnonzero(number)
    event = kept < group.size
    stratum, codes = index[kept % group.size], group[kept % group.size]
    number = number[kept]
    where = risk_sets(
        np.ones(kept.size, dtype=np.int64),
        event,
        stratum=stratum,
        n_strata=shape[0],
        frequency=np.rint(number).astype(np.int64),
    )
    made = _group_design(codes, sets.n_groups)
    if not sampling:
        return CoxData(made, where, frequency=number)
    left = np.maximum(sets.at_risk - sets.churned, np.finfo(np.float64).tiny).ravel()
    return CoxData(made, where, sampling=np.concatenate([sets.churned.ravel(), left])[kept])


def _robust(rows: GroupRows, coefficients: Floats, inverse_information: Floats) -> Floats:
    frequency = rows.frequency
    where = risk_sets(
        rows.duration,
        rows.churned,
        entry=rows.entry,
        stratum=rows.stratum,
        n_strata=rows.n_strata,
        frequency=None if frequency is None else frequency.astype(np.int64),
    )
    sampling = rows.weights if rows.sampling else None
    data = CoxData(_group_design(rows.group, rows.n_groups), where, frequency=frequency, sampling=sampling)
    return cluster_covariance(data, state_at(data, coefficients), inverse_information, rows.clusters()[0])


def _group_design(codes: NDArray[np.integer[Any]], n_groups: int) -> Design:
    names = tuple(f"group {g}" for g in range(1, n_groups))
    return design([], [], [Indicators(codes.astype(np.int32), names, "group 0")], n_rows=codes.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Mean days until churn before a horizon, by group, shape (n_groups,).

    Attributes
    ----------
    area, std_error : float64
        NaN where nobody of the group is ever at risk.
    by_cluster : (n_clusters, n_groups) float64, or None
        What each cluster adds to the error; groups may share clusters.
    """

    area: Floats
    std_error: Floats
    by_cluster: Floats | None

    def difference(self, group: int, reference: int) -> tuple[float, float]:
        """Return the difference of two areas and its standard error.

        Examples
        --------
        >>> Areas(np.array([3.0, 5.0]), np.array([0.3, 0.4]), None).difference(1, 0)
        (2.0, 0.5)
        """
        if self.by_cluster is None:
            error = float(np.hypot(self.std_error[group], self.std_error[reference]))
        else:
            error = float(np.linalg.norm(self.by_cluster[:, group] - self.by_cluster[:, reference]))
        return float(self.area[group] - self.area[reference]), error


def common_day(counts: GroupCounts) -> float:
    """Return the last day to which every group with somebody at risk was followed.

    Examples
    --------
    >>> from churnsurv.numerics.logrank_counts import count_groups
    >>> common_day(count_groups(GroupRows(np.array([5, 9]), np.array([True, True]), np.array([0, 1]), 2)))
    5.0
    """
    return min((float(steps.time[-1]) for steps in counts.curves if steps.time.size), default=0.0)


def areas(counts: GroupCounts, horizon: float, rows: GroupRows | None = None) -> Areas:
    """Integrate the curve of each group to the horizon, over all strata.

    Parameters
    ----------
    counts : GroupCounts
    horizon : float
        Days > 0, within the follow-up of each group.
    rows : GroupRows, optional
        Read where they are clustered or drawn.

    Examples
    --------
    >>> from churnsurv.numerics.logrank_counts import count_groups
    >>> rows = GroupRows(np.array([1, 2, 2, 4]), np.array([True, True, False, False]), np.array([0, 0, 1, 1]), 2)
    >>> areas(count_groups(rows), 2.0).area.tolist()
    [1.5, 2.0]
    """
    k = len(counts.curves)
    area, error = np.full(k, np.nan), np.full(k, np.nan)
    robust = rows is not None and rows.robust
    by_cluster = np.zeros((rows.clusters()[1], k)) if rows is not None and robust else None
    for g, steps in enumerate(counts.curves):
        if steps.time.size == 0:
            continue
        found = area_under_curve(steps, horizon=horizon)
        area[g], error[g] = found.area, found.std_error
        if rows is None or by_cluster is None:
            continue
        cluster, n_clusters = rows.clusters()
        own = np.flatnonzero(rows.group == g)
        placed = clustered_rows(
            steps.time, rows.duration[own], rows.churned[own], cluster[own],
            entry=None if rows.entry is None else rows.entry[own],
            weights=None if rows.weights is None else rows.weights[own], n_clusters=n_clusters,
        )  # fmt: skip
        by_cluster[:, g] = clustered_area_influence(steps, found.remaining, placed)
        error[g] = np.linalg.norm(by_cluster[:, g])
    read_only(area, error)
    return Areas(area, error, by_cluster)
