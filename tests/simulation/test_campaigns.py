"""Recall campaigns: randomised, on idle users only, and with the effect that the truth states."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from churnsurv.errors import InputError
from churnsurv.simulation import CAMPAIGNS, Arm, Campaign, SimulatedApp, simulate_app


@pytest.fixture(scope="module")
def assigned(app: SimulatedApp) -> pd.DataFrame:
    """Assignments with the gap in which they fall."""
    gaps = app.truth.gaps.sort_values("start_date", kind="stable")
    campaigns = app.campaigns.sort_values("assigned_at", kind="stable")
    table = pd.merge_asof(
        campaigns, gaps, left_on="assigned_at", right_on="start_date", by="user_id", allow_exact_matches=False
    )
    ends = table["start_date"] + pd.to_timedelta(table["duration"], unit="D")
    return table.assign(
        returns_after=(ends - table["assigned_at"]).dt.days.astype(float).where(table["returned"], np.inf)
    )


def test_users_are_assigned_once_after_so_many_idle_days(assigned: pd.DataFrame) -> None:
    assert not assigned.duplicated(["user_id", "campaign"]).any()
    assert ((assigned["assigned_at"] - assigned["start_date"]).dt.days == assigned["idle_days"]).all()
    assert (assigned["duration"] >= assigned["idle_days"]).all()
    assert (assigned["returns_after"] > 0).all()
    for campaign in CAMPAIGNS:
        mine = assigned[assigned["campaign"] == campaign.name]
        assert set(mine["idle_days"]) == set(campaign.idle_days)
        assert mine["assigned_at"].min() >= pd.Timestamp(campaign.first)
        assert mine["assigned_at"].max() <= pd.Timestamp(campaign.last)
        assert len(mine) > 2_000


def test_arms_are_drawn_at_random(app: SimulatedApp, assigned: pd.DataFrame) -> None:
    both = assigned.merge(app.users, on="user_id", suffixes=("", "_of_user"))
    for campaign in CAMPAIGNS:
        mine = both[both["campaign"] == campaign.name]
        shares = pd.Series({arm.name: arm.share for arm in campaign.arms})
        counts = mine["arm"].value_counts().reindex(shares.index)
        assert stats.chisquare(counts, shares * len(mine)).pvalue > 1e-3
        # Nothing known before is related to the arm, whether it is seen or hidden.
        for column in ("channel", "device", "left", "idle_days"):
            assert stats.chi2_contingency(pd.crosstab(mine["arm"], mine[column])).pvalue > 1e-3
        for column in ("left_probability", "balance", "n_investments"):
            assert stats.kruskal(*(part for _, part in mine.groupby("arm")[column])).pvalue > 1e-3


def test_effects_are_those_of_the_truth(app: SimulatedApp, assigned: pd.DataFrame) -> None:
    truth = app.truth.campaign_effects(horizon=30).set_index(["campaign", "arm"])
    complete = assigned[assigned["assigned_at"] <= pd.Timestamp(app.observed_until) - pd.Timedelta(days=30)]
    assert len(complete) == len(assigned)
    seen = (assigned["returns_after"] <= 30).groupby([assigned["campaign"], assigned["arm"]]).agg(["mean", "size"])
    p = truth["return_probability"]
    z = (seen["mean"] - p) / np.sqrt(p * (1 - p) / seen["size"])
    assert z.abs().max() < 3.5, z
    assert truth["n_assigned"].groupby("campaign").first().to_dict() == assigned["campaign"].value_counts().to_dict()
    for campaign, effects in truth["effect"].groupby("campaign"):
        arms = effects.droplevel("campaign")
        assert arms["none"] == 0
        assert arms["voucher"] > arms["sms"] > arms["push"] > 0.01, campaign
        assert arms["push_then_sms"] > arms["push"]


def test_only_those_who_have_left_answer(app: SimulatedApp, quiet: SimulatedApp, assigned: pd.DataFrame) -> None:
    """The living come back as they would have: same law with a strong contact as without."""
    arms = (Arm("none", 0.5), Arm("everything", 0.5, 0.9, 1.0))
    campaign = Campaign("all", (10,), date(2023, 7, 1), date(2025, 4, 1), arms=arms)
    other = simulate_app(6_000, seed=77, campaigns=(campaign,))
    gaps = other.truth.gaps.sort_values("start_date", kind="stable")
    table = pd.merge_asof(
        other.campaigns.sort_values("assigned_at", kind="stable"), gaps, left_on="assigned_at",
        right_on="start_date", by="user_id", allow_exact_matches=False,
    )  # fmt: skip
    within = table["returned"] & (table["duration"] <= 17)
    rate = within.groupby([table["left"], table["arm"]]).agg(["mean", "size"])
    living, gone = rate.loc[False], rate.loc[True]
    error = np.sqrt((living["mean"] * (1 - living["mean"]) / living["size"]).sum())
    assert abs(living["mean"]["everything"] - living["mean"]["none"]) < 3.5 * error
    from churnsurv.simulation.model import MODEL

    saves = 0.9 * float(MODEL.saving(10)[0])
    assert abs(gone["mean"]["everything"] - saves) < 0.04
    assert gone["mean"]["none"] < 0.03


def test_the_second_contact_follows_where_the_first_had_no_answer(app: SimulatedApp, assigned: pd.DataFrame) -> None:
    second = assigned["second_contact_at"].notna()
    assert (assigned.loc[second, "arm"] == "push_then_sms").all()
    escalating = assigned[assigned["arm"] == "push_then_sms"]
    after = (escalating["second_contact_at"] - escalating["assigned_at"]).dt.days
    assert after.dropna().eq(7).all()
    assert (after.notna() == (escalating["returns_after"] > 7)).all()
    cost = {"none": 0.0, "push": 0.02, "sms": 0.08, "voucher": 6.0, "push_then_sms": 0.02}
    expected = assigned["arm"].map(cost) + np.where(second, 0.08, 0.0)
    assert np.allclose(assigned["cost"], expected)
    contacted = assigned["contacted"] | (assigned["arm"] == "none")
    assert contacted.all()
    assert not assigned.loc[assigned["arm"] == "none", "contacted"].any()
    gaps = app.truth.gaps
    assert gaps["contacted"].sum() == (assigned["arm"] != "none").sum()


def test_a_contact_loses_its_effect_on_a_falling_plateau(app: SimulatedApp) -> None:
    from churnsurv.simulation.model import MODEL

    curve = MODEL.saving(np.arange(91))
    assert (np.diff(curve) < 0).all()
    assert curve[0] == 1
    assert curve[12] > 0.95  # plateau
    assert 0.3 < curve[60] < 0.31  # what is left in the end


def test_campaigns_on_days_apart_may_have_any_idle_days() -> None:
    """One in spring, one in autumn, both after 30 idle days: a gap has at most one of them."""
    arms = (Arm("none", 0.5), Arm("call", 0.5, 0.6, 1.0))
    spring = Campaign("spring", (30,), date(2024, 3, 1), date(2024, 4, 30), arms=arms)
    autumn = Campaign("autumn", (20, 30), date(2024, 7, 1), date(2024, 8, 31), arms=arms)
    app = simulate_app(6_000, seed=21, campaigns=[spring, autumn])
    table = app.campaigns
    assert not table.duplicated(["user_id", "campaign"]).any()
    assert table["campaign"].value_counts().min() > 300
    gaps = app.truth.gaps.sort_values("start_date", kind="stable")
    both = pd.merge_asof(
        table.sort_values("assigned_at", kind="stable"), gaps, left_on="assigned_at",
        right_on="start_date", by="user_id", allow_exact_matches=False,
    )  # fmt: skip
    after = (both["start_date"] - both["assigned_at"]).dt.days + both["duration"]
    seen = (both["returned"] & (after <= 30)).groupby([both["campaign"], both["arm"]]).agg(["mean", "size"])
    p = app.truth.campaign_effects().set_index(["campaign", "arm"])["return_probability"]
    assert ((seen["mean"] - p) / np.sqrt(p * (1 - p) / seen["size"])).abs().max() < 3.5
    with pytest.raises(InputError, match="in either order"):
        simulate_app(10, campaigns=[autumn, spring])


@pytest.mark.parametrize(("days_later", "told_apart"), [(31, False), (32, True)])
def test_effects_are_stated_only_where_no_gap_can_have_both(days_later: int, told_apart: bool) -> None:
    """Idle 10 on the last day of one campaign is idle 41 on the first day of the other, 31 days later."""
    arms = (Arm("none", 0.5), Arm("call", 0.5, 0.5, 1.0))
    last = date(2024, 2, 1)
    campaigns = [
        Campaign("soon", (10,), date(2024, 1, 1), last, arms=arms),
        Campaign("late", (41,), last + timedelta(days=days_later), date(2024, 6, 1), arms=arms),
    ]
    truth = simulate_app(300, campaigns=campaigns).truth
    if told_apart:
        assert len(truth.campaign_effects(horizon=30)) == 4
    else:
        with pytest.raises(InputError, match="'soon' and 'late' may contact a user"):
            truth.campaign_effects(horizon=30)


@pytest.mark.parametrize("idle", [20, 31, 38, 45])
def test_late_campaigns_know_what_surveys_said(app: SimulatedApp, idle: int) -> None:
    """Who answered a survey has left; who did not has a little less likely, the later the less."""
    from churnsurv.simulation.chunks import parts_of
    from churnsurv.simulation.effects import _still_away

    part = next(iter(parts_of(app._world, 2_000, wanted=())))
    model, steps = app._world.model, part.paths.steps
    rows = np.flatnonzero(steps.gap > idle)
    living, departed = _still_away(part.world, part.paths, rows, np.tile([idle, idle + 30], (rows.size, 1)))
    asked = np.mean([day <= idle for day in range(model.survey_days[0], model.survey_days[1] + 1)])
    said = (steps.survey_day[rows] > 0) & (steps.survey_day[rows] <= idle)
    assert (said.sum() > 5) == (idle > 30)
    assert (living[said] == 0).all()
    assert (departed[said] > 0).all()
    for i in np.flatnonzero(~said)[:20]:
        left = steps.left_probability[rows[i]]
        for j, days in enumerate((idle, idle + 30)):
            x = 3 * days / np.array(model.gap_means)
            stay = steps.weights[rows[i]] @ (np.exp(-x) * (1 + x + x**2 / 2))
            assert np.isclose(living[i, j], (1 - left) * stay, rtol=1e-10)
            gone = left * (1 - model.return_hazard) ** days * (1 - model.surveyed * asked)
            assert np.isclose(departed[i, j], gone, rtol=1e-10)


def test_effects_that_cannot_be_told_apart_are_refused(app: SimulatedApp) -> None:
    with pytest.raises(InputError, match="within the same 90 days"):
        app.truth.campaign_effects(horizon=90)
    with pytest.raises(InputError, match="horizon must be a whole number from 1 to 1,000"):
        app.truth.campaign_effects(horizon=0)
    assert simulate_app(10, campaigns=()).truth.campaign_effects().empty
