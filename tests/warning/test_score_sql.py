"""The statement of a score scheme gives every row the tier that `assign` gives it, in every dialect."""

from __future__ import annotations

import sqlite3
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churnsurv.errors import InputError
from churnsurv.warning import Saving, TierScheme, Value
from churnsurv.warning.given_score import GivenScore
from churnsurv.warning.rules import Rule
from churnsurv.warning.scheme_sql import _bounds
from churnsurv.warning.scores import CHANCE, OVER_WAITING, GapScore, fit_score
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.warning.schemes import THREE, rule, scheme

FORMULAS = [
    "I(balance < 100) + log1p(balance) + n_investments + channel",
    "channel * vip + C(n_investments) + scale(balance)",
    "bs(balance, df=5) + channel:n_investments + sqrt(n_investments)",
    "I(n_investments ** 2) + I(balance / 7)",
]
FLAT = Saving.from_table({"idle_days": [0, 10, 20, 29], "s": [0.4, 0.4, 0.3, 0]})
WORTHS = {
    f"{OVER_WAITING} (high)": Value(saved_value=100, contact_cost=5, saving=Saving.plateau()),
    f"{OVER_WAITING} (low)": Value(saved_value=40, contact_cost=0, saving=FLAT),
}


def states(n: int = 1_500, seed: int = 0, *, odd: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    found = pd.DataFrame(
        {
            "user_id": np.arange(n),
            "idle_days": rng.integers(0, 33, n).astype(float),
            "balance": np.round(np.exp(rng.normal(4, 2, n)), 2),
            "n_investments": rng.integers(0, 6, n).astype(float),
            "channel": rng.choice(["organic", 'it\'s \\ "so"', "分銷"], n),
            "vip": rng.random(n) < 0.3,
        }
    )
    if not odd:
        return found
    for name in ("idle_days", "balance", "n_investments"):
        found.loc[rng.random(n) < 0.03, name] = np.nan
    found.loc[rng.random(n) < 0.02, "balance"] = np.inf
    found.loc[rng.random(n) < 0.02, "idle_days"] = np.inf
    found.loc[rng.random(n) < 0.05, "idle_days"] = 7.5
    return found


def gaps(n: int = 800, seed: int = 1) -> pd.DataFrame:
    table = states(n, seed, odd=False).drop(columns="idle_days")
    rng = np.random.default_rng(seed)
    rate = 0.05 * np.exp(0.2 * np.log1p(table["balance"]) - 0.4 * (table["channel"] == "organic"))
    days = np.ceil(rng.exponential(1 / rate)).astype(int)
    return table.assign(duration=np.minimum(days, 31))


def made(formula: str, **changed: Any) -> TierScheme:
    """Cuts in the middle of what the score says."""
    score = fit_score(formula, gaps(), idle_days=30, worths=WORTHS)
    shown = score.by_day(score.risk(gaps(300, 2)))
    high, low = (float(np.round(np.median(shown[name][:, 10]), 4)) for name in WORTHS)
    names = [f"{OVER_WAITING} (high) > {high}", f"{CHANCE} > 0.5", f"{OVER_WAITING} (low) > {low}"]
    rules = dict(zip(["high", 'it\'s "medium"', "low"], map(rule, names), strict=True))
    return scheme(rules | {"none": Rule()}, score=score, **changed)


def by_assign(told: TierScheme, table: pd.DataFrame) -> list[str | None]:
    return [tier if isinstance(tier, str) else None for tier in told.assign(table).table["tier"]]


def on_duckdb(statement: str, table: pd.DataFrame) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.register("users", pa.Table.from_pandas(table, preserve_index=False))
        return connection.sql(statement).df()


def texts(found: Any) -> list[str | None]:
    return [tier if isinstance(tier, str) else None for tier in found]


# ------------------------------------------------------------------------------------------------- tiers of a Cox score


@pytest.mark.parametrize(
    ("formula", "missing"), [(FORMULAS[0], {}), *((formula, {"balance": 0.0}) for formula in FORMULAS)]
)
def test_duckdb_equals_assign(formula: str, missing: dict[str, float]) -> None:
    told, table = made(formula, missing=missing, variables=("balance",)), states()
    if formula.startswith("bs"):  # a spline has no value outside the data of the fit, and `assign` says so
        reach = gaps()["balance"]
        table = table[table["balance"].fillna(missing.get("balance", 50)).between(reach.min(), reach.max())]
    expected = by_assign(told, table)
    assert {None, "high"} <= set(expected)
    found = on_duckdb(told.to_sql("users"), table)
    assert found.columns.tolist() == [*table.columns, "tier"]
    found = found.sort_values("user_id")
    assert texts(found["tier"]) == expected
    kept = on_duckdb(told.to_sql("users", keep=["channel", "user_id"]), table).sort_values("user_id")
    assert kept.columns.tolist() == ["channel", "user_id", "tier"]
    assert texts(kept["tier"]) == expected


@pytest.mark.parametrize("formula", FORMULAS[:2])
def test_sqlite_equals_assign(formula: str) -> None:
    pytest.importorskip("sqlglot")
    told, table = made(formula, missing={"balance": 1.0}, variables=("balance",)), states()
    table = table[np.isfinite(table["n_investments"])]
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE users (user_id, idle_days, balance, n_investments, channel, vip)")
        connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", table.astype(object).to_numpy().tolist())
        found = connection.execute(told.to_sql("users", keep="user_id", dialect="sqlite")).fetchall()
    finally:
        connection.close()
    assert [tier for _, tier in sorted(found)] == by_assign(told, table)
    with pytest.raises(InputError, match=r"name those that the result keeps, keep="):
        told.to_sql("users", dialect="sqlite")


@on_spark
def test_spark_equals_assign(spark: Any) -> None:  # noqa: F811
    table = states(600)
    table = table[np.isfinite(table["n_investments"])]
    spark.createDataFrame(table).createOrReplaceTempView("users_to_score")
    for formula in FORMULAS[:2]:
        told = made(formula, missing={"balance": 1.0}, variables=("balance",))
        found = spark.sql(told.to_sql("users_to_score", dialect="spark")).toPandas()
        assert found.columns.tolist() == [*table.columns, "tier"]
        assert texts(found.sort_values("user_id")["tier"]) == by_assign(told, table)


def test_what_differs_on_spark_is_refused() -> None:
    pytest.importorskip("sqlglot")
    with pytest.raises(InputError, match=r"not 'spark', where it differs"):
        made("I(n_investments % 3)").to_sql("users", dialect="spark")
    assert "LN" in made(FORMULAS[0]).to_sql("users", dialect="spark")


@pytest.mark.parametrize("seed", range(2))
def test_on_each_day_a_tier_is_where_the_linear_predictor_is_below_its_bound(seed: int) -> None:
    """For any cut and any saving curve that falls, also below nothing and beyond everything."""
    rng = np.random.default_rng(seed)
    score = fit_score("balance", gaps(300, seed), idle_days=30, worths={})
    risk = np.concatenate([np.linspace(-60, 60, 601), rng.normal(0, 3, 600)])
    for _ in range(3):
        s = np.sort(rng.random(30))[::-1].round(int(rng.integers(1, 4)))
        s[-1], s[0] = 0.0, 1.0
        worth = Value(
            saved_value=100, contact_cost=float(rng.choice([0.0, 3.0, 40.0])),
            saving=Saving.from_table({"idle_days": range(30), "s": s}),
        )  # fmt: skip
        given = GapScore(score.fit, 30, score.numbers, score.centre, {OVER_WAITING: worth})
        found = given.by_day(risk)
        for name, cut in ((CHANCE, rng.random()), *((OVER_WAITING, each) for each in (-50.0, -1.3, 0.07, 7.0))):
            bounds = _bounds(given, rule(f"{name} > {cut}"))
            clear = np.abs(found[name][:, 1:] - cut) > 1e-9
            np.testing.assert_array_equal(
                (found[name][:, 1:] > cut)[clear], np.broadcast_to(risk[:, None] < bounds, clear.shape)[clear]
            )


def test_only_cuts_of_the_score_are_written() -> None:
    told = made(FORMULAS[0])
    score = told.score
    for odd in (rule(f"{CHANCE} < 0.5"), rule(f"{CHANCE} > 0.5 and balance > 3")):
        with pytest.raises(InputError, match="more than a cut of the score"):
            scheme({"high": odd}, score=score).to_sql("users")
    nobody = scheme({"high": Rule(), "low": rule(f"{CHANCE} > 1")}, score=score)
    assert on_duckdb(nobody.to_sql("users"), states(50))["tier"].isna().all()


@pytest.mark.parametrize("formula", ["I(balance * balance)", "I(0 - balance * balance)"])
def test_a_linear_predictor_beyond_all_numbers_is_none(formula: str) -> None:
    score = fit_score(formula, gaps(), idle_days=30, worths={})
    everybody = scheme({"high": rule(f"{CHANCE} > 0")}, score=score, variables=())
    table = pd.DataFrame({"user_id": [1, 2], "idle_days": 9, "balance": [3.0, 1e200]})
    assert texts(on_duckdb(everybody.to_sql("users"), table).sort_values("user_id")["tier"]) == ["high", None]


def test_categories_that_the_fit_has_not_seen_are_in_no_tier() -> None:
    table = states(40, odd=False).assign(channel="elsewhere", idle_days=29.0)
    assert on_duckdb(made(FORMULAS[0]).to_sql("users"), table)["tier"].isna().all()


# ---------------------------------------------------------------------------------------------- tiers of a given score


def given_scheme() -> TierScheme:
    return scheme({"high": rule("score > 0.7"), "low": rule("score > -0.1")}, score=GivenScore(30), variables=())


def given_states(n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    values = [0.7, np.nextafter(0.7, 1), np.nan, np.inf, -np.inf, -0.1, 0.0, -5.0, 3.0]
    idle = [*range(33), 0.5, np.nan, np.inf]
    return pd.DataFrame({"user_id": range(n), "idle_days": rng.choice(idle, n), "score": rng.choice(values, n)})


def test_a_given_score_in_duckdb_and_sqlite() -> None:
    pytest.importorskip("sqlglot")
    told, table = given_scheme(), given_states()
    expected = by_assign(told, table)
    assert texts(on_duckdb(told.to_sql("users"), table)["tier"]) == expected
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE users (user_id, idle_days, score)")
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", table.astype(object).to_numpy().tolist())
        found = connection.execute(told.to_sql("users", dialect="sqlite")).fetchall()
    finally:
        connection.close()
    assert [row[-1] for row in sorted(found, key=lambda row: row[0])] == expected


@on_spark
def test_a_given_score_in_spark(spark: Any) -> None:  # noqa: F811
    told, table = given_scheme(), given_states()
    spark.createDataFrame(table).createOrReplaceTempView("users_with_score")
    found = spark.sql(told.to_sql("users_with_score", dialect="spark")).toPandas().sort_values("user_id")
    assert texts(found["tier"]) == by_assign(told, table)


def test_rules_are_written_as_before() -> None:
    assert "EXCLUDE" not in scheme(THREE).to_sql("users")
