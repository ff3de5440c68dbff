"""Ratios and survival by blocks: worked by hand, against least squares by cluster, and against the jackknife."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.kaplan_meier import kaplan_meier
from churnsurv.numerics.ratio_by_blocks import (
    RatioByBlocks,
    logit_limits,
    ratio_by_blocks,
    survival_by_blocks,
)

Counts = tuple[np.ndarray, np.ndarray]


def lives(seed: int, *, blocks: int = 12, days: int = 6, censored: bool = True) -> Counts:
    """Returned and at risk, (blocks, days), of random gaps."""
    rng = np.random.default_rng(seed)
    returned, ended = np.zeros((2, blocks, days + 2), dtype=int)
    for block in range(blocks):
        for _ in range(int(rng.integers(1, 30))):
            day = min(int(rng.geometric(rng.uniform(0.1, 0.4))), days + 1)
            cut = int(rng.integers(1, days + 2)) if censored else days + 1
            ended[block, min(day, cut)] += 1
            returned[block, day] += day <= min(cut, days)
    at_risk = np.cumsum(ended[:, ::-1], axis=1)[:, ::-1]
    return returned[:, 1:-1], at_risk[:, 1:-1]


def test_a_ratio_by_hand() -> None:
    """R = 4/8; residuals 1, -1, 0; their squares 2, times 3/2, over 64."""
    found = ratio_by_blocks(np.array([[2, 0], [0, 0], [2, 0], [0, 0]]), np.array([[2, 1], [2, 0], [4, 0], [0, 0]]))
    np.testing.assert_allclose(found.estimate, [0.5, 0.0])
    np.testing.assert_allclose(found.std_error[0], np.sqrt(3 / 64), rtol=1e-14)
    assert np.isnan(found.std_error[1])  # one block: nothing tells how blocks differ
    assert found.n_blocks.tolist() == [3, 1]
    assert not found.estimate.flags.writeable
    none = ratio_by_blocks(np.zeros(3), np.zeros(3))
    assert np.isnan(none.estimate)
    assert none.n_blocks == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_share_is_least_squares_clustered_by_block(seed: int) -> None:
    rng = np.random.default_rng(seed)
    block = rng.integers(0, 15, 200)
    y = (rng.random(200) < rng.uniform(0.2, 0.8, 15)[block]).astype(float)
    fit = sm.OLS(y, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": block, "use_correction": False})
    n_blocks = len(set(block))
    found = ratio_by_blocks(np.bincount(block, y), np.bincount(block))
    np.testing.assert_allclose(found.estimate, fit.params[0], rtol=1e-12)
    np.testing.assert_allclose(found.std_error, fit.bse[0] * np.sqrt(n_blocks / (n_blocks - 1)), rtol=1e-12)


def test_limits_by_hand_and_where_there_are_none() -> None:
    ratio = RatioByBlocks(
        np.array([0.2, 0.0, 1.0, 0.2, np.nan]), np.array([0.04, 0.0, 0.0, 0.04, np.nan]), np.array([21, 21, 21, 9, 21])
    )
    lower, upper = logit_limits(ratio, level=0.9)
    half = t.ppf(0.95, 20) * 0.04 / 0.16
    ends = [1 / (1 + np.exp(-(np.log(0.25) + sign * half))) for sign in (-1, 1)]
    np.testing.assert_allclose([lower[0], upper[0]], ends, rtol=1e-12)
    assert np.isnan(lower[1:]).all()
    assert np.isnan(upper[1:]).all()
    assert not np.isnan(logit_limits(ratio, level=0.9, fewest=9)[0][3])


@given(st.integers(0, 10_000), st.booleans())
def test_survival_is_kaplan_and_meiers(seed: int, censored: bool) -> None:
    returned, at_risk = lives(seed, censored=censored)
    found = survival_by_blocks(returned, at_risk)
    days = returned.shape[1]
    left = np.concatenate([at_risk[:, 1:], (at_risk[:, -1] - returned[:, -1])[:, None]], axis=1)
    cut = at_risk - returned - left
    duration = np.repeat(np.tile(np.arange(1, days + 1), 2), np.concatenate([returned.sum(0), cut.sum(0)]))
    event = np.repeat([True, False], [returned.sum(), cut.sum()])
    duration = np.concatenate([duration, np.full(left[:, -1].sum(), days + 1)])
    event = np.concatenate([event, np.zeros(left[:, -1].sum(), dtype=bool)])
    curve = kaplan_meier(day_counts(duration, event))
    whole = np.concatenate([[1.0], curve.survival])[np.searchsorted(curve.time, np.arange(days + 1), side="right")]
    np.testing.assert_allclose(found.survival, whole, atol=1e-12)
    assert found.n_at_risk.tolist() == [*at_risk.sum(0), left[:, -1].sum()]


@pytest.mark.parametrize("seed", range(6))
def test_without_censoring_staying_is_a_ratio(seed: int) -> None:
    returned, at_risk = lives(seed, censored=False)
    days = returned.shape[1]
    left = at_risk[:, -1] - returned[:, -1]
    found = survival_by_blocks(returned, at_risk).staying(np.arange(days), days)
    direct = ratio_by_blocks(np.repeat(left[:, None], days, axis=1), at_risk)
    np.testing.assert_allclose(found.estimate, direct.estimate, rtol=1e-12)
    np.testing.assert_allclose(found.std_error, direct.std_error, rtol=1e-10)
    np.testing.assert_array_equal(found.n_blocks, direct.n_blocks)
    ended = survival_by_blocks(returned, at_risk).ended(days)
    by_day = np.concatenate([np.zeros((len(left), 1)), np.cumsum(returned, axis=1)], axis=1)
    shares = ratio_by_blocks(by_day, np.repeat(returned.sum(1)[:, None], days + 1, axis=1))
    np.testing.assert_allclose(ended.estimate, shares.estimate, rtol=1e-12)
    some = shares.n_blocks[0]
    same = np.sqrt((ended.n_blocks[0] / (ended.n_blocks[0] - 1)) / (some / (some - 1)))
    np.testing.assert_allclose(ended.std_error, shares.std_error * same, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_influence_is_what_a_block_less_does(seed: int) -> None:
    """The derivative of log survival in the weight of each block, by finite differences."""
    returned, at_risk = lives(seed)
    found = survival_by_blocks(returned, at_risk)
    for block in range(len(returned)):
        weight = np.ones(len(returned))
        weight[block] += 1e-6
        moved = np.cumsum(np.log1p(-(weight @ returned) / (weight @ at_risk)))
        slope = (moved - np.log(found.survival[1:])) / 1e-6
        np.testing.assert_allclose(found.influence[block, 1:], slope, atol=1e-5)
    np.testing.assert_allclose(found.influence.sum(axis=0), 0, atol=1e-12)


def test_where_all_return_nobody_stays() -> None:
    found = survival_by_blocks(np.array([[1, 1, 0]] * 12), np.array([[2, 1, 0]] * 12))
    assert found.survival.tolist() == [1, 0.5, 0, 0]
    staying = found.staying(np.arange(3), 3)
    assert staying.estimate[:2].tolist() == [0, 0]
    assert staying.std_error[:2].tolist() == [0, 0]
    assert np.isnan(staying.estimate[2])
    ended = found.ended(3)
    assert ended.estimate.tolist() == [0, 0.5, 1, 1]
    assert ended.std_error[1] == 0  # all blocks are alike


def test_beyond_the_last_day_that_was_followed_nothing_is_known() -> None:
    found = survival_by_blocks(np.array([[1, 0, 0]] * 12), np.array([[4, 2, 0]] * 12))
    assert found.survival[:3].tolist() == [1, 0.75, 0.75]
    assert np.isnan(found.survival[3])
    staying, ended = found.staying(np.arange(3), 3), found.ended(3)
    assert np.isnan(staying.estimate).all()
    assert np.isnan(staying.std_error).all()
    assert np.isnan(ended.estimate).all()
    assert np.isnan(logit_limits(staying, level=0.95)).all()
