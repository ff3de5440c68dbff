"""The penalised Cox likelihood at a falling sequence of penalties, exactly: lasso, elastic net, ridge.

Everything here is in coefficients times standard deviations, beta_j = s_j b_j, for which all columns are alike. At each
penalty the log-likelihood is replaced by its quadratic at the present point, whose penalised maximum is found exactly
(`active_set`), and the step there is halved until the penalised likelihood rises: Newton's method for a function with
corners (Lee, Sun and Saunders 2014). The information changes little from step to step and from penalty to penalty, so
that a Gram matrix is made only when the steps no longer gain a digit each: the score costs a third of it. What ends the
search is the score itself - for every coefficient not zero the slope of log-likelihood and penalty must cancel, for
every zero the score must stay below the penalty's corner - so that an old information costs steps but no accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.active_set import minimum_with_zeros
from churnsurv.numerics.cox import CoxData, CoxState, derivatives, hazard_weights, state_at
from churnsurv.numerics.newton import Derivatives, maximise
from churnsurv.numerics.penalty_units import PenaltyUnits

__all__ = [
    *("NullFit", "PathPoint", "Point", "Problem", "Shrinkage", "best_at", "effective_df"),
    *("largest_penalty", "path_points", "problem_of", "saturated_log_likelihood", "without_penalised"),
]

Floats: TypeAlias = NDArray[np.float64]

_MAX_STEPS = 200
_MAX_HALVINGS = 40
# Distances from the conditions of the maximum, in standard deviations of the score: what is aimed at; what is accepted
# once a step no longer halves it; and what after several, where sums over risk sets lose digits to late entry.
EXACT, ACCEPTED, ROUGH = 1e-12, 1e-9, 1e-5
_STALLED = 5
# A step that leaves more than this share of the distance calls for a new information.
_SLOW = 0.01
_ROUNDING = 1e-14  # of a log-likelihood, as a share of it
# Below this ratio of l1 the first penalty of a path would run to infinity; glmnet's choice too.
_LEAST_RATIO = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A likelihood with what its penalty is measured by.

    Attributes
    ----------
    data : CoxData
    penalised : (p,) bool
    free : (p,) bool
        Columns that are estimated: not those that are penalised and don't vary; these stay zero.
    units : PenaltyUnits
    per_beta : (p,) float64
        Coefficient on the scale of the design, by unit of beta; 0 where the column stays zero.
    events : (p,) float64
        Sum of x over the events.
    event_weight : float
        Sum of their weights.
    """

    data: CoxData
    penalised: NDArray[np.bool_]
    free: NDArray[np.bool_]
    units: PenaltyUnits
    per_beta: Floats
    events: Floats
    event_weight: float

    def in_units(self, beta: Floats) -> Floats:
        """Coefficients in the units of the covariates."""
        return beta * self.per_beta / self.data.design.scale

    def beta_of(self, coefficients: Floats) -> Floats:
        """The other way round."""
        share = np.where(self.per_beta > 0, self.per_beta, 1.0)
        return np.where(self.per_beta > 0, coefficients * self.data.design.scale / share, 0.0)

    def at(self, beta: Floats) -> Point:
        """The likelihood and its slope at a point."""
        state = state_at(self.data, beta * self.per_beta)
        if not np.isfinite(state.log_likelihood):
            return Point(beta, state, np.full(beta.shape, np.nan))
        expected = self.data.design.transposed_times(self.data.weighted(hazard_weights(self.data, state)))
        return Point(beta, state, (self.events - expected) * self.per_beta)

    def information(self, point: Point) -> Floats:
        """The information of beta at a point: one weighted Gram matrix."""
        found = derivatives(self.data, point.state, self.events).information
        return found * np.outer(self.per_beta, self.per_beta)


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Standardised coefficients, the likelihood there and its score, shape (p,)."""

    beta: Floats
    state: CoxState
    score: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Shrinkage:
    """Penalty of beta by column, times W: ``lasso |beta| + ridge / 2 beta^2``."""

    lasso: Floats
    ridge: Floats

    @classmethod
    def of(cls, problem: Problem, penalty: float, l1_ratio: float) -> Shrinkage:
        """From glmnet's lambda and alpha."""
        weight: Floats = problem.units.total * penalty * problem.penalised.astype(np.float64)
        return cls(weight * l1_ratio, weight * (1 - l1_ratio))

    def of_point(self, beta: Floats) -> float:
        """The penalty itself."""
        return float(self.lasso @ np.abs(beta) + self.ridge @ beta**2 / 2)

    def uphill(self, point: Point) -> Floats:
        """The steepest slope of the penalised likelihood, shape (p,): zero at the maximum."""
        slope = point.score - self.ridge * point.beta
        at_zero = np.sign(slope) * np.maximum(np.abs(slope) - self.lasso, 0.0)
        return np.where(point.beta == 0, at_zero, slope - self.lasso * np.sign(point.beta))


@dataclass(frozen=True, slots=True, eq=False)
class NullFit:
    """The maximum without any penalised column, and the information there."""

    point: Point
    curvature: Floats
    log_likelihood_null: float
    iterations: int


