"""The users of a profile: who is compared, what is known of them and when, and who is left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.arrow import tidy, to_pandas
from churnsurv.data.sql import name as quoted
from churnsurv.diagnosis.profile_cuts import LOGIN_INTERVAL, Variable
from churnsurv.errors import FollowUpError, InputError, did_you_mean
from churnsurv.survival.factors import joined
from churnsurv.tables import schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog, Feature

__all__ = ["ProfileUsers", "early_users", "pooled_groups", "spell_users"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ProfileUsers:
    """Users who are compared, in the order of the log.

    Attributes
    ----------
    numbers : Mapping of str to (n_users,) float64
        Each variable; NaN where a user has no value.
    churned : (n_users,) bool
    attributes : DataFrame
        The columns of `by`.
    counts : Mapping of str to int
        Users compared and users left out, by reason; they add up to `users`.
    """

    numbers: Mapping[str, Floats]
    churned: NDArray[np.bool_]
    attributes: pd.DataFrame
    counts: Mapping[str, int]


def early_users(
    log: ActivityLog, variables: Sequence[Variable], by: Sequence[str], *, window: int, horizon: int
) -> ProfileUsers:
    """Return users alive `idle_days` after the window who are followed to the horizon, whatever became of them.

    Raises
    ------
    FollowUpError
        If no user is followed so far.
    """
    import pandas as pd

    entry = window + log.rule.idle_days
    every = log.churn_spells().table
    latest = pd.Timestamp(log.observed_until) - pd.Timedelta(days=horizon)
    followed = (every["origin"] <= latest).to_numpy()
    gone = ((every["duration"] <= entry) & every["churned"]).to_numpy()
    if not followed.any():
        raise FollowUpError(
            f"no user registered {horizon} days or more before {log.observed_until}, the end of the log: nobody is "
            f"followed to day {horizon}. Take a smaller horizon."
        )
    alive = every.loc[followed & ~gone, ["user_id", "duration", "churned"]]
    known = log.churn_spells(features=_asked(variables, by), baseline_day=window).table
    frame = alive.merge(known.drop(columns=["duration", "churned"]), on="user_id", how="inner", validate="one_to_one")
    if len(frame) != len(alive):
        raise AssertionError("churnsurv lost users between two tables of spells; please report this.")
    if any(variable.feature is None for variable in variables):
        frame = frame.merge(_intervals(log, window), on="user_id", how="left", validate="one_to_one")
    churned = (frame["churned"] & (frame["duration"] <= horizon)).to_numpy(dtype=bool)
    counts = {
        "users": log._reading.n_users,
        "churned": int(churned.sum()),
        "retained": int((~churned).sum()),
        "immature": int((~followed).sum()),
        "churned_before": int((followed & gone).sum()),
        "life_not_observed": log._reading.n_users - len(every),
    }
    return _users(frame, variables, by, churned, counts)


def spell_users(log: ActivityLog, variables: Sequence[Variable], by: Sequence[str]) -> ProfileUsers:
    """Return all users whose life is known, with what they had done by the last active day of their first spell."""
    every = log.churn_spells().table[["user_id", "churned"]]
    features = [each.name if not isinstance(each, str) else each for each in _asked(variables, by)]
    columns = ["user_id", *dict.fromkeys([*features, *by]), "mean_interval"]
    listed = ", ".join(quoted(column) for column in columns)
    made = log.relation("gaps", features=_asked(variables, by))
    try:
        for column in by:
            _require(column, made.columns)
        last = made.arrow(
            f"SELECT {listed} FROM (SELECT {listed}, row_number() OVER (PARTITION BY user_id ORDER BY gap DESC)"
            f" AS from_the_last FROM {made.name} WHERE spell = 1 AND life_observed) AS first_spell"
            " WHERE from_the_last = 1"
        )
    finally:
        log.engine.drop(made.name)
    known = to_pandas(tidy(last, made.orders, keep=("user_id",))).rename(columns={"mean_interval": LOGIN_INTERVAL})
    frame = every.merge(known, on="user_id", how="inner", validate="one_to_one")
    if len(frame) != len(every):
        raise AssertionError("churnsurv lost users between spells and gaps; please report this.")
    churned = frame["churned"].to_numpy(dtype=bool)
    counts = {
        "users": log._reading.n_users,
        "churned": int(churned.sum()),
        "retained": int((~churned).sum()),
        "life_not_observed": log._reading.n_users - len(every),
    }
    return _users(frame, variables, by, churned, counts)


def _asked(variables: Sequence[Variable], by: Sequence[str]) -> list[str | Feature]:
    asked = [variable.feature for variable in variables if variable.feature is not None]
    return [*asked, "stage"] if "stage" in by else asked


def _intervals(log: ActivityLog, window: int) -> pd.DataFrame:
    """Mean days between active days, as known at the end of day `window` of each user's life."""
    made = log.relation("gaps", features=[])
    try:
        last = made.arrow(
            "SELECT user_id, mean_interval FROM (SELECT user_id, mean_interval, row_number() OVER (PARTITION BY user_id"
            f" ORDER BY gap DESC) AS from_the_last FROM {made.name} WHERE tenure <= {window} AND life_observed)"
            " AS in_window WHERE from_the_last = 1"
        )
    finally:
        log.engine.drop(made.name)
    return to_pandas(tidy(last, {}, keep=("user_id",))).rename(columns={"mean_interval": LOGIN_INTERVAL})


