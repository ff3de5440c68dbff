"""A stand-in for plans and policies: what the ledger needs of them, nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from churnsurv.action.ledger import Ledger, LedgerView, Recorded
from churnsurv.tables import schema

__all__ = ["ARM", "FIRST", "FakePlan", "FakePolicy", "alerted", "contacts", "days_of", "enrolled", "plan", "run_days"]

Day: TypeAlias = date
FIRST = date(2025, 4, 1)
ARM = "contact"


@dataclass(frozen=True)
class FakePolicy:
    campaign: str = "spring"
    digest: str = "policy"
    draw: str = "lots"
    holdout: float = 0.25
    control: str = "holdout"
    arms: Mapping[str, float] | None = field(default_factory=lambda: {ARM: 1.0})


@dataclass(frozen=True)
class FakePlan:
    date: Day
    contacts: pd.DataFrame
    enrolled: pd.DataFrame
    based_on: str
    policy: FakePolicy = FakePolicy()
    dry_run: bool = False
    said: str = ""

    @property
    def contact_on(self) -> Day:
        return self.date + timedelta(days=1)

    @property
    def digest(self) -> str:
        text = self.said + self.contacts.to_csv() + self.enrolled.to_csv()
        return hashlib.sha256(text.encode()).hexdigest()


def _frame(layout: str, rows: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame([{**defaults, **row} for row in rows], columns=list(schema(layout).names))
    for column in schema(layout).columns:
        if column.kind == "date":
            frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[s]")
        elif column.kind == "number":
            frame[column.name] = frame[column.name].astype("float64")
    return frame


def contacts(day: date, *rows: Mapping[str, Any]) -> pd.DataFrame:
    """Contacts of a day; each row needs its user and step."""
    defaults = {
        "campaign": "spring", "arm": ARM, "place": 1, "date": day, "contact_on": day + timedelta(days=1),
        "tier": "high", "track": "high", "channel": "sms", "offer": None, "message": None, "cost": 0.05,
        "reward": np.nan, "reward_condition": np.nan, "promised_until": None,
    }  # fmt: skip
    return _frame("ledger_contacts", rows, defaults)


def enrolled(day: date, *rows: Mapping[str, Any]) -> pd.DataFrame:
    """First assignments of a day; each row needs its user."""
    defaults = {
        "campaign": "spring", "arm": ARM, "assigned_on": day, "contact_on": day + timedelta(days=1), "tier": "high",
        "idle_days": 16, "risk": 0.5, "share": 0.75,
    }  # fmt: skip
    return _frame("ledger_enrolled", rows, defaults)


def plan(view: LedgerView, users: Sequence[Any], *, policy: FakePolicy | None = None) -> FakePlan:
    """A rule as simple as can be: who is new is enrolled, every fourth of them held out; the others are contacted."""
    policy, day = policy or FakePolicy(), view.date
    arms = dict(view.enrolled.loc[view.enrolled["campaign"] == policy.campaign, ["user_id", "arm"]].to_numpy())
    own = view.contacts[view.contacts["campaign"] == policy.campaign]
    steps = own.groupby("user_id", observed=True)["step"].max().to_dict()
    held = {user: policy.control if int(str(user).strip("u")) % 4 == 0 else ARM for user in users}
    fresh = [user for user in users if user not in arms]
    sent = [user for user in users if arms.get(user, held[user]) != policy.control]
    named = {"campaign": policy.campaign}
    made = contacts(
        day, *({"user_id": u, "step": steps.get(u, 0) + 1, "place": steps.get(u, 0) + 1, **named} for u in sent)
    )
    shares = {policy.control: policy.holdout, ARM: 1 - policy.holdout}
    drawn = enrolled(day, *({"user_id": u, "arm": held[u], "share": shares[held[u]], **named} for u in fresh))
    return FakePlan(day, made, drawn, view.state, policy)


def days_of(n: int) -> list[date]:
    return [FIRST + timedelta(days=i) for i in range(n)]


def alerted(day: date, n_users: int = 40) -> list[int]:
    """Who is alerted on a day: some of the users, by a fixed rule."""
    k = (day - FIRST).days
    return [user for user in range(1, n_users + 1) if (user * 7 + k * 5) % 11 < 5]


def run_days(ledger: Ledger, n: int, n_users: int = 40) -> list[Recorded]:
    """Plan and record so many days: those that are not recorded yet, and the last one that is."""
    last = ledger.last_day("spring")
    asked = [day for day in days_of(n) if last is None or day >= last]
    return [ledger.record(plan(ledger.before(day), alerted(day, n_users))) for day in asked]
