"""Users put into warning tiers by the state they are in on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.relation import Relation
from churnsurv.errors import InputError
from churnsurv.survival.frames import as_frame, counted, first_of, numeric_column
from churnsurv.tables import Result
from churnsurv.warning.rules import IDLE_DAYS

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ChurnRule
    from churnsurv.warning.scheme import TierScheme

__all__ = ["States", "TierAssignment", "assign", "places", "states_of"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_OURS = ("user_id", "date", IDLE_DAYS, "tier")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TierAssignment(Result):
    """Which warning tier each user is in; made by `TierScheme.assign`.

    Attributes
    ----------
    tiers : tuple of str
        Highest first.
    in_tier : Mapping of str to int
        Rows in each tier.
    counts : Mapping of str to int
        `rows`; `no_tier`, those in none; `churned`, those of them that are idle for as long as makes a churn;
        `missing`, rows without idle days or without a variable that nothing stands in for.
    churn_rule : ChurnRule
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "tier_assignment"

    tiers: tuple[str, ...]
    in_tier: Mapping[str, int]
    counts: Mapping[str, int]
    churn_rule: ChurnRule
    notes: tuple[str, ...]
    _table: pd.DataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_tier", MappingProxyType(dict(self.in_tier)))
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table, rows as they came: schema "tier_assignment" and the variables; `tier` is ordered."""
        return self._table.copy()

    def _headline(self) -> str:
        parts = [f"{n:,} {name}" for name, n in self.in_tier.items()]
        return f"{', '.join(parts)}, {self.counts['no_tier']:,} in no tier, of {counted(self.counts['rows'], 'row')}"

    def _facts(self) -> dict[str, Any]:
        return {
            "tiers": self.tiers,
            "in_tier": dict(self.in_tier),
            "counts": dict(self.counts),
            "rule": {"idle_days": self.churn_rule.idle_days, "activity": self.churn_rule.activity},
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What the rules of a scheme look at, of n users.

    Attributes
    ----------
    frame : DataFrame
        `user_id`, `date` where there is one, `idle_days` and the variables, as they came.
    numbers : Mapping of str to (n,) float64
        Idle days and variables, filled where the scheme says what stands in for no value; else NaN.
    missing : Mapping of str to (n,) bool
        Where there was none.
    """

    frame: pd.DataFrame
    numbers: Mapping[str, Floats]
    missing: Mapping[str, Flags]

    def of_row(self, place: int) -> States:
        """The state of one user."""
        return States(
            self.frame.iloc[[place]],
            {name: values[[place]] for name, values in self.numbers.items()},
            {name: gone[[place]] for name, gone in self.missing.items()},
        )


def states_of(scheme: TierScheme, snapshot: Any) -> States:
    """Take from a snapshot what the rules look at.

    Raises
    ------
    SchemaError
        If a column is missing or holds no numbers.
    InputError
        If the snapshot was taken under another churn rule than the scheme's, or idle days are below 0.
    """
    if hasattr(snapshot, "snapshot"):
        raise InputError("Tiers are of one day: pass log.snapshot(day, features=scheme.features), not the log.")
    _check_rule(scheme, snapshot)
    variables = _variables(scheme)
    numbers = variables if scheme.score is None else scheme.score.numbers
    needed = ["user_id", IDLE_DAYS, *variables]
    frame = as_frame(snapshot, needed=needed, columns=(), optional=("date",), what="snapshot")
    frame = frame[[name for name in dict.fromkeys(("user_id", "date", *needed)) if name in frame.columns]]
    values, missing = {}, {}
    for name in (IDLE_DAYS, *numbers):
        found = numeric_column(frame, name, "numbers").astype(np.float64)
        missing[name] = np.isnan(found)
        values[name] = np.where(missing[name], scheme.missing.get(name, np.nan), found)
    if scheme.score is not None:
        values |= scheme.score.added(scheme.filled(frame), values[IDLE_DAYS])
    negative = values[IDLE_DAYS] < 0
    if negative.any():
        raise InputError(
            "snapshot: idle_days are days since the last activity, 0 or more; "
            f"{first_of(negative, values[IDLE_DAYS])}. Check that the snapshot knows nothing of later days."
        )
    return States(frame, values, missing)


def places(scheme: TierScheme, values: Mapping[str, Any]) -> NDArray[np.int64]:
    """The place of each user's tier among `scheme.tiers`, highest first, by arrays of numbers; -1 for none."""
    place = np.full(values[IDLE_DAYS].size, -1, dtype=np.int64)
    living = values[IDLE_DAYS] < scheme.idle_days  # false where it is not known
    if scheme.score is not None:
        living &= values[IDLE_DAYS] >= 1  # alerts are of silent users
    for i, tier in reversed(list(enumerate(scheme.tiers))):
        place[living & tier.rule.holds(values)] = i
    return place


