"""Cox's model with a penalty: ridge, lasso, and the elastic net between them.

The coefficients b maximise

    log-likelihood(b) / W - penalty * sum over penalised j of [l1_ratio |s_j b_j| + (1 - l1_ratio) / 2 (s_j b_j)^2]

with W the sum of the weights of the rows (their number without weights) and s_j the standard deviation of column j
over the same rows, weighted, with divisor W (Verweij and van Houwelingen 1994; Tibshirani 1997; Simon and others 2011).
So the penalty is glmnet's lambda, and units don't matter. The rows that count in W and s_j are all that are at risk at
all, also those censored before the first event.

Ridge is Newton's method with a diagonal added to the information. With absolute values the road is that of
`churnsurv.numerics.penalty_path`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.cox import CoxData, CoxState, derivatives, state_at
from churnsurv.numerics.newton import Derivatives, maximise
from churnsurv.numerics.penalty_path import Shrinkage, best_at, problem_of, without_penalised
from churnsurv.numerics.penalty_units import PenaltyUnits, penalty_units
from churnsurv.numerics.separation import check_categories

__all__ = ["PenalisedSolution", "fit_penalised"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PenalisedSolution:
    """The maximum of the penalised likelihood.

    Attributes
    ----------
    coefficients : (p,) float64
        In the units of the covariates, in the order of the columns of the design.
    inverse_information : (p, p) float64, or None
        Inverse of the penalised information, in the units of the covariates (Gray 1992). None with l1_ratio > 0.
    effective_df : float
        Ridge: trace of information times inverse of the penalised one. Else the number of coefficients not zero.
    log_likelihood, log_likelihood_null : float
        Without the penalty, at the estimates and at coefficients zero.
    score_statistic : float
        Score' inverse penalised information score at coefficients zero; NaN with l1_ratio > 0.
    iterations : int
        Newton steps.
    state : CoxState
        At the estimates.
    deviation : (p,) float64
        The standard deviations s_j, in the units of the covariates.
    """

    coefficients: Floats
    inverse_information: Floats | None
    effective_df: float
    log_likelihood: float
    log_likelihood_null: float
    score_statistic: float
    iterations: int
    state: CoxState
    deviation: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _RidgeState:
    """A point of the penalised likelihood; `log_likelihood` is the penalised value, which Newton's method climbs."""

    coefficients: Floats
    log_likelihood: float
    inner: CoxState


def fit_penalised(
    data: CoxData,
    *,
    penalty: float,
    l1_ratio: float = 0.0,
    penalised: NDArray[np.bool_] | None = None,
    units: PenaltyUnits | None = None,
) -> PenalisedSolution:
    """Maximise the penalised partial likelihood.

    Parameters
    ----------
    data : CoxData
    penalty : float
        >= 0; glmnet's lambda. 0 is the fit without penalty.
    l1_ratio : float
        0 is ridge, 1 is lasso.
    penalised : (p,) bool, optional
        Columns of the design that are penalised; None: all.
    units : PenaltyUnits, optional
        W and s_j; None: all rows of `data` count.

    Raises
    ------
    ConvergenceError
        If there are no events, a penalised column does not vary, columns without penalty are collinear or have infinite
        coefficients, or the maximum is not reached. With l1_ratio > 0 its conditions must hold to 1e-9 standard
        deviations of the score, or to 1e-5 where rounding hides them (risk sets that late entry nearly empties).

    Examples
    --------
    One covariate, three users, churn on days 1, 2 and 3. With e = exp(b) the score is 1 - e/(e + 2) - e/(e + 1); at 0
    it is 1/6, so that lasso's coefficient is zero once 3 * penalty * s >= 1/6, s = sqrt(2)/3 the standard deviation.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2, 3]), np.array([True, True, True]))
    >>> data = CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), sets)
    >>> edge = 1 / 6 / np.sqrt(2)
    >>> [fit_penalised(data, penalty=share * edge, l1_ratio=1).coefficients[0].round(3).item() for share in (1.01, 0.5)]
    [0.0, 0.174]
    """
    _check(penalty, l1_ratio)
    marked = np.ones(data.design.n_columns, dtype=np.bool_) if penalised is None else penalised.astype(np.bool_)
    if data.sets.n_slots == 0:
        raise ConvergenceError("there is no event among the rows at risk: nothing can be estimated from them.")
    marked = marked & (penalty > 0)
    check_unpenalised_categories(data, marked)
    units = penalty_units(data) if units is None else units
    _check_varies(data, units, marked)
    if data.sampling is None:
        return _fit(data, units, marked, penalty, l1_ratio)
    # weights of about one, whatever their unit: Newton's method must not stop sooner where they are small
    unit = float(2.0 ** np.round(np.log2(data.sampling[data.sets.event].mean())))
    scaled = replace(data, sampling=data.sampling / unit)
    found = _fit(scaled, replace(units, total=units.total / unit), marked, penalty, l1_ratio)
    state = state_at(data, found.state.coefficients)
    inverse = found.inverse_information
    return replace(
        found,
        inverse_information=None if inverse is None else inverse / unit,
        log_likelihood=state.log_likelihood,
        log_likelihood_null=state_at(data, np.zeros(data.design.n_columns)).log_likelihood,
        score_statistic=found.score_statistic * unit,
        state=state,
    )


