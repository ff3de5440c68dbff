"""The door of concordance: scores as columns and arrays, the table, the interval, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churnsurv as ch
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    idle = rng.integers(0, 20, 150)
    duration = 10 + np.minimum(rng.exponential(30 / (1 + idle / 5), 150), 60).astype(int)
    return pd.DataFrame(
        {
            "user_id": np.arange(150) // 2,
            "entry": np.minimum(rng.integers(0, 25, 150), duration - 1),
            "duration": duration,
            "churned": rng.random(150) < 0.7,
            "channel": rng.choice(["app", "web"], 150),
            "idle": idle,
        }
    )


def test_the_table_by_hand() -> None:
    # day 2 against days 3 and 4: right twice; day 3 against day 4: wrong
    data = pd.DataFrame({"duration": [2, 3, 4], "churned": [1, 1, 0], "s": [5, 1, 2]})
    found = ch.concordance(data, score="s")
    assert list(found.table) == list(schema("concordance").names)
    row = found.table.iloc[0]
    assert row["score"] == "s"
    assert (row["n"], row["n_events"], row["concordant"], row["discordant"]) == (3, 2, 2, 1)
    assert row["estimate"] == found.estimate == 2 / 3
    # influences (c - 2/3 m) / 3: (2 - 4/3, 1 - 4/3, 1 - 4/3) / 3
    error = math.sqrt((2 / 9) ** 2 + 2 * (1 / 9) ** 2)
    np.testing.assert_allclose(found.std_error, error, rtol=1e-12)
    reach = 1.959963984540054 * error / (2 / 3 * 1 / 3)
    np.testing.assert_allclose(found.lower, 1 / (1 + math.exp(-(math.log(2) - reach))), rtol=1e-12)
    np.testing.assert_allclose(found.upper, 1 / (1 + math.exp(-(math.log(2) + reach))), rtol=1e-12)


def test_a_score_may_be_a_column_or_an_array(table: pd.DataFrame) -> None:
    by_column = ch.concordance(table, score="idle")
    assert by_column.score == "idle"
    for score in (
        table["idle"],
        table["idle"].to_numpy(),
        table["idle"].tolist(),
        table["idle"].astype("Int64"),
        pl.Series(table["idle"].to_numpy()),
    ):
        found = ch.concordance(table, score=score)
        assert (found.estimate, found.std_error) == (by_column.estimate, by_column.std_error)
        assert found.score == "score"
    for data in (pl.from_pandas(table), table.astype({"idle": "Int64", "churned": "boolean"})):
        assert ch.concordance(data, score="idle").estimate == by_column.estimate


def test_a_file_may_be_the_data(table: pd.DataFrame, tmp_path) -> None:
    table.to_parquet(tmp_path / "spells.parquet")
    found = ch.concordance(tmp_path / "spells.parquet", score="idle", strata="channel")
    assert found.estimate == ch.concordance(table, score="idle", strata="channel").estimate


def test_a_boolean_score(table: pd.DataFrame) -> None:
    found = ch.concordance(table, score=table["idle"] > 10)
    assert found.tied_score > 0
    assert found.estimate > 0.5


def test_the_direction_is_that_of_risk() -> None:
    data = pd.DataFrame({"duration": [30, 60, 90], "churned": [True, True, False], "idle": [20, 10, 1]})
    assert ch.concordance(data, score="idle").estimate == 1
    assert ch.concordance(data, score="duration").estimate == 0


@pytest.mark.parametrize(("scores", "c"), [([3, 2, 1], 1.0), ([1, 2, 3], 0.0)])
def test_where_all_pairs_agree_there_is_no_interval(scores: list[int], c: float) -> None:
    data = pd.DataFrame({"duration": [30, 60, 90], "churned": [True, True, False]})
    found = ch.concordance(data, score=scores)
    assert found.estimate == c
    assert found.std_error == 0
    assert math.isnan(found.lower)
    assert math.isnan(found.upper)
    assert "no interval" in repr(found)
    assert json.loads(found.to_json())["table"]["lower"] == [None]


def test_a_score_that_says_nothing_is_one_half(table: pd.DataFrame) -> None:
    found = ch.concordance(table, score=np.zeros(len(table)))
    assert (found.estimate, found.std_error, found.lower, found.upper) == (0.5, 0.0, 0.5, 0.5)


def test_a_higher_level_is_wider_and_the_limits_lie_inside(table: pd.DataFrame) -> None:
    narrow, wide = (ch.concordance(table, score="idle", level=level) for level in (0.5, 0.9999999))
    assert 0 < wide.lower < narrow.lower < narrow.estimate < narrow.upper < wide.upper < 1


def test_strata_entry_and_clusters(table: pd.DataFrame) -> None:
    plain = ch.concordance(table, score="idle")
    strata = ch.concordance(table, score="idle", strata="channel")
    parts = [ch.concordance(part, score="idle") for _, part in table.groupby("channel")]
    for count in ("concordant", "discordant", "tied_score", "tied_time", "tied_both"):
        assert getattr(strata, count) == sum(getattr(part, count) for part in parts) < getattr(plain, count)
    late = ch.concordance(table, score="idle", entry="entry")
    assert late.n + late.n_no_risk == len(table)
    assert late.concordant < plain.concordant
    clustered = ch.concordance(table, score="idle", cluster="user_id")
    assert clustered.estimate == plain.estimate
    assert clustered.std_error != plain.std_error
    told = json.loads(ch.concordance(table, score="idle", strata="channel", cluster="user_id").to_json())["facts"]
    assert (told["strata"], told["cluster"], told["n_clusters"]) == (["channel"], "user_id", 75)


def test_rows_without_risk_are_counted(table: pd.DataFrame) -> None:
    found = ch.concordance(table, score="idle", entry="entry")
    more = pd.concat([table, table.head(9).assign(entry=lambda t: t["duration"], churned=False)], ignore_index=True)
    with_them = ch.concordance(more, score="idle", entry="entry")
    assert with_them.n_no_risk == found.n_no_risk + 9
    assert with_them.n == found.n
    assert (with_them.estimate, with_them.std_error) == (found.estimate, found.std_error)


def test_spells_bring_entry_and_clusters() -> None:
    app = ch.simulate_app(300, seed=3)
    spells = app.log.churn_spells(spells="all")
    found = ch.concordance(spells, score=np.arange(len(spells.table)) % 7)
    named = ch.concordance(spells.table, score=np.arange(len(spells.table)) % 7, entry="entry", cluster="user_id")
    assert found.cluster == "user_id"
    assert (found.estimate, found.std_error) == (named.estimate, named.std_error)
    assert "data" in json.loads(found.to_json())["facts"]


def test_the_linear_predictor_of_a_cox_model_ranks_better_than_chance(table: pd.DataFrame) -> None:
    fit = ch.cox("idle", table)
    found = ch.concordance(table, score=table["idle"] * fit.table["estimate"].iloc[0])
    assert found.lower > 0.5


def test_asking_changes_nothing(table: pd.DataFrame) -> None:
    before = table.copy()
    ch.concordance(table, score="idle", entry="entry", strata="channel", cluster="user_id")
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        ("idel", SchemaError, "'idel' is missing. Did you mean 'idle'"),
        ("channel", SchemaError, "'channel' must hold numbers to serve as a score"),
        (np.full(150, 1j), SchemaError, "complex128"),
        (np.r_[np.ones(149), np.nan], InputError, r"must not be missing; 1 such row, first at row 149 \(nan\)"),
        ([None, *range(149)], InputError, "first at row 0"),
        (np.ones((150, 1)), InputError, r"has the shape \(150, 1\)"),
        (3.0, InputError, "one number per row"),
        (np.ones(149), InputError, "score has 149 values, but data has 150 rows"),
        (pd.Series(np.ones(150), index=np.arange(150)[::-1]), InputError, r"another index .* score.to_numpy\(\)"),
    ],
)
def test_scores_that_cannot_be_used(table: pd.DataFrame, score, error, message: str) -> None:
    with pytest.raises(error, match=message):
        ch.concordance(table, score=score)


def test_missing_scores_in_a_nullable_column(table: pd.DataFrame) -> None:
    table = table.astype({"idle": "Int64"})
    table.loc[[3, 8], "idle"] = pd.NA
    with pytest.raises(InputError, match="score 'idle' must not be missing; 2 such rows, first at row 3"):
        ch.concordance(table, score="idle")


def test_data_without_a_comparable_pair(table: pd.DataFrame) -> None:
    for data in (table.assign(churned=False), table.head(1), table.assign(churned=True, duration=30)):
        with pytest.raises(InputError, match="no comparable pair"):
            ch.concordance(data, score="idle")


def test_one_cluster_has_no_variance(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="'one' has one value only"):
        ch.concordance(table.assign(one=1), score="idle", cluster="one")


def test_a_level_outside_of_0_and_1(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        ch.concordance(table, score="idle", level=95)


def test_the_interval_covers_and_the_standard_error_is_right() -> None:
    """300 small replications; the truth of C by the same formula on half a million users."""

    def world(n: int, rng: np.random.Generator) -> pd.DataFrame:
        x = rng.normal(size=n)
        life = 30 + np.ceil(rng.exponential(40 * np.exp(-0.7 * x))).astype(int)
        end = rng.integers(40, 151, n)
        return pd.DataFrame({"duration": np.minimum(life, end), "churned": life <= end, "x": x})

    truth = ch.concordance(world(500_000, np.random.default_rng(0)), score="x").estimate
    found = [ch.concordance(world(150, np.random.default_rng([7, i])), score="x") for i in range(300)]
    covered = np.mean([c.lower <= truth <= c.upper for c in found])
    # a perfect 95 % interval has a standard deviation of 1.3 % here
    assert 0.90 < covered < 0.99
    ratio = np.mean([c.std_error for c in found]) / np.std([c.estimate for c in found])
    assert 0.85 < ratio < 1.15
