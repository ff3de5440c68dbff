"""A Cox fit of ours as a fitted ``lifelines.CoxPHFitter``: its plots, summaries, checks and predictions.

lifelines' own Newton iterations never run. The object is filled as ``CoxPHFitter.fit`` leaves it: coefficients, their
errors, baseline and likelihood are those of our fit, durations and events those of its rows. lifelines then computes
what it is asked from these, by its own formulas.

What lifelines has no words for is refused: an offset, frequencies, grouped days, Breslow's ties, lasso and Firth's
penalty. Its covariates are the columns of ``CoxFit.model_matrix``, and its strata, however many columns they are, one
column of text, as in ``CoxFit.baseline``. `prediction_frame` and `training_frame` make the tables that it takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.concordance import concordance
from churnsurv.numerics.penalty_units import penalty_units
from churnsurv.survival.newdata import model_matrix, new_data
from churnsurv.survival.training import Training, training_of

if TYPE_CHECKING:
    import pandas as pd
    from lifelines import CoxPHFitter

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["prediction_frame", "to_lifelines", "training_frame"]

Floats: TypeAlias = NDArray[np.float64]


def to_lifelines(fit: CoxFit, *, data: Any = None) -> CoxPHFitter:
    """Return the fit as a fitted ``lifelines.CoxPHFitter``, without fitting anything again.

    Parameters
    ----------
    fit : CoxFit
    data : Spells, or any table, optional
        The table that the model was fitted to, where the fit does not hold its rows.

    Returns
    -------
    lifelines.CoxPHFitter
        On the columns of ``fit.model_matrix(...)``. ``predict_...`` takes `prediction_frame` of new rows (without
        strata that is ``fit.model_matrix``); ``check_assumptions``, ``compute_residuals`` and ``score`` take
        `training_frame`.

    Raises
    ------
    InputError
        If lifelines cannot hold the model (what, and the way out), or the rows are needed and not there.

    Notes
    -----
    The same as ours: coefficients, standard errors (robust ones with a cluster or sampling weights; as in lifelines,
    ``variance_matrix_`` stays that of the model), log-likelihoods, baseline and survival, concordance. Curves begin at
    day 0, and where all durations are whole days they are right on every whole day; lifelines draws straight lines
    between the days that it holds, and goes on beyond the last day of follow-up with what it has.

    lifelines' own: residuals (martingale, deviance, score and delta_beta are those of ours only without ties; none with
    late entry), its approximate test of proportional hazards (`churnsurv.ph_test` is exact), ``AIC_partial_``, which
    counts a penalised coefficient as a whole one, and ``predict_expectation``, by trapezoids. A ridge penalty becomes
    the `penalizer` with which lifelines would find the same coefficients; as there, ``log_likelihood_`` is then the
    penalised one.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5], "churned": [1, 1, 1, 0], "g": ["b", "a", "a", "b"]})
    >>> fit = cox("g", data)
    >>> cph = to_lifelines(fit)
    >>> cph
    <lifelines.CoxPHFitter: fitted with 4 total observations, 1 right-censored observations>
    >>> cph.predict_survival_function(fit.model_matrix(data.head(2)), times=[0, 2, 4]).round(3)
             0      1
    0.0  1.000  1.000
    2.0  0.826  0.734
    4.0  0.445  0.270
    """
    from lifelines import CoxPHFitter
    from lifelines.fitters.coxph_fitter import SemiParametricPHFitter
    from lifelines.utils import CensoringType

    rows = _rows(fit, data)
    names = _names(fit)
    made = {
        "penalizer": _penalizer(fit, rows),
        "strata": names.stratum,
        "l1_ratio": 0.0,
        "alpha": 1 - fit.level,
    }
    fitter, model = CoxPHFitter(**made), SemiParametricPHFitter(**made)
    for one in (fitter, model):
        CensoringType.set_censoring_type(one, CensoringType.RIGHT)
    _hold_rows(model, fit, rows, names)
    _hold_estimates(model, fit, rows)
    _hold_baseline(model, fit, rows)
    fitter._model = model
    return fitter


def training_frame(fit: CoxFit, *, data: Any = None) -> pd.DataFrame:
    """Return the rows that a model was fitted to as the table that lifelines takes.

    Parameters
    ----------
    fit : CoxFit
    data : Spells, or any table, optional
        The table that the model was fitted to, where the fit does not hold its rows.

    Returns
    -------
    DataFrame
        One row per row at risk, the index its position in the data: a column per term, then duration, event and, where
        the fit has them, entry, weights, cluster and stratum, under the names that ``cph.duration_col`` and the others
        say. Rows whose duration equals their entry are left out: nobody is at risk in them, and lifelines refuses them.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5], "churned": [1, 1, 1, 0], "g": ["b", "a", "a", "b"]})
    >>> training_frame(cox("g", data)).head(2)
       g: b  duration  churned
    0   1.0       2.0     True
    1   0.0       3.0     True
    """
    import pandas as pd

    rows = _rows(fit, data)
    kept = _at_risk(rows)
    columns = {row.term: column[kept] for row, column in zip(fit._rows, _columns(rows), strict=True)}
    return pd.DataFrame(columns, index=np.flatnonzero(kept)).join(_outcome(rows, _names(fit)))


def prediction_frame(fit: CoxFit, newdata: Any) -> pd.DataFrame:
    """Return new rows as the table that the predictions of lifelines take: the terms, and the stratum where there are.

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        With the columns of the formula and the strata.

    Raises
    ------
    SchemaError, InputError
        If a column is missing, or a row has a category, a stratum or a value that the fit cannot place.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({"duration": [2, 3, 4, 5] * 2, "churned": 1, "g": ["b", "a", "a", "b"] * 2,
    ...     "month": ["may"] * 4 + ["june"] * 4})
    >>> prediction_frame(cox("g", data, strata="month"), data.tail(1))
       g: b month
    0   1.0  june
    """
    name = _names(fit).stratum
    frame = model_matrix(fit, newdata)
    if name is not None:
        labels = np.array(fit._strata_labels, dtype=object)
        frame[name] = labels[new_data(fit, newdata, with_offset=False).stratum]
    return frame


@dataclass(frozen=True, slots=True)
class _Names:
    """Columns of a table for lifelines, beside the terms."""

    duration: str
    event: str
    entry: str | None
    weights: str | None
    cluster: str | None
    stratum: str | None


def _names(fit: CoxFit) -> _Names:
    """The names of the user's table, changed where a term or another column has it already."""
    taken = {row.term for row in fit._rows}

    def free(role: str, name: str | None) -> str | None:
        while name in taken:
            name = f"{role}: {name}"
        taken.update(() if name is None else (name,))
        return name

    columns = fit._columns
    return _Names(
        duration=free("duration", columns["duration"]) or "",
        event=free("event", columns["event"]) or "",
        entry=free("entry", columns["entry"]),
        weights=free("weights", fit.weights),
        cluster=free("cluster", fit.cluster),
        stratum=free("stratum", " | ".join(fit.strata) or None),
    )


