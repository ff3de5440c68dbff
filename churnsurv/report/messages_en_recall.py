"""The words of the report on campaigns, in English; a part of the catalogue in `messages_en`.

Campaigns are the one place where a report may say that something was brought about: where users were drawn into arms
and no check is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["RECALL"]

RECALL: Mapping[str, str] = MappingProxyType(
    {
        "recall.title": "What the campaigns brought back",
        "recall.campaign": "Campaign {campaign}",
        "recall.all": "All campaigns together",
        "recall.who": "{n} users were drawn into {arms}, and {m} into {control}, who show what happens without it.",
        "recall.assigned": "All users assigned count, whether a contact reached them or not, and whether they returned "
        "or not: comparing only those who returned would compare users whom the campaign itself has picked. The day "
        "of assignment is day 1.",
        "recall.who_observed": "{n} users had {arms}, and {m} were in {control}. Nobody drew lots: users are weighted "
        "so that those compared are alike in what is known of them, and may differ in what is not. None of the "
        "figures is proof of an effect.",
        "recall.clear": "{arm}: of 1,000 users {difference} ({range}) returned within {days} days because of it: "
        "{value} did, and {control_value} in {control}.",
        "recall.unclear": "{arm}: no effect that can be told from chance: of 1,000 users between {low} and {high} "
        "returned within {days} days because of it.",
        "recall.observed": "{arm}: of 1,000 users {difference} ({range}) returned within {days} days than of alike "
        "users in {control}.",
        "recall.broken": "{arm}: of 1,000 users {difference} ({range}) returned within {days} days than in {control}, "
        "which is not to be taken for an effect of it: a check is broken.",
        "recall.untold": "{arm}: too few users to tell.",
        "recall.more": "{n} more",
        "recall.fewer": "{n} fewer",
        "recall.item": "{arm} {value} ({range})",
        "recall.item_alone": "{arm} {value}",
        "recall.days": "Mean days without return, of {days}, arm less control: {items}.",
        "recall.money": "Net value of re-investments within {days} days{less}, per 1,000 users, arm less control: "
        "{items}.",
        "recall.less_rewards": ", less rewards",
        "recall.less_cost": ", less contacts",
        "recall.less_both": ", less rewards and contacts",
        "recall.stay": "Days alive within {days} days, that is, with fewer than {idle} days since the last activity, "
        "per 1,000 users, arm less control: {items}.",
        "recall.stay_short": "Whether they stayed is not told within {days} days: it takes a horizon of {needed} days, "
        "twice those of the churn rule.",
        "recall.adjusted": "Figures are adjusted for {names}, all known before the assignment; curves are not.",
        "recall.broken_first": "{check}, {where}: {words}",
        "recall.broken_heading": "Not to be read as an experiment",
        # figures and tables
        "recall.curves": "Who returned, by day: {campaign}",
        "recall.curves_caption": "Share of the users assigned who have had an activity by the end of the day "
        "(Kaplan-Meier). Below: users who have not returned and are still followed.",
        "recall.curves_alt": "Share returned by day and arm. On day {day}: {items}.",
        "recall.curves_item": "{arm} {share}",
        "recall.over_time": "How many more returned, by day: {campaign}",
        "recall.over_time_caption": "Arm less {control}, per 1,000 users. An effect that fades turns back to 0: then "
        "the campaign only brought forward what would have happened.",
        "recall.over_time_alt": "Returned by day, arm less control, per 1,000 users. On day {day}: {items}.",
        "recall.forest": "What each arm brought: {campaign}",
        "recall.forest_caption": "Each arm against {control}, on days 1 to {days}. Intervals that leave out no effect "
        "are blue.",
        "recall.forest_observed": "Each arm against alike users in {control}, on days 1 to {days}; no proof of an "
        "effect. Intervals that leave out no difference are blue.",
        "recall.forest_alt": "{outcome}, by arm: {items}.",
        "recall.groups": "Returned, by {column}: {campaign}",
        "recall.groups_caption": "More returned within {days} days per 1,000 users, by group and for all users. An "
        "effect that is clear in one group and not in another is no sign that they differ: the p-value is the test of "
        "that.",
        "recall.groups_alt": "Effect on returns of {arm} by {column}: {items}.",
        "recall.monitor": "The campaign as it ran: {campaign}",
        "recall.monitor_caption": "What could have been said at the end of each day, with limits that hold however "
        "often one looks. Above the line at 1 an arm brings users back.",
        "recall.monitor_alt": "Odds ratio of return by calendar day. {items}.",
        "recall.monitor_lift": "Looked at every day, {arm} could have been called a lift on {day}.",
        "recall.monitor_none": "Looked at every day, {arm} could have been given up on {day}: no lift worth having.",
        "recall.monitor_open": "Looked at every day, {arms} could not have been decided by {day}.",
        "recall.table": "Every outcome: {campaign}",
        "recall.table_note": "Arm less {control}{adjusted}; ratios: arm over {control}. Limits ({level}){together}. "
        "Users to contact for one more return are told only where the limits leave out no effect.",
        "recall.table_adjusted": ", adjusted for what was known before",
        "recall.table_together": " hold for all arms together",
        "recall.outcome": "Outcome",
        "recall.groups_table": "More returned within {days} days per 1,000 users, by {column}: {campaign}",
        "recall.group": "Users",
        "recall.groups_p": "the same in all groups: p",
        "recall.checks": "Checks before the answer",
        "recall.check": "Check",
        "recall.check_campaign": "Campaign",
        "recall.check_arm": "Arm",
        "recall.verdict": "Verdict",
        "recall.found": "What was found",
        "recall.verdict.fine": "fine",
        "recall.verdict.look": "look",
        "recall.verdict.broken": "broken",
        "recall.every_arm": "all",
        "recall.checks_note": "A broken check means that the arms differ in more than the contact, and nothing above "
        "is an effect of it; one to look at need not.",
        "recall.notes": "To keep in mind about the campaigns",
        # summary
        "summary.recall_clear": "{campaign}: of 1,000 users {difference} ({range}) returned within {days} days because "
        "of {arm}, the arm whose effect is surest.",
        "summary.recall_clear_one": "{campaign}: of 1,000 users {difference} ({range}) returned within {days} days "
        "because of {arm}.",
        "summary.recall_none": "{campaign}: no arm brought back more users than chance allows.",
        "summary.recall_observed": "{campaign} (nobody drew lots, so no proof of an effect): of 1,000 users "
        "{difference} ({range}) returned within {days} days with {arm} than of alike users without.",
        "summary.recall_broken": "{campaign} cannot be read as an experiment: the check of {check} is broken, and "
        "differences between arms are no effects.",
        "summary.recall_money": "Per 1,000 users its net value is {value} ({range}).",
        "summary.recall_stay": "Per 1,000 users it brought {value} ({range}) days alive.",
        "method.recall": "Campaigns: users are compared as they were assigned. Shares returned are Kaplan-Meier's; "
        "days and amounts of users not yet followed to the horizon are made up for by weights (Bang and Tsiatis), the "
        "day on which each user's follow-up ends being known.",
        "method.recall_observed": "Campaigns without lots: doubly robust estimates from chances of contact and "
        "regressions of the outcome; anything hidden that moves both would bias them.",
        # words that figures write
        "plot_recall.returned": "Share returned, with {level} intervals",
        "plot_recall.day": "Day since the assignment, which is day 1",
        "plot_recall.first_day": "Day since the first contact, which is day 1",
        "plot_recall.at_risk": "Not returned",
        "plot_recall.difference": "More returned than in the control, per 1,000 users",
        "plot_recall.of_control": "More returned than in “{control}”, per 1,000 users",
        "plot_recall.pointwise": "{level} for each day",
        "plot_recall.band": "{level} for all days together",
        "plot_recall.dotted": "shaded: {level} for each day; dotted: for all days together",
        "plot_recall.many": "{n} lines, most of them in grey",
        "plot_recall.policies": "Share returned under each policy, with {level} intervals",
        "plot_lift.return_probability": "Returned, per 1,000 users",
        "plot_lift.risk_ratio": "Share returned, ratio",
        "plot_lift.users_per_return": "Users to contact for one more return",
        "plot_lift.days_to_return": "Days without return",
        "plot_lift.hazard_ratio": "Hazard of return, ratio",
        "plot_lift.active_days": "Active days, per 1,000 users",
        "plot_lift.reinvested": "Re-invested, per 1,000 users",
        "plot_lift.net_value": "Net value, per 1,000 users",
        "plot_lift.days_live": "Days alive, per 1,000 users",
        "plot_lift.thousands": "{outcome}, in thousands",
        "plot_lift.millions": "{outcome}, in millions",
        "plot_lift.intervals": "{level} intervals",
        "plot_lift.against": "against “{control}”, {level} intervals",
        "plot_lift.and": "{one}; {other}",
        "plot_lift.of_arm": "{arm}: {outcome}",
        "plot_lift.less": "less",
        "plot_lift.more": "more",
        "plot_lift.sooner": "sooner",
        "plot_lift.later": "later",
        "plot_lift.overall": "all users",
        "plot_lift.group": "{arm}, {group}",
        "plot_lift.same": "the same in all groups: p = {p}",
        "plot_lift.same_small": "the same in all groups: p < 0.001",
        "plot_monitor.monitor": "Odds of return on a day, arm against control; {level} limits that hold on all days",
        "plot_monitor.decided": "{day}: {decision}",
        "plot_monitor.open": "no decision yet; e-value {e_value}",
        "plot_monitor.of_arm": "{arm}: {text}",
        "plot_monitor.smallest": "dashed: the smallest lift worth having, {ratio}",
    }
)
