"""The effect of one shock on one group: hazards learnt before it, and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.calendar import Event
from churnsurv.diagnosis.monitor_groups import calendar_terms
from churnsurv.diagnosis.naming import quoted
from churnsurv.diagnosis.shock_cells import ShockGroup
from churnsurv.diagnosis.shock_events import FEWEST_BEFORE, Plan
from churnsurv.notes import note
from churnsurv.numerics.churn_chance import value_of_return
from churnsurv.numerics.day_clusters import (
    DayStatistics,
    missed_returns,
    reference_noise,
    shift_statistics,
    variance_of,
)
from churnsurv.numerics.day_noise import DayNoise
from churnsurv.numerics.return_hazard import (
    HazardFit,
    common_shift,
    fit_return_hazard,
    merged_cells,
)

__all__ = ["FEWEST_EXPECTED", "Calendar", "Fitted", "fit_group", "lost_values", "missed", "unfit"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: With fewer returns on the reference days there are no hazards, of the living and of those who have churned; a window
#: with fewer expected ones has no ratio.
_FEWEST_EVENTS, _FEWEST_BACK = 50, 30
FEWEST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """Terms of every day: weekday, holidays, and a straight trend where asked for.

    Attributes
    ----------
    holidays : sequence of Event
    trend : bool
    left_out : frozenset of int
        Days that were never loaded in full.
    active_only : bool
        Whether a shock reaches only those who are active from its date on: of the others no day is judged.
    """

    holidays: Sequence[Event]
    trend: bool
    left_out: frozenset[int]
    active_only: bool = False

    def terms(self, days: Ints, plan: Plan, last: int) -> Floats:
        """Terms of days; the trend stands still from `last` on. In months since the date."""
        found = calendar_terms(days.astype("datetime64[D]"), self.holidays)
        straight = (np.minimum(days, last) - plan.date)[:, None] / 30.0
        return np.column_stack([found.weekday, found.holiday, *([straight] if self.trend else [])])

    def judged(self, plan: Plan) -> NDArray[np.bool_]:
        """Whether each day judged counts: holidays of a kind that no reference day has do not."""
        known = self.counted(plan.reference)
        usual, days = (
            calendar_terms(each.astype("datetime64[D]"), self.holidays).holiday for each in (known, plan.judged)
        )
        new = days @ (usual.sum(axis=0) == 0) > 0
        found: NDArray[np.bool_] = ~new & ~np.isin(plan.judged, list(self.left_out))
        return found

    def counted(self, days: Ints) -> Ints:
        """The days that were loaded in full."""
        return days[~np.isin(days, list(self.left_out))]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What was expected of the days judged, and what came.

    Attributes
    ----------
    plan : Plan
    fit : HazardFit
    noise : DayNoise
    df : int
        Degrees of freedom of the noise.
    reference : (n_reference,) int64
        Days learnt from: those that count and have users at risk.
    days : (n_judged,) int64
    used : (n_judged,) bool
    cells : (n_columns,) int64
        The cell of the fit that each column (block and idle day) belongs to.
    terms : (n_judged, n_terms) float64
    predictor : (n_judged, n_columns) float64
    at_risk, returned : (n_judged, n_columns) int64
    shape : (int, int)
        Blocks and idle days.
    before : (2, n_reference) float64
        Expected and observed returns of the reference days.
    """

    plan: Plan
    fit: HazardFit
    noise: DayNoise
    df: int
    reference: Ints
    days: Ints
    used: NDArray[np.bool_]
    cells: Ints
    terms: Floats
    predictor: Floats
    at_risk: Ints
    returned: Ints
    shape: tuple[int, int]
    before: Floats

    @property
    def expected(self) -> Floats:
        """Expected returns of each day judged."""
        found: Floats = (self.at_risk * -np.expm1(-np.exp(self.predictor))).sum(axis=1)
        return found

    @property
    def observed(self) -> Ints:
        """Returns of each day judged."""
        found: Ints = self.returned.sum(axis=1)
        return found

    @property
    def all_days(self) -> Ints:
        """Reference days, then those judged."""
        return np.concatenate([self.reference, self.days])

    def shifts(self, label: Ints, n_labels: int) -> DayStatistics:
        """Log hazard ratios of labelled days; null where too little is expected.

        Where nobody (everybody) returned it is that of half a return (half a user who does not).
        """
        label = np.where(self.used, label, -1)
        shift = common_shift(self.predictor, self.at_risk, self.returned, label, n_labels, fewest=FEWEST_EXPECTED)
        at_risk, expected, observed = (
            np.bincount(label[label >= 0], weights=each[label >= 0], minlength=n_labels)
            for each in (self.at_risk.sum(axis=1), self.expected, self.observed)
        )
        shift = np.where(expected >= FEWEST_EXPECTED, shift, np.nan)
        halved = (observed == 0) | (observed == at_risk)
        return shift_statistics(
            self.fit, self.predictor, self.cells, self.terms, label, shift, self.at_risk, halved=halved
        )

    def window_of_day(self) -> Ints:
        """The place of the window of each day judged."""
        label = np.full(self.days.size, -1)
        for place, window in enumerate(self.plan.windows):
            label[window.first : window.last + 1] = place
        return label

    def windows(self) -> DayStatistics:
        """Log hazard ratios of the windows, and last of all days judged: the mean of the windows by their days."""
        label, n = self.window_of_day(), len(self.plan.windows)
        found = self.shifts(label, n)
        days = np.bincount(label[self.used & (label >= 0)], minlength=n).astype(np.float64)
        days[~np.isfinite(found.estimate)] = 0.0
        mean = days / max(days.sum(), 1.0)
        known = DayStatistics(np.where(days > 0, found.estimate, 0.0), found.chance, found.exposure)
        both = known.combined(np.vstack([np.eye(n), mean]))
        estimate = np.append(found.estimate, both.estimate[-1] if days.any() else np.nan)
        return DayStatistics(estimate, both.chance, both.exposure)

    def std_errors(self, found: DayStatistics, noise: DayNoise | None = None) -> Floats:
        """Standard errors, days counting as clusters."""
        total = variance_of(found, self.noise if noise is None else noise, self.all_days)
        return np.sqrt(np.diag(total))

    def theta(self) -> tuple[Floats, Floats]:
        """What is left of the reference days, as log ratios, and its variance by chance."""
        by_day = self.fit.weight.sum(axis=1)
        return self.fit.score.sum(axis=1) / by_day, 1 / by_day


