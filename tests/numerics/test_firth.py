"""Firth's penalty: closed forms, the gradient against differences and 30 digits, invariances, what it is for."""

from __future__ import annotations

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import chi2

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.firth import _penalty_gradient, _point, check_firth, firth_profile, fit_firth
from churnsurv.numerics.risk_sets import risk_sets

from . import brute_cox


def columns(*values, **rows) -> CoxData:
    """Numeric columns, and the arguments of `risk_sets`."""
    sets = risk_sets(**{name: np.asarray(value) for name, value in rows.items()})
    made = [np.asarray(value, dtype=float) for value in values]
    return CoxData(design(made, [f"x{j}" for j in range(len(made))], n_rows=len(made[0])), sets)


def two_users() -> CoxData:
    return columns([1.0, 0.0], duration=[1, 2], event=[True, False])


def random_data(seed: int, n: int = 40, p: int = 3) -> CoxData:
    """All of it: ties of both kinds, late entry, strata, an offset, frequencies, categories with and without values."""
    rng = np.random.default_rng(seed)
    rows = brute_cox.random_rows(seed, n, p, n_days=6, n_strata=1 + seed % 2, late=seed % 3 != 0)
    frequency = rng.integers(1, 5, n) if seed % 4 == 1 else None
    indicators = []
    if seed % 2:
        indicators.append(Indicators(rng.integers(0, 3, n).astype(np.int32), ("g1", "g2"), "g0"))
        indicators.append(Indicators(rng.integers(0, 2, n).astype(np.int32), ("h1 x",), "h0", rng.normal(size=n) * 40))
    return CoxData(
        design(list(rows.x.T), [f"x{j}" for j in range(p)], indicators, n_rows=n),
        risk_sets(
            rows.duration,
            rows.event,
            entry=rows.entry,
            stratum=rows.stratum,
            n_strata=1 + seed % 2,
            frequency=frequency,
        ),
        "breslow" if seed % 5 == 2 else "efron",
        frequency=None if frequency is None else frequency.astype(float),
        offset=rng.normal(size=n) / 3 if seed % 3 == 1 else None,
    )


def difference(function, at: np.ndarray, which: int, h: float) -> float:
    def value(k: int) -> float:
        return function(at + k * h * np.eye(at.size)[which])

    return (45 * (value(1) - value(-1)) - 9 * (value(2) - value(-2)) + value(3) - value(-3)) / (60 * h)


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_two_users_in_closed_form():
    """With p = e^b / (1 + e^b): l* = 1.5 log p + 0.5 log(1 - p), at its highest at p = 3/4."""
    data = two_users()
    solution, profile = fit_firth(data), firth_profile(data, fit_firth(data), level=0.9)

    def value(b: float) -> float:
        p = 1 / (1 + np.exp(-b))
        return 1.5 * np.log(p) + 0.5 * np.log(1 - p)

    def root_less_z(b: float) -> float:
        return 2 * (value(np.log(3)) - value(b)) - chi2.ppf(0.9, 1)

    np.testing.assert_allclose(solution.coefficients, np.log(3), rtol=1e-10)
    np.testing.assert_allclose(solution.inverse_information, 16 / 3, rtol=1e-10)
    np.testing.assert_allclose(solution.log_likelihood, value(np.log(3)), rtol=1e-13)
    np.testing.assert_allclose(solution.log_likelihood_null, value(0), rtol=1e-13)
    np.testing.assert_allclose(solution.unpenalised_log_likelihood, np.log(0.75), rtol=1e-9)
    # at zero the score is 1/2 and the penalty's part 1/2 (1 - 2p) = 0
    np.testing.assert_allclose(solution.score_statistic, 1.0, rtol=1e-12)
    np.testing.assert_allclose(profile.lower, brentq(root_less_z, -20, 0, xtol=1e-13), rtol=1e-9)
    np.testing.assert_allclose(profile.upper, brentq(root_less_z, 2, 20, xtol=1e-13), rtol=1e-9)
    np.testing.assert_allclose(profile.statistic, np.sqrt(2 * (value(np.log(3)) - value(0))), rtol=1e-9)
    np.testing.assert_allclose(profile.p_value, chi2.sf(2 * (value(np.log(3)) - value(0)), 1), rtol=1e-9)


