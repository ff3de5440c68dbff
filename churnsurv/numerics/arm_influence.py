"""How each user moves what is estimated for the arms of a campaign: returns, days until return, hazard ratios, sums.

Users are in cells, one for each arm and stratum. A cell's curve is Kaplan and Meier's, with d returns among n at risk
at each time, S its survival (not yet returned), a = 1 / (n - d), B the running sum of b = d / (n (n - d)) and A(u) the
area under S from u to the horizon. A user who ends at u, returned or not, moves (Jaeckel 1972, Efron 1981)

    1 - S(t)   by   S(t) [ 1{returned, u <= t} a(u) - B(min(u, t)) ],
    the area   by   (sum of A b up to u) - 1{returned} A(u) a(u),
    the log hazard ratio of two arms   by   I^-1 u_i,

u_i the score residual of grouped proportional hazards with the arm alone (`churnsurv.numerics.grouped_residuals`).
Squares of the first two sum to Greenwood's variance exactly. All three depend on the cell, the time and the outcome
alone, so that a table of a few numbers holds them for any number of users. What is added up over days, W (weighted by
the distribution of follow-up, Bang and Tsiatis 2000), moves its mean by

    ( W_i - sum over u <= min(C_i, horizon) of m(u) / G(u-) ) / n,

m(u) the mean of day u and C_i the days that the user was followed for (`churnsurv.numerics.accumulated`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError, FollowUpError
from churnsurv.notes import note
from churnsurv.numerics.cox import CoxData
from churnsurv.numerics.day_counts import DayCounts, day_counts, read_only, time_index
from churnsurv.numerics.design import design
from churnsurv.numerics.grouped import fit_grouped
from churnsurv.numerics.grouped_residuals import grouped_score_residuals
from churnsurv.numerics.risk_sets import risk_sets

__all__ = ["ArmCells", "CellCurves", "LogHazardRatio", "RowTable", "arm_cells", "cell_curves", "log_hazard_ratio"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = "slice | NDArray[np.integer[Any]]"


@dataclass(frozen=True, slots=True, eq=False)
class ArmCells:
    """Users by arm and stratum; cell = arm * n_strata + stratum.

    Attributes
    ----------
    n_arms, n_strata : int
    n : (n_arms, n_strata) int64
        Users.
    n_units : (n_arms, n_strata) int64
        Those that are independent: clusters, where users share some.
    share : (n_strata,) float64
        Of all users; what is estimated in the strata is weighted with it, the same for all arms.
    cell, arm, stratum : (n_users,) integer
    """

    n_arms: int
    n_strata: int
    n: Ints
    n_units: Ints
    share: Floats
    cell: NDArray[np.integer[Any]]
    arm: NDArray[np.integer[Any]]
    stratum: NDArray[np.integer[Any]]

    @property
    def n_users(self) -> int:
        """All users."""
        return int(self.n.sum())

    def mean(self, values: Floats) -> Floats:
        """Weighted means over the strata of values by cell, (n_cells, ...), for each arm: (n_arms, ...).

        Examples
        --------
        >>> cells = arm_cells(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), n_arms=2, n_strata=2)
        >>> cells.mean(np.array([1.0, 3, 5, 9])).tolist()
        [2.0, 7.0]
        """
        by_arm = values.reshape(self.n_arms, self.n_strata, *values.shape[1:])
        found: Floats = np.tensordot(by_arm, self.share, axes=([1], [0]))
        return found

    def weight(self) -> Floats:
        """What influences within each cell are multiplied with, (n_cells,): its share, corrected for small cells.

        Squares of the influences of u units add up to (u - 1) / u of the variance, which is much of it where strata are
        small. What the strata differ by, on the other hand, holds the noise of their own estimates: with U_s units in
        the stratum and U in all, 1 / U_s - 1 / U of the same variance once more. So the squares of a cell are
        multiplied with u / (u - 1) (1 - 1 / U_s + 1 / U). One stratum is left as it is: its variance is Greenwood's.

        NaN for a cell of one unit among several strata: it says nothing of the variance.

        Examples
        --------
        Strata of two users an arm: squares of 1, 1 are short of half the variance, and the strata add a quarter.

        >>> stratum = np.repeat([0, 1], 4)
        >>> cells = arm_cells(np.tile([0, 0, 1, 1], 2), stratum, n_arms=2, n_strata=2)
        >>> (cells.weight() ** 2 / 0.5**2).round(12).tolist()
        [1.75, 1.75, 1.75, 1.75]
        """
        share = np.tile(self.share, self.n_arms)
        if self.n_strata == 1:
            return share
        units = self.n_units.astype(np.float64)
        lost = np.divide(units, units - 1, out=np.full_like(units, np.nan), where=units > 1)
        in_stratum = np.maximum(units.sum(axis=0), 1.0)
        twice = 1 / in_stratum - 1 / max(float(units.sum()), 1.0)
        corrected: Floats = share * np.sqrt(lost * (1 - twice)).ravel()
        return corrected

    def ratio_weight(self, arm: int, control: int) -> Floats:
        """What influences on the log hazard ratio of two arms are multiplied with, (n_cells,).

        Each stratum has a baseline of its own, which takes 1 / U of the squares of the U units of both arms in it; with
        one stratum, whose variance is that of Lin and Wei, nothing is multiplied.
        """
        if self.n_strata == 1:
            return np.ones(self.n_arms)
        both = (self.n_units[arm] + self.n_units[control]).astype(np.float64)
        return np.tile(np.sqrt(both / np.maximum(both - 1, 1.0)), self.n_arms)


def arm_cells(
    arm: NDArray[np.integer[Any]],
    stratum: NDArray[np.integer[Any]] | None = None,
    *,
    n_arms: int,
    n_strata: int = 1,
    cluster: NDArray[np.integer[Any]] | None = None,
) -> ArmCells:
    """Put users into cells; an empty cell is for the caller to refuse, and one of a single unit among strata.

    Parameters
    ----------
    arm, stratum : (n,) integer
    n_arms, n_strata : int
    cluster : (n,) integer, optional
        Users of one cluster depend on each other: cells have so many units.

    Examples
    --------
    >>> arm_cells(np.array([0, 1, 1]), n_arms=2).n.tolist()
    [[1], [2]]
    """
    if stratum is None or n_strata == 1:
        cell, stratum = arm, np.zeros(arm.shape[0], dtype=np.int8)
    else:
        cell = arm * n_strata + stratum
    n = np.bincount(cell, minlength=n_arms * n_strata).reshape(n_arms, n_strata)
    share = n.sum(axis=0) / max(n.sum(), 1)
    n_units = n
    if cluster is not None and n_strata > 1:
        order = np.lexsort((cluster, cell))
        of, within = cell[order], cluster[order]
        first = np.concatenate([[True], (of[1:] != of[:-1]) | (within[1:] != within[:-1])])
        n_units = np.bincount(of[first], minlength=n_arms * n_strata).reshape(n_arms, n_strata)
    read_only(n, n_units, share)
    return ArmCells(n_arms, n_strata, n, n_units, share, cell, arm, stratum)


@dataclass(frozen=True, slots=True, eq=False)
class CellCurves:
    """Curves of all cells at the times at which anybody's ends, up to the horizon.

    Attributes
    ----------
    counts : DayCounts
    time : (n_times,)
    horizon : float
    survival : (n_cells, n_times) float64
        P(not returned by the time).
    jump, drift : (n_cells, n_times) float64
        a and b; 0 from where all have returned.
    area : (n_cells,) float64
        Days not yet returned, up to the horizon.
    remaining : (n_cells, n_times) float64
        A at each time.
    pattern : (n_users,) integer
        (cell * n_times + time) * 2 + returned: the place of a user in the tables.
    """

    counts: DayCounts
    time: NDArray[Any]
    horizon: float
    survival: Floats
    jump: Floats
    drift: Floats
    area: Floats
    remaining: Floats
    pattern: NDArray[np.integer[Any]]

    @property
    def returned(self) -> Floats:
        """Share returned by the horizon, (n_cells,)."""
        return 1.0 - self.survival[:, -1]

    def influence_on_return(self, at: int = -1) -> Floats:
        """Table of what a user moves 1 - S by, at the time in position `at`: (n_cells, n_times, 2).

        Examples
        --------
        Two of four return: squares sum to p (1 - p) / n.

        >>> cells = arm_cells(np.zeros(4, dtype=int), n_arms=1)
        >>> curves = cell_curves(cells, np.array([1, 2, 3, 3]), np.array([True, True, False, False]), horizon=3)
        >>> found = curves.influence_on_return().ravel()[curves.pattern]
        >>> found.round(6).tolist(), round(float(found @ found), 6)
        ([0.125, 0.125, -0.125, -0.125], 0.0625)
        """
        at = at % self.time.shape[0]
        upto = np.minimum(np.arange(self.time.shape[0]), at)
        lost = np.cumsum(self.drift, axis=1)[:, upto]
        gained = np.where(np.arange(self.time.shape[0]) <= at, self.jump, 0.0)
        return self.survival[:, at, None, None] * np.stack([-lost, gained - lost], axis=2)

    def influence_on_area(self) -> Floats:
        """Table of what a user moves the area by: (n_cells, n_times, 2)."""
        kept = np.cumsum(self.remaining * self.drift, axis=1)
        return np.stack([kept, kept - self.remaining * self.jump], axis=2)

    def covariance_of_return(self, cell: int) -> Floats:
        """Greenwood's covariance of 1 - S over the times, (n_times, n_times): S(s) S(t) B(min(s, t))."""
        B = np.cumsum(self.drift[cell])
        place = np.arange(self.time.shape[0])
        found: Floats = np.outer(self.survival[cell], self.survival[cell]) * B[np.minimum.outer(place, place)]
        return found


