"""The tables of a backtest: figures by policy and tier, accuracy beside the base rate, differences, rules and gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.block_means import block_mean
from churnsurv.numerics.first_alert_gains import Gains
from churnsurv.numerics.ratio_by_blocks import logit_limits, ratio_by_blocks
from churnsurv.survival.multiplicity import adjusted
from churnsurv.warning.backtest_judge import Sums

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.warning.scheme import TierScheme

__all__ = ["accuracy_row", "changes_per_1000", "difference_rows", "gains_rows", "rule_rows", "sums_row"]

Row: TypeAlias = dict[str, Any]
Floats: TypeAlias = NDArray[np.float64]


def sums_row(sums: Sums, *, idle_days: int, level: float) -> Row:
    """The figures of one policy or tier, without its name; see schema "backtest"."""
    gaps, churned, alerts, right = (float(each.sum()) for each in (sums.gaps, sums.churned, sums.alerts, sums.right))
    value = block_mean(1000.0 * sums.value, sums.gaps, level=level)
    return {
        "n_gaps": int(gaps),
        "base_rate": _over(churned, gaps),
        "alerts": round(alerts),
        "alerts_per_day": alerts / sums.n_days,
        **_share("precision", sums.right, sums.alerts, level),
        "rows": round(float(sums.rows.sum())),
        **_share("row_precision", sums.rows_right, sums.rows, level),
        "recall": _over(right, churned),
        **_share("lead_recall", sums.lead / idle_days, sums.churned, level),
        "lead_days": _over(float(sums.lead.sum()), right),
        "value": value.estimate,
        "value_lower": value.lower,
        "value_upper": value.upper,
    }


def _share(name: str, part: Floats, whole: Floats, level: float) -> Row:
    ratio = ratio_by_blocks(part, whole)
    lower, upper = logit_limits(ratio, level=level)
    return {name: float(ratio.estimate), f"{name}_lower": float(lower), f"{name}_upper": float(upper)}


def _over(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def accuracy_row(hits: NDArray[np.floating], *, horizon: int, policy: str) -> Row:
    """How often a policy foretold rightly, from what `Gaps.hits` counts; see schema "backtest_accuracy"."""
    rows, churn, foretold, both = (float(each) for each in hits)
    wrong = (foretold - both) + (churn - both)
    return {
        "horizon": horizon,
        "policy": policy,
        "rows": int(rows),
        "base_rate": _over(churn, rows),
        "always_no": _over(rows - churn, rows),
        "accuracy": _over(rows - wrong, rows),
        "precision": _over(both, foretold),
        "recall": _over(both, churn),
    }


def changes_per_1000(changes: Mapping[str, Floats], gaps: float) -> dict[str, float]:
    """How often tiers change within a silence per 1,000 gaps; see `Backtest.tier_changes`.

    Parameters
    ----------
    changes : Mapping of str to (2,) float64
        As in `Judged`.
    gaps : float
        How many there are.
    """
    names = {"held": ("changes", "falls"), "own": ("changes_without", "falls_without")}
    return {
        name: _over(1000.0 * float(n), gaps)
        for which, sums in changes.items()
        for name, n in zip(names[which], sums, strict=True)
    }


def difference_rows(values: Mapping[tuple[str, str], Floats], gaps: Floats, *, fitted: str, level: float) -> list[Row]:
    """Value of each fitted tier less that of each other policy, paired by block; see schema "backtest_differences".

    Parameters
    ----------
    values : Mapping of (tier, policy) to (n_blocks,) float64
        Net benefit by block under the worth of the tier, of the `fitted` policy and of the others.
    gaps : (n_blocks,) float64
    fitted : str
    level : float
    """
    pairs = [(tier, policy) for tier, policy in values if policy != fitted]
    found = [block_mean(1000.0 * (values[tier, fitted] - values[tier, policy]), gaps, level=level)
             for tier, policy in pairs]  # fmt: skip
    corrected = adjusted(np.array([each.p_value for each in found], dtype=np.float64), "holm")
    return [
        {
            "tier": tier,
            "compared_with": policy,
            **{name: getattr(each, name) for name in ("estimate", "std_error", "lower", "upper", "p_value")},
            "adjusted_p_value": float(p),
        }
        for (tier, policy), each, p in zip(pairs, found, corrected, strict=True)
    ]


def rule_rows(origin: date, scheme: TierScheme) -> list[Row]:
    """The thresholds of a scheme at an origin; see schema "backtest_rules"."""
    rows = []
    for tier in scheme.tiers:
        named = {"origin": origin, "tier": tier.name, "rule": str(tier.rule)}
        if not tier.rule.alternatives:
            rows.append(named)
        for place, conditions in enumerate(tier.rule.alternatives, start=1):
            for each in conditions:
                told = {"variable": each.variable, "sign": each.sign, "threshold": each.threshold}
                rows.append({**named, "alternative": place, **told})
    return rows


def gains_rows(
    curves: Sequence[tuple[Gains, float, float]], capacities: Sequence[float], *, idle_days: int, n_points: int = 100
) -> list[Row]:
    """What so many alerts a day catch, all origins together; see schema "backtest_gains".

    Parameters
    ----------
    curves : sequence of (Gains, churned, n_days)
        Of each origin: its curve, gaps that end in churn, days on which gaps began.
    capacities : sequence of float
        Told besides evenly spaced ones up to where everybody is alerted at once.
    idle_days : int
    n_points : int
    """
    if not curves:
        return []
    most = max(float(gains.alerts[-1]) / days for gains, _, days in curves)
    asked = np.union1d(np.linspace(0, most, n_points + 1), np.array(capacities, dtype=np.float64))
    churned, days = sum(each for _, each, _ in curves), sum(each for *_, each in curves)
    rows = []
    for capacity in asked.tolist():
        steps = [(gains, gains.within(capacity * n_days)) for gains, _, n_days in curves]
        alerts, caught, lead = (
            sum(float(getattr(gains, name)[at]) for gains, at in steps) for name in ("alerts", "caught", "lead")
        )
        rows.append(
            {
                "capacity": capacity,
                "alerts_per_day": alerts / days,
                "precision": _over(caught, alerts),
                "recall": _over(caught, churned),
                "lead_recall": _over(lead / idle_days, churned),
            }
        )
    return rows
