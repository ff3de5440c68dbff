"""The query of a table as one statement that stands alone, for whoever runs it elsewhere: in dbt, in a scheduler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from churnsurv.data.sources import COUNTED
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data.query import Query
    from churnsurv.data.reading import Reading

__all__ = ["DIALECTS", "to_sql"]

#: A test runs the statements of each of them.
DIALECTS = ("duckdb", "spark")
_PARTS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\(|\)|\n\s*|[^'"()\n]+""")


def to_sql(
    reading: Reading, query: Query[Any], *, dialect: str = "duckdb", sources: Mapping[str, str] | None = None
) -> str:
    """Write a query and everything behind it as one statement over the tables as they were given.

    The columns are those of the log's own mapping, and their types those of its tables: whole numbers, text or times.
    The first and last day of the log stand in the statement as they were found. On Spark it needs no setting of the
    session.

    Parameters
    ----------
    reading : Reading
    query : Query
        Its context is still open.
    dialect : {"duckdb", "spark"}
        Spark's needs SQLGlot.
    sources : Mapping of str to str, optional
        What stands in FROM for events, users, balances and feedback, in that dialect: the name of a table, or a SELECT
        in parentheses. By default tables of these names.

    Raises
    ------
    InputError
        If there is no such dialect, or `sources` names a table that the log has not.
    """
    if dialect not in DIALECTS:
        raise InputError(
            f"dialect must be one of {', '.join(map(repr, DIALECTS))}, not {dialect!r}."
            f"{did_you_mean(str(dialect), DIALECTS)} Only dialects that are tested by running their statements are "
            "written."
        )
    given = {table: table for table in reading.sources} | dict(sources or {})
    for table, text in given.items():
        if table not in reading.sources:
            hint = did_you_mean(table, reading.sources)
            raise InputError(f"sources: the log has no table {table!r}.{hint} It has {', '.join(reading.sources)}.")
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f"sources[{table!r}] must be the name of a table or a SELECT in parentheses; it is {text!r}."
            )
    written = reading.engine.script(query.ordered, _leaves(reading), [*reading.sources, *given.values()])
    written = written.replace(COUNTED, "CAST(NULL AS BIGINT)")  # only rejects tell where a row stood
    if dialect == "spark":
        from churnsurv.data.spark_sql import to_spark

        written = to_spark(written, pretty=True)
    else:
        written = _laid_out(written)
    # Last, since these are the caller's own words and already in the dialect.
    return re.sub("|".join(map(_stand_in, given)), lambda found: given[_table(found.group())], written)


def _stand_in(table: str) -> str:
    return f"churnsurv_source_{table}"


def _table(stand_in: str) -> str:
    return stand_in.removeprefix("churnsurv_source_")


def _leaves(reading: Reading) -> dict[str, str]:
    """The views that stand on the tables as given: over tables of the caller's, and without positions of rows."""
    leaves = {
        source.view: f"SELECT {source.picked}{', CAST(NULL AS BIGINT) AS _row' if source.numbered else ''}"
        f" FROM {_stand_in(table)}"
        for table, source in reading.sources.items()
    }
    # Ids themselves are plainer than numbers for them, and no engine has to bring all users to one place.
    leaves[reading.known_users] = reading.engine.statement(reading.known_users).replace(
        f"{reading.engine.user_key} AS _user_key", "user_id AS _user_key"
    )
    return leaves


def _laid_out(statement: str) -> str:
    """Indent each line by the parentheses around it; what stands in quotes stays as it is."""
    depth, lines, line = 0, [], ""
    for part in _PARTS.findall(statement):
        if part.startswith("\n"):
            lines.append(line)
            line = ""
            continue
        if not line.strip():
            part = part.lstrip()
            line = "    " * (depth - part.startswith(")"))
        depth += (part == "(") - (part == ")")
        line += part
    return "\n".join(text.rstrip() for text in [*lines, line] if text.strip())
