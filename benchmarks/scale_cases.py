"""Logs too large to look at: from raw Parquet files to tables, and regressions inside the engine.

The files are made once by DuckDB from hashes, so that every contestant and every run reads the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

import churnsurv as ch
from benchmarks.case import Case, Run
from benchmarks.measure import AbsentError
from churnsurv.data.relation import Relation

FOLDER = Path(tempfile.gettempdir()) / "churnsurv-benchmarks"
EVENTS_A_USER = 100
DAYS = 730

_USERS = """
    SELECT u AS user_id, DATE '2023-01-01' + CAST(hash(u, 1) % 365 AS INTEGER) AS registered_at,
        ['organic', 'advertising', 'distribution', 'invitation', 'wealth_supermarket'][
            1 + CAST(hash(u, 2) % 5 AS INTEGER)] AS channel
    FROM range({users}) AS t(u)
"""
# Users live for a while, some for all the time there is; visits fall anywhere in their lives, at any hour.
_EVENTS = """
    WITH lives AS (
        SELECT user_id, registered_at,
            least(10 - 200 * ln((1 + hash(user_id, 3) % 1000000) / 1000001.0), {days} - 1) AS length
        FROM ({users})
    )
    SELECT user_id, epoch_ms(epoch_ms(registered_at::TIMESTAMP)
            + CAST(floor(length * (hash(user_id, i, 4) % 1000000) / 1e6 * 86400000) AS BIGINT)) AS event_at,
        CASE WHEN hash(user_id, i, 5) % 100 < 75 THEN 'login'
            WHEN hash(user_id, i, 5) % 100 < 95 THEN 'invest' ELSE 'redeem' END AS kind,
        CASE WHEN hash(user_id, i, 5) % 100 >= 75
            THEN CAST((hash(user_id, i, 6) % 1000000) / 100.0 AS DECIMAL(12, 2)) END AS amount,
        CASE WHEN hash(user_id, i, 5) % 100 >= 75
            THEN CASE WHEN hash(user_id, i, 7) % 4 = 0 THEN 'boosted' ELSE 'plain' END END AS product
    FROM lives, range({events_a_user}) AS e(i)
    ORDER BY hash(user_id, i, 8) % 64
"""
# What an analyst would write: distinct active days, the gap before each, a running number of spells, one row a spell.
_BY_HAND = """
    WITH days AS (
        SELECT DISTINCT user_id, CAST(event_at AS DATE) AS day FROM '{folder}/events.parquet'
        WHERE kind IN ('login', 'invest') AND event_at < DATE '{until}' + 1
        UNION SELECT user_id, registered_at FROM '{folder}/users.parquet'
    ),
    gaps AS (SELECT *, day - lag(day) OVER (PARTITION BY user_id ORDER BY day) > 30 AS opens FROM days),
    numbered AS (
        SELECT *, sum(CASE WHEN opens THEN 1 ELSE 0 END) OVER (PARTITION BY user_id ORDER BY day) AS spell FROM gaps
    ),
    spells AS (
        SELECT user_id, spell, min(day) AS origin, max(day) AS last_activity, count(*) AS active_days
        FROM numbered GROUP BY user_id, spell
    )
    SELECT s.*, last_activity + 30 <= DATE '{until}' AS churned,
        least(last_activity + 30, DATE '{until}') - origin AS duration, u.channel
    FROM spells AS s JOIN '{folder}/users.parquet' AS u USING (user_id) ORDER BY user_id, spell
