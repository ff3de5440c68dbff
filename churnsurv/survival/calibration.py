"""Calibration: whether predicted probabilities of churn by a day mean what they say."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError
from churnsurv.numerics import calibration as numerics
from churnsurv.numerics.censoring import Followed, Seen, WeightedMean, weighted_mean
from churnsurv.numerics.decision import survival_on
from churnsurv.numerics.kaplan_meier import log_limits, survival_limits
from churnsurv.survival.frames import first_of
from churnsurv.survival.inputs import SurvivalData, check_level
from churnsurv.survival.scored import (
    check_horizon,
    facts_of,
    number_column,
    probabilities,
    reach,
    scored_data,
    scored_rows,
)
from churnsurv.survival.tests_ import TestResult
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Calibration", "calibration"]

Floats: TypeAlias = NDArray[np.float64]

_IDEAL = {"ratio": 1.0, "intercept": 0.0, "slope": 1.0, "ici": 0.0, "e50": 0.0, "e90": 0.0}
_BINS, _GRID, _HISTOGRAM = 10, 101, 50
_NONE: tuple[float, ...] = (np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Calibration(Result):
    """Predicted against observed churn by a horizon; made by `calibration`.

    Attributes
    ----------
    horizon : float
        Days.
    level : float
    n, n_events : int
        Rows at risk, and churns among them by the horizon; sums of the weights where these are frequencies.
    observed, predicted : float
        Share that churns by the horizon, by Kaplan and Meier, and the mean prediction.
    d_calibration : TestResult or None
        That survival predicted for each row's own end is uniform; `d_calibration_bins` has its counts. Censored rows
        are spread over the bins, so that with censoring it rejects less often than its level says.
    notes : tuple of str
        What could not be estimated, and why.
    """

    _schema: ClassVar[str] = "calibration"

    horizon: float
    level: float
    n: int
    n_events: int
    observed: float
    predicted: float
    d_calibration: TestResult | None
    notes: tuple[str, ...]
    _groups: pd.DataFrame
    _summary: pd.DataFrame
    _curve: pd.DataFrame
    _histogram: pd.DataFrame
    _bins: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row per group of predictions, from the lowest to the highest."""
        return self._groups.copy()

    @property
    def summary(self) -> pd.DataFrame:
        """Ratio, intercept, slope, ICI, E50 and E90 with what they should be; schema "calibration_summary"."""
        return self._summary.copy()

    @property
    def curve(self) -> pd.DataFrame:
        """The smooth curve of observed over predicted; schema "calibration_curve". Empty where there is none."""
        return self._curve.copy()

    @property
    def histogram(self) -> pd.DataFrame:
        """How often each probability was predicted; schema "histogram"."""
        return self._histogram.copy()

    @property
    def d_calibration_bins(self) -> pd.DataFrame:
        """Rows by predicted survival at their own end; schema "d_calibration". Empty without it."""
        return self._bins.copy()

    @property
    def ratio(self) -> float:
        """Observed over predicted churn."""
        return self._of("ratio")

    @property
    def intercept(self) -> float:
        """Logarithm of observed over predicted hazard; should be 0."""
        return self._of("intercept")

    @property
    def slope(self) -> float:
        """Should be 1; below it predictions are too extreme."""
        return self._of("slope")

    @property
    def ici(self) -> float:
        """Mean distance of the smooth curve from the predictions."""
        return self._of("ici")

    @property
    def e50(self) -> float:
        """Median of these distances."""
        return self._of("e50")

    @property
    def e90(self) -> float:
        """Their 90th percentile."""
        return self._of("e90")

    def _of(self, quantity: str) -> float:
        return float(self._summary.set_index("quantity")["estimate"][quantity])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw observed over predicted churn, and how often each was predicted."""
        from churnsurv.plots.calibrations import calibration as draw

        return draw(self.table, ax, curve=self.curve, histogram=self.histogram, level=self.level)

    def _headline(self) -> str:
        return (
            f"churn by day {self.horizon:g}: {self.observed:.3f} observed, {self.predicted:.3f} predicted; slope "
            f"{self.slope:.2f}, ICI {self.ici:.3f}; {self.n:,} rows, {self.n_events:,} churned"
        )

    def _facts(self) -> dict[str, Any]:
        tables = {"summary": self._summary, "curve": self._curve, "histogram": self._histogram, "bins": self._bins}
        test = None if self.d_calibration is None else self.d_calibration._facts()
        return {
            "horizon": self.horizon,
            "level": self.level,
            "n_events": self.n_events,
            "observed": self.observed,
            "predicted": self.predicted,
            "d_calibration": test,
            "notes": list(self.notes),
            **{what: {str(name): t[name].tolist() for name in t.columns} for what, t in tables.items()},
            **self._said,
        }


def calibration(
    data: Any,
    *,
    probability: str | ArrayLike,
    horizon: float,
    groups: int = 10,
    survival_at_end: str | ArrayLike | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> Calibration:
    """Compare predicted probabilities of churn by a day with what happened.

    Parameters
    ----------
    data : Spells, or any table
        The rows that were predicted for; new ones, or the fit knows the answers.
    probability : str, or (n,) array
        Of churn by the horizon: a column, or what ``fit.churn_probability(data, horizon=...)`` gave back.
    horizon : number
        Days since origin.
    groups : int
        About equal groups in the order of the predictions; equal predictions stay together.
    survival_at_end : str, or (n,) array, optional
        P(T > duration) of each row at its own duration, for D-calibration; with late entry given that the row was there
        on the day of entry.
    cluster, weights, weights_kind, duration, event, entry, level
        As in `brier_score`.

    Returns
    -------
    Calibration
        Observed churn of groups is Kaplan and Meier's, with log-log limits. `ratio` is observed over predicted churn.
        `intercept` and `slope` are those of churn by the horizon on the complementary log-log scale, rows weighted by
        the inverse probability of being known (Crowson et al. 2016; Royston and Altman 2013). ICI, E50 and E90 are the
        mean, the median and the 90th percentile of the distance between predictions and the smooth curve: Cox's
        regression of follow-up to the horizon on a restricted cubic spline, with four knots, of log(-log(1 -
        probability)) (Austin et al. 2020). They have no intervals. D-calibration is a chi-square test of ten bins
        (Haider et al. 2020); censored rows make it conservative.

    Raises
    ------
    SchemaError, InputError
        If predictions do not belong to the rows or are no probabilities; if nobody churned by the horizon.
    FollowUpError
        If nobody was followed to the horizon.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [20, 30, 45, 60, 60, 35, 60, 60], "churned": [1, 1, 1, 0, 0, 1, 0, 0],
    ...     "p": [0.9, 0.6, 0.3, 0.5, 0.2, 0.7, 0.1, 0.4],
    ... })
    >>> calibration(data, probability="p", horizon=50, groups=2).table[["predicted", "observed", "n", "n_events"]]
       predicted  observed  n  n_events
    0      0.250      0.25  4         1
    1      0.675      0.75  4         3
    """
    level, horizon = check_level(level), check_horizon(horizon)
    if not isinstance(groups, int) or groups < 1:
        raise InputError(f"groups must be a whole number >= 1; got {groups!r}.")
    named = [name for name in (probability, survival_at_end) if isinstance(name, str)]
    found = scored_data(
        data, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights, weights_kind=weights_kind,
        columns=named,
    )  # fmt: skip
    p = probabilities(
        probability, found, name=probability if isinstance(probability, str) else "probability", horizon=horizon
    )
    rows = scored_rows(found)
    seen = rows.at(horizon)
    if not (seen.churned & (seen.weight > 0)).any():
        raise InputError(
            f"nobody churned by day {horizon:g}: there is nothing to hold the predictions against. Ask for a later day."
        )
    notes: list[str] = []
    table = _group_table(rows, seen, p, groups, level, notes)
    smooth = _smooth(found, rows, seen, p, notes)
    overall = weighted_mean(rows, seen, seen.churned.astype(np.float64))
    mean = _mean(rows, seen, p)
    figures = {"ratio": _ratio(rows, overall, mean, level), **_scale(rows, seen, p, level, notes), **smooth.distances}
    test, bins = _d_calibration(found, rows, survival_at_end, notes)
    return Calibration(
        horizon=horizon,
        level=level,
        n=int(table["n"].sum()),
        n_events=int(table["n_events"].sum()),
        observed=overall.estimate,
        predicted=mean.estimate,
        d_calibration=test,
        notes=tuple(notes),
        _groups=table,
        _summary=_summary_table(figures),
        _curve=smooth.curve,
        _histogram=_histogram_table(rows, p),
        _bins=bins,
        _said=facts_of(found),
    )


def _mean(rows: Followed, seen: Seen, values: Floats) -> WeightedMean:
    """Mean over users; with late entry rows stand for those who churned too early to be seen as well."""
    if rows.start is not None:
        return weighted_mean(rows, seen, values)
    held = rows.held()
    weights = rows.drawn.times(held.astype(np.float64))
    total = float(weights.sum())
    mean = float(np.dot(weights, values)) / total
    return WeightedMean(mean, np.where(held, values - mean, 0.0) / total)


def _user_weights(rows: Followed, seen: Seen) -> Floats:
    """How many users each row stands for."""
    return rows.drawn.times(seen.weight if rows.start is not None else rows.held().astype(np.float64))


def _group_table(rows: Followed, seen: Seen, p: Floats, groups: int, level: float, notes: list[str]) -> pd.DataFrame:
    import pandas as pd

    held = rows.held()
    code, n_groups = numerics.equal_groups(
        p[held], groups, None if rows.drawn.weights is None else rows.drawn.weights[held]
    )
    group = np.full(rows.n, -1)
    group[held] = code
    stands_for = _user_weights(rows, seen)
    counted = rows.drawn.weights if rows.drawn.frequency and rows.drawn.weights is not None else np.ones(rows.n)
    lines = []
    for g in range(n_groups):
        mine = group == g
        S, error = survival_on(rows, seen, mine)
        lower, upper = survival_limits(np.array([S]), np.array([error]), reach=reach(level), ci="log-log")
        lines.append(
            {
                "group": g + 1,
                "predicted": float(np.average(p[mine], weights=stands_for[mine])) if stands_for[mine].any() else np.nan,
                "observed": 1 - S,
                "std_error": error,
                "lower": 1 - float(upper[0]),
                "upper": 1 - float(lower[0]),
                "n": round(float(counted[mine].sum())),
                "n_events": round(float(counted[mine & seen.churned & (seen.weight > 0)].sum())),
                "lowest": float(p[mine].min()),
                "highest": float(p[mine].max()),
            }
        )
    table = pd.DataFrame(lines)
    lost = table.loc[table["observed"].isna(), "group"].tolist()
    if lost:
        notes.append(
            f"nobody of group {', '.join(map(str, lost))} was followed to day {seen.day:g}: observed churn is unknown."
        )
    return table


def _ratio(rows: Followed, observed: WeightedMean, mean: WeightedMean, level: float) -> tuple[float, ...]:
    if not mean.estimate > 0:
        return _NONE
    ratio = observed.estimate / mean.estimate
    error = rows.drawn.std_error((observed.influence - ratio * mean.influence) / mean.estimate)
    lower, upper = log_limits(np.array([ratio]), np.array([error]), level=level)
    return ratio, error, float(lower[0]), float(upper[0])


def _scale(rows: Followed, seen: Seen, p: Floats, level: float, notes: list[str]) -> dict[str, tuple[float, ...]]:
    """Intercept and slope with their limits."""
    nothing = {"intercept": _NONE, "slope": _NONE}
    if not _inside(p[rows.held()], notes):
        return nothing
    if not ((seen.weight > 0) & ~seen.churned).any():
        notes.append(f"everybody churned by day {seen.day:g}: there is no intercept and no slope.")
        return nothing
    try:
        # what rows never at risk were predicted does not matter
        fit = numerics.cloglog_fit(rows, seen, np.where(rows.held(), p, 0.5))
    except ConvergenceError as error:
        notes.append(f"no intercept and no slope: {error}")
        return nothing
    z = reach(level)
    pairs = {
        "intercept": (fit.intercept, fit.intercept_std_error),
        "slope": (fit.slope, fit.slope_std_error),
    }
    return {name: (b, e, b - z * e, b + z * e) for name, (b, e) in pairs.items()}


def _inside(p: Floats, notes: list[str]) -> bool:
    """Whether all predictions have a complementary log-log; if not, a note says so, once."""
    outside = int(np.count_nonzero((p <= 0) | (p >= 1)))
    if outside:
        note = (
            f"{outside:,} predictions are 0 or 1, which no outcome can be held against: there is no intercept, slope, "
            "ICI, E50 and E90."
        )
        if note not in notes:
            notes.append(note)
    return outside == 0


@dataclass(frozen=True, slots=True, eq=False)
class _Smooth:
    """The smooth curve, and ICI, E50 and E90."""

    curve: pd.DataFrame
    distances: dict[str, tuple[float, ...]]


def _smooth(found: SurvivalData, rows: Followed, seen: Seen, p: Floats, notes: list[str]) -> _Smooth:
    import pandas as pd

    nothing = _Smooth(
        pd.DataFrame({"predicted": np.zeros(0), "observed": np.zeros(0)}), dict.fromkeys(("ici", "e50", "e90"), _NONE)
    )
    users = _user_weights(rows, seen)
    end = np.minimum(found.duration, seen.day)
    held = rows.held() if found.entry is None else found.entry < end
    if not _inside(p[held], notes):
        return nothing
    weights = users[held]
    z = numerics.cloglog(p[held])
    knots = numerics.spline_knots(z, 4, None if rows.drawn.weights is None else rows.drawn.weights[held])
    X = numerics.restricted_cubic(z, knots)
    if np.ptp(z) == 0:
        notes.append("all predictions are the same: there is no slope, and no curve to take ICI, E50 and E90 from.")
        return nothing
    mean = X.mean(axis=0)
    try:
        b, hazard = _regression(found, seen, held, end, X - mean, notes)
    except ConvergenceError as error:
        notes.append(f"no ICI, E50 and E90: {error}")
        return nothing
    observed = -np.expm1(-hazard * np.exp((X - mean) @ b))
    distance = np.abs(observed - p[held])
    e50, e90 = numerics.quantile_of(
        distance, np.array([0.5, 0.9]), None if rows.drawn.weights is None and rows.start is None else weights
    ).tolist()
    grid = np.linspace(float(p[held].min()), float(p[held].max()), _GRID)
    on_grid = numerics.restricted_cubic(numerics.cloglog(grid), knots) - mean
    curve = pd.DataFrame({"predicted": grid, "observed": -np.expm1(-hazard * np.exp(on_grid @ b))})
    ici = float(np.average(distance, weights=weights))
    rest = (np.nan, np.nan, np.nan)
    return _Smooth(curve, {"ici": (ici, *rest), "e50": (e50, *rest), "e90": (e90, *rest)})


def _regression(
    found: SurvivalData, seen: Seen, held: NDArray[np.bool_], end: NDArray[Any], X: Floats, notes: list[str]
) -> tuple[Floats, float]:
    """Cox's regression of follow-up to the horizon: coefficients, and the hazard at the mean of the columns."""
    import pandas as pd

    from churnsurv.survival.cox import cox

    names = [f"s{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names).assign(
        duration=end[held], churned=found.churned[held] & (found.duration[held] <= seen.day)
    )
    keywords: dict[str, Any] = {}
    if found.entry is not None:
        frame["entry"], keywords["entry"] = found.entry[held], "entry"
    if found.weights is not None:
        frame["weights"] = found.weights[held]
        keywords |= {"weights": "weights", "weights_kind": found.weights_kind}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChurnsurvWarning)
        fit = cox(" + ".join(names), frame, **keywords)
    notes.extend(f"smooth curve: {one.message}" for one in caught if issubclass(one.category, ChurnsurvWarning))
    return fit._estimates, float(fit.baseline["cumulative_hazard"].iloc[-1])


