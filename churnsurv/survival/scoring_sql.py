"""A Cox fit as one SQL statement that scores a table in a warehouse: linear predictor, and survival on given days.

The statement has levels. The innermost reads the table: each expression of the formula is a number, each category
its number among those of the fit, each stratum its number. The next one adds up the linear predictor, the one after it
keeps what is finite, and the last one turns it into survival.

A row that `CoxFit.risk` would refuse gets null: a missing or infinite number, a category or stratum that the model was
not fitted to, a value outside the range of a `bs` spline.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import expressions as sql
from churnsurv.errors import FollowUpError, InputError
from churnsurv.numerics.prediction import places
from churnsurv.survival.covariates import FactorCode, TermCode, cells_of
from churnsurv.survival.factors import MISSING
from churnsurv.survival.formula import parsed
from churnsurv.survival.newdata import Fitted, design_order
from churnsurv.survival.piecewise import BASES, Basis

__all__ = ["Predictor", "predictor_of", "to_sql"]

Floats: TypeAlias = NDArray[np.float64]

_PREDICTOR = "linear_predictor"
_FAR = 690.0  # log hazard ratios beyond it are cut off, as in predictions
_BETWEEN = " | "  # what joins the values of several strata columns in a label
_ARITHMETIC: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "=",
    ast.NotEq: "<>",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def to_sql(
    fit: Fitted,
    table: str | Sequence[str],
    *,
    horizons: float | Sequence[float] = (),
    keep: str | Sequence[str] = ("user_id",),
    dialect: str = "duckdb",
) -> str:
    """Write one SELECT that scores every row of a table as `CoxFit.risk` and `CoxFit.survival` do, to about 1e-12.

    Parameters
    ----------
    fit : CoxFit
    table : str or sequence of str
        The table to score, with the columns of the formula, the offset and, for horizons, the strata. A dot separates
        schema and table; the parts of a name that holds a dot itself come as a sequence: ``("main", "users.v2")``.
    horizons : number or sequence of numbers
        Days since origin; each gives a column ``survival_<days>``, P(T > days).
    keep : str or sequence of str
        Columns of the table that the result keeps, first.
    dialect : {"duckdb", "sqlite"}
        SQLite itself takes a text in a column of numbers for 0; DuckDB raises an error.

    Returns
    -------
    str
        A statement without a semicolon at its end. Columns: those kept, ``linear_predictor`` (as `CoxFit.risk`, a
        higher one churns sooner), then survival. A row has null in ``linear_predictor`` where a number is missing or
        infinite, where a category was not among those of the fit, or where a value lies outside the range of a ``bs``
        spline; null survival also where the stratum was not among those of the fit. A missing category that the fit
        knows as "(missing)" has its coefficient.

    Raises
    ------
    FollowUpError
        If nobody of some stratum was followed to a horizon.
    InputError
        If a category is no text, number or boolean, a name occurs twice, or the dialect is not among the two.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [1, 2, 3], "churned": [True, True, True], "x": [0.0, 1.0, 0.0]})
    >>> print(to_sql(cox("x", data), "users"))
    SELECT
        "source"."user_id" AS "user_id",
        CASE WHEN ABS("source"."linear_predictor") <= ... THEN "source"."linear_predictor" END AS "linear_predictor"
    FROM (
        SELECT
            "source"."user_id" AS "user_id",
            0.34657359027997...e0 * "source"."x1 x" AS "linear_predictor"
        FROM (
            SELECT
                "source"."user_id" AS "user_id",
                CASE WHEN ABS(CAST("source"."x" AS DOUBLE)) <= ... THEN CAST("source"."x" AS DOUBLE) END AS "x1 x"
            FROM "users" AS "source"
        ) AS "source"
    ) AS "source"
    """
    days, kept = _days(horizons), _kept(keep)
    names = [f"survival_{day:.15g}" for day in days]
    _check_names(kept, [_PREDICTOR, *names])
    inputs = _Inputs(kept)
    predictor = _predictor(fit, inputs)
    stratum = inputs.add("stratum", _stratum(fit)) if days and fit.strata else None
    through = [*kept, *(() if stratum is None else (stratum,))]
    select = sql.Select((*_same(kept), *inputs.columns), _table(table))
    select = sql.Select((*_same(through), sql.Named(_PREDICTOR, predictor)), select)
    select = sql.Select((*_same(through), sql.Named(_PREDICTOR, sql.finite(sql.Column(_PREDICTOR)))), select)
    if days:
        _check_follow_up(fit, days)
        survival = [sql.Named(name, _survival(fit, day, stratum)) for name, day in zip(names, days, strict=True)]
        select = sql.Select((*_same([*kept, _PREDICTOR]), *survival), select)
    return sql.render(select, dialect=dialect)


@dataclass(frozen=True, slots=True)
class Predictor:
    """The linear predictor of a fit in two levels.

    Attributes
    ----------
    columns : tuple of Named
        What is read from the table.
    expression : Expression
        The linear predictor, of these columns; null, infinite or not a number where a row has none.
    """

    columns: tuple[sql.Named, ...]
    expression: sql.Expression


def predictor_of(fit: Fitted, kept: Iterable[str]) -> Predictor:
    """Write the linear predictor as `to_sql` does, for statements that have other uses for it.

    Parameters
    ----------
    fit : CoxFit
    kept : iterable of str
        Names that its columns must not have.
    """
    inputs = _Inputs(kept)
    expression = _predictor(fit, inputs)
    return Predictor(tuple(inputs.columns), expression)


def _same(names: Iterable[str]) -> tuple[sql.Named, ...]:
    """Columns that go from one level to the next."""
    return tuple(sql.Named(name, sql.Column(name)) for name in names)


class _Inputs:
    """The columns of the inner level, each with a name of its own."""

    def __init__(self, kept: Iterable[str]) -> None:
        self.columns: list[sql.Named] = []
        self.taken = {name.casefold() for name in (*kept, _PREDICTOR)}

    def add(self, label: str, expression: sql.Expression) -> str:
        """Add a column and return its name."""
        name, number = f"x{len(self.columns) + 1} {label}", 1
        while name.casefold() in self.taken:
            name, number = f"x{len(self.columns) + 1}.{number} {label}", number + 1
        self.taken.add(name.casefold())
        self.columns.append(sql.Named(name, expression))
        return name


# --- arguments ------------------------------------------------------------------------------------------------------


def _days(horizons: float | Sequence[float]) -> list[float]:
    found = np.atleast_1d(np.asarray(horizons))
    if found.size == 0:
        return []
    if found.ndim != 1 or found.dtype.kind not in "iuf" or not (np.isfinite(found) & (found >= 0)).all():
        raise InputError(f"horizons must be finite numbers of days >= 0; got {horizons!r}.")
    return list(dict.fromkeys(float(day) for day in found))


def _kept(keep: str | Sequence[str]) -> tuple[str, ...]:
    names = (keep,) if isinstance(keep, str) else tuple(keep)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"keep must be names of columns, not {keep!r}.")
    return names


def _check_names(kept: Sequence[str], made: Sequence[str]) -> None:
    """SQL takes no notice of capitals in names."""
    folded = [name.casefold() for name in (*kept, *made)]
    for i, name in enumerate((*kept, *made)):
        if folded[i] in folded[:i]:
            what = "is also a column that the statement makes; rename it" if i >= len(kept) else "occurs twice; take it"
            raise InputError(f"keep: {name!r} {what}{' in the table' if i >= len(kept) else ' once'}.")


def _table(table: str | Sequence[str]) -> sql.Table:
    parts = tuple(table.split(".")) if isinstance(table, str) else tuple(table)
    if not parts or not all(isinstance(part, str) and part for part in parts):
        raise InputError(f"table must be the name of a table, such as 'users' or 'main.users'; got {table!r}.")
    return sql.Table(parts)


def _check_follow_up(fit: Fitted, days: Sequence[float]) -> None:
    last, horizon = fit._moments.last_day, max(days)
    beyond = [(label, day) for label, day in zip(fit._strata_labels, last.tolist(), strict=True) if not day >= horizon]
    if not beyond:
        return
    if not fit.strata:
        raise FollowUpError(
            f"nobody was followed to day {horizon:g}: the last day is {last[0]:g}. Ask for days up to it."
        )
    named = ", ".join(
        f"{label!r} ({'nobody at risk' if np.isnan(day) else f'last day {day:g}'})" for label, day in beyond[:12]
    )
    more = f" and {len(beyond) - 12} more" if len(beyond) > 12 else ""
    raise FollowUpError(
        f"nobody was followed to day {horizon:g} in these strata: {named}{more}. Ask for earlier days; a statement is "
        "for rows of every stratum."
    )


# --- the linear predictor -------------------------------------------------------------------------------------------


def _predictor(fit: Fitted, inputs: _Inputs) -> sql.Expression:
    """Sum the terms, each the product of its numbers times the coefficient of its cell."""
    encoding, estimates = fit._encoding, fit._estimates
    factors = {
        expression: _Factor.of(encoding.factors[expression], inputs)
        for expression in dict.fromkeys(part for term in encoding.terms for part in (*term.numeric, *term.categories))
    }
    parts: list[sql.Expression] = []
    position = 0
    for term in encoding.terms:
        cells = cells_of(term, encoding.factors)
        bases = [range(len(encoding.factors[part].labels)) for part in term.numeric]
        chosen = list(itertools.product(*bases))
        of_term = estimates[position : position + len(chosen) * len(cells)].reshape(len(chosen), len(cells))
        position += of_term.size
        if len(term.numeric) == 1 and not term.categories:
            parts.append(factors[term.numeric[0]].times(of_term[:, 0]))
            continue
        for combination, coefficients in zip(chosen, of_term, strict=True):
            numbers = [factors[part].column(j) for part, j in zip(term.numeric, combination, strict=True)]
            parts.append(_product([*numbers, _by_cell(term, encoding.factors, factors, cells, coefficients)]))
    if fit.offset is not None:
        parts.append(sql.Column(inputs.add(f"offset {fit.offset}", _number_column(fit.offset))))
    return sql.total(parts)


def _product(parts: Sequence[sql.Expression]) -> sql.Expression:
    product = parts[0]
    for part in parts[1:]:
        product = sql.Arithmetic("*", product, part)
    return product


def _by_cell(
    term: TermCode,
    codes: Mapping[str, FactorCode],
    factors: Mapping[str, _Factor],
    cells: Sequence[tuple[int, ...]],
    coefficients: Floats,
) -> sql.Expression:
    """Write the coefficient of a row's combination of categories; 0 at the reference, null where one is unknown."""
    if not term.categories:
        return sql.Number(float(coefficients[0]))
    numbers = [sql.Column(factors[part].input) for part in term.categories]
    widths = [len(codes[part].categories or ()) for part in term.categories]
    steps = np.cumprod([1, *widths[:-1]]).tolist()
    joint = sql.total(
        [n if step == 1 else sql.Arithmetic("*", n, sql.Number(step)) for n, step in zip(numbers, steps, strict=True)]
    )
    of_cell = {int(np.dot(cell, steps)): float(b) for cell, b in zip(cells, coefficients, strict=True)}
    branches: list[tuple[sql.Expression, sql.Expression]] = [(sql.IsNull(joint), sql.Null())]
    branches += [(sql.Comparison("=", joint, sql.Number(place)), sql.Number(b)) for place, b in of_cell.items()]
    return sql.Case(tuple(branches), sql.Number(0.0))


