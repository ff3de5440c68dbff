"""What may explain the registrations of a day: its weekday and the season, in as many terms as the days can bear."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.notes import note

__all__ = ["Design", "season_design"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What may explain the registrations of n consecutive days.

    Attributes
    ----------
    columns : (n_days, n_terms) float64
    weekday : (n_days,) int64
        0 is Monday.
    week : (n_days,) int64
        Number of the calendar week from Monday, 0 for the first.
    season_terms : int
        Columns that are not weekdays.
    said : tuple of str
        The terms in words.
    """

    columns: Floats
    weekday: NDArray[np.int64]
    week: NDArray[np.int64]
    season_terms: int
    said: tuple[str, ...]

    @property
    def n_weeks(self) -> int:
        """Calendar weeks that have a day."""
        return int(self.week[-1]) + 1


def season_design(first: date, n_days: int, total: int) -> Design:
    """Choose the terms that so many days and registrations can bear.

    Weekdays from 4 weeks and 100 registrations on; a straight line from 4 weeks on, a natural cubic spline with a knot
    for each quarter (half-year, where the log is longer than a year) from a quarter on, and no more knots than one for
    each 20 registrations; two yearly waves where the log is longer than a year.

    Parameters
    ----------
    first : date
    n_days : int
    total : int
        Registrations in all.

    Examples
    --------
    >>> season_design(date(2024, 1, 1), 21, 500).said
    ('a constant level',)
    >>> season_design(date(2024, 1, 1), 400, 5000).said
    ('a smooth trend with 4 knots', 'two yearly waves', 'the day of the week')
    """
    ordinal = np.datetime64(first, "D").astype(np.int64) + np.arange(n_days)
    weekday = (ordinal + 3) % 7  # 1970-01-01 was a Thursday
    year = n_days > 365
    by_days = 1 if n_days < 28 else 2 + n_days // (180 if year else 90)
    knots = max(1, min(by_days, total // 20))
    parts = [_spline(n_days, knots)]
    words = {1: note("a constant level"), 2: note("a straight trend")}
    said = [words.get(knots, note("a smooth trend with {n} knots", n=knots))]
    if year and total >= 200:
        turn = 2 * np.pi * ordinal / 365.2425
        parts.append(np.column_stack([wave(k * turn) for k in (1, 2) for wave in (np.cos, np.sin)]))
        said.append(note("two yearly waves"))
    season = sum(part.shape[1] for part in parts)
    if n_days >= 28 and total >= 100:
        indicator = np.eye(7)[weekday]
        parts.append(indicator[:, :6] - indicator[:, 6:])
        said.append(note("the day of the week"))
    columns = np.column_stack(parts)
    week = (np.arange(n_days) + weekday[0]) // 7
    return Design(columns, weekday, week, season, tuple(said))


def _spline(n_days: int, knots: int) -> Floats:
    """Cardinal basis of natural cubic splines on evenly spaced knots; its columns sum to one."""
    if knots == 1:
        return np.ones((n_days, 1))
    if knots == 2:
        share = np.linspace(0.0, 1.0, n_days)
        return np.column_stack([1 - share, share])
    from scipy.interpolate import CubicSpline

    basis: Floats = CubicSpline(np.linspace(0, n_days - 1, knots), np.eye(knots), bc_type="natural")(np.arange(n_days))
    return basis
