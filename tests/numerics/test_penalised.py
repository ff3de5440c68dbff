"""Ridge, lasso and elastic net: by hand, by the definition in 30 digits, and what must not change the answer."""

from __future__ import annotations

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, fit_cox, state_at
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.penalised import fit_penalised
from churnsurv.numerics.penalty_path import (
    Shrinkage,
    effective_df,
    largest_penalty,
    path_points,
    problem_of,
    saturated_log_likelihood,
    without_penalised,
)
from churnsurv.numerics.penalty_units import penalty_units
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import data_of

TIES = ["efron", "breslow"]
RATIOS = [0.0, 0.3, 1.0]


def three_users(x=(0.0, 1.0, 0.0)) -> CoxData:
    sets = risk_sets(np.array([1, 2, 3]), np.array([True, True, True]))
    return CoxData(design([np.array(x)], ["x"], n_rows=3), sets)


def made_up(n: int = 400, p: int = 6, seed: int = 0, effects=(1.0, -0.5)) -> CoxData:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    churn = rng.exponential(100 * np.exp(-x[:, : len(effects)] @ np.array(effects)))
    end = rng.uniform(20, 200, n)
    sets = risk_sets(np.ceil(np.minimum(churn, end)).astype(int), churn <= end)
    return CoxData(design(list(x.T), [f"x{j}" for j in range(p)], n_rows=n), sets)


def path(data: CoxData, l1_ratio: float, penalties):
    problem = problem_of(data, np.ones(data.design.n_columns, dtype=bool), penalty_units(data))
    null = without_penalised(problem)
    return problem, list(path_points(problem, null, penalties, l1_ratio))


# ---------------------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize("share", [0.9, 0.5, 0.01])
def test_lasso_by_hand(share: float) -> None:
    # Score 1 - e/(e + 2) - e/(e + 1) with e = exp(b), 1/6 at e = 1; s = sqrt(2)/3, W = 3. At the maximum the score is
    # k = 3 * penalty * s, so that (1 + k) e^2 + 3 k e + 2 k - 2 = 0.
    k = share / 6
    e = (-3 * k + np.sqrt(9 * k**2 - 4 * (1 + k) * (2 * k - 2))) / (2 * (1 + k))
    fit = fit_penalised(three_users(), penalty=k / np.sqrt(2), l1_ratio=1.0)
    assert fit.coefficients[0] == pytest.approx(np.log(e), abs=1e-12)
    assert fit.log_likelihood == pytest.approx(np.log(e) - np.log(e + 2) - np.log(e + 1), abs=1e-13)
    assert fit.log_likelihood_null == pytest.approx(-np.log(6), abs=1e-13)
    assert fit.deviation[0] == pytest.approx(np.sqrt(2) / 3, rel=1e-14)
    assert fit.effective_df == 1
    assert np.isnan(fit.score_statistic)


def test_lasso_is_zero_from_its_edge_on() -> None:
    edge = 1 / 6 / np.sqrt(2)
    data = three_users()
    assert fit_penalised(data, penalty=edge * (1 + 1e-9), l1_ratio=1.0).coefficients[0] == 0
    assert fit_penalised(data, penalty=edge * (1 - 1e-7), l1_ratio=1.0).coefficients[0] > 0
    problem = problem_of(data, np.ones(1, dtype=bool), penalty_units(data))
    assert largest_penalty(problem, without_penalised(problem), 1.0) == pytest.approx(edge, rel=1e-13)
    assert largest_penalty(problem, without_penalised(problem), 0.0) == pytest.approx(1000 * edge, rel=1e-13)


def test_ridge_by_hand() -> None:
    # e = 1.2: the score there is 1 - 1.2/3.2 - 1.2/2.2 = penalty * W * s^2 * log 1.2, W s^2 = 2/3
    e = 1.2
    score = 1 - e / (e + 2) - e / (e + 1)
    penalty = score / np.log(e) / (2 / 3)
    fit = fit_penalised(three_users(), penalty=penalty, l1_ratio=0.0)
    assert fit.coefficients[0] == pytest.approx(np.log(e), abs=1e-13)
    information = 2 * e / (e + 2) ** 2 + e / (e + 1) ** 2
    assert fit.inverse_information is not None
    assert fit.inverse_information[0, 0] == pytest.approx(1 / (information + penalty * 2 / 3), rel=1e-11)
    assert fit.effective_df == pytest.approx(information / (information + penalty * 2 / 3), rel=1e-11)
    at_zero = 2 / 9 + 1 / 4
    assert fit.score_statistic == pytest.approx((1 / 6) ** 2 / (at_zero + penalty * 2 / 3), rel=1e-12)


