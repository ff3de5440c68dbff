"""One profile for all random tests: the same examples on every run, and no clock. Spark runs when it is asked for."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("churnsurv", derandomize=True, deadline=None)
settings.load_profile("churnsurv")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a JVM, which takes minutes, unless ``pytest -m spark`` asks for it."""
    if config.option.markexpr:
        return
    spark = [item for item in items if item.get_closest_marker("spark")]
    items[:] = [item for item in items if not item.get_closest_marker("spark")]
    config.hook.pytest_deselected(items=spark)