def cell_curves(
    cells: ArmCells, time: NDArray[Any], returned: NDArray[np.bool_], *, horizon: float, names: Sequence[str] = ()
) -> CellCurves:
    """Estimate the curve of each cell up to the horizon.

    Parameters
    ----------
    cells : ArmCells
    time : (n,)
        > 0; that of the return, else the end of follow-up. What is beyond the horizon is cut at it.
    returned : (n,) bool
    horizon : float
    names : sequence of str
        What errors call the cells.

    Raises
    ------
    FollowUpError
        If a cell has nobody without return who was followed to the horizon, and not all have returned.

    Examples
    --------
    >>> cells = arm_cells(np.zeros(4, dtype=int), n_arms=1)
    >>> curves = cell_curves(cells, np.array([1, 2, 2, 4]), np.array([True, True, False, False]), horizon=3)
    >>> curves.returned.tolist(), curves.area.tolist()
    ([0.5], [2.25])
    """
    beyond = time > horizon
    if beyond.any():
        time, returned = np.minimum(time, horizon), returned & ~beyond
    n_cells = cells.n_arms * cells.n_strata
    counts = day_counts(time, returned, group=cells.cell, n_groups=n_cells)
    n, d = counts.n_at_risk.astype(np.float64), counts.n_events.astype(np.float64)
    left = n - d
    stays = np.divide(left, n, out=np.ones_like(n), where=n > 0)
    survival = np.asarray(np.cumprod(stays, axis=1), dtype=np.float64)
    ends = counts.time[-1] if counts.time.size else 0
    alone = (survival[:, -1] > 0) & ((counts.n_at_risk[:, -1] == 0) | (ends < horizon))
    if alone.any():
        which = int(np.argmax(alone))
        name = names[which] if names else f"cell {which}"
        last = counts.time[np.flatnonzero(n[which])[-1]] if n[which].any() else 0
        raise FollowUpError(
            f"{name}: nobody who has not returned was followed for {horizon:g} days, so what happens by then cannot be "
            f"told. The longest follow-up without return has {last:g} days: choose a shorter horizon, or larger strata."
        )
    some = (left > 0) & (n > 0)
    jump = np.divide(1.0, left, out=np.zeros_like(n), where=some)
    drift = np.divide(d, n * left, out=np.zeros_like(n), where=some)
    corners = np.concatenate([[0.0], counts.time.astype(np.float64)])
    steps = np.concatenate([np.ones((n_cells, 1)), survival[:, :-1]], axis=1) * np.diff(corners)
    beyond_each = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    remaining = np.concatenate([beyond_each[:, 1:], np.zeros((n_cells, 1))], axis=1)
    place = time_index(counts.time, time)
    pattern = _patterns(cells.cell, place, returned, counts.time.shape[0], n_cells)
    area = np.ascontiguousarray(beyond_each[:, 0])
    read_only(survival, jump, drift, area, remaining, pattern)
    return CellCurves(counts, counts.time, float(horizon), survival, jump, drift, area, remaining, pattern)


