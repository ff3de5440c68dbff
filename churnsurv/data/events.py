"""Clean events, balances and feedback: each row judged once by a view; nothing is copied and nothing goes unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churnsurv.data.sql import literal, literals, name
from churnsurv.data.users import MOMENTS, dated, text_or_null
from churnsurv.errors import SchemaError

if TYPE_CHECKING:
    from churnsurv.data.clock import Clock
    from churnsurv.data.engine import Engine
    from churnsurv.data.sources import Source

__all__ = ["Audit", "Number", "audit_events", "judge", "last_day", "number", "rejects_sql", "too_large"]

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


#: From about here on a number has more millionths than 64 bits can hold, so that it cannot be added exactly.
_TOO_LARGE = 9_000_000_000_000
#: The column with the number of a row.
_AMOUNTS: Mapping[str, str] = {"events": "amount", "balances": "balance"}


@dataclass(frozen=True, slots=True)
class Number:
    """SQL of a numeric column: its value (null where missing) and whether it is no number."""

    value: str
    bad: str


def number(source: Source, column: str, alias: str = "") -> Number:
    """Read a column as numbers: NaN is missing, infinities and text that is no number are bad.

    `alias` is put before the column, such as ``"e."``.

    Raises
    ------
    SchemaError
        If the type can't hold numbers.
    """
    kind, quoted = source.columns[column], alias + name(column)
    if kind in _NUMBERS or kind.startswith("DECIMAL"):
        return Number(quoted, "FALSE")
    if kind in {"DOUBLE", "FLOAT"}:
        return Number(f"CASE WHEN NOT isnan({quoted}) THEN {quoted} END", f"coalesce(isinf({quoted}), FALSE)")
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        text = text_or_null(quoted, kind)
        read = f"TRY_CAST({text} AS DOUBLE)"
        return Number(
            f"CASE WHEN NOT isnan({read}) THEN {read} END",
            f"coalesce({text} IS NOT NULL AND ({read} IS NULL OR isinf({read})), FALSE)",
        )
    raise SchemaError(f"{source.table}: {column!r} has type {kind}; numbers are needed.")


def too_large(kind: str, value: str) -> str:
    """SQL of whether a number read from a column of type `kind` is too large to be added exactly.

    Floating-point numbers and text are added as whole millionths of 64 bits; decimals and whole numbers as they are.
    """
    if kind in _NUMBERS or kind.startswith("DECIMAL"):
        return "FALSE"
    return f"abs({value}) >= {literal(float(_TOO_LARGE))}"


def judge(engine: Engine, source: Source, user_id: str, clock: Clock, users: str, *, with_row: bool = False) -> str:
    """Make the view of a source with its day, its user's key and the reason why a row can't be used (null: it can).

    The view is `_user_key, _day, _at, _reason, user_id` and the columns of the source; `amount` and `balance` are
    numbers, `kind`, `reason` and `route` text. The engine reads from the source only the columns that a question names.
    """
    rows, day = dated(source, clock, user_id, with_row=with_row)
    columns = ["_user_id AS user_id", "_at", f"{day} AS _day", *_values(source)]
    if with_row:
        columns += ["_row"]
    reasons = [
        "WHEN e.user_id IS NULL THEN 'missing_user_id'",
        "WHEN u.user_id IS NULL THEN 'unknown_user'",
        "WHEN e._at IS NULL THEN 'missing_date'",
        "WHEN e._day IS NULL THEN 'unparsable_date'",
    ]
    if source.table == "events" and "kind" in source.columns:
        reasons.append("WHEN e.kind IS NULL THEN 'missing_kind'")
    if source.table == "events":
        reasons.append("WHEN e._day < u.registered_at THEN 'before_registration'")
    if source.table == "feedback":
        reasons.append("WHEN e.reason IS NULL THEN 'missing_reason'")
    amount = _AMOUNTS.get(source.table, "")
    if amount:
        reasons.append(f"WHEN e._bad THEN '{amount}_not_a_number'")
    if amount in source.columns and (large := too_large(source.columns[amount], f"e.{amount}")) != "FALSE":
        reasons.append(f"WHEN {large} THEN '{amount}_too_large'")
    return engine.view(
        f"{source.table}_judged",
        f"SELECT u._user_key, e.*, CASE {' '.join(reasons)} END AS _reason"
        f" FROM (SELECT {', '.join(columns)} FROM {rows}) AS e LEFT JOIN {users} AS u ON e.user_id = u.user_id",
    )


def _values(source: Source) -> list[str]:
    """SQL of the other columns: the kind as text, the amount as a number and as found, the rest as they are."""
    amount = _AMOUNTS.get(source.table, "")
    words = ("reason", "route") if source.table == "feedback" else ("kind",)
    special = {"user_id", MOMENTS[source.table], amount, *words}
    columns = [name(column) for column in source.columns if column not in special]
    columns += [
        f"{text_or_null(name(word), source.columns[word], always=True)} AS {word}"
        for word in words
        if word in source.columns
    ]
    if amount not in source.columns:
        return [*columns, "CAST(NULL AS VARCHAR) AS _amount", "FALSE AS _bad"]
    values = number(source, amount)
    # A missing amount is a fact about an event; a balance that is missing says nothing at all.
    bad = values.bad if amount == "amount" else f"{values.bad} OR {values.value} IS NULL"
    return [*columns, f"{values.value} AS {amount}", f"CAST({name(amount)} AS VARCHAR) AS _amount", f"{bad} AS _bad"]


def last_day(engine: Engine, source: Source, clock: Clock) -> date | None:
    """Last day of all events whose day can be read."""
    rows, day = dated(source, clock, "NULL")
    last: date | None = engine.rows(f"SELECT max(_day) FROM (SELECT {day} AS _day FROM {rows})")[0][0]
    return last


@dataclass(frozen=True, slots=True)
class Audit:
    """How the event rows divide: every row is rejected for a reason, outside the window, or accepted.

    Attributes
    ----------
    rows : tuple of (reason, inside, kind, n)
        Number of rows by the reason of their reject (None: none), whether their day is inside the window, and kind.
    """

    rows: tuple[tuple[str | None, bool | None, str | None, int], ...]

    @property
    def read(self) -> int:
        """Rows in all."""
        return sum(n for *_, n in self.rows)

    @property
    def rejected(self) -> int:
        """Rows with a reason."""
        return sum(n for reason, *_, n in self.rows if reason is not None)

    @property
    def outside_window(self) -> int:
        """Rows without fault on a day that the log does not cover."""
        return sum(n for reason, inside, _, n in self.rows if reason is None and not inside)

    @property
    def accepted(self) -> int:
        """Accepted rows inside the window, of any kind."""
        return sum(n for reason, inside, _, n in self.rows if reason is None and inside)

    @property
    def kinds(self) -> dict[str, int]:
        """Every kind that occurs with its number of rows, most frequent first."""
        counts: dict[str, int] = {}
        for _, _, kind, n in self.rows:
            if kind is not None:
                counts[kind] = counts.get(kind, 0) + n
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def activity(self, kinds: tuple[str, ...] | None) -> int:
        """Accepted rows inside the window that are activity."""
        wanted = self.rows if kinds is None else [row for row in self.rows if row[2] in kinds]
        return sum(n for reason, inside, _, n in wanted if reason is None and inside)


def audit_events(engine: Engine, judged: str, first_day: date, last_day: date, *, with_kind: bool) -> Audit:
    """Count the event rows by what becomes of them, in one scan."""
    kind = "kind" if with_kind else "CAST(NULL AS VARCHAR)"
    rows = engine.rows(
        f"SELECT _reason, inside, kind, count(*) FROM (SELECT _reason, {kind} AS kind,"
        f" _day BETWEEN {literal(first_day)} AND {literal(last_day)} AS inside FROM {judged})"
        " GROUP BY _reason, inside, kind"
    )
    return Audit(tuple((reason, inside, kind, int(n)) for reason, inside, kind, n in rows))


def is_activity(kinds: tuple[str, ...] | None) -> str:
    """SQL of whether an event counts as activity."""
    return "TRUE" if kinds is None else f"kind IN ({literals(kinds)})"


def rejects_sql(judged: str, table: str) -> str:
    """SQL of the rejected rows of a judged view (made with positions) in the layout of the rejects."""
    return (
        f'SELECT {literal(table)} AS "table", _row AS row, CAST(user_id AS VARCHAR) AS user_id, _reason AS reason,'
        " CASE WHEN _reason = 'unknown_user' THEN CAST(user_id AS VARCHAR)"
        " WHEN _reason LIKE '%not_a_number' OR _reason LIKE '%too_large' THEN _amount"
        " WHEN _reason IN ('unparsable_date', 'before_registration') THEN CAST(_at AS VARCHAR) END AS value"
        f" FROM {judged} WHERE _reason IS NOT NULL"
    )
