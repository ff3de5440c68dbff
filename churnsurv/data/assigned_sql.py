"""Assignments and what users did before and after them, as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.data.clock import Clock, _offsets, _shifts, _tree
from churnsurv.data.events import is_activity, number
from churnsurv.data.sql import literal, name
from churnsurv.data.users import text_or_null

if TYPE_CHECKING:
    from churnsurv.data.reading import Kinds, Reading
    from churnsurv.data.sources import Source

__all__ = [
    "MOMENTS",
    "after_sql",
    "assigned_sql",
    "before_sql",
    "fine_sql",
    "has_amounts",
    "judged_sql",
    "local_time",
    "repeated_sql",
    "rewards_sql",
]

#: Days that assignments may have beside their own, and what they are called once read.
MOMENTS: Mapping[str, str] = {
    "delivered_at": "delivered",
    "opened_at": "opened",
    "second_contact_at": "second",
}
_MILLION = literal(1_000_000.0)
#: Days before the assignment whose behaviour is compared.
_BEFORE = 30


def local_time(clock: Clock, column: str, kind: str, where: str) -> str:
    """SQL of a moment on the clock of `time_zone`; null for what is a date without a time of day.

    Examples
    --------
    >>> local_time(Clock("UTC", "UTC"), "at", "TIMESTAMP", "events: 'event_at'")
    '(at)'
    """
    columns = clock.moment(column, kind, where).columns
    target, parts = _offsets(clock.time_zone), []
    if "_naive" in columns:
        same = clock.timestamps == clock.time_zone
        shifts = ((None, 0),) if same else _shifts(_offsets(clock.timestamps), target)
        parts.append(_moved(f"({columns['_naive']})", shifts))
    if "_utc" in columns:
        parts.append(_moved(f"({columns['_utc']})", target))
    if not parts:
        return "CAST(NULL AS TIMESTAMP)"
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def _moved(moment: str, offsets: Any) -> str:
    return moment if [seconds for _, seconds in offsets] == [0] else f"{moment} + {_tree(offsets, moment)}"


def judged_sql(reading: Reading, source: Source, ids: Mapping[str, str], covariates: Sequence[str]) -> str:
    """SQL of the assignments with the key of their user, and why a row can't be used (null: it can).

    Columns: `_user_id, campaign, arm, stratum, cluster, _at, day, local`, those of `MOMENTS` as given and as days,
    `cost, cost_bad, propensity, propensity_bad, x0 ..., _user_key, user_id, registered_at, _reason`.
    """
    first, last = literal(reading.window.first), literal(reading.window.last)
    columns = [f"{ids[source.table]} AS _user_id", *_read(reading.clock, source)]
    columns += [f"{name(column)} AS x{place}" for place, column in enumerate(covariates) if column in source.columns]
    attributes = "".join(
        f", u.{name(column)} AS x{place}" for place, column in enumerate(covariates) if column not in source.columns
    )
    picked = "".join(f", {name(column)}" for column in covariates if column not in source.columns)
    users = f"SELECT _user_key, user_id, registered_at, {ids['users']} AS _user_id{picked} FROM {reading.users}"
    return f"""
        SELECT a.*, u._user_key, u.user_id, u.registered_at{attributes}, CASE
            WHEN a._user_id IS NULL THEN 'missing_user_id'
            WHEN u._user_id IS NULL THEN 'unknown_user'
            WHEN a.campaign IS NULL THEN 'missing_campaign'
            WHEN a.arm IS NULL THEN 'missing_arm'
            WHEN a._at IS NULL THEN 'missing_date'
            WHEN a.day IS NULL THEN 'unparsable_date'
            WHEN a.day < u.registered_at THEN 'assigned_before_registration'
            WHEN a.day < {first} THEN 'assigned_before_log'
            WHEN a.day > {last} THEN 'assigned_after_log'
        END AS _reason
        FROM (SELECT {", ".join(columns)} FROM {source.view}) AS a
        LEFT JOIN ({users}) AS u ON a._user_id = u._user_id
    """


def _read(clock: Clock, source: Source) -> list[str]:
    """SQL of the columns of assignments; what is not there is null."""
    read = [_text(source, column) for column in ("campaign", "arm", "stratum", "cluster")]
    for column, day in (("assigned_at", "day"), *MOMENTS.items()):
        kind = source.columns.get(column)
        at = "_at" if column == "assigned_at" else column
        if kind is None:
            read += [f"CAST(NULL AS DATE) AS {at}", f"CAST(NULL AS DATE) AS {day}"]
            continue
        where = f"{source.table}: {column!r}"
        read += [f"{text_or_null(name(column), kind)} AS {at}", f"{clock.day(name(column), kind, where)} AS {day}"]
        if day == "day":
            read.append(f"{local_time(clock, name(column), kind, where)} AS local")
    for column in ("cost", "propensity"):
        if column in source.columns:
            values = number(source, column)
            # What is no number at all must not end the query before it can be told.
            value = f"CASE WHEN NOT ({values.bad}) THEN CAST({values.value} AS DOUBLE) END"
            read += [f"{value} AS {column}", f"{values.bad} AS {column}_bad"]
        else:
            read += [f"CAST(NULL AS DOUBLE) AS {column}", f"FALSE AS {column}_bad"]
    return read


def _text(source: Source, column: str) -> str:
    if column not in source.columns:
        return f"CAST(NULL AS VARCHAR) AS {column}"
    return f"{text_or_null(name(column), source.columns[column], always=True)} AS {column}"


def repeated_sql(judged: str, columns: Sequence[str]) -> str:
    """SQL of the usable rows of users with several in one campaign, equal ones as one, with how they differ.

    `copies` counts equal rows, `n_arms` the arms of the user; `recency` is 1 for the earliest row, and of equal days
    for the one whose values come first.
    """
    everything = ", ".join(f"j.{column}" for column in columns)
    return f"""
        SELECT *, row_number() OVER (PARTITION BY campaign, _user_key ORDER BY {", ".join(columns)}) AS recency
        FROM (
            SELECT {everything}, r.n_arms, count(*) AS copies
            FROM (SELECT * FROM {judged} WHERE _reason IS NULL) AS j JOIN (
                SELECT campaign, _user_key, count(DISTINCT arm) AS n_arms FROM {judged} WHERE _reason IS NULL
                GROUP BY campaign, _user_key HAVING count(*) > 1
            ) AS r ON j.campaign = r.campaign AND j._user_key = r._user_key
            GROUP BY {everything}, r.n_arms
        ) AS different
    """


def assigned_sql(
    fine: str,
    pairs: Sequence[tuple[str, str]],
    last_day: str,
    horizon: int,
    columns: Sequence[str],
    *,
    timed: bool,
) -> str:
    """SQL of one row for each user in a campaign, numbered by `place` in the order of campaign and user.

    Parameters
    ----------
    fine : str
        SQL of the usable rows, see `fine_sql`, with `columns`.
    pairs : sequence of (campaign, arm)
        All that there are; their codes are in alphabetical order.
    last_day : str
        SQL of the last day of the log; `last` is that, or the last day of the horizon.
    timed : bool
        Whether times of day count: `since` is the time of assignment, else null.
    """
    campaigns, arms = (
        {each: code for code, each in enumerate(sorted(set(names)))} for names in zip(*pairs, strict=True)
    )
    single = len(campaigns) == 1
    users = "0" if single else "CAST(dense_rank() OVER (ORDER BY j._user_key) - 1 AS INTEGER)"
    alone = "cluster IS NULL, cluster, CASE WHEN cluster IS NULL THEN j._user_key END"
    clusters = f"CAST(dense_rank() OVER (ORDER BY {alone}) - 1 AS INTEGER)" if "cluster" in columns else "0"
    campaign = _coded("j.campaign", campaigns)
    strata, stratum, join = "", campaign, ""
    if "stratum" in columns:
        strata = """, strata AS (
            SELECT campaign, stratum, row_number() OVER (ORDER BY campaign, stratum NULLS FIRST) - 1 AS code
            FROM (SELECT DISTINCT campaign, stratum FROM fine) AS s
        )"""
        stratum = "CAST(s.code AS INTEGER)"
        join = "JOIN strata AS s ON j.campaign = s.campaign AND j.stratum IS NOT DISTINCT FROM s.stratum"
    order = "j._user_key" if single else "j.campaign, j._user_key"
    return f"""
        WITH fine AS ({fine}){strata}
        SELECT CAST(row_number() OVER (ORDER BY {order}) - 1 AS INTEGER) AS place, j.*,
               {campaign} AS campaign_code, {_coded("j.arm", arms)} AS arm_code, {stratum} AS stratum_code,
               {users} AS user_code, {clusters} AS cluster_code,
               CAST(date_diff('day', j.day, {last_day}) + 1 AS INTEGER) AS followed,
               least({last_day}, j.day + {horizon - 1}) AS last,
               {"j.local" if timed else "CAST(NULL AS TIMESTAMP)"} AS since
        FROM fine AS j {join}
    """


def _coded(column: str, codes: Mapping[str, int]) -> str:
    """SQL of the code of a text."""
    if len(codes) == 1:
        return "CAST(0 AS INTEGER)"
    return f"CASE {column} {' '.join(f'WHEN {literal(each)} THEN {code}' for each, code in codes.items())} END"


def fine_sql(judged: str, repeated: str | None, columns: Sequence[str]) -> str:
    """SQL of the usable rows; of users with several in one campaign the earliest, where all are in one arm."""
    kept = ", ".join(columns)
    rows = f"SELECT {kept} FROM {judged} AS j WHERE _reason IS NULL"
    if repeated is None:
        return rows
    return (
        f"{rows} AND NOT EXISTS (SELECT 1 FROM {repeated} AS r WHERE r.campaign = j.campaign"
        " AND r._user_key = j._user_key)"
        f" UNION ALL SELECT {kept} FROM {repeated} WHERE recency = 1 AND n_arms = 1"
    )


def after_sql(reading: Reading, kinds: Kinds, assigned: str, local: str | None) -> str:
    """SQL of the days of rows with activity or money, up to the horizon: `place, u, active, invested, redeemed`.

    `local` is SQL of the time of an event, where times of day count: on the day of assignment what comes after it.
    """
    later = "" if local is None else f" AND (e._day > r.day OR r.since IS NULL OR {local} IS NULL OR {local} > r.since)"
    return f"""
        SELECT place, u, max(active) AS active, {_total("invested")}, {_total("redeemed")} FROM (
            SELECT r.place, CAST(date_diff('day', r.day, e._day) + 1 AS INTEGER) AS u,
                   CASE WHEN {is_activity(kinds)} THEN 1 ELSE 0 END AS active,
                   {_millionths(reading, "invest")} AS invested, {_millionths(reading, "redeem")} AS redeemed
            FROM {reading.judged("events")} AS e JOIN {assigned} AS r ON e._user_key = r._user_key
            WHERE e._reason IS NULL AND {_relevant(reading, kinds)} AND e._day BETWEEN r.day AND r.last{later}
        ) AS e GROUP BY place, u
    """


def before_sql(reading: Reading, kinds: Kinds, assigned: str, local: str | None) -> str:
    """SQL of what rows did before their assignment: `place, last_active, days, invested, net`.

    `days` counts the days with activity among the 30 before; times of day as in `after_sql`, so that what comes before
    the assignment on its day is the 31st. `invested` is of these days, `net` is invested less redeemed in the whole
    log; 0 where a table tells the balances.
    """
    first = literal(reading.window.first)
    earlier = "e._day < r.day"
    if local is not None:
        earlier = f"({earlier} OR (e._day = r.day AND r.since IS NOT NULL AND {local} <= r.since))"
    bit = f"CAST(1 AS BIGINT) << CAST({_BEFORE} - ago AS INTEGER)"
    net = "0 AS net" if "balances" in reading.sources else _total("net")
    return f"""
        SELECT place, max(CASE WHEN active THEN _day END) AS last_active,
               CAST(bit_count(bit_or(CASE WHEN active AND ago <= {_BEFORE} THEN {bit} ELSE 0 END)) AS INTEGER) AS days,
               {_total("invested", f"ago <= {_BEFORE}")}, {net}
        FROM (
            SELECT r.place, e._day, CAST(date_diff('day', e._day, r.day) AS INTEGER) AS ago,
                   {is_activity(kinds)} AS active, {_millionths(reading, "invest")} AS invested,
                   {_millionths(reading, "invest", "redeem")} AS net
            FROM {reading.judged("events")} AS e JOIN {assigned} AS r ON e._user_key = r._user_key
            WHERE e._reason IS NULL AND {_relevant(reading, kinds)} AND e._day >= {first} AND {earlier}
        ) AS e GROUP BY place
    """


def _relevant(reading: Reading, kinds: Kinds) -> str:
    if kinds is None or not has_amounts(reading):
        return is_activity(kinds)
    return is_activity((*kinds, *({"invest", "redeem"}.difference(kinds))))


def has_amounts(reading: Reading) -> bool:
    """Whether events say what was invested."""
    return {"kind", "amount"} <= set(reading.sources["events"].columns)


def _millionths(reading: Reading, kind: str, less: str | None = None) -> str:
    """SQL of an amount of a kind, or less that of another, as whole millionths: no order of their sum matters."""
    if not has_amounts(reading):
        return "CAST(NULL AS BIGINT)"
    amount = f"CAST(round(CAST(e.amount AS DOUBLE) * {_MILLION}) AS BIGINT)"
    minus = "" if less is None else f" WHEN e.kind = {literal(less)} THEN -({amount})"
    return f"CASE WHEN e.kind = {literal(kind)} THEN {amount}{minus} END"


def _total(column: str, condition: str | None = None) -> str:
    value = column if condition is None else f"CASE WHEN {condition} THEN {column} END"
    return f"coalesce(CAST(sum({value}) AS DOUBLE), 0) / {_MILLION} AS {column}"


def rewards_sql(reading: Reading, source: Source, ids: Mapping[str, str], assigned: str) -> str:
    """SQL of the rewards with the place of their row, and why a row can't be used (null: it can).

    Columns: `user_id, campaign, amount, place, released, expires, _reason, _value`; days count as u does.
    """
    clock, columns = reading.clock, source.columns
    days = {}
    for column in ("promised_until", "released_at"):
        kind = columns.get(column)
        given = "NULL" if kind is None else text_or_null(name(column), kind)
        day = "NULL" if kind is None else clock.day(name(column), kind, f"rewards: {column!r}")
        days[column] = (f"CAST({given} AS VARCHAR)", f"CAST({day} AS DATE)")
    amount = number(source, "amount")
    u = "CAST(date_diff('day', r.day, w.{}) + 1 AS INTEGER)"
    return f"""
        SELECT w.*, r.place, {u.format("released_day")} AS released, {u.format("until_day")} AS expires, CASE
            WHEN w._user_id IS NULL THEN 'missing_user_id'
            WHEN w.bad OR w.amount IS NULL THEN 'amount_not_a_number'
            WHEN w.released_at IS NOT NULL AND w.released_day IS NULL THEN 'unparsable_date'
            WHEN w.promised_until IS NOT NULL AND w.until_day IS NULL THEN 'unparsable_date'
            WHEN r.place IS NULL THEN 'no_assignment'
            WHEN w.released_day < r.day THEN 'released_before_assignment'
        END AS _reason
        FROM (
            SELECT {ids["rewards"]} AS _user_id, {_text(source, "campaign")},
                   CASE WHEN NOT ({amount.bad}) THEN CAST({amount.value} AS DOUBLE) END AS amount, {amount.bad} AS bad,
                   CAST({name("amount")} AS VARCHAR) AS amount_found,
                   {days["released_at"][0]} AS released_at, {days["released_at"][1]} AS released_day,
                   {days["promised_until"][0]} AS promised_until, {days["promised_until"][1]} AS until_day
            FROM {source.view}
        ) AS w
        LEFT JOIN (SELECT _user_key, {ids["users"]} AS _user_id FROM {reading.users}) AS u ON w._user_id = u._user_id
        LEFT JOIN {assigned} AS r ON u._user_key = r._user_key AND w.campaign = r.campaign
    """
