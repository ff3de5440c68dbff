"""Readers of a policy: each checks one value or says what it expected; everything that is wrong is told at once."""

from __future__ import annotations

import math
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from churnsurv.errors import InputError, described, did_you_mean

__all__ = ["KEY_HELP", "Comparison", "PolicyError", "Problem", "Reader", "RefusedError", "document", "made", "settle"]

Reader = Callable[[Any], Any]
Made = TypeVar("Made")

KEY_HELP = 'Make one with: python -c "import secrets; print(secrets.token_hex(16))"'
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORTEST_KEY, _LONGEST_KEY = 16, 64  # characters, so that it cannot be guessed; bytes, all that blake2b takes
_COMPARISON = re.compile(r"\s*([^\W\d]\w*)\s*(<=|>=|==|!=|=|<|>)\s*(.+?)\s*")
_SIGNS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a policy: `where` is the key (``contacts.high[2]``), `what` the sentence about it."""

    where: str
    what: str


class RefusedError(ValueError):
    """A value that cannot be used; the text says why."""


class PolicyError(InputError):
    """Everything that is wrong with a policy or a part of it, each with its place."""

    def __init__(self, title: str, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {problem.where}: {problem.what}" for problem in problems)
        super().__init__(f"{title} has {count}:\n{lines}")
        self.problems = tuple(problems)


# ----------------------------------------------------------------------------------------------------- whole things


def settle(thing: object, title: str, readers: Mapping[str, Reader]) -> None:
    """Replace each field of a frozen dataclass by what its reader makes of it.

    Raises
    ------
    PolicyError
        With every field that is refused.
    """
    problems = []
    for name, reader in readers.items():
        try:
            object.__setattr__(thing, name, reader(getattr(thing, name)))
        except PolicyError as wrong:
            problems += within(name, wrong.problems)
        except (RefusedError, InputError) as wrong:
            problems.append(Problem(name, str(wrong)))
    if problems:
        raise PolicyError(title, problems)


def made(cls: type[Made], value: Any, example: str) -> Made:
    """Make a part of a policy from a table of its fields; one that is made already is returned.

    Raises
    ------
    RefusedError
        If it is no table.
    PolicyError
        If a key is unknown (the nearest is given) or a value is refused: all of them.
    """
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise RefusedError(f"expected {example}, found {describe(value)}.")
    keys = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    problems = unknown_keys(value, keys)
    required = [
        each.name
        for each in fields(cls)  # type: ignore[arg-type]
        if each.default is MISSING and each.default_factory is MISSING
    ]
    problems += [Problem(name, f"is missing. Such as {example}.") for name in required if name not in value]
    if problems:
        known = {key: each for key, each in value.items() if key in keys}
        problems += _further(cls, known, required)
        raise PolicyError(cls.__name__, problems)
    return cls(**value)


def _further(cls: type[Any], known: Mapping[str, Any], required: Iterable[str]) -> list[Problem]:
    """What is wrong with the keys that are known, where others are not."""
    if not set(required) <= set(known):
        return []
    try:
        cls(**known)
    except PolicyError as wrong:
        return list(wrong.problems)
    return []


def unknown_keys(value: Mapping[Any, Any], keys: Sequence[str]) -> list[Problem]:
    """A problem for each key that there is not."""
    return [
        Problem(str(key), f"There is no such key.{did_you_mean(str(key), keys)} Keys: {', '.join(keys)}.")
        for key in value
        if key not in keys
    ]


def within(place: str, problems: Iterable[Problem]) -> list[Problem]:
    """The problems of a part, by their place in the whole."""
    return [
        Problem(place + each.where if each.where.startswith("[") else f"{place}.{each.where}", each.what)
        for each in problems
    ]


def named(of_each: Callable[[Any], Made], example: str, *, least: int = 0) -> Callable[[Any], Mapping[str, Made]]:
    """A table of named things, each read by `of_each`."""

    def read(value: Any) -> Mapping[str, Made]:
        if not isinstance(value, Mapping) or len(value) < least:
            raise RefusedError(f"expected {example}, found {describe(value)}.")
        found, problems = dict[str, Made](), list[Problem]()
        for name, each in value.items():
            try:
                found[plain_name(name)] = of_each(each)
            except PolicyError as wrong:
                problems += within(str(name), wrong.problems)
            except (RefusedError, InputError) as wrong:
                problems.append(Problem(str(name), str(wrong)))
        if problems:
            raise PolicyError("", problems)
        return MappingProxyType(found)

    return read


def listed(of_each: Callable[[Any], Made], example: str) -> Callable[[Any], tuple[Made, ...]]:
    """A list of things, each read by `of_each`; places are counted from 1, as people do."""

    def read(value: Any) -> tuple[Made, ...]:
        if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
            raise RefusedError(f"expected {example}, found {describe(value)}.")
        found, problems = list[Made](), list[Problem]()
        for place, each in enumerate(value, start=1):
            try:
                found.append(of_each(each))
            except PolicyError as wrong:
                problems += within(f"[{place}]", wrong.problems)
            except (RefusedError, InputError) as wrong:
                problems.append(Problem(f"[{place}]", str(wrong)))
        if problems:
            raise PolicyError("", problems)
        return tuple(found)

    return read


def document(source: Any) -> tuple[Mapping[str, Any], str]:
    """The keys of a policy, from a TOML file or a parsed one, at its top or in its table ``[policy]``; and its name.

    Raises
    ------
    InputError
        If there is no such file, or it is not TOML.
    """
    title, parsed = "The policy", source
    if not isinstance(source, Mapping):
        path = Path(source)
        title = path.name
        parsed = _parsed(path)
    if isinstance(parsed.get("policy"), Mapping):
        return parsed["policy"], f"{title}, [policy]"
    return parsed, title


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"there is no policy file {str(path)!r}.{did_you_mean(path.name, beside)}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"{path.name} is not TOML: {error}. Texts stand in quotes, lists in [ ], tables as [channels.sms]."
        ) from error
    except OSError as error:
        raise InputError(f"the policy file {str(path)!r} cannot be read: {error.strerror}.") from error


# ---------------------------------------------------------------------------------------------------- single values


def describe(value: object) -> str:
    """Say what a value is, for an error message.

    Examples
    --------
    >>> describe("sms"), describe(2.5), describe([1]), describe(None)
    ("the text 'sms'", 'the number 2.5', 'a list of 1', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, Mapping) and not value:
        return "an empty table"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a list of {len(value)}"
    return described(value)


