"""Incidence by reason where reasons are known for a part of the churns only, and answers are weighted by their chance.

The days are cut into blocks with about the same number of known reasons, twenty or more each. With b(s) the block of
day s, pi_kb the weighted share of reason k among all churns of block b (`churnsurv.numerics.nonresponse`), each churn
counting S(T-) / Y(T) besides,

    F_k(t) = sum over s <= t of S(s-) d(s)/Y(s) pi_k,b(s),

so that no churn is left unknown, the F_k and S sum to one on every day, and at the ends of blocks F_k is the incidence
with weights itself. The variance has two parts that are uncorrelated where the weights are right: that of the churns,
for given shares (infinitesimal jackknife), and that of the shares, from their influences, with the chances estimated.
A reason that all answers give has no such influences, and the variance of Laplace's rule instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from churnsurv.numerics.competing import CauseCounts, CauseRows, aalen_johansen, cause_counts, incidence_limits
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.incidence_variance import jackknife_variance
from churnsurv.numerics.nonresponse import Responses, weighted_shares

__all__ = ["WeightedIncidence", "weighted_incidence"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_EACH = 20  # known reasons of a block, or more
_MOST = 12  # blocks


@dataclass(frozen=True, slots=True, eq=False)
class WeightedIncidence:
    """Curves of one group; NaN where no reason is known.

    Attributes
    ----------
    time : (n_times,)
    incidence, std_error : (n_kinds, n_times) float64
    df : (n_kinds, n_times) float64
        Degrees of freedom of the variances, by Satterthwaite (1946) from those of the shares of each block.
    """

    time: NDArray[Any]
    incidence: Floats
    std_error: Floats
    df: Floats

    def limits(self, level: float) -> tuple[Floats, Floats]:
        """Return limits on the scale log(-log(1 - F)), with quantiles of t; NaN where F is 0 or 1."""
        t, normal = (stdtrit(df, 0.5 + level / 2) for df in (self.df, np.inf))
        return incidence_limits(self.incidence, self.std_error * (t / normal), level=level, ci="log-log")


def weighted_incidence(
    rows: CauseRows, units: Responses, *, time: NDArray[Any], reason: Ints, members: Flags, n_kinds: int
) -> WeightedIncidence:
    """Share the churns of one group out among the reasons.

    Parameters
    ----------
    rows : CauseRows
        Spells of the group, with the outcome 1 where one churned, for whatever reason, else 0.
    units : Responses
        Every churn, of other groups too.
    time : (n_units,)
        Duration at which each churned.
    reason : (n_units,) int64
        0 ... n_kinds - 1; looked at only where it is known.
    members : (n_units,) bool
        Churns of the group.
    n_kinds : int

    Examples
    --------
    Two churn on day 1 and one says why; two on day 2 and one says why.

    >>> rows = CauseRows(np.array([1, 1, 2, 2]), np.ones(4, dtype=np.int64))
    >>> units = Responses(np.array([True, False] * 2), np.full(4, 0.5), np.zeros((4, 0)))
    >>> found = weighted_incidence(rows, units, time=rows.duration, reason=np.array([0, 0, 1, 0]),
    ...     members=np.ones(4, dtype=bool), n_kinds=2)
    >>> found.incidence.tolist()
    [[0.25, 0.5], [0.25, 0.5]]
    """
    counts = cause_counts(rows, n_causes=1)[0]
    known = units.answered & members
    if not known.any():
        nothing = np.full((n_kinds, counts.time.size), np.nan)
        return WeightedIncidence(counts.time, nothing, nothing, nothing)
    every = aalen_johansen(counts)
    block = _blocks(counts, time[known])
    place = np.minimum(np.searchsorted(counts.time, time), counts.time.size - 1)
    base = (every.before / counts.at_risk)[place]
    found = [
        weighted_shares(units, reason, n_kinds, members=members & (block[place] == b), base=base)
        for b in range(int(block.max()) + 1)
    ]
    shares = np.stack([one.share for one in found], axis=1)
    by_day = shares[:, block]
    d = counts.events.sum(axis=0)
    curves = aalen_johansen(counts, d * by_day)
    variance = jackknife_variance(counts, curves, rows, by_day[:, None, :])
    grown, df = _grown(every.incidence[0], block), np.full(variance.shape, np.inf)
    for k in range(n_kinds):
        moved = units.summed(np.stack([one.influence[:, k] for one in found], axis=1))
        of_shares = np.einsum("tb,bc,tc->t", grown, moved.T @ moved, grown)
        if (shares[k] == 1).all():
            of_shares = grown**2 @ _unanimous(block[place[members]], units.answered[members], shares.shape[1])
        variance[k] += of_shares
        # fourth powers block by block: what blocks share, by the estimated chances, is the smaller part
        fourth = grown**4 @ (moved**4).sum(axis=0)
        there = (of_shares > 0) & (fourth > 0)
        own = np.maximum(of_shares[there] ** 2 / fourth[there] - 1, 1.0)
        df[k, there] = own * (variance[k, there] / of_shares[there]) ** 2
    incidence, error = curves.incidence, np.sqrt(variance)
    read_only(incidence, error, df)
    return WeightedIncidence(counts.time, incidence, error, df)


def _unanimous(block: Ints, answered: Flags, n_blocks: int) -> Floats:
    """Variance of a share of 1 in each block, where no answer differs and influences say nothing.

    That of the share among the silent after n equal answers, each share having been as likely beforehand (Laplace
    1774), times the square of the part that is silent.
    """
    n = np.bincount(block, answered, minlength=n_blocks)
    silent = 1 - n / np.maximum(np.bincount(block, minlength=n_blocks), 1)
    return silent**2 * (n + 1) / ((n + 2) ** 2 * (n + 3))


def _blocks(counts: CauseCounts, known: NDArray[Any]) -> Ints:
    """The block of each time, (n_times,), from the times of the churns with a known reason."""
    n_blocks = int(np.clip(known.size // _EACH, 1, _MOST))
    per_day = np.bincount(np.searchsorted(counts.time, known), minlength=counts.time.size)
    up_to = np.cumsum(per_day)
    # a day belongs to the block in which the middle of its known reasons lies
    rank = np.floor((up_to - per_day / 2) * n_blocks / known.size)
    numbers = np.unique(rank[per_day > 0])
    # days without a known reason go with the days before them, the first ones with those after
    at = np.searchsorted(numbers, np.maximum.accumulate(np.where(per_day > 0, rank, numbers[0])))
    return _merged(np.asarray(at, dtype=np.int64), per_day)


def _merged(block: Ints, per_day: NDArray[np.integer[Any]]) -> Ints:
    """Put a block with too few known reasons together with the one before it (the first with the next)."""
    sizes = np.bincount(block, per_day)
    label, label_of, held = 0, np.zeros(sizes.size, dtype=np.int64), 0.0
    for b, size in enumerate(sizes):
        if b > 0 and held >= _EACH and sizes[b:].sum() >= _EACH:
            label, held = label + 1, 0.0
        label_of[b] = label
        held += size
    return label_of[block]


def _grown(incidence: Floats, block: Ints) -> Floats:
    """How much the incidence has grown in each block by each time, (n_times, n_blocks)."""
    step = np.diff(incidence, prepend=0.0)
    grid = np.zeros((incidence.size, int(block.max()) + 1))
    grid[np.arange(incidence.size), block] = step
    return np.cumsum(grid, axis=0)
