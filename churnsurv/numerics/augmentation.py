"""Arms of a randomised campaign together: their joint covariance, and covariates that sharpen what they say.

Stack what is estimated for each arm, y (A arms by q estimates), and the imbalance of each arm in covariates known
before the assignment, d (its mean less that of the control, strata weighted alike). Each user moves both by a known
amount, so that sums of squares and products over users, or clusters of users, are the joint covariance V. Arms were
drawn at random, hence d has the mean zero, and for any matrix B

    y - B d    estimates the same as y;    B = V_yd V_dd^-1    makes its variance least.

For two arms, B for their difference is (1 - pi) beta1 + pi beta0, beta the slopes of the influences within each arm and
pi the share of arm 1, where covariates vary alike in both: the best linear adjustment also for unequal hold-outs, where
pooled and ANCOVA slopes can lose precision (Yang and Tsiatis 2001; Lin 2013). On influences of log hazard ratios it
is the augmentation of Lu and Tsiatis (2008): the estimand stays the one without covariates, which an adjusted Cox
coefficient is not. With several arms every imbalance helps every arm.

Fitted slopes take degrees of freedom, and vary themselves by as much again: with h_i the leverage of user i in the fit
of B, p_a the sum over users of arm a and G_a their number (that of clusters), influences of the arm are divided by
1 - p_a / G_a, the mean form of MacKinnon and White's (1985) third correction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only

__all__ = ["ArmVector", "Clusters", "adjusted_vector", "arm_moments", "shared_clusters", "within_clusters"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Columns: TypeAlias = Callable[["slice | NDArray[np.integer[Any]]"], Floats]

_CHUNK = 65_536
_CLUSTER_ROWS = 200_000  # rows of clusters that are summed at once
_NO_RANK = 1e-10  # share of a covariate's variance that others leave, below which it says nothing of its own


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Rows that share a cluster with others, and how many clusters each arm has.

    Attributes
    ----------
    rows : (n_shared,) int64
        In the order of clusters.
    first : (n_clusters,) int64
        Positions in `rows` at which clusters begin.
    per_arm : (n_arms,) int64
        Clusters with a row in the arm.
    """

    rows: Ints
    first: Ints
    per_arm: Ints


def shared_clusters(cluster: NDArray[np.integer[Any]], arm: NDArray[np.integer[Any]], n_arms: int) -> Clusters | None:
    """Find the clusters of more than one row; None where there are none.

    Examples
    --------
    >>> found = shared_clusters(np.array([4, 7, 4]), np.array([0, 0, 1]), 2)
    >>> found.rows.tolist(), found.first.tolist(), found.per_arm.tolist()
    ([0, 2], [0], [2, 1])
    """
    if cluster.size and int(cluster.min()) >= 0 and int(cluster.max()) < max(4 * cluster.size, 1 << 20):
        size = np.bincount(cluster)
        rows = np.flatnonzero(size[cluster] > 1)
    else:
        _, cluster, size = np.unique(cluster, return_inverse=True, return_counts=True)
        rows = np.flatnonzero(size[cluster] > 1)
    if rows.size == 0:
        return None
    order = np.lexsort((arm[rows], cluster[rows]))
    rows = rows[order]
    codes = cluster[rows]
    begins = np.concatenate([[True], codes[1:] != codes[:-1]])
    # further rows of an arm in a cluster add no cluster to it
    again = ~begins & (arm[rows] == np.roll(arm[rows], 1))
    per_arm = np.bincount(arm, minlength=n_arms) - np.bincount(arm[rows[again]], minlength=n_arms)
    first = np.flatnonzero(begins)
    read_only(rows, first, per_arm)
    return Clusters(rows, first, per_arm)