def assign(scheme: TierScheme, snapshot: Any) -> TierAssignment:
    """Put users into the highest tier whose rule holds for them; see `TierScheme.assign`.

    Parameters
    ----------
    scheme : TierScheme
    snapshot : Snapshot, Panel, table or relation
        With the columns `user_id, idle_days` and the variables of the rules. Of a relation these columns are fetched;
        `to_sql` leaves everything where it is.

    Raises
    ------
    SchemaError
        If a column is missing (the nearest name is given) or holds no numbers.
    InputError
        If the snapshot was taken under another churn rule, or idle days are below 0.
    """
    import pandas as pd

    states = states_of(scheme, snapshot)
    place = places(scheme, states.numbers)
    names = [tier.name for tier in scheme.tiers]
    codes: NDArray[np.int64] = np.where(place < 0, -1, len(names) - 1 - place)
    tier = pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(names[::-1], ordered=True))
    frame = states.frame.reset_index(drop=True)
    table = pd.DataFrame({"user_id": frame["user_id"]})
    table["date"] = frame["date"] if "date" in frame else pd.Series(pd.NaT, index=frame.index, dtype="datetime64[s]")
    table[IDLE_DAYS] = frame[IDLE_DAYS]
    table["tier"] = tier
    others = [name for name in frame if name not in _OURS]
    table = pd.concat([table, frame[others]], axis=1)
    if scheme.score is not None:
        table = table.assign(**{name: states.numbers[name] for name in scheme.score.names if name not in table})
    return TierAssignment(
        tuple(names),
        {name: int(np.count_nonzero(place == i)) for i, name in enumerate(names)},
        _counts(scheme, states, place),
        scheme.churn_rule,
        _notes(scheme, states),
        table,
    )


def _variables(scheme: TierScheme) -> list[str]:
    """What the rules look at besides the idle days."""
    found = dict.fromkeys(name for tier in scheme.tiers for name in tier.rule.variables if name != IDLE_DAYS)
    if scheme.score is not None:
        found = dict.fromkeys(scheme.score.variables)
    clash = next((name for name in found if name.lower() in _OURS), None)
    if clash is not None:
        raise InputError(f"The rules look at a variable called {clash!r}, which is a column of the answer. Rename it.")
    return list(found)


def _check_rule(scheme: TierScheme, snapshot: Any) -> None:
    idle_days: object
    activity: Any
    if isinstance(snapshot, Relation):
        said = snapshot.facts.get("rule")
        if not isinstance(said, Mapping):
            return
        idle_days, activity = said.get("idle_days"), said.get("activity")
    else:
        rule = getattr(snapshot, "rule", None) if isinstance(snapshot, Result) else None
        if rule is None:
            return
        idle_days, activity = rule.idle_days, rule.activity
    own = scheme.churn_rule
    kinds = [None if each is None else set(each) for each in (activity, own.activity)]
    if idle_days != own.idle_days or kinds[0] != kinds[1]:
        theirs = "any event" if activity is None else " or ".join(activity)
        raise InputError(
            f"The snapshot counts {idle_days} days without {theirs} as churn, and the tiers were fitted to {own}: idle "
            "days would mean something else. Take the snapshot from a log of that rule (log.with_rule(...)), or fit "
            "tiers under this one."
        )


def _counts(scheme: TierScheme, states: States, place: NDArray[np.int64]) -> dict[str, int]:
    needed = [name for name in states.numbers if scheme.score is None or name not in scheme.score.worths]
    return {
        "rows": place.size,
        "no_tier": int(np.count_nonzero(place < 0)),
        "churned": int(np.count_nonzero(states.numbers[IDLE_DAYS] >= scheme.idle_days)),
        "missing": int(np.count_nonzero(np.logical_or.reduce([np.isnan(states.numbers[name]) for name in needed]))),
    }


def _notes(scheme: TierScheme, states: States) -> tuple[str, ...]:
    notes = []
    churned = int(np.count_nonzero(states.numbers[IDLE_DAYS] >= scheme.idle_days))
    if churned:
        notes.append(
            f"{counted(churned, 'row')} idle for {scheme.idle_days} days or more: churned already, and in no tier."
        )
    for name, gone in states.missing.items():
        n = int(np.count_nonzero(gone))
        if not n:
            continue
        if name in scheme.missing:
            notes.append(f"{counted(n, 'row')} without {name}: {scheme.missing[name]:,.12g} stands in for it.")
        elif name == IDLE_DAYS:
            notes.append(f"{counted(n, 'row')} without idle_days: in no tier, as nothing says whether they churned.")
        elif scheme.score is not None:
            what = "in no tier" if name in scheme.score.names else "no score, and in no tier"
            notes.append(f"{counted(n, 'row')} without {name}: {what}.")
        else:
            notes.append(f"{counted(n, 'row')} without {name}: no condition on it holds for them.")
    return tuple(notes)
