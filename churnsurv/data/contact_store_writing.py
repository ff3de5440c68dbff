"""Write a day's contacts, enrolments and deliveries into the ledger: all of it or nothing, and each only once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date as calendar_date
from typing import TYPE_CHECKING

from churnsurv.data.contact_store import TABLES, ContactStore, Opened, make_user_tables
from churnsurv.errors import DataNotReadyError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PlannedDay", "deliver", "record", "state_of"]

_BIGGEST = {"BIGINT": 2**63 - 1, "UBIGINT": 2**64 - 1}
_LEAST = {"BIGINT": -(2**63), "UBIGINT": 0}


@dataclass(frozen=True, slots=True, eq=False)
class PlannedDay:
    """What one campaign does on one day.

    Attributes
    ----------
    campaign : str
    date, contact_on : date
    plan, policy : str
        Their digests.
    draw : str
        Digest of what the lots of the campaign hang on; it never changes under way.
    lots : str
        The same, but for the key, as JSON: ``{"control": ..., "holdout": ..., "arms": {arm: share}}``.
    based_on : str
        State of the ledger that the plan was made on, see `state_of`.
    contacts, enrolled : pyarrow.Table
        In the columns of `TABLES`, the user first.
    """

    campaign: str
    date: calendar_date
    contact_on: calendar_date
    plan: str
    policy: str
    draw: str
    lots: str
    based_on: str
    contacts: pa.Table
    enrolled: pa.Table


def state_of(ledger: Opened | None, before: calendar_date | None = None) -> str:
    """A digest of all days that are recorded, or of those before a date: equal if and only if their plans are.

    Examples
    --------
    >>> state_of(None)[:8]
    '4f53cda1'
    """
    days: list[list[str]] = []
    if ledger is not None:
        where = "" if before is None else "WHERE date < ?"
        found = ledger.rows(
            f"SELECT CAST(date AS VARCHAR), campaign, plan FROM days {where} ORDER BY date, campaign",
            [] if before is None else [before],
        )
        days = [list(row) for row in found]
    return hashlib.sha256(json.dumps(days, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def record(store: ContactStore, day: PlannedDay) -> bool:
    """Write a day in one transaction; True if this very plan is there already and nothing was written.

    Raises
    ------
    InputError
        If the plan is not the one recorded for the day, is of a day before the last of any campaign, was made with
        other lots, or contradicts what is recorded. Nothing is written then.
    DataNotReadyError
        If the plan was made on another state of the ledger, or another process has it open. Nothing is written then.
    """
    if not store.there():  # looked at before the file is made: a ledger that is gone must not come back as an empty one
        _refuse_changed(None, day)
    with store.writing() as ledger:
        day = _with_ids(ledger, day)
        ledger.register("new_contacts", day.contacts)
        ledger.register("new_enrolled", day.enrolled)
        recorded = ledger.rows("SELECT plan FROM days WHERE campaign = ? AND date = ?", [day.campaign, day.date])
        if recorded == [(day.plan,)]:
            return True
        if recorded:
            raise _another_plan(ledger, day)
        _refuse_past(ledger, day)
        _refuse_other_lots(ledger, day)
        _refuse_changed(ledger, day)
        _refuse_untrue(ledger, day)
        _insert(ledger, day)
    return False


def _insert(ledger: Opened, day: PlannedDay) -> None:
    ledger.run("INSERT OR IGNORE INTO campaigns VALUES (?, ?, ?)", [day.campaign, day.draw, day.lots])
    for table, rows in (("enrolled", day.enrolled), ("contacts", day.contacts)):
        if rows.num_rows:
            columns = ", ".join(rows.column_names)
            ledger.run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM new_{table} ORDER BY user_id")
    ledger.run(
        "INSERT INTO days VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *(day.campaign, day.date, day.contact_on, day.plan, day.policy, day.based_on),
            *(day.contacts.num_rows, day.enrolled.num_rows),
        ],
    )


# -------------------------------------------------------------------------------------------------- ids of one type


def _with_ids(ledger: Opened, day: PlannedDay) -> PlannedDay:
    """The day with the ledger's type of ids, which its first users decide."""
    given = [_kind(table) for table in (day.contacts, day.enrolled) if table.num_rows]
    ids = _common(ledger.ids, given)
    if ids is None:
        ids = "BIGINT"
    elif ledger.ids is None:
        for statement in make_user_tables(ids):
            ledger.run(statement)
        ledger.run("UPDATE meta SET value = ? WHERE name = 'ids'", [ids])
    return replace(day, contacts=_cast(day.contacts, ids), enrolled=_cast(day.enrolled, ids))


def _kind(table: pa.Table) -> str:
    import pyarrow as pa

    kind = table.schema.field("user_id").type
    return "VARCHAR" if pa.types.is_string(kind) else "UBIGINT" if pa.types.is_unsigned_integer(kind) else "BIGINT"


