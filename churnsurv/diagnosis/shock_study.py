"""What is worked out for one shock: each group, the churned, placebo dates, and groups said to be untouched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.shock_cells import ShockGroup, together
from churnsurv.diagnosis.shock_events import Plan
from churnsurv.diagnosis.shock_fit import Calendar, Fitted, fit_group
from churnsurv.numerics.day_clusters import DayStatistics, noise_of_days

__all__ = ["Against", "Placebo", "Studied", "against_untouched", "studied"]

Floats: TypeAlias = NDArray[np.float64]

_UNTOUCHED = "(untouched)"


@dataclass(frozen=True, slots=True, eq=False)
class Placebo:
    """What is found on a day on which nothing is known to have happened: log hazard ratios by window."""

    date: int
    estimate: Floats
    std_error: Floats
    df: int


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
    """Work out a shock for a group; None where too few return to learn what to expect."""
    living = fit_group(group, plan, calendar, first_day, slice(0, idle_days))
    if living is None:
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
            windows = fitted.windows()
            yield Placebo(plan.date, windows.estimate, fitted.std_errors(windows), fitted.df)


def against_untouched(
    studies: Sequence[Studied], untouched: Sequence[str], calendar: Calendar, first_day: int, idle_days: int
) -> Iterator[Against]:
    """Compare each touched group with the untouched ones together: a difference in differences of log hazards.

    What days have of their own is that of the difference: what all groups share drops out.
    """
    calm = [study for study in studies if study.group.name in untouched]
    if not calm:
        return
    union = together(_UNTOUCHED, [study.group for study in calm])
    control = fit_group(union, calm[0].plan, calendar, first_day, slice(0, idle_days))
    assert control is not None  # noqa: S101 - each of them has enough
    theirs = control.windows()
    for study in studies:
        if study.group.name in untouched:
            continue
        ours = study.living.windows()
        both = DayStatistics(
            ours.estimate - theirs.estimate, ours.chance + theirs.chance, (ours.exposure + theirs.exposure) / 2
        )
        place = study.living.reference - study.living.reference[0]
        theta, own = np.full(place[-1] + 1, np.nan), np.full(place[-1] + 1, np.nan)
        (mine, spread), (other, wide) = study.living.theta(), control.theta()
        theta[place], own[place] = mine - other, spread + wide
        own = np.where(np.isfinite(own), own, np.nanmean(own))
        noise = noise_of_days(theta, own, n_terms=study.living.reference.size - study.living.df)
        yield Against(study.group.name, both.estimate, study.living.std_errors(both, noise), study.living.df)
