"""How likely the users in warning tiers churn, with limits, and what speaks for it most.

Of rules: shares of past gaps. A cell is a combination of the pieces into which the thresholds of the rules cut their
variables (without a value is a piece of its own), so that two users in one cell are the same to every rule. P(churn |
idle d, cell) is the share that ended in churn of the mature gaps that were silent on idle day d and in the cell on that
day, drawn to the share of all cells as if `PRIOR` more gaps had it; see `numerics.drawn_shares` for the limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.alert_states import some_users
from churnsurv.data.feature import Feature
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.notes import note
from churnsurv.numerics.drawn_shares import drawn_shares
from churnsurv.numerics.ratio_by_blocks import logit_limits, ratio_by_blocks
from churnsurv.tables.said import said_list, said_variable
from churnsurv.warning.backtest_material import cuts_of
from churnsurv.warning.patterns import PRIOR
from churnsurv.warning.rules import IDLE_DAYS
from churnsurv.warning.scores import GapScore

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.warning.scheme import TierScheme

__all__ = ["Chances", "Weights", "chances_by_gaps", "chances_by_score", "piece_of", "unknown"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Beyond so many users the gaps of so many are taken, drawn by their ids.
_USERS = 100_000
_ROWS = 1 << 16
#: Blocks of users, and fewer of them for rules that cut into more cells than so many.
_BLOCKS, _CELLS, _FEWEST_BLOCKS = 1_000, 200, 100
#: Fewer blocks with a gap say too little of how much users differ.
_FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What weighs most for n users: `weighs` (n,) object, None where nothing is known; `weight` (n,) float64."""

    weighs: NDArray[np.object_]
    weight: Floats

    def known(self, rows: Flags) -> Weights:
        """The same, of these users alone."""
        weighs = self.weighs.copy()
        weighs[~rows] = None
        return Weights(weighs, np.where(rows, self.weight, np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """P(churn) of n users.

    Attributes
    ----------
    risk, lower, upper : (n,) float64
        NaN where it is not known.
    weights : Weights
    notes : tuple of str
    """

    risk: Floats
    lower: Floats
    upper: Floats
    weights: Weights
    notes: tuple[str, ...]

    def spread(self, rows: Ints, n: int) -> Chances:
        """The same as `rows` among n users, of the others of whom nothing is known."""
        found = unknown(n)
        for whole, part in (
            (found.risk, self.risk),
            (found.lower, self.lower),
            (found.upper, self.upper),
            (found.weights.weight, self.weights.weight),
        ):
            whole[rows] = part
        found.weights.weighs[rows] = self.weights.weighs
        return Chances(found.risk, found.lower, found.upper, found.weights, self.notes)

    def at(self, rows: Ints) -> Chances:
        """The same of some of the users."""
        weights = Weights(self.weights.weighs[rows], self.weights.weight[rows])
        return Chances(self.risk[rows], self.lower[rows], self.upper[rows], weights, self.notes)


def unknown(n: int, *notes: str) -> Chances:
    """Nothing is known of n users."""
    none = np.full(n, np.nan)
    return Chances(none, none.copy(), none.copy(), Weights(np.full(n, None, dtype=object), none.copy()), notes)


# --------------------------------------------------------------------------------------------------------- by past gaps


def chances_by_gaps(
    log: ActivityLog, scheme: TierScheme, idle: Ints, values: Mapping[str, Floats], *, level: float
) -> Chances:
    """P(churn) of silent users by the gaps that are mature at the end of the log.

    Parameters
    ----------
    log : ActivityLog
        That ends on the day.
    scheme : TierScheme
        Whose tiers are rules.
    idle : (n,) int64
        Idle days, below those of churn.
    values : Mapping of str to (n,) float64
        What the rules compare; NaN where it is missing, whatever stands in for that.
    level : float
    """
    if (log.observed_until - log.observed_from).days < log.rule.idle_days:
        return unknown(
            idle.size,
            note(
                "The risk is not known: no gap has been followed for {days} days by {last}.",
                days=log.rule.idle_days,
                last=log.observed_until,
            ),
        )
    grids = cuts_of([tier.rule for tier in scheme.tiers], {})
    own = [each for each in scheme.variables if isinstance(each, Feature)]
    n_cells = math.prod(len(cuts) + 2 for cuts in grids.values())
    with some_users(log, _USERS) as fewer:
        blocks = max(_BLOCKS // max(n_cells // _CELLS, 1), _FEWEST_BLOCKS)
        counts = gap_counts(fewer, grids=grids, features=own, paths=True, blocks=blocks)
    if not counts.n.sum():
        return unknown(
            idle.size,
            note(
                "The risk is not known: no gap that began by {start} has been followed for {days} days by {last}.",
                start=counts.last_start,
                days=log.rule.idle_days,
                last=log.observed_until,
            ),
        )
    cells, pieces = _Cells.of(counts), {name: piece_of(values[name], cuts) for name, cuts in counts.grids.items()}
    mine = cells.code(pieces, idle.size)
    sums = sums_by_block(counts, cells)
    found = _shares(*sums, level)
    known = mine >= 0
    place = np.where(known, mine, 0), idle
    # a cell that no gap was ever in has the share of all, as sure as those thought to be in it
    risk, lower, upper = (
        np.where(known, each[place], other[idle]) for each, other in zip(found.by_cell, found.nobody, strict=True)
    )
    weights = _weights(cells, sums, pieces, idle).known(~np.isnan(risk))
    return Chances(risk, lower, upper, weights, tuple(_notes(log, counts, risk)))


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The cells of gaps by day.

    `staying` (n_rows,): the cell of each row of the counts, -1 for those that move; `moving` (n_moving, idle_days) are
    theirs by day, `rows` (n_moving,) where they stand. `codes`: the combination that each cell is, sorted.
    """

    counts: GapCounts
    codes: Ints
    staying: Ints
    rows: Ints
    moving: Ints

    @classmethod
    def of(cls, counts: GapCounts) -> _Cells:
        """Number the cells that occur."""
        first = _combined(counts, counts.cells) + np.zeros(counts.n.size, dtype=np.int64)
        rows = np.flatnonzero(counts.path >= 0)
        along = _combined(counts, {name: way[counts.path[rows]] for name, way in counts.paths.items()})
        moving = along if rows.size else np.zeros((0, counts.idle_days), dtype=np.int64)
        codes = np.unique(np.concatenate([first, moving.ravel()]))
        staying = np.searchsorted(codes, first)
        staying[rows] = -1
        return cls(counts, codes, staying, rows, np.searchsorted(codes, moving))

    @property
    def n(self) -> int:
        """How many cells there are."""
        return int(self.codes.size)

    def code(self, pieces: Mapping[str, Ints], n: int) -> Ints:
        """The cells of n users by the pieces that their values lie in; -1 where no gap was in it."""
        wanted = _combined(self.counts, pieces) + np.zeros(n, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.codes, wanted), self.n - 1)
        return np.asarray(np.where(self.codes[place] == wanted, place, -1), dtype=np.int64)

    def pieces(self, name: str) -> Ints:
        """The piece of one variable that each cell lies in."""
        radix, size = _radices(self.counts)[name], len(self.counts.grids[name]) + 2
        return np.asarray(self.codes // radix % size)


def piece_of(values: Floats, cuts: tuple[float, ...]) -> Ints:
    """How many cuts a value has reached; one more than there are for a missing one.

    Examples
    --------
    >>> piece_of(np.array([0.0, 1.0, 5.0, np.nan]), (1.0, 2.0)).tolist()
    [0, 1, 2, 3]
    """
    reached = np.searchsorted(np.asarray(cuts, dtype=np.float64), values, side="right")
    return np.asarray(np.where(np.isnan(values), len(cuts) + 1, reached), dtype=np.int64)


def _radices(counts: GapCounts) -> dict[str, int]:
    found, radix = {}, 1
    for name, cuts in counts.grids.items():
        found[name] = radix
        radix *= len(cuts) + 2
    return found


def _combined(counts: GapCounts, pieces: Mapping[str, Ints]) -> Ints:
    """The pieces of all variables as one number."""
    radices = _radices(counts)
    return np.asarray(sum(radices[name] * pieces[name] for name in radices), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """P(churn) with its limits.

    `by_cell`, each (n_cells, idle_days); `nobody`, of a cell without gaps, each (idle_days,); `overall`, of all cells.
    """

    by_cell: tuple[Floats, Floats, Floats]
    nobody: tuple[Floats, Floats, Floats]
    overall: Floats


def _shares(silent: Floats, churned: Floats, level: float) -> _Shares:
    whole = ratio_by_blocks(churned.sum(axis=1), silent.sum(axis=1))
    prior = 0 if silent.shape[1] == 1 else int(PRIOR)
    found = list[tuple[Floats, Floats, Floats]]()
    for lost, there in ((churned, silent), (np.zeros_like(silent[:1, 0]), np.zeros_like(silent[:1, 0]))):
        drawn = drawn_shares(lost, there, whole.estimate, prior=prior)
        # few users say too little of how much users differ, whatever is thought to be there besides
        lower, upper = (np.where(whole.n_blocks >= _FEWEST, each, np.nan) for each in logit_limits(drawn, level=level))
        found.append((drawn.estimate, lower, upper))
    return _Shares(found[0], found[1], np.asarray(whole.estimate))


def sums_by_block(counts: GapCounts, cells: _Cells) -> tuple[Floats, Floats]:
    """Gaps that are silent on idle days 0, 1, ... by block and cell of that day, and those of them that end in churn.

    Returns
    -------
    two arrays (n_blocks, n_cells, idle_days) float64
    """
    idle, shape = counts.idle_days, (counts.n_blocks, cells.n, counts.idle_days + 2)
    stays = np.flatnonzero(cells.staying >= 0)
    place = np.ravel_multi_index((counts.block[stays], cells.staying[stays], counts.duration[stays]), shape)
    ended = np.bincount(place, counts.n[stays], math.prod(shape)).astype(np.float64).reshape(shape)
    silent: Floats = np.ascontiguousarray(np.cumsum(ended[..., :0:-1], axis=-1)[..., idle:0:-1], dtype=np.float64)
    churned: Floats = np.repeat(ended[..., -1:], idle, axis=-1)
    n, duration, block = (each[cells.rows] for each in (counts.n, counts.duration, counts.block))
    for day in range(idle if cells.rows.size else 0):
        here = np.flatnonzero(duration > day)
        place = block[here] * cells.n + cells.moving[here, day]
        for sums, rows in ((silent, n[here]), (churned, np.where(duration[here] > idle, n[here], 0))):
            sums[..., day] += np.bincount(place, rows, shape[0] * shape[1]).reshape(shape[:2])
    return silent, churned


# ------------------------------------------------------------------------------------------------- what weighs, of gaps


def _weights(cells: _Cells, sums: tuple[Floats, Floats], pieces: Mapping[str, Ints], idle: Ints) -> Weights:
    """Differences of log odds: of idle days against idle day 0, of each variable against all on the same idle day."""
    silent, churned = (each.sum(axis=0) for each in sums)
    # half a gap on either side keeps shares from 0 and 1, whose log odds are infinite
    overall = (churned.sum(axis=0) + 0.5) / (silent.sum(axis=0) + 1.0)
    found = {IDLE_DAYS: (_logit(overall) - _logit(overall[:1]))[idle]}
    for name, piece in pieces.items():
        mine = [np.zeros((len(cells.counts.grids[name]) + 2, silent.shape[1])) for _ in range(2)]
        for total, part in zip(mine, (silent, churned), strict=True):
            np.add.at(total, cells.pieces(name), part)
        share = (mine[1] + PRIOR * overall) / (mine[0] + PRIOR)
        found[name] = _logit(share[piece, idle]) - _logit(overall[idle])
    return heaviest(found)


def _logit(share: Floats) -> Floats:
    return np.asarray(np.log(share) - np.log1p(-share))


def heaviest(weights: Mapping[str, Floats]) -> Weights:
    """The largest of several weights for each user, the first of equal ones."""
    names, stacked = np.array(list(weights), dtype=object), np.column_stack(list(weights.values()))
    first = stacked.argmax(axis=1)
    return Weights(names[first], stacked[np.arange(first.size), first])


def _notes(log: ActivityLog, counts: GapCounts, risk: Floats) -> list[str]:
    n, churned = int(counts.n.sum()), int(counts.n[counts.duration > counts.idle_days].sum())
    gaps = note("the {n} gaps", n=f"{n:,}")
    if log._reading.n_users > counts.n_users:
        gaps = note(
            "the {n} gaps of {some} users, drawn by their ids from {all}",
            n=f"{n:,}",
            some=f"{counts.n_users:,}",
            all=f"{log._reading.n_users:,}",
        )
    looked = note("nothing else")
    if counts.grids:
        looked = note(
            "{names}, drawn to that of all of them as if {n} more had it",
            names=said_list(map(said_variable, counts.grids)),
            n=f"{PRIOR:g}",
        )
    notes: list[str] = [
        note(
            "The risk is the share that ended in churn of {gaps} that began from {first} to {last} and were silent for "
            "as long, by idle day and the pieces into which the rules cut {looked}. Limits take users as independent.",
            gaps=gaps,
            first=counts.first_start,
            last=counts.last_start,
            looked=looked,
        )
    ]
    if not churned and not np.isnan(risk).all():
        notes.append(note("No gap had ended in churn by then: the risk is 0, without limits."))
    if np.isnan(risk).any():
        notes.append(note("No gap was ever silent for as long as some of these users: their risk is not known."))
    return notes


# ----------------------------------------------------------------------------------------------------------- by a score


def chances_by_score(scheme: TierScheme, score: GapScore, table: pd.DataFrame, idle: Ints, *, level: float) -> Chances:
    """P(churn) of silent users by the fit of the score.

    Parameters
    ----------
    scheme : TierScheme
    score : GapScore
    table : DataFrame
        With the columns of the formula; n rows.
    idle : (n,) int64
        Idle days, below those of churn.
    level : float
    """
    filled = scheme.filled(table).reset_index(drop=True)
    linear = score.risk(filled)
    risk = score.chance(linear, idle.astype(np.float64))
    known = ~np.isnan(linear)
    lower, upper = np.full(idle.size, np.nan), np.full(idle.size, np.nan)
    for day in np.unique(idle[known]).tolist():
        rows = np.flatnonzero(known & (idle == day))
        back = score.fit.churn_probability(
            filled.iloc[rows], horizon=score.idle_days - day, alive_at=day, level=level
        )  # of this fit the event is the return
        if back.lower is not None and back.upper is not None:
            lower[rows], upper[rows] = 1 - back.upper, 1 - back.lower
    ahead = np.where(score.ahead > 0, score.ahead, np.nan)  # nobody returns on these days, whoever it is
    silence = np.log(ahead[0]) - np.log(ahead[idle])
    weighs, weight = np.full(idle.size, None, dtype=object), np.full(idle.size, np.nan)
    rows = np.flatnonzero(known)
    for part in (rows[first : first + _ROWS] for first in range(0, rows.size, _ROWS)):
        terms = -score.contributions(filled.iloc[part])
        found = heaviest({str(name): terms[name].to_numpy(dtype=np.float64) for name in terms})
        none = found.weight <= 0
        weighs[part] = np.where(none, IDLE_DAYS, found.weighs)
        weight[part] = np.where(none, silence[part], found.weight)
    told = note(
        "The risk is the chance to churn of the score, fitted to gaps that began from {first} to {last}. Limits are of "
        "the fit, its coefficients clustered by user.",
        first=scheme.window[0],
        last=scheme.window[1],
    )
    return Chances(risk, lower, upper, Weights(weighs, weight), (told,))
