"""The churn rule told a second time: a plain walk over days, to hold `ActivityLog` against.

Nothing here is shared with the package, neither code nor idea. Each user's calendar is walked one day at a time with
a counter of idle days and a state (unknown, alive, churned). It is slow and obvious on purpose, and uses the
standard library alone. Its readings of the specification, where words leave room:

* `observed_until=None` is the latest day of any event row whose date can be read.
* Equal user rows collapse before conflicting ones are compared, and only rows that can be used collapse.
* A user registered after the window is known: an event of theirs is `before_registration` or outside the window.
* A row that can't be used is a reject, wherever its date lies; `outside_window` counts usable rows only.
* `undetermined` users are not counted as `not_seen` too.
* `equal_events` counts every accepted row that has an equal: two for a pair. `users` of spells are those with a row.
* Registration is activity, so its day is one of `activity_days` where the log covers it.
* With a baseline day a spell that ends on its day of entry is kept: it carries no risk.
* Features run over the user's life in the log; where the life began before the log they can't be known
  (`life_not_observed`, counted before `ended_before_entry`). `ever_boosted` looks at the product, whatever the kind.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
DAY = timedelta(days=1)


class UnusableError(Exception):
    """A row that can't be used: the reason and the value at fault."""

    def __init__(self, reason: str, value: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


@dataclass(frozen=True)
class Reject:
    table: str
    row: int
    user_id: str | None
    reason: str


@dataclass(frozen=True)
class Event:
    day: date
    kind: str
    amount: Decimal | None
    product: object
    row: tuple[object, ...]


@dataclass
class Person:
    user_id: Any
    registered: date
    attributes: Row
    events: list[Event] = field(default_factory=list)

    def active_days(self, activity: Sequence[str] | None) -> set[date]:
        return {event.day for event in self.events if activity is None or event.kind in activity}


@dataclass(frozen=True)
class Reading:
    """What two raw tables come to: the people, the rows refused, the window and the counts."""

    people: list[Person]
    rejects: list[Reject]
    observed_from: date
    observed_until: date
    counts: dict[str, int]


@dataclass(frozen=True)
class Answer:
    spells: list[Row]
    rejects: list[Reject]
    log_counts: dict[str, int]
    counts: dict[str, int]


# ---------------------------------------------------------------------------------------------------- reading rows


def is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def day_of(value: object, timestamps: str = "UTC", time_zone: str = "UTC") -> date:
    """The calendar day of a date, a time (naive or aware) or a text that holds one of them.

    >>> day_of("2024-05-01", time_zone="Asia/Shanghai"), day_of("2024-05-01 23:30:00", time_zone="Asia/Shanghai")
    (datetime.date(2024, 5, 1), datetime.date(2024, 5, 2))
    """
    if is_null(value):
        raise UnusableError("missing_date")
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            raise UnusableError("unparsable_date", value) from None
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=ZoneInfo(timestamps))
        return moment.astimezone(ZoneInfo(time_zone)).date()
    assert isinstance(value, date)
    return value


def amount_of(value: object) -> Decimal | None:
    if is_null(value):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise UnusableError("amount_not_a_number", value) from None
    if not number.is_finite():
        raise UnusableError("amount_not_a_number", value)
    return number


def read(
    users: Iterable[Row],
    events: Iterable[Row],
    *,
    activity: Sequence[str] | None = ("login", "invest"),
    observed_from: date | None = None,
    observed_until: date | None = None,
    timestamps: str = "UTC",
    time_zone: str = "UTC",
) -> Reading:
    """Sort the raw rows into people with their events, and rejects."""
    users, events = list(users), list(events)
    clock = (timestamps, time_zone)
    event_days = readable_days(events, "event_at", clock)
    until = observed_until or max(event_days)
    since = observed_from or min(readable_days(users, "registered_at", clock))
    people, late, user_rejects, collapsed = read_users(users, until, clock)
    outside, event_rejects = read_events(events, people | late, (since, until), clock)
    accepted = [event for person in people.values() for event in person.events]
    copies = Counter(event.row for event in accepted)
    counts = {
        "users_read": len(users),
        "users": len(people),
        "users_rejected": len(user_rejects),
        "events_read": len(events),
        "events": len(accepted),
        "events_rejected": len(event_rejects),
        "outside_window": outside,
        "other_kinds": sum(activity is not None and event.kind not in activity for event in accepted),
        "equal_users_collapsed": collapsed,
        "equal_events": sum(number for number in copies.values() if number > 1),
    }
    return Reading(list(people.values()), user_rejects + event_rejects, since, until, counts)


def readable_days(rows: list[Row], column: str, clock: tuple[str, str]) -> list[date]:
    days = []
    for row in rows:
        try:
            days.append(day_of(row[column], *clock))
        except UnusableError:
            continue
    return days