def _d_calibration(
    found: SurvivalData, rows: Followed, survival_at_end: Any, notes: list[str]
) -> tuple[TestResult | None, pd.DataFrame]:
    import pandas as pd

    if survival_at_end is None:
        return None, pd.DataFrame({name: np.zeros(0) for name in ("lower", "upper", "n", "expected")})
    name = survival_at_end if isinstance(survival_at_end, str) else "survival_at_end"
    s = number_column(survival_at_end, found, name, "predicted survival").astype(np.float64)
    bad = ~((s >= 0) & (s <= 1))
    if bad.any():
        raise InputError(
            f"{name!r} must hold probabilities between 0 and 1; {first_of(bad, s)}. It is "
            "P(T > duration) of each row at its own duration."
        )
    held = rows.held()
    weights = None if rows.drawn.weights is None else rows.drawn.weights[held]
    counts = numerics.d_calibration(s[held], found.churned[held], _BINS, weights)
    expected = counts.sum() / _BINS
    edges = np.linspace(0, 1, _BINS + 1)
    bins = pd.DataFrame({"lower": edges[:-1], "upper": edges[1:], "n": counts, "expected": expected})
    statistic = float((np.square(counts - expected) / expected).sum())
    method = f"D-calibration, {_BINS} bins"
    if found.weights_kind == "sampling":
        notes.append("sampling weights leave D-calibration without a p-value: its counts are no counts of users.")
        return TestResult(statistic, _BINS - 1, float("nan"), method), bins
    if found.cluster_name is not None:
        method += ", rows taken as independent"
    return TestResult(statistic, _BINS - 1, float(chdtrc(_BINS - 1, statistic)), method), bins


def _summary_table(figures: Mapping[str, tuple[float, ...]]) -> pd.DataFrame:
    import pandas as pd

    columns = ("estimate", "std_error", "lower", "upper")
    lines = [
        {"quantity": name, **dict(zip(columns, figures[name], strict=True)), "ideal": ideal}
        for name, ideal in _IDEAL.items()
    ]
    return pd.DataFrame(lines)


def _histogram_table(rows: Followed, p: Floats) -> pd.DataFrame:
    import pandas as pd

    held = rows.held()
    weights = None if rows.drawn.weights is None else rows.drawn.weights[held]
    place = np.minimum((p[held] * _HISTOGRAM).astype(np.int64), _HISTOGRAM - 1)
    edges = np.linspace(0, 1, _HISTOGRAM + 1)
    counts = np.bincount(place, weights, minlength=_HISTOGRAM).astype(np.float64)
    return pd.DataFrame({"lower": edges[:-1], "upper": edges[1:], "n": counts})
