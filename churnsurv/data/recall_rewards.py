"""What users had invested and held on two days: the states that a reward rule asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import resolve
from churnsurv.data.features_sql import answers_sql, default_features
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError, SchemaError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog

__all__ = ["Holdings", "holdings"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """Users registered by a day, in the order of their ids.

    Attributes
    ----------
    user_id : pyarrow.ChunkedArray
    total, balance : (n,) float64
        At the end of the day: invested in total, and held (null where nothing tells).
    living : (n,) bool
        Not formally churned.
    attribute : (n,) float64, or None
        A numeric column of the users, where one is asked for.
    """

    user_id: pa.ChunkedArray
    total: Floats
    balance: Floats
    living: NDArray[np.bool_]
    attribute: Floats | None


def holdings(log: ActivityLog, days: Sequence[date], *, attribute: str | None = None) -> tuple[Holdings, ...]:
    """Fetch what each user had invested and held at the end of some days, each as it was known then.

    Raises
    ------
    SchemaError
        If the events have no amounts, or there is no such attribute of the users, or it holds no numbers.
    InputError
        If the log does not cover a day.
    """
    for day in days:
        log._reading.require_day(day)
    # Of the gaps of the whole log those that lie about a day say the same as the log of that day.
    gaps = log._reading.gaps(log._kinds, log.rule.idle_days)
    reading, engine = log._reading.until(max(days)), log.engine
    asked = resolve(("total_amount", "balance"))
    there = {each if isinstance(each, str) else each.name for each in default_features(reading, log.stages)}
    if not there >= {"total_amount", "balance"}:
        raise SchemaError(
            "A reward needs what was invested and is held: events with kind and amount (and balances, where they are "
            "not what was invested less redeemed). No attribute of the users may be called total_amount or balance."
        )
    extra = _attribute(log, attribute)
    listed = ", ".join(f"({literal(day)})" for day in days)
    questions = (
        f"(SELECT u._user_key, d.day AS as_of FROM {reading.users} AS u"
        f" JOIN (SELECT day FROM (VALUES {listed}) AS listed(day)) AS d ON u.registered_at <= d.day)"
    )
    away = (
        f"(SELECT d.day AS as_of, g._user_key FROM {gaps} AS g JOIN (SELECT day FROM (VALUES {listed}) AS listed(day))"
        f" AS d ON g.day + {log.rule.idle_days} <= d.day AND (g.next_day IS NULL OR g.next_day > d.day))"
    )
    answers = answers_sql(reading, log.rule, asked, log.stages, questions, until=max(days))
    rows = engine.arrow(
        f"SELECT u.user_id, a.as_of, a.total_amount, a.balance, c._user_key IS NULL AS living{extra}"
        f" FROM ({answers}) AS a JOIN {reading.users} AS u ON a._user_key = u._user_key"
        f" LEFT JOIN {away} AS c ON c._user_key = a._user_key AND c.as_of = a.as_of ORDER BY a._user_key, a.as_of"
    )
    return tuple(_of_day(rows, day, attribute) for day in days)


def _of_day(rows: pa.Table, day: date, attribute: str | None) -> Holdings:
    import pyarrow.compute as pc

    mine = rows.filter(pc.equal(rows["as_of"], day))
    return Holdings(
        user_id=mine["user_id"],
        total=_numbers(mine["total_amount"]),
        balance=_numbers(mine["balance"]),
        living=mine["living"].to_numpy().astype(np.bool_),
        attribute=None if attribute is None else _numbers(mine["attribute"]),
    )


def _attribute(log: ActivityLog, attribute: str | None) -> str:
    if attribute is None:
        return ""
    reading = log._reading
    there = reading.users_read.attributes
    if attribute not in there:
        hint = did_you_mean(attribute, there)
        listed = ", ".join(map(repr, there)) or "no attributes"
        raise InputError(f"margin: there is no column {attribute!r} of the users.{hint} They have {listed}.")
    column, kind = f"u.{name(attribute)}", log.engine.describe(reading.users)[attribute]
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        bad = f"{column} IS NOT NULL AND TRY_CAST({column} AS DOUBLE) IS NULL"
        n, example = log.engine.rows(
            f"SELECT count(*), min(CAST({column} AS VARCHAR)) FROM {reading.users} AS u WHERE {bad}"
        )[0]
        if n:
            raise SchemaError(f"margin: {attribute!r} holds {n:,} values that are no numbers, such as {example!r}.")
    return f", TRY_CAST({column} AS DOUBLE) AS attribute"


def _numbers(column: Any) -> Floats:
    values: Floats = column.to_pandas().to_numpy(dtype=np.float64, na_value=np.nan)
    return values
