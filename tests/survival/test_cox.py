"""The door of Cox regression: table, tests, baseline, notes, warnings, and everything that is refused."""

from __future__ import annotations

import json
import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError, SchemaError
from churnsurv.tables import schema


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 400
    channel = rng.choice(["ads", "friend", "shop"], n)
    amount = rng.lognormal(5, 1, n)
    hazard = 0.02 * np.exp(0.5 * (channel == "shop") - 0.2 * (np.log(amount) - 5))
    time, censored = np.ceil(rng.exponential(1 / hazard)).astype(int), rng.integers(20, 120, n)
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 2,
            "entry": np.where(rng.random(n) < 0.3, 5, 0),
            "duration": np.maximum(np.minimum(time, censored), 6),
            "churned": time <= censored,
            "channel": channel,
            "cohort": rng.choice(["2024-01", "2024-02"], n),
            "amount": amount,
            "paid": rng.random(n) < 0.5,
        }
    )


def test_one_binary_covariate_by_hand() -> None:
    # at risk on day 2: {1, 1, r, r}, r churns; on day 3: {1, 1, r}; on day 4: {1, r}, and 1 churns on both
    data = pd.DataFrame({"duration": [2, 3, 4, 5], "churned": [1, 1, 1, 0], "g": ["b", "a", "a", "b"]})
    # 1 - r/(1 + r) - r/(2 + r) - r/(1 + r) = 0  <=>  r^2 + r - 1 = 0: the golden ratio
    r = (np.sqrt(5) - 1) / 2
    fit = ch.cox("g", data)
    row = fit.table.iloc[0]
    assert row["estimate"] == pytest.approx(np.log(r), abs=1e-12)
    information = 2 * r / (1 + r) ** 2 + 2 * r / (2 + r) ** 2
    assert row["std_error"] == pytest.approx(information**-0.5, rel=1e-10)
    assert row["statistic"] == pytest.approx(np.log(r) * information**0.5, abs=1e-10)
    assert fit.log_likelihood == pytest.approx(np.log(r) - np.log(2 + 2 * r) - np.log(2 + r) - np.log(1 + r), abs=1e-12)
    assert fit.log_likelihood_null == pytest.approx(-np.log(4 * 3 * 2), abs=1e-12)
    # score 1 - 1/2 - 1/3 - 1/2 = -1/3, information 1/4 + 2/9 + 1/4
    assert fit.score_test.statistic == pytest.approx((1 / 9) / (13 / 18), rel=1e-12)
    np.testing.assert_allclose(
        fit.baseline["cumulative_hazard"], np.cumsum([1 / (2 + 2 * r), 1 / (2 + r), 1 / (1 + r)]), rtol=1e-12
    )


def test_the_table_follows_its_schema(table: pd.DataFrame) -> None:
    fit = ch.cox("channel + log(amount) + paid", table, reference={"channel": "friend"}, level=0.9)
    found = fit.table
    assert tuple(found) == schema("cox").names
    assert found["term"].tolist() == ["channel: ads", "channel: shop", "log(amount)", "paid: True"]
    assert found["variable"].tolist() == ["channel", "channel", "log(amount)", "paid"]
    assert found["category"].tolist() == ["ads", "shop", None, "True"]
    assert found["reference"].tolist() == ["friend", "friend", None, "False"]
    assert found["known_at"].tolist() == ["given"] * 4
    np.testing.assert_allclose(found["std_error"] ** 2, np.diagonal(fit.covariance), rtol=1e-14)
    np.testing.assert_allclose(found["statistic"], found["estimate"] / found["std_error"], rtol=1e-14)
    np.testing.assert_allclose(found["upper"] - found["estimate"], 1.6448536269514722 * found["std_error"], rtol=1e-12)
    np.testing.assert_allclose(found["estimate"] - found["lower"], 1.6448536269514722 * found["std_error"], rtol=1e-12)
    for ratio, log in (("hazard_ratio", "estimate"), ("hr_lower", "lower"), ("hr_upper", "upper")):
        np.testing.assert_allclose(found[ratio], np.exp(found[log]), rtol=1e-14)
    assert found["p_value"].between(0, 1).all()


def test_p_values_are_two_sided_normal(table: pd.DataFrame) -> None:
    from scipy.stats import norm

    found = ch.cox("channel + log(amount)", table).table
    np.testing.assert_allclose(found["p_value"], 2 * norm.sf(found["statistic"].abs()), rtol=1e-12)


