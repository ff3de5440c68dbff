"""Return hazards by cell times a factor of the day, from counts: what a day without anything new lets expect.

Of the n_tc users at risk on day t in cell c (idle day, stage ...) a share h_c exp(x_t'b) is expected to return: one
level for each cell, and one factor of weekday, holiday and trend for all of them. The score equations of Poisson's
likelihood are right for any variance of the counts (Gourieroux, Monfort and Trognon 1984); with the levels profiled
out, h_c = Y_c / sum_t n_tc exp(x_t'b), what is left for b is

    l(b) = sum_t y_t x_t'b - sum_c Y_c log sum_t n_tc exp(x_t'b),

the partial likelihood of Cox with a stratum for each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError

__all__ = ["ReturnRate", "expected_returns", "fit_return_rate"]

Floats: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = NDArray[Any]

_ROUNDS = 50
_HIGHEST = 0.999
#: An eigenvalue of the information that is smaller than this part of the terms' own squares is rounding.
_NO_INFORMATION = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class ReturnRate:
    """Fitted levels and factors.

    Attributes
    ----------
    level : (n_cells,) float64
        h_c. Of cells that nobody was in, the share of all that returned.
    events : (n_cells,) float64
        Y_c: returns that h_c comes from.
    coefficients : (n_terms,) float64
        b.
    centre : (n_cells, n_terms) float64
        Means of x over the expected returns of each cell.
    covariance : (n_terms, n_terms) float64
        Of b, as if the counts were Poisson.
    """

    level: Floats
    events: Floats
    coefficients: Floats
    centre: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedReturns:
    """What to expect on each day; arrays of shape (n_days,).

    Attributes
    ----------
    mean : float64
        Expected returns.
    variance : float64
        Binomial: the sum of n p (1 - p).
    error : float64
        Variance of log mean from its estimation, as if the counts were Poisson.
    by_cell : (n_days, n_cells) float64
        Expected returns of each cell.
    """

    mean: Floats
    variance: Floats
    error: Floats
    by_cell: Floats


def fit_return_rate(at_risk: Numbers, returned: Numbers, terms: Floats) -> ReturnRate:
    """Fit the levels and the factors. Where nobody returned, nobody is expected to.

    Parameters
    ----------
    at_risk, returned : (n_days, n_cells) number
    terms : (n_days, n_terms) float64
        x_t, without a constant. A term that does not vary gets the coefficient 0.

    Raises
    ------
    ConvergenceError
        If the equations cannot be solved.

    Examples
    --------
    >>> at_risk = np.full((4, 1), 100)
    >>> fit = fit_return_rate(at_risk, np.array([[10], [20], [10], [20]]), np.array([[0.0], [1], [0], [1]]))
    >>> fit.level.round(3).tolist(), np.exp(fit.coefficients).round(3).tolist()
    ([0.1], [2.0])
    """
    n, y = at_risk.astype(np.float64), returned.astype(np.float64)
    events = y.sum(axis=0)
    by_day, b = y.sum(axis=1), np.zeros(terms.shape[1])
    value, gradient, information, centre, size_of_terms = _profile(n, events, by_day, terms, b)
    for _ in range(_ROUNDS):
        step = _inverse(information, size_of_terms) @ gradient
        gain = float(step @ gradient)
        if gain <= 1e-16 * max(1.0, float(events.sum())):
            break
        size = 1.0
        while True:
            found = _profile(n, events, by_day, terms, b + size * step)
            if np.isfinite(found[0]) and found[0] >= value - 1e-12 * abs(value):
                break
            size /= 2
            if size < 1e-6:
                raise ConvergenceError("The expectation of returns by weekday and trend cannot be fitted.")
        b = b + size * step
        value, gradient, information, centre, size_of_terms = found
    exposure = (n * np.exp(terms @ b)[:, None]).sum(axis=0)
    level: Floats = np.full(events.size, events.sum() / max(float(exposure.sum()), 1.0))
    np.divide(events, exposure, out=level, where=exposure > 0)
    return ReturnRate(level, events, b, centre, _inverse(information, size_of_terms))


def _inverse(information: Floats, size_of_terms: float) -> Floats:
    """Invert where there is information; directions in which the terms do not vary within cells get 0.

    What is left of those by rounding is small beside the sums that it is the difference of, and may be below 0.
    """
    values, vectors = np.linalg.eigh(information)
    known = values > _NO_INFORMATION * size_of_terms
    inverse: Floats = (vectors[:, known] / values[known]) @ vectors[:, known].T
    return inverse


def _profile(
    n: Floats, events: Floats, by_day: Floats, terms: Floats, b: Floats
) -> tuple[float, Floats, Floats, Floats, float]:
    """The profile likelihood, its gradient and information, means of the terms by cell, the largest sum of squares."""
    factor = np.exp(np.clip(terms @ b, -30, 30))
    weight = n * factor[:, None]
    total = weight.sum(axis=0)
    used = events > 0
    value = float(by_day @ np.log(factor) - events[used] @ np.log(total[used]))
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    centre = share.T @ terms
    gradient = terms.T @ by_day - centre.T @ events
    squares = (terms * (share @ events)[:, None]).T @ terms
    information = squares - (centre * events[:, None]).T @ centre
    return value, gradient, information, centre, float(np.diagonal(squares).max(initial=0.0))


def expected_returns(fit: ReturnRate, at_risk: Numbers, terms: Floats) -> ExpectedReturns:
    """Say what a fit lets expect on days.

    Parameters
    ----------
    fit : ReturnRate
    at_risk : (n_days, n_cells) number
    terms : (n_days, n_terms) float64
    """
    n = at_risk.astype(np.float64)
    chance = np.minimum(fit.level[None, :] * np.exp(terms @ fit.coefficients)[:, None], _HIGHEST)
    by_cell = n * chance
    mean = by_cell.sum(axis=1)
    share = np.divide(by_cell, mean[:, None], out=np.zeros_like(by_cell), where=mean[:, None] > 0)
    away = terms - share @ fit.centre
    known = np.maximum(fit.events, 1.0)
    error = (share**2 / known).sum(axis=1) + np.einsum("ti,ij,tj->t", away, fit.covariance, away)
    return ExpectedReturns(mean, (by_cell * (1 - chance)).sum(axis=1), error, by_cell)
