"""Shares of small cells drawn to the whole: the plain ratio where nothing is thought, wide limits for few members."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.drawn_shares import drawn_shares
from churnsurv.numerics.ratio_by_blocks import logit_limits, ratio_by_blocks


def test_nothing_thought_is_the_plain_ratio() -> None:
    rng = np.random.default_rng(1)
    of = rng.integers(0, 9, (40, 3, 4))
    seen = rng.binomial(of, 0.3)
    plain, drawn = ratio_by_blocks(seen, of), drawn_shares(seen, of, np.full((3, 4), 0.9), prior=0)
    np.testing.assert_array_equal(drawn.estimate, plain.estimate)
    np.testing.assert_allclose(drawn.std_error, plain.std_error, rtol=1e-13)
    np.testing.assert_array_equal(drawn.n_blocks, plain.n_blocks)


def test_members_that_are_thought_are_members() -> None:
    # ten more, each in a block of its own, four of whom have the outcome: the share of the whole is 0.4
    seen, of = np.array([3, 1, 0]), np.array([4, 4, 2])
    more = ratio_by_blocks(np.append(seen, [1] * 4 + [0] * 6), np.append(of, [1] * 10))
    drawn = drawn_shares(seen, of, np.array(0.4), prior=10)
    assert float(drawn.estimate) == pytest.approx(float(more.estimate), abs=1e-15)
    assert float(drawn.std_error) == pytest.approx(float(more.std_error), rel=1e-13)
    assert int(drawn.n_blocks) == int(more.n_blocks) == 13


def test_a_cell_that_differs_is_less_sure() -> None:
    of = np.full((5, 1), 2)
    alike, apart = (drawn_shares(np.full((5, 1), n), of, np.array([p]), prior=10) for n, p in ((1, 0.5), (2, 0.0)))
    assert alike.estimate.tolist() == apart.estimate.tolist() == [0.5]
    assert apart.std_error[0] > alike.std_error[0]


def test_unknown_whole_and_many_members() -> None:
    unknown = drawn_shares(np.ones((3, 1)), np.ones((3, 1)), np.array([np.nan]), prior=10)
    assert np.isnan(unknown.estimate).all()
    rng = np.random.default_rng(2)
    of = np.full((500, 1), 40)
    seen = rng.binomial(of, 0.2)
    plain, drawn = ratio_by_blocks(seen, of), drawn_shares(seen, of, np.array([0.6]), prior=10)
    np.testing.assert_allclose(drawn.std_error, plain.std_error, rtol=0.02)
    np.testing.assert_allclose(logit_limits(drawn, level=0.95), logit_limits(plain, level=0.95), atol=0.001)
    with pytest.raises(InputError, match="0 or more"):
        drawn_shares(seen, of, np.array([0.6]), prior=-1)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_users", [0, 2, 5, 30, 100])
def test_limits_hold_what_they_promise(spread: float, n_users: int) -> None:
    """Cells whose log odds differ by `spread` from the whole, users whose log odds differ by 1, three members each."""
    rng = np.random.default_rng(7)
    shift, users = rng.normal(0, spread, 4000), rng.normal(size=20_000)
    level = -1.0165  # the mean over users is then 0.3
    truth = np.array([(1 / (1 + np.exp(-(level + each + users)))).mean() for each in shift])
    share = 1 / (1 + np.exp(-(level + shift + rng.normal(size=(max(n_users, 1), shift.size)))))
    of = np.full(share.shape, 3 if n_users else 0)
    found = drawn_shares(rng.binomial(of, share), of, np.full(shift.size, 0.3), prior=10)
    lower, upper = logit_limits(found, level=0.95)
    covered = float(np.mean((lower <= truth) & (truth <= upper)))
    # cells like the whole are held more often: what is thought of them is true
    assert 0.93 <= covered <= 1.0
