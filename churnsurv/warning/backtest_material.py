"""What an origin is judged by: the gaps after it by pattern, who is in which tier, and who is how urgent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import Feature
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.errors import InputError
from churnsurv.warning.backtest_judge import Gaps, Policy
from churnsurv.warning.capped import days_silent, lines_of
from churnsurv.warning.hysteresis import wider_rules
from churnsurv.warning.objectives import Capacity, objective_from_plain
from churnsurv.warning.patterns import Patterns, patterns_of, shares_by_day, tiers_by_day
from churnsurv.warning.rules import IDLE_DAYS, Rule

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data import ActivityLog
    from churnsurv.warning.backtest_windows import Window
    from churnsurv.warning.scheme import TierScheme

__all__ = [
    "Material",
    "caps_of",
    "check_rule",
    "cuts_of",
    "days_of",
    "gaps_of",
    "lead_share",
    "of_rules",
    "policies_of",
]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What policies are judged by.

    Attributes
    ----------
    gaps : Gaps
        By what the tiers look at.
    fitted : Policy
        The tiers of the scheme.
    urgency : (n_patterns, idle_days) float64, or None
        By which users are called; None where nothing was known before the origin.
    mostly : (n_patterns, idle_days) bool, or None
        Where more than half of the gaps are known or thought to churn.
    beside : Gaps
        The same gaps by what the policies beside the tiers look at.
    compared : Mapping of str to Policy
        These policies, over the patterns of `beside`.
    n_users : int
    own : Policy or None
        The tiers if nobody were held in one by hysteresis; None where there is none.
    """

    gaps: Gaps
    fitted: Policy
    urgency: Floats | None
    mostly: Flags | None
    beside: Gaps
    compared: Mapping[str, Policy]
    n_users: int
    own: Policy | None = None


def caps_of(scheme: TierScheme) -> tuple[float, ...]:
    """First alerts a calendar day in each tier; infinite but for a capacity."""
    goals = [objective_from_plain(tier.objective) for tier in scheme.tiers]
    return tuple(float(each.per_day or 0.0) if isinstance(each, Capacity) else float("inf") for each in goals)


def lead_share(idle_days: int) -> Floats:
    """Share of idle_days that an alert on idle days 0, 1, ... leaves."""
    return np.asarray((idle_days - np.arange(idle_days)) / idle_days)


def of_rules(
    log: ActivityLog,
    span: Window,
    scheme: TierScheme,
    compared: Mapping[str, Rule],
    *,
    limited: bool,
    widths: Mapping[str, float],
) -> Material:
    """Count the gaps of a window for tiers that are rules.

    Parameters
    ----------
    log : ActivityLog
    span : Window
    scheme : TierScheme
    compared : Mapping of str to Rule
        Other rules that are judged.
    limited : bool
        Whether only so many alerts a day are worked off, in a tier or in another policy.
    widths : Mapping of str to float
        Of hysteresis, as `check_hysteresis` gives them.
    """
    rules, wider = [tier.rule for tier in scheme.tiers], wider_rules(scheme, widths) if widths else []
    ranks = cuts_of([*rules, *compared.values()], scheme.grids)
    grids = cuts_of(wider, ranks)
    own = [each for each in scheme.variables if isinstance(each, Feature)]
    settings: dict[str, Any] = {"grids": grids, "features": own, "paths": True}
    counts = gap_counts(log, **days_of(log, span, limited=limited), **settings)
    known = _known(log, span.origin, settings)
    # who stays in a tier is told by more cuts than rank users: ranks are the same with and without hysteresis
    patterns = patterns_of(
        [counts] if known is None else [counts, known], scheme.missing, ranked_by=ranks if wider else None
    )
    unheld = Policy(tiers_by_day(rules, patterns), caps_of(scheme))
    fitted = replace(unheld, tier=tiers_by_day(rules, patterns, wider)) if wider else unheld
    gaps, share, urgency = gaps_of(counts, patterns, 0, span.first, span.last, limited=limited), None, None
    if known is not None:
        before = gaps_of(known, patterns, 1, known.first_start, known.last_start, limited=False)
        share = shares_by_day(patterns, *before.silent())
        urgency = share * lead_share(counts.idle_days)
    return Material(
        gaps=gaps,
        fitted=fitted,
        urgency=urgency,
        mostly=None if share is None else share > 0.5,
        beside=gaps,
        compared=policies_of(compared, patterns),
        n_users=counts.n_users,
        own=unheld if wider else None,
    )


