"""Fitting one score tier: the cut for its objective, rounder ones, resamples, other saving curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.precision_bound import bounds_of
from churnsurv.numerics.score_search import (
    BlockCells,
    Crossings,
    Gain,
    block_totals,
    cut_bounds,
    cut_totals,
    first_days,
    plainest,
)
from churnsurv.warning.capacity_search import FACTORS
from churnsurv.warning.objectives import Capacity, Objective, Precision, Saving, Value
from churnsurv.warning.score_lines import ScoreLines
from churnsurv.warning.tier_figures import TierSums
from churnsurv.warning.tier_search import ROUNDING_COST
from churnsurv.warning.training import Training

__all__ = ["AssumedCut", "CappedCut", "CutGaps", "FittedCut", "fit_capped_cut", "fit_cut"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Cuts among which resamples choose.
_SAMPLED_CUTS = 1_000
#: Totals nearer than this share of the largest are equal; the cut with fewer alerts is taken.
_EQUAL = 1e-12


class CutGaps(Protocol):
    """Gaps with the records of what rules compare: `ScoredGaps` by a Cox fit, `GivenGaps` by a table."""

    @property
    def training(self) -> Training:
        """One row a gap, without rules, for the figures of tiers."""

    def crossings(self, variable: str, worth: Value | None = None) -> Crossings:
        """The records of a variable; of a value, as if a contact were worth this."""

    def cells(self, until: Ints) -> BlockCells:
        """The gaps of each pattern, which a higher tier takes over on day `until`."""


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
    capped : CappedCut or None
        Of a capacity.
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
    capped: CappedCut | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CappedCut:
    """How a cut does where only so many alerts a day are worked off.

    Attributes
    ----------
    sums : TierSums
    factor : float
        Times the cap that the cut alone would alert at most, on average; infinite: any number.
    alone : float
        First alerts a day of the cut without a cap, on average.
    """

    sums: TierSums
    factor: float
    alone: float


@dataclass(frozen=True, slots=True, eq=False)
class _Totals:
    """Of every cut: `merit` to be maximised, `allowed` within the limit, and for a value the benefits per curve."""

    merit: Floats
    alerts: Floats
    allowed: Flags
    assumed: list[Floats]
    amount: Floats


def fit_cut(
    gaps: CutGaps,
    objective: Objective,
    variable: str,
    until: Ints,
    samples: Floats,
    *,
    level: float,
    rounded: bool,
    least: float = -np.inf,
) -> FittedCut:
    """Fit one tier.

    Parameters
    ----------
    gaps : CutGaps
    objective : Value or Precision
    variable : str
        What is compared.
    until : (n_patterns,) int64
        Day on which a higher tier takes the gaps of a pattern over.
    samples : (n_samples, n_blocks) float64
        How often each bootstrap sample has drawn each block.
    level : float
    rounded : bool
    least : float
        No cut below it.
    """
    found, cells = gaps.crossings(variable), gaps.cells(until)
    totals = _totals(gaps.training, objective, found, cells, level)
    best = _best(totals)
    never = np.full(found.n_patterns, gaps.training.idle_days, dtype=np.int64)
    if best == 0:
        nearest = _nearest(objective, found, totals, least)
        assumed = _sensitivity(gaps, objective, variable, cells, never, least)
        return FittedCut(variable, None, None, never, assumed=assumed, nearest=nearest)
    alone = np.arange(totals.merit.size) == best
    cut = fitted = plainest(found, totals.merit, alone, best, least=least)
    if rounded:
        cut = plainest(found, totals.merit, _near_enough(totals, best), best, least=least)
    first_day = first_days(found, cut) + 1
    kept = totals.merit[np.count_nonzero(found.cuts > cut)] / totals.merit[best]
    drawn = _resampled(gaps.training, objective, found, cells, samples, best, level)
    return FittedCut(
        variable,
        cut,
        fitted,
        first_day,
        kept=float(kept),
        sample_cuts=drawn[0],
        optimism=drawn[1],
        assumed=_sensitivity(gaps, objective, variable, cells, first_day, least),
    )


def fit_capped_cut(
    gaps: CutGaps,
    lines: ScoreLines,
    objective: Capacity,
    variable: str,
    above: Sequence[tuple[str, float]],
    until: Ints,
    samples: Floats,
    *,
    lowest: bool,
    level: float,
    rounded: bool,
    least: float,
) -> FittedCut:
    """Fit a tier of a capacity: on no day more first alerts than that, the most urgent first.

    Candidates are the best cuts with so many alerts on average, some times so many, and any number, see
    `churnsurv.warning.capacity_search`; they are judged in the lines. With tiers below it is the strictest of them.

    Parameters
    ----------
    gaps, variable, until, samples, level, rounded, least
        As in `fit_cut`.
    lines : ScoreLines
    objective : Capacity
    above : sequence of (str, float)
        What the higher tiers compare, and their cuts.
    lowest : bool
        Whether no tier is below.
    """
    training, per_day = gaps.training, float(objective.per_day or 0.0)
    found, cells = gaps.crossings(variable), gaps.cells(until)
    merit, alerts = cut_totals(found, cells, [_gain(training, objective), _alerts(training)])
    candidates = _candidates(merit, alerts, per_day * training.counts.n_days, lowest=lowest)
    if not candidates:
        return FittedCut(variable, None, None, np.full(found.n_patterns, training.idle_days, dtype=np.int64))

    def judged(cut: float) -> float:
        return lines.lead(lines.called(lines.may(variable, cut, above), per_day))

    whole = np.arange(merit.size)
    cuts = [plainest(found, merit, whole == best, best, least=least) for best in candidates]
    leads = [judged(cut) for cut in cuts]
    cost = ROUNDING_COST if rounded else _EQUAL
    # the strictest of those that are good enough: its tier holds fewest of those whom the cap leaves waiting
    place = next(i for i, lead in enumerate(leads) if lead >= (1 - cost) * max(leads))
    best, factor = list(candidates.items())[place]
    cut = fitted = cuts[place]
    kept = 1.0
    if rounded:
        near = (merit >= (1 - cost) * merit[best]) & (alerts <= factor * per_day * training.counts.n_days)
        plain = plainest(found, merit, near | (whole == best), best, least=least)
        if (after := judged(plain)) >= (1 - cost) * max(leads):
            cut, kept = plain, after / leads[place] if leads[place] > 0 else 1.0
    may = lines.may(variable, cut, above)
    alone = float(lines.sums(may, lines.called(may, np.inf)).alerts.sum()) / training.counts.n_days
    limit = Capacity(per_day=min(factor * per_day, float(training.counts.n.sum())))
    return FittedCut(
        variable,
        cut,
        fitted,
        first_days(found, cut) + 1,
        kept=kept,
        sample_cuts=_resampled(training, limit, found, cells, samples, best, level)[0],
        capped=CappedCut(lines.sums(may, lines.called(may, per_day)), factor, alone),
    )


def _candidates(merit: Floats, alerts: Floats, limit: float, *, lowest: bool) -> dict[int, float]:
    """The best cut with at most the limit of alerts in all, some times as many, and any number; strict ones first."""
    found = dict[int, float]()
    for factor in (*FACTORS, np.inf):
        within = np.where((alerts > 0) & (alerts <= factor * limit), merit, -np.inf)
        if within.max() > 0:
            found.setdefault(int(within.argmax()), float(factor))
    return found if lowest else dict(list(found.items())[:1])


def _gain(training: Training, objective: Objective) -> Gain:
    """What a first alert on each day adds to what is maximised."""
    days = training.days
    if isinstance(objective, Value):
        return Gain(np.full(days.size, -float(objective.contact_cost or 0.0)), objective.worth(days))
    return Gain(np.zeros(days.size), (training.idle_days - days) / training.idle_days)


def _alerts(training: Training) -> Gain:
    return Gain(np.ones(training.days.size), np.zeros(training.days.size))


def _hits(training: Training) -> Gain:
    return Gain(np.zeros(training.days.size), np.ones(training.days.size))


def _totals(training: Training, objective: Objective, found: Crossings, cells: BlockCells, level: float) -> _Totals:
    gains, others = [_gain(training, objective), _alerts(training)], list[Value]()
    if isinstance(objective, Value) and objective.saving is not None:
        others = [_value_with(objective, curve) for _, curve in objective.saving.variants()]
    merit, alerts, *assumed = cut_totals(found, cells, [*gains, *(_gain(training, other) for other in others)])
    amount, allowed = alerts, alerts > 0
    if isinstance(objective, Precision):
        amount = cut_bounds(found, cells, level=level)
        allowed = allowed & (amount >= float(objective.target or 1.0))
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
    amount = np.where(totals.alerts > 0, totals.amount, -np.inf)
    at = int(amount.argmax())
    cut = plainest(found, amount, np.arange(amount.size) == at, at, least=least)
    return float(amount[at]), cut


# ------------------------------------------------------------------------------------------------------- resamples


def _resampled(
    training: Training,
    objective: Objective,
    found: Crossings,
    cells: BlockCells,
    samples: Floats,
    best: int,
    level: float,
) -> tuple[Floats, float]:
    """The cuts that resamples choose among about a thousand, and how optimistic the choice makes a value."""
    if not samples.size:
        return np.zeros(0), float("nan")
    n_cuts = found.cuts.size
    at = np.unique(np.append(np.linspace(0, n_cuts, min(_SAMPLED_CUTS, n_cuts + 1)).astype(np.int64), best))
    gains = [_alerts(training), _hits(training), _gain(training, objective)]
    alerts, right, merit = block_totals(found, cells, gains, at)
    drawn, fine = samples @ merit, samples @ alerts > 0
    if isinstance(objective, Precision):
        fine &= _bounds(samples, alerts, right, level) >= float(objective.target or 1.0)
    elif isinstance(objective, Capacity):
        fine &= samples @ alerts <= float(objective.per_day or 0.0) * training.counts.n_days
    drawn = np.where(fine, drawn, -np.inf)
    drawn[:, 0] = 0.0
    chosen = drawn.argmax(axis=1)
    cuts = np.where(at[chosen] > 0, found.cuts[np.maximum(at[chosen] - 1, 0)], np.nan)
    optimism = float("nan")
    if isinstance(objective, Value):
        among_all = merit.sum(axis=0)[chosen] / training.gaps.sum()
        optimism = float((drawn.max(axis=1) / (samples @ training.gaps) - among_all).mean())
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


def _value_with(objective: Value, curve: Saving) -> Value:
    return Value(saved_value=objective.saved_value, contact_cost=objective.contact_cost, saving=curve)


def _sensitivity(
    gaps: CutGaps, objective: Objective, variable: str, cells: BlockCells, first_day: Ints, least: float
) -> tuple[AssumedCut, ...]:
    """The best cut, and what the chosen one is worth, under other saving curves; the score is the same."""
    if not isinstance(objective, Value) or objective.saving is None:
        return ()
    rows, n_gaps = list[AssumedCut](), float(gaps.training.gaps.sum())
    place = first_day[cells.pattern] - 1
    reached = place < cells.silent
    place, n, hits = place[reached], cells.n[reached], (cells.n * cells.churned)[reached]
    for label, curve in (("as stated", objective.saving), *objective.saving.variants()):
        other = _value_with(objective, curve)
        found, gain = gaps.crossings(variable, other), _gain(gaps.training, other)
        merit = cut_totals(found, cells, [gain])[0]
        best = _best(_Totals(merit, merit, np.ones(merit.size, dtype=np.bool_), [], merit))
        alone = np.arange(merit.size) == best
        cut = plainest(found, merit, alone, best, least=least) if best else None
        mine = float((n * gain.alert[place] + hits * gain.churned[place]).sum())
        rows.append(AssumedCut(label, cut, float(merit[best]) / n_gaps, mine / n_gaps))
    return tuple(rows)