@dataclass(frozen=True, slots=True, eq=False)
class PathPoint:
    """The maximum at one penalty, and the information that led there (not that of the point itself)."""

    point: Point
    curvature: Floats
    iterations: int


def problem_of(data: CoxData, penalised: NDArray[np.bool_], units: PenaltyUnits) -> Problem:
    """Put a problem together."""
    deviation = units.deviation / data.design.scale
    free = (deviation > 0) | ~penalised
    # a column without penalty needs no scale; one that does not vary is named when it is fitted
    per_beta = np.where(free, 1 / np.where(deviation > 0, deviation, 1.0), 0.0)
    events = data.design.transposed_times(data.weighted(data.sets.event.astype(np.float64)))
    return Problem(data, penalised, free, units, per_beta, events, float(data.event_weight().sum()))


def without_penalised(problem: Problem) -> NullFit:
    """Fit the columns without penalty alone, by Newton steps from zero.

    Raises
    ------
    ConvergenceError
        If they are collinear, have infinite coefficients, or the maximum is not reached. The columns are named.
    """
    p = problem.per_beta.shape[0]
    columns = np.flatnonzero(~problem.penalised)
    start = problem.at(np.zeros(p))
    if not np.isfinite(start.state.log_likelihood):
        raise ConvergenceError(
            "the likelihood cannot be computed at coefficients zero: the offset or the weights span too wide a range, "
            "or nearly all rows enter long after the first days with events. Check these columns."
        )
    if columns.size == 0:
        return NullFit(start, problem.information(start), start.state.log_likelihood, 0)
    data, at_risk = problem.data, problem.data.sets.at_risk()

    def widened(part: Floats) -> Floats:
        whole = np.zeros(p)
        whole[columns] = part
        return whole

    def slopes(state: _PartState) -> Derivatives:
        here = derivatives(data, state.inner, problem.events)
        return Derivatives(here.score[columns], here.information[np.ix_(columns, columns)], here.uncentred[columns])

    def state(part: Floats) -> _PartState:
        inner = state_at(data, widened(part))
        return _PartState(part, inner.log_likelihood, inner)

    top = maximise(
        state,
        slopes,
        reach=lambda step: float(np.abs(data.design.times(widened(step))[at_risk]).max()),
        names=tuple(data.design.names[j] for j in columns),
    )
    point = problem.at(widened(top.coefficients / problem.per_beta[columns]))
    return NullFit(point, problem.information(point), top.first_value, top.iterations)


@dataclass(frozen=True, slots=True, eq=False)
class _PartState:
    """A point of the likelihood of some of the columns."""

    coefficients: Floats
    log_likelihood: float
    inner: CoxState


def largest_penalty(problem: Problem, null: NullFit, l1_ratio: float) -> float:
    """Return the smallest penalty at which all penalised coefficients are zero.

    With l1_ratio below 0.001, ridge among them, that of 0.001: no penalty makes ridge's coefficients zero.
    """
    slopes = np.abs(null.point.score[problem.penalised])
    return float(slopes.max(initial=0.0) / problem.units.total / max(l1_ratio, _LEAST_RATIO))


def path_points(
    problem: Problem,
    null: NullFit,
    penalties: Iterable[float],
    l1_ratio: float,
    *,
    guesses: Iterable[Floats] | None = None,
    tolerance: float = EXACT,
) -> Iterator[PathPoint]:
    """Yield the maximum at each of the falling penalties, each begun at the one before.

    Parameters
    ----------
    problem, null
    penalties : iterable of float
    l1_ratio : float
    guesses : iterable of (p,) float64, optional
        Beta of a like problem: of its null fit, then at the same penalties. The steps are begun at as much beside it as
        the last two penalties suggest.
    tolerance : float
        See `best_at`.
    """
    point, curvature = null.point, null.curvature
    ahead = iter(()) if guesses is None else iter(guesses)
    first = next(ahead, None)
    away = [] if first is None else [point.beta - first]
    for penalty in penalties:
        shrinkage = Shrinkage.of(problem, penalty, l1_ratio)
        guess = next(ahead, None)
        if guess is not None:
            drift = 2 * away[-1] - away[-2] if len(away) > 1 else away[-1]
            beta = np.where(problem.free & ((guess != 0) | (point.beta != 0)), guess + drift, 0.0)
            moved = problem.at(beta)
            if _value(moved, shrinkage) > _value(point, shrinkage):
                point = moved
        try:
            found = best_at(problem, point, shrinkage, curvature, tolerance=tolerance)
        except ConvergenceError as error:
            raise ConvergenceError(f"at penalty {penalty:.4g}: {error}") from error
        point, curvature = found.point, found.curvature
        if guess is not None:
            away = [away[-1], point.beta - guess]
        yield found


