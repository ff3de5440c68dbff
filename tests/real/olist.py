"""The Olist sellers as users and events: in plain Python for the oracle, and as the study file's SQL for the package.

`python -m tests.real.olist` prints the counts of docs/real-data.md.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

import churnsurv as ch

Row = dict[str, Any]
DEALS = "olist_closed_deals_dataset.csv"
LEADS = "olist_marketing_qualified_leads_dataset.csv"
ORDER_LINES = "order_items.parquet"

STUDY = Path(__file__).with_name("olist_study.toml")
FOLDER = "../shared/data/olist_sellers"  # as written in the study file, from the root of the repository
IDLE_DAYS = 30
ACTIVITY = ("order",)
OBSERVED_UNTIL = date(2018, 8, 31)


# ------------------------------------------------------------------------------------------------- plain Python


def order_rows(folder: Path) -> list[Row]:
    table = pq.read_table(folder / ORDER_LINES, columns=["seller_id", "shipping_limit_date", "price"])
    seller, moment, price = (table.column(name) for name in table.column_names)
    moments = [datetime.fromisoformat(str(each)) for each in moment.to_pylist()]
    return [
        {"user_id": user_id, "event_at": event_at, "kind": "order", "amount": amount}
        for user_id, event_at, amount in zip(seller.to_pylist(), moments, price.to_pylist(), strict=True)
    ]


def seller_rows(folder: Path, orders: list[Row]) -> list[Row]:
    with (folder / LEADS).open(encoding="utf-8", newline="") as file:
        origins = {row["mql_id"]: row["origin"] or None for row in csv.DictReader(file)}
    with (folder / DEALS).open(encoding="utf-8", newline="") as file:
        deals = {row["seller_id"]: row for row in csv.DictReader(file)}
    first_order: dict[str, datetime] = {}
    for order in orders:
        before = first_order.get(order["user_id"], order["event_at"])
        first_order[order["user_id"]] = min(before, order["event_at"])
    rows = [
        {"user_id": seller, "registered_at": deal["won_date"], "channel": origins[deal["mql_id"]]}
        for seller, deal in deals.items()
    ]
    return rows + [
        {"user_id": seller, "registered_at": moment, "channel": "before the funnel"}
        for seller, moment in first_order.items()
        if seller not in deals
    ]


# ---------------------------------------------------------------------------------------------- the package's way


def study_text(folder: Path) -> str:
    """The study file with the data in this folder."""
    return STUDY.read_text(encoding="utf-8").replace(FOLDER, folder.as_posix())


def sql(table: str, folder: Path) -> str:
    query: str = tomllib.loads(study_text(folder))["sources"][table]["sql"]
    return query


def log(folder: Path, **changes: Any) -> ch.ActivityLog:
    engine = ch.connect()
    how = {"rule": ch.ChurnRule(IDLE_DAYS, ACTIVITY), "observed_until": OBSERVED_UNTIL, "engine": engine}
    return ch.ActivityLog(engine.sql(sql("events", folder)), engine.sql(sql("users", folder)), **how | changes)


def figures(folder: Path) -> pd.Series:
    """What docs/real-data.md says of the sellers."""
    olist = log(folder)
    first, every = olist.churn_spells(), olist.churn_spells(spells="all")
    returned = every.counts["returned"]
    numbers: dict[str, object] = {f"log: {name}": number for name, number in olist.counts.items()}
    numbers |= {f"rejected: {name}": number for name, number in olist.rejects["reason"].value_counts().items()}
    numbers |= {f"first spells: {name}": number for name, number in first.counts.items() if number}
    numbers |= {f"all spells: {name}": number for name, number in every.counts.items() if number}
    numbers["share of churned spells that return"] = f"{returned / every.counts['churned']:.1%}"
    for data, name in ((first, "first spells"), (every, "all spells")):
        median = ch.kaplan_meier(data).median.iloc[0]
        numbers[f"median days to churn, {name}"] = f"{median['time']:g} ({median['lower']:g} to {median['upper']:g})"
    return pd.Series(numbers)


if __name__ == "__main__":
    sys.stdout.write(figures(Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER)).to_string() + "\n")
