"""Sequences of contacts: what can be wrong with them, and each written out in full where steps go on with another tier.

A step ``{then = "high"}`` goes on with the sequence of that tier. Written out, a sequence is a plain list of contacts;
each remembers the tiers whose steps were reached by then, since a user who is at a step of a high tier already has
nothing to gain from rising to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churnsurv.action.policy_reading import Problem
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.action.policy import Policy
    from churnsurv.action.policy_parts import Channel, Step

__all__ = ["Contact", "require_possible_waits", "sequence_problems", "unknown_channel", "written_out"]


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of a sequence that is written out.

    Attributes
    ----------
    channel : str
    after : int
        Days since the last contact; of the first one of a sequence it says nothing.
    tiers : tuple of str
        The tiers whose steps were reached by then, in the order of the sequence.
    """

    channel: str
    after: int
    tiers: tuple[str, ...]


def written_out(sequences: Mapping[str, Sequence[Step]], tier: str) -> tuple[Contact, ...]:
    """The contacts of a tier one after the other.

    Examples
    --------
    >>> from churnsurv.action.policy_parts import Step
    >>> sequences = {"high": [Step("sms")], "low": [Step("push"), Step(then="high", after=3)]}
    >>> [(each.channel, each.after) for each in written_out(sequences, "low")]
    [('push', 1), ('sms', 3)]
    """
    found = list[Contact]()
    passed, first_after, place = [tier], None, tier
    while True:
        steps = sequences.get(place, ())
        for step in steps:
            if step.then is not None:
                first_after, place = step.after, step.then
                passed.append(place)
                break
            after = step.after if first_after is None else first_after
            found.append(Contact(str(step.channel), after, tuple(passed)))
            first_after = None
        else:
            return tuple(found)


def sequence_problems(policy: Policy) -> list[Problem]:
    """Unknown channels and tiers, steps that can never come, circles, and arms that leave a tier out."""
    found = list[Problem]()
    places = [("contacts", policy.contacts, policy.contacts)]
    for name, arm in policy.arms.items():
        if arm.contacts is not None:
            places.append((f"arms.{name}.contacts", arm.contacts, policy.sequences(name)))
    for where, own, every in places:
        for tier, steps in own.items():
            found += _step_problems(f"{where}.{tier}", steps, every, policy)
        if not found:
            found += _circles(where, own, every)
    if not found:
        found += _uneven(policy)
    if not found and not any(policy.contacts.values()) and not any(arm.contacts for arm in policy.arms.values()):
        found.append(Problem("contacts", 'has no contact at all. Such as high = ["sms"].'))
    return found


def unknown_channel(name: str, channels: Mapping[str, Channel]) -> str:
    """The sentence about a channel that there is not."""
    return f"There is no channel {name!r}.{did_you_mean(name, channels)} Channels: {', '.join(channels)}."


def _step_problems(
    where: str, steps: Sequence[Step], every: Mapping[str, Sequence[Step]], policy: Policy
) -> list[Problem]:
    found = []
    for place, step in enumerate(steps, start=1):
        here = f"{where}[{place}]"
        if step.channel is not None and step.channel not in policy.channels:
            found.append(Problem(here, unknown_channel(step.channel, policy.channels)))
        if step.then is not None and step.then not in every:
            hint = did_you_mean(step.then, every)
            what = f"There is no tier {step.then!r} to go on with.{hint} Tiers: {', '.join(every)}."
            found.append(Problem(here, what))
        elif step.then is not None and not every[step.then]:
            found.append(Problem(here, f"goes on with the sequence of {step.then!r}, which has no contacts."))
        if step.then is not None and place < len(steps):
            what = f"goes on with the sequence of {step.then!r} and does not come back: the steps after it never come."
            found.append(Problem(here, what))
        if place == 1 and step.after > 1:
            what = (
                f"waits {step.after} days after a contact, and there is none before the first step: it goes out at "
                "once. Leave `after` out."
            )
            found.append(Problem(here, what))
    return found


def _circles(where: str, own: Mapping[str, Sequence[Step]], every: Mapping[str, Sequence[Step]]) -> list[Problem]:
    """Ways through `then` that come back to where they began; each circle is told once."""
    goes_on = {tier: steps[-1].then for tier, steps in every.items() if steps and steps[-1].then is not None}
    found, told = [], set[frozenset[str]]()
    for tier in own:
        way = [tier]
        while (following := goes_on.get(way[-1])) is not None:
            if following in way:
                circle = way[way.index(following) :]
                if frozenset(circle) not in told:
                    told.add(frozenset(circle))
                    what = f"goes round in a circle: {' -> '.join([*circle, following])}. End one of these sequences."
                    found.append(Problem(f"{where}.{circle[0]}", what))
                break
            way.append(following)
    return found


def _uneven(policy: Policy) -> list[Problem]:
    """Arms without contacts for a tier that others contact: none of its users could be drawn."""
    by_arm = {name: policy.sequences(name) for name in policy.arms}
    tiers = dict.fromkeys(tier for sequences in by_arm.values() for tier in sequences)
    found = []
    for tier in tiers:
        without = [name for name, sequences in by_arm.items() if not sequences.get(tier)]
        if without and len(without) < len(by_arm):
            what = (
                f"has no contacts for tier {tier!r}, and other arms have: its users could not be drawn into any arm. "
                "Give it a contact, or leave the tier out of all arms."
            )
            found += [Problem(f"arms.{name}", what) for name in without]
    return found


def require_possible_waits(policy: Policy, idle_days: int) -> None:
    """Raise where a step can only go out on or after the day of formal churn.

    The earliest alert is of idle day 1, and its contact goes out on idle day 2.

    Raises
    ------
    InputError
        With each such step.
    """
    wrong = list[str]()
    for arm in policy.arms:
        sequences = policy.sequences(arm)
        for tier in sequences:
            idle = 2
            for place, contact in enumerate(written_out(sequences, tier), start=1):
                idle += contact.after if place > 1 else 0
                if idle >= idle_days:
                    of_arm = f" of arm {arm!r}" if len(policy.arms) > 1 else ""
                    wrong.append(
                        f"contact {place} ({contact.channel}) of tier {tier!r}{of_arm} goes out on idle day {idle} at "
                        f"the earliest, and {idle_days} days make a churn"
                    )
                    break
    if wrong:
        raise InputError(f"the policy has waits that cannot happen: {'; '.join(wrong)}. Shorten the waits before them.")
