"""Scores from SQL are those of the fit: every function of formulas, strata, missing values, hostile names."""

from __future__ import annotations

import sqlite3
import sys
from functools import cache

import duckdb
import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import FollowUpError, InputError
from churnsurv.survival.prediction import risk, survival
from churnsurv.survival.scoring_sql import to_sql

RTOL = 1e-10
DIALECTS = ["duckdb", "sqlite"]


def rows(seed: int = 0, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    plan = rng.choice(["a", "b", "c", None], n, p=[0.4, 0.3, 0.2, 0.1])
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "duration": rng.integers(30, 90, n),
            "churned": rng.random(n) < 0.7,
            "channel": rng.choice(["organic", "friend", "ads"], n),
            "plan": pd.Series(plan, dtype=object),
            "level": rng.integers(1, 4, n),
            "vip": rng.random(n) < 0.3,
            "amount": np.round(np.exp(rng.normal(5, 1, n)), 2),
            "count": rng.poisson(3, n),
            "x": np.round(rng.normal(size=n), 3),
            "cohort": rng.choice(["2024-01", "2024-02"], n),
            "known": np.round(rng.normal(size=n) / 4, 3),
        }
    )


@cache
def fitted(formula: str) -> ch.CoxFit:
    return ch.cox(formula, rows())


def run(statement: str, frame: pd.DataFrame, dialect: str = "duckdb", table: str = "users") -> pd.DataFrame:
    """Run a statement on a table, in the order of its rows."""
    if dialect == "duckdb":
        with duckdb.connect() as connection:
            connection.register("_frame", frame)
            quoted = table.replace('"', '""')
            connection.execute(f'CREATE TABLE "{quoted}" AS SELECT * FROM _frame')
            return connection.sql(statement).df()
    connection = sqlite3.connect(":memory:")
    try:
        frame.to_sql(table, connection, index=False)
        return pd.read_sql_query(statement, connection)
    finally:
        connection.close()


