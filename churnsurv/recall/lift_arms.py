"""From the rows of a campaign to the estimates of all its arms and their joint covariance.

The formulas are those of `churnsurv.numerics.arm_influence` and `churnsurv.numerics.augmentation`; here stands which
outcome is which column, and what a comparison of two arms adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned import CampaignRows
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.numerics.arm_influence import (
    ArmCells,
    CellCurves,
    LogHazardRatio,
    RowTable,
    arm_cells,
    cell_curves,
    log_hazard_ratio,
)
from churnsurv.numerics.augmentation import ArmVector, Clusters, adjusted_vector, arm_moments, shared_clusters
from churnsurv.tables.said import said_covariate

__all__ = ["AMOUNTS", "CampaignArms", "Comparison", "campaign_arms", "comparison", "unit_influence"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Outcomes whose laws are skewed, so that limits are not symmetric.
AMOUNTS = ("reinvested", "net_value")
_CURVES = ("return_probability", "days_to_return")
_ROWS_PER_COVARIATE = 10
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class CampaignArms:
    """One campaign, the control first among its arms.

    Attributes
    ----------
    arms : tuple of str
    cells : ArmCells
    curves : CellCurves
    table : RowTable
    columns : mapping of outcome to column
        Hazard ratios have one for each arm but the control: ("hazard_ratio", arm).
    between : (n_strata, n_arms, n_columns) float64, or None
    clusters : Clusters, or None
    codes : (n,) integer, or None
        Clusters, where there are any with several rows.
    plain, adjusted : ArmVector
        `adjusted` is None without covariates.
    ratios : sequence of LogHazardRatio
        Of each arm but the control.
    covariates : tuple of str
    notes : tuple of str
    """

    arms: tuple[str, ...]
    cells: ArmCells
    curves: CellCurves
    table: RowTable
    columns: dict[Any, int]
    between: Floats | None
    clusters: Clusters | None
    codes: NDArray[np.integer[Any]] | None
    plain: ArmVector
    adjusted: ArmVector | None
    ratios: Sequence[LogHazardRatio]
    covariates: tuple[str, ...]
    notes: tuple[str, ...]

    def contrast(self, outcome: str, arm: int) -> Floats:
        """What a comparison of an arm with the control adds up, (n_arms, n_estimates)."""
        n_arms, q = self.plain.estimate.shape
        found = np.zeros((n_arms, q))
        if outcome == "hazard_ratio":
            found[[0, arm], self.columns["hazard_ratio", arm]] = 1.0
        else:
            found[arm, self.columns[outcome]], found[0, self.columns[outcome]] = 1.0, -1.0
        return found


def campaign_arms(
    rows: CampaignRows,
    *,
    control: str,
    sums: dict[str, tuple[tuple[float, str], ...]],
    covariates: Sequence[str],
    clustered: bool,
    name: str,
) -> CampaignArms:
    """Estimate all outcomes for each arm of some rows.

    Parameters
    ----------
    rows : CampaignRows
    control : str
        Name of an arm.
    sums : mapping of outcome to (factor, column of `CampaignRows`)
        Outcomes that are added up over days.
    covariates : sequence of str
        Names in ``rows.pre``.
    clustered : bool
        Rows of one cluster of `rows` may depend on each other.
    name : str
        What errors call these rows.
    """
    arms, arm, strata, stratum = _codes(rows, control, name)
    cluster = rows.cluster if clustered else None
    clusters = None if cluster is None else shared_clusters(cluster, arm, len(arms))
    cells = arm_cells(
        arm, stratum, n_arms=len(arms), n_strata=len(strata), cluster=None if clusters is None else cluster
    )
    _refuse_empty(cells, [rows.strata[s] for s in strata], name)
    labels = _labels([rows.arms[a] for a in arms], [rows.strata[s] for s in strata], name)
    time = rows.time
    curves = cell_curves(cells, time, rows.returned, horizon=rows.horizon, names=labels)
    ratios = [log_hazard_ratio(cells, curves, k, 0) for k in range(1, len(arms))]
    values, expected, means = _sums(rows, sums, [(a, s) for a in arms for s in strata])
    table, used, notes = _row_table(rows, cells, curves, ratios, values, expected, covariates)
    columns = _columns(sums, len(arms))
    notes += [
        note("{campaign}, {arm}: {said}.", campaign=name, arm=rows.arms[a], said=r.note)
        for a, r in zip(arms[1:], ratios, strict=True)
        if r.note
    ]
    estimate, between = _estimates(cells, curves, ratios, means, table)
    moments = arm_moments(
        table.of, arm, table.n_columns, len(arms), clusters=clusters, stratum=cells.stratum, between=between
    )
    q = table.n_columns - len(used)
    n_rows = cells.n.sum(axis=1) if clusters is None else clusters.per_arm
    if used and int(n_rows.min()) < _ROWS_PER_COVARIATE * len(used):
        notes.append(
            note(
                "{campaign}: an arm of {n} is too small to adjust for {covariates} covariates.",
                campaign=name,
                n=int(n_rows.min()),
                covariates=len(used),
            )
        )
        used = ()
    plain = adjusted_vector(estimate[:, :q], moments[:, :q, :, :q], n_rows)
    better = adjusted_vector(estimate, moments, n_rows, n_covariates=table.n_columns - q) if used else None
    return CampaignArms(
        arms=tuple(rows.arms[a] for a in arms),
        cells=cells,
        curves=curves,
        table=table,
        columns=columns,
        between=between,
        clusters=clusters,
        codes=None if clusters is None else cluster,
        plain=plain,
        adjusted=better,
        ratios=ratios,
        covariates=tuple(used),
        notes=tuple(notes),
    )


def _codes(rows: CampaignRows, control: str, name: str) -> tuple[list[int], NDArray[Any], list[int], NDArray[Any]]:
    """Arms and strata that occur, the control first, and each row's place among them."""
    arm, stratum = rows.arm, rows.stratum
    there = np.flatnonzero(np.bincount(arm, minlength=len(rows.arms))).tolist()
    first = rows.arms.index(control) if control in rows.arms else -1
    if first not in there:
        known = ", ".join(repr(rows.arms[a]) for a in there)
        raise InputError(f"{name}: nobody is in the control arm {control!r}; arms: {known}. Name one with control=.")
    arms = [first, *(a for a in there if a != first)]
    if len(arms) < 2:
        raise InputError(f"{name}: everybody is in the arm {control!r}; there is nothing to compare it with.")
    strata = np.flatnonzero(np.bincount(stratum, minlength=len(rows.strata))).tolist()
    return arms, _renumbered(arm, arms, len(rows.arms)), strata, _renumbered(stratum, strata, len(rows.strata))


