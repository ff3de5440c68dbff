"""What counts as churn, and the stages of a user's life: two small values that say it once."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from churnsurv.errors import InputError

__all__ = ["ChurnRule", "Stages", "calendar_day", "days_of", "whole_days"]


def whole_days(value: object, what: str, *, least: int) -> int:
    """Return `value` as an int of at least `least`, or say what is wrong with it.

    Examples
    --------
    >>> whole_days(30, "idle_days", least=1)
    30
    """
    message = f"{what} must be a whole number of days, {least} or more; it is {value!r}."
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputError(message)
    days = operator.index(value)
    if not least <= days <= 100_000:
        raise InputError(message if days < least else f"{what} is {days:,} days, over 270 years. Is it in seconds?")
    return days


def days_of(value: object, what: str, *, least: int) -> int:
    """Return a number of days given as a whole number, or as text such as ``"30d"``.

    Examples
    --------
    >>> days_of("30d", "horizon", least=1), days_of(7, "every", least=1)
    (30, 7)
    """
    if not isinstance(value, str):
        return whole_days(value, what, least=least)
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*d?\s*", value)
    if found is None:
        raise InputError(f"{what} must be whole days, such as 30 or '30d'; it is {value!r}.")
    return whole_days(int(found.group(1)), what, least=least)


def calendar_day(value: object, what: str) -> date:
    """Return a day given as a date or as ISO text, or say what is wrong with it.

    Examples
    --------
    >>> calendar_day("2024-05-01", "date")
    datetime.date(2024, 5, 1)
    """
    if isinstance(value, datetime):
        if value.time() == datetime.min.time() and value.tzinfo is None:
            return value.date()
        raise InputError(f"{what} is a day; {value.isoformat()} has a time of day. Pass .date().")
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a date or text such as '2024-05-01'; it is {value!r}.") from None


@dataclass(frozen=True, slots=True)
class ChurnRule:
    """A user churns on day `last activity + idle_days` when none of the days up to and on it has activity.

    Activity exactly on that day saves the user. Registration counts as activity.

    Attributes
    ----------
    idle_days : int
        Whole calendar days without activity that make a churn; 1 or more.
    activity : tuple of str, or None
        The event kinds that count as activity; None counts every event.

    Raises
    ------
    InputError
        If `idle_days` is not a whole number of days, or `activity` is not a list of kinds.

    Examples
    --------
    >>> ChurnRule(idle_days=14, activity=["login"])
    ChurnRule(idle_days=14, activity=('login',))
    """

    idle_days: int = 30
    activity: Sequence[str] | None = ("login", "invest")

    def __post_init__(self) -> None:
        object.__setattr__(self, "idle_days", whole_days(self.idle_days, "idle_days", least=1))
        if self.activity is None:
            return
        if isinstance(self.activity, str):
            raise InputError(f"activity is a list of event kinds: write activity=({self.activity!r},).")
        kinds = tuple(dict.fromkeys(self.activity))
        if not kinds:
            raise InputError(
                "activity is empty, so that nobody could be active. Name event kinds, or None for every event."
            )
        wrong = [kind for kind in kinds if not isinstance(kind, str)]
        if wrong:
            raise InputError(f"activity must name event kinds as text; {wrong[0]!r} is not.")
        object.__setattr__(self, "activity", kinds)

    def __str__(self) -> str:
        kinds = "any event" if self.activity is None else " or ".join(self.activity)
        return f"{self.idle_days} days without {kinds}"


def _default_starts() -> Mapping[str, float]:
    return {"new": 0, "growth": 3, "mature": 10}


@dataclass(frozen=True, slots=True)
class Stages:
    """Lifecycle stages as steps of one feature: a stage begins at its least value and ends where the next begins.

    Attributes
    ----------
    by : str
        The built-in feature that is cut into stages.
    starts : Mapping of str to number
        Least value of each stage, in rising order from 0: stages neither overlap nor leave a gap.

    Raises
    ------
    InputError
        If the starts do not begin at 0 or do not rise.

    Examples
    --------
    >>> Stages(starts={"new": 0, "mature": 5}).names
    ('new', 'mature')
    """

    by: str = "n_investments"
    starts: Mapping[str, float] = field(default_factory=_default_starts)

    def __post_init__(self) -> None:
        if not isinstance(self.by, str) or self.by == "stage":
            raise InputError(f"Stages.by names a feature with numbers, such as 'n_investments'; it is {self.by!r}.")
        if not isinstance(self.starts, Mapping) or not self.starts:
            raise InputError('Stages.starts maps each stage to its least value, such as {"new": 0, "growth": 3}.')
        for stage, start in self.starts.items():
            number = isinstance(start, (int, float)) and not isinstance(start, bool) and math.isfinite(start)
            if not isinstance(stage, str) or not stage or not number:
                raise InputError(f"Stages.starts maps names to finite numbers; {stage!r}: {start!r} is not that.")
        values = list(self.starts.values())
        if values[0] != 0:
            first = next(iter(self.starts))
            raise InputError(f"The first stage, {first!r}, must start at 0, not {values[0]}: users begin with nothing.")
        for (stage, start), before in zip(list(self.starts.items())[1:], values, strict=False):
            if start <= before:
                raise InputError(f"Stage {stage!r} starts at {start}, not above the stage before it ({before}).")
        object.__setattr__(self, "starts", MappingProxyType(dict(self.starts)))

    @property
    def names(self) -> tuple[str, ...]:
        """The stages, in order."""
        return tuple(self.starts)
