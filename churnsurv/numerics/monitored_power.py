"""How soon a monitored campaign shows its lift: the chance that the e-process has crossed by each day.

In large samples the score of the log odds ratio moves like Brownian motion with drift theta over information I, and the
mixture of `numerics.e_process` with a normal prior of variance s^2 crosses 1/alpha where the score x has

    x^2 >= (I + 1 / s^2) (2 log(1 / alpha) + log(1 + s^2 I))                                          (Robbins 1970).

Information is what the likelihood ratio is worth on average: I = 2 Lambda / theta^2, with

    Lambda = sum over cells of n_1 KL(p_1, p) + n_0 KL(p_0, p),   p = (n_1 p_1 + n_0 p_0) / (n_1 + n_0),

n users at risk in a cell and p their chances to return: so much is a large lift, or a small hold-out, worth too. The
chance of a first crossing on each day comes from carrying the density of the score from day to day over the region
where it has not crossed (Armitage, McPherson and Rowe 1969).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.campaign_power import TwoCurves
from churnsurv.numerics.day_counts import read_only

__all__ = ["MonitoredPower", "crossing_chances", "monitored_power"]

Floats: TypeAlias = NDArray[np.float64]

_POINTS = 181  # of the density
_STEP = 0.015  # of the information: looks that are nearer to each other hardly find more


@dataclass(frozen=True, slots=True, eq=False)
class MonitoredPower:
    """Chances by calendar day 1, 2, ... of the campaign.

    Attributes
    ----------
    crossed : (n_days,) float64
        Probability that the lift has shown by the end of the day.
    expected_days : float
        Mean of the day on which it shows, or of the last one where it does not.
    """

    crossed: Floats
    expected_days: float


def monitored_power(
    curves: TwoCurves, *, n_users: float, per_day: float, holdout: float, prior_scale: float, alpha: float
) -> MonitoredPower:
    """Follow a campaign from its first day to the last one on which its last users count.

    Parameters
    ----------
    curves : TwoCurves
    n_users, per_day : float
        Users of both arms, in all and assigned a day.
    holdout : float
        Share of controls.
    prior_scale : float
    alpha : float

    Examples
    --------
    >>> from churnsurv.numerics.campaign_power import two_curves
    >>> curves = two_curves(0.99 ** np.arange(1, 31), measure="hazard_ratio", lift=1.3)
    >>> found = monitored_power(curves, n_users=8000, per_day=200, holdout=0.5, prior_scale=0.3, alpha=0.05)
    >>> found.crossed.size, found.crossed[[9, 29, 68]].round(2).tolist(), round(found.expected_days)
    (69, [0.05, 0.87, 1.0], 22)
    """
    theta, information = _information(curves, n_users, per_day, holdout)
    first = _first_crossings(theta, information, 1.0 / prior_scale**2, alpha)
    crossed = np.minimum(np.cumsum(first), 1.0)
    read_only(crossed)
    return MonitoredPower(crossed, float(1.0 + (1.0 - crossed[:-1]).sum()))


def crossing_chances(theta: float, information: Floats, *, prior_scale: float, alpha: float) -> Floats:
    """Probability that |score| has crossed the boundary at each of some rising informations, (n_looks,).

    Examples
    --------
    >>> round(crossing_chances(0.0, np.linspace(10, 1000, 40), prior_scale=0.3, alpha=0.05)[-1].item(), 3)
    0.018
    """
    return np.cumsum(_first_crossings(theta, information, 1.0 / prior_scale**2, alpha))


def _information(curves: TwoCurves, n_users: float, per_day: float, holdout: float) -> tuple[float, Floats]:
    """The log odds ratio that a day's returns have on average, and the information at the end of each day."""
    horizon = curves.control.size
    hazards, left = [], []
    for survival in (curves.control, curves.arm):
        before = np.append(1.0, survival[:-1])
        hazards.append(np.clip(1.0 - survival / before, 0.0, 1.0 - 1e-12))
        left.append(before)
    n0, n1 = holdout * left[0], (1.0 - holdout) * left[1]
    p0, p1 = hazards
    pooled = (n1 * p1 + n0 * p0) / (n1 + n0)
    worth = n1 * _divergence(p1, pooled) + n0 * _divergence(p0, pooled)
    happens = (p0 > 0) & (p1 > 0)
    weight = np.where(happens, n1 * n0 / (n1 + n0) * pooled * (1.0 - pooled), 0.0)
    odds = np.where(happens, np.log(np.where(happens, p1 * (1 - p0), 1.0) / np.where(happens, p0 * (1 - p1), 1.0)), 0.0)
    theta = float((weight * odds).sum() / weight.sum())
    # Users of one day of assignment reach day u of theirs so many days later: a convolution of two flows.
    days = int(np.ceil(n_users / per_day))
    assigned = np.full(days, per_day)
    assigned[-1] = n_users - per_day * (days - 1)
    return theta, np.cumsum(np.convolve(assigned, 2.0 * worth / theta**2))[: days + horizon - 1]


def _divergence(p: Floats, q: Floats) -> Floats:
    """Kullback and Leibler's, of two chances."""
    from scipy.special import rel_entr

    found: Floats = rel_entr(p, q) + rel_entr(1.0 - p, 1.0 - q)
    return found


def _first_crossings(theta: float, information: Floats, precision: float, alpha: float) -> Floats:
    """Probability that the boundary is first crossed at each look."""
    from scipy.special import ndtr

    bound = np.sqrt((information + precision) * (2 * np.log(1 / alpha) + np.log1p(information / precision)))
    found = np.zeros(information.size)
    # Until a look, all of the density is at 0, without any information.
    at, mass, last = np.zeros(1), np.ones(1), 0.0
    for look in _looks(information):
        step = information[look] - last
        root, centre = np.sqrt(step), at + theta * step
        edge = bound[look]
        found[look] = (mass * (ndtr((centre - edge) / root) + ndtr((-edge - centre) / root))).sum()
        points = np.linspace(-edge, edge, _POINTS)
        weight = np.full(_POINTS, points[1] - points[0])
        weight[[0, -1]] /= 2
        away = (points[:, None] - centre) / root
        mass = weight * (np.exp(-0.5 * np.square(away)) @ mass) / (root * np.sqrt(2 * np.pi))
        at, last = points, information[look]
    return found


def _looks(information: Floats) -> list[int]:
    """Days far enough apart for the density to be carried from one to the next; the last one with news always."""
    end = int(np.argmax(information))
    looks, last = list[int](), 0.0
    for day, now in enumerate(information[:end]):
        if now - last > _STEP * now and information[end] - now > _STEP * now:
            looks.append(day)
            last = float(now)
    return [*looks, end]
