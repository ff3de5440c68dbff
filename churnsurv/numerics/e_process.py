"""Evidence on a campaign's lift that may be looked at every day: an e-process and a confidence sequence.

In a cell - users assigned on one calendar day, in one stratum, and one later calendar day - n1 treated and n0 controls
have not returned yet, and R of them return on the day, Y of these treated. Assignment was random within the cell's
users, so that given (R, n1, n0) and all that was seen before, Y has Fisher's noncentral hypergeometric law with the
odds ratio exp(theta) of a daily return:

    P(Y = y) = C(n1, y) C(n0, R - y) exp(theta y) / sum over k of C(n1, k) C(n0, R - k) exp(theta k),

central where the contact does nothing, whatever differs between users, days of assignment and calendar days, and
whatever share of each day was treated. (A risk set pooled over days of assignment has no such law: where the share
changes, so does the time since assignment of the treated against that of the controls.) With K(theta) the logarithm of
E_0 exp(theta Y), the likelihood ratio of the closed cells against theta = 0 is exp(theta S - K(theta)), S and K being
sums over cells, and is a martingale in the day for every theta, and for every theta0 so is its ratio to that of theta0:

    E_t(theta0) = sum over j of w_j exp(theta_j S_t - K_t(theta_j)) / exp(theta0 S_t - K_t(theta0)),

with weights w fixed beforehand: a normal prior around 0 on a grid. By Ville's inequality (1939) the chance that
E_t(theta0) >= 1/alpha on any day is at most alpha. All theta0 with E_t(theta0) < 1/alpha are a confidence sequence
(Robbins 1970; Howard et al. 2021): it holds the odds ratio on all days together with probability 1 - alpha.
theta S - K(theta) is concave, so that it is an interval.

K has its singularities at imaginary distance pi, since the hypergeometric polynomial has real negative roots alone
(Harkness 1965): a polynomial through Chebyshev points is exact to rounding, and takes sums over support only there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only

__all__ = ["PRIOR_SCALE", "DailyCells", "EProcess", "daily_cells", "e_process", "hypergeometric_cumulants"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Standard deviation of the prior of the log odds ratio.
PRIOR_SCALE = 0.3

_GRID = 4001  # points of the prior: finer than the likelihood of two million returns
_PRIOR_REACH, _LEAST_REACH = 6.0, 3.0  # in scales; and log odds ratios that limits are looked for in
_BLOCK = 2_000_000  # terms that are in memory at once
_NEGLIGIBLE = 60.0  # what is smaller by this factor, as a logarithm, adds nothing to a sum
_STEPS, _EXACT = 60, 1e-11  # of a root, and how near the last two of them are


@dataclass(frozen=True, slots=True, eq=False)
class DailyCells:
    """Returns by day of assignment, stratum and calendar day; arrays have the shape (n_cells,) and are read-only.

    Attributes
    ----------
    day : int64
        Calendar day, in the unit and from the origin of the days of assignment.
    n_treated, n_control : int64
        Users who had not returned before the day.
    returned_treated, returned_control : int64
        Those of them who returned on it.
    """

    day: Ints
    n_treated: Ints
    n_control: Ints
    returned_treated: Ints
    returned_control: Ints


@dataclass(frozen=True, slots=True, eq=False)
class EProcess:
    """Evidence at the end of each day; arrays have the shape (n_days,) and are read-only.

    Attributes
    ----------
    log_e : float64
        Logarithm of E_t(0).
    estimate : float64
        Log odds ratio of the largest likelihood; infinite where nobody of one arm has returned, or it is beyond reach,
        and null without any cell that could tell.
    lower, upper : float64
        Limits of the log odds ratio, on all days together; infinite beyond `reach`.
    reach : float
        Largest log odds ratio that limits are looked for in.
    """

    log_e: Floats
    estimate: Floats
    lower: Floats
    upper: Floats
    reach: float


def daily_cells(
    assigned: Ints, stratum: Ints, treated: NDArray[np.bool_], time: Ints, n: Ints, *, until: int, horizon: int
) -> DailyCells:
    """Count returns by cell, from rows of users who are equal.

    Parameters
    ----------
    assigned : (m,) int64
        Day of assignment, at most `until`.
    stratum : (m,) int64
        Within a stratum and day of assignment everybody had the same chance to be treated.
    treated : (m,) bool
    time : (m,) int64
        Days from the assignment to the return, 1 for the day of assignment itself; 0: no return. Returns after
        `horizon` or `until` don't count, whatever is said of them here.
    n : (m,) int64
        Users.
    until : int
        Last complete day.
    horizon : int
        Days after assignment that count, 1 or more.

    Returns
    -------
    DailyCells
        Those in which somebody returned, in the order of day, day of assignment, stratum. Other cells say nothing.

    Examples
    --------
    Three treated and two controls; two treated return on the first day, a control on the second.

    >>> cells = daily_cells(np.zeros(4, int), np.zeros(4, int), np.array([1, 1, 0, 0], bool), np.array([1, 0, 2, 0]),
    ...     np.array([2, 1, 1, 1]), until=5, horizon=3)
    >>> cells.day.tolist(), cells.n_treated.tolist(), cells.n_control.tolist(), cells.returned_treated.tolist()
    ([0, 1], [3, 1], [2, 2], [2, 0])
    """
    pairs, cohort = np.unique(np.column_stack([assigned, stratum]), axis=0, return_inverse=True)
    first, arm = pairs[:, 0], cohort.ravel() * 2 + treated
    counted = (time > 0) & (time <= horizon) & (assigned + time - 1 <= until)
    # Counts stay far below 2^53, so that sums in floating point are exact.
    events = np.bincount(arm[counted] * horizon + time[counted] - 1, n[counted], first.size * 2 * horizon)
    events = events.reshape(first.size, 2, horizon)
    size = np.bincount(arm, n, first.size * 2).reshape(first.size, 2, 1)
    left = size - np.cumsum(events, axis=2) + events
    which, u = np.nonzero(events.sum(axis=1))
    order = np.lexsort((which, first[which] + u))
    which, u = which[order], u[order]
    columns = (first[which] + u, left[which, 1, u], left[which, 0, u], events[which, 1, u], events[which, 0, u])
    whole = tuple(column.astype(np.int64) for column in columns)
    read_only(*whole)
    return DailyCells(*whole)


def e_process(
    cells: DailyCells, *, first: int, n_days: int, prior_scale: float = PRIOR_SCALE, alpha: float
) -> EProcess:
    """Follow the evidence from day to day.

    Parameters
    ----------
    cells : DailyCells
    first : int
        The first day that is told; no cell is earlier.
    n_days : int
        How many days; no cell is later.
    prior_scale : float
        Standard deviation of the prior of the log odds ratio, from 0.01 to 1: where the odds ratio is expected, and to
        be set before anything is seen.
    alpha : float
        One less the level of the confidence sequence.

    Examples
    --------
    On one day all of 20 returns of 50 + 50 users are treated ones.

    >>> cells = DailyCells(*(np.array([n]) for n in (0, 50, 50, 20, 0)))
    >>> found = e_process(cells, first=0, n_days=1, alpha=0.05)
    >>> found.log_e.round(3).tolist(), found.estimate.tolist(), found.upper.tolist()
    ([3.162], [inf], [inf])
    """
    reach = max(_LEAST_REACH, _PRIOR_REACH * prior_scale)
    likelihood = _likelihood(cells, first, n_days, reach)
    theta = np.linspace(-_PRIOR_REACH * prior_scale, _PRIOR_REACH * prior_scale, _GRID)
    log_prior = -0.5 * np.square(theta / prior_scale)
    log_prior -= np.log(np.exp(log_prior).sum())
    log_e = np.array([_log_sum(log_prior + each) for each in likelihood.on(theta)])
    estimate = _estimates(likelihood)
    lower, upper = _limits(likelihood, estimate, log_e - np.log(1 / alpha))
    read_only(log_e, estimate, lower, upper)
    return EProcess(log_e, estimate, lower, upper, reach)


# ------------------------------------------------------------------------------------------------- the law of one cell


def hypergeometric_cumulants(n_treated: Ints, n_control: Ints, returned: Ints, theta: Floats) -> Floats:
    """Return the logarithm of E_0 exp(theta Y) of each cell.

    Parameters
    ----------
    n_treated, n_control, returned : (n_cells,) int64
        Users at risk by arm, and how many of both return.
    theta : (n_theta,) float64
        Log odds ratios.

    Returns
    -------
    (n_cells, n_theta) float64

    Examples
    --------
    One return among one treated and three controls: 3/4 + 1/4 exp(theta).

    >>> one = np.array([1])
    >>> found = hypergeometric_cumulants(one, 3 * one, one, np.log([1.0, 2.0]))
    >>> np.exp(found).round(12).tolist()
    [[1.0, 1.25]]
    """
    cells, back = np.unique(np.column_stack([n_treated, n_control, returned]), axis=0, return_inverse=True)
    least = np.maximum(0, cells[:, 2] - cells[:, 1])
    width = np.minimum(cells[:, 2], cells[:, 0]) - least + 1
    order = np.argsort(width, kind="stable")
    found = np.empty((len(cells), theta.size))
    start = 0
    while start < order.size:
        # Widths rise: of a block the last one is the widest.
        held = np.arange(start + 1, order.size + 1) - start
        stop = start + max(1, int(np.searchsorted(held * width[order[start:]] * theta.size, _BLOCK, side="right")))
        block = order[start:stop]
        n1, n0, r = cells[block].T
        found[block] = _cumulants(n1, n0, r, least[block], int(width[block[-1]]), theta)
        start = stop
    return found[back.ravel()]


def _cumulants(n1: Ints, n0: Ints, r: Ints, least: Ints, width: int, theta: Floats) -> Floats:
    """Sums over a support that is padded to `width`, from ratios of neighbouring terms: nothing cancels."""
    k = np.arange(1, width)
    y = least[:, None] + k
    above, below = (n1[:, None] - y + 1) * (r[:, None] - y + 1), y * (n0[:, None] - r[:, None] + y)
    with np.errstate(divide="ignore"):
        steps = np.log(np.maximum(above, 0)) - np.log(below)
    log_term = np.concatenate([np.zeros((n1.size, 1)), np.cumsum(steps, axis=1)], axis=1)
    at = np.arange(width)
    kept = _worth_summing(log_term, theta)
    log_term, at = log_term[:, kept], at[kept]
    tilted = log_term[:, None, :] + theta[:, None] * at
    return theta * least[:, None] + _log_sum(tilted) - _log_sum(log_term)[:, None]


def _worth_summing(log_term: Floats, theta: Floats) -> slice:
    """The part of the support in which some term matters, for some cell and some theta; terms are log-concave."""
    at = np.arange(log_term.shape[1])
    matters = np.zeros(at.size, dtype=np.bool_)
    for t in (0.0, float(theta.min()), float(theta.max())):
        tilted = log_term + t * at
        matters |= (tilted > tilted.max(axis=1, keepdims=True) - _NEGLIGIBLE).any(axis=0)
    there = np.flatnonzero(matters)
    return slice(int(there[0]), int(there[-1]) + 1)


def _log_sum(log_terms: Floats) -> Floats:
    """log(sum(exp)) along the last axis."""
    top = log_terms.max(axis=-1, keepdims=True)
    found: Floats = np.log(np.exp(log_terms - top).sum(axis=-1)) + top[..., 0]
    return found


# --------------------------------------------------------------------------------------------- the likelihood by day


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """theta S_t - K_t(theta) of each day t, as a polynomial of Chebyshev on [-reach, reach].

    `coefficients` (n_days, n_nodes); `told` (n_days,): whether any cell had two possible outcomes; `least` and `most`
    (n_days,): whether S_t is the least and the most that it could be.
    """

    coefficients: Floats
    reach: float
    told: NDArray[np.bool_]
    least: NDArray[np.bool_]
    most: NDArray[np.bool_]

    def at(self, theta: Floats) -> Floats:
        """The value of each day at a theta of its own, (n_days,)."""
        angle = np.arccos(np.clip(theta / self.reach, -1.0, 1.0))
        order = np.arange(self.coefficients.shape[1])
        return np.asarray((self.coefficients * np.cos(angle[:, None] * order)).sum(axis=1))

    def slope(self) -> _Likelihood:
        """The derivative by theta."""
        derived = np.asarray(np.polynomial.chebyshev.chebder(self.coefficients, axis=1) / self.reach, dtype=np.float64)
        return _Likelihood(derived, self.reach, self.told, self.least, self.most)

    def on(self, theta: Floats) -> Floats:
        """Each day on a grid, (n_days, n_theta)."""
        return (
            self.coefficients @ np.polynomial.chebyshev.chebvander(theta / self.reach, self.coefficients.shape[1] - 1).T
        )


def _likelihood(cells: DailyCells, first: int, n_days: int, reach: float) -> _Likelihood:
    # The polynomial converges with the radius of the ellipse through the nearest singularity, i pi.
    radius = np.pi / reach + np.hypot(np.pi / reach, 1.0)
    n = int(np.ceil(38.0 / np.log(radius)))
    angle = np.pi * (np.arange(n) + 0.5) / n
    theta = reach * np.cos(angle)
    returned = cells.returned_treated + cells.returned_control
    least, most = np.maximum(0, returned - cells.n_control), np.minimum(returned, cells.n_treated)
    open_ = most > least
    day = (cells.day - first)[open_]
    cumulants = hypergeometric_cumulants(cells.n_treated[open_], cells.n_control[open_], returned[open_], theta)
    by_cell = theta * cells.returned_treated[open_, None] - cumulants
    value = np.zeros((n_days, n))
    np.add.at(value, day, by_cell)
    total = np.cumsum(value, axis=0)
    transform = (2.0 / n) * np.cos(np.outer(angle, np.arange(n)))
    transform[:, 0] /= 2.0
    below, above = (cells.returned_treated - least)[open_], (most - cells.returned_treated)[open_]
    told, low, high = (np.cumsum(np.bincount(day, each, n_days)) for each in (None, below, above))
    return _Likelihood(total @ transform, reach, told > 0, low == 0, high == 0)


def _estimates(likelihood: _Likelihood) -> Floats:
    """Where the concave likelihood of each day is largest."""
    slope, reach = likelihood.slope(), np.full(likelihood.told.size, likelihood.reach)
    estimate = _root(slope.at, -reach, reach)
    estimate = np.where(likelihood.most | (slope.at(reach) > 0), np.inf, estimate)
    estimate = np.where(likelihood.least | (slope.at(-reach) < 0), -np.inf, estimate)
    return np.where(likelihood.told, estimate, np.nan)


def _limits(likelihood: _Likelihood, estimate: Floats, least: Floats) -> tuple[Floats, Floats]:
    """The theta on either side of the estimate at which the log-likelihood comes down to `least`."""
    top = np.clip(np.nan_to_num(estimate, posinf=np.inf, neginf=-np.inf), -likelihood.reach, likelihood.reach)
    limits = []
    for end in (-likelihood.reach, likelihood.reach):
        edge = np.full(top.size, end)
        beyond = likelihood.at(edge) > least
        found = _root(lambda theta: likelihood.at(theta) - least, top, edge)
        limits.append(np.where(beyond | ~likelihood.told, np.copysign(np.inf, end), found))
    return limits[0], limits[1]


def _root(value: Callable[[Floats], Floats], above: Floats, below: Floats) -> Floats:
    """Find the change of sign between where values are above 0 and where they are below, of each day.

    False position in which an end that stays twice loses half of its weight (Illinois), and now and then a halving of
    the bracket. Days without a change of sign are told anything.
    """
    f_above, f_below = value(above), value(below)
    changes = (f_above > 0) & (f_below < 0)
    guess, last = np.full(above.size, np.inf), np.zeros(above.size)
    for step in range(_STEPS):
        before, gap = guess, np.where(changes, f_above - f_below, 1.0)
        chord = (below * f_above - above * f_below) / gap
        guess = np.where(changes, 0.5 * (above + below) if step % 8 == 7 else chord, above)
        found = value(guess)
        if (np.abs(guess - before)[changes] <= _EXACT).all():
            break
        positive = found > 0
        weight = np.where(np.sign(found) == last, 0.5, 1.0)
        above, below, last = np.where(positive, guess, above), np.where(positive, below, guess), np.sign(found)
        f_above, f_below = np.where(positive, found, weight * f_above), np.where(positive, weight * f_below, found)
    return guess
