"""Assignments of one campaign counted inside the engine by arm, stratum, day of assignment and day of return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.assigned_reading import Assigned, assigned, open_table
from churnsurv.data.assigned_sql import after_sql
from churnsurv.errors import InputError

if TYPE_CHECKING:
    from churnsurv.data.log import ActivityLog

__all__ = ["AssignedCells", "assigned_cells"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AssignedCells:
    """Users who are equal in all of this, counted together; made by `assigned_cells`. Arrays (m,) are read-only.

    Attributes
    ----------
    campaign : str
    arms : tuple of str
        In alphabetical order.
    arm, stratum : int64
        Codes.
    propensity : float64
        Probability of the arm, as given; null where nothing is.
    day : int64
        Day of assignment, since 1970-01-01.
    time : int64
        1 ... horizon: day of the first activity, the day of assignment being the first; 0 for none so far.
    n : int64
        Users.
    observed_until : date
    counts : Mapping of str to int
        `users`, `left_out`, and `shared_clusters`: users who are not alone in their cluster.
    """

    campaign: str
    arms: tuple[str, ...]
    arm: Ints
    stratum: Ints
    propensity: Floats
    day: Ints
    time: Ints
    n: Ints
    observed_until: date
    counts: Mapping[str, int]


def assigned_cells(
    log: ActivityLog,
    assignments: object,
    *,
    horizon: int,
    campaign: str | None = None,
    exclude_conflicts: bool = False,
) -> AssignedCells:
    """Count the users of a campaign; nobody need have been followed to the horizon.

    Parameters
    ----------
    log : ActivityLog
        Its last day is the last complete one.
    assignments : table
        `user_id, campaign, arm, assigned_at`, perhaps `stratum`, `propensity`, `cluster`.
    horizon : int
        Last day that a return counts on.
    campaign : str, optional
        Needed where there are several.
    exclude_conflicts : bool
        Leave out users who are in several arms.

    Raises
    ------
    InputError
        If there are several campaigns and none is named, or an assignment cannot be true.
    """
    source = open_table(log.engine, "assignments", assignments, {})
    wanted = None if campaign is None else [campaign]
    with assigned(
        log, source, horizon=horizon, covariates=(), campaigns=wanted, exclude_conflicts=exclude_conflicts
    ) as rows:
        return _counted(log, rows)


def _counted(log: ActivityLog, rows: Assigned) -> AssignedCells:
    engine, kinds = log.engine, None if log.rule.activity is None else tuple(log.rule.activity)
    log._reading.require_activity(kinds)
    campaigns = [str(row[0]) for row in engine.rows(f"SELECT DISTINCT campaign FROM {rows.table} ORDER BY campaign")]
    if len(campaigns) > 1:
        raise InputError(
            f"assignments: there are {len(campaigns)} campaigns, and a monitor follows one: name it with campaign=. "
            f"Campaigns: {', '.join(map(repr, campaigns[:10]))}."
        )
    arms = [str(row[0]) for row in engine.rows(f"SELECT DISTINCT arm FROM {rows.table} ORDER BY arm")]
    propensity = "r.propensity" if "propensity" in rows.source.columns else "CAST(NULL AS DOUBLE)"
    first = f"SELECT place, min(u) AS u FROM ({after_sql(log._reading, kinds, rows.table, rows.local)}) AS d"
    found = engine.arrow(
        f"SELECT r.arm_code AS arm, r.stratum_code AS stratum, {propensity} AS propensity,"
        " date_diff('day', DATE '1970-01-01', r.day) AS day, coalesce(f.u, 0) AS time, count(*) AS n"
        f" FROM {rows.table} AS r LEFT JOIN ({first} WHERE active = 1 GROUP BY place) AS f ON r.place = f.place"
        " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3 NULLS FIRST, 4, 5"
    )
    columns = {name: found[name].to_numpy().astype(np.int64) for name in ("arm", "stratum", "day", "time", "n")}
    chances = found["propensity"].to_numpy().astype(np.float64)
    for array in (*columns.values(), chances):
        array.setflags(write=False)
    users = int(columns["n"].sum())
    counts = {"users": users, "left_out": _left_out(log, rows), "shared_clusters": _shared_clusters(log, rows)}
    return AssignedCells(
        campaigns[0], tuple(arms), **columns, propensity=chances, observed_until=log.observed_until, counts=counts
    )


def _left_out(log: ActivityLog, rows: Assigned) -> int:
    """Rows that could not be used; those after the last day of the log are only not due yet."""
    every = " UNION ALL ".join(rows.problems)
    return int(log.engine.rows(f"SELECT count(*) FROM ({every}) AS p WHERE reason <> 'assigned_after_log'")[0][0])


def _shared_clusters(log: ActivityLog, rows: Assigned) -> int:
    """Users who are not alone in their cluster."""
    if "cluster" not in rows.source.columns:
        return 0
    several = f"SELECT count(*) AS n FROM {rows.table} GROUP BY cluster_code HAVING count(*) > 1"
    return int(log.engine.rows(f"SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM ({several}) AS s")[0][0])