def test_a_fit_cannot_be_changed(table: pd.DataFrame) -> None:
    fit = ch.cox("channel", table)
    with pytest.raises(FrozenInstanceError):
        fit.n = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        fit.covariance[0, 0] = 1.0
    fit.table["estimate"] = 0.0
    fit.baseline["time"] = 0.0
    assert fit.table["estimate"].abs().min() > 0
    assert fit.baseline["time"].min() > 0


def test_json_and_text(table: pd.DataFrame) -> None:
    fit = ch.cox("channel + log(amount)", table, strata="cohort", cluster="user_id")
    told = json.loads(fit.to_json())
    facts = told["facts"]
    assert told["kind"] == "CoxFit"
    assert facts["formula"] == "channel + log(amount)"
    assert (facts["strata"], facts["cluster"], facts["n_clusters"]) == (["cohort"], "user_id", 200)
    assert (facts["n"], facts["n_events"]) == (400, int(table["churned"].sum()))
    assert [test["method"] for test in facts["tests"]] == [
        "likelihood-ratio test, rows taken as independent",
        "robust Wald test",
        "score test, rows taken as independent",
    ]
    assert told["table"]["term"] == ["channel: friend", "channel: shop", "log(amount)"]
    assert repr(fit).startswith("<CoxFit: channel + log(amount): 400 rows, ")
    assert "channel: shop" in fit._repr_html_()


def test_the_three_tests_belong_together(table: pd.DataFrame) -> None:
    fit = ch.cox("channel", table)
    assert fit.likelihood_ratio_test.statistic == pytest.approx(2 * (fit.log_likelihood - fit.log_likelihood_null))
    assert {t.df for t in (fit.likelihood_ratio_test, fit.wald_test, fit.score_test)} == {2}
    one = ch.cox("log(amount)", table)
    assert one.wald_test.statistic == pytest.approx(one.table["statistic"][0] ** 2, rel=1e-12)
    assert one.wald_test.p_value == pytest.approx(one.table["p_value"][0], rel=1e-9)
    # without ties the score test of groups is the log-rank test
    apart = table.assign(duration=table["duration"] + np.linspace(0, 0.9, 400))
    score, logrank = ch.cox("channel", apart).score_test, ch.logrank(apart, by="channel")
    assert score.statistic == pytest.approx(logrank.statistic, rel=1e-10)


def test_the_baseline_is_at_covariates_zero(table: pd.DataFrame) -> None:
    fit = ch.cox("channel + log(amount)", table, strata="cohort")
    found = fit.baseline
    assert tuple(found) == schema("baseline").names
    assert found["stratum"].unique().tolist() == ["2024-01", "2024-02"]
    assert (found.groupby("stratum")["cumulative_hazard"].diff().dropna() > 0).all()
    # a covariate moved by its unit moves the baseline by its coefficient
    moved = ch.cox("channel + I(log(amount) - 5)", table, strata="cohort").baseline
    ratio = moved["cumulative_hazard"] / found["cumulative_hazard"]
    np.testing.assert_allclose(ratio, np.exp(5 * fit.table["estimate"].iloc[-1]), rtol=1e-9)


def test_a_baseline_beyond_floating_point_is_infinite_or_zero_not_wrong() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    data = pd.DataFrame({"duration": rng.integers(1, 50, 100), "churned": True, "x": x + 1e6})
    fit = ch.cox("x", data)
    assert np.isin(fit.baseline["cumulative_hazard"], [0.0, np.inf]).all()


@pytest.mark.parametrize("convert", [pl.from_pandas, lambda frame: frame], ids=["polars", "pandas"])
def test_any_table_gives_the_same_fit(table: pd.DataFrame, convert) -> None:
    fit = ch.cox("channel * log(amount)", convert(table), entry="entry", strata="cohort")
    pd.testing.assert_frame_equal(fit.table, ch.cox("channel*log(amount)", table, entry="entry", strata="cohort").table)


