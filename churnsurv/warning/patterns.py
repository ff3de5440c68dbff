"""Gaps by the path that their state takes over the idle days: where nothing moves in silence it stays in one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.first_alert_gains import shrunken_shares
from churnsurv.numerics.held import held_on
from churnsurv.warning.hysteresis import entered_tiers, stays_in
from churnsurv.warning.rules import IDLE_DAYS, Rule

if TYPE_CHECKING:
    from churnsurv.data.gap_counts import GapCounts

__all__ = ["PRIOR", "Patterns", "patterns_of", "shares_by_day", "tiers_by_day"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

#: More gaps that a cell is thought to have, like all gaps: its share of churn is drawn to theirs by so many.
PRIOR = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The paths that occur.

    Attributes
    ----------
    states : Mapping of str to (n_cells,) float64
        Of each combination of cells a number, the same for every rule as any other in it; NaN where a variable is
        missing.
    cell : (n_patterns, idle_days) int64
        The combination on each idle day.
    rows : tuple of (n_rows,) int64
        The pattern of each row of each of the counts.
    ranked : (n_cells,) int64, or None
        The combination by fewer cuts, those by which users are ranked; None where that is the cell itself.
    """

    states: Mapping[str, Floats]
    cell: Ints
    rows: tuple[Ints, ...]
    ranked: Ints | None = None

    @property
    def n_cells(self) -> int:
        """How many combinations there are."""
        return int(self.cell.max(initial=0)) + 1

    def by_day(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """From values by cell and day, (n_cells, idle_days), those of each pattern: (n_patterns, idle_days)."""
        return np.asarray(values[self.cell, np.arange(self.cell.shape[1])])


def patterns_of(
    counts: Sequence[GapCounts],
    missing: Mapping[str, float],
    *,
    ranked_by: Mapping[str, Sequence[float]] | None = None,
) -> Patterns:
    """The patterns of several counts over the same grids.

    Parameters
    ----------
    counts : sequence of GapCounts
    missing : Mapping of str to float
        What stands in where a variable is missing.
    ranked_by : Mapping of str to sequence of float, optional
        Of each variable the cuts by which users are ranked, among those of its grid; by default all.
    """
    grids, idle = counts[0].grids, counts[0].idle_days
    if not grids:
        rows = tuple(np.zeros(each.n.size, dtype=np.int64) for each in counts)
        return Patterns({}, np.zeros((1, idle), dtype=np.int64), rows)
    distinct, row = _distinct(counts)
    by_day = np.repeat(distinct[:, None, :-1], idle, axis=1)
    moves, before = distinct[:, -1] >= 0, 0
    for each in counts:
        mine = moves & (distinct[:, -1] >= before) & (distinct[:, -1] < before + _n_paths(each))
        for place, name in enumerate(grids):
            by_day[mine, :, place] = each.paths[name][distinct[mine, -1] - before]
        before += _n_paths(each)
    combined, cell = np.unique(by_day.reshape(-1, len(grids)), axis=0, return_inverse=True)
    states = {}
    for place, (name, cuts) in enumerate(grids.items()):
        numbers = np.array([-np.inf, *cuts, missing.get(name, np.nan)])
        states[name] = numbers[combined[:, place]]
    paths, pattern = np.unique(cell.reshape(-1, idle), axis=0, return_inverse=True)
    ends = np.cumsum([each.n.size for each in counts])[:-1]
    return Patterns(
        states,
        paths.astype(np.int64),
        tuple(np.split(pattern.ravel().astype(np.int64)[row], ends)),
        None if ranked_by is None else _ranked(combined, grids, ranked_by),
    )


def _ranked(combined: Ints, grids: Mapping[str, Sequence[float]], ranked_by: Mapping[str, Sequence[float]]) -> Ints:
    """The combination of each cell by some of the cuts; missing values stay apart."""
    fewer = np.empty_like(combined)
    for place, (name, cuts) in enumerate(grids.items()):
        kept = np.cumsum(np.isin(cuts, ranked_by[name]))
        fewer[:, place] = np.concatenate([[0], kept, [kept[-1] + 1]])[combined[:, place]]
    return np.asarray(np.unique(fewer, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _distinct(counts: Sequence[GapCounts]) -> tuple[Ints, Ints]:
    """What occurs: cells on the first day and number of the path, -1 for none; and where each row has it."""
    stacked, before = [], 0
    for each in counts:
        path = np.where(each.path >= 0, each.path + before, -1)
        stacked.append(np.column_stack([*(each.cells[name] for name in each.grids), path]))
        before += _n_paths(each)
    distinct, row = np.unique(np.concatenate(stacked), axis=0, return_inverse=True)
    return distinct.astype(np.int64), row.ravel().astype(np.int64)


def _n_paths(counts: GapCounts) -> int:
    return max((len(each) for each in counts.paths.values()), default=0)


def tiers_by_day(rules: Sequence[Rule], patterns: Patterns, wider: Sequence[Rule] = ()) -> Ints:
    """Place of the highest rule that holds on each idle day, as many as there are rules for none: highest first.

    Parameters
    ----------
    rules : sequence of Rule
    patterns : Patterns
    wider : sequence of Rule, optional
        Rules by which who is in a tier stays in it, see `churnsurv.warning.hysteresis`; their thresholds are among the
        cuts. By default a tier has no memory.

    Returns
    -------
    (n_patterns, idle_days) int64
    """
    n_cells, idle = patterns.n_cells, patterns.cell.shape[1]
    tier = np.full((n_cells, idle), len(rules), dtype=np.int64)
    for day in range(idle):
        tier[:, day] = entered_tiers(rules, _states_on(patterns, day))
    found = np.asarray(patterns.by_day(tier), dtype=np.int64)
    for day in range(1, idle if wider else 0):
        stays = stays_in(wider, _states_on(patterns, day))[:, patterns.cell[:, day]]
        found[:, day] = held_on(found[:, day - 1], found[:, day], stays)
    return found


def _states_on(patterns: Patterns, day: int) -> dict[str, Floats]:
    return {**patterns.states, IDLE_DAYS: np.full(patterns.n_cells, float(day))}


def shares_by_day(patterns: Patterns, silent: Floats, churned: Floats) -> Floats:
    """P(churn | cell, idle for d days), each day among the gaps in the cell of that day; (n_patterns, idle_days).

    Parameters
    ----------
    patterns : Patterns
    silent : (n_patterns, idle_days) float64
        Gaps still silent on each idle day.
    churned : (n_patterns,) float64
        Those that end in churn.
    """
    idle = silent.shape[1]
    cell = patterns.cell if patterns.ranked is None else patterns.ranked[patterns.cell]
    place = (cell * idle + np.arange(idle)).ravel()
    lost = np.broadcast_to(churned[:, None], silent.shape)
    counted = [np.bincount(place, each.ravel(), patterns.n_cells * idle).reshape(-1, idle) for each in (silent, lost)]
    return shrunken_shares(*counted, prior=PRIOR)[cell, np.arange(idle)]
