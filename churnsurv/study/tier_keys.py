"""Readers of the keys of [warning]: what idle risk is split by, what each tier is for, and how tiers are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from churnsurv.errors import InputError, did_you_mean
from churnsurv.study.readers import (
    ManyRefusedError,
    RefusedValueError,
    WrongValueError,
    day,
    number,
    section,
    texts,
    whole,
)
from churnsurv.warning.objectives import Capacity, Objective, Precision, Saving, Value

__all__ = ["BacktestKeys", "backtest_keys", "groups_or_bands", "numbers_by_name", "objectives", "plain_objective"]

Made = TypeVar("Made")
_KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "value": ("saved_value", "contact_cost", "saving"),
        "precision": ("precision",),
        "capacity": ("per_day",),
    }
)
_KEYS = tuple(key for keys in _KINDS.values() for key in keys)
_SHAPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"plateau": ("top", "middle", "width"), "linear": ("top", "idle_days"), "table": ("idle_days", "s")}
)
_LIMITS = ("lower", "upper")
_AMOUNTS: Mapping[str, float] = MappingProxyType({"saved_value": 1.0, "contact_cost": 0.0})
_SAVING = '{ shape = "plateau", top = 0.3, middle = 20, width = 3 }'


@dataclass(frozen=True, slots=True)
class BacktestKeys:
    """How the tiers of a study are judged on later days: the arguments of `churnsurv.backtest`."""

    origins: int | tuple[date, ...] = 4
    test_days: int = 90
    capacity: tuple[float, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As in the file."""
        origins = self.origins if isinstance(self.origins, int) else [each.isoformat() for each in self.origins]
        return {"origins": origins, "test_days": self.test_days, "capacity": list(self.capacity)}


def backtest_keys(value: Any) -> BacktestKeys:
    """Origins, test days and capacities; what is not said has its default.

    Examples
    --------
    >>> backtest_keys({"origins": 3, "capacity": 60})
    BacktestKeys(origins=3, test_days=90, capacity=(60.0,))
    """
    readers = {"origins": _origins, "test_days": whole(1), "capacity": _capacities}
    return BacktestKeys(**section("warning.backtest", value, readers))


def _origins(value: Any) -> int | tuple[date, ...]:
    if isinstance(value, list) and value:
        return tuple(sorted({day(each) for each in value}))
    if isinstance(value, (list, str)):
        raise WrongValueError("how many origins, such as 4, or a list of days", value)
    count: int = whole(1)(value)
    return count


def _capacities(value: Any) -> tuple[float, ...]:
    given = tuple(sorted({number(each) for each in (value if isinstance(value, list) else [value])}))
    if any(each <= 0 for each in given):
        raise RefusedValueError(f"first alerts a day must be above 0; found {list(given)}.")
    return given


def groups_or_bands(value: Any) -> tuple[str, ...] | dict[str, tuple[float, ...]]:
    """Names of columns or features, or a table of names and the numbers between bands."""
    if not isinstance(value, Mapping):
        return texts(value)
    for cuts in value.values():
        if not isinstance(cuts, list) or not cuts or not all(_is_number(cut) for cut in cuts):
            raise WrongValueError("the numbers between bands, such as { balance = [100, 1000] }", cuts)
    found = {name: tuple(float(cut) for cut in cuts) for name, cuts in value.items()}
    for name, cuts in found.items():
        if list(cuts) != sorted(set(cuts)):
            raise RefusedValueError(f"the numbers between bands of {name!r} must rise: {list(value[name])}.")
    return found


def numbers_by_name(value: Any) -> dict[str, float]:
    """Variables and a number for each."""
    if not isinstance(value, Mapping):
        raise WrongValueError("a variable and the number that stands in, such as { balance = 0 }", value)
    return {name: number(each) for name, each in value.items()}


def objectives(value: Any) -> dict[str, Objective]:
    """Tiers and what each is for; everything that is wrong with any of them is told with its place.

    Examples
    --------
    >>> print(objectives({"high": {"precision": 0.6}})["high"])
    precision of at least 60 %
    """
    if not isinstance(value, Mapping):
        raise WrongValueError("sections such as [warning.tiers.high]", value)
    found: dict[str, Objective] = {}
    problems: list[tuple[str, str]] = []
    for name, body in value.items():
        before = len(problems)
        if not name.strip():
            problems.append((name or '""', "a tier needs a name."))
        elif not isinstance(body, Mapping):
            what = str(WrongValueError(f"a section [warning.tiers.{name}]", body))
            problems.append((name, what))
        else:
            made = _objective(body, name, problems)
            if made is not None and len(problems) == before:
                found[name] = made
    if problems:
        raise ManyRefusedError(problems)
    return found


