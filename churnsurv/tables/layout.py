"""What a table's layout is, and the columns that several tables share."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["INTERVAL", "MODEL", "Column", "Schema", "layout"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a public table.

    Attributes
    ----------
    name : str
    kind : {"text", "integer", "number", "boolean", "date", "any"}
    meaning : str
        One sentence with the unit.
    """

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A versioned table layout: these columns in this order, then any attributes of the user's own."""

    name: str
    version: int
    columns: tuple[Column, ...]
    open: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)


def layout(name: str, *columns: tuple[str, str, str], open: bool = False, version: int = 1) -> Schema:
    """A schema from (name, kind, meaning) of each column.

    Examples
    --------
    >>> layout("quantiles", ("time", "number", "days")).names
    ('time',)
    """
    return Schema(name, version, tuple(Column(*column) for column in columns), open)


INTERVAL = (
    ("lower", "number", "lower limit of the confidence interval at `level`"),
    ("upper", "number", "upper limit of the confidence interval at `level`"),
)
MODEL = (
    ("term", "text", "the term as printed, such as 'channel: invitation'"),
    ("variable", "text", "the variable the term belongs to"),
    ("category", "text", "the category compared with the reference; null for numeric terms"),
    ("reference", "text", "the reference category; null for numeric terms"),
    ("known_at", "text", "when the value is known: origin, day N, lag N or given"),
    ("estimate", "number", "coefficient on the log scale"),
    ("std_error", "number", "standard error of the estimate"),
    ("statistic", "number", "Wald z"),
    ("p_value", "number", "two-sided"),
    *INTERVAL,
)
