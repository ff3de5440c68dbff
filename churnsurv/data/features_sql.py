"""Features as of a day, as SQL: only events up to the end of `as_of` can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churnsurv.data.events import number
from churnsurv.data.feature import BUILT_IN, Feature
from churnsurv.data.sql import literal, literals, name
from churnsurv.errors import InputError, SchemaError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data.reading import Reading
    from churnsurv.data.rule import Stages
    from churnsurv.data.sources import Source

__all__ = ["FeatureColumns", "feature_columns"]

#: The balance where there is no table of balances: what was paid in, less what was taken out.
_NET = "CASE e.kind WHEN 'invest' THEN e.amount WHEN 'redeem' THEN -e.amount END"


@dataclass(frozen=True, slots=True)
class FeatureColumns:
    """How features join a table of questions `t (_user_key, spell, as_of)`.

    Attributes
    ----------
    joins : str
        LEFT JOINs that bring at most one row for each question.
    columns : tuple of str
        SQL of each feature, with its name.
    """

    joins: str
    columns: tuple[str, ...]


def feature_columns(reading: Reading, asked: Sequence[str | Feature], stages: Stages, questions: str) -> FeatureColumns:
    """Return the joins and columns of `asked` for each row of `questions`, a table `_user_key, spell, as_of`.

    Raises
    ------
    SchemaError
        If the events lack a column that a feature needs, or it can't be read as numbers.
    """
    source = reading.sources["events"]
    aggregates: dict[str, str] = {}
    columns: list[str] = []
    from_table = "balance" in asked and "balances" in reading.sources
    for feature in asked:
        if isinstance(feature, Feature):
            columns.append(f"{_final(reading, source, feature, aggregates)} AS {name(feature.name)}")
        elif feature == "stage":
            columns.append(f"{_stage(reading, source, stages, aggregates)} AS stage")
        elif from_table:
            columns.append("b.balance AS balance")
        else:
            _require(source, "balance", ("kind", "amount"))
            aggregates["balance"] = _sum(_NET, "e.kind IN ('invest', 'redeem')")
            columns.append("coalesce(f.balance, 0) AS balance")
    joins = []
    if aggregates:
        joins.append(_events_join(reading, aggregates, questions))
    if from_table:
        joins.append(_balances_join(reading, questions))
    return FeatureColumns(" ".join(joins), tuple(columns))


def _events_join(reading: Reading, aggregates: dict[str, str], questions: str) -> str:
    window = reading.window
    picked = ", ".join(f"{sql} AS {name(column)}" for column, sql in aggregates.items())
    return f"""
        LEFT JOIN (
            SELECT q._user_key, q.spell, {picked}
            FROM {questions} AS q JOIN {reading.judged("events")} AS e ON e._user_key = q._user_key
            WHERE e._reason IS NULL AND e._day BETWEEN {literal(window.first)} AND {literal(window.last)}
                AND e._day <= q.as_of
            GROUP BY q._user_key, q.spell
        ) AS f ON f._user_key = s._user_key AND f.spell = s.spell
    """


def _balances_join(reading: Reading, questions: str) -> str:
    # The last known balance: the latest day, within it the latest time, and of equal times the highest.
    return f"""
        LEFT JOIN (
            SELECT _user_key, spell, CAST(balance AS DOUBLE) AS balance FROM (
                SELECT q._user_key, q.spell, e.balance,
                    row_number() OVER (
                        PARTITION BY q._user_key, q.spell ORDER BY e._day DESC, e._at DESC, e.balance DESC
                    ) AS recency
                FROM {questions} AS q JOIN {reading.judged("balances")} AS e ON e._user_key = q._user_key
                WHERE e._reason IS NULL AND e._day <= q.as_of
            ) WHERE recency = 1
        ) AS b ON b._user_key = s._user_key AND b.spell = s.spell
    """


def _final(reading: Reading, source: Source, feature: Feature, aggregates: dict[str, str]) -> str:
    aggregates[feature.name] = _aggregate(reading, source, feature)
    value = f"f.{name(feature.name)}"
    if feature.empty is not None:
        value = f"coalesce({value}, {literal(feature.empty)})"
    kind = "INTEGER" if feature.agg in {"count", "any", "days"} and isinstance(feature.empty, int) else "DOUBLE"
    return f"CAST({value} AS {kind})"


def _aggregate(reading: Reading, source: Source, feature: Feature) -> str:
    where = ["TRUE"]
    if feature.kinds is not None:
        _require(source, feature.name, ("kind",))
        where.append(f"e.kind IN ({literals(feature.kinds)})")
    if feature.last is not None:
        where.append(f"e._day > q.as_of - {feature.last}")
    if feature.column is not None:
        _require(source, feature.name, (feature.column,))
        where.append(_equals(source, feature.column, feature.equals))
    condition = " AND ".join(where)
    if feature.agg == "count":
        return f"nullif(count(*) FILTER (WHERE {condition}), 0)"
    if feature.agg == "any":
        return f"max(CASE WHEN {condition} THEN 1 END)"
    if feature.agg == "days":
        return f"nullif(count(DISTINCT e._day) FILTER (WHERE {condition}), 0)"
    values = _numbers(reading, source, feature)
    if feature.agg in {"max", "min"}:
        return f"{feature.agg}({values}) FILTER (WHERE {condition})"
    total = _sum(values, condition)
    return total if feature.agg == "sum" else f"{total} / count({values}) FILTER (WHERE {condition})"


def _sum(values: str, condition: str) -> str:
    # Floats are added in the order of their size: the same rows give the same bits, however the engine splits them.
    return f"list_sum(list_sort(list(CAST({values} AS DOUBLE)) FILTER (WHERE {condition} AND ({values}) IS NOT NULL)))"


def _numbers(reading: Reading, source: Source, feature: Feature) -> str:
    column = str(feature.column)
    if column == "amount":
        return "e.amount"
    values = number(source, column, "e.")
    bad = 0
    if values.bad != "FALSE":
        bad = reading.engine.rows(f"SELECT count(*) FROM {source.view} AS e WHERE {values.bad}")[0][0]
    if bad:
        raise SchemaError(f"Feature {feature.name!r}: {bad:,} values of {column!r} in events are no finite numbers.")
    return values.value


def _equals(source: Source, column: str, value: object) -> str:
    quoted, kind = f"e.{name(column)}", source.columns[column]
    if value is None:
        return f"{quoted} IS NOT NULL"
    if isinstance(value, str):
        return f"CAST({quoted} AS VARCHAR) = {literal(value)}"
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        wanted = "BOOLEAN" if isinstance(value, bool) else "DOUBLE"
        return f"TRY_CAST({quoted} AS {wanted}) = {literal(value)}"
    return f"{quoted} = {literal(value)}"


def _stage(reading: Reading, source: Source, stages: Stages, aggregates: dict[str, str]) -> str:
    if stages.by not in BUILT_IN:
        hint = did_you_mean(stages.by, BUILT_IN)
        raise InputError(f"Stages.by: there is no feature {stages.by!r}.{hint} Use one of {', '.join(BUILT_IN)}.")
    value = _final(reading, source, BUILT_IN[stages.by], aggregates)
    rising = list(stages.starts.items())
    steps = " ".join(f"WHEN {value} >= {literal(start)} THEN {literal(stage)}" for stage, start in reversed(rising))
    return f"CASE {steps} END"


def _require(source: Source, feature: str, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in source.columns or column in {"user_id", "event_at"}:
            there = [each for each in source.columns if each not in {"user_id", "event_at"}]
            raise SchemaError(
                f"Feature {feature!r} needs the column {column!r} of events.{did_you_mean(column, there)} "
                f"There are {', '.join(map(repr, there)) or 'no others'}."
            )
