"""Piecewise-constant hazards: the days on which the hazard changes.

On day t, d_t of the n_t at risk end, each with probability p_t, independently given the past: a product of binomial
likelihoods. A segmentation cuts the days into runs of one p each; its maximal log-likelihood is a sum over segments,

    cost(a, b) = D log(D / N) + (N - D) log(1 - D / N),      D, N the sums of d and n over days a ... b,

so that the best segmentation into k segments is found exactly, among all of them, by dynamic programming: the best of
k - 1 segments up to a day, plus one segment after it (Fisher 1958; Bellman 1961). With the same table from the other
end, the best likelihood of any segmentation whose j-th change falls on a stated day is a sum of two entries: the exact
profile of that change day.

The number of segments minimises -2 log L / f + (2 k - 1) log(events / f): k hazards and k - 1 change days, counted in
events since these, not person-days, carry the information (Volinsky and Raftery 2000). f is a dispersion: 1 where users
have one row each, else how much larger the variance between users is than the binomial one.

Two days a, b of change differ in likelihood by a maximum of two random walks, whose limit, where a change is small
against its error, is P(2 (log L_max - log L(true day)) <= x) = (1 - exp(-x / 2))^2 (Hansen 2000 for thresholds; Yao
1987 for the process). Days within that quantile, 7.35 at 95 %, are the confidence set; large changes make it
conservative, as days are whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only

__all__ = ["Segmentation", "change_quantile", "segment_costs", "segmentations"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_IMPOSSIBLE = -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The best segmentation into each number of segments.

    Attributes
    ----------
    log_likelihood : (most,) float64
        Of 1 ... most segments.
    starts : tuple of (k,) int64
        Positions of the first day of each segment, of 1 ... most segments.
    before, after : (most, n_days) float64
        Best log-likelihood of j + 1 segments on the days up to and with a day, and from it on.
    """

    log_likelihood: Floats
    starts: tuple[Ints, ...]
    before: Floats
    after: Floats

    def chosen(self, events: float, dispersion: float = 1.0) -> int:
        """Return the number of segments with the lowest information criterion, the smallest of equals.

        Examples
        --------
        >>> found = segmentations(np.array([1.0, 1, 90, 90]), np.full(4, 1000.0), most=3)
        >>> found.chosen(182), found.starts[1].tolist()
        (2, [0, 2])
        """
        return int(np.argmin(self.criterion(events, dispersion))) + 1

    def criterion(self, events: float, dispersion: float = 1.0) -> Floats:
        """-2 log L / dispersion + (2 k - 1) log(events / dispersion) of each number of segments."""
        k = np.arange(1, self.log_likelihood.size + 1)
        price = np.log(max(events / dispersion, np.e))
        return np.asarray(-2 * self.log_likelihood / dispersion + (2 * k - 1) * price)

    def profile(self, k: int, change: int) -> Floats:
        """Log-likelihood of k segments of which the given change (0 ... k - 2) falls on each day, (n_days,).

        The day is the first one of the later segment; -inf where that is impossible.

        Examples
        --------
        >>> found = segmentations(np.array([1.0, 1, 90, 90]), np.full(4, 1000.0), most=2)
        >>> int(np.argmax(found.profile(2, 0)))
        2
        """
        found = np.full(self.before.shape[1], _IMPOSSIBLE)
        found[1:] = self.before[change, :-1] + self.after[k - 2 - change, 1:]
        return found


def segment_costs(events: Floats, at_risk: Floats) -> Floats:
    """Maximal log-likelihood of one hazard on days a ... b, (n_days, n_days); -inf below the diagonal.

    Examples
    --------
    >>> segment_costs(np.array([1.0, 0.0]), np.array([2.0, 2.0])).round(4).tolist()
    [[-1.3863, -2.2493], [-inf, 0.0]]
    """
    d, n = (np.append(0.0, np.cumsum(each)) for each in (events, at_risk))
    days = events.size
    cost = np.full((days, days), _IMPOSSIBLE)
    a, b = np.triu_indices(days)
    D, N = d[b + 1] - d[a], n[b + 1] - n[a]
    cost[a, b] = _times_log(D) + _times_log(N - D) - _times_log(N)
    return cost


def segmentations(events: Floats, at_risk: Floats, *, most: int) -> Segmentation:
    """Find the best segmentations into 1 ... most segments, each of one day at least.

    Parameters
    ----------
    events, at_risk : (n_days,) float64
        By day; somebody is at risk on each of them, and no more end than are at risk.
    most : int
        At most n_days.

    Notes
    -----
    O(n_days^2) likelihoods and O(most n_days^2) additions. Of equally likely segmentations the one with the earliest
    last change is taken.

    Examples
    --------
    >>> found = segmentations(np.array([0.0, 30, 5, 5]), np.full(4, 100.0), most=4)
    >>> [each.tolist() for each in found.starts]
    [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    """
    cost = segment_costs(events, at_risk)
    days = events.size
    before = np.full((most, days), _IMPOSSIBLE)
    after = np.full((most, days), _IMPOSSIBLE)
    back = np.zeros((most, days), dtype=np.int64)
    before[0], after[0] = cost[0], cost[:, -1]
    for k in range(1, most):
        joined = before[k - 1, :-1, None] + cost[1:]  # the last segment begins after day a, and ends on day b
        back[k] = np.argmax(joined, axis=0) + 1
        before[k] = joined.max(axis=0)
        after[k, :-1] = np.max(cost[:-1, :-1] + after[k - 1, 1:], axis=1)
    starts = []
    for k in range(most):
        first, end = [], days - 1
        for j in range(k, 0, -1):
            first.append(int(back[j, end]))
            end = first[-1] - 1
        starts.append(np.array([0, *first[::-1]], dtype=np.int64))
    likelihood = before[:, -1].copy()
    read_only(likelihood, before, after, *starts)
    return Segmentation(likelihood, tuple(starts), before, after)


def change_quantile(level: float) -> float:
    """How much less likely (in 2 log L) than the best day a change day may be and still be in the confidence set.

    Examples
    --------
    >>> round(change_quantile(0.95), 2)
    7.35
    """
    return float(-2 * np.log1p(-np.sqrt(level)))


def _times_log(x: Floats) -> Floats:
    """Return x log x, 0 at 0; sums of whole numbers are exact, but rounding may leave a trifle below 0."""
    found = np.maximum(x, 0.0)
    np.multiply(found, np.log(np.where(found > 0, found, 1.0)), out=found)
    return found
