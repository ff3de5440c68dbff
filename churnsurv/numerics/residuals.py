"""Residuals, exact under ties, and the cluster-robust covariance made of the score residuals.

With P = A2 S1 - B2 D1, Q = B2 S1 - C2 D1 and m = (A S1 - B D1) / d on each day with d events, the residual of row i,
at risk on the days from its entry to T, is

    u_i = 1{event} (x_i - m_T) - theta_i [x_i (sum of A over these days) - (sum of P over these days)]
        + 1{event} theta_i (x_i B_T - Q_T).

With weights the residuals are those of one user, or one drawn row: u_i is not multiplied by w_i. A, B, P and Q carry
the weights, m does not (its d is then the weight of the events). The weighted residuals sum to the score. The robust
covariance is I^-1 (sum over clusters of U_c U_c') I^-1, U_c the sum of w_i u_i over the cluster, without a small-sample
factor (Lin and Wei 1989; the robust variance of coxph in R's survival package, Efron's ties included).

Event less expected events is the martingale residual, x_i - m_T of an event its Schoenfeld residual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from churnsurv.numerics.cox import CoxData, CoxState, first_moments, hazard_weights
from churnsurv.numerics.risk_sets import running_sums

__all__ = [
    "ScoreResiduals",
    "cluster_covariance",
    "deviance_residuals",
    "martingale_residuals",
    "schoenfeld_residuals",
    "score_residuals",
]

Floats: TypeAlias = NDArray[np.float64]

_CHUNK = 4_096  # rows whose residuals are held at once


@dataclass(frozen=True, slots=True, eq=False)
class ScoreResiduals:
    """Score residuals of any rows, computed on demand.

    Attributes
    ----------
    data : CoxData
    own : (n,) float64
        Weight of x_i in u_i.
    theta : (n,) float64
    by_place, of_event : (2 * n_slots + 1, p) float64
        What theta_i multiplies, and what is added, by the place of the row.
    by_start : (n_slots + 1, p) float64
        What is taken off again where the row entered late.
    """

    data: CoxData
    own: Floats
    theta: Floats
    by_place: Floats
    of_event: Floats
    by_start: Floats

    def of(self, rows: NDArray[Any] | slice) -> Floats:
        """Residuals of some rows on the scale of the design, shape (n_rows, p)."""
        sets = self.data.sets
        place = sets.place[rows]
        through = self.by_place[place]
        if sets.start is not None:
            through -= self.by_start[sets.start[rows]]
        through *= self.theta[rows, None]
        through += self.of_event[place]
        through += self.data.design.rows(rows) * self.own[rows, None]
        return through

    def all(self) -> Floats:
        """Residuals of all rows on the scale of the design, shape (n, p)."""
        n_rows, p = self.data.design.n_rows, self.data.design.n_columns
        out = np.empty((n_rows, p))
        for first in range(0, n_rows, _CHUNK):
            part = slice(first, min(first + _CHUNK, n_rows))
            out[part] = self.of(part)
        return out


def score_residuals(data: CoxData, state: CoxState) -> ScoreResiduals:
    """Prepare the score residuals at a state.

    Examples
    --------
    They sum to the score, which is zero at the maximum:

    >>> from churnsurv.numerics.cox import fit_cox
    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 1, 3]), np.array([True, True, True]))
    >>> data = CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), sets)
    >>> residuals = score_residuals(data, fit_cox(data).state).of(slice(None))
    >>> bool(abs(residuals.sum()) < 1e-9)
    True
    """
    sums, sets = state.sums, data.sets
    S1, D1 = first_moments(data, state)
    P = running_sums(sums.A2[:, None] * S1 - sums.B2[:, None] * D1, sets.segments)
    Q = sums.B2[:, None] * S1 - sums.C2[:, None] * D1
    m = _event_means(data, state, S1, D1)
    nothing = np.zeros((1, P.shape[1]))
    return ScoreResiduals(
        data=data,
        own=martingale_residuals(data, state),
        theta=state.theta,
        by_place=np.concatenate([np.stack([P, P - Q], axis=1).reshape(-1, P.shape[1]), nothing]),
        of_event=np.concatenate([np.stack([np.zeros_like(m), -m], axis=1).reshape(-1, P.shape[1]), nothing]),
        by_start=np.concatenate([P, nothing]),
    )


def martingale_residuals(data: CoxData, state: CoxState) -> Floats:
    """Return event less expected events of each row, shape (n,); 0 where the row is never at risk on a day with events.

    Under Efron's ties a tied event is expected with the part of its day that it was still at risk.

    Examples
    --------
    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.cox import state_at
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2, 2]), np.array([True, True, False]))
    >>> data = CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), sets)
    >>> martingale_residuals(data, state_at(data, np.zeros(1))).round(4).tolist()
    [0.6667, 0.1667, -0.8333]
    """
    residuals: Floats = data.sets.event - hazard_weights(data, state)
    return residuals


def deviance_residuals(data: CoxData, state: CoxState) -> Floats:
    """Return martingale residuals made symmetric about zero, shape (n,).

    The root of twice what the row's own log-likelihood could still gain, with the sign of the martingale residual
    (Therneau, Grambsch and Fleming 1990). With E expected events: 2 (E - 1 - log E) for an event, 2 E else.
    """
    expected, event = hazard_weights(data, state), data.sets.event
    gain = expected.copy()
    with np.errstate(divide="ignore"):
        gain[event] -= 1.0 + np.log(expected[event])
    residuals: Floats = np.sign(event - expected) * np.sqrt(2 * np.maximum(gain, 0.0))
    return residuals


def schoenfeld_residuals(data: CoxData, state: CoxState) -> tuple[NDArray[np.intp], Floats]:
    """Return the rows with the event, by stratum, day and row, and x less its mean over the risk set.

    With Efron's ties the mean is that of the d risk sets of the day, each without its part of the events.

    Returns
    -------
    rows : (n_events,) integer
    residuals : (n_events, p) float64
        On the scale of the design.
    """
    sets = data.sets
    rows = np.flatnonzero(sets.event)
    rows = rows[np.argsort(sets.place[rows], kind="stable")]
    means = _event_means(data, state, *first_moments(data, state))
    residuals = data.design.rows(rows)
    residuals -= means[sets.place[rows] // 2]
    return rows, residuals


def _event_means(data: CoxData, state: CoxState, S1: Floats, D1: Floats) -> Floats:
    """Mean of x over the risk sets of the events, m, shape (n_slots, p)."""
    sums = state.sums
    means: Floats = (sums.A[:, None] * S1 - sums.B[:, None] * D1) / data.event_weight()[:, None]
    return means


def cluster_covariance(
    data: CoxData, state: CoxState, inverse_information: Floats, cluster: NDArray[np.integer[Any]]
) -> Floats:
    """Return the cluster-robust covariance of the coefficients, shape (p, p), in the units of the covariates.

    Parameters
    ----------
    data : CoxData
    state : CoxState
        At the estimates.
    inverse_information : (p, p) float64
        In the units of the covariates; of a penalised fit, the inverse of its own curvature.
    cluster : (n,) integer
        Rows of one cluster may depend on each other; any integers.
    """
    residuals = score_residuals(data, state)
    p = data.design.n_columns
    meat, carried, carried_code = np.zeros((p, p)), np.zeros(p), None
    for rows, codes in _by_cluster(cluster):
        found = residuals.of(rows)
        if data.weights is not None:
            found *= data.weights[rows, None]
        begins = np.concatenate([[True], codes[1:] != codes[:-1]])
        local = np.cumsum(begins) - 1
        pointers = np.arange(codes.shape[0] + 1)
        totals = csc_matrix((np.ones(codes.shape[0]), local, pointers), shape=(local[-1] + 1, codes.shape[0])) @ found
        if codes[0] == carried_code:
            totals[0] += carried
        else:
            meat += np.outer(carried, carried)
        carried, carried_code = totals[-1].copy(), codes[-1]
        meat += totals[:-1].T @ totals[:-1]
    meat += np.outer(carried, carried)
    # the residuals are on the scale of the design, the information in the units of the covariates
    bread = inverse_information * data.design.scale
    return np.asarray(bread @ meat @ bread.T)


def _by_cluster(
    cluster: NDArray[np.integer[Any]],
) -> Iterator[tuple[NDArray[Any] | slice, NDArray[np.integer[Any]]]]:
    """Chunks of rows in the order of their clusters; no rows are moved where they stand in order already."""
    n_rows = cluster.shape[0]
    in_order = bool((cluster[1:] >= cluster[:-1]).all())
    order = None if in_order else np.argsort(cluster, kind="stable")
    for first in range(0, n_rows, _CHUNK):
        part = slice(first, min(first + _CHUNK, n_rows))
        yield (part, cluster[part]) if order is None else (order[part], cluster[order[part]])
