"""First alerts when only so many can be worked off a day: the most urgent of each day first, the others wait.

On each calendar day the gaps that are still silent, may be alerted on that idle day and have not been yet stand in line
by urgency; the first `per_day` of them are alerted. Among equals, those of one urgency of whom only a part finds room,
lots are drawn: each has the same chance. With U(d) the share of a group that has not been alerted before idle day d,
its part in the line is U(d) silent(d), because lots know nothing of who will return; and what the lots leave is the
same share of all of them, of those who churn too.

The lines are those of expected numbers. Numbers drawn one by one scatter around them, by less the longer the lines.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["capped_alerts"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


def capped_alerts(
    start: NDArray[np.integer[Any]],
    pattern: NDArray[np.integer[Any]],
    silent: NDArray[Any],
    urgency: Floats,
    *,
    per_day: float,
) -> Floats:
    """Share of each group of gaps that has its first alert on each idle day.

    Parameters
    ----------
    start : (n_groups,) integer
        Calendar day on which the gaps of a group begin, as a number; idle day d is calendar day start + d.
    pattern : (n_groups,) integer
        Their row of `urgency`.
    silent : (n_groups, n_days)
        How many of them are still silent on idle days 0, 1, ... n_days - 1.
    urgency : (n_patterns, n_days) float64
        The higher, the sooner; NaN where a gap may not be alerted.
    per_day : float
        At most so many first alerts on a calendar day; may be infinite.

    Returns
    -------
    (n_groups, n_days) float64
        Chance that a gap of the group, if it is still silent then, has its first alert on that idle day. Times
        `silent` these are expected first alerts: over a calendar day `per_day` at most.

    Examples
    --------
    Two a day. Of three gaps begun on day 0 two are alerted on day 1, drawn from equals; the third waits for day 2, when
    a more urgent one, begun on day 1, comes first:

    >>> silent = np.array([[3, 3, 3], [1, 1, 1]])
    >>> urgency = np.array([[np.nan, 0.5, 0.5], [np.nan, 0.9, 0.9]])
    >>> capped_alerts(np.array([0, 1]), np.array([0, 1]), silent, urgency, per_day=2).round(3).tolist()
    [[0.0, 0.667, 0.333], [0.0, 1.0, 0.0]]
    """
    n_days = urgency.shape[1]
    found = np.zeros((len(start), n_days))
    if not len(start):
        return found
    order = np.argsort(start, kind="stable")
    begins = np.asarray(start)[order]
    left = np.ones(begins.size)
    for day in range(int(begins[0]), int(begins[-1]) + n_days):
        low, high = np.searchsorted(begins, [day - n_days, day], side="right")
        place = np.arange(low, high)
        group, idle = order[place], day - begins[place]
        pressing = urgency[pattern[group], idle]
        amount = silent[group, idle] * left[place]
        waiting = np.flatnonzero(~np.isnan(pressing) & (amount > 0))
        share = _worked_off(pressing[waiting], amount[waiting], per_day)
        alerted = share * left[place[waiting]]
        found[group[waiting], idle[waiting]] = alerted
        # what is alerted in full has nothing left, to the last bit
        left[place[waiting]] = np.where(share < 1, left[place[waiting]] - alerted, 0.0)
    return found


def _worked_off(urgency: Floats, amount: Floats, per_day: float) -> Floats:
    """Share of each place in the line that is alerted on one day."""
    share = np.ones(amount.size)
    if amount.sum() <= per_day:
        return share
    line = np.argsort(-urgency, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(urgency[line]) != 0, True))
    up_to = np.cumsum(amount[line])[ends]
    full = int(np.searchsorted(up_to, per_day, side="right"))
    if full == ends.size:  # the sum in the order of the line is that much less than the one before
        return share
    first = int(ends[full - 1]) + 1 if full else 0
    before = float(up_to[full - 1]) if full else 0.0
    drawn = line[first : ends[full] + 1]
    share[line[first:]] = 0.0
    share[drawn] = min((per_day - before) / float(up_to[full] - before), 1.0)
    return share
