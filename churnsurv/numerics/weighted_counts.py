"""At risk and churned at the times of one curve, with weights of either kind.

A frequency says for how many users a row stands: the counts are whole numbers, as if the rows were so often repeated.
A sampling weight is the inverse of the probability with which a row was drawn: the sums are of weights, and the counts
of rows stay beside them. Risk sets that are empty, or that churn to the last row, are told by the counts of rows and
not by differences of floating-point sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import DayCounts, read_only, time_index

__all__ = ["Steps", "frequency_counts", "running_in_segments", "steps_of", "weighted_steps"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What a curve needs of its rows.

    Attributes
    ----------
    time : (n_times,)
        Ascending.
    n_at_risk, n_events : (n_times,) float64
        At risk (> 0) and churned at each time, weights in them; equal where all at risk churn.
    """

    time: NDArray[Any]
    n_at_risk: Floats
    n_events: Floats

    def after(self, day: float) -> Steps:
        """Return the steps later than `day`.

        Examples
        --------
        >>> Steps(np.array([1, 2]), np.array([3.0, 2.0]), np.array([1.0, 0.0])).after(1).time.tolist()
        [2]
        """
        first = int(np.searchsorted(self.time, day, side="right"))
        return Steps(self.time[first:], self.n_at_risk[first:], self.n_events[first:])


def steps_of(counts: DayCounts | Steps) -> Steps:
    """Return the steps of one group without weights; steps are returned as they are.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> steps_of(day_counts(np.array([1, 2, 2]), np.array([True, True, False]))).n_at_risk.tolist()
    [3.0, 2.0]
    """
    if isinstance(counts, Steps):
        return counts
    if counts.n_at_risk.shape[0] != 1:
        raise InputError(f"a curve is estimated from the counts of one group, not {counts.n_at_risk.shape[0]}.")
    return Steps(counts.time, counts.n_at_risk[0].astype(np.float64), counts.n_events[0].astype(np.float64))


def weighted_steps(
    counts: DayCounts,
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    weights: Floats,
    *,
    entry: NDArray[Any] | None = None,
) -> Steps:
    """Return sums of weights in place of counts.

    Parameters
    ----------
    counts : DayCounts
        Of these rows, as one group.
    duration, churned, weights, entry : (n,)
        The rows, in any order; weights > 0.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> t, e, w = np.array([1, 2, 2]), np.array([True, True, False]), np.array([0.5, 2.0, 1.5])
    >>> weighted_steps(day_counts(t, e), t, e, w).n_at_risk.tolist()
    [4.0, 3.5]
    """
    events, censored, entered, _ = _sums(counts, duration, churned, weights, entry)
    ended = events + censored
    rows_at_risk, rows_ended = counts.n_at_risk[0], counts.n_events[0] + counts.n_censored[0]
    if entered is None:
        at_risk = np.cumsum(ended[::-1])[::-1]
    else:
        # those who enter before a time join its risk set; a risk set that all have left begins anew, from nothing
        joins = np.searchsorted(counts.time, counts.entry_time, side="right")
        change = np.bincount(joins, entered, minlength=ended.size)[: ended.size].astype(np.float64)
        change[1:] -= np.where(rows_at_risk == rows_ended, 0.0, ended)[:-1]
        first = np.flatnonzero(np.append(True, rows_at_risk[:-1] == rows_ended[:-1])[: ended.size])
        at_risk = running_in_segments(change, first)
    # who ends at a time was at risk at it; where nobody else was, the sums are the same number
    at_risk = np.where(rows_at_risk == rows_ended, ended, np.maximum(at_risk, ended))
    read_only(at_risk, events)
    return Steps(counts.time, at_risk, events)


def frequency_counts(
    counts: DayCounts,
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    weights: Floats,
    *,
    entry: NDArray[Any] | None = None,
) -> DayCounts:
    """Return the counts of one group as if each row were there as often as its weight says.

    Parameters
    ----------
    counts : DayCounts
        Of these rows, as one group.
    duration, churned, weights, entry : (n,)
        Weights are whole numbers > 0 with a sum below 2^53, so that the sums are exact.

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> t, e = np.array([1, 2, 2]), np.array([True, True, False])
    >>> frequency_counts(day_counts(t, e), t, e, np.array([2.0, 1.0, 4.0])).n_at_risk.tolist()
    [[7, 5]]
    """
    events, censored, entered, no_risk = (
        None if sums is None else np.rint(sums).astype(np.int64)
        for sums in _sums(counts, duration, churned, weights, entry)
    )
    assert events is not None  # noqa: S101 - of the four only `entered` is ever None
    assert censored is not None  # noqa: S101
    assert no_risk is not None  # noqa: S101
    ended = np.cumsum(events + censored)
    before = np.append(0, ended[:-1])[: ended.size]
    if entered is None:
        n_rows = int(ended[-1]) if ended.size else 0
        at_risk, n_entered = n_rows - before, counts.n_entered
    else:
        n_rows, joined = int(entered.sum()), np.append(0, np.cumsum(entered))
        at_risk = joined[np.searchsorted(counts.entry_time, counts.time, side="left")] - before
        n_entered = entered[None, :]
    of_rows = np.array([n_rows], dtype=np.int64)
    at_risk, events, censored = at_risk[None, :], events[None, :], censored[None, :]
    read_only(at_risk, events, censored, n_entered, of_rows, no_risk)
    return DayCounts(counts.time, at_risk, events, censored, counts.entry_time, n_entered, of_rows, no_risk)


def _sums(
    counts: DayCounts,
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    weights: Floats,
    entry: NDArray[Any] | None,
) -> tuple[Floats, Floats, Floats | None, Floats]:
    """Sums of weights: churned and censored at each time, entered at each entry time (if any), never at risk."""
    no_risk = np.zeros(1)
    if entry is not None:
        held = entry < duration
        no_risk = np.array([weights[~held].sum()])
        duration, churned, entry, weights = duration[held], churned[held], entry[held], weights[held]
    at, n_times = time_index(counts.time, duration), counts.time.size
    events = np.bincount(at[churned], weights[churned], minlength=n_times)
    censored = np.bincount(at[~churned], weights[~churned], minlength=n_times)
    entered = None
    if entry is not None:
        entered = np.bincount(time_index(counts.entry_time, entry), weights, minlength=counts.entry_time.size)
    floats = [np.asarray(sums, dtype=np.float64) for sums in (events, censored)]  # of no rows at all they are integers
    return floats[0], floats[1], None if entered is None else np.asarray(entered, dtype=np.float64), no_risk


def running_in_segments(values: NDArray[Any], first: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return cumulative sums that begin anew at the positions `first`, of which the first is 0.

    Each segment first takes back the total of the one before, so that the running sum stays as small as the segments
    are and rounding does not pile up over millions of them.

    Examples
    --------
    >>> running_in_segments(np.array([1, 2, 3, 4]), np.array([0, 2])).tolist()
    [1, 3, 3, 7]
    """
    if values.size == 0:
        return values
    anew = values.copy()
    anew[first[1:]] -= np.add.reduceat(values, first)[:-1]
    return np.cumsum(anew)
