"""Spark gives exactly the tables, counts and rejects of DuckDB, types included, and leaves the session as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnsurv.data import ActivityLog, ChurnRule, Feature, connect
from churnsurv.data.clock import Clock
from churnsurv.errors import InputError
from tests.data.spark import needs_spark, spark  # noqa: F401

pytestmark = needs_spark


@pytest.fixture(scope="module")
def engine(spark: Any) -> Iterator[Any]:  # noqa: F811
    with connect(spark=spark) as made:
        yield made


def same(ours: pa.Table, theirs: pa.Table) -> None:
    """Equal in names, types, order and every value."""
    assert ours.schema.equals(theirs.schema), f"{ours.schema}\n\n{theirs.schema}"
    if not ours.equals(theirs):
        pd.testing.assert_frame_equal(ours.to_pandas(), theirs.to_pandas())
        assert ours.to_pylist() == theirs.to_pylist()


# ---------------------------------------------------------------------------------------------------- random logs


def dirty_tables(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Text in all its forms: users twice, unknown and missing ones, days that are none, amounts that are none."""
    rng = np.random.default_rng(seed)
    n_users, n = 60, 500
    users = pd.DataFrame(
        {
            "user_id": [f"u{i % 55}" if i % 17 else None for i in range(n_users)],
            "registered_at": [f"2024-0{1 + i % 3}-{1 + i % 28:02d}" if i % 13 else "soon" for i in range(n_users)],
            "channel": pd.Categorical([["b", "a", "c"][i % 3] for i in range(n_users)], ["c", "b", "a", "z"]),
            "age": pd.array([i % 7 if i % 5 else None for i in range(n_users)], dtype="UInt8"),
            "score": [0.5 * i if i % 4 else np.nan for i in range(n_users)],
            "seen": pd.to_datetime(["2024-01-01 10:00"] * n_users),
        }
    )
    users = pd.concat([users, users.iloc[:5]], ignore_index=True)
    begin = datetime(2024, 1, 10)
    forms = [
        "{:%Y-%m-%d %H:%M:%S}",
        "{:%Y-%m-%d}",
        "{:%Y/%m/%d %H:%M}",
        "{:%Y-%m-%dT%H:%M:%S.%f}+08:00",
        "{:%Y-%m-%dT%H:%MZ}",
    ]
    forms += [
        "{:%Y-%m-%d %H:%M:%S} Europe/Paris",
        " {:%Y-%m-%d}  {:%H:%M} ",
        "",
        "bad",
        "2024-02-30",
        "{:%Y-%m-%d} 24:00:00",
    ]
    moments = [begin + timedelta(minutes=int(minute)) for minute in rng.integers(0, 60 * 24 * 150, n)]
    events = pd.DataFrame(
        {
            "user_id": [f"u{user}" if user < 62 else None for user in rng.integers(0, 64, n)],
            "event_at": [str(rng.choice(forms)).format(moment, moment) for moment in moments],
            "kind": rng.choice(
                ["login", "invest", "redeem", "\u3000", " it's \\ ", None], n, p=[0.5, 0.3, 0.15, 0.02, 0.02, 0.01]
            ),
            "amount": rng.choice(["12.5", "1e3", "inf", "x", "", None, "0.1", " 7 ", "1_000", "NaN", "1d", "9e12"], n),
            "product": rng.choice(["boosted", "plain", None], n),
        }
    )
    return pd.concat([events, events.iloc[:9]], ignore_index=True), users


