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
        "idle.caption_bands": "Bars below: the idle days on which users are in each warning tier; a thin bar: some of "
        "them.",
        "idle.alt": "Probability of churn by idle day. {lines}.",
        "idle.alt_line": "{group}: {shares}",
        "idle.alt_point": "{share} on day {day}",
        "idle.later": "later gaps",
        "idle.line": "{group}, {gaps}",
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
        # value by day
        "worth_day.best": "If everybody still silent were contacted on one and the same idle day, day {day} would be "
        "best, when {churn} of them go on to churn: {value} ({range}) per 1,000 gaps that do not begin at "
        "registration.",
        "worth_day.best_since": "Of gaps that begin at registration, day {day} would be best, when {churn} of those "
        "still silent go on to churn: {value} ({range}) per 1,000 of them.",
        "worth_day.nobody": "If everybody still silent were contacted on one and the same idle day, no day would be "
        "worth its cost.",
        "worth_day.nobody_since": "Of gaps that begin at registration, no single day would be worth its cost.",
        "worth_day.flat": "Days {first} to {last} are worth nearly as much (95% or more of it).",
        "worth_day.flat_one": "No other day is worth nearly as much (95% or more of it).",
        "worth_day.loses": "Before day {first} and after day {last}, contacting everybody loses.",
        "worth_day.loses_first": "Before day {first}, contacting everybody loses.",
        "worth_day.loses_last": "After day {last}, contacting everybody loses.",
        "worth_day.others": "If contacts save more, less, earlier or later than stated ({n} other curves), the best "
        "day lies between {first} and {last}.",
        "worth_day.others_one": "If contacts save more, less, earlier or later than stated ({n} other curves), day "
        "{first} is the best under each of them.",
        "worth_day.others_some": "If contacts save more, less, earlier or later than stated ({n} other curves), the "
        "best day lies between {first} and {last}, and under {m} of the curves nobody should be contacted.",
        "worth_day.others_some_one": "If contacts save more, less, earlier or later than stated ({n} other curves), "
        "nobody should be contacted under {m} of the curves; else the best day is day {first}.",
        "worth_day.others_nobody": "If contacts save more, less, earlier or later than stated, no single day is worth "
        "its cost.",
        "worth_day.figure": "What contacting everybody still silent is worth, by day",
        "worth_day.caption": "One contact a gap, by what the study states ({worth}). At 0 nobody is contacted. Rules "
        "may do better than any one day: they tell users apart.",
        "worth_day.worth": "{tier}, {objective}",
        "worth_day.alt": "Net benefit per 1,000 gaps of contacting everybody still silent on an idle day. {lines}.",
        "worth_day.alt_best": "highest on day {day}, {value}",
        "worth_day.alt_nobody": "below 0 on every day",
        # rules on the risk
        "surface.figure": "The rules on the risk of churn, by idle days and {variable}",
        "surface.caption": "Shades: of the users still silent, the share who go on to churn, by {variable} as of the "
        "end of the day on which the silence began; a band holds its lower end. Lines: from which day on the rules "
        "hold.",
        "surface.alt": "Probability of churn by idle days and {variable}, in a stronger shade where it is higher, "
        "with outlines of the rules. {rules}.",
        # tiers over time
        "timeline.last": "On {date}, of {n} living users, {items}.",
        "timeline.item": "{n} ({share}) are in tier {tier}",
        "timeline.figure": "Users in the tiers over time",
        "timeline.caption": "Each date by what was known at its end, under the present rules, which were fitted to "
        "days up to {date}. A user stays in a tier until churn or return; first alerts are fewer.",
        "timeline.alt": "Users in each warning tier by date. Most of them: {lines}.",
        "timeline.alt_item": "{tier}: {n} on {date}",
        # tiers
        "tiers.heading": "Warning tiers",
        "tiers.intro": "A threshold exists only against a purpose. Everyone who churns passes every idle day, so each "
        "rule on idle days alone finds all churns, and a later day buys precision with lead time. The rules below are "
        "the best for what the study says tiers are for; other purposes give other rules. Learnt from {n} gaps of {m} "
        "users, {share} of which ended in churn.",
        "tiers.rule": "Tier {tier} ({objective}): {rule}. It alerts {alerts} times a day and is right in {precision} "
        "({range}) of its alerts, where {base} of all gaps end in churn; on average {lead} days before churn.",
        "tiers.rule_no_lead": "Tier {tier} ({objective}): {rule}. It alerts {alerts} times a day and is right in "
        "{precision} ({range}) of its alerts, where {base} of all gaps end in churn.",
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
        # what tiers are for
        "objective.value": "value: {value} a user saved, {cost} a contact, saving {saving}",
        "objective.precision": "precision of at least {target} %",
        "objective.capacity": "at most {n} first alerts a day",
        "saving.plateau": "plateau (top {top}, middle {middle}, width {width})",
        "saving.linear": "linear (top {top}, idle_days {idle_days})",
        "saving.table": "table from idle day {first} to {last}",
        # later days
        "backtest.title": "On later days: how the tiers do",
        "backtest.how": "The tiers were fitted {n} times, to what was known at the end of {origins}, and judged on "
        "the gaps that began in the {days} days after each of them: {gaps} gaps, {base} of which ended in churn. No "
        "rule had seen any of these days.",
        "backtest.how_frozen": "The tiers as they stand were judged on the gaps that began in the {days} days after "
        "{origins}: {gaps} gaps, {base} of which ended in churn, all of them on days that the rules had not seen "
        "(judged {n} times).",
        "backtest.tier": "Tier {tier}: on later days it alerts {alerts} times a day, is right in {precision} "
        "({range}) of its first alerts, where {base} of all gaps end in churn, on average {lead} days before churn, "
        "and reaches {recall} of the churns.",
        "backtest.tier_no_lead": "Tier {tier}: on later days it alerts {alerts} times a day, is right in {precision} "
        "({range}) of its first alerts, where {base} of all gaps end in churn, and reaches {recall} of the churns.",
        "backtest.tier_value": "It is worth {value} ({range}) per 1,000 gaps.",
        "backtest.tier_empty": "Tier {tier} contacted nobody on later days.",
        "backtest.worth_more": "Contacts of tier {tier} are worth {value} ({range}) per 1,000 gaps more than {other}.",
        "backtest.worth_less": "Contacts of tier {tier} are worth {value} ({range}) per 1,000 gaps less than {other}.",
        "backtest.worth_alike": "Contacts of tier {tier} cannot be told from {other} in worth: the difference is "
        "{value} ({range}) per 1,000 gaps.",
        "backtest.nobody": "contacting nobody",
        "backtest.everybody": "contacting everybody on the first silent day",
        "backtest.rule_named": "the fixed rule “{rule}”",
        "backtest.capacity": "With room for {n} first alerts a day, the most urgent first, {recall} of the churns are "
        "reached ({lead_recall} weighted by lead) with {alerts} alerts a day.",
        "backtest.accuracy": "Accuracy says little: of user-days, always saying that nobody churns within {horizon} "
        "days is right in {always_no}, the tiers in {fitted}, and the best that can be done with the same knowledge "
        "in {best}.",
        "backtest.accuracy_short": "Within {horizon} days always saying no is right in {always_no} and the tiers in "
        "{fitted}: not skill but arithmetic, as nobody silent for fewer than {safe} days can churn so soon.",
        "backtest.figure_value": "What the tiers are worth on later days",
        "backtest.caption_value": "Each origin is judged on the days after it; the line at 0 is contacting nobody. "
        "What loses at every origin is left out.",
        "backtest.figure_precision": "How often first alerts are right on later days",
        "backtest.caption_precision": "Each origin is judged on the days after it; dashed: the share of all gaps that "
        "end in churn.",
        "backtest.alt": "Each tier and rule at each origin, judged on the {days} days after it. First alerts that were "
        "right, all origins together: {tiers}.",
        "backtest.alt_item": "{tier} {share}",
        "backtest.figure_gains": "What so many first alerts a day catch",
        "backtest.caption_gains": "Users ranked by how likely they churn and how many days are left, by what was "
        "known at the origins. Points: the tiers and rules.",
        "backtest.alt_gains": "Share of churns caught by the most urgent first alerts, against alerts a day.",
        "backtest.alt_gains_half": "Half of them with {n} alerts a day.",
        "backtest.policies": "The tiers and other rules on later days, all origins together",
        "backtest.policy": "Rule",
        "backtest.tier_named": "Fitted, tier {tier}",
        "backtest.any": "Fitted, any tier",
        "backtest.nobody_cell": "Nobody",
        "backtest.everybody_cell": "Everybody on the first silent day",
        "backtest.capacity_cell": "{n} alerts a day",
        "backtest.best_cell": "The most accurate",
        "backtest.policies_note": "First alerts, at most one a gap. {base} of all gaps end in churn: that is how "
        "often an alert is right by chance. Everybody is reached by contacting everybody; the value says at which "
        "cost. Limits ({level}) take users as independent.",
        "backtest.differences": "Net benefit of the tiers against other rules",
        "backtest.tier_col": "Tier",
        "backtest.other_col": "Compared with",
        "backtest.difference": "Difference per 1,000 gaps",
        "backtest.p": "p (Holm)",
        "backtest.differences_note": "On the same gaps, by what the tier states a contact is worth; limits ({level}) "
        "are paired by user. Contacts of a tier include those of higher ones.",
        "backtest.accuracy_table": "Accuracy, beside that of always saying no",
        "backtest.horizon": "Churn within",
        "backtest.within": "{days} days",
        "backtest.base_rate": "Churn",
        "backtest.always_no": "Always no",
        "backtest.accuracy_col": "Accuracy",
        "backtest.foretold_right": "Right where churn is foretold",
        "backtest.found": "Churn foretold",
        "backtest.accuracy_note": "Of user-days of living users. Churn is foretold where a user is in a tier and can "
        "still churn in time. The most accurate rule says yes where more than half of the gaps before had churned.",
        "backtest.rules": "The rules of each origin",
        "backtest.origin_col": "Fitted to days up to",
        "backtest.rule_col": "Rule",
        "backtest.notes": "To keep in mind about the later days",
        # limits
        "warning.limits": "What this cannot tell",
        "warning.limit_effect": "Whether a contact keeps a user: the risk says who is likely to churn, not whom a "
        "contact would keep. That takes contacts given at random.",
        "warning.limit_later": "How the rules will do on later days: their figures come from the days that chose them. "
        "A backtest judges them on days after.",
        "warning.limit_judged": "How the tiers as they stand will do: their figures come from the days that chose "
        "them. The next section judges tiers made in the same way on later days.",
        "warning.limit_saving": "Values rest on saved_value, contact_cost and saving as stated in the study.",
        "warning.limit_same": "The future is taken to be like the days studied; the notes say whether the risk moved.",
        # summary
        "summary.idle": "A user silent for {days} days churns with probability {share} ({range}), {left} days before "
        "churn.",
        "summary.tier": "The tier {tier} warns at {rule} and is right in {precision} ({range}) of its alerts, {lead} "
        "days before churn on average; {base} of all gaps end in churn.",
        "summary.tier_no_lead": "The tier {tier} warns at {rule} and is right in {precision} ({range}) of its alerts; "
        "{base} of all gaps end in churn.",
        "summary.tier_rule": "The tier {tier} warns at {rule}.",
        "summary.backtest": "On later days that the rules had not seen, the tier {tier} was right in {precision} "
        "({range}) of its alerts, where {base} of all gaps ended in churn: {lead} days before churn on average, at "
        "{alerts} alerts a day.",
        "summary.backtest_no_lead": "On later days that the rules had not seen, the tier {tier} was right in "
        "{precision} ({range}) of its alerts, where {base} of all gaps ended in churn, at {alerts} alerts a day.",
        "backtest.summary_more": "Its contacts were worth {value} ({range}) per 1,000 gaps more than {other}.",
        "backtest.summary_less": "Its contacts were worth {value} ({range}) per 1,000 gaps less than {other}.",
        "backtest.summary_alike": "In worth its contacts could not be told from {other}: the difference was {value} "
        "({range}) per 1,000 gaps.",
        # methods
        "method.idle_risk": "Idle risk: the share of gaps longer than the rule's idle days among those longer than d, "
        "of gaps begun early enough to be known in full; variances are linearised over blocks of users, limits are "
        "symmetric on the logit scale.",
        "method.tiers": "Tiers: the best rule over a grid of thresholds, found exactly, of at most two alternatives "
        "of three conditions; the highest tier first, one alert a gap and tier. Uncertainty is by resampling blocks "
        "of users.",
        "method.backtest": "Backtest: tiers are fitted to what was known at each origin and held against the gaps "
        "that begin in the days after it, all followed to their end; differences are paired by user, with Holm's "
        "correction.",
        # words of the figures
        "plot_idle.title": "Share who churn, with {level} intervals",
        "plot_idle.axis": "Idle days",
        "plot_idle.crossings": "points: {risks}, with intervals",
        "plot_idle.later": "later gaps",
        "plot_idle.registration": "since registration",
        "plot_idle.only_later": "without gaps since registration",
        "plot_idle.many": "{n} groups, most of them in grey",
        "plot_idle.bands": "below: warning tiers; a thin bar: some of the users",
        "plot_value_day.title": "Net benefit per 1,000 gaps, {level} intervals",
        "plot_value_day.axis": "Idle day of the contact",
        "plot_value_day.best": "points: the best day",
        "plot_value_day.nobody": "below 0 on every day: contacting nobody is best",
        "plot_value_day.thin": "thin: if contacts save more, less, earlier or later",
        "plot_value_day.cut": "values far below 0 are cut off",
        "plot_value_day.later": "later gaps",
        "plot_value_day.registration": "since registration",
        "plot_value_day.only_later": "without gaps since registration",
        "plot_value_day.many": "{n} groups, most of them in grey",
        "plot_value_day.day": "day {day}",
        "plot_value_day.name": "{name}: day {day}",
        "plot_value_day.name_nobody": "{name}: nobody",
        "plot_surface.title": "Share who churn, by idle days and {variable}",
        "plot_surface.axis": "Idle days",
        "plot_surface.rules": "lines: from here on in the tier or a higher one",
        "plot_surface.some": "dashed: some of the users, by {others}",
        "plot_surface.step": "{low}–{high}%",
        "plot_timeline.n_users": "Users in each warning tier",
        "plot_timeline.share": "Living users in each warning tier",
        "plot_timeline.fitted": "left of the line: days that the tiers were fitted to",
        "plot_backtest.value": "Net benefit per 1,000 gaps, {level} intervals",
        "plot_backtest.precision": "First alerts that were right, {level} intervals",
        "plot_backtest.row_precision": "User-days that were right, {level} intervals",
        "plot_backtest.lead_recall": "Churn alerted, by lead time, {level} intervals",
        "plot_backtest.origin": "Origin; judged on the {days} days after it",
        "plot_backtest.any": "any tier",
        "plot_backtest.base_rate": "all gaps",
        "plot_backtest.gains": "Churn caught by the most urgent first alerts",
        "plot_backtest.alerts": "First alerts a day",
        "plot_backtest.recall": "caught at all",
        "plot_backtest.weighted": "weighted with its lead time",
        "plot_backtest.rules": "Idle days after which a tier warns",
        "plot_backtest.idle_days": "Idle days",
        "plot_backtest.always": "everybody",
        "plot_tiers.title": "Warning tier by idle days and {variable}",
        "plot_tiers.title_alone": "Warning tier by idle days",
        "plot_tiers.axis": "Idle days; churn on day {idle_days}",
        "plot_tiers.from": "{tier}, from day {day}",
    }
)
