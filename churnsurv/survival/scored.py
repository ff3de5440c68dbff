"""Rows with predictions: what all questions of how good a prediction is take, checked once and named when wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri

from churnsurv.errors import InputError, SchemaError
from churnsurv.numerics.censoring import Drawn, Followed, followed
from churnsurv.survival.frames import first_of, numeric_column
from churnsurv.survival.inputs import SurvivalData, survival_data
from churnsurv.survival.prediction import Prediction, SurvivalMatrix

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    *("check_days", "check_horizon", "drawn_of", "logit_limits", "named_scores", "number_column", "probabilities"),
    *("facts_of", "reach", "scored_data", "scored_rows", "survival_by_day"),
]

Floats: TypeAlias = NDArray[np.float64]


def scored_data(data: Any, **keywords: Any) -> SurvivalData:
    """Return checked rows, as `survival_data` does; a cluster column with one value is refused."""
    found = survival_data(data, **keywords)
    if found.cluster_name is not None and found.n_clusters < 2:
        raise InputError(
            f"cluster {found.cluster_name!r} has one value only: a clustered standard error needs two or more. Name "
            "another column, or write cluster=None."
        )
    return found


def drawn_of(found: SurvivalData) -> Drawn:
    """Return how the rows came into the data."""
    return Drawn(found.weights, found.weights_kind == "frequency", found.cluster_codes, found.n_clusters)


def scored_rows(found: SurvivalData) -> Followed:
    """Return the rows with their probabilities of being seen."""
    return followed(found.duration, found.churned, entry=found.entry, drawn=drawn_of(found))


def reach(level: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return float(ndtri((1 + level) / 2))


def logit_limits(estimate: float, std_error: float, level: float) -> tuple[float, float]:
    """Return limits symmetric for log(p / (1 - p)), whose standard error is that of p over p (1 - p).

    Examples
    --------
    >>> lower, upper = logit_limits(0.5, 0.05, 0.95)
    >>> round(lower, 4), round(upper, 4)
    (0.4032, 0.5968)
    """
    if not 0 < estimate < 1:
        return float("nan"), float("nan")
    half = reach(level) * std_error / (estimate * (1 - estimate))
    centre = logit(estimate)
    return float(expit(centre - half)), float(expit(centre + half))


def check_horizon(horizon: Any) -> float:
    """Return a horizon in days, or raise.

    Examples
    --------
    >>> check_horizon(90)
    90.0
    """
    number = np.asarray(horizon)
    if number.ndim or number.dtype.kind not in "iuf" or not (np.isfinite(number) and number >= 0):
        raise InputError(f"horizon must be a finite number of days >= 0; got {horizon!r}.")
    return float(number)


def check_days(times: ArrayLike) -> NDArray[Any]:
    """Return ascending days, or raise.

    Examples
    --------
    >>> check_days([30, 60]).tolist()
    [30, 60]
    """
    days = np.atleast_1d(np.array(times))
    if days.ndim != 1 or days.dtype.kind not in "iuf" or not (np.isfinite(days) & (days >= 0)).all():
        raise InputError(f"times must be finite numbers of days >= 0; got {times!r}.")
    if days.size == 0 or (np.diff(days) <= 0).any():
        raise InputError(f"times must be one day or more, in ascending order and none twice; got {times!r}.")
    return days


def named_scores(score: str | ArrayLike, found: SurvivalData, name: str = "score") -> tuple[str, NDArray[Any]]:
    """Return the name and the values of a score: a column, or one number for each row."""
    if isinstance(score, str):
        name = score
    values = number_column(score, found, name, "a score")
    # a maximum that is a number shows that all are, at the cost of one pass and no copy
    if values.dtype.kind == "f" and np.isnan(values.max()):
        bad = np.isnan(values)
        raise InputError(
            f"score {name!r} must not be missing; {first_of(bad, values, found.rows)}. Leave out rows without a score, "
            "and count them, or give them the score that they would be treated by."
        )
    return name, values


def probabilities(
    values: str | ArrayLike, found: SurvivalData, *, name: str = "probability", horizon: float | None = None
) -> Floats:
    """Return one probability for each row: a column, an array, or what `CoxFit.churn_probability` gave back."""
    if isinstance(values, Prediction):
        _refuse_other_question(values, name, horizon)
    numbers = number_column(values, found, name, "probabilities").astype(np.float64)
    bad = ~((numbers >= 0) & (numbers <= 1))
    if bad.any():
        raise InputError(
            f"{name!r} must hold probabilities between 0 and 1; {first_of(bad, numbers, found.rows)}. Leave out rows "
            "without a prediction, and count them; a risk score is no probability."
        )
    return numbers


def _refuse_other_question(prediction: Prediction, name: str, horizon: float | None) -> None:
    if prediction.quantity != "churn_probability":
        raise InputError(
            f"{name!r} must hold probabilities of churn, not {prediction.quantity.replace('_', ' ')}: take "
            "fit.churn_probability(data, horizon=...)."
        )
    asked = prediction.settings.get("horizon")
    if horizon is not None and asked is not None and asked != horizon:
        raise InputError(
            f"{name!r} predicts churn within {asked:g} days, and the horizon is {horizon:g}. Predict for the same days."
        )


def number_column(values: str | ArrayLike, found: SurvivalData, name: str, what: str) -> NDArray[Any]:
    """Return numbers by row from a column of the data or from an array that belongs to it."""
    import pandas as pd

    frame = found.frame if isinstance(values, str) else pd.DataFrame({name: _series(values, found, name)})
    column = values if isinstance(values, str) else name
    numbers = numeric_column(frame, column, f"numbers to serve as {what}")
    if numbers.dtype.kind not in "biuf":
        raise SchemaError(f"{name!r} must hold numbers to serve as {what}; it holds {numbers.dtype}. Convert it first.")
    return numbers


def _series(values: Any, found: SurvivalData, name: str) -> pd.Series[Any]:
    """Numbers that are no column, checked to belong to the rows."""
    import pandas as pd

    _refuse_counted(found, name)
    if isinstance(values, pd.Series):
        if not values.index.equals(found.frame.index) and len(values) == found.n:
            raise InputError(
                f"{name} has another index than data, so that it is not clear which {name} belongs to which row. If "
                f"both stand in the same order, pass {name}.to_numpy()."
            )
        series = values.reset_index(drop=True)
    else:
        array = np.asarray(values)
        if array.ndim != 1:
            raise InputError(
                f"{name} must be the name of a column or hold one number per row; it has the shape {array.shape}."
            )
        series = pd.Series(array)
    if len(series) != found.n:
        raise InputError(
            f"{name} has {len(series):,} values, but data has {found.n:,} rows. Make it from the same table."
        )
    return series


def _refuse_counted(found: SurvivalData, name: str) -> None:
    """Rows of an engine's table have no order in which numbers could belong to them."""
    if found.rows is not None:
        raise InputError(
            f"{name} must be the name of a column where data is a table inside an engine: its rows have no order. Add "
            "it to the table as a column, or fetch the table first."
        )


