"""Recall campaigns: randomised, on idle users only, and with the effect that the truth states."""

from __future__ import annotations

from datetime import date

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


def test_effects_that_cannot_be_told_apart_are_refused(app: SimulatedApp) -> None:
    with pytest.raises(InputError, match="within the same 90 days"):
        app.truth.campaign_effects(horizon=90)
    with pytest.raises(InputError, match="whole number of days"):
        app.truth.campaign_effects(horizon=0)
    assert simulate_app(10, campaigns=()).truth.campaign_effects().empty
