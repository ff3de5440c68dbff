"""What a reader must know of reasons, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from churnsurv.diagnosis.pooled import listed
from churnsurv.diagnosis.reasons_response import RARE

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
    notes = [
        f"{known:,} of {n:,} churns up to {until} have a reason ({known / n:.1%}). An answer belongs to a churn if it "
        f"comes from the day of the last activity to {within} days after the churn, and not after the day of a return; "
        f"the first counts. Churns of the last {within} days of the log are not asked about: not all their "
        "answers can be in."
    ]
    notes += _answers(counts, reasons)
    notes += list(model.notes)
    if model.variables:
        notes.append(
            f"Weighted shares hold if, among users alike in {', '.join(model.variables)}, answering has nothing to do "
            "with the reason; no table can show that. The bounds need no assumption."
        )
        rare = overlap[overlap["share_rare"] > 0]
        if len(rare):
            worst = rare.iloc[int(rare["share_rare"].argmax())]
            notes.append(
                f"Up to {worst['share_rare']:.1%} of the churns of a group ({worst['group']}) have an estimated chance "
                f"below {RARE:g} to have their reason known: one answer there stands for up to "
                f"{worst['largest_weight']:.0f} churns."
            )
    elif known < n:
        notes.append("No model of who answers: all shares are those of users who did. The bounds need no assumption.")
    return notes


def _answers(counts: Mapping[str, int], reasons: Reasons) -> list[str]:
    notes = []
    if len(reasons.unmapped):
        notes.append(f"Answers without a reason: {unmapped(reasons)}. Their churns count as silent.")
    if reasons.never:
        notes.append(f"The mapping has codes that nobody gave: {listed([repr(each) for each in reasons.never])}.")
    if counts["equal_feedback"]:
        notes.append(
            f"{counts['equal_feedback']:,} rows of the feedback are equal to another (user, time, code, route): taken "
            "once."
        )
    if reasons.ties:
        notes.append(
            f"{reasons.ties:,} churns have several reasons told at the same time (or on the same day, where that is "
            "all that is known): the code that comes first in the alphabet counts."
        )
    if left := counts["feedback_rejected"]:
        notes.append(f"{left:,} rows of the feedback cannot be used; see the rejects of the log.")
    if counts["not_churned"]:
        notes.append(f"{counts['not_churned']:,} answers are of users who had not churned: kept apart.")
    excluded = ("left_truncated_excluded", "undetermined", "not_seen", "first_spell_unseen")
    if users := sum(counts[each] for each in excluded):
        notes.append(f"{users:,} spells of users registered before the log are left out: their origin is not known.")
    return notes


def unmapped(reasons: Reasons) -> str:
    """Codes without a reason, with the number of answers."""
    return listed([f"{row.code!r} ({row.n:,})" for row in reasons.unmapped.itertuples()])


def outside(table: pd.DataFrame) -> list[str]:
    """A note where a weighted share cannot be that of these churns, whoever is silent for whatever reason."""
    below, above = (table["weighted_share"] - table[f"bound_{side}"] for side in ("lower", "upper"))
    out = table[(below < -1e-9) | (above > 1e-9)]
    if out.empty:
        return []
    rows = [f"{row.reason} {row.weighted_share:.1%}" for row in out.itertuples()]
    if (table["group"] != table["group"].iloc[0]).any():
        rows = [f"{row.reason} {row.weighted_share:.1%} in {row.group}" for row in out.itertuples()]
    return [
        f"Weighted shares outside of their bounds: {listed(rows)}. The share of these churns cannot be that: the "
        "chances to answer are off there, or rest on few answers."
    ]


def headline(shares: Sequence[tuple[str, float, float, float]], n: int, known: int) -> str:
    """One line: how many churns, how many reasons, and the most frequent ones."""
    said = [f"{reason} {share:.1%} ({lower:.1%} to {upper:.1%})" for reason, share, lower, upper in shares[:4]]
    more = ", ..." if len(shares) > 4 else ""
    return f"{n:,} churns, {known:,} with a reason; weighted: {', '.join(said)}{more}"
