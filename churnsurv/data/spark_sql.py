"""DuckDB's dialect turned into Spark's: SQLGlot does most of it, and this module what it gets wrong.

Each rewrite says what the two engines do differently. They hold for what our statements contain, no more: casts of text
that fail softly (`TRY_CAST`), days as `DATE`, times as `TIMESTAMP` without and `TIMESTAMPTZ` with a zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError

if TYPE_CHECKING:
    from sqlglot import expressions as glot

__all__ = ["to_spark"]

#: DuckDB's trim takes every space of Unicode away, Spark's the blank only.
_SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
#: Types that Spark lacks, by the smallest that holds their values.
_TYPES = {
    "INT128": "DECIMAL(38, 0)",
    "UINT128": "DECIMAL(38, 0)",
    "UBIGINT": "DECIMAL(20, 0)",
    "UINT": "BIGINT",
    "USMALLINT": "INT",
    "UTINYINT": "SMALLINT",
}
_LITERALS = {"DATE": "DATE", "TIMESTAMPNTZ": "TIMESTAMP_NTZ"}

# Texts that DuckDB reads as days and times, in Java's regular expressions. Spark's own casts take the usual forms only,
# and some that DuckDB refuses: control characters behind the time, "1d" as a number.
_DAY = r"^\s*(\d{4})([-/])(\d{1,2})\2(\d{1,2})"
_HOUR = r"[T\s]\s*([01]?\d|2[0-3]|24(?=:00?(?::(?:0{1,2}(?:\.0*)?)?)?(?:[^\d:.]|\z))):([0-5]?\d)"
_SECOND = r"(?::(?:([0-5]?\d(?:\.\d{0,6})?)(?:(?<=\.\d{6})\d*)?)?)?"
_OFFSET = r"(?:Z|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)"
# Java knows nearly all of the names that DuckDB knows, and these two besides.
_NAME = r" (?!(?:UT|Z) *\z)([A-Za-z][\w/+:-]*)"
_END = r" *\z"
_WHOLE = r"\d(?:_?\d)*"
_NUMBER = rf"(?:{_WHOLE}(?:\.(?:{_WHOLE})?)?|\.{_WHOLE})(?:[eE][+-]?{_WHOLE})?"


def _text(value: str) -> str:
    """Write a text as Spark reads it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _matched(pattern: str, group: int) -> str:
    return f"REGEXP_EXTRACT(:x, {_text(pattern)}, {group})"


def _day(pattern: str) -> str:
    """SQL of the text of the day."""
    return f"CONCAT({_matched(pattern, 1)}, '-', {_matched(pattern, 3)}, '-', {_matched(pattern, 4)})"


def _interval(pattern: str, first: int) -> str:
    """SQL of the time that three groups, from `first` on, give as hours, minutes and seconds; empty ones are 0."""
    hour, minute, second = (f"CONCAT('0', {_matched(pattern, group)})" for group in range(first, first + 3))
    return f"MAKE_DT_INTERVAL(0, CAST({hour} AS INT), CAST({minute} AS INT), CAST({second} AS DECIMAL(8, 6)))"


def _read_date() -> str:
    pattern = _DAY + r"\s*\z"
    return (
        "CASE WHEN :x LIKE '____-__-__' THEN TRY_CAST(:x AS DATE)"
        f" WHEN :x RLIKE {_text(pattern)} THEN TRY_CAST({_day(pattern)} AS DATE) END"
    )


def _read_time() -> str:
    pattern = _DAY + _HOUR + _SECOND + _END
    return (
        "COALESCE(CASE WHEN :x LIKE '____-__-__ __:__:__' THEN TRY_CAST(:x AS TIMESTAMP_NTZ) END,"
        f" CASE WHEN :x RLIKE {_text(pattern)} THEN"
        f" CAST(TRY_CAST({_day(pattern)} AS DATE) AS TIMESTAMP_NTZ) + {_interval(pattern, 5)} END)"
    )


def _read_time_with_zone() -> str:
    fixed, named = _DAY + _HOUR + _SECOND + _OFFSET + _END, _DAY + _HOUR + _SECOND + _NAME + _END
    clock = f"{_matched(named, 5)}, ':', {_matched(named, 6)}, ':', COALESCE(NULLIF({_matched(named, 7)}, ''), '0')"
    zone = f"REGEXP_REPLACE({_matched(named, 8)}, '(?i)^(utc|gmt)', 'UTC')"
    at = f"TRY_CAST(CONCAT({_day(named)}, ' ', {clock}, ' ', {zone}) AS TIMESTAMP)"
    later = f"{at} + INTERVAL '1' HOUR"
    # Of a local time that a zone has twice DuckDB takes the second, Spark the first.
    twice = f"FROM_UTC_TIMESTAMP({later}, {zone}) = FROM_UTC_TIMESTAMP({at}, {zone})"
    ahead = f"CASE WHEN {_matched(fixed, 8)} = '-' THEN -1 ELSE 1 END * {_interval(fixed, 9)}"
    return (
        f"CASE WHEN :x RLIKE {_text(fixed)} THEN"
        f" TRY_CAST(CONCAT({_day(fixed)}, 'T00:00:00Z') AS TIMESTAMP) + {_interval(fixed, 5)} - {ahead}"
        f" WHEN :x RLIKE {_text(named)} THEN"
        f" CASE WHEN {at} IS NULL THEN NULL WHEN {twice} THEN {later} ELSE {at} END END"
    )


