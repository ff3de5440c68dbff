"""What a campaign does with warnings: contacts by tier, channels, offers, quiet hours, caps, and the hold-out.

A policy is a TOML file, or the same as Python values. It says who may get what; `churnsurv.action.plan` decides on each
day who does. See docs/api.md for a file with every key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import churnsurv.action.policy_reading as read
from churnsurv.action.policy_parts import Arm, Cap, Channel, Offer, Quiet, Step, contacts_reader
from churnsurv.action.policy_reading import PolicyError, Problem, RefusedError
from churnsurv.action.policy_sequences import sequence_problems, unknown_channel
from churnsurv.errors import InputError

__all__ = ["Arm", "Cap", "Channel", "Offer", "Policy", "Quiet", "Step"]

ONE_ARM = "contact"
_SUM = 1e-9  # what shares of arms may miss 1 by: written as decimals, they rarely add up exactly


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Policy:
    """Who may be contacted how: made in Python or read from TOML, checked in full before it is used.

    Parameters
    ----------
    campaign : str
        Its name in the ledger. Lots hang on it: another name draws anew, and counts as another campaign.
    key : str
        Secret text of 16 characters or more that the lots hang on. It is never printed or saved; only its SHA-256 is.
    holdout : float
        Share of users who are not contacted, so that the effect can be measured; at least 0, below 1.
    contacts : Mapping of tier to sequence
        Sequences of `Step`, channel names or mappings: ``{"high": ["sms"], "low": ["push", Step("sms", after=3)]}``.
    channels : Mapping of str to Channel or mapping
    arms : Mapping of str to Arm or mapping, optional
        By default one, "contact".
    control : str
        What users who are held out are called in the ledger.
    offers, caps : sequence of Offer, Cap or mappings
    quiet : Quiet or mapping, optional

    Raises
    ------
    InputError
        With everything that is wrong, each with its place and the nearest name.

    Examples
    --------
    >>> policy = Policy(
    ...     campaign="spring", key="6f1d0c9be2a84735", holdout=0.1, channels={"sms": Channel(cost=0.05), "push": {}},
    ...     contacts={"high": ["sms"], "medium": ["push", Step("sms", after=3)]},
    ... )
    >>> policy
    <Policy: 'spring', 10% held out; high: sms; medium: push, sms after 3 days>
    >>> policy.features
    ()
    """

    campaign: str = None  # type: ignore[assignment]
    key: str = field(default=None, repr=False)  # type: ignore[assignment]
    holdout: float = None  # type: ignore[assignment]
    contacts: Mapping[str, Sequence[Step]] = None  # type: ignore[assignment]
    channels: Mapping[str, Channel] = None  # type: ignore[assignment]
    arms: Mapping[str, Arm] = None  # type: ignore[assignment]
    control: str = "holdout"
    offers: Sequence[Offer] = ()
    caps: Sequence[Cap] = ()
    quiet: Quiet | None = None

    def __post_init__(self) -> None:
        problems = list[Problem]()
        try:
            read.settle(self, "The policy", _READERS)
        except PolicyError as wrong:
            problems += wrong.problems
        spoilt = {each.where.split(".")[0].split("[")[0] for each in problems}
        problems += [each for each in _together(self, spoilt) if each.where not in {old.where for old in problems}]
        if problems:
            raise PolicyError("The policy", problems)

    @classmethod
    def from_toml(cls, source: str | Path | Mapping[str, Any]) -> Policy:
        """Read a policy from a TOML file, or from what `tomllib` made of one.

        Parameters
        ----------
        source : path or mapping
            Its keys stand at the top, or in a table ``[policy]``.

        Raises
        ------
        InputError
            If the file cannot be read, or with everything that is wrong in it.
        """
        plain, title = read.document(source)
        keys = [each.name for each in fields(cls)]
        problems = read.unknown_keys(plain, keys)
        made = None
        try:
            made = cls(**{name: value for name, value in plain.items() if name in keys})
        except PolicyError as wrong:
            problems += wrong.problems
        if problems or made is None:
            raise PolicyError(title, problems)
        return made

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, key: str) -> Policy:
        """Make the policy that `to_plain` wrote down, and whose key is given again.

        Raises
        ------
        InputError
            If the key is another one, or something is wrong.
        """
        made = cls.from_toml({**{name: each for name, each in plain.items() if name != "key_sha256"}, "key": key})
        if plain.get("key_sha256") not in (None, _sha256(key)):
            raise InputError("the policy was written down with another key; its lots would not be the same.")
        return made

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers that have a sequence, as they were written."""
        return tuple(self.contacts)

    @property
    def features(self) -> tuple[str, ...]:
        """What the offers look at: to be passed on as ``alerts(features=policy.features)``."""
        from churnsurv.tables import SCHEMAS

        there = set(SCHEMAS["alerts"].names) if "alerts" in SCHEMAS else set()
        asked = [each.variable for offer in self.offers for each in offer.when]
        asked += [name for offer in self.offers if offer.reward is not None for name in ("total_amount", "balance")]
        return tuple(name for name in dict.fromkeys(asked) if name not in there)

    @property
    def digest(self) -> str:
        """SHA-256 of the policy as plain data; of the key, only its own SHA-256 is in it."""
        return _sha256(json.dumps(self.to_plain(), sort_keys=True, ensure_ascii=False))

    @property
    def draw(self) -> str:
        """SHA-256 of what the lots hang on: campaign, key (its SHA-256), hold-out, its name, arms with their shares."""
        arms = {name: arm.share for name, arm in self.arms.items()}
        said = [self.campaign, _sha256(self.key), self.holdout, self.control, arms]
        return _sha256(json.dumps(said, sort_keys=True, ensure_ascii=False))

    def sequences(self, arm: str) -> Mapping[str, tuple[Step, ...]]:
        """The sequences of an arm by tier: its own, else the policy's."""
        own = self.arms[arm].contacts or {}
        return {tier: tuple(own.get(tier, self.contacts.get(tier, ()))) for tier in (*self.contacts, *own)}

    def to_plain(self) -> dict[str, Any]:
        """The policy as nested dicts and lists that JSON can hold, without the key."""
        arms = {
            name: {"share": arm.share} | ({} if arm.contacts is None else {"contacts": _plain_contacts(arm.contacts)})
            for name, arm in self.arms.items()
        }
        return {
            "campaign": self.campaign,
            "key_sha256": _sha256(self.key),
            "holdout": self.holdout,
            "control": self.control,
            "channels": {name: _plain(each) for name, each in self.channels.items()},
            "contacts": _plain_contacts(self.contacts),
            "arms": arms,
            "offers": [_plain_offer(each) for each in self.offers],
            "caps": [_plain(each) for each in self.caps],
            "quiet": None if self.quiet is None else _plain(self.quiet),
        }

    def __repr__(self) -> str:
        said = "; ".join(f"{tier}: {', '.join(map(_said, steps)) or 'nobody'}" for tier, steps in self.contacts.items())
        return f"<Policy: {self.campaign!r}, {100 * self.holdout:.4g}% held out; {said}>"


