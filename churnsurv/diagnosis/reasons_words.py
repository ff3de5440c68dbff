"""What a reader must know of reasons, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from churnsurv.diagnosis.naming import called, every, listed, quoted
from churnsurv.diagnosis.reasons_response import RARE
from churnsurv.notes import note
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from churnsurv.diagnosis.reasons_answers import Reasons
    from churnsurv.diagnosis.reasons_response import ResponseModel

__all__ = ["headline", "outside", "reason_notes", "unmapped"]


def reason_notes(
    counts: Mapping[str, int],
    reasons: Reasons,
    model: ResponseModel,
    overlap: pd.DataFrame,
    *,
    until: date,
    within: int,
) -> list[str]:
    """Return the notes on who was asked, what was left out, and what the shares rest on."""
    n, known = counts["churns"], counts["known"]
    notes: list[str] = [
        note(
            "{known} of {n} churns up to {until} have a reason ({share}). An answer belongs to a churn if it comes "
            "from the day of the last activity to {days} days after the churn, and not after the day of a return; the "
            "first counts. Churns of the last {days} days of the log are not asked about: not all their answers can be "
            "in.",
            known=f"{known:,}",
            n=f"{n:,}",
            until=until,
            share=f"{known / n:.1%}",
            days=within,
        )
    ]
    notes += _answers(counts, reasons)
    notes += list(model.notes)
    if model.variables:
        notes.append(
            note(
                "Weighted shares hold if, among users alike in {variables}, answering has nothing to do with the "
                "reason; no table can show that. The bounds need no assumption.",
                variables=said_list([called(name) for name in model.variables]),
            )
        )
        rare = overlap[overlap["share_rare"] > 0]
        if len(rare):
            worst = rare.iloc[int(rare["share_rare"].argmax())]
            notes.append(
                note(
                    "Up to {share} of the churns of a group ({group}) have an estimated chance below {rare} to have "
                    "their reason known: one answer there stands for up to {n} churns.",
                    share=f"{worst['share_rare']:.1%}",
                    group=every(str(worst["group"])),
                    rare=f"{RARE:g}",
                    n=f"{worst['largest_weight']:.0f}",
                )
            )
    elif known < n:
        notes.append(
            note("No model of who answers: all shares are those of users who did. The bounds need no assumption.")
        )
    return notes


def _answers(counts: Mapping[str, int], reasons: Reasons) -> list[str]:
    notes: list[str] = []
    if len(reasons.unmapped):
        codes = unmapped(reasons)
        notes.append(note("Answers without a reason: {codes}. Their churns count as silent.", codes=codes))
    if reasons.never:
        codes = listed([quoted(each) for each in reasons.never])
        notes.append(note("The mapping has codes that nobody gave: {codes}.", codes=codes))
    if equal := counts["equal_feedback"]:
        notes.append(
            note("{n} rows of the feedback are equal to another (user, time, code, route): taken once.", n=f"{equal:,}")
        )
    if reasons.ties:
        notes.append(
            note(
                "{n} churns have several reasons told at the same time (or on the same day, where that is all that is "
                "known): the code that comes first in the alphabet counts.",
                n=f"{reasons.ties:,}",
            )
        )
    if left := counts["feedback_rejected"]:
        notes.append(note("{n} rows of the feedback cannot be used; see the rejects of the log.", n=f"{left:,}"))
    if left := counts["not_churned"]:
        notes.append(note("{n} answers are of users who had not churned: kept apart.", n=f"{left:,}"))
    excluded = ("left_truncated_excluded", "undetermined", "not_seen", "first_spell_unseen")
    if users := sum(counts[each] for each in excluded):
        notes.append(
            note(
                "{n} spells of users registered before the log are left out: their origin is not known.",
                n=f"{users:,}",
            )
        )
    return notes


def unmapped(reasons: Reasons) -> str:
    """Codes without a reason, with the number of answers."""
    codes = ((quoted(str(row.code)), f"{row.n:,}") for row in reasons.unmapped.itertuples())
    return listed([note("{code} ({n})", code=code, n=n) for code, n in codes])


def outside(table: pd.DataFrame) -> list[str]:
    """A note where a weighted share cannot be that of these churns, whoever is silent for whatever reason."""
    below, above = (table["weighted_share"] - table[f"bound_{side}"] for side in ("lower", "upper"))
    out = table[(below < -1e-9) | (above > 1e-9)]
    if out.empty:
        return []
    several = bool((table["group"] != table["group"].iloc[0]).any())
    rows = [
        note(
            "{reason} {share} in {group}" if several else "{reason} {share}",
            reason=row.reason,
            share=f"{row.weighted_share:.1%}",
            **({"group": row.group} if several else {}),
        )
        for row in out.itertuples()
    ]
    return [
        note(
            "Weighted shares outside of their bounds: {rows}. The share of these churns cannot be that: the chances to "
            "answer are off there, or rest on few answers.",
            rows=listed(rows),
        )
    ]


def headline(shares: Sequence[tuple[str, float, float, float]], n: int, known: int) -> str:
    """One line: how many churns, how many reasons, and the most frequent ones."""
    said = [f"{reason} {share:.1%} ({lower:.1%} to {upper:.1%})" for reason, share, lower, upper in shares[:4]]
    more = ", ..." if len(shares) > 4 else ""
    return f"{n:,} churns, {known:,} with a reason; weighted: {', '.join(said)}{more}"
