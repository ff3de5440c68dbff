"""Users assigned to the arms of campaigns, and what they did from then on: one row for a user in a campaign.

Day u = 1 is the day of assignment. With C the days that a row is followed for, known for everybody, N(u) those of the
rows of its arm and stratum that are followed to day u, and dM(u) what a row brings on day u,

    W = sum over u <= min(C, horizon) of dM(u) / G(u-),   G(u-) = N(u) / N(1),

has the mean of M(horizon) as its mean, whoever was not followed to the horizon (Bang and Tsiatis 2000). What a return
leads to counts on: return is not the end of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["SUMS", "CampaignRows", "read_only"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Cell: TypeAlias = tuple[int, int]

#: What is added up over the days of a row, already weighted.
SUMS = ("active_days", "reinvested", "invested", "rewards", "liability", "days_live", "cost")
_BY_ROW = (
    "user", "campaign", "arm", "stratum", "cluster", "followed", "time", "returned", "assigned_day", "delivered",
    "opened", "second", *SUMS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CampaignRows:
    """Rows in the order of campaign and user; made by `campaign_rows`. All arrays are read-only.

    Attributes
    ----------
    user : (n,) int64
        Code of the user: the same in all campaigns, in the order of the ids.
    campaign, arm, stratum, cluster : (n,) int64
        Codes; those of strata are of one campaign each, so that (arm, stratum) says the campaign too. Without strata
        each campaign is one. Without clusters each user is one.
    campaigns, arms, strata : tuple of str
        What the codes stand for, in alphabetical order; strata are named "campaign: stratum" where there are several
        campaigns.
    followed : (n,) int64
        C: days from the assignment to the end of the log, the day of assignment being the first.
    time : (n,) int64
        The day u of the first activity, where that is within the horizon and the log; else min(C, horizon).
    returned : (n,) bool
        Whether `time` is that of an activity.
    assigned_day : (n,) datetime64[D]
    delivered, opened, second : (n,) int64
        The day u of delivery, of opening, and of a second contact; 0 for never, for after the end of the log, or where
        nothing is known of it.
    active_days, reinvested, invested, rewards, liability, days_live, cost : (n,) float64
        W of days with activity; of amounts invested less redeemed; of amounts invested; of rewards released; of rewards
        promised that may still be released after the horizon; of days that end in a live spell; of what contacts cost.
    propensity : (n,) float64, or None
        Probability of the arm that the row is in, as given.
    weights : Mapping of (arm, stratum) to (horizon,) float64
        G(u-) for u = 1 ... horizon.
    by_day : Mapping of str to Mapping of (arm, stratum) to (horizon,) float64
        For each of `SUMS` the mean of day u over the rows followed to it, m(u); they add up to the mean of W.
    pre : Mapping of str to (n,) float64
        Known before the assignment: pre_active_days and pre_invested (of the 30 days before), pre_balance,
        pre_idle_days (at most 365; registration counts as activity), tenure, and the covariates asked for.
    horizon : int
        Last day u that counts.
    idle_days : int
        Those of the churn rule.
    observed_until : date
        Last day of the log.
    given : frozenset of str
        Which of delivered_at, opened_at, second_contact_at, cost, stratum, propensity, cluster, amount (of
        investments), rewards there are, and "time of day" where that counts on the day of assignment.
    counts : Mapping of str to int
        `rows_read`, `rows`, `users`, `returned`, `followed_to_horizon`, `left_out`, and the reasons.
    notes : tuple of str
        What a reader has to know.
    """

    user: Ints
    campaign: Ints
    arm: Ints
    stratum: Ints
    cluster: Ints
    campaigns: tuple[str, ...]
    arms: tuple[str, ...]
    strata: tuple[str, ...]
    followed: Ints
    time: Ints
    returned: NDArray[np.bool_]
    assigned_day: NDArray[np.datetime64]
    delivered: Ints
    opened: Ints
    second: Ints
    active_days: Floats
    reinvested: Floats
    invested: Floats
    rewards: Floats
    liability: Floats
    days_live: Floats
    cost: Floats
    propensity: Floats | None
    weights: Mapping[Cell, Floats]
    by_day: Mapping[str, Mapping[Cell, Floats]]
    pre: Mapping[str, Floats]
    horizon: int
    idle_days: int
    observed_until: date
    given: frozenset[str]
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    _user_ids: pa.ChunkedArray
    _problems: pa.Table

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.user.shape[0])

    @property
    def user_id(self) -> pd.Series:
        """A fresh column of the ids, row by row."""
        ids: pd.Series = self._user_ids.to_pandas()
        return ids.rename("user_id")

    @property
    def problems(self) -> pd.DataFrame:
        """Every row that is left out, with its reason; schema "assignment_problems"."""
        from churnsurv.data.arrow import to_pandas

        return to_pandas(self._problems)

    def only(self, campaign: str) -> CampaignRows:
        """Return the rows of one campaign, with the codes of its own arms and strata.

        Raises
        ------
        InputError
            If there is no such campaign; the nearest name is given.
        """
        if campaign not in self.campaigns:
            raise InputError(
                f"there is no campaign {campaign!r}.{did_you_mean(campaign, self.campaigns)} Campaigns: "
                f"{', '.join(map(repr, self.campaigns))}."
            )
        if len(self.campaigns) == 1:
            return self
        mine = self.campaign == self.campaigns.index(campaign)
        arms, strata = np.unique(self.arm[mine]), np.unique(self.stratum[mine])
        cells = {
            (int(np.searchsorted(arms, arm)), int(np.searchsorted(strata, stratum))): (arm, stratum)
            for arm, stratum in self.weights
            if stratum in strata
        }
        columns: dict[str, Any] = {name: getattr(self, name)[mine] for name in _BY_ROW}
        columns["campaign"] = np.zeros(int(mine.sum()), dtype=np.int64)
        columns["arm"] = np.searchsorted(arms, columns["arm"])
        columns["stratum"] = np.searchsorted(strata, columns["stratum"])
        pre = {name: values[mine] for name, values in self.pre.items()}
        share = None if self.propensity is None else self.propensity[mine]
        read_only(*columns.values(), *pre.values(), share)
        names = [self.strata[stratum] for stratum in strata]
        prefix = f"{campaign}: "
        return replace(
            self,
            **columns,
            campaigns=(campaign,),
            arms=tuple(self.arms[arm] for arm in arms),
            strata=tuple("all" if each == campaign else each.removeprefix(prefix) for each in names),
            propensity=share,
            weights=MappingProxyType({new: self.weights[old] for new, old in cells.items()}),
            by_day=MappingProxyType(
                {
                    name: MappingProxyType({new: means[old] for new, old in cells.items()})
                    for name, means in self.by_day.items()
                }
            ),
            pre=MappingProxyType(pre),
            _user_ids=self._user_ids.filter(mine),
        )

    def __repr__(self) -> str:
        campaigns = self.campaigns[0] if len(self.campaigns) == 1 else f"{len(self.campaigns)} campaigns"
        returned, followed = int(self.returned.sum()), int((self.followed >= self.horizon).sum())
        return (
            f"<CampaignRows: {campaigns}, {self.n:,} rows in {len(self.arms)} arms, {returned:,} returned within "
            f"{self.horizon} days; {followed:,} followed so long>"
        )


def read_only(*arrays: NDArray[Any] | None) -> None:
    """Make arrays that can't be changed."""
    for array in arrays:
        if array is not None:
            array.setflags(write=False)
