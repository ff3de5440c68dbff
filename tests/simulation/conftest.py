"""Apps that several files look at; made once."""

from __future__ import annotations

import pytest

from churnsurv.simulation import SimulatedApp, simulate_app


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is slow runs when it is asked for: ``pytest -m slow``."""
    if config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in slow]
    config.hook.pytest_deselected(items=slow)


@pytest.fixture(scope="session")
def app() -> SimulatedApp:
    """The default world."""
    return simulate_app(20_000, seed=11)


@pytest.fixture(scope="session")
def quiet() -> SimulatedApp:
    """The default world without campaigns: every gap follows the no-contact law."""
    return simulate_app(20_000, seed=12, campaigns=())
