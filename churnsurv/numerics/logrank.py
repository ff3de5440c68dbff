"""The log-rank test of k groups: late entry, strata, tied days and clusters.

At each time with d churns among n at risk in a stratum, of which n_g in group g, d_g ~ hypergeometric with mean
``d n_g/n`` and covariance ``d (n - d)/(n - 1) (n_g/n 1{g = h} - n_g n_h/n^2)`` (Mantel 1966). The statistic is
``U' V^- U`` with U the observed less the expected churns, V the sum of the covariances and V^- its generalised inverse.

Robust form: the influence of row i on U_g is its derivative in the weight of the row,

    r_ig = churned_i (1{g_i = g} - q_g(T_i)) - sum over times in (entry_i, T_i] of (1{g_i = g} - q_g) d/n,

with q_g = n_g/n, and V is the sum over clusters of R_c R_c', R_c the sum of the r_i of the cluster. With ties this r is
the score residual of Breslow's likelihood at coefficients zero, and U is its score, so that the test is the robust
score test of that model (Lin and Wei 1989); Efron's likelihood has another score where times are tied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import DayCounts, day_counts, read_only, time_index

__all__ = ["LogRank", "logrank"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]

# cells of (stratum, group, time) that are counted in one go; beyond it strata are taken one by one
_MOST_CELLS = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class LogRank:
    """The test and what it is made of.

    Attributes
    ----------
    n : (n_groups,)
        Rows, with those that are never at risk.
    observed, expected : (n_groups,)
        Churns, and the churns expected at each time from the shares of those at risk.
    variance : (n_groups, n_groups)
        Covariance of ``observed - expected``: hypergeometric, or robust where clusters are given.
    statistic : float
        Chi-square distributed with `df` degrees of freedom where groups do not differ.
    df : int
        Rank of the hypergeometric variance: groups with events expected, less one (less one for each set of groups that
        never meet in a risk set).
    p_value : float
    """

    n: NDArray[np.int64]
    observed: Floats
    expected: Floats
    variance: Floats
    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of one or several strata; `cell` is stratum * n_groups + group."""

    duration: NDArray[Any]
    churned: NDArray[np.bool_]
    entry: NDArray[Any] | None
    cell: Codes
    cluster: Codes | None
    n_strata: int

    def take(self, rows: NDArray[np.intp], cell: Codes) -> _Rows:
        """The rows of a single stratum."""
        entry = None if self.entry is None else self.entry[rows]
        cluster = None if self.cluster is None else self.cluster[rows]
        return _Rows(self.duration[rows], self.churned[rows], entry, cell, cluster, 1)


def logrank(
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    group: Codes,
    *,
    n_groups: int,
    entry: NDArray[Any] | None = None,
    stratum: Codes | None = None,
    n_strata: int = 1,
    cluster: Codes | None = None,
    n_clusters: int = 0,
) -> LogRank:
    """Test whether groups churn alike.

    Parameters
    ----------
    duration, churned, group, entry, stratum, cluster : (n,)
        The rows; codes count from 0. At risk in (entry, duration]; entry None: from before day 0.

    Raises
    ------
    InputError
        If nobody churned, no two groups are at risk on the same churn day, or there are too few clusters.

    Examples
    --------
    >>> test = logrank(
    ...     np.array([1, 2, 3, 4]), np.array([True, True, True, False]), np.array([0, 0, 1, 1]), n_groups=2
    ... )
    >>> test.observed.tolist(), test.expected.round(4).tolist(), round(test.statistic, 4)
    ([2.0, 1.0], [0.8333, 2.1667], 2.8824)
    """
    cell = group if stratum is None else stratum.astype(np.int64) * n_groups + group
    rows = _Rows(duration, churned, entry, cell, cluster, n_strata)
    n = np.zeros(n_groups, dtype=np.int64)
    observed, expected = np.zeros(n_groups), np.zeros(n_groups)
    variance = np.zeros((n_groups, n_groups))
    influence = None if cluster is None else np.zeros((n_clusters, n_groups))
    for part in _parts(rows, n_groups):
        counts = day_counts(
            part.duration, part.churned, entry=part.entry, group=part.cell, n_groups=part.n_strata * n_groups
        )
        sets = _RiskSets.of(counts, part.n_strata, n_groups)
        n += (counts.n_rows + counts.n_no_risk).reshape(-1, n_groups).sum(axis=0)
        observed += sets.observed
        expected += sets.expected
        variance += sets.covariance
        if influence is not None and part.cluster is not None:
            _add_influence(influence, part.cluster, part, counts.time, sets)
    return _tested(n, observed, expected, variance, influence)