def test_two_tied_events_in_closed_form():
    """Three users at risk, a and b with x = 1, 0 churn together, c with x = 0 stays. By Efron, with e = exp(b),

    u = e + 2 and e / 2 + 3 / 2: information 2e / (e + 2)^2 + 3e / (e + 3)^2.
    """
    data = columns([1.0, 0.0, 0.0], duration=[5, 5, 9], event=[True, True, False])
    e = np.exp(fit_firth(data).coefficients[0])
    information = 2 * e / (e + 2) ** 2 + 3 * e / (e + 3) ** 2
    slope = 2 * e * (2 - e) / (e + 2) ** 3 + 3 * e * (3 - e) / (e + 3) ** 3
    score = 1 - e / (e + 2) - e / (e + 3)
    assert abs(score + slope / (2 * information)) < 1e-10
    np.testing.assert_allclose(fit_firth(data).inverse_information, 1 / information, rtol=1e-10)


# --- the gradient ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_the_gradient_of_the_penalty(seed):
    data = random_data(seed)
    at = np.random.default_rng(seed).normal(size=data.design.n_columns) / 2

    def penalty(b: np.ndarray) -> float:
        point = _point(data, b)
        return point.value - point.cox.log_likelihood

    ours = _penalty_gradient(data, _point(data, at))
    theirs = [difference(penalty, at, j, 1e-2) for j in range(at.size)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("n", "tied"), [(2000, 2000), (2000, 1990), (3000, 40)])
def test_the_gradient_where_a_day_takes_nearly_everybody(n, tied):
    """Sums over the last of the tied risk sets are a thousandth of the first: nothing may cancel."""
    rng = np.random.default_rng(n + tied)
    made = [rng.normal(size=n), rng.random(n) < 0.4]
    data = columns(*made, duration=np.where(np.arange(n) < tied, 5, 9), event=np.arange(n) < tied)
    at = np.array([0.4, -0.7])

    def penalty(b: np.ndarray) -> float:
        point = _point(data, b)
        return point.value - point.cox.log_likelihood

    ours = _penalty_gradient(data, _point(data, at))
    np.testing.assert_allclose(ours, [difference(penalty, at, j, 2e-2) for j in range(2)], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("seed", [3, 4])
def test_the_maximum_against_the_definition_in_30_digits(seed, ties):
    rows = brute_cox.random_rows(seed, 9, 2, n_days=3, n_strata=2)
    sets = risk_sets(rows.duration, rows.event, entry=rows.entry, stratum=rows.stratum, n_strata=2)
    data = CoxData(design(list(rows.x.T), ["a", "b"], n_rows=9), sets, ties)
    solution = fit_firth(data)
    with mp.workdps(30):

        def information(b):
            def entry(j, k):
                order = tuple((a == j) + (a == k) for a in range(2))
                return -mp.diff(lambda *c: brute_cox.log_likelihood(rows, c, ties), tuple(b), order)

            return mp.matrix(2, 2) + mp.matrix([[entry(j, k) for k in range(2)] for j in range(2)])

        def value(b):
            return brute_cox.log_likelihood(rows, b, ties) + mp.log(mp.det(information(b))) / 2

        at, h = [mp.mpf(float(b)) for b in solution.coefficients], mp.mpf(10) ** -6
        for j in range(2):
            up, down = ([b + sign * h * (i == j) for i, b in enumerate(at)] for sign in (1, -1))
            assert abs((value(up) - value(down)) / (2 * h)) < 1e-9
        assert abs(value(at) - solution.log_likelihood) < 1e-11


# --- what may not matter ---------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), units=st.tuples(st.floats(-9, 9), st.floats(-9, 9)), shift=st.floats(-5, 5))
@settings(max_examples=8, deadline=None)
def test_units_and_origins_change_nothing_else(seed, units, shift):
    rng = np.random.default_rng(seed)
    n = 30
    x, rows = rng.normal(size=(n, 2)), {"duration": rng.integers(1, 8, n), "event": rng.random(n) < 0.6}
    rows["event"][0] = True
    factor = 10.0 ** np.array(units)
    plain, changed = columns(*x.T, **rows), columns(*((x + shift) * factor).T, **rows)
    ours, theirs = fit_firth(plain), fit_firth(changed)
    np.testing.assert_allclose(theirs.coefficients * factor, ours.coefficients, rtol=1e-7, atol=1e-8)
    rise = ours.log_likelihood - ours.log_likelihood_null
    np.testing.assert_allclose(theirs.log_likelihood - theirs.log_likelihood_null, rise, rtol=1e-7, atol=1e-9)
    # the determinant of the information is in the units of the covariates
    np.testing.assert_allclose(theirs.log_likelihood - ours.log_likelihood, np.log(factor).sum(), atol=1e-8)
    profiles = [firth_profile(d, s, level=0.95) for d, s in ((plain, ours), (changed, theirs))]
    for name in ("lower", "upper"):
        np.testing.assert_allclose(
            getattr(profiles[1], name) * factor, getattr(profiles[0], name), rtol=1e-6, atol=1e-7
        )
    np.testing.assert_allclose(profiles[1].p_value, profiles[0].p_value, rtol=1e-6)


def test_a_frequency_is_repeated_rows():
    rng = np.random.default_rng(7)
    n = 40
    x, duration, event = rng.normal(size=n), rng.integers(1, 6, n), rng.random(n) < 0.5
    users = rng.integers(1, 4, n)
    data = columns(x, duration=duration, event=event, frequency=users)
    weighted = fit_firth(replace(data, frequency=users.astype(float)))
    again = np.repeat(np.arange(n), users)
    repeated = fit_firth(columns(x[again], duration=duration[again], event=event[again]))
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-10)
    np.testing.assert_allclose(weighted.inverse_information, repeated.inverse_information, rtol=1e-10)
    np.testing.assert_allclose(weighted.log_likelihood, repeated.log_likelihood, rtol=1e-12)


