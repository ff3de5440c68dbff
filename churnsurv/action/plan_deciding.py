"""Who gets what on a day: those of the campaign first, then those who are new to it, each most urgent first.

Whether a new user is enrolled hangs on what holds for all arms alike, and the lot is looked at only then: users who are
held out and users who are contacted have passed the same gate, so that comparing them is fair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.action.lots import HELD_OUT, draw
from churnsurv.action.plan_history import NOT_ENROLLED, History
from churnsurv.action.plan_inputs import NO_DAY, Alerted
from churnsurv.action.plan_steps import Rooms, Tracks, enrol, next_places, rooms, serve, tracks
from churnsurv.action.plan_words import REASONS

if TYPE_CHECKING:
    from churnsurv.action.policy import Policy

__all__ = ["CODES", "CONTACTS", "Decided", "actions", "decide", "next_sending_day"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Days: TypeAlias = NDArray[np.datetime64]
Texts: TypeAlias = NDArray[np.object_]

#: Place of each reason in `REASONS`.
CODES: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(REASONS)})
CONTACTS = ("first", "next", "rose", "again")
_WAIT = ("not_due", "quiet_day")
_CLOSE = ("answered", "done", "no_time", "returned", "churned", "left_tier")
_BY_ROOM = ("capped", "no_capacity", "no_budget")


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What becomes of n users; arrays are filled while it is being decided.

    Attributes
    ----------
    reason : (n,) int64
        Place in `plan_words.REASONS`; -1 as long as there is none.
    arm : (n,) int64
        As in `History`, those drawn today included.
    new : (n,) bool
        Enrolled today.
    share : (n,) float64
        Chance of the lot of those enrolled today.
    track, place, channel : (n,) int64
        Of the contact that goes out or is waited for, places from 1 on; -1, 0 and -1 for none. Of those left out for
        want of room, the full channel.
    cap : (n,) int64
        The cap that forbids it, from 1 on.
    after : (n,) int64
        Days that the contact was to follow the last one.
    due : (n,) datetime64[D]
        Earliest day of the next contact; NaT where it is not known.
    """

    reason: Ints
    arm: Ints
    new: Flags
    share: Floats
    track: Ints
    place: Ints
    channel: Ints
    cap: Ints
    after: Ints
    due: Days

    def undecided(self, rows: Ints) -> Ints:
        """Those of the rows that have no reason yet."""
        return rows[self.reason[rows] < 0]

    def because(self, rows: Ints | Flags, reason: str) -> None:
        """Give these rows this reason."""
        self.reason[rows] = CODES[reason]


def decide(alerts: Alerted, policy: Policy, known: History, opted_out: Flags, answered_on: Days) -> Decided:
    """Decide about every row of the alerts."""
    found = _undecided(alerts.n, known)
    day = _Day(alerts, policy, known, opted_out, answered_on, tracks(policy, alerts.tiers), rooms(policy, known.spent))
    over, alarmed = alerts.tier < 0, alerts.tier >= 0
    found.because(over, "left_tier")
    found.because(over & (alerts.idle_days == 0), "returned")
    found.because(over & (alerts.idle_days >= alerts.churn_days), "churned")
    found.because(alarmed & (known.arm == HELD_OUT), "held_out")
    _go_on(found, day, np.flatnonzero(alarmed & (known.arm >= 0)))
    _begin(found, day, np.flatnonzero(alarmed & (known.arm == NOT_ENROLLED)))
    return found


def _undecided(n: int, known: History) -> Decided:
    def filled(value: int) -> Ints:
        return np.full(n, value, dtype=np.int64)

    return Decided(
        reason=filled(-1),
        arm=known.arm.copy(),
        new=np.zeros(n, dtype=np.bool_),
        share=np.full(n, np.nan),
        track=filled(-1),
        place=filled(0),
        channel=filled(-1),
        cap=filled(0),
        after=filled(0),
        due=np.full(n, NO_DAY),
    )


