"""Fine and Gray's model of the incidence of one cause: the table and formula door to `churnsurv.numerics.fine_gray`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError, did_you_mean
from churnsurv.numerics.cox import CoxData, CoxSolution, baseline_hazard
from churnsurv.numerics.design import count
from churnsurv.numerics.fine_gray import (
    FineGrayData,
    crr_covariance,
    fine_gray_moments,
    fit_fine_gray,
    robust_covariance,
)
from churnsurv.numerics.prediction import last_days
from churnsurv.numerics.staying import staying
from churnsurv.survival.cause_codes import UNKNOWN, Causes, cause_named, causes_of
from churnsurv.survival.covariates import Encoding, ModelMatrix, learn_encoding
from churnsurv.survival.cox_notes import crowded_days, quiet_strata
from churnsurv.survival.fine_gray_fit import FineGrayFit
from churnsurv.survival.formula import parse_formula
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.regression import baseline_table, latest_known, refuse_outcomes
from churnsurv.survival.training import USER_ID, cox_data, rows_at_risk

__all__ = ["fine_gray"]

Floats: TypeAlias = NDArray[np.float64]

_TIES = ("efron", "breslow")


def fine_gray(
    formula: str,
    data: Any,
    *,
    cause: str,
    cause_of_interest: object,
    compat: Literal["cmprsk"] | None = None,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    reference: Mapping[str, object] | None = None,
    ties: Literal["efron", "breslow"] | None = None,
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    offset: str | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> FineGrayFit:
    """Fit Fine and Gray's proportional subdistribution hazards model of one cause of churn.

    Its hazard ratios say how covariates move the incidence of the cause, P(churned by t, for it), other causes at work.
    What they do to the rate of the cause among those still there is the question of ``cox(..., cause=)``.

    Parameters
    ----------
    formula : str
        Covariates without a left side, as for `cox`.
    data : Spells, or any table
    cause : str
        A column with the reason of churn, read where a row churned. Null there is a cause of its own, "unknown".
    cause_of_interest : object
        The cause whose incidence is modelled; all others compete with it.
    compat : "cmprsk", optional
        None: weights, Efron's ties and robust variance as in ``survival::finegray`` and ``coxph`` of R. "cmprsk":
        weights, Breslow's ties and variance as in ``cmprsk::crr``, which counts the estimation of the weights too; no
        strata, clusters, late entries or sampling weights.
    strata : str or sequence of str, optional
        Columns whose values have a baseline each, and an own distribution of censoring and entry.
    cluster : str or None
        Rows of one cluster may depend on each other. "auto": `user_id` for spells built with ``spells="all"``, else
        none, and the variance is robust by row.
    reference : mapping of column to category, optional
        Else the first category, in categorical order or sorted.
    ties : {"efron", "breslow"}, optional
        "efron", unless ``compat="cmprsk"``.
    weights : str, optional
        A column of numbers > 0. They enter the estimates of censoring and entry too, unlike in ``finegray``, where
        these are of unweighted rows: wrong if rows were drawn by their outcome.
    weights_kind : {"frequency", "sampling"}
        Required with weights.
    offset : str, optional
        A column that is added to the linear predictor with coefficient 1.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration]. Late entries
        have Geskus's (2011) weights.
    level : float
        Of the confidence intervals.

    Returns
    -------
    FineGrayFit
        Sources: Fine and Gray (1999); Geskus (2011); Lin and Wei (1989) for the robust variance.

    Raises
    ------
    SchemaError, InputError
        As `cox`; if no churn has the cause of interest, or `compat` cannot have an option.
    ConvergenceError
        As `cox`; if the log is empty for a while, over which no weight carries.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120], "churned": [1, 1, 1, 0, 1, 1, 1, 0],
    ...     "channel": ["search"] * 4 + ["friend"] * 4,
    ...     "why": ["price", "moved", "price", None, "moved", "price", "price", None],
    ... })
    >>> fit = fine_gray("channel", data, cause="why", cause_of_interest="price")
    >>> fit.table[["term", "reference", "hazard_ratio", "p_value"]].round(3)
                  term reference  hazard_ratio  p_value
    0  channel: search    friend         2.223    0.365
    """
    level = check_level(level)
    if cause_of_interest is None:
        raise InputError(f"cause={cause!r} needs cause_of_interest=, the value of it whose incidence is modelled.")
    parsed = parse_formula(formula)
    refuse_outcomes(parsed, offset, data, duration=duration, event=event, entry=entry, cause=cause)
    found = survival_data(
        data, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind, offset=offset, optional=(USER_ID,), columns=(*parsed.variables, cause),
    )  # fmt: skip
    chosen = _check_ties(compat, ties, found, strata)
    causes = causes_of(found, cause)
    number = 1 + cause_named(cause_of_interest, causes.labels, "cause_of_interest")
    outcome = np.where(causes.outcome == number, 1, np.where(causes.outcome > 0, 2, 0))
    mine = replace(found, churned=outcome == 1)
    sets = rows_at_risk(mine)
    if sets.n_slots == 0:
        raise ConvergenceError(f"no row at risk churned of {str(cause_of_interest)!r}: nothing can be estimated.")
    stays = staying(
        sets, found.duration, outcome, entry=found.entry, stratum=found.strata_codes, weights=found.weights,
        events_first=compat is None,
    )  # fmt: skip
    at_risk = sets.at_risk()
    at_risk[stays.rows] = True
    encoding, matrix, notes = learn_encoding(
        parsed, found.frame, reference=reference, informative=None if at_risk.all() else at_risk, rows=found.rows
    )
    rows = FineGrayData.of(cox_data(mine, matrix.design, sets, chosen), stays)
    warned = [*crowded_days(replace(sets, n_at_risk=_weighted_at_risk(rows)), mine), *_few_events(rows)]
    for text in warned:
        warnings.warn(text, ChurnsurvWarning, stacklevel=2)
    solution = fit_fine_gray(rows)
    said = (*_said(causes, found, cause, cause_of_interest), *quiet_strata(sets, mine), *notes, *warned)
    named = {
        "ties": chosen, "compat": compat, "level": level, "strata": tuple(column_list("strata", strata)),
        "cause": cause, "cause_of_interest": str(cause_of_interest), "weights": weights,
        "weights_kind": weights_kind, "offset": offset, "notes": said,
        "n_competing": _how_many(found, (outcome == 2) & _held(found)),
    }  # fmt: skip
    covariance = _covariance(rows, solution, found, compat)
    return _result(mine, rows, matrix, encoding, solution, covariance, named=named)


def _check_ties(compat: str | None, ties: str | None, found: SurvivalData, strata: Any) -> str:
    if compat not in (None, "cmprsk"):
        raise InputError(f"compat must be None or 'cmprsk', not {compat!r}.{did_you_mean(str(compat), ('cmprsk',))}")
    chosen = ties or ("efron" if compat is None else "breslow")
    if chosen not in _TIES:
        raise InputError(f"ties must be 'efron' or 'breslow', not {ties!r}.{did_you_mean(str(ties), _TIES)}")
    if compat is None:
        return chosen
    late = found.entry is not None and bool((found.entry > 0).any())
    refused = [
        name
        for name, there in (
            ("ties='efron'", chosen == "efron"),
            ("strata", strata is not None),
            (f"cluster ({found.cluster_name!r})", found.cluster_codes is not None),
            ("late entries", late),
            ("sampling weights", found.sampling is not None),
        )
        if there
    ]
    if refused:
        raise InputError(f"compat='cmprsk' takes no {', '.join(refused)}: cmprsk::crr has none. Leave compat out.")
    return chosen


def _weighted_at_risk(rows: FineGrayData) -> NDArray[np.int64]:
    """Users at risk on each day with events, those who stay with their weights: what ties are measured by."""
    stays = rows.staying
    ones = np.ones(rows.cox.design.n_rows) if rows.cox.frequency is None else rows.cox.frequency
    weight = count(stays.place, ones[stays.rows] * stays.inverse, rows.cox.sets.n_slots)
    return np.asarray(rows.cox.sets.n_at_risk + np.rint(stays.through(weight)).astype(np.int64))


def _few_events(rows: FineGrayData) -> list[str]:
    events, p = int(rows.cox.sets.n_events.sum()), rows.cox.design.n_columns
    if p <= events:
        return []
    return [f"{p} coefficients are estimated from {events} churns: the estimates say little. Take fewer covariates."]


def _held(found: SurvivalData) -> NDArray[np.bool_]:
    return np.ones(found.n, dtype=np.bool_) if found.entry is None else np.asarray(found.entry < found.duration)


def _how_many(found: SurvivalData, rows: NDArray[np.bool_]) -> int:
    return int(rows.sum() if found.frequency is None else found.frequency[rows].sum())


def _said(causes: Causes, found: SurvivalData, cause: str, cause_of_interest: object) -> list[str]:
    if UNKNOWN not in causes.labels or str(cause_of_interest) == UNKNOWN:
        return []
    churns = _how_many(found, found.churned)
    unknown = _how_many(found, causes.outcome == 1 + causes.labels.index(UNKNOWN))
    return [
        f"{unknown:,} of {churns:,} churns {'has' if unknown == 1 else 'have'} no known {cause!r} and count as another "
        f"cause. If some of them were {str(cause_of_interest)!r}, its incidence is underestimated."
    ]


def _covariance(rows: FineGrayData, solution: CoxSolution, found: SurvivalData, compat: str | None) -> Floats:
    state, inverse = solution.state, solution.inverse_information
    if compat == "cmprsk":
        return crr_covariance(rows, state, inverse)
    p = rows.cox.design.n_columns
    if found.cluster_codes is not None and found.n_clusters <= p:
        raise InputError(
            f"cluster {found.cluster_name!r} has {found.n_clusters} values, too few for {p} coefficients: a robust "
            "variance needs many more clusters than coefficients."
        )
    return robust_covariance(rows, state, inverse, found.cluster_codes)


def _result(
    found: SurvivalData,
    rows: FineGrayData,
    matrix: ModelMatrix,
    encoding: Encoding,
    solution: CoxSolution,
    covariance: Floats,
    *,
    named: Mapping[str, Any],
) -> FineGrayFit:
    cox: CoxData = rows.cox
    sets, order = cox.sets, matrix.order
    estimates, covariance = solution.coefficients[order], covariance[np.ix_(order, order)]
    for array in (estimates, covariance):
        array.setflags(write=False)
    last = last_days(found.duration, entry=found.entry, stratum=found.strata_codes, n_strata=len(found.strata_labels))
    return FineGrayFit(
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
        _rows=matrix.rows,
        _known_at=tuple(latest_known(row, found.known_at) for row in matrix.rows),
        _estimates=estimates,
        _n_clusters=found.n_clusters,
        _baseline=baseline_table(sets, baseline_hazard(cox, solution), found.strata_labels),
        _encoding=encoding,
        _source=found.source,
        _moments=fine_gray_moments(rows, solution.state, last_day=last),
        _strata_labels=found.strata_labels,
    )