def _renumbered(codes: NDArray[Any], order: Sequence[int], n: int) -> NDArray[Any]:
    if list(order) == list(range(n)):
        return codes
    place = np.zeros(n, dtype=np.int64)
    place[list(order)] = np.arange(len(order))
    found: NDArray[Any] = place[codes]
    return found


def _refuse_empty(cells: ArmCells, strata: Sequence[str], name: str) -> None:
    empty = np.argwhere(cells.n == 0)
    if empty.size:
        lacking = [strata[s] for s in dict.fromkeys(empty[:, 1].tolist())]
        raise InputError(
            f"{name}: {len(empty)} of {cells.n.size} pairs of arm and stratum have no users, first in stratum "
            f"{lacking[0]!r}, so that the arms cannot be compared in them. Merge strata, or leave these out."
        )
    alone = np.argwhere(cells.n_units == 1)
    if alone.size and cells.n_strata > 1:
        what = "user" if cells.n_units is cells.n else "cluster"
        raise InputError(
            f"{name}: {len(alone)} of {cells.n.size} pairs of arm and stratum have a single {what}, first in stratum "
            f"{strata[int(alone[0, 1])]!r}, and one {what} says nothing of how much {what}s vary. Merge strata, so "
            "that each has two or more in every arm, or leave these out."
        )


def _labels(arms: Sequence[str], strata: Sequence[str], name: str) -> list[str]:
    if len(strata) == 1:
        return [f"{name}, arm {arm!r}" for arm in arms]
    return [f"{name}, arm {arm!r}, stratum {stratum!r}" for arm in arms for stratum in strata]


def _sums(
    rows: CampaignRows,
    sums: dict[str, tuple[tuple[float, str], ...]],
    keys: Sequence[tuple[int, int]],
) -> tuple[list[Floats], Floats, Floats]:
    """W of each outcome, what a row of each cell has brought by each end on average, and the means of cells."""
    values: list[Floats] = []
    expected, means = [], []
    for parts in sums.values():
        by_day = sum_of([(factor, np.stack([rows.by_day[column][key] for key in keys])) for factor, column in parts])
        weights = np.stack([rows.weights[key] for key in keys])
        brought = np.cumsum(np.divide(by_day, weights, out=np.zeros_like(by_day), where=weights > 0), axis=1)
        expected.append(np.concatenate([np.zeros((len(keys), 1)), brought], axis=1).ravel())
        means.append(by_day.sum(axis=1))
        values.append(sum_of([(factor, getattr(rows, column)) for factor, column in parts]))
    n = len(keys) * (rows.horizon + 1)
    return values, np.array(expected).reshape(-1, n), np.array(means).reshape(-1, len(keys))


def sum_of(parts: Sequence[tuple[float, Floats]]) -> Floats:
    """Sum of factors times arrays, the array itself where that is all."""
    factor, first = parts[0]
    if len(parts) == 1 and factor == 1:
        return first
    total: Floats = factor * first
    for factor, part in parts[1:]:
        total += factor * part
    return total


