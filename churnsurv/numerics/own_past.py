"""Amounts that are far from what the same user did before, on a robust scale with a floor.

Of the logarithms x of a user's n earlier amounts take the median m and the scale s = 1.4826 MAD, the median absolute
deviation, consistent for the normal law (Hampel 1974). A MAD of few or round amounts can be tiny or 0, so that s is not
below the median of s over all users. A later amount with logarithm y is judged by

    t = (y - m) / (s sqrt(1 + pi / (2 n))),

where pi / 2 is the variance of the median against that of the mean, by Student's law with n - 1 degrees of freedom.
The p-value of a user is that of his most distant later amount, times their number (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["OwnPast", "own_past"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_CONSISTENT = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class OwnPast:
    """The most distant later amount of each user that can be judged.

    Attributes
    ----------
    user : (n_judged,) int64
        Ascending.
    place : (n_judged,) int64
        Position of the amount among the later ones; of equal distances the first.
    usual : (n_judged,) float64
        exp(m): the median of the amounts before.
    statistic : (n_judged,) float64
        t.
    p_value : (n_judged,) float64
    """

    user: Ints
    place: Ints
    usual: Floats
    statistic: Floats
    p_value: Floats


def own_past(user_before: Ints, before: Floats, user_after: Ints, after: Floats, *, least: int = 5) -> OwnPast:
    """Judge later amounts by the earlier ones of the same user.

    Parameters
    ----------
    user_before, user_after : (n,), (m,) int64
        Codes of users.
    before, after : (n,), (m,) float64
        Amounts; those that are not above 0 have no logarithm and do not count.
    least : int
        Users with fewer amounts before are not judged.

    Examples
    --------
    >>> past = np.array([100.0, 110, 90, 100, 105])
    >>> found = own_past(np.zeros(5, int), past, np.array([0, 0]), np.array([104.0, 90_000.0]))
    >>> found.place.tolist(), found.usual.round().tolist(), bool(found.p_value[0] < 1e-4)
    ([1], [100.0], True)
    """
    from scipy.special import stdtr

    fine = before > 0
    user_before, x = user_before[fine], np.log(before[fine])
    users, n, middle = _medians(user_before, x)
    place = np.searchsorted(users, user_before)
    _, _, spread = _medians(user_before, np.abs(x - middle[place]))
    enough = n >= least
    scale = np.maximum(_CONSISTENT * spread, _floor(_CONSISTENT * spread[enough]))
    users, n, middle, scale = users[enough], n[enough], middle[enough], scale[enough]
    kept = np.flatnonzero((after > 0) & np.isin(user_after, users))
    at = np.searchsorted(users, user_after[kept])
    t = (np.log(after[kept]) - middle[at]) / (scale[at] * np.sqrt(1 + np.pi / (2 * n[at])))
    order = np.lexsort((kept, -np.abs(t), at))
    first = order[np.flatnonzero(np.diff(at[order], prepend=-1))]
    tried = np.bincount(at, minlength=users.size)[at[first]]
    p = np.minimum(2 * stdtr(n[at[first]] - 1.0, -np.abs(t[first])) * tried, 1.0)
    return OwnPast(users[at[first]], kept[first], np.exp(middle[at[first]]), t[first], p)


def _floor(scales: Floats) -> float:
    """The median scale of all users; where half of them never vary, the least one above 0, or 5 %."""
    if scales.size == 0:
        return 0.05
    middle = float(np.median(scales))
    if middle > 0:
        return middle
    some = scales[scales > 0]
    return float(some.min()) if some.size else 0.05


def _medians(code: Ints, x: Floats) -> tuple[Ints, Ints, Floats]:
    """Codes that occur, ascending, how often, and the median of each."""
    order = np.lexsort((x, code))
    users, first, n = np.unique(code[order], return_index=True, return_counts=True)
    ordered = x[order]
    if users.size == 0:
        return users, n, np.zeros(0)
    middle = (ordered[first + (n - 1) // 2] + ordered[first + n // 2]) / 2
    return users, n, middle
