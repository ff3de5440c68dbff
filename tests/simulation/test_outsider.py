"""The truth as an outsider works it out, from the public tables and the stated parameters alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma

from churnsurv.simulation import PROBLEMS, Arm, Campaign, Shock, SimulatedApp, simulate_app

DAY = pd.Timedelta(days=1)
SETTINGS: dict[str, Any] = {
    "campaigns": [
        Campaign("soon", (9, 16), date(2023, 6, 1), date(2024, 12, 31), arms=(Arm("none", 0.3), Arm("call", 0.7, 0.3))),
        Campaign("late", (31, 40), date(2023, 1, 1), date(2025, 6, 29)),
    ],
    "shocks": [
        Shock(date(2023, 3, 1), date(2023, 6, 30), 8.0),
        Shock(date(2023, 5, 1), date(2024, 5, 31), 3.0, reason="rigid", channels=("organic", "invitation")),
    ],
    "problems": PROBLEMS,
}


@dataclass
class Day:
    """What the log shows of an active day of a user."""

    day: pd.Timestamp
    n_before: int
    balance_before: float
    invested: bool
    balance: float
    problems: set[str] = field(default_factory=set)


def days_of(user: Any, events: pd.DataFrame) -> list[Day]:
    registered = user.registered_at.normalize()
    found, n, balance = [], 0, 0.0
    dates = sorted({registered, *events["event_at"].dt.normalize()})
    for day in dates:
        mine = events[events["event_at"].dt.normalize() == day]
        moves = {kind: mine.loc[mine["kind"] == kind, "amount"].sum() for kind in ("invest", "redeem")}
        before, balance = balance, round(balance + moves["invest"] - moves["redeem"], 2)
        invests = int((mine["kind"] == "invest").sum())
        problems = set(mine["kind"]) - {"login", "invest", "redeem"}
        found.append(Day(day, n, before, invests > 0, balance, problems))
        n += invests
    return found


def leaving(p: dict[str, Any], user: Any, day: Day, first: bool) -> float:
    channel = next(each for each in p["channels"] if each["name"] == user.channel)
    stage = "at_registration" if first else "while_new" if day.n_before <= 2 else "later"
    shares = p["reasons"]["later" if stage == "later" else "new"]
    holiday = p["holiday"][0] <= user.registered_at.date() <= p["holiday"][1]
    factor = p["campaign_factor"] if user.campaign == "spring" else p["holiday_factor"] if holiday else 1.0
    total = 0.0
    for reason, share in zip(("rigid", "frustrated", "policy", "natural"), shares, strict=True):
        rate = -np.log(1 - channel[stage]) * factor * share
        for shock in p["shocks"]:
            concerned = shock["channels"] is None or user.channel in shock["channels"]
            if concerned and shock["reason"] == reason and shock["first"] <= day.day.date() <= shock["last"]:
                rate *= shock["factor"]
        for problem in p["problems"]:
            rate *= problem["factor"] if reason == "frustrated" and problem["kind"] in day.problems else 1.0
        total += rate
    return 1 - np.exp(-total)


def of_day(p: dict[str, Any], user: Any, day: Day, first: bool, left: bool) -> float:
    """P(what was done with money | left or not)."""
    channel = next(each for each in p["channels"] if each["name"] == user.channel)
    invests = channel["invests"] * (p["first_day_invests"] if first else 1.0) * (p["leaver_invests"] if left else 1.0)
    if day.invested:
        return invests
    drains = p["leaver_drains"] if left else p["stayer_drains"]
    if day.balance_before < 100:
        return 1 - invests
    return (1 - invests) * (drains if day.balance < 100 else 1 - drains)


def contacts_of(
    p: dict[str, Any], mine: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp
) -> list[tuple[int, float]]:
    """Idle day and chance of an answer of each contact within a gap."""

    def curve(d: int) -> float:
        return p["floor"] + (1 - p["floor"]) / (1 + np.exp((d - p["falls_at"]) / p["falls_over"]))

    found = []
    for row in mine[(mine["assigned_at"] > start) & (mine["assigned_at"] < end)].itertuples():
        campaign = next(each for each in p["campaigns"] if each["name"] == row.campaign)
        arms = {arm["name"]: arm for arm in campaign["arms"]}
        for at, arm in ((row.assigned_at, row.arm), (row.second_contact_at, arms[row.arm]["then"])):
            if not pd.isna(at):
                d = (at - start).days
                found.append((d, arms[arm]["saves"] * curve(d) / curve(0)))
    return found


def of_gap(p: dict[str, Any], length: int, said: bool, contacts: list[tuple[int, float]]) -> tuple[np.ndarray, float]:
    """P(gap of this length and what was said in it) for each living type, and for the departed."""
    scale = np.array(p["gap_means"]) / 3
    living = np.zeros(scale.size) if said else gamma.sf(length - 1, 3, scale=scale) - gamma.sf(length, 3, scale=scale)

    def longer(days: int) -> float:
        chance = (1 - p["return_hazard"]) ** days
        for d, answers in contacts:
            chance *= 1 - answers * sum(p["answers"][: max(days - d, 0)])
        return chance

    asked = np.mean([day < length for day in range(p["survey_days"][0], p["survey_days"][1] + 1)])
    survey = p["surveyed"] if said else 1 - p["surveyed"] * asked
    return living, (longer(length - 1) - longer(length)) * survey


def worked_out(app: SimulatedApp) -> tuple[pd.DataFrame, np.ndarray]:
    """`left_probability, type_1 ..., contacted` of every gap, and P(gap > d) for d = 0 ... 30."""
    p = dict(app.truth.parameters)
    scale, days = np.array(p["gap_means"]) / 3, np.arange(31)
    living = gamma.sf(days[:, None], 3, scale=scale)
    events, campaigns, feedback = (table.groupby("user_id") for table in (app.events, app.campaigns, app.feedback))
    rows, survival = [], []
    for user in app.users.itertuples():
        of_user = [table.get_group(user.user_id) if user.user_id in table.groups else table.head(0)
                   for table in (events, campaigns, feedback)]  # fmt: skip
        weights = np.array(p["gap_shares"])
        active = days_of(user, of_user[0])
        ends = [day.day for day in active[1:]] + [pd.Timestamp(app.observed_until) + DAY]
        for number, (day, end) in enumerate(zip(active, ends, strict=True)):
            q, first = leaving(p, user, day, number == 0), number == 0
            stay = (1 - q) * of_day(p, user, day, first, False) * weights
            gone = q * of_day(p, user, day, first, True) * weights
            total = stay.sum() + gone.sum()
            contacts = contacts_of(p, of_user[1], day.day, end)
            rows.append((gone.sum() / total, *weights, any(chance > 0 for _, chance in contacts)))
            survival.append((living @ stay + gone.sum() * (1 - p["return_hazard"]) ** days) / total)
            said = of_user[2]["date"].between(day.day + DAY, end - DAY).any()
            of_living, of_departed = of_gap(p, (end - day.day).days, bool(said), contacts)
            weights = stay * of_living + gone * of_departed
            weights = weights / weights.sum()
    names = ["left_probability", *(f"type_{k + 1}" for k in range(scale.size)), "contacted"]
    return pd.DataFrame(rows, columns=names), np.array(survival)


@pytest.mark.parametrize("scenario", ["steady", "drift"])
def test_the_truth_follows_from_the_logs(scenario: str) -> None:
    app = simulate_app(60, seed=31, scenario=scenario, **SETTINGS)
    gaps = app.truth.gaps
    expected, survival = worked_out(app)
    assert len(expected) == len(gaps) > 500
    assert 20 < gaps["contacted"].sum() < len(gaps) / 2
    assert len(app.feedback) > 5
    assert gaps["contacted"].tolist() == expected["contacted"].tolist()
    for column in expected.columns.drop("contacted"):
        np.testing.assert_allclose(gaps[column], expected[column], rtol=1e-9, atol=1e-13, err_msg=column)
    np.testing.assert_allclose(app.truth.gap_survival(), survival, rtol=1e-9)


def test_a_contact_changes_nothing_but_what_follows_it(app: SimulatedApp) -> None:
    """The same users without campaigns: alike up to the first contact, which ends a gap sooner or not at all."""
    few = simulate_app(3_000, seed=app.seed)
    alone = simulate_app(3_000, seed=app.seed, campaigns=())
    gaps, others = few.truth.gaps, alone.truth.gaps
    assert not others["contacted"].any()
    before = gaps[gaps.groupby("user_id")["contacted"].cumsum() == 0]
    twins = before[["user_id", "gap"]].merge(others, on=["user_id", "gap"], validate="one_to_one")
    pd.testing.assert_frame_equal(before.reset_index(drop=True), twins[before.columns.tolist()])
    contacted = gaps[gaps["contacted"]].drop_duplicates("user_id")
    twins = contacted[["user_id", "gap"]].merge(others, on=["user_id", "gap"], how="left", validate="one_to_one")
    assert len(contacted) > 500
    shorter = (contacted["duration"].to_numpy() < twins["duration"].to_numpy()) | (
        contacted["returned"].to_numpy() & ~twins["returned"].to_numpy()
    )
    assert (contacted["duration"].to_numpy() <= twins["duration"].to_numpy()).all()
    assert shorter.sum() > 30
    assert contacted["left"].to_numpy()[shorter].all()
    never = ~few.users["user_id"].isin(contacted["user_id"])
    ids = few.users.loc[never, "user_id"]
    for table in ("events", "balances", "feedback"):
        mine, theirs = (getattr(each, table) for each in (few, alone))
        pd.testing.assert_frame_equal(
            mine[mine["user_id"].isin(ids)].reset_index(drop=True),
            theirs[theirs["user_id"].isin(ids)].reset_index(drop=True),
        )
