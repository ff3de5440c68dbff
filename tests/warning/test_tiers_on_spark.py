"""Tiers learnt on Spark are those of DuckDB: rules on balances that move in silence, and scores."""

from typing import Any

import pandas as pd
import pytest

import churnsurv as ch
from tests.data.spark import on_spark, spark  # noqa: F401

WORTH = ch.Value(saved_value=100, contact_cost=5, saving=ch.Saving.plateau(top=0.3, middle=20, width=3))


@pytest.fixture(scope="module")
def app() -> Any:
    return ch.simulate_app(150, seed=3)


def tables(app: Any, *, moves: bool) -> dict[str, pd.DataFrame]:
    balances = app.balances
    if moves:  # a fee on the last day of May takes everything
        emptied = balances.drop_duplicates("user_id").assign(date=pd.Timestamp("2024-05-31"), balance=0.0)
        balances = pd.concat([balances[balances["date"] != pd.Timestamp("2024-05-31")], emptied])
    return {"events": app.events, "users": app.users, "balances": balances}


def log_of(given: dict[str, pd.DataFrame], **engine: Any) -> ch.ActivityLog:
    return ch.ActivityLog(**given, observed_until="2025-06-29", **engine)


@on_spark
@pytest.mark.parametrize(
    ("moves", "settings"),
    [
        (True, {"objective": {"high": WORTH, "low": ch.Precision(target=0.4)}, "missing": {"balance": 0}}),
        (False, {"objective": {"high": WORTH}, "family": "score", "formula": "n_investments"}),
    ],
)
def test_spark_learns_the_same(app: Any, spark: Any, moves: bool, settings: dict[str, Any]) -> None:  # noqa: F811
    given = tables(app, moves=moves)
    settings = settings | {"bootstrap": 20, "blocks": 100}
    expected = ch.fit_tiers(log_of(given), **settings)
    with ch.connect(spark=spark) as engine:
        found = ch.fit_tiers(log_of(given, engine=engine), **settings)
    assert [str(tier.rule) for tier in found.tiers] == [str(tier.rule) for tier in expected.tiers]
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-9)
    pd.testing.assert_frame_equal(found.thresholds, expected.thresholds, rtol=1e-9)
