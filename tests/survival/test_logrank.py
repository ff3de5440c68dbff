"""The door of the log-rank test: groups, strata, clusters, the table, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

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