def fit_group(
    group: ShockGroup, plan: Plan, calendar: Calendar, first_day: int, idle: slice, *, noise: bool = True
) -> Fitted | None:
    """Learn hazards on the reference days, and expect the days judged; None where too few return.

    Parameters
    ----------
    group : ShockGroup
    plan : Plan
    calendar : Calendar
    first_day : int
        The day that the first row of the counts belongs to.
    idle : slice
        Idle days: of the living, or of those who have churned.
    noise : bool
        Whether to estimate what days have of their own.
    """
    learnt = _learnt(group, plan, calendar, first_day, idle)
    if isinstance(learnt, str):
        return None
    reference, n, y = learnt
    width = len(range(*idle.indices(group.at_risk.shape[2])))
    cells = merged_cells(np.minimum(y, n - y).sum(axis=0), np.repeat(np.arange(group.back.size), width))
    last = plan.date + plan.ends - 1
    sums = [np.stack([np.bincount(cells, weights=row) for row in each]) for each in (n, y)]
    fit = fit_return_hazard(sums[0], sums[1], calendar.terms(reference, plan, last))
    terms = calendar.terms(plan.judged, plan, last)
    reached = _reached(plan, calendar, idle, group.back.size, group.at_risk.shape[2])
    coming = [_columns(each, idle)[plan.judged - first_day] * reached for each in (group.at_risk, group.returned)]
    n_terms = 1 + int(np.linalg.matrix_rank(fit.inverse))
    return Fitted(
        plan=plan,
        fit=fit,
        noise=reference_noise(fit, reference) if noise else DayNoise(0.0, 0.0, 0.0),
        df=max(reference.size - n_terms, 1),
        reference=reference,
        days=plan.judged,
        used=calendar.judged(plan) & reached.any(axis=1),
        cells=cells,
        terms=terms,
        predictor=fit.predictor(terms)[:, cells],
        at_risk=coming[0],
        returned=coming[1],
        shape=(group.back.size, width),
        before=np.stack([(sums[0] * -np.expm1(-np.exp(fit.predictor(fit.terms)))).sum(axis=1), y.sum(axis=1)]),
    )


