"""Random numbers by address: the same user, step and purpose give the same number, whoever else is simulated.

Every user owns one stream of splitmix64 (Steele, Lea and Flood 2014), begun at a hash of seed and user, and every
draw has its own place in it. So nothing depends on how users are grouped, on the order of the work or on how much of
it is done: a chunk of users, or a single one, is what it is inside the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONTACTS", "MOST_CAMPAIGNS", "Draws", "Purpose"]

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_PLACES = 128  # draws that a step may need; a power of two
_TO_UNIT = 2.0**-53


class Purpose(IntEnum):
    """What a draw is for. Those of a user stand at step 0, those of an activity at its step."""

    CHANNEL = 0
    CAMPAIGN = 1
    HOLIDAY = 2
    DAY = 3
    SECOND = 4
    DEVICE = 5
    RHYTHM = 6
    WEALTH = 7
    REFERRER = 8
    LEAVE = 16
    REASON = 17
    INVEST = 18
    TWICE = 19
    AMOUNT = 20
    SECOND_AMOUNT = 21
    BOOSTED = 22
    SECOND_BOOSTED = 23
    DRAIN = 24
    REMAINDER = 25
    PART = 26
    PART_SIZE = 27
    GAP = 28
    PROBLEM = 29
    SURVEY = 30
    SURVEY_DAY = 31
    ROUTE = 32
    FIRST_LOGIN = 33
    START = 34
    LOGINS = 35
    INVEST_AT = 36
    SECOND_INVEST_AT = 37
    LOGIN_AT = 40  # and the four after it


#: First of the eight draws of each campaign: in or out, day, arm, and saved and delay of each of two contacts.
CONTACTS = 64
MOST_CAMPAIGNS = (_PLACES - CONTACTS) // 8


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The streams of some users.

    Attributes
    ----------
    start : (n,) uint64
        Where the stream of each user begins.
    """

    start: Words

    @classmethod
    def of(cls, seed: int, user_id: NDArray[np.int64]) -> Draws:
        """Return the streams of these users under a seed.

        Examples
        --------
        >>> some, all_ = Draws.of(1, np.array([7])), Draws.of(1, np.arange(10))
        >>> some.uniform(Purpose.GAP, step=3)[0] == all_.uniform(Purpose.GAP, step=3)[7]
        np.True_
        """
        key = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        with np.errstate(over="ignore"):
            return cls(_mixed(_mixed(user_id.astype(np.uint64) * _GOLDEN + key) ^ key))

    def at(self, index: NDArray[np.integer]) -> Draws:
        """Return the streams of some of these users, by position; one may be there several times."""
        return Draws(self.start[index])

    def uniform(self, purpose: int, *, step: int | NDArray[np.integer] = 0) -> Floats:
        """Return a number in [0, 1) for each user.

        Parameters
        ----------
        purpose : int
            A `Purpose`, or `CONTACTS` and what comes after it.
        step : int or (n,) integer
            Number of the activity.

        Returns
        -------
        (n,) float64
        """
        if isinstance(step, np.ndarray):
            place = step.astype(np.uint64) * np.uint64(_PLACES) + np.uint64(purpose)
        else:
            place = np.array(step * _PLACES + purpose, dtype=np.uint64)
        words = _mixed(self.start + place * _GOLDEN)
        words >>= np.uint64(11)
        return words * np.float64(_TO_UNIT)


def _mixed(x: Words) -> Words:
    """Finaliser of splitmix64 (Stafford's variant 13). Changes its argument."""
    y = x >> np.uint64(30)
    x ^= y
    x *= _FIRST
    np.right_shift(x, np.uint64(27), out=y)
    x ^= y
    x *= _SECOND
    np.right_shift(x, np.uint64(31), out=y)
    x ^= y
    return x
