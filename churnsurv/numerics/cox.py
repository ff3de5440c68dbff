"""Cox's proportional hazards model: likelihood, score and information, exact under ties, and the fit.

With theta_i = exp(x_i'b) and, on each day with events of each stratum, S0 and S1 the sums of theta and theta x over the
rows at risk, D0 and D1 the same over the d tied events, the six `TieSums` of the day give

    log-likelihood = sum over events x'b - sum log u
    score          = sum over events x - X'v
    information    = X' diag(v) X - sum [A2 S1 S1' - B2 (S1 D1' + D1 S1') + C2 D1 D1']

    v_i = theta_i (A summed over the days at which row i is at risk) - 1{event} theta_i B of its day.

So a Newton step is one weighted Gram matrix and a few sums by day, for any number of ties (Efron 1977; Breslow 1974).

Weights enter the sums S and D and those over events in either kind. A frequency counts users: d is its sum. A sampling
weight does not: d is the number of rows, and the six sums of the day are multiplied by the mean weight of its events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.design import Design, count, weighted_gram
from churnsurv.numerics.efron import TieSums, breslow_sums, efron_sums
from churnsurv.numerics.newton import Derivatives, maximise
from churnsurv.numerics.risk_sets import RiskSets, running_sums
from churnsurv.numerics.separation import check_categories
from churnsurv.numerics.threads import by_chunks

__all__ = [
    "CoxData",
    "CoxSolution",
    "CoxState",
    "baseline_hazard",
    "derivatives",
    "first_moments",
    "fit_cox",
    "hazard_weights",
    "state_at",
]

Floats: TypeAlias = NDArray[np.float64]

# Sums over risk sets by subtraction lose their digits where nearly everything is subtracted (late entry only).
_LEFT_OF_SUM = 1e-10
# Linear predictors that move by no more go nowhere.
_SMALL_REACH = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class CoxData:
    """What the likelihood is a function of.

    Attributes
    ----------
    design : Design
        n rows by p columns.
    sets : RiskSets
        Of the same rows.
    ties : {"efron", "breslow"}
    frequency : (n,) float64, or None
        A row stands for so many equal rows; the same as in `sets`.
    offset : (n,) float64, or None
        Added to the linear predictor, with coefficient 1.
    sampling : (n,) float64, or None
        Weight of the row in every sum, > 0; `sets` counts rows. Not together with `frequency`.
    """

    design: Design
    sets: RiskSets
    ties: Literal["efron", "breslow"] = "efron"
    frequency: Floats | None = None
    offset: Floats | None = None
    sampling: Floats | None = None

    @property
    def weights(self) -> Floats | None:
        """Frequencies or sampling weights, whichever there are."""
        return self.frequency if self.sampling is None else self.sampling

    def weighted(self, values: Floats) -> Floats:
        """Values times weights."""
        return values if self.weights is None else values * self.weights

    def event_weight(self) -> Floats:
        """Return the weight of the events of each slot, shape (n_slots,): their number, where there are no weights."""
        if self.sampling is None:
            return self.sets.n_events.astype(np.float64)
        return count(self.sets.place[self.sets.event] // 2, self.sampling[self.sets.event], self.sets.n_slots)


@dataclass(frozen=True, slots=True, eq=False)
class CoxState:
    """The likelihood at one set of coefficients.

    Attributes
    ----------
    coefficients : (p,) float64
        On the scale of the design.
    log_likelihood : float
        Minus infinity where a sum over a risk set is lost to rounding or underflow.
    theta : (n,) float64
        exp(x'b - shift).
    shift : float
        Largest linear predictor: keeps theta within floating point.
    sums : TieSums
        With sampling weights, times the mean weight of the events of the day.
    """

    coefficients: Floats
    log_likelihood: float
    theta: Floats
    shift: float
    sums: TieSums


@dataclass(frozen=True, slots=True, eq=False)
class CoxSolution:
    """The maximum of the partial likelihood.

    Attributes
    ----------
    coefficients : (p,) float64
        In the units of the covariates.
    inverse_information : (p, p) float64
        In the units of the covariates: the model-based covariance of the coefficients.
    log_likelihood, log_likelihood_null : float
    score_statistic : float
        Score' inverse information score, at coefficients zero.
    iterations : int
        Newton steps.
    state : CoxState
        At the maximum.
    """

    coefficients: Floats
    inverse_information: Floats
    log_likelihood: float
    log_likelihood_null: float
    score_statistic: float
    iterations: int
    state: CoxState


def fit_cox(data: CoxData) -> CoxSolution:
    """Maximise the partial likelihood by safeguarded Newton steps from zero.

    Raises
    ------
    ConvergenceError
        If there are no events, columns are collinear or don't vary where it counts, a coefficient is infinite, or the
        maximum is not reached. The columns are named.

    Examples
    --------
    One covariate, three users, churn on days 1, 2 and 3: the score 1 - e/(e + 2) - e/(e + 1) is zero at e = sqrt 2.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2, 3]), np.array([True, True, True]))
    >>> fit = fit_cox(CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), sets))
    >>> bool(np.isclose(fit.coefficients[0], np.log(np.sqrt(2)), rtol=1e-13))
    True
    """
    if data.sets.n_slots == 0:
        raise ConvergenceError("there is no event among the rows at risk: nothing can be estimated from them.")
    if data.design.indicators:
        check_categories(data.design, data.sets, data.frequency)
    if data.sampling is not None:
        return _fit_in_own_unit(data, data.sampling)
    return _fit(data)


def _fit(data: CoxData) -> CoxSolution:
    events = data.design.transposed_times(data.weighted(data.sets.event.astype(np.float64)))
    top = maximise(
        lambda coefficients: state_at(data, coefficients),
        lambda state: derivatives(data, state, events),
        reach=lambda step: _reach(data, step),
        names=data.design.names,
    )
    scale = data.design.scale
    return CoxSolution(
        coefficients=top.coefficients / scale,
        inverse_information=top.inverse_information / np.outer(scale, scale),
        log_likelihood=top.state.log_likelihood,
        log_likelihood_null=top.first_value,
        score_statistic=top.first_decrement,
        iterations=top.iterations,
        state=top.state,
    )


def _reach(data: CoxData, step: Floats) -> float:
    """Largest change of a linear predictor, or a bound of it that is small enough to ask no further."""
    # values of a design are at most 2 apart from 0
    bound = 2.0 * float(np.abs(step).sum())
    if bound < _SMALL_REACH:
        return bound
    return float(np.abs(data.design.times(step)[data.sets.at_risk()]).max())


def _fit_in_own_unit(data: CoxData, sampling: Floats) -> CoxSolution:
    """Fit with weights of about one, whatever their unit: Newton's method must not stop sooner where they are small."""
    unit = float(2.0 ** np.round(np.log2(sampling[data.sets.event].mean())))  # dividing by a power of two is exact
    found = _fit(replace(data, sampling=sampling / unit))
    state = state_at(data, found.state.coefficients)
    return replace(
        found,
        inverse_information=found.inverse_information / unit,
        log_likelihood=state.log_likelihood,
        log_likelihood_null=state_at(data, np.zeros(data.design.n_columns)).log_likelihood,
        score_statistic=found.score_statistic * unit,
        state=state,
    )


