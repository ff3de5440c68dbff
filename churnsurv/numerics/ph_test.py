"""The score test of proportional hazards, exact under ties, and Cox fits within windows of follow-up.

Let every coefficient move with a function of time chosen beforehand, b + c g(t). Proportional hazards say c = 0. At
c = 0 the likelihood in (b, c) has, with e_t the score and I_t the information of a day (`churnsurv.numerics.cox`),

    score in c       U = sum of g e_t
    information      J_bb = sum of I_t      J_bc = sum of g I_t      J_cc = sum of g^2 I_t
    variance of U    V = J_cc - J_cb J_bb^-1 J_bc      (b is estimated, so that its own score is zero)

and U_k' V_kk^-1 U_k is chi-square for any columns k (Grambsch and Therneau 1994; exactly, not by an average over days,
``cox.zph`` of R's survival package since version 3). g only multiplies the sums A, B, A2, B2, C2 of a day, so that each
J is one weighted Gram matrix and a few sums by day, as in a Newton step.

Where rows depend on each other, V is the sum over clusters of Z_c Z_c', Z_c the sum of w_i (u_i^c - J_cb J_bb^-1 u_i^b)
over the rows of the cluster, u_i the score residuals of row i (Lin and Wei 1989, 1991).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.special import chdtrc

from churnsurv.errors import ConvergenceError, InputError, did_you_mean
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, CoxState, first_moments, fit_cox, hazard_weights, state_at
from churnsurv.numerics.day_counts import time_index
from churnsurv.numerics.design import Design, Indicators, count, weighted_gram
from churnsurv.numerics.residuals import ScoreResiduals, cluster_covariance, score_residuals
from churnsurv.numerics.risk_sets import RiskSets, risk_sets

__all__ = ["PHScore", "QuadraticForm", "Transform", "WindowFit", "fit_window", "ph_score", "transformed"]

Floats: TypeAlias = NDArray[np.float64]
Transform: TypeAlias = Literal["km", "rank", "identity", "log"]

_CHUNK = 32_768  # rows whose residuals are held at once
_FEW_ROWS = 0.5  # share of rows at risk in a window up to which they are copied
_NO_CHANGE = 1e-10  # of the information before estimating b; what is left below it is rounding


@dataclass(frozen=True, slots=True)
class QuadraticForm:
    """A chi-square statistic; NaN where there is no variance to judge the score by."""

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class PHScore:
    """Score of the change of the coefficients over time, on the scale of the design and of g.

    Attributes
    ----------
    score : (p,) float64
    variance : (p, p) float64
        Of the score, coefficients estimated; cluster-robust where there were clusters.
    model_variance : (p, p) float64
        The same by the model, rows taken as independent.
    uncentred : (p,) float64
        Its diagonal before the part that goes into estimating the coefficients is taken off.
    """

    score: Floats
    variance: Floats
    model_variance: Floats
    uncentred: Floats

    def test(self, columns: NDArray[np.intp]) -> QuadraticForm:
        """Test whether the coefficients of some columns change over time.

        Directions in which nothing can be learned of a change, such as a category at risk on one day only, carry no
        score and no variance by the model: they are left out, and `df` is the rank of what remains. Where a robust
        variance has a lower rank, there are too few clusters for a test.
        """
        model = np.diagonal(self.model_variance)[columns]
        kept = columns[model > _NO_CHANGE * self.uncentred[columns]]
        directions = _directions(self.model_variance[np.ix_(kept, kept)])
        df = directions.shape[1]
        variance = directions.T @ self.variance[np.ix_(kept, kept)] @ directions
        useful = _directions(variance)
        if df == 0 or useful.shape[1] < df:
            return QuadraticForm(float("nan"), df, float("nan"))
        statistic = float(np.sum((self.score[kept] @ directions @ useful) ** 2))
        return QuadraticForm(statistic, df, float(chdtrc(df, statistic)))


def _directions(variance: Floats) -> Floats:
    """Combinations of columns that are uncorrelated with variance one, as many as the rank, shape (p, rank)."""
    diagonal = np.diagonal(variance)
    if diagonal.size == 0 or not (diagonal > 0).all():
        return np.zeros((diagonal.size, 0))
    scale = 1 / np.sqrt(diagonal)
    values, vectors = eigh(variance * np.outer(scale, scale))
    useful = values > _NO_CHANGE * values[-1]
    return np.asarray(scale[:, None] * vectors[:, useful] / np.sqrt(values[useful]))


def transformed(
    transform: Transform,
    sets: RiskSets,
    *,
    duration: NDArray[Any],
    entry: NDArray[Any] | None = None,
    frequency: NDArray[np.integer[Any]] | None = None,
) -> Floats:
    """Return g of the day of each slot, shape (n_slots,).

    Parameters
    ----------
    transform : {"km", "rank", "identity", "log"}
        km: 1 - S(t-), Kaplan and Meier's estimate just before the day, all strata together, without sampling weights.
        rank: rank of the day among the ends of all rows, equal ones at their mean rank. identity: the day. log: its
        logarithm. These are the conventions of ``cox.zph`` in R.
    sets : RiskSets
    duration : (n,)
        Of the same rows.
    entry : (n,), optional
    frequency : (n,) integer, optional
        A row stands for so many equal rows.

    Raises
    ------
    InputError
        If there is no such transform, or a churn on day 0 has no logarithm.

    Examples
    --------
    >>> days, churned = np.array([2, 3, 5, 5]), np.array([True, False, True, True])
    >>> transformed("km", risk_sets(days, churned), duration=days).tolist()
    [0.0, 0.25]
    >>> transformed("rank", risk_sets(days, churned), duration=days).tolist()
    [1.0, 3.5]
    """
    if transform not in get_args(Transform):
        raise InputError(
            f"transform must be one of {', '.join(map(repr, get_args(Transform)))}, not {transform!r}."
            f"{did_you_mean(str(transform), get_args(Transform))}"
        )
    if transform == "log" and sets.time.min() <= 0:
        raise InputError("transform='log' needs every churn after day 0. Take 'km', 'rank' or 'identity'.")
    if transform == "km":
        pooled = sets
        if sets.strata.shape[0] > 2:
            pooled = risk_sets(duration, sets.event, entry=entry, frequency=frequency)
        left = np.cumprod(1 - pooled.n_events / pooled.n_at_risk)
        before: Floats = 1 - np.concatenate([[1.0], left[:-1]])
        return before[np.searchsorted(pooled.time, sets.time)]
    if transform == "rank":
        return _mean_ranks(sets.time, duration, entry, frequency)
    days: Floats = sets.time.astype(np.float64)
    return np.log(days) if transform == "log" else days


def _mean_ranks(
    times: NDArray[Any],
    duration: NDArray[Any],
    entry: NDArray[Any] | None,
    frequency: NDArray[np.integer[Any]] | None,
) -> Floats:
    """(Rows that end before + rows that end by then + 1) / 2, over the rows that are ever at risk."""
    weight = np.ones(duration.shape[0]) if frequency is None else frequency.astype(np.float64)
    if entry is not None:
        weight = np.where(entry < duration, weight, 0.0)
    distinct, slot = np.unique(times, return_inverse=True)
    n = distinct.shape[0]
    ended = [
        np.cumsum(count(time_index(distinct, duration, side=side), weight, n + 1))[:-1] for side in ("right", "left")
    ]
    ranks: Floats = (ended[0] + ended[1] + 1) / 2
    return ranks[slot]


def ph_score(data: CoxData, state: CoxState, g: Floats, *, cluster: NDArray[np.integer[Any]] | None = None) -> PHScore:
    """Return the score of the change of the coefficients with g, and its variance.

    Parameters
    ----------
    data : CoxData
    state : CoxState
        At the maximum of the partial likelihood.
    g : (n_slots,) float64
        Function of the time of each slot; its unit and its zero make no difference to the tests.
    cluster : (n,) integer, optional
        Rows of one cluster may depend on each other: the variance is then robust.

    Raises
    ------
    InputError
        If g is the same on all days with events.

    Examples
    --------
    Four users churn on days 1 to 4, x = 1, 0, 0, 1:

    >>> from churnsurv.numerics.design import design
    >>> days = np.array([1, 2, 3, 4])
    >>> data = CoxData(design([np.array([1.0, 0.0, 0.0, 1.0])], ["x"], n_rows=4), risk_sets(days, days > 0))
    >>> state = state_at(data, fit_cox(data).coefficients * data.design.scale)
    >>> round(ph_score(data, state, days.astype(float)).test(np.array([0])).p_value, 4)
    0.1456
    """
    raised, centred = _standardised(data, g)
    S1, D1 = first_moments(data, state)
    bb, expected_events = _information(data, state, S1, D1, np.ones_like(raised))
    bc, expected = _information(data, state, S1, D1, raised)
    middle = float(raised[0] - centred[0])
    bc -= middle * bb
    cc, _ = _information(data, state, S1, D1, centred**2)
    observed = data.weighted(_at_own_event(data.sets, centred))
    score = data.design.transposed_times(observed - expected + middle * expected_events)
    explained = cho_solve(cho_factor(bb, lower=True), bc).T  # J_cb J_bb^-1
    by_model = cc - explained @ bc
    variance = by_model if cluster is None else _robust_variance(data, state, centred, explained, cluster)
    return PHScore(score, variance, by_model, np.diagonal(cc).copy())


def _standardised(data: CoxData, g: Floats) -> tuple[Floats, Floats]:
    """Return g moved to [0, 1], and the same less its mean over the events: weights of Gram matrices are >= 0."""
    spread = float(g.max() - g.min())
    if not spread > 0:
        raise InputError(
            "all churns fall on one value of the transformed time, so that nothing can change over time. A test of "
            "proportional hazards needs churns on several days."
        )
    raised = (g - g.min()) / spread
    return raised, raised - np.average(raised, weights=data.event_weight())


def _information(data: CoxData, state: CoxState, S1: Floats, D1: Floats, factor: Floats) -> tuple[Floats, Floats]:
    """Sum of factor times the information of each slot, factor >= 0, and the weights of the rows in it."""
    sums = state.sums.times(factor)
    weights = data.weighted(hazard_weights(data, replace(state, sums=sums)))
    gram, _ = data.design.gram(weights)
    b = state.sums.B2 / state.sums.A2
    first, _ = weighted_gram(S1 - b[:, None] * D1, sums.A2)
    tied = np.flatnonzero(b)
    second, _ = weighted_gram(D1[tied], np.maximum((sums.C2 - b * sums.B2)[tied], 0.0))
    return gram - first - second, weights


def _at_own_event(sets: RiskSets, values: Floats) -> Floats:
    """Value of the slot of each row's own event, 0 for rows without one, shape (n,)."""
    found: Floats = np.append(values, 0.0)[sets.place // 2] * sets.event
    return found


def _robust_variance(
    data: CoxData, state: CoxState, g: Floats, explained: Floats, cluster: NDArray[np.integer[Any]]
) -> Floats:
    """Sum over clusters of Z_c Z_c'."""
    of_b, of_c = score_residuals(data, state), _moving_residuals(data, state, g)
    p = data.design.n_columns
    total = np.zeros((p, p))
    for rows, starts in _whole_clusters(cluster):
        found = of_c.of(rows)
        found -= of_b.of(rows) @ explained.T
        if data.weights is not None:
            found *= data.weights[rows, None]
        sums = np.add.reduceat(found, starts, axis=0)
        total += sums.T @ sums
    return total


def _moving_residuals(data: CoxData, state: CoxState, g: Floats) -> ScoreResiduals:
    """Score residuals in c: those of b with the sums of each day times g."""
    moved = score_residuals(data, replace(state, sums=state.sums.times(g)))
    # `hazard_weights` are >= 0, and g is not: the own part is a difference of two that are
    low = float(g.min())
    above = hazard_weights(data, replace(state, sums=state.sums.times(g - low)))
    own = _at_own_event(data.sets, g) - above - low * hazard_weights(data, state)
    return replace(moved, own=own)


def _whole_clusters(cluster: NDArray[np.integer[Any]]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows in chunks of whole clusters, and where in the chunk each cluster begins."""
    order = np.argsort(cluster, kind="stable")
    codes = cluster[order]
    begins = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1, [codes.shape[0]]])
    first = 0
    while first < begins.shape[0] - 1:
        last = max(first + 1, int(np.searchsorted(begins, begins[first] + _CHUNK, side="right")) - 1)
        yield order[begins[first] : begins[last]], begins[first:last] - begins[first]
        first = last


@dataclass(frozen=True, slots=True, eq=False)
class WindowFit:
    """Cox's model within a window of follow-up, in the units of the covariates.

    Attributes
    ----------
    coefficients, std_error : (p,) float64
        NaN where there is no estimate.
    n_events : (p,) int64
        Churns in the window: of the category of the column, of all rows for a numeric column.
    reasons : tuple of str or None
        Why a column has no estimate.
    """

    coefficients: Floats
    std_error: Floats
    n_events: NDArray[np.int64]
    reasons: tuple[str | None, ...]


def fit_window(
    data: CoxData,
    after: float,
    until: float,
    *,
    start: Floats | None = None,
    cluster: NDArray[np.integer[Any]] | None = None,
) -> WindowFit:
    """Fit the model to the days after `after`, up to `until`: the partial likelihood is a product over days.

    No row is split: the risk sets of these days are places of the same rows. A category without an event in the window
    has no finite coefficient; it is left out with its rows, which is what the others tend to as it goes to minus
    infinity.

    Parameters
    ----------
    data : CoxData
    after, until : float
        The window (after, until].
    start : (p,) float64, optional
        Coefficients on the scale of the design from which the search begins; those of the whole save a step or two.
    cluster : (n,) integer, optional
        Rows of one cluster may depend on each other: the standard errors are then robust.

    Examples
    --------
    >>> from churnsurv.numerics.design import design
    >>> days = np.array([1, 2, 3, 4, 5, 6])
    >>> data = CoxData(design([np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])], ["x"], n_rows=6), risk_sets(days, days > 0))
    >>> [round(float(fit_window(data, *window).coefficients[0]), 3) for window in ((0, 3), (3, 9))]
    [-0.564, -0.347]
    """
    sets = data.sets
    days = (sets.time > after) & (sets.time <= until)
    p = data.design.n_columns
    nothing = np.full(p, np.nan)
    if not days.any():
        return WindowFit(nothing, nothing, np.zeros(p, dtype=np.int64), ("no churn in this window",) * p)
    inside = replace(data, sets=_within(sets, days, data.frequency))
    found = _estimable(inside)
    if found.columns.size == 0:
        return WindowFit(nothing, nothing, found.n_events, tuple(found.reasons))
    if not found.rows.all():
        inside = replace(inside, sets=_within(sets, days, data.frequency, found.rows))
    reasons, coefficients, error = found.reasons, nothing.copy(), nothing.copy()
    try:
        near = None if start is None else start[found.columns]
        estimates, variance = _fit(replace(inside, design=found.design), near, cluster)
    except ConvergenceError as problem:
        reasons = [reason or f"no estimate in this window: {problem}" for reason in reasons]
    else:
        known = np.array([reasons[column] is None for column in found.columns])
        coefficients[found.columns[known]] = estimates[known]
        error[found.columns[known]] = np.sqrt(variance[known])
    return WindowFit(coefficients, error, found.n_events, tuple(reasons))


def _fit(data: CoxData, start: Floats | None, cluster: NDArray[np.integer[Any]] | None) -> tuple[Floats, Floats]:
    """Coefficients and their variances; where equal rows don't collapse, Newton's method begins at `start`."""
    fitted = collapse(data)
    begun = np.zeros(data.design.n_columns)
    if fitted is data:
        data, cluster = _rows_at_risk(data, cluster)
        if start is not None:  # an offset moves the origin, from which the fit begins
            moved = data.design.times(start)
            data, begun = replace(data, offset=moved if data.offset is None else data.offset + moved), start
        fitted = data
    solution = fit_cox(fitted)
    covariance = solution.inverse_information
    if cluster is not None:
        state = solution.state if fitted is data else state_at(data, solution.state.coefficients)
        covariance = cluster_covariance(data, state, covariance, cluster)
    return solution.coefficients + begun / data.design.scale, np.diagonal(covariance)


def _rows_at_risk(
    data: CoxData, cluster: NDArray[np.integer[Any]] | None
) -> tuple[CoxData, NDArray[np.integer[Any]] | None]:
    """Copy the rows at risk where they are few: each Newton step then passes over them alone."""
    rows = np.flatnonzero(data.sets.at_risk())
    if rows.shape[0] > _FEW_ROWS * data.design.n_rows:
        return data, cluster

    def of(values: Any) -> Any:
        return None if values is None else values[rows]

    design, sets = data.design, data.sets
    parts = tuple(replace(part, codes=of(part.codes), values=of(part.values)) for part in design.indicators)
    few = replace(
        data,
        design=replace(design, dense=of(design.dense), indicators=parts),
        sets=replace(sets, place=of(sets.place), start=of(sets.start), event=of(sets.event)),
        frequency=of(data.frequency),
        offset=of(data.offset),
        sampling=of(data.sampling),
    )
    return few, of(cluster)


def _within(
    sets: RiskSets, days: NDArray[np.bool_], frequency: Floats | None, rows: NDArray[np.bool_] | None = None
) -> RiskSets:
    """Risk sets of some slots and rows alone; a slot's number serves as its time on the way."""
    slot = sets.place // 2
    held = slot < sets.n_slots if rows is None else (slot < sets.n_slots) & rows
    stratum = np.append(sets.stratum, 0)[slot]
    found = risk_sets(
        np.where(held, slot + 1, 0),
        sets.event & held & np.append(days, False)[slot],
        entry=None if sets.start is None else np.where(held, _first_slot(sets, sets.start, slot), 0),
        stratum=stratum if sets.strata.shape[0] > 2 else None,
        n_strata=sets.strata.shape[0] - 1,
        frequency=None if frequency is None else frequency.astype(np.int64),
    )
    return replace(found, time=sets.time[found.time - 1])