def typed_tables(seed: int) -> dict[str, pa.Table]:
    """Columns with types of their own: narrow ids, aware times, decimals, times of several lengths."""
    rng = np.random.default_rng(seed)
    n_users, n = 50, 900
    days = np.datetime64("2024-01-01") + rng.integers(0, 120, n_users)
    users = pa.table(
        {
            "user_id": pa.array(range(n_users), pa.uint16()),
            "registered_at": pa.array(days.astype("datetime64[s]"), pa.timestamp("s")),
            "city": pa.array([["x", "y", None][i % 3] for i in range(n_users)]).dictionary_encode(),
            "premium": pa.array([i % 2 == 0 for i in range(n_users)]),
            "limit": pa.array([Decimal(i) / 4 for i in range(n_users)], pa.decimal128(9, 2)),
            "rank": pa.array([float(i) for i in range(n_users)], pa.float32()),
            "nothing": pa.nulls(n_users),
        }
    )
    moments = np.datetime64("2024-02-01", "us") + rng.integers(0, 200 * 86_400_000_000, n)
    kinds = rng.choice(["login", "invest", "redeem"], n, p=[0.6, 0.3, 0.1])
    amounts = [Decimal(int(value)) / 100 if value % 5 else None for value in rng.integers(1, 10**7, n)]
    events = pa.table(
        {
            "user_id": pa.array(rng.integers(0, n_users + 2, n), pa.int32()),
            "event_at": pa.array(moments, pa.timestamp("us", "UTC")),
            "kind": pa.array(kinds),
            "amount": pa.array(amounts, pa.decimal128(18, 2)),
            "product": pa.array(rng.choice(["boosted", "plain"], n)),
            "score": pa.array(rng.normal(size=n)),
        }
    )
    balances = pa.table(
        {
            "user_id": pa.array(rng.integers(0, n_users, 200), pa.int64()),
            "date": pa.array(np.datetime64("2024-02-01") + rng.integers(0, 200, 200)),
            "balance": pa.array([float(value) if value > 5 else float("nan") for value in rng.integers(0, 500, 200)]),
        }
    )
    return {"events": events, "users": users, "balances": balances}


def told(log: ActivityLog, user: object) -> dict[str, object]:
    """Everything that is counted and said in words."""
    return {
        "counts": dict(log.counts),
        "window": (log.observed_from, log.observed_until),
        "check": log.check().table.astype(object).where(lambda table: table.notna(), None).to_dict("records"),
        "story": log.story(user).table.astype(str).to_dict("records"),
    }


def test_a_dirty_log_of_text(engine: Any) -> None:
    events, users = dirty_tables(5)
    settings = {"timestamps": "Asia/Shanghai", "time_zone": "Asia/Shanghai", "observed_from": "2024-01-20"}
    log = ActivityLog(events, users, **settings)
    on_spark = ActivityLog(events, users, engine=engine, **settings)
    same(on_spark._reading.rejects, log._reading.rejects)
    reasons = set(log.rejects["reason"])
    assert reasons >= {"unknown_user", "unparsable_date", "amount_not_a_number", "amount_too_large", "duplicate_user"}
    assert told(on_spark, "u3") == told(log, "u3")
    ours, theirs = on_spark.churn_spells(), log.churn_spells()
    same(ours._table, theirs._table)
    assert dict(ours.counts) == dict(theirs.counts)
    assert ours.counts["spells"] > 10
    with pytest.raises(InputError) as nearest:
        on_spark.story("u33x")
    with pytest.raises(InputError, match=r"'u33'") as expected:
        log.story("u33x")
    assert str(nearest.value) == str(expected.value)


@pytest.fixture(scope="module")
def typed_logs(engine: Any) -> tuple[ActivityLog, ActivityLog]:
    """The same log on Spark and on DuckDB."""
    tables = typed_tables(7)
    settings = {"time_zone": "America/New_York", "rule": ChurnRule(idle_days=21), "observed_from": "2024-03-01"}
    return ActivityLog(**tables, engine=engine, **settings), ActivityLog(**tables, **settings)


def test_a_log_of_many_types_in_two_zones(typed_logs: tuple[ActivityLog, ActivityLog]) -> None:
    on_spark, log = typed_logs
    same(on_spark._reading.rejects, log._reading.rejects)
    assert dict(on_spark.counts) == dict(log.counts)
    features = ("n_investments", "total_amount", "max_amount", "balance", "stage", "ever_boosted")
    mean = Feature("mean_score", agg="mean", column="score", kind="login", last=30)
    asked = {"spells": "all", "features": (*features, mean), "baseline_day": 5}
    ours, theirs = on_spark.churn_spells(**asked), log.churn_spells(**asked)
    same(ours._table, theirs._table)
    assert dict(ours.counts) == dict(theirs.counts)
    assert ours.counts["spells"] > 10
    choice = {"spells": "all", "left_truncated": "assume_first_spell"}
    ours, theirs = (each.with_rule(5, ("invest",)).churn_spells(**choice) for each in (on_spark, log))
    same(ours._table, theirs._table)


