"""The best first-alert rules where states move in silence: all rules are listed with their exact totals.

What gaps that stay in their cell add to a rule comes from sums over one-sided sets (`rule_search`), what moving ones
add from `first_hits`. Both are tables by side and option, so that the rules of a split are an outer sum, less what gaps
would count twice that have been on both of its sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.first_hits import Movers, double_hits, first_hit_days, first_hits
from churnsurv.numerics.rule_limits import BlockOptions, Listed, block_options, side_pairs
from churnsurv.numerics.rule_search import AlertCounts, RuleFamily, region_sums, rule_totals

__all__ = ["MovingCounts", "Ranked", "n_conditions", "ranked"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MovingCounts:
    """Gaps over an ordered pair of variables.

    Attributes
    ----------
    staying : AlertCounts
        Gaps that stay in their cell.
    movers : Movers
    family : RuleFamily
    """

    staying: AlertCounts
    movers: Movers
    family: RuleFamily

    def listed(self, weight: Floats, cost: float = 0.0) -> Iterator[Listed]:
        """List the rules split by split; their lead is the sum over alerted churners of `weight`, less `cost` an alert.

        Parameters
        ----------
        weight : (n_days,) float64
        cost : float
        """
        family, k = self.family, self.family.n_splits
        values = _three(self.movers.alerts, self.movers.churned, weight, cost)
        alerts, churned = self.staying.alerts.sum(axis=0), self.staying.churned.sum(axis=0)
        still = np.stack([region_sums(each) for each in _three(alerts, churned, weight, cost)])
        sums = (still + first_hits(values, self.movers, family)).reshape(3, 2 * k + 1, -1)
        sides = np.concatenate([np.zeros((3, 2 * k + 1, 1)), sums], axis=2)
        pairs, extra = side_pairs(family), np.repeat(np.arange(family.n_conditions) > 0, family.n_days)
        alone = np.concatenate([[False], np.repeat(family.allowed, family.n_days)])[:, None]
        for split in range(k + 1):
            if split == 0:
                totals, allowed = sides[:, 0, :, None], alone
                penalty = np.concatenate([[0.0], 1.0 + extra])[:, None]
            else:
                totals = sides[:, split, :, None] + sides[:, k + split, None, :]
                totals -= double_hits(values, self.movers, split, family)
                side = np.concatenate([[0.0], 2.0 + extra])
                penalty, allowed = np.add.outer(side, side), pairs
            yield Listed(split, totals[0], totals[1], totals[2], penalty, allowed & (totals[0] > 0))

    def totals(self, rules: Ints, weights: Floats, cost: float = 0.0) -> Floats:
        """Alerts and lead of given rules, as in `listed`, for each of several weights.

        Parameters
        ----------
        rules : (n_rules, 5) int64
        weights : (q, n_days) float64
        cost : float

        Returns
        -------
        (1 + q, n_rules) float64
        """
        alerts, churned = self.staying.alerts.sum(axis=0), self.staying.churned.sum(axis=0)
        values = np.stack([alerts, *(weight * churned - cost * alerts for weight in weights)])
        found = rule_totals(values, rules, self.family)
        alerts, churned = (_with_never(each) for each in (self.movers.alerts, self.movers.churned))
        never = np.concatenate([weights, np.zeros((len(weights), 1))], axis=1)
        paths = np.arange(len(alerts))
        for place, days in enumerate(first_hit_days(rules, self.movers, self.family)):
            alerted = float(alerts[paths, days - 1].sum())
            found[0, place] += alerted
            found[1:, place] += never[:, days - 1] @ churned[paths, days - 1] - cost * alerted
        return found

    def options(self) -> BlockOptions:
        """What the sides of rules alert among gaps that stay, by block; see `rule_limits.block_options`."""
        return block_options(self.staying)

    def by_block(
        self, options: BlockOptions, rules: Ints, weight: Floats, cost: float = 0.0
    ) -> tuple[Floats, Floats, Floats]:
        """Alerts, churners and lead of given rules by block, as in `listed`; shapes (n_blocks, n_rules)."""
        alerts, churned, lead = self._staying_by_block(options, rules, weight)
        movers, n_blocks = self.movers, len(alerts)
        if movers.path.size:
            by_row = [_with_never(each) for each in (movers.row_alerts, movers.row_churned)]
            worth, rows = np.append(weight, 0.0), np.arange(movers.path.size)
            for place, days in enumerate(first_hit_days(rules, movers, self.family)):
                day = days[movers.path] - 1
                alerted, right = by_row[0][rows, day], by_row[1][rows, day]
                alerts[:, place] += np.bincount(movers.block, alerted, n_blocks)
                churned[:, place] += np.bincount(movers.block, right, n_blocks)
                lead[:, place] += np.bincount(movers.block, right * worth[day], n_blocks)
        return alerts, churned, lead - cost * alerts

    def _staying_by_block(self, options: BlockOptions, rules: Ints, weight: Floats) -> tuple[Floats, Floats, Floats]:
        family = self.family
        split, *sides = np.asarray(rules).T
        alerts, churned, lead = (np.zeros((options[0].shape[2], len(rules))) for _ in range(3))
        high = np.where(split > 0, family.n_splits + split, 0)
        for place, (condition, day) in ((split, sides[:2]), (high, sides[2:])):
            option = np.where(day > 0, condition * family.n_days + day, 0)
            alerts += options[0][place, option].T
            right = options[1][place, option].T.astype(np.float64)
            churned += right
            lead += right * np.where(day > 0, weight[np.maximum(day, 1) - 1], 0.0)
        return alerts, churned, lead


def _three(alerts: Floats, churned: Floats, weight: Floats, cost: float) -> Floats:
    return np.stack([alerts, churned, weight * churned - cost * alerts])


def _with_never(values: Floats) -> Floats:
    return np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)


def n_conditions(rules: Ints) -> Floats:
    """How many conditions rules have; shape (n_rules,).

    Examples
    --------
    >>> n_conditions(np.array([[0, 0, 0, 0, 0], [0, 2, 5, 0, 0], [1, 0, 2, 1, 3]])).tolist()
    [0.0, 2.0, 5.0]
    """
    split, first, first_day, second, second_day = rules.T
    low, high = ((1 + (split > 0) + (e > 0)) * (day > 0) for e, day in ((first, first_day), (second, second_day)))
    return np.asarray(low + high, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Rules by falling score, of several pairs of variables.

    Attributes
    ----------
    score : (n,) float64
        Lead less the penalties.
    pair : (n,) int64
    rules : (n, 5) int64
        As in `rule_search.NOBODY`.
    n_rules : int
        How many rules there were to choose from.
    """

    score: Floats
    pair: Ints
    rules: Ints
    n_rules: int


