"""The scale of a penalty: how many rows it is compared with, and the spread of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.design import Indicators

__all__ = ["PenaltyUnits", "penalty_units"]

Floats: TypeAlias = NDArray[np.float64]

_BLOCK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class PenaltyUnits:
    """W and s_j of a penalised likelihood.

    Attributes
    ----------
    total : float
        Sum of the weights of the rows that count; their number without weights.
    deviation : (p,) float64
        Standard deviation of each column over the same rows, weighted, divisor `total`; in the units of the covariates.
        0 where the column does not vary.
    """

    total: float
    deviation: Floats


def penalty_units(data: CoxData, counted: NDArray[np.bool_] | None = None) -> PenaltyUnits:
    """Return W and s_j; no column of a category is expanded.

    Parameters
    ----------
    data : CoxData
    counted : (n,) bool, optional
        Rows that count: those that are at risk at all (duration > entry), also where no event falls into their time.
        None: all.

    Examples
    --------
    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2, 3]), np.array([True, True, True]))
    >>> units = penalty_units(CoxData(design([np.array([0.0, 30.0, 0.0])], ["x"], n_rows=3), sets))
    >>> units.total, units.deviation.round(6).tolist()
    (3.0, [14.142136])
    """
    design = data.design
    weights = np.ones(design.n_rows) if data.weights is None else data.weights
    if counted is not None:
        weights = weights * counted
    total = float(weights.sum())
    mean = design.transposed_times(weights) / total
    numeric, *others = design.parts()
    squares = np.empty(design.n_columns)
    squares[numeric] = 0.0
    for first in range(0, design.n_rows, _BLOCK):
        rows = slice(first, first + _BLOCK)
        squares[numeric] += weights[rows] @ (design.dense[rows] - mean[numeric]) ** 2
    for part, columns in zip(design.indicators, others, strict=True):
        squares[columns] = _squares(part, weights, mean[columns], total)
    deviation = np.sqrt(squares / total)
    # a constant column differs from its mean by rounding alone
    deviation[deviation <= 1e-13 * np.maximum(np.abs(mean), 1.0)] = 0.0
    return PenaltyUnits(total, deviation * design.scale)


def _squares(part: Indicators, weights: Floats, mean: Floats, total: float) -> Floats:
    """Sum of w (x - mean)^2 of each column: over the rows of the category, and mean^2 for all others."""
    of_code = np.concatenate([[0.0], mean])[part.codes]
    inside = part.codes > 0
    values = np.ones(part.codes.shape[0]) if part.values is None else part.values
    distance = np.where(inside, values - of_code, 0.0) ** 2
    width = part.n_columns + 1
    there = np.bincount(part.codes, weights, width)[1:]
    squares: Floats = np.bincount(part.codes, weights * distance, width)[1:] + (total - there) * mean**2
    return squares