@pytest.mark.parametrize(("table", "choice"), [("history", {}), ("landmark_panel", {"every": 30}), ("gaps", {})])
def test_behaviour_over_time(
    typed_logs: tuple[ActivityLog, ActivityLog], table: str, choice: dict[str, object]
) -> None:
    features = ("n_investments", "total_amount", "balance", "stage", "boosted_share")
    ours, theirs = (getattr(log, table)(features=features, **choice) for log in typed_logs)
    same(ours._table, theirs._table)
    assert dict(ours.counts) == dict(theirs.counts)
    assert ours._table.num_rows > 50


def test_a_log_on_spark_prints_statements_for_others(typed_logs: tuple[ActivityLog, ActivityLog]) -> None:
    on_spark, log = typed_logs
    statement = on_spark.to_sql("spells")
    assert "churnsurv" not in statement
    fresh = duckdb.connect()
    for name, rows in typed_tables(7).items():
        fresh.register(name, rows)
    expected = log.churn_spells().table[["user_id", "duration", "churned"]]
    found = fresh.sql(f"SELECT user_id, duration, churned FROM ({statement})").df()
    pd.testing.assert_frame_equal(found, expected)


# ------------------------------------------------------------------------------------------------------- sources


def test_tables_of_spark_parquet_and_csv(engine: Any, spark: Any, tmp_path: Path) -> None:  # noqa: F811
    events, users = dirty_tables(3)
    users = users.drop(columns=["age", "seen", "channel"])
    events["at"] = pd.to_datetime("2024-02-01") + pd.to_timedelta(range(len(events)), unit="h")
    events = events.drop(columns="event_at").rename(columns={"at": "event_at"})
    pq.write_table(pa.Table.from_pandas(events), tmp_path / "events-1.parquet", coerce_timestamps="us")
    users.to_csv(tmp_path / "users.csv", index=False)
    single = tmp_path / "events-1.parquet", tmp_path / "users.csv"
    log, on_spark = ActivityLog(*single), ActivityLog(*single, engine=engine)
    same(on_spark._reading.rejects, log._reading.rejects)  # with the positions of the rows
    assert log.rejects["row"].notna().all()

    pq.write_table(pa.Table.from_pandas(events.iloc[:0]), tmp_path / "events-2.parquet", coerce_timestamps="us")
    several = str(tmp_path / "events-*.parquet")
    given = spark.createDataFrame(pa.Table.from_pandas(users, preserve_index=False))
    log, on_spark = ActivityLog(several, users), ActivityLog(several, given, engine=engine)
    rejects = on_spark._reading.rejects
    assert rejects["row"].null_count == rejects.num_rows  # the order of tables of Spark says nothing
    same(on_spark.churn_spells(spells="all")._table, log.churn_spells(spells="all")._table)


def test_times_of_a_session_in_another_zone_are_the_instants_they_are(engine: Any, spark: Any) -> None:  # noqa: F811
    frame = engine.sql(
        "SELECT 1 AS user_id, 'login' AS kind, TIMESTAMP '2024-01-05 23:30:00' AS event_at"
        " UNION ALL SELECT 1, 'login', TIMESTAMP '2024-03-05 10:00:00+00:00'"
    )
    name = engine.adopt("events", frame)
    kind = engine.describe(name)["event_at"]
    days = f"SELECT {Clock('UTC', 'UTC').day('event_at', kind, 'event_at')} FROM {name} ORDER BY event_at"
    # 23:30 in New York is the next day of UTC.
    assert engine.rows(days) == [(date(2024, 1, 6),), (date(2024, 3, 5),)]
    assert spark.conf.get("spark.sql.session.timeZone") == "America/New_York"


# -------------------------------------------------------------------------------------------------------- engine


