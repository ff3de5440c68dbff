"""What a formula learns from all rows of a table that stays in its engine: centres, scales, knots, polynomials.

The functions are those of `survival.formula`; here their states are made of means, extremes and quantiles, of which the
engine gives a few numbers each.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.data import cox_sql
from churnsurv.data import expressions as ex
from churnsurv.data.cox_sql import FactsSQL
from churnsurv.data.relation import Relation
from churnsurv.errors import InputError, SchemaError, require_columns
from churnsurv.numerics.design import not_finite
from churnsurv.survival.covariates import FactorCode
from churnsurv.survival.formula import _LEARNED, Formula, columns_of, evaluate, parsed
from churnsurv.survival.frames import counted
from churnsurv.survival.patterns import _NUMBERS
from churnsurv.survival.piecewise import BASES, _degree
from churnsurv.survival.scoring_sql import _Translation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Facts", "Learning", "numeric", "read_as_numbers"]

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "center": (),
    "scale": ("center", "scale", "ddof"),
    "poly": ("degree", "raw"),
    "bs": ("df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound", "extrapolation"),
}


def numeric(kind: str) -> bool:
    """Say whether a type of DuckDB's is one of numbers; true and false are a category.

    Examples
    --------
    >>> numeric("DECIMAL(18,2)"), numeric("BOOLEAN"), numeric("INTEGER[]"), numeric("INTERVAL")
    (True, False, False, False)
    """
    plain = kind.removeprefix("U")
    return plain.startswith(_NUMBERS) and plain not in ("BOOLEAN",) and not kind.endswith("]")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a number: in how many rows it is missing or infinite; extremes and mean of the others."""

    n_bad: int
    low: float
    high: float
    mean: float


