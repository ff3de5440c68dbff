"""Firth's penalised partial likelihood: finite coefficients where Cox's run to infinity, and less bias in small data.

With l the log partial likelihood and I its information (Efron's or Breslow's, ties included), the penalised
log-likelihood and its gradient are (Firth 1993; Heinze and Schemper 2001)

    l*(b) = l(b) + 1/2 log det I(b),          dl*/db_j = U_j(b) + 1/2 tr(V dI/db_j),       V the inverse of I.

I is a sum of covariances of x over risk sets, so dI/db_j is the sum of their third central moments. A tied day with d
events has d risk sets; with c = l / d, E a mean over the whole risk set, E_l one over the l-th and E_D the sum over the
tied events divided by S0, and with k_l = c / (1 - c D0 / S0),

    E_l f = E f + k_l f~,       f~ = (D0 / S0) E f - E_D f,

which never cancels, however many of those at risk have the event. With h_i = x_i' V x_i and m_l = E_l x the sum over
all days and l of the third central moments, contracted with V, is

    T = sum of  E_l[h x] - E_l[h] m_l - 2 E_l[x x'] V m_l + 2 m_l (m_l' V m_l).

The first and the third part are sums over rows, X'(v h) and X'(theta x'V g), v the events expected of a row and g the
sum of m_l / u_l over the days at which it is at risk. The others need K1, K2, K3, the sums of k_l, k_l^2 and k_l^3. A
gradient costs O(n p^2), and nothing of the size p^2 is kept by day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.cox import CoxData, CoxState, derivatives, first_moments, hazard_weights, state_at
from churnsurv.numerics.design import count
from churnsurv.numerics.risk_sets import running_sums
from churnsurv.numerics.separation import check_rank

__all__ = ["FirthProfile", "FirthSolution", "check_firth", "firth_profile", "fit_firth"]

Floats: TypeAlias = NDArray[np.float64]

_CHUNK = 4_096  # rows that are expanded to ordinary columns at once: they stay in the cache
_TIES = 1 << 20  # tied events whose shares are held at once
_MAX_STEPS = 200
_MAX_HALVINGS = 40
_LARGEST_STEP = 5.0  # change of anybody's linear predictor in one step
# The decrement is the squared distance to the maximum in standard errors.
_CONVERGED = 1e-20
_ROUNDING = 1e-11
_NEAR = 1e-6
# At a fixed coefficient the value alone is needed, and it is flat there.
_CONVERGED_VALUE = 1e-14
_LIMIT = 1e-10  # of the signed root, whose limits are normal quantiles
# Where less of a column's information is left, its logarithm is rounding.
_LEFT_OF_INFORMATION = 1e-12
_FURTHEST = 200.0  # hazard ratios of e^200 are infinite to anybody


@dataclass(frozen=True, slots=True, eq=False)
class FirthSolution:
    """The maximum of the penalised partial likelihood.

    Attributes
    ----------
    coefficients : (p,) float64
        In the units of the covariates, in the order of the columns of the design.
    inverse_information : (p, p) float64
        Of the unpenalised likelihood at the estimate, in the units of the covariates: the usual covariance.
    log_likelihood, log_likelihood_null : float
        Penalised, at the estimate and at coefficients zero; the information is that in the units of the covariates,
        so that both shift by the same number where a unit changes.
    unpenalised_log_likelihood : float
        At the estimate.
    score_statistic : float
        Penalised score' inverse information penalised score, at coefficients zero.
    iterations : int
    state : CoxState
        At the estimate; its coefficients are on the scale of the design.
    """

    coefficients: Floats
    inverse_information: Floats
    log_likelihood: float
    log_likelihood_null: float
    unpenalised_log_likelihood: float
    score_statistic: float
    iterations: int
    state: CoxState


@dataclass(frozen=True, slots=True, eq=False)
class FirthProfile:
    """Tests and limits from the profile of the penalised likelihood, in the units of the covariates.

    Attributes
    ----------
    lower, upper : (p,) float64
        Where twice the fall of the profile from its maximum is the quantile of chi-squared; NaN where it never falls so
        far within floating point.
    statistic : (p,) float64
        Signed root of twice the fall at coefficient zero.
    p_value : (p,) float64
        Of the coefficient being zero, by chi-squared with one degree of freedom.
    notes : tuple of str
        Why a limit is NaN, by name.
    """

    lower: Floats
    upper: Floats
    statistic: Floats
    p_value: Floats
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """The penalised likelihood at one set of coefficients, on the scale of the design.

    Attributes
    ----------
    cox : CoxState
    value : float
    information, inverse : (p, p) float64
    score : (p,) float64
        Of the unpenalised likelihood.
    """

    cox: CoxState
    value: float
    information: Floats
    inverse: Floats
    score: Floats

    @property
    def coefficients(self) -> Floats:
        return self.cox.coefficients


@dataclass(frozen=True, slots=True, eq=False)
class _Climb:
    """Where an ascent ended.

    Attributes
    ----------
    point : _Point
    gradient : (p,) float64
    penalty_curvature : (p, p) float64
        What was learned of minus the second derivative of the penalty: the start of the next ascent nearby.
    iterations : int
    """

    point: _Point
    gradient: Floats
    penalty_curvature: Floats
    iterations: int


def check_firth(*, weights_kind: str | None, cluster: str | None) -> None:
    """Refuse what Firth's penalty has no accepted variance for.

    Raises
    ------
    InputError
        With sampling weights or a cluster.

    Examples
    --------
    >>> check_firth(weights_kind="frequency", cluster=None)
    """
    what = f"cluster={cluster!r}" if cluster is not None else "weights_kind='sampling'"
    if cluster is not None or weights_kind == "sampling":
        raise InputError(
            f"penalty='firth' does not go together with {what}: there is no accepted robust variance for Firth's "
            "penalty, and its tests and limits come from a likelihood of independent rows. Leave it out, or take "
            "penalty=0."
        )


def fit_firth(data: CoxData) -> FirthSolution:
    """Maximise the penalised partial likelihood from zero; the estimates are finite under separation too.

    Newton steps with the information as curvature, corrected by what the steps before showed of the penalty's own
    curvature (a symmetric rank-one update), halved until the penalised likelihood rises.

    Parameters
    ----------
    data : CoxData
        Without sampling weights.

    Raises
    ------
    InputError
        With sampling weights.
    ConvergenceError
        If there are no events, columns determine each other or don't vary where it counts (they are named), or the
        maximum is not reached.

    Examples
    --------
    Two users, of whom the one with x = 1 churns first. Cox's estimate is infinite; with p = e^b / (1 + e^b) the
    penalised likelihood is p^1.5 (1 - p)^0.5, whose maximum is at p = 3/4, b = log 3.

    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2]), np.array([True, False]))
    >>> fit = fit_firth(CoxData(design([np.array([1.0, 0.0])], ["x"], n_rows=2), sets))
    >>> bool(np.isclose(fit.coefficients[0], np.log(3), rtol=1e-10))
    True
    """
    check_firth(weights_kind=None if data.sampling is None else "sampling", cluster=None)
    if data.sets.n_slots == 0:
        raise ConvergenceError("there is no event among the rows at risk: nothing can be estimated from them.")
    p, scale = data.design.n_columns, data.design.scale
    start = _start(data)
    gradient = start.score + _penalty_gradient(data, start)
    top = _ascend(data, start, np.arange(p), np.zeros((p, p)), _CONVERGED)
    point = top.point
    # the determinant in the units of the covariates: z = x / scale
    units = float(np.log(scale).sum())
    coefficients, inverse = point.coefficients / scale, point.inverse / np.outer(scale, scale)
    for array in (coefficients, inverse):
        array.setflags(write=False)
    return FirthSolution(
        coefficients=coefficients,
        inverse_information=inverse,
        log_likelihood=point.value + units,
        log_likelihood_null=start.value + units,
        unpenalised_log_likelihood=point.cox.log_likelihood,
        score_statistic=float(gradient @ start.inverse @ gradient),
        iterations=top.iterations,
        state=point.cox,
    )


def firth_profile(data: CoxData, solution: FirthSolution, *, level: float) -> FirthProfile:
    """Return tests and limits of each coefficient from its profile penalised likelihood (Heinze and Schemper 2001).

    The other coefficients are at their best for each value of the one in question, with the determinant of the full
    information.

    Parameters
    ----------
    data : CoxData
    solution : FirthSolution
        From `fit_firth` of the same data.
    level : float
        Of the limits.

    Raises
    ------
    ConvergenceError
        If the profile cannot be computed at coefficient zero.

    Examples
    --------
    >>> from churnsurv.numerics.design import design
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> sets = risk_sets(np.array([1, 2]), np.array([True, False]))
    >>> data = CoxData(design([np.array([1.0, 0.0])], ["x"], n_rows=2), sets)
    >>> profile = firth_profile(data, fit_firth(data), level=0.95)
    >>> profile.lower.round(3).tolist(), profile.upper.round(3).tolist(), profile.p_value.round(3).tolist()
    ([-1.832], [6.082], [0.469])
    """
    from scipy.special import chdtrc, ndtri

    p, scale, z = data.design.n_columns, data.design.scale, float(ndtri(0.5 + level / 2))
    top = _point(data, solution.state.coefficients)
    if top is None:
        raise ConvergenceError("the penalised likelihood cannot be computed at the solution: it is of other data.")
    found = [_Profile(data, top, j) for j in range(p)]
    root = np.array([one.root_at_zero() for one in found])
    limits = np.array([[one.limit(side, z) for one in found] for side in (-1.0, 1.0)])
    notes = tuple(
        f"{name}: the profile of the penalised likelihood does not fall far enough for a{word} limit within floating "
        "point; the limit is infinite for all that can be computed."
        for word, side in zip((" lower", "n upper"), limits, strict=True)
        for name, limit in zip(data.design.names, side, strict=True)
        if np.isnan(limit)
    )
    arrays = (limits[0] / scale, limits[1] / scale, root, chdtrc(1.0, root**2))
    for array in arrays:
        array.setflags(write=False)
    return FirthProfile(*arrays, notes)


def _start(data: CoxData) -> _Point:
    """The point at coefficients zero, where columns that determine each other are named."""
    state = state_at(data, np.zeros(data.design.n_columns))
    if not np.isfinite(state.log_likelihood):
        raise ConvergenceError(
            "the likelihood cannot be computed at coefficients zero: the offset or the weights span too wide a range, "
            "or nearly all rows enter long after the first days with events. Check these columns."
        )
    found = derivatives(data, state, _events(data))
    check_rank(found.information, found.uncentred, data.design.names)
    point = _point(data, state.coefficients)
    if point is None:
        raise ConvergenceError(
            "the information is singular at coefficients zero but for rounding. Look for covariates that nearly "
            f"determine each other among {', '.join(map(repr, data.design.names[:10]))}."
        )
    return point


def _events(data: CoxData) -> Floats:
    return data.design.transposed_times(data.weighted(data.sets.event.astype(np.float64)))


def _point(data: CoxData, coefficients: Floats) -> _Point | None:
    """Evaluate the penalised likelihood; None where it is lost to rounding."""
    state = state_at(data, coefficients)
    if not np.isfinite(state.log_likelihood):
        return None
    found = derivatives(data, state, _events(data))
    diagonal = np.diagonal(found.information)
    if not (diagonal > _LEFT_OF_INFORMATION * found.uncentred).all():
        return None
    root = np.sqrt(diagonal)
    try:
        factor = cho_factor(found.information / np.outer(root, root), lower=True)
    except LinAlgError:
        return None
    inverse = cho_solve(factor, np.eye(root.shape[0])) / np.outer(root, root)
    half_log_det = float(np.log(np.diagonal(factor[0])).sum() + np.log(root).sum())
    return _Point(state, state.log_likelihood + half_log_det, found.information, (inverse + inverse.T) / 2, found.score)


def _penalty_gradient(data: CoxData, point: _Point) -> Floats:
    """Half the trace of V dI/db_j for each j, shape (p,): T / 2 of the module's formula."""
    V, design = point.inverse, data.design
    weighted = data.weighted(point.cox.theta)
    S0, D0 = _sums(data, weighted)
    share = D0 / S0
    d, K1, K2, K3 = _tie_powers(share, data)
    S1, D1 = first_moments(data, point.cox)
    mean = S1 / S0[:, None]
    drift = share[:, None] * mean - D1 / S0[:, None]
    h, projected = _row_moments(data, V, *_mean_by_exposure(mean, drift, S0, share, d, K1, K2))
    H0, HD = _sums(data, weighted * h)
    h_mean = H0 / S0
    h_drift = share * h_mean - HD / S0
    by_row = hazard_weights(data, point.cox) * h - 2 * point.cox.theta * projected
    total = design.transposed_times(data.weighted(by_row))
    total -= (d * h_mean + K1 * h_drift) @ mean + (K1 * h_mean + K2 * h_drift) @ drift
    mean_V, drift_V = mean @ V, drift @ V
    a, b, c = ((x * y).sum(axis=1) for x, y in ((mean_V, mean), (mean_V, drift), (drift_V, drift)))
    total += 2 * ((d * a + 2 * K1 * b + K2 * c) @ mean + (K1 * a + 2 * K2 * b + K3 * c) @ drift)
    half: Floats = total / 2
    return half


