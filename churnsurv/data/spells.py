"""Spells: one row for each run of a user's life, ready for curves, tests and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.data.arrow import to_pandas
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.clock import Clock
    from churnsurv.data.rule import ChurnRule
    from churnsurv.data.spells_sql import Window

__all__ = ["Spells"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spells(Result):
    """Spells of users under one churn rule; made by `ActivityLog.churn_spells`.

    Attributes
    ----------
    counts : Mapping of str to int
        Rows returned and rows left out, by reason; days at risk and days with activity.
    rule : ChurnRule
    spells : {"first", "all"}
        Whether returns are among the rows.
    left_truncated : {"exclude", "assume_first_spell"}
        What became of first spells whose origin the log cannot vouch for.
    baseline_day : int or None
        Day after origin at whose end features were taken.
    known_at : Mapping of str to str
        When each column beside the schema is known: origin, day N, or given.
    window : Window
        First and last day that the log covers.
    clock : Clock
        What a time means and whose midnight ends a day.
    """

    _schema: ClassVar[str] = "spells"

    counts: Mapping[str, int]
    rule: ChurnRule
    spells: str
    left_truncated: str
    baseline_day: int | None
    known_at: Mapping[str, str]
    window: Window
    clock: Clock
    _table: pa.Table
    _rejects: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        object.__setattr__(self, "known_at", MappingProxyType(dict(self.known_at)))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table in the order of user and spell; dates are ``datetime64[s]``, text of few values categorical."""
        return to_pandas(self._table)

    @property
    def rejects(self) -> pd.DataFrame:
        """Every row of the input that could not be used, with its reason; schema "rejects"."""
        return to_pandas(self._rejects)

    def _headline(self) -> str:
        which = "first spells" if self.spells == "first" else "spells"
        baseline = "" if self.baseline_day is None else f", features of day {self.baseline_day}"
        return (
            f"{self.counts['spells']:,} {which} of {self.counts['users']:,} users, {self.counts['churned']:,} churned; "
            f"{self.rule}; {self.window.first} to {self.window.last}, {self.clock}{baseline}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "counts": dict(self.counts),
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            "spells": self.spells,
            "left_truncated": self.left_truncated,
            "baseline_day": self.baseline_day,
            "known_at": dict(self.known_at),
            "observed_from": self.window.first,
            "observed_until": self.window.last,
            "timestamps": self.clock.timestamps,
            "time_zone": self.clock.time_zone,
        }
