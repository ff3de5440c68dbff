"""What first alerts catch when the most urgent ones come first: the gains curve of a ranking that was fixed before.

Users of a cell x who have been silent for d days have a score r(x, d). With a limit t a user is alerted on the first
day on which the score reaches t. A lower limit brings the first day of a cell forward or leaves it alone, so that
alerts, churners caught and lead time can only rise: each day of a cell whose score is above all earlier ones is a step
of the curve, and the steps are taken from the highest score down. Between the days d_1 < d_2 < ... of these steps a
cell adds silent(d_k) - silent(d_{k+1}) alerts and churned (d_{k+1} - d_k) days of lead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.day_counts import read_only

__all__ = ["Gains", "first_alert_gains", "shrunken_shares"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """The curve, by falling limit; shape (n_steps,) float64, the first step being nobody.

    Attributes
    ----------
    limit
        Alerted are those whose score reaches it; infinite for nobody.
    alerts, caught, lead
        Alerts, churners among them, and the sum of their days from alert to churn.
    """

    limit: Floats
    alerts: Floats
    caught: Floats
    lead: Floats

    def within(self, most: float) -> int:
        """The last step with at most so many alerts."""
        return int(np.searchsorted(self.alerts, most * (1 + 1e-12), side="right")) - 1


def first_alert_gains(score: NDArray[Any], silent: NDArray[Any], churned: NDArray[Any], *, idle_days: int) -> Gains:
    """Add up first alerts from the highest score down.

    Parameters
    ----------
    score, silent : (n_cells, n_days)
        Of idle days 1, 2, ... n_days: the score, NaN for no alert, and gaps that are still silent.
    churned : (n_cells,)
        Gaps that end in churn, after `idle_days` days.
    idle_days : int

    Returns
    -------
    Gains
        Cells with equal scores are one step.

    Examples
    --------
    One cell of 10 gaps, 4 of which end in churn on day 3; day 2 is more urgent than day 1:

    >>> gains = first_alert_gains(np.array([[0.2, 0.3]]), np.array([[8, 5]]), np.array([4]), idle_days=3)
    >>> gains.alerts.tolist(), gains.caught.tolist(), gains.lead.tolist()
    ([0.0, 5.0, 8.0], [0.0, 4.0, 4.0], [0.0, 4.0, 8.0])
    """
    known = np.where(np.isnan(score), -np.inf, score)
    highest = np.maximum.accumulate(known, axis=1)
    step = ~np.isnan(score)
    step[:, 1:] &= known[:, 1:] > highest[:, :-1]
    cell, day = np.nonzero(step)
    last = np.ones(cell.size, dtype=np.bool_)
    last[:-1] = cell[1:] != cell[:-1]
    after = np.minimum(np.arange(1, cell.size + 1), max(cell.size - 1, 0))
    alerts = silent[cell, day] - np.where(last, 0, silent[cell[after], day[after]])
    caught = np.where(last, churned[cell], 0)
    lead = churned[cell] * (np.where(last, idle_days - 1, day[after]) - day)
    order = np.argsort(-score[cell, day], kind="stable")
    limit = score[cell, day][order]
    ends = np.flatnonzero(np.append(limit[1:] < limit[:-1], True)) if limit.size else np.zeros(0, dtype=np.int64)
    sums = [np.concatenate([[0.0], np.cumsum(each[order], dtype=np.float64)[ends]]) for each in (alerts, caught, lead)]
    gains = Gains(np.concatenate([[np.inf], limit[ends]]), *sums)
    read_only(gains.limit, gains.alerts, gains.caught, gains.lead)
    return gains


def shrunken_shares(silent: NDArray[Any], churned: NDArray[Any], *, prior: float) -> Floats:
    """P(churn | cell, idle for d days), drawn to that of all cells as if `prior` more gaps had it.

    Parameters
    ----------
    silent : (n_cells, n_days)
    churned : (n_cells,) or (n_cells, n_days)
        Those that end in churn; by day where gaps move from cell to cell.
    prior : float
        Above 0.

    Returns
    -------
    (n_cells, n_days) float64
        1 where no gap of any cell is left.

    Examples
    --------
    >>> shrunken_shares(np.array([[10, 5], [2, 1]]), np.array([5, 1]), prior=2.0).round(3).tolist()
    [[0.5, 1.0], [0.5, 1.0]]
    """
    left = np.asarray(silent, dtype=np.float64)
    lost = churned if churned.ndim > 1 else churned[:, None]
    total = left.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = np.where(total > 0, lost.sum(axis=0) / total, 1.0)
    return np.asarray((lost + prior * overall) / (left + prior))