def plain_name(value: Any) -> str:
    """A name of printed characters, without spaces around it."""
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise RefusedError(f"expected a name, found {describe(value)}.")
    return value


def key(value: Any) -> str:
    """The key of the lots; errors never show it."""
    if value is None:
        raise RefusedError(f"is missing: the lots would not be the same on each run. {KEY_HELP}")
    if not isinstance(value, str):
        raise RefusedError(f"must be a text. {KEY_HELP}")
    if len(value) < _SHORTEST_KEY:
        raise RefusedError(f"must have {_SHORTEST_KEY} characters or more, and has {len(value)}. {KEY_HELP}")
    if len(value.encode("utf-8", "surrogatepass")) > _LONGEST_KEY:
        raise RefusedError(f"must have {_LONGEST_KEY} bytes at most. {KEY_HELP}")
    if len(set(value)) < _SHORTEST_KEY // 4 or not value.isprintable():
        raise RefusedError(f"can be guessed, or cannot be printed. {KEY_HELP}")
    return value


def number(*, least: float = -math.inf, above: float = -math.inf, below: float = math.inf) -> Callable[[Any], float]:
    """A finite number within bounds."""

    def read(value: Any) -> float:
        is_number = isinstance(value, (int, float)) or (hasattr(value, "__float__") and not isinstance(value, str))
        if isinstance(value, bool) or not is_number or not math.isfinite(float(value)):
            raise RefusedError(f"expected a number, found {describe(value)}.")
        found = float(value)
        if found < least or found <= above or found >= below:
            said = [f"{least:g} or more"] if least > -math.inf else []
            said += [f"above {above:g}"] if above > -math.inf else []
            said += [f"below {below:g}"] if below < math.inf else []
            raise RefusedError(f"must be {' and '.join(said)}; it is {found:g}.")
        return found

    return read