def plain_objective(objective: Objective) -> dict[str, Any]:
    """An objective in the layout of the file.

    Examples
    --------
    >>> plain_objective(Precision(target=0.6)), plain_objective(Capacity(per_day=5))
    ({'precision': 0.6}, {'per_day': 5.0})
    """
    plain = {key: value for key, value in objective.to_plain().items() if key != "kind"}
    return {"precision": plain["target"]} if isinstance(objective, Precision) else plain


def _objective(body: Mapping[str, Any], name: str, problems: list[tuple[str, str]]) -> Objective | None:
    for key in body:
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS)
            problems.append((f"{name}.{key}", f"There is no such key.{hint} Keys of a tier: {', '.join(_KEYS)}."))
    kinds = [kind for kind, keys in _KINDS.items() if any(key in body for key in keys)]
    if len(kinds) != 1:
        what = "says nothing of what it is for" if not kinds else "has more than one objective"
        problems.append(
            (name, f"{what}. Give saved_value, contact_cost and saving together, or precision, or per_day.")
        )
        return None
    if kinds == ["precision"]:
        return _made(problems, f"{name}.precision", lambda: Precision(target=number(body["precision"])))
    if kinds == ["capacity"]:
        return _made(problems, f"{name}.per_day", lambda: Capacity(per_day=number(body["per_day"])))
    return _value(body, name, problems)


def _value(body: Mapping[str, Any], name: str, problems: list[tuple[str, str]]) -> Value | None:
    such = {"saved_value": "100", "contact_cost": "5", "saving": _SAVING}
    missing = [key for key in _KINDS["value"] if key not in body]
    problems += [(f"{name}.{key}", f"is missing. Such as {key} = {such[key]}.") for key in missing]
    saving = _made(problems, f"{name}.saving", lambda: _saving(body["saving"])) if "saving" in body else None
    amounts: dict[str, float | None] = {}
    for key in _AMOUNTS:
        if key in body:
            amounts[key] = _made(problems, f"{name}.{key}", partial(_amount, key, body[key]))
    if saving is None or None in amounts.values() or missing:
        return None
    return Value(saved_value=amounts["saved_value"], contact_cost=amounts["contact_cost"], saving=saving)


def _amount(key: str, value: Any) -> float:
    """One amount of a value, checked by itself, whatever is wrong with the others."""
    amount = number(value)
    Value(**{**_AMOUNTS, key: amount}, saving=Saving.plateau())
    return amount


def _saving(value: Any) -> Saving:
    if not isinstance(value, Mapping):
        why = " A threshold exists only against a saving that falls with the idle days." if _is_number(value) else ""
        raise WrongValueError(f"how much a contact saves on which idle day, such as {_SAVING}", value, why)
    shape = str(value.get("shape"))
    if shape not in _SHAPES:
        hint = did_you_mean(shape, _SHAPES)
        raise RefusedValueError(f"has no shape of the three, plateau, linear and table.{hint} Such as {_SAVING}.")
    keys = (*_SHAPES[shape], *(_LIMITS if shape == "table" else ()))
    for key in value:
        if key not in ("shape", *keys):
            raise RefusedValueError(f"There is no key {key!r}.{did_you_mean(key, keys)} Keys: {', '.join(keys)}.")
    given = {key: each for key, each in value.items() if key != "shape"}
    if shape == "table":
        for key in _SHAPES["table"]:
            if not isinstance(given.get(key), list):
                raise RefusedValueError("a table needs lists: idle_days = [1, 15, 29], s = [0.3, 0.2, 0.0].")
        return Saving.from_table(given)
    numbers = {key: number(each) for key, each in given.items()}
    return Saving.plateau(**numbers) if shape == "plateau" else Saving.linear(**numbers)


def _made(problems: list[tuple[str, str]], where: str, make: Callable[[], Made]) -> Made | None:
    """What `make` gives, or None and its refusal among the problems."""
    try:
        return make()
    except (RefusedValueError, InputError) as wrong:
        problems.append((where, str(wrong)))
        return None


def _is_number(value: Any) -> bool:
    try:
        number(value)
    except RefusedValueError:
        return False
    return True
