"""One profile for all random tests: the same examples on every run, and no clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("churnsurv", derandomize=True, deadline=None)
settings.load_profile("churnsurv")
