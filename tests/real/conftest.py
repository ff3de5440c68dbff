"""Where the real data lie; tests that need them skip, saying so, where the folder is not there."""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def folder(name: str) -> Path:
    path = DATA / name
    if not path.is_dir():
        pytest.skip(f"real data are not part of this repository: no folder ../shared/data/{name} beside it")
    return path


@pytest.fixture(scope="session")
def olist_folder() -> Path:
    return folder("olist_sellers")


@pytest.fixture(scope="session")
def telco_folder() -> Path:
    return folder("telco")
