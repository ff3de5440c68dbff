"""The keys of [why]: read - groups, kinds, how returns are watched, which dates are looked at - and named in errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from churnsurv.study.readers import WrongValueError, choice, number_from, section, texts, whole, yes_or_no

__all__ = ["DateKeys", "WatchKeys", "column_or_none", "date_keys", "in_keys", "watch_keys"]


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


def in_keys(part: str, reason: str) -> str:
    """Say the reason why a part is not there in the words of a study file: with its keys, not names of arguments.

    Parameters
    ----------
    part : str
        "reasons", "reasons_by", "experience", "answers", "monitor" or "shocks".
    reason : str
        What the function of the part says.

    Examples
    --------
    >>> in_keys("reasons", "Weights_on: there is no 'chanel'.")
    "why.weights: there is no 'chanel'."
    """
    for pattern, key in (*_WORDS[part], _MAPPED):
        reason = re.sub(pattern, key, reason, flags=re.IGNORECASE)
    return reason


_MAPPED = (r"map it: columns=\{'(\w+)': \{'([^']*)': '([^']*)'\}\}", r'map it in columns.\1: \2 = "\3"')
_REASONS = (
    (r"^weights_on\b", "why.weights"),
    (r"^by:", "why.by:"),
    (r"^horizon:", "why.horizon:"),
    (r"\bwithin=", "why.within"),
    (r"\bmapping=", "sources.reasons"),
    (r"^mapping:", "sources.reasons:"),
    (r"\bof the mapping that\b", "of sources.reasons that"),
    (r"Map ('.*'|\".*\") to None instead", r"Leave the reason of \1 empty"),
)
#: What functions call their arguments, and what the study file calls them.
_WORDS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "reasons": _REASONS,
        "reasons_by": _REASONS,
        "experience": (
            (r"^kinds(?=:| names)", "why.problems"),
            (r"\bout of kinds\b", "out of why.problems"),
        ),
        "answers": ((r"^(?:feedback|answers)\b", "sources.answers"),),
        "monitor": ((r"\blower train\b", "lower why.monitor.train"),),
        "shocks": (
            (r"^untouched\b", "why.shocks.untouched"),
            (r"\bgroups of `by`", "groups of why.by"),
            (r"\bby='channel'", 'by = "channel"'),
        ),
    }
)
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
