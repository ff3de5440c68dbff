"""What each row says about the effect of a contact: complete outcomes, arm means, and doubly robust values.

The outcome of row i is known as W_i = sum over u <= min(C_i, horizon) of dM_i(u) / G(u-): what it brought on each day
that it was followed for, each day made up for by the share G(u-) = P(C >= u) of its arm and stratum that was followed
to it. C has nothing to do with what users do, so that with m(u) the mean of day u and theta their sum

    Y_i = theta + W_i - sum over u <= C_i of m(u) / G(u-)

has the mean of W_i without what its variance owes to C alone; that G is an estimate is counted in (Bang and Tsiatis
2000). Effects on users who are ranked, grouped or chosen are averages of

    value_a(i) = mu_a(x_i) + 1{A_i = a} (Y_i - mu_a(x_i)) / e_a(i),

e_a(i) the probability of the arm: where arms were drawn at random its mean is the outcome under arm a, whatever mu_a is
(Robins, Rotnitzky and Zhao 1994). mu_a is the mean of arm and stratum; with covariates, a linear regression within the
arm with slopes of its own (Lin 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only

__all__ = ["ArmModel", "arm_model", "arm_values", "complete_outcomes", "follow_up_terms"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

_PARTS = 4  # of the horizon, in which timing may differ
_ALIASED = 1e-10  # directions of the covariates with less variance than this part of the largest say nothing


def complete_outcomes(
    weighted: Floats, followed: Codes, cell: Codes, by_day: Sequence[Floats], weights: Sequence[Floats]
) -> Floats:
    """Return Y of each row, (n,).

    Parameters
    ----------
    weighted : (n,) float64
        W.
    followed : (n,) integer
        C, days; >= 1.
    cell : (n,) integer
        Which cell of arm and stratum a row belongs to.
    by_day : sequence over cells of (horizon,) float64
        m(u) for u = 1, 2, ...
    weights : sequence over cells of (horizon,) float64
        G(u-) > 0.

    Examples
    --------
    Two days; one of two rows is followed for one day only. On day 1 half of them return, on day 2 nobody:

    >>> W, C = np.array([1.0, 0.0]), np.array([1, 2])
    >>> complete_outcomes(W, C, np.zeros(2, int), [np.array([0.5, 0.0])], [np.array([1.0, 0.5])]).tolist()
    [1.0, 0.0]
    """
    horizon = by_day[0].shape[0]
    # what a row that was followed for so many days is expected to weigh, less the mean of all
    ahead = np.array([np.append(0.0, np.cumsum(m / G)) - m.sum() for m, G in zip(by_day, weights, strict=True)])
    found: Floats = weighted - ahead.ravel()[cell * np.int64(horizon + 1) + np.minimum(followed, horizon)]
    return found


def follow_up_terms(followed: Codes, cell: Codes, weights: Sequence[Floats], arm: Codes, n_arms: int) -> Floats:
    """Return functions of how long rows were followed, whose mean is 0 in each cell, (n, 4 n_arms).

    Of each arm, the sums of 1 / G(u-) up to C within four parts of the horizon. That G is estimated takes out of any
    mean what such functions say of its influence (`explained`), as it was not in Y: groups of users may have another
    timing than their arm.

    Parameters
    ----------
    followed, cell, weights
        As in `complete_outcomes`.
    arm : (n,) integer
        0 ... n_arms - 1; the same within a cell.
    n_arms : int

    Examples
    --------
    >>> C, G = np.array([1, 2]), [np.array([1.0, 0.5])]
    >>> follow_up_terms(C, np.zeros(2, int), G, np.zeros(2, int), 1).tolist()
    [[0.0, -1.0], [0.0, 1.0]]
    """
    horizon = weights[0].shape[0]
    parts = np.array_split(np.arange(horizon), min(_PARTS, horizon))
    found = np.zeros((followed.shape[0], n_arms * len(parts)))
    if all((G == 1).all() for G in weights):
        return found
    place = cell * np.int64(horizon + 1) + np.minimum(followed, horizon)
    for j, days in enumerate(parts):
        inside = np.isin(np.arange(horizon), days)
        table = np.array([np.append(0.0, np.cumsum(inside / G)) - days.size for G in weights])
        values = table.ravel()[place]
        for a in range(n_arms):
            found[:, a * len(parts) + j] = np.where(arm == a, values, 0.0)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ArmModel:
    """mu_a of every arm for every row, and the probability of the arm that the row is in.

    Attributes
    ----------
    mean : (n, n_arms) float64
    probability : (n,) float64
        e, as given, else the share of the arm in the stratum.
    """

    mean: Floats
    probability: Floats


def arm_model(
    outcome: Floats,
    arm: Codes,
    n_arms: int,
    *,
    stratum: Codes,
    n_strata: int,
    covariates: Floats | None = None,
    propensity: Floats | None = None,
) -> ArmModel:
    """Estimate the mean of every arm for every row.

    Parameters
    ----------
    outcome : (n,) float64
        Y.
    arm : (n,) integer
        0 ... n_arms - 1.
    n_arms : int
    stratum : (n,) integer
        0 ... n_strata - 1.
    n_strata : int
    covariates : (n, p) float64, optional
        Known before the assignment.
    propensity : (n,) float64, optional
        Probability of the arm that the row is in, > 0, where it was not the same within a stratum.

    Raises
    ------
    InputError
        If an arm has nobody in a stratum.

    Examples
    --------
    >>> found = arm_model(np.array([1.0, 3, 0, 1]), np.array([0, 0, 1, 1]), 2, stratum=np.zeros(4, int), n_strata=1)
    >>> found.mean[0].tolist(), found.probability.tolist()
    ([2.0, 0.5], [0.5, 0.5, 0.5, 0.5])
    """
    at = stratum * np.int64(n_arms)
    cell, n_cells = at + arm, n_strata * n_arms
    n_rows = np.bincount(cell, minlength=n_cells)
    if (n_rows == 0).any():
        empty = int(np.flatnonzero(n_rows == 0)[0])
        raise InputError(
            f"arm {empty % n_arms} has nobody in stratum {empty // n_arms}: what it does there cannot be known. Leave "
            "such strata out, or join them with others."
        )
    weight = None if propensity is None else 1 / propensity
    size = np.bincount(cell, weight, minlength=n_cells)

    def centre(values: Floats) -> Floats:
        return np.asarray(np.bincount(cell, values if weight is None else values * weight, minlength=n_cells) / size)

    means = centre(outcome).reshape(n_strata, n_arms)
    mean = means[stratum]
    if covariates is not None and covariates.shape[1] > 0:
        centres = np.array([centre(x) for x in covariates.T])
        for a in range(n_arms):
            rows = np.flatnonzero(arm == a)
            slopes = _slopes(covariates[rows] - centres[:, cell[rows]].T, outcome[rows])
            mean[:, a] += covariates @ slopes - (slopes @ centres)[at + a]
    if propensity is None:
        shares = n_rows.reshape(n_strata, n_arms) / n_rows.reshape(n_strata, n_arms).sum(axis=1, keepdims=True)
        propensity = shares.ravel()[cell]
    read_only(mean)
    return ArmModel(mean, np.asarray(propensity, dtype=np.float64))


def _slopes(X: Floats, outcome: Floats) -> Floats:
    """Slopes of the outcome on covariates that are centred, by least squares; 0 for what does not vary."""
    scale = np.sqrt(np.mean(np.square(X), axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    X = X / scale
    return np.asarray(np.linalg.lstsq(X.T @ X, X.T @ outcome, rcond=_ALIASED)[0] / scale)


def arm_values(outcome: Floats, arm: Codes, model: ArmModel) -> Floats:
    """Return the doubly robust value of every arm for every row, (n, n_arms).

    Parameters
    ----------
    outcome : (n,) float64
        Y.
    arm : (n,) integer
    model : ArmModel

    Examples
    --------
    With the means of arms alone, averages of values are those means:

    >>> y, arm = np.array([1.0, 3, 0, 1]), np.array([0, 0, 1, 1])
    >>> values = arm_values(y, arm, arm_model(y, arm, 2, stratum=np.zeros(4, int), n_strata=1))
    >>> values.mean(axis=0).tolist(), values[:, 1].tolist()
    ([2.0, 0.5], [0.5, 0.5, -0.5, 1.5])
    """
    values = model.mean.copy()
    rows = np.arange(arm.shape[0])
    values[rows, arm] += (outcome - model.mean[rows, arm]) / model.probability
    read_only(values)
    return values
