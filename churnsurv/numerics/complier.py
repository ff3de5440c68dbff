"""The effect on those whom a contact reaches because they were drawn for it: the randomised arm as an instrument.

With an effect y of the arm on the outcome and d of the arm on the share reached, y / d is the effect among those who
are reached if and only if they are in the arm, provided that the arm acts through the contact alone and reaches nobody
less (Imbens and Angrist 1994). Its confidence set holds every theta that y - theta d does not speak against,

    (y - theta d)^2 <= z^2 (v_y - 2 theta c + theta^2 v_d),

which keeps its level however few are reached (Fieller 1954, Anderson and Rubin 1949); where d itself may be 0 the set
has no end.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ComplierEffect", "complier_effect_of"]


@dataclass(frozen=True, slots=True)
class ComplierEffect:
    """An effect with its limits.

    Attributes
    ----------
    estimate : float
        NaN where the arm reaches nobody.
    lower, upper : float
        Infinite where the set has no end on that side; where it is all but an inner stretch, both are.
    std_error : float
        By the delta method; NaN where d may be 0.
    """

    estimate: float
    lower: float
    upper: float
    std_error: float


def complier_effect_of(
    y: float, d: float, *, variance_y: float, variance_d: float, covariance: float, critical: float
) -> ComplierEffect:
    """Divide the effect on the outcome by the effect on the share reached.

    Parameters
    ----------
    y, d : float
        Arm less control.
    variance_y, variance_d, covariance : float
        Of the two.
    critical : float
        Deviate of the normal law, such as 1.96.

    Examples
    --------
    All are reached: the effect is that of the arm.

    >>> found = complier_effect_of(0.2, 1.0, variance_y=0.01, variance_d=0, covariance=0, critical=2)
    >>> found.estimate, round(found.lower, 12), round(found.upper, 12), found.std_error
    (0.2, 0.0, 0.4, 0.1)

    One in ten is reached, and that not surely: nothing is known.

    >>> complier_effect_of(0.2, 0.1, variance_y=0.01, variance_d=0.01, covariance=0, critical=2).upper
    inf
    """
    if d == 0:
        return ComplierEffect(float("nan"), float("-inf"), float("inf"), float("nan"))
    estimate = y / d
    a = d**2 - critical**2 * variance_d
    b = y * d - critical**2 * covariance
    c = y**2 - critical**2 * variance_y
    if a <= 0:
        return ComplierEffect(estimate, float("-inf"), float("inf"), float("nan"))
    reach = max(b**2 - a * c, 0.0) ** 0.5
    error = max(variance_y - 2 * estimate * covariance + estimate**2 * variance_d, 0.0) ** 0.5 / abs(d)
    return ComplierEffect(estimate, (b - reach) / a, (b + reach) / a, error)
