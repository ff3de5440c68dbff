"""What a reader must know of experience and churn, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.diagnosis.pooled import listed
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    from datetime import date

__all__ = ["answer_notes", "experience_notes", "headline"]

_LEFT_OUT = {
    "not_adjusted": "{n} of users registered before the log, of whom the days before a gap are not known",
    "with_absent": "{n} that began with a problem without estimate",
}


def experience_notes(
    counts: Mapping[str, int], adjusted_for: Sequence[str], *, until: date, idle_days: int, kinds: Sequence[str]
) -> Iterator[str]:
    """Yield the notes on the gap models."""
    yield (
        "Observational: users with a problem are compared with users alike in "
        f"{', '.join(adjusted_for)} and in their active days before. Nobody has drawn by lot who has one. "
        "A share is churn that would not have been without the problem only if nothing else does."
    )
    yield (
        f"{counts['gaps']:,} gaps of {counts['users']:,} users that began up to {until}, so that it is known of each "
        f"whether {idle_days} days passed without a return: {counts['churned']:,} did. A later gap is left out however "
        "it went."
    )
    yield (
        "A share is of churns at the activities that there were: some of those users would have left at a later one. "
        "Shares of several kinds need not add up to that of all."
    )
    for name, text in _LEFT_OUT.items():
        if counts[name]:
            yield "Left out: " + text.format(n=counted(counts[name], "gap")) + "."
    if counts["between"]:
        yield (
            f"{counts['between']:,} of {counts['problems']:,} problems ({', '.join(kinds)}) happened on days without "
            "activity: not known when the gap began, they say nothing of it; the gap after it knows them as past ones."
        )
    if counts["small_cells"]:
        yield (
            f"{counted(counts['small_cells'], 'cell')} of {', '.join(adjusted_for)} with few churned or returned gaps "
            f"({counts['in_small_cells']:,} gaps) count as one."
        )


def answer_notes(counts: Mapping[str, int], within: int) -> Iterator[str]:
    """Yield the notes on satisfaction."""
    yield (
        f"Of the answers the last of the {within} days before a gap counts, its first day included, each topic alone "
        "and not adjusted for problems, which may be what the answer is about. Who answers is not random: those who do "
        "not are a level of their own."
    )
    if counts["answers_rejected"]:
        yield f"{counted(counts['answers_rejected'], 'answer')} cannot be used: see answer_rejects."


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
