"""The checks themselves. Each looks at one thing and returns the problems it finds; none stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from churnsurv.data.check import Check, Problem
from churnsurv.data.engine import UnreadableDataError
from churnsurv.data.events import judge
from churnsurv.data.ids import user_ids
from churnsurv.data.negative_amounts import count_negative_amounts
from churnsurv.data.reading import EmptyWindowError, Reading
from churnsurv.data.sources import MissingColumnsError
from churnsurv.data.sql import literal, name
from churnsurv.data.users import TakenNameError, read_users
from churnsurv.errors import ChurnsurvError, SchemaError, did_you_mean
from churnsurv.notes import Note, note

if TYPE_CHECKING:
    from churnsurv.data.reading import Kinds
    from churnsurv.data.rule import ChurnRule

__all__ = ["check_log"]

_ADVICE = {
    "missing_user_id": note("Rows without a user id can't be used; look at the export."),
    "unknown_user": note("The users table has no usable row for these ids; check that both tables are complete."),
    "missing_date": note("Rows without a date can't be used; look at the export."),
    "unparsable_date": note("Write dates as 2024-05-01 and times as 2024-05-01 09:30, with an offset if need be."),
    "missing_kind": note("Give each event a kind, or let every event count with ChurnRule(activity=None)."),
    "before_registration": note("Check the zone of the times and the date of registration."),
    "amount_not_a_number": note(
        "Amounts must be finite numbers without thousands separators; leave missing ones empty."
    ),
    "balance_not_a_number": note("Balances must be finite numbers without thousands separators."),
    "amount_too_large": note(
        "Floats of 9e12 or more can't be added exactly: give them as decimals or in a larger unit."
    ),
    "balance_too_large": note(
        "Floats of 9e12 or more can't be added exactly: give them as decimals or in a larger unit."
    ),
    "duplicate_user": note("A user has several different rows; the earliest registration is kept."),
    "missing_reason": note("An answer without a reason says nothing; look at the export."),
    "outside_window": note("Answers of days that the log does not cover can't be joined to it; check observed_until."),
    "registered_after_window": note("These users registered after the log ends; check observed_until."),
}
#: Why dates could not be read, where the error itself says more; the first that fits.
_NAMED: Mapping[type[ChurnsurvError], str] = {
    TakenNameError: "name_taken",
    EmptyWindowError: "empty_window",
    SchemaError: "wrong_type",
}


def check_log(reading: Reading, rule: ChurnRule) -> Check:
    """Run every check; a table that cannot be opened does not keep the others from being checked."""
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    problems, opened = _open(reading, kinds)
    if any(problem.problem == "missing_column" for problem in problems):
        kinds = None
    if opened != set(reading.data):
        reading = _part(reading, opened)
    if {"events", "users"} <= opened:
        problems += _together(reading, rule, kinds)
    else:
        for table in sorted(opened):
            problems += _alone(reading, table)
    return Check(tuple(problems))


def _part(reading: Reading, tables: set[str]) -> Reading:
    data = {table: given for table, given in reading.data.items() if table in tables}
    return Reading(data, reading.columns, reading.clock, reading.first, reading.last, reading.engine)


def _open(reading: Reading, kinds: Kinds) -> tuple[list[Problem], set[str]]:
    """Open the tables; say what is missing in each."""
    problems, opened = [], set()
    columns: dict[str, set[str]] = {}
    try:
        columns = {table: set(source.columns) for table, source in reading.sources.items()}
        opened = set(columns)
    except ChurnsurvError:
        for table in reading.data:
            try:
                columns[table] = set(reading.open(table).columns)
                opened.add(table)
            except MissingColumnsError as error:
                there = str(error).partition("The table has")[2]
                problems += [
                    Problem(table, "missing_column", "error", None, column, f"{what} The table has{there}")
                    for column, what in error.missing.items()
                ]
            except ChurnsurvError as error:
                problems.append(Problem(table, "cannot_be_read", "error", None, None, str(error)))
    if kinds is not None and "events" in opened and "kind" not in columns["events"]:
        hint = did_you_mean("kind", columns["events"])
        advice = f"'kind' is missing.{hint} Map it, or let every event count with ChurnRule(activity=None)."
        problems.append(Problem("events", "missing_column", "error", None, "kind", advice))
    return problems, opened


def _alone(reading: Reading, table: str) -> list[Problem]:
    """What can be said of one table without the others."""
    part = _part(reading, {table})
    try:
        ids = user_ids(part.engine, part.sources)
        if table == "users":
            read = read_users(part.engine, part.sources[table], ids[table], part.clock)
            counted = f"SELECT _reason, count(*), min(CAST(_at AS VARCHAR)) FROM {read.judged}"
        else:
            stub = part.engine.table(
                "ids",
                f"SELECT DISTINCT {ids[table]} AS user_id, 0 AS _user_key, DATE '0001-01-01' AS registered_at"
                f" FROM {part.sources[table].view}",
            )
            judged = judge(part.engine, part.sources[table], ids[table], part.clock, stub)
            counted = f"SELECT _reason, count(*), min(CAST(_at AS VARCHAR)) FROM {judged}"
        rows = part.engine.rows(f"{counted} GROUP BY _reason ORDER BY _reason")
    except ChurnsurvError as error:
        problem = "cannot_be_read" if isinstance(error, UnreadableDataError) else "wrong_type"
        return [Problem(table, problem, "error", None, None, str(error))]
    fine = any(reason is None for reason, *_ in rows)
    return [_reject(table, reason, n, example, fine=fine) for reason, n, example in rows if reason is not None]


def _reject(table: str, reason: str, n: int, example: str | None, *, fine: bool) -> Problem:
    return Problem(table, reason, "warning" if fine else "error", n, example, _ADVICE[reason])


@dataclass(frozen=True, slots=True)
class _Log:
    """What a check may look at."""

    reading: Reading
    rule: ChurnRule
    kinds: Kinds

    @property
    def gaps(self) -> str:
        return self.reading.gaps(self.kinds, self.rule.idle_days)

    def one(self, query: str) -> int:
        return int(self.reading.engine.rows(query)[0][0] or 0)


def _together(reading: Reading, rule: ChurnRule, kinds: Kinds) -> list[Problem]:
    """All checks of users and events; where they can't be brought together, each on its own."""
    problems: list[Problem] = []
    steps: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("users", "mismatched_ids", lambda: reading.ids),
        ("users", "no_readable_dates", lambda: reading.users_read),
        ("events", "no_readable_dates", lambda: reading.window),
        ("events", "wrong_type", lambda: reading.audit),
    )
    for table, problem, step in steps:
        try:
            step()
        except ChurnsurvError as error:
            if problem == "no_readable_dates":
                problem = next((word for kind, word in _NAMED.items() if isinstance(error, kind)), problem)
            alone = [each for table in sorted(reading.data) for each in _alone(reading, table)]
            if isinstance(error, UnreadableDataError):
                problem = "cannot_be_read"
                if any(each.problem == problem for each in alone):
                    return problems + alone  # read one by one, the tables tell which of them it is
            problems.append(Problem(table, problem, "error", None, None, str(error)))
            return problems + [each for each in alone if each.advice != str(error)]
    try:
        reading.require_activity(kinds)
    except ChurnsurvError as error:
        problems.append(Problem("events", "no_activity", "error", None, None, str(error)))
        kinds = None
    log = _Log(reading, rule, kinds)
    for check in (_rejects, _equal_rows, _kinds, _window, _days, _users, _attributes, _amounts, _balances):
        problems += check(log)
    return problems


