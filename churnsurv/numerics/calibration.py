"""Do probabilities mean what they say? What calibration is computed from, as functions of arrays.

* `cloglog_fit`: 1{churned by the horizon} against log(-log(1 - p)) in a binomial model with complementary log-log link,
  rows weighted by the inverse probability of being known. The slope should be 1 (below it predictions are too extreme),
  the intercept with the slope held at 1 should be 0: exp of it is the ratio of observed to predicted hazards (Crowson,
  Atkinson and Therneau 2016; Royston and Altman 2013). Standard errors are the infinitesimal jackknife's, that of the
  weights included.
* `restricted_cubic`: a cubic spline, linear beyond its outer knots (Harrell 2015, section 2.4.5).
* `equal_groups`: groups of about equal weight in order of the predictions; equal predictions stay together.
* `d_calibration`: P(T > t | x) at a row's own end is uniform where predictions are right, so that each tenth of it
  should hold a tenth of the rows. Of a censored row only an upper bound is known: it is spread over the bins below, in
  proportion to their width (Haider et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.censoring import Followed, Seen
from churnsurv.numerics.day_counts import read_only

__all__ = [
    *("CloglogFit", "cloglog", "cloglog_fit", "d_calibration", "equal_groups", "quantile_of", "restricted_cubic"),
    "spline_knots",
]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int64]

# Where a spline of so many knots has them, as quantiles (Harrell 2015, table 2.3).
_KNOTS = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
# Twice what a step still gains, by unit of weight: the coefficients are then exact to ten digits.
_STEPS, _ENOUGH = 50, 1e-20
# Rounding of a sum of many.
_ROUNDING = 1e-13
# A log-likelihood by row of nothing, and a curvature that is none: the maximum lies at infinity.
_PERFECT, _SINGULAR = 1e-9, 1e14


def cloglog(probability: Floats) -> Floats:
    """Return log(-log(1 - p)), the logarithm of the cumulative hazard.

    Examples
    --------
    >>> cloglog(np.array([1 - np.exp(-1)])).round(12).tolist()
    [0.0]
    """
    return np.asarray(np.log(-np.log1p(-probability)))


@dataclass(frozen=True, slots=True, eq=False)
class CloglogFit:
    """Calibration on the complementary log-log scale.

    Attributes
    ----------
    intercept, intercept_std_error : float
        With the slope held at 1.
    slope, slope_std_error : float
        With an intercept of its own; NaN where all predictions are the same.
    """

    intercept: float
    intercept_std_error: float
    slope: float
    slope_std_error: float


def cloglog_fit(rows: Followed, seen: Seen, probability: Floats) -> CloglogFit:
    """Regress churn by a day on the predictions, on the complementary log-log scale.

    Parameters
    ----------
    rows : Followed
    seen : Seen
        Made by ``rows.at(horizon)``; some have churned and some have not.
    probability : (n,) float64
        Strictly between 0 and 1.

    Raises
    ------
    ConvergenceError
        If the predictions separate who churned from who did not, so that the slope is infinite.

    Examples
    --------
    >>> from churnsurv.numerics.censoring import followed
    >>> rows = followed(np.array([1, 2, 4, 4]), np.array([True, True, False, False]))
    >>> found = cloglog_fit(rows, rows.at(3), np.full(4, 0.5))
    >>> abs(round(found.intercept, 12)), found.slope
    (0.0, nan)
    """
    z = cloglog(probability)
    one = np.ones((1, rows.n))
    intercept, error = _maximum(rows, seen, one, offset=z)
    if np.ptp(z[seen.weight > 0]) == 0:
        return CloglogFit(float(intercept[0]), float(error[0]), np.nan, np.nan)
    centre = float(z.mean())
    both, errors = _maximum(rows, seen, np.concatenate([one, (z - centre)[None]]), offset=np.zeros(rows.n))
    return CloglogFit(float(intercept[0]), float(error[0]), float(both[1]), float(errors[1]))


def _maximum(rows: Followed, seen: Seen, X: Floats, *, offset: Floats) -> tuple[Floats, Floats]:
    """Coefficients, (p,), of the weighted likelihood and their standard errors; X is (p, n). It is concave."""
    weight = rows.drawn.times(seen.weight)
    known = weight > 0
    w, y, x, o = weight[known], seen.churned[known], X[:, known], offset[known]
    share = float(np.dot(w, y) / w.sum())
    beta = np.zeros(X.shape[0])
    beta[0] = float(cloglog(np.array([share]))[0]) - float(np.dot(w, o) / w.sum())
    value, slope, curve = _likelihood(beta @ x + o, y)
    top = float(np.dot(w, value))
    for _ in range(_STEPS):
        gradient, hessian = x @ (w * slope), (x * (w * curve)) @ x.T
        if not np.linalg.cond(hessian) < _SINGULAR:
            raise _separated()
        step = -np.linalg.solve(hessian, gradient)
        decrement = float(gradient @ step)
        if decrement <= _ENOUGH * float(w.sum()):
            break
        for _ in range(40):
            tried = _likelihood((beta + step) @ x + o, y)
            reached = float(np.dot(w, tried[0]))
            if reached >= top - _ROUNDING * abs(top):
                break
            step = step / 2
        beta, top, (value, slope, curve) = beta + step, reached, tried
    else:
        raise _separated()
    if top > -_PERFECT * float(w.sum()):
        raise _separated()
    influences = []
    scores = np.zeros((X.shape[0], rows.n))
    scores[:, known] = x * slope
    for score in scores:
        sums = weight * score
        influences.append(seen.weight * score + rows.through(sums, seen.place))
    influence = -np.linalg.solve(hessian, np.array(influences))
    return beta, np.sqrt(np.diagonal(rows.drawn.covariance(*influence)))


def _separated() -> ConvergenceError:
    return ConvergenceError(
        "the calibration slope has no finite estimate: the predictions separate those who churned by the horizon from "
        "those who did not, or nearly so."
    )


def _likelihood(eta: Floats, churned: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood of each row, and its first two derivatives in eta; a hazard of e^eta."""
    a = np.exp(np.clip(eta, -700.0, 700.0))
    with np.errstate(over="ignore", under="ignore"):
        more = np.expm1(a)
        ratio = np.divide(a, more, out=np.zeros_like(a), where=np.isfinite(more))
        log_churned = np.log(-np.expm1(-a))
        bend = ratio * (1 - a - ratio)
    return (
        np.where(churned, log_churned, -a),
        np.where(churned, ratio, -a),
        np.where(churned, bend, -a),
    )