def whole(least: int) -> Callable[[Any], int]:
    """A whole number of at least `least`."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < least:
            raise RefusedError(f"expected a whole number of at least {least}, found {describe(value)}.")
        return operator.index(value)

    return read


def optional(reader: Reader) -> Reader:
    """Nothing, or what the reader makes of it."""
    return lambda value: None if value is None else reader(value)


def clock(value: Any) -> str:
    """A time of day, as "21:00"; "24:00" is midnight."""
    if isinstance(value, time):
        value = value.isoformat("minutes")
    found = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None or (found.group(1) == "24" and found.group(2) != "00"):
        raise RefusedError(f'expected a time such as "21:00", found {describe(value)}.')
    return f"{int(found.group(1)) % 24:02d}:{found.group(2)}"


def weekday(value: Any) -> str:
    """A day of the week, in full."""
    folded = value.strip().lower() if isinstance(value, str) else ""
    fits = [name for name in WEEKDAYS if len(folded) >= 3 and name.startswith(folded)]
    if len(fits) != 1:
        raise RefusedError(
            f'expected a weekday such as "sunday", found {describe(value)}.{did_you_mean(folded, WEEKDAYS)}'
        )
    return fits[0]


def day(value: Any) -> date:
    """A date, with or without quotes."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise RefusedError(f"expected a date such as 2024-05-01, found {describe(value)}.") from None


# ------------------------------------------------------------------------------------------------------ comparisons


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition of an offer: a column of the alerts, a sign, and a number or a text.

    Attributes
    ----------
    variable : str
    sign : {"<", "<=", ">", ">=", "==", "!="}
    value : float or str
        Text goes with == and != alone.
    """

    variable: str
    sign: str
    value: float | str

    def __str__(self) -> str:
        if isinstance(self.value, str):
            shown = f'"{self.value}"' if "'" in self.value else f"'{self.value}'"
        else:
            shown = f"{self.value:.12g}" if float(f"{self.value:.12g}") == self.value else repr(self.value)
        return f"{self.variable} {self.sign} {shown}"


def comparison(value: Any) -> Comparison:
    """Read a condition such as "n_investments <= 2" or "stage == 'new'".

    Examples
    --------
    >>> str(comparison("total_amount >= 100_000")), str(comparison("stage == 'new'"))
    ('total_amount >= 100000', "stage == 'new'")
    """
    if isinstance(value, Comparison):
        return value
    found = _COMPARISON.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise RefusedError(f'expected a condition such as "n_investments <= 2", found {describe(value)}.')
    variable, sign, right = found.groups()
    sign = "==" if sign == "=" else sign
    quoted = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", right)
    if quoted is not None:
        if sign not in ("==", "!="):
            raise RefusedError(f"{value!r} compares a text by {sign}; texts go with == and != alone.")
        return Comparison(variable, sign, quoted.group(1) or quoted.group(2) or "")
    try:
        threshold = {"true": 1.0, "false": 0.0}[right.lower()] if right.lower() in ("true", "false") else float(right)
    except ValueError:
        raise RefusedError(f"{value!r}: {right} is no number; texts stand in quotes, such as 'new'.") from None
    if not math.isfinite(threshold):
        raise RefusedError(f"{value!r}: the number must be finite.")
    return Comparison(variable, sign, threshold)
