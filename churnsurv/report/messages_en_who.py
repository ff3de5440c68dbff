"""The words of the report on who churns, in English; a part of the catalogue in `messages_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WHO"]

WHO: Mapping[str, str] = MappingProxyType(
    {
        # groups put together, and users without a value
        "together.other": "other",
        "together.(missing)": "(missing)",
        "together.(none)": "(none)",
        "together.(small)": "(small)",
        "together.(small untouched)": "(small untouched)",
        "together.(untouched)": "(untouched)",
        "together.other bursts": "other bursts",
        "column.stage": "stage",
        "column.channel": "channel",
        "column.cohort": "cohort",
        # who churns: stages and channels
        "who.title": "Who churns: stages and channels",
        "who.stages": "Of the {n} users whose first spell ended in churn, {items}.",
        "who.stages_item": "{share} ({range}) left in the stage {stage}",
        "who.worst": "In the stage {stage}, {channel} users churn most: {share} ({range}) churn out of it within "
        "{day} days of reaching it; next are {next} users with {next_share} ({next_range}).",
        "who.worst_alike": "In the stage {stage}, {channel} users churn most, {share} ({range}) within {day} days of "
        "reaching it, but {next} users with {next_share} ({next_range}) are hardly apart from them.",
        "who.extremes": "By {column}, {high_share} ({high_range}) of {high} users churn within {day} days of "
        "registration, the highest share, and {low_share} ({low_range}) of {low} users, the lowest.",
        "who.month": "{share} ({range}) of the churned users registered in {month}, more than in any other month; of "
        "all users {all} did.",
        "who.map": "Where churn sits",
        "who.map_caption": "Each band is a lifecycle stage, each cell a channel in it. A large cell in a weak shade "
        "has many churned users since it has many users; a small one in a strong shade has few users, most of whom "
        "churn.",
        "who.map_alt": "Shares of all churned users by stage and channel. {cells}.",
        "who.alt_cell": "{stage}, {channel}: {share}",
        "who.table_stage": "By lifecycle stage",
        "who.table_channel": "By channel",
        "who.table_cohort": "By month of registration",
        "who.table_other": "By {column}",
        "who.of_stage": "Stage",
        "who.of_channel": "Channel",
        "who.of_cohort": "Registered in",
        "who.stage": "Stage",
        "who.channel": "Channel",
        "who.users": "Users",
        "who.churned": "Churned",
        "who.share": "Share of all churned",
        "who.by_day": "Churned within {day} days",
        "who.rank": "Rank in the stage",
        "who.more_rows": "The {n} rows with the most churned users; result.json has all {m}.",
        "who.stage_note": "Users of a stage are those who were ever in it during their first spell, and their days "
        "count from the one on which they reached it; moving to another stage is the other way out of it. Limits of "
        "the shares hold for all rows together.",
        "who.group_note": "Churn within so many days of registration is 1 less Kaplan and Meier's estimate: users too "
        "young for a column count as long as they were followed. Limits of the shares hold for all rows together.",
        "who.cross": "Stage by channel",
        "who.cross_note": "Rank 1 churns most within the stage. A small cell has no estimate.",
        "who.notes": "To keep in mind about stages and channels",
        "life.sentence": "On {date}, with those who came back counted as active again, {churned} of {n} users are "
        "churned: {items}.",
        "life.item": "{n} in the stage {stage} ({share} of them)",
        "life.figure": "Users by stage at the end of {date}",
        "life.caption": "Stages by {by} over the whole life of a user: {starts}. Churned users stand in the stage they "
        "left in.",
        "life.start": "{stage} from {start}",
        "life.alt": "Living and churned users by stage. {stages}.",
        "life.alt_stage": "{stage}: {living} living, {churned} churned",
        "life.moves": "From stage to stage",
        "life.moves_note": "All moves up to that day, returns after churn among them; a return goes to the stage of "
        "the user's counts so far.",
        "life.from": "From",
        "life.to": "To",
        "life.times": "Moves",
        "life.users": "Users",
        "life.registered": "(registration)",
        "life.churned": "(churned)",
        # who churns: behaviour
        "profile.title": "Who churns: what users did in their first {window} days",
        "profile.spell_title": "Who churns: what users did in their first spell",
        "profile.intro": "Compared are {n} users still active on day {alive}, on what was known of them at the end of "
        "day {window}. {churned} of them churned by day {horizon}.",
        "profile.cut": "{said}: {churned} ({churned_range}) of the churned and {retained} ({retained_range}) of the "
        "retained. Such users churned {ratio} times as often as the others ({range}).",
        "profile.none": "Nothing that users did in these days tells the churned from the retained clearly, once the "
        "number of comparisons is allowed for.",
        "profile.figure": "First {window} days: those churned by day {horizon} beside those retained",
        "profile.caption": "At each cut, the share of the churned and of the retained at or below it, with {level} "
        "intervals. Where the curves part, the churned differ. Dotted: the cut at which they differ most clearly.",
        "profile.alt": "{variable}, share at or below each cut. {cuts}.",
        "profile.alt_cut": "{cut}: churned {churned}, retained {retained}",
        "profile.cuts": "The clearest cut of each, first {window} days, churned by day {horizon}",
        "profile.said": "What users did",
        "profile.of_churned": "Of the churned",
        "profile.of_retained": "Of the retained",
        "profile.of_living": "Of the living",
        "profile.inside": "Churned of such users",
        "profile.outside": "Churned of the others",
        "profile.ratio": "Risk ratio",
        "profile.p": "p",
        "profile.cuts_note": "Limits of the risk ratios hold for all cuts together, those of the shares each alone; p "
        "is corrected for the search over cuts and for the number of variables ({adjust}).",
        "profile.cuts_note_alone": "All limits hold each alone; p is corrected for the search over cuts and for the "
        "number of variables ({adjust}).",
        "profile.spell": "Descriptive, over whole first spells of {n} churned users and {m} still living, by what they "
        "had done up to their last active day: {items}. A longer spell leaves more time for everything, so this does "
        "not tell who is about to churn.",
        "profile.spell_group": "Descriptive, over whole first spells of {n} churned users and {m} still living, by "
        "what they had done up to their last active day; of {group}: {items}. A longer spell leaves more time for "
        "everything, so this does not tell who is about to churn.",
        "profile.spell_item": "{said} in {churned} ({churned_range}) of the churned and {retained} ({retained_range}) "
        "of the living",
        "profile.spell_table": "Descriptive: whole first spells, churned beside living users",
        "profile.spell_note": "No tests and no ratios: users who stayed longer had more time. Limits hold each alone.",
        "profile.notes": "To keep in mind about the first days",
        "profile.spell_notes": "To keep in mind about whole spells",
        "one.title": "Churned and retained users side by side, first {window} days",
        "one.what": "What users did",
        "one.churned": "Churned",
        "one.retained": "Retained",
        "one.difference": "Standardised difference",
        "one.users": "Users",
        "one.mean": "{variable}: mean (standard deviation)",
        "one.median": "{variable}: median (quartiles)",
        "one.yes": "{variable}: share",
        "one.missing": "{variable}: share without a value",
        "one.note": "Standardised difference: churned less retained, in standard deviations; 0.1 is small, 0.5 is "
        "plain to see. Limits hold each alone.",
        "variable.n_investments": "Number of investments",
        "variable.total_amount": "Amount invested in total",
        "variable.max_amount": "Highest amount invested at once",
        "variable.ever_boosted": "Ever a boosted product",
        "variable.boosted_share": "Boosted share of investments",
        "variable.login_interval": "Days between active days",
        "variable.balance": "Balance",
        "said.n_investments.below": "at most {cut} investments",
        "said.n_investments.above": "more than {cut} investments",
        "said.n_investments.below.0": "no investment",
        "said.n_investments.above.0": "at least 1 investment",
        "said.n_investments.below.1": "at most 1 investment",
        "said.n_investments.above.1": "more than 1 investment",
        "said.total_amount.below": "at most {cut} invested in total",
        "said.total_amount.above": "more than {cut} invested in total",
        "said.max_amount.below": "never more than {cut} invested at once",
        "said.max_amount.above": "more than {cut} invested at once",
        "said.max_amount.below.0": "nothing invested",
        "said.max_amount.above.0": "something invested",
        "said.ever_boosted.below": "never a boosted product",
        "said.ever_boosted.above": "a boosted product at least once",
        "said.boosted_share.below": "at most {cut} of the investments boosted",
        "said.boosted_share.above": "more than {cut} of the investments boosted",
        "said.boosted_share.below.0": "investments, but none boosted",
        "said.boosted_share.above.0": "at least one boosted investment",
        "said.login_interval.below": "at most {cut} days from one active day to the next",
        "said.login_interval.above": "more than {cut} days from one active day to the next",
        "said.balance.below": "a balance of at most {cut}",
        "said.balance.above": "a balance above {cut}",
        "said.other.below": "{variable} at most {cut}",
        "said.other.above": "{variable} above {cut}",
        "adjust.holm": "Holm",
        "adjust.bonferroni": "Bonferroni",
        "adjust.hommel": "Hommel",
        "adjust.fdr_bh": "Benjamini and Hochberg",
        "adjust.fdr_by": "Benjamini and Yekutieli",
        "adjust.none": "not for the latter",
        # bursts of registrations
        "bursts.title": "When users registered: bursts",
        "bursts.some": "Registrations are concentrated: {bursts} bursts on {days} of {all} days hold {n} of {users} "
        "registrations, where weekday and season lead one to expect {expected}.",
        "bursts.one": "Registrations are concentrated: {bursts} burst on {days} of {all} days holds {n} of {users} "
        "registrations, where weekday and season lead one to expect {expected}.",
        "bursts.none": "No day or week stands out: the {n} registrations of {days} days follow weekday and season "
        "within chance.",
        "bursts.each": "{days}: {n} registrations where {expected} are expected, {excess} more ({range}).",
        "bursts.each_named": "{days}, at the time of {event}: {n} registrations where {expected} are expected, "
        "{excess} more ({range}).",
        "bursts.span": "{first} to {last}",
        "bursts.hazard": "Users registered in bursts churn {ratio} times as fast as the others ({range}).",
        "bursts.hazard_unclear": "Users registered in bursts churn {ratio} times as fast as the others ({range}), "
        "which is no clear difference.",
        "bursts.adjusted": "They are compared at equal {by}; this is an association.",
        "bursts.figure": "Registrations by day",
        "bursts.caption": "Line: registrations expected by weekday and season. Band: what {level} of days without a "
        "burst stay within.",
        "bursts.alt": "Registrations by day from {first} to {last}. {bursts}.",
        "bursts.alt_burst": "{days}: {n}",
        "bursts.alt_none": "No bursts",
        "bursts.table": "Bursts of registrations",
        "bursts.days": "Days",
        "bursts.event": "In the calendar",
        "bursts.registrations": "Registrations",
        "bursts.expected": "Expected",
        "bursts.excess": "More than expected",
        "bursts.times": "Times expected",
        "bursts.p": "p",
        "bursts.ratio": "Hazard ratio of its users",
        "bursts.ratio_note": "Hazard ratio: against all users registered outside bursts; an association.",
        "bursts.more_rows": "The {n} largest of {m} bursts; result.json has all.",
        "bursts.groups": "Who came in the bursts",
        "bursts.outside": "Share outside bursts",
        "bursts.groups_note": "Shares of all users registered in those days; limits hold each alone.",
        "bursts.notes": "To keep in mind about bursts",
        # value of channels
        "value.title": "What channels are worth",
        "value.reading": "The value of a user is what the user brings from registration to day {day}, returns after "
        "churn included, less what the user cost.",
        "value.days_only": "Without a margin there is no value: channels are compared on the first {day} days of "
        "their users.",
        "value.keep": "Keep {items}: the value of a user is clearly above {keep}.",
        "value.watch": "Watch {items}: whether the value of a user is above {keep} is not clear.",
        "value.drop": "Drop {items}: the value of a user is clearly below {keep}.",
        "value.unknown": "No verdict on {items}: the value is not known.",
        "value.short_keep": "keep ",
        "value.short_watch": "watch ",
        "value.short_drop": "drop ",
        "value.item": "{channel} with {value} ({range})",
        "value.item_alone": "{channel} with {value}",
        "value.more": "{n} more",
        "value.figure": "Value of a user within {day} days",
        "value.figure_days": "Days until churn, at most {day}",
        "value.caption": "Upright line: {keep}, the value from which on a channel is kept.",
        "value.alt": "{title}. {channels}.",
        "value.alt_channel": "{channel}: {value}",
        "value.table": "Channels side by side",
        "value.users": "Users",
        "value.cost_per_user": "Cost",
        "value.conversion": "First investment by day {day}",
        "value.days_until_churn": "Days until churn",
        "value.active_days": "Active days",
        "value.margin": "Margin",
        "value.value": "Value",
        "value.verdict": "Verdict",
        "value.verdict_sure": "{verdict} ({sure})",
        "value.sure": "In brackets beside the verdict: the chance that the value of a user exceeds {keep}.",
        "value.note": "Of the first {day} days. Limits ({level}) hold each alone; the verdicts hold for all channels "
        "together. A single login counts as active for the days of the churn rule in the days until churn, and as one "
        "active day.",
        "value.notes": "To keep in mind about the value of channels",
        "summary.stage": "Of the {n} users whose first spell ended in churn, {share} ({range}) left while in the stage "
        "{stage}, more than in any other.",
        "summary.stage_channel": "In that stage {channel} users churn most: {share} ({range}) within {day} days of "
        "reaching it.",
        "summary.group": "Of the {n} users whose first spell ended in churn, {share} ({range}) are {group} by "
        "{column}, the largest group.",
        "summary.profile": "After their first {window} days: {said} in {churned} ({churned_range}) of the users who "
        "churned by day {horizon}, and in {retained} ({retained_range}) of those retained; such users churned {ratio} "
        "times as often as the others ({range}).",
        "summary.value": "Value of a user within {day} days, by channel: {items}.",
        # words of the figures
        "plot_structure.area": "Area: share of all churned users",
        "plot_structure.shade": "Shade: churned out of the stage within {horizon} days",
        "plot_structure.no_shade": "no estimate",
        "plot_life.users": "Number of users",
        "plot_life.living": "living",
        "plot_life.churned": "churned",
        "plot_profile.churned": "churned",
        "plot_profile.retained": "retained",
        "plot_profile.at_most": "share of users at or below, with intervals",
        "plot_profile.suggested": "cut {cut}: {churned} of churned, {retained} of retained",
        "plot_bursts.registrations": "Registrations a day",
        "plot_bursts.usual": "other days",
        "plot_bursts.burst": "bursts",
        "plot_bursts.expected": "expected; band: {level} of other days",
        "plot_bursts.unnamed": "{n} more bursts without a name here",
        "plot_value.value": "Value of a user, with {level} intervals",
        "plot_value.days_until_churn": "Days until churn, with {level} intervals",
        "plot_value.keep": "keep",
        "plot_value.watch": "watch",
        "plot_value.drop": "drop",
        "plot_value.unknown": "no verdict",
        "plot_value.not_known": "not known",
    }
)
