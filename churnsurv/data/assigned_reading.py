"""Read assignments and rewards: each row judged once, what can't be used handed back, what can't be true refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from churnsurv.data.assigned_sql import MOMENTS, assigned_sql, fine_sql, judged_sql, local_time, repeated_sql
from churnsurv.data.ids import user_ids
from churnsurv.data.sources import Source, open_source
from churnsurv.data.sql import literal, literals, name
from churnsurv.errors import InputError, SchemaError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data.engine import Engine
    from churnsurv.data.log import ActivityLog
    from churnsurv.data.reading import Reading

__all__ = ["Assigned", "assigned", "open_table"]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "assignments": ("user_id", "campaign", "arm", "assigned_at"),
    "rewards": ("user_id", "campaign", "amount"),
}
#: Columns that assignments may have beside covariates.
OPTIONAL = (*MOMENTS, "cost", "stratum", "propensity", "cluster")
_REWARD_DAYS = ("promised_until", "released_at")
_LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """The usable assignments as a table of the engine, and what became of the others.

    Attributes
    ----------
    table : str
        See `assigned_sql.assigned_sql`.
    source : Source
    ids : Mapping of str to str
        SQL of the user id, of one type, in the assignments and the users.
    local : str or None
        SQL of the time of an event `e`, where times of day count on the day of assignment.
    covariates : tuple of (name, type)
    problems : list of str
        SQL of the rows that are left out.
    counts : Mapping of str to int
    """

    table: str
    source: Source
    ids: Mapping[str, str]
    local: str | None
    covariates: tuple[tuple[str, str], ...]
    problems: list[str]
    counts: dict[str, int]


def open_table(engine: Engine, table: str, data: object, mapping: Mapping[str, str]) -> Source:
    """Make assignments or rewards readable by the engine under our names.

    Raises
    ------
    SchemaError
        If a column is missing or named twice.
    InputError
        If there is no table or no row in it, or it cannot be read.
    """
    if data is None:
        raise InputError(f"{table}: no table was given.")
    return _without_empty_days(engine, open_source(engine, table, data, mapping, NEEDED[table]))


def _without_empty_days(engine: Engine, source: Source) -> Source:
    """A column of days that holds nothing but NaN has the type of numbers; it is one of missing days."""
    numbers = [each for each in (*MOMENTS, *_REWARD_DAYS) if source.columns.get(each) in ("DOUBLE", "FLOAT")]
    if not numbers:
        return source
    # isnan of null is null in DuckDB and false in Spark
    some = "count(CASE WHEN {0} IS NOT NULL AND NOT isnan({0}) THEN 1 END)"
    held = ", ".join(some.format(name(each)) for each in numbers)
    found = engine.rows(f"SELECT {held} FROM {source.view}")[0]
    empty = {each for each, n in zip(numbers, found, strict=True) if not n}
    if not empty:
        return source
    columns = ["CAST(NULL AS VARCHAR) AS " + name(each) if each in empty else name(each) for each in source.columns]
    columns += ["_row"] if source.numbered else []
    view = engine.view(f"named_{source.table}", f"SELECT {', '.join(columns)} FROM {source.view}")
    return replace(source, view=view, columns={**source.columns, **dict.fromkeys(empty, "VARCHAR")})


@contextmanager
def assigned(
    log: ActivityLog,
    source: Source,
    *,
    horizon: int,
    covariates: Sequence[str],
    campaigns: Sequence[str] | None,
    exclude_conflicts: bool,
) -> Iterator[Assigned]:
    """Make the table of the usable assignments; it is there until the context ends."""
    reading, engine = log._reading, log.engine
    kinds = _covariate_kinds(reading, source, covariates)
    users = Source("users", reading.users, engine.describe(reading.users))
    ids = user_ids(engine, {"users": users, source.table: source})
    query = judged_sql(reading, source, ids, covariates)
    if campaigns is not None:
        query = f"SELECT * FROM ({query}) AS every WHERE campaign IN ({literals(campaigns)})"
    with ExitStack() as made:

        def table(what: str, sql: str) -> str:
            built = engine.table(what, sql)
            made.callback(engine.drop, built)
            return built

        judged = table("assignments_judged", query)
        arms = _arms(engine, judged)
        _refuse_unknown_campaigns(engine, source, campaigns, arms)
        _refuse_all_left_out(engine, judged, arms)
        _refuse_untrue(engine, judged, source)
        kept = _kept(source, len(covariates))
        repeated = _repeated(engine, judged, kept, table)
        if repeated is not None and not exclude_conflicts:
            _refuse_conflicts(engine, repeated)
        local = _times_of_day(log, judged)
        fine = fine_sql(judged, repeated, kept)
        pairs = _pairs(engine, arms, fine if repeated is not None else None)
        last = literal(reading.window.last)
        rows = table("assigned", assigned_sql(fine, pairs, last, horizon, kept, timed=local is not None))
        problems = [_left_out(judged), *([] if repeated is None else [_repeats_left_out(repeated)])]
        counts = {"rows_read": sum(read for *_, read, _ in arms), **_equal_rows(engine, repeated)}
        yield Assigned(rows, source, ids, local, tuple(zip(covariates, kinds, strict=True)), problems, counts)


def _arms(engine: Engine, judged: str) -> list[tuple[Any, ...]]:
    """Rows of each arm of each campaign, and how many of them can be used."""
    return engine.rows(
        "SELECT campaign, arm, count(*), count(*) FILTER (WHERE _reason IS NULL)"
        f" FROM {judged} GROUP BY campaign, arm ORDER BY campaign, arm"
    )


def _pairs(engine: Engine, arms: Sequence[tuple[Any, ...]], fine: str | None) -> list[tuple[str, str]]:
    """The arms of campaigns that have usable rows; `fine` is SQL of these, where some of `arms` were left out again."""
    pairs = [(campaign, arm) for campaign, arm, _, n in arms if n]
    if fine is None:
        return pairs
    left = set(engine.rows(f"SELECT DISTINCT campaign, arm FROM ({fine}) AS fine"))
    for campaign, arm in pairs:
        if (campaign, arm) not in left:
            raise InputError(
                f"assignments: arm {arm!r} of campaign {campaign!r} is empty: every user of it is in another arm, too. "
                "Keep the arm that each was drawn into."
            )
    return pairs


def _kept(source: Source, n_covariates: int) -> list[str]:
    """The columns that are kept of the usable rows."""
    return [
        *("_user_key", "user_id", "campaign", "arm", "day", "local"),
        *(MOMENTS.get(each, each) for each in OPTIONAL if each in source.columns),
        *(f"x{place}" for place in range(n_covariates)),
    ]


def _equal_rows(engine: Engine, repeated: str | None) -> dict[str, int]:
    if repeated is None:
        return {}
    n = engine.rows(f"SELECT CAST(coalesce(sum(copies - 1), 0) AS BIGINT) FROM {repeated}")[0][0]
    return {"equal_rows": int(n)}


def _covariate_kinds(reading: Reading, source: Source, covariates: Sequence[str]) -> list[str]:
    if isinstance(covariates, str):
        raise InputError(f"covariates is a list of column names; write [{covariates!r}].")
    kinds = []
    attributes = reading.engine.describe(reading.users)
    options = [column for column in (*source.columns, *attributes) if not column.startswith("_")]
    for column in covariates:
        kind = source.columns.get(column) or attributes.get(column)
        if kind is None or column in {"user_id", "registered_at", *NEEDED["assignments"]}:
            raise SchemaError(
                f"covariates: there is no column {column!r} of the assignments or the users to adjust for."
                f"{did_you_mean(str(column), options)} Columns: {', '.join(map(repr, options))}."
            )
        kinds.append(kind)
    return kinds


# ------------------------------------------------------------------------------------------------ what is refused


def _refuse_unknown_campaigns(
    engine: Engine, source: Source, campaigns: Sequence[str] | None, arms: Sequence[tuple[Any, ...]]
) -> None:
    for campaign in campaigns or ():
        if campaign not in {row[0] for row in arms}:
            column = name("campaign")
            there = [
                str(row[0])
                for row in engine.rows(
                    f"SELECT DISTINCT trim(CAST({column} AS VARCHAR)) AS c FROM {source.view} ORDER BY c LIMIT 20"
                )
            ]
            raise InputError(
                f"assignments: there is no campaign {campaign!r}.{did_you_mean(campaign, there)}"
                f" Campaigns: {', '.join(map(repr, there))}."
            )


def _refuse_all_left_out(engine: Engine, judged: str, arms: Sequence[tuple[Any, ...]]) -> None:
    """An arm that is named but has nobody left can't be compared with anything."""
    empty = [(campaign, arm, n) for campaign, arm, n, fine in arms if campaign and arm and not fine]
    if not empty and any(fine for *_, fine in arms):
        return
    where = "" if not empty else f" WHERE campaign = {literal(empty[0][0])} AND arm = {literal(empty[0][1])}"
    reasons = engine.rows(
        f"SELECT _reason, count(*) AS n FROM {judged}{where} GROUP BY _reason ORDER BY n DESC, _reason"
    )
    told = ", ".join(f"{reason} {n:,}" for reason, n in reasons)
    what = f"arm {empty[0][1]!r} of campaign {empty[0][0]!r} is empty: " if empty else "no row can be used: "
    raise InputError(
        f"assignments: {what}every row of it is left out ({told}). Check the ids, the dates and the window of the log."
    )


