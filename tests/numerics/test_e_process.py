"""The e-process of a campaign: cells worked out by hand, scipy's law, exact expectations, and what never changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammaln, logsumexp
from scipy.stats import hypergeom, nchypergeom_fisher, norm

from churnsurv.numerics.e_process import DailyCells, daily_cells, e_process, hypergeometric_cumulants

ALPHA, SCALE = 0.05, 0.3


def cells(*rows):
    """Cells from (day, n_treated, n_control, returned_treated, returned_control)."""
    return DailyCells(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def followed(*rows, n_days=1, scale=SCALE):
    return e_process(cells(*rows), first=0, n_days=n_days, prior_scale=scale, alpha=ALPHA)


def log_ratio(theta, rows):
    """log L(theta) - log L(0) of cells, by scipy's two laws."""
    return sum(
        nchypergeom_fisher.logpmf(y1, n1 + n0, n1, y1 + y0, np.exp(theta)) - hypergeom.logpmf(y1, n1 + n0, n1, y1 + y0)
        for _, n1, n0, y1, y0 in rows
    )


def mixture(rows):
    """The same, averaged over the normal prior by adaptive quadrature."""
    weighed = quad(lambda t: np.exp(log_ratio(t, rows)) * norm.pdf(t, scale=SCALE), -1.8, 1.8, epsabs=1e-13)[0]
    return weighed / (norm.cdf(6) - norm.cdf(-6))


def test_one_return_among_one_treated_and_three_controls_by_hand():
    # P(the treated one) = e^t / (e^t + 3) against 1/4: the ratio is 4 e^t / (e^t + 3)
    found = followed((0, 1, 3, 1, 0))
    by_hand = quad(lambda t: 4 * np.exp(t) / (np.exp(t) + 3) * norm.pdf(t, scale=SCALE), -1.8, 1.8, epsabs=1e-13)[0]
    assert np.exp(found.log_e[0]) == pytest.approx(by_hand, rel=1e-8)
    # all of the returns are treated ones, so that no odds ratio is too large
    assert found.estimate[0] == found.upper[0] == np.inf
    assert found.lower[0] == -np.inf


def test_three_of_four_returns_are_treated_by_hand():
    # n1 = n0 = 3, R = 4, Y = 3: weights 3 (y = 1: C(3,1) C(3,3)), 9, 3, so that E_0 e^(t Y) = (e^t + 3 e^2t + e^3t) / 5
    t = np.log(2.0)
    found = hypergeometric_cumulants(np.array([3]), np.array([3]), np.array([4]), np.array([t]))
    assert np.exp(found[0, 0]) == pytest.approx((2 + 3 * 4 + 8) / 5, rel=1e-14)


@pytest.mark.parametrize("seed", range(40))
def test_agrees_with_the_noncentral_law_of_scipy(seed):
    rng = np.random.default_rng(seed)
    n1, n0 = rng.integers(1, 300, 2)
    r = rng.integers(0, n1 + n0 + 1)
    theta = rng.normal(size=3)
    found = hypergeometric_cumulants(np.array([n1]), np.array([n0]), np.array([r]), theta)[0]
    y = np.arange(max(0, r - n0), min(r, n1) + 1)
    central = hypergeom.pmf(y, n1 + n0, n1, r)
    for t, k in zip(theta, found, strict=True):
        tilted = central * np.exp(t * y - k)
        np.testing.assert_allclose(tilted, nchypergeom_fisher.pmf(y, n1 + n0, n1, r, np.exp(t)), rtol=1e-9, atol=1e-13)


def test_a_wide_cell_keeps_all_that_matters():
    n1, n0, r, theta = 60_000, 9_000, 4_000, np.array([-2.5, -0.1, 0.4, 2.5])
    y = np.arange(r + 1)
    log_term = -gammaln(y + 1) - gammaln(n1 - y + 1) - gammaln(r - y + 1) - gammaln(n0 - r + y + 1)
    direct = logsumexp(log_term + theta[:, None] * y, axis=1) - logsumexp(log_term)
    found = hypergeometric_cumulants(np.array([n1]), np.array([n0]), np.array([r]), theta)[0]
    np.testing.assert_allclose(found, direct, rtol=1e-9)


def test_cells_multiply_over_days_and_days_of_assignment():
    rows = [(0, 40, 20, 6, 1), (1, 34, 19, 3, 2), (1, 30, 60, 5, 4), (3, 31, 17, 2, 0)]
    found = followed(*rows, n_days=4)
    for day in range(4):
        closed = [row for row in rows if row[0] <= day]
        assert np.exp(found.log_e[day]) == pytest.approx(mixture(closed), rel=1e-7)
    assert found.log_e[2] == found.log_e[1]


