"""Which levels of experience have an estimate: enough gaps with it and without, of enough users, both outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.experience_gaps import FEWEST, KnownGaps
from churnsurv.notes import note

__all__ = ["FEWEST_USERS", "Absent", "Asked", "Level", "varies"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

#: Users, counted by how evenly the churns that are expected of them are spread, that a level needs.
FEWEST_USERS = 5
_MOST_LEFT_OUT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Something that gaps are told apart by.

    Attributes
    ----------
    kind : str
        Kind of problem, or topic.
    what : str
        The level in words.
    reference : str
        What it is compared with.
    marked : (m,) bool
        Patterns of which it is true.
    values : (m,) float64, or None
        The number that the hazard depends on, in place of yes and no; they are compared with one another.
    unit : float
        What a value of 1 is in the unit that the ratio is told for.
    shown : bool
        False for what is only adjusted for.
    beside : bool
        True for what is of interest beside other levels alone: those who did not answer.
    base : (m,) bool, or None
        Patterns that it is compared with; by default those of no level of its kind.
    """

    kind: str
    what: str
    reference: str
    marked: Flags
    values: Floats | None = None
    unit: float = 1.0
    shown: bool = True
    beside: bool = False
    base: Flags | None = None

    @property
    def column(self) -> Floats:
        """What enters the model."""
        return self.marked.astype(np.float64) if self.values is None else self.values


