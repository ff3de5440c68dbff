"""The rows that a model was fitted to, for the questions that need them: held by the fit, or found again in a table.

A fit holds its own read-only arrays, made when it was fitted: what happens to the user's table afterwards changes no
answer. They never go into JSON; a fit that came from there is given the same table again, and checks that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.cox import CoxData, CoxState, state_at
from churnsurv.numerics.design import Design
from churnsurv.numerics.risk_sets import RiskSets, risk_sets
from churnsurv.survival.causes import of_cause
from churnsurv.survival.covariates import ModelMatrix, model_matrix
from churnsurv.survival.inputs import SurvivalData, survival_data

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["USER_ID", "Training", "cox_data", "rows_at_risk", "training", "training_of"]

Floats: TypeAlias = NDArray[np.float64]

USER_ID = "user_id"
# The log-likelihood of the same rows is the same but for the order of its sums.
_SAME = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """The rows that a model was fitted to; nothing of it is a view of the user's table.

    Attributes
    ----------
    data : CoxData
        Design, risk sets, weights and offset, one row per row of the table, in its order.
    coefficients : (p,) float64
        The estimates on the scale of the design, in the order of its columns.
    order : (p,) integer
        Where each row of the table of the fit stands in the design.
    strata : tuple of str
        Labels of the strata.
    stratum : (n,) integer, or None
        Position of each row's stratum among them; None where there is one.
    cluster : (n,) integer, or None
    duration : (n,) integer or float64
    entry : (n,) integer or float64, or None
    user_id : Series, or None
    counted : bool
        Whether rows stand for equal ones of an engine's table, which have no position.
    """

    data: CoxData
    coefficients: Floats
    order: NDArray[np.intp]
    strata: tuple[str, ...]
    stratum: NDArray[np.integer[Any]] | None
    cluster: NDArray[np.integer[Any]] | None
    duration: NDArray[Any]
    entry: NDArray[Any] | None
    user_id: pd.Series[Any] | None
    counted: bool = False

    def __post_init__(self) -> None:
        for array in _own_arrays(self):
            array.setflags(write=False)

    def state(self) -> CoxState:
        """Return the likelihood at the estimates, row by row: one pass over the rows."""
        return state_at(self.data, self.coefficients)


def _own_arrays(training: Training) -> Iterator[NDArray[Any]]:
    data = training.data
    yield from (training.coefficients, training.duration, data.design.dense, data.sets.place, data.sets.event)
    optional = (training.entry, training.stratum, data.sets.start, data.weights, data.offset)
    yield from (array for array in optional if array is not None)


def rows_at_risk(found: SurvivalData) -> RiskSets:
    """Return the risk sets of checked rows.

    Examples
    --------
    >>> import pandas as pd
    >>> found = survival_data(pd.DataFrame({"duration": [30, 45], "churned": [True, False]}))
    >>> rows_at_risk(found).n_at_risk.tolist()
    [2]
    """
    return risk_sets(
        found.duration,
        found.churned.copy(),  # the risk sets keep it, and it is a column of the user's table
        entry=found.entry,
        stratum=found.strata_codes,
        n_strata=len(found.strata_labels),
        frequency=None if found.frequency is None else found.frequency.astype(np.int64),
    )


def cox_data(found: SurvivalData, design: Design, sets: RiskSets, ties: str) -> CoxData:
    """Put together what the likelihood is a function of; a grouped one has no treatment of ties."""
    return CoxData(
        design,
        sets,
        "breslow" if ties == "breslow" else "efron",
        frequency=found.frequency,
        offset=found.offset,
        sampling=found.sampling,
    )


def training(found: SurvivalData, rows: CoxData, matrix: ModelMatrix, coefficients: Floats) -> Training:
    """Keep the rows of a fit; `coefficients` are on the scale of the design, in the order of its columns."""
    return Training(
        data=rows,
        coefficients=coefficients,
        order=matrix.order,
        strata=found.strata_labels,
        stratum=None if found.strata_codes is None else found.strata_codes.copy(),
        cluster=found.cluster_codes,
        duration=_small_copy(found.duration),
        entry=None if found.entry is None else _small_copy(found.entry),
        user_id=user_ids(found.frame),
        counted=found.rows is not None,
    )


def _small_copy(days: NDArray[Any]) -> NDArray[Any]:
    """Copy days, whole ones in half the room."""
    fits = days.dtype.kind in "iu" and (days.size == 0 or int(days.max()) < 2**31)
    return days.astype(np.int32) if fits else days.copy()


def user_ids(frame: pd.DataFrame) -> pd.Series[Any] | None:
    """Return the users of the rows as a copy, where the table names them."""
    if list(frame.columns).count(USER_ID) != 1:
        return None
    users: pd.Series[Any] = frame[USER_ID].reset_index(drop=True).copy()
    return users


def training_of(fit: CoxFit, data: Any, question: str, *, by_row: bool = False) -> Training:
    """Return the rows that a model was fitted to: those it holds, or those of `data`.

    Parameters
    ----------
    fit : CoxFit
    data : Spells, any table, or None
        The table that the model was fitted to; None: the rows that the fit holds.
    question : str
        What the rows are needed for, for the error.
    by_row : bool
        Whether each row has an answer of its own.

    Raises
    ------
    InputError
        If the fit holds no rows and `data` is None, or `data` is not the table that the model was fitted to, or
        counts of an engine's rows do not answer a question by row.
    """
    found = _held(fit, question) if data is None else _found_again(fit, data, question)
    if by_row and found.counted:
        raise InputError(
            f"{question} need each row, and of an engine's table only counts were fetched. Pass the table itself, with "
            "all its rows: data=."
        )
    return found


def _held(fit: CoxFit, question: str) -> Training:
    if fit._training is None:
        raise InputError(
            f"{question} need the rows that the model was fitted to, and a fit read from a file does not hold them. "
            "Pass the same table: data=."
        )
    return fit._training


def _found_again(fit: CoxFit, data: Any, question: str) -> Training:
    named = fit._columns
    found = survival_data(
        data,
        strata=list(fit.strata),
        cluster=fit.cluster,
        duration=named["duration"] or "",
        event=named["event"] or "",
        entry=named["entry"],
        columns=(*fit._encoding.variables, *(() if fit.cause is None else (fit.cause,))),
        weights=fit.weights,
        weights_kind=fit.weights_kind,
        offset=fit.offset,
        optional=(USER_ID,),
    )
    if fit.cause is not None:
        found, _ = of_cause(found, fit.cause, fit.cause_of_interest)
    sets = rows_at_risk(found)
    matrix = model_matrix(fit._encoding, found.frame)
    coefficients = np.empty(matrix.design.n_columns)
    coefficients[matrix.order] = fit._estimates
    rows = training(found, cox_data(found, matrix.design, sets, fit.ties), matrix, coefficients * matrix.design.scale)
    _check_same(fit, rows, found, question)
    return rows


def _log_likelihood(fit: CoxFit, training: Training) -> float:
    if fit.ties == "grouped":
        from churnsurv.numerics.grouped import grouped_state

        return grouped_state(training.data, training.coefficients).log_likelihood
    return training.state().log_likelihood


def _check_same(fit: CoxFit, training: Training, found: SurvivalData, question: str) -> None:
    sets = training.data.sets
    counts = (found.n_users - sets.n_no_risk, int(sets.n_events.sum()))
    if counts == (fit.n, fit.n_events):
        value, own = _log_likelihood(fit, training), fit._row_log_likelihood
        if abs(value - own) <= _SAME * max(1.0, abs(own)):
            return
        difference = f"the log-likelihood of its rows is {value:.8g}, not {own:.8g}"
    else:
        difference = f"it has {counts[0]:,} rows at risk and {counts[1]:,} churns, not {fit.n:,} and {fit.n_events:,}"
    raise InputError(
        f"{question} need the rows that the model was fitted to, and data holds others: {difference}. Pass the table "
        "of the fit, with all its rows."
    )
