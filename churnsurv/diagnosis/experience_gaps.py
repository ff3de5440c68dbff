"""Gaps as occasions to leave: what was known of each when it began, alike ones under one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.survival.factors import factor

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.problem_gaps import ProblemGaps

__all__ = [
    "FEWEST",
    "REGISTRATION",
    "KnownGaps",
    "LookUp",
    "active_days",
    "adjusters",
    "cells",
    "known_gaps",
    "levels_of",
    "problem_states",
]

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Churned and returned gaps that a level needs for an estimate (expected ones), and a cell for a level of its own.
FEWEST = 10
_MOST_LEVELS = 50
_WHOLE = 12  # numbers of so few values are taken as they are
REGISTRATION = "registration_gap"
_REGISTERED, _NOT_OBSERVED, _SMALL = "(registered)", "(not observed)", "(small cells)"
#: Where the levels of a number of active days begin.
_ACTIVE = np.array([1, 2, 3, 4, 6, 9, 14, 20])
_WIDEST = 1 << 40


@dataclass(frozen=True, slots=True, eq=False)
class KnownGaps:
    """Gaps, and patterns of what was known of them. Arrays are read-only.

    Attributes
    ----------
    user : (n,) int32
        Those of a user stand together.
    churned : (n,) bool
    pattern : (n,) int32
    cell : (m,) int64
        Of each pattern: values of what is adjusted for.
    state : (m, k) int64
        Of each pattern: level of each thing looked at; 0 for none.
    active : (m, w) int64
        Of each pattern: level of the number of active days in each window before the gap.
    """

    user: NDArray[np.int32]
    churned: Flags
    pattern: NDArray[np.int32]
    cell: Ints
    state: Ints
    active: Ints

    def __post_init__(self) -> None:
        for array in (self.user, self.churned, self.pattern, self.cell, self.state, self.active):
            array.setflags(write=False)

    @property
    def counts(self) -> tuple[Ints, Ints]:
        """Gaps of each pattern, and those that ended in churn."""
        m = self.cell.size
        return np.bincount(self.pattern, minlength=m), np.bincount(self.pattern[self.churned], minlength=m)


def known_gaps(
    user: NDArray[np.int32], churned: Flags, cell: Ints, states: Sequence[NDArray[Any]], active: Sequence[NDArray[Any]]
) -> KnownGaps:
    """Number the patterns.

    Examples
    --------
    >>> found = known_gaps(np.array([0, 0, 1]), np.array([False, True, True]), np.array([0, 0, 0]),
    ...     [np.array([1, 0, 1])], [])
    >>> found.pattern.tolist(), found.state.tolist(), [n.tolist() for n in found.counts]
    ([1, 0, 1], [[0], [1]], [[1, 2], [1, 1]])
    """
    import pandas as pd

    columns = [np.asarray(each) for each in (cell, *states, *active)]
    code, width = np.zeros(user.size, np.int64), 1
    for column in columns:
        span = int(column.max(initial=0)) + 1
        if width * span > _WIDEST:
            code, seen = pd.factorize(code)
            code, width = code.astype(np.int64), len(seen)
        code *= span
        code += column
        width *= span
    pattern, first = _numbered(code, width)
    chosen = [column[first].astype(np.int64) for column in columns]
    k = len(states)
    empty = np.zeros((first.size, 0), np.int64)
    return KnownGaps(
        user,
        churned,
        pattern,
        chosen[0],
        np.stack(chosen[1 : 1 + k], axis=1) if states else empty,
        np.stack(chosen[1 + k :], axis=1) if active else empty,
    )


def _numbered(code: Ints, width: int) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Numbers 0, 1, ... in the order of the codes, and where each stands first."""
    if width <= 4 * code.size + 1024:
        place = np.full(width, code.size, dtype=np.int64)
        place[code[::-1]] = np.arange(code.size - 1, -1, -1)
        there = np.flatnonzero(place < code.size)
        number = np.zeros(width, dtype=np.int32)
        number[there] = np.arange(there.size)
        return number[code], place[there]
    _, first, pattern = np.unique(code, return_index=True, return_inverse=True)
    return pattern.astype(np.int32), first


@dataclass(frozen=True, slots=True, eq=False)
class LookUp:
    """The last of some dated things of each user before a gap.

    Attributes
    ----------
    place : (n,) int64
        Row of the last one on the first day of the gap or before; -1 where there is none.
    days : (n,) int64
        Days from it to that day; very large where there is none.
    """

    place: Ints
    days: Ints

    @classmethod
    def of(cls, user: NDArray[Any], start: NDArray[Any], own: NDArray[Any], day: NDArray[Any]) -> LookUp:
        """Look up things of users `own` on `day` (in this order) for gaps of `user` from `start`."""
        if own.size == 0:
            nothing = np.full(user.size, -1, np.int64)
            return cls(nothing, np.full(user.size, 1 << 30, np.int64))
        place = np.searchsorted(_key(own, day), _key(user, start), side="right") - 1
        days = start.astype(np.int64) - day[place]
        there = (place >= 0) & (own[place] == user)
        return cls(np.where(there, place, -1), np.where(there, days, 1 << 30))


def _key(user: NDArray[Any], day: NDArray[Any]) -> Ints:
    key: Ints = (user.astype(np.int64) << 24) + day + (1 << 23)
    return key


