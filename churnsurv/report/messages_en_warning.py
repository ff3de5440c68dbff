"""The words of the report on thresholds and tiers, in English; a part of the catalogue in `messages_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WARNING"]

WARNING: Mapping[str, str] = MappingProxyType(
    {
        "warning.title": "Thresholds and tiers: when to warn",
        # idle risk
        "idle.silent": "A user silent for {first_days} days churns with probability {first_share} ({first_range}), "
        "{first_left} days before churn{items}.",
        "idle.silent_item": "{days} days: {share} ({range}), {left} days before",
        "idle.all": "Of these {n} gaps between active days, {share} ({range}) end in churn: the base rate, from "
        "which the risk starts on idle day 0.",
        "idle.registration": "The {n} gaps that begin at registration are told apart: {share} ({range}) of them end in "
        "churn.",
        "idle.crossings": "The risk reaches {items}.",
        "idle.crossing": "{risk} on idle day {day} ({range})",
        "idle.crossing_open": "{risk} on idle day {day} (day {low} or later)",
        "idle.crossing_alone": "{risk} on idle day {day}",
        "idle.intervals": "Of the users who come back before churn, half do so within {half} days ({half_range}) and "
        "nine in ten within {most} days ({most_range}).",
        "idle.groups": "By {column}, after {days} silent days: the group {high} has the highest risk, {high_share} "
        "({high_range}), and {low} the lowest, {low_share} ({low_range}).",
        "idle.no_tiers": "No warning tiers are asked for, so no threshold is set here: one exists only against what "
        "alerts are for (a value and a cost, a precision, or a capacity). See [warning.tiers] of the study file.",
        "idle.figure": "Risk of churn by idle day",
        "idle.figure_by": "Risk of churn by idle day and {column}",
        "idle.caption": "At the end of each idle day, the share of users still silent who go on to churn. Points: "
        "where it reaches stated risks.",
        "idle.caption_by": "Gaps that begin at registration are left out, where there are others.",
        "idle.alt": "Probability of churn by idle day. {lines}.",
        "idle.alt_line": "{group}: {shares}",
        "idle.alt_point": "{share} on day {day}",
        "idle.later": "later gaps",
        "idle.since": "since registration",
        "idle.table": "Risk of churn on chosen idle days",
        "idle.day": "Silent for",
        "idle.left": "Days before churn",
        "idle.n": "Gaps still silent",
        "idle.churn": "Churn",
        "idle.hazard": "Back on the next day",
        "idle.n_since": "Still silent since registration",
        "idle.churn_since": "Churn, silent since registration",
        "idle.days_cell": "{day} days",
        "idle.table_note": "A gap runs from an active day to the next one; later gaps are those that do not begin at "
        "registration. Limits hold for each day alone.",
        "idle.crossings_table": "Idle day on which the risk reaches",
        "idle.group": "Users",
        "idle.crossings_note": "Days lie on the curve drawn straight between whole days; limits are the days on which "
        "its interval holds the risk. A dash: the risk starts above it, or does not reach it before churn.",
        "idle.more_rows": "The first {n} of {m} groups; result.json has all.",
        "idle.intervals_table": "Days until users are back, of those who come back before churn",
        "idle.intervals_col": "{share} are back by day",
        "idle.intervals_note": "Gaps that begin at registration are left out.",
        "idle.notes": "To keep in mind about the idle risk",
        "idle.notes_by": "To keep in mind about the idle risk by group",
        # tiers
        "tiers.heading": "Warning tiers",
        "tiers.intro": "A threshold exists only against a purpose. Everyone who churns passes every idle day, so each "
        "rule on idle days alone finds all churns, and a later day buys precision with lead time. The rules below are "
        "the best for what the study says tiers are for; other purposes give other rules. Learnt from {n} gaps of {m} "
        "users, {share} of which ended in churn.",
        "tiers.rule": "Tier {tier} ({objective}): {rule}. It alerts {alerts} times a day and is right in {precision} "
        "({range}) of its alerts, where {base} of all gaps end in churn; on average {lead} days before churn.",
        "tiers.rule_value": "It is worth {value} ({range}) per 1,000 gaps, before the choice among rules is allowed "
        "for.",
        "tiers.empty": "Tier {tier} ({objective}) has no rule: nobody is contacted. The notes below say why, and what "
        "is near.",
        "tiers.less": "If contacts saved less ({saving}), the best rule of tier {tier} would be {rule}; the present "
        "one would then miss {loss} of its value.",
        "tiers.less_same": "If contacts saved less ({saving}), the rule of tier {tier} would stay the best.",
        "tiers.less_nobody": "If contacts saved less ({saving}), contacting nobody would be best for tier {tier}.",
        "tiers.sure": "How sure: in tier {tier}, {n} rules may be the best as far as these data can tell; the earliest "
        "alert of each falls between idle days {first} and {last}.",
        "tiers.sure_one": "How sure: in tier {tier}, the data leave no other rule as good.",
        "tiers.figure": "Who is in which tier",
        "tiers.caption": "Each band is a range of {variable}, as of the end of the day on which the silence began. A "
        "user stands in the highest tier whose rule holds.",
        "tiers.caption_alone": "A user stands in the highest tier whose rule holds.",
        "tiers.alt": "Warning tiers. {rules}.",
        "tiers.alt_rule": "{tier}: {rule}",
        "tiers.table": "The tiers, highest first",
        "tiers.tier": "Tier",
        "tiers.rule_col": "Rule",
        "tiers.alerts_per_day": "Alerts a day",
        "tiers.precision": "Right",
        "tiers.recall": "Churns alerted",
        "tiers.lead_recall": "The same, weighted by lead",
        "tiers.lead_days": "Days before churn",
        "tiers.value": "Value per 1,000 gaps",
        "tiers.note": "First alerts, at most one a gap and tier, in training ({first} to {last}); gaps that a higher "
        "tier has already are left to it. Right beside the base rate: {base} of all gaps end in churn. Lead: days left "
        "of the {days} that make a churn. Limits ({level}) hold for the rule as if fixed beforehand.",
        "tiers.thresholds": "How sure the thresholds are",
        "tiers.part": "Part of the rule",
        "tiers.threshold": "Threshold",
        "tiers.fitted": "Before rounding",
        "tiers.frequency": "Same in resamples",
        "tiers.range": "Range in resamples",
        "tiers.thresholds_note": "Share of {n} resamples of users whose rule has the same threshold before rounding, "
        "and the range over those whose rule has a part of this form.",
        "tiers.may_be": "Rules that may be the best",
        "tiers.form": "Form",
        "tiers.n_rules": "Rules",
        "tiers.best_of": "The best of them",
        "tiers.days": "Earliest alert on idle day",
        "tiers.may_be_note": "At {level}, the best rule of all is among them. For values only.",
        "tiers.sensitivity": "If contacts save more, less, earlier or later",
        "tiers.saving": "Assumed of contacts",
        "tiers.best": "Best rule then",
        "tiers.chosen": "Value of the present rule",
        "tiers.loss": "Missed by it",
        "tiers.sensitivity_note": "What a contact saves is an assumption until a randomised campaign has measured it. "
        "Values are per 1,000 gaps.",
        "tiers.as_stated": "as stated",
        "tiers.notes": "To keep in mind about the tiers",
        # limits
        "warning.limits": "What this cannot tell",
        "warning.limit_effect": "Whether a contact keeps a user: the risk says who is likely to churn, not whom a "
        "contact would keep. That takes contacts given at random.",
        "warning.limit_later": "How the rules will do on later days: their figures come from the days that chose them. "
        "A backtest judges them on days after.",
        "warning.limit_saving": "Values rest on saved_value, contact_cost and saving as stated in the study.",
        "warning.limit_same": "The future is taken to be like the days studied; the notes say whether the risk moved.",
        # summary
        "summary.idle": "A user silent for {days} days churns with probability {share} ({range}), {left} days before "
        "churn.",
        "summary.tier": "The tier {tier} warns at {rule} and is right in {precision} ({range}) of its alerts, {lead} "
        "days before churn on average; {base} of all gaps end in churn.",
        # methods
        "method.idle_risk": "Idle risk: the share of gaps longer than the rule's idle days among those longer than d, "
        "of gaps begun early enough to be known in full; variances are linearised over blocks of users, limits are "
        "symmetric on the logit scale.",
        "method.tiers": "Tiers: the best rule over a grid of thresholds, found exactly, of at most two alternatives "
        "of three conditions; the highest tier first, one alert a gap and tier. Uncertainty is by resampling blocks "
        "of users.",
        # words of the figures
        "plot_idle.title": "Share who churn, with {level} intervals",
        "plot_idle.axis": "Idle days",
        "plot_idle.crossings": "points: {risks}, with intervals",
        "plot_idle.later": "later gaps",
        "plot_idle.registration": "since registration",
        "plot_idle.only_later": "without gaps since registration",
        "plot_idle.many": "{n} groups, most of them in grey",
        "plot_tiers.title": "Warning tier by idle days and {variable}",
        "plot_tiers.title_alone": "Warning tier by idle days",
        "plot_tiers.axis": "Idle days; churn on day {idle_days}",
        "plot_tiers.from": "{tier}, from day {day}",
    }
)
