"""One small app on disk, and a way to write a study beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from churnsurv import simulate_app


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_app(400, seed=21).write(tmp_path_factory.mktemp("app"))


def write_study(app_folder: Path, folder: Path, sections: str = "", sources: str | None = None) -> Path:
    """Write a study on the app's files, with more sections below; who churns, why, and warning only where named."""
    given = sources or f'events = "{app_folder}/events.parquet"\nusers = "{app_folder}/users.parquet"'
    path = folder / "study.toml"
    off = "" if "[who_churns]" in sections else "[who_churns]\non = false\n"
    off += "" if "[warning" in sections else "[warning]\non = false\n"
    off += "" if "[why" in sections else "[why]\non = false\n"
    window = "[window]\nobserved_until = 2025-06-29\n"
    path.write_text(f"[sources]\n{given}\n{window}{off}{sections}", encoding="utf-8")
    return path


@pytest.fixture
def study_file(app_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a study into the folder of the test."""
    return partial(write_study, app_folder, tmp_path)
