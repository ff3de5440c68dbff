"""The charts of the monitor: what is expected is learnt anew every four weeks, from days before without a change.

They are kept from the first day that there is enough to learn from, whichever days are asked for, and everything that
is decided on fixed days of the calendar is decided from the days before: so what is said of a day does not change with
the days that follow, and an alarm has the same beginning as long as it lasts.

The chart of all groups together leaves out groups that have an alarm of their own: what is known already is not told
twice, and does not hide what else happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_groups import ALL, CalendarTerms, CountRows, WatchedGroup, watched_groups
from churnsurv.diagnosis.monitor_learning import GUARD, REFIT, History, Learner, Learnt, together
from churnsurv.diagnosis.monitor_series import Series, empty_series, find_alarms, find_rises
from churnsurv.numerics.cusum import (
    DailyLaw,
    chart,
    cusum_limit,
    day_scores,
    excursions,
    is_extrapolated,
    rise_scores,
)
from churnsurv.numerics.day_noise import DayNoise, NoiseLaws, fit_day_noise

__all__ = ["GUARD", "REFIT", "Asked", "Charts", "extrapolated", "fit_days", "make_charts"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Days: TypeAlias = NDArray[np.bool_]

#: Groups are sized, the noise is estimated, and limits are simulated, with every so many fits.
_FITS_A_LIMIT = 6
#: Limits are made for this share of the false alarms stated: no law of the noise is quite that of coming days, and it
#: makes an alarm later by hours.
_ALLOWED = 0.85
#: Evidence of a rise must be so many times that of a drop: it tells nobody, and one too many leaves good days out.
_RISE = 2.0
#: With fewer days the noise stays as it was estimated.
_FEWEST_DAYS = 28


@dataclass(frozen=True, slots=True)
class Asked:
    """What the charts are made for.

    Attributes
    ----------
    train : int
        Days to learn from.
    begin : int
        Position of the first day of the charts.
    first : int
        Position of the first day that is told.
    origin : int
        Number of the day at position 0, counted from 1970: fits are on days whose number is a multiple of 28.
    ratio : float
        The drop, as a ratio of hazards.
    false_alarms : float
        A year, of all charts together.
    min_users : int
        Users at risk on a mean day that a group must have to be watched alone.
    level : float
    seed : int
    n_years : int
        Simulated for each limit.
    """

    train: int
    begin: int
    first: int
    origin: int
    ratio: float
    false_alarms: float
    min_users: int
    level: float
    seed: int
    n_years: int

    def allowed(self, n_charts: int) -> float:
        """False alarms that each of so many charts is allowed a year."""
        return self.false_alarms / n_charts


@dataclass(frozen=True, slots=True, eq=False)
class Charts:
    """All charts, and how they came about.

    Attributes
    ----------
    series : tuple of Series
        Those of the last day first, then others that were kept on days told.
    current : int
        How many of them are of the last day.
    learners : tuple of Learner
        The groups of the last day.
    history : History
    kept : tuple of (str, int)
        Groups whose expectation could not be learnt anew, and on which day.
    """

    series: tuple[Series, ...]
    current: int
    learners: tuple[Learner, ...]
    history: History
    kept: tuple[tuple[str, int], ...]
    _parts: Mapping[str, Series]

    def part(self, name: str) -> Series:
        """A group of the last day, or of any before."""
        return self._parts[name]

    def rows_of(self, name: str) -> Ints:
        """The rows of the counts that a chart of the last day is about."""
        found = [each.rows for each in self.learners if name in (each.group.name, ALL)]
        return np.concatenate(found)

    def there(self, values: Sequence[str]) -> list[str]:
        """Those of some values that anybody has had so far."""
        rows = self.history.rows
        return [value for value in values if rows.users[rows.places[value]].any()]


def fit_days(first: int, origin: int, n_days: int) -> Iterator[tuple[int, Ints]]:
    """The number of each fit from a day on, and the days up to the next one.

    Examples
    --------
    >>> [(number, days.tolist()[::27]) for number, days in fit_days(20, 0, 60)]
    [(0, [20]), (1, [28, 55]), (2, [56])]
    """
    days = np.arange(first, n_days)
    number = (days + origin) // REFIT
    for each in np.unique(number):
        yield int(each), days[number == each]


def make_charts(rows: CountRows, calendar: CalendarTerms, left_out: Days, asked: Asked) -> Charts:
    """Watch every group with a chart, and all of them together.

    Parameters
    ----------
    rows : CountRows
    calendar : CalendarTerms
    left_out : (n_days,) bool
        Days that are neither learnt from nor judged.
    asked : Asked
    """
    shape = rows.users.shape
    history = History(rows, calendar, left_out, asked.train, np.zeros(shape), np.full(shape, -1))
    run = _Run(history, asked)
    for number, block in fit_days(asked.begin, asked.origin, left_out.size):
        run.keep(number, block)
    current = run.watched()
    told = [each for each in run.series.values() if each not in current and each.there[asked.first :].any()]
    return Charts((*current, *told), len(current), tuple(run.learners), history, tuple(run.kept), run.series)


@dataclass(slots=True, eq=False)
class _Run:
    """The charts so far."""

    history: History
    asked: Asked
    series: dict[str, Series] = field(default_factory=dict)
    learners: list[Learner] = field(default_factory=list)
    quiet: tuple[str, ...] = ()
    kept: list[tuple[str, int]] = field(default_factory=list)

    def keep(self, number: int, block: Ints) -> None:
        """Carry all charts on over the days from one fit to the next."""
        start = int(block[0])
        anew = number % _FITS_A_LIMIT == 0 or start == self.asked.begin
        self._take_for_usual(start)
        if anew:
            self._group(start)
        whole, alarmed = self._whole(), self._alarmed()
        learnt: dict[str, Learnt] = {}
        for learner in self.learners:
            if learner.learn(self.history, start, alarmed):
                self.kept.append((learner.part.name, start))
            learnt[learner.part.name] = learner.expect(self.history, block, learner.learnt_from(self.history, alarmed))
        calm = [each.part for each in self.learners if not each.part.alarm[start - 1] and each.part.judged[block].any()]
        before, self.quiet = self.quiet, tuple(part.name for part in calm)
        if whole is not None:
            used = self.quiet or tuple(learnt)
            learnt[ALL] = together([learnt[name] for name in used])
            self._expect_whole(whole, used, block)
        charts = self.watched()
        for place, each in enumerate(charts):
            each.counted[:, block] = self._counted(each, block)
            changed = each is whole and self.quiet != before
            draw = _Draw(self.asked, number, place, len(charts), anew or changed)
            _judge(each, learnt[each.name], block, self.history, draw, rises=each is not whole)
        for each in charts:
            find_alarms(each, int(block[-1]), self.asked.level)
            find_rises(each, int(block[-1]))

    def watched(self) -> list[Series]:
        """The charts that are kept: of groups large enough, and of all together where there are several."""
        whole = self._whole()
        parts = [each.part for each in self.learners if each.group.alone or whole is None]
        return [*parts, *([] if whole is None else [whole])]

    def _whole(self) -> Series | None:
        """The chart of all groups together."""
        return self._series(ALL) if len(self.learners) > 1 else None

    def _alarmed(self) -> Days:
        whole = self._whole()
        return np.zeros(self.history.left_out.size, dtype=bool) if whole is None else whole.excluded

    def _series(self, name: str) -> Series:
        if name not in self.series:
            self.series[name] = empty_series(name, self.history.left_out.size)
        return self.series[name]

    def _take_for_usual(self, start: int) -> None:
        """End alarms that have lasted for as long as there is to learn from: nothing else is known any more."""
        for each in self.series.values():
            last = each.episodes[-1] if each.episodes else None
            if last is not None and last.end is None and start - last.alarm >= self.asked.train + GUARD:
                each.usual.append(start)
                find_alarms(each, start - 1, self.asked.level)

    def _group(self, start: int) -> None:
        """Size the groups by four weeks of the days that may be learnt from; those with an alarm stay as they are."""
        rows, asked = self.history.rows, self.asked
        days = slice(start - GUARD - REFIT, start - GUARD)
        values = list(rows.places)
        known = dict(zip(values, self.history.known(values, start), strict=True))
        sizes = {
            value: float(rows.users[place, days].sum()) / REFIT if known[value] else 0.0
            for value, place in rows.places.items()
        }
        before = {each.group.name: each for each in self.learners}
        groups = watched_groups(
            sizes,
            min_users=asked.min_users,
            by_value=rows.by_value,
            before=[each.group for each in self.learners],
            held={name for name, each in before.items() if each.part.alarm[start - 1] and not self._ended(each, start)},
        )
        self.learners = [self._learner(group, before) for group in groups]
        self.history.names.extend(group.name for group in groups if group.name not in self.history.names)

    @staticmethod
    def _ended(learner: Learner, start: int) -> bool:
        return start in learner.part.usual

    def _learner(self, group: WatchedGroup, before: dict[str, Learner]) -> Learner:
        """The learner of a group, that of before where it is made of the same values."""
        old = before.get(group.name)
        if old is not None and set(old.group.values) == set(group.values):
            old.group = group
            return old
        avoid = np.zeros(self.history.left_out.size, dtype=bool)
        for each in before.values():
            if each.group.name != group.name and set(group.values) <= set(each.group.values):
                avoid |= each.part.excluded | each.part.risen | each.avoid
        rows = np.sort(self.history.rows.of(group.values))
        return Learner(group, self._series(group.name), rows, self.history.rows.cells(rows), avoid)

    def _expect_whole(self, whole: Series, used: tuple[str, ...], block: Ints) -> None:
        """The same for all groups together; how days vary, and the error, are those of the groups without an alarm."""
        parts = [each.part for each in self.learners]
        for name in ("at_risk", "observed", "mean", "variance"):
            getattr(whole, name)[block] = np.sum([getattr(part, name)[block] for part in parts], axis=0)
        calm = [part for part in parts if part.name in used]
        mean = np.sum([part.mean[block] for part in calm], axis=0)
        squares = np.sum([part.error[block] * part.mean[block] ** 2 for part in calm], axis=0)
        whole.error[block] = squares / np.maximum(mean, 1e-9) ** 2

    def _counted(self, each: Series, block: Ints) -> Floats:
        """What the chart looks at: (3, n_days)."""
        names = ("observed", "mean", "variance")
        if each.name != ALL or each is not self._whole():
            return np.stack([getattr(each, name)[block] for name in names])
        parts = [learner.part for learner in self.learners]
        for part in parts:
            part.looked_at[block] = part.judged[block] & ~part.alarm[block]
        each.judged[block] = np.any([part.looked_at[block] for part in parts], axis=0)
        return np.stack(
            [np.sum([getattr(part, name)[block] * part.looked_at[block] for part in parts], axis=0) for name in names]
        )


@dataclass(frozen=True, slots=True)
class _Draw:
    """Which limit is simulated: of the chart at `place` of `n_charts`, with the fit of this number, if it is `anew`."""

    asked: Asked
    number: int
    place: int
    n_charts: int
    anew: bool

    def limit(self, law: DailyLaw) -> float:
        """The limit that passes on average as many false alarms as the chart is allowed."""
        asked = self.asked
        rng = np.random.default_rng([asked.seed, self.number, self.place])
        peaks = excursions(law, ratio=asked.ratio, rng=rng, n_years=asked.n_years)
        allowed = _ALLOWED * asked.allowed(self.n_charts)
        return cusum_limit(peaks, n_years=asked.n_years, false_alarms=allowed)


def extrapolated(asked: Asked, n_charts: int) -> bool:
    """Whether limits go beyond what simulated years show."""
    return is_extrapolated(n_years=asked.n_years, false_alarms=_ALLOWED * asked.allowed(n_charts))


def _judge(each: Series, learnt: Learnt, block: Ints, history: History, draw: _Draw, *, rises: bool) -> None:
    """Carry a chart on over the days of a block."""
    before = int(block[0]) - 1
    goes_on = bool(each.there[before])
    anew = draw.anew or each.law is None or not goes_on
    known = int(np.isfinite(learnt.observed).sum())
    if each.law is None or (anew and known >= _FEWEST_DAYS):
        laws = fit_day_noise(learnt.observed, learnt.mean, learnt.variance, n_terms=learnt.n_terms)
    else:
        laws = each.law.noise
    noise = laws.mean
    each.there[block] = True
    each.white[block], each.slow[block], each.rho[block] = noise.white, noise.slow, noise.rho
    # The error of the expectation is that of days which hang together, where they do.
    share = float((learnt.variance / np.maximum(learnt.mean, 1e-9)).mean())
    inflation = max(share + noise.in_the_long_run() * float(learnt.mean.mean()), 1.0)
    each.error[block] *= inflation
    if anew:
        each.law = _law(learnt, laws, block, history, inflation)
        each.limit[block] = draw.limit(each.law)
    else:
        each.limit[block] = each.limit[before]
    _carry_on(each, block, draw.asked.ratio, goes_on=goes_on, rises=rises)


def _law(learnt: Learnt, laws: NoiseLaws, block: Ints, history: History, inflation: float) -> DailyLaw:
    """The law of coming days: as many whole weeks of ordinary days as there are in the four weeks before."""
    recent = np.arange(int(block[0]) - REFIT, int(block[0]))
    ordinary = history.calendar.holiday[recent].sum(axis=1) == 0
    week = np.flatnonzero(ordinary)[: 7 * max(1, int(ordinary.sum()) // 7)] if ordinary.any() else slice(None)
    error = float((inflation * learnt.recent_error[week]).mean())
    return DailyLaw(learnt.recent_mean[week], learnt.recent_variance[week], laws, error)


def _carry_on(each: Series, block: Ints, ratio: float, *, goes_on: bool, rises: bool) -> None:
    """Add up the evidence of the days. A limit that is renewed moves no chart nearer to it or farther away."""
    start = int(block[0])
    before, limit = start - 1, each.limit[block]
    noise = DayNoise(float(each.white[start]), float(each.slow[start]), float(each.rho[start]))
    judged, (observed, mean, variance) = each.judged[block], each.counted[:, block]
    scale = limit[0] / each.limit[before] if goes_on else 1.0
    fresh = not goes_on or start in each.usual
    made = chart(
        np.where(judged, day_scores(observed, mean, variance, noise, ratio), 0.0),
        limit,
        start=0.0 if fresh else scale * float(each.score[before]),
        alarmed=not fresh and bool(each.alarm[before]),
    )
    each.score[block], each.alarm[block] = made.score, made.alarm
    if rises:
        fresh = not goes_on or any(day == start for _, day in each.levels)
        made = chart(
            np.where(judged, rise_scores(observed, mean, variance, noise, ratio), 0.0),
            _RISE * limit,
            start=0.0 if fresh else scale * float(each.upper[before]),
            alarmed=not fresh and bool(each.rising[before]),
        )
        each.upper[block], each.rising[block] = made.score, made.alarm
