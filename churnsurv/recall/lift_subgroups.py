"""The lift by group: each group is analysed as a campaign of its own, and a test says whether groups differ at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

from churnsurv.data.assigned import SUMS, CampaignRows, campaign_rows
from churnsurv.errors import FollowUpError, InputError
from churnsurv.recall.lift_arms import campaign_arms
from churnsurv.recall.lift_request import APART, Asked, group_of, with_groups
from churnsurv.recall.lift_tables import Settings, lift_table
from churnsurv.survival.multiplicity import adjusted
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.recall.lift import Lift

__all__ = ["of_strata", "subgroups"]

_MOST_GROUPS = 50
_BY_ROW = (
    "user", "campaign", "arm", "stratum", "cluster", "followed", "time", "returned", "assigned_day", "delivered",
    "opened", "second", *SUMS,
)  # fmt: skip


def subgroups(
    log: ActivityLog,
    assignments: Any,
    mapping: Mapping[str, Mapping[str, str]],
    read: Mapping[str, Any],
    by: Sequence[str],
    asked: Asked,
    lift: Lift,
    *,
    clustered: bool,
) -> pd.DataFrame:
    """Estimate the lift in each group of each column; schema "lift_subgroups".

    Groups are strata when the rows are read, so that who was followed for how long is of the group itself.

    Raises
    ------
    InputError
        If a column has more than 50 groups, or an arm of a group has nobody.
    """
    import pandas as pd

    settings = Settings(lift.outcomes, lift.level, "none", asked.seed)
    parts = []
    for column in by:
        table, names = with_groups(log, assignments, mapping, column)
        try:
            rows = campaign_rows(log, table, columns=names, **read)
        except FollowUpError as error:
            words = str(error).replace(repr(APART)[1:-1], " | ")  # names stand in quotes
            raise FollowUpError(f"by={column!r}: {words} Or leave by={column!r} out.") from error
        for campaign in rows.campaigns:
            mine = rows.only(campaign)
            groups = list(dict.fromkeys(group_of(stratum) for stratum in mine.strata))
            if len(groups) > _MOST_GROUPS:
                raise InputError(
                    f"by: {column!r} has {len(groups):,} groups; {_MOST_GROUPS} are the most. Group them first."
                )
            found = [_one(mine, column, group, asked, settings, lift, clustered) for group in groups]
            parts.append(_tested(pd.concat(found, ignore_index=True), lift.adjust))
    return pd.concat(parts, ignore_index=True)


def _one(
    rows: CampaignRows, column: str, group: str, asked: Asked, settings: Settings, lift: Lift, clustered: bool
) -> pd.DataFrame:
    """The lift of one group, without covariates."""
    inside = np.array([group_of(stratum) == group for stratum in rows.strata])
    name = f"{rows.campaigns[0]}, {column} {group!r}"
    within = tuple(each.split(APART, 1)[-1] for each in rows.strata)
    try:
        found = campaign_arms(
            replace(of_strata(rows, inside), strata=within), control=lift.control, sums=asked.sums(settings.outcomes),
            covariates=(), clustered=clustered, name=name,
        )  # fmt: skip
    except FollowUpError as error:
        raise FollowUpError(f"{error} Or leave by={column!r} out.") from error
    table, _ = lift_table(found, rows.campaigns[0], settings)
    return table.assign(by=column, group=group)


def of_strata(rows: CampaignRows, inside: np.ndarray[Any, np.dtype[np.bool_]]) -> CampaignRows:
    """The rows in some strata; codes stay as they are."""
    mine = inside[rows.stratum]
    columns: dict[str, Any] = {name: getattr(rows, name)[mine] for name in _BY_ROW}
    share = None if rows.propensity is None else rows.propensity[mine]
    pre = {name: values[mine] for name, values in rows.pre.items()}
    return replace(rows, **columns, propensity=share, pre=pre, _user_ids=rows._user_ids.filter(mine))


def _tested(table: pd.DataFrame, adjust: str) -> pd.DataFrame:
    """P-values for the number of groups, and the test that all have the same effect, arm by arm and outcome."""
    table = table.assign(heterogeneity_p_value=np.nan)
    how = "holm" if adjust == "dunnett" else adjust
    for (_, outcome), part in table.groupby(["arm", "outcome"], sort=False):
        table.loc[part.index, "adjusted_p_value"] = adjusted(part["p_value"].to_numpy(), how)
        ratio = outcome in ("risk_ratio", "hazard_ratio")
        effect = np.log(part["estimate"].to_numpy()) if ratio else part["estimate"].to_numpy()
        weight = part["std_error"].to_numpy() ** -2.0
        known = np.isfinite(effect) & np.isfinite(weight)
        if known.sum() > 1:
            effect, weight = effect[known], weight[known]
            q = float(weight @ (effect - np.average(effect, weights=weight)) ** 2)
            table.loc[part.index, "heterogeneity_p_value"] = float(chdtrc(known.sum() - 1, q))
    return table[list(schema("lift_subgroups").names)]