def ranked(
    parts: Iterable[tuple[RuleFamily, Iterable[Listed]]],
    *,
    per_condition: float,
    per_alert: float,
    most: int,
    fits: Callable[[Listed], Flags] | None = None,
    score: Callable[[Listed], Floats] | None = None,
) -> Ranked:
    """Rank rules by their score, and give the first `most`.

    Parameters
    ----------
    parts : iterable of (RuleFamily, iterable of Listed)
        Of each pair of variables, see `MovingCounts.listed`.
    per_condition, per_alert : float
        So little lead that it only decides between equals.
    most : int
    fits : callable, optional
        Which of listed rules are of interest.
    score : callable, optional
        Another score than lead less penalties.
    """
    none = np.zeros(0, dtype=np.int64)
    found, n_rules = [(np.zeros(0), none, none.reshape(0, 5))], 0
    for pair, (family, rules_listed) in enumerate(parts):
        for listed in rules_listed:
            plain = listed.lead - per_condition * listed.penalty - per_alert * listed.alerts
            values = plain if score is None else score(listed)
            wanted = listed.allowed if fits is None else listed.allowed & fits(listed)
            flat = np.flatnonzero(wanted)
            n_rules += flat.size
            mine = values.flat[flat]
            if flat.size > most:
                top = np.sort(np.argpartition(-mine, most - 1)[:most])
                flat, mine = flat[top], mine[top]
            found.append((mine, np.full(flat.size, pair), listed.rules(flat, family)))
    values, pairs, rules = (np.concatenate(each) for each in zip(*found, strict=True))
    first = np.argsort(-values, kind="stable")[:most]
    return Ranked(values[first], pairs[first], rules[first], n_rules)
