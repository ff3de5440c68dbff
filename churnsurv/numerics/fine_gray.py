"""Fine and Gray's proportional subdistribution hazards in linear time: who is lost to another cause stays, weighted.

A row i that ends on T_i with another cause counts on each later day t with weight K(t) / K(T_i), where K = G(t-) H(t-),
G(t-) the chance not to be censored before t and H(t-) the chance to have entered before it (Fine and Gray 1999; Geskus
2011 for late entry). The weight is a product, and so is each sum over such rows: with theta = exp(x'b)

    S0(t) = sum over those at risk of theta  +  K(t) * sum over other-cause rows with T_i < t of theta_i / K(T_i),

one running sum more than in Cox's model, S1 alike. The rest is Cox's likelihood (`churnsurv.numerics.cox`), ties
included: v_i and the score residuals of such a row go on after T_i with theta_i / K(T_i) times the sums of K A and K P
over the later days. All follows survival::finegray and coxph, where events of a day leave before those censored on it.

The variance is robust and takes the weights as known; `crr_covariance` adds what the estimation of G costs (cmprsk).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import CoxData, CoxSolution, CoxState, first_moments, hazard_weights
from churnsurv.numerics.design import Design, count, weighted_gram
from churnsurv.numerics.efron import breslow_sums, efron_sums
from churnsurv.numerics.newton import Derivatives, maximise
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.numerics.residuals import ScoreResiduals
from churnsurv.numerics.risk_sets import RiskSets, running_sums
from churnsurv.numerics.separation import check_categories
from churnsurv.numerics.staying import Staying
from churnsurv.numerics.threads import by_chunks

__all__ = [
    "FineGrayData",
    "crr_covariance",
    "fine_gray_moments",
    "fine_gray_residuals",
    "fine_gray_state",
    "fit_fine_gray",
    "robust_covariance",
]

Floats: TypeAlias = NDArray[np.float64]

# Sums over risk sets by subtraction lose their digits where nearly everything is subtracted (late entry only).
_LEFT_OF_SUM = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class FineGrayData:
    """What the likelihood is a function of.

    Attributes
    ----------
    cox : CoxData
        The rows, events of the cause of interest as events, all others as if they were censored.
    staying : Staying
        Rows that ended with another cause and are at risk on later days.
    design : Design
        Of these rows.
    """

    cox: CoxData
    staying: Staying
    design: Design

    @classmethod
    def of(cls, cox: CoxData, staying: Staying) -> FineGrayData:
        """Put together; the rows that stay are copied once."""
        rows = staying.rows
        parts = tuple(
            replace(part, codes=part.codes[rows], values=None if part.values is None else part.values[rows])
            for part in cox.design.indicators
        )
        return cls(cox, staying, replace(cox.design, dense=cox.design.dense[rows], indicators=parts))

    def at_risk(self) -> NDArray[np.bool_]:
        """Mark the rows that are at risk on some day with events, weighted or not."""
        marked = self.cox.sets.at_risk()
        marked[self.staying.rows] = True
        return marked

    def stay(self, state: CoxState) -> Floats:
        """Weight of each row that stays, before K: w theta / K(T)."""
        return self.cox.weighted(state.theta)[self.staying.rows] * self.staying.inverse


def fit_fine_gray(data: FineGrayData) -> CoxSolution:
    """Maximise the weighted partial likelihood by safeguarded Newton steps from zero.

    Raises
    ------
    ConvergenceError
        As `fit_cox`.

    Examples
    --------
    Three users; the second leaves on day 2 for another reason and stays in the risk set. Nobody is censored.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> from churnsurv.numerics.staying import staying
    >>> day, outcome = np.array([1, 2, 3]), np.array([1, 2, 1])
    >>> sets = risk_sets(day, outcome == 1)
    >>> cox = CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), sets)
    >>> data = FineGrayData.of(cox, staying(sets, day, outcome))
    >>> bool(np.isclose(fine_gray_state(data, np.zeros(1)).log_likelihood, -np.log(3) - np.log(2), rtol=1e-15))
    True
    """
    cox = data.cox
    if cox.sets.n_slots == 0:
        raise ConvergenceError("there is no event of the cause among the rows at risk: nothing can be estimated.")
    check_categories(cox.design, _as_at_risk(data), cox.frequency)
    if cox.sampling is None:
        return _fit(data)
    # in a unit of about one, whatever that of the weights: Newton's method must not stop sooner where they are small
    unit = float(2.0 ** np.round(np.log2(cox.sampling[cox.sets.event].mean())))
    found = _fit(replace(data, cox=replace(cox, sampling=cox.sampling / unit)))
    state = fine_gray_state(data, found.state.coefficients)
    null = fine_gray_state(data, np.zeros(cox.design.n_columns)).log_likelihood
    return replace(
        found,
        inverse_information=found.inverse_information / unit,
        log_likelihood=state.log_likelihood,
        log_likelihood_null=null,
        score_statistic=found.score_statistic * unit,
        state=state,
    )


def _fit(data: FineGrayData) -> CoxSolution:
    cox = data.cox
    events = cox.design.transposed_times(cox.weighted(cox.sets.event.astype(np.float64)))
    at_risk = data.at_risk()
    top = maximise(
        lambda coefficients: fine_gray_state(data, coefficients),
        lambda state: _derivatives(data, state, events),
        reach=lambda step: float(np.abs(cox.design.times(step)[at_risk]).max()),
        names=cox.design.names,
    )
    scale = cox.design.scale
    return CoxSolution(
        coefficients=top.coefficients / scale,
        inverse_information=top.inverse_information / np.outer(scale, scale),
        log_likelihood=top.state.log_likelihood,
        log_likelihood_null=top.first_value,
        score_statistic=top.first_decrement,
        iterations=top.iterations,
        state=top.state,
    )


def _as_at_risk(data: FineGrayData) -> RiskSets:
    """The risk sets for the search for empty categories: who only stays is at risk too."""
    sets = data.cox.sets
    place = sets.place.copy()
    rows = data.staying.rows
    place[rows] = np.minimum(place[rows], 2 * sets.n_slots - 2)
    return replace(sets, place=place)


def fine_gray_state(data: FineGrayData, coefficients: Floats) -> CoxState:
    """Return the log-likelihood at coefficients on the scale of the design, and what its derivatives need."""
    cox, sets = data.cox, data.cox.sets
    theta = cox.design.times(coefficients)
    if cox.offset is not None:
        theta += cox.offset
    shift = float(theta.max(where=data.at_risk(), initial=-np.inf))
    theta -= shift
    of_events = float(cox.weighted(theta)[sets.event].sum())
    # a row that is at risk on no day with events counts nowhere; it must not overflow
    np.exp(np.minimum(theta, 0.0, out=theta), out=theta)
    S0, D0, lost = _sums(data, theta)
    d = sets.n_events.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        found = efron_sums(S0, np.minimum(D0, S0), d) if cox.ties == "efron" else breslow_sums(S0, d)
        if cox.sampling is not None:
            found = found.times(cox.event_weight() / d)
    value = of_events - float(found.log_sum.sum())
    usable = not lost and np.isfinite(value) and all(np.isfinite(x).all() for x in (found.A2, found.B2, found.C2))
    return CoxState(coefficients, value if usable else -np.inf, theta, shift, found)


def _sums(data: FineGrayData, theta: Floats) -> tuple[Floats, Floats, bool]:
    """S0 and D0, and whether S0 lost its digits."""
    cox, sets, staying = data.cox, data.cox.sets, data.staying
    weights = cox.weighted(theta)
    by_place = count(sets.place, weights, 2 * sets.n_slots + 1)
    stay = staying.through(count(staying.place, weights[staying.rows] * staying.inverse, sets.n_slots))
    if sets.start is None:
        S0, D0 = sets.sums(by_place, None)
        return S0 + stay, D0, bool((S0 + stay <= 0).any())
    S0, D0 = sets.sums(by_place, count(sets.start, weights, sets.n_slots + 1))
    S0 = np.maximum(S0, D0) + stay
    without_subtraction, _ = sets.sums(by_place, None)
    return S0, D0, bool(np.less_equal(S0, _LEFT_OF_SUM * (without_subtraction + stay)).any())


def _derivatives(data: FineGrayData, state: CoxState, events: Floats) -> Derivatives:
    """Score and information; `events` is the sum of x over the events."""
    cox, sums = data.cox, state.sums
    gram, expected = cox.design.gram(cox.weighted(_expected(data, state)))
    S1, D1 = _moments(data, state)
    # sum of A2 S1 S1' - B2 (S1 D1' + D1 S1') + C2 D1 D1' as squares: A2 (S1 - b D1)^2 + (C2 - b B2) D1^2
    b = sums.B2 / sums.A2
    tied = np.flatnonzero(b)
    S1[tied] -= b[tied, None] * D1[tied]
    first, _ = weighted_gram(S1, sums.A2)
    second, _ = weighted_gram(D1[tied], np.maximum((sums.C2 - b * sums.B2)[tied], 0.0))
    return Derivatives(events - expected, gram - first - second, np.diagonal(gram).copy())


def _expected(data: FineGrayData, state: CoxState) -> Floats:
    """Events expected of each row, v: those of its days at risk, and those of the days on which it stays, weighted."""
    staying = data.staying
    expected = hazard_weights(data.cox, state)
    later = staying.later(state.sums.A)
    expected[staying.rows] += state.theta[staying.rows] * staying.inverse * later[staying.place]
    return expected


def _moments(data: FineGrayData, state: CoxState) -> tuple[Floats, Floats]:
    """S1 and D1, shape (n_slots, p) each."""
    S1, D1 = first_moments(data.cox, state)
    staying = data.staying
    if staying.rows.size:
        S1 += staying.through(data.design.sums_by(staying.place, data.cox.sets.n_slots, data.stay(state)))
    return S1, D1


@dataclass(frozen=True, slots=True, eq=False)
class FineGrayResiduals:
    """Score residuals of any rows; a weight of the row is not in them.

    Attributes
    ----------
    within : ScoreResiduals
        All but what the days add on which a row stays.
    own : (n_staying,) float64
        theta / K(T) of each row that stays.
    after : (n_slots, p) float64
        Sum of K P over the days from each slot on.
    staying : Staying
    """

    within: ScoreResiduals
    own: Floats
    after: Floats
    staying: Staying

    def of(self, rows: slice) -> Floats:
        """Residuals of consecutive rows on the scale of the design, shape (n_rows, p)."""
        out = self.within.of(rows)
        first, last = np.searchsorted(self.staying.rows, [rows.start, rows.stop])
        some = slice(int(first), int(last))
        out[self.staying.rows[some] - rows.start] += self.own[some, None] * self.after[self.staying.place[some]]
        return out


def fine_gray_residuals(data: FineGrayData, state: CoxState) -> FineGrayResiduals:
    """Prepare the score residuals at a state; they sum, weighted, to the score."""
    cox, sums, sets = data.cox, state.sums, data.cox.sets
    S1, D1 = _moments(data, state)
    step = sums.A2[:, None] * S1 - sums.B2[:, None] * D1
    P = running_sums(step, sets.segments)
    Q = sums.B2[:, None] * S1 - sums.C2[:, None] * D1
    m = (sums.A[:, None] * S1 - sums.B[:, None] * D1) / cox.event_weight()[:, None]
    nothing = np.zeros((1, P.shape[1]))
    within = ScoreResiduals(
        data=cox,
        own=sets.event - _expected(data, state),
        theta=state.theta,
        by_place=np.concatenate([np.stack([P, P - Q], axis=1).reshape(-1, P.shape[1]), nothing]),
        of_event=np.concatenate([np.stack([np.zeros_like(m), -m], axis=1).reshape(-1, P.shape[1]), nothing]),
        by_start=np.concatenate([P, nothing]),
    )
    own = state.theta[data.staying.rows] * data.staying.inverse
    return FineGrayResiduals(within, own, data.staying.later(step), data.staying)


def robust_covariance(
    data: FineGrayData, state: CoxState, inverse_information: Floats, cluster: NDArray[np.integer[Any]] | None
) -> Floats:
    """Return the robust covariance of the coefficients, shape (p, p), in the units of the covariates.

    Parameters
    ----------
    data : FineGrayData
    state : CoxState
        At the estimates.
    inverse_information : (p, p) float64
        In the units of the covariates.
    cluster : (n,) integer, or None
        Codes >= 0. None: each user is one, so that a frequency counts as so many.
    """
    residuals, weights = fine_gray_residuals(data, state), data.cox.weights
    if cluster is None:
        squared = None if weights is None else weights if data.cox.sampling is None else weights**2
        return _sandwich(data, inverse_information, _squares(residuals.of, data.cox.design.n_rows, squared))
    n, found = data.cox.design.n_rows, np.empty((data.cox.design.n_rows, data.cox.design.n_columns))

    def fill(rows: slice) -> None:
        found[rows] = residuals.of(rows)

    by_chunks(fill, n)
    ones = np.ones(n) if weights is None else weights
    totals = csc_matrix((ones, cluster, np.arange(n + 1)), shape=(int(cluster.max()) + 1, n)) @ found
    return _sandwich(data, inverse_information, totals.T @ totals)


def crr_covariance(data: FineGrayData, state: CoxState, inverse_information: Floats) -> Floats:
    """Return the covariance of the coefficients that counts the estimation of G too (Fine and Gray 1999, section 4).

    To the score residual of row i comes what its censoring, or its being at risk of it, did to G:

        psi_i = 1{censored} q(T_i)/Y(T_i) - sum over u <= T_i of q(u) c(u)/Y(u)^2,
        q(u) = - sum over other-cause rows with T_j < u of what the days t >= u add to their score residuals,

    c censored of Y at risk. One stratum, no late entry, Breslow's ties: as ``crr`` of R's cmprsk.

    Parameters
    ----------
    data : FineGrayData
        With `staying` made by ``staying(..., events_first=False)``.
    state : CoxState
        At the estimates.
    inverse_information : (p, p) float64
        In the units of the covariates.
    """
    residuals, staying = fine_gray_residuals(data, state), data.staying
    grid, own = staying.grid, data.stay(state)
    n_cells = grid.censored.shape[0]
    # who ends on u does not stay on u
    end = (grid.end[staying.rows] + 1).astype(np.int32)
    T0 = np.cumsum(count(end, own, n_cells + 1))[:-1]
    T1 = np.cumsum(data.design.sums_by(end, n_cells + 1, own), axis=0)[:-1]
    later_A = np.append(staying.later(state.sums.A), 0.0)[grid.from_slot]
    later_P = np.concatenate([residuals.after, np.zeros((1, T1.shape[1]))])[grid.from_slot]
    q = T1 * later_A[:, None] - T0[:, None] * later_P
    jump = np.divide(q, grid.risk[:, None], out=np.zeros_like(q), where=grid.risk[:, None] > 0)
    share = np.divide(grid.censored, grid.risk, out=np.zeros(n_cells), where=grid.risk > 0)
    drift = np.cumsum(jump * share[:, None], axis=0)

    def both(rows: slice) -> Floats:
        end = grid.end[rows]
        found: Floats = residuals.of(rows) - drift[end] * grid.held[rows, None]
        found[grid.is_censored[rows]] += jump[end[grid.is_censored[rows]]]
        return found

    return _sandwich(data, inverse_information, _squares(both, data.cox.design.n_rows, data.cox.frequency))


def _squares(residuals: Callable[[slice], Floats], n_rows: int, weights: Floats | None) -> Floats:
    """Weighted sum of squares and products of the residuals, (p, p); chunks are added up in the order of the rows."""

    def of(rows: slice) -> Floats:
        found = residuals(rows)
        return np.asarray(found.T @ (found if weights is None else found * weights[rows, None]))

    return np.asarray(sum(by_chunks(of, n_rows)), dtype=np.float64)


def _sandwich(data: FineGrayData, inverse_information: Floats, meat: Floats) -> Floats:
    """The residuals are on the scale of the design, the information in the units of the covariates."""
    bread = inverse_information * data.cox.design.scale
    return np.asarray(bread @ meat @ bread.T)


def fine_gray_moments(data: FineGrayData, state: CoxState, *, last_day: Floats) -> BaselineMoments:
    """Reduce the fitted rows to what predictions need; see `churnsurv.numerics.prediction`.

    The cumulative hazard is that of the subdistribution, so that exp(-hazard) is one minus the incidence.
    """
    sums, sets, design = state.sums, data.cox.sets, data.cox.design
    S1, D1 = _moments(data, state)
    step = sums.A2[:, None] * S1 - sums.B2[:, None] * D1
    hazard, variance = running_sums(sums.A, sets.strata), running_sums(sums.A2, sets.strata)
    gradient = running_sums(step, sets.strata)
    for array in (last_day, hazard, variance, gradient, sets.strata, sets.time, design.centre, design.scale):
        array.setflags(write=False)
    return BaselineMoments(
        sets.strata, sets.time, last_day, hazard, variance, gradient, design.centre, design.scale, state.shift
    )
