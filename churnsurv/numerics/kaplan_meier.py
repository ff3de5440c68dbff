"""Kaplan and Meier's estimate of survival, its intervals and quantiles, from counts by time.

With d churns among n at risk at each time, ``S(t) = prod (1 - d/n)``, Greenwood's variance of ``log S`` is
``sum d / (n (n - d))``, Nelson and Aalen's cumulative hazard ``sum d/n`` and its variance ``sum d/n^2`` (Kalbfleisch
and Prentice, 2002, section 1.4; Klein and Moeschberger, 2003, sections 4.2 and 4.3). Intervals and quantiles follow
the conventions of R's survival package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.day_counts import DayCounts, read_only
from churnsurv.numerics.weighted_counts import Steps, steps_of

__all__ = [
    *("CI_TYPES", "CURVE_CI_TYPES", "CiType", "CurveCiType", "KaplanMeier", "NelsonAalen", "Quantiles"),
    *("check_ci", "kaplan_meier", "log_limits", "nelson_aalen", "quantiles", "survival_limits"),
]

Floats: TypeAlias = NDArray[np.float64]
CiType: TypeAlias = Literal["log-log", "log", "plain"]
CurveCiType: TypeAlias = Literal["log-log", "log", "plain", "arcsine"]

CI_TYPES: tuple[CiType, ...] = ("log-log", "log", "plain")
CURVE_CI_TYPES: tuple[CurveCiType, ...] = (*CI_TYPES, "arcsine")

# a curve within this of a level is taken to lie on it: 1 - 5/10 and a product of ratios differ by rounding
_TOLERANCE = 1.5e-8


@dataclass(frozen=True, slots=True, eq=False)
class KaplanMeier:
    """The curve of one group at its own times; all arrays have the shape (n_times,).

    Attributes
    ----------
    time
        Distinct times at which rows end, ascending.
    survival
        P(T > time), right-continuous.
    std_error
        Of survival: Greenwood's, or the one passed in. Greenwood's is NaN where survival is 0.
    lower, upper
        Limits at the confidence level; NaN where the transform does not exist: survival 0 (all types that need it),
        survival 1 (log-log, arcsine).
    cumulative_hazard
        Nelson and Aalen's estimate.
    """

    time: NDArray[Any]
    survival: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    cumulative_hazard: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Times by which shares of the group have churned, shape (n_probabilities,); NaN where never reached."""

    probability: Floats
    time: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class NelsonAalen:
    """The cumulative hazard of one group at its own times; all arrays have the shape (n_times,).

    Attributes
    ----------
    time
    cumulative_hazard, std_error
    lower, upper
        Symmetric on the log scale; NaN where nobody has churned yet.
    """

    time: NDArray[Any]
    cumulative_hazard: Floats
    std_error: Floats
    lower: Floats
    upper: Floats


def kaplan_meier(
    counts: DayCounts | Steps,
    *,
    level: float = 0.95,
    ci: CurveCiType = "log-log",
    std_error: Floats | None = None,
) -> KaplanMeier:
    """Estimate the survival of one group.

    Parameters
    ----------
    counts : DayCounts or Steps
        Of one group. Where all that are at risk churn, survival is 0 from then on, also if others enter later.
    level : float
        Confidence level.
    ci : {"log-log", "log", "plain", "arcsine"}
        The scale on which the interval is symmetric.
    std_error : (n_times,), optional
        Of survival, where Greenwood's does not hold (clusters, sampling weights).

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> km = kaplan_meier(day_counts(np.array([1, 2, 2, 4]), np.array([True, True, False, False])))
    >>> km.survival.tolist(), km.std_error.round(4).tolist()
    ([0.75, 0.5, 0.5], [0.2165, 0.25, 0.25])
    """
    check_ci(ci)
    steps = steps_of(counts)
    n, d = steps.n_at_risk, steps.n_events
    survival = np.asarray(np.cumprod((n - d) / n), dtype=np.float64)
    if std_error is None:
        std_error = _greenwood(n, d, survival)
    lower, upper = survival_limits(survival, std_error, reach=_normal_reach(level), ci=ci)
    hazard = np.cumsum(d / n)
    read_only(survival, std_error, lower, upper, hazard)
    return KaplanMeier(steps.time, survival, std_error, lower, upper, hazard)


def check_ci(ci: str) -> None:
    """Raise `InputError` unless `ci` names an interval of survival.

    Examples
    --------
    >>> check_ci("arcsine")
    """
    if ci not in CURVE_CI_TYPES:
        raise InputError(
            f"ci must be 'log-log', 'log', 'plain' or 'arcsine', not {ci!r}.{did_you_mean(str(ci), CURVE_CI_TYPES)}"
        )


def nelson_aalen(steps: Steps, *, level: float = 0.95, std_error: Floats | None = None) -> NelsonAalen:
    """Estimate the cumulative hazard of one group.

    Parameters
    ----------
    steps : Steps
    level : float
        Confidence level.
    std_error : (n_times,), optional
        Where that of independent rows, the root of ``sum d/n^2``, does not hold (clusters, sampling weights).

    Examples
    --------
    >>> found = nelson_aalen(Steps(np.array([1, 2]), np.array([4.0, 2.0]), np.array([1.0, 1.0])))
    >>> found.cumulative_hazard.tolist(), found.std_error.round(4).tolist()
    ([0.25, 0.75], [0.25, 0.559])
    """
    n, d = steps.n_at_risk, steps.n_events
    hazard = np.cumsum(d / n)
    if std_error is None:
        std_error = np.sqrt(np.cumsum(d / n**2))
    lower, upper = log_limits(hazard, std_error, level=level)
    read_only(hazard, std_error, lower, upper)
    return NelsonAalen(steps.time, hazard, std_error, lower, upper)


