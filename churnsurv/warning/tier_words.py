"""What a reader of a tier scheme must know, in sentences."""

from __future__ import annotations

import numpy as np

from churnsurv.data.feature import BUILT_IN, Feature
from churnsurv.data.rule import ChurnRule
from churnsurv.warning.moving_search import MovingTier
from churnsurv.warning.objectives import Objective, Precision, Value
from churnsurv.warning.tier_search import FittedTier
from churnsurv.warning.training import Training

__all__ = ["may_move", "nearest_note", "scheme_notes", "tier_notes"]

_WORTH_SAYING = 0.1


def scheme_notes(training: Training, level: float) -> list[str]:
    """What holds for all tiers."""
    counts = training.counts
    registration = int(counts.n[counts.registration_gap].sum())
    notes = [
        f"Fitted to the {int(counts.n.sum()):,} gaps between active days that began from {counts.first_start} to "
        f"{counts.last_start}, all followed for {counts.idle_days} days; {registration:,} of them began at "
        "registration. Variables are as of the end of the first day of a gap"
        f"{', and of each idle day where they change' if training.moves else ''}.",
        f"Limits (level {level:g}) take users as independent and the rule as fixed beforehand. The rule was chosen on "
        "the same gaps, so that its figures are somewhat too good: judge it on later days.",
    ]
    gone = [_no_value(training, name) for name in training.names]
    moves = [_moved(training, name) for name in training.names if training.moves]
    return [*notes, *(note for note in (*gone, *moves) if note)]


def _moved(training: Training, name: str) -> str | None:
    """How often a variable crosses a threshold while a user is silent."""
    counts, along = training.counts, training.paths[name]
    there = np.arange(along.shape[1])[None] < counts.duration[:, None]
    rows = np.flatnonzero(training.path >= 0)
    mine = along[training.path[rows]]
    moved = int(counts.n[rows][((mine != mine[:, :1]) & there[rows]).any(axis=1)].sum())
    if not moved:
        return None
    return (
        f"{name} crosses thresholds while users are silent ({moved:,} gaps, {moved / counts.n.sum():.1%}); a rule is "
        "taken to hold by the value at the end of each idle day."
    )


def _no_value(training: Training, name: str) -> str | None:
    counts = training.counts
    none = int(counts.n[counts.cells[name] > len(counts.grids[name])].sum())
    if not none:
        return None
    share = f"{name}: {none:,} gaps ({none / counts.n.sum():.1%}) began without a value"
    if name in training.missing:
        return f"{share}; {training.missing[name]:,.12g} stands in for it."
    return f'{share}, and no condition on it holds for them. If none means 0, fit with missing={{"{name}": 0}}.'


def may_move(variable: str | Feature, rule: ChurnRule) -> str | None:
    """Say where a variable counts events that are no activity, so that it may change while users are silent."""
    feature = BUILT_IN.get(variable) if isinstance(variable, str) else variable
    if feature is None or rule.activity is None:
        return None
    quiet = feature.kinds is not None and not set(feature.kinds) <= set(rule.activity)
    if not quiet:
        return None
    return (
        f"{feature.name} counts events that are no activity under this churn rule, so that it may change while a user "
        "is silent; the tiers were fitted to its value when the gap began."
    )


def tier_notes(training: Training, name: str, objective: Objective, found: FittedTier) -> list[str]:
    """What holds for one tier."""
    if not found.five.any():
        return [f"{name}: {nearest_note(training, objective, found)}"]
    notes = []
    if (found.five != found.fitted).any():
        what = "net benefit" if isinstance(objective, Value) else "lead-weighted recall"
        change = 1.0 - found.kept
        cost = f"costs {change:.2%} of its {what}" if change >= 0 else f"adds {-change:.2%} to its {what}"
        notes.append(
            f"{name}: thresholds are rounded, which {cost} in training; the best rule was "
            f"{training.rule(found.pair, found.fitted)}."
        )
    if isinstance(objective, Value):
        notes += _value_notes(training, name, found)
    if isinstance(found, MovingTier) and found.candidates:
        what = ", how optimistic the choice is and which rules may be best" if isinstance(objective, Value) else ""
        notes.append(
            f"{name}: the rule is the best of all; what resamples choose{what} is told among the {found.candidates:,} "
            "rules nearest to it, because variables move in silence."
        )
    return notes


def _value_notes(training: Training, name: str, found: FittedTier) -> list[str]:
    notes = []
    fitted = found.assumed[0].value
    if found.sample_pair.size and fitted > 0:
        notes.append(
            f"{name}: choosing the best of all rules makes the value look better than it is by about "
            f"{max(found.optimism, 0.0) / fitted:.1%} (bootstrap)."
        )
    worst = max(found.assumed[1:], key=lambda each: each.value - each.chosen, default=None)
    if worst is not None and worst.value > 0 and 1.0 - worst.chosen / worst.value > _WORTH_SAYING:
        notes.append(
            f"{name}: the rule hangs on the saving curve. With {worst.saving}, {training.rule(worst.pair, worst.five)} "
            f"is best, and this rule misses {1.0 - worst.chosen / worst.value:.0%} of its value."
        )
    if found.nobody:
        notes.append(f"{name}: as far as the data can tell, contacting nobody may be as good.")
    return notes


def nearest_note(training: Training, objective: Objective, found: FittedTier) -> str:
    """Why a tier is empty, and the nearest objective that has a rule."""
    if isinstance(objective, Value):
        return (
            "contacting nobody is best: on no idle day does what a contact saves outweigh what it costs. A lower cost, "
            "a higher saved_value or a curve that saves more would change that."
        )
    if found.nearest is None:
        return "the tier is empty: higher tiers leave it no gap to alert."
    amount, pair, five = found.nearest
    rule = training.rule(pair, five)
    if isinstance(objective, Precision):
        return (
            f"the tier is empty: no rule has a lower bound of precision of {objective.target:.4g}. The nearest target "
            f"that is met is about {amount:.3f}, by: {rule}."
        )
    raise TypeError(f"only a precision has a nearest target, not {type(objective).__name__}")
