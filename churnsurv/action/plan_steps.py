"""The next contact of each user, and who of them fits into the day's capacity and budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.action.plan_history import Spent, millionths
from churnsurv.action.policy_sequences import written_out

if TYPE_CHECKING:
    from churnsurv.action.policy import Policy

__all__ = ["Rooms", "Tracks", "enrol", "next_places", "rooms", "serve", "tracks"]

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_UNLIMITED = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """All sequences written out: row `arm * n_tiers + tier`, a column for each place, padded.

    Attributes
    ----------
    channel : (n_tracks, longest) int64
        Place of the channel among those of the policy; -1 beyond the end.
    after : (n_tracks, longest) int64
        Days since the last contact.
    level : (n_tracks, longest) int64
        Place of the highest tier whose steps were reached by then; a rise to it has nothing to add. Beyond the end, at
        which a user can be whose sequence has been cut since, that of its last contact.
    n_tiers : int
    """

    channel: Ints
    after: Ints
    level: Ints
    n_tiers: int

    def of(self, arm: Ints | int, tier: Ints) -> Ints:
        """Row of the sequence."""
        return np.asarray(arm * self.n_tiers + tier, dtype=np.int64)


def tracks(policy: Policy, tiers: Sequence[str]) -> Tracks:
    """Write out every sequence of every arm."""
    channels = {name: i for i, name in enumerate(policy.channels)}
    written = [written_out(sequences, tier) for sequences in map(policy.sequences, policy.arms) for tier in tiers]
    longest = max(map(len, written), default=0) or 1
    channel, after = (np.full((len(written), longest), fill, dtype=np.int64) for fill in (-1, 0))
    level = np.repeat(np.arange(len(written), dtype=np.int64)[:, None] % len(tiers), longest, axis=1)
    for row, contacts in enumerate(written):
        for place, contact in enumerate(contacts):
            channel[row, place] = channels[contact.channel]
            after[row, place] = contact.after
            level[row, place:] = min(tiers.index(name) for name in contact.tiers)
    return Tracks(channel, after, level, len(tiers))


def next_places(found: Tracks, track: Ints, start: Ints, opted_out: Flags) -> Ints:
    """First place of each user's sequence, from `start` on, whose channel the user has not opted out of.

    Parameters
    ----------
    track : (m,) int64
        Row in `found`.
    start : (m,) int64
        Places are counted from 0.
    opted_out : (m, n_channels) bool

    Returns
    -------
    (m,) int64
        -1 where there is none left.
    """
    place = np.full(track.size, -1, dtype=np.int64)
    rows = np.arange(track.size)
    for p in reversed(range(found.channel.shape[1])):
        channel = found.channel[track, p]
        usable = (channel >= 0) & (start <= p)
        usable &= ~opted_out[rows, np.maximum(channel, 0)]
        place[usable] = p
    return place


@dataclass(frozen=True, slots=True, eq=False)
class Rooms:
    """How many contacts each channel still takes on the day, and whether it is the budget that says so."""

    left: Ints
    by_budget: Flags


def rooms(policy: Policy, spent: Spent) -> Rooms:
    """The room of each channel: what is left of its capacity or of its budget, whichever is less."""
    left, by_budget = [], []
    for name, channel in policy.channels.items():
        day = _UNLIMITED if channel.per_day is None else channel.per_day
        money = _UNLIMITED
        if channel.budget is not None:
            rest = millionths(channel.budget) - spent.channels[name]
            cost = millionths(channel.cost)
            money = max(rest // cost, 0) if cost else _UNLIMITED
        left.append(min(day, money))
        by_budget.append(money < day)
    return Rooms(np.array(left, dtype=np.int64), np.array(by_budget, dtype=np.bool_))


def serve(channel: Ints, left: Ints) -> Flags:
    """Who is served, in order of the rows; takes what they use off `left`.

    Examples
    --------
    >>> left = np.array([1, 5])
    >>> serve(np.array([0, 1, 0]), left).tolist(), left.tolist()
    ([True, True, False], [0, 4])
    """
    served = np.zeros(channel.size, dtype=np.bool_)
    for c in range(left.size):
        rows = np.flatnonzero(channel == c)[: left[c]]
        served[rows] = True
        left[c] -= rows.size
    return served


def enrol(needed: Ints, taken: Ints, left: Ints) -> Ints:
    """Who can be enrolled, in order of the rows: those for whom every arm's first channel has room.

    Whether a user is enrolled hangs on the lots of those before, never on the user's own; one contact is taken for
    those drawn into an arm, none for the held out. Takes what is used off `left`.

    Parameters
    ----------
    needed : (m, n_arms) int64
        Channel of the first contact in each arm.
    taken : (m,) int64
        Channel of the arm drawn; -1 for those held out.
    left : (n_channels,) int64

    Returns
    -------
    (m,) int64
        -1 for those who are enrolled, else the first full channel among those needed.

    Examples
    --------
    >>> enrol(np.array([[0], [0], [0]]), np.array([0, -1, 0]), np.array([1])).tolist()
    [-1, 0, 0]
    """
    n = taken.size
    closed = np.where(left <= 0, -1, n)  # row after which each channel is full
    rows = np.arange(n)
    while rows.size:
        rows = rows[(closed[needed[rows]] >= rows[:, None]).all(axis=1)]
        last = rows.size
        for c in np.flatnonzero(left > 0):
            users = np.flatnonzero(taken[rows[:last]] == c)
            if users.size >= left[c]:
                last = int(users[left[c] - 1]) + 1
        left -= np.bincount(taken[rows[:last]] + 1, minlength=left.size + 1)[1:]
        closed[(left == 0) & (closed == n)] = rows[last - 1] if last else n
        rows = rows[last:]
    full = closed[needed] < np.arange(n)[:, None]
    first = needed[np.arange(n), full.argmax(axis=1)]
    return np.where(full.any(axis=1), first, -1).astype(np.int64)
