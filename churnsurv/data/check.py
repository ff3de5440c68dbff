"""Every problem of the tables at once: what is wrong, how many rows, an example, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Check", "Problem"]

_SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; the fields are the columns of the schema "check"."""

    table: str
    problem: str
    severity: str
    n_rows: int | None
    example: str | None
    advice: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Check(Result):
    """The problems of a log, errors first; made by `ActivityLog.check`.

    Attributes
    ----------
    problems : tuple of Problem
    """

    _schema: ClassVar[str] = "check"

    problems: tuple[Problem, ...]

    def __post_init__(self) -> None:
        ranked = sorted(self.problems, key=lambda problem: _SEVERITIES.index(problem.severity))
        object.__setattr__(self, "problems", tuple(ranked))

    @property
    def ok(self) -> bool:
        """True where no problem is an error."""
        return all(problem.severity != "error" for problem in self.problems)

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table; schema "check"."""
        import pandas as pd

        rows = {column: [getattr(each, column) for each in self.problems] for column in schema("check").names}
        frame = pd.DataFrame(rows, dtype=object)
        return frame.assign(n_rows=pd.array(rows["n_rows"], dtype="Int64"))

    def _headline(self) -> str:
        counts = [sum(each.severity == severity for each in self.problems) for severity in _SEVERITIES]
        if not self.problems:
            return "no problems"
        return ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in zip(counts, _SEVERITIES, strict=True) if n)
