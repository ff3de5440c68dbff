"""Predicted hazards and their variance: worked by hand, and the delta method done by brute force on the definition."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.prediction import (
    BaselineMoments,
    Hazard,
    baseline_moments,
    covariance_root,
    hazard_between,
    last_days,
    linear_predictor,
    new_rows,
    places,
    projected,
    restricted_mean,
    survival_limits,
)
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics import brute_cox
from tests.numerics.brute_cox import Rows

TIES = ["efron", "breslow"]


def data_of(rows: Rows, ties: str) -> CoxData:
    sets = risk_sets(
        rows.duration, rows.event, entry=rows.entry, stratum=rows.stratum, n_strata=int(rows.stratum.max()) + 1
    )
    columns = [np.asarray(column, dtype=float) for column in rows.x.T]
    return CoxData(design(columns, [f"x{j}" for j in range(len(columns))], n_rows=rows.n), sets, ties)


def moments_of(rows: Rows, data: CoxData):
    solution = fit_cox(data)
    last = last_days(rows.duration, entry=rows.entry, stratum=rows.stratum, n_strata=data.sets.strata.shape[0] - 1)
    return solution, baseline_moments(data, solution.state, last_day=last)


def at(x, data: CoxData):
    """New rows in the coding of the fitted ones."""
    made = data.design
    x = np.atleast_2d(np.asarray(x, dtype=float))
    return replace(made, dense=(x - made.centre) / made.scale, indicators=())


# Six users, two of them churn on day 6; the maximum is where r = exp(b) solves r^3 - 23 r - 30 = 0 (see test_cox).
SIX = Rows(
    np.array([[0.0], [1], [1], [1], [0], [0]]),
    np.array([9, 1, 1, 6, 6, 8]),
    np.array([1, 1, 0, 1, 1, 0], dtype=bool),
    np.full(6, -1),
    np.zeros(6, dtype=int),
)


def test_six_users_by_hand_efron() -> None:
    r = float(np.roots([1, 0, -23, -30]).max())
    data = data_of(SIX, "efron")
    solution, moments = moments_of(SIX, data)
    root = covariance_root(solution.inverse_information, moments.scale)
    variance_of_b = 1 / (r / (r + 1) ** 2 + 3 * r / (r + 3) ** 2 + 5 * r / (r + 5) ** 2)
    # u: 3r + 3 on day 1; r + 3 and (r + 5) / 2 on day 6; 1 on day 9. Their derivatives in b: 3r; r and r / 2; 0.
    hazard = np.cumsum([1 / (3 * r + 3), 1 / (r + 3) + 2 / (r + 5), 1])
    squares = np.cumsum([1 / (3 * r + 3) ** 2, 1 / (r + 3) ** 2 + 4 / (r + 5) ** 2, 1])
    slopes = np.cumsum([3 * r / (3 * r + 3) ** 2, r / (r + 3) ** 2 + 2 * r / (r + 5) ** 2, 0])
    for x in (0.0, 1.0):
        rows = new_rows(at([[x]], data), solution.coefficients, root, shift=moments.shift)
        chosen = places(moments, np.zeros(3, dtype=int), np.array([1, 8, 9]))
        assert chosen.tolist() == [1, 2, 3]
        baseline = projected(moments, root, chosen)
        for j in range(3):
            found = hazard_between(rows, baseline, j)
            assert found.hazard[0] == pytest.approx(r**x * hazard[j], rel=1e-10)
            variance = r ** (2 * x) * (squares[j] + (x * hazard[j] - slopes[j]) ** 2 * variance_of_b)
            assert (found.hazard * found.log_error)[0] == pytest.approx(variance**0.5, rel=1e-10)
        days = restricted_mean(rows, moments, root, stratum=0, horizon=7.0)
        s = np.exp(-(r**x) * hazard)
        assert days.days[0] == pytest.approx(1 + 5 * s[0] + s[1], rel=1e-10)
        # a hazard more on day 1 costs all that is left, one on day 6 what is left of day 7
        rest = np.array([5 * s[0] + s[1], s[1]])
        areas = np.array([5 * s[0], s[1]])
        slope = areas @ (x * hazard[:2] - slopes[:2])
        variance = r ** (2 * x) * (rest**2 @ np.diff(squares[:2], prepend=0) + slope**2 * variance_of_b)
        assert days.std_error[0] == pytest.approx(variance**0.5, rel=1e-10)


def test_six_users_by_hand_breslow() -> None:
    r = (3 + np.sqrt(33)) / 2
    data = data_of(SIX, "breslow")
    solution, moments = moments_of(SIX, data)
    root = covariance_root(solution.inverse_information, moments.scale)
    rows = new_rows(at([[1.0]], data), solution.coefficients, root, shift=moments.shift)
    baseline = projected(moments, root, np.array([0, 2]))
    found = hazard_between(rows, baseline, 1, 0)
    hazard = 1 / (3 * r + 3) + 2 / (r + 3)
    squares = 1 / (3 * r + 3) ** 2 + 2 / (r + 3) ** 2
    slopes = 3 * r / (3 * r + 3) ** 2 + 2 * r / (r + 3) ** 2
    variance_of_b = 1 / (r / (r + 1) ** 2 + 6 * r / (r + 3) ** 2)
    assert found.hazard[0] == pytest.approx(r * hazard, rel=1e-10)
    variance = r**2 * (squares + (hazard - slopes) ** 2 * variance_of_b)
    assert (found.hazard * found.log_error)[0] == pytest.approx(variance**0.5, rel=1e-10)


def brute_hazard(rows: Rows, beta, x, stratum, ties, *, since, until, squared=False):
    """exp(x'b) times the sum over days of 1 / u, written down row by row; with `squared`, the sum of 1 / u^2."""
    theta = [mp.exp(mp.fsum(b * mp.mpf(float(v)) for b, v in zip(beta, row, strict=True))) for row in rows.x]
    total = mp.mpf(0)
    for one, day in brute_cox.days(rows):
        if one != stratum or not since < day <= until:
            continue
        inside = [i for i in range(rows.n) if rows.stratum[i] == one and rows.entry[i] < day <= rows.duration[i]]
        tied = [i for i in inside if rows.event[i] and rows.duration[i] == day]
        s0, d0 = (mp.fsum(theta[i] for i in group) for group in (inside, tied))
        for tie in range(len(tied)):
            share = mp.mpf(tie) / len(tied) if ties == "efron" else 0
            total += 1 / (s0 - share * d0) ** (2 if squared else 1)
    risk = mp.exp(mp.fsum(b * mp.mpf(v) for b, v in zip(beta, x, strict=True)))
    return total * risk ** (2 if squared else 1)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_delta_method_by_brute_force(ties: str, seed: int) -> None:
    rows = brute_cox.random_rows(seed, 40, 2, n_days=8, n_strata=2)
    data = data_of(rows, ties)
    solution, moments = moments_of(rows, data)
    root = covariance_root(solution.inverse_information, moments.scale)
    beta = [mp.mpf(float(b)) for b in solution.coefficients]
    for x, stratum, since, until in (([0.3, -1.2], 0, 0, 4), ([2.0, 0.5], 1, 0, 7), ([-1.0, 1.0], 1, 2, 6)):
        made = new_rows(at([x], data), solution.coefficients, root, shift=moments.shift)
        chosen = places(moments, np.array([stratum, stratum]), np.array([since, until]))
        found = hazard_between(made, projected(moments, root, chosen), 1, 0)
        which = {"since": since, "until": until}

        def hazard(b, x=x, stratum=stratum, which=which):
            return brute_hazard(rows, b, x, stratum, ties, **which)

        slope = np.array([float(brute_cox.slope(hazard, beta, j)) for j in range(2)])
        own = float(brute_hazard(rows, beta, x, stratum, ties, squared=True, **which))
        assert found.hazard[0] == pytest.approx(float(hazard(beta)), rel=1e-10)
        variance = own + slope @ solution.inverse_information @ slope
        assert (found.hazard * found.log_error)[0] == pytest.approx(variance**0.5, rel=1e-9)


def test_the_variance_of_expected_days_by_numeric_derivatives() -> None:
    rows = brute_cox.random_rows(5, 60, 2, n_days=9, late=False)
    data = data_of(rows, "efron")
    solution, moments = moments_of(rows, data)
    root = covariance_root(solution.inverse_information, moments.scale)
    x = np.array([0.7, -0.4])
    made = new_rows(at([x], data), solution.coefficients, root, shift=moments.shift)
    found = restricted_mean(made, moments, root, stratum=0, horizon=7.5)
    days = moments.time[moments.time <= 7.5]

    def area(steps, coefficients) -> float:
        survival = np.exp(-np.exp(x @ coefficients) * np.cumsum(steps))
        return float(np.diff(np.concatenate([[0], days, [7.5]])) @ np.append(1.0, survival))

    def steps_at(coefficients):
        beta = [mp.mpf(float(b)) for b in coefficients]
        edges = [0, *days.tolist()]
        return np.array(
            [float(brute_hazard(rows, beta, [0, 0], 0, "efron", since=a, until=b)) for a, b in pairwise(edges)]
        )

    b, h = solution.coefficients, 1e-5
    steps = steps_at(b)
    assert found.days[0] == pytest.approx(area(steps, b), rel=1e-10)
    each = np.eye(2) * h
    slope = np.array([(area(steps_at(b + e), b + e) - area(steps_at(b - e), b - e)) / (2 * h) for e in each])
    by_day = np.array([(area(steps + e, b) - area(steps - e, b)) / (2 * h) for e in np.eye(days.size) * h])
    variance = by_day**2 @ np.diff(moments.variance[: days.size], prepend=0) * np.exp(-2 * moments.shift)
    # the sums of A2 are at the shift, from the centre: bring them to x = 0
    variance *= np.exp(-2 * (data.design.centre @ b))
    variance += slope @ solution.inverse_information @ slope
    assert found.std_error[0] == pytest.approx(variance**0.5, rel=1e-7)


def test_categories_and_products_stay_codes() -> None:
    rng = np.random.default_rng(2)
    n = 300
    x, codes, value = rng.normal(size=n) * 1e6 + 1e9, rng.integers(0, 4, n).astype(np.int32), rng.normal(size=n) * 40
    duration, event = rng.integers(1, 30, n), rng.random(n) < 0.7
    indicators = [Indicators(codes, ("a", "b", "c"), "r"), Indicators(codes, ("ax", "bx", "cx"), "r", value)]
    made = design([x], ["x"], indicators, n_rows=n)
    data = CoxData(made, risk_sets(duration, event))
    solution = fit_cox(data)
    expanded = made.rows(slice(None)) * made.scale
    root = covariance_root(solution.inverse_information, made.scale)
    found = new_rows(made, solution.coefficients, root, shift=solution.state.shift)
    np.testing.assert_allclose(found.log_risk, expanded @ solution.coefficients - solution.state.shift, atol=1e-10)
    variance = np.einsum("ij,jk,ik->i", expanded, solution.inverse_information, expanded)
    np.testing.assert_allclose((found.loadings**2).sum(axis=1), variance, rtol=1e-9)
    at_zero = linear_predictor(made, solution.coefficients)
    np.testing.assert_allclose(at_zero, (expanded + made.centre) @ solution.coefficients, rtol=1e-9)
    np.testing.assert_array_equal(linear_predictor(made, solution.coefficients, negate=True), -at_zero)


def test_a_singular_covariance_has_a_root() -> None:
    rng = np.random.default_rng(3)
    half = rng.normal(size=(4, 2))
    scale = np.array([1.0, 2.0, 4.0, 0.5])
    root = covariance_root(half @ half.T, scale)
    np.testing.assert_allclose(root @ root.T, half @ half.T * np.outer(scale, scale), atol=1e-12)


def test_places_by_stratum() -> None:
    rng = np.random.default_rng(4)
    time = [np.sort(rng.choice(50, size, replace=False)) for size in (5, 0, 9, 1)]
    strata = np.concatenate([[0], np.cumsum([t.size for t in time])])
    empty = np.zeros((strata[-1], 1))
    moments = BaselineMoments(
        strata, np.concatenate(time), np.zeros(4), empty[:, 0], empty[:, 0], empty, empty, empty, 0.0
    )
    stratum, days = rng.integers(0, 4, 500), rng.integers(0, 60, 500) / 2
    expected = [
        strata[s] + np.sum(time[s] <= day) if np.sum(time[s] <= day) else 0
        for s, day in zip(stratum, days, strict=True)
    ]
    assert places(moments, stratum, days).tolist() == expected


def test_last_days_leave_out_who_is_never_at_risk() -> None:
    duration, entry, stratum = np.array([5.5, 9, 7, 3]), np.array([0, 9, 1, 3]), np.array([0, 0, 1, 2])
    assert last_days(duration).tolist() == [9.0]
    np.testing.assert_array_equal(last_days(duration, entry=entry, stratum=stratum, n_strata=3), [5.5, 7, np.nan])


def test_nothing_has_happened_yet() -> None:
    predicted = Hazard(np.array([0.0]), np.array([0.0]))
    for ci, expected in (("log", 1.0), ("plain", 1.0), ("log-log", np.nan)):
        np.testing.assert_array_equal(survival_limits(predicted, level=0.95, ci=ci), [[expected], [expected]])


@pytest.mark.parametrize("hazard", [1e-300, 1e-9, 0.3, 40.0, 800.0, np.inf])
@pytest.mark.parametrize("ci", ["log-log", "log", "plain"])
@pytest.mark.parametrize("error", [1e-6, 0.2, 0.9, 3.0])
def test_limits_hold_the_estimate_and_stay_between_0_and_1(hazard: float, ci, error: float) -> None:
    (lower,), (upper,) = survival_limits(Hazard(np.array([hazard]), np.array([error])), level=0.95, ci=ci)
    assert 0 <= lower <= np.exp(-hazard) <= upper <= 1


def test_covariates_far_out_give_survival_0_and_1_and_no_overflow() -> None:
    rows = brute_cox.random_rows(6, 40, 1, n_days=8, late=False)
    data = data_of(rows, "efron")
    solution, moments = moments_of(rows, data)
    root = covariance_root(solution.inverse_information, moments.scale)
    far = 1e5 * np.sign(solution.coefficients[0])
    made = new_rows(at([[far], [-far]], data), solution.coefficients, root, shift=moments.shift)
    found = hazard_between(made, projected(moments, root, np.array([moments.time.size])), 0)
    assert np.exp(-found.hazard).tolist() == [0.0, 1.0]
    days = restricted_mean(made, moments, root, stratum=0, horizon=5.0)
    assert days.days.tolist() == [float(moments.time[0]), 5.0]
    assert np.isfinite(days.std_error).all()


def test_an_unknown_scale_of_limits() -> None:
    with pytest.raises(InputError, match=r"ci must be .* not 'loglog'. Did you mean 'log-log'\?"):
        survival_limits(Hazard(np.ones(1), np.ones(1)), level=0.95, ci="loglog")  # type: ignore[arg-type]


def test_moments_are_read_only() -> None:
    data = data_of(SIX, "efron")
    _, moments = moments_of(SIX, data)
    for name in ("strata", "time", "last_day", "hazard", "variance", "gradient", "centre", "scale"):
        assert not getattr(moments, name).flags.writeable
