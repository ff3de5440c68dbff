"""What a Fine-Gray regression gives back: a frozen fit with its table, its test and predicted incidences."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, ndtr, ndtri

from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.numerics.day_counts import read_only
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.survival.covariates import Encoding, Row
from churnsurv.survival.tests_ import TestResult
from churnsurv.tables import Result
from churnsurv.tables.html import SHOWN, as_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.numerics.competing import IncidenceCi
    from churnsurv.survival.prediction import Prediction

__all__ = ["FineGrayFit", "IncidenceMatrix", "incidence_totals"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IncidenceMatrix(Result):
    """Predicted incidence of rows on chosen days; made by `FineGrayFit.incidence`.

    Attributes
    ----------
    values, lower, upper : (n_rows, n_times) float64, read-only
        P(T <= time, the cause of the fit) and its pointwise limits.
    times : (n_times,), read-only
        Days.
    cause : str
    level : float
        Of the limits.
    ci : {"log-log", "plain"}
    """

    _schema: ClassVar[str] = "predicted_incidence"

    values: Floats
    lower: Floats
    upper: Floats
    times: NDArray[Any]
    cause: str
    level: float
    ci: str
    _ids: pd.Series[Any] | None

    @property
    def table(self) -> pd.DataFrame:
        """One row per row of the new data and day; made on request."""
        return self._of(slice(None))

    def _of(self, rows: slice) -> pd.DataFrame:
        import pandas as pd

        n = self.values.shape[0]
        name = "row" if self._ids is None else "user_id"
        ids = (pd.Series(np.arange(n)) if self._ids is None else self._ids).iloc[rows]
        return pd.DataFrame(
            {
                name: ids.repeat(self.times.size).reset_index(drop=True),
                "time": np.tile(self.times, len(ids)),
                "incidence": self.values[rows].ravel(),
                "lower": self.lower[rows].ravel(),
                "upper": self.upper[rows].ravel(),
            }
        )

    def _headline(self) -> str:
        n = self.values.shape[0]
        days = ", ".join(f"{day:g}" for day in self.times[:6]) + (", ..." if self.times.size > 6 else "")
        rows, times = "rows" if n != 1 else "row", "days" if self.times.size != 1 else "day"
        return f"incidence of {self.cause}, {n:,} {rows}, {times} {days}"

    def _facts(self) -> dict[str, Any]:
        return {"cause": self.cause, "n": self.values.shape[0], "times": self.times, "level": self.level, "ci": self.ci}

    def _repr_html_(self) -> str:
        return as_html(self._headline(), self._of(slice(SHOWN)), rows=self.values.size)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FineGrayFit(Result):
    """A fitted Fine-Gray model; made by `fine_gray`.

    Attributes
    ----------
    formula : str
    ties : {"efron", "breslow"}
    compat : "cmprsk" or None
        Whose conventions it follows; None: ``survival::finegray`` and ``coxph``.
    cause, cause_of_interest : str
    strata : tuple of str
    cluster, weights, weights_kind, offset : str or None
    level : float
        Of the confidence intervals.
    n, n_events, n_competing : int
        Rows at risk, churns of the cause and of others among them; sums of the weights where these are frequencies.
    n_no_risk : int
        Rows whose duration equals their entry.
    log_likelihood, log_likelihood_null : float
        Of the weighted partial likelihood, which is none of the data: no likelihood-ratio test follows.
    iterations : int
        Newton steps.
    covariance : (n_terms, n_terms) float64, read-only
        Robust: by cluster, else by row; with ``compat="cmprsk"`` as ``crr``'s.
    notes : tuple of str
        What a reader of the result must know.
    """

    _schema: ClassVar[str] = "fine_gray"

    formula: str
    ties: str
    compat: str | None
    cause: str
    cause_of_interest: str
    strata: tuple[str, ...]
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    offset: str | None
    level: float
    n: int
    n_events: int
    n_competing: int
    n_no_risk: int
    log_likelihood: float
    log_likelihood_null: float
    iterations: int
    covariance: Floats
    notes: tuple[str, ...]
    _rows: tuple[Row, ...]
    _known_at: tuple[str, ...]
    _estimates: Floats
    _n_clusters: int
    _baseline: pd.DataFrame
    _encoding: Encoding
    _source: Mapping[str, Any]
    _moments: BaselineMoments
    _strata_labels: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per coefficient: estimate, standard error, z, p-value, interval, and the same as hazard ratio."""
        import pandas as pd

        error = np.sqrt(np.diagonal(self.covariance))
        z, reach = self._estimates / error, ndtri((1 + self.level) / 2) * error
        lower, upper = self._estimates - reach, self._estimates + reach
        with np.errstate(over="ignore", under="ignore"):
            ratio = dict(
                zip(("hazard_ratio", "hr_lower", "hr_upper"), np.exp([self._estimates, lower, upper]), strict=True)
            )
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
        """Cumulative subdistribution hazard at covariates and offset zero, on the days with churn of the cause.

        The incidence there is 1 - exp(-cumulative_hazard).
        """
        return self._baseline.copy()

    @property
    def wald_test(self) -> TestResult:
        """All coefficients against zero by their covariance."""
        statistic = float(self._estimates @ np.linalg.solve(self.covariance, self._estimates))
        df = len(self._estimates)
        method = "Wald test" if self.compat else "robust Wald test"
        return TestResult(statistic=statistic, df=df, p_value=float(chdtrc(df, max(statistic, 0.0))), method=method)

    def incidence(
        self, newdata: Any, times: ArrayLike, *, ci: IncidenceCi = "log-log", level: float | None = None
    ) -> IncidenceMatrix:
        """Predict P(churned by t, for the cause) of each row of a table on given days, with limits.

        F(t | x) = 1 - exp(-H(t | x)), H the cumulative subdistribution hazard; its error is that of ``survfit`` of the
        weighted ``coxph`` fit in R: the baseline by the model, the coefficients robust.

        Parameters
        ----------
        newdata : Spells, or any table
            With the columns of the formula, the strata and the offset. `user_id` is kept where it is there.
        times : number or (n_times,)
            Days >= 0 since origin.
        ci : {"log-log", "plain"}
            The scale on which the limits are symmetric.
        level : float, optional
            Of the limits; else that of the fit.

        Raises
        ------
        FollowUpError
            If nobody of a stratum was followed to a day.
        SchemaError, InputError
            If a column is missing, or a row has a category, a stratum or a value that the fit cannot place.

        Examples
        --------
        >>> import pandas as pd
        >>> from churnsurv.survival.fine_gray import fine_gray
        >>> data = pd.DataFrame({"duration": [1, 2, 3, 4, 5], "churned": [1, 1, 1, 1, 0],
        ...     "x": [0.0, 1.0, 1.0, 0.0, 0.0], "why": ["a", "b", "a", "a", None]})
        >>> fit = fine_gray("x", data, cause="why", cause_of_interest="a")
        >>> fit.incidence(pd.DataFrame({"x": [0.0, 1.0]}), [2, 4]).values.round(3).tolist()
        [[0.202, 0.588], [0.149, 0.468]]
        """
        from churnsurv.survival.prediction import survival

        if ci not in ("log-log", "plain"):
            raise InputError(f"ci must be 'log-log' or 'plain', not {ci!r}.")
        found = survival(self, newdata, times, ci=ci, level=level)
        values, lower, upper = 1 - found.values, 1 - found.upper, 1 - found.lower  # noqa: PD011 - no table
        read_only(values, lower, upper)
        return IncidenceMatrix(values, lower, upper, found.times, self.cause_of_interest, found.level, ci, found._ids)

    def risk(self, newdata: Any) -> Prediction:
        """Score rows by x'b, 0 at covariates zero and categories at reference: higher has the higher incidence."""
        from churnsurv.survival.prediction import risk

        return risk(self, newdata)

    def model_matrix(self, newdata: Any) -> pd.DataFrame:
        """Return rows as the model sees them: one column per term, in the order of `table`."""
        from churnsurv.survival.newdata import model_matrix

        return model_matrix(self, newdata)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the subdistribution hazard ratios with their intervals."""
        from churnsurv.plots import forest

        axes: Axes = forest(self.table, ax, level=self.level)
        return axes

    def _headline(self) -> str:
        p = len(self._rows)
        rows = "users in weighted rows" if self.weights_kind == "frequency" else "rows"
        how = "as cmprsk::crr" if self.compat else f"{self.ties.capitalize()} ties, robust"
        return (
            f"{self.formula}: {self.n:,} {rows}, {self.n_events:,} churned by {self.cause} {self.cause_of_interest}, "
            f"{self.n_competing:,} by others, {p} coefficient{'s' if p > 1 else ''}, {how}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "formula": self.formula,
            "ties": self.ties,
            "compat": self.compat,
            "cause": self.cause,
            "cause_of_interest": self.cause_of_interest,
            "strata": list(self.strata),
            "cluster": self.cluster,
            "n_clusters": self._n_clusters if self.cluster else None,
            **({"weights": self.weights, "weights_kind": self.weights_kind} if self.weights else {}),
            **({"offset": self.offset} if self.offset else {}),
            "level": self.level,
            "n": self.n,
            "n_events": self.n_events,
            "n_competing": self.n_competing,
            "n_no_risk": self.n_no_risk,
            "log_likelihood": self.log_likelihood,
            "log_likelihood_null": self.log_likelihood_null,
            "iterations": self.iterations,
            "tests": [self.wald_test._facts()],
            "notes": list(self.notes),
            **self._source,
        }


def incidence_totals(fits: Sequence[FineGrayFit], newdata: Any, times: ArrayLike) -> pd.DataFrame:
    """Add up the incidences that models of several causes predict, and warn where they exceed one.

    Each Fine-Gray model is fitted for itself: nothing holds their sum below one, and where it is above they cannot all
    be true. Cause-specific models (``cox(..., cause=)``) have no such fault.

    Parameters
    ----------
    fits : sequence of FineGrayFit
        Of different causes of one column.
    newdata : Spells, or any table
        With the columns of all of them.
    times : number or (n_times,)
        Days >= 0 since origin.

    Returns
    -------
    DataFrame
        `user_id` or `row`, `time`, a column ``incidence: <cause>`` for each fit, and `total`.

    Raises
    ------
    InputError
        If two fits are of the same cause, or of different columns of causes.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.survival.fine_gray import fine_gray
    >>> data = pd.DataFrame({"duration": [1, 2, 3, 4, 5], "churned": [1, 1, 1, 1, 0], "x": [0.0, 1.0, 1.0, 0.0, 0.0],
    ...     "why": ["a", "b", "a", "b", None]})
    >>> fits = [fine_gray("x", data, cause="why", cause_of_interest=cause) for cause in ("a", "b")]
    >>> incidence_totals(fits, pd.DataFrame({"x": [0.5]}), 3).round(3)
       row  time  incidence: a  incidence: b  total
    0    0     3         0.364         0.182  0.546
    """
    if not fits:
        raise InputError("fits: at least one Fine-Gray fit is needed.")
    names = [fit.cause_of_interest for fit in fits]
    if len(set(names)) < len(names) or len({fit.cause for fit in fits}) > 1:
        raise InputError(
            f"fits must be of different causes of one column; they are of {', '.join(map(repr, names))} in "
            f"{', '.join(sorted({repr(fit.cause) for fit in fits}))}."
        )
    found = [fit.incidence(newdata, times) for fit in fits]
    table = found[0].table[[found[0].table.columns[0], "time"]]
    for name, one in zip(names, found, strict=True):
        table[f"incidence: {name}"] = one.values.ravel()  # noqa: PD011 - no table
    table["total"] = table.iloc[:, 2:].sum(axis=1)
    above = table["total"].to_numpy() > 1 + 1e-12
    if above.any():
        who = table.columns[0]
        worst = table.iloc[int(np.argmax(table["total"].to_numpy()))]
        warnings.warn(
            f"the incidences of {', '.join(names)} add up to more than one in {int(above.sum()):,} of {len(table):,} "
            f"rows and days, most for {who} {worst[who]} on day {worst['time']:g} ({worst['total']:.3f}): the models "
            "cannot all be true there. Take cause-specific models, cox(..., cause=), or earlier days.",
            ChurnsurvWarning,
            stacklevel=2,
        )
    return table
