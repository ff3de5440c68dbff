"""Daily return hazards from counts: a level for each cell and terms of the calendar, by complementary log-log.

Of the n_tc users at risk on day t in cell c (idle day ...) each returns with probability p_tc,

    log(-log(1 - p_tc)) = a_c + x_t'b,

so that exp(b) are ratios of the hazard of return, as in Cox's model for grouped days (Prentice and Gloeckler 1978).
With m = exp(a_c + x_t'b) the derivative of the log-likelihood in the predictor is s = (m / p) (y - n p), and its
variance, if users return independently of each other, is w = n m^2 / (exp(m) - 1).

A general GLM would carry a column for each cell. Since the terms are the same for all cells of a day, the information
is diagonal in the levels and the rest are products of days by cells with days by terms: with cell means
z_c = sum_t w_tc x_t / w_.c the levels drop out, and a step solves n_terms equations (Fisher scoring; McCullagh and
Nelder 1989, section 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError

__all__ = ["HazardFit", "common_shift", "fit_return_hazard", "merged_cells", "scores_and_weights"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = NDArray[Any]

_ROUNDS = 60
_LOW, _HIGH = -30.0, 3.5


@dataclass(frozen=True, slots=True, eq=False)
class HazardFit:
    """Fitted levels and terms.

    Attributes
    ----------
    level : (n_cells,) float64
        a_c.
    coefficients : (n_terms,) float64
        b; 0 for a term that does not vary.
    terms : (n_days, n_terms) float64
        x_t.
    score, weight : (n_days, n_cells) float64
        s and w of the days that it was fitted to.
    centre : (n_cells, n_terms) float64
        z_c.
    inverse : (n_terms, n_terms) float64
        Inverse of the information of b; its covariance if days had nothing of their own.
    """

    level: Floats
    coefficients: Floats
    terms: Floats
    score: Floats
    weight: Floats
    centre: Floats
    inverse: Floats

    def predictor(self, terms: Floats) -> Floats:
        """Return a_c + x_t'b on days with these terms: (n_days, n_cells)."""
        found: Floats = self.level[None, :] + (terms @ self.coefficients)[:, None]
        return found


def scores_and_weights(predictor: Floats, at_risk: Numbers, returned: Numbers) -> tuple[Floats, Floats]:
    """Return s and w.

    Examples
    --------
    >>> s, w = scores_and_weights(np.log(-np.log([0.9])), np.array([100]), np.array([10]))
    >>> abs(s).round(9).tolist(), w.round(3).tolist()
    ([0.0], [9.991])
    """
    mean = np.exp(np.clip(predictor, _LOW, _HIGH))
    chance = -np.expm1(-mean)
    score = mean / chance * (returned - at_risk * chance)
    weight = at_risk * mean**2 / np.expm1(mean)
    return score, weight


def merged_cells(events: Numbers, blocks: Numbers, *, fewest: int = 10) -> Ints:
    """Put neighbouring cells together until each has some events, within blocks where these have enough.

    A cell that nobody returned from has no level, and leaving it out would leave out its users on later days.

    Parameters
    ----------
    events : (n,) number
        Of each cell, in order.
    blocks : (n,) int
        Ascending; cells of two blocks are put together only if one of them has too few events by itself.
    fewest : int

    Returns
    -------
    (n,) int64
        The merged cell of each, 0 ... n_cells - 1.

    Examples
    --------
    >>> merged_cells(np.array([12, 4, 7, 3, 20, 1]), np.array([0, 0, 0, 0, 1, 1])).tolist()
    [0, 1, 1, 1, 2, 2]
    """
    counts, kept = np.asarray(events, dtype=np.float64), _whole_blocks(events, blocks, fewest)
    cell = np.zeros(counts.size, dtype=np.int64)
    total = 0.0
    for i in range(counts.size):
        fresh = i == 0 or kept[i] != kept[i - 1]
        left = counts[i:][kept[i:] == kept[i]].sum()
        opened = fresh or (total >= fewest and left >= fewest)
        cell[i] = 0 if i == 0 else cell[i - 1] + opened
        total = counts[i] if opened else total + counts[i]
    return cell


def _whole_blocks(events: Numbers, blocks: Numbers, fewest: int) -> Ints:
    """Blocks, one with too few events counting to the one before it, or to the next."""
    kept = np.unique(blocks, return_inverse=True)[1].astype(np.int64)
    for block in range(int(kept.max(initial=0)) + 1):
        here = kept == block
        if np.asarray(events)[here].sum() < fewest and not here.all():
            before, after = kept[kept < block], kept[kept > block]
            kept[here] = before.max() if before.size else after.min()
    return kept