def state_at(data: CoxData, coefficients: Floats) -> CoxState:
    """Return the log-likelihood and what its derivatives need.

    Parameters
    ----------
    data : CoxData
    coefficients : (p,) float64
        On the scale of the design.
    """
    theta = data.design.times(coefficients)
    if data.offset is not None:
        theta += data.offset
    sets = data.sets
    shift = max(by_chunks(lambda rows: _largest(theta[rows], sets, rows), theta.shape[0]))
    of_events = math.fsum(by_chunks(lambda rows: _exponentiate(theta[rows], shift, data, rows), theta.shape[0]))
    S0, D0, lost = _risk_sums(sets, data.weighted(theta))
    d = sets.n_events.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        sums = efron_sums(S0, np.minimum(D0, S0), d) if data.ties == "efron" else breslow_sums(S0, d)
        if data.sampling is not None:
            sums = sums.times(data.event_weight() / d)
    value = of_events - float(sums.log_sum.sum())
    usable = not lost and np.isfinite(value) and all(np.isfinite(x).all() for x in (sums.A2, sums.B2, sums.C2))
    return CoxState(coefficients, value if usable else -np.inf, theta, shift, sums)


def _largest(predictor: Floats, sets: RiskSets, rows: slice) -> float:
    """Largest linear predictor among the rows at risk on a day with events."""
    place, never = sets.place[rows], 2 * sets.n_slots
    if place.max(initial=0) == never:
        predictor = predictor[place < never]
    return float(predictor.max(initial=-np.inf))


