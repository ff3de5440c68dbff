"""Recall campaigns inside the walk: who is assigned, who is contacted, and which of the departed answer.

A user is assigned at the end of a day on which he has been idle for so many days; whether he has left is not looked
at, but only those who have left can be brought back. A contact on idle day d is answered with probability
``saves * saving(d)``, some days later; the gap then ends that day, if it did not end by itself before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from churnsurv.simulation.draws import CONTACTS, Draws
from churnsurv.simulation.model import Arm, Campaign
from churnsurv.simulation.people import People, pick
from churnsurv.simulation.world import World

__all__ = ["Assignments", "Offers", "Recall"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_SHARE, _IDLE, _ARM, _SAVED, _ANSWER, _SAVED_AGAIN, _ANSWER_AGAIN = range(7)


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The contacts within the gaps of one step.

    Attributes
    ----------
    idle : (n, n_contacts) int64
        Idle day of each contact; 0 where there was none.
    chance : (n, n_contacts) float64
        Probability that one who has left answers; 0 where there was none.
    """

    idle: Ints
    chance: Floats

    @property
    def contacted(self) -> Flags:
        """Whether anybody was contacted in the gap, shape (n,)."""
        flags: Flags = np.any(self.chance > 0, axis=1)
        return flags


@dataclass(frozen=True, slots=True, eq=False)
class Assignments:
    """Users assigned to campaigns; all arrays have shape (n,).

    Attributes
    ----------
    user, step : int64
        Position of the user in his chunk, number of the activity that the gap follows.
    campaign, arm : int64
    day, idle : int64
        Day of the window, idle day.
    second : int64
        Day of the second contact; -1 without one.
    """

    user: Ints
    step: Ints
    campaign: Ints
    arm: Ints
    day: Ints
    idle: Ints
    second: Ints

    def take(self, order: NDArray[np.intp]) -> Assignments:
        """Return them in another order."""
        return Assignments(*(getattr(self, name)[order] for name in self.__slots__))


@dataclass(slots=True, eq=False)
class Recall:
    """The campaigns of a world and how far they have come with the users of a chunk."""

    world: World
    people: People
    _chosen: list[Flags] = field(default_factory=list)
    _idle: list[Ints] = field(default_factory=list)
    _arm: list[Ints] = field(default_factory=list)
    _found: list[tuple[Ints, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        draws = self.people.draws
        for i, campaign in enumerate(self.world.campaigns):
            place = CONTACTS + 8 * i
            days = np.array(campaign.idle_days)
            self._chosen.append(draws.uniform(place + _SHARE) < campaign.share)
            self._idle.append(days[(draws.uniform(place + _IDLE) * days.size).astype(np.int64)])
            self._arm.append(pick(draws.uniform(place + _ARM), tuple(arm.share for arm in campaign.arms)))

    def contact(self, who: Ints, day: Ints, gap: Ints, left: Flags, draws: Draws, step: int) -> Offers | None:
        """Run all campaigns over the gaps that begin now; `gap` is shortened where a contact is answered.

        Returns
        -------
        Offers or None
            None where nobody was contacted.
        """
        idle = np.zeros((who.size, 2 * len(self.world.campaigns)), dtype=np.int64)
        chance = np.zeros(idle.shape)
        for i, campaign in enumerate(self.world.campaigns):
            waits = self._idle[i][who]
            on = day + waits
            model = self.world.model
            first, last = model.day(campaign.first), min(model.day(campaign.last), model.days - 1)
            rows = np.flatnonzero(self._chosen[i][who] & (on >= first) & (on <= last) & (gap > waits))
            if rows.size == 0:
                continue
            self._chosen[i][who[rows]] = False
            at = draws.at(rows)
            arm, d, place = self._arm[i][who[rows]], waits[rows], CONTACTS + 8 * i
            saves = np.array([each.saves for each in campaign.arms])
            chance[rows, 2 * i] = saves[arm] * model.saving(d)
            idle[rows, 2 * i] = np.where(saves[arm] > 0, d, 0)
            self._answer(gap, left, rows, d, chance[rows, 2 * i], at, place + _SAVED, step)
            d2 = d + _after(campaign)[arm]
            again = (_then(campaign)[arm] >= 0) & (gap[rows] > d2) & (day[rows] + d2 < model.days)
            chance[rows, 2 * i + 1] = np.where(again, saves[_then(campaign)[arm]] * model.saving(d2), 0.0)
            idle[rows, 2 * i + 1] = np.where(again, d2, 0)
            self._answer(gap, left, rows, d2, chance[rows, 2 * i + 1], at, place + _SAVED_AGAIN, step)
            second = np.where(again, day[rows] + d2, -1)
            self._found.append((who[rows], _full(rows, step), _full(rows, i), arm, on[rows], d, second))
        offers = Offers(idle, chance)
        return offers if offers.contacted.any() else None

    def _answer(
        self, gap: Ints, left: Flags, rows: NDArray[np.intp], d: Ints, chance: Floats, at: Draws, place: int, step: int
    ) -> None:
        answered = left[rows] & (at.uniform(place, step=step) < chance)
        delay = 1 + pick(at.uniform(place + 1, step=step), self.world.model.answers)
        gap[rows] = np.where(answered, np.minimum(gap[rows], d + delay), gap[rows])

    def assignments(self) -> Assignments:
        """Everybody assigned so far, in the order of user, campaign."""
        if not self._found:
            return Assignments(*(np.zeros(0, dtype=np.int64) for _ in range(7)))
        found = Assignments(*(np.concatenate(column) for column in zip(*self._found, strict=True)))
        return found.take(np.lexsort((found.campaign, found.day, found.user)))


def _full(rows: NDArray[np.intp], value: int) -> Ints:
    return np.full(rows.size, value, dtype=np.int64)


def _then(campaign: Campaign) -> Ints:
    """Position of the arm that follows each arm; -1 where none does."""
    names = [arm.name for arm in campaign.arms]
    return np.array([-1 if arm.then is None else names.index(arm.then) for arm in campaign.arms])


def _after(campaign: Campaign) -> Ints:
    return np.array([arm.after for arm in campaign.arms])


def contact_cost(arms: tuple[Arm, ...], arm: Ints, second: Flags) -> Floats:
    """What the contacts of each assignment cost: the first, and the one that followed."""
    names = [each.name for each in arms]
    first = np.array([each.cost for each in arms])
    after = np.array([0.0 if each.then is None else arms[names.index(each.then)].cost for each in arms])
    cost: Floats = first[arm] + np.where(second, after[arm], 0.0)
    return cost
