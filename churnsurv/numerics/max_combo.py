"""The chance that the largest of a few normal deviates is as large as observed.

The four tests of the max-combo test weigh days by 1, S, 1 - S and S (1 - S), S the survival just before the day. The
first is the sum of the next two: their joint normal distribution has three dimensions, and the integral over the
outside of a box becomes one over an angle, exactly. Write Z_a = l_a . E with unit vectors l_a and E standard normal in
three dimensions. Where Z_a is the largest in absolute value and positive, with x = Z_a and polar coordinates (s, angle)
in the plane across l_a, s is at most x T(angle), T the smallest of (1 - r_ab) / m_b and (1 + r_ab) / -m_b over the
others b, where these are positive, r_ab the correlations and m_b(angle) the part of l_b along the angle. So

    P(max |Z| > z) = 2 sum over a of the mean over angles of  Q(z) - Q(z sqrt(1 + T^2)) / sqrt(1 + T^2),

Q the upper tail of the normal distribution. All terms are positive: small p-values keep their digits, and nothing is
random.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["largest_normal_tail"]

Floats: TypeAlias = NDArray[np.float64]

_ANGLES = 8192
_SAME = 1e-10  # correlations this close to 1 are of one and the same deviate


def largest_normal_tail(z: float, correlation: Floats) -> float:
    """Return P(max |Z| >= z) of standard normal deviates.

    Parameters
    ----------
    z : float
        >= 0.
    correlation : (m, m) float64
        Of rank three at most.

    Examples
    --------
    Two independent deviates: 1 - (1 - 0.05)^2.

    >>> round(largest_normal_tail(1.959963984540054, np.eye(2)), 6)
    0.0975
    """
    lines = _lines(correlation)
    if lines.shape[0] == 1:
        return float(2 * ndtr(-z))
    angle = (np.arange(_ANGLES) + 0.5) * (2 * np.pi / _ANGLES)
    around = np.stack([np.cos(angle), np.sin(angle)])
    total = 0.0
    for a, line in enumerate(lines):
        others = np.delete(lines, a, axis=0)
        correlated = (others @ line)[:, None]
        along = (others @ _across(line)) @ around
        with np.errstate(divide="ignore", invalid="ignore"):
            limits = np.where(along > 0, (1 - correlated) / along, (1 + correlated) / -along)
        limit = np.where(along == 0, np.inf, limits).min(axis=0)
        stretch = np.sqrt(1 + limit**2)
        total += float(np.mean(ndtr(-z) - ndtr(-z * stretch) / stretch))
    return min(2 * total, 1.0)


def _lines(correlation: Floats) -> Floats:
    """Unit vectors in three dimensions with these correlations, (m, 3); of equal or opposite ones, one."""
    kept: list[int] = []
    for a in range(correlation.shape[0]):
        if all(abs(correlation[a, b]) < 1 - _SAME for b in kept):
            kept.append(a)
    values, vectors = np.linalg.eigh(correlation[np.ix_(kept, kept)])
    lines = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, -3:]
    lines = np.pad(lines, ((0, 0), (0, 3 - lines.shape[1])))
    return np.asarray(lines / np.linalg.norm(lines, axis=1, keepdims=True))


def _across(line: Floats) -> Floats:
    """Two unit vectors across a line and each other, (3, 2)."""
    whole, _ = np.linalg.qr(np.column_stack([line, np.eye(3)]))
    return np.asarray(whole[:, 1:])
