"""The filter's probabilities on held-out lives: in every quintile of predicted risk, what it says happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pytest

from churnsurv.simulation import PROBLEMS, Shock, SimulatedApp, simulate_app

IDLE = (0, 7, 14, 21, 28)


def quintiles(app: SimulatedApp, *, chosen: np.ndarray | None = None, idle: Sequence[int] = IDLE) -> pd.DataFrame:
    """Predicted and observed P(gap > 30 | gap > d) by quintile of the prediction; gaps whose first 31 days are seen."""
    gaps, survival = app.truth.gaps, app.truth.gap_survival()
    duration = gaps["duration"].to_numpy()
    complete = gaps["start_date"] <= pd.Timestamp(app.observed_until) - pd.Timedelta(days=31)
    keep = complete.to_numpy() if chosen is None else complete.to_numpy() & chosen
    rows = []
    for d in idle:
        there = np.flatnonzero(keep & (duration > d))
        risk, churned = survival[there, 30] / survival[there, d], duration[there] > 30
        order = np.argsort(risk, kind="stable")
        for number, part in enumerate(np.array_split(order, 5)):
            rows.append((d, number, part.size, risk[part].mean(), churned[part].mean()))
    return pd.DataFrame(rows, columns=["idle", "quintile", "n", "predicted", "observed"])


def z_scores(table: pd.DataFrame) -> pd.Series:
    error = np.sqrt(table["predicted"] * (1 - table["predicted"]) / table["n"])
    return (table["observed"] - table["predicted"]) / error


def test_probabilities_are_those_that_happen() -> None:
    table = quintiles(simulate_app(50_000, seed=101, campaigns=()))
    off = (table["observed"] - table["predicted"]).abs()
    assert off.max() < 0.01, table
    assert z_scores(table).abs().max() < 4, table
    # There is something to predict: the quintiles lie far apart.
    first = table[table["idle"] == 14]["predicted"]
    assert first.iloc[-1] - first.iloc[0] > 0.5


@pytest.mark.slow
def test_probabilities_are_those_that_happen_to_half_a_million() -> None:
    tables = [quintiles(simulate_app(50_000, seed=seed, campaigns=())) for seed in range(200, 210)]
    table = pd.concat(tables).groupby(["idle", "quintile"]).agg({"n": "sum", "predicted": "mean", "observed": "mean"})
    assert (table["observed"] - table["predicted"]).abs().max() < 0.005, table
    assert z_scores(table).abs().max() < 4, table


def test_contacts_and_surveys_are_learnt_from(app: SimulatedApp) -> None:
    """Gaps that begin after all campaigns, of users who were contacted before: what came of it enters the filter."""
    gaps = app.truth.gaps
    last = max(campaign["last"] for campaign in app.truth.parameters["campaigns"])
    contacted = gaps.groupby("user_id")["contacted"].cumsum() > 0
    chosen = (gaps["start_date"] > pd.Timestamp(last)) & contacted & ~gaps["contacted"]
    table = quintiles(app, chosen=chosen.to_numpy(), idle=(0, 7, 14))
    assert table["n"].min() > 300
    assert z_scores(table).abs().max() < 4, table


def test_shocks_and_problems_are_followed() -> None:
    shocks = [Shock(date(2024, 3, 1), date(2024, 4, 30), 6.0), Shock(date(2025, 1, 1), date(2025, 1, 31), 0.2)]
    app = simulate_app(12_000, seed=103, campaigns=(), shocks=shocks, problems=PROBLEMS)
    assert z_scores(quintiles(app)).abs().max() < 4
    start = app.truth.gaps["start_date"]
    shocked = (start >= pd.Timestamp(shocks[0].first)) & (start <= pd.Timestamp(shocks[0].last))
    assert z_scores(quintiles(app, chosen=shocked.to_numpy())).abs().max() < 4
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
