"""What the operators' page says of the churn monitor: open alarms on top, and one quiet line where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from churnsurv.report.numbers import between, count, number, share

__all__ = ["Alarmed", "alarmed", "quietly"]

_ALL = "(all)"
#: Days that a sentence names before it counts the others, and groups pooled.
_NAMED, _POOLED = 5, 2


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
        `alarms`, each with `group`, `begun` and its limits, `missing`, `ratio` and theirs, `carriers`, and
        `members`, the values of a group that is several; `by`, `charts`, `judged` (the day itself), `unjudged` and
        `partly` (days before, in all charts or in some), `level`, `false_alarms`, `left_out`; or `reason` why nothing
        was watched.
    """
    if monitor is None or not monitor["alarms"]:
        return None
    every = monitor["alarms"]
    alarms = tuple((_alarm(words, each, monitor), _carried(words, each["carriers"])) for each in every)
    level = f"{100 * float(monitor['level']):g}%"
    under = [words.say("monitor.note", level=level, n=number(monitor["false_alarms"]))]
    if not monitor["judged"]:
        under.insert(0, words.say("monitor.unjudged"))
    return Alarmed(alarms, (*under, *_not_judged(words, monitor)))


def quietly(words: Speaker, monitor: Mapping[str, Any] | None) -> str:
    """The line where no alarm is open; "" without a monitor, and where there is an alarm."""
    if monitor is None or monitor["alarms"]:
        return ""
    if monitor["reason"]:
        return words.say("monitor.reason", reason=str(monitor["reason"]))
    n = monitor["charts"]
    charts = words.say("monitor.chart") if n == 1 else words.say("monitor.charts", n=count(n))
    said = words.say("monitor.none", charts=charts)
    if not monitor["judged"]:
        said = f"{words.say('monitor.unjudged')} {words.say('monitor.before', charts=charts)}"
    return " ".join([said, *_not_judged(words, monitor)])


def _alarm(words: Speaker, alarm: Mapping[str, Any], monitor: Mapping[str, Any]) -> str:
    group, by, members = str(alarm["group"]), str(monitor["by"] or ""), alarm["members"]
    if monitor["charts"] == 1:
        group = words.say("monitor.all")
    elif group == _ALL:
        group = words.say("monitor.all" if len(monitor["alarms"]) == 1 else "monitor.others")
    elif len(members) > 1:
        group = words.say("monitor.pooled", by=by, names=_some(words, members, _POOLED))
    elif by:
        group = words.say("monitor.group", by=by, group=members[0] if members else group)
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


def _not_judged(words: Speaker, monitor: Mapping[str, Any]) -> list[str]:
    """The days before that no alarm can be of, by the reason."""
    named = {"left_out": "monitor.left_out", "unjudged": "monitor.unjudged_days", "partly": "monitor.partly"}
    return [
        words.say(key, days=_some(words, [words.day(day) for day in monitor[name]], _NAMED))
        for name, key in named.items()
        if monitor[name]
    ]


def _some(words: Speaker, names: Sequence[str], most: int) -> str:
    shown, more = ", ".join(map(str, names[:most])), len(names) - most
    return words.say("monitor.more", names=shown, n=count(more)) if more > 0 else shown
