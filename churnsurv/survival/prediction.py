"""Questions to a Cox fit about new rows: survival, risk, churn within a horizon, expected days until churn.

Each takes a fit and a table, works through the table in parts, and returns a result that remembers `user_id`. The fit
needs none of its own rows for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import FollowUpError, InputError
from churnsurv.numerics import prediction as numerics
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.kaplan_meier import CI_TYPES, CiType
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.survival.newdata import Fitted, NewData, design_order, encoded_parts, new_data
from churnsurv.tables import Result
from churnsurv.tables.html import SHOWN, as_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Prediction", "SurvivalMatrix", "churn_probability", "expected_days", "risk", "survival"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_NAMED = 12  # strata that an error names before it says "and n more"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurvivalMatrix(Result):
    """Predicted survival of rows on chosen days; made by `survival`.

    Attributes
    ----------
    values, lower, upper : (n_rows, n_times) float64, read-only
        P(T > time) and its pointwise limits.
    times : (n_times,), read-only
        Days.
    level : float
        Of the limits.
    ci : {"log-log", "log", "plain"}
        The scale on which they are symmetric.
    """

    _schema: ClassVar[str] = "predicted_survival"

    values: Floats
    lower: Floats
    upper: Floats
    times: NDArray[Any]
    level: float
    ci: CiType
    _ids: pd.Series[Any] | None

    @property
    def table(self) -> pd.DataFrame:
        """One row per row of the new data and day; made on request."""
        return self._of(slice(None))

    def _of(self, rows: slice) -> pd.DataFrame:
        import pandas as pd

        name, ids = _who(self._ids, self.values.shape[0], rows)
        return pd.DataFrame(
            {
                name: ids.repeat(self.times.size).reset_index(drop=True),
                "time": np.tile(self.times, len(ids)),
                "survival": self.values[rows].ravel(),
                "lower": self.lower[rows].ravel(),
                "upper": self.upper[rows].ravel(),
            }
        )

    def _headline(self) -> str:
        n = self.values.shape[0]
        days = ", ".join(f"{day:g}" for day in self.times[:6]) + (", ..." if self.times.size > 6 else "")
        return f"survival of {n:,} row{'s' if n != 1 else ''} on day{'s' if self.times.size != 1 else ''} {days}"

    def _facts(self) -> dict[str, Any]:
        return {"n": self.values.shape[0], "times": self.times, "level": self.level, "ci": self.ci}

    def _repr_html_(self) -> str:
        return as_html(self._headline(), self._of(slice(SHOWN)), rows=self.values.size)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction(Result):
    """One number for each row of the new data; made by `risk`, `churn_probability` and `expected_days`.

    Attributes
    ----------
    quantity : {"risk", "churn_probability", "expected_days"}
    values : (n_rows,) float64, read-only
    lower, upper : (n_rows,) float64, read-only, or None
        Limits; a risk has none.
    level : float
        Of the limits.
    settings : mapping
        What was asked for: horizon, alive_at, ci.
    """

    _schema: ClassVar[str] = "prediction"

    quantity: str
    values: Floats
    lower: Floats | None
    upper: Floats | None
    level: float
    settings: Mapping[str, Any]
    _ids: pd.Series[Any] | None = field(default=None)

    @property
    def table(self) -> pd.DataFrame:
        """One row per row of the new data."""
        return self._of(slice(None))

    def _of(self, rows: slice) -> pd.DataFrame:
        import pandas as pd

        name, ids = _who(self._ids, self.values.shape[0], rows)
        columns = {name: ids.reset_index(drop=True), "estimate": self.values[rows]}
        if self.lower is not None and self.upper is not None:
            columns |= {"lower": self.lower[rows], "upper": self.upper[rows]}
        return pd.DataFrame(columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the values, so that a result goes where an array goes: ``frame["risk"] = fit.risk(frame)``."""
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.values.shape[0])

    def __iter__(self) -> Iterator[float]:
        """Go through the values; without it pandas would put the whole result into each cell of a column."""
        return iter(self.values.tolist())

    def _headline(self) -> str:
        n = self.values.shape[0]
        said = "".join(f", {key} {value}" for key, value in self.settings.items() if key != "ci")
        return f"{self.quantity.replace('_', ' ')} of {n:,} row{'s' if n != 1 else ''}{said}"

    def _facts(self) -> dict[str, Any]:
        return {"quantity": self.quantity, "n": self.values.shape[0], "level": self.level, **self.settings}

    def _repr_html_(self) -> str:
        return as_html(self._headline(), self._of(slice(SHOWN)), rows=self.values.size)