def fit_return_hazard(at_risk: Numbers, returned: Numbers, terms: Floats) -> HazardFit:
    """Fit levels and terms by maximum likelihood.

    Parameters
    ----------
    at_risk, returned : (n_days, n_cells) number
        Each cell with some who return and some who do not.
    terms : (n_days, n_terms) float64
        x_t, without a constant.

    Raises
    ------
    ConvergenceError
        If a cell has no level, or the equations cannot be solved.

    Examples
    --------
    >>> returned, terms = np.array([[10], [19], [10], [19]]), np.array([[0.0], [1], [0], [1]])
    >>> fit = fit_return_hazard(np.full((4, 1), 100), returned, terms)
    >>> np.exp(fit.coefficients).round(3).tolist(), float(-np.expm1(-np.exp(fit.level[0])).round(3))
    ([2.0], 0.1)
    """
    n, y = np.asarray(at_risk, dtype=np.float64), np.asarray(returned, dtype=np.float64)
    share = y.sum(axis=0) / np.maximum(n.sum(axis=0), 1.0)
    if not ((share > 0) & (share < 1)).all():
        raise ConvergenceError("A cell from which nobody or everybody returned has no hazard. Put cells together.")
    level, b = np.log(-np.log1p(-share)), np.zeros(terms.shape[1])
    value = _log_likelihood(level, b, n, y, terms)
    for _ in range(_ROUNDS):
        score, weight = scores_and_weights(level[None, :] + (terms @ b)[:, None], n, y)
        by_cell = weight.sum(axis=0)
        centre, inverse = _without_levels(weight, by_cell, terms)
        gradient = score.sum(axis=1) @ terms - centre.T @ score.sum(axis=0)
        step = inverse @ gradient
        move = score.sum(axis=0) / by_cell - centre @ step
        gain = float(step @ gradient + (score.sum(axis=0) ** 2 / by_cell).sum())
        if gain <= 1e-14 * (1 + abs(value)):
            return HazardFit(level, b, terms, score, weight, centre, inverse)
        size = 1.0
        while True:
            found = _log_likelihood(level + size * move, b + size * step, n, y, terms)
            if found >= value - 1e-11 * (1 + abs(value)):
                break
            size /= 2
            if size < 1e-8:
                raise ConvergenceError("The hazard of return by weekday and trend cannot be fitted to these days.")
        level, b, value = level + size * move, b + size * step, found
    raise ConvergenceError(f"The hazard of return was not reached in {_ROUNDS} steps; are there days without users?")


def _log_likelihood(level: Floats, b: Floats, n: Floats, y: Floats, terms: Floats) -> float:
    mean = np.exp(np.clip(level[None, :] + (terms @ b)[:, None], _LOW, _HIGH))
    return float((y * np.log(-np.expm1(-mean)) - (n - y) * mean).sum())


def _without_levels(weight: Floats, by_cell: Floats, terms: Floats) -> tuple[Floats, Floats]:
    """Means of the terms by cell, and the inverse information of the terms with the levels profiled out."""
    centre = (weight.T @ terms) / by_cell[:, None]
    information = (terms * weight.sum(axis=1)[:, None]).T @ terms - (centre * by_cell[:, None]).T @ centre
    inverse: Floats = np.linalg.pinv(information, rcond=1e-10, hermitian=True)
    return centre, inverse


def common_shift(
    predictor: Floats, at_risk: Numbers, returned: Numbers, label: Ints, n_labels: int, *, fewest: float = np.inf
) -> Floats:
    """Return the shift of the predictor, common to all cells of all days with one label, of highest likelihood.

    Parameters
    ----------
    predictor, at_risk, returned : (n_days, n_cells)
    label : (n_days,) int
        0 ... n_labels - 1; days below 0 belong to none.
    fewest : float
        Where nobody (everybody) returned and at least so many were expected to (not to), half a return is added (taken
        away), spread over cells as expected: the shift of highest likelihood would be infinite.

    Returns
    -------
    (n_labels,) float64
        Null for other labels on whose days nobody or everybody returned.

    Examples
    --------
    >>> usual = np.log(-np.log(np.array([[0.9], [0.9]])))
    >>> found = common_shift(usual, np.full((2, 1), 100), np.array([[19], [0]]), np.array([0, 1]), 2)
    >>> np.exp(found).round(3).tolist()
    [2.0, nan]
    >>> found = common_shift(usual, np.full((2, 1), 100), np.array([[19], [0]]), np.array([0, 1]), 2, fewest=5)
    >>> np.exp(found).round(3).tolist()
    [2.0, 0.048]
    """
    used = label >= 0
    predictor, n, y, label = predictor[used], at_risk[used], returned[used], label[used]
    y, known = _held_inside(predictor, n, y, label, n_labels, fewest)
    shift = np.zeros(n_labels)
    for _ in range(_ROUNDS):
        score, weight = scores_and_weights(predictor + shift[label][:, None], n, y)
        slope = np.bincount(label, weights=weight.sum(axis=1), minlength=n_labels)
        step = np.bincount(label, weights=score.sum(axis=1), minlength=n_labels) / np.maximum(slope, 1e-300)
        step = np.clip(np.where(known, step, 0.0), -1.0, 1.0)
        shift = shift + step
        if np.abs(step).max(initial=0.0) < 1e-11:
            break
    return np.where(known, shift, np.nan)


def _held_inside(
    predictor: Floats, n: Numbers, y: Numbers, label: Ints, n_labels: int, fewest: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns, half a one added or taken away where a label has none or all; and which labels have a shift."""
    chance = -np.expm1(-np.exp(predictor))
    parts = (n, y, n * chance, n * (1 - chance))
    at_risk, returned, coming, staying = (
        np.bincount(label, weights=each.sum(axis=1), minlength=n_labels) for each in parts
    )
    none, every = (returned == 0) & (coming >= fewest), (returned == at_risk) & (staying >= fewest)
    half = 0.5 * (none / np.where(none, coming, 1.0))[label][:, None] * parts[2]
    less = 0.5 * (every / np.where(every, staying, 1.0))[label][:, None] * parts[3]
    return y + half - less, none | every | ((returned > 0) & (returned < at_risk))
