"""Investments and redemptions with a negative amount: counted, so that whoever uses amounts can say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churnsurv.data.sql import literal
from churnsurv.notes import Note, note

if TYPE_CHECKING:
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading

__all__ = ["count_negative_amounts", "negative_amounts_note"]


def count_negative_amounts(reading: Reading) -> int:
    """Usable investments and redemptions inside the window whose amount is below zero."""
    if not {"kind", "amount"} <= set(reading.sources["events"].columns):
        return 0
    first, last = literal(reading.window.first), literal(reading.window.last)
    return int(
        reading.engine.rows(
            f"SELECT count(*) FROM {reading.judged('events')} AS e WHERE e._reason IS NULL"
            f" AND e._day BETWEEN {first} AND {last} AND e.kind IN ('invest', 'redeem') AND e.amount < 0"
        )[0][0]
    )


def negative_amounts_note(log: ActivityLog) -> Note | None:
    """Say how many investments and redemptions have a negative amount, and what that means; None if there is none.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    >>> events = pd.DataFrame({"user_id": ["a", "a"], "event_at": "2024-01-05", "kind": "invest", "amount": [9, -9]})
    >>> negative_amounts_note(ActivityLog(events, users))[:48]
    '1 investment or redemption has a negative amount'
    """
    n = count_negative_amounts(log._reading)
    if not n:
        return None
    if n == 1:
        return note(
            "1 investment or redemption has a negative amount. They count as they stand: a negative investment is an "
            "investment that lowers totals and balances. Check what the source means by them."
        )
    return note(
        "{n} investments and redemptions have a negative amount. They count as they stand: a negative investment is "
        "an investment that lowers totals and balances. Check what the source means by them.",
        n=f"{n:,}",
    )