@dataclass(frozen=True, slots=True)
class _Factor:
    """One expression of the formula, as a column of the inner level.

    Attributes
    ----------
    input : str
        Name of the column: the number, the argument of a basis, or the number of the category.
    basis : Basis or None
    """

    input: str
    basis: Basis | None

    @classmethod
    def of(cls, code: FactorCode, inputs: _Inputs) -> _Factor:
        tree, quoted = parsed(code.expression)
        translation = _Translation(code, quoted)
        while isinstance(tree, ast.Call) and ast.unparse(tree.func) == "I":
            tree = tree.args[0]
        if code.categories is not None:
            return cls(inputs.add(code.name, translation.category(tree, code.categories)), None)
        if isinstance(tree, ast.Call) and ast.unparse(tree.func) in BASES:
            argument = sql.finite(translation.number(tree.args[0]))
            return cls(inputs.add(" ".join(code.columns), argument), Basis.of(tree, code))
        return cls(inputs.add(code.name, translation.number(tree)), None)

    def times(self, coefficients: Floats) -> sql.Expression:
        """Write the sum of its columns times coefficients."""
        if self.basis is None:
            return sql.Arithmetic("*", sql.Number(float(coefficients[0])), sql.Column(self.input))
        return self.basis.written(sql.Column(self.input), coefficients)

    def column(self, which: int) -> sql.Expression:
        """Write one of its columns."""
        if self.basis is None:
            return sql.Column(self.input)
        return self.basis.written(sql.Column(self.input), np.eye(self.basis.n_columns)[which])