def test_columns_of_other_names(table: pd.DataFrame) -> None:
    renamed = table.rename(columns={"duration": "T", "churned": "E", "entry": "L"})
    ours = ch.cox("channel", table, entry="entry")
    theirs = ch.cox("channel", renamed, duration="T", event="E", entry="L")
    pd.testing.assert_frame_equal(ours.table, theirs.table)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_units_of_nine_orders_up_and_down(table: pd.DataFrame, ties) -> None:
    plain = ch.cox("amount + I(amount**2)", table, ties=ties).table
    far = table.assign(amount=table["amount"] * 1e-9, square=table["amount"] ** 2 * 1e9 + 1e12)
    scaled = ch.cox("amount + square", far, ties=ties).table
    np.testing.assert_allclose(scaled["estimate"] * [1e-9, 1e9], plain["estimate"], rtol=1e-7)
    np.testing.assert_allclose(scaled["statistic"], plain["statistic"], rtol=1e-7)


def test_robust_and_model_based_errors_differ_estimates_do_not(table: pd.DataFrame) -> None:
    twice = pd.concat([table, table], ignore_index=True).assign(twin=np.tile(np.arange(400), 2))
    robust, naive = ch.cox("channel", twice, cluster="twin"), ch.cox("channel", twice)
    alone = ch.cox("channel", table.assign(twin=np.arange(400)), cluster="twin", ties="breslow")
    doubled = ch.cox("channel", twice, cluster="twin", ties="breslow")
    np.testing.assert_allclose(robust.table["estimate"], naive.table["estimate"], rtol=1e-10)
    assert (robust.table["std_error"] > 1.2 * naive.table["std_error"]).all()
    # a row and its twin in one cluster say as much as the row alone
    np.testing.assert_allclose(doubled.covariance, alone.covariance, rtol=1e-9)


def test_clusters_of_categories_alone_use_every_row() -> None:
    rng = np.random.default_rng(1)
    n = 3_000
    data = pd.DataFrame(
        {
            "duration": rng.integers(1, 8, n),
            "churned": rng.random(n) < 0.15,
            "g": rng.choice(["a", "b"], n),
            "id": rng.integers(0, 300, n),
        }
    )
    collapsed = ch.cox("g", data, cluster="id")
    numeric = ch.cox("I(0 + b)", data.assign(b=(data["g"] == "b") * 1.0), cluster="id")
    np.testing.assert_allclose(collapsed.covariance, numeric.covariance, rtol=1e-9)
    np.testing.assert_allclose(
        collapsed.baseline["cumulative_hazard"], numeric.baseline["cumulative_hazard"], rtol=1e-9
    )


def test_rows_without_risk_are_counted(table: pd.DataFrame) -> None:
    more = pd.concat([table, table.head(3).assign(duration=5, entry=5, churned=False)], ignore_index=True)
    fit, without = ch.cox("channel", more, entry="entry"), ch.cox("channel", table, entry="entry")
    assert (fit.n, fit.n_no_risk, without.n_no_risk) == (400, 3, 0)
    pd.testing.assert_frame_equal(fit.table, without.table)


def test_notes_tell_what_a_reader_must_know(table: pd.DataFrame) -> None:
    data = table.assign(
        channel=table["channel"].where(table.index % 50 != 0),
        cohort=np.where(table["churned"] | (table.index % 2 == 0), table["cohort"], "2024-09"),
    )
    fit = ch.cox("channel", data, strata="cohort")
    assert fit.notes == (
        "1 stratum has no churn and adds nothing to the estimates: '2024-09'.",
        "8 missing values of channel form the category '(missing)'.",
    )
    assert fit.table["category"].tolist() == ["friend", "shop", "(missing)"]


def test_unused_categories_and_categories_nobody_at_risk_has(table: pd.DataFrame) -> None:
    young = table.head(5).assign(channel="new", duration=3, churned=False, entry=0)
    data = pd.concat([table, young], ignore_index=True)
    data["channel"] = pd.Categorical(data["channel"], categories=["unused", "shop", "new", "friend", "ads"])
    fit = ch.cox("channel", data)
    assert fit.table["term"].tolist() == ["channel: friend", "channel: ads"]
    assert fit.notes == ("channel: new (5 rows) has nobody at risk on a day with churn, so it has no coefficient.",)
    plain = ch.cox("channel", table, reference={"channel": "shop"}).table.set_index("term")
    np.testing.assert_allclose(
        fit.table.set_index("term")["estimate"], plain.loc[fit.table["term"], "estimate"], rtol=1e-9
    )


def test_a_crowded_day_is_warned_of_with_its_share() -> None:
    data = pd.DataFrame(
        {
            "duration": [30] * 40 + list(range(31, 91)),
            "churned": True,
            "x": np.random.default_rng(0).normal(size=100),
        }
    )
    with pytest.warns(ChurnsurvWarning, match=r"on day 30, 40 of 100 rows at risk churn \(40%\).*40% of all churns"):
        fit = ch.cox("x", data)
    assert "on day 30" in fit.notes[0]


