"""How likely a row was to be seen until a day: weights that make up for those censored, or not yet there, before it.

What became of a row by day t is known where it churned by then, or is still there after the churns of day t; a row
censored on day t is. The others are made up for by rows like them: each row that is known has the weight 1 / K(u-),
u its day of churn, or t where it went on, with K = G H, G the product-limit estimate of not being censored, H that of
having entered (Robins and Rotnitzky 1992; Geskus 2011 for late entry). Events of a day come before its censorings:

    K(u-) = product over v < u of (1 - c/R) / (1 - e/Q),

c censored on v of R at risk of it (those at risk on v that do not churn on it), e entering on v of Q in the log just
after v. So weights exist up to the last day, also where everybody is censored on it; and the weighted share of churns
by t is Kaplan and Meier's estimate, exactly. Without late entry the weights add up to the number of rows.

The weights are estimates too. `Followed.through` has the derivative of a weighted sum in the weight of each row by way
of K, which completes the infinitesimal jackknife: the variance of any weighted mean is then the sum of squares of its
derivatives, and that of the share of churns is Greenwood's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import FollowUpError, InputError
from churnsurv.numerics.day_counts import read_only, time_index

__all__ = ["Drawn", "Followed", "Seen", "WeightedMean", "followed", "weighted_mean"]

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """How rows came into the data, which says how far their influences add up.

    Attributes
    ----------
    weights : (n,) float64, or None
        > 0.
    frequency : bool
        The weights say for how many independent users a row stands; else they are those of one row.
    cluster : (n,) integer, or None
        0 ... n_clusters - 1: rows that may depend on each other.
    n_clusters : int
    """

    weights: Floats | None = None
    frequency: bool = False
    cluster: NDArray[np.integer[Any]] | None = None
    n_clusters: int = 0

    def take(self, order: NDArray[np.intp]) -> Drawn:
        """Return the same for rows in another order."""
        weights = None if self.weights is None else self.weights[order]
        cluster = None if self.cluster is None else self.cluster[order]
        return Drawn(weights, self.frequency, cluster, self.n_clusters)

    def times(self, values: Floats) -> Floats:
        """Multiply values of rows, (n,) or (n, p), by their weights."""
        if self.weights is None:
            return values
        return np.asarray(values * (self.weights if values.ndim == 1 else self.weights[:, None]))

    def covariance(self, *influences: Floats) -> Floats:
        """Return the covariance of estimates, (p, p), from the derivatives of each in the weight of each row, (n,).

        Examples
        --------
        >>> Drawn().covariance(np.array([0.5, -0.5])).tolist()
        [[0.5]]
        >>> Drawn(cluster=np.array([0, 0]), n_clusters=1).covariance(np.array([0.5, -0.5])).tolist()
        [[0.0]]
        """
        left: list[NDArray[Any]] = [self.times(influence) for influence in influences]
        if self.cluster is not None:
            left = [np.bincount(self.cluster, influence, minlength=self.n_clusters) for influence in left]
        right: list[NDArray[Any]] = list(influences) if self.frequency and self.cluster is None else left
        return np.array([[float(np.dot(a, b)) for b in right] for a in left])

    def std_error(self, influence: Floats) -> float:
        """Return the standard error of one estimate."""
        return float(np.sqrt(max(self.covariance(influence)[0, 0], 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of rows by a day.

    Attributes
    ----------
    day : float
    churned : (n,) bool
        Known to have churned by the day.
    weight : (n,) float64
        Inverse probability of being known; 0 where it is not known what became of the row. Weights of rows are not in
        it.
    place : int
        Number of the times before the day.
    """

    day: float
    churned: NDArray[np.bool_]
    weight: Floats
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Rows and K; made by `followed`.

    Attributes
    ----------
    time : (m,)
        Distinct times at which rows end or enter.
    code : (n,) int32
        ``2 * place of the end + churned``; ``2 * m`` for rows that are never at risk.
    start : (n,) int32, or None
        Number of the times up to entry, so that a row is at risk from this place on. None where nobody enters late.
    K : (m + 1,) float64
        Just before each time, and after the last; 0 after an empty risk set.
    censored_share, censored_left : (m,) float64
        c / R and 1 / (R - c); 0 where nobody is censored.
    entered_share, entered_left : (m,) float64
        e / Q and 1 / (Q - e); 0 where nobody enters, or nobody was there before.
    drawn : Drawn
    """

    time: NDArray[Any]
    code: Codes
    start: Codes | None
    K: Floats
    censored_share: Floats
    censored_left: Floats
    entered_share: Floats
    entered_left: Floats
    drawn: Drawn

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.code.shape[0])

    @property
    def last_day(self) -> float:
        """Last day on which anybody is at risk."""
        return float(self.time[-1])

    def held(self) -> NDArray[np.bool_]:
        """Mark the rows that are ever at risk."""
        return np.asarray(self.code < 2 * self.time.shape[0])

    def take(self, order: NDArray[np.intp]) -> Followed:
        """Return the same for rows in another order."""
        start = None if self.start is None else self.start[order]
        shared = (self.K, self.censored_share, self.censored_left, self.entered_share, self.entered_left)
        return Followed(self.time, self.code[order], start, *shared, self.drawn.take(order))

    def at(self, day: float) -> Seen:
        """Return what is known of each row by a day, with the inverse of the probability of that.

        Raises
        ------
        FollowUpError
            If nobody was followed to the day.
        InputError
            If nobody was in the log before it, or the log was empty for a while before it.
        """
        if day > self.last_day:
            raise FollowUpError(
                f"nobody was followed to day {day:g}: the last day is {self.last_day:g}. Ask for days up to it."
            )
        m = self.time.shape[0]
        place = int(np.searchsorted(self.time, day, side="left"))
        self._refuse_gap(place, day)
        past = int(np.searchsorted(self.time, day, side="right"))
        of_event = np.divide(1.0, self.K[:m], out=np.zeros(m), where=self.K[:m] > 0)
        going_on = 1 / self.K[place]
        weight = np.zeros(2 * m + 1)
        weight[1 : 2 * past : 2] = of_event[:past]
        # who is censored on the day itself was seen to survive its churns
        weight[2 * place : 2 * m : 2] = going_on
        weight[2 * past + 1 : 2 * m : 2] = going_on
        churned = np.zeros(2 * m + 1, dtype=np.bool_)
        churned[1 : 2 * past : 2] = True
        by_row = weight[self.code]
        seen_churned = churned[self.code]
        if self.start is not None:
            by_row[~seen_churned & (self.start > place)] = 0.0
        return Seen(day, seen_churned, by_row, place)

    def _refuse_gap(self, place: int, day: float) -> None:
        if self.K[place] > 0:
            return
        empty = self.time[int(np.argmax(self.K == 0)) - 1]
        raise InputError(
            f"all who were in the log by day {empty:g} had left it by then, and others came later: what became of "
            f"users by day {day:g} cannot be put together. Ask for earlier days, or begin all follow-up after day "
            f"{empty:g}."
        )

    def through(self, sums: Floats, place: int) -> Floats:
        """Return the derivative, by way of K, of the sum of `sums` in the weight of each row.

        Parameters
        ----------
        sums : (n,) float64
            What each row adds, weights of either kind in it; 0 for rows that are not known.
        place : int
            That of the day; those who went on were weighted by K at it.

        Returns
        -------
        (n,) float64
        """
        m = self.time.shape[0]
        by_code = np.bincount(self.code, sums, minlength=2 * m + 1)[: 2 * m].reshape(m, 2).sum(axis=1)
        return self.through_times(by_code, place)

    def through_times(self, by_time: Floats, place: int) -> Floats:
        """The same, from the sums by the time at which rows end, (m,)."""
        m = self.time.shape[0]
        later = np.zeros(m)
        # rows that end at `place` or after it were weighted by K there
        later[:place] = np.cumsum(by_time[::-1])[::-1][1 : place + 1] if place < m else _exclusive(by_time)
        jump = later * self.censored_left
        drift = np.append(0.0, np.cumsum(jump * self.censored_share))
        by_end = np.zeros(2 * m + 1)
        by_end[: 2 * m : 2] = jump - drift[1:]
        by_end[1 : 2 * m : 2] = -drift[:-1]
        if self.start is None:
            return np.asarray(by_end[self.code])
        entering = later * self.entered_left
        leaning = np.append(0.0, np.cumsum(entering * self.entered_share))
        # in the log just after v: from the place of entry, which is one before `start`, to the one before the end
        by_end[: 2 * m] += np.repeat(leaning[:-1], 2)
        by_start = drift.copy()
        by_start[1:] -= entering + leaning[:-1]
        found: Floats = by_end[self.code] + by_start[self.start]
        found[~self.held()] = 0.0
        return found


def _exclusive(by_time: Floats) -> Floats:
    """Sum over later places."""
    return np.append(np.cumsum(by_time[::-1])[::-1][1:], 0.0)


def followed(
    duration: NDArray[Any],
    churned: NDArray[np.bool_],
    *,
    entry: NDArray[Any] | None = None,
    drawn: Drawn | None = None,
) -> Followed:
    """Estimate how likely rows were to be seen until each day.

    Parameters
    ----------
    duration : (n,) integer or float
        Finite and >= 0.
    churned : (n,) bool
    entry : (n,) integer or float, optional
        At risk in (entry, duration]. None: from before day 0.
    drawn : Drawn, optional
        Weights and clusters of the rows.

    Raises
    ------
    InputError
        If nobody is ever at risk.

    Examples
    --------
    Of four, one churns on day 1, one is censored on day 2, one churns on day 3, one is there on day 4. By day 3 the
    second stands for nobody, and the two after it for one and a half each.

    >>> rows = followed(np.array([1, 2, 3, 4]), np.array([True, False, True, False]))
    >>> rows.at(3).weight.tolist()
    [1.0, 0.0, 1.5, 1.5]
    """
    drawn = Drawn() if drawn is None else drawn
    held = np.ones(duration.shape[0], dtype=np.bool_) if entry is None else entry < duration
    if not held.any():
        raise InputError(
            "nobody is at risk: all rows end on the day on which they enter. There is no time to learn anything from; "
            "take a longer log."
        )
    late = entry is not None and bool((entry[held].max() >= duration[held].min()) or np.ptp(entry[held]) > 0)
    time = _distinct(duration, entry if late else None, held)
    m = time.shape[0]
    end = np.minimum(time_index(time, duration), m - 1)
    code = (2 * end + churned).astype(np.int32)
    code[~held] = 2 * m
    start = None
    if late and entry is not None:
        # who entered before anybody ended or came was there from the first
        start = time_index(time, entry, side="right").astype(np.int32)
        start[~held] = 0
    counts = _tables(code, start, m, None)
    sums = counts if drawn.weights is None else _tables(code, start, m, drawn.weights)
    c_share, c_left, e_share, e_left, K = _factors(counts, sums)
    read_only(time, code, c_share, c_left, e_share, e_left, K, *(() if start is None else (start,)))
    return Followed(time, code, start, K, c_share, c_left, e_share, e_left, drawn)


def _distinct(duration: NDArray[Any], entry: NDArray[Any] | None, held: NDArray[np.bool_]) -> NDArray[Any]:
    columns = [column[held] if not held.all() else column for column in (duration, entry) if column is not None]
    if all(column.dtype.kind in "iu" for column in columns):
        lowest, highest = min(int(c.min()) for c in columns), max(int(c.max()) for c in columns)
        if highest - lowest <= max(1 << 16, columns[0].size):
            there = np.zeros(highest - lowest + 1, dtype=np.bool_)
            for column in columns:
                there[column.astype(np.int64) - lowest] = True
            return np.flatnonzero(there) + lowest
    return np.unique(np.concatenate(columns))


def _tables(code: Codes, start: Codes | None, m: int, weights: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Churned, censored and entered at each time."""
    ended = np.bincount(code, weights, minlength=2 * m + 1).astype(np.float64)
    entered: NDArray[Any] = np.zeros(m)
    if start is not None:
        late = start > 0
        entered = np.bincount(start[late] - 1, None if weights is None else weights[late], minlength=m)
    return ended[1 : 2 * m : 2], ended[: 2 * m : 2], entered.astype(np.float64)


