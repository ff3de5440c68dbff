"""The chance that a silent user churns, from a Cox fit of return on gap time; and what a contact today is worth.

A contact on idle day d is worth v(d) = V s(d) P(d, x) - c. A cut of v itself would contact too early: it is above
nothing long before it is highest. So v is compared with waiting, whose worth follows backwards from the last day,

    W(idle_days - 1) = 0,   W(d) = S(d + 1 | x) / S(d | x) max(v(d + 1), W(d + 1)),

and v(d) - W(d) > 0 on the first of the best days, if the fit is right. Rules compare its highest value since the last
activity: a user stays in the tier until the next one.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.survival.covariates import Encoding
from churnsurv.survival.cox_fit import CoxFit
from churnsurv.survival.formula import evaluate, parsed
from churnsurv.survival.frames import numeric_column
from churnsurv.survival.piecewise import BASES
from churnsurv.warning.objectives import Value, objective_from_plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHANCE", "OVER_WAITING", "GapScore", "fit_score"]

Floats: TypeAlias = NDArray[np.float64]

#: What rules call the score.
CHANCE = "P(churn)"
#: What they call the expected value of a contact, less that of waiting for the best later day; the highest so far.
OVER_WAITING = "value over waiting"
_ROWS = 1 << 16
_LARGEST = 1e100


@dataclass(frozen=True, slots=True, eq=False)
class GapScore:
    """P(gap > idle_days | gap > d, x) = S(idle_days | x) / S(d | x), S the survival of "not yet returned".

    Attributes
    ----------
    fit : CoxFit
        Of return on the days of a gap.
    idle_days : int
        Days that make a churn.
    numbers : tuple of str
        The columns of the formula that hold numbers.
    centre : tuple of float
        Means of the terms over the gaps of the fit, in the order of its table.
    worths : Mapping of str to Value
        What each value over waiting is of, by the name that rules give it.
    """

    fit: CoxFit
    idle_days: int
    numbers: tuple[str, ...]
    centre: tuple[float, ...]
    worths: Mapping[str, Value]

    def __post_init__(self) -> None:
        object.__setattr__(self, "worths", MappingProxyType(dict(self.worths)))

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns that the formula names."""
        return tuple(self.fit._encoding.variables)

    @property
    def told(self) -> dict[str, Any]:
        """What a scheme says of it in its JSON and repr."""
        return {"formula": self.fit.formula}

    @property
    def names(self) -> tuple[str, ...]:
        """What rules may compare."""
        return (CHANCE, *self.worths)

    @property
    def ahead(self) -> Floats:
        """H(idle_days) - H(d) on idle days d = 0 ... idle_days, H the hazard of return where all covariates are 0."""
        baseline = self.fit.baseline
        days, hazard = (baseline[name].to_numpy(dtype=np.float64) for name in ("time", "cumulative_hazard"))
        at = np.append(0.0, hazard)[np.searchsorted(days, np.arange(self.idle_days + 1), side="right")]
        return np.asarray(at[-1] - at)

    def risk(self, table: Any) -> Floats:
        """The linear predictor of each row, higher for who returns sooner.

        NaN where a number is missing, an expression of the formula is not finite, or a value lies outside the range of
        a spline: as in the SQL of the fit.
        """
        columns = {name: numeric_column(table, name, "numbers").astype(np.float64) for name in self.numbers}
        there = np.ones(len(table), dtype=np.bool_)
        for values in columns.values():
            there &= np.isfinite(values)
        found = np.full(len(table), np.nan)
        if there.any():
            rows = table.loc[there].assign(**{name: values[there] for name, values in columns.items()})
            inside = _defined(self.fit._encoding, rows)
            there[there] = inside
            if inside.any():
                found[there] = np.asarray(self.fit.risk(rows if inside.all() else rows.loc[inside]))
        return found

    def chance(self, risk: Floats, idle_days: Floats) -> Floats:
        """P(churn) of users with a linear predictor who are idle for so many whole days; 1 for the churned."""
        day = np.clip(np.nan_to_num(idle_days), 0, self.idle_days).astype(np.int64)
        with np.errstate(divide="ignore", over="ignore"):
            found = np.exp(-np.exp(np.log(self.ahead)[day] + risk))
        # nobody returns after that day: all of those who are still silent churn, whatever their covariates
        found = np.where((self.ahead[day] == 0) & ~np.isnan(risk), 1.0, found)
        return np.asarray(np.where(np.isnan(idle_days), np.nan, found))

    def by_day(self, risk: Floats, worths: Mapping[str, Value] | None = None) -> dict[str, Floats]:
        """What rules compare on idle days 0 ... idle_days - 1, by name; arrays of shape (n, idle_days)."""
        days = np.arange(self.idle_days)
        chance = self.chance(risk[:, None], np.broadcast_to(days.astype(np.float64), (risk.size, days.size)))
        with np.errstate(divide="ignore", over="ignore"):
            stays = np.exp(-np.exp(np.log(self.ahead[:-1] - self.ahead[1:]) + risk[:, None]))
        found = {CHANCE: chance}
        for name, worth in (self.worths if worths is None else worths).items():
            found[name] = _over_waiting(worth, chance, stays)
        return found

    def compared(self, risk: Floats, idle_days: Floats) -> dict[str, Floats]:
        """The numbers that rules compare, by name; a churned user has no value of a contact."""
        found = {CHANCE: self.chance(risk, idle_days)} | {name: np.full(risk.size, np.nan) for name in self.worths}
        living = np.flatnonzero((idle_days >= 0) & (idle_days < self.idle_days))
        for first in range(0, living.size if self.worths else 0, _ROWS):
            rows = living[first : first + _ROWS]
            by_day = self.by_day(risk[rows])
            for name in self.worths:
                found[name][rows] = by_day[name][np.arange(rows.size), idle_days[rows].astype(np.int64)]
        return found

    def added(self, table: Any, idle_days: Floats) -> dict[str, Floats]:
        """What rules compare besides the columns of a table of users, by name."""
        return self.compared(self.risk(table), idle_days)

    def contributions(self, table: pd.DataFrame) -> pd.DataFrame:
        """What each term adds to the log hazard of return, against the mean over the gaps of the fit; (n_rows, terms).

        The sum over terms is the risk less its mean: positive terms speak for a return.
        """
        matrix = self.fit.model_matrix(table)
        return (matrix - np.array(self.centre)) * self.fit.table["estimate"].to_numpy()

    def to_plain(self) -> dict[str, Any]:
        """As nested dicts and lists that JSON can hold."""
        return {
            "fit": json.loads(self.fit.to_json()),
            "idle_days": self.idle_days,
            "numbers": list(self.numbers),
            "centre": list(self.centre),
            "worths": {name: worth.to_plain() for name, worth in self.worths.items()},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> GapScore:
        """The score that `to_plain` wrote down.

        Raises
        ------
        InputError
            If a part is damaged.
        """
        worths = {name: objective_from_plain(worth) for name, worth in plain["worths"].items()}
        return cls(
            fit=CoxFit.from_json(json.dumps(plain["fit"])),
            idle_days=int(plain["idle_days"]),
            numbers=tuple(map(str, plain["numbers"])),
            centre=tuple(map(float, plain["centre"])),
            worths={name: worth for name, worth in worths.items() if isinstance(worth, Value)},
        )


def _defined(encoding: Encoding, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the numbers of a formula are numbers: finite, and within the range of a spline that ends with it."""
    found = np.ones(len(rows), dtype=np.bool_)
    for code in encoding.factors.values():
        tree, quoted = parsed(code.expression)
        while isinstance(tree, ast.Call) and ast.unparse(tree.func) == "I":
            tree = tree.args[0]
        if code.categories is not None or isinstance(tree, ast.Name):
            continue
        low, high = -_LARGEST, _LARGEST
        if isinstance(tree, ast.Call) and ast.unparse(tree.func) in BASES:
            low, high = _range(tree, code.state.get(ast.unparse(tree), {}))
            tree = tree.args[0]
        number = re.sub(r"\b_quoted_\d+", partial(_with_names, quoted), ast.unparse(tree))
        # comparisons are not refused where a number is not finite: they are false
        for sign, bound in ((">=", low), ("<=", high)):
            held = evaluate(f"({number}) {sign} {bound!r}", rows, dict(code.state)).category
            found &= np.asarray(held, dtype=np.bool_)
    return found


def _with_names(quoted: Mapping[str, str], stand_in: re.Match[str]) -> str:
    return f"`{quoted[stand_in.group()]}`" if stand_in.group() in quoted else stand_in.group()


def _range(call: ast.Call, state: Mapping[str, Any]) -> tuple[float, float]:
    """The range of a spline, if it has no values beyond; else all that can be computed with."""
    import pandas as pd

    everything = -_LARGEST, _LARGEST
    if "lower_bound" not in state:
        return everything
    low, high = float(state["lower_bound"]), float(state["upper_bound"])
    alone = ast.unparse(ast.Call(call.func, [ast.Name("t"), *call.args[1:]], call.keywords))
    beyond = pd.DataFrame({"t": [low - (high - low), high + (high - low)]})
    try:
        made = evaluate(alone, beyond, {alone: dict(state)}).numeric
    except InputError:
        return low, high
    return everything if all(np.isfinite(column).all() for column in made) else (low, high)


def _over_waiting(worth: Value, chance: Floats, stays: Floats) -> Floats:
    """v(d) - W(d), its maximum over days 1 ... d; NaN on day 0. `stays` is P(gap > d + 1 | gap > d).

    The maximum changes no first alert. Without it a user would leave the tier on the late days of the same silence,
    when a contact is worth little, and be alerted in a lower one.
    """
    if worth.saving is None:
        return np.full(chance.shape, np.nan)
    n_days = chance.shape[1]
    # nobody is in a tier on the day of an activity, of which a table of savings need not know
    curve = float(worth.saved_value or 0.0) * np.append(np.nan, worth.saving.at(np.arange(1, n_days)))
    value = np.asarray(curve * chance - float(worth.contact_cost or 0.0))
    waiting = np.zeros(chance.shape)
    for day in range(n_days - 2, -1, -1):
        waiting[:, day] = stays[:, day] * np.maximum(value[:, day + 1], waiting[:, day + 1])
    over = value - waiting
    over[:, 1:] = np.maximum.accumulate(over[:, 1:], axis=1)
    return np.asarray(over)


def fit_score(formula: str, gaps: pd.DataFrame, *, idle_days: int, worths: Mapping[str, Value]) -> GapScore:
    """Fit the hazard of return over idle days, clustered by user.

    Parameters
    ----------
    formula : str
        As for `churnsurv.survival.cox`.
    gaps : DataFrame
        Mature gaps with `user_id`, `duration` (idle_days + 1: no return by then) and the columns of the formula.
    idle_days : int
    worths : Mapping of str to Value
        What values over waiting are of, by name.

    Examples
    --------
    >>> import pandas as pd
    >>> gaps = pd.DataFrame({"x": [0, 0, 0, 1, 1, 1, 1], "duration": [1, 2, 5, 1, 1, 2, 5], "user_id": range(7)})
    >>> score = fit_score("x", gaps, idle_days=4, worths={})
    >>> score.by_day(score.risk(pd.DataFrame({"x": [0, 1]})))[CHANCE].round(2).tolist()
    [[0.35, 0.56, 1.0, 1.0], [0.24, 0.45, 1.0, 1.0]]
    """
    from churnsurv.survival.cox import cox

    returned = gaps["duration"].to_numpy() <= idle_days
    data = gaps.assign(duration=np.minimum(gaps["duration"].to_numpy(), idle_days), returned=returned)
    # returns come in whole days, many on each: the likelihood of grouped days is exact
    fit = cox(formula, data, event="returned", cluster="user_id", ties="grouped")
    numbers = [name for name in fit._encoding.variables if data[name].dtype.kind in "iuf"]
    centre = fit.model_matrix(data).mean().tolist()
    return GapScore(fit, idle_days, tuple(numbers), tuple(centre), worths)
