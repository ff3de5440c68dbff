"""One profile for all random tests: the same examples on every run, no clock. Spark and browsers run when asked for."""

from __future__ import annotations

import gc
import importlib
import os
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

_ASKED_FOR = ("spark", "browser")

settings.register_profile("churnsurv", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("churnsurv")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a JVM, which takes minutes, or a browser, unless ``pytest -m spark`` asks for it."""
    if config.option.markexpr:
        return
    asked = [item for item in items if any(map(item.get_closest_marker, _ASKED_FOR))]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, _ASKED_FOR))]
    config.hook.pytest_deselected(items=asked)


@settings(max_examples=1)
@given(strategies.none())
def _one_example(_: None) -> None:
    """Makes hypothesis set up its generators, for whose owners it asks the garbage collector."""


def pytest_collection_finish() -> None:
    """Keep the thousands of collected tests out of garbage collections, which statsmodels asks for again and again."""
    _one_example()
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let go of them again, or libraries report leaks when the interpreter ends."""
    gc.unfreeze()
