"""Survival predicted from a Cox fit: cumulative hazards at given covariates, their errors, and what follows from them.

With z the covariates on the scale of the design and L = the sum of A over the days with events up to t in a stratum,

    H(t | x) = exp(z'b) L(t),        dH / db = exp(z'b) [z L(t) - P(t)],     P = sum of A2 S1 - B2 D1,

    var H(t | x) = exp(2 z'b) { sum of A2  +  [z L - P]' V [z L - P] },

V the covariance of the coefficients. With Breslow's ties this is Tsiatis's variance (1981), with Efron's the one of
``survfit.coxph`` in R's survival package. L, the sum of A2 and P are all that a fit must keep: no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.cox import CoxData, CoxState, first_moments
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.design import Design
from churnsurv.numerics.kaplan_meier import CI_TYPES, CiType
from churnsurv.numerics.risk_sets import running_sums

__all__ = [
    "BaselineMoments",
    "Hazard",
    "NewRows",
    "Projected",
    "RestrictedMean",
    "baseline_moments",
    "covariance_root",
    "hazard_between",
    "last_days",
    "linear_predictor",
    "new_rows",
    "places",
    "projected",
    "restricted_mean",
    "survival_limits",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

# exp() of more is near the end of floating point; survival is 0 long before
_LARGEST_LOG = 690.0


@dataclass(frozen=True, slots=True, eq=False)
class BaselineMoments:
    """What predictions need of the fitted rows; the slots are the days with events of each stratum, as in `RiskSets`.

    Attributes
    ----------
    strata : (n_strata + 1,) int64
        Where the slots of each stratum begin.
    time : (n_slots,)
    last_day : (n_strata,) float64
        Last day to which anybody of the stratum was followed; NaN where nobody was at risk.
    hazard, variance : (n_slots,) float64
        Sums of A and of A2 up to and including the slot, within its stratum. The hazard of grouped days is infinite
        from a slot on where everybody at risk has the event.
    gradient : (n_slots, p) float64
        Sums of A2 S1 - B2 D1, on the scale of the design and in the order of its columns.
    centre, scale : (p,) float64
        Of the design: z = (x - centre) / scale.
    shift : float
        `hazard` is the cumulative hazard where the linear predictor z'b is `shift`.
    """

    strata: Ints
    time: NDArray[Any]
    last_day: Floats
    hazard: Floats
    variance: Floats
    gradient: Floats
    centre: Floats
    scale: Floats
    shift: float


def baseline_moments(data: CoxData, state: CoxState, *, last_day: Floats) -> BaselineMoments:
    """Reduce the fitted rows to what predictions need.

    Parameters
    ----------
    data : CoxData
        The rows that the state belongs to.
    state : CoxState
        At the estimates.
    last_day : (n_strata,) float64
        From `last_days`.

    Examples
    --------
    Churn on days 1, 2 and 3; at the estimate the second user has sqrt 2 times the hazard of the others.

    >>> from churnsurv.numerics.cox import fit_cox
    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2, 3]), np.array([True, True, True]))
    >>> data = CoxData(design([np.array([0.0, 1.0, 0.0])], ["x"], n_rows=3), sets)
    >>> moments = baseline_moments(data, fit_cox(data).state, last_day=np.array([3.0]))
    >>> (moments.hazard / np.sqrt(2)).round(4).tolist()  # at x = 0: 1 / (2 + sqrt 2), + 1 / (1 + sqrt 2), + 1
    [0.2929, 0.7071, 1.7071]
    """
    sums, sets = state.sums, data.sets
    S1, D1 = first_moments(data, state)
    S1 *= sums.A2[:, None]
    tied = np.flatnonzero(sums.B2)
    S1[tied] -= sums.B2[tied, None] * D1[tied]
    hazard, variance = running_sums(sums.A, sets.strata), running_sums(sums.A2, sets.strata)
    gradient = running_sums(S1, sets.strata)
    read_only(last_day, hazard, variance, gradient, sets.strata, sets.time, data.design.centre, data.design.scale)
    return BaselineMoments(
        strata=sets.strata,
        time=sets.time,
        last_day=last_day,
        hazard=hazard,
        variance=variance,
        gradient=gradient,
        centre=data.design.centre,
        scale=data.design.scale,
        shift=state.shift,
    )


def last_days(
    duration: NDArray[Any],
    *,
    entry: NDArray[Any] | None = None,
    stratum: NDArray[np.integer[Any]] | None = None,
    n_strata: int = 1,
) -> Floats:
    """Return the last day to which anybody of each stratum was followed, shape (n_strata,); NaN where nobody was.

    Examples
    --------
    >>> last_days(np.array([5, 9, 7]), entry=np.array([0, 9, 0]), stratum=np.array([0, 0, 1]), n_strata=3).tolist()
    [5.0, 7.0, nan]
    """
    if entry is not None and (no_risk := entry >= duration).any():
        duration = duration[~no_risk]
        stratum = None if stratum is None else stratum[~no_risk]
    last = np.full(n_strata, -np.inf)
    if stratum is not None:
        np.maximum.at(last, stratum, duration)
    elif duration.size:
        last[:] = duration.max()
    last[np.isneginf(last)] = np.nan
    return last


def covariance_root(covariance: Floats, scale: Floats) -> Floats:
    """Return R with R R' = the covariance of the coefficients of the design, shape (p, p).

    Parameters
    ----------
    covariance : (p, p) float64
        In the units of the covariates, in the order of the columns of the design. A robust one may be singular.
    scale : (p,) float64
        Of the design.

    Examples
    --------
    >>> covariance_root(np.array([[4.0, 2.0], [2.0, 5.0]]), np.ones(2)).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    on_scale = covariance * np.outer(scale, scale)
    try:
        return np.asarray(np.linalg.cholesky(on_scale), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(on_scale)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def linear_predictor(
    rows: Design, coefficients: Floats, *, offset: Floats | None = None, negate: bool = False
) -> Floats:
    """Return x'b, plus the offset, in the units of the covariates: 0 at covariates zero and categories at reference.

    Parameters
    ----------
    rows : Design
        New rows with the centre and the scale of the fitted ones.
    coefficients : (p,) float64
        In the units of the covariates.
    offset : (n,) float64, optional
    negate : bool
        For a model of returns, where a larger linear predictor means a later churn.
    """
    total = rows.times(coefficients * rows.scale)
    total += float(rows.centre @ coefficients)
    if offset is not None:
        total += offset
    return -total if negate else total


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """New rows as every prediction sees them.

    Attributes
    ----------
    log_risk : (n,) float64
        z'b, plus the offset, less the shift of the baseline.
    loadings : (n, p) float64
        z'R, so that the variance of z'b is the sum of squares.
    """

    log_risk: Floats
    loadings: Floats


def new_rows(
    rows: Design, coefficients: Floats, root: Floats, *, shift: float, offset: Floats | None = None
) -> NewRows:
    """Multiply new rows by the coefficients and by the root of their covariance; categories stay codes.

    Parameters
    ----------
    rows : Design
        With the centre and the scale of the fitted rows.
    coefficients : (p,) float64
        In the units of the covariates.
    root : (p, p) float64
        From `covariance_root`.
    shift : float
        Of the baseline.
    offset : (n,) float64, optional
    """
    log_risk = rows.times(coefficients * rows.scale)
    if offset is not None:
        log_risk += offset
    log_risk -= shift
    np.clip(log_risk, -_LARGEST_LOG, _LARGEST_LOG, out=log_risk)
    numeric, *others = rows.parts()
    loadings: Floats = rows.dense @ root[numeric]
    for part, columns in zip(rows.indicators, others, strict=True):
        by_code = np.concatenate([np.zeros((1, root.shape[1])), root[columns]])[part.codes]
        if part.values is not None:
            by_code *= part.values[:, None]
        loadings += by_code
    return NewRows(log_risk, loadings)


def places(moments: BaselineMoments, stratum: NDArray[np.integer[Any]], times: NDArray[Any]) -> Ints:
    """Return where in the stratum each time lies: 1 + its last slot not after the time, 0 where there is none.

    Parameters
    ----------
    moments : BaselineMoments
    stratum, times : arrays that broadcast
        0 ... n_strata - 1, and days.

    Examples
    --------
    Churn on days 30 and 45 in the first stratum, on day 40 in the second.

    >>> nothing = np.zeros(3)
    >>> moments = BaselineMoments(np.array([0, 2, 3]), np.array([30, 45, 40]), nothing[:2], nothing, nothing,
    ...     nothing[:, None], nothing[:1], nothing[:1], 0.0)
    >>> places(moments, np.array([[0], [1]]), np.array([29, 30, 44, 60])).tolist()
    [[0, 1, 1, 2], [0, 0, 3, 3]]
    """
    days = np.unique(moments.time)
    width = days.shape[0] + 1
    slots = np.repeat(np.arange(moments.strata.shape[0] - 1), np.diff(moments.strata))
    keys = slots * width + np.searchsorted(days, moments.time, side="right")
    wanted = stratum.astype(np.int64) * width + np.searchsorted(days, times, side="right")
    found = np.searchsorted(keys, wanted, side="right")
    return np.where(found > moments.strata[:-1][stratum], found, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """The baseline at m chosen places.

    Attributes
    ----------
    hazard, variance : (m,) float64
    gradient : (m, p) float64
        Times the root of the covariance.
    """

    hazard: Floats
    variance: Floats
    gradient: Floats


def projected(moments: BaselineMoments, root: Floats, chosen: NDArray[np.integer[Any]]) -> Projected:
    """Take the baseline at places, 0 being before the first slot; `root` as from `covariance_root`."""
    slot = np.maximum(chosen, 1) - 1
    after = (chosen > 0).astype(np.float64)
    if moments.time.shape[0] == 0:
        return Projected(after, after, np.zeros((chosen.shape[0], root.shape[1])))
    return Projected(
        np.where(chosen > 0, moments.hazard[slot], 0.0),
        moments.variance[slot] * after,
        (moments.gradient[slot] * after[:, None]) @ root,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Hazard:
    """Cumulative hazards of n rows.

    Attributes
    ----------
    hazard : (n,) float64
    log_error : (n,) float64
        Standard error of the logarithm of `hazard`, which is its standard error divided by it; 0 where it is 0.
    """

    hazard: Floats
    log_error: Floats


def hazard_between(
    rows: NewRows,
    baseline: Projected,
    until: NDArray[np.integer[Any]] | int,
    since: NDArray[np.integer[Any]] | int | None = None,
) -> Hazard:
    """Return the hazard that rows accumulate up to a place of the baseline, or between two.

    Parameters
    ----------
    rows : NewRows
    baseline : Projected
    until, since : (n,) integer, or one for all rows
        Positions in `baseline`. Without `since`: from the beginning.

    Examples
    --------
    One covariate with variance 0.25; baseline hazard 0.2 with variance 0.01 and gradient 0.1 (times the root, 0.5).

    >>> rows = NewRows(np.array([0.0]), np.array([[2.0]]) * 0.5)
    >>> found = hazard_between(rows, Projected(np.array([0.2]), np.array([0.01]), np.array([[0.05]])), 0)
    >>> variance = (found.hazard * found.log_error) ** 2
    >>> found.hazard.tolist(), variance.round(12).tolist()  # 0.01 + 0.25 (2 * 0.2 - 0.1)^2
    ([0.2], [0.0325])
    """
    hazard, variance, gradient = baseline.hazard[until], baseline.variance[until], baseline.gradient[until]
    # an infinite hazard has no error, and after it nobody is left to have one: NaN
    with np.errstate(invalid="ignore", over="ignore"):
        if since is not None:
            hazard, variance = hazard - baseline.hazard[since], variance - baseline.variance[since]
            gradient = gradient - baseline.gradient[since]
        slope = rows.loadings * np.expand_dims(hazard, -1)
        slope -= gradient
        squared = np.einsum("ij,ij->i", slope, slope)
        squared += variance
        nothing = np.broadcast_to(hazard == 0, squared.shape)
        error = np.divide(np.sqrt(squared), hazard, out=np.zeros_like(squared), where=~nothing)
        return Hazard(np.exp(rows.log_risk) * hazard, error)


def survival_limits(predicted: Hazard, *, level: float, ci: CiType) -> tuple[Floats, Floats]:
    """Return the confidence limits of exp(-hazard), cut to [0, 1], shape (n,) each.

    With s = z times the standard error of the hazard: plain is ``S (1 -+ s)``, log ``S exp(-+ s)``, log-log
    ``S ^ exp(+- s / hazard)``; the last does not exist where nothing has happened yet, and is NaN there, as in R.

    Parameters
    ----------
    predicted : Hazard
    level : float
        Confidence level.
    ci : {"log-log", "log", "plain"}
        The scale on which the interval is symmetric.

    Examples
    --------
    >>> lower, upper = survival_limits(Hazard(np.array([0.5]), np.array([0.1])), level=0.95, ci="log")
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.5499], [0.669])
    """
    from scipy.special import ndtri

    if ci not in CI_TYPES:
        raise InputError(f"ci must be 'log-log', 'log' or 'plain', not {ci!r}.{did_you_mean(str(ci), CI_TYPES)}")
    hazard, reach = predicted.hazard, float(ndtri(0.5 + level / 2)) * predicted.log_error
    with np.errstate(over="ignore", invalid="ignore"):
        survival = np.exp(-hazard)
        if ci == "plain":
            half = survival * np.where(survival > 0, hazard, 0.0) * reach
            return np.maximum(survival - half, 0.0), np.minimum(survival + half, 1.0)
        if ci == "log":
            return np.exp(-hazard * (1 + reach)), np.minimum(np.exp(-hazard * (1 - reach)), 1.0)
        hazard = np.where(hazard > 0, hazard, np.nan)
        return np.exp(-hazard * np.exp(reach)), np.exp(-hazard * np.exp(-reach))


@dataclass(frozen=True, slots=True, eq=False)
class RestrictedMean:
    """Mean days until the event, counted up to a horizon, of n rows, with its standard error; shape (n,) each."""

    days: Floats
    std_error: Floats


def restricted_mean(
    rows: NewRows, moments: BaselineMoments, root: Floats, *, stratum: int, horizon: float
) -> RestrictedMean:
    """Return the area under the survival curve of each row from day 0 to the horizon, all rows in one stratum.

    With a_j the area between one day with events and the next, and R_j that from day j to the horizon, a hazard more on
    day j costs R_j: the variance is ``exp(2 z'b) {sum of R_j^2 A2_j + [z sum a_j L_j - sum a_j P_j]' V [...]}``.

    Parameters
    ----------
    rows : NewRows
    moments : BaselineMoments
    root : (p, p) float64
        From `covariance_root`.
    stratum : int
    horizon : float
        Days > 0.
    """
    first, after = int(moments.strata[stratum]), int(moments.strata[stratum + 1])
    after = first + int(np.searchsorted(moments.time[first:after], horizon, side="right"))
    slots = slice(first, after)
    width = np.diff(np.concatenate([[0.0], moments.time[slots], [horizon]]))
    risk = np.exp(rows.log_risk)
    with np.errstate(over="ignore", under="ignore"):
        area = np.exp(-risk[:, None] * np.append(0.0, moments.hazard[slots])) * width
    days, area = area.sum(axis=1), area[:, 1:]
    beyond = np.cumsum(area[:, ::-1], axis=1)[:, ::-1]
    # where the hazard is infinite there is no area left
    hazard = np.where(np.isfinite(moments.hazard[slots]), moments.hazard[slots], 0.0)
    slope = rows.loadings * (area @ hazard)[:, None] - area @ (moments.gradient[slots] @ root)
    squared = (beyond * beyond) @ np.diff(moments.variance[slots], prepend=0.0)
    squared += np.einsum("ij,ij->i", slope, slope)
    return RestrictedMean(days, risk * np.sqrt(squared))
