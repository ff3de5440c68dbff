"""Tests of the log-rank family for k groups: late entry, strata, tied days, weights of days, trend and clusters.

At each day with d churns among n at risk in a stratum, of which n_g in group g, d_g ~ hypergeometric with mean
``d n_g/n`` and covariance ``d (n - d)/(n - 1) (n_g/n 1{g = h} - n_g n_h/n^2)`` (Mantel 1966). With weights w of the
days (`logrank_weights`) the statistic is ``U' V^- U``, U the sum of w times the observed less the expected churns, V
the sum of w^2 times the covariances and V^- its generalised inverse. For trend, groups have scores a, and the statistic
is ``(a'U)^2 / a'V a``, on one degree of freedom (Tarone 1975).

Robust form: the influence of row i on U_g is its derivative in the weight of the row, days weighted as they are,

    r_ig = churned_i w(T_i) (1{g_i = g} - q_g(T_i)) - sum over times in (entry_i, T_i] of w (1{g_i = g} - q_g) d/n,

with q_g = n_g/n, and V is the sum over clusters of R_c R_c', R_c the sum of the r_i of the cluster. With w = 1 this r
is the score residual of Breslow's likelihood at coefficients zero, and U is its score, so that the test is the robust
score test of that model (Lin and Wei 1989); Efron's likelihood has another score where times are tied. That w depends
on the rows too adds nothing: its derivative is multiplied by observed less expected, which is zero on average.

Max-combo: the largest absolute normal deviate of four weightings, against their joint normal distribution (Lee 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.logrank_counts import EventSets, GroupRows, count_groups
from churnsurv.numerics.logrank_weights import COMBINED, LOG_RANK, Weighting, day_weights
from churnsurv.numerics.max_combo import largest_normal_tail
from churnsurv.numerics.risk_sets import risk_sets, running_sums

__all__ = ["LogRank", "logrank", "logrank_of_sets"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class LogRank:
    """The test and what it is made of.

    Attributes
    ----------
    observed, expected : (n_groups,)
        Churns, and the churns expected at each time from the shares of those at risk; days are not weighted.
    score : (n_groups,), or (n_tests,) with scores of groups
        Weighted observed less expected, its product with the scores.
    variance : (n_groups, n_groups), or (n_tests, n_tests)
        Covariance of `score`: hypergeometric, or robust where rows are clustered or drawn.
    statistic : float
        Chi-square distributed with `df` degrees of freedom where groups do not differ; of max-combo, the largest
        absolute normal deviate.
    df : int
        Rank of the hypergeometric variance: groups with events expected, less one (less one for each set of groups that
        never meet in a risk set); of max-combo, the number of its tests.
    p_value : float
    z : (n_tests,), or None
        Normal deviates, with scores of groups: above 0 where groups with high scores churn sooner.
    """

    observed: Floats
    expected: Floats
    score: Floats
    variance: Floats
    statistic: float
    df: int
    p_value: float
    z: Floats | None = None


def logrank(rows: GroupRows, *, weighting: Weighting = LOG_RANK, scores: Floats | None = None) -> LogRank:
    """Test whether groups churn alike.

    Parameters
    ----------
    rows : GroupRows
    weighting : Weighting
    scores : (n_groups,), optional
        For trend: a score of each group.

    Raises
    ------
    InputError
        If nobody churned, no two groups are at risk on the same churn day, there are too few clusters, or max-combo has
        more than two groups and no scores.

    Examples
    --------
    >>> rows = GroupRows(np.array([1, 2, 3, 4]), np.array([True, True, True, False]), np.array([0, 0, 1, 1]), 2)
    >>> test = logrank(rows)
    >>> test.observed.tolist(), test.expected.round(4).tolist(), round(test.statistic, 4)
    ([2.0, 1.0], [0.8333, 2.1667], 2.8824)
    """
    return logrank_of_sets(count_groups(rows).sets, rows, weighting=weighting, scores=scores)


def logrank_of_sets(
    sets: EventSets,
    rows: GroupRows | None = None,
    *,
    weighting: Weighting = LOG_RANK,
    scores: Floats | None = None,
) -> LogRank:
    """Test whether groups churn alike, from the risk sets; the rows are read where the variance is robust.

    Examples
    --------
    >>> rows = GroupRows(np.array([1, 2, 3, 4]), np.array([True, True, True, False]), np.array([0, 0, 1, 1]), 2)
    >>> logrank_of_sets(count_groups(rows).sets, scores=np.array([0.0, 1.0])).z.round(4).tolist()
    [-1.6977]
    """
    days = _Days.of(sets)
    combined = weighting.name == "max-combo"
    if combined and scores is None:
        if sets.n_groups > 2:
            raise InputError(
                f"the max-combo test compares two groups, not {sets.n_groups}: pass trend=True where they have an "
                "order, compare them in pairs, or choose one weighting."
            )
        scores = np.array([0.0, 1.0])
    weights = np.stack([day_weights(one, sets) for one in (COMBINED if combined else (weighting,))])
    robust = rows if rows is not None and rows.robust else None
    if scores is None:
        return _of_groups(days, weights[0], robust)
    return _of_scores(days, weights, scores, robust, combined=combined)


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """Shares q_g of those at risk, (n_sets, n_groups), all churns d and the hypergeometric factor, (n_sets,)."""

    sets: EventSets
    shares: Floats
    d: Floats
    n: Floats
    row_shares: Floats
    spread: Floats

    @classmethod
    def of(cls, sets: EventSets) -> _Days:
        if sets.time.size == 0:
            raise InputError("nobody churned while at risk: there is nothing to compare. Check the event column.")
        n, d = sets.at_risk.sum(axis=1), sets.churned.sum(axis=1)
        shares = sets.at_risk / n[:, None]
        if sets.n_at_risk is sets.at_risk:
            n_rows, d_rows, row_shares = n, d, shares
        else:
            n_rows, d_rows = sets.n_at_risk.sum(axis=1), sets.n_churned.sum(axis=1)
            row_shares = sets.n_at_risk / n_rows[:, None]
        spread = np.divide(d_rows * (n_rows - d_rows), n_rows - 1, out=np.zeros_like(n_rows), where=n_rows > 1)
        return cls(sets, shares, d, n, row_shares, spread)

    @property
    def observed(self) -> Floats:
        return np.asarray(self.sets.churned.sum(axis=0))

    @property
    def expected(self) -> Floats:
        return np.asarray(self.d @ self.shares)

    def excess(self, weight: Floats) -> Floats:
        """Weighted observed less expected, (n_groups,)."""
        return np.asarray(weight @ self.sets.churned - (weight * self.d) @ self.shares)

    def covariance(self, weight: Floats) -> Floats:
        weighted = self.row_shares * (weight**2 * self.spread)[:, None]
        covariance = -weighted.T @ self.row_shares
        # exactly 0 for a group that is alone in its risk sets, which the rank relies on
        np.fill_diagonal(covariance, (weighted * (1 - self.row_shares)).sum(axis=0))
        return np.asarray(covariance)

    def covariance_of_scores(self, weights: Floats, scores: Floats) -> Floats:
        centred = scores - (self.row_shares @ scores)[:, None]
        of_scores = (self.row_shares * centred**2).sum(axis=1)
        # exactly 0 where one group is alone
        of_scores[(self.row_shares > 0).sum(axis=1) < 2] = 0.0
        return np.asarray((weights * (self.spread * of_scores)) @ weights.T)


def _of_groups(days: _Days, weight: Floats, rows: GroupRows | None) -> LogRank:
    variance = days.covariance(weight)
    contrasts = _contrasts(variance)
    df = contrasts.shape[1]
    if df == 0:
        raise _nothing_to_compare(days)
    if rows is not None:
        columns = [(weight, one) for one in np.eye(days.sets.n_groups)]
        variance = _robust_variance(days, rows, columns, df)
    score = days.excess(weight)
    within = contrasts.T @ variance @ contrasts
    if rows is not None and np.linalg.matrix_rank(within, hermitian=True) < df:
        raise _too_few(rows, df)
    along = contrasts.T @ score
    statistic = float(along @ np.linalg.solve(within, along))
    return _result(days, score, variance, statistic, df, _chi_square(statistic, df), None)


def _of_scores(days: _Days, weights: Floats, scores: Floats, rows: GroupRows | None, *, combined: bool) -> LogRank:
    by_model = days.covariance_of_scores(weights, scores)
    found = np.diagonal(by_model) > 1e-12 * np.sum(weights**2 * days.spread, axis=1) * np.ptp(scores) ** 2
    if not found.any():
        raise _nothing_to_compare(days)
    weights, variance = weights[found], by_model[np.ix_(found, found)]
    if rows is not None:
        variance = _robust_variance(days, rows, [(weight, scores) for weight in weights], 1)
    error = np.sqrt(np.diagonal(variance))
    if not (error > 0).all():
        raise _too_few(rows, 1) if rows is not None else _nothing_to_compare(days)
    score = np.array([days.excess(weight) @ scores for weight in weights])
    z = score / error
    if combined:
        largest = float(np.abs(z).max())
        p_value = largest_normal_tail(largest, variance / np.outer(error, error))
        return _result(days, score, variance, largest, z.size, p_value, z)
    statistic = float(z[0] ** 2)
    return _result(days, score, variance, statistic, 1, _chi_square(statistic, 1), z)


def _result(
    days: _Days, score: Floats, variance: Floats, statistic: float, df: int, p_value: float, z: Floats | None
) -> LogRank:
    observed, expected = days.observed, days.expected
    read_only(observed, expected, score, variance, *(() if z is None else (z,)))
    return LogRank(observed, expected, score, variance, statistic, df, p_value, z)


def _chi_square(statistic: float, df: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic))


def _nothing_to_compare(days: _Days) -> InputError:
    if _contrasts(days.covariance(np.ones(days.d.shape))).shape[1]:
        return InputError(
            "this weighting gives no weight to the days on which groups are at risk together: there is nothing to "
            "compare. Choose another weighting."
        )
    return InputError(
        "no two groups are at risk together on any day of churn: there is nothing to compare. Check that the "
        "groups overlap in time, and within strata."
    )


def _too_few(rows: GroupRows, df: int) -> InputError:
    return InputError(
        f"too few clusters ({rows.clusters()[1]}) to compare {df + 1} groups: the robust variance has no "
        "inverse. Pass cluster=None, or join groups."
    )


def _contrasts(variance: Floats) -> Floats:
    """Return the combinations of groups that vary, (n_groups, rank): what is left of V without its null space."""
    scale = np.sqrt(np.diag(variance))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(inverse[:, None] * variance * inverse)
    contrasts: Floats = inverse[:, None] * vectors[:, values > 1e-11 * scale.size]
    return contrasts


def _robust_variance(days: _Days, rows: GroupRows, columns: Sequence[tuple[Floats, Floats]], df: int) -> Floats:
    """Sum over clusters of R_c R_c'; a column is a weight of days and a covariate of groups."""
    cluster, n_clusters = rows.clusters()
    if n_clusters <= df:
        raise _too_few(rows, df)
    by_cluster = np.empty((n_clusters, len(columns)))
    where = risk_sets(rows.duration, rows.churned, entry=rows.entry, stratum=rows.stratum, n_strata=rows.n_strata)
    hazard = days.d / days.n
    for column, (weight, x) in enumerate(columns):
        mean = days.shares @ x
        own, moved = weight * hazard, weight * hazard * mean
        total, total_moved = running_sums(own, where.segments), running_sums(moved, where.segments)
        # the place of a row is its last day with churn at risk, once without and once with its own churn
        level = np.append(np.column_stack([-total, weight - total]).ravel(), 0.0)
        taken = np.append(np.column_stack([total_moved, total_moved - weight * mean]).ravel(), 0.0)
        value = x[rows.group]
        value *= level[where.place]
        value += taken[where.place]
        if where.start is not None:
            value += x[rows.group] * np.append(total, 0.0)[where.start] - np.append(total_moved, 0.0)[where.start]
        if rows.weights is not None:
            value *= rows.weights
        by_cluster[:, column] = np.bincount(cluster, value, n_clusters)
    return np.asarray(by_cluster.T @ by_cluster)
