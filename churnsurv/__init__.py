"""Survival analysis for customer churn, from raw activity logs to a report.

The public names below load on first use, so that ``import churnsurv`` stays light.
"""

from __future__ import annotations

from churnsurv.doors import doors

_HOME = {
    "ActivityLog": "data",
    "Capacity": "warning",
    "ChurnRule": "data",
    "ChurnsurvError": "errors",
    "ChurnsurvWarning": "errors",
    "Condition": "warning",
    "ConvergenceError": "errors",
    "CoxFit": "survival",
    "DataNotReadyError": "errors",
    "Feature": "data",
    "FollowUpError": "errors",
    "InputError": "errors",
    "Precision": "warning",
    "ProgressiveReward": "diagnosis",
    "Rule": "warning",
    "Saving": "warning",
    "SchemaError": "errors",
    "Spells": "data",
    "Stages": "data",
    "Study": "study",
    "SurvivalCurves": "survival",
    "TierScheme": "warning",
    "Value": "warning",
    "backtest": "warning",
    "brier_score": "survival",
    "budget_curve": "recall",
    "calibration": "survival",
    "campaign_lift": "recall",
    "campaign_power": "recall",
    "change_points": "warning",
    "channel_value": "diagnosis",
    "churn_profile": "diagnosis",
    "churn_structure": "diagnosis",
    "cohort_bursts": "diagnosis",
    "compare_concordance": "survival",
    "concordance": "survival",
    "connect": "data",
    "cox": "survival",
    "cox_path": "survival",
    "cumulative_incidence": "survival",
    "cutpoint": "warning",
    "decision_curve": "survival",
    "escalation_effect": "recall",
    "fine_gray": "survival",
    "fit_tiers": "warning",
    "gray_test": "survival",
    "idle_risk": "warning",
    "incidence_totals": "survival",
    "kaplan_meier": "survival",
    "lift_monitor": "recall",
    "load": "tables.saved",
    "logrank": "survival",
    "mean_cumulative_churns": "survival",
    "pairwise_logrank": "survival",
    "ph_test": "survival",
    "rmst": "survival",
    "rmst_difference": "survival",
    "rule_sweep": "diagnosis",
    "schema": "tables",
    "simulate_app": "simulation",
    "targeting_curve": "recall",
    "tier_timeline": "warning",
    "time_dependent_auc": "survival",
    "uplift_scores": "recall",
}

__version__ = "0.1.0"
__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