def _exponentiate(predictor: Floats, shift: float, data: CoxData, rows: slice) -> float:
    """Turn x'b into exp(x'b - shift) in place, and return the weighted sum of x'b - shift over the events."""
    predictor -= shift
    # a row that is at risk on no day with events counts nowhere; it must not overflow
    np.minimum(predictor, 0.0, out=predictor)
    events = predictor * data.sets.event[rows]
    if data.weights is not None:
        events *= data.weights[rows]
    np.exp(predictor, out=predictor)
    return float(events.sum())


def _risk_sums(sets: RiskSets, weights: Floats) -> tuple[Floats, Floats, bool]:
    """S0 and D0, and whether S0 lost its digits."""
    by_place = count(sets.place, weights, 2 * sets.n_slots + 1)
    if sets.start is None:
        S0, D0 = sets.sums(by_place, None)
        return S0, D0, bool((S0 <= 0).any())
    S0, D0 = sets.sums(by_place, count(sets.start, weights, sets.n_slots + 1))
    S0 = np.maximum(S0, D0)
    without_subtraction, _ = sets.sums(by_place, None)
    # a product, not a ratio: where every theta underflows both sums are 0, and that is a loss too
    return S0, D0, bool(np.less_equal(S0, _LEFT_OF_SUM * without_subtraction).any())


def derivatives(data: CoxData, state: CoxState, events: Floats) -> Derivatives:
    """Return score and information; `events` is the sum of x over the events."""
    sums = state.sums
    gram, expected = data.design.gram(data.weighted(hazard_weights(data, state)))
    S1, D1 = first_moments(data, state)
    information = gram - _second_term(sums, S1, D1)
    return Derivatives(events - expected, information, np.diagonal(gram).copy())


def _second_term(sums: TieSums, S1: Floats, D1: Floats) -> Floats:
    """Sum of A2 S1 S1' - B2 (S1 D1' + D1 S1') + C2 D1 D1', as squares: A2 (S1 - b D1)^2 + (C2 - b B2) D1^2."""
    b = sums.B2 / sums.A2
    tied = np.flatnonzero(b)
    S1[tied] -= b[tied, None] * D1[tied]
    first, _ = weighted_gram(S1, sums.A2)
    second, _ = weighted_gram(D1[tied], np.maximum((sums.C2 - b * sums.B2)[tied], 0.0))
    return first + second


def hazard_weights(data: CoxData, state: CoxState) -> Floats:
    """Return v of each row, shape (n,): the events expected of it, ties included; >= 0."""
    sets, sums = data.sets, state.sums
    total = running_sums(sums.A, sets.segments)
    by_place = np.append(np.column_stack([total, total - sums.B]).ravel(), 0.0)
    taken_off = np.append(total, 0.0)
    exposure = np.empty(sets.place.shape[0])

    def fill(rows: slice) -> None:
        part = by_place[sets.place[rows]]
        if sets.start is not None:
            part -= taken_off[sets.start[rows]]
        part *= state.theta[rows]
        np.maximum(part, 0.0, out=exposure[rows])

    by_chunks(fill, exposure.shape[0])
    return exposure


def first_moments(data: CoxData, state: CoxState) -> tuple[Floats, Floats]:
    """S1 and D1, shape (n_slots, p) each."""
    sets, weights = data.sets, data.weighted(state.theta)
    by_place = data.design.sums_by(sets.place, 2 * sets.n_slots + 1, weights)
    by_start = None if sets.start is None else data.design.sums_by(sets.start, sets.n_slots + 1, weights)
    return sets.sums(by_place, by_start)


class AtMaximum(Protocol):
    """A fit, with or without a penalty."""

    @property
    def coefficients(self) -> Floats:
        """(p,) float64, in the units of the covariates."""
        ...

    @property
    def state(self) -> CoxState:
        """The likelihood there."""
        ...


def baseline_hazard(data: CoxData, solution: AtMaximum) -> Floats:
    """Cumulative hazard at covariates zero on each slot, shape (n_slots,): the sum of A, stratum by stratum.

    With Efron's ties the increments are Efron's, with Breslow's d / S0, as in R's ``basehaz(centered=FALSE)``.
    Infinite where covariates zero lie too far from the data for floating point.
    """
    at_zero = float(solution.coefficients @ data.design.centre) + solution.state.shift
    with np.errstate(over="ignore", under="ignore"):
        hazard: Floats = np.exp(np.log(running_sums(solution.state.sums.A, data.sets.strata)) - at_zero)
    return hazard
