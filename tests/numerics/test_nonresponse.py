"""Weighted shares, their bounds and incidences: closed forms, brute force, and properties."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from churnsurv.numerics.competing import CauseRows, aalen_johansen, cause_counts
from churnsurv.numerics.nonresponse import Responses, effective_number, share_limits, weighted_shares
from churnsurv.numerics.reason_bounds import imbens_manski, share_bounds
from churnsurv.numerics.weighted_incidence import weighted_incidence

CELLS = np.array([0] * 6 + [1] * 4)
ANSWERED = np.array([1, 1, 0, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
ANSWER = np.array([0, 1, 0, 0, 0, 0, 1, 1, 0, 0])


def two_cells() -> Responses:
    """Six of whom two answer, four of whom three do; the chances are those of a saturated model."""
    matrix = np.column_stack([np.ones(10), CELLS])
    return Responses(ANSWERED, np.where(CELLS == 0, 2 / 6, 3 / 4), matrix)


def random_units(seed: int, n: int = 300, *, cluster: bool = False) -> tuple[Responses, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    answered = rng.random(n) < 1 / (1 + np.exp(-0.2 - x))
    matrix = np.column_stack([np.ones(n), x])
    chance = np.asarray(sm.Logit(answered, matrix).fit(disp=False, tol=1e-12).predict())
    answer = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(np.int64)
    return Responses(answered, chance, matrix, np.arange(n) // 2 if cluster else None), answer


def test_a_saturated_model_is_the_mean_of_cells() -> None:
    """Shares 1/2 in a cell of six and 2/3 in one of four: (6 x 1/2 + 4 x 2/3) / 10."""
    found = weighted_shares(two_cells(), ANSWER, 2)
    np.testing.assert_allclose(found.share, [1 - 17 / 30, 17 / 30], rtol=1e-12)
    assert found.n.tolist() == [2, 3]


def test_influences_of_a_saturated_model_in_closed_form() -> None:
    """(R/e)(Y - mean of the cell)/N + (mean of the cell - share)/N, each over sqrt(1 - leverage)."""
    units, share = two_cells(), 17 / 30
    mean = np.where(CELLS == 0, 1 / 2, 2 / 3)
    plain = (np.where(ANSWERED, (ANSWER - mean) / units.chance, 0.0) + mean - share) / 10
    size, e = np.where(CELLS == 0, 6, 4), units.chance
    leverage = (ANSWERED - e) ** 2 / (size * e * (1 - e))
    found = weighted_shares(units, ANSWER, 2)
    np.testing.assert_allclose(found.influence[:, 1], plain / np.sqrt(1 - leverage), rtol=1e-10)
    assert found.std_error[1] == pytest.approx(np.sqrt((plain**2 / (1 - leverage)).sum()), rel=1e-12)


def test_influences_are_derivatives_of_the_refitted_share() -> None:
    """Without the leverage they are what the weight of a unit does to the share, the model fitted again."""
    units, answer = random_units(1, 60)
    found = weighted_shares(units, answer, 2).influence[:, 1] * np.sqrt(1 - units.leverage())
    for i in (0, 7, 31):
        shares = []
        for step in (1e-4, -1e-4):
            w = np.ones(60)
            w[i] += step
            fit = sm.GLM(units.answered, units.matrix, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14)
            weight = np.where(units.answered, w / fit.fittedvalues, 0.0)
            shares.append((weight @ answer) / weight.sum())
        assert (shares[0] - shares[1]) / 2e-4 == pytest.approx(found[i], rel=1e-5)


def test_without_a_model_it_is_the_share_with_wilsons_limits() -> None:
    answered = np.arange(50) < 40
    found = weighted_shares(random_free(answered), (np.arange(50) < 9).astype(np.int64), 2)
    lower, upper = found.limits(0.95)
    assert found.share[1] == pytest.approx(9 / 40)
    assert found.std_error[1] == pytest.approx(np.sqrt(9 / 40 * 31 / 40 / 40))
    np.testing.assert_allclose((lower[1], upper[1]), proportion_confint(9, 40, method="wilson"), rtol=1e-10)


def random_free(answered: np.ndarray) -> Responses:
    return Responses(answered, np.ones(answered.size), np.zeros((answered.size, 0)))


def test_equal_rows_of_a_user_say_nothing_new() -> None:
    units, answer = random_units(2, 200)
    once = weighted_shares(
        Responses(units.answered, units.chance, units.matrix, np.arange(200)), answer, 2
    )  # fmt: skip
    twice = Responses(*(np.repeat(x, 2, axis=0) for x in (units.answered, units.chance, units.matrix)),
                      np.repeat(np.arange(200), 2))  # fmt: skip
    found = weighted_shares(twice, np.repeat(answer, 2), 2)
    np.testing.assert_allclose(found.share, once.share, rtol=1e-12)
    # only the leverage of a row falls by half
    np.testing.assert_allclose(found.std_error, once.std_error, rtol=0.02)


def test_the_order_of_units_changes_nothing() -> None:
    units, answer = random_units(3, cluster=True)
    order = np.random.default_rng(0).permutation(answer.size)
    assert units.cluster is not None
    moved = Responses(units.answered[order], units.chance[order], units.matrix[order], units.cluster[order])
    a, b = weighted_shares(units, answer, 2), weighted_shares(moved, answer[order], 2)
    np.testing.assert_allclose(a.share, b.share, rtol=1e-12)
    np.testing.assert_allclose(a.std_error, b.std_error, rtol=1e-12)


def test_shares_that_nobody_or_everybody_has_keep_limits() -> None:
    units, _ = random_units(4)
    found = weighted_shares(units, np.zeros(300, np.int64), 2)
    lower, upper = found.limits(0.95)
    assert found.share.tolist() == [1.0, 0.0]
    assert 0.9 < lower[0] < 1
    assert 0 < upper[1] < 0.1
    assert (upper[0], lower[1]) == pytest.approx((1, 0))


def test_a_group_without_an_answer_has_no_share() -> None:
    units, answer = random_units(5)
    found = weighted_shares(units, answer, 2, members=~units.answered)
    assert np.isnan([found.share, *found.limits(0.95)]).all()


def test_effective_numbers_and_limits_by_hand() -> None:
    assert effective_number(np.array([0.5]), np.array([0.05]), 7.0)[0] == pytest.approx(100)
    lower, upper = share_limits(np.array([0.3]), np.array([80.0]), level=0.9)
    np.testing.assert_allclose((lower[0], upper[0]), proportion_confint(24, 80, alpha=0.1, method="wilson"))


def test_bounds_are_the_extremes_over_all_that_the_silent_may_have_said() -> None:
    answered = np.array([True] * 5 + [False] * 4)
    answer = np.array([0, 0, 1, 2, 0, 0, 0, 0, 0])
    shares = []
    for said in product(range(3), repeat=4):
        every = np.concatenate([answer[:5], said])
        shares.append(np.bincount(every, minlength=3) / 9)
    found = share_bounds(answer, answered, 3, level=0.95)
    np.testing.assert_allclose(found.lowest, np.min(shares, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.highest, np.max(shares, axis=0), rtol=1e-12)
    assert (found.lower <= found.lowest).all()
    assert (found.upper >= found.highest).all()


def test_bounds_without_the_silent_are_wilsons_limits() -> None:
    found = share_bounds(np.repeat([0, 1], [30, 70]), np.ones(100, bool), 2, level=0.95)
    np.testing.assert_allclose((found.lower[0], found.upper[0]), proportion_confint(30, 100, method="wilson"))


@pytest.mark.parametrize("apart", [0.0, 0.01, 0.1, 0.5])
def test_the_quantile_of_imbens_and_manski_solves_its_equation(apart: float) -> None:
    c = imbens_manski(np.array([apart]), np.array([0.04]), level=0.95)[0]
    assert norm.cdf(c + apart / 0.04) - norm.cdf(-c) == pytest.approx(0.95, abs=1e-12)


def test_bounds_of_what_everybody_said_are_two_sided() -> None:
    found = share_bounds(np.zeros(200, np.int64), np.ones(200, bool), 2, level=0.95)
    for k, count in ((0, 200), (1, 0)):
        expected = proportion_confint(count, 200, method="wilson")
        np.testing.assert_allclose((found.lower[k], found.upper[k]), expected, atol=1e-12)
    assert imbens_manski(np.array([0.0, 0.5]), np.zeros(2), level=0.95) == pytest.approx([1.95996, 1.64485], abs=1e-5)


def test_a_chance_of_one_outside_the_fit_is_the_limit_of_fits() -> None:
    """Units of a category in which all answer: a row of zeros, as a coefficient that goes to infinity has it."""
    units, answer = random_units(9, 120)
    more = np.ones(30, bool)
    said = np.append(answer, np.arange(30) % 2)
    apart = Responses(np.append(units.answered, more), np.append(units.chance, np.ones(30)),
                      np.vstack([units.matrix, np.zeros((30, 2))]))  # fmt: skip
    wide = np.column_stack(
        [np.vstack([units.matrix, np.repeat([[1.0, 0.0]], 30, axis=0)]), np.repeat([0.0, 1.0], [120, 30])]
    )
    near = Responses(apart.answered, np.append(units.chance, np.full(30, 1 - 1e-7)), wide)
    a, b = (weighted_shares(each, said, 2) for each in (apart, near))
    np.testing.assert_allclose(a.share, b.share, rtol=1e-6)
    np.testing.assert_allclose(a.std_error, b.std_error, rtol=1e-5)


def test_incidence_with_every_reason_known_is_aalen_and_johansens_at_the_end() -> None:
    rng = np.random.default_rng(6)
    n = 400
    duration, reason = rng.integers(1, 60, n), rng.integers(0, 3, n)
    churned = rng.random(n) < 0.7
    rows = CauseRows(duration, churned.astype(np.int64))
    units = random_free(np.ones(int(churned.sum()), bool))
    found = weighted_incidence(
        rows, units, time=duration[churned], reason=reason[churned], members=units.answered, n_kinds=3
    )
    counts = cause_counts(CauseRows(duration, np.where(churned, 1 + reason, 0)), n_causes=3)[0]
    expected = aalen_johansen(counts)
    np.testing.assert_allclose(found.incidence[:, -1], expected.incidence[:, -1], rtol=1e-10)
    np.testing.assert_allclose(found.incidence.sum(axis=0), 1 - expected.survival, rtol=1e-10)
    assert (np.diff(found.incidence, axis=1) >= -1e-15).all()


def test_incidences_and_survival_sum_to_one_whoever_is_silent() -> None:
    rng = np.random.default_rng(7)
    units, reason = random_units(7)
    time = rng.integers(30, 200, 300)
    rows = CauseRows(np.append(time, rng.integers(1, 200, 80)), np.repeat([1, 0], [300, 80]))
    found = weighted_incidence(rows, units, time=time, reason=reason, members=np.ones(300, bool), n_kinds=2)
    whole = aalen_johansen(cause_counts(rows, n_causes=1)[0])
    np.testing.assert_allclose(found.incidence.sum(axis=0), whole.incidence[0], rtol=1e-12)
    assert (found.std_error[:, 100:] > 0).all()


def test_answers_that_all_agree_say_as_much_as_there_are_of_them() -> None:
    """600 churns, one reason: with one answer the share of the silent is nearly anything, with all answers it is 1."""
    time = np.random.default_rng(8).integers(1, 60, 600)
    rows, none = CauseRows(time, np.ones(600, dtype=np.int64)), np.zeros(600, dtype=np.int64)
    errors = []
    for n in (1, 60, 600):
        units = random_free(np.arange(600) < n)
        found = weighted_incidence(rows, units, time=time, reason=none, members=np.ones(600, bool), n_kinds=1)
        errors.append(found.std_error[0, -2] / found.incidence[0, -2])
    # one answer: uniform before, Beta(2, 1) after it
    np.testing.assert_allclose(errors[0], np.sqrt(1 / 18), rtol=0.01)
    assert errors[0] > 4 * errors[1] > 4 * errors[2]