def read_users(
    users: list[Row], until: date, clock: tuple[str, str]
) -> tuple[dict[Any, Person], dict[Any, Person], list[Reject], int]:
    """People in the window, people after it, refused rows, and how many equal rows fell together."""
    rejects: list[Reject] = []
    usable: dict[Any, dict[tuple[object, ...], tuple[int, Person]]] = {}
    collapsed = 0
    for position, row in enumerate(users):
        user_id = row["user_id"]
        if is_null(user_id):
            rejects.append(Reject("users", position, None, "missing_user_id"))
            continue
        try:
            registered = day_of(row["registered_at"], *clock)
        except UnusableError as fault:
            rejects.append(Reject("users", position, str(user_id), fault.reason))
            continue
        attributes = {name: value for name, value in row.items() if name not in ("user_id", "registered_at")}
        same_id = usable.setdefault(user_id, {})
        if tuple(row.values()) in same_id:
            collapsed += 1
        else:
            same_id[tuple(row.values())] = (position, Person(user_id, registered, attributes))
    people: dict[Any, Person] = {}
    late: dict[Any, Person] = {}
    for user_id, rows in usable.items():
        (position, person), *others = sorted(rows.values(), key=lambda entry: entry[1].registered)
        rejects += [Reject("users", other, str(user_id), "duplicate_user") for other, _ in others]
        if person.registered > until:
            rejects.append(Reject("users", position, str(user_id), "registered_after_window"))
            late[user_id] = person
        else:
            people[user_id] = person
    return people, late, rejects, collapsed


def read_events(
    events: list[Row], known: dict[Any, Person], window: tuple[date, date], clock: tuple[str, str]
) -> tuple[int, list[Reject]]:
    """Hand each event to its user; return how many lie outside the window, and the refused rows."""
    outside = 0
    rejects: list[Reject] = []
    for position, row in enumerate(events):
        user_id = row["user_id"]
        try:
            event = read_event(row, known, clock)
        except UnusableError as fault:
            shown = None if is_null(user_id) else str(user_id)
            rejects.append(Reject("events", position, shown, fault.reason))
            continue
        if window[0] <= event.day <= window[1]:
            known[user_id].events.append(event)
        else:
            outside += 1
    return outside, rejects


def read_event(row: Row, known: dict[Any, Person], clock: tuple[str, str]) -> Event:
    if is_null(row["user_id"]):
        raise UnusableError("missing_user_id")
    if row["user_id"] not in known:
        raise UnusableError("unknown_user")
    day = day_of(row["event_at"], *clock)
    if is_null(row["kind"]):
        raise UnusableError("missing_kind")
    if day < known[row["user_id"]].registered:
        raise UnusableError("before_registration", row["event_at"])
    return Event(day, row["kind"], amount_of(row.get("amount")), row.get("product"), tuple(row.values()))


# ------------------------------------------------------------------------------------------------ walking the days


@dataclass(frozen=True)
class Life:
    """One user's spells, and whether the log could tell anything of the user at all."""

    spells: list[Row]
    undetermined: bool = False
    not_seen: bool = False


def walk(registered: date, active: set[date], idle_days: int, since: date, until: date) -> Life:
    """Walk one user's calendar day by day, from registration or the log's first day to its last.

    >>> day = lambda n: date(2024, 1, 1) + n * DAY
    >>> [(s["spell"], s["duration"], s["churned"]) for s in walk(day(0), {day(3), day(9)}, 4, day(0), day(20)).spells]
    [(1, 7, True), (2, 4, True)]
    """
    spells: list[Row] = []
    known = registered >= since
    if not known and (until - since).days + 1 < idle_days:
        return Life([], undetermined=True)

    state = "alive" if known else "unknown"
    spell, origin, entry, origin_known = 1, registered, 0, known
    last, idle = registered, 0
    days_watched, seen = 0, False

    def close(day: date, churned: bool) -> None:
        spells.append({
            "spell": spell,
            "origin": origin,
            "origin_known": origin_known,
            "entry": entry,
            "duration": (day - origin).days,
            "churned": churned,
            "last_activity": last,
            "end_date": day,
        })  # fmt: skip

    today = registered if known else since
    while today <= until:
        days_watched += 1
        if today in active:
            idle, last, seen = 0, today, True
            if state == "churned":
                state, spell, origin, entry, origin_known = "alive", spell + 1, today, 0, True
        elif today != registered:
            idle += 1

        if state == "unknown" and days_watched == idle_days:
            # Watched for as many days as the rule needs: any activity in them means alive now, none means gone.
            state, entry = ("alive", (today - registered).days) if seen else ("churned", 0)
        elif state == "alive" and idle == idle_days:
            close(today, churned=True)
            state = "churned"
        today += DAY

    if state == "alive":
        close(until, churned=False)
    return Life(spells, not_seen=not known and not seen)


# ---------------------------------------------------------------------------------------------------- the question


