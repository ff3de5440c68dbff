"""Parts of a study that a log may not be able to tell: tried one by one, and absent with the reason in one line.

Only our own errors are reasons; any other is a fault of ours and is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from churnsurv.errors import ChurnsurvError
from churnsurv.study.text import one_line

__all__ = ["left_out", "part"]

Made = TypeVar("Made")


def part(name: str, absent: dict[str, str], make: Callable[[], Made]) -> Made | None:
    """Return what `make` makes, or None with the reason in `absent`.

    What goes into it was checked before, so that the log alone can be the reason.
    """
    try:
        return make()
    except ChurnsurvError as reason:
        absent[name] = one_line(reason)
        return None


def left_out(absent: Mapping[str, str], called: Mapping[str, str]) -> tuple[str, ...]:
    """Say what is absent and why, one line each; parts with the same reason together.

    Parameters
    ----------
    absent : mapping of part to reason
    called : mapping of part to what notes call it

    Examples
    --------
    >>> left_out({"a": "Nobody churned.", "b": "Nobody churned."}, {"a": "curves", "b": "the model"})
    ('Left out: curves; the model. Nobody churned.',)
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in absent.items():
        by_reason.setdefault(reason, []).append(called[name])
    return tuple(f"Left out: {'; '.join(names)}. {reason}" for reason, names in by_reason.items())
