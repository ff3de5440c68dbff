"""The decisions of a day as tables: one row for each alert, and the first assignments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.action.lots import HELD_OUT
from churnsurv.action.plan_deciding import CODES, next_sending_day
from churnsurv.action.plan_words import REASONS, sentences
from churnsurv.survival.frames import counted
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.plan_deciding import Decided
    from churnsurv.action.plan_history import History
    from churnsurv.action.plan_inputs import Alerted
    from churnsurv.action.plan_offers import Offered
    from churnsurv.action.plan_words import Blanks
    from churnsurv.action.policy import Policy

__all__ = ["CONTACT_COLUMNS", "enrolled_table", "plan_table", "window"]

Ints: TypeAlias = NDArray[np.int64]
Days: TypeAlias = NDArray[np.datetime64]
Texts: TypeAlias = NDArray[np.object_]

#: What the ledger records of a contact, in its order.
CONTACT_COLUMNS = (
    "user_id", "campaign", "arm", "step", "place", "date", "contact_on", "tier", "track", "channel", "offer", "message",
    "cost", "reward", "reward_condition", "promised_until",
)  # fmt: skip


def window(policy: Policy, contact_on: date) -> tuple[str, str]:
    """From when to when contacts may be sent, in local time; midnight is that of the next day.

    Examples
    --------
    >>> from churnsurv.action.policy import Policy, Quiet
    >>> policy = Policy(campaign="a", key="6f1d0c9be2a84735", holdout=0.1, channels={"sms": {}},
    ...                 contacts={"high": ["sms"]}, quiet=Quiet())
    >>> window(policy, date(2025, 4, 2))
    ('2025-04-02 09:00', '2025-04-02 21:00')
    """
    quiet = policy.quiet
    start, end = ("00:00", "00:00") if quiet is None or quiet.start == quiet.end else (quiet.end, quiet.start)
    last = contact_on + timedelta(days=1) if end == "00:00" else contact_on
    return f"{contact_on} {start}", f"{last} {end}"


def plan_table(
    alerts: Alerted,
    policy: Policy,
    known: History,
    found: Decided,
    answered_on: Days,
    action: Texts,
    gifts: Offered,
    sends: tuple[str, str],
) -> pd.DataFrame:
    """One row for each alert; schema "plan"."""
    import pandas as pd

    n = alerts.n
    rows = np.flatnonzero(action == "contact")
    contact = action == "contact"
    comes = contact | (action == "wait")  # a contact that goes out, or is waited for
    on_way = comes & (found.place > 0)
    channels = list(policy.channels)
    cost = np.array([float(f"{each.cost:.9g}") for each in policy.channels.values()])
    enrolled_on = np.where(found.new, np.datetime64(alerts.day, "D"), known.assigned_on)
    columns: dict[str, Any] = {
        "user_id": alerts.frame["user_id"].to_numpy(),
        "date": _dates(np.full(n, np.datetime64(alerts.day, "D"))),
        "contact_on": _dates(np.full(n, np.datetime64(alerts.contact_on, "D"))),
        "campaign": _named([policy.campaign], np.zeros(n, dtype=np.int64)),
        "status": alerts.frame["status"].astype(object).to_numpy(),
        "tier": _named(alerts.tiers, alerts.tier),
        "arm": _arms(policy, found.arm),
        "assigned_on": _dates(enrolled_on),
        "action": action,
        "reason": _named(tuple(REASONS), found.reason),
        "words": sentences(found.reason, _blanks(alerts, policy, known, found, answered_on)),
        "step": pd.array(np.where(contact, known.steps + 1, 0), dtype="Int64"),
        "place": pd.array(np.where(on_way, found.place, 0), dtype="Int64"),
        "track": _named(alerts.tiers, np.where(on_way, found.track, -1)),
        "channel": _named(channels, np.where(on_way, found.channel, -1)),
        "offer": _spread(n, rows, _named([each.name for each in policy.offers], gifts.offer), None, object),
        "message": _spread(n, rows, gifts.message, None, object),
        "send_from": _named([sends[0]], np.where(contact, 0, -1)),
        "send_until": _named([sends[1]], np.where(contact, 0, -1)),
        "cost": np.where(contact, cost[np.maximum(found.channel, 0)], np.nan),
        "reward": _spread(n, rows, gifts.reward, np.nan, np.float64),
        "reward_condition": _spread(n, rows, gifts.reward_condition, np.nan, np.float64),
        "promised_until": _dates(_spread(n, rows, gifts.promised_until, np.datetime64("NaT"), "datetime64[D]")),
        "escalated": np.isin(found.reason, [CODES["next"], CODES["rose"]]),
        "due": _dates(found.due),
    }
    columns["step"][~contact] = pd.NA
    columns["place"][~on_way] = pd.NA
    return pd.DataFrame({name: columns[name] for name in schema("plan").names})


def enrolled_table(alerts: Alerted, policy: Policy, found: Decided) -> pd.DataFrame:
    """The users drawn today, in the order of the alerts: what the ledger records as first assignments."""
    import pandas as pd

    rows = np.flatnonzero(found.new)
    m = rows.size
    return pd.DataFrame(
        {
            "user_id": alerts.frame["user_id"].to_numpy()[rows],
            "campaign": _named([policy.campaign], np.zeros(m, dtype=np.int64)),
            "arm": _arms(policy, found.arm[rows]),
            "assigned_on": _dates(np.full(m, np.datetime64(alerts.day, "D"))),
            "contact_on": _dates(np.full(m, np.datetime64(alerts.contact_on, "D"))),
            "tier": _named(alerts.tiers, alerts.tier[rows]),
            "idle_days": alerts.idle_days[rows],
            "risk": alerts.risk[rows],
            "share": np.round(found.share[rows], 9),
        }
    )


def _named(names: Sequence[str], codes: Ints) -> Texts:
    """The names of codes; None for -1."""
    return np.array([*names, None], dtype=object)[codes]


def _arms(policy: Policy, arm: Ints) -> Texts:
    names = np.array([*policy.arms, policy.control, None], dtype=object)
    place = np.where(arm >= 0, arm, np.where(arm == HELD_OUT, len(policy.arms), len(policy.arms) + 1))
    return names[place]


def _dates(days: Days) -> Any:
    return days.astype("datetime64[s]")


def _spread(n: int, rows: Ints, values: Any, fill: Any, dtype: Any) -> Any:
    """Values of some rows among n."""
    found = np.full(n, fill, dtype=dtype)
    found[rows] = values
    return found


# ------------------------------------------------------------------------------------------------------ the sentences


def _blanks(alerts: Alerted, policy: Policy, known: History, found: Decided, answered_on: Days) -> Blanks:
    """What fills the blanks of the reasons: numbers of each row, and how they are said."""
    n = alerts.n
    channels = list(policy.channels)
    since = np.where(found.new, np.datetime64(alerts.day, "D"), known.assigned_on)

    def same(value: int) -> Ints:
        return np.full(n, value, dtype=np.int64)

    def channel(code: int) -> str:
        return channels[code] if code >= 0 else "a contact"

    def cap(place: int) -> str:
        each = policy.caps[place - 1]
        by = "" if each.channel is None else f" by {each.channel}"
        return f"{counted(each.most, 'contact')}{by} within {counted(each.days, 'day')}"

    def per_day(code: int) -> str:
        return f"{counted(policy.channels[channels[code]].per_day or 0, 'contact')} a day"

    def budget(code: int) -> str:
        return f"{policy.channels[channels[code]].budget or 0.0:,.2f}"

    next_day = np.datetime64(next_sending_day(policy, alerts.contact_on), "D")
    tier: Callable[[int], str] = alerts.tiers.__getitem__
    return {
        "tier": (alerts.tier, tier),
        "was": (known.track, tier),
        "channel": (found.channel, channel),
        "last": (known.last_channel, channel),
        "last_on": (_numbers(known.last_on), _said),
        "days": (found.after, lambda days: counted(days, "day")),
        "due": (_numbers(found.due), _said),
        "contact_on": (same(int(_numbers(np.array([alerts.contact_on], dtype="datetime64[D]"))[0])), _said),
        "next_day": (same(int(next_day.astype(np.int64))), _said),
        "cap": (found.cap, cap),
        "per_day": (found.channel, per_day),
        "budget": (found.channel, budget),
        "since": (_numbers(since), _said),
        "answered_on": (_numbers(answered_on), _said),
        "churn_on": (_numbers(alerts.churn_on), _said),
        "churn_days": (same(alerts.churn_days), lambda days: counted(days, "day")),
    }


def _numbers(days: Days) -> Ints:
    return days.astype("datetime64[D]").astype(np.int64)


def _said(day: int) -> str:
    return str(np.datetime64(day, "D"))