class Learning:
    """Learns the expressions of a formula from one relation.

    Examples
    --------
    >>> from churnsurv.data import connect
    >>> from churnsurv.data.relation import relation_of
    >>> from churnsurv.survival.formula import parse_formula
    >>> with connect() as engine:
    ...     table = relation_of(engine.sql("SELECT range AS x FROM range(5)"))
    ...     Learning(table, parse_formula("center(x)")).factor("center(x)").state
    {'center(x)': {'ddof': 1, 'center': 2.0, 'scale': None}}
    """

    def __init__(self, relation: Relation, formula: Formula) -> None:
        require_columns("data", formula.variables, relation.columns)
        self._relation = relation
        self._known: dict[ex.Expression, Facts] = {}
        self._nothing = _without_rows(relation, formula.variables)
        self._complete(formula)

    def factor(self, expression: str) -> FactorCode:
        """Learn one expression: its labels are empty where it is a category."""
        tree, quoted = parsed(expression)
        columns, state = columns_of(expression), dict[str, Any]()
        code = FactorCode(expression, columns, None, (), state)
        for call in _calls(tree):
            name = ast.unparse(call.func)
            if name in BASES and call is not _top(tree):
                raise InputError(
                    f"formula: {expression!r} needs numbers, and {ast.unparse(call)!r} gives several columns."
                )
            state[ast.unparse(call)] = self._learned(name, call, _Translation(code, quoted))
        values = evaluate(expression, self._nothing, state)
        if values.category is None and not isinstance(tree, ast.Name) and not _is_basis(tree):
            self._check_finite(expression, _Translation(code, quoted).number(tree))
        return FactorCode(expression, columns, None, values.labels, state)

    # --- facts ---

    def facts(self, numbers: Sequence[ex.Expression], inputs: Sequence[ex.Named] = ()) -> list[Facts]:
        """Return the facts of some numbers: one statement for those that nobody has asked for before.

        Parameters
        ----------
        numbers : sequence of Expression
            Of the columns of the relation, or of inputs.
        inputs : sequence of Named
            What their names stand for.
        """
        read = {ex.Column(one.name): one.expression for one in inputs}
        keys = [read.get(number, number) if isinstance(number, ex.Column) else number for number in numbers]
        asked = [(key, number) for key, number in zip(keys, numbers, strict=True) if key not in self._known]
        if asked:
            found = self._ask([number for _, number in asked], inputs)
            for j, (key, _) in enumerate(asked):
                bad = int(found["n"] - found[f"n{j}"])
                values = (found[f"{what}{j}"] for what in ("low", "high", "mean"))
                self._known[key] = Facts(bad, *(np.nan if value is None else float(value) for value in values))
        return [self._known[key] for key in keys]

    def _ask(
        self,
        numbers: Sequence[ex.Expression],
        inputs: Sequence[ex.Named] = (),
        centres: Sequence[float] | None = None,
    ) -> dict[str, Any]:
        if not inputs:  # the numbers are of the columns of the relation: they are the inputs themselves
            inputs = [ex.Named(f"x{j} ", number) for j, number in enumerate(numbers)]
            numbers = [ex.Column(one.name) for one in inputs]
        named = tuple(ex.Named(f"number {j}", number) for j, number in enumerate(numbers))
        query = cox_sql.facts_sql(self._relation.name, FactsSQL(tuple(inputs), named), centres=centres)
        found: dict[str, Any] = self._relation.arrow(query).to_pylist()[0]
        return found

    def _complete(self, formula: Formula) -> None:
        """Refuse missing and infinite values of columns that are read as numbers."""
        names = dict.fromkeys(name for term in formula.terms for part in term for name in read_as_numbers(part))
        asked = [name for name in names if numeric(self._relation.columns[name])]
        found = self.facts([ex.Cast("number", ex.Column(name)) for name in asked])
        for name, facts in zip(asked, found, strict=True):
            if facts.n_bad:
                raise not_finite(name, np.array([np.nan]), np.array([facts.n_bad]))

    def _check_finite(self, expression: str, number: ex.Expression) -> Facts:
        (found,) = self.facts([number])
        if found.n_bad:
            raise InputError(
                f"formula: {expression!r} is not a finite number in {counted(found.n_bad, 'row')}. Use log1p where "
                "values are zero, or leave these rows out and say so."
            )
        return found

    # --- what functions learn ---

    def _learned(self, name: str, call: ast.Call, translation: _Translation) -> dict[str, Any]:
        if name not in _OPTIONS:
            raise InputError(
                f"formula: {ast.unparse(call)!r} is centred by the mean of each of its columns over all rows, which is "
                f"not computed inside an engine. Use bs() or poly(), or fetch the rows: {name}() works in memory."
            )
        options = _options(call, _OPTIONS[name])
        inner = translation.number(call.args[0])
        self._check_finite(ast.unparse(call.args[0]), inner)
        match name:
            case "center" | "scale":
                return self._scaled(inner, options if name == "scale" else {"scale": False})
            case "poly":
                return self._polynomials(inner, options)
            case _:
                return self._knots(call, inner, options)

    def _mean(self, number: ex.Expression) -> tuple[int, float, float]:
        """Count, mean, and mean square about it: a second pass over the differences from the first mean."""
        first = self.facts([number])[0].mean
        again = self._ask([number], centres=[first])
        rest = float(again["mean0"])
        return int(again["n0"]), first + rest, max(float(again["square0"]) - rest**2, 0.0)

    def _scaled(self, number: ex.Expression, options: Mapping[str, Any]) -> dict[str, Any]:
        n, mean, square = self._mean(number)
        ddof, centre, scale = options.get("ddof", 1), options.get("center", True), options.get("scale", True)
        at = (mean if centre else None) if isinstance(centre, bool) else float(centre)
        about = 0.0 if at is None else at
        spread = float(np.sqrt(n * (square + (mean - about) ** 2) / (n - ddof))) if n > ddof else float("nan")
        by = (spread if scale else None) if isinstance(scale, bool) else float(scale)
        return {"ddof": ddof, "center": at, "scale": by}

    def _polynomials(self, number: ex.Expression, options: Mapping[str, Any]) -> dict[str, Any]:
        """Alpha and norms of the three-term recurrence, one degree after the other."""
        if options.get("raw", False):
            return {}
        n, mean, square = self._mean(number)
        if square == 0:
            raise InputError(f"formula: poly() of a covariate without variance: every row is {mean:g}. Leave it out.")
        alpha, norms = {0: mean}, {0: float(n)}
        x = ex.Arithmetic("-", number, ex.Number(mean))
        before: ex.Expression = ex.Number(1.0)
        now: ex.Expression = x
        for degree in range(1, int(options.get("degree", 1)) + 1):
            squared = ex.Arithmetic("*", now, now)
            found = self._ask([squared, ex.Arithmetic("*", x, squared)])
            norms[degree] = float(found["mean0"]) * n
            alpha[degree] = mean + float(found["mean1"]) / float(found["mean0"]) if found["mean0"] else mean
            last = ex.Arithmetic("*", ex.Number(norms[degree] / norms[degree - 1]), before)
            rest = ex.Arithmetic("-", x, ex.Number(alpha[degree] - mean))
            before, now = now, ex.Arithmetic("-", ex.Arithmetic("*", rest, now), last)
        alpha.pop(max(alpha))
        return {"alpha": alpha, "norms2": norms}

    def _knots(self, call: ast.Call, number: ex.Expression, options: Mapping[str, Any]) -> dict[str, Any]:
        (found,) = self.facts([number])
        low, high = options.get("lower_bound"), options.get("upper_bound")
        low = found.low if low is None else float(low)
        high = found.high if high is None else float(high)
        beyond = options.get("extrapolation", "raise")
        if beyond == "raise" and (found.low < low or found.high > high):
            raise InputError(
                f"formula: {ast.unparse(call)!r}: some values lie beyond its bounds {low:g} and {high:g}: they go from "
                f"{found.low:g} to {found.high:g}."
            )
        degree, df, knots = _degree(call), options.get("df"), list(options.get("knots") or ())
        if df is not None:
            if knots or df < degree:
                raise InputError(
                    f"formula: {ast.unparse(call)!r}: df and knots say the same, and df is at least {degree}."
                )
            shares = np.linspace(0, 1, df - degree + 2)[1:-1].tolist()
            knots = self._quantiles(number, shares, *((low, high) if beyond in ("clip", "na", "zero") else ()))
        inside = [low, *map(float, knots), high]
        return {
            "lower_bound": low,
            "upper_bound": high,
            "knots": [*[low] * degree, *inside, *[high] * degree],
        }

    def _quantiles(self, number: ex.Expression, shares: Sequence[float], *within: float) -> list[float]:
        if not shares:
            return []
        low, high = within or (-np.finfo(float).max, np.finfo(float).max)
        facts = FactsSQL((ex.Named("x0 ", number),), (ex.Named("x", ex.Column("x0 ")),))
        query = cox_sql.quantiles_sql(self._relation.name, facts, shares, float(low), float(high))
        return [float(value) for value in self._relation.arrow(query).to_pylist()[0].values()]


