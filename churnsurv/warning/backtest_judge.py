"""What policies would have done on gaps that are known to their end: by pattern, idle day and block of users.

A policy puts users into tiers by their state on each idle day, in the highest whose rule holds. The first alert of a
tier comes on the first idle day from 1 on which a user is in it. A tier of a capacity alerts no more than so many a
calendar day, the most urgent first; the others wait for as long as they are in it. Who is drawn from equals is a
matter of chance, so that a gap has a chance of its first alert on each idle day, which is 0 or 1 without a capacity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.warning.capped import Lines, silent_by
from churnsurv.warning.objectives import Value

__all__ = ["Chances", "Gaps", "Policy", "Sums", "days_in"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


# ---------------------------------------------------------------------------------------------------------- policy


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Who is in which tier.

    Attributes
    ----------
    tier : (n_patterns, idle_days) int64
        Place of the tier on idle days 0, 1, ..., 0 being the highest; n_tiers for none.
    caps : tuple of float
        First alerts a calendar day in each tier; infinite where nothing limits them.
    """

    tier: Ints
    caps: tuple[float, ...]

    @property
    def n_tiers(self) -> int:
        """How many tiers there are."""
        return len(self.caps)

    def members(self, tier: int | None = None) -> Flags:
        """Who is in a tier, or in any; shape (n_patterns, idle_days)."""
        return np.asarray(self.tier < self.n_tiers if tier is None else self.tier == tier)


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """Chances on each idle day, of groups of gaps.

    Attributes
    ----------
    of : (n_groups, idle_days) float64
    row : (n_rows,) int64
        The group of each row of gaps.
    """

    of: Floats
    row: Ints

    def before(self, days: Ints) -> Floats:
        """Their sum over the first so many idle days, for each row."""
        up_to = np.zeros((self.of.shape[0], self.of.shape[1] + 1))
        np.cumsum(self.of, axis=1, out=up_to[:, 1:])
        return np.asarray(up_to[self.row, np.minimum(days, self.of.shape[1])])

    def weighted(self, weight: NDArray[np.floating] | Ints) -> Floats:
        """Their sum over all idle days, each with a weight, for each row."""
        return np.asarray((self.of * weight).sum(axis=1)[self.row])


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
    block, duration, n, pattern : (n_rows,) int64
        As in `GapCounts`; the pattern as in `Patterns`.
    n_patterns, n_blocks, idle_days, n_days : int
        `n_days` are the days on which they begin.
    lines : Lines or None
        Those in which they wait, among them gaps that begin before and after the window; None where nothing limits
        alerts.
    group : (n_rows,) int64 or None
        The group of each row in `lines`.
    """

    block: Ints
    duration: Ints
    n: Ints
    pattern: Ints
    n_patterns: int
    n_blocks: int
    idle_days: int
    n_days: int
    lines: Lines | None = None
    group: Ints | None = None

    @property
    def churned(self) -> Flags:
        """Whether the gaps of a row end in churn; shape (n_rows,)."""
        return np.asarray(self.duration > self.idle_days)

    def by_block(self, values: NDArray[np.floating]) -> Floats:
        """Add up a number of each row by block of users."""
        return np.asarray(np.bincount(self.block, values, self.n_blocks), dtype=np.float64)

    def silent(self) -> tuple[Floats, Floats]:
        """Gaps of each pattern still silent on idle days 0 ... idle_days - 1, and gaps that end in churn."""
        silent = silent_by(self.pattern, self.n_patterns, self.duration, self.n, idle_days=self.idle_days)
        churned = np.bincount(self.pattern, np.where(self.churned, self.n, 0), self.n_patterns)
        return silent, np.asarray(churned, dtype=np.float64)

    def by_pattern(self, values: NDArray[np.generic]) -> Chances:
        """Chances that are those of a pattern; shape (n_patterns, idle_days)."""
        return Chances(np.asarray(values, dtype=np.float64), self.pattern)

    def first_alerts(self, policy: Policy, tiers: Sequence[int] | None, urgency: Floats) -> Chances:
        """Chance that a gap has its first contact in any of these tiers on each idle day, if it is silent then.

        Lots of different tiers are drawn apart from each other.

        Parameters
        ----------
        policy : Policy
        tiers : sequence of int or None
            Places; None for all.
        urgency : (n_patterns, idle_days) float64
            By which those of a capacity are called.
        """
        places = range(policy.n_tiers) if tiers is None else tiers
        if all(np.isinf(policy.caps[place]) for place in places) or self.lines is None or self.group is None:
            return self.by_pattern(_first(np.isin(policy.tier, list(places))))
        alone = [self._alone(self.lines, policy, place, urgency) for place in places]
        none_yet = [1.0 - (np.cumsum(each, axis=1) - each) for each in alone]
        # a user is in one tier a day, and may have been alerted in another one before
        found = np.zeros_like(self.lines.silent)
        for place, each in enumerate(alone):
            others = [left for other, left in enumerate(none_yet) if other != place]
            found += each * np.prod(others, axis=0)
        return Chances(found, self.group)

    def _alone(self, lines: Lines, policy: Policy, place: int, urgency: Floats) -> Floats:
        """First alerts of one tier by group of the lines."""
        there = _waits(policy.members(place))
        if np.isinf(policy.caps[place]):
            return np.asarray(_first(there)[lines.pattern])
        return lines.alerts(there, urgency, policy.caps[place])

    def sums(self, first: Chances, inside: Chances, worth: Value | None) -> Sums:
        """What those in a tier were.

        Parameters
        ----------
        first : Chances
            Of the first alert.
        inside : Chances
            Of being in the tier.
        worth : Value or None
            What a contact on the first day is worth.
        """
        idle, days = self.idle_days, np.arange(self.idle_days)
        n, lost = self.n.astype(np.float64), self.churned
        alerted, churners = n * first.before(self.duration), n * lost
        rows = n * inside.before(self.duration)
        value = np.full(n.size, np.nan)
        if worth is not None:
            curve = np.concatenate([[0.0], worth.worth(days[1:])])
            value = churners * first.weighted(curve) - alerted * float(worth.contact_cost or 0.0)
        add = self.by_block
        return Sums(
            gaps=add(n),
            churned=add(churners),
            alerts=add(alerted),
            right=add(alerted * lost),
            lead=add(churners * first.weighted(idle - days)),
            value=add(value),
            rows=add(rows),
            rows_right=add(rows * lost),
            n_days=float(self.n_days),
        )

    def changes(self, policy: Policy) -> tuple[float, float]:
        """How often users change their tier while they are silent, and how often it is down or out of all tiers."""
        before, after = policy.tier[:, :-1], policy.tier[:, 1:]
        lasts = np.minimum(self.duration, self.idle_days) - 1
        each, down = (days_in(flags)[self.pattern, lasts] for flags in (after != before, after > before))
        return float((self.n * each).sum()), float((self.n * down).sum())

    def hits(self, members: Flags, horizon: int) -> tuple[float, float, float, float]:
        """User-days in all, with churn within `horizon` days, foretold, and both.

        Churn within h days of idle day d is only possible from d = idle_days - h on, and then is the end of the gap; it
        is foretold by a tier on these days.
        """
        idle, n, lost = self.idle_days, self.n.astype(np.float64), self.churned
        late = members & (np.arange(idle) >= idle - horizon)
        foretold = n * days_in(late)[self.pattern, np.minimum(self.duration, idle)]
        rows = float((n * np.minimum(self.duration, idle)).sum())
        return rows, float((n * lost).sum()) * horizon, float(foretold.sum()), float((foretold * lost).sum())


def _waits(members: Flags) -> Flags:
    """Without idle day 0, on which nobody is alerted."""
    found = members.copy()
    found[:, 0] = False
    return found


def _first(members: Flags) -> Floats:
    """1 on the first idle day from 1 on with members, 0 on all others."""
    there = _waits(members)
    return np.asarray(there & (np.cumsum(there, axis=1) == 1), dtype=np.float64)


def days_in(members: Flags) -> Ints:
    """Days in a tier among the first 0, 1, ... idle days; shape (n_patterns, idle_days + 1)."""
    found = np.zeros((members.shape[0], members.shape[1] + 1), dtype=np.int64)
    np.cumsum(members, axis=1, out=found[:, 1:])
    return found
