"""What a reader of a tier scheme must know, in sentences."""

from __future__ import annotations

import numpy as np

from churnsurv.data.feature import BUILT_IN, Feature
from churnsurv.data.rule import ChurnRule
from churnsurv.notes import Note, note
from churnsurv.tables.said import said_rule, said_saving, said_variable
from churnsurv.warning.moving_search import MovingTier
from churnsurv.warning.objectives import Objective, Precision, Value
from churnsurv.warning.tier_search import FittedTier
from churnsurv.warning.training import Training

__all__ = ["may_move", "merit", "nearest_note", "nobody_note", "scheme_notes", "tier_notes"]

_WORTH_SAYING = 0.1


def scheme_notes(training: Training, level: float) -> list[str]:
    """What holds for all tiers."""
    counts = training.counts
    registration = int(counts.n[counts.registration_gap].sum())
    when = note("Variables are as of the end of the first day of a gap.")
    if training.moves:
        when = note("Variables are as of the end of the first day of a gap, and of each idle day where they change.")
    notes: list[str] = [
        note(
            "Fitted to the {n} gaps between active days that began from {first} to {last}, all followed for {days} "
            "days; {registration} of them began at registration. {when}",
            n=f"{int(counts.n.sum()):,}",
            first=counts.first_start,
            last=counts.last_start,
            days=counts.idle_days,
            registration=f"{registration:,}",
            when=when,
        ),
        note(
            "Limits (level {level}) take users as independent and the rule as fixed beforehand. The rule was chosen on "
            "the same gaps, so that its figures are somewhat too good: judge it on later days.",
            level=f"{level:g}",
        ),
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
    return note(
        "{name} crosses thresholds while users are silent ({n} gaps, {share}); a rule is taken to hold by the value at "
        "the end of each idle day.",
        name=said_variable(name),
        n=f"{moved:,}",
        share=f"{moved / counts.n.sum():.1%}",
    )


def _no_value(training: Training, name: str) -> str | None:
    counts = training.counts
    none = int(counts.n[counts.cells[name] > len(counts.grids[name])].sum())
    if not none:
        return None
    n, share = f"{none:,}", f"{none / counts.n.sum():.1%}"
    if name in training.missing:
        return note(
            "{name}: {n} gaps ({share}) began without a value; {value} stands in for it.",
            name=said_variable(name),
            n=n,
            share=share,
            value=f"{training.missing[name]:,.12g}",
        )
    return note(
        "{name}: {n} gaps ({share}) began without a value, and no condition on it holds for them. If none means 0, fit "
        'with missing={{"{name}": 0}}.',
        name=said_variable(name),
        n=n,
        share=share,
    )


def may_move(variable: str | Feature, rule: ChurnRule) -> str | None:
    """Say where a variable counts events that are no activity, so that it may change while users are silent."""
    feature = BUILT_IN.get(variable) if isinstance(variable, str) else variable
    if feature is None or rule.activity is None:
        return None
    quiet = feature.kinds is not None and not set(feature.kinds) <= set(rule.activity)
    if not quiet:
        return None
    return note(
        "{name} counts events that are no activity under this churn rule, so that it may change while a user is "
        "silent; the tiers were fitted to its value when the gap began.",
        name=said_variable(feature.name),
    )


def tier_notes(training: Training, name: str, objective: Objective, found: FittedTier) -> list[str]:
    """What holds for one tier."""
    if not found.five.any():
        return [note("{tier}: {text}", tier=name, text=nearest_note(training, objective, found))]
    notes: list[str] = []
    if (found.five != found.fitted).any():
        what = merit(objective)
        change = 1.0 - found.kept
        cost = (
            note("costs {share} of its {what}", share=f"{change:.2%}", what=what)
            if change >= 0
            else note("adds {share} to its {what}", share=f"{-change:.2%}", what=what)
        )
        notes.append(
            note(
                "{tier}: thresholds are rounded, which {cost} in training; the best rule was {rule}.",
                tier=name,
                cost=cost,
                rule=said_rule(str(training.rule(found.pair, found.fitted))),
            )
        )
    if isinstance(objective, Value):
        notes += _value_notes(training, name, found)
    if isinstance(found, MovingTier) and found.candidates:
        what = (
            note("what resamples choose, how optimistic the choice is and which rules may be best")
            if isinstance(objective, Value)
            else note("what resamples choose")
        )
        notes.append(
            note(
                "{tier}: the rule is the best of all; {what} is told among the {n} rules nearest to it, because "
                "variables move in silence.",
                tier=name,
                what=what,
                n=f"{found.candidates:,}",
            )
        )
    return notes


def merit(objective: Objective) -> Note:
    """What rules of an objective are compared by."""
    return note("net benefit") if isinstance(objective, Value) else note("lead-weighted recall")


def _value_notes(training: Training, name: str, found: FittedTier) -> list[str]:
    notes: list[str] = []
    fitted = found.assumed[0].value
    if found.sample_pair.size and fitted > 0:
        notes.append(
            note(
                "{tier}: choosing the best of all rules makes the value look better than it is by about {share} "
                "(bootstrap).",
                tier=name,
                share=f"{max(found.optimism, 0.0) / fitted:.1%}",
            )
        )
    worst = max(found.assumed[1:], key=lambda each: each.value - each.chosen, default=None)
    if worst is not None and worst.value > 0 and 1.0 - worst.chosen / worst.value > _WORTH_SAYING:
        notes.append(
            note(
                "{tier}: the rule hangs on the saving curve. With {saving}, {rule} is best, and this rule misses "
                "{share} of its value.",
                tier=name,
                saving=said_saving(worst.saving),
                rule=said_rule(str(training.rule(worst.pair, worst.five))),
                share=f"{1.0 - worst.chosen / worst.value:.0%}",
            )
        )
    if found.nobody:
        notes.append(note("{tier}: as far as the data can tell, contacting nobody may be as good.", tier=name))
    return notes


def nobody_note() -> Note:
    """Why a tier of a value is empty."""
    return note(
        "contacting nobody is best: on no idle day does what a contact saves outweigh what it costs. A lower cost, "
        "a higher saved_value or a curve that saves more would change that."
    )


def nearest_note(training: Training, objective: Objective, found: FittedTier) -> Note:
    """Why a tier is empty, and the nearest objective that has a rule."""
    if isinstance(objective, Value):
        return nobody_note()
    if found.nearest is None:
        return note("the tier is empty: higher tiers leave it no gap to alert.")
    amount, pair, five = found.nearest
    if isinstance(objective, Precision):
        return note(
            "the tier is empty: no rule has a lower bound of precision of {target}. The nearest target that is met is "
            "about {amount}, by: {rule}.",
            target=f"{objective.target:.4g}",
            amount=f"{amount:.3f}",
            rule=said_rule(str(training.rule(pair, five))),
        )
    raise TypeError(f"only a precision has a nearest target, not {type(objective).__name__}")
