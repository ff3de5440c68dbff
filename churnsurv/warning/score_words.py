"""Why a score is what it is for a user, and what silence makes of it, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.warning.given_score import SCORE
from churnsurv.warning.scores import CHANCE, GapScore

if TYPE_CHECKING:
    from churnsurv.warning.assign import States
    from churnsurv.warning.scheme import TierRule, TierScheme

__all__ = ["given_sentences", "score_sentences"]

_TOLD = 3  # terms that are named


def score_sentences(scheme: TierScheme, state: States, higher: Sequence[TierRule], idle: float) -> Iterator[str]:
    """Say P(churn), the terms that move it most, and the next higher tier that silence leads to.

    Parameters
    ----------
    scheme : TierScheme
        Of a `GapScore`.
    state : States
        Of one user.
    higher : sequence of TierRule
        Tiers above the user's own, highest first.
    idle : float
        Idle days of the user, before churn.
    """
    import pandas as pd

    score = scheme.score
    if not isinstance(score, GapScore):
        return
    chance = float(state.numbers[CHANCE][0])
    if math.isnan(chance):
        return
    yield f"The chance to churn is {chance:.0%}: {_terms(scheme, score, state)}."
    days = np.arange(math.floor(idle) + 1, scheme.idle_days).astype(np.float64)
    risk = np.repeat(score.risk(scheme.filled(state.frame)), days.size)
    later = pd.DataFrame(score.compared(risk, days))
    entered = [
        (int(days[holds.argmax()]), rank, each)
        for rank, each in enumerate(higher)
        if (holds := each.rule.holds(later)).any()
    ]
    if entered:
        day, _, each = min(entered, key=lambda found: found[:2])
        left = math.ceil(day - idle)
        yield (
            f"If the user stays silent and nothing else changes, the tier becomes {each.name} on idle day {day}, in "
            f"{left} {'day' if left == 1 else 'days'}."
        )


def given_sentences(
    scheme: TierScheme,  # noqa: ARG001
    state: States,
    higher: Sequence[TierRule],
    idle: float,  # noqa: ARG001
) -> Iterator[str]:
    """Say above which score the next higher tier begins: how a given score goes on in silence nobody knows.

    Parameters
    ----------
    scheme : TierScheme
        Of a `GivenScore`.
    state : States
        Of one user.
    higher : sequence of TierRule
        Tiers above the user's own, highest first.
    idle : float
    """
    if not higher or math.isnan(float(state.numbers[SCORE][0])):
        return
    yield (
        f"How the score goes on if the user stays silent is not known; the tier {higher[-1].name} is for "
        f"{higher[-1].rule}."
    )


def _terms(scheme: TierScheme, score: GapScore, state: States) -> str:
    """The terms with the largest contributions: a hazard ratio of return above 1 lowers the chance to churn."""
    added = score.contributions(scheme.filled(state.frame)).iloc[0]
    largest = added[added.abs().sort_values(ascending=False, kind="stable").index][:_TOLD]
    told = [f"{term} {math.exp(value):.2f}" for term, value in largest.items()]
    return f"against the mean of all gaps, returns are so many times as frequent by {', '.join(told)}"
