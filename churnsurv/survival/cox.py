"""Cox regression: the table and formula door to `churnsurv.numerics.cox`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError, did_you_mean
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, CoxSolution, baseline_hazard, fit_cox, state_at
from churnsurv.numerics.prediction import BaselineMoments, baseline_moments, last_days
from churnsurv.numerics.residuals import cluster_covariance
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.covariates import Encoding, ModelMatrix, Row, learn_encoding
from churnsurv.survival.cox_fit import CoxFit
from churnsurv.survival.cox_notes import crowded_days, quiet_strata, too_few_events
from churnsurv.survival.formula import Formula, parse_formula
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.training import USER_ID, Training, cox_data, rows_at_risk, user_ids
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["cox"]

Floats: TypeAlias = NDArray[np.float64]

# Columns of spells that know how the spell ends, or what the log could see of it.
_OUTCOMES = {
    "duration": "it is the outcome itself",
    "churned": "it is the outcome itself",
    "end_date": "it is known only when the spell ends",
    "last_activity": "it is known only when the spell ends",
    "entry": "it says when observation began, not who the user is",
    "origin_known": "it says what the log could see, not who the user is",
}


def cox(
    formula: str,
    data: Any,
    *,
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
    level: float = 0.95,
) -> CoxFit:
    """Fit Cox's proportional hazards model.

    Parameters
    ----------
    formula : str
        Covariates without a left side: ``"channel + log1p(max_amount)"``. Functions: log, log1p, log2, log10, sqrt,
        exp, abs, center, scale, poly, bs, cs, cr, C, I. Text, categorical and boolean columns are categories, missing
        values a category of their own; so is ``C(column)``.
    data : Spells, or any table
    strata : str or sequence of str, optional
        Columns whose values have a baseline hazard each.
    cluster : str or None
        Rows of one cluster may depend on each other: cluster-robust standard errors. "auto": `user_id` for spells built
        with ``spells="all"``, else none.
    reference : mapping of column to category, optional
        Else the first category, in categorical order or sorted.
    ties : {"efron", "breslow"}
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
        Sources: Cox (1972); Efron (1977) and Breslow (1974) for ties; Lin and Wei (1989) for the robust variance.

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
    if ties not in ("efron", "breslow"):
        raise InputError(
            f"ties must be 'efron' or 'breslow', not {ties!r}.{did_you_mean(str(ties), ('efron', 'breslow'))}"
        )
    parsed = parse_formula(formula)
    own = isinstance(data, Result) and data._schema == "spells"
    _refuse_outcomes(parsed, offset, own=own, named=(duration, event, entry))
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
        optional=(USER_ID,),
    )
    sets = _risk_sets(found, event)
    at_risk = sets.at_risk()
    encoding, matrix, notes = learn_encoding(
        parsed, found.frame, reference=reference, informative=None if at_risk.all() else at_risk
    )
    warned = [*crowded_days(sets, found), *too_few_events(sets, matrix)]
    for text in warned:
        warnings.warn(text, ChurnsurvWarning, stacklevel=2)
    rows = cox_data(found, matrix.design, sets, ties)
    solution, covariance, moments = _fitted(rows, found)
    named = {
        "ties": ties, "level": level, "strata": tuple(column_list("strata", strata)),
        "weights": weights, "weights_kind": weights_kind, "offset": offset,
        "_columns": {"duration": duration, "event": event, "entry": entry if entry or found.entry is None else "entry"},
    }  # fmt: skip
    return _result(
        found=found, rows=rows, matrix=matrix, encoding=encoding, solution=solution, covariance=covariance,
        moments=moments, own=own, notes=(*quiet_strata(sets, found), *notes, *warned), named=named,
    )  # fmt: skip


def _risk_sets(found: SurvivalData, event: str) -> RiskSets:
    sets = rows_at_risk(found)
    if sets.n_slots == 0:
        raise ConvergenceError(
            f"none of the {found.n_users - sets.n_no_risk:,} rows at risk churned: without churn no hazard can be "
            f"compared. Check the event column {event!r} and the end of the log."
        )
    return sets


