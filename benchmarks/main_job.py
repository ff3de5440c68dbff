"""The main job: a study of raw Parquet files, from the files to the HTML report."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

STUDY = """
[sources]
events = "events.parquet"
users = "users.parquet"

[groups]
by = ["channel", "cohort"]

[cox]
formula = "channel + campaign + device"
reference = { channel = "organic" }
ties = "grouped"  # a quarter of the users churns on day 30
"""


def raw_files(rows: int) -> pd.DataFrame:
    """One row: the folder that holds the raw files of `rows` users, about 47 events each."""
    import churnsurv as ch

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ch.simulate_app(n_users=rows, seed=0).write(folder)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return pd.DataFrame({"folder": [str(folder)]})


def our_report(table: pd.DataFrame) -> Callable[[], float]:
    import churnsurv as ch

    folder = Path(table["folder"].iloc[0])

    def run() -> float:
        result = ch.Study.from_toml(folder / "study.toml").run()
        return float(result.report(folder / "report").stat().st_size)

    return run
