"""A whole study in one file: sources, rule, groups and model in, a result and its report out.

`Study.from_toml(path).run().report(folder)` is the story on one line; `init_study` and `demo_study` write a study file
to begin with.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Study": "study",
    "StudyConfig": "config",
    "StudyResult": "result",
    "check_study": "check",
    "demo_study": "demo",
    "in_words": "check",
    "init_study": "init",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'churnsurv.study' has no attribute {name!r}")
    value = getattr(import_module(f"churnsurv.study.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
