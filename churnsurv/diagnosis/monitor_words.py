"""What a reader of the monitor must know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_charts import GUARD, REFIT, Asked, Charts
from churnsurv.diagnosis.monitor_groups import CalendarTerms, WatchedGroup
from churnsurv.survival.frames import counted

__all__ = ["alarms_said", "monitor_notes"]


def monitor_notes(
    charts: Charts,
    groups: Sequence[WatchedGroup],
    calendar: CalendarTerms,
    left_out: NDArray[np.bool_],
    asked: Asked,
) -> Iterator[str]:
    """Yield the notes."""
    yield (
        f"What is expected is learnt from {asked.train} days and anew every {REFIT} days, without the {GUARD} days "
        "before and without days within an alarm."
    )
    yield (
        f"Limits let {alarms_said(asked.false_alarms)} a year pass on average, over "
        f"{counted(len(charts.series), 'chart')} together, if nothing changes and days go on to vary as they did."
    )
    for group in groups:
        if group.pooled:
            alone = "watched together" if group.alone else "too few even together, watched with all others only"
            yield f"Too small to be watched alone: {', '.join(group.pooled)}; {alone} as {group.name!r}."
        elif not group.alone:
            yield f"{group.name!r} is too small to be watched alone: it counts among all others only."
    unjudged = int((~charts.series[0].judged[asked.first :]).sum())
    if unjudged:
        named = f" ({', '.join(calendar.kinds)})" if calendar.kinds else ""
        yield (
            f"{counted(unjudged, 'day')} watched {'is' if unjudged == 1 else 'are'} not judged: left out, or of a kind "
            f"of holiday{named} that the days learnt from have none of."
        )
    if left_out.any():
        yield f"{counted(int(left_out.sum()), 'day')} left out as asked."
    if charts.kept_fits:
        yield (
            f"{counted(charts.kept_fits, 'expectation')} could not be learnt anew, since alarms leave too few days: "
            "the last one is kept."
        )
    if any(each.law is not None and each.law.noise.lasts for each in charts.series):
        yield "Days hang together: what is special about one lasts for some days. The limits count it."
    if asked.train < 2 * 365:
        yield "Of a season nothing is known but its trend: days of one year do not tell it from change."


def alarms_said(false_alarms: float) -> str:
    """Say how many false alarms are stated.

    Examples
    --------
    >>> alarms_said(1.0), alarms_said(0.5)
    ('1 false alarm', '0.5 false alarms')
    """
    return "1 false alarm" if false_alarms == 1 else f"{false_alarms:g} false alarms"
