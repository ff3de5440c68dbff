"""What policies would have done on gaps that are known to their end: by cell, idle day and block of users.

A policy puts users into tiers by their cell and their idle day. On idle day d a user is in the highest tier whose rule
holds; the first alert of a tier is the first idle day from 1 on which a user is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.warning.objectives import Value
from churnsurv.warning.rules import IDLE_DAYS, Rule

if TYPE_CHECKING:
    from churnsurv.data.gap_counts import GapCounts

__all__ = ["Cells", "Gaps", "Policy", "Sums", "cells_of", "check_rule", "cuts_of", "policy_of"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


# ----------------------------------------------------------------------------------------------------------- rules


def check_rule(rule: Rule, known: Sequence[str], what: str) -> None:
    """Raise what keeps a rule from being judged: other variables, or that it holds on idle day 0.

    Raises
    ------
    InputError
    """
    for variable in rule.variables:
        if variable != IDLE_DAYS and variable not in known:
            have = f"besides idle_days they are {', '.join(known)}" if known else "there is only idle_days"
            raise InputError(f"{what}: {rule} looks at {variable!r}, which is not among the variables; {have}.")
    for conditions in rule.alternatives:
        waits = any(
            each.variable == IDLE_DAYS
            and (each.threshold >= 0 if each.sign == ">" else each.sign == ">=" and each.threshold > 0)
            for each in conditions
        )
        if not waits:
            text = " and ".join(map(str, conditions))
            raise InputError(f"{what}: {text!r} holds on the day of an activity. Add 'idle_days > 0' or more.")


def cuts_of(rules: Sequence[Rule], grids: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Cuts of each variable between which no rule changes, those of `grids` among them."""
    found = {name: set(map(float, cuts)) for name, cuts in grids.items()}
    for rule in rules:
        for conditions in rule.alternatives:
            for each in conditions:
                if each.variable != IDLE_DAYS:
                    # a cell holds its lower cut: what is above a threshold begins at the next number
                    above = each.sign in (">", "<=")
                    cut = math.nextafter(each.threshold, math.inf) if above else each.threshold
                    found.setdefault(each.variable, set()).add(cut)
    return {name: tuple(sorted(cuts)) for name, cuts in found.items() if cuts}


# ----------------------------------------------------------------------------------------------------------- cells


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The combinations of cells that occur.

    Attributes
    ----------
    states : Mapping of str to (n_cells,) float64
        A number of the cell, the same for every rule as any other in it; NaN where a variable is missing.
    n_cells : int
    rows : tuple of (n_rows,) int64
        The cell of each row of each of the counts.
    """

    states: Mapping[str, Floats]
    n_cells: int
    rows: tuple[Ints, ...]


def cells_of(counts: Sequence[GapCounts], missing: Mapping[str, float]) -> Cells:
    """The cells of several counts over the same grids."""
    grids = counts[0].grids
    if not grids:
        return Cells({}, 1, tuple(np.zeros(each.n.size, dtype=np.int64) for each in counts))
    stacked = np.concatenate([np.column_stack([each.cells[name] for name in grids]) for each in counts])
    distinct, row = np.unique(stacked, axis=0, return_inverse=True)
    states = {}
    for place, (name, cuts) in enumerate(grids.items()):
        numbers = np.array([-np.inf, *cuts, missing.get(name, np.nan)])
        states[name] = numbers[distinct[:, place]]
    ends = np.cumsum([each.n.size for each in counts])[:-1]
    return Cells(states, len(distinct), tuple(np.split(row.ravel().astype(np.int64), ends)))


# ---------------------------------------------------------------------------------------------------------- policy


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Who is in which tier.

    Attributes
    ----------
    tier : (n_cells, idle_days) int64
        Place of the tier on idle days 0, 1, ..., 0 being the highest; n_tiers for none.
    n_tiers : int
    """

    tier: Ints
    n_tiers: int

    def members(self, tier: int | None = None, *, or_higher: bool = False) -> Flags:
        """Who is in a tier, or in any; shape (n_cells, idle_days)."""
        if tier is None:
            return np.asarray(self.tier < self.n_tiers)
        return np.asarray(self.tier <= tier if or_higher else self.tier == tier)


def policy_of(rules: Sequence[Rule], cells: Cells, idle_days: int) -> Policy:
    """The policy of rules, highest tier first."""
    tier = np.full((cells.n_cells, idle_days), len(rules), dtype=np.int64)
    for day in range(idle_days):
        table = {**cells.states, IDLE_DAYS: np.full(cells.n_cells, float(day))}
        for place in reversed(range(len(rules))):
            tier[rules[place].holds(table), day] = place  # type: ignore[arg-type]
    return Policy(tier, len(rules))


