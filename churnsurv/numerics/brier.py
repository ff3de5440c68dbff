"""Brier's score of predicted survival: the mean squared distance from what happened, with censored rows made up for.

At day t a row that has churned counts S(t | x)^2, one that has not (1 - S(t | x))^2, weighted by the inverse
probability of being known (Graf et al. 1999; Gerds and Schumacher 2006). The reference predicts for everybody the
Kaplan-Meier estimate of the same rows; its score is S (1 - S), exactly. The scaled score is 1 - B / B_ref: 1 is
perfect, 0 no better than the reference. Standard errors are the infinitesimal jackknife's, the estimated weights
included.

The integral over days is the trapezoid's, divided by the range: a mean over the days asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.censoring import Followed, weighted_mean
from churnsurv.numerics.day_counts import read_only

__all__ = ["Brier", "brier"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Brier:
    """Scores by day, (n_times,), and over all days; NaN where the reference is 0, or where there is one day only.

    Attributes
    ----------
    estimate, std_error : (n_times,)
    reference : (n_times,)
        Score of the Kaplan-Meier estimate.
    scaled, scaled_std_error : (n_times,)
        1 - estimate / reference.
    integrated, integrated_std_error, integrated_reference, integrated_scaled, integrated_scaled_std_error : float
    """

    estimate: Floats
    std_error: Floats
    reference: Floats
    scaled: Floats
    scaled_std_error: Floats
    integrated: float
    integrated_std_error: float
    integrated_reference: float
    integrated_scaled: float
    integrated_scaled_std_error: float


def brier(rows: Followed, times: NDArray[Any], survival: Callable[[int], Floats]) -> Brier:
    """Score predictions of survival on some days.

    Parameters
    ----------
    rows : Followed
    times : (n_times,) number
        Ascending, none twice.
    survival : function
        Takes the position of a day and returns P(T > day) of each row, (n,) float64.

    Raises
    ------
    FollowUpError, InputError
        If what happened by a day cannot be known.

    Examples
    --------
    Nobody is censored before day 3: half have churned, and 0.8 was said of those who had not.

    >>> from churnsurv.numerics.censoring import followed
    >>> rows = followed(np.array([1, 2, 4, 4]), np.array([True, True, False, False]))
    >>> found = brier(rows, np.array([3]), lambda j: np.array([0.2, 0.6, 0.8, 0.8]))
    >>> found.estimate.round(3).tolist(), found.reference.tolist(), found.scaled.round(3).tolist()
    ([0.12], [0.25], [0.52])
    """
    n, m = rows.n, times.shape[0]
    found = np.empty((5, m))
    total, total_reference = (np.zeros(n) for _ in range(2))
    share = _trapezoid(times)
    for j in range(m):
        seen = rows.at(float(times[j]))
        still: Floats = np.where(seen.churned, 0.0, 1.0)
        marginal = weighted_mean(rows, seen, still)
        score = weighted_mean(rows, seen, np.asarray((still - survival(j)) ** 2))
        left = marginal.estimate
        reference, of_reference = left * (1 - left), (1 - 2 * left) * marginal.influence
        found[0, j], found[1, j] = score.estimate, rows.drawn.std_error(score.influence)
        found[2, j] = reference
        found[3:, j] = _scaled(rows, score.estimate, reference, score.influence, of_reference)
        total += share[j] * score.influence
        total_reference += share[j] * of_reference
    read_only(found)
    by_day = (found[0], found[1], found[2], found[3], found[4])
    if m == 1:
        return Brier(*by_day, np.nan, np.nan, np.nan, np.nan, np.nan)
    mean, mean_reference = float(share @ found[0]), float(share @ found[2])
    scaled = _scaled(rows, mean, mean_reference, total, total_reference)
    return Brier(*by_day, mean, rows.drawn.std_error(total), mean_reference, *scaled)


def _trapezoid(times: NDArray[Any]) -> Floats:
    """Share of each day in the mean over days."""
    gaps = np.diff(times.astype(np.float64))
    if gaps.size == 0:
        return np.ones(1)
    return np.asarray((np.append(gaps, 0.0) + np.append(0.0, gaps)) / (2 * gaps.sum()))


def _scaled(
    rows: Followed, score: float, reference: float, of_score: Floats, of_reference: Floats
) -> tuple[float, float]:
    """1 - score / reference and its standard error."""
    if not reference > 0:
        return np.nan, np.nan
    ratio = score / reference
    return 1 - ratio, rows.drawn.std_error((of_score - ratio * of_reference) / reference)
