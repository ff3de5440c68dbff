"""What SQLGlot does not get right in Spark's dialect: each rewrite as text, and what it means on a running Spark."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from churnsurv.data import connect
from churnsurv.data.clock import Clock
from churnsurv.data.spark_sql import to_spark
from churnsurv.errors import InputError
from tests.data.spark import needs_spark, spark  # noqa: F401


@pytest.mark.parametrize(
    ("duckdb", "spark_text"),
    [
        ("date_diff('day', a, b)", "CAST(DATEDIFF(b, a) AS BIGINT)"),
        ("DATE '2024-01-01' - 1", "DATE '2024-01-01' - 1"),
        ("TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP_NTZ '2024-01-01 00:00:00'"),
        ("CAST(a AS HUGEINT)", "CAST(a AS DECIMAL(38, 0))"),
        ("CAST(a AS UTINYINT)", "CAST(a AS SMALLINT)"),
        ("isinf(a)", "ABS(a) = CAST('Infinity' AS DOUBLE)"),
        ("isfinite(a)", "ABS(a) < CAST('Infinity' AS DOUBLE)"),
        ("trunc(a)", "CASE WHEN ABS(a) < 1e16 THEN a - a % 1 ELSE a END"),
        ("a / (b + 1)", "CAST(a AS DOUBLE) / CAST((b + 1) AS DOUBLE)"),
        ("CAST(row_number() OVER (ORDER BY a) AS INTEGER)", "CAST(ROW_NUMBER() OVER (ORDER BY a NULLS LAST) AS INT)"),
        ("dense_rank() OVER w", "CAST(DENSE_RANK() OVER w AS BIGINT)"),
        ("CAST(CAST(a AS BIGINT) AS VARCHAR)", "CAST(CAST(a AS BIGINT) AS STRING)"),
        ("regexp_matches(a, '^\\s\\d$')", "a RLIKE '^[\\\\t\\\\n\\\\f\\\\r ]\\\\d\\\\z'"),
        ("'it''s \\ '", "'it\\'s \\\\ '"),
        ('"a ""b"" `c`"', '`a "b" ``c```'),
    ],
)
def test_each_rewrite(duckdb: str, spark_text: str) -> None:
    assert to_spark(f"SELECT {duckdb} AS x FROM t").removeprefix("SELECT ").removesuffix(" AS x FROM t") == spark_text


def test_steps_inside_steps_stay_where_they_are() -> None:
    inner = "(WITH g AS (SELECT {} AS x) SELECT x FROM g)"
    nested = f"WITH a AS {inner.format(1)} SELECT x FROM {inner.format(2)}"
    assert to_spark(nested) == nested


def test_pretty_statements_have_lines() -> None:
    assert to_spark("SELECT a FROM t", pretty=True).splitlines() == ["SELECT", "  a", "FROM t"]


def test_without_sqlglot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(InputError, match=r"Spark needs SQLGlot.*churnsurv\[spark\]"):
        to_spark("SELECT 1")


@pytest.fixture(scope="module")
def engines(spark: Any) -> Iterator[tuple[Any, Any]]:  # noqa: F811
    with connect() as duckdb, connect(spark=spark) as on_spark:
        yield duckdb, on_spark


def both(engines: tuple[Any, Any], table: pa.Table, query: str) -> tuple[pa.Table, pa.Table]:
    first, second = (engine.arrow(query.replace("{}", engine.register("t", table))) for engine in engines)
    return first, second


_TIMES = [
    *("2024-05-01", "2024-5-1", "2024/05/01", "2024/05-01", " 2024-05-01 ", "2024-02-30", "024-05-01", "2024-05-01\n"),
    *(
        "2024-05-01 09:30:05",
        "2024-05-01T09:30",
        "2024-05-01 9:30",
        "2024/5/1  9:30",
        "2024-05-01 09:30:",
        "2024-05-01 9:3",
    ),
    *("2024-05-01 09:30:05.123456789", "2024-05-01 23:59:59.9999999", "2024-05-01 09:30:05.", "2024-05-01 09:30:5"),
    *("2024-05-01 24:00:00", "2024-05-01 24:00", "2024-05-01 24:00:01", "2024-05-01 09:60", "2024-05-01 09:30:60"),
    *(
        "2024-05-01 09:30 08",
        "2024-05-01 09:30: 5",
        "2024-05-01 09:30:05\t",
        "2024-05-01 1:300",
        "2024-05-01 09:30:055",
    ),
    *("2024-05-01 09:30:05Z", "2024-05-01T23:30:05+08:00", "2024-05-01 09:30:05 -0330", "2024-05-01 9:30+05", "x"),
    *("2024-05-01 24:00Z", "2024-05-01 09:30:05+08:00:30", "2024-05-01 09:30:05+8", "2024-05-01 09:30 Z", "", None),
    *(
        "2024-05-01 09:30 Europe/Paris",
        "2024-05-01 09:30:05 utc",
        "2024-05-01 09:30:05 PST",
        "2024-05-01 09:30 Mars/Base",
    ),
    *("2024-10-27 02:30:00 Europe/Paris", "2024-03-31 02:30:00 Europe/Paris", "2024-11-03 01:30 America/New_York"),
]


def _scrambled(texts: list[str | None], letters: str, n: int) -> list[str | None]:
    """The texts, and n more of each kind with letters taken out, put in or changed."""
    rng = np.random.default_rng(1)
    more = []
    for text in rng.choice([text for text in texts if text], n):
        letters_of = list(str(text))
        for _ in range(rng.integers(1, 3)):
            place = int(rng.integers(0, len(letters_of) + 1))
            letters_of[place : place + int(rng.integers(0, 2))] = list(rng.choice(["", *letters]))
        more.append("".join(letters_of))
    return list(dict.fromkeys([*texts, *more]))


def _clock_query(clock: Clock) -> str:
    moment = clock.moment("x", "VARCHAR", "x")
    columns = ", ".join(f"{sql} AS {column}" for column, sql in moment.columns.items())
    rows = f"(SELECT x, {columns} FROM {{}})"
    return f"SELECT x, _date, _naive, _utc, {moment.day} AS day FROM {rows} ORDER BY x NULLS FIRST"


def _differ(first: pa.Table, second: pa.Table) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    pairs = zip(first.to_pylist(), second.to_pylist(), strict=True)
    return [(one, other) for one, other in pairs if repr(one) != repr(other)]


class TestMeaning:
    pytestmark = needs_spark

    @pytest.mark.parametrize("clock", [Clock("UTC", "UTC"), Clock("Asia/Shanghai", "America/New_York")], ids=str)
    def test_days_and_times_as_text(self, engines: tuple[Any, Any], clock: Clock) -> None:
        table = pa.table({"x": pa.array(_scrambled(_TIMES, "0123456789-/:. T+", 500))})
        first, second = both(engines, table, _clock_query(clock))
        assert first.schema == second.schema
        assert _differ(first, second) == []
        assert first.num_rows - first["day"].null_count > 50

    def test_numbers_as_text(self, engines: tuple[Any, Any]) -> None:
        texts = [
            "1",
            "1.5",
            " 1 ",
            "1e5",
            "1E+5",
            ".5",
            "5.",
            "+5",
            "1_000",
            "1__0",
            "0x10",
            "1d",
            "1e400",
            "",
            ".",
            "\t1",
        ]
        texts += ["inf", "-Infinity", "nan", "+nan", "infinit", "1,5", "--5", "+-5", "1e", "9223372036854775808", None]
        table = pa.table({"x": pa.array(_scrambled(texts, "0123456789.eE+-_ ", 500))})
        query = (
            "SELECT x, TRY_CAST(x AS DOUBLE) AS number,"
            " CAST(TRY_CAST(x AS BIGINT) AS VARCHAR) IS DISTINCT FROM x AS not_whole FROM {} ORDER BY x NULLS FIRST"
        )
        first, second = both(engines, table, query)
        assert first.schema == second.schema
        assert _differ(first, second) == []
        assert first.num_rows - first["number"].null_count > 100

    def test_values_as_text(self, engines: tuple[Any, Any]) -> None:
        numbers = [
            0.0,
            0.1,
            -2.5,
            1e7,
            123456789.25,
            1e15,
            1e16,
            1e-4,
            1e-5,
            1.5e300,
            float("inf"),
            float("-inf"),
            None,
        ]
        columns = {
            "number": pa.array(numbers),
            "time": pa.array([0, 1_500_000, None] * 4 + [1], pa.timestamp("us")),
            "aware": pa.array([0, 1_500_000, None] * 4 + [1], pa.timestamp("us", "UTC")),
            "day": pa.array([0, 1, None] * 4 + [1], pa.date32()),
            "money": pa.array([None, "0.0000001", "1.50"] * 4 + ["1"]).cast(pa.decimal128(20, 10)),
            "yes": pa.array([True, False, None] * 4 + [True]),
        }
        query = (
            f"SELECT {', '.join(f'CAST({name} AS VARCHAR) AS {name}' for name in columns)} FROM {{}} ORDER BY number"
        )
        first, second = both(engines, pa.table(columns), query)
        assert _differ(first, second) == []

    def test_spaces_patterns_and_order(self, engines: tuple[Any, Any]) -> None:
        texts = ["\u3000a\u00a0", " a ", "\ta", "a\n", "a b  +c +d", "A", "b", "é", "中", None]
        query = (
            "SELECT x, trim(x) AS trimmed, regexp_replace(x, '\\s+([+-])', '\\1') AS joined,"
            " regexp_matches(x, 'a\\s*$') AS ends, regexp_matches(x, '^a$') AS whole,"
            " row_number() OVER (ORDER BY x) AS place FROM {} ORDER BY x"
        )
        first, second = both(engines, pa.table({"x": texts}), query)
        assert first.schema == second.schema
        assert _differ(first, second) == []

    def test_numbers_and_days(self, engines: tuple[Any, Any]) -> None:
        table = pa.table(
            {
                "x": pa.array([1.5, -1.5, float("inf"), float("nan"), 1e300, None]),
                "a": pa.array([0, 1, 19_000, None, 5, 6], pa.date32()),
                "b": pa.array([7, 1, 0, 5, None, 6], pa.date32()),
                "n": pa.array([1, 2, 3, 4, 5, 6]),
                "m": pa.array(["1.50", "2.25", None, "0.01", "7.00", "8.00"]).cast(pa.decimal128(9, 2)),
            }
        )
        query = (
            "SELECT n, isinf(x) AS infinite, isfinite(x) AS finite, trunc(x) = x AS whole,"
            " date_diff('day', a, b) AS days, a + 30 AS later, n / 4 AS quarter, m / 4 AS part,"
            " a IS DISTINCT FROM b AS moved,"
            " strftime(a, '%Y-%m') AS month, dense_rank() OVER (ORDER BY n) AS place FROM {} ORDER BY n"
        )
        first, second = both(engines, table, query)
        assert first.schema == second.schema
        assert _differ(first, second) == []
