"""Who churns, and how the answers move with the churn rule. The names load on first use."""

from __future__ import annotations

from churnsurv.doors import doors

_HOME = {
    "ChannelValue": "channels",
    "ChurnMonitor": "monitor",
    "ChurnProfile": "profile",
    "ChurnReasons": "reasons",
    "ChurnStructure": "structure",
    "CohortBursts": "bursts",
    "Experience": "experience",
    "ProgressiveReward": "rewards",
    "RuleSweep": "sweep",
    "ShockEffect": "shock",
    "SpellProfile": "profile",
    "channel_value": "channels",
    "churn_monitor": "monitor",
    "churn_profile": "profile",
    "churn_reasons": "reasons",
    "churn_structure": "structure",
    "cohort_bursts": "bursts",
    "experience_hazard": "experience",
    "rule_sweep": "sweep",
    "shock_effect": "shock",
}

__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
