"""Relations of DuckDB, of Spark and of our own engines answer with counts of equal rows, types and all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from churnsurv.data import connect
from churnsurv.data.arrow import to_pandas
from churnsurv.data.relation import Relation, relation_of
from churnsurv.errors import InputError, SchemaError
from churnsurv.survival import cox, cumulative_incidence, kaplan_meier, logrank, rmst
from tests.data.spark import needs_spark
from tests.data.spark import spark as session  # noqa: F401 - a fixture


def with_spark(test: Any) -> Any:
    for mark in [*needs_spark, pytest.mark.filterwarnings("ignore:.*treatment of ties")]:
        test = mark(test)
    return test


FRAME = pd.DataFrame(
    {
        "user_id": range(300),
        "duration": [(7 * i) % 11 for i in range(300)],
        "churned": [i % 5 > 1 for i in range(300)],
        "channel": [["ads", None, "shop", "Über uns"][i % 4] for i in range(300)],
        "why": [["price", None, "moved"][i % 3] for i in range(300)],
        "amount": [Decimal("0.10") * (i % 3) for i in range(300)],
        "since": pd.to_datetime(["2024-01-01", "2024-02-29", None] * 100).date,
        "copies": [1 + i % 4 for i in range(300)],
        "share": [float("nan") if i % 50 == 0 else 0.25 * (i % 2) for i in range(300)],
    }
)
WORDS = ["duration", "churned", "channel", "amount", "since"]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'America/New_York'")
        yield opened


def known(relation: Any) -> Relation:
    found = relation_of(relation)
    assert found is not None
    return found


def by_hand(columns: list[str], total: str | None = None) -> dict[tuple[Any, ...], tuple[int, float]]:
    """How often each row is there, and the sum of a column over its equals."""
    found: dict[tuple[Any, ...], tuple[int, float]] = {}
    for row in FRAME.astype(object).where(FRAME.notna(), None).to_dict("records"):
        key = tuple(float(row[name]) if isinstance(row[name], Decimal) else row[name] for name in columns)
        n, added = found.get(key, (0, 0.0))
        found[key] = n + 1, added + (0 if total is None else row[total])
    return found


def check_counts(relation: Relation) -> None:
    found = relation.counted(WORDS, total="copies")
    plain = zip(found.table.to_pylist(), found.n.to_pylist(), found.total.to_pylist(), strict=True)
    there = {tuple(row[name] for name in WORDS): (n, total) for row, n, total in plain}
    assert there == by_hand(WORDS, "copies")
    assert len(there) == found.table.num_rows
    plan = relation.plan(WORDS)
    assert (plan.fetched_rows, plan.rows) == (found.table.num_rows, 300)
    kinds = {name: str(kind) for name, kind in to_pandas(found.table).dtypes.items()}
    assert kinds == {"duration": "int64", "churned": "bool", "channel": "category", "amount": "float64",
                     "since": "datetime64[s]"}  # fmt: skip
    assert to_pandas(found.table)["channel"].cat.categories.tolist() == ["ads", "shop", "Über uns"]


def test_equal_rows_come_as_one_with_their_number_and_sum(connection: duckdb.DuckDBPyConnection) -> None:
    connection.register("frame", FRAME)
    check_counts(known(connection.table("frame")))
    check_counts(known(connection.sql("SELECT * FROM frame WHERE copies > 0")))


def test_a_relation_of_any_connection_runs_there_and_leaves_nothing_behind(
    connection: duckdb.DuckDBPyConnection, tmp_path: Any
) -> None:
    connection.execute(
        f"ATTACH '{tmp_path}/file.db' AS file; CREATE TABLE file.t AS SELECT range % 3 AS a FROM range(9)"
    )
    connection.execute("DETACH file")
    with duckdb.connect(f"{tmp_path}/file.db", read_only=True) as other:
        assert known(other.table("t")).counted(["a"]).n.to_pylist() == [3, 3, 3]
        assert other.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchall() == [(0,)]
        assert other.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchall() == [(0,)]
        lost = known(other.table("t"))
    with pytest.raises(InputError, match=r"the relation cannot be read: .*closed"):
        lost.plan()


def test_names_are_quoted_and_taken_names_avoided(connection: duckdb.DuckDBPyConnection) -> None:
    relation = known(
        connection.sql("""SELECT range % 2 AS "n", range % 3 AS "to""tal", 1 AS "Select" FROM range(12)""")
    )
    found = relation.counted(["n", 'to"tal'], total="Select")
    assert found.table.column_names == ["n", 'to"tal']
    assert found.n.to_pylist() == [2] * 6
    assert found.total.to_pylist() == [2.0] * 6
    assert repr(relation.plan('to"tal')) == 'would fetch 3 rows (to"tal) of 12'


def test_the_plan_says_what_would_come(connection: duckdb.DuckDBPyConnection) -> None:
    relation = known(connection.sql("SELECT range % 2 AS a, range AS b FROM range(12_000)"))
    assert repr(relation.plan("a")) == "would fetch 2 rows (a) of 12,000"
    assert repr(relation.plan()) == "would fetch 12,000 rows (a, b) of 12,000"
    assert repr(relation) == "<Relation: 2 columns in duckdb: a, b>"
    with pytest.raises(SchemaError, match="'bb' is missing"):
        relation.plan(["a", "bb"])
    with pytest.raises(InputError, match="no column was asked for"):
        relation.plan([])
    assert known(connection.sql("SELECT 1 AS a WHERE false")).plan().rows == 0


def test_the_number_is_logged(connection: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="churnsurv")
    kaplan_meier(connection.sql("SELECT range % 5 AS duration, range % 2 AS churned FROM range(1000)"))
    assert caplog.messages == ["would fetch 10 rows (duration, churned) of 1,000"]


def test_enums_keep_their_order_and_missing_values_stay_missing(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TYPE stage AS ENUM ('new', 'growth', 'mature')")
    relation = known(
        connection.sql(
            "SELECT CAST(x AS stage) AS stage, y FROM (VALUES ('mature', 1), ('new', NULL), (NULL, 2)) t(x, y)"
        )
    )
    frame = to_pandas(relation.counted(["stage", "y"]).table)
    assert frame["stage"].cat.categories.tolist() == ["new", "mature"]
    assert frame["stage"].isna().sum() == frame["y"].isna().sum() == 1
    assert relation.columns["stage"].startswith("ENUM")


def test_values_that_are_not_allowed_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    connection.register("frame", FRAME)
    shares = connection.sql("SELECT coalesce(share, 'nan') AS share FROM frame")
    wrong = known(shares).refused("share", "{0} < 1")
    assert [(str(row["value"]), row["n"]) for row in wrong.to_pylist()] == [("nan", 6)]
    wrong = known(connection.table("frame")).refused("copies", "{0} > 2")
    assert [(row["value"], row["n"]) for row in wrong.to_pylist()] == [(1, 75), (2, 75)]


@pytest.mark.parametrize("data", [FRAME, pl.DataFrame({"a": [1]}), pa.table({"a": [1]}), "users.parquet", None, 3])
def test_what_is_in_memory_is_no_relation(data: Any) -> None:
    assert relation_of(data) is None


def test_a_table_of_an_engine_of_ours_is_a_relation() -> None:
    with connect() as engine:
        made = engine.table("frame", f"SELECT * FROM {engine.register('raw', pa.Table.from_pandas(FRAME))}")
        relation = Relation.of_engine(engine, made, facts={"rule": "30 days"})
        check_counts(relation)
        assert relation_of(relation) is relation
        assert relation.dialect_engine == "duckdb"
        assert dict(relation.facts) == {"rule": "30 days"}
        check_counts(known(engine.sql(f"SELECT * FROM {made}")))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Any:
    """The frame as a table of Spark."""
    arrow = pa.Table.from_pandas(FRAME)
    place = arrow.schema.get_field_index("amount")
    arrow = arrow.set_column(place, "amount", arrow["amount"].cast(pa.decimal128(9, 2)))
    return request.getfixturevalue("session").createDataFrame(arrow).cache()


@with_spark
def test_spark_equal_rows_come_as_one(table: Any) -> None:
    relation = known(table)
    assert relation.dialect_engine == "spark"
    assert relation.columns["amount"] == "DECIMAL(9,2)"
    check_counts(relation)


@with_spark
def test_spark_estimators_give_what_they_give_in_memory(table: Any) -> None:
    frame = FRAME.assign(amount=FRAME["amount"].astype(float), since=pd.to_datetime(FRAME["since"]))
    before = table.sparkSession.sql("SHOW VIEWS").count()
    asked: list[Callable[[Any], Any]] = [
        partial(kaplan_meier, by=["channel", "amount"]),
        partial(kaplan_meier, by="since", weights="copies", weights_kind="frequency"),
        partial(logrank, by="channel", strata="amount"),
        partial(rmst, horizon=5, by="channel"),
        partial(cumulative_incidence, cause="why", by="channel"),
    ]
    for ask in asked:
        there, here = ask(table), ask(frame)
        pd.testing.assert_frame_equal(there.table, here.table, check_exact=True)
        assert there._facts()["data"]["rows"] == 300
    there, here = (cox("channel + C(amount)", data) for data in (table, frame))
    pd.testing.assert_frame_equal(there.table, here.table, rtol=1e-10)
    assert there._facts()["data"]["fetched_rows"] < 300
    assert table.sparkSession.sql("SHOW VIEWS").count() == before


@with_spark
def test_spark_errors_count_rows(table: Any) -> None:
    with pytest.raises(SchemaError, match=r"'chanel' is missing\. Did you mean 'channel'"):
        kaplan_meier(table, by="chanel")
    with pytest.raises(SchemaError, match="'channel' must hold numbers of days; it has the type VARCHAR"):
        kaplan_meier(table, duration="channel")
    with pytest.raises(InputError, match=r"duration must be >= 0; \d+ such rows, such as -5"):
        kaplan_meier(table.where("duration IN (0, 8)").selectExpr("duration - 5 AS duration", "churned"))
    three = cox("channel", table).risk(table.limit(3))
    np.testing.assert_array_equal(three.values, cox("channel", FRAME).risk(FRAME.head(3)).values)
