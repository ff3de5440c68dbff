"""Concordance, Harrell's and Uno's: how well a score says who churns first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import FollowUpError, InputError, did_you_mean
from churnsurv.numerics import concordance as numerics
from churnsurv.numerics.risk_sets import RiskSets, risk_sets
from churnsurv.numerics.uno import uno
from churnsurv.survival.inputs import SurvivalData, check_level, column_list
from churnsurv.survival.scored import (
    check_horizon,
    drawn_of,
    logit_limits,
    named_scores,
    scored_data,
    scored_rows,
)
from churnsurv.survival.training import training_of
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.survival.cox_fit import CoxFit

__all__ = ["Concordance", "Method", "Ranking", "concordance", "of_training", "ranking"]

Method: TypeAlias = Literal["harrell", "uno"]
_METHODS = ("harrell", "uno")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Concordance(Result):
    """C of a score, Harrell's or Uno's; made by `concordance`.

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
        Rows at risk, and churns among them up to the horizon; sums of the weights where these are frequencies.
    n_no_risk : int
        Rows whose duration equals their entry: they are in the table but never at risk.
    concordant, discordant, tied_score : int or float
        Comparable pairs: the one who churns first has the higher, the lower, the same score. Sums of the weights of
        pairs in Uno's C and with sampling weights.
    tied_time : int or float
        Pairs that churn on the same day with different scores; not comparable.
    tied_both : int or float
        Pairs that churn on the same day with the same score; not comparable.
    strata : tuple of str
        Columns within whose values pairs are formed.
    cluster : str or None
        Column whose rows may depend on each other.
    method : {"harrell", "uno"}
    horizon : float or None
        Last day whose churns count; None: all do.
    weights, weights_kind : str or None
        Column of the weights, and "frequency" or "sampling".

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
    concordant: int | float
    discordant: int | float
    tied_score: int | float
    tied_time: int | float
    tied_both: int | float
    strata: tuple[str, ...] = ()
    cluster: str | None = None
    method: str = "harrell"
    horizon: float | None = None
    weights: str | None = None
    weights_kind: str | None = None
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row: the estimate, its interval and the pairs; rows of several scores go below each other."""
        import pandas as pd

        return pd.DataFrame({name: [getattr(self, name)] for name in schema(self._schema).names})

    def _headline(self) -> str:
        limits = f"{100 * self.level:g}% interval {self.lower:.3f} to {self.upper:.3f}"
        if np.isnan(self.lower):
            limits = "no interval, as all pairs agree"
        pairs = self.concordant + self.discordant + self.tied_score
        counted = f"{pairs:,} pairs of " if isinstance(pairs, int) else ""
        name = "Uno's C" if self.method == "uno" else "C"
        until = "" if self.horizon is None else f" by day {self.horizon:g}"
        return (
            f"{name} of {self.score} = {self.estimate:.3f}, {limits}; {counted}{self.n:,} rows, "
            f"{self.n_events:,} churned{until}"
        )

    def _facts(self) -> dict[str, Any]:
        mine = {
            "level": self.level,
            "n_no_risk": self.n_no_risk,
            "strata": list(self.strata),
            "cluster": self.cluster,
            "method": self.method,
            "horizon": self.horizon,
            "weights": self.weights,
            "weights_kind": self.weights_kind,
        }
        return {**mine, **self._said}


def concordance(
    data: Any,
    *,
    score: str | ArrayLike,
    method: Method = "harrell",
    horizon: float | None = None,
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
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
    method : {"harrell", "uno"}
        "harrell" counts the pairs that censoring left comparable, "uno" weights them so that C does not depend on who
        was censored when: it speaks of all pairs of whom one churns by the horizon.
    horizon : number, optional
        Only churns up to and including this day count. Uno's C should have one: late churns of long-followed users
        have large weights.
    strata : str or sequence of str, optional
        Pairs are formed within each stratum only. Harrell's C only.
    cluster : str or None
        Rows of one cluster may depend on each other: the standard error adds up their influences. "auto": `user_id`
        for history, gaps, and spells built with ``spells="all"``; else none.
    weights : str, optional
        A column of numbers > 0; a pair counts the product of its two.
    weights_kind : {"frequency", "sampling"}
        Required with weights. "frequency": whole numbers, as if the rows were so often repeated.
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always; at risk in (entry, duration].
    level : float
        Of the confidence interval.

    Returns
    -------
    Concordance
        A churn is compared with every row at risk on its day that does not churn on it; a row censored on that day is
        among them. Two churns on one day are not comparable. The interval is symmetric on the logit scale, so that it
        stays between 0 and 1. Sources: Harrell et al. (1982); Therneau and Watson (2017) for the standard error; Uno
        et al. (2011), with the error of the estimated censoring in the standard error, and late entry in the weights.

    Raises
    ------
    SchemaError
        If a column is missing or of the wrong type.
    InputError
        If no two rows can be compared, a score is missing, or there are fewer than two clusters.
    FollowUpError
        If nobody was followed to the horizon.

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
    >>> concordance(data, score="idle", method="uno", horizon=90)
    <Concordance: Uno's C of idle = 0.813, 95% interval 0.582 to 0.931; 8 rows, 5 churned by day 90>
    """
    level = check_level(level)
    named = [score] if isinstance(score, str) else []
    found = scored_data(
        data, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry, columns=named,
        weights=weights, weights_kind=weights_kind,
    )  # fmt: skip
    name, values = named_scores(score, found)
    ranked = ranking(found, method=method, horizon=horizon)
    return _result(
        ranked.of(values), score=name, level=level, n=found.n_users - ranked.sets.n_no_risk, sets=ranked.sets,
        strata=tuple(column_list("strata", strata)), cluster=found.cluster_name, method=method,
        horizon=ranked.horizon, weights=weights, weights_kind=weights_kind,
        _said={"n_clusters": found.n_clusters if found.cluster_name else None, **found.source},
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows whose order in time is compared with scores; made by `ranking`."""

    found: SurvivalData
    sets: RiskSets
    method: str
    horizon: float | None

    def of(self, values: NDArray[Any]) -> numerics.Concordance:
        """Return C of a score."""
        if self.method == "uno":
            return uno(self.sets, values, scored_rows(self.found))
        drawn = drawn_of(self.found)
        return numerics.concordance(
            self.sets,
            values,
            cluster=drawn.cluster,
            n_clusters=drawn.n_clusters,
            weights=drawn.weights,
            frequency=drawn.frequency,
        )


def ranking(found: SurvivalData, *, method: str, horizon: float | None) -> Ranking:
    """Return the order in time of checked rows, of churns up to the horizon."""
    if method not in _METHODS:
        raise InputError(f"method must be 'harrell' or 'uno', not {method!r}.{did_you_mean(str(method), _METHODS)}")
    if method == "uno" and len(found.strata_labels) > 1:
        raise InputError(
            "Uno's C has no strata: its weights make the rows stand for all users, of all strata. Ask it of each "
            "stratum alone, or take Harrell's."
        )
    churned = found.churned.copy()  # the risk sets keep it, and it is a column of the user's table
    if horizon is not None:
        horizon = check_horizon(horizon)
        last = float(found.duration.max())
        if horizon > last:
            raise FollowUpError(
                f"nobody was followed to day {horizon:g}: the last day is {last:g}. Ask for a horizon up to it."
            )
        churned &= found.duration <= horizon
    sets = risk_sets(
        found.duration,
        churned,
        entry=found.entry,
        stratum=found.strata_codes,
        n_strata=len(found.strata_labels),
        frequency=None if found.frequency is None else found.frequency.astype(np.int64),
    )
    return Ranking(found, sets, method, horizon)


def of_training(fit: CoxFit, *, data: Any = None) -> Concordance:
    """Concordance of a Cox model on the rows that it was fitted to; see `CoxFit.concordance`."""
    training = training_of(fit, data, "concordance")
    rows = training.data
    values = rows.design.times(training.coefficients)
    if rows.offset is not None:
        values += rows.offset
    found = numerics.concordance(
        rows.sets,
        values,
        cluster=training.cluster,
        n_clusters=fit._n_clusters,
        weights=rows.weights,
        frequency=rows.frequency is not None,
    )
    return _result(
        found, score="fitted risk", level=fit.level, n=fit.n, sets=rows.sets, strata=fit.strata, cluster=fit.cluster,
        method="harrell", horizon=None, weights=fit.weights, weights_kind=fit.weights_kind,
        _said={"n_clusters": fit._n_clusters if fit.cluster else None, **fit._source},
    )  # fmt: skip


def _result(pairs: numerics.Concordance, *, sets: RiskSets, level: float, **said: Any) -> Concordance:
    lower, upper = logit_limits(pairs.estimate, pairs.std_error, level)
    counts = ("concordant", "discordant", "tied_score", "tied_time", "tied_both")
    return Concordance(
        estimate=pairs.estimate,
        std_error=pairs.std_error,
        lower=lower,
        upper=upper,
        level=level,
        n_events=int(sets.n_events.sum()),
        n_no_risk=sets.n_no_risk,
        **{count: getattr(pairs, count) for count in counts},
        **said,
    )
