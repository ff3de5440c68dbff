"""The door of the log-rank test: groups, strata, clusters, the table, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import churnsurv as ch
from churnsurv.errors import InputError, SchemaError
from churnsurv.survival import TestResult
from churnsurv.tables import schema


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "user_id": np.arange(120) // 2,
            "entry": rng.integers(0, 10, 120),
            "duration": rng.integers(10, 60, 120),
            "churned": rng.random(120) < 0.6,
            "channel": pd.Categorical(rng.choice(["web", "app", "shop"], 120), categories=["web", "shop", "app"]),
            "cohort": rng.choice(["2024-01", "2024-02"], 120),
        }
    )


def test_the_table_by_hand() -> None:
    # day 2 takes one of two in each group, day 3 the last of group y
    data = pd.DataFrame({"duration": [2, 4, 2, 3], "churned": [1, 0, 1, 1], "g": ["x", "x", "y", "y"]})
    test = ch.logrank(data, by="g")
    assert list(test.table) == [*schema("test").names, "g"]
    assert test.table["group"].tolist() == ["x", "y"]
    assert test.table["n"].tolist() == [2, 2]
    assert test.table["observed"].tolist() == [1, 2]
    # E_x = 2 (2/4) + 1/2, V = 2 (2/3) (1/4) + 1/4
    np.testing.assert_allclose(test.table["expected"], [1.5, 1.5], rtol=1e-10)
    np.testing.assert_allclose(test.statistic, 0.5**2 / (1 / 3 + 1 / 4), rtol=1e-10)
    np.testing.assert_allclose(test.p_value, math.erfc(math.sqrt(test.statistic / 2)), rtol=1e-10)
    assert test.df == 1


def test_groups_and_their_order(table: pd.DataFrame) -> None:
    test = ch.logrank(table, by="channel")
    assert test.table["group"].tolist() == ["web", "shop", "app"]
    assert test.df == 2
    assert test.table["n"].sum() == 120
    assert test.table["observed"].sum() == pytest.approx(test.table["expected"].sum())
    both = ch.logrank(table, by=["cohort", "channel"])
    assert both.table["group"].tolist()[:2] == ["2024-01 | web", "2024-01 | shop"]
    assert both.df == 5


def test_strata_entry_and_clusters_change_the_method(table: pd.DataFrame) -> None:
    plain = ch.logrank(table, by="channel")
    strata = ch.logrank(table, by="channel", strata="cohort", entry="entry")
    robust = ch.logrank(table, by="channel", cluster="user_id")
    assert plain.method == "log-rank test"
    assert strata.method == "stratified log-rank test"
    assert robust.method == "log-rank test, robust score by user_id"
    assert len({plain.statistic, strata.statistic, robust.statistic}) == 3
    pd.testing.assert_frame_equal(plain.table, robust.table)


def test_everybody_twice_in_a_cluster_is_everybody_once(table: pd.DataFrame) -> None:
    once = ch.logrank(table.assign(id=range(120)), by="channel", cluster="id")
    twice = ch.logrank(pd.concat([table.assign(id=range(120))] * 2), by="channel", cluster="id")
    assert twice.statistic == pytest.approx(once.statistic, rel=1e-10)
    naive = ch.logrank(pd.concat([table] * 2), by="channel")
    assert naive.statistic > 1.9 * ch.logrank(table, by="channel").statistic


def test_missing_values_are_a_group(table: pd.DataFrame) -> None:
    table.loc[:20, "cohort"] = None
    test = ch.logrank(table, by="cohort")
    assert test.table["group"].tolist() == ["2024-01", "2024-02", "(missing)"]
    assert test.table["cohort"].tolist()[-1] == "(missing)"


def test_what_cannot_be_tested(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"all rows have the same value of 'plan' \('pro'\): a test needs two groups"):
        ch.logrank(table.assign(plan="pro"), by="plan")
    with pytest.raises(InputError, match="logrank needs `by`"):
        ch.logrank(table, by=[])
    with pytest.raises(InputError, match="nobody churned while at risk"):
        ch.logrank(table.assign(churned=False), by="channel")
    with pytest.raises(SchemaError, match=r"'chanel' is missing\. Did you mean 'channel'\?"):
        ch.logrank(table, by="chanel")
    with pytest.raises(InputError, match="'n' is also the name of a column of the result"):
        ch.logrank(table.assign(n=table["channel"]), by="n")
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        ch.logrank(table, by="channel", level=2)


def test_the_result_says_it_in_one_line_and_in_json(table: pd.DataFrame) -> None:
    test = ch.logrank(table, by="channel", strata="cohort", cluster="user_id")
    assert repr(test).startswith("<TestResult: stratified log-rank test, robust score by user_id: chi-square ")
    said = json.loads(test.to_json())
    assert said["facts"]["statistic"] == pytest.approx(test.statistic, rel=1e-8)
    assert said["facts"]["n_clusters"] == 60
    assert said["facts"]["strata"] == ["cohort"]
    assert said["facts"]["n"] == 120
    mine = test.table
    mine["n"] = 0
    assert test.table["n"].sum() == 120


def test_a_test_without_groups_has_an_empty_table() -> None:
    test = TestResult(statistic=20.0, df=1, p_value=1e-5, method="Wald test")
    assert repr(test) == "<TestResult: Wald test: chi-square 20.00 on 1 df, p < 0.001>"
    assert list(test.table) == list(schema("test").names)
    assert len(test.table) == 0


def test_the_statistic_never_depends_on_how_groups_are_named(table: pd.DataFrame) -> None:
    renamed = table.assign(channel=table["channel"].map({"web": "3", "app": "1", "shop": "2"}).astype(str))
    for cluster in (None, "user_id"):
        one, other = (ch.logrank(data, by="channel", cluster=cluster) for data in (table, renamed))
        assert one.statistic == pytest.approx(other.statistic, rel=1e-10)


WEIGHTINGS = {
    "log-rank": "log-rank test",
    "gehan-wilcoxon": "Gehan-Wilcoxon test",
    "tarone-ware": "Tarone-Ware test",
    "peto-peto": "Peto-Peto test",
    ("fleming-harrington", 0, 1): "Fleming-Harrington(0, 1) test",
}


@pytest.mark.parametrize("weighting", list(WEIGHTINGS), ids=str)
def test_weightings_by_name(table: pd.DataFrame, weighting) -> None:
    test = ch.logrank(table, by="channel", weighting=weighting)
    assert test.method == WEIGHTINGS[weighting]
    plain = ch.logrank(table, by="channel")
    # churns by group are counted as they are, whatever the days weigh, and so are the effects
    pd.testing.assert_frame_equal(test.table, plain.table)
    pd.testing.assert_frame_equal(test.effects, plain.effects)
    assert (test.statistic == plain.statistic) == (weighting == "log-rank")
    assert json.loads(test.to_json())["facts"]["weighting"] in str(weighting)


def test_unknown_weightings(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"Did you mean 'peto-peto'\?"):
        ch.logrank(table, by="channel", weighting="peto")
    with pytest.raises(InputError, match="takes two powers >= 0"):
        ch.logrank(table, by="channel", weighting="fleming-harrington")
    with pytest.raises(InputError, match="max-combo test compares two groups, not 3"):
        ch.logrank(table, by="channel", weighting="max-combo")


def test_max_combo_says_which_weighting_was_clearest(table: pd.DataFrame) -> None:
    test = ch.logrank(table, by="cohort", weighting="max-combo", cluster="user_id")
    assert test.df == 4
    assert test.method == "max-combo test, robust score by user_id"
    z = test.facts["z"]
    assert list(z) == [f"Fleming-Harrington({p}, {q})" for p, q in ((0, 0), (1, 0), (0, 1), (1, 1))]
    largest = max(z, key=lambda name: abs(z[name]))
    assert f"largest deviate {abs(z[largest]):.2f}, {largest}, of 4; p = " in repr(test)
    for (p, q), value in zip(((0, 0), (1, 0), (0, 1), (1, 1)), z.values(), strict=True):
        single = ch.logrank(table, by="cohort", weighting=("fleming-harrington", p, q), cluster="user_id")
        assert value**2 == pytest.approx(single.statistic, rel=1e-9)


def test_trend_takes_groups_in_order_or_scores(table: pd.DataFrame) -> None:
    ordered = ch.logrank(table, by="channel", trend=True)
    assert ordered.df == 1
    assert ordered.method == "log-rank test for trend"
    assert dict(ordered.facts["trend"]) == {"web": 0, "shop": 1, "app": 2}
    scored = ch.logrank(table, by="channel", trend={"app": 14, "web": 10, "shop": 12})
    assert scored.statistic == pytest.approx(ordered.statistic, rel=1e-10)
    other = ch.logrank(table, by="channel", trend={"app": 0, "web": 1, "shop": 7})
    assert other.statistic != pytest.approx(ordered.statistic, rel=1e-3)
    # numbers name their groups as they are
    ch.logrank(table.assign(plan=table["duration"] % 3), by="plan", trend={0: 1.0, 1: 2.0, 2: 4.0})


def test_trend_is_the_score_test_of_the_scores(table: pd.DataFrame) -> None:
    """Breslow's robust score is the same with ties; the model-based one is, where no two churn on one day."""
    no_ties = table.assign(duration=np.argsort(np.argsort(table["duration"], kind="stable")) + 1.0)
    no_ties["x"] = no_ties["channel"].map({"web": 0.0, "shop": 1.0, "app": 2.0}).astype(float)
    test = ch.logrank(no_ties, by="channel", trend=True, strata="cohort")
    fit = ch.cox("x", no_ties, strata="cohort", ties="breslow")
    assert test.statistic == pytest.approx(fit.score_test.statistic, rel=1e-9)


