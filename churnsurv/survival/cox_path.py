"""Lasso, elastic net and ridge at a falling sequence of penalties, and the choice of one by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.cross_validation import CrossValidation, balanced_folds, cross_validate
from churnsurv.numerics.penalised import check_unpenalised_categories
from churnsurv.numerics.penalty_path import (
    Shrinkage,
    effective_df,
    largest_penalty,
    path_points,
    problem_of,
    saturated_log_likelihood,
    without_penalised,
)
from churnsurv.numerics.penalty_units import penalty_units
from churnsurv.survival.covariates import learn_encoding
from churnsurv.survival.cox_methods import penalised_columns
from churnsurv.survival.cox_notes import crowded_days, quiet_strata
from churnsurv.survival.formula import parse_formula
from churnsurv.survival.inputs import SurvivalData, column_list, survival_data
from churnsurv.survival.regression import refuse_outcomes, risk_sets_with_churn
from churnsurv.survival.training import cox_data
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CoxPath", "cox_path"]

Floats: TypeAlias = NDArray[np.float64]

# The last penalty of a path as a share of lasso's first; larger with more columns than rows, where less fits noise.
_LAST, _LAST_WIDE = 1e-3, 1e-2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CoxPath(Result):
    """Cox models at a falling sequence of penalties.

    Attributes
    ----------
    formula : str
    l1_ratio : float
        0 is ridge, 1 is lasso.
    folds, seed : int
        Of the cross-validation.
    penalty_best : float
        With the lowest mean deviance of left-out folds.
    penalty_sparse : float
        The largest whose mean deviance is within one standard error of the lowest.
    ties : {"efron", "breslow"}
    unpenalised, strata : tuple of str
    cluster : str or None
        Column whose rows stay together in the folds.
    weights, weights_kind, offset : str or None
    n, n_events, n_no_risk : int
        As in `CoxFit`.
    notes : tuple of str
        What a reader of the result must know.
    """

    _schema: ClassVar[str] = "cox_path"

    formula: str
    l1_ratio: float
    folds: int
    seed: int
    penalty_best: float
    penalty_sparse: float
    ties: str
    unpenalised: tuple[str, ...]
    strata: tuple[str, ...]
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    offset: str | None
    n: int
    n_events: int
    n_no_risk: int
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _terms: tuple[str, ...]
    _coefficients: Floats
    _source: Mapping[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """One row per penalty: coefficients left, likelihood, and deviance of left-out folds."""
        return self._table.copy()

    @property
    def coefficients(self) -> pd.DataFrame:
        """One row per penalty and term; schema "cox_path_coefficients"."""
        import pandas as pd

        k, p = self._coefficients.shape
        return pd.DataFrame(
            {
                "penalty": np.repeat(self._table["penalty"].to_numpy(), p),
                "term": list(self._terms) * k,
                "estimate": self._coefficients.ravel(),
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the deviance of left-out folds over the penalty, and both choices."""
        from churnsurv.plots import penalty_path

        axes: Axes = penalty_path(self.table, ax, best=self.penalty_best, sparse=self.penalty_sparse)
        return axes

    def _left(self, penalty: float) -> int:
        return int(self._table.loc[self._table["penalty"] == penalty, "n_nonzero"].iloc[0])

    def _headline(self) -> str:
        kind = {0.0: "ridge", 1.0: "lasso"}.get(self.l1_ratio, f"elastic net (l1_ratio {self.l1_ratio:g})")
        return (
            f"{self.formula}: {kind} at {len(self._table)} penalties, {self.n:,} rows, {self.n_events:,} churned; "
            f"{self.folds} folds choose penalty {self.penalty_best:.3g} ({self._left(self.penalty_best)} of "
            f"{len(self._terms)} coefficients), within a standard error {self.penalty_sparse:.3g} "
            f"({self._left(self.penalty_sparse)})"
        )

    def _facts(self) -> dict[str, Any]:
        names = (
            *("formula", "l1_ratio", "folds", "seed", "penalty_best", "penalty_sparse", "ties", "unpenalised"),
            *("strata", "cluster", "weights", "weights_kind", "offset", "n", "n_events", "n_no_risk", "notes"),
        )
        facts = {name: getattr(self, name) for name in names}
        of_term = {term: self._coefficients[:, j] for j, term in enumerate(self._terms)}
        return {**facts, "coefficients": of_term, **self._source}


