"""What the ledger knows of the users of a plan at the beginning of its day, as arrays in the order of the alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.action.lots import HELD_OUT
from churnsurv.action.plan_inputs import NO_DAY, positions
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.plan import LedgerView
    from churnsurv.action.plan_inputs import Alerted
    from churnsurv.action.policy import Policy
    from churnsurv.action.policy_parts import Cap

__all__ = ["NOT_ENROLLED", "History", "Spent", "first_day", "history", "millionths"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.datetime64]

NOT_ENROLLED = -2


@dataclass(frozen=True, slots=True, eq=False)
class Spent:
    """What the campaign has spent before the day.

    Attributes
    ----------
    channels : Mapping of str to int
        Cost of its contacts by channel, in millionths.
    offers : Mapping of str to float
        Rewards promised by offer.
    """

    channels: Mapping[str, int]
    offers: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What was done so far, of n users.

    Attributes
    ----------
    arm : (n,) int64
        Place of the arm among those of the policy by name; `HELD_OUT`, or `NOT_ENROLLED`.
    assigned_on : (n,) datetime64[D]
        Day of the plan that enrolled the user; NaT for none.
    steps : (n,) int64
        Contacts in the campaign.
    in_silence : (n,) int64
        Those of them since the last activity.
    track, place : (n,) int64
        Of the last one in the silence: tier whose sequence it belongs to, and its place from 1 on; -1 and 0 for none.
    last_channel : (n,) int64
        Place of its channel among those of the policy; -1 for none, or one that the policy no longer has.
    last_on : (n,) datetime64[D]
        Day on which it went out.
    promised_by : (n,) int64
        Place of the offer whose promise the user has open on the day of contact; -1 for none.
    capped : (n, n_channels) int64
        Which cap, from 1 on, forbids one more contact by the channel; 0 for none.
    spent : Spent
    """

    arm: Ints
    assigned_on: Days
    steps: Ints
    in_silence: Ints
    track: Ints
    place: Ints
    last_channel: Ints
    last_on: Days
    promised_by: Ints
    capped: Ints
    spent: Spent


def history(view: LedgerView, alerts: Alerted, policy: Policy) -> History:
    """Read the ledger's rows of earlier days.

    Raises
    ------
    InputError
        If the ledger has users of the campaign in an arm, or at a tier, that there is no longer.
    """
    contacts = view.contacts
    everybody = positions(alerts.ids, contacts["user_id"], "the ledger")
    of_campaign = (contacts["campaign"] == policy.campaign).to_numpy(dtype=np.bool_)
    own = contacts[of_campaign]
    at = everybody[of_campaign]
    arm, assigned_on = _enrolled(view.enrolled, alerts, policy)
    last = _last_in_silence(own[at >= 0], at[at >= 0], alerts, policy)
    channels = list(policy.channels)
    capped = np.zeros((alerts.n, len(channels)), dtype=np.int64)
    for number, cap in enumerate(policy.caps, start=1):
        full = _contacted(contacts, everybody, cap, alerts) >= cap.most
        for i, channel in enumerate(channels):
            if cap.channel in (None, channel):
                capped[full & (capped[:, i] == 0), i] = number
    steps, promised_by = _steps(view.totals, alerts, policy), _open_promises(own, at, alerts, policy)
    return History(arm, assigned_on, steps, *last, promised_by, capped, _spent(view.spent, policy))


def first_day(alerts: Alerted, policy: Policy) -> date:
    """The first day whose contacts matter one by one: to the silences, or to a cap."""
    return alerts.day - timedelta(days=max([alerts.churn_days, *(cap.days for cap in policy.caps)]))


def _steps(totals: pd.DataFrame, alerts: Alerted, policy: Policy) -> Ints:
    own = totals[(totals["campaign"] == policy.campaign).to_numpy(dtype=np.bool_)]
    at = positions(alerts.ids, own["user_id"], "the ledger")
    steps = np.zeros(alerts.n, dtype=np.int64)
    steps[at[at >= 0]] = own["n_contacts"].to_numpy(dtype=np.int64)[at >= 0]
    return steps