def _rejects(log: _Log) -> Iterator[Problem]:
    reading = log.reading
    rejected = reading.rejects
    counts: dict[tuple[str, str], list[str | None]] = {}
    for table, reason, value in zip(
        *(rejected[column].to_pylist() for column in ("table", "reason", "value")), strict=True
    ):
        counts.setdefault((table, reason), []).append(value)
    accepted = {"events": log.reading.audit.accepted, "users": reading.n_users}
    if "balances" in reading.sources:
        view = reading.judged("balances")
        accepted["balances"] = log.one(f"SELECT count(*) FROM {view} WHERE _reason IS NULL")
    accepted["feedback"] = reading.feedback_counts.get("feedback", 0)
    for (table, reason), values in counts.items():
        example = next((value for value in values if value), None)
        yield _reject(table, reason, len(values), example, fine=accepted[table] > 0)


def _equal_rows(log: _Log) -> Iterator[Problem]:
    if n := log.reading.users_read.n_collapsed:
        yield Problem("users", "equal_rows", "note", n, None, note("Equal user rows count once."))
    if n := log.reading.equal_events:
        advice = note(
            "Rows equal in all columns are kept: they may be true repeats. If the export doubled them, drop them first."
        )
        yield Problem("events", "equal_rows", "note", n, None, advice)


