"""Reasons that are known for a part of the events: the chances of each, if what is missing is missing at random by day.

Each event counts for cause k with the share pi_k(t) of k among the events of its day whose cause is known; on a day
without any, among those of the nearest days that have some, of both sides if they are equally near. Then

    F_k(t) = sum over s <= t of S(s-) d(s)/Y(s) pi_k(s),      and the F_k and S sum to one again.

The variance has two parts that are uncorrelated if causes are missing at random: that of the events, for given shares
(infinitesimal jackknife), and that of the shares, in which a known event of day s with cause j moves F_k(t) by

    sum over the days u <= t that take their shares from s of  S(u-) d(u)/Y(u) (1{j = k} - pi_k(u)) / known(u).

A share of one or two events is no measure of its own spread: in the variance pi_k is the share among the 20 or more
known events around the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.competing import (
    AalenJohansen,
    CauseCounts,
    CauseRows,
    aalen_johansen,
)
from churnsurv.numerics.incidence_variance import jackknife_variance
from churnsurv.numerics.risk_sets import running_sums

__all__ = ["AtRandom", "missing_at_random"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_AROUND = 20  # known events from which the variance takes the share of a cause


@dataclass(frozen=True, slots=True, eq=False)
class AtRandom:
    """Incidence of one cause if unknown ones are missing at random by day; (n_times,) each, NaN where none is known."""

    incidence: Floats
    variance: Floats


def missing_at_random(counts: CauseCounts, rows: CauseRows, *, cause: int, unknown: int) -> AtRandom:
    """Share the events of unknown cause out by day.

    Parameters
    ----------
    counts : CauseCounts
    rows : CauseRows
        Of the same group, needed with entries or clusters. The variance of the shares takes rows as independent.
    cause, unknown : int
        Positions among the causes counted, from 0.

    Examples
    --------
    Two known events on day 1, one of each cause; one of unknown cause counts half.

    >>> from churnsurv.numerics.competing import cause_counts
    >>> rows = CauseRows(np.array([1, 1, 1, 2]), np.array([1, 2, 3, 0]))
    >>> missing_at_random(cause_counts(rows, n_causes=3)[0], rows, cause=0, unknown=2).incidence.tolist()
    [0.375, 0.375]
    """
    d = counts.events.sum(axis=0)
    known = d - counts.events[unknown]
    known[counts.n_events.sum(axis=0) == counts.n_events[unknown]] = 0.0
    if not (known > 0).any():
        nothing = np.full(d.shape[0], np.nan)
        return AtRandom(nothing, nothing)
    day, source = _sources(counts.time.astype(np.float64), d, known)
    pooled: Floats = np.bincount(day, known[source], d.shape[0]).astype(np.float64)
    mine = np.bincount(day, counts.events[cause][source], d.shape[0])
    share = np.divide(mine, pooled, out=np.zeros_like(d), where=pooled > 0)
    curves = aalen_johansen(counts, (d * share)[None])
    smooth = _around(counts, cause, unknown, known)
    process = jackknife_variance(counts, curves, rows, smooth[None, None])[0]
    of_shares = _of_shares(counts, curves, cause, unknown, day, source, smooth, pooled)
    return AtRandom(curves.incidence[0], process + of_shares)


def _around(counts: CauseCounts, cause: int, unknown: int, known: Floats) -> Floats:
    """Share of the cause among at least 20 known events around each day, or all of them if they are fewer."""
    numbers = counts.n_events.sum(axis=0) - counts.n_events[unknown]
    up_to = np.cumsum(numbers)
    middle = np.clip(up_to - numbers / 2, _AROUND / 2, max(up_to[-1] - _AROUND / 2, _AROUND / 2))
    first = np.searchsorted(up_to, middle - _AROUND / 2, side="right")
    last = np.minimum(np.searchsorted(up_to, middle + _AROUND / 2, side="left"), up_to.size - 1)
    of_cause, of_all = (np.concatenate([[0.0], np.cumsum(x)]) for x in (counts.events[cause], known))
    return np.asarray((of_cause[last + 1] - of_cause[first]) / (of_all[last + 1] - of_all[first]))


def _sources(time: Floats, d: Floats, known: Floats) -> tuple[Ints, Ints]:
    """Pairs of a day with events and a day whose known events it takes its shares from, by day."""
    with_events, with_known = np.flatnonzero(d > 0), np.flatnonzero(known > 0)
    after = np.searchsorted(with_known, with_events)
    later = with_known[np.minimum(after, with_known.size - 1)]
    earlier = with_known[np.maximum(after - 1, 0)]
    here = time[with_events]
    far = np.inf
    ahead = np.where(after < with_known.size, time[later] - here, far)
    behind = np.where(after > 0, here - time[earlier], far)
    day = np.concatenate([with_events[ahead <= behind], with_events[behind < ahead], with_events[ahead == behind]])
    source = np.concatenate([later[ahead <= behind], earlier[behind < ahead], earlier[ahead == behind]])
    order = np.argsort(day, kind="stable")
    return day[order], source[order]


def _of_shares(
    counts: CauseCounts,
    curves: AalenJohansen,
    cause: int,
    unknown: int,
    day: Ints,
    source: Ints,
    share: Floats,
    pooled: Floats,
) -> Floats:
    """Variance that comes from the shares, at each time."""
    d = counts.events.sum(axis=0)
    step = (curves.before / counts.at_risk * d)[day] / pooled[day]
    order = np.lexsort((day, source))
    source, at, step = source[order], day[order], step[order]
    segments = np.append(np.flatnonzero(np.diff(source, prepend=-1)), source.size)
    squares = np.delete(counts.mass[1:], unknown, axis=0).sum(axis=0)[source]
    own = counts.mass[1 + cause][source]
    A, B = running_sums(step, segments), running_sums(step * share[at], segments)

    def total(a: Floats, b: Floats) -> Floats:
        return np.asarray(own * (a**2 - 2 * a * b) + squares * b**2)

    moved = total(A, B) - total(A - step, B - step * share[at])
    return np.cumsum(np.bincount(at, moved, d.shape[0]))
