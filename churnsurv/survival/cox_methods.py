"""The ways to fit a Cox model to checked rows: partial likelihood, grouped days, ridge and lasso, Firth.

Each gives the same `Solved`, in the units of the covariates and the order of the columns of the design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, CoxState, baseline_hazard, fit_cox, state_at
from churnsurv.numerics.prediction import BaselineMoments, baseline_moments, last_days
from churnsurv.numerics.residuals import cluster_covariance
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.covariates import ModelMatrix
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import SurvivalData

__all__ = ["Method", "Solved", "check_method", "penalised_columns", "solve"]

Floats: TypeAlias = NDArray[np.float64]

_TIES = ("efron", "breslow", "grouped")


@dataclass(frozen=True, slots=True)
class Method:
    """What is maximised.

    Attributes
    ----------
    ties : {"efron", "breslow", "grouped"}
    penalty : float or "firth"
    l1_ratio : float
    unpenalised : tuple of str
        Variables of the formula without penalty.
    """

    ties: str
    penalty: float | str
    l1_ratio: float
    unpenalised: tuple[str, ...]

    @property
    def firth(self) -> bool:
        """Whether half the log determinant of the information is added."""
        return self.penalty == "firth"

    @property
    def shrinks(self) -> bool:
        """Whether coefficients are pulled towards zero."""
        return not self.firth and self.penalty != 0


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A fit before it has a table.

    Attributes
    ----------
    coefficients : (p,) float64
    covariance, model_covariance : (p, p) float64
        To report (robust with clusters or sampling weights), and by the model; NaN where there is none (lasso).
    log_likelihood, log_likelihood_null : float
        With Firth's penalty, of the penalised likelihood.
    row_log_likelihood : float
        Of the rows at the estimates, without any penalty.
    score_statistic : float
        NaN where there is none.
    effective_df : float
        Of the coefficients: their number, less where they are pulled to zero.
    iterations, n_patterns : int
    baseline : (n_slots,) float64
        Cumulative hazard at covariates zero.
    moments : BaselineMoments
    profile : (4, p) float64, or None
        Statistic, p-value, lower and upper limit by profile likelihood, where they are not Wald's.
    notes : tuple of str
    """

    coefficients: Floats
    covariance: Floats
    model_covariance: Floats
    log_likelihood: float
    log_likelihood_null: float
    row_log_likelihood: float
    score_statistic: float
    effective_df: float
    iterations: int
    n_patterns: int
    baseline: Floats
    moments: BaselineMoments
    profile: Floats | None = None
    notes: tuple[str, ...] = ()


def check_method(ties: str, penalty: float | str, l1_ratio: float, unpenalised: str | Sequence[str]) -> Method:
    """Check the options that choose what is maximised.

    Examples
    --------
    >>> check_method("efron", 0.1, 0.5, "channel")
    Method(ties='efron', penalty=0.1, l1_ratio=0.5, unpenalised=('channel',))
    """
    if ties not in _TIES:
        raise InputError(f"ties must be one of {', '.join(map(repr, _TIES))}, not {ties!r}.{did_you_mean(ties, _TIES)}")
    free = (unpenalised,) if isinstance(unpenalised, str) else tuple(unpenalised)
    if isinstance(penalty, str):
        if penalty != "firth":
            raise InputError(f"penalty must be a number >= 0 or 'firth', not {penalty!r}.")
    elif isinstance(penalty, bool) or not (np.isfinite(penalty) and penalty >= 0):
        raise InputError(f"penalty must be a number >= 0 or 'firth', not {penalty!r}.")
    if not 0 <= l1_ratio <= 1:
        raise InputError(f"l1_ratio must lie between 0 (ridge) and 1 (lasso), not {l1_ratio!r}.")
    method = Method(ties, penalty if isinstance(penalty, str) else float(penalty), float(l1_ratio), free)
    if ties == "grouped" and (method.firth or method.shrinks):
        raise InputError("ties='grouped' takes no penalty. Fit with ties='efron', or leave the penalty out.")
    if not method.shrinks and (free or l1_ratio):
        raise InputError(
            f"{'unpenalised' if free else 'l1_ratio'} has a meaning only with penalty > 0. Give that, or leave it out."
        )
    return method


