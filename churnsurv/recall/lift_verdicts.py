"""One check of a campaign, and what its p-value says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from churnsurv.notes import Note, note
from churnsurv.tables.said import said_as

__all__ = ["CHECKS", "Check", "verdict"]

_BROKEN, _LOOK = 0.001, 0.01

#: What is looked at.
CHECKS: Mapping[str, Note] = MappingProxyType(
    {
        str(each): each
        for each in (
            note("sample ratio"),
            note("share over time"),
            note("left out"),
            note("follow-up"),
            note("A/A before"),
            note("contamination"),
            note("immortal time"),
            note("overlaps"),
            note("overlap"),
            note("balance after weighting"),
        )
    }
    # the balance of a user is another word in most languages
    | {"balance": said_as("balance", note("balance of the arms"))}
)


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
            *(CHECKS[self.check], self.campaign, self.arm, self.n, self.expected, self.statistic, self.p_value, told),
            self.words,
        )
