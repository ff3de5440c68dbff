"""Tiers that are cuts of a score, judged on later gaps: each gap by the tier that it is in on each idle day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature, resolve
from churnsurv.data.gap_counts import gap_counts
from churnsurv.data.score_days import ScoreDays, score_days
from churnsurv.data.user_blocks import blocks_of_users
from churnsurv.errors import InputError
from churnsurv.numerics.held import held_on
from churnsurv.survival.factors import factor
from churnsurv.survival.formula import evaluate
from churnsurv.survival.frames import numeric_column
from churnsurv.warning.backtest_judge import Gaps, Policy
from churnsurv.warning.backtest_material import (
    Material,
    caps_of,
    cuts_of,
    days_of,
    gaps_of,
    lead_share,
    policies_of,
)
from churnsurv.warning.capped import lines_of
from churnsurv.warning.hysteresis import entered_tiers, stays_in, wider_rules
from churnsurv.warning.patterns import patterns_of
from churnsurv.warning.rules import IDLE_DAYS, Rule
from churnsurv.warning.scores import CHANCE, GapScore

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.warning.backtest_windows import Window
    from churnsurv.warning.scheme import TierScheme

__all__ = ["Coverage", "ScoredLog"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

#: Linear predictors are ranked in so many classes, if there are more of them.
_CLASSES = 4_096
_ROWS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Gaps one by one, and the paths of what their score says.

    `start`, `block`, `duration`, `pattern` are (n_gaps,), the others (n_patterns, idle_days): `tier` as in `Policy`,
    `urgency`, `mostly`, None where the score is no chance, and `own`, the tiers if nobody were held in one, None where
    nobody is.
    """

    start: Ints
    block: Ints
    duration: Ints
    pattern: Ints
    tier: Ints
    urgency: Floats
    mostly: Flags | None
    own: Ints | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """For which gaps of an origin there is a score.

    Attributes
    ----------
    gaps : int
        Gaps judged.
    without : Mapping of str to int
        Those of them that have no number of a variable of the formula.
    beyond : int
        Those that have all numbers, and no score.
    table : Mapping of str to int
        Of a score that is given: `days`, `days_carried`, `days_before`, `longest_carry` and `never` as in `ScoreDays`,
        over the gaps judged and, where alerts are limited, those in line with them.
    rows : Mapping of str to int
        Rows of the table, as there.
    """

    gaps: int
    without: Mapping[str, int] = field(default_factory=dict)
    beyond: int = 0
    table: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredLog:
    """A log and, for a score that is given, its table.

    Attributes
    ----------
    log : ActivityLog
    score : table, or None
        `user_id, date, score`; None where the scheme holds a fit.
    covered : list of Coverage
        One for each window that was scored, in their order.
    """

    log: ActivityLog
    score: Any = None
    covered: list[Coverage] = field(default_factory=list)
    _fetched: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def material(
        self,
        span: Window,
        scheme: TierScheme,
        compared: Mapping[str, Rule],
        *,
        limited: bool,
        widths: Mapping[str, float],
    ) -> Material:
        """Score the gaps of a window, and count them for the rules beside the tiers.

        Parameters
        ----------
        span : Window
        scheme : TierScheme
        compared : Mapping of str to Rule
        limited : bool
            Whether only so many alerts a day are worked off.
        widths : Mapping of str to float
            Of hysteresis, as `check_hysteresis` gives them.

        Raises
        ------
        InputError
            If a score is to be given and is not, or for none of the gaps judged, or one of them has what the fit has
            not seen.
        """
        # a rule beside a score that is given may look at the log's own features, too
        known = {each.name: each for each in resolve(self.log.features) if isinstance(each, Feature)}
        own = list((known | {each.name: each for each in scheme.variables if isinstance(each, Feature)}).values())
        grids = cuts_of(list(compared.values()), {})
        counts = gap_counts(
            self.log, first_start=span.first, last_start=span.last, grids=grids, features=own, paths=True
        )
        patterns = patterns_of([counts], scheme.missing)
        beside = gaps_of(counts, patterns, 0, span.first, span.last, limited=False)
        tiers = _Tiers.of(scheme, widths)
        scored, covered = self._fitted(span, scheme, tiers, limited=limited)
        self.covered.append(covered)
        return Material(
            gaps=_gaps(scored, span, counts.n_blocks, limited=limited),
            fitted=Policy(scored.tier, caps_of(scheme)),
            urgency=scored.urgency,
            mostly=scored.mostly,
            beside=beside,
            compared=policies_of(compared, patterns),
            n_users=counts.n_users,
            own=None if scored.own is None else Policy(scored.own, caps_of(scheme)),
        )

    def _fitted(self, span: Window, scheme: TierScheme, tiers: _Tiers, *, limited: bool) -> tuple[_Scored, Coverage]:
        days = days_of(self.log, span, limited=limited)
        if isinstance(scheme.score, GapScore):
            return _by_fit(self._gaps_with(scheme), scheme, scheme.score, tiers, span, days)
        if self.score is None:
            raise InputError(
                "The tiers are cuts of a score that was given: pass it for the days to be judged, too, as score=, a "
                "table with user_id, date, score."
            )
        return _by_table(self.log, self.score, scheme, tiers, span, days)

    def _gaps_with(self, scheme: TierScheme) -> pd.DataFrame:
        """All gaps of the log with the columns of the formula, fetched once."""
        features = [
            each for each in scheme.variables if isinstance(each, Feature) or each in BUILT_IN or each in SPECIAL
        ]
        key = tuple(each if isinstance(each, str) else each.name for each in scheme.variables)
        if key not in self._fetched:
            table = self.log.gaps(features=features).table
            self._fetched[key] = table.assign(_block=blocks_of_users(self.log, table["user_id"]))
        found: pd.DataFrame = self._fetched[key]
        return found


