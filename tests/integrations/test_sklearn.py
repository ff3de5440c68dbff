"""CoxRegression is `churnsurv.cox` and nothing more, and behaves as scikit-learn's tools expect."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError, SchemaError
from churnsurv.integrations.sklearn import CoxRegression


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 300
    channel = rng.choice(["ads", "friend", "shop"], n)
    amount, age = rng.lognormal(3, 1, n), rng.normal(40, 9, n)
    hazard = 0.01 * np.exp(0.7 * (channel == "shop") + 0.02 * (age - 40))
    time, censored = rng.exponential(1 / hazard) + 5, rng.uniform(20, 120, n)
    return pd.DataFrame(
        {
            "duration": np.minimum(time, censored).round(1),
            "churned": time <= censored,
            "entry": np.where(rng.random(n) < 0.3, 4.0, 0.0),
            "channel": channel,
            "amount": amount,
            "age": age,
            "cohort": rng.choice(["may", "june"], n),
        },
        index=np.arange(n) + 1000,
    )


COVARIATES = ["channel", "amount", "age"]


@pytest.fixture(scope="module", name="X")
def covariates(data: pd.DataFrame) -> pd.DataFrame:
    return data[COVARIATES]


@pytest.fixture(scope="module")
def y(data: pd.DataFrame) -> Any:
    return data[["duration", "churned"]].to_records(index=False)


# scikit-learn's own checks. Their y is one column: days that all end in churn.


def _name(check: Any) -> str:
    while not hasattr(check, "__name__"):
        check = check.func
    return str(check.__name__)


def _checks() -> Iterator[Any]:
    """All but the check of other array libraries: it wants a switch of scipy's that is thrown before its import."""
    for made in (CoxRegression(), CoxRegression(penalty=0.1), CoxRegression(penalty=0.01, l1_ratio=1.0)):
        for i, (estimator, check) in enumerate(estimator_checks_generator(made)):
            if _name(check) != "check_array_api_input":
                yield pytest.param(estimator, check, id=f"{_name(check)}-{i}-{made.penalty}")


@pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")
@pytest.mark.parametrize(("made", "check"), list(_checks()))
def test_it_is_an_estimator(made: CoxRegression, check: Callable[..., None]) -> None:
    check(made)


def test_what_it_says_of_itself() -> None:
    tags = CoxRegression().__sklearn_tags__()
    assert tags.target_tags.required
    assert tags.target_tags.positive_only
    assert tags.input_tags.string
    assert not tags.input_tags.sparse
    assert not is_classifier(CoxRegression())
    assert not is_regressor(CoxRegression())


# It is churnsurv.cox


def test_it_is_cox(data: pd.DataFrame, X: pd.DataFrame, y: Any) -> None:
    model = CoxRegression().fit(X, y)
    fit = ch.cox("channel + amount + age", data)
    pd.testing.assert_frame_equal(model.fit_.table, fit.table)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == COVARIATES
    new = X.sample(frac=1.0, random_state=1)
    np.testing.assert_array_equal(model.predict(new), np.asarray(fit.risk(data.loc[new.index])))
    days = [0, 17.5, 60]
    curves = model.predict_survival(new, days)
    assert type(curves) is np.ndarray
    np.testing.assert_array_equal(curves, fit.survival(data.loc[new.index], days).values)
    assert model.score(X, y) == ch.concordance(data, score=np.asarray(fit.risk(data))).estimate
    with pytest.raises(FollowUpError):
        model.predict_survival(X, [1_000])


def test_every_parameter_arrives(data: pd.DataFrame) -> None:
    X, y = data[[*COVARIATES, "cohort"]], data[["entry", "churned", "duration"]]
    asked = {"penalty": 0.05, "l1_ratio": 0.5, "unpenalised": "age", "strata": "cohort", "ties": "breslow"}
    model = CoxRegression("channel * log(amount) + age", **asked).fit(X, y)
    fit = ch.cox("channel * log(amount) + age", data, entry="entry", **asked)
    pd.testing.assert_frame_equal(model.fit_.table, fit.table)
    ours = ch.concordance(data, score=np.asarray(fit.risk(data)), strata="cohort", entry="entry")
    assert model.score(X, y) == ours.estimate
    pd.testing.assert_frame_equal(
        CoxRegression(ties="grouped").fit(X[COVARIATES], y).fit_.table,
        ch.cox("channel + amount + age", data, ties="grouped", entry="entry").table,
    )