def survival(
    fit: Fitted, newdata: Any, times: ArrayLike, *, ci: CiType = "log-log", level: float | None = None
) -> SurvivalMatrix:
    """Predict who is still there on given days: S(t | x) = exp(-H(t | x)), H the fit's cumulative hazard.

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        With the columns of the formula, the strata and the offset. `user_id` is kept where it is there.
    times : number or (n_times,)
        Days >= 0 since origin.
    ci : {"log-log", "log", "plain"}
        The scale on which the limits are symmetric. With log-log they are null where nobody has churned yet, but for
        day 0.
    level : float, optional
        Of the limits; else that of the fit.

    Returns
    -------
    SurvivalMatrix
        Limits hold the error of the baseline and of the coefficients: Tsiatis (1981) with Breslow's ties, and the same
        with Efron's sums, as ``survfit.coxph`` in R. With a cluster the coefficients have their robust covariance.

    Raises
    ------
    FollowUpError
        If nobody of a stratum was followed to a day.
    SchemaError, InputError
        If a column is missing, or a row has a category, a stratum or a value that the fit cannot place.
    """
    level, days = _level(fit, level), _times(times)
    _check_ci(ci)
    new = new_data(fit, newdata)
    _refuse_beyond(fit, new, days)
    root, coefficients = _root_and_coefficients(fit)
    wanted = numerics.places(fit._moments, np.arange(len(fit._strata_labels))[:, None], days[None, :])
    baseline = numerics.projected(fit._moments, root, wanted.ravel())
    values, lower, upper = (np.empty((new.n, days.size)) for _ in range(3))
    for part in encoded_parts(fit, new, per_row=1):
        rows = numerics.new_rows(part.design, coefficients, root, shift=fit._moments.shift, offset=part.offset)
        strata = _one_or_each(new.stratum[part.rows])
        for j in range(days.size):
            found = numerics.hazard_between(rows, baseline, strata * days.size + j)
            np.exp(-found.hazard, out=values[part.rows, j])
            lower[part.rows, j], upper[part.rows, j] = numerics.survival_limits(found, level=level, ci=ci)
    # on day 0 everybody is there, unless somebody churned on it
    at_origin = days == 0
    for limit in (lower, upper):
        limit[:, at_origin] = np.where(values[:, at_origin] == 1, 1.0, limit[:, at_origin])
    read_only(values, lower, upper, days)
    return SurvivalMatrix(values, lower, upper, days, level, ci, new.ids)


def risk(fit: Fitted, newdata: Any) -> Prediction:
    """Score rows by how soon they churn: the linear predictor x'b, plus the offset where the fit has one.

    It is 0 at covariates zero and categories at their reference, where `CoxFit.baseline` is the cumulative hazard, so
    that ``baseline * exp(risk)`` is the row's own. A higher score churns sooner. With strata, scores compare rows of
    the same stratum only: the baselines differ.

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        With the columns of the formula and the offset; strata are not needed.

    Raises
    ------
    SchemaError, InputError
        If a column is missing, or a row has a category or a value that the fit cannot place.
    """
    new = new_data(fit, newdata, stratified=False)
    _, coefficients = _in_design_order(fit)
    values = np.empty(new.n)
    for part in encoded_parts(fit, new, per_row=1):
        values[part.rows] = numerics.linear_predictor(part.design, coefficients, offset=part.offset)
    read_only(values)
    return Prediction("risk", values, None, None, fit.level, {}, new.ids)


