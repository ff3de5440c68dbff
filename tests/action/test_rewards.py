"""Rewards: the case's example, every reason for none, budgets, and forecasts worked by hand and counted again."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churnsurv as ch
from churnsurv.action.rewards import REASONS
from churnsurv.errors import InputError, SchemaError


def one(rule: ch.RewardRule, total: float | None, balance: float | None) -> tuple[float, float, str | None]:
    found = rule.amounts(pd.DataFrame({"total_amount": [total], "balance": [balance]}, dtype=float)).iloc[0]
    return found["reward"], found["reward_condition"], found["reason"]


def test_the_example_of_the_case_is_the_default() -> None:
    assert one(ch.RewardRule(), 100_000, 99.99) == (1_000.0, 10_000.0, None)


@pytest.mark.parametrize(
    ("total", "balance", "reason"),
    [
        (100_000, 100, "balance_not_below"),
        (100_000, None, "balance_unknown"),
        (0, 0, "nothing_invested"),
        (-5, 0, "nothing_invested"),
        (0, 500, "nothing_invested"),
        (None, 0, "total_unknown"),
        (None, None, "total_unknown"),
        (np.inf, 0, "total_unknown"),
    ],
)
def test_who_gets_none_and_why(total: float | None, balance: float | None, reason: str) -> None:
    reward, condition, why = one(ch.RewardRule(), total, balance)
    assert np.isnan(reward)
    assert np.isnan(condition)
    assert why == reason
    assert reason in REASONS


def test_floor_raises_the_condition_with_the_reward_and_cap_does_not_lower_it() -> None:
    rule = ch.RewardRule(floor=20, cap=500)
    assert one(rule, 1_000, 0) == (20.0, 200.0, None)  # 10 raised to 20: twice the 100 that it would stand for
    assert one(rule, 2_000, 0) == (20.0, 200.0, None)
    assert one(rule, 1_000_000, 0) == (500.0, 100_000.0, None)


def test_amounts_keep_order_and_index_and_take_any_table() -> None:
    table = pd.DataFrame({"total_amount": [1e5, 0.0, 5e4], "balance": [0.0, 0.0, 1.0]}, index=[7, 3, 9])
    found = ch.RewardRule().amounts(table)
    assert found.index.tolist() == [7, 3, 9]
    assert found["reward"].tolist()[::2] == [1_000.0, 500.0]
    assert found["reason"].tolist() == [None, "nothing_invested", None]
    again = ch.RewardRule().amounts(pl.from_pandas(table))
    pd.testing.assert_frame_equal(again, found.reset_index(drop=True))
    assert len(ch.RewardRule().amounts(table.iloc[:0])) == 0
    with pytest.raises(SchemaError, match=r"total_amount.*missing"):
        ch.RewardRule().amounts(table[["balance"]])
    with pytest.raises(SchemaError, match="must hold amounts"):
        ch.RewardRule().amounts(table.assign(balance="much"))


def test_a_budget_is_never_exceeded_and_small_rewards_still_fit() -> None:
    rule = ch.RewardRule(budget=1.0)
    tenths = rule.amounts(pd.DataFrame({"total_amount": [10.0] * 12, "balance": 0.0}))  # 0.1 each
    kept = rule.within_budget(tenths)
    assert kept["reason"].tolist() == [None] * 10 + ["over_budget"] * 2
    assert rule.within_budget(tenths, spent=0.75)["reward"].notna().sum() == 2
    mixed = rule.amounts(pd.DataFrame({"total_amount": [90.0, 50.0, 10.0, -1.0], "balance": 0.0}))
    kept = rule.within_budget(mixed)
    assert kept["reason"].tolist() == [None, "over_budget", None, "nothing_invested"]
    assert kept.loc[1, ["reward", "reward_condition"]].isna().all()
    assert mixed["reason"].tolist() == [None, None, None, "nothing_invested"]  # the question changed nothing
    pd.testing.assert_frame_equal(ch.RewardRule().within_budget(mixed), mixed)


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"share": 0}, "share must be a finite number above 0"),
        ({"share": 0.2}, "larger than what has to be invested"),
        ({"reinvest": -1}, "reinvest must be"),
        ({"balance_below": "100"}, "balance_below must be"),
        ({"floor": np.nan}, "floor must be"),
        ({"cap": 0}, "cap must be"),
        ({"floor": 10, "cap": 5}, "below floor"),
        ({"within": 0}, "within must be"),
        ({"budget": np.inf}, "budget must be"),
        ({"share": True}, "share must be"),
    ],
)
def test_values_that_make_no_sense(parts: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        ch.RewardRule(**parts)


def test_plain_data_and_back() -> None:
    rule = ch.RewardRule(share=0.02, cap=50, within="14d")
    assert ch.RewardRule.from_plain(rule.to_plain()) == rule
    assert rule.to_plain() == {
        "share": 0.02, "reinvest": 0.1, "balance_below": 100.0, "floor": 0.0, "cap": 50.0, "within": 14,
    }  # fmt: skip
    with pytest.raises(InputError, match="Did you mean 'reinvest'"):
        ch.RewardRule.from_plain({"re_invest": 0.1})
    with pytest.raises(InputError, match="table of keys"):
        ch.RewardRule.from_plain([("share", 0.1)])  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------- forecasts


@cache  # a log is frozen, and has read its tables once
def small_log(text: bool = False, more: tuple[tuple[Any, ...], ...] = ()) -> ch.ActivityLog:
    """Nobody holds anything on day 40: a and b had invested 100,000, c 50,000, d nothing; a and d invest after it."""
    ids: list[Any] = list("abcd") if text else [1, 2, 3, 4]
    a, b, c, d = ids
    rows = [
        (a, "invest", 1e5, "2024-01-05"), (a, "redeem", 1e5, "2024-01-20"),
        (b, "invest", 1e5, "2024-01-06"), (b, "redeem", 1e5, "2024-01-20"),
        (c, "invest", 5e4, "2024-01-07"), (c, "redeem", 5e4, "2024-02-05"), (c, "login", None, "2024-02-05"),
        (a, "invest", 1e4, "2024-02-20"), (a, "redeem", 1e4, "2024-02-21"), (d, "invest", 3e4, "2024-02-22"),
        *more,
    ]  # fmt: skip
    events = pd.DataFrame(rows, columns=["user_id", "kind", "amount", "event_at"])
    users = pd.DataFrame({"user_id": ids, "registered_at": "2024-01-01", "worth": [4e3, 2e3, np.nan, 1.0]})
    return ch.ActivityLog(events, users, observed_from="2024-01-01", observed_until="2024-06-30")


@pytest.mark.parametrize("text", [False, True])
def test_a_forecast_worked_by_hand(text: bool) -> None:
    # Before is 2024-02-10: a and b are promised 1,000, c 500; a invests exactly the 10,000 asked for by 2024-03-11.
    found = ch.RewardRule().forecast(small_log(text), as_of="2024-03-11", margin=3_000)
    rows = found.table.set_index("state")
    assert rows["n_before"].tolist() == [3, 1, 2]  # on 2024-02-10 c is living: active on 2024-02-05
    assert rows["n_reinvested"].tolist() == [1, 0, 1]
    assert rows.loc["all", "base_share"] == pytest.approx(1 / 3)
    # Now a has 110,000 in total, b and c as before; d holds 30,000.
    assert rows.loc["all", "n_users"] == 3
    assert rows.loc["all", "promised"] == pytest.approx(1_100 + 1_000 + 500)
    assert rows.loc["all", "cost_anyway"] == pytest.approx(2_600 * 1_000 / 2_500)
    mean = 2_600 / 3
    assert rows.loc["all", "break_even"] == pytest.approx(1000 * mean * 0.4 / (3_000 - mean))
    assert rows.loc["all", "cost_lower"] <= rows.loc["all", "cost_anyway"] <= rows.loc["all", "cost_upper"] <= 2_600
    assert "more of 1,000" in repr(found)
    assert list(found.table.columns) == list(ch.schema("reward_forecast").names)
    assert '"reward_forecast"' in found.to_json()


def test_limits_are_wilsons_where_every_reward_is_the_same() -> None:
    # Two of three: 100,000 each, so that the share of money is the share of users.
    log = small_log(more=((3, "invest", 5e4, "2024-01-08"), (3, "redeem", 5e4, "2024-02-05")))
    row = ch.RewardRule().forecast(log, as_of="2024-03-11").table.iloc[0]
    n, p, z = 3, 1 / 3, 1.959963984540054
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    assert row["base_lower"] == pytest.approx((middle - half) / (1 + z * z / n), abs=1e-10)
    assert row["base_upper"] == pytest.approx((middle + half) / (1 + z * z / n), abs=1e-10)
    assert row["cost_upper"] >= row["promised"] * row["base_upper"] - 1e-9
    assert np.isnan(row["break_even"])


def test_nothing_after_the_day_changes_a_forecast() -> None:
    later = ((2, "invest", 9e5, "2024-03-12"), (4, "redeem", 3e4, "2024-03-12"))
    one, other = (small_log(more=more).as_of("2024-05-01") for more in ((), later))
    ours, theirs = (ch.RewardRule().forecast(log, as_of="2024-03-11", margin=500) for log in (one, other))
    pd.testing.assert_frame_equal(ours.table, theirs.table)


def test_margins_of_every_kind() -> None:
    log, rule = small_log(), ch.RewardRule()
    assert rule.forecast(log, as_of="2024-03-11", margin="worth").table.loc[0, "margin"] == 3_000
    table = pd.DataFrame({"user_id": [2, 1], "margin": [2_000.0, 4_000.0]})
    found = rule.forecast(log, as_of="2024-03-11", margin=table)
    assert found.table.loc[0, "margin"] == 3_000
    assert any("1 user without a margin" in note for note in found.notes)
    poor = rule.forecast(log, as_of="2024-03-11", margin=100)
    assert poor.table["break_even"].isna().all()
    assert "no lift pays" in poor.table["words"].iloc[0]
    for margin, what in (
        (-1, "at least 0"),
        (np.nan, "finite number"),
        ("wort", "Did you mean 'worth'"),
        (table.assign(margin=[-1.0, 2.0]), "at least 0"),
        (pd.concat([table, table]), "is there twice"),
        (table.assign(user_id=["x", "y"]), "no row is of a user"),
    ):
        with pytest.raises(InputError, match=what):
            rule.forecast(log, as_of="2024-03-11", margin=margin)


def test_nobody_meets_the_condition_or_the_log_is_too_short() -> None:
    rule = ch.RewardRule(balance_below=0)
    found = rule.forecast(small_log(), as_of="2024-03-11", margin=10)
    assert found.table["n_users"].tolist() == [0, 0, 0]
    assert found.table["words"].tolist()[0] == "no users meet the condition"
    with pytest.raises(InputError, match="followed for 30 days"):
        rule.forecast(small_log(), as_of="2024-01-20")
    with pytest.raises(InputError, match="outside the log"):
        rule.forecast(small_log(), as_of="2025-01-20")
    events = pd.DataFrame({"user_id": [1], "kind": ["login"], "event_at": ["2024-01-05"]})
    users = pd.DataFrame({"user_id": [1], "registered_at": ["2024-01-01"]})
    with pytest.raises(SchemaError, match="events with kind and amount"):
        rule.forecast(ch.ActivityLog(events, users, observed_until="2024-06-01"), as_of="2024-05-01")


def test_a_budget_bounds_what_is_promised_and_leaves_the_break_even_alone() -> None:
    free, bound = (ch.RewardRule(budget=b).forecast(small_log(), as_of="2024-03-11", margin=3e3) for b in (None, 1e3))
    assert bound.table.loc[0, "promised"] == 1_000
    assert bound.table.loc[0, "break_even"] == free.table.loc[0, "break_even"]


def test_a_forecast_equals_a_count_over_the_raw_tables() -> None:
    app = ch.simulate_app(200, seed=5)
    day, before = pd.Timestamp("2025-03-01"), pd.Timestamp("2025-01-30")
    rule = ch.RewardRule()
    row = rule.forecast(app.log, as_of=day.date()).table.iloc[0]
    events, balances = app.events, app.balances
    at = pd.to_datetime(events["event_at"]).dt.tz_localize(None).dt.normalize()
    paid = events[events["kind"] == "invest"].assign(at=at)
    held = balances.assign(date=pd.to_datetime(balances["date"])).sort_values("date", kind="stable")
    total, balance = (
        (paid[paid["at"] <= d].groupby("user_id")["amount"].sum(), held[held["date"] <= d].groupby("user_id").last())
        for d in (before, day)
    )
    ids = total[0][total[0] > 0].index
    eligible = [user for user in ids if total[1]["balance"].get(user, np.nan) < 100]
    more = paid[(paid["at"] > before) & (paid["at"] <= day)].groupby("user_id")["amount"].sum()
    enough = [user for user in eligible if round(more.get(user, 0.0), 6) >= round(0.1 * round(total[0][user], 6), 6)]
    assert (row["n_before"], row["n_reinvested"]) == (len(eligible), len(enough))
    now = [user for user in balance[0].index if balance[1]["balance"].get(user, np.nan) < 100]
    assert row["n_users"] == len(now)
    assert row["promised"] == pytest.approx(0.01 * balance[0][now].sum())
