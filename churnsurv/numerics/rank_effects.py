"""How much more a campaign does to users ranked high: targeting curves and the areas under them.

Each of n users has a score, and an effect value Y_i whose mean, given what is known of the user, is the effect of the
contact. Ranked by falling score, the highest share q of users is targeted; users with equal scores share a place, so
that each counts with the same part w_i(q) in [0, 1] of the places left, and the order of rows says nothing. With

    gain(q)   = (1/n) sum w_i(q) Y_i      what targeting brings, per user of the population,
    effect(q) = gain(q) / q               the same, per user targeted,
    toc(q)    = effect(q) - effect(1)     what choosing by score adds, per user targeted,
    qini(q)   = gain(q) - q effect(1)     the same, per user of the population,

    autoc     = area under toc over q in (0, 1),   qini_area = area under qini

(TOC: targeting operator characteristic; Yadlowsky, Fleming, Shah, Brunskill and Wager 2025). Nothing is normalised. The
areas are means of Y_i times a weight, exactly: that of a block of equal scores between the shares a and b is

    the mean of -log r over r in (a, b), less 1, for autoc;     1/2 - (a + b)/2 for qini_area.

The ranks are estimates too. The infinitesimal jackknife of an area is its derivative in the weight of a row, also by
way of the places of all rows below it. That of the curve has the slope of gain at q, the effect on users at the limit,
taken over the shares q - h to q + h, h = n^(-1/3), between 0.02 and 0.25:

    psi_i(q) = w_i(q) Y_i - gain(q) - (w_i(q) - q) slope(q)     of gain.

Rows with the same w_i at all shares asked for are one cell: the covariance of all points comes from sums of powers of Y
by cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only

__all__ = [
    *("AreaEffects", "CurveEffects", "Ranking"),
    *("area_effects", "cells_between", "curve_effects", "explained", "ranking", "satterthwaite"),
]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

_WINDOW = (0.02, 0.25)  # least and largest half-width, as a share of users, over which the slope of gain is taken
_FEWEST_DF = 2.0
_CHUNK = 1 << 18  # numbers in a block of clusters by points


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Users by falling score; equal scores share a place.

    Attributes
    ----------
    block : (n,) int64
        Which block of equal scores a row belongs to; 0 has the highest score.
    places : (n_blocks + 1,) float64
        Share of users above each block, and 1 at the end.
    value : (n_blocks,) float64
        The score.
    """

    block: NDArray[np.int64]
    places: Floats
    value: Floats

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.block.shape[0])

    def targeted(self, share: float) -> Floats:
        """Return the part w_i with which each row is among the highest share, (n,)."""
        lower, upper = self.places[:-1], self.places[1:]
        return np.asarray(np.clip((share - lower) / (upper - lower), 0.0, 1.0)[self.block])


