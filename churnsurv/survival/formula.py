"""Formulas of covariates: reading them, and evaluating their parts on a table.

The grammar (``+ : * ( ) ^ -``) is formulaic's. What stands between the operators is a column, or an expression of
columns and the functions listed in `FUNCTIONS`. Nothing else can be named: not the caller's variables, no modules, no
attributes, so that a fitted formula can be written down as plain data and replayed on new rows.
"""

from __future__ import annotations

import ast
import itertools
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, SchemaError, did_you_mean
from churnsurv.numerics.design import not_finite
from churnsurv.survival.factors import MISSING
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FUNCTIONS", "Formula", "Values", "columns_of", "evaluate", "parse_formula", "parsed"]

Numbers: TypeAlias = NDArray[np.float64]

_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "abs": np.abs,
    "I": lambda values: values,
}
_LEARNED = ("center", "scale", "poly", "bs", "cs", "cr")
FUNCTIONS: tuple[str, ...] = (*_PLAIN, *_LEARNED, "C")

# Each star doubles the terms that are written down.
_MOST_FACTORS, _MOST_POWER, _MOST_PRODUCTS = 8, 4, 1_000_000

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that has been read, not yet seen any data.

    Attributes
    ----------
    text : str
    terms : tuple of tuple of str
        The expressions that are multiplied in each term; main effects first. A column whose name is no plain word
        stands between backticks.
    variables : tuple of str
        The columns it needs.
    """

    text: str
    terms: tuple[tuple[str, ...], ...]
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """One expression on n rows: numeric columns, or a category.

    Attributes
    ----------
    numeric : tuple of (n,) arrays
        Empty for a category.
    labels : tuple of str
        One per numeric column: "" for a single one, "1", "2" ... for a basis.
    category : Series or None
    """

    numeric: tuple[NDArray[Any], ...] = ()
    labels: tuple[str, ...] = ()
    category: pd.Series[Any] | None = None


def parse_formula(text: str) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        The covariates, without a left side: ``"channel + cohort + log1p(max_amount)"``. Names that are not plain words
        stand between backticks.

    Raises
    ------
    InputError
        If it has a left side, no covariates, a function that is not listed, or cannot be read.

    Examples
    --------
    >>> parse_formula("channel * log1p(amount)").terms
    (('channel',), ('log1p(amount)',), ('channel', 'log1p(amount)'))
    >>> parse_formula("channel * log1p(amount)").variables
    ('channel', 'amount')
    """
    if not isinstance(text, str):
        raise InputError(f"formula must be text such as 'channel + cohort', not {type(text).__name__}.")
    _check_grammar(text)
    try:
        terms = [tuple(term) for term in _terms(text) if term]
        expressions = list(dict.fromkeys(part for term in terms for part in term))
        variables = dict.fromkeys(name for part in expressions for name in columns_of(part))
    except (RecursionError, MemoryError) as error:
        raise _too_deep(text) from error
    if not terms:
        raise InputError(
            f"formula {text!r} names no covariates. Write the columns, joined by +: 'channel + cohort'. For a model "
            "without covariates use kaplan_meier."
        )
    return Formula(text, tuple(sorted(terms, key=len)), tuple(variables))


def _too_deep(text: str) -> InputError:
    return InputError(f"formula {text[:60]!r} ... is nested too deeply to be read. Add a column to the table instead.")


def _check_grammar(text: str) -> None:
    if (found := re.search(r"`(1|\.|\^|\*\*|~)`", text)) is not None:
        # formulaic reads these as its own signs, backticks or not
        raise InputError(
            f"formula {text!r}: {found.group(1)!r} cannot be a column here. Rename it, with a letter in it."
        )
    bare = re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"", "x", text)
    if "~" in bare:
        raise InputError(
            f"formula {text!r} has a left side: a formula names the covariates only. Time and event are columns named "
            "by duration=, event= and entry=; write 'channel + cohort'."
        )
    if "|" in re.sub(r"\([^()]*\)", "", bare):
        raise InputError(f"formula {text!r}: '|' has no meaning here. For strata use strata=.")
    if re.search(r"(^|[-+*:/(]\s*)\.(\s*[-+*:/)]|\s*$)", bare):
        raise InputError(
            f"formula {text!r}: '.' (all columns) is not allowed, because the outcome is among them. Name the columns."
        )


