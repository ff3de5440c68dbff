"""The robust log-rank test at many cuts: rows of one user depend on each other.

As in `logrank`, the influence of row i on the score of those above a cut c, with q_t the share of those above among
the n_t at risk and d_t churns, is

    r_i = churned_i (1{x_i > c} - q(T_i)) - sum over days in (entry_i, T_i] of (1{x_i > c} - q) d / n
        = 1{x_i > c} m_i - churned_i q(T_i) + H(T_i) - H(entry_i),        H the running sum of q d / n,

and the variance is the sum over clusters of R_c^2, R_c the sum of the r_i of the cluster (Lin and Wei 1989). Each cut
takes a few passes over the rows.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.cut_resampling import chosen_cuts
from churnsurv.numerics.maximal_logrank import CutRows, CutScan, CutSteps, below_at_risk, scan_cuts

__all__ = ["MOST_CUTS", "scan_cuts_robust"]

Floats: TypeAlias = NDArray[np.float64]

#: Cuts that are looked at.
MOST_CUTS = 99


def scan_cuts_robust(
    rows: CutRows,
    values: Floats,
    cluster: NDArray[np.integer[Any]],
    n_clusters: int,
    *,
    min_share: float = 0.0,
) -> tuple[CutScan, CutSteps]:
    """Test at most 99 cuts, evenly spaced in users, with robust variances; and how the deviates hang together.

    Parameters
    ----------
    rows : CutRows
    values : (n,) float64
        No missing ones.
    cluster : (n,) integer
        0 ... n_clusters - 1.
    n_clusters : int
    min_share : float
        Cuts have at least this share of users on either side.

    Examples
    --------
    >>> from churnsurv.numerics.maximal_logrank import cut_rows
    >>> rows = cut_rows(np.array([1, 2, 3, 4]), np.array([True, True, True, False]))
    >>> scan, _ = scan_cuts_robust(rows, np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 2]), 3)
    >>> scan.statistic.round(4).tolist()
    [-1.1882, -1.5141, -1.4456]
    """
    everywhere = scan_cuts(rows, values, min_share=min_share)
    at = chosen_cuts(everywhere.cut, everywhere.n_below, MOST_CUTS)
    at = at[~np.isnan(everywhere.statistic[at])]
    cut, score = everywhere.cut[at], everywhere.score[at]
    interval = np.searchsorted(cut, values, side="left")
    below = below_at_risk(rows.end, rows.start, rows.frequency, rows.at_risk.size, interval, at.size)
    above = 1 - below / rows.at_risk
    variance, shared = np.empty(at.size), np.empty(max(at.size - 1, 0))
    before = np.empty(0)
    for j in range(at.size):
        now = _by_cluster(rows, interval > j, above[j], cluster, n_clusters)
        variance[j] = now @ now
        if j:
            shared[j - 1] = now @ before
        before = now
    z = np.full(at.size, np.nan)
    there = variance > 0
    z[there] = score[there] / np.sqrt(variance[there])
    scan = CutScan(cut, everywhere.n_below[at], score, variance, z)
    scale = np.sqrt(variance[:-1] * variance[1:])
    correlation = np.divide(shared, scale, out=np.ones_like(shared), where=scale > 0)
    return scan, CutSteps(correlation.clip(0.0, 1.0), np.ones(shared.size), np.zeros(at.size))


def _by_cluster(
    rows: CutRows, above: NDArray[np.bool_], share: Floats, cluster: NDArray[np.integer[Any]], n_clusters: int
) -> Floats:
    """R_c of one cut, (n_clusters,)."""
    expected = np.append(0.0, np.cumsum(share * rows.churned / rows.at_risk))
    # by the last day at risk, without and with churn on it
    level = np.column_stack([expected, expected - np.append(0.0, share)]).ravel()
    influence = above * rows.score
    influence += level[2 * rows.end + rows.event]
    if rows.start is not None:
        influence -= expected[rows.start]
    if rows.frequency is not None:
        influence *= rows.frequency
    return np.asarray(np.bincount(cluster, influence, n_clusters))
