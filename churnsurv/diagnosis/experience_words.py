"""What a reader must know of experience and churn, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.diagnosis.naming import called, listed
from churnsurv.notes import note
from churnsurv.survival.frames import counted
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from datetime import date

__all__ = ["answer_notes", "experience_notes", "headline"]


def experience_notes(
    counts: Mapping[str, int], adjusted_for: Sequence[str], *, until: date, idle_days: int, kinds: Sequence[str]
) -> Iterator[str]:
    """Yield the notes on the gap models."""
    alike = said_list([called(name) for name in adjusted_for])
    yield note(
        "Observational: users with a problem are compared with users alike in {variables} and in their active days "
        "before. Nobody has drawn by lot who has one. A share is churn that would not have been without the problem "
        "only if nothing else does.",
        variables=alike,
    )
    yield note(
        "{gaps} gaps of {users} users that began up to {until}, so that it is known of each whether {days} days passed "
        "without a return: {churned} did. A later gap is left out however it went.",
        gaps=f"{counts['gaps']:,}",
        users=f"{counts['users']:,}",
        until=until,
        days=idle_days,
        churned=f"{counts['churned']:,}",
    )
    yield note(
        "A share is of churns at the activities that there were: some of those users would have left at a later one. "
        "Shares of several kinds need not add up to that of all."
    )
    if counts["not_adjusted"]:
        yield note(
            "Left out: {gaps} of users registered before the log, of whom the days before a gap are not known.",
            gaps=counted(counts["not_adjusted"], "gap"),
        )
    if counts["with_absent"]:
        gaps = counted(counts["with_absent"], "gap")
        yield note("Left out: {gaps} that began with a problem without estimate.", gaps=gaps)
    if counts["between"]:
        yield note(
            "{n} of {all} problems ({kinds}) happened on days without activity: not known when the gap began, they say "
            "nothing of it; the gap after it knows them as past ones.",
            n=f"{counts['between']:,}",
            all=f"{counts['problems']:,}",
            kinds=said_list(kinds),
        )
    if counts["small_cells"]:
        yield note(
            "{cells} of {variables} with few churned or returned gaps ({n} gaps) count as one.",
            cells=counted(counts["small_cells"], "cell"),
            variables=alike,
            n=f"{counts['in_small_cells']:,}",
        )


def answer_notes(counts: Mapping[str, int], within: int) -> Iterator[str]:
    """Yield the notes on satisfaction."""
    yield note(
        "Of the answers the last of the {days} days before a gap counts, its first day included, each topic alone and "
        "not adjusted for problems, which may be what the answer is about. Who answers is not random: those who do not "
        "are a level of their own.",
        days=within,
    )
    if counts["answers_rejected"]:
        answers = counted(counts["answers_rejected"], "answer")
        yield note("{answers} cannot be used: see answer_rejects.", answers=answers)


def headline(ranking: Sequence[Mapping[str, Any]], counts: Mapping[str, int]) -> str:
    """One line: the first of the ranking and all together."""
    said = [
        f"{row['kind']} hazard ratio {row['hazard_ratio']:.2f} ({row['hr_lower']:.2f} to {row['hr_upper']:.2f}), "
        f"{percent(row['share'])} of churn"
        for row in ranking[:3]
        if row["kind"] != "(all)"
    ]
    whole = [row for row in ranking if row["kind"] == "(all)"]
    more = ""
    if whole and len(ranking) > 2:
        share, lower, upper = (percent(whole[0][name]) for name in ("share", "share_lower", "share_upper"))
        more = f"; together {share} ({lower} to {upper})"
    return f"{counts['gaps']:,} gaps, {counts['churned']:,} churned; {listed(said)}{more}; observational"


def percent(share: float) -> str:
    """A share in percent: two digits of small ones, and no minus before 0.

    Examples
    --------
    >>> percent(0.0214), percent(-0.00004), percent(-1e-9)
    ('2.1%', '-0.004%', '0.0%')
    """
    size = abs(100 * share)
    if size >= 0.1 or not size >= 0.0005:
        text = f"{100 * share:.1f}%"
        return text.removeprefix("-") if size < 0.05 else text
    return f"{100 * share:.1g}%"
