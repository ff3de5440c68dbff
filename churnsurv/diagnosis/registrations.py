"""Registrations by day against what weekday and season lead one to expect: the regression behind the bursts.

A day's registrations Y are negative binomial with mean m and variance m + a m^2 (Poisson where a = 0):

    log m = level + weekday + season,

the season a natural cubic spline with few knots, and yearly waves where the log is longer than a year. The mean is
fitted by statsmodels' GLM, `a` by pseudo-likelihood (Davidian and Carroll 1987): squared residuals over their variance
equal their degrees of freedom (Breslow 1984), each day weighted by what it says of `a`. Both are fitted on the days
that are no bursts: the search starts from the four fifths of the days that fit best (least trimmed, after Rousseeuw),
leaves out what is found, and fits again until nothing changes, so that a burst hides neither itself nor its neighbours
(compare Noufaily et al. 2013). Weekdays are taken to differ in one way for the whole log.

A day is judged by the other days: with h its leverage and r = (y - m) / m, its own share in the linear predictor,
r h / (1 - h), is taken out (Pregibon 1981). The variance of the prediction on the log scale, s^2, adds to `a`, so that
the tail is that of a negative binomial with mean m and variance m + (a + s^2) m^2. Since `a` is an estimate too, the
tail is carried from the normal law to Student's t with the degrees of freedom of the fit: p = P(t > z), where z is the
normal quantile of that tail.

Weeks (from Monday) are judged by the sum of their days that are no bursts by themselves, with a variance of their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.season import Design, season_design
from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.count_tails import estimated_tail, lower_tail, tail_quantile, upper_tail
from churnsurv.survival.multiplicity import adjusted

__all__ = ["Search", "adjusted_by_run", "search_bursts"]

Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.bool_]

_LEAST_WEEKS = 8  # fewer weeks don't say how much weeks vary
_ROUNDS = 50
_START_SHARE, _START_STEPS, _START_CUT = 0.8, 6, 3.5
_ORDINARY = 1.3  # of rare registrations most days have none: what varies by so little is never trimmed away


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """The reference: what the days in `kept` lead one to expect of every day."""

    design: Design
    kept: Days
    coefficients: Floats
    extra: float  # the a of m + a m^2
    df: int
    information: Floats

    @property
    def mean(self) -> Floats:
        mean: Floats = np.exp(self.design.columns @ self.coefficients)
        return mean

    def weights(self) -> Floats:
        mean = self.mean
        weights: Floats = mean / (1 + self.extra * mean)
        return weights

    def of_other_days(self, counts: Floats) -> tuple[Floats, Floats]:
        """Mean of each day by the days other than itself, and the variance of its logarithm."""
        X, mean = self.design.columns, self.mean
        spread = np.einsum("ij,ij->i", X @ np.linalg.pinv(self.information), X)
        leverage = np.where(self.kept, np.minimum(spread * self.weights(), 1 - 1e-9), 0.0)
        shift = leverage / (1 - leverage) * (counts - mean) / mean
        return mean * np.exp(-shift), spread / (1 - leverage)

    def total(self, rows: Days, counts: Floats) -> tuple[float, float]:
        """Mean of the sum over some days by the other days, and the variance of its estimate over its square."""
        X, w, inside = self.design.columns, self.weights(), rows & self.kept
        own = X[inside].T @ (w[inside, None] * X[inside])
        inverse = np.linalg.pinv(self.information - own, rcond=1e-10, hermitian=True)
        residual = (counts[inside] - self.mean[inside]) / self.mean[inside]
        coefficients = self.coefficients - inverse @ (X[inside].T @ (w[inside] * residual))
        mean = np.exp(X[rows] @ coefficients)
        slope = mean @ X[rows]
        return float(mean.sum()), float(slope @ inverse @ slope / mean.sum() ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Days and weeks with more registrations than expected.

    Attributes
    ----------
    design : Design
    expected : (n_days,) float64
        By the reference.
    lower, upper : (n_days,) float64
        What a day of the reference would stay within, at the level asked for.
    extra : float
        Variance of a day beyond Poisson's, over the square of its mean.
    week_extra : float
        The same of the sum of a week; 0 where weeks are too few to say.
    reference : (n_days,) bool
        Days that the reference was fitted on.
    low : (n_days,) bool
        Days with so few registrations that they were left out of it.
    day_burst : (n_days,) bool
    week_burst : (n_weeks,) bool
    day_p, day_adjusted : (n_days,) float64
        Null where days were not asked about.
    week_p, week_adjusted : (n_weeks,) float64
        Null where weeks were not asked about, or are made of bursts alone.
    rounds : int
        Fits until nothing changed.
    settled : bool
        False where the search went round in a circle; what was left out in any of it then stays out.
    """

    design: Design
    expected: Floats
    lower: Floats
    upper: Floats
    extra: float
    week_extra: float
    reference: Days
    low: Days
    day_burst: Days
    week_burst: Days
    day_p: Floats
    day_adjusted: Floats
    week_p: Floats
    week_adjusted: Floats
    rounds: int
    settled: bool
    _counts: Floats
    _fit: _Fit

    @property
    def burst(self) -> Days:
        """Days of a burst: burst days, and all days of burst weeks."""
        return self.day_burst | self.week_burst[self.design.week]

    def spread(self, rows: Days) -> tuple[float, float]:
        """Expected sum over some days, and the extra variance of such a sum: its own and that of the estimate."""
        mean, error = self._fit.total(rows, self._counts)
        alone = self.extra * float(self.expected[rows] @ self.expected[rows]) / float(self.expected[rows].sum()) ** 2
        return mean, max(alone, self.week_extra if rows.sum() > 1 else 0.0) + error


