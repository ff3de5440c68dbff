"""Effects of problems that last: a history in which behaviour lags, so that it cannot tell of the last activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.data.feature import Feature
from churnsurv.diagnosis.experience_asked import FEWEST_USERS
from churnsurv.diagnosis.experience_gaps import FEWEST, levels_of
from churnsurv.errors import ConvergenceError, InputError
from churnsurv.notes import note
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["Lasting", "check_lag", "lasting_rows"]

#: Days between the splits of the history.
EVERY = 7
_ACTIVE = (1, 2, 3, 4, 6, 9, 14)


@dataclass(frozen=True, slots=True, eq=False)
class Lasting:
    """Rows of schema "experience_lasting" but for the adjusted p-value, the lag, and notes."""

    rows: list[dict[str, Any]]
    lag: int | None
    notes: list[str]


def check_lag(lag: int | None, idle_days: int) -> int | None:
    """Refuse a lag with which a problem would tell that the user was active."""
    if lag is not None and lag < idle_days:
        raise InputError(
            f"lag must be at least the {idle_days} days of the churn rule; it is {lag}. A problem happens on an active "
            "day: known sooner, it says that the user was active since, and cannot churn yet. Whatever its effect, the "
            "hazard would look lower after it."
        )
    return lag


def lasting_rows(
    log: ActivityLog,
    kinds: Sequence[str],
    strata: Sequence[str],
    users: pd.DataFrame,
    *,
    window: int,
    lag: int | None,
    level: float,
) -> Lasting:
    """Fit formal churn of living users on the problems of `window` days, as they stood `lag` days before.

    Users who are often active meet more problems and have more occasions to leave: rows are compared with rows of as
    many active days in the same window. Attributes of `users` are cut as for the gaps.
    """
    names = [f"problem_{i}" for i in range(len(kinds))]
    asked: list[str | Feature] = [
        Feature(name, agg="any", kind=kind, last=window) for name, kind in zip(names, kinds, strict=True)
    ]
    asked += [Feature("active_in_window", agg="days", kind=log._kinds, last=window)]
    features = [each for each in strata if each == "stage" and each not in log._reading.users_read.attributes]
    history = log.history(features=[*asked, *features], every=EVERY, lag=lag)
    rows = history.table
    rows = rows[rows["stop"] > rows["start"]]
    exposed, notes = _counts(rows, names), list[str]()
    kept = {name: kind for name, kind in zip(names, kinds, strict=True) if exposed[name].enough}
    if len(kept) < len(names):
        gone = [kind for name, kind in zip(names, kinds, strict=True) if name not in kept]
        notes.append(
            note(
                "Lasting effects of {kinds} are not estimated: too few days or users after them.", kinds=said_list(gone)
            )
        )
    if not kept:
        return Lasting([], history.lag, notes)
    try:
        table = _fitted(rows, list(kept), strata, users, level=level)
    except ConvergenceError as error:
        said = str(error)
        for name, kind in reversed(kept.items()):
            said = said.replace(name, kind)
        return Lasting([], history.lag, [*notes, note("Lasting effects are not estimated: {fault}", fault=said)])
    what = note("in {days} days, {lag} days before", days=window, lag=history.lag)
    told = [
        {
            "kind": kind,
            "what": what,
            "lag": history.lag,
            "hazard_ratio": float(table[name]["hazard_ratio"]),
            "lower": float(table[name]["hr_lower"]),
            "upper": float(table[name]["hr_upper"]),
            "p_value": float(table[name]["p_value"]),
            "person_days": exposed[name].days,
            "n_churned": exposed[name].churned,
        }
        for name, kind in kept.items()
    ]
    return Lasting(told, history.lag, notes)


def _fitted(
    rows: pd.DataFrame, names: Sequence[str], strata: Sequence[str], users: pd.DataFrame, *, level: float
) -> dict[str, dict[Any, Any]]:
    """Rows of the Cox model by term."""
    import pandas as pd

    from churnsurv.survival.cox import cox

    rows = rows.assign(active_in_window=_active(rows["active_in_window"], rows["churned"]))
    columns, place_of = [], users.set_index("user_id").index.get_indexer(pd.Index(rows["user_id"]))
    for place, name in enumerate(strata):
        if name in users.columns:
            codes, _ = levels_of(users[name], name)
            rows = rows.assign(**{f"stratum_{place}": np.asarray(codes)[place_of]})
        columns.append(f"stratum_{place}" if name in users.columns else name)
    more = ["active_in_window"] if len(rows["active_in_window"].unique()) > 1 else []
    fit = cox(
        " + ".join([*names, *more]),
        rows,
        strata=columns or None,
        cluster="user_id",
        ties="grouped",
        duration="stop",
        entry="start",
        event="churned",
        level=level,
    )
    return {str(row["term"]): row for row in fit.table.to_dict("records")}


@dataclass(frozen=True, slots=True)
class _Exposed:
    """Person-days and churns with a problem, and whether there are enough of both, with it and without, to compare."""

    days: int
    churned: int
    enough: bool


def _counts(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, _Exposed]:
    import pandas as pd

    days, churned = (rows["stop"] - rows["start"]).to_numpy(), rows["churned"].to_numpy(dtype=np.bool_)
    user = pd.factorize(rows["user_id"])[0]
    whole, found = int(days.sum()), {}
    for name in names:
        there = rows[name].to_numpy() > 0
        mine, n_churned = int(days[there].sum()), int((there & churned).sum())
        own = np.bincount(user[there], days[there])
        enough = (
            min(mine, whole - mine) * int(churned.sum()) >= FEWEST * whole
            and 0 < n_churned < int(churned.sum())
            and float(own.sum() ** 2) >= FEWEST_USERS * float((own**2).sum())
        )
        found[name] = _Exposed(mine, n_churned, enough)
    return found


def _active(days: pd.Series[Any], churned: pd.Series[Any]) -> Any:
    """Active days in classes; one with few churns joins the one below."""
    code = np.searchsorted(_ACTIVE, days.to_numpy(dtype=np.float64, na_value=0.0), side="right")
    for step in range(len(_ACTIVE), 0, -1):
        if churned.to_numpy(dtype=np.bool_)[code == step].sum() < FEWEST:
            code[code == step] = step - 1
    return np.array([f"class {step}" for step in range(len(_ACTIVE) + 1)], dtype=object)[code]
