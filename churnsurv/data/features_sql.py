"""Features as of a day, as SQL: what the end of a day knows of a user, and nothing later.

Questions are pairs of a user and a day. Events are first added up by user and day; these daily rows and the questions
then stand in one table, and windows over each user's days answer all questions in one pass. Events and questions are
never joined, so that the work grows with their sum and not with their product.

Sums are exact: whole numbers and decimals are added as they are, floating-point numbers as whole millionths. Any order
of the rows, any number of threads and any engine give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.events import is_activity, number, too_large
from churnsurv.data.feature import ACTIVITY, BUILT_IN, Feature
from churnsurv.data.sql import literal, literals, name
from churnsurv.errors import InputError, SchemaError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data.reading import Reading
    from churnsurv.data.rule import ChurnRule, Stages
    from churnsurv.data.sources import Source

__all__ = ["answers_sql", "changes_sql", "default_features"]

#: The events that make the balance where there is no table of balances.
_NET = "e.kind IN ('invest', 'redeem')"
_DAY_0 = "DATE '1970-01-01'"
_NUMBER_OF_DAY = f"CAST(date_diff('day', {_DAY_0}, e._day) AS INTEGER)"
_COUNT = "CAST(count({}) AS INTEGER)"
_MILLION = literal(1_000_000.0)
#: Whole numbers up to here are exact as floating-point numbers.
_EXACT = 9_000_000_000_000_000
_HUGE = ("HUGEINT", "UHUGEINT")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", *_HUGE)
#: Whether a user had registered by the day of a question.
_ALIVE = f"u.registered_at <= {_DAY_0} + r.day"


@dataclass(frozen=True, slots=True)
class _Run:
    """An aggregate over days, of an aggregate over the events of a day, of a value of each event.

    `last`: over the last so many days; None: over the life so far.
    """

    value: str
    in_day: str
    over_days: str
    last: int | None = None


@dataclass(slots=True)
class _Plan:
    """What has to be added up, each thing once however many features need it."""

    reading: Reading
    last: date
    runs: dict[_Run, str] = field(default_factory=dict)
    relevant: dict[str, None] = field(default_factory=dict)
    balances: bool = False

    @property
    def source(self) -> Source:
        return self.reading.sources["events"]

    @property
    def days(self) -> dict[tuple[str, str], str]:
        """The column of each aggregate over the events of a day."""
        needed = dict.fromkeys((run.value, run.in_day) for run in self.runs)
        return {aggregate: f"d{place}" for place, aggregate in enumerate(needed)}

    def run(self, condition: str, run: _Run) -> str:
        """Return the column of a run over the events that meet a condition."""
        self.relevant[condition] = None
        return self.runs.setdefault(run, f"r.r{len(self.runs)}")


def _counted(condition: str, last: int | None) -> _Run:
    """Return the run of the number of events that meet a condition."""
    return _Run(f"CASE WHEN {condition} THEN 1 END", _COUNT, "sum", last)


def answers_sql(
    reading: Reading,
    rule: ChurnRule,
    asked: Sequence[str | Feature],
    stages: Stages,
    questions: str,
    *,
    state: bool = False,
    until: date | None = None,
) -> str:
    """Return the SELECT that answers each question with the features of its user at the end of its day.

    Parameters
    ----------
    reading : Reading
    rule : ChurnRule
        Says which events are activity, for `state`.
    asked : sequence of str or Feature
        As `feature.resolve` returns them.
    stages : Stages
    questions : str
        What can stand in FROM, with distinct rows `_user_key, as_of`.
    state : bool
        Add `idle_days, active_days, mean_interval, last_interval, last_active`, from the days with activity; the day
        of registration is one where the log covers it. Null where there was none yet, or fewer than two.
    until : date, optional
        The last day of all questions, where it is known: what lies after it is not read.

    Returns
    -------
    str
        One row a question: `_user_key, as_of`, the features, the state. No order.

    Raises
    ------
    SchemaError
        If the events lack a column that a feature needs, or it can't be read as numbers.
    InputError
        If a feature has the name of a column of ours.
    """
    _refuse_taken(asked, state=state)
    plan = _Plan(reading, last=min(until or reading.window.last, reading.window.last))
    columns = [f"{_column(plan, feature, stages)} AS {name(_name(feature))}" for feature in asked]
    if state:
        columns += _state_columns()
    if not columns:
        return f"SELECT _user_key, as_of FROM {questions} AS q"
    kinds = None if rule.activity is None else tuple(rule.activity)
    users = ""
    if "balance" in asked or "stage" in asked:
        users = f" LEFT JOIN {reading.users} AS u ON u._user_key = r._user_key"
    return (
        f"WITH {_timeline(plan, kinds, questions, state=state)}"
        f" SELECT r._user_key, {_DAY_0} + r.day AS as_of, {', '.join(columns)}"
        f" FROM ({_windows(plan, state=state)}) AS r{users} WHERE r.asked = 1"
    )


def default_features(reading: Reading, stages: Stages | None = None) -> tuple[str | Feature, ...]:
    """Return every built-in feature that the tables can answer and whose name no attribute of the users has."""
    columns = reading.sources["events"].columns
    taken = {attribute.lower() for attribute in reading.users_read.attributes}
    there = {
        built_in: ("kind" in columns or feature.kinds is None) and (feature.column is None or feature.column in columns)
        for built_in, feature in BUILT_IN.items()
    }
    there["balance"] = "balances" in reading.sources or {"kind", "amount"} <= set(columns)
    there["stage"] = there.get("n_investments" if stages is None else stages.by, False)
    return tuple(BUILT_IN.get(each, each) for each, can in there.items() if can and each not in taken)


def changes_sql(reading: Reading, asked: Sequence[str | Feature], stages: Stages) -> str:
    """Return SQL of the distinct `_user_key, day` at whose end a feature may differ from the day before.

    These are the days of the events that a feature looks at, the days on which they leave its last days, the days of
    balances, and the day of registration. Days after the window can be among them.
    """
    plan = _Plan(reading, last=reading.window.last)
    leaving: dict[int, dict[str, None]] = {}
    for feature in asked:
        _column(plan, feature, stages)
        aggregate = BUILT_IN[stages.by] if feature == "stage" else feature
        if isinstance(aggregate, Feature) and aggregate.last is not None:
            leaving.setdefault(aggregate.last, {})[_condition(plan.source, aggregate)] = None
    ctes = ""
    parts = [f"SELECT _user_key, registered_at AS day FROM {reading.users}"]
    if plan.runs:
        flags = [f", max(CASE WHEN {_either(each)} THEN 1 END) AS last_{last}" for last, each in leaving.items()]
        days = f"SELECT e._user_key, e._day AS day{''.join(flags)} FROM {_events(plan)} GROUP BY e._user_key, e._day"
        ctes = f"WITH feature_days AS ({days}) "
        parts.append("SELECT _user_key, day FROM feature_days")
        parts += [f"SELECT _user_key, day + {last} AS day FROM feature_days WHERE last_{last} = 1" for last in leaving]
    if plan.balances:
        parts.append(f"SELECT e._user_key, e._day AS day FROM {_balances(plan)}")
    return f"{ctes}SELECT DISTINCT _user_key, day FROM ({' UNION ALL '.join(parts)}) AS changes"


# ------------------------------------------------------------------------------------------------ days and windows


def _timeline(plan: _Plan, kinds: tuple[str, ...] | None, questions: str, *, state: bool) -> str:
    """Return the CTE `feature_timeline`: events added up by user and day, balances by day, and the questions."""
    columns = [*plan.days.values(), *(["active"] if state else []), *(["balance"] if plan.balances else [])]
    ctes, parts = [], []
    if plan.runs or state:
        ctes.append(f"feature_days AS ({_daily(plan, kinds, state=state)})")
        parts.append(("feature_days", "day", 0, {*plan.days.values(), "active"}))
    if plan.balances:
        ctes.append(f"feature_balances AS ({_daily_balances(plan)})")
        parts.append(("feature_balances", "day", 0, {"balance"}))
    parts.append((questions, f"CAST(date_diff('day', {_DAY_0}, q.as_of) AS INTEGER)", 1, set()))
    rows = [
        f"SELECT q._user_key, {day} AS day, {asked} AS asked"
        + "".join(f", {column if column in there else 'NULL'} AS {column}" for column in columns)
        + f" FROM {table} AS q"
        for table, day, asked, there in parts
    ]
    return ", ".join([*ctes, f"feature_timeline AS ({' UNION ALL '.join(rows)})"])


def _daily(plan: _Plan, kinds: tuple[str, ...] | None, *, state: bool) -> str:
    """Return the rows of a user on a day as one, with what is added up in a day."""
    values = {value: f"v{place}" for place, value in enumerate(dict.fromkeys(value for value, _ in plan.days))}
    columns = [f"{value} AS {column}" for value, column in values.items()]
    totals = [f"{in_day.format(f'e.{values[value]}')} AS {column}" for (value, in_day), column in plan.days.items()]
    extra = ""
    if state:
        plan.relevant[is_activity(kinds)] = None
        columns.append(f"CASE WHEN {is_activity(kinds)} THEN 1 END AS active")
        totals.append(f"CASE WHEN max(e.active) = 1 THEN {_NUMBER_OF_DAY} END AS active")
        nothing = "".join(f", NULL AS {column}" for column in values.values())
        extra = (
            f" UNION ALL SELECT _user_key, registered_at AS _day{nothing}, 1 AS active FROM {plan.reading.users}"
            f" WHERE registered_at >= {literal(plan.reading.window.first)}"
        )
    rows = f"SELECT e._user_key, e._day, {', '.join(columns)} FROM {_events(plan)}{extra}"
    return (
        f"SELECT e._user_key, {_NUMBER_OF_DAY} AS day, {', '.join(totals)} FROM ({rows}) AS e"
        " GROUP BY e._user_key, e._day"
    )


def _events(plan: _Plan) -> str:
    """SQL after FROM: the accepted events that some feature looks at."""
    window = plan.reading.window
    return (
        f"{plan.reading.judged('events')} AS e WHERE e._reason IS NULL"
        f" AND e._day BETWEEN {literal(window.first)} AND {literal(plan.last)} AND {_either(plan.relevant)}"
    )


def _either(conditions: Iterable[str]) -> str:
    """Join conditions by OR, without those that another one covers."""
    each = list(conditions)
    wide = [one for one in each if not any(one.startswith(f"{other} AND ") for other in each)]
    return "TRUE" if "TRUE" in each else f"({' OR '.join(wide)})"


def _balances(plan: _Plan) -> str:
    """SQL after FROM: the accepted balances; those before the log are known in it."""
    return f"{plan.reading.judged('balances')} AS e WHERE e._reason IS NULL AND e._day <= {literal(plan.last)}"


def _daily_balances(plan: _Plan) -> str:
    """Return the last balance of each user on a day: that of the latest time, and of equal times the highest."""
    columns = plan.reading.sources["balances"].columns
    if columns["date"] == "DATE":
        balance = _double("max(e.balance)", columns["balance"])
        days = f"SELECT e._user_key, {_NUMBER_OF_DAY} AS day, {balance} AS balance FROM {_balances(plan)}"
        return f"{days} GROUP BY e._user_key, e._day"
    return (
        f"SELECT _user_key, day, balance FROM (SELECT e._user_key, {_NUMBER_OF_DAY} AS day,"
        f" {_double('e.balance', columns['balance'])} AS balance, row_number() OVER ("
        f"PARTITION BY e._user_key, e._day ORDER BY e._at DESC, e.balance DESC) AS recency FROM {_balances(plan)}"
        ") AS e WHERE recency = 1"
    )


def _windows(plan: _Plan, *, state: bool) -> str:
    """Return the SELECT of all windows; only the rows of questions, last on their day, have answers."""
    columns = ["_user_key", "day", "asked"]
    lasts: dict[int, None] = {}
    for run, column in plan.runs.items():
        over = "life" if run.last is None else f"last_{run.last}"
        if run.last is not None:
            lasts[run.last] = None
        columns.append(
            f"{run.over_days}({plan.days[run.value, run.in_day]}) OVER {over} AS {column.removeprefix('r.')}"
        )
    if plan.balances:
        columns.append("last_value(balance IGNORE NULLS) OVER life AS balance")
    if state:
        columns += [
            "last_value(active IGNORE NULLS) OVER life AS last_active",
            "first_value(active IGNORE NULLS) OVER life AS first_active",
            "count(active) OVER life AS active_days",
            "lag(active, 2 IGNORE NULLS) OVER (PARTITION BY _user_key ORDER BY day, asked) AS active_before",
        ]
    # In whole days, and with the question after all that happened on its day.
    windows = ["life AS (PARTITION BY _user_key ORDER BY day, asked ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"]
    windows += [
        f"last_{last} AS (PARTITION BY _user_key ORDER BY day RANGE BETWEEN {last - 1} PRECEDING AND CURRENT ROW)"
        for last in lasts
    ]
    return f"SELECT {', '.join(columns)} FROM feature_timeline WINDOW {', '.join(windows)}"


# ------------------------------------------------------------------------------------------------------ the answers


def _column(plan: _Plan, feature: str | Feature, stages: Stages) -> str:
    """Return the SQL of a feature from the columns of its runs."""
    if isinstance(feature, Feature):
        return _value(plan, feature)
    if feature == "stage":
        return f"CASE WHEN {_ALIVE} THEN {_stage(plan, stages)} END"
    if "balances" in plan.reading.sources:
        plan.balances = True
        return f"CASE WHEN {_ALIVE} THEN r.balance END"
    _require(plan.source, "balance", ("kind", "amount"))
    kind = plan.source.columns["amount"]
    amount = _addend("e.amount", kind)
    net = f"CASE e.kind WHEN 'invest' THEN {amount} WHEN 'redeem' THEN -({amount}) END"
    total = plan.run(_NET, _Run(net, "sum({})", "sum"))
    return f"CASE WHEN {_ALIVE} THEN coalesce({_total(total, kind)}, 0) END"


def _value(plan: _Plan, feature: Feature) -> str:
    value = _aggregate(plan, feature)
    if feature.empty is not None:
        value = f"coalesce({value}, {literal(feature.empty)})"
    whole = feature.agg in {"count", "any", "days"} and isinstance(feature.empty, int)
    return f"CAST({value} AS {'INTEGER' if whole else 'DOUBLE'})"


def _aggregate(plan: _Plan, feature: Feature) -> str:
    """Return the SQL of an aggregate; null where no event matches."""
    condition, last = _condition(plan.source, feature), feature.last
    if feature.agg == "count":
        return f"nullif({plan.run(condition, _counted(condition, last))}, 0)"
    if feature.agg == "any":
        return f"CASE WHEN {plan.run(condition, _counted(condition, last))} > 0 THEN 1 END"
    if feature.agg == "days":
        return plan.run(condition, _Run(f"CASE WHEN {condition} THEN 1 END", "max({})", "sum", last))
    if feature.agg == "share":
        column = _equals(plan.source, str(feature.column), feature.equals)
        part = plan.run(condition, _counted(f"{condition} AND {column}", last))
        whole = plan.run(condition, _counted(condition, last))
        return f"CAST({part} AS DOUBLE) / nullif(CAST({whole} AS DOUBLE), 0)"
    exact = feature.agg in {"sum", "mean"}
    value, kind = _numbers(plan, feature, exact=exact)
    if not exact:
        of_matching = f"CASE WHEN {condition} THEN {value} END"
        return _double(plan.run(condition, _Run(of_matching, f"{feature.agg}({{}})", feature.agg, last)), kind)
    of_matching = f"CASE WHEN {condition} THEN {_addend(value, kind)} END"
    total = _total(plan.run(condition, _Run(of_matching, "sum({})", "sum", last)), kind)
    if feature.agg == "sum":
        return total
    counted = plan.run(condition, _Run(of_matching, _COUNT, "sum", last))
    return f"{total} / CAST({counted} AS DOUBLE)"


def _condition(source: Source, feature: Feature) -> str:
    """Return the SQL of whether an event is one that a feature looks at, whenever it was."""
    conditions = []
    if feature.kinds is not None:
        _require(source, feature.name, ("kind",))
        conditions.append(f"e.kind IN ({literals(feature.kinds)})")
    if feature.column is not None:
        _require(source, feature.name, (feature.column,))
        if feature.agg != "share":
            conditions.append(_equals(source, feature.column, feature.equals))
    return " AND ".join(conditions) or "TRUE"


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


def _numbers(plan: _Plan, feature: Feature, *, exact: bool) -> tuple[str, str]:
    """Return the SQL of a column as numbers, and its type; each value must be one, and one that can be added."""
    source, column = plan.source, str(feature.column)
    kind = source.columns[column]
    if column == "amount":
        return "e.amount", kind
    values = number(source, column, "e.")
    large = too_large(kind, values.value) if exact else "FALSE"
    bad = n_large = 0
    if values.bad != "FALSE":
        bad, n_large = plan.reading.engine.rows(
            f"SELECT count(*) FILTER (WHERE {values.bad}), count(*) FILTER (WHERE {large}) FROM {source.view} AS e"
        )[0]
    where = f"Feature {feature.name!r}:"
    if bad:
        raise SchemaError(f"{where} {bad:,} values of {column!r} in events are no finite numbers.")
    if n_large:
        raise SchemaError(
            f"{where} {n_large:,} values of {column!r} in events are 9e12 or more, too large to be added exactly. "
            "Use a DECIMAL column, or larger units."
        )
    return values.value, kind


def _stage(plan: _Plan, stages: Stages) -> str:
    if stages.by not in BUILT_IN:
        hint = did_you_mean(stages.by, BUILT_IN)
        raise InputError(f"Stages.by: there is no feature {stages.by!r}.{hint} Use one of {', '.join(BUILT_IN)}.")
    value = _value(plan, BUILT_IN[stages.by])
    rising = list(stages.starts.items())
    steps = " ".join(f"WHEN {value} >= {literal(start)} THEN {literal(stage)}" for stage, start in reversed(rising))
    return f"CASE {steps} END"


def _state_columns() -> list[str]:
    return [
        "CAST(r.day - r.last_active AS INTEGER) AS idle_days",
        "CAST(r.active_days AS INTEGER) AS active_days",
        "CASE WHEN r.active_days > 1 THEN CAST(r.last_active - r.first_active AS DOUBLE)"
        " / CAST(r.active_days - 1 AS DOUBLE) END AS mean_interval",
        "CAST(r.last_active - r.active_before AS INTEGER) AS last_interval",
        f"{_DAY_0} + r.last_active AS last_active",
    ]


# --------------------------------------------------------------------------------------------------- exact numbers


def _addend(value: str, kind: str) -> str:
    """Return the SQL of a number as a decimal, so that its sums are exact; floating-point ones in whole millionths."""
    if kind.startswith("DECIMAL"):
        return value
    if kind in _WHOLE:
        return f"CAST({value} AS DECIMAL({38 if kind in _HUGE else 20}, 0))"
    return f"CAST(CAST(round({value} * {_MILLION}) AS BIGINT) AS DECIMAL(20, 0))"


def _total(total: str, kind: str) -> str:
    """Return the SQL of a sum of addends as a floating-point number: the one nearest to the exact sum."""
    if kind.startswith("DECIMAL") or kind in _WHOLE:
        return _nearest(total, _scale(kind))
    return _nearest(total, 0, f" / {_MILLION}", " || 'e-6'")


def _double(value: str, kind: str) -> str:
    """Return the SQL of a number of type `kind` as the nearest floating-point number."""
    return _nearest(value, _scale(kind)) if kind.startswith("DECIMAL") or kind in _HUGE else f"CAST({value} AS DOUBLE)"


def _nearest(value: str, scale: int, divided: str = "", exponent: str = "") -> str:
    # Engines turn decimals of more digits than a floating-point number holds into different neighbours; text they
    # read alike. `divided` and `exponent` say the same of the number and of its text.
    limit = _EXACT // 10**scale
    return (
        f"CASE WHEN {value} BETWEEN {-limit} AND {limit} THEN CAST({value} AS DOUBLE){divided}"
        f" ELSE CAST(CAST({value} AS VARCHAR){exponent} AS DOUBLE) END"
    )


def _scale(kind: str) -> int:
    """Return the digits after the point of ``DECIMAL(18,2)``; 0 for whole numbers."""
    return int(kind.rstrip(")").rpartition(",")[2]) if kind.startswith("DECIMAL") else 0


# ---------------------------------------------------------------------------------------------------------- names


def _name(feature: str | Feature) -> str:
    return feature if isinstance(feature, str) else feature.name


def _refuse_taken(asked: Sequence[str | Feature], *, state: bool) -> None:
    taken = {"_user_key", "as_of", *((*ACTIVITY, "last_active") if state else ())}
    for feature in map(_name, asked):
        if feature.lower() in taken:
            raise InputError(f"A feature cannot be called {feature!r}: a column of ours has that name already.")


def _require(source: Source, feature: str, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in source.columns or column in {"user_id", "event_at"}:
            there = [each for each in source.columns if each not in {"user_id", "event_at"}]
            raise SchemaError(
                f"Feature {feature!r} needs the column {column!r} of events.{did_you_mean(column, there)} "
                f"There are {', '.join(map(repr, there)) or 'no others'}."
            )
