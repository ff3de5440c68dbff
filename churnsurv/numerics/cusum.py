"""Risk-adjusted CUSUM of daily counts, its limits by simulation of the fitted law, and how soon it finds a drop.

A day with m returns expected and binomial variance V is matched by a binomial count of size N = m / P and chance
P = 1 - V / m. Under a hazard of r times the expected one the log likelihood ratio of the day is

    l = [y log r + (N - y) log((1 - r P) / (1 - P))] / phi,

phi the variance of the day over V (quasi-likelihood, Wedderburn 1974), and the chart is S_t = max(0, S_(t-1) + l_t)
(Page 1954; risk-adjusted: Steiner, Cook, Farewell and Treasure 2000). An excursion from 0 that passes the limit is an
alarm; it is over when S is back at 0. S is held at twice the limit, so that an end is noticed too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_noise import DayNoise, NoiseLaws

__all__ = [
    "Chart", "DailyLaw", "chart", "cusum_limit", "day_scores", "days_to_alarm", "excursions",
    "is_extrapolated", "rise_scores",
]  # fmt: skip

Floats: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = NDArray[Any]

YEAR = 365
#: Above the limit S is held at so many limits.
_HELD = 2.0
_LONGEST = 180
_LOWEST = float(np.log(20))
#: With fewer peaks above a limit its place among them says too little; so many tell the tail.
_FEWEST_PEAKS, _TAIL_PEAKS = 10, 40


@dataclass(frozen=True, slots=True, eq=False)
class DailyLaw:
    """The law of the counts of coming days.

    Attributes
    ----------
    mean, variance : (n_days,) float64
        Of consecutive days, which are repeated as often as needed: expected returns and binomial variance.
    noise : NoiseLaws
    level_error : float
        Variance of the log expected counts from their estimation, the same for all days of a year.
    """

    mean: Floats
    variance: Floats
    noise: NoiseLaws
    level_error: float


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A chart of n days.

    Attributes
    ----------
    score : (n_days,) float64
        S at the end of each day.
    alarm : (n_days,) bool
        Whether an alarm is open.
    """

    score: Floats
    alarm: NDArray[np.bool_]


def day_scores(observed: Numbers, mean: Floats, variance: Floats, noise: DayNoise, ratio: float) -> Floats:
    """Return the log likelihood ratio of each day under a hazard of `ratio` times the expected one.

    Parameters
    ----------
    observed : (..., n_days) number
    mean, variance : (n_days,) float64
    noise : DayNoise
    ratio : float
        Below 1.

    Examples
    --------
    >>> calm = DayNoise(0.0, 0.0, 0.0)
    >>> day_scores(np.array([100, 80]), np.array([100.0, 100.0]), np.array([90.0, 90.0]), calm, 0.8).round(2).tolist()
    [-2.53, 2.37]
    """
    constant, slope, size = _line(mean, variance, noise, ratio)
    scores: Floats = constant + slope * np.minimum(observed, size)
    return scores


def rise_scores(observed: Numbers, mean: Floats, variance: Floats, noise: DayNoise, ratio: float) -> Floats:
    """Return the log likelihood ratio of each day under a hazard of 1 / `ratio` times the expected one.

    A day adds no more than a day without a return would to the chart of drops: one day is no lasting rise.

    Parameters
    ----------
    observed : (n_days,) number
    mean, variance : (n_days,) float64
    noise : DayNoise
    ratio : float
        Below 1.

    Examples
    --------
    >>> calm = DayNoise(0.0, 0.0, 0.0)
    >>> rise_scores(np.array([100, 125, 900]), np.full(3, 100.0), np.full(3, 99.0), calm, 0.8).round(2).tolist()
    [-2.72, 2.92, 20.18]
    """
    most, _, _ = _line(mean, variance, noise, ratio)
    phi = 1 + noise.of_a_day() * mean**2 / np.maximum(variance, 1e-12)
    size, chance = _matched(mean, variance)
    more = np.minimum(chance / ratio, (1 + chance) / 2)
    here = np.minimum(observed, size)
    rise = (here * np.log(more / chance) + (size - here) * np.log((1 - more) / (1 - chance))) / phi
    return np.where(mean > 0, np.minimum(rise, most), 0.0)


def _line(mean: Floats, variance: Floats, noise: DayNoise, ratio: float) -> tuple[Floats, Floats, Floats]:
    """The score as a line in the count: constant, slope and the highest count, each (n_days,)."""
    size, chance = _matched(mean, variance)
    odds = np.log((1 - ratio * chance) / (1 - chance))
    phi = 1 + noise.of_a_day() * mean**2 / np.maximum(variance, 1e-12)
    return size * odds / phi, np.where(mean > 0, (np.log(ratio) - odds) / phi, 0.0), size