# --------------------------------------------------------------------------------------------------- the definition


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("l1_ratio", RATIOS)
@pytest.mark.parametrize("seed", range(3))
def test_slopes_cancel_in_the_written_definition(seed: int, l1_ratio: float, ties: str) -> None:
    rows = brute_cox.random_rows(seed, 20, 3, n_days=6, n_strata=1 + seed % 2, late=seed != 0)
    data = data_of(rows, ties)
    penalty = 0.06
    fit = fit_penalised(data, penalty=penalty, l1_ratio=l1_ratio)
    with mp.workdps(30):
        score = np.array([float(s) for s in brute_cox.score(rows, [mp.mpf(b) for b in fit.coefficients], ties)])
    s = np.asarray(rows.x, dtype=float).std(axis=0)
    slope = score / s / rows.n - penalty * (1 - l1_ratio) * s * fit.coefficients
    for b, left in zip(fit.coefficients, slope, strict=True):
        if b == 0:
            assert abs(left) <= penalty * l1_ratio * (1 + 1e-9)
        else:
            assert left == pytest.approx(penalty * l1_ratio * np.sign(b), abs=1e-12)


def test_standard_deviations_of_categories_and_interactions() -> None:
    rng = np.random.default_rng(3)
    n = 60
    codes, other = rng.integers(0, 4, n).astype(np.int32), rng.integers(0, 3, n).astype(np.int32)
    x, values, sampling = rng.normal(size=n) * 50 + 1000, rng.normal(size=n) * 7 + 3, rng.uniform(0.1, 3, n)
    counted = rng.random(n) < 0.8
    parts = [Indicators(codes, ("a", "b", "c"), "r"), Indicators(other, ("x:d", "x:e"), "s", values)]
    sets = risk_sets(rng.integers(1, 20, n), rng.random(n) < 0.5)
    data = CoxData(design([x], ["x"], parts, n_rows=n), sets, sampling=sampling)
    whole = np.column_stack([x, *((codes == k) for k in (1, 2, 3)), *((other == k) * values for k in (1, 2))])
    w = sampling * counted
    mean = w @ whole / w.sum()
    units = penalty_units(data, counted)
    np.testing.assert_allclose(units.deviation, np.sqrt(w @ (whole - mean) ** 2 / w.sum()), rtol=1e-13)
    assert units.total == pytest.approx(w.sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", TIES)
def test_no_covariates_exceed_the_saturated_likelihood(ties: str, weighted: bool) -> None:
    # offsets that make each event certain on its day come as near as rounding shows
    duration = np.array([2, 2, 2, 5, 5, 7, 9, 9])
    event = np.array([1, 1, 0, 1, 0, 1, 1, 1], dtype=bool)
    sampling = np.array([1.0, 2.5, 1.0, 0.3, 2.0, 1.0, 1.5, 4.0]) if weighted else None
    offset = np.where(event, -40.0 * duration, -900.0)
    made = design([np.arange(8.0)], ["x"], n_rows=8)
    data = CoxData(made, risk_sets(duration, event), ties, offset=offset, sampling=sampling)
    assert saturated_log_likelihood(data) == pytest.approx(state_at(data, np.zeros(1)).log_likelihood, rel=1e-12)
    if ties == "efron" and not weighted:
        assert saturated_log_likelihood(data) == pytest.approx(-2 * np.log(2))


# -------------------------------------------------------------------------------------- what must not change the answer


@pytest.mark.parametrize("l1_ratio", RATIOS)
@pytest.mark.parametrize("ties", TIES)
def test_penalty_zero_is_no_penalty(ties: str, l1_ratio: float) -> None:
    data = replace(made_up(), ties=ties)
    plain, fit = fit_cox(data), fit_penalised(data, penalty=0.0, l1_ratio=l1_ratio)
    np.testing.assert_allclose(fit.coefficients, plain.coefficients, rtol=1e-12)
    np.testing.assert_allclose(fit.inverse_information, plain.inverse_information, rtol=1e-12)
    assert fit.effective_df == pytest.approx(6)
    tiny = fit_penalised(data, penalty=1e-13, l1_ratio=l1_ratio)
    np.testing.assert_allclose(tiny.coefficients, plain.coefficients, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_nothing_penalised_is_no_penalty(l1_ratio: float) -> None:
    data = made_up()
    fit = fit_penalised(data, penalty=0.3, l1_ratio=l1_ratio, penalised=np.zeros(6, dtype=bool))
    np.testing.assert_allclose(fit.coefficients, fit_cox(data).coefficients, rtol=1e-9)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_units_of_columns_do_not_matter(l1_ratio: float) -> None:
    data = made_up()
    columns = list((data.design.dense * data.design.scale[:6] + data.design.centre[:6]).T)
    units = np.array([1e9, 1e-9, 3.0, 1.0, 0.1, 1e4])
    other = design([c * u + 10 * u for c, u in zip(columns, units, strict=True)], list("abcdef"), n_rows=400)
    here = fit_penalised(data, penalty=0.02, l1_ratio=l1_ratio)
    there = fit_penalised(replace(data, design=other), penalty=0.02, l1_ratio=l1_ratio)
    np.testing.assert_allclose(there.coefficients * units, here.coefficients, rtol=1e-9, atol=1e-13)
    if l1_ratio == 0:
        errors = [np.sqrt(np.diagonal(fit.inverse_information)) for fit in (here, there)]
        np.testing.assert_allclose(errors[1] * units, errors[0], rtol=1e-9)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_permuted_rows_and_columns(l1_ratio: float) -> None:
    rows = brute_cox.random_rows(5, 60, 3, n_days=9, n_strata=2, late=True)
    mixed, columns = np.random.default_rng(0).permutation(60), [2, 0, 1]
    other = Rows(
        rows.x[mixed][:, columns], *(getattr(rows, name)[mixed] for name in ("duration", "event", "entry", "stratum"))
    )
    here = fit_penalised(data_of(rows), penalty=0.03, l1_ratio=l1_ratio)
    there = fit_penalised(data_of(other), penalty=0.03, l1_ratio=l1_ratio)
    np.testing.assert_allclose(there.coefficients, here.coefficients[columns], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("l1_ratio", RATIOS)
@pytest.mark.parametrize("ties", TIES)
def test_a_frequency_is_repeated_rows(ties: str, l1_ratio: float) -> None:
    rows = brute_cox.random_rows(2, 40, 2, n_days=7, n_strata=2, late=True)
    frequency = np.random.default_rng(1).integers(1, 5, 40)
    names = ("x", "duration", "event", "entry", "stratum")
    repeated = Rows(*(np.repeat(np.asarray(getattr(rows, name)), frequency, axis=0) for name in names))
    here = fit_penalised(data_of(rows, ties, frequency=frequency), penalty=0.02, l1_ratio=l1_ratio)
    there = fit_penalised(data_of(repeated, ties), penalty=0.02, l1_ratio=l1_ratio)
    np.testing.assert_allclose(here.coefficients, there.coefficients, rtol=1e-9, atol=1e-13)
    assert here.log_likelihood == pytest.approx(there.log_likelihood, rel=1e-12)
    assert here.effective_df == pytest.approx(there.effective_df, rel=1e-9)


@pytest.mark.parametrize("l1_ratio", RATIOS)
@pytest.mark.parametrize("unit", [1e-9, 1e6])
def test_the_unit_of_sampling_weights_does_not_matter(unit: float, l1_ratio: float) -> None:
    rows = brute_cox.random_rows(4, 50, 2, n_days=7, n_strata=1, late=False)
    sampling = np.random.default_rng(1).uniform(0.5, 3, 50)
    here = fit_penalised(data_of(rows, sampling=sampling), penalty=0.02, l1_ratio=l1_ratio)
    there = fit_penalised(data_of(rows, sampling=sampling * unit), penalty=0.02, l1_ratio=l1_ratio)
    np.testing.assert_allclose(here.coefficients, there.coefficients, rtol=1e-9, atol=1e-13)
    events = np.asarray(rows.event) & (np.asarray(rows.entry) < np.asarray(rows.duration))
    gained = unit * sampling[events].sum() * np.log(unit)  # each event's risk set has grown by the unit
    assert there.log_likelihood == pytest.approx(unit * here.log_likelihood - gained, rel=1e-9)
    if l1_ratio == 0:
        np.testing.assert_allclose(there.inverse_information * unit, here.inverse_information, rtol=1e-9)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_collapsed_rows(l1_ratio: float) -> None:
    rng = np.random.default_rng(0)
    n = 3000
    codes = [rng.integers(0, k, n).astype(np.int32) for k in (3, 4)]
    parts = [Indicators(codes[0], ("a", "b"), "r"), Indicators(codes[1], ("c", "d", "e"), "s")]
    data = CoxData(design([], [], parts, n_rows=n), risk_sets(rng.integers(1, 30, n), rng.random(n) < 0.6))
    small = collapse(data)
    assert small.design.n_rows < n
    here, there = (fit_penalised(d, penalty=0.004, l1_ratio=l1_ratio) for d in (data, small))
    np.testing.assert_allclose(there.coefficients, here.coefficients, rtol=1e-9, atol=1e-13)


# ------------------------------------------------------------------------------------------------------------ the path


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_the_path_is_that_of_single_fits(l1_ratio: float) -> None:
    data = made_up()
    penalties = [0.5, 0.1, 0.03, 0.01, 0.001]
    problem, found = path(data, l1_ratio, penalties)
    for penalty, at in zip(penalties, found, strict=True):
        one = fit_penalised(data, penalty=penalty, l1_ratio=l1_ratio)
        np.testing.assert_allclose(problem.in_units(at.point.beta), one.coefficients, rtol=1e-9, atol=1e-12)
        df = effective_df(problem, at.point, Shrinkage.of(problem, penalty, l1_ratio))
        assert df == pytest.approx(one.effective_df, rel=1e-9)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_coefficients_grow_as_the_penalty_falls(l1_ratio: float) -> None:
    data = made_up(seed=3)
    _, found = path(data, l1_ratio, np.geomspace(0.5, 1e-4, 40))
    size = np.array([np.abs(at.point.beta).sum() for at in found])
    assert (np.diff(size) >= -1e-10).all()
    value = np.array([at.point.state.log_likelihood for at in found])
    assert (np.diff(value) >= -1e-9).all()
    assert value[-1] <= fit_cox(data).log_likelihood


def test_more_columns_than_rows() -> None:
    data = made_up(n=60, p=100, effects=(2.0, -2.0))
    problem, found = path(data, 1.0, np.geomspace(0.4, 0.01, 25))
    last = found[-1].point.beta
    assert 10 < np.count_nonzero(last) < 60
    assert {0, 1} <= set(np.flatnonzero(found[8].point.beta))
    shrinkage = Shrinkage.of(problem, 0.01, 1.0)
    assert np.abs(shrinkage.uphill(found[-1].point)).max() < 1e-8


# -------------------------------------------------------------------------------- where there is no fit without penalty


@pytest.mark.parametrize("l1_ratio", RATIOS)
@pytest.mark.parametrize("penalty", [0.1, 1e-4, 1e-8])
def test_separation_under_a_penalty(penalty: float, l1_ratio: float) -> None:
    x = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    other = np.array([0.3, -1.0, 0.5, 0.9, -0.4, 0.0])
    data = CoxData(design([x, other], ["x", "other"], n_rows=6), risk_sets(np.arange(1, 7), np.ones(6, dtype=bool)))
    with pytest.raises(ConvergenceError, match="separation"):
        fit_cox(data)
    fit = fit_penalised(data, penalty=penalty, l1_ratio=l1_ratio)
    assert 0 < fit.coefficients[0] < 40
    kept = fit_penalised(data, penalty=0.1, l1_ratio=l1_ratio, penalised=np.array([True, False]))
    assert np.isfinite(kept.coefficients).all()
    with pytest.raises(ConvergenceError, match="'x' to plus infinity"):
        fit_penalised(data, penalty=penalty, l1_ratio=l1_ratio, penalised=np.array([False, True]))


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_a_category_without_events(l1_ratio: float) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 90).astype(np.int32)
    event = (rng.random(90) < 0.7) & (codes != 2)
    made = design([rng.normal(size=90)], ["x"], [Indicators(codes, ("quiet: b", "quiet: c"), "quiet: a")], n_rows=90)
    data = CoxData(made, risk_sets(rng.integers(1, 20, 90), event))
    fit = fit_penalised(data, penalty=0.01, l1_ratio=l1_ratio)
    assert -20 < fit.coefficients[2] < -0.5
    with pytest.raises(ConvergenceError, match="quiet: c"):
        fit_penalised(data, penalty=0.01, l1_ratio=l1_ratio, penalised=np.array([True, False, False]))


def test_a_penalty_too_small_to_hold_is_an_error_not_an_answer() -> None:
    # separated, and with late entry: the hazard ratios that it takes are beyond what risk sets by subtraction hold
    data = data_of(brute_cox.random_rows(5, 14, 9, n_days=30, n_strata=1, late=True))
    problem = problem_of(data, np.ones(9, dtype=bool), penalty_units(data))
    with pytest.raises(ConvergenceError, match=r"at penalty 0\.001: .* raise it"):
        list(path_points(problem, without_penalised(problem), [0.05, 0.01, 1e-3], 1.0))


def test_aliased_columns_share_under_ridge() -> None:
    data = made_up(p=2)
    columns = list((data.design.dense * data.design.scale + data.design.centre).T)
    doubled = replace(data, design=design([*columns, columns[0]], ["a", "b", "c"], n_rows=400))
    fit = fit_penalised(doubled, penalty=0.05)
    assert fit.coefficients[0] == pytest.approx(fit.coefficients[2], rel=1e-10)
    half = fit_penalised(data, penalty=0.05, penalised=np.array([False, True]))
    assert half.coefficients[0] > 2 * fit.coefficients[0]
    with pytest.raises(ConvergenceError, match="'a' and 'c' are collinear"):
        fit_penalised(doubled, penalty=0.05, penalised=np.array([False, True, False]))
    lasso = fit_penalised(doubled, penalty=0.05, l1_ratio=1.0)
    once = fit_penalised(data, penalty=0.05, l1_ratio=1.0)
    assert lasso.coefficients[0] + lasso.coefficients[2] == pytest.approx(once.coefficients[0], rel=1e-9)


def test_what_cannot_be_fitted_is_named() -> None:
    data = three_users()
    with pytest.raises(InputError, match="penalty must be a finite number >= 0, not -1"):
        fit_penalised(data, penalty=-1)
    with pytest.raises(InputError, match="l1_ratio must lie between"):
        fit_penalised(data, penalty=1, l1_ratio=2)
    still = penalty_units(data, np.array([True, False, True]))
    assert still.deviation.tolist() == [0.0]
    with pytest.raises(ConvergenceError, match="'x' has the same value in all rows that count"):
        fit_penalised(data, penalty=1, l1_ratio=1.0, units=still)
    nobody = replace(data, sets=risk_sets(np.array([1, 2, 3]), np.zeros(3, dtype=bool)))
    with pytest.raises(ConvergenceError, match="no event"):
        fit_penalised(nobody, penalty=1)


# ------------------------------------------------------------------------------------------------------------ recovery


def test_ridge_predicts_better_with_collinear_columns() -> None:
    rng = np.random.default_rng(11)
    errors = {0.0: 0.0, 0.1: 0.0}
    for _ in range(15):
        common = rng.normal(size=(120, 1))
        x = common + 0.1 * rng.normal(size=(120, 8))
        churn = rng.exponential(np.exp(-x @ np.full(8, 0.1)))
        data = CoxData(design(list(x.T), list("abcdefgh"), n_rows=120), risk_sets(churn, np.ones(120, dtype=bool)))
        for penalty in errors:
            away = fit_penalised(data, penalty=penalty).coefficients - 0.1
            errors[penalty] += float(np.var(x @ away))
    assert errors[0.1] < 0.5 * errors[0.0]
