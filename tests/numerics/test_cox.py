"""Cox's likelihood and fit: cases worked by hand, the definition in 50 digits, and what must not change the answer."""

from __future__ import annotations

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, baseline_hazard, derivatives, fit_cox, state_at
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.residuals import cluster_covariance, score_residuals
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox
from tests.numerics.brute_cox import Rows

TIES = ["efron", "breslow"]


def data_of(rows: Rows, ties: str = "efron", frequency=None, offset=None, sampling=None) -> CoxData:
    columns = [np.asarray(column, dtype=float) for column in np.asarray(rows.x).T]
    sets = risk_sets(
        np.asarray(rows.duration),
        np.asarray(rows.event),
        entry=np.asarray(rows.entry),
        stratum=np.asarray(rows.stratum),
        n_strata=int(np.max(rows.stratum)) + 1,
        frequency=frequency,
    )
    made = design(columns, [f"x{j}" for j in range(len(columns))], n_rows=rows.n)
    return CoxData(made, sets, ties, None if frequency is None else frequency.astype(float), offset, sampling)


def simple(x, duration, event, entry=None, stratum=None) -> Rows:
    n = len(duration)
    x = np.asarray(x, dtype=float).reshape(n, -1)
    entry = np.full(n, -1) if entry is None else np.asarray(entry)
    return Rows(x, np.asarray(duration), np.asarray(event, dtype=bool), entry,
                np.zeros(n, dtype=int) if stratum is None else np.asarray(stratum))  # fmt: skip


# Six users, two of them churn on day 6: worked out on paper with r = exp(b).
SIX = simple([0, 1, 1, 1, 0, 0], [9, 1, 1, 6, 6, 8], [1, 1, 0, 1, 1, 0])


def test_six_users_by_hand_efron() -> None:
    # risk sums: day 1: 3r + 3; day 6: r + 3 and (r + 5) / 2; day 9: 1. The score is zero where r^3 - 23 r - 30 = 0.
    r = float(np.roots([1, 0, -23, -30]).max())
    fit = fit_cox(data_of(SIX))
    assert fit.coefficients[0] == pytest.approx(np.log(r), abs=1e-13)
    information = r / (r + 1) ** 2 + 3 * r / (r + 3) ** 2 + 5 * r / (r + 5) ** 2
    assert fit.inverse_information[0, 0] == pytest.approx(1 / information, rel=1e-11)
    at = 2 * np.log(r) - np.log(3 * r + 3) - np.log(r + 3) - np.log((r + 5) / 2)
    assert fit.log_likelihood == pytest.approx(at, abs=1e-13)
    assert fit.log_likelihood_null == pytest.approx(-np.log(6) - np.log(4) - np.log(3), abs=1e-13)
    assert fit.score_statistic == pytest.approx(169 / 83, rel=1e-13)
    hazard = np.cumsum([1 / (3 * r + 3), 1 / (r + 3) + 2 / (r + 5), 1.0])
    np.testing.assert_allclose(baseline_hazard(data_of(SIX), fit), hazard, rtol=1e-11)


def test_six_users_by_hand_breslow() -> None:
    # the score 2 - r/(r + 1) - 2r/(r + 3) is zero where r^2 - 3r - 6 = 0
    r = (3 + np.sqrt(33)) / 2
    data = data_of(SIX, "breslow")
    fit = fit_cox(data)
    assert fit.coefficients[0] == pytest.approx(np.log(r), abs=1e-13)
    assert fit.inverse_information[0, 0] == pytest.approx(1 / (r / (r + 1) ** 2 + 6 * r / (r + 3) ** 2), rel=1e-12)
    assert fit.log_likelihood == pytest.approx(2 * np.log(r) - np.log(3 * r + 3) - 2 * np.log(r + 3), abs=1e-13)
    hazard = np.cumsum([1 / (3 * r + 3), 2 / (r + 3), 1.0])
    np.testing.assert_allclose(baseline_hazard(data, fit), hazard, rtol=1e-12)


