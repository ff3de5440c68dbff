"""Two variances of cumulative incidence: the infinitesimal jackknife, and the delta method.

The influence of row i on F_k(t), its derivative in the weight of the row, is with p = S(s-)/Y and q = 1/(Y - d)

    U_i(t) = sum over s <= t of  p (dN_ik - Y_i d_k/Y) - (F_k(t) - F_k(s)) q (dN_i - Y_i d/Y),

Y_i and dN_i those of the row, and the jackknife variance the sum of squares of U over rows, or over clusters of rows
summed (survfit of R's survival package). The delta-method variance (Gray 1988; cuminc of R's cmprsk) is that of the
martingales behind it,

    sum [1 - (F_k(t) - F_k(s)) / S(s)]^2 p^2 d_k c_k + [(F_k(t) - F_k(s)) / S(s)]^2 p^2 (d - d_k) c,

c = 1 - (d - 1)/(Y - 1) of the events of either kind, for ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.competing import AalenJohansen, CauseCounts, CauseRows
from churnsurv.numerics.day_counts import time_index
from churnsurv.numerics.risk_sets import running_sums

__all__ = ["delta_variance", "jackknife_variance"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_SMALL_GRID = 1 << 20


def delta_variance(counts: CauseCounts, curves: AalenJohansen, events: Floats | None = None) -> Floats:
    """Return the delta-method variance of each curve, shape (n, n_times); rows independent, weights frequencies.

    The same as ``cuminc`` of R's cmprsk, at every time.
    """
    mine = counts.events if events is None else events
    Y, d, S = counts.at_risk, counts.events.sum(axis=0), curves.survival
    inverse = np.divide(1.0, S, out=np.zeros_like(S), where=S > 0)
    # any constant may be taken off F: with its last value nothing cancels where S is small
    F = curves.incidence - curves.incidence[:, -1:]
    p_squared = (curves.before / Y) ** 2
    own, others = p_squared * mine * _tied(mine, Y), p_squared * (d - mine) * _tied(d - mine, Y)
    others = np.where(S > 0, others, 0.0)
    a = 1.0 + F * inverse
    v1 = np.cumsum(a**2 * own + (F * inverse) ** 2 * others, axis=1)
    v2 = np.cumsum((a * own + F * inverse * others) * inverse, axis=1)
    v3 = np.cumsum((own + others) * inverse**2, axis=1)
    return np.asarray(np.maximum(v1 - 2 * F * v2 + F**2 * v3, 0.0))


def _tied(d: Floats, Y: Floats) -> Floats:
    return np.asarray(1.0 - np.divide(np.maximum(d - 1.0, 0.0), Y - 1.0, out=np.zeros_like(d), where=Y > 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """How the influences of rows move: at each time all at risk by the same drift, those with an event by a jump too.

    Attributes
    ----------
    drift : (n_times,) float64
        Taken off the influence of a row at risk, at each time.
    jump : (1 + n_causes, n_times) float64
        Added to that of a row that ends at the time with an outcome.
    """

    drift: Floats
    jump: Floats


def _moves(counts: CauseCounts, *, jump: Floats, drift: Floats) -> _Moves:
    """Put together the moves of one integral: `jump` by cause, (n_causes, n_times), and its `drift`; censored: none."""
    return _Moves(drift, np.concatenate([np.zeros((1, counts.time.shape[0])), jump]))


def jackknife_variance(counts: CauseCounts, curves: AalenJohansen, rows: CauseRows, shares: Floats) -> Floats:
    """Return the infinitesimal-jackknife variance of weighted sums of incidences, shape (n, n_times).

    Parameters
    ----------
    counts : CauseCounts
        Of the rows.
    curves : AalenJohansen
        Whose `incidence` has the n curves.
    rows : CauseRows
        Of this group; looked at only with entries or clusters.
    shares : (n, n_causes, n_times) float64, or such that it broadcasts
        Share of the events of each cause that counts in each curve: 0 and 1, or the chances of a reason.

    Notes
    -----
    U = P - F(t) Q with P and Q the integrals over s <= t: three sums of squares, each followed through time as all
    rows move together but those that enter or end. O(n), with clusters O(n log n); no matrix of rows by times.

    Examples
    --------
    One cause without censoring: the variance is that of a share, F (1 - F) / n.

    >>> from churnsurv.numerics.competing import aalen_johansen, cause_counts
    >>> rows = CauseRows(np.array([1, 2, 3, 4]), np.array([1, 1, 1, 1]))
    >>> counts = cause_counts(rows, n_causes=1)[0]
    >>> jackknife_variance(counts, aalen_johansen(counts), rows, np.ones((1, 1, 1))).round(10).tolist()
    [[0.046875, 0.0625, 0.046875, 0.0]]
    """
    Y, left, d = counts.at_risk, counts.left, counts.events.sum(axis=0)
    q = np.divide(1.0, left, out=np.zeros_like(Y), where=left > 0)
    p = curves.before / Y
    Q = _moves(counts, jump=np.broadcast_to(q, counts.events.shape), drift=q * d / Y)
    F = curves.incidence - curves.incidence[:, -1:]
    # before the first event of a cause nothing varies, whatever rounding says
    nothing = curves.incidence <= 0
    out = np.empty(curves.incidence.shape)
    n_curves, (n_causes, n_times) = len(F), (len(counts.events), len(Y))
    every = np.broadcast_to(shares, (n_curves, n_causes, n_times))
    for k in range(n_curves):
        own: Floats = every[k]
        jump, mine = p * own + F[k] * q, (counts.events * own).sum(axis=0)
        P = _moves(counts, jump=jump, drift=(p * mine + F[k] * q * d) / Y)
        pp, pq, qq = _sums_of_squares(counts, rows, P, Q)
        out[k] = np.maximum(pp - 2 * F[k] * pq + F[k] ** 2 * qq, 0.0)
    out[nothing] = 0.0
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """What happens to units (rows, or clusters of rows) at entries and ends, beside the drift of all.

    `mass` counts equal units; m is the weight at risk of the unit, P and Q its influences, before and after.
    """

    at: Ints
    mass: Floats
    m: tuple[Floats, Floats]
    P: tuple[Floats, Floats]
    Q: tuple[Floats, Floats]
    m_squared: float


def _sums_of_squares(counts: CauseCounts, rows: CauseRows, P: _Moves, Q: _Moves) -> tuple[Floats, Floats, Floats]:
    """Return the sums of P^2, PQ and Q^2 over rows, or over clusters, at each time; shape (n_times,) each."""
    changes = _by_pattern(counts, rows, P, Q) if rows.cluster is None else _by_cluster(counts, rows, P, Q)
    n_times = counts.time.shape[0]

    def by_time(after: Floats, before: Floats) -> Floats:
        return np.bincount(changes.at, changes.mass * (after - before), n_times).astype(np.float64, copy=False)

    (m0, m1), (P0, P1), (Q0, Q1) = changes.m, changes.P, changes.Q
    mm = changes.m_squared + _before(np.cumsum(by_time(m1**2, m0**2)))
    mP = _before(np.cumsum(by_time(m1 * P1, m0 * P0) - P.drift * mm))
    mQ = _before(np.cumsum(by_time(m1 * Q1, m0 * Q0) - Q.drift * mm))
    pp = by_time(P1**2, P0**2) - 2 * P.drift * mP + P.drift**2 * mm
    pq = by_time(P1 * Q1, P0 * Q0) - P.drift * mQ - Q.drift * mP + P.drift * Q.drift * mm
    qq = by_time(Q1**2, Q0**2) - 2 * Q.drift * mQ + Q.drift**2 * mm
    return np.cumsum(pp), np.cumsum(pq), np.cumsum(qq)


def _by_pattern(counts: CauseCounts, rows: CauseRows, P: _Moves, Q: _Moves) -> _Changes:
    """Each row for itself: rows with the same entry, end and outcome move alike, and are counted."""
    start, end, outcome, mass = _patterns(counts, rows)
    late = start >= 0
    none = np.zeros(int(late.sum()))

    def moved(of: _Moves) -> tuple[Floats, Floats]:
        total = np.concatenate([np.cumsum(of.drift), [0.0]])  # the last one, at -1: before everything
        before = total[start] - total[end]
        return np.concatenate([none, before]), np.concatenate([none, before + of.jump[outcome, end]])

    m = (np.concatenate([none, np.ones(end.size)]), np.concatenate([none + 1.0, np.zeros(end.size)]))
    at, masses = np.concatenate([start[late], end]), np.concatenate([mass[late], mass])
    return _Changes(at, masses, m, moved(P), moved(Q), float(mass[~late].sum()))


def _patterns(counts: CauseCounts, rows: CauseRows) -> tuple[Ints, Ints, Ints, Floats]:
    """Last time before entry (-1: before all), time of the end, outcome, and the mass of the rows with them."""
    width, n_times = counts.mass.shape
    if rows.entry is None:
        outcome, end = np.nonzero(counts.mass)
        return np.full(end.size, -1), end, outcome, counts.mass[outcome, end]
    rows = rows.ever_at_risk()
    end, entry = time_index(counts.time, rows.duration), rows.entry
    start = np.full(end.size, -1) if entry is None else time_index(counts.time, entry, side="right") - 1
    mass = np.ones(end.size) if rows.weights is None else rows.weights if rows.frequency else rows.weights**2
    if (n_times + 1) * n_times * width > max(_SMALL_GRID, end.size):
        return start, end, rows.outcome.astype(np.int64), mass
    cell = ((start + 1) * n_times + end) * width + rows.outcome
    total = np.bincount(cell, mass)
    found = np.flatnonzero(total)
    ends = found // width
    return ends // n_times - 1, ends % n_times, found % width, total[found].astype(np.float64)


def _by_cluster(counts: CauseCounts, rows: CauseRows, P: _Moves, Q: _Moves) -> _Changes:
    """Rows of a cluster together: their entries and ends in the order of time."""
    rows = rows.ever_at_risk()
    codes = np.zeros(0, dtype=np.int64) if rows.cluster is None else rows.cluster.astype(np.int64)
    weights = np.ones(codes.size) if rows.weights is None else rows.weights
    end = time_index(counts.time, rows.duration)
    start = np.full(end.size, -1)
    if rows.entry is not None:
        start = time_index(counts.time, rows.entry, side="right") - 1
    late = start >= 0
    cluster, at = np.concatenate([codes[late], codes]), np.concatenate([start[late], end])
    order = np.argsort(cluster * np.int64(counts.time.shape[0]) + at, kind="stable")
    cluster, at = cluster[order], at[order]
    segments = np.append(np.flatnonzero(np.diff(cluster, prepend=-1)), cluster.size)
    from_start = np.bincount(codes[~late], weights[~late], int(codes.max(initial=-1)) + 1)
    step = np.concatenate([weights[late], -weights])[order]
    m1 = running_sums(step, segments) + from_start[cluster]
    m0 = m1 - step

    def moved(of: _Moves) -> tuple[Floats, Floats]:
        jump = np.concatenate([np.zeros(int(late.sum())), weights * of.jump[rows.outcome, end]])[order]
        total = np.cumsum(of.drift)[at]
        since = np.diff(total, prepend=0.0)
        since[segments[:-1]] = total[segments[:-1]]
        after = running_sums(jump - m0 * since, segments)
        return after - jump, after

    return _Changes(at, np.ones(at.size), (m0, m1), moved(P), moved(Q), float((from_start**2).sum()))


def _before(sums: Floats) -> Floats:
    """Shift running sums by one time: the value just before each time."""
    return np.concatenate([[0.0], sums[:-1]]) if sums.size else sums
