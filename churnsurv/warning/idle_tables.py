"""The tables of the idle risk: curves, crossings, login intervals and drift."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.ratio_by_blocks import (
    RatioByBlocks,
    SurvivalByBlocks,
    logit_limits,
    ratio_by_blocks,
    survival_by_blocks,
)
from churnsurv.warning.idle_groups import DayCounts, Groups, day_counts

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.gap_counts import GapCounts

__all__ = ["Curve", "Slope", "crossings", "curves_of", "drift", "idle_table", "login_intervals", "stacked"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Row: TypeAlias = dict[str, Any]

#: Shares of the gaps that the login intervals are told for.
INTERVALS = (0.1, 0.25, 0.5, 0.75, 0.9)
_YEAR = 365.25


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The idle risk of one group, on days 0 ... idle_days - 1 unless said otherwise.

    Attributes
    ----------
    group : int
        Its place among the groups.
    registration_gap : bool
    survival : SurvivalByBlocks
        On days 0 ... idle_days.
    churn, hazard : RatioByBlocks
    lower, upper : (idle_days,) float64
        Limits of churn.
    n_churned : int
    """

    group: int
    registration_gap: bool
    survival: SurvivalByBlocks
    churn: RatioByBlocks
    hazard: RatioByBlocks
    lower: Floats
    upper: Floats
    n_churned: int

    @property
    def idle_days(self) -> int:
        """Of the churn rule."""
        return int(self.lower.size)


def curve_of(days: DayCounts, place: int, *, group: int, registration_gap: bool, level: float) -> Curve:
    """The curve of one part of the counts."""
    returned, at_risk = days.returned[place], days.at_risk[place]
    survival = survival_by_blocks(returned, at_risk)
    idle = returned.shape[1]
    churn = survival.staying(np.arange(idle), idle)
    lower, upper = logit_limits(churn, level=level)
    hazard = ratio_by_blocks(returned, at_risk)
    return Curve(group, registration_gap, survival, churn, hazard, lower, upper, int(survival.n_at_risk[-1]))


def curves_of(counts: GapCounts, groups: Groups, *, level: float) -> tuple[Curve, ...]:
    """The curves of all groups that have gaps, later gaps before those at registration."""
    n = len(groups.labels)
    days = day_counts(counts, 2 * groups.codes + counts.registration_gap, 2 * n)
    parts = [(group, late) for group in range(n) for late in (0, 1) if days.at_risk[2 * group + late, :, 0].any()]
    return tuple(
        curve_of(days, 2 * group + late, group=group, registration_gap=bool(late), level=level) for group, late in parts
    )


def idle_table(curves: Sequence[Curve], groups: Groups, *, level: float) -> pd.DataFrame:
    """The table of schema "idle_risk"."""
    rows = []
    for curve in curves:
        hazard_lower, hazard_upper = logit_limits(curve.hazard, level=level)
        rows.append(
            {
                "registration_gap": np.full(curve.idle_days, curve.registration_gap),
                "idle_days": np.arange(curve.idle_days),
                "n_gaps": curve.survival.n_at_risk[:-1],
                "n_churned": np.full(curve.idle_days, curve.n_churned),
                "churn": curve.churn.estimate,
                "std_error": curve.churn.std_error,
                "lower": curve.lower,
                "upper": curve.upper,
                "return_hazard": curve.hazard.estimate,
                "hazard_lower": hazard_lower,
                "hazard_upper": hazard_upper,
            }
        )
    return stacked([curve.group for curve in curves], rows, groups)


def stacked(places: Sequence[int], parts: Sequence[Row], groups: Groups) -> pd.DataFrame:
    """Columns of each part under one another, with group and `by` columns."""
    import pandas as pd

    lengths = [len(next(iter(part.values()))) for part in parts]
    place = np.repeat(np.array(places, dtype=np.intp), lengths)
    columns: Row = {"group": np.array(groups.labels, dtype=object)[place]}
    columns |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    beside = groups.beside.take(place).reset_index(drop=True)
    return pd.DataFrame(columns).join(beside)