def has_math() -> bool:
    """SQLite is built without exp() in some places; its dialect promises nothing there."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT EXP(1), MOD(5.5, 2), LN(2)")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


@pytest.fixture(params=DIALECTS)
def dialect(request) -> str:
    if request.param == "sqlite":
        pytest.importorskip("sqlglot")
        if not has_math():
            pytest.skip("this SQLite has no mathematical functions")
    return request.param


FORMULAS = [
    "channel",
    "x + amount",
    "channel + plan + vip + C(level) + log1p(amount)",
    "log(amount) + sqrt(amount) + x",
    "log2(amount) + abs(x) + exp(x)",
    "log10(amount) + I(x ** 2) + I(amount / (count + 1)) + I(-x * 2 + 3 * count)",
    "I(amount % 7.3) + I(amount // 0.7) + I(x % -0.3) + I(x // 0.25)",
    "center(amount) + scale(x) + I(scale(count) * 2)",
    "scale(amount, ddof=0) + log1p(abs(center(x)))",
    "poly(x, 3) + channel",
    "poly(amount, 2, raw=True) + poly(log1p(count), 2)",
    "bs(x, df=5) + plan",
    "bs(log1p(amount), df=6, degree=2) + bs(count, degree=1, knots=[2, 5])",
    "bs(x, knots=[-1, 0.5], degree=4)",
    "cs(x, df=4) + cr(log1p(amount), df=3)",
    "I(x > 0.5) + I(count == 3) + I(amount <= 150)",
    "I(channel == 'ads') + I(plan != 'a') + I(vip == True)",
    "I((x > 0) * amount) + I(plan == '(missing)')",
    "channel * plan",
    "channel * x + plan:amount",
    "C(level):vip + x",
    "channel * bs(x, df=4)",
    "poly(x, 2):log1p(amount) + cr(count, df=3):vip",
    "channel:vip:x + channel + I(bs(amount, df=4))",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_every_function_scores_as_the_fit(formula, dialect):
    frame, fit = rows(), fitted(formula)
    # rows between those of the fit
    new = rows(1)
    new["x"] = new["x"].clip(frame["x"].min(), frame["x"].max())
    new["amount"] = new["amount"].clip(frame["amount"].min(), frame["amount"].max())
    new["count"] = new["count"].clip(frame["count"].min(), frame["count"].max())
    found = run(to_sql(fit, "users", horizons=[30, 45.5, 80], dialect=dialect), new, dialect)
    assert list(found) == ["user_id", "linear_predictor", "survival_30", "survival_45.5", "survival_80"]
    assert found["user_id"].tolist() == new["user_id"].tolist()
    scores = risk(fit, new).values
    np.testing.assert_allclose(found["linear_predictor"], scores, rtol=RTOL, atol=RTOL * np.abs(scores).max())
    theirs = survival(fit, new, [30, 45.5, 80]).values
    np.testing.assert_allclose(found.iloc[:, 2:], theirs, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("mode", ["clip", "extend", "zero"])
@pytest.mark.parametrize("basis", ["bs(x, df=5, extrapolation='{}')", "cr(x, df=4, extrapolation='{}')"])
def test_splines_beyond_their_range(basis, mode, dialect):
    frame = rows()
    fit = ch.cox(basis.format(mode), frame)
    new = frame.assign(x=np.linspace(-7, 7, len(frame)))
    new.loc[:5, "x"] = [frame["x"].min(), frame["x"].max(), *np.quantile(frame["x"], [0.25, 0.5, 0.75, 1 / 3])]
    found = run(to_sql(fit, "users", dialect=dialect), new, dialect)["linear_predictor"]
    scores = risk(fit, new).values
    np.testing.assert_allclose(found, scores, rtol=1e-9, atol=RTOL * np.abs(scores).max())


def test_knots_that_coincide(dialect):
    """Two knots on one value: a basis of degree 1 jumps there, and holds from it on."""
    frame = rows()
    fit = ch.cox("bs(count, knots=[2, 2], degree=1) + bs(x, knots=[0.1, 0.1, 0.1], degree=2)", frame)
    new = frame.assign(x=np.where(frame["count"] > 3, 0.1, frame["x"]))
    found = run(to_sql(fit, "users", dialect=dialect), new, dialect)["linear_predictor"]
    np.testing.assert_allclose(found, risk(fit, new).values, rtol=1e-10, atol=1e-10)


def test_a_knot_at_the_end_of_the_range(dialect):
    """The last value has a column to itself there."""
    frame = rows()
    top = frame["count"].max()
    frame.loc[frame["x"] > 1, "count"] = top
    fit = ch.cox(f"bs(count, knots=[2, {top}], degree=0)", frame)
    found = run(to_sql(fit, "users", dialect=dialect), frame, dialect)["linear_predictor"]
    np.testing.assert_allclose(found, risk(fit, frame).values, rtol=1e-10, atol=1e-10)


def test_a_value_outside_a_spline_that_does_not_extrapolate_is_null(dialect):
    frame = rows()
    fit = ch.cox("bs(x, df=4)", frame)
    new = frame.head(3).assign(x=[frame["x"].max() + 0.1, frame["x"].max(), frame["x"].min() - 0.1])
    found = run(to_sql(fit, "users", horizons=40, dialect=dialect), new, dialect)
    assert found["linear_predictor"].isna().tolist() == [True, False, True]
    assert found["survival_40"].isna().tolist() == [True, False, True]


def test_strata_and_offset(dialect):
    frame = rows()
    frame["cohort"] = pd.Series(np.where(frame["x"] > 1, None, frame["cohort"]), dtype=object)
    fit = ch.cox("log1p(amount)", frame, strata=["cohort", "vip", "level"], offset="known")
    last = int(fit._moments.last_day.min())
    new = rows(2)
    new["cohort"] = pd.Series(np.where(new["x"] > 1, None, new["cohort"]), dtype=object)
    found = run(to_sql(fit, "users", horizons=[31, last], keep=(), dialect=dialect), new, dialect)
    np.testing.assert_allclose(found["linear_predictor"], risk(fit, new).values, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(found.iloc[:, 1:], survival(fit, new, [31, last]).values, rtol=RTOL)


def test_a_stratum_whose_values_hold_the_separator(dialect):
    frame = rows()
    frame["left"] = np.where(frame["vip"], "a | b", "a")
    frame["right"] = np.where(frame["channel"] == "ads", "c", "c | d")
    fit = ch.cox("x", frame, strata=["left", "right"])
    found = run(to_sql(fit, "users", horizons=[45], dialect=dialect), frame, dialect)
    theirs = survival(fit, frame, [45]).values[:, 0]
    np.testing.assert_allclose(found["survival_45"], theirs, rtol=RTOL)


def test_an_integer_that_was_a_float_in_the_fit_is_the_same_stratum(dialect):
    frame = rows()
    fit = ch.cox("x", frame.assign(level=frame["level"].astype(float)), strata="level")
    found = run(to_sql(fit, "users", horizons=[45], dialect=dialect), frame, dialect)
    np.testing.assert_allclose(
        found["survival_45"], survival(fit, frame.assign(level=frame.level * 1.0), 45).values[:, 0]
    )


def test_missing_numbers_and_unknown_categories_are_null(dialect):
    frame = rows()
    fit = ch.cox("channel + amount + plan + log(count + 1)", frame, strata="cohort")
    new = frame.head(6).copy()
    new["amount"] = new["amount"].astype(object)
    new["channel"] = new["channel"].astype(object)
    new.loc[0, "amount"] = None
    new["amount"] = new["amount"].astype(float)
    new.loc[1, "channel"] = "tv"
    new.loc[2, "channel"] = None
    new.loc[3, "cohort"] = "2031-01"
    new["count"] = new["count"].astype(float)
    new.loc[4, "count"] = -3.0
    found = run(to_sql(fit, "users", horizons=[40], dialect=dialect), new, dialect)
    assert found["linear_predictor"].isna().tolist() == [True, True, True, False, True, False]
    assert found["survival_40"].isna().tolist() == [True, True, True, True, True, False]


def test_infinite_and_undefined_numbers_are_null():
    """A NaN is larger than any number in DuckDB."""
    frame = rows()
    fit = ch.cox("I(x > 0.5) + bs(x, df=4, extrapolation='clip') + log(amount)", frame)
    new = frame.head(4).assign(x=[np.inf, -np.inf, 0.0, 0.0], amount=[1.0, 1.0, 0.0, 1.0])
    statement = to_sql(fit, "users", horizons=[40])
    with duckdb.connect() as connection:
        connection.register("_frame", new)
        connection.execute("CREATE TABLE users AS SELECT * FROM _frame")
        connection.execute("INSERT INTO users SELECT * REPLACE ('nan'::DOUBLE AS x) FROM users LIMIT 1")
        found = connection.sql(statement).df()
    assert found["linear_predictor"].isna().tolist() == [True, True, True, False, True]
    assert found["survival_40"].isna().tolist() == [True, True, True, False, True]


def test_hostile_names_and_categories(dialect):
    """Quotes, comments and statements in names and values stay names and values."""
    frame = rows()
    name, table = 'amo"unt; DROP TABLE users --', 'us"ers; --'
    values = {"organic": "it's", "friend": "'; DROP TABLE users; --", "ads": '流失 "x" \\'}
    frame = frame.rename(columns={"amount": name}).assign(channel=frame["channel"].map(values))
    fit = ch.cox(f"channel + `{name}`", frame)
    statement = to_sql(fit, (table,), horizons=[40], keep=("user_id", name), dialect=dialect)
    found = run(statement, frame, dialect, table)
    np.testing.assert_allclose(found["linear_predictor"], risk(fit, frame).values, rtol=RTOL, atol=RTOL)
    assert found[name].tolist() == frame[name].tolist()
    stratified = ch.cox("x", frame, strata="channel")
    found = run(to_sql(stratified, (table,), horizons=[40], dialect=dialect), frame, dialect, table)
    np.testing.assert_allclose(found["survival_40"], survival(stratified, frame, [40]).values[:, 0], rtol=RTOL)


def test_a_missing_column_is_an_error_of_the_database_not_a_text():
    """SQLite reads a quoted name that it doesn't know as text: columns are qualified."""
    pytest.importorskip("sqlglot")
    frame = rows()
    statement = to_sql(ch.cox("x", frame), "users", dialect="sqlite")
    with pytest.raises(pd.errors.DatabaseError, match="no such column"):
        run(statement, frame.drop(columns="x"), "sqlite")


