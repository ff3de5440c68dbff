"""Who churns, and how the answers move with the churn rule. The names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "ChannelValue": "channels",
    "ChurnProfile": "profile",
    "ChurnStructure": "structure",
    "CohortBursts": "bursts",
    "ProgressiveReward": "rewards",
    "RuleSweep": "sweep",
    "SpellProfile": "profile",
    "channel_value": "channels",
    "churn_profile": "profile",
    "churn_structure": "structure",
    "cohort_bursts": "bursts",
    "rule_sweep": "sweep",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'churnsurv.diagnosis' has no attribute {name!r}")
    value = getattr(import_module(f"churnsurv.diagnosis.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
