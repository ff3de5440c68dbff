"""Random lives on numbered days, and what the end of a day knows of one of them: a few lines that look at no later day.

Day 0 is 1 January 2024 and the first day of the log; users registered on a day below 0 are left-truncated. Gaps are
drawn around the rule's idle days. Redemptions and views are events, and no activity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from churnsurv.data import ActivityLog, ChurnRule
from tests.data.small import engine

IDLE, LAST = 6, 59
START = pd.Timestamp("2024-01-01")
FEATURES = ["n_investments", "total_amount", "max_amount", "ever_boosted", "balance", "stage"]
STATE = ["spell", "spell_day", "tenure", "idle_days", "active_days", "mean_interval", "last_interval", "life_observed"]

#: user, day, kind, amount, product
Event = tuple[int, int, str, float | None, str | None]


def date_of(day: int) -> pd.Timestamp:
    return START + pd.Timedelta(days=day)


@dataclass(frozen=True)
class Lives:
    registered: dict[int, int]
    events: list[Event]
    balances: list[tuple[int, int, float]] | None = None

    def until(self, day: int) -> Lives:
        """The tables that one would have had at the end of a day."""
        known = None if self.balances is None else [row for row in self.balances if row[1] <= day]
        registered = {user: since for user, since in self.registered.items() if since <= day}
        return Lives(registered, [event for event in self.events if event[1] <= day], known)

    def otherwise(self, day: int, rng: np.random.Generator) -> Lives:
        """Another life of everybody after a day."""
        other = lives(int(rng.integers(1 << 30)), balances=self.balances is not None)
        later = [event for event in other.events if event[1] > day and event[0] in self.registered]
        known = self.until(day)
        balances = None if known.balances is None else known.balances + [(user, day + 1, -1.0) for user in range(9)]
        return replace(known, registered=self.registered, events=known.events + later, balances=balances)

    def log(self, **settings: Any) -> ActivityLog:
        """The log of these tables, with the window stated."""
        columns = ["user_id", "event_at", "kind", "amount", "product"]
        events = pd.DataFrame([(u, date_of(d), *rest) for u, d, *rest in self.events], columns=columns)
        users = pd.DataFrame(
            [(user, date_of(day), "ab"[user % 2]) for user, day in self.registered.items()],
            columns=["user_id", "registered_at", "channel"],
        )
        if self.balances is not None:
            rows = [(user, date_of(day), balance) for user, day, balance in self.balances]
            settings["balances"] = pd.DataFrame(rows, columns=["user_id", "date", "balance"])
        settings = {"observed_from": date_of(0).date(), "observed_until": date_of(LAST).date()} | settings
        return ActivityLog(events, users, **{"rule": ChurnRule(idle_days=IDLE), "engine": engine(), **settings})


def lives(seed: int, *, n_users: int = 40, balances: bool = False) -> Lives:
    rng = np.random.default_rng(seed)
    registered = {user: int(rng.integers(-25, LAST + 1)) for user in range(n_users)}
    registered |= {0: 0, 1: -1, 2: -IDLE, 3: LAST}
    events: list[Event] = [(0, 0, "login", None, None)]
    for user, day in registered.items():
        for _ in range(int(rng.choice([0, 1, 4, 12, 30]))):
            day += int(rng.choice([0, 0, 1, 2, IDLE - 1, IDLE, IDLE, IDLE + 1, 2 * IDLE]))
            kind = str(rng.choice(["login", "invest", "redeem", "view"], p=[0.4, 0.3, 0.15, 0.15]))
            amount = float(rng.integers(1, 4_000)) / 4 if kind in {"invest", "redeem"} else None
            product = str(rng.choice(["plain", "boosted"])) if kind == "invest" else None
            events.append((user, day, kind, amount, product))
    known = [(int(rng.integers(n_users)), int(rng.integers(LAST)), float(rng.integers(500))) for _ in range(n_users)]
    # Of two balances of a user on one day nothing says which is the later.
    known = list({(user, day): (user, day, balance) for user, day, balance in known}.values())
    rng.shuffle(events)
    return Lives(registered, events, known if balances else None)


def active_days(lives: Lives, user: int, day: int) -> list[int]:
    days = {d for u, d, kind, *_ in lives.events if u == user and 0 <= d <= day and kind in {"login", "invest"}}
    return sorted(days | ({lives.registered[user]} if 0 <= lives.registered[user] <= day else set()))


def state_of(lives: Lives, user: int, day: int) -> dict[str, Any] | None:
    """The state of a user at the end of a day, null values as None; None if nothing shows that the user is alive."""
    registered, days = lives.registered[user], active_days(lives, user, day)
    if not days or day - days[-1] >= IDLE:
        return None
    # Of a user registered before the log it is known that the life went on if the first days of the log show it.
    opened = [later for sooner, later in pairwise([-1, *days] if registered < 0 else days) if later - sooner > IDLE]
    between = [later - sooner for sooner, later in pairwise(days)]
    return {
        "spell": 1 + len(opened),
        "spell_day": day - ([registered, *opened][-1]),
        "tenure": day - registered,
        "idle_days": day - days[-1],
        "active_days": len(days),
        "mean_interval": sum(between) / len(between) if between else None,
        "last_interval": between[-1] if between else None,
        "life_observed": registered >= 0,
    } | features_of(lives, user, day)


def features_of(lives: Lives, user: int, day: int) -> dict[str, Any]:
    mine = [event for event in lives.events if event[0] == user and 0 <= event[1] <= day]
    invested = [event[3] or 0.0 for event in mine if event[2] == "invest"]
    balance: float | None = sum(invested) - sum(event[3] or 0.0 for event in mine if event[2] == "redeem")
    if lives.balances is not None:
        known = [row for row in lives.balances if row[0] == user and row[1] <= day]
        balance = max(known, key=lambda row: row[1])[2] if known else None
    return {
        "n_investments": len(invested),
        "total_amount": sum(invested),
        "max_amount": max(invested, default=0),
        "ever_boosted": int(any(event[4] == "boosted" for event in mine)),
        "balance": balance,
        "stage": "new" if len(invested) < 3 else "growth" if len(invested) < 10 else "mature",
    }


def churn_day(lives: Lives, user: int, day: int) -> int:
    """The day of the churn that ends the spell of a day, if nothing happens after the last event."""
    later = [each for each in active_days(lives, user, 10_000) if each > day]
    last = active_days(lives, user, day)[-1]
    for each in later:
        if each - last > IDLE:
            break
        last = each
    return last + IDLE


def rows_of(table: pd.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    """Rows as plain values, missing ones as None, dates as day numbers."""
    frame = table[columns].copy()
    for column in frame.select_dtypes("datetime"):
        frame[column] = (frame[column] - START).dt.days
    records = frame.astype(object).to_dict("records")
    return [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in records]


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Without what depends on the other rows of a table: categories that occur, and the numbers of rows."""
    texts = dict.fromkeys(table.select_dtypes("category"), object)
    return table.astype(texts).reset_index(drop=True)