def cox_path(
    formula: str,
    data: Any,
    *,
    l1_ratio: float = 1.0,
    penalties: int | Sequence[float] = 100,
    folds: int = 10,
    seed: int = 0,
    unpenalised: str | Sequence[str] = (),
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    reference: Mapping[str, object] | None = None,
    ties: Literal["efron", "breslow"] = "efron",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    offset: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    progress: bool = False,
) -> CoxPath:
    """Fit a falling sequence of penalties, and choose one by cross-validation.

    Parameters
    ----------
    formula, data, strata, reference, ties, weights, weights_kind, offset, duration, event, entry
        As in `cox`.
    l1_ratio : float
        1 is lasso, which leaves out covariates; 0 is ridge, which pulls all of them towards zero.
    penalties : int or sequence of float
        How many; they fall by a constant factor from the smallest that makes all penalised coefficients zero. With
        l1_ratio below 0.001 that is infinity, or nearly; the first is then that of 0.001, as in glmnet. The last is
        0.001 times the first one of lasso, or 0.01 times where there are more columns than rows. Or the penalties
        themselves, > 0.
    folds : int
    seed : int
        Of the folds: the same seed and table give the same folds.
    unpenalised : str or sequence of str
        Variables of the formula without penalty.
    cluster : str or None
        Column whose rows stay together in a fold. "auto": `user_id` for spells built with ``spells="all"``, else none,
        and each row of the table is dealt for itself, whatever its weight.
    progress : bool
        Show a bar.

    Returns
    -------
    CoxPath
        ``cox(..., penalty=path.penalty_best, l1_ratio=path.l1_ratio)`` gives the fit.

    Raises
    ------
    SchemaError, InputError
        As `cox` does; or if the penalties or folds cannot be used.
    ConvergenceError
        If there is no churn, the unpenalised columns cannot be fitted, to all rows or without a fold, or a maximum is
        not reached.

    Notes
    -----
    Folds have like numbers of churns. The deviance of a fold is -2 times what the log-likelihood of all rows gains over
    that of the others at their coefficients, by churn of the fold (Verweij and van Houwelingen 1993; ``grouped=TRUE``
    in glmnet); mean and standard error weigh folds by their churns. Each fit has the standard deviations of its own
    rows. The chosen model is not tested by the folds that chose it: its deviance is a little too good.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    >>> data["duration"] = np.ceil(rng.exponential(60 * np.exp(-data["a"]))).astype(int)
    >>> data["churned"] = True
    >>> path = cox_path("a + b + c + d", data, penalties=20, folds=5)
    >>> kept = path.coefficients.query("penalty == @path.penalty_sparse and estimate != 0")
    >>> kept["term"].tolist()
    ['a']
    """
    from tqdm import tqdm

    _check(l1_ratio, folds, seed, ties)
    given, n_penalties = _wanted(penalties)
    parsed = parse_formula(formula)
    refuse_outcomes(parsed, offset, data, duration=duration, event=event, entry=entry)
    found = survival_data(
        data,
        strata=strata,
        cluster=cluster,
        duration=duration,
        event=event,
        entry=entry,
        columns=parsed.variables,
        weights=weights,
        weights_kind=weights_kind,
        offset=offset,
        each=True,  # folds deal rows
    )
    sets = risk_sets_with_churn(found, found.names.event)
    at_risk = sets.at_risk()
    encoding, matrix, notes = learn_encoding(
        parsed, found.frame, reference=reference, informative=None if at_risk.all() else at_risk, rows=found.rows
    )
    warned = crowded_days(sets, found)
    for text in warned:
        warnings.warn(text, ChurnsurvWarning, stacklevel=2)
    free = (unpenalised,) if isinstance(unpenalised, str) else tuple(unpenalised)
    penalised = penalised_columns(matrix, free)
    if not penalised.any():
        raise InputError("unpenalised names every variable of the formula: no penalty is left to choose. Use cox().")
    rows = cox_data(found, matrix.design, sets, ties)
    fold_of = _fold_codes(rows, found, folds, seed)
    with tqdm(total=n_penalties * (folds + 1), unit="fit", disable=not progress, leave=False) as bar:
        fitted = _fitted(
            rows, found, penalised, l1_ratio, fold_of, given=given, n_penalties=n_penalties, tick=bar.update
        )
    estimates = fitted.coefficients[:, matrix.order]
    estimates.setflags(write=False)
    best, sparse = (float(fitted.penalties[i]) for i in (fitted.validation.best(), fitted.validation.sparse()))
    return CoxPath(
        formula=encoding.formula, l1_ratio=float(l1_ratio), folds=folds, seed=seed, penalty_best=best,
        penalty_sparse=sparse, ties=ties, unpenalised=free, strata=tuple(column_list("strata", strata)),
        cluster=found.cluster_name, weights=weights, weights_kind=weights_kind, offset=offset,
        n=found.n_users - sets.n_no_risk, n_events=int(sets.n_events.sum()), n_no_risk=sets.n_no_risk,
        notes=(*quiet_strata(sets, found), *notes, *warned, *_edge_notes(fitted)), _table=fitted.table,
        _terms=tuple(row.term for row in matrix.rows), _coefficients=estimates, _source=found.source,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """The path in the order of the design, and its cross-validation."""

    penalties: Floats
    coefficients: Floats
    table: pd.DataFrame
    validation: CrossValidation


def _check(l1_ratio: float, folds: int, seed: int, ties: str) -> None:
    if not 0 <= l1_ratio <= 1:
        raise InputError(f"l1_ratio must lie between 0 (ridge) and 1 (lasso), not {l1_ratio!r}.")
    if isinstance(folds, bool) or not isinstance(folds, (int, np.integer)) or folds < 2:
        raise InputError(f"folds must be a whole number >= 2, not {folds!r}.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed must be a whole number >= 0, not {seed!r}.")
    if ties not in ("efron", "breslow"):
        why = " Penalties are of partial likelihoods, which grouped days have none of." if ties == "grouped" else ""
        raise InputError(f"ties must be 'efron' or 'breslow' here, not {ties!r}.{why}")


def _fitted(
    rows: CoxData,
    found: SurvivalData,
    penalised: NDArray[np.bool_],
    l1_ratio: float,
    fold_of: NDArray[np.intp],
    *,
    given: Floats | None,
    n_penalties: int,
    tick: Callable[[], object],
) -> _Fitted:
    import pandas as pd

    counted = None if found.entry is None else found.duration > found.entry
    fitted = collapse(rows)
    check_unpenalised_categories(fitted, penalised)
    problem = problem_of(fitted, penalised, penalty_units(rows, counted))
    null = without_penalised(problem)
    used = given
    if used is None:
        first, of_lasso = (largest_penalty(problem, null, ratio) for ratio in (l1_ratio, 1.0))
        used = _grid(first, of_lasso, n_penalties, rows)
    points, df = [], []
    for penalty, found_at in zip(used, path_points(problem, null, used.tolist(), l1_ratio), strict=True):
        points.append(found_at.point)
        df.append(effective_df(problem, found_at.point, Shrinkage.of(problem, float(penalty), l1_ratio)))
        tick()
    coefficients = np.array([problem.in_units(point.beta) for point in (null.point, *points)])
    validation = cross_validate(
        rows, fold_of, used, l1_ratio, penalised, coefficients=coefficients, counted=counted, tick=tick
    )
    value = np.array([point.state.log_likelihood for point in points])
    most = saturated_log_likelihood(fitted)
    range_of = most - null.log_likelihood_null
    table = pd.DataFrame(
        {
            "penalty": used,
            "n_nonzero": np.count_nonzero(coefficients[1:], axis=1),
            "effective_df": np.array(df, dtype=np.float64),
            "log_likelihood": value,
            "deviance_explained": 1 - (most - value) / range_of if range_of > 0 else np.full(len(used), np.nan),
            "cv_deviance": validation.mean,
            "cv_std_error": validation.std_error,
        }
    )
    return _Fitted(used, coefficients[1:], table, validation)


def _wanted(penalties: object) -> tuple[Floats | None, int]:
    """The penalties named, falling, or None; and how many there are."""
    if isinstance(penalties, (int, np.integer)) and not isinstance(penalties, bool):
        if penalties < 2:
            raise InputError(f"penalties must be a whole number >= 2, or the penalties themselves; not {penalties!r}.")
        return None, int(penalties)
    try:
        values = np.asarray(penalties, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or values.size == 0 or not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(
            f"penalties must be a number of penalties, or a list of finite penalties > 0; not {penalties!r}. A fit "
            "without penalty is cox()."
        )
    falling = np.unique(values)[::-1]
    return falling, falling.shape[0]


def _grid(first: float, of_lasso: float, n: int, rows: CoxData) -> Floats:
    if first <= 0:
        raise InputError("no penalised covariate has any association with churn here: there is nothing to shrink.")
    share = _LAST_WIDE if rows.design.n_columns > rows.design.n_rows else _LAST
    return np.geomspace(first, of_lasso * share, n)


def _fold_codes(rows: CoxData, found: SurvivalData, folds: int, seed: int) -> NDArray[np.intp]:
    """Fold of each row; the rows of a cluster are dealt together."""
    events = rows.sets.event if rows.frequency is None else rows.sets.event * rows.frequency
    cluster = found.cluster_codes
    by_unit = events if cluster is None else np.bincount(cluster, events, found.n_clusters)
    n_with = int(np.count_nonzero(by_unit))
    if n_with < folds:
        what = "rows" if cluster is None else f"values of {found.cluster_name!r}"
        raise InputError(f"folds: {folds} folds need as many {what} with churn; there are {n_with}. Take fewer folds.")
    dealt = balanced_folds(by_unit, folds, seed)
    return dealt if cluster is None else dealt[cluster]


def _edge_notes(fitted: _Fitted) -> list[str]:
    """Say where the choice lies at an end of the path: the best penalty may lie beyond."""
    best, n = fitted.validation.best(), fitted.penalties.shape[0]
    if n > 1 and best == n - 1:
        return ["the smallest penalty has the lowest deviance: hardly any is needed, or a smaller one is better still."]
    if n > 1 and best == 0:
        return ["the largest penalty has the lowest deviance: the penalised covariates don't help to predict churn."]
    return []
