"""Effects of problems that last: a history in which behaviour lags, so that it cannot tell of the last activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.data.feature import Feature
from churnsurv.diagnosis.experience_gaps import FEWEST
from churnsurv.errors import InputError

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
    log: ActivityLog, kinds: Sequence[str], strata: Sequence[str], *, window: int, lag: int | None, level: float
) -> Lasting:
    """Fit formal churn of living users on the problems of `window` days, as they stood `lag` days before.

    Users who are often active meet more problems and have more occasions to leave: rows are compared with rows of as
    many active days in the same window.
    """
    from churnsurv.survival.cox import cox

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
    total, n_churned = float((rows["stop"] - rows["start"]).sum()), int(rows["churned"].sum())
    kept = [
        name
        for name, (days, churned, without) in exposed.items()
        if min(days, total - days) * n_churned >= FEWEST * total and churned > 0 and without > 0
    ]
    if len(kept) < len(names):
        gone = [kind for name, kind in zip(names, kinds, strict=True) if name not in kept]
        notes.append(f"Lasting effects of {', '.join(gone)} are not estimated: too few days after them.")
    if not kept:
        return Lasting([], history.lag, notes)
    rows = rows.assign(active_in_window=_active(rows["active_in_window"], rows["churned"]))
    more = ["active_in_window"] if len(rows["active_in_window"].unique()) > 1 else []
    fit = cox(
        " + ".join([*kept, *more]),
        rows,
        strata=list(strata) or None,
        cluster="user_id",
        ties="grouped",
        duration="stop",
        entry="start",
        event="churned",
        level=level,
    )
    table = {str(row["term"]): row for row in fit.table.to_dict("records")}
    return Lasting(
        [
            {
                "kind": kind,
                "what": f"in {window} days, {history.lag} days before",
                "lag": history.lag,
                "hazard_ratio": float(table[name]["hazard_ratio"]),
                "lower": float(table[name]["hr_lower"]),
                "upper": float(table[name]["hr_upper"]),
                "p_value": float(table[name]["p_value"]),
                "person_days": exposed[name][0],
                "n_churned": exposed[name][1],
            }
            for name, kind in zip(names, kinds, strict=True)
            if name in kept
        ],
        history.lag,
        notes,
    )


def _counts(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Person-days and churns with each problem, and churns without it."""
    days, churned = (rows["stop"] - rows["start"]).to_numpy(), rows["churned"].to_numpy(dtype=np.bool_)
    found = {}
    for name in names:
        there = rows[name].to_numpy() > 0
        found[name] = (int(days[there].sum()), int((there & churned).sum()), int((~there & churned).sum()))
    return found


def _active(days: pd.Series[Any], churned: pd.Series[Any]) -> Any:
    """Active days in classes; one with few churns joins the one below."""
    code = np.searchsorted(_ACTIVE, days.to_numpy(dtype=np.float64, na_value=0.0), side="right")
    for step in range(len(_ACTIVE), 0, -1):
        if churned.to_numpy(dtype=np.bool_)[code == step].sum() < FEWEST:
            code[code == step] = step - 1
    return np.array([f"class {step}" for step in range(len(_ACTIVE) + 1)], dtype=object)[code]
