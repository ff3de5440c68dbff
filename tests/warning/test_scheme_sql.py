"""The statement of a scheme gives every row the tier that `assign` gives it, in every dialect."""

from __future__ import annotations

import sqlite3
import sys
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.warning import TierScheme
from churnsurv.warning.rules import Condition, Rule
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.warning.schemes import THREE, rule, scheme

NAMES = ("balance", 'the "odd" one', "n_investments")
CUTS = (-1.5, 0.0, 0.1, 100.0, 1e300)
AROUND = [
    *CUTS,
    *(float(np.nextafter(cut, side)) for cut in CUTS for side in (-np.inf, np.inf)),
    *(np.inf, -np.inf, np.nan, -0.0, 5.0),
]
VALUES = st.one_of(st.none(), st.sampled_from(AROUND))
IDLE = st.one_of(st.none(), st.integers(0, 40), st.sampled_from([29.5, 30.0, np.inf, np.nan]))


def conditions() -> st.SearchStrategy[Condition]:
    of_variable = st.builds(
        Condition, st.sampled_from(NAMES), st.sampled_from(("<", ">=", ">", "<=")), st.sampled_from(CUTS)
    )
    of_idle = st.builds(Condition, st.just("idle_days"), st.sampled_from((">", ">=", "<")), st.integers(0, 31))
    return st.one_of(of_variable, of_idle)


def rules() -> st.SearchStrategy[Rule]:
    return st.builds(Rule, st.lists(st.lists(conditions(), min_size=1, max_size=3), max_size=2))


def schemes() -> st.SearchStrategy[TierScheme]:
    made = st.dictionaries(st.sampled_from(["high", 'it\'s \\ "low"', "中", "none"]), rules(), min_size=1, max_size=3)
    missing = st.dictionaries(st.sampled_from(NAMES), st.sampled_from((0.0, 100.0)), max_size=2)
    return st.builds(lambda tiers, gaps: scheme(tiers, missing=gaps), made, missing)


def tables() -> st.SearchStrategy[pa.Table]:
    row = st.tuples(IDLE, VALUES, VALUES, VALUES)
    return st.lists(row, min_size=1, max_size=25).map(
        lambda rows: pa.table(
            {
                "user_id": pa.array(range(len(rows)), pa.int64()),
                "idle_days": pa.array([None if r[0] is None else float(r[0]) for r in rows], pa.float64()),
                **{name: pa.array([r[i + 1] for r in rows], pa.float64()) for i, name in enumerate(NAMES)},
            }
        )
    )


def by_assign(told: TierScheme, table: pa.Table) -> list[str | None]:
    found = told.assign(table).table["tier"]
    return [tier if isinstance(tier, str) else None for tier in found]


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def on_duckdb(statement: str, table: pa.Table) -> pa.Table:
    _connection().register("users", table)
    return _connection().sql(statement).to_arrow_table()


def example_rows(n: int = 400, seed: int = 5) -> pa.Table:
    rng = np.random.default_rng(seed)
    values = [None if value is None else float(value) for value in (*AROUND, None)]
    idle = [*map(float, range(33)), None, float("nan"), float("inf")]
    drawn = {name: [values[i] for i in rng.integers(0, len(values), n)] for name in NAMES}
    return pa.table(
        {
            "user_id": pa.array(range(n), pa.int64()),
            "idle_days": pa.array([idle[i] for i in rng.integers(0, len(idle), n)], pa.float64()),
            **{name: pa.array(column, pa.float64()) for name, column in drawn.items()},
        }
    )


EXAMPLES = [
    scheme(THREE),
    scheme(THREE, missing={"balance": 0.0, "n_investments": 5.0}),
    scheme(
        {"it's \\ so": rule("idle_days > 3 and balance >= 100"), "b": rule('the "odd" one <= 0.1', "balance > -1.5")}
    ),
    scheme({"high": rule('the "odd" one > 0'), "low": Rule()}, missing={'the "odd" one': 100.0}),
    scheme({"nobody": Rule()}),
]


@given(told=schemes(), table=tables())
@settings(max_examples=100, deadline=None)
def test_duckdb_equals_assign(told: TierScheme, table: pa.Table) -> None:
    found = on_duckdb(told.to_sql("users"), table)
    assert found.column_names == [*table.column_names, "tier"]
    assert found["user_id"].to_pylist() == table["user_id"].to_pylist()
    assert found["tier"].to_pylist() == by_assign(told, table)


