"""The words of the operators' page, in English."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["REASONS", "WORDS"]

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "title": "Churn warning for {work}, data of {day}",
        "subtitle": "As known at the end of {day}. {rule}.",
        "subtitle.plan": "Contacts go out on {day}{window}, campaign {campaign}.",
        "window": ", {start} to {end} local time",
        "dry": "Dry run: nothing of this plan was recorded, and nothing of it is to be sent.",
        "look": "The data of the day are there, but not ordinary:",
        "nav": "Contents",
        # the churn monitor
        "monitor.title": "Fewer users return than expected",
        "monitor.alarm": "{group}, since {begun} ({lower} to {upper}): about {missing} returns missing ({limits}). "
        "{ratio} ({range}) of those expected came.",
        "monitor.carried": "Missing by {split}: {parts}.",
        "monitor.part": "{value} {missing} ({share})",
        "monitor.group": "{by} {group}",
        "monitor.pooled": "{by} {names} together",
        "monitor.more": "{names} and {n} more",
        "monitor.all": "All users together",
        "monitor.others": "All other groups together",
        "monitor.note": "Expected are as many as came back of users who were silent for as long before. Brackets hold "
        "{level} limits. This does not tell why. False alarms in a year without any change, over all groups: {n}.",
        "monitor.none": "Returns: no alarm in {charts}.",
        "monitor.unjudged": "Returns of this day are not judged: the calendar has it as a holiday of a kind that the "
        "days learnt from lack.",
        "monitor.before": "No alarm is open from the days before, in {charts}.",
        "monitor.charts": "{n} charts",
        "monitor.chart": "1 chart",
        "monitor.reason": "Returns are not watched. {reason}",
        "monitor.unjudged_days": "Not judged, as holidays of a kind that the days learnt from lack: {days}.",
        "monitor.partly": "Not judged in some charts, for holidays of a kind that their days learnt from lack: {days}.",
        "monitor.left_out": "Not loaded in full, and not judged: {days}.",
        # tiles
        "tile.in_tier": "users in a warning tier",
        "tile.new": "of them new since the day before",
        "tile.contact": "to contact on {day}",
        "tile.value": "value at risk",
        "tile.resolved": "alerts over since the day before",
        # what to do
        "todo.title": "The plan in numbers",
        "todo.none": "Nobody is to be contacted.",
        "todo.no_plan": "No policy is set: here are the alerts alone.",
        "todo.table": "Contacts by channel and offer",
        "todo.channel": "Channel",
        "todo.offer": "Offer",
        "todo.n": "Contacts",
        "todo.escalated": "Escalated",
        "todo.cost": "Cost",
        "todo.promised": "Newly promised",
        "todo.break_even": "Break-even",
        "todo.all": "all",
        "todo.no_offer": "no offer",
        "todo.note": "Newly promised: rewards, if all of them are released.",
        "others.table": "Everybody else",
        "others.action": "Action",
        "others.reason": "Why",
        "others.n": "Users",
        "others.note": "Users who are held out are not contacted on purpose: without them nobody can tell what the "
        "contacts bring back. Please do not call them either.",
        # contacts
        "contacts.title": "Today's contacts",
        "contacts.all": "All {m} contacts, most urgent first.",
        "contacts.shown": "The {n} most urgent of {m} contacts; contacts.csv has all of them.",
        "contacts.escalated": "escalated",
        "contacts.under": "Escalated: a step further in the sequence, since nobody answered the contact before, or the "
        "first step of a higher tier. A program that sends takes contacts.parquet.",
        # alerts
        "alerts.title": "Alerts",
        "alerts.none": "Nobody is in a warning tier.",
        "alerts.shown": "The {n} most urgent of {m} alerts; alerts.csv has all of them.",
        "alerts.all": "All {m} alerts.",
        "alerts.order": "Most urgent first.",
        "alerts.order_plan": "Most urgent first; those for whom there is nothing more to send stand last.",
        "alerts.sort": "A heading sorts by its column; once more turns the order round.",
        "alerts.under": "Weighs most: what moves this user's risk furthest from that of users who are not silent, or "
        "of all who are silent for as long.",
        "alerts.rank": "No.",
        "alerts.user": "User",
        "alerts.tier": "Tier",
        "alerts.status": "Status",
        "alerts.idle": "Silent for",
        "alerts.left": "Churns in",
        "alerts.risk": "Risk of churn",
        "alerts.fired": "Why",
        "alerts.value": "Value at risk",
        "alerts.what": "What happens",
        "alerts.channel": "By",
        "alerts.offer": "Offer",
        "alerts.message": "Message",
        "alerts.why": "Why now",
        "alerts.days": "{n} days",
        "alerts.day": "1 day",
        "alerts.weighs": "weighs most: {what}",
        "alerts.idle_days": "idle days",
        "alerts.held": "kept in the tier though just outside of it",
        "alerts.by": "by {channel}",
        "alerts.reward": "reward {amount}, when {condition} is invested again",
        "status.new": "new",
        "status.continued": "since {day}",
        "status.upgraded": "was {tier}",
        "status.lowered": "was {tier}",
        "action.contact": "contact",
        "action.wait": "wait",
        "action.hold out": "held out",
        "action.leave out": "left out",
        "action.close": "nothing more to send",
        "close.answered": "nothing more to send",
        "close.done": "nothing more to send",
        "close.no_time": "no contact left",
        "close.returned": "came back",
        "close.churned": "churned",
        "close.left_tier": "in no tier any more",
        # changes
        "changes.title": "What changed since the day before",
        "changes.table": "Users by tier",
        "changes.tier": "Tier",
        "changes.now": "In it",
        "changes.new": "New",
        "changes.upgraded": "From a lower tier",
        "changes.lowered": "From a higher tier",
        "changes.resolved": "Over since",
        "changes.activity": "{n} active again",
        "changes.churn": "{n} churned",
        "changes.state": "{n} in no tier any more",
        "changes.over": "Alerts that are over: {items}.",
        # notes
        "notes.title": "How to read this",
        "notes.risk": "Risk of churn: the share of users as silent, and in the same state, who went on to churn; the "
        "{level} limits are in brackets. Churns in: days left until the user counts as churned, if nothing happens.",
        "notes.value": "Value at risk: risk times what the user is worth, as given.",
        "notes.break_even": "Break-even: returns per 1,000 contacts that pay for it, over those who would have come "
        "back without one.",
        "notes.made": "Made with churnsurv {version}. The page needs no network; all rows are in the files beside it.",
    }
)

#: Why a plan does what it does, by code.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "first": "first contact",
        "next": "no response to the contact before",
        "rose": "rose to a higher tier",
        "again": "silent again after an activity",
        "not_due": "the next contact is not due yet",
        "quiet_day": "a quiet day",
        "capped": "the limit of contacts for one user is reached",
        "no_capacity": "the channel is full, and more urgent users come first",
        "no_budget": "the budget of the channel is spent",
        "held_out": "held out, so that the effect can be measured",
        "opted_out": "opted out",
        "no_contacts": "the policy has no contacts for the tier",
        "answered": "answered already",
        "done": "every contact was made",
        "no_time": "the next contact would come after formal churn",
        "returned": "active again",
        "churned": "churned",
        "left_tier": "in no tier any more",
    }
)