def _patterns(
    cell: NDArray[np.integer[Any]], place: NDArray[np.intp], returned: NDArray[np.bool_], n_times: int, n_cells: int
) -> NDArray[np.integer[Any]]:
    kind = np.int32 if 2 * n_times * n_cells < 2**31 else np.int64
    pattern: NDArray[Any] = cell.astype(kind)
    pattern *= kind(n_times)
    pattern += place.astype(kind)
    pattern *= kind(2)
    pattern += returned.astype(kind)
    return pattern


@dataclass(frozen=True, slots=True, eq=False)
class LogHazardRatio:
    """The log hazard ratio of return of an arm against another, in strata.

    Attributes
    ----------
    estimate : float
        NaN where there is none.
    influence : (n_cells, n_times, 2) float64
        What a user moves it by; 0 in other arms.
    note : str or None
        Why there is no estimate.
    """

    estimate: float
    influence: Floats
    note: str | None


def log_hazard_ratio(cells: ArmCells, curves: CellCurves, arm: int, control: int) -> LogHazardRatio:
    """Fit grouped proportional hazards with the arm alone, strata with their own baselines.

    Days are intervals: any share of those at risk may return on one.

    Parameters
    ----------
    cells : ArmCells
    curves : CellCurves
    arm, control : int

    Examples
    --------
    One return in four against three in four, on one day: the hazards are log 4/3 and log 4.

    >>> cells = arm_cells(np.repeat([0, 1], 4), n_arms=2)
    >>> returned = np.array([True, False, False, False, True, True, True, False])
    >>> curves = cell_curves(cells, np.ones(8, dtype=int), returned, horizon=1)
    >>> found = log_hazard_ratio(cells, curves, 1, 0)
    >>> bool(np.isclose(np.exp(found.estimate), np.log(4) / np.log(4 / 3)))
    True
    """
    S, (n_cells, n_times) = cells.n_strata, curves.survival.shape
    table = np.zeros((n_cells, n_times, 2))
    both = np.concatenate([np.arange(a * S, (a + 1) * S) for a in (control, arm)])
    events, censored = curves.counts.n_events[both], curves.counts.n_censored[both]
    if not events[:S].any():
        return LogHazardRatio(np.nan, table, note("no hazard ratio, as nobody of the control returned"))
    if not events[S:].any():
        return LogHazardRatio(np.nan, table, note("no hazard ratio, as nobody of the arm returned"))
    numbers = np.stack([censored, events], axis=2)
    cell, place, outcome = np.nonzero(numbers)
    weight = numbers[cell, place, outcome].astype(np.float64)
    sets = risk_sets(
        curves.time[place], outcome == 1, stratum=cell % S, n_strata=S, frequency=numbers[cell, place, outcome]
    )
    x = (cell >= S).astype(np.float64)
    data = CoxData(design([x], ["arm"], n_rows=x.shape[0]), sets, frequency=weight)
    try:
        fit = fit_grouped(data)
    except ConvergenceError:
        return LogHazardRatio(np.nan, table, note("no hazard ratio, as it is not finite"))
    moved = grouped_score_residuals(data, fit.state)[:, 0] * data.design.scale[0] * fit.inverse_information[0, 0]
    table[both[cell], place, outcome] = moved
    return LogHazardRatio(float(fit.coefficients[0]), table, None)


