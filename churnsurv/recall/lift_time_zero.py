"""Immortal time: arms of users whose treatment was decided after the day from which their returns are counted.

If an arm holds those to whom a message got through, and the message came some days after the assignment, nobody in it
can have returned in between: those who did are in no arm, or in the control. The arm then looks late to return, or,
counted from the message on, better than it is.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from churnsurv.data.assigned import CampaignRows
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.recall.lift_verdicts import Check, verdict
from churnsurv.survival.frames import counted
from churnsurv.tables.said import said_name

__all__ = ["time_zero_checks"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: From here down an arm is refused: a chance that no reading of the data explains.
_CERTAIN = 1e-6
#: And from this share of the expected returns down: half where lots made the arms alike, else what no choice explains.
_LEAST_OF = {True: 0.5, False: 0.1}


def time_zero_checks(rows: CampaignRows, campaign: str, control: int, *, drawn: bool = True) -> list[Check]:
    """Look whether users of an arm return before their message as often as those of the control do.

    Parameters
    ----------
    rows : CampaignRows
        Of one campaign.
    campaign : str
    control : int
        Code of the control.
    drawn : bool
        Whether users were drawn into arms. If not, those of an arm may be slower to return than the control for other
        reasons, and the worst verdict is to look.

    Notes
    -----
    When users without a message would have had theirs nobody knows: it may have been called off because they returned.
    They count as favourably for the arm as can be: a return before the last message of the arm as one before theirs,
    and as expected what the control returned before the messages of others in the stratum, on average. Where messages
    were called off for those who returned, these others had earlier ones, if anything: so no arm as drawn is refused.

    Raises
    ------
    InputError
        If they do not: the arm was made of those who were still silent when the message came.
    """
    if "delivered_at" not in rows.given:
        return []
    found = []
    for arm, name in enumerate(rows.arms):
        mine = rows.arm == arm
        if arm == control or not (rows.delivered[mine] > 1).any():
            continue
        seen, expected = _before_delivery(rows, mine, control)
        p = float(pdtr(seen, expected)) if expected > 0 else 1.0
        words = note(
            "Between the assignment and the message {users} of {arm} returned; at the pace of the control {expected} "
            "would have.",
            users=counted(seen, "user"),
            arm=said_name(name),
            expected=f"{expected:,.1f}",
        )
        if p < _CERTAIN and seen < expected * _LEAST_OF[drawn]:
            how = "drawn into" if drawn else "meant for"
            when = "arms were drawn" if drawn else "that was decided"
            raise InputError(
                f"campaign {campaign!r}: {words} So {name!r} holds only users who were still silent when their message "
                "came: their treatment was decided after the assignment, and the days until then are immortal time. "
                f"Give the arm that each user was {how} on the day of assignment, or, where {when} on the day of the "
                "message, that day as assigned_at, for the control too."
            )
        told = "look" if not drawn and verdict(p) == "broken" else None
        found.append(Check("immortal time", campaign, name, float(seen), expected, None, p, words, told))
    return found


def _before_delivery(rows: CampaignRows, mine: NDArray[np.bool_], control: int) -> tuple[int, float]:
    """Returns of an arm before the day of its message, and how many the control's curves of return foretell."""
    sent = rows.delivered > 0
    ends = np.where(sent, rows.delivered, rows.delivered[mine].max())
    back = mine & rows.returned & (rows.time < ends)
    seen, expected = 0, 0.0
    for stratum in np.unique(rows.stratum[mine]):
        here = rows.stratum == stratum
        other = here & (rows.arm == control)
        told = mine & here & sent
        if not (other.any() and told.any()):
            continue
        returned = _share_returned(rows.time[other], rows.returned[other], rows.horizon)
        seen += int((back & here).sum())
        days = np.minimum(np.minimum(rows.delivered[told] - 1, rows.followed[told]), rows.horizon)
        expected += float(returned[days].sum())
        day, number = np.unique(rows.delivered[told] - 1, return_counts=True)
        followed = np.minimum(rows.followed[mine & here & ~sent], rows.horizon)
        for end, users in zip(*np.unique(followed, return_counts=True), strict=True):
            expected += float(users * np.average(returned[np.minimum(day, end)], weights=number))
    return seen, expected


def _share_returned(time: Ints, returned: NDArray[np.bool_], horizon: int) -> Floats:
    """1 - Kaplan-Meier on days 0 ... horizon."""
    back = np.bincount(time[returned], minlength=horizon + 1)[: horizon + 1]
    gone = np.bincount(np.minimum(time, horizon), minlength=horizon + 1)[: horizon + 1]
    at_risk = time.size - np.concatenate([[0], np.cumsum(gone)[:-1]])
    hazard = np.divide(back, at_risk, out=np.zeros(horizon + 1), where=at_risk > 0)
    share: Floats = 1 - np.cumprod(1 - hazard)
    return share