def test_residuals_at_zero_in_fractions() -> None:
    # theta = 1 throughout, so that everything is rational: u_i from the formula with fractions.Fraction
    x, time, event = [0, 1, 1, 1, 0, 0], [9, 1, 1, 6, 6, 8], [1, 1, 0, 1, 1, 0]
    expected = []
    for i in range(6):
        u = Fraction(0)
        for day in (1, 6, 9):
            inside = [j for j in range(6) if time[j] >= day]
            tied = [j for j in inside if event[j] and time[j] == day]
            d, s1, d1 = len(tied), sum(x[j] for j in inside), sum(x[j] for j in tied)
            for tie in range(d):
                c = Fraction(tie, d)
                u_sum = len(inside) - c * d
                mean = (s1 - c * d1) / u_sum
                part = Fraction(1) - (c if i in tied else 0)
                if i in inside:
                    u -= part * (x[i] - mean) / u_sum
                if i in tied:
                    u += (x[i] - mean) / d
        expected.append(float(u))
    data = data_of(SIX)
    found = score_residuals(data, state_at(data, np.zeros(1))).of(slice(None))[:, 0] * data.design.scale[0]
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert sum(expected) == pytest.approx(13 / 12)


def test_late_entry_and_strata_by_hand() -> None:
    # one covariate r = exp(b). Stratum 0: day 2, at risk {1, r}, r churns; day 5, at risk {1, r, r}, 1 churns (an r
    # entered on day 2). Stratum 1: day 2, at risk {1, r}, 1 churns.
    rows = simple([1, 0, 1, 1, 0, 1], [2, 5, 9, 7, 2, 4], [1, 1, 0, 0, 1, 0], entry=[0, 0, 2, 2, 0, 1],
                  stratum=[0, 0, 0, 0, 1, 1])  # fmt: skip
    # score: r/(1+r) drops out: 1 - r/(1+r) - 2r/(1+2r) - r/(1+r) = 0  <=>  4 r^2 + r - 1 = 0
    r = (-1 + np.sqrt(17)) / 8
    fit = fit_cox(data_of(rows))
    assert fit.coefficients[0] == pytest.approx(np.log(r), abs=1e-13)
    assert fit.log_likelihood == pytest.approx(np.log(r) - 2 * np.log(1 + r) - np.log(1 + 2 * r), abs=1e-13)
    np.testing.assert_allclose(
        baseline_hazard(data_of(rows), fit),
        [1 / (1 + r), 1 / (1 + r) + 1 / (1 + 2 * r), 1 / (1 + r)],
        rtol=1e-12,
    )


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", range(4))
def test_likelihood_score_information_and_residuals_are_their_definitions(seed: int, ties: str) -> None:
    rows = brute_cox.random_rows(seed, 18, 2, n_days=5, n_strata=1 + seed % 3, late=seed != 0)
    data = data_of(rows, ties)
    beta = np.array([0.4, -0.7])
    state = state_at(data, beta * data.design.scale)
    events = data.design.transposed_times(data.sets.event.astype(float))
    found = derivatives(data, state, events)
    scale = data.design.scale
    with mp.workdps(50):
        exact = [mp.mpf(float(b)) for b in beta]
        value = brute_cox.log_likelihood(rows, exact, ties)
        # x enters centred: the linear predictor of every event is shifted by the same amount as its risk set
        assert state.log_likelihood == pytest.approx(float(value), rel=1e-12)
        expected = np.array([float(s) for s in brute_cox.score(rows, exact, ties)])
        np.testing.assert_allclose(found.score * scale, expected, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(
            found.information * np.outer(scale, scale),
            brute_cox.information(rows, exact, ties),
            rtol=1e-9,
            atol=1e-10,
        )
    with mp.workdps(30):
        residuals = score_residuals(data, state).of(slice(None)) * scale
        np.testing.assert_allclose(residuals, brute_cox.score_residuals(rows, exact, ties), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("ties", TIES)
def test_the_fit_solves_the_score_equation_in_fifty_digits(ties: str) -> None:
    rows = brute_cox.random_rows(11, 40, 2, n_days=6, n_strata=2)
    fit = fit_cox(data_of(rows, ties))
    with mp.workdps(50):
        at = [mp.mpf(float(b)) for b in fit.coefficients]
        exact = mp.findroot(lambda *b: brute_cox.score(rows, list(b), ties), tuple(at), tol=1e-25)
        error = np.sqrt(np.diagonal(fit.inverse_information))
        np.testing.assert_array_less(np.abs(fit.coefficients - [float(b) for b in exact]), 2e-11 * error)


def test_nearly_collinear_columns_keep_their_digits() -> None:
    rows = brute_cox.random_rows(12, 40, 2, n_days=6)
    x = rows.x.copy()
    x[:, 1] = x[:, 0] + 1e-3 * x[:, 1]
    rows = Rows(x, rows.duration, rows.event, rows.entry, rows.stratum)
    fit = fit_cox(data_of(rows))
    with mp.workdps(50):
        at = tuple(mp.mpf(float(b)) for b in fit.coefficients)
        exact = mp.findroot(lambda *b: brute_cox.score(rows, list(b), "efron"), at, tol=1e-20)
        np.testing.assert_allclose(fit.coefficients, [float(b) for b in exact], rtol=1e-8)


def test_robust_covariance_is_its_definition() -> None:
    rows = brute_cox.random_rows(5, 20, 2, n_days=5, n_strata=2)
    cluster = np.arange(20) % 7
    data = data_of(rows)
    fit = fit_cox(data)
    with mp.workdps(30):
        at = [mp.mpf(float(b)) for b in fit.coefficients]
        residuals = brute_cox.score_residuals(rows, at, "efron")
        bread = np.linalg.inv(brute_cox.information(rows, at, "efron"))
    summed = np.array([residuals[cluster == c].sum(axis=0) for c in range(7)])
    found = cluster_covariance(data, fit.state, fit.inverse_information, cluster)
    np.testing.assert_allclose(found, bread @ summed.T @ summed @ bread, rtol=1e-8)


def test_clusters_across_chunks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = brute_cox.random_rows(6, 200, 2, n_days=9)
    cluster = np.random.default_rng(0).integers(0, 12, 200)
    data = data_of(rows)
    fit = fit_cox(data)
    whole = cluster_covariance(data, fit.state, fit.inverse_information, cluster)
    monkeypatch.setattr("churnsurv.numerics.residuals._CHUNK", 7)
    np.testing.assert_allclose(cluster_covariance(data, fit.state, fit.inverse_information, cluster), whole, rtol=1e-12)
    order = np.argsort(cluster, kind="stable")
    again = data_of(
        Rows(rows.x[order], rows.duration[order], rows.event[order], rows.entry[order], rows.stratum[order])
    )
    refit = fit_cox(again)
    permuted = cluster_covariance(again, refit.state, refit.inverse_information, cluster[order])
    np.testing.assert_allclose(permuted, whole, rtol=1e-9)


def test_residuals_sum_to_zero_at_the_maximum() -> None:
    rows = brute_cox.random_rows(7, 300, 3, n_days=12, n_strata=3)
    data = data_of(rows)
    assert np.abs(score_residuals(data, fit_cox(data).state).of(slice(None)).sum(axis=0)).max() < 1e-11


# ---- What must not change the answer ----


def same(a, b, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(a.coefficients, b.coefficients, rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(a.inverse_information, b.inverse_information, rtol=rtol, atol=1e-13)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=rtol)


SEEDS = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES))
def test_the_order_of_rows_and_the_unit_of_time_do_not_matter(seed: int, ties: str) -> None:
    rows = brute_cox.random_rows(seed, 120, 2, n_days=10, n_strata=2)
    order = np.random.default_rng(seed).permutation(120)
    moved = Rows(
        rows.x[order],
        rows.duration[order] * 0.37,
        rows.event[order],
        rows.entry[order] * 0.37,
        rows.stratum[order],
    )
    same(fit_cox(data_of(rows, ties)), fit_cox(data_of(moved, ties)))


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES), day=st.integers(1, 9))
def test_splitting_rows_at_a_day_does_not_matter(seed: int, ties: str, day: int) -> None:
    rows = brute_cox.random_rows(seed, 120, 2, n_days=10, n_strata=2)
    cut = (rows.entry < day) & (day < rows.duration)
    first = Rows(rows.x, np.where(cut, day, rows.duration), rows.event & ~cut, rows.entry, rows.stratum)
    both = Rows(
        np.concatenate([first.x, rows.x[cut]]),
        np.concatenate([first.duration, rows.duration[cut]]),
        np.concatenate([first.event, rows.event[cut]]),
        np.concatenate([first.entry, np.full(cut.sum(), day)]),
        np.concatenate([first.stratum, rows.stratum[cut]]),
    )
    whole, split = fit_cox(data_of(rows, ties)), fit_cox(data_of(both, ties))
    same(whole, split)
    np.testing.assert_allclose(
        baseline_hazard(data_of(rows, ties), whole), baseline_hazard(data_of(both, ties), split), rtol=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, shift=st.floats(-1e3, 1e3), unit=st.sampled_from([1e-9, 0.3, 1e9]))
