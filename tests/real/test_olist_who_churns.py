"""Who churns among the Olist sellers: figures against plain loops, and the one burst whose cause everybody knows.

A seller's registration stands in as the first order (or the day the deal was won), so that channels and cohorts are
real and stages are not: nobody "invests". Figures are pinned loosely: they are facts of these files, and the bounds say
what would be no longer the same story.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.diagnosis.registrations import search_bursts
from churnsurv.diagnosis.structure import ChurnStructure
from tests.diagnosis.plain import Z, kaplan_meier, log_log, wilson
from tests.real import olist

ORDERS = ch.Feature("orders", agg="count", kind="order")
REVENUE = ch.Feature("revenue", agg="sum", column="amount", kind="order")


@pytest.fixture(scope="module")
def log(olist_folder: Path) -> ch.ActivityLog:
    return olist.log(olist_folder)


@pytest.fixture(scope="module")
def spells(log: ch.ActivityLog) -> pd.DataFrame:
    """First spells, themselves equal to the day-by-day walk (test_olist.py)."""
    return log.churn_spells().table


@pytest.fixture(scope="module")
def structure(log: ch.ActivityLog) -> ChurnStructure:
    return ch.churn_structure(log)


def test_the_structure_is_that_of_loops(structure: ChurnStructure, spells: pd.DataFrame) -> None:
    assert (structure.n_users, structure.n_churned) == (3506, 3008)
    channels = structure.table.query("variable == 'channel'").set_index("group")
    assert channels["n_churned"].sum() == 3008
    assert channels.loc["other", "n_users"] == 6 + 14 + 4 + 3 + 24 + 13  # six small origins and the missing one
    z = 2.690109527  # of the two-sided 5 % over seven channels
    by_horizon = structure.horizons.set_index(["variable", "group", "horizon"])
    for channel, part in spells.groupby(spells["channel"].astype(object), dropna=False):
        if channel not in channels.index:
            continue
        if channel != "other":
            row = channels.loc[channel]
            assert (row["n_users"], row["n_churned"]) == (len(part), part["churned"].sum())
            limits = wilson(int(part["churned"].sum()), 3008, z)
            assert (row["share_lower"], row["share_upper"]) == pytest.approx(limits, rel=1e-8)
            rows = list(zip(part["duration"], part["churned"], strict=True))
            survival, greenwood = kaplan_meier(rows, 90)
            found = by_horizon.loc["channel", channel, 90]
            assert found["churned"] == pytest.approx(1 - survival, abs=1e-10)
            upper, lower = (1 - each for each in log_log(survival, greenwood))
            assert (found["lower"], found["upper"]) == pytest.approx((lower, upper), abs=1e-10)


def test_most_sellers_of_the_funnel_churn_and_raw_shares_hide_it_of_young_cohorts(structure: ChurnStructure) -> None:
    by_horizon = structure.horizons.set_index(["variable", "group", "horizon"])["churned"]
    old, won = by_horizon["channel", "before the funnel", 90], by_horizon["channel", "organic search", 90]
    # Many sellers of the funnel never sell at all: 84 % or more are gone when 30 days have passed.
    assert 0.72 < old < 0.79
    assert 0.87 < won < 0.95
    assert by_horizon["channel", "organic search", 30] > 0.8
    cohorts = structure.table.query("variable == 'cohort'").set_index("group")
    raw = cohorts["n_churned"] / cohorts["n_users"]
    assert raw["2018-08"] < 0.05  # two of 177: the others are too young to have churned
    assert any("no curve reaches day 90 since registration in '2018-07'" in note for note in structure.notes)
    late = structure.horizons.query("group == '2018-08' and horizon == 30").iloc[0]
    assert late["n_followed_to"] < 10
    assert np.isnan([late["lower"], late["upper"]]).all()
    assert any("stages tell nothing" in note for note in structure.notes)


def test_the_profile_is_that_of_loops(log: ch.ActivityLog, spells: pd.DataFrame, olist_folder: Path) -> None:
    found = ch.churn_profile(log, variables=[ORDERS, REVENUE], cuts={"orders": (2, 5, 10)}, adjust="none")
    first = {r.user_id: r.origin.date() for r in spells.itertuples()}
    orders: Counter[str] = Counter()
    for row in olist.order_rows(olist_folder):
        since = (row["event_at"].date() - first[row["user_id"]]).days if row["user_id"] in first else -1
        orders[row["user_id"]] += 0 <= since <= 30
    until = pd.Timestamp(olist.OBSERVED_UNTIL)
    followed = spells[spells["origin"] <= until - pd.Timedelta(days=180)]
    alive = followed[~(followed["churned"] & (followed["duration"] <= 60))]
    gone = alive["churned"] & (alive["duration"] <= 180)
    assert dict(found.counts) == {
        "users": 3506, "churned": int(gone.sum()), "retained": int((~gone).sum()),
        "immature": 3506 - len(followed), "churned_before": len(followed) - len(alive), "life_not_observed": 0,
    }  # fmt: skip
    for cut in (2, 5, 10):
        row = found.table.query(f"variable == 'orders' and cut == {cut}").iloc[0]
        low = alive["user_id"].map(orders) <= cut
        assert row["share_churned"] == pytest.approx(low[gone].mean(), abs=1e-12)
        assert row["share_retained"] == pytest.approx(low[~gone].mean(), abs=1e-12)
        assert row["risk_ratio"] == pytest.approx(gone[low].mean() / gone[~low].mean(), rel=1e-12)
        assert (row["churned_lower"], row["churned_upper"]) == pytest.approx(
            wilson(int(low[gone].sum()), int(gone.sum()), Z), rel=1e-10
        )


def test_few_orders_and_long_intervals_go_with_churn(log: ch.ActivityLog) -> None:
    """Of those who still sell after two months: what is to be expected of any shop."""
    found = ch.churn_profile(log, variables=[ORDERS, REVENUE, "login_interval"])
    best = found.table[found.table["suggested"]].set_index("variable")
    assert (best["adjusted_p_value"] < 0.01).all()
    assert 1.5 < best.loc["orders", "risk_ratio"] < 2.2
    assert best.loc["orders", "lower"] > 1.2
    assert best.loc["login_interval", "risk_ratio"] < 0.75  # at or below the cut: those who sell often
    assert found.sentences[0] == "orders at most 5: 68 % of churned, 36 % of retained"
    # Revenue says less than the number of orders.
    z = best["statistic"].abs()
    assert z["revenue"] < z["orders"]


def test_black_friday_is_the_burst_of_the_orders(olist_folder: Path) -> None:
    """24 November 2017; the days are those to ship by, and 1,647 order lines of that Friday were due on the 30th.

    In the first weeks of 2017 orders were due on Saturdays and Sundays too, later never: these days stand out as well,
    which is why the series begins in March.
    """
    ordered: Counter[date] = Counter(row["event_at"].date() for row in olist.order_rows(olist_folder))
    first = date(2017, 3, 6)
    days = [first + timedelta(days=k) for k in range((date(2018, 8, 19) - first).days + 1)]
    counts = np.array([ordered[day] for day in days])
    found = search_bursts(counts, first)
    burst = [day for day, is_one in zip(days, found.burst, strict=True) if is_one]
    assert date(2017, 11, 30) in burst
    assert all(date(2017, 11, 24) <= day <= date(2017, 12, 8) for day in burst)
    place = days.index(date(2017, 11, 30))
    assert counts[place] == 1647 == counts.max()
    assert 300 < found.expected[place] < 600
    assert found.day_p[place] < 1e-6
    assert found.settled


def test_black_friday_brought_sellers_too(log: ch.ActivityLog) -> None:
    """Sellers come by their first order or by contract. First orders of that Friday were due six days later.

    The first weeks of the marketplace stand out beside it, and the weekends of early 2017.
    """
    calendar = pd.DataFrame({"name": ["Black Friday"], "date": ["2017-11-24"], "kind": ["holiday"]})
    found: Any = ch.cohort_bursts(log, calendar=calendar, tolerance=6, ties="grouped")
    assert found.n_users == 3506
    late = found.table[found.table["start"] >= pd.Timestamp("2017-03-01")]
    assert late["start"].tolist() == [pd.Timestamp("2017-11-30")]
    row = late.iloc[0]
    assert (row["registrations"], row["event"], row["event_kind"]) == (28, "Black Friday", "holiday")
    assert 3 < row["expected"] < 9
    assert row["excess_lower"] > 5
    assert ch.cohort_bursts(log, calendar=calendar, tolerance=5).table["event"].isna().all()
    october = found.days.set_index("date").loc["2016-10-01":"2016-10-31"]
    assert october["registrations"].sum() == 142
    assert october["burst"].sum() >= 5
