"""Net benefit of contacting users whose predicted probability of churn reaches a threshold.

Whoever contacts at a probability of t takes t / (1 - t) contacts in vain for one churner as a fair price. So a rule
that contacts the share q of users, of whom 1 - S churn by the horizon, is worth

    q ((1 - S) - S t / (1 - t))

churners a user, net (Vickers and Elkin 2006). Under censoring S is the Kaplan-Meier estimate among those contacted
(Vickers et al. 2008). Rows are independent of how many are contacted, so that its variance is
``g^2 q (1 - q) / n + (q / (1 - t))^2`` times Greenwood's, g the net benefit by contact; with clusters, sampling weights
or late entry it is the infinitesimal jackknife's. With late entry q is weighted by the inverse probability of being
seen, because those who churned early came under observation less often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.censoring import Followed, Seen, WeightedMean, weighted_mean
from churnsurv.numerics.day_counts import read_only

__all__ = ["GroupSurvival", "NetBenefit", "group_survival", "net_benefit", "of_survival", "survival_on"]

Floats: TypeAlias = NDArray[np.float64]

# Cells of a table of thresholds by day: a larger one is not made, the rows are counted for each threshold.
_CELLS = 1 << 22
# Sums of weights leave this behind where nobody is left.
_NOBODY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class NetBenefit:
    """By threshold, (n_thresholds,); all NaN where those contacted were not followed to the horizon.

    Attributes
    ----------
    estimate, std_error
        Net benefit; 0 where nobody is contacted.
    contacted
        Share of users.
    churned
        Share of these that churn by the horizon; NaN where nobody is contacted.
    """

    estimate: Floats
    std_error: Floats
    contacted: Floats
    churned: Floats


def net_benefit(
    rows: Followed, horizon: float, probability: Floats, thresholds: Floats, *, by_row: bool = False
) -> NetBenefit:
    """Estimate the net benefit of a rule at each threshold.

    Parameters
    ----------
    rows : Followed
    horizon : float
    probability : (n,) float64
        Of churn by the horizon; those at or above a threshold are contacted.
    thresholds : (n_thresholds,) float64
        Ascending, in [0, 1).
    by_row : bool
        Take the jackknife where Greenwood's variance would do.

    Raises
    ------
    FollowUpError, InputError
        If what happened by the horizon cannot be known.

    Examples
    --------
    At 1/2 two of four are contacted, of whom one churns: (1 - 1) / 4. At 1/4 it would be (1 - 1/3) / 4.

    >>> from churnsurv.numerics.censoring import followed
    >>> rows = followed(np.array([1, 2, 4, 4]), np.array([True, False, False, False]))
    >>> net_benefit(rows, 3, np.array([0.6, 0.1, 0.1, 0.7]), np.array([0.25, 0.5])).estimate.round(4).tolist()
    [0.1667, 0.0]
    """
    seen = rows.at(horizon)
    level = np.searchsorted(thresholds, probability, side="right").astype(np.int32)
    level[~rows.held()] = 0
    # places of the times up to the horizon
    until = int(np.searchsorted(rows.time, horizon, side="right"))
    independent = rows.start is None and _independent(rows)
    total = float(rows.drawn.times(rows.held().astype(np.float64)).sum())
    n_rows = np.cumsum(np.bincount(level, minlength=thresholds.shape[0] + 1)[::-1])[::-1][1:]
    found = np.full((4, thresholds.shape[0]), np.nan)
    for j, (ended, entered) in enumerate(_counts_above(rows, level, thresholds.shape[0])):
        n_above = float(ended.sum())
        if n_above == 0:
            found[:3, j] = 0.0
            continue
        curve = group_survival(ended, entered, until)
        if curve.survival > 0 and not ended[2 * seen.place :].any():
            continue
        odds = thresholds[j] / (1 - thresholds[j])
        by_contact = (1 - curve.survival) - curve.survival * odds
        if independent and not by_row:
            share = n_above / total
            variance = by_contact**2 * share * (1 - share) / total
            variance += (share * (1 + odds) * curve.survival) ** 2 * curve.greenwood
            error = float(np.sqrt(variance))
        else:
            if n_rows[j] != (n_rows[j - 1] if j else -1):
                # else the rows are those of the threshold before
                above = level > j
                contacted = _contacted(rows, seen, above, total)
                change = of_survival(rows, curve, above)
            share = contacted.estimate
            error = rows.drawn.std_error(by_contact * contacted.influence - share * (1 + odds) * change)
        found[:, j] = share * by_contact, error, share, 1 - curve.survival
    read_only(found)
    return NetBenefit(*found)


def _counts_above(rows: Followed, level: NDArray[np.int32], J: int) -> Iterator[tuple[Floats, Floats | None]]:
    """For each threshold the rows at or above it: ended by code, (2 m,), and entered by time, (m,)."""
    n_codes, weights = 2 * rows.time.shape[0] + 1, rows.drawn.weights
    if rows.start is None and (J + 1) * n_codes <= _CELLS:
        cells = np.bincount(level * np.int64(n_codes) + rows.code, weights, minlength=(J + 1) * n_codes)
        table = np.cumsum(cells.reshape(J + 1, n_codes)[::-1], axis=0)[::-1].astype(np.float64)
        for j in range(J):
            yield table[j + 1, :-1], None
        return
    for j in range(J):
        above = np.flatnonzero(level > j)
        yield _counts(rows, above)


def _counts(rows: Followed, among: NDArray[Any]) -> tuple[Floats, Floats | None]:
    """Ended by code, (2 m,), and entered by time, (m,)."""
    m, own = rows.time.shape[0], None if rows.drawn.weights is None else rows.drawn.weights[among]
    ended = np.bincount(rows.code[among], own, minlength=2 * m + 1)[: 2 * m].astype(np.float64)
    if rows.start is None:
        return ended, None
    return ended, np.bincount(rows.start[among], own, minlength=m + 1)[1:].astype(np.float64)


def _independent(rows: Followed) -> bool:
    """Whether Greenwood's variance holds."""
    return rows.drawn.cluster is None and (rows.drawn.weights is None or rows.drawn.frequency)


