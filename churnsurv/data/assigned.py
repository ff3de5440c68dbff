"""Read who was assigned to which arm of a campaign, and what they did from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned_covariates import covariate_columns
from churnsurv.data.assigned_outcomes import before, outcomes
from churnsurv.data.assigned_outcomes import rewards as reward_sums
from churnsurv.data.assigned_reading import OPTIONAL, Assigned, assigned, open_table
from churnsurv.data.assigned_rows import SUMS, CampaignRows, read_only
from churnsurv.data.assigned_sql import MOMENTS, has_amounts
from churnsurv.data.assigned_sums import Cells, Days, Sums
from churnsurv.data.rule import days_of
from churnsurv.errors import InputError, did_you_mean
from churnsurv.notes import note
from churnsurv.tables.said import said_as

if TYPE_CHECKING:
    import pyarrow as pa

    from churnsurv.data.log import ActivityLog
    from churnsurv.data.sources import Source

__all__ = ["SUMS", "CampaignRows", "campaign_rows"]

Ints: TypeAlias = NDArray[np.int64]

#: From so many rows on nobody opens everything by chance.
_MANY = 10
_CODED = ("user", "campaign", "arm", "stratum")


def campaign_rows(
    log: ActivityLog,
    assignments: object,
    *,
    horizon: int | str,
    rewards: object = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    covariates: Sequence[str] = (),
    campaign: str | Sequence[str] | None = None,
    exclude_conflicts: bool = False,
) -> CampaignRows:
    """Read who was assigned to which arm, and what they did from then on.

    Parameters
    ----------
    log : ActivityLog
        Its rule says what a return is, its last day how long each user was followed.
    assignments : table
        `user_id, campaign, arm, assigned_at`, and perhaps `delivered_at, opened_at, second_contact_at, cost, stratum,
        propensity, cluster` and covariates: any table that a log takes.
    horizon : int or text such as "30d"
        Days that count, the day of assignment being the first.
    rewards : table, optional
        `user_id, campaign, amount`, and perhaps `promised_until` (null: for ever) and `released_at` (null: not yet).
    columns : Mapping, optional
        ``{"assignments": {"assigned_at": "sent"}}`` maps our names to theirs.
    covariates : sequence of str
        Columns of the assignments or the users, known before the assignment, that join `pre`.
    campaign : str or sequence of str, optional
        Only these; all by default.
    exclude_conflicts : bool
        Leave users in two arms of one campaign out, instead of refusing the table.

    Returns
    -------
    CampaignRows
        Where assignments and events have a time of day, activity counts from the assignment on, not before it on its
        day; otherwise all activity of the day of assignment counts.

    Raises
    ------
    InputError
        If an arm is empty, a campaign has one arm, a user is in two arms of a campaign, a delivery, opening or second
        contact lies before its assignment, a propensity is not between 0 and 1, a cost or reward is negative, most
        rewards are of no campaign or user that there is, or an arm holds exactly those who opened the message.
    SchemaError
        If a column is missing or has the wrong type.
    FollowUpError
        If nobody of an arm (in a stratum) was followed to the horizon; the largest possible one is given.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": [1, 2, 3], "registered_at": "2024-01-01"})
    >>> days = ["2024-03-02", "2024-03-04", "2024-03-09"]
    >>> events = pd.DataFrame({"user_id": [1, 1, 2], "kind": "login", "event_at": days})
    >>> sent = pd.DataFrame({"user_id": [1, 2, 3], "campaign": "spring", "arm": ["sms", "sms", "none"],
    ...     "assigned_at": "2024-03-01"})
    >>> rows = campaign_rows(ActivityLog(events, users, observed_until="2024-03-20"), sent, horizon=7)
    >>> rows
    <CampaignRows: spring, 3 rows in 2 arms, 1 returned within 7 days; 3 followed so long>
    >>> rows.time.tolist(), rows.returned.tolist(), rows.active_days.tolist()
    ([2, 7, 7], [True, False, False], [2.0, 0.0, 0.0])
    """
    horizon = days_of(horizon, "horizon", least=1)
    chosen = _chosen(campaign)
    mapping = _mapping(columns, rewards)
    reading, engine = log._reading, log.engine
    reading.require_activity(log._kinds)
    source = open_table(engine, "assignments", assignments, mapping.get("assignments", {}))
    paid = None if rewards is None else open_table(engine, "rewards", rewards, mapping.get("rewards", {}))
    with assigned(
        log, source, horizon=horizon, covariates=covariates, campaigns=chosen, exclude_conflicts=exclude_conflicts
    ) as made:
        return _rows(log, made, paid, horizon)


def _chosen(campaign: str | Sequence[str] | None) -> list[str] | None:
    """The campaigns asked for; None for all. What is no text would match no name."""
    if campaign is None:
        return None
    if isinstance(campaign, str):
        return [campaign]
    named = list(campaign) if isinstance(campaign, Sequence | set | frozenset) else [campaign]
    for each in named:
        if not isinstance(each, str):
            raise InputError(f"campaign must be the name of a campaign as text, such as {str(each)!r}, not {each!r}.")
    if not named:
        raise InputError("campaign is empty: name some, or leave it out for all.")
    return named


def _mapping(columns: Mapping[str, Mapping[str, str]] | None, rewards: object) -> Mapping[str, Mapping[str, str]]:
    for table in columns or {}:
        if table not in {"assignments", "rewards"} or (table == "rewards" and rewards is None):
            hint = did_you_mean(table, ["assignments", "rewards"])
            raise InputError(f"columns maps names of {table!r}, but no such table was given.{hint}")
    return columns or {}


def _rows(log: ActivityLog, made: Assigned, paid: Source | None, horizon: int) -> CampaignRows:
    given = _given(log, made, paid)
    found = _fetched(log, made, given)
    names = _Names.of(log, made)
    columns = _columns(found, given)
    _refuse_lone_arms(columns, names)
    _refuse_openers(columns, names)
    day, registered = (found[name].to_numpy().astype("datetime64[D]") for name in ("day", "registered_at"))
    cells = Cells.count(
        columns["arm"], columns["stratum"], columns["followed"], horizon, arms=names.arms, strata=names.strata
    )
    known = before(log, made, day, registered)
    pre = known.pre | _covariates(made, found)
    did = outcomes(log, made, cells, known.last)
    columns |= {"time": did.time, "returned": did.returned, "assigned_day": day}
    more, problems, counts = _rewards(log, made, paid, cells, horizon)
    sums = did.sums | more
    sums["cost"] = _cost(cells, columns["delivered"], found["cost"] if "cost" in given else None)
    left = _problems(log, problems)
    columns |= {name: sums[name].by_row for name in SUMS}
    share = np.array(found["propensity"].to_numpy(), dtype=np.float64) if "propensity" in given else None
    read_only(*columns.values(), *pre.values(), share)
    return CampaignRows(
        **columns,
        campaigns=names.campaigns,
        arms=names.arms,
        strata=names.strata,
        propensity=share,
        weights=MappingProxyType(cells.by_key(1.0 / cells.weight)),
        by_day=MappingProxyType({name: MappingProxyType(cells.by_key(sums[name].means())) for name in SUMS}),
        pre=MappingProxyType(pre),
        horizon=horizon,
        idle_days=log.rule.idle_days,
        observed_until=log.observed_until,
        given=given,
        counts=MappingProxyType(_counted(counts, columns, horizon, left)),
        notes=tuple(_notes(log, columns, registered, left, given)),
        _user_ids=found["user_id"],
        _problems=left,
    )


def _given(log: ActivityLog, made: Assigned, paid: Source | None) -> frozenset[str]:
    optional = {name for name in OPTIONAL if name in made.source.columns}
    facts = {
        "amount": has_amounts(log._reading),
        "rewards": paid is not None,
        "time of day": made.local is not None,
    }
    return frozenset(optional | {fact for fact, there in facts.items() if there})


def _fetched(log: ActivityLog, made: Assigned, given: frozenset[str]) -> pa.Table:
    """The rows in their order, with what is read of the assignments and the users."""
    columns = [
        "r.user_code, r.campaign_code, r.arm_code, r.stratum_code, r.followed, r.day, r.user_id, u.registered_at"
    ]
    columns += [
        f"CAST(date_diff('day', r.day, r.{day}) + 1 AS INTEGER) AS {day}"
        for name, day in MOMENTS.items()
        if name in given
    ]
    columns += [f"r.{each}" for each in ("cost", "propensity") if each in given]
    columns += ["r.cluster_code"] if "cluster" in given else []
    columns += [f"r.x{place}" for place in range(len(made.covariates))]
    return log.engine.arrow(
        f"SELECT {', '.join(columns)} FROM {made.table} AS r JOIN {log._reading.users} AS u"
        " ON r._user_key = u._user_key ORDER BY r.place"
    )


def _columns(found: pa.Table, given: frozenset[str]) -> dict[str, Any]:
    """Codes and days of the rows, but for their outcomes."""
    columns: dict[str, Any] = {name: _codes(found[f"{name}_code"]) for name in _CODED}
    if not columns["campaign"].any():
        columns["user"] = np.arange(found.num_rows)  # in the order of users, each once
    columns["cluster"] = _codes(found["cluster_code"]) if "cluster" in given else columns["user"]
    columns["followed"] = followed = _codes(found["followed"])
    for name, day in MOMENTS.items():
        columns[day] = _moment(found[day], followed) if name in given else np.zeros(followed.size, dtype=np.int64)
    return columns


def _covariates(made: Assigned, found: pa.Table) -> dict[str, NDArray[np.float64]]:
    columns: dict[str, NDArray[np.float64]] = {}
    for place, (name, kind) in enumerate(made.covariates):
        from_csv = made.source.from_csv and name in made.source.columns
        columns |= covariate_columns(name, found[f"x{place}"], kind, from_csv=from_csv)
    return columns


@dataclass(frozen=True, slots=True)
class _Names:
    """What the codes stand for."""

    campaigns: tuple[str, ...]
    arms: tuple[str, ...]
    strata: tuple[str, ...]

    @classmethod
    def of(cls, log: ActivityLog, made: Assigned) -> _Names:
        def named(code: str, *columns: str) -> list[tuple[Any, ...]]:
            listed = ", ".join(columns)
            return log.engine.rows(f"SELECT DISTINCT {code}, {listed} FROM {made.table} ORDER BY {code}")

        campaigns = tuple(row[1] for row in named("campaign_code", "campaign"))
        arms = tuple(row[1] for row in named("arm_code", "arm"))
        if "stratum" not in made.source.columns:
            return cls(campaigns, arms, ("all",) if len(campaigns) == 1 else campaigns)
        strata = []
        for _, campaign, stratum in named("stratum_code", "campaign", "stratum"):
            word = "missing" if stratum is None else stratum
            strata.append(word if len(campaigns) == 1 else f"{campaign}: {word}")
        return cls(campaigns, arms, tuple(strata))


def _codes(column: Any) -> Ints:
    codes: Ints = column.to_numpy().astype(np.int64)
    return codes


def _moment(column: Any, followed: Ints) -> Ints:
    """The day of something that may not have happened; what lies after the log has not been seen."""
    import pyarrow.compute as pc

    day = _codes(pc.fill_null(column, 0))
    day[day > followed] = 0
    return day


def _refuse_lone_arms(columns: Mapping[str, Ints], names: _Names) -> None:
    pairs = np.unique(columns["campaign"] * len(names.arms) + columns["arm"])
    n_arms = np.bincount(pairs // len(names.arms), minlength=len(names.campaigns))
    for campaign in np.flatnonzero(n_arms == 1):
        arm = names.arms[int(pairs[pairs // len(names.arms) == campaign][0] % len(names.arms))]
        raise InputError(
            f"assignments: campaign {names.campaigns[campaign]!r} has no other arm than {arm!r}, so that there is "
            "nobody to compare with. Add the users who were held out, or choose other campaigns with campaign=."
        )


def _refuse_openers(columns: Mapping[str, Ints], names: _Names) -> None:
    """An arm of all who opened, and only they, was made after the fact: who comes back opens."""
    opened = columns["opened"] > 0
    if not opened.any():
        return
    pair = columns["campaign"] * len(names.arms) + columns["arm"]
    size = np.bincount(pair)
    share = np.bincount(pair, opened, size.size) / np.maximum(size, 1)
    for code in np.flatnonzero((size >= _MANY) & (share == 1)):
        arm, campaign = names.arms[int(code) % len(names.arms)], names.campaigns[int(code) // len(names.arms)]
        raise InputError(
            f"assignments: all {size[code]:,} users of arm {arm!r} of campaign {campaign!r} opened the message. So the "
            "arm was made of those who did, after the assignment, and who is about to return opens more often. Give "
            "the arm that each user was drawn into, those included who never opened; exposure='opened' then asks for "
            "the effect on openers."
        )


def _rewards(
    log: ActivityLog, made: Assigned, paid: Source | None, cells: Cells, horizon: int
) -> tuple[dict[str, Sums], list[str], dict[str, int]]:
    """The rewards of rows, what is left out of either table, and counts of both."""
    if paid is None:
        return {"rewards": Sums(cells), "liability": Sums(cells)}, made.problems, made.counts
    sums, left_out, counted = reward_sums(log, made, paid, cells, horizon)
    return sums, [*made.problems, left_out], made.counts | counted


def _cost(cells: Cells, delivered: Ints, column: Any) -> Sums:
    """What contacts cost, on the day of delivery where that is known, else on the day of assignment."""
    import pyarrow.compute as pc

    cost = Sums(cells)
    if column is not None:
        amount = np.array(pc.fill_null(column, 0.0).to_numpy(), dtype=np.float64)
        place = np.flatnonzero(amount)
        cost.add(Days(place, np.maximum(delivered[place], 1)), amount[place])
    return cost


def _problems(log: ActivityLog, parts: Sequence[str]) -> pa.Table:
    union = " UNION ALL ".join(parts)
    return log.engine.arrow(
        f'SELECT "table", user_id, campaign, arm, reason, value FROM ({union}) AS every'
        ' ORDER BY "table", campaign, user_id, arm, reason, value'
    )


def _counted(counts: dict[str, int], columns: Mapping[str, Any], horizon: int, left: pa.Table) -> dict[str, int]:
    """Count the rows, and prove that none is lost."""
    rows = columns["user"]
    reasons: dict[str, int] = {}
    for table, reason in zip(left["table"].to_pylist(), left["reason"].to_pylist(), strict=True):
        key = reason if table == "assignments" else f"rewards_{reason}"
        reasons[key] = reasons.get(key, 0) + 1
    left_out = sum(n for reason, n in reasons.items() if not reason.startswith("rewards_"))
    if counts["rows_read"] != rows.size + left_out + counts.get("equal_rows", 0):
        raise AssertionError(
            f"churnsurv lost assignments; please report this: {counts['rows_read']} read, {rows.size} used, "
            f"{left_out} left out, {counts.get('equal_rows', 0)} equal"
        )
    return {
        **counts,
        "rows": int(rows.size),
        "users": int(np.count_nonzero(np.bincount(rows))),
        "returned": int(columns["returned"].sum()),
        "followed_to_horizon": int((columns["followed"] >= horizon).sum()),
        "left_out": left_out,
        **dict(sorted(reasons.items())),
    }


def _notes(
    log: ActivityLog,
    columns: Mapping[str, Any],
    registered: NDArray[np.datetime64],
    left: pa.Table,
    given: frozenset[str],
) -> list[str]:
    first = np.datetime64(log._reading.window.first, "D")
    notes: list[str] = []
    if "time of day" not in given:
        notes.append(
            note(
                "Assignments or events are dates without a time of day: all activity on the day of assignment counts "
                "as a return, also what came before the assignment, in every arm alike."
            )
        )
    short = int((columns["assigned_day"] - first < np.timedelta64(30, "D")).sum())
    if short:
        notes.append(
            note("The log begins less than 30 days before {n} assignments: less is known of before.", n=f"{short:,}")
        )
    early = int((registered < first).sum())
    if early:
        notes.append(
            note(
                "{n} assigned users registered before the log begins; one not seen in it before the assignment counts "
                "as idle since the day before it begins.",
                n=f"{early:,}",
            )
        )
    tables = left["table"].to_pylist()
    for table in dict.fromkeys(tables):
        n = tables.count(table)
        notes.append(
            note("{table}: 1 row is left out; .problems lists them with their reasons.", table=_called(table))
            if n == 1
            else note(
                "{table}: {n} rows are left out; .problems lists them with their reasons.",
                table=_called(table),
                n=f"{n:,}",
            )
        )
    if "amount" not in given:
        notes.append(note("Events have no amount: nothing is known of what was invested."))
    return notes


def _called(table: str) -> str:
    """The name of a table, as a report knows it."""
    known = {
        "assignments": said_as("assignments", note("the table of assignments")),
        "rewards": said_as("rewards", note("the table of rewards")),
    }
    return known.get(table, table)
