"""Read the contact ledger: what was known before a day, whole tables, and what campaigns are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.data.arrow import to_pandas
from churnsurv.data.contact_store import TABLES, ContactStore, Opened
from churnsurv.data.contact_store_writing import state_of
from churnsurv.data.sql import literals
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "Known",
    "assignments",
    "campaigns",
    "days",
    "known_before",
    "last_day",
    "promises",
    "recorded",
    "state",
    "table",
]

#: Text with more values than this is left as it is.
_MOST = 1_000
#: Amounts are summed as whole parts of 1e9, so that the order of their sum does not matter.
_EXACT = "CAST(coalesce(sum(CAST({0} AS DECIMAL(38, 9))), 0) AS DOUBLE) AS {0}"
_ORDER: Mapping[str, str] = {
    "contacts": "date, campaign, user_id, step",
    "enrolled": "assigned_on, campaign, user_id",
    "deliveries": "campaign, user_id, step, delivered_at, opened_at NULLS FIRST",
}


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the ledger held before a day; made by `known_before`, which says what each part is."""

    enrolled: pd.DataFrame
    contacts: pd.DataFrame
    totals: pd.DataFrame | None
    spent: pd.DataFrame | None
    last_days: dict[str, date]
    state: str


def known_before(store: ContactStore, day: date, since: date | None) -> Known:
    """Read what was recorded for days before a day.

    Parameters
    ----------
    store : ContactStore
    day : date
    since : date or None
        Contacts of days before it, unless their promise is still open on `day`, are in `totals` and `spent` only.
    """
    given: dict[str, object] = {"day": day}
    with store.reading() as ledger:
        last, totals, spent, where, values = [], None, None, "date < $day", given
        if ledger is not None:
            last = ledger.rows("SELECT campaign, max(date) FROM days WHERE date < $day GROUP BY ALL", given)
        if since is not None:
            totals = _frame(ledger, _TOTALS, "campaign, user_id", given, _empty(TOTALS))
            spent = _frame(ledger, _SPENT, "campaign, channel, offer", given, _empty(SPENT))
            where += " AND (date >= $since OR promised_until >= $day)"
            values = {**given, "since": since}
        enrolled = _rows(ledger, "enrolled", "assigned_on < $day", given)
        contacts = _rows(ledger, "contacts", where, values)
        return Known(enrolled, contacts, totals, spent, dict(sorted(last)), state_of(ledger, day))


_TOTALS = "SELECT user_id, campaign, max(step) AS n_contacts FROM contacts WHERE date < $day GROUP BY ALL"
_SPENT = (
    f"SELECT campaign, channel, offer, count(*) AS n_contacts, {_EXACT.format('cost')}, {_EXACT.format('reward')}"
    " FROM contacts WHERE date < $day GROUP BY ALL"
)


def table(store: ContactStore, name: str) -> pd.DataFrame:
    """One table that names users as a whole: `contacts`, `enrolled` or `deliveries`."""
    with store.reading() as ledger:
        return _rows(ledger, name, "TRUE", {})


def days(store: ContactStore) -> pd.DataFrame:
    """The days that are recorded."""
    with store.reading() as ledger:
        return _frame(ledger, f"SELECT {', '.join(DAYS)} FROM days", "date, campaign", {}, _empty(DAYS))


def state(store: ContactStore) -> str:
    """The digest of all days."""
    with store.reading() as ledger:
        return state_of(ledger)


def recorded(store: ContactStore, day: date, campaign: str) -> str | None:
    """The digest of the plan that is recorded for a day of a campaign."""
    with store.reading() as ledger:
        query = "SELECT plan FROM days WHERE campaign = ? AND date = ?"
        found = [] if ledger is None else ledger.rows(query, [campaign, day])
    return str(found[0][0]) if found else None


def last_day(store: ContactStore, campaign: str | None) -> date | None:
    """The last recorded day of a campaign, or of all of them."""
    with store.reading() as ledger:
        query = "SELECT max(date) FROM days" + ("" if campaign is None else " WHERE campaign = ?")
        return None if ledger is None else ledger.rows(query, [] if campaign is None else [campaign])[0][0]


def campaigns(ledger: Opened | None) -> list[str]:
    """The campaigns there are."""
    return [] if ledger is None else [row[0] for row in ledger.rows("SELECT campaign FROM campaigns ORDER BY campaign")]


def assignments(store: ContactStore, campaign: str | None) -> pd.DataFrame:
    """One row for each user in a campaign, with the days of contacts and deliveries and what they cost."""
    with store.reading() as ledger:
        where = _of(ledger, campaign)
        told = ledger is not None and ledger.rows("SELECT count(*) FROM deliveries") != [(0,)]
        reached = ", r.delivered_at, r.opened_at" if told else ""
        joined = """
            LEFT JOIN (
                SELECT user_id, campaign, min(delivered_at) AS delivered_at, min(opened_at) AS opened_at
                FROM deliveries GROUP BY ALL
            ) AS r USING (user_id, campaign)
        """
        query = f"""
            SELECT e.user_id, e.campaign, e.arm, e.contact_on AS assigned_at, c.second_contact_at,
                   coalesce(c.cost, 0) AS cost, e.tier, e.idle_days, e.share{reached}
            FROM enrolled AS e LEFT JOIN (
                SELECT user_id, campaign, min(CASE WHEN step = 2 THEN contact_on END) AS second_contact_at,
                       {_EXACT.format("cost")}
                FROM contacts GROUP BY ALL
            ) AS c USING (user_id, campaign) {joined if told else ""} WHERE {where}
        """
        return _frame(ledger, query, "campaign, user_id", {}, _empty(ASSIGNED))


