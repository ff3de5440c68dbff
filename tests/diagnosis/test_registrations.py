"""The regression behind the bursts: by hand, against refitting, and on series whose bursts are known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from churnsurv.diagnosis.registrations import _fit, adjusted_by_run, search_bursts
from churnsurv.diagnosis.season import season_design
from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.count_tails import estimated_tail, upper_tail

MONDAY = date(2024, 1, 1)
WEEKDAYS = np.array([1.1, 1.1, 1.1, 1.0, 1.2, 0.7, 0.8])


def series(seed: int, n_days: int = 200, level: float = 20.0, extra: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    day = np.arange(n_days)
    mean = level * np.exp(0.3 * np.sin(day / 60)) * WEEKDAYS[day % 7]
    return rng.poisson(mean * (rng.gamma(1 / extra, extra, n_days) if extra else 1.0))


def test_three_weeks_worked_by_hand() -> None:
    """20 days of 10 and one of 40: without it the level is 10, known to a variance of 1/200 of its logarithm."""
    counts = np.full(21, 10)
    counts[0] = 40
    found = search_bursts(counts, MONDAY, units=["day"])
    assert np.flatnonzero(found.burst).tolist() == [0]
    assert found.design.said == ("a constant level",)
    assert found.expected == pytest.approx(np.full(21, 10.0), rel=1e-9)
    assert found.extra == 0
    tail = stats.nbinom.sf(39, 200, 1 / (1 + 10 / 200))
    assert found.day_p[0] == pytest.approx(stats.t.sf(stats.norm.isf(tail), 19), rel=1e-6)
    assert found.day_adjusted[0] == pytest.approx(21 * found.day_p[0], rel=1e-9)
    assert found.spread(found.burst) == pytest.approx((10.0, 1 / 200), rel=1e-9)


def test_the_expectation_is_the_regression_on_the_other_days() -> None:
    counts = series(3, 70)
    counts[[10, 11, 30]] += 60
    found = search_bursts(counts, MONDAY)
    kept = np.ones(70, bool)
    kept[[10, 11, 30]] = False
    assert (found.reference == kept).all()
    day = np.arange(70)
    X = np.column_stack([np.ones(70), day, np.eye(7)[day % 7][:, 1:]])
    fit = sm.GLM(counts[kept], X[kept], sm.families.NegativeBinomial(alpha=found.extra)).fit(tol=1e-12)
    assert found.expected == pytest.approx(fit.predict(X), rel=1e-5)
    mean = fit.predict(X[kept])
    weight = mean / (1 + found.extra * mean)
    squares = (counts[kept] - mean) ** 2 / (mean + found.extra * mean**2)
    assert np.average(squares, weights=weight) == pytest.approx((kept.sum() - 8) / kept.sum(), rel=1e-4)


@pytest.mark.parametrize("day", [0, 33, 69])
def test_a_day_is_judged_by_the_other_days(day: int) -> None:
    """Left out for good, with everything fitted again but the dispersion, it has nearly the same p-value."""
    counts = series(3, 70)
    found = search_bursts(counts, MONDAY)
    assert found.reference.all()
    X, kept = found.design.columns, np.arange(70) != day
    fit = sm.GLM(counts[kept], X[kept], sm.families.NegativeBinomial(alpha=found.extra)).fit(tol=1e-12)
    mean, error = float(np.exp(X[day] @ fit.params)), float(X[day] @ fit.normalized_cov_params @ X[day])
    tail = upper_tail(np.array([counts[day]]), np.array([mean]), np.array([found.extra + error]))
    again = estimated_tail(tail, int(kept.sum()) + 1 - X.shape[1])
    assert found.day_p[day] == pytest.approx(again[0], abs=0.02)


def test_planted_bursts_are_found_and_little_else() -> None:
    """A first day, a week, a single day: three times as many as usual. Fixed seeds."""
    planted = np.zeros(200, dtype=bool)
    planted[[0, *range(100, 107), 150]] = True
    recall, false = [], []
    for seed in range(12):
        counts = series(seed)
        counts[planted] += np.random.default_rng(seed).poisson(60, int(planted.sum()))
        burst = search_bursts(counts, MONDAY).burst
        recall.append(burst[planted].mean())
        false.append((burst & ~planted).sum() / max(1, burst.sum()))
    assert np.mean(recall) > 0.97
    assert np.mean(false) < 0.05


@pytest.mark.parametrize(("level", "extra"), [(20.0, 0.05), (1.0, 0.0)])
def test_a_series_without_bursts_shows_one_at_most_as_often_as_asked_for(level: float, extra: float) -> None:
    """At 5 %, more than 6 of 40 series has a probability of 0.3 %."""
    found = [search_bursts(series(1000 + seed, 90, level, extra), MONDAY).burst.any() for seed in range(40)]
    assert sum(found) <= 6


def test_a_long_burst_hides_neither_itself_nor_its_neighbours() -> None:
    counts = series(5, 90)
    counts[30:45] *= 6
    counts[46] *= 3
    found = search_bursts(counts, MONDAY)
    assert set(range(30, 45)) | {46} <= set(np.flatnonzero(found.burst))
    assert found.expected[30:45].mean() < 1.5 * counts[np.r_[:30, 47:90]].mean()


def test_a_week_stands_out_where_none_of_its_days_does() -> None:
    counts = np.tile([20, 19, 21, 20, 22, 18, 20], 20)
    counts[:70] += np.tile([1, -1], 35)
    counts[70:77] += 9
    found = search_bursts(counts, MONDAY)
    assert not found.day_burst.any()
    assert np.flatnonzero(found.week_burst).tolist() == [10]
    assert np.flatnonzero(found.burst).tolist() == list(range(70, 77))


def test_with_days_and_weeks_each_has_half_of_alpha() -> None:
    counts = series(7, 90)
    alone, both = search_bursts(counts, MONDAY, units=["day"]), search_bursts(counts, MONDAY)
    assert both.day_p == pytest.approx(alone.day_p)
    assert both.day_adjusted == pytest.approx(np.minimum(2 * alone.day_adjusted, 1))
    assert np.isnan(alone.week_p).all()


def test_false_bursts_do_not_pass_behind_a_long_one() -> None:
    """Day by day 7 true findings make room for false ones; run by run the share of false bursts is held."""
    false = []
    for seed in range(25):
        counts = np.random.default_rng(seed).poisson(8, 120)
        counts[50:57] += 40
        burst = search_bursts(counts, MONDAY).burst
        runs = np.flatnonzero(np.diff(np.concatenate([[0], burst.astype(int)])) == 1)
        false.append((runs < 50).sum() / max(1, runs.size) + (runs > 57).sum() / max(1, runs.size))
        assert burst[50:57].all()
    assert np.mean(false) <= 0.06


def test_runs_count_once_worked_by_hand() -> None:
    """Five places; the first two are a run: groups have 2 * 0.001, 0.04, 0.5, 0.6, of which 0.04 ranks second of 4."""
    p = np.array([0.001, 0.002, 0.5, 0.04, 0.6])
    assert adjusted_by_run(p, "fdr_bh", 0.05).round(6).tolist() == [0.008, 0.008, 0.6, 0.08, 0.6]
    assert adjusted_by_run(np.array([0.01, np.nan, 0.9]), "bonferroni", 0.05).tolist()[::2] == [0.02, 1.0]


def test_a_weekday_that_never_registers_anybody_is_no_obstacle() -> None:
    counts = series(3, 84)
    counts[6::7] = 0
    found = search_bursts(counts, MONDAY)
    assert not found.burst.any()
    assert found.expected[6::7].max() < 0.1
    counts[41] = 12
    assert np.flatnonzero(search_bursts(counts, MONDAY).burst).tolist() == [41]


def test_rare_registrations_with_many_empty_days() -> None:
    counts = np.zeros(120, dtype=np.int64)
    counts[::4] = 1
    assert not search_bursts(counts, MONDAY).burst.any()
    counts[60] = 9
    found = search_bursts(counts, MONDAY)
    assert np.flatnonzero(found.burst).tolist() == [60]


def test_terms_by_length_and_number() -> None:
    assert season_design(MONDAY, 27, 10_000).columns.shape == (27, 1)
    assert season_design(MONDAY, 28, 10_000).columns.shape == (28, 8)
    assert season_design(MONDAY, 28, 99).said == ("a straight trend",)
    assert season_design(MONDAY, 365, 10_000).columns.shape == (365, 12)
    assert season_design(MONDAY, 366, 10_000).said[1] == "two yearly waves"
    wednesday = season_design(date(2024, 1, 3), 12, 100)
    assert wednesday.weekday[:6].tolist() == [2, 3, 4, 5, 6, 0]
    assert wednesday.week.tolist() == [0] * 5 + [1] * 7


def test_a_yearly_season_is_no_burst() -> None:
    day = np.arange(500)
    rng = np.random.default_rng(4)
    counts = rng.poisson(30 * np.exp(0.7 * np.cos(2 * np.pi * day / 365.25)) * WEEKDAYS[day % 7])
    assert search_bursts(counts, MONDAY).burst.mean() < 0.01


def test_without_enough_other_days_there_is_no_reference() -> None:
    counts = series(0, 60).astype(float)
    design = season_design(MONDAY, 60, 1000)
    for kept in (np.arange(60) < 29, np.arange(60) % 7 != 3):
        with pytest.raises(ConvergenceError, match="there is no reference"):
            _fit(counts, design, kept)


def test_weeks_alone_need_eight_of_them() -> None:
    with pytest.raises(InputError, match="8 calendar weeks"):
        search_bursts(series(0, 40), MONDAY, units=["week"])


@pytest.mark.parametrize("level", [0.05, 0.27, 1.0])
def test_rare_registrations_are_no_bursts_one_by_one(level: float) -> None:
    """Where most days have none, days with one are ordinary: they are not trimmed away from the first reference."""
    found = []
    for seed in range(8):
        counts = np.random.default_rng(seed).poisson(level, 800)
        counts[400:407] += 4
        search = search_bursts(counts, MONDAY)
        assert search.burst[400:407].sum() >= 5
        assert search.expected.sum() == pytest.approx(800 * level, rel=0.3)
        found.append(np.delete(search.burst, slice(393, 414)).any())
    assert sum(found) <= 2


def test_days_with_hardly_any_registrations_do_not_settle_the_dispersion() -> None:
    """Nobody registers on a Sunday, but five once: the other days vary as Poisson counts do."""
    counts = np.random.default_rng(0).poisson(50, 140)
    counts[6::7] = 0
    counts[27] = 5
    found = search_bursts(counts, MONDAY)
    assert found.extra < 0.01
    assert np.flatnonzero(found.burst).tolist() == [27]
    counts[[66, 67]] += 45
    assert np.flatnonzero(search_bursts(counts, MONDAY).burst).tolist() == [27, 66, 67]


def test_large_counts_are_fitted_too() -> None:
    counts = series(1, 300, level=40_000.0, extra=0.02)
    counts[100:103] *= 3
    found = search_bursts(counts, MONDAY)
    assert found.burst[100:103].all()
    assert found.burst.sum() <= 5
    assert found.extra == pytest.approx(0.02, rel=0.4)
