"""Shares among all who were asked, where only some have answered: answers weighted by the inverse of their chance.

With R whether a unit has answered, e = 1 / (1 + exp(-x'g)) its fitted chance to do so, and Y its answer (0 or 1),

    share = sum (R / e) Y / sum (R / e)                                                       (Hajek 1971)

among all units of a group. The chances are estimated, and by that the share becomes more exact, not less: with
A = sum R/e, s = (R - e) x the score of a unit and I = sum e (1 - e) x x' the information, the influence of a unit is

    u = (R / e) (Y - share) / A  -  d' I^-1 s,       d = sum (R / e) (1 - e) (Y - share) x / A

(Robins, Rotnitzky and Zhao 1994; Lunceford and Davidian 2004), and the variance the sum of u^2 over units, or of the
squares of its sums over clusters. Like residuals, influences are too small where a unit has pulled the fit towards
itself: each is divided by sqrt(1 - h), h = (R - e)^2 x' I^-1 x its leverage (MacKinnon and White 1985, HC2). It is
right where, given x, answering has nothing to do with the answer, and no chance is near zero.

Limits are Wilson's (1927) with n replaced by the effective number share (1 - share) / variance, as is done for
samples (Kott and Carr 1997; Franco and others 2019), with a quantile of t at (sum u^2)^2 / sum u^4 - 1 degrees of
freedom, by which few large weights make themselves felt; without weights and clusters they are Wilson's own. They exist
at shares of 0 and 1, where the effective number is Kish's (sum w)^2 / sum w^2 (at most).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from churnsurv.numerics.day_counts import read_only

__all__ = ["Responses", "WeightedShares", "effective_number", "share_limits", "weighted_shares", "wilson"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Who has answered, and the chance to.

    Attributes
    ----------
    answered : (n,) bool
    chance : (n,) float64
        Fitted, in (0, 1]; 1 for everybody without a model.
    matrix : (n, p) float64
        What it is logistic in; no columns without a model.
    cluster : (n,) int64, or None
        Codes 0, 1, ...; units of one cluster may depend on each other.
    """

    answered: Flags
    chance: Floats
    matrix: Floats
    cluster: Ints | None = None
    _made: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def weight(self) -> Floats:
        """(n,) 1 / chance of those who answered, else 0."""
        return np.asarray(np.where(self.answered, 1.0 / self.chance, 0.0))

    def without_model(self) -> Responses:
        """The same units, every answer with the weight 1.

        Examples
        --------
        >>> units = Responses(np.array([True, False]), np.array([0.5, 0.5]), np.ones((2, 1)))
        >>> units.without_model().weight.tolist()
        [1.0, 0.0]
        """
        n = self.answered.size
        return Responses(self.answered, np.ones(n), np.zeros((n, 0)), self.cluster)

    @property
    def information(self) -> Floats:
        """(p, p) of the coefficients of the chances; computed once."""
        if "information" not in self._made:
            spread = self.chance * (1 - self.chance)
            self._made["information"] = np.asarray(self.matrix.T @ (spread[:, None] * self.matrix))
        return self._made["information"]

    def from_scores(self, slopes: Floats) -> Floats:
        """What the estimation of the chances takes off influences: ``x_i (R_i - e_i) I^-1 slopes``, (n, k)."""
        if self.matrix.shape[1] == 0:
            return np.zeros((self.answered.size, slopes.shape[1]))
        moved = np.linalg.solve(self.information, slopes)
        return np.asarray((self.matrix @ moved) * (self.answered - self.chance)[:, None])

    def leverage(self) -> Floats:
        """(n,) how far each unit has pulled the chances towards itself, 0 to 0.9; 0 without a model; computed once."""
        if self.matrix.shape[1] == 0:
            return np.zeros(self.answered.size)
        if "leverage" not in self._made:
            h = (self.matrix * np.linalg.solve(self.information, self.matrix.T).T).sum(axis=1)
            self._made["leverage"] = np.asarray(np.minimum(h * (self.answered - self.chance) ** 2, 0.9))
        return self._made["leverage"]

    def summed(self, influence: Floats) -> Floats:
        """Influences of units, (n, k), summed by cluster, (n_clusters, k)."""
        if self.cluster is None:
            return influence
        n = int(self.cluster.max(initial=-1)) + 1
        columns = [np.bincount(self.cluster, column, n) for column in influence.T]
        return np.stack(columns, axis=1) if columns else np.zeros((n, 0))


