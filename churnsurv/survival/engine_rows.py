"""The rows of a relation, placed among the days with churn, and the sums over them that a fit asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import cox_sql
from churnsurv.data import expressions as ex
from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.cox_sql import Lookup, PlacedRows, StepSQL
from churnsurv.data.relation import Relation
from churnsurv.errors import InputError, require_columns
from churnsurv.numerics.group_sums import ONE, DaySums, GroupSums, with_categories
from churnsurv.numerics.prediction import last_days
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.engine_design import EngineDesign, Source, keys_of
from churnsurv.survival.factors import joined
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import SurvivalData, _offset, _weights
from churnsurv.survival.patterns import refuse_types
from churnsurv.survival.scoring_sql import _equals

__all__ = ["Asked", "EngineRows", "checked_columns", "followed_to", "source_of", "whole_numbers"]

Floats: TypeAlias = NDArray[np.float64]

# Between these the exponent of theta keeps its digits; beyond, the sums are asked for once more.
_FAR = 300.0
# Days by stratum that are written into a statement.
_MOST_TIMES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The arguments that say which columns are what."""

    relation: Relation
    found: SurvivalData
    strata: list[str]
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    offset: str | None
    cause: str | None
    cause_of_interest: object

    def event(self) -> ex.Expression:
        """Write whether a row has the event."""
        column = ex.Column(self.found.names.event)
        happened: ex.Expression = column
        if self.relation.columns[column.name] != "BOOLEAN":
            happened = ex.Comparison("=", ex.Cast("number", column), ex.Number(1.0))
        if self.cause is None:
            return happened
        value = self.cause_of_interest
        own = _equals(ex.Column(self.cause), value.item() if hasattr(value, "item") else value, self.cause)
        # a cause that is not known is none of interest, and not an unknown event
        return ex.Case(((ex.And((happened, own)), ex.Truth(True)),), ex.Truth(False))


def checked_columns(asked: Asked) -> float:
    """Check weights, offset and cluster inside the engine; return the largest offset."""
    relation = asked.relation
    roles = {asked.weights: "numbers to serve as weights", asked.offset: "numbers to serve as an offset"}
    named = {name: what for name, what in roles.items() if name is not None}
    require_columns("data", [*named, *([] if asked.cluster is None else [asked.cluster])], relation.columns)
    refuse_types(relation, named)
    if asked.weights is not None and asked.weights_kind == "sampling":
        wrong = to_pandas(relation.refused(asked.weights, "{0} >= 1e-100 AND {0} <= 1e100"))
        if len(wrong):
            _weights(wrong.rename(columns={"value": asked.weights}), asked.weights, _n(wrong), frequency=False)
    if asked.cluster is not None:
        missing = relation.refused(asked.cluster, "TRUE")
        if missing.num_rows:
            raise InputError(
                f"cluster column {asked.cluster!r} must not have missing values; "
                f"{counted(int(missing['n'][0].as_py()), 'such row')}. Give each of these rows an id of its own or "
                "leave them out."
            )
    if asked.offset is None:
        return 0.0
    wrong = to_pandas(relation.refused(asked.offset, "abs({0}) <= 1e4"))
    if len(wrong):
        _offset(wrong.rename(columns={"value": asked.offset}), asked.offset, _n(wrong))
    column = ex.Named("x0 ", ex.Cast("number", ex.Column(asked.offset)))
    facts = cox_sql.FactsSQL((column,), (ex.Named("x", ex.Column("x0 ")),))
    return float(relation.arrow(cox_sql.facts_sql(relation.name, facts)).to_pylist()[0]["high0"])


def _n(wrong: Any) -> NDArray[np.int64]:
    return np.asarray(wrong["n"], dtype=np.int64)


# --- days and slots -------------------------------------------------------------------------------------------------


