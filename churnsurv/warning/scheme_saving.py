"""A tier scheme as JSON text and back: rules, features, training window, figures; no code, with a format version.

The text begins with what every result writes (kind, schema, facts, table), so that readers of results find the same
keys. Then come ``"format": {"kind": "TierScheme", "version": 1}`` and ``"scheme"``, from which alone it is read:

    "tiers": [{"name", "rule": [[{"variable", "sign", "threshold"}, ...], ...], "objective", "fitted", "figures"}, ...]
    "variables": ["balance", {"name": "recent", "agg": "count", ...}]      a ch.Feature by its parts, others by name
    "table": {"tier": {"type": "text", "values": [...]}, ...}              likewise the other tables

Numbers come back to the last bit. What is not finite stands as "nan", "inf" or "-inf" where figures are, and as null,
"inf" or "-inf" in a column.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from churnsurv.data.feature import Feature
from churnsurv.data.rule import ChurnRule
from churnsurv.errors import ChurnsurvError, InputError
from churnsurv.tables.saved import parsed, read_text, write_text
from churnsurv.warning.given_score import GivenScore
from churnsurv.warning.objectives import objective_from_plain
from churnsurv.warning.rules import IDLE_DAYS, Rule
from churnsurv.warning.scheme import TierRule, TierScheme
from churnsurv.warning.scores import GapScore

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_json", "load", "save", "to_json"]

KIND, VERSION = "TierScheme", 1
_TABLES = ("table", "thresholds", "alternatives", "sensitivity")
_COUNTS = ("n_users", "n_gaps", "n_churned", "n_days", "bootstrap", "blocks", "seed")
_TEXTS = ("data_hash", "version")
_FAR: Mapping[str, float] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
#: What a column may hold, by the type that pandas gives it.
_TYPES: Mapping[str, str] = {"object": "text", "float64": "number", "int64": "integer", "Int64": "integer or null"}
Plain: TypeAlias = dict[str, Any]
Part = TypeVar("Part")


# --------------------------------------------------------------------------------------------------------- writing


def save(scheme: TierScheme, path: str | Path) -> Path:
    """Write a scheme into a file, whole or not at all; see `TierScheme.save`.

    Raises
    ------
    InputError
        If the file cannot be written, or a file that is no saved result stands in its place.
    """
    return write_text(path, to_json(scheme, indent=1) + "\n")


def to_json(scheme: TierScheme, *, indent: int | None = None) -> str:
    """Write a scheme as JSON text.

    Parameters
    ----------
    scheme : TierScheme
    indent : int, optional
        Over several lines, for readers.

    Raises
    ------
    InputError
        If a feature compares with a value that JSON does not know.
    """
    whole = {**scheme._to_plain(), "format": {"kind": KIND, "version": VERSION}, "scheme": _written(scheme)}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=indent)


def _written(scheme: TierScheme) -> Plain:
    rule = scheme.churn_rule
    return {
        "tiers": [_finite(tier.to_plain()) for tier in scheme.tiers],
        "variables": [each if isinstance(each, str) else _feature(each) for each in scheme.variables],
        "grids": {name: [float(cut) for cut in cuts] for name, cuts in scheme.grids.items()},
        "missing": {name: float(value) for name, value in scheme.missing.items()},
        "churn_rule": {
            "idle_days": rule.idle_days,
            "activity": None if rule.activity is None else list(rule.activity),
        },
        "window": [day.isoformat() for day in scheme.window],
        "known_until": scheme.known_until.isoformat(),
        **{name: int(getattr(scheme, name)) for name in _COUNTS},
        "level": float(scheme.level),
        **{name: str(getattr(scheme, name)) for name in _TEXTS},
        "notes": list(scheme.notes),
        **{name: _table(getattr(scheme, f"_{name}"), name) for name in _TABLES},
        "score": None if scheme.score is None else scheme.score.to_plain(),
    }


def _finite(value: Any) -> Any:
    """Plain data with names for what is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _feature(feature: Feature) -> Plain:
    told = {field.name: getattr(feature, field.name) for field in fields(feature)}
    told["kind"] = None if feature.kinds is None else list(feature.kinds)
    for name in ("equals", "empty"):
        value = told[name].item() if isinstance(told[name], np.generic) else told[name]
        if value is not None and not isinstance(value, str | bool | int | float):
            raise InputError(
                f"the scheme cannot be written as JSON: feature {feature.name!r} has {name}={value!r}, a "
                f"{type(value).__name__}. Make it a text, a number or a boolean."
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"the scheme cannot be written as JSON: feature {feature.name!r} has {name}={value!r}.")
        told[name] = value
    return told


