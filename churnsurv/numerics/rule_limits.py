"""The best first-alert rule under a limit: precise enough, or few enough alerts; exactly, by listing the rules.

Neither a share of alerts that are right nor a number of alerts adds up over cells in a way that lets the two sides of
a split be chosen apart. So all pairs of sides are formed from sums over one-sided sets (`rule_search`), as outer sums:
with 10 and 5 cuts and 29 days some 3 million rules. The confidence bound of a precision needs the sums by cluster of
users; it is worked out for the rules in the order of their score until one of them reaches the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from churnsurv.numerics.precision_bound import lower_bounds, wilson_lower
from churnsurv.numerics.rule_search import AlertCounts, RuleFamily, one_sided, region_sums

__all__ = [
    "Best",
    "BlockOptions",
    "Listed",
    "best_in_capacity",
    "best_in_precision",
    "block_options",
    "first_that",
    "listed_rules",
    "most_precise",
    "option_rules",
    "precision_bounds",
    "side_pairs",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
BlockOptions: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]

_CHUNK = 2_048
_NEAREST = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The rules with one split: all pairs of a first and a second side.

    Attributes
    ----------
    split : int
        0: no split, and one column.
    alerts, churned, lead : (n_first, n_second) float64
        Their totals; lead is the sum over alerted churners of their weight.
    penalty : (n_first, n_second) float64
        Number of conditions.
    allowed : (n_first, n_second) bool
        In the family, and alerting anybody.
    """

    split: int
    alerts: Floats
    churned: Floats
    lead: Floats
    penalty: Floats
    allowed: Flags

    def rules(self, flat: NDArray[np.integer[Any]], family: RuleFamily) -> Ints:
        """The rules at flat positions, as five numbers each; shape (n, 5)."""
        return option_rules(self.split, *np.divmod(flat, self.alerts.shape[1]), family)


def option_rules(
    split: int, first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]], family: RuleFamily
) -> Ints:
    """Rules from the options of their sides: 0 is never, then condition by day; shape (n, 5).

    Examples
    --------
    >>> option_rules(1, np.array([2]), np.array([0]), RuleFamily(n_splits=1, n_cuts=0, n_days=3)).tolist()
    [[1, 0, 2, 0, 0]]
    """
    sides = []
    for option in (first, second):
        condition, day = np.divmod(option - 1, family.n_days)
        sides += [np.where(option > 0, condition, 0), np.where(option > 0, day + 1, 0)]
    return np.column_stack([np.full(first.size, split), *sides])


def side_pairs(family: RuleFamily) -> Flags:
    """Which first and second sides of a split make a rule of the family; option 0 is never, then condition by day."""
    n = family.n_conditions * family.n_days
    condition, day = np.divmod(np.arange(n), family.n_days)
    fine = np.concatenate([[True], family.allowed[condition]])
    pairs = fine[:, None] & fine[None]
    if family.split_order is not None:
        covers = family.covers()[condition][:, condition] & (day[:, None] <= day[None])
        leads = np.zeros((n + 1, n + 1), dtype=np.bool_)
        leads[1:, 1:] = covers
        leads[:, 0] = True
        pairs &= leads if family.split_order == "decreasing" else leads.T
    pairs[0, 0] = False
    return np.asarray(pairs)


def listed_rules(alerts: Floats, churned: Floats, lead: Floats, family: RuleFamily) -> Iterator[Listed]:
    """List the rules of a family, split by split.

    Parameters
    ----------
    alerts, churned, lead : (n_1, n_2, n_days) float64
        What alerting a cell for the first time on a day adds to each total.
    family : RuleFamily
    """
    k = family.n_splits
    sums = [region_sums(each).reshape(2 * k + 1, -1) for each in (alerts, churned, lead)]
    extra = np.repeat(np.arange(family.n_conditions) > 0, family.n_days)
    alone = np.repeat(family.allowed, family.n_days)
    totals = [np.concatenate([[0.0], each[0]])[:, None] for each in sums]
    fine = np.concatenate([[False], alone])[:, None]
    penalty = np.concatenate([[0.0], 1.0 + extra])[:, None]
    yield Listed(0, totals[0], totals[1], totals[2], penalty, fine & (totals[0] > 0))
    pairs = side_pairs(family)
    side = np.concatenate([[0.0], 2.0 + extra])
    for split in range(1, k + 1):
        totals = [
            np.add.outer(np.concatenate([[0.0], each[split]]), np.concatenate([[0.0], each[k + split]]))
            for each in sums
        ]
        yield Listed(split, totals[0], totals[1], totals[2], np.add.outer(side, side), pairs & (totals[0] > 0))


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """A rule and its score; the score is minus infinity where no rule is within the limit.

    Attributes
    ----------
    score : float
    rule : (5,) int64
        As in `rule_search.NOBODY`.
    """

    score: float
    rule: Ints


_NONE = Best(-np.inf, np.zeros(5, dtype=np.int64))


def best_in_capacity(
    alerts: Floats,
    churned: Floats,
    lead: Floats,
    family: RuleFamily,
    *,
    most: float,
    per_condition: float,
    per_alert: float,
) -> Best:
    """Find the rule with the largest lead among those with at most so many alerts.

    Parameters
    ----------
    alerts, churned, lead : (n_1, n_2, n_days) float64
    family : RuleFamily
    most : float
    per_condition, per_alert : float
        So little lead that it only decides between equals.
    """
    best = _NONE
    for listed in listed_rules(alerts, churned, lead, family):
        score = listed.lead - per_condition * listed.penalty - per_alert * listed.alerts
        score[~(listed.allowed & (listed.alerts <= most))] = -np.inf
        at = int(score.argmax())
        if score.flat[at] > best.score:
            best = Best(float(score.flat[at]), listed.rules(np.array([at]), family)[0])
    return best


