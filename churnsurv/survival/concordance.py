"""Harrell's C: how well a score says who churns first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri

from churnsurv.errors import InputError, SchemaError
from churnsurv.numerics import concordance as numerics
from churnsurv.numerics.risk_sets import RiskSets, risk_sets
from churnsurv.survival.frames import first_of, numeric_column
from churnsurv.survival.inputs import SurvivalData, check_level, column_list, survival_data
from churnsurv.survival.training import training_of
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["Concordance", "concordance", "of_training"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Concordance(Result):
    """Harrell's C of a score; made by `concordance`.

    Attributes
    ----------
    score : str
        Name of the score.
    estimate : float
        Of two users of whom one is seen to churn first, how often that one has the higher score; equal scores count
        half. 0.5 says nothing, 1 says all, below 0.5 the score points the wrong way.
    std_error : float
        By the infinitesimal jackknife.
    lower, upper : float
        Confidence limits, symmetric on the logit scale; NaN where C is 0 or 1.
    level : float
        Of the interval.
    n, n_events : int
        Rows at risk, and churns among them.
    n_no_risk : int
        Rows whose duration equals their entry: they are in the table but never at risk.
    concordant, discordant, tied_score : int
        Comparable pairs: the one who churns first has the higher, the lower, the same score.
    tied_time : int
        Pairs that churn on the same day with different scores; not comparable.
    tied_both : int
        Pairs that churn on the same day with the same score; not comparable.
    strata : tuple of str
        Columns within whose values pairs are formed.
    cluster : str or None
        Column whose rows may depend on each other.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [31, 40, 40, 52], "churned": [1, 1, 0, 1], "idle": [9, 9, 2, 12]})
    >>> found = concordance(data, score="idle")
    >>> found.concordant, found.discordant, found.tied_score
    (2, 2, 1)
    """

    _schema: ClassVar[str] = "concordance"

    score: str
    estimate: float
    std_error: float
    lower: float
    upper: float
    level: float
    n: int
    n_events: int
    n_no_risk: int
    concordant: int
    discordant: int
    tied_score: int
    tied_time: int
    tied_both: int
    strata: tuple[str, ...] = ()
    cluster: str | None = None
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row: the estimate, its interval and the pairs; rows of several scores go below each other."""
        import pandas as pd

        return pd.DataFrame({name: [getattr(self, name)] for name in schema(self._schema).names})

    def _headline(self) -> str:
        pairs = self.concordant + self.discordant + self.tied_score
        limits = f"{100 * self.level:g}% interval {self.lower:.3f} to {self.upper:.3f}"
        if np.isnan(self.lower):
            limits = "no interval, as all pairs agree"
        return (
            f"C of {self.score} = {self.estimate:.3f}, {limits}; {pairs:,} pairs of {self.n:,} rows, "
            f"{self.n_events:,} churned"
        )

    def _facts(self) -> dict[str, Any]:
        mine = {
            "level": self.level,
            "n_no_risk": self.n_no_risk,
            "strata": list(self.strata),
            "cluster": self.cluster,
        }
        return {**mine, **self._said}


