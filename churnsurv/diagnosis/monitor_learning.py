"""What the monitor expects of a group: learnt anew every four weeks, from days before without a change.

A change that is looked for must not be learnt: the two weeks before a fit, days within an alarm or a rise, and days
that are left out are not learnt from. A rise that has lasted for four weeks of days to learn from is a new level.
Where too few days are left the last fit is kept, and its trend is followed no further than that of any fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_groups import CalendarTerms, Cells, CountRows, WatchedGroup
from churnsurv.diagnosis.monitor_series import Series, find_rises
from churnsurv.numerics.return_rate import ExpectedReturns, ReturnRate, expected_returns, fit_return_rate

__all__ = ["FEWEST", "GUARD", "REFIT", "History", "Learner", "Learnt", "together"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Days: TypeAlias = NDArray[np.bool_]

#: Days from one fit to the next, and days before a fit that it does not learn from.
REFIT, GUARD = 28, 14
#: Days of a value, or of a new level, that are learnt from at least.
FEWEST = 28
#: With fewer days no trend is told, and none beside a new level: carried on to the days of the fit, it would be nothing
#: but noise.
_TREND, _TREND_BESIDE_LEVEL = 56, 182


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What is known of the days before: counts, calendar, days left out, days to learn from, and what was expected.

    `by_row` (n_rows, n_days): expected returns of each row; `member` (n_rows, n_days): the place of its group among
    `names`, -1 where nothing is expected of it yet.
    """

    rows: CountRows
    calendar: CalendarTerms
    left_out: Days
    train: int
    by_row: Floats
    member: Ints
    names: list[str] = field(default_factory=list)

    def past(self, start: int) -> Ints:
        """The days that a fit on a day may learn from."""
        return np.arange(max(0, start - GUARD - self.train), start - GUARD)

    def known(self, values: Sequence[str], start: int) -> list[bool]:
        """Whether there are enough days of each value."""
        days = self.past(start)
        days = days[~self.left_out[days]]
        return [
            int((self.rows.users[self.rows.of([value])][:, days].sum(axis=0) > 0).sum()) >= FEWEST for value in values
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What a fit says of days before: of those learnt from (counts, null on others), and of the last four weeks."""

    days: Ints
    observed: Floats
    mean: Floats
    variance: Floats
    recent_mean: Floats
    recent_variance: Floats
    recent_error: Floats
    n_terms: int


@dataclass(slots=True, eq=False)
class Learner:
    """A group with its last fit.

    Attributes
    ----------
    group : WatchedGroup
    part : Series
    rows : ints
    cells : Cells
    avoid : (n_days,) bool
        Days that are not learnt from since they were within an alarm of the group that it was part of.
    """

    group: WatchedGroup
    part: Series
    rows: Ints
    cells: Cells
    avoid: Days
    fit: ReturnRate | None = None
    n_learnt: int = 0
    middle: float = 0.0
    furthest: int = 0
    levels: tuple[int, ...] = ()
    trend: bool = True
    kinds: Days = field(default_factory=lambda: np.zeros(0, dtype=bool))
    known: Days = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def learn(self, history: History, start: int, alarmed: Days) -> bool:
        """Fit anew, from days that are not within an alarm of all groups either; says whether the last fit is kept."""
        past, part = history.past(start), self.part
        bad = (history.left_out | part.excluded | self.avoid | alarmed)[past]
        rise = find_rises(part, start - 1)
        level = rise is not None and int((~bad & (past >= rise)).sum()) >= FEWEST
        learnt = past[~bad & (~part.risen[past] | (level & (past >= (rise or 0))))]
        if self.fit is not None and learnt.size < min(max(FEWEST, history.train // 2), self.n_learnt):
            return True
        if learnt.size < FEWEST:  # nothing else is known of a group that is new
            learnt = past[~history.left_out[past]]
        if level and rise is not None:
            part.levels.append((rise, start))
            find_rises(part, start - 1)
        self.n_learnt, self.middle = learnt.size, float(past.mean())
        self.furthest = int(learnt[-1] if learnt.size else past[-1]) + GUARD + REFIT
        self.levels = tuple(begin for begin, _ in part.levels if begin > past[0])
        at_risk, returned = self.cells.at_risk[learnt], self.cells.returned[learnt]
        self.trend = int(at_risk.any(axis=1).sum()) >= (_TREND_BESIDE_LEVEL if self.levels else _TREND)
        self.fit = fit_return_rate(at_risk, returned, self.terms(history.calendar, learnt))
        self.kinds = history.calendar.holiday[learnt].T @ returned.sum(axis=1) >= 1
        self._look_at(history, start, learnt)
        return False

    def _look_at(self, history: History, start: int, learnt: Ints) -> None:
        """Write down which rows are known: those of values with enough days, some of them with returns."""
        values = self.group.values
        known = [
            value
            for value, enough in zip(values, history.known(values, start), strict=True)
            if enough and history.rows.returns[history.rows.of([value])][:, learnt].any()
        ]
        self.known = np.isin(history.rows.value, known)

    def terms(self, calendar: CalendarTerms, days: Ints) -> Floats:
        """Calendar, trend and levels of days; the trend stands still beyond the days that a fit is made for."""
        found = calendar.terms(days, self.middle)
        found[:, -1] = self.trend * (np.minimum(days, self.furthest) - self.middle) / 365.0
        return np.column_stack([found, *((days >= begin).astype(np.float64) for begin in self.levels)])

    def _expected(self, history: History, days: Ints, *, coming: bool = False) -> ExpectedReturns:
        """What is expected; on coming days of a kind of holiday that is not known, as if they were ordinary ones."""
        assert self.fit is not None  # noqa: S101
        at_risk = self.cells.at_risk[days] * self.known[self.cells.row]
        terms = self.terms(history.calendar, days)
        if coming:
            first = history.calendar.weekday.shape[1]
            terms[:, first : first + self.kinds.size] *= self.kinds
        return expected_returns(self.fit, at_risk, terms)

    def expect(self, history: History, block: Ints, learnt_from: Days) -> Learnt:
        """Write down what is expected of the coming days, and return what the days before were like."""
        assert self.fit is not None  # noqa: S101
        part, rows = self.part, self.rows[self.known[self.rows]]
        coming = self._expected(history, block, coming=True)
        part.mean[block], part.variance[block], part.error[block] = coming.mean, coming.variance, coming.error
        part.at_risk[block] = history.rows.users[rows][:, block].sum(axis=0)
        part.observed[block] = history.rows.returns[rows][:, block].sum(axis=0)
        part.judged[block] = ~history.left_out[block] & bool(rows.size)
        part.judged[block] &= history.calendar.holiday[block] @ ~self.kinds == 0
        n_rows = len(history.by_row)
        place = np.arange(block.size)[:, None] * n_rows + self.cells.row
        sums = np.bincount(place.ravel(), weights=coming.by_cell.ravel(), minlength=block.size * n_rows)
        history.by_row[np.ix_(rows, block)] = sums.reshape(block.size, n_rows).T[rows]
        history.member[np.ix_(self.rows, block)] = -1
        history.member[np.ix_(rows, block)] = history.names.index(part.name)
        past = history.past(int(block[0]))
        before = self._expected(history, past)
        recent = self._expected(history, np.arange(int(block[0]) - REFIT, int(block[0])))
        observed = np.where(learnt_from[past], history.rows.returns[rows][:, past].sum(axis=0), np.nan)
        return Learnt(
            past, observed, before.mean, before.variance, recent.mean, recent.variance, recent.error,
            self.fit.coefficients.size + 1,
        )  # fmt: skip

    def learnt_from(self, history: History, alarmed: Days) -> Days:
        """The days that are learnt from."""
        return ~(history.left_out | self.part.excluded | self.part.risen | self.avoid | alarmed)


def together(learnt: Sequence[Learnt]) -> Learnt:
    """The same for several groups together; of each day those that learnt from it, if they are most of them."""
    seen = np.stack([np.isfinite(each.observed) for each in learnt])

    def total(name: str) -> Floats:
        values = np.stack([getattr(each, name) for each in learnt])
        found: Floats = np.where(seen, values, 0.0).sum(axis=0)
        return found

    whole = np.sum([each.mean for each in learnt], axis=0)
    mean = total("mean")
    enough = mean > 0.5 * whole
    recent = np.stack([each.recent_mean for each in learnt])
    squares = np.sum([each.recent_error * each.recent_mean**2 for each in learnt], axis=0)
    return Learnt(
        learnt[0].days,
        np.where(enough, total("observed"), np.nan),
        np.where(enough, mean, whole),
        np.where(enough, total("variance"), np.sum([each.variance for each in learnt], axis=0)),
        recent.sum(axis=0),
        np.sum([each.recent_variance for each in learnt], axis=0),
        squares / np.maximum(recent.sum(axis=0), 1e-9) ** 2,
        max(each.n_terms for each in learnt),
    )