def test_covariates_in_other_units(seed: int, shift: float, unit: float) -> None:
    rows = brute_cox.random_rows(seed, 120, 2, n_days=10)
    other = Rows((rows.x + shift) * unit, rows.duration, rows.event, rows.entry, rows.stratum)
    a, b = fit_cox(data_of(rows)), fit_cox(data_of(other))
    np.testing.assert_allclose(b.coefficients * unit, a.coefficients, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(b.inverse_information * unit**2, a.inverse_information, rtol=1e-8, atol=1e-12)
    assert b.log_likelihood == pytest.approx(a.log_likelihood, rel=1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, ties=st.sampled_from(TIES))
def test_a_frequency_is_so_many_equal_rows(seed: int, ties: str) -> None:
    rows = brute_cox.random_rows(seed, 60, 2, n_days=8, n_strata=2)
    times = np.random.default_rng(seed).integers(1, 5, 60)
    parts = (rows.x, rows.duration, rows.event, rows.entry, rows.stratum)
    repeated = Rows(*(np.repeat(part, times, axis=0) for part in parts))
    weighted, plain = data_of(rows, ties, frequency=times), data_of(repeated, ties)
    a, b = fit_cox(weighted), fit_cox(plain)
    same(a, b, rtol=1e-10)
    np.testing.assert_allclose(baseline_hazard(weighted, a), baseline_hazard(plain, b), rtol=1e-10)
    cluster = np.arange(60) % 9
    np.testing.assert_allclose(
        cluster_covariance(weighted, a.state, a.inverse_information, cluster),
        cluster_covariance(plain, b.state, b.inverse_information, np.repeat(cluster, times)),
        rtol=1e-9,
    )


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_an_offset_is_a_coefficient_that_is_known(seed: int) -> None:
    rows = brute_cox.random_rows(seed, 120, 2, n_days=10)
    free = fit_cox(data_of(rows))
    with_offset = fit_cox(data_of(rows, offset=rows.x @ np.array([0.5, -2.0]) + 700.0))
    np.testing.assert_allclose(with_offset.coefficients + np.array([0.5, -2.0]), free.coefficients, rtol=1e-9)
    assert with_offset.log_likelihood == pytest.approx(free.log_likelihood, rel=1e-10)


def test_strata_add_their_log_likelihoods() -> None:
    rows = brute_cox.random_rows(3, 200, 2, n_days=10, n_strata=3)
    beta = np.array([0.2, 0.1])

    def value(keep: np.ndarray) -> float:
        part = Rows(
            rows.x[keep],
            rows.duration[keep],
            rows.event[keep],
            rows.entry[keep],
            np.zeros(keep.sum(), dtype=int),
        )
        data = data_of(part)
        return state_at(data, beta * data.design.scale).log_likelihood

    whole = data_of(rows)
    apart = sum(value(rows.stratum == s) for s in range(3))
    assert state_at(whole, beta * whole.design.scale).log_likelihood == pytest.approx(apart, rel=1e-13)


def test_without_ties_efron_is_breslow() -> None:
    rows = brute_cox.random_rows(4, 80, 2, n_days=10)
    apart = Rows(rows.x, rows.duration + np.linspace(0, 0.5, 80), rows.event, rows.entry, rows.stratum)
    same(fit_cox(data_of(apart, "efron")), fit_cox(data_of(apart, "breslow")), rtol=1e-13)


def test_linear_predictors_far_from_zero_do_not_overflow() -> None:
    rows = brute_cox.random_rows(8, 100, 1, n_days=10)
    data = data_of(rows, offset=np.full(100, 1e4))
    assert fit_cox(data).coefficients[0] == pytest.approx(fit_cox(data_of(rows)).coefficients[0], rel=1e-9)
    # a user who is never at risk on a day with churn may have any covariate
    late = Rows(np.append(rows.x, [[1e6]], axis=0), np.append(rows.duration, 50), np.append(rows.event, False),
                np.append(rows.entry, 40), np.append(rows.stratum, 0))  # fmt: skip
    assert fit_cox(data_of(late)).coefficients[0] == pytest.approx(fit_cox(data_of(rows)).coefficients[0], rel=1e-6)


def categories(codes, names=("b", "c"), reference="a") -> Indicators:
    return Indicators(np.asarray(codes, dtype=np.int32), tuple(names), reference)


def test_equal_rows_collapse_to_the_same_fit() -> None:
    rng = np.random.default_rng(2)
    n = 8_000
    parts = [
        categories(rng.integers(0, 3, n)),
        categories(rng.integers(0, 2, n), names=("y",), reference="x"),
    ]
    duration, event = rng.integers(1, 12, n), rng.random(n) < 0.6
    for entry in (None, np.minimum(rng.integers(0, 3, n), duration)):
        data = CoxData(design([], [], parts, n_rows=n), risk_sets(duration, event, entry=entry))
        small = collapse(data)
        assert small.design.n_rows < n / 4
        assert small.frequency is not None
        assert small.frequency.sum() == n
        same(fit_cox(small), fit_cox(data), rtol=1e-11)


def test_rows_with_numbers_are_not_collapsed() -> None:
    data = data_of(brute_cox.random_rows(1, 50, 1, n_days=3))
    assert collapse(data) is data


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("kind", ["none", "frequency", "sampling"])
def test_whole_numbers_collapse_to_the_same_fit(kind: str, ties: str) -> None:
    rng = np.random.default_rng(7)
    n = 9_000
    columns = [rng.integers(-2, 4, n), rng.random(n) < 0.3, rng.integers(0, 2, n) * 1.0]
    duration, event = rng.integers(1, 5, n), rng.random(n) < 0.6
    entry = np.minimum(rng.integers(0, 3, n), duration)
    part = [categories(rng.integers(0, 3, n))]
    weights = rng.integers(1, 4, n)
    made = design(columns, ["x", "y", "z"], part, n_rows=n)
    for late in (None, entry):
        sets = risk_sets(duration, event, entry=late, frequency=weights if kind == "frequency" else None)
        own = {} if kind == "none" else {kind: weights.astype(float)}
        data = CoxData(made, sets, ties, **own)
        small = collapse(data)
        assert small.design.n_rows < n / 2
        assert set(small.design.dense[:, 0]) == set(made.dense[:, 0])
        same(fit_cox(small), fit_cox(data), rtol=1e-10)


def test_only_whole_numbers_collapse() -> None:
    rng = np.random.default_rng(8)
    n = 9_000
    sets = risk_sets(rng.integers(1, 4, n), rng.random(n) < 0.6)
    halves, many = rng.integers(0, 4, n) / 2, rng.integers(0, 5_000, n)
    late_fraction = np.where(np.arange(n) < n - 1, rng.integers(0, 4, n), 1.25)
    late_outlier = np.where(np.arange(n) < n - 1, rng.integers(0, 4, n), 1_000_000)
    for column in (halves, many, late_fraction, late_outlier):
        data = CoxData(design([column], ["x"], n_rows=n), sets)
        assert collapse(data) is data
    data = CoxData(design([rng.integers(0, 4, n)], ["x"], n_rows=n), sets, offset=np.zeros(n))
    assert collapse(data) is data


# ---- Where no estimate exists ----


def leads_to_infinity(rows: Rows) -> bool:
    """Whether some direction ranks every churner at least level with all who are at risk: by linear programming."""
    ahead = [
        rows.x[i] - rows.x[j]
        for stratum, day in brute_cox.days(rows)
        for i in range(rows.n)
        if rows.event[i] and (rows.stratum[i], rows.duration[i]) == (stratum, day) and rows.entry[i] < day
        for j in range(rows.n)
        if rows.stratum[j] == stratum and rows.entry[j] < day <= rows.duration[j]
    ]
    found = linprog(-np.sum(ahead, axis=0), A_ub=-np.array(ahead), b_ub=np.zeros(len(ahead)), bounds=(-1, 1))
    return bool(-found.fun > 1e-9)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n=st.integers(6, 16), ties=st.sampled_from(TIES))
