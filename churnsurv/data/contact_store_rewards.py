"""Which promised rewards a log shows to be released: so much was invested from the contact on, in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.data.arrow import to_pandas
from churnsurv.data.assigned_sql import _MILLION, _millionths, has_amounts
from churnsurv.data.ids import user_ids
from churnsurv.data.sources import Source
from churnsurv.data.sql import literal
from churnsurv.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog

__all__ = ["released"]


def released(log: ActivityLog, promised: pa.Table) -> pd.DataFrame:
    """Say of each promised reward on which day its condition was met.

    Parameters
    ----------
    log : ActivityLog
    promised : pyarrow.Table
        `user_id, campaign, step, contact_on, reward, reward_condition, promised_until`, as of
        `contact_store_reading.promises`.

    Returns
    -------
    DataFrame
        `user_id, campaign, amount, promised_until, released_at`, without contacts after the log's end.
    """
    import pyarrow.compute as pc

    reading, engine = log._reading, log.engine
    until = reading.window.last
    due = promised.filter(pc.less_equal(promised["contact_on"], until)) if promised.num_rows else promised
    if not due.num_rows:
        return _empty()
    if not has_amounts(reading):
        raise SchemaError(
            "rewards are released by investing, but the events have no 'kind' and 'amount'. Map them with "
            "columns={'events': {'kind': ..., 'amount': ...}}."
        )
    raw = engine.register("promised", due)
    try:
        source = Source("the ledger", raw, engine.describe(raw))
        users = Source("users", reading.users, engine.describe(reading.users))
        ids = user_ids(engine, {"users": users, source.table: source})
        found = engine.arrow(_released_sql(log, raw, ids["users"], ids[source.table]))
    finally:
        engine.drop(raw)
    frame = to_pandas(found)
    frame["campaign"] = frame["campaign"].astype("category")
    return frame


def _released_sql(log: ActivityLog, promised: str, user: str, holder: str) -> str:
    reading = log._reading
    last = literal(reading.window.last)
    condition = f"CAST(round(coalesce(p.reward_condition, 0) * {_MILLION}) AS BIGINT)"
    return f"""
        WITH promise AS (
            SELECT p.user_id, p.campaign, p.step, p.contact_on, p.reward, p.promised_until, u._user_key,
                   {condition} AS needed, least(coalesce(p.promised_until, {last}), {last}) AS until
            FROM (SELECT *, {holder} AS _holder FROM {promised}) AS p
            LEFT JOIN (SELECT _user_key, {user} AS _holder FROM {reading.users}) AS u ON p._holder = u._holder
        ), invested AS (
            SELECT p.campaign, p._user_key, p.step, p.needed, e._day, sum({_millionths(reading, "invest")}) AS amount
            FROM {reading.judged("events")} AS e JOIN promise AS p ON e._user_key = p._user_key
            WHERE e._reason IS NULL AND e.kind = 'invest' AND e._day BETWEEN p.contact_on AND p.until
            GROUP BY p.campaign, p._user_key, p.step, p.needed, e._day
        ), so_far AS (
            SELECT campaign, _user_key, step, needed, _day,
                   sum(amount) OVER (PARTITION BY campaign, _user_key, step ORDER BY _day) AS total
            FROM invested
        ), met AS (
            SELECT campaign, _user_key, step, min(_day) AS _day FROM so_far WHERE total >= needed
            GROUP BY campaign, _user_key, step
        )
        SELECT p.user_id, p.campaign, p.reward AS amount, p.promised_until,
               CASE WHEN p.needed <= 0 THEN p.contact_on ELSE m._day END AS released_at
        FROM promise AS p LEFT JOIN met AS m
        ON p.campaign = m.campaign AND p._user_key = m._user_key AND p.step = m.step
        ORDER BY p.campaign, p.user_id, p.step
    """


def _empty() -> pd.DataFrame:
    import pandas as pd

    dtypes: dict[str, Any] = {
        "user_id": object, "campaign": "category", "amount": "float64", "promised_until": "datetime64[s]",
        "released_at": "datetime64[s]",
    }  # fmt: skip
    return pd.DataFrame({column: pd.Series([], dtype=dtype) for column, dtype in dtypes.items()})
