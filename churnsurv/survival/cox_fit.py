"""What a Cox regression gives back: a frozen fit with its table, tests, residuals and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri

from churnsurv.errors import InputError
from churnsurv.notes import Note, note
from churnsurv.numerics.prediction import BaselineMoments
from churnsurv.survival.covariates import Encoding, Row
from churnsurv.survival.tests_ import TestResult
from churnsurv.survival.training import Training
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from lifelines import CoxPHFitter
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from churnsurv.numerics.kaplan_meier import CiType
    from churnsurv.survival.concordance import Concordance
    from churnsurv.survival.contrasts import Contrasts
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
    ties : {"efron", "breslow", "grouped"}
    penalty : float or "firth"
    l1_ratio : float
        0 is ridge, 1 is lasso.
    unpenalised : tuple of str
        Variables without penalty.
    cause : str or None
        Column of the reasons of churn.
    cause_of_interest : object
        The one that counts as churn here.
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
    n_patterns : int
        Weighted rows that the likelihood was computed on: fewer than rows where equal ones were collapsed.
    log_likelihood, log_likelihood_null : float
        At the estimates, and at coefficients zero; with Firth's penalty, of the penalised likelihood.
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
    penalty: float | str
    l1_ratio: float
    unpenalised: tuple[str, ...]
    cause: str | None
    cause_of_interest: object
    strata: tuple[str, ...]
    cluster: str | None
    weights: str | None
    weights_kind: str | None
    offset: str | None
    level: float
    n: int
    n_events: int
    n_no_risk: int
    n_patterns: int
    log_likelihood: float
    log_likelihood_null: float
    iterations: int
    covariance: Floats
    notes: tuple[str, ...]
    _rows: tuple[Row, ...]
    _known_at: tuple[str, ...]
    _estimates: Floats
    _score_statistic: float
    _effective_df: float
    _row_log_likelihood: float
    _profile: Floats | None
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
        z, p_value, lower, upper = self._wald(error) if self._profile is None else self._profile
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
                "p_value": p_value,
                "lower": lower,
                "upper": upper,
                **ratio,
            }
        )

    def _wald(self, error: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Statistic, p-value and limits from the covariance."""
        z = np.divide(self._estimates, error, out=np.full(error.shape, np.nan), where=error > 0)
        reach = ndtri((1 + self.level) / 2) * error
        return z, 2 * ndtr(-np.abs(z)), self._estimates - reach, self._estimates + reach

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

    def contrasts(
        self,
        weights: Mapping[str, Mapping[str, float]] | None = None,
        *,
        variable: str | None = None,
        adjust: str = "holm",
        level: float | None = None,
    ) -> Contrasts:
        """Estimate sums of weights times coefficients, or compare all categories of a variable.

        Examples
        --------
        >>> import pandas as pd
        >>> from churnsurv.survival import cox
        >>> data = pd.DataFrame({"duration": [2, 3, 4, 5, 7, 9], "churned": 1, "g": ["b", "a", "c", "b", "c", "a"]})
        >>> cox("g", data).contrasts(variable="g").table["contrast"].tolist()
        ['b - a', 'c - a', 'c - b']
        """
        from churnsurv.survival.contrasts import contrasts

        return contrasts(self, weights, variable=variable, adjust=adjust, level=level)

    def joint_test(self, terms: str | Sequence[str]) -> TestResult:
        """Test that the coefficients of some variables or terms are all zero (Wald); robust where the covariance is."""
        from churnsurv.survival.contrasts import joint_test

        return joint_test(self, terms)

    @property
    def joint_tests(self) -> pd.DataFrame:
        """One row per variable of the formula: the joint test of its coefficients; schema "joint_tests"."""
        from churnsurv.survival.contrasts import joint_tests

        return joint_tests(self)

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 log-likelihood + 2 degrees of freedom: lower is better, for fits of the same rows.

        A penalty counts with its effective degrees of freedom.

        Raises
        ------
        InputError
            With sampling weights: their likelihood is none, and differences of it mean nothing.
        """
        if self.weights_kind == "sampling":
            raise InputError(
                "sampling weights make a pseudo-likelihood, of which AIC says nothing. Compare models by their "
                "concordance on rows that were left out."
            )
        return -2 * self._row_log_likelihood + 2 * self._effective_df

    @property
    def likelihood_ratio_test(self) -> TestResult:
        """Twice the rise of the log-likelihood from coefficients zero."""
        self._refuse_if_shrunk("likelihood-ratio test")
        test = note("likelihood-ratio test")
        return self._test(self._of_penalty(test), 2 * (self.log_likelihood - self.log_likelihood_null))

    @property
    def wald_test(self) -> TestResult:
        """All coefficients against zero by their covariance, robust where that is."""
        self._refuse_if_shrunk("Wald test")
        statistic = self._wald_statistic()
        if statistic is None:
            raise InputError(
                "there is no Wald test: the robust covariance is singular, as too few rows or clusters speak for some "
                "coefficient. Take fewer covariates."
            )
        return self._test(note("robust Wald test") if self._robust else note("Wald test"), statistic)

    def _wald_statistic(self) -> float | None:
        error = np.sqrt(np.diagonal(self.covariance))
        if not (error > 0).all():
            return None
        correlation = self.covariance / np.outer(error, error)
        if np.linalg.matrix_rank(correlation, hermitian=True) < len(error):
            return None
        z = self._estimates / error
        return float(z @ np.linalg.solve(correlation, z))

    @property
    def score_test(self) -> TestResult:
        """Slope and curvature of the log-likelihood at coefficients zero."""
        self._refuse_if_shrunk("score test")
        return self._test(self._of_penalty(note("score test")), self._score_statistic)

    @property
    def _shrunk(self) -> bool:
        return self.penalty not in (0.0, "firth")

    def _refuse_if_shrunk(self, test: str) -> None:
        if self._shrunk:
            raise InputError(
                f"a penalised fit has no {test}: its coefficients are pulled to zero on purpose. Fit without penalty."
            )

    @property
    def _robust(self) -> bool:
        return self.cluster is not None or self.weights_kind == "sampling"

    def _of_penalty(self, test: Note) -> Note:
        return note("penalised {test}", test=test) if self.penalty == "firth" else test

    def _test(self, method: Note, statistic: float) -> TestResult:
        df = len(self._estimates)
        if not method.startswith("robust"):
            if self.cluster is not None:
                method = note("{test}, rows taken as independent", test=method)
            if self.weights_kind == "sampling":
                method = note("{test}, weights taken as frequencies", test=method)
        return TestResult(statistic=statistic, df=df, p_value=float(chdtrc(df, max(statistic, 0.0))), method=method)

    def concordance(self, *, data: Any = None) -> Concordance:
        """Say how well the model ranks the rows that it was fitted to: Harrell's C; see `churnsurv.concordance`.

        The same rows chose the coefficients, so that new rows are ranked less well. With strata, rows are compared
        within them; with a cluster the standard error is clustered.

        Parameters
        ----------
        data : Spells, or any table, optional
            The table that the model was fitted to, where the fit does not hold its rows.

        Raises
        ------
        InputError
            If the fit holds no rows and `data` is None, or `data` is another table.
        """
        from churnsurv.survival.concordance import of_training

        return of_training(self, data=data)

    def model_matrix(self, newdata: Any) -> pd.DataFrame:
        """Return rows as the model sees them: one column per term, in the order of `table`."""
        from churnsurv.survival.newdata import model_matrix

        return model_matrix(self, newdata)

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

    def to_json(self) -> str:
        """Write the fit as JSON text: its table and facts, and all that predictions need; none of its rows."""
        from churnsurv.survival.saving import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> CoxFit:
        """Read what `to_json` wrote; questions about its own rows then take `data=`."""
        from churnsurv.survival.saving import from_json

        return from_json(text)

    def to_sql(
        self, table: str, *, horizons: Sequence[float] = (), keep: Sequence[str] = ("user_id",), dialect: str = "duckdb"
    ) -> str:
        """Write one SELECT that scores a table in a warehouse; see `survival.scoring_sql`."""
        from churnsurv.survival.scoring_sql import to_sql

        return to_sql(self, table, horizons=horizons, keep=keep, dialect=dialect)

    def to_lifelines(self, *, data: Any = None) -> CoxPHFitter:
        """Return a fitted ``lifelines.CoxPHFitter`` on the columns of `model_matrix`; see `integrations.lifelines`."""
        from churnsurv.integrations.lifelines import to_lifelines

        return to_lifelines(self, data=data)

    def _headline(self) -> str:
        p = len(self._rows)
        rows = "users in weighted rows" if self.weights_kind == "frequency" else "rows"
        what = f"{self.ties.capitalize()} ties" if self.ties != "grouped" else "grouped days"
        if self.penalty == "firth":
            what += ", Firth's penalty"
        elif self._shrunk:
            what += f", penalty {self.penalty:g} (l1_ratio {self.l1_ratio:g})"
        rise = "" if self._shrunk else f"; {self.likelihood_ratio_test._headline()}"
        of = "churned" if self.cause is None else f"churned by {self.cause} {self.cause_of_interest}"
        return (
            f"{self.formula}: {self.n:,} {rows}, {self.n_events:,} {of}, {p} coefficient{'s' if p > 1 else ''}, "
            f"{what}{rise}"
        )

    def _facts(self) -> dict[str, Any]:
        tests = [] if self._shrunk else [self.likelihood_ratio_test, self.score_test]
        if tests and self._wald_statistic() is not None:
            tests.insert(1, self.wald_test)
        penalty = {"penalty": self.penalty, "l1_ratio": self.l1_ratio, "unpenalised": list(self.unpenalised)}
        return {
            "formula": self.formula,
            "ties": self.ties,
            **(penalty if self.penalty else {}),
            **({"cause": self.cause, "cause_of_interest": self.cause_of_interest} if self.cause else {}),
            "strata": list(self.strata),
            "cluster": self.cluster,
            "n_clusters": self._n_clusters if self.cluster else None,
            **({"weights": self.weights, "weights_kind": self.weights_kind} if self.weights else {}),
            **({"offset": self.offset} if self.offset else {}),
            "level": self.level,
            "n": self.n,
            "n_events": self.n_events,
            "n_no_risk": self.n_no_risk,
            "n_patterns": self.n_patterns,
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
