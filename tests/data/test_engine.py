"""The engine: what it is told, what it refuses, and that it cleans up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, Engine, connect
from churnsurv.data.engine_duckdb import open_duckdb
from churnsurv.errors import InputError
from tests.data.small import log_of, spells_of, users_of


def test_the_session_is_in_utc_and_spills_to_a_folder_of_its_own() -> None:
    engine = connect(memory_limit="500MB", threads=1)
    zone, folder, threads = engine.rows(
        "SELECT current_setting('TimeZone'), current_setting('temp_directory'), current_setting('threads')"
    )[0]
    assert (zone, threads) == ("UTC", 1)
    assert Path(folder).is_dir()
    engine.close()
    assert not Path(folder).exists()
    assert repr(engine) == "<Engine: DuckDB, in memory, closed>"


def test_a_run_that_is_stopped_while_the_folder_is_made_leaves_none(tmp_path: Path) -> None:
    """The stop comes right after the folder is on the disk, before anybody holds its name."""
    stopped = """
import sys
from pathlib import Path
from churnsurv.data import connect

make = Path.mkdir
def stop(folder, *args, **kwargs):
    make(folder, *args, **kwargs)
    sys.exit(143)

Path.mkdir = stop
connect()
"""
    done = subprocess.run([sys.executable, "-c", stopped], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == 143
    assert list(tmp_path.iterdir()) == []


def test_a_database_file(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with open_duckdb(f"duckdb:///{path}") as engine:
        engine.run("CREATE TABLE events AS SELECT 1 AS user_id, DATE '2024-01-05' AS event_at, 'login' AS kind")
    with connect(str(path)) as engine:
        log = ActivityLog(engine.sql("FROM events"), users_of({1: "2024-01-01"}), engine=engine)
        assert spells_of(log) == [(1, 1, "2024-01-01", True, 0, 4, False, "2024-01-05", "2024-01-05")]
    with connect(str(path)) as engine:
        assert engine.rows("SELECT table_name FROM duckdb_tables()") == [("events",)]
        assert engine.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal") == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, r"threads must be 1 or more"),
        ({"threads": True}, r"threads must be 1 or more"),
        ({"memory_limit": "lots"}, r"DuckDB cannot open ':memory:' like this"),
        ({"database": "no/such/folder/app.db"}, r"There is no folder 'no/such/folder'"),
    ],
)
def test_wrong_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        connect(**settings)


def test_a_wrong_query_is_an_input_error() -> None:
    with connect() as engine, pytest.raises(InputError, match=r"The engine cannot read this query"):
        engine.sql("SELEC 1")


def test_two_logs_share_an_engine() -> None:
    with connect() as engine:
        first = log_of({1: "2024-01-01"}, [(1, "2024-01-05")], engine=engine)
        second = log_of({1: "2024-01-01"}, [(1, "2024-01-09")], engine=engine)
        assert [row[5] for row in spells_of(first)] == [4]
        assert [row[5] for row in spells_of(second)] == [8]
        assert [row[5] for row in spells_of(first)] == [4]
        assert isinstance(first.engine, Engine)


def test_little_memory_gives_the_same_spells(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 1_500_000
    events = pd.DataFrame(
        {
            "user_id": rng.integers(0, 30_000, n),
            "event_at": np.datetime64("2024-01-01") + rng.integers(0, 400, n).astype("timedelta64[D]"),
            "kind": "login",
        }
    )
    events.to_parquet(tmp_path / "events.parquet")
    users = users_of(dict.fromkeys(range(30000), "2024-01-01"))
    with connect(memory_limit="60MB", threads=1) as engine:
        small = ActivityLog(tmp_path / "events.parquet", users, engine=engine).churn_spells(spells="all").table
    whole = ActivityLog(events, users).churn_spells(spells="all").table
    pd.testing.assert_frame_equal(small, whole)


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, churnsurv, churnsurv.data; from churnsurv import ChurnRule;"
        "print([name for name in ('duckdb', 'pandas', 'pyarrow', 'numpy', 'polars') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys; from churnsurv.data import ActivityLog, connect, Spells; print('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
