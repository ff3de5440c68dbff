"""Raw logs in, analysis tables out: the only room that speaks SQL.

The names below load on first use, so that importing this package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "ActivityLog": "log",
    "Check": "check",
    "ChurnRule": "rule",
    "Engine": "engine",
    "Feature": "feature",
    "Spells": "spells",
    "Stages": "rule",
    "Story": "story",
    "connect": "engine",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'churnsurv.data' has no attribute {name!r}")
    value = getattr(import_module(f"churnsurv.data.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
