"""The words of the report, in English. A further language is a second file with the same keys.

Fields stand in braces. Sentences compare groups and never say that one thing brings about another, but for campaigns
whose users were drawn into arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from churnsurv.report.messages_en_alerts import ALERTS
from churnsurv.report.messages_en_pdf import PDF
from churnsurv.report.messages_en_plots import PLOTS
from churnsurv.report.messages_en_recall import RECALL
from churnsurv.report.messages_en_warning import WARNING
from churnsurv.report.messages_en_who import WHO
from churnsurv.report.messages_en_why import WHY

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        **WHO,
        **WHY,
        **WARNING,
        **RECALL,
        **PDF,
        **ALERTS,
        **PLOTS,
        # language
        "months": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "date": "{day} {month} {year}",
        "or": "{first} or {last}",
        "and": " and ",
        "comma": ", ",
        "semicolon": "; ",
        "colon": ": ",
        "joint": " ",
        "bracketed": " ({text})",
        "clauses.and": " and ",
        "clauses.comma": ", ",
        "range": "{low} to {high}",
        "units": "1e6 1e6 2 M; 1e4 1e3 1 k",
        "noun.users": "users",
        "noun.spells": "spells",
        "noun.users.counted": "users",
        "noun.spells.counted": "spells",
        "any_event": "any event",
        "group": "group",
        "group.all": "all {noun}",
        # page
        "page.contents": "Contents",
        "page.summary": "Summary",
        "page.data": "Data of this figure",
        "page.skip": "To the text",
        "page.dark": "Dark",
        "page.figure": "Figure {n}",
        "page.table": "Table {n}",
        "page.values": "Values of the figure; left and right go from point to point, up and down from line to line",
        "page.rows": "All {n} rows",
        "page.fewer": "Fewer rows",
        "page.level": "Ranges in brackets are {level} confidence intervals.",
        "page.made": "Made with churnsurv {version}. The page needs no network; its data are in the files beside it.",
        "subtitle": "{first} to {last} · churn is {days} days without {activity}",
        # tiles
        "tile.users": "{noun} studied",
        "tile.churned": "churned while followed",
        "tile.half": "day by which half have churned",
        "tile.half_not": "fewer than half have churned in {day} days",
        "tile.survival": "still active on day {day}",
        # summary
        "summary.scope": "{n} {noun} were followed up to {last}: {churned} churned, that is, went {days} days "
        "without {activity}, and {censored} had not churned by then.",
        "summary.half": "Half of the {noun} have churned by day {day} ({range}).",
        "summary.half_open": "Half of the {noun} have churned by day {day} (from day {low}; the upper limit lies "
        "beyond the last day followed).",
        "summary.half_not": "Fewer than half of the {noun} have churned by day {day}, the last day followed.",
        "summary.survival": "{share} ({range}) are still active on day {day}.",
        "summary.returned": "{share} ({range}) of the churned users were active again within {day} days of churn.",
        "summary.groups": "By {column}{among}: {low_share} ({low_range}) of {low} {noun} are still active on day "
        "{day}, the lowest share, and {high_share} ({high_range}) of {high} {noun}, the highest (log-rank test p {p}).",
        "summary.groups_untested": "By {column}{among}: {low_share} ({low_range}) of {low} {noun} are still active on "
        "day {day}, the lowest share, and {high_share} ({high_range}) of {high} {noun}, the highest.",
        "summary.groups_alike": "By {column}{among}: the curves differ no more than chance allows (log-rank test p "
        "{p}); the share still active on day {day} lies between {low_share} ({low_range}) and {high_share} "
        "({high_range}).",
        "summary.among": ", groups of at least {n} {noun}",
        "summary.no_interval": "no interval at {share}",
        "summary.ratio": "By {variable}: with the other terms of the model equal, {category} {noun} churn "
        "{ratio} times as fast as {reference} {noun} ({range}).",
        "summary.ratio_numeric": "With the other terms of the model equal, {noun} one unit higher in {term} churn "
        "{ratio} times as fast ({range}).",
        "summary.ratio_none": "In the model no {variable} stands out from {reference} once the number of "
        "comparisons is allowed for.",
        "summary.sweep": "With {low_days} instead of {high_days} idle days as the rule, the share still active on "
        "day {day} is {low_share} ({low_range}) instead of {high_share} ({high_range}).",
        "summary.sweep_same": "No hazard ratio that is clear under the rule of the study points the other way under "
        "another rule.",
        "summary.sweep_turns": "{n} of {m} hazard ratios that are clear under the rule of the study point the other "
        "way under another rule: {terms}.",
        "summary.rejects": "{n} of {m} rows could not be used; each has its reason.",
        "summary.note": "To keep in mind: {note}",
        # what was studied
        "studied.title": "What was studied",
        "studied.rule": "Churn is {days} calendar days in a row without {activity}. The user churns on the last of "
        "these days, never earlier; activity on that very day saves the user. Registration counts as activity.",
        "studied.window": "The log covers {first} to {last}, {n} days.",
        "studied.clock": "Times without a zone are read as {timestamps}; a day ends at midnight in {zone}.",
        "studied.undecided": "{n} {noun} had not churned when the log ended: fewer than {days} days had passed "
        "since their last activity. They count as followed up to that day, neither as churned nor as kept.",
        "studied.excluded": "{n} users registered before the log begins. An earlier churn of theirs may be unseen, "
        "so they are left out.",
        "studied.assumed": "Spells that began before the log are counted from the day they came under observation; "
        "the first of them is taken at its word.",
        "studied.undetermined": "{n} users registered before the log begins, and the log is shorter than the churn "
        "rule: whether they were still active cannot be known.",
        "studied.returns": "Spells after a return are among the rows. One user can have several, and the intervals "
        "allow for that.",
        "studied.first": "Only the first spell of each user is studied; returns after churn are counted apart.",
        "studied.kept_in_mind": "To keep in mind",
        "studied.limits": "What this study cannot know",
        "limit.rule": "Churn is silence in this log: who does nothing that counts ({activity}) for {days} days has "
        "churned, whatever the user may have in mind.",
        "limit.rule_back": "Churn is silence in this log: who does nothing that counts ({activity}) for {days} days "
        "has churned, whatever the user may have in mind. {share} ({range}) of the churned were active again within "
        "{horizon} days.",
        "limit.follow_up": "Nobody was followed for more than {last} days; what comes later is not known. {n} {noun} "
        "were still at risk on day {day}: the further out, the fewer the curves rest on, and the older their "
        "registrations.",
        "limit.short": "Nobody was followed for more than {last} days; what comes later is not known.",
        "limit.late": "Users who registered before {first} are not in these figures; they may churn at another pace.",
        "limit.observed": "Groups are compared as they came about, without lots: a difference between them is an "
        "association, and their users may differ in much that the log does not hold.",
        "limit.times": "The figures describe {first} to {last}. Later users churn alike only if product, market and "
        "channels stay as they were.",
        "counts.title": "From rows to results",
        "counts.what": "What",
        "counts.n": "Number",
        "counts.meaning": "Meaning",
        "count.users_read": "User rows read",
        "count.users": "Users accepted",
        "count.users_rejected": "User rows rejected",
        "count.equal_users_collapsed": "Equal user rows taken as one",
        "count.events_read": "Event rows read",
        "count.events": "Events accepted",
        "count.events_rejected": "Event rows rejected",
        "count.outside_window": "Events outside the window",
        "count.other_kinds": "Events that are no activity",
        "count.equal_events": "Event rows equal to another",
        "count.spells": "Spells studied",
        "count.churned": "Churned",
        "count.censored": "Not churned by the end",
        "count.returned": "Spells after a return",
        "count.left_truncated_excluded": "Registered before the log",
        "count.undetermined": "Cannot be decided",
        "count.not_seen": "Never seen active",
        "count.ended_before_entry": "Ended before entry",
        "count.life_not_observed": "Life not observed",
        "count.no_risk": "Without a day at risk",
        "count.person_days": "Days at risk",
        "count.activity_days": "Days with activity",
        "meaning.users_rejected": "see the reasons below",
        "meaning.events_rejected": "see the reasons below",
        "meaning.outside_window": "before the first or after the last day of the log; not used",
        "meaning.other_kinds": "of the events accepted; they don't reset the churn clock",
        "meaning.equal_events": "kept: the same day is active once",
        "meaning.censored": "followed up to the last day of the log",
        "meaning.left_truncated_excluded": "left out: an earlier churn may be unseen",
        "meaning.undetermined": "left out: the log is shorter than the rule",
        "meaning.not_seen": "left out: registered before the log and without activity in it",
        "meaning.ended_before_entry": "left out of the model: over before the features count",
        "meaning.life_not_observed": "left out: no day of the spell lies in the log",
        "meaning.no_risk": "kept, but they entered on their last day",
        "meaning.person_days": "days on which the users could have churned, all together",
        "rejects.title": "Rows that could not be used",
        "rejects.none": "Every row of the tables could be used.",
        "rejects.table": "Table",
        "rejects.reason": "Reason",
        "rejects.n": "Rows",
        "rejects.example": "An example",
        "reason.missing_user_id": "no user id",
        "reason.unknown_user": "user not in the users table",
        "reason.missing_date": "no date",
        "reason.unparsable_date": "date that cannot be read",
        "reason.missing_kind": "no kind of event",
        "reason.before_registration": "before the user's registration",
        "reason.amount_not_a_number": "amount that is not a number",
        "reason.balance_not_a_number": "balance that is not a number",
        "reason.amount_too_large": "amount too large to be added exactly",
        "reason.balance_too_large": "balance too large to be added exactly",
        "reason.duplicate_user": "further row of a user, not equal to the first",
        "reason.registered_after_window": "registered after the last day of the log",
        "reason.missing_reason": "answer without a reason",
        "check.title": "What the check of the tables found",
        "check.severity": "Kind",
        "check.table": "Table",
        "check.problem": "Problem",
        "check.n": "Rows",
        "check.advice": "What to do",
        "severity.error": "error",
        "severity.warning": "warning",
        "severity.note": "note",
        "problem.equal_rows": "equal rows",
        "problem.kind_never_occurs": "kind never occurs",
        "problem.other_kinds": "other kinds",
        "problem.one_day_log": "one day log",
        "problem.log_shorter_than_rule": "log shorter than rule",
        "problem.outside_window": "outside window",
        "problem.registered_before_window": "registered before window",
        "problem.events_start_late": "events start late",
        "problem.thin_last_day": "thin last day",
        "problem.stray_late_events": "stray late events",
        "problem.empty_days": "empty days",
        "problem.users_without_activity": "users without activity",
        "problem.undecided": "undecided",
        "problem.missing_values": "missing values",
        "problem.constant_attribute": "constant attribute",
        "problem.negative_amount": "negative amount",
        "problem.several_on_one_day": "several on one day",
        "problem.missing_column": "missing column",
        "problem.cannot_be_read": "cannot be read",
        "problem.wrong_type": "wrong type",
        "problem.mismatched_ids": "mismatched ids",
        "problem.no_readable_dates": "no readable dates",
        "problem.name_taken": "name taken",
        "problem.empty_window": "empty window",
        "problem.no_activity": "no activity",
        # curves
        "curves.title_all": "When users churn",
        "curves.title": "Churn by {column}",
        "curves.figure": "Share still active by days since {origin}",
        "curves.origin_users": "registration",
        "curves.origin_spells": "registration or return",
        "curves.caption": "Kaplan-Meier estimate with {level} intervals. A user counts as active until the rule "
        "calls the user churned. Under the axis: {noun} at risk.",
        "curves.caption_until": "Drawn up to day {day}, while at least 1% are at risk; the data file has every day.",
        "curves.alt_group": "{group}: {share} on day {day}",
        "curves.alt": "Curves of the share still active over {until} days. {groups}.",
        "curves.alt_more": "{n} further groups",
        "curves.table": "By the numbers",
        "curves.group": "Group",
        "curves.n": "{noun}",
        "curves.churned": "Churned",
        "curves.ratio": "Churned per expected",
        "curves.ratio_note": "“Churned per expected”: churns for each churn that there would be if all groups "
        "churned alike, at equal time under observation.",
        "curves.half": "Half churned by day",
        "curves.active": "Active on day {day}",
        "curves.not_reached": "not reached",
        "curves.beyond": "from {low}",
        "curves.not_followed": "not followed",
        "curves.note": "“not reached”: more than half are still active on the last day followed. “not followed”: "
        "the group was not followed to that day.",
        "curves.more_rows": "The {n} largest groups; the data file of the figure has all {m}.",
        "test.sentence": "{method}: chi-square {statistic} on {df} df, p {p}. For each churn expected if all groups "
        "churned alike there were between {low} ({low_group}) and {high} ({high_group}).",
        "test.short": "{method}: chi-square {statistic} on {df} df, p {p}.",
        # model
        "cox.title": "Who churns faster: Cox regression",
        "cox.reading": "A hazard ratio of 2 means: on any day, twice the share of those still active churn, at "
        "equal values of the other terms. The ratios compare groups as they are; they don't tell what would happen "
        "to a user in another group.",
        "cox.fit": "The model has {n} {noun} and {events} churns; formula: {formula}; ties: {ties}.",
        "cox.grouped": "whole days as intervals (complementary log-log)",
        "cox.strata": "Baselines are separate for each {strata}.",
        "cox.cluster": "Intervals are robust to several rows of one {cluster}.",
        "cox.no_risk": "{n} rows without a day at risk take no part.",
        "cox.test": "{method}: chi-square {statistic} on {df} df, p {p}.",
        "cox.figure": "Hazard ratios",
        "cox.caption": "Blue: the {level} interval leaves out 1. Grey: it holds 1. Hollow: the reference.",
        "cox.caption_more": "The first {n} of {m} terms; the data file has all.",
        "cox.alt": "Hazard ratios with intervals. {terms}.",
        "cox.alt_term": "{term}: {ratio} ({range})",
        "cox.table": "Table of the model",
        "cox.term": "Term",
        "cox.reference": "Against",
        "cox.ratio": "Hazard ratio",
        "cox.range": "{level} interval",
        "cox.p": "p",
        "cox.known_at": "Known at",
        "known.origin": "origin",
        "known.given": "given",
        "known.date": "date",
        "known.start_date": "start_date",
        "known.day": "day {n}",
        "known.lag": "lag {n}",
        "ties.efron": "Efron",
        "ties.breslow": "Breslow",
        # sweep
        "sweep.title": "How the answers move with the churn rule",
        "sweep.reading": "The same users and the same log under other numbers of idle days. What holds under every "
        "rule does not hang on the choice of {days} days.",
        "sweep.figure": "Each answer under each rule",
        "sweep.caption": "With {level} intervals. Dotted: the rule of the study, {days} days.",
        "sweep.caption_churned": "The share churned in the log is not corrected for how long each user was "
        "followed; the share still active is.",
        "sweep.alt": "{quantity} by idle days. {points}.",
        "sweep.alt_point": "{group}, {days} days: {value}",
        "sweep.table": "All rules side by side",
        "sweep.ratios": "Hazard ratios under each rule",
        "sweep.idle_days": "Idle days",
        "sweep.term": "Term",
        "sweep.column": "{days} days",
        "sweep.chosen": "{days} (this study)",
        "sweep.note": "{what} under {days} days: {note}.",
        "sweep.n_spells": "Users",
        "sweep.churned": "Churned in the log",
        "sweep.survival": "Share still active on day {day}",
        "sweep.median": "Day by which half have churned",
        "sweep.hazard_ratio": "Hazard ratio",
        "sweep.hazard_ratio_of": "Hazard ratio: {variable}",
        "sweep.return_share": "Active again within {day} days of churn",
        # methods
        "method.title": "Method",
        "method.spell": "A spell runs from registration (or return) to churn or to the end of the log. Churn falls "
        "on the day on which the rule is met, so nothing is dated back to the last activity.",
        "method.kaplan_meier": "Shares still active: Kaplan-Meier with Greenwood's variance and {ci} intervals; the "
        "median is the day on which the curve reaches one half, its interval by inverting those limits.",
        "method.kaplan_meier_cluster": "Shares still active: Kaplan-Meier with {ci} intervals; the variance is an "
        "infinitesimal jackknife over {cluster}.",
        "method.logrank": "Groups are compared with the log-rank test, which weighs every day alike.",
        "method.cox": "Hazard ratios: Cox regression, partial likelihood with {ties}'s handling of ties, Wald "
        "intervals. It assumes ratios that stay the same over time; where curves cross, read the ratio as an "
        "average.",
        "method.cox_grouped": "Hazard ratios: proportional hazards on whole days (complementary log-log regression "
        "with a parameter for each day), Wald intervals. It is exact where many churn on one day, as on the first day "
        "on which churn is possible. It assumes ratios that stay the same over time.",
        "method.entry": "Users who come under observation late are at risk only from then on (left truncation).",
        "method.sweep": "For each rule the spells are built anew and everything is estimated again.",
        "method.multiple": "Intervals and p-values stand for one comparison each; with many groups some will look "
        "different by chance alone.",
        "method.page": "The formulas, and how each was checked, stand in {page} of the package.",
        "method.sources": "Sources",
        "method.about": "Method",
        "method.chapter": "Chapter",
        "method.references": "Papers and books",
        "ci.log-log": "log-log",
        "ci.log": "log",
        "ci.plain": "plain",
        "ci.arcsine": "arcsine",
        "source.risk": "Who is at risk, late entry",
        "source.kaplan_meier": "Curves of the share still active",
        "source.logrank": "Comparison of curves",
        "source.cox": "Hazard ratios",
        "source.cox_grouped": "Hazard ratios on whole days",
        "source.who": "Stages and behaviour of the churned",
        "source.bursts": "Bursts of registrations",
        "source.value": "Value of channels",
        "source.reasons": "Reasons, weighted for who answers",
        "source.experience": "Problems and returns",
        "source.monitor": "Watching the returns",
        "source.shocks": "Days around a date",
        "source.idle_risk": "Churn risk by idle days",
        "source.tiers": "Tiers and what contacts are worth",
        "source.backtest": "Tiers on later days",
        "source.lift": "Campaigns whose arms were drawn by lot",
        "source.lift_observed": "Campaigns without lots",
        "source.lift_monitor": "Campaigns looked at every day",
        # reproducibility
        "repro.title": "How to reproduce this",
        "repro.same": "The same tables, configuration and versions give the same bytes. manifest.json has the "
        "SHA-256 of every file of this report.",
        "repro.seed": "Seed: {seed}.",
        "repro.versions": "Versions",
        "repro.package": "Package",
        "repro.version": "Version",
        "repro.inputs": "Input tables",
        "repro.key": "Key",
        "repro.value": "Value",
        "repro.config": "Configuration",
        "repro.other": "Origin",
        # words of the figures
        "plot.survival": "Share still active, with {level} intervals",
        "plot.time": "{unit} since {origin}",
        "plot.at_risk": "At risk",
        "plot.many_ordered": "{n} groups, coloured from first to last",
        "plot.many_grey": "{n} groups, most of them in grey",
        "plot.many_drawn": "{n} groups, {m} of them drawn",
        "plot.named": "named: {names}",
        "plot.first": "first",
        "plot.last": "last",
        "plot.lowest": "lowest and highest on day {day}",
        "plot.hazard_ratio": "Hazard ratio with {level} interval, log scale",
        "plot.slower": "churns slower",
        "plot.faster": "churns faster",
        "plot.reference": "reference",
        "plot.not_estimated": "not estimated",
        "plot.idle_days": "Idle days that count as churn",
    }
)
