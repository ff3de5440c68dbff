"""Which of several scores ranks better: differences of concordance on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from churnsurv.errors import InputError
from churnsurv.survival.concordance import Method, ranking
from churnsurv.survival.inputs import SurvivalData, check_level, column_list
from churnsurv.survival.multiplicity import adjusted, check_adjust
from churnsurv.survival.scored import drawn_of, logit_limits, named_scores, reach, scored_data
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ConcordanceComparison", "compare_concordance"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ConcordanceComparison(Result):
    """Differences of concordance from the first score; made by `compare_concordance`.

    Attributes
    ----------
    scores : tuple of str
        Their names; the first is the reference.
    estimates : (n_scores,) float64, read-only
        C of each.
    covariance : (n_scores, n_scores) float64, read-only
        Of these.
    method : {"harrell", "uno"}
    horizon : float or None
    adjust : str
        How the p-values are adjusted; the limits are not.
    level : float
    n, n_events, n_no_risk : int
    """

    _schema: ClassVar[str] = "concordance_comparison"

    scores: tuple[str, ...]
    estimates: Floats
    covariance: Floats
    method: str
    horizon: float | None
    adjust: str
    level: float
    n: int
    n_events: int
    n_no_risk: int
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each score but the first."""
        import pandas as pd

        V = self.covariance
        difference = self.estimates[1:] - self.estimates[0]
        variance = np.diagonal(V)[1:] + V[0, 0] - 2 * V[0, 1:]
        # what two large numbers leave behind is no variance
        error = np.sqrt(np.where(variance > 1e-14 * (np.diagonal(V)[1:] + V[0, 0]), variance, 0.0))
        z = np.divide(difference, error, out=np.full(error.size, np.nan), where=error > 0)
        p_value = 2 * ndtr(-np.abs(z))
        half = np.where(error > 0, reach(self.level) * error, np.nan)
        return pd.DataFrame(
            {
                "score": list(self.scores[1:]),
                "reference": self.scores[0],
                "estimate": difference,
                "std_error": error,
                "statistic": z,
                "p_value": p_value,
                "p_adjusted": adjusted(p_value, self.adjust),
                "lower": difference - half,
                "upper": difference + half,
            }
        )

    @property
    def concordances(self) -> pd.DataFrame:
        """C of each score with its interval: score, estimate, std_error, lower, upper."""
        import pandas as pd

        errors = np.sqrt(np.diagonal(self.covariance))
        limits = [
            logit_limits(*pair, self.level) for pair in zip(self.estimates.tolist(), errors.tolist(), strict=True)
        ]
        lower, upper = zip(*limits, strict=True)
        return pd.DataFrame(
            {
                "score": list(self.scores),
                "estimate": self.estimates,
                "std_error": errors,
                "lower": lower,
                "upper": upper,
            }
        )

    def _headline(self) -> str:
        row = self.table.sort_values("p_value", kind="stable").iloc[0]
        p = "p < 0.001" if row["p_adjusted"] < 0.001 else f"p = {row['p_adjusted']:.3f}"
        many = f"{len(self.scores) - 1} comparisons, {self.adjust}; clearest: " if len(self.scores) > 2 else ""
        return (
            f"{many}C of {row['score']} less C of {row['reference']} = {row['estimate']:+.3f}, {100 * self.level:g}% "
            f"interval {row['lower']:+.3f} to {row['upper']:+.3f}, {p}"
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "scores": list(self.scores),
            "estimates": self.estimates,
            "method": self.method,
            "horizon": self.horizon,
            "adjust": self.adjust,
            "level": self.level,
            "n": self.n,
            "n_events": self.n_events,
            "n_no_risk": self.n_no_risk,
            **self._said,
        }


def compare_concordance(
    data: Any,
    *,
    scores: Sequence[str | ArrayLike] | Mapping[str, str | ArrayLike],
    method: Method = "harrell",
    horizon: float | None = None,
    adjust: str = "holm",
    strata: str | Sequence[str] | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> ConcordanceComparison:
    """Compare how well scores rank the same users: the difference of each one's C from that of the first.

    Parameters
    ----------
    data : Spells, or any table
    scores : sequence, or mapping of name to score
        Two or more, each as `score` in `concordance`; the first is the reference.
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        How p-values are adjusted for the number of comparisons. The limits are those of each alone.
    method, horizon, strata, cluster, weights, weights_kind, duration, event, entry, level
        As in `concordance`.

    Returns
    -------
    ConcordanceComparison
        The standard error is that of the difference: both C come from the same pairs, and their influences are
        subtracted row by row (Therneau and Watson 2017; the same as ``vcov(concordance(fit1, fit2))`` in R).

    Raises
    ------
    SchemaError, InputError, FollowUpError
        As `concordance`; if there are fewer than two scores, or two of one name.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [30, 35, 60, 70, 33, 90, 95, 120],
    ...     "churned": [True, True, True, False, True, True, True, False],
    ...     "idle": [14, 9, 11, 3, 8, 5, 6, 1],
    ...     "amount": [5, 1, 2, 9, 7, 4, 3, 8],
    ... })
    >>> compare_concordance(data, scores=("amount", "idle")).table[["score", "estimate", "p_value"]].round(3)
      score  estimate  p_value
    0  idle      0.48     0.01
    """
    level = check_level(level)
    check_adjust(adjust)
    given = _named(scores)
    found = scored_data(
        data, strata=strata, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights,
        weights_kind=weights_kind, columns=[score for _, score in given if isinstance(score, str)],
    )  # fmt: skip
    ranked = ranking(found, method=method, horizon=horizon)
    pairs = [ranked.of(values) for values in _values(given, found)]
    estimates = np.array([one.estimate for one in pairs])
    covariance = drawn_of(found).covariance(*(one.influence for one in pairs))
    for array in (estimates, covariance):
        array.setflags(write=False)
    said = {
        "strata": column_list("strata", strata),
        "cluster": found.cluster_name,
        "n_clusters": found.n_clusters if found.cluster_name else None,
        "weights": weights,
        "weights_kind": weights_kind,
        **found.source,
    }
    return ConcordanceComparison(
        scores=tuple(name for name, _ in given),
        estimates=estimates,
        covariance=covariance,
        method=method,
        horizon=ranked.horizon,
        adjust=adjust,
        level=level,
        n=found.n_users - ranked.sets.n_no_risk,
        n_events=int(ranked.sets.n_events.sum()),
        n_no_risk=ranked.sets.n_no_risk,
        _said=said,
    )


def _named(scores: Any) -> list[tuple[str, Any]]:
    """Scores with their names; those that are no columns are numbered."""
    if isinstance(scores, Mapping):
        given = [(str(name), score) for name, score in scores.items()]
    elif isinstance(scores, (tuple, list)):
        given = [(score if isinstance(score, str) else f"score {i}", score) for i, score in enumerate(scores, 1)]
    else:
        raise InputError(
            f"scores must be a tuple, a list or a mapping of name to score, not {type(scores).__name__}: such as "
            "scores=('risk', 'idle_days')."
        )
    names = [name for name, _ in given]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"a comparison needs two scores or more, each with a name of its own; got {names}.")
    return given


def _values(given: list[tuple[str, Any]], found: SurvivalData) -> list[NDArray[Any]]:
    return [named_scores(score, found, name)[1] for name, score in given]