def log_limits(estimate: Floats, std_error: Floats, *, level: float) -> tuple[Floats, Floats]:
    """Return confidence limits that are symmetric for the logarithm of an estimate; NaN where it is not positive.

    Examples
    --------
    >>> lower, upper = log_limits(np.array([2.0, 0.0]), np.array([0.5, 0.0]), level=0.95)
    >>> lower.round(3).tolist(), upper.round(3).tolist()
    ([1.225, nan], [3.265, nan])
    """
    exists = estimate > 0
    inside = np.where(exists, estimate, 1.0)
    with np.errstate(over="ignore"):
        factor = np.exp(_normal_reach(level) * std_error / inside)
    return np.where(exists, inside / factor, np.nan), np.where(exists, inside * factor, np.nan)


def _normal_reach(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _greenwood(n: Floats, d: Floats, survival: Floats) -> Floats:
    """Return Greenwood's standard error of survival; NaN where survival is 0, where it is 0 times infinity."""
    left = n - d
    terms = np.divide(d, n * left, out=np.zeros_like(n), where=left > 0)
    return np.where(survival > 0, survival * np.sqrt(np.cumsum(terms)), np.nan)


def survival_limits(survival: Floats, std_error: Floats, *, reach: float, ci: CurveCiType) -> tuple[Floats, Floats]:
    """Return limits of survival, cut to [0, 1], NaN where the scale does not exist.

    With s = reach std_error / survival, the standard error of log survival times a critical value: plain is
    ``S (1 -+ s)``, log ``S exp(-+ s)``, log-log ``S ^ exp(+- s / log S)``, arcsine the squared sine of
    ``asin(sqrt(S)) -+ s / 2 sqrt(S / (1 - S))``.

    Parameters
    ----------
    survival, std_error : (n,)
    reach : float
        The normal quantile for intervals at each time alone, a larger value for simultaneous bands.
    ci : {"log-log", "log", "plain", "arcsine"}

    Examples
    --------
    >>> lower, upper = survival_limits(np.array([0.5]), np.array([0.1]), reach=1.96, ci="arcsine")
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.309], [0.691])
    """
    if ci == "plain":
        half = reach * std_error
        return np.maximum(survival - half, 0.0), np.minimum(survival + half, 1.0)
    exists = (survival > 0) if ci == "log" else (survival > 0) & (survival < 1)
    inside = np.where(exists, survival, 0.5)
    s = reach * std_error / inside
    if ci == "log":
        lower, upper = inside * np.exp(-s), np.minimum(inside * np.exp(s), 1.0)
    elif ci == "log-log":
        log_s = np.log(inside)
        with np.errstate(over="ignore"):  # survival a millionth below 1 in a band: the limit is 0
            lower, upper = np.exp(log_s * np.exp(-s / log_s)), np.exp(log_s * np.exp(s / log_s))
    else:
        angle, half = np.arcsin(np.sqrt(inside)), s / 2 * np.sqrt(inside / (1 - inside))
        lower, upper = np.sin(np.maximum(angle - half, 0.0)) ** 2, np.sin(np.minimum(angle + half, np.pi / 2)) ** 2
    return np.where(exists, lower, np.nan), np.where(exists, upper, np.nan)


def quantiles(curve: KaplanMeier, probabilities: Floats, *, start: float = 0.0) -> Quantiles:
    """Return the times by which given shares have churned, with limits.

    Parameters
    ----------
    curve : KaplanMeier
    probabilities : (n,)
        In (0, 1].
    start : float
        Time before which the curve is 1.

    Returns
    -------
    Quantiles
        The first time with survival at or below ``1 - p``. Where survival equals it (to 1.5e-8), the curve is flat on
        an interval of such times, and its midpoint is taken, as for the median of an even number of values; the
        interval ends at the next drop, else at the last time. The limits read the limits of the curve in the same way
        (Brookmeyer and Crowley, 1982).

    Examples
    --------
    >>> from churnsurv.numerics.day_counts import day_counts
    >>> km = kaplan_meier(day_counts(np.array([1, 2, 3, 4]), np.array([True] * 4)))
    >>> quantiles(km, np.array([0.5, 0.6])).time.tolist()
    [2.5, 3.0]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    time = np.concatenate([[start], curve.time.astype(np.float64)])
    found = [_crossing(time, values, p) for values in (curve.survival, curve.lower, curve.upper)]
    read_only(p, *found)
    return Quantiles(p, *found)


def _crossing(time: Floats, curve: Floats, p: Floats) -> Floats:
    """Return the first time at which `curve` (1 at time[0]) has fallen to 1 - p, or the middle of its stay there."""
    fallen = np.concatenate([[0.0], 1.0 - curve])
    known = ~np.isnan(fallen)
    # running maximum: limits are not monotone, and the first crossing counts
    reached = np.maximum.accumulate(np.where(known, fallen, -1.0))
    at = np.searchsorted(reached, p - _TOLERANCE, side="left")
    below = np.searchsorted(reached, p + _TOLERANCE, side="left")
    never = at == time.size
    # a stay that lasts to the end of the curve has the last time as its end, if the curve is known there
    end = np.where(below < time.size, time[np.minimum(below, time.size - 1)], time[-1] if known[-1] else np.nan)
    return np.where(never, np.nan, (time[np.minimum(at, time.size - 1)] + end) / 2)
