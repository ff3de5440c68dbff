"""How a tier did on the gaps it was fitted to: alerts, precision, lead time and value, by block of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from churnsurv.numerics.ratio_by_blocks import logit_limits, ratio_by_blocks
from churnsurv.warning.objectives import Objective, Value
from churnsurv.warning.training import Training

__all__ = ["TierSums", "figures", "tier_sums"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TierSums:
    """Totals of one tier by block of users, shape (n_blocks,).

    Attributes
    ----------
    alerts, right : float64
        First alerts, and those of them whose gap ended in churn.
    lead : float64
        Sum over the latter of the days from alert to churn.
    value : float64
        Net benefit; NaN but for a value objective.
    """

    alerts: Floats
    right: Floats
    lead: Floats
    value: Floats


def tier_sums(training: Training, objective: Objective, first_day: Ints, until: Ints) -> TierSums:
    """Add up what a tier's first alerts were.

    Parameters
    ----------
    training : Training
    objective : Objective
    first_day : (n_rows,) int64
        Idle day on which the tier alerts the gaps of a row that are still silent; idle_days for never.
    until : (n_rows,) int64
        Day on which a higher tier takes them over.
    """
    counts, idle_days = training.counts, training.idle_days
    alerted = (first_day < idle_days) & (first_day < until) & (counts.duration > first_day)
    n = np.where(alerted, counts.n, 0).astype(np.float64)
    right = n * (counts.duration > idle_days)
    left = (idle_days - first_day).astype(np.float64)
    worth = np.full(counts.n.size, np.nan)
    if isinstance(objective, Value):
        curve = np.concatenate([[0.0], objective.worth(training.days), [0.0]])
        worth = right * curve[first_day] - n * float(objective.contact_cost or 0.0)
    return TierSums(*(_by_block(training, each) for each in (n, right, right * left, worth)))


def _by_block(training: Training, values: Floats) -> Floats:
    return np.asarray(np.bincount(training.counts.block, values, training.counts.n_blocks), dtype=np.float64)


def figures(training: Training, sums: TierSums, *, level: float) -> Mapping[str, float]:
    """The figures of a tier's row, with limits that take users as independent; see schema "tier_rules"."""
    alerts, right = float(sums.alerts.sum()), float(sums.right.sum())
    precision = _share(sums.right, sums.alerts, level)
    lead = _share(sums.lead / training.idle_days, training.churned, level)
    value = _mean(1000.0 * sums.value, training.gaps, level)
    return {
        "alerts": round(alerts),
        "alerts_per_day": alerts / training.counts.n_days,
        **_named("precision", precision),
        "recall": right / float(training.churned.sum()),
        **_named("lead_recall", lead),
        "lead_days": float(sums.lead.sum()) / right if right else float("nan"),
        **_named("value", value),
    }


def _named(name: str, three: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_lower", f"{name}_upper"), three, strict=True))


def _share(part: Floats, whole: Floats, level: float) -> tuple[float, float, float]:
    ratio = ratio_by_blocks(part, whole)
    lower, upper = logit_limits(ratio, level=level)
    return float(ratio.estimate), float(lower), float(upper)


def _mean(total: Floats, n: Floats, level: float) -> tuple[float, float, float]:
    ratio = ratio_by_blocks(total, n)
    half = float(stdtrit(max(float(ratio.n_blocks) - 1.0, 1.0), (1 + level) / 2) * ratio.std_error)
    return float(ratio.estimate), float(ratio.estimate) - half, float(ratio.estimate) + half