def check_unpenalised_categories(data: CoxData, penalised: NDArray[np.bool_]) -> None:
    """Raise where a category without penalty has nobody at risk or no event; a penalty holds the others."""
    _, *others = data.design.parts()
    free = [part for part, columns in zip(data.design.indicators, others, strict=True) if not penalised[columns].all()]
    check_categories(replace(data.design, indicators=tuple(free)), data.sets, data.frequency)


def _check(penalty: float, l1_ratio: float) -> None:
    if not (np.isfinite(penalty) and penalty >= 0):
        raise InputError(f"penalty must be a finite number >= 0, not {penalty!r}.")
    if not 0 <= l1_ratio <= 1:
        raise InputError(f"l1_ratio must lie between 0 (ridge) and 1 (lasso), not {l1_ratio!r}.")


def _check_varies(data: CoxData, units: PenaltyUnits, penalised: NDArray[np.bool_]) -> None:
    still = np.flatnonzero(penalised & (units.deviation == 0))
    if still.size:
        raise ConvergenceError(
            f"{data.design.names[still[0]]!r} has the same value in all rows that count: its penalty has no scale. "
            "Leave it out of the formula."
        )


def _fit(
    data: CoxData, units: PenaltyUnits, penalised: NDArray[np.bool_], penalty: float, l1_ratio: float
) -> PenalisedSolution:
    if l1_ratio == 0 or penalty == 0:
        return _ridge(data, units, penalised, penalty)
    problem = problem_of(data, penalised, units)
    null = without_penalised(problem)
    found = best_at(problem, null.point, Shrinkage.of(problem, penalty, l1_ratio), null.curvature)
    coefficients = problem.in_units(found.point.beta)
    return PenalisedSolution(
        coefficients=coefficients,
        inverse_information=None,
        effective_df=float(np.count_nonzero(coefficients)),
        log_likelihood=found.point.state.log_likelihood,
        log_likelihood_null=null.log_likelihood_null,
        score_statistic=float("nan"),
        iterations=null.iterations + found.iterations,
        state=found.point.state,
        deviation=units.deviation,
    )


def _ridge(data: CoxData, units: PenaltyUnits, penalised: NDArray[np.bool_], penalty: float) -> PenalisedSolution:
    design = data.design
    events = design.transposed_times(data.weighted(data.sets.event.astype(np.float64)))
    added = units.total * penalty * penalised * (units.deviation / design.scale) ** 2

    def state(coefficients: Floats) -> _RidgeState:
        inner = state_at(data, coefficients)
        return _RidgeState(coefficients, inner.log_likelihood - float(added @ coefficients**2) / 2, inner)

    def slopes(at: _RidgeState) -> Derivatives:
        here = derivatives(data, at.inner, events)
        return Derivatives(
            here.score - added * at.coefficients, here.information + np.diag(added), here.uncentred + added
        )

    at_risk = data.sets.at_risk()

    def reach(step: Floats) -> float:
        """Only columns without penalty can run to infinity, and do so without taking others along."""
        held, free = (float(np.abs(design.times(step * which)[at_risk]).max()) for which in (added > 0, added == 0))
        return free if held < 1e-3 * free else 0.0

    top = maximise(state, slopes, reach=reach, names=design.names)
    return PenalisedSolution(
        coefficients=top.coefficients / design.scale,
        inverse_information=top.inverse_information / np.outer(design.scale, design.scale),
        effective_df=float(design.n_columns - added @ np.diagonal(top.inverse_information)),
        log_likelihood=top.state.inner.log_likelihood,
        log_likelihood_null=top.first_value,
        score_statistic=top.first_decrement,
        iterations=top.iterations,
        state=top.state.inner,
        deviation=units.deviation,
    )