def _rows(fit: CoxFit, data: Any) -> Training:
    """The rows of the fit, once it is known that lifelines can hold the model."""
    reason = _no_words_for(fit)
    if reason is None:
        rows = training_of(fit, data, "lifelines' methods", by_row=True)
        if fit.ties != "breslow" or rows.data.sets.n_events.max() == 1:
            return rows
        reason = "lifelines knows Efron's ties only, and this fit has Breslow's. Fit with ties='efron'."
    raise InputError(f"to_lifelines: {reason}")


def _no_words_for(fit: CoxFit) -> str | None:
    if fit.ties == "grouped":
        return (
            "lifelines has no model of grouped days. Fit with ties='efron', or predict with the fit itself: "
            ".survival(), .churn_probability()."
        )
    if fit.offset is not None:
        return (
            "lifelines has no offset. Make the column a covariate, or predict with the fit itself: .survival(), "
            ".churn_probability()."
        )
    if fit.penalty == "firth" or (fit.penalty and fit.l1_ratio > 0):
        what = "Firth's penalty" if fit.penalty == "firth" else "exact lasso: its own only comes near to zero"
        return f"lifelines has no {what}. Fit without it, or with a ridge penalty (l1_ratio=0)."
    if fit.weights_kind == "frequency":
        return (
            "lifelines shares a day's ties among rows, where frequencies share them among users, so that its residuals "
            "and likelihood would be of another model. Fit the rows repeated: "
            f"data.loc[data.index.repeat(data[{fit.weights!r}])], without weights."
        )
    if any(row.term == "Intercept" for row in fit._rows):
        return "lifelines drops a column named 'Intercept'. Rename it."
    return None


