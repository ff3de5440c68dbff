"""How many rows a day should have, from the days of the weeks before, and between which limits ordinary days stay.

Counts are put on the scale of square roots, y = sqrt(n + 3/8), on which a Poisson count has standard deviation 1/2
whatever its mean (Anscombe 1948); more than that is overdispersion, and is measured. The days of the last w weeks are a
table of w weeks by 7 weekdays, taken apart by median polish (Tukey 1977): y = level + week + weekday + rest. With r the
last week and c the weekday of the day in question,

    recent = level + week_r + weekday_c,    usual = level + weekday_c,
    spread = max(1/2 sqrt(m), 1.4826 median |rest| sqrt(7 w / (7 w - w - 6))),
    limits = min(recent, usual) - z s, max(recent, usual) + z s,    s = spread sqrt(1 + pi/2 (1/7 + 1/w)),

squared again; m is how many rows come together, events of one user on one day. Medians do not move with a holiday, a
campaign or a day that was half there; a level that fell or rose for a week does not make the day on which it goes back
suspicious, since a limit is beyond both levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST_WEEKS", "Limits", "limits_of", "one_level"]

Counts: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

#: Weeks without which nothing is expected.
FEWEST_WEEKS = 3
_SHIFT = 0.375
_POISSON = 0.5
_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What is expected of a day.

    Attributes
    ----------
    expected : float
        Rows.
    least : float
        What is expected at the lower of the two levels, of the last week and of the weeks before: what a thin day is
        measured against.
    lower, upper : float
        Where ordinary days stay.
    spread : float
        Of a count's square root.
    """

    expected: float
    least: float
    lower: float
    upper: float
    spread: float

    def depth(self, n: int) -> float:
        """By how many spreads a count is below what is expected at the lower level."""
        return (_root(self.least) - _root(n)) / self.spread


def limits_of(counts: Counts, *, z: float, together: float = 1.0) -> Limits:
    """Limits of a day from the counts of the weeks before it.

    Parameters
    ----------
    counts : (7 w,) int64
        Of the 7 w days before, oldest first.
    z : float
        How many standard deviations ordinary days may differ.
    together : float
        How many rows come together on average: users come by themselves, their events do not.

    Examples
    --------
    >>> found = limits_of(np.full(56, 100), z=4.0)
    >>> round(found.expected), round(found.lower), round(found.upper)
    (100, 58, 153)
    """
    table = np.sqrt(np.asarray(counts, dtype=np.float64).reshape(-1, 7) + _SHIFT)
    n_weeks = table.shape[0]
    level, week, weekday, rest = _polished(table)
    # the first column is the weekday seven days before, the last row the last week
    usual = level + weekday[0]
    recent = usual + week[-1]
    freedom = 7 * n_weeks / max(7 * n_weeks - n_weeks - 6, 1)
    least = _POISSON * math.sqrt(max(together, 1.0))
    spread = max(least, 1.4826 * float(np.median(np.abs(rest))) * math.sqrt(freedom))
    return _limits(recent, min(recent, usual), max(recent, usual), spread, z, math.pi / 2 * (1 / 7 + 1 / n_weeks))


def one_level(expected: float, *, z: float, spread: float = _POISSON, n: int = 1) -> Limits:
    """Limits about a number expected from `n` others, with a spread that is known.

    Examples
    --------
    >>> found = one_level(100, z=4.0)
    >>> round(found.lower), round(found.upper)
    (51, 165)
    """
    root = _root(expected)
    return _limits(root, root, root, spread, z, 1 / n)


def _limits(recent: float, low: float, high: float, spread: float, z: float, of_level: float) -> Limits:
    reach = z * spread * math.sqrt(1 + of_level)
    return Limits(
        expected=_count(recent), least=_count(low), lower=_count(low - reach), upper=_count(high + reach), spread=spread
    )


def _root(n: float) -> float:
    return math.sqrt(max(n, 0.0) + _SHIFT)


def _count(root: float) -> float:
    return max(max(root, 0.0) ** 2 - _SHIFT, 0.0)


def _polished(table: Floats) -> tuple[float, Floats, Floats, Floats]:
    """Median polish: level, effects of rows and of columns, and what is left."""
    rest = table.copy()
    level, rows, columns = 0.0, np.zeros(table.shape[0]), np.zeros(table.shape[1])
    for _ in range(_ROUNDS):
        by_row = np.median(rest, axis=1)
        rest -= by_row[:, None]
        rows += by_row
        by_column = np.median(rest, axis=0)
        rest -= by_column
        columns += by_column
        for effects in (rows, columns):
            middle = float(np.median(effects))
            effects -= middle
            level += middle
        if max(np.abs(by_row).max(), np.abs(by_column).max()) < 1e-9:
            break
    return level, rows, columns, rest
