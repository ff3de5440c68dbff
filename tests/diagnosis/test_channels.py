from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import churnsurv as ch
from churnsurv.data.user_days import user_days
from churnsurv.diagnosis.channels import channel_value
from churnsurv.diagnosis.rewards import ProgressiveReward
from churnsurv.tables import schema

USERS = {"a": ("2024-01-01", "x"), "b": ("2024-01-03", "x"), "c": ("2024-01-01", "y"), "d": ("2024-01-09", "y")}
EVENTS = [
    ("a", "2024-01-01", "invest", 100.0), ("a", "2024-01-04", "redeem", 40.0), ("a", "2024-01-04", "login", None),
    ("b", "2024-01-06", "invest", 10.0), ("b", "2024-01-06", "login", None), ("c", "2024-01-02", "login", None),
    ("d", "2024-01-10", "invest", 50.0),
]  # fmt: skip
COSTS = pd.DataFrame({"channel": ["x", "y"], "cost_per_user": [1.0, 2.0]})


def small(**settings: Any) -> ch.ActivityLog:
    users = pd.DataFrame(
        {
            "user_id": list(USERS),
            "registered_at": [v[0] for v in USERS.values()],
            "channel": [v[1] for v in USERS.values()],
        }
    )
    events = pd.DataFrame(EVENTS, columns=["user_id", "event_at", "kind", "amount"])
    return ch.ActivityLog(events, users, **{"observed_until": "2024-01-10", **settings})


@cache
def app() -> Any:
    return ch.simulate_app(900, seed=4)


def row(found: Any, channel: str) -> pd.Series:
    return found.table.set_index("channel").loc[channel]


def test_worked_by_hand() -> None:
    """Five days after registration: a, b and c were followed for 9, 7 and 9 days, d for one."""
    log = small()
    found = channel_value(log, COSTS, margin={"active_day": 1.0}, horizon=5, min_users=1)
    x, y = row(found, "x"), row(found, "y")
    # x: a is active on days 0 and 3, b on days 0 and 3. y: c on 0 and 1, d on 0 and 1, but d was followed to day 1.
    assert (x["active_days"], y["active_days"]) == (2, 2)
    assert (x["n_users"], x["n_followed"], y["n_users"], y["n_followed"]) == (2, 2, 2, 1)
    assert (x["margin"], x["value"], y["value"]) == (2, 1, 0)
    held = channel_value(log, COSTS, margin={"invested_day": 0.5}, horizon=5, min_users=1)
    # a holds 100 on the ends of days 0 to 2 and 60 on 3 to 5; b holds 10 on days 3 to 5: 480 and 30.
    assert row(held, "x")["margin"] == pytest.approx(0.5 * (480 + 30) / 2)
    # y: on day 0 nobody holds anything, on day 1 c 0 and d 50, from day 2 on only c is followed.
    assert row(held, "y")["margin"] == pytest.approx(0.5 * 50 / 2)
    both = channel_value(log, COSTS, margin={"invested_day": 0.5, "active_day": 1.0}, horizon=5, min_users=1)
    assert row(both, "x")["margin"] == pytest.approx(row(held, "x")["margin"] + 2)
    assert x["conversion"] == 1
    # d's follow-up ends on the day of its investment; c is there on it without.
    assert y["conversion"] == pytest.approx(0.5)


def test_days_of_users_as_the_log_has_them() -> None:
    days = user_days(small(), horizon=5, held=True)
    assert days.followed.tolist() == [9, 7, 9, 1]
    assert list(zip(days.active_user, days.active_day, strict=True)) == [
        (0, 0), (0, 3), (1, 0), (1, 3), (2, 0), (2, 1), (3, 0), (3, 1),
    ]  # fmt: skip
    assert days.invested[[0, 1, 3]].tolist() == [0, 3, 1]
    changes = [(u, d, h) for u, d, h in zip(days.held_user, days.held_day, days.held, strict=True) if h]
    assert changes == [(0, 0, 100), (0, 3, -40), (1, 3, 10), (3, 1, 50)]
    # Days of the rule: with logins alone a's investment on day 0 is its registration, and d's is none.
    logins = user_days(small(rule=ch.ChurnRule(activity=("login",))), horizon=5)
    assert list(zip(logins.active_user, logins.active_day, strict=True))[-1] == (3, 0)
    assert logins.held is None