def _fitted(data: CoxData, found: SurvivalData) -> tuple[CoxSolution, Floats, BaselineMoments]:
    """The solution, the covariance to report, and what predictions need."""
    fitted = collapse(data)
    solution = fit_cox(fitted)
    last = last_days(found.duration, entry=found.entry, stratum=found.strata_codes, n_strata=len(found.strata_labels))
    moments = baseline_moments(fitted, solution.state, last_day=last)
    if found.cluster_codes is None and found.sampling is None:
        return solution, solution.inverse_information, moments
    p = data.design.n_columns
    if found.cluster_codes is not None and found.n_clusters <= p:
        raise InputError(
            f"cluster {found.cluster_name!r} has {found.n_clusters} values, too few for {p} coefficients: a robust "
            "variance needs many more clusters than coefficients."
        )
    by_row = solution if fitted is data else replace(solution, state=state_at(data, solution.state.coefficients))
    cluster = np.arange(found.n) if found.cluster_codes is None else found.cluster_codes
    return solution, cluster_covariance(data, by_row, cluster), moments


def _result(
    *,
    found: SurvivalData,
    rows: CoxData,
    matrix: ModelMatrix,
    encoding: Encoding,
    solution: CoxSolution,
    covariance: Floats,
    moments: BaselineMoments,
    own: bool,
    notes: tuple[str, ...],
    named: Mapping[str, Any],
) -> CoxFit:
    sets, order = rows.sets, matrix.order
    estimates = solution.coefficients[order]
    covariance, by_model = (c[np.ix_(order, order)] for c in (covariance, solution.inverse_information))
    for array in (estimates, covariance, by_model):
        array.setflags(write=False)
    known = {"spell": "origin", **found.known_at} if own else dict(found.known_at)
    return CoxFit(
        **named,
        formula=encoding.formula,
        cluster=found.cluster_name,
        n=found.n_users - sets.n_no_risk,
        n_events=int(sets.n_events.sum()),
        n_no_risk=sets.n_no_risk,
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        iterations=solution.iterations,
        covariance=covariance,
        notes=notes,
        _rows=matrix.rows,
        _known_at=tuple(_known_at(row, known) for row in matrix.rows),
        _estimates=estimates,
        _score_statistic=solution.score_statistic,
        _n_clusters=found.n_clusters,
        _baseline=_baseline_table(rows, solution, found.strata_labels),
        _encoding=encoding,
        _source=found.source,
        _model_covariance=by_model,
        _moments=moments,
        _strata_labels=found.strata_labels,
        _training=Training(
            data=rows,
            coefficients=solution.coefficients * rows.design.scale,
            order=order,
            strata=found.strata_labels,
            cluster=found.cluster_codes,
            user_id=user_ids(found.frame),
        ),
    )


def _baseline_table(data: CoxData, solution: CoxSolution, strata: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "stratum": np.array(strata, dtype=object)[data.sets.stratum],
            "time": data.sets.time,
            "cumulative_hazard": baseline_hazard(data, solution),
        }
    )


def _refuse_outcomes(parsed: Formula, offset: str | None, *, own: bool, named: tuple[str | None, ...]) -> None:
    """Refuse covariates and offsets that know the outcome: they would predict the past."""
    for name in (*parsed.variables, *(() if offset is None else (offset,))):
        reason = _OUTCOMES.get(name) if own else None
        if reason is None and name in named:
            reason = "it is the outcome itself" if name != named[2] else _OUTCOMES["entry"]
        if reason is not None:
            what = "an offset" if name == offset else "a covariate"
            raise InputError(
                f"formula: {name!r} cannot be {what}: {reason}, so that the model would look ahead. Behaviour enters "
                "as of a stated day: log.churn_spells(features=[...], baseline_day=30)."
            )


def _known_at(row: Row, known: Mapping[str, str]) -> str:
    """The latest of the parts: days come after origin; what else is said is joined."""
    said = list(dict.fromkeys(known.get(name, "given") for name in row.columns))
    days = [int(match.group(1)) for text in said if (match := re.fullmatch(r"day (\d+)", text))]
    others = [text for text in said if text != "origin" and not re.fullmatch(r"day (\d+)", text)]
    return ", ".join([*([f"day {max(days)}"] if days else []), *others]) or "origin"
