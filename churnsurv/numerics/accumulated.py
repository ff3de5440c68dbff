"""What users bring up to a day, on average, where some were followed for a shorter time.

M_i(u) is what user i has brought by day u since registration, and C_i the days to the end of the log, which are known
for everybody and have nothing to do with what the user does. With n users and N(u) of them followed to day u,

    mean = (1/n) sum over i and u <= horizon of 1{C_i >= u} dM_i(u) / G(u-),   G(u-) = N(u) / n,

so that each day's mean is that of the users followed to it (Bang and Tsiatis 2000, for censoring that is known). With
m(u) the mean of day u, the influence of user i is

    psi_i = sum over u <= min(C_i, horizon) of (dM_i(u) - m(u)) / G(u-),   variance = sum of psi_i^2 / n^2,

G's own estimate counted in. Users registered lately count for the days that they were followed for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import FollowUpError
from churnsurv.numerics.day_counts import read_only

__all__ = ["AccumulatedMean", "accumulated_mean"]

Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AccumulatedMean:
    """The mean of what users bring up to the horizon.

    Attributes
    ----------
    estimate : float
    std_error : float
    influence : (n,) float64
        psi_i / n: its squares sum to the variance, its products with that of another mean to their covariance.
    by_day : (horizon + 1,) float64
        m(u); its sum is the estimate.
    """

    estimate: float
    std_error: float
    influence: Floats
    by_day: Floats


def accumulated_mean(
    followed: Days, *, user: Days, day: Days, amount: Floats, horizon: int, lasting: bool = False
) -> AccumulatedMean:
    """Estimate the mean amount from day 0 to the horizon, both included.

    Parameters
    ----------
    followed : (n,) int64
        Days to which each user was followed, >= 0.
    user : (m,) int64
        Position of the user of each amount.
    day : (m,) int64
        Its day since registration, >= 0. Amounts after the follow-up of their user, or the horizon, don't count.
    amount : (m,) float64
    horizon : int
    lasting : bool
        An amount comes on its day and each day after it, as what a rise of the balance is worth does.

    Raises
    ------
    FollowUpError
        If nobody was followed to the horizon.

    Examples
    --------
    Three users followed for 2, 2 and 0 days bring 1 each on day 0, and the first 3 on day 2: 1 + 3/2.

    >>> found = accumulated_mean(np.array([2, 2, 0]), user=np.array([0, 1, 2, 0]), day=np.array([0, 0, 0, 2]),
    ...     amount=np.array([1.0, 1, 1, 3]), horizon=2)
    >>> found.estimate, found.by_day.tolist(), round(found.std_error, 6)
    (2.5, [1.0, 0.0, 1.5], 1.06066)
    """
    n = followed.size
    end = np.minimum(followed, horizon)
    n_followed = n - np.concatenate([[0], np.cumsum(np.bincount(end, minlength=horizon + 1))[:-1]])
    if n == 0 or n_followed[horizon] == 0:
        last = int(followed.max(initial=-1))
        raise FollowUpError(f"Nobody was followed to day {horizon}; the longest follow-up has {last} days.")
    weight = n / n_followed
    inside = day <= end[user]
    user, day, amount = user[inside], day[inside], amount[inside]
    if lasting:
        upto = np.concatenate([[0.0], np.cumsum(weight)])
        brought = amount * (upto[end[user] + 1] - upto[day])
        steps = np.bincount(day, amount, horizon + 2) - np.bincount(end[user] + 1, amount, horizon + 2)
        total = np.cumsum(steps)[: horizon + 1]
    else:
        brought = amount * weight[day]
        total = np.bincount(day, amount, horizon + 1)
    by_day = total / n_followed
    expected = np.cumsum(weight * by_day)[end]
    influence = (np.bincount(user, brought, n) - expected) / n
    read_only(influence, by_day)
    return AccumulatedMean(float(by_day.sum()), float(np.sqrt(influence @ influence)), influence, by_day)
