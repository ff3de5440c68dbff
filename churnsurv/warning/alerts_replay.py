"""The tiers of silent users from the first day of their silence on, day by day, from the log alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.held import held_tiers
from churnsurv.survival.frames import numeric_column
from churnsurv.warning.given_score import SCORE
from churnsurv.warning.hysteresis import entered_tiers, stays_in, wider_rules
from churnsurv.warning.rules import IDLE_DAYS
from churnsurv.warning.scores import GapScore

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.alert_scores import SilentScores
    from churnsurv.data.alert_states import SilentStates
    from churnsurv.warning.scheme import TierScheme

__all__ = ["TENURE", "Replay", "replay"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
OnDay: TypeAlias = Callable[[int], dict[str, Floats]]

#: Days since registration, which grow in silence as the idle days do.
TENURE = "tenure"
_USERS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """The tiers of n users; places run from 0, the highest, and as many as there are tiers is none.

    Attributes
    ----------
    idle : (n,) int64
        Idle days on the last day; 0 where the user is active on it.
    now, before : (n,) int64
        Places on the last day and on the day before.
    held : (n,) bool
        Whether hysteresis alone keeps the user in the tier of the last day.
    since, tier_since : (n,) int64
        Day, since 1970, from which on the user is in some tier without a break, and in this one; up to the day before
        the last one where the user is in none on that. Of no meaning for who is in none on either.
    numbers : Mapping of str to (n,) float64
        What the rules compare on the last day; NaN where it is missing, or the user is not silent.
    """

    idle: Ints
    now: Ints
    before: Ints
    held: Flags
    since: Ints
    tier_since: Ints
    numbers: Mapping[str, Floats]

    def silent(self, idle_days: int) -> Flags:
        """Who is idle for a day or more and has not churned; shape (n,)."""
        return np.asarray((self.idle > 0) & (self.idle < idle_days))

    def at(self, rows: Ints) -> Replay:
        """The same of some of the users."""
        numbers = {name: each[rows] for name, each in self.numbers.items()}
        whole = (self.idle[rows], self.now[rows], self.before[rows])
        return Replay(*whole, self.held[rows], self.since[rows], self.tier_since[rows], numbers)


def replay(
    scheme: TierScheme,
    widths: Mapping[str, float],
    silent: SilentStates,
    last: int,
    *,
    scores: SilentScores | None = None,
    tenure: bool = True,
) -> Replay:
    """Follow users through their silence.

    Parameters
    ----------
    scheme : TierScheme
    widths : Mapping of str to float
        Hysteresis, as `check_hysteresis` gives it.
    silent : SilentStates
        With all that the rules or the formula of the score look at.
    last : int
        The last day, in days since 1970.
    scores : SilentScores, optional
        Of a score that is given.
    tenure : bool
        Whether `tenure` is counted from the registration.
    """
    n, n_tiers, width = silent.since.size, len(scheme.tiers), scheme.idle_days
    idle = np.where(silent.active, 0, last - silent.since)
    there = ~silent.active & (idle < width)
    before = last - 1 - silent.since
    found = Replay(
        idle=idle,
        now=np.full(n, n_tiers),
        before=np.empty(n, dtype=np.int64),
        held=np.zeros(n, dtype=np.bool_),
        since=np.empty(n, dtype=np.int64),
        tier_since=np.empty(n, dtype=np.int64),
        numbers={name: np.full(n, np.nan) for name in _compared(scheme)},
    )
    for users, on_day in _blocks(scheme, silent, scores, width=width, tenure=tenure):
        entered, held = _places(scheme, widths, on_day, found, users, np.where(there[users], idle[users], -1))
        row = np.arange(users.stop - users.start)
        today = np.where(there[users], idle[users], 0)
        found.before[users] = held[row, before[users]]
        now = np.where(there[users], held[row, today], n_tiers)
        found.now[users] = now
        found.held[users] = now != np.where(there[users], entered[row, today], n_tiers)
        until = np.where(now < n_tiers, today, before[users])
        found.since[users] = silent.since[users] + _run(held == n_tiers, until)
        found.tier_since[users] = silent.since[users] + _run(held != held[row, until][:, None], until)
    return found


def _compared(scheme: TierScheme) -> tuple[str, ...]:
    """What the rules compare, besides the idle days."""
    if scheme.score is not None:
        return tuple(scheme.score.names)
    names = dict.fromkeys(name for tier in scheme.tiers for name in tier.rule.variables)
    return tuple(name for name in names if name != IDLE_DAYS)


def _places(
    scheme: TierScheme, widths: Mapping[str, float], on_day: OnDay, found: Replay, users: slice, today: Ints
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Places by own rules and with hysteresis on idle days 0, 1, ...; numbers of the last day are noted down."""
    rules, wide = [tier.rule for tier in scheme.tiers], wider_rules(scheme, widths)
    shape = (today.size, scheme.idle_days)
    entered = np.full(shape, len(rules), dtype=np.int8)
    stays = np.zeros((len(rules), *shape), dtype=np.bool_) if widths else None
    for day in range(1, scheme.idle_days):
        table = on_day(day)
        here = np.flatnonzero(today == day)
        for name, values in found.numbers.items():
            values[users.start + here] = table[name][here]
        table[IDLE_DAYS] = np.full(today.size, float(day))
        entered[:, day] = entered_tiers(rules, table)
        if stays is not None:
            stays[:, :, day] = stays_in(wide, table)
    return entered, entered if stays is None else held_tiers(entered, stays)


