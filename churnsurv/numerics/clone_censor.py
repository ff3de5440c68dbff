"""The chance of an event under policies of a second contact, from logs in which the contact came when it came.

A policy is "no second contact", or "a second contact on day k to whoever is still silent then". Every row is copied
into each policy and leaves the copy on the day on which what was done departs from it. Who stays is no random sample,
so a copy that is still there on day u is weighted by the inverse of its chance to have been treated like this,

    w(u) = 1 / prod over v <= u of (1 - p(v))                     never contacted, and before day k
    w(u) = 1 / (p(k) prod over v < k of (1 - p(v)))               from day k on, where the contact came on day k,

p(v) being the chance of a contact on day v given the past of a row that is silent and not contacted through day v - 1.
The hazard of day u is that of the weighted copies, and the risk 1 - prod (1 - hazard). That is the risk under the
policy if p is right, is never 0 or 1 where the policy needs the other, and nothing else that drives the contact also
drives the event (Hernan 2018; Cain and others 2010). Before day k the policies are the same, and so are the curves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Policy", "copies", "policy_risks"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
#: The day of the second contact; None: there is none.
Policy: TypeAlias = "int | None"

_ROWS = 1 << 16  # rows that are weighted together


def copies(time: Ints, event: NDArray[np.bool_], contact: Ints, policy: Policy) -> tuple[Ints, NDArray[np.bool_]]:
    """Last day and event of the copies in a policy.

    Parameters
    ----------
    time : (n,) int64
        Day of the event, else the last day looked at; days count from 1.
    event : (n,) bool
    contact : (n,) int64
        Day of the second contact, which comes before the event of its day; 0 for none. One after the event is none.
    policy : int or None

    Returns
    -------
    last : (n,) int64
    event : (n,) bool

    Examples
    --------
    Silent to day 9: contacted on day 3, on day 5, never. Under "on day 5" only the second stays.

    >>> silent = np.array([9, 9, 9])
    >>> [each.tolist() for each in copies(silent, silent == 0, np.array([3, 5, 0]), 5)]
    [[2, 9, 4], [False, False, False]]
    >>> copies(silent, silent == 0, np.array([3, 5, 0]), None)[0].tolist()
    [2, 4, 9]
    """
    contacted = (contact > 0) & (contact <= time)
    departs = np.where(contacted, contact, np.iinfo(np.int64).max)
    if policy is not None:
        # too early, or not on the day; who had the event before never came to the question
        departs = np.where(contacted & (contact == policy), np.iinfo(np.int64).max, np.minimum(departs, policy))
    last = np.minimum(time, departs - 1)
    return last, event & (last == time)


def policy_risks(
    time: Ints,
    event: NDArray[np.bool_],
    contact: Ints,
    chance: Floats,
    policies: Sequence[Policy],
    *,
    weights: Floats | None = None,
) -> Floats:
    """Estimate the risk by each day under each policy.

    Parameters
    ----------
    time, event, contact
        As for `copies`.
    chance : (n, horizon) float64
        p of a row on days 1 ... horizon; read only on days on which the row is silent and not contacted.
    policies : sequence of int or None
    weights : (n,) float64, optional
        How often each row counts, such as in a bootstrap sample.

    Returns
    -------
    (n_policies, horizon) float64
        NaN from the first day on which no copy is left.

    Examples
    --------
    Four rows are silent through day 1, two of them, drawn at random, are contacted on day 2, one of the two comes back
    on that day.

    >>> time, contact = np.array([2, 3, 3, 3]), np.array([2, 2, 0, 0])
    >>> chance = np.tile([0.0, 0.5, 0.0], (4, 1))
    >>> policy_risks(time, time == 2, contact, chance, [None, 2]).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    """
    n, horizon = chance.shape
    days = np.arange(1, horizon + 1)
    at_risk, events = np.zeros((2, len(policies), horizon))
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        spared = np.cumprod(1.0 - chance[rows], axis=1)
        for place, policy in enumerate(policies):
            last, happens = copies(time[rows], event[rows], contact[rows], policy)
            there = days <= last[:, None]
            inverse = np.where(there, _inverse(np.where(there, spared, 1.0), chance[rows], policy), 0.0)
            weighted = inverse if weights is None else inverse * weights[rows, None]
            at_risk[place] += weighted.sum(axis=0)
            ends = np.flatnonzero(happens & (last >= 1) & (last <= horizon))
            events[place] += np.bincount(last[ends] - 1, weighted[ends, last[ends] - 1], horizon)
    with np.errstate(invalid="ignore"):
        return np.asarray(1.0 - np.cumprod(1.0 - events / at_risk, axis=1))


def _inverse(spared: Floats, chance: Floats, policy: Policy) -> Floats:
    """Inverse of the chance to have kept to a policy through each day."""
    kept = spared
    if policy is not None and policy <= chance.shape[1]:
        before = spared[:, policy - 2] if policy > 1 else np.ones(chance.shape[0])
        kept = spared.copy()
        kept[:, policy - 1 :] = (before * chance[:, policy - 1])[:, None]
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / kept)