@dataclass(frozen=True, slots=True, eq=False)
class RowTable:
    """Columns of influences, one for each estimate, made for any rows when they are asked for.

    Attributes
    ----------
    tables : (n_tables, n_patterns) float64
        By pattern of return.
    pattern : (n,) integer
    sums : sequence of (n,) float64
        W of what is added up over days.
    expected : (n_sums, n_ends) float64
        What a user of the cell has brought by the end, on average, by `end`.
    end : (n,) integer
        cell * (horizon + 1) + min(C, horizon).
    scale : (n_cells,) float64
        `ArmCells.weight` / users of the cell: of sums and covariates. Tables have the weight in them.
    covariates : sequence of (n,) float64
    means : (n_covariates, n_cells) float64
        Of the covariates.
    cell : (n,) integer
    """

    tables: Floats
    pattern: NDArray[np.integer[Any]]
    sums: Sequence[Floats]
    expected: Floats
    end: NDArray[np.integer[Any]]
    scale: Floats
    covariates: Sequence[Floats]
    means: Floats
    cell: NDArray[np.integer[Any]]

    @property
    def n_columns(self) -> int:
        """Tables, then sums, then covariates."""
        return len(self.tables) + len(self.sums) + len(self.covariates)

    def of(self, rows: Rows, columns: Sequence[int] | None = None) -> Floats:
        """Influences of some rows, shape (n_columns, n_rows), or of chosen columns."""
        asked = range(self.n_columns) if columns is None else columns
        cell = self.cell[rows]
        scale = self.scale[cell]
        pattern = self.pattern[rows]
        end = self.end[rows] if len(self.sums) else None
        found = np.empty((len(asked), cell.shape[0]))
        n_tables, n_sums = len(self.tables), len(self.sums)
        for line, column in zip(found, asked, strict=True):
            if column < n_tables:
                np.take(self.tables[column], pattern, out=line)
            elif column < n_tables + n_sums:
                k = column - n_tables
                np.subtract(self.sums[k][rows], self.expected[k][end], out=line)
                line *= scale
            else:
                k = column - n_tables - n_sums
                np.subtract(self.covariates[k][rows], self.means[k][cell], out=line)
                line *= scale
        return found