def _learnt(
    group: ShockGroup, plan: Plan, calendar: Calendar, first_day: int, idle: slice
) -> tuple[Ints, Ints, Ints] | str:
    """Reference days with users at risk, and their counts by column; or why nothing can be learnt from them."""
    reference = calendar.counted(plan.reference)
    n, y = (_columns(each, idle)[reference - first_day] for each in (group.at_risk, group.returned))
    there = n.sum(axis=1) > 0
    days = int(there.sum())
    if y.sum() < (_FEWEST_BACK if idle.start else _FEWEST_EVENTS):
        return note("too few users of {group} return to say what to expect", group=quoted(group.name))
    if days < FEWEST_BEFORE:
        return note(
            "users of {group} are there on {days} of the days before the date, and {least} are needed",
            group=quoted(group.name),
            days=days,
            least=FEWEST_BEFORE,
        )
    if n.sum() <= y.sum():
        return note(
            "all users of {group} return on every day before the date, and no hazard can be learnt",
            group=quoted(group.name),
        )
    return reference[there], n[there], y[there]


def unfit(group: ShockGroup, plan: Plan, calendar: Calendar, first_day: int, idle: slice) -> str:
    """Say why nothing can be said of a group."""
    learnt = _learnt(group, plan, calendar, first_day, idle)
    if isinstance(learnt, str):
        return learnt
    return note("on the days judged there are no users of {group} to reach", group=quoted(group.name))


def _reached(plan: Plan, calendar: Calendar, idle: slice, blocks: int, n_idle: int) -> NDArray[np.bool_]:
    """Whether users of each day judged and column can be reached by the shock: (n_judged, n_columns)."""
    days = np.arange(plan.ends)[:, None]
    # Idle for d days at the end of the day before: last active d + 1 days before the day.
    since = np.arange(*idle.indices(n_idle))[None, :] + 1 <= days
    return np.tile(since if calendar.active_only else np.ones_like(since), (1, blocks))


def _columns(counts: Ints, idle: slice) -> Ints:
    """(n_blocks, n_days, n_idle) as (n_days, columns)."""
    chosen = counts[:, :, idle]
    return np.moveaxis(chosen, 1, 0).reshape(chosen.shape[1], -1)


def missed(fitted: Fitted, values: Floats) -> DayStatistics:
    """Weigh returns missed on the days that count: (k, n_judged, n_columns)."""
    label = np.where(fitted.used, fitted.window_of_day(), -1)
    shift = common_shift(
        fitted.predictor, fitted.at_risk, fitted.returned, label, len(fitted.plan.windows), fewest=FEWEST_EXPECTED
    )
    by_day = np.where(label >= 0, shift[np.maximum(label, 0)], 0.0)
    values = values * fitted.used[None, :, None]
    return missed_returns(
        fitted.fit, fitted.predictor, fitted.cells, fitted.terms, by_day, fitted.at_risk, fitted.returned, values
    )


def lost_values(fitted: Fitted, calendar: Calendar, back: Ints) -> Floats:
    """What each return of the living is worth in churns up to idle_days after the last day judged."""
    blocks, idle_days = fitted.shape
    last = int(fitted.days[-1])
    days = np.arange(fitted.plan.date, last + idle_days + 1)
    predictor = fitted.fit.predictor(calendar.terms(days, fitted.plan, last))[:, fitted.cells]
    chance = -np.expm1(-np.exp(predictor)).reshape(days.size, blocks, idle_days)
    return value_of_return(chance, back)[: fitted.days.size].reshape(fitted.days.size, -1)