def test_a_crowded_day_of_a_stratum_is_named_with_it() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "duration": [*range(1, 101), *[30] * 30, *range(31, 61)],
            "churned": True,
            "s": ["a"] * 100 + ["b"] * 60,
            "x": rng.normal(size=160),
        }
    )
    with pytest.warns(ChurnsurvWarning, match="on day 30, 30 of 60 rows at risk of stratum 'b' churn"):
        ch.cox("x", data, strata="s")


def test_a_crowded_day_of_many_small_strata_is_seen() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "duration": np.tile([*[30] * 4, *range(31, 37)], 20),
            "churned": True,
            "s": np.repeat(np.arange(20), 10),
            "x": rng.normal(size=200),
        }
    )
    with pytest.warns(ChurnsurvWarning, match=r"on day 30, 80 of 200 rows at risk \(in 20 strata\) churn"):
        ch.cox("x", data, strata="s")


def test_small_ties_at_the_end_are_no_crowded_day() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"duration": np.arange(200) // 2 + 1, "churned": True, "x": rng.normal(size=200)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ch.cox("x", data)


def test_more_coefficients_than_churns_are_warned_of() -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(60, 5)), columns=list("abcde")).assign(
        duration=rng.integers(1, 40, 60), churned=False
    )
    data.loc[[3, 9, 30], "churned"] = True
    with pytest.warns(ChurnsurvWarning, match="5 coefficients are estimated from 3 churns"):
        ch.cox("a + b + c + d + e", data)


# ---- What is refused ----


@pytest.mark.parametrize("name", ["duration", "churned"])
def test_the_outcome_is_no_covariate(table: pd.DataFrame, name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' cannot be a covariate: it is the outcome itself"):
        ch.cox(f"channel + log1p({name})" if name == "duration" else f"channel + {name}", table)
    with pytest.raises(InputError, match="'T' cannot be a covariate"):
        ch.cox("T", table.rename(columns={"duration": "T"}), duration="T")


def test_a_named_entry_is_no_covariate(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="'entry' cannot be a covariate: it says when observation began"):
        ch.cox("entry", table, entry="entry")


@pytest.mark.parametrize(
    ("formula", "changes", "error", "message"),
    [
        ("chanel", {}, SchemaError, "'chanel' is missing. Did you mean 'channel'"),
        ("channel", {"strata": "cohrt"}, SchemaError, "Did you mean 'cohort'"),
        ("channel", {"cluster": "user"}, SchemaError, "'user' is missing"),
        ("channel", {"ties": "exact"}, InputError, "ties must be one of 'efron', 'breslow', 'grouped', not 'exact'"),
        ("channel", {"level": 95}, InputError, "level must lie between 0 and 1"),
        ("channel", {"reference": {"channel": "fiend"}}, InputError, "Did you mean 'friend'"),
        ("channel", {"cluster": "cohort"}, InputError, "has 2 values, too few for 2 coefficients"),
        ("churned ~ channel", {}, InputError, "left side"),
        ("channel", {"strata": "channel"}, ConvergenceError, "do not vary among the rows at risk.*out of the strata"),
        ("amount + I(2 * amount)", {}, ConvergenceError, r"'amount' and 'I\(2 \* amount\)' are collinear"),
        ("channel + I(channel == 'shop')", {}, ConvergenceError, "are collinear"),
    ],
)  # fmt: skip
def test_arguments_at_fault(table: pd.DataFrame, formula: str, changes, error, message: str) -> None:
    with pytest.raises(error, match=message):
        ch.cox(formula, table, **changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"churned": False}, ConvergenceError, "none of the 400 rows at risk churned"),
        ({"amount": 3.0}, InputError, "'amount' has no variance: every row is 3"),
        ({"channel": "ads"}, InputError, "'channel' has no variance: every row at risk is ads"),
        ({"amount": np.where(np.arange(400) == 7, np.nan, 1.0)}, InputError, "has 1 missing .* first at row 7"),
        ({"amount": np.where(np.arange(400) == 9, np.inf, 1.0)}, InputError, r"first at row 9 \(inf\)"),
        ({"duration": -1}, InputError, "duration must be >= 0"),
        ({"amount": pd.Timestamp("2024-01-01")}, InputError, "'amount' holds dates"),
    ],
)  # fmt: skip
def test_data_at_fault(table: pd.DataFrame, changes, error, message: str) -> None:
    with pytest.raises(error, match=message):
        ch.cox("channel + amount", table.assign(**changes))


