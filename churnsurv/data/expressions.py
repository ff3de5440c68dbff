"""A small tree of expressions over one table, and its rendering as SQL.

Rooms that score in a warehouse build the tree; only this module writes SQL text. Statements are rendered in DuckDB's
dialect, and SQLGlot turns them into others. Every name is quoted and qualified by its table (SQLite takes a quoted name
that it doesn't know for a text), every value is written as a literal.

The functions mean what they mean in IEEE arithmetic. What is not a number there (the root of -1) is NaN or null,
depending on the dialect: whoever builds a tree keeps such values out by `finite`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

from churnsurv.data import sql
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from sqlglot import expressions as glot

__all__ = [
    "DIALECTS",
    "And",
    "Arithmetic",
    "Call",
    "Case",
    "Cast",
    "Column",
    "Comparison",
    "Everything",
    "Expression",
    "IsNaN",
    "IsNull",
    "Named",
    "Not",
    "Null",
    "Number",
    "Or",
    "Select",
    "Table",
    "Text",
    "Truth",
    "finite",
    "render",
    "table_of",
    "total",
]

# A test runs the statements of each of them.
DIALECTS = ("spark", "duckdb", "sqlite")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table that is selected from."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A double; finite."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false."""

    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    """The missing value."""


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS` of one or two numbers."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``+``, ``-``, ``*``, ``/``, or ``%``: the remainder with the sign of the dividend, as C's fmod."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Comparison:
    """``=``, ``<>``, ``<``, ``<=``, ``>`` or ``>=``; null where a side is null."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class And:
    """Every part is true."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part is true."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a truth value; null stays null."""

    of: Expression


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether something is null; never null itself."""

    of: Expression


@dataclass(frozen=True, slots=True)
class IsNaN:
    """Whether a double is not a number; null where it is null. In SQLite no value is: it stores them as null."""

    of: Expression


@dataclass(frozen=True, slots=True)
class Cast:
    """Something as a "number" (a double) or as "text"."""

    to: str
    of: Expression


@dataclass(frozen=True, slots=True)
class Case:
    """The value of the first condition that holds, else `otherwise`, which is null where not given."""

    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression = Null()


Expression: TypeAlias = (
    Column
    | Number
    | Text
    | Truth
    | Null
    | Call
    | Arithmetic
    | Comparison
    | And
    | Or
    | Not
    | IsNull
    | IsNaN
    | Cast
    | Case
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table by the parts of its name: ``("users",)``, ``("schema", "users")``."""

    name: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A column of a result."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Everything:
    """All columns of what is selected from, as they are, but for some; SQLite cannot leave any out."""

    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Select:
    """Columns computed from a table or from another selection, row by row."""

    columns: tuple[Named | Everything, ...]
    source: Table | Select


_FUNCTIONS: Mapping[str, tuple[str, int]] = {
    "abs": ("ABS", 1),
    "exp": ("EXP", 1),
    "floor": ("FLOOR", 1),
    "log": ("LN", 1),
    "log2": ("LOG2", 1),
    "log10": ("LOG10", 1),
    "power": ("POWER", 2),
    "round": ("ROUND", 1),
    "sqrt": ("SQRT", 1),
}
_SAME_ON_SPARK = ("abs", "exp", "log", "log2", "log10", "power", "sqrt")
_ARITHMETIC = ("+", "-", "*", "/", "%")
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_TYPES = {"number": "DOUBLE", "text": "VARCHAR"}
_LARGEST = 1.7976931348623157e308
_SOURCE = "source"


def finite(of: Expression) -> Expression:
    """Return an expression that is null where `of` is infinite or not a number.

    Examples
    --------
    >>> print(render(Select((Named("x", finite(Column("x"))),), Table(("t",)))))
    SELECT
        CASE WHEN ABS("source"."x") <= 1.7976931348623157e+308 THEN "source"."x" END AS "x"
    FROM "t" AS "source"
    """
    return Case(((Comparison("<=", Call("abs", (of,)), Number(_LARGEST)), of),))


def total(parts: Sequence[Expression]) -> Expression:
    """Return the sum of some expressions; 0 of none.

    Examples
    --------
    >>> total([Number(1.0), Column("x")])
    Arithmetic(operator='+', left=Number(value=1.0), right=Column(name='x'))
    """
    if not parts:
        return Number(0.0)
    summed = parts[0]
    for part in parts[1:]:
        summed = Arithmetic("+", summed, part)
    return summed


def table_of(name: str | Sequence[str]) -> Table:
    """Return a table by its name; a dot separates schema and table.

    Parameters
    ----------
    name : str or sequence of str
        The parts of a name that holds a dot itself come as a sequence: ``("main", "users.v2")``.

    Raises
    ------
    InputError
        If it is no name.

    Examples
    --------
    >>> table_of("app.users")
    Table(name=('app', 'users'))
    """
    parts = tuple(name.split(".")) if isinstance(name, str) else tuple(name) if isinstance(name, Sequence) else ()
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise InputError(f"table must be the name of a table, such as 'users' or 'main.users'; got {name!r}.")
    return Table(parts)


def render(select: Select, *, dialect: str = "duckdb", arithmetic: bool = False) -> str:
    """Write a selection as SQL.

    Parameters
    ----------
    select : Select
    dialect : {"duckdb", "spark", "sqlite"}
        Spark's has comparisons, cases and casts, and neither arithmetic nor functions, whose edges differ there; see
        `arithmetic`.
        SQLite needs its mathematical functions (``SQLITE_ENABLE_MATH_FUNCTIONS``, as in its shell and in most builds).

    arithmetic : bool
        For Spark too: what differs there only in what is null instead of infinite or not a number. The selection takes
        all three for nothing. Remainders, rounding, and division by what may be 0 stay out.

    Raises
    ------
    InputError
        If there is no such dialect or it lacks what is needed, SQLGlot is needed and not installed, or two columns
        have the same name.

    Examples
    --------
    >>> double = Arithmetic("*", Number(2.0), Column('a "b" c'))
    >>> print(render(Select((Named("double", double),), Table(("main", "t")))))
    SELECT
        2e0 * "source"."a ""b"" c" AS "double"
    FROM "main"."t" AS "source"
    """
    if dialect not in DIALECTS:
        raise InputError(
            f"dialect must be one of {', '.join(map(repr, DIALECTS))}, not {dialect!r}."
            f"{did_you_mean(str(dialect), DIALECTS)} Only dialects that are tested by running their statements are "
            "written."
        )
    if dialect == "sqlite" and _leaves_out(select):
        raise InputError("SQLite's dialect cannot leave columns out: name those that the result keeps, keep=[...].")
    if dialect == "spark" and arithmetic and (differs := _differs(select)):
        raise InputError(
            f"dialect must be one of 'duckdb', 'sqlite' for what is computed with {differs}, not 'spark', where it "
            "differs. Compute on a table fetched from Spark."
        )
    if dialect == "spark" and not arithmetic and _computes(select):
        raise InputError(
            "dialect must be one of 'duckdb', 'sqlite' for what is computed with arithmetic or functions, not 'spark': "
            "division by zero, logarithms and remainders differ there. Compute on a table fetched from Spark."
        )
    text = _select(select, "")
    return text if dialect == "duckdb" else _translated(text, dialect)


def _select(select: Select, indent: str) -> str:
    named = [column.name for column in select.columns if isinstance(column, Named)]
    names = [name.casefold() for name in named]
    twice = next((name for i, name in enumerate(named) if names[i] in names[:i]), None)
    if twice is not None:
        raise InputError(f"two columns of the result are called {twice!r}. Rename one of them, or keep it once.")
    inner = f"{indent}    "
    columns = ",\n".join(f"{inner}{_column(column)}" for column in select.columns)
    if isinstance(select.source, Table):
        source = ".".join(map(sql.name, select.source.name))
    else:
        source = f"(\n{_select(select.source, inner)}\n{indent})"
    start = f"{indent}SELECT\n{columns}\n{indent}FROM"
    return f"{start} {source} AS {sql.name(_SOURCE)}"


def _column(column: Named | Everything) -> str:
    if isinstance(column, Everything):
        less = f" EXCLUDE ({', '.join(map(sql.name, column.without))})" if column.without else ""
        return f"{sql.name(_SOURCE)}.*{less}"
    return f"{_text(column.expression)} AS {sql.name(column.name)}"


def _computes(part: object) -> bool:
    """Whether arithmetic or a function stands anywhere in a selection."""
    if isinstance(part, Call | Arithmetic):
        return True
    if isinstance(part, tuple):
        return any(map(_computes, part))
    if isinstance(part, Select | Named | Expression):
        return any(_computes(getattr(part, field.name)) for field in fields(part))
    return False


def _differs(part: object) -> str | None:
    """What of a selection has another value on Spark, or raises an error there."""
    match part:
        case Call(function) if function not in _SAME_ON_SPARK:
            return function
        case Arithmetic("%"):
            return "remainders"
        case Arithmetic("/", right=right) if not (isinstance(right, Number) and right.value):
            return "division by what may be 0"
    inside = part if isinstance(part, tuple) else ()
    if isinstance(part, Select | Named | Expression):
        inside = tuple(getattr(part, field.name) for field in fields(part))
    return next((found for each in inside if (found := _differs(each))), None)


def _leaves_out(select: Select | Table) -> bool:
    if isinstance(select, Table):
        return False
    return any(isinstance(each, Everything) and each.without for each in select.columns) or _leaves_out(select.source)


def _text(of: Expression) -> str:
    """Write an expression; everything that is not atomic stands in parentheses inside another one."""
    match of:
        case Column(name):
            return f"{sql.name(_SOURCE)}.{sql.name(name)}"
        case Number(value):
            return _number(value)
        case Text(value):
            return sql.literal(value)
        case Truth(value):
            return sql.literal(bool(value))
        case Null():
            return "NULL"
        case Call(function, arguments):
            name, n = _FUNCTIONS[_known("function", function, _FUNCTIONS)]
            if len(arguments) != n:
                raise InputError(f"{function} takes {n} arguments, not {len(arguments)}.")
            return f"{name}({', '.join(map(_text, arguments))})"
        case Arithmetic(operator, left, right):
            return f"{_inside(left, of)} {_known('operator', operator, _ARITHMETIC)} {_inside(right)}"
        case Comparison(operator, left, right):
            return f"{_inside(left)} {_known('comparison', operator, _COMPARISONS)} {_inside(right)}"
        case And(parts) | Or(parts):
            return f" {'AND' if isinstance(of, And) else 'OR'} ".join(map(_inside, parts))
        case Not(part):
            return f"NOT {_inside(part)}"
        case IsNull(part):
            return f"{_inside(part)} IS NULL"
        case IsNaN(part):
            return f"ISNAN({_text(part)})"
        case Cast(to, part):
            return f"CAST({_text(part)} AS {_TYPES[_known('type', to, _TYPES)]})"
        case Case(branches, otherwise):
            written = [f"WHEN {_text(condition)} THEN {_text(value)}" for condition, value in branches]
            last = [] if isinstance(otherwise, Null) else [f"ELSE {_text(otherwise)}"]
            return " ".join(["CASE", *written, *last, "END"])


def _inside(part: Expression, around: Expression | None = None) -> str:
    """Write a part of an operation; sums stay flat, in the order in which they are added."""
    text = _text(part)
    flat = isinstance(around, Arithmetic) and isinstance(part, Arithmetic) and {around.operator, part.operator} == {"+"}
    atomic = isinstance(part, Column | Text | Truth | Null | Call | Cast | IsNaN) or (
        isinstance(part, Number) and not text.startswith("-")
    )
    return text if atomic or flat else f"({text})"


def _number(value: float) -> str:
    """Write a double so that it is read as the same double: with an exponent, as 0.1 alone would be a decimal."""
    if not math.isfinite(value):
        raise InputError(f"{value!r} can't be written as SQL: a finite number is needed.")
    text = repr(float(value))
    return text if "e" in text else f"{text.removesuffix('.0')}e0"


def _known(what: str, name: str, there: Sequence[str] | Mapping[str, object]) -> str:
    if name not in there:
        raise InputError(f"there is no {what} {name!r} in SQL expressions. There are {', '.join(there)}.")
    return name


def _translated(text: str, dialect: str) -> str:
    """Turn DuckDB's SQL into another dialect's."""
    try:
        import sqlglot
    except ImportError as error:
        raise InputError(
            f"dialect {dialect!r} needs SQLGlot, which is not installed: pip install 'churnsurv[sql]'. DuckDB's own "
            "dialect needs nothing."
        ) from error
    if dialect == "spark":
        from churnsurv.data.spark_sql import to_spark

        return to_spark(text, pretty=True)
    tree = sqlglot.parse_one(text, read="duckdb")
    _for_sqlite(tree)
    written: str = tree.sql(dialect=dialect, pretty=True, identify=True)
    return written


def _for_sqlite(tree: glot.Expr) -> None:
    """Write MOD instead of %, which turns its operands into integers in SQLite; no value of it is not a number."""
    from sqlglot import expressions as glot

    for node in list(tree.find_all(glot.IsNan)):
        node.replace(glot.false())
    for node in reversed(list(tree.find_all(glot.Mod))):  # the inner ones first
        sides = [side.unnest() for side in (node.this, node.expression)]
        node.replace(glot.Anonymous(this="MOD", expressions=sides))