def _at_risk(rows: Training) -> NDArray[np.bool_]:
    if rows.entry is None:
        return np.ones(rows.duration.shape[0], dtype=np.bool_)
    return np.asarray(rows.duration > rows.entry)


def _columns(rows: Training) -> Iterator[Floats]:
    """The columns of the model in the order of the formula, in the units of the covariates; one at a time."""
    design = rows.data.design
    n_dense = design.dense.shape[1]
    owner = [(part, k + 1) for part in design.indicators for k in range(part.n_columns)]
    for j in rows.order.tolist():
        if j < n_dense:
            yield design.dense[:, j] * design.scale[j] + design.centre[j]
            continue
        part, code = owner[j - n_dense]
        yield part.weigh((part.codes == code).astype(np.float64)) * part.scale


def _outcome(rows: Training, names: _Names) -> pd.DataFrame:
    """Return what is no covariate, of the rows at risk; the index is their position in the data."""
    import pandas as pd

    columns: dict[str, Any] = {names.duration: rows.duration.astype(np.float64), names.event: rows.data.sets.event}
    if names.entry is not None and rows.entry is not None:
        columns[names.entry] = rows.entry.astype(np.float64)
    if names.weights is not None:
        columns[names.weights] = rows.data.weights
    if names.cluster is not None:
        columns[names.cluster] = rows.cluster
    if names.stratum is not None:
        columns[names.stratum] = _strata_index(rows, slice(None), names.stratum)
    return pd.DataFrame(columns)[_at_risk(rows)]


def _hold_rows(model: Any, fit: CoxFit, rows: Training, names: _Names) -> None:
    """Fill in the rows in lifelines' order: by stratum, duration and event."""
    import pandas as pd
    from lifelines.utils import CovariateParameterMappings

    keys = [name for name in (names.stratum, names.duration, names.event) if name is not None]
    table = _outcome(rows, names).sort_values(keys)
    own = table.index if names.stratum is None else pd.Index(table[names.stratum])
    model.duration_col, model.event_col, model.entry_col = names.duration, names.event, names.entry
    model.weights_col, model.cluster_col, model.robust = names.weights, names.cluster, fit._robust
    model.formula = model._batch_mode = model.model = None
    model._n_examples = len(table)
    model._time_fit_was_called = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    model.durations, model.event_observed = table[names.duration], table[names.event]
    model.weights = pd.Series(1.0, table.index, name="weights") if names.weights is None else table[names.weights]
    model.entries = None if names.entry is None else table[names.entry].set_axis(own)
    model._clusters = None if names.cluster is None else table[names.cluster].to_numpy()
    terms = [row.term for row in fit._rows]
    model.regressors = CovariateParameterMappings(
        {"beta_": terms}, pd.DataFrame(columns=terms), force_no_intercept=True
    )
    model._central_values = _medians(fit, rows, names)


def _hold_estimates(model: Any, fit: CoxFit, rows: Training) -> None:
    import pandas as pd

    covariates = pd.Index([row.term for row in fit._rows], name="covariate")
    kept = _at_risk(rows)
    mean = np.array([column[kept].mean() for column in _columns(rows)])
    model._norm_mean = pd.Series(mean, covariates)
    # nothing was normalised; residuals of lifelines multiply its coefficients by this, but not the columns
    model._norm_std = pd.Series(1.0, covariates)
    model.params_ = pd.Series(fit._estimates.copy(), covariates, name="coef")
    model.variance_matrix_ = pd.DataFrame(fit._model_covariance.copy(), covariates, covariates)
    model.standard_errors_ = pd.Series(np.sqrt(np.diagonal(fit.covariance)), covariates, name="se")
    model.confidence_intervals_ = model._compute_confidence_intervals()
    model.log_likelihood_ = np.float64(fit.log_likelihood - _penalty_term(fit, rows))
    model._ll_null_ = np.float64(fit.log_likelihood_null)
    design = rows.data.design
    log_risk = design.times(rows.coefficients) + (design.centre[rows.order] - mean) @ fit._estimates
    sorted_rows = model.durations.index
    model._predicted_partial_hazards_ = pd.DataFrame(
        {"P": np.exp(log_risk[sorted_rows]), "T": model.durations, "E": model.event_observed, "W": model.weights}
    )
    if model.strata is not None:
        model._predicted_partial_hazards_.index = _strata_index(rows, sorted_rows, model.strata)
    # lifelines would compare rows that were never at risk together; where no two were, it says so itself
    with contextlib.suppress(InputError):
        model._concordance_index_ = concordance(rows.data.sets, log_risk).estimate