# ---------------------------------------------------------------------------------------------------------- reading


def _holdout(value: Any) -> float:
    if value is None:
        raise RefusedError("is missing: the share of users who are not contacted. Such as holdout = 0.1.")
    share = read.number(least=0.0)(value)
    if share >= 1:
        raise RefusedError(f"is a share, at least 0 and below 1; it is {share:g}. Is it in percent?")
    return share


def _campaign(value: Any) -> str:
    if value is None:
        raise RefusedError('is missing: the lots hang on it. Such as campaign = "spring 2025".')
    return read.plain_name(value)


def _arms(value: Any) -> Mapping[str, Arm]:
    if value is None:
        return MappingProxyType({ONE_ARM: Arm(1.0)})
    of_each = read.named(lambda each: read.made(Arm, each, "{ share = 0.5 }"), "arms such as [arms.a]", least=1)
    found: Mapping[str, Arm] = of_each(value)
    # by name, so that the order in which they were written moves no lot
    return MappingProxyType(dict(sorted(found.items())))


_READERS: Mapping[str, read.Reader] = MappingProxyType(
    {
        "campaign": _campaign,
        "key": read.key,
        "holdout": _holdout,
        "contacts": contacts_reader(1),
        "channels": read.named(lambda each: read.made(Channel, each, "{ cost = 0.05 }"), "channels", least=1),
        "arms": _arms,
        "control": read.plain_name,
        "offers": read.listed(
            lambda each: read.made(Offer, each, '{ name = "voucher", when = ["n_investments <= 2"] }'), "[[offers]]"
        ),
        "caps": read.listed(lambda each: read.made(Cap, each, "{ most = 2, days = 7 }"), "[[caps]]"),
        "quiet": read.optional(lambda each: read.made(Quiet, each, '{ start = "21:00", end = "09:00" }')),
    }
)


