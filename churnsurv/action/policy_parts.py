"""The parts of a policy: steps, channels, arms, caps, quiet hours and offers; each checks itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import churnsurv.action.policy_reading as read
from churnsurv.action.policy_reading import Comparison, PolicyError, Problem, RefusedError

__all__ = ["Arm", "Cap", "Channel", "Offer", "Quiet", "Step", "contacts_reader"]

_LEAST_COST = 1e-6


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence: a contact by a channel, or going on with the sequence of another tier.

    Parameters
    ----------
    channel : str, optional
        By which the user is contacted.
    after : int
        Days since the last contact, without a response, on which this one goes out; 1 or more. The first step of a
        sequence goes out at once.
    then : str, optional
        Instead of a channel: go on with the sequence of this tier, whose first contact then comes `after` days later.

    Raises
    ------
    InputError
        If it is neither of the two, or both, or `after` is no such number.

    Examples
    --------
    >>> Step("sms", after=3)
    Step(channel='sms', after=3, then=None)
    """

    channel: str | None = None
    after: int = 1
    then: str | None = None

    def __post_init__(self) -> None:
        readers: dict[str, read.Reader] = {
            "channel": read.optional(read.plain_name),
            "after": read.whole(1),
            "then": read.optional(read.plain_name),
        }
        read.settle(self, "Step", readers)
        if (self.channel is None) == (self.then is None):
            both = "has both a channel and `then`" if self.channel is not None else "has neither a channel nor `then`"
            what = f'{both}. Write "sms", {{ channel = "sms", after = 3 }} or {{ then = "high" }}.'
            raise PolicyError("Step", [Problem("then", what)])


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach users: what a contact costs, and how much of it there is.

    Parameters
    ----------
    cost : float
        Of one contact; 0, or a millionth or more: money is counted in whole millionths.
    per_day : int, optional
        Contacts that can go out on a day, at most.
    budget : float, optional
        Money that the campaign may spend on contacts by this channel, over all its days.

    Raises
    ------
    InputError
        If a number is out of range, or a budget goes with a cost of 0, which it cannot limit.
    """

    cost: float = 0.0
    per_day: int | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        readers: dict[str, read.Reader] = {
            "cost": _cost,
            "per_day": read.optional(read.whole(0)),
            "budget": read.optional(read.number(least=0.0)),
        }
        read.settle(self, "Channel", readers)
        if self.budget is not None and self.cost == 0:
            what = "limits nothing, since a contact costs 0. State the cost, or limit contacts by per_day."
            raise PolicyError("Channel", [Problem("budget", what)])


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the treatments that users are drawn into who are not held out.

    Parameters
    ----------
    share : float
        Of the users not held out; the shares of all arms add up to 1.
    contacts : Mapping of tier to sequence, optional
        Sequences of this arm where they differ from the policy's.

    Raises
    ------
    InputError
        If the share is not above 0 and at most 1, or a sequence cannot be read.
    """

    share: float
    contacts: Mapping[str, Sequence[Step]] | None = None

    def __post_init__(self) -> None:
        readers: dict[str, read.Reader] = {"share": _share_of_arm, "contacts": read.optional(contacts_reader(0))}
        read.settle(self, "Arm", readers)


