"""Cox regression: the table and formula door to `churnsurv.numerics.cox`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri

from churnsurv.errors import ChurnsurvWarning, ConvergenceError, InputError, did_you_mean
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, CoxSolution, baseline_hazard, fit_cox, state_at
from churnsurv.numerics.residuals import cluster_covariance
from churnsurv.numerics.risk_sets import RiskSets, risk_sets
from churnsurv.survival.covariates import Encoding, ModelMatrix, Row, learn_encoding
from churnsurv.survival.formula import Formula, parse_formula
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.tests_ import TestResult
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CoxFit", "cox"]

Floats: TypeAlias = NDArray[np.float64]

# Columns of spells that know how the spell ends, or what the log could see of it.
_OUTCOMES = {
    "duration": "it is the outcome itself",
    "churned": "it is the outcome itself",
    "end_date": "it is known only when the spell ends",
    "last_activity": "it is known only when the spell ends",
    "entry": "it says when observation began, not who the user is",
    "origin_known": "it says what the log could see, not who the user is",
}
# Ties pull coefficients to zero where one day takes more than this share of its risk set.
_CROWDED_SHARE, _CROWDED_EVENTS, _CROWDED_PART = 0.2, 10, 0.01


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CoxFit(Result):
    """A fitted Cox model.

    Attributes
    ----------
    formula : str
    ties : {"efron", "breslow"}
    strata : tuple of str
        Columns whose values have a baseline hazard each.
    cluster : str or None
        Column whose rows may depend on each other; the standard errors are then cluster-robust.
    level : float
        Of the confidence intervals.
    n, n_events : int
        Rows at risk, and churns among them.
    n_no_risk : int
        Rows whose duration equals their entry: they are in the table but never at risk.
    log_likelihood, log_likelihood_null : float
        At the estimates, and at coefficients zero.
    iterations : int
        Newton steps.
    covariance : (n_terms, n_terms) float64, read-only
        Of the estimates; cluster-robust with a cluster.
    notes : tuple of str
        What a reader of the result must know.
    """

    _schema: ClassVar[str] = "cox"

    formula: str
    ties: str
    strata: tuple[str, ...]
    cluster: str | None
    level: float
    n: int
    n_events: int
    n_no_risk: int
    log_likelihood: float
    log_likelihood_null: float
    iterations: int
    covariance: Floats
    notes: tuple[str, ...]
    _rows: tuple[Row, ...]
    _known_at: tuple[str, ...]
    _estimates: Floats
    _score_statistic: float
    _n_clusters: int
    _baseline: pd.DataFrame
    _encoding: Encoding
    _source: Mapping[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """One row per coefficient: estimate, standard error, z, p-value, interval, and the same as hazard ratio."""
        import pandas as pd

        error = np.sqrt(np.diagonal(self.covariance))
        z = self._estimates / error
        reach = ndtri((1 + self.level) / 2) * error
        lower, upper = self._estimates - reach, self._estimates + reach
        with np.errstate(over="ignore", under="ignore"):
            ratio = {
                "hazard_ratio": np.exp(self._estimates),
                "hr_lower": np.exp(lower),
                "hr_upper": np.exp(upper),
            }
        return pd.DataFrame(
            {
                "term": [row.term for row in self._rows],
                "variable": [row.variable for row in self._rows],
                "category": pd.Series([row.category for row in self._rows], dtype=object),
                "reference": pd.Series([row.reference for row in self._rows], dtype=object),
                "known_at": list(self._known_at),
                "estimate": self._estimates,
                "std_error": error,
                "statistic": z,
                "p_value": 2 * ndtr(-np.abs(z)),
                "lower": lower,
                "upper": upper,
                **ratio,
            }
        )

    @property
    def baseline(self) -> pd.DataFrame:
        """Cumulative hazard at covariates zero and categories at their reference, on the days with churn.

        A step function: between these days it stays as it is. A stratum without churn has no rows.
        """
        return self._baseline.copy()

    @property
    def likelihood_ratio_test(self) -> TestResult:
        """Twice the rise of the log-likelihood from coefficients zero."""
        return self._test("likelihood-ratio test", 2 * (self.log_likelihood - self.log_likelihood_null))

    @property
    def wald_test(self) -> TestResult:
        """All coefficients against zero by their covariance, robust where that is."""
        statistic = float(self._estimates @ np.linalg.solve(self.covariance, self._estimates))
        return self._test("Wald test" if self.cluster is None else "robust Wald test", statistic)

    @property
    def score_test(self) -> TestResult:
        """Slope and curvature of the log-likelihood at coefficients zero."""
        return self._test("score test", self._score_statistic)

    def _test(self, method: str, statistic: float) -> TestResult:
        df = len(self._estimates)
        naive = "" if self.cluster is None or method.startswith("robust") else ", rows taken as independent"
        return TestResult(
            statistic=statistic, df=df, p_value=float(chdtrc(df, max(statistic, 0.0))), method=method + naive
        )

    def _headline(self) -> str:
        p = len(self._rows)
        return (
            f"{self.formula}: {self.n:,} rows, {self.n_events:,} churned, {p} coefficient{'s' if p > 1 else ''}, "
            f"{self.ties.capitalize()} ties; {self.likelihood_ratio_test._headline()}"
        )

    def _facts(self) -> dict[str, Any]:
        tests = (self.likelihood_ratio_test, self.wald_test, self.score_test)
        return {
            "formula": self.formula,
            "ties": self.ties,
            "strata": list(self.strata),
            "cluster": self.cluster,
            "n_clusters": self._n_clusters if self.cluster else None,
            "level": self.level,
            "n": self.n,
            "n_events": self.n_events,
            "n_no_risk": self.n_no_risk,
            "log_likelihood": self.log_likelihood,
            "log_likelihood_null": self.log_likelihood_null,
            "iterations": self.iterations,
            "tests": [test._facts() for test in tests],
            "notes": list(self.notes),
            **self._source,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios with their intervals."""
        from churnsurv.plots import forest

        axes: Axes = forest(self.table, ax, level=self.level)
        return axes


