"""Words that figures write, beside the rooms of their sections: English, a part of `messages_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PLOTS"]

PLOTS: Mapping[str, str] = MappingProxyType(
    {
        # every figure
        "plot_any.missing_glyphs": "No installed font has {n} of the characters: they are spelled as U+ "
        "codes. Install a font such as Noto Sans CJK.",
        "plot_any.not_estimated": "not estimated",
        "plot_any.units": "1e6 1e6 2 M; 1e4 1e3 1 k",
        "plot_any.months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "plot_any.bracketed": "{text} ({more})",
        "plot_any.comma": ", ",
        "plot_any.unit.days": "Days",
        "plot_any.band.below": "below {high}",
        "plot_any.band.between": "{low} to below {high}",
        "plot_any.band.above": "{low} and above",
        "plot_any.band.missing": "(missing)",
        "plot_any.band.other": "other",
        "plot_any.mark.all": "all users",
        "plot_any.mark.at": "{where}: {text}",
        "plot_any.mark.at_risk": "{n} at risk",
        "plot_any.mark.day": "day {day}",
        "plot_any.mark.days": "{n} days",
        "plot_any.mark.idle_day": "idle day {day}",
        "plot_any.mark.idle_days": "{day} idle days",
        "plot_any.mark.next": "; ",
        "plot_any.mark.of": "{one}, {other}",
        "plot_any.mark.to": "{low} to {high}",
        "plot_any.mark.users": "{n} users",
        # one kind of figure each
        "plot_structure.of_churned": "{share} of all churned users",
        "plot_structure.of_cell": "{share} churn out of it within {horizon} days",
        "plot_life.users_on": "Users by stage at the end of {date}",
        "plot_profile.below": "at most {cut}",
        "plot_bursts.told": "{n} registrations; expected {expected}",
        "plot_value.judged": "{value} {verdict}",
        "plot_value.told.value": "value of a user: {value}",
        "plot_value.told.days_until_churn": "days until churn: {value}",
        "plot_reasons.reasons_of": "Share of the churned, by reason, with {level} intervals: {group}",
        "plot_over_time.of_group": "Share churned, by reason: {group}",
        "plot_over_time.unknown": "unknown",
        "plot_returns.told": "{n} returned; expected {expected}",
        "plot_returns.evidence": "evidence {score}, alarm at {limit}",
        "plot_shocks.told": "{ratio} of the expected hazard",
        "plot_shocks.span": "{first} to {last}",
        "plot_idle.lane_all": "all users on idle days {days}",
        "plot_idle.lane_some": "some of the users on idle days {days}",
        "plot_idle.reached": "day on which a risk is reached",
        "plot_surface.gaps": "{n} gaps",
        "plot_tiers.on_days": "idle days {days}",
        "plot_value_day.per_gaps": "{value} per 1,000 gaps",
        "plot_value_day.best_day": "the best day",
        "plot_value_day.saving.top": "highest share saved {value}",
        "plot_value_day.saving.middle": "half of it saved on idle day {value}",
        "plot_value_day.saving.idle_days": "day {value}",
        "plot_value_day.saving.s times": "share saved times {value}",
        "plot_value_day.saving.lower limits": "lower limits of the share saved",
        "plot_value_day.saving.upper limits": "upper limits of the share saved",
        "plot_backtest.and": " and ",
        "plot_backtest.per_gaps": "{value} per 1,000 gaps",
        "plot_backtest.a_day": "{n} alerts a day",
        "plot_backtest.caught": "{share} of the churn",
        "plot_backtest.policy.everybody": "everybody",
        "plot_backtest.policy.per_day": "{n} alerts a day",
        "plot_recall.per_users": "{value} per 1,000 users",
        "plot_recall.all_days": "all days together {range}",
        "plot_lift.scales": "1e6 1e6 millions; 1e4 1e3 thousands",
        "plot_lift.told.thousands": "{value} thousand",
        "plot_lift.told.millions": "{value} million",
        "plot_monitor.e_value": "e-value {e_value}",
        "plot_monitor.told": "odds ratio {value}",
        "plot_monitor.decision.lift": "lift",
        "plot_monitor.decision.no lift worth having": "no lift worth having",
        "plot_monitor.decision.go on": "go on",
    }
)
