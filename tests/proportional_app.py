"""An app whose formal churn follows exact proportional hazards: no crowded day, and behaviour that says nothing.

The law. Day 0 is the registration (later: the return). The day of formal churn under the 30-day rule is

    T = 30 + ceil(E),   P(E > e) = exp(-HR * LEAVERS * (1 - exp(-e / PACE))),

with HR the product of the user's hazard ratios: a proportional-hazards law in continuous time, grouped to whole days.
A share exp(-HR * LEAVERS) of the users never churns. Nobody can churn before day 31. A grouped fit (complementary
log-log) therefore estimates exactly these hazard ratios; Cox's partial likelihood with Efron's ties does to within the
sampling error, because no day takes more than a few percent of its risk set.

Activity fills the days from 0 to T - 30 with gaps of at most 30 days and ends exactly on day T - 30. Part of the
churned users return after more than 30 idle days; a later spell follows the same law. Amounts, products and the
rhythm of visits have nothing to do with churn, so the app is a null world for every feature of behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churnsurv.data import ActivityLog

IDLE_DAYS = 30
WINDOW_DAYS = 540
REGISTRATION_DAYS = 365
FIRST_DAY = date(2024, 1, 1)
LAST_DAY = date(2025, 6, 23)
CAMPAIGN_WEEK = (140, 147)  # days of the window: 20 to 26 May 2024

LEAVERS = 1.6  # cumulative hazard of a reference user in the long run
PACE = 45.0  # days; most of the hazard acts in the first two months
RETURN_SHARE = 0.3
RETURN_MEAN_DAYS = 80.0

# channel: (share of users, hazard ratio, share of its users won by the campaign)
CHANNELS = MappingProxyType(
    {
        "organic": (0.28, 1.0, 0.02),
        "advertising": (0.12, 1.25, 0.10),
        "distribution": (0.27, 1.8, 0.25),
        "invitation": (0.21, 1.4, 0.06),
        "wealth_supermarket": (0.12, 2.6, 0.12),
    }
)
CAMPAIGNS = MappingProxyType({"none": 1.0, "spring": 1.5})
DEVICES = MappingProxyType({"android": (0.7, 1.0), "ios": (0.3, 1.0)})

FORMULA = "channel + campaign + device"
REFERENCE = MappingProxyType({"channel": "organic", "campaign": "none", "device": "android"})
HAZARD_RATIOS = MappingProxyType(
    {f"channel: {name}": values[1] for name, values in CHANNELS.items() if name != "organic"}
    | {"campaign: spring": CAMPAIGNS["spring"], "device: ios": DEVICES["ios"][1]}
)

# Rhythm of visits: gaps in days are 1 + floor(gamma with shape 3 and this mean), folded into 1 to 30.
GAP_MEANS = np.array([7.0, 9.0, 12.0, 15.0, 19.0])
GAP_SHARES = np.array([0.15, 0.25, 0.25, 0.2, 0.15])

FIRST_DAY_USE = 0.85  # share of users with an event on the day they register
INVEST_SHARE = 0.22  # share of active days with an investment
REDEEM_SHARE = 0.3  # share of investments that are taken back on the next active day
BOOSTED_SHARE = 0.25
KINDS = np.array(["login", "invest", "redeem"], dtype=object)

_DAY = 86_400

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProportionalApp:
    """`users`: `user_id, registered_at` (UTC), `channel, campaign, device`; `events`: `user_id, event_at` (UTC), `kind`
    (login, invest, redeem), `amount, product` (plain, boosted); `log`: both, with the window and the 30-day rule.
    """

    users: pd.DataFrame
    events: pd.DataFrame
    log: ActivityLog


def proportional_app(n_users: int, seed: int) -> ProportionalApp:
    """About 11 events a user; the same number of users and seed give the same tables."""
    rng = np.random.default_rng([seed, 0])
    people = _draw_people(rng, n_users)
    events = _draw_events(rng, people, _draw_active_days(rng, people))
    users = pd.DataFrame(
        {
            "user_id": np.arange(1, n_users + 1),
            "registered_at": _timestamps(people.day * _DAY + people.second),
            "channel": np.array(list(CHANNELS), dtype=object)[people.channel],
            "campaign": np.array(list(CAMPAIGNS), dtype=object)[people.campaign],
            "device": np.array(list(DEVICES), dtype=object)[people.device],
        }
    )
    log = ActivityLog(events, users, observed_from=FIRST_DAY, observed_until=LAST_DAY)
    return ProportionalApp(users, events, log)


def true_survival(channel: str, time: float) -> float:
    """P(T > time) in a channel: the mixture over the users won by the campaign and the others."""
    days = max(float(np.floor(time)) - IDLE_DAYS, 0.0)
    _, ratio, won = CHANNELS[channel]
    hazard = LEAVERS * -np.expm1(-days / PACE) * ratio
    shares = {"none": 1.0 - won, "spring": won}
    return float(sum(share * np.exp(-hazard * CAMPAIGNS[name]) for name, share in shares.items()))


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Codes (n,) int, registration day (n,) and second of it (n,), hazard ratio (n,)."""

    channel: Ints
    campaign: Ints
    device: Ints
    day: Ints
    second: Ints
    hazard_ratio: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _ActiveDays:
    """Active days in order of user and day: index of the user (m,), day of the window (m,), registration day or not."""

    user: Ints
    day: Ints
    first: NDArray[np.bool_]


