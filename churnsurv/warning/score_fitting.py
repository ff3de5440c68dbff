"""Score tiers from an activity log: a Cox fit of return, and for each objective the best cut of what it says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.data.feature import Feature
from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.survival.formula import parse_formula
from churnsurv.warning.objectives import Objective, Value
from churnsurv.warning.score_lines import lines_by_fit
from churnsurv.warning.score_tiers import FittedScores, fit_cuts, whole_blocks
from churnsurv.warning.score_training import ScoredGaps, gaps_for, hash_of, scored, variables_of
from churnsurv.warning.scores import CHANCE, OVER_WAITING, fit_score
from churnsurv.warning.tier_words import may_move

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["fit_score_tiers"]


def fit_score_tiers(
    log: ActivityLog,
    formula: str | None,
    objective: Mapping[str, Objective],
    order: Sequence[str],
    *,
    own: Sequence[str | Feature],
    missing: Mapping[str, float] | None,
    until: datetime.date | str | None,
    n_samples: int,
    blocks: int,
    seed: int,
    rounded: bool,
    level: float,
) -> FittedScores:
    """Fit the score and its cuts; see `churnsurv.warning.fit_tiers`.

    Raises
    ------
    InputError
        If there is no formula, or it names what a score cannot look at; or nobody churned, or nobody returned.
    """
    if not isinstance(formula, str):
        raise InputError(
            'family="score" needs formula=, the covariates of the hazard of return, such as '
            f'"log1p(balance) + n_investments", or score=, a table of a score of your own; formula is {formula!r}.'
        )
    log = log if until is None else log.as_of(until)
    variables = variables_of(log, parse_formula(formula).variables, own)
    filled = _filled(missing, [each if isinstance(each, str) else each.name for each in variables])
    table, window = gaps_for(log, variables, filled)
    named = _named({name: objective[name] for name in order})
    worths = {named[name]: each for name, each in objective.items() if isinstance(each, Value)}
    score = fit_score(formula, table, idle_days=log.rule.idle_days, worths=worths)
    n_blocks = whole_blocks(blocks)
    gaps = scored(log, table, window, score, variables=variables, missing=filled, blocks=n_blocks)
    found = fit_cuts(
        gaps,
        objective,
        named,
        n_samples=n_samples,
        seed=seed,
        level=level,
        rounded=rounded,
        lines=lambda: lines_by_fit(log, score, gaps.training, variables, filled),
    )
    notes = [*_scheme_notes(gaps, formula, level), *score.fit.notes]
    notes += [note for each in variables if (note := may_move(each, log.rule))]
    return FittedScores(score, gaps.training, found.tiers, (*notes, *found.notes), hash_of(table, formula))


def _named(objective: Mapping[str, Objective]) -> dict[str, str]:
    """What each tier compares: values of different objectives have names of their own."""
    values = [name for name, each in objective.items() if isinstance(each, Value)]
    return {
        name: (OVER_WAITING if len(values) == 1 else f"{OVER_WAITING} ({name})") if name in values else CHANCE
        for name in objective
    }


# ----------------------------------------------------------------------------------------------------------- notes


def _scheme_notes(gaps: ScoredGaps, formula: str, level: float) -> list[str]:
    counts = gaps.training.counts
    return [
        note(
            "P(churn) is the chance that a gap which is silent for d days lasts for more than {days}, from a Cox fit "
            "of return on gap time ({formula}) to the {n} gaps that began from {first} to {last}, all followed for "
            "{days} days. Covariates are as of the end of the first day of a gap, and act alike on all idle days "
            "(proportional hazards of return).",
            days=counts.idle_days,
            formula=formula,
            n=f"{counts.n.size:,}",
            first=counts.first_start,
            last=counts.last_start,
        ),
        note(
            "Limits (level {level}) take users as independent, and score and cuts as fixed beforehand. Both were "
            "learnt from the same gaps, so that the figures are somewhat too good: judge them on later days. Resamples "
            "choose cuts anew and keep the score.",
            level=f"{level:g}",
        ),
    ]


# ------------------------------------------------------------------------------------------------------- arguments


def _filled(missing: Mapping[str, float] | None, names: Sequence[str]) -> Mapping[str, float]:
    for name, value in (missing or {}).items():
        if name not in names:
            raise InputError(f"missing: {name!r} is not in the formula.{did_you_mean(str(name), names)}")
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not np.isfinite(value):
            raise InputError(
                f"missing[{name!r}] is the number that stands in for no value, such as 0; it is {value!r}."
            )
    return {name: float(value) for name, value in (missing or {}).items()}
