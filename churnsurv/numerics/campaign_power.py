"""How sure a campaign of a stated size is to show a lift: power of the tests of a lift, day by day.

The controls return by day u with probability F0(u), S0 = 1 - F0; the treated have S1 = S0^r, the same hazard ratio r
on every day (grouped proportional hazards). With n_a(u) users of an arm who were followed to day u and had not returned
before, h_a(u) = 1 - S_a(u) / S_a(u - 1) and horizon tau, large-sample variances are

    return by the horizon   S_a(tau)^2 sum_{u <= tau} h_a / ((1 - h_a) n_a(u))                        (Greenwood 1926)
    days to return          sum_{u < tau} A_a(u)^2 h_a / ((1 - h_a) n_a(u)),   A_a(u) = sum_{u <= k < tau} S_a(k)
    log hazard ratio        1 / sum_u w_1 w_0 / (w_1 + w_0),   w_a(u) = n_a(u) log(1 - h_a)^2 (1 - h_a) / h_a

the last being the information of a grouped fit with a free baseline (Prentice and Gloeckler 1978). The power of the
two-sided Wald test of a lift of so many standard errors is Phi(lift / se - z) + Phi(-lift / se - z).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError

__all__ = ["Measure", "TwoCurves", "followed_users", "size_for", "smallest_lift", "two_curves", "wald_power"]

Floats: TypeAlias = NDArray[np.float64]
Measure: TypeAlias = Literal["return_probability", "hazard_ratio", "days_to_return"]

_LARGEST_RATIO = 1e4  # of hazards that a lift is looked for in
_MOST_USERS = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class TwoCurves:
    """Returns of controls and treated by day, and what their lift is.

    Attributes
    ----------
    control, arm : (horizon,) float64
        Probability of not having returned by day u = 1 ... horizon, above 0.
    hazard_ratio : float
    """

    control: Floats
    arm: Floats
    hazard_ratio: float

    def lift(self, measure: Measure) -> float:
        """Treated less controls; of hazards their ratio.

        Examples
        --------
        >>> curves = two_curves(np.array([0.5, 0.25]), measure="hazard_ratio", lift=2.0)
        >>> curves.lift("return_probability"), curves.lift("days_to_return"), curves.lift("hazard_ratio")
        (0.1875, -0.25, 2.0)
        """
        if measure == "hazard_ratio":
            return self.hazard_ratio
        if measure == "return_probability":
            return float(self.control[-1] - self.arm[-1])
        return float(self.arm[:-1].sum() - self.control[:-1].sum())

    def std_error(self, measure: Measure, followed: Floats, holdout: float) -> float:
        """Standard error of the lift; of hazards, of the logarithm of the ratio.

        Parameters
        ----------
        measure : str
        followed : (horizon,) float64
            Users of both arms who are followed to day u.
        holdout : float
            Share of controls among them.
        """
        parts = []
        for survival, share in ((self.control, holdout), (self.arm, 1.0 - holdout)):
            before = np.append(1.0, survival[:-1])
            parts.append((survival, before, share * followed))
        if measure == "hazard_ratio":
            w0, w1 = (_information(*part) for part in parts)
            total = w0 + w1
            return float(1.0 / np.sqrt((w0 * w1 / np.where(total > 0, total, 1.0)).sum()))
        return float(np.sqrt(sum(_variance(measure, *part) for part in parts)))


def _information(survival: Floats, before: Floats, followed: Floats) -> Floats:
    """w(u) of a log hazard; (1 - h) is S(u) / S(u - 1)."""
    log_stay = np.log(survival) - np.log(before)
    hazard = -np.expm1(log_stay)
    ended = np.where(hazard > 0, hazard, 1.0)
    return np.asarray(followed * survival * np.square(log_stay) / ended)


def _variance(measure: Measure, survival: Floats, before: Floats, followed: Floats) -> float:
    # Of n = followed S(u - 1) at risk the share S(u) / S(u - 1) stays: (1 - h) n = followed S(u).
    steps = (1.0 - survival / before) / followed
    if measure == "return_probability":
        return float((survival[-1] * (survival[-1] / survival) * steps).sum())
    # Days from u on that are not yet returned: the last day's own return no longer counts.
    left = np.append(np.cumsum(survival[:-1][::-1])[::-1], 0.0)
    return float((left * (left / survival) * steps).sum())


def two_curves(control: Floats, *, measure: Measure, lift: float) -> TwoCurves:
    """Find the hazard ratio that makes a lift.

    Parameters
    ----------
    control : (horizon,) float64
        Probability of not having returned by day u, falling or level, above 0, below 1 at the end.
    measure : str
    lift : float
        Difference of probabilities, ratio of hazards, or difference of days (below 0: sooner).

    Raises
    ------
    InputError
        If no treated users could have such a lift.
    """
    if measure == "hazard_ratio":
        return _curves(control, lift)
    if measure == "return_probability":
        target = control[-1] - lift
        if not 0.0 < target < 1.0:
            raise InputError(
                f"lift={lift:g} on top of a return probability of {1 - control[-1]:.4g} leaves 0 to 1: it must lie "
                f"between {control[-1] - 1:.4g} and {control[-1]:.4g}. A lift of 20 per 1,000 users is 0.02."
            )
        return _curves(control, float(np.log(target) / np.log(control[-1])))
    lowest, highest = (_curves(control, r).lift(measure) for r in (_LARGEST_RATIO, 0.0))
    if not lowest < lift < highest:
        raise InputError(
            f"lift={lift:g}: treated users can be back at most {-lowest:.4g} days sooner than the controls, who need "
            f"{1 + control[:-1].sum():.4g} days of {control.size} on average, and at most {highest:.4g} later."
        )
    log_ratio = _root(
        lambda x: _curves(control, float(np.exp(x))).lift(measure) - lift, -np.log(1e9), np.log(_LARGEST_RATIO)
    )
    return _curves(control, float(np.exp(log_ratio)))


def _curves(control: Floats, ratio: float) -> TwoCurves:
    # Hardly anybody is left under a very large ratio; 0 would have no logarithm.
    return TwoCurves(control, np.maximum(np.power(control, ratio), 1e-300), ratio)


def followed_users(horizon: int, *, n_users: float, per_day: float, day: int) -> Floats:
    """Users followed to day u = 1 ... horizon at the end of a calendar day, (horizon,).

    Examples
    --------
    Ten a day from day 1 on, 25 in all, seen at the end of day 3.

    >>> followed_users(4, n_users=25.0, per_day=10, day=3).tolist()
    [25.0, 20.0, 10.0, 0.0]
    """
    days = np.maximum(day - np.arange(horizon), 0)
    return np.minimum(n_users, per_day * days)


def wald_power(curves: TwoCurves, measure: Measure, followed: Floats, *, holdout: float, alpha: float) -> float:
    """Power of the two-sided test at `alpha` of a lift that is there; null where nobody is followed to the horizon.

    Examples
    --------
    >>> curves = two_curves(np.array([0.9]), measure="return_probability", lift=0.05)
    >>> round(wald_power(curves, "return_probability", np.array([2000.0]), holdout=0.5, alpha=0.05), 4)
    0.9237
    """
    from scipy.special import ndtr, ndtri

    if followed[-1] <= 0:
        return float("nan")
    lift = curves.lift(measure)
    effect = np.log(lift) if measure == "hazard_ratio" else lift
    ratio = effect / curves.std_error(measure, followed, holdout)
    z = ndtri(1 - alpha / 2)
    return float(ndtr(ratio - z) + ndtr(-ratio - z))


def size_for(power: float, curves: TwoCurves, measure: Measure, *, holdout: float, alpha: float) -> float:
    """Users, as a real number, of whom all are followed to the horizon, for a power above `alpha`."""
    one = np.ones(curves.control.size)

    def lacking(log_users: float) -> float:
        followed = np.exp(log_users) * one
        return wald_power(curves, measure, followed, holdout=holdout, alpha=alpha) - power

    if lacking(float(np.log(_MOST_USERS))) < 0:
        raise InputError(f"Even {_MOST_USERS:.0e} users would not show so small a lift. Ask for a larger one.")
    return float(np.exp(_root(lacking, 0.0, float(np.log(_MOST_USERS)))))


def smallest_lift(
    power: float, control: Floats, measure: Measure, *, n_users: float, holdout: float, alpha: float
) -> TwoCurves:
    """The curves of the smallest lift, towards more and sooner returns, that so many users show with this power.

    Raises
    ------
    InputError
        If they show none.
    """
    followed = np.full(control.size, float(n_users))

    def lacking(log_ratio: float) -> float:
        curves = _curves(control, float(np.exp(log_ratio)))
        return wald_power(curves, measure, followed, holdout=holdout, alpha=alpha) - power

    # Far out nobody is left, and a Wald test of hazards knows less and less: look no further than where it is best.
    grid = np.geomspace(1e-6, np.log(_LARGEST_RATIO), 200)
    enough = next((x for x in grid if lacking(float(x)) >= 0), None)
    if enough is None:
        raise InputError(
            f"{n_users:,.0f} users show no lift with a power of {power:g}, however large. Take more users, or a larger "
            "hold-out."
        )
    return _curves(control, float(np.exp(_root(lacking, 0.0, float(enough)))))


def _root(value: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    if value(high) == 0.0:
        return high
    return cast(float, brentq(value, low, high, xtol=1e-12, rtol=1e-12))
