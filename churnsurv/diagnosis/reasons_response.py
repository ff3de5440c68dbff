"""Who answers when asked why they left: a logistic model of it, and how far its chances carry."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.naming import called, every, listed, semicolons
from churnsurv.diagnosis.rows import frame_of
from churnsurv.notes import Note, note
from churnsurv.numerics.nonresponse import Responses
from churnsurv.survival.factors import factor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ResponseModel", "overlap_rows", "response_model"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

#: Answers of a category; one with fewer has no coefficient of its own.
FEW = 5
#: Answered and silent ones each for a coefficient, or the model is made smaller.
_EACH = 10
#: A chance below it makes one answer stand for more than twenty churns.
RARE = 0.05
_FLAT = 1e-9
#: A fitted log odds so far from 0 is on its way to infinity.
_FAR = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ResponseModel:
    """The chance of each churn to have an answer.

    Attributes
    ----------
    units : Responses
        Where everybody of a category has answered the chance is 1 and the row of the matrix 0.
    table : DataFrame
        Schema "reason_response".
    variables : tuple of str
        What the chances depend on; none without a model.
    notes : tuple of str
    """

    units: Responses
    table: pd.DataFrame
    variables: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Columns:
    """Columns of the model as they are put together."""

    made: list[Floats] = field(default_factory=list)
    apart: list[Floats] = field(default_factory=list)  # the same, orthogonal to each other and to a constant
    terms: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, column: Floats, **term: Any) -> None:
        """Take a column, unless it follows from those before it."""
        rest = column - column.mean()
        for _ in range(2):  # once more, for what rounding has left
            for other in self.apart:
                rest = rest - other * (rest @ other)
        size = float(np.sqrt(rest @ rest))
        if size > _FLAT * max(float(np.sqrt(column @ column)), _FLAT):
            self.made.append(column)
            self.apart.append(rest / size)
            self.terms.append(term)


def response_model(
    churns: pd.DataFrame, answered: Flags, on: Sequence[str], *, cluster: NDArray[np.int64] | None, level: float
) -> ResponseModel:
    """Fit the chance of an answer by statsmodels.

    Where everybody of a category has answered the likelihood is largest with the chance 1: such churns are taken out of
    the fit, which is that of all with the coefficient of the category at infinity. Other terms without a finite
    coefficient are left out.

    Parameters
    ----------
    churns : DataFrame
        One row a churn, with the columns `on`.
    answered : (n,) bool
    on : sequence of str
        Text, categories and booleans are categories; numbers enter as pieces of straight lines in log2(1 + number)
        where none is negative, else in the number.
    cluster : (n,) int64, or None
    level : float

    Examples
    --------
    >>> import pandas as pd
    >>> churns = pd.DataFrame({"channel": ["a"] * 40 + ["b"] * 40})
    >>> answered = np.arange(80) % 40 < np.repeat([10, 20], 40)
    >>> found = response_model(churns, answered, ["channel"], cluster=None, level=0.95)
    >>> found.units.chance[[0, 79]].round(3).tolist(), found.table[["term", "odds_ratio"]].round(2).values.tolist()
    ([0.25, 0.5], [['channel: b', 3.0]])
    """
    n, n_answered = answered.size, int(answered.sum())
    if not on or n_answered == n:
        return _without(answered, cluster, "")
    if min(n_answered, n - n_answered) < 2 * FEW:
        return _without(answered, cluster, _too_few(n_answered, n))
    certain, sure, everybody = _certain(churns, answered, on)
    rest = ~certain
    told = answered[rest]
    fewest = min(int(told.sum()), int((~told).sum()))
    if fewest < FEW:
        n_told = int(told.sum())
        few = note(
            "Of the other {n} churns {known} have a reason: too few for weights. All shares are plain.",
            n=f"{told.size:,}",
            known=f"{n_told:,}",
        )
        said = [note("{variable}: everybody answered of {values}.", **each.fields) for each in everybody]
        return _without(answered, cluster, few, said)
    for simpler in (False, True):
        columns = _columns(churns[rest], told, on, simpler=simpler)
        if fewest >= _EACH * (1 + len(columns.made)):
            break
    else:
        columns = _cut(columns, max(fewest // _EACH - 1, 0))
    fit, columns = _fitted(columns, told, None if cluster is None else cluster[rest])
    notes = [*everybody, *columns.notes]
    if fit is None or not (columns.made or certain.any()):
        return _without(answered, cluster, "", notes)
    chance, matrix = np.ones(n), np.zeros((n, fit.matrix.shape[1]))
    chance[rest], matrix[rest] = fit.chance, fit.matrix
    used = {*sure, *(term["variable"] for term in columns.terms)}
    variables = tuple(name for name in dict.fromkeys(on) if name in used)
    table = _table(columns, fit.estimate[1:], fit.std_error[1:], level)
    return ResponseModel(Responses(answered, chance, matrix, cluster), table, variables, tuple(notes))


def _too_few(n_answered: int, n: int) -> str:
    return note(
        "{known} of {n} churns have a reason: too few, or too few without one, for a model of who answers. Weighted "
        "shares are the plain ones.",
        known=f"{n_answered:,}",
        n=f"{n:,}",
    )


def _without(answered: Flags, cluster: Any, last: str, notes: Sequence[str] = ()) -> ResponseModel:
    n = answered.size
    units = Responses(answered, np.full(n, max(float(answered.mean()), _FLAT)), np.zeros((n, 0)), cluster)
    said = (*notes, *((last,) if last else ()))
    return ResponseModel(units, frame_of("reason_response", []), (), said)


def _certain(churns: pd.DataFrame, answered: Flags, on: Sequence[str]) -> tuple[Flags, list[str], list[Note]]:
    """Churns of categories in which everybody has answered, the variables that these are of, and the notes."""
    certain = np.zeros(answered.size, dtype=np.bool_)
    sure: list[str] = []
    notes: list[Note] = []
    for name in on:
        codes, levels = _categories(churns[name])
        size, told = (np.bincount(codes[of], minlength=len(levels)) for of in (slice(None), answered))
        whole = (told >= FEW) & (told == size)
        if ((told < FEW) & (size > 0)).any() and not ((told >= FEW) & (told < size)).any() and whole.any():
            # those of whom hardly anybody answered go with the largest category: it is not certain then
            whole[np.argmax(np.where(whole, size, -1))] = False
        if whole.any():
            certain |= whole[codes]
            sure.append(name)
            said = [note("{value} ({n})", value=every(levels[i]), n=f"{size[i]:,}") for i in np.flatnonzero(whole)]
            notes.append(
                note(
                    "{variable}: everybody answered of {values}; a reason told there speaks for nobody else.",
                    variable=called(name),
                    values=listed(said),
                )
            )
    return certain, sure, notes


def _categories(column: pd.Series[Any]) -> tuple[NDArray[np.integer[Any]], list[Any]]:
    """Codes and values of a category; of numbers whether they are missing."""
    if not _is_number(column):
        return factor(column)
    missing = ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return missing.astype(np.int64), [note("the numbers"), note("a missing number")]


def _is_number(column: pd.Series[Any]) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def _columns(churns: pd.DataFrame, answered: Flags, on: Sequence[str], *, simpler: bool) -> _Columns:
    columns = _Columns()
    for name in on:
        column = churns[name]
        if _is_number(column):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            _add_number(columns, name, values, answered, pieces=1 if simpler else 3)
        else:
            _add_categories(columns, name, column, answered)
    return columns


def _add_categories(columns: _Columns, name: str, column: pd.Series[Any], answered: Flags) -> None:
    """One column a category but the largest; thin categories go with it, since nothing can be said of them."""
    codes, levels = factor(column)
    size = np.bincount(codes, minlength=len(levels))
    told = np.bincount(codes[answered], minlength=len(levels))
    thin = told < FEW
    if thin.all():
        columns.notes.append(
            note(
                "{variable}: every value has too few answers to be a part of the model of who answers.",
                variable=called(name),
            )
        )
        return
    # where some are silent, if there is such a one: a chance of 1 is no coefficient
    reference = int(np.argmax(np.where(thin, -1, size + np.where(told < size, codes.size, 0))))
    silent = [
        note("{value} ({known} of {n})", value=every(levels[i]), known=f"{told[i]:,}", n=f"{size[i]:,}")
        for i in np.flatnonzero(thin & (told < size))
    ]
    if silent:
        columns.notes.append(
            note(
                "{variable}: hardly anybody answered of {values}. Whoever is silent there is taken for one of "
                "{reference}: no weight can make up for reasons that nobody told.",
                variable=called(name),
                values=listed(silent),
                reference=every(levels[reference]),
            )
        )
    for place in np.flatnonzero(~thin):
        if place != reference:
            text = str(levels[place])
            columns.add(
                (codes == place).astype(np.float64), term=f"{name}: {text}", variable=name, category=text,
                reference=str(levels[reference]),
            )  # fmt: skip


def _add_number(columns: _Columns, name: str, values: Floats, answered: Flags, *, pieces: int) -> None:
    """Straight pieces between the values at thirds, each with the slope in it; missing numbers are the median."""
    missing = ~np.isfinite(values)
    known = values[~missing]
    if known.size == 0:
        return
    filled = np.where(missing, np.median(known), values)
    doubling = bool(known.min() >= 0)
    scaled = np.log2(1 + filled) if doubling else filled
    unit = note("per doubling" if doubling else "per unit")
    inner = np.unique(np.quantile(known, np.arange(1, pieces) / pieces)) if pieces > 1 else np.zeros(0)
    inner = inner[(inner > known.min()) & (inner < known.max())]
    at = np.log2(1 + inner) if doubling else inner
    ends = np.concatenate([[-np.inf], at, [np.inf]])
    for i in range(ends.size - 1):
        low = scaled.min() if i == 0 else ends[i]
        piece = np.clip(scaled, low, ends[i + 1]) - low
        columns.add(piece, term=_piece(name, inner, i, unit), variable=name)
    told = int((missing & answered).sum())
    if told >= FEW:
        term = note("{variable}: (missing)", variable=called(name))
        columns.add(missing.astype(np.float64), term=term, variable=name, category="(missing)")
    elif missing.any():
        columns.notes.append(
            note(
                "{variable}: {n} numbers are missing or infinite, with {known} answers. They are taken for the median "
                "({median}).",
                variable=called(name),
                n=f"{int(missing.sum()):,}",
                known=f"{told:,}",
                median=f"{np.median(known):.4g}",
            )
        )


def _piece(name: str, inner: Floats, i: int, unit: str) -> str:
    """The term of a number between two of the values at which its slope changes."""
    said = {"variable": called(name), "unit": unit}
    if inner.size == 0:
        return note("{variable}, {unit}", **said)
    if i == 0:
        return note("{variable} up to {high}, {unit}", high=f"{inner[0]:.4g}", **said)
    if i == inner.size:
        return note("{variable} above {low}, {unit}", low=f"{inner[-1]:.4g}", **said)
    return note("{variable} from {low} to {high}, {unit}", low=f"{inner[i - 1]:.4g}", high=f"{inner[i]:.4g}", **said)


def _cut(columns: _Columns, most: int) -> _Columns:
    left = [term["term"] for term in columns.terms[most:]]
    said = note("Too few answers for all of the model of who answers: without {terms}.", terms=listed(left))
    return _Columns(columns.made[:most], [], columns.terms[:most], [*columns.notes, said] if left else columns.notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Chances, (n,), the matrix that they are logistic in, and its coefficients in the units of the columns."""

    chance: Floats
    matrix: Floats
    estimate: Floats
    std_error: Floats


