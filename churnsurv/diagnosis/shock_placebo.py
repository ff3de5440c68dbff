"""Dates before a shock on which nothing is known to have happened: what the same analysis finds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.shock_events import Plan, plan_at
from churnsurv.numerics.day_clusters import p_value_of

__all__ = ["N_PLACEBO", "Placebo", "placebo_dates", "quiet_p_value", "rank_p_value"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: With 39 placebo dates the largest statistic of 40 has a p-value of .025, and the second largest .05.
N_PLACEBO = 39
_DRAWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Placebo:
    """What is found on a day on which nothing is known to have happened: log hazard ratios by window.

    Attributes
    ----------
    date : int
    estimate, std_error : (n_windows + 1,) float64
        That of all days last.
    df : int
    reference : (n_reference,) int64
        Days learnt from.
    days : (n_days,) int64
        Those, then the days judged.
    exposure : (n_days,) float64
        By how much each of them moves the estimate of all days.
    """

    date: int
    estimate: Floats
    std_error: Floats
    df: int
    reference: Ints
    days: Ints
    exposure: Floats


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
            if made is not None and made.reference.size >= plan.reference.size:
                found.append(replace(made, reference=made.reference[-plan.reference.size :]))
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


def quiet_p_value(placebos: Sequence[Placebo], rejected: int, alpha: float) -> float:
    """Return how often as many placebo dates reject where nothing is wrong: days alike, and independent of each other.

    Dates a week apart share most of their days, so that their tests reject together; the number that rejects scatters
    by far more than a binomial one. Days are drawn from a normal law, and each date tested on them: the estimate from
    its exposures, its standard error from the scatter of the days that it learns from.

    Parameters
    ----------
    placebos : sequence of Placebo
    rejected : int
        How many reject at `alpha`.
    alpha : float
    """
    known = [each for each in placebos if np.isfinite(each.estimate[-1])]
    first = min(int(each.days.min()) for each in known)
    width = max(int(each.days.max()) for each in known) - first + 1
    noise = np.random.default_rng(0).standard_normal((_DRAWS, width))
    count = np.zeros(_DRAWS)
    for each in known:
        spread = noise[:, each.reference - first].std(axis=1, ddof=1) * np.sqrt((each.exposure**2).sum())
        statistic = noise[:, each.days - first] @ each.exposure / spread
        count += p_value_of(statistic, each.reference.size - 1) < alpha
    return float((1 + (count >= rejected).sum()) / (1 + _DRAWS))
