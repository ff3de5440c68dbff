"""Questions to curves beyond the curve itself: bands, hazards, and what becomes of those who are still there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError, did_you_mean
from churnsurv.numerics import kaplan_meier as numerics
from churnsurv.numerics.bands import equal_precision_critical, hall_wellner_critical
from churnsurv.numerics.cluster import clustered_hazard_error, clustered_survival_error
from churnsurv.numerics.smoothed_hazard import smoothed_hazard as smoothed
from churnsurv.numerics.smoothed_hazard import usual_bandwidth
from churnsurv.survival.curve_data import GroupData, days_asked, named_groups, refuse_beyond, row_times
from churnsurv.survival.inputs import check_level

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.survival.curves import SurvivalCurves

__all__ = ["bands", "conditional", "cumulative_hazard", "hazard_columns", "smoothed_hazard"]

Floats: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = dict[str, NDArray[Any]]

_BANDS = ("equal-precision", "hall-wellner")
_SCALES = ("log-log", "plain", "arcsine")
_MOST_DAYS = 366


def _tabled(groups: Sequence[str], parts: Sequence[Mapping[str, NDArray[Any]]]) -> pd.DataFrame:
    """The columns of each group below each other."""
    import pandas as pd

    lengths = [part["time"].size for part in parts]
    columns = {"group": np.repeat(np.array(groups, dtype=object), lengths)}
    return pd.DataFrame(columns | {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


# ---------------------------------------------------------------------------------------------- simultaneous bands


def bands(
    curves: SurvivalCurves,
    kind: str,
    *,
    between: tuple[float, float] | None,
    scale: str,
    level: float | None,
) -> pd.DataFrame:
    """Answer `SurvivalCurves.bands`."""
    level = curves.level if level is None else check_level(level)
    _check_bands(curves, kind, scale, level)
    days = None if between is None else _two_days(between)
    if days is not None:
        refuse_beyond(curves._data, float(days[1]))
    parts = {
        group.label: _band(group, curve, kind, days, scale, level)
        for group, curve in zip(curves._data, curves._curves, strict=True)
    }
    without = [repr(label) for label, part in parts.items() if part["time"].size == 0]
    if without:
        where = "" if days is None else f" up to day {days[0]:g}"
        warnings.warn(
            f"no band for {named_groups(without)}: a band begins at a churn that leaves somebody, and there is "
            f"none{where}.",
            ChurnsurvWarning,
            stacklevel=3,
        )
    return _tabled(list(parts), list(parts.values()))


def _check_bands(curves: SurvivalCurves, kind: str, scale: str, level: float) -> None:
    if kind not in _BANDS:
        raise InputError(f"kind must be 'equal-precision' or 'hall-wellner', not {kind!r}.{did_you_mean(kind, _BANDS)}")
    if scale not in _SCALES:
        raise InputError(f"scale must be 'log-log', 'plain' or 'arcsine', not {scale!r}.{did_you_mean(scale, _SCALES)}")
    if level < 0.5:
        raise InputError(f"a band needs a level of 0.5 or more; got {level}.")
    if any(group.rows is not None for group in curves._data):
        why = "rows of one cluster depend on each other" if curves.cluster else "rows have sampling weights"
        raise InputError(
            f"bands hold for independent rows of equal weight, and here {why}: the critical values don't apply, and "
            "there are no others. Take one spell a user (cluster=None, no weights), or give the intervals at a few "
            "days of interest with a level adjusted for their number."
        )
    late = [repr(group.label) for group in curves._data if group.counts.n_at_risk[0, 0] < group.counts.n_rows[0]]
    if kind == "hall-wellner" and late:
        raise InputError(
            f"Hall and Wellner's band needs the number of users from the first day on, and in {named_groups(late)} "
            "some enter late. Ask for bands('equal-precision'), which does not need it."
        )


def _two_days(between: Any) -> NDArray[Any]:
    days = days_asked(between, "between")
    if days.size != 2 or days[0] > days[1]:
        raise InputError(f"between takes the first and the last day of the bands, as (30, 365); got {between!r}.")
    return days


def _band(
    group: GroupData,
    curve: numerics.KaplanMeier,
    kind: str,
    days: NDArray[Any] | None,
    scale: str,
    level: float,
) -> Columns:
    """The band of one group at its own times from the first day to the last."""
    alive = curve.survival > 0
    churns = alive & (group.counts.n_events[0] > 0)
    if not churns.any():
        return _nothing()
    first = curve.time[churns][0] if days is None else days[0]
    last = curve.time[churns][-1] if days is None else min(days[1], curve.time[alive][-1])
    start = int(np.searchsorted(curve.time, first, side="right")) - 1
    end = int(np.searchsorted(curve.time, last, side="right")) - 1
    if first < curve.time[churns][0] or not alive[start]:
        return _nothing()
    at = np.arange(start, end + 1)
    survival = curve.survival[at]
    log_variance = np.square(curve.std_error[at] / survival)
    n = float(group.counts.n_rows[0])
    passed = n * log_variance / (1 + n * log_variance)  # the time of the Brownian bridge
    if kind == "equal-precision":
        reach, error = equal_precision_critical(float(passed[0]), float(passed[-1]), level), curve.std_error[at]
    else:
        reach = hall_wellner_critical(float(passed[0]), float(passed[-1]), level)
        error = survival * (1 + n * log_variance) / np.sqrt(n)
    ci: numerics.CurveCiType = scale  # type: ignore[assignment]
    lower, upper = numerics.survival_limits(survival, error, reach=reach, ci=ci)
    time = curve.time[at].astype(np.float64)
    time[0] = max(time[0], first)
    return {"time": time, "survival": survival, "lower": lower, "upper": upper}


def _nothing() -> Columns:
    return {name: np.zeros(0) for name in ("time", "survival", "lower", "upper")}


# -------------------------------------------------------------------------------------------------------- hazards


def cumulative_hazard(curves: SurvivalCurves) -> pd.DataFrame:
    """Answer `SurvivalCurves.cumulative_hazard`."""
    parts = []
    for group in curves._data:
        error = None if group.rows is None else clustered_hazard_error(group.steps, group.rows)
        found = numerics.nelson_aalen(group.steps, level=curves.level, std_error=error)
        parts.append(hazard_columns(found, row_times(group.counts), "cumulative_hazard"))
    return _tabled(curves.groups, parts)


def hazard_columns(found: numerics.NelsonAalen, days: NDArray[Any], name: str) -> Columns:
    """Read a cumulative hazard on given days; before the first step it is 0, and on day 0 that is certain.

    Examples
    --------
    >>> from churnsurv.numerics.weighted_counts import Steps
    >>> steps = Steps(np.array([2, 3]), np.array([4.0, 2.0]), np.array([1.0, 1.0]))
    >>> hazard_columns(numerics.nelson_aalen(steps), np.array([0, 2, 9]), "mean")["mean"].tolist()
    [0.0, 0.25, 0.75]
    """
    at = np.searchsorted(found.time, days, side="right")
    columns: Columns = {"time": days}
    columns[name] = np.append(0.0, found.cumulative_hazard)[at]
    columns["std_error"] = np.append(0.0, found.std_error)[at]
    for side in ("lower", "upper"):
        limit = np.append(np.nan, getattr(found, side))[at]
        columns[side] = np.where((days == 0) & (columns[name] == 0), 0.0, limit)
    return columns


def smoothed_hazard(
    curves: SurvivalCurves, *, bandwidth: float | None, times: ArrayLike | None, level: float | None
) -> pd.DataFrame:
    """Answer `SurvivalCurves.smoothed_hazard`."""
    level = curves.level if level is None else check_level(level)
    asked = None if times is None else days_asked(times)
    parts = []
    for group in curves._data:
        first, last = float(group.first_day), float(group.last_day)
        if not first < last:
            raise InputError(f"group {group.label!r} was followed on one day only: there is no hazard to smooth.")
        width = _bandwidth(bandwidth, group, first, last)
        days = _every_day(group) if asked is None else _within(asked, group)
        found = smoothed(group.steps, days, bandwidth=width, first=first, last=last, rows=group.rows)
        lower, upper = numerics.log_limits(found.hazard, found.std_error, level=level)
        parts.append(
            {
                "time": days,
                "hazard": found.hazard,
                "std_error": found.std_error,
                "lower": lower,
                "upper": upper,
                "bandwidth": np.full(days.size, width),
            }
        )
    return _tabled(curves.groups, parts)


def _bandwidth(bandwidth: float | None, group: GroupData, first: float, last: float) -> float:
    if bandwidth is None:
        whole = isinstance(group.last_day, int) and isinstance(group.first_day, int)
        return usual_bandwidth(float(group.n_events), first, last, whole_days=whole)
    most = (last - first) / 2
    number = isinstance(bandwidth, (int, float, np.integer, np.floating)) and not isinstance(bandwidth, bool)
    if not (number and 0 < bandwidth <= most):
        raise InputError(
            f"bandwidth must be a number of days > 0 and at most half of follow-up, {most:g} days in group "
            f"{group.label!r}; got {bandwidth!r}."
        )
    return float(bandwidth)


def _every_day(group: GroupData) -> NDArray[Any]:
    """Every whole day of follow-up where days are whole, else even steps; not more than a year's worth."""
    first, last = group.first_day, group.last_day
    if isinstance(first, int) and isinstance(last, int):
        n = min(last - first + 1, _MOST_DAYS)
        return np.unique(np.rint(np.linspace(first, last, n)).astype(np.int64))
    return np.linspace(first, last, 101)


