"""The tables of a tier scheme: thresholds with their resamples, the rules that may be best, and other saving curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.rule_search import RuleFamily
from churnsurv.warning.rules import Condition, Rule
from churnsurv.warning.tier_search import FittedTier
from churnsurv.warning.training import Training

__all__ = ["form_of", "may_be_best_rows", "sensitivity_rows", "threshold_rows"]

Row: TypeAlias = dict[str, Any]
Ints: TypeAlias = NDArray[np.int64]
Form: TypeAlias = frozenset[tuple[str, str]]


def form_of(conditions: Sequence[Condition]) -> Form:
    """What an alternative compares by which sign, without thresholds."""
    return frozenset((each.variable, each.sign) for each in conditions)


# ------------------------------------------------------------------------------------------------------ thresholds


def threshold_rows(training: Training, tier: str, found: FittedTier, *, level: float) -> list[Row]:
    """One row for each threshold of a rule; see schema "tier_thresholds"."""
    drawn = [
        {form_of(each): {c.variable: c.threshold for c in each} for each in training.rule(int(pair), five).alternatives}
        if pair >= 0
        else {}
        for pair, five in zip(found.sample_pair, found.sample_five, strict=True)
    ]
    rule, fitted = training.rule(found.pair, found.five), training.rule(found.pair, found.fitted)
    rows = []
    for place, (chosen, before) in enumerate(zip(rule.alternatives, fitted.alternatives, strict=True), start=1):
        same = [sample[form_of(chosen)] for sample in drawn if form_of(chosen) in sample]
        for condition, first in zip(chosen, before, strict=True):
            values = np.array([each[condition.variable] for each in same])
            limits = (
                np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf") if same else [np.nan] * 2
            )
            rows.append(
                {
                    "tier": tier,
                    "alternative": place,
                    "variable": condition.variable,
                    "sign": condition.sign,
                    "threshold": condition.threshold,
                    "fitted": first.threshold,
                    "frequency": float((values == first.threshold).sum() / len(drawn)) if drawn else np.nan,
                    "form_frequency": len(same) / len(drawn) if drawn else np.nan,
                    "range_lower": float(limits[0]),
                    "range_upper": float(limits[1]),
                }
            )
    return rows


# -------------------------------------------------------------------------------------------------- confidence set


def may_be_best_rows(training: Training, tier: str, found: FittedTier) -> list[Row]:
    """One row for each form of rule that may be the best; see schema "tier_confidence_set"."""
    rows = []
    top = max(
        [0.0 if found.nobody else -np.inf, *(float(best.benefit.max(initial=-np.inf)) for best in found.may_be_best)]
    )
    if found.nobody:
        nobody = {"form": "contact nobody", "n_rules": 1, "rule": str(Rule()), "value": 0.0}
        rows.append({"tier": tier, **nobody, "difference": -1000.0 * top, "first_day": None, "last_day": None})
    for pair, best in enumerate(found.may_be_best):
        forms = _forms(best.rules, training.families[pair])
        for form in np.unique(forms, axis=0):
            if not _told_here(training, pair, form):
                continue
            mine = np.flatnonzero((forms == form).all(axis=1))
            at = mine[best.benefit[mine].argmax()]
            first = _first_day(best.rules[mine])
            rule = training.rule(pair, best.rules[at])
            rows.append(
                {
                    "tier": tier,
                    "form": _form_text(rule),
                    "n_rules": mine.size,
                    "rule": str(rule),
                    "value": 1000.0 * float(best.benefit[at]),
                    "difference": _difference(float(best.benefit[at]), top),
                    "first_day": int(first.min()),
                    "last_day": int(first.max()),
                }
            )
    return sorted(rows, key=lambda row: -float(row["value"]))


def _difference(benefit: float, top: float) -> float:
    """Per 1,000 gaps; the same rule over another pair of variables has the same benefit but for its last digits."""
    less = benefit - top
    return 0.0 if abs(less) <= 1e-12 * abs(top) else 1000.0 * less


def _forms(rules: Ints, family: RuleFamily) -> Ints:
    """Split or not, and what each side is: never, no condition, below a cut, at least a cut; shape (n, 3)."""
    sides = []
    for condition, day in ((rules[:, 1], rules[:, 2]), (rules[:, 3], rules[:, 4])):
        kind = np.where(condition == 0, 1, np.where(condition <= family.n_cuts, 2, 3))
        sides.append(np.where(day > 0, kind, 0))
    return np.column_stack([rules[:, 0] > 0, *sides]).astype(np.int64)


def _told_here(training: Training, pair: int, form: Ints) -> bool:
    """Whether this pair of variables tells rules of this form: several pairs hold the rules of fewer variables."""
    first, second = training.pairs[pair]
    split, low, high = (int(each) for each in form)
    if second is None or first is None:
        return True
    partner = 1 if first == 0 else 0
    with_second = max(low, high) > 1
    if not split:
        return not with_second and pair == 0
    if not with_second:
        return second == partner
    return first < second or (low > 0 and high > 0)


def _first_day(rules: Ints) -> Ints:
    days = np.where(rules[:, [2, 4]] > 0, rules[:, [2, 4]], np.iinfo(np.int64).max)
    return np.asarray(days.min(axis=1))


def _form_text(rule: Rule) -> str:
    parts = [" and ".join(f"{each.variable} {each.sign}" for each in one) for one in rule.alternatives]
    return parts[0] if len(parts) == 1 else " or ".join(f"({part})" for part in parts)


# ----------------------------------------------------------------------------------------------------- sensitivity


def sensitivity_rows(training: Training, tier: str, found: FittedTier) -> list[Row]:
    """One row for each saving curve that was tried; see schema "tier_sensitivity"."""
    return [
        {
            "tier": tier,
            "saving": each.saving,
            "rule": str(training.rule(each.pair, each.five)),
            "value": 1000.0 * each.value,
            "chosen_value": 1000.0 * each.chosen,
            "loss": 1.0 - each.chosen / each.value if each.value > 0 else float("nan"),
        }
        for each in found.assumed
    ]