def _refuse_untrue(engine: Engine, judged: str, source: Source) -> None:
    """What no row may say: it is wrong in a way that leaving the row out would hide."""
    wrong: list[tuple[str, str, str, str]] = []
    late = "What comes of an assignment can't come before it: check which column has the day that arms were drawn."
    for column, day in MOMENTS.items():
        if column in source.columns:
            text = f"CAST({column} AS VARCHAR)"
            wrong += [
                (f"{column} IS NOT NULL AND {day} IS NULL", text, f"{column!r} can't be read as a day", "Use dates."),
                (f"{day} < day", text, f"{column!r} lies before assigned_at", late),
            ]
    cost, share = "CAST(cost AS VARCHAR)", "CAST(propensity AS VARCHAR)"
    if "cost" in source.columns:
        wrong += [
            ("cost_bad", "NULL", "'cost' is no number", "Give what the contact cost; null or 0 for none."),
            ("cost < 0", cost, "'cost' is negative", "A cost is what was paid for the contact, 0 or more."),
        ]
    if "propensity" in source.columns:
        wrong += [
            ("propensity_bad OR propensity IS NULL", "NULL", "'propensity' is no number", "Each row needs one."),
            (
                "propensity <= 0 OR propensity >= 1", share, "'propensity' is not between 0 and 1",
                "It is the probability of the arm that the user got; where it is 0 or 1 there is nobody to compare "
                "with: leave these users out on both sides.",
            ),
        ]  # fmt: skip
    if not wrong:
        return
    parts = ", ".join(
        f"count(*) FILTER (WHERE {condition}), min(CASE WHEN {condition} THEN {value} END),"
        f" min(CASE WHEN {condition} THEN CAST(user_id AS VARCHAR) END)"
        for condition, value, *_ in wrong
    )
    found = engine.rows(f"SELECT {parts} FROM {judged} WHERE _reason IS NULL")[0]
    for place, (_, _, what, do) in enumerate(wrong):
        n, value, user = found[3 * place : 3 * place + 3]
        if n:
            example = f"user {user}" + ("" if value is None else f" ({value})")
            raise InputError(f"assignments: {what} in {n:,} rows, such as {example}. {do}")