def ranking(score: NDArray[Any]) -> Ranking:
    """Rank rows by falling score.

    Parameters
    ----------
    score : (n,)
        Finite; n >= 1.

    Examples
    --------
    >>> found = ranking(np.array([0.2, 0.9, 0.2, 0.1]))
    >>> found.block.tolist(), found.places.tolist()
    ([1, 0, 1, 2], [0.0, 0.25, 0.75, 1.0])
    >>> found.targeted(0.5).tolist()
    [0.5, 1.0, 0.5, 0.0]
    """
    order = np.argsort(score)[::-1]
    ordered = score[order]
    first = np.ones(order.size, dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    block = np.empty(order.size, dtype=np.int64)
    block[order] = np.cumsum(first) - 1
    places = np.append(np.flatnonzero(first), order.size) / order.size
    value = np.asarray(ordered[first], dtype=np.float64)
    read_only(block, places, value)
    return Ranking(block, places, value)


@dataclass(frozen=True, slots=True, eq=False)
class AreaEffects:
    """Areas under toc and qini.

    Attributes
    ----------
    autoc, qini_area : float
    autoc_influence, qini_influence : (n,) float64
        Derivatives in the weight of each row, over n: sums of squares, or of squared sums by cluster, are variances.
    """

    autoc: float
    qini_area: float
    autoc_influence: Floats
    qini_influence: Floats


def area_effects(value: Floats, ranked: Ranking) -> AreaEffects:
    """Return both areas and their influence.

    Parameters
    ----------
    value : (n,) float64
        The effect value Y of each row.
    ranked : Ranking

    Examples
    --------
    Two users, the effect being all on the first: toc is 1/2 up to q = 1/2 and then falls as 1/(2 q) - 1/2.

    >>> found = area_effects(np.array([1.0, 0.0]), ranking(np.array([2.0, 1.0])))
    >>> round(found.autoc, 6), found.qini_area      # log(2) / 2
    (0.346574, 0.125)
    """
    n, lower, upper = ranked.n, ranked.places[:-1], ranked.places[1:]
    sums = np.bincount(ranked.block, value, minlength=lower.shape[0]) / n
    width, of_upper = upper - lower, np.log(upper)
    of_lower = np.log(lower, out=np.zeros_like(lower), where=lower > 0)
    height = 1 - (upper * of_upper - lower * of_lower) / width  # mean of -log r over the places of the block
    by_lower = (of_lower + height) / width  # its derivatives
    by_upper = -(of_upper + height) / width
    autoc, found = _area(value, ranked.block, sums, height - 1, (by_lower, by_upper), float(sums.sum()))
    middle = (lower + upper) / 2
    half = np.full(lower.shape[0], -0.5)
    # the derivatives in the places add up over a row of weight itself to -(a + b)/2
    qini, other = _area(value, ranked.block, sums, 0.5 - middle, (half, half), float(sums @ middle))
    return AreaEffects(autoc, qini, found, other)


def _area(
    value: Floats, block: NDArray[np.int64], sums: Floats, height: Floats, slopes: tuple[Floats, Floats], whole: float
) -> tuple[float, Floats]:
    """The area and its influence; `whole` is minus what adding all rows alike does by way of the places."""
    area = float(sums @ height)
    at_or_below = np.cumsum((sums * (slopes[0] + slopes[1]))[::-1])[::-1]
    moved = at_or_below - sums * slopes[0]  # the places above a row's own block do not move with it
    influence = (value * height[block] - area + moved[block] + whole) / block.shape[0]
    read_only(influence)
    return area, influence


@dataclass(frozen=True, slots=True, eq=False)
class CurveEffects:
    """The curve at some shares.

    Attributes
    ----------
    share : (n_shares,) float64
    effect, toc : (n_shares,) float64
        Of those targeted; gain and qini are share times these.
    effect_covariance, toc_covariance : (n_shares, n_shares) float64
    effect_df, toc_df : (n_shares,) float64
        Degrees of freedom of each standard error, from the fourth moments of the influence (Satterthwaite); inf where
        it is no estimate.
    """

    share: Floats
    effect: Floats
    toc: Floats
    effect_covariance: Floats
    toc_covariance: Floats
    effect_df: Floats
    toc_df: Floats


def curve_effects(
    value: Floats,
    ranked: Ranking,
    share: Floats,
    *,
    cluster: Codes | None = None,
    n_clusters: int = 0,
    terms: Floats | None = None,
    part: float = 1.0,
) -> CurveEffects:
    """Return the curve at the shares asked for, with the covariance of its points.

    Parameters
    ----------
    value : (n,) float64
        The effect value Y of each row.
    ranked : Ranking
    share : (n_shares,) float64
        Ascending, in (0, 1].
    cluster : (n,) integer, optional
        0 ... n_clusters - 1: rows that may depend on each other.
    n_clusters : int
    terms : (n, p) float64, optional
        Functions of follow-up (`churnsurv.numerics.targeting.follow_up_terms`), taken out of the covariances.
    part : float
        Share of these rows among all that follow-up was estimated from.

    Examples
    --------
    >>> ranked = ranking(np.array([4.0, 3, 2, 1]))
    >>> found = curve_effects(np.array([3.0, 1.0, 0.0, 0.0]), ranked, np.array([0.25, 0.5, 1]))
    >>> found.effect.tolist(), found.toc.tolist()
    ([3.0, 2.0, 1.0], [2.0, 1.0, 0.0])
    """
    mean = float(value.mean())
    centred = value - mean
    cell_of_block, V = cells_between(ranked.places, share)
    cell = cell_of_block[ranked.block]
    above = V @ np.bincount(cell, centred, minlength=V.shape[1]) / ranked.n
    slope = _slope(centred, ranked, share)
    # of each row, psi n of the effect is A Y + B by cell; that of toc has Y taken off
    A = V / share[:, None]
    B = -(above / share)[:, None] - (A - 1) * slope[:, None]
    spread = _spread(centred, cell, A, B, cluster, n_clusters)
    if terms is not None and terms.any():
        taken = _taken_out(centred, cell, A, B, terms, cluster, n_clusters)
        spread = (spread[0] - part * taken[0], spread[1] - part * taken[1], *spread[2:])
    toc = above / share
    effect = toc + mean
    read_only(effect, toc, *spread)
    return CurveEffects(share, effect, toc, *spread)


def cells_between(places: Floats, at: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return which cell each block belongs to, (n_blocks,), and the part of each cell that is taken, (n_at, n_cells).

    Block b lies from places[b] to places[b + 1]; blocks that are taken with the same part at all of `at` are one cell.

    Examples
    --------
    >>> cell, taken = cells_between(np.array([0.0, 0.25, 0.75, 1.0]), np.array([0.5, 1.0]))
    >>> taken[:, cell].tolist()
    [[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]]
    """
    lower, upper = places[:-1], places[1:]
    first = np.searchsorted(at, lower, side="right")  # the first that takes any of the block
    whole = np.searchsorted(at, upper, side="left")  # the first that takes all of it
    J = at.shape[0]
    cell = whole.astype(np.int64)
    cut = np.flatnonzero(first < whole)
    cell[cut] = J + 1 + np.arange(cut.size)
    taken = np.zeros((J, J + 1 + cut.size))
    taken[:, : J + 1] = np.arange(J)[:, None] >= np.arange(J + 1)
    taken[:, J + 1 :] = np.clip((at[:, None] - lower[cut]) / (upper[cut] - lower[cut]), 0.0, 1.0)
    return cell, taken


def _slope(centred: Floats, ranked: Ranking, share: Floats) -> Floats:
    """The slope of gain over a window around each share, (n_shares,): the effect on users at the limit."""
    n = ranked.n
    half = min(max(n ** (-1 / 3), _WINDOW[0]), _WINDOW[1])
    curve = np.append(0.0, np.cumsum(np.bincount(ranked.block, centred, minlength=ranked.value.shape[0]))) / n
    lowest, highest = np.maximum(share - half, 0.0), np.minimum(share + half, 1.0)
    rise = np.interp(highest, ranked.places, curve) - np.interp(lowest, ranked.places, curve)
    return np.asarray(rise / (highest - lowest))


def _spread(
    centred: Floats, cell: NDArray[np.int64], A: Floats, B: Floats, cluster: Codes | None, n_clusters: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Covariances and degrees of freedom of effect and of toc."""
    n, alone = centred.shape[0], None
    sums = [np.zeros((A.shape[0], A.shape[0])), np.zeros((A.shape[0], A.shape[0])), *np.zeros((2, A.shape[0]))]
    if cluster is not None:
        size = np.bincount(cluster, minlength=n_clusters)
        alone = size[cluster] == 1
        _add_clusters(sums, centred, cell, A, B, np.where(alone, -1, cluster))
    moments = _moments(centred, cell, A.shape[1], alone)
    for measure, (alpha, beta) in enumerate(((A, B), (A - 1, B))):
        squares, fourths = _by_cell(alpha, beta, moments)
        sums[measure] += squares
        sums[2 + measure] += fourths
    covariance = [each / n**2 for each in sums[:2]]
    return (covariance[0], covariance[1], *(satterthwaite(np.diag(sums[m]), sums[2 + m], n) for m in (0, 1)))


def explained(P: Floats, Q: Floats, together: Floats, of_terms: Floats) -> Floats:
    """Return what terms of mean 0 that estimates are fitted to take out of the covariance of sums, (m, m).

    Parameters
    ----------
    P : (m, p) float64
        Sums of products of influences and terms over rows.
    Q : (p, p) float64
        Those of the terms themselves.
    together, of_terms : (m, p), (p, p) float64
        The same over clusters of rows; P and Q where rows are independent.

    Examples
    --------
    >>> P, Q = np.array([[1.0]]), np.array([[2.0]])
    >>> explained(P, Q, P, Q).tolist()
    [[0.5]]
    """
    slopes = P @ np.linalg.pinv(Q, rcond=1e-10, hermitian=True)
    both = slopes @ together.T
    return np.asarray(both + both.T - slopes @ of_terms @ slopes.T)


def _taken_out(
    centred: Floats,
    cell: NDArray[np.int64],
    A: Floats,
    B: Floats,
    terms: Floats,
    cluster: Codes | None,
    n_clusters: int,
) -> tuple[Floats, Floats]:
    """What follow-up explains of the covariances of effect and of toc."""
    n, n_cells = centred.shape[0], A.shape[1]

    def sums(z: NDArray[Any]) -> tuple[Floats, Floats]:
        of_y = np.array([np.bincount(cell, centred * each, minlength=n_cells) for each in z.T])
        alone = np.array([np.bincount(cell, each, minlength=n_cells) for each in z.T])
        return A @ of_y.T + B @ alone.T, (A - 1) @ of_y.T + B @ alone.T

    P, Q = sums(terms), terms.T @ terms
    together, of_terms = P, Q
    if cluster is not None:
        by_cluster = np.column_stack([np.bincount(cluster, each, minlength=n_clusters) for each in terms.T])
        together, of_terms = sums(by_cluster[cluster]), np.asarray(by_cluster.T @ by_cluster)
    first, second = (explained(p, Q, t, of_terms) / n**2 for p, t in zip(P, together, strict=True))
    return first, second


def _moments(centred: Floats, cell: NDArray[np.int64], n_cells: int, rows: NDArray[np.bool_] | None) -> Floats:
    """Sums of powers 0 ... 4 of the values by cell, (5, n_cells)."""
    if rows is not None:
        centred, cell = centred[rows], cell[rows]
    square = centred * centred
    powers = (None, centred, square, square * centred, square * square)
    return np.array([np.bincount(cell, power, minlength=n_cells) for power in powers], dtype=np.float64)


def _by_cell(alpha: Floats, beta: Floats, moments: Floats) -> tuple[Floats, Floats]:
    """Sums over rows of (alpha Y + beta) times itself, and of its fourth power."""
    m0, m1, m2, m3, m4 = moments
    mixed = (alpha * m1) @ beta.T
    squares = (alpha * m2) @ alpha.T + mixed + mixed.T + (beta * m0) @ beta.T
    a2, b2 = alpha * alpha, beta * beta
    fourths = (a2 * a2) @ m4 + 4 * (a2 * alpha * beta) @ m3 + 6 * (a2 * b2) @ m2
    fourths += 4 * (alpha * beta * b2) @ m1 + (b2 * b2) @ m0
    return squares, fourths


def _add_clusters(
    sums: list[Floats], centred: Floats, cell: NDArray[np.int64], A: Floats, B: Floats, cluster: NDArray[Any]
) -> None:
    """Add the squares and fourth powers of clusters of several rows; rows of cluster -1 are left out."""
    order = np.argsort(cluster, kind="stable")
    order = order[np.searchsorted(cluster[order], 0) :]
    if order.size == 0:
        return
    start = np.flatnonzero(np.append(True, np.diff(cluster[order]) != 0))
    per = max(_CHUNK // A.shape[0], 1)
    cuts = np.unique(np.append(np.searchsorted(start, np.arange(0, order.size, per)), start.size))
    A_rows, B_rows = np.ascontiguousarray(A.T), np.ascontiguousarray(B.T)
    ends = np.append(start, order.size)
    for low, high in pairwise(cuts):
        rows = order[ends[low] : ends[high]]
        y, k = centred[rows], cell[rows]
        psi = np.add.reduceat(A_rows[k] * y[:, None] + B_rows[k], start[low:high] - start[low], axis=0)
        for measure in (0, 1):
            if measure:
                psi = psi - np.add.reduceat(y, start[low:high] - start[low])[:, None]
            sums[measure] += psi.T @ psi
            sums[2 + measure] += np.square(np.square(psi)).sum(axis=0)


def satterthwaite(squares: Floats, fourths: Floats, n: int) -> Floats:
    """Degrees of freedom of variances that are sums of squares: 2 V^2 over the variance of V's estimate.

    Parameters
    ----------
    squares, fourths : (p,) float64
        Sums of squares and of fourth powers of n independent influences.
    n : int

    Examples
    --------
    A hundred of a thousand influences are 1 or -1, the others 0: 2 * 100^2 / (100 - 100^2 / 1000).

    >>> satterthwaite(np.array([100.0]), np.array([100.0]), 1000).round(1).tolist()
    [222.2]
    """
    excess = fourths - squares**2 / n
    df = np.divide(2 * squares**2, excess, out=np.full(squares.shape[0], np.inf), where=excess > 0)
    return np.asarray(np.maximum(df, _FEWEST_DF))
