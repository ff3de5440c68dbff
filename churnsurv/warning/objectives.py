"""What a warning is for: a value, a precision or a capacity; and how much a contact saves on which idle day."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean, require_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Capacity", "Objective", "Precision", "Saving", "Value", "objective_from_plain"]

Floats: TypeAlias = NDArray[np.float64]

_SHAPES: Mapping[str, tuple[str, ...]] = {
    "plateau": ("top", "middle", "width"),
    "linear": ("top", "idle_days"),
    "table": (),
}
_FALLS = (
    "A threshold exists only against a saving that falls with the idle days: if a contact saved as many later, "
    "the best day would always be the last one, when most of those contacted churn anyway."
)


@dataclass(frozen=True, slots=True)
class Saving:
    """Chance s(d) that a contact on idle day d keeps a user who would churn. Made by `plateau`, `linear`, `from_table`.

    Attributes
    ----------
    shape : {"plateau", "linear", "table"}
    parameters : tuple of (str, float)
        Of a named shape.
    days, s, lower, upper : tuple of float
        Of a table; the limits are empty where it has none.

    Examples
    --------
    >>> Saving.plateau(top=0.3, middle=20, width=3).at([0, 20, 29]).round(3).tolist()
    [0.3, 0.15, 0.014]
    """

    shape: str
    parameters: tuple[tuple[str, float], ...] = ()
    days: tuple[float, ...] = ()
    s: tuple[float, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.shape not in _SHAPES:
            raise InputError(
                f"A saving has no shape {self.shape!r}.{did_you_mean(str(self.shape), _SHAPES)} Use Saving.plateau, "
                "Saving.linear or Saving.from_table."
            )
        names = tuple(key for key, _ in self.parameters)
        if names != _SHAPES[self.shape]:
            raise InputError(f"A saving of shape {self.shape!r} has the parameters {_SHAPES[self.shape]}, not {names}.")
        if self.shape == "table":
            _check_table(self)
        else:
            _check_shape(self.shape, dict(self.parameters))

    @classmethod
    def plateau(cls, top: float = 0.3, middle: float = 20, width: float = 3) -> Saving:
        """Logistic: near `top` at first, half of it about idle day `middle`, falling over some `width` days.

        s(d) = top (1 + exp(-middle / width)) / (1 + exp((d - middle) / width)), so that s(0) = top.

        Raises
        ------
        InputError
            If `top` is not above 0 and at most 1, `middle` is not finite or `width` not above 0.
        """
        return cls("plateau", (("top", top), ("middle", middle), ("width", width)))

    @classmethod
    def linear(cls, top: float = 0.3, idle_days: float = 30) -> Saving:
        """From `top` on idle day 0 in a straight line to nothing on day `idle_days`: what is saved is lead time.

        Raises
        ------
        InputError
            If `top` is not above 0 and at most 1, or `idle_days` not above 0.
        """
        return cls("linear", (("top", top), ("idle_days", idle_days)))

    @classmethod
    def from_table(cls, table: pd.DataFrame | Mapping[str, Sequence[float]]) -> Saving:
        """As measured, for instance by a randomised campaign.

        Parameters
        ----------
        table : table
            `idle_days` (rising), `s`, and perhaps `lower, upper`. Between its days s is interpolated in straight lines;
            beyond them it is unknown.

        Raises
        ------
        InputError
            If s is not between 0 and 1, rises, or never falls.

        Examples
        --------
        >>> Saving.from_table({"idle_days": [1, 21, 29], "s": [0.2, 0.1, 0.0]}).at([1, 11]).round(3).tolist()
        [0.2, 0.15]
        """
        there = list(table.columns) if hasattr(table, "columns") else list(table)
        require_columns("saving", ("idle_days", "s"), there)
        if ("lower" in there) != ("upper" in there):
            raise InputError("saving: a table has both limits, lower and upper, or neither.")
        columns = [_numbers(table, column) for column in ("idle_days", "s", "lower", "upper") if column in there]
        return cls("table", (), *columns)

    def at(self, days: object) -> Floats:
        """The chance s on these idle days.

        Raises
        ------
        InputError
            If a table does not reach a day.
        """
        asked = np.asarray(days, dtype=np.float64)
        if self.shape == "table":
            return self._interpolated(asked, self.s)
        p = dict(self.parameters)
        if self.shape == "linear":
            return np.asarray(p["top"] * np.clip(1.0 - asked / p["idle_days"], 0.0, 1.0))
        # both written with exp of a negative number, which cannot overflow
        log_at, log_start = (np.logaddexp(0.0, (d - p["middle"]) / p["width"]) for d in (asked, 0.0))
        return np.asarray(p["top"] * np.exp(log_start - log_at))

    def variants(self) -> tuple[tuple[str, Saving], ...]:
        """The same curve, changed as far as one may be wrong about it: what a sensitivity analysis tries.

        Named shapes: `top` a quarter lower and higher, `middle` (or `idle_days`) three days earlier and later. Tables:
        the lower and the upper limits, where they fall; without limits s a quarter lower and higher.
        """
        if self.shape == "table":
            found = list[tuple[str, Saving]]()
            for label, values in self._table_variants():
                if _falls(values):
                    found.append((label, Saving("table", (), self.days, values)))
            return tuple(found)
        p = dict(self.parameters)
        place = "middle" if self.shape == "plateau" else "idle_days"
        changes = [
            ("top", 0.75 * p["top"]),
            ("top", min(1.25 * p["top"], 1.0)),
            (place, p[place] - 3),
            (place, p[place] + 3),
        ]
        return tuple(
            (f"{name} {value:.4g}", Saving(self.shape, tuple((p | {name: value}).items())))
            for name, value in changes
            if value != p[name] and (value > 0 or name == "middle")
        )

    def _table_variants(self) -> list[tuple[str, tuple[float, ...]]]:
        if self.lower:
            return [
                (f"{label} limits", tuple(float(min(max(x, 0.0), 1.0)) for x in limits))
                for label, limits in (("lower", self.lower), ("upper", self.upper))
            ]
        return [(f"s times {f:g}", tuple(min(f * x, 1.0) for x in self.s)) for f in (0.75, 1.25)]

    def _interpolated(self, asked: Floats, values: Sequence[float]) -> Floats:
        first, last = self.days[0], self.days[-1]
        if asked.size and (asked.min() < first or asked.max() > last):
            raise InputError(
                f"saving: the table reaches from idle day {first:g} to {last:g}, and s is needed from day "
                f"{asked.min():g} to {asked.max():g}. Add rows; nothing is extrapolated."
            )
        return np.asarray(np.interp(asked, self.days, values))

    def __str__(self) -> str:
        if self.shape == "table":
            return f"table from idle day {self.days[0]:g} to {self.days[-1]:g}"
        return f"{self.shape} ({', '.join(f'{key} {value:g}' for key, value in self.parameters)})"

    def to_plain(self) -> dict[str, Any]:
        """As nested dicts and lists that JSON can hold."""
        if self.shape != "table":
            return {"shape": self.shape, **dict(self.parameters)}
        limits = {"lower": list(self.lower), "upper": list(self.upper)} if self.lower else {}
        return {"shape": "table", "idle_days": list(self.days), "s": list(self.s), **limits}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Saving:
        """What `to_plain` wrote down."""
        shape = plain.get("shape")
        if shape == "table":
            return cls.from_table({key: value for key, value in plain.items() if key != "shape"})
        return cls(str(shape), tuple((key, value) for key, value in plain.items() if key != "shape"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Contact where it pays: on idle day d it is worth `saved_value` s(d) where the gap ends in churn, less its cost.

    Parameters
    ----------
    saved_value : float
        Value of a user saved; above 0.
    contact_cost : float
        Of one contact, in the same money; 0 or more.
    saving : Saving
        s(d), see `Saving`.

    Raises
    ------
    InputError
        If one of them is missing or out of range.

    Examples
    --------
    >>> print(Value(saved_value=100, contact_cost=1, saving=Saving.linear()))
    value: 100 a user saved, 1 a contact, saving linear (top 0.3, idle_days 30)
    """

    saved_value: float | None = None
    contact_cost: float | None = None
    saving: Saving | None = None

    def __post_init__(self) -> None:
        given = {"saved_value": self.saved_value, "contact_cost": self.contact_cost, "saving": self.saving}
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise InputError(
                f"A value objective needs {' and '.join(missing)}: what a saved user is worth, what a contact costs, "
                "and how many a contact saves on which idle day (ch.Saving.plateau, .linear or .from_table). Without "
                "them no threshold is better than another; ch.Precision and ch.Capacity need no money."
            )
        object.__setattr__(self, "saved_value", _number(self.saved_value, "saved_value", above=0.0))
        object.__setattr__(self, "contact_cost", _number(self.contact_cost, "contact_cost", least=0.0))
        if not isinstance(self.saving, Saving):
            hint = f" {_FALLS}" if isinstance(self.saving, (int, float)) else ""
            raise InputError(
                f"saving must be a ch.Saving, such as ch.Saving.plateau(top=0.3); it is {self.saving!r}.{hint}"
            )

    def worth(self, days: NDArray[np.integer[Any]]) -> Floats:
        """V s(d): what a contact on these days is worth where the gap ends in churn.

        Raises
        ------
        InputError
            If s does not fall over these days.
        """
        values = self.saving.at(days) if self.saving is not None else np.zeros(len(days))
        if not _falls(tuple(values.tolist())):
            raise InputError(
                f"saving: s is the same on every idle day from {days[0]} to {days[-1]} ({values[0]:.4g}). {_FALLS}"
            )
        return np.asarray(float(self.saved_value or 0.0) * values)

    def __str__(self) -> str:
        return f"value: {self.saved_value:,.6g} a user saved, {self.contact_cost:,.6g} a contact, saving {self.saving}"

    def to_plain(self) -> dict[str, Any]:
        """As a dict that JSON can hold."""
        saving = None if self.saving is None else self.saving.to_plain()
        return {"kind": "value", "saved_value": self.saved_value, "contact_cost": self.contact_cost, "saving": saving}


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The most lead-weighted recall such that alerts are right often enough.

    Parameters
    ----------
    target : float
        Between 0 and 1: the one-sided lower confidence bound of the share of alerts whose gap ends in churn must reach
        it.

    Examples
    --------
    >>> print(Precision(target=0.6))
    precision of at least 60 %
    """

    target: float | None = None

    def __post_init__(self) -> None:
        if self.target is None:
            raise InputError("A precision objective needs target=, such as 0.6.")
        target = _number(self.target, "target", above=0.0)
        if target >= 1:
            raise InputError(f"target must lie between 0 and 1; it is {self.target!r}. Is it in percent?")
        object.__setattr__(self, "target", target)

    def __str__(self) -> str:
        return f"precision of at least {100 * float(self.target or 0):.4g} %"

    def to_plain(self) -> dict[str, Any]:
        """As a dict that JSON can hold."""
        return {"kind": "precision", "target": self.target}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The most lead-weighted recall with so many first alerts a day.

    No calendar day has more than that many first alerts: the most urgent come first, those of the highest
    P(churn) (idle_days - d) / idle_days; the others wait for the next day while the rule holds.

    Parameters
    ----------
    per_day : float
        First alerts a calendar day at most; above 0. Below 1: what lots give on average, such as 0.5 for one every
        other day.

    Examples
    --------
    >>> print(Capacity(per_day=200))
    at most 200 first alerts a day
    """

    per_day: float | None = None

    def __post_init__(self) -> None:
        if self.per_day is None:
            raise InputError("A capacity objective needs per_day=: how many first alerts a day can be worked off.")
        object.__setattr__(self, "per_day", _number(self.per_day, "per_day", above=0.0))

    def __str__(self) -> str:
        return f"at most {self.per_day:,.6g} first alerts a day"

    def to_plain(self) -> dict[str, Any]:
        """As a dict that JSON can hold."""
        return {"kind": "capacity", "per_day": self.per_day}


