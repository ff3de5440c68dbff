"""Decision curves: what contacting users by their probabilities is worth, at any price of a contact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.decision import NetBenefit, net_benefit
from churnsurv.survival.inputs import check_level
from churnsurv.survival.scored import check_horizon, facts_of, probabilities, reach, scored_data, scored_rows
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["DecisionCurve", "decision_curve"]

Floats: TypeAlias = NDArray[np.float64]

ALL, NOBODY = "treat all", "treat none"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DecisionCurve(Result):
    """Net benefit by threshold; made by `decision_curve`.

    Attributes
    ----------
    models : tuple of str
        Names of the predictions.
    horizon : float
        Days.
    churned : float
        Share of all users that churn by the horizon, by Kaplan and Meier.
    level : float
    notes : tuple of str
        At which thresholds those contacted were not followed to the horizon.
    """

    _schema: ClassVar[str] = "decision_curve"

    models: tuple[str, ...]
    horizon: float
    churned: float
    level: float
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row per model and threshold, with contacting everybody and nobody in front."""
        return self._table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw net benefit over the threshold."""
        from churnsurv.plots.decision import decision_curve as draw

        return draw(self.table, ax, level=self.level)

    def _headline(self) -> str:
        best = self._table.pivot_table(index="threshold", columns="model", values="net_benefit")
        others = np.maximum(best[ALL], 0.0)
        said = []
        for model in self.models[:3]:
            better = best.index[(best[model] > others).to_numpy()]
            where = f"at {better.min():g} to {better.max():g}" if len(better) else "nowhere"
            said.append(f"{model} beats contacting all or nobody {where}")
        more = ", ..." if len(self.models) > 3 else ""
        return f"net benefit, churn by day {self.horizon:g} ({self.churned:.3f}): {'; '.join(said)}{more}"

    def _facts(self) -> dict[str, Any]:
        return {
            "models": list(self.models),
            "horizon": self.horizon,
            "churned": self.churned,
            "level": self.level,
            "notes": list(self.notes),
            **self._said,
        }


def decision_curve(
    data: Any,
    *,
    probability: str | ArrayLike | Mapping[str, str | ArrayLike],
    horizon: float,
    thresholds: ArrayLike | None = None,
    cluster: str | None = "auto",
    weights: str | None = None,
    weights_kind: Literal["frequency", "sampling"] | None = None,
    duration: str = "duration",
    event: str = "churned",
    entry: str | None = None,
    level: float = 0.95,
) -> DecisionCurve:
    """Value rules that contact users from a predicted probability of churn on.

    Parameters
    ----------
    data : Spells, or any table
        The rows that were predicted for; new ones, or the fit knows the answers.
    probability : str, (n,) array, or mapping of name to these
        Of churn by the horizon.
    horizon : number
        Days since origin.
    thresholds : (n_thresholds,), optional
        Ascending, in [0, 1); by default 0.01, 0.02, ... 0.99. A threshold t says that t / (1 - t) contacts in vain are
        a fair price for one churner contacted; of a contact that costs c and saves v per churner, t = c / v.
    cluster, weights, weights_kind, duration, event, entry, level
        As in `brier_score`.

    Returns
    -------
    DecisionCurve
        Net benefit is the share of users who are contacted and churn, less the share contacted who do not times
        t / (1 - t) (Vickers and Elkin 2006); churn among those contacted is Kaplan and Meier's (Vickers et al. 2008).
        Beside the models stand contacting everybody and nobody. Null where those contacted were not followed to the
        horizon. Limits hold at each threshold alone.

    Raises
    ------
    SchemaError, InputError
        If predictions do not belong to the rows or are no probabilities.
    FollowUpError
        If nobody was followed to the horizon.

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({
    ...     "duration": [20, 30, 45, 60, 60, 35, 60, 60], "churned": [1, 1, 1, 0, 0, 1, 0, 0],
    ...     "p": [0.9, 0.6, 0.3, 0.5, 0.2, 0.7, 0.1, 0.4],
    ... })
    >>> found = decision_curve(data, probability="p", horizon=50, thresholds=[0.25, 0.5])
    >>> found.table[["model", "threshold", "net_benefit", "contacted"]].round(3)
            model  threshold  net_benefit  contacted
    0   treat all       0.25        0.333       1.00
    1   treat all       0.50        0.000       1.00
    2  treat none       0.25        0.000       0.00
    3  treat none       0.50        0.000       0.00
    4           p       0.25        0.417       0.75
    5           p       0.50        0.250       0.50
    """
    level, horizon = check_level(level), check_horizon(horizon)
    at = _thresholds(thresholds)
    given = _named(probability)
    found = scored_data(
        data, cluster=cluster, duration=duration, event=event, entry=entry, weights=weights, weights_kind=weights_kind,
        columns=[values for values in given.values() if isinstance(values, str)],
    )  # fmt: skip
    predicted = {name: probabilities(values, found, name=name, horizon=horizon) for name, values in given.items()}
    rows = scored_rows(found)
    everybody = net_benefit(rows, horizon, np.ones(rows.n), at)
    nobody = net_benefit(rows, horizon, np.full(rows.n, -1.0), at)
    curves = {name: net_benefit(rows, horizon, p, at) for name, p in predicted.items()}
    return DecisionCurve(
        models=tuple(given),
        horizon=horizon,
        churned=float(everybody.churned[0]),
        level=level,
        notes=tuple(_notes(curves, at, horizon)),
        _table=_table({ALL: everybody, NOBODY: nobody, **curves}, at, level),
        _said=facts_of(found),
    )


def _thresholds(thresholds: ArrayLike | None) -> Floats:
    if thresholds is None:
        return np.arange(1, 100) / 100
    at = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if at.ndim != 1 or at.size == 0 or not ((at >= 0) & (at < 1)).all() or (np.diff(at) <= 0).any():
        raise InputError(f"thresholds must be probabilities in [0, 1), ascending and none twice; got {thresholds!r}.")
    return at


def _named(probability: Any) -> dict[str, Any]:
    if isinstance(probability, Mapping):
        given = {str(name): values for name, values in probability.items()}
    else:
        given = {probability if isinstance(probability, str) else "model": probability}
    if not given:
        raise InputError("probability names no prediction: give one or more.")
    taken = [name for name in given if name in (ALL, NOBODY)]
    if taken:
        raise InputError(f"a prediction must not be called {taken[0]!r}: that line is there anyway. Rename it.")
    return given


def _notes(curves: Mapping[str, NetBenefit], at: Floats, horizon: float) -> list[str]:
    lost = {name: at[np.isnan(found.estimate)] for name, found in curves.items()}
    return [
        f"{name}: at {'threshold' if t.size == 1 else 'thresholds'} {', '.join(f'{x:g}' for x in t[:5])}"
        f"{', ...' if t.size > 5 else ''} none of those contacted was followed to day {horizon:g}: no net benefit."
        for name, t in lost.items()
        if t.size
    ]


def _table(curves: Mapping[str, NetBenefit], at: Floats, level: float) -> pd.DataFrame:
    import pandas as pd

    half = reach(level)
    parts = [
        pd.DataFrame(
            {
                "model": name,
                "threshold": at,
                "net_benefit": found.estimate,
                "std_error": found.std_error,
                "lower": found.estimate - half * found.std_error,
                "upper": found.estimate + half * found.std_error,
                "contacted": found.contacted,
                "churned": found.churned,
            }
        )
        for name, found in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)