def _top(tree: ast.expr) -> ast.expr:
    while isinstance(tree, ast.Call) and ast.unparse(tree.func) == "I":
        tree = tree.args[0]
    return tree


def _is_basis(tree: ast.expr) -> bool:
    top = _top(tree)
    return isinstance(top, ast.Call) and ast.unparse(top.func) in BASES


def _calls(tree: ast.expr) -> Iterator[ast.Call]:
    """Calls that learn something, the inner ones first."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):
            yield from _calls(child)
    if isinstance(tree, ast.Call) and ast.unparse(tree.func) in _LEARNED:
        yield tree


def _options(call: ast.Call, names: Sequence[str]) -> dict[str, Any]:
    """Options of a call by name, positional ones too; what is wrong with them is said where they are evaluated."""
    try:
        given = dict(zip(names, map(ast.literal_eval, call.args[1:]), strict=False))
        return given | {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    except ValueError as error:
        raise InputError(f"formula: the options of {ast.unparse(call)!r} must be plain values.") from error


def read_as_numbers(expression: str) -> tuple[str, ...]:
    """Columns of an expression, unless it is a category whatever they hold."""
    tree, _ = parsed(expression)
    top = _top(tree)
    is_category = isinstance(top, ast.Call) and ast.unparse(top.func) == "C"
    return () if is_category else columns_of(expression)


def _without_rows(relation: Relation, names: Sequence[str]) -> pd.DataFrame:
    """The columns as a table without rows, of the types that pandas would read them in."""
    import pandas as pd

    columns = {}
    for name in names:
        kind = relation.columns[name]
        if numeric(kind):
            columns[name] = pd.Series([], dtype=np.float64)
        elif kind == "BOOLEAN":
            columns[name] = pd.Series([], dtype=np.bool_)
        elif kind == "VARCHAR" or kind.startswith("ENUM"):
            columns[name] = pd.Series([], dtype=object)
        elif kind.startswith(("DATE", "TIME")):
            columns[name] = pd.Series([], dtype="datetime64[s]")
        else:
            raise SchemaError(
                f"{name!r} must hold text, numbers or dates to form groups; it has the type {kind[:40]}. Turn it into "
                "text first."
            )
    return pd.DataFrame(columns)