def cox(
    formula: str,
    data: Any,
    *,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    reference: Mapping[str, object] | None = None,
    ties: Literal["efron", "breslow"] = "efron",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> CoxFit:
    """Fit Cox's proportional hazards model.

    Parameters
    ----------
    formula : str
        Covariates without a left side: ``"channel + log1p(max_amount)"``. Functions: log, log1p, log2, log10, sqrt,
        exp, abs, center, scale, poly, bs, cs, cr, C, I. Text, categorical and boolean columns are categories, missing
        values a category of their own; so is ``C(column)``.
    data : Spells, or any table
    strata : str or sequence of str, optional
        Columns whose values have a baseline hazard each.
    cluster : str or None
        Rows of one cluster may depend on each other: cluster-robust standard errors. "auto": `user_id` for spells built
        with ``spells="all"``, else none.
    reference : mapping of column to category, optional
        Else the first category, in categorical order or sorted.
    ties : {"efron", "breslow"}
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Of the confidence intervals.

    Returns
    -------
    CoxFit
        Sources: Cox (1972); Efron (1977) and Breslow (1974) for ties; Lin and Wei (1989) for the robust variance.

    Raises
    ------
    SchemaError
        If a column is missing or of the wrong type.
    InputError
        If the formula cannot be used, a covariate is missing in some rows or has one value only, or would look ahead.
    ConvergenceError
        If there is no churn, covariates determine each other, a coefficient is infinite, or the maximum is not reached.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120],
    ...     "churned": [True, True, True, False, True, True, True, False],
    ...     "channel": ["search"] * 4 + ["friend"] * 4,
    ... })
    >>> fit = cox("channel", data)
    >>> fit.table[["term", "reference", "hazard_ratio", "p_value"]].round(3)
                  term reference  hazard_ratio  p_value
    0  channel: search    friend         3.596    0.269
    """
    level = check_level(level)
    if ties not in ("efron", "breslow"):
        raise InputError(
            f"ties must be 'efron' or 'breslow', not {ties!r}.{did_you_mean(str(ties), ('efron', 'breslow'))}"
        )
    parsed = parse_formula(formula)
    own = isinstance(data, Result) and data._schema == "spells"
    _refuse_outcomes(parsed, own=own, named=(duration, event, entry))
    found = survival_data(
        data,
        strata=strata,
        cluster=cluster,
        duration=duration,
        event=event,
        entry=entry,
        columns=parsed.variables,
    )
    sets = _risk_sets(found, event)
    at_risk = sets.at_risk()
    encoding, matrix, notes = learn_encoding(
        parsed, found.frame, reference=reference, informative=None if at_risk.all() else at_risk
    )
    stratum_names = tuple(column_list("strata", strata))
    warned = [*_crowded(sets, found), *_too_few_events(sets, matrix)]
    for text in warned:
        warnings.warn(text, ChurnsurvWarning, stacklevel=2)
    solution, covariance = _fitted(CoxData(matrix.design, sets, ties), found)
    return _result(
        found=found, sets=sets, matrix=matrix, encoding=encoding, solution=solution, covariance=covariance,
        ties=ties, level=level, strata=stratum_names, own=own, notes=(*_quiet_strata(sets, found), *notes, *warned),
    )  # fmt: skip


def _risk_sets(found: SurvivalData, event: str) -> RiskSets:
    sets = risk_sets(
        found.duration,
        found.churned,
        entry=found.entry,
        stratum=found.strata_codes,
        n_strata=len(found.strata_labels),
    )
    if sets.n_slots == 0:
        raise ConvergenceError(
            f"none of the {found.n - sets.n_no_risk:,} rows at risk churned: without churn no hazard can be compared. "
            f"Check the event column {event!r} and the end of the log."
        )
    return sets


def _fitted(data: CoxData, found: SurvivalData) -> tuple[CoxSolution, Floats]:
    """The solution, and the covariance to report."""
    fitted = collapse(data)
    solution = fit_cox(fitted)
    if found.cluster_codes is None:
        return solution, solution.inverse_information
    p = data.design.n_columns
    if found.n_clusters <= p:
        raise InputError(
            f"cluster {found.cluster_name!r} has {found.n_clusters} values, too few for {p} coefficients: a robust "
            "variance needs many more clusters than coefficients."
        )
    by_row = solution if fitted is data else replace(solution, state=state_at(data, solution.state.coefficients))
    return solution, cluster_covariance(data, by_row, found.cluster_codes)


def _result(
    *,
    found: SurvivalData,
    sets: RiskSets,
    matrix: ModelMatrix,
    encoding: Encoding,
    solution: CoxSolution,
    covariance: Floats,
    ties: str,
    level: float,
    strata: tuple[str, ...],
    own: bool,
    notes: tuple[str, ...],
) -> CoxFit:
    order = matrix.order
    estimates, covariance = solution.coefficients[order], covariance[np.ix_(order, order)]
    for array in (estimates, covariance):
        array.setflags(write=False)
    known = {"spell": "origin", **found.known_at} if own else dict(found.known_at)
    return CoxFit(
        formula=encoding.formula,
        ties=ties,
        strata=strata,
        cluster=found.cluster_name,
        level=level,
        n=found.n - sets.n_no_risk,
        n_events=int(sets.n_events.sum()),
        n_no_risk=sets.n_no_risk,
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        iterations=solution.iterations,
        covariance=covariance,
        notes=notes,
        _rows=matrix.rows,
        _known_at=tuple(_known_at(row, known) for row in matrix.rows),
        _estimates=estimates,
        _score_statistic=solution.score_statistic,
        _n_clusters=found.n_clusters,
        _baseline=_baseline_table(CoxData(matrix.design, sets), solution, found.strata_labels),
        _encoding=encoding,
        _source=found.source,
    )


def _baseline_table(data: CoxData, solution: CoxSolution, strata: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "stratum": np.array(strata, dtype=object)[data.sets.stratum],
            "time": data.sets.time,
            "cumulative_hazard": baseline_hazard(data, solution),
        }
    )