def _within(start: Ints, span: Window) -> Flags:
    """Which gaps begin in the window, by their first day."""
    first, last = (np.datetime64(each).astype("datetime64[D]").astype(np.int64) for each in (span.first, span.last))
    return np.asarray((start >= first) & (start <= last))


def _gaps(scored: _Scored, span: Window, n_blocks: int, *, limited: bool) -> Gaps:
    """The gaps that begin in the window, and the lines in which they wait."""
    mine = _within(scored.start, span)
    idle, n = scored.tier.shape[1], np.ones(scored.start.size, dtype=np.int64)
    lines, group = None, None
    if limited:
        # who has not returned yet is silent on all days that can matter to gaps of the window
        lines, group = lines_of(scored.start, scored.pattern, scored.duration, n, idle_days=idle)
    return Gaps(
        block=scored.block[mine],
        duration=scored.duration[mine],
        n=n[mine],
        pattern=scored.pattern[mine],
        n_patterns=len(scored.tier),
        n_blocks=n_blocks,
        idle_days=idle,
        n_days=span.n_days,
        lines=lines,
        group=None if group is None else group[mine],
    )


@dataclass(frozen=True, slots=True)
class _Tiers:
    """The rules of tiers, highest first, and those by which who is in one stays in it; none without hysteresis."""

    rules: Sequence[Rule]
    wider: Sequence[Rule]

    @classmethod
    def of(cls, scheme: TierScheme, widths: Mapping[str, float]) -> _Tiers:
        return cls([tier.rule for tier in scheme.tiers], wider_rules(scheme, widths) if widths else [])

    def by_day(self, compared: Mapping[str, Floats]) -> NDArray[np.int8]:
        """The place of the tier by idle day, from what rules compare by idle day; on idle day 0 nobody is in one.

        Returns
        -------
        (n, idle_days) int8
            With hysteresis (n, 2 idle_days): those held, and those by the own rules.
        """
        n, idle = next(iter(compared.values())).shape
        own = np.full((n, idle), len(self.rules), dtype=np.int8)
        held = own.copy() if self.wider else own[:, :0]
        for day in range(1, idle):
            table = {name: values[:, day] for name, values in compared.items()}
            table[IDLE_DAYS] = np.full(n, float(day))
            own[:, day] = entered_tiers(self.rules, table)
            if self.wider:
                held[:, day] = held_on(held[:, day - 1], own[:, day], stays_in(self.wider, table))
        return np.hstack([held, own])

    def apart(self, both: NDArray[np.integer], idle: int) -> tuple[Ints, Ints | None]:
        """The tiers, and with hysteresis those by the own rules, from what `by_day` gives."""
        whole = both.astype(np.int64)
        return whole[:, :idle], whole[:, idle:] if self.wider else None


# ------------------------------------------------------------------------------------------------------------ a fit


