"""Small logs written as rows, and their spells read back as rows."""

from __future__ import annotations

import atexit
from datetime import date
from functools import cache
from typing import Any

import pandas as pd

from churnsurv.data import ActivityLog, ChurnRule, Engine, connect


@cache
def engine() -> Engine:
    """One engine for all small logs of a process: to open one takes longer than to ask a small log a question."""
    atexit.register(engine.cache_clear)  # or DuckDB reports leaks when the interpreter ends
    return connect(threads=1)  # small tables: threads would only wait for each other


def events_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows (user_id, event_at[, kind[, amount]]); kind is "login" unless given."""
    return pd.DataFrame(
        {
            "user_id": [row[0] for row in rows],
            "event_at": [row[1] for row in rows],
            "kind": [row[2] if len(row) > 2 else "login" for row in rows],
            "amount": [row[3] if len(row) > 3 else None for row in rows],
        }
    )


def users_of(registered: dict[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame({"user_id": list(registered), "registered_at": list(registered.values())})


def log_of(users: dict[Any, Any], events: list[tuple[Any, ...]], idle_days: int = 30, **settings: Any) -> ActivityLog:
    settings = {"rule": ChurnRule(idle_days=idle_days), "engine": engine()} | settings
    return ActivityLog(events_of(events), users_of(users), **settings)


def spells_of(log: ActivityLog, **settings: Any) -> list[tuple[Any, ...]]:
    """(user_id, spell, origin, origin_known, entry, duration, churned, last_activity, end_date), dates as text."""
    settings.setdefault("spells", "all")
    table = log.churn_spells(**settings).table.iloc[:, :9]
    return [tuple(_plain(value) for value in row) for row in table.itertuples(index=False)]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    if isinstance(value, date):
        return str(value)
    return value.item() if hasattr(value, "item") else value
