"""Residuals of a Cox model as tables: the door to `churnsurv.numerics.residuals`, and to those of grouped days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.residuals import (
    deviance_residuals,
    martingale_residuals,
    schoenfeld_residuals,
    score_residuals,
)
from churnsurv.survival.training import USER_ID, Training, training_of

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["ResidualKind", "residuals"]

Floats: TypeAlias = NDArray[np.float64]
ResidualKind: TypeAlias = Literal["martingale", "deviance", "score", "schoenfeld", "scaled_schoenfeld", "dfbeta"]


def residuals(fit: CoxFit, kind: ResidualKind = "martingale", *, data: Any = None) -> pd.DataFrame:
    """Return residuals of a Cox model; see `CoxFit.residuals`."""
    kinds = get_args(ResidualKind)
    if kind not in kinds:
        raise InputError(
            f"kind must be one of {', '.join(map(repr, kinds))}, not {kind!r}.{did_you_mean(str(kind), kinds)}"
        )
    if fit.ties == "grouped" and kind in ("schoenfeld", "scaled_schoenfeld"):
        raise InputError(
            f"kind={kind!r} compares a churn with its risk set in a partial likelihood, and a fit of grouped days "
            "(ties='grouped') has none. Take kind='score' or 'dfbeta', or fit the same formula with ties='efron'."
        )
    training = training_of(fit, data, "residuals", by_row=True)
    if kind in ("schoenfeld", "scaled_schoenfeld"):
        return _by_event(fit, training, scaled=kind == "scaled_schoenfeld")
    found = _of_grouped_days(training, kind) if fit.ties == "grouped" else _of_partial_likelihood(training, kind)
    if kind in ("martingale", "deviance"):
        return _by_row(training, {"residual": found})
    return _by_row(training, _columns(fit, _score(fit, training, found, change=kind == "dfbeta"), ("row", USER_ID)))


def _of_partial_likelihood(training: Training, kind: ResidualKind) -> Floats:
    if kind == "martingale":
        return martingale_residuals(training.data, training.state())
    if kind == "deviance":
        return deviance_residuals(training.data, training.state())
    return score_residuals(training.data, training.state()).all()


def _of_grouped_days(training: Training, kind: ResidualKind) -> Floats:
    from churnsurv.numerics.grouped import grouped_state
    from churnsurv.numerics.grouped_residuals import grouped_deviance, grouped_martingale, grouped_score_residuals

    state = grouped_state(training.data, training.coefficients)
    if kind == "martingale":
        return grouped_martingale(training.data, state)
    if kind == "deviance":
        return grouped_deviance(training.data, state)
    return grouped_score_residuals(training.data, state)


def _score(fit: CoxFit, training: Training, found: Floats, *, change: bool) -> Floats:
    """Score residuals in the units of the covariates and the order of the table, or the change of the estimates."""
    found *= training.data.design.scale
    found = found[:, training.order]
    if not change:
        return found
    moved: Floats = found @ fit._model_covariance
    return moved if training.data.sampling is None else moved * training.data.sampling[:, None]


def _by_event(fit: CoxFit, training: Training, *, scaled: bool) -> pd.DataFrame:
    sets = training.data.sets
    rows, found = schoenfeld_residuals(training.data, training.state())
    found *= training.data.design.scale
    found = found[:, training.order]
    if scaled:
        found = found @ fit._model_covariance * fit.n_events + fit._estimates
    slot = sets.place[rows] // 2
    when = {"stratum": np.array(training.strata, dtype=object)[sets.stratum[slot]], "time": sets.time[slot]}
    return _table(training, _columns(fit, found, ("row", USER_ID, *when)), rows=rows, when=when)


def _columns(fit: CoxFit, values: Floats, taken: tuple[str, ...]) -> dict[str, Floats]:
    """One column per term; a term that has the name of another column is written out."""
    return {f"residual: {row.term}" if row.term in taken else row.term: values[:, j] for j, row in enumerate(fit._rows)}


def _by_row(training: Training, columns: Mapping[str, Floats]) -> pd.DataFrame:
    return _table(training, columns, rows=np.arange(training.data.design.n_rows), when={})


def _table(
    training: Training, columns: Mapping[str, Floats], *, rows: NDArray[np.intp], when: Mapping[str, NDArray[Any]]
) -> pd.DataFrame:
    import pandas as pd

    users = {} if training.user_id is None else {USER_ID: training.user_id.array[rows]}
    return pd.DataFrame({"row": rows, **when, **users, **columns})
