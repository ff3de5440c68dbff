"""Readers of the keys of [why]: groups, kinds, how returns are watched, and which dates are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from churnsurv.study.readers import WrongValueError, choice, number_from, section, texts, whole, yes_or_no

__all__ = ["DateKeys", "WatchKeys", "column_or_none", "date_keys", "watch_keys"]


@dataclass(frozen=True, slots=True)
class WatchKeys:
    """Whether and how returns are watched: arguments of `churnsurv.churn_monitor`."""

    on: bool = True
    train: int = 365
    watch: int = 365
    smallest_drop: float = 0.2
    false_alarms: float = 1.0
    min_users: int = 200


@dataclass(frozen=True, slots=True)
class DateKeys:
    """Which entries of the calendar are shocks, and how they are judged: arguments of `churnsurv.shock_effect`."""

    on: bool = True
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("shock", "news", "outage")
    untouched: tuple[str, ...] = ()
    reaches: Literal["all", "active"] = "all"
    before: int = 56
    after: int = 28


def watch_keys(value: Any) -> WatchKeys:
    """How returns are watched; what is not said has its default.

    Examples
    --------
    >>> watch_keys({"watch": 90, "false_alarms": 2})
    WatchKeys(on=True, train=365, watch=90, smallest_drop=0.2, false_alarms=2.0, min_users=200)
    """
    return WatchKeys(**section("why.monitor", value, _WATCH))


def date_keys(value: Any) -> DateKeys:
    """Which dates are looked at, and how; what is not said has its default.

    Examples
    --------
    >>> date_keys({"names": ["rate cut"]}).names
    ('rate cut',)
    """
    return DateKeys(**section("why.shocks", value, _DATES))


def column_or_none(value: Any) -> tuple[str, ...]:
    """Return one column in a list, or an empty one.

    Examples
    --------
    >>> column_or_none("channel"), column_or_none([])
    (('channel',), ())
    """
    found = texts(value)
    if len(found) > 1:
        raise WrongValueError('one column such as "channel", or [] for none', value)
    return found


_WATCH: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "on": yes_or_no,
        "train": whole(56),
        "watch": whole(1),
        "smallest_drop": number_from(0.01, 0.99),
        "false_alarms": number_from(0.01, 50),
        "min_users": whole(1),
    }
)
_DATES: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "on": yes_or_no,
        "names": texts,
        "kinds": texts,
        "untouched": texts,
        "reaches": choice("all", "active"),
        "before": whole(28),
        "after": whole(1),
    }
)