# ------------------------------------------------------------------------------------------------------------ sums


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Totals of one policy, or of one tier of it; shape (n_blocks,) float64 but for n_days.

    Attributes
    ----------
    gaps, churned
        Gaps, and those that ended in churn.
    alerts, right, lead
        First alerts, those of them whose gap ended in churn, and the sum over the latter of the days from alert to
        churn.
    value
        Net benefit; NaN where nothing says what a contact is worth.
    rows, rows_right
        User-days in the tier, and those of them whose gap ended in churn.
    n_days : float
        Days on which the gaps began.
    """

    gaps: Floats
    churned: Floats
    alerts: Floats
    right: Floats
    lead: Floats
    value: Floats
    rows: Floats
    rows_right: Floats
    n_days: float

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """The gaps of one window.

    Attributes
    ----------
    counts : GapCounts
    cell : (n_rows,) int64
        See `Cells.rows`.
    n_cells : int
    """

    counts: GapCounts
    cell: Ints
    n_cells: int

    @property
    def churned(self) -> Flags:
        """Whether the gaps of a row end in churn; shape (n_rows,)."""
        return np.asarray(self.counts.duration > self.counts.idle_days)

    def by_block(self, values: NDArray[np.floating]) -> Floats:
        """Add up a number of each row by block of users."""
        return np.asarray(np.bincount(self.counts.block, values, self.counts.n_blocks), dtype=np.float64)

    def silent(self) -> tuple[Ints, Ints]:
        """Gaps of each cell still silent on idle days 0 ... idle_days - 1, and gaps that end in churn."""
        idle = self.counts.idle_days
        by_length = np.bincount(
            self.cell * (idle + 2) + self.counts.duration, self.counts.n, self.n_cells * (idle + 2)
        ).reshape(self.n_cells, idle + 2)
        longer = by_length[:, ::-1].cumsum(axis=1)[:, ::-1]
        return longer[:, 1 : idle + 1].astype(np.int64), by_length[:, idle + 1].astype(np.int64)

    def sums(self, members: Flags, worth: Value | None) -> Sums:
        """What those in a tier were.

        Parameters
        ----------
        members : (n_cells, idle_days) bool
        worth : Value or None
            What a contact on the first day is worth.
        """
        counts, idle = self.counts, self.counts.idle_days
        n, lost = counts.n.astype(np.float64), self.churned
        there = members[:, 1:]
        first = np.where(there.any(axis=1), there.argmax(axis=1) + 1, idle)[self.cell]
        alerted = np.where((first < idle) & (counts.duration > first), n, 0.0)
        right = alerted * lost
        rows = n * days_in(members)[self.cell, np.minimum(counts.duration, idle)]
        value = np.full(n.size, np.nan)
        if worth is not None:
            curve = np.concatenate([[0.0], worth.worth(np.arange(1, idle)), [0.0]])
            value = right * curve[first] - alerted * float(worth.contact_cost or 0.0)
        add = self.by_block
        return Sums(
            gaps=add(n),
            churned=add(n * lost),
            alerts=add(alerted),
            right=add(right),
            lead=add(right * (idle - first)),
            value=add(value),
            rows=add(rows),
            rows_right=add(rows * lost),
            n_days=float(counts.n_days),
        )

    def hits(self, members: Flags, horizon: int) -> tuple[float, float, float, float]:
        """User-days in all, with churn within `horizon` days, foretold, and both.

        Churn within h days of idle day d is only possible from d = idle_days - h on, and then is the end of the gap; it
        is foretold by a tier on these days.
        """
        counts, idle = self.counts, self.counts.idle_days
        n, lost = counts.n.astype(np.float64), self.churned
        late = members & (np.arange(idle) >= idle - horizon)
        foretold = n * days_in(late)[self.cell, np.minimum(counts.duration, idle)]
        rows = float((n * np.minimum(counts.duration, idle)).sum())
        return rows, float((n * lost).sum()) * horizon, float(foretold.sum()), float((foretold * lost).sum())


def days_in(members: Flags) -> Ints:
    """Days in a tier among the first 0, 1, ... idle days; shape (n_cells, idle_days + 1)."""
    found = np.zeros((members.shape[0], members.shape[1] + 1), dtype=np.int64)
    np.cumsum(members, axis=1, out=found[:, 1:])
    return found