def _number_column(name: str) -> sql.Expression:
    return sql.finite(sql.Cast("number", sql.Column(name)))


@dataclass(frozen=True, slots=True)
class _Translation:
    """Turns the syntax tree of one expression into SQL, as `formula.evaluate` computes it."""

    code: FactorCode
    quoted: Mapping[str, str]

    def number(self, node: ast.expr) -> sql.Expression:
        """Write a number; null where it is not one."""
        match node:
            case ast.Name(id=name):
                return _number_column(self.quoted.get(name, name))
            case ast.Constant(value=bool() | int() | float() as value):
                return sql.Number(float(value))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return sql.Arithmetic("*", sql.Number(-1.0), self.number(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.number(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return self.arithmetic(op, self.number(left), self.number(right))
            case ast.Compare():
                truth = self.truth(node)
                return sql.Case(((truth, sql.Number(1.0)), (sql.Not(truth), sql.Number(0.0))))
            case ast.Call(func=ast.Name(id=name), args=[inner, *_]):
                return self.called(node, name, self.number(inner))
        raise InputError(f"formula: {ast.unparse(node)!r} in {self.code.expression!r} can't be written as SQL.")

    def arithmetic(self, op: ast.operator, left: sql.Expression, right: sql.Expression) -> sql.Expression:
        match op:
            case ast.Pow():
                return sql.Call("power", (left, right))
            case ast.Mod():
                return _remainder(left, right)
            case ast.FloorDiv():
                # the quotient is whole but for rounding: numpy's definition, by the remainder
                whole = sql.Arithmetic("-", left, _remainder(left, right))
                return sql.Call("round", (sql.Arithmetic("/", whole, right),))
        return sql.Arithmetic(_ARITHMETIC[type(op)], left, right)

    def called(self, call: ast.Call, name: str, inner: sql.Expression) -> sql.Expression:
        if name == "I":
            return inner
        if name == "log1p":
            return sql.Call("log", (sql.Arithmetic("+", sql.Number(1.0), inner),))
        if name not in ("center", "scale"):
            return sql.Call(name, (inner,))
        state = self.code.state[ast.unparse(call)]
        if state.get("center") is not None:
            inner = sql.Arithmetic("-", inner, sql.Number(float(state["center"])))
        return inner if state.get("scale") is None else sql.Arithmetic("/", inner, sql.Number(float(state["scale"])))

    def truth(self, node: ast.Compare) -> sql.Expression:
        """Write a comparison; of numbers null where one of them is not finite, of a category never null."""
        left, right, sign = node.left, node.comparators[0], _COMPARISONS[type(node.ops[0])]
        for category, value in ((left, right), (right, left)):
            match value:
                case ast.Constant(value=str() | bool() as wanted) if _name_of(category) is not None:
                    equal = _equals(sql.Column(self.column(category)), wanted)
                    known = sql.Case(((equal, sql.Truth(True)),), sql.Truth(False))
                    return known if sign == "=" else sql.Not(known)
        return sql.Comparison(sign, sql.finite(self.number(left)), sql.finite(self.number(right)))

    def column(self, node: ast.expr) -> str:
        name = _name_of(node) or ""
        return self.quoted.get(name, name)

    def category(self, node: ast.expr, categories: Sequence[Any]) -> sql.Expression:
        """Write the number of the row's category among those of the fit; null where it is none of them."""
        if isinstance(node, ast.Compare):
            truth = self.truth(node)
            found = [truth if category else sql.Not(truth) for category in categories]
        else:
            if len({isinstance(category, str) for category in categories if category != MISSING}) > 1:
                raise InputError(
                    f"{self.code.name!r} has text and other values among its categories, which SQL can't compare with "
                    "one column. Turn the column into text before the fit."
                )
            found = [_equals(sql.Column(self.column(node)), category, self.code.name) for category in categories]
        return sql.Case(tuple((equal, sql.Number(place)) for place, equal in enumerate(found)))


def _name_of(node: ast.expr) -> str | None:
    """The name of a column that stands alone, or within C()."""
    match node:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id="C"), args=[ast.Name(id=name)]):
            return name
    return None


def _remainder(left: sql.Expression, right: sql.Expression) -> sql.Expression:
    """Python's remainder, which has the sign of the divisor; SQL's has that of the dividend."""
    remainder = sql.Arithmetic("%", left, right)
    zero = sql.Number(0.0)
    other_sign = sql.Comparison("<", sql.Arithmetic("*", remainder, right), zero)
    return sql.Case(((other_sign, sql.Arithmetic("+", remainder, right)),), remainder)


def _equals(column: sql.Column, value: Any, name: str = "") -> sql.Expression:
    """Whether a column holds a category."""
    match value:
        case bool():
            return sql.Comparison("=", column, sql.Truth(value))
        case int() | float():
            return sql.Comparison("=", sql.Cast("number", column), sql.Number(float(value)))
        case str():
            equal = sql.Comparison("=", sql.Cast("text", column), sql.Text(value))
            return sql.Or((equal, sql.IsNull(column))) if value == MISSING else equal
    raise InputError(
        f"{name!r} has the category {value!r}, a {type(value).__name__}, which can't be written as SQL. Turn the "
        "column into text before the fit."
    )


# --- survival ---


def _survival(fit: Fitted, day: float, stratum: str | None) -> sql.Expression:
    """exp(-H), H the baseline of the stratum at the day times the hazard ratio of the row to where it is taken."""
    moments = fit._moments
    order = design_order(fit._encoding)
    at = float(moments.centre @ fit._estimates[order]) + moments.shift
    chosen = places(moments, np.arange(len(fit._strata_labels)), np.array(day))
    # infinite where a grouped fit saw everybody churn: large enough for survival to be 0 at any hazard ratio
    hazard = np.minimum(np.append(0.0, moments.hazard)[chosen], np.finfo(np.float64).max)
    difference = sql.Arithmetic("-", sql.Column(_PREDICTOR), sql.Number(at))
    cut = sql.Case(
        (
            (sql.Comparison(">", difference, sql.Number(_FAR)), sql.Number(_FAR)),
            (sql.Comparison("<", difference, sql.Number(-_FAR)), sql.Number(-_FAR)),
        ),
        difference,
    )
    if stratum is None:
        baseline: sql.Expression = sql.Number(-float(hazard[0]))
    else:
        column = sql.Column(stratum)
        baseline = sql.Case(
            tuple(
                (sql.Comparison("=", column, sql.Number(i)), sql.Number(-float(value)))
                for i, value in enumerate(hazard)
            )
        )
    return sql.Call("exp", (sql.Arithmetic("*", baseline, sql.Call("exp", (cut,))),))


def _stratum(fit: Fitted) -> sql.Expression:
    """Write the number of the row's stratum; null where it is none of the fit."""
    columns, labels = [sql.Column(name) for name in fit.strata], fit._strata_labels
    splits = [_splits(label, len(columns)) for label in labels]
    known = [{split[j] for of_label in splits for split in of_label} for j in range(len(columns))]

    def reads(split: tuple[str, ...]) -> sql.Expression:
        return sql.And(tuple(_reads(c, text, there) for c, text, there in zip(columns, split, known, strict=True)))

    found = [sql.Or(tuple(map(reads, of_label))) for of_label in splits]
    return sql.Case(tuple((condition, sql.Number(i)) for i, condition in enumerate(found)))


def _splits(label: str, n: int) -> list[tuple[str, ...]]:
    """Return the values of n columns that a label can stand for: one way, unless a value holds the separator."""
    parts = label.split(_BETWEEN)
    ways = itertools.combinations(range(1, len(parts)), n - 1)
    return [tuple(_BETWEEN.join(parts[a:b]) for a, b in itertools.pairwise((0, *cuts, len(parts)))) for cuts in ways]


def _reads(column: sql.Column, text: str, known: Collection[str]) -> sql.Expression:
    """Whether a column holds a value that reads so in Python: True is 'true' or 1 in SQL, 3.0 may be an integer."""
    others: list[str] = []
    if text in ("True", "False"):
        others = [text.lower(), str(int(text == "True"))]
    elif re.fullmatch(r"-?\d+", text):
        others = [f"{text}.0"]
    elif re.fullmatch(r"-?\d+\.0", text):
        others = [text.removesuffix(".0")]
    elif re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        others = [f"{text} 00:00:00"]
    said = [text, *(other for other in others if other not in known)]
    equal: list[sql.Expression] = [sql.Comparison("=", sql.Cast("text", column), sql.Text(one)) for one in said]
    return sql.Or((*equal, *((sql.IsNull(column),) if text == MISSING else ())))
