"""The other tables: users, campaigns, feedback, the gaps with their truth, and what registrations cost."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churnsurv.simulation.columns import dates, money, times, words
from churnsurv.simulation.contacts import contact_cost
from churnsurv.simulation.draws import Purpose
from churnsurv.simulation.model import REASONS
from churnsurv.simulation.paths import Paths
from churnsurv.simulation.people import BY_CAMPAIGN, DEVICES, People, pick
from churnsurv.simulation.world import World

__all__ = ["CAMPAIGN_NAMES", "ROUTES", "Ledger", "campaign_table", "feedback_table", "gap_table", "user_table"]

Ints = NDArray[np.int64]

#: Values of the users' attribute `campaign`.
CAMPAIGN_NAMES = ("none", "spring")
#: Ways by which users say why they left, and their shares.
ROUTES = (("call_back", 0.40), ("in_app", 0.35), ("social_media", 0.25))

_DAY = 86_400
_USERS_A_REFERRER = 500


def user_table(world: World, people: People) -> pa.Table:
    """Users in the order of id: `user_id, registered_at, channel, campaign, device`."""
    channels = tuple(channel.name for channel in world.model.channels)
    return pa.table(
        {
            "user_id": people.user_id,
            "registered_at": times(world.model, people.day * _DAY + people.second),
            "channel": words(people.channel, channels),
            "campaign": words((people.burst == BY_CAMPAIGN).astype(np.int64), CAMPAIGN_NAMES),
            "device": words(people.device, tuple(name for name, _ in DEVICES)),
        }
    )


def campaign_table(world: World, paths: Paths) -> pa.Table:
    """Assignments to recall campaigns: `user_id, campaign, arm, assigned_at, idle_days, second_contact_at, cost`."""
    model, found = world.model, paths.assignments
    arms = tuple(dict.fromkeys(arm.name for campaign in world.campaigns for arm in campaign.arms)) or ("none",)
    code, cents = np.zeros_like(found.arm), np.zeros_like(found.arm)
    for i, campaign in enumerate(world.campaigns):
        rows = np.flatnonzero(found.campaign == i)
        code[rows] = np.array([arms.index(arm.name) for arm in campaign.arms])[found.arm[rows]]
        cost = contact_cost(campaign.arms, found.arm[rows], found.second[rows] >= 0)
        cents[rows] = np.rint(100.0 * cost).astype(np.int64)
    return pa.table(
        {
            "user_id": paths.people.user_id[found.user],
            "campaign": words(found.campaign, tuple(each.name for each in world.campaigns) or ("none",)),
            "arm": words(code, arms),
            "assigned_at": dates(model, found.day),
            "idle_days": pa.array(found.idle.astype(np.int32)),
            "second_contact_at": dates(model, np.maximum(found.second, 0), missing=found.second < 0),
            "cost": money(cents),
        }
    )


def feedback_table(world: World, paths: Paths) -> pa.Table:
    """Why some of the departed left, in their own words: `user_id, date, reason, route`."""
    steps = paths.steps
    rows = np.flatnonzero(steps.survey_day > 0)
    draws = paths.people.draws.at(steps.user[rows])
    route = pick(draws.uniform(Purpose.ROUTE, step=steps.step[rows]), tuple(share for _, share in ROUTES))
    return pa.table(
        {
            "user_id": paths.people.user_id[steps.user[rows]],
            "date": dates(world.model, steps.day[rows] + steps.survey_day[rows]),
            "reason": words(steps.reason[rows], REASONS),
            "route": words(route, tuple(name for name, _ in ROUTES)),
        }
    )


def gap_table(world: World, paths: Paths) -> pa.Table:
    """Every gap with its truth, one row after each activity, in the order of user and gap.

    The columns are described at `SimulatedTruth.gaps`.
    """
    model, steps = world.model, paths.steps
    until_end = model.days - 1 - steps.day
    types = {f"type_{k + 1}": steps.weights[:, k].copy() for k in range(steps.weights.shape[1])}
    return pa.table(
        {
            "user_id": paths.people.user_id[steps.user],
            "gap": pa.array((steps.step + 1).astype(np.int32)),
            "start_date": dates(model, steps.day),
            "duration": pa.array(np.minimum(steps.gap, until_end).astype(np.int32)),
            "returned": steps.gap <= until_end,
            "contacted": steps.contacted,
            "n_investments": pa.array(steps.n_investments.astype(np.int32)),
            "balance": money(steps.balance),
            "leaving_probability": steps.leaving,
            "left_probability": steps.left_probability,
            **types,
            "left": steps.left,
            "reason": words(np.maximum(steps.reason, 0), REASONS, missing=steps.reason < 0),
        }
    )


class Ledger:
    """What registrations cost, day by day and channel by channel; filled chunk by chunk.

    In the channel with a progressive reward a referrer earns 1 for a day on which he brings a new user, 3 if he
    brings one on the next day too, then 5 and so on, until a day without.
    """

    def __init__(self, world: World, n_users: int) -> None:
        self._world = world
        self._counts = np.zeros((world.model.days, len(world.model.channels)), dtype=np.int64)
        self._n_referrers = max(n_users // _USERS_A_REFERRER, 1)
        self._referred: list[Ints] = []

    def add(self, people: People) -> None:
        """Count the registrations of a chunk."""
        model = self._world.model
        place = people.day * len(model.channels) + people.channel
        self._counts += np.bincount(place, minlength=self._counts.size).reshape(self._counts.shape)
        kinds = np.array([channel.cost_kind == "progressive reward" for channel in model.channels])
        rows = np.flatnonzero(kinds[people.channel])
        referrer = (people.draws.at(rows).uniform(Purpose.REFERRER) * self._n_referrers).astype(np.int64)
        rewarded = people.channel[rows] * self._n_referrers + referrer
        self._referred.append(np.unique(rewarded * model.days + people.day[rows]))

    def table(self) -> pa.Table:
        """Costs in the order of date and channel: `date, channel, kind, n_users, amount`."""
        model = self._world.model
        cents = np.rint(self._counts * np.array([100.0 * each.cost for each in model.channels])).astype(np.int64)
        cents += self._rewards()
        day, channel = np.nonzero(self._counts)
        kinds = tuple(dict.fromkeys(each.cost_kind for each in model.channels))
        kind = np.array([kinds.index(each.cost_kind) for each in model.channels])
        return pa.table(
            {
                "date": dates(model, day),
                "channel": words(channel, tuple(each.name for each in model.channels)),
                "kind": words(kind[channel], kinds),
                "n_users": self._counts[day, channel],
                "amount": money(cents[day, channel]),
            }
        )

    def _rewards(self) -> Ints:
        """Progressive rewards in cents by day and channel."""
        model = self._world.model
        paid = np.zeros(self._counts.shape, dtype=np.int64)
        days = np.unique(np.concatenate(self._referred)) if self._referred else np.zeros(0, dtype=np.int64)
        if days.size:
            # Days of one referrer are neighbours; a new streak begins where the day before is not there.
            begins = np.append(True, (np.diff(days) != 1) | (days[1:] % model.days == 0))
            start = np.maximum.accumulate(np.where(begins, np.arange(days.size), 0))
            streak = np.arange(days.size) - start
            channel = days // model.days // self._n_referrers
            np.add.at(paid, (days % model.days, channel), 100 * (2 * streak + 1))
        return paid
