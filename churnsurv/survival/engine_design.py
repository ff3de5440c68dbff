"""A formula as columns of a table that stays in its engine: what is learned of it, and the columns as expressions.

Nothing here fetches rows. Categories come as their distinct values with counts, numbers as their extremes and means.
Where categories and days are few enough, the sums of the fit are split by categories, whose columns then cost nothing;
else a category is a column of zeros and ones for each of its values.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import cox_sql
from churnsurv.data import expressions as ex
from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.cox_sql import PlacedRows
from churnsurv.data.relation import Relation
from churnsurv.errors import InputError
from churnsurv.numerics.design import Design, Indicators, _check_values, _power_of_two, not_finite
from churnsurv.numerics.group_sums import ONE, Block, Columns
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.numerics.separation import check_categories
from churnsurv.survival.covariates import (
    Encoding,
    FactorCode,
    ModelMatrix,
    Row,
    TermCode,
    _categories,
    _check_references_used,
    _check_scale,
    _check_size,
    _inner,
    _reference_name,
    _row,
    _terms,
    cells_of,
    joint_codes,
    known_codes,
)
from churnsurv.survival.engine_learning import Learning
from churnsurv.survival.formula import Formula, parsed
from churnsurv.survival.frames import counted
from churnsurv.survival.newdata import design_order
from churnsurv.survival.scoring_sql import _by_cell, _Factor, _Inputs, _product, _Translation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EngineDesign", "Source", "engine_design"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

#: Numbers that come back from the engine for each step of Newton's method, at most: 128 MB.
MOST_SUMS = 1 << 24
#: Summed numbers of a row: their products are the columns of a statement.
_MOST_NUMBERS = 150


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The rows that a model is fitted to.

    Attributes
    ----------
    relation : Relation
    placed : PlacedRows
    event : Expression
    frequency : Expression or None
    sets : RiskSets
        Of any rows that stand for them.
    fetched : dict
        Categories that were asked for.
    """

    relation: Relation
    placed: PlacedRows
    event: ex.Expression
    frequency: ex.Expression | None
    sets: RiskSets
    fetched: dict[tuple[str, ...], pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Number:
    """A summed number: an expression of the inputs, and what is done to it."""

    of: ex.Expression
    name: str
    kind: str  # "centred", "scaled" (only divided), or "plain"


@dataclass(frozen=True, slots=True, eq=False)
class EngineDesign:
    """The columns of a model as expressions over the rows of a relation.

    Attributes
    ----------
    encoding : Encoding
    rows : tuple of Row
        In the order of the formula.
    order : (p,) integer
        Where each of them stands in the design.
    columns : Columns
    keys : tuple of str
        The categorical expressions that the sums are split by.
    key_columns : tuple of Expression
    inputs : tuple of Named
        All inputs; `needed` are the names of those that a predictor needs.
    numbers : tuple of Expression
    parts : tuple of TermCode
        The coded parts.
    notes : tuple of str
    """

    encoding: Encoding
    rows: tuple[Row, ...]
    order: NDArray[np.intp]
    columns: Columns
    keys: tuple[str, ...]
    key_columns: tuple[ex.Expression, ...]
    inputs: tuple[ex.Named, ...]
    needed: frozenset[str]
    numbers: tuple[ex.Expression, ...]
    parts: tuple[TermCode, ...]
    notes: tuple[str, ...]
    factors: Mapping[str, _Factor]

    def predictor(self, coefficients: Floats) -> list[ex.Expression]:
        """Write the summands of the linear predictor, but for categories that the sums are split by."""
        summands: list[ex.Expression] = []
        for block, where in self.columns.placed():
            own = coefficients[where]
            if block.part is None:
                summands += [_times(b, number) for b, number in zip(own, block.numbers, strict=True) if b != 0]
            elif block.numbers[0] != ONE and own.any():
                column = ex.Column(cox_sql.number(block.numbers[0]))
                summands.append(ex.Arithmetic("*", column, self._cell(block.part, own)))
        return summands

    def effects(self, coefficients: Floats) -> list[ex.Expression]:
        """Write the summands that `predictor` leaves out."""
        blocks = [(block, coefficients[where]) for block, where in self.columns.placed()]
        return [
            self._cell(block.part, own)
            for block, own in blocks
            if block.part is not None and block.numbers[0] == ONE and own.any()
        ]

    @property
    def matrix(self) -> ModelMatrix:
        """The columns without rows."""
        columns = self.columns
        made = Design(np.empty((0, 0)), columns.centre, columns.scale, (), columns.names)
        return ModelMatrix(made, self.rows, self.order)

    def columns_sql(self) -> list[ex.Expression]:
        """Write the p columns of the design."""
        written: list[ex.Expression] = []
        for block, _ in self.columns.placed():
            if block.part is None:
                written += [ex.Column(cox_sql.number(j)) for j in block.numbers]
                continue
            for unit in np.eye(block.width):
                indicator = self._cell(block.part, unit)
                number = block.numbers[0]
                written.append(
                    indicator if number == ONE else ex.Arithmetic("*", ex.Column(cox_sql.number(number)), indicator)
                )
        return written

    def _cell(self, part: int, coefficients: Floats) -> ex.Expression:
        term = self.parts[part]
        factors = self.encoding.factors
        return _by_cell(term, factors, self.factors, cells_of(term, factors), coefficients)

    def codes(self, keys: pd.DataFrame) -> tuple[Codes, ...]:
        """Return the category of each group in each coded part; `keys` has one column for each of the keys."""
        factors = self.encoding.factors
        coded = {
            expression: known_codes(factors[expression], keys.iloc[:, j]) for j, expression in enumerate(self.keys)
        }
        return tuple(joint_codes(term, factors, coded) for term in self.parts)


def _times(coefficient: float, number: int) -> ex.Expression:
    return ex.Arithmetic("*", ex.Number(float(coefficient)), ex.Column(cox_sql.number(number)))


def engine_design(
    formula: Formula, source: Source, *, reference: Mapping[str, object] | None, written: bool
) -> EngineDesign:
    """Learn the encoding of a formula from a relation, and lay its columns out.

    Parameters
    ----------
    formula : Formula
    source : Source
    reference : mapping of column to category, or None
    written : bool
        Whether every column will be written as SQL, also those of categories that the sums are split by.

    Raises
    ------
    SchemaError, InputError
        As `learn_encoding` and `design` do in memory; rows have no positions here, and are counted.
    ConvergenceError
        If a category has nobody at risk, or none of its rows at risk has the event.
    """
    if reference is not None and not isinstance(reference, Mapping):
        raise InputError(
            f"reference says which category of a column, as in {{'channel': 'organic'}}; got {reference!r}."
        )
    learning = Learning(source.relation, formula)
    chosen, notes = dict(reference or {}), list[str]()
    factors: dict[str, FactorCode] = {}
    for expression in dict.fromkeys(part for term in formula.terms for part in term):
        factors[expression] = code = learning.factor(expression)
        if not code.labels:
            wanted = [chosen.pop(key) for key in dict.fromkeys((code.name, _inner(code.name))) if key in chosen]
            categories = _learned_categories(source, code, wanted, notes)
            factors[expression] = FactorCode(expression, code.columns, categories, (), {})
    _check_references_used(chosen, factors)
    encoding = Encoding(formula.text, formula.variables, factors, tuple(_terms(formula, factors)))
    _check_size(encoding)
    for term in encoding.terms:
        if term.categories:
            _check_cells(source, encoding, term)
    return _laid_out(encoding, source, learning, tuple(notes), written=written)


# --- categories -----------------------------------------------------------------------------------------------------


def _key_sql(code: FactorCode) -> ex.Expression:
    """The column that a category is, or the truth of a comparison."""
    tree, quoted = parsed(code.expression)
    while isinstance(tree, ast.Call) and ast.unparse(tree.func) == "I":
        tree = tree.args[0]
    translation = _Translation(code, quoted)
    return translation.truth(tree) if isinstance(tree, ast.Compare) else ex.Column(translation.column(tree))


def _fetched(source: Source, codes: Sequence[FactorCode]) -> pd.DataFrame:
    """Rows by categories: one column a category, then at_risk, event, n and users."""
    asked = tuple(code.expression for code in codes)
    if asked in source.fetched:
        return source.fetched[asked]
    query = cox_sql.categories_sql(
        source.placed, source.event, [_key_sql(code) for code in codes], MOST_SUMS >> 4, source.frequency
    )
    frame = keys_of(source.relation, source.relation.arrow(query), codes)
    if len(frame) > MOST_SUMS >> 4:
        names = ", ".join(repr(code.name) for code in codes)
        raise InputError(
            f"{names} has more than {MOST_SUMS >> 6:,} different values: merge categories, or use it as strata."
        )
    source.fetched[asked] = frame
    return frame


def keys_of(relation: Relation, table: Any, codes: Sequence[FactorCode]) -> pd.DataFrame:
    """Return an answer as pandas, its columns k0, k1 ... as the values of categories, in the relation's own order."""
    orders = {
        f"k{j}": relation.orders[code.columns[0]]
        for j, code in enumerate(codes)
        if len(code.columns) == 1 and code.columns[0] in relation.orders
    }
    return to_pandas(tidy(table, orders))


def _learned_categories(source: Source, code: FactorCode, wanted: list[object], notes: list[str]) -> tuple[Any, ...]:
    frame = _fetched(source, [code])
    column = frame["k0"].rename(code.name)
    at_risk = frame["at_risk"].to_numpy(dtype=np.bool_)
    informative = None if at_risk.all() else at_risk
    return _categories(code.name, column, wanted, informative, notes, frame["n"].to_numpy(dtype=np.int64))[0]


def _check_cells(source: Source, encoding: Encoding, term: TermCode) -> None:
    """Raise where a column of categories has nobody at risk, or nobody with the event."""
    codes = [encoding.factors[part] for part in term.categories]
    frame = _fetched(source, codes)
    frame = frame[frame["at_risk"].to_numpy(dtype=np.bool_)]
    coded = {code.expression: known_codes(code, frame[f"k{j}"]) for j, code in enumerate(codes)}
    joint = joint_codes(term, encoding.factors, coded)
    combinations = itertools.product(*(encoding.factors[part].labels for part in term.numeric))
    values = np.ones(len(frame)) if term.numeric else None
    event = frame["event"].to_numpy(dtype=np.bool_)
    sets = replace(source.sets, place=np.zeros(len(frame), dtype=np.int32), event=event, start=None)
    for labels in combinations:
        names = tuple(row.term for row in _rows(term, encoding, labels))
        part = Indicators(joint, names, _reference_name(term, encoding.factors), values)
        made = Design(np.empty((len(frame), 0)), np.empty(0), np.empty(0), (part,), names)
        check_categories(made, sets, frame["users"].to_numpy(dtype=np.float64))


def _rows(term: TermCode, encoding: Encoding, labels: tuple[str, ...]) -> list[Row]:
    """Rows of the table of the fit for one product of numbers; `labels` as those of each number."""
    factors = encoding.factors
    shown = tuple(
        f"{factors[part].name}[{label}]" if label else factors[part].name
        for part, label in zip(term.numeric, labels, strict=True)
    )
    return [_row(term, factors, shown, cell) for cell in cells_of(term, factors)]


# --- columns --------------------------------------------------------------------------------------------------------


def _laid_out(
    encoding: Encoding, source: Source, learning: Learning, notes: tuple[str, ...], *, written: bool
) -> EngineDesign:
    keys = _keys(encoding, source.sets)
    inputs = _Inputs(cox_sql.KEPT)
    in_rows = _in_rows(encoding, keys)
    used = dict.fromkeys(part for term in encoding.terms for part in (*term.numeric, *term.categories))
    factors = {e: _factor(encoding.factors[e], inputs) for e in used if written or e in in_rows}
    numbers: list[_Number] = []
    dense: list[tuple[int, Row]] = []
    blocks: list[tuple[Block, list[Row], TermCode | None]] = []
    for term in encoding.terms:
        for combination in itertools.product(*(range(len(encoding.factors[part].labels)) for part in term.numeric)):
            of = [factors[part].column(j) for part, j in zip(term.numeric, combination, strict=True)]
            labels = tuple(encoding.factors[p].labels[j] for p, j in zip(term.numeric, combination, strict=True))
            rows = _rows(term, encoding, labels)
            if not term.categories:
                dense.append((len(numbers), rows[0]))
                numbers.append(_Number(_product(of), rows[0].term, "centred"))
            elif set(term.categories) <= set(keys):
                if of:
                    numbers.append(_Number(_product(of), rows[0].term, "scaled"))
                blocks.append((Block((len(numbers) - 1 if of else ONE,), 0, len(rows)), rows, term))
            else:
                first = len(numbers)
                numbers += _cells(term, encoding, factors, of, rows)
                blocks.append((Block(tuple(range(first, len(numbers))), None, len(rows)), rows, None))
    centre, scale = _centres_and_scales(learning, inputs.columns, numbers)
    return _assembled(encoding, keys, inputs, factors, numbers, dense, blocks, centre, scale, notes)


def _assembled(
    encoding: Encoding,
    keys: tuple[str, ...],
    inputs: _Inputs,
    factors: Mapping[str, _Factor],
    numbers: Sequence[_Number],
    dense: Sequence[tuple[int, Row]],
    blocks: Sequence[tuple[Block, list[Row], TermCode | None]],
    centre: Floats,
    scale: Floats,
    notes: tuple[str, ...],
) -> EngineDesign:
    parts = tuple(term for _, _, term in blocks if term is not None)
    place = itertools.count()
    placed = [Block(tuple(j for j, _ in dense), None, len(dense))] if dense else []
    placed += [block if block.part is None else replace(block, part=next(place)) for block, _, _ in blocks]
    rows = [row for _, row in dense] + [row for _, of_block, _ in blocks for row in of_block]
    of_number = [j for j, _ in dense] + [
        block.numbers[0 if block.part is not None else i] for block, of, _ in blocks for i in range(len(of))
    ]
    # the number one stands in front of no number: its centre is 0 and its scale 1
    columns = Columns(
        blocks=tuple(placed),
        names=tuple(row.term for row in rows),
        centre=np.append(centre, 0.0)[of_number],
        scale=np.append(scale, 1.0)[of_number],
        n_numbers=len(numbers),
    )
    _check_scale(Design(np.empty((0, len(dense))), columns.centre, columns.scale, (), columns.names))
    order = np.argsort(design_order(encoding))
    return EngineDesign(
        encoding=encoding,
        rows=tuple(rows[i] for i in order),
        order=order,
        columns=columns,
        keys=keys,
        key_columns=tuple(_key_sql(encoding.factors[expression]) for expression in keys),
        inputs=tuple(inputs.columns),
        needed=frozenset(factors[expression].input for expression in _in_rows(encoding, keys)),
        numbers=tuple(
            _moved(number.of, float(c), float(s)) for number, c, s in zip(numbers, centre, scale, strict=True)
        ),
        parts=parts,
        notes=notes,
        factors=factors,
    )


def _in_rows(encoding: Encoding, keys: Sequence[str]) -> set[str]:
    """Expressions that are computed for each row: numbers, and categories that are no keys, or multiply a number."""
    found = set[str]()
    for term in encoding.terms:
        found |= {*term.numeric}
        if term.numeric or not set(term.categories) <= set(keys):
            found |= {*term.categories}
    return found


def _factor(code: FactorCode, inputs: _Inputs) -> _Factor:
    tree, quoted = parsed(code.expression)
    if isinstance(tree, ast.Name) and code.categories is None:
        # its values were found finite: they need not be looked at again in every row of every step
        column = ex.Column(quoted.get(tree.id, tree.id))
        return _Factor(inputs.add(code.name, ex.Cast("number", column)), None)
    return _Factor.of(code, inputs)


def _moved(of: ex.Expression, centre: float, scale: float) -> ex.Expression:
    moved = of if centre == 0 else ex.Arithmetic("-", of, ex.Number(centre))
    return moved if scale == 1 else ex.Arithmetic("*", moved, ex.Number(1 / scale))


def _cells(
    term: TermCode,
    encoding: Encoding,
    factors: Mapping[str, _Factor],
    of: Sequence[ex.Expression],
    rows: Sequence[Row],
) -> list[_Number]:
    """Columns of a category that the sums are not split by: each 1, or the number, where the row is in the cell."""
    cells = cells_of(term, encoding.factors)
    found = []
    for unit, row in zip(np.eye(len(cells)), rows, strict=True):
        indicator = _by_cell(term, encoding.factors, factors, cells, unit)
        found.append(_Number(_product([*of, indicator]), row.term, "scaled" if of else "plain"))
    return found


def _keys(encoding: Encoding, sets: RiskSets) -> tuple[str, ...]:
    """Choose the categories that the sums are split by: as many as there is room for, those of few values first."""
    sizes = {e: len(code.categories) for e, code in encoding.factors.items() if code.categories is not None}
    widest_first = sorted(sizes, key=sizes.__getitem__)
    n_places = (2 + (sets.start is not None)) * sets.n_slots
    for taken in range(len(widest_first), -1, -1):
        keys = widest_first[:taken]
        m = _n_numbers(encoding, keys)
        groups = n_places * math.prod(sizes[e] for e in keys)
        if m <= _MOST_NUMBERS and groups * (m + 1) * (m + 2) / 2 <= MOST_SUMS:
            return tuple(e for e in sizes if e in keys)
    m = _n_numbers(encoding, ())
    raise InputError(
        f"formula {encoding.formula!r} makes {counted(m, 'column')} on {counted(sets.n_slots, 'day')} with churn (by "
        "stratum): the sums of each step are more than can be fetched. Merge categories, take fewer covariates or "
        "strata, count time in whole days, or fit a sample of the users in memory."
    )


def _n_numbers(encoding: Encoding, keys: Sequence[str]) -> int:
    total = 0
    for term in encoding.terms:
        products = math.prod(len(encoding.factors[part].labels) for part in term.numeric)
        if not term.categories:
            total += products
        elif set(term.categories) <= set(keys):
            total += products if term.numeric else 0
        else:
            total += products * len(cells_of(term, encoding.factors))
    return total


def _centres_and_scales(
    learning: Learning, inputs: Sequence[ex.Named], numbers: Sequence[_Number]
) -> tuple[Floats, Floats]:
    """Centre of the dense columns at their mean, and powers of two next to the largest distance from it."""
    asked = [j for j, number in enumerate(numbers) if number.kind != "plain"]
    centre, scale = np.zeros(len(numbers)), np.ones(len(numbers))
    found = learning.facts([numbers[j].of for j in asked], inputs)
    for j, facts in zip(asked, found, strict=True):
        if facts.n_bad:
            raise not_finite(numbers[j].name, np.array([np.nan]), np.array([facts.n_bad]))
        if numbers[j].kind == "centred":
            _check_values(np.empty(0), numbers[j].name, facts.low, facts.high)
            centre[j] = facts.mean
        scale[j] = _power_of_two(max(facts.high - centre[j], centre[j] - facts.low))
    return centre, scale
