"""Rules that people read: "idle_days > 15 and balance < 100", alone or two of them joined by "or"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IDLE_DAYS", "Condition", "Rule"]

IDLE_DAYS = "idle_days"
SIGNS = ("<", ">=", ">", "<=")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a variable with a threshold.

    A missing value fulfils no condition, as in SQL.

    Parameters
    ----------
    variable : str
    sign : {"<", ">=", ">", "<="}
    threshold : float
        Finite.

    Raises
    ------
    InputError
        If the sign is none of the four or the threshold is not a finite number.

    Examples
    --------
    >>> str(Condition("balance", "<", 100.0))
    'balance < 100'
    """

    variable: str
    sign: str
    threshold: float

    def __post_init__(self) -> None:
        if self.sign not in SIGNS:
            raise InputError(f"The sign of a condition is one of {', '.join(SIGNS)}; got {self.sign!r}.")
        if isinstance(self.threshold, bool) or not np.isfinite(self.threshold):
            raise InputError(f"The threshold of {self.variable} must be a finite number; got {self.threshold!r}.")
        object.__setattr__(self, "threshold", float(self.threshold))

    def __str__(self) -> str:
        return f"{self.variable} {self.sign} {self.threshold:,.12g}"

    def holds(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the condition holds for each value; NaN: it does not."""
        compare = {"<": np.less, ">=": np.greater_equal, ">": np.greater, "<=": np.less_equal}[self.sign]
        return np.asarray(compare(np.asarray(values, dtype=np.float64), self.threshold))


@dataclass(frozen=True, slots=True)
class Rule:
    """Alternatives, each a list of conditions that must all hold; no alternative: the rule never fires.

    Parameters
    ----------
    alternatives : sequence of sequences of Condition
        At most two, of at most three conditions each.

    Examples
    --------
    >>> rule = Rule([[Condition("idle_days", ">", 15), Condition("balance", "<", 100)]])
    >>> str(rule)
    'idle_days > 15 and balance < 100'
    >>> rule.holds({"idle_days": [15, 16, 16], "balance": [50, 50, 100]}).tolist()
    [False, True, False]
    """

    alternatives: tuple[tuple[Condition, ...], ...] = ()

    def __post_init__(self) -> None:
        alternatives = tuple(tuple(conditions) for conditions in self.alternatives)
        if len(alternatives) > 2 or any(not 1 <= len(conditions) <= 3 for conditions in alternatives):
            raise InputError("A rule has at most two alternatives of one to three conditions each.")
        object.__setattr__(self, "alternatives", alternatives)

    def __str__(self) -> str:
        if not self.alternatives:
            return "contact nobody"
        texts = [" and ".join(map(str, conditions)) for conditions in self.alternatives]
        return texts[0] if len(texts) == 1 else " or ".join(f"({text})" for text in texts)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of what the rule looks at, each once, in the order of the text."""
        return tuple(dict.fromkeys(c.variable for conditions in self.alternatives for c in conditions))

    def fired(self, table: pd.DataFrame | Mapping[str, Sequence[float]]) -> NDArray[np.bool_]:
        """Whether each condition of each alternative holds: shape (n_rows, n_conditions in all)."""
        found = [c.holds(_column(table, c.variable)) for conditions in self.alternatives for c in conditions]
        return np.column_stack(found) if found else np.zeros((_length(table), 0), dtype=np.bool_)

    def holds(self, table: pd.DataFrame | Mapping[str, Sequence[float]]) -> NDArray[np.bool_]:
        """Whether the rule fires for each row of a table that has its variables; shape (n_rows,)."""
        fires = np.zeros(_length(table), dtype=np.bool_)
        for conditions in self.alternatives:
            fires |= np.logical_and.reduce([c.holds(_column(table, c.variable)) for c in conditions])
        return fires

    def to_plain(self) -> list[list[dict[str, Any]]]:
        """The rule as nested lists that JSON can hold."""
        return [
            [{"variable": c.variable, "sign": c.sign, "threshold": c.threshold} for c in conditions]
            for conditions in self.alternatives
        ]

    @classmethod
    def from_plain(cls, plain: Sequence[Sequence[Mapping[str, Any]]]) -> Rule:
        """The rule that `to_plain` wrote down."""
        return cls(tuple(tuple(Condition(**condition) for condition in conditions) for conditions in plain))


def _column(table: pd.DataFrame | Mapping[str, Sequence[float]], name: str) -> NDArray[np.float64]:
    if name not in table:
        raise InputError(f"The rule looks at {name!r}, which the table lacks.")
    values = table[name]
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy(dtype="float64", na_value=np.nan))
    return np.asarray(values, dtype=np.float64)


def _length(table: pd.DataFrame | Mapping[str, Sequence[float]]) -> int:
    return len(table) if hasattr(table, "columns") else len(next(iter(table.values()), ()))
