from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import FollowUpError
from churnsurv.numerics.accumulated import accumulated_mean

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def rows(seed: int, n: int = 40, m: int = 300, last: int = 12) -> tuple[np.ndarray, Rows]:
    rng = np.random.default_rng(seed)
    followed = rng.integers(0, last, n)
    followed[:3] = last
    return followed, (rng.integers(0, n, m), rng.integers(0, last + 4, m), rng.normal(1, 2, m))


def dense(followed: np.ndarray, amounts: Rows, horizon: int, lasting: bool) -> np.ndarray:
    """What each user brings on each day, (n, horizon + 1); null after the end of the follow-up."""
    brought = np.zeros((followed.size, horizon + 1))
    for user, day, amount in zip(*amounts, strict=True):
        if day <= min(horizon, followed[user]):
            brought[user, day : None if lasting else day + 1] += amount
    brought[np.arange(horizon + 1) > followed[:, None]] = np.nan
    return brought


def weighted(brought: np.ndarray, weights: np.ndarray) -> float:
    """The sum over days of the weighted mean of the users followed to each."""
    seen = ~np.isnan(brought)
    return float(sum(
        (weights[seen[:, u]] @ brought[seen[:, u], u]) / weights[seen[:, u]].sum() for u in range(brought.shape[1])
    ))  # fmt: skip


def test_worked_by_hand() -> None:
    """Two users are followed to day 1, one is not: 1 + 3 on day 0 over three users, 5 on day 1 over two."""
    found = accumulated_mean(
        np.array([1, 3, 0]), user=np.array([0, 1, 2, 1]), day=np.array([0, 1, 0, 2]), amount=np.array([1.0, 5, 3, 99]),
        horizon=1,
    )  # fmt: skip
    assert found.by_day.tolist() == pytest.approx([4 / 3, 5 / 2], rel=1e-12)
    assert found.estimate == pytest.approx(23 / 6, rel=1e-12)
    # Influence: (1 - 4/3) + 1.5 (0 - 2.5), (0 - 4/3) + 1.5 (5 - 2.5), 3 - 4/3; each over 3.
    influence = np.array([-49 / 12, 29 / 12, 20 / 12]) / 3
    assert found.influence == pytest.approx(influence, rel=1e-12)
    assert found.std_error == pytest.approx(np.sqrt((influence**2).sum()), rel=1e-12)


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("horizon", [0, 5, 12])
def test_it_is_the_sum_of_daily_means_and_its_derivative_in_weights(horizon: int, lasting: bool) -> None:
    followed, (user, day, amount) = rows(horizon)
    found = accumulated_mean(followed, user=user, day=day, amount=amount, horizon=horizon, lasting=lasting)
    brought = dense(followed, (user, day, amount), horizon, lasting)
    ones, h = np.ones(followed.size), 1e-5
    assert found.estimate == pytest.approx(weighted(brought, ones), rel=1e-11)
    for i in (0, 7, 25):
        step = np.where(np.arange(followed.size) == i, h, 0.0)
        slope = (weighted(brought, ones + step) - weighted(brought, ones - step)) / (2 * h)
        assert found.influence[i] == pytest.approx(slope, abs=1e-8)
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)


def test_with_everybody_followed_it_is_the_plain_mean() -> None:
    _, (user, day, amount) = rows(3)
    followed = np.full(40, 20)
    found = accumulated_mean(followed, user=user, day=day, amount=amount, horizon=20)
    totals = np.bincount(user, amount, 40)
    assert found.estimate == pytest.approx(totals.mean(), rel=1e-12)
    assert found.std_error == pytest.approx(totals.std() / np.sqrt(40), rel=1e-12)


def test_the_order_of_amounts_and_their_parts_change_nothing() -> None:
    followed, (user, day, amount) = rows(4)
    found = accumulated_mean(followed, user=user, day=day, amount=amount, horizon=9)
    order = np.random.default_rng(0).permutation(user.size)
    again = accumulated_mean(followed, user=user[order], day=day[order], amount=amount[order], horizon=9)
    halves = accumulated_mean(
        followed, user=np.tile(user, 2), day=np.tile(day, 2), amount=np.tile(amount / 2, 2), horizon=9
    )
    for other in (again, halves):
        assert other.estimate == pytest.approx(found.estimate, rel=1e-12)
        assert other.std_error == pytest.approx(found.std_error, rel=1e-12)


def test_users_who_came_lately_are_no_failures() -> None:
    """Each user brings 1 a day as long as it lives, at most 10 days; half were followed for 0 to 9 days only.

    Truth: the sum of 0.9^u. Means of 400 samples and of their standard errors; seeds fixed.
    """
    truth, estimates, errors, covered = sum(0.9**u for u in range(11)), [], [], 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        n = 150
        life = rng.geometric(0.1, n) - 1
        followed = np.where(rng.random(n) < 0.5, rng.integers(0, 10, n), 10)
        user, day = np.nonzero(np.arange(11) <= life[:, None])
        found = accumulated_mean(followed, user=user, day=day, amount=np.ones(user.size), horizon=10)
        estimates.append(found.estimate)
        errors.append(found.std_error)
        covered += abs(found.estimate - truth) <= 1.96 * found.std_error
    assert np.mean(estimates) == pytest.approx(truth, abs=0.06)
    assert np.mean(errors) == pytest.approx(np.std(estimates), rel=0.1)
    assert 0.92 <= covered / 400 <= 0.975


def test_a_horizon_that_nobody_was_followed_to() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    with pytest.raises(FollowUpError, match="day 6; the longest follow-up has 5 days"):
        accumulated_mean(np.array([5, 2]), user=nothing, day=nothing, amount=np.zeros(0), horizon=6)
    none = accumulated_mean(np.array([5, 2]), user=nothing, day=nothing, amount=np.zeros(0), horizon=5)
    assert (none.estimate, none.std_error) == (0.0, 0.0)
