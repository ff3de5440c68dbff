"""Means of two arms that were not drawn at random: weights, regressions, and both at once.

With e(x) the chance to be treated and m_a(x) the mean outcome under arm a, each user says

    m_1(x) + A (Y - m_1(x)) / e(x)   and   m_0(x) + (1 - A) (Y - m_0(x)) / (1 - e(x))

of the two means, which are right if e or both m are (Robins, Rotnitzky and Zhao 1994). Without m, as a ratio of
weighted sums, they are right if e is. e is logistic and m linear; both are solutions of estimating equations with
influences of their own, which enter the influence of the means through the mean derivative (Stefanski and Boos 2002),
so that variances hold whichever of the two is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArmMeans", "by_regression_and_weights", "by_weights", "e_value", "logistic_influence"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ArmMeans:
    """Means of the outcomes if all were controls, and if all were treated.

    Attributes
    ----------
    mean : (2, n_outcomes) float64
    influence : (n, 2, n_outcomes) float64
        What each user moves them by; squares (of sums by cluster) add up to the variance.
    """

    mean: Floats
    influence: Floats


def logistic_influence(matrix: Floats, treated: Flags, chance: Floats) -> Floats:
    """What each user moves the coefficients of a fitted logistic regression by, (n, p).

    Examples
    --------
    An intercept alone: half of four are treated.

    >>> logistic_influence(np.ones((4, 1)), np.array([1, 1, 0, 0]) > 0, np.full(4, 0.5)).ravel().tolist()
    [0.5, 0.5, -0.5, -0.5]
    """
    score = matrix * (treated - chance)[:, None]
    information = (matrix * (chance * (1 - chance))[:, None]).T @ matrix
    return np.asarray(np.linalg.solve(information, score.T).T, dtype=np.float64)


def by_weights(outcome: Floats, treated: Flags, matrix: Floats, chance: Floats) -> ArmMeans:
    """Weight each user by the inverse of the chance of the arm that they are in.

    Parameters
    ----------
    outcome : (n, n_outcomes) float64
    treated : (n,) bool
    matrix : (n, p) float64
        Columns of the logistic regression, the intercept among them.
    chance : (n,) float64
        Its fitted chances to be treated, inside (0, 1).

    Examples
    --------
    >>> y, treated = np.array([[1.0], [3], [5], [9]]), np.array([False, False, True, True])
    >>> by_weights(y, treated, np.ones((4, 1)), np.full(4, 0.5)).mean.ravel().tolist()
    [2.0, 7.0]
    """
    moves = logistic_influence(matrix, treated, chance)
    means, influences = [], []
    for own, p in ((~treated, 1 - chance), (treated, chance)):
        weight = np.where(own, 1 / p, 0.0)
        total = weight.sum()
        mean = weight @ outcome / total
        apart = (outcome - mean) * weight[:, None] / total
        # a weight 1 / p moves by -(1 - p) / p along x, with the sign of the arm
        sign = 1.0 if own is treated else -1.0
        slope = -sign * (matrix * (1 - p)[:, None]).T @ apart
        means.append(mean)
        influences.append(apart + moves @ slope)
    return ArmMeans(np.stack(means), np.stack(influences, axis=1))


def by_regression_and_weights(
    outcome: Floats, treated: Flags, matrix: Floats, chance: Floats, regressors: Floats | None = None
) -> ArmMeans:
    """Estimate the means doubly robustly.

    Parameters
    ----------
    outcome, treated, matrix, chance
        As of `by_weights`.
    regressors : (n, p) float64, optional
        Columns of the regressions of the outcome in each arm, the intercept among them; by default `matrix`.

    Examples
    --------
    The outcome is linear, whatever the chances: the means are exact.

    >>> x = np.arange(8.0)
    >>> treated = np.array([0, 1, 0, 1, 1, 0, 1, 1]) > 0
    >>> y = np.where(treated, 2 * x + 1, x)[:, None]
    >>> found = by_regression_and_weights(y, treated, np.column_stack([np.ones(8), x]), np.linspace(0.2, 0.7, 8))
    >>> found.mean.ravel().round(9).tolist()
    [3.5, 8.0]
    """
    n, columns = outcome.shape[0], matrix if regressors is None else regressors
    moves = logistic_influence(matrix, treated, chance)
    means, influences = [], []
    for own, p in ((~treated, 1 - chance), (treated, chance)):
        inside = columns[own]
        slopes, *_ = np.linalg.lstsq(inside, outcome[own], rcond=None)
        fitted = columns @ slopes
        apart = np.where(own[:, None], outcome - fitted, 0.0)
        says = fitted + apart / p[:, None]
        mean = says.mean(axis=0)
        sign = 1.0 if own is treated else -1.0
        along_chance = -sign * (matrix * ((1 - p) / p)[:, None]).T @ apart / n
        along_slopes = columns.T @ (1 - np.where(own, 1 / p, 0.0)) / n
        bread = np.linalg.pinv(inside.T @ inside)
        slope_moves = (columns @ bread @ along_slopes)[:, None] * apart
        means.append(mean)
        influences.append((says - mean) / n + moves @ along_chance + slope_moves)
    return ArmMeans(np.stack(means), np.stack(influences, axis=1))


def e_value(ratio: float) -> float:
    """How strongly a hidden cause would have to go with both treatment and outcome to explain a risk ratio away.

    The least risk ratio that it needs with each of the two, over the covariates (VanderWeele and Ding 2017).

    Examples
    --------
    >>> round(e_value(3.9), 2), round(e_value(1 / 3.9), 2), e_value(1.0)
    (7.26, 7.26, 1.0)
    """
    ratio = max(ratio, 1 / ratio) if ratio > 0 else float("inf")
    return float(ratio + (ratio * (ratio - 1)) ** 0.5)
