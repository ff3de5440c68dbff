"""A tier with so many alerts a day: the rule with which the most urgent of each day bring the most lead time to churn.

No more than so many first alerts come on a calendar day, those of the highest P(churn | cell, idle day) (idle_days - d)
/ idle_days; the others wait for the next day for as long as the rule holds. What a rule brings under this cap adds up
over nothing, as each gap stands in another's way. So the rules that are best if alerts are limited on average, by the
cap, by up to five times as many, and by nothing, are candidates, and they are judged in the lines of the training days.
Of a tier with others below it only the strictest is one: a rule that alerts more than can be worked off takes from the
lower tiers those whom it leaves waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import Feature
from churnsurv.data.gap_counts import gap_counts
from churnsurv.notes import note
from churnsurv.warning.backtest_judge import Chances, Gaps, Sums
from churnsurv.warning.backtest_material import gaps_of, lead_share
from churnsurv.warning.objectives import Capacity
from churnsurv.warning.patterns import Patterns, patterns_of, shares_by_day, tiers_by_day
from churnsurv.warning.rules import Rule
from churnsurv.warning.tier_search import ROUNDING_COST, FittedTier
from churnsurv.warning.training import Training

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["FACTORS", "CappedTier", "Waiting", "capacity_notes", "fit_capacity", "waiting_in"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
#: Finds the best rule for a capacity on average; the flag: what resamples of users would have chosen, too.
Search: TypeAlias = Callable[[Capacity, bool], FittedTier]

#: How many times the cap alerts may be on average, where candidates are sought; at last without a limit.
FACTORS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
#: Share of lead-weighted recall by which candidates may differ and be equal.
_EQUAL = 1e-9
_WORTH_SAYING = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """The training gaps in the lines in which they would have waited.

    Attributes
    ----------
    gaps : Gaps
    patterns : Patterns
    urgency : (n_patterns, idle_days) float64
    """

    gaps: Gaps
    patterns: Patterns
    urgency: Floats

    def may(self, rule: Rule, above: Sequence[Rule]) -> Flags:
        """Where a rule holds and no higher tier has taken the gap over; shape (n_patterns, idle_days)."""
        tier = tiers_by_day([*above, rule], self.patterns)
        higher = tier < len(above)
        higher[:, 0] = False
        found = (tier == len(above)) & ~np.logical_or.accumulate(higher, axis=1)
        found[:, 0] = False
        return np.asarray(found)

    def called(self, may: Flags, per_day: float) -> Chances:
        """Chance of a first alert on each idle day."""
        lines, group = self.gaps.lines, self.gaps.group
        if lines is None or group is None:
            raise TypeError("gaps that wait are counted by day; these are not")
        return Chances(lines.alerts(may, self.urgency, per_day), group)

    def full_days(self, called: Chances, per_day: float) -> float:
        """Share of the days of the window, but for the first, on which all of the capacity is used."""
        lines = self.gaps.lines
        if lines is None:
            return 0.0
        first = int(lines.start.min())
        day = lines.start[:, None] - first + np.arange(self.gaps.idle_days)
        alerts = np.bincount(day.ravel(), (called.of * lines.silent).ravel(), self.gaps.n_days)[1 : self.gaps.n_days]
        return float((alerts >= per_day * (1 - 1e-9)).mean()) if alerts.size else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class CappedTier:
    """What fitting a tier of a capacity has found.

    Attributes
    ----------
    found : FittedTier
        `kept` is the share of lead-weighted recall under the cap that is left after rounding.
    sums : Sums
        Of the alerts under the cap.
    factor : float
        Times the cap that the rule alone would alert at most, on average; infinite: any number.
    missed : float
        How much more lead-weighted recall the best candidate has, as a share of that of this one.
    alone : float
        First alerts a day of the rule without a cap, on average.
    full_days : float
        Share of days on which all of the capacity is used.
    """

    found: FittedTier
    sums: Sums
    factor: float
    missed: float
    alone: float
    full_days: float


def waiting_in(log: ActivityLog, training: Training) -> Waiting:
    """Count the gaps of a training log by the day on which they begin.

    Those that are too young to be judged stand in line, too.

    Parameters
    ----------
    log : ActivityLog
        That which the training has counted: not later than its last day.
    training : Training
    """
    own = [each for each in training.variables if isinstance(each, Feature)]
    before = training.counts
    counts = gap_counts(
        log, grids=before.grids, features=own, blocks=max(before.n_blocks, 2), starts="all", period="day", paths=True
    )
    patterns = patterns_of([counts], training.missing)
    gaps = gaps_of(counts, patterns, 0, before.first_start, before.last_start, limited=True)
    return Waiting(gaps, patterns, shares_by_day(patterns, *gaps.silent()) * lead_share(counts.idle_days))


def fit_capacity(
    training: Training,
    waiting: Waiting,
    objective: Capacity,
    above: Sequence[Rule],
    search: Search,
    *,
    lowest: bool,
    rounded: bool,
) -> CappedTier:
    """Fit a tier of a capacity.

    Parameters
    ----------
    training : Training
    waiting : Waiting
    objective : Capacity
    above : sequence of Rule
        Of the higher tiers, highest first.
    search : callable
    lowest : bool
        Whether no tier is below.
    rounded : bool
    """
    judge = _Judge(training, waiting, above, float(objective.per_day or 0.0))
    candidates = _candidates(judge, search, lowest=lowest)
    leads = [judge.lead(each.found.pair, each.found.fitted) for each in candidates]
    most = max(leads)
    # the strictest of those that are good enough: its tier holds fewest of those whom the cap leaves waiting
    cost = ROUNDING_COST if rounded else _EQUAL
    place = next(i for i, lead in enumerate(leads) if lead >= (1 - cost) * most)
    chosen, mine, kept = candidates[place], leads[place], 1.0
    found, five = chosen.found, chosen.found.fitted
    if five.any():
        drawn = search(Capacity(per_day=chosen.limit), True)
        found = replace(found, sample_pair=drawn.sample_pair, sample_five=drawn.sample_five)
    if rounded and (after := judge.lead(found.pair, found.five)) >= (1 - cost) * most:
        five, kept = found.five, after / mine if mine > 0 else 1.0
    may = judge.may(found.pair, five)
    called = waiting.called(may, judge.per_day)
    return CappedTier(
        replace(found, five=five, kept=kept),
        waiting.gaps.sums(called, waiting.gaps.by_pattern(may), None),
        chosen.factor,
        most / mine - 1.0 if mine > 0 else 0.0,
        judge.alone(found.pair, five),
        waiting.full_days(called, judge.per_day),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """The best rule under a limit of alerts a day on average, so many times the cap."""

    factor: float
    limit: float
    found: FittedTier


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Rules, a pair of variables and five numbers, judged in the lines."""

    training: Training
    waiting: Waiting
    above: Sequence[Rule]
    per_day: float

    def may(self, pair: int, five: Ints) -> Flags:
        """Where an alert may come."""
        return self.waiting.may(self.training.rule(pair, five), self.above)

    def lead(self, pair: int, five: Ints) -> float:
        """Lead time to churn of the alerts under the cap, added up."""
        if not five.any():
            return 0.0
        called, gaps = self.waiting.called(self.may(pair, five), self.per_day), self.waiting.gaps
        return float((gaps.n * gaps.churned * called.weighted(lead_share(gaps.idle_days))).sum())

    def alone(self, pair: int, five: Ints) -> float:
        """First alerts a day without a cap, on average."""
        called, gaps = self.waiting.called(self.may(pair, five), np.inf), self.waiting.gaps
        return float((gaps.n * called.before(gaps.duration)).sum()) / gaps.n_days