def _row_table(
    rows: CampaignRows,
    cells: ArmCells,
    curves: CellCurves,
    ratios: Sequence[LogHazardRatio],
    values: list[Floats],
    expected: Floats,
    covariates: Sequence[str],
) -> tuple[RowTable, tuple[str, ...], list[str]]:
    weight = cells.weight()
    n = cells.n.ravel()
    tables = [weight[:, None, None] * t for t in (curves.influence_on_return(), curves.influence_on_area())]
    tables += [cells.ratio_weight(arm, 0)[:, None, None] * ratio.influence for arm, ratio in enumerate(ratios, start=1)]
    flat = np.array([t.ravel() for t in tables])
    end = cells.cell * (rows.horizon + 1) + np.minimum(rows.followed, rows.horizon)
    columns, means, used, notes = [], [], [], list[str]()
    for name in covariates:
        column, said = _covariate(rows.pre[name], name)
        mean = np.bincount(cells.cell, column, n.shape[0]) / n
        if np.ptp(column) == 0 or not np.any(column != mean[cells.cell]):
            notes.append(note("{name} is the same for all, and nothing to adjust for.", name=said_covariate(name)))
            continue
        columns.append(column)
        means.append(mean)
        used.append(name)
        notes += [said] if said else []
    table = RowTable(
        tables=flat,
        pattern=curves.pattern,
        sums=values,
        expected=expected,
        end=end,
        scale=weight / n,
        covariates=columns,
        means=np.array(means).reshape(len(columns), n.shape[0]),
        cell=cells.cell,
    )
    return table, tuple(used), notes


def _covariate(values: Floats, name: str) -> tuple[Floats, str | None]:
    """Missing values at the mean of the others: known before the assignment, whatever stands for them."""
    missing = np.isnan(values)
    if not missing.any():
        return values, None
    if missing.all():
        return np.zeros_like(values), None
    filled = np.where(missing, values.mean(where=~missing), values)
    return filled, note(
        "{name} is missing for {n} rows, which count with the mean of the others.",
        name=said_covariate(name),
        n=f"{int(missing.sum()):,}",
    )


def _columns(sums: dict[str, Any], n_arms: int) -> dict[Any, int]:
    ratios = [("hazard_ratio", k) for k in range(1, n_arms)]
    return {name: place for place, name in enumerate([*_CURVES, *ratios, *sums])}


def _estimates(
    cells: ArmCells, curves: CellCurves, ratios: Sequence[LogHazardRatio], means: Floats, table: RowTable
) -> tuple[Floats, Floats | None]:
    """Estimates by arm, and what users move them by through the shares of their strata."""
    n_cells = cells.n.size
    by_cell = [curves.returned, curves.area, *(np.zeros(n_cells) for _ in ratios), *means, *table.means]
    stacked = np.stack(by_cell, axis=1)
    estimate = cells.mean(stacked)
    if cells.n_strata > 1:
        between = stacked.reshape(cells.n_arms, cells.n_strata, -1) - estimate[:, None, :]
        between = np.swapaxes(between, 0, 1) / cells.n_users
        between[:, :, table.n_columns - len(table.means) :] = 0.0
    else:
        between = None
    for k, ratio in enumerate(ratios, start=1):
        estimate[k, 1 + k] = ratio.estimate
    return estimate, between


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """An arm against the control: a difference, and what each user, or cluster, moves it by when asked."""

    estimate: float
    std_error: float


def comparison(found: CampaignArms, vector: ArmVector, outcome: str, arm: int) -> Comparison:
    """Compare an arm with the control; NaN where there is no estimate or nothing varies."""
    c = found.contrast(outcome, arm)
    estimate = float(vector.estimate[c != 0] @ c[c != 0])
    variance = float(np.einsum("ap,apbq,bq->", c, vector.covariance, c, optimize=True))
    return Comparison(estimate, float(np.sqrt(variance)) if variance > 0 else float("nan"))


def unit_influence(found: CampaignArms, vector: ArmVector, contrast: Floats) -> tuple[Floats, NDArray[Any]]:
    """What each user, or cluster where rows share some, moves a contrast by, and the arm that it is resampled in."""
    load = np.einsum("aq,aqbm->bm", contrast, vector.loading)
    wanted = np.flatnonzero((load != 0).any(axis=0)).tolist()
    arm = found.cells.arm
    out = np.empty(arm.shape[0])
    between = (
        None if found.between is None else np.einsum("aq,saq->s", contrast, found.between[..., : contrast.shape[1]])
    )
    for start in range(0, arm.shape[0], _CHUNK):
        rows = slice(start, min(start + _CHUNK, arm.shape[0]))
        values = found.table.of(rows, wanted)
        out[rows] = np.einsum("mi,im->i", values, load[:, wanted][arm[rows]])
        if between is not None:
            out[rows] += between[found.cells.stratum[rows]]
    if found.codes is None:
        return out, arm
    _, cluster = np.unique(found.codes, return_inverse=True)
    sums: Floats = np.bincount(cluster, out).astype(np.float64)
    return sums, np.zeros(int(cluster.max()) + 1, dtype=np.int64)
