"""Two groups of users, those who churned and those who stayed: what their difference says, cut by cut.

A cut divides users into those at or below it and those above. With n users, d of them churned, and m below the cut, e
of them churned, the test of no difference conditions on the margins (Mantel and Haenszel 1959):

    z = (e - m d / n) / sqrt( m (n - m) d (n - d) / (n^2 (n - 1)) ).

Over the rising cuts of one variable these z are a Markov chain if nothing differs, with correlations

    corr(z_1, z_2) = sqrt( F_1 (1 - F_2) / (F_2 (1 - F_1)) ),        F = m / n,

so that the chance of a |z| as large at any of them is an integral over one dimension a step: the test that allows for
the search (Miller and Siegmund 1982; Hothorn and Lausen 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

__all__ = [
    "CutTests",
    "Limits",
    "StandardisedDifference",
    "cut_tests",
    "difference_limits",
    "ratio_correlation",
    "ratio_limits",
    "search_p_value",
    "share_limits",
    "simultaneous_critical",
    "standardised_difference",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_LEAST_EXPECTED = 5.0  # users expected in each cell before a normal law is trusted (Cochran 1954)
_NARROW = 0.01  # cuts whose z differ by less (in standard deviations) count as one in the search
_NODES = (64, 1_600)  # of the quadrature, at least and at most
_TAIL = 6.0  # |z| beyond which Bonferroni's bound is as good as exact
_BLOCK = 65_536  # rows worked on at a time
_DRAWS = 65_536
_WIDEST, _HALVINGS = 40.0, 60  # the log of a ratio lies within, to 1e-16 of it


@dataclass(frozen=True, slots=True, eq=False)
class CutTests:
    """Tests of no difference at the cuts of one variable.

    Attributes
    ----------
    statistic : (n_cuts,) float64
        z, positive where those below the cut churn more; null where a cell is expected to hold fewer than 5 users.
    p_value : (n_cuts,) float64
        Two-sided, of this cut alone.
    search_p_value : (n_cuts,) float64
        P(|z| as large at any tested cut), if churn has nothing to do with the variable.
    best : int or None
        Position of the largest |z|, the first of equals; None where no cut can be tested.
    """

    statistic: Floats
    p_value: Floats
    search_p_value: Floats
    best: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Limits of intervals, shape (n,)."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class StandardisedDifference:
    """A difference of means in units of the standard deviation; null where both groups are constant and differ."""

    estimate: float
    std_error: float
    lower: float
    upper: float


def cut_tests(n: int, n_churned: int, below: ArrayLike, churned_below: ArrayLike) -> CutTests:
    """Test each cut of a variable for a difference in churn, and all of them for any.

    Parameters
    ----------
    n, n_churned : int
        Users who have a value of the variable, and those of them who churned.
    below, churned_below : (n_cuts,) int
        The same at or below each cut; cuts rise.

    Notes
    -----
    Whether a cut is tested hangs on the margins alone (all four expected cells are 5 or more), so that the choice
    does not look at the outcome. The z is that of the chi-square test with n - 1 in place of n.

    Examples
    --------
    Of 100 users 40 churned; of the 50 below the cut 30:

    >>> tests = cut_tests(100, 40, [50], [30])
    >>> round(float(tests.statistic[0]), 4), round(float(tests.p_value[0]), 6)
    (4.062, 4.9e-05)
    """
    m, e = np.asarray(below, dtype=np.float64), np.asarray(churned_below, dtype=np.float64)
    smaller = np.minimum(m, n - m) * min(n_churned, n - n_churned) / max(n, 1)
    tested = smaller >= _LEAST_EXPECTED
    z = np.full(m.shape, np.nan)
    variance = m * (n - m) * (n_churned / max(n, 1)) * ((n - n_churned) / max(n, 1)) / max(n - 1, 1)
    z[tested] = (e - m * n_churned / max(n, 1))[tested] / np.sqrt(variance[tested])
    search = np.full(m.shape, np.nan)
    search[tested] = [search_p_value(float(each), m[tested] / n) for each in z[tested]]
    best = int(np.nanargmax(np.abs(z))) if tested.any() else None
    return CutTests(z, 2 * ndtr(-np.abs(z)), search, best)


def search_p_value(statistic: float, shares: ArrayLike) -> float:
    """Return P(max |z| >= |statistic|) over rising cuts with these shares of users below, if nothing differs.

    Examples
    --------
    One cut is no search; at this level nine deciles are worth about six independent looks:

    >>> round(search_p_value(1.959964, [0.5]), 4)
    0.05
    >>> round(search_p_value(2.5, np.arange(1, 10) / 10), 3)
    0.074
    """
    z = abs(statistic)
    share = _apart(np.unique(np.asarray(shares, dtype=np.float64)))
    alone = float(2 * ndtr(-z))
    bound = min(1.0, len(share) * alone)
    if len(share) == 1 or z > _TAIL or bound == 0.0:
        return bound
    rho = _step_correlation(share)
    return float(min(bound, max(alone, 1 - _stays_within(z, rho))))


def _step_correlation(share: Floats) -> Floats:
    """Correlation of the z of each cut with that of the next one."""
    odds = share / (1 - share)
    return np.asarray(np.sqrt(odds[:-1] / odds[1:]), dtype=np.float64)


def _apart(share: Floats) -> Floats:
    """Leave out cuts so close to the one before that their z are the same but for a hundredth."""
    kept = [float(share[0])]
    for each in share[1:]:
        if 1 - kept[-1] * (1 - each) / (each * (1 - kept[-1])) > _NARROW**2:
            kept.append(float(each))
    return np.array(kept)


def _stays_within(z: float, rho: Floats) -> float:
    """P(|Z_j| <= z for all j) of a Markov chain of standard normals with these step correlations."""
    spread = np.sqrt(1 - np.square(rho))
    wished = float(np.clip(3 * z / spread.min(), *_NODES))
    nodes, weights = _legendre(32 * int(np.ceil(wished / 32)))
    x, weights = z * nodes, z * weights
    density = np.exp(-np.square(x) / 2) / np.sqrt(2 * np.pi)
    for r, s in zip(rho, spread, strict=True):
        step = np.exp(-np.square((x[:, None] - r * x[None, :]) / s) / 2) / (s * np.sqrt(2 * np.pi))
        density = step @ (weights * density)
    return float(weights @ density)


@lru_cache(maxsize=64)
def _legendre(n: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights


def share_limits(count: ArrayLike, n: ArrayLike, level: float) -> Limits:
    """Return Wilson's limits of shares, each alone.

    Examples
    --------
    >>> limits = share_limits([0], [10], 0.95)
    >>> round(float(limits.lower[0]), 4), round(float(limits.upper[0]), 4)
    (0.0, 0.2775)
    """
    from statsmodels.stats.proportion import proportion_confint

    k, total = np.asarray(count, dtype=np.float64), np.asarray(n, dtype=np.float64)
    lower, upper = np.full(k.shape, np.nan), np.full(k.shape, np.nan)
    there = total > 0
    if there.any():
        found = proportion_confint(k[there], total[there], alpha=1 - level, method="wilson")
        lower[there], upper[there] = np.clip(found[0], 0, 1), np.clip(found[1], 0, 1)
    lower[k == 0] = np.where(there[k == 0], 0.0, np.nan)  # rounding leaves 1e-18 there
    upper[k == total] = np.where(there[k == total], 1.0, np.nan)
    return Limits(lower, upper)


def ratio_limits(churned_a: Ints, n_a: Ints, churned_b: Ints, n_b: Ints, critical: float) -> Limits:
    """Return score limits of the risk ratio of group a over group b.

    They hold all ratios that the score test of Miettinen and Nurminen (1985) does not reject at +-`critical`, so that
    they exist with empty cells: 0 below where nobody of a churned, infinity above where nobody of b did. Where nobody
    churned at all they are null.

    Parameters
    ----------
    churned_a, n_a, churned_b, n_b : (n,) int
    critical : float
        Normal quantile: 1.96 for one interval at 95 %.

    Examples
    --------
    >>> limits = ratio_limits(*(np.array([each]) for each in (30, 50, 10, 50)), critical=1.96)
    >>> round(float(limits.lower[0]), 2), round(float(limits.upper[0]), 2)
    (1.7, 5.55)
    """
    table = [np.asarray(each, dtype=np.float64) for each in (churned_a, n_a, churned_b, n_b)]
    lower, upper = (_ratio_limit(table, sign * critical) for sign in (1, -1))
    lower[table[0] == 0], upper[table[2] == 0] = 0.0, np.inf
    nothing = (table[0] + table[2] == 0) | (table[1] == 0) | (table[3] == 0)
    lower[nothing], upper[nothing] = np.nan, np.nan
    return Limits(lower, upper)


def _ratio_limit(table: Sequence[Floats], critical: float) -> Floats:
    """The ratio whose score is `critical`, by bisection of its logarithm; the score falls as the ratio rises."""
    low, high = np.full(table[0].shape, -_WIDEST), np.full(table[0].shape, _WIDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = _ratio_score(table, np.exp(middle)) < critical
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return np.asarray(np.exp((low + high) / 2), dtype=np.float64)


def _ratio_score(table: Sequence[Floats], ratio: Floats) -> Floats:
    """Return z of p_a = ratio p_b, with the shares that are likeliest under it (Miettinen and Nurminen 1985)."""
    d_a, n_a, d_b, n_b = table
    # They solve n ratio p^2 - (ratio (n_a + d_b) + d_a + n_b) p + d = 0 for p = p_b; this form of the root is stable.
    minus = ratio * (n_a + d_b) + d_a + n_b
    root = np.sqrt(np.maximum(np.square(minus) - 4 * (n_a + n_b) * ratio * (d_a + d_b), 0.0))
    p_b = 2 * (d_a + d_b) / (minus + root)
    p_a = np.minimum(ratio * p_b, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = p_a * (1 - p_a) / n_a + np.square(ratio) * p_b * (1 - p_b) / n_b
        unbiased = (n_a + n_b) / (n_a + n_b - 1)
        z: Floats = (d_a / n_a - ratio * d_b / n_b) / np.sqrt(variance * unbiased)
    return z


def difference_limits(count_a: Ints, n_a: Ints, count_b: Ints, n_b: Ints, critical: float) -> Limits:
    """Return Newcombe's (1998) limits of the difference of two shares, from Wilson's limits of each.

    Parameters
    ----------
    count_a, n_a, count_b, n_b : (n,) int
    critical : float
        Normal quantile.

    Examples
    --------
    >>> limits = difference_limits(*(np.array([each]) for each in (56, 70, 48, 80)), critical=1.959964)
    >>> round(float(limits.lower[0]), 4), round(float(limits.upper[0]), 4)
    (0.0524, 0.3339)
    """
    level = float(1 - 2 * ndtr(-critical))
    wilson_a, wilson_b = share_limits(count_a, n_a, level), share_limits(count_b, n_b, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = np.asarray(count_a) / np.asarray(n_a), np.asarray(count_b) / np.asarray(n_b)
    lower = a - b - np.hypot(a - wilson_a.lower, wilson_b.upper - b)
    upper = a - b + np.hypot(wilson_a.upper - a, b - wilson_b.lower)
    return Limits(lower, upper)


def ratio_correlation(values: Sequence[Floats], cuts: Sequence[Floats], churned: NDArray[np.bool_]) -> Floats:
    """Return the correlation of the log risk ratios at all cuts of all variables, from their influence functions.

    A user with outcome y below the cut moves the log of the ratio by (y - p_b) / (m p_b), one above it by
    -(y - p_a) / ((n - m) p_a); the sum of squares is the classical variance of the log ratio. The shares p have half a
    churned and half a retained user added, so that empty cells do not divide by zero.

    Parameters
    ----------
    values : sequence of (n_users,) float64
        One array a variable; NaN where a user has no value.
    cuts : sequence of (n_cuts,) float64
        Of each variable; each with users on both sides.
    churned : (n_users,) bool

    Returns
    -------
    (n_all_cuts, n_all_cuts) float64
        In the order of variables and their cuts.

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> found = ratio_correlation([x], [np.array([3.0, 3.5])], x < 3)
    >>> np.allclose(found, 1)
    True
    """
    parts = [_influence_parts(x, cut, churned) for x, cut in zip(values, cuts, strict=True)]
    total = sum(len(cut) for cut in cuts)
    products = np.zeros((total, total))
    for start in range(0, len(churned), _BLOCK):
        rows = slice(start, start + _BLOCK)
        y = churned[rows].astype(np.float64)[:, None]
        columns = []
        for x, cut, (m, p_below, above, p_above) in zip(values, cuts, parts, strict=True):
            value = x[rows][:, None]
            low = (y - p_below) / (m * p_below)
            high = (p_above - y) / (above * p_above)
            columns.append(np.where(np.isnan(value), 0.0, np.where(value <= cut, low, high)))
        psi = np.concatenate(columns, axis=1)
        products += psi.T @ psi
    scale = np.sqrt(np.diag(products))
    correlation: Floats = products / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _influence_parts(x: Floats, cut: Floats, churned: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats, Floats]:
    """Users below and above each cut, each with the smoothed share that churned."""
    there = ~np.isnan(x)
    every, gone = np.sort(x[there]), np.sort(x[there & churned])
    m = np.searchsorted(every, cut, side="right").astype(np.float64)
    e = np.searchsorted(gone, cut, side="right").astype(np.float64)
    above = every.size - m
    return m, (e + 0.5) / (m + 1), above, (gone.size - e + 0.5) / (above + 1)


def simultaneous_critical(correlations: Sequence[Floats], level: float, *, draws: int = _DRAWS, seed: int = 0) -> float:
    """Return c with P(all |Z| <= c) = level, for blocks of standard normals with these correlations.

    Blocks are independent of each other. The chance is simulated, with a stated seed: same input, same answer. The
    answer lies between the quantile for one interval and that of Bonferroni.

    Examples
    --------
    Independent intervals need nearly what Bonferroni says, equal ones no more than one alone:

    >>> round(simultaneous_critical([np.eye(2)], 0.95), 2), round(simultaneous_critical([np.ones((2, 2))], 0.95), 2)
    (2.24, 1.96)
    """
    total = sum(len(each) for each in correlations)
    alone = float(ndtri(0.5 + level / 2))
    if total <= 1:
        return alone
    rng = np.random.default_rng(seed)
    largest = np.zeros(draws)
    for correlation in correlations:
        values, vectors = np.linalg.eigh(correlation)
        root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        for start in range(0, draws, _BLOCK // 8):
            rows = slice(start, min(start + _BLOCK // 8, draws))
            z = np.abs(rng.standard_normal((rows.stop - rows.start, len(root))) @ root)
            largest[rows] = np.maximum(largest[rows], z.max(axis=1, initial=0.0))
    bonferroni = float(ndtri(1 - (1 - level) / (2 * total)))
    return float(np.clip(np.quantile(largest, level), alone, bonferroni))


def standardised_difference(
    n: tuple[int, int], mean: tuple[float, float], variance: tuple[float, float], *, level: float
) -> StandardisedDifference:
    """Return (mean_1 - mean_2) / sqrt((variance_1 + variance_2) / 2), Austin's (2009) standardised difference.

    Parameters
    ----------
    n, mean, variance : pairs
        Of the churned, and of the retained. Of a yes or no the mean is the share p and the variance p (1 - p).
    level : float
        Of the limits, which take the large-sample variance of Hedges and Olkin (1985):
        (n1 + n2) / (n1 n2) + d^2 / (2 (n1 + n2)).

    Examples
    --------
    >>> found = standardised_difference((100, 100), (0.6, 0.4), (0.24, 0.24), level=0.95)
    >>> round(found.estimate, 4), round(found.lower, 3), round(found.upper, 3)
    (0.4082, 0.128, 0.688)
    """
    spread = float(np.sqrt((variance[0] + variance[1]) / 2))
    gap = mean[0] - mean[1]
    if min(n) == 0 or not np.isfinite(spread + gap) or (spread == 0 and gap != 0):
        return StandardisedDifference(*[float("nan")] * 4)
    d = gap / spread if spread > 0 else 0.0
    error = float(np.sqrt(sum(n) / (n[0] * n[1]) + d * d / (2 * sum(n))))
    half = float(ndtri(0.5 + level / 2)) * error
    return StandardisedDifference(d, error, d - half, d + half)