def test_a_table_of_balances_counts_in_place_of_investments() -> None:
    balances = pd.DataFrame({"user_id": ["a", "a", "c"], "date": ["2024-01-02", "2024-01-05", "2024-01-03"],
                             "balance": [10.0, 0.0, 7.0]})  # fmt: skip
    found = channel_value(small(balances=balances), margin={"invested_day": 1.0}, horizon=5, min_users=1)
    assert row(found, "x")["margin"] == pytest.approx(10 * 3 / 2)
    assert row(found, "y")["margin"] == pytest.approx(7 * 4)


def test_figures_are_those_of_the_estimators_called_by_hand() -> None:
    log = app().log
    found = channel_value(log, horizon=120)
    spells = log.churn_spells()
    rmst = ch.rmst(spells, by="channel", horizon=120).table.set_index("group")
    days = user_days(log, horizon=120)
    table = spells.table.assign(
        first=np.where(np.isnan(days.invested), days.followed, days.invested), done=~np.isnan(days.invested)
    )
    curves = ch.kaplan_meier(table, by="channel", duration="first", event="done").at([120]).set_index("group")
    for channel in found.table["channel"]:
        mine = row(found, channel)
        stay = ["days_until_churn", "days_until_churn_lower", "days_until_churn_upper"]
        assert mine[stay].tolist() == pytest.approx(rmst.loc[channel, ["estimate", "lower", "upper"]].tolist())
        known = 1 - curves.loc[channel, ["survival", "upper", "lower"]]
        assert mine[["conversion", "conversion_lower", "conversion_upper"]].tolist() == pytest.approx(known.tolist())
    assert found.table["value"].isna().all()
    assert found.table["verdict"].isna().all()
    assert any("Without a margin" in note for note in found.notes)


def test_a_table_of_margins_counts_by_day() -> None:
    margins = pd.DataFrame(
        {
            "user_id": ["a", "a", "b", "c", "a", "z"],
            "date": ["2024-01-01", "2024-01-06", "2024-01-03", "2024-01-09", "2023-12-01", "2024-01-02"],
            "margin": [4.0, 2.0, -1.0, 50.0, 9.0, 9.0],
        }
    )
    found = channel_value(small(), COSTS, margin=margins, horizon=5, min_users=1)
    assert row(found, "x")["margin"] == pytest.approx(5 / 2)
    assert row(found, "y")["margin"] == 0
    assert any("1 row of users who did not register in the log is left out" in note for note in found.notes)
    assert any("1 row before registration or after the log is left out" in note for note in found.notes)
    shuffled = channel_value(small(), COSTS[::-1], margin=margins[::-1], horizon=5, min_users=1)
    pd.testing.assert_frame_equal(shuffled.table, found.table)


def test_costs_of_users_are_subtracted_user_by_user() -> None:
    costs = pd.DataFrame(
        {"user_id": ["a", "b", "c"], "date": ["2024-01-01", "2024-01-05", "2024-01-01"], "cost": [3.0, 1, 2]}
    )
    margins = pd.DataFrame({"user_id": ["a", "b"], "date": ["2024-01-01", "2024-01-05"], "margin": [4.0, 2.0]})
    found = channel_value(small(), costs, margin=margins, horizon=5, min_users=1)
    x = row(found, "x")
    assert (x["cost_per_user"], x["margin"], x["value"]) == (2, 3, 1)
    # Both users are worth exactly 1, though cost and margin vary: nothing is known of chance.
    assert np.isnan(x["value_lower"])
    assert x["verdict"] == "watch"
    assert x["margin_lower"] < 3 < x["margin_upper"]
    assert row(found, "y")["cost_per_user"] == pytest.approx(1)


