"""Gaps with their score: what the cuts of score tiers are learnt from, and judged on."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import BUILT_IN, SPECIAL, Feature, resolve
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.errors import InputError, did_you_mean
from churnsurv.numerics.score_search import BlockCells
from churnsurv.warning.objectives import Value
from churnsurv.warning.scores import GapScore
from churnsurv.warning.training import Training

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog

__all__ = ["ScoredGaps", "gaps_for", "hash_of", "scored", "variables_of"]

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
    risk : (n_patterns,) float64
        The different linear predictors.
    pattern : (n_rows,) int64
        Which of them each gap has.
    """

    training: Training
    risk: Floats
    pattern: Ints

    def compared(self, score: GapScore, worths: Mapping[str, Value] | None = None) -> dict[str, Floats]:
        """What rules compare, on each idle day from 1 on; arrays of shape (n_patterns, idle_days - 1)."""
        return {name: values[:, 1:] for name, values in score.by_day(self.risk, worths).items()}

    def cells(self, until: Ints) -> BlockCells:
        """Gaps by linear predictor and block of users, each pattern taken over by a higher tier on day `until`."""
        counts, days = self.training.counts, self.training.days
        pair, cell = np.unique(self.pattern * counts.n_blocks + counts.block, return_inverse=True)
        # gaps of a cell by duration, then those that are longer than each day
        width = counts.idle_days + 2
        lengths = np.bincount(cell.reshape(-1) * width + counts.duration, counts.n, pair.size * width)
        lengths = lengths.reshape(-1, width)
        longer = lengths[:, ::-1].cumsum(axis=1)[:, ::-1]
        pattern = pair // counts.n_blocks
        there = days < until[pattern][:, None]
        churned = np.where(there, lengths[:, -1:], 0.0)
        return BlockCells(pattern, pair % counts.n_blocks, longer[:, days + 1] * there, churned, counts.n_blocks)


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
        If a variable is unknown, a number is missing that nothing stands in for, the balance moves in silence, the log
        is too short, or nobody churned.
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
    table = table.fillna({name: value for name, value in missing.items() if name in names})
    for name in names:
        gone = int(table[name].isna().sum())
        if gone and pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name]):
            raise InputError(
                f"formula: {name!r} has no value at the beginning of {gone:,} of {len(table):,} gaps. Say what stands "
                f'in for it, such as missing={{"{name}": 0}}, or leave it out.'
            )
    return table[["user_id", "duration", "registration_gap", *names]], (first, last)


def _check(
    log: ActivityLog, table: pd.DataFrame, stays: NDArray[np.bool_], window: tuple[datetime.date, datetime.date]
) -> None:
    idle_days = log.rule.idle_days
    if table.empty:
        raise InputError(
            f"No gap began from {window[0]} to {window[1]}, followed for {idle_days} days. Take a longer log."
        )
    if not stays.any():
        raise InputError(
            f"Nobody churned: each of the {len(table):,} gaps that began from {window[0]} to {window[1]} ended with a "
            f"return within {idle_days} days. There is nothing to warn of under this rule."
        )
    if stays.all():
        raise InputError(
            f"Nobody returned: all {len(table):,} gaps that began from {window[0]} to {window[1]} ended in churn, so "
            "that there is no hazard of return to learn. Contact everybody, or check the kinds of activity of the rule."
        )
    if idle_days < 3:
        raise InputError(f"A warning needs days between activity and churn; the rule has {idle_days}.")
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
    seed: int,
) -> ScoredGaps:
    """Score gaps and deal their users into random blocks."""
    import pandas as pd
    import pyarrow as pa

    users = pd.factorize(gaps["user_id"])[0].astype(np.int64)
    n_users = int(users.max()) + 1
    n_blocks = min(blocks, n_users)
    block = np.random.default_rng(seed).permutation(n_users)[users] % n_blocks
    duration = gaps["duration"].to_numpy(dtype=np.int64)
    risk, pattern = np.unique(score.risk(gaps), return_inverse=True)
    counts = GapCounts(
        block=block,
        registration_gap=gaps["registration_gap"].to_numpy(dtype=np.bool_),
        cells={},
        period=None,
        duration=duration,
        returned=duration <= score.idle_days,
        n=np.ones(len(gaps), dtype=np.int64),
        by=(),
        grids={},
        starts="mature",
        idle_days=score.idle_days,
        n_users=log._reading.n_users,
        n_blocks=n_blocks,
        first_start=window[0],
        last_start=window[1],
        n_days=(window[1] - window[0]).days + 1,
        balance_moves=0,
        _by=pa.table({}),
    )
    churned = duration > score.idle_days
    training = Training(
        counts=counts,
        cells={},
        missing=missing,
        variables=tuple(variables),
        pairs=(),
        families=(),
        gaps=np.bincount(block, minlength=n_blocks).astype(np.float64),
        churned=np.bincount(block, churned, n_blocks).astype(np.float64),
    )
    return ScoredGaps(training, risk, pattern.reshape(-1).astype(np.int64))


def hash_of(gaps: pd.DataFrame, formula: str) -> str:
    """SHA-256 of the gaps and the formula, whatever the order of the rows."""
    import pandas as pd

    rows = np.sort(pd.util.hash_pandas_object(gaps.drop(columns="user_id"), index=False).to_numpy())
    return hashlib.sha256(formula.encode() + rows.astype("<u8").tobytes()).hexdigest()