def test_an_empty_table(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no rows"):
        ch.cox("channel", table.head(0))


def test_a_category_without_churn_is_named(table: pd.DataFrame) -> None:
    loyal = table.assign(churned=table["churned"] & (table["channel"] != "shop"))
    with pytest.raises(
        ConvergenceError, match=r"none of the rows at risk in 'channel: shop' \(\d+ rows\) has the event"
    ):
        ch.cox("channel + amount", loyal)
    with pytest.raises(ConvergenceError, match=r"'channel: shop' \(\d+ rows, the reference\)"):
        ch.cox("channel + amount", loyal, reference={"channel": "shop"})


def test_separation_by_a_number_is_named(table: pd.DataFrame) -> None:
    with pytest.raises(ConvergenceError, match=r"separation.*'score' to plus infinity"):
        ch.cox("score + amount", table.assign(score=(table["churned"] * 1.0)))
    with pytest.raises(ConvergenceError, match=r"separation.*'score' to minus infinity"):
        ch.cox("score", table.assign(score=table["duration"] * 1e9))


# ---- Our own spells ----


@pytest.fixture(scope="module")
def log() -> ch.ActivityLog:
    return ch.simulate_app(n_users=2_000, seed=3).log


@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
def test_spells_bring_entry_rule_and_known_at(log: ch.ActivityLog) -> None:
    spells = log.churn_spells(features=["n_investments"], baseline_day=30)
    fit = ch.cox("channel * log1p(n_investments)", spells)
    by_hand = ch.cox("channel * log1p(n_investments)", spells.table, entry="entry")
    pd.testing.assert_series_equal(fit.table["estimate"], by_hand.table["estimate"])
    known = fit.table.set_index("term")["known_at"]
    assert known["log1p(n_investments)"] == "day 30"
    assert known[known.index.str.contains("×")].str.contains("day 30").all()
    assert json.loads(fit.to_json())["facts"]["data"]["rule"]["idle_days"] == 30


@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
def test_all_spells_are_clustered_by_user_unless_told_otherwise(log: ch.ActivityLog) -> None:
    spells = log.churn_spells(spells="all")
    assert ch.cox("channel + spell", spells).cluster == "user_id"
    assert ch.cox("channel + spell", spells).table["known_at"].iloc[-1] == "origin"
    assert ch.cox("channel", spells, cluster=None).cluster is None
    assert ch.cox("channel", log.churn_spells()).cluster is None


@pytest.mark.parametrize("name", ["duration", "churned", "end_date", "last_activity", "entry", "origin_known"])
def test_columns_that_look_ahead_are_refused(log: ch.ActivityLog, name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' cannot be a covariate: it .*baseline_day=30"):
        ch.cox(f"channel + {name}", log.churn_spells())


def test_days_known_at_are_the_latest_of_the_parts() -> None:
    from churnsurv.survival.covariates import Row
    from churnsurv.survival.regression import latest_known

    known = {"a": "origin", "b": "day 30", "c": "day 7", "d": "given"}
    for columns, expected in (
        ("a", "origin"),
        ("ab", "day 30"),
        ("bc", "day 30"),
        ("abd", "day 30, given"),
        ("x", "given"),
    ):
        assert latest_known(Row("", "", None, None, tuple(columns)), known) == expected


def test_a_plot_is_drawn_from_the_table(table: pd.DataFrame) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes = ch.cox("channel", table).plot()
    assert axes.figure is not None
    pyplot.close("all")


def test_separation_is_named_where_every_hazard_of_a_segment_underflows() -> None:
    data = pd.DataFrame(
        {
            "entry": [10, 0, 10, 10, 10, 10],
            "duration": [12, 4, 44 / 3, 34 / 3, 35 / 3, 34 / 3],
            "churned": [1, 1, 1, 0, 1, 1],
            "g": list("baaaab"),
            "s": list("xyyxxx"),
            "x": [-0.031, -0.139, -0.031, 0.027, 0.002, -0.005],
        }
    )
    with pytest.raises(ConvergenceError, match=r"separation.*infinity"):
        ch.cox("g + x", data, entry="entry", strata="s")