"""
_UNTIL = "2024-12-30"


def log_files(events: int) -> pd.DataFrame:
    """One row: the folder of a log with so many events."""
    folder = FOLDER / f"log-{events}"
    if not folder.is_dir():
        import duckdb

        draft = FOLDER / f"draft-{events}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        users = _USERS.format(users=max(events // EVENTS_A_USER, 1))
        with duckdb.connect() as db:
            db.execute(f"COPY ({users}) TO '{draft}/users.parquet'")
            rows = _EVENTS.format(users=users, days=DAYS, events_a_user=EVENTS_A_USER)
            db.execute(f"COPY ({rows}) TO '{draft}/events.parquet'")
        draft.rename(folder)
    return pd.DataFrame({"folder": [str(folder)]})


def _log(table: pd.DataFrame, **engine: Any) -> ch.ActivityLog:
    folder = Path(table["folder"].iloc[0])
    return ch.ActivityLog(
        folder / "events.parquet", folder / "users.parquet", observed_until=_UNTIL, engine=ch.connect(**engine)
    )


def our_spells(table: pd.DataFrame) -> Run:
    return lambda: float(_log(table).churn_spells(spells="all").table["duration"].sum())


def spells_by_hand(table: pd.DataFrame) -> Run:
    import duckdb

    query = _BY_HAND.format(folder=table["folder"].iloc[0], until=_UNTIL)

    def run() -> float:
        with duckdb.connect() as db:
            db.execute("SET enable_progress_bar = false")
            return float(db.sql(query).to_arrow_table().to_pandas()["duration"].sum())

    return run


def our_spells_in_little_memory(table: pd.DataFrame) -> Run:
    return lambda: float(_log(table, memory_limit="1GB").churn_spells(spells="all").table["duration"].sum())


def _n_rows(relation: Relation) -> float:
    return float(relation.arrow(f"SELECT count(*) FROM {relation.name}")[0][0].as_py())


def our_history(table: pd.DataFrame) -> Run:
    features = ["n_investments", "total_amount", "max_amount", "stage"]
    return lambda: _n_rows(_log(table).relation("history", features=features))


def our_gaps(table: pd.DataFrame) -> Run:
    return lambda: _n_rows(_log(table).relation("gaps"))


def our_panel(table: pd.DataFrame) -> Run:
    return lambda: _n_rows(_log(table).relation("landmark_panel", every=28))


def model_rows(rows: int) -> pd.DataFrame:
    """One row: a Parquet file of `rows` users with eight numbers and a category each."""
    file = FOLDER / f"model-{rows}.parquet"
    if not file.is_file():
        import duckdb

        FOLDER.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        numbers = ", ".join(
            f"sqrt(-2 * ln((1 + hash(i, {j}) % 1000000) / 1000001.0))"
            f" * cos(hash(i, {j + 20}) % 1000000 / 159154.9) AS x{j}"
            for j in range(8)
        )
        hazard = "exp(0.3 * x0 - 0.2 * x1 + 0.1 * x2)"
        with duckdb.connect() as db:
            db.execute(
                f"COPY (SELECT * EXCLUDE (t), CAST(least(ceil(t), {DAYS}) AS INTEGER) AS duration,"
                f" t < {DAYS} AS churned FROM ("
                f"SELECT *, -600 * ln((1 + hash(i, 50) % 1000000) / 1000001.0) / {hazard} AS t FROM ("
                f"SELECT i, {numbers}, 'c' || hash(i, 60) % 6 AS channel FROM range({rows}) AS r(i))))"
                f" TO '{draft}' (FORMAT parquet)"
            )
        draft.rename(file)
    return pd.DataFrame({"file": [str(file)]})


_FORMULA = f"{' + '.join(f'x{j}' for j in range(8))} + channel"


def our_cox_in_engine(table: pd.DataFrame) -> Run:
    def run() -> float:
        with ch.connect(memory_limit="2GB") as engine:
            fit = ch.cox(_FORMULA, engine.sql(f"FROM '{table['file'].iloc[0]}'"))
            return float(fit.table["estimate"].iloc[0])

    return run


def our_cox_in_memory(table: pd.DataFrame) -> Run:
    def run() -> float:
        return float(ch.cox(_FORMULA, table["file"].iloc[0]).table["estimate"].iloc[0])

    return run


def our_spells_on_spark(table: pd.DataFrame) -> Run:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise AbsentError("pyspark is not installed") from error
    if shutil.which("java") is None:
        raise AbsentError("there is no Java")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    folder = Path(table["folder"].iloc[0])

    def run() -> float:
        with ch.connect(spark=session) as engine:
            log = ch.ActivityLog(
                folder / "events.parquet", folder / "users.parquet", observed_until=_UNTIL, engine=engine
            )
            return float(log.churn_spells(spells="all").table["duration"].sum())

    return run


def clear() -> None:
    """Remove the files."""
    shutil.rmtree(FOLDER, ignore_errors=True)


#: Events in the log, not users.
SCALE_CASES: dict[str, Case] = {
    "spells": Case(
        "Parquet files to all spells, 100 events a user",
        50_000_000,
        log_files,
        {
            "churnsurv": our_spells,
            "SQL by hand": spells_by_hand,
            "churnsurv, 1 GB of memory": our_spells_in_little_memory,
        },
        {"SQL by hand": ">= 0.83"},
        same=("SQL by hand", "churnsurv, 1 GB of memory"),
    ),
    "history": Case(
        "Parquet files to a history of four features", 50_000_000, log_files, {"churnsurv": our_history}, {}, repeats=1
    ),
    "gaps": Case(
        "Parquet files to gaps with their states", 50_000_000, log_files, {"churnsurv": our_gaps}, {}, repeats=1
    ),
    "landmark_panel": Case(
        "Parquet files to a panel every 28 days, all features",
        50_000_000,
        log_files,
        {"churnsurv": our_panel},
        {},
        repeats=1,
    ),
    "cox_in_engine": Case(
        "Cox, Efron, 8 numbers and a category, rows stay in DuckDB under 2 GB",
        20_000_000,
        model_rows,
        {"churnsurv": our_cox_in_engine, "churnsurv, in memory": our_cox_in_memory},
        {},
        repeats=1,
        warm_up=20_000,
        same=("churnsurv, in memory",),
    ),
    "spark": Case(
        "Parquet files to all spells, on DuckDB and on a local Spark",
        1_000_000,
        log_files,
        {"churnsurv": our_spells, "churnsurv on Spark": our_spells_on_spark},
        {},
        same=("churnsurv on Spark",),
    ),
}
