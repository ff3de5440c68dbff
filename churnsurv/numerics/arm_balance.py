"""Whether arms drawn at random differ in what was known before: the test by the draw itself.

With n_s users of stratum s, n_as of them in arm a, and S_s the covariance of x in the stratum, all arms together and
with n_s - 1 below, drawing arms of these sizes at random gives the mean of x in arm a of the stratum the covariance

    cov(x_as, x_bs) = S_s (1{a = b} / n_as - 1 / n_s),

exactly and whatever the law of x. The difference of arm a to the control is d_a = sum over s of w_as (x_as - x_0s),
with w_as the share of stratum s among the users of strata that have both arms; so cov(d_a, d_b) = sum over s of
w_as w_bs S_s (1{a = b} / n_as + 1 / n_0s). d' V^- d has as many degrees of freedom as V has rank (Hansen and Bowers
2008; Morgan and Rubin 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import read_only

__all__ = ["ArmBalance", "arm_balance"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_BLOCK = 1 << 19
#: Of the largest eigenvalue: below it a direction has no spread.
_RANK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ArmBalance:
    """Differences of means between arms and the control; k arms, p variables.

    Attributes
    ----------
    arms : tuple of int
        The arms that are compared with the control, ascending.
    mean : (n_arms, p) float64
        Plain means of all arms; null for an arm without users.
    difference, std_error : (k, p) float64
        d_a, and its standard error under the draw.
    spread : (p,) float64
        Standard deviation of each variable over all users.
    p_value : (k, p) float64
        Two-sided, of each difference alone; null where the variable is the same for everybody.
    statistic : float
        Of all differences together, chi-square with `df` degrees of freedom.
    df : int
    joint_p_value : float
        1 where nothing differs between users.
    """

    arms: tuple[int, ...]
    mean: Floats
    difference: Floats
    std_error: Floats
    spread: Floats
    p_value: Floats
    statistic: float
    df: int
    joint_p_value: float


def arm_balance(columns: Sequence[Floats], arm: Ints, stratum: Ints, *, control: int) -> ArmBalance:
    """Compare the means of variables between each arm and the control.

    Parameters
    ----------
    columns : sequence of (n,) float64
        The variables, finite.
    arm, stratum : (n,) int64
        Codes from 0 on.
    control : int

    Raises
    ------
    InputError
        If an arm has no stratum in common with the control.

    Examples
    --------
    Of the six ways to draw two of 0, 0, 1, 1, one has the difference 1, one -1: the standard error is sqrt(1/3).

    >>> found = arm_balance([np.array([0.0, 0, 1, 1])], np.array([0, 0, 1, 1]), np.zeros(4, int), control=0)
    >>> found.difference.tolist(), (found.std_error**2).round(6).tolist(), round(found.statistic, 6), found.df
    ([[1.0]], [[0.333333]], 3.0, 1)
    """
    n_arms, n_strata, p = int(arm.max()) + 1, int(stratum.max()) + 1, len(columns)
    centre = np.array([column.mean() for column in columns])
    cell = stratum * n_arms + arm
    n = np.bincount(cell, minlength=n_strata * n_arms).reshape(n_strata, n_arms)
    total = np.stack(
        [np.bincount(cell, column - middle, n.size) for column, middle in zip(columns, centre, strict=True)], axis=-1
    ).reshape(n_strata, n_arms, p)
    covariance = _covariance(columns, centre, stratum, n.sum(axis=1), total.sum(axis=1))
    arms = tuple(int(each) for each in np.flatnonzero(n.sum(axis=0)) if each != control)
    both = (n > 0) & (n[:, [control]] > 0)
    for each in arms:
        if not both[:, each].any():
            raise InputError(f"arm {each} has no stratum in common with the control.")
    weight = np.where(both, n.sum(axis=1, keepdims=True), 0).astype(np.float64)
    weight /= np.maximum(weight.sum(axis=0), 1)
    means = total / np.maximum(n, 1)[:, :, None]
    chosen = list(arms)
    difference = np.einsum("sa,sap->ap", weight[:, chosen], means[:, chosen] - means[:, [control]])
    V = _variance(weight[:, chosen], covariance, n[:, chosen], n[:, control])
    k = len(arms)
    std_error = np.sqrt(np.einsum("apap->ap", V))
    statistic, df = _quadratic(difference.ravel(), V.reshape(k * p, k * p))
    z = np.divide(difference, std_error, out=np.full_like(difference, np.nan), where=std_error > 0)
    size = n.sum(axis=0)[:, None]
    mean = np.divide(total.sum(axis=0), size, out=np.full((n_arms, p), np.nan), where=size > 0) + centre
    spread = np.array([column.std() for column in columns])
    read_only(mean, difference, std_error, spread)
    return ArmBalance(
        arms, mean, difference, std_error, spread, 2 * ndtr(-np.abs(z)), statistic, df,
        float(chdtrc(df, statistic)) if df else 1.0,
    )  # fmt: skip


def _covariance(columns: Sequence[Floats], centre: Floats, stratum: Ints, n: Ints, total: Floats) -> Floats:
    """S_s: (n_strata, p, p). Rows are taken in blocks, so that no copy of all columns is made."""
    n_strata, p = n.shape[0], len(columns)
    order = None if n_strata == 1 else np.argsort(stratum, kind="stable")
    edges = np.concatenate([[0], np.cumsum(n)])
    gram = np.zeros((n_strata, p, p))
    for each in range(n_strata):
        for low in range(edges[each], edges[each + 1], _BLOCK):
            high = min(low + _BLOCK, int(edges[each + 1]))
            rows = slice(low, high) if order is None else order[low:high]
            X = np.column_stack([column[rows] for column in columns]) - centre
            gram[each] += X.T @ X
    mean = total / np.maximum(n, 1)[:, None]
    gram -= np.einsum("s,sp,sq->spq", n, mean, mean)
    covariance: Floats = gram / np.maximum(n - 1, 1)[:, None, None]
    return covariance


def _variance(weight: Floats, covariance: Floats, n: Ints, n_control: Ints) -> Floats:
    """V: (k, p, k, p)."""
    k = weight.shape[1]
    own = np.divide(1.0, n, out=np.zeros(n.shape), where=weight > 0)
    shared = np.divide(1.0, n_control, out=np.zeros(n_control.shape), where=n_control > 0)
    parts = shared[:, None, None] + np.einsum("sa,ab->sab", own, np.eye(k))
    V: Floats = np.einsum("sa,sb,sab,spq->apbq", weight, weight, parts, covariance)
    return V


def _quadratic(difference: Floats, V: Floats) -> tuple[float, int]:
    """D' V^- d and the rank of V, on a scale on which every variable has variance 1."""
    error = np.sqrt(np.diag(V))
    some = error > 0
    if not some.any():
        return 0.0, 0
    d = difference[some] / error[some]
    values, vectors = np.linalg.eigh(V[np.ix_(some, some)] / np.outer(error[some], error[some]))
    kept = values > _RANK * values[-1]
    projected = vectors[:, kept].T @ d
    return float((projected**2 / values[kept]).sum()), int(kept.sum())
