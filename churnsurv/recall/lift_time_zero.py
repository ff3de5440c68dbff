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
from churnsurv.recall.lift_verdicts import Check

__all__ = ["time_zero_checks"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: From here down an arm is refused: a chance that no reading of the data explains.
_CERTAIN = 1e-6


def time_zero_checks(rows: CampaignRows, campaign: str, control: int) -> list[Check]:
    """Look whether users of an arm return before their message as often as those of the control do.

    Parameters
    ----------
    rows : CampaignRows
        Of one campaign.
    campaign : str
    control : int
        Code of the control.

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
        mine &= rows.followed >= rows.delivered[mine].max()
        # Where some users of the arm never got a message, those who returned before it may be among them.
        if not (rows.delivered[mine] > 0).all():
            continue
        seen, expected = _before_delivery(rows, mine, control)
        p = float(pdtr(seen, expected)) if expected > 0 else 1.0
        words = (
            f"Between the assignment and the message {seen:,} users of {name!r} returned; at the pace of the control "
            f"{expected:,.1f} would have."
        )
        if p < _CERTAIN and seen < expected / 2:
            raise InputError(
                f"campaign {campaign!r}: {words} So {name!r} holds only users who were still silent when their message "
                "came: their treatment was decided after the assignment, and the days until then are immortal time. "
                "Give the arm that each user was drawn into on the day of assignment, or, where arms were drawn on the "
                "day of the message, that day as assigned_at, for the control too."
            )
        found.append(Check("immortal time", campaign, name, float(seen), expected, None, p, words))
    return found


def _before_delivery(rows: CampaignRows, mine: NDArray[np.bool_], control: int) -> tuple[int, float]:
    """Returns of an arm before the day of its message, and how many the control's curves of return foretell."""
    seen = int((rows.returned[mine] & (rows.time[mine] < rows.delivered[mine])).sum())
    expected = 0.0
    for stratum in np.unique(rows.stratum[mine]):
        here = rows.stratum == stratum
        other = here & (rows.arm == control)
        if not other.any():
            continue
        returned = _share_returned(rows.time[other], rows.returned[other], rows.horizon)
        treated = mine & here
        days = np.minimum(np.minimum(rows.delivered[treated] - 1, rows.followed[treated]), rows.horizon)
        expected += float(returned[days].sum())
    return seen, expected


def _share_returned(time: Ints, returned: NDArray[np.bool_], horizon: int) -> Floats:
    """1 - Kaplan-Meier on days 0 ... horizon."""
    back = np.bincount(time[returned], minlength=horizon + 1)[: horizon + 1]
    gone = np.bincount(np.minimum(time, horizon), minlength=horizon + 1)[: horizon + 1]
    at_risk = time.size - np.concatenate([[0], np.cumsum(gone)[:-1]])
    hazard = np.divide(back, at_risk, out=np.zeros(horizon + 1), where=at_risk > 0)
    share: Floats = 1 - np.cumprod(1 - hazard)
    return share