def source_of(asked: Asked, sets: RiskSets) -> Source:
    """Place the days of a relation among the days with events.

    Raises
    ------
    InputError
        If there are too many different days to be written into a statement.
    """
    found, names = asked.found, asked.found.names
    stratum = np.zeros(found.n, dtype=np.int64) if found.strata_codes is None else found.strata_codes
    ends = _lookup(stratum, found.duration, sets)
    starts = None
    if found.entry is not None:
        starts = _lookup(stratum, found.entry, sets)
        # a row that enters just before a segment begins is taken off from nothing
        last = np.isin(starts.slot + 1, sets.segments)
        starts = replace(starts, taken=np.where(last, -1, starts.slot))
    if sum(0 if lookup is None else lookup.time.shape[0] for lookup in (ends, starts)) > _MOST_TIMES:
        raise InputError(
            f"{names.duration!r} has more than {_MOST_TIMES:,} different values (by stratum): inside an engine time is "
            "summed by day. Round it to whole days, take fewer strata, or fetch the rows."
        )
    placed = PlacedRows(
        relation=asked.relation.name,
        duration=names.duration,
        entry=names.entry,
        strata=tuple(asked.strata),
        labels=_labels(asked),
        ends=ends if starts is not None else _only_slots(ends),
        starts=starts,
    )
    frequency = None
    if asked.weights is not None and asked.weights_kind == "frequency":
        frequency = ex.Cast("number", ex.Column(asked.weights))
    return Source(asked.relation, placed, asked.event(), frequency, sets)


def _lookup(stratum: NDArray[Any], times: NDArray[Any], sets: RiskSets) -> Lookup:
    """Each distinct time of each stratum, and the last slot that is not after it; -1 for none."""
    distinct, position = np.unique(times, return_inverse=True)
    cells = np.unique(stratum.astype(np.int64) * distinct.shape[0] + position)
    of, at = cells // distinct.shape[0], distinct[cells % distinct.shape[0]]
    slot = np.full(of.shape[0], -1, dtype=np.int64)
    bounds = np.searchsorted(of, np.arange(sets.strata.shape[0]))
    for i, (first, after) in enumerate(zip(sets.strata[:-1].tolist(), sets.strata[1:].tolist(), strict=True)):
        rows = slice(bounds[i], bounds[i + 1])
        before = np.searchsorted(sets.time[first:after], at[rows], side="right")
        slot[rows] = np.where(before > 0, first + before - 1, -1)
    return Lookup(of, at, slot)


def _only_slots(ends: Lookup) -> Lookup:
    """Leave out ends before the first day with events: such rows are never at risk on one."""
    there = ends.slot >= 0
    return Lookup(ends.stratum[there], ends.time[there], ends.slot[there])


def _labels(asked: Asked) -> tuple[tuple[str | int | None, ...], ...]:
    """Each combination of values of the strata as SQL writes them, and its number."""
    if not asked.strata:
        return ()
    table = asked.relation.arrow(cox_sql.strata_sql(asked.relation.name, asked.strata))
    frame = to_pandas(tidy(table.select(asked.strata), asked.relation.orders))
    groups = joined(frame, asked.strata)
    known = {label: i for i, label in enumerate(asked.found.strata_labels)}
    codes = np.zeros(len(frame), dtype=np.int64) if groups.codes is None else groups.codes
    texts = [table[f"t{j}"].to_pylist() for j in range(len(asked.strata))]
    return tuple((*text, known[groups.labels[code]]) for *text, code in zip(*texts, codes.tolist(), strict=True))


def followed_to(found: SurvivalData) -> Floats:
    """Return the last day to which anybody of each stratum was followed, shape (n_strata,)."""
    return last_days(found.duration, entry=found.entry, stratum=found.strata_codes, n_strata=len(found.strata_labels))


