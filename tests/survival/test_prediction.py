"""Questions to a Cox fit about new rows: what must hold whatever the data, what is kept, what is refused and how."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.survival import newdata
from churnsurv.survival.newdata import design_order
from churnsurv.survival.prediction import churn_probability, expected_days, risk, survival
from churnsurv.tables import schema

pytestmark = pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")


@pytest.fixture(scope="module")
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
            "known": rng.normal(size=n),
        }
    )


@pytest.fixture(scope="module")
def fit(table):
    return ch.cox("channel + log(amount) + paid", table, strata="cohort", entry="entry", cluster="user_id")


def test_one_binary_covariate_by_hand() -> None:
    # the estimate is the log of the golden ratio: see test_cox
    data = pd.DataFrame({"duration": [2, 3, 4, 5], "churned": [1, 1, 1, 0], "g": ["b", "a", "a", "b"]})
    r = (np.sqrt(5) - 1) / 2
    fit = ch.cox("g", data)
    new = pd.DataFrame({"g": ["a", "b"], "user_id": ["u", "v"]})
    hazard = np.cumsum([1 / (2 + 2 * r), 1 / (2 + r), 1 / (1 + r)])
    curves = survival(fit, new, [1, 2, 3.5, 5])
    expected = np.exp(-np.outer([1, r], [0, hazard[0], hazard[1], hazard[2]]))
    np.testing.assert_allclose(curves.values, expected, rtol=1e-10)
    # b: d/db of 1 / (2 + 2r) + 1 / (2 + r) is -2r / (2 + 2r)^2 - r / (2 + r)^2
    slope = 2 * r / (2 + 2 * r) ** 2 + r / (2 + r) ** 2
    own = 1 / (2 + 2 * r) ** 2 + 1 / (2 + r) ** 2
    of_b = 1 / (2 * r / (1 + r) ** 2 + 2 * r / (2 + r) ** 2)
    error = np.sqrt(own + (hazard[1] - slope) ** 2 * of_b) / hazard[1]
    reach = 1.959963984540054 * error
    assert curves.lower[1, 2] == pytest.approx(np.exp(-r * hazard[1] * np.exp(reach)), rel=1e-9)
    assert curves.upper[1, 2] == pytest.approx(np.exp(-r * hazard[1] * np.exp(-reach)), rel=1e-9)
    np.testing.assert_allclose(risk(fit, new), [0, np.log(r)], atol=1e-11)
    churn = churn_probability(fit, new, alive_at=2, horizon=2)
    np.testing.assert_allclose(churn.values, 1 - np.exp(-np.array([1, r]) * (hazard[2] - hazard[0])), rtol=1e-10)
    days = expected_days(fit, new, horizon=4)
    np.testing.assert_allclose(days.values, 2 + expected[:, 1] + expected[:, 2], rtol=1e-10)


def test_the_curve_is_the_baseline_to_the_power_of_the_risk(fit, table) -> None:
    times = [10, 30, 60]
    curves, scores = survival(fit, table, times), risk(fit, table)
    for i in range(0, 400, 37):
        mine = fit.baseline[fit.baseline["stratum"] == table["cohort"][i]]
        hazard = np.append(0, mine["cumulative_hazard"])[np.searchsorted(mine["time"], times, side="right")]
        np.testing.assert_allclose(curves.values[i], np.exp(-hazard * np.exp(scores.values[i])), rtol=1e-11)


def test_survival_falls_and_higher_risk_churns_sooner(fit, table) -> None:
    times = np.arange(0, 100, 3)
    curves = survival(fit, table, times)
    assert (np.diff(curves.values, axis=1) <= 0).all()
    assert (curves.values[:, 0] == 1).all()
    known = ~np.isnan(curves.lower)
    assert (curves.lower <= curves.values)[known].all()
    assert (curves.values <= curves.upper)[known].all()
    assert (curves.lower[:, 0] == 1).all()
    for cohort in ("2024-01", "2024-02"):
        mine = np.flatnonzero(table["cohort"] == cohort)
        order = mine[np.argsort(risk(fit, table).values[mine])]
        assert (np.diff(curves.values[order], axis=0) <= 1e-15).all()
        assert (np.diff(expected_days(fit, table, horizon=90).values[order]) <= 1e-12).all()
        assert (np.diff(churn_probability(fit, table, horizon=30).values[order]) >= -1e-15).all()


def test_churn_of_those_alive_is_a_ratio_of_survivals(fit, table) -> None:
    curves = survival(fit, table, [20, 50])
    ours = churn_probability(fit, table, alive_at=20, horizon=30)
    np.testing.assert_allclose(ours.values, 1 - curves.values[:, 1] / curves.values[:, 0], atol=1e-14)
    from_start = churn_probability(fit, table, horizon=50)
    np.testing.assert_allclose(from_start.values, 1 - curves.values[:, 1], atol=1e-15)
    np.testing.assert_allclose(from_start.lower, 1 - curves.upper[:, 1], atol=1e-15)
    np.testing.assert_allclose(from_start.upper, 1 - curves.lower[:, 1], atol=1e-15)


@pytest.mark.parametrize("ci", ["log-log", "log", "plain"])
def test_each_rows_own_tenure(fit, table, ci) -> None:
    tenure = np.arange(400) % 60
    ours = churn_probability(fit, table.assign(tenure=tenure), alive_at="tenure", horizon=30, ci=ci)
    again = churn_probability(fit, table, alive_at=tenure, horizon=30, ci=ci)
    for i in range(0, 400, 23):
        one = churn_probability(fit, table.iloc[[i]], alive_at=int(tenure[i]), horizon=30, ci=ci)
        for name in ("values", "lower", "upper"):
            assert getattr(ours, name)[i] == pytest.approx(getattr(one, name)[0], rel=1e-12)
            assert getattr(ours, name)[i] == getattr(again, name)[i]


def test_a_day_with_churn_at_the_origin() -> None:
    data = pd.DataFrame({"duration": [0, 0, 3, 4, 5, 5], "churned": [1, 0, 1, 1, 1, 0], "x": [1.0, 0, 2, 1, 3, 0]})
    fit = ch.cox("x", data)
    curves = survival(fit, data, [0, 5])
    assert (curves.values[:, 0] < 1).all()
    assert (curves.lower[:, 0] < curves.values[:, 0]).all()
    # alive at day 0 means not churned on it
    np.testing.assert_allclose(
        churn_probability(fit, data, horizon=5).values, 1 - curves.values[:, 1] / curves.values[:, 0], atol=1e-14
    )


def test_expected_days_are_the_area_under_the_curve(fit, table) -> None:
    ours = expected_days(fit, table, horizon=70)
    daily = survival(fit, table, np.arange(70)).values
    np.testing.assert_allclose(ours.values, daily.sum(axis=1), rtol=1e-12)
    assert (ours.lower < ours.values).all()
    assert (ours.upper <= 70).all()


def test_parts_of_the_table_and_the_order_of_its_rows_change_nothing(fit, table, monkeypatch) -> None:
    shuffled = table.sample(frac=1, random_state=1)
    whole = [q(fit, table) for q in QUESTIONS.values()]
    monkeypatch.setattr(newdata, "_MOST_ROWS", 7)
    monkeypatch.setattr(newdata, "_FEWEST_ROWS", 7)
    for question, one in zip(QUESTIONS.values(), whole, strict=True):
        again = question(fit, shuffled)
        np.testing.assert_allclose(again.values, one.values[shuffled.index], rtol=1e-12)
        if one.lower is not None:
            np.testing.assert_allclose(again.lower, one.lower[shuffled.index], rtol=1e-11)


QUESTIONS = {
    "survival": lambda fit, data: survival(fit, data, [10, 40]),
    "risk": risk,
    "churn_probability": lambda fit, data: churn_probability(fit, data, horizon=30, alive_at=10),
    "expected_days": lambda fit, data: expected_days(fit, data, horizon=40),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_arrays_are_read_only_and_user_ids_are_kept(fit, table, question) -> None:
    data = table.copy()
    found = QUESTIONS[question](fit, data)
    data["user_id"] = -1
    for array in (found.values, found.lower, found.upper):
        assert array is None or not array.flags.writeable
    assert found.table["user_id"].drop_duplicates().tolist() == list(range(200))
    assert list(found.table["user_id"].unique()) == list(range(200))
    without = QUESTIONS[question](fit, table.drop(columns="user_id")).table
    assert next(iter(without)) == "row"
    assert without["row"].unique().tolist() == list(range(400))


def test_tables_follow_their_schemas(fit, table) -> None:
    curves = survival(fit, table[:3], [10, 40], level=0.9)
    assert tuple(curves.table) == schema("predicted_survival").names
    assert curves.table["time"].tolist() == [10, 40] * 3
    np.testing.assert_array_equal(curves.table["survival"], curves.values.ravel())
    assert list(risk(fit, table[:3]).table) == ["user_id", "estimate"]
    churn = churn_probability(fit, table[:3], horizon=30)
    assert list(churn.table) == ["user_id", "estimate", "lower", "upper"]
    assert repr(curves) == "<SurvivalMatrix: survival of 3 rows on days 10, 40>"
    assert repr(churn) == "<Prediction: churn probability of 3 rows, horizon 30, alive_at 0>"
    told = json.loads(curves.to_json())
    assert told["facts"] == {"n": 3, "times": [10, 40], "level": 0.9, "ci": "log-log"}
    assert json.loads(churn.to_json())["facts"]["quantity"] == "churn_probability"
    assert survival(fit, table, 10)._repr_html_().count("<tr>") == 21
    assert churn_probability(fit, table, horizon=30)._repr_html_().count("<tr>") == 21


def test_a_prediction_goes_where_an_array_goes(fit, table) -> None:
    score = risk(fit, table)
    np.testing.assert_array_equal(table.assign(score=score)["score"], score.values)
    np.asarray(score).sum()
    copied = np.array(score)
    copied[0] = 7.0
    assert score.values[0] != 7.0


def test_a_level_of_ones_own_widens(fit, table) -> None:
    wide, narrow = (survival(fit, table, 40, level=level) for level in (0.99, None))
    assert narrow.level == 0.95
    assert (wide.lower < narrow.lower).all()
    assert (wide.upper > narrow.upper).all()


@pytest.mark.parametrize(
    "formula",
    ["channel * amount", "amount + channel:paid", "channel:amount + paid", "poly(amount, 2) * paid", "bs(known, df=4)",
     "paid + amount + channel + cohort:known", "log(amount) * known"],
)  # fmt: skip
def test_the_encoding_of_the_fit_is_replayed(table, formula) -> None:
    fit = ch.cox(formula, table)
    training = fit._training
    np.testing.assert_array_equal(design_order(fit._encoding), np.argsort(training.order))
    theirs = training.data.design.times(training.coefficients)
    theirs += training.data.design.centre @ (training.coefficients / training.data.design.scale)
    np.testing.assert_allclose(risk(fit, table), theirs, rtol=1e-9, atol=1e-9)
    # a single row has no spread of its own: only the fit can say how it is coded
    for i in (0, 17):
        np.testing.assert_allclose(risk(fit, table.iloc[[i]]), theirs[i], rtol=1e-9, atol=1e-9)


def test_an_offset_moves_the_risk(table) -> None:
    fit = ch.cox("channel", table, offset="known")
    np.testing.assert_allclose(
        risk(fit, table).values - risk(fit, table.assign(known=0.0)).values, table["known"], atol=1e-12
    )
    assert (survival(fit, table.assign(known=3.0), 20).values < survival(fit, table, 20).values).all()
    with pytest.raises(SchemaError, match="'known' is missing"):
        risk(fit, table.drop(columns="known"))
    with pytest.raises(InputError, match="offset 'known' must hold numbers"):
        risk(fit, table.assign(known="a"))
    with pytest.raises(InputError, match=r"'known' has 1 missing or infinite values, first at row 2 \(nan\)"):
        risk(fit, table.assign(known=[0, 0, np.nan] + [0] * 397))


def test_any_table_and_no_outcome(fit, table, tmp_path) -> None:
    new = table.drop(columns=["duration", "churned", "entry"])
    path = tmp_path / "new.parquet"
    new.to_parquet(path)
    expected = survival(fit, new, [10, 40])
    for data in (pl.from_pandas(new), path, str(path)):
        found = survival(fit, data, [10, 40])
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.table["user_id"].tolist() == expected.table["user_id"].tolist()


def test_spells_predict_from_spells() -> None:
    spells = ch.simulate_app(n_users=300, seed=1).log.churn_spells()
    fit = ch.cox("channel", spells.table, entry="entry")
    np.testing.assert_array_equal(survival(fit, spells, 60).values, survival(fit, spells.table, 60).values)
    assert survival(fit, spells, 60).table["user_id"].tolist() == spells.table["user_id"].tolist()


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_rows(fit, table, question) -> None:
    found = QUESTIONS[question](fit, table[:0])
    assert found.values.shape[0] == 0
    assert len(found.table) == 0


def test_a_stratum_without_churn_stays_at_one(table) -> None:
    data = table.assign(churned=table["churned"] & (table["cohort"] == "2024-01"))
    fit = ch.cox("log(amount)", data, strata="cohort")
    curves = survival(fit, data, [0, 30])
    quiet = np.flatnonzero(data["cohort"] == "2024-02")
    assert (curves.values[quiet] == 1).all()
    assert np.isnan(curves.lower[quiet, 1]).all()
    assert (expected_days(fit, data.iloc[quiet], horizon=30).values == 30).all()
    assert (churn_probability(fit, data.iloc[quiet], horizon=30, ci="plain").upper == 0).all()


# ---- refused


def test_an_unknown_category_is_named(fit, table) -> None:
    with pytest.raises(InputError, match=r"'channel' has the category 'shp', which the model was not fitted to\. Did you mean 'shop'\? It knows"):  # fmt: skip  # noqa: E501
        survival(fit, table.assign(channel=["shp"] + ["ads"] * 399), 10)
    with pytest.raises(InputError, match=r"'channel' has the category '\(missing\)'"):
        risk(fit, table.assign(channel=[None] + ["ads"] * 399))


@pytest.mark.parametrize("question", QUESTIONS)
def test_missing_values_are_counted_over_the_whole_table(fit, table, question, monkeypatch) -> None:
    monkeypatch.setattr(newdata, "_MOST_ROWS", 50)
    monkeypatch.setattr(newdata, "_FEWEST_ROWS", 50)
    amount = table["amount"].copy()
    amount[[333, 350]] = np.nan
    with pytest.raises(InputError, match=r"'amount' has 2 missing or infinite values, first at row 333 \(nan\)"):
        QUESTIONS[question](fit, table.assign(amount=amount))


def test_numbers_and_categories_are_not_mixed_up(fit, table) -> None:
    with pytest.raises(InputError, match=r"'paid' held categories where the model was fitted and holds numbers here \('paid' is int64\)\. It knows 'False', 'True'"):  # fmt: skip  # noqa: E501
        risk(fit, table.assign(paid=table["paid"].astype("int64")))
    numeric = ch.cox("amount", table)
    with pytest.raises(InputError, match="'amount' held numbers where the model was fitted and holds categories here"):
        risk(numeric, table.assign(amount=table["amount"].astype(str)))


def test_missing_columns(fit, table) -> None:
    with pytest.raises(SchemaError, match=r"'channel' is missing\. Did you mean 'chanel'\?"):
        survival(fit, table.rename(columns={"channel": "chanel"}), 10)
    with pytest.raises(SchemaError, match="'cohort' is missing"):
        survival(fit, table.drop(columns="cohort"), 10)
    assert risk(fit, table.drop(columns="cohort")).values.shape == (400,)
    with pytest.raises(SchemaError, match=r"'tenur' is missing"):
        churn_probability(fit, table, horizon=30, alive_at="tenur")
    with pytest.raises(InputError, match="data must be Spells or a table"):
        survival(fit, {"channel": ["ads"]}, 10)


def test_an_unknown_stratum_is_named(fit, table) -> None:
    with pytest.raises(InputError, match=r"cohort has the value '2024-03', which the model was not fitted to: it has no baseline hazard\. Did you mean '2024-0[12]'\? It knows '2024-01', '2024-02'"):  # fmt: skip  # noqa: E501
        survival(fit, table.assign(cohort="2024-03"), 10)


def test_days_that_nobody_was_followed_to(fit, table) -> None:
    at_risk = table[table["duration"] > table["entry"]]
    last = at_risk.groupby("cohort")["duration"].max()
    beyond = int(last.min()) + 1
    who = last.idxmin()
    message = rf"nobody was followed to day {beyond} in these strata, whose last days are: '{who}' day {last.min()}\. Ask for days up to {last.min()}"  # noqa: E501
    for question in (
        lambda data: survival(fit, data, [10, beyond]),
        lambda data: expected_days(fit, data, horizon=beyond),
        lambda data: churn_probability(fit, data, horizon=beyond - 10, alive_at=10),
    ):
        with pytest.raises(FollowUpError, match=message):
            question(table)
        if last.max() > last.min():
            question(table[table["cohort"] != who])
    survival(fit, table, last.min())
    single = ch.cox("channel", table)
    day = table["duration"].max()
    survival(single, table, day)
    with pytest.raises(FollowUpError, match=rf"nobody was followed to day {day}\.5: the last day is {day}\."):
        survival(single, table, day + 0.5)


def test_rows_whose_own_day_was_not_reached(fit, table) -> None:
    last = table[table["cohort"] == table["cohort"][7]]["duration"].max()
    tenure = np.zeros(400)
    tenure[7] = last - 29
    with pytest.raises(FollowUpError, match=rf"1 row asks for a day that nobody was followed to, first row 7: alive_at {last - 29} \+ horizon 30, the last day of stratum '{table['cohort'][7]}' is day {last}\."):  # fmt: skip  # noqa: E501
        churn_probability(fit, table, horizon=30, alive_at=tenure)
    tenure[7] = last - 30
    churn_probability(fit, table, horizon=30, alive_at=tenure)


def test_a_stratum_with_nobody_at_risk(table) -> None:
    data = pd.concat([table, table[:2].assign(cohort="late", entry=9, duration=9, churned=False)], ignore_index=True)
    fit = ch.cox("log(amount)", data, strata="cohort", entry="entry")
    with pytest.raises(FollowUpError, match=r"'late' never \(nobody was at risk\)\. Leave their rows out"):
        survival(fit, data, 0)


@pytest.mark.parametrize("times", [[-1], [np.nan], [[1, 2]], ["30"], np.inf])
def test_times_that_are_none(fit, table, times) -> None:
    with pytest.raises(InputError, match="times must be finite numbers of days >= 0"):
        survival(fit, table, times)


@pytest.mark.parametrize("horizon", [0, -1, np.nan, "30d", True, [30]])
def test_horizons_that_are_none(fit, table, horizon) -> None:
    for question in (churn_probability, expected_days):
        with pytest.raises(InputError, match="horizon must be a finite number of days > 0"):
            question(fit, table, horizon=horizon)


@pytest.mark.parametrize(
    ("alive_at", "message"),
    [
        (-1, r"alive_at must be a finite number of days >= 0; 1 other, first at row 0 \(-1\)"),
        ([1, 2], r"alive_at must be one number or one for each of the 400 rows; its shape is \(2,\)"),
        ("channel", "alive_at='channel' must hold numbers of days, without missing values; it holds object"),
        ("since", r"alive_at='since' must be a finite number of days >= 0; 400 others, first at row 0 \(nan\)"),
    ],
)
def test_tenures_that_are_none(fit, table, alive_at, message) -> None:
    with pytest.raises(InputError, match=message):
        churn_probability(fit, table.assign(since=np.nan), horizon=30, alive_at=alive_at)


def test_unknown_limits_and_levels(fit, table) -> None:
    with pytest.raises(InputError, match=r"ci must be .*, not 'logit'"):
        survival(fit, table, 10, ci="logit")
    with pytest.raises(InputError, match=r"ci must be .*, not 'logit'"):
        churn_probability(fit, table, horizon=10, ci="logit")
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        survival(fit, table, 10, level=95)