def test_collapsed_rows_and_another_reference_change_nothing():
    rng = np.random.default_rng(8)
    n = 300
    code = rng.integers(0, 3, n).astype(np.int32)
    sets = risk_sets(rng.integers(30, 34, n), (rng.random(n) < 0.4) & (code < 2))
    data = CoxData(design([], [], [Indicators(code, ("b", "c"), "a")], n_rows=n), sets)
    collapsed = collapse(data)
    assert collapsed.design.n_rows < 30
    one, other = fit_firth(data), fit_firth(collapsed)
    np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-9)
    np.testing.assert_allclose(
        firth_profile(data, one, level=0.95).lower, firth_profile(collapsed, other, level=0.95).lower, rtol=1e-8
    )
    from_c = CoxData(design([], [], [Indicators((code + 1).astype(np.int32) % 3, ("a", "b"), "c")], n_rows=n), sets)
    a, b = fit_firth(from_c).coefficients
    np.testing.assert_allclose([b - a, -a], one.coefficients, rtol=1e-8)


# --- what it is for --------------------------------------------------------------------------------------------------


def separated(rng: np.random.Generator, n: int = 60, effect: float = -3.0) -> CoxData:
    """A rare category that hardly churns, and a number."""
    code = (rng.random(n) < 0.25).astype(np.int32)
    x = rng.normal(size=n)
    life = np.ceil(rng.exponential(40 / np.exp(effect * code + 0.5 * x)))
    sets = risk_sets(np.minimum(life, 30), life <= 30)
    return CoxData(design([x], ["x"], [Indicators(code, ("g: rare",), "g: usual")], n_rows=n), sets)


def test_a_category_without_churn_has_a_finite_estimate():
    rng = np.random.default_rng(1)
    data = separated(rng)
    assert not data.sets.event[data.design.indicators[0].codes == 1].any()
    with pytest.raises(ConvergenceError, match="rare"):
        fit_cox(data)
    solution = fit_firth(data)
    profile = firth_profile(data, solution, level=0.95)
    assert np.isfinite(solution.coefficients).all()
    assert solution.coefficients[1] < -1
    assert np.isfinite([profile.lower, profile.upper]).all()
    assert (profile.lower < solution.coefficients).all()
    assert (solution.coefficients < profile.upper).all()
    # the interval leans to the side on which the likelihood never falls
    assert solution.coefficients[1] - profile.lower[1] > 2 * (profile.upper[1] - solution.coefficients[1])


