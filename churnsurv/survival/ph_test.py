"""Do hazard ratios stay the same throughout follow-up? The test, and how much they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from churnsurv.errors import InputError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, state_at
from churnsurv.numerics.ph_test import PHScore, Transform, WindowFit, fit_window, ph_score, transformed
from churnsurv.numerics.risk_sets import RiskSets
from churnsurv.survival.inputs import check_level
from churnsurv.survival.training import Training, training_of
from churnsurv.tables import Result, plain, schema

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["PHTest", "ph_test"]

Floats: TypeAlias = NDArray[np.float64]

_GLOBAL = "GLOBAL"
_MANY_CHURNS = 1_000  # so many make small changes significant
_FEW_CLUSTERS = 10  # clusters per degree of freedom below which the robust test is rough
_STEADY = 10  # churns that a window of a term needs before the headline speaks of it


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PHTest(Result):
    """A test of proportional hazards with hazard ratios by window of follow-up; made by `ph_test`.

    Attributes
    ----------
    formula : str
        Of the model.
    transform : {"km", "rank", "identity", "log"}
        The function of time that the coefficients are tested to change with.
    cluster : str or None
        Column whose rows may depend on each other: the tests and standard errors are then robust.
    weights, weights_kind : str or None
        As in the fit; with sampling weights the tests are robust too.
    level : float
        Of the intervals in `windows`.
    cuts : tuple of float
        Days at which follow-up is cut into windows.
    n_events : int
        Churns, as the fit counts them.
    notes : tuple of str
        What a reader of the result must know.
    """

    _schema: ClassVar[str] = "ph_test"

    formula: str
    transform: str
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    level: float
    cuts: tuple[float, ...]
    n_events: int
    notes: tuple[str, ...]
    _tests: tuple[Mapping[str, Any], ...]
    _windows: pd.DataFrame
    _overall: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row per variable, all its coefficients together, and GLOBAL for all variables."""
        import pandas as pd

        return pd.DataFrame(self._tests, columns=list(schema(self._schema).names))

    @property
    def windows(self) -> pd.DataFrame:
        """Hazard ratios by window of follow-up, schema "ph_windows"; `note` says why there is no estimate."""
        return self._windows.copy()

    def _headline(self) -> str:
        overall = self._tests[-1]
        p = "p < 0.001" if overall["p_value"] < 0.001 else f"p = {overall['p_value']:.3f}"
        robust = ", robust" if self.cluster is not None or self.weights_kind == "sampling" else ""
        test = f"{_GLOBAL} chi-square {overall['statistic']:.2f} on {overall['df']} df{robust}, {p}"
        if np.isnan(overall["statistic"]):
            test = f"no {_GLOBAL} test"
        return f"{self.formula}, time by {self.transform}: {test}; {_largest_change(self._windows)}"

    def _facts(self) -> dict[str, Any]:
        return {
            "formula": self.formula,
            "transform": self.transform,
            "cluster": self.cluster,
            **({"weights": self.weights, "weights_kind": self.weights_kind} if self.weights else {}),
            "level": self.level,
            "cuts": list(self.cuts),
            "n_events": self.n_events,
            "notes": list(self.notes),
            "windows": {str(name): plain(self._windows[name].tolist()) for name in self._windows.columns},
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios by window of follow-up, and those of the whole beside them."""
        from churnsurv.plots.windows import hazard_ratio_windows

        axes: Axes = hazard_ratio_windows(self._windows, ax, overall=self._overall, level=self.level)
        return axes


def ph_test(
    fit: CoxFit,
    *,
    transform: Transform = "km",
    cuts: Sequence[float] | None = None,
    data: Any = None,
    level: float | None = None,
) -> PHTest:
    """Test whether hazard ratios stay the same throughout follow-up, and say how much they change.

    Parameters
    ----------
    fit : CoxFit
        With Efron's or Breslow's ties, without penalty.
    transform : {"km", "rank", "identity", "log"}
        The function of time that coefficients may change with: 1 - Kaplan and Meier's survival just before the day (a
        steady scale however the churns fall), the rank of the day, the day, or its logarithm.
    cuts : sequence of float, optional
        Days that cut follow-up into windows, rising; a window holds the days after its first cut, up to the next one.
        By default two days that part the churns into thirds, as far as whole days allow.
    data : Spells, or any table, optional
        The table that the model was fitted to, where the fit does not hold its rows.
    level : float, optional
        Of the intervals by window; by default that of the fit.

    Returns
    -------
    PHTest
        ``.table``: the score test by variable and for all (GLOBAL). ``.windows``: a Cox fit in each window.
        Read them together: with many churns the smallest change has a small p-value, with few a large change has none.

    Raises
    ------
    InputError
        If the fit is grouped or penalised, holds no rows and `data` is None, or `data` is another table; if there is no
        such transform, its function has one value on all days of churn, or `cuts` don't rise within follow-up.

    Notes
    -----
    Without clusters and sampling weights the test is ``cox.zph(fit, transform)`` of R's survival package 3 (Grambsch
    and Therneau 1994, computed exactly). With clusters R takes rows as independent, with sampling weights its statistic
    grows with the unit of the weights; here the variance of the score is then robust (Lin and Wei 1989).

    Examples
    --------
    The plan "trial" is left early, later it is no different:

    >>> import pandas as pd
    >>> from churnsurv.survival import cox
    >>> data = pd.DataFrame({
    ...     "duration": [1, 2, 2, 4, 5, 9, 12, 12, 3, 8, 8, 9, 10, 11, 11, 12], "churned": [1] * 7 + [0] + [1] * 8,
    ...     "plan": ["trial"] * 8 + ["full"] * 8,
    ... })
    >>> test = ph_test(cox("plan", data), cuts=[7])
    >>> test.table.round(3)
      variable  statistic  df  p_value
    0     plan      5.066   1    0.024
    1   GLOBAL      5.066   1    0.024
    >>> test.windows[["window", "term", "n_events", "hazard_ratio"]].round(2)
      window         term  n_events  hazard_ratio
    0    0-7  plan: trial         5          6.82
    1   7-12  plan: trial         2          0.32
    """
    level = fit.level if level is None else check_level(level)
    _refuse(fit)
    training = training_of(fit, data, "tests of proportional hazards")
    rows = training.data
    cut_days = _thirds(rows.sets) if cuts is None else _checked(cuts, rows.sets)
    g = transformed(
        transform,
        rows.sets,
        duration=training.duration,
        entry=training.entry,
        frequency=None if rows.frequency is None else rows.frequency.astype(np.int64),
    )
    cluster = _clusters(training)
    tests = _tests(fit, training, _score(training, g, cluster))
    windows = _windows(fit, training, cut_days, cluster, level)
    return PHTest(
        formula=fit.formula,
        transform=transform,
        cluster=fit.cluster,
        weights=fit.weights,
        weights_kind=fit.weights_kind,
        level=level,
        cuts=cut_days,
        n_events=fit.n_events,
        notes=tuple(_notes(fit, tests, windows, default=cuts is None)),
        _tests=tests,
        _windows=windows,
        _overall=fit.table[["term", "hazard_ratio"]],
    )


def _refuse(fit: CoxFit) -> None:
    if fit.ties == "grouped":
        raise InputError(
            "this fit is of grouped days (ties='grouped'), and the test is of partial likelihoods. Fit the same "
            "formula with ties='efron' and test that."
        )
    if fit.penalty:
        raise InputError(
            "this fit is penalised: at its coefficients the score is not zero, and its change over time has no known "
            "distribution. Fit the same formula without penalty and test that."
        )


def _clusters(training: Training) -> NDArray[np.integer[Any]] | None:
    """Codes of what varies independently under a robust variance: clusters, or rows drawn; None without."""
    if training.cluster is None and training.data.sampling is not None:
        return np.arange(training.data.design.n_rows)
    return training.cluster


def _score(training: Training, g: Floats, cluster: NDArray[np.integer[Any]] | None) -> PHScore:
    data: CoxData = training.data if cluster is not None else collapse(training.data)
    return ph_score(data, state_at(data, training.coefficients), g, cluster=cluster)


def _tests(fit: CoxFit, training: Training, score: PHScore) -> tuple[Mapping[str, Any], ...]:
    columns: dict[str, list[int]] = {}
    for row, place in zip(fit._rows, training.order, strict=True):
        columns.setdefault(row.variable, []).append(int(place))
    found = []
    for name, places in (*columns.items(), (_GLOBAL, range(len(fit._rows)))):
        test = score.test(np.array(places, dtype=np.intp))
        found.append({"variable": name, "statistic": test.statistic, "df": test.df, "p_value": test.p_value})
    return tuple(found)


def _thirds(sets: RiskSets) -> tuple[float, ...]:
    """Days of churn that part the churns into thirds; fewer than two where one day has too many of them."""
    days, which = np.unique(sets.time, return_inverse=True)
    total = np.cumsum(np.bincount(which, sets.n_events))
    at = np.searchsorted(total, total[-1] * np.array([1, 2]) / 3 * (1 - 1e-12))
    return tuple(float(days[i]) for i in np.unique(at) if i < days.shape[0] - 1)


def _checked(cuts: Sequence[float], sets: RiskSets) -> tuple[float, ...]:
    days = np.asarray(cuts, dtype=np.float64)
    last = float(sets.time.max())
    if days.ndim != 1 or not np.isfinite(days).all():
        raise InputError(f"cuts must be days such as (30, 90), not {cuts!r}.")
    if (np.diff(days) <= 0).any() or (days <= 0).any():
        raise InputError(f"cuts must be days > 0 that rise, such as (30, 90), not {cuts!r}.")
    if (days >= last).any():
        late = days[days >= last][0]
        raise InputError(f"cuts: the last churn is on day {last:g}, so that nothing is left after day {late:g}.")
    return tuple(days.tolist())


def _windows(
    fit: CoxFit,
    training: Training,
    cuts: tuple[float, ...],
    cluster: NDArray[np.integer[Any]] | None,
    level: float,
) -> pd.DataFrame:
    import pandas as pd

    edges = [0.0, *cuts, float(training.data.sets.time.max())]
    parts = []
    for i, (after, until) in enumerate(pairwise(edges)):
        # days are in (after, until], but the first window has day 0 too where rows without entry churn on it
        first = -np.inf if i == 0 else after
        found = fit_window(training.data, first, until, start=training.coefficients, cluster=cluster)
        parts.append(_window(fit, training.order, found, after, until, level))
    return pd.concat(parts, ignore_index=True)


def _window(
    fit: CoxFit, order: NDArray[np.intp], found: WindowFit, after: float, until: float, level: float
) -> pd.DataFrame:
    import pandas as pd

    estimate, error = found.coefficients[order], found.std_error[order]
    reach = ndtri((1 + level) / 2) * error
    limits = {"estimate": estimate, "lower": estimate - reach, "upper": estimate + reach}
    with np.errstate(over="ignore", under="ignore"):
        ratios = [np.exp(values) for values in limits.values()]
    return pd.DataFrame(
        {
            "window": f"{after:g}-{until:g}",
            "window_from": after,
            "window_to": until,
            "term": [row.term for row in fit._rows],
            "variable": [row.variable for row in fit._rows],
            "category": pd.Series([row.category for row in fit._rows], dtype=object),
            "reference": pd.Series([row.reference for row in fit._rows], dtype=object),
            "n_events": found.n_events[order],
            "estimate": estimate,
            "std_error": error,
            "lower": limits["lower"],
            "upper": limits["upper"],
            **dict(zip(("hazard_ratio", "hr_lower", "hr_upper"), ratios, strict=True)),
            "note": pd.Series([found.reasons[i] for i in order], dtype=object),
        }
    )


def _notes(fit: CoxFit, tests: tuple[Mapping[str, Any], ...], windows: pd.DataFrame, *, default: bool) -> list[str]:
    notes = []
    if fit.n_events >= _MANY_CHURNS:
        notes.append(
            f"with {fit.n_events:,} churns even a small change of a hazard ratio has a small p-value: judge by the "
            "hazard ratios by window."
        )
    if fit.cluster is not None or fit.weights_kind == "sampling":
        by = f"the clusters of {fit.cluster!r}" if fit.cluster is not None else "the sampling weights"
        notes.append(f"the tests are robust, by {by}; cox.zph of R takes rows as independent and weights as numbers.")
    if fit.cluster is not None and fit._n_clusters < _FEW_CLUSTERS * tests[-1]["df"]:
        notes.append(
            f"{fit._n_clusters} clusters are few for a robust test on {tests[-1]['df']} df: take its p-value as rough."
        )
    counts = windows.groupby("variable", sort=False)["term"].nunique()
    notes += [
        f"{name}: for {counts[name] - df} of {counts[name]} coefficients the churns tell nothing of a change over "
        "time; they are left out of the test."
        for name, df in ((test["variable"], test["df"]) for test in tests[:-1])
        if df < counts[name]
    ]
    notes += [
        f"{test['variable']}: there are too few clusters for a robust test on {test['df']} df."
        for test in tests
        if np.isnan(test["statistic"]) and test["df"] > 0
    ]
    lost = int(windows["note"].notna().sum())
    if lost:
        notes.append(f"{lost} of {len(windows)} hazard ratios by window have no estimate: see the column 'note'.")
    n_windows = windows["window"].nunique()
    if default and n_windows < 3:
        notes.append(
            f"the churns fall on so few days that they make {n_windows} window{'s' if n_windows > 1 else ''}, not "
            "three."
        )
    return notes


def _largest_change(windows: pd.DataFrame) -> str:
    """Name the term whose hazard ratio differs most between windows with some churns, and from what to what."""
    known = windows[windows["estimate"].notna() & (windows["n_events"] >= _STEADY)]
    if known.empty:
        known = windows[windows["estimate"].notna()]
    largest, said = 0.0, "no two windows to compare"
    for term, part in known.groupby("term", sort=False):
        estimate = part["estimate"].to_numpy()
        lowest, highest = sorted((int(estimate.argmin()), int(estimate.argmax())))
        change = float(np.ptp(estimate))
        if change > largest:
            largest = change
            first, second = (
                f"{part['hazard_ratio'].iloc[i]:.3g} in days {part['window'].iloc[i]}" for i in (lowest, highest)
            )
            ratio = f"{np.exp(change):.3g}" if change < 20 else "beyond all bounds"
            said = f"largest change: {term}, hazard ratio {first} and {second} (ratio {ratio})"
    return said