def _fitted(columns: _Columns, answered: Flags, cluster: Any) -> tuple[_Fit | None, _Columns]:
    """Fit, and leave out what has no finite coefficient, one term at a time."""
    left: list[str] = []
    while True:
        scale = np.array([1.0, *(float(column.std()) for column in columns.made)])
        matrix = np.column_stack([np.ones(answered.size), *columns.made]) / scale
        if (fit := _fit(matrix, scale, answered, cluster)) is not None or not columns.made:
            break
        worst = _runaway(matrix, answered)
        made, terms = list(columns.made), list(columns.terms)
        left.append(terms[worst]["term"])
        del made[worst], terms[worst]
        columns = _Columns(made, [], terms, columns.notes)
    if left:
        columns.notes.append(
            note("Not in the model of who answers, which has no finite fit with it: {terms}.", terms=semicolons(left))
        )
    return fit, columns


def _fit(matrix: Floats, scale: Floats, answered: Flags, cluster: Any) -> _Fit | None:
    """Fit by maximum likelihood, errors by cluster where there are some; None where there is no finite fit."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, HessianInversionWarning, PerfectSeparationWarning

    model = sm.Logit(answered.astype(np.float64), matrix)
    how: Mapping[str, Any] = {}
    if cluster is not None:
        groups = np.unique(cluster, return_inverse=True)[1]
        how = {"cov_type": "cluster", "cov_kwds": {"groups": groups, "use_correction": False}}
    # where coefficients run away it shows in what comes back
    with np.errstate(all="ignore"), warnings.catch_warnings():
        for each in (PerfectSeparationWarning, ConvergenceWarning, HessianInversionWarning):
            warnings.simplefilter("ignore", each)
        try:
            fit = model.fit(method="newton", maxiter=50, tol=1e-10, disp=False, **how)
        except np.linalg.LinAlgError:
            return None
        chance = np.asarray(fit.predict(matrix), dtype=np.float64)
        variance = np.diag(np.asarray(fit.cov_params()))
        far = bool((np.abs(matrix @ fit.params) > _FAR).any())
    apart = far or bool((chance[answered] < _FLAT).any())
    if not fit.mle_retvals["converged"] or apart or not (np.isfinite(chance).all() and np.isfinite(variance).all()):
        return None
    return _Fit(chance, matrix, np.asarray(fit.params) / scale, np.sqrt(variance) / scale)


def _runaway(matrix: Floats, answered: Flags) -> int:
    """The column, counted without the constant, by which the log odds have come to differ most on their way.

    A coefficient without a finite value grows with every step of Newton's method, the others come to rest.
    """
    estimate = np.zeros(matrix.shape[1])
    for _ in range(20):
        chance = 1 / (1 + np.exp(-np.clip(matrix @ estimate, -_FAR, _FAR)))
        information = matrix.T @ ((chance * (1 - chance))[:, None] * matrix)
        estimate = estimate + np.linalg.lstsq(information, matrix.T @ (answered - chance), rcond=None)[0]
    return int(np.argmax(np.ptp(matrix[:, 1:], axis=0) * np.abs(estimate[1:])))


def _table(columns: _Columns, estimate: Floats, error: Floats, level: float) -> pd.DataFrame:
    from scipy.special import ndtr, ndtri

    z = float(ndtri(0.5 + level / 2))
    rows = []
    for term, b, se in zip(columns.terms, estimate, error, strict=True):
        p = 2 * float(ndtr(-abs(b / se)))
        with np.errstate(over="ignore"):  # of a number that hardly varies one unit is very much
            ratios = np.exp([b, b - z * se, b + z * se])
        rows.append(
            {
                "category": None,
                "reference": None,
                **term,
                "estimate": b,
                "std_error": se,
                "p_value": p,
                **dict(zip(("odds_ratio", "lower", "upper"), ratios, strict=True)),
            }
        )
    return frame_of("reason_response", rows)


def overlap_rows(units: Responses, groups: Sequence[tuple[str, Flags]]) -> list[dict[str, Any]]:
    """Rows of schema "reason_overlap": how far the chances carry, by group."""
    rows = []
    for name, members in groups:
        chance, told = units.chance[members], units.answered[members]
        w = units.weight[members][told]
        known = chance.size > 0
        rows.append(
            {
                "group": name,
                "n": int(members.sum()),
                "n_answered": int(told.sum()),
                "lowest": float(chance.min()) if known else np.nan,
                "median": float(np.median(chance)) if known else np.nan,
                "highest": float(chance.max()) if known else np.nan,
                "share_rare": float((chance < RARE).mean()) if known else np.nan,
                "largest_weight": float(w.max()) if w.size else np.nan,
                "largest_share": float(w.max() / w.sum()) if w.size else np.nan,
                "n_effective": float(w.sum() ** 2 / (w @ w)) if w.size else 0.0,
            }
        )
    return rows
