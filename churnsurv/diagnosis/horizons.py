"""Churn by stated horizons, read from curves by group: what was not followed so far is no number.

Limits need users who were followed to the horizon, whatever became of them: with fewer than ten the curve ends in steps
of a user or two, and 95 % limits hold the truth in 78 to 95 % of simulated samples, with ten and more in 90 to 97 %.
That number says nothing of the outcome; to withhold limits by the number still at risk would leave those of the samples
with luck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.diagnosis.naming import called, listed, quoted
from churnsurv.notes import note
from churnsurv.survival.competing import cumulative_incidence
from churnsurv.survival.curves import kaplan_meier

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEWEST_FOLLOWED", "GroupCurve", "followed", "group_curves", "horizon_rows", "stage_curves"]

Row = dict[str, Any]

#: Users followed to a horizon below which it has no limits.
FEWEST_FOLLOWED = 10


@dataclass(frozen=True, slots=True, eq=False)
class GroupCurve:
    """P(churned by a day) of one group as steps, with limits.

    Attributes
    ----------
    key : tuple of str
        Values of the columns that make the group.
    steps : DataFrame
        `time, churned, std_error, lower, upper`, from time 0 on.
    duration : (n,) integer
        Of the rows at risk.
    known : (n,) integer
        Days from the origin of each row to the end of the log: how long it could be followed.
    ends : bool
        Nobody is left after the last duration, so that the curve is flat from there on.
    """

    key: tuple[str, ...]
    steps: pd.DataFrame
    duration: np.ndarray[Any, np.dtype[Any]]
    known: np.ndarray[Any, np.dtype[Any]]
    ends: bool

    @property
    def last_day(self) -> int:
        """The last day that the curve says something about: somebody was followed to it.

        Where nobody is left, that is the last day that the log has reached for anybody.
        """
        return int(self.known.max() if self.ends else self.duration.max())

    def on(self, horizon: int) -> Row:
        """The curve on a day that it reaches.

        Limits are null before the first churn and where everybody has churned: their scale ends there; and where too
        few were followed to the day.
        """
        place = int(np.searchsorted(self.steps["time"].to_numpy(), horizon, side="right")) - 1
        at = self.steps.iloc[place]
        n_followed = int((self.known >= horizon).sum())
        # Only of day 0 it is certain that nobody has churned.
        unknown = n_followed < FEWEST_FOLLOWED or (horizon > 0 and at["churned"] == 0)
        return {
            "churned": float(at["churned"]),
            "std_error": float(at["std_error"]),
            "lower": float("nan") if unknown else float(at["lower"]),
            "upper": float("nan") if unknown else float(at["upper"]),
            "n_at_risk": int((self.duration >= horizon).sum()),
            "n_followed_to": n_followed,
        }


def followed(origin: pd.Series[Any], until: date) -> np.ndarray[Any, np.dtype[Any]]:
    """Days from each origin to the end of the log.

    Examples
    --------
    >>> import pandas as pd
    >>> followed(pd.Series(pd.to_datetime(["2024-01-01"])), date(2024, 1, 31)).tolist()
    [30]
    """
    import pandas as pd

    days: np.ndarray[Any, np.dtype[Any]] = (pd.Timestamp(until) - origin).dt.days.to_numpy()
    return days


def group_curves(spells: pd.DataFrame, by: str, until: date, level: float) -> list[GroupCurve]:
    """Return 1 - Kaplan and Meier's curve of each group; groups without a day at risk have none.

    Parameters
    ----------
    spells : DataFrame
        One row a user: schema "spells" and the column `by`.
    """
    rows = spells[spells["duration"] > spells["entry"]]
    if rows.empty:
        return []
    named = rows[["duration", "churned", "entry", by]].rename(columns={by: "value"})
    table = kaplan_meier(named, by="value", entry="entry", level=level).table
    table = table.assign(churned=1 - table["survival"], lower=1 - table["upper"], upper=1 - table["lower"])
    parts = {str(value): part for value, part in rows.groupby(by, sort=False, observed=True)}
    return [
        _curve((str(value),), steps, parts[str(value)], until, ends=bool(steps["survival"].iloc[-1] == 0))
        for value, steps in table.groupby("value", sort=False, observed=True)
    ]


def stage_curves(episodes: pd.DataFrame, by: Sequence[str], until: date, level: float) -> list[GroupCurve]:
    """Return the cumulative incidence of churn out of a stage, for each group of stage episodes.

    Moving to another stage is the competing end (Aalen and Johansen 1978). Standard errors are by user, since where
    stages can be entered again a user has several episodes.

    Parameters
    ----------
    episodes : DataFrame
        Schema "stage_episodes" and the columns `by`.
    """
    rows = episodes[episodes["duration"] > episodes["entry"]]
    if not rows["ended"].any():
        return []
    table = cumulative_incidence(
        rows, cause="ended_by", by=list(by), event="ended", entry="entry", cluster="user_id", level=level
    ).table
    parts = {_key(value): part for value, part in rows.groupby(list(by), sort=False, observed=True)}
    found = []
    for value, part in table.groupby(list(by), sort=False, observed=True):
        gone = part.groupby("cause", sort=False)["incidence"].last().sum()
        steps = part[part["cause"] == "churned"].rename(columns={"incidence": "churned"})
        if len(steps):
            found.append(_curve(_key(value), steps, parts[_key(value)], until, ends=bool(gone > 1 - 1e-12)))
    return found


def _key(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


def _curve(key: tuple[str, ...], steps: pd.DataFrame, rows: pd.DataFrame, until: date, *, ends: bool) -> GroupCurve:
    columns = steps[["time", "churned", "std_error", "lower", "upper"]].sort_values("time", kind="stable")
    return GroupCurve(key, columns, rows["duration"].to_numpy(), followed(rows["origin"], until), ends)


def horizon_rows(
    variable: str, groups: Sequence[str], curves: Sequence[GroupCurve], horizons: Sequence[int]
) -> tuple[list[Row], list[str]]:
    """Return the rows of one variable with schema "churn_by_horizon", and what was left out or has no limits.

    Parameters
    ----------
    variable : str
    groups : sequence of str
        All groups, in order; those without a curve reach no horizon.
    """
    known: Mapping[str, GroupCurve] = {curve.key[0]: curve for curve in curves}
    rows: list[Row] = []
    beyond: dict[int, list[str]] = {}
    few: dict[int, list[str]] = {}
    for group in groups:
        for horizon in horizons:
            curve = known.get(group)
            if curve is not None and horizon <= curve.last_day:
                row = {"variable": variable, "group": group, "horizon": horizon, **curve.on(horizon)}
                rows.append(row)
                if row["n_followed_to"] < FEWEST_FOLLOWED:
                    n = row["n_followed_to"]
                    few.setdefault(horizon, []).append(note("{group} ({n})", group=quoted(group), n=n))
            else:
                last = 0 if curve is None else curve.last_day
                said = note("{group} (day {day})", group=quoted(group), day=last)
                beyond.setdefault(horizon, []).append(said)
    since = note("since the stage began") if variable == "stage" else note("since registration")
    notes: list[str] = [
        note(
            "{variable}: no curve reaches day {day} {since} in {groups}: left out.",
            variable=called(variable),
            day=horizon,
            since=since,
            groups=listed(each),
        )
        for horizon, each in sorted(beyond.items())
    ]
    notes += [
        note(
            "{variable}: fewer than {least} users were followed to day {day} {since} in {groups}: without limits, and "
            "the estimate rests on few.",
            variable=called(variable),
            least=FEWEST_FOLLOWED,
            day=horizon,
            since=since,
            groups=listed(each),
        )
        for horizon, each in sorted(few.items())
    ]
    return rows, notes
