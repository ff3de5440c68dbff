"""One chart of the monitor from day to day: what is written down, its alarms, and the days that are not learnt from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.change_begin import ChangeBegin, change_begin, missing_limits
from churnsurv.numerics.cusum import DailyLaw

__all__ = ["Episode", "Series", "empty_series", "find_alarms", "find_rises"]

Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.bool_]

#: Days before the chart left 0 on which the change may have begun, and days of it that say when and how large.
_BEFORE, _AFTER = 14, 42
#: An alarm that comes back within so many days is the same one.
_AGAIN = 14


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """An alarm, by positions of days; `end` is the first day on which it is over, null while it is open."""

    alarm: int
    end: int | None
    begin: ChangeBegin
    first: int

    @property
    def begun(self) -> int:
        """The most likely day on which the change began."""
        return self.first + self.begin.day


@dataclass(slots=True, eq=False)
class Series:
    """One chart: arrays of shape (n_days,), null on days on which it was not kept (`there` false).

    `at_risk`, `observed`, `mean` and `variance` are of those whose return can be expected, `error` of the logarithm of
    the mean; `judged`: whether the day counts. `counted` are the rows observed, mean and variance of what the chart
    looks at: for all groups together those without an alarm, on days on which they are judged (their `looked_at`).
    `excluded`, `risen`: days that are not learnt from, within an alarm or a rise. `usual` are the first days on which
    an alarm was taken for the usual; `levels`: begin of each rise that was, and the day on which.
    """

    name: str
    there: Days
    at_risk: Floats
    observed: Floats
    mean: Floats
    variance: Floats
    error: Floats
    white: Floats
    slow: Floats
    rho: Floats
    score: Floats
    limit: Floats
    alarm: Days
    judged: Days
    looked_at: Days
    excluded: Days
    upper: Floats
    rising: Days
    risen: Days
    counted: Floats
    episodes: list[Episode] = field(default_factory=list)
    usual: list[int] = field(default_factory=list)
    levels: list[tuple[int, int]] = field(default_factory=list)
    law: DailyLaw | None = None

    def phi(self, days: slice | NDArray[np.int64]) -> Floats:
        """Variance over the mean of what the chart looks at, in the long run."""
        _, mean, variance = self.counted[:, days]
        hold = self.rho[days]
        lasting = self.white[days] + self.slow[days] * (1 + hold) / (1 - hold)
        phi: Floats = np.where(mean > 0, variance / np.maximum(mean, 1e-9), 1.0) + lasting * mean
        return phi

    def missing(self, episode: Episode, stop: int, level: float) -> tuple[float, float, float]:
        """Expected less observed from the day on which it began, with limits that count that it is not known."""
        days = slice(episode.first, stop)
        use = self.judged[days]
        observed, mean, _ = np.where(use, self.counted[:, days], 0.0)
        lower, upper = missing_limits(
            episode.begin.share,
            observed,
            mean,
            self.phi(days),
            level_error=float(self.error[days].mean()),
            level=level,
        )
        since = slice(episode.begin.day, None)
        missing = float(mean[since].sum() - observed[since].sum())
        return missing, min(lower, missing), max(upper, missing)


def empty_series(name: str, n_days: int) -> Series:
    """A chart before its first day."""

    def unknown() -> Floats:
        return np.full(n_days, np.nan)

    def no() -> Days:
        return np.zeros(n_days, dtype=bool)

    return Series(
        name=name, there=no(), at_risk=unknown(), observed=unknown(), mean=unknown(), variance=unknown(),
        error=unknown(), white=unknown(), slow=unknown(), rho=unknown(), score=unknown(), limit=unknown(), alarm=no(),
        judged=no(), looked_at=no(), excluded=no(), upper=unknown(), rising=no(), risen=no(),
        counted=np.zeros((3, n_days)),
    )  # fmt: skip


def find_alarms(each: Series, last: int, level: float) -> None:
    """Write down the alarms up to a day, with the day on which the change began, and the days not to learn from."""
    each.episodes.clear()
    each.excluded[:] = False
    for alarm, end in _joined(_spans(each.alarm, last, each.usual), each.usual):
        first = max(_left_zero(each.score, alarm) - _BEFORE, _began(each, alarm))
        first = max([first, *(old.end for old in each.episodes if old.end is not None)])
        stop = min(last + 1 if end is None else end, alarm + _AFTER)
        days = slice(first, max(stop, alarm + 1))
        use = each.judged[days]
        begin = change_begin(
            np.where(use, each.counted[0, days], 0.0),
            np.where(use, each.counted[1, days], 0.0),
            each.phi(days),
            level_error=float(each.error[days].mean()),
            level=level,
            latest=alarm - first,
        )
        each.episodes.append(Episode(alarm, end, begin, first))
        if end not in each.usual:
            each.excluded[first + begin.earliest : last + 1 if end is None else end] = True


def find_rises(each: Series, last: int) -> int | None:
    """Write down the days of rises up to a day; returns the first day of one that is open.

    What is over is taken to have lasted up to the day on which the evidence was highest.
    """
    each.risen[:] = False
    is_open = None
    taken = [day for _, day in each.levels]
    for rise, end in _spans(each.rising, last, taken):
        begin = max([_left_zero(each.upper, rise), *(day for day in taken if day <= rise)])
        if end is None:
            each.risen[begin : last + 1] = True
            is_open = begin
        elif end not in taken:
            highest = each.upper[rise:end]
            each.risen[begin : rise + int(np.flatnonzero(highest == highest.max())[-1]) + 1] = True
    return is_open


def _spans(flags: Days, last: int, breaks: list[int]) -> list[tuple[int, int | None]]:
    """First day and first day after each run of days up to `last`; a run is over at a break, too."""
    n_days = last + 1
    edges = np.diff(np.concatenate([[False], flags[:n_days], [False]]).astype(np.int64))
    starts, ends = set(np.flatnonzero(edges == 1).tolist()), set(np.flatnonzero(edges == -1).tolist())
    for day in breaks:
        if 0 < day <= last and flags[day - 1]:
            ends.add(day)
            if flags[day]:
                starts.add(day)
    # At the last day a run is open, unless the next day is a break.
    return [
        (start, None if end == n_days and end not in breaks else end)
        for start, end in zip(sorted(starts), sorted(ends), strict=True)
    ]


def _joined(spans: list[tuple[int, int | None]], usual: list[int]) -> list[tuple[int, int | None]]:
    """Runs that come back within two weeks are one; what was taken for the usual does not come back."""
    found: list[tuple[int, int | None]] = []
    for alarm, end in spans:
        before = found[-1][1] if found else None
        if before is not None and before not in usual and alarm - before < _AGAIN:
            found[-1] = (found[-1][0], end)
        else:
            found.append((alarm, end))
    return found


def _left_zero(score: Floats, day: int) -> int:
    """The first day since which a chart is above 0, up to a day; days without a chart count as 0."""
    zero = np.flatnonzero(~(score[:day] > 0))
    return int(zero[-1]) + 1 if zero.size else 0


def _began(each: Series, day: int) -> int:
    """The first day of the chart, without a gap up to a day."""
    gone = np.flatnonzero(~each.there[:day])
    return int(gone[-1]) + 1 if gone.size else 0