def _hold_baseline(model: Any, fit: CoxFit, rows: Training) -> None:
    """Fill in the hazard at the mean covariates, where lifelines has its baseline."""
    import pandas as pd

    moments = fit._moments
    at_mean = (model._norm_mean.to_numpy() - moments.centre[rows.order]) @ fit._estimates - moments.shift
    days = _days(rows)
    columns: dict[str, Floats] = {}
    for label, first, after in zip(rows.strata, moments.strata[:-1], moments.strata[1:], strict=True):
        steps = np.append(0.0, np.exp(at_mean) * moments.hazard[first:after])
        columns[label] = steps[np.searchsorted(moments.time[first:after], days, side="right")]
    cumulative = pd.DataFrame(columns, pd.Index(days))
    if model.strata is None:
        cumulative.columns = pd.Index(["baseline cumulative hazard"])
    else:
        cumulative = cumulative.sort_index(axis="columns")
    model.baseline_cumulative_hazard_ = cumulative
    hazard = cumulative.diff()
    hazard.iloc[0] = cumulative.iloc[0]
    model.baseline_hazard_ = hazard.rename(columns={"baseline cumulative hazard": "baseline hazard"})
    model.baseline_survival_ = model._compute_baseline_survival()
    model.timeline = cumulative.index


def _days(rows: Training) -> Floats:
    """All durations, and day 0; where they are whole days, also the day before each churn.

    lifelines draws straight lines between these: without day 0 nobody would be left before the first churn, and without
    the day before, each drop would spread over the days since the last duration.
    """
    kept = _at_risk(rows)
    duration = rows.duration[kept].astype(np.float64)
    days = [np.zeros(1), duration]
    if not (duration % 1).any():
        days.append(np.maximum(duration[rows.data.sets.event[kept]] - 1, 0.0))
    return np.unique(np.concatenate(days))


def _strata_index(rows: Training, which: Any, name: str) -> pd.Index[Any]:
    """Labels of the strata of some rows, as an index of that name."""
    import pandas as pd

    codes = np.zeros(rows.duration.shape[0], dtype=np.intp) if rows.stratum is None else rows.stratum
    labels: pd.Index[Any] = pd.Index(np.array(rows.strata, dtype=object)[codes[which]], name=name)
    return labels


def _medians(fit: CoxFit, rows: Training, names: _Names) -> pd.DataFrame:
    """The row that lifelines varies in ``plot_partial_effects_on_outcome``: medians, by stratum."""
    import pandas as pd

    kept = np.flatnonzero(_at_risk(rows))
    strata = None if names.stratum is None else _strata_index(rows, kept, names.stratum)
    columns: dict[str, Any] = {}
    for row, column in zip(fit._rows, _columns(rows), strict=True):
        values = pd.Series(column[kept])
        columns[row.term] = [values.median()] if strata is None else values.groupby(strata.to_numpy()).median()
    if strata is None:
        return pd.DataFrame(columns, index=["baseline"])
    return pd.DataFrame(columns).rename_axis(index=names.stratum)


def _own_ridge(fit: CoxFit, rows: Training) -> Floats:
    """What the penalty adds to the information for each coefficient: W * penalty * s_j^2."""
    free = set(fit.unpenalised)
    units = penalty_units(rows.data, _at_risk(rows))
    penalised = np.array([not {row.variable, row.term} & free for row in fit._rows])
    strength = float(fit.penalty)  # a number: Firth's penalty was refused
    return np.asarray(units.total * strength * units.deviation[rows.order] ** 2 * penalised)


def _penalty_term(fit: CoxFit, rows: Training) -> float:
    return float(_own_ridge(fit, rows) @ fit._estimates**2) / 2 if fit.penalty else 0.0


def _penalizer(fit: CoxFit, rows: Training) -> float | Floats:
    """The strength with which lifelines would find the same: it takes columns over their deviation, and n times all."""
    if not fit.penalty:
        return 0.0
    kept = _at_risk(rows)
    deviation = np.array([column[kept].std(ddof=1) for column in _columns(rows)])
    strength = _own_ridge(fit, rows) / (np.count_nonzero(kept) * deviation**2)
    return float(strength[0]) if np.allclose(strength, strength[0], rtol=1e-12, atol=0) else strength
