"""How long an effect lasts: the likelihood of every number of days that it may have lasted for.

With theta_t the log ratio on day t since the date, of variance v_t, and an effect of unknown size on the days before L
and none from L on, the log likelihood gains A^2 / (2 B) with A = sum_{t < L} theta_t / v_t, B = sum_{t < L} 1 / v_t.
With every size and every L as likely as any other beforehand, the weight of L is exp(A^2 / (2 B)) / sqrt(B); limits are
the shortest set of L that holds `level` of the weight, filled up to an interval (as in `change_begin`, from the other
end).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["EffectLength", "effect_length"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EffectLength:
    """How many days an effect lasted: the likeliest number and its limits."""

    days: int
    lower: int
    upper: int


def effect_length(theta: Floats, variance: Floats, *, level: float = 0.95) -> EffectLength:
    """Estimate how many days an effect lasted, given that there was one.

    Parameters
    ----------
    theta, variance : (n_days,) float64
        Of the days since the date, null for days that do not count.
    level : float

    Returns
    -------
    EffectLength
        Where `upper` is the number of days, the effect may go on.

    Examples
    --------
    >>> effect_length(np.where(np.arange(20) < 6, -0.5, 0.0), np.full(20, 0.01))
    EffectLength(days=6, lower=6, upper=6)
    """
    known = np.isfinite(theta)
    precision = np.where(known, 1 / np.where(known, variance, 1.0), 0.0)
    a, b = (np.where(known, theta, 0.0) * precision).cumsum(), precision.cumsum()
    there = b > 0
    weight = np.full(theta.size, -np.inf)
    weight[there] = a[there] ** 2 / (2 * b[there]) - 0.5 * np.log(b[there])
    # Days that do not count say nothing of where among them it ended: the last that counts stands for them.
    weight[~known] = -np.inf
    share = np.exp(weight - weight.max())
    share /= share.sum()
    order = np.argsort(-share, kind="stable")
    held = order[: int(np.searchsorted(share[order].cumsum(), level)) + 1]
    return EffectLength(int(np.argmax(share)) + 1, int(held.min()) + 1, int(held.max()) + 1)