def actions(found: Decided) -> Texts:
    """What is done with each user, by the reason and by whether the user is enrolled."""
    enrolled = found.arm != NOT_ENROLLED
    action = np.full(found.reason.size, "leave out", dtype=object)
    for codes, said in ((CONTACTS, "contact"), (_WAIT, "wait"), (_CLOSE, "close"), (("held_out",), "hold out")):
        action[_among(found.reason, codes)] = said
    action[_among(found.reason, _BY_ROOM) & enrolled] = "wait"
    return action


def _among(reason: Ints, names: Sequence[str]) -> Flags:
    return np.isin(reason, [CODES[name] for name in names])


def next_sending_day(policy: Policy, from_day: date) -> date:
    """The first day from this one on that is not quiet."""
    day = from_day
    while policy.quiet is not None and policy.quiet.is_quiet(day):
        day += timedelta(days=1)
    return day


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """All that the decisions look at; `room.left` falls as contacts are given out."""

    alerts: Alerted
    policy: Policy
    known: History
    opted_out: Flags
    answered_on: Days
    tracks: Tracks
    room: Rooms

    @property
    def contact_on(self) -> np.datetime64:
        return np.datetime64(self.alerts.contact_on, "D")

    @property
    def next_day(self) -> np.datetime64:
        """The first day on which anything can go out."""
        return np.datetime64(next_sending_day(self.policy, self.alerts.contact_on), "D")

    def sending_days(self, days: Days) -> Days:
        """The first day from each of these on that is not quiet."""
        there = np.unique(days)
        shifted = np.array([next_sending_day(self.policy, each.item()) for each in there], dtype="datetime64[D]")
        return shifted[np.searchsorted(there, days)]


# --------------------------------------------------------------------------------------- users who are in the campaign


def _go_on(found: Decided, day: _Day, rows: Ints) -> None:
    """Users who were drawn into an arm before: the next step if it is due, a rise of the tier at once."""
    rows = _without_answer(found, day, rows)
    known, alerts = day.known, day.alerts
    rose, rows = _next_step(found, day, rows)
    before = known.in_silence[rows] > 0
    waits = before & ~rose
    due = np.where(waits, known.last_on[rows] + found.after[rows], day.contact_on)
    day_of = day.sending_days(np.maximum(due, day.contact_on))
    late = day_of > alerts.churn_on[rows]
    not_due, quiet = due > day.contact_on, day_of > day.contact_on
    for code, holds in (("no_time", late), ("not_due", not_due & ~late), ("quiet_day", quiet & ~not_due & ~late)):
        found.because(rows[holds], code)
        found.due[rows[holds]] = day_of[holds]
    rose, rows = rose[~(late | quiet)], rows[~(late | quiet)]
    cap = known.capped[rows, found.channel[rows]]
    found.cap[rows] = cap
    found.because(rows[cap > 0], "capped")
    rose, rows = rose[cap == 0], rows[cap == 0]
    served = serve(found.channel[rows], day.room.left)
    found.reason[rows[~served]] = _no_room(day, found.channel[rows[~served]])
    contact = np.where(known.steps[rows] > 0, CODES["again"], CODES["first"])
    contact[known.in_silence[rows] > 0] = CODES["next"]
    contact[rose] = CODES["rose"]
    found.reason[rows[served]] = contact[served]


