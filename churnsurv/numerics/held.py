"""Places that are held: whoever has one keeps it while a wider condition holds, or until a higher one is entered.

Places are numbered from 0, the highest; a number as high as there are places stands for none. A day goes by one rule:
who held place k yesterday, and meets the wider condition of k today, has the higher of k and the place entered today;
everybody else has the place entered today. So nobody waits for a higher place, and whoever has lost one starts afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError

__all__ = ["held_on", "held_tiers"]

Flags: TypeAlias = NDArray[np.bool_]
Whole = TypeVar("Whole", bound=np.integer[Any])


def held_on(before: NDArray[Whole], entered: NDArray[Whole], stays: Flags | Sequence[Flags]) -> NDArray[Whole]:
    """Places of one day, from those of the day before.

    Parameters
    ----------
    before : (n,) integer
        Places held on the day before, or n_tiers for none.
    entered : (n,) integer
        Places by their own condition today.
    stays : (n_tiers, n) bool
        Whether the wider condition of each place holds today.

    Returns
    -------
    (n,) integer
        Places held today, in the type of `entered`.

    Examples
    --------
    Three users held the lower of two places. All are beyond its own condition; the first meets the wider one, the
    second does not, the third has entered the higher place:

    >>> wider = np.array([[False, False, True], [True, False, True]])
    >>> held_on(np.array([1, 1, 1]), np.array([2, 2, 0]), wider).tolist()
    [1, 2, 0]
    """
    kept = np.zeros(entered.shape, dtype=np.bool_)
    for place, wider in enumerate(stays):
        kept |= (before == place) & wider
    return np.where(kept, np.minimum(before, entered), entered).astype(entered.dtype, copy=False)


def held_tiers(entered: NDArray[Whole], stays: Flags) -> NDArray[Whole]:
    """Places held from day to day; on the first day nobody holds one from before.

    Parameters
    ----------
    entered : (n, n_days) integer
        Places by their own condition, 0 for the highest, n_tiers for none.
    stays : (n_tiers, n, n_days) bool
        Whether the wider condition of each place holds.

    Returns
    -------
    (n, n_days) integer
        In the type of `entered`: int8 keeps a million users and 31 days in 31 MB.

    Raises
    ------
    InputError
        If the shapes do not fit, or a place is not one of 0 ... n_tiers.

    Examples
    --------
    One place, entered on the second day. It is held on the third, lost on the fourth, and not found again on the fifth
    day, whose wider condition is for those alone who held the place:

    >>> held_tiers(np.array([[1, 0, 1, 1, 1]]), np.array([[[True, True, True, False, True]]])).tolist()
    [[1, 0, 0, 1, 1]]
    """
    if entered.ndim != 2 or stays.ndim != 3 or stays.shape[1:] != entered.shape:
        raise InputError(
            f"entered has the shape (n, n_days) and stays (n_tiers, n, n_days); they are {entered.shape} and "
            f"{stays.shape}."
        )
    if entered.size and not 0 <= int(entered.min()) <= int(entered.max()) <= len(stays):
        raise InputError(
            f"entered: places run from 0 to {len(stays)}, which is none; there are {entered.min()} to {entered.max()}."
        )
    held = entered.copy()
    for day in range(1, entered.shape[1]):
        held[:, day] = held_on(held[:, day - 1], entered[:, day], stays[:, :, day])
    return held
