"""Raw logs in, analysis tables out: the only room that speaks SQL.

The names below load on first use, so that importing this package is cheap.
"""

from __future__ import annotations

from churnsurv.doors import doors

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
__getattr__, __dir__ = doors(__name__, _HOME)
