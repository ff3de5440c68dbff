"""Thresholds and tiers: how likely a silent user churns, when to warn, and how sure that is."""

from __future__ import annotations

from churnsurv.doors import doors

_HOME = {
    "Alerts": "alerts",
    "Backtest": "backtest",
    "Capacity": "objectives",
    "ChangePoints": "change_points",
    "Condition": "rules",
    "Cutpoint": "cutpoint",
    "Explanation": "explaining",
    "GapScore": "scores",
    "GivenScore": "given_score",
    "IdleRisk": "idle_risk",
    "Precision": "objectives",
    "Rule": "rules",
    "Saving": "objectives",
    "TierAssignment": "assign",
    "TierRule": "scheme",
    "TierScheme": "scheme",
    "Value": "objectives",
    "alerts": "alerts",
    "backtest": "backtest",
    "change_points": "change_points",
    "cutpoint": "cutpoint",
    "fit_tiers": "fitting",
    "idle_risk": "idle_risk",
    "tier_timeline": "timeline",
}

__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
