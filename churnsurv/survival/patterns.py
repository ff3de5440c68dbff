"""A table that stays in its engine, as the few weighted rows that an estimator needs: patterns.

Rows that are equal in every column asked for come as one, with how many they are. All curves, tests and regressions are
functions of these counts, so that nothing is lost; what is said of rows then counts those of the table.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.arrow import to_pandas
from churnsurv.data.relation import Relation
from churnsurv.errors import ChurnsurvWarning, SchemaError, require_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_ROWS", "Patterns", "fetch_patterns", "fetch_rows", "refuse_types"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_log = logging.getLogger("churnsurv")
#: More rows than this are fetched with a warning.
MOST_ROWS = 5_000_000
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "BIGNUM", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN")


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """Rows that were read; of a relation those that differ from each other.

    Attributes
    ----------
    frame : DataFrame
        n rows; of a relation in the order of their values.
    rows : (n,) int64, or None
        How many rows of the relation each stands for; None: it is a table in memory.
    total : (n,) float64, or None
        Their sum of the column that was to be added up.
    facts : mapping
        `rows` of the relation, and `fetched_rows`.
    """

    frame: pd.DataFrame
    rows: Ints | None = None
    total: Floats | None = None
    facts: Mapping[str, int] = field(default_factory=dict)


def fetch_patterns(
    relation: Relation, columns: Sequence[str], *, total: str | None = None, each: bool = False
) -> Patterns:
    """Fetch the distinct rows of some columns; their number is known, and logged, before they come.

    Parameters
    ----------
    relation : Relation
    columns : sequence of str
    total : str, optional
        A column of numbers that is added up over equal rows.
    each : bool
        Write equal rows down as often as they are there: for what is asked of each of them.

    Raises
    ------
    SchemaError
        If there is no such column; the nearest name is given.

    Warns
    -----
    ChurnsurvWarning
        If more than 5,000,000 rows will be fetched.

    Examples
    --------
    >>> from churnsurv.data import connect
    >>> from churnsurv.data.relation import relation_of
    >>> with connect() as engine:
    ...     table = relation_of(engine.sql("SELECT range % 2 AS duration FROM range(1000)"))
    ...     found = fetch_patterns(table, ["duration"])
    >>> found.frame["duration"].tolist(), found.rows.tolist(), dict(found.facts)
    ([0, 1], [500, 500], {'rows': 1000, 'fetched_rows': 2})
    """
    plan = relation.plan(columns)
    if plan.fetched_rows > MOST_ROWS:
        warnings.warn(
            f"{plan.fetched_rows:,} rows will be fetched of the {plan.rows:,} of {relation!r}: so many are different "
            f"in {', '.join(plan.columns)}. What tells users apart makes them many: leave out a cluster "
            "(cluster=None), cut amounts into classes, or take fewer columns.",
            ChurnsurvWarning,
            stacklevel=5,
        )
    _log.info("%r", plan)
    found = relation.counted(plan.columns, total=total)
    frame, rows = to_pandas(found.table), found.n.to_numpy()
    if each:
        frame, rows = frame.loc[frame.index.repeat(rows)].reset_index(drop=True), np.ones(int(rows.sum()), np.int64)
    return Patterns(
        frame,
        rows,
        None if found.total is None else found.total.to_numpy(),
        {"rows": int(found.n.to_numpy().sum()), "fetched_rows": found.table.num_rows},
    )


def fetch_rows(
    relation: Relation, columns: Sequence[str] | None, optional: Sequence[str] = (), what: str = "data"
) -> pd.DataFrame:
    """Fetch the rows themselves, where an answer has one line for each of them.

    Examples
    --------
    >>> from churnsurv.data import connect
    >>> from churnsurv.data.relation import relation_of
    >>> with connect() as engine:
    ...     fetch_rows(relation_of(engine.sql("SELECT 'ads' AS channel, 3 AS n")), ["channel"])
      channel
    0     ads
    """
    if columns is None:
        return to_pandas(relation.rows())
    require_columns(what, columns, relation.columns)
    return to_pandas(relation.rows([*columns, *(name for name in optional if name in relation.columns)]))


def refuse_types(relation: Relation, roles: Mapping[str, str]) -> None:
    """Refuse columns that cannot hold what they are to hold, before anything is fetched.

    Parameters
    ----------
    relation : Relation
    roles : mapping of column to what it must hold

    Raises
    ------
    SchemaError
        Naming the column and its type in the engine.
    """
    for name, what in roles.items():
        kind = relation.columns[name]
        if not kind.removeprefix("U").startswith(_NUMBERS) or kind.endswith("]"):
            raise SchemaError(f"{name!r} must hold {what}; it has the type {kind[:40]}. Convert it first.")
