"""Why each user of a plan is contacted, waits or is left out, in sentences; and the printed list."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    from churnsurv.action.plan import Plan

__all__ = ["ACTIONS", "REASONS", "Blanks", "sentences", "to_text"]

Ints: TypeAlias = NDArray[np.int64]

#: What a plan does with a user.
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "contact": "is contacted on the next day",
        "wait": "something is still to come",
        "hold out": "is not contacted, so that the effect can be measured",
        "leave out": "is not enrolled today, and may be on a later day",
        "close": "nothing more is sent in this silence",
    }
)
#: Why, by code: the sentence, with blanks.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "first": "first contact, {tier} tier: {channel}",
        "next": "no response to {last} of {last_on} within {days}: now {channel}",
        "rose": "rose from the {was} to the {tier} tier after {last} of {last_on}: {channel} at once",
        "again": "silent again: {channel}, from the first step of the {tier} tier on",
        "not_due": "{last} went out on {last_on}; {channel} follows on {due} if there is no response",
        "quiet_day": "nothing goes out on {contact_on}, a quiet day; next on {next_day}",
        "capped": "{cap}: the limit for one user is reached",
        "no_capacity": "{channel} takes {per_day}, and more urgent users come first",
        "no_budget": "the budget for {channel}, {budget}, is spent",
        "held_out": "held out since {since}: not contacted, so that the effect can be measured",
        "opted_out": "opted out of every channel of the {tier} tier",
        "no_contacts": "no contacts for tier {tier}",
        "answered": "answered on {answered_on}: nothing more is sent in this silence",
        "done": "no step is left after {last} of {last_on}: every contact that may be made was made",
        "no_time": "{channel} would follow on {due}, after formal churn on {churn_on}",
        "returned": "active again: the alert is over",
        "churned": "{churn_days} without activity: churned, the alert is over",
        "left_tier": "no tier's rule holds any more: the alert is over",
    }
)

#: Numbers that fill a blank, one a row, and how each is said.
Blanks: TypeAlias = Mapping[str, tuple[Ints, Callable[[int], str]]]


def sentences(reason: Ints, blanks: Blanks) -> NDArray[np.object_]:
    """The sentence of each row: shape (n,).

    Rows with the same reason and numbers share one text, so that a million rows have a few hundred.

    Parameters
    ----------
    reason : (n,) int64
        Place in `REASONS`.
    blanks : Mapping of str to ((n,) int64, function)

    Examples
    --------
    >>> places = [list(REASONS).index(name) for name in ("capped", "returned")]
    >>> sentences(np.array(places), {"cap": (np.array([3, 0]), lambda n: f"{n} contacts")}).tolist()
    ['3 contacts: the limit for one user is reached', 'active again: the alert is over']
    """
    import pandas as pd

    words = np.full(reason.size, None, dtype=object)
    for code, pattern in enumerate(REASONS.values()):
        rows = np.flatnonzero(reason == code)
        if not rows.size:
            continue
        names = [name for _, name, _, _ in string.Formatter().parse(pattern) if name]
        numbers = {name: blanks[name][0][rows] for name in names}
        group = np.zeros(rows.size, dtype=np.int64)
        if names:
            group[:] = pd.DataFrame(numbers).groupby(names, sort=False).ngroup().to_numpy()
        _, first = np.unique(group, return_index=True)
        texts = [
            pattern.format(**{name: blanks[name][1](int(numbers[name][place])) for name in names}) for place in first
        ]
        words[rows] = np.array(texts, dtype=object)[group]
    return words


# -------------------------------------------------------------------------------------------------- the printed list

_SHOWN = {
    "user_id": "user",
    "tier": "tier",
    "action": "action",
    "channel": "channel",
    "offer": "offer",
    "message": "message",
    "reward": "reward",
    "words": "why",
}


def to_text(plan: Plan, limit: int) -> str:
    """The plan as an operator reads it: what goes out and what it costs, to whom, and why others get nothing."""
    lines = [_title(plan), "", *_totals(plan), "", *_money(plan)]
    table = plan._table
    contacts = table[table["action"] == "contact"]
    if len(contacts):
        lines += ["", *_listed(contacts, limit)]
    others = table[table["action"] != "contact"]
    if len(others):
        lines += ["", "Not contacted", *_by_reason(others)]
    return "\n".join([*lines, *(f"Note: {note}" for note in plan.notes)])


def _title(plan: Plan) -> str:
    window = plan._window
    if window is None:
        goes = f"nothing goes out on {plan.contact_on}, a quiet day"
    else:
        # the same time twice is the whole day
        hours = "" if window[0][-5:] == window[1][-5:] else f", {window[0][-5:]} to {window[1][-5:]}"
        goes = f"contacts go out on {plan.contact_on}{hours}"
    said = f"Contact plan of {plan.date}, campaign {plan.policy.campaign!r}: {goes}"
    return f"{said}\nDRY RUN: the ledger knows later days, and does not record this plan." if plan.dry_run else said


def _totals(plan: Plan) -> list[str]:
    counts = plan.counts
    contacts = plan._table[plan._table["action"] == "contact"]
    by_channel = contacts["channel"].value_counts()
    said = ", ".join(f"{name} {by_channel[name]:,}" for name in plan.policy.channels if name in by_channel)
    what = counted(counts["contact"], "contact") + (f" ({said})" if said else "")
    rest = [f"{counts[name]:,} {words}" for name, words in _OTHERS.items() if counts[name]]
    held = f", {counts['held out today']:,} of them held out" if counts["enrolled"] else ""
    escalated = counted(counts["escalated"], "contact")
    return [
        ", ".join([f"{counted(counts['alerts'], 'alert')}: {what}", *rest]),
        f"{counted(counts['enrolled'], 'user')} enrolled today{held}; {escalated} escalated.",
    ]


_EVERYBODY = 1_000.0
_WHOLE = 100.0
_OTHERS = {"wait": "waiting", "hold out": "held out", "leave out": "left out", "close": "closed"}


def _money(plan: Plan) -> list[str]:
    every = plan._costs.iloc[-1]
    if not every["n"]:
        return ["Cost: nothing is sent."]
    lines = [f"Cost: contacts {every['contact_cost']:,.2f}"]
    if every["promised"]:
        lines[0] += (
            f"; rewards promised {every['promised']:,.2f}, of which {every['release_lower']:,.2f} to "
            f"{every['release_upper']:,.2f} will be released"
        )
    return [*lines, f"Break-even: {_break_even(every)}"]


def _break_even(every: Any) -> str:
    """How many returns pay for it, in words."""
    if not np.isfinite(every["break_even"]):
        return "not known; alerts with margin= say what a return is worth."
    worth = f"at {every['value_per_return']:,.2f} a return"
    most, least = every["break_even"], every["break_even_lower"]
    if least > _EVERYBODY:
        return f"never, {worth}: it would not pay if all users contacted returned who would not have done so."
    said = _number(least) if _number(least) == _number(most) else f"{_number(least)} to {_number(most)}"
    return f"{said} returns per 1,000 contacted, more than without contact, {worth}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.2g}"


def _listed(contacts: Any, limit: int) -> list[str]:
    """The first contacts, columns in line."""
    shown = contacts.head(max(limit, 0))
    names = [name for name in _SHOWN if name not in ("action",) and shown[name].notna().any()]
    columns = [[_SHOWN[name], *(_cell(value) for value in shown[name].tolist())] for name in names]
    widths = [max(map(len, column)) for column in columns]
    widths[-1] = 0
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
    more = len(contacts) - len(shown)
    return [*lines, f"... and {counted(more, 'more contact')}"] if more else lines


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    text = f"{value:,.2f}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


def _by_reason(others: Any) -> list[str]:
    """How many by action and reason, with the sentence of the first as an example."""
    lines = []
    for action in ACTIONS:
        rows = others[others["action"] == action]
        for reason, n in rows["reason"].value_counts().sort_index().sort_values(ascending=False, kind="stable").items():
            words = rows.loc[rows["reason"] == reason, "words"]
            example = words.iloc[0] if (words == words.iloc[0]).all() else f"such as: {words.iloc[0]}"
            lines.append(f"  {n:>9,}  {action:<9}  {reason:<11}  {example}")
    return lines
