"""What the rows of campaigns bring, day by day, weighted for those who were followed for a shorter time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import FollowUpError

__all__ = ["Cells", "Days", "Sums"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Cell: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Rows by arm and stratum, and how many of each cell are followed to a day.

    Attributes
    ----------
    keys : tuple of (arm, stratum)
    of : (n,) int32
        The cell of each row.
    end : (n,) int32
        min(C, horizon).
    followed : (n_cells, horizon) int64
        Rows of the cell followed to day u = 1 ... horizon.
    weight : (n_cells, horizon) float64
        1 / G(u-).
    """

    keys: tuple[Cell, ...]
    of: NDArray[np.int32]
    end: NDArray[np.int32]
    followed: Ints
    weight: Floats

    @classmethod
    def count(
        cls, arm: Ints, stratum: Ints, followed: Ints, horizon: int, *, arms: Sequence[str], strata: Sequence[str]
    ) -> Cells:
        """Count the rows of each cell.

        Raises
        ------
        FollowUpError
            If nobody of a cell is followed to the horizon.

        Examples
        --------
        >>> found = Cells.count(np.array([0, 0, 1]), np.zeros(3, int), np.array([1, 2, 2]), 2, arms=["a", "b"],
        ...     strata=["all"])
        >>> found.followed.tolist(), found.weight.tolist()
        ([[2, 1], [1, 1]], [[1.0, 2.0], [1.0, 1.0]])
        """
        n_strata = len(strata)
        code = arm * n_strata + stratum
        size = np.bincount(code, minlength=len(arms) * n_strata)
        there = np.flatnonzero(size)
        compact = np.full(size.size, -1, dtype=np.int32)
        compact[there] = np.arange(there.size, dtype=np.int32)
        of = compact[code]
        keys = tuple((int(each) // n_strata, int(each) % n_strata) for each in there)
        end = np.minimum(followed, horizon).astype(np.int32)
        ending = np.bincount(of.astype(np.int64) * horizon + end - 1, minlength=there.size * horizon)
        count = np.cumsum(ending.reshape(there.size, horizon)[:, ::-1], axis=1)[:, ::-1]
        if (count[:, -1] == 0).any():
            _refuse(count, keys, horizon, arms, strata)
        return cls(keys, of, end, np.ascontiguousarray(count), count[:, :1] / count)

    @property
    def horizon(self) -> int:
        """Last day that counts."""
        return int(self.followed.shape[1])

    def by_key(self, values: Floats) -> dict[Cell, Floats]:
        """Name the rows of a matrix (n_cells, ...) by arm and stratum; each is read-only."""
        named = {}
        for key, row in zip(self.keys, values, strict=True):
            row.setflags(write=False)
            named[key] = row
        return named


def _refuse(count: Ints, keys: Sequence[Cell], horizon: int, arms: Sequence[str], strata: Sequence[str]) -> None:
    longest = (count > 0).sum(axis=1)
    worst = int(longest.argmin())
    arm, stratum = keys[worst]
    within = f" in stratum {strata[stratum]!r}" if len(strata) > 1 else ""
    raise FollowUpError(
        f"Nobody in arm {arms[arm]!r}{within} was followed for {horizon} days: the longest follow-up has "
        f"{longest[worst]} days, the day of assignment being the first. Every arm was followed to horizon="
        f"{longest[worst]}: ask for that or less, or wait for the log to grow."
        + (" Wider strata are followed for longer, too." if len(strata) > 1 else "")
    )


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Days of rows, in the order of row and day.

    Attributes
    ----------
    place : (m,) int64
        The row.
    u : (m,) int64
        The day, from 1 on.
    """

    place: Ints
    u: Ints

    def __getitem__(self, which: NDArray[np.bool_]) -> Days:
        """Those of a selection."""
        return Days(self.place[which], self.u[which])


class Sums:
    """Add up what rows bring, chunk by chunk; W by row and m(u) by cell."""

    __slots__ = ("_cells", "_total", "by_row")

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._total = np.zeros(cells.followed.shape)
        self.by_row = np.zeros(cells.of.shape[0])

    def add(self, days: Days, amount: Floats | None = None) -> None:
        """Add an amount (1 by default) that comes on each of the days; days after the end of a row don't count."""
        inside = days.u <= self._cells.end[days.place]
        if not inside.all():
            days, amount = days[inside], None if amount is None else amount[inside]
        if days.u.size == 0:
            return
        horizon = self._cells.horizon
        key = self._cells.of[days.place].astype(np.int64) * horizon + (days.u - 1)
        brought = self._cells.weight.ravel()[key]
        if amount is not None:
            brought = brought * amount
        low, high = int(days.place.min()), int(days.place.max()) + 1
        self.by_row[low:high] += np.bincount(days.place - low, brought, high - low)
        total = np.bincount(key, amount, self._total.size)
        self._total += total.reshape(self._total.shape)

    def add_runs(self, place: Ints, first: Ints, last: Ints) -> None:
        """Add 1 on each day from `first` to `last` of a row; runs without a day don't count."""
        some = last >= first
        place, first, last = place[some], first[some], last[some]
        if place.size == 0:
            return
        n_cells, horizon = len(self._cells.keys), self._cells.horizon
        upto = np.concatenate([np.zeros((n_cells, 1)), np.cumsum(self._cells.weight, axis=1)], axis=1)
        cell = self._cells.of[place].astype(np.int64)
        low, high = int(place.min()), int(place.max()) + 1
        brought = upto[cell, last] - upto[cell, first - 1]
        self.by_row[low:high] += np.bincount(place - low, brought, high - low)
        key = cell * (horizon + 1)
        size = n_cells * (horizon + 1)
        steps = np.bincount(key + first - 1, minlength=size) - np.bincount(key + last, minlength=size)
        self._total += np.cumsum(steps.reshape(n_cells, horizon + 1), axis=1)[:, :horizon]

    def means(self) -> Floats:
        """m(u) of each cell: (n_cells, horizon)."""
        means: Floats = self._total / self._cells.followed
        return means