def _by_fit(
    gaps: pd.DataFrame, scheme: TierScheme, score: GapScore, tiers: _Tiers, span: Window, days: Mapping[str, Any]
) -> tuple[_Scored, Coverage]:
    """Score gaps by a fit of return; what it says depends on the linear predictor and the idle day alone."""
    idle = score.idle_days
    start = gaps["start_date"].to_numpy().astype("datetime64[D]")
    here = (start >= np.datetime64(days["first_start"])) & (start <= np.datetime64(days["last_start"]))
    table = gaps[here].reset_index(drop=True)
    returned = table["returned"].to_numpy(dtype=np.bool_) & (table["duration"].to_numpy() <= idle)
    first_day = start[here].astype(np.int64)
    by_gap, covered = _risks(scheme.filled(table), score, _within(first_day, span))
    risk, which = np.unique(by_gap, return_inverse=True)
    tier = np.concatenate(
        [tiers.by_day(score.by_day(risk[at : at + _ROWS])) for at in range(0, max(risk.size, 1), _ROWS)]
    )
    path, of_risk = np.unique(tier, axis=0, return_inverse=True)
    # who has no score is in a class apart, the last one
    level = np.where(np.isnan(risk), _CLASSES, np.arange(risk.size) * _CLASSES // max(risk.size, _CLASSES))
    key, pattern = np.unique(of_risk.reshape(-1) * (_CLASSES + 1) + level, return_inverse=True)
    pattern = pattern.reshape(-1)
    middle = np.bincount(pattern, risk, key.size) / np.bincount(pattern, minlength=key.size)
    chance = score.by_day(middle, {})[CHANCE]
    held, own = tiers.apart(path[key // (_CLASSES + 1)], idle)
    scored = _Scored(
        start=first_day,
        block=table["_block"].to_numpy(dtype=np.int64),
        duration=np.where(returned, table["duration"].to_numpy(dtype=np.int64), idle + 1),
        pattern=pattern[which.reshape(-1)].astype(np.int64),
        tier=held,
        urgency=chance * lead_share(idle),
        mostly=chance > 0.5,
        own=own,
    )
    return scored, covered


def _risks(table: pd.DataFrame, score: GapScore, mine: Flags) -> tuple[Floats, Coverage]:
    """The linear predictor of each gap, NaN for none; gaps not judged that the fit cannot score stand in no line."""
    numbers = {name: np.isfinite(numeric_column(table, name, "numbers").astype(np.float64)) for name in score.numbers}
    there = np.logical_and.reduce([np.ones(len(table), dtype=np.bool_), *numbers.values()])
    young = np.flatnonzero(there & ~mine)
    fine = mine.copy()
    fine[young] = _seen(table.iloc[young], score)
    risk = np.full(len(table), np.nan)
    risk[fine] = score.risk(table[fine].reset_index(drop=True))
    lack = {name: int(np.count_nonzero(mine & ~each)) for name, each in numbers.items()}
    beyond = int(np.count_nonzero(mine & there & np.isnan(risk)))
    return risk, Coverage(int(np.count_nonzero(mine)), {name: n for name, n in lack.items() if n}, beyond)


def _seen(table: pd.DataFrame, score: GapScore) -> Flags:
    """Whether the fit knows all categories of each row."""
    found = np.ones(len(table), dtype=np.bool_)
    for expression, code in score.fit._encoding.factors.items():
        category = None if code.categories is None else evaluate(expression, table, dict(code.state)).category
        if category is not None and len(table):
            codes, levels = factor(category)
            plain = [level.item() if hasattr(level, "item") else level for level in levels]
            found &= np.array([level in code.categories for level in plain])[codes]  # type: ignore[operator]
    return found


# ---------------------------------------------------------------------------------------------------------- a table


def _by_table(
    log: ActivityLog, table: Any, scheme: TierScheme, tiers: _Tiers, span: Window, days: Mapping[str, Any]
) -> tuple[_Scored, Coverage]:
    """Score gaps by what the table says on each idle day; each gap has a path of its own."""
    starts = days.get("starts", "mature")
    found = score_days(
        log, table, rises=False, starts=starts, first_start=days["first_start"], last_start=days["last_start"]
    )
    covered = _covered(found, span)
    n, idle = found.duration.size, log.rule.idle_days
    by_day = np.full((n, idle), np.nan)
    by_day[found.gap, found.day] = found.score
    for day in range(1, idle):
        # a day without a row carries the last score since the gap began
        none = np.isnan(by_day[:, day])
        by_day[none, day] = by_day[none, day - 1]
    by_day[:, 0] = np.nan
    both = tiers.by_day(dict.fromkeys(scheme.score.names, by_day))  # type: ignore[union-attr]
    tier, own = tiers.apart(both, idle)
    scored = _Scored(
        start=found.start,
        block=found.block,
        duration=found.duration,
        pattern=np.arange(n, dtype=np.int64),
        tier=tier,
        urgency=by_day,
        mostly=None,
        own=own,
    )
    return scored, covered


def _covered(found: ScoreDays, span: Window) -> Coverage:
    """What a table says of the gaps of a window.

    Raises
    ------
    InputError
        If it is nothing, though they have days on which an alert could come.
    """
    mine = _within(found.start, span)
    n = int(np.count_nonzero(mine))
    if (mine & (found.duration > 1)).any() and not mine[found.gap].any():
        raise InputError(
            f"score: none of the {n:,} gaps that began from {span.first} to {span.last} has a score on an idle day. "
            "Pass a table for the days to be judged, too."
        )
    names = ("days", "days_carried", "days_before", "longest_carry", "never")
    return Coverage(n, table={name: getattr(found, name) for name in names}, rows=found.rows)