def _common(ledger: str | None, given: list[str]) -> str | None:
    kinds = [*([] if ledger is None else [ledger]), *given]
    if "VARCHAR" in kinds and set(kinds) != {"VARCHAR"}:
        held = "among its contacts" if ledger is None else "in the ledger"
        old, new = ("text" if kind == "VARCHAR" else "whole numbers" for kind in (kinds[0], kinds[-1]))
        raise InputError(
            f"User ids are {new} in what is given, but {old} {held}: 7 and '7' would be two users, each contacted. "
            "Give ids of one type in every table. Nothing was written."
        )
    return kinds[0] if kinds else None


def _cast(table: pa.Table, ids: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table["user_id"]
    if ids != "VARCHAR" and table.num_rows:
        ends = pc.min_max(column).as_py()
        if ends["min"] < _LEAST[ids] or ends["max"] > _BIGGEST[ids]:
            out = ends["min"] if ends["min"] < _LEAST[ids] else ends["max"]
            raise InputError(f"User id {out} does not fit the ledger's ids ({ids}). Use text ids and a new ledger.")
    kind = {"VARCHAR": pa.string(), "UBIGINT": pa.uint64(), "BIGINT": pa.int64()}[ids]
    return table.set_column(table.schema.get_field_index("user_id"), "user_id", column.cast(kind))


# ----------------------------------------------------------------------------------------------------- what is refused


def _another_plan(ledger: Opened, day: PlannedDay) -> InputError:
    counts = {}
    for table, moment in (("contacts", "date"), ("enrolled", "assigned_on")):
        columns = ", ".join(("user_id", *(name for name, _ in TABLES[table][0])))
        there = f"SELECT {columns} FROM {table} WHERE campaign = $campaign AND {moment} = $date"
        new = f"SELECT {columns} FROM new_{table}"
        query = f"SELECT count(DISTINCT user_id) FROM (({there} EXCEPT {new}) UNION ALL ({new} EXCEPT {there}))"
        counts[table] = ledger.rows(query, {"campaign": day.campaign, "date": day.date})[0][0]
    return InputError(
        f"Another plan is recorded for {day.date} of campaign {day.campaign!r}: {counts['contacts']:,} contacts and "
        f"{counts['enrolled']:,} enrolments differ. What is recorded stands, since it may have been sent; nothing "
        "was written. To see it: ledger.contacts. A plan changes when the log, the opt-outs or the policy of a day do."
    )


def _refuse_past(ledger: Opened, day: PlannedDay) -> None:
    # a contact of a past day would come behind the back of the caps and plans of the days since, of every campaign
    found = ledger.rows(
        "SELECT date, campaign FROM days WHERE date > ? ORDER BY date DESC, campaign LIMIT 1", [day.date]
    )
    if found:
        last, campaign = found[0]
        raise InputError(
            f"{day.date} lies before the last recorded day of the ledger, {last} of campaign {campaign!r}: a plan of a "
            "past day is a dry run. Let all campaigns of a day be recorded before the next day. Nothing was written."
        )


def _refuse_other_lots(ledger: Opened, day: PlannedDay) -> None:
    found = ledger.rows("SELECT draw, lots FROM campaigns WHERE campaign = ?", [day.campaign])
    if not found or found[0][0] == day.draw:
        return
    old, new = json.loads(found[0][1]), json.loads(day.lots)
    changed = [f"{name} from {old[name]!r} to {new[name]!r}" for name in sorted(old) if old[name] != new.get(name)]
    raise InputError(
        f"The policy of campaign {day.campaign!r} draws other lots than before ({'; '.join(changed) or 'another key'}),"
        " so that users would change their arms under way and nothing could be compared. Take the old values, or give "
        "the campaign a new name. Nothing was written."
    )


def _refuse_changed(ledger: Opened | None, day: PlannedDay) -> None:
    if state_of(ledger, day.date) != day.based_on:  # another run was faster: the next one plans on what it recorded
        raise DataNotReadyError(
            f"The ledger is not the one that the plan of {day.date} was made on: days before it have been recorded "
            "since, or it is another file. Plan again, and record that. Nothing was written."
        )


#: What no plan may say, as SQL of the user: a fault of the plan, not of the ledger.
_UNTRUE = (
    (
        "SELECT user_id FROM new_contacts WHERE date IS DISTINCT FROM $date OR contact_on IS DISTINCT FROM $on"
        " OR campaign IS DISTINCT FROM $campaign",
        "contacts are of another day or campaign than the plan",
    ),
    (
        "SELECT user_id FROM new_enrolled WHERE assigned_on IS DISTINCT FROM $date OR contact_on IS DISTINCT FROM $on"
        " OR campaign IS DISTINCT FROM $campaign",
        "enrolments are of another day or campaign than the plan",
    ),
    ("SELECT user_id FROM new_enrolled GROUP BY user_id HAVING count(*) > 1", "users are enrolled twice"),
    ("SELECT user_id FROM new_contacts GROUP BY user_id HAVING count(*) > 1", "users are contacted twice on one day"),
    (
        "SELECT user_id FROM new_enrolled AS n JOIN enrolled AS e USING (user_id, campaign)",
        "users are enrolled again; their arm was frozen by their first assignment",
    ),
    (
        "SELECT n.user_id FROM new_contacts AS n"
        " LEFT JOIN (SELECT user_id, max(step) AS last FROM contacts SEMI JOIN new_contacts USING (user_id)"
        " WHERE campaign = $campaign GROUP BY user_id) AS c USING (user_id) WHERE n.step <> coalesce(c.last, 0) + 1",
        "contacts do not have the step that follows on the last one of the user",
    ),
    (
        "SELECT n.user_id FROM new_contacts AS n LEFT JOIN ("
        "SELECT user_id, arm FROM enrolled WHERE campaign = $campaign UNION ALL SELECT user_id, arm FROM new_enrolled"
        ") AS e USING (user_id) WHERE n.arm IS DISTINCT FROM e.arm OR n.arm = $control",
        "contacts go to users who are not enrolled in the arm, or are held out",
    ),
)


def _refuse_untrue(ledger: Opened, day: PlannedDay) -> None:
    values = {
        "date": day.date,
        "on": day.contact_on,
        "campaign": day.campaign,
        "control": json.loads(day.lots)["control"],
    }
    for query, what in _UNTRUE:
        given = {name: value for name, value in values.items() if f"${name}" in query}
        n, example = ledger.rows(f"SELECT count(*), min(user_id) FROM ({query}) AS wrong", given)[0]
        if n:
            raise InputError(
                f"The plan of {day.date} of campaign {day.campaign!r} cannot be recorded: {n:,} {what}, such as user "
                f"{example}. Record what plan_actions returned, unchanged. Nothing was written."
            )


# ------------------------------------------------------------------------------------------------------- deliveries


def deliver(store: ContactStore, rows: pa.Table) -> tuple[int, int]:
    """Append deliveries `user_id, campaign, step, delivered_at, opened_at`; how many are new, how many were there.

    Raises
    ------
    InputError
        If a row is of no contact, lies before it, or contradicts another one. Nothing is written then.
    """
    with store.reading() as there:
        if there is None or there.ids is None:
            raise InputError(f"The ledger {str(store.path)!r} knows of no contact that could have been delivered.")
        _common(there.ids, [_kind(rows)])
    with store.writing() as ledger:
        ledger.register("given", _cast(rows, str(ledger.ids)))
        ledger.run("CREATE TEMP TABLE new_deliveries AS SELECT DISTINCT * FROM given")
        for query, what, do in _WRONG_DELIVERIES:
            n, example = ledger.rows(f"SELECT count(*), min(user_id) FROM ({query}) AS wrong")[0]
            if n:
                raise InputError(f"deliveries: {n:,} {what}, such as of user {example}. {do} Nothing was written.")
        same = (
            "d.user_id = n.user_id AND d.campaign = n.campaign AND d.step = n.step"
            " AND (n.opened_at IS NULL OR d.opened_at = n.opened_at)"
        )
        fresh = f"FROM new_deliveries AS n WHERE NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE {same})"
        n_new = ledger.rows(f"SELECT count(*) {fresh}")[0][0]
        ledger.run(f"INSERT INTO deliveries SELECT n.* {fresh} ORDER BY n.user_id, n.campaign, n.step, n.opened_at")
        n_given = ledger.rows("SELECT count(*) FROM new_deliveries")[0][0]
        ledger.run("DROP TABLE new_deliveries")
    return int(n_new), int(n_given - n_new)


_WRONG_DELIVERIES = (
    (
        "SELECT n.user_id FROM new_deliveries AS n ANTI JOIN contacts AS c USING (user_id, campaign, step)",
        "rows are of no contact in the ledger",
        "Give user_id, campaign and step as the plan had them.",
    ),
    (
        "SELECT n.user_id FROM new_deliveries AS n JOIN contacts AS c USING (user_id, campaign, step)"
        " WHERE n.delivered_at < c.contact_on OR n.opened_at < n.delivered_at",
        "rows have a delivery before the contact, or an opening before the delivery",
        "Give local days.",
    ),
    (
        "SELECT user_id FROM (SELECT * FROM new_deliveries UNION ALL SELECT d.* FROM deliveries AS d"
        " SEMI JOIN new_deliveries AS n USING (user_id, campaign, step)) AS every GROUP BY user_id, campaign, step"
        " HAVING count(DISTINCT delivered_at) > 1 OR count(DISTINCT opened_at) > 1",
        "contacts have two days of delivery or of opening",
        "What was delivered once stays as it was told first; an opening may be told later, once.",
    ),
)
