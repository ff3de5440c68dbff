"""Who answers when asked why they left: a logistic model of it, and how far its chances carry."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.pooled import listed
from churnsurv.diagnosis.rows import frame_of
from churnsurv.numerics.nonresponse import Responses
from churnsurv.survival.factors import factor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ResponseModel", "overlap_rows", "response_model"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

#: Of a category, answered and silent ones each; fewer have no coefficient of their own.
FEW = 5
#: Answered and silent ones each for a coefficient, or the model is made smaller.
_EACH = 10
#: A chance below it makes one answer stand for more than twenty churns.
RARE = 0.05
_FLAT = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ResponseModel:
    """The chance of each churn to have an answer.

    Attributes
    ----------
    units : Responses
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
    fewest = min(n_answered, n - n_answered)
    if fewest < 2 * FEW or not on:
        return _without(answered, cluster, "" if not on or n_answered == n else _too_few(n_answered, n))
    for simpler in (False, True):
        columns = _columns(churns, answered, on, simpler=simpler)
        if fewest >= _EACH * (1 + len(columns.made)):
            break
    else:
        columns = _cut(columns, max(fewest // _EACH - 1, 0))
    if not columns.made:
        return _without(answered, cluster, "", columns.notes)
    matrix = np.column_stack([np.ones(n), *columns.made])
    chance, estimates, covariance = _fit(matrix, answered, cluster)
    if chance is None:
        return _without(answered, cluster, "The model of who answers has no finite fit: no weights.", columns.notes)
    table = _table(columns, estimates[1:], np.sqrt(np.diag(covariance)[1:]), level)
    variables = tuple(dict.fromkeys(term["variable"] for term in columns.terms))
    return ResponseModel(Responses(answered, chance, matrix, cluster), table, variables, tuple(columns.notes))


def _too_few(n_answered: int, n: int) -> str:
    return (
        f"{n_answered:,} of {n:,} churns have a reason: too few, or too few without one, for a model of who answers. "
        "Weighted shares are the plain ones."
    )


def _without(answered: Flags, cluster: Any, note: str, notes: Sequence[str] = ()) -> ResponseModel:
    n = answered.size
    units = Responses(answered, np.full(n, max(float(answered.mean()), _FLAT)), np.zeros((n, 0)), cluster)
    said = (*notes, *((note,) if note else ()))
    return ResponseModel(units, frame_of("reason_response", []), (), said)


def _columns(churns: pd.DataFrame, answered: Flags, on: Sequence[str], *, simpler: bool) -> _Columns:
    import pandas as pd

    columns = _Columns()
    for name in on:
        column = churns[name]
        if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
            _add_number(columns, name, column.to_numpy(dtype=np.float64, na_value=np.nan), pieces=1 if simpler else 3)
        else:
            _add_categories(columns, name, column, answered)
    return columns


def _add_categories(columns: _Columns, name: str, column: pd.Series[Any], answered: Flags) -> None:
    """One column a category but the largest; thin categories go with it, since nothing can be said of them."""
    codes, levels = factor(column)
    size = np.bincount(codes, minlength=len(levels))
    told = np.bincount(codes[answered], minlength=len(levels))
    thin = (told < FEW) | (size - told < FEW)
    if thin.all():
        columns.notes.append(f"{name}: every value has too few answers, or too few without, to be a part of the model.")
        return
    reference = int(np.argmax(np.where(thin, -1, size)))
    silent = [f"{levels[i]!s} ({told[i]:,} of {size[i]:,})" for i in np.flatnonzero(thin & (told < FEW))]
    if silent:
        columns.notes.append(
            f"{name}: hardly anybody answered of {listed(silent)}. Whoever is silent there is taken for one of "
            f"{levels[reference]!s}: no weight can make up for reasons that nobody told."
        )
    for place in np.flatnonzero(~thin):
        if place != reference:
            text = str(levels[place])
            columns.add(
                (codes == place).astype(np.float64), term=f"{name}: {text}", variable=name, category=text,
                reference=str(levels[reference]),
            )  # fmt: skip


def _add_number(columns: _Columns, name: str, values: Floats, *, pieces: int) -> None:
    """Straight pieces between the values at thirds, each with the slope in it."""
    missing = np.isnan(values)
    known = values[~missing]
    if known.size == 0:
        return
    doubling = bool(known.min() >= 0)
    scaled = np.log2(1 + np.where(missing, np.median(known), values)) if doubling else np.where(missing, 0.0, values)
    unit = "per doubling" if doubling else "per unit"
    inner = np.unique(np.quantile(known, np.arange(1, pieces) / pieces)) if pieces > 1 else np.zeros(0)
    inner = inner[(inner > known.min()) & (inner < known.max())]
    at = np.log2(1 + inner) if doubling else inner
    ends = np.concatenate([[-np.inf], at, [np.inf]])
    for i in range(ends.size - 1):
        low = scaled.min() if i == 0 else ends[i]
        piece = np.clip(scaled, low, ends[i + 1]) - low
        where = _where(inner, i)
        columns.add(piece, term=f"{name}{where}, {unit}", variable=name)
    if missing.any():
        columns.add(missing.astype(np.float64), term=f"{name}: (missing)", variable=name, category="(missing)")


def _where(inner: Floats, i: int) -> str:
    if inner.size == 0:
        return ""
    if i == 0:
        return f" up to {inner[0]:.4g}"
    return f" above {inner[-1]:.4g}" if i == inner.size else f" from {inner[i - 1]:.4g} to {inner[i]:.4g}"


def _cut(columns: _Columns, most: int) -> _Columns:
    left = [str(term["term"]) for term in columns.terms[most:]]
    note = f"Too few answers for all of the model of who answers: without {listed(left)}."
    return _Columns(columns.made[:most], [], columns.terms[:most], [*columns.notes, note] if left else columns.notes)


def _fit(matrix: Floats, answered: Flags, cluster: Any) -> tuple[Floats | None, Floats, Floats]:
    """Chances, coefficients and their covariance, by cluster where there are some; no chances where there is no fit."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, HessianInversionWarning, PerfectSeparationWarning

    nothing = np.zeros(0)
    model = sm.Logit(answered.astype(np.float64), matrix)
    how: Mapping[str, Any] = {}
    if cluster is not None:
        how = {"cov_type": "cluster", "cov_kwds": {"groups": cluster, "use_correction": False}}
    # where coefficients run away it shows in what comes back
    with np.errstate(all="ignore"), warnings.catch_warnings():
        for each in (PerfectSeparationWarning, ConvergenceWarning, HessianInversionWarning):
            warnings.simplefilter("ignore", each)
        try:
            fit = model.fit(method="newton", maxiter=50, tol=1e-10, disp=False, **how)
        except np.linalg.LinAlgError:
            return None, nothing, nothing
        chance = np.asarray(fit.predict(matrix), dtype=np.float64)
        covariance = np.asarray(fit.cov_params())
    apart = bool((chance[answered] < _FLAT).any() or (np.abs(fit.params) > 30).any())
    if not fit.mle_retvals["converged"] or apart or not (np.isfinite(chance).all() and np.isfinite(covariance).all()):
        return None, nothing, nothing
    return chance, np.asarray(fit.params), covariance


def _table(columns: _Columns, estimate: Floats, error: Floats, level: float) -> pd.DataFrame:
    from scipy.special import ndtr, ndtri

    z = float(ndtri(0.5 + level / 2))
    rows = []
    for term, b, se in zip(columns.terms, estimate, error, strict=True):
        p = 2 * float(ndtr(-abs(b / se)))
        rows.append(
            {
                "category": None,
                "reference": None,
                **term,
                "estimate": b,
                "std_error": se,
                "p_value": p,
                "odds_ratio": np.exp(b),
                "lower": np.exp(b - z * se),
                "upper": np.exp(b + z * se),
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
