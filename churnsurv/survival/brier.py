"""Brier's score: how far predicted survival lies from what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.numerics import brier as numerics
from churnsurv.numerics.kaplan_meier import log_limits
from churnsurv.survival.inputs import check_level
from churnsurv.survival.prediction import SurvivalMatrix
from churnsurv.survival.scored import facts_of, reach, scored_data, scored_rows, survival_by_day
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BrierScore", "brier_score"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BrierScore(Result):
    """Scores of predicted survival by day; made by `brier_score`.

    Attributes
    ----------
    times : (n_times,), read-only
        Days.
    integrated : float
        Mean of the score over the days from the first to the last, by trapezoids; NaN with one day only.
    integrated_std_error, integrated_lower, integrated_upper : float
    integrated_reference : float
        The same of the Kaplan-Meier estimate.
    integrated_scaled : float
        1 - integrated / integrated_reference.
    integrated_scaled_std_error : float
    level : float
    """

    _schema: ClassVar[str] = "brier"

    times: NDArray[Any]
    level: float
    _scores: numerics.Brier
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row per day."""
        import pandas as pd

        found = self._scores
        lower, upper = log_limits(found.estimate, found.std_error, level=self.level)
        half = reach(self.level) * found.scaled_std_error
        return pd.DataFrame(
            {
                "time": self.times,
                "estimate": found.estimate,
                "std_error": found.std_error,
                "lower": lower,
                "upper": upper,
                "reference": found.reference,
                "scaled": found.scaled,
                "scaled_std_error": found.scaled_std_error,
                "scaled_lower": found.scaled - half,
                "scaled_upper": np.minimum(found.scaled + half, 1.0),
            }
        )

    @property
    def integrated(self) -> float:
        """Mean score over the days."""
        return self._scores.integrated

    @property
    def integrated_std_error(self) -> float:
        """Standard error of `integrated`."""
        return self._scores.integrated_std_error

    @property
    def integrated_lower(self) -> float:
        """Lower limit of `integrated`, symmetric on the log scale."""
        return float(log_limits(*self._whole(), level=self.level)[0][0])

    @property
    def integrated_upper(self) -> float:
        """Upper limit of `integrated`."""
        return float(log_limits(*self._whole(), level=self.level)[1][0])

    @property
    def integrated_reference(self) -> float:
        """Mean score of the Kaplan-Meier estimate."""
        return self._scores.integrated_reference

    @property
    def integrated_scaled(self) -> float:
        """1 - integrated / integrated_reference."""
        return self._scores.integrated_scaled

    @property
    def integrated_scaled_std_error(self) -> float:
        """Standard error of `integrated_scaled`."""
        return self._scores.integrated_scaled_std_error

    def _whole(self) -> tuple[Floats, Floats]:
        return np.array([self.integrated]), np.array([self.integrated_std_error])

    def _headline(self) -> str:
        if self.times.size == 1:
            score, scaled = self._scores.estimate[0], self._scores.scaled[0]
            return f"Brier score {score:.4f} on day {self.times[0]:g}, scaled {scaled:.3f}"
        return (
            f"integrated Brier score {self.integrated:.4f} over days {self.times[0]:g} to {self.times[-1]:g}, scaled "
            f"{self.integrated_scaled:.3f}"
        )

    def _facts(self) -> dict[str, Any]:
        names = ("integrated", "integrated_std_error", "integrated_reference", "integrated_scaled")
        return {"level": self.level, **{name: getattr(self, name) for name in names}, **self._said}


def brier_score(
    data: Any,
    *,
    survival: SurvivalMatrix | ArrayLike,
    times: ArrayLike | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> BrierScore:
    """Score predicted survival: the mean squared distance from what happened, censored rows made up for.

    Parameters
    ----------
    data : Spells, or any table
        The rows that were predicted for; new ones, or the fit knows the answers.
    survival : SurvivalMatrix, or (n, n_times) array
        P(T > time) of each row, in the order of `data`: what ``fit.survival(data, times)`` gives back.
    times : (n_times,) days, optional
        Ascending; one for each column. Of a SurvivalMatrix some of its days, by default all.
    cluster : str or None
        Rows of one cluster may depend on each other. "auto": `user_id` for spells built with ``spells="all"``.
    weights, weights_kind : str, optional
        A column of numbers > 0, and "frequency" or "sampling".
    duration, event, entry : str
        Columns. `entry` is used where it is named, and from `Spells` always: late entry is made up for as censoring is.
    level : float

    Returns
    -------
    BrierScore
        A row censored before a day counts through those like it, by inverse probability of censoring (Graf et al. 1999;
        Gerds and Schumacher 2006): the probability is the same for all rows, so censoring must not depend on what
        predicts churn. A row censored on the very day is known to have survived it, so that the last day of the log can
        be asked for. Limits of scores are symmetric on the log scale, those of scaled scores as they stand.

    Raises
    ------
    SchemaError, InputError
        If predictions do not belong to the rows or are no probabilities.
    FollowUpError
        If nobody was followed to a day.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [30, 40, 60, 60], "churned": [True, True, False, False]})
    >>> brier_score(data, survival=[[0.2], [0.6], [0.8], [0.8]], times=50)
    <BrierScore: Brier score 0.1200 on day 50, scaled 0.520>
    """
    level = check_level(level)
    found = scored_data(
        data, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights, weights_kind=weights_kind
    )
    days, by_day = survival_by_day(survival, times, found)
    scores = numerics.brier(scored_rows(found), days, by_day)
    days.setflags(write=False)
    return BrierScore(times=days, level=level, _scores=scores, _said=facts_of(found))
