"""The log-rank test at every cut of a variable, and the largest of them.

A cut c sets the users with x > c against the others. With d_t churns among n_t at risk on day t, of which n1_t have
x <= c, the score and its hypergeometric variance are (Mantel 1966)

    U(c) = sum over users with x <= c of m_i,    m_i = churned_i - sum of d_t / n_t over days t in (entry_i, T_i],
    V(c) = sum over days of w_t n1_t (n_t - n1_t),    w_t = d_t (n_t - d_t) / (n_t^2 (n_t - 1)),

and z = -U / sqrt(V): above 0 where users above the cut churn sooner. So U is a running sum over users in the order of
x. When user i joins those below, V changes by

    sum over days at risk of w_t (n_t - 2 n1_t - 1),

which needs the sum of w_t n1_t over the days of i: how much of those days, weighted by w, the users before it in that
order share with it. Users are taken in blocks: at the beginning of a block n1_t is counted, day by day, and V is
computed anew, so that rounding errors do not add up; within a block all pairs are compared,

    shared(i, j) = min(W(T_i), W(T_j)) - min(W(T_i), W(e_j)) - min(W(e_i), W(T_j)) + min(W(e_i), W(e_j)),

with W the running sum of w. Besides the sort this is O(n sqrt(days)) with a small constant. Where there are few cuts,
n1_t of every cut is a small table and the sums are taken from it. Both equal a log-rank test at each cut.

`standardise="permutation"` divides by the variance that U(c) has over all permutations of the scores m_i,

    V(c) = k (n - k) / (n^2 (n - 1)) (n sum of m_i^2 - (sum of m_i)^2),    k users below,

as maximally selected rank statistics do (Lausen and Schumacher 1992). It assumes more: that neither censoring nor
entry has to do with the variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only, time_index
from churnsurv.numerics.logrank_counts import GroupRows, count_groups

__all__ = ["CutRows", "CutScan", "CutSteps", "Standardise", "below_at_risk", "cut_rows", "cut_steps", "scan_cuts"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
Standardise: TypeAlias = Literal["log-rank", "permutation"]

_TABLE = 4_000_000  # cells of (cut, day) up to which n1_t of every cut is written down
_CHUNK = 200_000  # cells of (block, day) worked on at a time: they stay in the caches
_BLOCK = (64, 2048)  # users of a block, at least and at most
_STEPS = 60  # cuts between which the correlation of the deviates is computed


@dataclass(frozen=True, slots=True, eq=False)
class CutRows:
    """Users and their outcome, whatever variable is cut; only those ever at risk.

    Attributes
    ----------
    end : (n,) intp
        How many of the days with churn are on or before the last day of each user.
    start : (n,) intp, or None
        How many are on or before the day of entry. None: nobody enters late.
    event : (n,) bool
    frequency : (n,) float64, or None
        A row stands for so many users.
    score : (n,) float64
        m_i: churned, less expected so far.
    at_risk, churned : (n_days,) float64
        By day with churn.
    n_users : float
    """

    end: Ints
    start: Ints | None
    event: NDArray[np.bool_]
    frequency: Floats | None
    score: Floats
    at_risk: Floats
    churned: Floats
    n_users: float

    @property
    def day_weight(self) -> Floats:
        """w_t of each day with churn: 0 where all or one of those at risk churn."""
        n, d = self.at_risk, self.churned
        return np.divide(d * (n - d), np.square(n) * (n - 1), out=np.zeros_like(n), where=n > 1)

    def variance_of_score(self) -> float:
        """Variance of the scores over users, times n / (n - 1)."""
        f = 1.0 if self.frequency is None else self.frequency
        total, squares = float(np.sum(f * self.score)), float(np.sum(f * np.square(self.score)))
        return (squares - total**2 / self.n_users) / (self.n_users - 1)


@dataclass(frozen=True, slots=True, eq=False)
class CutScan:
    """The test at every cut, (n_cuts,) each; cuts rise.

    Attributes
    ----------
    cut : float64
        Values of the variable: users at or below it against those above.
    n_below : float64
        Users at or below.
    score : float64
        Churns of those above, observed less expected: -U.
    variance : float64
    statistic : float64
        z = score / sqrt(variance); NaN where the two sides are never at risk together on a day of churn.
    """

    cut: Floats
    n_below: Floats
    score: Floats
    variance: Floats
    statistic: Floats

    @property
    def best(self) -> int | None:
        """Position of the largest |z|, the first of equals; None where there is none."""
        size = np.abs(self.statistic)
        return None if size.size == 0 or np.isnan(size).all() else int(np.nanargmax(size))


@dataclass(frozen=True, slots=True, eq=False)
class CutSteps:
    """What the price of the search hangs on: correlations from cut to cut, for `search_tail`.

    Attributes
    ----------
    correlation, between : (n_steps,) float64
        Of neighbouring deviates of a selection of cuts, and how many steps of the search each step stands for.
    skewness : (n_cuts,) float64
        Of the deviate at each cut of the scan, for `without_skewness`; between the cuts of the selection interpolated.
        0 with the variance over permutations, whose deviates hardly are, and for a single cut.
    """

    correlation: Floats
    between: Floats
    skewness: Floats


def cut_rows(
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    *,
    entry: NDArray[Any] | None = None,
    frequency: Floats | None = None,
) -> CutRows:
    """Place users among the days with churn, and score them.

    Parameters
    ----------
    duration : (n,) integer or float
    churned : (n,) bool
    entry : (n,) integer or float, optional
        At risk in (entry, duration]; all must be at risk: entry < duration.
    frequency : (n,) float64, optional
        Whole numbers.

    Raises
    ------
    InputError
        If nobody churned.

    Examples
    --------
    >>> rows = cut_rows(np.array([1, 2, 2, 4]), np.array([True, True, False, False]))
    >>> rows.at_risk.tolist(), rows.score.round(4).tolist()
    ([4.0, 3.0], [0.75, 0.4167, -0.5833, -0.5833])
    """
    everybody = GroupRows(duration, churned, np.zeros(duration.shape[0], dtype=np.int8), 1, entry, weights=frequency)
    sets = count_groups(everybody).sets
    if sets.time.size == 0:
        raise InputError("nobody churned while at risk: there is nothing to compare. Check the event column.")
    n, d = sets.at_risk[:, 0], sets.churned[:, 0]
    expected = np.append(0.0, np.cumsum(d / n))
    end = time_index(sets.time, duration, side="right")
    score = churned - expected[end]
    start = None
    if entry is not None:
        start = time_index(sets.time, entry, side="right")
        score += expected[start]
    n_users = float(duration.shape[0] if frequency is None else frequency.sum())
    return CutRows(end, start, churned, frequency, score, n, d, n_users)


def scan_cuts(
    rows: CutRows, values: Floats, *, min_share: float = 0.0, standardise: Standardise = "log-rank"
) -> CutScan:
    """Test every cut of a variable.

    Parameters
    ----------
    rows : CutRows
    values : (n,) float64
        No missing ones.
    min_share : float
        Cuts have at least this share of users on either side, and one user at least.
    standardise : {"log-rank", "permutation"}

    Examples
    --------
    >>> rows = cut_rows(np.array([1, 2, 3, 4]), np.array([True, True, True, False]))
    >>> found = scan_cuts(rows, np.array([1.0, 2.0, 3.0, 4.0]))
    >>> found.cut.tolist(), found.statistic.round(4).tolist(), found.best
    ([1.0, 2.0, 3.0], [-1.7321, -1.6977, -1.3338], 0)
    """
    order = np.argsort(values)
    ordered = values[order]
    f = None if rows.frequency is None else rows.frequency[order]
    last = _last_below(ordered, f, rows.n_users, min_share)
    n_below = np.asarray(last + 1.0 if f is None else np.cumsum(f)[last], dtype=np.float64)
    scores = rows.score[order] if f is None else rows.score[order] * f
    score = -np.cumsum(scores)[last]
    variance = np.empty(0)
    if last.size and standardise == "permutation":
        variance = n_below * (rows.n_users - n_below) / rows.n_users * rows.variance_of_score()
    elif last.size:
        sorted_rows = _Sorted(rows, order, f)
        few = (last.size + 1) * rows.at_risk.size <= _TABLE
        variance = sorted_rows.at_cuts(last) if few else sorted_rows.at_rows(last)
    scale = float(np.max(rows.day_weight * np.square(rows.at_risk), initial=0.0))
    z = np.full(last.shape, np.nan)
    there = variance > 1e-12 * scale
    z[there] = score[there] / np.sqrt(variance[there])
    found = CutScan(ordered[last], n_below, score, variance, z)
    read_only(found.cut, found.n_below, found.score, found.variance, found.statistic)
    return found


def cut_steps(rows: CutRows, values: Floats, scan: CutScan, *, standardise: Standardise = "log-rank") -> CutSteps:
    """Return the correlations of the deviates from cut to cut, of a selection of the cuts where there are many.

    With the hypergeometric variance they are those of the risk sets, Cov(U(a), U(b)) = sum w_t n1_t(a) (n_t - n1_t(b))
    for a < b, and the third cumulant of U(c) is the sum of those of hypergeometric numbers of churns below,

        d n1 (n - n1) (n - 2 n1) (n - d) (n - 2 d) / (n^3 (n - 1) (n - 2)).

    With the variance over permutations the correlations follow from the shares of users below.

    Examples
    --------
    >>> rows = cut_rows(np.array([1, 2, 3, 4]), np.array([True, True, True, False]))
    >>> x = np.array([1.0, 2.0, 3.0, 4.0])
    >>> cut_steps(rows, x, scan_cuts(rows, x), standardise="permutation").correlation.round(4).tolist()
    [0.5774, 0.5774]
    """
    tested = np.flatnonzero(~np.isnan(scan.statistic))
    odds = scan.n_below[tested] / (rows.n_users - scan.n_below[tested])
    at = tested
    if tested.size > _STEPS:
        wanted = np.linspace(np.log(odds[0]), np.log(odds[-1]), _STEPS)
        at = tested[np.unique(np.searchsorted(np.log(odds), wanted).clip(0, tested.size - 1))]
    between = np.diff(np.searchsorted(tested, at)).astype(np.float64)
    if standardise == "permutation":
        odds = scan.n_below[at] / (rows.n_users - scan.n_below[at])
        return CutSteps(np.sqrt(odds[:-1] / odds[1:]), between, np.zeros(scan.cut.size))
    interval = np.searchsorted(scan.cut[at], values, side="left")
    below = below_at_risk(rows.end, rows.start, rows.frequency, rows.at_risk.size, interval, at.size)
    above = rows.at_risk - below
    shared = np.sum(rows.day_weight * below[:-1] * above[1:], axis=1)
    variance = np.sum(rows.day_weight * below * above, axis=1)
    correlation = shared / np.sqrt(variance[:-1] * variance[1:])
    skewness = np.zeros(scan.cut.size)
    if at.size > 1:
        third = _third_cumulant(rows, below) / variance**1.5
        skewness = np.interp(scan.n_below, scan.n_below[at], -third)
    return CutSteps(correlation, between, skewness)


def _third_cumulant(rows: CutRows, below: Floats) -> Floats:
    """Of the number of churns below each cut, (n_cuts,)."""
    n, d = rows.at_risk, rows.churned
    crowd = np.maximum(n, 3.0)  # of one or two at risk all third cumulants are 0
    factor = np.where(n > 2, d * (n - d) * (n - 2 * d) / (crowd**3 * (crowd - 1) * (crowd - 2)), 0.0)
    return np.asarray((below * (n - below) * (n - 2 * below)) @ factor)


def _last_below(ordered: Floats, f: Floats | None, n_users: float, min_share: float) -> Ints:
    """Positions after which there is a cut: the last user of each value, with enough users on either side."""
    last = np.flatnonzero(ordered[1:] != ordered[:-1])
    below = last + 1.0 if f is None else np.cumsum(f)[last]
    least = max(1.0, min_share * n_users * (1 - 1e-12))
    return np.asarray(last[(below >= least) & (n_users - below >= least)])


def below_at_risk(
    end: Ints, start: Ints | None, weights: Floats | None, n_days: int, interval: NDArray[np.integer[Any]], n_cuts: int
) -> Floats:
    """Sum the weights of the rows at risk by cut and day: n1_t, (n_cuts, n_days).

    Parameters
    ----------
    end, start : (n,) intp
        Days with churn on or before the last day, and on or before the day of entry.
    weights : (n,) float64, or None
    n_days, n_cuts : int
    interval : (n,) integer
        How many cuts lie below each row: 0 ... n_cuts.

    Examples
    --------
    >>> below_at_risk(np.array([1, 2, 2]), None, None, 2, np.array([0, 1, 0]), 1).tolist()
    [[2.0, 1.0]]
    """
    width = n_days + 1
    cell = interval.astype(np.int64) * width
    net = np.bincount(cell + end, weights, (n_cuts + 1) * width).astype(np.float64)
    if start is not None:
        net -= np.bincount(cell + start, weights, (n_cuts + 1) * width)
    by_cut = np.cumsum(net.reshape(n_cuts + 1, width)[:-1], axis=0)
    # at risk on a day are those who end after it or on it, less those who start there: the running sum from the end
    return np.asarray(np.cumsum(by_cut[:, :0:-1], axis=1)[:, ::-1])


class _Sorted:
    """Users in the order of the variable, and the variance at cuts between them."""

    def __init__(self, rows: CutRows, order: Ints, frequency: Floats | None) -> None:
        self.rows, self.order, self.f = rows, order, frequency
        self.end = rows.end[order]
        self.start = None if rows.start is None else rows.start[order]
        self.w = rows.day_weight
        self.days = rows.at_risk.size

    def at_cuts(self, last: Ints) -> Floats:
        """V after each of a few positions, from n1_t of every cut."""
        interval = np.zeros(self.end.size, dtype=np.int64)
        interval[last + 1] = 1
        below = below_at_risk(self.end, self.start, self.f, self.days, np.cumsum(interval), last.size)
        return np.asarray((below * (self.rows.at_risk - below)) @ self.w)

    def at_rows(self, last: Ints) -> Floats:
        """V after any positions, block by block."""
        n = self.end.size
        size = int(np.clip(2 ** round(np.log2(np.sqrt(16.0 * self.days))), *_BLOCK))
        variance = np.empty(n)
        upto = int(last[-1]) + 1
        below = np.zeros(self.days)
        for rows in _chunks(upto, size, max(1, _CHUNK // (self.days + 1))):
            variance[rows], below = self._of_blocks(rows, size, below)
        return variance[last]

    def _of_blocks(self, rows: slice, size: int, below: Floats) -> tuple[Floats, Floats]:
        """V after each user of some blocks; with n1_t before them, and after."""
        end = self.end[rows]
        start = None if self.start is None else self.start[rows]
        f = None if self.f is None else self.f[rows]
        n, blocks = end.size, -(-end.size // size)
        before, after = self._counted(end, start, f, size, blocks, below)
        weighted = before * self.w
        at_start = np.einsum("bt,bt->b", weighted, self.rows.at_risk - before)
        shared = np.zeros((blocks, self.days + 1))
        np.cumsum(weighted, axis=1, out=shared[:, 1:])
        flat, place = shared.ravel(), np.arange(n) // size * (self.days + 1)
        earlier = flat[place + end]
        total, crowd = _running(self.w), _running(self.w * self.rows.at_risk)
        own, wide = total[end], crowd[end]
        if start is not None:
            earlier -= flat[place + start]
            own, wide = own - total[start], wide - crowd[start]
        earlier += _within(total[end], None if start is None else total[start], f, size, blocks)
        change = wide - 2 * earlier - (own if f is None else f * own)
        if f is not None:
            change *= f
        padded = np.zeros(blocks * size)
        padded[:n] = change
        values = np.cumsum(padded.reshape(blocks, size), axis=1) + at_start[:, None]
        return values.ravel()[:n], after

    def _counted(
        self, end: Ints, start: Ints | None, f: Floats | None, size: int, blocks: int, below: Floats
    ) -> tuple[Floats, Floats]:
        """n1_t at the beginning of each block, (n_blocks, n_days), and after the last one."""
        width = self.days + 1
        cell = np.arange(end.size) // size * width
        net = np.bincount(cell + end, f, blocks * width).astype(np.float64)
        if start is not None:
            net -= np.bincount(cell + start, f, blocks * width)
        joined = np.cumsum(net.reshape(blocks, width)[:, :0:-1], axis=1)[:, ::-1]
        upto = np.cumsum(joined, axis=0)
        upto += below
        before = np.empty_like(upto)
        before[0], before[1:] = below, upto[:-1]
        return before, upto[-1]


def _chunks(n: int, size: int, blocks: int) -> Iterator[slice]:
    for first in range(0, n, size * blocks):
        yield slice(first, min(first + size * blocks, n))


def _running(values: Floats) -> Floats:
    return np.append(0.0, np.cumsum(values))


def _within(end: Floats, start: Floats | None, f: Floats | None, size: int, blocks: int) -> Floats:
    """For each user, what it shares with those before it in its block, times their frequency."""

    def turned(values: Floats) -> Floats:
        padded = np.zeros(blocks * size)
        padded[: values.size] = values
        return np.ascontiguousarray(padded.reshape(blocks, size).T)

    a, times = turned(end), None if f is None else turned(f)
    s = None if start is None else turned(start)
    found = np.zeros(a.shape)
    room = np.empty(a.shape)
    for k in range(1, size):
        pairs = np.minimum(a[:k], a[k], out=room[:k])
        if s is not None:
            pairs += np.minimum(s[:k], s[k])
            pairs -= np.minimum(s[:k], a[k])
            pairs -= np.minimum(a[:k], s[k])
        if times is not None:
            pairs *= times[:k]
        np.add.reduce(pairs, axis=0, out=found[k])
    return found.T.ravel()[: end.size]
