"""Readers of the keys of [score]: when a day is there in full, and how much wider tiers are on the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from churnsurv.errors import InputError, did_you_mean
from churnsurv.study.readers import ManyRefusedError, RefusedValueError, WrongValueError, number, whole

__all__ = ["ReadyKeys", "ready_keys", "widths"]


@dataclass(frozen=True, slots=True)
class ReadyKeys:
    """When a day is there in full: the arguments of `churnsurv.readiness`, and how many weekdays are replayed."""

    weeks: int = 8
    thin: float = 0.7
    rejects: float = 0.05
    jump: float = 2.0
    replay: int = 3


def ready_keys(value: Any) -> ReadyKeys:
    """Limits of a day; what is not said has its default.

    Examples
    --------
    >>> ready_keys({"thin": 0.5, "replay": 0})
    ReadyKeys(weeks=8, thin=0.5, rejects=0.05, jump=2.0, replay=0)
    """
    if not isinstance(value, Mapping):
        raise WrongValueError("a section [score.ready]", value)
    problems: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for key, each in value.items():
        if key not in _READERS:
            hint = did_you_mean(key, _READERS)
            problems.append((key, f"There is no such key.{hint} Keys of [score.ready]: {', '.join(_READERS)}."))
            continue
        try:
            found[key] = _READERS[key](each)
        except RefusedValueError as wrong:
            problems.append((key, str(wrong)))
    if problems:
        raise ManyRefusedError(problems)
    return ReadyKeys(**found)


def _from_to(low: float, high: float) -> Callable[[Any], float]:
    """A number between two others."""

    def read(value: Any) -> float:
        found = number(value)
        if not low <= found <= high:
            reach = f"from {low:g} on" if high == float("inf") else f"from {low:g} to {high:g}"
            raise WrongValueError(f"a number {reach}", value)
        return found

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "weeks": whole(3),
        "thin": _from_to(0, 1),
        "rejects": _from_to(0, 1),
        "jump": _from_to(1, float("inf")),
        "replay": whole(0),
    }
)


def widths(value: Any) -> dict[str, float]:
    """How much wider the thresholds of a variable are on the way out; which variables may, the scheme says.

    Examples
    --------
    >>> widths({"balance": 0.1})
    {'balance': 0.1}
    """
    from churnsurv.warning.hysteresis import check_widths

    if not isinstance(value, Mapping):
        raise WrongValueError("a width for each variable, such as { balance = 0.1 }", value)
    try:
        return check_widths(value)
    except InputError as wrong:
        raise RefusedValueError(str(wrong)) from None