def churn_spells(
    users: Iterable[Row],
    events: Iterable[Row],
    *,
    idle_days: int = 30,
    activity: Sequence[str] | None = ("login", "invest"),
    observed_from: date | None = None,
    observed_until: date | None = None,
    timestamps: str = "UTC",
    time_zone: str = "UTC",
    spells: str = "first",
    left_truncated: str = "exclude",
    baseline_day: int | None = None,
    features: Sequence[str | Feature] = (),
) -> Answer:
    """Answer `ActivityLog(...).churn_spells(...)` the slow way."""
    log = read(
        users, events, activity=activity, observed_from=observed_from, observed_until=observed_until,
        timestamps=timestamps, time_zone=time_zone,
    )  # fmt: skip
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    activity_days = 0
    for person in log.people:
        active = person.active_days(activity)
        life = walk(person.registered, active, idle_days, log.observed_from, log.observed_until)
        left_out["undetermined"] += life.undetermined
        left_out["not_seen"] += life.not_seen
        # Gone before the log could tell, and back later: there is a return, but no first spell to show.
        left_out["first_spell_unseen"] += bool(life.spells) and life.spells[0]["spell"] > 1
        for row in life.spells:
            if spells == "first" and row["spell"] > 1:
                continue
            if left_truncated == "exclude" and not row["origin_known"]:
                left_out["left_truncated_excluded"] += 1
                continue
            if baseline_day is not None:
                if features and person.registered < log.observed_from:
                    left_out["life_not_observed"] += 1
                    continue
                row["entry"] = max(row["entry"], baseline_day + idle_days)
                if row["duration"] < row["entry"]:
                    left_out["ended_before_entry"] += 1
                    continue
                row |= features_at(person, row["origin"] + baseline_day * DAY, features)
            seen = active | ({person.registered} if person.registered >= log.observed_from else set())
            activity_days += sum(row["origin"] <= day <= row["end_date"] for day in seen)
            rows.append({"user_id": person.user_id, **row, **attributes_of(person)})
    return Answer(rows, log.rejects, log.counts, count(rows, left_out, activity_days))


def attributes_of(person: Person) -> Row:
    return {"registered_at": person.registered, "cohort": f"{person.registered:%Y-%m}", **person.attributes}


@dataclass(frozen=True)
class Feature:
    """A feature of behaviour, with the same words as `churnsurv.Feature`."""

    name: str
    agg: str
    column: str | None = None
    kind: str | None = None
    equals: object = None
    last: int | None = None
    empty: float | None = None


BUILT_IN = {
    "n_investments": Feature("n_investments", "count", kind="invest"),
    "total_amount": Feature("total_amount", "sum", column="amount", kind="invest"),
    "max_amount": Feature("max_amount", "max", column="amount", kind="invest", empty=0),
    "ever_boosted": Feature("ever_boosted", "any", column="product", equals="boosted"),
}


def features_at(person: Person, day: date, features: Sequence[str | Feature]) -> Row:
    """The features known at the end of this day, over the user's whole life up to it."""
    asked = [BUILT_IN[each] if isinstance(each, str) else each for each in features]
    return {each.name: aggregate(each, matching(each, person.events, day)) for each in asked}


def matching(feature: Feature, events: list[Event], day: date) -> list[Event]:
    found = [event for event in events if event.day <= day]
    if feature.last is not None:
        found = [event for event in found if event.day > day - feature.last * DAY]
    if feature.kind is not None:
        found = [event for event in found if event.kind == feature.kind]
    if feature.equals is not None:
        assert feature.column is not None
        found = [event for event in found if getattr(event, feature.column) == feature.equals]
    return found


def aggregate(feature: Feature, events: list[Event]) -> float | None:
    if feature.agg in ("count", "days", "any"):
        days = {event.day for event in events}
        return {"count": len(events), "days": len(days), "any": int(bool(events))}[feature.agg]
    values = [event.amount for event in events if event.amount is not None]
    if not values:
        return 0.0 if feature.agg == "sum" and feature.empty is None else feature.empty
    total = {"sum": sum(values), "max": max(values), "min": min(values), "mean": sum(values, Decimal(0)) / len(values)}
    return float(total[feature.agg])


def count(rows: list[Row], left_out: Counter[str], activity_days: int) -> dict[str, int]:
    exclusions = (
        "left_truncated_excluded",
        "undetermined",
        "not_seen",
        "first_spell_unseen",
        "ended_before_entry",
        "life_not_observed",
    )
    return {
        "users": len({row["user_id"] for row in rows}),
        "spells": len(rows),
        "churned": sum(row["churned"] for row in rows),
        "censored": sum(not row["churned"] for row in rows),
        "returned": sum(row["spell"] > 1 for row in rows),
        **{name: left_out[name] for name in exclusions},
        "no_risk": sum(row["duration"] == row["entry"] for row in rows),
        "person_days": sum(row["duration"] - row["entry"] for row in rows),
        "activity_days": activity_days,
    }