def test_amounts_and_progressive_rewards_are_costs() -> None:
    amounts = pd.DataFrame({"channel": ["x", "x", "y"], "amount": [5.0, 3.0, 4.0], "date": "2024-01-01"})
    found = channel_value(small(), amounts, margin={"active_day": 1.0}, horizon=5, min_users=1)
    assert found.table["cost_per_user"].tolist() == [4, 2]
    # x registers on 1 and 3 January: 1 + 1; with amounts on top.
    both = channel_value(
        small(), amounts, margin={"active_day": 1.0}, rewards={"x": ProgressiveReward()}, horizon=5, min_users=1
    )
    assert both.table["cost_per_user"].tolist() == [5, 2]
    alone = channel_value(
        small(), margin={"active_day": 1.0}, rewards={"x": ProgressiveReward()}, horizon=5, min_users=1
    )
    assert row(alone, "x")["cost_per_user"] == 1
    assert np.isnan(row(alone, "y")["cost_per_user"])
    assert row(alone, "y")["verdict"] is None


def test_a_channel_without_costs_has_no_verdict_and_that_is_said() -> None:
    found = channel_value(app().log, COSTS.assign(channel=["organic", "tv"]), margin={"active_day": 1.0}, horizon=60)
    known = found.table.set_index("channel")["verdict"]
    assert known["organic"] == "keep"
    assert known.drop("organic").isna().all()
    assert any("No cost is known of 'advertising'" in note for note in found.notes)
    assert any("no user in the log has 'tv'" in note for note in found.notes)
    with pytest.raises(ch.InputError, match="Did you mean 'distribution'"):
        channel_value(app().log, COSTS.assign(channel=["organic", "distributon"]), horizon=60)


def test_verdicts_hold_for_all_channels_together() -> None:
    log = app().log
    plain = channel_value(log, margin={"active_day": 1.0}, horizon=60, keep=0).table
    costs = plain[["channel"]].assign(cost_per_user=plain["margin"] - np.array([3.0, -3.0, 0.0, 0.5, -0.5]))
    found = channel_value(log, costs, margin={"active_day": 1.0}, horizon=60).table
    assert found["value"].tolist() == pytest.approx([3.0, -3.0, 0.0, 0.5, -0.5])
    assert found["verdict"].iloc[:3].tolist() == ["keep", "drop", "watch"]
    assert found["sure"].iloc[:3].round(6).tolist() == [1, 0, 0.5]
    error = (found["value_upper"] - found["value_lower"]) / 2 / stats.norm.ppf(0.975)
    z = found["value"] / error
    assert found["sure"].tolist() == pytest.approx(stats.norm.cdf(z).tolist(), abs=1e-9)
    clear = multipletests(2 * stats.norm.sf(abs(z)), alpha=0.05, method="holm")[0]
    assert (found["verdict"] != "watch").tolist() == clear.tolist()
    higher = channel_value(log, costs, margin={"active_day": 1.0}, horizon=60, keep=100.0).table
    assert (higher["verdict"] == "drop").all()