def _kinds(log: _Log) -> Iterator[Problem]:
    if log.kinds is None:
        return
    there = log.reading.audit.kinds
    for kind in log.kinds:
        if kind not in there:
            hint = did_you_mean(kind, there)
            nearest = hint.removeprefix(" Did you mean ").removesuffix("?")
            advice = (
                note("No event is {kind}. Did you mean {nearest}? See ChurnRule.", kind=repr(kind), nearest=nearest)
                if hint
                else note("No event is {kind}. See ChurnRule.", kind=repr(kind))
            )
            yield Problem("events", "kind_never_occurs", "warning", 0, kind, advice)
    others = {kind: n for kind, n in there.items() if kind not in log.kinds}
    if others:
        kinds = ", ".join(map(repr, list(others)[:10]))
        advice = note("These kinds do not count as activity: {kinds}.", kinds=kinds)
        yield Problem("events", "other_kinds", "note", sum(others.values()), next(iter(others)), advice)


def _window(log: _Log) -> Iterator[Problem]:
    reading, window = log.reading, log.reading.window
    length = (window.last - window.first).days + 1
    if length == 1:
        advice = note("Nobody can be seen to churn in one day.")
        yield Problem("events", "one_day_log", "warning", None, str(window.first), advice)
    elif length <= log.rule.idle_days:
        advice = note(
            "The log covers {length} days; nobody can be seen to churn by a rule of {idle_days} idle days.",
            length=length,
            idle_days=log.rule.idle_days,
        )
        yield Problem("events", "log_shorter_than_rule", "warning", None, str(window.last), advice)
    if n := reading.audit.outside_window:
        advice = note("Events before {first} or after {last} are left out.", first=window.first, last=window.last)
        yield Problem("events", "outside_window", "note", n, None, advice)
    before = log.one(f"SELECT count(*) FROM {reading.users} WHERE registered_at < {literal(window.first)}")
    if before:
        advice = note(
            "They registered before the log begins: their first spells are left out unless assumed to be first."
        )
        yield Problem("users", "registered_before_window", "note", before, None, advice)
    first = _first_event(log)
    if first is not None and reading.first is None and (first - window.first).days > 7:
        n = log.one(f"SELECT count(*) FROM {reading.users} WHERE registered_at < {literal(first)}")
        advice = note(
            "Registrations begin on {registered}, events on {events}. If earlier events are missing, set "
            "observed_from={first}, or users who were active before look as if they had churned.",
            registered=window.first,
            events=first,
            first=repr(str(first)),
        )
        yield Problem("events", "events_start_late", "warning", n, str(first), advice)


def _first_event(log: _Log) -> date | None:
    rows = log.reading.engine.rows(f"SELECT min(_day) FROM {log.reading.judged('events')} WHERE _reason IS NULL")
    day: date | None = rows[0][0]
    return day


def _days(log: _Log) -> Iterator[Problem]:
    """Days that look half loaded: thin, empty, or far away from the rest."""
    reading, window = log.reading, log.reading.window
    counts: dict[date, int] = dict(
        reading.engine.rows(
            f"SELECT _day, count(*) FROM {reading.judged('events')} WHERE _reason IS NULL"
            f" AND _day BETWEEN {literal(window.first)} AND {literal(window.last)} GROUP BY _day ORDER BY _day"
        )
    )
    if not counts:
        return
    weeks = [counts.get(window.last - timedelta(days=7 * week), 0) for week in (1, 2, 3, 4)]
    last = counts.get(window.last, 0)
    if median(weeks) >= 20 and last < 0.5 * median(weeks):
        advice = note(
            "The last day has {n} events; the same weekday has about {usual}. If it is half loaded, set "
            "observed_until to the day before, or users look idle who are not.",
            n=f"{last:,}",
            usual=f"{median(weeks):,.0f}",
        )
        yield Problem("events", "thin_last_day", "warning", last, str(window.last), advice)
    bulk = _strays_begin(counts, window.last, log.rule.idle_days)
    if reading.last is None and bulk is not None:
        n = sum(count for day, count in counts.items() if day > bulk)
        far = (window.last - bulk).days > log.rule.idle_days
        then = note("nearly everybody would have churned") if far else note("users would look idle who are not")
        advice = note(
            "Nearly all events lie up to {bulk}; if the log went on to {last}, {then}. Set observed_until to the day "
            "that the log is complete to, perhaps {perhaps}.",
            bulk=bulk,
            last=window.last,
            then=then,
            perhaps=repr(str(bulk)),
        )
        yield Problem("events", "stray_late_events", "error" if far else "warning", n, str(window.last), advice)
    begin, end = min(counts), bulk or _bulk_ends(counts)
    empty = [day for day in _between(begin, end) if day not in counts]
    if empty and median(counts.values()) >= 20:
        advice = note("Days without one event in the middle of a busy log are probably missing from the export.")
        yield Problem("events", "empty_days", "warning", len(empty), str(empty[0]), advice)