# ----------------------------------------------------------------------------------------------------------- crossings


def crossings(curves: Sequence[Curve], groups: Groups, probabilities: Sequence[float]) -> pd.DataFrame:
    """The table of schema "idle_risk_crossings"."""
    wanted = np.array(probabilities, dtype=np.float64)
    parts = []
    for curve in curves:
        found = np.array([crossing(curve.churn.estimate, curve.lower, curve.upper, p) for p in wanted])
        parts.append(
            {
                "registration_gap": np.full(wanted.size, curve.registration_gap),
                "probability": wanted,
                "idle_day": found[:, 0],
                "lower": found[:, 1],
                "upper": found[:, 2],
            }
        )
    return stacked([curve.group for curve in curves], parts, groups)


def crossing(churn: Floats, lower: Floats, upper: Floats, p: float) -> tuple[float, float, float]:
    """Where a rising curve over days 0, 1, ... reaches p, and the first and last day on which its interval holds p.

    NaN where the curve begins above p or never reaches it; the last day is NaN where the interval still holds p on the
    last one.

    Examples
    --------
    >>> churn = np.array([0.1, 0.2, 0.4])
    >>> [round(day, 3) for day in crossing(churn, churn - 0.05, churn + 0.1, 0.3)]
    [1.5, 1.0, 1.75]
    """
    day = _first_reached(churn, p)
    if np.isnan(day) or np.isnan(lower).all():
        return day, np.nan, np.nan
    low, high = _filled(lower, 0.0), _filled(upper[::-1], 1.0)[::-1]
    first = _first_reached(high, p, before=0.0)
    held = np.flatnonzero(low <= p)
    if held.size == 0 or held[-1] == churn.size - 1:
        return day, first, np.nan
    at = int(held[-1])
    return day, first, at + (p - float(low[at])) / float(low[at + 1] - low[at])


def _filled(limits: Floats, start: float) -> Floats:
    """Limits with the one before in place of a missing one: the risk does not fall from day to day."""
    known = ~np.isnan(limits)
    place = np.maximum.accumulate(np.where(known, np.arange(limits.size), -1))
    filled: Floats = np.where(place < 0, start, limits[place])
    return filled


def _first_reached(curve: Floats, p: float, *, before: float = np.nan) -> float:
    """The day on which a curve reaches p; `before` where it begins above, NaN where it never does."""
    above = np.flatnonzero(curve >= p)
    if above.size == 0:
        return np.nan
    at = int(above[0])
    if at == 0:
        return 0.0 if curve[0] == p else before
    return at - 1 + (p - float(curve[at - 1])) / float(curve[at] - curve[at - 1])


# ------------------------------------------------------------------------------------------------------ login intervals


def login_intervals(curves: Sequence[Curve], groups: Groups, *, level: float) -> pd.DataFrame:
    """The table of schema "login_intervals": quantiles of later gaps that ended by a return before churn.

    The day is the first by which the share has returned. Limits are the days on which the limits of that share do so
    (Woodruff 1952).
    """
    shares = np.array(INTERVALS)
    later = [curve for curve in curves if not curve.registration_gap and curve.survival.survival[-1] < 1]
    parts = []
    for curve in later:
        ended = curve.survival.ended(curve.idle_days)
        lower, upper = logit_limits(ended, level=level)
        few = np.isnan(lower).all()
        # By the last day all of them have returned, by day 0 none: that is known and needs no interval.
        limits = [np.where(np.isnan(limit), ended.estimate, limit) for limit in (lower, upper)]
        days, late, early = (
            np.searchsorted(np.maximum.accumulate(each), shares - 1e-9).astype(np.float64)
            for each in (ended.estimate, *limits)
        )
        missing = np.full(shares.size, np.nan)
        parts.append(
            {
                "probability": shares,
                "days": days,
                "lower": missing if few else early,
                "upper": missing if few else late,
            }
        )
    if not parts:
        empty = {name: np.empty(0) for name in ("probability", "days", "lower", "upper")}
        return stacked([0], [empty], groups)
    return stacked([curve.group for curve in later], parts, groups)


