"""Score tiers from a table of scores that the user brings: for each objective the best cut."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.score_days import ScoreDays, score_days
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.numerics.score_search import BlockCells, Crossings, listed
from churnsurv.tables.said import said_list
from churnsurv.warning.given_score import SCORE, GivenScore
from churnsurv.warning.objectives import Objective, Value
from churnsurv.warning.score_lines import lines_by_table
from churnsurv.warning.score_tiers import FittedScores, fit_cuts, whole_blocks
from churnsurv.warning.score_training import cells_of, require_churn, training_of
from churnsurv.warning.training import Training

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["GivenGaps", "fit_given_tiers"]

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GivenGaps:
    """Mature gaps with a score by day.

    Attributes
    ----------
    training : Training
        One row a gap, without rules, for the figures of tiers.
    records : Crossings
        Each gap is a pattern of its own.
    """

    training: Training
    records: Crossings

    @property
    def pattern(self) -> Ints:
        """The pattern of each gap; shape (n_gaps,)."""
        return np.arange(self.records.n_patterns, dtype=np.int64)

    def crossings(self, variable: str, worth: Value | None = None) -> Crossings:  # noqa: ARG002
        """The records of the score, which is the same whatever a contact is worth."""
        return self.records

    def cells(self, until: Ints) -> BlockCells:
        """The gaps, each taken over by a higher tier on day `until`."""
        return cells_of(self.training, self.pattern, until)


def fit_given_tiers(
    log: ActivityLog,
    table: object,
    objective: Mapping[str, Objective],
    order: Sequence[str],
    *,
    missing: Mapping[str, float] | None,
    until: datetime.date | str | None,
    n_samples: int,
    blocks: int,
    seed: int,
    rounded: bool,
    level: float,
) -> FittedScores:
    """Find the cuts of a score that is given; see `churnsurv.warning.fit_tiers`.

    Raises
    ------
    InputError
        If something shall stand in for a missing score, the table cannot be used, or nobody churned.
    SchemaError
        If the table lacks a column or a column has the wrong type.
    """
    if missing:
        raise InputError(
            "missing= is for variables of rules and formulas. Who has no score has no alert; give those a row of the "
            "table who shall have one."
        )
    log = log if until is None else log.as_of(until)
    days = score_days(log, table, blocks=whole_blocks(blocks))
    idle_days, window = log.rule.idle_days, (days.first_start, days.last_start)
    require_churn(days.duration.size, int(np.count_nonzero(days.duration > idle_days)), idle_days, window)
    if not days.gap.size:
        raise InputError(
            f"score: none of the {days.duration.size:,} gaps that began from {window[0]} to {window[1]} has a score on "
            "an idle day. Give scores from the beginning of the log on."
        )
    training = training_of(
        log,
        window,
        block=days.block,
        n_blocks=days.n_blocks,
        duration=days.duration,
        registration_gap=days.registration_gap,
    )
    # idle day 1 is at position 0
    records = listed(days.gap, days.day - 1, days.score, n_patterns=days.duration.size, n_days=idle_days - 1)
    gaps = GivenGaps(training, records)
    named = dict.fromkeys(order, SCORE)
    found = fit_cuts(
        gaps,
        objective,
        named,
        n_samples=n_samples,
        seed=seed,
        level=level,
        rounded=rounded,
        lines=lambda: lines_by_table(log, table, training),
    )
    notes = (*_notes(training, days, level), *found.notes)
    return FittedScores(GivenScore(idle_days), training, found.tiers, notes, _hash_of(days, idle_days))


def _hash_of(days: ScoreDays, idle_days: int) -> str:
    """SHA-256 of the gaps and the records of their scores, which come in the order of users and days."""
    digest = hashlib.sha256(f"given score, {idle_days}".encode())
    for whole in (days.block, days.duration, days.gap, days.day):
        digest.update(np.ascontiguousarray(whole, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(days.score, dtype="<f8").tobytes())
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------------------- notes


def _notes(training: Training, days: ScoreDays, level: float) -> list[str]:
    counts = training.counts
    return [
        note(
            "Cuts of a score that was given, fitted to the {n} gaps between active days that began from {first} to "
            "{last}, all followed for {days} days. The score of a day is taken as known at its end: whether it looks "
            "ahead cannot be seen from it.",
            n=f"{counts.n.size:,}",
            first=counts.first_start,
            last=counts.last_start,
            days=counts.idle_days,
        ),
        *_used(days),
        note(
            "Limits (level {level}) take users as independent, and score and cuts as fixed beforehand. The cuts were "
            "chosen on the same gaps, so that the figures are somewhat too good, and more so if the score was learnt "
            "from them too: judge them on later days. Resamples choose cuts anew and keep the score.",
            level=f"{level:g}",
        ),
    ]


def _used(days: ScoreDays) -> list[str]:
    """What of the table is used, on how many days an older score stands in, and who has none."""
    notes: list[str] = []
    if days.days_carried:
        notes.append(
            note(
                "score: {n} of {days} idle days of these gaps ({share}) have no row of their own and carry the last "
                "one before, for up to {longest} days.",
                n=f"{days.days_carried:,}",
                days=f"{days.days:,}",
                share=f"{days.days_carried / days.days:.1%}",
                longest=f"{days.longest_carry:,}",
            )
        )
    if days.days_before:
        notes.append(
            note(
                "score: {n} of {days} idle days lie before the first score of their user. {never} gaps never have a "
                "score, and no alert.",
                n=f"{days.days_before:,}",
                days=f"{days.days:,}",
                never=f"{days.never:,}",
            )
        )
    n = {reason: f"{number:,}" for reason, number in days.rows.items()}
    said = {
        "no_score": note("{n} without a value", n=n["no_score"]),
        "unknown_user": note("{n} of unknown users", n=n["unknown_user"]),
        "outside_log": note("{n} with dates outside the log", n=n["outside_log"]),
        "missing_user_id": note("{n} without a user id", n=n["missing_user_id"]),
        "missing_date": note("{n} without a date", n=n["missing_date"]),
        "unparsable_date": note("{n} with a date that cannot be read", n=n["unparsable_date"]),
        "repeated": note("{n} that are there already", n=n["repeated"]),
    }
    left = said_list(words for reason, words in said.items() if days.rows[reason])
    if left:
        notes.append(note("score: of {n} rows these are left out: {rows}.", n=n["read"], rows=left))
    return notes
