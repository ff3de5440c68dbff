"""How much daily counts vary beyond chance, and how long it lasts: white and slow noise on top of a binomial count.

Of the relative residuals z_t = (y_t - m_t) / m_t, with binomial variance s_t^2 = V_t / m_t^2,

    z_t = e_t + w_t + u_t,   u_t = rho u_(t-1) + a_t,

e_t of variance s_t^2, w_t (what is special about a day) of variance `white`, u_t (what lasts) of stationary variance
`slow`. The normal likelihood comes from the Kalman filter (Harvey 1989, ch. 3). A year of days says little of noise
that lasts, and a single law, chosen or the most likely one, would have limits that are too low half of the time. So
every law of a grid has its weight: likelihood times a third where nothing lasts, two thirds over all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DayNoise", "NoiseLaws", "fit_day_noise", "noise_likelihood"]

Floats: TypeAlias = NDArray[np.float64]

_RHO = (0.5, 0.7, 0.85, 0.95)
_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
#: Variances of a day to try: in units of the binomial one, and around the most likely one without slow noise.
_SMALL = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
_AROUND = (0.4, 0.5, 0.63, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5)
_GRID = tuple(0.03 * 1.6**k for k in range(26))
_NOTHING_LASTS = 1 / 3
#: Odds that something lasts must rise so much for it to be said.
_SAID = 3.0


@dataclass(frozen=True, slots=True)
class DayNoise:
    """Variances of log expected counts.

    Attributes
    ----------
    white : float
        Of a day alone.
    slow : float
        Stationary variance of what lasts.
    rho : float
        Its correlation from one day to the next; 0 where there is none.
    """

    white: float
    slow: float
    rho: float

    def of_a_day(self) -> float:
        """Variance of one day."""
        return self.white + self.slow

    def in_the_long_run(self) -> float:
        """Variance of a mean over many days, times their number."""
        return self.white + self.slow * (1 + self.rho) / (1 - self.rho)


@dataclass(frozen=True, slots=True, eq=False)
class NoiseLaws:
    """What is known of the noise.

    Attributes
    ----------
    laws : (n_laws, 3) float64
        white, slow and rho of each.
    weight : (n_laws,) float64
        Sums to 1.
    mean : DayNoise
        Mean variances; `rho` is that with which slow noise has its mean variance in the long run.
    lasts : bool
        Whether the days speak for noise that lasts.
    """

    laws: Floats
    weight: Floats
    mean: DayNoise
    lasts: bool


def fit_day_noise(observed: Floats, mean: Floats, variance: Floats, *, n_terms: int = 0) -> NoiseLaws:
    """Weigh the laws of the noise by their likelihood.

    Parameters
    ----------
    observed, mean, variance : (n_days,) float64
        Counts of consecutive days, null where a day does not count; what was expected, and the binomial variance.
    n_terms : int
        Coefficients that the mean was fitted with; residuals are made as much larger as they are too small for it.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> mean = np.full(365, 400.0)
    >>> calm = fit_day_noise(rng.poisson(mean).astype(float), mean, mean)
    >>> calm.mean.of_a_day() < 0.0005, calm.lasts
    (True, False)
    >>> wild = fit_day_noise(rng.poisson(mean * np.exp(rng.normal(0, 0.1, 365))).astype(float), mean, mean)
    >>> 0.007 < wild.mean.of_a_day() < 0.013
    True
    """
    known = np.isfinite(observed) & (mean > 0)
    n = int(known.sum())
    if not n:
        return NoiseLaws(np.zeros((1, 3)), np.ones(1), DayNoise(0.0, 0.0, 0.0), lasts=False)
    scale = np.sqrt(n / max(n - n_terms, 1))
    z = np.where(known, scale * (np.where(known, observed, 0.0) - mean) / np.maximum(mean, 1e-9), np.nan)
    own = variance / np.maximum(mean, 1e-9) ** 2
    unit = float(np.median(own[known]))
    white = np.array([0.0, *_GRID]) * unit
    alone = np.column_stack([white, np.zeros((white.size, 2))])
    likely = float(white[int(np.argmax(noise_likelihood(z, own, alone)))])
    laws = _laws(np.unique([*(unit * each for each in _SMALL), *(likely * each for each in _AROUND)]))
    value = noise_likelihood(z, own, laws)
    still = laws[:, 1] == 0
    prior = np.where(still, _NOTHING_LASTS / still.sum(), (1 - _NOTHING_LASTS) / max((~still).sum(), 1))
    weight = prior * np.exp(value - value.max())
    weight /= weight.sum()
    odds = float(weight[~still].sum() / max(float(weight[still].sum()), 1e-300))
    return NoiseLaws(laws, weight, _mean(laws, weight), odds > _SAID * (1 - _NOTHING_LASTS) / _NOTHING_LASTS)


def _laws(total: Floats) -> Floats:
    """Laws of these variances of a day: nothing lasts, or a share of it for longer or shorter."""
    shares = [(0.0, 0.0), *((share, rho) for share in _SHARES for rho in _RHO)]
    return np.array(
        [(each * (1 - share), each * share, rho) for each in total for share, rho in shares if each or not rho]
    )


def _mean(laws: Floats, weight: Floats) -> DayNoise:
    white, slow, rho = laws.T
    lasting, long_run = float(weight @ slow), float(weight @ (slow * (1 + rho) / (1 - rho)))
    times = long_run / lasting if lasting > 0 else 1.0
    return DayNoise(float(weight @ white), lasting, (times - 1) / (times + 1))


def noise_likelihood(z: Floats, own: Floats, laws: Floats) -> Floats:
    """Return the normal log-likelihood of each law, without its constant.

    Parameters
    ----------
    z : (n_days,) float64
        Relative residuals of consecutive days, null where a day does not count.
    own : (n_days,) float64
        Their binomial variance.
    laws : (n_laws, 3) float64
        white, slow and rho.

    Returns
    -------
    (n_laws,) float64
    """
    white, slow, rho = laws.T
    state, spread = np.zeros(len(laws)), slow.copy()
    total, fresh = np.zeros(len(laws)), slow * (1 - rho**2)
    for residual, binomial in zip(z, own, strict=True):
        if residual == residual:
            variance = spread + white + binomial
            surprise = residual - state
            total -= 0.5 * (np.log(variance) + surprise**2 / variance)
            gain = spread / variance
            state = state + gain * surprise
            spread = spread * (1 - gain)
        state = rho * state
        spread = rho**2 * spread + fresh
    return total