def _matched(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Size and chance of the binomial count with this mean and variance."""
    share = np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0)
    chance = np.clip(1 - share, 1e-4, 0.99)
    return mean / chance, chance


def chart(scores: Floats, limit: Floats, *, start: float = 0.0, alarmed: bool = False) -> Chart:
    """Add up the scores of days.

    Parameters
    ----------
    scores, limit : (n_days,) float64
    start : float
        S before the first day.
    alarmed : bool
        Whether an alarm is open then.

    Examples
    --------
    >>> found = chart(np.array([1.0, 3, 2, -4, -9, 3]), np.full(6, 5.0))
    >>> found.score.tolist(), found.alarm.tolist()
    ([1.0, 4.0, 6.0, 2.0, 0.0, 3.0], [False, False, True, True, False, False])
    """
    score, alarm = np.zeros(scores.size), np.zeros(scores.size, dtype=bool)
    level, is_open = start, alarmed
    for day, (each, bound) in enumerate(zip(scores, limit, strict=True)):
        level = min(max(0.0, level + each), _HELD * bound)
        is_open = (is_open and level > 0) or level > bound
        score[day], alarm[day] = level, is_open
    return Chart(score, alarm)


def _paths(law: DailyLaw, rng: np.random.Generator, n_years: int, n_days: int, *, ratio: float, drop: float) -> Floats:
    """The chart for a drop to `drop` on days whose hazard is `ratio` times the expected one: (n_years, n_days)."""
    place = np.arange(n_days) % law.mean.size
    white, slow, hold = law.noise.laws[rng.choice(law.noise.weight.size, n_years, p=law.noise.weight)].T[:, :, None]
    level = np.sqrt(law.level_error) * rng.standard_normal((n_years, 1)) - (law.level_error + white + slow) / 2
    special = np.sqrt(white) * rng.standard_normal((n_years, n_days))
    lasting = rng.standard_normal((n_years, n_days))
    for day in range(1, n_days):
        lasting[:, day] = hold[:, 0] * lasting[:, day - 1] + np.sqrt(1 - hold[:, 0] ** 2) * lasting[:, day]
    factor = level + special + np.sqrt(slow) * lasting
    size, _ = _matched(law.mean, law.variance)
    whole = np.maximum(np.rint(size), 1).astype(np.int64)
    chance = np.minimum((ratio * law.mean / whole)[place] * np.exp(factor), 0.9999)
    constant, slope, _ = _line(law.mean, law.variance, law.noise.mean, drop)
    total = (constant[place] + slope[place] * rng.binomial(whole[place], chance)).cumsum(axis=1)
    # A sum that is held at 0 from below is the sum less its lowest value so far (Page 1954).
    path: Floats = total - np.minimum(np.minimum.accumulate(total, axis=1), 0.0)
    return path


def excursions(law: DailyLaw, *, ratio: float, rng: np.random.Generator, n_years: int) -> Floats:
    """Simulate years in which nothing changes, and return how high each excursion of the chart from 0 went.

    Parameters
    ----------
    law : DailyLaw
    ratio : float
        The drop that the chart is made for, as a ratio of hazards.
    rng : Generator
    n_years : int

    Returns
    -------
    (n_excursions,) float64
        Falling.
    """
    path = _paths(law, rng, n_years, YEAR, ratio=1.0, drop=ratio)
    starts = path == 0
    starts[:, 0] = True
    peaks = np.maximum.reduceat(path.ravel(), np.flatnonzero(starts.ravel()))
    return np.sort(peaks[peaks > 0])[::-1]


def cusum_limit(peaks: Floats, *, n_years: int, false_alarms: float) -> float:
    """Return the limit that so many excursions a year pass, on average.

    Parameters
    ----------
    peaks : (n_excursions,) float64
        Of `excursions`, falling.
    n_years : int
    false_alarms : float
        A year.

    Notes
    -----
    With m = false_alarms x n_years the m-th highest peak is taken, which less than m pass; but not less than log 20, a
    likelihood ratio of 20. Where counts are so large that a single day settles it, a lower limit would hang on the far
    tail of the fitted law, and would find a drop no sooner. With m below 10 the limit is where an exponential tail,
    fitted to the 40 highest peaks, is passed m times: peaks of a CUSUM have such tails (Siegmund 1985).

    Examples
    --------
    >>> cusum_limit(np.array([9.0, 7.0, 4.0, 2.0]), n_years=4, false_alarms=0.5)
    7.0
    """
    wanted = false_alarms * n_years
    place = int(np.floor(wanted))
    if wanted >= _FEWEST_PEAKS or peaks.size < _TAIL_PEAKS:
        found = float(peaks[max(place, 1) - 1]) if max(place, 1) <= peaks.size else 0.0
        return max(found, _LOWEST)
    tail = peaks[:_TAIL_PEAKS]
    found = float(tail[-1] + (tail.mean() - tail[-1]) * np.log(_TAIL_PEAKS / wanted))
    return max(found, _LOWEST)


def is_extrapolated(*, n_years: int, false_alarms: float) -> bool:
    """Whether `cusum_limit` goes beyond what simulated years show.

    Examples
    --------
    >>> is_extrapolated(n_years=500, false_alarms=0.1), is_extrapolated(n_years=500, false_alarms=0.001)
    (False, True)
    """
    return false_alarms * n_years < _FEWEST_PEAKS


def days_to_alarm(law: DailyLaw, *, ratio: float, limit: float, rng: np.random.Generator, n_years: int) -> Floats:
    """Simulate a drop to `ratio` from a chart at 0, and return the days to the alarm; infinite beyond 180.

    Examples
    --------
    >>> calm = NoiseLaws(np.zeros((1, 3)), np.ones(1), DayNoise(0.0, 0.0, 0.0), lasts=False)
    >>> law = DailyLaw(np.full(7, 400.0), np.full(7, 360.0), calm, 0.0)
    >>> found = days_to_alarm(law, ratio=0.8, limit=6.0, rng=np.random.default_rng(1), n_years=200)
    >>> float(np.median(found)), bool(found.max() <= 4)
    (1.0, True)
    """
    over = _paths(law, rng, n_years, _LONGEST, ratio=ratio, drop=ratio) > limit
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1.0, np.inf)