def _read_number() -> str:
    number = rf"^\s*\+?-?(?:{_NUMBER}|(?i:inf|infinity|nan))\s*\z"
    without = _text(r"^\s*\+|_|\s|(?i:-(?=nan))")
    return f"CASE WHEN :x RLIKE {_text(number)} THEN TRY_CAST(REGEXP_REPLACE(:x, {without}, '') AS DOUBLE) END"


def _as_text() -> str:
    """Print times with a zone with their offset, and numbers as DuckDB does; the type is known when Spark plans."""
    shown = "CAST(:x AS STRING)"

    def replaced(text: str, pattern: str, by: str) -> str:
        return f"REGEXP_REPLACE({text}, {_text(pattern)}, '{by}')"

    # Java writes 10000000 as 1.0E7, and 1e+16 as 1.0E16.
    digits = f"CAST(CAST({shown} AS DECIMAL(38, 18)) AS STRING)"
    plain = replaced(replaced(digits, r"0+\z", ""), r"\.\z", ".0")
    power = replaced(replaced(replaced(shown, r"\.0(?=E)", ""), r"E(?=\d)", "e+"), r"E-(?=\d\z)", "e-0")
    short = _text(r"E([789]|1[0-5]|-4)\z")
    number = (
        f"CASE {shown} WHEN 'Infinity' THEN 'inf' WHEN '-Infinity' THEN '-inf' WHEN 'NaN' THEN 'nan' ELSE"
        f" CASE WHEN {shown} RLIKE {short} THEN {plain} ELSE {replaced(power, 'E', 'e')} END"
        " END"
    )
    return (
        f"CASE WHEN TYPEOF(:x) = 'timestamp' THEN CONCAT({shown}, '+00')"
        f" WHEN TYPEOF(:x) IN ('double', 'float') THEN {number} ELSE {shown} END"
    )


_MACROS: Mapping[str, Callable[[], str]] = {
    "text as DATE": _read_date,
    "text as TIMESTAMP": _read_time,
    "text as TIMESTAMPTZ": _read_time_with_zone,
    "text as DOUBLE": _read_number,
    "as VARCHAR": _as_text,
    # SQLGlot's form counts days by the session's zone.
    "days between": lambda: "CAST(DATEDIFF(:later, :earlier) AS BIGINT)",
    # Spark's own makes a time with a zone.
    "time of microseconds": lambda: "TIMESTAMPADD(MICROSECOND, :x, CAST('1970-01-01 00:00:00' AS TIMESTAMP_NTZ))",
    "microseconds": lambda: "UNIX_MICROS(:x)",
    "infinite": lambda: "ABS(:x) = CAST('Infinity' AS DOUBLE)",
    "finite": lambda: "ABS(:x) < CAST('Infinity' AS DOUBLE)",
    # SQLGlot's form overflows beyond 64 bits; from 1e16 on all numbers are whole.
    "whole part": lambda: "CASE WHEN ABS(:x) < 1e16 THEN :x - :x % 1 ELSE :x END",
    # Decimals divide to decimals in Spark, to floating-point numbers in DuckDB.
    "ratio": lambda: "CAST(:over AS DOUBLE) / CAST(:under AS DOUBLE)",
    "trimmed": lambda: f"TRIM(BOTH '{_SPACES}' FROM :x)",
}


def to_spark(statement: str, *, pretty: bool = False) -> str:
    r"""Write a statement of DuckDB's dialect in Spark's.

    Parameters
    ----------
    statement : str
        A SELECT.
    pretty : bool
        Over several lines, for readers.

    Raises
    ------
    InputError
        If SQLGlot is not installed.

    Examples
    --------
    >>> print(to_spark("SELECT date_diff('day', a, b) AS days, \"the amount\" FROM t"))
    SELECT CAST(DATEDIFF(b, a) AS BIGINT) AS days, `the amount` FROM t
    """
    try:
        import sqlglot
    except ImportError as error:
        raise InputError(
            "Spark needs SQLGlot, which is not installed: pip install 'churnsurv[spark]'. DuckDB needs nothing."
        ) from error
    generator = sqlglot.Dialect.get_or_raise("spark").generator(pretty=pretty)
    # It would move steps inside steps to the top, where two of them may have one name; Spark takes them as they are.
    generator.EXPRESSIONS_WITHOUT_NESTED_CTES = set()
    written: str = generator.generate(_rewritten(sqlglot.parse_one(statement, read="duckdb")), copy=False)
    return written


