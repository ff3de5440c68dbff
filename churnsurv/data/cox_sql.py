"""The statements of a Cox regression whose rows stay in DuckDB: each reduces them to sums by stratum and day.

Every statement begins with selections that compute the numbers of a row. Then rows are *placed*: each gets the slot
(stratum and day with events) at which it is last at risk and, with late entry, the last slot before its entry. Where a
day lies among the slots is looked up in a small table that is written into the statement, since a relation of somebody
else's connection sees no table of ours. On top are the linear predictor, theta, and the sums.

The numbers come before the join on purpose: DuckDB melts selections that follow each other into one, in which it then
compares every part of every expression with every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import expressions as ex
from churnsurv.data import sql
from churnsurv.errors import InputError

__all__ = [
    *("CLUSTER", "END", "EVENT", "KEPT", "OFFSET", "START", "WEIGHT"),
    *("FactsSQL", "Lookup", "PlacedRows", "RobustTables", "StepSQL"),
    *("categories_sql", "facts_sql", "number", "quantiles_sql", "robust_sql", "strata_sql", "sums_sql", "widest_sql"),
]

Floats: TypeAlias = NDArray[np.float64]

END, START, EVENT, WEIGHT, OFFSET, CLUSTER = "end", "start", "event", "weight", "offset", "cluster"
_PREDICTOR, _THETA, _AT_END, _AT_START = "predictor", "theta", "at_end", "at_start"
#: Names of the statements' own columns: others must differ from them.
KEPT = (END, START, EVENT, WEIGHT, OFFSET, CLUSTER, _PREDICTOR, _THETA, _AT_END, _AT_START)
_RELATION, _PLACED = ex.Table(("of_relation",)), ex.Table(("placed",))


def number(j: int) -> str:
    """Return the name of the column that holds the j-th summed number of a row."""
    return f"z{j}"


def _key(j: int) -> str:
    return f"k{j}"


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Where times lie among the slots.

    Attributes
    ----------
    stratum : (n,) integer
    time : (n,) integer or float64
    slot : (n,) integer
        Of an end: the slot. Of an entry: the slot before, -1 for none.
    taken : (n,) integer, or None
        Of an entry: the slot up to which the row is taken off again, -1 for none.
    """

    stratum: NDArray[np.integer[Any]]
    time: NDArray[Any]
    slot: NDArray[np.integer[Any]]
    taken: NDArray[np.integer[Any]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PlacedRows:
    """The rows of a relation, each placed among the slots.

    Attributes
    ----------
    relation : str
        Can stand in FROM.
    duration : str
    entry : str or None
    strata : tuple of str
    labels : tuple of tuple
        For each combination of values of the strata: their text in SQL (None where missing), then the stratum's number.
    ends : Lookup
    starts : Lookup or None
    """

    relation: str
    duration: str
    entry: str | None
    strata: tuple[str, ...]
    labels: tuple[tuple[str | int | None, ...], ...]
    ends: Lookup
    starts: Lookup | None

    def columns(self) -> tuple[ex.Named, ...]:
        """Return what must be read of each row to place it."""
        times = [(_AT_END, self.duration), *([] if self.entry is None else [(_AT_START, self.entry)])]
        return (
            *(ex.Named(name, ex.Cast("number", ex.Column(column))) for name, column in times),
            *(ex.Named(f"text{j}", ex.Cast("text", ex.Column(column))) for j, column in enumerate(self.strata)),
        )

    def sql(self, computed: ex.Select, *, everyone: bool = False) -> str:
        """Write common table expressions that end in `placed`.

        Parameters
        ----------
        computed : Select
            Of `_RELATION`, `columns` among its columns. `placed` has them too, and with them END, null where the row is
            never at risk on a day with events, and START, the slot up to which it is taken off again, -1 for none.
        everyone : bool
            Also rows that are never at risk.
        """
        parts = [
            f"of_relation AS (SELECT * FROM {self.relation})",
            f"computed AS (\n{ex.render(computed)}\n)",
            f"ends AS ({self._looked_up(self.ends)})",
        ]
        joins, end, start, at_risk = [], "ends.slot", "-1", ""
        if self.strata:
            parts.append(f"strata AS ({self._labels()})")
            texts = [f"computed.text{j} IS NOT DISTINCT FROM strata.text{j}" for j in range(len(self.strata))]
            joins.append(f"JOIN strata ON {' AND '.join(texts)}")
        joins.append(f"{'LEFT JOIN' if everyone else 'JOIN'} ends ON ends.at_time = {self._time(_AT_END)}")
        if self.starts is not None:
            parts.append(f"starts AS ({self._looked_up(self.starts)})")
            joins.append(f"JOIN starts ON starts.at_time = {self._time(_AT_START)}")
            start = "starts.taken"
            # A row whose last slot is the one before its entry is at risk on no day with events. The condition names
            # the row too: DuckDB takes the small tables for tiny, and would compare each line of one with each of the
            # other first.
            later = f"ends.slot + 0e0 * computed.{_AT_END} > starts.slot"
            end = f"CASE WHEN {later} THEN ends.slot END" if everyone else end
            at_risk = "" if everyone else f" WHERE {later}"
        select = f"SELECT computed.*, {end} AS {sql.name(END)}, {start} AS {sql.name(START)}"
        parts.append(f"placed AS ({select} FROM computed {' '.join(joins)}{at_risk})")
        return f"WITH {', '.join(parts)}"

    def _time(self, column: str) -> str:
        """Write the time of a row, those of different strata apart: one number, for the same reason."""
        return f"strata.code * {self._apart!r}e0 + computed.{column}" if self.strata else f"computed.{column}"

    @property
    def _apart(self) -> int:
        """A power of two beyond every time."""
        last = max(float(lookup.time.max(initial=0.0)) for lookup in (self.ends, self.starts) if lookup is not None)
        return 1 << int(last + 1).bit_length()

    def _looked_up(self, lookup: Lookup) -> str:
        times = lookup.stratum * float(self._apart) + lookup.time if self.strata else lookup.time.astype(np.float64)
        if np.unique(times).shape[0] < times.shape[0]:
            raise InputError(
                f"{self.duration!r} has times so close to each other that strata cannot be told apart beside them. "
                "Round them, to whole days for instance."
            )
        columns: dict[str, NDArray[Any]] = {"at_time": times, "slot": lookup.slot}
        return _inlined(columns if lookup.taken is None else {**columns, "taken": lookup.taken})

    def _labels(self) -> str:
        names = [*(f"text{j}" for j in range(len(self.strata))), "code"]
        listed = ", ".join(f"({sql.literals(label)})" for label in self.labels)
        return f"SELECT * FROM (VALUES {listed}) AS of_labels({', '.join(names)})"


@dataclass(frozen=True, slots=True)
class StepSQL:
    """What is computed of each row.

    Attributes
    ----------
    rows : PlacedRows
    event : Expression
    weight, offset : Expression or None
    keys : tuple of Expression
        Categories that the sums are split by.
    inputs : tuple of Named
        Numbers read from the columns of the table.
    numbers : tuple of Expression
        What is summed, of the inputs.
    late : bool
        Whether rows are taken off again up to their entry.
    """

    rows: PlacedRows
    event: ex.Expression
    weight: ex.Expression | None
    offset: ex.Expression | None
    keys: tuple[ex.Expression, ...]
    inputs: tuple[ex.Named, ...]
    numbers: tuple[ex.Expression, ...]
    late: bool

    def computed(self, extra: Sequence[ex.Named] = ()) -> ex.Select:
        """Select the numbers of each row."""
        read = (
            *self.rows.columns(),
            ex.Named(EVENT, self.event),
            *(ex.Named(_key(j), key) for j, key in enumerate(self.keys)),
            *([] if self.weight is None else [ex.Named(WEIGHT, self.weight)]),
            *([] if self.offset is None else [ex.Named(OFFSET, self.offset)]),
            *extra,
            # the inputs go on: categories that are multiplied with numbers are read from them
            *self.inputs,
        )
        made = (ex.Named(number(j), of) for j, of in enumerate(self.numbers))
        return ex.Select((*_same(read), *made), ex.Select(read, _RELATION))

    def theta(self, computed: ex.Select, predictor: ex.Expression, shift: float, *, weighted: bool = True) -> ex.Select:
        """Select theta = exp(predictor - shift) beside the numbers of placed rows, times the weight or not."""
        placed = (*_same(computed.columns), *(ex.Named(name, ex.Column(name)) for name in (END, START)))
        select = ex.Select((*placed, ex.Named(_PREDICTOR, predictor)), _PLACED)
        moved = ex.Arithmetic("-", ex.Column(_PREDICTOR), ex.Number(shift)) if shift else ex.Column(_PREDICTOR)
        theta: ex.Expression = ex.Call("exp", (moved,))
        if weighted and self.weight is not None:
            theta = ex.Arithmetic("*", ex.Column(WEIGHT), theta)
        return ex.Select((*_same(select.columns), ex.Named(_THETA, theta)), select)


def _same(columns: Sequence[ex.Named | ex.Everything]) -> tuple[ex.Named, ...]:
    """Named columns go from one level to the next."""
    return tuple(ex.Named(column.name, ex.Column(column.name)) for column in columns if isinstance(column, ex.Named))


def sums_sql(step: StepSQL, predictor: ex.Expression, shift: float, *, squares: bool = True) -> str:
    """Write the sums of theta, theta z and theta z z' by slot, event and keys, and by slot of entry and keys.

    Returns
    -------
    str
        Columns: end, start, event, side (1 for sums by entry), k0 ..., n, largest (predictor), s, s0 ..., and products
        00, 01 ..., 11 ... as q0 ...
    """
    m, computed = len(step.numbers), step.computed()
    select = step.theta(computed, predictor, shift)
    times = tuple(ex.Named(f"t{j}", ex.Arithmetic("*", ex.Column(_THETA), ex.Column(number(j)))) for j in range(m))
    select = ex.Select((*_same(select.columns), *times), select)
    keys = [sql.name(_key(j)) for j in range(len(step.keys))]
    sums = [
        "count(*) AS n",
        f"max({_PREDICTOR}) AS largest",
        f"sum({_THETA}) AS s",
        *(f"sum(t{j}) AS s{j}" for j in range(m)),
    ]
    if squares:
        pairs = [(i, j) for i in range(m) for j in range(i, m)]
        sums += [f"sum(t{i} * {number(j)}) AS q{n}" for n, (i, j) in enumerate(pairs)]
    ends = [sql.name(END), EVENT, *keys]
    shown = [sql.name(END), *((sql.name(START), f"GROUPING({sql.name(END)}) AS side") if step.late else ()), EVENT]
    groups = ", ".join(ends)
    if step.late:
        groups = f"GROUPING SETS (({', '.join(ends)}), ({', '.join([sql.name(START), *keys])}))"
    return (
        f"{step.rows.sql(computed)} SELECT {', '.join([*shown, *keys, *sums])} FROM (\n{ex.render(select)}\n) AS rows_"
        f" GROUP BY {groups}"
    )


def widest_sql(step: StepSQL, predictor: ex.Expression) -> str:
    """Write the smallest and the largest predictor by keys: columns k0 ..., smallest, largest."""
    computed, keys = step.computed(), [_key(j) for j in range(len(step.keys))]
    shown = [*keys, f"min({_PREDICTOR}) AS smallest", f"max({_PREDICTOR}) AS largest"]
    grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
    read = tuple(ex.Named(key, ex.Column(key)) for key in keys)
    select = ex.Select((*read, ex.Named(_PREDICTOR, predictor)), _PLACED)
    return f"{step.rows.sql(computed)} SELECT {', '.join(shown)} FROM (\n{ex.render(select)}\n) AS rows_{grouped}"


def categories_sql(
    rows: PlacedRows, event: ex.Expression, keys: Sequence[ex.Expression], most: int, frequency: ex.Expression | None
) -> str:
    """Write the rows by categories, whether they are ever at risk, and event.

    Returns
    -------
    str
        Columns: k0 ..., event, at_risk, n (rows), users (the sum of their frequencies); `most` + 1 rows at most.
    """
    weight = () if frequency is None else (ex.Named(WEIGHT, frequency),)
    asked = (*(ex.Named(_key(j), key) for j, key in enumerate(keys)), ex.Named(EVENT, event))
    computed = ex.Select((*rows.columns(), *asked, *weight), _RELATION)
    by = ", ".join([*(sql.name(column.name) for column in asked), "at_risk"])
    users = "count(*)" if frequency is None else f"sum({sql.name(WEIGHT)})"
    at_risk = f"{sql.name(END)} IS NOT NULL AS at_risk"
    return (
        f"{rows.sql(computed, everyone=True)} SELECT {by}, count(*) AS n, {users} AS users FROM"
        f" (SELECT *, {at_risk} FROM placed) AS rows_ GROUP BY {by} LIMIT {most + 1}"
    )


@dataclass(frozen=True, slots=True)
class FactsSQL:
    """Numbers of which count, extremes and mean are asked: `numbers` of `inputs`, both named."""

    inputs: tuple[ex.Named, ...]
    numbers: tuple[ex.Named, ...]


def facts_sql(relation: str, facts: FactsSQL, *, centres: Sequence[float] | None = None) -> str:
    """Write count, number of finite values, smallest, largest and mean of numbers over all rows.

    Parameters
    ----------
    relation : str
    facts : FactsSQL
    centres : sequence of float, optional
        Numbers are taken less these; the mean of the squares comes with them.

    Returns
    -------
    str
        Columns: n, then for each number n0, low0, high0, mean0 (and square0).
    """
    shown = ["count(*) AS n"]
    for j in range(len(facts.numbers)):
        z = number(j)
        shown += [f"count({z}) AS n{j}", f"min({z}) AS low{j}", f"max({z}) AS high{j}", f"avg({z}) AS mean{j}"]
        shown += [] if centres is None else [f"avg({z} * {z}) AS square{j}"]
    return f"{_computed(relation, facts, centres)} SELECT {', '.join(shown)} FROM computed"


def quantiles_sql(relation: str, facts: FactsSQL, probabilities: Sequence[float], low: float, high: float) -> str:
    """Write the quantiles of the first number among its values from `low` to `high`, as numpy's: columns p0 ..."""
    z = number(0)
    shown = [f"quantile_cont({z}, {sql.literal(float(p))}) AS p{j}" for j, p in enumerate(probabilities)]
    within = f"{z} BETWEEN {sql.literal(low)} AND {sql.literal(high)}"
    return f"{_computed(relation, facts)} SELECT {', '.join(shown)} FROM computed WHERE {within}"


def _computed(relation: str, facts: FactsSQL, centres: Sequence[float] | None = None) -> str:
    """Write common table expressions that end in `computed`: the numbers, null where they are not finite."""
    numbers = []
    for j, named in enumerate(facts.numbers):
        of = named.expression if centres is None else ex.Arithmetic("-", named.expression, ex.Number(centres[j]))
        numbers.append(ex.Named(number(j), ex.finite(of)))
    select = ex.Select(tuple(numbers), ex.Select(facts.inputs, _RELATION))
    return f"WITH of_relation AS (SELECT * FROM {relation}), computed AS (\n{ex.render(select)}\n)"


def strata_sql(relation: str, strata: Sequence[str]) -> str:
    """Write the distinct values of the strata, then their text as t0 ..."""
    raw = ", ".join(sql.name(column) for column in strata)
    text = ", ".join(f"CAST({sql.name(column)} AS VARCHAR) AS t{j}" for j, column in enumerate(strata))
    return f"SELECT DISTINCT {raw}, {text} FROM {relation}"


@dataclass(frozen=True, slots=True, eq=False)
class RobustTables:
    """Score residuals by day, see `churnsurv.numerics.cox_sums.ResidualTables`: the same fields."""

    end_hazard: Floats
    end_mean: Floats
    end_event: Floats
    start_hazard: Floats
    start_mean: Floats


def robust_sql(
    step: StepSQL,
    predictor: ex.Expression,
    shift: float,
    *,
    columns: Sequence[ex.Expression],
    tables: RobustTables,
    cluster: str | None,
) -> str:
    """Write the sum over clusters of U U', U the sum of a cluster's score residuals times weights.

    Parameters
    ----------
    step : StepSQL
        Its weight, if any, multiplies the residuals; theta of a residual is without it.
    predictor, shift
        As in `sums_sql`.
    columns : sequence of Expression
        The p columns of the design, of inputs and numbers.
    tables : RobustTables
    cluster : str or None
        Column; None: each row is its own.

    Returns
    -------
    str
        One row: n (clusters with rows at risk), then the products 00, 01 ..., 11 ... as q0 ...
    """
    p = len(columns)
    computed = step.computed(() if cluster is None else (ex.Named(CLUSTER, ex.Column(cluster)),))
    select = step.theta(computed, predictor, shift, weighted=False)
    made = tuple(ex.Named(f"x{j}", of) for j, of in enumerate(columns))
    select = ex.Select((*_same(select.columns), *made), select)
    weight = "weight * " if step.weight is not None else ""
    u = [f"{weight}(x{j} * own + r{j})" for j in range(p)]
    residuals = f"({_residuals(step, ex.render(select), p, clustered=cluster is not None)}) AS residuals"
    if cluster is None:
        grouped = f"SELECT {', '.join(f'{of} AS u{j}' for j, of in enumerate(u))} FROM {residuals}"
    else:
        summed = ", ".join(f"sum({of}) AS u{j}" for j, of in enumerate(u))
        grouped = f"SELECT {summed} FROM {residuals} GROUP BY cluster"
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    products = ", ".join(f"sum(u{i} * u{j}) AS q{n}" for n, (i, j) in enumerate(pairs))
    return (
        f"{step.rows.sql(computed)}, {_by_day(tables, p, late=step.late)} SELECT count(*) AS n, {products} FROM"
        f" ({grouped}) AS clusters"
    )


def _by_day(tables: RobustTables, p: int, *, late: bool) -> str:
    """Write the tables of the residuals as common table expressions."""
    means = {f"p{j}": tables.end_mean[:, j] for j in range(p)}
    events = {f"e{j}": tables.end_event[:, j] for j in range(p)}
    places = np.arange(tables.end_hazard.shape[0])
    ends = {"slot": places // 2, "happened": places % 2, "hazard": tables.end_hazard, **means, **events}
    parts = [f"by_end AS ({_inlined(ends)})"]
    if late:
        # who was there from the beginning is taken off from nothing
        of_start = {f"p{j}": np.append(tables.start_mean[:, j], 0.0) for j in range(p)}
        slots = np.append(np.arange(tables.start_hazard.shape[0]), -1)
        starts = {"slot": slots, "hazard": np.append(tables.start_hazard, 0.0), **of_start}
        parts.append(f"by_start AS ({_inlined(starts)})")
    return ", ".join(parts)


def _residuals(step: StepSQL, rows: str, p: int, *, clustered: bool) -> str:
    """Write what the residuals of a row are made of: u = x own + r."""
    late = step.late
    hazard = f"(e.hazard{' - s.hazard' if late else ''})"
    own = f"(CASE WHEN each_row.event THEN 1e0 ELSE 0e0 END) - each_row.theta * {hazard} AS own"
    through = [f"each_row.theta * (e.p{j}{f' - s.p{j}' if late else ''}) + e.e{j} AS r{j}" for j in range(p)]
    kept = [f"each_row.x{j}" for j in range(p)]
    kept += ["each_row.weight"] if step.weight is not None else []
    kept += ["each_row.cluster"] if clustered else []
    joins = f"JOIN by_end AS e ON e.slot = each_row.{sql.name(END)} AND e.happened = CAST(each_row.event AS INTEGER)"
    joins += f" JOIN by_start AS s ON s.slot = each_row.{sql.name(START)}" if late else ""
    return f"SELECT {', '.join([*kept, own, *through])} FROM (\n{rows}\n) AS each_row {joins}"


def _inlined(columns: Mapping[str, NDArray[Any]]) -> str:
    """Write a table of numbers: one text a column, which is read many times faster than so many literals.

    Examples
    --------
    >>> print(_inlined({"day": np.array([30, 31])}))
    SELECT CAST(unnest(string_split('30 31', ' ')) AS BIGINT) AS day
    """
    shown = ", ".join(
        f"CAST(unnest(string_split('{' '.join(map(repr, values.tolist()))}', ' ')) AS {_kind(values)}) AS {column}"
        for column, values in columns.items()
    )
    return f"SELECT {shown}"


def _kind(values: NDArray[Any]) -> str:
    return "BIGINT" if values.dtype.kind in "iu" else "DOUBLE"
