"""Comparison of scores, weights in concordance, and Uno's C through the door."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError
from churnsurv.survival.compare import compare_concordance
from churnsurv.survival.concordance import concordance
from churnsurv.tables import schema


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    life, end = np.ceil(rng.exponential(40 * np.exp(-x))), rng.integers(10, 90, 200)
    duration = np.minimum(life, end).astype(int)
    return pd.DataFrame(
        {
            "user_id": np.arange(200) // 2,
            "duration": duration,
            "churned": life <= end,
            "entry": np.minimum(rng.integers(0, 8, 200), duration - 1),
            "plan": rng.choice(["a", "b"], 200),
            "x": x,
            "rough": x + rng.normal(size=200),
            "noise": rng.normal(size=200),
            "users": rng.integers(1, 4, 200),
            "drawn": rng.uniform(0.5, 3, 200),
        }
    )


def test_four_rows_by_hand() -> None:
    # days 1 < 2 < 3 < 4+; a ranks all six pairs right, b has the last three turned round: 3 of 6
    data = pd.DataFrame({"duration": [1, 2, 3, 4], "churned": [1, 1, 1, 0], "a": [4, 3, 2, 1], "b": [4, 1, 2, 3]})
    found = compare_concordance(data, scores=("a", "b"))
    assert found.estimates.tolist() == [1.0, 0.5]
    row = found.table.iloc[0]
    # a has no influences; those of b are (c - m / 2) / 6 with c = 3, 1, 1, 1 of m = 3 each
    np.testing.assert_allclose(row["std_error"], np.sqrt(1.5**2 + 3 * 0.5**2) / 6, rtol=1e-12)
    assert (row["score"], row["reference"], row["estimate"]) == ("b", "a", -0.5)
    np.testing.assert_allclose(row["statistic"], -0.5 / row["std_error"], rtol=1e-14)


def test_the_table_and_the_parts_agree_with_concordance(table: pd.DataFrame) -> None:
    for keywords in ({}, {"strata": "plan", "entry": "entry"}, {"cluster": "user_id", "method": "uno", "horizon": 60}):
        found = compare_concordance(table, scores=["rough", "x", "noise"], **keywords)
        assert list(found.table) == list(schema("concordance_comparison").names)
        for _, row in found.concordances.iterrows():
            alone = concordance(table, score=row["score"], **keywords)
            assert row["estimate"] == alone.estimate
            np.testing.assert_allclose([row["std_error"], row["lower"]], [alone.std_error, alone.lower], rtol=1e-10)
        difference = found.estimates[1:] - found.estimates[0]
        assert found.table["estimate"].tolist() == difference.tolist()
        told = json.loads(found.to_json())
        assert told["facts"]["scores"] == ["rough", "x", "noise"]
    assert found.table.set_index("score").loc["x", "estimate"] > 0
    assert (found.table["p_adjusted"] >= found.table["p_value"]).all()
    none = compare_concordance(table, scores=["rough", "x", "noise"], adjust="none").table
    assert (none["p_adjusted"] == none["p_value"]).all()


def test_scores_may_be_named_arrays(table: pd.DataFrame) -> None:
    by_name = compare_concordance(table, scores={"before": table["rough"], "after": table["x"].to_numpy()})
    assert by_name.scores == ("before", "after")
    plain = compare_concordance(table, scores=(table["rough"].to_numpy(), "x"))
    assert plain.scores == ("score 1", "x")
    np.testing.assert_array_equal(plain.covariance, by_name.covariance)
    assert "C of x less C of score 1 = +" in repr(plain)


def test_scores_that_rank_alike_have_no_test(table: pd.DataFrame) -> None:
    row = compare_concordance(table, scores={"x": "x", "same": 3 * table["x"] + 1}).table.iloc[0]
    assert (row["estimate"], row["std_error"]) == (0, 0)
    assert math.isnan(row["p_value"])
    assert math.isnan(row["lower"])


def test_comparisons_that_cannot_be_made(table: pd.DataFrame) -> None:
    for scores, said in ((("x",), "needs two scores"), (("x", "x"), "a name of its own"), ("x", "not str")):
        with pytest.raises(InputError, match=said):
            compare_concordance(table, scores=scores)
    with pytest.raises(InputError, match="Did you mean 'holm'"):
        compare_concordance(table, scores=("x", "noise"), adjust="hölm")
    with pytest.raises(InputError, match="score 'noise' must not be missing"):
        compare_concordance(table.assign(noise=np.nan), scores=("x", "noise"))


@pytest.mark.parametrize("keywords", [{}, {"strata": "plan", "entry": "entry"}, {"method": "uno", "horizon": 50}])
def test_frequencies_are_repeated_rows(table: pd.DataFrame, keywords: dict[str, object]) -> None:
    again = table.loc[np.repeat(table.index, table["users"])].reset_index(drop=True)
    few = concordance(table, score="rough", weights="users", weights_kind="frequency", **keywords)
    many = concordance(again, score="rough", **keywords)
    columns = ["estimate", "std_error", "lower", "upper", "n", "n_events"]
    if "method" not in keywords:
        columns += ["concordant", "discordant", "tied_score", "tied_time", "tied_both"]
    np.testing.assert_allclose(few.table[columns].astype(float), many.table[columns].astype(float), rtol=1e-11)


def test_a_horizon_leaves_out_later_churns(table: pd.DataFrame) -> None:
    cut = table.assign(churned=table["churned"] & (table["duration"] <= 30))
    assert concordance(table, score="x", horizon=30).table.equals(concordance(cut, score="x").table)
    with pytest.raises(FollowUpError, match="last day is"):
        concordance(table, score="x", horizon=1000)
    with pytest.raises(InputError, match="horizon must be"):
        concordance(table, score="x", horizon=-1)


def test_methods(table: pd.DataFrame) -> None:
    uno = concordance(table, score="x", method="uno", horizon=60)
    assert "Uno's C of x" in repr(uno)
    assert json.loads(uno.to_json())["facts"]["method"] == "uno"
    late = concordance(table, score="x", method="uno", horizon=60, entry="entry")
    assert late.estimate != uno.estimate
    with pytest.raises(InputError, match="Did you mean 'uno'"):
        concordance(table, score="x", method="unos")
    with pytest.raises(InputError, match="Uno's C has no strata"):
        concordance(table, score="x", method="uno", strata="plan")


@pytest.mark.parametrize("kind", ["frequency", "sampling"])
def test_a_weighted_fit_ranks_its_own_rows(table: pd.DataFrame, kind: str) -> None:
    weights = {"weights": "users" if kind == "frequency" else "drawn", "weights_kind": kind}
    fit = ch.cox("x + noise", table, **weights)
    own = fit.concordance()
    asked = concordance(table, score=fit.risk(table), **weights)
    np.testing.assert_allclose([own.estimate, own.std_error], [asked.estimate, asked.std_error], rtol=1e-12)
    assert (own.n, own.n_events, own.weights_kind) == (fit.n, fit.n_events, kind)
    loaded = ch.CoxFit.from_json(fit.to_json()) if hasattr(ch.CoxFit, "from_json") else fit
    assert loaded.concordance(data=table).estimate == own.estimate
