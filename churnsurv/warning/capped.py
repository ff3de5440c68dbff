"""The lines in which silent users wait for a contact, day by day, where only so many can be worked off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.gap_counts import GapCounts
from churnsurv.numerics.daily_capacity import capped_alerts

__all__ = ["Lines", "days_silent", "lines_of", "silent_by"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Gaps by the day on which they begin and by pattern.

    Attributes
    ----------
    start : (n_groups,) int64
        Day on which the gaps of a group begin, as a number.
    pattern : (n_groups,) int64
    silent : (n_groups, idle_days) float64
        How many are still silent on idle days 0 ... idle_days - 1, as far as the log goes.
    """

    start: Ints
    pattern: Ints
    silent: Floats

    def alerts(self, may: Flags, urgency: Floats, per_day: float) -> Floats:
        """Chance of a first alert on each idle day, if still silent then; shape (n_groups, idle_days).

        Parameters
        ----------
        may : (n_patterns, idle_days) bool
            Where an alert may come.
        urgency : (n_patterns, idle_days) float64
        per_day : float
            First alerts a calendar day.
        """
        return capped_alerts(
            self.start, self.pattern, self.silent, np.where(may, urgency, np.nan), per_day=float(per_day)
        )


def lines_of(start: Ints, pattern: Ints, length: Ints, n: Ints, *, idle_days: int) -> tuple[Lines, Ints]:
    """The lines of gaps, and the group of each row.

    Parameters
    ----------
    start, pattern, n : (n_rows,) int64
    length : (n_rows,) int64
        A gap is silent on idle day d where its length is above d; see `days_silent`.
    idle_days : int
    """
    width = int(pattern.max(initial=0)) + 1
    key, group = np.unique(start * width + pattern, return_inverse=True)
    group = group.reshape(-1).astype(np.int64)
    return Lines(key // width, key % width, silent_by(group, key.size, length, n, idle_days=idle_days)), group


def silent_by(group: Ints, n_groups: int, length: Ints, n: Ints, *, idle_days: int) -> Floats:
    """Gaps of each group still silent on idle days 0 ... idle_days - 1; shape (n_groups, idle_days)."""
    width = idle_days + 1
    counted = np.bincount(group * width + np.minimum(length, idle_days), n, n_groups * width)
    longer = counted.reshape(n_groups, width)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return np.asarray(longer[:, 1:], dtype=np.float64)


def days_silent(counts: GapCounts) -> Ints:
    """One more than the last idle day on which the gaps of each row are known to be silent; shape (n_rows,).

    Of a gap that the log ends after c days that is c + 1, of one with a return after c days c.
    """
    ended = counts.returned | (counts.duration > counts.idle_days)
    return np.asarray(counts.duration + ~ended, dtype=np.int64)