def _candidates(judge: _Judge, search: Search, *, lowest: bool) -> list[_Candidate]:
    """Different rules, strict limits first; with tiers below, the first there is."""
    unlimited = float(judge.waiting.gaps.n.sum())
    free = search(Capacity(per_day=unlimited), False)
    alerts = judge.alone(free.pair, free.fitted)
    limits = [(factor, factor * judge.per_day) for factor in FACTORS if factor * judge.per_day < alerts]
    found = [_Candidate(factor, each, search(Capacity(per_day=each), False)) for factor, each in limits]
    distinct = dict[tuple[int, ...], _Candidate]()
    for each in (*found, _Candidate(float("inf"), unlimited, free)):
        distinct.setdefault((each.found.pair, *each.found.fitted.tolist()), each)
    some = [each for each in distinct.values() if each.found.fitted.any()] or list(distinct.values())[-1:]
    return some if lowest else some[:1]


def capacity_notes(name: str, per_day: float, tier: CappedTier) -> list[str]:
    """What a reader must know of a tier of a capacity."""
    if not tier.found.five.any():
        return []
    notes: list[str] = [
        note(
            "{tier}: on no day more than {n} first alerts, those of the highest P(churn) (idle_days - d) / idle_days "
            "first, as training gaps of their cell tell it; the others wait while the rule holds. Figures are of the "
            "alerts that come of it, equals drawn by lot. The rule alone would alert {alone} a day on average; on "
            "{share} of the days all of the capacity is used.",
            tier=name,
            n=f"{per_day:,.6g}",
            alone=f"{tier.alone:,.4g}",
            share=f"{tier.full_days:.0%}",
        )
    ]
    if tier.missed > _WORTH_SAYING:
        notes.append(
            note(
                "{tier}: of the candidates within {near} of the best, the one with the fewest alerts is taken; the "
                "best would have {missed} more lead-weighted recall in training.",
                tier=name,
                near=f"{ROUNDING_COST:.0%}",
                missed=f"{tier.missed:.2%}",
            )
        )
    if tier.found.sample_pair.size:
        limit = (
            note("without a limit")
            if np.isinf(tier.factor)
            else note("with {factor} times as many on average", factor=f"{tier.factor:g}")
        )
        notes.append(
            note(
                "{tier}: resamples choose the best rule {limit}, the limit under which this rule was found.",
                tier=name,
                limit=limit,
            )
        )
    return notes