def churn_probability(
    fit: Fitted,
    newdata: Any,
    *,
    horizon: float,
    alive_at: float | str | ArrayLike = 0,
    ci: CiType = "log-log",
    level: float | None = None,
) -> Prediction:
    """Predict P(churn within `horizon` days | not churned by day `alive_at`) = 1 - S(alive_at + horizon) / S(alive_at).

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        As in `survival`.
    horizon : number
        Days > 0.
    alive_at : number, (n_rows,), or the name of a column
        Days since origin, the same for all rows or each row's own: the tenure of the users to be scored.
    ci : {"log-log", "log", "plain"}
        The scale on which the limits of the ratio are symmetric. With log-log they are null where nobody churned in
        these days.
    level : float, optional
        Of the limits; else that of the fit.

    Raises
    ------
    FollowUpError
        If nobody of a row's stratum was followed to day alive_at + horizon.
    SchemaError, InputError
        As in `survival`.
    """
    level, horizon = _level(fit, level), _horizon(horizon)
    _check_ci(ci)
    named = (alive_at,) if isinstance(alive_at, str) else ()
    new = new_data(fit, newdata, columns=named)
    since_day = _alive_at(new, alive_at)
    until_day = since_day + horizon
    _refuse_rows_beyond(fit, new, since_day, horizon)
    moments = fit._moments
    root, coefficients = _root_and_coefficients(fit)
    since, until = (numerics.places(moments, new.stratum, days) for days in (since_day, until_day))
    chosen, (since, until) = _renumbered(moments.time.shape[0] + 1, since, until)
    baseline = numerics.projected(moments, root, chosen)
    values, lower, upper = (np.empty(new.n) for _ in range(3))
    for part in encoded_parts(fit, new, per_row=1):
        rows = numerics.new_rows(part.design, coefficients, root, shift=moments.shift, offset=part.offset)
        found = numerics.hazard_between(rows, baseline, until[part.rows], since[part.rows])
        values[part.rows] = -np.expm1(-found.hazard)
        low, high = numerics.survival_limits(found, level=level, ci=ci)
        lower[part.rows], upper[part.rows] = 1 - high, 1 - low
    read_only(values, lower, upper)
    said = alive_at if isinstance(alive_at, str | int | float) else "each row's own"
    settings = {"horizon": horizon, "alive_at": said, "ci": ci}
    return Prediction("churn_probability", values, lower, upper, level, settings, new.ids)


def expected_days(fit: Fitted, newdata: Any, *, horizon: float, level: float | None = None) -> Prediction:
    """Predict the days until formal churn that fall before the horizon: the area under S(t | x) from 0 to `horizon`.

    Also known as the restricted mean survival time. Formal churn comes `idle_days` after the last activity: a user who
    never comes back counts these days.

    Parameters
    ----------
    fit : CoxFit
    newdata : Spells, or any table
        As in `survival`.
    horizon : number
        Days > 0 since origin.
    level : float, optional
        Of the limits, which are symmetric and cut to [0, horizon]; else that of the fit.

    Raises
    ------
    FollowUpError
        If nobody of a stratum was followed to the horizon.
    SchemaError, InputError
        As in `survival`.
    """
    from scipy.special import ndtri

    level, horizon = _level(fit, level), _horizon(horizon)
    new = new_data(fit, newdata)
    _refuse_beyond(fit, new, np.array([horizon]))
    moments = fit._moments
    root, coefficients = _root_and_coefficients(fit)
    values, error = np.empty(new.n), np.empty(new.n)
    stratum_of = np.searchsorted(moments.strata, np.flatnonzero(moments.time <= horizon), side="right")
    most = int(np.bincount(stratum_of, minlength=1).max())
    for part in encoded_parts(fit, new, per_row=most):
        rows = numerics.new_rows(part.design, coefficients, root, shift=moments.shift, offset=part.offset)
        strata = new.stratum[part.rows]
        for stratum in np.unique(strata).tolist():
            mine = np.flatnonzero(strata == stratum)
            some = numerics.NewRows(rows.log_risk[mine], rows.loadings[mine])
            found = numerics.restricted_mean(some, moments, root, stratum=stratum, horizon=horizon)
            values[part.rows.start + mine], error[part.rows.start + mine] = found.days, found.std_error
    error *= float(ndtri(0.5 + level / 2))
    lower, upper = np.maximum(values - error, 0.0), np.minimum(values + error, horizon)
    read_only(values, lower, upper)
    return Prediction("expected_days", values, lower, upper, level, {"horizon": horizon}, new.ids)


def _in_design_order(fit: Fitted) -> tuple[Floats, Floats]:
    order = design_order(fit._encoding)
    return fit.covariance[np.ix_(order, order)], fit._estimates[order]


def _root_and_coefficients(fit: Fitted) -> tuple[Floats, Floats]:
    covariance, coefficients = _in_design_order(fit)
    return numerics.covariance_root(covariance, fit._moments.scale), coefficients


