"""What a caller may ask for: campaigns, shocks and problems that make sense, or an error that says what does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import combinations
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeGuard, TypeVar

from churnsurv.errors import InputError, did_you_mean
from churnsurv.simulation.draws import MOST_CAMPAIGNS
from churnsurv.simulation.model import REASONS, Arm, Campaign, Model, Problem, Shock

__all__ = ["check_campaigns", "check_number", "check_problems", "check_shocks", "check_whole", "tuple_of"]

Kind = TypeVar("Kind")

_MOST_ARMS = 100


def tuple_of(kind: type[Kind], given: Iterable[Kind], *, name: str) -> tuple[Kind, ...]:
    """Return what was given as a tuple.

    Raises
    ------
    InputError
        If it is not a number of things of this kind.
    """
    advice = f"{name} is a list of {kind.__name__} (from churnsurv.simulation), () for none"
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InputError(f"{advice}; it is {given!r}.")
    found = tuple(given)
    for each in found:
        if not isinstance(each, kind):
            raise InputError(f"{advice}; {each!r} is not one.")
    return found


def check_whole(name: str, number: object, *, least: int, most: int | None = None) -> int:
    """Return a whole number that lies between these.

    Raises
    ------
    InputError
        If it does not, or is no whole number.

    Examples
    --------
    >>> check_whole("n_users", 20, least=1)
    20
    """
    found = int(number) if _whole(number) else least - 1
    if found < least or (most is not None and found > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise InputError(f"{name} must be a whole number {limits}; it is {number!r}.")
    return found


def check_number(name: str, number: object) -> float:
    """Return a finite number; raise InputError where it is none."""
    if not _finite(number):
        raise InputError(f"{name} must be a finite number; it is {number!r}.")
    return float(number)


def check_campaigns(campaigns: Sequence[Campaign], model: Model) -> None:
    """Raise InputError where a campaign makes no sense, or two could contact a user in either order."""
    if len(campaigns) > MOST_CAMPAIGNS:
        raise InputError(f"{len(campaigns)} campaigns are too many; {MOST_CAMPAIGNS} can be simulated together.")
    _check_names([campaign.name for campaign in campaigns], "Two campaigns are")
    for campaign in campaigns:
        where = f"Campaign {campaign.name!r}"
        days = campaign.idle_days
        if not isinstance(days, Sequence) or not days or not all(_whole(day) and day >= 1 for day in days):
            raise InputError(f"{where}: idle_days are whole days of at least 1, such as (30, 45); they are {days!r}.")
        _check_days(where, campaign.first, campaign.last, model)
        if not _probability(campaign.share):
            raise InputError(f"{where}: share is a probability; it is {campaign.share!r}.")
        _check_arms(where, campaign.arms)
    for before, after in combinations(campaigns, 2):
        # The walk runs campaigns one after the other: in no gap may a later one contact a user first.
        apart = (after.first - before.last).days > max(arm.after if arm.then else 0 for arm in before.arms)
        if before.latest_contact >= min(after.idle_days) and not apart:
            raise InputError(
                f"Campaigns {before.name!r} and {after.name!r} could contact a user in either order. Give them in the "
                "order of idle days, the last contact of one before the first of the next, or put their days apart, "
                "the earlier first."
            )


def _check_arms(where: str, arms: Sequence[Arm]) -> None:
    names = [arm.name for arm in arms]
    _check_names(names, f"{where}: two arms are")
    if not arms or len(arms) > _MOST_ARMS or any(not _probability(arm.share) or arm.share == 0 for arm in arms):
        raise InputError(f"{where} needs from 2 to {_MOST_ARMS} arms, each with a share above 0; they are {arms!r}.")
    if abs(sum(arm.share for arm in arms) - 1) > 1e-9:
        total = sum(arm.share for arm in arms)
        raise InputError(f"{where}: the shares of its arms must add up to 1; they add up to {total:g}.")
    if not any(arm.saves == 0 and arm.then is None for arm in arms):
        raise InputError(f"{where}: one arm must be a control that saves nobody, such as Arm('none', 0.5).")
    for arm in arms:
        if arm.then is not None and (arm.then not in names or not _whole(arm.after) or arm.after < 1):
            raise InputError(
                f"{where}: {arm.name!r} needs another arm that follows it after at least one day; it has "
                f"then={arm.then!r}, after={arm.after!r}.{did_you_mean(str(arm.then), names)}"
            )
        if not _probability(arm.saves):
            raise InputError(f"{where}: share and saves of {arm.name!r} are probabilities; it saves {arm.saves!r}.")
        if not _amount(arm.cost):
            raise InputError(f"{where}: the cost of {arm.name!r} must be a number of at least 0; it is {arm.cost!r}.")


def check_shocks(shocks: Sequence[Shock], model: Model) -> None:
    """Raise InputError where a shock makes no sense or lies outside the log."""
    names = [channel.name for channel in model.channels]
    for shock in shocks:
        if shock.reason not in REASONS:
            raise InputError(
                f"No reason is called {shock.reason!r}.{did_you_mean(str(shock.reason), REASONS)} "
                f"There are {', '.join(REASONS)}."
            )
        if isinstance(shock.channels, str):
            raise InputError(f"channels of a shock are a tuple, such as ({shock.channels!r},); None means all of them.")
        for name in shock.channels or ():
            if name not in names:
                raise InputError(
                    f"No channel is called {name!r}.{did_you_mean(str(name), names)} There are {', '.join(names)}."
                )
        _check_days(f"{shock}", shock.first, shock.last, model)
        if not _amount(shock.factor):
            raise InputError(f"{shock}: the factor must be a number of at least 0; it is {shock.factor!r}.")


def check_problems(problems: Sequence[Problem]) -> None:
    """Raise InputError where a problem makes no sense."""
    _check_names([problem.kind for problem in problems], "Two problems are")
    for problem in problems:
        taken = {"login", "invest", "redeem"}
        named = isinstance(problem.kind, str) and problem.kind not in {"", *taken}
        if not named or not _probability(problem.share) or problem.share in {0, 1} or not _amount(problem.factor):
            raise InputError(
                f"A problem needs a kind of its own (not {', '.join(sorted(taken))}), a share of days between 0 and 1 "
                f"and a factor of at least 0: {problem}."
            )
    if sum(problem.share for problem in problems) >= 1:
        raise InputError("The shares of days with problems add up to 1 or more; a day has one problem at most.")


def _check_days(where: str, first: date, last: date, model: Model) -> None:
    for day in (first, last):
        if not isinstance(day, date) or isinstance(day, datetime):
            raise InputError(f"{where}: first and last are days, such as date(2024, 3, 1); {day!r} is not.")
    if first > last:
        raise InputError(f"{where} needs a first day not after its last; they are {first} and {last}.")
    if last < model.first_day or first > model.last_day:
        raise InputError(
            f"{where} lies outside the log, which goes from {model.first_day} to {model.last_day}. Choose days in it."
        )


def _check_names(names: Sequence[str], what: str) -> None:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InputError(f"{what} called {twice!r}. Give each a name of its own.")


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _finite(value: Any) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)


def _amount(value: Any) -> bool:
    return _finite(value) and value >= 0


def _probability(value: Any) -> bool:
    return _finite(value) and 0 <= value <= 1