def _table(frame: pd.DataFrame, what: str) -> Plain:
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if str(column.dtype) not in _TYPES:
            raise InputError(f"the scheme cannot be written as JSON: {what}[{name!r}] has the type {column.dtype}.")
        values = [None if value is None or value != value else value for value in _values(column)]
        columns[str(name)] = {"type": _TYPES[str(column.dtype)], "values": _finite(values)}
    return columns


def _values(column: pd.Series[Any]) -> list[Any]:
    if str(column.dtype) == "Int64":
        return [None if gone else int(value) for value, gone in zip(column, column.isna(), strict=True)]
    return column.tolist()


# --------------------------------------------------------------------------------------------------------- reading


class _DamagedError(Exception):
    """Something in the text is not what was written; says what."""


def load(path: str | Path) -> TierScheme:
    """Read a scheme from a file; `churnsurv.load` reads every kind of saved result.

    Raises
    ------
    InputError
        If there is no such file, or it holds something else; what is wrong in it is named by its key.
    """
    name = repr(str(path))
    return _scheme_of(parsed(read_text(path), name), name)


def from_json(text: str) -> TierScheme:
    """Read what `to_json` wrote.

    Raises
    ------
    InputError
        If the text is no saved scheme, is damaged, or comes from a newer version. Nothing in it is executed.
    """
    return _scheme_of(parsed(text, "the text"), "the text")


def _scheme_of(whole: Mapping[str, Any], name: str) -> TierScheme:
    form = whole.get("format")
    kind, version = (form.get("kind"), form.get("version")) if isinstance(form, dict) else (None, None)
    if kind != KIND:
        of, what = whole.get("kind"), "something else"
        if isinstance(kind, str):
            what = f"a {kind}"
        elif isinstance(of, str):
            what = f"the result of a {of} without its 'format'"
        raise InputError(f"{name} holds {what}, not a saved {KIND}. What {KIND}.save() writes can be read.")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{name} is damaged: its format version is {version!r}. Save the scheme again.")
    if version > VERSION:
        raise InputError(
            f"{name} was written by a newer churnsurv (format {version}; this one reads up to {VERSION}). Update it."
        )
    try:
        found = _mapping(whole.get("scheme"), "scheme")
        # texts of before there were scores have none
        return _checked(_read(_keys(found, "scheme", (*_KEYS, *(("score",) if "score" in found else ())))))
    except _DamagedError as error:
        raise InputError(
            f"{name} is damaged, or was changed: {error}. Save the scheme again; other thresholds are other tiers, and "
            "need figures of their own."
        ) from error


def _read(found: Plain) -> TierScheme:
    missing = _mapping(found["missing"], "scheme.missing")
    plain: dict[str, Any] = {name: _whole(found[name], f"scheme.{name}") for name in _COUNTS}
    plain |= {name: _text(found[name], f"scheme.{name}") for name in _TEXTS}
    plain |= {f"_{name}": _read_table(found[name], f"scheme.{name}") for name in _TABLES}
    return TierScheme(
        tiers=_each(found["tiers"], "scheme.tiers", _read_tier),
        variables=_each(found["variables"], "scheme.variables", _read_variable),
        grids={
            key: _each(cuts, f"scheme.grids[{key!r}]", _number)
            for key, cuts in _mapping(found["grids"], "scheme.grids").items()
        },
        missing={key: _number(value, f"scheme.missing[{key!r}]") for key, value in missing.items()},
        churn_rule=_read_rule(found["churn_rule"], "scheme.churn_rule"),
        window=_read_window(found["window"], "scheme.window"),
        known_until=_day(found["known_until"], "scheme.known_until"),
        level=_number(found["level"], "scheme.level"),
        notes=_each(found["notes"], "scheme.notes", _text),
        score=_made("scheme.score", lambda: _read_score(found["score"])) if found.get("score") else None,
        **plain,
    )


