"""The report: `build` turns results into plain data, `render_html` turns those into a page, `write` makes the folder.

Every sentence is made from a number of a table that stands in the report. Words live in one catalogue for each
language (`messages_en.py`); a user's own text is carried as data from end to end and escaped where it is shown.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "LANGUAGES": "catalogue",
    "Report": "model",
    "build": "building",
    "render_html": "render",
    "render_pdf": "pdf",
    "write": "folder",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'churnsurv.report' has no attribute {name!r}")
    return getattr(import_module(f"churnsurv.report.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
