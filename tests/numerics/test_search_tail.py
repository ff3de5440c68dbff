"""The price of a search against integrals that are done otherwise."""

import numpy as np
import pytest
from scipy.stats import gamma, multivariate_normal, norm

from churnsurv.numerics.search_tail import search_quantile, search_tail, without_skewness
from churnsurv.numerics.two_groups import search_p_value


def steps_of(shares):
    odds = np.asarray(shares) / (1 - np.asarray(shares))
    return np.sqrt(odds[:-1] / odds[1:])


def dense(n, low=0.1, high=0.9):
    """n cuts with equal steps in log odds."""
    ends = np.log([low / (1 - low), high / (1 - high)])
    return np.full(n - 1, np.exp(-(ends[1] - ends[0]) / (n - 1) / 2))


def test_one_cut_is_no_search():
    assert search_tail(2.0, []) == pytest.approx(2 * norm.sf(2.0), rel=1e-12)
    assert search_tail(-2.0, []) == search_tail(2.0, [])
    assert search_quantile(0.9, []) == pytest.approx(norm.ppf(0.95), rel=1e-12)


def test_two_cuts_are_a_bivariate_normal():
    law = multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]])
    inside = law.cdf([2.2, 2.2], lower_limit=[-2.2, -2.2])
    assert search_tail(2.2, [0.6]) == pytest.approx(1 - inside, abs=1e-8)


@pytest.mark.parametrize("z", [0.7, 1.9, 2.5, 3.5, 5.0])
def test_it_equals_the_profile_of_churned_users_at_their_deciles(z):
    shares = np.arange(1, 10) / 10
    assert search_tail(z, steps_of(shares)) == pytest.approx(search_p_value(z, shares), rel=1e-9)


@pytest.mark.parametrize("z", [2.0, 2.8, 3.5])
def test_thinned_cuts_stand_for_those_between_them(z):
    exact = search_tail(z, dense(81))
    assert search_tail(z, dense(41), np.full(40, 2)) == pytest.approx(exact, rel=0.02)
    assert search_tail(z, dense(17), np.full(16, 5)) == pytest.approx(exact, rel=0.03)


def test_all_cuts_are_miller_and_siegmund_s_process():
    """Their approximation for the continuous process (1982), which is good far out."""
    z, length = 4.0, 2 * np.log(9)
    theirs = norm.pdf(z) * (4 / z + (z - 1 / z) * length)
    assert search_tail(z, dense(60), np.full(59, 1e5)) == pytest.approx(theirs, rel=0.01)


def test_narrow_steps_are_joined():
    assert search_tail(2.5, dense(3000)) == pytest.approx(search_tail(2.5, dense(60), np.full(59, 2999 / 59)), rel=0.01)
    assert search_tail(2.5, [1.0, 1.0]) == pytest.approx(2 * norm.sf(2.5), rel=1e-12)


def test_small_chances_keep_their_digits():
    tails = [search_tail(z, dense(9)) for z in (6.0, 7.0, 8.0)]
    bounds = [9 * 2 * norm.sf(z) for z in (6.0, 7.0, 8.0)]
    assert all(0.5 * bound < tail < bound for tail, bound in zip(tails, bounds, strict=True))
    assert 0 < search_tail(20.0, dense(9)) < 1e-80


def test_the_quantile_is_the_inverse():
    steps = (dense(30), np.full(29, 40.0))
    assert search_tail(search_quantile(0.95, *steps), *steps) == pytest.approx(0.05, rel=1e-6)
    assert search_quantile(0.95, *steps) > search_quantile(0.95, dense(30)) > search_quantile(0.95, dense(3))


def test_no_difference_is_no_evidence():
    assert search_tail(0.0, dense(9)) == 1.0
    assert search_tail(0.01, dense(9)) == pytest.approx(1.0, abs=1e-6)


def test_a_gamma_variable_becomes_nearly_normal():
    """Tails of a standardised gamma variable with shape 16 (skewness 1/2), both sides."""
    law, g = gamma(16), np.full(2, 0.5)
    for share in (0.05, 0.01, 0.001):
        z = (law.ppf([share, 1 - share]) - 16) / 4
        np.testing.assert_allclose(norm.cdf(without_skewness(z, g)), [share, 1 - share], rtol=0, atol=share * 0.07)


def test_skewness_is_taken_out_in_order_and_from_either_side():
    z = np.linspace(-20, 20, 81)
    for g in (-0.6, -0.01, 0.2):
        out = without_skewness(z, np.full(81, g))
        assert (np.diff(out) > 0).all()
        np.testing.assert_allclose(out, -without_skewness(-z, np.full(81, -g)), rtol=1e-12)
    np.testing.assert_array_equal(without_skewness(z, np.zeros(81)), z)
