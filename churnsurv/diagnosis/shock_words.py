"""What a reader of the effect of shocks must know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from churnsurv.diagnosis.pooled import listed
from churnsurv.diagnosis.shock_cells import ShockGroup
from churnsurv.diagnosis.shock_events import span_of
from churnsurv.diagnosis.shock_fit import Calendar
from churnsurv.diagnosis.shock_placebo import N_PLACEBO, Placebo, quiet_p_value
from churnsurv.diagnosis.shock_study import Studied
from churnsurv.numerics.day_clusters import p_value_of
from churnsurv.survival.frames import counted

__all__ = ["empty_notes", "lasting_notes", "shock_notes"]

#: Of so few quiet logs one has as many placebo dates that reject as must be seen before limits are doubted.
_DOUBTED = 0.01


def shock_notes(
    studies: Sequence[Studied], groups: Sequence[ShockGroup], calendar: Calendar, *, level: float, placebo: bool
) -> Iterator[str]:
    """Yield the notes on how it was done, and how far to trust it."""
    terms = "weekday, holidays and a straight trend" if calendar.trend else "weekday and holidays"
    yield (
        f"Hazards of return by idle day, {terms}, are learnt on the days before a shock alone. Whatever else was new "
        "on the days judged counts as done by the shock: this is no experiment."
    )
    yield (
        "Users lost counts returns missed on the days judged, each with what it changes in the chance of churn; after "
        "those days hazards are taken to be as before the shock."
    )
    if calendar.active_only:
        yield "Only users who were active on the date or later are judged: on the date itself there are none."
    for group in groups:
        if group.pooled:
            yield f"Too small to be looked at alone, together as {group.name!r}: {', '.join(group.pooled)}."
    unused = {study.plan.event.name: int((~calendar.judged(study.plan)).sum()) for study in studies}
    for name, days in unused.items():
        if days:
            yield (
                f"{name!r}: {counted(days, 'day')} after the date {'does' if days == 1 else 'do'} not count: left out, "
                "or of a kind of holiday that the days before have none of."
            )
    first = studies[0]
    spread = float(np.sqrt(max(first.living.noise.of_a_day(), 0.0)))
    yield (
        f"Beyond chance and the calendar, days before {first.plan.event.name!r} vary by {100 * spread:.1f} % in "
        f"{first.group.name!r}. Limits count it, by Student's law with {first.living.df} degrees of freedom, as if "
        "days after the date varied as much."
    )
    if any(study.living.noise.rho > 0 for study in studies):
        yield "Days hang together: what is special about one lasts for some days. The limits count it."
    if placebo:
        yield from _placebo_notes(studies, level)


def empty_notes(effects: Sequence[Mapping[str, Any]], all_days: str) -> Iterator[str]:
    """Yield a note where a window of which nobody returned has a ratio all the same."""
    found: dict[str, list[str]] = {}
    for row in effects:
        if row["observed"] == 0 and np.isfinite(row["hazard_ratio"]) and row["window"] != all_days:
            gone = "" if row["users"] == "living" else f", {row['users']}"
            found.setdefault(row["name"], []).append(f"{row['window']} ({row['group']}{gone})")
    for name, windows in found.items():
        yield (
            f"{name!r}: nobody returned on {listed(windows)}. The ratio given is that of half a return: read its "
            f"upper limit. That of {all_days!r}, a mean of logarithms, hangs on it."
        )


def lasting_notes(lengths: Sequence[Mapping[str, Any]], studies: Sequence[Studied], after: int) -> Iterator[str]:
    """Yield a note where an effect may go on after the last day judged."""
    plans = {study.plan.event.name: study.plan for study in studies}
    for name, groups in _by_name(lengths).items():
        first, last = span_of(plans[name].event, after)
        advice = (
            f"Raise after above {after} where the log has the days."
            if plans[name].ends == last - first + 1
            else "Another shock, or the end of the log, cuts the days judged: to raise after does not add any."
        )
        yield (
            f"{name!r} still shows in {', '.join(map(repr, groups))} on the last day judged: users lost does not count "
            f"what comes later. {advice}"
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
            yield (
                f"{name!r} has {counted(len(found), 'placebo date')}, not {N_PLACEBO}: no more dates have as many days "
                "before them that are in the log and belong to no other shock"
                + (f". A placebo p-value cannot fall below {1 / (1 + len(found)):.2g}." if found else ".")
            )
        if len(found) < 10:
            continue
        p = np.array([p_value_of(each.estimate[-1] / each.std_error[-1], each.df) for each in found])
        rejected = int((p < 1 - level).sum())
        yield (
            f"{name!r}: on {rejected} of {len(found)} placebo dates the mean effect of all days has a p-value below "
            f"{1 - level:.2g}, where {100 * (1 - level):.0f} % are to be expected on average."
            + _verdict(found, rejected, 1 - level)
        )


def _verdict(placebos: Sequence[Placebo], rejected: int, alpha: float) -> str:
    if rejected <= 2 * alpha * len(placebos):
        return ""
    alike = quiet_p_value(placebos, rejected, alpha)
    if alike < _DOUBTED:
        return (
            f" As many come about in {100 * alike:.1g} % of logs whose days are alike: limits may be too narrow here; "
            "placebo p-values do not need them."
        )
    return " Dates near each other share days and reject together: days that are alike bring that about, too."