@pytest.mark.slow
def test_limits_under_separation_cover_the_truth():
    """A smoke test of coverage: 95 % of 40 are 38, with a standard deviation of 1.4."""
    rng, covered, without_churn = np.random.default_rng(20261111), np.zeros(2), 0
    truth = np.array([0.5, -3.0])
    for _ in range(40):
        data = separated(rng)
        without_churn += not data.sets.event[data.design.indicators[0].codes == 1].any()
        profile = firth_profile(data, fit_firth(data), level=0.95)
        covered += (profile.lower <= truth) & (truth <= profile.upper)
    assert without_churn > 10
    assert (covered >= 33).all()


@pytest.mark.slow
def test_it_takes_bias_away():
    """About twenty churns and a true log hazard ratio of 1: the usual estimate is biased away from zero."""
    rng, plain, firth = np.random.default_rng(20261112), [], []
    for _ in range(200):
        x = rng.normal(size=25)
        life = np.ceil(rng.exponential(1 / np.exp(x)) * 1000)
        data = columns(x, duration=np.minimum(life, 1500), event=life <= 1500)
        plain.append(fit_cox(data).coefficients[0])
        firth.append(fit_firth(data).coefficients[0])
    error = np.std(plain) / np.sqrt(len(plain))
    assert np.mean(plain) - 1 > 2.5 * error
    assert abs(np.mean(firth) - 1) < 2 * error


def test_with_many_rows_it_is_the_usual_estimate():
    rng = np.random.default_rng(5)
    n = 20_000
    x = rng.normal(size=(n, 2))
    life = np.ceil(rng.exponential(100 / np.exp(0.3 * x[:, 0])))
    data = columns(*x.T, duration=np.minimum(life, 200), event=life <= 200)
    usual, firth = fit_cox(data), fit_firth(data)
    error = np.sqrt(np.diagonal(usual.inverse_information))
    np.testing.assert_allclose(firth.coefficients / error, usual.coefficients / error, atol=0.01)
    profile = firth_profile(data, firth, level=0.95)
    np.testing.assert_allclose((profile.upper - firth.coefficients) / error, 1.96, atol=0.01)
    np.testing.assert_allclose(profile.statistic, firth.coefficients / error, atol=0.05)


# --- what it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "named"), [({"cluster": "user_id"}, "user_id"), ({}, "sampling")])
def test_robust_variances_are_refused(arguments, named):
    with pytest.raises(InputError, match=named):
        check_firth(**{"weights_kind": "sampling", "cluster": None} | arguments)


def test_sampling_weights_are_refused():
    with pytest.raises(InputError, match="sampling"):
        fit_firth(replace(two_users(), sampling=np.ones(2)))


def test_collinear_columns_are_named():
    x = np.array([1.0, 2.0, 4.0, 3.0])
    data = columns(x, 2 * x + 1, duration=[1, 2, 3, 4], event=[True] * 4)
    with pytest.raises(ConvergenceError, match="'x0' and 'x1' are collinear"):
        fit_firth(data)


def test_no_events():
    with pytest.raises(ConvergenceError, match="no event"):
        fit_firth(columns([1.0, 0.0], duration=[1, 2], event=[False, False]))


def test_a_limit_that_rounding_hides_is_null_and_said():
    """At this level the upper limit lies where only e^-50 of the information is left."""
    data = two_users()
    profile = firth_profile(data, fit_firth(data), level=1 - 1e-13)
    assert np.isnan(profile.upper[0])
    assert np.isfinite(profile.lower[0])
    assert len(profile.notes) == 1
    assert profile.notes[0].startswith("x0: ")
    assert "upper" in profile.notes[0]


def test_answers_are_read_only():
    solution = fit_firth(two_users())
    for array in (
        solution.coefficients,
        solution.inverse_information,
        firth_profile(two_users(), solution, level=0.9).lower,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
