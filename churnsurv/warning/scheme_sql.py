"""A tier scheme as one SQL statement that puts the users of a table into their tiers.

A tier of a Cox score needs no more than its linear predictor x'b: on each idle day the score is above the cut exactly
where x'b is below a bound, which is found here. P(churn) falls in x'b. A contact on day d is worth more than the cut t
over waiting for a later day e where, with H(d) <= H(e) <= H(I) the hazard of return so far and u = exp(x'b),

    V (s(d) - s(e)) exp(-H(I) u) + c exp(-H(e) u) - (c + t) exp(-H(d) u) > 0,

and over never where V s(d) exp(-H(I) u) - (c + t) exp(-H(d) u) > 0. The coefficients change their sign once at most, so
that by Descartes' rule for sums of exponentials the left side has one root at most, and is above 0 before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import expressions as sql
from churnsurv.errors import InputError
from churnsurv.survival.scoring_sql import predictor_of
from churnsurv.warning.rules import IDLE_DAYS, Condition, Rule
from churnsurv.warning.scores import GapScore

if TYPE_CHECKING:
    from churnsurv.warning.scheme import TierScheme

__all__ = ["to_sql"]

Floats: TypeAlias = NDArray[np.float64]
Part = TypeVar("Part")

_TIER = "tier"
#: Names of columns inside the statement; no table has such.
_IDLE, _PREDICTOR = "x0 idle_days", "x0 linear predictor"
_LARGEST = float(np.finfo(np.float64).max)
_FAR = 700.0  # linear predictors beyond it are as good as infinite
_HALVINGS = 64


def to_sql(
    scheme: TierScheme,
    table: str | Sequence[str],
    *,
    keep: str | Sequence[str] | None = None,
    dialect: str = "duckdb",
) -> str:
    """Write one SELECT that gives every row of a table its tier, as `assign` does; see `TierScheme.to_sql`.

    Raises
    ------
    InputError
        If `table` or `keep` are no names, a name occurs twice, there is no such dialect or it lacks what is needed, or
        SQLGlot is needed and not installed.
    """
    kept = None if keep is None else [sql.Named(name, sql.Column(name)) for name in _kept(keep)]
    if isinstance(scheme.score, GapScore):
        select = _of_score(scheme, scheme.score, table, kept)
        return sql.render(select, dialect=dialect, arithmetic=True)
    columns = [sql.Everything()] if kept is None else kept
    select = sql.Select((*columns, sql.Named(_TIER, _tier(scheme))), sql.table_of(table))
    return sql.render(select, dialect=dialect)


def _kept(keep: str | Sequence[str]) -> tuple[str, ...]:
    names = (keep,) if isinstance(keep, str) else tuple(keep)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"keep must be names of columns, not {keep!r}.")
    return names


def _tier(scheme: TierScheme) -> sql.Expression:
    branches = tuple((_rule(scheme, tier.rule), sql.Text(tier.name)) for tier in scheme.tiers if tier.rule.alternatives)
    if not branches:
        return sql.Cast("text", sql.Null())
    return sql.Case(((_living(scheme, _number(IDLE_DAYS)), sql.Case(branches)),))


def _living(scheme: TierScheme, idle: sql.Expression) -> sql.Expression:
    """Not churned; tiers of a score are for silent users, idle for a day at least."""
    before = sql.Comparison("<", idle, sql.Number(float(scheme.idle_days)))
    return before if scheme.score is None else sql.And((sql.Comparison(">=", idle, sql.Number(1.0)), before))


def _rule(scheme: TierScheme, rule: Rule) -> sql.Expression:
    alternatives = tuple(_all_of(scheme, conditions) for conditions in rule.alternatives)
    return alternatives[0] if len(alternatives) == 1 else sql.Or(alternatives)


def _all_of(scheme: TierScheme, conditions: Sequence[Condition]) -> sql.Expression:
    parts = tuple(_condition(scheme, condition) for condition in conditions)
    return parts[0] if len(parts) == 1 else sql.And(parts)


def _condition(scheme: TierScheme, condition: Condition) -> sql.Expression:
    """A comparison that is true as `Condition.holds` is; engines take NaN for the largest of all numbers."""
    value = _number(condition.variable)
    compared = sql.Comparison(condition.sign, value, sql.Number(condition.threshold))
    if condition.variable == IDLE_DAYS:
        return compared  # what is no number was not below the idle days of churn
    stands_in = scheme.missing.get(condition.variable)
    if stands_in is not None and condition.holds(np.array([stands_in]))[0]:
        return sql.Or((compared, sql.IsNull(sql.Column(condition.variable)), sql.IsNaN(value)))
    return sql.And((compared, sql.Not(sql.IsNaN(value)))) if condition.sign in {">", ">="} else compared


def _number(name: str) -> sql.Expression:
    return sql.Cast("number", sql.Column(name))


# ------------------------------------------------------------------------------------------------ tiers of a Cox score


def _of_score(
    scheme: TierScheme, score: GapScore, table: str | Sequence[str], kept: list[sql.Named] | None
) -> sql.Select:
    """Three levels: what is read of a row, its linear predictor, its tier."""
    names = [] if kept is None else [each.name for each in kept]
    found = predictor_of(score.fit, [*names, _IDLE, _PREDICTOR])
    read = [sql.Named(_IDLE, _number(IDLE_DAYS)), *(_filled(each, scheme.missing) for each in found.columns)]
    on = (sql.Everything(),) if kept is None else tuple(kept)
    select = sql.Select((*on, *read), sql.table_of(table))
    idle = () if kept is None else (sql.Named(_IDLE, sql.Column(_IDLE)),)
    select = sql.Select((*on, *idle, sql.Named(_PREDICTOR, found.expression)), select)
    last = on if kept is not None else (sql.Everything((*(each.name for each in read), _PREDICTOR)),)
    return sql.Select((*last, sql.Named(_TIER, _score_tier(scheme, score))), select)


def _score_tier(scheme: TierScheme, score: GapScore) -> sql.Expression:
    idle, predictor = sql.Column(_IDLE), sql.Column(_PREDICTOR)
    branches = []
    for tier in scheme.tiers:
        bounds = _bounds(score, tier.rule)
        if not np.isneginf(bounds).all():
            below = sql.Comparison("<", predictor, _on_day(idle, bounds))
            branches.append((below, sql.Text(tier.name)))
    if not branches:
        return sql.Cast("text", sql.Null())
    # engines take NaN for the largest number, which is below no bound
    known = sql.Comparison(">=", predictor, sql.Number(-_LARGEST))
    return sql.Case(((sql.And((_living(scheme, idle), known)), sql.Case(tuple(branches))),))


def _bounds(score: GapScore, rule: Rule) -> Floats:
    """Below which linear predictor a rule holds, on idle days 1 ... idle_days - 1; -inf for none, inf for all.

    Raises
    ------
    InputError
        If the rule is no cut of the score from above.
    """
    days = np.arange(1, score.idle_days)
    if any(c.variable not in score.names or c.sign not in {">", ">="} for each in rule.alternatives for c in each):
        raise InputError(f"The rule {str(rule)!r} is more than a cut of the score, and cannot be written as SQL.")
    if not rule.alternatives:
        return np.full(days.size, -np.inf)

    def holds(risk: Floats) -> NDArray[np.bool_]:
        values: Any = {name: each[np.arange(days.size), days] for name, each in score.by_day(risk).items()}
        return rule.holds(values)

    low, high = np.full(days.size, -_FAR), np.full(days.size, _FAR)
    never, always = ~holds(low), holds(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        inside = holds(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(never, -np.inf, np.where(always, np.inf, high))


def _on_day(idle: sql.Expression, bounds: Floats) -> sql.Expression:
    """The bound of an idle day; days in a row with the same one together."""
    written = [
        sql.Null() if np.isneginf(bound) else sql.Number(float(min(bound, _LARGEST))) for bound in bounds.tolist()
    ]
    changes = [day for day, (one, next_) in enumerate(pairwise(written), start=1) if one != next_]
    steps = tuple((sql.Comparison("<", idle, sql.Number(day + 1.0)), written[day - 1]) for day in changes)
    return sql.Case(steps, written[-1]) if steps else written[-1]


def _filled(part: Part, missing: Mapping[str, float]) -> Part:
    """The same part of a statement, with numbers where the scheme says what stands in for no value."""
    made: Any = part
    if isinstance(part, sql.Column) and part.name in missing:
        gone = sql.Or((sql.IsNull(part), sql.IsNaN(_number(part.name))))
        made = sql.Case(((gone, sql.Number(float(missing[part.name]))),), _number(part.name))
    elif isinstance(part, tuple):
        made = tuple(_filled(each, missing) for each in part)
    elif isinstance(part, sql.Named | sql.Expression):
        inside = {each.name: _filled(getattr(part, each.name), missing) for each in fields(part)}
        made = replace(part, **inside)
    found: Part = made
    return found
