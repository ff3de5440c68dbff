"""The filter's probabilities on held-out lives: in every quintile of predicted risk, what it says happens."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from churnsurv.simulation import PROBLEMS, Shock, SimulatedApp, simulate_app

from .calibrated import channel_of, compared, quintiles, stage_of


@pytest.fixture(scope="module")
def held_out() -> SimulatedApp:
    """Users that nobody contacts; the numbers of the model were fitted to others."""
    return simulate_app(50_000, seed=101, campaigns=())


def test_probabilities_are_those_that_happen(held_out: SimulatedApp) -> None:
    table = compared([quintiles(held_out)])
    assert table["off"].abs().max() < 0.01, table
    assert table["z"].abs().max() < 4, table
    # There is something to predict: the quintiles lie far apart.
    first = table[table["idle"] == 14]["predicted"]
    assert first.iloc[-1] - first.iloc[0] > 0.5


def test_they_are_within_every_channel_and_stage(held_out: SimulatedApp) -> None:
    for by in (channel_of(held_out), stage_of(held_out)):
        table = compared([quintiles(held_out, by=by)])
        assert table["group"].nunique() in {3, 5}
        assert table["z"].abs().max() < 4.2, table
        assert table.loc[table["error"] < 0.0025, "off"].abs().max() < 0.01, table


def test_contacts_and_surveys_are_learnt_from(app: SimulatedApp) -> None:
    """Gaps that begin after all campaigns, of users who were contacted before: what came of it enters the filter."""
    gaps = app.truth.gaps
    last = max(campaign["last"] for campaign in app.truth.parameters["campaigns"])
    contacted = gaps.groupby("user_id")["contacted"].cumsum() > 0
    chosen = (gaps["start_date"] > pd.Timestamp(last)) & contacted & ~gaps["contacted"]
    table = compared([quintiles(app, chosen=chosen.to_numpy(), idle=(0, 7, 14))])
    assert table["n"].min() > 300
    assert table["z"].abs().max() < 4, table


def test_shocks_and_problems_are_followed() -> None:
    shocks = [Shock(date(2024, 3, 1), date(2024, 4, 30), 6.0), Shock(date(2025, 1, 1), date(2025, 1, 31), 0.2)]
    app = simulate_app(12_000, seed=103, campaigns=(), shocks=shocks, problems=PROBLEMS)
    assert compared([quintiles(app)])["z"].abs().max() < 4
    start = app.truth.gaps["start_date"]
    shocked = (start >= pd.Timestamp(shocks[0].first)) & (start <= pd.Timestamp(shocks[0].last))
    assert compared([quintiles(app, chosen=shocked.to_numpy())])["z"].abs().max() < 4
    gaps = app.truth.gaps
    before = (start >= pd.Timestamp("2023-11-01")) & (start < pd.Timestamp("2024-02-01"))
    policy = {name: (gaps["reason"][rows] == "policy").sum() / rows.sum() for name, rows in
              {"in": shocked, "before": before}.items()}  # fmt: skip
    assert 4 < policy["in"] / policy["before"] < 8
    # A problem day multiplies leaving in frustration.
    events = app.events[app.events["kind"].isin([problem.kind for problem in PROBLEMS])]
    assert set(events["kind"]) == {"crash", "lag", "complaint"}
    days = events.assign(start_date=events["event_at"].dt.normalize())[["user_id", "start_date", "kind"]]
    both = gaps[gaps["gap"] > 1].merge(days, on=["user_id", "start_date"], how="left")
    frustrated = (both["reason"] == "frustrated").groupby(both["kind"].fillna("none")).mean()
    assert frustrated["complaint"] > frustrated["crash"] > frustrated["lag"] > frustrated["none"]
