"""Gray's test that groups have the same incidence of one cause, whatever the other causes do (Gray 1988).

In group k, with Y_k at risk, S_k its survival from all causes and F_k the incidence of the cause, all just before t,
those not yet lost to the cause number R_k = Y_k (1 - F_k) / S_k: the ones lost to other causes count on. Its score is

    z_k = sum W(t) [d_k - d R_k / R],      d and R summed over groups,      W = (1 - F)^rho,

F the incidence of all groups together, with increments d / (sum of Y_k / S_k). The covariance of the scores is that of
the martingales behind F_k, events of the cause and of others, for ties as in R's cmprsk. With strata scores and
covariances are summed over them. Late entry changes Y_k alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq
from scipy.special import chdtrc

from churnsurv.errors import InputError
from churnsurv.numerics.competing import CauseCounts, aalen_johansen
from churnsurv.numerics.day_counts import read_only

__all__ = ["GrayTest", "gray_test"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GrayTest:
    """Gray's test of one cause.

    Attributes
    ----------
    statistic : float
        Chi-square distributed with `df` degrees of freedom if groups do not differ; NaN where nothing can be compared.
    df : int
        Groups at risk together with others, less one.
    p_value : float
    score : (n_groups,) float64
        Events of the cause less those expected, weighted.
    covariance : (n_groups, n_groups) float64
    """

    statistic: float
    df: int
    p_value: float
    score: Floats
    covariance: Floats


def gray_test(strata: list[list[CauseCounts]], *, cause: int, rho: float = 0.0) -> GrayTest:
    """Compare the groups of each stratum.

    Parameters
    ----------
    strata : list of list of CauseCounts
        Counts of each group within each stratum, groups in the same order; frequencies, no sampling weights.
    cause : int
        Position of the cause among those counted, from 0.
    rho : float
        Weight (1 - F)^rho: 0 weighs all days alike, more than 0 the first ones.

    Examples
    --------
    >>> from churnsurv.numerics.competing import CauseRows, cause_counts
    >>> rows = CauseRows(np.array([1, 2, 3, 4, 1, 2, 3, 4]), np.array([1, 1, 2, 0, 2, 0, 1, 2]))
    >>> counts = cause_counts(rows, n_causes=2, group=np.repeat([0, 1], 4), n_groups=2)
    >>> test = gray_test([counts], cause=0)
    >>> test.df, round(test.statistic, 4), round(test.p_value, 4)
    (1, 0.5681, 0.451)
    """
    if not np.isfinite(rho):
        raise InputError(f"rho must be a finite number, such as 0 or 1, not {rho!r}.")
    n_groups = len(strata[0])
    score, covariance = np.zeros(n_groups), np.zeros((n_groups, n_groups))
    for groups in strata:
        if sum(one.time.size > 0 for one in groups) > 1:
            more, its = _stratum(groups, cause, float(rho))
            score += more
            covariance += its
    df = _rank(covariance)
    statistic, p_value = float("nan"), float("nan")
    if df > 0:
        statistic = float(score @ lstsq(covariance, score, cond=1e-10)[0])
        p_value = float(chdtrc(df, max(statistic, 0.0)))
    read_only(score, covariance)
    return GrayTest(statistic, df, p_value, score, covariance)


def _rank(covariance: Floats) -> int:
    """Rank of a covariance whose columns sum to zero: scores that cannot vary do not count."""
    scale = float(np.diagonal(covariance).max(initial=0.0))
    if scale <= 0:
        return 0
    return int((np.linalg.eigvalsh(covariance) > 1e-10 * scale).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """All groups of a stratum at the times with events of any; (n_groups, n_times) each."""

    Y: Floats
    own: Floats
    others: Floats
    before: Floats
    after: Floats
    incidence_before: Floats


def _stratum(groups: list[CauseCounts], cause: int, rho: float) -> tuple[Floats, Floats]:
    grid = _on_one_grid(groups, cause)
    present = grid.Y > 0
    ratio = np.divide(grid.Y, grid.before, out=np.zeros_like(grid.Y), where=present & (grid.before > 0))
    R, total = ratio * (1 - grid.incidence_before), ratio.sum(axis=0)
    d = grid.own.sum(axis=0)
    step = np.divide(d, total, out=np.zeros_like(d), where=total > 0)
    F = np.cumsum(step)
    before = np.concatenate([[0.0], F[:-1]])
    weight = np.maximum(1 - before, 0.0) ** rho
    expected = np.divide(d, R.sum(axis=0), out=np.zeros_like(d), where=R.sum(axis=0) > 0) * R
    score = (weight * (grid.own - expected)).sum(axis=1)
    hazard = np.divide(step, 1 - before, out=np.zeros_like(step), where=before < 1)
    share = np.divide(ratio, total, out=np.zeros_like(ratio), where=total > 0)
    covariance = np.zeros((len(groups), len(groups)))
    for k in range(len(groups)):
        covariance += _part_of(grid, k, ratio=ratio, share=share, weight=weight, hazard=hazard, F=F, d=d, total=total)
    return score, covariance


def _part_of(
    grid: _Grid,
    k: int,
    *,
    ratio: Floats,
    share: Floats,
    weight: Floats,
    hazard: Floats,
    F: Floats,
    d: Floats,
    total: Floats,
) -> Floats:
    """What the events of group k add to the covariance of the scores.

    An event of the cause at s moves the score of group i by a + g (C - c), one of another cause by -g' (C - c): a is
    what it does at once, C - c what the change of the group's F does to the expected events of all later days.
    """
    a = -weight * ratio[k] * share
    a[k] += weight * ratio[k]
    c = np.cumsum(a * hazard, axis=1)
    later = c[:, -1:] - c
    S, S_before, Y = grid.after[k], grid.before[k], grid.Y[k]
    inverse = np.divide(1.0, S, out=np.zeros_like(S), where=S > 0)
    own_move = a + np.where(S > 0, 1 - (1 - F) * inverse, 1.0) * later
    # events of the cause are those expected if groups are alike: d shared out by Y / S
    on_risk = (Y > 0) & (total > 0)
    tied = 1 - np.divide(np.maximum(d - 1, 0), total * S_before - 1, out=np.zeros_like(d), where=on_risk & (d > 1))
    own = np.divide(tied * S_before * d, total * Y, out=np.zeros_like(d), where=on_risk)
    d2 = grid.others[k]
    tied = 1 - np.divide(np.maximum(d2 - 1, 0), Y - 1, out=np.zeros_like(d), where=d2 > 1)
    others = np.divide(tied * S_before**2 * d2, Y**2, out=np.zeros_like(d), where=(S > 0) & (d2 > 0))
    others_move = (1 - F) * inverse * later
    return np.asarray((own_move * own) @ own_move.T + (others_move * others) @ others_move.T)


def _on_one_grid(groups: list[CauseCounts], cause: int) -> _Grid:
    days = [one.time[one.events.sum(axis=0) > 0] for one in groups]
    times = np.unique(np.concatenate(days))
    filled = [_at(one, cause, times) for one in groups]
    return _Grid(*(np.stack([one[i] for one in filled]) for i in range(6)))


def _at(one: CauseCounts, cause: int, times: NDArray[Any]) -> tuple[Floats, ...]:
    """Y, events of the cause and of others, S before and after, F before, of one group at the times of all."""
    n = times.shape[0]
    if one.time.size == 0:
        return np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n), np.ones(n), np.zeros(n)
    curves = aalen_johansen(one)
    at = np.searchsorted(one.time, times)
    here = (at < one.time.size) & (one.time[np.minimum(at, one.time.size - 1)] == times)
    own = np.where(here, one.events[cause][np.minimum(at, one.time.size - 1)], 0.0)
    every = np.where(here, one.events.sum(axis=0)[np.minimum(at, one.time.size - 1)], 0.0)
    before = np.concatenate([[1.0], curves.survival])[at]
    after = np.concatenate([[1.0], curves.survival])[at + here]
    return one.risk_at(times), own, every - own, before, after, np.concatenate([[0.0], curves.incidence[cause]])[at]