def _at_risk(churned: Floats, censored: Floats, entered: Floats) -> Floats:
    """Who ends at each time or later, less those who enter at it or later."""
    return np.asarray(np.cumsum((churned + censored - entered)[::-1])[::-1])


def _factors(
    counts: tuple[Floats, Floats, Floats], sums: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Shares censored and entered at each time, what is left of them, and K; counts of rows say what is empty."""
    n_risk, n_ended = _at_risk(*counts), counts[0] + counts[1]
    churned, censored, entered = sums
    goes_on = n_risk > n_ended
    left = np.where(goes_on, np.maximum(_at_risk(*sums) - churned - censored, 0.0), 0.0)
    any_censored, any_entered = censored > 0, (entered > 0) & goes_on
    zero = np.zeros(left.shape[0])
    c_share = np.divide(censored, left + censored, out=zero.copy(), where=any_censored)
    c_left = np.divide(1.0, left, out=zero.copy(), where=any_censored & goes_on)
    e_share = np.divide(entered, left + entered, out=zero.copy(), where=any_entered)
    e_left = np.divide(1.0, left, out=zero.copy(), where=any_entered)
    factor = np.divide(left, left + censored, out=zero + 1, where=any_censored)
    factor *= np.divide(left + entered, left, out=zero + 1, where=any_entered)
    # nobody is left: weights end here, unless nobody had been there before
    factor[~goes_on & (np.cumsum(n_ended) + n_risk > 0)] = 0.0
    return c_share, c_left, e_share, e_left, np.append(1.0, np.cumprod(factor))


@dataclass(frozen=True, slots=True, eq=False)
class WeightedMean:
    """A weighted mean and its derivative in the weight of each row, (n,)."""

    estimate: float
    influence: Floats


def weighted_mean(rows: Followed, seen: Seen, values: Floats, *, estimate: float | None = None) -> WeightedMean:
    """Average values of rows whose state on a day is known, so that they stand for all rows.

    Parameters
    ----------
    rows : Followed
    seen : Seen
        Made by ``rows.at(day)``.
    values : (n,) float64
        May depend on whether the row churned by the day.
    estimate : float, optional
        The mean, where it is known already.

    Examples
    --------
    The share that is still there is Kaplan and Meier's, 3/4 * 1/2, and its standard error is Greenwood's.

    >>> rows = followed(np.array([1, 2, 3, 4]), np.array([True, False, True, False]))
    >>> seen = rows.at(3)
    >>> found = weighted_mean(rows, seen, 1.0 - seen.churned)
    >>> found.estimate, round(rows.drawn.std_error(found.influence), 6)
    (0.375, 0.286411)
    """
    sums = rows.drawn.times(seen.weight)
    total = float(sums.sum())
    if total <= 0:
        raise InputError(
            f"nobody was in the log before day {seen.day:g}, so that nothing is known of it. Ask for later days."
        )
    if estimate is None:
        estimate = float(np.dot(sums, values)) / total
    centred = values - estimate
    influence = seen.weight * centred
    sums = sums * centred  # without weights it is the array of `seen`
    influence += rows.through(sums, seen.place)
    influence /= total
    return WeightedMean(estimate, influence)