def _next_step(found: Decided, day: _Day, rows: Ints) -> tuple[Flags, Ints]:
    """Find the next step of each user; returns who rose, and those who have a step left."""
    known, steps = day.known, day.tracks
    arm, tier = known.arm[rows], day.alerts.tier[rows]
    before = known.in_silence[rows] > 0
    track = np.where(before, known.track[rows], tier)
    start = np.where(before, known.place[rows], 0)
    row = steps.of(arm, track)
    longest = steps.level.shape[1]
    level = np.minimum(steps.level[row, np.clip(start - 1, 0, longest - 1)], track)
    place = next_places(steps, row, start, day.opted_out[rows])
    above = next_places(steps, steps.of(arm, tier), np.zeros_like(start), day.opted_out[rows])
    rose: Flags = before & (tier < level) & (above >= 0)
    track, place = np.where(rose, tier, track), np.where(rose, above, place)
    row = steps.of(arm, track)
    none = place < 0
    empty = steps.channel[row, 0] < 0
    for code, holds in (("done", before), ("no_contacts", ~before & empty), ("opted_out", ~before & ~empty)):
        found.because(rows[none & holds], code)
    rows, row, track, place = (each[~none] for each in (rows, row, track, place))
    found.track[rows], found.place[rows] = track, place + 1
    found.channel[rows], found.after[rows] = steps.channel[row, place], steps.after[row, place]
    return rose[~none], rows


# ------------------------------------------------------------------------------------ users who are new to the campaign


def _begin(found: Decided, day: _Day, rows: Ints) -> None:
    """Users who are in no arm yet: enrolled if the first contact of every arm could go out, then drawn."""
    rows = _without_answer(found, day, rows)
    policy, steps = day.policy, day.tracks
    n_arms = len(policy.arms)
    tier = day.alerts.tier[rows]
    row = np.stack([steps.of(arm, tier) for arm in range(n_arms)], axis=1)
    place = np.stack(
        [next_places(steps, row[:, a], np.zeros_like(tier), day.opted_out[rows]) for a in range(n_arms)], axis=1
    )
    found.because(rows[(place < 0).any(axis=1)], "opted_out")
    found.because(rows[(steps.channel[row, 0] < 0).any(axis=1)], "no_contacts")
    if day.next_day > day.contact_on:
        waiting = found.undecided(rows)
        found.because(waiting, "quiet_day")
        found.because(waiting[day.next_day > day.alerts.churn_on[waiting]], "no_time")
        found.due[waiting] = day.next_day
    asked = found.reason[rows] < 0
    rows, row, place = rows[asked], row[asked], place[asked]
    needed = steps.channel[row, place]
    cap = np.stack([day.known.capped[rows, needed[:, a]] for a in range(n_arms)], axis=1).max(axis=1)
    found.cap[rows] = cap
    found.because(rows[cap > 0], "capped")
    rows, place, needed = (each[cap == 0] for each in (rows, place, needed))
    _draw(found, day, rows, place, needed)


def _draw(found: Decided, day: _Day, rows: Ints, place: Ints, needed: Ints) -> None:
    """Enrol those for whom there is room, and look at their lots."""
    policy = day.policy
    lots = draw(
        day.alerts.ids[rows].tolist(),
        campaign=policy.campaign,
        key=policy.key,
        holdout=policy.holdout,
        arms={name: arm.share for name, arm in policy.arms.items()},
    )
    each = np.arange(rows.size)
    treated = lots.arm >= 0
    taken = np.where(treated, needed[each, np.maximum(lots.arm, 0)], -1)
    full = enrol(needed, taken, day.room.left)
    out = full >= 0
    found.channel[rows[out]] = full[out]
    found.reason[rows[out]] = _no_room(day, full[out])
    found.arm[rows[~out]], found.new[rows[~out]] = lots.arm[~out], True
    found.share[rows[~out]] = lots.shares[lots.arm[~out]]
    found.because(rows[~out & ~treated], "held_out")
    sent = ~out & treated
    to = rows[sent]
    found.because(to, "first")
    found.track[to] = day.alerts.tier[to]
    found.place[to], found.channel[to] = place[each, np.maximum(lots.arm, 0)][sent] + 1, taken[sent]


def _without_answer(found: Decided, day: _Day, rows: Ints) -> Ints:
    found.because(rows[~np.isnat(day.answered_on[rows])], "answered")
    return found.undecided(rows)


def _no_room(day: _Day, channel: Ints) -> Ints:
    return np.where(day.room.by_budget[channel], CODES["no_budget"], CODES["no_capacity"])
