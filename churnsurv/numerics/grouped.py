"""Grouped proportional hazards: a day is an interval, so that any share of a risk set may have the event on it.

Beneath the days time is continuous. Row i, at risk on day t of its stratum, has the event with probability

    p_it = 1 - exp(-h_it),     h_it = theta_i e^{a_t},     theta_i = exp(x_i'b),

a GLM with complementary log-log link on (row, day at risk), whose b are the log hazard ratios of the continuous time
(Prentice and Gloeckler 1978). The pairs are never written down: what is without event is linear in theta_i,

    log-likelihood = sum over events log(1 - exp(-h_iT))  -  sum over days e^{a_t} N_t,

N_t the sum of theta over those at risk on day t without event, so that only rows with event need more than Cox's sums.
With q = h / (e^h - 1) and r = q (q + h - 1), the first and minus the second derivative of log(1 - e^{-h}) in log h,

    score in a_t         f_t  = sum over events q  -  e^{a_t} N_t
    information in a_t   K_t  = sum over events r  +  e^{a_t} N_t
    information in both  C_t  = sum over events r x  +  e^{a_t} sum over the others theta x
    information in b          = X' diag(v) X,    v_i = theta_i (sum of e^{a_t} over days without event) + 1{event} r_i.

The a_t are solved for at each b, which leaves a concave function of b alone with information
X' diag(v) X - sum C_t C_t' / K_t: one weighted Gram matrix and a few sums by day. Information is observed information,
as in Cox's model (R's ``glm`` inverts the expected one). Days without event have e^{a_t} = 0 and add nothing. A day on
which everybody at risk has the event has e^{a_t} = infinity and adds nothing either: it is left out, and the baseline
is infinite from it on.

Weights of either kind enter all sums over rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import exprel

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.design import count, weighted_gram
from churnsurv.numerics.newton import Derivatives, maximise
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.numerics.risk_sets import RiskSets, running_sums
from churnsurv.numerics.separation import check_categories, unbounded

__all__ = [
    "GroupedSolution",
    "GroupedState",
    "day_information",
    "first_slots",
    "fit_grouped",
    "grouped_baseline",
    "grouped_derivatives",
    "grouped_moments",
    "grouped_state",
    "lived_through",
    "sums_before",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

# Sums over risk sets by subtraction lose their digits where nearly everything is subtracted (late entry only): such
# slots are added up row by row, unless there are too many of them.
_LEFT_OF_SUM, _RECOUNTED = 1e-8, 64
# What is left of a day's hazard after a relative step is half its square, and enters the likelihood squared again.
_SETTLED, _MAX_STEPS = 1e-6, 200
# An event as good as certain (1 - 1e-6), and information next to nothing beside a single event of ordinary size.
_CERTAIN, _NO_INFORMATION = 14.0, 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class GroupedState:
    """The likelihood at one set of coefficients, the hazards of the days at their best for them.

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
    hazard : (n_slots,) float64
        exp(a + shift), the hazard of each slot where the linear predictor is `shift`; 0 where everybody at risk has the
        event: the slot is not in the likelihood.
    survivors : (n_slots,) float64
        N: sum of theta over the rows at risk without the event.
    recounted : (n_recounted,) integer
        Slots whose sums are added up row by row, because a difference of running sums would lose their digits.
    rows : (n_rows_with_event,) integer
        Rows with the event on the slots that are in the likelihood.
    slope, curvature : (n_rows_with_event,) float64
        q and r of these rows on the slot of their event.
    """

    coefficients: Floats
    log_likelihood: float
    theta: Floats
    shift: float
    hazard: Floats
    survivors: Floats
    recounted: NDArray[np.intp]
    rows: NDArray[np.intp]
    slope: Floats
    curvature: Floats


@dataclass(frozen=True, slots=True, eq=False)
class GroupedSolution:
    """The maximum of the likelihood.

    Attributes
    ----------
    coefficients : (p,) float64
        In the units of the covariates.
    inverse_information : (p, p) float64
        In the units of the covariates: the block of the coefficients in the inverse of the joint observed information.
    log_likelihood, log_likelihood_null : float
        Of the GLM, at the estimates and at coefficients zero, the hazards of the days at their best in both.
    score_statistic : float
        Score' inverse information score, at coefficients zero.
    iterations : int
        Newton steps.
    state : GroupedState
        At the maximum.
    emptied : (n_emptied,) int64
        Slots on which everybody at risk has the event: left out of the likelihood, the baseline is infinite from there.
    """

    coefficients: Floats
    inverse_information: Floats
    log_likelihood: float
    log_likelihood_null: float
    score_statistic: float
    iterations: int
    state: GroupedState
    emptied: Ints


def fit_grouped(data: CoxData) -> GroupedSolution:
    """Maximise the likelihood by safeguarded Newton steps from zero; `data.ties` is not read.

    Raises
    ------
    ConvergenceError
        If there are no events, or no day without all at risk having the event, columns are collinear or don't vary
        where it counts, a coefficient is infinite, or the maximum is not reached. The columns are named.

    Examples
    --------
    Of four users each, one churns on the day without x, three with it: log(1 - p) is in the ratio of the hazards.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.full(8, 30), np.array([True, False, False, False, True, True, True, False]))
    >>> fit = fit_grouped(CoxData(design([np.repeat([0.0, 1.0], 4)], ["x"], n_rows=8), sets))
    >>> bool(np.isclose(np.exp(fit.coefficients[0]), np.log(1 / 4) / np.log(3 / 4), rtol=1e-12))
    True
    """
    if data.sets.n_slots == 0:
        raise ConvergenceError("there is no event among the rows at risk: nothing can be estimated from them.")
    if not _informative(data.sets).any():
        raise ConvergenceError(
            "on every day with events everybody at risk has the event: nothing can be compared. Check the event column "
            "and the end of the log."
        )
    check_categories(data.design, data.sets, data.frequency)
    if data.sampling is None:
        return _fit(data)
    # weights of about one, whatever their unit: Newton's method must not stop sooner where they are small
    unit = float(2.0 ** np.round(np.log2(data.sampling[data.sets.event].mean())))
    found = _fit(replace(data, sampling=data.sampling / unit))
    return replace(
        found,
        inverse_information=found.inverse_information / unit,
        log_likelihood=found.log_likelihood * unit,
        log_likelihood_null=found.log_likelihood_null * unit,
        score_statistic=found.score_statistic * unit,
        state=grouped_state(data, found.state.coefficients),
    )


def _fit(data: CoxData) -> GroupedSolution:
    top = maximise(
        lambda coefficients: grouped_state(data, coefficients),
        lambda state: grouped_derivatives(data, state),
        reach=lambda step: float(np.abs(data.design.times(step)[data.sets.at_risk()]).max()),
        names=data.design.names,
    )
    _check_saturated(data, top.state)
    scale = data.design.scale
    return GroupedSolution(
        coefficients=top.coefficients / scale,
        inverse_information=top.inverse_information / np.outer(scale, scale),
        log_likelihood=top.state.log_likelihood,
        log_likelihood_null=top.first_value,
        score_statistic=top.first_decrement,
        iterations=top.iterations,
        state=top.state,
        emptied=np.flatnonzero(~_informative(data.sets)),
    )


def _informative(sets: RiskSets) -> NDArray[np.bool_]:
    """Mark the slots on which somebody at risk does not have the event."""
    marked: NDArray[np.bool_] = sets.n_events < sets.n_at_risk
    return marked


def grouped_state(data: CoxData, coefficients: Floats) -> GroupedState:
    """Return the log-likelihood, the hazards of the days at their best, and what the derivatives need.

    Parameters
    ----------
    data : CoxData
    coefficients : (p,) float64
        On the scale of the design.
    """
    log_theta = data.design.times(coefficients)
    if data.offset is not None:
        log_theta += data.offset
    sets = data.sets
    shift = float(log_theta.max(where=sets.at_risk(), initial=-np.inf))
    log_theta -= shift
    inside = _informative(sets)
    rows = np.flatnonzero(sets.event)
    rows = rows[inside[sets.place[rows] // 2]]
    of_event = log_theta[rows]
    # a row that is at risk on no day with events counts nowhere; it must not overflow
    theta = np.exp(np.minimum(log_theta, 0.0, out=log_theta), out=log_theta)
    N, recounted = _survivor_sums(sets, data.weighted(theta))
    slot, weight = sets.place[rows] // 2, None if data.weights is None else data.weights[rows]
    with np.errstate(all="ignore"):
        hazard, settled = _day_hazards(slot, theta[rows], weight, N, inside)
        h = theta[rows] * hazard[slot]
        q = 1.0 / exprel(h)
        gain = of_event + np.log(hazard)[slot] + np.log(exprel(-h))
        value = float((gain if weight is None else weight * gain).sum() - hazard @ N)
        r = q * np.maximum(q + h - 1.0, 0.0)
    usable = settled and recounted.size <= _RECOUNTED and np.isfinite(value) and bool(np.isfinite(h).all())
    return GroupedState(coefficients, value if usable else -np.inf, theta, shift, hazard, N, recounted, rows, q, r)


def _day_hazards(
    slot: NDArray[np.integer[Any]], theta: Floats, weight: Floats | None, N: Floats, inside: NDArray[np.bool_]
) -> tuple[Floats, bool]:
    """Solve for the hazard y of each slot: sum over its events of theta / (exp(theta y) - 1) = N.

    The left side is log-convex and falls in y, so that Newton's steps for its logarithm rise to the solution from
    anywhere below it. By Jensen's inequality what solves it with all thetas at their mean, log1p(D0 / N) d / D0, is
    below; where few of those at risk have the event it is next to the solution.
    """
    n_slots = N.shape[0]
    D0 = count(slot, theta if weight is None else theta * weight, n_slots)
    d = np.bincount(slot, weight, n_slots)
    y = np.zeros(n_slots)
    y[inside] = (np.log1p(D0 / N) * d / D0)[inside]
    active = inside
    for _ in range(_MAX_STEPS):
        h = theta * y[slot]
        q = 1.0 / exprel(h)
        bent = q * (q + h)
        if weight is not None:
            q, bent = q * weight, bent * weight
        S = count(slot, q, n_slots)
        step = np.zeros(n_slots)
        step[active] = (np.log(S / (y * N)) * S / count(slot, bent, n_slots))[active]
        y *= 1.0 + step
        active = active & ~(np.abs(step) <= _SETTLED)
        if not active.any():
            return y, True
        left = active[slot]
        slot, theta, weight = slot[left], theta[left], None if weight is None else weight[left]
    return y, False


def _survivor_sums(sets: RiskSets, weights: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """N, and the slots where it had to be added up row by row; where they are too many it is not."""
    by_place = count(sets.place, weights, 2 * sets.n_slots + 1)
    if sets.start is None:
        return _without_events(sets, by_place, None), np.zeros(0, dtype=np.intp)
    N = _without_events(sets, by_place, count(sets.start, weights, sets.n_slots + 1))
    without_subtraction = _without_events(sets, by_place, None)
    recounted = np.flatnonzero(_informative(sets) & np.less_equal(N, _LEFT_OF_SUM * without_subtraction))
    if recounted.size <= _RECOUNTED:
        for slot in recounted.tolist():
            N[slot] = weights[_survivors(sets, slot)].sum()
    return N, recounted


def _survivors(sets: RiskSets, slot: int) -> NDArray[np.bool_]:
    """Mark the rows at risk on a slot without the event on it."""
    there = (first_slots(sets) <= slot) & (sets.place >= 2 * slot) & sets.at_risk()
    marked: NDArray[np.bool_] = there & (sets.place != 2 * slot + 1)
    return marked


def first_slots(sets: RiskSets) -> NDArray[np.integer[Any]]:
    """Return the first slot at which each row is at risk, shape (n,); of no meaning where there is none."""
    begins: Ints = sets.segments[np.searchsorted(sets.segments, sets.place // 2, side="right") - 1]
    return begins if sets.start is None else np.where(sets.start < sets.n_slots, sets.start + 1, begins)


def _without_events(sets: RiskSets, by_place: Floats, by_start: Floats | None) -> Floats:
    """Sums over those at risk without the event: who goes on to the next slot, and who leaves without it.

    Added up, not taken as a difference: nothing cancels where nearly all at risk have the event.
    """
    total, _ = sets.sums(by_place, by_start)
    found = np.zeros_like(total)
    found[:-1] = total[1:]
    found[sets.segments[1:] - 1] = 0.0
    found += by_place[:-1:2]
    if by_start is not None:
        found -= by_start[:-1]
    found[~_informative(sets)] = 0.0
    return found


def grouped_derivatives(data: CoxData, state: GroupedState) -> Derivatives:
    """Return score and information in the coefficients, the hazards of the days following at their best."""
    weights = lived_through(data, state)
    weights[state.rows] += state.curvature
    gram, expected = data.design.gram(data.weighted(weights))
    of_events = np.zeros(data.design.n_rows)
    of_events[state.rows] = state.slope + state.curvature
    K, C = day_information(data, state)
    # the days are at their best up to a small step; this is the score after it
    left = _score_of_days(data, state) / K
    score = data.design.transposed_times(data.weighted(of_events)) - expected - left @ C
    explained, _ = weighted_gram(C, 1.0 / K)
    return Derivatives(score, gram - explained, np.diagonal(gram).copy())


def lived_through(data: CoxData, state: GroupedState) -> Floats:
    """Return the hazard that each row has lived through: that of its days at risk without event, shape (n,)."""
    sets, hazard = data.sets, state.hazard
    total = running_sums(hazard, sets.segments)
    by_place = np.append(np.column_stack([total, sums_before(total, sets.segments)]).ravel(), 0.0)
    exposure: Floats = by_place[sets.place]
    if sets.start is not None:
        exposure -= np.append(total, 0.0)[sets.start]
        np.maximum(exposure, 0.0, out=exposure)
    exposure *= state.theta
    return exposure


def sums_before(total: Floats, segments: Ints) -> Floats:
    """Running sums up to the slot before; 0 at the beginning of a segment."""
    found = np.zeros_like(total)
    found[1:] = total[:-1]
    found[segments[segments < total.shape[0]]] = 0.0
    return found


def _score_of_days(data: CoxData, state: GroupedState) -> Floats:
    slope = state.slope if data.weights is None else state.slope * data.weights[state.rows]
    return count(data.sets.place[state.rows] // 2, slope, data.sets.n_slots) - state.hazard * state.survivors


def day_information(data: CoxData, state: GroupedState) -> tuple[Floats, Floats]:
    """K, the information in each a_t, and C, that in a_t and b; 1 and 0 on slots that are not in the likelihood.

    Returns
    -------
    K : (n_slots,) float64
    C : (n_slots, p) float64
        On the scale of the design.
    """
    sets = data.sets
    n_places = 2 * sets.n_slots + 1
    weights = data.weighted(state.theta)
    by_start = None if sets.start is None else data.design.sums_by(sets.start, sets.n_slots + 1, weights)
    C = _without_events(sets, data.design.sums_by(sets.place, n_places, weights), by_start)
    for slot in state.recounted.tolist():
        C[slot] = data.design.transposed_times(np.where(_survivors(sets, slot), weights, 0.0))
    C *= state.hazard[:, None]
    curvature = np.zeros(data.design.n_rows)
    curvature[state.rows] = state.curvature
    curvature = data.weighted(curvature)
    C += data.design.sums_by(sets.place, n_places, curvature)[1::2]
    K = state.hazard * state.survivors + count(sets.place, curvature, n_places)[1::2]
    return np.where(_informative(sets), K, 1.0), C


def _check_saturated(data: CoxData, state: GroupedState) -> None:
    """Raise where the likelihood was driven to its end: events become certain, and nothing is left to tell how far.

    With 1 - exp(-h), h = exp(x'b), the likelihood flattens so fast that Newton's method stands still at a coefficient
    of about 4 that should be infinite. There the information of some direction is nothing beside the spread of the
    events themselves in it.
    """
    slots = data.sets.place[state.rows] // 2
    if not (state.theta[state.rows] * state.hazard[slots] > _CERTAIN).any():
        return
    here = grouped_derivatives(data, state)
    events = np.zeros(data.design.n_rows)
    events[state.rows] = 1.0
    spread, total = data.design.gram(data.weighted(events))
    weight = float(data.weighted(events).sum())
    spread = spread / weight - np.outer(total, total) / weight**2
    # columns of the design are of size one; the ridge keeps out directions in which the events do not differ at all
    spread[np.diag_indices_from(spread)] += 1e-8
    scale = 1 / np.sqrt(np.diagonal(spread))
    both = np.outer(scale, scale)
    values, vectors = eigh(here.information * both, spread * both)
    if values[0] < _NO_INFORMATION:
        direction = vectors[:, 0] * scale
        raise unbounded(direction if direction @ here.score >= 0 else -direction, data.design.names)


def grouped_baseline(data: CoxData, solution: GroupedSolution) -> Floats:
    """Cumulative hazard at covariates zero on each slot, shape (n_slots,): the sum of e^{a_t}, stratum by stratum.

    Infinite from a slot on where everybody at risk has the event, and where covariates zero lie too far from the data
    for floating point.
    """
    at_zero = float(solution.coefficients @ data.design.centre) + solution.state.shift
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        hazard: Floats = np.exp(np.log(running_sums(solution.state.hazard, data.sets.strata)) - at_zero)
    hazard[_after_emptied(data.sets)] = np.inf
    return hazard


def _after_emptied(sets: RiskSets) -> NDArray[np.bool_]:
    emptied: NDArray[np.bool_] = running_sums((~_informative(sets)).astype(np.float64), sets.strata) > 0
    return emptied


def grouped_moments(data: CoxData, state: GroupedState, *, last_day: Floats) -> BaselineMoments:
    """Reduce the fitted rows to what predictions need.

    With L the sum of e^{a_t} up to a day and z the covariates on the scale of the design, H(t | x) = exp(z'b) L. The
    a_t vary by themselves with variance 1 / K_t, and follow b by -C_t / K_t:

        var H(t | x) = exp(2 z'b) { sum of e^{2 a_t} / K_t  +  [z L - P]' V [z L - P] },

    P the sum of e^{a_t} C_t / K_t. This is the form of Cox's model, so that all of `numerics.prediction` holds. The
    hazard is infinite from a slot on where everybody at risk has the event.

    Parameters
    ----------
    data : CoxData
        The rows that the state belongs to.
    state : GroupedState
        At the estimates.
    last_day : (n_strata,) float64
        From `churnsurv.numerics.prediction.last_days`.

    Examples
    --------
    Half of those without x churn on day 30, three quarters of those with it: the hazards are log 2 and 2 log 2.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.full(8, 30), np.array([True, True, False, False, True, True, True, False]))
    >>> data = CoxData(design([np.repeat([0.0, 1.0], 4)], ["x"], n_rows=8), sets)
    >>> moments = grouped_moments(data, fit_grouped(data).state, last_day=np.array([30.0]))
    >>> bool(np.isclose(moments.hazard[0], 2 * np.log(2)))  # where the linear predictor is largest
    True
    """
    sets = data.sets
    K, C = day_information(data, state)
    C *= (state.hazard / K)[:, None]
    hazard, variance = running_sums(state.hazard, sets.strata), running_sums(state.hazard**2 / K, sets.strata)
    gradient = running_sums(C, sets.strata)
    hazard[_after_emptied(sets)] = np.inf
    read_only(last_day, hazard, variance, gradient, sets.strata, sets.time, data.design.centre, data.design.scale)
    return BaselineMoments(
        strata=sets.strata,
        time=sets.time,
        last_day=last_day,
        hazard=hazard,
        variance=variance,
        gradient=gradient,
        centre=data.design.centre,
        scale=data.design.scale,
        shift=state.shift,
    )