def _refuse_outcomes(parsed: Formula, *, own: bool, named: tuple[str | None, ...]) -> None:
    """Refuse covariates that know the outcome: they would predict the past."""
    for name in parsed.variables:
        reason = _OUTCOMES.get(name) if own else None
        if reason is None and name in named:
            reason = "it is the outcome itself" if name != named[2] else _OUTCOMES["entry"]
        if reason is not None:
            raise InputError(
                f"formula: {name!r} cannot be a covariate: {reason}, so that the model would look ahead. Behaviour "
                "enters as of a stated day: log.churn_spells(features=[...], baseline_day=30)."
            )


def _known_at(row: Row, known: Mapping[str, str]) -> str:
    """The latest of the parts: days come after origin; what else is said is joined."""
    said = list(dict.fromkeys(known.get(name, "given") for name in row.columns))
    days = [int(match.group(1)) for text in said if (match := re.fullmatch(r"day (\d+)", text))]
    others = [text for text in said if text != "origin" and not re.fullmatch(r"day (\d+)", text)]
    return ", ".join([*([f"day {max(days)}"] if days else []), *others]) or "origin"


def _quiet_strata(sets: RiskSets, found: SurvivalData) -> list[str]:
    quiet = np.setdiff1d(np.arange(len(found.strata_labels)), sets.stratum)
    if quiet.size == 0:
        return []
    names = ", ".join(repr(found.strata_labels[i]) for i in quiet[:5]) + (" ..." if quiet.size > 5 else "")
    strata = "1 stratum has" if quiet.size == 1 else f"{quiet.size} strata have"
    return [f"{strata} no churn and add nothing to the estimates: {names}."]


