"""The main job on real input: spells of the Olist sellers, equal row by row to the day-by-day walk."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

import churnsurv as ch
from tests import oracle
from tests.real import olist
from tests.rows import in_order, rejects_of, rows_of

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def orders(olist_folder: Path) -> Rows:
    return olist.order_rows(olist_folder)


@pytest.fixture(scope="module")
def sellers(olist_folder: Path, orders: Rows) -> Rows:
    return olist.seller_rows(olist_folder, orders)


@pytest.fixture(scope="module")
def log(olist_folder: Path) -> ch.ActivityLog:
    return olist.log(olist_folder)


def test_sql_and_plain_python_read_the_same_sellers(olist_folder: Path, sellers: Rows) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(olist.sql("users", olist_folder)).fetchall()
    expected = {row["user_id"]: (oracle.day_of(row["registered_at"]), row["channel"]) for row in sellers}
    assert {user_id: (moment.date(), channel) for user_id, moment, channel in found} == expected
    assert len(found) == len(sellers) == 3557


@pytest.mark.parametrize(("observed_from", "time_zone"), [(None, "America/Sao_Paulo"), (date(2018, 1, 1), "UTC")])
def test_spells_equal_the_walk(
    olist_folder: Path, sellers: Rows, orders: Rows, observed_from: date | None, time_zone: str
) -> None:
    log = olist.log(olist_folder, observed_from=observed_from, time_zone=time_zone)
    for question in ({"spells": "all", "left_truncated": "assume_first_spell"}, {"spells": "first"}):
        expected = oracle.churn_spells(
            sellers,
            orders,
            idle_days=olist.IDLE_DAYS,
            activity=olist.ACTIVITY,
            observed_from=observed_from,
            observed_until=olist.OBSERVED_UNTIL,
            time_zone=time_zone,
            **question,
        )
        found = log.churn_spells(**question)
        assert in_order(rows_of(found.table)) == in_order(expected.spells)
        assert {name: found.counts[name] for name in expected.counts} == expected.counts
        assert {name: log.counts[name] for name in expected.log_counts} == expected.log_counts
        rejects = sorted((r.table, r.user_id, r.reason) for r in expected.rejects)
        assert sorted((table, user_id, reason) for table, _, user_id, reason in rejects_of(found.rejects)) == rejects


def test_counts_of_the_log(log: ch.ActivityLog) -> None:
    assert (log.observed_from, log.observed_until) == (date(2016, 9, 19), date(2018, 8, 31))
    expected = {
        "users_read": 3557,
        "users": 3506,
        "users_rejected": 51,
        "events_read": 112_650,
        "events": 112_547,
        "events_rejected": 0,
        "outside_window": 103,
        "other_kinds": 0,
        "equal_users_collapsed": 0,
        "equal_events": 19_344,
    }
    assert {name: log.counts[name] for name in expected} == expected
    assert Counter(log.rejects["reason"]) == {"registered_after_window": 51}


def test_counts_of_the_spells(log: ch.ActivityLog) -> None:
    """The figures of docs/real-data.md."""
    spells = log.churn_spells(spells="all")
    expected = {
        "spells": 7471,
        "churned": 6065,
        "censored": 1406,
        "returned": 3965,
        "left_truncated_excluded": 0,
        "undetermined": 0,
        "not_seen": 0,
        "no_risk": 5,
        "person_days": 495_830,
        "activity_days": 64_383,
    }
    assert {name: spells.counts[name] for name in expected} == expected
    first = log.churn_spells()
    assert [first.counts[name] for name in ("spells", "churned", "censored")] == [3506, 3008, 498]
    assert Counter(row["channel"] for row in rows_of(first.table)) == {
        "before the funnel": 2714,
        "organic search": 253,
        "paid search": 177,
        "unknown": 173,
        "social": 71,
        "direct traffic": 54,
        "referral": 24,
        "email": 14,
        None: 13,
        "display": 6,
        "other": 4,
        "other publicities": 3,
    }


def test_medians_and_share_of_returns(olist_folder: Path) -> None:
    figures = olist.figures(olist_folder)
    assert figures["share of churned spells that return"] == "65.4%"
    assert figures["median days to churn, first spells"] == "30 (30 to 30)"
    assert figures["median days to churn, all spells"] == "37 (36 to 38)"


def test_the_study_file_gives_the_report(olist_folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(olist.study_text(olist_folder), encoding="utf-8")
    result = ch.Study.from_toml(study).run()
    assert in_order(rows_of(result.spells.table)) == in_order(rows_of(olist.log(olist_folder).churn_spells().table))
    page = result.report(tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "before the funnel" in text
    assert "3,506" in text
    assert json.loads((tmp_path / "report" / "result.json").read_text(encoding="utf-8"))
