"""One origin of a backtest: what the fitted tiers and the policies beside them did on the gaps that began after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import Feature
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.errors import InputError
from churnsurv.numerics.first_alert_gains import Gains, days_within, first_alert_gains, shrunken_shares
from churnsurv.warning.backtest_judge import (
    Gaps,
    Policy,
    Sums,
    cells_of,
    check_rule,
    cuts_of,
    policy_of,
)
from churnsurv.warning.objectives import Value, objective_from_plain
from churnsurv.warning.rules import IDLE_DAYS, Condition, Rule

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data import ActivityLog
    from churnsurv.warning.backtest_windows import Window
    from churnsurv.warning.scheme import TierScheme

__all__ = ["EVERYBODY", "FITTED", "MOST_ACCURATE", "NOBODY", "Asked", "Judged", "judge", "judge_gaps"]

Floats: TypeAlias = NDArray[np.float64]
Curve: TypeAlias = tuple[Gains, float, float]
K = TypeVar("K")

FITTED, NOBODY, EVERYBODY, MOST_ACCURATE = "fitted", "nobody", "everybody", "most accurate"
#: More gaps that a cell is thought to have, like all gaps: its share of churn is drawn to theirs by so many.
_PRIOR = 10.0
_FIXED_DAY, _FIXED_BALANCE = 15, 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What is judged besides the tiers.

    Attributes
    ----------
    rules : Mapping of str to Rule
        To compare with, by name.
    capacities : tuple of float
        First alerts a day.
    value : Value or None
        What a contact is worth, whatever the tiers were fitted for.
    horizons : tuple of int
        Of the accuracy.
    """

    rules: Mapping[str, Rule]
    capacities: tuple[float, ...]
    value: Value | None
    horizons: tuple[int, ...]

    def worths(self, scheme: TierScheme) -> tuple[dict[str, Value], Value | None]:
        """What a contact is worth by tier, for those of which it is known; and for whole policies."""
        own = {tier.name: self.value or objective_from_plain(tier.objective) for tier in scheme.tiers}
        found = {name: each for name, each in own.items() if isinstance(each, Value)}
        distinct = list(found.values())
        common = distinct[0] if distinct and all(each == distinct[0] for each in distinct) else None
        return found, common


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What one origin gave, or all together.

    Attributes
    ----------
    scheme : TierScheme
    n_users : int
    sums : Mapping of (policy, tier or None) to Sums
    values : Mapping of (tier, policy) to (n_blocks,) float64
        Net benefit by block of users of the first contact in the tier or a higher one, and of what it is compared
        with, all under the worth of that tier.
    hits : Mapping of (horizon, policy) to (4,) float64
        See `Gaps.hits`.
    curves : tuple of (Gains, churned, n_days)
        Empty where nothing was known before the origin.
    """

    scheme: TierScheme
    n_users: int
    sums: Mapping[tuple[str, str | None], Sums]
    values: Mapping[tuple[str, str], Floats]
    hits: Mapping[tuple[int, str], Floats]
    curves: tuple[Curve, ...]

    @classmethod
    def pooled(cls, parts: Sequence[Judged]) -> Judged:
        """All gaps of several origins together; users keep their block. What one origin lacks is left out."""
        return cls(
            parts[-1].scheme,
            parts[-1].n_users,
            _added([part.sums for part in parts]),
            _added([part.values for part in parts]),
            _added([part.hits for part in parts]),
            tuple(curve for part in parts for curve in part.curves),
        )


def _added(parts: Sequence[Mapping[K, Any]]) -> dict[K, Any]:
    return {key: reduce(add, [part[key] for part in parts]) for key in parts[0] if all(key in part for part in parts)}


def judge(log: ActivityLog, span: Window, scheme: TierScheme, asked: Asked) -> Judged:
    """Judge a scheme, and what it is compared with, on the gaps of a window.

    Raises
    ------
    InputError
        If a rule looks at other variables or holds on the day of an activity, the balance moves while users are
        silent, or a capacity is above the number of users.
    """
    names = [each if isinstance(each, str) else each.name for each in scheme.variables]
    compared = _compared(asked, names, log.rule.idle_days)
    for tier in scheme.tiers:
        check_rule(tier.rule, names, f"tier {tier.name!r}")
    grids = cuts_of([*(tier.rule for tier in scheme.tiers), *compared.values()], scheme.grids)
    settings: dict[str, Any] = {
        "grids": grids,
        "features": [each for each in scheme.variables if isinstance(each, Feature)],
    }
    counts = gap_counts(log, first_start=span.first, last_start=span.last, **settings)
    if counts.balance_moves and "balance" in grids:
        raise InputError(
            f"The balance changes while users are silent ({counts.balance_moves:,} gaps begun {span.first} to "
            f"{span.last}), so that the first day on which a rule on it holds is not known when the gap begins. Judge "
            "rules without it."
        )
    for each in asked.capacities:
        if each > counts.n_users:
            raise InputError(
                f"capacity: {each:,.6g} alerts a day are more than there are users ({counts.n_users:,}), and limit "
                "nothing. Is it per month?"
            )
    return judge_gaps(counts, _known(log, span.origin, settings), scheme, compared, asked)


def _known(log: ActivityLog, origin: date, settings: Mapping[str, Any]) -> GapCounts | None:
    """The gaps of which all was known at the origin."""
    if origin < log.observed_from + timedelta(days=log.rule.idle_days):
        return None
    return gap_counts(log, until=origin, **settings)


def _compared(asked: Asked, names: Sequence[str], idle_days: int) -> dict[str, Rule]:
    found = {NOBODY: Rule(), EVERYBODY: Rule(((Condition(IDLE_DAYS, ">", 0),),))}
    if "balance" in names and idle_days > _FIXED_DAY + 1:
        fixed = Rule(((Condition(IDLE_DAYS, ">", _FIXED_DAY), Condition("balance", "<", _FIXED_BALANCE)),))
        found[str(fixed)] = fixed
    for name, rule in asked.rules.items():
        if not isinstance(rule, Rule):
            raise InputError(f"rules[{name!r}] is a ch.Rule; it is {rule!r}.")
        if name in (*found, FITTED, MOST_ACCURATE):
            raise InputError(f"rules: the name {name!r} is taken. Give it another one.")
        check_rule(rule, names, f"rules[{name!r}]")
        found[name] = rule
    return found


def judge_gaps(
    counts: GapCounts,
    known: GapCounts | None,
    scheme: TierScheme,
    compared: Mapping[str, Rule],
    asked: Asked,
) -> Judged:
    """Judge by counted gaps.

    Parameters
    ----------
    counts : GapCounts
        Of the window, over grids within whose cells no rule changes.
    known : GapCounts or None
        Of the gaps of which all was known at the origin, over the same grids.
    scheme : TierScheme
    compared : Mapping of str to Rule
    asked : Asked
    """
    idle = counts.idle_days
    cells = cells_of([counts] if known is None else [counts, known], scheme.missing)
    gaps = Gaps(counts, cells.rows[0], cells.n_cells)
    fitted = policy_of([tier.rule for tier in scheme.tiers], cells, idle)
    policies = {FITTED: fitted} | {name: policy_of([rule], cells, idle) for name, rule in compared.items()}
    told, curves = dict(policies), list[Curve]()
    if known is not None:
        silent, churned = Gaps(known, cells.rows[1], cells.n_cells).silent()
        share = shrunken_shares(silent, churned, prior=_PRIOR)
        told[MOST_ACCURATE] = _mostly_churned(share)
        urgency = share * (idle - np.arange(idle)) / idle
        curves.append(_curve(gaps, urgency))
        policies |= _within(curves[0], urgency, asked.capacities)
    by_tier, common = asked.worths(scheme)
    return Judged(
        scheme,
        counts.n_users,
        _sums(gaps, scheme, policies, by_tier, common),
        _values(gaps, scheme, {name: policies[name] for name in (FITTED, *compared)}, by_tier),
        {(h, name): np.array(gaps.hits(policy.members(), h)) for h in asked.horizons for name, policy in told.items()},
        tuple(curves),
    )


def _sums(
    gaps: Gaps,
    scheme: TierScheme,
    policies: Mapping[str, Policy],
    by_tier: Mapping[str, Value],
    common: Value | None,
) -> dict[tuple[str, str | None], Sums]:
    tiers: dict[tuple[str, str | None], Sums] = {
        (FITTED, tier.name): gaps.sums(policies[FITTED].members(place), by_tier.get(tier.name))
        for place, tier in enumerate(scheme.tiers)
    }
    return {**tiers, **{(name, None): gaps.sums(each.members(), common) for name, each in policies.items()}}


def _values(
    gaps: Gaps, scheme: TierScheme, policies: Mapping[str, Policy], by_tier: Mapping[str, Value]
) -> dict[tuple[str, str], Floats]:
    found = {}
    for place, tier in enumerate(scheme.tiers):
        if tier.name in by_tier:
            for name, policy in policies.items():
                members = policy.members(place, or_higher=True) if name == FITTED else policy.members()
                found[tier.name, name] = gaps.sums(members, by_tier[tier.name]).value
    return found


def _mostly_churned(share: Floats) -> Policy:
    """Yes where more than half of the known gaps churned."""
    return Policy((share <= 0.5).astype(np.int64), 1)


def _curve(gaps: Gaps, urgency: Floats) -> Curve:
    """The gains of this urgency, (n_cells, idle_days), on gaps that begin later."""
    silent, churned = gaps.silent()
    gains = first_alert_gains(urgency[:, 1:], silent[:, 1:], churned, idle_days=gaps.counts.idle_days)
    return gains, float(churned.sum()), float(gaps.counts.n_days)


def _within(curve: Curve, urgency: Floats, capacities: Sequence[float]) -> dict[str, Policy]:
    """The most urgent, so many a day, as policies."""
    gains, _, n_days = curve
    days, found = np.arange(urgency.shape[1]), {}
    for capacity in capacities:
        first = days_within(urgency[:, 1:], float(gains.limit[gains.within(capacity * n_days)]))
        found[f"{capacity:,.6g} alerts a day"] = Policy((days < first[:, None]).astype(np.int64), 1)
    return found