Objective: TypeAlias = Value | Precision | Capacity


def objective_from_plain(plain: Mapping[str, Any]) -> Objective:
    """The objective that `to_plain` wrote down.

    Raises
    ------
    InputError
        If it is of no known kind.

    Examples
    --------
    >>> objective_from_plain({"kind": "capacity", "per_day": 5.0})
    Capacity(per_day=5.0)
    """
    rest = {key: value for key, value in plain.items() if key != "kind"}
    kind = plain.get("kind")
    if kind == "value":
        return Value(**(rest | {"saving": Saving.from_plain(rest["saving"])}))
    if kind == "precision":
        return Precision(**rest)
    if kind == "capacity":
        return Capacity(**rest)
    raise InputError(f"There is no objective of kind {kind!r}; kinds: value, precision, capacity.")


# ---------------------------------------------------------------------------------------------------------- checks


def _number(value: object, what: str, *, above: float = -math.inf, least: float = -math.inf) -> float:
    fits = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not fits or not math.isfinite(float(value)) or float(value) <= above or float(value) < least:  # type: ignore[arg-type]
        bound = (
            f" above {above:g}" if math.isfinite(above) else f" of {least:g} or more" if math.isfinite(least) else ""
        )
        raise InputError(f"{what} must be a number{bound}; it is {value!r}.")
    return float(value)  # type: ignore[arg-type]