def _terms(text: str) -> list[list[str]]:
    """Return the factors of each term; the constant is a term without factors."""
    from formulaic.errors import FormulaicError
    from formulaic.parser import DefaultFormulaParser

    parser = DefaultFormulaParser(feature_flags=set())
    try:
        tokens = [token.token for token in parser.get_tokens(text, context={})]
        _check_products(text, tokens)
        parsed = list(parser.get_terms(text))
    except (FormulaicError, SyntaxError) as error:
        reason = " ".join(re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(error)).split())
        raise InputError(f"formula {text!r} cannot be read: {reason}") from error
    for before, token in itertools.pairwise(tokens):
        if before == "-" and token not in ("(", "1") and tokens.count(token) == 1:
            near = did_you_mean(token, set(tokens) - {token})
            raise InputError(f"formula {text!r} takes away {token!r}, which is not in it.{near}")
        if token in ("**", "^") and before != ")":
            raise InputError(
                f"formula {text!r}: in a formula, {before}{token}2 means {before} with itself, which is {before}. For "
                f"the square write I({before}**2) or poly({before}, 2)."
            )
    found, has_constant = [], False
    for term in parsed:
        factors = [
            f"`{factor.expr}`"
            if factor.eval_method.value == "lookup" and not factor.expr.isidentifier()
            else factor.expr
            for factor in term.factors
            if factor.eval_method.value != "literal"
        ]
        literals = [factor.expr for factor in term.factors if factor.eval_method.value == "literal"]
        if literals and (factors or literals != ["1"]):
            raise InputError(f"formula {text!r}: a number can stand only inside I(), as in I(2 * amount).")
        has_constant = has_constant or not factors
        found.append(factors)
    if not has_constant:
        raise InputError(
            f"formula {text!r}: '- 1' and '0 +' have no meaning here, since a Cox model has no constant: the baseline "
            "hazard takes its place. Leave them out."
        )
    return found


