"""Hazard ratios of exposures over occasions, and the share of the events that is attributable to them.

An occasion (here: an activity, on which a user may leave) of cell c with exposures x ends in the event with probability

    F = 1 - exp(-h),     h = exp(a_c + x'b),

so that exp(b) is a ratio of cumulative hazards: log(1 - F) is multiplied by it (Prentice and Gloeckler 1978). Each cell
has a level of its own. Occasions alike come as counts, n of which d with the event; fitting is that of
`churnsurv.numerics.grouped`, cells as strata of one interval.

With x0 the exposures without those looked at, the attributable share is what the model lets expect less without them,

    share = 1 - A / B,     A = sum of F(x0),     B = sum of F(x)

(Bruzzi, Green, Byar, Brinton and Schairer 1985; Greenland and Drescher 1993). Where the event is rare this is Bruzzi's
1 - mean over events of 1 / ratio. Both the coefficients and who is exposed are random. With q = h / (e^h - 1), the
derivative of the log-likelihood in log h is s = q at an event and s = -h otherwise, the information r = q (q + h - 1)
or h; with K_c its sum over a cell, C_c the sum of it times x, and V the inverse of the information in b, the influence
of an occasion on a function with gradient (g_a, g_b) in levels and coefficients is

    s (w_a,c + x'w_b),     w_b = V (g_b - sum of C_c g_a,c / K_c),     w_a,c = (g_a,c - C_c'w_b) / K_c,

and on log(A / B) in addition F(x0) / A - F(x) / B. Influences are added up by cluster (user), and their squares over
clusters are the variance (Huber 1967; Liang and Zeger 1986), raised where few users matter: see `clustered`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import exprel

from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.design import design
from churnsurv.numerics.grouped import GroupedSolution, fit_grouped
from churnsurv.numerics.risk_sets import risk_sets

__all__ = [
    "Attributable",
    "Clustered",
    "ExposureFit",
    "Occasions",
    "attributable",
    "bruzzi_share",
    "clustered",
    "coefficient_influence",
    "fit_exposures",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_CHUNK = 4_000_000  # occasions whose influences are held at once
_LEAST = 1e-3  # of the variance left beside one user, and of degrees of freedom: with less there is no error


@dataclass(frozen=True, slots=True, eq=False)
class Occasions:
    """Patterns of occasions that are alike.

    Attributes
    ----------
    n, d : (m,) float64
        Occasions, and those with the event; also expected numbers. A pattern with n = 0 counts nowhere.
    cell : (m,) int64
        0 ... n_cells - 1.
    exposures : (m, p) float64
    """

    n: Floats
    d: Floats
    cell: Ints
    exposures: Floats

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.cell.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, eq=False)
class ExposureFit:
    """The fitted model. Arrays are read-only.

    Attributes
    ----------
    occasions : Occasions
    coefficients : (p,) float64
        Logarithms of hazard ratios.
    level : (n_cells,) float64
        a; minus infinity where no occasion has the event, infinity where all have it: such cells say nothing of b.
    hazard : (m,) float64
        h of each pattern.
    inverse_information : (p, p) float64
        V.
    """

    occasions: Occasions
    coefficients: Floats
    level: Floats
    hazard: Floats
    inverse_information: Floats

    def __post_init__(self) -> None:
        read_only(self.coefficients, self.level, self.hazard, self.inverse_information)

    @property
    def chance(self) -> Floats:
        """F of each pattern."""
        return np.asarray(-np.expm1(-self.hazard), dtype=np.float64)

    @property
    def scores(self) -> Floats:
        """Derivative of the log-likelihood in log h, shape (2, m): without the event, and with it."""
        h = np.where(np.isfinite(self.hazard), self.hazard, 0.0)
        return np.stack([-h, np.where(h > 0, 1.0 / exprel(h), 0.0)])

    @property
    def information(self) -> Floats:
        """Minus its derivative, summed over the occasions of each pattern, shape (m,)."""
        h = np.where(np.isfinite(self.hazard), self.hazard, 0.0)
        q = 1.0 / exprel(h)
        mine = self.occasions
        informative = (h > 0).astype(np.float64)
        found: Floats = informative * (mine.d * q * np.maximum(q + h - 1.0, 0.0) + (mine.n - mine.d) * h)
        return found


def fit_exposures(occasions: Occasions, names: Sequence[str]) -> ExposureFit:
    """Fit the model by maximum likelihood.

    Parameters
    ----------
    occasions : Occasions
    names : sequence of str
        Of the exposures, for errors.

    Raises
    ------
    ConvergenceError
        If there is no event, or a coefficient is infinite or not identified; it is named.

    Examples
    --------
    Of 100 occasions without the problem 10 end in the event, of 50 with it 20.

    >>> made = Occasions(np.array([100.0, 50]), np.array([10.0, 20]), np.zeros(2, np.int64), np.array([[0.0], [1.0]]))
    >>> ratio = np.exp(fit_exposures(made, ["crash"]).coefficients[0])
    >>> bool(np.isclose(ratio, np.log(1 - 0.4) / np.log(1 - 0.1), rtol=1e-10))
    True
    """
    n, d, X = occasions.n, occasions.d, occasions.exposures
    row = np.concatenate([np.flatnonzero(d > 0), np.flatnonzero(n > d)])
    event = np.arange(row.size) < np.count_nonzero(d > 0)
    weights = np.where(event, d[row], n[row] - d[row])
    sets = risk_sets(np.ones(row.size, np.int64), event, stratum=occasions.cell[row], n_strata=occasions.n_cells)
    made = design([X[row, k] for k in range(X.shape[1])], list(names), n_rows=row.size)
    data = CoxData(made, sets, sampling=weights)
    found = fit_grouped(data)
    level = _levels(occasions, data, found)
    with np.errstate(invalid="ignore", over="ignore"):
        hazard = np.exp(level[occasions.cell] + X @ found.coefficients)
    return ExposureFit(occasions, found.coefficients.copy(), level, hazard, found.inverse_information.copy())


def _levels(occasions: Occasions, data: CoxData, found: GroupedSolution) -> Floats:
    """Level of each cell, from the hazards of the strata at the largest linear predictor."""
    mine, state = data.sets, found.state
    level = np.full(occasions.n_cells, -np.inf)
    at_zero = float(found.coefficients @ data.design.centre) + state.shift
    emptied = mine.n_events == mine.n_at_risk
    with np.errstate(divide="ignore"):
        level[mine.stratum] = np.where(emptied, np.inf, np.log(state.hazard) - at_zero)
    return level


def coefficient_influence(fit: ExposureFit, weights: Floats) -> Floats:
    """Influence of an occasion on sums of coefficients.

    Parameters
    ----------
    fit : ExposureFit
    weights : (p, k) float64
        Of the coefficients in each of k sums.

    Returns
    -------
    (2, m, k) float64
        Of an occasion of each pattern without the event, and with it.
    """
    return _influence(fit, np.zeros((fit.level.size, weights.shape[1])), weights)


def _influence(fit: ExposureFit, by_level: Floats, by_coefficient: Floats) -> Floats:
    """Influence through the estimates on functions with these gradients, (n_cells, k) and (p, k)."""
    mine, information = fit.occasions, fit.information
    n_cells = fit.level.size
    K = np.bincount(mine.cell, information, n_cells)
    C = np.stack([np.bincount(mine.cell, information * x, n_cells) for x in mine.exposures.T], axis=1)
    inverse = np.divide(1.0, K, out=np.zeros(n_cells), where=K > 0)
    w_b = fit.inverse_information @ (by_coefficient - C.T @ (by_level * inverse[:, None]))
    w_a = (by_level - C @ w_b) * inverse[:, None]
    there = (mine.n > 0).astype(np.float64)
    return (fit.scores * there)[:, :, None] * (w_a[mine.cell] + mine.exposures @ w_b)


@dataclass(frozen=True, slots=True, eq=False)
class Attributable:
    """Shares attributable to sets of exposures.

    Attributes
    ----------
    share : (k,) float64
        Below 0 where the exposures go with fewer events.
    expected : float
        Events expected as things were.
    influence : (2, m, k) float64
        Of an occasion of each pattern, without and with the event, on log(1 - share).
    """

    share: Floats
    expected: float
    influence: Floats


def attributable(fit: ExposureFit, removed: NDArray[np.bool_]) -> Attributable:
    """Return the share of the events that would not have been without some exposures, if the model is causal.

    Parameters
    ----------
    fit : ExposureFit
    removed : (k, p) bool
        The exposures that are taken away in each of k questions.

    Examples
    --------
    Of 150 occasions 30 have the event; at the rate of those without the problem it were 15.

    >>> made = Occasions(np.array([100.0, 50]), np.array([10.0, 20]), np.zeros(2, np.int64), np.array([[0.0], [1.0]]))
    >>> attributable(fit_exposures(made, ["crash"]), np.array([[True]])).share.round(10).tolist()
    [0.5]
    """
    mine = fit.occasions
    certain = np.isinf(fit.level[mine.cell])  # cells without the event, or with nothing else: the same either way
    h = np.where(certain, 0.0, fit.hazard)
    F = np.where(certain, np.where(mine.n > 0, mine.d / np.maximum(mine.n, 1e-300), 0.0), -np.expm1(-h))
    B = float(mine.n @ F)
    slope = mine.n * np.exp(-h) * h
    shares, found = [], []
    for gone in removed:
        h0 = h * np.exp(-mine.exposures[:, gone] @ fit.coefficients[gone])
        F0 = np.where(certain, F, -np.expm1(-h0))
        A = float(mine.n @ F0)
        slope0, X0 = mine.n * np.exp(-h0) * h0, np.where(gone, 0.0, mine.exposures)
        by_level = np.bincount(mine.cell, slope0 / A - slope / B, fit.level.size).astype(np.float64)[:, None]
        by_coefficient = (slope0 @ X0 / A - slope @ mine.exposures / B)[:, None]
        own = np.where(mine.n > 0, F0 / A - F / B, 0.0)
        found.append(_influence(fit, by_level, by_coefficient) + own[None, :, None])
        shares.append(1.0 - A / B)
    return Attributable(np.array(shares), B, np.concatenate(found, axis=2))


def bruzzi_share(d: Floats, exposures: Floats, coefficients: Floats) -> float:
    """Return Bruzzi's share, from those with the event alone: 1 - mean of 1 / ratio (Bruzzi and others 1985).

    Parameters
    ----------
    d : (m,) float64
        Events of each pattern.
    exposures : (m, p) float64
        Those that are taken away.
    coefficients : (p,) float64

    Examples
    --------
    Half of the events are exposed to a ratio of 2: a half of them, a quarter of all.

    >>> round(bruzzi_share(np.array([10.0, 10]), np.array([[0.0], [1.0]]), np.log([2.0])), 12)
    0.25
    """
    return float(1.0 - d @ np.exp(-exposures @ coefficients) / d.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Clustered:
    """Errors of k estimates from influences added up by user.

    Attributes
    ----------
    sandwich : (k, k) float64
        Sum of the squares, as it is: too small where few users matter, whose own residuals the estimate has shrunk.
    covariance : (k, k) float64
        With the sum of each user raised by the share that it has in the variance.
    df : (k,) float64
        Degrees of freedom: the effective number of users less one.
    """

    sandwich: Floats
    covariance: Floats
    df: Floats


def clustered(
    influence: Floats,
    chance: Floats,
    pattern: NDArray[np.integer],
    event: NDArray[np.bool_],
    user: NDArray[np.integer],
) -> Clustered:
    """Return the covariance of estimates, errors clustered by user, few of whom may matter.

    By the model the sum U_g of user g has the variance v_g, sum over its occasions of F (1 - F) (i1 - i0)^2 plus the
    square of the mean; p_g = v_g / sum of v is the share of the user in the variance. U_g is divided by
    sqrt(1 - p_g) (Bell and McCaffrey 2002, for one direction), and limits are those of Student's law with 1 / sum of
    p_g^2 - 1 degrees of freedom (Satterthwaite's; Fay and Graubard 2001). For the mean of G users with one occasion
    each that is the variance with G - 1, and Student's law with G - 1, exactly.

    Parameters
    ----------
    influence : (2, m, k) float64
        Of an occasion of each pattern, without and with the event.
    chance : (m,) float64
        F of each pattern.
    pattern, event, user : (n,)
        Each occasion; those of a user stand together.

    Examples
    --------
    Two users with two occasions each: the sums are 3 and -3, and each has half of the variance.

    >>> influence = np.array([[[1.0], [-1.0]], [[2.0], [-2.0]]])
    >>> rows = np.array([0, 0, 1, 1]), np.array([False, True] * 2), np.array([4, 4, 7, 7])
    >>> found = clustered(influence, np.array([0.5, 0.5]), *rows)
    >>> found.sandwich.tolist(), found.covariance.round(9).tolist(), found.df.round(9).tolist()
    ([[18.0]], [[36.0]], [1.0])
    """
    k = influence.shape[2]
    F = chance[:, None]
    mean, variance = F * influence[1] + (1 - F) * influence[0], F * (1 - F) * (influence[1] - influence[0]) ** 2
    begins = np.flatnonzero(np.diff(user, prepend=-1))
    ends = np.append(begins[1:], user.size)
    sums, own = np.zeros((begins.size, k)), np.zeros((begins.size, k))
    first = 0
    while first < begins.size:
        # whole users, as many as hold a chunk
        last = int(np.searchsorted(ends, begins[first] + max(_CHUNK // k, 1), side="right"))
        last = max(last, first + 1)
        rows, starts = slice(int(begins[first]), int(ends[last - 1])), begins[first:last] - begins[first]
        mine = pattern[rows]
        sums[first:last] = np.add.reduceat(influence[event[rows].astype(np.intp), mine], starts, axis=0)
        own[first:last] = np.add.reduceat(variance[mine], starts, axis=0)
        own[first:last] += np.add.reduceat(mean[mine], starts, axis=0) ** 2
        first = last
    whole = own.sum(axis=0)
    own /= np.where(whole > 0, whole, 1.0)
    raised = sums / np.sqrt(np.maximum(1.0 - own, _LEAST))
    squares = (own**2).sum(axis=0)
    df = np.maximum(1.0 / np.where(squares > 0, squares, 1.0) - 1.0, _LEAST)
    return Clustered(sums.T @ sums, raised.T @ raised, df)
