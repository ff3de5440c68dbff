"""Limits of a mean, or a difference of means, of amounts: skewed, with many zeros.

An estimate is moved by each user by v_i, with sum zero and variance sum of v_i^2 (influences). Its studentised error
t = (estimate - truth) / std_error is not normal where amounts are skewed: large amounts come with large standard
errors. Its law is taken from resamples of the users within each arm (Efron 1979; Hall 1988): with counts c_i,

    t* = sum c_i v_i / sqrt( sum c_i v_i^2 - sum over arms of (sum c_i v_i)^2 / n_arm ),
    limits  estimate - std_error t*(1 - alpha/2),  estimate - std_error t*(alpha/2).

and of the normal limits the outer ones are taken: where arms are alike, their skewness cancels and normal limits are
right, while that of the sample is noise which bootstrap-t follows; where a hold-out is small it does not cancel, and
normal limits miss on one side. The p-value goes with them: the larger of the two. With s = sum v_i^3 / (sum
v_i^2)^(3/2), the law of t is to the next order that of a normal quantile z moved to z - s (2 z^2 + 1) / 6 (Hall 1992,
section 3.3). Where that moves the limits by less than a fiftieth of a standard error the law is taken as normal; where
there are too many users to resample, as the moved one, which resamples tend to.

Users with the same influence (those who brought nothing and were followed equally long) are drawn as one multinomial
class. No limits hold where a few users make up most of the variance: `largest` says how much one of them does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from churnsurv.errors import InputError

__all__ = ["StudentLaw", "student_law"]

Floats: TypeAlias = NDArray[np.float64]

_LITTLE = 0.02  # standard errors by which skewness may move a limit unnoticed
_MOST = 10_000  # distinct influences of an arm that are resampled
_COMPRESSED = 8  # users for each distinct influence, from which on classes are drawn
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class StudentLaw:
    """The law of (estimate - truth) / std_error.

    Attributes
    ----------
    low, high : float
        Its quantiles at (1 - level) / 2 and (1 + level) / 2, or the normal ones where they are further out.
    p_value : float
        Two-sided, of no effect; NaN where the standard error is 0. No smaller than 2 / (draws + 1) with resamples.
    how : {"bootstrap-t", "normal", "skewness"}
    skewness : float
        s, in the units of the standard error: 0 for a normal law.
    largest : float
        Share of the variance that a single user, or cluster, makes up at most.
    """

    low: float
    high: float
    p_value: float
    how: Literal["bootstrap-t", "normal", "skewness"]
    skewness: float
    largest: float


def student_law(
    influence: Floats,
    group: NDArray[np.integer[Any]],
    *,
    estimate: float,
    std_error: float,
    level: float,
    draws: int = 1999,
    seed: int = 0,
) -> StudentLaw:
    """Find the law of a studentised estimate from what users move it by.

    Parameters
    ----------
    influence : (n,) float64
        Of users, or sums over clusters.
    group : (n,) integer
        The arm: users are resampled within it.
    estimate, std_error : float
    level : float
    draws : int
        Resamples.
    seed : int

    Examples
    --------
    Amounts with a long right tail: the truth may lie further above the estimate than below.

    >>> amount = np.exp(2 * np.random.default_rng(1).standard_normal(200))
    >>> v = (amount - amount.mean()) / 200
    >>> law = student_law(v, np.zeros(200, dtype=int), estimate=0.0, std_error=1.0, level=0.95)
    >>> law.how, law.low < -2.3, round(law.high, 2)
    ('bootstrap-t', True, 1.96)
    """
    if draws < 99:
        raise InputError(f"draws must be at least 99, for limits to rest on some; it is {draws!r}.")
    variance = float(influence @ influence)
    if not (variance > 0 and std_error > 0 and np.isfinite(std_error)):
        return StudentLaw(np.nan, np.nan, np.nan, "normal", np.nan, np.nan)
    s = float(np.sum(influence**3)) / variance**1.5
    largest = float(np.max(influence**2)) / variance
    z = float(ndtri(0.5 + level / 2))
    t = estimate / std_error
    normal = 2 * float(ndtr(-abs(t)))
    moved = s * (2 * z * z + 1) / 6
    if abs(moved) < _LITTLE:
        return StudentLaw(-z, z, normal, "normal", s, largest)
    classes = [_classes(influence[group == a]) for a in np.unique(group)]
    if max(each[0].shape[0] for each in classes) > _MOST:
        p_value = max(normal, _moved_p_value(t, s))
        return StudentLaw(min(-z, -z - moved), max(z, z - moved), p_value, "skewness", s, largest)
    law = np.sort(_resampled(classes, draws, np.random.default_rng([seed, 9])))
    rank = (draws + 1) * (1 - level) / 2
    low, high = _order_statistic(law, rank), _order_statistic(law, draws + 1 - rank)
    above, below = int(np.sum(law >= t)), int(np.sum(law <= t))
    p_value = max(normal, min(1.0, 2 * (min(above, below) + 1) / (draws + 1)))
    return StudentLaw(min(low, -z), max(high, z), p_value, "bootstrap-t", s, largest)


def _order_statistic(law: Floats, rank: float) -> float:
    """The value of a rank among sorted ones, ranks from 1; between two, on the line."""
    return float(np.interp(rank, np.arange(1, law.shape[0] + 1), law))


def _moved_p_value(t: float, s: float) -> float:
    """Two-sided, by P(T <= x) = Phi(x + s (2 x^2 + 1) / 6), which rises in x near the middle alone."""
    if s == 0:
        return 2 * float(ndtr(-abs(t)))
    turn = -1.5 / s  # where the polynomial turns
    x = min(t, turn) if turn > 0 else max(t, turn)
    below = float(ndtr(x + s * (2 * x * x + 1) / 6))
    return min(1.0, 2 * min(below, 1 - below))


def _classes(values: Floats) -> tuple[Floats, NDArray[np.int64] | None, int]:
    """Distinct influences with their numbers where that is a win, else all of them."""
    distinct, number = np.unique(values, return_counts=True)
    if distinct.shape[0] * _COMPRESSED <= values.shape[0]:
        return distinct, number, values.shape[0]
    return values, None, values.shape[0]


def _resampled(
    classes: list[tuple[Floats, NDArray[np.int64] | None, int]], draws: int, rng: np.random.Generator
) -> Floats:
    """t* of each resample; 0 where a resample has no spread."""
    moved, spread = np.zeros(draws), np.zeros(draws)
    for values, number, n in classes:
        first, second = np.empty(draws), np.empty(draws)
        block = max(1, _BLOCK // values.shape[0])
        for start in range(0, draws, block):
            part = slice(start, min(start + block, draws))
            size = part.stop - part.start
            if number is None:
                drawn = values[rng.integers(0, n, size=(size, n))]
                first[part], second[part] = drawn.sum(axis=1), np.einsum("ij,ij->i", drawn, drawn)
            else:
                counts = rng.multinomial(n, number / n, size=size).astype(np.float64)
                first[part], second[part] = counts @ values, counts @ values**2
        moved += first
        spread += second - first**2 / n
    found: Floats = np.divide(moved, np.sqrt(np.maximum(spread, 0.0)), out=np.zeros(draws), where=spread > 0)
    return found