def _enrolled(enrolled: pd.DataFrame, alerts: Alerted, policy: Policy) -> tuple[Ints, Days]:
    arm = np.full(alerts.n, NOT_ENROLLED, dtype=np.int64)
    assigned_on = np.full(alerts.n, NO_DAY)
    own = enrolled[(enrolled["campaign"] == policy.campaign).to_numpy(dtype=np.bool_)]
    at = positions(alerts.ids, own["user_id"], "the ledger")
    own, at = own[at >= 0], at[at >= 0]
    places = {policy.control: HELD_OUT} | {name: i for i, name in enumerate(policy.arms)}
    codes = own["arm"].astype(object).map(places).to_numpy(dtype=np.float64)
    if np.isnan(codes).any():
        strange = own["arm"].to_numpy()[np.isnan(codes)][0]
        raise InputError(
            f"the ledger has users of campaign {policy.campaign!r} in the arm {strange!r}, and the policy has "
            f"{', '.join(places)}.{did_you_mean(str(strange), places)} Arms stand while a campaign runs: begin another "
            "one under a new name."
        )
    arm[at] = codes.astype(np.int64)
    assigned_on[at] = own["assigned_on"].to_numpy().astype("datetime64[D]")
    return arm, assigned_on


def _last_in_silence(
    own: pd.DataFrame, at: Ints, alerts: Alerted, policy: Policy
) -> tuple[Ints, Ints, Ints, Ints, Days]:
    """Contacts since the last activity: how many, and the last one's track, place, channel and day."""
    now = own["date"].to_numpy().astype("datetime64[D]") > alerts.last_active[at]
    own, at = own[now], at[now]
    order = np.argsort(own["step"].to_numpy(dtype=np.int64), kind="stable")
    own, at = own.iloc[order], at[order]  # of several, the last is written last
    n = np.bincount(at, minlength=alerts.n).astype(np.int64)
    track, place, channel = (np.full(alerts.n, fill, dtype=np.int64) for fill in (-1, 0, -1))
    day = np.full(alerts.n, NO_DAY)
    codes = _codes(own["track"], alerts.tiers)
    if (codes < 0).any():
        strange = own["track"].to_numpy()[codes < 0][0]
        raise InputError(
            f"the ledger has contacts of campaign {policy.campaign!r} for the tier {strange!r}, and the alerts have "
            f"{', '.join(alerts.tiers)}. With other tiers, begin a campaign under a new name."
        )
    track[at] = codes
    place[at] = own["place"].to_numpy(dtype=np.int64)
    channel[at] = _codes(own["channel"], list(policy.channels))
    day[at] = own["contact_on"].to_numpy().astype("datetime64[D]")
    return n, track, place, channel, day


def _codes(column: pd.Series[Any], names: Sequence[str]) -> Ints:
    import pandas as pd

    found: Ints = pd.Categorical(column.astype(object), categories=list(names)).codes.astype(np.int64)
    return found


def _contacted(contacts: pd.DataFrame, at: Ints, cap: Cap, alerts: Alerted) -> Ints:
    """Contacts of each user that count towards a cap on the day of contact."""
    days = contacts["contact_on"].to_numpy().astype("datetime64[D]")
    counts = (at >= 0) & (days > np.datetime64(alerts.contact_on, "D") - cap.days)
    if cap.channel is not None:
        counts &= (contacts["channel"] == cap.channel).to_numpy(dtype=np.bool_)
    return np.bincount(at[counts], minlength=alerts.n).astype(np.int64)


def _open_promises(own: pd.DataFrame, at: Ints, alerts: Alerted, policy: Policy) -> Ints:
    """The offer whose promise is still open on the day of contact."""
    found = np.full(alerts.n, -1, dtype=np.int64)
    until = own["promised_until"].to_numpy().astype("datetime64[D]")
    is_open = (at >= 0) & (until >= np.datetime64(alerts.contact_on, "D"))
    names = [offer.name for offer in policy.offers]
    # an offer that the policy no longer has still keeps its promise, so that no other one is made beside it
    found[at[is_open]] = len(names)
    codes = _codes(own["offer"][is_open], names)
    found[at[is_open][codes >= 0]] = codes[codes >= 0]
    return found


def _spent(spent: pd.DataFrame, policy: Policy) -> Spent:
    own = spent[(spent["campaign"] == policy.campaign).to_numpy(dtype=np.bool_)]
    cost, reward = ([millionths(each) for each in own[name].fillna(0.0)] for name in ("cost", "reward"))
    channels, offers = own["channel"].tolist(), own["offer"].tolist()
    return Spent(
        {name: sum(each for each, of in zip(cost, channels, strict=True) if of == name) for name in policy.channels},
        {
            offer.name: sum(each for each, of in zip(reward, offers, strict=True) if of == offer.name) / 1e6
            for offer in policy.offers
        },
    )


def millionths(money: float) -> int:
    """Money as whole millionths, whose sums are exact.

    Examples
    --------
    >>> millionths(0.05)
    50000
    """
    return round(money * 1_000_000)