def test_lately_registered_users_are_censored_not_failures() -> None:
    """The same users with half of the log cut off: figures stay, where raw shares would fall."""
    users = pd.DataFrame({"user_id": range(1200), "channel": "x"})
    start = np.arange(1200) % 100
    users["registered_at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(start, unit="D")
    rng = np.random.default_rng(0)
    user, day = np.nonzero(rng.random((1200, 41)) < 0.2)
    events = pd.DataFrame({"user_id": user, "event_at": users["registered_at"].to_numpy()[user]})
    events["event_at"] += pd.to_timedelta(day, unit="D")
    events["kind"] = np.where(rng.random(user.size) < 0.1, "invest", "login")
    full = ch.ActivityLog(events, users, observed_until=date(2024, 1, 1) + timedelta(days=140))
    cut = full.as_of("2024-03-10")
    whole, part = (channel_value(log, margin={"active_day": 1.0}, horizon=40).table.iloc[0] for log in (full, cut))
    assert part["n_followed"] < 0.6 * part["n_users"]
    for figure in ("active_days", "conversion", "days_until_churn"):
        assert part[f"{figure}_lower"] < whole[figure] < part[f"{figure}_upper"]
    assert part["active_days"] == pytest.approx(0.2 * 40 + 1, abs=0.3)


def test_a_channel_that_is_not_followed_so_far_has_no_figures() -> None:
    users, events = app().users, app().events
    late = pd.DataFrame({"user_id": range(5000, 5040), "registered_at": "2025-06-01", "channel": "new"})
    log = ch.ActivityLog(events, pd.concat([users.astype({"channel": str}), late]), observed_until="2025-06-23")
    found = channel_value(log, margin={"active_day": 1.0}, horizon=60)
    new = row(found, "new")
    assert new["n_users"] == 40
    assert new.drop(["n_users", "n_followed"]).isna().all()
    assert any("'new' is followed to day 22 only" in note for note in found.notes)
    with pytest.raises(ch.FollowUpError, match="Nobody was followed to day 5000"):
        channel_value(app().log, horizon=5000)


def test_small_channels_are_pooled_with_the_mean_of_their_costs() -> None:
    log = small()
    found = channel_value(log, COSTS, margin={"active_day": 1.0}, horizon=5, min_users=3)
    assert found.table["channel"].tolist() == ["other"]
    assert found.table["cost_per_user"].tolist() == [1.5]
    assert any("pooled as 'other'" in note for note in found.notes)
    lacking = channel_value(log, COSTS.iloc[:1], margin={"active_day": 1.0}, horizon=5, min_users=3)
    assert lacking.table["value"].isna().all()


def test_users_registered_before_the_log_are_left_out() -> None:
    found = channel_value(small(observed_from="2024-01-02"), horizon=1, min_users=1)
    assert found.n_users == 2
    assert any("2 users registered before the first day" in note for note in found.notes)


def test_events_without_kind_leave_conversion_null() -> None:
    events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-10"]})
    users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"], "channel": ["x"]})
    log = ch.ActivityLog(events, users, rule=ch.ChurnRule(activity=None))
    assert np.isnan(channel_value(log, horizon=5, min_users=1).table["conversion"].iloc[0])
    with pytest.raises(ch.InputError, match="'invested_day' needs balances"):
        channel_value(log, horizon=5, margin={"invested_day": 1.0})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"horizon": 0}, "horizon"),
        ({"min_users": 1.5}, "min_users"),
        ({"keep": float("nan")}, "keep"),
        ({"level": 95}, "level"),
        ({"by": "chanel"}, "Did you mean 'channel'"),
        ({"margin": 0.5}, "does not say of what"),
        ({"margin": {}}, "margin is empty"),
        ({"margin": {"active_days": 1.0}}, "Did you mean 'active_day'"),
        ({"margin": {"active_day": float("inf")}}, "finite"),
        ({"margin": pd.DataFrame({"user_id": ["a"], "date": ["x"], "margin": [1.0]})}, "'date' must be a day"),
        ({"margin": pd.DataFrame({"user_id": ["a"], "date": ["2024-01-01"], "margin": [np.nan]})}, "finite number"),
        ({"margin": pd.DataFrame({"user_id": ["a"], "margin": [1.0]})}, "'date' is missing"),
        ({"costs": COSTS.assign(cost_per_user=[-1.0, 2])}, "at least 0; 1 such row, first at row 0"),
        ({"costs": COSTS.assign(channel="x")}, "several rows"),
        ({"costs": COSTS[["channel"]]}, "'cost_per_user' is missing"),
        ({"costs": COSTS[["cost_per_user"]]}, "'channel' is missing"),
        ({"rewards": {"x": 3}}, "rewards maps channels"),
        ({"rewards": {"x": ProgressiveReward(referrer="who")}}, "'who' is missing"),
    ],
)
def test_arguments_that_cannot_be_used(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ch.InputError, match=said):
        channel_value(small(), **{"horizon": 5, "min_users": 1, **settings})


def test_it_is_a_result() -> None:
    found = channel_value(small(), COSTS, margin={"active_day": 1.0}, horizon=5, min_users=1)
    plain = json.loads(found.to_json())
    assert plain["schema"] == {"name": "channel_value", "version": 1}
    assert plain["facts"]["horizon"] == 5
    assert list(found.table.columns) == list(schema("channel_value").names)
    assert repr(found).startswith("<ChannelValue: 2 groups of channel, 4 users, 5 days: watch")
    assert "days until churn: advertising" in repr(channel_value(app().log, horizon=60))


