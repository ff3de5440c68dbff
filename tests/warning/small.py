"""Small logs whose gaps are written down by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

import churnsurv as ch
from tests.data.small import engine

__all__ = ["log_of"]


def log_of(
    lives: Sequence[tuple[int, Sequence[int], float | None]], *, idle_days: int = 4, until: str = "2024-03-01"
) -> ch.ActivityLog:
    """A log of users: (how many, days from one activity to the next, score known of each), all registered at once.

    After the last activity each is silent to the end.
    """
    start = pd.Timestamp("2024-01-01")
    users, events = [], []
    for n, gaps, score in lives:
        for _ in range(n):
            user = len(users)
            users.append({"user_id": user, "registered_at": start, "score": score})
            days = pd.Series(gaps, dtype="int64").cumsum()
            events += [{"user_id": user, "event_at": start + pd.Timedelta(days=day), "kind": "login"} for day in days]
    return ch.ActivityLog(
        pd.DataFrame(events, columns=["user_id", "event_at", "kind"]).astype({"event_at": "datetime64[s]"}),
        pd.DataFrame(users),
        rule=ch.ChurnRule(idle_days=idle_days),
        observed_from="2024-01-01",
        observed_until=until,
        engine=engine(),
    )
