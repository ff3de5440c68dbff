"""Readers of the keys of [score]: when a day is there in full, what is watched, how much wider tiers are on leaving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from churnsurv.errors import InputError
from churnsurv.study.readers import RefusedValueError, WrongValueError, number_from, section, text, whole, yes_or_no

__all__ = ["MonitorKeys", "ReadyKeys", "monitor_keys", "ready_keys", "widths"]


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
    return ReadyKeys(**section("score.ready", value, _READERS))


@dataclass(frozen=True, slots=True)
class MonitorKeys:
    """Whether and how returns are watched: arguments of `churnsurv.churn_monitor`; `by` "(all)" is none."""

    on: bool = True
    by: str = "channel"
    train: int = 365
    watch: int = 28
    smallest_drop: float = 0.2
    false_alarms: float = 1.0
    by_stage: bool = True
    min_users: int = 200


def monitor_keys(value: Any) -> MonitorKeys:
    """How returns are watched; what is not said has its default.

    Examples
    --------
    >>> found = monitor_keys({"by": "device", "false_alarms": 2})
    >>> found.by, found.false_alarms, found.train
    ('device', 2.0, 365)
    """
    return MonitorKeys(**section("score.monitor", value, _MONITOR))


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "weeks": whole(3),
        "thin": number_from(0, 1),
        "rejects": number_from(0, 1),
        "jump": number_from(1),
        "replay": whole(0),
    }
)
_MONITOR: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "on": yes_or_no,
        "by": text,
        "train": whole(56),
        "watch": whole(1),
        "smallest_drop": number_from(0.01, 0.99),
        "false_alarms": number_from(0.01, 50),
        "by_stage": yes_or_no,
        "min_users": whole(1),
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
