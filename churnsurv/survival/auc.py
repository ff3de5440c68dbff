"""Time-dependent AUC: how well a score tells who has churned by a day from who has not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import InputError
from churnsurv.numerics import auc as numerics
from churnsurv.survival.inputs import check_level
from churnsurv.survival.prediction import SurvivalMatrix
from churnsurv.survival.scored import (
    check_days,
    facts_of,
    logit_limits,
    named_scores,
    scored_data,
    scored_rows,
    survival_by_day,
)
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TimeDependentAUC", "time_dependent_auc"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimeDependentAUC(Result):
    """Areas by day; made by `time_dependent_auc`.

    Attributes
    ----------
    score : str
        Name of the score.
    times : (n_times,), read-only
        Days.
    level : float
    mean, mean_std_error, mean_lower, mean_upper : float
        Mean over the days, each with the share that churned since the day before; NaN where no day has an area.
    """

    _schema: ClassVar[str] = "auc"

    score: str
    times: NDArray[Any]
    level: float
    mean: float
    mean_std_error: float
    mean_lower: float
    mean_upper: float
    _areas: numerics.AUC
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row per day; null where nobody has churned by it, or nobody is left after it."""
        import pandas as pd

        found = self._areas
        limits = [
            logit_limits(*pair, self.level)
            for pair in zip(found.estimate.tolist(), found.std_error.tolist(), strict=True)
        ]
        return pd.DataFrame(
            {
                "time": self.times,
                "estimate": found.estimate,
                "std_error": found.std_error,
                "lower": [low for low, _ in limits],
                "upper": [high for _, high in limits],
                "churned_share": found.churned_share,
                "n_churned": found.n_churned,
                "n_left": found.n_left,
            }
        )

    def _headline(self) -> str:
        if self.times.size == 1:
            row = self.table.iloc[0]
            return (
                f"AUC of {self.score} = {row['estimate']:.3f} on day {self.times[0]:g}, {100 * self.level:g}% interval "
                f"{row['lower']:.3f} to {row['upper']:.3f}"
            )
        return (
            f"mean AUC of {self.score} = {self.mean:.3f} over days {self.times[0]:g} to {self.times[-1]:g}, "
            f"{100 * self.level:g}% interval {self.mean_lower:.3f} to {self.mean_upper:.3f}"
        )

    def _facts(self) -> dict[str, Any]:
        mean = {name: getattr(self, name) for name in ("mean", "mean_std_error", "mean_lower", "mean_upper")}
        return {"score": self.score, "level": self.level, **mean, **self._said}


def time_dependent_auc(
    data: Any,
    *,
    score: str | ArrayLike | None = None,
    survival: SurvivalMatrix | ArrayLike | None = None,
    times: ArrayLike | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> TimeDependentAUC:
    """Estimate how often one who has churned by a day has a higher score than one who has not.

    Parameters
    ----------
    data : Spells, or any table
    score : str, or (n,) array, optional
        Higher means sooner churn; the same for all days. A column of `data`, or one number for each of its rows.
    survival : SurvivalMatrix, or (n, n_times) array, optional
        In place of a score: the lower P(T > time) of a row, the higher its score for that day.
    times : (n_times,) days
        Ascending. Required, unless a SurvivalMatrix has its own.
    cluster, weights, weights_kind, duration, event, entry, level
        As in `brier_score`.

    Returns
    -------
    TimeDependentAUC
        Cumulative cases, dynamic controls, by inverse probability of censoring, equal scores counted half (Uno et al.
        2007; Blanche et al. 2013); the standard errors count the estimation of the censoring. A row censored on a day
        is known not to have churned by it, so that data censored at one last day has an area on that day. Limits are
        symmetric on the logit scale. Null where nobody has churned, or nobody is left.

    Raises
    ------
    SchemaError, InputError
        If a score is missing, or neither or both of `score` and `survival` are given.
    FollowUpError
        If nobody was followed to a day.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 60, 33, 60], "churned": [True, True, False, False, True, False],
    ...     "idle": [14, 5, 9, 3, 8, 5],
    ... })
    >>> time_dependent_auc(data, score="idle", times=[33, 60]).table[["time", "estimate", "n_churned"]].round(3)
       time  estimate  n_churned
    0    33     0.875          2
    1    60     0.722          3
    """
    level = check_level(level)
    if (score is None) == (survival is None):
        raise InputError("time_dependent_auc takes a score, the same for all days, or survival, one column a day.")
    found = scored_data(
        data, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights, weights_kind=weights_kind,
        columns=[score] if isinstance(score, str) else [],
    )  # fmt: skip
    name, days, values = _scores(score, survival, times, found)
    areas = numerics.auc(scored_rows(found), days, values)
    days.setflags(write=False)
    lower, upper = logit_limits(areas.mean, areas.mean_std_error, level)
    return TimeDependentAUC(name, days, level, areas.mean, areas.mean_std_error, lower, upper, areas, facts_of(found))


def _scores(
    score: Any, survival: Any, times: ArrayLike | None, found: Any
) -> tuple[str, NDArray[Any], NDArray[Any] | Callable[[int], Floats]]:
    if survival is not None:
        days, by_day = survival_by_day(survival, times, found)
        return "predicted survival", days, lambda j: -by_day(j)
    if times is None:
        raise InputError("times must say on which days churned and not churned are compared, such as times=[30, 90].")
    name, values = named_scores(score, found)
    return name, check_days(times), values