def test_separation_is_found_where_there_is_some_and_nowhere_else(seed: int, n: int, ties: str) -> None:
    rows = brute_cox.random_rows(seed, n, 2, n_days=5)
    really = rows.event & (rows.entry < rows.duration)
    assume(really.any())
    try:
        fit_cox(data_of(rows, ties))
    except ConvergenceError as error:
        assume("separation" in str(error))
        assert leads_to_infinity(rows)
    else:
        assert not leads_to_infinity(rows)


def fails(data: CoxData, text: str) -> None:
    with pytest.raises(ConvergenceError, match=text):
        fit_cox(data)


def test_no_events() -> None:
    fails(data_of(simple([1, 2], [3, 4], [0, 0])), "there is no event among the rows at risk")


def test_collinear_columns_are_named() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4))
    x[:, 2] = 2 * x[:, 0] - 1e-6 * x[:, 1] * 1e6 + 5
    rows = simple(x, rng.integers(1, 9, 50), rng.random(50) < 0.7)
    fails(
        data_of(rows),
        "'x0', 'x1' and 'x2' are collinear: each of them is determined by the others. Leave one",
    )


def test_a_column_that_does_not_vary_within_strata_is_named() -> None:
    rows = simple([1, 1, 2, 2], [1, 2, 1, 2], [1, 1, 1, 1], stratum=[0, 0, 1, 1])
    fails(data_of(rows), "'x0' does not vary among the rows at risk together")