# ----------------------------------------------------------------------------------- found by trying to break it


def test_where_the_last_to_wait_was_followed_too_shortly_there_is_no_conversion_and_that_is_said() -> None:
    """c, followed for nine days, invests; d registered late and did not: of day 5 to 9 nothing is known."""
    users = pd.DataFrame({"user_id": ["c", "d"], "registered_at": ["2024-01-01", "2024-01-06"], "channel": "y"})
    events = pd.DataFrame(
        {"user_id": ["c", "c"], "event_at": ["2024-01-02", "2024-01-09"], "kind": ["invest", "login"]}
    )
    log = ch.ActivityLog(events, users, rule=ch.ChurnRule(idle_days=4), observed_until="2024-01-10")
    found = channel_value(log, margin={"active_day": 1.0}, horizon=8, min_users=1)
    assert np.isnan(found.table["conversion"].iloc[0])
    assert any(
        "'y': no conversion by day 8. Of the users who had not invested nobody was followed beyond day 4." in note
        for note in found.notes
    )
    assert any("no mean days until churn within 8 days" in note for note in found.notes) == bool(
        np.isnan(found.table["days_until_churn"].iloc[0])
    )
    assert found.table["active_days"].iloc[0] == pytest.approx(1 + 1 / 2 + 0 + 0 + 0 + 0 + 0 + 0 + 1)
    everybody = channel_value(log, horizon=1, min_users=1).table
    assert everybody["conversion"].iloc[0] == 0.5


def test_a_channel_of_a_single_user_is_pooled_as_other_and_said() -> None:
    users = app().users.astype({"channel": str})
    users.loc[0, "channel"] = "one of a kind"
    log = ch.ActivityLog(app().events, users, observed_until=app().observed_until)
    costs = pd.DataFrame({"channel": ["organic", "one of a kind"], "cost_per_user": [0.0, 7.0]})
    found = channel_value(log, costs, margin={"active_day": 1.0}, horizon=60)
    assert found.table["channel"].iloc[-1] == "other"
    assert (found.table["n_users"].iloc[-1], found.table["cost_per_user"].iloc[-1]) == (1, 7.0)
    assert any("'one of a kind' (1 user)" in note and "pooled as 'other'" in note for note in found.notes)
    assert np.isnan(found.table["value_lower"].iloc[-1])
    assert found.table["verdict"].iloc[-1] == "watch"


def test_costs_of_users_leave_a_channel_without_any_unknown_and_that_is_said() -> None:
    costs = pd.DataFrame({"user_id": ["a"], "date": ["2024-01-01"], "cost": [3.0]})
    found = channel_value(small(), costs, margin={"active_day": 1.0}, horizon=5, min_users=1)
    assert row(found, "x")["cost_per_user"] == 1.5
    assert np.isnan(row(found, "y")["value"])
    assert row(found, "y")["verdict"] is None
    assert any("No cost is known of 'y': no value and no verdict for it." in note for note in found.notes)
    free = pd.concat([costs, pd.DataFrame({"user_id": ["c"], "date": ["2024-01-01"], "cost": [0.0]})])
    assert row(channel_value(small(), free, margin={"active_day": 1.0}, horizon=5, min_users=1), "y")["value"] == 2


def test_without_any_costs_there_is_a_margin_and_no_value_and_that_is_said() -> None:
    found = channel_value(small(), margin={"active_day": 1.0}, horizon=5, min_users=1)
    assert found.table["margin"].tolist() == [2, 2]
    assert found.table["value"].isna().all()
    assert any(note.startswith("Without costs there is no value") for note in found.notes)


def test_amounts_outside_the_log_are_no_cost_of_its_users() -> None:
    """As of 5 January d has not registered, and what was paid on the 9th is not known."""
    amounts = pd.DataFrame({"channel": ["x", "y", "y"], "amount": [4.0, 3.0, 5.0],
                            "date": ["2024-01-03", "2024-01-01", "2024-01-09"]})  # fmt: skip
    asked = {"margin": {"active_day": 1.0}, "horizon": 1, "min_users": 1}
    found = channel_value(small().as_of("2024-01-05"), amounts, **asked)
    assert found.table["cost_per_user"].tolist() == [2, 3]
    assert any("1 row is dated outside the log, 2024-01-01 to 2024-01-05, and left out" in n for n in found.notes)
    assert channel_value(small(), amounts, **asked).table["cost_per_user"].tolist() == [2, 4]


