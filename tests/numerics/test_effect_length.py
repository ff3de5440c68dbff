from __future__ import annotations

import numpy as np

from churnsurv.numerics.effect_length import effect_length


def test_the_length_of_a_step_is_found_whatever_its_sign() -> None:
    rng = np.random.default_rng(0)
    for sign in (-1, 1):
        theta = sign * np.where(np.arange(28) < 9, 0.4, 0.0) + rng.normal(0, 0.1, 28)
        found = effect_length(theta, np.full(28, 0.01))
        assert found.lower <= 9 <= found.upper
        assert abs(found.days - 9) <= 1


def test_an_effect_that_goes_on_reaches_the_last_day() -> None:
    assert effect_length(np.full(10, -0.5), np.full(10, 0.01)).upper == 10


def test_by_hand_on_three_days() -> None:
    theta, variance = np.array([2.0, 0.0, 0.0]), np.ones(3)
    weight = np.exp([2.0, 1.0, 2 / 3]) / np.sqrt([1, 2, 3])
    share = weight / weight.sum()
    found = effect_length(theta, variance, level=float(share[0]) - 0.01)
    assert (found.days, found.lower, found.upper) == (1, 1, 1)
    assert effect_length(theta, variance, level=float(share[:2].sum()) - 0.01).upper == 2


def test_days_that_do_not_count_are_passed_over() -> None:
    theta = np.array([np.nan, -1.0, -1.0, np.nan, 0.0, 0.0, np.nan])
    found = effect_length(theta, np.where(np.isnan(theta), np.nan, 0.01))
    assert (found.days, found.lower, found.upper) == (3, 3, 3)