def _together(policy: Policy, spoilt: set[str]) -> list[Problem]:
    """What no single key can tell; of keys that could be read."""
    found = list[Problem]()
    if "channels" not in spoilt:
        found += _channel_problems(policy.channels)
    if not spoilt & {"contacts", "channels", "arms"}:
        found += sequence_problems(policy)
    if not spoilt & {"caps", "channels"}:
        found += [
            Problem(f"caps[{place}].channel", unknown_channel(cap.channel, policy.channels))
            for place, cap in enumerate(policy.caps, start=1)
            if cap.channel is not None and cap.channel not in policy.channels
        ]
    if "arms" not in spoilt:
        found += _arm_problems(policy)
    if "offers" not in spoilt:
        found += _offer_problems(policy.offers)
    return found


def _channel_problems(channels: Mapping[str, Channel]) -> list[Problem]:
    """Channels that only case or spaces tell apart: an opt-out of one could be meant for the other."""
    found, first = [], dict[str, str]()
    for name in channels:
        other = first.setdefault(name.strip().lower(), name)
        if other != name:
            what = f"is {other!r} but for case and spaces, by which opt-outs are not told apart. Rename one of them."
            found.append(Problem(f"channels.{name}", what))
    return found


def _arm_problems(policy: Policy) -> list[Problem]:
    found = []
    total = sum(arm.share for arm in policy.arms.values())
    if abs(total - 1.0) > _SUM:
        what = f"the shares of {', '.join(policy.arms)} add up to {total:g}; those of the users not held out make 1."
        found.append(Problem("arms", what))
    if policy.control in policy.arms:
        what = f"{policy.control!r} is an arm, too. Rename one; who is held out is drawn by `holdout`, not as an arm."
        found.append(Problem("control", what))
    return found


def _offer_problems(offers: Sequence[Offer]) -> list[Problem]:
    found, names, last = [], set[str](), None
    for place, offer in enumerate(offers, start=1):
        if offer.name in names:
            found.append(Problem(f"offers[{place}].name", f"{offer.name!r} is there twice. Rename one of them."))
        if last is not None:
            what = f"can never be taken: {last!r} before it fits everybody. Put it first, or give {last!r} conditions."
            found.append(Problem(f"offers[{place}]", what))
        names.add(offer.name)
        if not offer.when and offer.reward is None and last is None:
            last = offer.name
    return found


# ---------------------------------------------------------------------------------------------------------- writing


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(part: Channel | Cap | Quiet | Step) -> dict[str, Any]:
    """The fields that say something."""
    found = dict[str, Any]()
    for each in fields(part):
        value = getattr(part, each.name)
        if isinstance(value, tuple):
            value = [item.isoformat() if isinstance(item, date) else item for item in value]
        if value is not None:
            found[each.name] = value
    return found


def _plain_contacts(contacts: Mapping[str, Sequence[Step]]) -> dict[str, list[dict[str, Any]]]:
    return {tier: [_plain(step) for step in steps] for tier, steps in contacts.items()}


def _plain_offer(offer: Offer) -> dict[str, Any]:
    reward = {} if offer.reward is None else {"reward": offer.reward.to_plain()}
    return {"name": offer.name, "when": [str(each) for each in offer.when], "messages": list(offer.messages), **reward}


def _said(step: Step) -> str:
    what = f"then as {step.then}" if step.then is not None else str(step.channel)
    return what if step.after == 1 else f"{what} after {step.after} days"
