"""From a formula and a table to a model matrix, with a frozen record of how every column was made.

The record (`Encoding`) holds plain values only: categories with their reference, knots, centres. Applied to new rows it
makes the same columns; a category that it does not know is an error that names it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.numerics.design import Design, Indicators, design
from churnsurv.survival.factors import MISSING, factor
from churnsurv.survival.formula import Formula, Values, columns_of, evaluate
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    *("Encoding", "FactorCode", "ModelMatrix", "Row", "TermCode"),
    *("cells_of", "joint_codes", "known_codes", "learn_encoding", "model_matrix", "products"),
]

Codes: TypeAlias = NDArray[np.integer[Any]]

_TIMES = " × "
_MAX_COLUMNS = 5_000  # a matrix of this square is 200 MB
_LARGEST = 1e100
_MANY = 20


@dataclass(frozen=True, slots=True)
class FactorCode:
    """How one expression of the formula becomes columns.

    Attributes
    ----------
    expression : str
    columns : tuple of str
        Columns of the table that it is made of.
    categories : tuple, or None
        The reference first; None for a numeric expression.
    labels : tuple of str
        Of the numeric columns: ("",) for one, ("1", "2", ...) for a basis.
    state : mapping
        What a transform learned: centre, scale, knots.
    """

    expression: str
    columns: tuple[str, ...]
    categories: tuple[Any, ...] | None
    labels: tuple[str, ...]
    state: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The expression without the backticks of a lone column."""
        inner = self.expression[1:-1]
        return inner if self.expression == f"`{inner}`" and "`" not in inner else self.expression


@dataclass(frozen=True, slots=True)
class TermCode:
    """One block of columns: a product of expressions, its categories coded so that no column is redundant.

    Attributes
    ----------
    numeric : tuple of str
        Numeric expressions, multiplied.
    categories : tuple of str
        Categorical expressions, crossed.
    full : tuple of bool
        For each of them, whether its reference has a column too.
    cells : bool
        Every combination has a column but that of all references; `full` is then all true.
    """

    numeric: tuple[str, ...]
    categories: tuple[str, ...]
    full: tuple[bool, ...]
    cells: bool = False


