"""Counts of returns by group, block and idle day, small groups pooled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.return_days import REGISTRATION_GAP, ReturnDays
from churnsurv.errors import InputError, did_you_mean
from churnsurv.tables import is_missing

__all__ = ["ALL", "NONE", "SMALL", "SMALL_UNTOUCHED", "TOUCHED", "ShockGroup", "shock_groups", "together"]

Ints: TypeAlias = NDArray[np.int64]

#: Names that no value may have: several groups together, users without a value, and small groups together.
ALL, TOUCHED, NONE, SMALL, SMALL_UNTOUCHED = "(all)", "(touched)", "(none)", "(small)", "(small untouched)"


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
    calm : bool
        Whether it is said to be untouched.
    """

    name: str
    at_risk: Ints
    returned: Ints
    back: Ints
    pooled: tuple[str, ...] = ()
    calm: bool = False


def shock_groups(
    counts: ReturnDays, by: str | None, *, days: Ints, min_users: int, untouched: Sequence[object] = ()
) -> tuple[ShockGroup, ...]:
    """Split counts by group, the largest first; those with few living users on a mean day are pooled at the end.

    Parameters
    ----------
    counts : ReturnDays
        Split by `by` and whether users are idle since they registered.
    by : str or None
    days : (n,) int64
        The days of that mean.
    min_users : int
    untouched : sequence
        Values that are pooled apart from the others.

    Raises
    ------
    InputError
        If an untouched value is not there, or no other is; or a value has the name of groups together.
    """
    frame = counts.groups
    names = [ALL] * len(frame) if by is None else _names(frame[by], by)
    calm = frozenset(_text(each) for each in untouched)
    _check_untouched(calm, names)
    since = frame[REGISTRATION_GAP].to_numpy(dtype=bool)
    usual = np.isin(counts.days.astype(np.int64), days)
    users = counts.at_risk[:, usual, : counts.idle_days].sum(axis=(1, 2)) / max(int(usual.sum()), 1)
    sizes = {name: float(users[[each == name for each in names]].sum()) for name in dict.fromkeys(names)}
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    small = [name for name in order if by is not None and sizes[name] < min_users]
    found = [
        replace(_group(name, [name], names, since, counts), calm=name in calm) for name in order if name not in small
    ]
    for pool, quiet in ((SMALL, False), (SMALL_UNTOUCHED, True)):
        pooled = tuple(name for name in small if (name in calm) == quiet)
        if pooled:
            found.append(replace(_group(pool, pooled, names, since, counts), pooled=pooled, calm=quiet))
    return tuple(found)


def _names(values: Iterable[object], by: str) -> list[str]:
    """Values as text, none of which may be taken for groups together."""
    listed = list(values)
    real = {_text(each) for each in listed if not is_missing(each)}
    for name in (ALL, TOUCHED, SMALL, SMALL_UNTOUCHED, *([NONE] if any(map(is_missing, listed)) else [])):
        if name in real:
            raise InputError(
                f"{by!r} has the value {name!r}, which here is the name of groups together or of users without a "
                "value. Rename it, so that every group can be told from the others."
            )
    return [_text(each) for each in listed]


def _check_untouched(untouched: Collection[str], names: Sequence[str]) -> None:
    known = sorted(set(names))
    for each in sorted(untouched):
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
    return NONE if is_missing(value) else str(value)