@pytest.mark.parametrize(
    ("trend", "said"),
    [
        ({"web": 0, "shop": 1}, r"trend has no score for 'app'"),
        ({"web": 0, "shop": 1, "ap": 2}, r"no score for 'app'\. Did you mean 'app'\?"),
        ({"web": 0, "shop": 1, "app": 2, "tv": 3}, "trend: there is no group 'tv'"),
        ({"web": 0, "shop": 1, "app": float("nan")}, "scores must be finite numbers"),
        ({"web": 0, "shop": 1, "app": "2"}, "scores must be finite numbers"),
        ({"web": 1, "shop": 1, "app": 1}, "all groups have the same score"),
        ("yes", "trend takes True or a mapping"),
    ],
)
def test_trends_that_cannot_be_tested(table: pd.DataFrame, trend, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ch.logrank(table, by="channel", trend=trend)


def test_a_frequency_is_a_row_repeated(table: pd.DataFrame) -> None:
    table["users"] = np.arange(120) % 3 + 1
    repeated = table.loc[table.index.repeat(table["users"])].reset_index(drop=True)
    for way in ({}, {"cluster": "user_id", "strata": "cohort", "entry": "entry"}, {"weighting": "peto-peto"}):
        weighted = ch.logrank(table, by="channel", weights="users", weights_kind="frequency", **way)
        plain = ch.logrank(repeated, by="channel", **way)
        assert weighted.statistic == pytest.approx(plain.statistic, rel=1e-9)
        pd.testing.assert_frame_equal(weighted.table, plain.table)
        pd.testing.assert_frame_equal(weighted.effects, plain.effects, rtol=1e-8)
        assert weighted.facts["n"] == plain.facts["n"]
    with pytest.raises(InputError, match="weights need weights_kind"):
        ch.logrank(table, by="channel", weights="users")


def test_sampling_weights_make_the_test_robust(table: pd.DataFrame) -> None:
    table["drawn"] = np.linspace(0.5, 3, 120)
    test = ch.logrank(table, by="channel", weights="drawn", weights_kind="sampling")
    assert test.method == "log-rank test, robust score by row"
    assert test.table["n"].sum() == 120
    by_row = ch.logrank(
        table.assign(id=range(120)), by="channel", weights="drawn", weights_kind="sampling", cluster="id"
    )
    assert by_row.statistic == pytest.approx(test.statistic, rel=1e-10)


def test_effects_are_cox_and_the_areas_under_the_curves(table: pd.DataFrame) -> None:
    for way in ({}, {"strata": "cohort"}, {"cluster": "user_id"}):
        effects = ch.logrank(table, by="channel", level=0.9, **way).effects
        assert list(effects) == list(schema("effects").names)
        assert effects["group"].tolist() == ["shop", "app"]
        assert set(effects["reference"]) == {"web"}
        fit = ch.cox("channel", table, level=0.9, **way).table
        for name in ("hazard_ratio", "hr_lower", "hr_upper"):
            np.testing.assert_allclose(effects[name], fit[name], rtol=1e-8)
        horizon = table.groupby("channel", observed=True)["duration"].max().min()
        assert set(effects["horizon"]) == {horizon}
        curves = ch.kaplan_meier(table, by="channel").at(range(int(horizon)))
        means = curves.groupby("group", observed=True)["survival"].sum()
        np.testing.assert_allclose(effects["rmst_difference"], means[["shop", "app"]] - means["web"], rtol=1e-9)


def test_effects_that_do_not_exist_say_why() -> None:
    data = pd.DataFrame({"duration": [2, 4, 3, 5, 2, 6], "churned": [1, 1, 1, 0, 0, 0], "g": list("aabbcc")})
    effects = ch.logrank(data, by="g").effects
    assert effects["note"].tolist() == [None, "nobody of 'c' churned: a hazard ratio would be 0"]
    assert effects["hazard_ratio"].isna().tolist() == [False, True]
    assert effects["rmst_difference"].notna().all()
    assert json.loads(ch.logrank(data, by="g").to_json())["facts"]["effects"]["hazard_ratio"][1] is None
    apart = pd.DataFrame({"duration": [1, 2, 7, 8], "churned": 1, "g": list("aabb")})
    assert ch.logrank(apart, by="g").effects["note"][0].startswith("the hazard ratio has no finite estimate")


def test_all_churn_on_day_zero() -> None:
    data = pd.DataFrame({"duration": 0, "churned": [1, 0, 1, 1, 0, 0], "g": list("aaabbb")})
    test = ch.logrank(data, by="g")
    # hypergeometric: 2 of the 3 churns in a, 1.5 expected, variance 3 (3/5) (1/4)
    assert test.statistic == pytest.approx(0.5**2 / (3 * 3 / 5 / 4), rel=1e-10)
    effects = test.effects
    assert effects["horizon"][0] == 0
    assert effects[["rmst_difference", "rmst_lower", "rmst_upper"]].isna().all(axis=None)
    assert np.isfinite(effects["hazard_ratio"][0])


def test_one_user_against_many() -> None:
    data = pd.DataFrame({"duration": [4, 2, 5, 6, 9], "churned": 1, "g": list("abbbb")})
    test = ch.logrank(data, by="g")
    assert test.table["n"].tolist() == [1, 4]
    assert np.isfinite(test.effects["hazard_ratio"][0])


def test_effects_are_drawn(table: pd.DataFrame) -> None:
    axes = ch.logrank(table, by="channel").plot(Figure(figsize=(7, 4)).add_subplot())
    said = [text.get_text() for text in axes.texts]
    assert {"channel", "web", "shop", "app"} <= set(said)
    with pytest.raises(InputError, match="there is no hazard ratio to draw"):
        TestResult(statistic=1.0, df=1, p_value=0.3, method="Wald test").plot()


def test_naive_and_robust_differ_under_frailty() -> None:
    """Spells of one user are alike: tests that take them as independent find differences where there are none."""
    rng = np.random.default_rng(20)
    naive, robust = [], []
    for _ in range(80):
        user = np.repeat(np.arange(60), 5)
        frailty, group = rng.gamma(0.5, 2.0, 60), rng.integers(0, 2, 60)
        life = np.ceil(rng.exponential(20, 300) / np.maximum(frailty[user], 0.02)).astype(int)
        data = pd.DataFrame(
            {"user_id": user, "duration": np.minimum(life, 90), "churned": life <= 90, "group": group[user]}
        )
        naive.append(ch.logrank(data, by="group", cluster=None).p_value < 0.05)
        robust.append(ch.logrank(data, by="group", cluster="user_id").p_value < 0.05)
    assert np.mean(naive) > 0.2
    assert np.mean(robust) < 0.14
