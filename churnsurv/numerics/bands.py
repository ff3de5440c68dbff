"""Critical values of simultaneous confidence bands for survival curves.

With W a Brownian bridge on [0, 1], the band of Hall and Wellner (1980) needs the k with

    P( |W(u)| <= k for all u in [a, b] ) = level,

and the equal-precision band of Nair (1984) the c with

    P( |W(u)| / sqrt(u (1 - u)) <= c for all u in [a, b] ) = level.

The first is exact: between its ends W is a bridge again, whose chance to stay within +-k is a series of reflections,
and the two ends are bivariate normal. The second is an Ornstein-Uhlenbeck process over the log of the odds
ratio of b and a; the chance to stay within +-c solves a diffusion equation, by eigenvectors on a grid. No tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["equal_precision_critical", "hall_wellner_critical"]

Floats: TypeAlias = NDArray[np.float64]

_NODES = 40  # of the quadrature over each end, in each of its parts
_LAYER = 8.0  # standard deviations of the bridge from a boundary within which its chance to stay changes
_TAIL = 9.0  # standard deviations beyond which a normal end is not integrated
_IMAGES = 8  # reflections on each side; the next ones are below 1e-15 for any level of interest
_GRID = 100  # points of the coarser grid of the diffusion equation
_SHORT = 1e-3  # length below which the process is a short piece of Brownian motion
_FURTHEST = 4.0  # a critical value lies no further above that of one time, for odds ratios up to 1e60
_LEAST = 1e-12


@lru_cache(maxsize=256)
def hall_wellner_critical(first: float, last: float, level: float) -> float:
    """Return k for the band of Hall and Wellner between the quantiles of variance `first` and `last`.

    Parameters
    ----------
    first, last : float
        a and b, with 0 <= a <= b < 1.
    level : float
        At least 0.5.

    Examples
    --------
    Over the whole interval it is the quantile of Kolmogorov and Smirnov's statistic:

    >>> round(hall_wellner_critical(0.0, 1 - 1e-9, 0.95), 3)
    1.358
    """
    middle = min(max(first, 0.5), last)
    widest = float(np.sqrt(middle * (1 - middle)))  # of |W(u)| at one u: the band is at least as wide
    if last == first:
        return widest * _alone(level)
    return _solve(lambda k: _bridge_within(k * widest, first, last), level) * widest


@lru_cache(maxsize=256)
def equal_precision_critical(first: float, last: float, level: float) -> float:
    """Return c for the equal-precision band between the quantiles of variance `first` and `last`.

    Parameters
    ----------
    first, last : float
        a and b, with 0 < a <= b < 1; only their odds ratio matters.
    level : float
        At least 0.5.

    Examples
    --------
    Wider than the pointwise 1.96, and wider the longer the interval:

    >>> round(equal_precision_critical(0.1, 0.9, 0.95), 2), round(equal_precision_critical(0.01, 0.99, 0.95), 2)
    (3.05, 3.29)
    """
    length = float(np.log(last * (1 - first)) - np.log(first * (1 - last)))
    return _solve(lambda c: _stationary_within(c, length), level)


def _alone(level: float) -> float:
    """The normal quantile of a statement about one time."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _solve(within: Callable[[float], float], level: float) -> float:
    """The critical value in units of one time's standard deviation: no smaller than for that time alone."""
    from scipy.optimize import brentq

    def miss(x: float) -> float:  # the logarithm of the tail is nearly a parabola: few steps
        return float(np.log(max(1 - within(x), _LEAST) / (1 - level)))

    alone = _alone(level)
    return float(brentq(miss, 0.99 * alone, alone + _FURTHEST, xtol=1e-8))


def _bridge_within(k: float, first: float, last: float) -> float:
    """P(|W| <= k on [first, last]) of a Brownian bridge; either end at 0 or 1 is certain."""
    length = last - first
    layer = k - _LAYER * np.sqrt(length)
    left, weight = _end(np.zeros(1), first * (1 - first), k, inner=max(layer, 0.0))
    remaining = (1 - last) / (1 - first)
    right, share = _end(left[0] * remaining, length * remaining, k)
    stays = _stays(left[0][:, None], right, length, k)
    return float(weight[0] @ np.sum(share * stays, axis=1))


def _end(mean: Floats, variance: float, k: float, *, inner: float = 0.0) -> tuple[Floats, Floats]:
    """Nodes within +-k and normal weights around each mean, shape (n_means, n_nodes); in parts cut at +-`inner`."""
    if variance <= 0:
        return mean[:, None], np.ones((mean.shape[0], 1))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    reach = _TAIL * np.sqrt(variance)
    lowest, highest = np.maximum(mean - reach, -k), np.minimum(mean + reach, k)
    cuts = [lowest, *(np.clip(cut, lowest, highest) for cut in ((-inner, inner) if inner else ())), highest]
    found = []
    for lower, upper in pairwise(cuts):
        half = np.maximum(upper - lower, 0.0)[:, None] / 2
        at = (upper + lower)[:, None] / 2 + half * nodes
        found.append((at, half * weights * _normal(at - mean[:, None], variance)))
    return np.concatenate([at for at, _ in found], axis=1), np.concatenate([share for _, share in found], axis=1)


def _stays(x: Floats, y: Floats, length: float, k: float) -> Floats:
    """P(a bridge from x to y over `length` stays within +-k), by reflections; each relative to its free density."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    free = np.square(y - x)
    for image in range(-_IMAGES, _IMAGES + 1):
        total += np.exp((free - np.square(y - x + 4 * k * image)) / (2 * length))
        total -= np.exp((free - np.square(y + x - 2 * k + 4 * k * image)) / (2 * length))
    return np.clip(total, 0.0, 1.0)


def _normal(values: Floats, variance: float) -> Floats:
    density: Floats = np.exp(-np.square(values) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    return density


def _stationary_within(c: float, length: float) -> float:
    """P(|X| <= c over `length`) of the stationary process with covariance exp(-|s - t| / 2)."""
    if length < _SHORT:
        return _short_within(c, length)
    coarse, fine = (_on_grid(c, length, n) for n in (_GRID, 2 * _GRID))
    return (4 * fine - coarse) / 3  # the error falls with the square of the step


def _short_within(c: float, length: float) -> float:
    """The same over a short length, up to its power 3/2.

    Within +-c at first, and out in time: near c the highest point of Brownian motion has the mean sqrt(2 length / pi)
    and the mean square length; the density rises away from c by c, and the drift takes c / 2 times half the length.
    """
    from scipy.special import ndtr

    out = 2 * np.sqrt(2 * length / np.pi) + c * length / 2
    return float(1 - 2 * ndtr(-c) - np.exp(-c * c / 2) / np.sqrt(2 * np.pi) * out)


def _on_grid(c: float, length: float, n: int) -> float:
    """Diffuse the normal density killed at +-c: f' = (f'' - x f') / 2, made symmetric by the root of the density."""
    from scipy.linalg import eigh_tridiagonal

    step = 2 * c / (n + 1)
    x = np.asarray(-c + step * np.arange(1, n + 1), dtype=np.float64)
    between = np.asarray(-c + step * (np.arange(n + 1) + 0.5), dtype=np.float64)
    density, flow = _normal(x, 1.0), _normal(between, 1.0) / (2 * step**2)
    rates = -(flow[1:] + flow[:-1]) / density
    values, vectors = eigh_tridiagonal(rates, flow[1:-1] / np.sqrt(density[1:] * density[:-1]))
    start = vectors.T @ np.sqrt(density)
    return float(step * np.sum(start**2 * np.exp(values * length)))
