"""The charts of the monitor: what is expected is learnt anew every four weeks, from days before without a change.

A change that is looked for must not be learnt: the two weeks before a fit, days within an alarm, and days that are left
out or belong to a kind of holiday never seen before are not learnt from; the latter two are not judged either.

The chart of all groups together leaves out groups that have an alarm of their own: what is known already is not told
twice, and does not hide what else happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.monitor_groups import ALL, CalendarTerms, WatchedGroup
from churnsurv.numerics.change_begin import ChangeBegin, change_begin
from churnsurv.numerics.cusum import DailyLaw, chart, cusum_limit, day_scores, excursions
from churnsurv.numerics.day_noise import fit_day_noise
from churnsurv.numerics.return_rate import ReturnRate, expected_returns, fit_return_rate

__all__ = ["GUARD", "REFIT", "Asked", "Charts", "Episode", "Series", "make_charts"]

Floats: TypeAlias = NDArray[np.float64]
Days: TypeAlias = NDArray[np.bool_]

#: Days from one fit to the next, and days before a fit that it does not learn from.
REFIT, GUARD = 28, 14
#: The noise is estimated, and limits are simulated, with every so many fits.
_FITS_A_LIMIT = 6
#: Limits are made for this share of the false alarms stated: no law of the noise is quite that of coming days, and it
#: makes an alarm later by hours.
_ALLOWED = 0.85
#: With fewer days to learn from the last fit is kept.
_FEWEST = 28
#: Days before the chart left 0 on which the change may have begun, and days of it that say when and how large.
_BEFORE, _AFTER = 14, 42
#: An alarm that comes back within so many days is the same one.
_AGAIN = 14


@dataclass(frozen=True, slots=True)
class Asked:
    """What the charts are made for.

    Attributes
    ----------
    train : int
        Days to learn from.
    first : int
        Position of the first day that is watched.
    origin : int
        Number of the day at position 0, counted from 1970: fits are on days whose number is a multiple of 28, so that
        what is said of a day does not change with the days that follow.
    ratio : float
        The drop, as a ratio of hazards.
    false_alarms : float
        A year, of all charts together.
    level : float
    seed : int
    n_years : int
        Simulated for each limit.
    """

    train: int
    first: int
    origin: int
    ratio: float
    false_alarms: float
    level: float
    seed: int
    n_years: int


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
    """One chart: arrays of shape (n_days,), null before the first day watched.

    `mean` and `variance` are of what is expected, `error` of its logarithm; `judged`: whether the day counts. `counted`
    are the rows observed, mean and variance of what the chart looks at: for all groups together those without an alarm.
    """

    name: str
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
    excluded: Days
    counted: Floats
    episodes: list[Episode] = field(default_factory=list)
    law: DailyLaw | None = None
    by_cell: Floats | None = None

    def phi(self, days: slice) -> Floats:
        """Variance over the mean of what the chart looks at, in the long run."""
        _, mean, variance = self.counted[:, days]
        hold = self.rho[days]
        lasting = self.white[days] + self.slow[days] * (1 + hold) / (1 - hold)
        phi: Floats = np.where(mean > 0, variance / np.maximum(mean, 1e-9), 1.0) + lasting * mean
        return phi


@dataclass(frozen=True, slots=True, eq=False)
class Charts:
    """All charts, and how many fits they took."""

    series: tuple[Series, ...]
    groups: tuple[Series, ...]
    n_fits: int
    kept_fits: int


def make_charts(groups: Sequence[WatchedGroup], calendar: CalendarTerms, left_out: Days, asked: Asked) -> Charts:
    """Watch every group with a chart, and all of them together.

    Parameters
    ----------
    groups : sequence of WatchedGroup
    calendar : CalendarTerms
    left_out : (n_days,) bool
        Days that are neither learnt from nor judged.
    asked : Asked
    """
    n_days = left_out.size
    parts = [_series(group.name, group.returned.sum(axis=1), n_days) for group in groups]
    for part, group in zip(parts, groups, strict=True):
        part.by_cell = np.zeros(group.at_risk.shape)
    together = [] if len(parts) == 1 else [_series(ALL, np.sum([part.observed for part in parts], axis=0), n_days)]
    watched = [part for part, group in zip(parts, groups, strict=True) if group.alone or not together] + together
    fits: list[ReturnRate | None] = [None] * len(groups)
    middles, kept, quiet = [0.0] * len(groups), 0, [True] * len(groups)
    blocks = _blocks(asked, n_days)
    for number, block in blocks:
        start = int(block[0])
        past = np.arange(max(0, start - GUARD - asked.train), start - GUARD)
        new = left_out[block] | (calendar.holiday[block] @ (calendar.holiday[past].sum(axis=0) == 0) > 0)
        alarmed = together[0].excluded if together else np.zeros(n_days, dtype=bool)
        residuals = []
        for place, (part, group) in enumerate(zip(parts, groups, strict=True)):
            learnt = past[~(left_out | part.excluded | alarmed)[past]]
            if learnt.size >= _FEWEST or fits[place] is None:
                middles[place] = float(past.mean())
                terms = calendar.terms(learnt, middles[place])
                fits[place] = fit_return_rate(group.at_risk[learnt], group.returned[learnt], terms)
            else:
                kept += 1
            residuals.append(_expect(part, group, fits[place], calendar, middles[place], past, block, learnt))
        before, quiet = quiet, [not part.alarm[start - 1] for part in parts]
        if together:
            residuals.append(_expect_all(together[0], parts, residuals, quiet, block))
        for each in watched:
            place = parts.index(each) if each in parts else len(parts)
            each.counted[:, block] = _counted(each, parts, block)
            changed = each not in parts and quiet != before
            draw = _Draw(asked, number, watched.index(each), len(watched), changed)
            _judge(each, residuals[place], block, new, calendar.holiday[block].sum(axis=1) == 0, draw)
        for each in watched:
            _find_episodes(each, int(block[-1]), asked)
    return Charts(tuple(watched), tuple(parts), len(blocks), kept)


def _blocks(asked: Asked, n_days: int) -> list[tuple[int, NDArray[np.int64]]]:
    """The days from one fit to the next, and the number of the fit."""
    days = np.arange(asked.first, n_days)
    number = (days + asked.origin) // REFIT
    return [(int(each), days[number == each]) for each in np.unique(number)]


@dataclass(frozen=True, slots=True, eq=False)
class _Learnt:
    """The days learnt from, with what the fit says of them: positions, counts, mean and variance, number of terms."""

    days: NDArray[np.int64]
    observed: Floats
    mean: Floats
    variance: Floats
    n_terms: int


@dataclass(frozen=True, slots=True)
class _Draw:
    """Which limit is simulated: of the chart at `place` of `n_charts`, with the fit of this number.

    `changed`: whether the groups that the chart looks at are others than with the fit before.
    """

    asked: Asked
    number: int
    place: int
    n_charts: int
    changed: bool

    @property
    def anew(self) -> bool:
        """Whether this fit has a limit of its own."""
        first = (self.asked.first + self.asked.origin) // REFIT
        return self.number % _FITS_A_LIMIT == 0 or self.number == first or self.changed

    def limit(self, law: DailyLaw) -> float:
        """The limit that passes on average as many false alarms as the chart is allowed."""
        asked = self.asked
        rng = np.random.default_rng([asked.seed, self.number, self.place])
        peaks = excursions(law, ratio=asked.ratio, rng=rng, n_years=asked.n_years)
        allowed = _ALLOWED * asked.false_alarms / self.n_charts
        return cusum_limit(peaks, n_years=asked.n_years, false_alarms=allowed)


def _series(name: str, observed: NDArray[np.int64] | Floats, n_days: int) -> Series:
    def unknown() -> Floats:
        return np.full(n_days, np.nan)

    def no() -> Days:
        return np.zeros(n_days, dtype=bool)

    return Series(
        name=name, observed=np.asarray(observed, dtype=np.float64), mean=unknown(), variance=unknown(), error=unknown(),
        white=unknown(), slow=unknown(), rho=unknown(), score=unknown(), limit=unknown(), alarm=no(), judged=no(),
        excluded=no(), counted=np.zeros((3, n_days)),
    )  # fmt: skip


def _counted(each: Series, parts: Sequence[Series], block: NDArray[np.int64]) -> Floats:
    """What the chart looks at: (3, n_days)."""
    if each in parts:
        return np.stack([each.observed[block], each.mean[block], each.variance[block]])
    quiet = [~part.alarm[block] for part in parts]
    return np.stack(
        [
            np.sum([getattr(part, name)[block] * there for part, there in zip(parts, quiet, strict=True)], axis=0)
            for name in ("observed", "mean", "variance")
        ]
    )


def _expect(
    part: Series,
    group: WatchedGroup,
    fit: ReturnRate | None,
    calendar: CalendarTerms,
    middle: float,
    past: NDArray[np.int64],
    block: NDArray[np.int64],
    learnt: NDArray[np.int64],
) -> _Learnt:
    """Write down what is expected of the coming days, and return what the days before were like."""
    assert fit is not None  # noqa: S101
    assert part.by_cell is not None  # noqa: S101
    coming = expected_returns(fit, group.at_risk[block], calendar.terms(block, middle))
    part.mean[block], part.variance[block], part.error[block] = coming.mean, coming.variance, coming.error
    part.by_cell[block] = coming.by_cell
    before = expected_returns(fit, group.at_risk[past], calendar.terms(past, middle))
    seen = np.isin(past, learnt)
    observed = np.where(seen, part.observed[past], np.nan)
    return _Learnt(past, observed, before.mean, before.variance, fit.coefficients.size + 1)


def _expect_all(
    part: Series, parts: Sequence[Series], learnt: Sequence[_Learnt], quiet: Sequence[bool], block: NDArray[np.int64]
) -> _Learnt:
    """The same for all groups together; how days vary, and the error, are those of the groups without an alarm."""
    part.mean[block] = np.sum([each.mean[block] for each in parts], axis=0)
    part.variance[block] = np.sum([each.variance[block] for each in parts], axis=0)
    used = [place for place, calm in enumerate(quiet) if calm] or list(range(len(parts)))
    mean = np.sum([parts[place].mean[block] for place in used], axis=0)
    squares = np.sum([parts[place].error[block] * parts[place].mean[block] ** 2 for place in used], axis=0)
    part.error[block] = squares / np.maximum(mean, 1e-9) ** 2

    def total(name: str) -> Floats:
        return np.asarray(np.sum([getattr(learnt[place], name) for place in used], axis=0), dtype=np.float64)

    return _Learnt(learnt[0].days, total("observed"), total("mean"), total("variance"), learnt[0].n_terms)


def _judge(each: Series, learnt: _Learnt, block: NDArray[np.int64], new: Days, ordinary: Days, draw: _Draw) -> None:
    """Carry a chart on over the days of a block; `new`: not judged, `ordinary`: no holiday."""
    before = int(block[0]) - 1
    if draw.anew or each.law is None:
        laws = fit_day_noise(learnt.observed, learnt.mean, learnt.variance, n_terms=learnt.n_terms)
    else:
        laws = each.law.noise
    noise = laws.mean
    each.white[block], each.slow[block], each.rho[block] = noise.white, noise.slow, noise.rho
    # The error of the expectation is that of days which hang together, where they do.
    share = float((learnt.variance / np.maximum(learnt.mean, 1e-9)).mean())
    each.error[block] *= max(share + noise.in_the_long_run() * float(learnt.mean.mean()), 1.0)
    if draw.anew:
        week = block[ordinary][: 7 * max(1, int(ordinary.sum()) // 7)] if ordinary.any() else block
        each.law = DailyLaw(each.counted[1, week], each.counted[2, week], laws, float(each.error[block].mean()))
        each.limit[block] = draw.limit(each.law)
    else:
        each.limit[block] = each.limit[before]
    each.judged[block] = ~new
    observed, mean, variance = each.counted[:, block]
    scores = np.where(new, 0.0, day_scores(observed, mean, variance, noise, draw.asked.ratio))
    begun = before >= draw.asked.first
    made = chart(
        scores,
        each.limit[block],
        start=float(each.score[before]) if begun else 0.0,
        alarmed=bool(each.alarm[before]) if begun else False,
    )
    each.score[block], each.alarm[block] = made.score, made.alarm


def _find_episodes(each: Series, last: int, asked: Asked) -> None:
    """Write down the alarms so far, with the day on which the change began, and the days not to learn from."""
    rising = np.flatnonzero(np.diff(np.concatenate([[False], each.alarm[: last + 1]]).astype(int)) == 1)
    each.episodes.clear()
    each.excluded[:] = False
    spans: list[tuple[int, int | None]] = []
    for alarm in rising.tolist():
        over = np.flatnonzero(~each.alarm[alarm : last + 1])
        end = alarm + int(over[0]) if over.size else None
        if spans and spans[-1][1] is not None and alarm - spans[-1][1] < _AGAIN:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((alarm, end))
    for alarm, end in spans:
        zero = np.flatnonzero(each.score[asked.first : alarm] == 0)
        left_zero = asked.first + (int(zero[-1]) + 1 if zero.size else 0)
        earlier = max((old.end or 0 for old in each.episodes), default=0)
        first = max(asked.first, earlier, left_zero - _BEFORE)
        stop = min(last + 1 if end is None else end, alarm + _AFTER)
        days = slice(first, max(stop, alarm + 1))
        use = each.judged[days]
        begin = change_begin(
            np.where(use, each.counted[0, days], 0.0),
            np.where(use, each.counted[1, days], 0.0),
            each.phi(days),
            level_error=float(each.error[days].mean()),
            level=asked.level,
            latest=alarm - first,
        )
        each.episodes.append(Episode(alarm, end, begin, first))
        each.excluded[first + begin.earliest : last + 1 if end is None else end] = True
