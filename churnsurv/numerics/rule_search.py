"""The best first-alert rule over two variables and the idle day, exactly.

Gaps of a cell (i, j) of two variables that are still silent on idle day d can be alerted on that day. A rule fixes a
first day for each cell, or none: the variable of the first axis is split at one of its cuts, and each side has a day of
its own and at most one condition on the second variable (below or at least one of its cuts). Or there is no split: one
day and at most one condition. What lies on no side of a cut (a missing value, the last cell of each axis) fulfils no
condition.

A benefit that adds up over gaps, v(i, j, d), has its best rule found without listing the rules: sums over all one-sided
sets of both axes come from cumulative sums, and but for a demanded order the two sides are chosen apart from each
other. With K cuts, M cuts, D days that is of order K M D for some 100 K M^2 D^2 rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NOBODY",
    "AlertCounts",
    "Found",
    "RuleFamily",
    "alert_counts",
    "best_rules",
    "first_days",
    "one_sided",
    "region_sums",
    "rule_totals",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: A rule is five numbers: split (0: none), then condition and day of the first side, condition and day of the second
#: (day 0: never). Without a split the first pair is the rule. The conditions are numbered as in `one_sided`.
NOBODY = (0, 0, 0, 0, 0)
_DECREASING, _INCREASING = "decreasing", "increasing"


@dataclass(frozen=True, slots=True)
class RuleFamily:
    """The rules over an ordered pair of variables.

    Attributes
    ----------
    n_splits, n_cuts : int
        Cuts of the first and of the second variable; 0 where there is no such variable.
    n_days : int
        Alert days 1 ... n_days.
    split_order, cut_order : {None, "decreasing", "increasing"}
        "decreasing": a user with less of the variable is alerted no later than one with more of it; "increasing": no
        earlier.
    """

    n_splits: int
    n_cuts: int
    n_days: int
    split_order: str | None = None
    cut_order: str | None = None

    @property
    def n_conditions(self) -> int:
        """Conditions on the second variable, none included."""
        return 2 * self.n_cuts + 1

    @property
    def allowed(self) -> Flags:
        """Which conditions on the second variable keep its order; shape (n_conditions,)."""
        return _kept(self.cut_order, self.n_cuts)

    def covers(self) -> Flags:
        """Where [a, b] holds, all users of condition b fulfil condition a; shape (n_conditions, n_conditions)."""
        inside = one_sided(np.eye(self.n_cuts + 2), axis=0) > 0
        return np.asarray((inside[:, None] | ~inside[None]).all(axis=2))


def _kept(order: str | None, n_cuts: int) -> Flags:
    allowed = np.ones(2 * n_cuts + 1, dtype=np.bool_)
    if order == _DECREASING:
        allowed[n_cuts + 1 :] = False
    elif order == _INCREASING:
        allowed[1 : n_cuts + 1] = False
    return allowed


@dataclass(frozen=True, slots=True, eq=False)
class AlertCounts:
    """Gaps that a rule would alert on each idle day, were that its first day for their cell.

    Attributes
    ----------
    alerts, churned : (n_blocks, n_1, n_2, n_days) float64
        Gaps still silent on idle days 1 ... n_days and not yet in a higher tier; those of them that end in churn.
    """

    alerts: Floats
    churned: Floats

    def transposed(self) -> AlertCounts:
        """The same with the two variables exchanged."""
        return AlertCounts(self.alerts.swapaxes(1, 2), self.churned.swapaxes(1, 2))


def alert_counts(
    block: Ints,
    first: Ints,
    second: Ints,
    duration: Ints,
    n: Ints,
    *,
    shape: tuple[int, int, int],
    idle_days: int,
    until: Ints | None = None,
) -> AlertCounts:
    """Count gaps by block, cell and the days on which they could be alerted.

    Parameters
    ----------
    block, first, second : (n_rows,) int64
        Cluster, and cells of the two variables, from 0.
    duration : (n_rows,) int64
        Days to the next activity, 1 ... idle_days; idle_days + 1 stands for more, which is churn.
    n : (n_rows,) int64
        Gaps that a row stands for.
    shape : (n_blocks, n_1, n_2)
    idle_days : int
        Days of silence that make a churn.
    until : (n_rows,) int64, optional
        Day on which a higher tier takes a gap over, if it is still silent then: alerts count on earlier days only.

    Examples
    --------
    Three gaps: a return on day 2, one on day 3, and a churn after 4 days of silence.

    >>> zero = np.zeros(3, dtype=np.int64)
    >>> counts = alert_counts(zero, zero, zero, np.array([2, 3, 5]), zero + 1, shape=(1, 1, 1), idle_days=4)
    >>> counts.alerts.ravel().tolist(), counts.churned.ravel().tolist()
    ([3.0, 2.0, 1.0], [1.0, 1.0, 1.0])
    """
    until = np.full(duration.shape, idle_days) if until is None else np.minimum(until, idle_days)
    cell = (block * shape[1] + first) * shape[2] + second
    lost = duration > idle_days

    def tail_sums(rows: Any, ends: Ints) -> Floats:
        """Gaps whose last day before `ends` is on or after day 1, 2, ..."""
        where = cell[rows] * idle_days + ends - 1
        counted = np.bincount(where, weights=n[rows], minlength=int(np.prod(shape)) * idle_days)
        by_end = counted.reshape(*shape, idle_days)[..., 1:]
        return np.ascontiguousarray(by_end[..., ::-1].cumsum(axis=-1)[..., ::-1])

    return AlertCounts(
        tail_sums(slice(None), np.maximum(np.minimum(duration, until), 1)), tail_sums(lost, np.maximum(until[lost], 1))
    )


def one_sided(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Sum over an axis of cells, for all one-sided sets: everything; below cut 1, 2, ...; at least cut 1, 2, ...

    Parameters
    ----------
    values : array
        m + 2 cells along the axis: below cut 1, between cuts 1 and 2, ..., at least cut m, missing.
    axis : int

    Returns
    -------
    array
        2 m + 1 sums along the axis.

    Examples
    --------
    >>> one_sided(np.array([1.0, 2.0, 4.0, 8.0]), axis=0).tolist()
    [15.0, 1.0, 3.0, 6.0, 4.0]
    """
    cells = np.moveaxis(values, axis, 0)
    m = cells.shape[0] - 2
    sums = np.empty((2 * m + 1, *cells.shape[1:]), dtype=cells.dtype)
    below, above = sums[1 : m + 1], sums[m + 1 :]
    for j in range(m):
        below[j] = cells[j] + (below[j - 1] if j else 0)
        above[m - 1 - j] = cells[m - j] + (above[m - j] if j else 0)
    sums[0] = (below[-1] + cells[m] if m else cells[0]) + cells[-1]
    return np.moveaxis(sums, 0, axis)