@pytest.mark.parametrize(("sign", "way"), [(1, "minus"), (-1, "plus")])
@pytest.mark.parametrize("unit", [1.0, 1e9, 1e-9])
def test_complete_separation_is_named(sign: int, way: str, unit: float) -> None:
    day = np.arange(1, 21)
    fails(data_of(simple(sign * unit * day, day, np.ones(20))), f"separation.*'x0' to {way} infinity")


def test_separation_among_other_columns_is_named() -> None:
    # x1 = 1 has no churn at all, but is numeric: only the likelihood can tell
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.normal(size=300), rng.random(300) < 0.2])
    event = (rng.random(300) < 0.7) & (x[:, 1] == 0)
    fails(data_of(simple(x, rng.integers(1, 30, 300), event)), "separation.*goes, 'x1' to minus infinity. The")


def test_separation_along_a_combination_names_both() -> None:
    # x0 + x1 tells who churns first; neither does alone
    rng = np.random.default_rng(5)
    total = np.sort(rng.normal(size=60))
    x0 = rng.normal(size=60) * 3
    fails(data_of(simple(np.column_stack([x0, total - x0]), np.arange(60)[::-1] + 1, np.ones(60))), "'x0'.*'x1'")


def test_a_category_without_events_is_named() -> None:
    codes, event = [0, 1, 2] * 10, [1, 0, 1] * 10
    made = design([], [], [categories(codes, names=("channel: b", "channel: c"))], n_rows=30)
    data = CoxData(made, risk_sets(np.arange(30) + 1, np.array(event, dtype=bool)))
    fails(data, r"none of the rows at risk in 'channel: b' \(10 rows\) has the event")


