"""Hand-made alerts, policies and a ledger in memory, for the tests of plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from churnsurv.action.plan import Plan
from churnsurv.action.policy import Policy
from churnsurv.data.rule import ChurnRule

DAY = date(2025, 4, 1)
KEY = "6f1d0c9be2a84735"
TIERS = ("high", "medium", "low")
NOBODY = pd.DataFrame({"user_id": []})
CONTACTS = (
    "user_id", "campaign", "arm", "step", "place", "date", "contact_on", "tier", "track", "channel", "offer", "message",
    "cost", "reward", "reward_condition", "promised_until",
)  # fmt: skip
ENROLLED = ("user_id", "campaign", "arm", "assigned_on", "contact_on", "tier", "idle_days", "risk", "share")


@dataclass(frozen=True)
class SmallAlerts:
    """What a plan needs of alerts, made by hand."""

    table: pd.DataFrame
    as_of: date
    tiers: tuple[str, ...] = TIERS
    churn_rule: ChurnRule = field(default_factory=lambda: ChurnRule(30))


def some_alerts(
    rows: Mapping[Any, Sequence[Any]], day: date = DAY, tiers: Sequence[str] = TIERS, **more: Any
) -> SmallAlerts:
    """Alerts from `{user: (tier or None, idle days)}`, perhaps with a risk; `more` are further columns."""
    users = list(rows)
    tier = [rows[user][0] for user in users]
    idle = np.array([rows[user][1] for user in users], dtype=np.int64)
    risk = np.array([rows[user][2] if len(rows[user]) > 2 else 0.5 for user in users], dtype=np.float64)
    frame = pd.DataFrame(
        {
            "user_id": pd.Series(users, dtype=np.int64 if all(isinstance(user, int) for user in users) else object),
            "date": np.full(len(users), np.datetime64(day, "s")),
            "status": ["continued" if each is not None else "resolved" for each in tier],
            "tier": pd.Categorical(tier, categories=list(tiers)[::-1], ordered=True),
            "idle_days": idle,
            "risk": np.where(np.array([each is None for each in tier], dtype=np.bool_), np.nan, risk),
            **{name: np.asarray(values) for name, values in more.items()},
        }
    )
    return SmallAlerts(frame, day, tuple(tiers))


def some_policy(**changes: Any) -> Policy:
    """A policy of three tiers and channels without hold-out; `changes` replace its keys."""
    keys: dict[str, Any] = {
        "campaign": "spring",
        "key": KEY,
        "holdout": 0.0,
        "channels": {"sms": {"cost": 0.05}, "push": {}, "in_app": {}},
        "contacts": {
            "high": ["sms"],
            "medium": ["in_app", "push", {"channel": "sms", "after": 3}],
            "low": ["push", {"then": "high", "after": 4}],
        },
    }
    return Policy(**{**keys, **changes})


@dataclass(frozen=True)
class View:
    enrolled: pd.DataFrame
    contacts: pd.DataFrame
    totals: pd.DataFrame
    spent: pd.DataFrame
    state: str


@dataclass(frozen=True)
class Day:
    date: date
    campaign: str
    digest: str
    contacts: pd.DataFrame
    enrolled: pd.DataFrame


@dataclass
class MemoryLedger:
    """Records plans in memory by the same rules as the file: what was planned on earlier days, and nothing else."""

    days: list[Day] = field(default_factory=list)

    def record(self, plan: Plan) -> None:
        assert not plan.dry_run
        known = self.recorded(plan.date, plan.policy.campaign)
        if known is not None:
            assert known == plan.digest
            return
        assert plan.based_on == self.before(plan.date).state
        self.days.append(Day(plan.date, plan.policy.campaign, plan.digest, plan.contacts, plan.enrolled))

    def before(self, day: date, *, since: date = date.min) -> View:
        earlier = [each for each in self.days if each.date < day]
        state = ",".join(each.digest[:8] for each in earlier)
        contacts = _rows([each.contacts for each in earlier], CONTACTS)
        totals = contacts.groupby(["user_id", "campaign"]).size().rename("n_contacts").reset_index()
        spent = contacts.groupby(["campaign", "channel", "offer"], dropna=False)[["cost", "reward"]].sum().reset_index()
        on = contacts["date"].to_numpy().astype("datetime64[D]")
        until = contacts["promised_until"].to_numpy().astype("datetime64[D]")
        shown = contacts[(on >= np.datetime64(since, "D")) | (until >= np.datetime64(day, "D"))]
        return View(_rows([each.enrolled for each in earlier], ENROLLED), shown, totals, spent, state)

    def last_day(self) -> date | None:
        return max((each.date for each in self.days), default=None)

    def recorded(self, day: date, campaign: str) -> str | None:
        return next((each.digest for each in self.days if (each.date, each.campaign) == (day, campaign)), None)

    @property
    def contacts(self) -> pd.DataFrame:
        return _rows([each.contacts for each in self.days], CONTACTS)

    @property
    def enrolled(self) -> pd.DataFrame:
        return _rows([each.enrolled for each in self.days], ENROLLED)


def _rows(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame({name: pd.Series([], dtype=_EMPTY.get(name, object)) for name in columns})
    return pd.DataFrame({name: np.concatenate([table[name].to_numpy() for table in tables]) for name in columns})


_EMPTY = {
    **dict.fromkeys(("date", "contact_on", "assigned_on", "promised_until"), "datetime64[s]"),
    **dict.fromkeys(("step", "place", "idle_days"), "int64"),
    **dict.fromkeys(("cost", "reward", "reward_condition", "risk", "share"), "float64"),
}


def days(n: int, start: date = DAY) -> list[date]:
    """So many days in a row."""
    return [start + timedelta(days=i) for i in range(n)]


def by_user(plan: Plan, column: str) -> dict[Any, Any]:
    """A column of a plan by user."""
    return dict(zip(plan.table["user_id"].tolist(), plan.table[column].tolist(), strict=True))
