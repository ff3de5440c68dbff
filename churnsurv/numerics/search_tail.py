"""The chance that the largest of many neighbouring normal deviates is as large as observed: the price of a search.

Along the rising cuts of one variable the deviates z_1 ... z_m of "does the outcome differ?" are, if nothing differs, a
Markov chain of standard normals to a good approximation: exactly so where the share of users below a cut is the same
in all risk sets, when U(c) is a Brownian bridge in that share and z is Ornstein and Uhlenbeck's process in its log odds
(Miller and Siegmund 1982). A Markov chain is known by the correlations of its steps, and

    P(max |z| >= b) = P(|z_1| >= b) + sum over j of P(|z_1|, ..., |z_j| < b, |z_j+1| >= b),

where each term is an integral over one dimension. All terms are positive, so that small p-values keep their digits.

Thousands of cuts are thinned to a hundred or two. What the chain may do between two of them is made up for by moving
the barrier: a walk with steps of standard deviation s passes b as seldom as continuous motion passes b + 0.5826 s
(Siegmund 1985; the constant is -zeta(1/2)/sqrt(2 pi)), so that steps of s that stand for r steps of s / sqrt(r) get the
barrier b - 0.5826 s (1 - 1/sqrt(r)).

Deviates of few events are skewed where few users lie on one side: the search finds these cuts too often. A deviate with
skewness g is taken for that of a gamma variable, whose cube root is nearly normal (Wilson and Hilferty 1931):

    z' = 6 / g ((1 + g z / 2)^(1/3) - 1) + g / 6  =  z - g (z^2 - 1) / 6 + ...
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

__all__ = ["search_quantile", "search_tail", "without_skewness"]

Floats: TypeAlias = NDArray[np.float64]

_OVERSHOOT = 0.5825971579390107
_NARROW = 0.01  # narrower steps (variance) are joined with the next one, and count as several
_SYMMETRIC = 1e-7  # below it a skewness changes no digit that counts
_NODES = (64, 384)  # of the quadrature, at least and at most
_HIGHEST = 8.0  # beyond it Bonferroni's bound is as good


def search_tail(z: float, correlation: ArrayLike, between: ArrayLike | None = None) -> float:
    """Return P(max |z_j| >= |z|) over cuts of which nothing differs.

    Parameters
    ----------
    z : float
    correlation : (m - 1,) float64
        Of the deviate at each cut with that at the next one; empty for one cut.
    between : (m - 1,), optional
        How many steps of the search each of these steps stands for; 1 by default.

    Examples
    --------
    One cut is no search; nine deciles are worth about six independent looks, all cuts between them fourteen:

    >>> shares = np.arange(1, 10) / 10
    >>> odds = shares / (1 - shares)
    >>> steps = np.sqrt(odds[:-1] / odds[1:])
    >>> [round(search_tail(2.5, *way), 3) for way in (([],), (steps,), (steps, np.full(8, 1000)))]
    [0.012, 0.074, 0.178]
    """
    b = abs(float(z))
    rho, steps = _apart(np.asarray(correlation, dtype=np.float64), between)
    alone = float(2 * ndtr(-b))
    if rho.size == 0 or b == 0.0:
        return alone
    if b > _HIGHEST:
        return float((1 + steps.sum()) * alone)
    spread = np.sqrt(1 - np.square(rho))
    barrier = _barriers(b, spread, steps)
    if barrier.min() <= 0.05:  # nothing but nonsense stays within such bounds
        return 1.0
    return float(min(1.0, max(alone, _leaves(barrier, rho, spread))))


def search_quantile(level: float, correlation: ArrayLike, between: ArrayLike | None = None) -> float:
    """Return the |z| that the largest of the cuts exceeds with probability 1 - level, if nothing differs.

    Examples
    --------
    >>> round(search_quantile(0.95, []), 4)
    1.96
    """
    from scipy.optimize import brentq

    alone = float(-ndtri((1 - level) / 2))
    if np.size(correlation) == 0:
        return alone

    def excess(z: float) -> float:
        return float(np.log(search_tail(z, correlation, between) / (1 - level)))

    return alone if excess(alone) <= 0 else float(brentq(excess, alone, _HIGHEST, xtol=1e-9))


def without_skewness(z: Floats, skewness: Floats) -> Floats:
    """Return deviates as they would be if they were not skewed, (n,).

    Examples
    --------
    >>> without_skewness(np.array([3.0, -3.0, 3.0]), np.array([0.3, 0.3, 0.0])).round(2).tolist()
    [2.69, -3.56, 3.0]
    """
    skewed = np.abs(skewness) > _SYMMETRIC
    g = np.where(skewed, skewness, 1.0)
    return np.asarray(np.where(skewed, 6 / g * (np.cbrt(1 + g * z / 2) - 1) + g / 6, z))


def _apart(rho: Floats, between: ArrayLike | None) -> tuple[Floats, Floats]:
    """Join narrow steps, so that all are wide enough for a quadrature of few nodes; with how many each stands for."""
    steps = np.ones(rho.size) if between is None else np.asarray(between, dtype=np.float64)
    kept: list[float] = []
    counts: list[float] = []
    product, pending = 1.0, 0.0
    for one, count in zip(np.clip(rho, 0.0, 1.0).tolist(), steps.tolist(), strict=True):
        product, pending = product * one, pending + count
        if 1 - product * product > _NARROW:
            kept.append(product)
            counts.append(pending)
            product, pending = 1.0, 0.0
    return np.array(kept), np.array(counts)


def _barriers(b: float, spread: Floats, steps: Floats) -> Floats:
    """The barrier at each cut, lowered for the cuts that are left out on either side of it."""
    lowered = _OVERSHOOT * spread * (1 - 1 / np.sqrt(np.maximum(steps, 1.0)))
    sides = np.concatenate([lowered[:1], lowered, lowered[-1:]])
    return np.asarray(b - (sides[:-1] + sides[1:]) / 2)


def _leaves(barrier: Floats, rho: Floats, spread: Floats) -> float:
    """P(|z_j| >= barrier_j for any j) of a Markov chain of standard normals."""
    wished = float(np.clip(4 * barrier.max() / spread.min(), *_NODES))
    nodes, weights = _legendre(32 * int(np.ceil(wished / 32)))
    total = 2 * float(ndtr(-barrier[0]))
    x = barrier[0] * nodes
    mass = barrier[0] * weights * np.exp(-np.square(x) / 2) / np.sqrt(2 * np.pi)
    for b, r, s in zip(barrier[1:], rho, spread, strict=True):
        total += float(mass @ (ndtr((r * x - b) / s) + ndtr((-r * x - b) / s)))
        new = b * nodes
        step = np.exp(-np.square((new[:, None] - r * x[None, :]) / s) / 2) / (s * np.sqrt(2 * np.pi))
        x, mass = new, b * weights * (step @ mass)
    return total


@lru_cache(maxsize=16)
def _legendre(n: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights
