"""Two groups of users: hand-worked tables, scipy and statsmodels as oracles, and worlds without an effect."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep

from churnsurv.numerics.two_groups import (
    cut_tests,
    difference_limits,
    ratio_correlation,
    ratio_limits,
    search_p_value,
    share_limits,
    simultaneous_critical,
    standardised_difference,
)

Z = 1.959963984540054


def counts_of(x: NDArray, cuts: NDArray, churned: NDArray) -> tuple[int, int, NDArray, NDArray]:
    below = x[:, None] <= cuts
    return len(x), int(churned.sum()), below.sum(axis=0), (below & churned[:, None]).sum(axis=0)


# ------------------------------------------------------------------------------------------------- tests of cuts


def test_a_table_worked_by_hand() -> None:
    # 40 users, 16 churned; 20 below, 12 of them churned, 8 expected: z = 4 / sqrt(20 20 16 24 / (1600 39)).
    tests = cut_tests(40, 16, [20], [12])
    assert tests.statistic[0] == pytest.approx(4 * np.sqrt(13 / 32), abs=1e-12)
    assert tests.p_value[0] == pytest.approx(2 * stats.norm.sf(4 * np.sqrt(13 / 32)), abs=1e-12)
    assert tests.search_p_value[0] == pytest.approx(tests.p_value[0], abs=1e-12)
    assert tests.best == 0


@pytest.mark.parametrize(("n", "d", "m", "e"), [(200, 60, 90, 35), (1000, 30, 300, 3), (57, 20, 20, 0)])
def test_the_statistic_is_that_of_the_chi_square_test(n: int, d: int, m: int, e: int) -> None:
    found = stats.chi2_contingency([[e, m - e], [d - e, n - m - d + e]], correction=False).statistic
    z = cut_tests(n, d, [m], [e]).statistic[0]
    assert z**2 == pytest.approx(found * (n - 1) / n, rel=1e-12)
    assert np.sign(z) == np.sign(e / m - d / n)


def test_cuts_are_tested_where_five_users_are_expected_in_each_cell_whatever_is_observed() -> None:
    for observed in (0, 4):
        tests = cut_tests(100, 50, [4, 9, 10, 50, 91], [observed, observed, observed, 25, 45])
        assert np.isnan(tests.statistic).tolist() == [True, True, False, False, True]
    none = cut_tests(20, 4, [10], [2])
    assert none.best is None
    assert np.isnan(none.p_value).all()
    assert cut_tests(0, 0, [0], [0]).best is None


@pytest.mark.parametrize("shares", [[0.2, 0.5], [0.1, 0.3, 0.6, 0.9], [0.4, 0.45, 0.5]])
@pytest.mark.parametrize("z", [1.0, 2.3, 3.5])
def test_the_search_is_an_integral_of_the_joint_normal_law(shares: list[float], z: float) -> None:
    f = np.array(shares)
    low, high = np.minimum.outer(f, f), np.maximum.outer(f, f)
    correlation = np.sqrt(low * (1 - high) / (high * (1 - low)))
    law = stats.multivariate_normal(np.zeros(len(f)), correlation, seed=1)
    law.maxpts, law.abseps, law.releps = 200_000, 1e-6, 1e-6
    inside = law.cdf(np.full(len(f), z), lower_limit=np.full(len(f), -z))
    assert search_p_value(z, shares) == pytest.approx(1 - inside, abs=2e-5)


def test_the_search_agrees_with_permutations() -> None:
    rng = np.random.default_rng(3)
    x, churned = rng.integers(0, 8, 120), np.arange(120) < 45
    cuts = np.arange(1, 6)
    below = (x[:, None] <= cuts).astype(float)
    m = below.sum(axis=0)
    variance = m * (120 - m) * 45 * 75 / (120**2 * 119)
    outcomes = np.array([rng.permutation(churned) for _ in range(2_000)])
    largest = np.abs((outcomes @ below - m * 45 / 120) / np.sqrt(variance)).max(axis=1)
    for z in (2.0, 2.4):
        share = (largest >= z).mean()
        assert search_p_value(z, m / 120) == pytest.approx(share, abs=3 * np.sqrt(share / 2_000) + 0.006)


def test_a_search_costs_more_the_more_is_searched_and_never_more_than_bonferroni() -> None:
    alone = search_p_value(2.5, [0.5])
    searched = [search_p_value(2.5, np.arange(1, k) / k) for k in (2, 3, 5, 10, 40, 200)]
    assert all(a < b for a, b in pairwise(searched))
    assert searched[0] == pytest.approx(alone)
    assert searched[-1] < 0.3  # of 199 cuts, most of them alike
    assert search_p_value(2.5, [0.5, 0.5, 0.500001]) == pytest.approx(alone)
    assert search_p_value(9.0, [0.1, 0.9]) == pytest.approx(4 * stats.norm.sf(9.0), rel=1e-9)
    assert search_p_value(0.0, [0.3, 0.6]) == pytest.approx(1, abs=1e-12)
    assert search_p_value(60.0, [0.3, 0.6]) == 0.0


def suggested_p(rng: np.random.Generator, effect: float) -> float:
    """The corrected p-value of the best of the cuts of a count, among 300 users."""
    x = rng.poisson(3, 300).astype(float)
    churned = rng.random(300) < 0.35 + effect * (x <= 2)
    tests = cut_tests(*counts_of(x, np.array([0, 1, 2, 3, 5, 10]), churned))
    assert tests.best is not None
    return float(tests.search_p_value[tests.best])


def test_without_an_effect_the_suggested_cut_is_found_in_no_more_than_five_of_a_hundred_worlds() -> None:
    rng = np.random.default_rng(11)
    p = np.array([suggested_p(rng, 0.0) for _ in range(400)])
    assert 0.015 < (p <= 0.05).mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert 0.1 < (p <= 0.2).mean() < 0.2 + 3 * np.sqrt(0.2 * 0.8 / 400)


def test_with_an_effect_it_is_found() -> None:
    rng = np.random.default_rng(12)
    assert np.mean([suggested_p(rng, 0.3) <= 0.05 for _ in range(100)]) > 0.95


# ---------------------------------------------------------------------------------------------------------- limits


def score(a: int, n: int, b: int, m: int, ratio: float) -> float:
    """Miettinen and Nurminen's z of a risk ratio, with the likelihood maximised by search."""

    def negative(p: float) -> float:
        p1, p2 = ratio * p, p
        return -(stats.binom.logpmf(a, n, p1) + stats.binom.logpmf(b, m, p2))

    p2 = optimize.minimize_scalar(negative, bounds=(1e-12, min(1, 1 / ratio) - 1e-12), method="bounded",
                                  options={"xatol": 1e-13}).x  # fmt: skip
    variance = (ratio * p2 * (1 - ratio * p2) / n + ratio**2 * p2 * (1 - p2) / m) * (n + m) / (n + m - 1)
    return float((a / n - ratio * b / m) / np.sqrt(variance))


@pytest.mark.parametrize("table", [(30, 50, 10, 50), (3, 40, 20, 60), (400, 900, 100, 300)])
def test_the_limits_of_a_ratio_are_where_its_score_is_critical(table: tuple[int, int, int, int]) -> None:
    limits = ratio_limits(*(np.array([each]) for each in table), critical=2.5)
    assert score(*table, float(limits.lower[0])) == pytest.approx(2.5, abs=1e-5)
    assert score(*table, float(limits.upper[0])) == pytest.approx(-2.5, abs=1e-5)


def test_statsmodels_has_the_same_limits_where_it_has_any() -> None:
    tables = [(30, 50, 10, 50), (3, 40, 20, 60), (400, 900, 100, 300), (5, 6, 1000, 100_000)]
    found = ratio_limits(*np.array(tables).T, critical=Z)
    for place, table in enumerate(tables):
        theirs = confint_proportions_2indep(*table, compare="ratio", method="score", correction=True, alpha=0.05)
        assert (found.lower[place], found.upper[place]) == pytest.approx(theirs, rel=1e-7)


def test_a_ratio_turned_round_has_limits_turned_round_also_with_an_empty_cell() -> None:
    a, n, b, m = np.array([[30, 50, 10, 50], [12, 50, 0, 60], [0, 60, 12, 50], [0, 9, 0, 9], [1, 0, 2, 5]]).T
    one, other = ratio_limits(a, n, b, m, Z), ratio_limits(b, m, a, n, Z)
    with np.errstate(divide="ignore"):
        assert one.lower[:3] == pytest.approx(1 / other.upper[:3], rel=1e-10)
    assert one.upper[1] == np.inf
    assert one.lower[1] > 1
    assert one.lower[2] == pytest.approx(0, abs=1e-9)
    assert one.upper[2] < 1
    assert np.isnan(one.lower[3:]).all()


def test_one_is_inside_the_limits_of_the_ratio_exactly_where_the_test_does_not_reject() -> None:
    a = np.arange(2, 30)
    n, b, m = np.full(28, 60), np.full(28, 15), np.full(28, 70)
    limits = ratio_limits(a, n, b, m, Z)
    z = np.array([cut_tests(130, int(each) + 15, [60], [each]).statistic[0] for each in a])
    known = ~np.isnan(z)
    assert known.sum() > 20
    assert ((limits.lower <= 1) & (limits.upper >= 1))[known].tolist() == (np.abs(z) <= Z)[known].tolist()
    assert 0 < (np.abs(z) <= Z)[known].sum() < known.sum()


def test_the_limits_of_shares_and_differences() -> None:
    # Wilson, nobody of ten: z^2 / (n + z^2). Newcombe 1998, method 10, his tables' first and an empty one.
    limits = share_limits([0, 10, 3, 0], [10, 10, 12, 0], 0.95)
    assert limits.upper[0] == pytest.approx(Z**2 / (10 + Z**2), abs=1e-12)
    assert (limits.lower[0], limits.upper[1]) == (0, 1)
    assert limits.lower[1] == pytest.approx(1 - limits.upper[0], abs=1e-12)
    assert np.isnan([limits.lower[3], limits.upper[3]]).all()
    found = difference_limits(np.array([56, 0]), np.array([70, 10]), np.array([48, 0]), np.array([80, 10]), Z)
    assert found.lower == pytest.approx([0.0524, -0.2775], abs=5e-5)
    assert found.upper == pytest.approx([0.3339, 0.2775], abs=5e-5)


# ------------------------------------------------------------------------------------------------- simultaneous limits


def test_the_correlation_of_ratios_is_that_of_their_influence_functions() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 5, 80).astype(float), rng.normal(size=80)
    y[:7] = np.nan
    churned = rng.random(80) < 0.4
    cuts = [np.array([0.0, 2.0]), np.array([-0.3, 0.5])]
    psi = []
    for values, of_variable in zip((x, y), cuts, strict=True):
        for cut in of_variable:
            low, high = values <= cut, values > cut
            p = [(churned[side].sum() + 0.5) / (side.sum() + 1) for side in (low, high)]
            psi.append(
                np.where(low, (churned - p[0]) / (low.sum() * p[0]), 0)
                - np.where(high, (churned - p[1]) / (high.sum() * p[1]), 0)
            )
    products = np.array(psi) @ np.array(psi).T
    scale = np.sqrt(np.diag(products))
    assert ratio_correlation([x, y], cuts, churned) == pytest.approx(products / np.outer(scale, scale), abs=1e-12)


def test_critical_values_of_independent_and_of_equal_intervals() -> None:
    sidak = stats.norm.ppf((1 + 0.95 ** (1 / 5)) / 2)
    assert simultaneous_critical([np.eye(5)], 0.95) == pytest.approx(sidak, abs=0.02)
    assert simultaneous_critical([np.eye(2), np.eye(3)], 0.95) == pytest.approx(sidak, abs=0.02)
    assert simultaneous_critical([np.ones((4, 4))], 0.95) == pytest.approx(Z, abs=0.02)
    assert simultaneous_critical([np.eye(1)], 0.95) == pytest.approx(Z, abs=1e-12)
    assert simultaneous_critical([], 0.9) == pytest.approx(stats.norm.ppf(0.95))
    assert simultaneous_critical([np.eye(5)], 0.95) == simultaneous_critical([np.eye(5)], 0.95)


@pytest.mark.slow
def test_all_true_ratios_are_inside_their_limits_at_once_in_nineteen_of_twenty_worlds() -> None:
    # The risk falls with the cut: 0.6 at or below 1, else 0.3; x is uniform on 0 ... 5.
    rng, cuts = np.random.default_rng(8), np.array([0.0, 1.0, 2.0, 4.0])
    risk = np.where(np.arange(6) <= 1, 0.6, 0.3)
    true = np.array([risk[: int(c) + 1].mean() / risk[int(c) + 1 :].mean() for c in cuts])
    held = alone = 0
    for _ in range(200):
        x = rng.integers(0, 6, 400).astype(float)
        churned = rng.random(400) < risk[x.astype(int)]
        n, d, below, gone = counts_of(x, cuts, churned)
        critical = simultaneous_critical([ratio_correlation([x], [cuts], churned)], 0.95, draws=4_096)
        inside = []
        for c in (critical, Z):
            limits = ratio_limits(gone, below, d - gone, n - below, c)
            inside.append(bool(((limits.lower <= true) & (true <= limits.upper)).all()))
        held, alone = held + inside[0], alone + inside[1]
    assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200) < held / 200 <= 1
    assert alone < held


# ------------------------------------------------------------------------------------------ standardised differences


def test_standardised_differences_by_their_formula() -> None:
    # Austin 2009: of shares 0.3 and 0.1 the spread is sqrt((0.21 + 0.09) / 2).
    d = standardised_difference((50, 150), (0.3, 0.1), (0.21, 0.09), level=0.95)
    assert d.estimate == pytest.approx(0.2 / np.sqrt(0.15), abs=1e-12)
    assert d.std_error == pytest.approx(np.sqrt(200 / 7500 + (0.04 / 0.15) / 400), abs=1e-12)
    assert (d.lower, d.upper) == pytest.approx((d.estimate - Z * d.std_error, d.estimate + Z * d.std_error), abs=1e-12)
    mirrored = standardised_difference((150, 50), (0.1, 0.3), (0.09, 0.21), level=0.95)
    assert mirrored.estimate == -d.estimate


def test_without_any_spread_there_is_a_difference_only_of_zero() -> None:
    assert standardised_difference((5, 5), (1.0, 1.0), (0.0, 0.0), level=0.95).estimate == 0
    assert np.isnan(standardised_difference((5, 5), (1.0, 0.0), (0.0, 0.0), level=0.95).estimate)
    assert np.isnan(standardised_difference((0, 5), (1.0, 0.0), (1.0, 1.0), level=0.95).lower)
