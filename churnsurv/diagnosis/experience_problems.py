"""Models of problems: any of them on the first day of a gap, by dose, by recency, and the shares that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.experience_asked import Absent, Level
from churnsurv.diagnosis.experience_gaps import KnownGaps, active_days, adjusters, cells, known_gaps, problem_states
from churnsurv.diagnosis.experience_models import Fitted, fit_asked, ratio_rows, shares_of
from churnsurv.diagnosis.experience_rank import ALL, MONTH, Shares
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from datetime import date

    from churnsurv.data.problem_gaps import ProblemGaps

__all__ = ["Problems", "Settings", "churns_a_month", "counted_gaps", "problem_models", "reach_of"]

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
    counted: Flags = gaps.observed | (gaps.start >= _day(gaps.first) + settings.recency[-1])
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
        "cells": int(np.unique(cell).size),
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
    levels = [Level(kind, note("any"), note("none that day"), today[:, k]) for k, kind in enumerate(kinds)]
    fitted, asked = fit_asked("any", known, levels)
    there = [level.kind for level in asked.levels]
    if fitted is None:
        why = "; ".join(f"{each.kind}: {each.why} ({each.n_exposed:,} gaps)" for each in asked.absent)
        raise InputError(f"No kind of problem has an estimate. {why}. Take a longer log, or other kinds.")
    left_out: Flags = (known.counts[0] > 0) & (asked.n == 0)
    rows, absent, notes = ratio_rows(fitted, known, level=settings.level), list(asked.absent), list[str]()
    for name, levels, said in (
        ("dose", _doses(known, kinds, settings), note("dose")),
        ("recency", _windows(known, kinds, settings), note("recency")),
    ):
        model, mine = fit_asked(name, known, [level for level in levels if level.kind in there], left_out)
        absent += [each.of(said) for each in mine.absent]
        single = _single(mine.levels, there) if name == "dose" else []
        if single:
            notes.append(
                note("Too few days with several problems to tell doses apart: {kinds}.", kinds=said_list(single))
            )
        if model is not None:
            found = ratio_rows(model, known, level=settings.level)
            rows += [row for row in found if row["kind"] not in single]
    share, errors = shares_of(fitted, known)
    shares = Shares(tuple(there), share.share, errors.covariance, errors.df, np.nan)
    return Problems(tuple(there), fitted, shares, rows, absent, notes)


def _single(levels: Sequence[Level], kinds: Sequence[str]) -> list[str]:
    """Kinds with fewer than two doses to tell apart."""
    return [kind for kind in kinds if sum(level.kind == kind for level in levels) < 2]


def _doses(known: KnownGaps, kinds: Sequence[str], settings: Settings) -> list[Level]:
    levels = []
    for k, kind in enumerate(kinds):
        ends = [*(each - 1 for each in settings.doses[1:]), None]
        for place, (first, last) in enumerate(zip(settings.doses, ends, strict=True), start=1):
            what = _dose(first, last)
            levels.append(Level(kind, what, note("none that day"), known.state[:, k] == place))
    return levels


def _dose(first: int, last: int | None) -> str:
    if last is None:
        return note("{least}+", least=first)
    return note("{times}", times=first) if first == last else note("{first}-{last}", first=first, last=last)


def _windows(known: KnownGaps, kinds: Sequence[str], settings: Settings) -> list[Level]:
    n_doses, levels = len(settings.doses), []
    reference = note("none in {days} days", days=settings.recency[-1])
    for k, kind in enumerate(kinds):
        state = known.state[:, k]
        levels.append(Level(kind, note("that day"), reference, (state >= 1) & (state <= n_doses)))
        since = 1
        for place, last in enumerate(settings.recency, start=n_doses + 1):
            what = note("{first}-{last} days before", first=since, last=last)
            levels.append(Level(kind, what, reference, state == place))
            since = last + 1
    return levels


def churns_a_month(gaps: ProblemGaps, known: KnownGaps, counted: Flags, fitted: Fitted, settings: Settings) -> float:
    """Churns a month of the gaps that the shares are of.

    Those of users registered within the log are of all its days up to the last on which a gap may begin; those of users
    of before it are of the days on which their gaps count.
    """
    mine = known.churned & (fitted.asked.n > 0)[known.pattern]
    observed = gaps.observed[counted]
    days = _day(gaps.until) - _day(gaps.first) + 1
    rate = 0.0
    for group, n_days in ((observed, days), (~observed, days - settings.recency[-1])):
        if group.any():
            rate += float((mine & group).sum()) / n_days * MONTH
    return rate


def _day(date: date) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))


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
