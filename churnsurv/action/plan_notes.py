"""What a reader of a contact plan must know, in sentences."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.action.plan_deciding import CODES
from churnsurv.action.plan_history import millionths
from churnsurv.survival.frames import counted

if TYPE_CHECKING:
    from churnsurv.action.plan_deciding import Decided
    from churnsurv.action.plan_history import History
    from churnsurv.action.plan_inputs import Alerted, Answers
    from churnsurv.action.policy import Policy

__all__ = ["plan_notes"]

_NEARLY = 0.9


def plan_notes(
    alerts: Alerted,
    policy: Policy,
    known: History,
    found: Decided,
    answers: Answers,
    *,
    dry_run: bool,
    last: date | None,
) -> list[str]:
    """What holds for the plan as a whole."""
    notes = []
    if dry_run:
        notes.append(
            f"The ledger has recorded {last} already: the plan of {alerts.day} is a dry run. It looks at "
            "earlier days alone, and is what it was if opt-outs and responses are those of then."
        )
    if policy.holdout == 0:
        notes.append("Nobody is held out, so that nothing will tell what the contacts brought.")
    without = [
        name
        for name in alerts.tiers
        if not policy.contacts.get(name) and (alerts.tier == alerts.tiers.index(name)).any()
    ]
    if without:
        notes.append(f"The policy has no contacts for {' and '.join(without)}.")
    if answers.counts["later"]:
        notes.append(
            f"{counted(answers.counts['later'], 'response')} after {alerts.day} not known yet, and not looked at."
        )
    for name, channel in policy.channels.items():
        spent = known.spent.channels[name]
        if channel.budget is not None and spent >= _NEARLY * millionths(channel.budget):
            notes.append(
                f"{name}: {spent / 1e6:,.2f} of the budget of {channel.budget:,.2f} was spent before this day."
            )
    blocked = np.isin(found.reason, [CODES["no_capacity"], CODES["no_budget"]])
    if blocked.any():
        tiers = alerts.tier[blocked]
        notes.append(
            f"{counted(int(blocked.sum()), 'user')} found no room; the most urgent of them is in the "
            f"{alerts.tiers[int(tiers.min())]} tier."
        )
    return notes
