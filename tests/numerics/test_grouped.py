"""Grouped proportional hazards: worked by hand, against the GLM written out pair by pair, and its invariances."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.grouped import (
    fit_grouped,
    grouped_baseline,
    grouped_derivatives,
    grouped_moments,
    grouped_state,
)
from churnsurv.numerics.grouped_residuals import (
    grouped_cluster_covariance,
    grouped_deviance,
    grouped_martingale,
    grouped_score_residuals,
)
from churnsurv.numerics.prediction import covariance_root, hazard_between, new_rows, projected
from tests.numerics import brute_cox, brute_grouped
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import SEEDS, data_of, same, simple
from tests.numerics.test_cox_weights import category_data, weights_of


def groups(counts: list[tuple[int, int, int]]) -> Rows:
    """Rows of (x, day, event) so many times."""
    x, day, event = (np.repeat([c[k] for c in counts], [c[3] for c in counts]) for k in range(3))
    return simple(x, day, event)


# ---- By hand ----


def test_one_day_by_hand() -> None:
    # 2 of 5 churn without x, 6 of 8 with it: saturated, log(1 - p) = -h
    data = data_of(groups([(0, 30, 1, 2), (0, 30, 0, 3), (1, 30, 1, 6), (1, 30, 0, 2)]))
    fit = fit_grouped(data)
    h = -np.log([3 / 5, 2 / 8])
    assert fit.coefficients[0] == pytest.approx(np.log(h[1] / h[0]), abs=1e-12)
    # var log(-log(1 - p)) = p / (n (1 - p) log(1 - p)^2), the two groups apart
    variance = np.array([2 / 5, 6 / 8]) / (np.array([5, 8]) * np.array([3 / 5, 2 / 8]) * h**2)
    assert fit.inverse_information[0, 0] == pytest.approx(variance.sum(), rel=1e-11)
    value = 2 * np.log(2 / 5) + 3 * np.log(3 / 5) + 6 * np.log(6 / 8) + 2 * np.log(2 / 8)
    assert fit.log_likelihood == pytest.approx(value, rel=1e-13)
    assert fit.log_likelihood_null == pytest.approx(8 * np.log(8 / 13) + 5 * np.log(5 / 13), rel=1e-13)
    np.testing.assert_allclose(grouped_baseline(data, fit), h[:1], rtol=1e-11)
    expected = np.repeat([2 / 5, 2 / 5, 6 / 8, 6 / 8], [2, 3, 6, 2])
    martingale = np.repeat([1, 0, 1, 0], [2, 3, 6, 2]) - expected
    np.testing.assert_allclose(grouped_martingale(data, fit.state), martingale, atol=1e-12)
    assert fit.emptied.size == 0


def test_two_days_by_hand() -> None:
    # half of those left churn each day without x, three quarters with it: h is log 2 and 2 log 2 on both days
    data = data_of(groups([(0, 1, 1, 2), (0, 2, 1, 1), (0, 2, 0, 1), (1, 1, 1, 12), (1, 2, 1, 3), (1, 2, 0, 1)]))
    fit = fit_grouped(data)
    assert fit.coefficients[0] == pytest.approx(np.log(2), abs=1e-12)
    np.testing.assert_allclose(grouped_baseline(data, fit), np.log(2) * np.array([1, 2]), rtol=1e-11)
    value = 4 * np.log(1 / 2) + 2 * np.log(1 / 2) + 15 * np.log(3 / 4) + 5 * np.log(1 / 4)
    assert fit.log_likelihood == pytest.approx(value, rel=1e-13)
    # on day t with n rows in each group: the groups' information n h^2 e^-h / (1 - e^-h), joined through the day
    information = 0.0
    for n in (np.array([4, 16]), np.array([2, 4])):
        h, p = np.log(2) * np.array([1, 2]), np.array([1 / 2, 3 / 4])
        of_group = n * h**2 * (1 - p) / p
        information += of_group.prod() / of_group.sum()
    assert fit.inverse_information[0, 0] == pytest.approx(1 / information, rel=1e-11)


def test_score_at_zero_by_hand() -> None:
    # at zero every hazard is log 2 (4 of 8 churn): q = log 2, r = log 2 (2 log 2 - 1)
    data = data_of(groups([(0, 1, 1, 1), (0, 1, 0, 3), (1, 1, 1, 3), (1, 1, 0, 1)]))
    h = np.log(2)
    state = grouped_state(data, np.zeros(1))
    np.testing.assert_allclose(state.hazard, [h], rtol=1e-14)
    np.testing.assert_allclose(state.slope, h, rtol=1e-14)
    np.testing.assert_allclose(state.curvature, h * (2 * h - 1), rtol=1e-14)
    found, scale = grouped_derivatives(data, state), data.design.scale[0]
    assert found.score[0] * scale == pytest.approx(3 * h - h, rel=1e-13)
    # by group: score 3 q - h, information 3 r + h with x and r + 3 h without
    of_x, both = 3 * h * (2 * h - 1) + h, 4 * h * (2 * h - 1) + 4 * h
    assert found.information[0, 0] * scale**2 == pytest.approx(of_x - of_x**2 / both, rel=1e-13)


# ---- Against the definition ----


def world(seed: int, kind: str, n: int = 40) -> tuple[Rows, CoxData, brute_grouped.Pairs]:
    """Random rows with late entry, strata, an offset and weights, and the same as pairs."""
    rows = brute_cox.random_rows(seed, n, 2, n_days=6, n_strata=1 + seed % 2, late=seed % 3 != 0)
    rng = np.random.default_rng(seed)
    offset = np.round(rng.normal(size=n), 2)
    weights = {"none": None, "frequency": rng.integers(1, 4, n), "sampling": weights_of(seed, n)}[kind]
    named = {} if weights is None else {kind: weights}
    return rows, data_of(rows, offset=offset, **named), brute_grouped.pairs(rows, weights, offset)


KINDS = ["none", "frequency", "sampling"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_likelihood_score_and_information_are_those_of_the_glm(seed: int, kind: str) -> None:
    _, data, glm = world(seed, kind)
    beta, scale, k = np.array([0.8, -1.1]), data.design.scale, glm.n_slots
    at = brute_grouped.maximum(glm, fixed=beta)
    state = grouped_state(data, beta * scale)
    found = grouped_derivatives(data, state)
    assert state.log_likelihood == pytest.approx(brute_grouped.log_likelihood(glm, at), rel=1e-12)
    score = (glm.matrix * (glm.weight * brute_grouped.scores(glm, at))[:, None]).sum(axis=0)[k:]
    np.testing.assert_allclose(found.score * scale, score, rtol=1e-10, atol=1e-11)
    profiled = np.linalg.inv(brute_grouped.covariance(glm, at)[k:, k:])
    np.testing.assert_allclose(found.information * np.outer(scale, scale), profiled, rtol=1e-9)
    # hazards where the linear predictor is 0, of the days in the likelihood
    at_zero = np.log(state.hazard[state.hazard > 0]) - state.shift + float(beta @ -data.design.centre)
    np.testing.assert_allclose(at_zero, at[:k], atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_fit_and_what_follows_from_it_are_those_of_the_glm(seed: int, kind: str) -> None:
    rows, data, glm = world(seed, kind)
    at, k = brute_grouped.maximum(glm), glm.n_slots
    fit = fit_grouped(data)
    np.testing.assert_allclose(fit.coefficients, at[k:], rtol=1e-9, atol=1e-11)
    joint = brute_grouped.covariance(glm, at)
    np.testing.assert_allclose(fit.inverse_information, joint[k:, k:], rtol=1e-9)
    null = brute_grouped.maximum(glm, fixed=np.zeros(2))
    assert fit.log_likelihood_null == pytest.approx(brute_grouped.log_likelihood(glm, null), rel=1e-12)
    score = (glm.matrix * (glm.weight * brute_grouped.scores(glm, null))[:, None]).sum(axis=0)
    assert fit.score_statistic == pytest.approx(score @ brute_grouped.covariance(glm, null) @ score, rel=1e-9)
    for cluster in (np.arange(rows.n), np.arange(rows.n) % 7):
        robust = brute_grouped.cluster_covariance(glm, at, cluster)[k:, k:]
        np.testing.assert_allclose(grouped_cluster_covariance(data, fit, cluster), robust, rtol=1e-8, atol=1e-12)
    residuals = grouped_score_residuals(data, fit.state) * data.design.scale
    np.testing.assert_allclose(residuals, brute_grouped.score_residuals(glm, at), rtol=1e-8, atol=1e-10)
    expected = brute_grouped.expected(glm, at) + np.isin(data.sets.place, 2 * fit.emptied + 1)
    np.testing.assert_allclose(grouped_martingale(data, fit.state), data.sets.event - expected, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_predicted_hazards_have_the_variance_of_the_joint_covariance(seed: int, kind: str) -> None:
    _, data, glm = world(seed, kind)
    fit = fit_grouped(data)
    at, k = brute_grouped.maximum(glm), glm.n_slots
    joint = brute_grouped.covariance(glm, at)
    moments = grouped_moments(data, fit.state, last_day=np.full(1 + seed % 2, 6.0))
    root = covariance_root(fit.inverse_information, data.design.scale)
    rows = new_rows(data.design, fit.coefficients, root, shift=fit.state.shift, offset=data.offset)
    inside = np.flatnonzero(fit.state.hazard)
    x = data.design.rows(slice(None)) * data.design.scale + data.design.centre
    for stratum in range(moments.strata.shape[0] - 1):
        first, after = moments.strata[stratum], moments.strata[stratum + 1]
        slots = [s for s in range(first, after) if s in inside and np.isfinite(moments.hazard[s])]
        places = np.array(slots[-1:]) + 1
        found = hazard_between(rows, projected(moments, root, places), 0)
        which = np.flatnonzero(np.isin(inside, slots))
        risk = np.exp(x @ at[k:] + data.offset)
        hazard = risk * np.exp(at[which]).sum()
        np.testing.assert_allclose(found.hazard, hazard, rtol=1e-9)
        for i in range(0, 40, 9):
            slope = np.zeros(at.size)
            slope[which] = risk[i] * np.exp(at[which])
            slope[k:] = hazard[i] * x[i]
            error = np.sqrt(slope @ joint @ slope)
            assert found.hazard[i] * found.log_error[i] == pytest.approx(error, rel=1e-8)


def test_a_glm_of_statsmodels_gives_the_same() -> None:
    import statsmodels.api as sm

    rows, data, glm = world(4, "none")
    link = sm.families.links.CLogLog()
    model = sm.GLM(glm.event.astype(float), glm.matrix, family=sm.families.Binomial(link), offset=glm.offset)
    theirs = model.fit(tol=1e-13, maxiter=200, tol_criterion="params")
    fit, k = fit_grouped(data), glm.n_slots
    np.testing.assert_allclose(fit.coefficients, theirs.params[k:], rtol=1e-8)
    assert fit.log_likelihood == pytest.approx(theirs.llf, rel=1e-12)
    observed = np.linalg.inv(-model.hessian(theirs.params, observed=True))
    np.testing.assert_allclose(fit.inverse_information, observed[k:, k:], rtol=1e-7)
    cluster = np.arange(rows.n) % 9
    each = model.score_obs(theirs.params)
    totals = np.zeros((9, each.shape[1]))
    np.add.at(totals, cluster[glm.row], each)
    robust = observed @ totals.T @ totals @ observed
    np.testing.assert_allclose(grouped_cluster_covariance(data, fit, cluster), robust[k:, k:], rtol=1e-7)


@pytest.mark.parametrize("spread", [1.0, 40.0, 300.0])
def test_hazards_of_any_size_in_fifty_digits(spread: float) -> None:
    rng = np.random.default_rng(2)
    event = np.arange(12) % 3 != 0
    rows = simple(rng.normal(size=12), np.repeat([1, 2, 3, 4], 3), event)
    # the survivors of each day have the smallest hazards, so that those of the events are huge
    offset = np.where(event, rng.uniform(0, spread, 12), -rng.uniform(0, spread, 12))
    data = data_of(rows, offset=offset)
    state = grouped_state(data, np.zeros(1))
    with mp.workdps(50):
        total = mp.mpf(0)
        for slot in range(4):
            theta = [mp.exp(mp.mpf(float(o))) for o in offset]
            tied = [theta[i] for i in range(12) if event[i] and rows.duration[i] == slot + 1]
            others = mp.fsum(theta[i] for i in range(12) if rows.duration[i] > slot + 1 or (
                not event[i] and rows.duration[i] == slot + 1))  # fmt: skip

            def slope(a, tied=tied, others=others):
                return mp.fsum(t * mp.exp(a) / mp.expm1(t * mp.exp(a)) for t in tied) - mp.exp(a) * others

            low, high = mp.mpf(-800), mp.mpf(800)
            for _ in range(200):
                middle = (low + high) / 2
                low, high = (middle, high) if slope(middle) > 0 else (low, middle)
            assert float(mp.log(state.hazard[slot]) - state.shift) == pytest.approx(float(low), abs=1e-9)
            total += mp.fsum(mp.log(-mp.expm1(-t * mp.exp(low))) for t in tied) - mp.exp(low) * others
        assert state.log_likelihood == pytest.approx(float(total), rel=1e-11)


def test_expected_events_where_hazards_are_large_and_uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = brute_cox.random_rows(8, 90, 2, n_days=9, n_strata=2)
    offset = np.random.default_rng(8).normal(size=90) * 3
    data, glm = data_of(rows, offset=offset), brute_grouped.pairs(rows, offset=offset)
    monkeypatch.setattr("churnsurv.numerics.grouped_residuals._CHUNK", 7)
    beta = np.array([0.5, -0.5])
    state = grouped_state(data, beta * data.design.scale)
    at = brute_grouped.maximum(glm, fixed=beta)
    h = brute_grouped.hazards(glm, at)
    assert (h > 5).any()
    assert (h < 0.01).any()
    emptied = 2 * np.flatnonzero(state.hazard == 0) + 1
    expected = brute_grouped.expected(glm, at) + np.isin(data.sets.place, emptied)
    np.testing.assert_allclose(data.sets.event - grouped_martingale(data, state), expected, atol=1e-9)


def test_deviance_residuals_belong_to_the_martingale_residuals() -> None:
    _, data, _ = world(5, "none")
    state = fit_grouped(data).state
    martingale, deviance = grouped_martingale(data, state), grouped_deviance(data, state)
    event = data.sets.event
    expected = event - martingale
    assert (np.sign(martingale) == np.sign(deviance)).all()
    np.testing.assert_allclose(deviance[~event] ** 2, 2 * expected[~event], atol=1e-12)
    e = expected[event]
    np.testing.assert_allclose(deviance[event] ** 2, 2 * (e - 1 - np.log(e)), atol=1e-12)
    at_risk = data.sets.at_risk()
    assert not martingale[~at_risk].any()
    assert not deviance[~at_risk].any()


def test_clusters_and_residuals_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    _, data, _ = world(3, "sampling", n=200)
    fit = fit_grouped(data)
    cluster = np.random.default_rng(1).integers(0, 30, 200)
    whole, residuals = grouped_cluster_covariance(data, fit, cluster), grouped_score_residuals(data, fit.state)
    expected = grouped_martingale(data, fit.state)
    monkeypatch.setattr("churnsurv.numerics.grouped_residuals._CHUNK", 7)
    np.testing.assert_allclose(grouped_cluster_covariance(data, fit, cluster), whole, rtol=1e-12)
    np.testing.assert_array_equal(grouped_score_residuals(data, fit.state), residuals)
    np.testing.assert_allclose(grouped_martingale(data, fit.state), expected, atol=1e-14)
    # one cluster over all chunks: the score, which is zero
    assert np.abs(grouped_cluster_covariance(data, fit, np.zeros(200, dtype=int))).max() < 1e-20


# ---- What must not change the answer ----


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_rows_and_the_unit_of_time_do_not_matter(seed: int) -> None:
    rows = brute_cox.random_rows(seed, 120, 2, n_days=10, n_strata=2)
    order = np.random.default_rng(seed).permutation(120)
    moved = Rows(
        rows.x[order],
        rows.duration[order] * 7 + 3,
        rows.event[order],
        rows.entry[order] * 7 + 3,
        1 - rows.stratum[order],
    )
    same(fit_grouped(data_of(rows)), fit_grouped(data_of(moved)), rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_a_frequency_is_so_many_equal_rows(seed: int) -> None:
    rows = brute_cox.random_rows(seed, 60, 2, n_days=8, n_strata=2)
    times = np.random.default_rng(seed).integers(1, 5, 60)
    parts = (rows.x, rows.duration, rows.event, rows.entry, rows.stratum)
    repeated = data_of(Rows(*(np.repeat(part, times, axis=0) for part in parts)))
    weighted = data_of(rows, frequency=times)
    one, other = fit_grouped(weighted), fit_grouped(repeated)
    same(one, other, rtol=1e-10)
    np.testing.assert_allclose(grouped_baseline(weighted, one), grouped_baseline(repeated, other), rtol=1e-10)
    users = np.arange(60)
    robust = grouped_cluster_covariance(repeated, other, np.repeat(users, times))
    np.testing.assert_allclose(grouped_cluster_covariance(weighted, one, users), robust, rtol=1e-8, atol=1e-13)
    for residuals in (grouped_martingale, grouped_deviance, grouped_score_residuals):
        of_one, of_other = residuals(weighted, one.state), residuals(repeated, other.state)
        if of_one.ndim == 2:
            of_one, of_other = of_one * weighted.design.scale, of_other * repeated.design.scale
        np.testing.assert_allclose(np.repeat(of_one, times, axis=0), of_other, atol=1e-9)
    # here whole sampling weights are repeated rows too: ties are no matter of how many churned
    sampled = fit_grouped(data_of(rows, sampling=times * 1.0))
    same(sampled, other, rtol=1e-9)
    assert sampled.score_statistic == pytest.approx(other.score_statistic, rel=1e-8)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, unit=st.sampled_from([1e-9, 0.37, 1e9]))
def test_the_unit_of_sampling_weights_does_not_matter(seed: int, unit: float) -> None:
    rows = brute_cox.random_rows(seed, 80, 2, n_days=8, n_strata=2)
    weights, cluster = weights_of(seed, 80), np.arange(80) % 11
    first, second = data_of(rows, sampling=weights), data_of(rows, sampling=weights * unit)
    one, other = fit_grouped(first), fit_grouped(second)
    np.testing.assert_allclose(other.coefficients, one.coefficients, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.inverse_information * unit, one.inverse_information, rtol=1e-9)
    assert other.log_likelihood == pytest.approx(one.log_likelihood * unit, rel=1e-10)
    assert other.log_likelihood_null == pytest.approx(one.log_likelihood_null * unit, rel=1e-10)
    robust = grouped_cluster_covariance(first, one, cluster)
    np.testing.assert_allclose(grouped_cluster_covariance(second, other, cluster), robust, rtol=1e-8)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, day=st.integers(1, 7))
def test_splitting_rows_at_a_day_does_not_matter(seed: int, day: int) -> None:
    rows = brute_cox.random_rows(seed, 80, 2, n_days=8, n_strata=2)
    cut = (rows.entry < day) & (day < rows.duration)
    both = Rows(
        np.concatenate([rows.x, rows.x[cut]]),
        np.concatenate([np.where(cut, day, rows.duration), rows.duration[cut]]),
        np.concatenate([rows.event & ~cut, rows.event[cut]]),
        np.concatenate([rows.entry, np.full(cut.sum(), day)]),
        np.concatenate([rows.stratum, rows.stratum[cut]]),
    )
    whole, split = data_of(rows), data_of(both)
    one, other = fit_grouped(whole), fit_grouped(split)
    same(one, other)
    user = np.arange(80)
    robust = grouped_cluster_covariance(split, other, np.r_[user, user[cut]])
    np.testing.assert_allclose(robust, grouped_cluster_covariance(whole, one, user), rtol=1e-8, atol=1e-13)


@pytest.mark.parametrize("kind", ["frequency", "sampling"])
def test_collapsed_rows_give_the_same_fit(kind: str) -> None:
    weights = np.random.default_rng(3).integers(1, 6, 2_000) * 1.0 if kind == "frequency" else weights_of(3, 2_000)
    data = category_data("efron", **{kind: weights})
    collapsed = collapse(data)
    assert collapsed.design.n_rows < 500
    one, other = fit_grouped(data), fit_grouped(collapsed)
    same(one, other, rtol=1e-10)
    np.testing.assert_allclose(grouped_baseline(collapsed, other), grouped_baseline(data, one), rtol=1e-10)
    last = np.array([5.0])
    ours, theirs = (grouped_moments(d, f.state, last_day=last) for d, f in ((data, one), (collapsed, other)))
    for name in ("hazard", "variance", "gradient"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=1e-12)


def test_without_ties_it_is_near_cox() -> None:
    rng = np.random.default_rng(12)
    n = 3_000
    x = rng.normal(size=(n, 2))
    time = rng.exponential(400, n) * np.exp(-(x @ [0.6, -0.4]))
    day, event = np.ceil(np.minimum(time, 500)), time < 500
    data = data_of(simple(x, day, event))
    grouped, efron = fit_grouped(data), fit_cox(data)
    error = np.sqrt(np.diagonal(efron.inverse_information))
    assert np.abs(grouped.coefficients - efron.coefficients).max() < 0.02 * error.min()
    np.testing.assert_allclose(np.sqrt(np.diagonal(grouped.inverse_information)), error, rtol=2e-3)