def _draw_people(rng: np.random.Generator, n: int) -> _People:
    shares = np.array([values[0] for values in CHANNELS.values()])
    channel = rng.choice(len(CHANNELS), size=n, p=shares)
    won = np.array([values[2] for values in CHANNELS.values()])
    campaign = (rng.random(n) < won[channel]).astype(np.int64)
    device = rng.choice(len(DEVICES), size=n, p=np.array([values[0] for values in DEVICES.values()]))
    day = np.where(campaign == 1, rng.integers(*CAMPAIGN_WEEK, size=n), rng.integers(0, REGISTRATION_DAYS, size=n))
    ratio = (
        np.array([values[1] for values in CHANNELS.values()])[channel]
        * np.array(list(CAMPAIGNS.values()))[campaign]
        * np.array([values[1] for values in DEVICES.values()])[device]
    )
    return _People(channel, campaign, device, day, rng.integers(6 * 3600, 21 * 3600, size=n), ratio)


def _draw_active_days(rng: np.random.Generator, people: _People) -> _ActiveDays:
    """Active days of all spells, round by round: first spells, then the spells after a return, and so on."""
    n = len(people.day)
    gap_mean = rng.choice(GAP_MEANS, size=n, p=GAP_SHARES)
    user, origin = np.arange(n), people.day
    users, days = [user], [origin]
    while user.size:
        last = origin + _draw_active_length(rng, people.hazard_ratio[user])
        visits = _fill_spell(rng, user, origin, last, gap_mean)
        users.append(visits[0])
        days.append(visits[1])
        returns = rng.random(user.size) < RETURN_SHARE
        pause = 1 + np.floor(rng.exponential(RETURN_MEAN_DAYS, size=user.size)).astype(np.int64)
        origin = last + IDLE_DAYS + pause
        keep = returns & (origin < WINDOW_DAYS)
        user, origin = user[keep], origin[keep]
        users.append(user)
        days.append(origin)
    all_users, all_days = np.concatenate(users), np.concatenate(days)
    order = np.argsort(all_users * (2 * WINDOW_DAYS) + all_days)
    all_users, all_days = all_users[order], all_days[order]
    return _ActiveDays(all_users, all_days, all_days == people.day[all_users])


def _draw_active_length(rng: np.random.Generator, hazard_ratio: NDArray[np.float64]) -> Ints:
    """Days from origin to the last activity, T - 30 = ceil(E) >= 1; those who never churn outlive any window.

    Inverse of the cumulative hazard: HR * LEAVERS * (1 - exp(-E / PACE)) is a standard exponential where it can be.
    """
    used = np.minimum(rng.exponential(size=hazard_ratio.size) / (hazard_ratio * LEAVERS), 1.0)
    with np.errstate(divide="ignore"):
        length = np.ceil(-PACE * np.log1p(-used))
    return np.clip(length, 1, 2 * WINDOW_DAYS).astype(np.int64)


def _fill_spell(
    rng: np.random.Generator, user: Ints, origin: Ints, last: Ints, gap_mean: NDArray[np.float64]
) -> tuple[Ints, Ints]:
    """Visits after the origin with gaps of 1 to 30 days, ending exactly on `last` or at the end of the window.

    Walking on until a gap would pass `last` and then going to `last` itself makes no gap longer than 30 days.
    """
    ends = last < WINDOW_DAYS
    users, days = [user[ends]], [last[ends]]
    at, position, until = user, origin, np.minimum(last, WINDOW_DAYS)
    while at.size:
        gap = 1 + np.floor(rng.gamma(3.0, (gap_mean[at] - 0.5) / 3.0)).astype(np.int64)
        position = position + 1 + (gap - 1) % IDLE_DAYS
        going = position < until
        at, position, until = at[going], position[going], until[going]
        users.append(at)
        days.append(position)
    return np.concatenate(users), np.concatenate(days)


def _draw_events(rng: np.random.Generator, people: _People, active: _ActiveDays) -> pd.DataFrame:
    """A login on each active day, some investments, and some of those redeemed on the next active day."""
    m = active.user.size
    used = ~active.first | (rng.random(m) < FIRST_DAY_USE)
    start = np.where(active.first, people.second[active.user], rng.integers(6 * 3600, 23 * 3600, size=m))
    login_at = active.day * _DAY + start + np.where(active.first, rng.integers(1, 3600, size=m), 0)
    invests = used & (rng.random(m) < INVEST_SHARE)
    amount = np.round(np.maximum(rng.lognormal(np.log(3_000.0), 1.2, size=m), 100.0), 2)
    same_user = np.concatenate([[False], active.user[1:] == active.user[:-1]])
    before = np.concatenate([[False], invests[:-1]])
    redeems = same_user & before & (rng.random(m) < REDEEM_SHARE)
    boosted = rng.random(m) < BOOSTED_SHARE

    where = np.concatenate([np.flatnonzero(used), np.flatnonzero(invests), np.flatnonzero(redeems)])
    kind = np.repeat(np.arange(3), [used.sum(), invests.sum(), redeems.sum()])
    redeemed = np.concatenate([[0.0], amount[:-1]])
    value = np.where(kind == 2, redeemed[where], amount[where])
    # Redemptions come first after the login, investments in the half hour after that.
    at = login_at[where] + (kind == 2) * 60 + (kind == 1) * rng.integers(120, 1800, size=kind.size)
    order = np.argsort(active.user[where] * (2 * WINDOW_DAYS * _DAY) + at, kind="stable")
    where, kind, value, at = where[order], kind[order], value[order], at[order]
    product = np.where(boosted[where], "boosted", "plain").astype(object)
    return pd.DataFrame(
        {
            "user_id": active.user[where] + 1,
            "event_at": _timestamps(at),
            "kind": KINDS[kind],
            "amount": np.where(kind == 0, np.nan, value),
            "product": np.where(kind == 1, product, None),
        }
    )


def _timestamps(seconds: Ints) -> NDArray[np.datetime64]:
    return np.datetime64(FIRST_DAY, "us") + seconds.astype("timedelta64[s]")