def _first_slot(sets: RiskSets, start: NDArray[np.int32], slot: NDArray[np.int32]) -> NDArray[np.integer[Any]]:
    """First slot at which each row is at risk; its own segment begins there where it was in it from the first."""
    firsts = np.append(np.repeat(sets.segments[:-1], np.diff(sets.segments)), 0)
    return np.where(start < sets.n_slots, start + 1, firsts[slot])


@dataclass(frozen=True, slots=True, eq=False)
class _Estimable:
    """What of a design can be fitted in a window, and by column of the whole, events and why there is no estimate."""

    design: Design
    columns: NDArray[np.intp]
    rows: NDArray[np.bool_]
    n_events: NDArray[np.int64]
    reasons: list[str | None]


def _estimable(data: CoxData) -> _Estimable:
    """Leave out the categories that have no event.

    Where the reference has none, every category of the variable is infinitely far from it; another one takes its place
    so that the other variables can be estimated.
    """
    design, sets = data.design, data.sets
    weight = np.ones(design.n_rows) if data.frequency is None else data.frequency
    at_risk, events = sets.at_risk() * weight, sets.event * weight
    churned = [count(part.codes, events, part.n_columns + 1) for part in design.indicators]
    rows = np.ones(design.n_rows, dtype=np.bool_)
    for part, n in zip(design.indicators, churned, strict=True):
        if part.values is None:
            rows &= (n > 0)[part.codes]
    numeric, *blocks = design.parts()
    kept, parts = [np.arange(numeric.stop)], []
    reasons: list[str | None] = [None] * design.n_columns
    n_events = np.full(design.n_columns, round(float(events.sum())), dtype=np.int64)
    for part, columns, n in zip(design.indicators, blocks, churned, strict=True):
        exposed = count(part.codes, at_risk, part.n_columns + 1)
        left = exposed if part.values is None else count(part.codes, at_risk * rows, part.n_columns + 1)
        gone = (n == 0) if part.values is None else (left == 0)
        no_reference = bool(part.values is None and part.reference is not None and gone[0])
        reasons[columns] = _reasons(exposed, gone, no_reference=no_reference)
        n_events[columns] = np.rint(n[1:]).astype(np.int64)
        stay = 1 + np.flatnonzero(~gone[1:])[no_reference:]
        if stay.size:
            parts.append(_only(part, stay))
            kept.append(columns.start + stay - 1)
    which = np.concatenate(kept)
    names = tuple(design.names[i] for i in which)
    made = Design(design.dense, design.centre[which], design.scale[which], tuple(parts), names)
    return _Estimable(made, which, rows, n_events, reasons)


def _reasons(exposed: Floats, gone: NDArray[np.bool_], *, no_reference: bool) -> list[str | None]:
    """Why the columns of a categorical term have no estimate."""
    why = ["no churn" if n > 0 else "nobody at risk" for n in exposed]
    if no_reference:
        return [f"{why[0]} of the reference in this window"] * (len(why) - 1)
    return [
        f"{one} of this category in this window" if lost else None for one, lost in zip(why[1:], gone[1:], strict=True)
    ]


def _only(part: Indicators, columns: NDArray[np.intp]) -> Indicators:
    """Some columns of a categorical term; rows of the others get the code of the reference."""
    if columns.size == part.n_columns:
        return part
    code = np.zeros(part.n_columns + 1, dtype=np.int32)
    code[columns] = np.arange(1, columns.size + 1)
    names = tuple(part.names[i - 1] for i in columns)
    return replace(part, codes=code[part.codes], names=names)
