"""What alerts say in words: the conditions that hold, and the notes that a reader must know."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.notes import note
from churnsurv.survival.frames import counted
from churnsurv.tables.said import said_variable
from churnsurv.warning.hysteresis import hysteresis_notes, wider_rules
from churnsurv.warning.rules import IDLE_DAYS, Rule

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.alert_scores import Margins, SilentScores
    from churnsurv.warning.alerts_replay import Replay
    from churnsurv.warning.scheme import TierScheme

__all__ = ["fired", "margin_notes", "scheme_notes", "score_notes", "state_notes"]

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


def fired(scheme: TierScheme, widths: Mapping[str, float], tiers: Replay) -> NDArray[np.object_]:
    """The alternatives of the rule of each user's tier that hold, as text; of who is held, those of the wider rule.

    Returns
    -------
    (n,) object
        None for users in no tier.
    """
    found = np.full(tiers.now.size, None, dtype=object)
    values = {**tiers.numbers, IDLE_DAYS: tiers.idle.astype(np.float64)}
    wide = wider_rules(scheme, widths)
    for place, tier in enumerate(scheme.tiers):
        for rule, held in ((tier.rule, False), (wide[place], True)):
            rows = np.flatnonzero((tiers.now == place) & (tiers.held == held))
            if rows.size:
                found[rows] = _holding(rule, {name: each[rows] for name, each in values.items()})
    return found


def _holding(rule: Rule, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.object_]:
    """The alternatives of a rule that hold, as text."""
    held = np.column_stack([Rule((each,)).holds(values) for each in rule.alternatives])  # type: ignore[arg-type]
    which = held @ (1 << np.arange(held.shape[1]))
    texts = np.array(
        [str(Rule(tuple(a for i, a in enumerate(rule.alternatives) if n >> i & 1))) for n in range(1 << held.shape[1])],
        dtype=object,
    )
    return np.asarray(texts[which], dtype=object)


# ---------------------------------------------------------------------------------------------------------------- notes


def scheme_notes(scheme: TierScheme, widths: Mapping[str, float], day: datetime.date) -> list[str]:
    """What hysteresis does; whether the tiers had seen later days."""
    notes = hysteresis_notes(scheme, widths)
    if scheme.known_until > day:
        notes.append(
            note(
                "The tiers were fitted to what was known by {date}: on {day} they could not have been there.",
                date=scheme.known_until,
                day=day,
            )
        )
    return notes


def state_notes(scheme: TierScheme, silent: pd.DataFrame, variables: Sequence[str]) -> list[str]:
    """Of how many silent users something that the tiers look at is not known."""
    notes: list[str] = []
    for name in variables:
        gone = int(silent[name].isna().sum())
        if not gone:
            continue
        who = counted(gone, "silent user")
        if name in scheme.missing:
            value = f"{scheme.missing[name]:,.12g}"
            notes.append(
                note("{who} without {name}: {value} stands in for it.", who=who, name=said_variable(name), value=value)
            )
        elif scheme.score is None:
            notes.append(
                note("{who} without {name}: no condition on it holds for them.", who=who, name=said_variable(name))
            )
        elif name in scheme.score.numbers:
            notes.append(note("{who} without {name}: no score, and in no tier.", who=who, name=said_variable(name)))
    return notes


def score_notes(scores: SilentScores, idle: Ints, silent: Flags) -> list[str]:
    """How old the scores are that hold on the day."""
    age = scores.age(idle)[silent]
    notes, old = list[str](), age > 0
    if old.any():
        notes.append(
            note(
                "score: {n} of {users} have no row on the day itself and carry the last one before, for up to {days}.",
                n=f"{int(old.sum()):,}",
                users=counted(age.size, "silent user"),
                days=counted(int(age.max()), "day"),
            )
        )
    if (age < 0).any():
        users = counted(int((age < 0).sum()), "silent user")
        notes.append(note("score: {users} without any score so far: in no tier.", users=users))
    return notes


def margin_notes(table: pd.DataFrame, given: Margins | None, worth: str | None) -> list[str]:
    """Whether there is a value at risk, and of whom there is none."""
    if given is None and worth is None:
        return [note("No margin was given: what is at risk in money is not told.")]
    there = table["tier"].notna()
    gone = int((table["margin"].isna() & there).sum())
    notes: list[str] = []
    if gone:
        users = counted(int(there.sum()), "user")
        notes.append(note("margin: not known of {n} of {users} in a tier.", n=f"{gone:,}", users=users))
    if given is not None and given.unknown:
        rows = counted(given.unknown, "row")
        notes.append(note("margin: {rows} of users that the log does not know.", rows=rows))
    return notes