def survival_by_day(
    survival: SurvivalMatrix | ArrayLike, times: ArrayLike | None, found: SurvivalData
) -> tuple[NDArray[Any], Callable[[int], Floats]]:
    """Return the days, and the predicted survival of all rows on the j-th of them."""
    _refuse_counted(found, "survival")
    if isinstance(survival, SurvivalMatrix):
        values, own = survival.values, survival.times  # noqa: PD011 - no pandas object
        days = check_days(own if times is None else times)
        if not np.isin(days, own).all():
            missing = days[~np.isin(days, own)]
            raise InputError(
                f"survival was not predicted for day {missing[0]:g}: it has the days {_listed(own)}. Predict for these "
                "days: fit.survival(data, times)."
            )
        places = np.array([int(np.flatnonzero(own == day)[0]) for day in days])
    else:
        if times is None:
            raise InputError("times must say for which days survival was predicted, one for each column.")
        days, values = check_days(times), np.asarray(survival)
        if values.ndim == 1 and days.size == 1:
            values = values[:, None]
        places = np.arange(days.size)
    _check_matrix(values, days, found, places)
    return days, lambda j: np.asarray(values[:, places[j]], dtype=np.float64)


def _check_matrix(values: NDArray[Any], days: NDArray[Any], found: SurvivalData, places: NDArray[np.intp]) -> None:
    if (
        values.ndim != 2
        or values.dtype.kind not in "iuf"
        or values.shape[0] != found.n
        or values.shape[1] <= places[-1]
    ):
        raise InputError(
            f"survival must hold numbers, one row for each of the {found.n:,} rows of data and one column for each of "
            f"{days.size} days; it has the shape {values.shape} and the type {values.dtype}."
        )
    for j in places:
        column = values[:, j]
        if not (column.min() >= 0 and column.max() <= 1):
            bad = ~((column >= 0) & (column <= 1))
            raise InputError(
                f"survival must hold probabilities between 0 and 1; column {j} has {first_of(bad, column)}. Leave out "
                "rows without a prediction, and count them."
            )


def _listed(days: Sequence[Any] | NDArray[Any]) -> str:
    return ", ".join(f"{day:g}" for day in days[:8]) + (", ..." if len(days) > 8 else "")


def facts_of(found: SurvivalData) -> Mapping[str, Any]:
    """Return what every result of this kind says about its rows."""
    return {
        "n": found.n_users,
        "n_clusters": found.n_clusters if found.cluster_name else None,
        "cluster": found.cluster_name,
        "weights_kind": found.named_weights_kind,
        **found.source,
    }
