"""Grouped proportional hazards at their limits: emptied days, estimates that do not exist, crowded days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.grouped import fit_grouped, grouped_baseline, grouped_moments
from churnsurv.numerics.grouped_residuals import (
    grouped_cluster_covariance,
    grouped_martingale,
    grouped_score_residuals,
)
from churnsurv.numerics.prediction import (
    covariance_root,
    hazard_between,
    new_rows,
    projected,
    restricted_mean,
    survival_limits,
)
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox, brute_grouped
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import SEEDS, data_of, same, simple
from tests.numerics.test_grouped import groups

# ---- Days that everybody leaves ----


def test_a_day_that_everybody_at_risk_leaves_says_nothing_of_the_coefficients() -> None:
    rows = brute_cox.random_rows(11, 60, 2, n_days=6, late=False)
    last = rows.duration == 6
    emptied = Rows(rows.x, rows.duration, rows.event | last, rows.entry, rows.stratum)
    stayed = Rows(rows.x, rows.duration, rows.event & ~last, rows.entry, rows.stratum)
    data, without = data_of(emptied), data_of(stayed)
    one, other = fit_grouped(data), fit_grouped(without)
    same(one, other, rtol=1e-12)
    assert data.sets.time[one.emptied].tolist() == [6]
    baseline = grouped_baseline(data, one)
    assert np.isinf(baseline[-1])
    np.testing.assert_allclose(baseline[:-1], grouped_baseline(without, other), rtol=1e-12)
    moments = grouped_moments(data, one.state, last_day=np.array([6.0]))
    assert np.isinf(moments.hazard).tolist() == [False] * 5 + [True]
    # their churn is certain: what is left of their residual are the days before
    before = grouped_martingale(without, other.state)
    np.testing.assert_allclose(grouped_martingale(data, one.state), before, atol=1e-12)
    cluster = np.arange(60) % 9
    np.testing.assert_allclose(
        grouped_cluster_covariance(data, one, cluster), grouped_cluster_covariance(without, other, cluster), rtol=1e-10
    )


def test_after_an_emptied_day_others_enter_late() -> None:
    # day 1: both at risk churn; days 3 and 4 with the others, who entered after it
    rows = simple([0, 1, 0, 1, 1, 0, 1], [1, 1, 3, 3, 4, 9, 9], [1, 1, 1, 0, 1, 0, 0], entry=[0, 0, 1, 1, 2, 2, 2])
    data = data_of(rows)
    fit = fit_grouped(data)
    assert fit.emptied.tolist() == [0]
    without = simple(*(np.asarray(part)[2:] for part in (rows.x, rows.duration, rows.event, rows.entry)))
    same(fit, fit_grouped(data_of(without)), rtol=1e-11)
    assert np.isinf(grouped_baseline(data, fit)).all()
    assert (fit.state.hazard > 0).tolist() == [False, True, True]


def test_after_an_emptied_day_nobody_is_predicted_to_be_left() -> None:
    rows = simple([0, 1, 0, 1, 1, 0, 1], [1, 1, 3, 3, 4, 9, 9], [1, 1, 1, 0, 1, 0, 0], entry=[0, 0, 1, 1, 2, 2, 2])
    data = data_of(rows)
    fit = fit_grouped(data)
    moments = grouped_moments(data, fit.state, last_day=np.array([9.0]))
    root = covariance_root(fit.inverse_information, data.design.scale)
    new = new_rows(data.design, fit.coefficients, root, shift=fit.state.shift)
    baseline = projected(moments, root, np.array([0, 1, 3]))
    before = hazard_between(new, baseline, 0)
    assert not before.hazard.any()
    for place in (1, 2):
        found = hazard_between(new, baseline, place)
        assert np.isinf(found.hazard).all()
        assert np.isnan(found.log_error).all()
        assert np.isnan(survival_limits(found, level=0.95, ci="log-log")).all()
    # the area under the curve ends with it, with certainty
    area = restricted_mean(new, moments, root, stratum=0, horizon=9.0)
    np.testing.assert_allclose(area.days, 1.0, rtol=1e-14)
    assert not area.std_error.any()


def test_where_every_day_is_emptied_there_is_nothing_to_compare() -> None:
    with pytest.raises(ConvergenceError, match="on every day with events everybody at risk has the event"):
        fit_grouped(data_of(simple([0, 1, 2], [5, 5, 5], [1, 1, 1])))


# ---- Where no estimate exists ----


def fails(rows: Rows, text: str) -> None:
    with pytest.raises(ConvergenceError, match=text):
        fit_grouped(data_of(rows))


def test_no_events() -> None:
    fails(simple([1, 2], [3, 4], [0, 0]), "there is no event among the rows at risk")


def test_collinear_columns_are_named() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    x[:, 2] = 2 * x[:, 0] - x[:, 1] + 5
    fails(simple(x, rng.integers(1, 9, 50), rng.random(50) < 0.7), "'x0', 'x1' and 'x2' are collinear")


@pytest.mark.parametrize(("sign", "way"), [(1, "minus"), (-1, "plus")])
@pytest.mark.parametrize("unit", [1.0, 1e9, 1e-9])
def test_complete_separation_is_named(sign: int, way: str, unit: float) -> None:
    day = np.arange(1, 21)
    fails(simple(sign * unit * day, day, np.ones(20)), f"separation.*'x0' to {way} infinity")


@pytest.mark.parametrize("n", [10, 1_000])
def test_churn_that_is_certain_is_separation_too(n: int) -> None:
    # all with x churn on their first day: the likelihood stands still at a coefficient of about 4
    some = groups([(0, 1, 1, n), (0, 1, 0, n), (0, 2, 1, n), (0, 2, 0, n), (1, 1, 1, n)])
    fails(some, "separation.*'x0' to plus infinity")
    others = groups([(1, 1, 1, n), (1, 1, 0, n), (1, 2, 1, n), (1, 2, 0, n), (0, 1, 1, n)])
    fails(others, "separation.*'x0' to minus infinity")


def test_churn_that_is_nearly_certain_is_none() -> None:
    # of those with x one in 100,000 stays: h = log 100,000
    data = data_of(groups([(0, 1, 1, 50), (0, 1, 0, 50), (1, 1, 1, 5), (1, 1, 0, 1)]))
    frequency = np.concatenate([np.ones(105, dtype=int), [1]])
    frequency[100:105] = [20_000, 20_000, 20_000, 20_000, 19_999]
    sets = risk_sets(np.ones(106, dtype=int), data.sets.event, frequency=frequency)
    fit = fit_grouped(CoxData(data.design, sets, frequency=frequency.astype(float)))
    assert fit.coefficients[0] == pytest.approx(np.log(np.log(100_000) / np.log(2)), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n=st.integers(6, 16))
def test_separation_is_found_where_there_is_some_and_nowhere_else(seed: int, n: int) -> None:
    rows = brute_cox.random_rows(seed, n, 2, n_days=4)
    really = rows.event & (rows.entry < rows.duration)
    assume(really.any())
    try:
        fit_grouped(data_of(rows))
    except ConvergenceError as error:
        assume("separation" in str(error))
        assert brute_grouped.leads_to_infinity(rows)
    else:
        assert not brute_grouped.leads_to_infinity(rows)


# ---- Simulated truth ----


def crowded_day(rng: np.random.Generator, n: int) -> CoxData:
    """Hazard ratio e^0.7 in continuous time; 60 % of those without x churn on the first day, and few on two others."""
    x = rng.random(n) < 0.5
    day = np.searchsorted([0.9163, 0.93, 0.94], rng.exponential(size=n) * np.exp(-0.7 * x)) + 1
    return data_of(simple(x, np.minimum(day, 3), day <= 3))


def test_a_day_that_takes_most_of_its_risk_set_does_not_bias() -> None:
    data = crowded_day(np.random.default_rng(20), 20_000)
    fit = fit_grouped(data)
    assert grouped_baseline(data, fit)[0] == pytest.approx(-np.log(0.4), rel=0.02)
    error = np.sqrt(fit.inverse_information[0, 0])
    assert error < 0.02
    assert abs(fit.coefficients[0] - 0.7) < 3 * error
    assert fit_cox(data).coefficients[0] == pytest.approx(0.61, abs=0.03)


def test_intervals_cover_the_truth_on_crowded_days() -> None:
    rng = np.random.default_rng(21)
    fits = [fit_grouped(crowded_day(rng, 400)) for _ in range(150)]
    found = np.array([fit.coefficients[0] for fit in fits])
    error = np.sqrt([fit.inverse_information[0, 0] for fit in fits])
    assert abs(found.mean() - 0.7) < 3 * found.std() / np.sqrt(150)
    assert error.mean() == pytest.approx(found.std(), rel=0.2)
    assert np.mean(np.abs(found - 0.7) < 1.96 * error) > 0.9


def test_strata_without_events_at_either_end() -> None:
    rows = brute_cox.random_rows(4, 60, 2, n_days=6, n_strata=3)
    event = rows.event & (rows.stratum == 1)
    quiet = Rows(rows.x, rows.duration, event, rows.entry, rows.stratum)
    kept = rows.stratum == 1
    alone = Rows(rows.x[kept], rows.duration[kept], event[kept], rows.entry[kept], np.zeros(kept.sum(), dtype=int))
    data, other = data_of(quiet), data_of(alone)
    one = fit_grouped(data)
    same(one, fit_grouped(other))
    residuals = grouped_score_residuals(data, one.state)
    assert not residuals[~kept].any()
    np.testing.assert_allclose(residuals.sum(axis=0), 0, atol=1e-9)


def test_risk_sets_that_are_a_speck_of_those_not_yet_there() -> None:
    # day 1: three at risk with offsets of -25; the others, 1e10 times as likely to churn, enter after it
    rng = np.random.default_rng(5)
    x = np.r_[0.0, 1.0, 2.0, rng.normal(size=200)]
    entry = np.r_[0, 0, 0, np.ones(200, dtype=int)]
    duration = np.r_[1, 3, 3, rng.integers(2, 6, 200)]
    rows = simple(x, duration, np.r_[True, False, False, rng.random(200) < 0.6], entry=entry)
    offset = np.r_[np.full(3, -25.0), np.zeros(200)]
    fit = fit_grouped(data_of(rows, offset=offset))
    assert fit.state.recounted.tolist() == [0]
    # what the late ones live through is a difference to the hazard of day 1, which is huge here: it loses digits
    at = brute_grouped.maximum(brute_grouped.pairs(rows, offset=offset))
    np.testing.assert_allclose(fit.coefficients, at[-1:], rtol=1e-5)
    error = brute_grouped.covariance(brute_grouped.pairs(rows, offset=offset), at)[-1:, -1:]
    np.testing.assert_allclose(fit.inverse_information, error, rtol=1e-5)