def solve(data: CoxData, found: SurvivalData, matrix: ModelMatrix, method: Method, *, level: float) -> Solved:
    """Fit checked rows by the chosen method."""
    last = last_days(found.duration, entry=found.entry, stratum=found.strata_codes, n_strata=len(found.strata_labels))
    if method.ties == "grouped":
        return _grouped(data, found, last)
    if method.firth:
        return _firth(data, found, last, level)
    if method.shrinks:
        return _penalised(data, found, matrix, method, last)
    return _partial(data, found, last)


def _partial(data: CoxData, found: SurvivalData, last: Floats) -> Solved:
    fitted = collapse(data)
    solution = fit_cox(fitted)
    return Solved(
        coefficients=solution.coefficients,
        covariance=_reported(solution.inverse_information, found, data, fitted, solution.state),
        model_covariance=solution.inverse_information,
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        row_log_likelihood=solution.log_likelihood,
        score_statistic=solution.score_statistic,
        effective_df=float(data.design.n_columns),
        iterations=solution.iterations,
        n_patterns=fitted.design.n_rows,
        baseline=baseline_hazard(data, solution),
        moments=baseline_moments(fitted, solution.state, last_day=last),
    )


def _grouped(data: CoxData, found: SurvivalData, last: Floats) -> Solved:
    from churnsurv.numerics import grouped
    from churnsurv.numerics.grouped_residuals import grouped_cluster_covariance

    fitted = collapse(data)
    solution = grouped.fit_grouped(fitted)
    covariance = solution.inverse_information
    cluster = _clusters(found, data)
    if cluster is not None:
        state = grouped.grouped_state(data, solution.state.coefficients)
        covariance = grouped_cluster_covariance(data, replace(solution, state=state), cluster)
    return Solved(
        coefficients=solution.coefficients,
        covariance=covariance,
        model_covariance=solution.inverse_information,
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        row_log_likelihood=solution.log_likelihood,
        score_statistic=solution.score_statistic,
        effective_df=float(data.design.n_columns),
        iterations=solution.iterations,
        n_patterns=fitted.design.n_rows,
        baseline=grouped.grouped_baseline(fitted, solution),
        moments=grouped.grouped_moments(fitted, solution.state, last_day=last),
        notes=_emptied(fitted.sets, solution.emptied),
    )


def _emptied(sets: RiskSets, emptied: NDArray[np.integer[Any]]) -> tuple[str, ...]:
    """Say on which days nobody was left: their churns tell nothing apart."""
    if emptied.size == 0:
        return ()
    days = ", ".join(f"{day:g}" for day in np.unique(sets.time[emptied])[:5]) + (" ..." if emptied.size > 5 else "")
    return (
        note(
            "everybody at risk churned on day {days}: such a day says nothing of the covariates and is left out; "
            "survival is 0 from then on.",
            days=days,
        ),
    )


def _firth(data: CoxData, found: SurvivalData, last: Floats, level: float) -> Solved:
    from churnsurv.numerics.firth import check_firth, firth_profile, fit_firth

    check_firth(weights_kind=found.weights_kind, cluster=found.cluster_name)
    fitted = collapse(data)
    solution = fit_firth(fitted)
    profile = firth_profile(fitted, solution, level=level)
    return Solved(
        coefficients=solution.coefficients,
        covariance=solution.inverse_information,
        model_covariance=solution.inverse_information,
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        row_log_likelihood=solution.unpenalised_log_likelihood,
        score_statistic=solution.score_statistic,
        effective_df=float(data.design.n_columns),
        iterations=solution.iterations,
        n_patterns=fitted.design.n_rows,
        baseline=baseline_hazard(fitted, solution),
        moments=baseline_moments(fitted, solution.state, last_day=last),
        profile=np.vstack([profile.statistic, profile.p_value, profile.lower, profile.upper]),
        notes=(
            note("limits and p-values are those of the profile of Firth's penalised likelihood."),
            *profile.notes,
        ),
    )


