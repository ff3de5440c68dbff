"""Models of problems: any of them on the first day of a gap, by dose, by recency, and the shares that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.experience_gaps import KnownGaps, active_days, adjusters, cells, known_gaps, problem_states
from churnsurv.diagnosis.experience_models import Absent, Asked, Fitted, Level, fit_levels, ratio_rows, shares_of
from churnsurv.diagnosis.experience_rank import ALL, Shares
from churnsurv.errors import InputError

if TYPE_CHECKING:
    from churnsurv.data.problem_gaps import ProblemGaps

__all__ = ["Problems", "Settings", "counted_gaps", "problem_models", "reach_of"]

Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for, checked."""

    doses: tuple[int, ...]
    recency: tuple[int, ...]
    adjust: str
    level: float


def counted_gaps(
    gaps: ProblemGaps, kinds: Sequence[str], attributes: Sequence[str], settings: Settings, *, month: bool
) -> tuple[KnownGaps, Flags, dict[str, int], tuple[str, ...]]:
    """The gaps that count as patterns, which they are, counts, and what they are adjusted for."""
    found = adjusters(gaps, attributes, month=month)
    first = np.datetime64(gaps.first, "D").astype(np.int64) + settings.recency[-1]
    observed = gaps.users["observed"].to_numpy(dtype=np.bool_)[gaps.user]
    counted: Flags = observed | (gaps.start >= first)
    if not gaps.churned[counted].any() or gaps.churned[counted].all():
        raise InputError(
            f"Of {int(counted.sum()):,} gaps whose outcome is known all or none ended in churn: there is nothing to "
            "compare. Take a longer log."
        )
    mine = {name: (codes[counted], labels) for name, (codes, labels) in found.items()}
    cell, n_small, in_small = cells(mine, gaps.churned[counted])
    states = [problem_states(gaps, kind, settings.doses, settings.recency)[counted] for kind in kinds]
    active = [each[counted] for each in active_days(gaps, settings.recency)]
    user = gaps.user[counted]
    known = known_gaps(user, gaps.churned[counted], cell, states, active)
    counts = {
        "gaps": int(counted.sum()),
        "users": int(np.count_nonzero(np.diff(user, prepend=-1))),
        "churned": int(gaps.churned[counted].sum()),
        "not_adjusted": int((~counted).sum()),
        "cells": int(cell.max(initial=0)) + 1,
        "small_cells": n_small,
        "in_small_cells": in_small,
    }
    return known, counted, counts, tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Problems:
    """The models of problems."""

    kinds: tuple[str, ...]
    any: Fitted
    shares: Shares
    rows: list[dict[str, Any]]
    absent: list[Absent]
    notes: list[str]


def problem_models(known: KnownGaps, kinds: Sequence[str], settings: Settings) -> Problems:
    """Fit any problem on the day, dose and recency, each of all kinds together, and ask the first for shares.

    Raises
    ------
    InputError
        If no kind has an estimate; why is said of each.
    """
    n_doses = len(settings.doses)
    today = (known.state >= 1) & (known.state <= n_doses)
    asked = Asked.of(known, [Level(kind, "any", "none that day", today[:, k]) for k, kind in enumerate(kinds)])
    there = [level.kind for level in asked.levels]
    if not there:
        why = "; ".join(f"{each.kind}: {each.why} ({each.n_exposed:,} gaps)" for each in asked.absent)
        raise InputError(f"No kind of problem has an estimate. {why}. Take a longer log, or other kinds.")
    left_out = np.zeros(known.cell.size, dtype=np.bool_)
    for k, kind in enumerate(kinds):
        if kind not in there:
            left_out |= today[:, k]
    fitted = fit_levels("any", known, asked)
    rows, absent, notes = ratio_rows(fitted, known, level=settings.level), list(asked.absent), list[str]()
    for name, levels in (("dose", _doses(known, kinds, settings)), ("recency", _windows(known, kinds, settings))):
        mine = Asked.of(known, [level for level in levels if level.kind in there], left_out)
        absent += [replace(each, what=f"{each.what} ({name})") for each in mine.absent]
        shown = mine.levels
        if name == "dose":
            n = {kind: sum(level.kind == kind for level in mine.levels) for kind in there}
            single = [kind for kind in there if n[kind] < 2]
            shown = tuple(replace(level, shown=level.kind not in single) for level in mine.levels)
            if single:
                notes.append(f"Too few days with several problems to tell doses apart: {', '.join(single)}.")
        if any(level.shown for level in shown):
            rows += ratio_rows(fit_levels(name, known, replace(mine, levels=shown)), known, level=settings.level)
    share, covariance = shares_of(fitted, known)
    return Problems(tuple(there), fitted, Shares(tuple(there), share.share, covariance, np.nan), rows, absent, notes)


def _doses(known: KnownGaps, kinds: Sequence[str], settings: Settings) -> list[Level]:
    levels = []
    for k, kind in enumerate(kinds):
        ends = [*(each - 1 for each in settings.doses[1:]), None]
        for place, (first, last) in enumerate(zip(settings.doses, ends, strict=True), start=1):
            what = f"{first}+" if last is None else f"{first}" if first == last else f"{first}-{last}"
            levels.append(Level(kind, what, "none that day", known.state[:, k] == place))
    return levels


def _windows(known: KnownGaps, kinds: Sequence[str], settings: Settings) -> list[Level]:
    n_doses, levels = len(settings.doses), []
    reference = f"none in {settings.recency[-1]} days"
    for k, kind in enumerate(kinds):
        state = known.state[:, k]
        levels.append(Level(kind, "that day", reference, (state >= 1) & (state <= n_doses)))
        since = 1
        for place, last in enumerate(settings.recency, start=n_doses + 1):
            levels.append(Level(kind, f"{since}-{last} days before", reference, state == place))
            since = last + 1
    return levels


def reach_of(gaps: ProblemGaps, fitted: Fitted, counted: Flags) -> dict[str, tuple[float, float]]:
    """Share of the users who ever had a kind, and of the gaps that began with it."""
    seen = np.zeros(len(gaps.users), dtype=np.bool_)
    seen[gaps.user[counted]] = True
    whole, n = int(seen.sum()), fitted.asked.n
    found, anyone, any_gap = {}, np.zeros(seen.size, dtype=np.bool_), np.zeros(n.size, dtype=np.bool_)
    for level in fitted.asked.levels:
        had = np.zeros(seen.size, dtype=np.bool_)
        had[gaps.problems["user"].to_numpy()[(gaps.problems["kind"] == level.kind).to_numpy()]] = True
        found[level.kind] = (float((had & seen).sum() / whole), float(n[level.marked].sum() / n.sum()))
        anyone |= had
        any_gap |= level.marked
    return found | {ALL: (float((anyone & seen).sum() / whole), float(n[any_gap].sum() / n.sum()))}