def test_limits_are_where_the_mixture_is_alpha_times_as_likely():
    rows = [(0, 400, 200, 60, 14), (0, 34, 19, 3, 2), (0, 30, 60, 5, 4)]
    found = followed(*rows)
    mixed = np.log(mixture(rows))
    for limit in (found.lower[0], found.upper[0]):
        assert mixed - log_ratio(limit, rows) == pytest.approx(np.log(1 / ALPHA), abs=1e-7)
    best = log_ratio(found.estimate[0], rows)
    assert best > log_ratio(found.estimate[0] + 1e-3, rows)
    assert best > log_ratio(found.estimate[0] - 1e-3, rows)
    # the limits leave out 1 where the e-value has reached 1 / alpha, and only there
    assert (found.log_e[0] >= np.log(1 / ALPHA)) == (found.lower[0] >= 0 or found.upper[0] <= 0)


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_is_worth_one_on_average_where_there_is_no_effect(n1, n0, data):
    r = data.draw(st.integers(0, n1 + n0))
    y = np.arange(max(0, r - n0), min(r, n1) + 1)
    value = [np.exp(followed((0, n1, n0, each, r - each)).log_e[0]) for each in y]
    assert hypergeom.pmf(y, n1 + n0, n1, r) @ value == pytest.approx(1.0, abs=1e-9)


def test_the_truth_is_left_out_in_at_most_alpha_of_all_campaigns_of_two_days():
    """All outcomes of two days under an odds ratio of 3, weighted with their probabilities."""
    odds, n1, n0, r = 3.0, 14, 12, 10
    missed = 0.0
    for y in range(r + 1):
        first = nchypergeom_fisher.pmf(y, n1 + n0, n1, r, odds)
        for z in range(max(0, r - (n0 - (r - y))), min(r, n1 - y) + 1):
            second = nchypergeom_fisher.pmf(z, n1 + n0 - r, n1 - y, r, odds)
            found = followed((0, n1, n0, y, r - y), (1, n1 - y, n0 - (r - y), z, r - z), n_days=2)
            outside = (found.lower > np.log(odds)) | (found.upper < np.log(odds))
            missed += first * second * outside.any()
    assert 0 < missed <= ALPHA


def test_swapping_the_arms_turns_the_sign():
    rows = [(0, 40, 20, 6, 1), (1, 34, 19, 3, 2), (1, 30, 60, 5, 4)]
    found, turned = followed(*rows, n_days=2), followed(*((d, b, a, z, y) for d, a, b, y, z in rows), n_days=2)
    np.testing.assert_allclose(found.log_e, turned.log_e, atol=1e-10)
    np.testing.assert_allclose(found.estimate, -turned.estimate, atol=1e-9)
    np.testing.assert_allclose(found.lower, -turned.upper, atol=1e-9)


def test_cells_that_could_not_be_otherwise_say_nothing():
    found = followed((0, 0, 5, 0, 2), (0, 4, 0, 3, 0), (0, 2, 2, 2, 2))
    assert found.log_e[0] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found.estimate[0])
    assert found.lower[0] == -np.inf
    assert found.upper[0] == np.inf


def test_later_cells_change_nothing_before_them():
    rows = [(0, 40, 20, 6, 1), (1, 34, 19, 3, 2), (2, 30, 60, 9, 4)]
    early, whole = followed(*rows[:2], n_days=2), followed(*rows, n_days=3)
    for name in ("log_e", "estimate", "lower", "upper"):
        np.testing.assert_array_equal(getattr(early, name), getattr(whole, name)[:2])


def test_large_cells_agree_with_the_normal_mixture():
    """With thousands of returns the e-value is Robbins's: (1 + s2 I)^(-1/2) exp(z^2 / 2 * s2 I / (1 + s2 I))."""
    n1, n0, y1, y0 = 500_000, 500_000, 5_100, 4_900
    information = hypergeom.var(n1 + n0, n1, y1 + y0)
    z2, weight = ((y1 - y0) / 2) ** 2 / information, SCALE**2 * information
    robbins = -0.5 * np.log1p(weight) + 0.5 * z2 * weight / (1 + weight)
    assert followed((0, n1, n0, y1, y0)).log_e[0] == pytest.approx(robbins, abs=1e-3)


def test_the_wider_grid_of_a_wide_prior_is_exact_too():
    rows = [(0, 40, 20, 6, 1), (0, 34, 19, 3, 2)]
    weighed = quad(lambda t: np.exp(log_ratio(t, rows)) * norm.pdf(t), -6, 6, epsabs=1e-13)[0]
    assert np.exp(followed(*rows, scale=1.0).log_e[0]) == pytest.approx(weighed, rel=1e-7)


def test_cells_are_counted_as_by_hand():
    rng = np.random.default_rng(3)
    m, horizon, until = 300, 5, 9
    assigned, stratum = rng.integers(0, 8, m), rng.integers(0, 2, m)
    treated, time, n = rng.random(m) < 0.5, rng.integers(0, 8, m), rng.integers(1, 4, m)
    expected = []
    for day in range(until + 1):
        for a in range(8):
            for s in range(2):
                u = day - a + 1
                if not 1 <= u <= horizon:
                    continue
                here = (assigned == a) & (stratum == s)
                left = here & ((time == 0) | (time >= u))
                row = [n[left & arm].sum() for arm in (treated, ~treated)]
                row += [n[here & (time == u) & arm].sum() for arm in (treated, ~treated)]
                if sum(row[2:]):
                    expected.append([day, *row])
    found = daily_cells(assigned, stratum, treated, time, n, until=until, horizon=horizon)
    columns = (found.day, found.n_treated, found.n_control, found.returned_treated, found.returned_control)
    np.testing.assert_array_equal(np.column_stack(columns), expected)
    with pytest.raises(ValueError, match="read-only"):
        found.day[0] = 1
