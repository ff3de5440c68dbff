"""One user's life in the log, day by day: what happened, where spells begin and end, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from churnsurv.data.spells_sql import Window, long_gaps_sql, spells_sql
from churnsurv.data.sql import literal, name
from churnsurv.errors import InputError
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.rule import ChurnRule

__all__ = ["Day", "Story", "tell"]

#: The order of what happens on one day.
_ORDER = ("registered", "returned", "active", "other event", "entered", "unseen", "churned", "censored")


@dataclass(frozen=True, slots=True)
class Day:
    """One thing that happened: date, spell and day of the spell (None between spells), what, and in words."""

    date: date | None
    spell: int | None
    day: int | None
    what: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Story(Result):
    """What the log knows of one user; made by `ActivityLog.story`.

    Attributes
    ----------
    user_id : object
    rule : ChurnRule
    days : tuple of Day
        In order of date. Rows that could not be used come last where their date can't be read.
    """

    _schema: ClassVar[str] = "story"

    user_id: object
    rule: ChurnRule
    days: tuple[Day, ...]

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table; schema "story"."""
        import pandas as pd

        return pd.DataFrame(
            {
                "date": pd.Series([day.date for day in self.days]).astype("datetime64[s]"),
                "spell": pd.array([day.spell for day in self.days], dtype="Int64"),
                "day": pd.array([day.day for day in self.days], dtype="Int64"),
                "what": pd.Series([day.what for day in self.days], dtype=object),
                "detail": pd.Series([day.detail for day in self.days], dtype=object),
            }
        )

    def _headline(self) -> str:
        told = [day.what for day in self.days]
        spells = {day.spell for day in self.days if day.spell is not None}
        return (
            f"user {self.user_id}: {_many(len(spells), 'spell')}, {_many(told.count('churned'), 'churn')}, "
            f"{_many(told.count('active'), 'active day')}; {self.rule}"
        )

    def _facts(self) -> dict[str, Any]:
        rule = {"idle_days": self.rule.idle_days, "activity": self.rule.activity}
        return {"user_id": self.user_id, "rule": rule}


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class _Spell:
    number: int
    origin: date
    entry: int
    churned: bool
    last_activity: date
    end_date: date
    fate: str | None

    def day(self, on: date) -> int:
        return (on - self.origin).days

    def holds(self, on: date) -> bool:
        return self.fate is None and self.origin <= on <= self.end_date


def tell(reading: Reading, rule: ChurnRule, user_id: object) -> Story:
    """Tell the story of a user.

    Raises
    ------
    InputError
        If no table of users has this id; the nearest is given.
    """
    kinds: Kinds = None if rule.activity is None else tuple(rule.activity)
    user = _find(reading, user_id)
    registered, rows = _user_rows(reading, user)
    spells = _spells(reading, kinds, rule, user) if registered is not None else []
    days = list(rows)
    if registered is not None:
        days += _events(reading, kinds, user, spells)
        days += _edges(spells, registered, rule, reading.window)
    days += _rejected_events(reading, user)
    return Story(user_id, rule, tuple(sorted(days, key=_place)))


def _place(day: Day) -> tuple[date, int, str, str]:
    order = _ORDER.index(day.what) if day.what in _ORDER else len(_ORDER)
    return day.date or date.max, order, day.what, day.detail


def _find(reading: Reading, user_id: object) -> str:
    """SQL of the id as the tables have it."""
    text = str(user_id)
    table = reading.users_read.judged
    same = f"CAST(user_id AS VARCHAR) = {literal(text)}"
    if reading.engine.rows(f"SELECT count(*) FROM {table} WHERE {same}")[0][0]:
        kind = reading.engine.describe(table)["user_id"]
        return literal(text) if kind == "VARCHAR" else f"CAST({literal(text)} AS {kind})"
    near = reading.engine.rows(
        f"SELECT id, levenshtein(id, {literal(text)}) AS distance"
        f" FROM (SELECT DISTINCT CAST(user_id AS VARCHAR) AS id FROM {table} WHERE user_id IS NOT NULL)"
        " ORDER BY distance, id LIMIT 3"
    )
    nearest = ", ".join(repr(row[0]) for row in near) or "none"
    raise InputError(f"There is no user {text!r} in the users. The nearest ids are {nearest}.")


def _user_rows(reading: Reading, user: str) -> tuple[date | None, list[Day]]:
    """Registration, and the user's rows that were rejected."""
    attributes = reading.users_read.attributes
    picked = "".join(f", CAST({name(column)} AS VARCHAR)" for column in attributes)
    rows = reading.engine.rows(
        f"SELECT _day, _reason, CAST(_at AS VARCHAR){picked} FROM {reading.users_read.judged} WHERE user_id = {user}"
        f" ORDER BY _reason IS NOT NULL, _day, _row, _at{picked}"
    )
    registered, days = None, []
    for day, reason, at, *values in rows:
        late = day is not None and day > reading.window.last
        if reason is not None or late:
            days.append(Day(day, None, None, "rejected", f"users: {reason or 'registered_after_window'} ({at})"))
            continue
        registered = day
        detail = ", ".join(f"{column} {value}" for column, value in zip(attributes, values, strict=True) if value)
        before = reading.window.first
        if day < before:
            detail = f"before the log begins on {before}{', ' if detail else ''}{detail}"
        days.append(Day(day, 1 if day >= before else None, 0 if day >= before else None, "registered", detail))
    return registered, days