def test_strata_are_no_covariates(data: pd.DataFrame, y: Any) -> None:
    X = data[["cohort", *COVARIATES]]
    model = CoxRegression(strata=["cohort"]).fit(X, y)
    assert model.fit_.strata == ("cohort",)
    assert set(model.fit_.table["variable"]) == set(COVARIATES)
    with pytest.raises(InputError, match="no column beside the strata"):
        CoxRegression(strata="cohort").fit(X[["cohort"]], y)


@pytest.mark.parametrize("entry", [False, True])
def test_y_in_every_form(data: pd.DataFrame, X: pd.DataFrame, entry: bool) -> None:
    names = ["duration", "churned", *(["entry"] if entry else [])]
    expected = ch.cox("channel + amount + age", data, entry="entry" if entry else None).table
    table = data[names]
    for y in (
        table,
        table[names[::-1]].assign(other=1),
        table.to_records(index=False),
        table[names[::-1]].to_records(index=True),
        table.to_numpy(dtype=float),
        table.to_numpy(dtype=float).tolist(),
        pl.from_pandas(table),
        pa.Table.from_pandas(table, preserve_index=False),
    ):
        pd.testing.assert_frame_equal(CoxRegression().fit(X, y).fit_.table, expected)


def test_one_column_is_days_that_all_end_in_churn(data: pd.DataFrame, X: pd.DataFrame) -> None:
    expected = ch.cox("channel + amount + age", data.assign(churned=True)).table
    for y in (data["duration"], data["duration"].to_numpy(), data["duration"].tolist()):
        pd.testing.assert_frame_equal(CoxRegression().fit(X, y).fit_.table, expected)


def test_covariates_in_every_form(data: pd.DataFrame, X: pd.DataFrame, y: Any) -> None:
    expected = ch.cox("channel + amount + age", data)
    for form in (X, pl.from_pandas(X), pa.Table.from_pandas(X, preserve_index=False)):
        model = CoxRegression().fit(form, y)
        assert model.feature_names_in_.tolist() == COVARIATES
        np.testing.assert_array_equal(model.predict(form), np.asarray(expected.risk(X)))
    for form in (X.to_numpy(dtype=object), X.set_axis([5, 6, 7], axis="columns")):
        model = CoxRegression().fit(form, y)
        assert not hasattr(model, "feature_names_in_")
        assert model.fit_.table["variable"].drop_duplicates().tolist() == ["x0", "x1", "x2"]
        np.testing.assert_array_equal(model.predict(form), np.asarray(expected.risk(X)))
    numbers = CoxRegression("log(x0) + x1").fit(X[["amount", "age"]].to_numpy(np.float32), y)
    np.testing.assert_allclose(
        numbers.fit_.table["estimate"], ch.cox("log(amount) + age", data).table["estimate"], 1e-5
    )


def test_categories_stay_categories(data: pd.DataFrame, y: Any) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "channel": pd.Categorical(data["channel"], categories=["shop", "ads", "friend"]),
            "paid": rng.random(len(data)) < 0.5,
            "plan": np.where(rng.random(len(data)) < 0.1, None, "plus"),
        }
    )
    model = CoxRegression().fit(X, y)
    assert model.fit_.table["term"].tolist() == ["channel: ads", "channel: friend", "paid: True", "plan: (missing)"]
    with pytest.raises(InputError, match="'kiosk', which the model was not fitted to"):
        model.predict(X.head(1).assign(channel="kiosk"))


def test_names_that_are_no_words(data: pd.DataFrame, X: pd.DataFrame, y: Any) -> None:
    odd = ["acquisition channel", "class", "amount: euros (2024-05)"]
    model = CoxRegression().fit(X.set_axis(odd, axis="columns"), y)
    assert model.fit_.table["variable"].drop_duplicates().tolist() == odd
    np.testing.assert_array_equal(model.predict(X.set_axis(odd, axis="columns")), CoxRegression().fit(X, y).predict(X))
    for wrong in ("1", "a`b", "."):
        with pytest.raises(InputError, match=r"^X: .* cannot stand in a formula\. Rename"):
            CoxRegression().fit(X.set_axis([wrong, "b", "c"], axis="columns"), y)


# It works in scikit-learn's machinery