# ---------------------------------------------------------------------------------------------------------------- drift


@dataclass(frozen=True, slots=True)
class Slope:
    """By how much a probability changes a year, with limits."""

    estimate: float
    lower: float
    upper: float


def drift(counts: GapCounts, *, months: int, level: float) -> tuple[pd.DataFrame, Slope | None]:
    """The table of schema "idle_risk_drift", and the slope a year of P(gap > idle_days) of later gaps."""
    assert counts.period is not None  # noqa: S101  # asked for with a period
    starts, codes = np.unique(counts.period, return_inverse=True)
    days = day_counts(counts, 2 * codes.astype(np.int64) + counts.registration_gap, 2 * starts.size)
    rows, later = [], []
    spans = list(_spans(counts, starts, months))
    for place, late in ((place, late) for late in (0, 1) for place in range(starts.size)):
        if not days.at_risk[2 * place + late, :, 0].any():
            continue
        curve = curve_of(days, 2 * place + late, group=0, registration_gap=bool(late), level=level)
        rows += _drift_rows(curve, spans[place], months)
        later += [] if late else [(spans[place], curve)]
    return _drift_table(rows), _slope(later, level)


def _spans(
    counts: GapCounts, starts: NDArray[np.datetime64], months: int
) -> Iterator[tuple[datetime.date, datetime.date]]:
    """First and last day of each period on which gaps could begin."""
    for start in starts:
        behind = (start.astype("datetime64[M]") + months).astype("datetime64[D]") - 1
        yield max(start.item(), counts.first_start), min(behind.item(), counts.last_start)


def _drift_rows(curve: Curve, span: tuple[datetime.date, datetime.date], months: int) -> list[Row]:
    first, last = span
    name = f"{first:%Y-%m}" if months == 1 else f"{first.year}-Q{(first.month + 2) // 3}"
    return [
        {
            "group": "all",
            "registration_gap": curve.registration_gap,
            "period": name,
            "first": first,
            "last": last,
            "n_gaps": int(curve.survival.n_at_risk[0]),
            "idle_days": day,
            "churn": float(curve.churn.estimate[day]),
            "lower": float(curve.lower[day]),
            "upper": float(curve.upper[day]),
        }
        for day in sorted({0, curve.idle_days // 2})
    ]


def _drift_table(rows: Sequence[Row]) -> pd.DataFrame:
    import pandas as pd

    from churnsurv.tables import schema

    frame = pd.DataFrame(list(rows), columns=list(schema("idle_risk_drift").names))
    return frame.astype({"first": "datetime64[s]", "last": "datetime64[s]"})


def _slope(later: Sequence[tuple[tuple[datetime.date, datetime.date], Curve]], level: float) -> Slope | None:
    """Weighted least squares of P(gap > idle_days) by period on its middle, periods weighted by their gaps.

    The estimates of the periods move with the blocks, and so does the slope, which is linear in them.
    """
    later = [(span, curve) for span, curve in later if not np.isnan(curve.survival.survival[-1])]
    if len(later) < 3:
        return None
    from scipy.special import stdtrit

    middle = np.array([(first.toordinal() + last.toordinal()) / 2 / _YEAR for (first, last), _ in later])
    weights = np.array([float(curve.survival.n_at_risk[0]) for _, curve in later])
    share = np.array([curve.survival.survival[-1] for _, curve in later])
    centred = middle - np.average(middle, weights=weights)
    pull = weights * centred / (weights * centred**2).sum()
    influence = np.stack([curve.survival.influence[:, -1] for _, curve in later], axis=1)
    moved = np.where(share > 0, share * influence, 0.0) @ pull
    n_blocks = max(int(curve.survival.n_blocks[0]) for _, curve in later)
    if n_blocks < 2:
        return None
    error = np.sqrt(n_blocks / (n_blocks - 1) * (moved**2).sum())
    estimate, half = float(pull @ share), float(stdtrit(n_blocks - 1, 0.5 + level / 2) * error)
    return Slope(estimate, estimate - half, estimate + half)
