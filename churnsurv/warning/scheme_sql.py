"""A tier scheme as one SQL statement that puts the users of a table into their tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.data import expressions as sql
from churnsurv.errors import InputError
from churnsurv.warning.rules import IDLE_DAYS, Condition, Rule

if TYPE_CHECKING:
    from churnsurv.warning.scheme import TierScheme

__all__ = ["to_sql"]

_TIER = "tier"


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
        If `table` or `keep` are no names, a name occurs twice, there is no such dialect, or SQLGlot is needed and not
        installed.
    """
    if scheme.score is not None:
        raise InputError(
            "Tiers that are cuts of a score have no SQL yet. scheme.assign(relation) fetches the columns it needs; "
            "scheme.score.fit.to_sql(table) gives the linear predictor as SQL."
        )
    columns: list[sql.Named | sql.Everything] = [sql.Everything()]
    if keep is not None:
        columns = [sql.Named(name, sql.Column(name)) for name in _kept(keep)]
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
    living = sql.Comparison("<", _number(IDLE_DAYS), sql.Number(float(scheme.idle_days)))
    return sql.Case(((living, sql.Case(branches)),))


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
