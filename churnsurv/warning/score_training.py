"""Gaps with their score: what the cuts of score tiers are learnt from, and judged on."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature, resolve
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.data.user_blocks import blocks_of_users
from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.score_search import BlockCells, Crossings, crossings
from churnsurv.warning.objectives import Value
from churnsurv.warning.scores import GapScore
from churnsurv.warning.training import Training

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["ScoredGaps", "cells_of", "gaps_for", "hash_of", "require_churn", "scored", "training_of", "variables_of"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_OUTCOME = ("user_id", "start_date", "entry", "duration", "returned")
#: What a gap has and a snapshot lacks.
_GAP_ONLY = ("gap", "registration_gap")
_BALANCE_CUT = (1.0,)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredGaps:
    """Mature gaps by linear predictor.

    Attributes
    ----------
    training : Training
        One row a gap, without rules, for the figures of tiers.
    score : GapScore
    risk : (n_patterns,) float64
        The different linear predictors.
    pattern : (n_rows,) int64
        Which of them each gap has.
    """

    training: Training
    score: GapScore
    risk: Floats
    pattern: Ints

    def compared(self, worths: Mapping[str, Value] | None = None) -> dict[str, Floats]:
        """What rules compare, on each idle day from 1 on; arrays of shape (n_patterns, idle_days - 1)."""
        return {name: values[:, 1:] for name, values in self.score.by_day(self.risk, worths).items()}

    def crossings(self, variable: str, worth: Value | None = None) -> Crossings:
        """The records of what rules compare; of a value over waiting, as if a contact were worth this."""
        worths = None if worth is None else {variable: worth}
        return crossings(self.compared(worths)[variable])

    def cells(self, until: Ints) -> BlockCells:
        """Gaps by linear predictor and block of users, each pattern taken over by a higher tier on day `until`."""
        return cells_of(self.training, self.pattern, until)


def cells_of(training: Training, pattern: Ints, until: Ints) -> BlockCells:
    """Count the gaps of each pattern, equal ones together; a higher tier takes a pattern over on day `until`."""
    counts = training.counts
    churned = counts.duration > counts.idle_days
    # an alert on day d is at position d - 1, and reaches who is silent for longer and not yet taken over
    silent = np.minimum(counts.duration, until[pattern]) - 1
    width = counts.idle_days
    place = ((pattern * counts.n_blocks + counts.block) * width + silent) * 2 + churned
    cell, row = np.unique(place, return_inverse=True)
    n = np.bincount(row.reshape(-1), counts.n, cell.size).astype(np.float64)
    who, gone = np.divmod(cell, 2)
    who, days = np.divmod(who, width)
    return BlockCells(who // counts.n_blocks, who % counts.n_blocks, days, gone.astype(np.bool_), n, counts.n_blocks)


def variables_of(log: ActivityLog, names: Sequence[str], own: Sequence[str | Feature]) -> tuple[str | Feature, ...]:
    """Resolve what a formula names: features of the log, own ones, the rest by name.

    Raises
    ------
    InputError
        If the outcome is named, or what changes while users are silent.
    """
    features = {each.name: each for each in resolve(log.features) if isinstance(each, Feature)}
    features |= {each.name: each for each in own if isinstance(each, Feature)}
    found = tuple(features.get(name, name) for name in names)
    for name, each in zip(names, found, strict=True):
        if name in _OUTCOME or name in _GAP_ONLY:
            raise InputError(
                f"formula: {name!r} is no state of a user that a snapshot has (it is the outcome, or of gaps alone). "
                "Name attributes of the users, features, active_days, mean_interval or last_interval."
            )
        if name in ("idle_days", "tenure") or (isinstance(each, Feature) and each.last is not None):
            raise InputError(
                f"formula: {name!r} changes while its user is silent. The score knows the idle days by itself; name "
                "what only activity changes."
            )
    return found


def gaps_for(
    log: ActivityLog,
    variables: Sequence[str | Feature],
    missing: Mapping[str, float],
    first_start: datetime.date | None = None,
) -> tuple[pd.DataFrame, tuple[datetime.date, datetime.date]]:
    """Mature gaps with the columns of a formula, and the days on which they begin, from and to.

    `duration` is idle_days + 1 where nobody returned within idle_days.

    Raises
    ------
    InputError
        If a variable is unknown, a number is missing that nothing stands in for, or one shall stand in for what is no
        number, the balance moves in silence, the log is too short, or nobody churned.
    """
    import pandas as pd

    features = [each for each in variables if isinstance(each, Feature) or each in BUILT_IN or each in SPECIAL]
    names = [each if isinstance(each, str) else each.name for each in variables]
    found, idle_days = log.gaps(features=features), log.rule.idle_days
    table = found.table
    for name in names:
        if name not in table:
            known = [each for each in (*table.columns, *BUILT_IN, *SPECIAL) if each not in (*_OUTCOME, *_GAP_ONLY)]
            raise InputError(f"formula: there is no {name!r}.{did_you_mean(name, known)}")
    first = found.window.first if first_start is None else first_start
    last = found.window.last - datetime.timedelta(days=idle_days)
    begins = table["start_date"]
    table = table[(begins >= pd.Timestamp(first)) & (begins <= pd.Timestamp(last))].reset_index(drop=True)
    stays = ~table["returned"] | (table["duration"] > idle_days)
    _check(log, table, stays.to_numpy(), (first, last))
    table["duration"] = np.where(stays, idle_days + 1, table["duration"])
    _check_numbers(table, [name for name in missing if name in names])
    table = table.fillna({name: value for name, value in missing.items() if name in names})
    for name in names:
        gone = int(table[name].isna().sum())
        if gone and pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name]):
            raise InputError(
                f"formula: {name!r} has no value at the beginning of {gone:,} of {len(table):,} gaps. Say what stands "
                f'in for it, such as missing={{"{name}": 0}}, or leave it out.'
            )
    return table[["user_id", "duration", "registration_gap", *names]], (first, last)


def _check_numbers(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise where a number is to stand in for a category."""
    import pandas as pd

    for name in names:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise InputError(
                f"missing: {name!r} holds categories, for which no number can stand in. Leave it out of missing=: "
                "without a value is a category of its own."
            )


