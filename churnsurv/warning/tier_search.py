"""One tier: the best rule for its objective among gaps that no higher tier has, rounded, and what resamples choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.rule_bootstrap import Limit, chosen_by_samples
from churnsurv.numerics.rule_confidence import MayBeBest, Resampled, may_be_best, resampled
from churnsurv.numerics.rule_limits import (
    Best,
    BlockOptions,
    best_in_capacity,
    best_in_precision,
    block_options,
    most_precise,
    precision_bounds,
)
from churnsurv.numerics.rule_rounding import Roughness, roundest
from churnsurv.numerics.rule_search import NOBODY, AlertCounts, RuleFamily, best_rules, rule_totals
from churnsurv.warning.objectives import Capacity, Objective, Precision, Value
from churnsurv.warning.training import Training

__all__ = [
    "PER_ALERT",
    "PER_CONDITION",
    "ROUNDING_COST",
    "Assumed",
    "FittedTier",
    "fit_tier",
    "fit_value",
    "on_average",
    "roughness_of",
    "worths_of",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: Shares of the whole benefit so small that they only decide between equals: fewer conditions, then fewer alerts.
PER_CONDITION, PER_ALERT = 1e-7, 1e-9
#: Share of net benefit that rounder thresholds may cost.
ROUNDING_COST = 0.01
_ROUND_DAYS = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Assumed:
    """The best rule under another saving curve, and how the chosen one does under it; benefits per gap."""

    saving: str
    pair: int
    five: Ints
    value: float
    chosen: float


@dataclass(frozen=True, slots=True, eq=False)
class FittedTier:
    """What fitting one tier has found. Rules are a pair of variables and five numbers.

    Attributes
    ----------
    pair : int
        0 with `NOBODY` where no rule serves.
    five, fitted : (5,) int64
        The rule after and before rounding.
    kept : float
        Share of the benefit that is left after rounding.
    sample_pair, sample_five : (n,) and (n, 5) int64
        What bootstrap samples of users choose; -1 for nobody.
    optimism : float
        Mean excess of a sample's best benefit, in the sample, over its benefit among all gaps; per gap.
    nobody : bool
        Whether contacting nobody may be best.
    may_be_best : tuple of MayBeBest
        By pair; empty but for a value.
    assumed : tuple of Assumed
    nearest : (float, int, (5,) int64), or None
        Where no rule is precise enough: the nearest target that one meets.
    """

    pair: int
    five: Ints
    fitted: Ints
    kept: float
    sample_pair: Ints
    sample_five: Ints
    optimism: float = float("nan")
    nobody: bool = False
    may_be_best: tuple[MayBeBest, ...] = ()
    assumed: tuple[Assumed, ...] = ()
    nearest: tuple[float, int, Ints] | None = None


def fit_tier(
    training: Training, objective: Objective, until: Ints, samples: Floats, *, level: float, rounded: bool
) -> FittedTier:
    """Fit one tier.

    Parameters
    ----------
    training : Training
    objective : Value, Precision or Capacity
    until : (n_rows,) int64
        Day on which a higher tier takes the gaps of a row over.
    samples : (n_samples, n_blocks) float64
        How often each bootstrap sample has drawn each block.
    level : float
    rounded : bool
    """
    counts = training.alert_counts(until)
    if isinstance(objective, Value):
        return fit_value(training, objective, counts, samples, level=level, rounded=rounded)
    return _fit_limited(training, objective, counts, samples, level=level, rounded=rounded)


def on_average(
    training: Training, until: Ints, samples: Floats, *, level: float, rounded: bool
) -> Callable[[Capacity, bool], FittedTier]:
    """A search for the best rule with so many alerts a day on average; the flag: what samples would have chosen, too.

    Parameters
    ----------
    training, until, samples, level, rounded
        As for `fit_tier`.
    """
    counts, none = training.alert_counts(until), samples[:0]

    def search(objective: Capacity, drawn: bool) -> FittedTier:
        chosen = samples if drawn else none
        return _fit_limited(training, objective, counts, chosen, level=level, rounded=rounded)

    return search


# ----------------------------------------------------------------------------------------------------------- value


def fit_value(
    training: Training, objective: Value, counts: list[AlertCounts], samples: Floats, *, level: float, rounded: bool
) -> FittedTier:
    """Fit the rule with the highest net benefit."""
    n_gaps, cost = float(training.gaps.sum()), float(objective.contact_cost or 0.0)
    worth = objective.worth(training.days)
    whole = (float(worth.max()) * training.churned.sum() + cost * n_gaps) / n_gaps
    per_alert = cost + PER_ALERT * whole
    search = partial(_best_over_pairs, training, per_condition=PER_CONDITION * whole)
    parts = _resampled_parts(training, worth, per_alert, counts, samples)
    pair, five, score = (each[0] for each in search([part.estimate[None] for part in parts]))
    kept, chosen = 1.0, five
    if rounded and score > 0:
        holds = _costs_little(training, objective, counts[pair], int(pair), five)
        chosen = _rounded(training, int(pair), five, counts[pair], parts[pair].estimate, holds)
        totals = [_total(training, int(pair), each, parts[pair].estimate) for each in (chosen, five)]
        kept = totals[0] / totals[1]
    sample_pair, sample_five, sample_score = search([part.samples for part in parts])
    nobody, best = may_be_best(parts, level=level) if samples.size else (False, [])
    return FittedTier(
        int(pair),
        chosen,
        five,
        kept,
        np.where(sample_five.any(axis=1), sample_pair, -1),
        sample_five,
        optimism=_optimism(training, parts, sample_pair, sample_five, sample_score),
        nobody=nobody,
        may_be_best=tuple(best),
        assumed=_sensitivity(training, objective, counts, (int(pair), chosen), search),
    )


def _costs_little(
    training: Training, objective: Value, counts: AlertCounts, pair: int, five: Ints
) -> Callable[[Ints], NDArray[np.bool_]]:
    """Whether rules, as five numbers each, are worth nearly as much as a rule under other saving curves too.

    A threshold that costs little today may cost much once contacts save less, or fewer users churn.
    """
    family, cost = training.families[pair], float(objective.contact_cost or 0.0)
    alerts, churned = counts.alerts.sum(axis=0), counts.churned.sum(axis=0)
    values = np.stack([worth * churned - cost * alerts for _, worth in worths_of(training, objective)])
    mine = rule_totals(values, five[None], family)
    least = mine - ROUNDING_COST * mine[0]
    return lambda rules: np.asarray((rule_totals(values, rules, family) >= least).all(axis=0))


def worths_of(training: Training, objective: Value) -> list[tuple[str, Floats]]:
    """What a contact is worth where the gap ends in churn, by day: as stated, and under the variants of the curve."""
    if objective.saving is None:
        return []
    value = float(objective.saved_value or 0.0)
    curves = (("as stated", objective.saving), *objective.saving.variants())
    return [(label, value * curve.at(training.days)) for label, curve in curves]


def _resampled_parts(
    training: Training, worth: Floats, per_alert: float, counts: list[AlertCounts], samples: Floats
) -> list[Resampled]:
    """Benefits per gap over each ordered pair; those of a pair in reverse are the same numbers."""
    made: dict[tuple[int | None, int | None], tuple[Floats, Floats]] = {}
    for pair, each in zip(training.pairs, counts, strict=True):
        turned = (pair[1], pair[0])
        if turned in made and pair[0] is not None:
            estimate, drawn = made[turned]
            made[pair] = estimate.swapaxes(0, 1), drawn.swapaxes(1, 2)
            continue
        values = worth * each.churned - per_alert * each.alerts
        made[pair] = values.sum(axis=0) / training.gaps.sum(), resampled(values, training.gaps, samples)
    return [Resampled(family, *made[pair]) for pair, family in zip(training.pairs, training.families, strict=True)]


def _best_over_pairs(training: Training, values: list[Floats], *, per_condition: float) -> tuple[Ints, Ints, Floats]:
    """Pair, five numbers and score of the best rule for each of n benefits; the first pair among equals."""
    found = [
        best_rules(each, family, per_condition=per_condition)
        for each, family in zip(values, training.families, strict=True)
    ]
    scores = np.stack([each.score for each in found])
    if not scores.size:
        return np.zeros(0, np.int64), np.zeros((0, 5), np.int64), np.zeros(0)
    pair = scores.argmax(axis=0)
    rules = np.stack([each.rule for each in found])
    return pair, rules[pair, np.arange(pair.size)], scores.max(axis=0)


def _total(training: Training, pair: int, five: Ints, values: Floats) -> float:
    return float(rule_totals(values[None], five[None], training.families[pair])[0, 0])


def _optimism(training: Training, parts: list[Resampled], pair: Ints, five: Ints, score: Floats) -> float:
    if not pair.size:
        return float("nan")
    among_all = np.zeros(pair.size)
    for i, part in enumerate(parts):
        mine = pair == i
        if mine.any():
            among_all[mine] = rule_totals(part.estimate[None], five[mine], training.families[i])[0]
    return float((score - among_all).mean())


def _sensitivity(
    training: Training,
    objective: Value,
    counts: list[AlertCounts],
    chosen: tuple[int, Ints],
    search: Callable[[list[Floats]], tuple[Ints, Ints, Floats]],
) -> tuple[Assumed, ...]:
    found, n_gaps = [], training.gaps.sum()
    sums = [(each.churned.sum(axis=0), each.alerts.sum(axis=0)) for each in counts]
    for label, worth in worths_of(training, objective):
        values = [
            (worth * churned - float(objective.contact_cost or 0.0) * alerts) / n_gaps for churned, alerts in sums
        ]
        pair, five, _ = search([each[None] for each in values])
        best = _total(training, int(pair[0]), five[0], values[pair[0]])
        found.append(Assumed(label, int(pair[0]), five[0], best, _total(training, *chosen, values[chosen[0]])))
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------- limits


def _fit_limited(
    training: Training, objective: Objective, counts: list[AlertCounts], samples: Floats, *, level: float, rounded: bool
) -> FittedTier:
    """Fit the rule with the most lead-weighted recall that is precise enough, or has few enough alerts."""
    lead = (training.idle_days - training.days) / training.idle_days
    limit = _limit(training, objective, level)
    whole = float(training.churned.sum())
    penalties = {"per_condition": PER_CONDITION * whole, "per_alert": PER_ALERT * whole / float(training.gaps.sum())}
    # those of many pairs of variables would not fit into memory together
    by_block = lru_cache(maxsize=2)(lambda i: block_options(counts[i]))
    best, pair = _best_within(training, counts, by_block, lead, limit, penalties)
    if best.score == -np.inf:
        none = np.array(NOBODY)
        nearest = None if limit.target is None else _nearest(training, counts, by_block, lead, limit)
        return FittedTier(0, none, none, 1.0, *_nobody_sampled(samples), nearest=nearest)
    chosen, kept = best.rule, 1.0
    if rounded:
        benefit = lead * counts[pair].churned.sum(axis=0)
        holds = _keeps(counts[pair], partial(by_block, pair), limit, training.families[pair])
        chosen = _rounded(training, pair, best.rule, counts[pair], benefit, holds)
        kept = _total(training, pair, chosen, benefit) / _total(training, pair, best.rule, benefit)
    drawn = _nobody_sampled(samples)
    if samples.size:
        parts = list(zip(counts, training.families, strict=True))
        drawn = chosen_by_samples(
            parts,
            lead,
            samples,
            by_block=by_block,
            limit=limit,
            lead=best.score,
            per_condition=penalties["per_condition"],
        )
    return FittedTier(pair, chosen, best.rule, kept, *drawn)


def _best_within(
    training: Training,
    counts: list[AlertCounts],
    by_block: Callable[[int], BlockOptions],
    lead: Floats,
    limit: Limit,
    penalties: Mapping[str, float],
) -> tuple[Best, int]:
    """The rule with the most lead within the limit, and its pair of variables."""
    best, pair = _NOBODY_BEST, 0
    for i, (each, family) in enumerate(zip(counts, training.families, strict=True)):
        if limit.target is not None:
            found = best_in_precision(
                each,
                lead,
                family,
                by_block=by_block(i),
                target=limit.target,
                level=limit.level,
                beat=best.score,
                **penalties,
            )
        else:
            alerts, churned = each.alerts.sum(axis=0), each.churned.sum(axis=0)
            found = best_in_capacity(
                alerts, churned, lead * churned, family, most=float(limit.most or 0.0), **penalties
            )
        if found.score > best.score:
            best, pair = found, i
    return best, pair


_NOBODY_BEST = Best(-np.inf, np.array(NOBODY))


def _limit(training: Training, objective: Objective, level: float) -> Limit:
    if isinstance(objective, Precision):
        return Limit(target=objective.target, level=level)
    return Limit(most=float(getattr(objective, "per_day", 0.0)) * training.counts.n_days, level=level)


def _keeps(
    counts: AlertCounts, by_block: Callable[[], BlockOptions], limit: Limit, family: RuleFamily
) -> Callable[[Ints], NDArray[np.bool_]]:
    """Whether rules, as five numbers each, keep the limit."""
    if limit.target is None:
        alerts = counts.alerts.sum(axis=0)[None]
        return lambda rules: np.asarray(rule_totals(alerts, rules, family)[0] <= float(limit.most or 0.0))
    target, options = limit.target, by_block()
    return lambda rules: np.asarray(precision_bounds(options, rules, family, level=limit.level) >= target)


def _nobody_sampled(samples: Floats) -> tuple[Ints, Ints]:
    return np.full(samples.shape[0], -1), np.zeros((samples.shape[0], 5), dtype=np.int64)


def _nearest(
    training: Training, counts: list[AlertCounts], by_block: Callable[[int], BlockOptions], lead: Floats, limit: Limit
) -> tuple[float, int, Ints] | None:
    """The nearest target that some rule meets: the highest lower bound of precision."""
    found: tuple[float, int, Ints] | None = None
    for i, (each, family) in enumerate(zip(counts, training.families, strict=True)):
        best = most_precise(each, lead, family, by_block=by_block(i), level=limit.level)
        if np.isfinite(best.score) and (found is None or best.score > found[0]):
            found = best.score, i, best.rule
    return found


# -------------------------------------------------------------------------------------------------------- rounding


def _rounded(
    training: Training,
    pair: int,
    five: Ints,
    counts: AlertCounts,
    benefit: Floats,
    holds: Callable[[Ints], NDArray[np.bool_]],
) -> Ints:
    """The same rule with rounder thresholds, where that costs less than a hundredth of its benefit."""
    family = training.families[pair]
    best = _total(training, pair, five, benefit)
    return roundest(
        counts.alerts.sum(axis=0),
        counts.churned.sum(axis=0),
        benefit,
        family,
        rule=five,
        roughness=roughness_of(training, pair),
        least=(1 - ROUNDING_COST) * best,
        holds=holds,
    )


def roughness_of(training: Training, pair: int) -> Roughness:
    """How little round the thresholds over a pair of variables are."""
    cuts = [() if each is None else training.counts.grids[training.names[each]] for each in training.pairs[pair]]
    days = training.days - 1
    split, cut = (np.array([_digits(threshold) for threshold in each], dtype=np.float64) for each in cuts)
    odd = ~(np.isin(days, _ROUND_DAYS) | (days % 5 == 0) | (days % 7 == 0))
    return Roughness(split, cut, odd.astype(np.float64))


def _digits(cut: float) -> int:
    """Significant digits of a threshold."""
    return max(len(f"{abs(cut):.9e}".split("e")[0].replace(".", "").rstrip("0")), 1)
