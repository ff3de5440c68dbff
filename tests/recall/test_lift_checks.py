"""Checks before the answer: quiet where arms were drawn at random, loud where they were not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog
from churnsurv.data.assigned import CampaignRows, campaign_rows
from churnsurv.errors import InputError
from churnsurv.recall.lift_checks import balance, checks
from churnsurv.recall.observational import observational_lift
from churnsurv.tables import schema

N = 1_200


def made(
    *,
    seed: int = 1,
    share: Any = 0.5,
    effect: float = 0.1,
    change: Any = None,
    horizon: int = 14,
    log_days: int = 100,
    campaigns: Any = ("spring",),
    **settings: Any,
) -> CampaignRows:
    """Users silent for a while, assigned over four weeks; `share` is of the control, `change` edits the table."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2024-01-01")
    users = pd.DataFrame({"user_id": range(N), "registered_at": start + rng.integers(0, 20, N)})
    parts, events = [], [pd.DataFrame({"user_id": range(N), "event_at": start + rng.integers(20, 50, N)})]
    for campaign in campaigns:
        day = rng.integers(0, 28, N)
        held = rng.random(N) < (share(day) if callable(share) else share)
        at = start + 60 + day
        sent = pd.DataFrame({"user_id": range(N), "campaign": campaign, "assigned_at": at})
        sent["arm"] = np.where(held, "holdout", "sms")
        back = rng.random(N) < 0.3 + effect * ~held
        when = at + rng.integers(0, horizon, N)
        events.append(pd.DataFrame({"user_id": np.flatnonzero(back), "event_at": when[back]}))
        parts.append(sent)
    table = pd.concat(parts, ignore_index=True)
    table = table if change is None else change(table, rng, pd.concat(events))
    log = ActivityLog(pd.concat(events).assign(kind="login"), users, observed_until=str(start + log_days))
    return campaign_rows(log, table, horizon=horizon, **settings)


def found(rows: CampaignRows, check: str, **more: Any) -> pd.Series:
    table = checks(rows, control="holdout", **more)
    mine = table[table["check"] == check]
    assert len(mine), f"{check} was not looked at"
    return mine.iloc[0]


@pytest.fixture(scope="module")
def fair() -> CampaignRows:
    return made()


def test_a_campaign_drawn_at_random_is_fine(fair: CampaignRows) -> None:
    table = checks(fair, control="holdout", shares={"holdout": 1, "sms": 1})
    assert list(table.columns) == list(schema("lift_checks").names)
    assert table["check"].tolist() == ["sample ratio", "share over time", "follow-up", "balance", "A/A before"]
    assert set(table["verdict"]) == {"fine"}
    assert (table["p_value"] > 0.01).all()
    assert set(table["campaign"]) == {"spring"}


def test_the_counts_are_those_of_the_rows(fair: CampaignRows) -> None:
    ratio = found(fair, "sample ratio", shares={"holdout": 1, "sms": 1})
    held = int((fair.arm == 0).sum())
    assert (ratio["n"], ratio["expected"], ratio["arm"]) == (held, N / 2, "holdout")
    np.testing.assert_allclose(ratio["statistic"], (2 * held - N) ** 2 / N, rtol=1e-12)
    without = found(fair, "sample ratio")
    assert np.isnan(without["p_value"])
    assert f"holdout {held:,}" in without["words"]
    assert "shares=" in without["words"]


def test_balance_is_that_of_the_means(fair: CampaignRows) -> None:
    table = balance(fair, control="holdout").set_index("variable")
    assert list(balance(fair, control="holdout").columns) == list(schema("lift_balance").names)
    for name in fair.pre:
        x = fair.pre[name]
        row = table.loc[name]
        np.testing.assert_allclose(
            [row["arm_mean"], row["control_mean"]], [x[fair.arm == 1].mean(), x[fair.arm == 0].mean()]
        )
        gap = 0.0 if x.std() == 0 else (x[fair.arm == 1].mean() - x[fair.arm == 0].mean()) / x.std()
        np.testing.assert_allclose(row["difference"], gap, atol=1e-12)


# ------------------------------------------------------------------------------------------------ what is broken


def test_users_lost_from_an_arm() -> None:
    def lose(sent: pd.DataFrame, rng: Any, events: Any) -> pd.DataFrame:
        return sent[(sent["arm"] == "holdout") | (rng.random(len(sent)) < 0.8)]

    rows = made(change=lose)
    ratio = found(rows, "sample ratio", shares={"holdout": 0.5, "sms": 0.5})
    assert ratio["verdict"] == "broken"
    assert "chance does not do that" in ratio["words"]


def test_propensities_that_are_not_those_of_the_draw() -> None:
    rows = made(share=0.2)
    for stated, told in ((0.2, "fine"), (0.3, "broken")):
        given = replace(rows, propensity=np.where(rows.arm == 0, stated, 1 - stated))
        table = checks(given, control="holdout")
        assert table[table["check"] == "sample ratio"]["verdict"].tolist() == [told, told]