def arm_moments(
    columns: Columns,
    arm: NDArray[np.integer[Any]],
    n_columns: int,
    n_arms: int,
    *,
    clusters: Clusters | None = None,
    stratum: NDArray[np.integer[Any]] | None = None,
    between: Floats | None = None,
) -> Floats:
    """Return sums of products of influences over users, or clusters: (n_arms, n_columns, n_arms, n_columns).

    Parameters
    ----------
    columns : function of rows
        Influences of these rows on what is estimated for their own arm, (n_columns, n_rows).
    arm : (n,) integer
    n_columns, n_arms : int
    clusters : Clusters, optional
    stratum : (n,) integer, optional
    between : (n_strata, n_arms, n_columns), optional
        What any user of a stratum moves each arm's estimate by, because the shares of the strata are estimates.

    Examples
    --------
    >>> values = np.array([[0.5, -0.5, 1.0, -1.0]])
    >>> arm_moments(lambda rows: values[:, rows], np.array([0, 0, 1, 1]), 1, 2)[:, 0, :, 0].tolist()
    [[0.5, 0.0], [0.0, 2.0]]
    """
    total = np.zeros((n_arms, n_columns, n_arms, n_columns))
    for start in range(0, arm.shape[0], _CHUNK):
        rows = slice(start, min(start + _CHUNK, arm.shape[0]))
        values, arms = columns(rows), arm[rows]
        for a in range(n_arms):
            own = values[:, arms == a]
            total[a, :, a, :] += own @ own.T
    if between is not None:
        if stratum is None:
            raise InputError("what strata add needs the stratum of each row: pass stratum.")
        flat = between.reshape(between.shape[0], -1)
        number = np.bincount(stratum, minlength=between.shape[0])
        total += ((flat.T * number) @ flat).reshape(total.shape)
    if clusters is not None:
        total += within_clusters(columns, arm, n_columns, n_arms, clusters, stratum=stratum, between=between)
    return total