def promises(store: ContactStore) -> pa.Table:
    """The contacts that promise a reward, in a total order; None of a user where there is none."""
    import pyarrow as pa

    with store.reading() as ledger:
        columns = "user_id, campaign, step, contact_on, reward, reward_condition, promised_until"
        if ledger is None:
            return pa.table({name: pa.array([], pa.null()) for name in columns.split(", ")})
        return ledger.arrow(f"SELECT {columns} FROM contacts WHERE reward > 0 ORDER BY campaign, user_id, step")


def _of(ledger: Opened | None, campaign: str | None) -> str:
    """SQL of the rows of a campaign, which there must be."""
    if campaign is None:
        return "TRUE"
    there = campaigns(ledger)
    if campaign not in there:
        listed = ", ".join(map(repr, there)) or "none"
        raise InputError(
            f"The ledger knows no campaign {campaign!r}.{did_you_mean(str(campaign), there)} Campaigns: {listed}."
        )
    return f"e.campaign IN ({literals([campaign])})"


# ----------------------------------------------------------------------------------------------------- data frames

TOTALS = {"user_id": "user", "campaign": "VARCHAR", "n_contacts": "INTEGER"}
SPENT = {
    **{"campaign": "VARCHAR", "channel": "VARCHAR", "offer": "VARCHAR", "n_contacts": "BIGINT"},
    **{"cost": "DOUBLE", "reward": "DOUBLE"},
}
DAYS = {
    **{"date": "DATE", "campaign": "VARCHAR", "contact_on": "DATE", "n_contacts": "BIGINT", "n_enrolled": "BIGINT"},
    **{"plan": "TEXT", "policy": "TEXT", "based_on": "TEXT"},
}
ASSIGNED = {
    **{"user_id": "user", "campaign": "VARCHAR", "arm": "VARCHAR", "assigned_at": "DATE", "second_contact_at": "DATE"},
    **{"cost": "DOUBLE", "tier": "VARCHAR", "idle_days": "INTEGER", "share": "DOUBLE"},
}


def _rows(ledger: Opened | None, name: str, where: str, values: Mapping[str, object]) -> pd.DataFrame:
    """Rows of a table that names users."""
    kinds = {"user_id": "user", **{column: kind.split()[0] for column, kind in TABLES[name][0]}}
    order = None if ledger is None or _in_order(ledger, name) else _ORDER[name]
    return _frame(ledger, f"SELECT {', '.join(kinds)} FROM {name} WHERE {where}", order, values, _empty(kinds))


def _in_order(ledger: Opened, name: str) -> bool:
    """Whether rows lie in their order as they were written: by users within a day, and days one after another."""
    days = ledger.rows("SELECT date, campaign FROM days ORDER BY rowid")
    return name != "deliveries" and days == sorted(days)


def _frame(
    ledger: Opened | None, query: str, order: str | None, values: Mapping[str, object], empty: pd.DataFrame
) -> pd.DataFrame:
    """An answer as a data frame in a total order, text of few values as categories; `empty` where there is no user."""
    import pandas as pd

    if ledger is None or (ledger.ids is None and "user_id" in empty.columns):
        return empty
    texts = [str(column) for column in empty.columns if empty[column].dtype == "category"]
    sets = _texts(ledger, query, texts, values)
    kinds = {column: f"ENUM({literals(each)})" if each else "TINYINT" for column, each in sets.items()}
    replaced = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in kinds.items())
    chosen = f"* REPLACE ({replaced})" if replaced else "*"
    ordered = "" if order is None else f" ORDER BY {order}"
    frame = to_pandas(ledger.arrow(f"SELECT {chosen} FROM ({query}) AS every{ordered}", values))
    for column in texts:
        if not sets.get(column, True):  # no text at all
            frame[column] = pd.Categorical.from_codes(
                np.full(len(frame), -1, dtype=np.int8), pd.Index([], dtype=object)
            )
        elif column not in sets:
            frame[column] = frame[column].astype("category")
    return frame


def _texts(ledger: Opened, query: str, columns: list[str], values: Mapping[str, object]) -> dict[str, list[str]]:
    """The values of text columns that have few of them, sorted; of campaigns all there are."""
    sets = {"campaign": campaigns(ledger)} if "campaign" in columns else {}
    asked = [column for column in columns if column != "campaign"]
    if asked:
        lists = ", ".join(f"list(DISTINCT {column}) FILTER ({column} IS NOT NULL)" for column in asked)
        found = ledger.rows(f"SELECT {lists} FROM ({query}) AS every", values)[0]
        sets |= {column: sorted(each or []) for column, each in zip(asked, found, strict=True)}
    return {column: each for column, each in sets.items() if len(each) <= _MOST}


def _empty(kinds: Mapping[str, str]) -> pd.DataFrame:
    """No row, with the columns' types; the ids of nobody have none."""
    import pandas as pd

    dtypes: dict[str, Any] = {
        "user": object, "TEXT": object, "VARCHAR": "category", "DATE": "datetime64[s]", "DOUBLE": "float64",
        "INTEGER": "int32", "BIGINT": "int64",
    }  # fmt: skip
    return pd.DataFrame({column: pd.Series([], dtype=dtypes[kind]) for column, kind in kinds.items()})