def test_rows_left_out_of_one_arm_more_than_of_the_other() -> None:
    def damage(sent: pd.DataFrame, rng: Any, events: Any) -> pd.DataFrame:
        sent = sent.assign(user_id=sent["user_id"].astype(object))
        bad = (rng.random(len(sent)) < 0.1) & (sent["arm"] == "sms")
        return sent.assign(assigned_at=sent["assigned_at"].astype(str).mask(bad, "soon"))

    lost = found(made(change=damage), "left out")
    assert lost["verdict"] == "broken"
    assert "holdout 0.0%" in lost["words"]


def test_a_share_that_ramps_up_asks_for_strata() -> None:
    def ramp(day: Any) -> Any:
        return np.where(day < 14, 0.8, 0.2)

    rows = made(share=ramp, log_days=80)
    over_time = found(rows, "share over time")
    assert (over_time["verdict"], "strata=" in over_time["words"]) == ("look", True)
    assert over_time["n"] > 0.7
    assert over_time["expected"] < 0.3
    follow_up = found(rows, "follow-up")
    assert follow_up["verdict"] == "look"
    assert follow_up["n"] < follow_up["expected"]
    assert follow_up["p_value"] < 1e-6

    def by_fortnight(sent: pd.DataFrame, rng: Any, events: Any) -> pd.DataFrame:
        return sent.assign(stratum=np.where(sent["assigned_at"] < np.datetime64("2024-03-15"), "early", "late"))

    stratified = made(share=ramp, change=by_fortnight)
    table = checks(stratified, control="holdout")
    assert set(table["verdict"]) == {"fine"}


def test_arms_chosen_by_what_users_had_done() -> None:
    """The voucher goes to those who were active last; silence before differs, and nothing else does."""

    def choose(sent: pd.DataFrame, rng: Any, events: pd.DataFrame) -> pd.DataFrame:
        last = events.groupby("user_id")["event_at"].min().reindex(sent["user_id"]).to_numpy()
        warm = last > np.sort(last)[int(0.7 * len(last))]
        return sent.assign(arm=np.where(warm | (rng.random(len(sent)) < 0.2), "sms", "holdout"))

    rows = made(change=choose)
    joint = found(rows, "balance")
    assert joint["verdict"] == "broken"
    assert "pre_idle_days" in joint["words"]
    assert "observational" in joint["words"]
    assert found(rows, "A/A before")["verdict"] == "broken"


def test_control_users_who_were_contacted(fair: CampaignRows) -> None:
    held = fair.arm == 0
    for every, told in ((0, "fine"), (50, "look"), (5, "broken")):
        got = ~held | ((np.arange(N) % every == 0) if every else False)
        given = replace(fair, delivered=got.astype(np.int64), given=fair.given | {"delivered_at"})
        check = found(given, "contamination")
        assert check["verdict"] == told
        assert (check["n"], check["expected"]) == ((got & held).sum(), 0)
    assert "exposure='delivered'" in check["words"]


def late_messages(lag: int, *, only_silent: bool) -> Any:
    """Messages come `lag` days after the assignment; an arm of those still silent then is one of immortals."""

    def change(sent: pd.DataFrame, rng: Any, events: pd.DataFrame) -> pd.DataFrame:
        back = events.sort_values("event_at").groupby("user_id")["event_at"].max().reindex(sent["user_id"]).to_numpy()
        at = sent["assigned_at"].to_numpy()
        early = (back >= at) & (back < at + np.timedelta64(lag, "D"))
        arm = (
            np.where(early & (sent["arm"] == "sms"), "holdout", sent["arm"]) if only_silent else sent["arm"].to_numpy()
        )
        delivered = pd.Series(at + np.timedelta64(lag, "D")).where(pd.Series(arm == "sms"))
        return sent.assign(arm=arm, delivered_at=delivered.to_numpy())

    return change


def test_immortal_time_is_refused_with_an_explanation() -> None:
    rows = made(effect=0.0, change=late_messages(7, only_silent=True))
    with pytest.raises(InputError, match=r"0 users of 'sms' returned; .*immortal time.*assigned_at"):
        checks(rows, control="holdout")


def test_users_without_a_message_do_not_hide_immortal_time() -> None:
    """One of the arm, or a fifth of it, was not reached; among those who were, nobody returned before."""
    rows = made(effect=0.0, change=late_messages(7, only_silent=True))
    arm = np.flatnonzero(rows.arm == 1)
    for lost in (arm[:1], arm[::5]):
        delivered = rows.delivered.copy()
        delivered[lost] = 0
        with pytest.raises(InputError, match=r"0 users of 'sms' returned; .*immortal time"):
            checks(replace(rows, delivered=delivered), control="holdout")


