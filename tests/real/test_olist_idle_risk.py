"""The idle risk of the Olist sellers, equal to gaps counted day by day in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from churnsurv.warning import IdleRisk, idle_risk
from tests import oracle
from tests.real import olist

Gap = tuple[bool, date, int | None]


@pytest.fixture(scope="module")
def gaps(olist_folder: Path) -> list[Gap]:
    """Whether a gap began at registration, its first day, and its length (None: without end), of mature gaps."""
    orders = olist.order_rows(olist_folder)
    days: dict[Any, set[date]] = defaultdict(set)
    registered = {}
    for seller in olist.seller_rows(olist_folder, orders):
        day = oracle.day_of(seller["registered_at"])
        if day <= olist.OBSERVED_UNTIL:
            registered[seller["user_id"]] = day
            days[seller["user_id"]].add(day)
    for order in orders:
        day = oracle.day_of(order["event_at"])
        if order["user_id"] in registered and registered[order["user_id"]] <= day <= olist.OBSERVED_UNTIL:
            days[order["user_id"]].add(day)
    found = []
    for user, mine in days.items():
        for start, end in pairwise([*sorted(mine), None]):
            assert start is not None
            if start <= olist.OBSERVED_UNTIL - timedelta(days=olist.IDLE_DAYS):
                found.append((start == registered[user], start, None if end is None else (end - start).days))
    return found


@pytest.fixture(scope="module")
def risk(olist_folder: Path) -> IdleRisk:
    return idle_risk(olist.log(olist_folder))


def test_shares_are_those_of_the_gaps(risk: IdleRisk, gaps: list[Gap]) -> None:
    for registration in (False, True):
        lengths = [9_999 if length is None else length for first, _, length in gaps if first == registration]
        mine = risk.table[risk.table["registration_gap"] == registration].set_index("idle_days")
        for day in range(olist.IDLE_DAYS):
            silent = [length for length in lengths if length > day]
            churned = sum(length > olist.IDLE_DAYS for length in silent)
            assert mine.loc[day, ["n_gaps", "n_churned"]].tolist() == [len(silent), churned]
            assert mine.loc[day, "churn"] == pytest.approx(churned / len(silent), rel=1e-12)
    back = [length for first, _, length in gaps if not first and length is not None and length <= olist.IDLE_DAYS]
    expected = np.quantile(back, risk.intervals["probability"], method="inverted_cdf")
    assert risk.intervals["days"].tolist() == expected.tolist()


def test_what_the_sellers_say(risk: IdleRisk) -> None:
    """Whoever has sold before comes back within days: half of those silent for a fortnight are gone."""
    assert (risk.n_gaps, risk.n_churned, risk.n_registration_gaps, risk.n_blocks) == (59_235, 6_065, 3_335, 1_000)
    assert repr(risk) == (
        "<IdleRisk: 7.8 % of gaps end in churn, 51.8 % of those that begin at registration; the risk of the former "
        "reaches 25 % on idle day 6.0 (5.7 to 6.2), 50 % on idle day 14.0 (13.7 to 14.4), 75 % on idle day 22.0 (21.7 "
        "to 22.5); 59,235 gaps begun 2016-09-19 to 2018-08-01; 30 days without order>"
    )
    assert (risk.drift_lower, risk.drift_upper) == pytest.approx((-0.0036, 0.0149), abs=1e-4)
