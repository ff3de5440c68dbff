"""What a reader of the effect of shocks must know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from churnsurv.diagnosis.naming import every, listed, quoted
from churnsurv.diagnosis.shock_cells import ShockGroup
from churnsurv.diagnosis.shock_events import span_of
from churnsurv.diagnosis.shock_fit import Calendar
from churnsurv.diagnosis.shock_placebo import N_PLACEBO, Placebo, quiet_p_value
from churnsurv.diagnosis.shock_study import Studied
from churnsurv.notes import note
from churnsurv.numerics.day_clusters import p_value_of
from churnsurv.survival.frames import counted
from churnsurv.tables.said import said_list

__all__ = ["empty_notes", "lasting_notes", "shock_notes"]

#: Of so few quiet logs one has as many placebo dates that reject as must be seen before limits are doubted.
_DOUBTED = 0.01


def shock_notes(
    studies: Sequence[Studied], groups: Sequence[ShockGroup], calendar: Calendar, *, level: float, placebo: bool
) -> Iterator[str]:
    """Yield the notes on how it was done, and how far to trust it."""
    yield note(
        "Hazards of return by idle day, weekday, holidays and a straight trend, are learnt on the days before a shock "
        "alone. Whatever else was new on the days judged counts as done by the shock: this is no experiment."
        if calendar.trend
        else "Hazards of return by idle day, weekday and holidays, are learnt on the days before a shock alone. "
        "Whatever else was new on the days judged counts as done by the shock: this is no experiment."
    )
    yield note(
        "Users lost counts returns missed on the days judged, each with what it changes in the chance of churn; after "
        "those days hazards are taken to be as before the shock."
    )
    if calendar.active_only:
        yield note("Only users who were active on the date or later are judged: on the date itself there are none.")
    for group in groups:
        if group.pooled:
            yield note(
                "Too small to be looked at alone, together as {name}: {groups}.",
                name=quoted(group.name),
                groups=said_list([every(each) for each in group.pooled]),
            )
    unused = {study.plan.event.name: int((~calendar.judged(study.plan)).sum()) for study in studies}
    for name, days in unused.items():
        if days:
            yield note(
                "{name}: {days} after the date {do} not count: left out, or of a kind of holiday that the days before "
                "have none of.",
                name=quoted(name),
                days=counted(days, "day"),
                do="does" if days == 1 else "do",
            )
    first = studies[0]
    spread = float(np.sqrt(max(first.living.noise.of_a_day(), 0.0)))
    yield note(
        "Beyond chance and the calendar, days before {name} vary by {spread} % in {group}. Limits count it, by "
        "Student's law with {df} degrees of freedom, as if days after the date varied as much.",
        name=quoted(first.plan.event.name),
        spread=f"{100 * spread:.1f}",
        group=quoted(first.group.name),
        df=first.living.df,
    )
    if any(study.living.noise.rho > 0 for study in studies):
        yield note("Days hang together: what is special about one lasts for some days. The limits count it.")
    if placebo:
        yield from _placebo_notes(studies, level)


def empty_notes(effects: Sequence[Mapping[str, Any]], all_days: str) -> Iterator[str]:
    """Yield a note where a window of which nobody returned has a ratio all the same."""
    found: dict[str, list[str]] = {}
    for row in effects:
        if row["observed"] == 0 and np.isfinite(row["hazard_ratio"]) and row["window"] != all_days:
            told = {"window": row["window"], "group": every(row["group"])}
            living = row["users"] == "living"
            said = note("{window} ({group})" if living else "{window} ({group}, churned)", **told)
            found.setdefault(row["name"], []).append(said)
    for name, windows in found.items():
        yield note(
            "{name}: nobody returned on {windows}. The ratio given is that of half a return: read its upper limit. "
            "That of {all}, a mean of logarithms, hangs on it.",
            name=quoted(name),
            windows=listed(windows),
            all=note("'{name}'", name=all_days),
        )


def lasting_notes(lengths: Sequence[Mapping[str, Any]], studies: Sequence[Studied], after: int) -> Iterator[str]:
    """Yield a note where an effect may go on after the last day judged."""
    plans = {study.plan.event.name: study.plan for study in studies}
    for name, groups in _by_name(lengths).items():
        first, last = span_of(plans[name].event, after)
        advice = (
            note("Raise after above {days} where the log has the days.", days=after)
            if plans[name].ends == last - first + 1
            else note("Another shock, or the end of the log, cuts the days judged: to raise after does not add any.")
        )
        yield note(
            "{name} still shows in {groups} on the last day judged: users lost does not count what comes later. "
            "{advice}",
            name=quoted(name),
            groups=said_list([quoted(each) for each in groups]),
            advice=advice,
        )


def _by_name(lengths: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in lengths:
        if row["lasting"]:
            found.setdefault(row["name"], []).append(row["group"])
    return found


def _placebo_notes(studies: Sequence[Studied], level: float) -> Iterator[str]:
    for study in {study.plan.event.name: study for study in reversed(studies)}.values():
        name, found = study.plan.event.name, study.placebos
        if len(found) < N_PLACEBO:
            few = note(
                "{name} has {dates}, not {most}: no more dates have as many days before them that are in the log and "
                "belong to no other shock.",
                name=quoted(name),
                dates=counted(len(found), "placebo date"),
                most=N_PLACEBO,
            )
            low = f"{1 / (1 + len(found)):.2g}"
            yield note("{few} A placebo p-value cannot fall below {low}.", few=few, low=low) if found else few
        if len(found) < 10:
            continue
        p = np.array([p_value_of(each.estimate[-1] / each.std_error[-1], each.df) for each in found])
        rejected = int((p < 1 - level).sum())
        seen = note(
            "{name}: on {n} of {dates} placebo dates the mean effect of all days has a p-value below {alpha}, where "
            "{share} % are to be expected on average.",
            name=quoted(name),
            n=rejected,
            dates=len(found),
            alpha=f"{1 - level:.2g}",
            share=f"{100 * (1 - level):.0f}",
        )
        verdict = _verdict(found, rejected, 1 - level)
        yield seen if verdict is None else note("{seen} {verdict}", seen=seen, verdict=verdict)


def _verdict(placebos: Sequence[Placebo], rejected: int, alpha: float) -> str | None:
    if rejected <= 2 * alpha * len(placebos):
        return None
    alike = quiet_p_value(placebos, rejected, alpha)
    if alike < _DOUBTED:
        return note(
            "As many come about in {share} % of logs whose days are alike: limits may be too narrow here; placebo "
            "p-values do not need them.",
            share=f"{100 * alike:.1g}",
        )
    return note("Dates near each other share days and reject together: days that are alike bring that about, too.")