def within_clusters(
    columns: Columns,
    arm: NDArray[np.integer[Any]],
    n_columns: int,
    n_arms: int,
    clusters: Clusters,
    *,
    stratum: NDArray[np.integer[Any]] | None = None,
    between: Floats | None = None,
) -> Floats:
    """Return what rows of the same cluster add: squares of the sums of clusters less the squares of rows.

    Parameters
    ----------
    columns, arm, n_columns, n_arms, clusters, stratum, between
        As in `arm_moments`.

    Examples
    --------
    >>> clusters = shared_clusters(np.array([0, 0]), np.array([0, 1]), 2)
    >>> within_clusters(lambda rows: np.ones((1, 2))[:, rows], np.array([0, 1]), 1, 2, clusters)[:, 0, :, 0].tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    width = n_arms * n_columns
    total = np.zeros((width, width))
    ends = np.append(clusters.first[1:], clusters.rows.shape[0])
    begin = 0
    while begin < clusters.first.shape[0]:
        last = int(np.searchsorted(ends, clusters.first[begin] + _CLUSTER_ROWS, side="right"))
        last = max(last, begin + 1)
        span = slice(int(clusters.first[begin]), int(ends[last - 1]))
        rows = clusters.rows[span]
        own = np.zeros((rows.shape[0], n_arms, n_columns))
        own[np.arange(rows.shape[0]), arm[rows]] = columns(rows).T
        if between is not None and stratum is not None:
            own += between[stratum[rows]]
        flat = own.reshape(rows.shape[0], width)
        sums = np.add.reduceat(flat, clusters.first[begin:last] - span.start, axis=0)
        total += sums.T @ sums - flat.T @ flat
        begin = last
    return total.reshape(n_arms, n_columns, n_arms, n_columns)


@dataclass(frozen=True, slots=True, eq=False)
class ArmVector:
    """Estimates of all arms and their joint covariance.

    Attributes
    ----------
    estimate : (n_arms, q) float64
    covariance : (n_arms, q, n_arms, q) float64
    loading : (n_arms, q, n_arms, q + p) float64
        The estimate is moved by loading times the influences on the first estimates and on the covariates' means.
    lost : (n_arms,) float64
        Degrees of freedom that slopes took from each arm; 0 without covariates.
    used : int
        Covariates that say something of their own.
    """

    estimate: Floats
    covariance: Floats
    loading: Floats
    lost: Floats
    used: int


def adjusted_vector(
    estimate: Floats, moments: Floats, n_rows: NDArray[Any], *, n_covariates: int = 0, control: int = 0
) -> ArmVector:
    """Take out of the estimates what the imbalance of covariates explains.

    Parameters
    ----------
    estimate : (n_arms, q + p) float64
        The last p columns are the means of the covariates.
    moments : (n_arms, q + p, n_arms, q + p) float64
        From `arm_moments`.
    n_rows : (n_arms,)
        Users of each arm, or clusters.
    n_covariates : int
        p; 0 leaves estimates and covariance as they are.
    control : int

    Raises
    ------
    InputError
        If an arm has no more users than slopes take degrees of freedom.

    Examples
    --------
    The covariate says all of the outcome: nothing is left of the difference of the arms, nor of its variance.

    >>> values = np.array([[-1.0, 1.0, -2.0, 2.0]])
    >>> both = np.concatenate([values, values])
    >>> moments = arm_moments(lambda rows: both[:, rows], np.array([0, 0, 1, 1]), 2, 2)
    >>> found = adjusted_vector(np.array([[1.0, 1.0], [3.0, 3.0]]), moments, np.array([9, 9]), n_covariates=1)
    >>> apart = np.array([-1.0, 1.0])
    >>> bool(abs(apart @ found.estimate[:, 0]) < 1e-12), bool(apart @ found.covariance[:, 0, :, 0] @ apart < 1e-12)
    (True, True)
    """
    n_arms, width = estimate.shape
    q = width - n_covariates
    y, V_yy = estimate[:, :q], moments[:, :q, :, :q]
    loading = np.zeros((n_arms, q, n_arms, width))
    for a in range(n_arms):
        loading[a, :, a, :q] = np.eye(q)
    lost = np.zeros(n_arms)
    if n_covariates == 0 or n_arms < 2:
        read_only(y, V_yy, loading, lost)
        return ArmVector(y, V_yy, loading, lost, 0)
    others = [a for a in range(n_arms) if a != control]
    contrast = np.zeros((len(others), n_arms))
    contrast[np.arange(len(others)), others], contrast[:, control] = 1.0, -1.0
    take = np.kron(contrast, np.eye(n_covariates))  # from the means of all arms to the imbalances
    inverse, rank = _inverse(take @ _flat(moments[:, q:, :, q:]) @ take.T)
    lost = _degrees(moments[:, q:, :, q:], take, inverse, rank)
    _refuse_few(lost, n_rows)
    scale = n_rows / (n_rows - lost)
    moments = moments * scale[:, None, None, None] * scale[None, None, :, None]
    inverse, _ = _inverse(take @ _flat(moments[:, q:, :, q:]) @ take.T)
    V_yd = _flat(moments[:, :q, :, q:]) @ take.T
    slopes = V_yd @ inverse
    loading[..., q:] = -(slopes @ take).reshape(n_arms, q, n_arms, n_covariates)
    imbalance = take @ estimate[:, q:].ravel()
    found = y - (slopes @ imbalance).reshape(n_arms, q)
    covariance = (_flat(moments[:, :q, :, :q]) - slopes @ V_yd.T).reshape(V_yy.shape)
    read_only(found, covariance, loading, lost)
    return ArmVector(found, covariance, loading, lost, rank // len(others))


def _flat(block: Floats) -> Floats:
    return block.reshape(block.shape[0] * block.shape[1], -1)


def _inverse(V: Floats) -> tuple[Floats, int]:
    """The inverse over the directions in which covariates vary, and their number."""
    size = np.sqrt(np.diagonal(V))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(V / np.outer(size, size))
    kept = values > _NO_RANK * max(float(values[-1]), 1e-300)
    vectors = vectors[:, kept] / size[:, None]
    return (vectors / values[kept]) @ vectors.T, int(kept.sum())


def _degrees(P: Floats, take: NDArray[Any], inverse: Floats, rank: int) -> Floats:
    """Sum of leverages over the users of each arm; with clusters across arms in proportion."""
    n_arms, p = P.shape[:2]
    inside = take.T @ inverse @ take
    found = np.empty(n_arms)
    for a in range(n_arms):
        own = slice(a * p, (a + 1) * p)
        found[a] = np.sum(inside[own, own] * P[a, :, a, :])
    total = float(found.sum())
    return found * (rank / total) if total > 0 else found


def _refuse_few(lost: Floats, n_rows: NDArray[Any]) -> None:
    few = np.flatnonzero(lost > n_rows - 2)
    if few.size:
        a = int(few[0])
        raise InputError(
            f"arm {a} has {int(n_rows[a])} users, too few to fit slopes of covariates that take {lost[a]:.1f} degrees "
            "of freedom. Name fewer covariates, or covariates=() for none."
        )
