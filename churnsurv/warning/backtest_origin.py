"""One origin of a backtest: what the fitted tiers and the policies beside them did on the gaps that began after it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.first_alert_gains import Gains, first_alert_gains
from churnsurv.warning.backtest_judge import Chances, Gaps, Policy, Sums
from churnsurv.warning.backtest_material import Material, caps_of, check_rule, of_rules
from churnsurv.warning.hysteresis import check_hysteresis
from churnsurv.warning.objectives import Value, objective_from_plain
from churnsurv.warning.rules import IDLE_DAYS, Condition, Rule

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog
    from churnsurv.warning.backtest_scores import ScoredLog
    from churnsurv.warning.backtest_windows import Window
    from churnsurv.warning.scheme import TierScheme

__all__ = ["EVERYBODY", "FITTED", "MOST_ACCURATE", "NOBODY", "Asked", "Judged", "check_spec", "judge", "judge_material"]

Floats: TypeAlias = NDArray[np.float64]
Curve: TypeAlias = tuple[Gains, float, float]
K = TypeVar("K")

FITTED, NOBODY, EVERYBODY, MOST_ACCURATE = "fitted", "nobody", "everybody", "most accurate"
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
    hysteresis : Mapping of str to float
        Relative widths by variable, as they were given.
    """

    rules: Mapping[str, Rule]
    capacities: tuple[float, ...]
    value: Value | None
    horizons: tuple[int, ...]
    hysteresis: Mapping[str, float] = field(default_factory=dict)

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
    changes : Mapping of str to (2,) float64
        How often tiers change in silence, and how often it is down or out, with hysteresis ("held") and without
        ("own"); empty where there is none.
    """

    scheme: TierScheme
    n_users: int
    sums: Mapping[tuple[str, str | None], Sums]
    values: Mapping[tuple[str, str], Floats]
    hits: Mapping[tuple[int, str], Floats]
    curves: tuple[Curve, ...]
    changes: Mapping[str, Floats] = field(default_factory=dict)

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
            _added([part.changes for part in parts]),
        )


def _added(parts: Sequence[Mapping[K, Any]]) -> dict[K, Any]:
    return {key: reduce(add, [part[key] for part in parts]) for key in parts[0] if all(key in part for part in parts)}


def check_spec(spec: Mapping[str, Any]) -> None:
    """Refuse what is no argument of `fit_tiers`.

    Raises
    ------
    InputError
        That names the nearest argument.
    """
    from churnsurv.warning.fitting import fit_tiers

    known = [name for name in inspect.signature(fit_tiers).parameters if name not in ("log", "until")]
    for name in spec:
        if name not in known:
            raise InputError(
                f"spec: {name!r} is no argument of fit_tiers.{did_you_mean(str(name), known)} It takes "
                f"{', '.join(known)}."
            )


def judge(log: ActivityLog, span: Window, scheme: TierScheme, asked: Asked, scores: ScoredLog | None = None) -> Judged:
    """Judge a scheme, and what it is compared with, on the gaps of a window.

    Parameters
    ----------
    log : ActivityLog
    span : Window
    scheme : TierScheme
    asked : Asked
    scores : ScoredLog, optional
        Needed where tiers are cuts of a score.

    Raises
    ------
    InputError
        If a rule looks at other variables or holds on the day of an activity, a capacity is above the number of users,
        or a variable of the scheme can have no hysteresis.
    """
    widths = check_hysteresis(asked.hysteresis, scheme)
    limited = bool(asked.capacities) or min(caps_of(scheme), default=np.inf) < np.inf
    compared = _compared(log, scheme, asked)
    if scheme.score is not None and scores is not None:
        material = scores.material(span, scheme, compared, limited=limited, widths=widths)
    else:
        names = [each if isinstance(each, str) else each.name for each in scheme.variables]
        for tier in scheme.tiers:
            check_rule(tier.rule, names, f"tier {tier.name!r}")
        material = of_rules(log, span, scheme, compared, limited=limited, widths=widths)
    for each in asked.capacities:
        if each > material.n_users:
            raise InputError(
                f"capacity: {each:,.6g} alerts a day are more than there are users ({material.n_users:,}), and limit "
                "nothing. Is it per month?"
            )
    return judge_material(material, scheme, asked)


def _compared(log: ActivityLog, scheme: TierScheme, asked: Asked) -> dict[str, Rule]:
    """The rules beside the tiers: those of everybody, and those asked for."""
    names = [each if isinstance(each, str) else each.name for each in scheme.variables]
    if scheme.score is not None and not names:
        # a score that is given has no variables: any that gaps know may be looked at
        names = [name for rule in asked.rules.values() if isinstance(rule, Rule) for name in rule.variables]
        names += ["balance"] if "balances" in log._reading.sources else []
    idle_days = log.rule.idle_days
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


def judge_material(material: Material, scheme: TierScheme, asked: Asked) -> Judged:
    """Judge by counted gaps."""
    fitted = material.fitted.members()
    told = {FITTED: (material.gaps, fitted)}
    told |= {name: (material.beside, policy.members()) for name, policy in material.compared.items()}
    if material.mostly is not None:
        told[MOST_ACCURATE] = material.gaps, material.mostly
    by_tier, common = asked.worths(scheme)
    return Judged(
        scheme,
        material.n_users,
        _sums(material, scheme, by_tier, common) | _most_urgent(material, asked.capacities, common),
        _values(material, scheme, by_tier),
        {(h, name): np.array(gaps.hits(there, h)) for h in asked.horizons for name, (gaps, there) in told.items()},
        () if material.urgency is None else (_curve(material.gaps, material.urgency),),
        _changes(material),
    )


def _first(material: Material, tiers: Sequence[int] | None = None) -> Chances:
    """First alerts of the tiers; with nothing to rank by, those of a capacity are drawn by lot."""
    fitted = material.fitted
    urgency = np.zeros(fitted.tier.shape) if material.urgency is None else material.urgency
    return material.gaps.first_alerts(fitted, tiers, urgency)


def _beside(material: Material, policy: Policy, worth: Value | None) -> Sums:
    """What a policy beside the tiers would have done."""
    gaps = material.beside
    first = gaps.first_alerts(policy, None, np.zeros(policy.tier.shape))
    return gaps.sums(first, gaps.by_pattern(policy.members()), worth)


def _sums(
    material: Material, scheme: TierScheme, by_tier: Mapping[str, Value], common: Value | None
) -> dict[tuple[str, str | None], Sums]:
    gaps, fitted, found = material.gaps, material.fitted, dict[tuple[str, str | None], Sums]()
    for place, tier in enumerate(scheme.tiers):
        inside = gaps.by_pattern(fitted.members(place))
        found[FITTED, tier.name] = gaps.sums(_first(material, [place]), inside, by_tier.get(tier.name))
    found[FITTED, None] = gaps.sums(_first(material), gaps.by_pattern(fitted.members()), common)
    return found | {(name, None): _beside(material, each, common) for name, each in material.compared.items()}


def _changes(material: Material) -> dict[str, Floats]:
    """How often tiers change in silence, with hysteresis and without."""
    if material.own is None:
        return {}
    both = {"held": material.fitted, "own": material.own}
    return {name: np.array(material.gaps.changes(policy)) for name, policy in both.items()}


def _most_urgent(
    material: Material, capacities: Sequence[float], common: Value | None
) -> dict[tuple[str, str | None], Sums]:
    """The most urgent of all silent users, so many a calendar day; from the alert on they are in the tier."""
    gaps, lines, found = material.gaps, material.gaps.lines, dict[tuple[str, str | None], Sums]()
    if material.urgency is None or lines is None or gaps.group is None:
        return found
    later = np.broadcast_to(np.arange(gaps.idle_days) > 0, material.urgency.shape)
    for capacity in capacities:
        first = lines.alerts(later, material.urgency, capacity)
        inside = Chances(np.cumsum(first, axis=1), gaps.group)
        found[f"{capacity:,.6g} alerts a day", None] = gaps.sums(Chances(first, gaps.group), inside, common)
    return found


def _values(material: Material, scheme: TierScheme, by_tier: Mapping[str, Value]) -> dict[tuple[str, str], Floats]:
    gaps, found = material.gaps, dict[tuple[str, str], Floats]()
    inside = gaps.by_pattern(material.fitted.members())
    for place, tier in enumerate(scheme.tiers):
        if tier.name not in by_tier:
            continue
        worth = by_tier[tier.name]
        found[tier.name, FITTED] = gaps.sums(_first(material, range(place + 1)), inside, worth).value
        for name, policy in material.compared.items():
            found[tier.name, name] = _beside(material, policy, worth).value
    return found


def _curve(gaps: Gaps, urgency: Floats) -> Curve:
    """The gains of this urgency, (n_patterns, idle_days), on gaps that begin later."""
    silent, churned = gaps.silent()
    gains = first_alert_gains(urgency[:, 1:], silent[:, 1:], churned, idle_days=gaps.idle_days)
    return gains, float(churned.sum()), float(gaps.n_days)
