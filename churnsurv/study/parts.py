"""Parts of a study that a log may not be able to tell: tried one by one, and absent with the reason in one line.

Only our own errors are reasons; any other is a fault of ours and is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from churnsurv.diagnosis.naming import semicolons
from churnsurv.errors import ChurnsurvError
from churnsurv.notes import Note, note
from churnsurv.study.text import one_line

__all__ = ["left_out", "part", "why"]

Made = TypeVar("Made")


def part(name: str, absent: dict[str, str], make: Callable[[], Made]) -> Made | None:
    """Return what `make` makes, or None with the reason in `absent`.

    What goes into it was checked before, so that the log alone can be the reason.
    """
    try:
        return make()
    except ChurnsurvError as reason:
        absent[name] = why(reason)
        return None


def why(reason: ChurnsurvError) -> str:
    """Say an error as a reason: a sentence that reports say in their language as it is, any other in one line.

    Examples
    --------
    >>> why(ChurnsurvError("nobody churned"))
    'Nobody churned.'
    """
    said = reason.args[0] if len(reason.args) == 1 else reason
    return said if isinstance(said, Note) else one_line(reason)


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
    return tuple(
        note("Left out: {parts}. {reason}", parts=semicolons(names), reason=reason)
        for reason, names in by_reason.items()
    )
