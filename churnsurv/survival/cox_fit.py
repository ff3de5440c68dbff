"""What a Cox regression gives back: a frozen fit with its table, tests, residuals and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri

from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.survival.covariates import Encoding, Row
from churnsurv.survival.tests_ import TestResult
from churnsurv.survival.training import Training
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from churnsurv.numerics.kaplan_meier import CiType
    from churnsurv.survival.prediction import Prediction, SurvivalMatrix
    from churnsurv.survival.residuals import ResidualKind

__all__ = ["CoxFit"]

Floats: TypeAlias = NDArray[np.float64]


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
    weights, weights_kind : str or None
        Column of the weights, and "frequency" or "sampling".
    offset : str or None
        Column that is added to the linear predictor.
    level : float
        Of the confidence intervals.
    n, n_events : int
        Rows at risk, and churns among them; sums of the weights where these are frequencies.
    n_no_risk : int
        Rows whose duration equals their entry: they are in the table but never at risk. Counted as `n` is.
    log_likelihood, log_likelihood_null : float
        At the estimates, and at coefficients zero.
    iterations : int
        Newton steps.
    covariance : (n_terms, n_terms) float64, read-only
        Of the estimates; cluster-robust with a cluster, robust with sampling weights.
    notes : tuple of str
        What a reader of the result must know.
    """

    _schema: ClassVar[str] = "cox"

    formula: str
    ties: str
    strata: tuple[str, ...]
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    offset: str | None
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
    _model_covariance: Floats
    _columns: Mapping[str, str | None]
    _training: Training | None
    _moments: BaselineMoments
    _strata_labels: tuple[str, ...]

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
        """Cumulative hazard at covariates and offset zero and categories at their reference, on the days with churn.

        A step function: between these days it stays as it is. A stratum without churn has no rows.
        """
        return self._baseline.copy()

    def survival(
        self, newdata: Any, times: ArrayLike, *, ci: CiType = "log-log", level: float | None = None
    ) -> SurvivalMatrix:
        """Predict P(T > t) of each row of a table on given days, with limits; see `survival.prediction.survival`.

        Examples
        --------
        >>> import pandas as pd
        >>> from churnsurv.survival import cox
        >>> data = pd.DataFrame({"duration": [2, 3, 4, 5], "churned": [1, 1, 1, 0], "g": ["b", "a", "a", "b"]})
        >>> cox("g", data).survival(pd.DataFrame({"user_id": ["u7"], "g": ["a"]}), [2, 4]).table.round(3)
          user_id  time  survival  lower  upper
        0      u7     2     0.734  0.067  0.965
        1      u7     4     0.270  0.004  0.734
        """
        from churnsurv.survival.prediction import survival

        return survival(self, newdata, times, ci=ci, level=level)

    def risk(self, newdata: Any) -> Prediction:
        """Score rows by x'b, 0 at covariates zero and categories at reference: higher churns sooner."""
        from churnsurv.survival.prediction import risk

        return risk(self, newdata)

    def churn_probability(
        self,
        newdata: Any,
        *,
        horizon: float,
        alive_at: float | str | ArrayLike = 0,
        ci: CiType = "log-log",
        level: float | None = None,
    ) -> Prediction:
        """Predict P(churn within `horizon` days | not churned by day `alive_at`), with limits."""
        from churnsurv.survival.prediction import churn_probability

        return churn_probability(self, newdata, horizon=horizon, alive_at=alive_at, ci=ci, level=level)

    def expected_days(self, newdata: Any, *, horizon: float, level: float | None = None) -> Prediction:
        """Predict the days until formal churn that fall before the horizon, with limits."""
        from churnsurv.survival.prediction import expected_days

        return expected_days(self, newdata, horizon=horizon, level=level)

    @property
    def likelihood_ratio_test(self) -> TestResult:
        """Twice the rise of the log-likelihood from coefficients zero."""
        return self._test("likelihood-ratio test", 2 * (self.log_likelihood - self.log_likelihood_null))

    @property
    def wald_test(self) -> TestResult:
        """All coefficients against zero by their covariance, robust where that is."""
        statistic = float(self._estimates @ np.linalg.solve(self.covariance, self._estimates))
        return self._test("robust Wald test" if self._robust else "Wald test", statistic)

    @property
    def score_test(self) -> TestResult:
        """Slope and curvature of the log-likelihood at coefficients zero."""
        return self._test("score test", self._score_statistic)

    @property
    def _robust(self) -> bool:
        return self.cluster is not None or self.weights_kind == "sampling"

    def _test(self, method: str, statistic: float) -> TestResult:
        df = len(self._estimates)
        if not method.startswith("robust"):
            method += ", rows taken as independent" if self.cluster is not None else ""
            method += ", weights taken as frequencies" if self.weights_kind == "sampling" else ""
        return TestResult(statistic=statistic, df=df, p_value=float(chdtrc(df, max(statistic, 0.0))), method=method)

    def residuals(self, kind: ResidualKind = "martingale", *, data: Any = None) -> pd.DataFrame:
        """Residuals of the rows that the model was fitted to.

        Parameters
        ----------
        kind : {"martingale", "deviance", "score", "schoenfeld", "scaled_schoenfeld", "dfbeta"}
            martingale: churn less expected churn. deviance: the same, made symmetric about zero. score: what the row
            adds to the score. dfbeta: how far the row moves each estimate. schoenfeld: covariates of a churn less their
            mean over its risk set. scaled_schoenfeld: these by the inverse information and the number of churns, plus
            the estimates; their course over time is that of the coefficient.
        data : Spells, or any table, optional
            The table that the model was fitted to, where the fit does not hold its rows.

        Returns
        -------
        DataFrame
            Schema "residuals": `row` (its position in the data, from 0), `user_id` where the data has it, and
            `residual`, or one column per term. Schema "schoenfeld", one row per churn by stratum and day: `stratum` and
            `time` too. Ties are treated as in the fit. Residuals are those of one user, whatever the weight of the row;
            dfbeta is multiplied by sampling weights, as in R.

        Raises
        ------
        InputError
            If there is no such kind, the fit holds no rows and `data` is None, or `data` is another table.

        Notes
        -----
        Sources: Therneau, Grambsch and Fleming (1990); Schoenfeld (1982); Grambsch and Therneau (1994). The same as
        R's ``residuals(coxph(...), type=)``, Efron's ties included.

        Examples
        --------
        >>> import pandas as pd
        >>> from churnsurv.survival import cox
        >>> data = pd.DataFrame({"duration": [1, 2, 3], "churned": [True, True, True], "x": [0.0, 1.0, 0.0]})
        >>> cox("x", data).residuals("schoenfeld").round(3)
           row stratum  time      x
        0    0     all     1 -0.414
        1    1     all     2  0.414
        2    2     all     3  0.000
        """
        from churnsurv.survival.residuals import residuals

        return residuals(self, kind, data=data)

    def _headline(self) -> str:
        p = len(self._rows)
        rows = "users in weighted rows" if self.weights_kind == "frequency" else "rows"
        return (
            f"{self.formula}: {self.n:,} {rows}, {self.n_events:,} churned, {p} coefficient{'s' if p > 1 else ''}, "
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
            **({"weights": self.weights, "weights_kind": self.weights_kind} if self.weights else {}),
            **({"offset": self.offset} if self.offset else {}),
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