def test_types_come_back_as_duckdb_gives_them(engine: Any) -> None:
    table = pa.table(
        {
            "u8": pa.array([1, None], pa.uint8()),
            "u64": pa.array([2**64 - 1, None], pa.uint64()),
            "i16": pa.array([1, None], pa.int16()),
            "s": pa.array([0, None], pa.timestamp("s")),
            "ns": pa.array([-1000, None], pa.timestamp("ns")),
            "aware": pa.array([0, None], pa.timestamp("ms", "Asia/Shanghai")),
            "text": pa.array(["a", None]).dictionary_encode(),
            "money": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
            "f": pa.array([1.5, None], pa.float32()),
            "day": pa.array([date(2024, 1, 1), None]),
            "yes": pa.array([True, None]),
            "blob": pa.array([b"x", None]),
        }
    )
    with connect() as other:
        names = other.register("t", table), engine.register("t", table)
        expected = other.describe(names[0]) | {"ns": "TIMESTAMP"}
        described = engine.describe(names[1])
        assert described.pop(engine.registered_row) == "BIGINT"
        assert described == expected
        columns = ", ".join(table.column_names)
        query = f"SELECT {columns}, count(*) AS n, count(*) AS n2 FROM {{}} GROUP BY {columns} ORDER BY yes NULLS FIRST"
        same(engine.arrow(query.format(names[1])), other.arrow(query.format(names[0])))
    assert engine.rows(f"SELECT max(u8), count(*), count(*) FROM {names[1]}") == [(1, 2, 2)]
    engine.drop(names[1])


def test_nanoseconds_are_cut_and_not_rounded(engine: Any) -> None:
    last = pa.table({"at": pa.array([np.datetime64("2024-01-01T23:59:59.999999999")], pa.timestamp("ns"))})
    name = engine.register("t", last)
    assert engine.rows(f"SELECT CAST(CAST(at AS TIMESTAMP) AS DATE) FROM {name}") == [(date(2024, 1, 1),)]


def test_the_session_is_left_as_it_was(spark: Any) -> None:  # noqa: F811
    from pyspark.sql import SparkSession

    before = dict(spark.conf.getAll), SparkSession.getActiveSession()
    made = connect(spark=spark)
    assert repr(made) == f"<Engine: Spark {spark.version}>"
    made.register("t", pa.table({"x": [1]}))
    kept = made.table("kept", "SELECT 1 AS x")
    assert made.rows(f"SELECT x FROM {kept}") == [(1,)]
    assert spark.sparkContext._jsc.sc().getPersistentRDDs().size() > 0
    assert [table.name for table in spark.catalog.listTables()] == []
    made.close()
    made.close()
    assert repr(made) == f"<Engine: Spark {spark.version}, closed>"
    assert (dict(spark.conf.getAll), SparkSession.getActiveSession()) == before
    assert made._held == {}
    with pytest.raises(InputError, match=r"This engine is closed"):
        made.rows("SELECT 1")
    assert spark.range(2).count() == 2


def test_settings_of_the_session_change_nothing(spark: Any) -> None:  # noqa: F811
    odd = spark.newSession()
    for setting, value in {
        "spark.sql.ansi.enabled": "false",
        "spark.sql.caseSensitive": "true",
        "spark.sql.groupByOrdinal": "false",
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.sql.parser.escapedStringLiterals": "true",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.shuffle.partitions": "3",
    }.items():
        odd.conf.set(setting, value)
    statement = (
        "SELECT CAST(CAST(0.0000001 AS DECIMAL(20, 10)) AS VARCHAR) AS tiny, CAST('a\\b' AS VARCHAR) AS text,"
        " TRY_CAST('2024-13-01' AS DATE) AS day, CAST(TRY_CAST('2024-05-01T00:30Z' AS TIMESTAMPTZ) AS VARCHAR) AS at"
    )
    with connect(spark=odd) as made, connect() as other:
        assert made.rows(statement) == other.rows(statement)
        assert made._own.conf.get("spark.sql.shuffle.partitions") == "3"