@dataclass(frozen=True, slots=True)
class Encoding:
    """A formula with everything that was learned from the rows it was fitted to; plain values only."""

    formula: str
    variables: tuple[str, ...]
    factors: Mapping[str, FactorCode]
    terms: tuple[TermCode, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What the table of a model says of one column."""

    term: str
    variable: str
    category: str | None
    reference: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ModelMatrix:
    """The columns of n rows of data.

    Attributes
    ----------
    design : Design
    rows : tuple of Row
        In the order of the formula.
    order : (p,) integer
        Where each of them stands in the design.
    """

    design: Design
    rows: tuple[Row, ...]
    order: NDArray[np.intp]


def learn_encoding(
    formula: Formula,
    frame: pd.DataFrame,
    *,
    reference: Mapping[str, object] | None = None,
    informative: NDArray[np.bool_] | None = None,
    rows: NDArray[np.int64] | None = None,
) -> tuple[Encoding, ModelMatrix, tuple[str, ...]]:
    """Encode a table, and record how.

    Parameters
    ----------
    formula : Formula
    frame : DataFrame
    reference : mapping of column to category, optional
        Else the first category is the reference: categorical order, else sorted.
    informative : (n,) bool, optional
        Rows that carry information. A category that none of them has gets no column.
    rows : (n,) int64, optional
        How many rows of an engine's table each stands for.

    Returns
    -------
    Encoding, ModelMatrix, notes
        Notes say what a reader must know: missing values made a category, categories left without a coefficient.

    Raises
    ------
    InputError
        If a covariate has one value only, is missing, or a reference is not among the categories.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival.formula import parse_formula
    >>> frame = pd.DataFrame({"channel": ["ads", "friend", "ads"], "x": [1.0, 2.0, 4.0]})
    >>> encoding, matrix, notes = learn_encoding(parse_formula("channel + x"), frame)
    >>> [row.term for row in matrix.rows]
    ['channel: friend', 'x']
    """
    if reference is not None and not isinstance(reference, Mapping):
        raise InputError(
            f"reference says which category of a column, as in {{'channel': 'organic'}}; got {reference!r}."
        )
    chosen = dict(reference or {})
    # a column that enters as it is, and only so, is checked by `design`: all such columns in one pass
    joint = {part for term in formula.terms for part in term if len(term) > 1}
    alone = set(formula.variables) - joint if rows is None else set()
    factors: dict[str, FactorCode] = {}
    found: dict[str, Values] = {}
    coded: dict[str, Codes] = {}
    notes: list[str] = []
    for expression in dict.fromkeys(part for term in formula.terms for part in term):
        state: dict[str, Any] = {}
        found[expression] = values = evaluate(expression, frame, state, unchecked=alone & {expression}, rows=rows)
        columns = columns_of(expression)
        factors[expression] = code = FactorCode(expression, columns, None, values.labels, state)
        if values.category is not None:
            wanted = [chosen.pop(key) for key in dict.fromkeys((code.name, _inner(code.name))) if key in chosen]
            categories, coded[expression] = _categories(code.name, values.category, wanted, informative, notes, rows)
            factors[expression] = FactorCode(expression, columns, categories, (), {})
    _check_references_used(chosen, factors)
    encoding = Encoding(formula.text, formula.variables, factors, tuple(_terms(formula, factors)))
    return encoding, _assembled(encoding, found, coded, len(frame)), tuple(notes)


def model_matrix(encoding: Encoding, frame: pd.DataFrame) -> ModelMatrix:
    """Encode new rows as the first ones were.

    Raises
    ------
    InputError
        If a row has a category that the encoding does not know.
    """
    found: dict[str, Values] = {}
    coded: dict[str, Codes] = {}
    for expression, code in encoding.factors.items():
        found[expression] = values = evaluate(expression, frame, dict(code.state))
        if code.categories is not None and values.category is not None:
            coded[expression] = known_codes(code, values.category)
    return _assembled(encoding, found, coded, len(frame))


def _inner(name: str) -> str:
    """``C(plan)`` can be referred to as ``plan``."""
    return name[2:-1].strip("`") if name.startswith("C(") else name


def _categories(
    name: str,
    column: pd.Series[Any],
    wanted: list[object],
    informative: NDArray[np.bool_] | None,
    notes: list[str],
    rows: NDArray[np.int64] | None = None,
) -> tuple[tuple[Any, ...], Codes]:
    """Categories, the reference first, and the code of each row; 0 for the reference and for rows without one."""
    codes, levels = factor(column)
    counts = np.bincount(codes, rows, minlength=len(levels))
    useful = counts if informative is None else np.bincount(codes[informative], minlength=len(levels))
    kept = [i for i in range(len(levels)) if useful[i]]
    notes += [
        note(
            "{name}: {level} ({rows}) has nobody at risk on a day with churn, so it has no coefficient.",
            name=name,
            level=level,
            rows=counted(int(counts[i]), "row"),
        )
        for i, level in enumerate(levels)
        if not useful[i]
    ]
    if levels and levels[-1] is MISSING and useful[-1]:
        said = {"values": counted(int(counts[-1]), "missing value"), "name": name, "category": repr(MISSING)}
        one = int(counts[-1]) == 1
        notes.append(
            note("{values} of {name} forms the category {category}.", **said)
            if one
            else note("{values} of {name} form the category {category}.", **said)
        )
    if len(kept) < 2:
        raise InputError(
            f"covariate {name!r} has no variance: every row at risk is {levels[kept[0]] if kept else levels[0]}. Leave "
            "it out of the formula."
        )
    if len({str(levels[i]) for i in kept}) < len(kept):
        raise InputError(f"covariate {name!r} has different categories that read the same. Rename one of them.")
    _refuse_numbers_as_text(name, [levels[i] for i in kept], int(counts.sum()))
    first = _reference(name, wanted[0], levels, kept) if wanted else kept[0]
    order = [first, *(i for i in kept if i != first)]
    position = np.zeros(len(levels), dtype=_code_type(len(levels)))
    position[order] = np.arange(len(order))
    return tuple(_plain(levels[i]) for i in order), position[codes]


def _code_type(n_levels: int) -> type[np.signedinteger[Any]]:
    """The fit keeps the codes of its rows: half the room where they fit."""
    return np.int16 if n_levels < 2**15 else np.int32


def _refuse_numbers_as_text(name: str, levels: list[Any], n_rows: int) -> None:
    """Many different texts that nearly all read as numbers were meant as numbers."""
    if name.startswith("C(") or len(levels) < max(_MANY, n_rows / 10):
        return
    if not all(isinstance(level, str) for level in levels):
        return
    others = [level for level in levels if level is not MISSING and not _reads_as_number(level)]
    if len(others) <= len(levels) / 10:
        but = f" (all but {', '.join(map(repr, others[:3]))}{' ...' if len(others) > 3 else ''})" if others else ""
        raise InputError(
            f"covariate {name!r} holds numbers written as text{but}, such as {levels[0]!r}: as a category it has "
            f"{len(levels)} values in {n_rows:,} rows. Convert: pandas.to_numeric(table[{name!r}], errors='coerce'), "
            f"or write C({name}) where they are codes."
        )


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reference(name: str, wanted: object, levels: list[Any], kept: list[int]) -> int:
    for i in kept:
        if levels[i] == wanted or str(levels[i]) == str(wanted):
            return i
    there = ", ".join(repr(str(levels[i])) for i in kept[:20])
    raise InputError(
        f"reference: {name!r} has no category {wanted!r} among the rows at risk."
        f"{did_you_mean(str(wanted), [levels[i] for i in kept])} Categories: {there}."
    )


def _check_references_used(left: Mapping[str, object], factors: Mapping[str, FactorCode]) -> None:
    for name in left:
        if any(code.name == name and code.categories is None for code in factors.values()):
            raise InputError(f"reference: {name!r} is numeric. Write C({name}) in the formula to make it a category.")
        options = [_inner(code.name) for code in factors.values() if code.categories is not None]
        raise InputError(
            f"reference: {name!r} is no category of the formula.{did_you_mean(name, options)} "
            f"Categories of the formula: {', '.join(map(repr, options)) or 'none'}."
        )


def known_codes(code: FactorCode, column: pd.Series[Any]) -> Codes:
    """Number of each row's category among those learned; an unseen one is an error that names it."""
    codes, levels = factor(column)
    known = {category: i for i, category in enumerate(code.categories or ())}
    unknown = [level for level in levels if _plain(level) not in known]
    if unknown:
        raise InputError(
            f"{code.name!r} has the category {str(unknown[0])!r}, which the model was not fitted to."
            f"{did_you_mean(str(unknown[0]), known)} It knows {', '.join(repr(str(c)) for c in known)}."
        )
    numbers = np.array([known[_plain(level)] for level in levels], dtype=_code_type(len(known)))
    return np.asarray(numbers[codes])


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _terms(formula: Formula, factors: Mapping[str, FactorCode]) -> Iterator[TermCode]:
    """Code each term so that it adds only what the terms before it, and the baseline hazard, don't span.

    A category with all its columns spans the constant and itself without the reference. So a term spans one part for
    each subset of its categories, all without reference; parts that are there already are left out, and what remains
    is coded in one block where that can be done.
    """
    spanned: dict[frozenset[str], set[frozenset[str]]] = {frozenset(): {frozenset()}}
    for term in formula.terms:
        numeric = tuple(part for part in term if factors[part].categories is None)
        crossed = tuple(part for part in term if factors[part].categories is not None)
        before = spanned.setdefault(frozenset(numeric), set())
        every = [frozenset(s) for k in range(len(crossed) + 1) for s in itertools.combinations(crossed, k)]
        new = [part for part in every if part not in before]
        before.update(new)
        if not new:
            continue
        needed = frozenset.intersection(*new)
        if len(crossed) > 1 and len(new) == len(every) - 1 and frozenset() not in new:
            yield TermCode(numeric, crossed, (True,) * len(crossed), cells=True)
        elif len(new) == 2 ** (len(crossed) - len(needed)):
            yield TermCode(numeric, crossed, tuple(part not in needed for part in crossed))
        else:
            for part in new:
                kept = tuple(c for c in crossed if c in part)
                yield TermCode(numeric, kept, (False,) * len(kept))


def _assembled(encoding: Encoding, found: Mapping[str, Values], coded: Mapping[str, Codes], n_rows: int) -> ModelMatrix:
    dense: list[NDArray[Any]] = []
    dense_rows: list[tuple[int, Row]] = []
    indicators: list[Indicators] = []
    indicator_rows: list[tuple[int, Row]] = []
    position = 0
    _check_size(encoding)
    for term in encoding.terms:
        cells = cells_of(term, encoding.factors)
        for labels, values in products(term, encoding.factors, found):
            rows = [_row(term, encoding.factors, labels, cell) for cell in cells]
            places = list(enumerate(rows, start=position))
            position += len(rows)
            if term.categories:
                codes = joint_codes(term, encoding.factors, coded)
                reference = _reference_name(term, encoding.factors)
                indicators.append(Indicators(codes, tuple(row.term for row in rows), reference, values))
                indicator_rows += places
            elif values is not None:
                dense.append(values)
                dense_rows += places
    in_design = [*dense_rows, *indicator_rows]
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        made = design(dense, [row.term for _, row in dense_rows], indicators, n_rows=n_rows)
    _check_scale(made)
    order = np.argsort(np.array([place for place, _ in in_design], dtype=np.intp))
    return ModelMatrix(made, tuple(in_design[i][1] for i in order), order)


def _check_scale(made: Design) -> None:
    """Squares of what a column is divided by must stay within floating point, and so must its mean."""
    usable = (made.scale < _LARGEST) & (made.scale > 1 / _LARGEST) & np.isfinite(made.centre)
    if not usable.all():
        name = made.names[int(np.argmin(usable))]
        raise InputError(
            f"covariate {name!r} is too far from one, by more than {_LARGEST:g} or {1 / _LARGEST:g}, for its "
            "coefficient and variance to be numbers. Divide it by a unit, or take its log."
        )


def _check_size(encoding: Encoding) -> None:
    def size(code: FactorCode) -> int:
        return len(code.categories or code.labels)

    n = sum(
        math.prod(size(encoding.factors[part]) - (not full) for part, full in zip(t.categories, t.full, strict=True))
        * math.prod(size(encoding.factors[part]) for part in t.numeric)
        for t in encoding.terms
    )
    if n > _MAX_COLUMNS:
        widest = max(encoding.factors.values(), key=size)
        raise InputError(
            f"formula {encoding.formula!r} makes {n} columns; {_MAX_COLUMNS} are the most. {widest.name!r} alone has "
            f"{size(widest)} categories: merge them, or use it as strata."
        )


def products(
    term: TermCode, factors: Mapping[str, FactorCode], found: Mapping[str, Values]
) -> Iterator[tuple[tuple[str, ...], NDArray[Any] | None]]:
    """Each product of numeric columns with the labels of its parts; None where there is no numeric part."""
    columns = [
        [
            (f"{factors[part].name}[{label}]" if label else factors[part].name, values)
            for label, values in zip(found[part].labels, found[part].numeric, strict=True)
        ]
        for part in term.numeric
    ]
    for combination in itertools.product(*columns):
        labels = tuple(label for label, _ in combination)
        if not combination:
            yield labels, None
        elif len(combination) == 1 and not term.categories:
            yield labels, combination[0][1]
        else:
            product = np.array(combination[0][1], dtype=np.float64)
            for _, values in combination[1:]:
                product *= values
            yield labels, product


def cells_of(term: TermCode, factors: Mapping[str, FactorCode]) -> list[tuple[int, ...]]:
    """Category numbers of each column, the first category running fastest."""
    ranges = [
        range(0 if full else 1, len(factors[part].categories or ()))
        for part, full in zip(term.categories, term.full, strict=True)
    ]
    cells = [cell[::-1] for cell in itertools.product(*reversed(ranges))]
    return cells[1:] if term.cells else cells


def joint_codes(term: TermCode, factors: Mapping[str, FactorCode], coded: Mapping[str, Codes]) -> Codes:
    """Number of the column in which each row has its 1; 0 where it has none."""
    first, *others = zip(term.categories, term.full, strict=True)
    if not others and not first[1]:
        return coded[first[0]]
    joint = np.zeros(coded[first[0]].shape[0], dtype=np.int32)
    none = np.zeros(joint.shape[0], dtype=np.bool_)
    step = 1
    for part, full in (first, *others):
        joint += (coded[part] - (not full)) * np.int32(step)
        none |= (coded[part] == 0) & (not full)
        step *= len(factors[part].categories or ()) - (not full)
    if not term.cells:
        joint += 1
        joint[none] = 0
    return joint


def _row(term: TermCode, factors: Mapping[str, FactorCode], labels: tuple[str, ...], cell: tuple[int, ...]) -> Row:
    categories = [
        str((factors[part].categories or ())[number]) for part, number in zip(term.categories, cell, strict=True)
    ]
    names = [f"{factors[part].name}: {category}" for part, category in zip(term.categories, categories, strict=True)]
    against = _against(term, factors)
    parts = (*term.categories, *term.numeric)
    return Row(
        term=_TIMES.join([*names, *labels]),
        variable=":".join(factors[part].name for part in parts),
        category=_TIMES.join(categories) if categories else None,
        reference=_TIMES.join(text for _, text in against) if against else None,
        columns=tuple(dict.fromkeys(name for part in parts for name in factors[part].columns)),
    )


def _against(term: TermCode, factors: Mapping[str, FactorCode]) -> list[tuple[str, str]]:
    """The references a column is compared with: none where every category has its own column."""
    return [
        (factors[part].name, str((factors[part].categories or ("",))[0]))
        for part, full in zip(term.categories, term.full, strict=True)
        if term.cells or not full
    ]


def _reference_name(term: TermCode, factors: Mapping[str, FactorCode]) -> str | None:
    against = _against(term, factors)
    return _TIMES.join(f"{name}: {text}" for name, text in against) if against else None
