"""Residuals of grouped proportional hazards, and the cluster-robust covariance made of the score residuals.

In the notation of `churnsurv.numerics.grouped`, with s_it the derivative of the log-likelihood in the log hazard of row
i on day t (q_i on the day of its event, -theta_i e^{a_t} on its other days at risk) and M_t = C_t / K_t, the residual
of row i in the score of the coefficients, the hazards of the days following at their best, is

    u_i = sum over its days s_it (x_i - M_t)
        = x_i g_i + theta_i (sum of e^{a_t} M_t over its days without event) - 1{event} q_i M_T,     g_i = sum of s_it.

The sandwich of the whole GLM, coefficients and days, has I^-1 (sum over clusters of U_c U_c') I^-1 as the block of the
coefficients, U_c the sum of w_i u_i over the cluster, without a small-sample factor.

Event less expected events, the sum of p_it over the days at risk, is the martingale residual. With this link the
weighted martingale residuals need not sum to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.grouped import (
    GroupedSolution,
    GroupedState,
    day_information,
    first_slots,
    lived_through,
    sums_before,
)
from churnsurv.numerics.risk_sets import running_sums

__all__ = ["grouped_cluster_covariance", "grouped_deviance", "grouped_martingale", "grouped_score_residuals"]

Floats: TypeAlias = NDArray[np.float64]

_CHUNK = 32_768  # rows whose residuals are held at once
# 1 - exp(-h) by its power series up to h = 1: the terms that are left out are below 1e-19
_SERIES, _TERMS = 1.0, 20


@dataclass(frozen=True, slots=True, eq=False)
class _Score:
    """What the score residual of a row is made of.

    Attributes
    ----------
    own : (n,) float64
        g, the weight of x_i.
    at_event : (n,) float64
        q on the day of the event; 0 where there is none.
    means : (n_slots + 1, p) float64
        M by slot.
    lived : (2 * n_slots + 1, p) float64
        Sum of e^{a_t} M_t over the days without event, by place.
    by_start : (n_slots + 1, p) float64
        What is taken off again where the row entered late.
    """

    data: CoxData
    theta: Floats
    own: Floats
    at_event: Floats
    means: Floats
    lived: Floats
    by_start: Floats

    def of(self, rows: NDArray[Any] | slice) -> Floats:
        """Residuals of some rows on the scale of the design, shape (n_rows, p)."""
        sets = self.data.sets
        place = sets.place[rows]
        found: Floats = self.lived[place]
        if sets.start is not None:
            found -= self.by_start[sets.start[rows]]
        found *= self.theta[rows, None]
        found -= self.means[place // 2] * self.at_event[rows, None]
        found += self.data.design.rows(rows) * self.own[rows, None]
        return found


def _score(data: CoxData, state: GroupedState) -> _Score:
    sets = data.sets
    K, C = day_information(data, state)
    means = C / K[:, None]
    total = running_sums(state.hazard[:, None] * means, sets.segments)
    nothing = np.zeros((1, means.shape[1]))
    at_event = np.zeros(data.design.n_rows)
    at_event[state.rows] = state.slope
    return _Score(
        data=data,
        theta=state.theta,
        own=at_event - lived_through(data, state),
        at_event=at_event,
        means=np.concatenate([means, nothing]),
        lived=np.concatenate(
            [np.stack([total, sums_before(total, sets.segments)], axis=1).reshape(-1, means.shape[1]), nothing]
        ),
        by_start=np.concatenate([total, nothing]),
    )


def grouped_score_residuals(data: CoxData, state: GroupedState) -> Floats:
    """Return the score residuals u, shape (n, p), on the scale of the design, of one user or one drawn row each.

    Times the weights they sum to the score, which is zero at the maximum.

    Examples
    --------
    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.grouped import fit_grouped
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 1, 3, 3]), np.array([True, True, True, False]))
    >>> data = CoxData(design([np.array([0.0, 1.0, 1.0, 0.0])], ["x"], n_rows=4), sets)
    >>> bool(abs(grouped_score_residuals(data, fit_grouped(data).state).sum()) < 1e-9)
    True
    """
    score = _score(data, state)
    out = np.empty((data.design.n_rows, data.design.n_columns))
    for first in range(0, out.shape[0], _CHUNK):
        part = slice(first, min(first + _CHUNK, out.shape[0]))
        out[part] = score.of(part)
    return out


def grouped_cluster_covariance(data: CoxData, solution: GroupedSolution, cluster: NDArray[np.integer[Any]]) -> Floats:
    """Return the cluster-robust covariance of the coefficients, shape (p, p), in the units of the covariates.

    Parameters
    ----------
    data : CoxData
    solution : GroupedSolution
        Its state must be of the rows of `data`.
    cluster : (n,) integer
        Rows of one cluster may depend on each other; any integers.
    """
    score, p = _score(data, solution.state), data.design.n_columns
    in_order = bool((cluster[1:] >= cluster[:-1]).all())
    order = None if in_order else np.argsort(cluster, kind="stable")
    meat, carried, last = np.zeros((p, p)), np.zeros(p), None
    for first in range(0, cluster.shape[0], _CHUNK):
        part = slice(first, min(first + _CHUNK, cluster.shape[0]))
        rows = part if order is None else order[part]
        totals, codes = _by_cluster(score.of(rows), cluster[rows], None if data.weights is None else data.weights[rows])
        # a cluster may go on in the next chunk
        if codes[0] == last:
            totals[0] += carried
        else:
            meat += np.outer(carried, carried)
        carried, last = totals[-1].copy(), codes[-1]
        meat += totals[:-1].T @ totals[:-1]
    meat += np.outer(carried, carried)
    # the residuals are on the scale of the design, the information in the units of the covariates
    bread = solution.inverse_information * data.design.scale
    return np.asarray(bread @ meat @ bread.T)


def _by_cluster(
    values: Floats, codes: NDArray[np.integer[Any]], weights: Floats | None
) -> tuple[Floats, NDArray[np.integer[Any]]]:
    """Weighted sums over runs of equal codes, and the codes."""
    n = codes.shape[0]
    begins = np.concatenate([[True], codes[1:] != codes[:-1]])
    local = np.cumsum(begins) - 1
    weights = np.ones(n) if weights is None else weights
    sums: Floats = csc_matrix((weights, local, np.arange(n + 1)), shape=(local[-1] + 1, n)) @ values
    return sums, codes[begins]


def grouped_martingale(data: CoxData, state: GroupedState) -> Floats:
    """Return event less expected events of each row, shape (n,); 0 where the row is never at risk on a day with events.

    Examples
    --------
    On the one day half of those at risk churn: each is expected to with probability 1/2.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.grouped import grouped_state
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 1]), np.array([True, False]))
    >>> data = CoxData(design([np.array([0.0, 1.0])], ["x"], n_rows=2), sets)
    >>> grouped_martingale(data, grouped_state(data, np.zeros(1))).round(12).tolist()
    [0.5, -0.5]
    """
    residuals: Floats = data.sets.event - _expected(data, state)
    return residuals


def grouped_deviance(data: CoxData, state: GroupedState) -> Floats:
    """Return martingale residuals made symmetric about zero, shape (n,).

    With E expected events 2 (E - 1 - log E) for an event, 2 E else, its root with the sign of the martingale residual
    (Therneau, Grambsch and Fleming 1990), as in Cox's model: so they compare with those of a fit with Efron's ties. The
    GLM's own deviance of an event, which grows with the number of its days whatever its covariates, would not.
    """
    expected, event = _expected(data, state), data.sets.event
    gain = expected.copy()
    with np.errstate(divide="ignore"):
        gain[event] -= 1.0 + np.log(expected[event])
    residuals: Floats = np.sign(event - expected) * np.sqrt(2 * np.maximum(gain, 0.0))
    return residuals


def _expected(data: CoxData, state: GroupedState) -> Floats:
    """Sum of p over the days at risk of each row.

    Days with small hazards by the power series of 1 - exp(-theta y), whose sums over days are running sums of powers
    of y; the few others one by one. Rows go in order of theta, so that those with a large one, which makes many hazards
    large, are together.
    """
    sets = data.sets
    expected = np.zeros(data.design.n_rows)
    rows = np.flatnonzero(sets.at_risk())
    rows = rows[np.argsort(state.theta[rows], kind="stable")]
    first = first_slots(sets)
    for chunk in range(0, rows.shape[0], _CHUNK):
        some = rows[chunk : chunk + _CHUNK]
        expected[some] = _expected_of(data, state, some, first[some])
    # where everybody at risk has the event it is expected of them
    emptied = (sets.n_events == sets.n_at_risk)[np.minimum(sets.place // 2, sets.n_slots - 1)]
    expected[emptied & sets.event] += 1.0
    return expected


def _expected_of(data: CoxData, state: GroupedState, rows: NDArray[np.intp], first: NDArray[np.integer[Any]]) -> Floats:
    sets, theta, hazard = data.sets, state.theta[rows], state.hazard
    slot = sets.place[rows] // 2
    start = None if sets.start is None else sets.start[rows]
    small = hazard * theta[-1] <= _SERIES
    powers: Floats = np.where(small, hazard, 0.0)[:, None] ** np.arange(1.0, _TERMS + 1.0)
    sums = np.concatenate([running_sums(powers, sets.segments), np.zeros((1, _TERMS))])
    expected = np.zeros(rows.shape[0])
    for k in range(_TERMS, 0, -1):
        # Horner's scheme: theta (s_1 - theta / 2 (s_2 - theta / 3 (...)))
        through = sums[slot, k - 1]
        if start is not None:
            through = through - sums[start, k - 1]
        expected = theta / k * (through - expected)
    for t in np.flatnonzero(~small):
        here = (first <= t) & (slot >= t)
        expected[here] -= np.expm1(-theta[here] * hazard[t])
    return expected
