"""One profile for all random tests: the same examples on every run, no clock. Some tests run when they are asked for.

Tests of a file run in one process. So do those of a folder whose files share results that take long to make.
"""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies

# Tests run side by side on all cores: threads of BLAS would only wait for each other. It reads its limit when it is
# loaded; the limit goes again, since it would hold for threads of our own too, which tests do try.
_BLAS = "OPENBLAS_NUM_THREADS"
if _BLAS not in os.environ:
    os.environ[_BLAS] = "1"
    for name in ("numpy", "scipy.linalg"):
        importlib.import_module(name)
    del os.environ[_BLAS]

if "PYTEST_XDIST_WORKER" in os.environ:  # and so would those of DuckDB, unless a test says how many it wants
    import duckdb

    _connect = duckdb.connect

    def _connect_with_one_thread(*arguments: Any, **settings: Any) -> duckdb.DuckDBPyConnection:
        connection = _connect(*arguments, **settings)
        connection.execute("SET threads = 1")
        return connection

    duckdb.connect = _connect_with_one_thread

_ASKED_FOR = ("slow", "spark", "browser")
_TOGETHER = ("tests/report/",)

settings.register_profile("churnsurv", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("churnsurv")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, or needs a JVM or a browser, unless ``pytest -m slow`` (spark, browser) asks."""
    if config.option.markexpr:
        return
    asked = [item for item in items if any(map(item.get_closest_marker, _ASKED_FOR))]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, _ASKED_FOR))]
    config.hook.pytest_deselected(items=asked)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files, and whole folders where each of their files needs the fixtures of the folder."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFixtures(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in _TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))

    return ByFixtures(config, log)


@pytest.fixture(scope="module")
def _pictures() -> dict[str, Any]:
    return {}


@pytest.fixture
def few_pictures(_pictures: dict[str, Any]) -> Iterator[None]:
    """Of each kind of figure the tests of a file draw one picture: for tests that look at none."""
    from tests.few_pictures import each_kind_drawn_once

    with each_kind_drawn_once(_pictures):
        yield


@settings(max_examples=1)
@given(strategies.none())
def _one_example(_: None) -> None:
    """Makes hypothesis set up its generators, for whose owners it asks the garbage collector."""


def pytest_collection_finish() -> None:
    """Keep the thousands of collected tests out of garbage collections, which statsmodels asks for again and again."""
    _one_example()
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Let go of them again at the very end, after pytest's own garbage collections, or libraries report leaks."""
    config.add_cleanup(gc.unfreeze)