@pytest.mark.parametrize("told", EXAMPLES)
def test_sqlite_equals_assign(told: TierScheme) -> None:
    pytest.importorskip("sqlglot")
    table = example_rows()
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute('CREATE TABLE users (user_id, idle_days, balance, "the ""odd"" one", n_investments)')
        rows = zip(*table.to_pydict().values(), strict=True)
        connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?)", rows)  # which stores NaN as null
        found = connection.execute(told.to_sql("users", keep="user_id", dialect="sqlite")).fetchall()
    finally:
        connection.close()
    assert [tier for _, tier in sorted(found)] == by_assign(told, table)


@on_spark
def test_spark_equals_assign(spark: Any) -> None:  # noqa: F811
    table = example_rows()
    rows = list(zip(*table.to_pydict().values(), strict=True))
    columns = 'user_id BIGINT, idle_days DOUBLE, balance DOUBLE, `the "odd" one` DOUBLE, n_investments DOUBLE'
    spark.createDataFrame(rows, columns).createOrReplaceTempView("users")
    for told in EXAMPLES:
        statement = told.to_sql("users", dialect="spark")
        found = {row["user_id"]: row["tier"] for row in spark.sql(statement).collect()}
        assert [found[user] for user in table["user_id"].to_pylist()] == by_assign(told, table)
        assert spark.sql(statement).columns == [*table.column_names, "tier"]


def test_other_types_of_numbers() -> None:
    told = scheme({"high": rule("idle_days > 15 and balance < 100 and n_investments >= 1")})
    table = pa.table(
        {
            "user_id": ["a", "b", "c", "d"],
            "idle_days": pa.array([16, 16, 15, 29], pa.int32()),
            "balance": pa.array(["99.99", "100.00", "1.00", None]).cast(pa.decimal128(18, 2)),
            "n_investments": [True, True, True, True],
        }
    )
    assert on_duckdb(told.to_sql("users"), table)["tier"].to_pylist() == by_assign(told, table) == ["high", *[None] * 3]


def test_the_statement_can_be_read() -> None:
    statement = scheme({"high": rule("idle_days > 15 and balance < 100")}).to_sql("app.users", keep=["user_id"])
    assert statement == (
        "SELECT\n"
        '    "source"."user_id" AS "user_id",\n'
        '    CASE WHEN CAST("source"."idle_days" AS DOUBLE) < 30e0 THEN'
        ' CASE WHEN (CAST("source"."idle_days" AS DOUBLE) > 15e0) AND (CAST("source"."balance" AS DOUBLE) < 100e0)'
        " THEN 'high' END END AS \"tier\"\n"
        'FROM "app"."users" AS "source"'
    )


def test_names_of_tables_and_columns() -> None:
    told = scheme({"high": rule("idle_days > 15")})
    table = pa.table({"user_id": [1], "idle_days": [16], "tier": ["vip"]})
    assert on_duckdb(told.to_sql("users", keep=["user_id"]), table).column_names == ["user_id", "tier"]
    with duckdb.connect() as connection:
        connection.execute('CREATE TABLE "users.v2" AS SELECT 1 AS user_id, 16 AS idle_days')
        assert connection.sql(told.to_sql(("main", "users.v2"))).fetchall() == [(1, 16, "high")]
    frame = table.to_pandas().drop(columns="tier")
    pd.testing.assert_frame_equal(
        on_duckdb(told.to_sql("users"), pa.Table.from_pandas(frame)).to_pandas()[[*frame]], frame
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"keep": ("user_id", "USER_ID")}, "'USER_ID'"),
        ({"keep": ("tier",)}, "'tier'"),
        ({"keep": (3,)}, "names of columns"),
        ({"table": ""}, "name of a table"),
        ({"table": "a..b"}, "name of a table"),
        ({"table": None}, "name of a table"),
        ({"dialect": "sparc"}, "Did you mean 'spark'"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        scheme(THREE).to_sql(**{"table": "users"} | arguments)


def test_another_dialect_needs_sqlglot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    assert scheme(THREE).to_sql("users").startswith("SELECT")
    with pytest.raises(InputError, match="pip install"):
        scheme(THREE).to_sql("users", dialect="spark")
