"""What a reader of a Cox model must know beside its coefficients."""

from __future__ import annotations

import numpy as np

from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.covariates import ModelMatrix
from churnsurv.survival.cox_methods import Method
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import SurvivalData

__all__ = ["crowded_days", "quiet_strata", "too_few_events"]

# Ties pull coefficients to zero where one day takes more than this share of its risk set.
_CROWDED_SHARE, _CROWDED_EVENTS, _CROWDED_PART = 0.2, 10, 0.01


def quiet_strata(sets: RiskSets, found: SurvivalData) -> list[str]:
    """Name strata without churn."""
    quiet = np.setdiff1d(np.arange(len(found.strata_labels)), sets.stratum)
    if quiet.size == 0:
        return []
    names = ", ".join(repr(found.strata_labels[i]) for i in quiet[:5]) + (" ..." if quiet.size > 5 else "")
    strata = "1 stratum has no churn and adds" if quiet.size == 1 else f"{quiet.size:,} strata have no churn and add"
    return [f"{strata} nothing to the estimates: {names}."]


def crowded_days(sets: RiskSets, found: SurvivalData) -> list[str]:
    """Warn of a day that takes so much of its risk set that ties bias the estimates.

    Small numbers, as at the end of follow-up, tie too but weigh little: they are not warned of.
    """
    crowded = np.flatnonzero((sets.n_events > _CROWDED_SHARE * sets.n_at_risk) & (sets.n_events > 1))
    total = int(sets.n_events.sum())
    if crowded.size == 0:
        return []
    days, which = np.unique(sets.time[crowded], return_inverse=True)
    by_day = np.bincount(which, sets.n_events[crowded])
    worst = int(np.argmax(by_day))
    if by_day[worst] < max(_CROWDED_EVENTS, _CROWDED_PART * total):
        return []
    there = crowded[which == worst]
    events, at_risk = int(sets.n_events[there].sum()), int(sets.n_at_risk[there].sum())
    who = "users" if found.named_weights_kind == "frequency" else "rows"
    where = ""
    if len(found.strata_labels) > 1:
        one = f" of stratum {found.strata_labels[sets.stratum[there[0]]]!r}"
        where = one if there.size == 1 else f" (in {there.size} strata)"
    return [
        f"on day {days[worst]:g}, {events:,} of {at_risk:,} {who} at risk{where} churn ({events / at_risk:.0%}). Above "
        f"20% the treatment of ties pulls coefficients towards zero; such days hold {by_day.sum() / total:.0%} of all "
        "churns here. Take the true effects to be larger in size than the estimates, or fit with ties='grouped'."
    ]


def too_few_events(sets: RiskSets, matrix: ModelMatrix, method: Method) -> list[str]:
    """Warn of more coefficients than churns, unless a penalty holds them."""
    events, p = int(sets.n_events.sum()), matrix.design.n_columns
    if p <= events or method.shrinks:
        return []
    are = "is" if p == 1 else "are"
    return [
        f"{counted(p, 'coefficient')} {are} estimated from {counted(events, 'churn')}: the estimates say little. "
        "Take fewer covariates."
    ]