@dataclass(frozen=True, slots=True, eq=False)
class _RiskSets:
    """Shares q_g of those at risk, (n_strata, n_groups, n_times); churns d and all at risk n, (n_strata, n_times)."""

    shares: Floats
    d: Floats
    n: Floats
    observed: Floats

    @classmethod
    def of(cls, counts: DayCounts, n_strata: int, n_groups: int) -> _RiskSets:
        shape = (n_strata, n_groups, counts.time.size)
        at_risk = counts.n_at_risk.reshape(shape).astype(np.float64)
        events = counts.n_events.reshape(shape).astype(np.float64)
        n = at_risk.sum(axis=1)
        shares = np.divide(at_risk, n[:, None], out=np.zeros(shape), where=n[:, None] > 0)
        return cls(shares, events.sum(axis=1), n, events.sum(axis=(0, 2)))

    @property
    def hazard(self) -> Floats:
        return np.divide(self.d, self.n, out=np.zeros_like(self.d), where=self.n > 0)

    @property
    def expected(self) -> Floats:
        return np.asarray(np.einsum("sgt,st->g", self.shares, self.d))

    @property
    def covariance(self) -> Floats:
        spread = np.divide(self.d * (self.n - self.d), self.n - 1, out=np.zeros_like(self.d), where=self.n > 1)
        weighted = self.shares * spread[:, None]
        covariance = -np.asarray(np.tensordot(weighted, self.shares, axes=([0, 2], [0, 2])))
        # exactly 0 for a group that is alone in its risk sets, which the rank relies on
        np.fill_diagonal(covariance, (weighted * (1 - self.shares)).sum(axis=(0, 2)))
        return covariance


def _parts(rows: _Rows, n_groups: int) -> Iterator[_Rows]:
    """All strata at once while their grid of counts is of reasonable size, else one by one."""
    n_times = rows.duration.size
    if rows.duration.dtype.kind in "iu" and n_times:
        n_times = min(n_times, int(rows.duration.max()) - int(rows.duration.min()) + 1)
    if rows.n_strata == 1 or rows.n_strata * n_groups * n_times <= _MOST_CELLS:
        yield rows
        return
    stratum = rows.cell // n_groups
    order = np.argsort(stratum, kind="stable")
    for taken in np.split(order, np.cumsum(np.bincount(stratum, minlength=rows.n_strata))[:-1]):
        if taken.size:
            yield rows.take(taken, rows.cell[taken] % n_groups)


def _add_influence(influence: Floats, cluster: Codes, rows: _Rows, time: NDArray[Any], sets: _RiskSets) -> None:
    """Add the influence of each row to its cluster, in place: (n_clusters, n_groups)."""
    n_clusters, n_groups = influence.shape
    if rows.entry is not None:
        held = np.flatnonzero(rows.entry < rows.duration)
        rows, cluster = rows.take(held, rows.cell[held]), cluster[held]
    stratum, group = np.divmod(rows.cell.astype(np.int64), n_groups)
    end = stratum * (time.size + 1) + time_index(time, rows.duration) + 1
    start = None if rows.entry is None else stratum * (time.size + 1) + time_index(time, rows.entry, side="right")

    def gained(by_time: Floats) -> Floats:
        """The sum of a function of stratum and time over the times at which each row is at risk."""
        running = np.pad(np.cumsum(by_time, axis=1), ((0, 0), (1, 0))).ravel()
        return running[end] if start is None else running[end] - running[start]

    hazard = sets.hazard
    own = rows.churned - gained(hazard)
    influence += np.bincount(
        cluster * np.int64(n_groups) + group, weights=own, minlength=n_clusters * n_groups
    ).reshape(influence.shape)
    for g in range(n_groups):
        share = sets.shares[:, g]
        at_end = np.pad(share, ((0, 0), (1, 0))).ravel()[end]
        value = rows.churned * at_end - gained(share * hazard)
        influence[:, g] -= np.bincount(cluster, weights=value, minlength=n_clusters)


def _tested(
    n: NDArray[np.int64], observed: Floats, expected: Floats, variance: Floats, influence: Floats | None
) -> LogRank:
    from scipy.special import chdtrc

    if observed.sum() == 0:
        raise InputError("nobody churned while at risk: there is nothing to compare. Check the event column.")
    contrasts = _contrasts(variance)
    df = contrasts.shape[1]
    if df == 0:
        raise InputError(
            "no two groups are at risk together on any day of churn: there is nothing to compare. Check that the "
            "groups overlap in time, and within strata."
        )
    score = contrasts.T @ (observed - expected)
    if influence is None:
        within = contrasts.T @ variance @ contrasts
    else:
        variance = influence.T @ influence
        within = contrasts.T @ variance @ contrasts
        if np.linalg.matrix_rank(within, hermitian=True) < df:
            raise InputError(
                f"too few clusters ({influence.shape[0]}) to compare {df + 1} groups: the robust variance has no "
                "inverse. Pass cluster=None, or join groups."
            )
    statistic = float(score @ np.linalg.solve(within, score))
    read_only(n, observed, expected, variance)
    return LogRank(n, observed, expected, variance, statistic, df, float(chdtrc(df, statistic)))


def _contrasts(variance: Floats) -> Floats:
    """Return the combinations of groups that vary, (n_groups, rank): what is left of V without its null space."""
    scale = np.sqrt(np.diag(variance))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(inverse[:, None] * variance * inverse)
    contrasts: Floats = inverse[:, None] * vectors[:, values > 1e-11 * scale.size]
    return contrasts
