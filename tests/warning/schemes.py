"""Tier schemes made by hand, with every kind of part, so that tests of what a scheme does need no fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from churnsurv.data import ChurnRule, Feature
from churnsurv.tables import schema
from churnsurv.warning import Capacity, Precision, Saving, TierRule, TierScheme, Value
from churnsurv.warning.rules import Condition, Rule

RECENT = Feature(
    "recent days", agg="days", kind=("login", "invest"), column="product", equals="boosted", last=7, empty=0.5
)
OBJECTIVES = {
    "high": Value(saved_value=100, contact_cost=0.1, saving=Saving.plateau(top=1 / 3)),
    "medium": Precision(target=0.6),
    "low": Capacity(per_day=1 / 7),
}


def rule(*alternatives: str) -> Rule:
    """A rule from text: rule("idle_days > 15 and balance < 100", "idle_days > 20")."""
    made = []
    for text in alternatives:
        parts = [part.rsplit(" ", 2) for part in text.split(" and ")]
        made.append(tuple(Condition(name, sign, float(number)) for name, sign, number in parts))
    return Rule(tuple(made))


def scheme(rules: Mapping[str, Rule], **changed: Any) -> TierScheme:
    """A scheme of these tiers, highest first."""
    n = len(rules)
    figures = {
        "alerts": 7,
        "alerts_per_day": 0.1 + 0.2,
        **dict.fromkeys(("precision", "precision_lower", "precision_upper"), 1 / 3),
        **dict.fromkeys(("recall", "lead_recall", "lead_recall_lower", "lead_recall_upper"), 0.1),
        "lead_days": float("nan"),
        **dict.fromkeys(("value", "value_lower", "value_upper"), np.nextafter(1e-300, 1)),
    }
    kinds = ["value", "precision", "capacity"]
    objectives = [list(OBJECTIVES.values())[i % 3].to_plain() for i in range(n)]
    tiers = [
        TierRule(name, each, plain, each, figures | {"value_optimism": float("inf")})
        for (name, each), plain in zip(rules.items(), objectives, strict=True)
    ]
    variables = dict.fromkeys(v for each in rules.values() for v in each.variables if v != "idle_days")
    table = pd.DataFrame(
        [
            {"tier": tier.name, "rule": str(tier.rule), "objective": kinds[i % 3], **figures}
            for i, tier in enumerate(tiers)
        ],
        columns=list(schema("tier_rules").names),
    )
    facts: dict[str, Any] = {
        "tiers": tuple(tiers),
        "variables": tuple(RECENT if name == RECENT.name else name for name in variables),
        "grids": dict.fromkeys(variables, (1.0, 100.0, 0.1 + 0.2 + 1000)),
        "missing": {},
        "churn_rule": ChurnRule(),
        "window": (date(2024, 1, 1), date(2024, 6, 1)),
        "known_until": date(2024, 7, 1),
        "n_users": 10,
        "n_gaps": 100,
        "n_churned": 20,
        "n_days": 153,
        "data_hash": "ab" * 32,
        "bootstrap": 200,
        "blocks": 10,
        "seed": 3,
        "level": 0.95,
        "version": "0.1.0",
        "notes": ("Fitted to 100 gaps.", "分銷 <b>"),
        "_table": table,
        "_thresholds": _thresholds(tiers),
        "_alternatives": _alternatives([tier.name for tier in tiers]),
        "_sensitivity": pd.DataFrame(columns=list(schema("tier_sensitivity").names)).astype(
            dict.fromkeys(("value", "chosen_value", "loss"), "float64")
        ),
    }
    return TierScheme(**(facts | changed))


def _thresholds(tiers: Sequence[TierRule]) -> pd.DataFrame:
    rows = [
        {
            "tier": tier.name,
            "alternative": place,
            "variable": condition.variable,
            "sign": condition.sign,
            "threshold": condition.threshold,
            "fitted": condition.threshold / 3,
            "frequency": np.nan,
            "form_frequency": 0.7,
            "range_lower": -0.0,
            "range_upper": np.inf,
        }
        for tier in tiers
        for place, conditions in enumerate(tier.rule.alternatives, start=1)
        for condition in conditions
    ]
    return pd.DataFrame(rows, columns=list(schema("tier_thresholds").names))


def _alternatives(names: Sequence[str]) -> pd.DataFrame:
    rows = [(name, "contact nobody", 1, "contact nobody", 0.0, -1 / 3, None, None) for name in names]
    frame = pd.DataFrame(rows, columns=list(schema("tier_confidence_set").names))
    return frame.astype({"first_day": "Int64", "last_day": "Int64"})


HIGH = rule("idle_days > 15 and balance < 100", "idle_days > 20 and balance >= 100 and n_investments < 3")
MEDIUM = rule("idle_days > 10")
THREE = {"high": HIGH, "medium": MEDIUM, "low": rule("idle_days > 5 and balance < 1000")}
