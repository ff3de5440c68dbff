"""What is worked out for one shock: each group, the churned, placebo dates, and groups said to be untouched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.shock_cells import ShockGroup, together
from churnsurv.diagnosis.shock_events import Plan
from churnsurv.diagnosis.shock_fit import Calendar, Fitted, fit_group
from churnsurv.diagnosis.shock_placebo import Placebo
from churnsurv.numerics.day_clusters import DayStatistics, noise_of_days

__all__ = ["Against", "Studied", "against_untouched", "studied"]

Floats: TypeAlias = NDArray[np.float64]

_UNTOUCHED = "(untouched)"


@dataclass(frozen=True, slots=True, eq=False)
class Studied:
    """One shock and one group; `churned` is null where it was not asked for, or too few came back."""

    plan: Plan
    group: ShockGroup
    living: Fitted
    churned: Fitted | None
    placebos: tuple[Placebo, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """Log hazard ratios of a group less those of the untouched ones together."""

    name: str
    estimate: Floats
    std_error: Floats
    df: int


def studied(
    plan: Plan, group: ShockGroup, placebos: Sequence[Plan], calendar: Calendar, first_day: int, idle_days: int
) -> Studied | None:
    """Work out a shock for a group; None where there is nothing to learn from, or nobody to judge (see `unfit`)."""
    living = fit_group(group, plan, calendar, first_day, slice(0, idle_days))
    if living is None or not living.used.any():
        return None
    churned = None
    if group.at_risk.shape[2] > idle_days:
        churned = fit_group(group, plan, calendar, first_day, slice(idle_days, None))
    found = tuple(_placebos(group, placebos, calendar, first_day, idle_days))
    return Studied(plan, group, living, churned, found)


def _placebos(
    group: ShockGroup, placebos: Sequence[Plan], calendar: Calendar, first_day: int, idle_days: int
) -> Iterator[Placebo]:
    for plan in placebos:
        fitted = fit_group(group, plan, calendar, first_day, slice(0, idle_days))
        if fitted is not None:
            found = fitted.windows()
            yield Placebo(
                plan.date,
                found.estimate,
                fitted.std_errors(found),
                fitted.df,
                fitted.reference,
                fitted.all_days,
                found.exposure[-1],
            )


def against_untouched(
    studies: Sequence[Studied], calendar: Calendar, first_day: int, idle_days: int
) -> Iterator[Against]:
    """Compare each touched group with the untouched ones together: a difference in differences of log hazards.

    What days have of their own is that of the difference: what all groups share drops out. Both are learnt on the days
    on which there are users of both; a group that has too few of them is passed over.
    """
    calm = [study for study in studies if study.group.calm]
    if not calm:
        return
    union = together(_UNTOUCHED, [study.group for study in calm])
    for study in studies:
        if study.group.calm:
            continue
        pair = _on_same_days(study, union, calendar, first_day, slice(0, idle_days))
        if pair is not None:
            yield _difference(study.group.name, *pair)


def _on_same_days(
    study: Studied, union: ShockGroup, calendar: Calendar, first_day: int, idle: slice
) -> tuple[Fitted, Fitted] | None:
    """The group and the untouched ones together, learnt on the days that both have."""
    control, ours = fit_group(union, study.plan, calendar, first_day, idle), study.living
    if control is None or np.array_equal(control.reference, ours.reference):
        return None if control is None else (ours, control)
    plan = replace(study.plan, reference=np.intersect1d(control.reference, ours.reference))
    both = [fit_group(group, plan, calendar, first_day, idle) for group in (study.group, union)]
    return None if both[0] is None or both[1] is None else (both[0], both[1])


def _difference(name: str, living: Fitted, control: Fitted) -> Against:
    ours, theirs = living.windows(), control.windows()
    both = DayStatistics(
        ours.estimate - theirs.estimate, ours.chance + theirs.chance, (ours.exposure + theirs.exposure) / 2
    )
    place = living.reference - living.reference[0]
    theta, own = np.full(place[-1] + 1, np.nan), np.full(place[-1] + 1, np.nan)
    (mine, spread), (other, wide) = living.theta(), control.theta()
    theta[place], own[place] = mine - other, spread + wide
    own = np.where(np.isfinite(own), own, np.nanmean(own))
    noise = noise_of_days(theta, own, n_terms=living.reference.size - living.df)
    return Against(name, both.estimate, living.std_errors(both, noise), living.df)