def test_messages_called_off_for_those_who_returned_are_fine() -> None:
    """Drawn on day 1, messages between days 2 and 12, and none for those who have returned by then."""
    rows = made(effect=0.0)
    planned = np.random.default_rng(3).integers(2, 13, N)
    called_off = rows.returned & (rows.time < planned)
    got = np.where((rows.arm == 1) & ~called_off & (np.arange(N) % 10 > 0), planned, 0)
    given = replace(rows, delivered=got, given=rows.given | {"delivered_at"})
    check = found(given, "immortal time")
    assert check["verdict"] == "fine"
    # by hand: who got none counts up to the last message, and with the control's mean over the messages that were sent
    held, arm = rows.arm == 0, rows.arm == 1
    assert check["n"] == (rows.returned & arm & (rows.time < np.where(got > 0, got, 12))).sum()
    share = np.array([(rows.returned & held & (rows.time < day)).sum() / held.sum() for day in range(13)])
    sent = got[arm & (got > 0)]
    expected = share[sent].sum() + (arm & (got == 0)).sum() * share[sent].mean()
    assert rows.followed.min() >= 14
    assert check["expected"] == pytest.approx(expected, rel=1e-12)


def test_arms_that_nobody_drew_are_looked_at_too() -> None:
    rows = made(effect=0.0, change=late_messages(7, only_silent=True))
    settings = {"control": "holdout", "sums": {}, "outcomes": ("return_probability",), "covariates": ["tenure"]}
    settings |= {"adjust": "holm", "level": 0.95}
    with pytest.raises(InputError, match=r"immortal time.*meant for on the day of assignment"):
        observational_lift(rows, **settings)
    held = rows.arm == 0
    late = np.where(held, np.where(np.arange(N) % 5 == 0, 1, 0), 1)
    table = observational_lift(replace(rows, delivered=late), **settings).checks.set_index("check")
    assert table.loc["contamination", "verdict"] == "broken"
    assert table.loc["contamination", "n"] == (late & held).sum()
    assert "exposure" not in table.loc["contamination", "words"]
    # a third of the pace of the control may be what the arm was chosen by, and is only looked at
    drawn = made(effect=0.0, change=late_messages(7, only_silent=False))
    early = np.flatnonzero((drawn.arm == 1) & drawn.returned & (drawn.time < 8))
    late = np.delete(early, np.s_[::3])
    returned, time = drawn.returned.copy(), drawn.time.copy()
    returned[late], time[late] = False, drawn.horizon
    slower = replace(drawn, returned=returned, time=time)
    check = observational_lift(slower, **settings).checks.set_index("check").loc["immortal time"]
    assert (check["arm"], check["verdict"]) == ("sms", "look")
    assert check["p_value"] < 1e-6
    with pytest.raises(InputError, match="immortal time"):
        checks(slower, control="holdout")


def test_messages_that_come_late_to_all_are_fine() -> None:
    check = found(made(effect=0.0, change=late_messages(7, only_silent=False)), "immortal time")
    assert check["verdict"] == "fine"
    assert abs(check["n"] - check["expected"]) < 4 * np.sqrt(check["expected"])


def test_users_in_several_campaigns() -> None:
    rows = made(campaigns=("spring", "tulips"))
    overlap = found(rows, "overlaps")
    day = {name: rows.only(name).assigned_day for name in rows.campaigns}
    expected = int((np.abs((day["spring"] - day["tulips"]).astype(int)) < rows.horizon).sum())
    assert (overlap["n"], overlap["verdict"]) == (expected, "look")
    assert overlap["p_value"] > 0.01
    # all users are in both, in the same order: the arm of the one campaign is given to the other
    together = replace(rows, arm=np.tile(rows.arm[rows.campaign == 0], 2))
    mixed = found(together, "overlaps")
    assert (mixed["verdict"], "go together" in mixed["words"]) == ("broken", True)


def test_whole_clusters_count_as_one() -> None:
    """Households of four drawn together: users are no independent draws, households are."""

    def households(sent: pd.DataFrame, rng: Any, events: Any) -> pd.DataFrame:
        home = sent["user_id"].to_numpy() // 4
        held = np.random.default_rng(5).random(N // 4) < 0.5
        return sent.assign(cluster=home, arm=np.where(held[home], "holdout", "sms"))

    rows = made(change=households)
    ratio = found(rows, "sample ratio", shares={"holdout": 0.5, "sms": 0.5})
    assert ratio["expected"] == N / 8
    assert "clusters" in ratio["words"]
    apart = replace(rows, cluster=rows.user)
    ratio = found(apart, "sample ratio", shares={"holdout": 0.5, "sms": 0.5})
    assert ratio["expected"] == N / 2


# ------------------------------------------------------------------------------------------------------ bad input


def test_arguments_that_name_no_arm(fair: CampaignRows) -> None:
    with pytest.raises(InputError, match=r"no arm 'holdouts'.*Did you mean 'holdout'"):
        checks(fair, control="holdouts")
    with pytest.raises(InputError, match="no arm 'none'"):
        balance(fair, control="none")
    with pytest.raises(InputError, match="'sms' of campaign 'spring' is not among them"):
        checks(fair, control="holdout", shares={"holdout": 1})
    with pytest.raises(InputError, match="numbers above 0"):
        checks(fair, control="holdout", shares={"holdout": 0, "sms": 1})