def _read_score(found: Plain) -> GapScore | GivenScore:
    """The score of a scheme; one without a kind is that of a Cox fit."""
    return GivenScore.from_plain(found) if found.get("kind") == GivenScore.kind else GapScore.from_plain(found)


_KEYS = (
    *("tiers", "variables", "grids", "missing", "churn_rule", "window", "known_until"),
    *(*_COUNTS, "level", *_TEXTS, "notes", *_TABLES),
)


def _checked(scheme: TierScheme) -> TierScheme:
    """Check that the parts belong together, so that nobody is warned by half a scheme."""
    names = [tier.name for tier in scheme.tiers]
    if not names or len(set(names)) < len(names):
        raise _DamagedError(f"scheme.tiers has the names {names}, which must be one or more, each once")
    scores = () if scheme.score is None else scheme.score.names
    known = {IDLE_DAYS, *scores, *(each if isinstance(each, str) else each.name for each in scheme.variables)}
    for place, tier in enumerate(scheme.tiers):
        unknown = [name for rule in (tier.rule, tier.fitted) for name in rule.variables if name not in known]
        if unknown:
            raise _DamagedError(f"scheme.tiers[{place}] looks at {unknown[0]!r}, which is not in scheme.variables")
    for what in ("grids", "missing"):
        other = [name for name in getattr(scheme, what) if name not in known]
        if other:
            raise _DamagedError(f"scheme.{what} has {other[0]!r}, which is not in scheme.variables")
    if scheme.score is not None and scheme.score.idle_days != scheme.idle_days:
        raise _DamagedError(
            f"scheme.score.idle_days is {scheme.score.idle_days}, and the churn rule's {scheme.idle_days}"
        )
    if not 0 < scheme.level < 1:
        raise _DamagedError(f"scheme.level is {scheme.level!r}, not between 0 and 1")
    _check_told(scheme, "tier", names)
    _check_told(scheme, "rule", [str(tier.rule) for tier in scheme.tiers])
    return scheme


def _check_told(scheme: TierScheme, column: str, wanted: list[str]) -> None:
    """The table must tell of the rules that are there: figures of one rule say nothing of another."""
    if column not in scheme._table:
        raise _DamagedError(f"scheme.table lacks {column!r}")
    told = scheme._table[column].tolist()
    for place in range(max(len(told), len(wanted))):
        two = [values[place] if place < len(values) else None for values in (wanted, told)]
        if two[0] != two[1]:
            raise _DamagedError(f"scheme.tiers[{place}] says {two[0]!r}, and scheme.table[{column!r}] {two[1]!r}")


# ------------------------------------------------------------------------------------------------------ the parts


def _read_tier(found: Any, where: str) -> TierRule:
    held = _keys(found, where, ("name", "rule", "objective", "fitted", "figures"))
    objective = _from_names(_mapping(held["objective"], f"{where}.objective"))
    _made(f"{where}.objective", lambda: objective_from_plain(objective))
    figures = _mapping(held["figures"], f"{where}.figures")
    return TierRule(
        name=_text(held["name"], f"{where}.name"),
        rule=_made(f"{where}.rule", lambda: Rule.from_plain(held["rule"])),
        objective=objective,
        fitted=_made(f"{where}.fitted", lambda: Rule.from_plain(held["fitted"])),
        figures={key: _figure(value, f"{where}.figures[{key!r}]") for key, value in figures.items()},
    )


def _read_variable(found: Any, where: str) -> str | Feature:
    if isinstance(found, str):
        return found
    held = _keys(found, where, tuple(field.name for field in fields(Feature)))
    rest = {key: value for key, value in held.items() if key != "name"}
    return _made(where, lambda: Feature(held["name"], **rest))


def _read_rule(found: Any, where: str) -> ChurnRule:
    held = _keys(found, where, ("idle_days", "activity"))
    return _made(where, lambda: ChurnRule(**held))