def best_at(
    problem: Problem, start: Point, shrinkage: Shrinkage, curvature: Floats, *, tolerance: float = EXACT
) -> PathPoint:
    """Maximise the penalised likelihood at one penalty.

    Parameters
    ----------
    problem : Problem
    start : Point
    shrinkage : Shrinkage
    curvature : (p, p) float64
        Information of beta at a point nearby.
    tolerance : float
        Largest slope that may be left, in standard deviations of the score (about: distance to the maximum in standard
        errors).

    Raises
    ------
    ConvergenceError
        If the conditions of the maximum cannot be met to 1e-9; to 1e-5 where rounding of the likelihood hides them.
    """
    point, exact, before = start, False, np.inf
    best, least, stalled = start, np.inf, 0
    for iteration in range(_MAX_STEPS):
        left = _distance(shrinkage, point, curvature)
        stalled = 0 if left < least / 2 else stalled + 1
        best, least = (point, left) if left < least else (best, least)
        if least <= tolerance or (least <= ACCEPTED and stalled) or (least <= ROUGH and stalled >= _STALLED):
            return PathPoint(best, curvature, iteration)
        if not exact and left > _SLOW * before:
            curvature, exact = problem.information(point), True
        step = _step(curvature, point, shrinkage, problem.free)
        higher = _climb(problem, point, step, shrinkage, curvature)
        if higher is None and not exact:
            before = 0.0  # the old information led nowhere: make it anew
            continue
        if higher is None:
            break
        point, exact, before = higher, False, left
    if least <= ROUGH:
        return PathPoint(best, curvature, iteration)
    raise ConvergenceError(
        f"the penalised likelihood was not maximised: a slope of {least:.2g} standard deviations is left after "
        f"{iteration} steps. Either the penalty is too small to hold coefficients that tell exactly who churns: raise "
        "it. Or covariates have extreme values: take their log, or leave them out."
    )


def _value(point: Point, shrinkage: Shrinkage) -> float:
    return point.state.log_likelihood - shrinkage.of_point(point.beta)


def _distance(shrinkage: Shrinkage, point: Point, curvature: Floats) -> float:
    """The largest slope left, in standard deviations of the score."""
    slope = float(np.abs(shrinkage.uphill(point)).max(initial=0.0))
    spread = float(np.sqrt(np.diagonal(curvature).max(initial=0.0)))
    # where nothing varies that could be moved, any slope left is infinitely far
    return slope / spread if spread > 0 else (0.0 if slope == 0 else float("inf"))


def _step(curvature: Floats, point: Point, shrinkage: Shrinkage, free: NDArray[np.bool_]) -> Floats:
    """From the point to the penalised maximum of the quadratic there."""
    columns = np.flatnonzero(free)
    inner = np.ix_(columns, columns)
    beta = point.beta[columns]
    target = minimum_with_zeros(
        curvature[inner] + np.diag(shrinkage.ridge[columns]),
        point.score[columns] + curvature[inner] @ beta,
        shrinkage.lasso[columns],
        beta,
    )
    target_of_all = np.zeros(point.beta.shape)
    target_of_all[columns] = target
    return target_of_all - point.beta


def _climb(problem: Problem, point: Point, step: Floats, shrinkage: Shrinkage, curvature: Floats) -> Point | None:
    """Take the step, halved until the penalised likelihood gains a fair part of what the slope promises.

    Close to the maximum the gain drowns in rounding before the slopes do: a step that halves these is taken too.
    """
    value = _value(point, shrinkage)
    # where separation makes the log-likelihood small, its terms, one an event, are not
    size = abs(point.state.log_likelihood) + problem.event_weight + shrinkage.of_point(point.beta)
    target = point.beta + step
    target[step == -point.beta] = 0.0
    promise = float(point.score @ step) - (shrinkage.of_point(target) - shrinkage.of_point(point.beta))
    for halving in range(_MAX_HALVINGS):
        share = 0.5**halving
        tried = problem.at(target if halving == 0 else point.beta + share * step)
        if _value(tried, shrinkage) >= value + 1e-4 * share * promise - _ROUNDING * size:
            return tried
        if _distance(shrinkage, tried, curvature) <= _distance(shrinkage, point, curvature) / 2:
            return tried
    return None


def effective_df(problem: Problem, point: Point, shrinkage: Shrinkage) -> float:
    """Degrees of freedom: coefficients not zero; for ridge the trace of I (I + P)^-1, which costs one information."""
    if shrinkage.lasso.any():
        return float(np.count_nonzero(point.beta))
    columns = np.flatnonzero(problem.free)
    information = problem.information(point)[np.ix_(columns, columns)]
    return float(np.trace(np.linalg.solve(information + np.diag(shrinkage.ridge[columns]), information)))


def saturated_log_likelihood(data: CoxData) -> float:
    """Return the log-likelihood of a model with a hazard of its own for each event, that no covariates can exceed.

    On a day with d events of total weight w only these are at risk in effect: -w log w with Breslow's ties, and
    -log d! with Efron's, for weights -w log w - (w / d) log(d! / d^d).
    """
    weight, d = data.event_weight(), data.sets.n_events.astype(np.float64)
    value = -weight * np.log(weight)
    if data.ties == "efron":
        value -= weight / d * (gammaln(d + 1) - d * np.log(d))
    return float(value.sum())
