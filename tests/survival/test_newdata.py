"""New rows for a fitted model: the columns that it sees, whatever the rows are and however many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import churnsurv as ch
from churnsurv.errors import InputError, SchemaError
from churnsurv.survival import newdata
from churnsurv.survival.newdata import model_matrix

pytestmark = pytest.mark.filterwarnings("ignore::churnsurv.errors.ChurnsurvWarning")

FORMULA = "channel * log(amount) + paid + bs(age, df=4) + C(plan) + paid:amount"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(21)
    n = 500
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "duration": rng.integers(1, 200, n),
            "churned": rng.random(n) < 0.7,
            "channel": pd.Categorical(rng.choice(["ads", "friend", "shop"], n), categories=["shop", "ads", "friend"]),
            "amount": rng.lognormal(5, 1, n),
            "paid": rng.random(n) < 0.5,
            "age": rng.uniform(18, 80, n),
            "plan": rng.choice([1, 2, 3], n),
            "month": rng.choice(["may", "june"], n),
            "seen": rng.normal(0, 0.1, n),
        },
        index=np.arange(n) + 7,
    )


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame) -> ch.CoxFit:
    return ch.cox(FORMULA, table, strata="month", offset="seen", reference={"channel": "ads"})


def test_columns_and_values_by_hand() -> None:
    x = np.array([1.0, 4, 3, 5, 2, 2, 6, 1, 3, 4, 5, 3])
    data = pd.DataFrame(
        {"duration": [4, 3, 6, 5, 8, 9, 7, 2, 9, 3, 8, 5], "churned": True, "g": list("babcac" * 2), "x": x}
    )
    fit = ch.cox("g + center(x):g", data, reference={"g": "c"})
    found = model_matrix(fit, pd.DataFrame({"g": ["c", "a"], "x": [0.1, 3e9]}, index=[8, 8]))
    expected = pd.DataFrame(
        {
            "g: a": [0.0, 1.0],
            "g: b": [0.0, 0.0],
            "g: c × center(x)": [0.1 - x.mean(), 0.0],
            "g: a × center(x)": [0.0, 3e9 - x.mean()],
            "g: b × center(x)": [0.0, 0.0],
        }
    )
    pd.testing.assert_frame_equal(found, expected)


def test_times_the_estimates_it_is_the_risk(fit: ch.CoxFit, table: pd.DataFrame) -> None:
    new = table.drop(columns=["duration", "churned", "month", "seen"]).sample(frac=0.5, random_state=2)
    found = model_matrix(fit, new)
    assert found.columns.tolist() == fit.table["term"].tolist()
    assert found.index.equals(pd.RangeIndex(len(new)))
    assert (found.dtypes == np.float64).all()
    risk = np.asarray(fit.risk(new.assign(seen=0.25)))
    np.testing.assert_allclose(found @ fit.table["estimate"].to_numpy() + 0.25, risk, rtol=1e-10, atol=1e-10)


def test_numbers_come_as_they_are(table: pd.DataFrame) -> None:
    fit = ch.cox("amount + age", table)
    np.testing.assert_array_equal(fit.model_matrix(table), table[["amount", "age"]])


def test_one_row_or_none(fit: ch.CoxFit, table: pd.DataFrame) -> None:
    whole = model_matrix(fit, table)
    for i in (0, 31):
        np.testing.assert_array_equal(model_matrix(fit, table.iloc[[i]]), whole.iloc[[i]])
        one = table.iloc[[i]]
        np.testing.assert_array_equal(fit.survival(one, [30, 90]).values, fit.survival(table, [30, 90]).values[[i]])
    none = model_matrix(fit, table.head(0))
    assert none.shape == (0, len(fit.table))


def test_parts_change_nothing(fit: ch.CoxFit, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model_matrix(fit, table)
    monkeypatch.setattr(newdata, "_MOST_ROWS", 64)
    monkeypatch.setattr(newdata, "_FEWEST_ROWS", 64)
    pd.testing.assert_frame_equal(model_matrix(fit, table), whole)
    wrong = table.copy()
    wrong.iloc[300, wrong.columns.get_loc("amount")] = 0.0
    with pytest.raises(InputError, match=r"in 1 rows?, first at row 300"):
        model_matrix(fit, wrong)


def test_tables_of_other_kinds(fit: ch.CoxFit, table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(model_matrix(fit, pl.from_pandas(table)), model_matrix(fit, table))


def test_what_the_fit_cannot_place_is_named(fit: ch.CoxFit, table: pd.DataFrame) -> None:
    for ask in (fit.model_matrix, lambda new: fit.survival(new, [30]), fit.risk):
        for new in (table.rename(columns={"channel": "chanel"}), pl.from_pandas(table).rename({"channel": "chanel"})):
            with pytest.raises(SchemaError, match=r"^newdata: 'channel' is missing\. Did you mean 'chanel'\?"):
                ask(new)
    with pytest.raises(SchemaError, match="newdata: 'month' is missing"):
        fit.survival(table.drop(columns="month"), [30])
    with pytest.raises(SchemaError, match="newdata: 'seen' is missing"):
        fit.risk(table.drop(columns="seen"))
    with pytest.raises(InputError, match="'kiosk', which the model was not fitted to"):
        model_matrix(fit, table.head(2).assign(channel=["ads", "kiosk"]))
    with pytest.raises(InputError, match="'amount' is a category"):
        model_matrix(fit, table.head(2).assign(amount=["1", "2"]))
    with pytest.raises(InputError, match="newdata must be Spells or a table"):
        model_matrix(fit, [1, 2])