def _crowded(sets: RiskSets, found: SurvivalData) -> list[str]:
    """Warn of a day that takes so much of its risk set that ties bias the estimates.

    Small numbers, as at the end of follow-up, tie too but weigh little: they are not warned of.
    """
    crowded = np.flatnonzero((sets.n_events > _CROWDED_SHARE * sets.n_at_risk) & (sets.n_events > 1))
    total = int(sets.n_events.sum())
    if crowded.size == 0:
        return []
    days, which = np.unique(sets.time[crowded], return_inverse=True)
    by_day = np.bincount(which, sets.n_events[crowded])
    worst = int(np.argmax(by_day))
    if by_day[worst] < max(_CROWDED_EVENTS, _CROWDED_PART * total):
        return []
    there = crowded[which == worst]
    events, at_risk = int(sets.n_events[there].sum()), int(sets.n_at_risk[there].sum())
    where = ""
    if len(found.strata_labels) > 1:
        one = f" of stratum {found.strata_labels[sets.stratum[there[0]]]!r}"
        where = one if there.size == 1 else f" of {there.size} strata"
    return [
        f"on day {days[worst]:g} {events:,} of {at_risk:,} rows at risk{where} churn ({events / at_risk:.0%}). Above "
        f"20% the treatment of ties pulls coefficients towards zero; such days hold {by_day.sum() / total:.0%} of all "
        "churns here. Take the true effects to be larger in size than the estimates."
    ]


def _too_few_events(sets: RiskSets, matrix: ModelMatrix) -> list[str]:
    events, p = int(sets.n_events.sum()), matrix.design.n_columns
    if p <= events:
        return []
    return [f"{p} coefficients are estimated from {events} churns: the estimates say little. Take fewer covariates."]