def concordance(
    data: Any,
    *,
    score: str | ArrayLike,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> Concordance:
    """Estimate how often a score is higher for the one of two users who churns first.

    Parameters
    ----------
    data : Spells, or any table
    score : str, or (n,) array
        Higher means sooner churn. A column of `data`, or one number for each of its rows, in their order. Only the
        order of the scores matters; infinite ones are fine.
    strata : str or sequence of str, optional
        Pairs are formed within each stratum only.
    cluster : str or None
        Rows of one cluster may depend on each other: the standard error adds up their influences. "auto": `user_id`
        for spells built with ``spells="all"``, else none.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Of the confidence interval.

    Returns
    -------
    Concordance
        A churn is compared with every row at risk on its day that does not churn on it; a row censored on that day is
        among them. Two churns on one day are not comparable. The interval is symmetric on the logit scale, so that it
        stays between 0 and 1. Sources: Harrell et al. (1982); Therneau and Watson (2017) for the standard error.

    Raises
    ------
    SchemaError
        If a column is missing or of the wrong type.
    InputError
        If no two rows can be compared, a score is missing, or there are fewer than two clusters.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120],
    ...     "churned": [True, True, True, False, True, True, True, False],
    ...     "idle": [14, 9, 11, 3, 8, 5, 6, 1],
    ... })
    >>> concordance(data, score="idle")
    <Concordance: C of idle = 0.840, 95% interval 0.590 to 0.950; 25 pairs of 8 rows, 6 churned>
    >>> concordance(data, score=-data["idle"]).estimate
    0.16
    """
    level = check_level(level)
    named = [score] if isinstance(score, str) else []
    found = survival_data(
        data, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry, columns=named
    )
    _refuse_one_cluster(found.cluster_name, found.n_clusters)
    name, values = _scores(score, found)
    sets = risk_sets(
        found.duration,
        found.churned,
        entry=found.entry,
        stratum=found.strata_codes,
        n_strata=len(found.strata_labels),
    )
    return _of_rows(
        sets, values, found.cluster_codes, score=name, level=level, strata=tuple(column_list("strata", strata)),
        cluster=found.cluster_name, n_clusters=found.n_clusters, source=found.source,
    )  # fmt: skip


def of_training(fit: CoxFit, *, data: Any = None) -> Concordance:
    """Concordance of a Cox model on the rows that it was fitted to; see `CoxFit.concordance`."""
    if fit.weights is not None:
        raise InputError(
            "the rows of this fit are weighted, and pairs are counted without weights. Score the users themselves: "
            "churnsurv.concordance(data, score=fit.risk(data))."
        )
    training = training_of(fit, data, "concordance")
    rows = training.data
    values = rows.design.times(training.coefficients)
    if rows.offset is not None:
        values += rows.offset
    return _of_rows(
        rows.sets, values, training.cluster, score="fitted risk", level=fit.level, strata=fit.strata,
        cluster=fit.cluster, n_clusters=fit._n_clusters, source=fit._source,
    )  # fmt: skip


def _of_rows(
    sets: RiskSets,
    values: NDArray[Any],
    cluster_codes: NDArray[np.integer[Any]] | None,
    *,
    score: str,
    level: float,
    strata: tuple[str, ...],
    cluster: str | None,
    n_clusters: int,
    source: Mapping[str, Any],
) -> Concordance:
    pairs = numerics.concordance(sets, values, cluster=cluster_codes, n_clusters=n_clusters)
    lower, upper = _limits(pairs.estimate, pairs.std_error, level)
    counts = ("concordant", "discordant", "tied_score", "tied_time", "tied_both")
    return Concordance(
        score=score,
        estimate=pairs.estimate,
        std_error=pairs.std_error,
        lower=lower,
        upper=upper,
        level=level,
        n=sets.event.shape[0] - sets.n_no_risk,
        n_events=int(sets.n_events.sum()),
        n_no_risk=sets.n_no_risk,
        **{count: getattr(pairs, count) for count in counts},
        strata=strata,
        cluster=cluster,
        _said={"n_clusters": n_clusters if cluster else None, **source},
    )


def _refuse_one_cluster(name: str | None, n_clusters: int) -> None:
    if name is not None and n_clusters < 2:
        raise InputError(
            f"cluster {name!r} has one value only: a clustered standard error needs two or more. Name "
            "another column, or write cluster=None."
        )


def _scores(score: str | ArrayLike, found: SurvivalData) -> tuple[str, NDArray[Any]]:
    import pandas as pd

    if isinstance(score, str):
        name, frame = score, found.frame
    else:
        name, series = "score", _series(score, found)
        frame = pd.DataFrame({name: series})
    values = numeric_column(frame, name, "numbers to serve as a score")
    if values.dtype.kind not in "biuf":
        raise SchemaError(f"{name!r} must hold numbers to serve as a score; it holds {values.dtype}. Convert it first.")
    # a maximum that is a number shows that all are, at the cost of one pass and no copy
    if values.dtype.kind == "f" and np.isnan(values.max()):
        bad = np.isnan(values)
        raise InputError(
            f"score {name!r} must not be missing; {first_of(bad, values)}. Leave out rows without a score, and count "
            "them, or give them the score that they would be treated by."
        )
    return name, values


def _series(score: Any, found: SurvivalData) -> pd.Series[Any]:
    """Scores that are no column, checked to belong to the rows."""
    import pandas as pd

    if isinstance(score, pd.Series):
        if not score.index.equals(found.frame.index) and len(score) == found.n:
            raise InputError(
                "score has another index than data, so that it is not clear which score belongs to which row. If both "
                "stand in the same order, pass score.to_numpy()."
            )
        series = score.reset_index(drop=True)
    else:
        values = np.asarray(score)
        if values.ndim != 1:
            raise InputError(
                f"score must be the name of a column or hold one number per row; it has the shape {values.shape}."
            )
        series = pd.Series(values)
    if len(series) != found.n:
        raise InputError(
            f"score has {len(series):,} values, but data has {found.n:,} rows. Make it from the same table."
        )
    return series


def _limits(estimate: float, std_error: float, level: float) -> tuple[float, float]:
    """Symmetric for log(C / (1 - C)), whose standard error is that of C over C (1 - C)."""
    if not 0 < estimate < 1:
        return float("nan"), float("nan")
    reach = ndtri((1 + level) / 2) * std_error / (estimate * (1 - estimate))
    centre = logit(estimate)
    return float(expit(centre - reach)), float(expit(centre + reach))