def _strays_begin(counts: dict[date, int], last: date, idle_days: int) -> date | None:
    """The day after which only strays come, such as those of a clock that runs ahead; None where there are none."""
    total, seen = sum(counts.values()), 0
    for day, following in pairwise(counts):
        seen += counts[day]
        # Everybody silent for longer than the rule, and a few events after that.
        if (following - day).days > idle_days and total >= 200 and total - seen <= 0.05 * total:
            return day
    bulk = _bulk_ends(counts)
    beyond = (last - bulk).days
    after = sum(n for day, n in counts.items() if day > bulk)
    if beyond > idle_days or (beyond > 1 and median(counts.values()) >= 20 * max(1, after / beyond)):
        return bulk
    return None


def _bulk_ends(counts: dict[date, int]) -> date:
    """The day by which 99.9 % of the events have happened."""
    total, seen = sum(counts.values()), 0
    for day, n in counts.items():
        seen += n
        if seen >= 0.999 * total:
            return day
    return max(counts)


def _between(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _users(log: _Log) -> Iterator[Problem]:
    reading, window = log.reading, log.reading.window
    n_users = reading.n_users
    silent = log.one(f"SELECT count(*) FROM {log.gaps} WHERE next_day IS NULL AND n_rows = 1")
    if silent:
        severity = "warning" if silent == n_users else "note"
        advice = note("{share} of the users have no activity in the log.", share=_percent(silent, n_users))
        yield Problem("users", "users_without_activity", severity, silent, None, advice)
    undecided = log.one(
        f"SELECT count(*) FROM {log.gaps} WHERE next_day IS NULL AND day >= {literal(window.first)}"
        f" AND day + {log.rule.idle_days} > {literal(window.last)}"
    )
    if undecided:
        advice = note(
            "{share} of the users were active within {idle_days} days of the end of the log: whether they churn is "
            "not decided yet, and the spell they are in is censored.",
            share=_percent(undecided, n_users),
            idle_days=log.rule.idle_days,
        )
        yield Problem("users", "undecided", "note", undecided, str(window.last), advice)


def _percent(n: int, of: int) -> str | Note:
    """A share in whole percent, never 0% of somebody nor 100% of not everybody."""
    percent = 100 * n / max(of, 1)
    if 0 < percent < 1:
        return note("under 1%")
    return note("over 99%") if 99 < percent < 100 else f"{percent:.0f}%"


def _attributes(log: _Log) -> Iterator[Problem]:
    reading = log.reading
    for column in reading.users_read.attributes:
        quoted = name(column)
        nulls, distinct, example = reading.engine.rows(
            f"SELECT count(*) - count({quoted}), count(DISTINCT {quoted}), min(CAST({quoted} AS VARCHAR))"
            f" FROM {reading.users}"
        )[0]
        if nulls:
            share = _percent(nulls, reading.n_users)
            advice = note("{column} is missing for {share} of the users.", column=repr(column), share=share)
            yield Problem("users", "missing_values", "warning" if not distinct else "note", nulls, column, advice)
        if distinct == 1 and reading.n_users > 1 and not nulls:
            advice = note(
                "{column} is {value} for everybody: it can't explain anything.",
                column=repr(column),
                value=repr(example),
            )
            yield Problem("users", "constant_attribute", "note", reading.n_users, column, advice)


def _amounts(log: _Log) -> Iterator[Problem]:
    if n := count_negative_amounts(log.reading):
        advice = note(
            "Investments and redemptions below zero count as they stand: a negative investment lowers totals and "
            "balances. If the source means redemptions by them, give them that kind and a positive amount."
        )
        yield Problem("events", "negative_amount", "warning", n, "amount", advice)


def _balances(log: _Log) -> Iterator[Problem]:
    reading = log.reading
    if "balances" not in reading.sources:
        return
    repeated = log.one(
        f"SELECT sum(n) FROM (SELECT count(*) AS n FROM {reading.judged('balances')} WHERE _reason IS NULL"
        " GROUP BY _user_key, _day HAVING count(DISTINCT balance) > 1)"
    )
    if repeated:
        advice = note("Several balances of one user on one day: the latest counts, of equal times the highest.")
        yield Problem("balances", "several_on_one_day", "note", repeated, None, advice)
