"""Counts of returns by group, block and idle day, small groups pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.return_days import REGISTRATION_GAP, ReturnDays
from churnsurv.diagnosis.pooled import OTHER
from churnsurv.errors import InputError, did_you_mean

__all__ = ["ALL", "NONE", "OTHER_UNTOUCHED", "ShockGroup", "shock_groups", "together"]

Ints: TypeAlias = NDArray[np.int64]

ALL, NONE, OTHER_UNTOUCHED = "(all)", "(none)", "other untouched"


@dataclass(frozen=True, slots=True, eq=False)
class ShockGroup:
    """Counts of a group.

    Attributes
    ----------
    name : str
    at_risk, returned : (n_blocks, n_days, longest + 1) int64
        Blocks are users idle since an activity, and since they registered, of each group that is in it.
    back : (n_blocks,) int64
        The block that users are in once they have returned.
    pooled : tuple of str
        The values that it is made of, where it is made of small ones.
    """

    name: str
    at_risk: Ints
    returned: Ints
    back: Ints
    pooled: tuple[str, ...] = ()


def shock_groups(
    counts: ReturnDays, by: str | None, *, min_users: int, untouched: Sequence[str] = ()
) -> tuple[ShockGroup, ...]:
    """Split counts by group, the largest first; those with few living users on a mean day are pooled at the end.

    Parameters
    ----------
    counts : ReturnDays
        Split by `by` and whether users are idle since they registered.
    by : str or None
    min_users : int
    untouched : sequence of str
        Values that are pooled apart from the others.

    Raises
    ------
    InputError
        If an untouched value is not there, or no other is.
    """
    frame = counts.groups
    names = [ALL] * len(frame) if by is None else [_text(each) for each in frame[by]]
    _check_untouched(untouched, names)
    since = frame[REGISTRATION_GAP].to_numpy(dtype=bool)
    users = counts.at_risk[:, :, : counts.idle_days].sum(axis=(1, 2)) / counts.days.size
    sizes = {name: float(users[[each == name for each in names]].sum()) for name in dict.fromkeys(names)}
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    small = [name for name in order if by is not None and sizes[name] < min_users]
    found = [_group(name, [name], names, since, counts) for name in order if name not in small]
    for pool, calm in ((OTHER, False), (OTHER_UNTOUCHED, True)):
        pooled = tuple(name for name in small if (name in untouched) == calm)
        if pooled:
            other = _group(pool, pooled, names, since, counts)
            found.append(ShockGroup(pool, other.at_risk, other.returned, other.back, pooled))
    return tuple(found)


def _check_untouched(untouched: Sequence[str], names: Sequence[str]) -> None:
    known = sorted(set(names))
    for each in untouched:
        if each not in known:
            raise InputError(f"untouched: there is no group {each!r}.{did_you_mean(each, known)} Groups: {known}.")
    if untouched and set(untouched) == set(known):
        raise InputError("untouched names all groups: none is left that the shock can have touched.")


def _group(
    name: str, values: Sequence[str], names: Sequence[str], since: NDArray[np.bool_], counts: ReturnDays
) -> ShockGroup:
    """Sums over some rows of the counts: users idle since an activity first."""
    shape = (2, *counts.at_risk.shape[1:])
    at_risk, returned = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, each in enumerate(names):
        if each in values:
            at_risk[int(since[row])] += counts.at_risk[row]
            returned[int(since[row])] += counts.returned[row]
    return ShockGroup(name, at_risk, returned, np.array([0, 0]))


def together(name: str, groups: Sequence[ShockGroup]) -> ShockGroup:
    """All groups as one, whose levels stay their own."""
    shift = np.cumsum([0, *(group.back.size for group in groups)])
    return ShockGroup(
        name,
        np.concatenate([group.at_risk for group in groups]),
        np.concatenate([group.returned for group in groups]),
        np.concatenate([group.back + add for group, add in zip(groups, shift[:-1], strict=True)]),
    )


def _text(value: object) -> str:
    missing = value is None or value != value or type(value).__name__ in {"NAType", "NaTType"}
    return NONE if missing else str(value)
