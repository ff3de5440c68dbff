"""Cox regression: the table and formula door to `churnsurv.numerics.cox`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.relation import relation_of
from churnsurv.errors import ChurnsurvWarning
from churnsurv.numerics.cox import CoxData
from churnsurv.survival.causes import check_cause, of_cause
from churnsurv.survival.covariates import Encoding, ModelMatrix, learn_encoding
from churnsurv.survival.cox_engine import fit_in_engine, stays_in_engine
from churnsurv.survival.cox_fit import CoxFit
from churnsurv.survival.cox_methods import Solved, check_method, solve
from churnsurv.survival.cox_notes import crowded_days, quiet_strata, too_few_events
from churnsurv.survival.formula import parse_formula
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.regression import baseline_table, latest_known, refuse_outcomes, risk_sets_with_churn
from churnsurv.survival.training import USER_ID, cox_data, training

__all__ = ["cox"]

Floats: TypeAlias = NDArray[np.float64]


def cox(
    formula: str,
    data: Any,
    *,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    reference: Mapping[str, object] | None = None,
    ties: Literal["efron", "breslow", "grouped"] = "efron",
    penalty: float | Literal["firth"] = 0.0,
    l1_ratio: float = 0.0,
    unpenalised: str | Sequence[str] = (),
    cause: str | None = None,
    cause_of_interest: object = None,
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    offset: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> CoxFit:
    """Fit Cox's proportional hazards model.

    Parameters
    ----------
    formula : str
        Covariates without a left side: ``"channel + log1p(max_amount)"``. Functions: log, log1p, log2, log10, sqrt,
        exp, abs, center, scale, poly, bs, cs, cr, C, I. Text, categorical and boolean columns are categories, missing
        values a category of their own; so is ``C(column)``.
    data : Spells, History, Gaps, or any table
        Of an engine's table only counts of equal rows are fetched. With numbers as covariates rows seldom are equal:
        in DuckDB each step is then one aggregation, and rows stay where they are (Efron or Breslow, no penalty).
    strata : str or sequence of str, optional
        Columns whose values have a baseline hazard each.
    cluster : str or None
        Rows of one cluster may depend on each other: cluster-robust standard errors. "auto": `user_id` for history,
        gaps, and spells built with ``spells="all"``; else none.
    reference : mapping of column to category, optional
        Else the first category, in categorical order or sorted.
    ties : {"efron", "breslow", "grouped"}
        "grouped": whole days are taken as intervals, in a complementary log-log model with a parameter for each day
        with churn. The way out where one day takes a large part of its risk set.
    penalty : float or "firth"
        The lambda of glmnet, on standardised covariates and the log-likelihood by row. "firth": half the log
        determinant of the information, which keeps coefficients finite under separation.
    l1_ratio : float
        0 is ridge, 1 is lasso.
    unpenalised : str or sequence of str
        Variables of the formula without penalty.
    cause : str, optional
        A column with the reason of churn; null where it is not known.
    cause_of_interest : object, optional
        The value of it that counts as churn; churns of other and unknown causes are censored on their day.
    weights : str, optional
        A column of numbers > 0.
    weights_kind : {"frequency", "sampling"}
        Required with weights. "frequency": whole numbers, a row stands for so many users, and the fit is that of the
        rows so often repeated. "sampling": a row was drawn with a probability that its weight is the inverse of; the
        standard errors are robust, by cluster or, without one, by row (case weights of R's ``coxph(robust=TRUE)``).
    offset : str, optional
        A column that is added to the linear predictor with coefficient 1.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Of the confidence intervals.

    Returns
    -------
    CoxFit
        Sources: Cox (1972); Efron (1977) and Breslow (1974) for ties; Prentice and Gloeckler (1978) for grouped days;
        Lin and Wei (1989) for the robust variance; Simon et al. (2011) for the elastic net; Heinze and Schemper (2001).

    Raises
    ------
    SchemaError
        If a column is missing or of the wrong type.
    InputError
        If the formula cannot be used, a covariate is missing in some rows or has one value only, or would look ahead;
        if weights or offset hold values that cannot be used, or `weights_kind` is missing.
    ConvergenceError
        If there is no churn, covariates determine each other, a coefficient is infinite, or the maximum is not reached.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120],
    ...     "churned": [True, True, True, False, True, True, True, False],
    ...     "channel": ["search"] * 4 + ["friend"] * 4,
    ... })
    >>> fit = cox("channel", data)
    >>> fit.table[["term", "reference", "hazard_ratio", "p_value"]].round(3)
                  term reference  hazard_ratio  p_value
    0  channel: search    friend         3.596    0.269
    """
    level = check_level(level)
    method = check_method(ties, penalty, l1_ratio, unpenalised)
    check_cause(cause, cause_of_interest)
    parsed = parse_formula(formula)
    refuse_outcomes(parsed, offset, data, duration=duration, event=event, entry=entry, cause=cause)
    relation = relation_of(data)
    if relation is not None and stays_in_engine(parsed, relation, method):
        return fit_in_engine(
            parsed, relation, method=method, strata=strata, cluster=cluster, reference=reference, cause=cause,
            cause_of_interest=cause_of_interest, weights=weights, weights_kind=weights_kind, offset=offset,
            duration=duration, event=event, entry=entry, level=level,
        )  # fmt: skip
    found = survival_data(
        data, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind, offset=offset, optional=(USER_ID,),
        columns=(*parsed.variables, *(() if cause is None else (cause,))),
    )  # fmt: skip
    said: list[str] = []
    if cause is not None:
        found, said = of_cause(found, cause, cause_of_interest)
    sets = risk_sets_with_churn(found, found.names.event)
    at_risk = sets.at_risk()
    encoding, matrix, notes = learn_encoding(
        parsed, found.frame, reference=reference, informative=None if at_risk.all() else at_risk, rows=found.rows
    )
    warned = [*(crowded_days(sets, found) if ties != "grouped" else ()), *too_few_events(sets, matrix, method)]
    for text in warned:
        warnings.warn(text, ChurnsurvWarning, stacklevel=2)
    rows = cox_data(found, matrix.design, sets, ties)
    solved = solve(rows, found, matrix, method, level=level)
    named = {
        "ties": ties, "level": level, "strata": tuple(column_list("strata", strata)), "penalty": method.penalty,
        "l1_ratio": method.l1_ratio, "unpenalised": method.unpenalised, "cause": cause,
        "cause_of_interest": cause_of_interest, "weights": weights, "weights_kind": weights_kind, "offset": offset,
        "_columns": asdict(found.names),
    }  # fmt: skip
    return _result(
        found=found, rows=rows, matrix=matrix, encoding=encoding, solved=solved,
        notes=(*said, *quiet_strata(sets, found), *notes, *warned, *solved.notes), named=named,
    )  # fmt: skip


def _result(
    *,
    found: SurvivalData,
    rows: CoxData,
    matrix: ModelMatrix,
    encoding: Encoding,
    solved: Solved,
    notes: tuple[str, ...],
    named: Mapping[str, Any],
) -> CoxFit:
    sets, order = rows.sets, matrix.order
    estimates = solved.coefficients[order]
    covariance, by_model = (c[np.ix_(order, order)] for c in (solved.covariance, solved.model_covariance))
    profile = None if solved.profile is None else solved.profile[:, order]
    for array in (estimates, covariance, by_model, *(() if profile is None else (profile,))):
        array.setflags(write=False)
    return CoxFit(
        **named,
        formula=encoding.formula,
        cluster=found.cluster_name,
        n=found.n_users - sets.n_no_risk,
        n_events=int(sets.n_events.sum()),
        n_no_risk=sets.n_no_risk,
        n_patterns=solved.n_patterns,
        log_likelihood=solved.log_likelihood,
        log_likelihood_null=solved.log_likelihood_null,
        iterations=solved.iterations,
        covariance=covariance,
        notes=notes,
        _rows=matrix.rows,
        _known_at=tuple(latest_known(row, found.known_at) for row in matrix.rows),
        _estimates=estimates,
        _score_statistic=solved.score_statistic,
        _effective_df=solved.effective_df,
        _row_log_likelihood=solved.row_log_likelihood,
        _profile=profile,
        _n_clusters=found.n_clusters,
        _baseline=baseline_table(sets, solved.baseline, found.strata_labels),
        _encoding=encoding,
        _source=found.source,
        _model_covariance=by_model,
        _moments=solved.moments,
        _strata_labels=found.strata_labels,
        _training=training(found, rows, matrix, solved.coefficients * rows.design.scale),
    )