def _read_window(found: Any, where: str) -> tuple[datetime.date, datetime.date]:
    days = _each(found, where, _day)
    if len(days) != 2 or days[0] > days[1]:
        raise _DamagedError(f"{where} must be its first and its last day; it is {found!r}")
    return days[0], days[1]


def _read_table(found: Any, where: str) -> pd.DataFrame:
    import pandas as pd

    columns = {}
    for name, column in _mapping(found, where).items():
        here = f"{where}[{name!r}]"
        held = _keys(column, here, ("type", "values"))
        dtype = next((dtype for dtype, kind in _TYPES.items() if kind == held["type"]), None)
        if dtype is None:
            raise _DamagedError(f"{here}.type is {held['type']!r}, not one of {', '.join(_TYPES.values())}")
        columns[name] = pd.Series(_each(held["values"], f"{here}.values", _OF_TYPE[dtype]), dtype=dtype)
    if len({len(column) for column in columns.values()}) > 1:
        raise _DamagedError(f"{where} has columns of different lengths")
    return pd.DataFrame(columns)


# --------------------------------------------------------------------------------------------------- the smallest


def _keys(found: Any, where: str, wanted: tuple[str, ...]) -> Plain:
    """A mapping with these keys, all of them and no others."""
    held = _mapping(found, where)
    missing, more = [key for key in wanted if key not in held], [key for key in held if key not in wanted]
    if missing:
        raise _DamagedError(f"{where} lacks {', '.join(map(repr, missing))}")
    if more:
        raise _DamagedError(f"{where} has {', '.join(map(repr, more))}, which this version doesn't know")
    return held


def _mapping(found: Any, where: str) -> Plain:
    if not isinstance(found, dict):
        raise _DamagedError(f"{where} is missing, or no object: {_shown(found)}")
    return found


def _each(found: Any, where: str, read: Callable[[Any, str], Part]) -> tuple[Part, ...]:
    if not isinstance(found, list):
        raise _DamagedError(f"{where} must be a list; it is {_shown(found)}")
    return tuple(read(item, f"{where}[{place}]") for place, item in enumerate(found))


def _made(where: str, make: Callable[[], Part]) -> Part:
    """Make a part by its own class, whose complaints become ours."""
    try:
        return make()
    except (ChurnsurvError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise _DamagedError(f"{where} cannot be read: {error}") from error


def _text(found: Any, where: str) -> str:
    if not isinstance(found, str):
        raise _DamagedError(f"{where} must be a text; it is {_shown(found)}")
    return found


def _whole(found: Any, where: str) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise _DamagedError(f"{where} must be a whole number, 0 or more; it is {_shown(found)}")
    return found


def _number(found: Any, where: str) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _DamagedError(f"{where} must be a number; it is {_shown(found)}")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _DamagedError(f"{where} must be a finite number; it is {_shown(found)}")
    return number


def _figure(found: Any, where: str) -> Any:
    if isinstance(found, str) and found in _FAR:
        return _FAR[found]
    return found if isinstance(found, int) and not isinstance(found, bool) else _number(found, where)


def _day(found: Any, where: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(found)
    except (TypeError, ValueError):
        raise _DamagedError(f"{where} must be a day such as '2024-05-01'; it is {_shown(found)}") from None


def _from_names(value: Any) -> Any:
    """What `_finite` wrote; texts that name no number stay."""
    if isinstance(value, dict):
        return {key: _from_names(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_names(item) for item in value]
    return _FAR.get(value, value) if isinstance(value, str) else value


def _or_null(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda found, where: None if found is None else read(found, where)


def _any_whole(found: Any, where: str) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise _DamagedError(f"{where} must be a whole number; it is {_shown(found)}")
    return found


def _cell(found: Any, where: str) -> float:
    return math.nan if found is None else float(_figure(found, where))


_OF_TYPE: Mapping[str, Callable[[Any, str], Any]] = {
    "object": _or_null(_text),
    "float64": _cell,
    "int64": _any_whole,
    "Int64": _or_null(_any_whole),
}


def _shown(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."