def search_bursts(
    counts: NDArray[np.int64],
    first: date,
    *,
    units: Sequence[str] = ("day", "week"),
    alpha: float = 0.05,
    adjust: str = "fdr_bh",
    level: float = 0.95,
) -> Search:
    """Find the days and weeks with more registrations than weekday and season explain.

    Parameters
    ----------
    counts : (n_days,) int64
        Registrations of consecutive days.
    first : date
        The first of them.
    units : sequence of {"day", "week"}
        With both, each gets half of `alpha`: adjusted p-values are doubled. Weeks need 8 of them.
    alpha : float
        A day or week is a burst where its adjusted p-value is at most this.
    adjust : str
        See `churnsurv.survival.multiplicity.ADJUST`; runs count as one, see `adjusted_by_run`.
    level : float
        Of `lower` and `upper`.

    Raises
    ------
    InputError
        If weeks alone are asked about, and there are fewer than 8.
    ConvergenceError
        If so many days stand out that the others are no reference.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(20, 120)
    >>> counts[60:63] += 40
    >>> np.flatnonzero(search_bursts(counts, date(2024, 1, 1)).burst).tolist()
    [60, 61, 62]
    """
    y = counts.astype(np.float64)
    design = season_design(first, y.size, int(counts.sum()))
    units = [unit for unit in units if unit == "day" or design.n_weeks >= _LEAST_WEEKS]
    if not units:
        raise InputError(
            f"unit='week' needs registrations of {_LEAST_WEEKS} calendar weeks, to know how much weeks vary; there are "
            f"{design.n_weeks}. Use unit='day'."
        )
    out = _start(y, design)
    seen: list[Days] = []
    while True:
        judged = _judge(y, _fit(y, design, ~out), units, alpha, adjust)
        seen.append(out)
        same = next((i for i, other in enumerate(seen) if np.array_equal(other, judged.out)), None)
        if same is not None or len(seen) >= _ROUNDS:
            break
        out = judged.out
    settled = same == len(seen) - 1
    if not settled:
        circle = seen[same if same is not None else -_ROUNDS // 2 :]
        judged = _judge(y, _fit(y, design, ~np.logical_or.reduce(circle)), units, alpha, adjust)
    fit = judged.fit
    extra = np.full(y.size, fit.extra)
    tail = (1 - level) / 2
    return Search(
        design, fit.mean, tail_quantile(tail, fit.mean, extra), tail_quantile(1 - tail, fit.mean, extra),
        fit.extra, judged.week_extra, fit.kept, judged.low, judged.day_burst, judged.week_burst,
        judged.day_p, judged.day_adjusted, judged.week_p, judged.week_adjusted, len(seen), settled, y, fit,
    )  # fmt: skip


def _start(y: Floats, design: Design) -> Days:
    """Days and weeks that stand out from the best-fitting four fifths: a start that bursts together cannot bend."""
    kept = np.ones(y.size, dtype=bool)
    mean, residual = y, y
    for _ in range(_START_STEPS):
        mean = np.exp(design.columns @ _glm(y, design, kept, 0.0, None))
        residual = _stable(y) - _stable(mean)
        chosen = np.abs(residual) <= max(np.quantile(np.abs(residual), _START_SHARE), _ORDINARY)
        if np.array_equal(chosen, kept):
            break
        kept = chosen
    if design.n_weeks < _LEAST_WEEKS:
        return _stand_out(residual)
    sums, means = (_weekly(values, design.week, design.n_weeks) for values in (y, mean))
    return _stand_out(residual) | _stand_out(_stable(sums) - _stable(means))[design.week]


def _weekly(values: Floats, week: NDArray[np.int64], n_weeks: int) -> Floats:
    return np.bincount(week, values, n_weeks).astype(np.float64)


def _stable(counts: Floats) -> Floats:
    """Twice the root, of variance 1 for Poisson counts (Anscombe 1948)."""
    root: Floats = 2 * np.sqrt(counts + 0.375)
    return root


def _stand_out(residual: Floats) -> Days:
    middle = np.median(residual)
    scale = max(1.0, 1.4826 * float(np.median(np.abs(residual - middle))))
    out: Days = np.abs(residual - middle) > _START_CUT * scale
    return out


def _glm(y: Floats, design: Design, kept: Days, extra: float, start: Floats | None) -> Floats:
    """Coefficients of the mean on the days kept, for a given extra variance."""
    import statsmodels.api as sm

    response = y[kept].copy()
    for weekday in range(7):
        # A weekday without registrations would have a mean of 0, under which one registration is impossible.
        rows = design.weekday[kept] == weekday
        if rows.any() and not response[rows].any():
            response[rows] = 0.5 / rows.sum()
    family = sm.families.NegativeBinomial(alpha=extra) if extra > 0 else sm.families.Poisson()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether it converged is asked below
        # hasconst says nothing here but saves two decompositions.
        model = sm.GLM(response, design.columns[kept], family, hasconst=False)
        # The deviance of large counts has no digit at 1e-10: a relative tolerance beside it.
        fit = model.fit(start_params=start, maxiter=200, tol=1e-10, rtol=1e-12)
    found: Floats = np.asarray(fit.params, dtype=np.float64)
    if not fit.converged or not np.isfinite(found).all():
        raise ConvergenceError(
            "The expectation of registrations by weekday and season cannot be fitted: long stretches of the log have "
            "no registrations. Choose observed_from and observed_until so that registrations go on in between."
        )
    return found


def _fit(y: Floats, design: Design, kept: Days) -> _Fit:
    """Mean and extra variance on the days kept, in turns until neither moves."""
    X = design.columns
    rank = np.linalg.matrix_rank(X[kept]) if kept.any() else 0
    if kept.mean() < 0.5 or rank < X.shape[1]:
        raise ConvergenceError(
            f"{int((~kept).sum())} of {kept.size} days have far more or far fewer registrations than the others, so "
            "that there is no reference to call a burst against. Choose observed_from and observed_until so that "
            "registrations run on one level or a smooth trend, or study the parts of the log one by one."
        )
    df = int(kept.sum() - rank)
    extra, coefficients = 0.0, _glm(y, design, kept, 0.0, None)
    for _ in range(25):
        mean = np.exp(X[kept] @ coefficients)
        before, extra = extra, _extra(y[kept], mean, df)
        if abs(extra - before) <= 1e-6 * (1 + extra):
            break
        coefficients = _glm(y, design, kept, extra, coefficients)
    mean = np.exp(X @ coefficients)
    weights = (mean / (1 + extra * mean))[kept]
    return _Fit(design, kept, coefficients, extra, df, X[kept].T @ (weights[:, None] * X[kept]))


def _extra(y: Floats, mean: Floats, df: int) -> float:
    """The a with sum w ((y - m)^2 / (m + a m^2) - df / n) = 0, w = m / (1 + a m); 0 where Poisson's variance is enough.

    The weights are those of pseudo-likelihood: what a day says of `a`. A Saturday of mean 0.1 with five registrations
    would else settle it for all days.
    """
    from scipy.optimize import brentq

    def excess(a: float) -> float:
        each = (y - mean) ** 2 / np.square(1 + a * mean) - df / y.size * mean / (1 + a * mean)
        return float(each.sum())

    if df <= 0 or excess(0.0) <= 0:
        return 0.0
    high = 1.0
    while excess(high) > 0:
        high *= 4
    return float(brentq(excess, 0.0, high, xtol=1e-12))


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """One round of the search."""

    fit: _Fit
    day_p: Floats
    day_adjusted: Floats
    week_p: Floats
    week_adjusted: Floats
    day_burst: Days
    week_burst: Days
    low: Days
    week_extra: float

    @property
    def out(self) -> Days:
        return self.day_burst | self.week_burst[self.fit.design.week] | self.low


def _judge(y: Floats, fit: _Fit, units: Sequence[str], alpha: float, adjust: str) -> _Judged:
    """P-values of days, of weeks without their burst days, and what they make of them."""
    mean, error = fit.of_other_days(y)
    extra = fit.extra + error
    low = adjusted(estimated_tail(lower_tail(y, mean, extra), fit.df), adjust) <= alpha
    day_p = np.full(y.size, np.nan)
    if "day" in units:
        day_p = estimated_tail(upper_tail(y, mean, extra), fit.df)
    day_adjusted = adjusted_by_run(day_p, adjust, alpha, len(units))
    day_burst = day_adjusted <= alpha
    week_extra, df = _week_extra(y, fit)
    week_p = np.full(fit.design.n_weeks, np.nan)
    if "week" in units:
        week_p = estimated_tail(_week_tail(y, fit, ~day_burst, week_extra), df)
    week_adjusted = adjusted_by_run(week_p, adjust, alpha, len(units))
    return _Judged(
        fit, day_p, day_adjusted, week_p, week_adjusted, day_burst, week_adjusted <= alpha, low, week_extra
    )  # fmt: skip


def adjusted_by_run(p_value: Floats, adjust: str, alpha: float, times: int = 1) -> Floats:
    """Adjust p-values in a row for their number, neighbours that stand out together as one finding.

    Seven days of one campaign are seven findings, behind which chance findings elsewhere could pass in the share of
    false ones that is held. So each run of days that stand out counts once, with its smallest p-value times its length;
    a run that does not pass leaves, and the rest is judged again.

    Parameters
    ----------
    p_value : (n,) float64
        Null where there is none.
    adjust : str
    alpha : float
        What stands out: an adjusted p-value of at most this.
    times : int
        Adjusted p-values are multiplied by it.

    Examples
    --------
    >>> p = np.array([1e-9, 1e-9, 1e-9, 0.9, 0.03, 0.9, 0.9, 0.9])
    >>> adjusted(p, "fdr_bh").round(3).tolist()[4], adjusted_by_run(p, "fdr_bh", 0.1).round(3).tolist()[4]
    (0.06, 0.09)
    """
    alone = np.minimum(adjusted(p_value, adjust) * times, 1.0)
    out = alone <= alpha
    while True:
        # A number for each run, and one for each other place.
        starts = np.concatenate([[True], ~(out[1:] & out[:-1])])
        group = np.cumsum(starts) - 1
        smallest = np.fmin.reduceat(p_value, np.flatnonzero(starts))
        together = np.minimum(adjusted(np.minimum(smallest * np.bincount(group), 1.0), adjust) * times, 1.0)
        found = np.fmax(together[group], alone)
        left = out & (found <= alpha)
        if np.array_equal(left, out):
            return np.where(np.isnan(p_value), np.nan, found)
        out = left


def _week_extra(y: Floats, fit: _Fit) -> tuple[float, int]:
    """Extra variance of the sum of a week, from the weeks of which at least four days are in the reference; its df."""
    design, kept = fit.design, fit.kept
    if design.n_weeks < _LEAST_WEEKS:
        return 0.0, 1
    week, n_weeks = design.week[kept], design.n_weeks
    sums, means = (_weekly(values[kept], week, n_weeks) for values in (y, fit.mean))
    used = np.bincount(week, minlength=n_weeks) >= 4
    df = int(used.sum()) - design.season_terms
    return _extra(sums[used], means[used], df), df


def _week_tail(y: Floats, fit: _Fit, rows: Days, week_extra: float) -> Floats:
    """Upper tail of each week's sum over these days, by the days of the other weeks."""
    design, mean = fit.design, fit.mean
    tail = np.full(design.n_weeks, np.nan)
    for week in range(design.n_weeks):
        inside = rows & (design.week == week)
        if not inside.any():
            continue
        total, error = fit.total(inside, y)
        alone = fit.extra * float(mean[inside] @ mean[inside]) / float(mean[inside].sum()) ** 2
        extra = np.array([max(alone, week_extra) + error])
        tail[week] = upper_tail(np.array([y[inside].sum()]), np.array([total]), extra)[0]
    return tail
