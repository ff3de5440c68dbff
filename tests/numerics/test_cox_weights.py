"""Sampling weights, and residuals: by hand, by their definition in many digits, and what must not change the answer."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, baseline_hazard, derivatives, fit_cox, state_at
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.residuals import (
    cluster_covariance,
    deviance_residuals,
    martingale_residuals,
    schoenfeld_residuals,
    score_residuals,
)
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import SEEDS, SIX, TIES, data_of, same, simple


def weights_of(seed: int, n: int) -> np.ndarray:
    return np.round(np.exp(np.random.default_rng(seed).normal(size=n)), 2) + 0.01


def test_three_weighted_users_by_hand() -> None:
    # churn on days 1, 2, 3; weights 1, 2, 4; x 0, 1, 0. With r = e^b the score is
    # 2 - 2r/(5 + 2r) - 2 (2r)/(4 + 2r) = 0  <=>  2 (5 + 2r)(4 + 2r) = 2r (4 + 2r) + 4r (5 + 2r)
    # <=> 40 + 36 r + 8 r^2 = 28 r + 12 r^2  <=>  r^2 - 2 r - 10 = 0
    r = 1 + np.sqrt(11)
    data = data_of(simple([0, 1, 0], [1, 2, 3], [1, 1, 1]), sampling=np.array([1.0, 2.0, 4.0]))
    fit = fit_cox(data)
    assert fit.coefficients[0] == pytest.approx(np.log(r), abs=1e-13)
    information = 10 * r / (5 + 2 * r) ** 2 + 2 * 8 * r / (4 + 2 * r) ** 2
    assert fit.inverse_information[0, 0] == pytest.approx(1 / information, rel=1e-12)
    value = 2 * np.log(r) - np.log(5 + 2 * r) - 2 * np.log(4 + 2 * r) - 4 * np.log(4)
    assert fit.log_likelihood == pytest.approx(value, abs=1e-12)
    assert fit.log_likelihood_null == pytest.approx(-np.log(7) - 2 * np.log(6) - 4 * np.log(4), abs=1e-12)
    hazard = np.cumsum([1 / (5 + 2 * r), 2 / (4 + 2 * r), 1.0])
    np.testing.assert_allclose(baseline_hazard(data, fit), hazard, rtol=1e-12)
    np.testing.assert_allclose(
        martingale_residuals(data, fit.state), [1 - hazard[0], 1 - r * hazard[1], 1 - hazard[2]], atol=1e-12
    )
    mean = [2 * r / (5 + 2 * r), 2 * r / (4 + 2 * r), 0]
    rows, found = schoenfeld_residuals(data, fit.state)
    assert rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found[:, 0] * data.design.scale[0], np.array([0, 1, 0]) - mean, atol=1e-12)


def test_two_tied_weighted_users_by_hand_at_zero() -> None:
    # at coefficients zero: S0 = 6, D0 = 4 of weights 1 and 3, d = 2, mean weight 2: u = 6 and 4
    data = data_of(simple([1, 0, 2], [5, 5, 9], [1, 1, 0]), sampling=np.array([1.0, 3.0, 2.0]))
    state = state_at(data, np.zeros(1))
    assert state.log_likelihood == pytest.approx(-2 * np.log(6) - 2 * np.log(4), rel=1e-14)
    # hazard 2 (1/6 + 1/4) for the one who stays, 2 (1/6 + 1/2 1/4) for those who churn
    np.testing.assert_allclose(martingale_residuals(data, state), [1 - 7 / 12, 1 - 7 / 12, -5 / 6], atol=1e-14)
    # S1 = 5, D1 = 1: the mean of x over the two risk sets is (5/6 + 4.5/4) / 2
    rows, found = schoenfeld_residuals(data, state)
    assert rows.tolist() == [0, 1]
    mean = (5 / 6 + 4.5 / 4) / 2
    np.testing.assert_allclose(found[:, 0] * data.design.scale[0], [1 - mean, -mean], atol=1e-14)


def test_martingale_and_deviance_residuals_of_six_users_by_hand() -> None:
    # at zero: days 1, 6, 9 with 6, 4 and 1 at risk; two churn on day 6 and face u = 4 and 3
    data = data_of(SIX)
    state = state_at(data, np.zeros(1))
    on_6, tied = 1 / 6 + 1 / 4 + 1 / 3, 1 / 6 + 1 / 4 + (1 / 2) / 3
    expected = np.array([on_6 + 1, 1 / 6, 1 / 6, tied, tied, on_6])
    event = np.array([1, 1, 0, 1, 1, 0])
    np.testing.assert_allclose(martingale_residuals(data, state), event - expected, atol=1e-14)
    deviance = [np.sign(d - e) * np.sqrt(-2 * (d - e + d * np.log(e))) for d, e in zip(event, expected, strict=True)]
    np.testing.assert_allclose(deviance_residuals(data, state), deviance, atol=1e-14)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", range(4))
def test_likelihood_score_information_and_residuals_are_their_definitions(seed: int, ties: str) -> None:
    rows = brute_cox.random_rows(seed, 16, 2, n_days=5, n_strata=1 + seed % 3, late=seed != 0)
    weights = weights_of(seed, 16)
    data = data_of(rows, ties, sampling=weights)
    beta, scale = np.array([0.4, -0.7]), data.design.scale
    state = state_at(data, beta * scale)
    found = derivatives(data, state, data.design.transposed_times(data.weighted(data.sets.event.astype(float))))
    with mp.workdps(50):
        exact, w = [mp.mpf(float(b)) for b in beta], [mp.mpf(float(v)) for v in weights]
        assert state.log_likelihood == pytest.approx(float(brute_cox.log_likelihood(rows, exact, ties, w)), rel=1e-12)
        expected = np.array([float(s) for s in brute_cox.score(rows, exact, ties, w)])
        np.testing.assert_allclose(found.score * scale, expected, rtol=1e-10, atol=1e-11)
        information = brute_cox.information(rows, exact, ties, w)
        np.testing.assert_allclose(found.information * np.outer(scale, scale), information, rtol=1e-9, atol=1e-10)
    with mp.workdps(30):
        residuals = score_residuals(data, state).all() * scale
        expected = brute_cox.score_residuals(rows, exact, ties, w)
        np.testing.assert_allclose(residuals, expected, rtol=1e-8, atol=1e-10)


def fit_and_robust(data: CoxData, cluster: np.ndarray):
    fit = fit_cox(data)
    return fit, cluster_covariance(data, fit.state, fit.inverse_information, cluster)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES), unit=st.sampled_from([1e-9, 0.37, 1e9]))
def test_the_unit_of_sampling_weights_does_not_matter(seed: int, ties: str, unit: float) -> None:
    rows = brute_cox.random_rows(seed, 80, 2, n_days=8, n_strata=2)
    weights, cluster = weights_of(seed, 80), np.arange(80) % 11
    one, robust = fit_and_robust(data_of(rows, ties, sampling=weights), cluster)
    other, again = fit_and_robust(data_of(rows, ties, sampling=weights * unit), cluster)
    np.testing.assert_allclose(other.coefficients, one.coefficients, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.inverse_information * unit, one.inverse_information, rtol=1e-9)
    np.testing.assert_allclose(again, robust, rtol=1e-8)
    assert other.score_statistic == pytest.approx(one.score_statistic * unit, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES))
def test_sampling_weights_of_one_are_none(seed: int, ties: str) -> None:
    rows = brute_cox.random_rows(seed, 80, 2, n_days=8, n_strata=2)
    same(fit_cox(data_of(rows, ties, sampling=np.ones(80))), fit_cox(data_of(rows, ties)), rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES), day=st.integers(1, 7))
def test_splitting_weighted_rows_does_not_matter(seed: int, ties: str, day: int) -> None:
    rows = brute_cox.random_rows(seed, 80, 2, n_days=8, n_strata=2)
    weights, offset = weights_of(seed, 80), np.random.default_rng(seed).normal(size=80)
    cut = (rows.entry < day) & (day < rows.duration)
    both = Rows(
        np.concatenate([rows.x, rows.x[cut]]),
        np.concatenate([np.where(cut, day, rows.duration), rows.duration[cut]]),
        np.concatenate([rows.event & ~cut, rows.event[cut]]),
        np.concatenate([rows.entry, np.full(cut.sum(), day)]),
        np.concatenate([rows.stratum, rows.stratum[cut]]),
    )
    user = np.arange(80)
    one, robust = fit_and_robust(data_of(rows, ties, offset=offset, sampling=weights), user)
    split = data_of(both, ties, offset=np.r_[offset, offset[cut]], sampling=np.r_[weights, weights[cut]])
    other, again = fit_and_robust(split, np.r_[user, user[cut]])
    same(one, other)
    np.testing.assert_allclose(again, robust, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES))
def test_a_sampling_weight_is_repeated_rows_under_breslow_only(seed: int, ties: str) -> None:
    # Efron's ties count churns: copies would be more of them
    rows = brute_cox.random_rows(seed, 60, 2, n_days=8, n_strata=2)
    times = np.random.default_rng(seed).integers(1, 5, 60)
    parts = (rows.x, rows.duration, rows.event, rows.entry, rows.stratum)
    repeated = Rows(*(np.repeat(part, times, axis=0) for part in parts))
    weighted, plain = fit_cox(data_of(rows, ties, sampling=times * 1.0)), fit_cox(data_of(repeated, ties))
    if ties == "breslow":
        same(weighted, plain, rtol=1e-9)
    else:
        assert weighted.log_likelihood < plain.log_likelihood


def category_data(ties: str, **weights: np.ndarray) -> CoxData:
    rng = np.random.default_rng(8)
    n = 2_000
    codes = [rng.integers(0, k, n).astype(np.int32) for k in (3, 2)]
    entry, duration = rng.integers(0, 2, n), rng.integers(2, 6, n)
    whole = weights.get("frequency")
    sets = risk_sets(duration, rng.random(n) < 0.3, entry=entry, frequency=None if whole is None else whole.astype(int))
    parts = [Indicators(codes[0], ("b", "c"), "a"), Indicators(codes[1], ("y",), "z")]
    return CoxData(design([], [], parts, n_rows=n), sets, ties, **weights)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("kind", ["frequency", "sampling"])
def test_collapsed_rows_carry_their_weights(kind: str, ties: str) -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(1, 6, 2_000) * 1.0 if kind == "frequency" else weights_of(3, 2_000)
    data = category_data(ties, **{kind: weights})
    collapsed = collapse(data)
    assert collapsed.design.n_rows < 500
    assert getattr(collapsed, kind).sum() == pytest.approx(weights.sum())
    one, other = fit_cox(data), fit_cox(collapsed)
    same(one, other, rtol=1e-10)
    np.testing.assert_allclose(baseline_hazard(collapsed, other), baseline_hazard(data, one), rtol=1e-10)


def test_an_offset_is_not_collapsed() -> None:
    data = category_data("efron", offset=np.linspace(0, 1, 2_000))
    assert collapse(data) is data


@pytest.mark.parametrize("ties", TIES)
def test_residuals_belong_together(ties: str) -> None:
    rows = brute_cox.random_rows(7, 300, 3, n_days=12, n_strata=3)
    weights = weights_of(7, 300)
    data = data_of(rows, ties, sampling=weights)
    state = fit_cox(data).state
    # weighted by their rows, martingale, score and Schoenfeld residuals sum to zero at the maximum
    assert abs(weights @ martingale_residuals(data, state)) < 1e-10
    assert np.abs(weights @ score_residuals(data, state).all()).max() < 1e-10
    events, schoenfeld = schoenfeld_residuals(data, state)
    assert np.abs(weights[events] @ schoenfeld).max() < 1e-10
    assert (np.diff(data.sets.place[events]) >= 0).all()
    martingale, deviance = martingale_residuals(data, state), deviance_residuals(data, state)
    assert (np.sign(martingale) == np.sign(deviance)).all()
    assert (martingale <= data.sets.event).all()


def test_rows_that_are_never_at_risk_have_residual_zero() -> None:
    rows = simple([0, 1, 0, 1, 2], [5, 6, 9, 2, 7], [1, 1, 1, 0, 1], entry=[0, 0, 0, 0, 7])
    data = data_of(rows)
    state = fit_cox(data).state
    assert martingale_residuals(data, state)[3:].tolist() == [0, 0]
    assert deviance_residuals(data, state)[3:].tolist() == [0, 0]
    assert not score_residuals(data, state).all()[3:].any()


def test_all_residuals_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of(brute_cox.random_rows(6, 200, 2, n_days=9))
    found = score_residuals(data, fit_cox(data).state)
    whole = found.all()
    monkeypatch.setattr("churnsurv.numerics.residuals._CHUNK", 7)
    np.testing.assert_array_equal(found.all(), whole)