def policies_of(compared: Mapping[str, Rule], patterns: Patterns) -> dict[str, Policy]:
    """Rules as policies without a limit of alerts."""
    return {name: Policy(tiers_by_day([rule], patterns), (float("inf"),)) for name, rule in compared.items()}


def days_of(log: ActivityLog, span: Window, *, limited: bool) -> dict[str, Any]:
    """Which gaps to count: with those that stand in line at the same time, where there are lines."""
    if not limited:
        return {"first_start": span.first, "last_start": span.last}
    reach = timedelta(days=log.rule.idle_days - 1)
    first = max(span.first - reach, log.observed_from)
    return {"first_start": first, "last_start": span.last + reach, "starts": "all", "period": "day"}


def _known(log: ActivityLog, origin: date, settings: Mapping[str, Any]) -> GapCounts | None:
    """The gaps of which all was known at the origin."""
    if origin < log.observed_from + timedelta(days=log.rule.idle_days):
        return None
    return gap_counts(log, until=origin, **settings)


def gaps_of(counts: GapCounts, patterns: Patterns, place: int, first: date, last: date, *, limited: bool) -> Gaps:
    """The gaps that begin from `first` to `last`, and the lines in which they wait.

    Parameters
    ----------
    counts : GapCounts
    patterns : Patterns
    place : int
        Of the counts among those of the patterns.
    first, last : date
    limited : bool
        Whether there are lines; the counts are by day then.
    """
    pattern, idle = patterns.rows[place], counts.idle_days
    mine, lines, group = np.ones(counts.n.size, dtype=np.bool_), None, None
    if limited and counts.period is not None:
        begins = counts.period.astype("datetime64[D]")
        mine = (begins >= np.datetime64(first)) & (begins <= np.datetime64(last))
        start = begins.astype(np.int64)
        lines, group = lines_of(start, pattern, days_silent(counts), counts.n, idle_days=idle)
    return Gaps(
        block=counts.block[mine],
        duration=counts.duration[mine],
        n=counts.n[mine],
        pattern=pattern[mine],
        n_patterns=len(patterns.cell),
        n_blocks=counts.n_blocks,
        idle_days=idle,
        n_days=(last - first).days + 1,
        lines=lines,
        group=None if group is None else group[mine],
    )


# ----------------------------------------------------------------------------------------------------------- rules


def check_rule(rule: Rule, known: Sequence[str], what: str) -> None:
    """Raise what keeps a rule from being judged: other variables, or that it holds on idle day 0.

    Raises
    ------
    InputError
    """
    for variable in rule.variables:
        if variable != IDLE_DAYS and variable not in known:
            have = f"besides idle_days they are {', '.join(known)}" if known else "there is only idle_days"
            raise InputError(f"{what}: {rule} looks at {variable!r}, which is not among the variables; {have}.")
    for conditions in rule.alternatives:
        waits = any(
            each.variable == IDLE_DAYS
            and (each.threshold >= 0 if each.sign == ">" else each.sign == ">=" and each.threshold > 0)
            for each in conditions
        )
        if not waits:
            text = " and ".join(map(str, conditions))
            raise InputError(f"{what}: {text!r} holds on the day of an activity. Add 'idle_days > 0' or more.")


def cuts_of(rules: Sequence[Rule], grids: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Cuts of each variable between which no rule changes, those of `grids` among them."""
    found = {name: set(map(float, cuts)) for name, cuts in grids.items()}
    for rule in rules:
        for conditions in rule.alternatives:
            for each in conditions:
                if each.variable != IDLE_DAYS:
                    # a cell holds its lower cut: what is above a threshold begins at the next number
                    above = each.sign in (">", "<=")
                    cut = math.nextafter(each.threshold, math.inf) if above else each.threshold
                    found.setdefault(each.variable, set()).add(cut)
    return {name: tuple(sorted(cuts)) for name, cuts in found.items() if cuts}
