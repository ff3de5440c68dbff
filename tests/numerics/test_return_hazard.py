from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.return_hazard import common_shift, fit_return_hazard, merged_cells


def counts(n_days: int = 20, n_cells: int = 4, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    at_risk = rng.integers(50, 400, (n_days, n_cells))
    terms = np.column_stack([np.arange(n_days) % 7 == 0, np.arange(n_days) / 30.0]).astype(np.float64)
    mean = np.exp(rng.normal(-1.5, 0.5, n_cells)[None, :] + (terms @ np.array([0.3, -0.4]))[:, None])
    return at_risk, rng.binomial(at_risk, -np.expm1(-mean)), terms


def test_the_fit_is_that_of_a_binomial_glm_with_a_column_for_each_cell() -> None:
    from statsmodels.genmod import families
    from statsmodels.genmod.generalized_linear_model import GLM

    at_risk, returned, terms = counts()
    n_days, n_cells = at_risk.shape
    fit = fit_return_hazard(at_risk, returned, terms)
    columns = np.column_stack([np.tile(np.eye(n_cells), (n_days, 1)), np.repeat(terms, n_cells, axis=0)])
    outcome = np.column_stack([returned.ravel(), (at_risk - returned).ravel()])
    family = families.Binomial(link=families.links.CLogLog())
    theirs = GLM(outcome, columns, family=family).fit(tol=1e-14)
    np.testing.assert_allclose(np.concatenate([fit.level, fit.coefficients]), theirs.params, rtol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.inverse)), theirs.bse[n_cells:], rtol=1e-6)


def test_one_cell_on_two_days_by_hand() -> None:
    fit = fit_return_hazard(np.array([[100], [100]]), np.array([[10], [19]]), np.array([[0.0], [1.0]]))
    assert fit.level[0] == pytest.approx(np.log(-np.log(0.9)), abs=1e-10)
    assert np.exp(fit.coefficients[0]) == pytest.approx(2.0, abs=1e-10)  # .81 = .9 squared


def test_a_term_that_does_not_vary_has_no_coefficient() -> None:
    at_risk, returned, terms = counts()
    fit = fit_return_hazard(at_risk, returned, np.column_stack([terms, np.zeros(len(terms))]))
    assert fit.coefficients[2] == 0
    np.testing.assert_allclose(
        fit.coefficients[:2], fit_return_hazard(at_risk, returned, terms).coefficients, rtol=1e-8
    )


def test_a_cell_that_nobody_returned_from_is_refused() -> None:
    with pytest.raises(ConvergenceError, match="Put cells together"):
        fit_return_hazard(np.full((3, 2), 10), np.array([[1, 0]] * 3), np.zeros((3, 1)))


def test_the_shift_solves_its_score_equation_and_is_null_where_nobody_returned() -> None:
    at_risk, returned, terms = counts()
    fit = fit_return_hazard(at_risk[:14], returned[:14], terms[:14])
    after = slice(14, 20)
    label = np.array([0, 0, 0, 1, 1, -1])
    predictor = fit.predictor(terms[after])
    found = common_shift(predictor, at_risk[after], returned[after], label, 3)
    assert np.isnan(found[2])
    for k in (0, 1):
        mean = np.exp(predictor[label == k] + found[k])
        chance = -np.expm1(-mean)
        score = mean / chance * (returned[after][label == k] - at_risk[after][label == k] * chance)
        assert abs(score.sum()) < 1e-7


@pytest.mark.parametrize("all_return", [False, True])
def test_half_a_return_is_added_where_nobody_returned_and_taken_away_where_all_did(*, all_return: bool) -> None:
    at_risk = np.array([[40, 60], [30, 70]])
    usual = np.log(-np.log1p(-np.array([[0.2, 0.6], [0.3, 0.5]])))
    label = np.zeros(2, dtype=int)
    returned = at_risk if all_return else np.zeros_like(at_risk)
    assert np.isnan(common_shift(usual, at_risk, returned, label, 1)[0])
    assert np.isnan(common_shift(usual, at_risk, returned, label, 1, fewest=150)[0])
    shift = common_shift(usual, at_risk, returned, label, 1, fewest=5)[0]
    chance = -np.expm1(-np.exp(usual + shift))
    part = at_risk * -np.exp(-np.exp(usual)) if all_return else at_risk * -np.expm1(-np.exp(usual))
    held = returned + 0.5 * part / abs(part.sum())
    assert (np.exp(usual + shift) / chance * (held - at_risk * chance)).sum() == pytest.approx(0, abs=1e-9)


def test_merged_cells_have_events_and_stay_in_their_blocks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        blocks = np.sort(rng.integers(0, 3, 20))
        events = rng.poisson(rng.choice([1.0, 8.0]), 20)
        cell = merged_cells(events, blocks)
        assert cell[0] == 0
        assert set(np.diff(cell)) <= {0, 1}
        sums = np.bincount(cell, weights=events)
        assert sums.min() >= min(10, events.sum())
        rich = [b for b in np.unique(blocks) if events[blocks == b].sum() >= 10]
        for a, b in pairwise(rich):
            assert not set(cell[blocks == a]) & set(cell[blocks == b])
