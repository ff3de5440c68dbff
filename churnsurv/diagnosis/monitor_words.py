"""What a reader of the monitor must know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_charts import GUARD, REFIT, Asked, Charts, extrapolated
from churnsurv.diagnosis.monitor_learning import FEWEST
from churnsurv.diagnosis.naming import every, listed, quoted
from churnsurv.notes import Note, note
from churnsurv.survival.frames import counted
from churnsurv.tables.said import said_list

__all__ = ["alarms_said", "monitor_notes"]

Days: TypeAlias = NDArray[np.bool_]


def monitor_notes(charts: Charts, days: NDArray[np.datetime64], left_out: Days, asked: Asked) -> Iterator[str]:
    """Yield the notes."""
    yield note(
        "What is expected is learnt from {train} days and anew every {refit} days, without the {guard} days before and "
        "without days within an alarm or a rise.",
        train=asked.train,
        refit=REFIT,
        guard=GUARD,
    )
    yield note(
        "Limits let {alarms} a year pass on average, over {charts} together, if nothing changes and days go on to vary "
        "as they did.",
        alarms=alarms_said(asked.false_alarms),
        charts=counted(charts.current, "chart"),
    )
    if extrapolated(asked, charts.current):
        yield note(
            "So few are rarer than the {years} simulated years of a limit can show: the limits are carried on beyond "
            "them, with an exponential tail.",
            years=asked.n_years,
        )
    yield from _of_groups(charts, days)
    yield from _not_judged(charts, left_out, asked)
    yield from _not_learnt(charts, days, asked)
    if any(each.law is not None and each.law.noise.lasts for each in charts.series):
        yield note("Days hang together: what is special about one lasts for some days. The limits count it.")
    if asked.train < 2 * 365:
        yield note("Of a season nothing is known but its trend: days of one year do not tell it from change.")


def _of_groups(charts: Charts, days: NDArray[np.datetime64]) -> Iterator[str]:
    for each in charts.learners:
        pooled = charts.there(each.group.pooled)
        if pooled:
            yield note(
                "Too small to be watched alone: {groups}; watched together as {name}."
                if each.group.alone or len(charts.learners) == 1
                else "Too small to be watched alone: {groups}; too few even together, watched with all others only as "
                "{name}.",
                groups=said_list(pooled),
                name=quoted(each.group.name),
            )
    rows, last = charts.history.rows, charts.history.member[:, -1]
    new = [
        value
        for value, place in rows.places.items()
        if rows.users[place, -1].any() and not (last[place] >= 0).any() and rows.by_value
    ]
    if new:
        yield note(
            "New, and not counted before {days} days are there to learn from: {groups}.",
            days=FEWEST,
            groups=listed(sorted(new)),
        )
    gone = [each.name for each in charts.series[charts.current :]]
    if gone:
        yield note(
            "Groups were sized anew: {groups} {verb} no chart any more, the last one up to {day}.",
            groups=listed([every(name) for name in gone]),
            verb="has" if len(gone) == 1 else "have",
            day=days[max(_last(charts, name) for name in gone)],
        )


def _last(charts: Charts, name: str) -> int:
    return int(np.flatnonzero(charts.part(name).there)[-1])


def _not_judged(charts: Charts, left_out: Days, asked: Asked) -> Iterator[str]:
    kinds = charts.history.calendar.kinds
    told = slice(asked.first, None)
    unjudged = np.any([(each.there & ~each.judged)[told] for each in charts.series], axis=0)
    if unjudged.any():
        everywhere = np.all([(~each.there | ~each.judged)[told] for each in charts.series], axis=0)[unjudged].all()
        holiday = note("a kind of holiday ({kinds})", kinds=said_list(kinds)) if kinds else note("a kind of holiday")
        yield note(
            "{days} watched {are} not judged: left out, or of {holiday} that the days learnt from have none of."
            if everywhere
            else "{days} watched {are} not judged in some charts: left out, or of {holiday} that the days learnt from "
            "have none of.",
            days=counted(int(unjudged.sum()), "day"),
            are="is" if unjudged.sum() == 1 else "are",
            holiday=holiday,
        )
    if left_out.any():
        yield note("{days} left out as asked.", days=counted(int(left_out.sum()), "day"))


def _not_learnt(charts: Charts, days: NDArray[np.datetime64], asked: Asked) -> Iterator[str]:
    kept = sorted({name for name, start in charts.kept if start > asked.first - REFIT})
    if kept:
        yield note(
            "Of {groups} some expectations could not be learnt anew, since alarms, rises and days left out leave too "
            "few days: the last one is kept, and its trend goes no further.",
            groups=listed([every(name) for name in kept]),
        )
    for each in charts.learners:
        for begin in each.levels:
            yield note(
                "Returns of {group} have been higher since {day}: that is the new level.",
                group=every(each.group.name),
                day=days[begin],
            )
    for series in charts.series:
        for day in series.usual:
            if day >= asked.first:
                yield note(
                    "The alarm of {group} was over on {day} although returns did not come back: it had lasted for as "
                    "long as there is to learn from, and is the usual now.",
                    group=every(series.name),
                    day=days[day],
                )


def alarms_said(false_alarms: float) -> Note:
    """Say how many false alarms are stated.

    Examples
    --------
    >>> alarms_said(1.0), alarms_said(0.5)
    ('1 false alarm', '0.5 false alarms')
    """
    return note("{n} false alarm" if false_alarms == 1 else "{n} false alarms", n=f"{false_alarms:g}")
