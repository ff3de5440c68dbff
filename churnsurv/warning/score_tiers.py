"""From the gaps of a score to its tiers: for each objective the best cut, its rows in the tables, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.notes import Note, note
from churnsurv.tables.said import said_rule, said_saving, said_variable
from churnsurv.warning.given_score import SCORE, GivenScore
from churnsurv.warning.objectives import Capacity, Objective, Value
from churnsurv.warning.rules import Condition, Rule
from churnsurv.warning.score_lines import ScoreLines
from churnsurv.warning.score_search import CutGaps, FittedCut, fit_capped_cut, fit_cut
from churnsurv.warning.scores import CHANCE, GapScore
from churnsurv.warning.tier_figures import figures, tier_sums
from churnsurv.warning.tier_words import merit, nobody_note
from churnsurv.warning.training import Training

__all__ = ["FittedCuts", "FittedScores", "PatternGaps", "ScoreTier", "fit_cuts", "whole_blocks"]

Ints: TypeAlias = NDArray[np.int64]
_WORTH_SAYING = 0.1


class PatternGaps(CutGaps, Protocol):
    """Gaps that are told apart by pattern."""

    @property
    def pattern(self) -> Ints:
        """The pattern of each gap; shape (n_gaps,)."""


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

    score: GapScore | GivenScore
    training: Training
    tiers: tuple[ScoreTier, ...]
    notes: tuple[str, ...]
    data_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class FittedCuts:
    """The tiers of a score, from the highest down, and what is to be said of them."""

    tiers: tuple[ScoreTier, ...]
    notes: tuple[str, ...]


def fit_cuts(
    gaps: PatternGaps,
    objective: Mapping[str, Objective],
    named: Mapping[str, str],
    *,
    n_samples: int,
    seed: int,
    level: float,
    rounded: bool,
    lines: Callable[[], ScoreLines],
) -> FittedCuts:
    """Fit the cuts of all tiers, from the highest down; a gap that a tier has taken is none of a lower one's.

    Parameters
    ----------
    gaps : PatternGaps
    objective : Mapping of str to Value, Precision or Capacity
    named : Mapping of str to str
        What each tier compares, from the highest down.
    n_samples, seed : int
        Resamples of the blocks of users.
    level : float
    rounded : bool
    lines : callable
        Makes the lines in which the gaps wait, where a tier is of a capacity.
    """
    training, notes, tiers = gaps.training, list[str](), list[ScoreTier]()
    rng, n_blocks = np.random.default_rng(seed), training.counts.n_blocks
    samples = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_samples).astype(np.float64)
    taken = np.full(int(gaps.pattern.max(initial=-1)) + 1, training.idle_days)
    limited = any(isinstance(objective[name], Capacity) for name in named)
    waiting, above = lines() if limited else None, list[tuple[str, float]]()
    for name, variable in named.items():
        goal = objective[name]
        how: Any = {"level": level, "rounded": rounded, "least": 0.0 if variable == CHANCE else -np.inf}
        if isinstance(goal, Capacity) and waiting is not None:
            lowest = name == list(named)[-1]
            found = fit_capped_cut(gaps, waiting, goal, variable, above, taken, samples, lowest=lowest, **how)
        else:
            found = fit_cut(gaps, goal, variable, taken, samples, **how)
        capped = found.capped
        sums = tier_sums(training, goal, found.first_day[gaps.pattern], taken[gaps.pattern])
        told = figures(training, sums if capped is None else capped.sums, level=level)
        tiers.append(_tier(name, found, told, level))
        notes += _tier_notes(name, goal, found)
        taken = np.minimum(taken, found.first_day)
        above += [] if found.cut is None else [(variable, found.cut)]
    return FittedCuts(tuple(tiers), tuple(notes))


def whole_blocks(blocks: object) -> int:
    """How many blocks of users are asked for.

    Raises
    ------
    InputError
        If it is no number of blocks.
    """
    if isinstance(blocks, bool) or not isinstance(blocks, (int, np.integer)) or not 2 <= blocks <= 1_000_000:
        raise InputError(f"blocks is a whole number from 2 to 1,000,000; it is {blocks!r}.")
    return int(blocks)


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


def _tier_notes(name: str, objective: Objective, found: FittedCut) -> list[str]:
    if found.cut is None:
        return [note("{tier}: {text}", tier=name, text=_why_empty(objective, found))]
    notes: list[str] = []
    if found.cut != found.fitted and found.kept != 1.0:
        notes.append(
            note(
                "{tier}: the cut is rounded, which costs {share} of its {what} in training; the best rule was {rule}.",
                tier=name,
                share=f"{1.0 - found.kept:.2%}",
                what=merit(objective),
                rule=said_rule(str(_rule(found.variable, found.fitted))),
            )
        )
    if isinstance(objective, Value):
        notes.append(_worth_note(name, objective, found))
    worst = max(found.assumed[1:], key=lambda each: each.value - each.chosen, default=None)
    if worst is not None and worst.value > 0 and 1.0 - worst.chosen / worst.value > _WORTH_SAYING:
        notes.append(
            note(
                "{tier}: the cut hangs on the saving curve. With {saving}, this one misses {share} of the value of the "
                "best.",
                tier=name,
                saving=said_saving(worst.saving),
                share=f"{1.0 - worst.chosen / worst.value:.0%}",
            )
        )
    if isinstance(objective, Capacity) and found.capped is not None:
        first = note("score") if found.variable == SCORE else note("P(churn) (idle_days - d) / idle_days")
        notes.append(
            note(
                "{tier}: on no day more than {n} first alerts, those of the highest {first} first; the others wait "
                "while the score is above the cut. Figures are of the alerts that come of it, equals drawn by lot. "
                "The cut alone would alert {alone} a day on average.",
                tier=name,
                n=f"{objective.per_day:,.6g}",
                first=first,
                alone=f"{found.capped.alone:,.4g}",
            )
        )
    return notes


def _worth_note(name: str, objective: Value, found: FittedCut) -> Note:
    """What the score of a tier of a value is in money."""
    said = objective.to_plain()
    value, cost = f"{said['saved_value']:,.6g}", f"{said['contact_cost']:,.6g}"
    if found.variable == SCORE:
        return note(
            "{tier}: the first day of a gap above the cut, idle day d, is worth {value} s(d) where the gap ends in "
            "churn, less {cost} of the contact. Waiting is not weighed: the score is taken as it is.",
            tier=name,
            value=value,
            cost=cost,
        )
    return note(
        "{tier}: {variable} is {value} s(d) P(churn) - {cost} of a contact on idle day d, less what waiting for the "
        "best later day is worth; the highest since the last activity.",
        tier=name,
        variable=said_variable(found.variable),
        value=value,
        cost=cost,
    )


def _why_empty(objective: Objective, found: FittedCut) -> Note:
    if isinstance(objective, Value):
        return nobody_note()
    if found.nearest is None:
        return note("the tier is empty: no gap that ends in churn is left for it to alert.")
    amount, cut = found.nearest
    return note(
        "the tier is empty: no cut has a lower bound of precision of {target}. The nearest target that is met is about "
        "{amount}, by: {rule}.",
        target=f"{objective.to_plain()['target']:.4g}",
        amount=f"{amount:.3f}",
        rule=said_rule(str(_rule(found.variable, cut))),
    )