def problem_states(gaps: ProblemGaps, kind: str, doses: Sequence[int], recency: Sequence[int]) -> NDArray[np.int8]:
    """Level of a kind of problem for each gap.

    Returns
    -------
    (n,) int8
        1, 2, ...: so many of `doses` were reached on the first day of the gap; after those the windows that `recency`
        ends, in days before that day, the last problem lying in it; 0: none in all these days.
    """
    mine = gaps.problems[(gaps.problems["kind"] == kind).to_numpy()]
    day, n = mine["day"].to_numpy(), mine["n"].to_numpy()
    last = LookUp.of(gaps.user, gaps.start, mine["user"].to_numpy(), day)
    window = np.searchsorted(np.asarray(recency), last.days, side="left")
    state = np.where(window < len(recency), len(doses) + 1 + window, 0)
    today = last.days == 0
    state[today] = np.searchsorted(np.asarray(doses), n[last.place[today]], side="right")
    return state.astype(np.int8)


def active_days(gaps: ProblemGaps, recency: Sequence[int]) -> list[NDArray[np.int8]]:
    """Level of the number of active days in each window before the gap."""
    key, place = _key(gaps.user, gaps.start), np.arange(gaps.user.size)
    since = [place, *(np.searchsorted(key, key - days) for days in recency)]
    counts = [after - before for after, before in pairwise(since)]
    return [np.searchsorted(_ACTIVE, count, side="right").astype(np.int8) for count in counts]


def adjusters(gaps: ProblemGaps, attributes: Sequence[str], *, month: bool) -> dict[str, tuple[Ints, list[str]]]:
    """Codes and labels of what is adjusted for: attributes, features as of the active day before, month.

    On the day of registration there is none before; of users registered before the log features are not known.
    """
    found: dict[str, tuple[Ints, list[str]]] = {}
    for name in attributes:
        codes, labels = levels_of(gaps.users[name], name)
        found[name] = (codes[gaps.user], labels)
    observed = gaps.observed
    first = np.diff(gaps.user, prepend=-1) != 0
    for name in gaps.features.columns:
        codes, labels = levels_of(gaps.features[name], str(name))
        before = np.roll(codes, 1)
        before[first] = len(labels) + 1
        before[~observed] = len(labels) + 1
        before[gaps.registration] = len(labels)
        found[str(name)] = (before, [*labels, _REGISTERED, _NOT_OBSERVED])
    if month:
        months = (gaps.start.astype("datetime64[D]").astype("datetime64[M]")).astype(np.int64)
        values, codes = np.unique(months, return_inverse=True)
        found["month"] = (codes.astype(np.int64), [str(each) for each in values.astype("datetime64[M]")])
    if not len(gaps.features.columns):
        found[REGISTRATION] = (gaps.registration.astype(np.int64), ["", _REGISTERED])
    return found


def levels_of(column: pd.Series[Any], name: str) -> tuple[Ints, list[str]]:
    """Codes and labels; numbers of many values are cut at their fifths.

    Raises
    ------
    InputError
        If there are too many of them.

    Examples
    --------
    >>> import pandas as pd
    >>> codes, labels = levels_of(pd.Series([*range(20), np.inf, None]), "age")
    >>> codes.tolist()[::4], labels
    ([0, 0, 1, 2, 3, 4], ['up to 4', 'up to 8', 'up to 12', 'up to 16', 'more', '(missing)'])
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype) and column.nunique() > _WHOLE:
        column = _fifths(column)
    codes, labels = factor(column)
    if len(labels) > _MOST_LEVELS:
        raise InputError(
            f"adjust_for: {name!r} has {len(labels):,} values, more than {_MOST_LEVELS}. Group them first, or leave it "
            "out."
        )
    return np.asarray(codes, dtype=np.int64), [str(each) for each in labels]


def _fifths(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers cut at values among them, so that infinite ones are no matter."""
    import pandas as pd

    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    there = ~np.isnan(values)
    edges = np.unique(np.quantile(values[there], [0.2, 0.4, 0.6, 0.8], method="inverted_cdf"))
    code = np.where(there, np.searchsorted(edges, values, side="left"), -1).astype(np.int64)
    labels = [*(f"up to {float(edge)!r}".removesuffix(".0") for edge in edges), "more"]
    made = pd.Categorical.from_codes(code, pd.Index(labels))
    return pd.Series(made, index=column.index, name=column.name)


def cells(found: dict[str, tuple[Ints, list[str]]], churned: Flags) -> tuple[Ints, int, int]:
    """Cross what is adjusted for; cells with few churned or returned gaps are put together.

    Returns
    -------
    (n,) int64, int, int
        The cell of each gap, the number of cells put together, and of gaps in them.
    """
    import pandas as pd

    code = np.zeros(churned.size, np.int64)
    for codes, labels in found.values():
        code = pd.factorize(code * len(labels) + codes)[0].astype(np.int64)
    n, d = np.bincount(code), np.bincount(code[churned], minlength=int(code.max()) + 1)
    small = (d < FEWEST) | (n - d < FEWEST)
    number = np.where(small, 0, np.cumsum(~small))
    if small.sum() == 1 and not (d[small] == 0).any():
        small[:] = False
        number = np.arange(n.size)
    return number[code], int(small.sum()), int(n[small].sum())
