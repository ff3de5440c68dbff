"""What the operators' page says of the churn monitor: open alarms on top, and one quiet line where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from churnsurv.report.numbers import between, count, number, share

__all__ = ["Alarmed", "alarmed", "quietly"]

_ALL = "(all)"


class Speaker(Protocol):
    """The words of the page, with days as people write them."""

    def say(self, key: str, /, **fields: str | int) -> str:
        """A message as plain text."""

    def day(self, value: Any) -> str:
        """A day in words; a dash for none."""


@dataclass(frozen=True, slots=True)
class Alarmed:
    """The open alarms: each a sentence, and sentences below it on who carries it."""

    alarms: tuple[tuple[str, tuple[str, ...]], ...]
    under: tuple[str, ...]


def alarmed(words: Speaker, monitor: Mapping[str, Any] | None) -> Alarmed | None:
    """The block on top of the page; None where no alarm is open.

    Parameters
    ----------
    words : Speaker
    monitor : mapping or None
        `alarms`, each with `group`, `begun` and its limits, `missing`, `ratio` and theirs, and `carriers`; `by`,
        `charts`, `judged`, `level`, `false_alarms`, `left_out`; or `reason` why nothing was watched.
    """
    if monitor is None or not monitor["alarms"]:
        return None
    every = monitor["alarms"]
    by, alone = str(monitor["by"] or ""), len(every) == 1
    alarms = tuple((_alarm(words, each, by, alone=alone), _carried(words, each["carriers"])) for each in every)
    level = f"{100 * float(monitor['level']):g}%"
    under = [words.say("monitor.note", level=level, n=number(monitor["false_alarms"]))]
    return Alarmed(alarms, (*under, *_left_out(words, monitor)))


def quietly(words: Speaker, monitor: Mapping[str, Any] | None) -> str:
    """The line where no alarm is open; "" without a monitor, and where there is an alarm."""
    if monitor is None or monitor["alarms"]:
        return ""
    if monitor["reason"]:
        return words.say("monitor.reason", reason=str(monitor["reason"]))
    said = words.say("monitor.none", n=count(monitor["charts"]))
    if not monitor["judged"]:
        said = words.say("monitor.unjudged")
    return " ".join([said, *_left_out(words, monitor)])


def _alarm(words: Speaker, alarm: Mapping[str, Any], by: str, *, alone: bool) -> str:
    group = str(alarm["group"])
    if group == _ALL:
        group = words.say("monitor.all" if alone else "monitor.others")
    elif by:
        group = words.say("monitor.group", by=by, group=group)
    low, high = count(alarm["missing_lower"]), count(alarm["missing_upper"])
    return words.say(
        "monitor.alarm",
        group=group,
        begun=words.day(alarm["begun"]),
        lower=words.day(alarm["begun_lower"]),
        upper=words.day(alarm["begun_upper"]),
        missing=count(alarm["missing"]),
        limits=between(low, high),
        ratio=share(alarm["ratio"]),
        range=between(share(alarm["lower"]), share(alarm["upper"])),
    )


def _carried(words: Speaker, carriers: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """A sentence for each way in which an alarm is split."""
    said = []
    for split in dict.fromkeys(str(each["split"]) for each in carriers):
        parts = [
            words.say(
                "monitor.part", value=str(each["value"]), missing=count(each["missing"]), share=share(each["share"])
            )
            for each in carriers
            if str(each["split"]) == split
        ]
        said.append(words.say("monitor.carried", split=split, parts=", ".join(parts)))
    return tuple(said)


def _left_out(words: Speaker, monitor: Mapping[str, Any]) -> list[str]:
    days = ", ".join(words.day(day) for day in monitor["left_out"])
    return [words.say("monitor.left_out", days=days)] if days else []
