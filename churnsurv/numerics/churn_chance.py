"""The chance of formal churn by a day, carried forward from daily hazards of return, and what a return is worth.

Let V_t(b, d) be the chance that a user of block b who is idle for d days at the end of day t churns by the last day of
the hazards. With p_t(b, d) the probability to return on day t of one idle for d days at the end of the day before, and
idle_days = k,

    V_t-1(b, d) = p_t(b, d) V_t(b', 0) + (1 - p_t(b, d)) V_t(b, d + 1),     V_t(b, k) = 1,

b' the block of users who have returned. A return on day t changes the chance by V_t(b, d + 1) - V_t(b', 0). By
telescoping, the churns of users under any other hazards, less those under p, are the sum over all who are at risk of
the difference of their hazards times this (the performance difference of Kakade and Langford 2002): nothing need be
assumed of the other hazards.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["value_of_return"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


def value_of_return(chance: Floats, back: Ints) -> Floats:
    """Return by how much a return on a day lowers the chance of churn by the last day.

    Parameters
    ----------
    chance : (n_days, n_blocks, idle_days) float64
        p_t(b, d).
    back : (n_blocks,) int
        The block that users of each are in once they have returned.

    Returns
    -------
    (n_days, n_blocks, idle_days) float64

    Examples -------- Two idle days are churn, and half of all users return each day. On the last day a return of those
    idle for one day saves them; on the first, one in four who return churns by the end all the same:

    >>> value_of_return(np.full((3, 1, 2), 0.5), np.array([0]))[:, 0].tolist()
    [[0.25, 0.75], [0.5, 1.0], [0.0, 1.0]]
    """
    n_days, n_blocks, idle_days = chance.shape
    found = np.empty_like(chance)
    ahead = np.zeros((n_blocks, idle_days))
    for t in range(n_days - 1, -1, -1):
        away = np.column_stack([ahead[:, 1:], np.ones(n_blocks)])
        home = ahead[back, 0][:, None]
        found[t] = away - home
        ahead = chance[t] * home + (1 - chance[t]) * away
    return found
