"""A feature: one number per user, taken at the end of a stated day from everything known by then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from churnsurv.data.rule import whole_days
from churnsurv.errors import InputError, did_you_mean

__all__ = ["ACTIVITY", "BUILT_IN", "SPECIAL", "Feature", "resolve"]

_AGGREGATES = ("count", "sum", "max", "min", "mean", "any", "days", "share")
_OF_NUMBERS = ("sum", "max", "min", "mean")
_COUNTED = ("count", "any", "days", "share")


@dataclass(frozen=True, slots=True)
class Feature:
    """An aggregate of a user's events up to the end of a day.

    It runs over the user's whole life up to that day, not over the spell alone. Sums are exact and the same in every
    order and on every engine: whole numbers and decimals are added as they are, floating-point numbers after rounding
    each to a millionth.

    Parameters
    ----------
    name : str
        Name of the column.
    agg : {"count", "sum", "max", "min", "mean", "any", "days", "share"}
        ``any`` is 1 or 0; ``days`` counts distinct days; ``share`` is the share of the events of `kind` whose `column`
        equals `equals`.
    column : str, optional
        Column of the events; needed for sum, max, min, mean and share. Missing values do not count; in a share they
        are events that do not match.
    kind : str or sequence of str, optional
        Only events of these kinds.
    equals : str, number or bool, optional
        Only events whose `column` has this value; with count, any, days and share.
    last : int, optional
        Only the last so many days, the stated day included.
    empty : number, optional
        Value where no event matches: by default 0 for count, sum, any and days, null for the others.

    Raises
    ------
    InputError
        If the parts do not make a feature.

    Examples
    --------
    >>> Feature("boosted_month", agg="any", column="product", equals="boosted", last=30).empty
    0
    """

    name: str
    agg: str = field(kw_only=True)
    column: str | None = field(default=None, kw_only=True)
    kind: str | Sequence[str] | None = field(default=None, kw_only=True)
    equals: object = field(default=None, kw_only=True)
    last: int | None = field(default=None, kw_only=True)
    empty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"A feature needs a name as text; it is {self.name!r}.")
        where = f"Feature {self.name!r}"
        if self.agg not in _AGGREGATES:
            hint = did_you_mean(str(self.agg), _AGGREGATES)
            raise InputError(f"{where}: there is no agg {self.agg!r}.{hint} Use one of {', '.join(_AGGREGATES)}.")
        if self.agg in _OF_NUMBERS and self.column is None:
            raise InputError(f"{where}: {self.agg} needs column=, such as column='amount'.")
        if self.equals is not None and (self.column is None or self.agg in _OF_NUMBERS):
            raise InputError(f"{where}: equals= goes with column= and one of {', '.join(_COUNTED)}.")
        if self.agg == "share" and self.equals is None:
            raise InputError(f"{where}: share needs column= and equals=, such as column='product', equals='boosted'.")
        if self.column is not None and not isinstance(self.column, str):
            raise InputError(f"{where}: column is the name of a column of events; it is {self.column!r}.")
        object.__setattr__(self, "kind", _kinds(where, self.kind))
        if self.last is not None:
            object.__setattr__(self, "last", whole_days(self.last, f"{where}: last", least=1))
        if self.empty is None and self.agg not in {"max", "min", "mean", "share"}:
            object.__setattr__(self, "empty", 0)
        elif self.empty is not None and not _is_number(self.empty):
            raise InputError(f"{where}: empty must be a finite number; it is {self.empty!r}.")

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """The event kinds it looks at; None for all."""
        return None if self.kind is None else tuple(self.kind)


def _kinds(where: str, kind: object) -> tuple[str, ...] | None:
    if kind is None:
        return None
    kinds = (kind,) if isinstance(kind, str) else tuple(kind) if isinstance(kind, Sequence) else ()
    if not kinds or not all(isinstance(each, str) for each in kinds):
        raise InputError(f"{where}: kind names event kinds as text; it is {kind!r}.")
    return kinds


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


#: The features that have a name of their own.
BUILT_IN: Mapping[str, Feature] = MappingProxyType(
    {
        feature.name: feature
        for feature in (
            Feature("n_investments", agg="count", kind="invest"),
            Feature("total_amount", agg="sum", column="amount", kind="invest"),
            Feature("max_amount", agg="max", column="amount", kind="invest", empty=0),
            Feature("ever_boosted", agg="any", column="product", equals="boosted"),
            Feature("boosted_share", agg="share", column="product", equals="boosted", kind="invest"),
        )
    }
)
#: Features that are more than one aggregate: the balance, and the stage that another feature falls into.
SPECIAL = ("balance", "stage")
#: What is told of a user's activity itself, and therefore asked for in another way.
ACTIVITY = ("idle_days", "active_days", "mean_interval", "last_interval")


def resolve(features: object) -> tuple[str | Feature, ...]:
    """Turn a list of names and features into features; "balance" and "stage" stay names.

    Raises
    ------
    InputError
        If a name is unknown (the nearest is given), two features share one (case does not count), or a name asks for
        the activity that churn itself is made of.
    """
    if isinstance(features, (str, Feature)) or not isinstance(features, Sequence):
        raise InputError(f"features is a list of names and ch.Feature, such as ['n_investments']; it is {features!r}.")
    chosen: list[str | Feature] = []
    for feature in features:
        if isinstance(feature, Feature):
            chosen.append(feature)
        elif feature in SPECIAL:
            chosen.append(str(feature))
        elif feature in BUILT_IN:
            chosen.append(BUILT_IN[str(feature)])
        elif feature in ACTIVITY:
            raise InputError(
                f"{feature!r} is no feature. In a model of churn it is the outcome itself: churn is idle_days at its "
                "limit, and each activity sets it back. log.gaps(), for models of the return, log.landmark_panel() and"
                " log.snapshot() have it as a column already."
            )
        else:
            options = [*BUILT_IN, *SPECIAL]
            hint = did_you_mean(str(feature), options)
            raise InputError(
                f"There is no feature {feature!r}.{hint} Built in: {', '.join(options)}; "
                "others are made with ch.Feature(name, agg=...)."
            )
    names = [feature if isinstance(feature, str) else feature.name for feature in chosen]
    folded = [each.lower() for each in names]
    twice = [each for each in names if folded.count(each.lower()) > 1]
    if twice:
        raise InputError(f"features: {twice[0]!r} is there twice. Give each feature its own name.")
    return tuple(chosen)
