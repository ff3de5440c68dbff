"""The GLM with complementary log-log link on (row, day at risk), written out pair by pair; nothing is shared with us.

Days on which everybody at risk has the event are left out: they say nothing of the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog

from tests.numerics import brute_cox
from tests.numerics.brute_cox import Rows

Floats = np.ndarray


@dataclass(frozen=True)
class Pairs:
    """One line per (row, day): its row, its day, the matrix of days and covariates, event, weight and offset."""

    row: Any
    slot: Any
    matrix: Floats
    event: Any
    weight: Floats
    offset: Floats
    n_slots: int
    n_rows: int


def pairs(rows: Rows, weights: Any = None, offset: Any = None) -> Pairs:
    found = []
    n_slots = 0
    for stratum, day in brute_cox.days(rows):
        inside = [i for i in range(rows.n) if rows.stratum[i] == stratum and rows.entry[i] < day <= rows.duration[i]]
        churned = [bool(rows.event[i]) and rows.duration[i] == day for i in inside]
        if not all(churned):
            found += [(i, n_slots, event) for i, event in zip(inside, churned, strict=True)]
            n_slots += 1
    row, slot, event = (np.array(column) for column in zip(*found, strict=True))
    matrix = np.column_stack([np.eye(n_slots)[slot], np.asarray(rows.x, dtype=float)[row]])
    weight = np.ones(rows.n) if weights is None else np.asarray(weights, dtype=float)
    shift = np.zeros(rows.n) if offset is None else np.asarray(offset, dtype=float)
    return Pairs(row, slot, matrix, event.astype(bool), weight[row], shift[row], n_slots, rows.n)


def hazards(glm: Pairs, parameters: Floats) -> Floats:
    return np.exp(glm.matrix @ parameters + glm.offset)


def log_likelihood(glm: Pairs, parameters: Floats) -> float:
    h = hazards(glm, parameters)
    return float((glm.weight * np.where(glm.event, np.log(-np.expm1(-h)), -h)).sum())


def scores(glm: Pairs, parameters: Floats) -> Floats:
    """Derivative of each pair's log-likelihood in its log hazard."""
    h = hazards(glm, parameters)
    with np.errstate(over="ignore"):
        return np.where(glm.event, h / np.expm1(h), -h)


def information(glm: Pairs, parameters: Floats) -> Floats:
    """Observed information of days and coefficients."""
    h = hazards(glm, parameters)
    event = np.minimum(h, 300)  # 0 beyond
    bent = np.where(glm.event, event * (np.exp(event) * (event - 1) + 1) / np.expm1(event) ** 2, h)
    return glm.matrix.T @ (glm.matrix * (glm.weight * bent)[:, None])


def maximum(glm: Pairs, *, fixed: Floats | None = None) -> Floats:
    """Parameters at the maximum by Newton's method with halving; the coefficients held at `fixed` where given."""
    p = glm.matrix.shape[1] - glm.n_slots
    free = slice(None) if fixed is None else slice(0, glm.n_slots)
    at = np.concatenate([np.full(glm.n_slots, -1.0), np.zeros(p) if fixed is None else fixed])
    for _ in range(200):
        score = (glm.matrix * (glm.weight * scores(glm, at))[:, None]).sum(axis=0)[free]
        step = np.zeros_like(at)
        step[free] = np.linalg.solve(information(glm, at)[free, free], score)
        with np.errstate(over="ignore", divide="ignore"):
            while not log_likelihood(glm, at + step) >= log_likelihood(glm, at) - 1e-9:
                step /= 2
        at = at + step
        if np.abs(step).max() < 1e-13:
            return at
    raise AssertionError("the brute-force fit did not converge")


def covariance(glm: Pairs, parameters: Floats) -> Floats:
    return np.linalg.inv(information(glm, parameters))


def cluster_covariance(glm: Pairs, parameters: Floats, cluster: Any) -> Floats:
    """Sandwich over days and coefficients."""
    each = glm.matrix * (glm.weight * scores(glm, parameters))[:, None]
    totals = np.zeros((int(np.max(cluster)) + 1, each.shape[1]))
    np.add.at(totals, np.asarray(cluster)[glm.row], each)
    bread = covariance(glm, parameters)
    return bread @ totals.T @ totals @ bread


def score_residuals(glm: Pairs, parameters: Floats) -> Floats:
    """By row: its score in the coefficients less what the days take up."""
    own = np.zeros((glm.n_rows, glm.matrix.shape[1]))
    np.add.at(own, glm.row, glm.matrix * scores(glm, parameters)[:, None])
    both, k = information(glm, parameters), glm.n_slots
    return own[:, k:] - own[:, :k] @ np.linalg.solve(both[:k, :k], both[:k, k:])


def expected(glm: Pairs, parameters: Floats) -> Floats:
    """Events expected of each row on the days of the likelihood."""
    return np.bincount(glm.row, -np.expm1(-hazards(glm, parameters)), glm.n_rows)


def leads_to_infinity(rows: Rows) -> bool:
    """Whether in some direction no event becomes less likely, and none of the others more: by linear programming."""
    glm = pairs(rows)
    ahead = glm.matrix * np.where(glm.event, 1.0, -1.0)[:, None]
    found = linprog(-ahead.sum(axis=0), A_ub=-ahead, b_ub=np.zeros(len(ahead)), bounds=(-1, 1))
    return bool(-found.fun > 1e-9)
