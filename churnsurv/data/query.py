"""A question put to the engine: its statement, its order, and what becomes of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.engine import Engine

__all__ = ["Query", "fetch"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Query(Generic[Answer]):
    """The statement of one table, not yet run.

    Attributes
    ----------
    sql : str
        A SELECT without ORDER BY.
    order : str
        The columns that give its rows a total order.
    schema : str
        Name of the layout of its columns.
    known_at : Mapping of str to str
        When each column beside the schema is known.
    finish : callable
        Makes the result of the fetched rows.
    """

    sql: str
    order: str
    schema: str
    known_at: Mapping[str, str]
    finish: Callable[[pa.Table], Answer]

    @property
    def ordered(self) -> str:
        """The statement with its order."""
        return f"{self.sql} ORDER BY {self.order}"


def fetch(engine: Engine, query: Query[Answer]) -> Answer:
    """Run a query and finish its answer."""
    return query.finish(engine.arrow(query.ordered))