def _numbers(table: Any, column: str) -> tuple[float, ...]:
    values = table[column]
    return tuple(
        _number(value, f"saving: {column}") for value in (values.tolist() if hasattr(values, "tolist") else values)
    )


def _check_shape(shape: str, p: Mapping[str, float]) -> None:
    for key, value in p.items():
        _number(value, f"Saving.{shape}: {key}", **({} if key == "middle" else {"above": 0.0}))
    if p["top"] > 1:
        raise InputError(f"Saving.{shape}: top is a probability, at most 1; it is {p['top']!r}. Is it in percent?")


def _check_table(saving: Saving) -> None:
    days, values = saving.days, saving.s
    if len(days) < 2 or len(values) != len(days):
        raise InputError(f"saving: a table has two rows or more; it has {len(days)}. {_FALLS}")
    if any(after <= before for before, after in pairwise(days)) or days[0] < 0:
        raise InputError(f"saving: idle_days must rise from row to row, from 0 or more; they are {list(days)}.")
    if wrong := [(day, s) for day, s in zip(days, values, strict=True) if not 0 <= s <= 1]:
        raise InputError(f"saving: s is a probability from 0 to 1; on idle day {wrong[0][0]:g} it is {wrong[0][1]!r}.")
    for day, s, after in zip(days[1:], values, values[1:], strict=False):
        if after > s:
            raise InputError(
                f"saving: s must not rise with the idle days; on day {day:g} it rises from {s:g} to {after:g}. Smooth "
                "a measured curve before it is used."
            )
    if not _falls(values):
        raise InputError(f"saving: s is {values[0]:g} on every day. {_FALLS}")


def _falls(values: Sequence[float]) -> bool:
    steps = [after - before for before, after in pairwise(values)]
    return all(step <= 0 for step in steps) and any(step < 0 for step in steps)