def _one_or_each(strata: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return one number where all rows are of one stratum: nothing need be gathered by row then."""
    first = strata[:1].astype(np.int64)
    return first[0] if bool((strata == first).all()) else strata.astype(np.int64)


def _renumbered(n_places: int, *places: Ints) -> tuple[Ints, list[Ints]]:
    """Return the places that occur, and where among them each one given is."""
    marked = np.zeros(n_places, dtype=np.bool_)
    for one in places:
        marked[one] = True
    position = np.cumsum(marked) - 1
    return np.flatnonzero(marked), [position[one] for one in places]


def _who(ids: pd.Series[Any] | None, n: int, rows: slice) -> tuple[str, pd.Series[Any]]:
    """Return the name and the values of the first column: `user_id`, else the row's position in the new data."""
    import pandas as pd

    return ("row", pd.Series(np.arange(n)[rows])) if ids is None else ("user_id", ids.iloc[rows])


def _level(fit: Fitted, level: float | None) -> float:
    return fit.level if level is None else check_level(level)


def _check_ci(ci: str) -> None:
    if ci not in CI_TYPES:
        # the numerics say what is wrong with it; asked before any work is done
        numerics.survival_limits(numerics.Hazard(np.ones(1), np.ones(1)), level=0.95, ci=ci)  # type: ignore[arg-type]


def _times(times: ArrayLike) -> NDArray[Any]:
    days = np.atleast_1d(np.array(times))
    if days.ndim != 1 or days.dtype.kind not in "iuf" or not (np.isfinite(days) & (days >= 0)).all():
        raise InputError(f"times must be finite numbers of days >= 0; got {times!r}.")
    return days


def _horizon(horizon: float) -> float:
    number = np.asarray(horizon)
    if number.ndim or number.dtype.kind not in "iuf" or not (np.isfinite(number) and number > 0):
        raise InputError(f"horizon must be a finite number of days > 0; got {horizon!r}.")
    return horizon


def _alive_at(new: NewData, alive_at: float | str | ArrayLike) -> NDArray[Any]:
    """Each row's day, or one day for all of them."""
    days = new.frame[alive_at].to_numpy() if isinstance(alive_at, str) else np.asarray(alive_at)
    what = f"alive_at={alive_at!r}" if isinstance(alive_at, str) else "alive_at"
    if days.dtype.kind not in "iuf":
        raise InputError(f"{what} must hold numbers of days, without missing values; it holds {days.dtype}.")
    if days.ndim and days.shape != (new.n,):
        raise InputError(f"{what} must be one number or one for each of the {new.n} rows; its shape is {days.shape}.")
    bad = np.atleast_1d(~(np.isfinite(days) & (days >= 0)))
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{what} must be a finite number of days >= 0; {counted(int(bad.sum()), 'other')}, first at row {row} "
            f"({np.atleast_1d(days)[row]})."
        )
    return days


def _refuse_beyond(fit: Fitted, new: NewData, days: NDArray[Any]) -> None:
    """Refuse days that nobody of a stratum of the new rows was followed to."""
    if days.size == 0:
        return
    last, present = fit._moments.last_day, np.unique(new.stratum)
    beyond = present[~(last[present] >= days.max())]
    if beyond.size == 0:
        return
    if not fit.strata:
        raise FollowUpError(
            f"nobody was followed to day {days.max():g}: the last day is {last[0]:g}. Ask for days up to it."
        )
    named = ", ".join(f"{fit._strata_labels[i]!r} {_day(last[i])}" for i in beyond[:_NAMED])
    more = f" and {beyond.size - _NAMED} more" if beyond.size > _NAMED else ""
    followed = last[beyond][~np.isnan(last[beyond])]
    up_to = f"Ask for days up to {followed.min():g}, or leave" if followed.size == beyond.size else "Leave"
    raise FollowUpError(
        f"nobody was followed to day {days.max():g} in these strata, whose last days are: {named}{more}. {up_to} their "
        "rows out."
    )


def _day(last: float) -> str:
    return "never (nobody was at risk)" if np.isnan(last) else f"day {last:g}"


def _refuse_rows_beyond(fit: Fitted, new: NewData, alive_at: NDArray[Any], horizon: float) -> None:
    """Refuse rows whose own day lies beyond the last one of their stratum."""
    if alive_at.ndim == 0:
        return _refuse_beyond(fit, new, np.atleast_1d(alive_at + horizon))
    last = fit._moments.last_day[new.stratum]
    beyond = ~(last >= alive_at + horizon)
    if not beyond.any():
        return None
    row = int(np.argmax(beyond))
    where = f" of stratum {fit._strata_labels[new.stratum[row]]!r}" if fit.strata else ""
    n_beyond = int(beyond.sum())
    asking = f"{counted(n_beyond, 'row')} {'asks' if n_beyond == 1 else 'ask'}"
    raise FollowUpError(
        f"{asking} for a day that nobody was followed to, first row {row}: alive_at "
        f"{alive_at[row]:g} + horizon {horizon:g}, the last day{where} is {_day(last[row])}. Take a shorter "
        "horizon, or leave these rows out and count them."
    )
