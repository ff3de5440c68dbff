"""Aalen and Johansen's cumulative incidence of competing causes, from counts by time.

With d_k events of cause k, d of all causes and Y at risk at each time, and S the survival from all causes together,

    S(t) = prod (1 - d/Y),    F_k(t) = sum S(s-) d_k/Y,    S + sum over causes of F_k = 1    (Aalen and Johansen 1978).

Variances are in `churnsurv.numerics.incidence_variance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.day_counts import DayCounts, day_counts, read_only, time_index

__all__ = [
    *("INCIDENCE_CI", "AalenJohansen", "CauseCounts", "CauseRows", "IncidenceCi"),
    *("aalen_johansen", "cause_counts", "incidence_limits"),
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Days: TypeAlias = NDArray[Any]
IncidenceCi: TypeAlias = Literal["log-log", "plain"]

INCIDENCE_CI: tuple[IncidenceCi, ...] = ("log-log", "plain")


@dataclass(frozen=True, slots=True, eq=False)
class CauseRows:
    """Rows with an outcome.

    Attributes
    ----------
    duration : (n,) integer or float
    outcome : (n,) integer
        0 where censored, 1 ... n_causes where an event of that cause ended the row.
    entry : (n,) integer or float, or None
        At risk in (entry, duration]. None: from before day 0.
    weights : (n,) float64, or None
        > 0.
    frequency : bool
        A weight counts equal rows; else it says how the row was drawn.
    cluster : (n,) integer, or None
        Codes >= 0; rows of one cluster may depend on each other.
    """

    duration: Days
    outcome: NDArray[np.integer[Any]]
    entry: Days | None = None
    weights: Floats | None = None
    frequency: bool = False
    cluster: NDArray[np.integer[Any]] | None = None

    def take(self, rows: NDArray[Any]) -> CauseRows:
        """Return some of the rows.

        Examples
        --------
        >>> CauseRows(np.array([3, 5]), np.array([1, 0])).take(np.array([1])).duration.tolist()
        [5]
        """
        entry, weights, cluster = (None if x is None else x[rows] for x in (self.entry, self.weights, self.cluster))
        return CauseRows(self.duration[rows], self.outcome[rows], entry, weights, self.frequency, cluster)

    def ever_at_risk(self) -> CauseRows:
        """Return the rows that are at risk at some time."""
        if self.entry is None:
            return self
        held = self.entry < self.duration
        return self if bool(held.all()) else self.take(held)


@dataclass(frozen=True, slots=True, eq=False)
class CauseCounts:
    """One group at its own times.

    Attributes
    ----------
    time : (n_times,)
        Distinct times at which rows of the group end, ascending.
    at_risk : (n_times,) float64
        Weight of the rows with ``entry < time <= duration``; their number without weights.
    events : (n_causes, n_times) float64
        Weight of the events of each cause.
    n_at_risk, n_censored : (n_times,) int64
    n_events : (n_causes, n_times) int64
        Numbers: sums of weights that are frequencies, else rows.
    mass : (1 + n_causes, n_times) float64
        Sum of squared sampling weights, of frequencies, or number of the rows that end with each outcome.
    entry_time : (n_entries,)
        Distinct entry times, ascending; none where everybody is at risk from before day 0.
    entered : (n_entries,) float64
        Weight of the rows that enter then.
    n_rows, n_no_risk : int
        Rows ever at risk, and rows that never are; users, where weights are frequencies.
    """

    time: Days
    at_risk: Floats
    events: Floats
    n_at_risk: Ints
    n_events: Ints
    n_censored: Ints
    mass: Floats
    entry_time: Days
    entered: Floats
    n_rows: int
    n_no_risk: int

    def risk_at(self, times: Days) -> Floats:
        """Weight of those at risk at any times, shape (len(times),).

        Examples
        --------
        >>> counts = cause_counts(CauseRows(np.array([2, 4]), np.array([1, 0])), n_causes=1)[0]
        >>> counts.risk_at(np.array([1, 3, 5])).tolist()
        [2.0, 1.0, 0.0]
        """
        at = np.searchsorted(self.time, times)
        end = np.append(self.at_risk, 0.0)[at]
        if self.entry_time.size == 0:
            return end
        # who enters between the time asked for and the next end is not at risk yet
        entered = np.concatenate([[0.0], np.cumsum(self.entered)])
        until = np.append(self.time, np.inf)[at]
        late = entered[np.searchsorted(self.entry_time, until)] - entered[np.searchsorted(self.entry_time, times)]
        return np.asarray(np.maximum(end - late, 0.0) * (at < self.time.size))

    @property
    def left(self) -> Floats:
        """Weight of those at risk that have no event; exactly 0 where all have one."""
        rest = np.maximum(self.at_risk - self.events.sum(axis=0), 0.0)
        return np.where(self.n_at_risk > self.n_events.sum(axis=0), rest, 0.0)


def cause_counts(
    rows: CauseRows, *, n_causes: int, group: NDArray[np.integer[Any]] | None = None, n_groups: int = 1
) -> list[CauseCounts]:
    """Count rows by group, outcome and time; one pass over the rows where times are whole days.

    Examples
    --------
    >>> rows = CauseRows(np.array([2, 2, 3, 4]), np.array([1, 2, 0, 1]))
    >>> counts = cause_counts(rows, n_causes=2)[0]
    >>> counts.time.tolist(), counts.at_risk.tolist(), counts.events.tolist()
    ([2, 3, 4], [4.0, 2.0, 1.0], [[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    """
    if group is not None and rows.duration.dtype.kind == "f" and n_groups > 1:
        order = np.argsort(group, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(group, minlength=n_groups))[:-1])
        return [cause_counts(rows.take(part), n_causes=n_causes)[0] for part in parts]
    width = n_causes + 1
    code = rows.outcome if group is None else _fused(rows.outcome, group, width, n_groups)
    counts = day_counts(rows.duration, rows.outcome > 0, entry=rows.entry, group=code, n_groups=width * n_groups)
    ended, at_risk = counts.n_events + counts.n_censored, counts.n_at_risk
    sums = [x.astype(np.float64) for x in (ended, at_risk, ended, counts.n_entered)]
    if rows.weights is not None:
        sums = _weighed(rows, code, counts, width * n_groups)
        if rows.frequency:
            ended, at_risk = (np.rint(x).astype(np.int64) for x in sums[:2])
    by_group = [x.reshape(n_groups, width, x.shape[1]) for x in (ended, at_risk, *sums)]
    n_rows, n_no_risk = (x.reshape(n_groups, width).sum(axis=1) for x in (counts.n_rows, counts.n_no_risk))
    if rows.weights is not None and rows.frequency:
        n_rows, n_no_risk = _users(rows, group, n_groups)
    return [
        _of_group([x[g] for x in by_group], counts, n_rows=int(n_rows[g]), n_no_risk=int(n_no_risk[g]))
        for g in range(n_groups)
    ]


def _users(rows: CauseRows, group: NDArray[np.integer[Any]] | None, n_groups: int) -> tuple[Ints, Ints]:
    """Users ever at risk, and those who never are, by group."""
    of = np.zeros(rows.duration.size, dtype=np.int64) if group is None else group
    held = np.ones(of.size, dtype=np.bool_) if rows.entry is None else rows.entry < rows.duration
    weights = np.ones(of.size) if rows.weights is None else rows.weights
    found = [np.bincount(of[mask], weights[mask], n_groups) for mask in (held, ~held)]
    return np.rint(found[0]).astype(np.int64), np.rint(found[1]).astype(np.int64)


def _of_group(arrays: list[NDArray[Any]], counts: DayCounts, *, n_rows: int, n_no_risk: int) -> CauseCounts:
    """Cut the arrays of one group, each by outcome and time, to its own times."""
    ended, at_risk, weighed, weighed_risk, mass, entered = arrays
    own, enters = ended.any(axis=0), entered.any(axis=0)
    found = CauseCounts(
        time=counts.time[own],
        at_risk=weighed_risk[:, own].sum(axis=0),
        events=weighed[1:, own],
        n_at_risk=at_risk[:, own].sum(axis=0),
        n_events=ended[1:, own],
        n_censored=ended[0, own],
        mass=mass[:, own],
        entry_time=counts.entry_time[enters],
        entered=entered[:, enters].sum(axis=0),
        n_rows=n_rows,
        n_no_risk=n_no_risk,
    )
    read_only(found.time, found.at_risk, found.events, found.n_at_risk, found.n_events, found.n_censored, found.mass)
    read_only(found.entry_time, found.entered)
    return found


def _fused(
    outcome: NDArray[np.integer[Any]], group: NDArray[np.integer[Any]], width: int, n_groups: int
) -> NDArray[np.integer[Any]]:
    """Group and outcome in one code, in the smallest integers that hold it: memory traffic is what this costs."""
    size = np.min_scalar_type(width * n_groups)
    code: NDArray[np.integer[Any]] = np.multiply(group, size.type(width), dtype=size, casting="unsafe")
    np.add(code, outcome, out=code, casting="unsafe")
    return code


def _weighed(rows: CauseRows, code: NDArray[np.integer[Any]], counts: DayCounts, n_codes: int) -> list[Floats]:
    """Weights by code and time: of the rows that end, of those at risk, squares of those that end, and of entries."""
    if rows.entry is not None:
        held = rows.entry < rows.duration
        rows, code = rows.take(held), code[held]
    weights = np.ones(code.size) if rows.weights is None else rows.weights
    code = code.astype(np.int64)

    def by_code(place: NDArray[np.integer[Any]], values: Floats, n_places: int) -> Floats:
        total = np.bincount(code * n_places + place, values, n_codes * n_places)
        return total.reshape(n_codes, n_places).astype(np.float64, copy=False)

    n_times, n_entries, end = counts.time.shape[0], counts.entry_time.shape[0], time_index(counts.time, rows.duration)
    ended = by_code(end, weights, n_times)
    squares = ended if rows.frequency else by_code(end, weights**2, n_times)
    # from the end backwards, so that few left at risk keep their digits
    risk = np.cumsum(ended[:, ::-1], axis=1)[:, ::-1]
    entered = np.zeros((n_codes, 0))
    if rows.entry is not None:
        entered = by_code(time_index(counts.entry_time, rows.entry), weights, n_entries)
        late = np.cumsum(np.pad(entered, ((0, 0), (0, 1)))[:, ::-1], axis=1)[:, ::-1]
        risk = risk - late[:, np.searchsorted(counts.entry_time, counts.time)]
    return [ended, np.maximum(risk, ended), squares, entered]


@dataclass(frozen=True, slots=True, eq=False)
class AalenJohansen:
    """The curves of one group.

    Attributes
    ----------
    time : (n_times,)
    survival, before : (n_times,) float64
        From all causes, just after and just before each time.
    incidence : (n_causes, n_times) float64
        P(T <= time, cause), right-continuous.
    """

    time: Days
    survival: Floats
    before: Floats
    incidence: Floats


def aalen_johansen(counts: CauseCounts, events: Floats | None = None) -> AalenJohansen:
    """Estimate the incidence of each cause.

    Parameters
    ----------
    counts : CauseCounts
    events : (n, n_times) float64, optional
        Other sums of events than those by cause, such as two causes together.

    Examples
    --------
    >>> rows = CauseRows(np.array([1, 2, 2, 4]), np.array([1, 2, 0, 1]))
    >>> curves = aalen_johansen(cause_counts(rows, n_causes=2)[0])
    >>> curves.incidence.tolist(), curves.survival.tolist()
    ([[0.25, 0.25, 0.75], [0.0, 0.25, 0.25]], [0.75, 0.5, 0.0])
    """
    survival: Floats = np.asarray(np.cumprod(counts.left / counts.at_risk), dtype=np.float64)
    before = np.concatenate([[1.0], survival[:-1]])
    mine = counts.events if events is None else events
    incidence: Floats = np.asarray(np.cumsum(before / counts.at_risk * mine, axis=1), dtype=np.float64)
    read_only(survival, before, incidence)
    return AalenJohansen(counts.time, survival, before, incidence)


def incidence_limits(incidence: Floats, std_error: Floats, *, level: float, ci: IncidenceCi) -> tuple[Floats, Floats]:
    """Return the confidence limits of incidence, cut to [0, 1].

    With s = z std_error: plain is ``F -+ s``; log-log is symmetric for log(-log(1 - F)), so that of a single cause the
    limits are one minus those of survival, ``1 - (1 - F) ^ exp(-+ s / ((1 - F) log(1 - F)))``. They do not exist where
    F is 0 or 1, and are NaN there.

    Examples
    --------
    >>> lower, upper = incidence_limits(np.array([0.2]), np.array([0.04]), level=0.95, ci="log-log")
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.134], [0.2926])
    """
    if ci not in INCIDENCE_CI:
        raise InputError(f"ci must be 'log-log' or 'plain', not {ci!r}.{did_you_mean(str(ci), INCIDENCE_CI)}")
    reach = float(ndtri(0.5 + level / 2)) * std_error
    if ci == "plain":
        return np.maximum(incidence - reach, 0.0), np.minimum(incidence + reach, 1.0)
    exists = (incidence > 0) & (incidence < 1)
    log_s = np.log1p(-np.where(exists, incidence, 0.5))
    with np.errstate(over="ignore"):
        scale = reach / (np.exp(log_s) * -log_s)
        lower, upper = -np.expm1(log_s * np.exp(-scale)), -np.expm1(log_s * np.exp(scale))
    return np.where(exists, lower, np.nan), np.where(exists, upper, np.nan)
