"""What a profile says in sentences: the cuts that stand out, and what a reader must know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from churnsurv.diagnosis.naming import called, listed
from churnsurv.diagnosis.profile_compare import Groups
from churnsurv.diagnosis.profile_cuts import Variable, said
from churnsurv.diagnosis.profile_users import ProfileUsers
from churnsurv.notes import note
from churnsurv.survival.frames import counted

__all__ = ["early_notes", "percent", "sentences_of", "shared_notes", "spell_notes"]

_NAMED = 5


def percent(share: float) -> str:
    """Say a share without hiding that it is not quite none or all.

    Examples
    --------
    >>> percent(0.906), percent(0.9996), percent(0.0004), percent(1.0)
    ('91 %', 'over 99 %', 'under 1 %', '100 %')
    """
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def sentences_of(rows: Sequence[Mapping[str, Any]], variables: Sequence[Variable], level: float) -> tuple[str, ...]:
    """Say the suggested cut of each variable and group in words; without tests that of the largest difference.

    The side of the cut is named on which the churned are the more frequent.
    """
    named = {variable.name: variable for variable in variables}
    several = len({row["group"] for row in rows}) > 1
    told = []
    for (group, name), of_variable in groupby(rows, key=lambda row: (row["group"], row["variable"])):
        row = _striking(list(of_variable))
        if row is None:
            continue
        below = row["difference"] >= 0
        churned, retained = (row[each] if below else 1 - row[each] for each in ("share_churned", "share_retained"))
        text = f"{said(named[name], row['cut'], below=below)}: "
        text += f"{percent(churned)} of churned, {percent(retained)} of retained"
        if row.get("adjusted_p_value", 0.0) > 1 - level:
            text += " (no clear difference)"
        told.append(f"{group}: {text}" if several else text)
    return tuple(told)


def _striking(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if "suggested" in rows[0]:
        return next((row for row in rows if row["suggested"]), None)
    known = [row for row in rows if not np.isnan(row["difference"])]
    return max(known, key=lambda row: abs(row["difference"]), default=None)


def early_notes(counts: Mapping[str, int], idle_days: int, window: int, horizon: int) -> tuple[str, ...]:
    """Who is compared over the early window, and how to read it."""
    alive = window + idle_days
    return (
        note(
            "Compared are users alive at the end of day {alive} on what was known at the end of day {window}; churned "
            "are those whose first spell ended by day {horizon}. Left out: {late} registered less than {horizon} days "
            "before the end of the log, {gone} no longer alive after day {alive}, {early} registered before the log.",
            alive=alive,
            window=window,
            horizon=horizon,
            late=counted(counts["immature"], "user"),
            gone=f"{counts['churned_before']:,}",
            early=f"{counts['life_not_observed']:,}",
        ),
        note(
            "The suggested cut is the most striking of those tried: its p-value is corrected for the search and for "
            "the number of variables and groups; its ratio is likely to be nearer to 1 in new data."
        ),
        note(
            "What users did last in the window still tells a little of how idle they were at its end, for {days} days "
            "more: without any effect, ratios may be off by about one in a hundred.",
            days=idle_days,
        ),
        note("Differences tell who churned, not what a change of behaviour would do."),
    )


def spell_notes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Why the whole spell is a description only."""
    early = counts["life_not_observed"]
    return (
        note(
            "Descriptive. Values are totals up to the last active day of the first spell: a longer spell leaves more "
            "time for everything, so churned users have less of it also where nothing has an effect. There are no "
            "p-values and no ratios; the early form gives all users the same window."
        ),
        note(
            "Retained are users who still lived at the end of the log, however late they registered. Left out: {early} "
            "registered before the log.",
            early=f"{early:,}",
        )
        if early
        else note("Retained are users who still lived at the end of the log, however late they registered."),
    )


def shared_notes(
    groups: Groups, users: ProfileUsers, variables: Sequence[Variable], rows: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Small groups, groups without a comparison, and users without a value."""
    notes: list[str] = []
    if groups.small:
        notes.append(note("Pooled as 'other', being small: {groups}.", groups=listed(groups.small, _NAMED)))
    sizes = np.bincount(groups.codes, minlength=len(groups.labels))
    churned = np.bincount(groups.codes, weights=users.churned, minlength=len(groups.labels))
    lone = [label for label, n, d in zip(groups.labels, sizes, churned, strict=True) if d in (0, n)]
    if lone:
        notes.append(note("Nothing to compare, since all or none churned: {groups}.", groups=listed(lone, _NAMED)))
    untested = sum("statistic" in row and np.isnan(row["statistic"]) for row in rows)
    if untested:
        notes.append(
            note(
                "{n} {are} shown without a comparison: fewer than 5 users are expected in one of the four cells.",
                n=untested,
                are="cut is" if untested == 1 else "cuts are",
            )
        )
    for variable in variables:
        missing = int(np.isnan(users.numbers[variable.name]).sum())
        if missing:
            notes.append(
                note(
                    "{variable}: {users} of {n} without a value left out.",
                    variable=called(variable.name),
                    users=counted(missing, "user"),
                    n=f"{len(users.churned):,}",
                )
            )
    flat = [each.name for each in variables if not any(row["variable"] == each.name for row in rows)]
    if flat:
        named = listed([called(name) for name in flat], _NAMED)
        notes.append(note("Without a cut, since all users have the same value or none: {variables}.", variables=named))
    return tuple(notes)