@dataclass(frozen=True, slots=True)
class Cap:
    """How often one user may be contacted, by all campaigns of the ledger together.

    Parameters
    ----------
    most : int
        Contacts, at most, in any run of `days` days; 1 or more.
    days : int
        1 or more. A contact that would go out on day t counts those of the days t - days + 1 ... t.
    channel : str, optional
        Contacts by this channel alone; by default all.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    most: int
    days: int
    channel: str | None = None

    def __post_init__(self) -> None:
        readers: dict[str, read.Reader] = {
            "most": read.whole(1),
            "days": read.whole(1),
            "channel": read.optional(read.plain_name),
        }
        read.settle(self, "Cap", readers)


@dataclass(frozen=True, slots=True)
class Quiet:
    """When nobody is contacted.

    Parameters
    ----------
    start, end : str
        Local times: quiet from `start` to `end` of the next morning. The same time twice: no quiet hours.
    weekdays : sequence of str
        Days of the week on which nothing goes out, such as "sunday".
    dates : sequence of date or ISO text
        Days on which nothing goes out.

    Raises
    ------
    InputError
        If a time or day cannot be read, every day is quiet, or quiet hours lie within a day.
    """

    start: str = "21:00"
    end: str = "09:00"
    weekdays: Sequence[str] = ()
    dates: Sequence[date] = ()

    def __post_init__(self) -> None:
        readers: dict[str, read.Reader] = {
            "start": read.clock,
            "end": read.clock,
            "weekdays": read.listed(read.weekday, 'a list such as ["sunday"]'),
            "dates": read.listed(read.day, "a list such as [2024-12-25]"),
        }
        read.settle(self, "Quiet", readers)
        days = tuple(name for name in read.WEEKDAYS if name in self.weekdays)
        object.__setattr__(self, "weekdays", days)
        object.__setattr__(self, "dates", tuple(sorted(set(self.dates))))
        if len(days) == len(read.WEEKDAYS):
            raise PolicyError("Quiet", [Problem("weekdays", "every day is quiet: nobody could ever be contacted.")])
        if "00:00" < self.start < self.end:
            what = (
                f"{self.start} to {self.end} lies within a day, which leaves two windows to send in. Quiet hours "
                'pass midnight, such as start = "21:00", end = "09:00", or begin at it.'
            )
            raise PolicyError("Quiet", [Problem("start", what)])

    def is_quiet(self, day: date) -> bool:
        """Whether nothing goes out on the whole day.

        Examples
        --------
        >>> Quiet(weekdays=["sunday"]).is_quiet(date(2024, 5, 5))
        True
        """
        return day in self.dates or read.WEEKDAYS[day.weekday()] in self.weekdays


@dataclass(frozen=True, slots=True)
class Offer:
    """What a contact says or gives, and to whom: the first offer that fits a user is taken.

    Parameters
    ----------
    name : str
    when : sequence of str
        Conditions on columns of the alerts that must all hold, such as "n_investments <= 2" or "stage == 'new'"; none:
        it fits everybody. A missing value fulfils no condition.
    messages : sequence of str
        Of the first, second, ... contact of a silence; the last one is used on.
    reward : RewardRule or mapping of its fields, optional
        Money promised on a condition. The offer fits only those to whom the rule grants a reward.

    Raises
    ------
    InputError
        If the name is missing or a condition cannot be read.
    """

    name: str
    when: Sequence[Comparison] = ()
    messages: Sequence[str] = ()
    reward: Any = None

    def __post_init__(self) -> None:
        readers: dict[str, read.Reader] = {
            "name": read.plain_name,
            "when": read.listed(read.comparison, 'a list such as ["n_investments <= 2"]'),
            "messages": read.listed(_text, 'a list such as ["good news", "boosted plan"]'),
            "reward": read.optional(_reward),
        }
        read.settle(self, "Offer", readers)


# ---------------------------------------------------------------------------------------------------------- reading


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RefusedError(f"expected a text, found {read.describe(value)}.")
    return value


def _cost(value: Any) -> float:
    cost: float = read.number(least=0.0)(value)
    if 0 < cost < _LEAST_COST:
        raise RefusedError(
            f"{cost:g} is below a millionth, in which money is counted: it would cost nothing, and no budget would "
            "end. Use a smaller unit of money."
        )
    return cost


def _share_of_arm(value: Any) -> float:
    share = read.number(above=0.0)(value)
    if share > 1:
        raise RefusedError(f"is a share of the users not held out, at most 1; it is {share:g}. Is it in percent?")
    return share


def _step(value: Any) -> Step:
    if isinstance(value, str):
        return Step(value)
    return read.made(Step, value, '"sms" or { channel = "sms", after = 3 }')


def contacts_reader(least: int) -> read.Reader:
    """A reader of sequences by tier, at least so many."""
    steps = read.listed(_step, 'a sequence such as ["push", { channel = "sms", after = 3 }]')
    return read.named(steps, 'sequences by tier, such as high = ["sms"]', least=least)


def _reward(value: Any) -> Any:
    from churnsurv.action.rewards import RewardRule

    return value if isinstance(value, RewardRule) else RewardRule.from_plain(value)