def _refuse_conflicts(engine: Engine, repeated: str) -> None:
    found = engine.rows(
        f"SELECT DISTINCT campaign, CAST(user_id AS VARCHAR) AS user_id, arm FROM {repeated} WHERE n_arms > 1"
        " ORDER BY campaign, user_id, arm"
    )
    if not found:
        return
    users: dict[tuple[str, str], list[str]] = {}
    for campaign, user, arm in found:
        users.setdefault((campaign, user), []).append(arm)
    listed = "; ".join(f"user {u} in {c!r}: {', '.join(arms)}" for (c, u), arms in list(users.items())[:_LISTED])
    more = f" and {len(users) - _LISTED:,} more" if len(users) > _LISTED else ""
    raise InputError(
        f"assignments: {len(users):,} users are in two arms of one campaign ({listed}{more}). Keep the arm that each "
        "was drawn into. exclude_conflicts=True leaves these users out of all arms; the arms are then comparable only "
        "if being in two of them had nothing to do with what the users did."
    )


# ---------------------------------------------------------------------------------------------------- what is made


def _repeated(engine: Engine, judged: str, kept: Sequence[str], table: Any) -> str | None:
    """The table of users with several rows in a campaign; None where there are none."""
    some = engine.rows(
        f"SELECT count(*) FROM (SELECT 1 FROM {judged} WHERE _reason IS NULL GROUP BY campaign, _user_key"
        " HAVING count(*) > 1 LIMIT 1) AS several"
    )[0][0]
    if not some:
        return None
    first = ["day", "local"]
    order = [*first, *(column for column in kept if column not in first)]
    made: str = table("assignments_repeated", repeated_sql(judged, order))
    return made


def _times_of_day(log: ActivityLog, judged: str) -> str | None:
    """SQL of the time of an event, if both assignments and events have a time of day somewhere."""
    reading, engine = log._reading, log.engine

    def some(query: str) -> bool:
        return bool(engine.rows(f"SELECT count(*) FROM ({query} LIMIT 1) AS one")[0][0])

    if not some(f"SELECT 1 FROM {judged} WHERE _reason IS NULL AND local <> CAST(day AS TIMESTAMP)"):
        return None
    source = reading.sources["events"]
    kind = source.columns["event_at"]
    local = local_time(reading.clock, "e._at", kind if not kind.startswith("ENUM") else "VARCHAR", "events: 'event_at'")
    events = reading.judged("events")
    timed = some(f"SELECT 1 FROM {events} AS e WHERE e._reason IS NULL AND {local} <> CAST(e._day AS TIMESTAMP)")
    return local if timed else None


def _left_out(judged: str) -> str:
    return (
        "SELECT 'assignments' AS \"table\", CAST(_user_id AS VARCHAR) AS user_id, campaign, arm, _reason AS reason,"
        " CASE WHEN _reason = 'unparsable_date' THEN CAST(_at AS VARCHAR)"
        " WHEN _reason LIKE 'assigned%' THEN CAST(day AS VARCHAR)"
        " WHEN _reason = 'unknown_user' THEN CAST(_user_id AS VARCHAR) END AS value"
        f" FROM {judged} WHERE _reason IS NOT NULL"
    )


def _repeats_left_out(repeated: str) -> str:
    return (
        "SELECT 'assignments' AS \"table\", CAST(user_id AS VARCHAR) AS user_id, campaign, arm,"
        " CASE WHEN n_arms > 1 THEN 'two_arms' ELSE 'duplicate_assignment' END AS reason,"
        f" CAST(day AS VARCHAR) AS value FROM {repeated} WHERE n_arms > 1 OR recency > 1"
    )
