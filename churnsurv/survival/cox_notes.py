"""What a reader of a Cox model must know beside its coefficients."""

from __future__ import annotations

import numpy as np

from churnsurv.notes import Note, note
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.covariates import ModelMatrix
from churnsurv.survival.cox_methods import Method
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import SurvivalData

__all__ = ["crowded_days", "quiet_strata", "too_few_events"]

# Ties pull coefficients to zero where one day takes more than this share of its risk set.
_CROWDED_SHARE, _CROWDED_EVENTS, _CROWDED_PART = 0.2, 10, 0.01


def quiet_strata(sets: RiskSets, found: SurvivalData) -> list[Note]:
    """Name strata without churn."""
    quiet = np.setdiff1d(np.arange(len(found.strata_labels)), sets.stratum)
    if quiet.size == 0:
        return []
    names = ", ".join(repr(found.strata_labels[i]) for i in quiet[:5]) + (" ..." if quiet.size > 5 else "")
    if quiet.size == 1:
        return [note("1 stratum has no churn and adds nothing to the estimates: {names}.", names=names)]
    return [
        note("{n} strata have no churn and add nothing to the estimates: {names}.", n=f"{quiet.size:,}", names=names)
    ]


def crowded_days(sets: RiskSets, found: SurvivalData) -> list[Note]:
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
    if found.named_weights_kind == "frequency":
        who = note("{n} users at risk", n=f"{at_risk:,}")
    else:
        who = note("{n} rows at risk", n=f"{at_risk:,}")
    if len(found.strata_labels) > 1 and there.size == 1:
        who = note("{who} of stratum {stratum}", who=who, stratum=repr(found.strata_labels[sets.stratum[there[0]]]))
    elif len(found.strata_labels) > 1:
        who = note("{who} (in {n} strata)", who=who, n=there.size)
    return [
        note(
            "on day {day}, {events} of {who} churn ({share}). Above 20% the treatment of ties pulls coefficients "
            "towards zero; such days hold {held} of all churns here. Take the true effects to be larger in size than "
            "the estimates, or fit with ties='grouped'.",
            day=f"{days[worst]:g}",
            events=f"{events:,}",
            who=who,
            share=f"{events / at_risk:.0%}",
            held=f"{by_day.sum() / total:.0%}",
        )
    ]


def too_few_events(sets: RiskSets, matrix: ModelMatrix, method: Method) -> list[Note]:
    """Warn of more coefficients than churns, unless a penalty holds them."""
    events, p = int(sets.n_events.sum()), matrix.design.n_columns
    if p <= events or method.shrinks:
        return []
    said = {"coefficients": counted(p, "coefficient"), "churns": counted(events, "churn")}
    if p == 1:
        return [
            note("{coefficients} is estimated from {churns}: the estimates say little. Take fewer covariates.", **said)
        ]
    return [
        note("{coefficients} are estimated from {churns}: the estimates say little. Take fewer covariates.", **said)
    ]