def _spells(reading: Reading, kinds: Kinds, rule: ChurnRule, user: str) -> list[_Spell]:
    """The same SQL as for all users, on the rows of this one."""
    reading.require_activity(kinds)
    users = f"(SELECT * FROM {reading.users} WHERE user_id = {user})"
    judged = f"(SELECT * FROM {reading.judged('events')} WHERE user_id = {user})"
    gaps = f"({long_gaps_sql(judged, users, kinds, reading.window, longer_than=rule.idle_days)})"
    query = spells_sql(gaps, users, reading.window, rule.idle_days)
    rows = reading.engine.rows(
        f"SELECT spell, origin, entry, churned, last_activity, end_date, fate FROM ({query}) ORDER BY spell"
    )
    return [_Spell(*row) for row in rows]


def _events(reading: Reading, kinds: Kinds, user: str, spells: list[_Spell]) -> list[Day]:
    source = reading.sources["events"]
    kind = "kind" if "kind" in source.columns else "CAST(NULL AS VARCHAR)"
    amount = "amount" if "amount" in source.columns else "CAST(NULL AS DOUBLE)"
    rows = reading.engine.rows(
        "SELECT _day, what, count(*), CAST(sum(amount) AS DOUBLE)"
        f" FROM (SELECT _day, {kind} AS what, {amount} AS amount FROM {reading.judged('events')}"
        f" WHERE user_id = {user} AND _reason IS NULL) GROUP BY _day, what ORDER BY _day, what"
    )
    days: dict[tuple[date, str], list[str]] = {}
    for day, what, n, total in rows:
        outside = not reading.window.first <= day <= reading.window.last
        active = kinds is None or what in kinds
        part = f"{what or 'event'}{f' {n} times' if n > 1 else ''}{f' for {total:,.2f}' if total is not None else ''}"
        days.setdefault((day, "outside window" if outside else "active" if active else "other event"), []).append(part)
    told = []
    for (day, what), parts in days.items():
        spell = next((spell for spell in spells if what != "outside window" and spell.holds(day)), None)
        number, since = (None, None) if spell is None else (spell.number, spell.day(day))
        told.append(Day(day, number, since, what, ", ".join(parts)))
    return told


def _edges(spells: list[_Spell], registered: date, rule: ChurnRule, window: Window) -> list[Day]:
    days = []
    idle, activity = rule.idle_days, "activity" if rule.activity is None else " or ".join(rule.activity)
    proof = window.first + timedelta(days=idle - 1)
    for spell in spells:
        if spell.fate is not None:
            days.append(Day(min(proof, window.last), None, None, "unseen", _UNSEEN[spell.fate].format(idle=idle)))
            continue
        if spell.number > 1:
            days.append(Day(spell.origin, spell.number, 0, "returned", f"opens spell {spell.number}"))
        elif registered < window.first:
            days.append(Day(proof, 1, spell.entry, "entered", _ENTERED.format(idle=idle)))
        at_end = spell.day(spell.end_date)
        if spell.churned:
            detail = f"{idle} days without {activity} since {spell.last_activity}"
            days.append(Day(spell.end_date, spell.number, at_end, "churned", detail))
        else:
            idle_now = (window.last - spell.last_activity).days
            detail = f"idle {idle_now} of {idle} days when the log ends"
            days.append(Day(spell.end_date, spell.number, at_end, "censored", detail))
    return days


_ENTERED = (
    "registered before the log begins and active within its first {idle} days: alive, and at risk after this day; an "
    "earlier churn may lie before the log, so this first spell is left out unless left_truncated='assume_first_spell'"
)
_UNSEEN: Mapping[str, str] = {
    "undetermined": "registered before the log begins, and the log is shorter than {idle} days: no spell can be told",
    "not_seen": "registered before the log begins and never active in it: churned on a day that the log does not show",
    "first_spell_unseen": (
        "registered before the log begins and not active in its first {idle} days: churned on a day that the log does "
        "not show"
    ),
}


def _rejected_events(reading: Reading, user: str) -> list[Day]:
    told = []
    for table in (table for table in ("events", "balances") if table in reading.sources):
        rows = reading.engine.rows(
            f"SELECT _day, _reason, CAST(_at AS VARCHAR) AS found, _amount FROM {reading.judged(table)}"
            f" WHERE user_id = {user} AND _reason IS NOT NULL ORDER BY _day, _reason, found, _amount"
        )
        for day, reason, at, amount in rows:
            value = amount if reason.endswith(("not_a_number", "too_large")) else at
            told.append(Day(day, None, None, "rejected", f"{table}: {reason}{f' ({value})' if value else ''}"))
    return told
