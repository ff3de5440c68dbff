"""Effects of a date on daily counts, where all counts of a day share what is special about it.

The hazards of return are learnt on reference days before the date (`return_hazard`), and what follows is compared with
what they let expect. Each statistic is linear in the scores s_tc of all days to first order,

    T - E T = sum_tc a_tc s_tc,

with a of the days judged and, from the estimated levels and terms, a of the reference days. If log hazards of day t are
moved by u_t in all cells, s_tc moves by w_tc u_t, so that

    var T = sum a_tc^2 w_tc + sum_ts e_t G_ts e_s,     e_t = sum_c a_tc w_tc,

G the covariance of u: `white` on the diagonal and, where days hang together, slow rho^|t - s|. The first sum is chance,
the second what days have of their own. With few days after the date a sandwich over days knows no more than the scatter
within a window, which a window of its own has been fitted to: its variance falls with the number of days judged, and is
0 for one day (MacKinnon and Webb 2017 on few treated clusters). Here the variance of a day comes from the reference
days, by moments: of theta_t = sum_c s_tc / sum_c w_tc it is white + 1 / w_t, and each day weighs by the inverse of
that (Paule and Mandel 1982). Limits are Student's, with the degrees of freedom of those days, as in Donald and Lang
(2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_noise import DayNoise
from churnsurv.numerics.lasting_noise import lasting_noise
from churnsurv.numerics.return_hazard import HazardFit, scores_and_weights

__all__ = [
    "DayStatistics",
    "limits_of",
    "missed_returns",
    "noise_of_days",
    "p_value_of",
    "reference_noise",
    "shift_statistics",
    "student_quantile",
    "variance_of",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = NDArray[Any]

#: The variance of a day is at least this share of that of chance: estimates may fall below it, by chance or since users
#: of a cell differ, but not by much.
_LEAST = 0.25
_ROUNDS = 30


@dataclass(frozen=True, slots=True, eq=False)
class DayStatistics:
    """Estimates with what chance and days do to them.

    Attributes
    ----------
    estimate : (k,) float64
    chance : (k, k) float64
        Covariance if days had nothing of their own.
    exposure : (k, n_days) float64
        e_t.
    """

    estimate: Floats
    chance: Floats
    exposure: Floats

    def combined(self, weights: Floats) -> DayStatistics:
        """Return linear combinations: weights of shape (m, k)."""
        return DayStatistics(weights @ self.estimate, weights @ self.chance @ weights.T, weights @ self.exposure)


def noise_of_days(theta: Floats, own: Floats, *, n_terms: int) -> DayNoise:
    """Estimate what days have of their own, from what is left of consecutive days.

    Parameters
    ----------
    theta : (n_days,) float64
        Log ratio of what was observed to what was expected, null for days that do not count.
    own : (n_days,) float64
        Its variance by chance.
    n_terms : int
        Coefficients, the constant included, that are the same for all cells.

    Returns
    -------
    DayNoise
        `white` may lie below 0.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = noise_of_days(rng.normal(0, 0.1, 400), np.full(400, 0.0036), n_terms=1)
    >>> round(found.white, 4), found.rho
    (0.0048, 0.0)
    """
    known = np.isfinite(theta)
    lasting = lasting_noise(theta, own, n_terms=n_terms)
    if lasting is not None:
        return lasting
    n = int(known.sum())
    square, chance, white = theta[known] ** 2 * n / max(n - n_terms, 1), own[known], 0.0
    for _ in range(_ROUNDS):
        # Days of few users, such as the first ones of a channel, say little of what days have of their own.
        weight = 1 / (chance + max(white, 0.0))
        weight /= weight.sum()
        by_chance = float(weight @ chance)
        white = max(float(weight @ square), _LEAST * by_chance) - by_chance
    return DayNoise(white, 0.0, 0.0)


def reference_noise(fit: HazardFit, place: Ints) -> DayNoise:
    """Estimate what reference days have of their own.

    Parameters
    ----------
    fit : HazardFit
    place : (n_reference,) int
        Positions of the reference days in time; days between them do not count.
    """
    by_day = fit.weight.sum(axis=1)
    theta = np.full(int(place.max()) - int(place.min()) + 1, np.nan)
    own = np.full(theta.size, float((1 / by_day).mean()))
    theta[place - place.min()], own[place - place.min()] = fit.score.sum(axis=1) / by_day, 1 / by_day
    return noise_of_days(theta, own, n_terms=1 + int(np.linalg.matrix_rank(fit.inverse)))


def variance_of(found: DayStatistics, noise: DayNoise, day: Ints) -> Floats:
    """Return the covariance of the estimates: (k, k).

    Parameters
    ----------
    found : DayStatistics
    noise : DayNoise
    day : (n_days,) int
        Numbers of the days, in the order of `exposure`.
    """
    total = found.chance + noise.white * (found.exposure @ found.exposure.T)
    if noise.slow > 0:
        apart = np.abs(day[:, None] - day[None, :])
        total = total + noise.slow * (found.exposure @ (noise.rho**apart) @ found.exposure.T)
    floor = _LEAST * np.diag(found.chance)
    held: Floats = total + np.diag(np.maximum(floor - np.diag(total), 0.0))
    return held


def shift_statistics(
    fit: HazardFit,
    predictor: Floats,
    cells: Ints,
    terms: Floats,
    label: Ints,
    shift: Floats,
    at_risk: Numbers,
    *,
    halved: NDArray[np.bool_] | None = None,
) -> DayStatistics:
    """Say how sure common shifts of the predictor are.

    Parameters
    ----------
    fit : HazardFit
        Of the reference days.
    predictor : (n_days, n) float64
        Of the days judged, as expected.
    cells : (n,) int
        The cell of the fit that each column belongs to.
    terms : (n_days, n_terms) float64
        Of the days judged.
    label : (n_days,) int
        The label of each day; below 0 for none.
    shift : (k,) float64
        From `common_shift`.
    at_risk : (n_days, n)
    halved : (k,) bool, optional
        Shifts of half a return (`common_shift`). They count as sure as those of a whole one: where chance is all, 95 %
        limits then end at .5 exp(1.96) = 3.55 returns, the exact ones of none at 3.69.

    Returns
    -------
    DayStatistics
        Days are those of the reference, then those judged.
    """
    known = np.where(np.isfinite(shift), shift, 0.0)
    moved = predictor + np.where(label >= 0, known[np.maximum(label, 0)], 0.0)[:, None]
    _, weight = scores_and_weights(moved, at_risk, np.zeros_like(at_risk))
    pick = (label[None, :] == np.arange(shift.size)[:, None]).astype(np.float64)
    by_day = weight.sum(axis=1)
    total = np.maximum(pick @ by_day, 1e-300)
    level = -(pick @ _by_cell(weight, cells, fit.level.size)) / total[:, None]
    slope = -((pick * by_day) @ terms) / total[:, None]
    chance, reference = _from_reference(fit, level, slope)
    information = total if halved is None else np.where(halved, 2 * total, total)
    return DayStatistics(
        shift, chance + np.diag(1 / information), np.column_stack([reference, pick * by_day / total[:, None]])
    )


def missed_returns(
    fit: HazardFit,
    predictor: Floats,
    cells: Ints,
    terms: Floats,
    shift: Floats,
    at_risk: Numbers,
    returned: Numbers,
    values: Floats,
) -> DayStatistics:
    """Weigh the returns that were expected and did not come: sum of v (n p - y).

    Parameters
    ----------
    fit, predictor, cells, terms, at_risk
        As in `shift_statistics`.
    shift : (n_days,) float64
        By which the predictor of each day was moved, for the variance.
    returned : (n_days, n)
    values : (k, n_days, n) float64
        v: what a return of each cell counts.

    Returns
    -------
    DayStatistics
    """
    mean = np.exp(predictor)
    expected = at_risk * -np.expm1(-mean)
    estimate = np.einsum("ktc,tc->k", values, expected - returned)
    moved = np.exp(predictor + np.where(np.isfinite(shift), shift, 0.0)[:, None])
    _, weight = scores_and_weights(np.log(moved), at_risk, np.zeros_like(at_risk))
    own = -values * (-np.expm1(-moved) / moved)
    slope = values * (at_risk * mean * np.exp(-mean))
    level = np.stack([_by_cell(each, cells, fit.level.size).sum(axis=0) for each in slope])
    chance, reference = _from_reference(fit, level, slope.sum(axis=2) @ terms)
    chance = chance + np.einsum("ktc,ltc,tc->kl", own, own, weight)
    return DayStatistics(estimate, chance, np.column_stack([reference, np.einsum("ktc,tc->kt", own, weight)]))


def _by_cell(values: Floats, cells: Ints, n_cells: int) -> Floats:
    """Sums of columns that belong to one cell: (n_days, n_cells)."""
    found = np.zeros((values.shape[0], n_cells))
    np.add.at(found.T, cells, values.T)
    return found


def _from_reference(fit: HazardFit, level: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """What the error of the fit does to statistics whose derivatives in levels and coefficients are given.

    Returns the covariance by chance, and the exposure to each reference day.
    """
    by_cell = fit.weight.sum(axis=0)
    q = (slope - level @ fit.centre) @ fit.inverse
    shares = level / by_cell
    chance = q @ np.linalg.pinv(fit.inverse, rcond=1e-10, hermitian=True) @ q.T + shares @ level.T
    away = (fit.terms @ q.T) * fit.weight.sum(axis=1)[:, None] - fit.weight @ (fit.centre @ q.T)
    exposure: Floats = (away + fit.weight @ shares.T).T
    return chance, exposure


def student_quantile(level: float, df: float) -> float:
    """Return the quantile that two-sided limits of this level need.

    Examples
    --------
    >>> round(student_quantile(0.95, 48), 3)
    2.011
    """
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))


def p_value_of(statistic: Floats, df: float) -> Floats:
    """Return two-sided p-values of Student's law.

    Examples
    --------
    >>> p_value_of(np.array([0.0, 2.011]), 48).round(3).tolist()
    [1.0, 0.05]
    """
    from scipy.special import stdtr

    found: Floats = 2 * stdtr(df, -np.abs(statistic))
    return found


def limits_of(estimate: Floats, std_error: Floats, *, level: float, df: float) -> tuple[Floats, Floats]:
    """Return Student's limits.

    Examples
    --------
    >>> [each.round(2).tolist() for each in limits_of(np.array([1.0]), np.array([0.5]), level=0.95, df=48)]
    [[-0.01], [2.01]]
    """
    width = student_quantile(level, df) * std_error
    return estimate - width, estimate + width
