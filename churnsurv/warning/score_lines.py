"""The lines in which the gaps of a training log would have waited for a contact, with what a score says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature
from churnsurv.data.score_days import score_days
from churnsurv.warning.backtest_judge import Chances, Gaps
from churnsurv.warning.backtest_material import lead_share
from churnsurv.warning.capped import lines_of
from churnsurv.warning.given_score import SCORE
from churnsurv.warning.scores import CHANCE, GapScore
from churnsurv.warning.tier_figures import TierSums
from churnsurv.warning.training import Training

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["ScoreLines", "lines_by_fit", "lines_by_table"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreLines:
    """Training gaps, and with them in line those that are too young to be judged.

    Attributes
    ----------
    gaps : Gaps
        Those of the training, in its order, with their lines.
    compared : Mapping of str to (n_patterns, idle_days) float64
        What rules compare, by idle day; NaN where nothing is known.
    urgency : (n_patterns, idle_days) float64
    """

    gaps: Gaps
    compared: Mapping[str, Floats]
    urgency: Floats

    def may(self, variable: str, cut: float, above: Sequence[tuple[str, float]]) -> Flags:
        """Where a score is above a cut and no higher tier, another variable and cut, has taken the gap over."""
        taken = np.zeros(self.urgency.shape, dtype=np.bool_)
        for name, other in above:
            taken |= self.compared[name] > other
        taken[:, 0] = False
        found = (self.compared[variable] > cut) & ~np.logical_or.accumulate(taken, axis=1)
        found[:, 0] = False
        return np.asarray(found)

    def called(self, may: Flags, per_day: float) -> Chances:
        """Chance of a first alert on each idle day."""
        lines, group = self.gaps.lines, self.gaps.group
        if lines is None or group is None:
            raise TypeError("gaps that wait are counted by day; these are not")
        return Chances(lines.alerts(may, self.urgency, per_day), group)

    def lead(self, called: Chances) -> float:
        """Share of idle_days that alerts leave before churn, added up over the gaps that end in it."""
        return float((self.gaps.n * self.gaps.churned * called.weighted(lead_share(self.gaps.idle_days))).sum())

    def sums(self, may: Flags, called: Chances) -> TierSums:
        """What the alerts come to, by block of users."""
        found = self.gaps.sums(called, self.gaps.by_pattern(may), None)
        return TierSums(*(getattr(found, each) for each in TierSums.__slots__))


def lines_by_fit(
    log: ActivityLog,
    score: GapScore,
    training: Training,
    variables: Sequence[str | Feature],
    missing: Mapping[str, float],
) -> ScoreLines:
    """Score all gaps of a log by a fit of return.

    Young gaps without a number, or with a category or a value outside a spline that the fit has not seen, stand in no
    line.

    Parameters
    ----------
    log : ActivityLog
        That of the training.
    score : GapScore
    training : Training
    variables : sequence of str or Feature
    missing : Mapping of str to float
    """
    features = [each for each in variables if isinstance(each, Feature) or each in BUILT_IN or each in SPECIAL]
    table = log.gaps(features=features).table
    table = table.fillna({name: value for name, value in missing.items() if name in table})
    start = table["start_date"].to_numpy().astype("datetime64[D]")
    last = np.datetime64(training.counts.last_start)
    known = np.ones(len(table), dtype=np.bool_)
    for name in score.variables:
        if name not in score.numbers:
            known &= table[name].isin(table.loc[start <= last, name].unique()).to_numpy()
    table, start = table[known].reset_index(drop=True), start[known]
    risk = score.risk(table)
    there = ~np.isnan(risk)
    levels, pattern = np.unique(risk[there], return_inverse=True)
    idle = log.rule.idle_days
    returned = (table["returned"] & (table["duration"] <= idle)).to_numpy(dtype=np.bool_)
    length = np.where(returned, table["duration"].to_numpy(dtype=np.int64), idle + 1)
    compared = score.by_day(levels)
    return ScoreLines(
        _gaps(
            training, start[there].astype(np.int64), pattern.reshape(-1).astype(np.int64), length[there], levels.size
        ),
        compared,
        compared[CHANCE] * lead_share(idle),
    )


def lines_by_table(log: ActivityLog, table: object, training: Training) -> ScoreLines:
    """Look the score of all gaps of a log up on each idle day; the score is the urgency.

    Parameters
    ----------
    log : ActivityLog
        That of the training.
    table : table
        `user_id, date, score`.
    training : Training
    """
    found = score_days(log, table, rises=False, starts="all")
    n, idle = found.duration.size, log.rule.idle_days
    by_day = np.full((n, idle), np.nan)
    by_day[found.gap, found.day] = found.score
    for day in range(2, idle):
        none = np.isnan(by_day[:, day])
        by_day[none, day] = by_day[none, day - 1]
    gaps = _gaps(training, found.start, np.arange(n, dtype=np.int64), found.duration, n)
    return ScoreLines(gaps, {SCORE: by_day}, by_day)


def _gaps(training: Training, start: Ints, pattern: Ints, length: Ints, n_patterns: int) -> Gaps:
    """The gaps of the training, whose first days come first, and the lines of all."""
    counts, n = training.counts, np.ones(start.size, dtype=np.int64)
    lines, group = lines_of(start, pattern, length, n, idle_days=counts.idle_days)
    mine = start <= np.datetime64(counts.last_start).astype("datetime64[D]").astype(np.int64)
    if not np.array_equal(length[mine], counts.duration):
        raise AssertionError("gaps in line are not those of the training; please report this")
    return Gaps(
        block=counts.block,
        duration=counts.duration,
        n=counts.n,
        pattern=pattern[mine],
        n_patterns=n_patterns,
        n_blocks=counts.n_blocks,
        idle_days=counts.idle_days,
        n_days=counts.n_days,
        lines=lines,
        group=group[mine],
    )
