"""Time-dependent AUC: how often one who has churned by a day has a higher score than one who has not.

The churned are weighted by 1 / K(T-), the others by 1 / K(t-), the inverse probabilities of being known (Uno et al.
2007; Blanche, Dartigues and Jacqmin-Gadda 2013: cumulative cases, dynamic controls); equal scores count half. With F
the weighted share of the others below a score, and H that of the churned above it, the derivative in the weight of a
churned row is w (F(s) - AUC) / sum of w, in that of another w (H(s) - AUC) / sum of w, and to both comes what the row
does to K.

The mean over days gives each the share of churn between the day before and this one, by Kaplan and Meier (Lambert and
Chevret 2016); its standard error counts these shares too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.censoring import Followed, Seen, weighted_mean
from churnsurv.numerics.day_counts import read_only

__all__ = ["AUC", "auc"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AUC:
    """Area by day, (n_times,), NaN where nobody has churned or nobody is left; and the mean over these days.

    Attributes
    ----------
    estimate, std_error : (n_times,)
    churned_share : (n_times,)
        1 - S(time), by Kaplan and Meier.
    n_churned, n_left : (n_times,) int64
        Rows known to have churned, and not to have; by frequency.
    mean, mean_std_error : float
        NaN where there is no day with an area.
    """

    estimate: Floats
    std_error: Floats
    churned_share: Floats
    n_churned: NDArray[np.int64]
    n_left: NDArray[np.int64]
    mean: float
    mean_std_error: float


class _Order(NamedTuple):
    """Rows by score, and where in this order the stretch of equal scores begins and ends for each of them."""

    order: NDArray[np.intp]
    first: NDArray[np.int32] | None
    after: NDArray[np.int32] | None


def auc(rows: Followed, times: NDArray[Any], score: NDArray[Any] | Callable[[int], NDArray[Any]]) -> AUC:
    """Compare the scores of those who have churned by a day with those of the others.

    Parameters
    ----------
    rows : Followed
    times : (n_times,) number
        Ascending, none twice.
    score : (n,) number without NaN, or function
        Higher means sooner churn. A function takes the position of a day and returns the scores for it.

    Raises
    ------
    FollowUpError, InputError
        If what happened by a day cannot be known.

    Examples
    --------
    Two have churned by day 3; of four pairs the churned one is higher in two, and equal in one.

    >>> from churnsurv.numerics.censoring import followed
    >>> rows = followed(np.array([1, 2, 4, 4]), np.array([True, True, False, False]))
    >>> auc(rows, np.array([3]), np.array([5, 1, 1, 2])).estimate.tolist()
    [0.625]
    """
    m = times.shape[0]
    found, counts = np.full((3, m), np.nan), np.zeros((2, m), dtype=np.int64)
    fixed = None if callable(score) else _ordered(score)
    by_rank = None if fixed is None else rows.take(fixed.order)
    total, weight = np.zeros(rows.n), 0.0
    share_before, change_before = 0.0, np.zeros(rows.n)
    summed = 0.0
    for j in range(m):
        ranks, ranked = fixed, by_rank
        if ranks is None or ranked is None:
            ranks = _ordered(score(j) if callable(score) else score)
            ranked = rows.take(ranks.order)
        seen = ranked.at(float(times[j]))
        share = weighted_mean(ranked, seen, seen.churned.astype(np.float64))
        counts[:, j] = _counts(ranked, seen)
        found[2, j] = share.estimate
        if not 0 < share.estimate < 1:
            continue
        found[0, j], influence = _area(ranked, seen, ranks)
        found[1, j] = ranked.drawn.std_error(influence)
        change = share.influence
        if callable(score):
            influence, change = _back(influence, ranks.order), _back(change, ranks.order)
        step = share.estimate - share_before
        summed += step * found[0, j]
        total += step * influence + found[0, j] * (change - change_before)
        weight, share_before, change_before = share.estimate, share.estimate, change
    drawn = rows.drawn if by_rank is None else by_rank.drawn
    mean = summed / weight if weight > 0 else np.nan
    error = drawn.std_error((total - mean * change_before) / weight) if weight > 0 else np.nan
    read_only(found, counts)
    return AUC(found[0], found[1], found[2], counts[0], counts[1], mean, error)


def _ordered(score: NDArray[Any]) -> _Order:
    order = np.argsort(score, kind="stable" if score.dtype.kind in "iub" else None)
    ordered = score[order]
    new = ordered[1:] != ordered[:-1]
    if new.all():
        return _Order(order, None, None)
    edges = np.concatenate([[0], np.flatnonzero(new) + 1, [order.shape[0]]]).astype(np.int32)
    lengths = np.diff(edges)
    return _Order(order, np.repeat(edges[:-1], lengths), np.repeat(edges[1:], lengths))


def _back(values: Floats, order: NDArray[np.intp]) -> Floats:
    out = np.empty_like(values)
    out[order] = values
    return out


def _counts(rows: Followed, seen: Seen) -> tuple[int, int]:
    known = seen.weight > 0
    drawn = rows.drawn
    ones = drawn.weights if drawn.frequency and drawn.weights is not None else np.ones(rows.n)
    churned = float(ones[known & seen.churned].sum())
    return round(churned), round(float(ones[known].sum()) - churned)


def _below(weights: Floats, ranks: _Order) -> tuple[Floats, float]:
    """Weight below each row's score, half of what is equal, and all weight."""
    up_to = np.cumsum(weights)
    total = float(up_to[-1])
    if ranks.first is None or ranks.after is None:
        up_to -= 0.5 * weights
        return up_to, total
    running = np.append(0.0, up_to)
    return np.asarray(0.5 * (running[ranks.first] + running[ranks.after])), total


def _area(rows: Followed, seen: Seen, ranks: _Order) -> tuple[float, Floats]:
    """The area and its derivative; rows in the order of their scores."""
    of_churned = np.where(seen.churned, seen.weight, 0.0)
    of_left = seen.weight - of_churned
    left_below, n_left = _below(rows.drawn.times(of_left), ranks)
    churned_below, n_churned = _below(rows.drawn.times(of_churned), ranks)
    left_below /= n_left
    estimate = float(np.dot(rows.drawn.times(of_churned), left_below)) / n_churned
    influence = of_churned * (left_below - estimate) / n_churned
    influence += of_left * ((1 - estimate) - churned_below / n_churned) / n_left
    influence += rows.through(rows.drawn.times(influence), seen.place)
    return estimate, influence
