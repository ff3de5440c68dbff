"""How to call churned users back, by the reason why they left: a policy table of few lines."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from churnsurv.data.rule import calendar_day, days_of
from churnsurv.errors import InputError, did_you_mean
from churnsurv.survival.frames import as_frame
from churnsurv.tables import is_missing

__all__ = ["AFTER", "STRATEGIES", "UNKNOWN", "Strategy", "read_strategies"]

#: What a strategy may wait for.
AFTER = ("fix", "good news")
#: The key of the strategy for users of whom no reason is known or likely.
UNKNOWN = "unknown"
_PRODUCT = "{product}"
_ANY_PRODUCT = "our products"


@dataclass(frozen=True, slots=True)
class Strategy:
    """When, and with what message, to call back those who left for a reason.

    Attributes
    ----------
    message : str
        What to say. With `product_matched`, "{product}" in it becomes the product that the user preferred.
    wait : int or text such as "90d"
        Days from the formal churn to the first call.
    after : {"fix", "good news"}, optional
        Wait for that, too.
    after_on : date or ISO text, optional
        The day on which it came; without it there is no first day to call yet.
    product_matched : bool
        Match the promotion to the product that the user preferred.

    Raises
    ------
    InputError
        If a part makes no sense.

    Examples
    --------
    >>> Strategy("Come back, it is mended", after="fix").words
    'after the fix'
    >>> Strategy("A boost on {product}", wait=10, product_matched=True).words
    'from day 10 after churn on; product matched'
    """

    message: str
    wait: int = 0
    after: str | None = None
    after_on: date | str | None = None
    product_matched: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.message, str) or not self.message.strip():
            raise InputError(f"Strategy: message is the text to say; it is {self.message!r}.")
        object.__setattr__(self, "wait", days_of(self.wait, "Strategy: wait", least=0))
        if self.after is not None and self.after not in AFTER:
            hint = did_you_mean(str(self.after), AFTER)
            raise InputError(f"Strategy: after is one of {', '.join(map(repr, AFTER))}; it is {self.after!r}.{hint}")
        if self.after_on is not None:
            if self.after is None:
                raise InputError("Strategy: after_on is the day of what after= names; name it.")
            object.__setattr__(self, "after_on", calendar_day(self.after_on, "Strategy: after_on"))
        if not isinstance(self.product_matched, bool):
            raise InputError(f"Strategy: product_matched is true or false; it is {self.product_matched!r}.")
        if _PRODUCT in self.message and not self.product_matched:
            raise InputError(f"Strategy: the message names {_PRODUCT}; set product_matched=True.")

    @property
    def words(self) -> str:
        """When and with what to call back, as text."""
        waits = f"from day {self.wait} after churn on" if self.wait else ""
        comes = "" if self.after is None else "after the fix" if self.after == "fix" else "after good news"
        when = ", ".join(each for each in (waits, comes) if each) or "at once"
        return f"{when}; product matched" if self.product_matched else when

    def said(self, product: str | None) -> str:
        """The message to a user who preferred a product.

        Examples
        --------
        >>> Strategy("A boost on {product}", product_matched=True).said("boosted")
        'A boost on boosted'
        """
        return self.message.replace(_PRODUCT, product or _ANY_PRODUCT)


#: The strategies of the case, by reason.
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "rigid": Strategy("Your account is kept for you: we are here when there is room to invest again.", wait=90),
        "frustrated": Strategy("What troubled you is mended. Come back and see for yourself.", after="fix"),
        "policy": Strategy("Good news from the industry that you may want to know.", after="good news"),
        "natural": Strategy("A coupon and an interest boost on {product} are waiting for you.", product_matched=True),
    }
)


def read_strategies(strategies: Any) -> Mapping[str, Strategy]:
    """Return strategies by reason; None stands for those of the case.

    Parameters
    ----------
    strategies : Mapping, table, path or None
        reason -> `Strategy` or its parts; or a table `reason, message, wait, after, after_on, product_matched` (the
        last four may be left out); or a TOML file with a table for each reason, or a table `strategies` of them. The
        reason "unknown" is for users of whom no reason is known or likely.

    Raises
    ------
    InputError
        If it cannot be read, a reason is there twice, or a part makes no sense.

    Examples
    --------
    >>> read_strategies({"price": {"message": "Lower fees for you"}})["price"].words
    'at once'
    """
    if strategies is None:
        return STRATEGIES
    if isinstance(strategies, (str, Path)) and Path(strategies).suffix.lower() == ".toml":
        strategies = _from_toml(Path(strategies))
    elif not isinstance(strategies, Mapping):
        strategies = _from_table(strategies)
    if not strategies:
        raise InputError("strategies: there is none. Leave strategies out for those of the case.")
    made = {}
    for reason, given in strategies.items():
        if not isinstance(reason, str) or not reason.strip():
            raise InputError(f"strategies: a reason is text; {reason!r} is not.")
        made[reason.strip()] = given if isinstance(given, Strategy) else _from_parts(reason, given)
    return MappingProxyType(made)


def _from_parts(reason: str, parts: Any) -> Strategy:
    keys = [each.name for each in fields(Strategy)]
    if not isinstance(parts, Mapping):
        raise InputError(
            f"strategies: {reason!r} needs a Strategy, or its parts such as {{'message': ...}}; not {parts!r}."
        )
    for key in parts:
        if key not in keys:
            raise InputError(
                f"strategies: {reason!r} has no key {key!r}.{did_you_mean(str(key), keys)} Keys: {', '.join(keys)}."
            )
    if "message" not in parts:
        raise InputError(f"strategies: {reason!r} has no message. Say what the user is told.")
    try:
        return Strategy(**parts)
    except InputError as error:
        raise InputError(f"strategies: {reason!r}: {error}") from None


def _from_toml(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except FileNotFoundError:
        raise InputError(f"strategies: there is no file {str(path)!r}. Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"strategies: {str(path)!r} is no TOML: {error}.") from None
    inner = found.get("strategies", found)
    if not isinstance(inner, Mapping):
        raise InputError(f"strategies: in {str(path)!r} 'strategies' is no table of reasons.")
    return inner


def _from_table(table: Any) -> Mapping[str, Any]:
    frame = as_frame(table, needed=["reason", "message"], what="strategies")
    keys = [each.name for each in fields(Strategy)]
    made: dict[str, Any] = {}
    for row in frame.to_dict("records"):
        reason = row.pop("reason")
        if reason in made:
            raise InputError(f"strategies: the reason {reason!r} is there twice. Keep one row of it.")
        parts = {str(key): value for key, value in row.items() if str(key) not in keys or not is_missing(value)}
        if isinstance(parts.get("wait"), float) and parts["wait"].is_integer():
            parts["wait"] = int(parts["wait"])  # a column with missing numbers holds floats
        if hasattr(parts.get("after_on"), "date"):
            parts["after_on"] = parts["after_on"].date()
        if "product_matched" in parts:
            parts["product_matched"] = bool(parts["product_matched"])
        made[reason] = parts
    return made
