"""Reports with few pictures, for tests that look at none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from churnsurv.report import figures


@contextmanager
def each_kind_drawn_once(made: dict[str, Any]) -> Iterator[None]:
    """While it lasts, the first picture of each kind of figure stands for all of its kind."""
    draw = figures._drawn

    def drawn(figure: Any, *given: Any) -> Any:
        if figure.kind not in made:
            made[figure.kind] = draw(figure, *given)
        return made[figure.kind]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "_drawn", drawn)
        yield
