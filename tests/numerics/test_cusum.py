"""What the churn monitor is made of: expected returns, the noise of days, the chart and its limits, and the change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from churnsurv.numerics.change_begin import change_begin, missing_limits, ratio_limits
from churnsurv.numerics.cusum import (
    DailyLaw,
    chart,
    cusum_limit,
    day_scores,
    days_to_alarm,
    excursions,
    rise_scores,
)
from churnsurv.numerics.day_noise import DayNoise, NoiseLaws, fit_day_noise, noise_likelihood
from churnsurv.numerics.return_rate import expected_returns, fit_return_rate

CALM = DayNoise(0.0, 0.0, 0.0)


def alone(noise: DayNoise) -> NoiseLaws:
    """Noise that is known."""
    return NoiseLaws(np.array([[noise.white, noise.slow, noise.rho]]), np.ones(1), noise, lasts=noise.slow > 0)


def counts(seed: int = 1, days: int = 60, cells: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    at_risk = rng.integers(20, 200, (days, cells))
    terms = np.column_stack([rng.normal(size=days), np.arange(days) / days])
    chance = np.linspace(0.05, 0.3, cells) * np.exp(terms @ [0.15, -0.2])[:, None]
    return at_risk, rng.binomial(at_risk, chance), terms


def test_the_rate_is_that_of_a_poisson_regression_with_a_level_for_each_cell() -> None:
    import statsmodels.api as sm

    at_risk, returned, terms = counts()
    days, cells = at_risk.shape
    fit = fit_return_rate(at_risk, returned, terms)
    levels = np.tile(np.eye(cells), (days, 1))
    design = np.column_stack([levels, np.repeat(terms, cells, axis=0)])
    model = sm.GLM(returned.ravel(), design, sm.families.Poisson(), offset=np.log(at_risk.ravel()))
    theirs = model.fit(tol=1e-14, maxiter=100)
    np.testing.assert_allclose(fit.level, np.exp(theirs.params[:cells]), rtol=1e-9)
    np.testing.assert_allclose(fit.coefficients, theirs.params[cells:], rtol=1e-8)
    covariance = theirs.cov_params()
    np.testing.assert_allclose(fit.covariance, covariance[cells:, cells:], rtol=1e-7)
    coming = expected_returns(fit, at_risk[:3] + 7, terms[:3] + 0.5)
    for day in range(3):
        rows = np.column_stack([np.eye(cells), np.tile(terms[day] + 0.5, (cells, 1))])
        mean = (at_risk[day] + 7) * np.exp(rows @ theirs.params)
        gradient = (mean @ rows) / mean.sum()
        assert coming.mean[day] == pytest.approx(mean.sum(), rel=1e-9)
        assert coming.error[day] == pytest.approx(gradient @ covariance @ gradient, rel=1e-6)
        assert coming.variance[day] == pytest.approx((mean * (1 - mean / (at_risk[day] + 7))).sum(), rel=1e-9)
    np.testing.assert_allclose(coming.by_cell.sum(axis=1), coming.mean, rtol=1e-12)


def test_a_rate_of_nothing_and_a_term_that_does_not_vary() -> None:
    at_risk, returned, terms = counts()
    nothing = fit_return_rate(at_risk, np.zeros_like(returned), terms)
    assert not expected_returns(nothing, at_risk, terms).mean.any()
    still = fit_return_rate(at_risk, returned, np.column_stack([terms, np.zeros(len(terms))]))
    assert still.coefficients[2] == 0
    np.testing.assert_allclose(still.coefficients[:2], fit_return_rate(at_risk, returned, terms).coefficients)
    empty = np.column_stack([at_risk, np.zeros(len(at_risk), dtype=int)])
    unseen = fit_return_rate(empty, np.column_stack([returned, np.zeros(len(at_risk), dtype=int)]), terms)
    assert unseen.level[-1] == pytest.approx(
        returned.sum() / (at_risk * np.exp(terms @ unseen.coefficients)[:, None]).sum()
    )
    # all users on one day: what rounding leaves of the information has no inverse
    one, terms = np.where(np.arange(len(terms))[:, None] == 7, at_risk, 0), terms + 1 / 3
    alone = fit_return_rate(one, np.minimum(one, returned + 1), terms)
    assert not alone.covariance.any()
    assert (expected_returns(alone, at_risk, terms).error > 0).all()


@pytest.mark.parametrize("law", [(0.0, 0.0, 0.0), (0.01, 0.0, 0.0), (0.01, 0.02, 0.85)])
def test_the_likelihood_of_the_noise_is_that_of_a_normal_law(law: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(2)
    n = 12
    z, own = rng.normal(0, 0.1, n), rng.uniform(0.005, 0.02, n)
    white, slow, rho = law
    lags = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    covariance = np.diag(own + white) + slow * np.where(lags == 0, 1.0, rho**lags)
    gone = z.copy()
    gone[[3, 4, 8]] = np.nan
    for values in (z, gone):
        known = ~np.isnan(values)
        exact = stats.multivariate_normal(np.zeros(known.sum()), covariance[np.ix_(known, known)]).logpdf(values[known])
        ours = noise_likelihood(values, own, np.array([law]))[0] - 0.5 * known.sum() * np.log(2 * np.pi)
        assert ours == pytest.approx(exact, abs=1e-10)


def test_noise_of_days_and_noise_that_lasts_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    n, mean = 600, np.full(600, 900.0)
    slow = np.zeros(n)
    for day in range(1, n):
        slow[day] = 0.85 * slow[day - 1] + 0.06 * np.sqrt(1 - 0.85**2) * rng.standard_normal()
    found = fit_day_noise(rng.poisson(mean * np.exp(slow)).astype(float), mean, mean)
    assert found.lasts
    assert 0.0025 < found.mean.of_a_day() < 0.005
    assert found.mean.in_the_long_run() > 4 * found.mean.of_a_day()
    assert found.weight.sum() == pytest.approx(1.0)
    special = fit_day_noise(rng.poisson(mean * np.exp(rng.normal(0, 0.06, n))).astype(float), mean, mean)
    assert not special.lasts
    assert 0.0025 < special.mean.of_a_day() < 0.005
    assert special.mean.in_the_long_run() < 2 * special.mean.of_a_day()
    assert fit_day_noise(np.full(3, np.nan), np.ones(3), np.ones(3)).mean == CALM


def test_scores_are_log_likelihood_ratios_of_a_binomial_count() -> None:
    size, chance, ratio = 500, 0.12, 0.8
    y = np.array([0, 40, 60, 61])
    exact = stats.binom.logpmf(y, size, ratio * chance) - stats.binom.logpmf(y, size, chance)
    mean, variance = np.full(4, size * chance), np.full(4, size * chance * (1 - chance))
    np.testing.assert_allclose(day_scores(y, mean, variance, CALM, ratio), exact, atol=1e-9)
    noisy = DayNoise(0.01, 0.0, 0.0)
    phi = 1 + 0.01 * mean**2 / variance
    np.testing.assert_allclose(day_scores(y, mean, variance, noisy, ratio), exact / phi, atol=1e-9)
    assert day_scores(np.array([3]), np.zeros(1), np.zeros(1), CALM, ratio).tolist() == [0.0]


def test_the_chart_is_held_and_goes_on_where_it_was() -> None:
    scores, limit = np.array([2.0, 9, 9, -4, -4, 1, -9, 2]), np.full(8, 4.0)
    found = chart(scores, limit)
    assert found.score.tolist() == [2, 8, 8, 4, 0, 1, 0, 2]
    assert found.alarm.tolist() == [False, True, True, True, False, False, False, False]
    first = chart(scores[:3], limit[:3])
    then = chart(scores[3:], limit[3:], start=first.score[-1], alarmed=bool(first.alarm[-1]))
    assert [*first.score, *then.score] == found.score.tolist()
    assert [*first.alarm, *then.alarm] == found.alarm.tolist()


def test_limits_keep_the_false_alarms_of_other_years() -> None:
    """Years drawn apart from those of the limit have as many alarms as stated, within what chance allows."""
    mean = np.array([60.0, 64, 66, 60, 58, 52, 54])
    law = DailyLaw(mean, 0.88 * mean, alone(DayNoise(0.002, 0.002, 0.7)), 0.0004)
    peaks = excursions(law, ratio=0.8, rng=np.random.default_rng(4), n_years=600)
    assert (np.diff(peaks) <= 0).all()
    limit = cusum_limit(peaks, n_years=600, false_alarms=0.5)
    assert int((peaks > limit).sum()) == 299
    others = excursions(law, ratio=0.8, rng=np.random.default_rng(5), n_years=600)
    assert abs(int((others > limit).sum()) - 300) < 5 * np.sqrt(600)
    assert cusum_limit(peaks[:3], n_years=600, false_alarms=0.5) == pytest.approx(np.log(20))
    strict = cusum_limit(peaks, n_years=600, false_alarms=0.05)
    slow, soon = (
        days_to_alarm(law, ratio=0.8, limit=each, rng=np.random.default_rng(6), n_years=200) for each in (strict, limit)
    )
    assert strict > limit
    assert np.median(slow) > np.median(soon)
    harder = days_to_alarm(law, ratio=0.5, limit=limit, rng=np.random.default_rng(6), n_years=200)
    assert np.median(harder) <= 2
    assert np.isinf(days_to_alarm(law, ratio=1.0, limit=60.0, rng=np.random.default_rng(6), n_years=20)).all()


def test_a_limit_for_few_false_alarms_is_that_of_many_more_years() -> None:
    """From 400 years, of which the highest peak is one in 400, the limit of one in 1,000: as 12,000 years have it."""
    mean = np.array([60.0, 64, 66, 60, 58, 52, 54])
    law = DailyLaw(mean, 0.88 * mean, alone(DayNoise(0.002, 0.0, 0.0)), 0.0)
    many = np.sort(
        np.concatenate(
            [excursions(law, ratio=0.8, rng=np.random.default_rng(each), n_years=1_000) for each in range(12)]
        )
    )[::-1]
    wanted = cusum_limit(many, n_years=12_000, false_alarms=1 / 1_000)
    found = [cusum_limit(many[each::30], n_years=400, false_alarms=1 / 1_000) for each in range(0, 30, 4)]
    assert np.mean(found) == pytest.approx(wanted, rel=0.06)
    assert max(found) < 1.2 * wanted
    assert min(found) > 0.85 * wanted
    assert [(many > each).sum() for each in found] != [0] * 8


def test_scores_of_a_rise_are_likelihood_ratios_and_one_day_is_no_rise() -> None:
    size, chance, ratio = 500, 0.12, 0.8
    y = np.array([40, 60, 70, 400])
    exact = stats.binom.logpmf(y, size, chance / ratio) - stats.binom.logpmf(y, size, chance)
    mean, variance = np.full(4, size * chance), np.full(4, size * chance * (1 - chance))
    found = rise_scores(y, mean, variance, CALM, ratio)
    np.testing.assert_allclose(found[:3], exact[:3], atol=1e-9)
    assert found[3] == pytest.approx(day_scores(np.array([0]), mean[:1], variance[:1], CALM, ratio)[0])
    assert rise_scores(np.array([3]), np.zeros(1), np.zeros(1), CALM, ratio).tolist() == [0.0]


def test_limits_of_what_is_missing_are_those_of_its_law() -> None:
    """Quantiles of M_k (1 - exp(b)), k and b drawn."""
    rng = np.random.default_rng(8)
    mean, phi = np.full(20, 150.0), np.full(20, 1.4)
    observed = rng.poisson(np.where(np.arange(20) < 12, 150, 120))
    begin = change_begin(observed, mean, phi, level_error=1e-3, latest=14)
    assert begin.share.size == 15
    k = rng.choice(15, 200_000, p=begin.share)
    y, m = (each[::-1].cumsum()[::-1] for each in (observed, mean))
    drawn = m[k] * (1 - y[k] / m[k] * np.exp(rng.normal(0, np.sqrt(1.4 / y[k] + 1e-3))))
    limits = missing_limits(begin.share, observed, mean, phi, level_error=1e-3)
    np.testing.assert_allclose(limits, np.quantile(drawn, [0.025, 0.975]), rtol=0.02)
    assert limits[0] < (mean - observed)[begin.day :].sum() < limits[1]


def test_of_nothing_observed_the_ratio_is_none() -> None:
    ratio, lower, upper = ratio_limits(0.0, 40.0, phi=1.0, level_error=0.0)
    assert (ratio, lower) == (0.0, 0.0)
    assert 3.0 / 40 < upper < 0.3
    found = change_begin(np.where(np.arange(9) < 5, 40, 0), np.full(9, 40.0), np.ones(9), level_error=0.0)
    assert (found.day, found.ratio, found.lower) == (5, 0.0, 0.0)
    assert found.upper > 0


def test_the_begin_has_the_highest_likelihood_of_all_days() -> None:
    rng = np.random.default_rng(7)
    mean = np.full(30, 150.0)
    observed = rng.poisson(np.where(np.arange(30) < 18, 150, 114))
    phi = np.full(30, 1.3)
    found = change_begin(observed, mean, phi, level_error=1e-4)
    weights = []
    for day in range(30):
        y, m = observed[day:].sum() / 1.3, mean[day:].sum() / 1.3
        ratio = min(y / m, 1.0)
        weights.append(y * np.log(ratio) + (1 - ratio) * m - 0.5 * np.log(y))
    share = np.exp(np.array(weights) - max(weights))
    share /= share.sum()
    assert found.day == int(np.argmax(share))
    assert share[found.earliest : found.latest + 1].sum() >= 0.95
    assert found.earliest <= 18 <= found.latest
    assert found.ratio == pytest.approx(observed[found.day :].sum() / mean[found.day :].sum())
    assert found.lower < found.ratio < found.upper
    alone = ratio_limits(float(observed[found.day :].sum()), mean[found.day :].sum(), phi=1.3, level_error=1e-4)
    # Limits that count that the day is not known are wider.
    assert found.lower <= alone[1] + 0.003
    assert found.upper >= alone[2] - 0.003
    early = change_begin(observed, mean, phi, level_error=1e-4, latest=10)
    assert early.latest <= 10