def _run(breaks: Flags, until: Ints) -> Ints:
    """The day after the last break up to a day; shape (n,). Day 0 counts as one."""
    days = np.arange(breaks.shape[1])
    return np.asarray(np.where(breaks & (days <= until[:, None]), days, 0).max(axis=1) + 1)


# -------------------------------------------------------------------------------------------- what rules compare by day


def _blocks(
    scheme: TierScheme, silent: SilentStates, scores: SilentScores | None, *, width: int, tenure: bool
) -> Iterator[tuple[slice, OnDay]]:
    """Users in turns, and what the rules compare of them on an idle day."""
    # the state on a day of activity is of no silence
    kept = np.ones(silent.user.size, dtype=np.bool_)
    kept[silent.last[silent.active]] = False
    row, user = np.flatnonzero(kept), silent.user[kept]
    first = np.append(True, user[1:] != user[:-1])[: user.size]
    begins = np.where(first, 0, silent.day[kept] - silent.since[user])
    for start in range(0, silent.since.size, _USERS):
        users = slice(start, min(start + _USERS, silent.since.size))
        low, high = np.searchsorted(user, [users.start, users.stop])
        at = np.full((users.stop - users.start, width), -1, dtype=np.int64)
        inside = np.flatnonzero(begins[low:high] < width)
        at[user[low + inside] - start, begins[low + inside]] = inside
        at = np.maximum.accumulate(at, axis=1)
        if scores is not None:
            yield users, _given(scores.by_day(users, width))
            continue
        table = silent.table.iloc[row[low:high]].reset_index(drop=True)
        if isinstance(scheme.score, GapScore):
            yield users, _scored(scheme, scheme.score, table, at)
        else:
            born = silent.registered[users] - silent.since[users]
            yield users, _of_rules(scheme, table, at, born if tenure else None)


def _given(by_day: Floats) -> OnDay:
    return lambda day: {SCORE: by_day[:, day]}


def _scored(scheme: TierScheme, score: GapScore, table: pd.DataFrame, at: Ints) -> OnDay:
    by_day = score.by_day(score.risk(scheme.filled(table)))
    return lambda day: {name: values[at[:, day], day] for name, values in by_day.items()}


def _of_rules(scheme: TierScheme, table: pd.DataFrame, at: Ints, born: Ints | None) -> OnDay:
    """By the variables of rules; `born` is the idle day of the registration, at most 0."""
    filled = scheme.filled(table)
    numbers = {
        name: numeric_column(filled, name, "numbers").astype(np.float64)
        for name in _compared(scheme)
        if name != TENURE or born is None
    }

    def on_day(day: int) -> dict[str, Floats]:
        found = {name: values[at[:, day]] for name, values in numbers.items()}
        if born is not None and TENURE in _compared(scheme):
            found[TENURE] = (day - born).astype(np.float64)
        return found

    return on_day