def _penalised(data: CoxData, found: SurvivalData, matrix: ModelMatrix, method: Method, last: Floats) -> Solved:
    from churnsurv.numerics.penalised import fit_penalised
    from churnsurv.numerics.penalty_units import penalty_units

    if not isinstance(method.penalty, float):
        raise InputError(f"penalty must be a number here, not {method.penalty!r}.")
    fitted = collapse(data)
    solution = fit_penalised(
        fitted,
        penalty=method.penalty,
        l1_ratio=method.l1_ratio,
        penalised=penalised_columns(matrix, method.unpenalised),
        units=penalty_units(data, None if found.entry is None else found.duration > found.entry),
    )
    p = data.design.n_columns
    by_model = np.full((p, p), np.nan) if solution.inverse_information is None else solution.inverse_information
    covariance = by_model
    if solution.inverse_information is None:
        said = note(
            "a lasso penalty chooses coefficients by the same data: there are no standard errors or intervals that "
            "would hold after the choice."
        )
    else:
        said = note(
            "estimates are pulled towards zero by the penalty; the standard errors and intervals do not hold that bias."
        )
        covariance = _reported(by_model, found, data, fitted, solution.state)
    return Solved(
        coefficients=solution.coefficients,
        covariance=covariance,
        model_covariance=by_model,
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        row_log_likelihood=solution.log_likelihood,
        score_statistic=solution.score_statistic,
        effective_df=solution.effective_df,
        iterations=solution.iterations,
        n_patterns=fitted.design.n_rows,
        baseline=baseline_hazard(fitted, solution),
        moments=baseline_moments(fitted, solution.state, last_day=last),
        notes=(said,),
    )


def penalised_columns(matrix: ModelMatrix, unpenalised: Sequence[str]) -> NDArray[np.bool_]:
    """Mark the columns of the design that are pulled to zero: all but those of the variables named.

    Raises
    ------
    InputError
        If a name is no variable or term of the formula; the nearest is given.
    """
    known = {name for row in matrix.rows for name in (row.variable, row.term)}
    for name in unpenalised:
        if name not in known:
            raise InputError(
                f"unpenalised names {name!r}, which is no variable of the formula.{did_you_mean(name, known)} "
                f"Variables: {', '.join(dict.fromkeys(row.variable for row in matrix.rows))}."
            )
    marked = np.ones(len(matrix.rows), dtype=np.bool_)
    for place, row in zip(matrix.order, matrix.rows, strict=True):
        marked[place] = not {row.variable, row.term} & set(unpenalised)
    return marked


def _reported(by_model: Floats, found: SurvivalData, data: CoxData, fitted: CoxData, state: CoxState) -> Floats:
    """The robust covariance where there are clusters or sampling weights, else that of the model."""
    cluster = _clusters(found, data)
    if cluster is None:
        return by_model
    by_row = state if fitted is data else state_at(data, state.coefficients)
    return cluster_covariance(data, by_row, by_model, cluster)


def _clusters(found: SurvivalData, data: CoxData) -> NDArray[np.integer[Any]] | None:
    """Codes of the clusters of a robust covariance: each row its own under sampling weights alone; None without."""
    if found.cluster_codes is None and found.sampling is None:
        return None
    if found.cluster_codes is None:
        return np.arange(found.n)
    p = data.design.n_columns
    if found.n_clusters <= p:
        raise InputError(
            f"cluster {found.cluster_name!r} has {counted(found.n_clusters, 'value')}, too few for "
            f"{counted(p, 'coefficient')}: a robust variance needs many more clusters than coefficients."
        )
    return found.cluster_codes
