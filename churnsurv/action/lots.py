"""Lots: who is held out, and which arm the others are in, by a keyed hash of campaign and user.

The lot of a user is BLAKE2b (RFC 7693) with a key and 16 bytes of digest, of the text ``campaign`` + line feed +
``user_id`` in UTF-8, read as two 64-bit whole numbers, most significant byte first. The user is held out where the
first is below ``holdout`` times 2^64; the second, as a share of 2^64, falls into the arm's part of [0, 1), arms in the
order of their names. So the same on every machine and every day, whatever else is in the table, and independent
between campaigns and users for anyone who does not know the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["HELD_OUT", "Lots", "draw"]

Words: TypeAlias = NDArray[np.uint64]
Ints: TypeAlias = NDArray[np.int64]

HELD_OUT = -1
_ALL = 1 << 64


@dataclass(frozen=True, slots=True, eq=False)
class Lots:
    """The lots of n users.

    Attributes
    ----------
    arm : (n,) int64
        Place of the arm in `arms`; `HELD_OUT` for those held out.
    arms : tuple of str
        By name.
    shares : (n_arms + 1,) float64
        Chance of each arm, and last of being held out, among all users.
    """

    arm: Ints
    arms: tuple[str, ...]
    shares: NDArray[np.float64]


def draw(users: Iterable[object], *, campaign: str, key: str, holdout: float, arms: Mapping[str, float]) -> Lots:
    """Draw the lots of users.

    Parameters
    ----------
    users : iterable of int or str
        Whole numbers are taken as their digits: 17 and "17" have the same lot.
    campaign, key : str
    holdout : float
        At least 0, below 1.
    arms : Mapping of str to float
        Share of each arm among those not held out; they add up to 1.

    Examples
    --------
    >>> lots = draw([1, 2, 3], campaign="spring", key="6f1d0c9be2a84735", holdout=0.5, arms={"contact": 1.0})
    >>> lots.shares
    array([0.5, 0.5])
    """
    names = sorted(arms)
    first, second = words(users, campaign=campaign, key=key)
    upper = _bounds([arms[name] for name in names])
    arm = np.searchsorted(upper, second, side="right").astype(np.int64)
    arm[first < np.uint64(int(Fraction(holdout) * _ALL))] = HELD_OUT
    total = sum(arms.values())
    shares = np.array([*((1.0 - holdout) * arms[name] / total for name in names), holdout])
    arm.setflags(write=False)
    shares.setflags(write=False)
    return Lots(arm, tuple(names), shares)


def words(users: Iterable[object], *, campaign: str, key: str) -> tuple[Words, Words]:
    """The two numbers of each user's lot."""
    begun = hashlib.blake2b(key=key.encode("utf-8", "surrogatepass"), digest_size=16)
    begun.update(f"{campaign}\n".encode("utf-8", "surrogatepass"))
    digests = bytearray()
    for user in users:
        each = begun.copy()
        each.update(str(user).encode("utf-8", "surrogatepass"))
        digests += each.digest()
    pairs = np.frombuffer(bytes(digests), dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return pairs[:, 0], pairs[:, 1]


def _bounds(shares: Sequence[float]) -> Words:
    """Where each arm but the last ends; shares as the exact numbers that they are, over their sum."""
    exact = [Fraction(share) for share in shares]
    total, reached, found = sum(exact), Fraction(0), []
    for share in exact[:-1]:
        reached += share
        found.append(int(reached / total * _ALL))
    return np.array(found, dtype=np.uint64)
