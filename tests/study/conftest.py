"""One small app on disk, and a way to write a study beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from churnsurv.simulate import simulate_app


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_app(800, seed=21).write(tmp_path_factory.mktemp("app"))


@pytest.fixture
def study_file(app_folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Write a study whose sources are the app's files, with more sections below."""

    def write(sections: str = "", sources: str | None = None) -> Path:
        given = sources or f'events = "{app_folder}/events.parquet"\nusers = "{app_folder}/users.parquet"'
        path = tmp_path / "study.toml"
        path.write_text(f"[sources]\n{given}\n[window]\nobserved_until = 2025-06-23\n{sections}", encoding="utf-8")
        return path

    return write
