"""Cox's partial likelihood from sums by stratum and day: a fit of rows that only an engine ever reads.

A row with theta = exp(x'b - shift) enters the risk sets of the days up to its last one, and leaves those up to its
entry. So everything that a Newton step needs is, for the rows that end on each day with events (with and without the
event), and for those that enter late by the day of entry,

    S0 = sum theta      S1 = sum theta x      S2 = sum theta x x'

from which the risk sets follow by cumulative sums, and the information of `churnsurv.numerics.cox` as

    sum over days (A S2 - B D2)  -  sum over days [A2 S1 S1' - B2 (S1 D1' + D1 S1') + C2 D1 D1'].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import _LEFT_OF_SUM, _second_term
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.design import count
from churnsurv.numerics.efron import TieSums, breslow_sums, efron_sums
from churnsurv.numerics.group_sums import Columns, DaySums
from churnsurv.numerics.newton import Derivatives, maximise
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.numerics.risk_sets import RiskSets, running_sums

__all__ = [
    *("ResidualTables", "SummedData", "SummedFit", "SummedState", "baseline_at_zero", "fit_sums", "in_own_unit"),
    *("residual_tables", "robust_covariance", "summed_moments"),
]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SummedData:
    """What the likelihood is a function of.

    Attributes
    ----------
    columns : Columns
    sets : RiskSets
        Of any rows that stand for the summed ones: only what it says of slots is used.
    ties : {"efron", "breslow"}
    sums : callable
        From coefficients on the scale of the design to `DaySums` of predictor and offset.
    reach : callable
        From a step to the largest change of a linear predictor that it makes.
    events : (p,) float64
        Sum of x over the events, weighted; on the scale of the design.
    event_offset : float
        Sum of the offset over the events, weighted.
    event_weight : (n_slots,) float64
        Weight of the events of each slot; their number where there are no sampling weights.
    sampling : bool
        Whether weights are sampling weights.
    """

    columns: Columns
    sets: RiskSets
    ties: Literal["efron", "breslow"]
    sums: Callable[[Floats], DaySums]
    reach: Callable[[Floats], float]
    events: Floats
    event_offset: float
    event_weight: Floats
    sampling: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SummedState:
    """The likelihood at one set of coefficients.

    Attributes
    ----------
    coefficients : (p,) float64
        On the scale of the design.
    log_likelihood : float
        Minus infinity where a sum over a risk set is lost to rounding or underflow.
    shift : float
        Largest linear predictor.
    sums : TieSums
        With sampling weights, times the mean weight of the events of the day.
    day : DaySums
    """

    coefficients: Floats
    log_likelihood: float
    shift: float
    sums: TieSums
    day: DaySums


@dataclass(frozen=True, slots=True, eq=False)
class SummedFit:
    """The maximum of the partial likelihood; as `CoxSolution`, without rows."""

    coefficients: Floats
    inverse_information: Floats
    log_likelihood: float
    log_likelihood_null: float
    score_statistic: float
    iterations: int
    state: SummedState


def fit_sums(data: SummedData) -> SummedFit:
    """Maximise the partial likelihood by safeguarded Newton steps from zero: one call of `data.sums` each.

    Raises
    ------
    ConvergenceError
        If there are no events, columns are collinear or don't vary where it counts, a coefficient is infinite, or the
        maximum is not reached. The columns are named.

    Examples
    --------
    One covariate, three users, churn on days 1, 2 and 3, as in `fit_cox`; here "the engine" is numpy.

    >>> from churnsurv.numerics.group_sums import Block, GroupSums
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets, x = risk_sets(np.array([1, 2, 3]), np.array([True, True, True])), np.array([0.0, 1.0, 0.0])
    >>> def sums(b):
    ...     theta = np.exp(x * b)
    ...     by_day = theta, (theta * x)[:, None], (theta * x * x)[:, None]
    ...     return DaySums(0.0, GroupSums(sets.place, (), x * b, *by_day), None)
    >>> columns = Columns((Block((0,), None, 1),), ("x",), np.zeros(1), np.ones(1), 1)
    >>> fit = fit_sums(SummedData(columns, sets, "efron", sums, lambda b: abs(b[0]), np.ones(1), 0.0, np.ones(3)))
    >>> bool(np.isclose(fit.coefficients[0], np.log(np.sqrt(2)), rtol=1e-13))
    True
    """
    if data.sets.n_slots == 0:
        raise ConvergenceError("there is no event among the rows at risk: nothing can be estimated from them.")
    top = maximise(
        lambda coefficients: _state_at(data, coefficients),
        lambda state: _derivatives(data, state),
        reach=data.reach,
        names=data.columns.names,
    )
    scale = data.columns.scale
    return SummedFit(
        coefficients=top.coefficients / scale,
        inverse_information=top.inverse_information / np.outer(scale, scale),
        log_likelihood=top.state.log_likelihood,
        log_likelihood_null=top.first_value,
        score_statistic=top.first_decrement,
        iterations=top.iterations,
        state=top.state,
    )


def in_own_unit(data: SummedData, found: SummedFit, unit: float) -> SummedFit:
    """Turn a fit of sampling weights that were divided by `unit` into that of the weights themselves.

    Sums over risk sets are `unit` times as large, and with them the weight of each event: A, B and what is made of
    first moments stay, A2, B2 and C2 fall.
    """
    total = float(data.event_weight.sum()) * unit
    sums, day = found.state.sums, found.state.day

    def value(of: float) -> float:
        return unit * of - math.log(unit) * total

    own = replace(
        found.state,
        log_likelihood=value(found.log_likelihood),
        sums=TieSums(sums.A, sums.B, sums.A2 / unit, sums.B2 / unit, sums.C2 / unit, sums.log_sum),
        day=day.times(unit),
    )
    return replace(
        found,
        inverse_information=found.inverse_information / unit,
        log_likelihood=value(found.log_likelihood),
        log_likelihood_null=value(found.log_likelihood_null),
        score_statistic=found.score_statistic * unit,
        state=own,
    )


def _state_at(data: SummedData, coefficients: Floats) -> SummedState:
    """Return the log-likelihood and what its derivatives need."""
    day = data.sums(coefficients)
    sets, d = data.sets, data.sets.n_events.astype(np.float64)
    S0, D0, lost = _risk_sums(sets, day)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        sums = efron_sums(S0, np.minimum(D0, S0), d) if data.ties == "efron" else breslow_sums(S0, d)
        if data.sampling:
            sums = sums.times(data.event_weight / d)
    of_events = float(data.events @ coefficients) + data.event_offset - day.shift * float(data.event_weight.sum())
    value = of_events - float(sums.log_sum.sum())
    usable = not lost and np.isfinite(value) and all(np.isfinite(x).all() for x in (sums.A2, sums.B2, sums.C2))
    return SummedState(coefficients, value if usable else -np.inf, day.shift, sums, day)


def _risk_sums(sets: RiskSets, day: DaySums) -> tuple[Floats, Floats, bool]:
    """S0 and D0, and whether S0 lost its digits."""
    by_place = count(day.ends.place, day.ends.S0, 2 * sets.n_slots + 1)
    if day.starts is None:
        S0, D0 = sets.sums(by_place, None)
        return S0, D0, not bool((S0 > 0).all())
    S0, D0 = sets.sums(by_place, count(day.starts.place, day.starts.S0, sets.n_slots + 1))
    S0 = np.maximum(S0, D0)
    without_subtraction, _ = sets.sums(by_place, None)
    return S0, D0, not bool(np.greater(S0, _LEFT_OF_SUM * without_subtraction).all())


def _first_moments(data: SummedData, state: SummedState) -> tuple[Floats, Floats]:
    """S1 and D1, shape (n_slots, p) each."""
    sets, day = data.sets, state.day
    by_start = None if day.starts is None else day.starts.by_place(data.columns, sets.n_slots + 1)
    return sets.sums(day.ends.by_place(data.columns, 2 * sets.n_slots + 1), by_start)


def _hazards(data: SummedData, sums: TieSums) -> tuple[Floats, Floats]:
    """Sums of A up to each place (less B of the day where the event is), and up to each slot, within segments."""
    total = running_sums(sums.A, data.sets.segments)
    return np.append(np.column_stack([total, total - sums.B]).ravel(), 0.0), np.append(total, 0.0)


def _derivatives(data: SummedData, state: SummedState) -> Derivatives:
    """Return score and information."""
    at_end, at_start = _hazards(data, state.sums)
    day = state.day
    gram = day.ends.gram(data.columns, np.maximum(at_end[day.ends.place], 0.0))
    if day.starts is not None:
        gram -= day.starts.gram(data.columns, at_start[day.starts.place])
    S1, D1 = _first_moments(data, state)
    expected = state.sums.A @ S1 - state.sums.B @ D1
    information = gram - _second_term(state.sums, S1, D1)
    return Derivatives(data.events - expected, information, np.diagonal(gram).copy())


def summed_moments(data: SummedData, state: SummedState, *, last_day: Floats) -> BaselineMoments:
    """Return what predictions need: `baseline_moments` without rows.

    Parameters
    ----------
    data : SummedData
    state : SummedState
        At the estimates.
    last_day : (n_strata,) float64
        Last day to which anybody of each stratum was followed.
    """
    sums, sets, columns = state.sums, data.sets, data.columns
    S1, D1 = _first_moments(data, state)
    hazard, variance = running_sums(sums.A, sets.strata), running_sums(sums.A2, sets.strata)
    gradient = running_sums(sums.A2[:, None] * S1 - sums.B2[:, None] * D1, sets.strata)
    read_only(last_day, hazard, variance, gradient, sets.strata, sets.time, columns.centre, columns.scale)
    return BaselineMoments(
        sets.strata, sets.time, last_day, hazard, variance, gradient, columns.centre, columns.scale, state.shift
    )


def baseline_at_zero(moments: BaselineMoments, coefficients: Floats) -> Floats:
    """Return the cumulative hazard at covariates zero on each slot; `coefficients` in the units of the covariates."""
    at_zero = float(coefficients @ moments.centre) + moments.shift
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(np.log(moments.hazard) - at_zero))


@dataclass(frozen=True, slots=True, eq=False)
class ResidualTables:
    """Score residuals as functions of a row, given tables by day (`churnsurv.numerics.residuals`).

    With e the place of the row's end and s the slot before its entry, nothing where it entered before its segment,

        u = x (1{event} - theta (hazard_e - hazard_s)) + theta (mean_e - mean_s) + event_e.

    Attributes
    ----------
    end_hazard : (2 * n_slots,) float64
    end_mean, end_event : (2 * n_slots, p) float64
    start_hazard : (n_slots,) float64
    start_mean : (n_slots, p) float64
    """

    end_hazard: Floats
    end_mean: Floats
    end_event: Floats
    start_hazard: Floats
    start_mean: Floats


def residual_tables(data: SummedData, state: SummedState) -> ResidualTables:
    """Return the tables of the score residuals at a state, on the scale of the design."""
    sums, sets = state.sums, data.sets
    S1, D1 = _first_moments(data, state)
    at_end, at_start = _hazards(data, sums)
    P = running_sums(sums.A2[:, None] * S1 - sums.B2[:, None] * D1, sets.segments)
    Q = sums.B2[:, None] * S1 - sums.C2[:, None] * D1
    m = (sums.A[:, None] * S1 - sums.B[:, None] * D1) / data.event_weight[:, None]
    p = data.columns.n_columns
    return ResidualTables(
        end_hazard=at_end[:-1],
        end_mean=np.stack([P, P - Q], axis=1).reshape(-1, p),
        end_event=np.stack([np.zeros_like(m), -m], axis=1).reshape(-1, p),
        start_hazard=at_start[:-1],
        start_mean=P,
    )


def robust_covariance(inverse_information: Floats, meat: Floats, scale: Floats) -> Floats:
    """Return the robust covariance; `meat` is the sum over clusters of U U' on the scale of the design."""
    bread = inverse_information * scale
    return np.asarray(bread @ meat @ bread.T)
