"""The test of proportional hazards through the door: variables, windows, notes, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.survival.ph_test import PHTest, ph_test
from churnsurv.tables import schema


def made(seed: int = 4, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, channel = np.round(rng.normal(size=n), 2), rng.choice(["ads", "friend", "shop"], n)
    time = np.ceil(rng.exponential(30 * np.exp(-0.4 * x - 0.5 * (channel == "shop")))).astype(int) + 2
    follow = rng.integers(4, 60, n)
    return pd.DataFrame(
        {
            "user_id": [f"u{i // 2}" for i in range(n)],
            "entry": np.where(rng.random(n) < 0.3, 2, 0),
            "duration": np.maximum(np.minimum(time, follow), 3),
            "churned": time <= follow,
            "channel": channel,
            "cohort": rng.choice(["2024-01", "2024-02"], n),
            "x": x,
            "users": rng.integers(1, 5, n),
            "drawn": np.round(rng.lognormal(0, 0.7, n), 2) + 0.01,
        }
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return made()


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame) -> ch.CoxFit:
    return ch.cox("channel + x", table, strata="cohort", entry="entry")


def same(one: PHTest, other: PHTest, rtol: float = 1e-8) -> None:
    pd.testing.assert_frame_equal(one.table, other.table, rtol=rtol)
    pd.testing.assert_frame_equal(one.windows, other.windows, rtol=rtol, atol=1e-10)


# ---- What it gives back ----


def test_tables_have_their_layout_and_the_order_of_the_fit(fit: ch.CoxFit) -> None:
    result = ph_test(fit)
    assert tuple(result.table.columns) == schema("ph_test").names
    assert tuple(result.windows.columns) == schema("ph_windows").names
    assert result.table["variable"].tolist() == ["channel", "x", "GLOBAL"]
    assert result.table["df"].tolist() == [2, 1, 3]
    for _, rows in result.windows.groupby("window", sort=False):
        for name in ("term", "variable", "category", "reference"):
            assert rows[name].tolist() == fit.table[name].tolist()
    assert result.windows["window"].unique().tolist() == [
        f"{a:g}-{b:g}"
        for a, b in zip([0, *result.cuts], [*result.cuts, result.windows["window_to"].max()], strict=True)
    ]


def test_thirds_of_the_churns(table: pd.DataFrame, fit: ch.CoxFit) -> None:
    windows = ph_test(fit).windows
    numeric = windows[windows["term"] == "x"]
    assert len(numeric) == 3
    assert numeric["n_events"].sum() == fit.n_events
    largest_day = table[table["churned"]].groupby("duration").size().max()
    assert (numeric["n_events"] - fit.n_events / 3).abs().max() <= largest_day
    categories = windows[windows["variable"] == "channel"].groupby("term")["n_events"].sum()
    churns = table[table["churned"]].groupby("channel").size()
    assert categories.tolist() == [churns["friend"], churns["shop"]]


def test_one_window_is_the_fit(fit: ch.CoxFit) -> None:
    windows = ph_test(fit, cuts=[]).windows
    for name in ("estimate", "std_error", "lower", "upper", "hazard_ratio", "hr_lower", "hr_upper"):
        np.testing.assert_allclose(windows[name], fit.table[name], rtol=1e-8)


def test_the_level_moves_the_limits_alone(fit: ch.CoxFit) -> None:
    wide, narrow = ph_test(fit), ph_test(fit, level=0.5)
    pd.testing.assert_frame_equal(wide.table, narrow.table)
    ratio = (wide.windows["upper"] - wide.windows["estimate"]) / (narrow.windows["upper"] - narrow.windows["estimate"])
    np.testing.assert_allclose(ratio, 1.959963984540054 / 0.6744897501960817, rtol=1e-10)
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        ph_test(fit, level=95)


def test_asking_changes_nothing(fit: ch.CoxFit) -> None:
    before = fit.table
    result = ph_test(fit)
    windows, tests = result.windows, result.table
    windows.loc[0, "estimate"] = tests.loc[0, "statistic"] = 99.0
    pd.testing.assert_frame_equal(fit.table, before)
    same(result, ph_test(fit), rtol=1e-15)


def test_the_headline_names_the_test_and_the_largest_change(table: pd.DataFrame) -> None:
    early = table.assign(flag=np.where(table["duration"] <= 10, "yes", "no"))
    early.loc[::3, "flag"] = "no"
    early.loc[1::9, "flag"] = "yes"
    result = ph_test(ch.cox("flag + x", early), cuts=[10])
    first, second = result.windows.loc[result.windows["term"] == "flag: yes", "hazard_ratio"]
    shown = repr(result)
    assert shown.startswith("<PHTest: flag + x, time by km: GLOBAL chi-square ")
    assert f"largest change: flag: yes, hazard ratio {first:.3g} in days 0-10 and {second:.3g} in days 10-" in shown
    assert f"(ratio {first / second:.3g})" in shown
    assert "p < 0.001" in shown
    assert "no two windows" in repr(ph_test(ch.cox("x", table), cuts=[]))


def test_json_holds_tests_windows_and_notes(table: pd.DataFrame) -> None:
    result = ph_test(ch.cox("channel + x", table, cluster="user_id"), transform="rank")
    said = json.loads(result.to_json())
    assert said["schema"] == {"name": "ph_test", "version": 1}
    assert said["facts"]["transform"] == "rank"
    assert said["facts"]["cluster"] == "user_id"
    assert said["facts"]["cuts"] == list(result.cuts)
    assert said["facts"]["windows"]["term"] == result.windows["term"].tolist()
    assert said["facts"]["notes"] == list(result.notes)


def test_the_plot_marks_the_whole_beside_the_windows(fit: ch.CoxFit) -> None:
    from matplotlib import pyplot

    axes = ph_test(fit).plot()
    upright = [line for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    places = [float(line.get_xdata()[0]) for line in upright]
    assert set(np.round(fit.table["hazard_ratio"], 9)) <= set(np.round(places, 9))
    pyplot.close("all")


# ---- Weights, clusters, rows ----


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 500),
    transform=st.sampled_from(["km", "rank", "identity", "log"]),
    ties=st.sampled_from(["efron", "breslow"]),
    strata=st.sampled_from([None, "cohort"]),
    entry=st.sampled_from([None, "entry"]),
    cluster=st.sampled_from([None, "user_id"]),
)
def test_a_frequency_is_so_many_equal_rows(seed: int, transform: Any, **arguments: Any) -> None:
    rows = made(seed, 200)
    repeated = rows.loc[rows.index.repeat(rows["users"])].reset_index(drop=True)
    weighted = ch.cox("channel + x", rows, weights="users", weights_kind="frequency", **arguments)
    plain = ch.cox("channel + x", repeated, **arguments)
    same(ph_test(weighted, transform=transform, cuts=[10]), ph_test(plain, transform=transform, cuts=[10]))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 500), transform=st.sampled_from(["km", "identity", "log"]))
def test_cutting_rows_changes_nothing(seed: int, transform: Any) -> None:
    rows = made(seed, 200)
    after = rows[rows["duration"] > 7].assign(entry=7)
    before = rows.assign(churned=rows["churned"] & (rows["duration"] <= 7), duration=rows["duration"].clip(upper=7))
    cut = pd.concat([before, after], ignore_index=True)
    one, other = (ch.cox("channel + x", data, entry="entry") for data in (rows, cut))
    same(ph_test(one, transform=transform, cuts=[12]), ph_test(other, transform=transform, cuts=[12]))


def test_the_reference_and_the_unit_of_a_covariate_make_no_difference(table: pd.DataFrame) -> None:
    one = ph_test(ch.cox("channel + x", table))
    other = ph_test(ch.cox("channel + x", table.assign(x=1e6 + 1000 * table["x"]), reference={"channel": "shop"}))
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-7)


def test_sampling_weights_have_no_unit(table: pd.DataFrame) -> None:
    results = [
        ph_test(ch.cox("channel + x", table.assign(w=unit * table["drawn"]), weights="w", weights_kind="sampling"))
        for unit in (1, 1e-5)
    ]
    same(*results, rtol=1e-7)
    assert results[0].weights_kind == "sampling"
    assert any("robust, by the sampling weights" in note for note in results[0].notes)


def test_each_row_its_own_cluster_is_nearly_the_plain_test() -> None:
    rows = made(2, 3000)
    rows["own"] = np.arange(3000)
    plain, robust = (ph_test(ch.cox("x", rows, cluster=cluster)) for cluster in (None, "own"))
    assert robust.table["statistic"][0] == pytest.approx(plain.table["statistic"][0], rel=0.15)
    assert not (robust.table["statistic"] == plain.table["statistic"]).any()
    assert "robust" in repr(robust)


def test_rows_without_risk_count_nowhere(table: pd.DataFrame, fit: ch.CoxFit) -> None:
    idle = table.head(3).assign(duration=2, entry=2, churned=False)
    more = ch.cox("channel + x", pd.concat([table, idle], ignore_index=True), strata="cohort", entry="entry")
    for transform in ("km", "rank"):
        same(ph_test(fit, transform=transform), ph_test(more, transform=transform), rtol=1e-9)


def test_a_fit_without_rows_takes_the_table_again(table: pd.DataFrame, fit: ch.CoxFit) -> None:
    bare = dataclasses.replace(fit, _training=None)
    with pytest.raises(InputError, match=r"tests of proportional hazards need the rows .* data="):
        ph_test(bare)
    same(ph_test(bare, data=table), ph_test(fit), rtol=1e-7)
    with pytest.raises(InputError, match="data holds others"):
        ph_test(fit, data=table.iloc[1:])


# ---- Refused, and said ----


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ties": "grouped"}, "ties='efron' and test that"),
        ({"penalty": 0.1}, "without penalty and test that"),
        ({"penalty": "firth"}, "without penalty and test that"),
    ],
)
def test_other_likelihoods_are_refused_with_the_way_out(fit: ch.CoxFit, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ph_test(dataclasses.replace(fit, **changed))


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        ((10, 5), "must be days > 0 that rise"),
        ((0, 5), "must be days > 0 that rise"),
        ((5, 5), "must be days > 0 that rise"),
        ((5, np.nan), "must be days such as"),
        ((5, 1000), r"the last churn is on day \d+, so that nothing is left after day 1000"),
    ],
)
def test_cuts_that_make_no_windows(fit: ch.CoxFit, cuts: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ph_test(fit, cuts=cuts)


def test_an_unknown_transform_gets_the_nearest_name(fit: ch.CoxFit) -> None:
    with pytest.raises(InputError, match=r"not 'identitiy'. Did you mean 'identity'\?"):
        ph_test(fit, transform="identitiy")  # type: ignore[arg-type]


def test_churn_on_day_zero_belongs_to_the_first_window() -> None:
    data = pd.DataFrame({"duration": [0, 0, 1, 2, 3, 5, 6], "churned": True, "x": [3.0, 1, 2, 1, 4, 2, 0]})
    fit = ch.cox("x", data)
    result = ph_test(fit, cuts=[2])
    assert result.windows["n_events"].tolist() == [4, 3]
    with pytest.raises(InputError, match="every churn after day 0"):
        ph_test(fit, transform="log")


@pytest.mark.filterwarnings("ignore:on day .* churn:churnsurv.errors.ChurnsurvWarning")
def test_a_spike_makes_fewer_windows_and_says_so() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"duration": np.where(rng.random(300) < 0.8, 30, rng.integers(31, 60, 300)), "churned": True})
    data["x"] = rng.normal(size=300)
    result = ph_test(ch.cox("x", data))
    assert result.cuts == (30,)
    assert any("make 2 windows, not three" in note for note in result.notes)


@pytest.mark.filterwarnings("ignore:on day .* churn:churnsurv.errors.ChurnsurvWarning")
def test_churn_on_one_day_is_no_follow_up() -> None:
    data = pd.DataFrame({"duration": [30, 30, 30, 40, 50], "churned": [1, 1, 1, 0, 0], "x": [1.0, 3, 2, 2, 1]})
    with pytest.raises(InputError, match="needs churns on several days"):
        ph_test(ch.cox("x", data))


def test_a_category_of_one_day_loses_its_degree_of_freedom() -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"duration": rng.integers(5, 40, 200), "churned": rng.random(200) < 0.7, "entry": 0})
    data["plan"] = rng.choice(["a", "b"], 200)
    late = pd.DataFrame({"duration": [20, 20, 20], "churned": [1, 0, 1], "entry": 19, "plan": "late"})
    data.loc[200 - 1, ["duration", "churned"]] = [20, True]
    result = ph_test(ch.cox("plan", pd.concat([data, late], ignore_index=True), entry="entry"), cuts=[15])
    assert result.table["df"].tolist() == [1, 1]
    assert any(note.startswith("plan: for 1 of 2 coefficients the churns tell nothing") for note in result.notes)
    first = result.windows[result.windows["window"] == "0-15"].set_index("term")
    assert first.loc["plan: late", "note"] == "nobody at risk of this category in this window"
    assert np.isnan(first.loc["plan: late", "hazard_ratio"])
    assert first.loc["plan: late", "n_events"] == 0
    assert any("1 of 4 hazard ratios by window have no estimate" in note for note in result.notes)


def test_a_window_without_churn_is_null_with_its_reason(table: pd.DataFrame) -> None:
    gap = table[(table["duration"] < 10) | (table["duration"] > 20)]
    windows = ph_test(ch.cox("channel + x", gap), cuts=[11, 19]).windows
    middle = windows[windows["window"] == "11-19"]
    assert set(middle["note"]) == {"no churn in this window"}
    assert middle["estimate"].isna().all()
    assert windows[windows["window"] != "11-19"]["note"].isna().all()


def test_notes_for_many_churns_and_for_few_clusters(table: pd.DataFrame) -> None:
    many = ph_test(ch.cox("x", pd.concat([table] * 5, ignore_index=True)))
    assert many.notes[0].startswith("with 1,")
    assert "judge by the hazard ratios by window" in many.notes[0]
    few = ph_test(ch.cox("x", table.assign(group=np.arange(400) % 7), cluster="group"))
    assert any("7 clusters are few for a robust test on 1 df" in note for note in few.notes)
    assert ph_test(ch.cox("x", table)).notes == ()