def spline_knots(x: Floats, n_knots: int = 4, weights: Floats | None = None) -> Floats:
    """Return the knots of a restricted cubic spline, at fixed quantiles of x; fewer where these coincide.

    Examples
    --------
    >>> spline_knots(np.arange(11.0), 3).tolist()
    [1.0, 5.0, 9.0]
    """
    return np.unique(quantile_of(x, np.array(_KNOTS[n_knots]), weights))


def restricted_cubic(x: Floats, knots: Floats) -> Floats:
    """Return the columns of a cubic spline that is linear beyond its outer knots, (n, n_knots - 1).

    Parameters
    ----------
    x : (n,) float64
    knots : (n_knots,) float64
        Ascending; with fewer than three of them x alone is returned.

    Examples
    --------
    Below the first knot it is x alone, above the last one it is linear.

    >>> restricted_cubic(np.array([0.0, 1.0, 4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [[0.0, 0.0], [1.0, 0.0], [4.0, 3.0], [5.0, 4.5], [6.0, 6.0]]
    """
    columns = [x]
    if knots.size >= 3:
        width = knots[-1] - knots[-2]

        def cube(knot: float) -> Floats:
            return np.asarray(np.maximum(x - knot, 0.0) ** 3)

        last_two = cube(float(knots[-2])), cube(float(knots[-1]))
        for knot in knots[:-2].tolist():
            term = cube(knot) - last_two[0] * (knots[-1] - knot) / width + last_two[1] * (knots[-2] - knot) / width
            columns.append(term / (knots[-1] - knots[0]) ** 2)
    return np.column_stack(columns)


def quantile_of(x: Floats, probabilities: Floats, weights: Floats | None = None) -> Floats:
    """Return quantiles; with weights the smallest value up to which that share of the weight lies.

    Examples
    --------
    >>> quantile_of(np.array([1.0, 2.0, 3.0]), np.array([0.5]), np.array([1.0, 1.0, 8.0])).tolist()
    [3.0]
    """
    if weights is None:
        return np.asarray(np.quantile(x, probabilities))
    order = np.argsort(x)
    share = np.cumsum(weights[order])
    places = np.searchsorted(share, probabilities * share[-1] * (1 - 1e-12))
    return np.asarray(x[order][np.minimum(places, x.size - 1)])


def equal_groups(x: Floats, groups: int, weights: Floats | None = None) -> tuple[Codes, int]:
    """Cut rows into groups of about equal weight in order of x; equal values stay together.

    Returns
    -------
    (n,) int64, and their number
        Fewer groups where there are fewer distinct values.

    Examples
    --------
    >>> equal_groups(np.array([0.1, 0.4, 0.1, 0.9]), 2)[0].tolist()
    [0, 1, 0, 1]
    """
    values, place = np.unique(x, return_inverse=True)
    weight = np.bincount(place, weights, minlength=values.size).astype(np.float64)
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    wished = np.minimum((middle * groups).astype(np.int64), groups - 1)
    _, code = np.unique(wished, return_inverse=True)
    return np.asarray(code[place], dtype=np.int64), int(code.max()) + 1


def d_calibration(survival_at_end: Floats, churned: NDArray[np.bool_], bins: int, weights: Floats | None) -> Floats:
    """Count rows by bin of the predicted survival at their own end, (bins,).

    Parameters
    ----------
    survival_at_end : (n,) float64
        P(T > duration), in [0, 1].
    churned : (n,) bool
        The others are censored, and spread over the bins up to their own.
    bins : int
        Of equal width.
    weights : (n,) float64, optional

    Examples
    --------
    The second row is censored at 0.5: its own half bin, and the one below, have a half each.

    >>> d_calibration(np.array([0.75, 0.5]), np.array([True, False]), 4, None).tolist()
    [0.5, 0.5, 0.0, 1.0]
    """
    s = survival_at_end
    w = np.ones(s.size) if weights is None else weights
    # a bin holds its upper end, so that 1/2 of two bins belongs to the lower one, but for survival 1
    own = np.where(churned, np.floor(s * bins), np.ceil(s * bins) - 1).astype(np.int64)
    own = np.clip(own, 0, bins - 1)
    found = np.bincount(own[churned], w[churned], minlength=bins)
    lost, at, weight = s[~churned], own[~churned], w[~churned]
    certain = lost > 0
    share = np.divide(1.0, lost, out=np.zeros_like(lost), where=certain)
    found += np.bincount(at, weight * np.where(certain, (lost - at / bins) * share, 1.0), minlength=bins)
    # each bin below the own one
    below = np.bincount(at, weight * share / bins, minlength=bins)
    found += np.append(np.cumsum(below[::-1])[::-1][1:], 0.0)
    read_only(found)
    return np.asarray(found)
