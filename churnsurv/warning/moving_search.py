"""One tier where variables move while users are silent: all rules are listed, with the first days of every gap's path.

The best rule is exact, as it is where nothing moves. What resamples would choose, how optimistic the choice is and
which rules may be the best are told among the rules that come nearest to it, whose sums by block of users are formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from churnsurv.numerics.moving_rules import MovingCounts, Ranked, n_conditions, ranked
from churnsurv.numerics.precision_bound import lower_bounds, wilson_lower
from churnsurv.numerics.rule_bootstrap import Limit, short_of_limit, within_limit
from churnsurv.numerics.rule_confidence import MayBeBest, may_be_best_of
from churnsurv.numerics.rule_limits import BlockOptions, Listed, first_that
from churnsurv.numerics.rule_rounding import roundest_listed
from churnsurv.numerics.rule_search import NOBODY, RuleFamily
from churnsurv.warning.objectives import Capacity, Objective, Precision, Value
from churnsurv.warning.tier_search import (
    PER_ALERT,
    PER_CONDITION,
    ROUNDING_COST,
    Assumed,
    FittedTier,
    roughness_of,
    worths_of,
)
from churnsurv.warning.training import Training

__all__ = ["MovingTier", "fit_moving_tier", "moving_on_average"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Parts: TypeAlias = Sequence[tuple[RuleFamily, Iterable[Listed]]]

#: Rules that resamples choose from, and how many numbers may be formed for them.
_MOST, _FEWEST, _WORK = 2_000, 200, 200_000_000
#: Totals of listed rules that are kept for the next limit.
_KEPT = 40_000_000
#: Rules whose precise bound is worked out at once.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class MovingTier(FittedTier):
    """A `FittedTier`; `candidates` is the number of rules that resamples chose from."""

    candidates: int = 0


def fit_moving_tier(
    training: Training, objective: Objective, until: Ints, samples: Floats, *, level: float, rounded: bool
) -> MovingTier:
    """Fit a tier of a value or a precision; parameters as of `tier_search.fit_tier`."""
    gaps = _Gaps(training, training.moving_counts(until), level)
    if isinstance(objective, Value):
        return _fit_value(gaps, objective, samples, rounded=rounded)
    if isinstance(objective, Precision):
        return _Limited(gaps, rounded=rounded).fit(Limit(target=objective.target, level=level), samples)
    raise TypeError(f"a capacity is searched by moving_on_average, not {type(objective).__name__}")


def moving_on_average(
    training: Training, until: Ints, samples: Floats, *, level: float, rounded: bool
) -> Callable[[Capacity, bool], FittedTier]:
    """A search for the best rule with so many alerts a day on average, as `tier_search.on_average`."""
    limited = _Limited(_Gaps(training, training.moving_counts(until), level), rounded=rounded)
    n_days, none = training.counts.n_days, samples[:0]

    def search(objective: Capacity, drawn: bool) -> FittedTier:
        limit = Limit(most=float(objective.per_day or 0.0) * n_days, level=level)
        return limited.fit(limit, samples if drawn else none)

    return search


@dataclass(frozen=True, slots=True, eq=False)
class _Gaps:
    """Gaps over each pair of variables, with what is asked of them."""

    training: Training
    counts: Sequence[MovingCounts]
    level: float

    @property
    def n_candidates(self) -> int:
        """Rules whose sums by block can be formed in reasonable time."""
        rows = max(each.movers.path.size for each in self.counts) + self.training.counts.n_blocks
        return int(np.clip(_WORK // rows, _FEWEST, _MOST))

    def listed(self, weight: Floats, cost: float = 0.0) -> Parts:
        """The rules of each pair, listed when they are asked for."""
        return [(each.family, each.listed(weight, cost)) for each in self.counts]

    def by_block(self, found: Ranked, weight: Floats, cost: float = 0.0) -> tuple[Floats, Floats, Floats]:
        """Alerts, churners and lead of rules by block; shapes (n_blocks, n)."""
        sums = [np.zeros((self.training.counts.n_blocks, found.pair.size)) for _ in range(3)]
        for pair in np.unique(found.pair):
            mine, counts = found.pair == pair, self.counts[pair]
            parts = counts.by_block(counts.options(), found.rules[mine], weight, cost)
            for total, part in zip(sums, parts, strict=True):
                total[:, mine] = part
        return sums[0], sums[1], sums[2]


# ----------------------------------------------------------------------------------------------------------- value


def _fit_value(gaps: _Gaps, objective: Value, samples: Floats, *, rounded: bool) -> MovingTier:
    training = gaps.training
    n_gaps, cost = float(training.gaps.sum()), float(objective.contact_cost or 0.0)
    worth = objective.worth(training.days)
    whole = (float(worth.max()) * training.churned.sum() + cost * n_gaps) / n_gaps
    per_alert, per_condition = cost + PER_ALERT * whole, PER_CONDITION * whole * n_gaps
    most = gaps.n_candidates if samples.size else 1
    found = ranked(gaps.listed(worth, per_alert), per_condition=per_condition, per_alert=0.0, most=most)
    pays = bool(found.score.size and found.score[0] > 0)
    pair, five = (int(found.pair[0]), found.rules[0]) if pays else (0, np.array(NOBODY))
    chosen, kept = five, 1.0
    if rounded and pays:
        counts, worths = gaps.counts[pair], np.stack([each for _, each in worths_of(training, objective)])
        stated = counts.totals(five[None], worths, cost)[1:]
        least = stated - ROUNDING_COST * stated[0]

        def holds(rules: Ints) -> Flags:
            return np.asarray((counts.totals(rules, worths, cost)[1:] >= least).all(axis=0))

        chosen = _rounded(gaps, pair, five, worth, per_alert, holds)
        both = counts.totals(np.stack([chosen, five]), worth[None], per_alert)[1]
        kept = float(both[0] / both[1])
    drawn = _drawn_values(gaps, found, worth, per_alert, per_condition, samples)
    return MovingTier(
        pair,
        chosen,
        five,
        kept,
        drawn.pair,
        drawn.five,
        optimism=drawn.optimism,
        nobody=drawn.nobody,
        may_be_best=drawn.may_be_best,
        assumed=_sensitivity(gaps, objective, (pair, chosen), per_condition),
        candidates=found.pair.size,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """What resamples choose among candidates, and which of these may be the best."""

    pair: Ints
    five: Ints
    optimism: float
    nobody: bool
    may_be_best: tuple[MayBeBest, ...]


def _drawn_values(
    gaps: _Gaps, found: Ranked, worth: Floats, per_alert: float, per_condition: float, samples: Floats
) -> _Drawn:
    training = gaps.training
    if not samples.size:
        return _Drawn(np.zeros(0, np.int64), np.zeros((0, 5), np.int64), float("nan"), False, ())
    if not found.score.size:  # higher tiers leave no gap to alert
        n = samples.shape[0]
        return _Drawn(np.full(n, -1), np.zeros((n, 5), np.int64), 0.0, True, ())
    value = gaps.by_block(found, worth, per_alert)[2]
    estimate = value.sum(axis=0) / training.gaps.sum()
    drawn = (samples @ value) / (samples @ training.gaps)[:, None]
    score = drawn - per_condition / training.gaps.sum() * n_conditions(found.rules)
    at = score.argmax(axis=1)
    top = score[np.arange(at.size), at]
    some = top > 0
    optimism = np.where(some, top - estimate[at], 0.0)
    nobody, kept = may_be_best_of(estimate, drawn, level=gaps.level)
    sets = tuple(
        MayBeBest(found.rules[mine], estimate[mine])
        for mine in (kept & (found.pair == pair) for pair in range(len(gaps.counts)))
    )
    five = np.where(some[:, None], found.rules[at], 0)
    return _Drawn(np.where(some, found.pair[at], -1), five, float(optimism.mean()), nobody, sets)


def _sensitivity(gaps: _Gaps, objective: Value, chosen: tuple[int, Ints], per_condition: float) -> tuple[Assumed, ...]:
    found, n_gaps, cost = [], float(gaps.training.gaps.sum()), float(objective.contact_cost or 0.0)
    for label, worth in worths_of(gaps.training, objective):
        best = ranked(gaps.listed(worth, cost), per_condition=per_condition, per_alert=0.0, most=1)
        mine = float(gaps.counts[chosen[0]].totals(chosen[1][None], worth[None], cost)[1, 0])
        if not best.score.size or best.score[0] <= 0:
            found.append(Assumed(label, 0, np.array(NOBODY), 0.0, mine / n_gaps))
            continue
        pair, five = int(best.pair[0]), best.rules[0]
        most = float(gaps.counts[pair].totals(five[None], worth[None], cost)[1, 0])
        found.append(Assumed(label, pair, five, most / n_gaps, mine / n_gaps))
    return tuple(found)


def _rounded(gaps: _Gaps, pair: int, five: Ints, weight: Floats, cost: float, holds: Callable[[Ints], Flags]) -> Ints:
    """The same rule with rounder thresholds, where that costs less than a hundredth of its benefit."""
    counts = gaps.counts[pair]
    best = float(counts.totals(five[None], weight[None], cost)[1, 0])
    every = float((np.abs(weight).max() + cost) * gaps.training.gaps.sum()) + 1.0
    return roundest_listed(
        counts.listed(weight, cost),
        counts.family,
        rule=five,
        roughness=roughness_of(gaps.training, pair),
        most=every,
        least=(1 - ROUNDING_COST) * best,
        holds=holds,
    )


# ---------------------------------------------------------------------------------------------------------- limits


class _Limited:
    """The rule with the most lead-weighted recall that keeps a limit; rules are listed once for several limits."""

    def __init__(self, gaps: _Gaps, *, rounded: bool) -> None:
        training = gaps.training
        self.gaps, self.rounded = gaps, rounded
        self.lead: Floats = (training.idle_days - training.days) / training.idle_days
        whole = float(training.churned.sum())
        self.per_condition, self.per_alert = PER_CONDITION * whole, PER_ALERT * whole / float(training.gaps.sum())
        options = [each.n_conditions * each.n_days for each in training.families]
        n_rules = sum(each.n_splits * n * n for each, n in zip(training.families, options, strict=True))
        self._kept: Parts | None = None
        if 4 * n_rules <= _KEPT:
            self._kept = [(family, list(listed)) for family, listed in gaps.listed(self.lead)]
        self.options: Callable[[int], BlockOptions] = cache(lambda pair: gaps.counts[pair].options())

    @property
    def parts(self) -> Parts:
        """The rules of each pair."""
        return self.gaps.listed(self.lead) if self._kept is None else self._kept

    def ranked(self, **settings: Any) -> Ranked:
        """`moving_rules.ranked` of them."""
        return ranked(self.parts, per_condition=self.per_condition, per_alert=self.per_alert, **settings)

    def fit(self, limit: Limit, samples: Floats) -> MovingTier:
        """Fit the tier; see `tier_search.fit_tier`."""
        score, pair, five = self._precise(limit) if limit.target is not None else self._few(limit)
        n, none = samples.shape[0], np.array(NOBODY)
        drawn = np.full(n, -1), np.zeros((n, 5), dtype=np.int64)
        if score == -np.inf:
            return MovingTier(0, none, none, 1.0, *drawn, nearest=self._nearest(limit))
        chosen, kept, counts, candidates = five, 1.0, self.gaps.counts[pair], 0
        if self.rounded:
            chosen = _rounded(self.gaps, pair, five, self.lead, 0.0, lambda rules: self._keep(pair, rules, limit))
            both = counts.totals(np.stack([chosen, five]), self.lead[None])[1]
            kept = float(both[0] / both[1])
        if samples.size:
            near = self._near(limit, score)
            drawn, candidates = self._chosen(near, limit, samples), near.pair.size
        return MovingTier(pair, chosen, five, kept, *drawn, candidates=candidates)

    def _few(self, limit: Limit) -> tuple[float, int, Ints]:
        most = float(limit.most or 0.0)
        found = self.ranked(most=1, fits=lambda listed: listed.alerts <= most)
        if not found.score.size:
            return -np.inf, 0, np.array(NOBODY)
        return float(found.score[0]), int(found.pair[0]), found.rules[0]

    def _precise(self, limit: Limit) -> tuple[float, int, Ints]:
        """As `rule_limits.best_in_precision`, over all pairs."""
        best, target, z = (-np.inf, 0, np.array(NOBODY)), float(limit.target or 0.0), float(ndtri(limit.level))
        for pair, (family, rules_listed) in enumerate(self.parts):
            for listed in rules_listed:
                score = listed.lead - self.per_condition * listed.penalty - self.per_alert * listed.alerts
                likely = (listed.churned >= target * listed.alerts) & (score > best[0])
                flat = np.flatnonzero(listed.allowed & likely)
                n = listed.alerts.flat[flat]
                flat = flat[wilson_lower(listed.churned.flat[flat] / n, n, z) >= target]

                def reaches(where: Ints, pair: int = pair, listed: Listed = listed) -> Flags:
                    return self._first_kept(pair, listed.rules(where, self.gaps.counts[pair].family), limit)

                at = first_that(reaches, flat, score.flat[flat])
                if at is not None:
                    best = float(score.flat[at]), pair, listed.rules(np.array([at]), family)[0]
        return best

    def _bounds(self, pair: int, rules: Ints, level: float) -> Floats:
        alerts, churned, _ = self.gaps.counts[pair].by_block(self.options(pair), rules, self.lead)
        return lower_bounds(churned, alerts, level=level)

    def _first_kept(self, pair: int, rules: Ints, limit: Limit) -> Flags:
        """Whether rules are precise enough, up to the first that is."""
        found = np.zeros(len(rules), dtype=np.bool_)
        for start in range(0, len(rules), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            found[here] = self._bounds(pair, rules[here], limit.level) >= float(limit.target or 0.0)
            if found[here].any():
                break
        return found

    def _keep(self, pair: int, rules: Ints, limit: Limit) -> Flags:
        if limit.target is not None:
            return self._first_kept(pair, rules, limit)
        alerts = self.gaps.counts[pair].totals(rules, self.lead[None])[0]
        return np.asarray(alerts <= float(limit.most or 0.0))

    def _near(self, limit: Limit, score: float) -> Ranked:
        """The rules that come nearest to being chosen, as in `rule_bootstrap`."""

        def nearness(listed: Listed) -> Floats:
            far = np.full(listed.alerts.shape, np.inf)
            some = listed.allowed
            short = short_of_limit(listed.alerts[some], listed.churned[some], limit)
            far[some] = short**2 + (np.maximum(score - listed.lead[some], 0.0) ** 2) / max(score, 1.0)
            return -far

        return self.ranked(most=self.gaps.n_candidates, score=nearness)

    def _chosen(self, near: Ranked, limit: Limit, samples: Floats) -> tuple[Ints, Ints]:
        alerts, churned, lead = self.gaps.by_block(near, self.lead)
        margin = None
        if limit.target is not None:
            bound = lower_bounds(churned, alerts, level=limit.level)
            share = churned.sum(axis=0) / alerts.sum(axis=0)
            margin = logit(np.clip(share, 1e-9, 1 - 1e-9)) - logit(np.clip(bound, 1e-9, 1 - 1e-9))
        score = samples @ lead - self.per_condition * n_conditions(near.rules)
        score[~within_limit(samples @ alerts, samples @ churned, margin, limit)] = -np.inf
        at = score.argmax(axis=1)
        some = score[np.arange(at.size), at] > -np.inf
        return np.where(some, near.pair[at], -1), np.where(some[:, None], near.rules[at], 0)

    def _nearest(self, limit: Limit) -> tuple[float, int, Ints] | None:
        """The nearest target that some rule meets: the highest lower bound among the most promising rules."""
        if limit.target is None:
            return None
        z = float(ndtri(limit.level))

        def promise(listed: Listed) -> Floats:
            share = listed.churned / np.maximum(listed.alerts, 1.0)
            return wilson_lower(share, listed.alerts, z)

        found = self.ranked(most=self.gaps.n_candidates, score=promise)
        if not found.score.size:
            return None
        alerts, churned, _ = self.gaps.by_block(found, self.lead)
        bounds = lower_bounds(churned, alerts, level=limit.level)
        at = int(bounds.argmax())
        return float(bounds[at]), int(found.pair[at]), found.rules[at]
