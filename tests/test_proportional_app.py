"""The proportional app is what its law says; Cox recovers its hazard ratios, and behaviour tells nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from tests.proportional_app import (
    CAMPAIGN_WEEK,
    CHANNELS,
    FIRST_DAY,
    FORMULA,
    HAZARD_RATIOS,
    IDLE_DAYS,
    LAST_DAY,
    REFERENCE,
    RETURN_SHARE,
    WINDOW_DAYS,
    ProportionalApp,
    proportional_app,
    true_survival,
)


@pytest.fixture(scope="module")
def app() -> ProportionalApp:
    return proportional_app(20_000, seed=11)


def days(times: pd.Series) -> np.ndarray:
    return (times.dt.normalize() - pd.Timestamp(FIRST_DAY)).dt.days.to_numpy()


def active_days(app: ProportionalApp) -> pd.DataFrame:
    """Distinct active days of each user, registration among them, with the gap to the next one."""
    events, users = app.events, app.users
    active = events[events["kind"].isin(["login", "invest"])]
    table = pd.concat(
        [
            pd.DataFrame({"user_id": active["user_id"], "day": days(active["event_at"])}),
            pd.DataFrame({"user_id": users["user_id"], "day": days(users["registered_at"])}),
        ]
    )
    table = table.drop_duplicates().sort_values(["user_id", "day"])
    return table.assign(gap=table.groupby("user_id")["day"].shift(-1) - table["day"])


def first_spells(app: ProportionalApp) -> pd.DataFrame:
    """Duration and churn of first spells, found without the package."""
    table = active_days(app)
    ends = table[table["gap"].isna() | (table["gap"] > IDLE_DAYS)].drop_duplicates("user_id").set_index("user_id")
    users = app.users.set_index("user_id")
    origin = pd.Series(days(users["registered_at"]), index=users.index)
    last = ends["day"].reindex(users.index)
    churned = last + IDLE_DAYS <= WINDOW_DAYS - 1
    end = np.where(churned, last + IDLE_DAYS, WINDOW_DAYS - 1)
    return users.assign(duration=end - origin, churned=churned)


def test_the_window_is_what_it_says(app: ProportionalApp) -> None:
    assert (LAST_DAY - FIRST_DAY).days + 1 == WINDOW_DAYS
    times = pd.concat([app.events["event_at"], app.users["registered_at"]])
    assert days(times).min() >= 0
    assert days(times).max() <= WINDOW_DAYS - 1


def test_no_event_comes_before_its_registration(app: ProportionalApp) -> None:
    both = app.events.merge(app.users, on="user_id", validate="many_to_one")
    assert len(both) == len(app.events)
    assert (both["event_at"] > both["registered_at"]).all()


def test_nobody_churns_before_day_31_and_no_day_takes_a_large_part(app: ProportionalApp) -> None:
    spells = first_spells(app)
    churned = spells.loc[spells["churned"], "duration"]
    assert churned.min() == IDLE_DAYS + 1
    assert churned.value_counts().max() < 0.1 * len(spells)


def test_survival_is_the_stated_law(app: ProportionalApp) -> None:
    spells = first_spells(app)
    followed = WINDOW_DAYS - 1 - days(app.users["registered_at"])
    for time in (31, 45, 90, 150):
        assert (followed >= time).all()
        truth = pd.Series({channel: true_survival(channel, time) for channel in CHANNELS})
        seen = (spells["duration"] > time).groupby(spells["channel"]).mean()
        error = np.sqrt(truth * (1 - truth) / spells["channel"].value_counts())
        z = (seen - truth) / error
        assert z.abs().max() < 4, (time, z)


def test_returns_come_after_more_than_30_idle_days_and_as_often_as_stated(app: ProportionalApp) -> None:
    table = active_days(app)
    after = table[table["gap"] > IDLE_DAYS]
    assert len(after) > 1_000
    # Those who left early are followed over a year: nearly all returns are seen.
    last = table.groupby("user_id")["day"].transform("max")
    early = table[(table["gap"] > IDLE_DAYS) | table["day"].eq(last)]
    early = early[early["day"] < 100].drop_duplicates("user_id")
    share = early["gap"].notna().mean()
    assert abs(share - RETURN_SHARE) < 4 * np.sqrt(RETURN_SHARE * (1 - RETURN_SHARE) / len(early)) + 0.01


def test_registrations_crowd_in_the_campaign_week(app: ProportionalApp) -> None:
    day = days(app.users["registered_at"])
    week = (day >= CAMPAIGN_WEEK[0]) & (day < CAMPAIGN_WEEK[1])
    assert week[(app.users["campaign"] == "spring").to_numpy()].all()
    assert 0.08 < week.mean() < 0.2


def test_amounts_and_products_stand_where_they_belong(app: ProportionalApp) -> None:
    events = app.events
    assert events["amount"].isna().equals(events["kind"] == "login")
    assert events["product"].notna().equals(events["kind"] == "invest")
    assert events.loc[events["kind"] != "login", "amount"].min() >= 100


def test_the_same_seed_gives_the_same_tables() -> None:
    one, other, third = (proportional_app(500, seed=seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(one.users, other.users)
    pd.testing.assert_frame_equal(one.events, other.events)
    assert not one.users["registered_at"].equals(third.users["registered_at"])


def test_spells_of_the_log_are_those_found_without_it(app: ProportionalApp) -> None:
    expected = first_spells(app).reset_index()
    found = app.log.churn_spells().table
    assert found["user_id"].tolist() == expected["user_id"].tolist()
    assert found["duration"].tolist() == expected["duration"].tolist()
    assert found["churned"].tolist() == expected["churned"].tolist()
    assert app.log.counts["events_rejected"] == 0
    assert app.log.counts["users"] == len(app.users)


@pytest.mark.parametrize("ties", ["efron", "grouped"])
def test_cox_recovers_the_hazard_ratios(app: ProportionalApp, ties: str) -> None:
    fit = ch.cox(FORMULA, app.log.churn_spells(), reference=REFERENCE, ties=ties)
    table = fit.table.set_index("term")
    truth = np.log(pd.Series(HAZARD_RATIOS))
    assert set(table.index) == set(truth.index)
    assert ((table["estimate"] - truth) / table["std_error"]).abs().max() < 4


@pytest.mark.slow
def test_intervals_cover_the_hazard_ratios() -> None:
    covered = []
    for seed in range(40):
        spells = proportional_app(1_500, seed=1_000 + seed).log.churn_spells()
        table = ch.cox(FORMULA, spells, reference=REFERENCE).table
        truth = np.log(table["term"].map(HAZARD_RATIOS))
        covered += ((table["lower"] <= truth) & (truth <= table["upper"])).tolist()
    # 240 intervals at 95 %: fewer than 90 % or more than 99.5 % has a probability below 1 in 1,000.
    assert 0.9 <= np.mean(covered) <= 0.995


def test_behaviour_tells_nothing_about_churn(app: ProportionalApp) -> None:
    """The null world of the features, at the point where they may enter a model of churn."""
    spells = app.log.churn_spells(features=["n_investments", "max_amount"], baseline_day=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ch.ChurnsurvWarning)  # those who churn on the day of entry carry no risk
        table = ch.cox("n_investments + log1p(max_amount)", spells).table
    assert table["statistic"].abs().max() < 3.5
