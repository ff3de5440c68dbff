"""Dates before a shock on which nothing is known to have happened: what the same analysis finds there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.shock_events import Plan, plan_at

__all__ = ["N_PLACEBO", "placebo_dates", "rank_p_value"]

Floats: TypeAlias = NDArray[np.float64]

#: With 39 placebo dates the largest statistic of 40 has a p-value of .025, and the second largest .05.
N_PLACEBO = 39


def placebo_dates(
    plan: Plan, others: Sequence[tuple[int, int]], *, first: int, before: int, cuts: Sequence[int], n: int = N_PLACEBO
) -> list[Plan]:
    """Plan the same analysis for dates in steps of a week, all of whose days lie before the shock.

    Parameters
    ----------
    plan : Plan
    others : sequence of (int, int)
        First and last days of other shocks: no placebo is judged on them.
    first : int
        The first day that may be compared with.
    before : int
    cuts : sequence of int
    n : int
        At most.
    """
    found: list[Plan] = []
    start = plan.date - 7 * (-(-plan.ends // 7))
    while len(found) < n and start - 28 >= first:
        stop = start + plan.ends - 1
        if not any(start <= last and one <= stop for one, last in others):
            made = plan_at(start, plan.event, stop, others, first=first, before=before, cuts=cuts)
            if made is not None and made.reference.size == plan.reference.size:
                found.append(made)
        start -= 7
    return found


def rank_p_value(statistic: float, placebo: Floats) -> float:
    """Return the share of the dates, this one included, whose statistic is at least as far from 0.

    If days go on as they were, each rank is as likely as any other (Fisher 1935; Abadie, Diamond and Hainmueller 2010
    for placebo studies).

    Examples
    --------
    >>> rank_p_value(3.0, np.array([0.5, -1.0, 4.0]))
    0.5
    """
    known = placebo[np.isfinite(placebo)]
    if not np.isfinite(statistic) or not known.size:
        return float("nan")
    return float((1 + (np.abs(known) >= abs(statistic)).sum()) / (1 + known.size))