def best_in_precision(
    counts: AlertCounts,
    weight: Floats,
    family: RuleFamily,
    *,
    by_block: BlockOptions,
    target: float,
    level: float,
    per_condition: float,
    per_alert: float,
    beat: float = -np.inf,
) -> Best:
    """Find the rule with the largest lead whose lower confidence bound of precision reaches the target.

    Parameters
    ----------
    counts : AlertCounts
    weight : (n_days,) float64
        What an alerted churner counts on each day.
    family : RuleFamily
    by_block : tuple
        `block_options` of the counts.
    target, level : float
        See `lower_bounds`.
    per_condition, per_alert : float
        So little lead that it only decides between equals.
    beat : float
        Only rules with a score above this are of interest.
    """
    best, z = Best(beat, _NONE.rule), float(ndtri(level))
    for listed in _listed(counts, weight, family):
        score = listed.lead - per_condition * listed.penalty - per_alert * listed.alerts
        right = listed.churned >= target * listed.alerts
        flat = np.flatnonzero(listed.allowed & right & (score > best.score))
        n = listed.alerts.flat[flat]
        flat = flat[wilson_lower(listed.churned.flat[flat] / n, n, z) >= target]

        def reaches(where: Ints, listed: Listed = listed) -> Flags:
            bounds = precision_bounds(by_block, listed.rules(where, family), family, level=level)
            return np.asarray(bounds >= target)

        at = first_that(reaches, flat, score.flat[flat])
        if at is not None:
            best = Best(float(score.flat[at]), listed.rules(np.array([at]), family)[0])
    return best if best.score > beat else _NONE


def most_precise(
    counts: AlertCounts, weight: Floats, family: RuleFamily, *, by_block: BlockOptions, level: float
) -> Best:
    """Return the highest lower bound of precision among the 4,096 rules of each split that look best: the score."""
    best, z = _NONE, float(ndtri(level))
    for listed in _listed(counts, weight, family):
        flat = np.flatnonzero(listed.allowed)
        n = listed.alerts.flat[flat]
        likely = wilson_lower(listed.churned.flat[flat] / n, n, z)
        if flat.size > _NEAREST:
            flat = flat[np.argpartition(-likely, _NEAREST)[:_NEAREST]]
        if not flat.size:
            continue
        rules = listed.rules(flat, family)
        bounds = precision_bounds(by_block, rules, family, level=level)
        at = int(bounds.argmax())
        if bounds[at] > best.score:
            best = Best(float(bounds[at]), rules[at])
    return best


def _listed(counts: AlertCounts, weight: Floats, family: RuleFamily) -> Iterator[Listed]:
    alerts, churned = counts.alerts.sum(axis=0), counts.churned.sum(axis=0)
    return listed_rules(alerts, churned, weight * churned, family)


def block_options(counts: AlertCounts) -> BlockOptions:
    """Alerts and churners of each one-sided set and day, by block; shape (2 K + 1, 1 + n_options, n_blocks).

    Option 0 is never. In single precision, which is exact for counts below 16 million in a block.
    """
    found = []
    for each in (counts.alerts, counts.churned):
        by_cell = np.ascontiguousarray(np.moveaxis(each, 0, -1), dtype=np.float32)
        sums = one_sided(one_sided(by_cell, axis=0), axis=1)
        options = sums.reshape(sums.shape[0], -1, sums.shape[-1])
        found.append(np.concatenate([np.zeros_like(options[:, :1]), options], axis=1))
    return found[0], found[1]


def precision_bounds(by_block: BlockOptions, rules: Ints, family: RuleFamily, *, level: float) -> Floats:
    """Lower bounds of the precision of rules, from `block_options`; shape (n_rules,)."""
    split, first, first_day, second, second_day = rules.T
    options = [np.where(day > 0, e * family.n_days + day, 0) for e, day in ((first, first_day), (second, second_day))]
    high = np.where(split > 0, family.n_splits + split, 0)
    found = np.empty(len(rules))
    for start in range(0, len(rules), _CHUNK):
        here = slice(start, start + _CHUNK)
        alerts, churned = (
            each[split[here], options[0][here]] + each[high[here], options[1][here]] for each in by_block
        )
        found[here] = lower_bounds(churned.T, alerts.T, level=level)
    return found


def first_that(holds: Callable[[Ints], Flags], flat: Ints, score: Floats) -> int | None:
    """The position with the highest score for which something holds that is costly to know."""
    take = _CHUNK
    while flat.size:
        top = np.argpartition(-score, take - 1)[:take] if flat.size > take else np.arange(flat.size)
        for start in range(0, top.size, _CHUNK):
            chunk = top[np.argsort(-score[top], kind="stable")][start : start + _CHUNK]
            fine = holds(flat[chunk])
            if fine.any():
                return int(flat[chunk[int(fine.argmax())]])
        left = np.ones(flat.size, dtype=np.bool_)
        left[top] = False
        flat, score, take = flat[left], score[left], 4 * take
    return None
