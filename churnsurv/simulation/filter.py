"""What the log tells about the hidden state, exactly: Bayes' rule, step by step.

Hidden are the interval type k of a user, constant, and whether he left at his last activity. With w_k the probability
of type k given everything in the log before an activity, q the probability of leaving at it, and L the likelihood of
what was seen of the user on that day,

    pi = q L(leave) / (q L(leave) + (1 - q) L(stay))

is the probability that he has left, whatever his type. The gap that follows is longer than d days with probability

    P(G > d) = (1 - pi) sum_k w_k S_k(d)  +  pi S_D(d),

and once it has ended after G days, w_k becomes proportional to w_k [(1 - pi) f_k(G) + pi f_D(G)]. Contacts and
answers to surveys within the gap concern the departed alone, and enter f_D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churnsurv.simulation.rhythm import GapLaws
from churnsurv.simulation.world import World

__all__ = ["Evidence", "gap_survival", "posterior_left", "updated"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """How those who stay and those who leave differ on the day.

    Attributes
    ----------
    stayer_invests, leaver_invests : (n,) float64
        Probability of investing.
    stayer_drains, leaver_drains : float
        Probability of draining the balance, for users with 100 or more who do not invest.
    """

    stayer_invests: Floats
    leaver_invests: Floats
    stayer_drains: float
    leaver_drains: float


def posterior_left(
    leaving: Floats, evidence: Evidence, *, invested: Flags, could_drain: Flags, drained: Flags
) -> Floats:
    """Probability of having left, given what was seen on the day, shape (n,).

    Examples
    --------
    >>> evidence = Evidence(np.array([0.4]), np.array([0.1]), 0.05, 0.7)
    >>> yes, no = np.array([True]), np.array([False])
    >>> posterior_left(np.array([0.2]), evidence, invested=yes, could_drain=yes, drained=no).round(4).tolist()
    [0.0588]
    """
    ratio = np.where(
        invested,
        evidence.leaver_invests / evidence.stayer_invests,
        (1.0 - evidence.leaver_invests) / (1.0 - evidence.stayer_invests),
    )
    leaver, stayer = evidence.leaver_drains, evidence.stayer_drains
    of_draining = np.where(drained, leaver / stayer, (1.0 - leaver) / (1.0 - stayer))
    ratio = ratio * np.where(could_drain & ~invested, of_draining, 1.0)
    odds = leaving * ratio
    found: Floats = odds / (odds + 1.0 - leaving)
    return found


def gap_survival(laws: GapLaws, left: Floats, weights: Floats, days: NDArray[np.integer]) -> Floats:
    """P(G > d) given the log up to the activity, nobody contacting the user.

    Parameters
    ----------
    laws : GapLaws
    left : (n,) float64
        Probability of having left.
    weights : (n, n_types) float64
    days : (n_days,) integer

    Returns
    -------
    (n, n_days) float64
    """
    living = weights @ laws.survival[:, days]
    found: Floats = living + left[:, None] * (laws.departed_survival(days) - living)
    return found


def updated(
    world: World,
    weights: Floats,
    left: Floats,
    *,
    gap: Ints,
    said_why: Flags,
    idle: Ints | None,
    chance: Floats | None,
) -> Floats:
    """Probabilities of the types once the gap has ended.

    Parameters
    ----------
    weights : (n, n_types) float64
        At its start.
    left : (n,) float64
        Probability of having left at its start.
    gap : (n,) int64
        Its length.
    said_why : (n,) bool
        Whether the user answered a survey within it: then he had left.
    idle, chance : (n, n_contacts) or None
        Contacts within it, as in `GapLaws.departed_pmf`.

    Returns
    -------
    (n, n_types) float64
    """
    laws, model = world.laws, world.model
    departed = laws.departed_pmf(gap)
    if idle is not None and chance is not None:
        rows = np.flatnonzero((chance > 0).any(axis=1))
        departed[rows] = laws.departed_pmf(gap[rows], idle[rows], chance[rows])
    earliest, latest = model.survey_days
    asked_by_then = np.clip(gap - earliest, 0, latest - earliest + 1) / (latest - earliest + 1)
    departed *= np.where(said_why, model.surveyed, 1.0 - model.surveyed * asked_by_then)
    living = laws.pmf.T[gap]
    living *= ((1.0 - left) * ~said_why)[:, None]
    living += (left * departed)[:, None]
    living *= weights
    living /= living.sum(axis=1, keepdims=True)
    return living
