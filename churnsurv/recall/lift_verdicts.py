"""One check of a campaign, and what its p-value says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Check", "verdict"]

_BROKEN, _LOOK = 0.001, 0.01


def verdict(p_value: float | None) -> str:
    """Return "broken" below 0.001, "look" below 0.01, else "fine".

    Examples
    --------
    >>> [verdict(p) for p in (0.5, 0.005, 1e-6, None)]
    ['fine', 'look', 'broken', 'fine']
    """
    if p_value is None or not np.isfinite(p_value):
        return "fine"
    return "broken" if p_value < _BROKEN else "look" if p_value < _LOOK else "fine"


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the checks; `told` is the verdict where it is not that of the p-value."""

    check: str
    campaign: str
    arm: str | None
    n: float | None = None
    expected: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    words: str = ""
    told: str | None = None

    def row(self) -> tuple[object, ...]:
        """The values in the order of the schema."""
        told = self.told or verdict(self.p_value)
        return (
            *(self.check, self.campaign, self.arm, self.n, self.expected, self.statistic, self.p_value, told),
            self.words,
        )
