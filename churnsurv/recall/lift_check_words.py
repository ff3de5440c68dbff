"""What checks of a campaign found, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from churnsurv.notes import Note, note
from churnsurv.recall.lift_verdicts import verdict
from churnsurv.tables.said import said_list, said_name

__all__ = ["contacted_words", "ratio_words", "weeks_words"]


def ratio_words(found: str, p: float) -> Note:
    """Whether arms have as many users as were planned."""
    if verdict(p) == "fine":
        return note("{found}: as chance would have it.", found=found)
    return note(
        "{found}: chance does not do that. Users were lost or added after the draw, or the plan was another one; until "
        "it is known which, the lift may be that of who was lost.",
        found=found,
    )


def weeks_words(arm: str, low: float, high: float, p: float) -> Note:
    """How the share of an arm went over the weeks of assignment, between `low` and `high`."""
    if verdict(p) == "fine":
        return note("The share of {arm} is steady over the weeks of assignment.", arm=said_name(arm))
    return note(
        "The share of {arm} runs from {low} to {high} over the weeks of assignment. Users of different weeks differ "
        "and are followed for different times: name the week (or the day) in strata=.",
        arm=said_name(arm),
        low=f"{low:.0%}",
        high=f"{high:.0%}",
    )


def contacted_words(arm: str, n: int, total: int, ways: Mapping[str, int], *, drawn: bool) -> Note:
    """How many users of the control were contacted, in which ways, and what that makes of the lift."""
    found = note(
        "{n} of {total} users in {arm} were contacted ({ways})",
        n=f"{n:,}",
        total=f"{total:,}",
        arm=said_name(arm),
        ways=said_list(_contacted(way, users) for way, users in ways.items() if users),
    )
    if drawn:
        return note(
            "{found}: the lift is that of the assignment, and less than that of the contact. exposure='delivered' asks "
            "for the latter.",
            found=found,
        )
    return note(
        "{found}: the difference is less than that of the contact. Check how arms were written down; leaving these "
        "users out, or moving them, is right only if they were meant for the contact on the day of assignment.",
        found=found,
    )


def _contacted(way: str, n: int) -> Note:
    """So many users of the control who were contacted, by the column that tells it."""
    number = f"{n:,}"
    return {
        "delivered_at": note("{n} were delivered a message", n=number),
        "opened_at": note("{n} opened one", n=number),
        "second_contact_at": note("{n} had a second contact", n=number),
    }[way]
