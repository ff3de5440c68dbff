"""Acting on warnings: who is contacted how, what was sent, who came back, and whom to call back."""

from __future__ import annotations

from churnsurv.doors import doors

_HOME = {
    "Arm": "policy",
    "Cap": "policy",
    "Channel": "policy",
    "Ledger": "ledger",
    "Offer": "policy",
    "Plan": "plan",
    "Policy": "policy",
    "Quiet": "policy",
    "Readiness": "readiness",
    "RecallList": "recall_list",
    "Recalled": "recalled",
    "Recorded": "ledger",
    "RewardRule": "rewards",
    "Step": "policy",
    "Strategy": "recall_list",
    "monitor_recalled": "recalled",
    "plan_actions": "plan",
    "readiness": "readiness",
    "recall_list": "recall_list",
}

__all__ = [*_HOME]
__getattr__, __dir__ = doors(__name__, _HOME)