# --- sums -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class EngineRows:
    """Asks for the sums at given coefficients.

    `guess` is where the largest linear predictor was last seen: theta is taken relative to it, so that one statement is
    enough unless a step moves it far.
    """

    asked: Asked
    source: Source
    design: EngineDesign
    guess: float = 0.0
    unit: float = 1.0
    _first: DaySums | None = field(default=None, init=False)

    def step(self, *, everything: bool = False) -> StepSQL:
        """Say what is computed of each row; `everything`: also the inputs that only columns of categories need."""
        design, asked = self.design, self.asked
        weight: ex.Expression | None = None
        if asked.weights is not None:
            weight = ex.Cast("number", ex.Column(asked.weights))
            weight = weight if self.unit == 1 else ex.Arithmetic("*", weight, ex.Number(1 / self.unit))
        return StepSQL(
            rows=self.source.placed,
            event=self.source.event,
            weight=weight,
            offset=None if asked.offset is None else ex.Cast("number", ex.Column(asked.offset)),
            keys=() if everything else design.key_columns,
            inputs=tuple(one for one in design.inputs if everything or one.name in design.needed),
            numbers=design.numbers,
            late=self.source.sets.start is not None,
        )

    def at(self, coefficients: Floats) -> DaySums:
        """Return the sums of the linear predictor and the offset."""
        if self._first is not None and not coefficients.any():
            return with_categories(self.design.columns, self._first, coefficients)
        found = self._asked_for(coefficients, self.guess)
        top = float(found.ends.largest.max())
        if np.isfinite(top):
            if abs(top - self.guess) > _FAR:
                found = self._asked_for(coefficients, top)
            self.guess = top
        return with_categories(self.design.columns, found, coefficients)

    def events(self) -> DaySums:
        """Return the sums of weights, and of weights times numbers: at coefficients zero without offset.

        Where that is what the first step asks for too, it is asked for once.
        """
        if self.asked.offset is not None or self.asked.weights_kind == "sampling":
            return self._fetch(cox_sql.sums_sql(self.step(), ex.Number(0.0), 0.0, squares=False), 0.0)
        self._first = self._asked_for(np.zeros(self.design.columns.n_columns), 0.0)
        return self._first

    def reach(self, step: Floats) -> float:
        """Return the largest change of a linear predictor that a step makes."""
        design = self.design
        summands = ex.total(design.predictor(step))
        table = self.asked.relation.arrow(cox_sql.widest_sql(self.step(), summands))
        effect = np.zeros(table.num_rows)
        codes = self._codes(table)
        for block, where in design.columns.placed():
            if block.part is not None and block.numbers[0] == ONE:
                effect += np.concatenate([[0.0], step[where]])[codes[block.part]]
        extremes = [table[name].to_numpy() + effect for name in ("smallest", "largest")]
        return float(np.abs(extremes).max())

    def _asked_for(self, coefficients: Floats, guess: float) -> DaySums:
        summands = self.design.predictor(coefficients)
        if self.asked.offset is not None:
            summands.append(ex.Column(cox_sql.OFFSET))
        return self._fetch(cox_sql.sums_sql(self.step(), ex.total(summands), guess), guess)

    def _fetch(self, query: str, guess: float) -> DaySums:
        table, starts = self.asked.relation.arrow(query), None
        if self.step().late:
            by_entry = whole_numbers(table, "side") == 1
            starts, table = table.filter(by_entry), table.filter(~by_entry)
            starts = starts.filter(whole_numbers(starts, cox_sql.START) >= 0)
        self._check_number(int(whole_numbers(table, "n").sum()))
        place = 2 * whole_numbers(table, cox_sql.END) + whole_numbers(table, cox_sql.EVENT)
        late = None if starts is None else self._side(starts, whole_numbers(starts, cox_sql.START))
        return DaySums(guess, self._side(table, place), late)

    def _check_number(self, n: int) -> None:
        """Refuse rows that come and go from one statement to the next: their sums would belong to no table."""
        found, at_risk = self.asked.found, self.source.sets.at_risk()
        counted_rows = np.ones(found.n, dtype=np.int64) if found.rows is None else found.rows
        expected = int(counted_rows[at_risk].sum())
        if n != expected:
            raise InputError(
                f"the table gave {n:,} rows at risk to this statement and {expected:,} to an earlier one. If it "
                "changes, or draws at random, write it to a table first; if days are decimals, cast them to DOUBLE."
            )

    def _side(self, table: Any, place: NDArray[np.int64]) -> GroupSums:
        m = self.design.columns.n_numbers
        squares = [name for name in table.column_names if name.startswith("q")]
        return GroupSums(
            place=place,
            codes=self._codes(table),
            largest=table["largest"].to_numpy(),
            S0=table["s"].to_numpy(),
            S1=_matrix(table, [f"s{j}" for j in range(m)]),
            S2=_matrix(table, squares),
        )

    def _codes(self, table: Any) -> tuple[NDArray[np.integer[Any]], ...]:
        design = self.design
        if not design.keys:
            return ()
        factors = [design.encoding.factors[expression] for expression in design.keys]
        keys = table.select([f"k{j}" for j in range(len(factors))])
        return design.codes(keys_of(self.asked.relation, keys, factors))


def whole_numbers(table: Any, column: str) -> NDArray[np.int64]:
    """Return a column of an answer as whole numbers."""
    return np.asarray(table[column].to_numpy(), dtype=np.int64)


def _matrix(table: Any, names: Sequence[str]) -> Floats:
    out = np.empty((table.num_rows, len(names)))
    for j, name in enumerate(names):
        out[:, j] = table[name].to_numpy()
    return out
