"""All pairs of groups: equal to tests of two groups alone, adjusted, with effects; what cannot be tested says so."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from statsmodels.stats.multitest import multipletests

from churnsurv.errors import FollowUpError, InputError
from churnsurv.survival.cox import cox
from churnsurv.survival.multiplicity import adjusted
from churnsurv.survival.pairwise import pairwise_logrank
from churnsurv.survival.tests_ import logrank
from churnsurv.tables import schema


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    plan = rng.choice(["a", "b", "c", "d"], 240)
    life = np.ceil(rng.exponential(np.where(plan == "d", 25.0, 45.0)))
    entry = rng.integers(0, 8, 240)
    return pd.DataFrame(
        {
            "user_id": np.arange(240) // 2,
            "entry": entry,
            "duration": entry + np.minimum(life, 60).astype(int),
            "churned": life <= 60,
            "plan": plan,
            "cohort": rng.choice(["x", "y"], 240),
            "users": rng.integers(1, 4, 240),
        }
    )


WAYS = [
    {},
    {"strata": "cohort", "entry": "entry"},
    {"cluster": "user_id"},
    {"weighting": "peto-peto", "entry": "entry"},
    {"weighting": "max-combo"},
    {"weights": "users", "weights_kind": "frequency"},
    {"weights": "users", "weights_kind": "sampling", "cluster": "user_id", "strata": "cohort"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
def test_each_pair_is_a_test_and_a_model_of_its_own(table: pd.DataFrame, way: dict) -> None:
    found = pairwise_logrank(table, by="plan", horizon=40, adjust="none", **way).table
    assert list(found) == list(schema("pairwise").names)
    assert list(zip(found["reference"], found["group"], strict=True)) == [
        ("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d"),
    ]  # fmt: skip
    keywords = {name: value for name, value in way.items() if name != "weighting"}
    for _, row in found.iterrows():
        two = table[table["plan"].isin([row["group"], row["reference"]])]
        alone = logrank(two, by="plan", **way)
        assert row["statistic"] == pytest.approx(alone.statistic, rel=1e-9)
        assert row["p_value"] == row["p_adjusted"] == pytest.approx(alone.p_value, rel=1e-8)
        fit = cox("plan", two, **keywords).table.iloc[0]
        assert row["hazard_ratio"] == pytest.approx(fit["hazard_ratio"], rel=1e-9)
        assert row["hr_upper"] == pytest.approx(fit["hr_upper"], rel=1e-8)
        effect = alone.effects.iloc[0]
        assert effect["hr_lower"] == pytest.approx(fit["hr_lower"], rel=1e-8)


def test_differences_of_means_do_not_depend_on_the_other_groups(table: pd.DataFrame) -> None:
    found = pairwise_logrank(table, by="plan", horizon=40).table.set_index(["group", "reference"])
    step = found["rmst_difference"]
    assert step["d", "a"] == pytest.approx(step["d", "b"] + step["b", "a"])
    assert (found["rmst_lower"] < found["rmst_difference"]).all()
    none = pairwise_logrank(table, by="plan").table
    assert none[["horizon", "rmst_difference", "rmst_lower", "rmst_upper"]].isna().all(axis=None)


@pytest.mark.parametrize("adjust", ["holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"])
def test_p_values_and_limits_are_adjusted(table: pd.DataFrame, adjust: str) -> None:
    plain, tests = (pairwise_logrank(table, by="plan", adjust=a) for a in ("none", adjust))
    one, found = plain.table, tests.table
    expected = one["p_value"] if adjust == "none" else multipletests(one["p_value"], method=adjust)[1]
    np.testing.assert_allclose(found["p_adjusted"], expected, rtol=1e-12)
    together = adjust in ("holm", "bonferroni", "hommel")
    assert tests.limits == ("simultaneous" if together else "each alone")
    half = np.log(found["hr_upper"] / found["hazard_ratio"]) / np.log(one["hr_upper"] / one["hazard_ratio"])
    # the normal quantiles at 1 - .05 / 12 and at .975
    np.testing.assert_allclose(half, 2.638257273476751 / 1.959963984540054 if together else 1.0, rtol=1e-9)


def test_a_pair_that_cannot_be_tested_has_a_note(table: pd.DataFrame) -> None:
    table.loc[table["plan"].isin(["b", "c"]), "churned"] = False
    tests = pairwise_logrank(table, by="plan")
    found = tests.table.set_index(["group", "reference"])
    assert found["p_value"].isna().sum() == 1
    assert found.loc[("c", "b"), "note"] == "nobody churned while at risk"
    assert found.loc[("b", "a"), "note"] == "nobody of 'b' churned: a hazard ratio would be 0"
    assert found.loc[("d", "c"), "note"] == "nobody of 'c' churned: no hazard can be compared with none"
    assert found.loc[("d", "a"), "note"] is None
    known = found["p_value"].dropna()
    np.testing.assert_allclose(found.loc[known.index, "p_adjusted"], multipletests(known, method="holm")[1], rtol=1e-12)
    assert "5 pairs" not in repr(tests)
    said = json.loads(tests.to_json())
    assert said["table"]["hazard_ratio"][0] is None


def test_the_result_in_one_line_in_json_and_drawn(table: pd.DataFrame) -> None:
    tests = pairwise_logrank(table, by="plan", cluster="user_id", strata="cohort", horizon=30)
    start = (
        "<PairwiseTests: stratified log-rank test, robust score by user_id, 6 pairs of 4 groups; clearest: d against"
    )
    assert repr(tests).startswith(start)
    said = json.loads(tests.to_json())
    assert said["facts"]["adjust"] == "holm"
    assert said["facts"]["horizon"] == 30
    assert said["facts"]["n_clusters"] == 120
    axes = tests.plot(Figure(figsize=(7, 4)).add_subplot())
    assert "d - a" in [text.get_text() for text in axes.texts]
    mine = tests.table
    mine["p_value"] = 0
    assert (tests.table["p_value"] > 0).all()


def test_two_groups_are_one_pair(table: pd.DataFrame) -> None:
    one = pairwise_logrank(table[table["plan"] < "c"], by="plan").table
    assert len(one) == 1
    assert one["p_adjusted"][0] == one["p_value"][0]


def test_what_cannot_be_compared(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"adjust must be one of .* Did you mean 'holm'\?"):
        pairwise_logrank(table, by="plan", adjust="hollm")
    with pytest.raises(InputError, match="pairwise_logrank needs `by`"):
        pairwise_logrank(table, by=[])
    with pytest.raises(InputError, match="a test needs two groups"):
        pairwise_logrank(table.assign(plan="a"), by="plan")
    with pytest.raises(InputError, match="no pair of groups can be tested: nobody churned while at risk"):
        pairwise_logrank(table.assign(churned=False), by="plan")
    with pytest.raises(InputError, match="120 groups make 7,140 pairs"):
        pairwise_logrank(table.assign(plan=table["user_id"]), by="plan")
    with pytest.raises(FollowUpError, match=r"nobody was followed to day 400; last days: 'a' day \d+"):
        pairwise_logrank(table, by="plan", horizon=400)
    for wrong in (0, -3, float("nan"), "30"):
        with pytest.raises(InputError, match="horizon must be a number of days > 0"):
            pairwise_logrank(table, by="plan", horizon=wrong)
    with pytest.raises(InputError, match="weighting must be one of"):
        pairwise_logrank(table, by="plan", weighting="wilcoxon")


@pytest.mark.parametrize("adjust", ["holm", "bonferroni", "hommel", "fdr_bh", "fdr_by"])
def test_adjusted_p_values_are_those_of_statsmodels(adjust: str) -> None:
    rng = np.random.default_rng(1)
    for n in (2, 3, 10, 57):
        p = np.round(rng.random(n) ** 3, 2)  # with ties
        np.testing.assert_allclose(adjusted(p, adjust), multipletests(p, method=adjust)[1], rtol=1e-14)
