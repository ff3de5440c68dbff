"""Who churns, and how the answers move with the churn rule."""

from __future__ import annotations

from churnsurv.diagnosis.rule_sweep import RuleSweep, rule_sweep

__all__ = ["RuleSweep", "rule_sweep"]