def _sums(data: CoxData, weights: Floats) -> tuple[Floats, Floats]:
    """Sums of weights over risk sets and over tied events, by slot."""
    sets = data.sets
    by_start = None if sets.start is None else count(sets.start, weights, sets.n_slots + 1)
    total, tied = sets.sums(count(sets.place, weights, 2 * sets.n_slots + 1), by_start)
    return np.maximum(total, tied), tied


def _tie_powers(share: Floats, data: CoxData) -> tuple[Floats, Floats, Floats, Floats]:
    """Number of events, and sums of k_l, k_l^2 and k_l^3 over l = 0 ... d - 1, by slot; `share` is D0 / S0."""
    d = data.sets.n_events
    powers = np.zeros((3, d.shape[0]))
    tied = np.flatnonzero(d > 1) if data.ties == "efron" else np.zeros(0, dtype=np.intp)
    # in parts of so many events
    ends = np.flatnonzero(np.diff(np.cumsum(d[tied]) // _TIES)) + 1
    for slots in np.split(tied, ends):
        number = np.repeat(d[slots], d[slots])
        first = np.repeat(np.cumsum(d[slots]) - d[slots], d[slots])
        c = (np.arange(number.shape[0]) - first) / number
        k = c / ((1 - c) + c * (1 - np.repeat(share[slots], d[slots])))
        where = np.repeat(np.arange(slots.shape[0]), d[slots])
        for power in range(3):
            powers[power, slots] = count(where, k ** (power + 1), slots.shape[0])
    return d.astype(np.float64), powers[0], powers[1], powers[2]


def _mean_by_exposure(
    mean: Floats, drift: Floats, S0: Floats, share: Floats, d: Floats, K1: Floats, K2: Floats
) -> tuple[Floats, Floats]:
    """Sums of m_l / u_l and of c_l m_l / u_l by slot, shape (n_slots, p) each."""
    whole = ((d + share * K1) / S0)[:, None] * mean + ((K1 + share * K2) / S0)[:, None] * drift
    tied = (K1 / S0)[:, None] * mean + (K2 / S0)[:, None] * drift
    return whole, tied


def _row_moments(data: CoxData, V: Floats, whole: Floats, tied: Floats) -> tuple[Floats, Floats]:
    """Return h = x'Vx and x'Vg of each row, shape (n,) each; g is the row's exposure to the means of its risk sets."""
    sets = data.sets
    total = running_sums(whole, sets.segments)
    p, nothing = V.shape[0], np.zeros((1, V.shape[0]))
    by_place = np.concatenate([np.stack([total, total - tied], axis=1).reshape(-1, p), nothing])
    by_start = np.concatenate([total, nothing])
    h, projected = np.empty(data.design.n_rows), np.empty(data.design.n_rows)
    for first in range(0, data.design.n_rows, _CHUNK):
        part = slice(first, min(first + _CHUNK, data.design.n_rows))
        rows = data.design.rows(part)
        exposure = by_place[sets.place[part]]
        if sets.start is not None:
            exposure -= by_start[sets.start[part]]
        with_V = rows @ V
        np.einsum("ij,ij->i", with_V, rows, out=h[part])
        np.einsum("ij,ij->i", with_V, exposure, out=projected[part])
    return h, projected


def _ascend(
    data: CoxData, start: _Point, free: NDArray[np.intp], penalty_curvature: Floats, converged: float
) -> _Climb:
    """Climb to the maximum over the coefficients `free`, the others held where they are."""
    point, extra, before = start, penalty_curvature.copy(), np.inf
    penalty = _penalty_gradient(data, point)
    for iteration in range(_MAX_STEPS):
        gradient = point.score + penalty
        step, decrement = _step(point, gradient, extra, free)
        if decrement <= converged or (decrement <= _ROUNDING and decrement > before / 4):
            return _Climb(point, gradient, extra, iteration)
        higher = _higher(data, point, step, decrement)
        if higher is None:
            if decrement <= _ROUNDING:  # no step goes up any more: rounding
                return _Climb(point, gradient, extra, iteration)
            break
        next_penalty = _penalty_gradient(data, higher)
        moved = higher.coefficients - point.coefficients
        _learn(extra, moved, penalty - next_penalty)
        point, penalty, before = higher, next_penalty, decrement
    worst = data.design.names[int(np.argmax(np.abs(point.coefficients)))]
    raise ConvergenceError(
        f"the maximum of the penalised likelihood was not reached in {_MAX_STEPS} steps. Look for covariates with "
        f"extreme values, such as {worst!r}, and take their log or leave them out."
    )


def _step(point: _Point, gradient: Floats, extra: Floats, free: NDArray[np.intp]) -> tuple[Floats, float]:
    """Newton's step over some of the coefficients, and its decrement; by the information alone where it must."""
    step, slope = np.zeros_like(gradient), gradient[free]
    if free.size == 0:
        return step, 0.0
    inside = np.ix_(free, free)
    root = np.sqrt(np.diagonal(point.information)[free])
    for curvature in (point.information + extra, point.information):
        try:
            factor = cho_factor(curvature[inside] / np.outer(root, root), lower=True)
        except LinAlgError:  # the correction is from further away, and does not hold here
            continue
        step[free] = cho_solve(factor, slope / root) / root
        return step, float(slope @ step[free])
    raise ConvergenceError("the information became singular on the way to the maximum of the penalised likelihood.")


def _learn(extra: Floats, moved: Floats, change: Floats) -> None:
    """Symmetric rank-one update of the penalty's curvature, in place: afterwards it maps `moved` to `change`."""
    missed = change - extra @ moved
    along = float(missed @ moved)
    if abs(along) > 1e-8 * float(np.linalg.norm(missed) * np.linalg.norm(moved)):
        extra += np.outer(missed, missed) / along


def _higher(data: CoxData, point: _Point, step: Floats, decrement: float) -> _Point | None:
    """Take the step, capped, and halved until it gains a fair part of what the slope promises; None if never."""
    reach = float(np.abs(data.design.times(step)[data.sets.at_risk()]).max())
    largest = min(1.0, _LARGEST_STEP / reach) if reach > 0 else 1.0
    # near the maximum the slope knows more than the value, whose last digits are rounding
    rounding = (1e-12 if decrement < _NEAR else 1e-14) * abs(point.value)
    for halving in range(_MAX_HALVINGS):
        share = largest * 0.5**halving
        tried = _point(data, point.coefficients + share * step)
        if tried is not None and tried.value >= point.value + 1e-4 * share * decrement - rounding:
            return tried
    return None


class _Profile:
    """The profile of one coefficient: its value with all others at their best, found from the nearest known point."""

    def __init__(self, data: CoxData, top: _Point, which: int) -> None:
        p = data.design.n_columns
        self.data, self.top, self.which = data, top, which
        self.others = np.delete(np.arange(p), which)
        self.centre = float(top.coefficients[which])
        self.error = float(np.sqrt(top.inverse[which, which]))
        self.climb = partial(_ascend, data, free=self.others, converged=_CONVERGED_VALUE)

    def at(self, value: float, near: _Climb | None) -> _Climb | None:
        """Return the best point with this coefficient; None where rounding hides it."""
        start, extra = (
            (self.top, np.zeros_like(self.top.inverse)) if near is None else (near.point, near.penalty_curvature)
        )
        # along the ridge: the others follow by their regression on this one
        direction = start.inverse[:, self.which] / start.inverse[self.which, self.which]
        move = value - start.coefficients[self.which]
        for others in (direction, np.eye(direction.shape[0])[self.which]):
            coefficients = start.coefficients + move * others
            coefficients[self.which] = value
            point = _point(self.data, coefficients)
            if point is not None:
                return self.climb(point, penalty_curvature=extra)
        return None

    def root(self, found: _Climb) -> float:
        """Root of twice the fall from the maximum, > 0."""
        return float(np.sqrt(2 * max(self.top.value - found.point.value, 0.0)))

    def root_at_zero(self) -> float:
        """Signed root of the test that the coefficient is zero."""
        found, steps = None, 1
        while found is None and steps <= 64:  # from far away in smaller steps
            near: _Climb | None = None
            for value in np.linspace(self.centre, 0.0, steps + 1)[1:]:
                near = self.at(float(value), near)
                if near is None:
                    break
            found, steps = near, steps * 4
        if found is None:
            name = self.data.design.names[self.which]
            raise ConvergenceError(f"the profile of the penalised likelihood of {name!r} is lost to rounding at zero.")
        return float(np.copysign(self.root(found), self.centre))

    def limit(self, side: float, z: float) -> float:
        """Where the root reaches z, on one side: Newton's method on the root, which is nearly straight; else NaN."""
        inner, outer, near = 0.0, np.inf, None  # distances from the estimate that bracket the limit
        distance = z * self.error
        furthest = _FURTHEST / self._reach()
        for _ in range(_MAX_STEPS):
            found = self.at(self.centre + side * distance, near)
            if found is None:
                outer, distance = min(outer, distance), (inner + distance) / 2
                if distance - inner <= 1e-6 * self.error:
                    return float("nan")
                continue
            near, root = found, self.root(found)
            if abs(root - z) <= _LIMIT:
                break
            inner, outer = (max(inner, distance), outer) if root < z else (inner, min(outer, distance))
            slope = -side * float(found.gradient[self.which]) / root if root > 0 else 0.0
            step = (z - root) / slope if slope > 0 else np.inf
            following = distance + min(max(step, -distance / 2), distance)
            if not inner < following < outer:
                following = (inner + outer) / 2 if np.isfinite(outer) else 2 * distance
            if abs(following - distance) <= 1e-14 * (abs(self.centre) + distance):
                break
            if following > furthest:
                return float("nan")
            distance = following
        return self.centre + side * distance

    def _reach(self) -> float:
        """Largest change of a linear predictor for a change of one in the coefficient."""
        unit = np.eye(self.data.design.n_columns)[self.which]
        return float(np.abs(self.data.design.times(unit)[self.data.sets.at_risk()]).max())
