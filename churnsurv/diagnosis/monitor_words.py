"""What a reader of the monitor must know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_charts import GUARD, REFIT, Asked, Charts, extrapolated
from churnsurv.diagnosis.monitor_learning import FEWEST
from churnsurv.diagnosis.pooled import listed
from churnsurv.survival.frames import counted

__all__ = ["alarms_said", "monitor_notes"]

Days: TypeAlias = NDArray[np.bool_]


def monitor_notes(charts: Charts, days: NDArray[np.datetime64], left_out: Days, asked: Asked) -> Iterator[str]:
    """Yield the notes."""
    yield (
        f"What is expected is learnt from {asked.train} days and anew every {REFIT} days, without the {GUARD} days "
        "before and without days within an alarm or a rise."
    )
    yield (
        f"Limits let {alarms_said(asked.false_alarms)} a year pass on average, over "
        f"{counted(charts.current, 'chart')} together, if nothing changes and days go on to vary as they did."
    )
    if extrapolated(asked, charts.current):
        yield (
            f"So few are rarer than the {asked.n_years} simulated years of a limit can show: the limits are carried on "
            "beyond them, with an exponential tail."
        )
    yield from _of_groups(charts, days)
    yield from _not_judged(charts, left_out, asked)
    yield from _not_learnt(charts, days, asked)
    if any(each.law is not None and each.law.noise.lasts for each in charts.series):
        yield "Days hang together: what is special about one lasts for some days. The limits count it."
    if asked.train < 2 * 365:
        yield "Of a season nothing is known but its trend: days of one year do not tell it from change."


def _of_groups(charts: Charts, days: NDArray[np.datetime64]) -> Iterator[str]:
    for each in charts.learners:
        pooled = charts.there(each.group.pooled)
        if pooled:
            alone = (
                "watched together"
                if each.group.alone or len(charts.learners) == 1
                else "too few even together, watched with all others only"
            )
            yield f"Too small to be watched alone: {', '.join(pooled)}; {alone} as {each.group.name!r}."
    rows, last = charts.history.rows, charts.history.member[:, -1]
    new = [
        value
        for value, place in rows.places.items()
        if rows.users[place, -1].any() and not (last[place] >= 0).any() and rows.by_value
    ]
    if new:
        yield f"New, and not counted before {FEWEST} days are there to learn from: {listed(sorted(new))}."
    gone = [each.name for each in charts.series[charts.current :]]
    if gone:
        yield (
            f"Groups were sized anew: {listed(gone)} "
            f"{'has' if len(gone) == 1 else 'have'} no chart any more, the last one up to "
            f"{days[max(_last(charts, name) for name in gone)]}."
        )


def _last(charts: Charts, name: str) -> int:
    return int(np.flatnonzero(charts.part(name).there)[-1])


def _not_judged(charts: Charts, left_out: Days, asked: Asked) -> Iterator[str]:
    kinds = charts.history.calendar.kinds
    told = slice(asked.first, None)
    unjudged = np.any([(each.there & ~each.judged)[told] for each in charts.series], axis=0)
    if unjudged.any():
        named = f" ({', '.join(kinds)})" if kinds else ""
        are = "is" if unjudged.sum() == 1 else "are"
        everywhere = np.all([(~each.there | ~each.judged)[told] for each in charts.series], axis=0)[unjudged].all()
        yield (
            f"{counted(int(unjudged.sum()), 'day')} watched {are} not judged{'' if everywhere else ' in some charts'}: "
            f"left out, or of a kind of holiday{named} that the days learnt from have none of."
        )
    if left_out.any():
        yield f"{counted(int(left_out.sum()), 'day')} left out as asked."


def _not_learnt(charts: Charts, days: NDArray[np.datetime64], asked: Asked) -> Iterator[str]:
    kept = sorted({name for name, start in charts.kept if start > asked.first - REFIT})
    if kept:
        yield (
            f"Of {listed(kept)} some expectations could not be learnt anew, since alarms, rises and days left out "
            "leave too few days: the last one is kept, and its trend goes no further."
        )
    for each in charts.learners:
        for begin in each.levels:
            yield f"Returns of {each.group.name} have been higher since {days[begin]}: that is the new level."
    for series in charts.series:
        for day in series.usual:
            if day >= asked.first:
                yield (
                    f"The alarm of {series.name} was over on {days[day]} although returns did not come back: it had "
                    "lasted for as long as there is to learn from, and is the usual now."
                )


def alarms_said(false_alarms: float) -> str:
    """Say how many false alarms are stated.

    Examples
    --------
    >>> alarms_said(1.0), alarms_said(0.5)
    ('1 false alarm', '0.5 false alarms')
    """
    return "1 false alarm" if false_alarms == 1 else f"{false_alarms:g} false alarms"
