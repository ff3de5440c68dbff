"""Who registers: channel, campaign, day, device, and what is hidden (rhythm, wealth)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from churnsurv.simulation.draws import Draws, Purpose
from churnsurv.simulation.world import World

__all__ = ["BY_CAMPAIGN", "BY_HOLIDAY", "DEVICES", "People", "draw_people", "normal", "pick"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Codes of `People.burst`; 0 is neither.
BY_CAMPAIGN, BY_HOLIDAY = 1, 2
#: An attribute that has nothing to do with churn: name and share.
DEVICES = (("android", 0.7), ("ios", 0.3))

_FROM, _UNTIL = 6 * 3600, 20 * 3600  # seconds of the day at which users register


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The users of one chunk; all arrays have shape (n,).

    Attributes
    ----------
    user_id : int64
        1, 2, ...
    channel : int64
        Position in `Model.channels`.
    burst : int64
        0, won by the campaign, or registered in the holiday.
    day, second : int64
        Of registration: day of the window, second of the day.
    device : int64
    rhythm : int64
        Hidden interval type.
    wealth : float64
        Hidden: log of the user's typical amount.
    draws : Draws
    """

    user_id: Ints
    channel: Ints
    burst: Ints
    day: Ints
    second: Ints
    device: Ints
    rhythm: Ints
    wealth: Floats
    draws: Draws


def pick(uniform: Floats, shares: Floats | tuple[float, ...]) -> Ints:
    """Return categories of these shares by inversion."""
    ends = np.cumsum(shares)[:-1]
    chosen: Ints = np.searchsorted(ends, uniform, side="right").astype(np.int64)
    return chosen


def normal(uniform: Floats) -> Floats:
    """Standard normal numbers by inversion."""
    found: Floats = ndtri(uniform + 2.0**-54)  # never 0
    return found


def draw_people(world: World, user_id: Ints) -> People:
    """Draw the users with these ids; each depends on the seed and his own id alone."""
    model, draws = world.model, Draws.of(world.seed, user_id)
    of_channel = {
        name: np.array([getattr(channel, name) for channel in model.channels])
        for name in ("share", "campaign_share", "holiday_share", "typical_amount")
    }
    channel = pick(draws.uniform(Purpose.CHANNEL), of_channel["share"])
    won = draws.uniform(Purpose.CAMPAIGN) < of_channel["campaign_share"][channel]
    holiday = ~won & (draws.uniform(Purpose.HOLIDAY) < of_channel["holiday_share"][channel])
    at = draws.uniform(Purpose.DAY)
    day = pick(at, world.registrations)
    for chosen, (first, last) in ((won, model.campaign_days), (holiday, model.holiday)):
        n_days = (last - first).days + 1
        day[chosen] = model.day(first) + (at[chosen] * n_days).astype(np.int64)
    in_holiday = (day >= model.day(model.holiday[0])) & (day <= model.day(model.holiday[1]))
    wealth = np.log(of_channel["typical_amount"])[channel]
    return People(
        user_id=user_id,
        channel=channel,
        burst=np.where(won, BY_CAMPAIGN, np.where(in_holiday, BY_HOLIDAY, 0)),
        day=day,
        second=_FROM + (draws.uniform(Purpose.SECOND) * (_UNTIL - _FROM)).astype(np.int64),
        device=pick(draws.uniform(Purpose.DEVICE), tuple(share for _, share in DEVICES)),
        rhythm=pick(draws.uniform(Purpose.RHYTHM), model.gap_shares),
        wealth=wealth + model.wealth_spread * normal(draws.uniform(Purpose.WEALTH)),
        draws=draws,
    )
