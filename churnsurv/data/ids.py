"""One type of user id for all tables: whole numbers where every id is one, otherwise text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from churnsurv.errors import SchemaError

if TYPE_CHECKING:
    from churnsurv.data.engine import Engine
    from churnsurv.data.sources import Source

__all__ = ["user_ids"]

_INTEGER = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(\d+,0\)")
_TEXT = "NULLIF(CAST(\"user_id\" AS VARCHAR), '')"
# A text reads as a whole number without loss only if the number prints as that text: no zeros in front, no spaces.
_NOT_WHOLE = f"{_TEXT} IS NOT NULL AND CAST(TRY_CAST({_TEXT} AS BIGINT) AS VARCHAR) IS DISTINCT FROM {_TEXT}"


def user_ids(engine: Engine, sources: Mapping[str, Source]) -> dict[str, str]:
    """Return, for each table, the SQL of its user id in the type that all tables share.

    Raises
    ------
    SchemaError
        If ids are neither whole numbers nor text, or are whole numbers in one table and can't be in another.
    """
    kinds = {table: source.columns["user_id"] for table, source in sources.items()}
    families = {table: _family(engine, source) for table, source in sources.items()}
    if "integer" not in families.values():
        if set(families.values()) == {"csv"} and not any(_not_whole(engine, source)[0] for source in sources.values()):
            return dict.fromkeys(sources, f"CAST({_TEXT} AS BIGINT)")
        return dict.fromkeys(sources, _TEXT)
    wide = any("HUGEINT" in kind or "UBIGINT" in kind or "DECIMAL" in kind for kind in kinds.values())
    common = "HUGEINT" if wide else "BIGINT"
    if len(set(kinds.values())) == 1 and "DOUBLE" not in kinds.values() and "FLOAT" not in kinds.values():
        return dict.fromkeys(sources, '"user_id"')
    for table, source in sources.items():
        if families[table] != "integer":
            _refuse_text(engine, source, next(other for other, family in families.items() if family == "integer"))
    return {
        table: f"CAST({_TEXT} AS BIGINT)" if families[table] != "integer" else _whole(kinds[table], common)
        for table in sources
    }


def _family(engine: Engine, source: Source) -> str:
    kind = source.columns["user_id"]
    if _INTEGER.fullmatch(kind):
        return "integer"
    if kind in {"VARCHAR", "UUID"} or kind.startswith("ENUM"):
        return "csv" if source.from_csv else "text"
    if kind in {"DOUBLE", "FLOAT"}:
        count, example = engine.rows(
            f'SELECT count(*), min("user_id") FROM {source.view} WHERE "user_id" IS NOT NULL AND NOT isnan("user_id")'
            ' AND NOT (isfinite("user_id") AND trunc("user_id") = "user_id" AND abs("user_id") < 9007199254740992)'
        )[0]
        if not count:
            return "integer"
        raise SchemaError(
            f"{source.table}: 'user_id' has {count:,} values that are no whole numbers, such as {example}. "
            "Give ids as whole numbers or text."
        )
    raise SchemaError(f"{source.table}: 'user_id' has type {kind}; ids must be whole numbers or text.")


def _whole(kind: str, common: str) -> str:
    if kind in {"DOUBLE", "FLOAT"}:
        return f'CAST(CASE WHEN isfinite("user_id") THEN "user_id" END AS {common})'
    return f'CAST("user_id" AS {common})'


def _not_whole(engine: Engine, source: Source) -> tuple[int, str | None]:
    count, example = engine.rows(f"SELECT count(*), min({_TEXT}) FROM {source.view} WHERE {_NOT_WHOLE}")[0]
    return int(count), example


def _refuse_text(engine: Engine, source: Source, other: str) -> None:
    count, example = _not_whole(engine, source)
    if count:
        raise SchemaError(
            f"{source.table}: 'user_id' is text with {count:,} values that are no plain whole numbers, such as "
            f"{example!r}, but a whole number in {other}. Give both tables ids of the same type."
        )
