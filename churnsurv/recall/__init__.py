"""What a recall campaign really brought back: who returned because of it, what they invested, and for how long."""

from __future__ import annotations

from churnsurv.doors import doors

_HOME: dict[str, str] = {
    "BudgetCurve": "budget",
    "CampaignPower": "power",
    "Escalation": "escalation",
    "Lift": "lift",
    "LiftMonitor": "monitor",
    "TargetingCurve": "targeting",
    "UpliftScores": "uplift_scores",
    "budget_curve": "budget",
    "campaign_lift": "lift",
    "campaign_power": "power",
    "escalation_effect": "escalation",
    "lift_monitor": "monitor",
    "targeting_curve": "targeting",
    "uplift_scores": "uplift_scores",
}

__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
