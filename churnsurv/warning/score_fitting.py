"""Score tiers from an activity log: a Cox fit of return, and for each objective the best cut of what it says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.data.feature import Feature
from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.formula import parse_formula
from churnsurv.warning.objectives import Capacity, Objective, Precision, Value
from churnsurv.warning.rules import Condition, Rule
from churnsurv.warning.score_search import FittedCut, fit_cut
from churnsurv.warning.score_training import ScoredGaps, gaps_for, hash_of, scored, variables_of
from churnsurv.warning.scores import CHANCE, OVER_WAITING, GapScore, fit_score
from churnsurv.warning.tier_figures import figures, tier_sums
from churnsurv.warning.tier_words import may_move

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["FittedScores", "ScoreTier", "fit_score_tiers"]

_WORTH_SAYING = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTier:
    """One fitted tier: its rules after and before rounding, figures, and rows of the tables of a scheme."""

    name: str
    rule: Rule
    fitted: Rule
    figures: Mapping[str, float]
    thresholds: tuple[Mapping[str, Any], ...]
    sensitivity: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class FittedScores:
    """All that fitting has found, tiers from the highest down."""

    score: GapScore
    gaps: ScoredGaps
    variables: tuple[str | Feature, ...]
    missing: Mapping[str, float]
    tiers: tuple[ScoreTier, ...]
    notes: tuple[str, ...]
    data_hash: str


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
            f'"log1p(balance) + n_investments"; it is {formula!r}.'
        )
    log = log if until is None else log.as_of(until)
    variables = variables_of(log, parse_formula(formula).variables, own)
    filled = _filled(missing, [each if isinstance(each, str) else each.name for each in variables])
    table, window = gaps_for(log, variables, filled)
    named = _named({name: objective[name] for name in order})
    worths = {named[name]: each for name, each in objective.items() if isinstance(each, Value)}
    score = fit_score(formula, table, idle_days=log.rule.idle_days, worths=worths)
    gaps = scored(log, table, window, score, variables=variables, missing=filled, blocks=_blocks(blocks), seed=seed)
    rng, n_blocks = np.random.default_rng(seed), gaps.training.counts.n_blocks
    samples = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_samples).astype(np.float64)
    taken = np.full(gaps.risk.size, gaps.training.idle_days)
    notes = [*_scheme_notes(gaps, formula, level), *score.fit.notes]
    notes += [note for each in variables if (note := may_move(each, log.rule))]
    tiers = list[ScoreTier]()
    for name in order:
        found = fit_cut(gaps, score, objective[name], named[name], taken, samples, level=level, rounded=rounded)
        sums = tier_sums(gaps.training, objective[name], found.first_day[gaps.pattern], taken[gaps.pattern])
        tiers.append(_tier(name, found, figures(gaps.training, sums, level=level), level))
        notes += _tier_notes(gaps, name, objective[name], found)
        taken = np.minimum(taken, found.first_day)
    return FittedScores(score, gaps, variables, filled, tuple(tiers), tuple(notes), hash_of(table, formula))


def _named(objective: Mapping[str, Objective]) -> dict[str, str]:
    """What each tier compares: values of different objectives have names of their own."""
    values = [name for name, each in objective.items() if isinstance(each, Value)]
    return {
        name: (OVER_WAITING if len(values) == 1 else f"{OVER_WAITING} ({name})") if name in values else CHANCE
        for name in objective
    }


def _tier(name: str, found: FittedCut, told: Mapping[str, float], level: float) -> ScoreTier:
    return ScoreTier(
        name,
        _rule(found.variable, found.cut),
        _rule(found.variable, found.fitted),
        MappingProxyType(dict(told) | {"value_optimism": 1000.0 * found.optimism}),
        _threshold_rows(name, found, level),
        tuple(_sensitivity_row(name, found.variable, each) for each in found.assumed),
    )


def _rule(variable: str, cut: float | None) -> Rule:
    return Rule() if cut is None else Rule(((Condition(variable, ">", cut),),))


def _threshold_rows(tier: str, found: FittedCut, level: float) -> tuple[Mapping[str, Any], ...]:
    if found.cut is None or found.sample_cuts is None:
        return ()
    drawn = found.sample_cuts
    some = drawn[~np.isnan(drawn)]
    limits = np.quantile(some, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf") if some.size else [np.nan] * 2
    row = {
        "tier": tier,
        "alternative": 1,
        "variable": found.variable,
        "sign": ">",
        "threshold": found.cut,
        "fitted": found.fitted,
        # a cut of a continuous score is never the same twice
        "frequency": np.nan,
        "form_frequency": some.size / drawn.size if drawn.size else np.nan,
        "range_lower": float(limits[0]),
        "range_upper": float(limits[1]),
    }
    return (row,)


def _sensitivity_row(tier: str, variable: str, each: Any) -> Mapping[str, Any]:
    return {
        "tier": tier,
        "saving": each.saving,
        "rule": str(_rule(variable, each.cut)),
        "value": 1000.0 * each.value,
        "chosen_value": 1000.0 * each.chosen,
        "loss": round(1.0 - each.chosen / each.value, 12) if each.value > 0 else float("nan"),
    }


# ----------------------------------------------------------------------------------------------------------- notes


def _scheme_notes(gaps: ScoredGaps, formula: str, level: float) -> list[str]:
    counts = gaps.training.counts
    return [
        f"P(churn) is the chance that a gap which is silent for d days lasts for more than {counts.idle_days}, from a "
        f"Cox fit of return on gap time ({formula}) to the {counts.n.size:,} gaps that began from {counts.first_start} "
        f"to {counts.last_start}, all followed for {counts.idle_days} days. Covariates are as of the end of the first "
        "day of a gap, and act alike on all idle days (proportional hazards of return).",
        f"Limits (level {level:g}) take users as independent, and score and cuts as fixed beforehand. Both were learnt "
        "from the same gaps, so that the figures are somewhat too good: judge them on later days. Resamples choose "
        "cuts anew and keep the score.",
    ]


def _tier_notes(gaps: ScoredGaps, name: str, objective: Objective, found: FittedCut) -> list[str]:
    if found.cut is None:
        return [f"{name}: {_why_empty(gaps, objective, found)}"]
    notes = []
    if found.cut != found.fitted and found.kept != 1.0:
        what = "net benefit" if isinstance(objective, Value) else "lead-weighted recall"
        notes.append(
            f"{name}: the cut is rounded, which costs {1.0 - found.kept:.2%} of its {what} in training; the best "
            f"rule was {_rule(found.variable, found.fitted)}."
        )
    if isinstance(objective, Value):
        said = objective.to_plain()
        notes.append(
            f"{name}: {found.variable} is {said['saved_value']:,.6g} s(d) P(churn) - {said['contact_cost']:,.6g} of a "
            "contact on idle day d, less what waiting for the best later day is worth; the highest since the last "
            "activity."
        )
    worst = max(found.assumed[1:], key=lambda each: each.value - each.chosen, default=None)
    if worst is not None and worst.value > 0 and 1.0 - worst.chosen / worst.value > _WORTH_SAYING:
        notes.append(
            f"{name}: the cut hangs on the saving curve. With {worst.saving}, this one misses "
            f"{1.0 - worst.chosen / worst.value:.0%} of the value of the best."
        )
    if isinstance(objective, Capacity):
        notes.append(
            f"{name}: the alerts a day are an average over the training window; with more users there are more."
        )
    return notes


def _why_empty(gaps: ScoredGaps, objective: Objective, found: FittedCut) -> str:
    if isinstance(objective, Value):
        return (
            "contacting nobody is best: on no idle day does what a contact saves outweigh what it costs. A lower cost, "
            "a higher saved_value or a curve that saves more would change that."
        )
    if found.nearest is None:
        return "the tier is empty: higher tiers leave it no gap to alert."
    amount, cut = found.nearest
    rule = _rule(found.variable, cut)
    if isinstance(objective, Precision):
        return (
            f"the tier is empty: no cut has a lower bound of precision of {objective.target:.4g}. The nearest target "
            f"that is met is about {amount:.3f}, by: {rule}."
        )
    return (
        f"the tier is empty: no cut has as few as {objective.per_day:,.6g} alerts a day. The fewest are "
        f"{amount / gaps.training.counts.n_days:,.4g}, by: {rule}."
    )


# ------------------------------------------------------------------------------------------------------- arguments


def _blocks(blocks: object) -> int:
    if isinstance(blocks, bool) or not isinstance(blocks, (int, np.integer)) or not 2 <= blocks <= 1_000_000:
        raise InputError(f"blocks is a whole number from 2 to 1,000,000; it is {blocks!r}.")
    return int(blocks)


def _filled(missing: Mapping[str, float] | None, names: Sequence[str]) -> Mapping[str, float]:
    for name, value in (missing or {}).items():
        if name not in names:
            raise InputError(f"missing: {name!r} is not in the formula.{did_you_mean(str(name), names)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
            raise InputError(
                f"missing[{name!r}] is the number that stands in for no value, such as 0; it is {value!r}."
            )
    return {name: float(value) for name, value in (missing or {}).items()}