def test_in_a_pipeline_with_scaled_and_encoded_columns(data: pd.DataFrame, X: pd.DataFrame, y: Any) -> None:
    columns = make_column_transformer(
        (StandardScaler(), ["amount", "age"]),
        (OneHotEncoder(drop=["ads"], sparse_output=False), ["channel"]),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(columns, CoxRegression()).fit(X, y)
    fit = ch.cox("channel + amount + age", data)
    risk = np.asarray(fit.risk(X))
    np.testing.assert_allclose(pipeline.predict(X) - pipeline.predict(X).mean(), risk - risk.mean(), atol=1e-9)
    assert pipeline.score(X, y) == ch.concordance(data, score=risk).estimate
    assert pipeline[-1].feature_names_in_.tolist() == ["amount", "age", "channel_friend", "channel_shop"]


def test_in_a_pipeline_of_arrays(data: pd.DataFrame, y: Any) -> None:
    X = data[["amount", "age"]]
    pipeline = make_pipeline(StandardScaler(), CoxRegression("x1 + I(x0 ** 2)")).fit(X.to_numpy(), y)
    assert pipeline[-1].fit_.table["term"].tolist() == ["x1", "I(x0 ** 2)"]


def test_cross_validation_and_grid_search(data: pd.DataFrame, X: pd.DataFrame, y: Any) -> None:
    folds = KFold(4, shuffle=True, random_state=3)
    scores = cross_val_score(CoxRegression(), X, y, cv=folds)
    by_hand = []
    for train, test in folds.split(data):
        held_out, fit = data.iloc[test], ch.cox("channel + amount + age", data.iloc[train])
        by_hand.append(ch.concordance(held_out, score=np.asarray(fit.risk(held_out))).estimate)
    np.testing.assert_array_equal(scores, by_hand)

    grid = {"coxregression__penalty": [0.0, 0.01, 10.0], "coxregression__formula": ["channel", "channel + age"]}
    search = GridSearchCV(make_pipeline("passthrough", CoxRegression()), grid, cv=folds, error_score="raise")
    search.fit(X, data[["duration", "churned"]])
    best = search.best_estimator_[-1]
    assert best.get_params() == {**CoxRegression().get_params(), **_short(search.best_params_)}
    expected = ch.cox(best.formula, data, penalty=best.penalty)
    pd.testing.assert_frame_equal(best.fit_.table, expected.table)
    assert search.score(X, y) == ch.concordance(data, score=np.asarray(expected.risk(data))).estimate


def _short(params: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("coxregression__"): value for key, value in params.items()}


def test_clones_pickles_and_parameters(X: pd.DataFrame, y: Any) -> None:
    model = CoxRegression("age", penalty=0.1, unpenalised=[]).fit(X, y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "fit_")
    with pytest.raises(NotFittedError):
        copy.predict(X)
    assert copy.set_params(formula="channel", penalty=0.0).fit(X, y).fit_.formula == "channel"
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert repr(model) == "CoxRegression(formula='age', penalty=0.1, unpenalised=[])"


def test_what_cannot_be_used(data: pd.DataFrame, X: pd.DataFrame, y: Any) -> None:
    model = CoxRegression().fit(X, y)
    for wrong, said in (
        (data["churned"], "seems to say who churned, not when"),
        (data["churned"].astype(int).tolist(), "seems to say who churned, not when"),
        (data[["duration"]], "y: 'churned' is missing"),
        (data[["duration", "churned"]].rename(columns={"churned": "churn"}), "Did you mean 'churn'"),
        (np.ones((len(data), 4)), "it has 4"),
        (None, "y is None"),
        (-data["duration"], "duration must be >= 0"),
        (data["duration"].where(data["duration"] > 20), "Input y contains NaN"),
        (data.assign(churned=2)[["duration", "churned"]], "churned must hold true/false or 0/1"),
    ):
        for ask in (model.score, CoxRegression().fit):
            with pytest.raises(ValueError, match=said):
                ask(X, wrong)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CoxRegression().fit(X, y[:-1])
    with pytest.raises(InputError, match="X has the column 'duration', which is the outcome"):
        CoxRegression().fit(data[["duration", "age"]], y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[COVARIATES[::-1]])
    of_array = CoxRegression().fit(X[["amount", "age"]].to_numpy(), y)
    with pytest.raises(ValueError, match="expecting 2 features"):
        of_array.predict(np.ones((2, 3)))
    with pytest.raises(SchemaError, match=r"'chanel' is missing\. Did you mean 'channel'"):
        CoxRegression("chanel").fit(X, y)
    with pytest.raises(InputError, match="penalty must be a number"):
        CoxRegression(penalty=-1).fit(X, y)