def test_times_of_margins_are_those_of_the_log_and_dates_stand() -> None:
    """At 22:00 UTC it is the next day in Shanghai, for the log and for margins alike."""
    users = pd.DataFrame({"user_id": ["a", "b"], "registered_at": ["2024-01-01 22:00", "2024-01-01"], "channel": "x"})
    events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-10 01:00"], "kind": ["login"]})
    log = ch.ActivityLog(events, users, time_zone="Asia/Shanghai", observed_until="2024-01-10")
    for date_of_a in ("2024-01-01 22:00", pd.Timestamp("2024-01-01 22:00", tz="UTC"), date(2024, 1, 2), "2024-01-02"):
        margins = pd.DataFrame({"user_id": ["a"], "date": [date_of_a], "margin": [6.0]})
        found = channel_value(log, margin=margins, horizon=1, min_users=1)
        assert found.table["margin"].iloc[0] == 3
        assert not any("left out" in note for note in found.notes)
    mixed = ["2024-01-01 22:00+00:00", "2024-01-01 22:00", "2024-01-02T07:00:00+09:00", "2024-01-01T22:00Z"]
    for dates in (mixed, mixed[::-1], [pd.Timestamp(each) for each in mixed]):
        margins = pd.DataFrame({"user_id": "a", "date": dates, "margin": 1.0})
        found = channel_value(log, margin=margins, horizon=1, min_users=1)
        assert found.table["margin"].iloc[0] == 2
        assert not any("left out" in note for note in found.notes)


def test_amounts_of_money_may_be_decimals(tmp_path: Path) -> None:
    money = pa.array([Decimal("5.50"), Decimal("3.00")], pa.decimal128(12, 2))
    table = pa.table({"channel": ["x", "y"], "amount": money})
    pq.write_table(table, tmp_path / "costs.parquet")
    for costs in (table, table.to_pandas(), str(tmp_path / "costs.parquet")):
        assert channel_value(small(), costs, horizon=5, min_users=1).table["cost_per_user"].tolist() == [2.75, 1.5]


def test_negative_amounts_of_investments_are_said_where_they_count() -> None:
    events = pd.DataFrame(EVENTS, columns=["user_id", "event_at", "kind", "amount"])
    users = pd.DataFrame({"user_id": list(USERS), "registered_at": [v[0] for v in USERS.values()], "channel": "x"})
    log = ch.ActivityLog(events.assign(amount=-events["amount"]), users, observed_until="2024-01-10")
    held = channel_value(log, margin={"invested_day": 1.0}, horizon=5, min_users=1)
    assert any(note.startswith("4 investments and redemptions have a negative amount") for note in held.notes)
    assert held.table["margin"].iloc[0] < 0
    days = channel_value(log, margin={"active_day": 1.0}, horizon=5, min_users=1)
    assert not any("negative amount" in note for note in days.notes)


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ({"user_id": ["a"], "date": ["2024-01-01"], "cost": [-1.0]}, "'cost' must be a number of at least 0"),
        ({"user_id": [1], "date": ["2024-01-01"], "cost": [1.0]}, "no row is of a user who registered in the log"),
        ({"user_id": ["a"], "date": [20240101], "cost": [1.0]}, "'date' must be a day"),
        ({"channel": ["x"], "amount": [-2.0]}, "'amount' must be a number of at least 0"),
        ({"channel": ["x"], "amount": [2.0], "date": ["soon"]}, "'date' must be a day"),
        ({"channel": ["x"], "cost_per_user": [np.nan]}, "'cost_per_user' must be a number of at least 0"),
    ],
)
def test_costs_that_cannot_be_used_are_named(costs: dict[str, Any], said: str) -> None:
    with pytest.raises(ch.InputError, match=said):
        channel_value(small(), pd.DataFrame(costs), margin={"active_day": 1.0}, horizon=5, min_users=1)