def survival_on(rows: Followed, seen: Seen, among: NDArray[np.bool_]) -> tuple[float, float]:
    """Return Kaplan and Meier's estimate of some rows on a day and its standard error; NaN if not followed so far.

    Examples
    --------
    >>> from churnsurv.numerics.censoring import followed
    >>> rows = followed(np.array([1, 2, 2, 5]), np.array([True, True, False, False]))
    >>> round(survival_on(rows, rows.at(2), np.array([True, True, True, False]))[0], 4)
    0.3333
    """
    ended, entered = _counts(rows, among)
    curve = group_survival(ended, entered, int(np.searchsorted(rows.time, seen.day, side="right")))
    if curve.survival > 0 and not ended[2 * seen.place :].any():
        return np.nan, np.nan
    if _independent(rows):
        return curve.survival, curve.survival * float(np.sqrt(curve.greenwood))
    return curve.survival, rows.drawn.std_error(of_survival(rows, curve, among))


class GroupSurvival(NamedTuple):
    """Kaplan and Meier's estimate of some rows on a day, its relative variance, and what its derivative is made of.

    Attributes
    ----------
    survival : float
    greenwood : float
        Sum of d / (n (n - d)) up to the day; 0 where nobody is left.
    jump, drift : (n_times up to the day,) float64
        1 / (n - d) and d / (n (n - d)) where there are churns.
    """

    survival: float
    greenwood: float
    jump: Floats
    drift: Floats


def group_survival(ended: Floats, entered: Floats | None, until: int) -> GroupSurvival:
    """Estimate survival from counts or sums of weights by time.

    Parameters
    ----------
    ended : (2 m,)
        Censored and churned at each time in turn.
    entered : (m,), or None
        Entered at each time, at risk after it.
    until : int
        How many of the times are up to the day.

    Examples
    --------
    >>> group_survival(np.array([0.0, 1.0, 0.0, 1.0, 2.0, 0.0]), None, 2).survival
    0.5
    """
    both = ended.reshape(-1, 2)
    change = both.sum(axis=1) if entered is None else both.sum(axis=1) - entered
    n, d = np.cumsum(change[::-1])[::-1][:until], both[:until, 1]
    churn = d > 0
    left = np.where(churn & (n - d > _NOBODY * n), n - d, 0.0)
    goes_on = left > 0
    jump = np.divide(1.0, left, out=np.zeros(until), where=goes_on)
    drift = np.divide(d, n, out=np.zeros(until), where=goes_on) * jump
    if bool((churn & ~goes_on).any()):
        # nobody is left, and no weight of any row changes that
        return GroupSurvival(0.0, 0.0, np.zeros(until), np.zeros(until))
    survival = float(np.prod(np.divide(left, n, out=np.ones(until), where=churn)))
    return GroupSurvival(survival, float(drift.sum()), jump, drift)


def _contacted(rows: Followed, seen: Seen, above: NDArray[np.bool_], total: float) -> WeightedMean:
    """The share of users at or above a threshold, and its derivative."""
    if rows.start is not None:
        return weighted_mean(rows, seen, above.astype(np.float64))
    held = rows.held()
    share = float(rows.drawn.times(above.astype(np.float64)).sum()) / total
    return WeightedMean(share, np.where(held, above - share, 0.0) / total)


def of_survival(rows: Followed, curve: GroupSurvival, among: NDArray[np.bool_]) -> Floats:
    """Return the derivative of the survival of some rows in the weight of each, (n,).

    Examples
    --------
    >>> from churnsurv.numerics.censoring import followed
    >>> rows = followed(np.array([1, 2]), np.array([True, False]))
    >>> of_survival(rows, group_survival(np.array([0.0, 1.0, 1.0, 0.0]), None, 1), np.ones(2, bool)).tolist()
    [-0.25, 0.25]
    """
    m, until = rows.time.shape[0], curve.jump.shape[0]
    total = np.append(0.0, np.cumsum(curve.drift))
    by_code = np.zeros(2 * m + 1)
    by_code[: 2 * m] = -np.repeat(total[np.minimum(np.arange(1, m + 1), until)], 2)
    by_code[1 : 2 * until : 2] += curve.jump
    found = by_code[rows.code]
    if rows.start is not None:
        found += total[np.minimum(rows.start, until)]
    return np.where(among, -curve.survival * found, 0.0)
