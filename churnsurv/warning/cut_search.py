"""The best cut of one variable: search, price of the search, and how far the cut can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.cut_resampling import (
    chosen_cuts,
    cut_cells,
    fold_counts,
    held_out_sides,
    permutation_maxima,
    resampled_choices,
)
from churnsurv.numerics.group_effects import log_ratios
from churnsurv.numerics.logrank_counts import GroupRows, count_groups
from churnsurv.numerics.maximal_logrank import CutRows, CutScan, CutSteps, Standardise, cut_rows, cut_steps, scan_cuts
from churnsurv.numerics.maximal_logrank_robust import scan_cuts_robust
from churnsurv.numerics.search_tail import search_quantile, search_tail, without_skewness
from churnsurv.numerics.segmentation import change_quantile

__all__ = ["FoundCut", "Outcome", "Search", "asymptotic_p_value", "permutation_p_values", "search"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

_CUTS = 100  # that resamples and folds look at
_FOLDS = 10
_DECILE = 0.1
_MOST_PERMUTED = 5_000_000


@dataclass(frozen=True, slots=True)
class Search:
    """How cuts are searched.

    Attributes
    ----------
    min_share : float
    standardise : {"log-rank", "permutation"}
    bootstrap : int
        Resamples.
    seed : int
    level : float
    """

    min_share: float
    standardise: Standardise
    bootstrap: int
    seed: int
    level: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Rows ever at risk; arrays (n,).

    Attributes
    ----------
    duration, churned, entry, frequency, cluster
        As in `GroupRows`; the last three may be None.
    n_clusters : int
    """

    duration: NDArray[Any]
    churned: NDArray[np.bool_]
    entry: NDArray[Any] | None
    frequency: Floats | None
    cluster: Codes | None
    n_clusters: int

    def take(self, rows: NDArray[np.bool_]) -> Outcome:
        """Return some of the rows."""
        if rows.all():
            return self
        entry = None if self.entry is None else self.entry[rows]
        frequency = None if self.frequency is None else self.frequency[rows]
        cluster = None if self.cluster is None else self.cluster[rows]
        n_clusters = self.n_clusters
        if cluster is not None:
            there, cluster = np.unique(cluster, return_inverse=True)
            n_clusters = there.size
        return Outcome(self.duration[rows], self.churned[rows], entry, frequency, cluster, n_clusters)

    def groups(self, above: NDArray[np.bool_]) -> GroupRows:
        """Return the rows in two groups: 1 above, 0 below."""
        return GroupRows(
            self.duration, self.churned, above.astype(np.int8), 2, self.entry, weights=self.frequency,
            cluster=self.cluster, n_clusters=self.n_clusters,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class FoundCut:
    """The best cut of a variable and what is known of it.

    Attributes
    ----------
    variable : str
    scan : CutScan
    best : int
    p_value : float
        Asymptotic, corrected for the search.
    critical : float
        |z| that the largest of the cuts exceeds with probability 1 - level if nothing differs.
    log_ratio, log_ratio_error : float
        Of those above against those below; NaN where there is no finite estimate.
    held_out_ratio : float
        Hazard ratio with everybody sorted by a cut chosen without them.
    stability : float
        Share of resamples whose cut lies within a tenth of the users of this one; NaN without resamples.
    low, high : float
        Lowest and highest cut that the data cannot tell from the best one.
    n_users, n_events : float
    n_missing : int
        Rows at risk without a value.
    """

    variable: str
    scan: CutScan
    best: int
    p_value: float
    critical: float
    log_ratio: float
    log_ratio_error: float
    held_out_ratio: float
    stability: float
    low: float
    high: float
    n_users: float
    n_events: float
    n_missing: int


def search(variable: str, values: Floats, outcome: Outcome, how: Search) -> FoundCut:
    """Search the cuts of a variable.

    Parameters
    ----------
    variable : str
        Its name, for errors.
    values : (n,) float64
        NaN where missing.
    outcome : Outcome
    how : Search

    Raises
    ------
    InputError
        If the variable does not vary, no cut leaves enough users on either side, or nobody churned.
    """
    there = ~np.isnan(values)
    kept, values = outcome.take(there), values[there]
    _check_varies(variable, values)
    rows = cut_rows(kept.duration, kept.churned, entry=kept.entry, frequency=kept.frequency)
    scan, steps = _scanned(rows, values, kept, how)
    if scan.best is None:
        raise _no_cut(variable, values, how.min_share, empty=scan.cut.size == 0)
    best, z = scan.best, scan.statistic
    equal = np.flatnonzero(np.square(z[best]) - np.square(z) <= change_quantile(how.level))
    effect = log_ratios(count_groups(kept.groups(values > scan.cut[best])).sets, kept.groups(values > scan.cut[best]))
    stability, held_out = _trusted(rows, values, kept, scan, how)
    return FoundCut(
        variable, scan, best,
        p_value=asymptotic_p_value(scan, steps),
        critical=search_quantile(how.level, steps.correlation, steps.between),
        log_ratio=float(effect.estimate[1]), log_ratio_error=float(effect.std_error[1]),
        held_out_ratio=held_out, stability=stability,
        low=float(scan.cut[equal[0]]), high=float(scan.cut[equal[-1]]),
        n_users=rows.n_users, n_events=float(rows.churned.sum()), n_missing=int(np.count_nonzero(~there)),
    )  # fmt: skip


def asymptotic_p_value(scan: CutScan, steps: CutSteps) -> float:
    """P(|z| as large at any cut) by the normal law, skewness taken out."""
    largest = float(np.nanmax(np.abs(without_skewness(scan.statistic, steps.skewness))))
    return search_tail(largest, steps.correlation, steps.between)


def permutation_p_values(
    values: Sequence[Floats], outcome: Outcome, how: Search, n_permutations: int, *, together: bool
) -> Floats:
    """Corrected p-values by permutation, (n_variables, 2): of each variable alone, and of all together (max-T).

    Parameters
    ----------
    values : sequence of (n,) float64
        One array a variable. With `together` no value is missing.
    outcome : Outcome
    how : Search
    n_permutations : int
    together : bool
        Westfall and Young's (1993) step-down p-values in the second column, else null.
    """
    if not together:
        alone = [_permuted([each], outcome, how, n_permutations)[0] for each in values]
        return np.column_stack([alone, np.full(len(alone), np.nan)])
    return _permuted_together(values, outcome, how, n_permutations)


def _permuted(values: Sequence[Floats], outcome: Outcome, how: Search, n_permutations: int) -> Floats:
    """P-values of variables of one table, each alone."""
    largest, maxima = _maxima(values, outcome, how, n_permutations)
    return np.asarray((1 + np.sum(maxima >= largest, axis=0)) / (1 + n_permutations))


def _permuted_together(values: Sequence[Floats], outcome: Outcome, how: Search, n_permutations: int) -> Floats:
    largest, maxima = _maxima(values, outcome, how, n_permutations)
    alone = (1 + np.sum(maxima >= largest, axis=0)) / (1 + n_permutations)
    order = np.argsort(-largest, kind="stable")
    # the k-th largest is compared with the largest of those that are not larger than it
    left = np.maximum.accumulate(maxima[:, order[::-1]], axis=1)[:, ::-1]
    stepped = (1 + np.sum(left >= largest[order], axis=0)) / (1 + n_permutations)
    adjusted = np.empty(largest.size)
    adjusted[order] = np.maximum.accumulate(stepped)
    return np.column_stack([alone, adjusted])


def _maxima(values: Sequence[Floats], outcome: Outcome, how: Search, n_permutations: int) -> tuple[Floats, Floats]:
    """The largest |z| of each variable, and those of permutations; a hair lower, so that equal ones count."""
    there: NDArray[np.bool_] = np.logical_not(np.isnan(np.stack(list(values))).any(axis=0))
    kept = outcome.take(there)
    rows = cut_rows(kept.duration, kept.churned, entry=kept.entry, frequency=kept.frequency)
    columns = [each[there] for each in values]
    if kept.frequency is not None:
        rows, columns = _one_user_a_row(rows, columns, kept.frequency)
    scans = [scan_cuts(rows, each, min_share=how.min_share, standardise="permutation") for each in columns]
    largest = np.array([np.abs(each.statistic).max() for each in scans])
    rng = np.random.default_rng([how.seed, 1])
    maxima = permutation_maxima(rows, columns, n_permutations, rng, min_share=how.min_share)
    return largest * (1 - 1e-12), maxima


def _one_user_a_row(rows: CutRows, columns: Sequence[Floats], frequency: Floats) -> tuple[CutRows, list[Floats]]:
    n = round(float(frequency.sum()))
    if n > _MOST_PERMUTED:
        raise InputError(
            f"permutations move users, and the rows stand for {n:,} of them: more than {_MOST_PERMUTED:,}. Take "
            "p_value='asymptotic', which holds for so many."
        )
    times = np.rint(frequency).astype(np.int64)
    start = None if rows.start is None else np.repeat(rows.start, times)
    end, event, score = np.repeat(rows.end, times), np.repeat(rows.event, times), np.repeat(rows.score, times)
    repeated = CutRows(end, start, event, None, score, rows.at_risk, rows.churned, float(n))
    return repeated, [np.repeat(column, times) for column in columns]


def _scanned(rows: CutRows, values: Floats, kept: Outcome, how: Search) -> tuple[CutScan, CutSteps]:
    if kept.cluster is not None:
        return scan_cuts_robust(rows, values, kept.cluster, kept.n_clusters, min_share=how.min_share)
    scan = scan_cuts(rows, values, min_share=how.min_share, standardise=how.standardise)
    if scan.best is None:
        return scan, CutSteps(np.empty(0), np.empty(0), np.empty(0))
    return scan, cut_steps(rows, values, scan, standardise=how.standardise)


def _trusted(rows: CutRows, values: Floats, kept: Outcome, scan: CutScan, how: Search) -> tuple[float, float]:
    """Stability of the cut over resamples, and the hazard ratio of users held out."""
    best = scan.best or 0
    at = chosen_cuts(scan.cut, scan.n_below, _CUTS, including=best)
    cells = cut_cells(rows, values, scan.cut[at])
    clusters: dict[str, Any] = {
        "cluster": kept.cluster, "n_clusters": kept.n_clusters, "frequency": kept.frequency,
    }  # fmt: skip
    stability = np.nan
    if how.bootstrap:
        chosen = resampled_choices(cells, how.bootstrap, np.random.default_rng([how.seed, 2]), **clusters)
        far = np.abs(scan.n_below[at][chosen] - scan.n_below[best]) / rows.n_users
        stability = float(np.mean((far <= _DECILE) & (chosen >= 0)))
    dealt = fold_counts(cells, _FOLDS, np.random.default_rng([how.seed, 3]), **clusters)
    sides = held_out_sides(cells, dealt)
    below_above = GroupRows(
        np.tile(cells.end, 2), np.tile(cells.event, 2), np.repeat(np.arange(2), cells.end.size), 2,
        None if cells.start is None else np.tile(cells.start, 2), weights=sides.ravel(),
    )  # fmt: skip
    ratio = log_ratios(count_groups(below_above.take(np.flatnonzero(sides.ravel() > 0))).sets).estimate[1]
    return stability, float(np.exp(ratio))


def _check_varies(variable: str, values: Floats) -> None:
    if values.size == 0:
        raise InputError(f"{variable!r} has no values among the rows at risk: there is nothing to cut.")
    if values.min() == values.max():
        raise InputError(
            f"{variable!r} does not vary: all {values.size:,} rows at risk have {values[0]:g}. There is nothing to cut."
        )


def _no_cut(variable: str, values: Floats, min_share: float, *, empty: bool) -> InputError:
    if not empty:
        return InputError(
            f"{variable!r}: the two sides of a cut are never at risk together on a day of churn, or rows are of one "
            "user: there is nothing to compare."
        )
    value, count = (each[0] for each in _most_frequent(values))
    return InputError(
        f"{variable!r} has no cut with {100 * min_share:g} % of the users on either side: {value:g} alone has "
        f"{100 * count / values.size:.0f} % of the rows. Lower min_share."
    )


def _most_frequent(values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return found[order], counts[order]