def test_a_reference_without_events_is_named() -> None:
    codes, event = [0, 1, 2] * 10, [0, 1, 1] * 10
    data = CoxData(
        design([], [], [categories(codes)], n_rows=30),
        risk_sets(np.arange(30)[::-1], np.array(event, dtype=bool)),
    )
    fails(data, r"'a' \(10 rows, the reference\)")


def test_a_category_never_at_risk_is_named() -> None:
    codes = [0, 1, 0, 1, 2]
    made = design([], [], [categories(codes)], n_rows=5)
    fails(
        CoxData(made, risk_sets(np.array([5, 6, 7, 8, 2]), np.array([1, 1, 1, 1, 0], dtype=bool))),
        "nobody in 'c' is at risk",
    )


def test_a_rare_category_with_one_event_is_no_separation() -> None:
    rng = np.random.default_rng(6)
    n = 3_000
    x = np.zeros(n)
    x[:400] = 1
    event = rng.random(n) < 0.8
    event[:400] = False
    event[7] = True
    duration = rng.integers(1, 60, n)
    fit = fit_cox(data_of(simple(x, duration, event)))
    assert -9 < fit.coefficients[0] < -4
    assert 0.9 < np.sqrt(fit.inverse_information[0, 0]) < 1.1


def test_a_day_that_takes_nearly_everybody_converges() -> None:
    """The log-likelihood is then so large that its rounding hides what the last steps gain."""
    rng = np.random.default_rng(20)
    x = (rng.random(400_000) < 0.5).astype(float)
    event = rng.exponential(size=x.size) * np.exp(-0.7 * x) < 0.9163
    sets = risk_sets(np.ones(x.size, dtype=int), event)
    fit = fit_cox(CoxData(design([x], ["x"], n_rows=x.size), sets))
    assert fit.iterations < 10
    assert 0.5 < fit.coefficients[0] < 0.65  # ties pull 0.7 towards zero