def _within(days: NDArray[Any], group: GroupData) -> NDArray[Any]:
    first, last = group.first_day, group.last_day
    outside = (days < first) | (days > last)
    if outside.any():
        raise FollowUpError(
            f"group {group.label!r} was followed from day {first} to day {last}; there is no hazard on day "
            f"{days[outside][0]}. Ask for days between, or leave this group out."
        )
    return days


# --------------------------------------------------------------------------------------------- conditional survival


def conditional(curves: SurvivalCurves, alive_at: ArrayLike, times: ArrayLike, *, level: float | None) -> pd.DataFrame:
    """Answer `SurvivalCurves.conditional`."""
    level = curves.level if level is None else check_level(level)
    starts, days = days_asked(alive_at, "alive_at"), days_asked(times)
    parts = []
    for group in curves._data:
        for start in starts:
            parts.append(_from(group, start, days, level, curves.ci))  # noqa: PERF401 - reads as two loops
    labels = [label for label in curves.groups for _ in starts]
    if not parts:
        raise InputError("alive_at names no day. Ask for one or more, such as alive_at=90.")
    return _tabled(labels, parts)


def _from(group: GroupData, start: Any, days: NDArray[Any], level: float, ci: numerics.CurveCiType) -> Columns:
    """The survival of one group among those who are at risk after `start`."""
    steps = group.steps.after(start)
    furthest = start + (days.max() if days.size else 0)
    gone = bool((steps.n_events == steps.n_at_risk).any())
    if furthest > group.last_day and not gone:
        raise FollowUpError(
            f"nobody of group {group.label!r} was followed to day {furthest} (alive_at {start} and "
            f"{furthest - start} days more); the last day is {group.last_day}. Ask for fewer days."
        )
    error = None
    if group.rows is not None:
        error = clustered_survival_error(steps, group.rows.after(group.steps.time.size - steps.time.size))
    curve = numerics.kaplan_meier(steps, level=level, ci=ci, std_error=error)
    at = np.searchsorted(curve.time, start + days, side="right")
    columns: Columns = {"alive_at": np.full(days.size, start), "time": days}
    for name, before in (("survival", 1.0), ("std_error", 0.0), ("lower", np.nan), ("upper", np.nan)):
        columns[name] = np.append(before, getattr(curve, name))[at]
    # nothing is certain but that who is there now is there now
    certain = (days == 0) | ((columns["survival"] == 1) & (ci in ("log", "plain")))
    return columns | {name: np.where(certain, 1.0, columns[name]) for name in ("lower", "upper")}