@dataclass(frozen=True, slots=True)
class Absent:
    """A level that has no estimate, and why."""

    kind: str
    what: str
    why: str
    n_exposed: int
    n_churned: int

    def of(self, model: str) -> Absent:
        """The same, with the model that it is absent from."""
        return replace(self, what=note("{what} ({model})", what=self.what, model=model))

    def row(self) -> Mapping[str, Any]:
        """As a row of schema "experience_absent"."""
        return {
            "kind": self.kind,
            "what": self.what,
            "why": self.why,
            "n_exposed": self.n_exposed,
            "n_churned": self.n_churned,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The patterns that count, and the levels that have an estimate among them.

    Attributes
    ----------
    levels : tuple of Level
    absent : tuple of Absent
    n, d : (m,) float64
        Gaps and churned gaps; 0 for patterns that are left out.
    """

    levels: tuple[Level, ...]
    absent: tuple[Absent, ...]
    n: Floats
    d: Floats

    @classmethod
    def of(cls, known: KnownGaps, levels: Sequence[Level], left_out: Flags | None = None) -> Asked:
        """Leave out levels with too few gaps, and the gaps themselves: they are no reference for others.

        Whatever the order of the levels: all that have nothing to be compared with go first, then all others that
        lack something, until nothing does. What has nothing to be compared with goes with all levels of its kind, and
        leaves its gaps in: what nearly all gaps have tells them apart as little as what none has.
        """
        n, d = (each.astype(np.float64) for each in known.counts)
        if left_out is not None:
            n, d = np.where(left_out, 0.0, n), np.where(left_out, 0.0, d)
        return cls(tuple(_with_base(levels)), (), n, d)._settled(known)

    def without(self, known: KnownGaps, gone: Mapping[int, str]) -> Asked:
        """Take out levels, by their place, with the reason, and their gaps."""
        out = [(self.levels[place], why) for place, why in gone.items()]
        return self._dropped(out, taking=True)._settled(known)

    @property
    def answerable(self) -> bool:
        """Whether there is a level to estimate, and gaps enough."""
        return any(level.shown and not level.beside for level in self.levels)

    def too_few_left(self, known: KnownGaps) -> bool:
        """Whether most gaps are left out."""
        return bool(self.n.sum() < (1 - _MOST_LEFT_OUT) * known.user.size)

    def _settled(self, known: KnownGaps) -> Asked:
        asked = self
        while True:
            lacking = [(level, _lack(known, level, asked.n, asked.d)) for level in asked.levels]
            alone = {level.kind: lack.why for level, lack in lacking if lack is not None and lack.alone}
            if alone:
                all_of_kind = [(each, lack) for each, lack in lacking if each.kind in alone]
                gone = [(each, alone[each.kind] if lack is None else lack.why) for each, lack in all_of_kind]
            else:
                gone = [(level, lack.why) for level, lack in lacking if lack is not None]
            if not gone:
                return asked
            asked = asked._dropped(gone, taking=not alone)

    def _dropped(self, gone: Sequence[tuple[Level, str]], *, taking: bool) -> Asked:
        """Without some levels, and perhaps their gaps."""
        absent = [
            Absent(each.kind, each.what, why, int(self.n[each.marked].sum()), int(self.d[each.marked].sum()))
            for each, why in gone
        ]
        out = np.zeros(self.n.size, dtype=np.bool_)
        for level, _ in gone if taking else ():
            out |= level.marked
        names = {id(level) for level, _ in gone}
        return Asked(
            tuple(level for level in self.levels if id(level) not in names),
            (*self.absent, *absent),
            np.where(out, 0.0, self.n),
            np.where(out, 0.0, self.d),
        )


def _with_base(levels: Sequence[Level]) -> list[Level]:
    taken: dict[str, Flags] = {}
    for level in levels:
        taken[level.kind] = level.marked | taken.get(level.kind, np.False_)
    return [level if level.base is not None else replace(level, base=~taken[level.kind]) for level in levels]


@dataclass(frozen=True, slots=True)
class _Lack:
    """What a level lacks; `alone` where it is something to be compared with."""

    why: str
    alone: bool


def _lack(known: KnownGaps, level: Level, n: Floats, d: Floats) -> _Lack | None:
    if n[level.marked].sum() == 0:
        return _Lack(note("no gap began with it"), alone=False)
    # by what gaps like these do, not by what these did: to choose by the outcome is to bias the estimate
    rate = _rate(known, n, d)
    why = _too_few_gaps(level.marked & (n > 0), rate, n, note("gaps like its own"))
    if why is not None:
        return _Lack(why, alone=False)
    among = _comparable(known, level, n, d)[known.cell] & (n > 0)
    marked = level.marked & among
    if not marked.any():
        return _Lack(note("no gap without it to compare with, all else equal"), alone=True)
    why = _too_few_gaps(marked, rate, n, note("its gaps that others can be compared with"))
    if why is not None:
        return _Lack(why, alone=True)
    why = _too_alike(known, marked, rate, n, d, note("its gaps"))
    if why is not None:
        return _Lack(why, alone=False)
    if level.values is not None or level.base is None:
        return None
    base = level.base & among
    others = note("the gaps to compare with")
    why = _too_few_gaps(base, rate, n, others) or _too_alike(known, base, rate, n, d, others)
    return None if why is None else _Lack(why, alone=True)


def _too_few_gaps(which: Flags, rate: Floats, n: Floats, gaps: str) -> str | None:
    there, expected = float(n[which].sum()), float(n[which] @ rate[which])
    if expected < FEWEST:
        return note("of {gaps} fewer than {least} would end in churn", gaps=gaps, least=FEWEST)
    if there - expected < FEWEST:
        return note("of {gaps} fewer than {least} would end in a return", gaps=gaps, least=FEWEST)
    return None


def _too_alike(known: KnownGaps, which: Flags, rate: Floats, n: Floats, d: Floats, gaps: str) -> str | None:
    there, churned = float(n[which].sum()), float(d[which].sum())
    if _users(known, which, rate) < FEWEST_USERS:
        return note("{gaps} are, in effect, those of fewer than {least} users", gaps=gaps, least=FEWEST_USERS)
    if churned in (0, there):
        return note(
            "none of {gaps} ended in churn: the hazard ratio has no limit"
            if churned == 0
            else "all of {gaps} ended in churn: the hazard ratio has no limit",
            gaps=gaps,
        )
    return None


def _users(known: KnownGaps, which: Flags, rate: Floats) -> float:
    """Users in effect: as many as would be if churns were expected of all of them alike (Kish's number)."""
    rows = np.flatnonzero(which[known.pattern])
    own = np.bincount(known.user[rows], rate[known.pattern[rows]])
    return float(own.sum() ** 2 / (own**2).sum())


def _by_cell(known: KnownGaps, n: Floats, d: Floats) -> tuple[Floats, Floats]:
    size = int(known.cell.max(initial=0)) + 1
    total, churned = np.bincount(known.cell, n, size), np.bincount(known.cell, d, size)
    return total.astype(np.float64), churned.astype(np.float64)


def _rate(known: KnownGaps, n: Floats, d: Floats) -> Floats:
    """Share of the gaps of its cell that churned, for each pattern."""
    total, churned = _by_cell(known, n, d)
    return np.asarray((churned / np.maximum(total, 1.0))[known.cell], dtype=np.float64)


def _comparable(known: KnownGaps, level: Level, n: Floats, d: Floats) -> Flags:
    """Cells with both outcomes in which there are gaps with the level and gaps that it is compared with."""
    total, churned = _by_cell(known, n, d)
    both: Flags = (churned > 0) & (churned < total)
    if level.values is not None or level.base is None:
        return both & _spread(level.column, known, level.marked & (n > 0))
    there = np.bincount(known.cell, n * level.marked, total.size) > 0
    others = np.bincount(known.cell, n * level.base, total.size) > 0
    return both & there & others


def _spread(column: Floats, known: KnownGaps, which: Flags) -> Flags:
    """Cells in which a column differs."""
    size = int(known.cell.max(initial=0)) + 1
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, known.cell[which], column[which])
    np.maximum.at(high, known.cell[which], column[which])
    return np.asarray(high > low)


def varies(column: Floats, known: KnownGaps, n: Floats, d: Floats) -> bool:
    """Whether a column differs within cells that have both outcomes."""
    total, churned = _by_cell(known, n, d)
    return bool((_spread(column, known, n > 0) & (churned > 0) & (churned < total)).any())
