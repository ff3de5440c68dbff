"""Users who are in several campaigns at a time, so that the effects of these may mix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from churnsurv.data.assigned import CampaignRows
from churnsurv.notes import note
from churnsurv.recall.lift_verdicts import Check, verdict
from churnsurv.tables.said import said_name

__all__ = ["overlap_checks"]

Ints: TypeAlias = NDArray[np.int64]

#: Of the users of a campaign: fewer can hardly carry its lift.
_MANY = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pairs of rows of one user in two campaigns, the second assigned before the horizon of the first is over."""

    first: Ints
    second: Ints


def overlap_checks(rows: CampaignRows) -> list[Check]:
    """Count the users of each campaign who are in another one before its horizon is over, and compare their arms.

    Parameters
    ----------
    rows : CampaignRows
        Of all campaigns.
    """
    if len(rows.campaigns) == 1:
        return []
    pairs = _pairs(rows)
    touched = np.zeros(rows.n, dtype=np.bool_)
    touched[pairs.first] = touched[pairs.second] = True
    found = []
    for code, name in enumerate(rows.campaigns):
        mine = rows.campaign == code
        n, total = int((touched & mine).sum()), int(mine.sum())
        words = note(
            "{n} of {total} users are in another campaign, too, within {days} days.",
            n=f"{n:,}",
            total=f"{total:,}",
            days=rows.horizon,
        )
        if n == 0:
            found.append(Check("overlaps", name, None, 0.0, 0.0, words=words))
            continue
        statistic, df, with_ = _arms_together(rows, pairs, code)
        p = float(chdtrc(df, statistic)) if df else None
        together = verdict(p) == "broken"
        words = (
            note(
                "{said} Their arms go together (most with {campaign}): the lift is in part that of the other campaign. "
                "Compare users with the same arm there, by strata=, or leave them out.",
                said=words,
                campaign=said_name(rows.campaigns[with_]),
            )
            if together
            else note(
                "{said} Their arms there do not depend on the arm here: the lift is that of this campaign amid the "
                "others.",
                said=words,
            )
        )
        told = "broken" if together and n / total >= _MANY else "look"
        found.append(Check("overlaps", name, None, float(n), 0.0, statistic if df else None, p, words, told))
    return found


def _pairs(rows: CampaignRows) -> _Pairs:
    day = rows.assigned_day.astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((day, rows.user))
    user, when = rows.user[order], day[order]
    first, second = [], []
    for step in range(1, len(rows.campaigns)):
        close = (user[step:] == user[:-step]) & (when[step:] < when[:-step] + rows.horizon)
        if not close.any():
            break
        at = np.flatnonzero(close)
        first.append(order[at])
        second.append(order[at + step])
    empty = np.zeros(0, dtype=np.int64)
    return _Pairs(np.concatenate([*first, empty]), np.concatenate([*second, empty]))


def _arms_together(rows: CampaignRows, pairs: _Pairs, campaign: int) -> tuple[float, int, int]:
    """Chi-square of the arms here and there over all other campaigns, and the one that has most of it."""
    here = np.concatenate([pairs.first, pairs.second])
    there = np.concatenate([pairs.second, pairs.first])
    mine = rows.campaign[here] == campaign
    here, there = here[mine], there[mine]
    n_arms = len(rows.arms)
    statistic, df, most, largest = 0.0, 0, campaign, -1.0
    for other in np.unique(rows.campaign[there]):
        both = rows.campaign[there] == other
        table = np.bincount(rows.arm[here[both]] * n_arms + rows.arm[there[both]], minlength=n_arms**2)
        counts = table.reshape(n_arms, n_arms)
        counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
        if min(counts.shape) < 2:
            continue
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
        value = float(((counts - expected) ** 2 / expected).sum())
        statistic, df = statistic + value, df + (counts.shape[0] - 1) * (counts.shape[1] - 1)
        if value > largest:
            largest, most = value, int(other)
    return statistic, df, most