def small_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    users = pd.DataFrame({"user_id": [1, 2], "registered_at": ["2024-01-01", "2024-01-10"]})
    return pd.DataFrame({"user_id": [1, 2], "event_at": ["2024-01-05", "2024-03-01"], "kind": "login"}), users


def test_text_of_another_collation_compares_byte_by_byte(engine: Any, spark: Any) -> None:  # noqa: F811
    users = spark.sql("SELECT x COLLATE UTF8_LCASE AS x FROM VALUES ('a'), ('A'), ('b') AS t(x)")
    assert users.distinct().count() == 2
    assert engine.rows(f"SELECT DISTINCT x FROM {engine.adopt('users', users)} ORDER BY x") == [("A",), ("a",), ("b",)]


# -------------------------------------------------------------------------------------------------------- errors


def test_what_spark_cannot_read(engine: Any, tmp_path: Path) -> None:
    _, users = small_tables()
    damaged = tmp_path / "events.parquet"
    damaged.write_bytes(b"PAR1" + bytes(200) + b"PAR1")
    with pytest.raises(
        InputError, match=r"events: the table cannot be read: Spark cannot read the data: \[\w+"
    ) as told:
        ActivityLog(damaged, users, engine=engine).churn_spells()
    assert "\n" not in str(told.value)
    pq.write_table(pa.table({"user_id": [1], "event_at": [date(2024, 1, 5)]}), tmp_path / "part-1.parquet")
    pq.write_table(pa.table({"user_id": [1], "at": [date(2024, 1, 5)]}), tmp_path / "part-2.parquet")
    with pytest.raises(InputError, match=r"events: the table cannot be read: .*part-2.parquet' lacks 'event_at'"):
        ActivityLog(tmp_path / "part-*.parquet", users, engine=engine).churn_spells()
    pq.write_table(pa.table({"user_id": [1], "event_at": pa.array([1], pa.timestamp("ns"))}), tmp_path / "ns.parquet")
    with pytest.raises(InputError, match=r"events: the table cannot be read: .*NANOS"):
        ActivityLog(tmp_path / "ns.parquet", users, engine=engine).churn_spells()
    failing = engine.sql(
        "SELECT raise_error('no such row') AS user_id, current_timestamp() AS event_at, 'login' AS kind"
    )
    with pytest.raises(InputError, match=r"Spark cannot read the data: .*no such row"):
        ActivityLog(failing, users, engine=engine).churn_spells()
    problems = ActivityLog(damaged, users, engine=engine).check().table
    assert "cannot_be_read" in set(problems["problem"])


def test_what_belongs_to_another_engine(engine: Any, spark: Any) -> None:  # noqa: F811
    events, _ = small_tables()
    frame = spark.createDataFrame([(1, date(2024, 1, 1))], "user_id BIGINT, registered_at DATE")
    with pytest.raises(InputError, match=r"users: a DataFrame belongs to another engine than DuckDB"):
        ActivityLog(events, frame).churn_spells()
    with connect() as other, pytest.raises(InputError, match=r"users: a DuckDBPyRelation is no DataFrame of Spark"):
        ActivityLog(events, other.sql("SELECT 1 AS user_id"), engine=engine).churn_spells()


def test_wrong_queries_and_sessions(engine: Any, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    with pytest.raises(InputError, match=r"The engine cannot read this query: \[PARSE_SYNTAX_ERROR\]"):
        engine.sql("SELEC 1")
    with pytest.raises(InputError, match=r"takes no other setting"):
        connect(spark=spark, threads=2)
    with pytest.raises(InputError, match=r"spark must be a SparkSession; it is a str"):
        connect(spark="local")
    remote = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session", "newSession": 0, "conf": 0})
    remote.createDataFrame = 0
    with pytest.raises(InputError, match=r"Spark Connect is not supported"):
        connect(spark=remote())
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(InputError, match=r"pip install 'churnsurv\[spark\]'"):
        connect(spark=spark)
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    with pytest.raises(InputError, match=r"Spark needs pyspark 4.0 or later.*churnsurv\[spark\]"):
        connect(spark=spark)
