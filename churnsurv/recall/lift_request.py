"""What a lift is asked for, checked once; and the table of assignments with the strata and clusters asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from churnsurv.data.assigned import CampaignRows
from churnsurv.data.assigned_covariates import attribute_names, attribute_of
from churnsurv.data.assigned_sql import MOMENTS
from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.recall.lift_tables import UNITS, Settings, check_lift_adjust
from churnsurv.survival.frames import as_frame
from churnsurv.survival.inputs import check_level

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = [
    "APART",
    "DEFAULT_COVARIATES",
    "Asked",
    "Sums",
    "check_control",
    "check_shares",
    "group_of",
    "groups_asked",
    "own_covariates",
    "prepared",
    "with_groups",
]

Columns: TypeAlias = "Mapping[str, Mapping[str, str]] | None"
#: Factors and columns of `CampaignRows` that an outcome adds up.
Sums: TypeAlias = "dict[str, tuple[tuple[float, str], ...]]"

DEFAULT_COVARIATES = ("pre_active_days", "pre_invested", "pre_balance", "pre_idle_days", "tenure")
_NEEDS_AMOUNTS = ("reinvested", "net_value")
#: Between the name of a group and that of a stratum within it.
APART = "\x1f"
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
        if not _is_real(margin) or not np.isfinite(float(margin)):
            raise InputError(f"margin must be a finite number, the worth of a unit re-invested; it is {margin!r}.")
        if not _is_whole(seed) or seed < 0:
            raise InputError(f"seed must be a whole number from 0 on; it is {seed!r}.")
        if isinstance(outcomes, str):
            outcomes = (outcomes,)
        if outcomes is not None and not isinstance(outcomes, Collection):
            raise InputError(f"outcomes must be a sequence of names, not {outcomes!r}. Outcomes: {', '.join(UNITS)}.")
        for outcome in outcomes or ():
            if outcome not in UNITS:
                hint = did_you_mean(str(outcome), UNITS)
                raise InputError(f"outcomes: there is no {outcome!r}.{hint} Outcomes: {', '.join(UNITS)}.")
        wanted = None if outcomes is None else tuple(name for name in UNITS if name in outcomes)
        if wanted == ():
            raise InputError("outcomes is empty: name some, or leave it out for all.")
        return cls(wanted, check_level(level), check_lift_adjust(adjust), int(seed), float(margin))

    def settings(self, rows: CampaignRows, *, drawn: bool = True) -> Settings:
        """The outcomes that these rows can tell of; `drawn` says whether their arms were.

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
        if not drawn:
            reasons["hazard_ratio"] = "weighted for a contact that was not drawn, it is not that of users who are alike"
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
    elif strata is not None and not len(strata):
        raise InputError("strata is empty: name columns of the assignments, or leave it out.")
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
    import pandas as pd

    frame = as_frame(assignments, what="assignments")
    ours = dict(mapping.get("assignments", {}))
    _refuse_later(by, ours)
    if by in frame.columns:
        values = frame[by]
    else:
        _refuse_unknown(log, by, list(frame.columns))
        found = attribute_of(log, frame[ours.get("user_id", "user_id")], by)
        values = pd.Series(found, index=frame.index, dtype="string")
    inner = frame.get(ours.pop("stratum", "stratum"))
    groups = values.astype("string").fillna("missing")
    if inner is not None:
        groups = groups + APART + inner.astype("string").fillna("missing")
    frame = frame.assign(stratum=groups.astype(object).to_numpy())
    return frame, {**mapping, "assignments": ours}


def _refuse_later(by: str, ours: Mapping[str, str]) -> None:
    """What came of the assignment makes no groups: who is in them depends on the arm."""
    if by in {ours.get(each, each) for each in (*MOMENTS, "arm")}:
        raise InputError(
            f"by: {by!r} is settled by the assignment or after it, so that arms cannot be compared within its groups. "
            "Name what was known before."
        )


def _refuse_unknown(log: ActivityLog, by: str, there: Sequence[str]) -> None:
    known = attribute_names(log)
    if by not in known:
        hint = did_you_mean(str(by), [*there, *known])
        raise InputError(
            f"by: {by!r} is no column of the assignments, and none of the users.{hint} "
            f"Columns of the assignments: {', '.join(map(repr, there))}; of the users: "
            f"{', '.join(map(repr, known)) or 'none'}."
        )


def _is_real(value: Any) -> bool:
    """A number of any library; a boolean is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_real(value) and isinstance(value, Integral)


def groups_asked(by: Any) -> tuple[str, ...]:
    """Columns whose groups are looked at, each once.

    Examples
    --------
    >>> groups_asked("device"), groups_asked(["device", "device"]), groups_asked(None)
    (('device',), ('device',), ())
    """
    if by is None:
        return ()
    named = (by,) if isinstance(by, str) else by
    if not isinstance(named, Collection) or not all(isinstance(each, str) for each in named):
        raise InputError(f"by must be the name of a column, or a sequence of names, not {by!r}.")
    return tuple(dict.fromkeys(named))


def check_control(control: Any) -> None:
    """Refuse what cannot be the name of an arm: arms are read as text.

    Examples
    --------
    >>> check_control(0)
    Traceback (most recent call last):
    churnsurv.errors.InputError: control must be the name of an arm as text, such as '0', not 0.
    """
    if not isinstance(control, str):
        such = "" if control is None else f", such as {str(control)!r}"
        raise InputError(f"control must be the name of an arm as text{such}, not {control!r}.")


def check_shares(shares: Any) -> None:
    """Refuse shares that are no numbers by arm.

    Examples
    --------
    >>> check_shares({"sms": "1x"})
    Traceback (most recent call last):
    churnsurv.errors.InputError: shares: that of 'sms' is no number: '1x'. Give the planned share of every arm.
    """
    if shares is None:
        return
    if not isinstance(shares, Mapping):
        raise InputError(f"shares must map the name of each arm to its share, not {shares!r}.")
    for arm, share in shares.items():
        if not _is_real(share):
            raise InputError(f"shares: that of {arm!r} is no number: {share!r}. Give the planned share of every arm.")


def group_of(stratum: str) -> str:
    """The group in the name of a stratum made by `with_groups`.

    Examples
    --------
    >>> group_of("web" + chr(31) + "north")
    'web'
    """
    return stratum.split(APART, 1)[0]
