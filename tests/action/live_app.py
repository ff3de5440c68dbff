"""An app that is run day by day: users answer to contacts, as a plant in a simulated app, and nobody else does.

Up to the first day nothing was ever sent. From then on a contact that goes out on day c brings a user, who would not
have been active by day c + k anyway, to a login on that day, with a probability of the channel; the lot and k are those
of the user and the step. What a user would have done without any contact is known: the natural log.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import churnsurv as ch
from churnsurv.simulation import simulate_app

__all__ = ["CHANNELS", "Day", "LiveApp", "policy", "run"]

#: Probability that a contact is answered by somebody who would have stayed away.
CHANNELS: Mapping[str, float] = {"in_app": 0.10, "push": 0.15, "sms": 0.35}
_DAY = datetime.timedelta(days=1)
_NEVER = np.datetime64("2200-01-01", "D")


@dataclass
class LiveApp:
    """The log so far, and what contacts added to it.

    Attributes
    ----------
    n_users, seed : int
    answers : list of tuple
        user_id, day of the login that a contact brought.
    """

    n_users: int
    seed: int
    answers: list[tuple[int, np.datetime64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = simulate_app(self.n_users, self.seed, campaigns=())
        events = self.app.events
        active = events[events["kind"].isin(["login", "invest"])]
        days = active["event_at"].to_numpy().astype("datetime64[D]")
        natural = pd.DataFrame({"user": active["user_id"].to_numpy(), "day": days}).drop_duplicates()
        self.natural = {int(user): np.sort(found.to_numpy()) for user, found in natural.groupby("user")["day"]}

    def log(self, until: datetime.date | None = None) -> ch.ActivityLog:
        """The log with all that contacts have brought so far; it ends with the natural log unless told otherwise."""
        app = self.app
        added = pd.DataFrame(self.answers, columns=["user_id", "event_at"]).astype({"event_at": "datetime64[us]"})
        events = pd.concat([app.events, added.assign(kind="login")], ignore_index=True)
        return ch.ActivityLog(
            events,
            app.users,
            balances=app.balances,
            observed_from=app.observed_from,
            observed_until=until or app.observed_until,
        )

    def send(self, contacts: pd.DataFrame) -> None:
        """Let users answer to what went out on one day."""
        for each in contacts.itertuples():
            out = np.datetime64(each.contact_on, "D")
            word = hashlib.sha256(f"{self.seed} {each.user_id} {each.step}".encode()).digest()
            answer = out + 1 + word[0] % 5
            if (
                int.from_bytes(word[1:5], "big") / 2**32 < CHANNELS[each.channel]
                and self.next(each.user_id, out) > answer
            ):
                self.answers.append((int(each.user_id), answer))

    def next(self, user: int, since: np.datetime64) -> np.datetime64:
        """The first day from `since` on of natural activity."""
        days = self.natural.get(int(user), np.empty(0, "datetime64[D]"))
        place = int(np.searchsorted(days, since))
        return days[place] if place < len(days) else _NEVER

    def returned_naturally(self, users: Any, since: Any, horizon: int) -> np.ndarray:
        """Whether each would have been active within the horizon, from the day of assignment on, without a contact."""
        days = pd.to_datetime(pd.Series(since)).to_numpy().astype("datetime64[D]")
        return np.array([self.next(u, d) < d + horizon for u, d in zip(users, days, strict=True)], dtype=bool)


@dataclass(frozen=True)
class Day:
    """What one day came to."""

    date: datetime.date
    alerts: pd.DataFrame
    plan: Any
    recorded: Any


def policy(**changes: Any) -> ch.Policy:
    """Contacts that escalate, offers by profile, caps, capacities, a budget, quiet days, and a fifth held out."""
    settings: dict[str, Any] = {
        "campaign": "warning",
        "key": "0123456789abcdef0123456789abcdef",
        "holdout": 0.2,
        "channels": {
            "in_app": {"cost": 0.0, "per_day": 30},
            "push": {"cost": 0.02},
            "sms": {"cost": 0.08, "per_day": 12, "budget": 60.0},
        },
        "contacts": {"high": ["sms"], "medium": ["in_app", "push", {"channel": "sms", "after": 3}]},
        "offers": [
            {"name": "voucher", "when": ["n_investments <= 2"], "messages": ["experience voucher"]},
            {"name": "trust", "when": ["max_amount < 10000", "ever_boosted < 1"], "messages": ["good news", "boosted"]},
        ],
        "caps": [{"most": 3, "days": 14}, {"most": 2, "days": 30, "channel": "sms"}],
        "quiet": {"start": "21:00", "end": "09:00", "weekdays": ["sunday"]},
    }
    return ch.Policy.from_toml({**settings, **changes})


def run(
    live: LiveApp, scheme: Any, policy: ch.Policy, path: Path, *, first: datetime.date, days: int, opt_outs: Any
) -> Iterator[Day]:
    """Alerts, plan, ledger, answers, one day after the other."""
    ledger = ch.Ledger(path)
    for day in (first + k * _DAY for k in range(days)):
        found = ch.alerts(scheme, live.log(), as_of=day, features=policy.features, hysteresis={"balance": 0.1})
        plan = ch.plan_actions(found, policy, ledger=ledger, opt_outs=opt_outs)
        recorded = ledger.record(plan)
        live.send(plan.contacts)
        yield Day(day, found.table, plan, recorded)
