"""The words of the report on today's alerts, in English; a part of the catalogue in `messages_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALERTS"]

ALERTS: Mapping[str, str] = MappingProxyType(
    {
        "alerts.title": "Today's alerts: {date}",
        "alerts.how_many": "At the end of {date}, {n} of {living} users who have not churned ({share}) are in a "
        "warning tier: {tiers}.",
        "alerts.in_tier": "{n} in {tier}",
        "alerts.nobody": "At the end of {date}, none of {living} users who have not churned is in a warning tier.",
        "alerts.changes": "Against the day before: {items}.",
        "alerts.new": "{n} are new",
        "alerts.upgraded": "{n} are in a higher tier",
        "alerts.lowered": "{n} are in a lower tier",
        "alerts.continued": "{n} are in the tier that they were in",
        "alerts.resolved": "{n} left their tier: {items}.",
        "alerts.resolved_by_activity": "{n} are active again",
        "alerts.resolved_by_churn": "{n} have churned",
        "alerts.resolved_by_state": "{n} are no longer what a rule asks for",
        "alerts.expected": "If they go on as such users did before, about {n} ({range}) of {of} churn.",
        "alerts.list": "No user is named here. Whom to contact stands in the list that the daily run writes "
        "(churnsurv score).",
        "alerts.table": "Users in each warning tier",
        "alerts.tier": "Tier",
        "alerts.n": "Users",
        "alerts.fresh": "New today",
        "alerts.idle": "Idle days, median",
        "alerts.left": "Days left, median",
        "alerts.risk": "Share expected to churn",
        "alerts.table_note": "Days left: until they count as churned if they stay silent. Share expected to churn: the "
        "mean of the users' risks, in brackets between the means of their lower and upper {level} limits.",
        "alerts.reasons": "What brings them into a tier",
        "alerts.fired": "What holds",
        "alerts.more_rows": "The {n} most frequent of {m}.",
        "alerts.notes": "To keep in mind about the alerts",
    }
)