def require_churn(n: int, churned: int, idle_days: int, window: tuple[datetime.date, datetime.date]) -> None:
    """Raise where no gap began in a window, nobody churned, or a rule leaves no day for a warning.

    Raises
    ------
    InputError
        That says which.
    """
    if not n:
        raise InputError(
            f"No gap began from {window[0]} to {window[1]}, followed for {idle_days} days. Take a longer log."
        )
    if not churned:
        raise InputError(
            f"Nobody churned: each of the {n:,} gaps that began from {window[0]} to {window[1]} ended with a "
            f"return within {idle_days} days. There is nothing to warn of under this rule."
        )
    if idle_days < 3:
        raise InputError(f"A warning needs days between activity and churn; the rule has {idle_days}.")


def _check(
    log: ActivityLog, table: pd.DataFrame, stays: NDArray[np.bool_], window: tuple[datetime.date, datetime.date]
) -> None:
    require_churn(len(table), int(stays.sum()), log.rule.idle_days, window)
    if stays.all():
        raise InputError(
            f"Nobody returned: all {len(table):,} gaps that began from {window[0]} to {window[1]} ended in churn, so "
            "that there is no hazard of return to learn. Contact everybody, or check the kinds of activity of the rule."
        )
    if "balance" in table:
        moves = gap_counts(log, grids={"balance": _BALANCE_CUT}, blocks=2).balance_moves
        if moves:
            raise InputError(
                f"formula: the balance changes while users are silent ({moves:,} gaps), so that their score on later "
                "days is not known when the gap begins. Leave 'balance' out, or give balances that only activity moves."
            )


def scored(
    log: ActivityLog,
    gaps: pd.DataFrame,
    window: tuple[datetime.date, datetime.date],
    score: GapScore,
    *,
    variables: Sequence[str | Feature],
    missing: Mapping[str, float],
    blocks: int,
) -> ScoredGaps:
    """Score gaps, with the blocks of their users: by user, so that no seed moves a limit."""
    risk, pattern = np.unique(score.risk(gaps), return_inverse=True)
    training = training_of(
        log,
        window,
        block=blocks_of_users(log, gaps["user_id"], blocks=blocks),
        n_blocks=min(blocks, log._reading.n_users),
        duration=gaps["duration"].to_numpy(dtype=np.int64),
        registration_gap=gaps["registration_gap"].to_numpy(dtype=np.bool_),
        variables=variables,
        missing=missing,
    )
    return ScoredGaps(training, score, risk, pattern.reshape(-1).astype(np.int64))


def training_of(
    log: ActivityLog,
    window: tuple[datetime.date, datetime.date],
    *,
    block: Ints,
    n_blocks: int,
    duration: Ints,
    registration_gap: NDArray[np.bool_],
    variables: Sequence[str | Feature] = (),
    missing: Mapping[str, float] = MappingProxyType({}),
) -> Training:
    """Take gaps one by one as training without rules: what figures are computed from.

    Parameters
    ----------
    log : ActivityLog
    window : (date, date)
        First and last day on which a gap begins.
    block, duration : (n_gaps,) int64
        idle_days + 1 where nobody returned within idle_days.
    n_blocks : int
    registration_gap : (n_gaps,) bool
    variables : sequence of str or Feature
    missing : Mapping of str to float
    """
    import pyarrow as pa

    idle_days = log.rule.idle_days
    counts = GapCounts(
        block=block,
        registration_gap=registration_gap,
        cells={},
        period=None,
        duration=duration,
        returned=duration <= idle_days,
        n=np.ones(duration.size, dtype=np.int64),
        by=(),
        grids={},
        starts="mature",
        idle_days=idle_days,
        n_users=log._reading.n_users,
        n_blocks=n_blocks,
        first_start=window[0],
        last_start=window[1],
        n_days=(window[1] - window[0]).days + 1,
        balance_moves=0,
        _by=pa.table({}),
    )
    return Training(
        counts=counts,
        cells={},
        missing=missing,
        variables=tuple(variables),
        pairs=(),
        families=(),
        gaps=np.bincount(block, minlength=n_blocks).astype(np.float64),
        churned=np.bincount(block, duration > idle_days, n_blocks).astype(np.float64),
    )


def hash_of(gaps: pd.DataFrame, formula: str) -> str:
    """SHA-256 of the gaps and the formula, whatever the order of the rows."""
    import pandas as pd

    rows = np.sort(pd.util.hash_pandas_object(gaps.drop(columns="user_id"), index=False).to_numpy())
    return hashlib.sha256(formula.encode() + rows.astype("<u8").tobytes()).hexdigest()