def _users(
    frame: pd.DataFrame,
    variables: Sequence[Variable],
    by: Sequence[str],
    churned: NDArray[np.bool_],
    counts: Mapping[str, int],
) -> ProfileUsers:
    for column in by:
        _require(column, frame.columns)
    values = {each.name: frame[each.name].to_numpy(dtype=np.float64, na_value=np.nan) for each in variables}
    return ProfileUsers(values, churned, frame[list(by)], counts)


def _require(column: str, present: Any) -> None:
    ours = {*schema("spells").names, *schema("gaps").names}
    there = [str(each) for each in present if str(each) not in ours]
    if column not in there:
        hint = did_you_mean(column, [*there, "stage"])
        raise InputError(f"by: users have no attribute {column!r}.{hint} An attribute, 'cohort' or 'stage' will do.")


def pooled_groups(
    attributes: pd.DataFrame, by: Sequence[str], n_users: int, min_users: int
) -> tuple[NDArray[np.int64], tuple[str, ...], pd.DataFrame, tuple[str, ...]]:
    """Group users by their attributes, and those of small groups together as "other".

    Returns
    -------
    codes : (n_users,) int64
    labels : tuple of str
        Groups in order, "other" last.
    values : DataFrame
        The columns of `by` for each group.
    small : tuple of str
        The groups pooled.

    Examples
    --------
    >>> import pandas as pd
    >>> users = pd.DataFrame({"channel": ["a"] * 3 + ["b"]})
    >>> pooled_groups(users, ["channel"], 4, 2)[1::2]
    (('a', 'other'), ('b',))
    """
    import pandas as pd

    found = joined(attributes, by)
    codes = np.zeros(n_users, dtype=np.int64) if found.codes is None else found.codes.astype(np.int64)
    sizes = np.bincount(codes, minlength=len(found.labels))
    kept = np.flatnonzero(sizes >= min_users) if by else np.arange(1)
    if len(kept) == len(found.labels):
        return codes, found.labels, found.values, ()  # noqa: PD011 - not a frame
    place = np.full(len(found.labels), len(kept))
    place[kept] = np.arange(len(kept))
    small = tuple(label for label, size in zip(found.labels, sizes, strict=True) if size < min_users)
    labels = tuple(found.labels[each] for each in kept)
    if "other" in labels:
        raise InputError("by: a group is called 'other', which small groups are pooled as. Rename it.")
    rest = pd.DataFrame({column: ["other"] for column in by})
    columns = found.values  # noqa: PD011 - not a frame
    values = pd.concat([columns.iloc[kept].astype(object), rest], ignore_index=True)
    return place[codes], (*labels, "other"), values, small