@dataclass(frozen=True, slots=True, eq=False)
class WeightedShares:
    """Shares of k answers in one group.

    Attributes
    ----------
    share, std_error : (k,) float64
    n : (k,) int64
        Answers, without weights.
    influence : (n_units, k) float64
        Of every unit on every share; 0 for those who play no part.
    df : (k,) float64
        Degrees of freedom of the variances; infinite without weights and clusters.
    effective : float
        Kish's effective number of answers.
    """

    share: Floats
    std_error: Floats
    n: Ints
    influence: Floats
    df: Floats
    effective: float

    def limits(self, level: float) -> tuple[Floats, Floats]:
        """Return the limits of the shares; see `share_limits`."""
        n = effective_number(self.share, self.std_error, self.effective)
        return share_limits(self.share, n, level=level, df=self.df)


def weighted_shares(
    units: Responses, answer: Ints, n_kinds: int, *, members: Flags | None = None, base: Floats | None = None
) -> WeightedShares:
    """Return the shares of each kind of answer among all units of a group.

    Parameters
    ----------
    units : Responses
    answer : (n,) int64
        Kind of the answer, 0 ... n_kinds - 1; looked at only where one was given.
    n_kinds : int
    members : (n,) bool, optional
        Units of the group; all by default. The chances are those of all.
    base : (n,) float64, optional
        What each unit counts for besides; 1 by default.

    Returns
    -------
    WeightedShares
        NaN where nobody of the group has answered.

    Examples
    --------
    Half of four answer with certainty, half with chance 1/2: an answer of theirs counts twice.

    >>> units = Responses(np.array([1, 1, 1, 0], dtype=bool), np.array([1, 1, 0.5, 0.5]), np.zeros((4, 0)))
    >>> found = weighted_shares(units, np.array([0, 1, 1, 0]), 2)
    >>> found.share.tolist(), found.n.tolist()
    ([0.25, 0.75], [1, 2])
    """
    inside = units.answered if members is None else units.answered & members
    w = np.where(inside, units.weight if base is None else units.weight * base, 0.0)
    mine = (answer[:, None] == np.arange(n_kinds)) & inside[:, None]
    sums = w @ mine
    total = float(sums.sum())  # of the sums themselves, so that the share of all is 1 to the last digit
    counts = np.bincount(answer[inside], minlength=n_kinds).astype(np.int64)
    if total <= 0:
        nothing = np.full(n_kinds, np.nan)
        return WeightedShares(nothing, nothing, counts, np.zeros((inside.size, n_kinds)), nothing, 0.0)
    share = sums / total
    own = w[:, None] * (mine - share) / total
    slopes = units.matrix.T @ (own * (1 - units.chance)[:, None])
    influence = (own - units.from_scores(slopes)) / np.sqrt(1 - units.leverage())[:, None]
    squares = units.summed(influence) ** 2
    variance = squares.sum(axis=0)
    df = np.full(n_kinds, np.inf)
    if units.cluster is not None or units.matrix.shape[1] or base is not None:
        fourth = (squares**2).sum(axis=0)
        df = np.maximum(np.divide(variance**2, fourth, out=df, where=fourth > 0) - 1, 1.0)
    error = np.sqrt(variance)
    read_only(share, error, counts, influence, df)
    return WeightedShares(share, error, counts, influence, df, float(total**2 / (w @ w)))


def effective_number(share: Floats, std_error: Floats, most: float) -> Floats:
    """Return the number of equal answers that would be as exact: share (1 - share) / variance.

    Where the share is 0 or 1 it is `most`, Kish's number; NaN stays NaN.

    Examples
    --------
    >>> effective_number(np.array([0.5, 0.0]), np.array([0.05, 0.0]), 80.0).round(6).tolist()
    [100.0, 80.0]
    """
    spread = share * (1 - share)
    varies = (spread > 0) & (std_error > 0)
    found = np.divide(spread, std_error**2, out=np.full(share.shape, most), where=varies)
    return np.asarray(np.where(np.isnan(share), np.nan, found))


def share_limits(share: Floats, n: Floats, *, level: float, df: Any = np.inf) -> tuple[Floats, Floats]:
    """Return Wilson's limits of shares with (effective) numbers n, with a quantile of t at `df` degrees of freedom.

    Examples
    --------
    >>> lower, upper = share_limits(np.array([0.0, 0.5]), np.array([50.0, 50.0]), level=0.95)
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.0, 0.3664], [0.0713, 0.6336])
    """
    return wilson(share, n, stdtrit(df, 0.5 + level / 2))


def wilson(share: Floats, n: Floats, z: Any) -> tuple[Floats, Floats]:
    """Return Wilson's limits at z standard errors."""
    middle = share + z**2 / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z**2 / n
    return np.clip((middle - reach) / scale, 0.0, 1.0), np.clip((middle + reach) / scale, 0.0, 1.0)
