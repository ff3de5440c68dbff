"""Contrasts and joint tests through the door."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.survival.contrasts import contrasts, joint_test, joint_tests
from churnsurv.tables import schema


def made(seed: int = 1, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    channel, plan, x = rng.choice(["ads", "friend", "search", "shop"], n), rng.choice(["a", "b"], n), rng.normal(size=n)
    time = np.ceil(rng.exponential(30 * np.exp(-0.4 * x - 0.6 * (channel == "shop"))))
    return pd.DataFrame(
        {
            "user_id": np.arange(n) // 3,
            "duration": np.minimum(time, 50).astype(int),
            "churned": time <= 50,
            "channel": channel,
            "plan": plan,
            "x": x,
        }
    )


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return made()


@pytest.fixture(scope="module")
def fit(data: pd.DataFrame) -> ch.CoxFit:
    return ch.cox("channel + plan + x", data)


# ---- All pairs ----


def test_two_categories_by_hand() -> None:
    # Churn on days 1, 2, 3 in groups a, b, a: the hazard ratio is sqrt 2 and the information 2 sqrt 2 / (3 + 2 sqrt 2).
    data = pd.DataFrame({"duration": [1, 2, 3], "churned": True, "g": ["a", "b", "a"]})
    found = contrasts(ch.cox("g", data), variable="g").table.iloc[0]
    error = np.sqrt((3 + 2 * np.sqrt(2)) / (2 * np.sqrt(2)))
    assert found["contrast"] == "b - a"
    assert found["estimate"] == pytest.approx(np.log(np.sqrt(2)), rel=1e-10)
    assert found["std_error"] == pytest.approx(error, rel=1e-10)
    assert found["statistic"] == pytest.approx(np.log(np.sqrt(2)) / error, rel=1e-10)
    assert found["p_value"] == pytest.approx(2 * norm.sf(np.log(np.sqrt(2)) / error), rel=1e-10)
    assert found["p_adjusted"] == found["p_value"]
    assert found["hr_upper"] == pytest.approx(np.sqrt(2) * np.exp(norm.ppf(0.975) * error), rel=1e-9)


def test_pairs_with_the_reference_are_the_rows_of_the_fit(fit: ch.CoxFit) -> None:
    pairs = contrasts(fit, variable="channel", adjust="none").table.set_index("contrast")
    assert tuple(pairs.reset_index().columns) == schema("contrasts").names
    rows = fit.table[fit.table["variable"] == "channel"]
    for row in rows.itertuples():
        mine = pairs.loc[f"{row.category} - ads"]
        for name in ("estimate", "std_error", "p_value", "lower", "upper", "hazard_ratio", "hr_lower", "hr_upper"):
            assert mine[name] == pytest.approx(getattr(row, name), rel=1e-12)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 500),
    formula=st.sampled_from(["channel", "channel + plan * x", "x + channel"]),
    cluster=st.sampled_from([None, "user_id"]),
    adjust=st.sampled_from(["holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"]),
)
def test_the_reference_makes_no_difference(seed: int, formula: str, cluster: str | None, adjust: str) -> None:
    data = made(seed, 300)
    tables = []
    for reference in ("ads", "shop"):
        fit = ch.cox(formula, data, cluster=cluster, reference={"channel": reference})
        tables.append(contrasts(fit, variable="channel", adjust=adjust).table.set_index("contrast"))
    names = ["ads", "friend", "search", "shop"]
    for low, high in itertools.combinations(names, 2):
        one = tables[0].loc[f"{high} - {low}"]
        turned = f"{high} - {low}" not in tables[1].index
        other = tables[1].loc[f"{low} - {high}" if turned else f"{high} - {low}"]
        sign = -1 if turned else 1
        assert one["estimate"] == pytest.approx(sign * other["estimate"], rel=1e-6, abs=1e-9)
        assert one["lower"] == pytest.approx(-other["upper"] if turned else other["lower"], rel=1e-6, abs=1e-9)
        for name in ("std_error", "p_value", "p_adjusted"):
            assert one[name] == pytest.approx(other[name], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("adjust", ["holm", "bonferroni", "hommel"])
def test_limits_hold_together_where_p_values_do(fit: ch.CoxFit, adjust: str) -> None:
    result = contrasts(fit, variable="channel", adjust=adjust, level=0.9)
    alone = contrasts(fit, variable="channel", adjust="none", level=1 - 0.1 / 6).table
    assert result.limits == "simultaneous"
    np.testing.assert_allclose(result.table[["lower", "upper"]], alone[["lower", "upper"]], rtol=1e-9)
    assert (result.table["p_adjusted"] >= result.table["p_value"]).all()


@pytest.mark.parametrize("adjust", ["fdr_bh", "fdr_by", "none"])
def test_other_limits_hold_alone(fit: ch.CoxFit, adjust: str) -> None:
    result = contrasts(fit, variable="channel", adjust=adjust)
    assert result.limits == "each alone"
    reach = norm.ppf(0.975) * result.table["std_error"]
    np.testing.assert_allclose(result.table["upper"] - result.table["estimate"], reach, rtol=1e-10)


# ---- Named sums ----


def test_sums_are_weights_times_coefficients(fit: ch.CoxFit) -> None:
    b, V = fit.table.set_index("term")["estimate"], fit.covariance
    terms = fit.table["term"].tolist()
    weights = {"friend or search": {"channel: friend": 0.5, "channel: search": 0.5}, "x by two": {"x": 2}}
    found = contrasts(fit, weights, adjust="none").table
    assert found["contrast"].tolist() == list(weights)
    for row, of_terms in zip(found.itertuples(), weights.values(), strict=True):
        line = np.array([of_terms.get(term, 0.0) for term in terms])
        assert row.estimate == pytest.approx(line @ b.to_numpy(), rel=1e-12)
        assert row.std_error == pytest.approx(np.sqrt(line @ V @ line), rel=1e-12)


def test_a_reference_category_has_coefficient_zero(fit: ch.CoxFit) -> None:
    named = {"shop - ads": {"channel: shop": 1, "channel: ads": -1}, "b - a": {"plan: b": np.float64(1), "plan: a": -1}}
    found = contrasts(fit, named, adjust="none").table.set_index("contrast")
    pairs = contrasts(fit, variable="channel", adjust="none").table.set_index("contrast")
    pd.testing.assert_series_equal(found.loc["shop - ads"], pairs.loc["shop - ads"], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of them, not both"),
        ({"weights": {"a": {"x": 1}}, "variable": "channel"}, "one of them, not both"),
        ({"weights": {}}, "names no contrast"),
        ({"weights": {"a": {"channel: serch": 1}}}, r"no term of the model. Did you mean 'channel: search'\?"),
        ({"weights": {"a": {"x": np.nan}}}, "must be a finite number, not nan"),
        ({"weights": {"a": {"x": "1"}}}, "must be a finite number, not '1'"),
        ({"weights": {"a": {"channel: ads": 1}}}, "'a' is zero whatever the coefficients are"),
        ({"weights": {"x": 1}}, "must map terms to numbers, not be 1"),
        ({"variable": "chanel"}, r"'chanel' is no variable of the model. Did you mean 'channel'\?"),
        ({"variable": "x"}, "no categories to compare with a reference"),
        ({"variable": "channel", "adjust": "bonferoni"}, r"Did you mean 'bonferroni'\?"),
        ({"variable": "channel", "level": 95}, "level must lie between"),
    ],
)
def test_what_cannot_be_asked_is_said(fit: ch.CoxFit, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        contrasts(fit, **arguments)


def test_an_interaction_is_no_list_of_categories(data: pd.DataFrame) -> None:
    crossed = ch.cox("channel * plan", data)
    with pytest.raises(
        InputError, match=r"'channel:plan' has no categories .* Categorical variables: 'channel', 'plan'"
    ):
        contrasts(crossed, variable="channel:plan")
    assert len(contrasts(crossed, variable="channel").table) == 6


def test_a_fit_without_covariance_has_no_contrasts(fit: ch.CoxFit) -> None:
    lasso = dataclasses.replace(fit, covariance=np.full_like(fit.covariance, np.nan))
    with pytest.raises(InputError, match="lasso penalty"):
        contrasts(lasso, variable="channel")
    nothing = dataclasses.replace(fit, covariance=np.zeros_like(fit.covariance))
    with pytest.raises(InputError, match="gives the contrast 'friend - ads' no variance"):
        contrasts(nothing, variable="channel")


def test_too_many_pairs_are_refused(fit: ch.CoxFit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("churnsurv.survival.contrasts._MOST_CATEGORIES", 3)
    with pytest.raises(InputError, match="4 categories, too many"):
        contrasts(fit, variable="channel")


def test_result_says_what_matters(data: pd.DataFrame, fit: ch.CoxFit) -> None:
    result = contrasts(fit, variable="channel")
    assert repr(result).startswith("<Contrasts: 6 contrasts, holm; clearest: shop - ")
    facts = json.loads(result.to_json())["facts"]
    assert facts == {"level": 0.95, "adjust": "holm", "limits": "simultaneous", "cluster": None}
    one = contrasts(ch.cox("plan", data, cluster="user_id"), variable="plan")
    assert repr(one).startswith("<Contrasts: b - a: hazard ratio ")
    assert json.loads(one.to_json())["facts"]["cluster"] == "user_id"
    table = result.table
    table.loc[0, "estimate"] = 99.0
    assert result.table["estimate"][0] != 99.0


def test_contrasts_draw_a_line_each(fit: ch.CoxFit) -> None:
    from matplotlib import pyplot

    axes = contrasts(fit, variable="channel").plot()
    assert "shop - ads" in [text.get_text() for text in axes.texts]
    pyplot.close("all")


# ---- Joint tests ----


def test_all_variables_together_are_the_wald_test(fit: ch.CoxFit) -> None:
    test = joint_test(fit, ["channel", "plan", "x"])
    assert (test.df, test.statistic) == (fit.wald_test.df, pytest.approx(fit.wald_test.statistic, rel=1e-9))
    assert test.p_value == pytest.approx(chi2.sf(test.statistic, 5), rel=1e-9)
    assert test.method == "joint Wald test of channel, plan, x"


def test_one_term_is_its_row(fit: ch.CoxFit) -> None:
    for row in fit.table.itertuples():
        test = joint_test(fit, row.term)
        assert (test.df, test.statistic) == (1, pytest.approx(row.statistic**2, rel=1e-10))
        assert test.p_value == pytest.approx(row.p_value, rel=1e-9)


def test_naming_a_term_twice_tests_it_once(fit: ch.CoxFit) -> None:
    assert joint_test(fit, ["channel", "channel: shop"]).statistic == joint_test(fit, "channel").statistic


def test_by_variable(data: pd.DataFrame) -> None:
    fit = ch.cox("channel * x + plan", data, cluster="user_id")
    table = joint_tests(fit)
    assert tuple(table.columns) == schema("joint_tests").names
    assert table["variable"].tolist() == list(dict.fromkeys(fit.table["variable"]))
    for row in table.itertuples():
        test = joint_test(fit, row.variable)
        assert (row.statistic, row.df, row.p_value) == (test.statistic, test.df, test.p_value)
        assert test.method == f"robust joint Wald test of {row.variable}"


def test_a_covariance_of_low_rank_is_said(fit: ch.CoxFit) -> None:
    low = np.outer(np.arange(1.0, 6.0), np.arange(1.0, 6.0))
    poor = dataclasses.replace(fit, covariance=low, cluster="user_id", _n_clusters=6)
    with pytest.raises(InputError, match="6 clusters are too few to test so many together"):
        joint_test(poor, "channel")
    table = joint_tests(poor)
    assert table["statistic"].isna().tolist() == [True, False, False]
    assert table["p_value"].isna().tolist() == [True, False, False]
    assert table["df"].tolist() == [3, 1, 1]


def test_names_that_are_not_there(fit: ch.CoxFit) -> None:
    with pytest.raises(InputError, match=r"'chanel' is no variable and no term of the model. Did you mean 'channel'\?"):
        joint_test(fit, ["x", "chanel"])
    with pytest.raises(InputError, match="needs the name"):
        joint_test(fit, [])


def test_penalised_fits_have_no_wald_tests(fit: ch.CoxFit) -> None:
    ridge = dataclasses.replace(fit, penalty=0.1)
    for ask in (lambda: joint_test(ridge, "x"), lambda: joint_tests(ridge)):
        with pytest.raises(InputError, match="no joint Wald test"):
            ask()
