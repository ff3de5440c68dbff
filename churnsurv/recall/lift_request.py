"""What a lift is asked for, checked once; and the table of assignments with the strata and clusters asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from churnsurv.data.assigned import CampaignRows
from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.recall.lift_tables import UNITS, Settings, check_lift_adjust
from churnsurv.survival.frames import as_frame
from churnsurv.survival.inputs import check_level

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["DEFAULT_COVARIATES", "Asked", "Sums", "group_of", "own_covariates", "prepared", "with_groups"]

Columns: TypeAlias = "Mapping[str, Mapping[str, str]] | None"
#: Factors and columns of `CampaignRows` that an outcome adds up.
Sums: TypeAlias = "dict[str, tuple[tuple[float, str], ...]]"

DEFAULT_COVARIATES = ("pre_active_days", "pre_invested", "pre_balance", "pre_idle_days", "tenure")
_NEEDS_AMOUNTS = ("reinvested", "net_value")
_DESIGNS, _EXPOSURES = ("randomised", "observational"), ("delivered", "opened")


@dataclass(frozen=True, slots=True)
class Asked:
    """Arguments of a lift that make sense by themselves; `outcomes` None is all that can be told."""

    outcomes: tuple[str, ...] | None
    level: float
    adjust: str
    seed: int
    margin: float

    @classmethod
    def of(
        cls,
        outcomes: Sequence[str] | None,
        *,
        level: float,
        adjust: str,
        seed: int,
        margin: float,
        design: str = "randomised",
        exposure: str | None = None,
    ) -> Asked:
        """Check them.

        Examples
        --------
        >>> Asked.of(["days_to_return"], level=0.9, adjust="none", seed=1, margin=0.5).outcomes
        ('days_to_return',)
        """
        for name, value, known in (("design", design, _DESIGNS), ("exposure", exposure, _EXPOSURES)):
            if value is not None and value not in known:
                options = " or ".join(map(repr, known))
                raise InputError(f"{name} must be {options}, not {value!r}.{did_you_mean(str(value), known)}")
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not np.isfinite(margin):
            raise InputError(f"margin must be a finite number, the worth of a unit re-invested; it is {margin!r}.")
        if isinstance(outcomes, str):
            outcomes = (outcomes,)
        for outcome in outcomes or ():
            if outcome not in UNITS:
                hint = did_you_mean(str(outcome), UNITS)
                raise InputError(f"outcomes: there is no {outcome!r}.{hint} Outcomes: {', '.join(UNITS)}.")
        wanted = None if outcomes is None else tuple(name for name in UNITS if name in outcomes)
        if wanted == ():
            raise InputError("outcomes is empty: name some, or leave it out for all.")
        return cls(wanted, check_level(level), check_lift_adjust(adjust), seed, float(margin))

    def settings(self, rows: CampaignRows) -> Settings:
        """The outcomes that these rows can tell of.

        Raises
        ------
        InputError
            If one was asked for that they cannot.
        """
        reasons: dict[str, str] = {}
        if "amount" not in rows.given:
            reasons |= dict.fromkeys(_NEEDS_AMOUNTS, "events have no amount")
        if rows.horizon < 2 * rows.idle_days:
            reasons["days_live"] = (
                f"within {rows.horizon} days hardly anybody who returns can churn again; it needs a horizon of "
                f"{2 * rows.idle_days} days, twice the idle days of the rule"
            )
        for name in self.outcomes or ():
            if name in reasons:
                raise InputError(f"outcomes: {name!r} cannot be told: {reasons[name]}.")
        outcomes = self.outcomes or tuple(name for name in UNITS if name not in reasons)
        return Settings(outcomes, self.level, self.adjust, self.seed)

    def sums(self, outcomes: Sequence[str]) -> Sums:
        """What the outcomes that are added up over days are made of."""
        net = ((self.margin, "reinvested"), (-1.0, "rewards"), (-1.0, "liability"), (-1.0, "cost"))
        known: Sums = {name: ((1.0, name),) for name in ("active_days", "reinvested", "days_live")} | {"net_value": net}
        return {name: known[name] for name in outcomes if name in known}


def own_covariates(covariates: Sequence[str] | None) -> tuple[str, ...]:
    """Columns to be read of the assignments or users: those that are not known of every row anyway.

    Examples
    --------
    >>> own_covariates(["tenure", "device"])
    ('device',)
    """
    if isinstance(covariates, str):
        raise InputError(f"covariates must be a sequence of names: write covariates=[{covariates!r}].")
    return tuple(name for name in covariates or () if name not in DEFAULT_COVARIATES)


def prepared(assignments: Any, columns: Columns, strata: str | Sequence[str] | None, cluster: str | None) -> Any:
    """Assignments whose strata and clusters are the columns asked for, and the mapping of names: a pair."""
    mapping = {name: dict(names) for name, names in (columns or {}).items()}
    ours = mapping.setdefault("assignments", {})
    if isinstance(strata, str):
        ours["stratum"] = strata
    elif strata is not None:
        frame = as_frame(assignments, what="assignments")
        require_columns("assignments", list(strata), frame.columns)
        assignments = frame.assign(stratum=_together(frame, list(strata)))
        ours.pop("stratum", None)
    if cluster not in (None, "auto"):
        ours["cluster"] = str(cluster)
    return assignments, {name: names for name, names in mapping.items() if names}


def _together(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Values of several columns joined by " | "; missing ones as a value of their own."""
    texts = [frame[name].astype("string").fillna("missing") for name in columns]
    found = texts[0]
    for text in texts[1:]:
        found = found + " | " + text
    return found.astype(object)


def with_groups(log: ActivityLog, assignments: Any, mapping: Mapping[str, Mapping[str, str]], by: str) -> Any:
    """Assignments with groups as strata, within those there are; and the mapping without strata: a pair.

    Strata are named "group" + U+001F + "stratum", so that a name can be taken apart again.
    """
    frame = as_frame(assignments, what="assignments")
    ours = dict(mapping.get("assignments", {}))
    if by in frame.columns:
        values = frame[by]
    else:
        values = _of_users(log, frame[ours.get("user_id", "user_id")], by, list(frame.columns))
    inner = frame.get(ours.pop("stratum", "stratum"))
    groups = values.astype("string").fillna("missing")
    if inner is not None:
        groups = groups + _APART + inner.astype("string").fillna("missing")
    frame = frame.assign(stratum=groups.astype(object).to_numpy())
    return frame, {**mapping, "assignments": ours}


_APART = "\x1f"


def _of_users(log: ActivityLog, user_id: pd.Series, by: str, there: Sequence[str]) -> pd.Series:
    """An attribute of the users for each assignment."""
    users = log.churn_spells().table
    if by not in users.columns:
        known = [*there, *users.columns]
        raise InputError(
            f"by: {by!r} is no column of the assignments, and none of the users.{did_you_mean(by, known)} Columns of "
            f"the assignments: {', '.join(map(repr, there))}."
        )
    of_user = users.drop_duplicates("user_id").set_index(users.drop_duplicates("user_id")["user_id"].astype(str))[by]
    found: pd.Series = user_id.astype(str).map(of_user)
    return found


def group_of(stratum: str) -> str:
    """The group in the name of a stratum made by `with_groups`.

    Examples
    --------
    >>> group_of("web" + chr(31) + "north")
    'web'
    """
    return stratum.split(_APART, 1)[0]
