"""The printed query of a table gives what the log gives, where only the raw tables are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from churnsurv.data import ActivityLog
from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.errors import InputError
from tests.data.spark import needs_spark, spark  # noqa: F401

_COLUMNS = {"events": {"event_at": "at the time"}, "users": {"user_id": "id"}}


def raw_tables() -> dict[str, pa.Table]:
    days = ["2024-01-05", "2024-01-20", "2024-03-20", "2024-02-01", "2024-02-10", "bad", "2024-05-01"]
    return {
        "events": pa.table(
            {
                "user_id": ["a", "a", "a", "b", "b", "b", "c"],
                "at the time": days,
                "kind": ["login", "it's\n a 'kind' (", "login", "invest", "invest", "login", "login"],
                "amount": pa.array([None, None, None, 1050, 2, 3, 4], pa.decimal128(18, 2)),
                "unused": range(7),
            }
        ),
        "users": pa.table(
            {
                "id": ["a", "b", "b", "c", None],
                "registered_at": pa.array([19_723, 19_750, 19_760, 19_700, 19_700], pa.date32()),
                "channel": ["x", "y", "y", "x", "x"],
            }
        ),
    }


def log_of(tables: dict[str, pa.Table], **settings: Any) -> ActivityLog:
    return ActivityLog(**tables, columns=_COLUMNS, observed_from="2023-12-20", **settings)


def answer(connection: duckdb.DuckDBPyConnection, statement: str) -> pd.DataFrame:
    return to_pandas(tidy(connection.sql(statement).to_arrow_table(), {}, keep=("user_id",)))


_ASKED: list[tuple[str, dict[str, Any]]] = [
    ("spells", {"spells": "all", "left_truncated": "assume_first_spell"}),
    ("spells", {"features": ["n_investments", "total_amount"], "baseline_day": 3}),
    ("history", {"features": ["n_investments", "balance"]}),
    ("landmark_panel", {"features": ["total_amount"], "every": 20}),
    ("snapshot", {"date": "2024-02-20"}),
    ("gaps", {"features": ["n_investments"]}),
]
_METHODS = {"spells": "churn_spells"}


@pytest.mark.parametrize(("table", "settings"), _ASKED)
def test_on_a_duckdb_that_has_only_the_tables(table: str, settings: dict[str, Any]) -> None:
    tables = raw_tables()
    log = log_of(tables)
    statement = log.to_sql(table, **settings)
    assert "churnsurv" not in statement
    fresh = duckdb.connect()
    for name, rows in tables.items():
        fresh.register(name, rows)
    expected = getattr(log, _METHODS.get(table, table))(**settings).table
    assert len(expected) > 0
    pd.testing.assert_frame_equal(answer(fresh, statement), expected)


def test_over_tables_of_other_names_and_numbered_sources(tmp_path: Path) -> None:
    tables = raw_tables()
    for name, rows in tables.items():
        pd.DataFrame(rows.to_pandas()).to_parquet(tmp_path / f"{name}.parquet")
    log = log_of({name: tmp_path / f"{name}.parquet" for name in tables})
    fresh = duckdb.connect()
    fresh.execute("CREATE SCHEMA app")
    fresh.register("spells", tables["events"])  # as a step of ours is called
    fresh.register("raw", tables["users"])
    fresh.execute("CREATE TABLE app.people AS SELECT * FROM raw")
    statement = log.to_sql("spells", sources={"events": "spells", "users": "(SELECT * FROM app.people)"}, spells="all")
    pd.testing.assert_frame_equal(answer(fresh, statement), log.churn_spells(spells="all").table)


def test_the_layout_keeps_what_is_quoted() -> None:
    log = log_of(raw_tables()).with_rule(activity=("login", "it's\n a 'kind' ("))
    statement = log.to_sql("gaps", features=[])
    assert "'it''s\n a ''kind'' ('" in statement
    indents = [len(line) - len(line.lstrip()) for line in statement.splitlines()]
    assert max(indents) >= 8
    assert all(
        indent % 4 == 0 or line.startswith(" a ''kind")
        for indent, line in zip(indents, statement.splitlines(), strict=True)
    )


def test_wrong_words() -> None:
    log = log_of(raw_tables())
    with pytest.raises(
        InputError, match=r"dialect must be one of 'duckdb', 'spark', not 'sparkk'. Did you mean 'spark'\?"
    ):
        log.to_sql("spells", dialect="sparkk")
    with pytest.raises(InputError, match=r"sources: the log has no table 'event'. Did you mean 'events'\?"):
        log.to_sql("spells", sources={"event": "x"})
    with pytest.raises(InputError, match=r"sources\['events'\] must be the name of a table"):
        log.to_sql("spells", sources={"events": " "})


class TestSpark:
    pytestmark = needs_spark

    def test_in_the_users_own_session(self, spark: Any) -> None:  # noqa: F811
        tables = raw_tables()
        log = log_of(tables)
        spark.createDataFrame(tables["users"]).createOrReplaceTempView("users")
        spark.createDataFrame(tables["events"]).createOrReplaceTempView("app_events")
        try:
            settings = {"features": ["n_investments", "total_amount"], "baseline_day": 3}
            statement = log.to_sql("spells", dialect="spark", sources={"events": "`app_events`"}, **settings)
            found = tidy(spark.sql(statement).toArrow(), {}, keep=("user_id",))
            pd.testing.assert_frame_equal(to_pandas(found), log.churn_spells(**settings).table)
        finally:
            for name in ("users", "app_events"):
                spark.catalog.dropTempView(name)