def _check_products(text: str, tokens: list[str]) -> None:
    """Refuse products of so many columns that writing down their terms takes for ever: each doubles the terms."""
    factors = most = powers = depth = 0
    for before, sign in itertools.pairwise(["", *tokens]):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and sign in ("+", "-"):
            factors = 0
        factors += sign == "*"
        most = max(most, factors)
        powers = max(powers, int(sign)) if before in ("**", "^") and sign.isdigit() else powers
    if most > _MOST_FACTORS or powers > _MOST_POWER or ((len(tokens) + 1) // 2) ** powers > _MOST_PRODUCTS:
        raise InputError(
            f"formula {text[:60]!r} multiplies too many columns: {_MOST_FACTORS} stars in a product and a power of "
            f"{_MOST_POWER} of few columns are the most. Write the interactions that you mean with ':'."
        )


def columns_of(expression: str) -> tuple[str, ...]:
    """Return the columns that one expression needs; its functions are checked on the way.

    Examples
    --------
    >>> columns_of("log(amount / balance)")
    ('amount', 'balance')
    """
    return tuple(dict.fromkeys(_columns(*parsed(expression), expression)))


def _columns(node: ast.AST, quoted: Mapping[str, str], expression: str) -> Iterator[str]:
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name not in FUNCTIONS:
            raise InputError(
                f"formula: {expression!r} uses {name}(), which is not a function here.{did_you_mean(name, FUNCTIONS)} "
                f"Functions: {', '.join(FUNCTIONS)}. Anything else: add a column to the table first."
            )
        for argument in node.args[:1]:
            yield from _columns(argument, quoted, expression)
    elif isinstance(node, ast.Name):
        yield quoted.get(node.id, node.id)
    elif isinstance(node, (ast.Attribute, ast.Subscript)):
        raise InputError(
            f"formula: {ast.unparse(node)!r} in {expression!r} is not a column name. Write a name that holds a dot or "
            "a bracket between backticks: `a.b`."
        )
    else:
        for child in ast.iter_child_nodes(node):
            yield from _columns(child, quoted, expression)


def parsed(expression: str) -> tuple[ast.expr, dict[str, str]]:
    """Return the syntax tree, and what the stand-ins for backticked names stand for."""
    if expression.isidentifier():  # not by way of Python's parser, which rewrites some letters
        return ast.Name(id="_quoted"), {"_quoted": expression}
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        name = f"_quoted_{len(quoted)}"
        quoted[name] = match.group(1)
        return name

    try:
        return ast.parse(re.sub(r"`([^`]+)`", stand_in, expression), mode="eval").body, quoted
    except SyntaxError as error:
        raise InputError(f"formula: {expression!r} cannot be read ({error.msg}).") from error


def evaluate(
    expression: str,
    frame: pd.DataFrame,
    state: dict[str, Any],
    *,
    unchecked: Collection[str] = frozenset(),
    rows: NDArray[np.int64] | None = None,
) -> Values:
    """Compute one expression on a table.

    Parameters
    ----------
    expression : str
        Of `Formula.terms`.
    frame : DataFrame
        Must hold its columns.
    state : dict
        What center, scale, poly and the splines learned from the rows they were fitted to. Filled when empty, else
        used, so that new rows are treated like the first ones.
    unchecked : collection of str
        Columns whose values somebody else checks.
    rows : (n,) int64, optional
        How many rows of an engine's table each stands for: what is learned is learned from all of them.

    Raises
    ------
    InputError
        If values are missing or not finite (how many, and the first row), or of the wrong kind.

    Examples
    --------
    >>> import pandas as pd
    >>> evaluate("log2(amount)", pd.DataFrame({"amount": [1, 8]}), {}).numeric[0].tolist()
    [0.0, 3.0]
    """
    tree, quoted = parsed(expression)
    with np.errstate(all="ignore"):
        try:
            found = _Evaluation(expression, frame, quoted, state, unchecked, rows).of(tree)
        except RecursionError as error:
            raise _too_deep(expression) from error
    if _is_series(found):
        return Values(category=found)
    if isinstance(found, Values):
        return found
    array = np.asarray(found)
    if array.ndim != 1:
        raise InputError(f"formula: {expression!r} holds no column.")
    if array.dtype == np.bool_:
        return Values(category=_series(array, frame))
    if not isinstance(tree, ast.Name):  # a plain column was checked when it was read
        _check_finite(expression, array, frame, tree, quoted, rows)
    return Values((array,), ("",))


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Walks the syntax tree of one expression; only what is listed here can happen."""

    expression: str
    frame: pd.DataFrame
    quoted: Mapping[str, str]
    state: dict[str, Any]
    unchecked: Collection[str] = frozenset()
    rows: NDArray[np.int64] | None = None

    def of(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name):
                name = self.quoted.get(name, name)
                return _column(self.frame, name, complete=name not in self.unchecked, rows=self.rows)
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.number(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.number(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](self.number(left), self.number(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                return self.compared(left, op, right)
            case ast.Call(func=ast.Name(id="C"), args=[ast.Name(id=name)], keywords=[]):
                name = self.quoted.get(name, name)
                _column(self.frame, name, complete=False)
                return self.frame[name]
            case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _PLAIN:
                return _PLAIN[name](self.of(inner) if name == "I" else self.number(inner))
            case ast.Call(func=ast.Name(id=name), args=[inner, *rest]) if name in _LEARNED:
                return self.learned(node, name, inner, rest)
        raise InputError(f"formula: {ast.unparse(node)!r} is not allowed in {self.expression!r}.")

    def number(self, node: ast.expr) -> Any:
        """Evaluate what must be numeric."""
        found = self.of(node)
        if isinstance(found, (Values, str)) or _is_series(found):
            raise InputError(
                f"formula: {self.expression!r} needs numbers, and {ast.unparse(node)!r} "
                f"{'gives several columns' if isinstance(found, Values) else 'is a category'}."
            )
        try:
            # constants too: a power of whole numbers would wrap around in silence
            return np.asarray(found, dtype=np.float64) if isinstance(found, np.ndarray) else np.float64(found)
        except OverflowError as error:
            raise InputError(f"formula: a number in {self.expression[:60]!r} is too large.") from error

    def compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> NDArray[np.bool_]:
        a, b = self.of(left), self.of(right)
        category, other = (a, b) if _is_series(a) else (b, a)
        if not _is_series(category):
            return np.asarray(_COMPARISONS[type(op)](self.number(left), self.number(right)))
        if not isinstance(op, (ast.Eq, ast.NotEq)) or not isinstance(other, (str, bool)):
            raise InputError(
                f"formula: a category can only be compared with a value by == or != in {self.expression!r}."
            )
        values = category.astype(object).where(category.notna(), MISSING)
        return np.asarray(_COMPARISONS[type(op)](values, other), dtype=np.bool_)

    def learned(self, call: ast.Call, name: str, inner: ast.expr, rest: list[ast.expr]) -> Any:
        """Apply a transform that remembers what it learned."""
        from formulaic.transforms import TRANSFORMS

        options = {keyword.arg: keyword.value for keyword in call.keywords}
        try:
            positional = [ast.literal_eval(argument) for argument in rest]
            given = {key: ast.literal_eval(value) for key, value in options.items() if key}
        except ValueError as error:
            raise InputError(f"formula: the options of {self.expression!r} must be plain values.") from error
        if given.get("include_intercept"):
            raise InputError(f"formula: include_intercept has no place in {self.expression!r}: there is no constant.")
        if name in ("cs", "cr"):
            # without it the basis sums to one, which the baseline hazard holds already
            given.setdefault("constraints", "center")
        values = np.asarray(self.number(inner), dtype=np.float64)
        key = ast.unparse(call)
        learned = {k: np.array(v) if k == "constraints" else v for k, v in self.state.get(key, {}).items()}
        try:
            if self.rows is not None and not learned:
                TRANSFORMS[name](np.repeat(values, self.rows), *positional, **given, _state=learned)
            made = TRANSFORMS[name](values, *positional, **given, _state=learned)
        except (ValueError, TypeError) as error:
            raise InputError(f"formula: {self.expression!r}: {error}") from error
        self.state[key] = _plain(learned)
        if isinstance(made, dict):
            return Values(tuple(np.asarray(made[key]) for key in made), tuple(str(key) for key in made))
        array = np.asarray(made)
        if array.ndim == 1:
            return array
        return Values(tuple(array.T), tuple(str(i + 1) for i in range(array.shape[1])))


def _is_series(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "index")


def _plain(value: Any) -> Any:
    """State as plain Python values, so that it can be written as JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of objects as numbers, what is missing in any way as NaN."""
    if column.dtype != object:
        return column.astype(np.float64)
    there = column.notna().to_numpy()
    values = np.full(there.shape[0], np.nan)
    values[there] = column.to_numpy()[there].astype(np.float64)
    return type(column)(values, index=column.index, name=column.name)


def _column(frame: pd.DataFrame, name: str, *, complete: bool = True, rows: NDArray[np.int64] | None = None) -> Any:
    """A numeric column as an array, any other as a Series to be read as a category."""
    from pandas.api import types

    if name not in frame.columns:
        raise SchemaError(f"formula: there is no column {name!r}.{did_you_mean(name, frame.columns)}")
    column = frame[name]
    kind = types.infer_dtype(column, skipna=True) if column.dtype == object else str(column.dtype)
    if kind.startswith(("date", "time", "period", "duration")) or types.is_datetime64_any_dtype(column.dtype):
        raise InputError(
            f"formula: {name!r} holds dates or times. Turn it into a number of days, or into a category such as the "
            "month."
        )
    if kind.startswith("complex"):
        raise InputError(f"formula: {name!r} holds complex numbers.")
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        column = _numbers(column)
    if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        return column
    if isinstance(column.dtype, np.dtype):
        values: NDArray[Any] = column.to_numpy()
    else:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if complete:
        _check_complete(name, values, rows)
    return values


def _series(values: NDArray[Any], frame: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    return pd.Series(values, index=frame.index)


def _finite(values: NDArray[Any]) -> bool:
    """One pass each for the extremes, and no copy: a NaN or an infinity shows in them."""
    return (
        values.dtype.kind in "iub" or values.size == 0 or bool(np.isfinite(values.min()) and np.isfinite(values.max()))
    )


def _check_complete(name: str, values: NDArray[Any], rows: NDArray[np.int64] | None) -> None:
    if not _finite(values):
        raise not_finite(name, values, rows)


def _check_finite(
    expression: str,
    values: NDArray[Any],
    frame: pd.DataFrame,
    tree: ast.expr,
    quoted: Mapping[str, str],
    rows: NDArray[np.int64] | None,
) -> None:
    if _finite(values):
        return
    bad = ~np.isfinite(values)
    row = int(np.argmax(bad))
    where = ", ".join(f"{n} = {frame[n].iloc[row]}" for n in dict.fromkeys(_columns(tree, quoted, expression)))
    n = int(np.count_nonzero(bad) if rows is None else rows[bad].sum())
    which = f"first at row {row} ({where})" if rows is None else f"such as {where}"
    raise InputError(
        f"formula: {expression!r} is not a finite number in {counted(n, 'row')}, {which}. Use log1p where values are "
        "zero, or leave these rows out and say so."
    )