def test_schema_and_table():
    frame = rows(n=80)
    fit = ch.cox("x", frame)
    with duckdb.connect() as connection:
        connection.register("_frame", frame)
        connection.execute('CREATE SCHEMA s; CREATE TABLE s."u.v" AS SELECT * FROM _frame')
        assert len(connection.sql(to_sql(fit, ("s", "u.v"))).df()) == 80
        connection.execute("CREATE TABLE s.w AS SELECT * FROM _frame")
        assert len(connection.sql(to_sql(fit, "s.w", keep="channel")).df()) == 80


def test_kept_columns_may_have_any_name():
    frame = rows(n=80)
    frame["x1 x"] = 1
    frame["source"] = 2
    found = run(to_sql(ch.cox("x", frame), "users", keep=["x1 x", "source", "x"]), frame)
    assert list(found) == ["x1 x", "source", "x", "linear_predictor"]


def test_an_extreme_row_survives_as_in_the_fit():
    frame = rows()
    fit = ch.cox("x", frame)
    new = frame.head(4).assign(x=[1e4, -1e4, 1e300, 0.0])
    found = run(to_sql(fit, "users", horizons=[40]), new)
    np.testing.assert_allclose(found["survival_40"], survival(fit, new, [40]).values[:, 0], rtol=RTOL)


