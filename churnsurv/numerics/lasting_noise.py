"""Whether what is special about a day lasts for some days: one law of the noise, chosen by Akaike's criterion.

Of residuals z_t with variance s_t^2 by chance,

    z_t = e_t + w_t + u_t,   u_t = rho u_(t-1) + a_t,

e_t of variance s_t^2, w_t (of a day alone) of variance `white`, u_t (what lasts) of stationary variance `slow`. The
normal likelihood comes from the Kalman filter (Harvey 1989, ch. 3) on a grid that is refined once. What lasts is taken
up only where it gains more than two units of log-likelihood, Akaike's price of its two parameters. `day_noise` weighs
many laws instead, for limits that must hold for years; here one law is needed, whose selection is counted in coverage
by simulation.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_noise import DayNoise, noise_likelihood

__all__ = ["lasting_noise"]

Floats: TypeAlias = NDArray[np.float64]

_RHO = (0.5, 0.7, 0.85, 0.95)
_GRID = tuple(0.03 * 3.0**k for k in range(12))
_FINE = tuple(3.0 ** (k / 4) for k in range(-3, 4))
_PRICE = 2.0


def lasting_noise(residual: Floats, own: Floats, *, n_terms: int = 0) -> DayNoise | None:
    """Return the law of noise that lasts, or None where the days do not speak for it.

    Parameters
    ----------
    residual : (n_days,) float64
        Of consecutive days, null where a day does not count.
    own : (n_days,) float64
        Variance by chance.
    n_terms : int
        Coefficients that were fitted; residuals are made as much larger as they are too small for it.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> lasting_noise(rng.normal(0, 0.1, 300), np.full(300, 0.0036)) is None
    True
    >>> slow = np.convolve(rng.normal(0, 0.1, 320), 0.8 ** np.arange(20), mode="valid")
    >>> lasting_noise(slow, np.full(slow.size, 0.0036)).rho
    0.85
    """
    known = np.isfinite(residual)
    n = int(known.sum())
    z = residual * np.sqrt(n / max(n - n_terms, 1))
    unit = float(np.median(own[known])) if n else 1.0
    white = np.array([0.0, *_GRID]) * unit
    alone = np.column_stack([white, np.zeros((white.size, 2))])
    best = alone[int(np.argmax(noise_likelihood(z, own, alone)))]
    value_alone, _ = _best(z, own, np.array([(best[0] * fine, 0.0, 0.0) for fine in _FINE]))
    both = np.array([(w, s, rho) for w in white for s in np.array(_GRID) * unit for rho in _RHO])
    value, slow = _best(z, own, both)
    fine = np.array([(slow[0] * f, slow[1] * g, slow[2]) for f in _FINE for g in _FINE])
    value, slow = max((value, slow), _best(z, own, fine), key=lambda pair: pair[0])
    return DayNoise(*(float(each) for each in slow)) if value > value_alone + _PRICE else None


def _best(z: Floats, own: Floats, laws: Floats) -> tuple[float, Floats]:
    value = noise_likelihood(z, own, laws)
    place = int(np.argmax(value))
    found: Floats = laws[place]
    return float(value[place]), found
