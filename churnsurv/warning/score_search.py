"""Fitting one score tier: the cut for its objective, rounder ones, resamples, other saving curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.precision_bound import bounds_of
from churnsurv.numerics.score_search import (
    BlockCells,
    Crossings,
    block_totals,
    crossings,
    cut_bounds,
    first_above,
    plainest,
    sweep,
)
from churnsurv.warning.objectives import Capacity, Objective, Precision, Value
from churnsurv.warning.score_training import ScoredGaps
from churnsurv.warning.scores import CHANCE, GapScore
from churnsurv.warning.tier_search import ROUNDING_COST

__all__ = ["AssumedCut", "FittedCut", "fit_cut"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Cuts among which resamples choose.
_SAMPLED_CUTS = 1_000
#: Totals nearer than this share of the largest are equal; the cut with fewer alerts is taken.
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class AssumedCut:
    """The best cut under another saving curve, and what the chosen one is worth under it; benefits per gap.

    `cut` is None where contacting nobody is best.
    """

    saving: str
    cut: float | None
    value: float
    chosen: float


@dataclass(frozen=True, slots=True, eq=False)
class FittedCut:
    """What fitting one tier has found.

    Attributes
    ----------
    variable : str
        What is compared.
    cut, fitted : float or None
        After and before rounding; None: nobody is contacted.
    first_day : (n_patterns,) int64
        Idle day of the first alert; idle_days for never.
    kept : float
        Share of the benefit that is left after rounding.
    sample_cuts : (n_samples,) float64
        What resamples of users choose, the score as it is; NaN for nobody.
    optimism : float
        Mean excess of a sample's best benefit, in the sample, over its benefit among all gaps; per gap; for a value.
    assumed : tuple of AssumedCut
    nearest : (float, float), or None
        Where no cut keeps the limit: the nearest limit that one keeps, and that cut.
    """

    variable: str
    cut: float | None
    fitted: float | None
    first_day: Ints
    kept: float = 1.0
    sample_cuts: Floats | None = None
    optimism: float = float("nan")
    assumed: tuple[AssumedCut, ...] = ()
    nearest: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Totals:
    """Of every cut: `merit` to be maximised, `allowed` within the limit, and for a value the benefits per curve."""

    merit: Floats
    alerts: Floats
    allowed: Flags
    assumed: list[Floats]
    amount: Floats


def fit_cut(
    gaps: ScoredGaps,
    score: GapScore,
    objective: Objective,
    variable: str,
    until: Ints,
    samples: Floats,
    *,
    level: float,
    rounded: bool,
) -> FittedCut:
    """Fit one tier.

    Parameters
    ----------
    gaps : ScoredGaps
    score : GapScore
    objective : Value, Precision or Capacity
    variable : str
        What is compared: a name of `score.names`.
    until : (n_patterns,) int64
        Day on which a higher tier takes the gaps of a pattern over.
    samples : (n_samples, n_blocks) float64
        How often each bootstrap sample has drawn each block.
    level : float
    rounded : bool
    """
    scores = gaps.compared(score)[variable]
    found, cells = crossings(scores), gaps.cells(until)
    gain = _gain(gaps, objective)
    totals = _totals(gaps, objective, found, cells, gain, level)
    best = _best(totals)
    least = 0.0 if variable == CHANCE else -np.inf
    never = np.full(scores.shape[0], gaps.training.idle_days, dtype=np.int64)
    if best == 0:
        nearest = _nearest(objective, found, totals, least)
        assumed = _sensitivity(gaps, score, objective, cells, never, least)
        return FittedCut(variable, None, None, never, assumed=assumed, nearest=nearest)
    alone = np.arange(totals.merit.size) == best
    cut = fitted = plainest(found, totals.merit, alone, best, least=least)
    if rounded:
        cut = plainest(found, totals.merit, _near_enough(totals, best), best, least=least)
    first_day = first_above(scores, cut) + 1
    kept = totals.merit[np.count_nonzero(found.cuts > cut)] / totals.merit[best]
    drawn = _resampled(gaps, objective, found, cells, gain, samples, best, level)
    return FittedCut(
        variable,
        cut,
        fitted,
        first_day,
        kept=float(kept),
        sample_cuts=drawn[0],
        optimism=drawn[1],
        assumed=_sensitivity(gaps, score, objective, cells, first_day, least),
    )


def _gain(gaps: ScoredGaps, objective: Objective) -> Callable[[BlockCells], Floats]:
    """What a first alert on each day adds to what is maximised."""
    training = gaps.training
    if isinstance(objective, Value):
        worth, cost = objective.worth(training.days), float(objective.contact_cost or 0.0)
        return lambda cells: np.asarray(worth * cells.churned - cost * cells.alerts)
    lead = (training.idle_days - training.days) / training.idle_days
    return lambda cells: np.asarray(lead * cells.churned)


def _swept(found: Crossings, cells: BlockCells, values: Floats) -> Floats:
    n_patterns = found.starts.size - 1
    by_pattern = [np.bincount(cells.pattern, day, n_patterns) for day in values.T]
    return sweep(found, np.column_stack(by_pattern).astype(np.float64))


def _totals(
    gaps: ScoredGaps,
    objective: Objective,
    found: Crossings,
    cells: BlockCells,
    gain: Callable[[BlockCells], Floats],
    level: float,
) -> _Totals:
    merit, alerts = _swept(found, cells, gain(cells)), _swept(found, cells, cells.alerts)
    amount, allowed, assumed = alerts, alerts > 0, list[Floats]()
    if isinstance(objective, Precision):
        amount = cut_bounds(found, cells, level=level)
        allowed = allowed & (amount >= float(objective.target or 1.0))
    elif isinstance(objective, Capacity):
        allowed = allowed & (alerts <= float(objective.per_day or 0.0) * gaps.training.counts.n_days)
    elif objective.saving is not None:
        others = [_value_with(objective, curve) for _, curve in objective.saving.variants()]
        assumed = [_swept(found, cells, _gain(gaps, other)(cells)) for other in others]
    return _Totals(merit, alerts, allowed, assumed, amount)


def _best(totals: _Totals) -> int:
    """The best allowed cut; 0, nobody, where none is worth anything."""
    merit = np.where(totals.allowed, totals.merit, -np.inf)
    merit[0] = 0.0
    most = float(merit.max())
    return int(np.argmax(merit >= most - _EQUAL * max(abs(most), 1.0)))


def _near_enough(totals: _Totals, best: int) -> Flags:
    """Cuts that cost less than a hundredth of the merit of the best, under the other saving curves too."""
    least = ROUNDING_COST * totals.merit[best]
    fine = totals.allowed & (totals.merit >= totals.merit[best] - least)
    for each in totals.assumed:
        fine &= each >= each[best] - least
    return np.asarray(fine)


def _nearest(objective: Objective, found: Crossings, totals: _Totals, least: float) -> tuple[float, float] | None:
    """The nearest limit that some cut keeps, and the cut."""
    if isinstance(objective, Value) or not (totals.alerts > 0).any():
        return None
    best = isinstance(objective, Precision)
    amount = np.where(totals.alerts > 0, totals.amount if best else -totals.amount, -np.inf)
    at = int(amount.argmax())
    cut = plainest(found, amount, np.arange(amount.size) == at, at, least=least)
    return abs(float(amount[at])), cut


# ------------------------------------------------------------------------------------------------------- resamples


def _resampled(
    gaps: ScoredGaps,
    objective: Objective,
    found: Crossings,
    cells: BlockCells,
    gain: Callable[[BlockCells], Floats],
    samples: Floats,
    best: int,
    level: float,
) -> tuple[Floats, float]:
    """The cuts that resamples choose among about a thousand, and how optimistic the choice makes a value."""
    if not samples.size:
        return np.zeros(0), float("nan")
    n_cuts = found.cuts.size
    at = np.unique(np.append(np.linspace(0, n_cuts, min(_SAMPLED_CUTS, n_cuts + 1)).astype(np.int64), best))
    alerts, right, merit = block_totals(found, cells, [cells.alerts, cells.churned, gain(cells)], at)
    drawn, fine = samples @ merit, samples @ alerts > 0
    if isinstance(objective, Precision):
        fine &= _bounds(samples, alerts, right, level) >= float(objective.target or 1.0)
    elif isinstance(objective, Capacity):
        fine &= samples @ alerts <= float(objective.per_day or 0.0) * gaps.training.counts.n_days
    drawn = np.where(fine, drawn, -np.inf)
    drawn[:, 0] = 0.0
    chosen = drawn.argmax(axis=1)
    cuts = np.where(at[chosen] > 0, found.cuts[np.maximum(at[chosen] - 1, 0)], np.nan)
    optimism = float("nan")
    if isinstance(objective, Value):
        among_all = merit.sum(axis=0)[chosen] / gaps.training.gaps.sum()
        optimism = float((drawn.max(axis=1) / (samples @ gaps.training.gaps) - among_all).mean())
    return cuts, optimism


def _bounds(samples: Floats, alerts: Floats, right: Floats, level: float) -> Floats:
    """Lower bounds of precision in resamples; shape (n_samples, n_at)."""
    n, hits = samples @ alerts, samples @ right
    n_blocks = samples @ (alerts > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(n > 0, hits / n, 0.0)
        spread = samples @ right**2 - 2 * share * (samples @ (alerts * right)) + share**2 * (samples @ alerts**2)
        error = np.where(n_blocks > 1, np.sqrt(n_blocks / (n_blocks - 1) * np.maximum(spread, 0.0)) / n, np.nan)
    return bounds_of(share, n, error, n_blocks, level=level)


# ----------------------------------------------------------------------------------------------------- sensitivity


def _value_with(objective: Value, curve: object) -> Value:
    return Value(saved_value=objective.saved_value, contact_cost=objective.contact_cost, saving=curve)  # type: ignore[arg-type]


def _sensitivity(
    gaps: ScoredGaps, score: GapScore, objective: Objective, cells: BlockCells, first_day: Ints, least: float
) -> tuple[AssumedCut, ...]:
    """The best cut, and what the chosen one is worth, under other saving curves; the score is the same."""
    if not isinstance(objective, Value) or objective.saving is None:
        return ()
    days, rows = gaps.training.days, []
    n_gaps = float(gaps.training.gaps.sum())
    alerted = first_day[cells.pattern] <= days.size
    place = np.minimum(first_day[cells.pattern], days.size) - 1
    for label, curve in (("as stated", objective.saving), *objective.saving.variants()):
        other = _value_with(objective, curve)
        found = crossings(gaps.compared(score, {label: other})[label])
        gain = _gain(gaps, other)(cells)
        merit = _swept(found, cells, gain)
        best = _best(_Totals(merit, merit, np.ones(merit.size, dtype=np.bool_), [], merit))
        alone = np.arange(merit.size) == best
        cut = plainest(found, merit, alone, best, least=least) if best else None
        mine = float(gain[np.arange(place.size), place][alerted].sum())
        rows.append(AssumedCut(label, cut, float(merit[best]) / n_gaps, mine / n_gaps))
    return tuple(rows)