def test_a_grouped_fit_whose_last_day_takes_everybody(dialect):
    """Its baseline hazard is infinite from there on."""
    frame = rows()
    frame.loc[frame["duration"] >= 80, ["duration", "churned"]] = [80, True]
    fit = ch.cox("x + channel", frame, ties="grouped")
    found = run(to_sql(fit, "users", horizons=[40, 80], dialect=dialect), frame, dialect)
    assert np.isinf(fit._moments.hazard[-1])
    np.testing.assert_allclose(found["survival_40"], survival(fit, frame, [40]).values[:, 0], rtol=RTOL)
    assert (found["survival_80"] == 0).all()


@pytest.mark.parametrize("days", [[91], [10, 500]])
def test_days_beyond_follow_up_are_refused_when_written(days):
    with pytest.raises(FollowUpError, match=f"day {max(days)}"):
        to_sql(fitted("x"), "users", horizons=days)


def test_strata_without_follow_up_are_named():
    frame = rows()
    early = frame["cohort"] == "2024-01"
    frame.loc[early, "churned"] &= frame["duration"] < 50
    frame.loc[early, "duration"] = frame["duration"].clip(upper=50)
    with pytest.raises(FollowUpError, match="'2024-01' \\(last day 50\\)"):
        to_sql(ch.cox("x", frame, strata="cohort"), "users", horizons=60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"dialect": "oracle"}, "'duckdb', 'sqlite'"),
        ({"dialect": "spark"}, "'duckdb', 'sqlite'"),
        ({"keep": ("user_id", "USER_ID")}, "twice"),
        ({"keep": ("Linear_Predictor",)}, "linear_predictor"),
        ({"keep": ("survival_40",), "horizons": 40}, "survival_40"),
        ({"keep": (3,)}, "names of columns"),
        ({"horizons": [-1]}, ">= 0"),
        ({"horizons": [np.nan]}, ">= 0"),
        ({"table": ""}, "name of a table"),
        ({"table": "a..b"}, "name of a table"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, said):
    with pytest.raises(InputError, match=said):
        to_sql(fitted("x"), **{"table": "users"} | arguments)


def test_categories_that_sql_cannot_compare_are_named():
    frame = rows()
    bands = frame.assign(band=pd.cut(frame["x"], [-9, 0, 9]))
    with pytest.raises(InputError, match="'band' has the category Interval"):
        to_sql(ch.cox("band", bands), "users")
    mixed = frame.assign(plan=frame["plan"].where(frame["x"] < 1, 7))
    with pytest.raises(InputError, match="text and other values"):
        to_sql(ch.cox("plan", mixed), "users")


def test_another_dialect_needs_sqlglot(monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    fit = fitted("x")
    assert to_sql(fit, "users").startswith("SELECT")
    with pytest.raises(InputError, match="pip install"):
        to_sql(fit, "users", dialect="sqlite")
