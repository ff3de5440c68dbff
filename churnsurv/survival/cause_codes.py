"""The column of causes as one outcome a row: censored, or churned for one of the causes that occur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.factors import MISSING, factor
from churnsurv.survival.inputs import SurvivalData

__all__ = ["UNKNOWN", "Causes", "cause_named", "causes_of"]

UNKNOWN = "unknown"
_NAMED = 12  # causes that a message names before it stops


@dataclass(frozen=True, slots=True, eq=False)
class Causes:
    """Why rows churned.

    Attributes
    ----------
    outcome : (n,) integer
        0 where censored, else 1 + the position of the cause in `labels`.
    labels : tuple of str
        Causes that occur, in categorical order, else sorted; "unknown", where there are any, last.
    never : tuple of str
        Values of the column that no churn has.
    """

    outcome: NDArray[np.integer[Any]]
    labels: tuple[str, ...]
    never: tuple[str, ...]


def causes_of(found: SurvivalData, cause: str) -> Causes:
    """Read the column of causes where rows churned; null is the cause "unknown".

    Raises
    ------
    InputError
        If nobody churned, or two causes read the same.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival.inputs import survival_data
    >>> frame = pd.DataFrame({"duration": [1, 2, 3], "churned": [True, True, False], "why": ["price", None, "moved"]})
    >>> found = causes_of(survival_data(frame, columns=["why"]), "why")
    >>> found.outcome.tolist(), found.labels, found.never
    ([1, 2, 0], ('price', 'unknown'), ('moved',))
    """
    codes, levels = factor(found.frame[cause])
    texts = [UNKNOWN if level is MISSING else _text(level) for level in levels]
    names = [text for text in dict.fromkeys(texts) if text != UNKNOWN]
    if len(names) + len({i for i, text in enumerate(texts) if text == UNKNOWN}) < len(texts):
        twice = next(text for text in names if texts.count(text) > 1)
        raise InputError(f"cause: two values of {cause!r} read {twice!r}. Make them one, or rename one of them.")
    size = np.min_scalar_type(len(names) + 1).type
    every = [*names, UNKNOWN]
    number = np.array([1 + every.index(text) for text in texts], dtype=size)
    outcome = number[codes]
    outcome *= found.churned
    seen = np.bincount(outcome, minlength=len(every) + 1)[1:] > 0
    if not seen.any():
        raise InputError("nobody churned, so that there are no causes to compare. Check the event column.")
    labels = tuple(name for name, there in zip(every, seen, strict=True) if there)
    if not seen.all():
        renumbered = np.concatenate([[0], np.where(seen, np.cumsum(seen), 0)]).astype(size)
        outcome = renumbered[outcome]
    return Causes(outcome, labels, tuple(name for name, there in zip(names, seen, strict=False) if not there))


def cause_named(value: object, labels: Sequence[str], what: str = "cause") -> int:
    """Return the position of a cause; an unknown one is an error with the nearest name.

    Examples
    --------
    >>> cause_named("price", ("moved", "price"))
    1
    """
    if _text(value) in labels:
        return list(labels).index(_text(value))
    more = " ..." if len(labels) > _NAMED else ""
    raise InputError(
        f"{what}: no churn has the cause {value!r}.{did_you_mean(str(value), labels)} Causes that occur: "
        f"{', '.join(map(repr, labels[:_NAMED]))}{more}."
    )


def _text(value: object) -> str:
    """A cause as text; whole numbers that missing values turned into floats read as whole numbers."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
