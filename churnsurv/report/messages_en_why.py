"""The words of the report on why they leave, in English; a part of the catalogue in `messages_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WHY"]

WHY: Mapping[str, str] = MappingProxyType(
    {
        "why.all_users": "all users",
        "why.other_users": "all users outside the groups with an alarm of their own",
        "why.day": "1 day",
        "why.days": "{n} days",
        "why.touched": "all users but those said to be untouched",
        "why.more_rows": "The first {n} of {m} rows; result.json has all.",
        # reasons
        "reasons.title": "Why they leave: reasons",
        "reasons.known": "Of the {n} churns up to {until}, {known} ({share}) have a reason that the user gave; "
        "{silent} have none.",
        "reasons.all_known": "All {n} churns up to {until} have a reason that the user gave.",
        "reasons.shares": "Weighted for who answers, {items}.",
        "reasons.shares_plain": "Of those who answered, {items}.",
        "reasons.item": "{share} ({range}) left for the reason {reason}",
        "reasons.item_more": "{n} more reasons follow in the table",
        "reasons.item_cut": "{n} more reasons follow in the table, the least frequent ones together",
        "reasons.others": "other reasons ({n})",
        "reasons.cut": "The {n} most frequent of {m} reasons; the others stand together, without limits. result.json "
        "has all.",
        "reasons.cut_figure": "The {n} most frequent of {m} reasons; result.json has all.",
        "reasons.no_weights": "the same: there are no weights",
        "reasons.bounds": "Whoever is silent for whatever reason: between {low} and {high} of these churns have the "
        "reason {reason}.",
        "reasons.groups": "By {column}, the share of the reason {reason} differs most clearly between {high} users, "
        "{high_share} ({high_range}), and {low} users, {low_share} ({low_range}).",
        "reasons.groups_alike": "By {column}, there is no clear difference in the share of the reason {reason}: from "
        "{low_share} ({low_range}) of {low} users to {high_share} ({high_range}) of {high} users.",
        "reasons.answer_category": "Who answers: by {variable}, the odds that a reason is known are {ratio} times "
        "({range}) as high for {category} as for {reference}.",
        "reasons.answer_number": "Who answers: by {term}, the odds that a reason is known are {ratio} times ({range}) "
        "as high.",
        "reasons.answer_none": "Who answers: by {names}, no single term is clear once all {n} are allowed for.",
        "reasons.agreement": "Of {n} churns with several answers, {share} ({range}) of the pairs of answers agree.",
        "reasons.figure": "Shares of reasons",
        "reasons.caption": "Filled: weighted for who answers. Hollow: of those who answered. Grey: what is possible, "
        "whoever is silent.",
        "reasons.caption_plain": "Of those who answered, without weights. Grey: what is possible, whoever is silent.",
        "reasons.alt_plain": "Shares of reasons, of those who answered: {items}.",
        "reasons.alt": "Shares of reasons, weighted for who answers: {items}.",
        "reasons.alt_item": "{reason} {share} ({range})",
        "reasons.alt_share": "{reason} {share}",
        "reasons.unknown": "unknown",
        "reasons.over_time": "Churn by reason over time",
        "reasons.over_time_caption": "Share of the users who have churned by each day, by reason, stacked; grey on "
        "top: churns without a known reason.",
        "reasons.over_time_alt": "Churned by day {day}: {items}.",
        "reasons.table": "Reasons",
        "reasons.reason": "Reason",
        "reasons.n": "Churns that said so",
        "reasons.plain": "Of those who answered",
        "reasons.weighted": "Weighted for who answers",
        "reasons.possible": "Whoever is silent",
        "reasons.table_note": "Limits: {level}. Weighted shares hold if, among users alike in {names}, answering has "
        "nothing to do with the reason; no table can show that. The last column needs no assumption: its lower end is "
        "the share if none of the silent left for the reason, its upper end if all of them did.",
        "reasons.table_note_plain": "Limits: {level}. The last column needs no assumption: its lower end is the share "
        "if none of the silent left for the reason, its upper end if all of them did.",
        "reasons.days": "Share churned by day, by reason",
        "reasons.day": "Day {day}",
        "reasons.days_note": "Churns without a known reason are shared out by the weights; limits: {level}.",
        "reasons.days_note_plain": "Churns without a known reason are shared out like those with one; limits: {level}.",
        "reasons.answers": "Who answers",
        "reasons.term": "Compared",
        "reasons.odds": "Odds of a known reason",
        "reasons.p": "p, adjusted",
        "reasons.answers_note": "Odds ratios of a logistic model of the churns that have a known reason; each "
        "with its own limits ({level}); p-values adjusted for all {n} rows (Holm).",
        "reasons.by": "Weighted shares by {column}",
        "reasons.by_plain": "Shares of those who answered, by {column}",
        "reasons.churns": "Churns",
        "reasons.answered": "With a reason",
        "reasons.by_note": "Limits ({level}) hold each alone.",
        "reasons.against": "{category} against {reference} ({variable})",
        "reasons.notes": "To keep in mind about reasons",
        # problems
        "problems.title": "Why they leave: problems that users met",
        "problems.observed": "Observational: users who met a problem may differ from those who did not in other ways. "
        "Shares and users hold only if they would otherwise have churned like those they are compared with.",
        "problems.first": "What to fix first, by reach and hazard ratio: {kind}. {reach} of the users met it; after a "
        "day with it users churn at {ratio} times ({range}) the hazard, and {share} ({share_range}) of all churn "
        "would not have been without it, about {lost} users a month ({lost_range}).",
        "problems.none": "None of these problems goes with clearly more churn.",
        "problems.each": "The largest shares are those of {items}.",
        "problems.sure": "The chance that no other problem takes a larger share is {top}.",
        "problems.larger": "Estimated larger, yet not clearly above none: {items}.",
        "problems.next": "Then {items}.",
        "problems.next_item": "{kind} with {share} ({range}) of churn",
        "problems.all": "All of these problems together: {share} ({range}) of churn, about {lost} users a month "
        "({lost_range}).",
        "problems.table": "Problems in the order of what they take",
        "problems.kind": "Problem",
        "problems.reach": "Users who met it",
        "problems.gaps": "Active days with it",
        "problems.ratio": "Hazard ratio of churn",
        "problems.share": "Share of churn",
        "problems.lost": "Users a month",
        "problems.top": "Chance of being first",
        "problems.all_kinds": "all together",
        "problems.table_note": "Limits: {level}, each alone. The share is that of churn that would not have been, if "
        "the hazard ratio is that of the problem alone.",
        "problems.ratios": "Hazard ratios by how often and how lately",
        "problems.what": "What",
        "problems.exposed": "Active days with it",
        "problems.p": "p, adjusted",
        "problems.against": "{what} against {reference}",
        "problems.ratios_note": "Hazard of churn per activity. Limits: {level}, each alone; p-values adjusted for all "
        "rows.",
        "problems.figure": "Problems by the churn they take",
        "problems.caption": "Share of churn that would not have been without the problem, if users who met it would "
        "otherwise have churned like those they are compared with.",
        "problems.alt": "Share of churn by problem: {items}.",
        "problems.notes": "To keep in mind about problems",
        "problems.absent": "No estimate of {kind}, {what}: {why}.",
        # monitor
        "monitor.title": "Why they leave: returns watched day by day",
        "monitor.none": "From {first} to {last}, returns were watched in {charts}, and no alarm was raised; {false} "
        "a year would be let pass without any change, over all charts together.",
        "monitor.one": "From {first} to {last}, returns were watched in {charts}: {n} alarm. Without any change, "
        "{false} a year would be let pass, over all charts together.",
        "monitor.some": "From {first} to {last}, returns were watched in {charts}: {n} alarms, {open} of them open on "
        "the last day. Without any change, {false} a year would be let pass, over all charts together.",
        "monitor.chart": "1 chart",
        "monitor.charts": "{n} charts",
        "monitor.false": "1 false alarm",
        "monitor.falses": "{n} false alarms",
        "monitor.open": "An alarm is open: since {begun} (between {low} and {high}), {group} return {ratio} times "
        "({range}) as often as expected; it was raised on {alarm}, and {missing} returns ({missing_range}) are missing "
        "since.",
        "monitor.earlier": "The alarm of {alarm} had been raised before {first} and was still open then.",
        "monitor.earlier_some": "{n} of these alarms had been raised before {first} and were still open then.",
        "monitor.carried": "By {split}, {value} has the largest part of what is missing, {share}.",
        "monitor.closed": "An alarm of {alarm} was over on {ended}: since {begun}, {group} had returned {ratio} times "
        "({range}) as often as expected.",
        "monitor.soon": "A drop of {drop} in the returns of {group} would be noticed within {half} in half of "
        "all cases, and within {most} in nine of ten.",
        "monitor.soon_half": "A drop of {drop} in the returns of {group} would be noticed within {half} in half "
        "of all cases.",
        "monitor.group": "the users of {group}",
        "monitor.figure": "Returns a day: {group}",
        "monitor.caption": "Above: returns and what was expected of the users at risk, as learnt from the days "
        "before. Below: evidence of a drop; where it passes the line there is an alarm.",
        "monitor.caption_without": "Returns are those of all users; the evidence leaves out each group on the days of "
        "an alarm of its own.",
        "monitor.alt": "Returns of {group} by day from {first} to {last}: {observed} in all, {expected} expected; "
        "{alarms}.",
        "monitor.alt_none": "no alarm",
        "monitor.alt_alarm": "alarm of {alarm}",
        "monitor.alarms": "Alarms",
        "monitor.name": "Chart",
        "monitor.raised": "Raised",
        "monitor.ended": "Over",
        "monitor.still": "open",
        "monitor.begun": "Began, most likely",
        "monitor.between": "{day} ({low} to {high})",
        "monitor.ratio": "Returns over expected",
        "monitor.after": "After the alarm",
        "monitor.missing": "Returns missing",
        "monitor.alarms_note": "Limits: {level}. Returns over expected are counted from the day that fits best, "
        "chosen after looking: drops look larger than they are. Those after the alarm nobody chose.",
        "monitor.groups": "Charts",
        "monitor.pooled": "Pooled",
        "monitor.at_risk": "Users at risk",
        "monitor.returns": "Returns a day",
        "monitor.half": "Half found by day",
        "monitor.most": "Nine of ten by day",
        "monitor.groups_note": "The last two columns: days until a drop of {drop} is noticed, as simulated from the "
        "law of these days.",
        "monitor.groups_without": "Users at risk of the chart outside groups with an alarm are those of all groups.",
        "monitor.notes": "To keep in mind about alarms",
        # shocks
        "shocks.title": "Why they leave: returns after dates",
        "shocks.assumed": "What follows belongs to a date only if nothing else was new on the days judged: this is no "
        "experiment.",
        "shocks.effect": "{name}, from {date} on: over {days}, {group} return at {ratio} times ({range}) the "
        "hazard expected from the days before.",
        "shocks.effect_unclear": "{name}, from {date} on: over {days}, {group} return at {ratio} times ({range}) "
        "the hazard expected from the days before, which is no clear difference.",
        "shocks.none": "{name}, from {date} on: too few returns are expected for a ratio.",
        "shocks.lost": "{n} more users ({range}) churn by {until} than would have.",
        "shocks.kept": "{n} fewer users ({range}) churn by {until} than would have.",
        "shocks.lost_unclear": "Users lost by {until}: {n} ({range}), which may be none.",
        "shocks.lost_alone": "Users lost by {until}: {n} ({range}), which may be none, since the ratio is not clear.",
        "shocks.back": "Of the churned users, {n} ({range}) more came back than expected.",
        "shocks.lasted": "It lasted {days} ({range}).",
        "shocks.lasting": "It lasted at least {days}, and may go on after the last day judged.",
        "shocks.at_least": "at least {n}",
        "shocks.placebo": "Of this and {n} dates before on which nothing is known to have happened, {share} are as "
        "far from 1.",
        "shocks.untouched": "Against the users said to be untouched ({groups}), the ratio is {ratio} ({range}).",
        "shocks.figure": "Returns around the date: {name}",
        "shocks.caption": "Dots: hazard of return of each day over that expected. Lines: windows since the date with "
        "limits ({level}). Shade: the same windows on dates before.",
        "shocks.alt": "Hazard of return over that expected around {name}: {items}.",
        "shocks.alt_item": "{window} {ratio} ({range})",
        "shocks.alt_none": "not estimated",
        "shocks.table": "Returns by window",
        "shocks.name": "Date",
        "shocks.group": "Users",
        "shocks.window": "Days since",
        "shocks.expected": "Returns expected",
        "shocks.observed": "Returns",
        "shocks.ratio": "Hazard ratio of return",
        "shocks.p": "p, adjusted",
        "shocks.placebo_p": "p by placebo dates",
        "shocks.all_days": "all days",
        "shocks.lost_table": "Users lost",
        "shocks.until": "By",
        "shocks.missed": "Returns missed",
        "shocks.users_lost": "Users lost",
        "shocks.days": "Days it lasted",
        "shocks.table_note": "Living users only. Limits: {level}, each alone.",
        "shocks.lost_note": "Below 0: returns or users gained. Limits: {level}. Each missed return counts with what "
        "it changes in the chance of churn. Each row alone: where the ratio is not clear, users lost may be none.",
        "shocks.notes": "To keep in mind about dates",
        "reasons.short_tenure": "days",
        "reasons.short_n_investments": "investments",
        "reasons.on_stage": "stage",
        "reasons.on_channel": "channel",
        "reasons.on_tenure": "days from registration to the last activity",
        "reasons.on_n_investments": "number of investments",
        # counts of the log
        "count.feedback_read": "Answers read",
        "count.feedback_rejected": "Answers rejected",
        "count.feedback": "Answers used",
        "reason.missing_reason": "no reason",
        # summary
        "summary.reasons": "Of the {n} churns up to {until}, {known} have a reason that the user gave; weighted for "
        "who answers, {items}, if answering has nothing to do with the reason among users alike in {names}.",
        "summary.reasons_plain": "Of the {n} churns up to {until}, {known} have a reason that the user gave; of "
        "these, {items}.",
        "summary.problems": "Problem to fix first: {kind}, which {reach} of the users met; {share} ({range}) of churn "
        "would not have been without it, if users who met it are otherwise like those they are compared with.",
        "summary.problems_none": "None of the problems in the log ({kinds}) goes with clearly more churn.",
        "summary.alarm": "Alarm: since {begun}, {group} return {ratio} times ({range}) as often as expected.",
        "summary.alarms": "{n} alarms are open; the strongest of a group: since {begun}, {group} return {ratio} times "
        "({range}) as often as expected.",
        "summary.shock": "After {name} ({date}) {group} returned at {ratio} times ({range}) the hazard expected, and "
        "{n} users ({lost_range}) were lost by {until}, if nothing else was new on these days.",
        "summary.shock_kept": "After {name} ({date}) {group} returned at {ratio} times ({range}) the hazard expected, "
        "and {n} users ({lost_range}) were kept by {until}, if nothing else was new on these days.",
        "summary.shock_unclear": "After {name} ({date}) {group} returned at {ratio} times ({range}) the hazard "
        "expected, if nothing else was new on these days; users lost by {until}: {n} ({lost_range}), which may be "
        "none.",
        "summary.shock_none": "After {name} ({date}) returns were no different from those expected by more than "
        "chance allows: {ratio} times ({range}) the hazard.",
        # words of the figures
        "plot_problems.experience": "Share of churn attributable to problems, with {level} intervals (observational)",
        "plot_problems.experience_narrow": "Churn attributable to problems",
        "plot_problems.observational": "with {level} intervals, observational",
        "plot_problems.all_kinds": "all together",
        "plot_problems.reached": "{share} of users",
        "plot_problems.effect": "hazard × {ratio}",
        "plot_reasons.reasons": "Share of the churned, by reason, with {level} intervals",
        "plot_reasons.weighted": "weighted for who answers",
        "plot_reasons.plain": "of those who answered",
        "plot_reasons.bounds": "possible, whoever is silent",
        "plot_over_time.time": "Days since registration",
        "plot_over_time.stacked": "Share churned, by reason",
        "plot_returns.returns": "Users who return a day: {group}",
        "plot_returns.all": "Users who return a day: all users",
        "plot_returns.observed": "observed",
        "plot_returns.expected": "expected, with {level} of ordinary days",
        "plot_returns.alarm": "alarm",
        "plot_returns.begun": "began, most likely",
        "plot_returns.not_judged": "not judged",
        "plot_returns.chart": "Evidence of a drop; at the line it is an alarm",
        "plot_shocks.title": "{name}, {group}",
        "plot_shocks.all": "{name}, all users",
        "plot_shocks.ratio": "Hazard of return over that expected, log scale",
        "plot_shocks.day": "days",
        "plot_shocks.weekend": "weekends",
        "plot_shocks.unused": "days that do not count",
        "plot_shocks.window": "since the date, by window, with {level} limits",
        "plot_shocks.placebo": "same windows on placebo dates, 9 in 10",
    }
)
