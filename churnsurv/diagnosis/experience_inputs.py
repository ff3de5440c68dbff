"""What is asked for, checked: windows, kinds of problems, what is adjusted for, and what counts as activity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from churnsurv.data.feature import Feature, resolve
from churnsurv.data.problem_gaps import kinds_of_events
from churnsurv.data.rule import whole_days
from churnsurv.diagnosis.experience_asked import Absent
from churnsurv.diagnosis.experience_gaps import REGISTRATION
from churnsurv.diagnosis.experience_lasting import check_lag
from churnsurv.diagnosis.experience_problems import Settings
from churnsurv.diagnosis.experience_rank import ALL
from churnsurv.diagnosis.naming import listed
from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.survival.inputs import check_level, column_list
from churnsurv.survival.multiplicity import check_adjust

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["KINDS", "activity_without", "adjusters_asked", "kinds_asked", "settings_asked"]

#: What is looked for where nothing is named.
KINDS = ("crash", "lag", "complaint")
_ADJUST = ("channel", "stage")
_MONTH = "month"


def settings_asked(
    log: ActivityLog, doses: Sequence[int], recency: Sequence[int], lag: int | None, adjust: str, level: float
) -> Settings:
    """Check numbers; an `InputError` says what is wrong."""
    dose, days = _ascending("doses", doses), _ascending("recency", recency)
    for name, values in (("doses", dose), ("recency", days)):
        if not values or list(values) != sorted(set(values)):
            raise InputError(f"{name} must be whole numbers in ascending order; they are {values}.")
    if dose[0] != 1:
        raise InputError(f"doses must begin with 1: a day with fewer than {dose[0]} problems is no day without one.")
    check_lag(None if lag is None else whole_days(lag, "lag", least=1), log.rule.idle_days)
    return Settings(dose, days, check_adjust(adjust), check_level(level))


def kinds_asked(log: ActivityLog, kinds: str | Sequence[str]) -> tuple[list[str], list[Absent]]:
    """Kinds that occur, and the others; none at all, or one that looks like a typing error, is an error."""
    named = isinstance(kinds, str) or tuple(kinds or ()) != KINDS
    asked = column_list("kinds", kinds)
    known = kinds_of_events(log)
    if not asked:
        raise InputError(f"kinds names no problem. Kinds of events in the log: {listed(list(known))}.")
    if not known:
        raise InputError("The events have no column `kind`, by which problems are told from activity. Map or add it.")
    if ALL in asked:
        raise InputError(f"kinds: {ALL!r} is what all kinds together are called. Rename the kind in the events.")
    there = [kind for kind in asked if kind in known]
    for kind in asked:
        hint = did_you_mean(kind, [each for each in known if each not in asked])
        if kind not in known and ((hint and named) or not there):
            raise InputError(f"kinds: the log has no event of kind {kind!r}.{hint} It has {listed(list(known))}.")
    why = note("it never occurs in the log")
    return there, [Absent(kind, note("any"), why, 0, 0) for kind in asked if kind not in known]


def activity_without(log: ActivityLog, kinds: Sequence[str]) -> tuple[ActivityLog, str | None]:
    """The log with a rule by which problems are no activity, and a note where that is another one.

    Where a problem is itself activity, days come in on which nothing else happened: they all have the problem, and lie
    between activities, so that a return to them is soon. The hazard after a problem would look low, whatever it does.
    """
    activity = kinds_of_events(log) if log.rule.activity is None else log.rule.activity
    shared, others = [each for each in kinds if each in activity], [each for each in activity if each not in kinds]
    if not shared:
        return log, None
    there = kinds_of_events(log)
    others = [each for each in others if each in there]
    if not others:
        raise InputError(
            f"kinds: {listed(shared)} is all that counts as activity by the rule: no other day is left to be compared "
            "with. Leave it out of kinds, or take a rule with other activity."
        )
    said = note(
        "Here {kinds} is no activity, though it is by the rule of the log: days with nothing else would all have the "
        "problem. Gaps are between days with {others}; who has only problems for {days} days has churned.",
        kinds=listed(shared),
        others=listed(others),
        days=log.rule.idle_days,
    )
    return log.with_rule(activity=others), said


def adjusters_asked(
    log: ActivityLog, adjust_for: Sequence[str | Feature] | None
) -> tuple[list[str], tuple[str | Feature, ...], bool]:
    """Attributes, features, and whether the month is among what is adjusted for."""
    from churnsurv.data.features_sql import default_features

    taken = log._reading.users_read.attributes
    answerable = default_features(log._reading, log.stages)
    if adjust_for is None:
        adjust_for = [each for each in _ADJUST if each in taken or each in answerable]
    if isinstance(adjust_for, (str, Feature)):
        adjust_for = [adjust_for]
    if not isinstance(adjust_for, Sequence) or any(not isinstance(each, (str, Feature)) for each in adjust_for):
        raise InputError(f"adjust_for takes names of attributes and features, or Feature; it is {adjust_for!r}.")
    names = [each if isinstance(each, str) else each.name for each in adjust_for]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"adjust_for: {name!r} is named twice. Rename one, or leave it out.")
        if name == REGISTRATION or (name == _MONTH and name in taken):
            what = "the calendar month" if name == _MONTH else "what marks gaps that begin with registration"
            raise InputError(f"adjust_for: {name!r} is also {what}. Rename it in the users, to say which is meant.")
    attributes = [each for each in adjust_for if isinstance(each, str) and each in taken]
    others = [each for each in adjust_for if each not in attributes]
    month = _MONTH in others
    others = [each for each in others if each != _MONTH]
    for each in others:
        if isinstance(each, str) and each not in answerable:
            known = [*taken, *(name for name in answerable if isinstance(name, str)), _MONTH]
            raise InputError(f"adjust_for: there is no {each!r}.{did_you_mean(each, known)} There are {listed(known)}.")
    return attributes, resolve(others), month


def _ascending(name: str, values: object) -> tuple[int, ...]:
    if not isinstance(values, Iterable):
        raise InputError(f"{name} takes whole numbers in ascending order, such as (1, 7); it is {values!r}.")
    return tuple(whole_days(each, name, least=1) for each in values)