def _rewritten(tree: glot.Expr) -> glot.Expr:
    """Apply every rewrite, innermost nodes first, so that what a rewrite holds is rewritten already."""
    rewrites = _rewrites()
    for node in reversed(list(tree.walk(bfs=False))):
        rewrite = rewrites.get(type(node))
        new = None if rewrite is None else rewrite(node)
        if new is None or new is node:
            continue
        if node is tree:
            return new
        node.replace(new)
    return tree


@cache
def _rewrites() -> Mapping[type, Callable[[Any], glot.Expr | None]]:
    from sqlglot import expressions as glot

    return {
        glot.DataType: _type,
        glot.TryCast: _cast,
        glot.Cast: _cast,
        glot.DateDiff: lambda node: _macro("days between", later=node.this, earlier=node.expression),
        glot.UnixToTime: lambda node: _macro("time of microseconds", x=node.this),
        glot.Anonymous: _function,
        glot.IsInf: lambda node: _macro("infinite", x=node.this),
        glot.Trunc: lambda node: _macro("whole part", x=node.this),
        glot.Div: lambda node: _macro("ratio", over=node.this, under=node.expression),
        glot.Trim: lambda node: None if node.expression is not None else _macro("trimmed", x=node.this),
        glot.RegexpLike: _pattern,
        glot.RegexpReplace: _replacement,
        glot.Window: _rank,
    }


@cache
def _template(name: str) -> glot.Expr:
    import sqlglot

    return sqlglot.parse_one(_MACROS[name](), read="spark")


def _macro(name: str, **parts: glot.Expr) -> glot.Expr:
    """Fill a macro; what stands inside an operator is put in parentheses."""
    from sqlglot import expressions as glot

    atoms = (glot.Column, glot.Literal, glot.Func, glot.Paren, glot.Null, glot.Boolean)
    wrapped = {
        key: part.copy() if isinstance(part, atoms) and not isinstance(part, glot.Connector) else glot.paren(part)
        for key, part in parts.items()
    }
    return glot.replace_placeholders(_template(name).copy(), **wrapped)


def _type(node: glot.DataType) -> glot.Expr | None:
    from sqlglot import expressions as glot

    name = node.this.name if hasattr(node.this, "name") else ""
    return glot.DataType.build(_TYPES[name], dialect="spark") if name in _TYPES else None


def _cast(node: glot.Cast) -> glot.Expr | None:
    from sqlglot import expressions as glot

    kind, inner = node.to.this, node.this
    if isinstance(node, glot.TryCast):
        names = {"DATE": "DATE", "TIMESTAMPNTZ": "TIMESTAMP", "TIMESTAMPTZ": "TIMESTAMPTZ", "DOUBLE": "DOUBLE"}
        known = names.get(kind.name)
        return None if known is None else _macro(f"text as {known}", x=inner)
    if isinstance(inner, glot.Literal) and inner.is_string and kind.name in _LITERALS:
        # Spark plans hundreds of clock changes faster where they need no cast.
        return glot.var(f"{_LITERALS[kind.name]} {_text(inner.name)}")
    # A literal, or what is a whole number already, prints alike.
    whole = isinstance(inner, glot.Cast) and inner.to.this in glot.DataType.INTEGER_TYPES
    if kind in glot.DataType.TEXT_TYPES and not isinstance(inner, glot.Literal | glot.Null) and not whole:
        return _macro("as VARCHAR", x=inner)
    return None


def _function(node: glot.Anonymous) -> glot.Expr | None:
    names = {"isfinite": "finite", "epoch_us": "microseconds"}
    name = names.get(str(node.this).lower())
    return None if name is None else _macro(name, x=node.expressions[0])


def _java(pattern: str) -> str:
    """Write a pattern of RE2 in Java's language, where the end is also before a last line feed and spaces are more."""
    spaces = pattern.replace(r"\s", r"[\t\n\f\r ]").replace(r"\S", r"[^\t\n\f\r ]")
    return re.sub(r"(?<!\\)\$$", r"\\z", spaces)


def _pattern(node: glot.RegexpLike) -> glot.Expr | None:
    from sqlglot import expressions as glot

    if isinstance(node.expression, glot.Literal):
        node.set("expression", glot.Literal.string(_java(node.expression.name)))
    return None


def _replacement(node: glot.RegexpReplace) -> glot.Expr | None:
    """Replace the first match only, as DuckDB does, and name groups by $."""
    from sqlglot import expressions as glot

    groups = re.sub(r"\\(\d)", lambda found: f"${int(found.group(1)) + 1}", node.args["replacement"].name)
    node.set("expression", glot.Literal.string(f"(?s)^(.*?){_java(node.expression.name)}"))
    node.set("replacement", glot.Literal.string(f"$1{groups}"))
    return None


def _rank(node: glot.Window) -> glot.Expr | None:
    """Ranks have 64 bits in DuckDB, 32 in Spark."""
    from sqlglot import expressions as glot

    ranks = (glot.RowNumber, glot.Rank, glot.DenseRank, glot.Ntile)
    if not isinstance(node.this, ranks) or isinstance(node.parent, glot.Cast):
        return None
    return glot.cast(node.copy(), "BIGINT")