def region_sums(values: Floats) -> Floats:
    """Sum over all pairs of one-sided sets: shape (..., n_1, n_2, D) to (..., 2 K + 1, 2 M + 1, D)."""
    return one_sided(one_sided(values, axis=-3), axis=-2)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best rule of each of several benefits.

    Attributes
    ----------
    score : (n,) float64
        Benefit less the penalty for conditions.
    rule : (n, 5) int64
        As in `NOBODY`.
    """

    score: Floats
    rule: Ints


def best_rules(values: Floats, family: RuleFamily, *, per_condition: float = 0.0) -> Found:
    """Find the rule with the highest total benefit less `per_condition` for each of its conditions, exactly.

    Parameters
    ----------
    values : (n, n_1, n_2, n_days) float64
        n benefits, each searched on its own: what it is worth to alert the gaps of a cell on a day.
    family : RuleFamily
    per_condition : float
        Zero, or so little that it only decides between equals.

    Returns
    -------
    Found
        Among equals the first of: nobody, rules without a split, splits at rising cuts; of a side: the first condition
        in the order of `one_sided`, the earliest day.

    Examples
    --------
    Two cells of a variable (and one for missing values), three days; the first cell is best alerted on day 2:

    >>> values = np.array([[1.0, 3.0, 2.0], [-1.0, -2.0, -1.0], [0.0, 0.0, 0.0]]).reshape(1, 3, 1, 3)
    >>> values = np.concatenate([values, np.zeros((1, 3, 1, 3))], axis=2)
    >>> found = best_rules(values, RuleFamily(n_splits=1, n_cuts=0, n_days=3))
    >>> found.score.tolist(), found.rule.tolist()
    ([3.0], [[1, 0, 2, 0, 0]])
    """
    n, k = values.shape[0], family.n_splits
    sums = _penalised(region_sums(values), family, per_condition)
    flat = sums.reshape(n, 2 * k + 1, family.n_conditions * family.n_days)
    at = flat.argmax(axis=2)
    best = np.take_along_axis(flat, at[:, :, None], axis=2)[:, :, 0]
    if family.split_order is None:
        split = np.maximum(best[:, 1 : k + 1], 0.0) + np.maximum(best[:, k + 1 :], 0.0)
    else:
        split = _ordered_scores(sums, best, family)
    total = np.concatenate([np.zeros((n, 1)), best[:, :1], split], axis=1)
    chosen = total.argmax(axis=1)
    rule = np.zeros((n, 5), dtype=np.int64)
    for row in range(n):
        if chosen[row] == 1:
            rule[row, 1:3] = _condition_day(at[row, 0], family)
        elif chosen[row] > 1:
            rule[row] = _sides(sums[row], best[row], at[row], int(chosen[row]) - 1, family)
    return Found(np.take_along_axis(total, chosen[:, None], axis=1)[:, 0], rule)


def _penalised(sums: Floats, family: RuleFamily, per_condition: float) -> Floats:
    """Less the penalty for conditions; minus infinity where the condition is not allowed."""
    extra = np.arange(sums.shape[-2]) > 0
    split = np.arange(sums.shape[-3]) > 0
    penalty = per_condition * (1.0 + split[:, None] + extra[None])
    penalty[:, ~family.allowed] = np.inf
    return np.asarray(sums - penalty[..., None])


def _condition_day(flat: int, family: RuleFamily) -> tuple[int, int]:
    condition, day = divmod(int(flat), family.n_days)
    return condition, day + 1


def _lead_and_follow(sums: Floats, split: int, family: RuleFamily) -> tuple[Floats, Floats]:
    """The benefits of the side that must not be later, and of the other one; shapes (..., n_conditions, n_days)."""
    low, high = sums[..., split, :, :], sums[..., family.n_splits + split, :, :]
    return (low, high) if family.split_order == _DECREASING else (high, low)


def _follow_best(follow: Floats, family: RuleFamily) -> Floats:
    """The best benefit of the following side under a condition within each condition of the leading one."""
    covers = family.covers()
    return np.stack([follow[..., covers[e], :].max(axis=-2) for e in range(family.n_conditions)], axis=-2)


def _ordered_scores(sums: Floats, best: Floats, family: RuleFamily) -> Floats:
    """Score of each split where one side must not be later than the other; shape (n, n_splits)."""
    found = np.empty((sums.shape[0], family.n_splits))
    for split in range(1, family.n_splits + 1):
        lead, follow = _lead_and_follow(sums, split, family)
        both = np.maximum.accumulate(lead, axis=-1) + _follow_best(follow, family)
        alone = best[:, split if family.split_order == _DECREASING else family.n_splits + split]
        found[:, split - 1] = np.maximum(both.max(axis=(1, 2)), np.maximum(alone, 0.0))
    return found


def _sides(sums: Floats, best: Floats, at: Ints, split: int, family: RuleFamily) -> tuple[int, int, int, int, int]:
    """The rule behind the score of a split."""
    low, high = split, family.n_splits + split
    if family.split_order is None:
        first = _condition_day(at[low], family) if best[low] > 0 else (0, 0)
        second = _condition_day(at[high], family) if best[high] > 0 else (0, 0)
        return split, *first, *second
    lead, follow = _lead_and_follow(sums, split, family)
    both = np.maximum.accumulate(lead, axis=-1) + _follow_best(follow, family)
    leader, follower = (low, high) if family.split_order == _DECREASING else (high, low)
    if both.max() > best[leader]:
        condition, day = divmod(int(both.argmax()), family.n_days)
        led = (condition, int(lead[condition, : day + 1].argmax()) + 1)
        inside = np.flatnonzero(family.covers()[condition])
        followed = (int(inside[follow[inside, day].argmax()]), day + 1)
    else:
        led, followed = _condition_day(at[leader], family), (0, 0)
    return (split, *led, *followed) if leader < follower else (split, *followed, *led)


def first_days(rule: NDArray[np.integer[Any]], family: RuleFamily) -> Ints:
    """Return the first day on which each cell is alerted, n_days + 1 for never; shape (n_splits + 2, n_cuts + 2).

    Examples
    --------
    >>> first_days(np.array([1, 0, 2, 0, 0]), RuleFamily(n_splits=1, n_cuts=0, n_days=3)).tolist()
    [[2, 2], [4, 4], [4, 4]]
    """
    split, *sides = (int(each) for each in rule)
    never = family.n_days + 1
    days = np.full((family.n_splits + 2, family.n_cuts + 2), never, dtype=np.int64)
    along = one_sided(np.eye(family.n_splits + 2), axis=0) > 0
    across = one_sided(np.eye(family.n_cuts + 2), axis=0) > 0
    places = [0] if split == 0 else [split, family.n_splits + split]
    for place, (condition, day) in zip(places, (sides[:2], sides[2:]), strict=False):
        if day > 0:
            days[along[place][:, None] & across[condition]] = day
    return days


def rule_totals(values: Floats, rules: NDArray[np.integer[Any]], family: RuleFamily) -> Floats:
    """Total benefit of given rules.

    Parameters
    ----------
    values : (n, n_1, n_2, n_days) float64
    rules : (n_rules, 5) integer

    Returns
    -------
    (n, n_rules) float64
    """
    sums = region_sums(values)
    split, first, first_day, second, second_day = np.asarray(rules).T
    found = np.where(first_day > 0, sums[:, split, first, np.maximum(first_day, 1) - 1], 0.0)
    high = np.where(split > 0, family.n_splits + split, 0)
    return np.asarray(found + np.where(second_day > 0, sums[:, high, second, np.maximum(second_day, 1) - 1], 0.0))
