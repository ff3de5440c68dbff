"""Splines and polynomials of a formula as what they are: a polynomial on each stretch between knots.

The polynomials are found from values of the learned basis itself, at Chebyshev's points of each stretch, so that there
is one definition of a basis. Written as SQL they give its values to about 1e-13.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import expressions as sql
from churnsurv.errors import InputError
from churnsurv.survival.covariates import FactorCode
from churnsurv.survival.formula import evaluate

__all__ = ["BASES", "Basis"]

Floats: TypeAlias = NDArray[np.float64]

BASES = ("poly", "bs", "cs", "cr")

_NOISE = 1e-13  # a power of a polynomial that adds less than this share is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Where a basis is one polynomial in u = (x - middle) / half.

    Attributes
    ----------
    middle, half : float
    powers : (n_columns, degree + 1) float64, or None
        Coefficients of 1, u, u^2 ... of each column; None where the basis has no value.
    """

    middle: float
    half: float
    powers: Floats | None

    def at(self, x: float) -> Floats | None:
        if self.powers is None:
            return None
        return np.asarray(self.powers @ (((x - self.middle) / self.half) ** np.arange(self.powers.shape[1])))

    def written(self, x: sql.Expression, coefficients: Floats) -> sql.Expression:
        """Write the sum of the columns times coefficients, by Horner's rule."""
        if self.powers is None:
            return sql.Null()
        powers = coefficients @ self.powers
        centred = x if self.middle == 0 else sql.Arithmetic("-", x, sql.Number(self.middle))
        u = centred if self.half == 1 else sql.Arithmetic("/", centred, sql.Number(self.half))
        used = np.flatnonzero(powers)
        value: sql.Expression = sql.Number(float(powers[used[-1]]) if used.size else 0.0)
        for power in powers[: used[-1] if used.size else 0][::-1]:
            value = sql.Arithmetic("+", sql.Arithmetic("*", value, u), sql.Number(float(power)))
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """A basis as polynomials between breaks; below the first and above the last as it goes on there.

    Attributes
    ----------
    breaks : tuple of float
        Increasing.
    stretches : tuple of Stretch
        One more than breaks: [-inf, b0), [b0, b1), ..., [b_(m-1), b_m], (b_m, inf].
    points : mapping of float to (n_columns,) float64
        Values at breaks where the polynomial of the stretch does not hold.
    n_columns : int
    """

    breaks: tuple[float, ...]
    stretches: tuple[Stretch, ...]
    points: Mapping[float, Floats]
    n_columns: int

    @classmethod
    def of(cls, call: ast.Call, code: FactorCode) -> Basis:
        """Find the polynomials from values of the learned basis between its knots."""
        n, state = len(code.labels), code.state.get(ast.unparse(call), {})
        values = _evaluation(call, state, n)
        if ast.unparse(call.func) == "poly":
            if not state:  # powers of x itself
                return cls((), (Stretch(0.0, 1.0, np.eye(n, n + 1, 1)),), {}, n)
            norms = state["norms2"]
            spread = float(np.sqrt(norms[1] / norms[0]))
            return cls((), (_fitted(values, float(state["alpha"][0]), 2 * spread, n),), {}, n)
        breaks = sorted({*map(float, state["knots"]), float(state["lower_bound"]), float(state["upper_bound"])})
        degree = _degree(call)
        width = breaks[-1] - breaks[0]
        ends = [breaks[0] - width, *breaks, breaks[-1] + width]
        stretches = tuple(_fitted(values, (a + b) / 2, (b - a) / 2, degree) for a, b in itertools.pairwise(ends))
        basis = cls(tuple(breaks), stretches, {}, n)
        points = {}
        for i, place in enumerate(breaks):
            true, own = values(np.array([place])), basis.stretches[min(i + 1, len(breaks) - 1)].at(place)
            if true is not None and (own is None or np.abs(true[0] - own).max() > 1e-9):
                points[place] = true[0]
        return cls(tuple(breaks), stretches, points, n)

    def written(self, x: sql.Expression, coefficients: Floats) -> sql.Expression:
        """Write the sum of the columns times coefficients."""
        if not self.breaks:
            return self.stretches[0].written(x, coefficients)
        pieces = [stretch.written(x, coefficients) for stretch in self.stretches]
        branches: list[tuple[sql.Expression, sql.Expression]] = [(sql.IsNull(x), sql.Null())]
        branches += [
            (sql.Comparison("=", x, sql.Number(place)), sql.Number(float(values @ coefficients)))
            for place, values in self.points.items()
        ]
        for place, piece in zip(self.breaks, pieces[:-1], strict=True):
            sign = "<=" if place == self.breaks[-1] else "<"
            branches.append((sql.Comparison(sign, x, sql.Number(place)), piece))
        return sql.Case(tuple(branches), pieces[-1])


def _degree(call: ast.Call) -> int:
    """Degree of a spline: cubic unless a B-spline says otherwise, by name or as its fourth argument."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    degree = given.get("degree", call.args[3] if ast.unparse(call.func) == "bs" and len(call.args) > 3 else None)
    return 3 if degree is None else int(ast.literal_eval(degree))


def _evaluation(call: ast.Call, state: Mapping[str, Any], n: int) -> Callable[[Floats], Floats | None]:
    """Return the learned basis as a function of its argument; None where it has no value."""
    alone = ast.Call(call.func, [ast.Name("t"), *call.args[1:]], call.keywords)
    expression = ast.unparse(alone)

    def values(at: Floats) -> Floats | None:
        import pandas as pd

        try:
            found = evaluate(expression, pd.DataFrame({"t": at}), {expression: dict(state)})
        except InputError:  # outside the range that the spline is for
            return None
        made = np.column_stack([np.broadcast_to(column, at.shape) for column in found.numeric])
        return made if made.shape[1] == n and np.isfinite(made).all() else None

    return values


def _fitted(values: Callable[[Floats], Floats | None], middle: float, half: float, degree: int) -> Stretch:
    """Return the polynomial through values at Chebyshev's points, which lie inside the stretch."""
    u = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    found = values(middle + half * u)
    if found is None:
        return Stretch(middle, half, None)
    powers = np.linalg.solve(np.vander(u, increasing=True), found).T
    powers[np.abs(powers) <= _NOISE * np.abs(powers).max()] = 0.0
    return Stretch(middle, half, powers)
