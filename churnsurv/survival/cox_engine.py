"""Cox regression of a table that stays in its engine: each step of Newton's method is one aggregation.

What is fetched are counts by day, categories with their counts, the sums of each step, and for a robust variance one
matrix. The fit is that of the same rows in memory, but holds none of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data import cox_sql
from churnsurv.data import expressions as ex
from churnsurv.data.cox_sql import RobustTables
from churnsurv.data.relation import Relation
from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.numerics.cox_sums import (
    SummedData,
    SummedFit,
    baseline_at_zero,
    fit_sums,
    in_own_unit,
    residual_tables,
    robust_covariance,
    summed_moments,
)
from churnsurv.numerics.design import count
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.causes import of_cause
from churnsurv.survival.cox_fit import CoxFit
from churnsurv.survival.cox_methods import Method
from churnsurv.survival.cox_notes import crowded_days, quiet_strata, too_few_events
from churnsurv.survival.engine_design import EngineDesign, engine_design
from churnsurv.survival.engine_learning import numeric, read_as_numbers
from churnsurv.survival.engine_rows import Asked, EngineRows, checked_columns, followed_to, source_of, whole_numbers
from churnsurv.survival.formula import Formula
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import (
    SurvivalData,
    _check_weights_kind,
    column_list,
    survival_data,
)
from churnsurv.survival.own_tables import said_by
from churnsurv.survival.regression import baseline_table, latest_known, risk_sets_with_churn

__all__ = ["fit_in_engine", "stays_in_engine"]

Floats: TypeAlias = NDArray[np.float64]


def fit_in_engine(
    formula: Formula,
    relation: Relation,
    *,
    method: Method,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    reference: Mapping[str, object] | None = None,
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
    """Fit Cox's model to a relation of DuckDB without fetching its rows.

    Parameters
    ----------
    formula : Formula
        Whose covariates were checked not to know the outcome.
    relation : Relation
    method : Method
        Partial likelihood without a penalty.
    strata, cluster, reference, cause, cause_of_interest, weights, weights_kind, offset, duration, event, entry, level
        As in `cox`.

    Returns
    -------
    CoxFit
        Without rows: questions about them take ``data=``.

    Raises
    ------
    InputError
        As in `cox`; if the engine is not DuckDB, the method needs rows, or there are too many days or categories.
    ConvergenceError
        As in `cox`.

    Examples
    --------
    >>> from churnsurv.data import connect
    >>> from churnsurv.data.relation import relation_of
    >>> from churnsurv.survival.cox_methods import check_method
    >>> from churnsurv.survival.formula import parse_formula
    >>> with connect() as engine:
    ...     table = relation_of(engine.sql(
    ...         "SELECT range % 7 AS x, 1 + range % 40 AS duration, range % 3 = 0 AS churned FROM range(840)"
    ...     ))
    ...     fit = fit_in_engine(parse_formula("x"), table, method=check_method("efron", 0.0, 0.0, ()))
    >>> fit.n, fit.n_events, fit.n_patterns
    (840, 280, 80)
    """
    _check_possible(relation, method)
    _check_weights_kind(weights, weights_kind)
    strata_names, counts = column_list("strata", strata), weights_kind == "frequency"
    found = survival_data(
        relation, strata=strata_names, cluster=None, duration=duration, event=event, entry=entry,
        columns=() if cause is None else (cause,), weights=weights if counts else None,
        weights_kind=weights_kind if counts else None,
    )  # fmt: skip
    said: list[str] = []
    if cause is not None:
        found, said = of_cause(found, cause, cause_of_interest)
    sets = risk_sets_with_churn(found, found.names.event)
    cluster_name = said_by(relation).cluster if cluster == "auto" else cluster
    asked = Asked(relation, found, strata_names, cluster_name, weights, weights_kind, offset, cause, cause_of_interest)
    offset_from = checked_columns(asked)
    source = source_of(asked, sets)
    robust = cluster_name is not None or weights_kind == "sampling"
    design = engine_design(formula, source, reference=reference, written=robust)
    warned = [*crowded_days(sets, found), *too_few_events(sets, design.matrix, method)]
    for text in warned:
        warnings.warn(text, ChurnsurvWarning, stacklevel=3)
    rows = EngineRows(asked, source, design, offset_from)
    data, solution = _solved(rows, "breslow" if method.ties == "breslow" else "efron")
    covariance, n_clusters = solution.inverse_information, 0
    if robust:
        covariance, n_clusters = _robust(rows, data, solution)
    moments = summed_moments(data, solution.state, last_day=followed_to(found))
    named = {
        "ties": method.ties, "level": level, "strata": tuple(strata_names), "penalty": method.penalty,
        "l1_ratio": method.l1_ratio, "unpenalised": method.unpenalised, "cause": cause,
        "cause_of_interest": cause_of_interest, "cluster": cluster_name, "weights": weights,
        "weights_kind": weights_kind, "offset": offset, "_columns": asdict(found.names), "_n_clusters": n_clusters,
        "notes": (*said, *quiet_strata(sets, found), *design.notes, *warned),
    }  # fmt: skip
    return _result(found, sets, design, solution, covariance, moments, named)


def stays_in_engine(formula: Formula, relation: Relation, method: Method) -> bool:
    """Whether the fit is made in the engine: of numbers, in DuckDB, without a penalty; else counts of rows are fetched.

    Examples
    --------
    >>> from churnsurv.data import connect
    >>> from churnsurv.survival.cox_methods import check_method
    >>> from churnsurv.survival.formula import parse_formula
    >>> plain = check_method("efron", 0.0, 0.0, ())
    >>> with connect() as engine:
    ...     table = engine.relation("SELECT 'a' AS channel, 1.5 AS amount")
    ...     [stays_in_engine(parse_formula(each), table, plain) for each in ("channel", "C(amount)", "log(amount)")]
    [False, False, True]
    """
    if relation.dialect_engine != "duckdb" or method.ties == "grouped" or method.firth or method.shrinks:
        return False
    return any(
        numeric(relation.columns.get(column, ""))
        for term in formula.terms
        for expression in term
        for column in read_as_numbers(expression)
    )


def _check_possible(relation: Relation, method: Method) -> None:
    if relation.dialect_engine != "duckdb":
        raise InputError(
            f"numbers as covariates are fitted inside DuckDB, and this table is in {relation.dialect_engine}. Cut them "
            "into categories, of which only counts are fetched; or write the table to Parquet and read that: "
            "ch.connect().sql(\"FROM 'table/*.parquet'\")."
        )
    if method.ties == "grouped":
        what, way = "ties='grouped'", "ties='efron'"
    elif method.firth or method.shrinks:
        what, way = f"penalty={method.penalty!r}", "no penalty"
    else:
        return
    raise InputError(
        f"{what} needs the rows in memory, and this table stays in its engine because covariates are numbers. Fit with "
        f"{way}, cut numbers into categories, or fetch the rows: relation.rows(), or .df() of DuckDB."
    )


# --- the fit --------------------------------------------------------------------------------------------------------


def _solved(rows: EngineRows, ties: Literal["efron", "breslow"]) -> tuple[SummedData, SummedFit]:
    """Maximise; sampling weights in a unit in which they are about one, whatever theirs is."""
    sets, columns, asked = rows.source.sets, rows.design.columns, rows.asked
    sampling = asked.weights_kind == "sampling"
    at_zero = rows.events()
    tied = at_zero.ends.place % 2 == 1
    of_events = at_zero.ends.by_place(columns, 2 * sets.n_slots)[1::2].sum(axis=0)
    weight = count(at_zero.ends.place[tied] // 2, at_zero.ends.S0[tied], sets.n_slots)
    event_offset = _event_offset(rows)
    unit = float(2.0 ** np.round(np.log2(weight.sum() / sets.n_events.sum()))) if sampling else 1.0
    rows.unit = unit
    data = SummedData(
        columns=columns,
        sets=sets,
        ties=ties,
        sums=rows.at,
        reach=lambda step: _reach(rows, step),
        events=of_events / unit,
        event_offset=event_offset / unit,
        event_weight=(weight if sampling else sets.n_events.astype(np.float64)) / unit,
        sampling=sampling,
    )
    found = fit_sums(data)
    rows.unit = 1.0
    if unit == 1.0:
        return data, found
    own = replace(data, events=of_events, event_offset=event_offset, event_weight=weight)
    return own, in_own_unit(data, found, unit)


def _event_offset(rows: EngineRows) -> float:
    """Sum the offset over the events, times their weight."""
    if rows.asked.offset is None:
        return 0.0
    step = replace(rows.step(), keys=(), numbers=(ex.Column(cox_sql.OFFSET),), late=False)
    table = rows.asked.relation.arrow(cox_sql.sums_sql(step, ex.Number(0.0), 0.0, squares=False))
    return float(table["s0"].to_numpy()[whole_numbers(table, cox_sql.EVENT) == 1].sum())


def _reach(rows: EngineRows, step: Floats) -> float:
    # values of a design are at most 2 apart from 0
    bound = 2.0 * float(np.abs(step).sum())
    return bound if bound < 0.1 else rows.reach(step)


def _robust(rows: EngineRows, data: SummedData, solution: SummedFit) -> tuple[Floats, int]:
    """Return the robust covariance, by cluster or else by row, and the number of clusters."""
    design, asked, state = rows.design, rows.asked, solution.state
    p, n_clusters = design.columns.n_columns, 0
    if asked.cluster is not None:
        n_clusters = asked.relation.plan(asked.cluster).fetched_rows
        if n_clusters <= p:
            raise InputError(
                f"cluster {asked.cluster!r} has {counted(n_clusters, 'value')}, too few for "
                f"{counted(p, 'coefficient')}: a robust variance needs many more clusters than coefficients."
            )
    tables = residual_tables(data, state)
    query = cox_sql.robust_sql(
        rows.step(everything=True),
        _whole_predictor(rows, state.coefficients),
        state.shift,
        columns=design.columns_sql(),
        tables=RobustTables(
            tables.end_hazard, tables.end_mean, tables.end_event, tables.start_hazard, tables.start_mean
        ),
        cluster=asked.cluster,
    )
    table = asked.relation.arrow(query)
    meat = np.empty((p, p))
    upper = np.triu_indices(p)
    meat[upper] = [table[f"q{n}"][0].as_py() for n in range(len(upper[0]))]
    meat.T[upper] = meat[upper]
    return robust_covariance(solution.inverse_information, meat, design.columns.scale), n_clusters


def _whole_predictor(rows: EngineRows, coefficients: Floats) -> ex.Expression:
    """Write the linear predictor of a row, with the effects of categories that the sums are split by."""
    design = rows.design
    summands = [*design.predictor(coefficients), *design.effects(coefficients)]
    if rows.asked.offset is not None:
        summands.append(ex.Column(cox_sql.OFFSET))
    return ex.total(summands)


def _result(
    found: SurvivalData,
    sets: RiskSets,
    design: EngineDesign,
    solution: SummedFit,
    covariance: Floats,
    moments: BaselineMoments,
    named: Mapping[str, Any],
) -> CoxFit:
    order = design.order
    estimates = solution.coefficients[order]
    reported, by_model = (c[np.ix_(order, order)] for c in (covariance, solution.inverse_information))
    for array in (estimates, reported, by_model):
        array.setflags(write=False)
    return CoxFit(
        **named,
        formula=design.encoding.formula,
        n=found.n_users - sets.n_no_risk,
        n_events=int(sets.n_events.sum()),
        n_no_risk=sets.n_no_risk,
        n_patterns=solution.state.day.ends.S0.shape[0],
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        iterations=solution.iterations,
        covariance=reported,
        _rows=design.rows,
        _known_at=tuple(latest_known(row, found.known_at) for row in design.rows),
        _estimates=estimates,
        _score_statistic=solution.score_statistic,
        _effective_df=float(len(estimates)),
        _row_log_likelihood=solution.log_likelihood,
        _profile=None,
        _baseline=baseline_table(sets, baseline_at_zero(moments, solution.coefficients), found.strata_labels),
        _encoding=design.encoding,
        _source=found.source,
        _model_covariance=by_model,
        _moments=moments,
        _strata_labels=found.strata_labels,
        _training=None,
    )
